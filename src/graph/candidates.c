/*
 * candidates.c
 *		Near pairs inside the leaves of a partition, kept in a bounded list a node.
 *
 * Knows codes only through distances.  A few rows of a leaf at a time: the
 * distances of some nodes to all others, codes laid side by side.  What is nearer than the
 * worst of the node's list goes through a quickselect and a sort into it; while
 * the list is not full, a guess from some of the row's distances stands for the
 * worst.  Each pair is computed twice, once for either end: that costs less
 * than what a threshold and a buffer for both ends would.
 * BUILD.md, "Phases".
 */
#include <math.h>
#include <string.h>

#include "graph/bulk.h"
#include "kernel/kernel.h"

/* Nodes of a leaf whose distances to all are computed together: codes that are loaded serve them all.  doc/decisions/0064. */
#ifndef QH_LEAF_ROWS
#define QH_LEAF_ROWS		16
#endif

/* Distances of a row from which the one that nkeep others stay below is guessed, and how many of them must lie below it; chosen by hand. */
#define GUESS_FROM			32
#define GUESS_RANK(nkeep, n)	(GUESS_FROM * 2 * (nkeep) / (n) + 2)

/* So many keys are cut to nkeep before they are sorted, fewer after: sorting them is cheaper then; chosen by hand. */
#define PARTITION_FROM(nkeep)	(2 * (nkeep))

/* How much larger leaves get from step to step where the longest nodes are sought.  doc/decisions/0111. */
#ifndef QH_LONGEST_RATIO
#define QH_LONGEST_RATIO	4
#endif

typedef struct QhLeafWork
{
	uint8_t    *codes;			/* of the leaf's columns, stride apart */
	uint8_t    *rows;			/* of QH_LEAF_ROWS other nodes of it */
	float	   *dist;			/* of QH_LEAF_ROWS rows */
	uint32_t   *near;			/* places in the row that passed */
	uint64_t   *keys;			/* their keys */
	uint64_t   *sorted;			/* the same, in order */
	uint64_t   *merged;			/* nkeep */
} QhLeafWork;

/* ---- leaves ---- */

static uint32_t
leaf_count(uint32_t n, uint32_t target, int nkeep)
{
	/* a list cannot be filled well from a leaf that is hardly larger */
	if (target < 4 * (uint32_t) nkeep)
		target = 4 * (uint32_t) nkeep;
	return n > target ? (n - 1) / target + 1 : 1;
}

/* Splitting nodes in proportion to leaves rounds down at every level: a leaf is larger than the mean by at most this. */
static uint32_t
largest_leaf(uint32_t n, uint32_t nleaves)
{
	return nleaves == 1 ? n : n / nleaves + 2;
}

static size_t
leaf_work_nbytes(uint32_t leaf_max, int nkeep, size_t stride)
{
	size_t		n = leaf_max;

	return sizeof(QhLeafWork) + QH_LEAF_ROWS * stride + n * (stride + QH_LEAF_ROWS * sizeof(float) + 2 * sizeof(uint64_t) + sizeof(uint32_t)) +
		(size_t) nkeep * sizeof(uint64_t);
}

size_t
qh_candidates_nbytes(uint32_t n, uint32_t leaf_nodes, int nkeep, size_t stride)
{
	uint32_t	nleaves = leaf_count(n, leaf_nodes, nkeep);

	return (size_t) n * ((size_t) nkeep + 1) * sizeof(uint64_t) + ((size_t) nleaves + 1) * sizeof(uint32_t) +
		leaf_work_nbytes(largest_leaf(n, nleaves), nkeep, stride) + qh_split_ncodes() * stride;
}

static QhLeafWork *
create_leaf_work(QhBulk *build)
{
	QhLeafWork *work = qh_build_alloc(build, sizeof(QhLeafWork));
	size_t		n = build->leaf_max;

	work->codes = qh_build_alloc(build, n * build->space->stride);
	work->rows = qh_build_alloc(build, QH_LEAF_ROWS * build->space->stride);
	work->dist = qh_build_alloc(build, n * QH_LEAF_ROWS * sizeof(float));
	work->near = qh_build_alloc(build, n * sizeof(uint32_t));
	work->keys = qh_build_alloc(build, n * sizeof(uint64_t));
	work->sorted = qh_build_alloc(build, n * sizeof(uint64_t));
	work->merged = qh_build_alloc(build, (size_t) build->nkeep * sizeof(uint64_t));
	return work;
}

static void
destroy_leaf_work(QhBulk *build, QhLeafWork *work)
{
	qh_build_release(build, work->codes);
	qh_build_release(build, work->rows);
	qh_build_release(build, work->dist);
	qh_build_release(build, work->near);
	qh_build_release(build, work->keys);
	qh_build_release(build, work->sorted);
	qh_build_release(build, work->merged);
	qh_build_release(build, work);
}

/* ---- the near ones of a row ---- */

/* A distance that probably more than nkeep of n lie within, not many more; INFINITY where only all are enough. */
static float
guess_limit(const float *dist, uint32_t n, uint32_t nkeep)
{
	float		least[GUESS_FROM];
	uint32_t	rank = n > 4 * nkeep ? GUESS_RANK(nkeep, n) : GUESS_FROM;

	if (rank >= GUESS_FROM)
		return INFINITY;
	for (uint32_t j = 0; j < rank; j++)
		least[j] = INFINITY;
	for (uint32_t i = 0; i < GUESS_FROM; i++)
	{
		float		d = dist[(uint64_t) n * i / GUESS_FROM];
		uint32_t	j = rank - 1;

		if (d >= least[j])
			continue;
		for (; j > 0 && least[j - 1] > d; j--)
			least[j] = least[j - 1];
		least[j] = d;
	}
	return least[rank - 1];
}

/* A node of a leaf, and its distances to the leaf's columns: all of its nodes, or those that the others are to be linked to. */
typedef struct LeafRow
{
	const QhNode *nodes;		/* columns come first */
	uint32_t	n;				/* columns */
	uint32_t	i;				/* its place among the nodes */
	float	   *dist;
} LeafRow;

/*
 * The keys of those of a leaf that a node's list may want, worst being the last of that list: the
 * nearest nkeep of them, sorted.  Returns their number.
 */
static uint32_t
near_keys(QhBulk *build, QhLeafWork *work, const LeafRow *row, uint64_t worst)
{
	const QhNode *nodes = row->nodes;
	uint32_t	n = row->n;
	float	   *dist = row->dist;
	uint32_t	(*below) (const float *, uint32_t, float, uint32_t *) = qv_kernels()->below_f32;
	uint32_t	nkeep = (uint32_t) build->nkeep;
	uint32_t	salt = qh_key_salt(nodes[row->i]);
	uint32_t	count;

	if (row->i < n)
		dist[row->i] = INFINITY;
	if (worst != QH_KEY_NONE)
		count = below(dist, n, qh_key_dist(worst), work->near);
	else
	{
		count = below(dist, n, guess_limit(dist, n, nkeep), work->near);
		if (count < nkeep)
			count = below(dist, n, INFINITY, work->near);
	}
	QV_ASSERT(count <= n);
	for (uint32_t k = 0; k < count; k++)
		work->keys[k] = qh_key(dist[work->near[k]], nodes[work->near[k]], salt);
	if (count > PARTITION_FROM(nkeep))
	{
		qh_keys_partition(work->keys, count, nkeep);
		count = nkeep;
	}
	qh_keys_sort_into(work->keys, count, work->sorted);
	return count < nkeep ? count : nkeep;
}

/*
 * Merge count sorted keys into a list.  A pair met in an earlier tree has the
 * same distance and so the same key: it is dropped by comparing neighbours.
 */
static void
merge_list(QhBulk *build, QhLeafWork *work, uint32_t count, uint64_t *list)
{
	size_t		nkeep = (size_t) build->nkeep;
	const uint64_t *keys = work->sorted;
	size_t		a = 0;
	uint32_t	b = 0;
	size_t		n = 0;

	if (count == 0)
		return;

	/* the lesser of the two fronts goes out, both move on if they are equal: nothing has to be predicted */
	for (; n < nkeep && b < count; n++)
	{
		uint64_t	old = list[a];
		uint64_t	key = keys[b];

		work->merged[n] = old < key ? old : key;
		a += old <= key;
		b += key <= old;
	}
	QV_ASSERT(n <= nkeep && a + (nkeep - n) <= nkeep);
	memcpy(work->merged + n, list + a, (nkeep - n) * sizeof(uint64_t));
	memcpy(list, work->merged, nkeep * sizeof(uint64_t));
}

/* Lists lie far apart, and are wanted once the distances are there: by then they have arrived. */
static void
fetch_lists(const QhBulk *build, const QhNode *nodes, uint32_t n)
{
	size_t		nkeep = (size_t) build->nkeep;

	for (uint32_t i = 0; i < n; i++)
		for (size_t k = 0; k < nkeep; k += 64 / sizeof(uint64_t))
			__builtin_prefetch(build->lists + nodes[i] * nkeep + k, 1);
}

/* The codes of some rows of a leaf, side by side. */
static const uint8_t *
codes_of_rows(QhBulk *build, QhLeafWork *work, const LeafRow *first, uint32_t nrows)
{
	if (first->i + nrows <= first->n)
		return work->codes + first->i * build->space->stride;
	qh_build_copy_codes(build, first->nodes + first->i, nrows, work->rows);
	return work->rows;
}

/* Merge the near pairs of a leaf of n nodes, the first of which are its columns, into the lists. */
static void
candidates_of_leaf(QhBulk *build, QhLeafWork *work, const QhNode *nodes, uint32_t n, uint32_t ncolumns)
{
	const QhSpace *space = build->space;
	size_t		nkeep = (size_t) build->nkeep;

	QV_ASSERT(ncolumns <= n && ncolumns <= build->leaf_max);
	qh_build_copy_codes(build, nodes, ncolumns, work->codes);
	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t   *list = build->lists + (size_t) nodes[i] * nkeep;
		LeafRow		row = {nodes, ncolumns, i, work->dist + (size_t) (i % QH_LEAF_ROWS) * ncolumns};

		if (i % QH_LEAF_ROWS == 0)
		{
			uint32_t	nrows = n - i < QH_LEAF_ROWS ? n - i : QH_LEAF_ROWS;

			fetch_lists(build, nodes + i, nrows);
			space->pair_block(space->ctx, codes_of_rows(build, work, &row, nrows), (int) nrows, work->codes, space->stride, (int) ncolumns, work->dist);
		}
		merge_list(build, work, near_keys(build, work, &row, list[nkeep - 1]), list);
		qh_build_progress(build, QH_PHASE_CANDIDATES, 1, build->nmet++, (uint64_t) build->ntrees * build->n);
	}
}

/* Put the longest of a leaf's nodes first; keys is scratch for as many. */
static void
longest_first(const QhBulk *build, QhNode *nodes, uint32_t n, uint32_t nlongest, uint64_t *keys)
{
	const QhSpace *space = build->space;

	for (uint32_t i = 0; i < n; i++)
		keys[i] = qh_key(-space->length(space->ctx, qh_build_code(build, nodes[i])), nodes[i], 0);
	qh_keys_partition(keys, n, nlongest);
	for (uint32_t i = 0; i < n; i++)
		nodes[i] = qh_key_node(keys[i], 0);
}

/* The near pairs of all leaves of a new tree, each node with all of its leaf. */
static void
candidates_of_tree(QhBulk *build, QhLeafWork *work, int tree)
{
	qh_partition(build, tree);
	for (uint32_t leaf = 0; leaf < build->nleaves; leaf++)
	{
		uint32_t	begin = build->leaf_begin[leaf];

		candidates_of_leaf(build, work, build->perm + begin, build->leaf_begin[leaf + 1] - begin, build->leaf_begin[leaf + 1] - begin);
	}
}

/*
 * Leaves so many times larger at each step, up to one that holds all, each node with the longest of its leaf: as many as there are
 * nodes in an ordinary one.  What many nodes are to be linked to stands near few of them.  doc/decisions/0111.
 */
static void
candidates_of_longest(QhBulk *build, QhLeafWork *work)
{
	uint32_t	nleaves = build->nleaves;

	for (int tree = build->ntrees; build->nleaves > 1; tree++)
	{
		build->nleaves = (build->nleaves - 1) / QH_LONGEST_RATIO + 1;
		qh_partition(build, tree);
		for (uint32_t leaf = 0; leaf < build->nleaves; leaf++)
		{
			uint32_t	begin = build->leaf_begin[leaf];
			uint32_t	n = build->leaf_begin[leaf + 1] - begin;
			uint32_t	ncolumns = n < build->leaf_max ? n : build->leaf_max;

			longest_first(build, build->perm + begin, n, ncolumns, build->keys + begin);
			candidates_of_leaf(build, work, build->perm + begin, n, ncolumns);
		}
	}
	build->nleaves = nleaves;
}

void
qh_find_candidates(QhBulk *build)
{
	size_t		nkeys = (size_t) build->n * (size_t) build->nkeep;
	QhLeafWork *work;

	build->nleaves = leaf_count(build->n, build->leaf_nodes, build->nkeep);
	build->leaf_max = largest_leaf(build->n, build->nleaves);
	build->keys = qh_build_alloc(build, (size_t) build->n * sizeof(uint64_t));
	build->leaf_begin = qh_build_alloc(build, ((size_t) build->nleaves + 1) * sizeof(uint32_t));
	build->lists = qh_build_alloc(build, nkeys * sizeof(uint64_t));
	memset(build->lists, 0xFF, nkeys * sizeof(uint64_t));	/* QH_KEY_NONE */
	build->nmet = 0;
	work = create_leaf_work(build);
	for (int tree = 0; tree < build->ntrees; tree++)
		candidates_of_tree(build, work, tree);
	if (build->space->length != NULL)
		candidates_of_longest(build, work);
	destroy_leaf_work(build, work);
	qh_build_release(build, build->leaf_begin);
	qh_build_release(build, build->keys);
}

/* ---- candidates known from elsewhere ---- */

/* Put a candidate into a sorted list unless it is there or farther than all of a full list. */
static void
insert_key(uint64_t *list, size_t nkeep, uint64_t key)
{
	size_t		at = nkeep;

	if (list[nkeep - 1] <= key)
		return;
	while (at > 0 && list[at - 1] >= key)
		at--;
	QV_ASSERT(at < nkeep);
	if (list[at] == key)
		return;
	memmove(list + at + 1, list + at, (nkeep - at - 1) * sizeof(uint64_t));
	list[at] = key;
}

/* Candidates of one node that are measured at a time. */
#define KNOWN_BATCH		64

void
qh_add_known(QhBulk *build)
{
	const QhKnown *known = build->known;
	float		dist[KNOWN_BATCH];

	for (uint32_t node = 0; node < build->n; node++)
	{
		uint64_t   *list = build->lists + (size_t) node * (size_t) build->nkeep;
		uint32_t	salt = qh_key_salt(node);

		for (uint64_t i = known->begin[node]; i < known->begin[node + 1]; i += KNOWN_BATCH)
		{
			uint64_t	left = known->begin[node + 1] - i;
			int			n = left < KNOWN_BATCH ? (int) left : KNOWN_BATCH;

			qh_space_pair(build->space, node, known->nodes + i, n, dist);
			for (int j = 0; j < n; j++)
				insert_key(list, (size_t) build->nkeep, qh_key(dist[j], known->nodes[i + (uint64_t) j], salt));
		}
		qh_build_progress(build, QH_PHASE_PRUNE, 1, 0, build->n);
	}
}
