/*
 * repair.c
 *		Decisions for vacuum: how dying nodes leave the tree, and what replaces links to them.
 *
 * Reads through the store and changes only lists it is given; the caller locks,
 * applies and logs.  Link repair is that of FreshDiskANN (Singh et al. 2021,
 * algorithm 4) where few links were lost, and an insert's where many were; the splicing of tree links is ours.  README.md, "Deleting".
 */
#include <math.h>
#include <string.h>

#include "graph/lists.h"
#include "graph/neighbors.h"
#include "graph/visited.h"

/* Hosts weighed for one moved child, and nodes looked at once there is any host; chosen by hand. */
#define HOSTS_WEIGHED		32
#define HOSTS_LOOKED_AT		256

/*
 * Nodes that may wait to be looked at: the tree links of a damaged graph may lead in
 * circles.  In a tree so many only wait behind thousands of nodes with nothing but tree links.
 */
#define HOSTS_WAITING		262144

/*
 * Candidates a repair selects from: the shorter the lists the more, or all would come from one tight cluster, and what led out of
 * it would be lost with the nodes there.  Measured, doc/decisions/0026.
 */
#define REPAIR_CANDIDATES(max_degree)	((max_degree) < 32 ? 256 : (max_degree) == 32 ? 128 : 4 * (max_degree))

/*
 * Beyond the neighbours of dead neighbours, the dead are gone through until there are so many candidates, or so many lists were read.
 * doc/decisions/0067.
 */
#define NEAR_CANDIDATES(max_degree)	(4 * (max_degree) < 64 ? 4 * (max_degree) : 64)
#define NEAR_LISTS			128

/*
 * A node that has lost more than half of its links, or has fewer than so many left, or finds fewer candidates than it has places, looks for its neighbours as a new one does: so many live ones
 * are wanted, and so many dead ones passed over or nodes scored at most.  doc/decisions/0067 and 0026.
 */
#define FEW_LEFT			5
#define FOUND_WANTED(max_degree)	((max_degree) < 16 ? 256 : (max_degree) < 32 ? 128 : 64)
#define FOUND_PASSED		600
#define FOUND_SCORED		4096

/* A list of fewer links than these is offered links back.  Longer ones make little of another, and would be written as often.  Measured, doc/decisions/0026. */
#define SHORT_LIST			12

/* How well a node would do as a host, best first. */
typedef enum HostRank
{
	HOST_ROOMY,					/* tree links in less than half of its room */
	HOST_CROWDED,				/* in half of it or more */
	HOST_FULL					/* no room for another */
} HostRank;

typedef struct HostSearch
{
	const QhAlloc *alloc;
	QhStore    *store;
	QhLink	   *links;			/* max_degree */
	QhNode	   *queue;			/* nodes of the subtree, breadth-first */
	size_t		capacity;
	size_t		head;
	size_t		tail;
	HostRank	rank;			/* of the hosts below */
	QhNode		hosts[HOSTS_WEIGHED];
	int			nhosts;
} HostSearch;

static void
enqueue(HostSearch *hs, QhNode node)
{
	if (hs->tail == hs->capacity)
	{
		QhNode	   *larger = hs->alloc->alloc(hs->alloc->ctx, 2 * hs->capacity * sizeof(QhNode));

		memcpy(larger, hs->queue, hs->tail * sizeof(QhNode));
		hs->alloc->release(hs->alloc->ctx, hs->queue);
		hs->queue = larger;
		hs->capacity *= 2;
	}
	QV_ASSERT(hs->tail < hs->capacity);
	hs->queue[hs->tail++] = node;
}

/* Take the next node of the subtree into account. */
static void
weigh_host(HostSearch *hs, QhNode node)
{
	int			nlinks = hs->store->links(hs->store, node, hs->links);
	int			room = qh_room(&hs->store->hubs, hs->store->max_degree, node);
	int			ntree = 0;
	HostRank	rank;

	for (int i = 0; i < nlinks; i++)
	{
		if (hs->links[i] & QH_TREE_LINK)
		{
			enqueue(hs, qh_link_node(hs->links[i]));
			ntree++;
		}
	}
	if (ntree >= room)
		rank = HOST_FULL;
	else if (ntree >= room / 2)
		rank = HOST_CROWDED;
	else
		rank = HOST_ROOMY;
	if (rank < hs->rank)
	{
		hs->rank = rank;
		hs->nhosts = 0;
	}
	if (rank == hs->rank && rank != HOST_FULL && hs->nhosts < HOSTS_WEIGHED)
		hs->hosts[hs->nhosts++] = node;
}

/*
 * A node in the subtree of root that can take child, the nearest of some.
 * There is one: a leaf of the subtree has no tree link at all.
 */
static QhNode
find_host(const QhAlloc *alloc, QhStore *store, QhNode root, QhNode child)
{
	HostSearch	hs = {.alloc = alloc, .store = store, .capacity = 256, .rank = HOST_FULL};
	float		dist[HOSTS_WEIGHED];
	int			best = 0;

	hs.links = alloc->alloc(alloc->ctx, (size_t) store->max_degree * sizeof(QhLink));
	hs.queue = alloc->alloc(alloc->ctx, hs.capacity * sizeof(QhNode));
	enqueue(&hs, root);
	while (hs.head < hs.tail)
	{
		weigh_host(&hs, hs.queue[hs.head++]);
		if (hs.rank == HOST_ROOMY && hs.nhosts == HOSTS_WEIGHED)
			break;
		if (hs.head >= HOSTS_LOOKED_AT && (hs.nhosts > 0 || hs.tail >= HOSTS_WAITING))
			break;
	}
	alloc->release(alloc->ctx, hs.queue);
	alloc->release(alloc->ctx, hs.links);
	if (hs.nhosts == 0)
		return QH_INVALID_NODE;
	store->pair(store, child, hs.hosts, hs.nhosts, dist);
	for (int i = 1; i < hs.nhosts; i++)
		if (dist[i] < dist[best])
			best = i;
	return hs.hosts[best];
}

/* Read a list as the changes have it. */
static void
read_list(QhStore *store, QhNode node, QhLink *links)
{
	qh_list_end(links, store->max_degree, store->links(store, node, links));
}

/* A change of node's list that does nothing yet. */
static void
begin_change(QhStore *store, QhNode node, QhLinkChange *change)
{
	change->node = node;
	read_list(store, node, change->old_links);
	memcpy(change->new_links, change->old_links, (size_t) store->max_degree * sizeof(QhLink));
}

/*
 * The tree link to child becomes an ordinary one: a dying node stays a
 * stepping stone, and its links are what repair chooses from.
 */
static void
clear_tree_link(QhStore *store, QhLinkChange *change, QhNode child)
{
	change->new_links[qh_list_find(change->new_links, store->max_degree, child)] = child;
}

/* Move child below a descendant of heir, which cannot be a descendant of child. */
static int
plan_move(const QhAlloc *alloc, QhStore *store, QhNode heir, QhNode child, QhLinkChange *changes)
{
	QhNode		host = find_host(alloc, store, heir, child);

	if (host == QH_INVALID_NODE)
		return 0;				/* only if the graph is not a tree any more */
	clear_tree_link(store, &changes[0], child);
	begin_change(store, host, &changes[1]);
	if (qh_revise_links(alloc, store, host, changes[1].old_links, child,
						qh_room(&store->hubs, store->max_degree, host), changes[1].new_links) != QH_REVISED)
		return 0;
	return 2;
}

/* Cut a list that a change has altered to what there is room for. */
static void
refit(const QhStore *store, QhLinkChange *change)
{
	int			n = qh_list_count(change->new_links, store->max_degree);

	n = qh_fit_links(&store->hubs, store->max_degree, change->node, change->new_links, n);
	qh_list_end(change->new_links, store->max_degree, n);
}

/* Put heir into the dead node's place at the parent, or close the gap where there is none. */
static int
plan_succession(QhStore *store, QhNode dead, QhNode heir, QhLinkChange *of_dead, QhLinkChange *of_parent)
{
	QhLink	   *links = of_parent->new_links;

	if (heir == QH_INVALID_NODE)
	{
		/* a packed list is not always shorter for one link less (README.md, "Low storage") */
		qh_list_drop(links, store->max_degree, dead);
		refit(store, of_parent);
		return 1;
	}
	clear_tree_link(store, of_dead, heir);
	/* an ordinary link of the parent to the heir would be a second one */
	qh_list_drop(links, store->max_degree, heir);
	links[qh_list_find(links, store->max_degree, dead)] = heir | QH_TREE_LINK;
	/* its id may take more bytes than that of dead */
	refit(store, of_parent);
	return 2;
}

int
qh_plan_splice(const QhAlloc *alloc, QhStore *store, QhNode parent, QhNode dead,
			   QhLinkChange changes[QH_MAX_SPLICE_CHANGES], QhNode *heir)
{
	const QhLink *links = changes[0].old_links;
	QhNode		first = QH_INVALID_NODE;
	QhNode		last = QH_INVALID_NODE;

	begin_change(store, dead, &changes[0]);
	for (int i = 0; i < store->max_degree && links[i] != QH_INVALID_NODE; i++)
	{
		if (!(links[i] & QH_TREE_LINK))
			continue;
		if (first == QH_INVALID_NODE)
			first = qh_link_node(links[i]);
		last = qh_link_node(links[i]);
	}
	if (first != last)
		return plan_move(alloc, store, first, last, changes);
	if (parent == QH_INVALID_NODE)
	{
		if (first == QH_INVALID_NODE)
			return 0;
		*heir = first;
		clear_tree_link(store, &changes[0], first);
		return 1;
	}
	if (first == QH_INVALID_NODE)
	{
		/* the parent's is then the only change */
		begin_change(store, parent, &changes[0]);
		if (!qh_list_has_tree(changes[0].old_links, store->max_degree, dead))
			return 0;
		return plan_succession(store, dead, first, NULL, &changes[0]);
	}
	begin_change(store, parent, &changes[1]);
	if (!qh_list_has_tree(changes[1].old_links, store->max_degree, dead))
		return 0;
	return plan_succession(store, dead, first, &changes[0], &changes[1]);
}

/* ---- links ---- */

typedef struct Repair
{
	const QhAlloc *alloc;
	QhStore    *store;
	const QhDead *dead;
	QhNode		node;
	const QhLink *links;		/* as they were */
	int			nlinks;
	QhLink	   *theirs;			/* max_degree: a list that is looked through */
	QhNode	   *fresh;			/* likewise: those of it that were not met before */
	QhVisited	met;			/* candidates, the dead, and the node itself */
	QhNode	   *nodes;			/* candidates */
	int			n;
	int			max;
	QhNode	   *queue;			/* dead nodes, in the order in which they were met */
	int			nqueue;
	int			max_queue;
} Repair;

static bool
is_dead(const Repair *repair, QhLink link)
{
	return repair->dead->is_dead(repair->dead->ctx, qh_link_node(link));
}

static void
begin_repair(Repair *repair)
{
	int			degree = repair->store->max_degree;

	/* what the node links to, what those link to, and what is looked for beyond */
	repair->max = degree * (degree + 2) + NEAR_CANDIDATES(degree) + FOUND_WANTED(degree);
	repair->max_queue = degree + NEAR_LISTS;
	repair->theirs = qh_take(repair->alloc, (size_t) degree * sizeof(QhLink));
	repair->fresh = qh_take(repair->alloc, (size_t) degree * sizeof(QhNode));
	repair->nodes = qh_take(repair->alloc, (size_t) repair->max * sizeof(QhNode));
	repair->queue = qh_take(repair->alloc, (size_t) repair->max_queue * sizeof(QhNode));
	qh_visited_init(&repair->met, repair->alloc);
	qh_visited_clear(&repair->met, 0, (size_t) degree + 1, 0);
	(void) qh_visited_add(&repair->met, &repair->node, 1, repair->fresh);
}

static void
end_repair(Repair *repair)
{
	qh_visited_free(&repair->met);
	qh_give(repair->alloc, repair->queue);
	qh_give(repair->alloc, repair->nodes);
	qh_give(repair->alloc, repair->fresh);
	qh_give(repair->alloc, repair->theirs);
}

static void
add_candidate(Repair *repair, QhNode node)
{
	QV_ASSERT(repair->n < repair->max);
	repair->nodes[repair->n++] = node;
}

/* Live ends of links are candidates, dead ones wait to be gone through. */
static void
meet(Repair *repair, const QhLink *links, int nlinks)
{
	int			n;

	qh_visited_reserve(&repair->met, (size_t) nlinks);
	n = qh_visited_add(&repair->met, links, nlinks, repair->fresh);
	for (int i = 0; i < n; i++)
	{
		if (!is_dead(repair, repair->fresh[i]))
			add_candidate(repair, repair->fresh[i]);
		else if (repair->nqueue < repair->max_queue)
			repair->queue[repair->nqueue++] = repair->fresh[i];
	}
}

/* Collect the live neighbours of dead neighbours, and of the dead beyond while those are few. */
static void
collect_near(Repair *repair)
{
	QhStore    *store = repair->store;
	int			nneighbours = repair->nqueue;

	for (int i = 0; i < repair->nqueue; i++)
	{
		if (i >= nneighbours && repair->n >= NEAR_CANDIDATES(store->max_degree))
			break;
		meet(repair, repair->theirs, store->links(store, repair->queue[i], repair->theirs));
	}
}

/* A store whose query is a node: what searches for its neighbours goes by. */
typedef struct NodeStore
{
	QhStore		store;			/* first: the functions cast */
	QhStore    *of;
	QhNode		node;
} NodeStore;

static int
node_store_links(QhStore *store, QhNode node, QhLink *out)
{
	QhStore    *of = ((NodeStore *) store)->of;

	return of->links(of, node, out);
}

static void
node_store_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	NodeStore  *ns = (NodeStore *) store;

	ns->of->pair(ns->of, ns->node, nodes, n, dist);
}

/* Add the nearest live nodes that a search from the ends of the node's links finds. */
static void
search_live(Repair *repair)
{
	const QhLink *links = repair->links;
	int			nlinks = repair->nlinks;
	int			wanted = FOUND_WANTED(repair->store->max_degree);
	QhSearchLimits limits = {.resumable = true, .max_scored = FOUND_SCORED};
	NodeStore	ns = {.of = repair->store, .node = repair->node};
	QhCandidate *seeds = qh_take(repair->alloc, (size_t) nlinks * sizeof(QhCandidate));
	QhNode	   *nodes = qh_take(repair->alloc, (size_t) nlinks * sizeof(QhNode));
	float	   *dist = qh_take(repair->alloc, (size_t) nlinks * sizeof(float));
	QhSearch   *search;
	QhCandidate found;
	int			nlive = 0;
	int			npassed = 0;

	ns.store = (QhStore) {.links = node_store_links, .score = node_store_score, .at_once = true, .max_degree = repair->store->max_degree};
	for (int i = 0; i < nlinks; i++)
		nodes[i] = qh_link_node(links[i]);
	repair->store->pair(repair->store, repair->node, nodes, nlinks, dist);
	for (int i = 0; i < nlinks; i++)
		seeds[i] = (QhCandidate) {dist[i], nodes[i]};
	search = qh_search_create(repair->alloc, &ns.store);
	qh_search_start(search, &limits, seeds, nlinks);
	while (nlive < wanted && npassed < FOUND_PASSED && qh_search_next(search, (uint64_t) (wanted + npassed), &found))
	{
		if (found.node == repair->node || is_dead(repair, found.node))
		{
			npassed++;
			continue;
		}
		nlive++;
		qh_visited_reserve(&repair->met, 1);
		if (qh_visited_add(&repair->met, &found.node, 1, nodes) == 1)
			add_candidate(repair, found.node);
	}
	qh_search_destroy(search);
	qh_give(repair->alloc, dist);
	qh_give(repair->alloc, nodes);
	qh_give(repair->alloc, seeds);
}

/* Is there a link to the candidate already?  A tree link keeps its place even where the node is gone. */
static bool
stays(const Repair *repair, const QhCandidate *cand)
{
	int			at = qh_list_find(repair->links, repair->nlinks, cand->node);

	return at >= 0 && (cand->dist < INFINITY || (repair->links[at] & QH_TREE_LINK) != 0);
}

/*
 * Candidates with distances, nearest first, each once, at most limit of them
 * but all that are linked to already.  kept says which those are.
 */
static int
rank_candidates(Repair *repair, QhSelectWork *work, int limit, QhCandidate *cands, uint8_t *kept)
{
	float	   *dist = repair->alloc->alloc(repair->alloc->ctx, ((size_t) repair->n + 1) * sizeof(float));
	int			n = 0;

	repair->store->pair(repair->store, repair->node, repair->nodes, repair->n, dist);
	for (int i = 0; i < repair->n; i++)
		cands[i] = (QhCandidate) {dist[i], repair->nodes[i]};
	repair->alloc->release(repair->alloc->ctx, dist);
	qh_candidates_sort(work, cands, repair->n, repair->node);
	for (int i = 0; i < repair->n; i++)
	{
		/* the same node has the same key and stands beside itself */
		if (n > 0 && cands[n - 1].node == cands[i].node)
			continue;
		kept[n] = stays(repair, &cands[i]);
		if (!kept[n] && (n >= limit || !(cands[i].dist < INFINITY)))
			continue;
		cands[n++] = cands[i];
	}
	return n;
}

/* How many links lead to dead nodes; 0 where only tree links do, which are the splice's business. */
static int
count_lost(const Repair *repair)
{
	const QhLink *links = repair->links;
	int			ndead = 0;
	bool		any = false;

	for (int i = 0; i < repair->nlinks; i++)
	{
		bool		dead = is_dead(repair, links[i]);

		ndead += dead;
		any = any || (dead && !(links[i] & QH_TREE_LINK));
	}
	return any ? ndead : 0;
}

/* Copy the tree links of a list to the front of out; returns how many. */
static int
copy_tree_links(const QhLink *links, int max_degree, QhLink *out)
{
	int			n = 0;

	for (int i = 0; i < max_degree && links[i] != QH_INVALID_NODE; i++)
		if (links[i] & QH_TREE_LINK)
			out[n++] = links[i];
	return n;
}

/*
 * Choose from the candidates into out, which holds the list's ntree tree links.  On a damaged page
 * a list may hold a node twice: then more are chosen than there are places.
 */
static void
choose_links(Repair *repair, int ntree, QhLink *out)
{
	const QhAlloc *alloc = repair->alloc;
	QhStore    *store = repair->store;
	size_t		count = (size_t) repair->n + 1;
	QhSelectInput input = {.max = store->max_degree};
	QhSelectWork *work = qh_select_work_create(alloc, repair->n);
	QhCandidate *cands = qh_take(alloc, count * sizeof(QhCandidate));
	uint8_t    *kept = qh_take(alloc, count);
	int		   *chosen = qh_take(alloc, count * sizeof(int));
	int			n = ntree;
	int			nchosen;

	input.cands = cands;
	input.kept = kept;
	input.n = rank_candidates(repair, work, REPAIR_CANDIDATES(store->max_degree), cands, kept);
	/* tree links to dead nodes are no candidates but keep their places */
	for (int i = 0; i < ntree; i++)
		input.max -= is_dead(repair, out[i]);
	/* a list is left with m links at least, or heavy deletes would thin the graph out */
	input.fill_to = input.max < store->max_degree / 2 ? input.max : store->max_degree / 2;
	nchosen = qh_select_with(work, store, &input, chosen);
	for (int i = 0; i < nchosen && n < store->max_degree; i++)
	{
		QhNode		node = cands[chosen[i]].node;

		if (qh_list_find(out, ntree, node) < 0)
			out[n++] = node;
	}
	qh_list_end(out, store->max_degree, qh_fit_links(&store->hubs, store->max_degree, repair->node, out, n));
	qh_give(alloc, chosen);
	qh_give(alloc, kept);
	qh_give(alloc, cands);
	qh_select_work_destroy(alloc, work);
}

/* Collect what may take the places of nlost links. */
static void
collect_candidates(Repair *repair, int nlost)
{
	meet(repair, repair->links, repair->nlinks);
	if (2 * nlost > repair->nlinks || repair->nlinks - nlost < FEW_LEFT)
	{
		search_live(repair);
		return;
	}
	collect_near(repair);
	/* so few only where lists lead to each other: what is beyond would be lost sight of, link by link */
	if (repair->n < repair->store->max_degree)
		search_live(repair);
}

QhRevision
qh_repair_links(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links,
				const QhDead *dead, QhLink *out)
{
	Repair		repair = {.alloc = alloc, .store = store, .dead = dead, .node = node, .links = links};
	int			nlost;

	repair.nlinks = qh_list_count(links, store->max_degree);
	nlost = count_lost(&repair);
	if (nlost == 0)
	{
		memcpy(out, links, (size_t) store->max_degree * sizeof(QhLink));
		return QH_UNCHANGED;
	}
	begin_repair(&repair);
	collect_candidates(&repair, nlost);
	choose_links(&repair, copy_tree_links(links, store->max_degree, out), out);
	end_repair(&repair);
	return QH_REVISED;
}

QhRevision
qh_link_back(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links, QhNode target, QhLink *out)
{
	if (qh_list_count(links, store->max_degree) < SHORT_LIST)
		return qh_revise_links(alloc, store, node, links, target, 0, out);
	memcpy(out, links, (size_t) store->max_degree * sizeof(QhLink));
	return QH_UNCHANGED;
}
