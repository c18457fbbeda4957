/*
 * recent.h
 *		Exact distances that this backend's last scan computed, for the next page of the same query.
 *
 * README.md, section "Distances remembered".
 */
#ifndef QH_RECENT_H
#define QH_RECENT_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/relcache.h"

/*
 * Remember distances of this query, a detoasted value, from now on: at most max_rows of them.
 * Those that are known stay if the scan before had the same query and the same index, but not on
 * a standby.  Returns the number by which the scan names itself from now on: when another scan
 * begins, nothing is known to this one, and nothing is noted for it.
 */
extern uint64 qh_recent_begin(Relation index, Oid heap, Datum query, int max_rows);
/* Remember the distance of a row that was found by a code of this estimate. */
extern void qh_recent_put(uint64 owner, const ItemPointerData *tid, float estimate, double dist);
/* Is the distance of the row known, and was it found by the same code? */
extern bool qh_recent_get(uint64 owner, const ItemPointerData *tid, float estimate, double *dist);

/* How many of the rows whose distances are known are nearer than dist. */
extern int	qh_recent_count_before(uint64 owner, double dist);

#endif							/* QH_RECENT_H */
