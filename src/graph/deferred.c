/*
 * deferred.c
 *		Neighbours that a search does not score yet.
 *
 * Knows no distances: when a search spares places, and whose neighbours it wants all the same, is search.c's.  README.md,
 * "Neighbours that wait".
 */
#include <string.h>

#include "graph/order.h"
#include "graph/deferred.h"
#include "kernel/assert.h"

#define WAITERS_MIN			256

void
qh_waiting_init(QhWaiting *waiting, const QhAlloc *alloc)
{
	memset(waiting, 0, sizeof(*waiting));
	waiting->alloc = *alloc;
	qh_visited_init(&waiting->met, alloc);
	qh_visited_init(&waiting->places, alloc);
}

void
qh_waiting_free(QhWaiting *waiting)
{
	qh_visited_free(&waiting->met);
	qh_visited_free(&waiting->places);
	qh_give(&waiting->alloc, waiting->waiters);
	waiting->waiters = NULL;
	waiting->n = waiting->capacity = 0;
}

void
qh_waiting_clear(QhWaiting *waiting, size_t nnodes, size_t n, size_t max_nbytes)
{
	qh_visited_clear(&waiting->met, nnodes, n, max_nbytes);
	qh_visited_clear(&waiting->places, nnodes, n, max_nbytes);
	waiting->n = 0;
	qh_waiting_reserve(waiting, n);
}

/* Waiters that there is room for once capacity, or what there is to begin with, has grown for n. */
static size_t
capacity_for(size_t capacity, size_t n)
{
	if (capacity == 0)
		capacity = WAITERS_MIN;
	while (capacity < n)
		capacity *= 2;
	return capacity;
}

size_t
qh_waiting_least_nbytes(size_t nnodes, size_t n, size_t max_nbytes)
{
	return sizeof(QhWaiting) + 2 * qh_visited_least_nbytes(nnodes, n, max_nbytes) + capacity_for(0, n) * sizeof(QhWaiter);
}

size_t
qh_waiting_nbytes(const QhWaiting *waiting)
{
	return sizeof(QhWaiting) + qh_visited_nbytes(&waiting->met) + qh_visited_nbytes(&waiting->places) + waiting->capacity * sizeof(QhWaiter);
}

size_t
qh_waiting_growth(const QhWaiting *waiting, size_t n)
{
	size_t		capacity = capacity_for(waiting->capacity, waiting->n + n);

	return qh_visited_growth(&waiting->met, n) + qh_visited_growth(&waiting->places, n) +
		(capacity > waiting->capacity ? capacity * sizeof(QhWaiter) : 0);
}

void
qh_waiting_reserve(QhWaiting *waiting, size_t n)
{
	size_t		capacity = capacity_for(waiting->capacity, waiting->n + n);

	qh_visited_reserve(&waiting->met, n);
	qh_visited_reserve(&waiting->places, n);
	if (capacity > waiting->capacity)
	{
		QhWaiter   *waiters = qh_take(&waiting->alloc, capacity * sizeof(QhWaiter));

		if (waiting->n > 0)
			memcpy(waiters, waiting->waiters, waiting->n * sizeof(QhWaiter));
		qh_give(&waiting->alloc, waiting->waiters);
		waiting->waiters = waiters;
		waiting->capacity = capacity;
	}
}

/* Add one node to a set.  Returns whether it was not in there. */
static inline bool
add_one(QhVisited *set, QhNode node)
{
	QhNode		added;

	return qh_visited_add(set, &node, 1, &added) == 1;
}

void
qh_waiting_note_read(QhWaiting *waiting, QhStore *store, const QhNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
		(void) add_one(&waiting->places, store->place(store, nodes[i]));
}

/* The node is to be scored, unless it was: note that, and that its place is read. */
static int
call(QhWaiting *waiting, QhStore *store, QhVisited *visited, QhNode node, QhNode *out)
{
	if (!add_one(visited, node))
		return 0;
	qh_waiting_note_read(waiting, store, &node, 1);
	*out = node;
	return 1;
}

int
qh_waiting_sort_out(QhWaiting *waiting, QhStore *store, QhVisited *visited, QhNode owner, const QhLink *links, int n, QhNode *out)
{
	int			nout = 0;

	for (int i = 0; i < n; i++)
	{
		QhNode		node = qh_link_node(links[i]);

		if (qh_visited_has(visited, node))
			continue;
		if (!add_one(&waiting->met, node) || qh_visited_has(&waiting->places, store->place(store, node)))
			nout += call(waiting, store, visited, node, out + nout);
		else
		{
			QV_ASSERT(waiting->n < waiting->capacity);
			waiting->waiters[waiting->n++] = (QhWaiter) {node, owner};
		}
	}
	return nout;
}

static bool
is_among(QhNode node, const QhNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
		if (nodes[i] == node)
			return true;
	return false;
}

int
qh_waiting_take(QhWaiting *waiting, QhStore *store, QhVisited *visited, const QhNode *owners, int nowners, int max, QhNode *out)
{
	size_t		kept = 0;
	int			nout = 0;

	for (size_t i = 0; i < waiting->n; i++)
	{
		QhWaiter	waiter = waiting->waiters[i];

		if (nout < max && (nowners == 0 || is_among(waiter.owner, owners, nowners)))
			nout += call(waiting, store, visited, waiter.node, out + nout);
		else
			waiting->waiters[kept++] = waiter;
	}
	waiting->n = kept;
	return nout;
}
