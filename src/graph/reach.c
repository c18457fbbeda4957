/*
 * reach.c
 *		Entry points of a built graph, and the tree links that lead from them to every node.
 *
 * Afterwards each node but the entry points is the target of exactly one tree
 * link that comes from a reachable node: the invariant all later changes of
 * the graph keep.  README.md, "Tree links".
 */
#include <string.h>

#include "graph/bulk.h"

/* Nodes of a cell that are weighed as its entry point; chosen by hand. */
#define ENTRY_SAMPLE		24

/* Reached nodes weighed as the parent of a node that nothing links to, and how far apart in the order they may stand. */
#define ADOPT_CANDIDATES	32
#define ADOPT_WALK			512

/* One in so many places of a node for its children: at first, and at most. */
#define FEW_SHARE			8
#define MOST_SHARE			2

typedef struct Reach
{
	QhBulk    *build;
	uint8_t    *reached;		/* a bit a node */
	QhNode	   *queue;			/* all reached nodes in the order they were reached */
	uint32_t	head;
	uint32_t	tail;
} Reach;

int
qh_entries_wanted(uint64_t n, int max_entries)
{
	uint64_t	root = 0;

	/* integer square root, a bit at a time: the same on every machine */
	for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
		if ((root + bit) * (root + bit) <= n)
			root += bit;
	if (max_entries < 1)
		max_entries = 1;
	return root < (uint64_t) max_entries ? (int) root : max_entries;
}

/* The longest node of a stretch of the order. */
static QhNode
longest_of(const QhBulk *build, const QhNode *nodes, uint32_t n)
{
	const QhSpace *space = build->space;
	QhNode		best = nodes[0];
	float		length = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		float		l = space->length(space->ctx, qh_build_code(build, nodes[i]));

		if (l > length)
		{
			best = nodes[i];
			length = l;
		}
	}
	return best;
}

/* The node of a stretch of the order that is nearest to a sample of it. */
static QhNode
medoid_of(QhBulk *build, const QhNode *nodes, uint32_t n, uint64_t *random)
{
	QhNode		sample[ENTRY_SAMPLE];
	float		dist[ENTRY_SAMPLE];
	int			nsample = n < ENTRY_SAMPLE ? (int) n : ENTRY_SAMPLE;
	int			best = 0;
	double		best_sum = 0;

	for (int i = 0; i < nsample; i++)
	{
		uint32_t	begin = (uint32_t) ((uint64_t) n * (uint32_t) i / (uint32_t) nsample);
		uint32_t	end = (uint32_t) ((uint64_t) n * ((uint32_t) i + 1) / (uint32_t) nsample);

		sample[i] = nodes[begin + qh_random_below(random, end - begin)];
	}
	for (int i = 0; i < nsample; i++)
	{
		double		sum = 0;

		qh_space_pair(build->space, sample[i], sample, nsample, dist);
		for (int j = 0; j < nsample; j++)
			sum += dist[j];
		if (i == 0 || sum < best_sum)
		{
			best = i;
			best_sum = sum;
		}
	}
	return sample[best];
}

/*
 * The medoid of each of so many equal stretches of the order goes to its front; the others keep their order behind them.
 * Every search scores all entry points, and so finds their codes on few pages.
 */
void
qh_entries_first(QhBulk *build, uint32_t nentries)
{
	QhNode	   *order = build->perm;
	QhNode	   *entries = qh_build_alloc(build, nentries * sizeof(QhNode));
	uint64_t	random = build->params->seed;
	uint32_t	to = build->n;

	for (uint32_t i = 0; i < nentries; i++)
	{
		uint32_t	begin = (uint32_t) ((uint64_t) build->n * i / nentries);
		uint32_t	end = (uint32_t) ((uint64_t) build->n * (i + 1) / nentries);

		entries[i] = build->space->length != NULL ? longest_of(build, order + begin, end - begin) : medoid_of(build, order + begin, end - begin, &random);
		qh_build_progress(build, QH_PHASE_REACH, ENTRY_SAMPLE, 0, build->n);
	}
	/* from the end of the order, where what is left of a stretch moves up into the gap its medoid leaves */
	for (uint32_t i = nentries; i-- > 0;)
	{
		uint32_t	begin = (uint32_t) ((uint64_t) build->n * i / nentries);

		for (uint32_t from = (uint32_t) ((uint64_t) build->n * (i + 1) / nentries); from-- > begin;)
			if (order[from] != entries[i])
				order[--to] = order[from];
	}
	memcpy(order, entries, nentries * sizeof(QhNode));
	qh_build_release(build, entries);
}

static inline bool
is_reached(const Reach *reach, QhNode node)
{
	return (reach->reached[node / 8] >> (node % 8)) & 1;
}

static inline void
set_reached(Reach *reach, QhNode node)
{
	reach->reached[node / 8] |= (uint8_t) (1 << (node % 8));
	QV_ASSERT(reach->tail < reach->build->n);
	reach->queue[reach->tail++] = node;
}

static QhLink *
links_of(const Reach *reach, QhNode node)
{
	return reach->build->graph->links + (size_t) node * (size_t) reach->build->max_degree;
}

/* Children a node takes: one for each share of its places, but one at least. */
static int
tree_cap(const Reach *reach, QhNode node, int share)
{
	int			degree = qh_build_room(reach->build, node);

	return degree > share ? degree / share : 1;
}

/* Make tree links of a reached node's links to unreached nodes, until one in share of its places has one. */
static void
claim_children(Reach *reach, QhNode node, int share)
{
	QhLink	   *links = links_of(reach, node);
	int			cap = tree_cap(reach, node, share);
	int			max_degree = reach->build->max_degree;
	int			ntree = qh_list_count_tree(links, max_degree);

	for (int i = 0; i < max_degree && links[i] != QH_INVALID_NODE && ntree < cap; i++)
	{
		if (!is_reached(reach, qh_link_node(links[i])))
		{
			set_reached(reach, links[i]);
			links[i] |= QH_TREE_LINK;
			ntree++;
		}
	}
}

/* Go on breadth-first through the queue. */
static void
drain(Reach *reach, int share)
{
	for (; reach->head < reach->tail; reach->head++)
	{
		claim_children(reach, reach->queue[reach->head], share);
		qh_build_progress(reach->build, QH_PHASE_REACH, 1, reach->tail, reach->build->n);
	}
}

/* Parents with half of their places taken by children are passed over, as in inserts. */
static bool
takes_child(const Reach *reach, QhNode parent)
{
	return qh_list_count_tree(links_of(reach, parent), reach->build->max_degree) < tree_cap(reach, parent, MOST_SHARE);
}

static bool
adopt(Reach *reach, QhNode parent, QhNode child)
{
	QhLink	   *links = links_of(reach, parent);
	int			degree = qh_build_degree(reach->build, parent);
	int			n = qh_list_count(links, degree);

	if (!takes_child(reach, parent))
		return false;
	if (n == degree)
	{
		/* the last ordinary one yields: links were chosen from near to far */
		while (links[n - 1] & QH_TREE_LINK)
			n--;
		links[n - 1] = child | QH_TREE_LINK;
		n = degree;
	}
	else
		links[n++] = child | QH_TREE_LINK;
	qh_list_end(links, reach->build->max_degree, qh_build_fit(reach->build, parent, links, n));
	set_reached(reach, child);
	drain(reach, MOST_SHARE);
	return true;
}

/*
 * Let a node that it links to itself be its parent.  That parent does not link to it: it
 * was reached and has room, so it would have claimed it.
 */
static bool
adopt_by_neighbour(Reach *reach, QhNode child)
{
	const QhLink *links = links_of(reach, child);

	for (int i = 0; i < reach->build->max_degree && links[i] != QH_INVALID_NODE; i++)
		if (is_reached(reach, qh_link_node(links[i])) && adopt(reach, qh_link_node(links[i]), child))
			return true;
	return false;
}

/*
 * Let the nearest of some reached nodes that stand close in the order be its
 * parent.  There always is one: did each reached node have a child or more,
 * there would be as many children as nodes, and an entry point is nobody's child.
 */
static void
adopt_by_order(Reach *reach, uint32_t rank)
{
	const QhNode *order = reach->build->graph->order;
	QhNode		nodes[ADOPT_CANDIDATES];
	float		dist[ADOPT_CANDIDATES];
	int			n = 0;
	int			best = 0;

	for (uint32_t step = 1; step < reach->build->n && n < ADOPT_CANDIDATES; step++)
	{
		if (step > ADOPT_WALK && n > 0)
			break;
		if (step <= rank && is_reached(reach, order[rank - step]) && takes_child(reach, order[rank - step]))
			nodes[n++] = order[rank - step];
		if (n < ADOPT_CANDIDATES && step < reach->build->n - rank &&
			is_reached(reach, order[rank + step]) && takes_child(reach, order[rank + step]))
			nodes[n++] = order[rank + step];
	}
	QV_ASSERT(n > 0 && n <= ADOPT_CANDIDATES);
	qh_space_pair(reach->build->space, order[rank], nodes, n, dist);
	for (int i = 1; i < n; i++)
		if (dist[i] < dist[best])
			best = i;
	(void) adopt(reach, nodes[best], order[rank]);
}

void
qh_make_reachable(QhBulk *build)
{
	Reach		reach = {.build = build};
	uint32_t	n = build->n;
	static const int shares[] = {FEW_SHARE, MOST_SHARE};

	reach.reached = qh_build_alloc(build, ((size_t) n + 7) / 8);
	memset(reach.reached, 0, ((size_t) n + 7) / 8);
	reach.queue = qh_build_alloc(build, (size_t) n * sizeof(QhNode));
	for (int i = 0; i < build->graph->nentries; i++)
		set_reached(&reach, build->graph->entries[i]);

	/* few children a node while that is enough, so that later inserts find room everywhere */
	for (int i = 0; i < 2; i++)
	{
		reach.head = 0;
		drain(&reach, shares[i]);
	}
	/* one pass may open the way for nodes it went by before */
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < n && reach.tail < n; i++)
			if (!is_reached(&reach, build->graph->order[i]))
				(void) adopt_by_neighbour(&reach, build->graph->order[i]);
	for (uint32_t i = 0; i < n && reach.tail < n; i++)
		if (!is_reached(&reach, build->graph->order[i]) && !adopt_by_neighbour(&reach, build->graph->order[i]))
			adopt_by_order(&reach, i);
	qh_build_release(build, reach.queue);
	qh_build_release(build, reach.reached);
}
