/*
 * deferred.h
 *		Neighbours that a search does not score yet: reading their codes would cost more than they are
 *		likely to be worth.
 *
 * Internal to the graph room.  README.md, "Deferred neighbours".
 */
#ifndef QH_DEFERRED_H
#define QH_DEFERRED_H

#include "graph/visited.h"

/* A node, and the node that was expanded when it was met. */
typedef struct QhDeferredNode
{
	QhNode		node;
	QhNode		owner;
} QhDeferredNode;

typedef struct QhDeferred
{
	QhAlloc		alloc;
	QhStore    *store;
	QhVisited  *visited;		/* the search's */
	QhVisited	met;			/* all that links led to since neighbours are deferred */
	QhVisited	places;			/* those that were read */
	QhDeferredNode *nodes;		/* some have been scored since: they were met again */
	size_t		n;
	size_t		capacity;
} QhDeferred;

/* Nothing is deferred, and no memory is taken until the first clear. */
extern void qh_deferred_init(QhDeferred *deferred, const QhAlloc *alloc, QhStore *store, QhVisited *visited);
extern void qh_deferred_free(QhDeferred *deferred);

/*
 * Nothing is deferred and no place was read, in a search of a store of nnodes nodes (0: not known); as
 * qh_visited_clear().
 */
extern void qh_deferred_clear(QhDeferred *deferred, size_t nnodes, size_t n, size_t max_nbytes);
/* Bytes that this takes, with the struct, where nothing is held yet. */
extern size_t qh_deferred_least_nbytes(size_t nnodes, size_t n, size_t max_nbytes);

/* Bytes held; and bytes that making room for the n neighbours of one more node takes besides, 0 where there is room. */
extern size_t qh_deferred_nbytes(const QhDeferred *deferred);
extern size_t qh_deferred_growth(const QhDeferred *deferred, size_t n);
extern void qh_deferred_reserve(QhDeferred *deferred, size_t n);

/* The codes of these nodes are read. */
extern void qh_deferred_note_read(QhDeferred *deferred, const QhNode *nodes, int n);

/*
 * Of the n links of owner, for which there must be room, those to be scored now go to out and into
 * visited: nodes not in there that were met before, or whose place was read.  Others are deferred.
 * Returns how many went to out.
 */
extern int qh_deferred_sort_out(QhDeferred *deferred, QhNode owner, const QhLink *links, int n, QhNode *out);

/*
 * Up to max of those deferred for one of these owners, or for any where none are given, go to out
 * and into visited.  Returns how many.
 */
extern int qh_deferred_take(QhDeferred *deferred, const QhNode *owners, int nowners, int max, QhNode *out);

#endif							/* QH_DEFERRED_H */
