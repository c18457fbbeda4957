/*
 * order.c
 *		Sorting and partial sorting of (distance, node) keys.
 *
 * Knows nothing of graphs.  Keys are all but distinct (ties of the distance
 * are broken by a hash), so plain quicksort and quickselect with a median of
 * three need no defence against runs of equal keys beyond stopping on them.
 * README.md, "Ties".
 */
#include "graph/order.h"

/* Below this insertion sort is faster; chosen by hand, flat from 8 to 32. */
#define INSERTION_MAX 16

static void
insertion_sort(uint64_t *keys, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
	{
		uint64_t	key = keys[i];
		uint32_t	j = i;

		for (; j > 0 && keys[j - 1] > key; j--)
			keys[j] = keys[j - 1];
		keys[j] = key;
	}
}

/* Hoare's partition: afterwards [0, result) <= [result, n), and 0 < result < n.  Requires n >= 3. */
static uint32_t
split(uint64_t *keys, uint32_t n)
{
	uint64_t	a = keys[0];
	uint64_t	b = keys[n / 2];
	uint64_t	c = keys[n - 1];
	uint64_t	lo = a < b ? a : b;
	uint64_t	hi = a < b ? b : a;
	uint64_t	pivot = c < lo ? lo : (c > hi ? hi : c);
	uint32_t	i = 0;
	uint32_t	j = n - 1;

	for (;;)
	{
		while (keys[i] < pivot)
			i++;
		while (keys[j] > pivot)
			j--;
		if (i >= j)
			break;
		a = keys[i];
		keys[i++] = keys[j];
		keys[j--] = a;
	}
	/* i == j rests on the pivot itself, which belongs to either side */
	if (i == 0)
		return 1;
	return i < n ? i : n - 1;
}

void
qh_keys_sort(uint64_t *keys, uint32_t n)
{
	while (n > INSERTION_MAX)
	{
		uint32_t	left = split(keys, n);

		/* recurse into the smaller part: the stack stays logarithmic */
		if (left < n - left)
		{
			qh_keys_sort(keys, left);
			keys += left;
			n -= left;
		}
		else
		{
			qh_keys_sort(keys + left, n - left);
			n = left;
		}
	}
	insertion_sort(keys, n);
}

void
qh_keys_partition(uint64_t *keys, uint32_t n, uint32_t k)
{
	while (n > INSERTION_MAX)
	{
		uint32_t	left;

		if (k == 0 || k == n)
			return;
		left = split(keys, n);
		if (k >= left)
		{
			keys += left;
			n -= left;
			k -= left;
		}
		else
			n = left;
	}
	insertion_sort(keys, n);
}
