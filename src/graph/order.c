/*
 * order.c
 *		Sorting and partial sorting of (distance, node) keys.
 *
 * Knows nothing of graphs.  Keys are distinct (ties of the distance are broken
 * by a hash from which the node can be had back), so plain quicksort and
 * quickselect with a median of three need no defence against runs of equal keys.
 * README.md, "Ties".
 */
#include "graph/order.h"
#include "kernel/kernel.h"

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

/* Make the median of the first, the middle and the last key the last. */
static void
take_median(uint64_t *keys, uint32_t n)
{
	uint64_t	a = keys[0];
	uint64_t	b = keys[n / 2];
	uint64_t	c = keys[n - 1];
	uint32_t	at = n - 1;

	if ((a < b) == (a > c))
		at = 0;
	else if ((b < a) == (b > c))
		at = n / 2;
	c = keys[at];
	keys[at] = keys[n - 1];
	keys[n - 1] = c;
}

/*
 * Lomuto's partition: afterwards [0, result) <= [result, n), and 0 < result < n.  Requires n >= 3.  It moves more keys than Hoare's, but
 * has no branch that depends on them: every other one would be predicted wrongly.
 */
static uint32_t
split(uint64_t *keys, uint32_t n)
{
	uint32_t	last = n - 1;
	uint32_t	left = 0;
	uint64_t	pivot;

	take_median(keys, n);
	pivot = keys[last];
	for (uint32_t i = 0; i < last; i++)
	{
		uint64_t	key = keys[i];

		keys[i] = keys[left];
		keys[left] = key;
		left += key < pivot;
	}
	keys[last] = keys[left];
	keys[left] = pivot;
	return left > 0 ? left : 1;
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

/* More keys than this are sorted faster than by comparing each with each; chosen by hand. */
#define EACH_WITH_EACH_MAX	128

void
qh_keys_sort_into(const uint64_t *keys, uint32_t n, uint64_t *out)
{
	if (n <= EACH_WITH_EACH_MAX)
		qv_kernels()->sort_u64(keys, n, out);
	else
	{
		memcpy(out, keys, n * sizeof(uint64_t));
		qh_keys_sort(out, n);
	}
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
