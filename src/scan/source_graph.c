/*
 * source_graph.c
 *		Candidates from a graph search.
 *
 * The search goes as far as its budget says before it gives a candidate, and is resumed when more
 * are wanted.  It hands over to a pass over all codes when that costs no more, and when it finds
 * no more nodes.  Must not know what becomes of candidates.  README.md, section "Sources of
 * candidates".
 */
#include "postgres.h"

#include "scan/source.h"

/*
 * Seeds of a search: the nearest entry points.  More of them cost an expansion each and save
 * none.  doc/decisions/0034.
 */
#define MAX_SEEDS		4

/*
 * A search that has scored one code in so many goes on as a pass over all codes: in order they
 * cost a tenth of one at a random place.  doc/decisions/0034.
 */
#define FLAT_FRACTION	16

/*
 * Rescored scans look at so many times the candidates of a stage before they are said to be
 * outgrown: a few in doubt cost less than a pass.  doc/decisions/0130.
 */
#define DOUBTED_SHARE	1.5

typedef struct GraphSource
{
	QhCandidateSource base;		/* must be first */
	QhSearch   *search;
} GraphSource;

/* Has the search given what was wanted of it, and cost as much as a pass over all codes would? */
static bool
is_outgrown(const QhScan *scan, const QhSearch *search)
{
	const QhQueryState *q = &scan->q;

	/*
	 * Refining alone takes more than ef for ten rows, and so do rows in doubt.  Equal distances say
	 * nothing of ef_search: however many there are of the last row's, more of it must not find less.
	 */
	double		enough = q->refine_prepared || q->rescore ? 2 * q->ef : q->rescore_codes ? 0 : q->ef;

	/* the candidates of a stage are found before the first is given */
	enough = Max(enough, Max((q->rescore ? DOUBTED_SHARE : 1) * q->stage.ncandidates, q->stage.max_near));
	return q->from_graph.n > enough &&
		qh_search_stats(search)->nscored > q->ix->nslots / FLAT_FRACTION;
}

/* Did qhnsw.max_scan_tuples end the search? */
static bool
is_limited(const QhSearchStats *stats)
{
	return stats->limited && qhnsw_max_scan_tuples > 0 && stats->nscored >= (uint64) qhnsw_max_scan_tuples;
}

static int
graph_next(QhCandidateSource *source, QhScan *scan, int max, QhCandidate *out)
{
	QhSearch   *search = ((GraphSource *) source)->search;
	bool		goes_on = qhnsw_iterative_scan != QH_ITERATIVE_OFF;
	QhBudget	budget = qh_budget_next(scan, &max);
	const QhSearchStats *stats;
	int			n;

	if (!goes_on && scan->q.from_graph.n >= (uint64) scan->q.ef)
		return 0;
	if (goes_on && (scan->q.leave_graph || is_outgrown(scan, search)))
		return QH_GO_ON_FLAT;
	n = qh_search_next_within(search, &budget, max, out);
	stats = qh_search_stats(search);

	/*
	 * Either no more nodes can be reached from the seeds, or there is no memory for more.  Other
	 * entry points may lead to more.  So look at everything, before a row is returned that one of
	 * those nodes should have come before.
	 */
	if (goes_on && (n == 0 || stats->exhausted || stats->limited))
	{
		scan->q.stats.limited = is_limited(stats);
		if (!scan->q.stats.limited)
			return QH_GO_ON_FLAT;
	}
	qh_note_given(scan, out, n);
	return n;
}

static int
graph_peek(const QhCandidateSource *source, int max, QhNode *out)
{
	return qh_search_peek(((const GraphSource *) source)->search, max, out);
}

static void
graph_end(QhCandidateSource *source)
{
	qh_search_destroy(((GraphSource *) source)->search);
	pfree(source);
}

QhCandidateSource *
qh_source_graph(QhScan *scan)
{
	GraphSource *graph;
	QhSearchLimits limits = {0};
	QhCandidate seeds[MAX_SEEDS];
	int			nseeds = qh_choose_seeds(&scan->rs, MAX_SEEDS, seeds);

	if (nseeds == 0)
		return NULL;
	limits.resumable = qhnsw_iterative_scan != QH_ITERATIVE_OFF;
	limits.max_scored = limits.resumable ? qhnsw_max_scan_tuples : 0;
	limits.max_nbytes = qh_scan_memory(QH_SEARCH_MEMORY);
	limits.hides = scan->q.hides;
	limits.hidden = scan->q.hidden;

	graph = MemoryContextAlloc(scan->query_cxt, sizeof(GraphSource));
	graph->base = (QhCandidateSource)
	{
		.next = graph_next, .peek = graph_peek, .end = graph_end,
			.has_estimates = true, .gives_late = true
	};
	graph->search = qh_search_create(&scan->q.alloc, &scan->rs.store);
	qh_search_start(graph->search, &limits, seeds, nseeds);
	return &graph->base;
}
