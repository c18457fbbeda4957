/*
 * search_state.h
 *		A search: its state, and what its files do for each other.
 *
 * Internal to search.c, search_budget.c, expand.c and search_memory.c, which call each other in
 * this order, downward only.  What each hop does is inline.  README.md, "Search".
 */
#ifndef QH_SEARCH_STATE_H
#define QH_SEARCH_STATE_H

#include <math.h>

#include "graph/deferred.h"
#include "graph/window.h"

/* Neighbours of a node that is expanded, none of them met before; n = 0 once they are scored. */
typedef struct QhBatch
{
	QhNode	   *nodes;			/* room for max_degree */
	int			n;
} QhBatch;

/* Nodes that were returned but not expanded: nodes[first .. end), in this order. */
typedef struct QhPending
{
	QhNode	   *nodes;
	size_t		capacity;
	size_t		first;
	size_t		end;
} QhPending;

struct QhSearch
{
	QhAlloc		alloc;
	QhStore    *store;
	QhSearchLimits limits;
	QhSearchStats stats;
	uint64_t	nreturned;
	uint64_t	ef_total;		/* largest ever asked for in this search */

	QhWindow	window;
	QhOverflow	overflow;
	QhPending	pending;
	QhVisited	visited;

	/* What is to be expanded of the window (QhBudget, counted from its front). */
	size_t		nexpand;		/* so many in any case, */
	size_t		nmost;			/* and so many if they are within reach: */
	float		reach;			/* times the distance of */
	size_t		rank;			/* this one, counted from 1; 0 = it was returned, or there is none */
	float		bound;			/* the product, as far as the window tells */

	/* Deferred neighbours (README.md, "Deferred neighbours"). */
	bool		deferring;
	QhDeferred *deferred;		/* made at need: most searches defer nothing */
	float		nearest;		/* distance of the nearest node found, */
	uint64_t	nearest_since;	/* and how many were expanded when it was found */
	size_t		nwhole;			/* of the window: nodes whose neighbours do not stay deferred */

	/* One hop: arrays of max_degree each, behind the struct. */
	QhLink	   *links;
	QhBatch		batch[2];
	int			turn;			/* of the batch that waits to be scored, or was scored last */
	float	   *dist;
	QhEntry    *accepted;
	QhEntry    *sorted;
	size_t	   *places;
};

/* Where a search keeps what its window turns out; NULL: nowhere. */
static inline QhOverflow *
qh_search_overflow(QhSearch *search)
{
	return search->limits.resumable ? &search->overflow : NULL;
}

/* Is all that was found expanded, or returned? */
static inline bool
qh_search_ran_out(const QhSearch *search)
{
	return search->window.cursor == search->window.count && search->overflow.n == 0;
}

static inline bool
qh_search_has_deferred(const QhSearch *search)
{
	return search->deferring && search->deferred->n > 0;
}

static inline bool
qh_search_has_pending(const QhSearch *search)
{
	return search->pending.first < search->pending.end;
}

/* ---- search_memory.c: what a search holds and may hold ---- */

/* May so many bytes more be held than are now?  What grows is held twice while it is copied. */
extern bool qh_search_may_hold(const QhSearch *search, size_t nbytes);
extern size_t qh_search_nbytes(const QhSearch *search);

/* Make room for n entries in all; false if a limit forbids it. */
extern bool qh_search_reserve_window(QhSearch *search, size_t n);
extern bool qh_search_reserve_overflow(QhSearch *search, size_t n);
/* Make room for one pending node more; false if a limit forbids it. */
extern bool qh_search_reserve_pending(QhSearch *search);
/* Make room for one hop; false if a limit forbids it. */
extern bool qh_search_make_room_for_hop(QhSearch *search);
/* Make room for the seeds and the first hop of a search that begins. */
extern void qh_search_prepare_memory(QhSearch *search, int nseeds);
/* Give back the memory of the deferred neighbours. */
extern void qh_search_free_deferred(QhSearch *search);

/*
 * Entries that the window must have room for before a hop.  A batch waits perhaps, and another is
 * about to: the first is merged before it is cut, which leaves at most size, and then the second.
 */
static inline size_t
qh_search_window_for_hop(const QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;
	size_t		count = search->window.count + degree;

	return (count < search->window.size ? count : search->window.size) + degree;
}

/* The overflow likewise: a batch adds as many as it has nodes, whatever those turn out. */
static inline size_t
qh_search_overflow_for_hop(const QhSearch *search)
{
	return search->limits.resumable ? search->overflow.n + 2 * (size_t) search->store->max_degree : 0;
}

/* May another node be expanded?  There is room for its neighbours then. */
static inline bool
qh_search_allows_hop(QhSearch *search)
{
	size_t		degree = (size_t) search->store->max_degree;

	if (search->limits.max_scored != 0 && search->stats.nscored >= search->limits.max_scored)
		return false;
	if (qh_visited_growth(&search->visited, degree) == 0 && !search->deferring &&
		qh_search_window_for_hop(search) <= search->window.capacity &&
		qh_search_overflow_for_hop(search) <= search->overflow.capacity)
		return true;
	return qh_search_make_room_for_hop(search);
}

/* May the search go on?  Once it may not, it never may again. */
static inline bool
qh_search_goes_on(QhSearch *search)
{
	if (!search->stats.limited && !qh_search_allows_hop(search))
		search->stats.limited = true;
	return !search->stats.limited;
}

/* ---- expand.c: one node's neighbours ---- */

/* Expand a node, for whose neighbours there must be room. */
extern void qh_search_expand(QhSearch *search, QhNode node);
/* Score the batch that waits, if one does, and let those near enough into the window. */
extern void qh_search_take_batch(QhSearch *search);
/*
 * Score some of the neighbours that were deferred when one of these nodes was expanded, or any
 * where none are given.  False if there are none, or a limit is met.
 */
extern bool qh_search_resume_deferred(QhSearch *search, const QhNode *owners, int nowners);

/* ---- search_budget.c: what a budget makes of the window ---- */

/* Heed a budget: the window gets its size, and deferring begins or ends.  Returns the size. */
extern size_t qh_search_apply_budget(QhSearch *search, const QhBudget *budget);

#endif							/* QH_SEARCH_STATE_H */
