/*
 * lists.h
 *		Link lists: max_degree words, QH_INVALID_NODE behind the last link.
 *
 * Internal to the graph room.
 */
#ifndef QH_LISTS_H
#define QH_LISTS_H

#include "graph/graph.h"

static inline int
qh_list_count(const QhLink *links, int max_degree)
{
	int			n = 0;

	while (n < max_degree && links[n] != QH_INVALID_NODE)
		n++;
	return n;
}

static inline int
qh_list_count_tree(const QhLink *links, int max_degree)
{
	int			ntree = 0;

	for (int i = 0; i < max_degree && links[i] != QH_INVALID_NODE; i++)
		ntree += (links[i] & QH_TREE_LINK) != 0;
	return ntree;
}

/* Position of the link to a node, or -1. */
static inline int
qh_list_find(const QhLink *links, int max_degree, QhNode node)
{
	for (int i = 0; i < max_degree && links[i] != QH_INVALID_NODE; i++)
		if (qh_link_node(links[i]) == node)
			return i;
	return -1;
}

/* Is there a tree link to the node? */
static inline bool
qh_list_has_tree(const QhLink *links, int max_degree, QhNode node)
{
	int			at = qh_list_find(links, max_degree, node);

	return at >= 0 && (links[at] & QH_TREE_LINK) != 0;
}

/* Say that the list has n links. */
static inline void
qh_list_end(QhLink *links, int max_degree, int n)
{
	for (; n < max_degree; n++)
		links[n] = QH_INVALID_NODE;
}

static inline void
qh_list_drop(QhLink *links, int max_degree, QhNode node)
{
	int			at = qh_list_find(links, max_degree, node);
	int			n = qh_list_count(links, max_degree);

	if (at < 0)
		return;
	for (int i = at; i + 1 < n; i++)
		links[i] = links[i + 1];
	links[n - 1] = QH_INVALID_NODE;
}

#endif							/* QH_LISTS_H */
