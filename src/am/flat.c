/*
 * flat.c
 *		All codes of an index, best first: the exact scan behind qhnsw.flat, behind small
 *		indexes, and behind long scans that a graph would serve worse.
 *
 * One pass reads the code pages in order and keeps as many of the best as memory allows;
 * when those are used up, another pass looks for what comes behind them.
 */
#include "postgres.h"

#include <math.h>

#include "am/scan.h"
#include "miscadmin.h"
#include "store/sweep.h"

/*
 * The least candidates the first pass keeps, and how that grows from pass to pass up to what memory allows:
 * putting many in order costs more than the scores, and most scans want few.
 */
#define FIRST_PASS	256
#define PASS_GROWTH 8

/* By hand: so many times the rows that the plan wants, for some are deleted; so many times ef, where no plan says. */
#define PER_WANTED	4
#define PER_EF		16
/* Behind a lower bound, of the candidates taken from the graph: those before the bound and those near it. */
#define PER_BOUND	8

static inline bool
before(QhCandidate a, QhCandidate b)
{
	return a.dist < b.dist || (a.dist == b.dist && a.node < b.node);
}

static int
compare(const void *a, const void *b)
{
	QhCandidate x = *(const QhCandidate *) a;
	QhCandidate y = *(const QhCandidate *) b;

	return before(x, y) ? -1 : before(y, x) ? 1 : 0;
}

/* best[] is a max-heap while a pass runs: restore it after best[0] was replaced. */
static void
sift_down(QhCandidate *heap, int n)
{
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;
		QhCandidate moved = heap[i];

		if (child >= n)
			return;
		if (child + 1 < n && before(heap[child], heap[child + 1]))
			child++;
		if (!before(moved, heap[child]))
			return;
		heap[i] = heap[child];
		heap[child] = moved;
		i = child;
	}
}

static void
sift_up(QhCandidate *heap, int i)
{
	while (i > 0)
	{
		int			parent = (i - 1) / 2;
		QhCandidate moved = heap[i];

		if (!before(heap[parent], moved))
			return;
		heap[i] = heap[parent];
		heap[parent] = moved;
		i = parent;
	}
}

static int
compare_nodes(const void *a, const void *b)
{
	QhNode		x = ((const QhCandidate *) a)->node;
	QhNode		y = ((const QhCandidate *) b)->node;

	return (x > y) - (x < y);
}

/* Did the graph give this node before the pass began? */
static bool
was_pulled(const QhScan *scan, QhNode node)
{
	QhCandidate sought = {0, node};

	return scan->npulled > 0 &&
		bsearch(&sought, scan->pulled, scan->npulled, sizeof(QhCandidate), compare_nodes) != NULL;
}

static inline void
offer(QhScan *scan, QhNode node, float dist)
{
	QhFlat	   *flat = &scan->flat;
	QhCandidate cand = {dist, node};

	if (flat->nbest == flat->max && !before(cand, flat->best[0]))
	{
		flat->more = true;
		return;
	}
	if (flat->bounded && !before(flat->bound, cand))
		return;
	if (was_pulled(scan, node))
		return;
	if (flat->nbest < flat->max)
	{
		flat->best[flat->nbest] = cand;
		sift_up(flat->best, flat->nbest++);
	}
	else
	{
		flat->more = true;
		flat->best[0] = cand;
		sift_down(flat->best, flat->nbest);
	}
}

static void
run_pass(QhScan *scan)
{
	QhFlat	   *flat = &scan->flat;
	QhSweep		sweep;
	QhSweepHits hits;
	float		limit = INFINITY;

	flat->nbest = 0;
	flat->next = 0;
	flat->more = false;
	qh_sweep_begin(&sweep, &scan->rs);
	while (qh_sweep_next(&sweep, limit, &hits))
	{
		for (uint32 i = 0; i < hits.nnear; i++)
			offer(scan, hits.first + hits.near[i], hits.dist[i]);
		/* nearly all codes end here */
		if (hits.nnear < (uint32) hits.ncodes)
			flat->more = true;
		/* nodes come in the order of their ids, so one as far as the farthest kept is behind it */
		if (flat->nbest == flat->max)
			limit = flat->best[0].dist;
	}
	qh_sweep_end(&sweep);
	qsort(flat->best, flat->nbest, sizeof(QhCandidate), compare);
	flat->npasses++;
	scan->stats.nflat++;
}

/* Who took many from the graph is likely to take as many again. */
static double
first_pass(const QhScan *scan, double ncandidates)
{
	double		n = ncandidates > 0 ? PER_WANTED * ncandidates : PER_EF * scan->ef;

	if (scan->bounded && scan->bounds.has_lower)
		n = Max(n, PER_BOUND * Max(scan->npulled, FIRST_PASS));

	return Max(Max(n, FIRST_PASS), scan->npulled);
}

void
qh_flat_start(QhScan *scan, double ncandidates)
{
	QhFlat	   *flat = &scan->flat;
	Size		max = qh_scan_memory(QH_SEARCH_MEMORY) / sizeof(QhCandidate);

	qh_index_refresh_size(scan->ix, scan->rs.index);
	max = Max(max, 64);
	max = Min(max, (Size) scan->ix->nslots);
	max = Min(max, (Size) PG_INT32_MAX / 2);
	flat->limit = (int) Max(max, 1);
	flat->max = (int) Min(flat->limit, first_pass(scan, ncandidates));
	flat->best = MemoryContextAllocHuge(scan->query_cxt, sizeof(QhCandidate) * (Size) flat->max);
	flat->bounded = false;

	/* what the graph has returned already must not come twice */
	if (scan->npulled > 0)
		qsort(scan->pulled, scan->npulled, sizeof(QhCandidate), compare_nodes);
	run_pass(scan);
}

bool
qh_flat_next(QhScan *scan, QhCandidate *out)
{
	QhFlat	   *flat = &scan->flat;

	if (flat->next >= flat->nbest)
	{
		if (!flat->more || flat->nbest == 0)
			return false;
		flat->bound = flat->best[flat->nbest - 1];
		flat->bounded = true;
		if (flat->max < flat->limit)
		{
			flat->max = (int) Min((int64) flat->max * PASS_GROWTH, flat->limit);
			pfree(flat->best);
			flat->best = MemoryContextAllocHuge(scan->query_cxt, sizeof(QhCandidate) * (Size) flat->max);
		}
		run_pass(scan);
		if (flat->nbest == 0)
			return false;
	}
	*out = flat->best[flat->next++];
	return true;
}

int
qh_flat_peek(const QhScan *scan, int max, QhNode *out)
{
	const QhFlat *flat = &scan->flat;
	int			n = Min(max, flat->nbest - flat->next);

	for (int i = 0; i < n; i++)
		out[i] = flat->best[flat->next + i].node;
	return n;
}
