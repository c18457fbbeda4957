/*
 * source_all.c
 *		All nodes of an index in the order of their ids; and the source that has none.
 *
 * For queries whose estimates are of no use, and for plans that read every row: rows are put in
 * order by their values, or not at all.  Reads no code.  README.md, section "Sources of
 * candidates".
 */
#include "postgres.h"

#include "scan/source.h"
#include "store/filter.h"

typedef struct AllSource
{
	QhCandidateSource base;		/* must be first */
	QhNode		next_node;
} AllSource;

static int
all_next(QhCandidateSource *source, QhScan *scan, int max, QhCandidate *out)
{
	AllSource  *all = (AllSource *) source;

	const QhPassing *passing = &scan->q.passing;

	while (passing->bits != NULL && all->next_node < passing->nslots && !qh_bit(passing->bits, all->next_node))
		all->next_node++;
	if (all->next_node >= scan->q.ix->nslots)
		return 0;
	CHECK_FOR_INTERRUPTS();
	out->node = all->next_node++;
	out->dist = 0;
	return 1;
}

static int
none_next(QhCandidateSource *source, QhScan *scan, int max, QhCandidate *out)
{
	return 0;
}

static int
peek_nothing(const QhCandidateSource *source, int max, QhNode *out)
{
	return 0;
}

static void
end_nothing(QhCandidateSource *source)
{
}

QhCandidateSource *
qh_source_all(QhScan *scan)
{
	AllSource  *all = MemoryContextAllocZero(scan->query_cxt, sizeof(AllSource));

	qh_index_refresh_size(scan->q.ix, scan->rs.index);
	if (scan->q.tests_keys)
		qh_passing_count(scan);
	all->base = (QhCandidateSource)
	{
		.next = all_next, .peek = peek_nothing, .end = end_nothing
	};
	return &all->base;
}

QhCandidateSource *
qh_source_none(void)
{
	static QhCandidateSource none = {
		.next = none_next,
		.peek = peek_nothing,
		.end = end_nothing,
		.has_estimates = true
	};

	return &none;
}
