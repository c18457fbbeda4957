/*
 * splitter.c
 *		Which shard a code belongs to: a tree of cuts learned from a sample.
 *
 * Knows codes only through distances.  The cuts are those of partition.c, but
 * what they were cut at is kept, with the pivots' codes, so that codes that are not in
 * the sample can be led down the tree one by one.  BUILD.md, "Builds in shards".
 */
#include <string.h>

#include "graph/bulk.h"
#include "graph/shard.h"

typedef struct Cut
{
	float		at;				/* a code whose sum is less goes left, one whose sum is more right */
	uint32_t	ties;			/* of those whose sum is equal, the ones whose hash is less go left */
	uint32_t	left_shards;
	uint32_t	npivots;		/* a side; 0 where the sample was too small: all are ties */
} Cut;

/* Followed by a cut for each inner node, the left subtree before the right one, and each cut's pivots: side 0, side 1. */
struct QhSplitter
{
	uint32_t	nshards;
	uint32_t	salt;
	uint64_t	stride;
};

typedef struct Splitting
{
	QhBulk		build;
	QhSplitter *splitter;
} Splitting;

static inline Cut *
cuts_of(const QhSplitter *splitter)
{
	return (Cut *) (void *) (splitter + 1);
}

static inline uint8_t *
pivots_of(const QhSplitter *splitter, uint32_t cut)
{
	uint8_t    *begin = (uint8_t *) (cuts_of(splitter) + splitter->nshards);

	return begin + (size_t) cut * 2 * QH_SPLIT_PIVOTS * splitter->stride;
}

size_t
qh_splitter_nbytes(uint32_t nshards, size_t stride)
{
	return sizeof(QhSplitter) + (size_t) nshards * (sizeof(Cut) + 2 * QH_SPLIT_PIVOTS * stride);
}

/* Equal codes have equal hashes, other ones in every cut. */
static uint32_t
hash_code(const uint8_t *code, size_t nbytes, uint32_t salt)
{
	uint64_t	hash = salt;

	while (nbytes > 0)
	{
		uint64_t	word = 0;
		size_t		part = nbytes < sizeof(word) ? nbytes : sizeof(word);

		memcpy(&word, code, part);
		hash = qh_mix64(hash ^ word);
		code += part;
		nbytes -= part;
	}
	return (uint32_t) (hash >> 32);
}

/*
 * Where a range of keys was cut, left of them to one side: half way between the two sides, or at a distance that both have.
 * Ties are shared out as they were in the sample.
 */
static void
set_cut(Cut *cut, const uint64_t *keys, uint32_t n, uint32_t left)
{
	uint32_t	nties[2] = {0, 0};
	uint64_t	last = 0;
	uint64_t	first = QH_KEY_NONE;

	for (uint32_t i = 0; i < left; i++)
		if (keys[i] > last)
			last = keys[i];
	for (uint32_t i = left; i < n; i++)
		if (keys[i] < first)
			first = keys[i];
	if (qh_key_dist(last) < qh_key_dist(first))
	{
		cut->at = (qh_key_dist(last) + qh_key_dist(first)) / 2;
		cut->ties = UINT32_C(1) << 31;
		return;
	}
	cut->at = qh_key_dist(last);
	for (uint32_t i = 0; i < n; i++)
		nties[i >= left] += qh_key_dist(keys[i]) == cut->at;
	cut->ties = (uint32_t) (((uint64_t) nties[0] << 32) / (nties[0] + nties[1]));
}

static void
copy_pivots(Splitting *splitting, uint32_t at, const QhSplit *split)
{
	size_t		stride = splitting->splitter->stride;
	uint8_t    *out = pivots_of(splitting->splitter, at);

	for (int side = 0; side < 2; side++)
		for (int p = 0; p < split->npivots; p++, out += stride)
			memcpy(out, qh_build_code(&splitting->build, split->sides[side][p]), stride);
}

/* Make the cuts from number at on that divide the sample's keys[0 .. n) into nshards. */
static void
divide(Splitting *splitting, uint64_t *keys, uint32_t n, uint32_t salt, uint32_t at, uint32_t nshards)
{
	QhBulk    *build = &splitting->build;
	Cut		   *cut = cuts_of(splitting->splitter) + at;
	uint32_t	next = (uint32_t) qh_mix64(build->params->seed ^ qh_mix64(at + 1));
	uint32_t	left;
	QhSplit		split;

	if (nshards == 1)
		return;
	QV_ASSERT(at < splitting->splitter->nshards - 1);
	cut->left_shards = nshards / 2;
	left = (uint32_t) ((uint64_t) n * cut->left_shards / nshards);
	if (left == 0)
	{
		cut->npivots = 0;
		cut->at = 0;
		cut->ties = (uint32_t) (((uint64_t) cut->left_shards << 32) / nshards);
		next = salt;
	}
	else
	{
		qh_split_choose(build, keys, n, salt, &split);
		qh_split_score(build, &split, keys, n, salt, next);
		qh_keys_partition(keys, n, left);
		set_cut(cut, keys, n, left);
		cut->npivots = (uint32_t) split.npivots;
		copy_pivots(splitting, at, &split);
	}
	qh_build_progress(build, QH_PHASE_PARTITION, n / 64 + 1, at, splitting->splitter->nshards);
	divide(splitting, keys, left, next, at + 1, cut->left_shards);
	divide(splitting, keys + left, n - left, next, at + cut->left_shards, nshards - cut->left_shards);
}

void
qh_splitter_init(QhSplitter *splitter, const QhAlloc *alloc, const QhSpace *sample, uint32_t nshards, uint64_t seed)
{
	QhBuildParams params = {.seed = seed};
	Splitting	splitting = {.build = {.alloc = alloc, .space = sample, .params = &params, .n = sample->n}, .splitter = splitter};
	uint32_t	salt = (uint32_t) qh_mix64(seed);
	uint64_t   *keys = qh_build_alloc(&splitting.build, (size_t) sample->n * sizeof(uint64_t));

	splitting.build.split_codes = qh_build_alloc(&splitting.build, qh_split_ncodes() * sample->stride);
	memset(splitter, 0, qh_splitter_nbytes(nshards, sample->stride));
	splitter->nshards = nshards;
	splitter->salt = salt;
	splitter->stride = sample->stride;
	for (uint32_t i = 0; i < sample->n; i++)
		keys[i] = qh_key(0, i, salt);
	divide(&splitting, keys, sample->n, salt, 0, nshards);
	qh_build_release(&splitting.build, splitting.build.split_codes);
	qh_build_release(&splitting.build, keys);
}

static bool
goes_left(const QhSplitter *splitter, const QhSpace *space, uint32_t at, const uint8_t *code)
{
	const Cut  *cut = cuts_of(splitter) + at;
	float		dist[2 * QH_SPLIT_PIVOTS];
	float		sum = 0;

	if (cut->npivots > 0)
		qh_space_place_block(space, code, 1, pivots_of(splitter, at), 2 * (int) cut->npivots, dist);
	for (uint32_t p = 0; p < cut->npivots; p++)
	{
		sum += dist[p];
		sum -= dist[cut->npivots + p];
	}
	if (sum != cut->at)
		return sum < cut->at;
	return hash_code(code, splitter->stride, splitter->salt ^ at) < cut->ties;
}

uint32_t
qh_splitter_shard(const QhSplitter *splitter, const QhSpace *space, const uint8_t *code)
{
	uint32_t	at = 0;
	uint32_t	shard = 0;
	uint32_t	nshards = splitter->nshards;

	/* cuts of a left subtree of k shards are the k - 1 that follow its parent's */
	while (nshards > 1)
	{
		uint32_t	left_shards = cuts_of(splitter)[at].left_shards;

		if (goes_left(splitter, space, at, code))
		{
			at++;
			nshards = left_shards;
		}
		else
		{
			at += left_shards;
			shard += left_shards;
			nshards -= left_shards;
		}
	}
	return shard;
}
