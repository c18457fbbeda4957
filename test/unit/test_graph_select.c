/*
 * test_graph_select.c
 *		Neighbour selection against the textbook form of the heuristic; picking and revising lists.
 */
#include "graph/lists.h"
#include "graph/neighbors.h"
#include "graph_memory.h"

static int
compare_candidates(const void *a, const void *b)
{
	const QhCandidate *x = a;
	const QhCandidate *y = b;

	if (x->dist != y->dist)
		return x->dist < y->dist ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

/* HNSW algorithm 4 as it is printed, with candidates that must be kept, and filling. */
static int
textbook_select(const Code *codes, const QhSelectInput *input, int *out)
{
	int			nchosen = 0;
	int			nkept = 0;
	uint8_t		chosen[256] = {0};

	for (int i = 0; i < input->n; i++)
		nkept += input->kept[i];
	for (int i = 0; i < input->n && nchosen < input->max; i++)
	{
		bool		good = true;

		if (!input->kept[i] && nchosen + nkept >= input->max)
			continue;
		for (int j = 0; j < nchosen && !input->kept[i]; j++)
			good = good && code_distance(&codes[input->cands[i].node], &codes[input->cands[out[j]].node]) >= input->cands[i].dist;
		if (!good)
			continue;
		nkept -= input->kept[i];
		chosen[i] = 1;
		out[nchosen++] = i;
	}
	for (int i = 0; i < input->n && nchosen < input->fill_to; i++)
		if (!chosen[i])
			out[nchosen++] = i;
	return nchosen;
}

static void
test_against_textbook(const Code *codes, uint32_t n)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	uint64_t	random = 5;
	Memory		mem;
	QhSelectWork *work;
	int			wrong = 0;
	int			pruned = 0;

	memory_init(&mem, codes, n, 32);
	work = qh_select_work_create(&alloc, 200);
	for (int round = 0; round < 3000; round++)
	{
		QhCandidate cands[200];
		uint8_t		kept[200];
		uint8_t		used[2000] = {0};
		int			expected[200],
					got[200];
		QhSelectInput input = {.cands = cands, .kept = kept};
		QhNode		base = (QhNode) (check_random(&random) % n);
		int			nkept = 0,
					nexpected;

		input.n = (int) (check_random(&random) % 200);
		used[base] = 1;
		for (int i = 0; i < input.n; i++)
		{
			QhNode		node;

			do
				node = (QhNode) (check_random(&random) % n);
			while (used[node]);
			used[node] = 1;
			cands[i] = (QhCandidate) {code_distance(&codes[base], &codes[node]), node};
			kept[i] = check_random(&random) % 16 == 0;
			nkept += kept[i];
		}
		qsort(cands, (size_t) input.n, sizeof(QhCandidate), compare_candidates);
		input.max = nkept + (int) (check_random(&random) % 40);
		input.fill_to = round % 3 == 0 ? 0 : round % 3 == 1 ? input.max : input.max / 2;
		nexpected = textbook_select(codes, &input, expected);
		wrong += qh_select_with(work, &mem.store, &input, got) != nexpected;
		wrong += memcmp(got, expected, (size_t) nexpected * sizeof(int)) != 0;
		pruned += nexpected < input.max && nexpected < input.n;
		if (nkept == 0 && input.fill_to == input.max)
			wrong += qh_select(&alloc, &mem.store, cands, input.n, input.max, got) != nexpected ||
				memcmp(got, expected, (size_t) nexpected * sizeof(int)) != 0;
	}
	ok(wrong == 0, "chooses what the textbook heuristic chooses");
	ok(pruned > 500, "and that is often fewer than allowed (%d times)", pruned);
	qh_select_work_destroy(&alloc, work);
	ok(counted.held == 0, "gives all memory back");
	memory_free(&mem);
}

static void
test_edges(void)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Code		codes[40] = {{{0}}};
	QhCandidate cands[40];
	QhNode		picked[16];
	int			out[40];
	Memory		mem;
	int			n;

	/* all codes equal: nothing stands in front of anything */
	memory_init(&mem, codes, 40, 32);
	for (int i = 0; i < 40; i++)
		cands[i] = (QhCandidate) {0, (QhNode) i};
	ok(qh_select(&alloc, &mem.store, cands, 40, 16, out) == 16, "equal distances give all the links asked for");
	ok(qh_select(&alloc, &mem.store, cands, 0, 16, out) == 0, "no candidates, no links");
	ok(qh_select(&alloc, &mem.store, cands, 1, 16, out) == 1 && out[0] == 0, "one candidate is chosen");

	for (int i = 0; i < 40; i++)
		cands[i].node = (QhNode) i / 8;
	ok(qh_select(&alloc, &mem.store, cands, 40, 16, out) == 5, "a candidate listed twice is chosen once");

	/* three on a line: the middle one stands in front of the far one */
	codes[1].words[0] = 0x1;
	codes[2].words[0] = 0x7;
	codes[3].words[1] = 0xF;
	for (int i = 0; i < 3; i++)
		cands[i] = (QhCandidate) {code_distance(&codes[0], &codes[i + 1]), (QhNode) i + 1};
	n = qh_pick_neighbours(&alloc, &mem.store, cands, 3, 16, picked);
	ok(n == 2 && picked[0] == 1 && picked[1] == 3, "a new node links past nobody");
	n = qh_pick_neighbours(&alloc, &mem.store, (QhCandidate[]) {cands[2], cands[1], cands[0]}, 3, 16, picked);
	ok(n == 2 && picked[0] == 1 && picked[1] == 3, "whatever the order of the candidates");
	cands[0].dist = INFINITY;
	n = qh_pick_neighbours(&alloc, &mem.store, cands, 3, 16, picked);
	ok(n == 2 && picked[0] == 2, "nodes that are gone are not picked");
	ok(qh_pick_neighbours(&alloc, &mem.store, cands, 0, 16, picked) == 0, "nothing found, nothing picked");
	n = qh_select(&alloc, &mem.store, cands + 1, 2, 1, out);
	ok(n == 1 && out[0] == 0, "never more than allowed");
	ok(counted.held == 0, "gives all memory back");
	memory_free(&mem);
}

/* ---- revising ---- */

static void
test_revise(const Code *codes, uint32_t n)
{
	enum
	{
		DEGREE = 8
	};
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	QhLink		links[DEGREE],
				out[DEGREE];
	QhLink		none[DEGREE];
	uint64_t	random = 77;
	int			dropped = 0,
				overfull = 0,
				lost = 0,
				grown = 0,
				refused = 0,
				pruned = 0;

	memory_init(&mem, codes, n, DEGREE);
	memset(none, 0xFF, sizeof(none));
	memcpy(links, none, sizeof(links));
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 2, 0, out) == QH_REVISED && out[0] == 2 && out[1] == QH_INVALID_NODE,
	   "an empty list takes a link");
	links[0] = 2;
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 2, 0, out) == QH_UNCHANGED && out[0] == 2, "a link is not put twice");
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 2, 4, out) == QH_REVISED && out[0] == (2 | QH_TREE_LINK) && out[1] == QH_INVALID_NODE,
	   "an ordinary link becomes the tree link");
	links[0] = 2 | QH_TREE_LINK;
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 2, 4, out) == QH_UNCHANGED, "a tree link is not put twice");
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 2, 0, out) == QH_UNCHANGED && out[0] == (2 | QH_TREE_LINK), "and does not become ordinary");
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 1, 0, out) == QH_UNCHANGED, "no node links to itself");
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 3, 1, out) == QH_NO_ROOM && memcmp(out, links, sizeof(links)) == 0,
	   "the cap on tree links holds");
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 3, 2, out) == QH_REVISED && out[1] == (3 | QH_TREE_LINK), "a higher cap lets it in");

	for (int i = 0; i < DEGREE; i++)
		links[i] = (QhLink) (10 + i) | QH_TREE_LINK;
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 3, DEGREE, out) == QH_NO_ROOM, "tree links never yield to a tree link");
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 3, 0, out) == QH_UNCHANGED && memcmp(out, links, sizeof(links)) == 0,
	   "nor to an ordinary one");

	for (int round = 0; round < 5000; round++)
	{
		QhNode		node = (QhNode) (check_random(&random) % n);
		QhNode		target = (QhNode) ((node + 1 + check_random(&random) % (n - 1)) % n);
		int			cap = (int) (check_random(&random) % (DEGREE + 1));
		int			nlinks = (int) (check_random(&random) % (DEGREE + 1));
		QhRevision	revision;

		memcpy(links, none, sizeof(links));
		for (int i = 0; i < nlinks; i++)
		{
			QhNode		other;

			do
				other = (QhNode) (check_random(&random) % n);
			while (other == node || other == target || qh_list_find(links, DEGREE, other) >= 0);
			links[i] = other | (check_random(&random) % 3 == 0 ? QH_TREE_LINK : 0);
		}
		revision = qh_revise_links(&alloc, &mem.store, node, links, target, cap, out);
		for (int i = 0; i < nlinks; i++)
			if ((links[i] & QH_TREE_LINK) && !qh_list_has_tree(out, DEGREE, qh_link_node(links[i])))
				dropped++;
		for (int i = qh_list_count(out, DEGREE); i < DEGREE; i++)
			overfull += out[i] != QH_INVALID_NODE;
		if (revision == QH_REVISED)
		{
			lost += qh_list_find(out, DEGREE, target) < 0;
			lost += cap > 0 && !qh_list_has_tree(out, DEGREE, target);
			pruned += qh_list_count(out, DEGREE) <= nlinks;
			grown += qh_list_count(out, DEGREE) > nlinks + 1;
		}
		else
		{
			lost += memcmp(out, links, sizeof(links)) != 0;
			/* a tree link is refused for the cap alone */
			if (cap > 0)
				lost += revision != QH_NO_ROOM || qh_list_count_tree(links, DEGREE) < cap;
			refused++;
		}
	}
	ok(dropped == 0, "pruning drops no tree link");
	ok(overfull == 0 && grown == 0, "lists stay within their words and end where they end");
	ok(lost == 0, "a list that changed has the newcomer, and one that did not is the same");
	ok(refused > 200 && pruned > 200, "both happened often (%d refused, %d pruned)", refused, pruned);

	/* links to nodes that are gone are the first to go */
	memcpy(links, none, sizeof(links));
	for (int i = 0; i < DEGREE; i++)
	{
		links[i] = (QhLink) (10 + i);
		mem.gone[10 + i] = i != 3;
	}
	ok(qh_revise_links(&alloc, &mem.store, 1, links, 9, 4, out) == QH_REVISED && qh_list_count(out, DEGREE) <= 2 &&
	   qh_list_has_tree(out, DEGREE, 9), "pruning sweeps out links to nodes that are gone");
	ok(counted.held == 0, "gives all memory back");
	memory_free(&mem);
}

int
main(void)
{
	Code	   *codes = codes_clustered(2000, 3);

	test_against_textbook(codes, 2000);
	test_edges();
	test_revise(codes, 2000);
	free(codes);
	return done_testing();
}
