/*
 * sweep.h
 *		All codes of an index in order, a page at a time, scored.
 */
#ifndef QH_SWEEP_H
#define QH_SWEEP_H

#include "store/relstore.h"

/*
 * While a page is scored, the pages so far behind it are prefetched: the farther one first,
 * then again.  doc/decisions/0051-sweep-prefetch.md.
 */
#define QH_SWEEP_SOON		1
#define QH_SWEEP_LATER		2

/* A page on the way of a sweep. */
typedef struct QhSweepPage
{
	QhNode		first;			/* node of its first code */
	int			ncodes;			/* 0 = behind the last page */
	QhSlotAddress addr;			/* of its first code */
	const uint8 *codes;			/* where they are by the page's recent buffer, or NULL */
} QhSweepPage;

typedef struct QhSweep
{
	QhRelStore *rs;
	uint32		nslots;			/* when it began */
	QhSweepPage pages[QH_SWEEP_LATER];	/* that come next */
	bool		absent;			/* a page was not in shared buffers, so others may not be */
	QhNode		ahead;			/* first node of the page that is asked for next, from disk */
	BufferAccessStrategy strategy;	/* NULL = as any page */
	struct ReadStream *stream;	/* that reads pages from disk, NULL while none was absent; PostgreSQL 17 on */
} QhSweep;

extern void qh_sweep_begin(QhSweep *sweep, QhRelStore *rs);

/* What was found on a page. */
typedef struct QhSweepHits
{
	QhNode		first;			/* the page's first node */
	int			ncodes;			/* of consecutive nodes */
	uint32		nnear;
	uint32		near[QH_PAGE_NBYTES];	/* offsets from the first, ascending, of those nearer than the limit */
	float		dist[QH_PAGE_NBYTES];	/* of those */
} QhSweepHits;

/* Find the codes of the next page that are nearer than the limit; returns false at the end. */
extern bool qh_sweep_next(QhSweep *sweep, float limit, QhSweepHits *hits);

extern void qh_sweep_end(QhSweep *sweep);

#endif							/* QH_SWEEP_H */
