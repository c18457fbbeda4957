/*
 * source.c
 *		Which source a scan takes its candidates from, and when it goes over to another.
 *
 * Must not know how a source finds candidates.  README.md, section "Sources of candidates".
 */
#include "postgres.h"

#include "scan/source.h"

/*
 * A graph search scores about so many codes for each of ef_search (measured by graph_bench: 8 to
 * 15 at m = 16), at random places.  In an index of no more slots than that, a pass over all codes
 * costs less, and is exact.  doc/decisions/0034.
 */
#define FLAT_CODES_PER_EF	20

/*
 * The same where vacuum has left so few rows in up to so many times as many slots: in order a
 * code costs a tenth of one at a random place.  doc/decisions/0034.
 */
#define FLAT_FREE_SLOTS		8

/*
 * Rows of the table as the planner estimates them: by the density that was counted last.
 * Negative if none ever was.
 */
static double
table_rows(const QhScan *scan)
{
	Form_pg_class stats = scan->q.heap->rd_rel;

	if (stats->reltuples < 0 || stats->relpages == 0)
		return -1;
	return (double) stats->reltuples / stats->relpages * RelationGetNumberOfBlocks(scan->q.heap);
}

/*
 * Does a pass over all codes cost no more than a search?  It passes over slots that vacuum has
 * freed quickly.
 */
static bool
is_small(const QhScan *scan)
{
	uint64		few = (uint64) FLAT_CODES_PER_EF * scan->q.ef;
	uint64		nslots = scan->q.ix->nslots;
	double		nrows;

	if (nslots <= few || nslots > FLAT_FREE_SLOTS * few)
		return nslots <= few;
	nrows = table_rows(scan);
	return nrows >= 0 && nrows <= few;
}

/* Is the pass preferred, whether the index has a graph to search or not? */
static bool
prefers_flat(const QhScan *scan)
{
	return is_small(scan) || qh_budget_prefers_flat(scan, scan->q.stage.rank + scan->q.nknown_before) ||
		scan->q.takes_all || qhnsw_flat || scan->q.ties;
}

static QhCandidateSource *
flat_source(QhScan *scan)
{
	return qh_source_flat(scan, qh_budget_candidates(scan, Max(scan->q.wanted, scan->q.stage.rank)));
}

QhCandidateSource *
qh_source_choose(QhScan *scan)
{
	QhCandidateSource *graph = NULL;

	if (!prefers_flat(scan))
		graph = scan->q.tests_keys ? qh_source_walk(scan) : qh_source_graph(scan);
	return graph ? graph : flat_source(scan);
}

int
qh_source_go_on_flat(QhScan *scan, QhCandidate *out)
{
	scan->q.source->end(scan->q.source);
	scan->q.source = flat_source(scan);
	return scan->q.source->next(scan->q.source, scan, 1, out);
}
