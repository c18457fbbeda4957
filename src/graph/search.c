/*
 * search.c
 *		Resumable best-first search.
 *
 * Knows node ids, distances and links, and a store that answers for them;
 * knows neither codes nor pages.  README.md, "Search".
 *
 * The window is a sorted array, nearest first, of the best nodes found and not
 * returned yet.  What does not fit goes to the overflow, from which the window
 * is filled again when nodes have been returned or ef_total has grown.  Always
 * max(window) <= min(overflow): a node is turned away only by a full window.
 * Behind the entries to be expanded the window may have others, which are only
 * found and put in order; those returned before their turn came are pending.
 */
#include <math.h>
#include <string.h>

#include "graph/order.h"
#include "graph/deferred.h"
#include "kernel/assert.h"

/*
 * Entry of the window or the overflow: the distance, as an integer that orders as it does, in the high half, the node
 * in the low one.  Node ids have 31 bits, which leaves one for a flag; so entries are compared by their distances alone.
 */
typedef uint64_t Entry;

#define EXPANDED			UINT64_C(0x80000000)
#define ENTRY_LAST			UINT64_C(0xFFFFFFFF)	/* the last entry of the distance of another, or'ed with that */

/*
 * Nodes that a search will meet for each of ef, and the most that are made room for at once: growing by and by takes
 * longer than the search gains by a small set.  Words score 13 (README.md, "What was tried"), which others fall short of.
 */
#define VISITED_PER_EF		13
#define VISITED_AT_ONCE		8192

/* Entries of the window and the overflow to begin with: a search at ef 40 fits. */
#define WINDOW_MIN			248 /* 2 kB with COPIED */
#define OVERFLOW_MIN		1024
#define PENDING_MIN			64

/* How far to look ahead for the nodes that are passed to prefetch(); chosen by hand. */
#define PREFETCH_REACH			32

/*
 * Neighbours wait once so many nodes were expanded since a nearer one than all before was found: until then the search is on its way to where the
 * near ones are.  And the most whose neighbours do not wait.  README.md, "Neighbours that wait".
 */
#define SPARE_AFTER			3
#define WHOLE_MAX			64

/* Entries copied at once: copying may write as many beyond the last. */
#define COPIED				8

/* Neighbours of a node that is expanded, none of them met before; n = 0 once they are scored. */
typedef struct Batch
{
	QhNode	   *nodes;
	int			n;
} Batch;

struct QhSearch
{
	QhAlloc		alloc;
	QhStore    *store;
	QhSearchLimits limits;
	QhSearchStats stats;
	uint64_t	nreturned;
	uint64_t	ef_total;		/* largest ever asked for in this search */

	/* Window: window[head .. head + count), room for capacity entries and COPIED; it moves to the other place when nodes come in. */
	Entry	   *window;
	Entry	   *other;
	size_t		capacity;
	size_t		head;
	size_t		count;
	size_t		size;			/* more than so many do not stay in it */
	size_t		cursor;			/* of [0, count): all before it are expanded */
	size_t		nexpand;		/* of them: those to be expanded, */
	size_t		nmost;			/* and those that are if they are within reach: */
	float		reach;			/* times the distance of */
	size_t		rank;			/* this one, counted from 1; 0 = it was returned, or there is none */
	float		bound;			/* beyond which none is, as far as the window tells */

	/* Pending: pending[first_pending .. npending) were returned but not expanded, in this order. */
	QhNode	   *pending;
	size_t		pending_capacity;
	size_t		first_pending;
	size_t		npending;

	/* Overflow: the first nheap form a heap, the rest were just appended. */
	Entry	   *overflow;
	size_t		overflow_capacity;
	size_t		noverflow;
	size_t		nheap;

	QhVisited	visited;

	/* Neighbours that wait, while places are spared. */
	bool		sparing;
	QhDeferred  *deferred;		/* made at need, for most searches spare none */
	float		nearest;		/* distance of the nearest node found, */
	uint64_t	nearest_since;	/* and of those expanded so many were when it was */
	size_t		nwhole;			/* of the window: nodes whose neighbours do not wait */

	/* One hop. */
	QhLink	   *links;			/* max_degree of each, a batch included */
	Batch		batch[2];
	int			turn;			/* of the batch that waits to be scored, or was scored last */
	float	   *dist;
	Entry	   *accepted;
	Entry	   *sorted;
	size_t	   *places;
};

static inline Entry
make_entry(float dist, QhNode node)
{
	return (Entry) qh_float_to_order(dist) << 32 | node;
}

static inline QhNode
entry_node(Entry entry)
{
	return (QhNode) (entry & ~EXPANDED);
}

static inline float
entry_dist(Entry entry)
{
	return qh_order_to_float((uint32_t) (entry >> 32));
}

/* Is a nearer than b?  The flag and the node do not count. */
static inline bool
is_nearer(Entry a, Entry b)
{
	return a >> 32 < b >> 32;
}

/* ---- memory ---- */

static inline size_t
window_nbytes(size_t capacity)
{
	return (capacity + COPIED) * sizeof(Entry);
}

/* Bytes of the arrays of one hop, which are one piece of memory with the search. */
static size_t
hop_nbytes(const QhStore *store)
{
	return (size_t) store->max_degree * (2 * sizeof(Entry) + sizeof(size_t) + sizeof(QhLink) + 2 * sizeof(QhNode) + sizeof(float));
}

static size_t
bytes_held(const QhSearch *search)
{
	return sizeof(QhSearch) +
		2 * window_nbytes(search->capacity) + search->overflow_capacity * sizeof(Entry) +
		qh_visited_nbytes(&search->visited) + (search->deferred != NULL ? qh_deferred_nbytes(search->deferred) : 0) +
		search->pending_capacity * sizeof(QhNode) + hop_nbytes(search->store);
}

/* May so many bytes more be held than are now?  What grows is held twice while it is copied. */
static bool
may_hold(const QhSearch *search, size_t nbytes)
{
	return search->limits.max_nbytes == 0 || bytes_held(search) + nbytes <= search->limits.max_nbytes;
}

/* ---- overflow ---- */

static void
heap_up(Entry *heap, size_t i)
{
	Entry		entry = heap[i];

	while (i > 0 && is_nearer(entry, heap[(i - 1) / 2]))
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = entry;
}

static void
heap_down(Entry *heap, size_t n, size_t i)
{
	Entry		entry = heap[i];

	for (;;)
	{
		size_t		child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && is_nearer(heap[child + 1], heap[child]))
			child++;
		if (!is_nearer(heap[child], entry))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = entry;
}

/* Most searches never read the overflow, so entries are only appended until one does. */
static void
overflow_make_heap(QhSearch *search)
{
	size_t		n = search->noverflow;

	if (n - search->nheap > search->nheap / 8)
		for (size_t i = n / 2; i-- > 0;)
			heap_down(search->overflow, n, i);
	else
		for (size_t i = search->nheap; i < n; i++)
			heap_up(search->overflow, i);
	search->nheap = n;
}

/* Give the overflow another capacity. */
static void
overflow_resize(QhSearch *search, size_t capacity)
{
	Entry	   *entries = qh_take(&search->alloc, capacity * sizeof(Entry));

	QV_ASSERT(search->noverflow <= capacity);
	memcpy(entries, search->overflow, search->noverflow * sizeof(Entry));
	qh_give(&search->alloc, search->overflow);
	search->overflow = entries;
	search->overflow_capacity = capacity;
}

/* Room in the overflow for n entries in all; false if a limit forbids it. */
static bool
overflow_reserve(QhSearch *search, size_t n)
{
	size_t		capacity = search->overflow_capacity;

	if (n <= capacity)
		return true;
	while (capacity < n)
		capacity *= 2;
	if (!may_hold(search, capacity * sizeof(Entry)))
		return false;
	overflow_resize(search, capacity);
	return true;
}

/* There must be room. */
static inline void
overflow_add(QhSearch *search, Entry entry)
{
	QV_ASSERT(search->noverflow < search->overflow_capacity);
	search->overflow[search->noverflow++] = entry;
}

static Entry
overflow_pop(QhSearch *search)
{
	Entry		top = search->overflow[0];

	QV_ASSERT(search->noverflow > 0 && search->nheap == search->noverflow);
	search->overflow[0] = search->overflow[--search->noverflow];
	search->nheap = search->noverflow;
	if (search->noverflow > 0)
		heap_down(search->overflow, search->noverflow, 0);
	return top;
}

/* ---- window ---- */

/* Put the window at the front of its memory. */
static void
window_slide(QhSearch *search)
{
	memmove(search->window, search->window + search->head, search->count * sizeof(Entry));
	search->head = 0;
}

/* Give the window another capacity.  What lies in its other place is of no use any more and goes first, so that both places are never held twice. */
static void
window_resize(QhSearch *search, size_t capacity)
{
	Entry	   *entries;

	QV_ASSERT(search->count <= capacity);
	qh_give(&search->alloc, search->other);
	search->other = NULL;
	entries = qh_take(&search->alloc, window_nbytes(capacity));
	memcpy(entries, search->window + search->head, search->count * sizeof(Entry));
	qh_give(&search->alloc, search->window);
	search->window = entries;
	search->head = 0;
	search->other = qh_take(&search->alloc, window_nbytes(capacity));
	search->capacity = capacity;
}

/* Room in the window for n entries in all; false if a limit forbids it. */
static bool
window_reserve(QhSearch *search, size_t n)
{
	size_t		capacity = search->capacity;

	if (n <= capacity)
		return true;
	while (capacity < n)
		capacity *= 2;
	if (!may_hold(search, 2 * (window_nbytes(capacity) - window_nbytes(search->capacity))))
		return false;
	window_resize(search, capacity);
	return true;
}

/* Number of the first n entries that are at least as near as the one given; without branches to guess wrong. */
static inline size_t
upper_bound(const Entry *entries, size_t n, Entry entry)
{
	Entry		last = entry | ENTRY_LAST;
	size_t		lo = 0;

	while (n > 1)
	{
		size_t		half = n / 2;

		lo += entries[lo + half - 1] <= last ? half : 0;
		n -= half;
	}
	return lo + (n == 1 && entries[lo] <= last);
}

/* Copy n entries, and what follows them up to a multiple of COPIED. */
static inline void
copy_entries(Entry *to, const Entry *from, size_t n)
{
	for (size_t i = 0; i < n; i += COPIED)
		memcpy(to + i, from + i, COPIED * sizeof(Entry));
}

/*
 * Merge n sorted entries, for which there must be room, into the window and cut it to size again.  Where they belong is looked up for all of them first, for the
 * look-ups need not wait for each other; then the window is copied with them to its other place, from the near end,
 * in pieces of one size: a few entries are moved faster so than their number is found out.
 */
static void
window_merge(QhSearch *search, const Entry *entries, size_t n)
{
	size_t		count = search->count;
	size_t		size = search->size;
	size_t		total = count + n;
	size_t		done = 0;
	size_t	   *places = search->places;
	const Entry *window = search->window + search->head;
	Entry	   *out = search->other;

	QV_ASSERT(n <= (size_t) search->store->max_degree && total <= search->capacity);
	QV_ASSERT(search->head + count <= search->capacity);
	for (size_t j = 0; j < n; j++)
		places[j] = upper_bound(window, count, entries[j]);
	for (size_t j = 0; j < n; j++)
	{
		copy_entries(out + done + j, window + done, places[j] - done);
		done = places[j];
		out[done + j] = entries[j];
	}
	copy_entries(out + done + n, window + done, count - done);
	search->other = search->window;
	search->window = out;
	search->head = 0;

	if (places[0] < search->cursor)
		search->cursor = places[0];
	if (total > size)
	{
		if (search->limits.resumable)
			for (size_t i = size; i < total; i++)
				overflow_add(search, out[i]);
		total = size;
	}
	search->count = total;
	if (search->cursor > total)
		search->cursor = total;
}

/* The window is to hold no more than size nodes; it goes on holding more where there is no memory for what would fall out. */
static void
window_cut(QhSearch *search, size_t size)
{
	search->size = size;
	if (search->count <= size)
		return;
	if (search->limits.resumable)
	{
		if (!overflow_reserve(search, search->noverflow + search->count - size))
		{
			search->size = search->count;
			return;
		}
		for (size_t i = size; i < search->count; i++)
			overflow_add(search, search->window[search->head + i]);
	}
	search->count = size;
	if (search->cursor > size)
		search->cursor = size;
}

/* Let the nearest of the overflow back in, up to size.  False if a limit forbids it; what is in there is then taken first. */
static bool
window_fill(QhSearch *search)
{
	size_t		n = search->size;

	if (search->count >= n || search->noverflow == 0)
		return true;
	overflow_make_heap(search);
	if (n > search->count + search->noverflow)
		n = search->count + search->noverflow;

	/* sliding back pays only once head is at least as far as what is moved; else twice the room is taken, if it may be */
	if (search->head + n > search->capacity && (n <= search->capacity / 2 || !window_reserve(search, 2 * n)))
	{
		window_slide(search);
		(void) window_reserve(search, n);
	}
	if (n > search->capacity)
		n = search->capacity;
	while (search->count < n)
	{
		Entry		entry = overflow_pop(search);

		QV_ASSERT(search->head + search->count < search->capacity);
		search->window[search->head + search->count++] = entry;
	}
	return search->count == search->size || search->noverflow == 0;
}

/* ---- hops ---- */

/*
 * Make room for one hop, or report that a limit forbids it.  A batch waits perhaps, and another is about to: of either each neighbour
 * goes to the overflow or into the window, which is cut to size in between and may turn out as many others.
 */
static bool
has_room_for_hop(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;
	size_t		count = search->count + degree < search->size ? search->count + degree : search->size;
	size_t		nbytes = qh_visited_growth(&search->visited, degree);

	if (nbytes > 0)
	{
		if (!may_hold(search, nbytes))
			return false;
		qh_visited_reserve(&search->visited, degree);
	}
	if (search->sparing && (nbytes = qh_deferred_growth(search->deferred, degree)) > 0)
	{
		if (!may_hold(search, nbytes))
			return false;
		qh_deferred_reserve(search->deferred, degree);
	}
	return window_reserve(search, count + degree) &&
		(!search->limits.resumable || overflow_reserve(search, search->noverflow + 2 * degree));
}

/* May another node be expanded? */
static bool
hop_allowed(QhSearch *search)
{
	if (search->limits.max_scored != 0 && search->stats.nscored >= search->limits.max_scored)
		return false;
	return has_room_for_hop(search);
}

/*
 * Tell the store which node is expanded next, first, and which will probably be after it: of the window and of what is about to be
 * merged into it.  Merging takes about as long as the first lines of the next node's links.
 */
static void
prefetch_next(QhSearch *search, const Entry *accepted, size_t naccepted)
{
	const Entry *window = search->window + search->head;
	QhNode		nodes[QH_PREFETCH_MAX];
	int			max = search->store->prefetch_max;
	size_t		end = search->cursor + PREFETCH_REACH;
	size_t		i = search->cursor;
	size_t		j = 0;
	int			n = 0;

	if (end > search->count)
		end = search->count;
	if (end > search->nmost)
		end = search->nmost;
	while (n < max)
	{
		while (i < end && (window[i] & EXPANDED))
			i++;
		if (j < naccepted && (i == end || is_nearer(accepted[j], window[i])))
			nodes[n++] = entry_node(accepted[j++]);
		else if (i < end)
			nodes[n++] = entry_node(window[i++]);
		else
			break;
	}
	if (n > 0)
		search->store->prefetch(search->store, nodes, n);
}

/* A search for size nodes begins: make room for those it will probably meet, if that is little of the memory there is. */
static void
expect_nodes(QhSearch *search, size_t size)
{
	size_t		n = size < VISITED_AT_ONCE / VISITED_PER_EF ? size * VISITED_PER_EF : VISITED_AT_ONCE;
	size_t		nbytes;

	/* few are without a bit */
	if (search->visited.bits != NULL)
		return;
	nbytes = qh_visited_growth(&search->visited, n);
	if (nbytes > 0 && may_hold(search, nbytes) && (search->limits.max_nbytes == 0 || nbytes <= search->limits.max_nbytes / 4))
		qh_visited_reserve(&search->visited, n);
}

/* Have what scoring a batch takes asked for. */
static void
ask(QhSearch *search, int place)
{
	QhStore    *store = search->store;
	Batch	   *batch = &search->batch[place];

	QV_ASSERT(batch->n <= store->max_degree);
	if (store->fetch != NULL && batch->n > 0)
		store->fetch(store, place, batch->nodes, batch->n);
	search->stats.nscored += (uint64_t) batch->n;
}

/* Is the search where the near nodes are, as far as can be told? */
static bool
has_arrived(QhSearch *search)
{
	float		nearest = search->count > 0 ? entry_dist(search->window[search->head]) : INFINITY;

	if (nearest < search->nearest)
	{
		search->nearest = nearest;
		search->nearest_since = search->stats.nexpanded;
	}
	return search->stats.nexpanded >= search->nearest_since + SPARE_AFTER;
}

/* Gather the unvisited neighbours of a node, those that do not wait, and have what scoring them takes asked for. */
static void
gather(QhSearch *search, QhNode node, int place)
{
	QhStore    *store = search->store;
	Batch	   *batch = &search->batch[place];
	int			nlinks = store->links(store, node, search->links);

	QV_ASSERT(nlinks >= 0 && nlinks <= store->max_degree && batch->n == 0);
	if (search->sparing && has_arrived(search))
		batch->n = qh_deferred_sort_out(search->deferred, store, &search->visited, node, search->links, nlinks, batch->nodes);
	else
	{
		batch->n = qh_visited_add(&search->visited, search->links, nlinks, batch->nodes);
		if (search->sparing)
			qh_deferred_note_read(search->deferred, store, batch->nodes, batch->n);
	}
	ask(search, place);
	search->stats.nexpanded++;
}

/* Score a batch. */
static void
score(QhSearch *search, int place)
{
	QhStore    *store = search->store;
	Batch	   *batch = &search->batch[place];

	if (store->score_fetched != NULL)
		store->score_fetched(store, place, batch->nodes, batch->n, search->dist);
	else
		store->score(store, batch->nodes, batch->n, search->dist);
}

/* Score the batch that waits, for which has_room_for_hop() has made room, and let those near enough into the window. */
static void
take_in(QhSearch *search)
{
	Batch	   *batch = &search->batch[search->turn];
	const Entry *window = search->window + search->head;
	Entry	   *accepted = search->accepted;
	Entry	   *overflow = search->overflow;
	size_t		noverflow = search->noverflow;
	size_t		naccepted = 0;
	bool		resumable = search->limits.resumable;
	float		bound;

	if (batch->n == 0)
		return;
	score(search, search->turn);
	QV_ASSERT(!resumable || noverflow + (size_t) batch->n <= search->overflow_capacity);

	/* nothing at or beyond the bound can enter a full window */
	bound = search->count >= search->size ? entry_dist(window[search->count - 1]) : INFINITY;

	/* every place is written, so that nothing has to be predicted */
	for (int i = 0; i < batch->n; i++)
	{
		float		dist = search->dist[i];
		Entry		entry = make_entry(dist, batch->nodes[i]);
		bool		enters = dist < bound;

		accepted[naccepted] = entry;
		naccepted += enters;
		if (resumable)
		{
			overflow[noverflow] = entry;
			noverflow += !enters & (dist < INFINITY);
		}
	}
	search->noverflow = noverflow;
	batch->n = 0;
	if (naccepted > 1)
	{
		qh_keys_sort_into(accepted, (uint32_t) naccepted, search->sorted);
		accepted = search->sorted;
	}
	if (search->store->prefetch != NULL)
		prefetch_next(search, accepted, naccepted);
	if (naccepted > 0)
		window_merge(search, accepted, naccepted);
}

/*
 * Expand a node.  Its neighbours are asked for and then wait until the next node is expanded, whose links are read before these
 * are scored: so the memory's latency passes with other work.  The next node is chosen without them, that is, now and then not the nearest.
 */
static void
expand(QhSearch *search, QhNode node)
{
	int			next = !search->turn;

	gather(search, node, next);
	take_in(search);
	search->turn = next;
	if (search->store->at_once)
		take_in(search);
}

/* May the search go on?  Once it may not, it never may again. */
static bool
goes_on(QhSearch *search)
{
	if (!search->stats.limited && !hop_allowed(search))
		search->stats.limited = true;
	return !search->stats.limited;
}

/* Is the first node of the window that is not expanded to be? */
static bool
is_due(QhSearch *search)
{
	const Entry *window = search->window + search->head;

	if (search->cursor >= search->count || search->cursor >= search->nmost)
		return false;
	if (search->cursor < search->nexpand)
		return true;
	if (search->rank > 0)
		search->bound = search->rank <= search->count ? search->reach * entry_dist(window[search->rank - 1]) : INFINITY;
	return entry_dist(window[search->cursor]) <= search->bound;
}

/* Score some of those that wait for these nodes, or for any where there are none given.  False if nobody does, or a limit is met. */
static bool
resume_deferred(QhSearch *search, const QhNode *owners, int nowners)
{
	int			next = !search->turn;
	Batch	   *batch = &search->batch[next];

	if (search->deferred->n == 0 || !goes_on(search))
		return false;
	batch->n = qh_deferred_take(search->deferred, search->store, &search->visited, owners, nowners, search->store->max_degree, batch->nodes);
	if (batch->n == 0)
		return false;
	ask(search, next);
	take_in(search);
	search->turn = next;
	take_in(search);
	return true;
}

/* Is all that was found expanded, or returned? */
static inline bool
ran_out(const QhSearch *search)
{
	return search->cursor == search->count && search->noverflow == 0;
}

/* Does anybody wait? */
static inline bool
has_deferred(const QhSearch *search)
{
	return search->sparing && search->deferred->n > 0;
}

/* Likewise those that wait for the nearest nodes of the window; or all, where no other node is left to be expanded. */
static bool
resume_near(QhSearch *search)
{
	const Entry *window = search->window + search->head;
	QhNode		nearest[WHOLE_MAX];
	int			n = 0;

	if (ran_out(search))
		return resume_deferred(search, NULL, 0);
	for (; n < WHOLE_MAX && (size_t) n < search->nwhole && (size_t) n < search->count; n++)
		nearest[n] = entry_node(window[n]);
	return n > 0 && resume_deferred(search, nearest, n);
}

/* Expand what is due of the window, until a limit is met. */
static void
expand_due(QhSearch *search)
{
	for (;;)
	{
		Entry	   *next;

		while (search->cursor < search->count && (search->window[search->head + search->cursor] & EXPANDED))
			search->cursor++;
		if (!is_due(search) || !goes_on(search))
		{
			if (search->batch[search->turn].n == 0)
				return;
			take_in(search);
			continue;
		}
		/* not before, for making room may have moved the window */
		next = search->window + search->head + search->cursor;
		*next |= EXPANDED;
		expand(search, entry_node(*next));
	}
}

/* Expand what is to be expanded, and score those that wait for what has come out nearest. */
static void
settle(QhSearch *search)
{
	do
		expand_due(search);
	while (has_deferred(search) && resume_near(search));
}

/* Room for one node more that is pending: where those before it were expanded, or in more memory.  False if a limit forbids it. */
static bool
pending_reserve(QhSearch *search)
{
	size_t		n = search->npending - search->first_pending;
	size_t		capacity = search->pending_capacity > 0 ? 2 * search->pending_capacity : PENDING_MIN;
	QhNode	   *pending;

	if (search->npending < search->pending_capacity)
		return true;
	if (n > search->pending_capacity / 2 || search->pending_capacity == 0)
	{
		if (!may_hold(search, capacity * sizeof(QhNode)))
			return false;
		pending = qh_take(&search->alloc, capacity * sizeof(QhNode));
		if (n > 0)
			memcpy(pending, search->pending + search->first_pending, n * sizeof(QhNode));
		qh_give(&search->alloc, search->pending);
		search->pending = pending;
		search->pending_capacity = capacity;
	}
	else
		memmove(search->pending, search->pending + search->first_pending, n * sizeof(QhNode));
	search->first_pending = 0;
	search->npending = n;
	return true;
}

/* A node was returned and is not expanded: note it, for a search that is asked for more.  Where it cannot be noted, nothing more is expanded. */
static void
leave_pending(QhSearch *search, QhNode node)
{
	if (!pending_reserve(search))
	{
		search->stats.limited = true;
		return;
	}
	QV_ASSERT(search->npending < search->pending_capacity);
	search->pending[search->npending++] = node;
}

/* Expand the first node pending; false where there is none, or a limit is met. */
static bool
expand_pending(QhSearch *search)
{
	if (search->first_pending == search->npending || !goes_on(search))
		return false;
	expand(search, search->pending[search->first_pending++]);
	if (search->first_pending == search->npending)
		search->first_pending = search->npending = 0;
	return true;
}

/* ---- interface ---- */

/* Divide what stands behind the search among them, the widest elements first. */
static void
place_hop(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;

	search->accepted = (Entry *) (search + 1);
	search->sorted = search->accepted + degree;
	search->places = (size_t *) (search->sorted + degree);
	search->links = (QhLink *) (search->places + degree);
	search->batch[0].nodes = search->links + degree;
	search->batch[1].nodes = search->batch[0].nodes + degree;
	search->dist = (float *) (search->batch[1].nodes + degree);
}

static void
free_deferred(QhSearch *search)
{
	if (search->deferred != NULL)
		qh_deferred_free(search->deferred);
	qh_give(&search->alloc, search->deferred);
	search->deferred = NULL;
}

/* Entries of the smallest window and overflow in which a search that begins with so many seeds can make one hop. */
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

/* Nodes that the visited are to have room for before the first hop and in it. */
static size_t
least_visited(const QhStore *store, int nseeds)
{
	return (size_t) nseeds + (size_t) store->max_degree;
}

size_t
qh_search_least_nbytes(const QhStore *store, int nseeds)
{
	return sizeof(QhSearch) + hop_nbytes(store) + 2 * window_nbytes(least_window(store, nseeds)) +
		least_overflow(store, nseeds) * sizeof(Entry) +
		qh_visited_least_nbytes(0, least_visited(store, nseeds), 0) + qh_visited_least_nbytes(1, least_visited(store, nseeds), 0);
}

static void
free_arrays(QhSearch *search)
{
	qh_give(&search->alloc, search->window);
	qh_give(&search->alloc, search->other);
	qh_give(&search->alloc, search->overflow);
	qh_give(&search->alloc, search->pending);
	qh_visited_free(&search->visited);
	free_deferred(search);
}

/* Arrays as small as they may be. */
static void
take_arrays(QhSearch *search, int nseeds)
{
	search->pending = NULL;
	search->pending_capacity = 0;
	search->capacity = least_window(search->store, nseeds);
	search->window = qh_take(&search->alloc, window_nbytes(search->capacity));
	search->other = qh_take(&search->alloc, window_nbytes(search->capacity));
	search->overflow_capacity = least_overflow(search->store, nseeds);
	search->overflow = qh_take(&search->alloc, search->overflow_capacity * sizeof(Entry));
}

/*
 * Make room for the seeds and the first hop.  Memory that a deep scan left behind must not count against the limit of this
 * search, nor must growing exceed it.
 */
static void
prepare_arrays(QhSearch *search, int nseeds)
{
	const QhSearchLimits *limits = &search->limits;
	size_t		n = least_visited(search->store, nseeds);

	if (limits->max_nbytes != 0 &&
		(bytes_held(search) > limits->max_nbytes / 2 || !may_hold(search, qh_search_least_nbytes(search->store, nseeds))))
	{
		free_arrays(search);
		take_arrays(search, nseeds);
	}
	if (search->capacity < least_window(search->store, nseeds))
		window_resize(search, least_window(search->store, nseeds));
	if (search->overflow_capacity < least_overflow(search->store, nseeds))
		overflow_resize(search, least_overflow(search->store, nseeds));
	qh_visited_clear(&search->visited, search->store->nnodes, n, limits->max_nbytes);
}

QhSearch *
qh_search_create(const QhAlloc *alloc, QhStore *store)
{
	QhSearch   *search = alloc->alloc(alloc->ctx, sizeof(QhSearch) + hop_nbytes(store));

	memset(search, 0, sizeof(*search));
	search->alloc = *alloc;
	search->store = store;
	qh_visited_init(&search->visited, alloc);
	take_arrays(search, 0);
	place_hop(search);
	search->stats.nbytes = bytes_held(search);
	return search;
}

void
qh_search_destroy(QhSearch *search)
{
	free_arrays(search);
	qh_give(&search->alloc, search);
}

void
qh_search_start(QhSearch *search, const QhSearchLimits *limits, const QhCandidate *seeds, int nseeds)
{
	search->limits = *limits;
	memset(&search->stats, 0, sizeof(search->stats));
	search->nreturned = 0;
	search->ef_total = 0;
	search->bound = INFINITY;
	search->sparing = false;
	search->head = 0;
	search->count = 0;
	search->size = 0;
	search->cursor = 0;
	search->batch[0].n = search->batch[1].n = 0;
	search->first_pending = search->npending = 0;
	search->noverflow = 0;
	search->nheap = 0;
	prepare_arrays(search, nseeds);

	/* how large the window will be is not known yet: seeds wait in the overflow */
	for (int i = 0; i < nseeds; i++)
	{
		QhNode		node;

		if (qh_visited_add(&search->visited, &seeds[i].node, 1, &node) == 0)
			continue;
		if (seeds[i].dist < INFINITY)
			overflow_add(search, make_entry(seeds[i].dist, seeds[i].node));
	}
	search->stats.nbytes = bytes_held(search);
}

/* Of a number of nodes, counted from the first that was found, those that were not returned yet. */
static size_t
not_returned(const QhSearch *search, uint64_t total)
{
	return total > search->nreturned ? (size_t) (total - search->nreturned) : 0;
}

/* Note what the window is to be like; what is pending comes first.  Returns its size. */
static size_t
set_budget(QhSearch *search, const QhBudget *budget)
{
	size_t		size = not_returned(search, budget->found_total);

	if (budget->ef_total > search->ef_total)
		search->ef_total = budget->ef_total;
	search->nexpand = not_returned(search, search->ef_total);
	search->nmost = budget->rank > 0 ? not_returned(search, budget->most_total) : 0;
	if (search->nmost < search->nexpand)
		search->nmost = search->nexpand;
	if (size < search->nmost)
		size = search->nmost;
	if (size == 0)
		size = search->nexpand = search->nmost = 1;
	search->reach = budget->reach;
	search->rank = not_returned(search, budget->rank);
	if (search->rank == 0 && budget->rank_dist > 0)
		search->bound = budget->reach * budget->rank_dist;
	search->nwhole = not_returned(search, budget->whole_total);
	return size;
}

/* Spare places from here on, but not where there would be little memory left to search with. */
static void
begin_sparing(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;
	size_t		max_nbytes = search->limits.max_nbytes;
	size_t		nbytes = qh_deferred_least_nbytes(search->store->nnodes, degree, max_nbytes);

	if (max_nbytes != 0)
	{
		free_deferred(search);
		if (nbytes > max_nbytes / 4 || !may_hold(search, nbytes))
			return;
	}
	if (search->deferred == NULL)
	{
		search->deferred = qh_take(&search->alloc, sizeof(QhDeferred));
		qh_deferred_init(search->deferred, &search->alloc);
	}
	qh_deferred_clear(search->deferred, search->store->nnodes, degree, max_nbytes);
	search->sparing = true;
	search->nearest = INFINITY;
	search->nearest_since = 0;
}

/* Places are spared from the first budget on that says so, if it is the search's first, until one that does not. */
static void
choose_sparing(QhSearch *search, const QhBudget *budget)
{
	if (search->stats.nexpanded == 0 && budget->whole_total > 0 && search->store->place != NULL && !search->sparing)
		begin_sparing(search);
	if (search->sparing && budget->whole_total == 0)
	{
		while (resume_deferred(search, NULL, 0))
			;
		search->sparing = search->deferred->n > 0;
	}
}

/* Take the front of the window. */
static QhCandidate
pop_front(QhSearch *search)
{
	Entry		front = search->window[search->head];
	QhNode		node = entry_node(front);

	if (!(front & EXPANDED) && !search->stats.limited)
		leave_pending(search, node);
	search->head++;
	search->count--;
	if (search->cursor > 0)
		search->cursor--;
	search->nreturned++;
	return (QhCandidate) {entry_dist(front), node};
}

int
qh_search_next_within(QhSearch *search, const QhBudget *budget, int max, QhCandidate *out)
{
	size_t		size = set_budget(search, budget);
	int			n = 0;

	if (search->stats.nexpanded == 0)
		expect_nodes(search, search->nexpand);
	window_cut(search, size);
	if (!window_fill(search))
		search->stats.limited = true;
	choose_sparing(search, budget);
	if (!search->limits.resumable)
	{
		/* seeds beyond the first window's size are not wanted any more */
		search->noverflow = 0;
		search->nheap = 0;
	}
	while (search->nreturned - (search->npending - search->first_pending) < search->ef_total && expand_pending(search))
		;
	settle(search);
	while (search->count == 0 && expand_pending(search))
		settle(search);
	search->stats.exhausted = !search->stats.limited && ran_out(search) && search->first_pending == search->npending && !has_deferred(search);

	/* none of those that are in order leaves anything to be done before the next of them */
	while (n < max && (size_t) n < size && search->count > 0 && (n == 0 || !(has_deferred(search) && ran_out(search))))
		out[n++] = pop_front(search);
	search->stats.nbytes = bytes_held(search);
	return n;
}

bool
qh_search_next(QhSearch *search, uint64_t ef_total, QhCandidate *out)
{
	return qh_search_next_within(search, &(QhBudget) {.ef_total = ef_total}, 1, out) > 0;
}

int
qh_search_peek(const QhSearch *search, int max, QhNode *out)
{
	const Entry *window = search->window + search->head;
	int			n = 0;

	for (; n < max && (size_t) n < search->count; n++)
		out[n] = entry_node(window[n]);
	return n;
}

const QhSearchStats *
qh_search_stats(const QhSearch *search)
{
	return &search->stats;
}
