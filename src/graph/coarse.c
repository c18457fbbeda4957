/*
 * coarse.c
 *		Links between clusters: graphs over samples of the nodes, laid over the whole graph.
 *
 * Knows codes only through distances.  Where clusters are larger than a
 * candidate list, every near link stays inside its cluster, and a search that
 * begins in the wrong one ends there.  So every eighth node along the order
 * also gets links to its neighbours among those, every 64th among the 64ths,
 * and so on: the layers of HNSW put into one plane.  BUILD.md, "Coarse links".
 */

#include "graph/bulk.h"

/* Of a level's nodes one in this many is in the next; HNSW has one in m.  doc/decisions/0064. */
#ifndef QH_COARSE_RATIO
#define QH_COARSE_RATIO		8
#endif

/* A sample smaller than this needs no graph: the entry points are as many. */
#define COARSE_MIN			32

/* Trees of a sample's build: its links only have to lead into the right cluster. */
#define COARSE_TREES		3
#ifndef QH_COARSE_LEAF_NODES
#define QH_COARSE_LEAF_NODES	250
#endif

/* Copy every step-th node of the order; the sample lies beside each other, so that its build is like any other. */
static void
take_sample(QhBulk *build, uint32_t step, uint32_t n, uint8_t *codes, QhNode *nodes)
{
	QV_ASSERT(n == 0 || (size_t) (n - 1) * step + step / 2 < build->n);
	for (uint32_t i = 0; i < n; i++)
		nodes[i] = build->graph->order[(size_t) i * step + step / 2];
	qh_build_copy_codes(build, nodes, n, codes);
}

/* Put the links of the sample behind those the nodes have, marked to be kept. */
static void
lay_over(QhBulk *build, const QhGraph *sample, const QhNode *nodes)
{
	for (uint32_t i = 0; i < sample->n; i++)
	{
		const QhLink *from = sample->links + (size_t) i * (size_t) sample->max_degree;
		QhLink	   *links = build->graph->links + (size_t) nodes[i] * (size_t) build->max_degree;
		int			n = qh_list_count(links, build->max_degree);

		for (int j = 0; j < sample->max_degree && from[j] != QH_INVALID_NODE; j++)
		{
			int			at = qh_list_find(links, build->max_degree, nodes[from[j]]);

			if (at >= 0)
				links[at] |= QH_KEEP_LINK;
			else if (n < qh_build_degree(build, nodes[i]))
				links[n++] = nodes[from[j]] | QH_KEEP_LINK;
		}
	}
}

static void
add_level(QhBulk *build, uint32_t step)
{
	uint32_t	n = build->n / step;
	uint8_t    *codes = qh_build_alloc(build, n * build->space->stride);
	QhNode	   *nodes = qh_build_alloc(build, n * sizeof(QhNode));
	QhSpace		space = *build->space;
	QhBuildParams params = *build->params;
	QhBulk		sub = *build;
	QhGraph		graph = {.n = n, .max_degree = build->m / 2};

	take_sample(build, step, n, codes, nodes);
	space.codes = codes;
	space.n = n;
	params.seed += step;
	sub.space = &space;
	sub.params = &params;
	sub.graph = &graph;
	sub.n = n;
	sub.m = sub.max_degree = graph.max_degree;
	sub.nkeep = 3 * sub.m;
	sub.ntrees = COARSE_TREES;
	sub.leaf_nodes = QH_COARSE_LEAF_NODES;
	sub.known = NULL;
	sub.report_as = QH_PHASE_PRUNE;
	graph.links = qh_build_alloc(build, (size_t) n * (size_t) graph.max_degree * sizeof(QhLink));
	graph.order = sub.perm = qh_build_alloc(build, n * sizeof(QhNode));
	qh_find_candidates(&sub);
	qh_prune_nodes(&sub, 0, n);
	lay_over(build, &graph, nodes);
	build->units = sub.units;

	qh_build_release(build, sub.lists);
	qh_build_release(build, graph.order);
	qh_build_release(build, graph.links);
	qh_build_release(build, nodes);
	qh_build_release(build, codes);
}

size_t
qh_coarse_nbytes(uint32_t n, int m, size_t stride)
{
	/* the first level; links, order, ids and codes besides */
	size_t		count = n / QH_COARSE_RATIO;

	return qh_candidates_nbytes((uint32_t) count, QH_COARSE_LEAF_NODES, 3 * (m / 2), stride) + count * (((size_t) (m / 2) + 2) * sizeof(QhNode) + stride);
}

void
qh_lay_coarse_links(QhBulk *build, uint64_t finest)
{
	for (uint64_t step = finest; build->n / step >= COARSE_MIN && build->m >= 2; step *= QH_COARSE_RATIO)
		add_level(build, (uint32_t) step);
}

void
qh_add_coarse_links(QhBulk *build)
{
	qh_lay_coarse_links(build, QH_COARSE_RATIO);
}
