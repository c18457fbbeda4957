/*
 * graph_bench.c
 *		Build speed, search work and recall of the graph room on flat memory.
 *
 * graph_bench [shards=N] DIRECTORY [bits|rabitq [m [ef_construction [hub_fraction m_low]]]]
 *
 * DIRECTORY is what prepare.py made.  Prints for each ef the share of the ten
 * nearest by cosine among the ef found ("among"), recall@10 of the codes' own
 * exact order with ties counted fairly ("exact"), and the work of a search.
 * Results are in test/bench/results/graph.md.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/pair_codes.h"
#include "graph/shard.h"

#define K 10

/* Ids among which the hubs come first: about as many as a group of pages holds. */
#define PERIOD 3000

typedef struct Rows
{
	uint32_t	n;
	uint32_t	dims;
	float	   *values;
} Rows;

typedef struct Bench
{
	QhStore		store;			/* first: the functions cast */
	QvCodec    *codec;
	QvQuery    *query;
	size_t		slot_nbytes;
	uint8_t    *codes;			/* of distinct codes */
	QvPairCodec *pair_codec;	/* NULL: links are chosen by the codes themselves */
	size_t		pair_nbytes;
	uint8_t    *pair_codes;
	uint32_t	n;
	uint32_t   *node_of_row;
	QhGraph    *graph;
} Bench;

static void *
get(size_t nbytes)
{
	void	   *p = aligned_alloc(64, (nbytes + 63) / 64 * 64);

	if (p == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

static size_t held = 0,
			held_peak = 0;

static void *
counted_alloc(void *ctx, size_t nbytes)
{
	size_t	   *p = get(nbytes + 64);

	(void) ctx;
	*p = nbytes;
	held += nbytes;
	if (held > held_peak)
		held_peak = held;
	return (char *) p + 64;
}

static void
counted_release(void *ctx, void *p)
{
	size_t	   *start = (size_t *) (void *) ((char *) p - 64);

	(void) ctx;
	held -= *start;
	free(start);
}

static const QhAlloc counted = {counted_alloc, counted_release, NULL};

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec * 1e-9;
}

static Rows
read_rows(const char *dir, const char *name)
{
	char		path[4096];
	uint32_t	head[2];
	Rows		rows;
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL || fread(head, sizeof(uint32_t), 2, f) != 2)
	{
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	rows.n = head[0];
	rows.dims = head[1];
	rows.values = get((size_t) rows.n * rows.dims * sizeof(float));
	if (fread(rows.values, sizeof(float) * rows.dims, rows.n, f) != rows.n)
	{
		fprintf(stderr, "%s is cut off\n", path);
		exit(1);
	}
	fclose(f);
	return rows;
}

/* ---- codes ---- */

static void
pack_signs(const float *x, uint32_t dims, uint8_t *out)
{
	memset(out, 0, (dims + 7) / 8);
	for (uint32_t i = 0; i < dims; i++)
		if (x[i] > 0)
			out[i / 8] |= (uint8_t) (0x80 >> (i % 8));
}

static size_t compare_nbytes;

static int
compare_codes(const void *a, const void *b)
{
	int			cmp = memcmp(*(uint8_t *const *) a, *(uint8_t *const *) b, compare_nbytes);

	if (cmp != 0)
		return cmp;
	return *(uint8_t *const *) a < *(uint8_t *const *) b ? -1 : 1;
}

/* Keep the first row of each distinct code. */
static void
remove_duplicates(Bench *bench, uint32_t nrows)
{
	uint8_t   **sorted = get(nrows * sizeof(uint8_t *));
	uint32_t   *first = get(nrows * sizeof(uint32_t));
	size_t		nbytes = bench->slot_nbytes;

	for (uint32_t i = 0; i < nrows; i++)
		sorted[i] = bench->codes + i * nbytes;
	compare_nbytes = nbytes;
	qsort(sorted, nrows, sizeof(uint8_t *), compare_codes);
	for (uint32_t i = 0; i < nrows; i++)
	{
		uint32_t	row = (uint32_t) ((size_t) (sorted[i] - bench->codes) / nbytes);

		if (i > 0 && memcmp(sorted[i - 1], sorted[i], nbytes) == 0)
			first[row] = first[(size_t) (sorted[i - 1] - bench->codes) / nbytes];
		else
			first[row] = row;
	}
	bench->node_of_row = get(nrows * sizeof(uint32_t));
	for (uint32_t row = 0; row < nrows; row++)
	{
		if (first[row] == row)
		{
			memmove(bench->codes + bench->n * nbytes, bench->codes + row * nbytes, nbytes);
			memmove(bench->pair_codes + bench->n * bench->pair_nbytes, bench->pair_codes + row * bench->pair_nbytes, bench->pair_nbytes);
			bench->node_of_row[row] = bench->n++;
		}
		else
			bench->node_of_row[row] = bench->node_of_row[first[row]];
	}
	free(first);
	free(sorted);
}

/* How rows are coded and linked. */
typedef struct Kind
{
	int			rabitq;
	uint32_t	nbits;			/* of the codes that are walked */
	QvMetric	metric;
	int			pairs;			/* links by codes for pairs */
} Kind;

static void
make_codes(Bench *bench, const Rows *base, const Kind *kind)
{
	float	   *centroid = get(base->dims * sizeof(float));
	QvCodecParams params = {
		.kind = kind->rabitq ? QV_CODE_RABITQ : QV_CODE_BITS,
		.metric = kind->rabitq ? kind->metric : QV_METRIC_HAMMING,
		.ndims = base->dims, .nbits = kind->nbits, .seed = 1, .centroid = kind->rabitq ? centroid : NULL
	};
	uint8_t    *bits = get((base->dims + 7) / 8);
	void	   *scratch;
	void	   *pair_scratch = NULL;

	for (uint32_t d = 0; d < base->dims; d++)
	{
		double		sum = 0;

		for (uint32_t i = 0; i < base->n; i += 7)
			sum += base->values[(size_t) i * base->dims + d];
		centroid[d] = (float) (sum / ((base->n + 6) / 7));
	}
	if (kind->metric == QV_METRIC_IP)
	{
		for (uint32_t i = 0; i < base->n; i++)
		{
			double		sum = 0;

			for (uint32_t d = 0; d < base->dims; d++)
				sum += (double) base->values[(size_t) i * base->dims + d] * base->values[(size_t) i * base->dims + d];
			if (sqrt(sum) > params.max_norm)
				params.max_norm = (float) sqrt(sum);
		}
	}
	bench->codec = qv_codec_init(get(qv_codec_sizeof(&params)), &params);
	bench->slot_nbytes = qv_codec_slot_nbytes(&params);
	bench->codes = get((size_t) base->n * bench->slot_nbytes);
	scratch = get(qv_codec_scratch_nbytes(bench->codec));
	if (kind->pairs)
	{
		bench->pair_codec = qv_pair_codec_init(get(qv_pair_codec_sizeof(&params)), &params);
		bench->pair_nbytes = qv_pair_code_nbytes(&params);
		bench->pair_codes = get((size_t) base->n * bench->pair_nbytes);
		pair_scratch = get(qv_pair_scratch_nbytes(bench->pair_codec));
	}
	for (uint32_t i = 0; i < base->n; i++)
	{
		const float *row = base->values + (size_t) i * base->dims;

		pack_signs(row, base->dims, bits);
		qv_codec_encode(bench->codec, kind->rabitq ? (const void *) row : bits, bench->codes + i * bench->slot_nbytes, scratch);
		if (kind->pairs)
			qv_pair_encode(bench->pair_codec, row, bench->pair_codes + i * bench->pair_nbytes, pair_scratch);
	}
	remove_duplicates(bench, base->n);
	bench->query = get(qv_query_sizeof(bench->codec));
	free(pair_scratch);
	free(scratch);
	free(bits);
	free(centroid);
}

static void
set_query(Bench *bench, const Rows *queries, uint32_t i, int rabitq)
{
	const float *row = queries->values + (size_t) i * queries->dims;
	uint8_t    *bits = get((queries->dims + 7) / 8);
	void	   *scratch = get(qv_codec_scratch_nbytes(bench->codec));

	pack_signs(row, queries->dims, bits);
	qv_query_init(bench->query, bench->codec, rabitq ? (const void *) row : bits, scratch);
	free(scratch);
	free(bits);
}

/* ---- store and space ---- */

static int
store_links(QhStore *store, QhNode node, QhLink *out)
{
	const Bench *bench = (const Bench *) store;
	const QhLink *links = bench->graph->links + (size_t) node * (size_t) store->max_degree;
	int			n = 0;

	for (; n < store->max_degree && links[n] != QH_INVALID_NODE; n++)
		out[n] = links[n];
	return n;
}

static void
store_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	const Bench *bench = (const Bench *) store;
	const uint8_t *slots[512];

	for (int i = 0; i < n; i++)
	{
		slots[i] = bench->codes + nodes[i] * bench->slot_nbytes;
		__builtin_prefetch(slots[i]);
		__builtin_prefetch(slots[i] + 64);
	}
	qv_query_score(bench->query, slots, n, dist);
}

static void
store_prefetch(QhStore *store, const QhNode *nodes, int n)
{
	const Bench *bench = (const Bench *) store;

	for (int i = 0; i < n; i++)
	{
		const QhLink *links = bench->graph->links + (size_t) nodes[i] * (size_t) store->max_degree;

		__builtin_prefetch(links);
		__builtin_prefetch(links + 16);
	}
}

static void
space_pair_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_codec_pair_block(ctx, rows, nrows, base, stride, n, dist);
}

static void
space_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_codec_pair(ctx, code, codes, n, dist);
}

static void
pairs_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_pair_block(ctx, QV_PAIR_DISTANCE, &(QvPairBlock) {rows, nrows, base, n, stride}, dist);
}

static void
pairs_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_pair_distances(ctx, QV_PAIR_DISTANCE, code, codes, n, dist);
}

static void
angles_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_pair_block(ctx, QV_PAIR_ANGLE, &(QvPairBlock) {rows, nrows, base, n, stride}, dist);
}

static void
angles_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_pair_distances(ctx, QV_PAIR_ANGLE, code, codes, n, dist);
}

static float
pairs_length(const void *ctx, const uint8_t *code)
{
	return qv_pair_length(ctx, code);
}

/* ---- measuring ---- */

static double last_mark;
static QhBuildPhase last_phase;

static void
mark_phase(void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total)
{
	static const char *const names[] = {"", "partition", "candidates", "prune", "reverse", "reach"};
	static double spent[6];
	double		t = now();

	(void) ctx;
	(void) done;
	(void) total;
	spent[last_phase] += t - last_mark;
	last_mark = t;
	last_phase = phase;
	if (total == 0)
		for (int i = 1; i < 6; i++)
			printf("  %s %.2f s\n", names[i], spent[i]);
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The distance of the tenth nearest code of each query. */
static float *
exact_tenth(Bench *bench, const Rows *queries, int rabitq)
{
	float	   *tenth = get(queries->n * sizeof(float));
	float	   *dist = get(bench->n * sizeof(float));

	for (uint32_t q = 0; q < queries->n; q++)
	{
		float		best[K];
		int			nbest = 0;

		set_query(bench, queries, q, rabitq);
		qv_query_score_strided(bench->query, bench->codes, bench->slot_nbytes, (int) bench->n, dist);
		for (uint32_t i = 0; i < bench->n; i++)
		{
			if (nbest < K)
				best[nbest++] = dist[i];
			else if (dist[i] < best[K - 1])
				best[K - 1] = dist[i];
			else
				continue;
			qsort(best, (size_t) nbest, sizeof(float), compare_floats);
		}
		tenth[q] = best[nbest - 1];
	}
	free(dist);
	return tenth;
}

static void
measure(Bench *bench, const Rows *queries, const uint32_t *truth, const float *tenth, int rabitq, int ef)
{
	QhSearch   *search = qh_search_create(&counted, &bench->store);
	QhSearchLimits limits = {.resumable = true};
	QhCandidate *seeds = get((size_t) bench->graph->nentries * sizeof(QhCandidate));
	float	   *dist = get((size_t) bench->graph->nentries * sizeof(float));
	uint64_t	among = 0,
				exact = 0,
				nscored = 0,
				nexpanded = 0;
	double		seconds = 0;

	for (uint32_t q = 0; q < queries->n; q++)
	{
		QhCandidate found;
		double		start;

		set_query(bench, queries, q, rabitq);
		start = now();
		for (int i = 0; i < bench->graph->nentries; i += 256)
		{
			int			part = bench->graph->nentries - i < 256 ? bench->graph->nentries - i : 256;

			store_score(&bench->store, bench->graph->entries + i, part, dist + i);
		}
		for (int i = 0; i < bench->graph->nentries; i++)
			seeds[i] = (QhCandidate) {dist[i], bench->graph->entries[i]};
		qh_search_start(search, &limits, seeds, bench->graph->nentries);
		for (int i = 0; i < ef && qh_search_next(search, (uint64_t) ef, &found); i++)
		{
			exact += i < K && found.dist <= tenth[q];
			for (int k = 0; k < K; k++)
				among += bench->node_of_row[truth[q * K + (uint32_t) k]] == found.node;
		}
		seconds += now() - start;
		nscored += qh_search_stats(search)->nscored;
		nexpanded += qh_search_stats(search)->nexpanded;
	}
	printf("ef %4d: among %.4f  exact %.4f  scored %.0f  expanded %.1f  %.1f us\n", ef,
		   (double) among / (K * queries->n), (double) exact / (K * queries->n),
		   (double) nscored / queries->n, (double) nexpanded / queries->n, seconds / queries->n * 1e6);
	free(dist);
	free(seeds);
	qh_search_destroy(search);
}

/* ---- builds in shards ---- */

/* One code in so many makes the splitters; one in so many gets coarse links. */
#define SAMPLE_STEP	8
#define COARSE_STEP 64

/* A division of the nodes: node[begin[s] .. begin[s + 1]) are those of shard s. */
typedef struct Division
{
	uint32_t	nshards;
	uint32_t   *begin;
	QhNode	   *node;
} Division;

/* What a division offers each node, in final ids. */
typedef struct Lists
{
	QhNode	   *nodes;			/* max a node */
	int		   *n;
	int			max;
} Lists;

typedef struct Sharded
{
	const QhSpace *space;
	const QhBuildParams *params;
	uint32_t	nshards;
	Division	first;			/* final ids are places in first.node */
	uint32_t   *id;
	uint32_t   *home;
	Lists		lists[QH_NDIVISIONS];	/* 0: coarse links */
} Sharded;

static Division
divide(const QhSpace *space, uint32_t nshards, uint64_t seed)
{
	QhSpace		sample = *space;
	uint8_t    *codes = get((space->n / SAMPLE_STEP + 1) * space->stride);
	QhSplitter *splitter = get(qh_splitter_nbytes(nshards, space->stride));
	uint32_t   *shard = get(space->n * sizeof(uint32_t));
	Division	result = {.nshards = nshards};

	sample.codes = codes;
	for (sample.n = 0; sample.n < space->n / SAMPLE_STEP; sample.n++)
		memcpy(codes + sample.n * space->stride, space->codes + (size_t) sample.n * SAMPLE_STEP * space->stride, space->stride);
	qh_splitter_init(splitter, &counted, &sample, nshards, seed);
	result.begin = calloc(nshards + 2, sizeof(uint32_t));
	result.node = get(space->n * sizeof(QhNode));
	for (uint32_t i = 0; i < space->n; i++)
	{
		shard[i] = qh_splitter_shard(splitter, space, space->codes + i * space->stride);
		result.begin[shard[i] + 2]++;
	}
	for (uint32_t i = 2; i <= nshards; i++)
		result.begin[i] += result.begin[i - 1];
	for (uint32_t i = 0; i < space->n; i++)
		result.node[result.begin[shard[i] + 1]++] = i;
	free(shard);
	free(splitter);
	free(codes);
	return result;
}

static QhSpace
space_of(const QhSpace *space, const QhNode *nodes, uint32_t n)
{
	QhSpace		result = *space;
	uint8_t    *codes = get(n * space->stride + 1);

	for (uint32_t i = 0; i < n; i++)
		memcpy(codes + i * space->stride, space->codes + nodes[i] * space->stride, space->stride);
	result.codes = codes;
	result.n = n;
	return result;
}

static void
keep_offers(Sharded *sharded, Lists *lists, const QhGraph *graph, const QhNode *nodes)
{
	for (uint32_t i = 0; i < graph->n; i++)
	{
		const QhLink *links = graph->links + (size_t) i * (size_t) graph->max_degree;
		QhNode	   *out = lists->nodes + (size_t) nodes[i] * (size_t) lists->max;
		int			n = 0;

		for (; n < graph->max_degree && links[n] != QH_INVALID_NODE; n++)
			out[n] = sharded->id[nodes[qh_link_node(links[n])]];
		lists->n[nodes[i]] = n;
	}
}

static void
link_between(Sharded *sharded, int division)
{
	Division	other = divide(sharded->space, sharded->nshards, 1 + (uint64_t) division);
	QhBuildParams params = qh_division_params(sharded->params, division);

	for (uint32_t s = 0; s < sharded->nshards; s++)
	{
		const QhNode *nodes = other.node + other.begin[s];
		QhSpace		space = space_of(sharded->space, nodes, other.begin[s + 1] - other.begin[s]);
		uint32_t   *home = get(space.n * sizeof(uint32_t) + 1);
		QhGraph    *graph;

		for (uint32_t i = 0; i < space.n; i++)
			home[i] = sharded->home[nodes[i]];
		graph = qh_build_between(&counted, &space, &params, home);
		keep_offers(sharded, &sharded->lists[division], graph, nodes);
		qh_graph_free(&counted, graph);
		free((void *) space.codes);
		free(home);
	}
}

static void
link_sample(Sharded *sharded)
{
	uint32_t	n = 0;
	QhNode	   *nodes = get(sharded->space->n * sizeof(QhNode));
	QhSpace		space;
	QhGraph    *graph;

	for (uint32_t i = COARSE_STEP / 2; i < sharded->space->n; i += COARSE_STEP)
		nodes[n++] = sharded->first.node[i];
	space = space_of(sharded->space, nodes, n);
	graph = qh_build_coarse(&counted, &space, sharded->params);
	keep_offers(sharded, &sharded->lists[0], graph, nodes);
	qh_graph_free(&counted, graph);
	free((void *) space.codes);
	free(nodes);
}

/* The graph of a shard, with final ids, into the whole one. */
static void
link_within(Sharded *sharded, uint32_t shard, QhGraph *whole)
{
	QhShardRange range = {sharded->first.begin[shard], sharded->first.begin[shard + 1] - sharded->first.begin[shard]};
	const QhNode *nodes = sharded->first.node + range.base;
	QhBuildParams params = qh_division_params(sharded->params, 0);
	QhSpace		space = space_of(sharded->space, nodes, range.n);
	int			away_max = qh_away_max(params.m, sharded->nshards);
	uint64_t   *begin = get((range.n + 1) * sizeof(uint64_t));
	QhNode	   *within = get((size_t) range.n * QH_NBETWEEN * (size_t) whole->max_degree * sizeof(QhNode) + 1);
	QhNode	   *away = get((size_t) range.n * (size_t) away_max * sizeof(QhNode) + 1);
	uint8_t    *taken = get(range.n + 1);
	QhGraph    *graph;

	begin[0] = 0;
	for (uint32_t i = 0; i < range.n; i++)
	{
		QhOffer		offers[QH_NDIVISIONS];
		QhJoined	joined = {.within = within + begin[i], .away = away + (size_t) i * (size_t) away_max};

		for (int d = 0; d < QH_NDIVISIONS; d++)
			offers[d] = (QhOffer) {sharded->lists[d].nodes + (size_t) nodes[i] * (size_t) sharded->lists[d].max, sharded->lists[d].n[nodes[i]]};
		qh_join_offers(&offers[0], offers + 1, &range, away_max, &joined);
		begin[i + 1] = begin[i] + (uint64_t) joined.nwithin;
		taken[i] = (uint8_t) joined.naway;
	}
	params.max_entries = qh_entries_wanted(sharded->space->n, params.max_entries) / (int) sharded->nshards + 1;
	graph = qh_build_within(&counted, &space, &params, &(QhKnown) {range.base, begin, within, taken, params.max_entries});
	for (uint32_t i = 0; i < range.n; i++)
	{
		QhLink	   *links = graph->links + (size_t) i * (size_t) graph->max_degree;
		QhLink	   *out = whole->links + (size_t) nodes[i] * (size_t) whole->max_degree;
		QhLink		list[1000];
		QhFinalInput input = {&params.hubs, whole->max_degree, range.base + i, links, 0, away + (size_t) i * (size_t) away_max, taken[i]};
		int			n;

		for (; input.nwithin < graph->max_degree && links[input.nwithin] != QH_INVALID_NODE; input.nwithin++)
			links[input.nwithin] += range.base;
		n = qh_final_links(&input, list);
		for (int j = 0; j < n; j++)
			out[j] = sharded->first.node[qh_link_node(list[j])] | (list[j] & QH_TREE_LINK);
		for (; n < whole->max_degree; n++)
			out[n] = QH_INVALID_NODE;
	}
	for (int i = 0; i < graph->nentries; i++)
		whole->entries[whole->nentries++] = nodes[graph->entries[i]];
	qh_graph_free(&counted, graph);
	free(taken);
	free(away);
	free(within);
	free(begin);
	free((void *) space.codes);
}

static QhGraph *
build_in_shards(const QhSpace *space, const QhBuildParams *params, uint32_t nshards)
{
	Sharded		sharded = {space, params, nshards, divide(space, nshards, 1), get(space->n * sizeof(uint32_t)), get(space->n * sizeof(uint32_t)), {{0}}};
	QhGraph    *whole = counted_alloc(NULL, sizeof(QhGraph));

	*whole = (QhGraph) {.n = space->n, .max_degree = 2 * params->m};
	whole->entries = counted_alloc(NULL, space->n * sizeof(QhNode));
	whole->links = counted_alloc(NULL, (size_t) space->n * (size_t) whole->max_degree * sizeof(QhLink));
	whole->order = sharded.first.node;
	for (uint32_t s = 0; s < nshards; s++)
	{
		for (uint32_t i = sharded.first.begin[s]; i < sharded.first.begin[s + 1]; i++)
		{
			sharded.id[sharded.first.node[i]] = i;
			sharded.home[sharded.first.node[i]] = s;
		}
	}
	for (int d = 0; d < QH_NDIVISIONS; d++)
		sharded.lists[d] = (Lists) {get((size_t) space->n * (size_t) whole->max_degree * sizeof(QhNode)), calloc(space->n, sizeof(int)), whole->max_degree};
	link_sample(&sharded);
	for (int d = 1; d < QH_NDIVISIONS; d++)
		link_between(&sharded, d);
	for (uint32_t s = 0; s < nshards; s++)
		link_within(&sharded, s, whole);
	return whole;
}

int
main(int argc, char **argv)
{
	static const int efs[] = {10, 20, 40, 80, 100, 160};
	Bench		bench = {.n = 0};
	QhSpace		space = {.pair_block = space_pair_block, .pair = space_pair};
	QhBuildParams params = {.m = 16, .ef_construction = 64, .seed = 1, .max_entries = 4096, .progress = mark_phase};
	Kind		kind = {.nbits = 1, .metric = QV_METRIC_COSINE};
	Rows		base,
				queries,
				truth;
	float	   *tenth;
	double		start,
				seconds;
	uint64_t	nlinks = 0;
	uint32_t	nshards = 0;

	if (argc > 1 && strncmp(argv[1], "shards=", 7) == 0)
	{
		nshards = (uint32_t) atoi(argv[1] + 7);
		argv++;
		argc--;
	}
	for (; argc > 1 && strchr(argv[1], '=') != NULL; argv++, argc--)
	{
		if (strncmp(argv[1], "width=", 6) == 0)
			kind.nbits = (uint32_t) atoi(argv[1] + 6);
		else if (strcmp(argv[1], "links=pairs") == 0)
			kind.pairs = 1;
		else if (strcmp(argv[1], "metric=l2") == 0)
			kind.metric = QV_METRIC_L2;
		else if (strcmp(argv[1], "metric=ip") == 0)
			kind.metric = QV_METRIC_IP;
	}
	if (argc < 2)
	{
		fprintf(stderr, "usage: graph_bench [shards=N] DIRECTORY [bits|rabitq [m [ef_construction [hub_fraction m_low]]]]\n");
		return 1;
	}
	kind.rabitq = argc > 2 && strcmp(argv[2], "rabitq") == 0;
	if (argc > 3)
		params.m = atoi(argv[3]);
	if (argc > 4)
		params.ef_construction = atoi(argv[4]);
	if (argc > 6)
		params.hubs = (QhHubs) {.period = PERIOD, .count = (uint32_t) (atof(argv[5]) * PERIOD), .low_nbytes = 4 * (uint32_t) atoi(argv[6])};
	base = read_rows(argv[1], "base.fbin");
	queries = read_rows(argv[1], "query.fbin");
	truth = read_rows(argv[1], "truth.ibin");	/* the same header, and 4 bytes a value */
	make_codes(&bench, &base, &kind);
	free(base.values);
	printf("%u rows, %u distinct codes of %zu bytes, m %d, ef_construction %d\n", base.n, bench.n, bench.slot_nbytes, params.m, params.ef_construction);

	space.ctx = bench.codec;
	space.codes = bench.codes;
	space.stride = bench.slot_nbytes;
	space.n = bench.n;
	if (kind.pairs)
		space = (QhSpace) {.pair_block = pairs_block, .pair = pairs_pair, .ctx = bench.pair_codec, .codes = bench.pair_codes, .stride = bench.pair_nbytes, .n = bench.n};
	if (kind.pairs && kind.metric == QV_METRIC_IP)
	{
		space.place_block = angles_block;
		space.place = angles_pair;
		space.length = pairs_length;
	}
	start = last_mark = now();
	bench.graph = nshards > 0 ? build_in_shards(&space, &params, nshards) : qh_build(&counted, &space, &params);
	seconds = now() - start;
	for (size_t i = 0; i < (size_t) bench.n * (size_t) bench.graph->max_degree; i++)
		nlinks += bench.graph->links[i] != QH_INVALID_NODE;
	printf("build %.2f s, %.0f nodes/s, %.0f bytes a node at the peak (%.0f promised), mean degree %.1f, %d entry points\n", seconds, bench.n / seconds,
		   (double) held_peak / bench.n, (double) qh_build_nbytes(bench.n, &params, space.stride) / bench.n, (double) nlinks / bench.n, bench.graph->nentries);
	mark_phase(NULL, 0, 0, 0);

	bench.store = (QhStore) {.links = store_links, .score = store_score, .prefetch = store_prefetch, .prefetch_max = QH_PREFETCH_MAX, .max_degree = bench.graph->max_degree,
		.nnodes = bench.n};
	tenth = exact_tenth(&bench, &queries, kind.rabitq);
	for (size_t i = 0; i < sizeof(efs) / sizeof(efs[0]); i++)
		measure(&bench, &queries, (const uint32_t *) (const void *) truth.values, tenth, kind.rabitq, efs[i]);
	return 0;
}
