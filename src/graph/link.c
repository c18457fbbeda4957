/*
 * link.c
 *		Decisions for one new node: its neighbours, and the lists that take it in.
 *
 * Reads through the store and writes only to lists it is given; the caller
 * locks, applies and logs.  README.md, "Inserting", and for the parent "Tree links".
 */
#include <math.h>
#include <string.h>

#include "graph/lists.h"
#include "graph/neighbors.h"

int
qh_pick_neighbours(const QhAlloc *alloc, QhStore *store, const QhCandidate *cands, int n, int m, QhNode *out)
{
	QhSelectWork *work = qh_select_work_create(alloc, n);
	QhCandidate *sorted = alloc->alloc(alloc->ctx, ((size_t) n + 1) * sizeof(QhCandidate));
	int		   *chosen = alloc->alloc(alloc->ctx, ((size_t) n + 1) * sizeof(int));
	QhSelectInput input = {.cands = sorted, .max = m, .fill_to = store->fills_up ? m : 0};
	int			nchosen;

	for (int i = 0; i < n; i++)
		if (cands[i].dist < INFINITY)
			sorted[input.n++] = cands[i];
	/* the new node's id is not known here; its nearest neighbour salts as well */
	qh_candidates_sort(work, sorted, input.n, input.n > 0 ? sorted[0].node : 0);
	nchosen = qh_select_with(work, store, &input, chosen);
	QV_ASSERT(nchosen <= m);
	for (int i = 0; i < nchosen; i++)
		out[i] = sorted[chosen[i]].node;
	alloc->release(alloc->ctx, chosen);
	alloc->release(alloc->ctx, sorted);
	qh_select_work_destroy(alloc, work);
	return nchosen;
}

/*
 * Prune a full list together with a newcomer into out, which holds the list.
 * What diversity leaves out is not filled up again, so that the next few newcomers find room
 * without a prune.  A prune that would not take the newcomer is no reason to write.
 */
static QhRevision
prune_with(const QhAlloc *alloc, QhStore *store, QhNode node, QhLink newcomer, QhLink *out)
{
	int			n = qh_list_count(out, store->max_degree) + 1;
	size_t		count = (size_t) n;
	QhSelectWork *work = qh_select_work_create(alloc, n);
	QhCandidate *cands = alloc->alloc(alloc->ctx, count * sizeof(QhCandidate));
	QhNode	   *nodes = alloc->alloc(alloc->ctx, count * sizeof(QhNode));
	float	   *dist = alloc->alloc(alloc->ctx, count * sizeof(float));
	uint8_t    *kept = alloc->alloc(alloc->ctx, count);
	int		   *chosen = alloc->alloc(alloc->ctx, count * sizeof(int));
	QhLink	   *pruned = alloc->alloc(alloc->ctx, count * sizeof(QhLink));
	QhSelectInput input = {.cands = cands, .kept = kept, .max = store->max_degree};
	bool		taken = false;
	int			nchosen;

	for (int i = 0; i < n - 1; i++)
		nodes[i] = qh_link_node(out[i]);
	nodes[n - 1] = qh_link_node(newcomer);
	store->pair(store, node, nodes, n, dist);
	for (int i = 0; i < n; i++)
	{
		QhLink		link = i < n - 1 ? out[i] : newcomer;

		/* links to nodes that are gone go, unless the tree has them */
		if (dist[i] < INFINITY || (link & QH_TREE_LINK))
			cands[input.n++] = (QhCandidate) {dist[i], nodes[i]};
	}
	qh_candidates_sort(work, cands, input.n, node);
	for (int i = 0; i < input.n; i++)
	{
		int			at = qh_list_find(out, store->max_degree, cands[i].node);

		kept[i] = ((at < 0 ? newcomer : out[at]) & QH_TREE_LINK) != 0;
	}
	nchosen = qh_select_with(work, store, &input, chosen);
	QV_ASSERT(nchosen <= n && nchosen <= store->max_degree);
	for (int i = 0; i < nchosen; i++)
		pruned[i] = cands[chosen[i]].node | (kept[chosen[i]] ? QH_TREE_LINK : 0);
	nchosen = qh_fit_links(&store->hubs, store->max_degree, node, pruned, nchosen);
	for (int i = 0; i < nchosen; i++)
		taken = taken || qh_link_node(pruned[i]) == qh_link_node(newcomer);
	if (taken)
	{
		memcpy(out, pruned, (size_t) nchosen * sizeof(QhLink));
		qh_list_end(out, store->max_degree, nchosen);
	}
	alloc->release(alloc->ctx, pruned);
	alloc->release(alloc->ctx, chosen);
	alloc->release(alloc->ctx, kept);
	alloc->release(alloc->ctx, dist);
	alloc->release(alloc->ctx, nodes);
	alloc->release(alloc->ctx, cands);
	qh_select_work_destroy(alloc, work);
	return taken ? QH_REVISED : QH_UNCHANGED;
}

/* Put a link behind the n of a list, if there is room. */
static bool
append(const QhStore *store, QhNode node, int n, QhLink link, QhLink *out)
{
	if (n == store->max_degree)
		return false;
	out[n] = link;
	if (qh_links_fit(&store->hubs, store->max_degree, node, out, n + 1))
		return true;
	out[n] = QH_INVALID_NODE;
	return false;
}

QhRevision
qh_revise_links(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links,
				QhNode target, int tree_cap, QhLink *out)
{
	int			max_degree = store->max_degree;
	int			n = qh_list_count(links, max_degree);
	int			ntree = qh_list_count_tree(links, max_degree);
	int			at = qh_list_find(links, max_degree, target);
	QhLink		link = tree_cap == 0 ? target : target | QH_TREE_LINK;

	memcpy(out, links, (size_t) max_degree * sizeof(QhLink));
	if (target == node || (at >= 0 && (tree_cap == 0 || (links[at] & QH_TREE_LINK))))
		return QH_UNCHANGED;
	if (tree_cap > 0 && (ntree >= tree_cap || ntree >= qh_room(&store->hubs, max_degree, node)))
		return QH_NO_ROOM;
	if (at >= 0)
		out[at] = link;
	else if (ntree == max_degree)
		return QH_UNCHANGED;
	else if (!append(store, node, n, link, out))
		return prune_with(alloc, store, node, link, out);
	return QH_REVISED;
}

QhRevision
qh_renew_links(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links,
			   const QhCandidate *cands, int n, QhLink *out)
{
	int			max_degree = store->max_degree;
	size_t		count = (size_t) n + 1;
	QhSelectWork *work = qh_select_work_create(alloc, n);
	QhCandidate *sorted = alloc->alloc(alloc->ctx, count * sizeof(QhCandidate));
	uint8_t    *kept = alloc->alloc(alloc->ctx, count);
	int		   *chosen = alloc->alloc(alloc->ctx, count * sizeof(int));
	QhSelectInput input = {.cands = sorted, .kept = kept, .max = max_degree};
	QhLink	   *renewed = alloc->alloc(alloc->ctx, count * sizeof(QhLink));
	bool		same = true;
	int			nchosen;

	memcpy(sorted, cands, (size_t) n * sizeof(QhCandidate));
	qh_candidates_sort(work, sorted, n, node);
	for (int i = 0; i < n; i++)
	{
		int			at = qh_list_find(links, max_degree, sorted[i].node);
		bool		tree = at >= 0 && (links[at] & QH_TREE_LINK) != 0;

		if (!tree && (!(sorted[i].dist < INFINITY) || sorted[i].node == node))
			continue;
		kept[input.n] = tree;
		sorted[input.n++] = sorted[i];
	}
	input.fill_to = store->fills_up ? max_degree / 2 : 0;
	nchosen = qh_select_with(work, store, &input, chosen);
	for (int i = 0; i < nchosen; i++)
	{
		renewed[i] = sorted[chosen[i]].node | (kept[chosen[i]] ? QH_TREE_LINK : 0);
		same = same && qh_list_find(links, max_degree, sorted[chosen[i]].node) >= 0;
	}
	nchosen = qh_fit_links(&store->hubs, max_degree, node, renewed, nchosen);
	same = same && nchosen == qh_list_count(links, max_degree);
	memcpy(out, same ? links : renewed, (size_t) (same ? max_degree : nchosen) * sizeof(QhLink));
	if (!same)
		qh_list_end(out, max_degree, nchosen);
	alloc->release(alloc->ctx, renewed);
	alloc->release(alloc->ctx, chosen);
	alloc->release(alloc->ctx, kept);
	alloc->release(alloc->ctx, sorted);
	qh_select_work_destroy(alloc, work);
	return same ? QH_UNCHANGED : QH_REVISED;
}
