/*
 * partition.c
 *		Random balanced trees over codes: nearby nodes fall into the same leaf.
 *
 * Knows codes only through distances between them.  A split is a two-means
 * step without means: with several pivots on each side, the sum of distances
 * to one side's pivots less the sum to the other's is what the distance to
 * their centroids would give (exactly so for Hamming).  It is cut at its
 * median, so that leaves are equally large whatever the data: one cluster,
 * sorted input and equal distances included.  BUILD.md, "Phases".
 */
#include <string.h>

#include "graph/bulk.h"

/* Nodes sampled to find the pivots of a split, and rounds of two-means among them; chosen by hand. */
#ifndef QH_SPLIT_SAMPLE
#define QH_SPLIT_SAMPLE		32
#endif
#define SPLIT_ROUNDS		3

/* Nodes scored at a time: their codes stay in the first cache while the pivots pass over them. */
#define SPLIT_BATCH			128

size_t
qh_split_ncodes(void)
{
	return 2 * QH_SPLIT_PIVOTS + SPLIT_BATCH;
}

typedef void PairFunction(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist);

static void
pair_by(const QhSpace *space, PairFunction *pair, QhNode node, const QhNode *nodes, int n, float *dist)
{
	const uint8_t *codes[SPLIT_BATCH];
	const uint8_t *code = space->codes + (size_t) node * space->stride;

	for (int done = 0; done < n;)
	{
		int			part = n - done < SPLIT_BATCH ? n - done : SPLIT_BATCH;

		for (int i = 0; i < part; i++)
			codes[i] = space->codes + (size_t) nodes[done + i] * space->stride;
		pair(space->ctx, code, codes, part, dist + done);
		done += part;
	}
}

void
qh_space_pair(const QhSpace *space, QhNode node, const QhNode *nodes, int n, float *dist)
{
	pair_by(space, space->pair, node, nodes, n, dist);
}

void
qh_space_place(const QhSpace *space, QhNode node, const QhNode *nodes, int n, float *dist)
{
	pair_by(space, space->place != NULL ? space->place : space->pair, node, nodes, n, dist);
}

static void
space_store_pair(QhStore *store, QhNode node, const QhNode *nodes, int n, float *dist)
{
	qh_space_pair(((QhSpaceStore *) store)->space, node, nodes, n, dist);
}

void
qh_space_store_init(QhSpaceStore *store, const QhSpace *space)
{
	store->store = (QhStore) {.pair = space_store_pair};
	store->space = space;
}

/* Margin of sample i: mean distance to the sample's side a less that to side b. */
static float
sample_margin(const float *dist, const uint8_t *side, int nsample, int i)
{
	float		sum[2] = {0, 0};
	int			count[2] = {0, 0};

	for (int j = 0; j < nsample; j++)
	{
		sum[side[j]] += dist[i * nsample + j];
		count[side[j]]++;
	}
	return sum[0] / (float) count[0] - sum[1] / (float) count[1];
}

/*
 * Two-means within the sample, cut at the median in every round so that
 * neither side can run dry.  Afterwards rank holds the sample sorted from the
 * heart of side 0 to that of side 1.
 */
static void
sample_two_means(const float *dist, int nsample, uint64_t *rank, uint64_t *random)
{
	uint8_t		side[QH_SPLIT_SAMPLE];
	int			first = (int) qh_random_below(random, (uint32_t) nsample);
	int			second = first == 0 ? 1 : 0;

	for (int i = 0; i < nsample; i++)
		if (dist[first * nsample + i] > dist[first * nsample + second])
			second = i;
	for (int i = 0; i < nsample; i++)
		rank[i] = qh_key(dist[i * nsample + first] - dist[i * nsample + second], (QhNode) i, 0);
	for (int round = 0; round < SPLIT_ROUNDS; round++)
	{
		qh_keys_sort(rank, (uint32_t) nsample);
		for (int i = 0; i < nsample; i++)
			side[qh_key_node(rank[i], 0)] = i >= nsample / 2;
		for (int i = 0; i < nsample; i++)
			rank[i] = qh_key(sample_margin(dist, side, nsample, i), (QhNode) i, 0);
	}
	qh_keys_sort(rank, (uint32_t) nsample);
}

void
qh_build_copy_codes(const QhBulk *build, const QhNode *nodes, uint32_t n, uint8_t *out)
{
	size_t		stride = build->space->stride;

	for (uint32_t i = 0; i < n; i++)
		memcpy(out + i * stride, qh_build_code(build, nodes[i]), stride);
}

void
qh_split_choose(QhBulk *build, const uint64_t *keys, uint32_t n, uint32_t salt, QhSplit *split)
{
	QhNode		sample[QH_SPLIT_SAMPLE];
	float		dist[QH_SPLIT_SAMPLE * QH_SPLIT_SAMPLE];
	uint64_t	rank[QH_SPLIT_SAMPLE];
	uint64_t	random = salt;
	int			nsample = n < QH_SPLIT_SAMPLE ? (int) n : QH_SPLIT_SAMPLE;
	int			step;

	/* one from each stretch of the range: no node twice */
	for (int i = 0; i < nsample; i++)
	{
		uint32_t	begin = (uint32_t) ((uint64_t) n * (uint32_t) i / (uint32_t) nsample);
		uint32_t	end = (uint32_t) ((uint64_t) n * ((uint32_t) i + 1) / (uint32_t) nsample);

		sample[i] = qh_key_node(keys[begin + qh_random_below(&random, end - begin)], salt);
	}
	qh_build_copy_codes(build, sample, (uint32_t) nsample, build->split_codes);
	qh_space_place_block(build->space, build->split_codes, nsample, build->split_codes, nsample, dist);
	sample_two_means(dist, nsample, rank, &random);

	/* spread over each side's half: its extremes alone would describe outliers */
	QV_ASSERT(nsample >= 2);
	split->npivots = nsample / 2 < QH_SPLIT_PIVOTS ? nsample / 2 : QH_SPLIT_PIVOTS;
	step = nsample / 2 / split->npivots;
	for (int i = 0; i < split->npivots; i++)
	{
		split->sides[0][i] = sample[qh_key_node(rank[i * step], 0)];
		split->sides[1][i] = sample[qh_key_node(rank[nsample - 1 - i * step], 0)];
	}
}

void
qh_split_score(QhBulk *build, const QhSplit *split, uint64_t *keys, uint32_t n, uint32_t salt, uint32_t next)
{
	const QhSpace *space = build->space;
	uint8_t    *codes = build->split_codes + 2 * QH_SPLIT_PIVOTS * space->stride;
	QhNode		nodes[SPLIT_BATCH];
	float		sum[SPLIT_BATCH];
	float		dist[2 * QH_SPLIT_PIVOTS * SPLIT_BATCH];

	for (int side = 0; side < 2; side++)
		qh_build_copy_codes(build, split->sides[side], (uint32_t) split->npivots, build->split_codes + side * split->npivots * space->stride);
	for (uint32_t done = 0; done < n;)
	{
		uint32_t	part = n - done < SPLIT_BATCH ? n - done : SPLIT_BATCH;

		for (uint32_t i = 0; i < part; i++)
		{
			nodes[i] = qh_key_node(keys[done + i], salt);
			sum[i] = 0;
		}
		qh_build_copy_codes(build, nodes, part, codes);
		qh_space_place_block(space, build->split_codes, 2 * split->npivots, codes, (int) part, dist);
		for (int p = 0; p < split->npivots; p++)
		{
			const float *near = dist + (uint32_t) p * part;
			const float *far = near + (uint32_t) split->npivots * part;

			for (uint32_t i = 0; i < part; i++)
			{
				sum[i] += near[i];
				sum[i] -= far[i];
			}
		}
		for (uint32_t i = 0; i < part; i++)
			keys[done + i] = qh_key(sum[i], nodes[i], next);
		done += part;
	}
}

/* A range of keys and the leaves it is to become. */
typedef struct Range
{
	uint32_t	begin;
	uint32_t	end;
	uint32_t	leaf_begin;
	uint32_t	leaf_end;
	uint32_t	salt;			/* of the keys */
} Range;

/* Divide a range into its leaves; the depth is the logarithm of the number of leaves. */
static void
split_range(QhBulk *build, int tree, Range range)
{
	uint32_t	n = range.end - range.begin;
	uint32_t	nleaves = range.leaf_end - range.leaf_begin;
	uint32_t	left_leaves = nleaves / 2;
	uint32_t	left;
	uint64_t   *keys = build->keys + range.begin;
	uint32_t	next;
	QhSplit		split;

	if (nleaves == 1)
	{
		QV_ASSERT(range.leaf_begin < build->nleaves && range.end <= build->n);
		build->leaf_begin[range.leaf_begin] = range.begin;
		for (uint32_t i = 0; i < n; i++)
			build->perm[range.begin + i] = qh_key_node(keys[i], range.salt);
		return;
	}
	/* ties fall anew in every split of every tree */
	next = (uint32_t) qh_mix64(build->params->seed ^ qh_mix64(((uint64_t) tree << 32) + range.begin) ^ range.leaf_end);
	left = (uint32_t) ((uint64_t) n * left_leaves / nleaves);
	qh_split_choose(build, keys, n, range.salt, &split);
	qh_split_score(build, &split, keys, n, range.salt, next);
	qh_keys_partition(keys, n, left);
	qh_build_progress(build, QH_PHASE_PARTITION, n / 64 + 1, (uint64_t) tree * build->n + range.begin, (uint64_t) build->ntrees * build->n);

	split_range(build, tree, (Range) {range.begin, range.begin + left, range.leaf_begin, range.leaf_begin + left_leaves, next});
	split_range(build, tree, (Range) {range.begin + left, range.end, range.leaf_begin + left_leaves, range.leaf_end, next});
}

void
qh_partition(QhBulk *build, int tree)
{
	uint32_t	salt = (uint32_t) qh_mix64(build->params->seed + (uint64_t) tree);

	for (uint32_t i = 0; i < build->n; i++)
		build->keys[i] = qh_key(0, i, salt);
	build->leaf_begin[build->nleaves] = build->n;
	build->split_codes = qh_build_alloc(build, qh_split_ncodes() * build->space->stride);
	split_range(build, tree, (Range) {0, build->n, 0, build->nleaves, salt});
	qh_build_release(build, build->split_codes);
}
