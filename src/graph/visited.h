/*
 * visited.h
 *		The nodes that a search has met.
 *
 * Internal to the graph room.  A bit a node where the store has few nodes, else open addressing.
 */
#ifndef QH_VISITED_H
#define QH_VISITED_H

#include "graph/graph.h"

typedef struct QhVisited
{
	QhAlloc		alloc;

	/* Ids below nbits; NULL where the table is used. */
	uint64_t   *bits;
	size_t		nbits;			/* a multiple of 64 */

	/* At most a quarter full, so that the first probe nearly always decides; NULL where bits are used. */
	QhNode	   *slots;
	size_t		nslots;			/* a power of two */
	uint32_t	shift;			/* 32 - log2(nslots) */
	size_t		count;			/* nodes in it */
} QhVisited;

/* Empty, and without memory until the first clear. */
extern void qh_visited_init(QhVisited *visited, const QhAlloc *alloc);
extern void qh_visited_free(QhVisited *visited);

/*
 * Empty the set for a search of a store that has nnodes nodes, or 0 where that is not known; ids may be larger all the same.
 * In max_nbytes, if it is not 0, the set takes a quarter or less to begin with.
 */
extern void qh_visited_clear(QhVisited *visited, size_t nnodes, size_t max_nbytes);

/* Bytes held, and once there is room for n nodes more. */
extern size_t qh_visited_nbytes(const QhVisited *visited);
extern size_t qh_visited_nbytes_for(const QhVisited *visited, size_t n);
/* Make room for n nodes more. */
extern void qh_visited_reserve(QhVisited *visited, size_t n);

/*
 * Add the nodes that n links lead to, for which there must be room.  Those that were not in the set go to out,
 * which has room for n; returns how many.
 */
extern int qh_visited_add(QhVisited *visited, const QhLink *links, int n, QhNode *out);
extern bool qh_visited_has(const QhVisited *visited, QhNode node);

#endif							/* QH_VISITED_H */
