/*
 * test_graph_random.c
 *		A random driver for the graph's search, insert and repair.
 *
 * Random graphs, stores, limits and budgets that grow and shrink, searches that are used as the access method uses them, started
 * anew and left in the middle; and graphs that change.  What must hold whatever was asked for is looked at after every call.
 *
 * usage: test_graph_random [seconds [seed]]     without seconds a fixed number of rounds; a round prints its seed if it fails
 */
#include <time.h>

#include "graph_naive.h"
#include "graph_world.h"

static uint64_t
below(uint64_t *random, uint64_t n)
{
	return n == 0 ? 0 : check_random(random) % n;
}

/* Small numbers are as likely as large ones: from 1 to about most. */
static uint64_t
any_size(uint64_t *random, uint64_t most)
{
	return 1 + below(random, (uint64_t) pow((double) most, check_uniform(random)));
}

/* ---- searches ---- */

/* A store that remembers what was scored. */
typedef struct Seen
{
	Memory		mem;			/* first: the functions cast */
	uint8_t    *scored;			/* not gone */
	uint8_t    *returned;
	uint8_t    *reachable;
	uint32_t	nfound;			/* scored, seeds included */
	uint32_t	nreturned;
	uint32_t	ntwice;			/* scored though scored before */
} Seen;

static void
note_scored(Seen *seen, QhNode node)
{
	seen->ntwice += seen->scored[node];
	seen->nfound += !seen->scored[node] && !seen->mem.gone[node];
	seen->scored[node] = !seen->mem.gone[node];
}

static void
seen_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	for (int i = 0; i < n; i++)
		note_scored((Seen *) store, nodes[i]);
	memory_store_score(store, nodes, n, dist);
}

static void
seen_score_fetched(QhStore *store, int place, const QhNode *nodes, int n, float *dist)
{
	for (int i = 0; i < n; i++)
		note_scored((Seen *) store, nodes[i]);
	memory_store_score_fetched(store, place, nodes, n, dist);
}

/* A graph of random links, whole or in pieces, and a store of any kind. */
static void
seen_init(Seen *seen, const Code *codes, uint32_t n, uint64_t *random)
{
	int			max_degree = 2 + (int) below(random, 50);
	Memory	   *mem = &seen->mem;

	memset(seen, 0, sizeof(*seen));
	if (below(random, 3) > 0)
		make_random_graph(mem, codes, n, max_degree, check_random(random));
	else
	{
		memory_init(mem, codes, n, max_degree);
		for (QhNode node = 0; node < n; node++)
			for (uint64_t i = below(random, (uint64_t) max_degree); i-- > 0;)
				memory_links(mem, node)[i] = (QhLink) below(random, n);
	}
	if (below(random, 2))
		for (QhNode node = 0; node < n; node += 1 + (QhNode) below(random, 20))
			mem->gone[node] = 1;
	mem->store.score = seen_score;
	if (below(random, 2))
	{
		mem->store.fetch = memory_store_fetch;
		mem->store.score_fetched = seen_score_fetched;
	}
	mem->store.at_once = below(random, 2);
	mem->store.place = below(random, 2) ? place_of_eight : NULL;
	mem->store.prefetch = below(random, 4) ? memory_store_prefetch : NULL;
	seen->scored = malloc(n);
	seen->returned = malloc(n);
	seen->reachable = malloc(n);
}

static void
seen_free(Seen *seen)
{
	memory_free(&seen->mem);
	free(seen->scored);
	free(seen->returned);
	free(seen->reachable);
}

/* Of any nodes, some twice, some gone. */
static int
choose_seeds(Seen *seen, QhCandidate *seeds, int max, uint64_t *random)
{
	int			n = (int) below(random, (uint64_t) max + 1);

	for (int i = 0; i < n; i++)
	{
		QhNode		node = (QhNode) below(random, seen->mem.n);

		seeds[i] = (QhCandidate) {seen->mem.gone[node] ? INFINITY : code_distance(&seen->mem.query, &seen->mem.codes[node]), node};
	}
	return n;
}

/* Mark what can be reached from the seeds; returns how many nodes. */
static uint32_t
reach_from(Seen *seen, const QhCandidate *seeds, int nseeds)
{
	const Memory *mem = &seen->mem;
	QhNode	   *queue = malloc(mem->n * sizeof(QhNode));
	uint32_t	tail = 0;

	memset(seen->reachable, 0, mem->n);
	for (int i = 0; i < nseeds; i++)
		if (!mem->gone[seeds[i].node] && !seen->reachable[seeds[i].node])
		{
			seen->reachable[seeds[i].node] = 1;
			queue[tail++] = seeds[i].node;
		}
	for (uint32_t head = 0; head < tail; head++)
		for (int i = 0; i < memory_nlinks(mem, queue[head]); i++)
		{
			QhNode		other = qh_link_node(memory_links(mem, queue[head])[i]);

			if (!mem->gone[other] && !seen->reachable[other])
			{
				seen->reachable[other] = 1;
				queue[tail++] = other;
			}
		}
	free(queue);
	return tail;
}

/* One search, from its start until it is left or has no more. */
typedef struct Hunt
{
	Seen	   *seen;
	QhSearch   *search;
	Counted    *counted;
	QhSearchLimits limits;
	size_t		most_nbytes;	/* that may be held; 0: any number */
	bool		spared;			/* a budget has let neighbours be deferred */
	float		last;			/* distance returned last */
	const char *fault;
} Hunt;

static void
fault_if(Hunt *hunt, bool wrong, const char *what)
{
	if (wrong && hunt->fault == NULL)
		hunt->fault = what;
}

/* What must hold of n nodes that a call has returned. */
static void
look_at(Hunt *hunt, const QhCandidate *found, int n, bool was_limited)
{
	Seen	   *seen = hunt->seen;
	const QhSearchStats *stats = qh_search_stats(hunt->search);

	for (int i = 0; i < n; i++)
	{
		QhNode		node = found[i].node;

		fault_if(hunt, node >= seen->mem.n, "a node that is none");
		if (node >= seen->mem.n)
			return;
		fault_if(hunt, seen->returned[node], "a node is returned twice");
		fault_if(hunt, seen->mem.gone[node] || !seen->reachable[node] || !seen->scored[node], "a node that is gone or was not found");
		fault_if(hunt, found[i].dist != code_distance(&seen->mem.query, &seen->mem.codes[node]), "a wrong distance");
		/* nothing is found any more once a limit was met */
		fault_if(hunt, (i > 0 || was_limited) && found[i].dist < hunt->last, "not the nearest first");
		hunt->last = found[i].dist;
		seen->returned[node] = 1;
		seen->nreturned++;
	}
	fault_if(hunt, stats->nbytes != hunt->counted->held, "bytes held are not counted right");
	fault_if(hunt, hunt->most_nbytes != 0 && hunt->counted->peak > hunt->most_nbytes, "more memory than is allowed");
	fault_if(hunt, hunt->limits.max_scored != 0 && stats->nscored >= hunt->limits.max_scored + 2 * (uint64_t) seen->mem.store.max_degree,
			 "more nodes scored than are allowed");
	fault_if(hunt, was_limited && !stats->limited, "a limit is forgotten");
	fault_if(hunt, seen->ntwice > 0, "a node is scored twice");
	fault_if(hunt, stats->exhausted && stats->limited, "exhausted, and limited");
}

/* Any budget: larger or smaller than the one before, with the numbers of one who filters, or senseless. */
static QhBudget
choose_budget(Hunt *hunt, uint64_t *random)
{
	uint64_t	next = hunt->seen->nreturned;
	QhBudget		budget = {.ef_total = any_size(random, 2 * hunt->seen->mem.n)};

	if (below(random, 2))
		budget.ef_total += next;
	if (below(random, 2))
		budget.found_total = next + any_size(random, hunt->seen->mem.n);
	if (below(random, 2))
	{
		budget.rank = any_size(random, 50) + (below(random, 2) ? next : 0);
		budget.most_total = budget.ef_total + any_size(random, 200);
		budget.reach = 1 + (float) check_uniform(random);
	}
	if (below(random, 3) == 0)
		budget.whole_total = any_size(random, 60);
	return budget;
}

/* The nodes that are next, as things stand: none twice, none that was returned. */
static void
peek(Hunt *hunt)
{
	QhNode		nodes[40];
	int			n = qh_search_peek(hunt->search, 40, nodes);

	for (int i = 0; i < n; i++)
	{
		fault_if(hunt, hunt->seen->returned[nodes[i]], "a node to come was returned before");
		for (int j = 0; j < i; j++)
			fault_if(hunt, nodes[i] == nodes[j], "a node is to come twice");
	}
}

/* Nothing came: then all was returned that was found, and found that can be. */
static void
look_at_end(Hunt *hunt, uint32_t nreachable)
{
	const QhSearchStats *stats = qh_search_stats(hunt->search);

	if (!hunt->limits.resumable)
		return;
	fault_if(hunt, hunt->seen->nreturned != hunt->seen->nfound, "what was found is not returned");
	fault_if(hunt, !stats->limited && hunt->seen->nreturned != nreachable, "the search ends before all was found");
	fault_if(hunt, !stats->limited && !stats->exhausted, "not exhausted");
}

/* One search by random budgets, perhaps to its end. */
static void
hunt_on(Hunt *hunt, uint32_t nreachable, uint64_t *random)
{
	QhBudget		budget = choose_budget(hunt, random);
	uint64_t	ncalls = any_size(random, 3 * hunt->seen->mem.n);
	uint64_t	change_every = any_size(random, 100);
	int			max = 1 + (int) below(random, 40);

	for (uint64_t i = 0; i < ncalls && hunt->fault == NULL; i++)
	{
		QhCandidate found[40];
		bool		was_limited = qh_search_stats(hunt->search)->limited;
		int			n;

		if (i % change_every == change_every - 1)
		{
			budget = choose_budget(hunt, random);
			max = 1 + (int) below(random, 40);
		}
		if (i % 7 == 3)
			peek(hunt);
		hunt->seen->mem.store.prefetch_max = 1 + (int) below(random, QH_PREFETCH_MAX);
		n = qh_search_next_within(hunt->search, &budget, max, found);
		fault_if(hunt, n < 0 || n > max, "more nodes than were asked for");
		look_at(hunt, found, n, was_limited);
		if (n == 0)
		{
			look_at_end(hunt, nreachable);
			break;
		}
		/* who filters asks for the next, and for a few behind it */
		if (below(random, 2))
			budget.found_total = hunt->seen->nreturned + 1;
	}
}

/* Several searches, one after the other with the same memory. */
static const char *
search_round(uint64_t seed)
{
	uint64_t	random = seed;
	uint32_t	n = (uint32_t) any_size(&random, 3000);
	Code	   *codes = codes_clustered(n, seed);
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Hunt		hunt = {.counted = &counted};
	QhCandidate seeds[60];
	Seen		seen;

	seen_init(&seen, codes, n, &random);
	hunt.seen = &seen;
	hunt.search = qh_search_create(&alloc, &seen.mem.store);
	for (uint64_t i = any_size(&random, 6); i-- > 0 && hunt.fault == NULL;)
	{
		int			nseeds;

		seen.mem.query = below(&random, 2) ? codes[below(&random, n)] : code_random(&random);
		seen.mem.store.nnodes = (QhNode) (below(&random, 2) ? below(&random, 2 * n) : n);
		seen.nfound = seen.nreturned = 0;
		memset(seen.scored, 0, n);
		memset(seen.returned, 0, n);
		memset(seen.mem.nfetched, 0, sizeof(seen.mem.nfetched));
		nseeds = choose_seeds(&seen, seeds, 60, &random);
		hunt.limits = (QhSearchLimits) {.resumable = below(&random, 4) > 0};
		if (below(&random, 3) == 0)
			hunt.limits.max_scored = any_size(&random, n);
		if (below(&random, 3) > 0)
			hunt.limits.max_nbytes = any_size(&random, 200000);
		hunt.most_nbytes = hunt.limits.max_nbytes;
		if (hunt.most_nbytes != 0 && hunt.most_nbytes < qh_search_least_nbytes(&seen.mem.store, nseeds))
			hunt.most_nbytes = qh_search_least_nbytes(&seen.mem.store, nseeds);
		hunt.last = -1;
		counted.peak = 0;
		qh_search_start(hunt.search, &hunt.limits, seeds, nseeds);
		for (int j = 0; j < nseeds; j++)
			if (!seen.scored[seeds[j].node])
				note_scored(&seen, seeds[j].node);
		look_at(&hunt, NULL, 0, false);
		hunt_on(&hunt, reach_from(&seen, seeds, nseeds), &random);
	}
	qh_search_destroy(hunt.search);
	if (counted.held != 0 && hunt.fault == NULL)
		hunt.fault = "memory is not given back";
	seen_free(&seen);
	free(codes);
	return hunt.fault;
}

/* ---- against the naive search ---- */

static const char *
naive_round(uint64_t seed)
{
	enum
	{
		N = CODE_NBYTES * 8
	};
	uint64_t	random = seed;
	Code	   *codes = codes_without_ties(N, seed);
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSearchLimits limits = {.resumable = true};
	Naive		naive = {.nearest = INFINITY, .found = calloc(N, sizeof(QhCandidate)), .expanded = calloc(N, 1), .returned = calloc(N, sizeof(uint32_t)), .visited = calloc(N, 1)};
	QhBudget		budget = {.ef_total = any_size(&random, 60), .found_total = any_size(&random, 150)};
	const char *fault = NULL;
	Memory		mem;
	QhSearch   *search;
	QhCandidate a,
				b;
	bool		more = true;

	make_random_graph(&mem, codes, N, 2 + (int) below(&random, 12), check_random(&random));
	mem.store.nnodes = (QhNode) below(&random, 2 * N);
	mem.store.at_once = below(&random, 2);
	if (below(&random, 2))
	{
		mem.store.place = place_of_eight;
		budget.whole_total = any_size(&random, 12);
	}
	for (QhNode node = 0; node < N; node++)
		naive.owner[node] = QH_INVALID_NODE;
	for (QhNode node = 1; node < N; node += 17)
		mem.gone[node] = below(&random, 3) == 0;
	search = qh_search_create(&alloc, &mem.store);
	memory_start(&mem, search, &(Code) {{0}}, &limits);
	naive_begin(&naive, &mem, 0);
	while (more && fault == NULL)
	{
		more = qh_search_next_within(search, &budget, 1, &a) > 0;
		if (more != naive_next(&naive, &mem, &budget, &b) || (more && (a.node != b.node || a.dist != b.dist)))
			fault = "another node than the naive search returns";
		if (below(&random, 3) == 0)
			budget.ef_total += below(&random, 9);
		/* the window grows and shrinks */
		budget.found_total = naive.nreturned + (below(&random, 4) == 0 ? any_size(&random, 150) : 1);
		if (below(&random, 60) == 0)
			budget.whole_total = 0;
	}
	qh_search_destroy(search);
	memory_free(&mem);
	naive_free(&naive);
	free(codes);
	return fault;
}

/* ---- graphs that change ---- */

static const char *
world_fault(World *world)
{
	if (memory_check(&world->mem) != 0)
		return "the graph is not sound";
	if (world->nbad_steps > 0)
		return "a step of a vacuum leaves the graph unsound";
	if (world->nmisfits > 0)
		return "a list that does not fit";
	return NULL;
}

/* Inserts, deletes and vacuums in any order. */
static const char *
world_round(uint64_t seed)
{
	uint64_t	random = seed;
	uint32_t	n = 2 + (uint32_t) any_size(&random, 600);
	int			max_degree = 2 * (1 + (int) below(&random, 16));
	Code	   *codes = codes_clustered(n, seed);
	const char *fault = NULL;
	World		world;

	/* many equal codes, whose distances are all alike */
	if (below(&random, 4) == 0)
		for (uint32_t i = 0; i < n; i++)
			codes[i] = codes[below(&random, 1 + n / 50)];
	world_init(&world, codes, n, max_degree);
	if (below(&random, 3) == 0 && max_degree >= 16)
		world.mem.store.hubs = (QhHubs) {.period = 20 + (uint32_t) below(&random, 300), .count = 1 + (uint32_t) below(&random, 8), .low_nbytes = 24};
	for (uint64_t turn = 2 + below(&random, 8); turn-- > 0 && fault == NULL;)
	{
		for (uint64_t i = below(&random, 2 * (uint64_t) n); i-- > 0;)
		{
			QhNode		node = (QhNode) below(&random, n);

			if (world.mem.gone[node])
				insert(&world, node);
		}
		fault = world_fault(&world);
		world.check_steps = world.nlive < 200;
		kill_at_random(&world, (int) below(&random, 101), &random);
		if (fault == NULL)
			vacuum(&world);
		fault = fault == NULL ? world_fault(&world) : fault;
	}
	world_free(&world);
	if (fault == NULL && world.counted.held != 0)
		fault = "memory is not given back";
	free(codes);
	return fault;
}

/* ---- rounds ---- */

typedef struct Kind
{
	const char *name;
	const char *(*round) (uint64_t seed);
	int			share;			/* of the rounds made in turn */
	uint64_t	nrounds;		/* where no time is given */
} Kind;

/* Rounds of one kind: so many, or until so much processor time has passed. */
static void
run(const Kind *kind, double seconds, uint64_t seed)
{
	double		end = (double) clock() / CLOCKS_PER_SEC + seconds;
	uint64_t	n = 0;
	const char *fault = NULL;

	while (fault == NULL && (seconds > 0 ? (double) clock() / CLOCKS_PER_SEC < end : n < kind->nrounds))
		fault = kind->round(seed + n++);
	ok(fault == NULL, "%s: %llu rounds from seed %llu", kind->name, (unsigned long long) n, (unsigned long long) seed);
	if (fault != NULL)
		printf("#   seed %llu: %s\n", (unsigned long long) (seed + n - 1), fault);
}

int
main(int argc, char **argv)
{
	static const Kind kinds[] = {
		{"searches", search_round, 50, 800},
		{"searches beside the naive one", naive_round, 20, 150},
		{"inserts, deletes and repairs", world_round, 30, 60},
	};
	double		seconds = argc > 1 ? atof(argv[1]) : 0;
	uint64_t	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		run(&kinds[i], seconds * kinds[i].share / 100, seed);
	return done_testing();
}
