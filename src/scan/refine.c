/*
 * refine.c
 *		Candidates in the order of their finer codes.
 *
 * The traversal codes choose candidates; oversample times as many as are handed on are scored
 * by the finer code in the index, which costs a hundredth of a row from the heap.  See README.md,
 * section "Refining".
 */
#include "postgres.h"

#include <math.h>

#include "scan/scan.h"

/* Looked at beyond oversample times the rows wanted: more than in rescore.c, for it costs a hundredth.  Measured: README.md, section "Refining". */
#define LOOKAHEAD		20
#define REFINE_BATCH	64
/* So many at once, where it is not known how many will be. */
#define REFINE_FEW		8

/* Node and first estimate of a candidate, as the queue keeps them. */
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

int
qh_refine_peek(const QhScan *scan, int max, QhNode *out)
{
	const QhQueue *queue = &scan->refined;
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

/* Score up to n more candidates by their finer codes. */
static void
refine_batch(QhScan *scan, int n)
{
	QhCandidate cands[REFINE_BATCH];
	QhNode		nodes[REFINE_BATCH] = {0};
	float		dist[REFINE_BATCH];
	int			ncands = 0;

	n = Min(n, REFINE_BATCH);
	while (ncands < n && !scan->no_candidates)
	{
		int			more = qh_scan_next_candidates(scan, n - ncands, cands + ncands);

		scan->no_candidates = more == 0;
		ncands += more;
	}
	for (int i = 0; i < ncands; i++)
		nodes[i] = cands[i].node;
	if (scan->nrefine_taken < scan->budget.rank && scan->nrefine_taken + ncands >= scan->budget.rank)
		scan->refine_rank = cands[scan->budget.rank - 1 - scan->nrefine_taken].dist;
	qh_score_refine(&scan->rs, nodes, ncands, dist);
	for (int i = 0; i < ncands; i++)
	{
		if (!isinf(dist[i]))
			qh_queue_add(&scan->refined, dist[i], pack(cands[i].node, cands[i].dist));
	}
	scan->nrefine_taken += ncands;
	if (ncands > 0)
	{
		scan->refine_front = cands[ncands - 1].dist;
		scan->refine_front_node = cands[ncands - 1].node;
	}
}

/* May a candidate that is still to come be nearer than the nearest of those refined? */
static bool
is_doubtful(QhScan *scan, double margin)
{
	QhQueued	first;

	return margin > 0 && qh_queue_peek(&scan->refined, &first) &&
		scan->refine_front - margin * scan->refine_error < first.dist;
}

/* May the next candidate be one of those that are refined because they are near? */
static bool
is_near(const QhScan *scan)
{
	return scan->nrefine_taken >= scan->budget.rank && scan->nrefine_taken < scan->most_near &&
		scan->refine_front <= scan->budget.reach * (scan->budget.rank_dist > 0 ? scan->budget.rank_dist : scan->refine_rank);
}

double
qh_refine_candidates(const QhScan *scan, double rank)
{
	return scan->oversample * rank + LOOKAHEAD;
}

/* Candidates to be scored before another is handed on: those for the rows of the stage, or for more where more were asked for. */
static double
candidates_due(const QhScan *scan)
{
	double		more = scan->nrefine_given + 1 - qh_rescore_candidates(scan, scan->stage);

	return qh_refine_candidates(scan, scan->stage + Max(more, 0));
}

bool
qh_refine_next(QhScan *scan, QhRefined *out)
{
	double		wanted = candidates_due(scan);
	double		margin = qh_scan_error_margin(scan);
	QhQueued	first;

	while (!scan->no_candidates &&
		   (scan->nrefine_taken < wanted || scan->refined.count == 0 || is_near(scan) || is_doubtful(scan, margin)))
	{
		double		missing = ceil(wanted - scan->nrefine_taken);

		/* no more than those due, of which fewer are expanded, unless they are asked for one by one */
		if (scan->nrefine_given > 0 || missing <= 0)
			missing = Max(missing, REFINE_FEW);
		if (scan->nrefine_taken < scan->most_near)
			missing = Min(missing, scan->most_near - scan->nrefine_taken);
		refine_batch(scan, (int) Min(missing, REFINE_BATCH));
		if (margin > 0)
			scan->refine_error = qh_scan_error(scan, scan->refine_front_node);
	}
	if (!qh_queue_pop(&scan->refined, &first))
		return false;
	*out = unpack(first);
	scan->nrefine_given++;
	return true;
}
