/*
 * test_graph_shard.c
 *		Builds in shards: how codes are divided, what is joined, and the graph that comes of it.
 */
#include "graph_memory.h"
#include "graph/shard.h"

#define MAX_SHARDS 16

/* A build in shards over plain memory, as an index build does it with files. */
typedef struct Build
{
	QhAlloc		alloc;
	const Code *codes;
	uint32_t	n;
	uint32_t	nshards;
	QhBuildParams params;
	uint32_t	begin[MAX_SHARDS + 1];	/* ids of the shards */
	Code	   *ordered;		/* codes by id */
	uint32_t   *home;			/* shard by id */
	QhNode	   *lists[QH_NDIVISIONS];	/* by id, 2m each */
	int		   *nlists[QH_NDIVISIONS];
	QhGraph		whole;
} Build;

static QhSplitter *
make_splitter(const Code *codes, uint32_t n, uint32_t nshards, uint64_t seed)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhSplitter *splitter = malloc(qh_splitter_nbytes(nshards, sizeof(Code)));

	qh_splitter_init(splitter, &alloc, &space, nshards, seed);
	if (counted.held != 0)
		abort();
	return splitter;
}

static void
count_shards(const QhSplitter *splitter, const Code *codes, uint32_t n, uint32_t *count)
{
	QhSpace		space = space_of(codes, n);

	memset(count, 0, MAX_SHARDS * sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++)
		count[qh_splitter_shard(splitter, &space, (const uint8_t *) &codes[i])]++;
}

static void
test_splitter(const Code *codes, uint32_t n)
{
	static const uint32_t tried[] = {1, 2, 3, 7, 16};
	uint32_t	count[MAX_SHARDS];

	for (size_t t = 0; t < sizeof(tried) / sizeof(tried[0]); t++)
	{
		uint32_t	nshards = tried[t];
		QhSplitter *splitter = make_splitter(codes, n / 8, nshards, 3);
		QhSplitter *moved = malloc(qh_splitter_nbytes(nshards, sizeof(Code)));
		uint32_t	largest = 0;
		bool		same = true;

		count_shards(splitter, codes, n, count);
		for (uint32_t i = 0; i < nshards; i++)
			largest = count[i] > largest ? count[i] : largest;
		ok(largest <= 1.3 * n / nshards + 1, "%u shards of a sample's eighth: the largest has %u of %u", nshards, largest, n);
		memcpy(moved, splitter, qh_splitter_nbytes(nshards, sizeof(Code)));
		memset(splitter, 0x5A, qh_splitter_nbytes(nshards, sizeof(Code)));
		count_shards(moved, codes, n, count);
		for (uint32_t i = 0, sum = 0; i < nshards; i++)
			same = same && (sum += count[i]) <= n && count[i] <= largest;
		ok(same, "%u shards: a splitter may be moved", nshards);
		free(moved);
		free(splitter);
	}
}

static void
test_splitter_ties(void)
{
	Code	   *same = calloc(4000, sizeof(Code));
	uint32_t	count[MAX_SHARDS];
	uint32_t	nused = 0;
	uint64_t	random = 4;
	QhSplitter *splitter = make_splitter(same, 500, 8, 3);

	count_shards(splitter, same, 4000, count);
	for (int i = 0; i < 8; i++)
		nused += count[i] > 0;
	ok(nused == 1, "equal codes meet in one shard");
	free(splitter);

	/* unit vectors: all distances are equal, so only hashes tell them apart */
	for (uint32_t i = 0; i < CODE_NBYTES * 8; i++)
		same[i].words[i / 64] = UINT64_C(1) << (i % 64);
	splitter = make_splitter(same, CODE_NBYTES * 8, 4, 3);
	count_shards(splitter, same, CODE_NBYTES * 8, count);
	ok(count[0] > 20 && count[1] > 20 && count[2] > 20 && count[3] > 20, "equal distances are shared out: %u %u %u %u", count[0], count[1], count[2], count[3]);
	free(splitter);

	/* a sample smaller than the shards */
	for (uint32_t i = 0; i < 4000; i++)
		same[i] = code_random(&random);
	splitter = make_splitter(same, 3, 16, 3);
	count_shards(splitter, same, 4000, count);
	nused = 0;
	for (int i = 0; i < 16; i++)
		nused += count[i] > 0;
	ok(nused > 8, "three codes sampled for sixteen shards: all but a few are used");
	free(splitter);
	splitter = make_splitter(same, 0, 4, 3);
	count_shards(splitter, same, 4000, count);
	ok(count[0] > 700 && count[1] > 700 && count[2] > 700 && count[3] > 700, "no sample at all: codes are shared out by hash");
	free(splitter);
	free(same);
}

static void
test_join(void)
{
	static const QhNode coarse[] = {5, 105, 205, 305};
	static const QhNode a[] = {101, 300, 102, 400};
	static const QhNode b[] = {300, 101, 401};
	QhOffer		offers[QH_NBETWEEN] = {{a, 4}, {b, 3}};
	QhOffer		none = {NULL, 0};
	QhShardRange range = {100, 50};
	QhNode		within[32],
				away[4];
	QhJoined	joined = {.within = within, .away = away};

	qh_join_offers(&(QhOffer) {coarse, 4}, offers, &range, 4, &joined);
	ok(joined.nwithin == 2 && within[0] == 1 && within[1] == 2, "what is in the shard becomes candidates, once each");
	ok(joined.naway == 4 && away[0] == 5 && away[1] == 205 && away[2] == 300 && away[3] == 401,
	   "what is not becomes links: half of them coarse, the others by turns");
	qh_join_offers(&none, (QhOffer[QH_NBETWEEN]) {{0}}, &range, 4, &joined);
	ok(joined.nwithin == 0 && joined.naway == 0, "nothing offered, nothing joined");
}

/* ---- a whole build ---- */

static void
divide(Build *build, uint64_t seed, const Code *codes, uint32_t *shard)
{
	QhSplitter *splitter = make_splitter(codes, build->n < 2000 ? build->n : 2000, build->nshards, seed);
	QhSpace		space = space_of(codes, build->n);

	for (uint32_t i = 0; i < build->n; i++)
		shard[i] = qh_splitter_shard(splitter, &space, (const uint8_t *) &codes[i]);
	free(splitter);
}

/* Entry points of a shard of n nodes. */
static int
entries_of(const Build *build, uint32_t n)
{
	return qh_entries_wanted(n, build->params.max_entries / (int) build->nshards);
}

/* Give the nodes their ids: shard by shard, each in its order. */
static void
order_shards(Build *build)
{
	uint32_t   *shard = calloc(build->n + 1, sizeof(uint32_t));
	uint32_t	at = 0;

	divide(build, 1, build->codes, shard);
	for (uint32_t s = 0; s < build->nshards; s++)
	{
		Code	   *codes = calloc(build->n + 1, sizeof(Code));
		QhNode	   *order = calloc(build->n + 1, sizeof(QhNode));
		uint32_t	n = 0;
		QhSpace		space;

		for (uint32_t i = 0; i < build->n; i++)
			if (shard[i] == s)
				codes[n++] = build->codes[i];
		space = space_of(codes, n);
		qh_build_order(&build->alloc, &space, &build->params, entries_of(build, n), order);
		build->begin[s] = at;
		for (uint32_t i = 0; i < n; i++)
		{
			build->home[at] = s;
			build->ordered[at++] = codes[order[i]];
		}
		free(order);
		free(codes);
	}
	build->begin[build->nshards] = at;
	free(shard);
}

static void
keep(Build *build, int division, const QhGraph *graph, const QhNode *ids)
{
	int			max_degree = 2 * build->params.m;

	for (uint32_t i = 0; i < graph->n; i++)
	{
		int			n = 0;

		for (; n < graph->max_degree && graph->links[i * (uint32_t) max_degree + (uint32_t) n] != QH_INVALID_NODE; n++)
			build->lists[division][ids[i] * (uint32_t) max_degree + (uint32_t) n] = ids[qh_link_node(graph->links[i * (uint32_t) max_degree + (uint32_t) n])];
		build->nlists[division][ids[i]] = n;
	}
}

static void
link_division(Build *build, int division)
{
	uint32_t   *shard = calloc(build->n + 1, sizeof(uint32_t));
	QhBuildParams params = qh_division_params(&build->params, division);

	divide(build, 1 + (uint64_t) division, build->ordered, shard);
	for (uint32_t s = 0; s < build->nshards; s++)
	{
		Code	   *codes = calloc(build->n + 1, sizeof(Code));
		QhNode	   *ids = calloc(build->n + 1, sizeof(QhNode));
		uint32_t   *home = calloc(build->n + 1, sizeof(uint32_t));
		uint32_t	n = 0;
		QhSpace		space;
		QhGraph    *graph;

		for (QhNode id = 0; id < build->n; id++)
		{
			if (division == 0 ? s > 0 || id % 64 != 32 : shard[id] != s)
				continue;
			home[n] = build->home[id];
			ids[n] = id;
			codes[n++] = build->ordered[id];
		}
		space = space_of(codes, n);
		graph = division == 0 ? qh_build_coarse(&build->alloc, &space, &build->params) :
			qh_build_between(&build->alloc, &space, &params, home);
		keep(build, division, graph, ids);
		qh_graph_free(&build->alloc, graph);
		free(home);
		free(ids);
		free(codes);
	}
	free(shard);
}

static void
link_shard(Build *build, uint32_t s)
{
	QhShardRange range = {build->begin[s], build->begin[s + 1] - build->begin[s]};
	uint32_t	max_degree = 2 * (uint32_t) build->params.m;
	uint32_t	away_max = (uint32_t) qh_away_max(build->params.m, build->nshards);
	uint64_t   *begin = calloc(range.n + 1, sizeof(uint64_t));
	QhNode	   *within = calloc(range.n * QH_NBETWEEN * max_degree + 1, sizeof(QhNode));
	QhNode	   *away = calloc(range.n * away_max + 1, sizeof(QhNode));
	uint8_t    *taken = calloc(range.n + 1, 1);
	QhBuildParams params = qh_division_params(&build->params, 0);
	QhSpace		space = space_of(build->ordered + range.base, range.n);
	QhKnown		known = {range.base, begin, within, taken, entries_of(build, range.n)};
	QhGraph    *graph;

	for (uint32_t i = 0; i < range.n; i++)
	{
		QhOffer		offers[QH_NDIVISIONS];
		QhJoined	joined = {.within = within + begin[i], .away = away + i * away_max};

		for (int d = 0; d < QH_NDIVISIONS; d++)
			offers[d] = (QhOffer) {build->lists[d] + (range.base + i) * max_degree, build->nlists[d][range.base + i]};
		qh_join_offers(&offers[0], offers + 1, &range, (int) away_max, &joined);
		begin[i + 1] = begin[i] + (uint64_t) joined.nwithin;
		taken[i] = (uint8_t) joined.naway;
	}
	graph = qh_build_within(&build->alloc, &space, &params, &known);
	for (uint32_t i = 0; i < range.n; i++)
	{
		QhLink		own[2 * 100];
		QhLink		list[4 * 100];
		QhLink	   *out = build->whole.links + (range.base + i) * max_degree;
		QhFinalInput input = {&params.hubs, (int) max_degree, range.base + i, own, 0, away + i * away_max, taken[i]};
		int			n;

		for (; input.nwithin < (int) max_degree && graph->links[i * max_degree + (uint32_t) input.nwithin] != QH_INVALID_NODE; input.nwithin++)
			own[input.nwithin] = graph->links[i * max_degree + (uint32_t) input.nwithin] + range.base;
		n = qh_final_links(&input, list);
		for (uint32_t j = 0; j < max_degree; j++)
			out[j] = (int) j < n ? list[j] : QH_INVALID_NODE;
	}
	for (int i = 0; i < graph->nentries; i++)
		build->whole.entries[build->whole.nentries++] = graph->entries[i] + range.base;
	qh_graph_free(&build->alloc, graph);
	free(taken);
	free(away);
	free(within);
	free(begin);
}

/* Recall of a build in shards with ef 100; -1 if the graph is not sound, -2 if memory was lost. */
static double
build_and_check(const Code *codes, uint32_t n, uint32_t nshards, QhHubs hubs)
{
	Counted		counted;
	Build		build = {.alloc = counted_init(&counted), .codes = codes, .n = n, .nshards = nshards};
	Memory		mem;
	double		recall = -1;

	build.params = (QhBuildParams) {.m = 12, .ef_construction = 64, .seed = 11, .max_entries = 200, .hubs = hubs};
	build.ordered = calloc(n + 1, sizeof(Code));
	build.home = calloc(n + 1, sizeof(uint32_t));
	build.whole = (QhGraph) {.n = n, .max_degree = 24};
	build.whole.links = calloc(n * 24 + 1, sizeof(QhLink));
	build.whole.entries = calloc(n + 1, sizeof(QhNode));
	for (int d = 0; d < QH_NDIVISIONS; d++)
	{
		build.lists[d] = calloc(n * 24 + 1, sizeof(QhNode));
		build.nlists[d] = calloc(n + 1, sizeof(int));
	}
	order_shards(&build);
	for (int d = 0; d < QH_NDIVISIONS; d++)
		link_division(&build, d);
	for (uint32_t s = 0; s < nshards; s++)
		link_shard(&build, s);
	memory_load(&mem, build.ordered, &build.whole);
	if (memory_check(&mem) == 0)
		recall = n == 0 ? 1.0 : memory_recall(&mem, 100, 100, 99);
	else
		printf("# fault %d at node %u\n", (int) mem.last_fault.kind, mem.last_fault.node);
	memory_free(&mem);
	for (int d = 0; d < QH_NDIVISIONS; d++)
	{
		free(build.lists[d]);
		free(build.nlists[d]);
	}
	free(build.whole.entries);
	free(build.whole.links);
	free(build.home);
	free(build.ordered);
	return counted.held == 0 ? recall : -2;
}

static void
test_builds(Code *codes, uint32_t n)
{
	static const uint32_t sizes[] = {0, 1, 2, 50, 1000, 5000};
	static const uint32_t tried[] = {1, 2, 5, 16};
	Code	   *other = calloc(n, sizeof(Code));
	uint64_t	random = 5;
	double		recall;

	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
	{
		recall = build_and_check(codes, n, tried[i], (QhHubs) {0});
		ok(recall >= 0.98, "%u shards: sound, recall %.3f", tried[i], recall);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		recall = build_and_check(codes, sizes[i], 4, (QhHubs) {0});
		ok(recall >= 0.97, "%u nodes in 4 shards: sound, recall %.3f", sizes[i], recall);
	}
	recall = build_and_check(codes, n, 5, (QhHubs) {1000, 20, 40});
	ok(recall >= 0.95, "low storage: sound, recall %.3f", recall);

	recall = build_and_check(other, 5000, 5, (QhHubs) {0});
	ok(recall == 1.0, "all codes equal: sound, recall %.3f", recall);
	for (uint32_t i = 0; i < n; i++)
		other[i] = code_flip(codes[0], 4, &random);
	recall = build_and_check(other, n, 8, (QhHubs) {0});
	ok(recall >= 0.9, "one cluster: sound, recall %.3f", recall);
	for (uint32_t i = 0; i < n; i++)
		other[i] = codes[i % (n / 1000)];
	recall = build_and_check(other, n, 8, (QhHubs) {0});
	ok(recall >= 0.0, "each code a thousand times: sound, recall %.3f", recall);
	/* tight clusters far apart */
	for (uint32_t i = 0; i < n; i++)
		other[i] = code_flip((Code) {{i / 100, (uint64_t) (i / 100) * UINT64_C(0x9E3779B97F4A7C15), ~(uint64_t) (i / 100), i / 100 % 2 ? UINT64_MAX : 0}}, 1, &random);
	recall = build_and_check(other, n, 8, (QhHubs) {0});
	ok(recall >= 0.9, "clusters of a hundred: sound, recall %.3f", recall);
	free(other);
}

/* What each division does, and how far a node may be linked with other shards. */
static void
test_shares(void)
{
	QhBuildParams params = {.m = 16, .ef_construction = 64};
	int			nbetween = 0;

	for (int d = 1; d < QH_NDIVISIONS; d++)
		nbetween += qh_division_params(&params, d).ntrees;
	ok(qh_division_params(&params, 0).ntrees == 4 && nbetween == 3, "of seven trees four are grown within");
	params.ef_construction = 4;
	ok(qh_division_params(&params, 0).ntrees >= 1 && qh_division_params(&params, 3).ntrees >= 1, "each division has a tree");
	ok(qh_away_max(16, 4) == 4 && qh_away_max(16, 5) == 12 && qh_away_max(2, 4) == 1, "few shards have few links to others");
}

int
main(void)
{
	uint32_t	n = 12000;
	Code	   *codes = codes_clustered(n, 1);

	test_shares();
	test_splitter(codes, n);
	test_splitter_ties();
	test_join();
	test_builds(codes, n);
	free(codes);
	return done_testing();
}
