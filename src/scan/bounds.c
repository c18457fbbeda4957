/*
 * bounds.c
 *		What a scan need not fetch: rows outside of the bounds, and rows whose distances are known.
 *
 * Bounds come from the query's filter (planner/plan_bounds.c), known distances from the scan
 * before (recent.c).  Must not know how many rows are wanted.  README.md, section "Bounds of the
 * distance".
 */
#include "postgres.h"

#include <math.h>

#include "scan/recent.h"
#include "scan/rescore.h"

/*
 * Without intervals: a candidate whose estimate is nearer than the lower bound by so many standard
 * errors is not fetched.  doc/decisions/0039.
 */
#define BOUND_MARGIN	4

/*
 * Where fewer rows than wanted are found within an upper bound, rows that their estimates may
 * have put beyond it are looked for, up to END_MARGIN standard errors.  Once rows are found, the
 * scan looks at no more than END_FACTOR times the candidates of the rows wanted, or of those up
 * to the last row within.  doc/decisions/0039.
 */
#define END_MARGIN		2.5
#define END_FACTOR		2.5

/* Of so many estimates one is asked for its error, which reads its code.  doc/decisions/0039. */
#define ERROR_SAMPLING	16

/*
 * The standard error of recent estimates.  Candidates come in the order of their estimates, and
 * rows of like distance have like errors.
 */
static double
typical_error(QhScan *scan)
{
	if (scan->q.nestimates++ % ERROR_SAMPLING == 0)
		scan->q.typical_error = qh_error_of_recent(scan->q.typical_error, qh_refine_error(scan, scan->q.rows.node));
	return scan->q.typical_error;
}

/* By a distance that is known. */
static QhSight
look_at_known(QhScan *scan, const QhCandidateRow *row, double dist)
{
	if (qh_is_before(scan, dist))
	{
		scan->q.nbefore++;
		return QH_SIGHT_OUT;
	}
	qh_pool_add(scan, &row->tid, dist, 0, QH_POOL_REMEMBERED);
	return QH_SIGHT_KNOWN;
}

/* By a code that is exact. */
static QhSight
look_at_exact(QhScan *scan, const QhCandidateRow *row)
{
	if (qh_is_before(scan, row->code_dist))
	{
		scan->q.nbefore++;
		return QH_SIGHT_OUT;
	}
	if (!qh_is_beyond(scan, row->code_dist))
		return QH_SIGHT_FETCH;
	/* candidates come in the order of estimates, and several distances may round to one */
	return row->estimate > (float) scan->q.bounds.upper ? QH_SIGHT_END : QH_SIGHT_OUT;
}

/*
 * Does a candidate lie before the lower bound, as far as its code tells?  The error of codes that
 * are floats is 0, and their estimates are rounded all the same: a row at the bound may be
 * estimated before it.  So where there are intervals, they decide.
 */
static bool
is_surely_before(QhScan *scan, const QhCandidateRow *row)
{
	double		estimate = row->code_dist;

	/* under the inner product the code's error says nothing of a short query's */
	if (scan->column->metric == QV_METRIC_IP || !qh_is_before(scan, qh_as_distance(scan, estimate)))
		return false;
	if (scan->q.intervals)
		return row->has_interval && qh_is_before(scan, row->interval.high);
	return qh_is_before(scan, qh_as_distance(scan, estimate + BOUND_MARGIN * typical_error(scan)));
}

QhSight
qh_bounds_look(QhScan *scan, const QhCandidateRow *row)
{
	double		dist;

	if (scan->q.rescore && !scan->q.intervals && qh_recent_get(scan->q.recent, &row->tid, row->estimate, &dist))
		return look_at_known(scan, row, dist);
	if (!scan->q.bounded)
		return QH_SIGHT_FETCH;
	if (!scan->q.rescore)
		return look_at_exact(scan, row);

	if (is_surely_before(scan, row))
	{
		scan->q.nbefore++;
		return QH_SIGHT_OUT;
	}
	return QH_SIGHT_FETCH;
}

bool
qh_bounds_end_is_doubtful(QhScan *scan, double nwanted)
{
	const QhQueryState *q = &scan->q;
	double		error;

	if (!q->rescore)
		return false;			/* candidates come in the order of their distances */
	if (q->npooled_within > 0 && q->npooled >= END_FACTOR * Max(nwanted, q->npooled_within))
		return false;
	/* under the inner product the code's error says nothing of a short query's */
	if (scan->column->metric == QV_METRIC_IP)
		return true;
	error = qh_refine_error(scan, q->rows.node);
	return qh_as_distance(scan, q->rows.dist - END_MARGIN * error) < q->bounds.upper;
}
