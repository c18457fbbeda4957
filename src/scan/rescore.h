/*
 * rescore.h
 *		What the files share that put rows into their exact order: the pool, rows fetched, bounds.
 *
 * recompute.c is the lowest of them, then come fetch.c, bounds.c and rescore.c.
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

static inline void
qh_pool_to_tid(uint64 what, ItemPointer tid)
{
	qh_queue_to_tid(what >> 1, tid);
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
 * Put a row into the pool.  One beyond the bounds is put there too: it tells how far the scan has
 * come.
 */
static inline void
qh_pool_add(QhScan *scan, const ItemPointerData *tid, double dist, uint64 flags)
{
	qh_queue_add(&scan->q.pool, dist, qh_tid_to_queue(tid) << 1 | flags);
	scan->q.npooled++;
	if (scan->q.bounded && !qh_is_beyond(scan, dist))
		scan->q.npooled_within = scan->q.npooled;
}

/* An estimate in the operator's unit. */
static inline double
qh_as_distance(const QhScan *scan, double estimate)
{
	return scan->column->metric == QV_METRIC_L2 ? sqrt(Max(estimate, 0)) : estimate;
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
