/*
 * test_graph_search.c
 *		Best-first search against a naive one, its limits, resuming and memory; and key order.
 */
#include "graph/order.h"
#include "graph_naive.h"

/* ---- keys ---- */

static void
test_keys(void)
{
	static const float dists[] = {-INFINITY, -3.5f, -1e-30f, 0.0f, 1e-30f, 1.0f, 768.0f, INFINITY};
	uint64_t	random = 1;
	int			wrong = 0;

	for (int i = 0; i < 8; i++)
	{
		wrong += qh_order_to_float(qh_float_to_order(dists[i])) != dists[i];
		wrong += i > 0 && qh_float_to_order(dists[i - 1]) >= qh_float_to_order(dists[i]);
	}
	ok(wrong == 0, "floats of either sign keep their order as integers");

	wrong = 0;
	for (int i = 0; i < 100000; i++)
	{
		QhNode		node = (QhNode) check_random(&random);
		uint32_t	salt = (uint32_t) check_random(&random);

		wrong += qh_key_node(qh_key(3.0f, node, salt), salt) != node;
		wrong += qh_key_dist(qh_key(-3.0f, node, salt)) != -3.0f;
	}
	ok(wrong == 0, "a key gives back its distance and node");

	wrong = 0;
	for (int round = 0; round < 2000; round++)
	{
		uint64_t	keys[300],
					sorted[300],
					cut[300];
		uint32_t	n = (uint32_t) (check_random(&random) % 300);
		uint32_t	k = (uint32_t) (check_random(&random) % (n + 1));
		uint64_t	range = round % 3 == 0 ? 4 : UINT64_MAX;	/* many equal keys, too */

		for (uint32_t i = 0; i < n; i++)
			keys[i] = sorted[i] = cut[i] = round % 5 == 0 ? i : check_random(&random) % range;
		qsort(sorted, n, sizeof(uint64_t), compare_u64);
		qh_keys_sort(keys, n);
		qh_keys_partition(cut, n, k);
		wrong += memcmp(keys, sorted, n * sizeof(uint64_t)) != 0;
		qsort(cut, k, sizeof(uint64_t), compare_u64);
		wrong += memcmp(cut, sorted, k * sizeof(uint64_t)) != 0;
	}
	ok(wrong == 0, "keys are sorted and cut as by the library's sort");
}

static void
test_against_naive(void)
{
	enum
	{
		N = CODE_NBYTES * 8
	};

	/* nodes that the store says it has: none told, as many as there are, fewer, more than have a bit each */
	static const QhNode known[] = {0, N, 64, 1000000};
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	int			wrong = 0;
	int			nreturned = 0;

	for (uint64_t round = 0; round < 240; round++)
	{
		Code	   *codes = codes_without_ties(N, round);
		Memory		mem;
		QhSearch   *search;
		QhSearchLimits limits = {.resumable = true};
		Naive		naive = {.nearest = INFINITY, .found = calloc(N, sizeof(QhCandidate)), .expanded = calloc(N, 1), .returned = calloc(N, sizeof(uint32_t)), .visited = calloc(N, 1)};
		QhBudget		budget = {.ef_total = 1 + round % 40, .found_total = round % 3 * 20};
		QhCandidate b;

		make_random_graph(&mem, codes, N, 4, round + 1000);
		mem.store.nnodes = known[round % 4];
		if (round % 4 > 0)
		{
			budget.rank = 1 + round % 20;
			budget.reach = 1 + 0.1F * (float) (round % 6);
			budget.most_total = budget.ef_total + round % 9 * 8;
		}
		mem.store.at_once = round % 7 >= 5;
		for (QhNode node = 0; node < N; node++)
			naive.owner[node] = QH_INVALID_NODE;
		if (round % 7 >= 4)
		{
			mem.store.place = place_of_eight;
			budget.whole_total = round % 11;
		}
		if (round % 5 > 1)
		{
			mem.store.fetch = memory_store_fetch;
			mem.store.score_fetched = memory_store_score_fetched;
		}
		for (QhNode node = 1; node < N; node += 17)
			mem.gone[node] = round % 3 == 0;
		search = qh_search_create(&alloc, &mem.store);
		memory_start(&mem, search, &(Code) {{0}}, &limits);
		naive_begin(&naive, &mem, 0);
		for (uint64_t returned = 0; wrong == 0;)
		{
			QhCandidate few[4];
			int			n = qh_search_next_within(search, &budget, 1 + (int) (returned + round) % 4, few);

			for (int i = 0; i < n; i++)
				wrong += !naive_next(&naive, &mem, &budget, &b) || few[i].node != b.node || few[i].dist != b.dist;
			if (n == 0)
			{
				wrong += naive_next(&naive, &mem, &budget, &b);
				break;
			}
			nreturned += n;
			for (uint64_t end = returned + (uint64_t) n; returned < end; returned++)
			{
				/* the caller asks for more every third time, and sometimes for less, which must do nothing */
				if (returned % 3 == 2)
					budget.ef_total += round % 7;
				/* every other round they go on being returned before they are expanded */
				if (budget.found_total > 0 && round % 2 == 0)
					budget.found_total += returned % 11 == 10 ? 20 : 1;
				/* until the rank-th and many more were returned */
				if (returned == 60 + round)
					budget.rank = 0;
				/* no more deferred from here on */
				if (returned == 30 + round)
					budget.whole_total = 0;
				if (returned % 5 == 4)
					wrong += qh_search_stats(search)->limited;
			}
		}
		qh_search_destroy(search);
		memory_free(&mem);
		naive_free(&naive);
		free(codes);
	}
	ok(wrong == 0 && nreturned > 5000, "returns what a naive search returns (%d nodes compared)", nreturned);
	ok(counted.held == 0, "gives all memory back");
}

static void
test_exhaustive(const Code *codes, uint32_t n, QhNode nnodes, uint64_t ef, uint64_t step)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	QhSearch   *search;
	QhSearchLimits limits = {.resumable = true};
	uint8_t    *seen = calloc(n, 1);
	uint32_t	nreturned = 0,
				twice = 0,
				falls = 0;
	QhCandidate found;
	float		last = -1;

	make_random_graph(&mem, codes, n, 8, 7);
	mem.store.nnodes = nnodes;
	search = qh_search_create(&alloc, &mem.store);
	memory_start(&mem, search, &codes[n / 2], &limits);
	while (qh_search_next(search, ef, &found))
	{
		twice += seen[found.node];
		seen[found.node] = 1;
		falls += found.dist < last;
		last = found.dist;
		nreturned++;
		ef += step;
	}
	ok(nreturned == n && twice == 0, "ef %llu growing by %llu: each of %u nodes, %u of them known, is returned once",
	   (unsigned long long) ef, (unsigned long long) step, n, nnodes);
	if (ef >= n && step == 0)
		ok(falls == 0, "a window larger than the graph sorts it");
	/* a window of one node has no next one */
	if (ef > n + 1)
		ok(mem.nprefetches > 0, "the store is told what comes next");
	ok(qh_search_stats(search)->nexpanded == n && qh_search_stats(search)->nscored == n - 1 && !qh_search_stats(search)->limited,
	   "the statistics count each node once");
	qh_search_destroy(search);
	memory_free(&mem);
	free(seen);
}

static void
test_not_resumable(const Code *codes, uint32_t n)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	QhSearch   *search;
	QhSearchLimits limits = {.resumable = false};
	QhCandidate found,
				first[40];
	int			nreturned = 0,
				differ = 0;

	make_random_graph(&mem, codes, n, 8, 8);
	search = qh_search_create(&alloc, &mem.store);
	memory_start(&mem, search, &codes[5], &limits);
	while (nreturned < 40 && qh_search_next(search, 40, &found))
		first[nreturned++] = found;
	ok(nreturned == 40, "a search that cannot go on returns ef nodes");
	ok(!qh_search_next(search, 40, &found), "and then no more");
	ok(!qh_search_next(search, 80, &found), "not even when more is asked for");
	for (int i = 1; i < 40; i++)
		differ += first[i].dist < first[i - 1].dist;
	ok(differ == 0, "nearest first");
	limits.resumable = true;
	memory_start(&mem, search, &codes[5], &limits);
	for (int i = 0; i < 40; i++)
		differ += !qh_search_next(search, 40, &found) || found.dist != first[i].dist;
	ok(differ == 0, "the first ef are those a resumable search finds");
	qh_search_destroy(search);
	memory_free(&mem);
}

static void
test_limits(const Code *codes, uint32_t n, QhNode nnodes)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	QhSearch   *search;
	QhSearchLimits limits = {.resumable = true, .max_scored = 500};
	QhCandidate found;
	const QhSearchStats *stats;
	uint64_t	nreturned = 0;
	float		last = -1;
	int			falls = 0;

	make_random_graph(&mem, codes, n, 8, 9);
	mem.store.nnodes = nnodes;
	search = qh_search_create(&alloc, &mem.store);
	stats = qh_search_stats(search);
	memory_start(&mem, search, &codes[77], &limits);
	while (qh_search_next(search, 5000, &found))
	{
		falls += found.dist < last;
		last = found.dist;
		nreturned++;
	}
	ok(stats->limited && stats->nscored >= 500 && stats->nscored < 500 + 8, "a limit on nodes scored ends expansion (%llu)",
	   (unsigned long long) stats->nscored);
	ok(nreturned == stats->nscored + 1 && falls == 0, "what had been found comes out in order");

	limits = (QhSearchLimits) {.resumable = true, .max_scored = 500};
	memory_start(&mem, search, &codes[77], &limits);
	nreturned = 0;
	falls = 0;
	while (qh_search_next(search, 40 + nreturned, &found))
		nreturned++;
	ok(stats->limited && nreturned == stats->nscored + 1, "the overflow too is returned after the limit");

	limits = (QhSearchLimits) {.resumable = true, .max_nbytes = 200000};
	counted.peak = counted.held;
	memory_start(&mem, search, &codes[77], &limits);
	nreturned = 0;
	while (qh_search_next(search, 40 + nreturned, &found))
		nreturned++;
	ok(stats->limited && stats->nbytes <= 200000 && counted.peak <= 200000 && nreturned > 1000,
	   "a limit on memory holds (%zu bytes at the peak, %llu returned)", counted.peak, (unsigned long long) nreturned);

	/* a deep search leaves memory behind that a later limit must not count */
	limits = (QhSearchLimits) {.resumable = true};
	memory_start(&mem, search, &codes[77], &limits);
	while (qh_search_next(search, n, &found))
		;
	limits.max_nbytes = 200000;
	memory_start(&mem, search, &codes[77], &limits);
	nreturned = 0;
	while (nreturned < 100 && qh_search_next(search, 100, &found))
		nreturned++;
	ok(nreturned == 100 && stats->nexpanded > 100 && stats->nbytes <= 200000,
	   "a search after a deep one starts small (%llu scored in %zu bytes)", (unsigned long long) stats->nscored, stats->nbytes);
	qh_search_destroy(search);
	memory_free(&mem);
}

static void
test_seeds(const Code *codes, uint32_t n, QhNode nnodes)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	QhSearch   *search;
	QhSearchLimits limits = {.resumable = false};
	QhCandidate seeds[3000];
	QhCandidate found;
	uint64_t	before;
	int			nreturned = 0;

	make_random_graph(&mem, codes, n, 8, 10);
	mem.store.nnodes = nnodes;
	search = qh_search_create(&alloc, &mem.store);
	mem.query = codes[3];
	qh_search_start(search, &limits, NULL, 0);
	ok(!qh_search_next(search, 10, &found), "without seeds there is nothing to find");

	for (int i = 0; i < 3000; i++)
		seeds[i] = (QhCandidate) {code_distance(&mem.query, &codes[i / 2]), (QhNode) i / 2};
	seeds[2999].node = (QhNode) 2000;
	seeds[2999].dist = INFINITY;
	qh_search_start(search, &limits, seeds, 3000);
	while (qh_search_next(search, 10, &found))
		nreturned++;
	ok(nreturned == 10, "seeds may be many, and come twice");

	/* a search like the two before takes no memory at all */
	for (int warm = 0; warm < 2; warm++)
	{
		memory_start(&mem, search, &codes[3], &limits);
		while (qh_search_next(search, 40, &found))
			;
	}
	before = counted.nallocs;
	memory_start(&mem, search, &codes[3], &limits);
	while (qh_search_next(search, 40, &found))
		;
	ok(counted.nallocs == before, "a search like the one before allocates nothing");

	mem.gone[0] = 1;
	qh_search_start(search, &limits, &(QhCandidate) {INFINITY, 0}, 1);
	ok(!qh_search_next(search, 10, &found), "a seed that is gone is neither returned nor expanded");
	qh_search_destroy(search);
	memory_free(&mem);
	ok(counted.held == 0, "gives all memory back");
}

/*
 * A window that shrinks turns out many nodes at once, while a batch is on its way: there must be room for those and for these.  Whether
 * they just fit depends on how many were found before, so that many searches are made; the allocator looks whether anyone wrote too far.
 */
static void
test_shrinking_aims(const Code *codes, uint32_t n)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	QhSearchLimits limits = {.resumable = true};
	uint64_t	random = 12;
	int			twice = 0;

	make_random_graph(&mem, codes, n, 32, 12);
	mem.store.nnodes = n;
	for (int round = 0; round < 3000; round++)
	{
		QhSearch   *search = qh_search_create(&alloc, &mem.store);
		uint8_t    *seen = calloc(n, 1);
		uint64_t	nreturned = 0;
		QhCandidate found;

		memory_start(&mem, search, &codes[check_random(&random) % n], &limits);
		for (uint64_t turn = 0; turn < 60; turn++)
		{
			uint64_t	wide = 40 + check_random(&random) % 200;
			QhBudget		budget = {.ef_total = 10 + 4 * turn, .found_total = nreturned + wide};

			if (turn % 2 == 1)
				budget.found_total = nreturned + 1;
			if (qh_search_next_within(search, &budget, 1, &found) != 1)
				break;
			twice += seen[found.node];
			seen[found.node] = 1;
			nreturned++;
		}
		qh_search_destroy(search);
		free(seen);
	}
	ok(twice == 0 && counted.held == 0, "budgets may shrink while neighbours are on their way");
	memory_free(&mem);
}

/* ---- places ---- */

/* A store that counts the places it is read at: PLACE nodes that follow each other in the graph's order have one together. */
#define PLACE	32

typedef struct Places
{
	Memory		mem;			/* first: the functions cast */
	const QhNode *order;
	uint32_t   *rank;
	uint8_t    *read;
	uint64_t	nread;
} Places;

static QhNode
places_place(QhStore *store, QhNode node)
{
	const Places *places = (const Places *) store;

	return places->order[places->rank[node] / PLACE * PLACE];
}

static void
places_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	Places	   *places = (Places *) store;

	for (int i = 0; i < n; i++)
	{
		uint8_t    *read = &places->read[places->rank[nodes[i]] / PLACE];

		places->nread += !*read;
		*read = 1;
	}
	memory_store_score(store, nodes, n, dist);
}

/* Ten neighbours of each of some queries: recall, by distance, and places read for them. */
static double
places_search(Places *places, QhSearch *search, const QhBudget *budget, uint64_t *nread)
{
	Memory	   *mem = &places->mem;
	QhSearchLimits limits = {.resumable = true};
	uint64_t	random = 5;
	uint64_t	nfound = 0;
	enum
	{
		NQUERIES = 200
	};

	*nread = 0;
	for (int q = 0; q < NQUERIES; q++)
	{
		Code		query = code_flip(mem->codes[check_random(&random) % mem->n], 6, &random);
		int			histogram[CODE_NBYTES * 8 + 1] = {0};
		int			tenth = 0;
		QhCandidate found[10];

		for (QhNode i = 0; i < mem->n; i++)
			histogram[(int) code_distance(&query, &mem->codes[i])]++;
		for (int n = histogram[0]; n < 10; n += histogram[tenth])
			tenth++;
		memset(places->read, 0, mem->n);
		places->nread = 0;
		memory_start(mem, search, &query, &limits);
		for (int n = qh_search_next_within(search, budget, 10, found); n-- > 0;)
			nfound += found[n].dist <= (float) tenth;
		*nread += places->nread;
	}
	return (double) nfound / (10 * NQUERIES);
}

static void
test_places(const Code *codes, uint32_t n, QhNode nnodes)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhBuildParams params = {.m = 16, .ef_construction = 64, .seed = 1, .max_entries = 4096};
	QhGraph    *graph = qh_build(&alloc, &space, &params);
	Places		places = {.order = graph->order, .rank = calloc(n, sizeof(uint32_t)), .read = calloc(n, 1)};
	QhSearchLimits limits = {.resumable = true, .max_nbytes = 100000};
	QhBudget		budget;
	uint8_t    *seen = calloc(n, 1);
	uint32_t	nreturned = 0,
				twice = 0;
	QhSearch   *search;
	QhCandidate found;
	size_t		before;
	uint64_t	nread,
				nspared;
	double		recall,
				spared;

	for (uint32_t i = 0; i < n; i++)
		places.rank[graph->order[i]] = i;
	memory_load(&places.mem, codes, graph);
	places.mem.store.score = places_score;
	places.mem.store.place = places_place;
	places.mem.store.at_once = true;
	places.mem.store.nnodes = nnodes;
	search = qh_search_create(&alloc, &places.mem.store);

	recall = places_search(&places, search, &(QhBudget) {.ef_total = 10, .found_total = 10}, &nread);
	spared = places_search(&places, search, &(QhBudget) {.ef_total = 40, .found_total = 40, .whole_total = 5}, &nspared);
	ok(nspared <= nread && spared > recall + 0.03, "where neighbours are deferred %llu places are enough for recall %.3f, else %llu for %.3f",
	   (unsigned long long) nspared, spared, (unsigned long long) nread, recall);

	/* what was deferred comes in the end, whether the search is told to defer nothing or finds nothing else */
	for (int told = 0; told < 2; told++)
	{
		memory_start(&places.mem, search, &codes[1], &(QhSearchLimits) {.resumable = true});
		memset(seen, 0, n);
		nreturned = twice = 0;
		for (budget = (QhBudget) {.ef_total = 40, .found_total = 40, .whole_total = 5}; qh_search_next_within(search, &budget, 1, &found) > 0; nreturned++)
		{
			twice += seen[found.node];
			seen[found.node] = 1;
			budget.ef_total++;
			budget.found_total++;
			if (told && nreturned == 100)
				budget.whole_total = 0;
		}
		ok(nreturned == n && twice == 0 && qh_search_stats(search)->nexpanded == n && qh_search_stats(search)->exhausted,
		   "each of %u nodes is returned once, %s", n, told ? "as if none had been deferred" : "those deferred too");
	}

	/* a limit on memory counts what deferred takes */
	qh_search_destroy(search);
	before = counted.peak = counted.held;
	search = qh_search_create(&alloc, &places.mem.store);
	memory_start(&places.mem, search, &codes[77], &limits);
	for (budget = (QhBudget) {.ef_total = 40, .found_total = 40, .whole_total = 5}; qh_search_next_within(search, &budget, 1, &found) > 0; budget.ef_total++)
		;
	ok(qh_search_stats(search)->limited && counted.peak - before <= limits.max_nbytes,
	   "a limit on memory holds while nodes are deferred (%zu bytes at the peak)", counted.peak - before);

	/* and where there is little, nothing is deferred: a search is not to end for it that would not end without */
	limits.max_nbytes = nnodes > 0 ? 25000 : 40000;
	for (int whole = 0; whole < 2; whole++)
	{
		budget = (QhBudget) {.ef_total = 10, .found_total = 10, .whole_total = whole ? 5 : 0};
		memory_start(&places.mem, search, &codes[77], &limits);
		for (nreturned = 0; nreturned < 10 && qh_search_next_within(search, &budget, 1, &found) > 0;)
			nreturned++;
		nread = whole ? nread : qh_search_stats(search)->nscored;
	}
	ok(nreturned == 10 && !qh_search_stats(search)->limited && qh_search_stats(search)->nscored == nread,
	   "with little memory nothing is deferred (%llu scored)", (unsigned long long) nread);

	qh_search_destroy(search);
	memory_free(&places.mem);
	qh_graph_free(&alloc, graph);
	ok(counted.held == 0, "gives all memory back");
	free(seen);
	free(places.read);
	free(places.rank);
}

int
main(void)
{
	uint32_t	n = 100000;
	Code	   *codes = codes_clustered(n, 42);

	test_keys();
	test_against_naive();
	test_exhaustive(codes, 5000, 0, 1, 1);
	test_exhaustive(codes, 5000, 5000, 1, 0);
	test_exhaustive(codes, 5000, 1, 40, 1);
	test_exhaustive(codes, 5000, 0, 10000, 0);
	test_exhaustive(codes, n, 0, 40, 1);
	test_exhaustive(codes, n, n, 40, 1);
	test_not_resumable(codes, 5000);
	test_limits(codes, 20000, 0);
	test_limits(codes, 20000, 20000);
	test_seeds(codes, 5000, 0);
	test_seeds(codes, 5000, 5000);
	test_shrinking_aims(codes, 20000);
	test_places(codes, 20000, 20000);
	test_places(codes, 20000, 0);
	free(codes);
	return done_testing();
}
