/*
 * key_set.h
 *		Sets of keys of a filter column, as ranges.
 */
#ifndef QH_KEY_SET_H
#define QH_KEY_SET_H

#include "postgres.h"

typedef struct QhKeyRange
{
	int64		low;
	int64		high;			/* belongs to it; not less than low */
} QhKeyRange;

/* Ranges in order; between any two lies a key that belongs to neither. */
typedef struct QhKeySet
{
	int			nranges;
	QhKeyRange *ranges;
} QhKeySet;

/* The keys from low to high: none if high is less. */
extern QhKeySet qh_key_set_range(int64 low, int64 high);

/* The set of keys of ranges in any order, which may overlap.  The array becomes the set's. */
extern QhKeySet qh_key_set_union(QhKeyRange *ranges, int nranges);

extern QhKeySet qh_key_set_intersect(const QhKeySet *a, const QhKeySet *b);
extern bool qh_key_sets_equal(const QhKeySet *a, const QhKeySet *b);

/* The first range that does not end below the key; nranges if there is none. */
static inline int
qh_key_set_find(const QhKeySet *set, int64 key)
{
	int			low = 0;
	int			high = set->nranges;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (set->ranges[middle].high < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline bool
qh_key_set_has(const QhKeySet *set, int64 key)
{
	int			at = qh_key_set_find(set, key);

	return at < set->nranges && set->ranges[at].low <= key;
}

#endif							/* QH_KEY_SET_H */
