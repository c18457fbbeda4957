/*
 * recent.h
 *		Exact distances that this backend's last scan of an index computed, for the next page of the same query.
 */
#ifndef QH_RECENT_H
#define QH_RECENT_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/relcache.h"

/*
 * Remember distances of this query from now on, at most most_rows of them: those that are known stay if it is the query of the scan before, and of
 * the same index.  query is a detoasted value.
 */
extern void qh_recent_begin(Relation index, Oid heap, Datum query, int most_rows);
/* Note the distance of a row that was found by a code of this estimate. */
extern void qh_recent_put(const ItemPointerData *tid, float estimate, double dist);
/* Is the distance of the row known, and was it found by the same code? */
extern bool qh_recent_get(const ItemPointerData *tid, float estimate, double *dist);

/* Of the rows whose distances are known, how many are nearer than dist. */
extern int	qh_recent_count_before(double dist);

#endif							/* QH_RECENT_H */
