/*
 * filter_test.c
 *		Conditions on filter columns, compiled into tests of keys.
 *
 * Must not know where keys come from.  README.md, section "Conditions".
 */
#include "postgres.h"

#include "column/filter_test.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/filter.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * Ranges that a page of keys is compared with one after the other.  Of more the keys between the
 * ends are looked up one by one.  Chosen by hand.
 */
#define MOST_COMPARED		32

/* No page has as many keys as bytes: words of their bitmap. */
#define MOST_WORDS			(BLCKSZ / 64)

static int64
least_key(const QhKeyTest *column)
{
	return PG_INT64_MIN >> (64 - 8 * column->type->nbytes);
}

static int64
greatest_key(const QhKeyTest *column)
{
	return PG_INT64_MAX >> (64 - 8 * column->type->nbytes);
}

void
qh_filter_test_begin(QhFilterTest *test)
{
	memset(test, 0, sizeof(*test));
	test->cxt = CurrentMemoryContext;
}

int
qh_filter_test_column(QhFilterTest *test, const QhFilterType *type, Oid collation)
{
	QhKeyTest  *column = &test->columns[test->ncolumns];
	MemoryContext old = MemoryContextSwitchTo(test->cxt);

	if (test->ncolumns >= QH_MAX_FILTERS)
		elog(ERROR, "a qhnsw index has more than %d filter columns", QH_MAX_FILTERS);
	column->type = type;
	column->collation = collation;
	column->may = column->sure = qh_key_set_range(least_key(column), greatest_key(column));
	MemoryContextSwitchTo(old);
	return test->ncolumns++;
}

/* ---- compiling ---- */

/* Another condition on the column: its keys must be in both. */
static void
restrict_to(QhKeyTest *column, QhKeySet may, QhKeySet sure)
{
	column->may = qh_key_set_intersect(&column->may, &may);
	column->sure = qh_key_set_intersect(&column->sure, &sure);
}

static void
add_range(QhKeyRange *ranges, int *n, int64 low, int64 high)
{
	if (low <= high)
		ranges[(*n)++] = (QhKeyRange) {low, high};
}

/* Ranges of keys of values that an operator may let pass, and of those that it surely does. */
typedef struct Passing
{
	QhKeyRange *may;
	QhKeyRange *sure;
	int			nmay;
	int			nsure;
} Passing;

static void
pass_below(Passing *out, int64 least, int64 end, bool certain)
{
	/* behind the least key there may be none less */
	if (end < least)
		return;
	add_range(certain ? out->sure : out->may, certain ? &out->nsure : &out->nmay, least, end);
}

static inline int64
before(int64 key, bool *none)
{
	*none = key == PG_INT64_MIN;
	return *none ? key : key - 1;
}

static inline int64
behind(int64 key, bool *none)
{
	*none = key == PG_INT64_MAX;
	return *none ? key : key + 1;
}

/* Add what lies on the operator's side of a place. */
static void
add_passing(Passing *out, const QhKeyTest *column, StrategyNumber strategy, const QhFilterPlace *place)
{
	int64		least = least_key(column);
	int64		greatest = greatest_key(column);
	bool		nothing_below;
	bool		nothing_above;
	int64		below = before(place->low, &nothing_below);
	int64		above = behind(place->high, &nothing_above);
	int64		low = Max(place->low, least);
	int64		high = Min(place->high, greatest);
	bool		with_equal = strategy == BTLessEqualStrategyNumber || strategy == BTGreaterEqualStrategyNumber;

	switch (strategy)
	{
		case BTLessStrategyNumber:
		case BTLessEqualStrategyNumber:
			if (!nothing_below)
			{
				pass_below(out, least, Min(below, greatest), false);
				pass_below(out, least, Min(below, greatest), true);
			}
			break;
		case BTGreaterStrategyNumber:
		case BTGreaterEqualStrategyNumber:
			if (!nothing_above)
			{
				add_range(out->may, &out->nmay, Max(above, least), greatest);
				add_range(out->sure, &out->nsure, Max(above, least), greatest);
			}
			break;
		default:
			with_equal = true;
			break;
	}
	/* equal values, or nobody knows */
	if (with_equal || !place->exact)
		add_range(out->may, &out->nmay, low, high);
	if (with_equal && place->exact)
		add_range(out->sure, &out->nsure, low, high);
}

/* Can keys of the column's kind decide conditions of this strategy? */
static bool
strategy_is_known(const QhKeyTest *column, StrategyNumber strategy)
{
	switch (column->type->kind)
	{
		case QH_FILTER_EXACT:
		case QH_FILTER_BOUNDING:
			return strategy >= BTLessStrategyNumber && strategy <= BTGreaterStrategyNumber;
		case QH_FILTER_UNORDERED:
		case QH_FILTER_HASHED:
			return strategy == BTEqualStrategyNumber;
		case QH_FILTER_SIGNATURE:
			return strategy == BTEqualStrategyNumber ||
				(strategy >= QH_FILTER_OVERLAPS && strategy <= QH_FILTER_CONTAINED);
	}
	return false;
}

/* A row whose value is NULL does not pass. */
static QhKeyTest *
want_value(QhFilterTest *test, int column)
{
	QhKeyTest  *tested = &test->columns[column];

	Assert(column < test->ncolumns);
	tested->tested = true;
	tested->wants_value = true;
	return tested;
}

void
qh_filter_test_add_doubt(QhFilterTest *test, int column)
{
	MemoryContext old = MemoryContextSwitchTo(test->cxt);
	QhKeyTest  *tested = want_value(test, column);

	restrict_to(tested, tested->may, qh_key_set_range(0, -1));
	MemoryContextSwitchTo(old);
}

static void
add_any_bits(QhKeyTest *column, uint64 *masks, int n)
{
	column->any = column->any == NULL ? palloc(sizeof(QhAnyBits)) :
		repalloc(column->any, sizeof(QhAnyBits) * (Size) (column->nany + 1));
	column->any[column->nany++] = (QhAnyBits) {n, masks};
}

/* A condition on an array; nothing but the array itself tells more than that it may pass. */
static void
add_array_condition(QhFilterTest *test, QhKeyTest *column, StrategyNumber strategy, Datum value)
{
	QhArrayBits bits;
	uint64	   *all;

	qh_array_bits(value, column->collation, &bits);
	switch (strategy)
	{
		case QH_FILTER_OVERLAPS:
			if (bits.nelements == 0)
				test->never = true;
			add_any_bits(column, bits.bits, bits.nelements);
			break;
		case QH_FILTER_CONTAINS:
			if (bits.has_null)
				test->never = true;
			else if (bits.nelements == 0)
				return;			/* every array contains none */
			all = palloc0(sizeof(uint64));
			for (int i = 0; i < bits.nelements; i++)
				*all |= bits.bits[i];
			add_any_bits(column, all, 1);
			break;
		case QH_FILTER_CONTAINED:
			column->outside |= ~bits.all;
			break;
		default:
			restrict_to(column, qh_key_set_range((int64) bits.all, (int64) bits.all), column->sure);
			break;
	}
	restrict_to(column, column->may, qh_key_set_range(0, -1));
}

/* Add the values of an array, any of which lets a row pass, or a single value. */
static void
add_values(QhFilterTest *test, int column_no, StrategyNumber strategy, Oid type, const Datum *values, int n)
{
	QhKeyTest  *column = want_value(test, column_no);
	Passing		passing = {0};

	if (n == 0)
	{
		test->never = true;
		return;
	}
	if (!strategy_is_known(column, strategy) || (column->type->kind == QH_FILTER_SIGNATURE && n > 1))
	{
		qh_filter_test_add_doubt(test, column_no);
		return;
	}
	if (column->type->kind == QH_FILTER_SIGNATURE)
	{
		add_array_condition(test, column, strategy, values[0]);
		return;
	}
	passing.may = palloc(sizeof(QhKeyRange) * 2 * (Size) n);
	passing.sure = palloc(sizeof(QhKeyRange) * 2 * (Size) n);
	for (int i = 0; i < n; i++)
	{
		QhFilterPlace place;

		CHECK_FOR_INTERRUPTS();
		qh_filter_place(column->type, values[i], type, column->collation, &place);
		add_passing(&passing, column, strategy, &place);
	}
	Assert(passing.nmay <= 2 * n && passing.nsure <= 2 * n);
	restrict_to(column, qh_key_set_union(passing.may, passing.nmay), qh_key_set_union(passing.sure, passing.nsure));
}

void
qh_filter_test_add(QhFilterTest *test, int column, StrategyNumber strategy, Oid type, Datum value, bool isnull)
{
	MemoryContext old = MemoryContextSwitchTo(test->cxt);

	add_values(test, column, strategy, type, &value, isnull ? 0 : 1);
	MemoryContextSwitchTo(old);
}

void
qh_filter_test_add_any(QhFilterTest *test, int column, StrategyNumber strategy, Oid type, Datum array, bool isnull)
{
	MemoryContext old = MemoryContextSwitchTo(test->cxt);
	ArrayType  *values;
	Datum	   *elements = NULL;
	bool	   *nulls;
	int16		length;
	bool		by_value;
	char		alignment;
	int			n = 0;
	int			nvalues = 0;

	if (!isnull)
	{
		values = DatumGetArrayTypeP(array);
		get_typlenbyvalalign(ARR_ELEMTYPE(values), &length, &by_value, &alignment);
		deconstruct_array(values, ARR_ELEMTYPE(values), length, by_value, alignment, &elements, &nulls, &n);
		/* NULL lets nothing pass, and the others may */
		for (int i = 0; i < n; i++)
		{
			if (!nulls[i])
				elements[nvalues++] = elements[i];
		}
	}
	add_values(test, column, strategy, type, elements, nvalues);
	MemoryContextSwitchTo(old);
}

void
qh_filter_test_add_null(QhFilterTest *test, int column, bool wants_null)
{
	QhKeyTest  *tested = &test->columns[column];

	Assert(column < test->ncolumns);
	tested->tested = true;
	if (wants_null)
		tested->wants_null = true;
	else
		tested->wants_value = true;
}

void
qh_filter_test_end(QhFilterTest *test)
{
	test->decided = true;
	test->empty = !test->never;
	for (int i = 0; i < test->ncolumns; i++)
	{
		const QhKeyTest *column = &test->columns[i];

		if (!column->tested)
			continue;
		test->empty = false;
		if (column->wants_null && column->wants_value)
			test->never = true;
		if (column->wants_value && column->may.nranges == 0)
			test->never = true;
		if (column->wants_value && !qh_key_sets_equal(&column->may, &column->sure))
			test->decided = false;
	}
}

/* ---- testing a row ---- */

static bool
signature_fits(const QhKeyTest *column, uint64 signature)
{
	if (signature & column->outside)
		return false;
	for (int i = 0; i < column->nany; i++)
	{
		const QhAnyBits *any = &column->any[i];
		bool		covered = false;

		for (int j = 0; j < any->n && !covered; j++)
			covered = (signature & any->masks[j]) == any->masks[j];
		if (!covered)
			return false;
	}
	return true;
}

QhVerdict
qh_filter_test_row(const QhFilterTest *test, const int64 *keys, uint32 nulls)
{
	QhVerdict	verdict = QH_YES;

	if (test->never)
		return QH_NO;
	for (int i = 0; i < test->ncolumns; i++)
	{
		const QhKeyTest *column = &test->columns[i];

		if (!column->tested)
			continue;
		if (nulls & (1 << i))
		{
			if (column->wants_value)
				return QH_NO;
			continue;
		}
		if (column->wants_null || !qh_key_set_has(&column->may, keys[i]) ||
			!signature_fits(column, (uint64) keys[i]))
			return QH_NO;
		if (!qh_key_set_has(&column->sure, keys[i]))
			verdict = QH_MAYBE;
	}
	return verdict;
}

/* ---- testing a page ---- */

/* Of the rows in bits, whose keys lie between the ends of many ranges, drop those in none. */
static void
look_up(const QhKeyTest *column, const void *keys, uint32 n, uint64 *bits)
{
	for (uint32 i = 0; i < n; i++)
	{
		if (qh_bit(bits, i) && !qh_key_set_has(&column->may, qh_key_at(keys, column->type->nbytes, i)))
			bits[i / 64] &= ~(UINT64CONST(1) << i % 64);
	}
}

/* The rows whose keys are in the set; false if the page has none. */
static bool
keys_in_set(const QhKeyTest *column, const QhKeyArray *array, uint32 n, uint64 *bits)
{
	const QvKernels *kernels = qv_kernels();
	int			nbytes = (int) column->type->nbytes;
	int			first = qh_key_set_find(&column->may, array->least);
	int			end = first;

	while (end < column->may.nranges && column->may.ranges[end].low <= array->greatest)
		end++;
	if (first == end)
		return false;
	memset(bits, 0, sizeof(uint64) * QH_BITMAP_WORDS(n));
	if (end - first > MOST_COMPARED)
	{
		kernels->between_keys(array->keys, nbytes, n, column->may.ranges[first].low, column->may.ranges[end - 1].high, bits);
		look_up(column, array->keys, n, bits);
		return true;
	}
	for (int i = first; i < end; i++)
		kernels->between_keys(array->keys, nbytes, n, column->may.ranges[i].low, column->may.ranges[i].high, bits);
	return true;
}

static void
keep_common(uint64 *bits, const uint64 *others, uint32 n)
{
	for (uint32 i = 0; i < QH_BITMAP_WORDS(n); i++)
		bits[i] &= others[i];
}

/* Of the rows in bits, keep those whose signatures fit. */
static void
keep_fitting(const QhKeyTest *column, const QhKeyArray *array, uint32 n, uint64 *bits)
{
	const QvKernels *kernels = qv_kernels();
	uint64		fitting[MOST_WORDS];

	if (column->outside != 0)
	{
		memset(fitting, 0, sizeof(uint64) * QH_BITMAP_WORDS(n));
		kernels->masked_u64(array->keys, n, column->outside, 0, fitting);
		keep_common(bits, fitting, n);
	}
	for (int i = 0; i < column->nany; i++)
	{
		memset(fitting, 0, sizeof(uint64) * QH_BITMAP_WORDS(n));
		for (int j = 0; j < column->any[i].n; j++)
			kernels->masked_u64(array->keys, n, column->any[i].masks[j], column->any[i].masks[j], fitting);
		keep_common(bits, fitting, n);
	}
}

/* The rows that the conditions on one column do not drop; false if they drop all. */
static bool
test_column(const QhKeyTest *column, const QhKeyArray *array, uint32 n, uint64 *bits)
{
	if (column->wants_null)
	{
		if (array->nulls == NULL)
			return false;
		memcpy(bits, array->nulls, sizeof(uint64) * QH_BITMAP_WORDS(n));
		return true;
	}
	if (!keys_in_set(column, array, n, bits))
		return false;
	if (array->nulls != NULL)
	{
		for (uint32 i = 0; i < QH_BITMAP_WORDS(n); i++)
			bits[i] &= ~array->nulls[i];
	}
	keep_fitting(column, array, n, bits);
	return true;
}

bool
qh_filter_test_page(const QhFilterTest *test, const QhKeyArray *columns, uint32 n, uint64 *pass)
{
	uint64		all[MOST_WORDS];
	uint64		bits[MOST_WORDS];

	Assert(QH_BITMAP_WORDS(n) <= MOST_WORDS);
	if (test->never)
		return false;
	memset(all, 0xFF, sizeof(uint64) * QH_BITMAP_WORDS(n));
	if (n % 64 != 0)
		all[n / 64] = (UINT64CONST(1) << n % 64) - 1;
	for (int i = 0; i < test->ncolumns; i++)
	{
		if (!test->columns[i].tested)
			continue;
		if (!test_column(&test->columns[i], &columns[i], n, bits))
			return false;
		keep_common(all, bits, n);
	}
	memcpy(pass, all, sizeof(uint64) * QH_BITMAP_WORDS(n));
	return true;
}
