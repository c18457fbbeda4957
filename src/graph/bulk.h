/*
 * bulk.h
 *		State of a bulk build, shared by its phases.
 *
 * Internal to the graph room.  Each phase is a function over a range (of
 * leaves or of nodes) that writes only what belongs to the range, so that
 * workers can take ranges of their own; what a worker needs besides is in a
 * scratch struct made by the worker.  BUILD.md, "Phases".
 */
#ifndef QH_BULK_H
#define QH_BULK_H

#include "graph/lists.h"
#include "graph/order.h"
#include "graph/neighbors.h"
#include "graph/shard.h"
#include "kernel/assert.h"

typedef struct QhBulk
{
	const QhAlloc *alloc;
	const QhSpace *space;
	const QhBuildParams *params;
	QhGraph    *graph;
	uint32_t	n;
	int			m;
	int			max_degree;
	int			nkeep;			/* candidates kept a node */
	int			ntrees;
	uint32_t	leaf_nodes;		/* wanted in a leaf */

	/* One random partition: the nodes leaf by leaf. */
	uint64_t   *keys;			/* n; scratch of the splits */
	QhNode	   *perm;			/* n */
	uint32_t	nleaves;
	uint32_t	leaf_max;		/* nodes in the largest leaf */
	uint32_t   *leaf_begin;		/* nleaves + 1 */
	uint8_t    *split_codes;	/* qh_split_ncodes() codes; scratch of the splits */

	/* n * nkeep sorted keys, salted with the owner, QH_KEY_NONE after the last of each */
	uint64_t   *lists;

	/* Links towards a node: sources[source_begin[i] .. source_begin[i + 1]) */
	uint64_t   *source_begin;	/* n + 1 */
	QhNode	   *sources;

	QhNode	   *rank;			/* id that a node will have; NULL where lists are not packed */

	/* Of builds in shards, else NULL: shard.h. */
	const uint32_t *home;
	const QhKnown *known;

	uint64_t	nmet;			/* nodes, each once a tree, whose leaves were looked at */
	uint64_t	units;			/* since the last progress */
	QhBuildPhase report_as;		/* phase that work of an earlier kind is reported as; 0: as it is */
} QhBulk;

/*
 * Until the answers are in, the bit of tree links, which do not exist yet, marks
 * links that pruning must keep.
 */
#define QH_KEEP_LINK	QH_TREE_LINK

/* Units (nodes, or batches of about a thousand distances) between two calls of the progress callback; a unit takes microseconds. */
#define QH_PROGRESS_UNITS	1024

static inline void *
qh_build_alloc(QhBulk *build, size_t nbytes)
{
	return qh_take(build->alloc, nbytes > 0 ? nbytes : 1);
}

static inline void
qh_build_release(QhBulk *build, void *p)
{
	qh_give(build->alloc, p);
}

static inline void
qh_build_progress(QhBulk *build, QhBuildPhase phase, uint64_t units, uint64_t done, uint64_t total)
{
	build->units += units;
	if (build->units < QH_PROGRESS_UNITS)
		return;
	build->units = 0;
	if (build->report_as != 0)
	{
		phase = build->report_as;
		done = total;
	}
	if (build->params->progress != NULL)
		build->params->progress(build->params->progress_ctx, phase, done, total);
}

/* Links a node has room for. */
static inline int
qh_build_degree(const QhBulk *build, QhNode node)
{
	return build->max_degree - (build->known != NULL ? build->known->taken[node] : 0);
}

static inline const uint8_t *
qh_build_code(const QhBulk *build, QhNode node)
{
	return build->space->codes + (size_t) node * build->space->stride;
}

/* A store whose pair() is the space's, for selection. */
typedef struct QhSpaceStore
{
	QhStore		store;			/* first: the functions cast */
	const QhSpace *space;
} QhSpaceStore;

extern void qh_space_store_init(QhSpaceStore *store, const QhSpace *space);
extern void qh_space_pair(const QhSpace *space, QhNode node, const QhNode *nodes, int n, float *dist);
/* The same of which nodes stand together. */
extern void qh_space_place(const QhSpace *space, QhNode node, const QhNode *nodes, int n, float *dist);

static inline void
qh_space_place_block(const QhSpace *space, const uint8_t *rows, int nrows, const uint8_t *base, int n, float *dist)
{
	(space->place_block != NULL ? space->place_block : space->pair_block) (space->ctx, rows, nrows, base, space->stride, n, dist);
}

/* partition.c: codes of n nodes side by side, where they serve several others at once, which pays for the copy */
extern void qh_build_copy_codes(const QhBulk *build, const QhNode *nodes, uint32_t n, uint8_t *out);

/* Pivots a side of a split; doc/decisions/0064. */
#ifndef QH_SPLIT_PIVOTS
#define QH_SPLIT_PIVOTS		4
#endif

/* Nodes are divided by the sum of distances to one side's pivots less that to the other's. */
typedef struct QhSplit
{
	QhNode		sides[2][QH_SPLIT_PIVOTS];
	int			npivots;		/* a side */
} QhSplit;

/* partition.c: codes that build->split_codes has room for */
extern size_t qh_split_ncodes(void);
/* choose the pivots for the nodes of keys[0 .. n), n >= 2 */
extern void qh_split_choose(QhBulk *build, const uint64_t *keys, uint32_t n, uint32_t salt, QhSplit *split);
/* rewrite keys[0 .. n), salted with salt, so that they order by side; salted with next */
extern void qh_split_score(QhBulk *build, const QhSplit *split, uint64_t *keys, uint32_t n, uint32_t salt, uint32_t next);
/* fill perm and leaf_begin with random tree number tree */
extern void qh_partition(QhBulk *build, int tree);

/* layout.c: fill perm with an order in which near nodes stand together, and the memory that takes */
extern void qh_lay_out(QhBulk *build);
extern size_t qh_layout_nbytes(uint32_t n, size_t stride);

/* candidates.c: near pairs of all leaves of all trees into new lists, which are the caller's to release */
extern void qh_find_candidates(QhBulk *build);
/* the memory that takes, copies of codes included, where leaf_nodes are wanted in a leaf */
extern size_t qh_candidates_nbytes(uint32_t n, uint32_t leaf_nodes, int nkeep, size_t stride);
/* merge candidates known from elsewhere into the lists */
extern void qh_add_known(QhBulk *build);

/* coarse.c: links between samples, and the memory that takes */
extern void qh_add_coarse_links(QhBulk *build);
extern void qh_lay_coarse_links(QhBulk *build, uint64_t finest);
extern size_t qh_coarse_nbytes(uint32_t n, int m, size_t stride);

/* hubs.c: put those most links lead to where the order has places of hubs; from then on ids are known */
extern void qh_choose_hubs(QhBulk *build);
/* As qh_room() and qh_fit_links(), for nodes named by their positions. */
extern int	qh_build_room(const QhBulk *build, QhNode node);
extern int	qh_build_fit(const QhBulk *build, QhNode node, QhLink *links, int n);

/* prune.c: own links of nodes [begin, end) from their lists; then links that answer them */
extern void qh_prune_nodes(QhBulk *build, uint32_t begin, uint32_t end);
extern void qh_collect_sources(QhBulk *build);
extern void qh_answer_links(QhBulk *build, uint32_t begin, uint32_t end);

/* reach.c: entry points and tree links */
extern void qh_entries_first(QhBulk *build, uint32_t nentries);
extern void qh_make_reachable(QhBulk *build);

#endif							/* QH_BULK_H */
