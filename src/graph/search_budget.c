/*
 * search_budget.c
 *		What a budget makes of a search: the size of its window, and what is deferred.
 *
 * Must not expand nodes: of what is to be expanded it only says how many.  README.md, "Search".
 */
#include "graph/search_state.h"

/*
 * Nodes that a search will meet for each of ef, and the most that are made room for at once:
 * growing by and by takes longer than the search gains by a small set.  doc/decisions/0060.
 */
#define VISITED_PER_EF		13
#define VISITED_AT_ONCE		8192

/* Of a number of nodes, counted from the first that was found, those that were not returned yet. */
static size_t
not_returned(const QhSearch *search, uint64_t total)
{
	return total > search->nreturned ? (size_t) (total - search->nreturned) : 0;
}

/* Note what the window is to be like; what is pending comes first.  Returns its size. */
static size_t
set_numbers(QhSearch *search, const QhBudget *budget)
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

/* Make room for the nodes that a search will probably meet, if that is little of the memory. */
static void
expect_nodes(QhSearch *search)
{
	size_t		n = search->nexpand < VISITED_AT_ONCE / VISITED_PER_EF ? search->nexpand * VISITED_PER_EF : VISITED_AT_ONCE;
	size_t		max_nbytes = search->limits.max_nbytes;
	size_t		nbytes;

	/* few are without a bit */
	if (search->visited.bits != NULL)
		return;
	nbytes = qh_visited_growth(&search->visited, n);
	if (nbytes > 0 && qh_search_may_hold(search, nbytes) && (max_nbytes == 0 || nbytes <= max_nbytes / 4))
		qh_visited_reserve(&search->visited, n);
}

/*
 * The window is to hold no more than size nodes from here on: a hop relies on it (README.md,
 * "Room").  It goes on holding more where there is no memory for what would fall out.
 */
static void
cut_window(QhSearch *search, size_t size)
{
	QhWindow   *window = &search->window;
	QhOverflow *overflow = qh_search_overflow(search);

	window->size = size;
	if (window->count <= size)
		return;
	if (overflow != NULL)
	{
		if (!qh_search_reserve_overflow(search, overflow->n + window->count - size))
		{
			window->size = window->count;
			return;
		}
		for (size_t i = size; i < window->count; i++)
			qh_overflow_add(overflow, window->entries[window->head + i]);
	}
	window->count = size;
	if (window->cursor > size)
		window->cursor = size;
}

/*
 * Make room for n entries from the window's head on.  Sliding back pays only once head is at least
 * as far as what is moved; else twice the room is taken, if it may be.
 */
static void
make_room_to_fill(QhSearch *search, size_t n)
{
	QhWindow   *window = &search->window;

	if (window->head + n <= window->capacity)
		return;
	if (n > window->capacity / 2 && qh_search_reserve_window(search, 2 * n))
		return;
	qh_window_slide(window);
	(void) qh_search_reserve_window(search, n);
}

/*
 * Let the nearest of the overflow back in, up to size.  False if a limit forbids it; what is in
 * there is then returned before more comes in.
 */
static bool
fill_window(QhSearch *search)
{
	QhWindow   *window = &search->window;
	QhOverflow *overflow = &search->overflow;
	size_t		n = window->size;

	if (window->count >= n || overflow->n == 0)
		return true;
	if (n > window->count + overflow->n)
		n = window->count + overflow->n;
	make_room_to_fill(search, n);
	if (n > window->capacity)
		n = window->capacity;
	QV_ASSERT(window->head + n <= window->capacity);
	window->count += qh_overflow_take(overflow, n - window->count, qh_window_front(window) + window->count);
	return window->count == window->size || overflow->n == 0;
}

/* Defer from here on, but not where there would be little memory left to search with. */
static void
begin_deferring(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;
	size_t		max_nbytes = search->limits.max_nbytes;
	size_t		nbytes = qh_deferred_least_nbytes(search->store->nnodes, degree, max_nbytes);

	if (max_nbytes != 0)
	{
		qh_search_free_deferred(search);
		if (nbytes > max_nbytes / 4 || !qh_search_may_hold(search, nbytes))
			return;
	}
	if (search->deferred == NULL)
	{
		search->deferred = qh_take(&search->alloc, sizeof(QhDeferred));
		qh_deferred_init(search->deferred, &search->alloc, search->store, &search->visited);
	}
	qh_deferred_clear(search->deferred, search->store->nnodes, degree, max_nbytes);
	search->deferring = true;
	search->nearest = INFINITY;
	search->nearest_since = 0;
}

/* Neighbours are deferred from a search's first budget on, if that says so, until one does not. */
static void
choose_deferring(QhSearch *search, const QhBudget *budget)
{
	if (search->stats.nexpanded == 0 && budget->whole_total > 0 && search->store->place != NULL && !search->deferring)
		begin_deferring(search);
	if (search->deferring && budget->whole_total == 0)
	{
		while (qh_search_resume_deferred(search, NULL, 0))
			;
		search->deferring = search->deferred->n > 0;
	}
}

/*
 * The order matters.  Numbers come first: all the rest goes by them.  Room for the visited is made
 * before other arrays grow, for it may take a quarter of what is left.  The window is cut before it
 * is filled, and has its size before deferred neighbours are scored, which are merged into it.
 */
size_t
qh_search_apply_budget(QhSearch *search, const QhBudget *budget)
{
	size_t		size = set_numbers(search, budget);

	if (search->stats.nexpanded == 0)
		expect_nodes(search);
	cut_window(search, size);
	if (!fill_window(search))
		search->stats.limited = true;
	choose_deferring(search, budget);
	/* seeds beyond the first window's size are not wanted any more */
	if (!search->limits.resumable)
		qh_overflow_clear(&search->overflow);
	return size;
}
