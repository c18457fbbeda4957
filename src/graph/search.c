/*
 * search.c
 *		Resumable best-first search.
 *
 * Knows node ids, distances and links, and a store that answers for them; knows neither codes nor
 * pages.  Here is the order of things; search_state.h names the files that do them.  README.md,
 * "Search".
 *
 * The window is a sorted array, nearest first, of the best nodes found and not returned yet.  What
 * does not fit goes to the overflow, from which the window is filled again when nodes have been
 * returned or ef_total has grown.  Always max(window) <= min(overflow): a node is turned away only
 * by a full window.  Behind the entries to be expanded the window may have others, which are only
 * found and put in order; those that are returned before their turn came are pending.
 */
#include "graph/search_state.h"

/* The most nodes of the window whose neighbours do not stay deferred. */
#define WHOLE_MAX			64

void
qh_search_start(QhSearch *search, const QhSearchLimits *limits, const QhCandidate *seeds, int nseeds)
{
	search->limits = *limits;
	memset(&search->stats, 0, sizeof(search->stats));
	search->nreturned = 0;
	search->ef_total = 0;
	search->bound = INFINITY;
	search->deferring = false;
	search->window.head = search->window.count = 0;
	search->window.size = search->window.cursor = 0;
	search->batch[0].n = search->batch[1].n = 0;
	search->pending.first = search->pending.end = 0;
	qh_overflow_clear(&search->overflow);
	qh_search_prepare_memory(search, nseeds);

	if (limits->hides)
	{
		QhNode		node;

		(void) qh_visited_add(&search->visited, &limits->hidden, 1, &node);
	}
	/* how large the window will be is not known yet: seeds wait in the overflow */
	for (int i = 0; i < nseeds; i++)
	{
		QhNode		node;

		if (qh_visited_add(&search->visited, &seeds[i].node, 1, &node) == 0)
			continue;
		if (seeds[i].dist < INFINITY)
			qh_overflow_add(&search->overflow, qh_entry(seeds[i].dist, seeds[i].node));
	}
	search->stats.nbytes = qh_search_nbytes(search);
}

/* ---- what is due ---- */

/* Is the first node of the window that is not expanded to be? */
static bool
is_due(QhSearch *search)
{
	const QhWindow *window = &search->window;
	const QhEntry *entries = window->entries + window->head;

	if (window->cursor >= window->count || window->cursor >= search->nmost)
		return false;
	if (window->cursor < search->nexpand)
		return true;
	if (search->rank > 0)
		search->bound = search->rank <= window->count ? search->reach * qh_entry_dist(entries[search->rank - 1]) : INFINITY;
	return qh_entry_dist(entries[window->cursor]) <= search->bound;
}

/* Expand what is due of the window, until a limit is met.  No batch waits afterwards. */
static void
expand_due(QhSearch *search)
{
	QhWindow   *window = &search->window;

	for (;;)
	{
		QhEntry    *next;

		while (window->cursor < window->count && (window->entries[window->head + window->cursor] & QH_EXPANDED))
			window->cursor++;
		if (!is_due(search) || !qh_search_goes_on(search))
		{
			if (search->batch[search->turn].n == 0)
				return;
			qh_search_take_batch(search);
			continue;
		}
		/* not before, for making room may have moved the window */
		next = window->entries + window->head + window->cursor;
		*next |= QH_EXPANDED;
		qh_search_expand(search, qh_entry_node(*next));
	}
}

/*
 * Score deferred neighbours of the nearest nodes of the window; of all, where no other node is left
 * to be expanded.  False if there are none, or a limit is met.
 */
static bool
resume_near(QhSearch *search)
{
	const QhWindow *window = &search->window;
	QhNode		nearest[WHOLE_MAX];
	int			n = 0;

	if (qh_search_ran_out(search))
		return qh_search_resume_deferred(search, NULL, 0);
	for (; n < WHOLE_MAX && (size_t) n < search->nwhole && (size_t) n < window->count; n++)
		nearest[n] = qh_entry_node(window->entries[window->head + (size_t) n]);
	return n > 0 && qh_search_resume_deferred(search, nearest, n);
}

/* Expand what is due, and score deferred neighbours of what has come out nearest, until neither is left. */
static void
settle(QhSearch *search)
{
	do
		expand_due(search);
	while (qh_search_has_deferred(search) && resume_near(search));
}

/* ---- pending expansions ---- */

/*
 * A node was returned and is not expanded: note it, for a search that is asked for more.  Where it
 * cannot be noted, nothing more is expanded.
 */
static void
leave_pending(QhSearch *search, QhNode node)
{
	if (!qh_search_reserve_pending(search))
	{
		search->stats.limited = true;
		return;
	}
	QV_ASSERT(search->pending.end < search->pending.capacity);
	search->pending.nodes[search->pending.end++] = node;
}

/* Expand the first pending node; false where there is none, or a limit is met. */
static bool
expand_pending(QhSearch *search)
{
	QhPending  *pending = &search->pending;

	if (!qh_search_has_pending(search) || !qh_search_goes_on(search))
		return false;
	qh_search_expand(search, pending->nodes[pending->first++]);
	if (pending->first == pending->end)
		pending->first = pending->end = 0;
	return true;
}

/* Expand pending nodes until ef_total of those returned are expanded. */
static void
expand_pending_of_ef(QhSearch *search)
{
	while (search->nreturned - (search->pending.end - search->pending.first) < search->ef_total && expand_pending(search))
		;
}

/* ---- what is returned ---- */

/* Take the front of the window. */
static QhCandidate
pop_front(QhSearch *search)
{
	QhEntry		front = qh_window_pop(&search->window);
	QhNode		node = qh_entry_node(front);

	if (!(front & QH_EXPANDED) && !search->stats.limited)
		leave_pending(search, node);
	search->nreturned++;
	return (QhCandidate) {qh_entry_dist(front), node};
}

/*
 * Take up to max nodes from the front, of the size that the budget put in order.  After the first,
 * none is taken while deferred neighbours are all that is left to be scored: those may be nearer.
 */
static int
pop_settled(QhSearch *search, size_t size, int max, QhCandidate *out)
{
	int			n = 0;

	while (n < max && (size_t) n < size && search->window.count > 0 &&
		   (n == 0 || !(qh_search_has_deferred(search) && qh_search_ran_out(search))))
		out[n++] = pop_front(search);
	return n;
}

/*
 * The order matters.  The budget says how large the window is and fills it, so that what follows
 * sees all that it may expand.  Pending nodes that ef_total has grown to include are nearer than
 * those in the window and come before them.  Other pending nodes are expanded only when the window
 * would stay empty, one at a time, for the first may fill it.  Then nothing is left to be done
 * before nodes are returned, and whether the graph is exhausted is known.
 */
int
qh_search_next_within(QhSearch *search, const QhBudget *budget, int max, QhCandidate *out)
{
	size_t		size = qh_search_apply_budget(search, budget);
	int			n;

	expand_pending_of_ef(search);
	settle(search);
	while (search->window.count == 0 && expand_pending(search))
		settle(search);
	search->stats.exhausted = !search->stats.limited && qh_search_ran_out(search) &&
		!qh_search_has_pending(search) && !qh_search_has_deferred(search);
	n = pop_settled(search, size, max, out);
	search->stats.nbytes = qh_search_nbytes(search);
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
	const QhWindow *window = &search->window;
	int			n = 0;

	for (; n < max && (size_t) n < window->count; n++)
		out[n] = qh_entry_node(window->entries[window->head + (size_t) n]);
	return n;
}

const QhSearchStats *
qh_search_stats(const QhSearch *search)
{
	return &search->stats;
}
