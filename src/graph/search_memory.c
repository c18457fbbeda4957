/*
 * search_memory.c
 *		What a search holds and may hold.
 *
 * Arrays are filled in one file and sized in another.  So room is made here, before each hop, and
 * every place that writes asserts that there is room.  Must not know what is looked for.
 * README.md, "Room".
 */
#include <string.h>

#include "graph/search_state.h"

/* Entries of the window and the overflow to begin with: a search at ef 40 fits. */
#define WINDOW_MIN			248 /* 2 kB with QH_COPIED */
#define OVERFLOW_MIN		1024
#define PENDING_MIN			64

/* Bytes of the arrays of one hop, which are one piece of memory with the search. */
static size_t
hop_nbytes(const QhStore *store)
{
	return (size_t) store->max_degree *
		(2 * sizeof(QhEntry) + sizeof(size_t) + sizeof(QhLink) + 2 * sizeof(QhNode) + sizeof(float));
}

size_t
qh_search_nbytes(const QhSearch *search)
{
	return sizeof(QhSearch) +
		2 * qh_window_nbytes(search->window.capacity) + qh_overflow_nbytes(search->overflow.capacity) +
		qh_visited_nbytes(&search->visited) +
		(search->deferred != NULL ? qh_deferred_nbytes(search->deferred) : 0) +
		search->pending.capacity * sizeof(QhNode) + hop_nbytes(search->store);
}

bool
qh_search_may_hold(const QhSearch *search, size_t nbytes)
{
	return search->limits.max_nbytes == 0 || qh_search_nbytes(search) + nbytes <= search->limits.max_nbytes;
}

/* ---- growing ---- */

/* A capacity for n, by doubling. */
static size_t
doubled(size_t capacity, size_t n)
{
	while (capacity < n)
		capacity *= 2;
	return capacity;
}

bool
qh_search_reserve_window(QhSearch *search, size_t n)
{
	size_t		old = search->window.capacity;
	size_t		capacity = doubled(old, n);

	if (capacity == old)
		return true;
	if (!qh_search_may_hold(search, 2 * (qh_window_nbytes(capacity) - qh_window_nbytes(old))))
		return false;
	qh_window_resize(&search->window, &search->alloc, capacity);
	return true;
}

bool
qh_search_reserve_overflow(QhSearch *search, size_t n)
{
	size_t		capacity = doubled(search->overflow.capacity, n);

	if (capacity == search->overflow.capacity)
		return true;
	if (!qh_search_may_hold(search, qh_overflow_nbytes(capacity)))
		return false;
	qh_overflow_resize(&search->overflow, &search->alloc, capacity);
	return true;
}

/* In the room of those that were expanded, or in more memory. */
bool
qh_search_reserve_pending(QhSearch *search)
{
	QhPending  *pending = &search->pending;
	size_t		n = pending->end - pending->first;
	size_t		capacity = pending->capacity > 0 ? 2 * pending->capacity : PENDING_MIN;
	QhNode	   *nodes;

	if (pending->end < pending->capacity)
		return true;
	if (n > pending->capacity / 2 || pending->capacity == 0)
	{
		if (!qh_search_may_hold(search, capacity * sizeof(QhNode)))
			return false;
		nodes = qh_take(&search->alloc, capacity * sizeof(QhNode));
		if (n > 0)
			memcpy(nodes, pending->nodes + pending->first, n * sizeof(QhNode));
		qh_give(&search->alloc, pending->nodes);
		pending->nodes = nodes;
		pending->capacity = capacity;
	}
	else
		memmove(pending->nodes, pending->nodes + pending->first, n * sizeof(QhNode));
	pending->first = 0;
	pending->end = n;
	return true;
}

bool
qh_search_make_room_for_hop(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;
	size_t		nbytes = qh_visited_growth(&search->visited, degree);

	if (nbytes > 0)
	{
		if (!qh_search_may_hold(search, nbytes))
			return false;
		qh_visited_reserve(&search->visited, degree);
	}
	if (search->deferring && (nbytes = qh_deferred_growth(search->deferred, degree)) > 0)
	{
		if (!qh_search_may_hold(search, nbytes))
			return false;
		qh_deferred_reserve(search->deferred, degree);
	}
	return qh_search_reserve_window(search, qh_search_window_for_hop(search)) &&
		qh_search_reserve_overflow(search, qh_search_overflow_for_hop(search));
}

/* ---- the smallest arrays in which a search that begins with some seeds can make one hop ---- */

static size_t
least_window(const QhStore *store, int nseeds)
{
	size_t		n = (size_t) nseeds + 2 * (size_t) store->max_degree;

	return n > WINDOW_MIN ? n : WINDOW_MIN;
}

static size_t
least_overflow(const QhStore *store, int nseeds)
{
	size_t		n = (size_t) nseeds + 2 * (size_t) store->max_degree;

	return n > OVERFLOW_MIN ? n : OVERFLOW_MIN;
}

static size_t
least_visited(const QhStore *store, int nseeds)
{
	return (size_t) nseeds + (size_t) store->max_degree;
}

size_t
qh_search_least_nbytes(const QhStore *store, int nseeds)
{
	size_t		nvisited = least_visited(store, nseeds);

	return sizeof(QhSearch) + hop_nbytes(store) + 2 * qh_window_nbytes(least_window(store, nseeds)) +
		qh_overflow_nbytes(least_overflow(store, nseeds)) +
		qh_visited_least_nbytes(0, nvisited, 0) + qh_visited_least_nbytes(1, nvisited, 0);
}

static void
take_arrays(QhSearch *search, int nseeds)
{
	QhWindow   *window = &search->window;
	QhOverflow *overflow = &search->overflow;

	search->pending.nodes = NULL;
	search->pending.capacity = 0;
	window->capacity = least_window(search->store, nseeds);
	window->entries = qh_take(&search->alloc, qh_window_nbytes(window->capacity));
	window->other = qh_take(&search->alloc, qh_window_nbytes(window->capacity));
	overflow->capacity = least_overflow(search->store, nseeds);
	overflow->entries = qh_take(&search->alloc, qh_overflow_nbytes(overflow->capacity));
}

void
qh_search_free_deferred(QhSearch *search)
{
	if (search->deferred != NULL)
		qh_deferred_free(search->deferred);
	qh_give(&search->alloc, search->deferred);
	search->deferred = NULL;
}

static void
free_arrays(QhSearch *search)
{
	qh_give(&search->alloc, search->window.entries);
	qh_give(&search->alloc, search->window.other);
	qh_give(&search->alloc, search->overflow.entries);
	qh_give(&search->alloc, search->pending.nodes);
	qh_visited_free(&search->visited);
	qh_search_free_deferred(search);
}

/*
 * Memory that a deep scan left behind must not count against the limit of this search, nor must
 * growing exceed it.
 */
void
qh_search_prepare_memory(QhSearch *search, int nseeds)
{
	const QhStore *store = search->store;
	size_t		max_nbytes = search->limits.max_nbytes;

	if (max_nbytes != 0 && (qh_search_nbytes(search) > max_nbytes / 2 ||
							!qh_search_may_hold(search, qh_search_least_nbytes(store, nseeds))))
	{
		free_arrays(search);
		take_arrays(search, nseeds);
	}
	if (search->window.capacity < least_window(store, nseeds))
		qh_window_resize(&search->window, &search->alloc, least_window(store, nseeds));
	if (search->overflow.capacity < least_overflow(store, nseeds))
		qh_overflow_resize(&search->overflow, &search->alloc, least_overflow(store, nseeds));
	qh_visited_clear(&search->visited, store->nnodes, least_visited(store, nseeds), max_nbytes);
}

/* ---- a search's life ---- */

/* Divide what stands behind the search among the arrays of a hop, the widest elements first. */
static void
place_hop(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;

	search->accepted = (QhEntry *) (search + 1);
	search->sorted = search->accepted + degree;
	search->places = (size_t *) (search->sorted + degree);
	search->links = (QhLink *) (search->places + degree);
	search->batch[0].nodes = search->links + degree;
	search->batch[1].nodes = search->batch[0].nodes + degree;
	search->dist = (float *) (search->batch[1].nodes + degree);
}

QhSearch *
qh_search_create(const QhAlloc *alloc, QhStore *store)
{
	QhSearch   *search = qh_take(alloc, sizeof(QhSearch) + hop_nbytes(store));

	memset(search, 0, sizeof(*search));
	search->alloc = *alloc;
	search->store = store;
	qh_visited_init(&search->visited, alloc);
	take_arrays(search, 0);
	place_hop(search);
	search->stats.nbytes = qh_search_nbytes(search);
	return search;
}

void
qh_search_destroy(QhSearch *search)
{
	free_arrays(search);
	qh_give(&search->alloc, search);
}
