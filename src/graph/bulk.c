/*
 * bulk.c
 *		A whole graph over codes in memory: partition, candidates, prune, coarse links, answer, reach.
 *
 * Knows codes only through distances between them, memory only through the
 * caller.  Several random trees are grown one after the other; each
 * contributes the near pairs inside its leaves; what they found together is
 * pruned to a graph.  BUILD.md, "Phases".
 */
#include <string.h>

#include "graph/bulk.h"

/*
 * Nodes in a leaf.  All pairs of it are computed, so time grows with the leaf
 * and recall with its logarithm.  doc/decisions/0064.
 */
#ifndef QH_LEAF_NODES
#define QH_LEAF_NODES		1000
#endif

/* The same in shards, which takes a tree more: as many pairs in all.  doc/decisions/0065. */
#define SHARD_LEAF_NODES	850

/*
 * Pairs of codes of SHORT_CODE_NBYTES or fewer that are computed in any case, a few seconds of one processor, and of longer codes fewer in
 * proportion: a graph of few nodes is made of larger leaves, up to one that holds all.  doc/decisions/0064.
 */
#ifndef QH_SMALL_NPAIRS
#define QH_SMALL_NPAIRS		UINT64_C(2000000000)
#endif
#define SHORT_CODE_NBYTES	128

/* Codes of a leaf are copied side by side: one leaf of several is not larger than its share of a cache for it; chosen by hand. */
#define LARGE_LEAF_NBYTES	(4 * 1024 * 1024)

/* More candidates than this are not kept whatever ef_construction says: 8 bytes each a node. */
#define KEEP_MAX			512

/*
 * Candidates kept a node between shards, where selecting them costs more than
 * their distances and at most 3m/4 become links.  doc/decisions/0065.
 */
#define BETWEEN_KEEP(m)		(3 * (m) / 2)

/* Candidates kept a node: 48 at ef_construction 64 (doc/decisions/0064); never fewer than the links wanted. */
static int
keep_count(const QhBuildParams *params)
{
	int			nkeep = params->ef_construction * 3 / 4;

	if (nkeep > KEEP_MAX)
		nkeep = KEEP_MAX;
	if (nkeep < 2 * params->m)
		nkeep = 2 * params->m;
	return nkeep;
}

/* Six at ef_construction 64, and more the more care is asked for. */
int
qh_build_ntrees(const QhBuildParams *params)
{
	int			ntrees = 4 + params->ef_construction / 32;

	if (params->ntrees > 0)
		return params->ntrees;
	return ntrees < 16 ? ntrees : 16;
}

/* Nodes wanted in a leaf; stride is the size of a code. */
static uint32_t
leaf_target(uint32_t n, const QhBuildParams *params, size_t stride)
{
	uint64_t	npairs = QH_SMALL_NPAIRS * SHORT_CODE_NBYTES / (stride > SHORT_CODE_NBYTES ? stride : SHORT_CODE_NBYTES);
	uint64_t	target;

	if (n == 0)
		return QH_LEAF_NODES;
	if (params->ntrees > 0)		/* part of a larger graph */
		return SHARD_LEAF_NODES;
	if ((uint64_t) n * n <= npairs)
		return n > QH_LEAF_NODES ? n : QH_LEAF_NODES;
	target = npairs / ((uint64_t) n * (uint64_t) qh_build_ntrees(params));
	if (stride > 0 && target > LARGE_LEAF_NBYTES / stride)
		target = LARGE_LEAF_NBYTES / stride;
	return target > QH_LEAF_NODES ? (uint32_t) target : QH_LEAF_NODES;
}

static size_t
larger_of(size_t a, size_t b)
{
	return a > b ? a : b;
}

size_t
qh_build_nbytes(uint32_t n, const QhBuildParams *params, size_t stride)
{
	int			nkeep = keep_count(params);
	size_t		count = n;
	size_t		result = sizeof(QhGraph) + count * (2 * (size_t) params->m * sizeof(QhLink) + sizeof(QhNode)) +
		(size_t) qh_entries_wanted(n, params->max_entries) * sizeof(QhNode);
	size_t		candidates = qh_candidates_nbytes(n, leaf_target(n, params, stride), nkeep, stride);
	size_t		answers = (count + 1) * sizeof(uint64_t) + count * (size_t) params->m * sizeof(QhNode) +
		count / 8 * (size_t) params->m * sizeof(QhNode);
	size_t		reach = count * sizeof(QhNode) + count / 8 + 1;

	candidates = larger_of(candidates, qh_layout_nbytes(n, stride));
	candidates = larger_of(candidates, qh_coarse_nbytes(n, params->m, stride));
	candidates = larger_of(candidates, larger_of(answers, reach));
	if (params->hubs.period != 0)
		result += count * sizeof(QhNode);
	/* scratch of selection: a few arrays of candidates */
	return result + candidates + sizeof(QhBulk) + (size_t) (nkeep + 8 * params->m) * 64;
}

/* Near nodes together, entry points before all others. */
static void
make_order(QhBulk *build, uint32_t nentries)
{
	build->report_as = QH_PHASE_PRUNE;	/* phases never go back */
	qh_lay_out(build);
	qh_entries_first(build, nentries);
	build->report_as = 0;
}

/* A build of the codes of space, and a graph without links. */
static void
begin_build(QhBulk *build, const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params)
{
	QhGraph    *graph;

	*build = (QhBulk) {.alloc = alloc, .space = space, .params = params};
	build->n = space->n;
	build->m = params->m;
	build->max_degree = 2 * params->m;
	build->nkeep = keep_count(params);
	build->leaf_nodes = leaf_target(space->n, params, space->stride);
	build->ntrees = space->n <= build->leaf_nodes ? 1 : qh_build_ntrees(params);	/* one leaf holds all pairs */
	build->graph = graph = qh_build_alloc(build, sizeof(QhGraph));
	memset(graph, 0, sizeof(*graph));
	graph->n = space->n;
	graph->max_degree = build->max_degree;
	graph->links = qh_build_alloc(build, (size_t) build->n * (size_t) build->max_degree * sizeof(QhLink));
	graph->order = build->perm = qh_build_alloc(build, (size_t) build->n * sizeof(QhNode));
}

static void
choose_own_links(QhBulk *build)
{
	qh_find_candidates(build);
	if (build->known != NULL)
		qh_add_known(build);
	qh_prune_nodes(build, 0, build->n);
	qh_build_release(build, build->lists);
}

static void
answer_all_links(QhBulk *build)
{
	qh_collect_sources(build);
	qh_answer_links(build, 0, build->n);
	qh_build_release(build, build->sources);
	qh_build_release(build, build->source_begin);
}

QhGraph *
qh_build(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params)
{
	return qh_build_within(alloc, space, params, NULL);
}

void
qh_build_order(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params, int nentries, QhNode *order)
{
	QhBulk		build = {.alloc = alloc, .space = space, .params = params, .n = space->n, .perm = order};

	if (build.n > 0)
		make_order(&build, (uint32_t) nentries);
}

/* Nodes of a shard stand in their final order. */
static void
keep_order(QhBulk *build)
{
	for (uint32_t i = 0; i < build->n; i++)
		build->graph->order[i] = i;
}

/* Order the nodes; the first of them are entry points. */
static void
order_nodes(QhBulk *build)
{
	QhGraph    *graph = build->graph;

	graph->nentries = qh_entries_wanted(build->n, build->params->max_entries);
	if (build->known != NULL)
	{
		graph->nentries = build->known->nentries;
		keep_order(build);
	}
	else
		make_order(build, (uint32_t) graph->nentries);
	graph->entries = qh_build_alloc(build, (size_t) graph->nentries * sizeof(QhNode));
	memcpy(graph->entries, graph->order, (size_t) graph->nentries * sizeof(QhNode));
}

QhGraph *
qh_build_within(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params, const QhKnown *known)
{
	QhBulk		build;

	begin_build(&build, alloc, space, params);
	build.known = known;
	if (build.n > 0)
	{
		choose_own_links(&build);
		order_nodes(&build);
		if (known == NULL && params->hubs.period != 0)
			qh_choose_hubs(&build);
		qh_add_coarse_links(&build);
		answer_all_links(&build);
	}
	qh_make_reachable(&build);
	qh_build_release(&build, build.rank);
	return build.graph;
}

QhGraph *
qh_build_between(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params, const uint32_t *home)
{
	QhBulk		build;

	begin_build(&build, alloc, space, params);
	build.nkeep = BETWEEN_KEEP(params->m);
	build.home = home;
	if (build.n > 0)
	{
		choose_own_links(&build);
		answer_all_links(&build);
	}
	return build.graph;
}

QhGraph *
qh_build_coarse(const QhAlloc *alloc, const QhSpace *sample, const QhBuildParams *params)
{
	QhBulk		build;

	begin_build(&build, alloc, sample, params);
	keep_order(&build);
	for (uint32_t i = 0; i < build.n; i++)
		qh_list_end(build.graph->links + (size_t) i * (size_t) build.max_degree, build.max_degree, 0);
	qh_lay_coarse_links(&build, 1);
	return build.graph;
}

void
qh_graph_free(const QhAlloc *alloc, QhGraph *graph)
{
	alloc->release(alloc->ctx, graph->links);
	alloc->release(alloc->ctx, graph->order);
	if (graph->entries != NULL)
		alloc->release(alloc->ctx, graph->entries);
	alloc->release(alloc->ctx, graph);
}
