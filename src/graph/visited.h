/*
 * visited.h
 *		The nodes that a search has met.
 *
 * Internal to the graph room.  A bit a node where the store has few nodes, else open addressing.  Nodes that were inserted
 * since the bits were made, and so have none, are in a table besides, which is small.
 */
#ifndef QH_VISITED_H
#define QH_VISITED_H

#include "graph/graph.h"

typedef struct QhVisited
{
	QhAlloc		alloc;

	/* Ids below nbits; NULL and 0 where all are in the table. */
	uint64_t   *bits;
	size_t		nbits;			/* a multiple of 64 */

	/* The others.  At most a quarter full, so that the first probe nearly always decides. */
	QhNode	   *slots;
	size_t		nslots;			/* a power of two */
	uint32_t	shift;			/* 32 - log2(nslots) */
	size_t		count;			/* nodes in it */
} QhVisited;

#define QH_VISITED_SLOTS_PER_NODE	4

/* Empty, and without memory until the first clear. */
extern void qh_visited_init(QhVisited *visited, const QhAlloc *alloc);
extern void qh_visited_free(QhVisited *visited);

/*
 * Empty the set for a search of a store that has nnodes nodes, or 0 where that is not known, and make room for n to begin with; ids may be
 * larger than nnodes all the same.  Bits take no more than a quarter of max_nbytes, if it is not 0.
 */
extern void qh_visited_clear(QhVisited *visited, size_t nnodes, size_t n, size_t max_nbytes);
/* Bytes that a set held by nobody takes when it is cleared so. */
extern size_t qh_visited_least_nbytes(size_t nnodes, size_t n, size_t max_nbytes);

/* Bytes held. */
extern size_t qh_visited_nbytes(const QhVisited *visited);
/* Make room for n nodes more. */
extern void qh_visited_reserve(QhVisited *visited, size_t n);
extern size_t qh_visited_growth_to(const QhVisited *visited, size_t n);

/* Bytes that making room for n nodes more takes, while those held before are held; 0 where there is room. */
static inline size_t
qh_visited_growth(const QhVisited *visited, size_t n)
{
	return visited->count + n <= visited->nslots / QH_VISITED_SLOTS_PER_NODE ? 0 : qh_visited_growth_to(visited, n);
}

/*
 * Add the nodes that n links lead to, for which there must be room.  Those that were not in the set go to out,
 * which has room for n; returns how many.
 */
extern int qh_visited_add(QhVisited *visited, const QhLink *links, int n, QhNode *out);
extern bool qh_visited_has(const QhVisited *visited, QhNode node);

#endif							/* QH_VISITED_H */
