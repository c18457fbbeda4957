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

#include "am/scan.h"
#include "utils/memutils.h"

/* Looked at beyond oversample times the rows wanted: more than in rescore.c, for it costs a hundredth.  Measured: README.md, section "Refining". */
#define LOOKAHEAD		20
#define REFINE_BATCH	64
/* So many at once, where it is not known how many will be. */
#define REFINE_FEW		8

static void
push(QhScan *scan, QhRefined cand)
{
	int			i;

	if (scan->nrefined == scan->max_refined)
	{
		int			max = Max(64, 2 * scan->max_refined);
		QhRefined  *grown = MemoryContextAllocHuge(scan->query_cxt, sizeof(QhRefined) * (Size) max);

		if (scan->nrefined > 0)
			memcpy(grown, scan->refined, sizeof(QhRefined) * scan->nrefined);
		if (scan->refined)
			pfree(scan->refined);
		scan->refined = grown;
		scan->max_refined = max;
	}
	for (i = scan->nrefined++; i > 0 && scan->refined[(i - 1) / 2].dist > cand.dist; i = (i - 1) / 2)
		scan->refined[i] = scan->refined[(i - 1) / 2];
	scan->refined[i] = cand;
}

static QhRefined
pop(QhScan *scan)
{
	QhRefined	top = scan->refined[0];
	QhRefined	last = scan->refined[--scan->nrefined];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= scan->nrefined)
			break;
		if (child + 1 < scan->nrefined && scan->refined[child + 1].dist < scan->refined[child].dist)
			child++;
		if (last.dist <= scan->refined[child].dist)
			break;
		scan->refined[i] = scan->refined[child];
		i = child;
	}
	scan->refined[i] = last;
	return top;
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
	if (scan->nrefine_taken < scan->aim.rank && scan->nrefine_taken + ncands >= scan->aim.rank)
		scan->refine_rank = cands[scan->aim.rank - 1 - scan->nrefine_taken].dist;
	qh_score_refine(&scan->rs, nodes, ncands, dist);
	for (int i = 0; i < ncands; i++)
	{
		if (!isinf(dist[i]))
			push(scan, (QhRefined) {dist[i], cands[i].dist, cands[i].node});
	}
	scan->nrefine_taken += ncands;
	if (ncands > 0)
		scan->refine_front = cands[ncands - 1].dist;
}

/* May a candidate that is still to come be nearer than the nearest of those refined? */
static bool
is_doubtful(const QhScan *scan, double caution)
{
	return caution > 0 && scan->refine_front - caution * scan->rows_error < scan->refined[0].dist;
}

/* May the next candidate be one of those that are refined because they are near? */
static bool
is_near(const QhScan *scan)
{
	return scan->nrefine_taken >= scan->aim.rank && scan->nrefine_taken < scan->most_near &&
		scan->refine_front <= scan->aim.reach * scan->refine_rank;
}

double
qh_refine_candidates(const QhScan *scan, double rank)
{
	return scan->oversample * rank + LOOKAHEAD;
}

/* Candidates to be scored before another is handed on: those for the rows wanted, or for more where more were asked for. */
static double
candidates_due(const QhScan *scan)
{
	double		rank = Max(scan->wanted, QH_LEAST_WANTED);
	double		more = scan->nrefine_given + 1 - qh_rescore_candidates(scan, rank);

	return qh_refine_candidates(scan, rank + Max(more, 0));
}

/* Is there memory for another batch?  For one there always is. */
static bool
may_refine_more(const QhScan *scan)
{
	return scan->nrefined == 0 || scan->nrefined + REFINE_BATCH <= scan->max_refined ||
		2 * scan->max_refined * sizeof(QhRefined) <= qh_scan_memory(QH_REFINE_MEMORY);
}

bool
qh_refine_next(QhScan *scan, QhRefined *out)
{
	double		wanted = candidates_due(scan);
	double		caution = qh_scan_caution(scan, scan->stats.nreturned + 1);

	while (!scan->no_candidates && may_refine_more(scan) &&
		   (scan->nrefine_taken < wanted || scan->nrefined == 0 || is_near(scan) || is_doubtful(scan, caution)))
	{
		double		missing = ceil(wanted - scan->nrefine_taken);

		/* no more than those due, of which fewer are expanded, unless they are asked for one by one */
		if (scan->nrefine_given > 0 || missing <= 0)
			missing = Max(missing, REFINE_FEW);
		if (scan->nrefine_taken < scan->most_near)
			missing = Min(missing, scan->most_near - scan->nrefine_taken);
		refine_batch(scan, (int) Min(missing, REFINE_BATCH));
	}
	if (scan->nrefined == 0)
		return false;
	*out = pop(scan);
	scan->nrefine_given++;
	return true;
}
