/*
 * candidates.c
 *		Near pairs inside the leaves of a partition, kept in a bounded list a node.
 *
 * Knows codes only through distances.  All pairs of a leaf are computed once,
 * a row at a time over codes laid side by side; most distances are thrown away
 * by one comparison with the farther of two thresholds.  What passes goes to a
 * buffer a node, which is cut to its nearest half when it is full: so a list
 * costs appends and a few quickselects, not a sorted insertion each.
 * README.md, "Bulk build".
 */
#include <math.h>
#include <string.h>

#include "graph/build.h"

/* Distances compared with the thresholds at a time; a whole number of any vector's lanes. */
#define BLOCK 16

struct QhLeafWork
{
	uint8_t    *codes;			/* of the leaf's nodes, stride apart */
	float	   *dist;			/* of one row */
	float	   *threshold;		/* a distance that the node's list has no use for; padded to a whole block */
	uint32_t   *nbuffer;
	uint64_t   *buffer;			/* 2 * nkeep a node */
	uint64_t   *merged;			/* nkeep */
	uint32_t   *salt;			/* of the node's keys */
};

static size_t
padded(uint32_t leaf_max)
{
	return ((size_t) leaf_max + BLOCK - 1) / BLOCK * BLOCK + BLOCK;
}

size_t
qh_leaf_work_nbytes(uint32_t leaf_max, int nkeep, size_t stride)
{
	size_t		n = padded(leaf_max);

	return sizeof(QhLeafWork) + n * (stride + 2 * sizeof(float) + 2 * sizeof(uint32_t) + 2 * (size_t) nkeep * sizeof(uint64_t)) +
		(size_t) nkeep * sizeof(uint64_t);
}

QhLeafWork *
qh_leaf_work_create(QhBuild *build)
{
	QhLeafWork *work = qh_build_alloc(build, sizeof(QhLeafWork));
	size_t		n = padded(build->leaf_max);

	work->codes = qh_build_alloc(build, n * build->space->stride);
	work->dist = qh_build_alloc(build, n * sizeof(float));
	work->threshold = qh_build_alloc(build, n * sizeof(float));
	work->nbuffer = qh_build_alloc(build, n * sizeof(uint32_t));
	work->salt = qh_build_alloc(build, n * sizeof(uint32_t));
	work->buffer = qh_build_alloc(build, n * 2 * (size_t) build->nkeep * sizeof(uint64_t));
	work->merged = qh_build_alloc(build, (size_t) build->nkeep * sizeof(uint64_t));
	return work;
}

void
qh_leaf_work_destroy(QhBuild *build, QhLeafWork *work)
{
	qh_build_release(build, work->codes);
	qh_build_release(build, work->dist);
	qh_build_release(build, work->threshold);
	qh_build_release(build, work->nbuffer);
	qh_build_release(build, work->salt);
	qh_build_release(build, work->buffer);
	qh_build_release(build, work->merged);
	qh_build_release(build, work);
}

static void
load_leaf(QhBuild *build, QhLeafWork *work, const QhNode *nodes, uint32_t n)
{
	size_t		stride = build->space->stride;
	size_t		nkeep = (size_t) build->nkeep;

	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t	worst = build->lists[(size_t) nodes[i] * nkeep + nkeep - 1];

		memcpy(work->codes + i * stride, qh_build_code(build, nodes[i]), stride);
		work->salt[i] = qh_key_salt(nodes[i]);
		work->nbuffer[i] = 0;
		work->threshold[i] = worst == QH_KEY_NONE ? INFINITY : qh_key_dist(worst);
	}
	/* the last block of a row reads past the leaf */
	for (uint32_t i = n; i < n + BLOCK; i++)
		work->threshold[i] = 0;
}

static void
remember(QhLeafWork *work, uint32_t nkeep, uint32_t i, QhNode other, float dist)
{
	uint64_t   *buffer = work->buffer + (size_t) i * 2 * nkeep;

	buffer[work->nbuffer[i]++] = qh_key(dist, other, work->salt[i]);
	if (work->nbuffer[i] == 2 * nkeep)
	{
		uint64_t	worst = 0;

		qh_keys_partition(buffer, 2 * nkeep, nkeep);
		for (uint32_t j = 0; j < nkeep; j++)
			if (buffer[j] > worst)
				worst = buffer[j];
		work->nbuffer[i] = nkeep;
		/* as near or nearer; the list from earlier trees may already know better */
		if (qh_key_dist(worst) < work->threshold[i])
			work->threshold[i] = qh_key_dist(worst);
	}
}

/* Does any of a block of distances interest either end of its pair? */
static inline int
block_passes(const float *dist, const float *threshold, float own)
{
	int			passes = 0;

	for (int i = 0; i < BLOCK; i++)
		passes |= (dist[i] < own) | (dist[i] < threshold[i]);
	return passes;
}

/* Pairs of node i of the leaf with the nodes after it. */
static void
pair_row(QhBuild *build, QhLeafWork *work, const QhNode *nodes, uint32_t n, uint32_t i)
{
	size_t		stride = build->space->stride;
	uint32_t	first = i + 1;
	uint32_t	nkeep = (uint32_t) build->nkeep;
	uint32_t	rest = n - first;
	float	   *dist = work->dist;

	build->space->pair_strided(build->space->ctx, work->codes + i * stride, work->codes + first * stride, stride, (int) rest, dist);
	for (uint32_t j = rest; j < rest + BLOCK; j++)
		dist[j] = INFINITY;
	for (uint32_t j = 0; j < rest; j += BLOCK)
	{
		uint32_t	end = j + BLOCK < rest ? j + BLOCK : rest;

		if (!block_passes(dist + j, work->threshold + first + j, work->threshold[i]))
			continue;
		for (uint32_t k = j; k < end; k++)
		{
			if (dist[k] < work->threshold[i])
				remember(work, nkeep, i, nodes[first + k], dist[k]);
			if (dist[k] < work->threshold[first + k])
				remember(work, nkeep, first + k, nodes[i], dist[k]);
		}
	}
}

/*
 * Merge a node's buffer into its list.  A pair met in an earlier tree has the
 * same distance and so the same key: it is dropped by comparing neighbours.
 */
static void
merge_list(QhBuild *build, QhLeafWork *work, uint32_t i, uint64_t *list)
{
	size_t		nkeep = (size_t) build->nkeep;
	uint32_t	nbuffer = work->nbuffer[i];
	uint64_t   *buffer = work->buffer + (size_t) i * 2 * nkeep;
	size_t		a = 0;
	uint32_t	b = 0;

	if (nbuffer == 0)
		return;
	if (nbuffer > nkeep)
	{
		qh_keys_partition(buffer, nbuffer, (uint32_t) nkeep);
		nbuffer = (uint32_t) nkeep;
	}
	qh_keys_sort(buffer, nbuffer);
	for (size_t out = 0; out < nkeep; out++)
	{
		if (b == nbuffer || list[a] < buffer[b])
			work->merged[out] = list[a++];
		else
		{
			if (list[a] == buffer[b])
				a++;
			work->merged[out] = buffer[b++];
		}
	}
	memcpy(list, work->merged, nkeep * sizeof(uint64_t));
}

void
qh_candidates_of_leaves(QhBuild *build, QhLeafWork *work, uint32_t begin, uint32_t end, int tree)
{
	for (uint32_t leaf = begin; leaf < end; leaf++)
	{
		const QhNode *nodes = build->perm + build->leaf_begin[leaf];
		uint32_t	n = build->leaf_begin[leaf + 1] - build->leaf_begin[leaf];

		load_leaf(build, work, nodes, n);
		for (uint32_t i = 0; i + 1 < n; i++)
		{
			pair_row(build, work, nodes, n, i);
			qh_build_tick(build, QH_PHASE_CANDIDATES, 1,
						  (uint64_t) tree * build->n + build->leaf_begin[leaf] + i, (uint64_t) build->ntrees * build->n);
		}
		for (uint32_t i = 0; i < n; i++)
			merge_list(build, work, i, build->lists + (size_t) nodes[i] * (size_t) build->nkeep);
	}
}

/* Put a candidate into a sorted list unless it is there or farther than all of a full list. */
static void
insert_key(uint64_t *list, size_t nkeep, uint64_t key)
{
	size_t		at = nkeep;

	if (list[nkeep - 1] <= key)
		return;
	while (at > 0 && list[at - 1] >= key)
		at--;
	if (list[at] == key)
		return;
	memmove(list + at + 1, list + at, (nkeep - at - 1) * sizeof(uint64_t));
	list[at] = key;
}

/* Candidates of one node that are measured at a time. */
#define KNOWN_BATCH		64

void
qh_add_known(QhBuild *build)
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
		qh_build_tick(build, QH_PHASE_PRUNE, 1, 0, build->n);
	}
}
