/*
 * refine.c
 *		Candidates in the order of their finer codes.
 *
 * The source chooses candidates by the code that the graph is searched by.  Several times as many
 * as are handed on are scored by the finer code in the index, which costs a hundredth of a row of
 * the table, and the nearest is handed on.  Must not know rows.  README.md, section "Refining".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "scan/source.h"

/* Candidates refined at once: at most, and at least where it is not known how many will be. */
#define REFINE_BATCH	64
#define REFINE_FEW		8

/* Node and estimate of a candidate as the queue keeps them. */
static inline uint64
pack(QhNode node, float coarse)
{
	uint32		bits;

	memcpy(&bits, &coarse, sizeof(bits));
	return (uint64) node << 32 | bits;
}

static inline QhRefined
unpack(QhQueued row)
{
	QhRefined	cand = {.dist = (float) row.dist, .node = (QhNode) (row.what >> 32)};
	uint32		bits = (uint32) row.what;

	memcpy(&cand.coarse, &bits, sizeof(bits));
	return cand;
}

/* The nearest max of a heap, by insertion: max is small. */
int
qh_refine_peek(const QhScan *scan, int max, QhNode *out)
{
	const QhQueue *queue = &scan->q.refining.queue;
	uint64		keys[QH_ROWS_AHEAD];
	int			n = 0;

	Assert(max <= QH_ROWS_AHEAD);
	for (int i = 0; i < queue->nheap && max > 0; i++)
	{
		QhQueueEntry row = queue->heap[i];
		int			at;

		if (n == max && row.key >= keys[n - 1])
			continue;
		at = n < max ? n++ : n - 1;
		for (; at > 0 && keys[at - 1] > row.key; at--)
		{
			keys[at] = keys[at - 1];
			out[at] = out[at - 1];
		}
		keys[at] = row.key;
		out[at] = (QhNode) (row.what >> 32);
	}
	return n;
}

/* ---- errors ---- */

/* Standard error of the code that a node was found by; 0 for bits, and where it is gone. */
static float
coarse_error(QhScan *scan, QhNode node)
{
	uint8		code[QH_PAGE_NBYTES];

	if (scan->column->kind == QV_CODE_BITS || !scan->q.source->has_estimates ||
		!qh_read_code(&scan->rs, node, code))
		return 0;
	return qv_query_error(scan->q.prepared, code);
}

float
qh_refine_error(QhScan *scan, QhNode node)
{
	uint8		code[QH_PAGE_NBYTES];

	if (scan->q.refine_prepared == NULL)
		return coarse_error(scan, node);
	if (!qh_read_refine(&scan->rs, node, code))
		return 0;
	return qv_query_error(scan->q.refine_prepared, code);
}

/* Read the finest code of a node, if it still scores as much; returns the query that scored it, or NULL. */
static const QvQuery *
read_finest(QhScan *scan, QhNode node, float dist, uint8 *code)
{
	const QvQuery *query = scan->q.refine_prepared;
	float		now;

	if (query == NULL)
		query = scan->q.prepared;
	if (query == scan->q.prepared ? !qh_read_code(&scan->rs, node, code) : !qh_read_refine(&scan->rs, node, code))
		return NULL;
	qv_query_score(query, (const uint8 *const *) &code, 1, &now);
	return now == dist ? query : NULL;
}

bool
qh_refine_interval(QhScan *scan, QhNode node, float dist, QvInterval *interval)
{
	uint8		code[QH_PAGE_NBYTES];
	const QvQuery *query = read_finest(scan, node, dist, code);
	double		lost = 0;

	if (query == NULL || !qv_query_interval(query, code, dist, &scan->q.rounding, interval))
		return false;
	/* squares and products below the range of floats */
	if (scan->column->sums_floats)
		lost = 2.0 * scan->q.ix->meta.ndims * FLT_MIN;
	interval->low = qh_as_distance(scan, interval->low - lost);
	interval->high = qh_as_distance(scan, interval->high + lost);
	return true;
}

/* ---- refining ---- */

/* Take up to n candidates from the source; returns how many. */
static int
take_candidates(QhScan *scan, int n, QhCandidate *cands)
{
	int			ncands = 0;

	while (ncands < n && !scan->q.refining.source_ended)
	{
		int			more = qh_source_next(scan, n - ncands, cands + ncands);

		scan->q.refining.source_ended = more == 0;
		ncands += more;
	}
	return ncands;
}

/* Score up to n more candidates by their finer codes. */
static void
refine_batch(QhScan *scan, int n)
{
	QhRefining *refining = &scan->q.refining;
	uint64		rank = scan->q.stage.budget.rank;
	QhCandidate cands[REFINE_BATCH];
	QhNode		nodes[REFINE_BATCH] = {0};
	float		dist[REFINE_BATCH];
	int			ncands = take_candidates(scan, Min(n, REFINE_BATCH), cands);

	for (int i = 0; i < ncands; i++)
		nodes[i] = cands[i].node;
	if (refining->ntaken < rank && refining->ntaken + ncands >= rank)
		refining->rank_dist = cands[rank - 1 - refining->ntaken].dist;
	qh_score_refine(&scan->rs, nodes, ncands, dist);
	for (int i = 0; i < ncands; i++)
	{
		if (!isinf(dist[i]))
			qh_queue_add(&refining->queue, dist[i], pack(cands[i].node, cands[i].dist));
	}
	refining->ntaken += ncands;
	if (ncands > 0)
	{
		refining->last_dist = cands[ncands - 1].dist;
		refining->last_node = cands[ncands - 1].node;
	}
}

/*
 * May a candidate that is still to come be nearer than the nearest of those refined, and is it
 * worth refining more than are due?
 */
static bool
is_doubtful(QhScan *scan, double due)
{
	QhRefining *refining = &scan->q.refining;
	QhQueued	first;

	return refining->ntaken < due + qh_budget_doubted(scan) && qh_queue_peek(&refining->queue, &first) &&
		refining->last_dist - scan->q.stage.margin * refining->last_error < first.dist;
}

/* May the next candidate be one of those that are refined because they are near? */
static bool
is_near(const QhScan *scan)
{
	const QhRefining *refining = &scan->q.refining;
	const QhBudget *budget = &scan->q.stage.budget;

	float		rank_dist = budget->rank_dist > 0 ? budget->rank_dist : refining->rank_dist;

	return refining->ntaken >= budget->rank && refining->ntaken < scan->q.stage.max_near &&
		refining->last_dist <= budget->reach * rank_dist;
}

/*
 * Candidates to be refined before another is handed on: those for the rows of the stage, or for
 * more where more were asked for.
 */
static double
candidates_due(const QhScan *scan)
{
	double		more = scan->q.refining.ngiven + 1 - qh_budget_expected(scan, scan->q.stage.rank);

	return qh_budget_refined(scan, scan->q.stage.rank + Max(more, 0));
}

/* How many to refine next, of which due are due in all. */
static int
next_batch(const QhScan *scan, double due)
{
	const QhRefining *refining = &scan->q.refining;
	uint64		max_near = scan->q.stage.max_near;
	double		missing = ceil(due - refining->ntaken);

	/* no more than those due, of which fewer are expanded, unless they are asked for one by one */
	if (refining->ngiven > 0 || missing <= 0)
		missing = Max(missing, REFINE_FEW);
	if (refining->ntaken < max_near)
		missing = Min(missing, max_near - refining->ntaken);
	return (int) Min(missing, REFINE_BATCH);
}

bool
qh_refine_next(QhScan *scan, QhRefined *out)
{
	QhRefining *refining = &scan->q.refining;
	double		due = candidates_due(scan);
	QhQueued	first;

	while (!refining->source_ended &&
		   (refining->ntaken < due || refining->queue.count == 0 ||
			is_near(scan) || is_doubtful(scan, due)))
	{
		refine_batch(scan, next_batch(scan, due));
		/* nodes of like distance have like errors, but not all: see qh_error_of_recent() */
		refining->last_error = qh_error_of_recent(refining->last_error, coarse_error(scan, refining->last_node));
	}
	if (!qh_queue_pop(&refining->queue, &first))
		return false;
	*out = unpack(first);
	refining->ngiven++;
	return true;
}
