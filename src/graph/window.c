/*
 * window.c
 *		The memory of a search's window.
 *
 * Must not know how much memory a search may hold (search_memory.c).  README.md, "Room".
 */
#include "graph/window.h"

void
qh_window_slide(QhWindow *window)
{
	memmove(window->entries, window->entries + window->head, window->count * sizeof(QhEntry));
	window->head = 0;
}

/* The other place goes first, so that two places of either capacity are never held together. */
void
qh_window_resize(QhWindow *window, const QhAlloc *alloc, size_t capacity)
{
	QhEntry    *entries;

	QV_ASSERT(window->count <= capacity);
	qh_give(alloc, window->other);
	window->other = NULL;
	entries = qh_take(alloc, qh_window_nbytes(capacity));
	memcpy(entries, window->entries + window->head, window->count * sizeof(QhEntry));
	qh_give(alloc, window->entries);
	window->entries = entries;
	window->head = 0;
	window->other = qh_take(alloc, qh_window_nbytes(capacity));
	window->capacity = capacity;
}
