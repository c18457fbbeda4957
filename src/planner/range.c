/*
 * range.c
 *		Ranges of distances: made by a comparison, combined, and computed back through +, - and *.
 *
 * Must not know expressions.  README.md, section "Bounds of the distance".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/stratnum.h"
#include "planner/range.h"

/* Errors of a computation in double precision, relative, times eight to be on the safe side. */
#define ROUNDING		(8 * DBL_EPSILON)

const QhRange qh_range_anything = {.nan = true};
const QhRange qh_range_nothing = {.empty = true};

static void
set_lower(QhRange *range, double lower, bool open)
{
	range->has_lower = true;
	range->lower = lower;
	range->lower_open = open;
}

static void
set_upper(QhRange *range, double upper, bool open)
{
	range->has_upper = true;
	range->upper = upper;
	range->upper_open = open;
}

/* Does nothing lie between the bounds? */
static void
note_empty(QhRange *range)
{
	if (range->has_lower && range->has_upper &&
		(range->lower > range->upper ||
		 (range->lower == range->upper && (range->lower_open || range->upper_open))))
		range->empty = true;
}

QhRange
qh_range_compared(int strategy, double value)
{
	QhRange		range = {0};
	bool		is_nan = isnan(value);
	bool		open = strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber;

	if (strategy >= BTEqualStrategyNumber)
	{
		range.nan = is_nan ? !open : strategy != BTEqualStrategyNumber;
		if (is_nan)
			range.empty = true;
		else
			set_lower(&range, value, open);
	}
	if (strategy <= BTEqualStrategyNumber && !is_nan)
		set_upper(&range, value, open);
	if (strategy == BTLessEqualStrategyNumber && is_nan)
		range.nan = true;
	return range;
}

QhRange
qh_range_and(QhRange a, QhRange b)
{
	a.empty |= b.empty;
	a.nan &= b.nan;
	if (b.has_lower && (!a.has_lower || b.lower > a.lower || (b.lower == a.lower && b.lower_open)))
		set_lower(&a, b.lower, b.lower_open);
	if (b.has_upper && (!a.has_upper || b.upper < a.upper || (b.upper == a.upper && b.upper_open)))
		set_upper(&a, b.upper, b.upper_open);
	note_empty(&a);
	return a;
}

QhRange
qh_range_or(QhRange a, QhRange b)
{
	bool		nan = a.nan || b.nan;

	if (a.empty || b.empty)
	{
		QhRange		other = a.empty ? b : a;

		other.nan = nan;
		return other;
	}
	a.nan = nan;
	if (!b.has_lower)
		a.has_lower = false;
	else if (a.has_lower && (b.lower < a.lower || (b.lower == a.lower && !b.lower_open)))
		set_lower(&a, b.lower, b.lower_open);
	if (!b.has_upper)
		a.has_upper = false;
	else if (a.has_upper && (b.upper > a.upper || (b.upper == a.upper && !b.upper_open)))
		set_upper(&a, b.upper, b.upper_open);
	return a;
}

QhRange
qh_range_negated(QhRange range)
{
	QhRange		out = range;

	out.has_lower = out.has_upper = false;
	if (range.has_upper)
		set_lower(&out, -range.upper, range.upper_open);
	if (range.has_lower)
		set_upper(&out, -range.lower, range.lower_open);
	return out;
}

/*
 * Move the bounds outward, by the errors that they may have.  One that is not finite is dropped.
 */
static QhRange
widened(QhRange range, double lower_error, double upper_error)
{
	if (range.has_lower)
		set_lower(&range, range.lower - lower_error, false);
	if (range.has_upper)
		set_upper(&range, range.upper + upper_error, false);
	range.has_lower &= isfinite(range.lower) != 0;
	range.has_upper &= isfinite(range.upper) != 0;
	return range;
}

QhRange
qh_range_moved(QhRange range, double operand)
{
	double		lower = range.lower;
	double		upper = range.upper;

	range.lower -= operand;
	range.upper -= operand;
	return widened(range, ROUNDING * (fabs(lower) + fabs(operand)) + DBL_MIN,
				   ROUNDING * (fabs(upper) + fabs(operand)) + DBL_MIN);
}

QhRange
qh_range_divided(QhRange range, double operand)
{
	double		least = DBL_MIN + DBL_MIN / operand;

	range.lower /= operand;
	range.upper /= operand;
	return widened(range, ROUNDING * fabs(range.lower) + least, ROUNDING * fabs(range.upper) + least);
}
