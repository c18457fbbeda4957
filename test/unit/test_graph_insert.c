/*
 * test_graph_insert.c
 *		A graph that changes: inserts one by one, deletes with splicing and repair, reuse.
 *
 * Does in memory what the access method does on pages, one step at a time, and
 * checks the graph in between.
 */
#include "graph_world.h"

#define MAX_DEGREE 16
#define M (MAX_DEGREE / 2)

/* ---- tests ---- */

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

	world_init(&world, codes, n, MAX_DEGREE);
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

	world_init(&world, codes, n, MAX_DEGREE);
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

/* Take over what a bulk build made. */
static void
world_load(World *world, const QhGraph *graph)
{
	size_t		nwords = (size_t) graph->n * (size_t) graph->max_degree;

	memcpy(world->mem.links, graph->links, nwords * sizeof(QhLink));
	memcpy(world->mem.entries, graph->entries, (size_t) graph->nentries * sizeof(QhNode));
	world->mem.nentries = graph->nentries;
	memset(world->mem.gone, 0, graph->n);
	world->nlive = graph->n;
	for (size_t i = 0; i < nwords; i++)
		if (world->mem.links[i] != QH_INVALID_NODE && (world->mem.links[i] & QH_TREE_LINK))
			world->parent[qh_link_node(world->mem.links[i])] = (QhNode) (i / (size_t) graph->max_degree);
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

	world_init(&world, codes, n, MAX_DEGREE);
	world_load(&world, graph);
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

/* A code to search for, and the distance of the tenth nearest to it. */
typedef struct Query
{
	Code		code;
	float		tenth;
} Query;

static void
choose_queries(Query *queries, int nqueries, const Code *codes, uint32_t n, uint64_t *random)
{
	for (int q = 0; q < nqueries; q++)
	{
		int			histogram[CODE_NBYTES * 8 + 1] = {0};
		int			tenth = 0;

		queries[q].code = code_flip(codes[check_random(random) % n], 4, random);
		for (uint32_t i = 0; i < n; i++)
			histogram[(int) code_distance(&queries[q].code, &codes[i])]++;
		for (int nnear = histogram[0]; nnear < 10; nnear += histogram[tenth])
			tenth++;
		queries[q].tenth = (float) tenth;
	}
}

/* Share of the ten nearest that searches find, ties counted fairly. */
static double
share_found(Memory *mem, const Query *queries, int nqueries, int ef)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSearch   *search = qh_search_create(&alloc, &mem->store);
	QhSearchLimits limits = {.resumable = false};
	int			nfound = 0;

	for (int q = 0; q < nqueries; q++)
	{
		QhCandidate found;

		memory_start(mem, search, &queries[q].code, &limits);
		for (int i = 0; i < 10 && qh_search_next(search, (uint64_t) ef, &found); i++)
			nfound += found.dist <= queries[q].tenth;
	}
	qh_search_destroy(search);
	return nfound / (10.0 * nqueries);
}

/* What vacuums leave of a graph most of which was deleted, at once or little by little, finds what a graph of the rest built anew finds. */
static void
test_mostly_deleted(int m, int nbits, int percent, int ntimes)
{
	enum
	{
		N = 8000, NQUERIES = 300
	};
	Code	   *codes = codes_clustered(N, 5);
	Code	   *left = malloc(N * sizeof(Code));
	Query		queries[NQUERIES];
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhBuildParams params = {.m = m, .ef_construction = 64, .seed = 3, .max_entries = 1000};
	QhSpace		space = space_of(codes, N);
	QhGraph    *graph;
	World		world;
	Memory		anew;
	uint64_t	random = 9;
	uint32_t	nleft = 0;

	for (int i = 0; i < N; i++)
		for (int bit = nbits; bit < CODE_NBYTES * 8; bit++)
			codes[i].words[bit / 64] &= ~(UINT64_C(1) << bit % 64);
	graph = qh_build(&alloc, &space, &params);
	world_init(&world, codes, N, 2 * m);
	world_load(&world, graph);
	qh_graph_free(&alloc, graph);
	for (int i = 0; i < ntimes; i++)
	{
		kill_at_random(&world, percent, &random);
		vacuum(&world);
	}
	for (QhNode node = 0; node < N; node++)
		if (!world.mem.gone[node])
			left[nleft++] = codes[node];
	choose_queries(queries, NQUERIES, left, nleft, &random);
	ok(memory_check(&world.mem) == 0 && world.nbad_steps == 0, "m = %d, %d%% deleted %d times: sound", m, percent, ntimes);

	space = space_of(left, nleft);
	graph = qh_build(&alloc, &space, &params);
	memory_load(&anew, left, graph);
	for (int ef = 10; ef <= 80; ef *= 2)
	{
		double		vacuumed = share_found(&world.mem, queries, NQUERIES, ef);
		double		built = share_found(&anew, queries, NQUERIES, ef);

		ok(vacuumed >= built - 0.01, "m = %d, %d bits, %d%% deleted %d times, ef %d: recall %.3f, %.3f built anew",
		   m, nbits, percent, ntimes, ef, vacuumed, built);
	}
	qh_graph_free(&alloc, graph);
	memory_free(&anew);
	world_free(&world);
	free(left);
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

	world_init(&world, codes, 8, MAX_DEGREE);
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

static uint32_t
below(uint64_t *random, uint32_t n)
{
	return (uint32_t) (check_random(random) % n);
}

/* What a node links to, and nodes at random, as candidates at their distances; links may name a node twice. */
static int
candidates_of(World *world, QhNode node, const QhLink *links, uint64_t *random, QhCandidate *cands)
{
	Memory	   *mem = &world->mem;
	QhNode		nodes[2 * MOST_DEGREE];
	float		dist[2 * MOST_DEGREE];
	int			n = qh_list_count(links, degree_of(world));

	for (int i = 0; i < n; i++)
		nodes[i] = qh_link_node(links[i]);
	for (int i = 0; i < MOST_DEGREE / 2; i++)
	{
		nodes[n] = below(random, mem->store.nnodes);
		if (qh_list_find(links, degree_of(world), nodes[n]) < 0)
			n++;
	}
	mem->store.pair(&mem->store, node, nodes, n, dist);
	for (int i = 0; i < n; i++)
		cands[i] = (QhCandidate) {dist[i], nodes[i]};
	return n;
}

/* All nodes of a graph are searched for again, and linked anew. */
static void
test_renew(void)
{
	uint32_t	n = 5000;
	Code	   *codes = codes_clustered(n, 33);
	World		world;
	Memory	   *mem = &world.mem;
	double		before;
	double		after;

	world_init(&world, codes, n, MAX_DEGREE);
	for (QhNode node = 0; node < n; node++)
		insert(&world, node);
	before = memory_recall(mem, 40, 200, 1);
	for (QhNode node = 0; node < n; node++)
	{
		QhSearchLimits limits = {.resumable = false};
		QhCandidate cands[EF_CONSTRUCTION + MAX_DEGREE];
		QhCandidate found;
		QhLink		links[MAX_DEGREE];
		QhLink		out[MAX_DEGREE];
		int			ncands = 0;

		memcpy(links, memory_links(mem, node), sizeof(links));
		memory_start(mem, world.search, &mem->codes[node], &limits);
		while (ncands < EF_CONSTRUCTION && qh_search_next(world.search, EF_CONSTRUCTION, &found))
		{
			if (found.node != node && qh_list_find(links, MAX_DEGREE, found.node) < 0)
				cands[ncands++] = found;
		}
		for (int i = 0; i < qh_list_count(links, MAX_DEGREE); i++)
		{
			QhNode		to = qh_link_node(links[i]);

			cands[ncands].node = to;
			mem->store.pair(&mem->store, node, &to, 1, &cands[ncands++].dist);
		}
		if (qh_renew_links(&world.alloc, &mem->store, node, links, cands, ncands, out) != QH_REVISED)
			continue;
		write_links(&world, node, out);
		for (int i = 0; i < qh_list_count(out, MAX_DEGREE); i++)
		{
			QhNode		to = qh_link_node(out[i]);
			QhLink		back[MAX_DEGREE];

			if (qh_list_find(links, MAX_DEGREE, to) < 0 &&
				qh_revise_links(&world.alloc, &mem->store, to, memory_links(mem, to), node, 0, back) == QH_REVISED)
				write_links(&world, to, back);
		}
	}
	after = memory_recall(mem, 40, 200, 1);
	ok(memory_check(mem) == 0, "sound after all nodes were linked anew");
	ok(after >= before, "and recall is no less: %.3f, before %.3f", after, before);
	world_free(&world);
	free(codes);
}

/* Whatever lists say on a damaged page, nodes twice and themselves among them: nothing is written beyond a list's end. */
static void
test_damaged_lists(int max_degree, uint64_t seed)
{
	enum { NNODES = 60, CANARY = 0x5EED };
	Code		codes[NNODES];
	uint64_t	random = seed;
	World		world;
	QhDead		dead;
	bool		beyond = false;

	for (int i = 0; i < NNODES; i++)
		codes[i] = code_random(&random);
	world_init(&world, codes, NNODES, max_degree);
	memset(world.mem.gone, 0, NNODES);
	world.mem.store.nnodes = NNODES;
	dead = (QhDead) {is_dead, &world};
	for (int round = 0; round < 3000; round++)
	{
		QhLink		lists[2 * QH_MAX_SPLICE_CHANGES][MOST_DEGREE + 1];
		QhLink		renewed[MOST_DEGREE];
		QhCandidate cands[2 * MOST_DEGREE];
		QhLinkChange changes[QH_MAX_SPLICE_CHANGES];
		QhNode		heir = QH_INVALID_NODE;
		QhNode		node = below(&random, NNODES);
		QhNode		other = below(&random, NNODES);
		uint32_t	few = 1 + below(&random, NNODES);

		for (int i = 0; i < 2 * QH_MAX_SPLICE_CHANGES; i++)
			lists[i][max_degree] = CANARY;
		for (int i = 0; i < NNODES; i++)
		{
			QhLink	   *links = memory_links(&world.mem, (QhNode) i);
			int			n = (int) below(&random, (uint32_t) max_degree + 1);

			for (int k = 0; k < n; k++)
				links[k] = below(&random, few) | (below(&random, 3) == 0 ? QH_TREE_LINK : 0);
			qh_list_end(links, max_degree, n);
			world.dead[i] = below(&random, 4) == 0;
		}
		for (int i = 0; i < QH_MAX_SPLICE_CHANGES; i++)
			changes[i] = (QhLinkChange) {.old_links = lists[2 * i], .new_links = lists[2 * i + 1]};
		(void) qh_repair_links(&world.alloc, &world.mem.store, node, memory_links(&world.mem, node), &dead, lists[0]);
		(void) qh_link_back(&world.alloc, &world.mem.store, node, memory_links(&world.mem, node), other, lists[1]);
		(void) qh_revise_links(&world.alloc, &world.mem.store, node, memory_links(&world.mem, node), other,
							   (int) below(&random, (uint32_t) max_degree + 1), lists[2]);
		memcpy(renewed, memory_links(&world.mem, node), (size_t) max_degree * sizeof(QhLink));
		(void) qh_renew_links(&world.alloc, &world.mem.store, node, renewed, cands,
							  candidates_of(&world, node, renewed, &random, cands), lists[3]);
		beyond = beyond || lists[3][max_degree] != CANARY;
		(void) qh_plan_splice(&world.alloc, &world.mem.store, round % 2 ? other : QH_INVALID_NODE, node, changes, &heir);
		for (int i = 0; i < 2 * QH_MAX_SPLICE_CHANGES; i++)
			beyond = beyond || lists[i][max_degree] != CANARY;
	}
	ok(!beyond, "damaged lists of %d links at most: nothing is written beyond their ends", max_degree);
	world_free(&world);
}

int
main(void)
{
	/* room for five links in any case, and for about ten of those there are */
	const QhHubs full = {0},
				low = {.period = 300, .count = 6, .low_nbytes = 24};

	test_repair_list();
	test_renew();
	test_damaged_lists(6, 1);
	test_damaged_lists(8, 2);
	test_damaged_lists(32, 3);
	test_steps(10, 1, full);
	test_steps(50, 2, full);
	test_steps(95, 3, full);
	test_steps(100, 4, full);
	test_after_build();
	test_mostly_deleted(4, 52, 80, 1);
	test_mostly_deleted(8, 52, 80, 1);
	test_mostly_deleted(4, 256, 80, 1);
	test_mostly_deleted(16, 64, 80, 1);
	test_mostly_deleted(8, 52, 20, 7);
	test_mostly_deleted(8, 256, 20, 7);
	test_mostly_deleted(4, 256, 20, 7);
	test_mostly_deleted(8, 256, 10, 20);
	test_mostly_deleted(4, 64, 10, 20);
	test_mostly_deleted(16, 64, 20, 7);
	test_life(full);
	for (int percent = 10; percent <= 100; percent += 30)
		test_steps(percent, (uint64_t) percent, low);
	test_life(low);
	return done_testing();
}
