/*
 * hubs.c
 *		Low-storage graphs: which nodes keep many links, and the order that gives them their ids.
 *
 * LEANN (arXiv 2506.08276, algorithm 3) keeps many links at the nodes most others link to and few at
 * the rest.  It takes the best of all nodes; here each stretch of the order has its best, so that
 * hubs stand near everything and an id alone says who is one.  README.md, "Low storage".
 */
#include <string.h>

#include "graph/bulk.h"

/* Links towards each node. */
static uint32_t *
count_sources(QhBulk *build)
{
	uint32_t   *count = qh_build_alloc(build, (size_t) build->n * sizeof(uint32_t));

	memset(count, 0, (size_t) build->n * sizeof(uint32_t));
	for (uint32_t node = 0; node < build->n; node++)
	{
		const QhLink *links = build->graph->links + (size_t) node * (size_t) build->max_degree;

		for (int i = 0; i < build->max_degree && links[i] != QH_INVALID_NODE; i++)
			count[qh_link_node(links[i])]++;
		qh_build_progress(build, QH_PHASE_PRUNE, 1, 0, build->n);
	}
	return count;
}

/*
 * The node with most sources in each of as many equal stretches of these n becomes a hub: hubs go to the front, where the
 * first ids of a period are, and the others keep their order behind them.
 */
static void
choose_in_period(const QhBulk *build, const uint32_t *nsources, QhNode *nodes, uint32_t n, QhNode *scratch)
{
	uint32_t	nhubs = n < build->params->hubs.count ? n : build->params->hubs.count;
	uint32_t	next = nhubs;

	memcpy(scratch, nodes, n * sizeof(QhNode));
	for (uint32_t i = 0; i < nhubs; i++)
	{
		uint32_t	begin = (uint32_t) ((uint64_t) n * i / nhubs);
		uint32_t	end = (uint32_t) ((uint64_t) n * (i + 1) / nhubs);
		uint32_t	best = begin;

		for (uint32_t j = begin + 1; j < end; j++)
			if (nsources[scratch[j]] > nsources[scratch[best]])
				best = j;
		for (uint32_t j = begin; j < end; j++)
			nodes[j == best ? i : next++] = scratch[j];
	}
	QV_ASSERT(next == n);
}

void
qh_choose_hubs(QhBulk *build)
{
	uint32_t	period = build->params->hubs.period;
	uint32_t   *nsources = count_sources(build);
	QhNode	   *order = build->graph->order;
	QhNode	   *scratch = qh_build_alloc(build, (size_t) period * sizeof(QhNode));

	for (uint32_t begin = 0; begin < build->n; begin += period)
		choose_in_period(build, nsources, order + begin, build->n - begin < period ? build->n - begin : period, scratch);
	qh_build_release(build, scratch);
	qh_build_release(build, nsources);
	build->rank = qh_build_alloc(build, (size_t) build->n * sizeof(QhNode));
	for (uint32_t i = 0; i < build->n; i++)
		build->rank[order[i]] = i;
}

/* Are ids known, and lists of some nodes to be packed? */
static bool
packs(const QhBulk *build)
{
	return build->params->hubs.period != 0 && (build->rank != NULL || build->known != NULL);
}

static QhNode
id_of(const QhBulk *build, QhNode node)
{
	return build->rank != NULL ? build->rank[node] : build->known->base + node;
}

static QhNode
node_of(const QhBulk *build, QhNode id)
{
	return build->rank != NULL ? build->graph->order[id] : id - build->known->base;
}

int
qh_build_room(const QhBulk *build, QhNode node)
{
	int			degree = qh_build_degree(build, node);

	return packs(build) ? qh_room(&build->params->hubs, degree, id_of(build, node)) : degree;
}

int
qh_build_fit(const QhBulk *build, QhNode node, QhLink *links, int n)
{
	QhLink		by_id[QH_PACK_MAX];

	if (!packs(build) || qh_is_hub(&build->params->hubs, id_of(build, node)))
		return n;
	QV_ASSERT(n <= QH_PACK_MAX);
	for (int i = 0; i < n; i++)
		by_id[i] = id_of(build, qh_link_node(links[i])) | (links[i] & QH_TREE_LINK);
	n = qh_fit_links(&build->params->hubs, build->max_degree, id_of(build, node), by_id, n);
	for (int i = 0; i < n; i++)
		links[i] = node_of(build, qh_link_node(by_id[i])) | (by_id[i] & QH_TREE_LINK);
	return n;
}
