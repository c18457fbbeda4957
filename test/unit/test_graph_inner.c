/*
 * test_graph_inner.c
 *		Bulk builds where links lead far: vectors of very unequal lengths, linked by their inner products.
 */
#include "codec/pair_codes.h"
#include "graph_memory.h"

#define N		12000
#define NDIMS	16				/* few enough for codes of floats: distances are exact */
#define NQUERIES 60
#define M		16

typedef struct World
{
	QhStore		store;			/* first: the functions cast */
	QvPairCodec *codec;
	size_t		stride;
	uint8_t    *codes;
	uint8_t    *queries;
	const uint8_t *query;
	QhGraph    *graph;
	uint64_t	nfaults;
} World;

static void
world_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_pair_block(ctx, QV_PAIR_DISTANCE, &(QvPairBlock) {rows, nrows, base, n, stride}, dist);
}

static void
world_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_pair_distances(ctx, QV_PAIR_DISTANCE, code, codes, n, dist);
}

static void
angle_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_pair_block(ctx, QV_PAIR_ANGLE, &(QvPairBlock) {rows, nrows, base, n, stride}, dist);
}

static void
angle_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_pair_distances(ctx, QV_PAIR_ANGLE, code, codes, n, dist);
}

static float
world_length(const void *ctx, const uint8_t *code)
{
	return qv_pair_length(ctx, code);
}

static int
world_links(QhStore *store, QhNode node, QhLink *out)
{
	const QhGraph *graph = ((World *) store)->graph;
	int			n = 0;

	for (; n < graph->max_degree && graph->links[(size_t) node * (size_t) graph->max_degree + (size_t) n] != QH_INVALID_NODE; n++)
		out[n] = graph->links[(size_t) node * (size_t) graph->max_degree + (size_t) n];
	return n;
}

static void
world_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	World	   *world = (World *) store;

	for (int i = 0; i < n; i++)
	{
		const uint8_t *code = world->codes + nodes[i] * world->stride;

		qv_pair_distances(world->codec, QV_PAIR_DISTANCE, world->query, &code, 1, dist + i);
	}
}

/* Codes of vectors whose lengths are e^-spread to e^spread. */
static uint8_t *
make_codes(const World *world, int n, double spread, uint64_t seed)
{
	uint8_t    *codes = malloc((size_t) n * world->stride);
	void	   *scratch = malloc(qv_pair_scratch_nbytes(world->codec));

	for (int i = 0; i < n; i++)
	{
		float		x[NDIMS];
		double		square = 0;
		double		length = exp(spread * (2 * check_uniform(&seed) - 1));

		for (int d = 0; d < NDIMS; d++)
		{
			double		sum = 0;

			for (int k = 0; k < 12; k++)
				sum += check_uniform(&seed) - 0.5;
			x[d] = (float) sum;
			square += sum * sum;
		}
		for (int d = 0; d < NDIMS; d++)
			x[d] *= (float) (length / sqrt(square));
		qv_pair_encode(world->codec, x, codes + (size_t) i * world->stride, scratch);
	}
	free(scratch);
	return codes;
}

static World
world_open(double spread)
{
	QvCodecParams params = {.kind = QV_CODE_RABITQ, .metric = QV_METRIC_IP, .ndims = NDIMS, .nbits = 1, .seed = 1};
	World		world = {.stride = qv_pair_code_nbytes(&params)};

	world.codec = qv_pair_codec_init(malloc(qv_pair_codec_sizeof(&params)), &params);
	world.codes = make_codes(&world, N, spread, 5);
	world.queries = make_codes(&world, NQUERIES, 0, 6);
	return world;
}

static void
world_close(World *world)
{
	free(world->codec);
	free(world->codes);
	free(world->queries);
}

static bool
in_use(void *ctx, QhNode node)
{
	(void) ctx;
	(void) node;
	return true;
}

static void
count_fault(void *ctx, const QhFault *fault)
{
	(void) fault;
	((World *) ctx)->nfaults++;
}

/* Share of the ten with the largest inner products among those found with ef. */
static double
recall(World *world, int ef)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSearch   *search = qh_search_create(&alloc, &world->store);
	QhSearchLimits limits = {.resumable = false};
	const QhGraph *graph = world->graph;
	QhCandidate *seeds = malloc(sizeof(QhCandidate) * (size_t) graph->nentries);
	float	   *dist = malloc(sizeof(float) * N);
	int			nfound = 0;

	for (int q = 0; q < NQUERIES; q++)
	{
		QhCandidate found;

		world->query = world->queries + (size_t) q * world->stride;
		for (int i = 0; i < graph->nentries; i++)
		{
			seeds[i].node = graph->entries[i];
			world_score(&world->store, &graph->entries[i], 1, &seeds[i].dist);
		}
		for (QhNode i = 0; i < N; i++)
			world_score(&world->store, &i, 1, &dist[i]);
		qh_search_start(search, &limits, seeds, graph->nentries);
		for (int i = 0; i < 10 && qh_search_next(search, (uint64_t) ef, &found); i++)
		{
			int			nnearer = 0;

			for (int j = 0; j < N; j++)
				nnearer += dist[j] < found.dist;
			nfound += nnearer < 10;
		}
	}
	qh_search_destroy(search);
	free(dist);
	free(seeds);
	return (double) nfound / (10 * NQUERIES);
}

/* ntrees > 0: leaves are small, as those of a large graph; 0: one leaf holds all. */
static void
test_build(double spread, int ntrees, double wanted)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	World		world = world_open(spread);
	QhBuildParams params = {.m = M, .ef_construction = 64, .seed = 3, .max_entries = 1000, .ntrees = ntrees};
	QhSpace		space = {
		.pair_block = world_block, .pair = world_pair, .ctx = world.codec, .codes = world.codes, .stride = world.stride, .n = N,
		.place_block = angle_block, .place = angle_pair, .length = world_length
	};
	size_t		promised = qh_build_nbytes(N, &params, world.stride);
	QhCheckInput input = {.nnodes = N, .in_use = in_use, .ctx = &world, .report = count_fault};
	QhGraph    *again;
	double		found;

	world.graph = qh_build(&alloc, &space, &params);
	ok(counted.peak <= promised + 2048, "e^%g, %d trees: %zu bytes at the peak, %zu promised", spread, ntrees, counted.peak, promised);
	world.store = (QhStore) {.links = world_links, .score = world_score, .max_degree = world.graph->max_degree, .nnodes = N};
	input.entries = world.graph->entries;
	input.nentries = world.graph->nentries;
	ok(qh_check(&alloc, &world.store, &input) == 0 && world.nfaults == 0, "e^%g, %d trees: the graph is sound", spread, ntrees);
	found = recall(&world, 80);
	ok(found >= wanted, "e^%g, %d trees: recall %.3f at ef 80", spread, ntrees, found);
	again = qh_build(&alloc, &space, &params);
	ok(memcmp(again->links, world.graph->links, (size_t) N * 2 * M * sizeof(QhLink)) == 0, "e^%g, %d trees: built again it is the same", spread, ntrees);
	qh_graph_free(&alloc, again);
	qh_graph_free(&alloc, world.graph);
	world_close(&world);
}

int
main(void)
{
	test_build(2, 6, 0.97);
	test_build(2, 0, 0.97);
	test_build(0, 6, 0.97);
	return done_testing();
}
