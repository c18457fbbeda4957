/*
 * rescore.h
 *		What the files share that put rows into their exact order: the pool, rows fetched, bounds.
 *
 * recompute.c is the lowest of them, then come fetch.c, bounds.c, exact.c and rescore.c.
 */
#ifndef QH_RESCORE_H
#define QH_RESCORE_H

#include <math.h>

#include "scan/scan_state.h"
#include "store/heap_prefetch.h"

/*
 * Set in a row of the pool whose distance was remembered.  Such a row was not fetched, and is
 * when its turn comes.
 */
#define QH_POOL_REMEMBERED	UINT64_C(1)

/*
 * Above it the width of the interval that begins at the row's distance, the upper half of a float
 * but for its sign, rounded up; 0 = the distance is known.  Above that the row pointer, so that
 * rows of equal distances are in the order of the table.
 */
#define QH_POOL_WIDTH_BITS	14
#define QH_POOL_WIDTH_SHIFT	1
#define QH_POOL_TID_SHIFT	(QH_POOL_WIDTH_SHIFT + QH_POOL_WIDTH_BITS)
#define QH_POOL_FLOAT_SHIFT	(31 - QH_POOL_WIDTH_BITS)

static inline uint64
qh_pool_from_tid(const ItemPointerData *tid, double width, uint64 flags)
{
	float		narrow = (float) width;
	uint32		bits = 0;

	if (width > 0)
	{
		memcpy(&bits, &narrow, sizeof(bits));
		bits = (bits >> QH_POOL_FLOAT_SHIFT) + 1;
	}
	return qh_tid_to_queue(tid) << QH_POOL_TID_SHIFT | (uint64) bits << QH_POOL_WIDTH_SHIFT | flags;
}

static inline void
qh_pool_to_tid(uint64 what, ItemPointer tid)
{
	qh_queue_to_tid(what >> QH_POOL_TID_SHIFT, tid);
}

static inline bool
qh_pool_has_width(uint64 what)
{
	return (what >> QH_POOL_WIDTH_SHIFT & ((1 << QH_POOL_WIDTH_BITS) - 1)) != 0;
}

/* The farthest that a row may be. */
static inline double
qh_pool_high(const QhQueued *row)
{
	uint32		bits = (uint32) (row->what >> QH_POOL_WIDTH_SHIFT & ((1 << QH_POOL_WIDTH_BITS) - 1)) << QH_POOL_FLOAT_SHIFT;
	float		width;

	memcpy(&width, &bits, sizeof(width));
	return bits == 0 ? row->dist : row->dist + width;
}

/* ---- distances and the pool ---- */

/* Is a distance nearer than any that the filter lets pass? */
static inline bool
qh_is_before(const QhScan *scan, double dist)
{
	const QhBounds *bounds = &scan->q.bounds;

	return scan->q.bounded && bounds->has_lower &&
		(dist < bounds->lower || (dist == bounds->lower && bounds->lower_open));
}

/* Is it farther than any? */
static inline bool
qh_is_beyond(const QhScan *scan, double dist)
{
	const QhBounds *bounds = &scan->q.bounds;

	return scan->q.bounded && bounds->has_upper &&
		(dist > bounds->upper || (dist == bounds->upper && bounds->upper_open));
}

/*
 * Put a row into the pool, which lies between dist and dist + width.  One beyond the bounds is put
 * there too: it tells how far the scan has come.
 */
static inline void
qh_pool_add(QhScan *scan, const ItemPointerData *tid, double dist, double width, uint64 flags)
{
	qh_queue_add(&scan->q.pool, dist, qh_pool_from_tid(tid, width, flags));
	scan->q.npooled++;
	if (scan->q.bounded && !qh_is_beyond(scan, dist))
		scan->q.npooled_within = scan->q.npooled;
}

/* ---- recompute.c ---- */

/* Where the index has a batch function, fetched rows wait until many values can be computed. */
extern void qh_recompute_begin(QhScan *scan);
extern void qh_recompute_end(QhScan *scan);
/*
 * The row in the slot waits for its value; true if the batch is full.  And then the values of all
 * that wait are computed, those of rows, and forgotten.
 */
extern bool qh_recompute_wait(QhScan *scan, const QhCandidateRow *row);
extern void qh_recompute_values(QhScan *scan);
extern void qh_recompute_clear(QhScan *scan);

/* Rows that wait. */
static inline int
qh_nwaiting(const QhScan *scan)
{
	return scan->q.fetching.batch != NULL ? scan->q.fetching.batch->n : 0;
}

/* So many rows are worth looking at together, as one call computes their values; else 0. */
static inline int
qh_recompute_size(const QhScan *scan)
{
	return scan->q.fetching.batch != NULL ? scan->q.fetching.batch->function.size : 0;
}

/* ---- fetch.c ---- */

/* Are candidates fetched from the table? */
static inline bool
qh_is_fetched(const QhScan *scan)
{
	return scan->q.rescore || scan->q.filter || (scan->q.recheck && scan->plan.scan != NULL);
}

/* Rows that can be fetched together. */
#define QH_FETCH_BATCH	QH_HEAP_PREFETCH_MAX

extern void qh_fetch_begin(QhScan *scan);
extern void qh_fetch_end(QhScan *scan);
/*
 * Fetch these rows, at most QH_FETCH_BATCH, and put those into the pool that may be returned.  Where
 * values are computed together, they may have to wait.
 */
extern void qh_fetch_rows(QhScan *scan, const QhCandidateRow *rows, int nrows);
/* Put those into the pool that wait; false if none do. */
extern bool qh_fetch_waiting(QhScan *scan);
/*
 * Fetch a row of the pool whose distance was remembered.  It goes back there if it may still be
 * returned.
 */
extern void qh_fetch_remembered(QhScan *scan, const QhQueued *row);

/*
 * Read the distance of a row that was fetched before; false if there is no such row under the
 * scan's snapshot.
 */
extern bool qh_fetch_distance(QhScan *scan, const ItemPointerData *tid, double *dist);

/* ---- exact.c ---- */

/* Take the nearest row from a queue, in the order of exact distances; false where there is none. */
extern bool qh_exact_pop(QhScan *scan, QhQueue *queue, QhQueued *row);

/* Read the row, and the last one given out, if it takes that to tell whether the row is late. */
extern void qh_exact_compare(QhScan *scan, QhQueued *row);

/* ---- bounds.c ---- */

/* What is to be done with a candidate's row. */
typedef enum QhSight
{
	QH_SIGHT_FETCH,				/* it is to be fetched */
	QH_SIGHT_KNOWN,				/* its distance was remembered, and it is in the pool */
	QH_SIGHT_OUT,				/* it lies before the bounds, and is left out */
	QH_SIGHT_END				/* it lies beyond the bounds, as do all that are still to come */
} QhSight;

extern QhSight qh_bounds_look(QhScan *scan, const QhCandidateRow *row);

/*
 * The nearest row of the pool lies beyond the upper bound.  May candidates that are still to come
 * lie within it, and is it worth looking at more than nwanted?
 */
extern bool qh_bounds_end_is_doubtful(QhScan *scan, double nwanted);

#endif							/* QH_RESCORE_H */
