/*
 * test_graph_insert.c
 *		A graph that changes: inserts one by one, deletes with splicing and repair, reuse.
 *
 * Does in memory what the access method does on pages, one step at a time, and
 * checks the graph in between.
 */
#include "graph/lists.h"
#include "graph_memory.h"

#define MAX_DEGREE 16
#define M (MAX_DEGREE / 2)
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

static bool
is_dead(void *ctx, QhNode node)
{
	return ((World *) ctx)->dead[node] != 0;
}

static void
world_init(World *world, const Code *codes, uint32_t capacity)
{
	memset(world, 0, sizeof(*world));
	memory_init(&world->mem, codes, capacity, MAX_DEGREE);
	memset(world->mem.gone, 1, capacity);
	world->alloc = counted_init(&world->counted);
	world->search = qh_search_create(&world->alloc, &world->mem.store);
	world->dead = calloc(capacity, 1);
	world->parent = malloc(capacity * sizeof(QhNode));
	memset(world->parent, 0xFF, capacity * sizeof(QhNode));
}

static void
world_free(World *world)
{
	qh_search_destroy(world->search);
	memory_free(&world->mem);
	free(world->dead);
	free(world->parent);
}

/* Faults that must not be even in the middle of a vacuum: everything is reached, and by one parent. */
static uint64_t
tree_faults(World *world)
{
	memory_check(&world->mem);
	return world->mem.nfaults[QH_FAULT_TREE] + world->mem.nfaults[QH_FAULT_UNREACHABLE] +
		world->mem.nfaults[QH_FAULT_TWICE] + world->mem.nfaults[QH_FAULT_SELF] + world->mem.nfaults[QH_FAULT_RANGE];
}

/* Replace a node's list. */
static void
write_links(World *world, QhNode node, const QhLink *links)
{
	const QhStore *store = &world->mem.store;

	world->nmisfits += !qh_links_fit(&store->hubs, store->max_degree, node, links, qh_list_count(links, MAX_DEGREE));
	memcpy(memory_links(&world->mem, node), links, MAX_DEGREE * sizeof(QhLink));
}

/* ---- insert ---- */

static bool
attach(World *world, QhNode parent, QhNode node)
{
	const QhStore *store = &world->mem.store;
	int			cap = qh_room(&store->hubs, store->max_degree, parent) / 2;
	QhLink		out[MAX_DEGREE];

	if (qh_revise_links(&world->alloc, &world->mem.store, parent, memory_links(&world->mem, parent), node, cap, out) != QH_REVISED)
		return false;
	write_links(world, parent, out);
	world->parent[node] = parent;
	return true;
}

static void
insert(World *world, QhNode node)
{
	Memory	   *mem = &world->mem;
	QhSearchLimits limits = {.resumable = false};
	QhCandidate cands[EF_CONSTRUCTION];
	QhNode		neighbours[M];
	QhLink		links[MAX_DEGREE];
	bool		attached = false;
	int			n = 0;
	int			nneighbours;

	memory_start(mem, world->search, &mem->codes[node], &limits);
	while (n < EF_CONSTRUCTION && qh_search_next(world->search, EF_CONSTRUCTION, &cands[n]))
		if (!world->dead[cands[n].node])
			n++;
	nneighbours = qh_pick_neighbours(&world->alloc, &mem->store, cands, n, M, neighbours);
	nneighbours = qh_fit_links(&mem->store.hubs, MAX_DEGREE, node, neighbours, nneighbours);
	for (int i = 0; i < MAX_DEGREE; i++)
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
		QhLink		out[MAX_DEGREE];

		if (qh_revise_links(&world->alloc, &mem->store, neighbours[i], memory_links(mem, neighbours[i]), node, 0, out) == QH_REVISED)
			write_links(world, neighbours[i], out);
	}
	world->nlive++;
}

/* ---- delete ---- */

static void
apply(World *world, const QhLinkChange *changes, int n)
{
	for (int i = 0; i < n; i++)
	{
		QhLink	   *links = memory_links(&world->mem, changes[i].node);

		if (memcmp(links, changes[i].old_links, MAX_DEGREE * sizeof(QhLink)) != 0)
			world->nbad_steps++;
		write_links(world, changes[i].node, changes[i].new_links);
		for (int j = 0; j < MAX_DEGREE && links[j] != QH_INVALID_NODE; j++)
			if (links[j] & QH_TREE_LINK)
				world->parent[qh_link_node(links[j])] = changes[i].node;
	}
}

static int
find_entry(const World *world, QhNode node)
{
	for (int i = 0; i < world->mem.nentries; i++)
		if (world->mem.entries[i] == node)
			return i;
	return -1;
}

static void
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

static void
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
static void
splice_below(World *world, QhNode parent, QhNode node)
{
	QhLink		lists[2 * QH_MAX_SPLICE_CHANGES][MAX_DEGREE];
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
		int			ntree = qh_list_count_tree(memory_links(&world->mem, node), MAX_DEGREE);
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
	world->nbad_steps += qh_list_count_tree(memory_links(&world->mem, node), MAX_DEGREE) != 0;
}

static void
splice(World *world, QhNode node)
{
	/* an entry point may have a parent besides */
	if (find_entry(world, node) >= 0)
		splice_below(world, QH_INVALID_NODE, node);
	if (world->parent[node] != QH_INVALID_NODE)
		splice_below(world, world->parent[node], node);
	world->parent[node] = QH_INVALID_NODE;
}

/* Vacuum all nodes marked dead. */
static void
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
		QhLink		out[MAX_DEGREE];
		QhLink	   *links = memory_links(mem, node);

		if (mem->gone[node] || world->dead[node])
			continue;
		if (qh_repair_links(&world->alloc, &mem->store, node, links, &dead, out) == QH_REVISED)
			write_links(world, node, out);
		else
			world->nbad_steps += memcmp(links, out, sizeof(out)) != 0;
	}
	for (QhNode node = 0; node < mem->n; node++)
	{
		if (!world->dead[node])
			continue;
		world->dead[node] = 0;
		mem->gone[node] = 1;
		world->nlive--;
		memset(memory_links(mem, node), 0xFF, MAX_DEGREE * sizeof(QhLink));
	}
	free(left);
}

static void
kill_at_random(World *world, int percent, uint64_t *random)
{
	for (QhNode node = 0; node < world->mem.n; node++)
		if (!world->mem.gone[node] && (int) (check_random(random) % 100) < percent)
			world->dead[node] = 1;
}

/* ---- tests ---- */

static int
max_tree_links(const World *world)
{
	int			max = 0;

	for (QhNode node = 0; node < world->mem.n; node++)
	{
		int			n = qh_list_count_tree(memory_links(&world->mem, node), MAX_DEGREE);

		if (n > max)
			max = n;
	}
	return max;
}

/* A graph from its first node to its last, and once more from nothing. */
static void
test_life(QhHubs hubs)
{
	uint32_t	n = 20000;
	Code	   *codes = codes_clustered(n, 21);
	World		world;
	uint64_t	random = 4;
	double		recall;
	uint64_t	nfaults = 0;

	world_init(&world, codes, n);
	world.mem.store.hubs = hubs;
	for (QhNode node = 0; node < n; node++)
	{
		insert(&world, node);
		if (node < 64 || (node & (node + 1)) == 0)
			nfaults += memory_check(&world.mem);
	}
	ok(nfaults == 0, "sound while it grows from nothing");
	ok(memory_check(&world.mem) == 0, "sound with 20,000 nodes inserted one by one");
	ok(max_tree_links(&world) <= M && world.nwide_attach == 0, "no node has more than m children (%d)", max_tree_links(&world));
	recall = memory_recall(&world.mem, 100, 200, 1);
	ok(recall >= 0.95, "recall %.3f at ef 100", recall);

	kill_at_random(&world, 30, &random);
	vacuum(&world);
	ok(memory_check(&world.mem) == 0 && world.nbad_steps == 0, "sound after 30%% were deleted (%llu children moved, %u live)",
	   (unsigned long long) world.nmoves, world.nlive);
	recall = memory_recall(&world.mem, 100, 200, 2);
	ok(recall >= 0.95, "recall %.3f at ef 100", recall);

	for (QhNode node = 0; node < n; node++)
		if (world.mem.gone[node])
			insert(&world, node);
	ok(memory_check(&world.mem) == 0 && world.nlive == n, "sound after their places were taken again");
	recall = memory_recall(&world.mem, 100, 200, 3);
	ok(recall >= 0.95, "recall %.3f at ef 100", recall);

	for (int round = 0; round < 3; round++)
	{
		kill_at_random(&world, 60, &random);
		vacuum(&world);
		nfaults += memory_check(&world.mem);
	}
	ok(nfaults == 0 && world.nbad_steps == 0, "sound after three times 60%% were deleted (%u live)", world.nlive);
	recall = memory_recall(&world.mem, 100, 200, 4);
	ok(recall >= 0.90, "recall %.3f at ef 100", recall);

	kill_at_random(&world, 100, &random);
	vacuum(&world);
	ok(world.nlive == 0 && world.mem.nentries == 0 && world.nbad_steps == 0, "all nodes can be deleted");
	insert(&world, 17);
	insert(&world, 18);
	ok(memory_check(&world.mem) == 0 && world.mem.nentries == 1, "and the graph begins anew");
	ok(world.nmisfits == 0, "there was room for every list");
	world_free(&world);
	ok(world.counted.held == 0, "gives all memory back");
	free(codes);
}

/* Every single step of a vacuum leaves every node in the tree. */
static void
test_steps(int percent, uint64_t seed, QhHubs hubs)
{
	uint32_t	n = 400;
	Code	   *codes = codes_clustered(n, seed);
	World		world;
	uint64_t	random = seed;

	world_init(&world, codes, n);
	world.mem.store.hubs = hubs;
	for (QhNode node = 0; node < n; node++)
		insert(&world, node);
	world.check_steps = true;
	kill_at_random(&world, percent, &random);
	/* the entry point is always among them */
	world.dead[world.mem.entries[0]] = 1;
	vacuum(&world);
	ok(world.nbad_steps == 0, "%d%% deleted: the tree holds after every step (%llu moves)", percent, (unsigned long long) world.nmoves);
	ok(memory_check(&world.mem) == 0 && world.nmisfits == 0, "%d%% deleted: sound at the end", percent);
	world_free(&world);
	free(codes);
}

/* A bulk-built graph takes inserts and deletes as well. */
static void
test_after_build(void)
{
	uint32_t	n = 10000,
				nbuilt = 7000;
	Code	   *codes = codes_clustered(n, 5);
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, nbuilt);
	QhBuildParams params = {.m = M, .ef_construction = EF_CONSTRUCTION, .seed = 3, .max_entries = 1000};
	QhGraph    *graph = qh_build(&alloc, &space, &params);
	World		world;
	uint64_t	random = 8;
	double		recall;

	world_init(&world, codes, n);
	memcpy(world.mem.links, graph->links, (size_t) nbuilt * MAX_DEGREE * sizeof(QhLink));
	memcpy(world.mem.entries, graph->entries, (size_t) graph->nentries * sizeof(QhNode));
	world.mem.nentries = graph->nentries;
	memset(world.mem.gone, 0, nbuilt);
	world.nlive = nbuilt;
	for (QhNode node = 0; node < nbuilt; node++)
		for (int i = 0; i < memory_nlinks(&world.mem, node); i++)
			if (memory_links(&world.mem, node)[i] & QH_TREE_LINK)
				world.parent[qh_link_node(memory_links(&world.mem, node)[i])] = node;
	qh_graph_free(&alloc, graph);

	for (QhNode node = nbuilt; node < n; node++)
		insert(&world, node);
	ok(memory_check(&world.mem) == 0 && world.nwide_attach == 0, "built, then inserted into: sound");
	recall = memory_recall(&world.mem, 100, 200, 5);
	ok(recall >= 0.95, "recall %.3f at ef 100", recall);
	kill_at_random(&world, 40, &random);
	for (int i = 0; i < world.mem.nentries; i += 2)
		world.dead[world.mem.entries[i]] = 1;
	vacuum(&world);
	ok(memory_check(&world.mem) == 0 && world.nbad_steps == 0, "then 40%% deleted, half the entry points among them: sound");
	recall = memory_recall(&world.mem, 100, 200, 6);
	ok(recall >= 0.95, "recall %.3f at ef 100", recall);
	world_free(&world);
	ok(world.counted.held == 0 && counted.held == 0, "gives all memory back");
	free(codes);
}

/* What repair promises of one list. */
static void
test_repair_list(void)
{
	Code		codes[8] = {{{0}}};
	World		world;
	QhLink		out[MAX_DEGREE];
	QhDead		dead;
	QhLink	   *links;

	world_init(&world, codes, 8);
	memset(world.mem.gone, 0, 8);
	dead = (QhDead) {is_dead, &world};
	for (int i = 0; i < 8; i++)
		codes[i].words[i / 2] = UINT64_C(0xFFFF) << (i % 2 * 20);
	links = memory_links(&world.mem, 0);
	links[0] = 1 | QH_TREE_LINK;
	links[1] = 2;
	links[2] = 3 | QH_TREE_LINK;
	memory_links(&world.mem, 2)[0] = 4;
	memory_links(&world.mem, 2)[1] = 0;
	memory_links(&world.mem, 2)[2] = 5;
	ok(qh_repair_links(&world.alloc, &world.mem.store, 0, links, &dead, out) == QH_UNCHANGED && memcmp(out, links, sizeof(out)) == 0,
	   "a list without dead nodes stays");
	world.dead[3] = 1;
	ok(qh_repair_links(&world.alloc, &world.mem.store, 0, links, &dead, out) == QH_UNCHANGED && memcmp(out, links, sizeof(out)) == 0,
	   "a tree link to a dead node is the splice's business");
	world.dead[2] = 1;
	world.dead[5] = 1;
	ok(qh_repair_links(&world.alloc, &world.mem.store, 0, links, &dead, out) == QH_REVISED &&
	   qh_list_has_tree(out, MAX_DEGREE, 1) && qh_list_has_tree(out, MAX_DEGREE, 3) && qh_list_count(out, MAX_DEGREE) == 3,
	   "tree links stay when ordinary ones go");
	ok(qh_list_find(out, MAX_DEGREE, 4) >= 0 && qh_list_find(out, MAX_DEGREE, 2) < 0 && qh_list_find(out, MAX_DEGREE, 5) < 0 &&
	   qh_list_find(out, MAX_DEGREE, 0) < 0, "a live neighbour of the dead one takes its place");
	world_free(&world);
}

int
main(void)
{
	/* room for five links in any case, and for about ten of those there are */
	const QhHubs full = {0},
				low = {.period = 300, .count = 6, .low_nbytes = 24};

	test_repair_list();
	test_steps(10, 1, full);
	test_steps(50, 2, full);
	test_steps(95, 3, full);
	test_steps(100, 4, full);
	test_after_build();
	test_life(full);
	for (int percent = 10; percent <= 100; percent += 30)
		test_steps(percent, (uint64_t) percent, low);
	test_life(low);
	return done_testing();
}
