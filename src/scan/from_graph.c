/*
 * from_graph.c
 *		Candidates that a search of the graph gave: a pass over all codes leaves them out.
 *
 * README.md, section "Sources of candidates", and CONDITIONS.md.
 */
#include "postgres.h"

#include "scan/scan_state.h"

void
qh_note_given(QhScan *scan, const QhCandidate *cands, int n)
{
	QhCandidateList *list = &scan->q.from_graph;

	if (list->n + n > list->max)
	{
		uint64		max = Max(64, 2 * (list->n + n));

		list->cands = qh_alloc_more(scan->query_cxt, list->cands, sizeof(QhCandidate) * max);
		list->max = max;
	}
	Assert(list->n + n <= list->max);
	memcpy(list->cands + list->n, cands, sizeof(QhCandidate) * n);
	list->n += n;
}

static int
compare_nodes(const void *a, const void *b)
{
	QhNode		x = ((const QhCandidate *) a)->node;
	QhNode		y = ((const QhCandidate *) b)->node;

	return (x > y) - (x < y);
}

void
qh_sort_given(QhScan *scan)
{
	QhCandidateList *list = &scan->q.from_graph;

	if (list->n == 0)
		return;
	qsort(list->cands, list->n, sizeof(QhCandidate), compare_nodes);
	list->by_node = true;
}

bool
qh_was_given(const QhScan *scan, QhNode node)
{
	const QhCandidateList *list = &scan->q.from_graph;
	QhCandidate sought = {0, node};

	return list->n > 0 &&
		bsearch(&sought, list->cands, list->n, sizeof(QhCandidate), compare_nodes) != NULL;
}
