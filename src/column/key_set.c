/*
 * key_set.c
 *		Sets of keys of a filter column, as ranges.
 *
 * Sets live in the current memory context.  Must not know what keys mean.
 */
#include "postgres.h"

#include "column/key_set.h"
#include "compat.h"

#define ST_SORT			sort_ranges
#define ST_ELEMENT_TYPE QhKeyRange
#define ST_COMPARE(a, b)	(((a)->low > (b)->low) - ((a)->low < (b)->low))
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

QhKeySet
qh_key_set_range(int64 low, int64 high)
{
	QhKeySet	set = {0, palloc(sizeof(QhKeyRange))};

	if (low <= high)
		set.ranges[set.nranges++] = (QhKeyRange) {low, high};
	return set;
}

QhKeySet
qh_key_set_union(QhKeyRange *ranges, int nranges)
{
	QhKeySet	set = {0, ranges};

	sort_ranges(ranges, nranges);
	for (int i = 0; i < nranges; i++)
	{
		QhKeyRange *last = set.nranges > 0 ? &ranges[set.nranges - 1] : NULL;

		/* they touch: written so that no sum leaves its type */
		if (last != NULL && (ranges[i].low <= last->high || ranges[i].low - 1 == last->high))
			last->high = Max(last->high, ranges[i].high);
		else
			ranges[set.nranges++] = ranges[i];
	}
	return set;
}

QhKeySet
qh_key_set_intersect(const QhKeySet *a, const QhKeySet *b)
{
	QhKeySet	set = {0, palloc(sizeof(QhKeyRange) * (Size) (a->nranges + b->nranges + 1))};

	for (int i = 0, j = 0; i < a->nranges && j < b->nranges;)
	{
		int64		low = Max(a->ranges[i].low, b->ranges[j].low);
		int64		high = Min(a->ranges[i].high, b->ranges[j].high);

		if (low <= high)
			set.ranges[set.nranges++] = (QhKeyRange) {low, high};
		if (a->ranges[i].high < b->ranges[j].high)
			i++;
		else
			j++;
	}
	Assert(set.nranges <= a->nranges + b->nranges);
	return set;
}

bool
qh_key_sets_equal(const QhKeySet *a, const QhKeySet *b)
{
	return a->nranges == b->nranges &&
		memcmp(a->ranges, b->ranges, sizeof(QhKeyRange) * (Size) a->nranges) == 0;
}
