/*
 * expand.c
 *		One hop of a search: the neighbours of one node.
 *
 * A hop is in two halves.  First the links of the node are read and its unvisited neighbours asked
 * for; they are the batch that waits.  They are scored and merged into the window after the links
 * of the next node were read, so the memory's latency passes with other work.  Must not know which
 * node is expanded, nor why.  README.md, "Search".
 */
#include <string.h>

#include "graph/search_state.h"

/* How far to look ahead for the nodes that are passed to prefetch(); chosen by hand. */
#define PREFETCH_REACH			32

/*
 * Neighbours are deferred once so many nodes were expanded since a nearer one than all before was
 * found: until then the search is on its way to where the near ones are.  doc/decisions/0062.
 */
#define DEFER_AFTER			3

/* ---- the first half: neighbours are asked for ---- */

/* Have what scoring a batch takes asked for. */
static void
fetch_batch(QhSearch *search, int place)
{
	QhStore    *store = search->store;
	QhBatch    *batch = &search->batch[place];

	QV_ASSERT(batch->n <= store->max_degree);
	if (store->fetch != NULL && batch->n > 0)
		store->fetch(store, place, batch->nodes, batch->n);
	search->stats.nscored += (uint64_t) batch->n;
}

/* Is the search where the near nodes are, as far as can be told? */
static bool
has_arrived(QhSearch *search)
{
	const QhWindow *window = &search->window;
	float		nearest = window->count > 0 ? qh_entry_dist(window->entries[window->head]) : INFINITY;

	if (nearest < search->nearest)
	{
		search->nearest = nearest;
		search->nearest_since = search->stats.nexpanded;
	}
	return search->stats.nexpanded >= search->nearest_since + DEFER_AFTER;
}

/* Collect the unvisited neighbours of a node, those that are not deferred, and ask for them. */
static void
collect_neighbors(QhSearch *search, QhNode node, int place)
{
	QhStore    *store = search->store;
	QhBatch    *batch = &search->batch[place];
	int			nlinks = store->links(store, node, search->links);

	QV_ASSERT(nlinks >= 0 && nlinks <= store->max_degree && batch->n == 0);
	if (search->deferring && has_arrived(search))
		batch->n = qh_deferred_sort_out(search->deferred, node, search->links, nlinks, batch->nodes);
	else
	{
		batch->n = qh_visited_add(&search->visited, search->links, nlinks, batch->nodes);
		if (search->deferring)
			qh_deferred_note_read(search->deferred, batch->nodes, batch->n);
	}
	fetch_batch(search, place);
	search->stats.nexpanded++;
}

/* ---- the second half: they are scored and merged ---- */

/*
 * Tell the store which node is expanded next, first, and which will probably be after it: of the
 * window and of what is about to be merged into it.  Merging takes about as long as the first lines
 * of the next node's links.
 */
static void
prefetch_next(QhSearch *search, const QhEntry *accepted, size_t naccepted)
{
	const QhWindow *window = &search->window;
	const QhEntry *entries = window->entries + window->head;
	QhNode		nodes[QH_PREFETCH_MAX];
	int			max = search->store->prefetch_max;
	size_t		end = window->cursor + PREFETCH_REACH;
	size_t		i = window->cursor;
	size_t		j = 0;
	int			n = 0;

	if (end > window->count)
		end = window->count;
	if (end > search->nmost)
		end = search->nmost;
	while (n < max)
	{
		while (i < end && (entries[i] & QH_EXPANDED))
			i++;
		if (j < naccepted && (i == end || qh_entry_is_nearer(accepted[j], entries[i])))
			nodes[n++] = qh_entry_node(accepted[j++]);
		else if (i < end)
			nodes[n++] = qh_entry_node(entries[i++]);
		else
			break;
	}
	if (n > 0)
		search->store->prefetch(search->store, nodes, n);
}

/* Score the batch that waits, into search->dist. */
static inline void
score_batch(QhSearch *search, const QhBatch *batch)
{
	QhStore    *store = search->store;

	if (store->score_fetched != NULL)
		store->score_fetched(store, search->turn, batch->nodes, batch->n, search->dist);
	else
		store->score(store, batch->nodes, batch->n, search->dist);
}

/*
 * Sort the scored batch out: what is nearer than the end of a full window goes to search->accepted,
 * the rest to the overflow.  Returns how many were accepted.  Every place is written and the number
 * then raised or not, so that nothing has to be predicted: this is why there must be room for the
 * whole batch, whatever becomes of it.
 */
static inline size_t
divide_batch(QhSearch *search, const QhBatch *batch)
{
	const QhWindow *window = &search->window;
	QhEntry    *accepted = search->accepted;
	QhEntry    *overflow = search->overflow.entries;
	size_t		noverflow = search->overflow.n;
	size_t		naccepted = 0;
	bool		resumable = search->limits.resumable;
	float		bound = INFINITY;

	QV_ASSERT(batch->n <= search->store->max_degree);
	QV_ASSERT(!resumable || noverflow + (size_t) batch->n <= search->overflow.capacity);
	if (window->count >= window->size)
		bound = qh_entry_dist(window->entries[window->head + window->count - 1]);
	for (int i = 0; i < batch->n; i++)
	{
		float		dist = search->dist[i];
		QhEntry		entry = qh_entry(dist, batch->nodes[i]);
		bool		enters = dist < bound;

		accepted[naccepted] = entry;
		naccepted += enters;
		if (resumable)
		{
			overflow[noverflow] = entry;
			noverflow += !enters & (dist < INFINITY);
		}
	}
	search->overflow.n = noverflow;
	return naccepted;
}

void
qh_search_take_batch(QhSearch *search)
{
	QhBatch    *batch = &search->batch[search->turn];
	const QhEntry *accepted = search->accepted;
	size_t		naccepted;

	if (batch->n == 0)
		return;
	score_batch(search, batch);
	naccepted = divide_batch(search, batch);
	batch->n = 0;
	if (naccepted > 1)
	{
		qh_keys_sort_into(search->accepted, (uint32_t) naccepted, search->sorted);
		accepted = search->sorted;
	}
	if (search->store->prefetch != NULL)
		prefetch_next(search, accepted, naccepted);
	if (naccepted > 0)
		qh_window_merge(&search->window, qh_search_overflow(search), accepted, naccepted, search->places);
}

/* ---- a hop ---- */

/*
 * The next node is chosen without the neighbours of this one, and so now and then is not the
 * nearest.  A store for which a node expanded for nothing costs more than latency says at_once.
 */
void
qh_search_expand(QhSearch *search, QhNode node)
{
	int			next = !search->turn;

	collect_neighbors(search, node, next);
	qh_search_take_batch(search);
	search->turn = next;
	if (search->store->at_once)
		qh_search_take_batch(search);
}

bool
qh_search_resume_deferred(QhSearch *search, const QhNode *owners, int nowners)
{
	int			next = !search->turn;
	QhBatch    *batch = &search->batch[next];

	if (search->deferred->n == 0 || !qh_search_goes_on(search))
		return false;
	batch->n = qh_deferred_take(search->deferred, owners, nowners, search->store->max_degree, batch->nodes);
	if (batch->n == 0)
		return false;
	fetch_batch(search, next);
	qh_search_take_batch(search);
	search->turn = next;
	qh_search_take_batch(search);
	return true;
}
