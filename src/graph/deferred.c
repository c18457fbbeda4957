/*
 * deferred.c
 *		Neighbours that a search does not score yet.
 *
 * Knows no distances.  When neighbours are deferred, and whose are scored all the same, is decided in
 * search_budget.c, expand.c and search.c.  README.md, "Deferred neighbours".
 */
#include <string.h>

#include "graph/order.h"
#include "graph/deferred.h"
#include "kernel/assert.h"

#define DEFERRED_MIN			256

void
qh_deferred_init(QhDeferred *deferred, const QhAlloc *alloc, QhStore *store, QhVisited *visited)
{
	memset(deferred, 0, sizeof(*deferred));
	deferred->alloc = *alloc;
	deferred->store = store;
	deferred->visited = visited;
	qh_visited_init(&deferred->met, alloc);
	qh_visited_init(&deferred->places, alloc);
}

void
qh_deferred_free(QhDeferred *deferred)
{
	qh_visited_free(&deferred->met);
	qh_visited_free(&deferred->places);
	qh_give(&deferred->alloc, deferred->nodes);
	deferred->nodes = NULL;
	deferred->n = deferred->capacity = 0;
}

void
qh_deferred_clear(QhDeferred *deferred, size_t nnodes, size_t n, size_t max_nbytes)
{
	qh_visited_clear(&deferred->met, nnodes, n, max_nbytes);
	qh_visited_clear(&deferred->places, nnodes, n, max_nbytes);
	deferred->n = 0;
	qh_deferred_reserve(deferred, n);
}

/* Deferred nodes that there is room for once capacity, or what there is to begin with, has grown for n. */
static size_t
capacity_for(size_t capacity, size_t n)
{
	if (capacity == 0)
		capacity = DEFERRED_MIN;
	while (capacity < n)
		capacity *= 2;
	return capacity;
}

size_t
qh_deferred_least_nbytes(size_t nnodes, size_t n, size_t max_nbytes)
{
	return sizeof(QhDeferred) + 2 * qh_visited_least_nbytes(nnodes, n, max_nbytes) + capacity_for(0, n) * sizeof(QhDeferredNode);
}

size_t
qh_deferred_nbytes(const QhDeferred *deferred)
{
	return sizeof(QhDeferred) + qh_visited_nbytes(&deferred->met) + qh_visited_nbytes(&deferred->places) + deferred->capacity * sizeof(QhDeferredNode);
}

size_t
qh_deferred_growth(const QhDeferred *deferred, size_t n)
{
	size_t		capacity = capacity_for(deferred->capacity, deferred->n + n);

	return qh_visited_growth(&deferred->met, n) + qh_visited_growth(&deferred->places, n) +
		(capacity > deferred->capacity ? capacity * sizeof(QhDeferredNode) : 0);
}

void
qh_deferred_reserve(QhDeferred *deferred, size_t n)
{
	size_t		capacity = capacity_for(deferred->capacity, deferred->n + n);

	qh_visited_reserve(&deferred->met, n);
	qh_visited_reserve(&deferred->places, n);
	if (capacity > deferred->capacity)
	{
		QhDeferredNode *nodes = qh_take(&deferred->alloc, capacity * sizeof(QhDeferredNode));

		if (deferred->n > 0)
			memcpy(nodes, deferred->nodes, deferred->n * sizeof(QhDeferredNode));
		qh_give(&deferred->alloc, deferred->nodes);
		deferred->nodes = nodes;
		deferred->capacity = capacity;
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
qh_deferred_note_read(QhDeferred *deferred, const QhNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
		(void) add_one(&deferred->places, deferred->store->place(deferred->store, nodes[i]));
}

/* The node is to be scored, unless it was: note that, and that its place is read. */
static int
release(QhDeferred *deferred, QhNode node, QhNode *out)
{
	if (!add_one(deferred->visited, node))
		return 0;
	qh_deferred_note_read(deferred, &node, 1);
	*out = node;
	return 1;
}

int
qh_deferred_sort_out(QhDeferred *deferred, QhNode owner, const QhLink *links, int n, QhNode *out)
{
	int			nout = 0;

	for (int i = 0; i < n; i++)
	{
		QhNode		node = qh_link_node(links[i]);

		if (qh_visited_has(deferred->visited, node))
			continue;
		if (!add_one(&deferred->met, node) || qh_visited_has(&deferred->places, deferred->store->place(deferred->store, node)))
			nout += release(deferred, node, out + nout);
		else
		{
			QV_ASSERT(deferred->n < deferred->capacity);
			deferred->nodes[deferred->n++] = (QhDeferredNode) {node, owner};
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
qh_deferred_take(QhDeferred *deferred, const QhNode *owners, int nowners, int max, QhNode *out)
{
	size_t		kept = 0;
	int			nout = 0;

	for (size_t i = 0; i < deferred->n; i++)
	{
		QhDeferredNode node = deferred->nodes[i];

		if (nout < max && (nowners == 0 || is_among(node.owner, owners, nowners)))
			nout += release(deferred, node.node, out + nout);
		else
			deferred->nodes[kept++] = node;
	}
	deferred->n = kept;
	return nout;
}
