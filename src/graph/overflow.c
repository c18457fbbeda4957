/*
 * overflow.c
 *		Nodes that a search has found and for which its window has no place.
 *
 * A binary heap of entries that is made when it is needed.  Must not know the window.
 * README.md, "Search".
 */
#include "graph/overflow.h"

void
qh_overflow_resize(QhOverflow *overflow, const QhAlloc *alloc, size_t capacity)
{
	QhEntry    *entries = qh_take(alloc, qh_overflow_nbytes(capacity));

	QV_ASSERT(overflow->n <= capacity);
	memcpy(entries, overflow->entries, overflow->n * sizeof(QhEntry));
	qh_give(alloc, overflow->entries);
	overflow->entries = entries;
	overflow->capacity = capacity;
}

static void
heap_up(QhEntry *heap, size_t i)
{
	QhEntry		entry = heap[i];

	while (i > 0 && qh_entry_is_nearer(entry, heap[(i - 1) / 2]))
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = entry;
}

static void
heap_down(QhEntry *heap, size_t n, size_t i)
{
	QhEntry		entry = heap[i];

	for (;;)
	{
		size_t		child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && qh_entry_is_nearer(heap[child + 1], heap[child]))
			child++;
		if (!qh_entry_is_nearer(heap[child], entry))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = entry;
}

/* Take what was appended into the heap: one by one, or all anew where that is less work. */
static void
make_heap(QhOverflow *overflow)
{
	size_t		n = overflow->n;

	if (n - overflow->nheap > overflow->nheap / 8)
		for (size_t i = n / 2; i-- > 0;)
			heap_down(overflow->entries, n, i);
	else
		for (size_t i = overflow->nheap; i < n; i++)
			heap_up(overflow->entries, i);
	overflow->nheap = n;
}

size_t
qh_overflow_take(QhOverflow *overflow, size_t n, QhEntry *out)
{
	QhEntry    *heap = overflow->entries;

	make_heap(overflow);
	if (n > overflow->n)
		n = overflow->n;
	for (size_t i = 0; i < n; i++)
	{
		out[i] = heap[0];
		heap[0] = heap[--overflow->n];
		if (overflow->n > 0)
			heap_down(heap, overflow->n, 0);
	}
	overflow->nheap = overflow->n;
	return n;
}
