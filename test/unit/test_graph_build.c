/*
 * test_graph_build.c
 *		Bulk build: soundness of the graph for all kinds of data and sizes, recall, memory, interruption.
 */
#include <setjmp.h>

#include "graph/shard.h"
#include "graph_memory.h"

typedef struct Progress
{
	uint64_t	ncalls;
	uint64_t	ntimes[QH_PHASE_REACH + 1];
	bool		backwards;
	QhBuildPhase last;
	uint64_t	jump_at;		/* progress at which to leave; 0 = never */
	jmp_buf		out;
} Progress;

static void
on_progress(void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total)
{
	Progress   *progress = ctx;

	progress->ncalls++;
	progress->ntimes[phase]++;
	/* partition and candidates take turns, tree by tree */
	if (phase < progress->last && phase > QH_PHASE_CANDIDATES)
		progress->backwards = true;
	if (done > total)
		progress->backwards = true;
	progress->last = phase;
	if (progress->ncalls == progress->jump_at)
		longjmp(progress->out, 1);
}

static QhBuildParams
params_of(int m, int ef_construction)
{
	return (QhBuildParams) {.m = m, .ef_construction = ef_construction, .seed = 11, .max_entries = 1000};
}

/* The order is a permutation, and the entry points are distinct. */
static bool
order_is_sound(const QhGraph *graph)
{
	uint8_t    *seen = calloc((size_t) graph->n + 1, 1);
	bool		sound = true;

	for (uint32_t i = 0; i < graph->n; i++)
	{
		sound = sound && graph->order[i] < graph->n && !seen[graph->order[i]];
		if (sound)
			seen[graph->order[i]] = 1;
	}
	free(seen);
	return sound;
}

/* Build, check, and say how the search does with ef 100; -1 if the graph is not sound. */
static double
build_and_check(const Code *codes, uint32_t n, const QhBuildParams *params)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhGraph    *graph = qh_build(&alloc, &space, params);
	Memory		mem;
	double		recall = -1;
	size_t		promised = qh_build_nbytes(n, params, sizeof(Code));

	if (counted.peak > promised + 2048)
		printf("# %zu bytes at the peak, %zu promised\n", counted.peak, promised);
	else if (graph->n == n && graph->max_degree == 2 * params->m && order_is_sound(graph) &&
			 graph->nentries == (n == 0 ? 0 : qh_entries_wanted(n, params->max_entries)) &&
			 (n == 0 || memcmp(graph->entries, graph->order, (size_t) graph->nentries * sizeof(QhNode)) == 0))
	{
		memory_load(&mem, codes, graph);
		if (memory_check(&mem) == 0)
			recall = n == 0 ? 1.0 : memory_recall(&mem, 100, 100, 99);
		else
			printf("# fault %d at node %u\n", (int) mem.last_fault.kind, mem.last_fault.node);
		memory_free(&mem);
	}
	qh_graph_free(&alloc, graph);
	if (counted.held != 0)
		return -2;
	return recall;
}

static void
test_sizes(const Code *codes)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 10, 50, 999, 1000, 1001, 2001, 5000};
	QhBuildParams params = params_of(16, 64);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		double		recall = build_and_check(codes, sizes[i], &params);

		ok(recall >= 0.97, "%u nodes: sound, recall %.3f", sizes[i], recall);
	}
}

/* Of so few nodes all pairs are computed, so each is linked with its nearest. */
static void
test_all_pairs(const Code *codes, uint32_t n)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhBuildParams params = params_of(16, 64);
	QhGraph    *graph = qh_build(&alloc, &space, &params);
	int			nlooked_at = 0;
	int			nlinked = 0;

	for (uint32_t node = 0; node < n; node += 17)
	{
		const QhLink *links = graph->links + (size_t) node * (size_t) graph->max_degree;
		float		nearest = INFINITY;
		float		linked = INFINITY;

		for (uint32_t other = 0; other < n; other++)
			if (other != node)
				nearest = fminf(nearest, code_distance(&codes[node], &codes[other]));
		for (int i = 0; i < graph->max_degree && links[i] != QH_INVALID_NODE; i++)
			linked = fminf(linked, code_distance(&codes[node], &codes[qh_link_node(links[i])]));
		nlooked_at++;
		nlinked += linked == nearest;
	}
	qh_graph_free(&alloc, graph);
	ok(nlinked == nlooked_at, "%d of %d nodes have a link to their nearest", nlinked, nlooked_at);
}

static void
test_params(const Code *codes)
{
	static const int tried[][2] = {{2, 4}, {2, 64}, {3, 10}, {5, 1000}, {16, 4}, {40, 64}, {100, 200}};

	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
	{
		QhBuildParams params = params_of(tried[i][0], tried[i][1]);
		double		recall = build_and_check(codes, 2000, &params);

		ok(recall >= (tried[i][0] < 5 ? 0.70 : 0.95), "m %d, ef_construction %d: sound, recall %.3f", tried[i][0], tried[i][1], recall);
	}
}

static int
compare_codes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(Code));
}

/* Stretches of so many places of the order, about what a page holds, that nodes of a cluster are counted on. */
#define STRETCH		64

/* Clusters of 48 codes that came in by turns: on how many stretches each is, on average. */
static void
test_clusters_together(const Code *codes)
{
	enum
	{
		NCLUSTERS = 800, SIZE = 48, N = NCLUSTERS * SIZE
	};
	QhBuildParams params = params_of(16, 64);
	Code	   *clustered = calloc(N, sizeof(Code));
	QhNode	   *order = calloc(N, sizeof(QhNode));
	uint32_t   *places = calloc(N, sizeof(uint32_t));
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space;
	uint64_t	random = 17;
	int			nstretches = 0;

	for (uint32_t i = 0; i < N; i++)
		clustered[i] = code_flip(codes[i % NCLUSTERS], 10, &random);
	space = space_of(clustered, N);
	qh_build_order(&alloc, &space, &params, 4, order);
	for (uint32_t i = 0; i < N; i++)
		places[order[i] % NCLUSTERS * SIZE + order[i] / NCLUSTERS] = i;
	for (uint32_t *own = places; own < places + N; own += SIZE)
	{
		qsort(own, SIZE, sizeof(uint32_t), compare_u32);
		for (int i = 0; i < SIZE; i++)
			nstretches += i == 0 || own[i] / STRETCH != own[i - 1] / STRETCH;
	}
	ok(nstretches <= 6 * NCLUSTERS, "an order keeps clusters together: on %.2f stretches each", (double) nstretches / NCLUSTERS);
	free(places);
	free(order);
	free(clustered);
}

/* Where nothing tells nodes apart an order is any permutation. */
static void
test_order_of_equals(uint32_t n)
{
	QhBuildParams params = params_of(16, 64);
	Code	   *equal = calloc(n, sizeof(Code));
	QhNode	   *order = calloc(n, sizeof(QhNode));
	uint8_t    *seen = calloc(n, 1);
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(equal, n);
	uint32_t	nseen = 0;

	qh_build_order(&alloc, &space, &params, 4, order);
	for (uint32_t i = 0; i < n; i++)
		if (order[i] < n && !seen[order[i]]++)
			nseen++;
	ok(nseen == n && counted.held == 0, "equal codes have an order");
	free(seen);
	free(order);
	free(equal);
}

static void
test_kinds(Code *codes, uint32_t n)
{
	QhBuildParams params = params_of(16, 64);
	Code	   *other = calloc(n, sizeof(Code));
	uint64_t	random = 9;
	double		recall;

	recall = build_and_check(other, n, &params);
	ok(recall == 1.0, "all codes equal: sound, recall %.3f", recall);

	for (uint32_t i = 0; i < n; i++)
		other[i].words[i % CODE_NWORDS] = UINT64_C(1) << (i / CODE_NWORDS % 64);
	recall = build_and_check(other, CODE_NBYTES * 8, &params);
	ok(recall >= 0.9, "all distances equal: sound, recall %.3f", recall);
	recall = build_and_check(other, n, &params);
	ok(recall >= 0.0, "256 codes, each many times: sound");

	for (uint32_t i = 0; i < n; i++)
		other[i] = code_flip(codes[0], 4, &random);
	recall = build_and_check(other, n, &params);
	ok(recall >= 0.9, "one cluster: sound, recall %.3f", recall);

	/* tight clusters far apart: only the tree leads from one to the next */
	for (uint32_t i = 0; i < n; i++)
		other[i] = code_flip((Code) {{i / 100, (uint64_t) (i / 100) * UINT64_C(0x9E3779B97F4A7C15), ~(uint64_t) (i / 100), i / 100 % 2 ? UINT64_MAX : 0}}, 1, &random);
	recall = build_and_check(other, n, &params);
	ok(recall >= 0.9, "clusters of a hundred: sound, recall %.3f", recall);

	memcpy(other, codes, n * sizeof(Code));
	qsort(other, n, sizeof(Code), compare_codes);
	recall = build_and_check(other, n, &params);
	ok(recall >= 0.97, "sorted input: sound, recall %.3f", recall);

	for (uint32_t i = 0; i < n; i++)
		other[i] = code_random(&random);
	recall = build_and_check(other, n, &params);
	ok(recall >= 0.3, "noise without neighbours: sound, recall %.3f", recall);
	free(other);
}

static void
test_same_again(const Code *codes, uint32_t n)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhBuildParams params = params_of(8, 32);
	QhGraph    *a = qh_build(&alloc, &space, &params);
	QhGraph    *b = qh_build(&alloc, &space, &params);
	QhGraph    *c;

	ok(memcmp(a->links, b->links, (size_t) n * 16 * sizeof(QhLink)) == 0 &&
	   memcmp(a->order, b->order, n * sizeof(uint32_t)) == 0 &&
	   memcmp(a->entries, b->entries, (size_t) a->nentries * sizeof(QhNode)) == 0, "the same seed builds the same graph");
	params.seed++;
	c = qh_build(&alloc, &space, &params);
	ok(memcmp(a->links, c->links, (size_t) n * 16 * sizeof(QhLink)) != 0, "another seed builds another");
	qh_graph_free(&alloc, a);
	qh_graph_free(&alloc, b);
	qh_graph_free(&alloc, c);
	ok(counted.held == 0, "gives all memory back");
}

/* Neighbours in the order should be near each other: pages are filled in it. */
static void
test_order(const Code *codes, uint32_t n)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhBuildParams params = params_of(8, 32);
	QhGraph    *graph = qh_build(&alloc, &space, &params);
	double		by_order = 0,
				by_id = 0;
	int			ntree_max = 0;
	uint64_t	ntree = 0;

	for (uint32_t i = 0; i + 10 < n; i++)
	{
		by_order += code_distance(&codes[graph->order[i]], &codes[graph->order[i + 10]]);
		by_id += code_distance(&codes[i], &codes[i + 10]);
	}
	ok(by_order < 0.7 * by_id, "the order keeps neighbours together (mean distance %.0f, by id %.0f)", by_order / n, by_id / n);
	for (uint32_t i = 0; i < n; i++)
	{
		int			count = 0;

		for (int j = 0; j < 16; j++)
			count += graph->links[i * 16 + (uint32_t) j] != QH_INVALID_NODE && (graph->links[i * 16 + (uint32_t) j] & QH_TREE_LINK);
		ntree += (uint64_t) count;
		if (count > ntree_max)
			ntree_max = count;
	}
	ok(ntree == n - (uint32_t) graph->nentries, "one tree link a node but the entry points");
	ok(ntree_max <= 8, "no node has more than m tree links (%d)", ntree_max);
	qh_graph_free(&alloc, graph);
}

static void *
leaky_alloc(void *ctx, size_t nbytes)
{
	void	  **list = ctx;
	void	  **p = malloc(nbytes + 16);

	p[0] = *list;
	*list = p;
	return (char *) p + 16;
}

static void
leaky_release(void *ctx, void *p)
{
	(void) ctx;
	(void) p;
}

static void
test_progress(const Code *codes, uint32_t n)
{
	static Progress progress;
	QhBuildParams params = params_of(8, 32);
	QhSpace		space = space_of(codes, n);
	uint64_t	total;
	void	   *list = NULL;
	QhAlloc		alloc = {leaky_alloc, leaky_release, &list};
	volatile int nleft = 0;

	params.progress = on_progress;
	params.progress_ctx = &progress;
	(void) qh_build(&alloc, &space, &params);
	total = progress.ncalls;
	ok(total >= 12 && !progress.backwards, "progress is called often (%llu times) and phases only go on", (unsigned long long) total);
	for (int phase = QH_PHASE_CANDIDATES; phase <= QH_PHASE_REACH; phase++)
		ok(progress.ntimes[phase] > 0, "phase %d is seen", phase);

	/* memory is all there is to give back: the list below plays the memory context */
	for (volatile uint64_t at = 1; at <= total; at += total / 6)
	{
		memset(&progress, 0, sizeof(progress));
		progress.jump_at = at;
		if (setjmp(progress.out) == 0)
			(void) qh_build(&alloc, &space, &params);
		else
			nleft++;
	}
	ok(nleft >= 6, "a build can be left from any progress");
	while (list != NULL)
	{
		void	  **p = list;

		list = p[0];
		free(p);
	}
}

static void
test_entries_wanted(void)
{
	static const struct
	{
		uint64_t	n;
		int			max;
		int			wanted;
	}			cases[] = {
		{0, 100, 0}, {1, 100, 1}, {2, 100, 1}, {3, 100, 1}, {4, 100, 2}, {99, 100, 9}, {100, 100, 10},
		{200000, 1000, 447}, {200000, 100, 100}, {UINT64_C(36000000), 1000000, 6000}, {QH_MAX_NODES, 1000000, 46340}, {5, 0, 1}
	};
	int			wrong = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		wrong += qh_entries_wanted(cases[i].n, cases[i].max) != cases[i].wanted;
	ok(wrong == 0, "entry points grow as the root of the graph, up to the cap");
}

int
main(void)
{
	Code	   *codes = codes_clustered(20000, 1);
	QhBuildParams params = params_of(16, 64);
	double		recall;

	test_entries_wanted();
	test_sizes(codes);
	test_all_pairs(codes, 20000);
	test_params(codes);
	test_kinds(codes, 3000);
	test_same_again(codes, 5000);
	test_order(codes, 20000);
	test_clusters_together(codes);
	test_order_of_equals(20000);
	test_progress(codes, 5000);
	recall = build_and_check(codes, 20000, &params);
	ok(recall >= 0.98, "20,000 nodes: sound, recall %.3f at ef 100", recall);
	free(codes);
	return done_testing();
}
