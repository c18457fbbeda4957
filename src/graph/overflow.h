/*
 * overflow.h
 *		Nodes that a search has found and for which its window has no place.
 *
 * Internal to the graph room.  Must not know the window, nor how much memory a search may hold:
 * who adds an entry has made room for it.  README.md, "Search" and "Room".
 */
#ifndef QH_OVERFLOW_H
#define QH_OVERFLOW_H

#include "graph/entry.h"
#include "kernel/assert.h"

/*
 * Most searches never read the overflow.  So entries are only appended, and become a heap, nearest
 * first, when some are taken out.
 */
typedef struct QhOverflow
{
	QhEntry    *entries;
	size_t		capacity;
	size_t		n;
	size_t		nheap;			/* the first nheap form a heap */
} QhOverflow;

static inline size_t
qh_overflow_nbytes(size_t capacity)
{
	return capacity * sizeof(QhEntry);
}

/* Add an entry, for which there must be room. */
static inline void
qh_overflow_add(QhOverflow *overflow, QhEntry entry)
{
	QV_ASSERT(overflow->n < overflow->capacity);
	overflow->entries[overflow->n++] = entry;
}

static inline void
qh_overflow_clear(QhOverflow *overflow)
{
	overflow->n = 0;
	overflow->nheap = 0;
}

/* Give the overflow another capacity, at least what it holds. */
extern void qh_overflow_resize(QhOverflow *overflow, const QhAlloc *alloc, size_t capacity);

/* Take out the nearest n entries, or all where there are fewer, in order.  Returns how many. */
extern size_t qh_overflow_take(QhOverflow *overflow, size_t n, QhEntry *out);

#endif							/* QH_OVERFLOW_H */
