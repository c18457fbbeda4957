/*
 * sweep.h
 *		All codes of an index in order, a page at a time, scored.
 */
#ifndef QH_SWEEP_H
#define QH_SWEEP_H

#include "store/relstore.h"

typedef struct QhSweep
{
	QhRelStore *rs;
	uint32		nslots;			/* when it began */
	QhNode		next;			/* first node of the next page */
	QhNode		ahead;			/* first node of the page that is asked for next */
	BufferAccessStrategy strategy;	/* NULL = as any page */
	struct ReadStream *stream;	/* that reads pages from disk, NULL while none was absent; PostgreSQL 17 on */
} QhSweep;

extern void qh_sweep_begin(QhSweep *sweep, QhRelStore *rs);

/*
 * Score the codes of the next page: first says of which nodes, dist has room for a page's slots.  Returns
 * how many, 0 at the end.
 */
extern int qh_sweep_next(QhSweep *sweep, QhNode *first, float *dist);

extern void qh_sweep_end(QhSweep *sweep);

#endif							/* QH_SWEEP_H */
