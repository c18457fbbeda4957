/*
 * window.h
 *		The window of a search: the nearest nodes found and not returned yet, in order.
 *
 * Internal to the graph room.  Must not know stores, links or how much memory a search may hold.
 * The merge is here, inline, because each hop does one.  README.md, "Search" and "Room".
 *
 * Capacity, stated once and asserted wherever entries are written: either place has room for
 * capacity entries and for QH_COPIED more.  The first are what a caller may reserve and count on;
 * the others only take what copying in whole pieces writes beyond the last entry.
 */
#ifndef QH_WINDOW_H
#define QH_WINDOW_H

#include "graph/overflow.h"

/* Entries that are copied at once.  Copying may write so many less one beyond the last. */
#define QH_COPIED			8

typedef struct QhWindow
{
	QhEntry    *entries;		/* entries[head .. head + count), nearest first */
	QhEntry    *other;			/* the place that the next merge writes to; they change roles then */
	size_t		capacity;		/* of either place, QH_COPIED not counted */
	size_t		head;
	size_t		count;
	size_t		size;			/* what a merge leaves at most */
	size_t		cursor;			/* of [0, count): all before it are expanded */
} QhWindow;

/* Bytes of one place. */
static inline size_t
qh_window_nbytes(size_t capacity)
{
	return (capacity + QH_COPIED) * sizeof(QhEntry);
}

/* The nearest entry; those behind it follow. */
static inline QhEntry *
qh_window_front(const QhWindow *window)
{
	QV_ASSERT(window->head + window->count <= window->capacity);
	return window->entries + window->head;
}

/* Take the nearest entry out, of one or more. */
static inline QhEntry
qh_window_pop(QhWindow *window)
{
	QhEntry		front = window->entries[window->head];

	QV_ASSERT(window->count > 0);
	window->head++;
	window->count--;
	if (window->cursor > 0)
		window->cursor--;
	return front;
}

/* Give both places another capacity, at least count; what other holds is lost. */
extern void qh_window_resize(QhWindow *window, const QhAlloc *alloc, size_t capacity);
/* Put the entries at the front of their place. */
extern void qh_window_slide(QhWindow *window);

/* How many of the first n entries are at least as near as the one given; without branches. */
static inline size_t
qh_upper_bound(const QhEntry *entries, size_t n, QhEntry entry)
{
	QhEntry		last = entry | QH_ENTRY_LAST;
	size_t		lo = 0;

	while (n > 1)
	{
		size_t		half = n / 2;

		lo += entries[lo + half - 1] <= last ? half : 0;
		n -= half;
	}
	return lo + (n == 1 && entries[lo] <= last);
}

/* Copy n entries, and what follows them up to a multiple of QH_COPIED. */
static inline void
qh_copy_entries(QhEntry *to, const QhEntry *from, size_t n)
{
	for (size_t i = 0; i < n; i += QH_COPIED)
		memcpy(to + i, from + i, QH_COPIED * sizeof(QhEntry));
}

/*
 * Write the window with n sorted entries merged into it to its other place.  The places of all are
 * looked up first, for look-ups need not wait for each other.  Then the window is copied piece by
 * piece, from the near end, in units of QH_COPIED: a few entries are moved faster so than their
 * number is found out.  So up to QH_COPIED - 1 entries behind the last are read and written.
 */
static inline void
qh_window_interleave(const QhWindow *window, const QhEntry *entries, size_t n, size_t *places)
{
	const QhEntry *in = window->entries + window->head;
	QhEntry    *out = window->other;
	size_t		done = 0;

	QV_ASSERT(window->head + window->count <= window->capacity);
	QV_ASSERT(window->count + n <= window->capacity);
	for (size_t j = 0; j < n; j++)
		places[j] = qh_upper_bound(in, window->count, entries[j]);
	for (size_t j = 0; j < n; j++)
	{
		qh_copy_entries(out + done + j, in + done, places[j] - done);
		done = places[j];
		out[done + j] = entries[j];
	}
	qh_copy_entries(out + done + n, in + done, window->count - done);
}

/*
 * Merge n > 0 sorted entries into the window and cut it to size again.  There must be room for
 * them, and in the overflow for as many as are turned out; overflow NULL: those are dropped.
 * places is scratch for n numbers.
 */
static inline void
qh_window_merge(QhWindow *window, QhOverflow *overflow, const QhEntry *entries, size_t n, size_t *places)
{
	size_t		total = window->count + n;
	QhEntry    *merged = window->other;

	qh_window_interleave(window, entries, n, places);
	window->other = window->entries;
	window->entries = merged;
	window->head = 0;

	if (places[0] < window->cursor)
		window->cursor = places[0];
	if (total > window->size)
	{
		if (overflow != NULL)
			for (size_t i = window->size; i < total; i++)
				qh_overflow_add(overflow, merged[i]);
		total = window->size;
	}
	window->count = total;
	if (window->cursor > total)
		window->cursor = total;
}

#endif							/* QH_WINDOW_H */
