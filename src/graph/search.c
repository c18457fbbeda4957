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
 * found and put in order; those returned before their turn came are owed.
 */
#include <math.h>
#include <string.h>

#include "graph/order.h"
#include "graph/waiting.h"

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
#define WINDOW_MIN			128
#define OVERFLOW_MIN		1024
#define OWED_MIN			64

/* How far to look ahead for the nodes that are passed to hint(); chosen by hand. */
#define HINT_REACH			32

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
	size_t		cursor;			/* of [0, count): all before it are expanded */
	size_t		nexpand;		/* of them: those to be expanded, */
	size_t		nmost;			/* and those that are if they are within reach: */
	float		reach;			/* times the distance of */
	size_t		rank;			/* this one, counted from 1; 0 = it was returned, or there is none */
	float		bound;			/* beyond which none is, as far as the window tells */

	/* Owed: owed[first_owed .. nowed) were returned but not expanded, in this order. */
	QhNode	   *owed;
	size_t		owed_capacity;
	size_t		first_owed;
	size_t		nowed;

	/* Overflow: the first nheap form a heap, the rest were just appended. */
	Entry	   *overflow;
	size_t		overflow_capacity;
	size_t		noverflow;
	size_t		nheap;

	QhVisited	visited;

	/* Neighbours that wait, while places are spared. */
	bool		sparing;
	QhWaiting  *waiting;		/* made at need, for most searches spare none */
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

static void
overflow_reserve(QhSearch *search, size_t n)
{
	size_t		capacity = search->overflow_capacity;
	Entry	   *entries;

	if (n <= capacity)
		return;
	while (capacity < n)
		capacity *= 2;
	entries = qh_take(&search->alloc, capacity * sizeof(Entry));
	memcpy(entries, search->overflow, search->noverflow * sizeof(Entry));
	qh_give(&search->alloc, search->overflow);
	search->overflow = entries;
	search->overflow_capacity = capacity;
}

/* There must be room. */
static inline void
overflow_add(QhSearch *search, Entry entry)
{
	search->overflow[search->noverflow++] = entry;
}

static Entry
overflow_pop(QhSearch *search)
{
	Entry		top = search->overflow[0];

	search->overflow[0] = search->overflow[--search->noverflow];
	search->nheap = search->noverflow;
	if (search->noverflow > 0)
		heap_down(search->overflow, search->noverflow, 0);
	return top;
}

/* ---- window ---- */

static size_t
window_nbytes(size_t capacity)
{
	return (capacity + COPIED) * sizeof(Entry);
}

/* Room for n entries from head on. */
static void
window_reserve(QhSearch *search, size_t n)
{
	Entry	   *entries;
	size_t		capacity = search->capacity;

	if (search->head + n <= capacity)
		return;
	/* sliding back pays for itself only once head is at least as far as what is moved */
	if (n <= capacity / 2)
	{
		memmove(search->window, search->window + search->head, search->count * sizeof(Entry));
		search->head = 0;
		return;
	}
	while (capacity / 2 < n)
		capacity *= 2;
	entries = qh_take(&search->alloc, window_nbytes(capacity));
	memcpy(entries, search->window + search->head, search->count * sizeof(Entry));
	qh_give(&search->alloc, search->window);
	qh_give(&search->alloc, search->other);
	search->window = entries;
	search->other = qh_take(&search->alloc, window_nbytes(capacity));
	search->capacity = capacity;
	search->head = 0;
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
 * Merge n sorted entries into the window and cut it to size again.  Where they belong is looked up for all of them first, for the
 * look-ups need not wait for each other; then the window is copied with them to its other place, from the near end,
 * in pieces of one size: a few entries are moved faster so than their number is found out.
 */
static void
window_merge(QhSearch *search, const Entry *entries, size_t n, size_t size)
{
	size_t		count = search->count;
	size_t		total = count + n;
	size_t		done = 0;
	size_t	   *places = search->places;
	const Entry *window;
	Entry	   *out;

	window_reserve(search, total);
	window = search->window + search->head;
	out = search->other;
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
		{
			overflow_reserve(search, search->noverflow + total - size);
			for (size_t i = size; i < total; i++)
				overflow_add(search, out[i]);
		}
		total = size;
	}
	search->count = total;
	if (search->cursor > total)
		search->cursor = total;
}

/* Let the nearest of the overflow back in, up to size. */
static void
window_fill(QhSearch *search, size_t size)
{
	if (search->count >= size || search->noverflow == 0)
		return;
	overflow_make_heap(search);
	while (search->count < size && search->noverflow > 0)
	{
		Entry		entry = overflow_pop(search);

		window_reserve(search, search->count + 1);
		search->window[search->head + search->count++] = entry;
	}
}

/* ---- hops ---- */

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
		qh_visited_nbytes(&search->visited) + (search->waiting != NULL ? qh_waiting_nbytes(search->waiting) : 0) +
		search->owed_capacity * sizeof(QhNode) + hop_nbytes(search->store);
}

/* Make room for one hop, or report that a limit forbids it. */
static bool
hop_allowed(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;
	size_t		noverflow = search->noverflow + 2 * degree; /* a batch waits, another is about to */
	size_t		visited_nbytes = qh_visited_nbytes_for(&search->visited, degree);
	bool		grows = visited_nbytes > qh_visited_nbytes(&search->visited);

	if (search->limits.max_scored != 0 && search->stats.nscored >= search->limits.max_scored)
		return false;
	if (search->limits.max_nbytes != 0)
	{
		size_t		held = bytes_held(search);

		/* what grows is held twice, old and new, while it is copied: count that before it happens */
		if (grows)
			held += visited_nbytes;
		if (search->limits.resumable && noverflow > search->overflow_capacity)
			held += 2 * search->overflow_capacity * sizeof(Entry);
		if (search->sparing && qh_waiting_nbytes_for(search->waiting, degree) > qh_waiting_nbytes(search->waiting))
			held += qh_waiting_nbytes_for(search->waiting, degree);
		if (held > search->limits.max_nbytes)
			return false;
	}
	if (grows)
		qh_visited_reserve(&search->visited, degree);
	if (search->sparing)
		qh_waiting_reserve(search->waiting, degree);
	if (search->limits.resumable)
		overflow_reserve(search, noverflow);
	return true;
}

/*
 * Tell the store which node is expanded next, first, and which will probably be after it: of the window and of what is about to be
 * merged into it.  Merging takes about as long as the first lines of the next node's links.
 */
static void
hint_next(QhSearch *search, const Entry *accepted, size_t naccepted)
{
	const Entry *window = search->window + search->head;
	QhNode		nodes[QH_HINT_MAX];
	int			max = search->store->hint_max;
	size_t		end = search->cursor + HINT_REACH;
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
		search->store->hint(search->store, nodes, n);
}

/* A search for size nodes begins: make room for those it will probably meet, if that is little of the memory there is. */
static void
expect_nodes(QhSearch *search, size_t size)
{
	size_t		n = size < VISITED_AT_ONCE / VISITED_PER_EF ? size * VISITED_PER_EF : VISITED_AT_ONCE;

	if (search->limits.max_nbytes == 0 || qh_visited_nbytes_for(&search->visited, n) <= search->limits.max_nbytes / 4)
		qh_visited_reserve(&search->visited, n);
}

/* Have what scoring a batch takes asked for. */
static void
ask(QhSearch *search, int place)
{
	QhStore    *store = search->store;
	Batch	   *batch = &search->batch[place];

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

	if (search->sparing && has_arrived(search))
		batch->n = qh_waiting_sort_out(search->waiting, store, &search->visited, node, search->links, nlinks, batch->nodes);
	else
	{
		batch->n = qh_visited_add(&search->visited, search->links, nlinks, batch->nodes);
		if (search->sparing)
			qh_waiting_note_read(search->waiting, store, batch->nodes, batch->n);
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

/* Score the batch that waits, and let those near enough into the window. */
static void
take_in(QhSearch *search, size_t size)
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

	/* nothing at or beyond the bound can enter a full window */
	bound = search->count >= size ? entry_dist(window[search->count - 1]) : INFINITY;

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
	if (search->store->hint != NULL)
		hint_next(search, accepted, naccepted);
	if (naccepted > 0)
		window_merge(search, accepted, naccepted, size);
}

/*
 * Expand a node.  Its neighbours are asked for and then wait until the next node is expanded, whose links are read before these
 * are scored: so the memory's latency passes with other work.  The next node is chosen without them, that is, now and then not the nearest.
 */
static void
expand(QhSearch *search, QhNode node, size_t size)
{
	int			next = !search->turn;

	gather(search, node, next);
	take_in(search, size);
	search->turn = next;
	if (search->store->at_once)
		take_in(search, size);
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
call_in(QhSearch *search, size_t size, const QhNode *owners, int nowners)
{
	int			next = !search->turn;
	Batch	   *batch = &search->batch[next];

	if (search->waiting->n == 0 || !goes_on(search))
		return false;
	batch->n = qh_waiting_take(search->waiting, search->store, &search->visited, owners, nowners, search->store->max_degree, batch->nodes);
	if (batch->n == 0)
		return false;
	ask(search, next);
	take_in(search, size);
	search->turn = next;
	take_in(search, size);
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
has_waiting(const QhSearch *search)
{
	return search->sparing && search->waiting->n > 0;
}

/* Likewise those that wait for the nearest nodes of the window; or all, where no other node is left to be expanded. */
static bool
call_in_near(QhSearch *search, size_t size)
{
	const Entry *window = search->window + search->head;
	QhNode		nearest[WHOLE_MAX];
	int			n = 0;

	if (ran_out(search))
		return call_in(search, size, NULL, 0);
	for (; n < WHOLE_MAX && (size_t) n < search->nwhole && (size_t) n < search->count; n++)
		nearest[n] = entry_node(window[n]);
	return n > 0 && call_in(search, size, nearest, n);
}

/* Expand what is due of the window, until a limit is met. */
static void
expand_due(QhSearch *search, size_t size)
{
	for (;;)
	{
		Entry	   *window = search->window + search->head;
		QhNode		node;

		while (search->cursor < search->count && (window[search->cursor] & EXPANDED))
			search->cursor++;
		if (!is_due(search) || !goes_on(search))
		{
			if (search->batch[search->turn].n == 0)
				return;
			take_in(search, size);
			continue;
		}
		node = entry_node(window[search->cursor]);
		window[search->cursor] |= EXPANDED;
		expand(search, node, size);
	}
}

/* Expand what is to be expanded, and score those that wait for what has come out nearest. */
static void
settle(QhSearch *search, size_t size)
{
	do
		expand_due(search, size);
	while (has_waiting(search) && call_in_near(search, size));
}

/* The front was returned and is not expanded: note it, for a search that is asked for more. */
static void
owe(QhSearch *search, QhNode node)
{
	if (search->nowed == search->owed_capacity)
	{
		size_t		capacity = search->owed_capacity > 0 ? 2 * search->owed_capacity : OWED_MIN;
		QhNode	   *owed = qh_take(&search->alloc, capacity * sizeof(QhNode));

		if (search->nowed > 0)
			memcpy(owed, search->owed, search->nowed * sizeof(QhNode));
		qh_give(&search->alloc, search->owed);
		search->owed = owed;
		search->owed_capacity = capacity;
	}
	search->owed[search->nowed++] = node;
}

/* Expand the first node owed; false where there is none, or a limit is met. */
static bool
pay(QhSearch *search, size_t size)
{
	if (search->first_owed == search->nowed || !goes_on(search))
		return false;
	expand(search, search->owed[search->first_owed++], size);
	if (search->first_owed == search->nowed)
		search->first_owed = search->nowed = 0;
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
free_waiting(QhSearch *search)
{
	if (search->waiting != NULL)
		qh_waiting_free(search->waiting);
	qh_give(&search->alloc, search->waiting);
	search->waiting = NULL;
}

/* Throw away what the arrays hold and make them small again. */
static void
reset_memory(QhSearch *search)
{
	qh_give(&search->alloc, search->window);
	qh_give(&search->alloc, search->other);
	qh_give(&search->alloc, search->overflow);
	qh_give(&search->alloc, search->owed);
	qh_visited_free(&search->visited);
	free_waiting(search);
	search->owed = NULL;
	search->owed_capacity = 0;
	search->capacity = WINDOW_MIN;
	search->window = qh_take(&search->alloc, window_nbytes(WINDOW_MIN));
	search->other = qh_take(&search->alloc, window_nbytes(WINDOW_MIN));
	search->overflow_capacity = OVERFLOW_MIN;
	search->overflow = qh_take(&search->alloc, OVERFLOW_MIN * sizeof(Entry));
}

QhSearch *
qh_search_create(const QhAlloc *alloc, QhStore *store)
{
	QhSearch   *search = alloc->alloc(alloc->ctx, sizeof(QhSearch) + hop_nbytes(store));

	memset(search, 0, sizeof(*search));
	search->alloc = *alloc;
	search->store = store;
	qh_visited_init(&search->visited, alloc);
	reset_memory(search);
	place_hop(search);
	search->stats.nbytes = bytes_held(search);
	return search;
}

void
qh_search_destroy(QhSearch *search)
{
	qh_give(&search->alloc, search->window);
	qh_give(&search->alloc, search->other);
	qh_give(&search->alloc, search->overflow);
	qh_give(&search->alloc, search->owed);
	qh_visited_free(&search->visited);
	free_waiting(search);
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
	search->cursor = 0;
	search->batch[0].n = search->batch[1].n = 0;
	search->first_owed = search->nowed = 0;
	search->noverflow = 0;
	search->nheap = 0;
	/* memory a deep scan left behind must not count against the next one's limit */
	if (limits->max_nbytes != 0 && bytes_held(search) > limits->max_nbytes / 2)
		reset_memory(search);
	qh_visited_clear(&search->visited, search->store->nnodes, limits->max_nbytes);
	qh_visited_reserve(&search->visited, (size_t) nseeds);

	/* how large the window will be is not known yet: seeds wait in the overflow */
	overflow_reserve(search, (size_t) nseeds);
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

/* Note what the window is to be like; what is owed comes first.  Returns its size. */
static size_t
take_aim(QhSearch *search, const QhAim *aim)
{
	size_t		size = not_returned(search, aim->found_total);

	if (aim->ef_total > search->ef_total)
		search->ef_total = aim->ef_total;
	search->nexpand = not_returned(search, search->ef_total);
	search->nmost = aim->rank > 0 ? not_returned(search, aim->most_total) : 0;
	if (search->nmost < search->nexpand)
		search->nmost = search->nexpand;
	if (size < search->nmost)
		size = search->nmost;
	if (size == 0)
		size = search->nexpand = search->nmost = 1;
	search->reach = aim->reach;
	search->rank = not_returned(search, aim->rank);
	if (search->rank == 0 && aim->rank_dist > 0)
		search->bound = aim->reach * aim->rank_dist;
	search->nwhole = not_returned(search, aim->whole_total);
	return size;
}

/* Places are spared from the first aim on that says so, if it is the search's first, until one that does not. */
static void
choose_sparing(QhSearch *search, const QhAim *aim, size_t size)
{
	if (search->stats.nexpanded == 0 && aim->whole_total > 0 && search->store->place != NULL)
	{
		if (search->waiting == NULL)
		{
			search->waiting = qh_take(&search->alloc, sizeof(QhWaiting));
			qh_waiting_init(search->waiting, &search->alloc);
		}
		qh_waiting_clear(search->waiting, search->store->nnodes, search->limits.max_nbytes);
		/* not where there would be little memory left to search with */
		search->sparing = search->limits.max_nbytes == 0 ||
			qh_waiting_nbytes_for(search->waiting, (size_t) search->store->max_degree) <= search->limits.max_nbytes / 4;
		if (!search->sparing)
			free_waiting(search);
		search->nearest = INFINITY;
		search->nearest_since = 0;
	}
	if (search->sparing && aim->whole_total == 0)
	{
		while (call_in(search, size, NULL, 0))
			;
		search->sparing = search->waiting->n > 0;
	}
}

/* Take the front of the window. */
static QhCandidate
pop_front(QhSearch *search)
{
	Entry		front = search->window[search->head];
	QhNode		node = entry_node(front);

	if (!(front & EXPANDED) && !search->stats.limited)
		owe(search, node);
	search->head++;
	search->count--;
	if (search->cursor > 0)
		search->cursor--;
	search->nreturned++;
	return (QhCandidate) {entry_dist(front), node};
}

int
qh_search_next_aimed(QhSearch *search, const QhAim *aim, int max, QhCandidate *out)
{
	size_t		size = take_aim(search, aim);
	int			n = 0;

	if (search->stats.nexpanded == 0)
		expect_nodes(search, search->nexpand);
	window_fill(search, size);
	choose_sparing(search, aim, size);
	if (!search->limits.resumable)
	{
		/* seeds beyond the first window's size are not wanted any more */
		search->noverflow = 0;
		search->nheap = 0;
	}
	while (search->nreturned - (search->nowed - search->first_owed) < search->ef_total && pay(search, size))
		;
	settle(search, size);
	while (search->count == 0 && pay(search, size))
		settle(search, size);
	search->stats.nbytes = bytes_held(search);
	search->stats.exhausted = ran_out(search) && search->first_owed == search->nowed && !has_waiting(search);

	/* none of those that are in order leaves anything to be done before the next of them */
	while (n < max && (size_t) n < size && search->count > 0 && (n == 0 || !(has_waiting(search) && ran_out(search))))
		out[n++] = pop_front(search);
	return n;
}

bool
qh_search_next(QhSearch *search, uint64_t ef_total, QhCandidate *out)
{
	return qh_search_next_aimed(search, &(QhAim) {.ef_total = ef_total}, 1, out) > 0;
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
