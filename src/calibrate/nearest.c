/*
 * nearest.c
 *		The k smallest of many distances.
 *
 * In the order of float8, which has NaN last.  Must not know what the distances are of.
 */
#include "postgres.h"

#include "calibrate/nearest.h"
#include "utils/float.h"

/* Put dist in the place of the largest of the heap, and the heap in order again. */
static void
replace_largest(double *heap, int n, double dist)
{
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child < n - 1 && float8_lt(heap[child], heap[child + 1]))
			child++;
		if (child >= n || !float8_lt(dist, heap[child]))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = dist;
}

void
qh_nearest_offer(double *heap, int *n, int k, double dist)
{
	if (*n < k)
	{
		int			i = (*n)++;

		for (; i > 0 && float8_lt(heap[(i - 1) / 2], dist); i = (i - 1) / 2)
			heap[i] = heap[(i - 1) / 2];
		heap[i] = dist;
	}
	else if (float8_lt(dist, heap[0]))
		replace_largest(heap, k, dist);
}
