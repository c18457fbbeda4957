/*
 * graph_world.h
 *		A graph that changes, in memory: inserts, deletes with splicing and repair, as the access method does them on pages.
 */
#ifndef GRAPH_WORLD_H
#define GRAPH_WORLD_H

#include "graph/lists.h"
#include "graph_memory.h"

/* Links of a node at most, in any world here. */
#define MOST_DEGREE 64
#define EF_CONSTRUCTION 48

typedef struct World
{
	Memory		mem;
	Counted		counted;
	QhAlloc		alloc;
	QhSearch   *search;
	uint8_t    *dead;			/* being deleted */
	QhNode	   *parent;			/* in the tree; kept here only to check and to splice */
	uint32_t	nlive;
	uint64_t	nmoves;
	bool		check_steps;
	uint64_t	nbad_steps;
	uint64_t	nwide_attach;	/* no candidate had room */
	uint64_t	nmisfits;		/* lists written for which there is no room */
} World;

static inline int
degree_of(const World *world)
{
	return world->mem.store.max_degree;
}

static inline bool
is_dead(void *ctx, QhNode node)
{
	return ((World *) ctx)->dead[node] != 0;
}

static inline void
world_init(World *world, const Code *codes, uint32_t capacity, int max_degree)
{
	if (max_degree > MOST_DEGREE)
		abort();
	memset(world, 0, sizeof(*world));
	memory_init(&world->mem, codes, capacity, max_degree);
	memset(world->mem.gone, 1, capacity);
	world->alloc = counted_init(&world->counted);
	world->search = qh_search_create(&world->alloc, &world->mem.store);
	world->dead = calloc(capacity, 1);
	world->parent = malloc(capacity * sizeof(QhNode));
	memset(world->parent, 0xFF, capacity * sizeof(QhNode));
}

static inline void
world_free(World *world)
{
	qh_search_destroy(world->search);
	memory_free(&world->mem);
	free(world->dead);
	free(world->parent);
}

/* Faults that must not be even in the middle of a vacuum: everything is reached, and by one parent. */
static inline uint64_t
tree_faults(World *world)
{
	memory_check(&world->mem);
	return world->mem.nfaults[QH_FAULT_TREE] + world->mem.nfaults[QH_FAULT_UNREACHABLE] +
		world->mem.nfaults[QH_FAULT_TWICE] + world->mem.nfaults[QH_FAULT_SELF] + world->mem.nfaults[QH_FAULT_RANGE];
}

/* Replace a node's list. */
static inline void
write_links(World *world, QhNode node, const QhLink *links)
{
	const QhStore *store = &world->mem.store;

	world->nmisfits += !qh_links_fit(&store->hubs, store->max_degree, node, links, qh_list_count(links, degree_of(world)));
	memcpy(memory_links(&world->mem, node), links, (size_t) degree_of(world) * sizeof(QhLink));
}

/* ---- insert ---- */

static inline bool
attach(World *world, QhNode parent, QhNode node)
{
	const QhStore *store = &world->mem.store;
	int			cap = qh_room(&store->hubs, store->max_degree, parent) / 2;
	QhLink		out[MOST_DEGREE];

	if (qh_revise_links(&world->alloc, &world->mem.store, parent, memory_links(&world->mem, parent), node, cap, out) != QH_REVISED)
		return false;
	write_links(world, parent, out);
	world->parent[node] = parent;
	return true;
}

static inline void
insert(World *world, QhNode node)
{
	Memory	   *mem = &world->mem;
	QhSearchLimits limits = {.resumable = false};
	QhCandidate cands[EF_CONSTRUCTION];
	QhNode		neighbours[MOST_DEGREE / 2];
	QhLink		links[MOST_DEGREE];
	bool		attached = false;
	int			n = 0;
	int			nneighbours;

	memory_start(mem, world->search, &mem->codes[node], &limits);
	while (n < EF_CONSTRUCTION && qh_search_next(world->search, EF_CONSTRUCTION, &cands[n]))
		if (!world->dead[cands[n].node])
			n++;
	nneighbours = qh_pick_neighbours(&world->alloc, &mem->store, cands, n, degree_of(world) / 2, neighbours);
	nneighbours = qh_fit_links(&mem->store.hubs, degree_of(world), node, neighbours, nneighbours);
	for (int i = 0; i < degree_of(world); i++)
		links[i] = i < nneighbours ? neighbours[i] : QH_INVALID_NODE;
	write_links(world, node, links);
	mem->gone[node] = 0;
	for (int i = 0; i < n && !attached; i++)
		attached = attach(world, cands[i].node, node);
	if (!attached)
	{
		world->nwide_attach += n > 0;
		mem->entries[mem->nentries++] = node;
		world->parent[node] = QH_INVALID_NODE;
	}
	else if (mem->nentries < qh_entries_wanted(world->nlive, 1000))
		mem->entries[mem->nentries++] = node;	/* and keeps its tree link */
	for (int i = 0; i < nneighbours; i++)
	{
		QhLink		out[MOST_DEGREE];

		if (qh_revise_links(&world->alloc, &mem->store, neighbours[i], memory_links(mem, neighbours[i]), node, 0, out) == QH_REVISED)
			write_links(world, neighbours[i], out);
	}
	world->nlive++;
}

/* ---- delete ---- */

static inline void
apply(World *world, const QhLinkChange *changes, int n)
{
	for (int i = 0; i < n; i++)
	{
		QhLink	   *links = memory_links(&world->mem, changes[i].node);

		if (memcmp(links, changes[i].old_links, (size_t) degree_of(world) * sizeof(QhLink)) != 0)
			world->nbad_steps++;
		write_links(world, changes[i].node, changes[i].new_links);
		for (int j = 0; j < degree_of(world) && links[j] != QH_INVALID_NODE; j++)
			if (links[j] & QH_TREE_LINK)
				world->parent[qh_link_node(links[j])] = changes[i].node;
	}
}

static inline int
find_entry(const World *world, QhNode node)
{
	for (int i = 0; i < world->mem.nentries; i++)
		if (world->mem.entries[i] == node)
			return i;
	return -1;
}

static inline void
replace_entry(World *world, QhNode old, QhNode heir)
{
	Memory	   *mem = &world->mem;
	int			at = find_entry(world, old);

	if (at < 0)
		world->nbad_steps++;
	else if (heir != QH_INVALID_NODE && find_entry(world, heir) < 0)
		mem->entries[at] = heir;
	else
		mem->entries[at] = mem->entries[--mem->nentries];
}

static inline void
check_step(World *world, QhNode except)
{
	if (!world->check_steps)
		return;
	/* a node that has left the tree is not to be reached any more */
	if (except != QH_INVALID_NODE)
		world->mem.gone[except] = 1;
	world->nbad_steps += tree_faults(world) > 0;
	if (except != QH_INVALID_NODE)
		world->mem.gone[except] = 0;
}

/* Take a dead node out of the tree below parent, or out of the entry points. */
static inline void
splice_below(World *world, QhNode parent, QhNode node)
{
	QhLink		lists[2 * QH_MAX_SPLICE_CHANGES][MOST_DEGREE];
	QhLinkChange changes[QH_MAX_SPLICE_CHANGES];
	QhNode		entry = node;

	for (int i = 0; i < QH_MAX_SPLICE_CHANGES; i++)
	{
		changes[i].old_links = lists[2 * i];
		changes[i].new_links = lists[2 * i + 1];
	}
	for (;;)
	{
		QhNode		heir = QH_INVALID_NODE;
		int			ntree = qh_list_count_tree(memory_links(&world->mem, node), degree_of(world));
		int			n = qh_plan_splice(&world->alloc, &world->mem.store, parent, node, changes, &heir);

		if (n == 0)
			break;
		world->nmoves += ntree > 1;
		if (heir != QH_INVALID_NODE)
		{
			replace_entry(world, node, heir);
			world->parent[heir] = QH_INVALID_NODE;
			entry = heir;
		}
		apply(world, changes, n);
		check_step(world, ntree <= 1 ? node : QH_INVALID_NODE);
	}
	if (parent == QH_INVALID_NODE && entry == node)
		replace_entry(world, node, QH_INVALID_NODE);
	check_step(world, node);
	/* the dead stay where searches may come by, but have no children */
	world->nbad_steps += qh_list_count_tree(memory_links(&world->mem, node), degree_of(world)) != 0;
}

static inline void
splice(World *world, QhNode node)
{
	/* an entry point may have a parent besides */
	if (find_entry(world, node) >= 0)
		splice_below(world, QH_INVALID_NODE, node);
	if (world->parent[node] != QH_INVALID_NODE)
		splice_below(world, world->parent[node], node);
	world->parent[node] = QH_INVALID_NODE;
}

/* Replace a node's list, and offer links back to those it did not link to before. */
static inline void
replace_links(World *world, QhNode node, const QhLink *links)
{
	Memory	   *mem = &world->mem;
	QhLink		before[MOST_DEGREE];

	memcpy(before, memory_links(mem, node), (size_t) degree_of(world) * sizeof(QhLink));
	write_links(world, node, links);
	for (int i = 0; i < degree_of(world) && links[i] != QH_INVALID_NODE; i++)
	{
		QhNode		other = qh_link_node(links[i]);
		QhLink		out[MOST_DEGREE];

		if (world->dead[other] || qh_list_find(before, degree_of(world), other) >= 0)
			continue;
		if (qh_link_back(&world->alloc, &mem->store, other, memory_links(mem, other), node, out) == QH_REVISED)
			write_links(world, other, out);
	}
}

/* Vacuum all nodes marked dead. */
static inline void
vacuum(World *world)
{
	Memory	   *mem = &world->mem;
	QhDead		dead = {is_dead, world};
	bool	   *left = calloc(mem->n, sizeof(bool));

	for (QhNode node = 0; node < mem->n; node++)
	{
		if (!world->dead[node])
			continue;
		splice(world, node);
		/* so that step checks do not ask for it any more */
		if (world->check_steps)
			mem->gone[node] = 1;
		left[node] = world->check_steps;
	}
	for (QhNode node = 0; node < mem->n; node++)
		if (left[node])
			mem->gone[node] = 0;
	for (QhNode node = 0; node < mem->n; node++)
	{
		QhLink		out[MOST_DEGREE];
		QhLink	   *links = memory_links(mem, node);

		if (mem->gone[node] || world->dead[node])
			continue;
		if (qh_repair_links(&world->alloc, &mem->store, node, links, &dead, out) == QH_REVISED)
			replace_links(world, node, out);
		else
			world->nbad_steps += memcmp(links, out, (size_t) degree_of(world) * sizeof(QhLink)) != 0;
	}
	for (QhNode node = 0; node < mem->n; node++)
	{
		if (!world->dead[node])
			continue;
		world->dead[node] = 0;
		mem->gone[node] = 1;
		world->nlive--;
		memset(memory_links(mem, node), 0xFF, (size_t) degree_of(world) * sizeof(QhLink));
	}
	free(left);
}

static inline void
kill_at_random(World *world, int percent, uint64_t *random)
{
	for (QhNode node = 0; node < world->mem.n; node++)
		if (!world->mem.gone[node] && (int) (check_random(random) % 100) < percent)
			world->dead[node] = 1;
}

static inline int
max_tree_links(const World *world)
{
	int			max = 0;

	for (QhNode node = 0; node < world->mem.n; node++)
	{
		int			n = qh_list_count_tree(memory_links(&world->mem, node), degree_of(world));

		if (n > max)
			max = n;
	}
	return max;
}

#endif							/* GRAPH_WORLD_H */
