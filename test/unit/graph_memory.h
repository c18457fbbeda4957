/*
 * graph_memory.h
 *		A graph store over plain memory, clustered codes and counted allocation, for graph tests.
 *
 * Distances are Hamming distances computed here, so that a fault of the
 * kernels cannot hide one of the graph.
 */
#ifndef GRAPH_MEMORY_H
#define GRAPH_MEMORY_H

#include <math.h>
#include <string.h>

#include "check.h"
#include "graph/graph.h"

/* 256 bits a code */
#define CODE_NWORDS 4
#define CODE_NBYTES (CODE_NWORDS * 8)

typedef struct Code
{
	uint64_t	words[CODE_NWORDS];
} Code;

/* ---- memory ---- */

typedef struct Counted
{
	size_t		held;
	size_t		peak;
	uint64_t	nallocs;
} Counted;

/* Bytes before and behind what is allocated, which nobody is to write. */
#define FENCE	32

static inline void *
counted_alloc(void *ctx, size_t nbytes)
{
	Counted    *counted = ctx;
	char	   *start = malloc(nbytes + 2 * FENCE);

	if (start == NULL)
		abort();
	memset(start, 0x5C, FENCE);
	memcpy(start, &nbytes, sizeof(nbytes));
	/* what is read before it is written should look like nonsense */
	memset(start + FENCE, 0xA5, nbytes);
	memset(start + FENCE + nbytes, 0x5C, FENCE);
	counted->held += nbytes;
	counted->nallocs++;
	if (counted->held > counted->peak)
		counted->peak = counted->held;
	return start + FENCE;
}

static inline void
counted_release(void *ctx, void *p)
{
	Counted    *counted = ctx;
	char	   *start = (char *) p - FENCE;
	size_t		nbytes;

	memcpy(&nbytes, start, sizeof(nbytes));
	for (size_t i = 0; i < FENCE; i++)
		if (start[FENCE + nbytes + i] != 0x5C || (i >= sizeof(nbytes) && start[i] != 0x5C))
		{
			fprintf(stderr, "an array of %zu bytes was written past its end\n", nbytes);
			abort();
		}
	counted->held -= nbytes;
	free(start);
}

static inline QhAlloc
counted_init(Counted *counted)
{
	memset(counted, 0, sizeof(*counted));
	return (QhAlloc) {counted_alloc, counted_release, counted};
}

/* ---- codes ---- */

static inline float
code_distance(const Code *a, const Code *b)
{
	int			sum = 0;

	for (int i = 0; i < CODE_NWORDS; i++)
		sum += __builtin_popcountll(a->words[i] ^ b->words[i]);
	return (float) sum;
}

/* The code with each bit flipped with probability num / 64. */
static inline Code
code_flip(Code code, int num, uint64_t *random)
{
	for (int i = 0; i < CODE_NWORDS * 64; i++)
		if ((int) (check_random(random) >> 58) < num)
			code.words[i / 64] ^= UINT64_C(1) << (i % 64);
	return code;
}

static inline Code
code_random(uint64_t *random)
{
	Code		code;

	for (int i = 0; i < CODE_NWORDS; i++)
		code.words[i] = check_random(random);
	return code;
}

/* n codes around centres that are gathered around topics: neighbours worth the name, and clusters far apart. */
static inline Code *
codes_clustered(uint32_t n, uint64_t seed)
{
	enum
	{
		NTOPICS = 10, NCENTRES = 200
	};
	uint64_t	random = seed;
	Code		topics[NTOPICS];
	Code		centres[NCENTRES];
	Code	   *codes = malloc(((size_t) n + 1) * sizeof(Code));

	for (int i = 0; i < NTOPICS; i++)
		topics[i] = code_random(&random);
	for (int i = 0; i < NCENTRES; i++)
		centres[i] = code_flip(topics[i % NTOPICS], 10, &random);
	for (uint32_t i = 0; i < n; i++)
		codes[i] = code_flip(centres[check_random(&random) % NCENTRES], 8, &random);
	return codes;
}

/* ---- store ---- */

typedef struct Memory
{
	QhStore		store;			/* first: the functions cast */
	const Code *codes;
	uint32_t	n;
	QhLink	   *links;			/* max_degree words a node, QH_INVALID_NODE behind the last */
	uint8_t    *gone;			/* a byte a node */
	QhNode	   *entries;
	int			nentries;
	Code		query;
	uint64_t	nscored;
	uint64_t	nprefetches;
	QhNode		fetched[2][1000];	/* what fetch() was given last, for either place */
	int			nfetched[2];
	uint64_t	nfaults[QH_FAULT_TREE + 1];
	QhFault		last_fault;
} Memory;

static inline QhLink *
memory_links(const Memory *mem, QhNode node)
{
	return mem->links + (size_t) node * (size_t) mem->store.max_degree;
}

static inline int
memory_nlinks(const Memory *mem, QhNode node)
{
	int			n = 0;

	while (n < mem->store.max_degree && memory_links(mem, node)[n] != QH_INVALID_NODE)
		n++;
	return n;
}

static inline int
memory_store_links(QhStore *store, QhNode node, QhLink *out)
{
	const Memory *mem = (const Memory *) store;
	int			n = mem->gone[node] ? 0 : memory_nlinks(mem, node);

	memcpy(out, memory_links(mem, node), (size_t) n * sizeof(QhLink));
	return n;
}

static inline void
memory_store_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	Memory	   *mem = (Memory *) store;

	if (n < 1 || n > store->max_degree)
		abort();
	for (int i = 0; i < n; i++)
		dist[i] = mem->gone[nodes[i]] ? INFINITY : code_distance(&mem->query, &mem->codes[nodes[i]]);
	mem->nscored += (uint64_t) n;
}

static inline void
memory_store_pair(QhStore *store, QhNode node, const QhNode *nodes, int n, float *dist)
{
	const Memory *mem = (const Memory *) store;

	for (int i = 0; i < n; i++)
		dist[i] = mem->gone[nodes[i]] ? INFINITY : code_distance(&mem->codes[node], &mem->codes[nodes[i]]);
}

static inline void
memory_store_prefetch(QhStore *store, const QhNode *nodes, int n)
{
	Memory	   *mem = (Memory *) store;

	for (int i = 0; i < n; i++)
		if (nodes[i] >= mem->n)
			abort();
	mem->nprefetches += (uint64_t) n;
}

static inline void
memory_store_fetch(QhStore *store, int place, const QhNode *nodes, int n)
{
	Memory	   *mem = (Memory *) store;

	if (n <= 0 || n > 1000 || mem->nfetched[place] != 0)
		abort();
	memcpy(mem->fetched[place], nodes, (size_t) n * sizeof(QhNode));
	mem->nfetched[place] = n;
}

static inline void
memory_store_score_fetched(QhStore *store, int place, const QhNode *nodes, int n, float *dist)
{
	Memory	   *mem = (Memory *) store;

	if (mem->nfetched[place] != n || memcmp(mem->fetched[place], nodes, (size_t) n * sizeof(QhNode)) != 0)
		abort();
	mem->nfetched[place] = 0;
	memory_store_score(store, nodes, n, dist);
}

/* A graph of n nodes without links. */
static inline void
memory_init(Memory *mem, const Code *codes, uint32_t n, int max_degree)
{
	memset(mem, 0, sizeof(*mem));
	mem->store = (QhStore) {.links = memory_store_links, .score = memory_store_score, .pair = memory_store_pair, .prefetch = memory_store_prefetch,
		.prefetch_max = QH_PREFETCH_MAX,
		.max_degree = max_degree};
	mem->codes = codes;
	mem->n = n;
	mem->links = malloc(((size_t) n * (size_t) max_degree + 1) * sizeof(QhLink));
	memset(mem->links, 0xFF, ((size_t) n * (size_t) max_degree + 1) * sizeof(QhLink));
	mem->gone = calloc((size_t) n + 1, 1);
	mem->entries = calloc((size_t) n + 1, sizeof(QhNode));
}

static inline void
memory_free(Memory *mem)
{
	free(mem->links);
	free(mem->gone);
	free(mem->entries);
}

/* Take over what a bulk build made. */
static inline void
memory_load(Memory *mem, const Code *codes, const QhGraph *graph)
{
	memory_init(mem, codes, graph->n, graph->max_degree);
	memcpy(mem->links, graph->links, (size_t) graph->n * (size_t) graph->max_degree * sizeof(QhLink));
	if (graph->nentries > 0)
		memcpy(mem->entries, graph->entries, (size_t) graph->nentries * sizeof(QhNode));
	mem->nentries = graph->nentries;
}

/* ---- space ---- */

static inline void
space_pair_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	Code		a,
				b;

	(void) ctx;
	for (int row = 0; row < nrows; row++)
	{
		memcpy(&a, rows + (size_t) row * stride, sizeof(a));
		for (int i = 0; i < n; i++)
		{
			memcpy(&b, base + (size_t) i * stride, sizeof(b));
			*dist++ = code_distance(&a, &b);
		}
	}
}

static inline void
space_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	for (int i = 0; i < n; i++)
		space_pair_block(ctx, code, 1, codes[i], 0, 1, dist + i);
}

static inline QhSpace
space_of(const Code *codes, uint32_t n)
{
	return (QhSpace) {.pair_block = space_pair_block, .pair = space_pair, .codes = (const uint8_t *) codes, .stride = sizeof(Code), .n = n};
}

/* ---- searching and checking ---- */

static inline void
memory_start(Memory *mem, QhSearch *search, const Code *query, const QhSearchLimits *limits)
{
	QhCandidate *seeds = malloc(((size_t) mem->nentries + 1) * sizeof(QhCandidate));

	mem->query = *query;
	for (int i = 0; i < mem->nentries; i++)
		seeds[i] = (QhCandidate) {code_distance(query, &mem->codes[mem->entries[i]]), mem->entries[i]};
	qh_search_start(search, limits, seeds, mem->nentries);
	free(seeds);
}

/* Share of the ten nearest found with ef, ties counted fairly, over nqueries new codes near those of the graph. */
static inline double
memory_recall(Memory *mem, int ef, int nqueries, uint64_t seed)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSearch   *search = qh_search_create(&alloc, &mem->store);
	QhSearchLimits limits = {.resumable = false};
	uint64_t	random = seed;
	uint64_t	nfound = 0,
				nwanted = 0;

	for (int q = 0; q < nqueries; q++)
	{
		Code		query = code_flip(mem->codes[check_random(&random) % mem->n], 6, &random);
		int			histogram[CODE_NBYTES * 8 + 1] = {0};
		int			nlive = 0;
		float		bound = 0;
		QhCandidate found;

		for (QhNode i = 0; i < mem->n; i++)
			if (!mem->gone[i])
				histogram[(int) code_distance(&query, &mem->codes[i])]++;
		for (int d = 0; d <= CODE_NBYTES * 8 && nlive < 10; d++)
		{
			nlive += histogram[d];
			bound = (float) d;
		}
		nwanted += nlive < 10 ? (uint64_t) nlive : 10;
		memory_start(mem, search, &query, &limits);
		for (int i = 0; i < 10 && qh_search_next(search, (uint64_t) ef, &found); i++)
			nfound += found.dist <= bound;
	}
	qh_search_destroy(search);
	return nwanted == 0 ? 1.0 : (double) nfound / (double) nwanted;
}

static inline bool
memory_in_use(void *ctx, QhNode node)
{
	return !((Memory *) ctx)->gone[node];
}

static inline void
memory_report(void *ctx, const QhFault *fault)
{
	Memory	   *mem = ctx;

	mem->nfaults[fault->kind]++;
	mem->last_fault = *fault;
}

/* Number of faults; by kind in nfaults. */
static inline uint64_t
memory_check(Memory *mem)
{
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhCheckInput input = {
		.nnodes = mem->n, .in_use = memory_in_use, .entries = mem->entries, .nentries = mem->nentries,
		.ctx = mem, .report = memory_report
	};
	uint64_t	nfaults;

	memset(mem->nfaults, 0, sizeof(mem->nfaults));
	nfaults = qh_check(&alloc, &mem->store, &input);
	if (counted.held != 0)
		abort();
	return nfaults;
}

#endif							/* GRAPH_MEMORY_H */
