/*
 * source_walk.c
 *		Candidates from a graph search of which only those are taken that may pass the conditions.
 *
 * The search travels through all nodes.  After every few it is asked whether a pass over the
 * nodes that pass would cost less than what the walk still has to do: by counting, of the nodes
 * that it came by, those that passed.  If so, the filter arrays are swept, which says how many
 * pass in all, and the pass takes over or not.  Must not know what becomes of candidates.
 * CONDITIONS.md.
 */
#include "postgres.h"

#include <math.h>

#include "scan/source.h"
#include "store/filter_read.h"

/* Nodes drawn from the search at once: after so many what is left is estimated anew. */
#define WALK_BATCH			32

/*
 * Seeds of the walk, and codes that it scores for each node expanded, before it has counted its
 * own (src/scan/source_graph.c; doc/decisions/0036).
 */
#define MAX_SEEDS			4
#define CODES_PER_NODE		12

/*
 * In units of a code scored at a random place: the key of a filter array tested in order, and
 * the code of a node that passes, most of which share pages with others.  doc/decisions/0240.
 */
#define COST_OF_KEY			(1.0 / 64)
#define COST_OF_PASSING		0.5

typedef struct WalkSource
{
	QhCandidateSource base;		/* must be first */
	QhSearch   *search;
	QhCandidate *found;			/* nodes that may pass, from next on in order */
	int			nfound;
	int			next;
	int			max;
	uint64		ndrawn;			/* nodes that the search gave, */
	uint64		npassed;		/* and those of them that may pass */
	bool		ended;			/* it gives no more */
} WalkSource;

#define ST_SORT			sort_candidates
#define ST_ELEMENT_TYPE QhCandidate
#define ST_COMPARE(a, b)	((a)->dist != (b)->dist ? ((a)->dist > (b)->dist) - ((a)->dist < (b)->dist) : \
							 ((a)->node > (b)->node) - ((a)->node < (b)->node))
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Nodes that may pass to be drawn before the next is given: as many as an unfiltered search expands. */
static uint64
wanted_passing(const QhScan *scan)
{
	int			max = 1;
	QhBudget	budget = qh_budget_next(scan, &max);
	uint64		ef = budget.most_total > 0 ? (budget.ef_total + budget.most_total) / 2 : budget.ef_total;

	return Max(ef, budget.found_total);
}

/* Codes that the walk is likely to score yet. */
static double
cost_of_rest(const WalkSource *walk, uint64 wanted)
{
	const QhSearchStats *stats = qh_search_stats(walk->search);
	double		per_node = stats->nexpanded > 0 ? (double) stats->nscored / (double) stats->nexpanded : CODES_PER_NODE;
	double		rate = (walk->npassed + 0.5) / (walk->ndrawn + 1.0);

	return wanted > walk->npassed ? (double) (wanted - walk->npassed) / rate * per_node : 0;
}

/* Is a pass over the nodes that pass expected to cost less than the rest of the walk? */
static bool
pass_is_cheaper(QhScan *scan, const WalkSource *walk, uint64 wanted)
{
	const QhPassing *passing = &scan->q.passing;
	double		rest = cost_of_rest(walk, wanted);

	if (!passing->counted && rest > COST_OF_KEY * scan->q.ix->nslots)
		qh_passing_count(scan);
	return passing->counted && rest > COST_OF_PASSING * (double) passing->nnodes;
}

static void
add_found(WalkSource *walk, QhScan *scan, QhCandidate cand)
{
	if (walk->nfound == walk->max)
	{
		walk->max *= 2;
		walk->found = qh_alloc_more(scan->query_cxt, walk->found, sizeof(QhCandidate) * (Size) walk->max);
	}
	Assert(walk->nfound < walk->max);
	walk->found[walk->nfound++] = cand;
}

/* Draw more nodes of the search, and keep those that may pass. */
static void
draw(WalkSource *walk, QhScan *scan)
{
	QhBudget	budget = {.ef_total = walk->ndrawn + WALK_BATCH, .found_total = walk->ndrawn + WALK_BATCH};
	QhCandidate cands[WALK_BATCH];
	QhNode		nodes[WALK_BATCH];
	const QhSearchStats *stats;
	int			n = qh_search_next_within(walk->search, &budget, WALK_BATCH, cands);
	int			nkept = walk->nfound;

	for (int i = 0; i < n; i++)
		nodes[i] = cands[i].node;
	if (scan->q.passing.bits == NULL)
		qh_prefetch_filters(&scan->rs, nodes, n);
	for (int i = 0; i < n; i++)
	{
		if (qh_node_may_pass(scan, cands[i].node))
			add_found(walk, scan, cands[i]);
	}
	walk->ndrawn += (uint64) n;
	walk->npassed += (uint64) (walk->nfound - nkept);
	sort_candidates(walk->found + walk->next, (Size) (walk->nfound - walk->next));
	stats = qh_search_stats(walk->search);
	walk->ended = n == 0 || stats->exhausted || stats->limited;
}

/* Did qhnsw.max_scan_tuples end the search? */
static bool
is_limited(const WalkSource *walk)
{
	const QhSearchStats *stats = qh_search_stats(walk->search);

	return stats->limited && qhnsw_max_scan_tuples > 0 && stats->nscored >= (uint64) qhnsw_max_scan_tuples;
}

static int
walk_next(QhCandidateSource *source, QhScan *scan, int max, QhCandidate *out)
{
	WalkSource *walk = (WalkSource *) source;
	uint64		wanted = wanted_passing(scan);

	if (scan->q.leave_graph)
		return QH_GO_ON_FLAT;
	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF && scan->q.from_graph.n >= (uint64) scan->q.ef)
		return 0;
	while (walk->npassed < wanted || walk->next == walk->nfound)
	{
		if (walk->ended && is_limited(walk))
		{
			scan->q.stats.limited = true;
			break;
		}
		if (walk->ended || (walk->ndrawn > 0 && pass_is_cheaper(scan, walk, Max(wanted, walk->npassed + 1))))
			return QH_GO_ON_FLAT;
		draw(walk, scan);
	}
	if (walk->next == walk->nfound)
		return 0;
	*out = walk->found[walk->next++];
	qh_note_given(scan, out, 1);
	return 1;
}

static int
walk_peek(const QhCandidateSource *source, int max, QhNode *out)
{
	const WalkSource *walk = (const WalkSource *) source;
	int			n = Min(max, walk->nfound - walk->next);

	for (int i = 0; i < n; i++)
		out[i] = walk->found[walk->next + i].node;
	return n;
}

static void
walk_end(QhCandidateSource *source)
{
	WalkSource *walk = (WalkSource *) source;

	qh_search_destroy(walk->search);
	pfree(walk->found);
	pfree(walk);
}

QhCandidateSource *
qh_source_walk(QhScan *scan)
{
	WalkSource *walk;
	QhSearchLimits limits = {0};
	QhCandidate seeds[MAX_SEEDS];
	int			nseeds = qh_choose_seeds(&scan->rs, MAX_SEEDS, seeds);

	if (nseeds == 0)
		return NULL;
	limits.resumable = true;
	limits.max_scored = qhnsw_max_scan_tuples;
	limits.max_nbytes = qh_scan_memory(QH_SEARCH_MEMORY);
	limits.hides = scan->q.hides;
	limits.hidden = scan->q.hidden;

	walk = MemoryContextAllocZero(scan->query_cxt, sizeof(WalkSource));
	walk->base = (QhCandidateSource)
	{
		.next = walk_next, .peek = walk_peek, .end = walk_end, .has_estimates = true, .gives_late = true
	};
	walk->max = 2 * WALK_BATCH;
	walk->found = MemoryContextAlloc(scan->query_cxt, sizeof(QhCandidate) * (Size) walk->max);
	walk->search = qh_search_create(&scan->q.alloc, &scan->rs.store);
	qh_search_start(walk->search, &limits, seeds, nseeds);
	return &walk->base;
}
