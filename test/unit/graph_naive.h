/*
 * graph_naive.h
 *		Random graphs, and the search of src/graph/search.c done slowly, to be compared with.
 *
 * For graphs of CODE_NBYTES * 8 nodes at most whose distances are all different.
 */
#ifndef GRAPH_NAIVE_H
#define GRAPH_NAIVE_H

#include "graph_memory.h"

/* ---- graphs ---- */

/* A ring, so that all is reachable, and random links besides. */
static inline void
make_random_graph(Memory *mem, const Code *codes, uint32_t n, int max_degree, uint64_t seed)
{
	uint64_t	random = seed;

	memory_init(mem, codes, n, max_degree);
	for (QhNode node = 0; node < n; node++)
	{
		QhLink	   *links = memory_links(mem, node);
		int			nlinks = 1 + (int) (check_random(&random) % (uint64_t) max_degree);

		links[0] = (node + 1) % n;
		for (int i = 1; i < nlinks; i++)
			links[i] = (QhLink) (check_random(&random) % n) | (i % 3 == 0 ? QH_TREE_LINK : 0);
	}
	mem->entries[0] = 0;
	mem->nentries = 1;
}

/* ---- the same search, slowly ---- */

typedef struct Naive
{
	QhCandidate *found;			/* all that was scored */
	uint8_t    *expanded;
	uint32_t   *returned;		/* 0: not yet, 1: first of all, ... */
	uint32_t	nfound;
	uint32_t	nreturned;
	uint8_t    *visited;
	float		reach;
	QhNode		deferred[100];	/* neighbours of the node expanded last, not scored yet */
	int			nbatch;

	/* while neighbours are deferred */
	bool		deferring;
	int			nexpanded;
	float		nearest;		/* of those not returned, whenever a node was about to be expanded; so many were before it was found: */
	int			nearest_since;
	uint8_t		met[CODE_NBYTES * 8];
	uint8_t		read[CODE_NBYTES * 8];	/* by place */
	QhNode		owner[CODE_NBYTES * 8]; /* for which a node is deferred, QH_INVALID_NODE where it is not */
	QhNode		queue[CODE_NBYTES * 8]; /* all that ever were deferred, in order */
	int			nqueue;
	uint64_t	whole_total;
	uint64_t	size;			/* of those not returned, so many are in order */
} Naive;

/* Eight nodes have a place together. */
static inline QhNode
place_of_eight(QhStore *store, QhNode node)
{
	(void) store;
	return node - node % 8;
}

static inline void
naive_add(Naive *naive, Memory *mem, QhNode node)
{
	if (!mem->gone[node])
		naive->found[naive->nfound++] = (QhCandidate) {code_distance(&mem->query, &mem->codes[node]), node};
}

static inline void
naive_begin(Naive *naive, Memory *mem, QhNode seed)
{
	naive->visited[seed] = 1;
	naive_add(naive, mem, seed);
}

static inline void
naive_free(Naive *naive)
{
	free(naive->found);
	free(naive->expanded);
	free(naive->returned);
	free(naive->visited);
}

/* Score the batch that waits. */
static inline void
naive_take_batch(Naive *naive, Memory *mem)
{
	for (int i = 0; i < naive->nbatch; i++)
		naive_add(naive, mem, naive->deferred[i]);
	naive->nbatch = 0;
}

/* The k-th smallest distance not returned, INFINITY if there are fewer. */
static inline float
naive_bound(const Naive *naive, uint64_t k)
{
	int			histogram[CODE_NBYTES * 8 + 1] = {0};
	uint64_t	n = 0;

	for (uint32_t i = 0; i < naive->nfound; i++)
		if (!naive->returned[i])
			histogram[(int) naive->found[i].dist]++;
	for (int d = 0; d <= CODE_NBYTES * 8; d++)
		if ((n += (uint64_t) histogram[d]) >= k)
			return (float) d;
	return INFINITY;
}

/* Is a neighbour that was not scored yet to be deferred?  Notes it if so. */
static inline bool
naive_defers(Naive *naive, QhNode owner, QhNode node)
{
	if (!naive->deferring || naive->nexpanded < naive->nearest_since + 3 || naive->met[node] || naive->read[place_of_eight(NULL, node)])
		return false;
	naive->met[node] = 1;
	naive->owner[node] = owner;
	naive->queue[naive->nqueue++] = node;
	return true;
}

static inline void
naive_visit(Naive *naive, QhNode node)
{
	naive->visited[node] = 1;
	naive->read[place_of_eight(NULL, node)] = naive->deferring;
}

static inline void
naive_expand(Naive *naive, Memory *mem, uint32_t i)
{
	QhNode		node = naive->found[i].node;
	QhNode		met[100];
	int			nmet = 0;

	naive->expanded[i] = 1;
	for (uint32_t j = 0; j < naive->nfound; j++)
		if (!naive->returned[j] && naive->found[j].dist < naive->nearest)
		{
			naive->nearest = naive->found[j].dist;
			naive->nearest_since = naive->nexpanded;
		}
	for (int link = 0; link < memory_nlinks(mem, node); link++)
	{
		QhNode		neighbour = qh_link_node(memory_links(mem, node)[link]);

		if (naive->visited[neighbour] || naive_defers(naive, node, neighbour))
			continue;
		met[nmet++] = neighbour;
		naive_visit(naive, neighbour);
	}
	naive->nexpanded++;
	naive_take_batch(naive, mem);
	memcpy(naive->deferred, met, (size_t) nmet * sizeof(QhNode));
	naive->nbatch = nmet;
	if (mem->store.at_once)
		naive_take_batch(naive, mem);
}

/* The distance that the nodes behind the first k not returned may have: that of the rank-th nearest of all times reach, but none behind the first most. */
static inline float
naive_reach(Naive *naive, const QhBudget *budget)
{
	uint64_t	left = budget->rank > naive->nreturned ? budget->rank - naive->nreturned : 0;
	float		most = budget->most_total > naive->nreturned ? naive_bound(naive, budget->most_total - naive->nreturned) : -1;

	if (budget->rank == 0)
		return -1;
	/* what has been returned tells no more: the last that was known holds */
	if (left > 0)
		naive->reach = naive_bound(naive, left) * budget->reach;
	return most < naive->reach ? most : naive->reach;
}

/* Is a node deferred, and not scored since? */
static inline bool
naive_is_deferred(const Naive *naive, QhNode node)
{
	return naive->owner[node] != QH_INVALID_NODE && !naive->visited[node];
}

/* Score some of those deferred for nodes nearer than bound, as many as a batch holds.  False where there are none. */
static inline bool
naive_resume(Naive *naive, Memory *mem, float bound)
{
	int			n = 0;

	for (int i = 0; i < naive->nqueue && n < mem->store.max_degree; i++)
	{
		QhNode		node = naive->queue[i];

		for (uint32_t j = 0; j < naive->nfound && naive_is_deferred(naive, node); j++)
		{
			/* whoever was returned has no say, unless all have */
			if (naive->found[j].node != naive->owner[node] || (bound < INFINITY && (naive->returned[j] || naive->found[j].dist > bound)))
				continue;
			naive_visit(naive, node);
			naive_add(naive, mem, node);
			n++;
		}
	}
	return n > 0;
}

/* Likewise once nothing is to be expanded: of the nearest, or of all where all that was found is expanded. */
static inline bool
naive_resume_near(Naive *naive, Memory *mem)
{
	uint64_t	nwhole = naive->whole_total > naive->nreturned ? naive->whole_total - naive->nreturned : 0;
	uint32_t	nleft = 0;

	for (uint32_t i = 0; i < naive->nfound; i++)
		nleft += !naive->returned[i] && !naive->expanded[i];
	if (nleft == 0 && naive->nfound - naive->nreturned <= naive->size)
		return naive_resume(naive, mem, INFINITY);
	if (nwhole > naive->size)
		nwhole = naive->size;
	return nwhole > 0 && naive->nfound > naive->nreturned && naive_resume(naive, mem, fminf(naive_bound(naive, nwhole), 1e9f));
}

/*
 * Expand the nearest until the best k not returned are all expanded, and those behind them that are within reach.  Ties at
 * the bound may be left unexpanded or not, so all of them are expanded here
 * and the searches compared are those where no such ties exist.
 */
static inline void
naive_settle(Naive *naive, Memory *mem, uint64_t k, const QhBudget *budget)
{
	int64_t		best = 0;

	while (best >= 0 || naive->nbatch > 0)
	{
		float		near = k > 0 ? naive_bound(naive, k) : -1;
		float		reach = naive_reach(naive, budget);
		float		bound = near > reach ? near : reach;

		best = -1;
		for (uint32_t i = 0; i < naive->nfound; i++)
			if (!naive->returned[i] && !naive->expanded[i] && naive->found[i].dist <= bound &&
				(best < 0 || naive->found[i].dist < naive->found[best].dist))
				best = i;
		if (best >= 0)
			naive_expand(naive, mem, (uint32_t) best);
		else if (naive->nbatch > 0)
		{
			naive_take_batch(naive, mem);
			best = 0;
		}
		else if (naive->deferring && naive_resume_near(naive, mem))
			best = 0;
	}
}

/* Expand the node that was returned first of those returned unexpanded, if there is one and fewer than ef of those returned are expanded. */
static inline bool
naive_pay(Naive *naive, Memory *mem, uint64_t ef)
{
	int64_t		first = -1;
	uint64_t	nexpanded = 0;

	for (uint32_t i = 0; i < naive->nfound; i++)
	{
		nexpanded += naive->returned[i] && naive->expanded[i];
		if (naive->returned[i] && !naive->expanded[i] && (first < 0 || naive->returned[i] < naive->returned[first]))
			first = i;
	}
	if (first < 0 || nexpanded >= ef)
		return false;
	naive_expand(naive, mem, (uint32_t) first);
	return true;
}

static inline bool
naive_next(Naive *naive, Memory *mem, const QhBudget *budget, QhCandidate *out)
{
	bool		more = budget->found_total > naive->nreturned || (budget->rank > 0 && budget->most_total > naive->nreturned);
	uint64_t	k = budget->ef_total > naive->nreturned ? budget->ef_total - naive->nreturned : !more;
	int64_t		best = -1;

	if (naive->nexpanded == 0)
		naive->deferring = budget->whole_total > 0 && mem->store.place != NULL;
	naive->whole_total = budget->whole_total;
	naive->size = k;
	if (budget->found_total > naive->nreturned + naive->size)
		naive->size = budget->found_total - naive->nreturned;
	if (budget->rank > 0 && budget->most_total > naive->nreturned + naive->size)
		naive->size = budget->most_total - naive->nreturned;
	while (budget->whole_total == 0 && naive->deferring && naive_resume(naive, mem, INFINITY))
		;
	naive->deferring = naive->deferring && budget->whole_total > 0;
	while (naive_pay(naive, mem, budget->ef_total))
		;
	naive_settle(naive, mem, k, budget);
	while (naive->nfound == naive->nreturned && naive_pay(naive, mem, UINT64_MAX))
		naive_settle(naive, mem, k, budget);
	for (uint32_t i = 0; i < naive->nfound; i++)
		if (!naive->returned[i] && (best < 0 || naive->found[i].dist < naive->found[best].dist))
			best = i;
	if (best < 0)
		return false;
	*out = naive->found[best];
	naive->returned[best] = ++naive->nreturned;
	return true;
}

/* Codes at distance i from the query for the i-th node in a random permutation: no ties at all. */
static inline Code *
codes_without_ties(uint32_t n, uint64_t seed)
{
	Code	   *codes = calloc(n, sizeof(Code));
	uint64_t	random = seed;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t bit = 0; bit < i; bit++)
			codes[i].words[bit / 64] |= UINT64_C(1) << (bit % 64);
	for (uint32_t i = n - 1; i > 0; i--)
	{
		uint32_t	j = (uint32_t) (check_random(&random) % (i + 1));
		Code		code = codes[i];

		codes[i] = codes[j];
		codes[j] = code;
	}
	return codes;
}

#endif							/* GRAPH_NAIVE_H */
