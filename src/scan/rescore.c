/*
 * rescore.c
 *		Rows in their exact order: the codes choose candidates, the column's values decide.
 *
 * Rows are decided in stages.  A stage looks at several times as many candidates as it has rows,
 * which go into the pool, and takes the nearest of the pool.  Rows of all stages that the plan
 * takes wait in the window until the last of these stages is decided.  README.md, sections
 * "Rescoring" and "Stages".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "scan/recent.h"
#include "scan/rescore.h"
#include "scan/source.h"
#include "utils/float.h"

/*
 * Where every row at the distance of the last one is wanted: the error margin, and no number
 * bounds the doubt.
 */
#define TIES_MARGIN		4

/* Of an estimate, which is a sum of a few single precision numbers. */
#define ROUNDING		(4 * FLT_EPSILON)

/*
 * A row that came late shows that too few candidates were looked at, and counts as so many rows
 * wanted.  Chosen by hand; doc/decisions/0031.
 */
#define LATE_WEIGHT		10

/*
 * Behind a filter rows are decided at ranks where distances differ little.  The error margin
 * grows up to this where one row in ten or fewer passes.  doc/decisions/0027.
 */
#define FILTER_MARGIN	1.5

/*
 * The error margin behind a lower bound of the distance, for the same reason.  doc/decisions/0039.
 */
#define LOWER_MARGIN	2

/* Bytes that a hash table takes for a distance that is remembered. */
#define RECENT_NBYTES	64

void
qh_rescore_remember(QhScan *scan)
{
	QhQueryState *q = &scan->q;

	if (!q->rescore)
		return;
	q->recent = qh_recent_begin(scan->rs.index, RelationGetRelid(q->heap), q->value,
								(int) Min(qh_scan_memory(QH_RECENT_MEMORY) / RECENT_NBYTES, PG_INT32_MAX / 2));
	if (q->bounded && q->bounds.has_lower)
		q->nknown_before = qh_recent_count_before(q->recent, q->bounds.lower);
}

void
qh_rescore_begin(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	MemoryContext old = MemoryContextSwitchTo(scan->query_cxt);

	qh_queue_init(&q->pool, scan->query_cxt, qh_scan_memory(QH_POOL_MEMORY));
	qh_queue_init(&q->decided, scan->query_cxt, qh_scan_memory(QH_DECIDED_MEMORY));
	qh_queue_init(&q->window, scan->query_cxt, qh_scan_memory(QH_WINDOW_MEMORY));
	if (qh_is_fetched(scan))
		qh_fetch_begin(scan);
	MemoryContextSwitchTo(old);
}

void
qh_rescore_end(QhScan *scan)
{
	qh_fetch_end(scan);
	qh_queue_end(&scan->q.pool);
	qh_queue_end(&scan->q.decided);
	qh_queue_end(&scan->q.window);
}

/* ---- candidates into the pool ---- */

/* Draw the next candidate's row; false where there is none. */
static bool
draw(QhScan *scan, QhCandidateRow *row)
{
	float		estimate;

	CHECK_FOR_INTERRUPTS();
	if (!qh_next_row(scan, &row->tid, &estimate))
		return false;
	row->code_dist = scan->q.rescore_codes ? scan->q.rows.exact : estimate;
	row->estimate = estimate;
	row->has_interval = scan->q.rows.has_interval;
	row->interval = scan->q.rows.interval;
	return true;
}

/*
 * Draw the next candidate before it is known whether it is to be looked at; false where there is
 * none.  Until it is, the scan stands at its node.
 */
static bool
hold_next(QhScan *scan)
{
	QhQueryState *q = &scan->q;

	if (q->has_held)
		return true;
	q->has_held = draw(scan, &q->held);
	q->source_ended = !q->has_held;
	return q->has_held;
}

/* The next candidate's row, and what is to be done with it. */
static QhSight
next_candidate(QhScan *scan, QhCandidateRow *row)
{
	QhQueryState *q = &scan->q;

	if (q->has_held)
		*row = q->held;
	else if (!draw(scan, row))
		return QH_SIGHT_END;
	q->has_held = false;

	/* without bounds, remembered distances are of use only for rows that OFFSET passes over */
	if (q->source->has_estimates && (q->bounded || (q->recent != 0 && q->offset > 0 && !q->intervals)))
		return qh_bounds_look(scan, row);
	return QH_SIGHT_FETCH;
}

/*
 * May the candidate that the scan stands at be nearer than dist?  Those behind it have estimates
 * no nearer.
 */
static inline bool
may_be_nearer(const QhScan *scan, double dist)
{
	return qh_as_distance(scan, scan->q.rows.dist - scan->q.doubt) < dist;
}

/*
 * Look at n more candidates, or as many as fit a batch; behind the first only at those that may
 * be nearer than nearer.
 */
static void
look_at(QhScan *scan, double n, double nearer)
{
	QhCandidateRow rows[QH_FETCH_BATCH];
	int			max = (int) Max(ceil(Min(n, QH_FETCH_BATCH)), 1);
	int			nrows = 0;

	/*
	 * rows that are known count as if they were fetched, so that every page decides its rows from
	 * the same candidates
	 */
	for (int nknown = 0; nrows + nknown < max;)
	{
		QhSight		sight;

		if (nrows + nknown > 0 && !isinf(nearer) && !(hold_next(scan) && may_be_nearer(scan, nearer)))
			break;
		sight = next_candidate(scan, &rows[nrows]);
		if (sight == QH_SIGHT_END)
		{
			scan->q.source_ended = true;
			break;
		}
		nrows += sight == QH_SIGHT_FETCH;
		nknown += sight == QH_SIGHT_KNOWN;
	}
	if (nrows > 0 && qh_is_fetched(scan))
		qh_fetch_rows(scan, rows, nrows);
	else
	{
		for (int i = 0; i < nrows; i++)
			qh_pool_add(scan, &rows[i].tid, rows[i].code_dist, 0, 0);
	}
}

/* ---- doubt ---- */

/* Standard errors by which estimates are doubted. */
static double
error_margin(const QhScan *scan)
{
	const QhQueryState *q = &scan->q;
	double		margin = q->stage.margin;

	if (q->bounded && q->bounds.has_lower && q->nbefore > 0)
		margin = Max(margin, LOWER_MARGIN);
	else if (q->filter && q->npooled > 0 && q->refine_prepared == NULL)
		margin = Max(margin, FILTER_MARGIN * Min(log10(1 + (double) q->stats.nfiltered / q->npooled), 1));
	return margin;
}

/*
 * Standard error of the estimate that the scan stands at, its rounding included: of a query far
 * from all rows nothing else is left.
 */
static float
estimate_error(QhScan *scan)
{
	return qh_refine_error(scan, scan->q.rows.node) + ROUNDING * fabsf(scan->q.rows.dist);
}

/*
 * May a candidate that is still to come be nearer than dist, that of the last row of the stage,
 * and is it worth looking at more than nwanted?  Candidates to come are no nearer, by their
 * codes, than the last one, whose distance is rows.dist.
 */
static bool
is_doubtful(QhScan *scan, double dist, double nwanted)
{
	QhQueryState *q = &scan->q;

	/* distances that round to the same estimate may differ */
	if (q->rescore_codes)
		return q->rows.dist <= (float) dist;
	if (!q->rescore)
		return q->rows.dist < dist || (q->ties && q->rows.dist == dist);
	if (q->ties)
		return qh_as_distance(scan, q->rows.dist - TIES_MARGIN * estimate_error(scan)) <= dist;
	if (q->npooled >= nwanted + qh_budget_doubted(scan) || !hold_next(scan))
		return false;
	q->error = qh_error_of_recent(q->error, estimate_error(scan));
	q->doubt = error_margin(scan) * q->error;
	return may_be_nearer(scan, dist);
}

/* ---- from the pool to the rows decided ---- */

/*
 * Take the nearest n rows, or all there are within the bounds, from the pool.  Returns the
 * distance of the last, or of one beyond the bounds, which stays.  Where intervals stand for
 * distances, those that begin nearest are taken, and the n-th distance is no larger than returned.
 */
static double
take_from_pool(QhScan *scan, uint64 n)
{
	QhQueryState *q = &scan->q;
	QhQueued	row = {0};
	double		last = 0;

	q->reached_end = false;
	while (q->decided.count < n && qh_queue_peek(&q->pool, &row))
	{
		if (qh_is_beyond(scan, row.dist))
		{
			q->reached_end = true;
			return row.dist;
		}
		(void) qh_queue_pop(&q->pool, &row);
		if (row.what & QH_POOL_REMEMBERED)
			qh_fetch_remembered(scan, &row);
		else
		{
			last = q->decided.count == 0 ? qh_pool_high(&row) : float8_max(last, qh_pool_high(&row));
			qh_queue_add(&q->decided, row.dist, row.what);
		}
	}
	return last;
}

static void
give_back(QhQueryState *q)
{
	QhQueued	row;

	while (qh_queue_pop(&q->decided, &row))
		qh_queue_add(&q->pool, row.dist, row.what);
}

/* Are the rows decided still the n nearest, the farthest of them at a distance of last? */
static bool
is_settled(QhQueryState *q, uint64 n, double last)
{
	QhQueued	first;

	return q->decided.count == n && (!qh_queue_peek(&q->pool, &first) || float8_ge(first.dist, last));
}

/* Make the rows decided the n nearest; last is the distance of the farthest of them. */
static void
settle(QhScan *scan, uint64 n, double *last)
{
	if (is_settled(&scan->q, n, *last))
		return;
	give_back(&scan->q);
	*last = take_from_pool(scan, n);
}

/*
 * Where intervals stand for distances: put the rows decided in their exact order, which may
 * exchange some for others of the pool.  Returns the farthest that the last of them may be.
 */
static double
put_in_order(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	uint64		n = q->decided.count;
	double		last = 0;
	QhQueued	row;

	give_back(q);
	while (q->decided.count < n && qh_queue_peek(&q->pool, &row) && !qh_is_beyond(scan, row.dist) &&
		   qh_exact_pop(scan, &q->pool, &row))
	{
		qh_queue_add(&q->decided, row.dist, row.what);
		last = qh_pool_high(&row);
	}
	return last;
}

/*
 * Of n rows decided, the last no farther than last: may none that is still to come be nearer?
 * Where that depends on intervals, rows are read first.
 */
static bool
is_last_decided(QhScan *scan, double *last, double nwanted)
{
	if (!is_doubtful(scan, *last, nwanted))
		return true;
	if (!scan->q.intervals)
		return false;
	*last = put_in_order(scan);
	return scan->q.ties ? !is_doubtful(scan, *last, nwanted) : !may_be_nearer(scan, *last);
}

/*
 * Is a stage of n rows decided, though there are candidates left?  Enough of them were looked at.
 */
static bool
is_stage_decided(QhScan *scan, uint64 n, double *last, double nwanted)
{
	QhQueryState *q = &scan->q;
	bool		is_last = q->stage.end >= q->wanted;

	settle(scan, n, last);
	if (q->reached_end && (!is_last || !qh_bounds_end_is_doubtful(scan, nwanted)))
	{
		/* the last stage has looked as far as a scan without the bound would */
		q->source_ended = is_last;
		return true;
	}
	return q->decided.count == n && is_last_decided(scan, last, nwanted);
}

/*
 * Decide the rows of a stage: look at enough candidates for them, and at those that may be nearer
 * than the last of them.
 */
static void
decide_stage(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	uint64		n;
	double		nwanted;
	double		last = 0;

	if (q->stage.begun)
		qh_budget_next_stage(scan);
	q->stage.begun = true;
	n = q->stage.end - q->ntaken;
	nwanted = qh_budget_rescored(scan, q->stage.rank + (q->stage.planned ? 0 : LATE_WEIGHT * q->stats.nlate));
	while (!q->source_ended)
	{
		double		missing = nwanted - q->npooled - qh_nwaiting(scan);
		double		nearer = INFINITY;

		if (missing <= 0 && qh_fetch_waiting(scan))
			continue;
		if (q->fetch_all)
			missing = QH_FETCH_BATCH;
		else if (q->pool.count + q->decided.count == 0)
			missing = Max(missing, QH_FETCH_BATCH / 8);
		else if (missing <= 0)
		{
			if (is_stage_decided(scan, n, &last, nwanted))
				return;
			missing = Max(Max(Max(n, QH_FETCH_BATCH), q->npooled) / 8, qh_recompute_size(scan));
			if (q->rescore && !q->ties && q->decided.count == n)
				nearer = last;
		}
		/* as many more as would pass if they were like those looked at so far */
		if (q->npooled > 0)
			missing *= 1 + (double) q->stats.nfiltered / q->npooled;
		look_at(scan, missing, nearer);
	}
	(void) qh_fetch_waiting(scan);
	settle(scan, n, &last);
}

/* ---- rows in their order ---- */

/* The next row in the order of stages. */
static bool
next_decided(QhScan *scan, QhQueued *row)
{
	if (scan->q.decided.count == 0)
	{
		decide_stage(scan);
		if (scan->q.intervals)
			(void) put_in_order(scan);
	}
	if (!qh_queue_pop(&scan->q.decided, row))
		return false;
	scan->q.ntaken++;
	return true;
}

/*
 * The next row of those the plan takes, in their exact order; false where there is none, or all
 * are out.  Rows that OFFSET passes over go out as their stages decide them.  The others wait in
 * the window, but where they are of one stage.
 */
static bool
next_planned(QhScan *scan, QhQueued *row)
{
	QhQueryState *q = &scan->q;

	while (!q->window_closed && q->ntaken < q->wanted)
	{
		if (!next_decided(scan, row))
			break;
		/* rows of one stage come in order */
		if (q->ntaken <= q->offset || (q->stage.end >= q->wanted && q->window.count == 0))
			return true;
		qh_queue_add(&q->window, row->dist, row->what);
	}
	q->window_closed = true;
	return q->intervals ? qh_exact_pop(scan, &q->window, row) : qh_queue_pop(&q->window, row);
}

bool
qh_rescore_next(QhScan *scan, ItemPointer tid)
{
	QhQueryState *q = &scan->q;
	QhQueued	row;

	if (next_planned(scan, &row))
	{
		q->last_dist = row.dist;
		q->last = row;
		q->have_last = q->window_closed || q->ntaken > q->offset;
		qh_pool_to_tid(row.what, tid);
		return true;
	}
	while (next_decided(scan, &row))
	{
		if (q->intervals)
			qh_exact_compare(scan, &row);
		qh_pool_to_tid(row.what, tid);
		if (qh_is_in_order(scan, tid, row.dist))
		{
			q->last = row;
			return true;
		}
	}
	return qh_next_late(scan, tid);
}
