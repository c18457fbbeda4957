/*
 * range.h
 *		Ranges of distances, as conditions on a distance make them.
 */
#ifndef QH_RANGE_H
#define QH_RANGE_H

#include "postgres.h"

/*
 * Distances that pass a condition.  Nothing outside passes; what lies within may be dropped too.
 * In PostgreSQL's order, in which NaN comes behind all others and equals itself: whether it
 * passes is told apart from the bounds, which are never NaN.
 */
typedef struct QhRange
{
	bool		has_lower;
	bool		has_upper;
	bool		lower_open;		/* the bound itself does not pass */
	bool		upper_open;
	bool		empty;			/* nothing passes but, perhaps, NaN */
	bool		nan;			/* NaN may pass */
	double		lower;
	double		upper;
} QhRange;

/* Everything passes; nothing does. */
extern const QhRange qh_range_anything;
extern const QhRange qh_range_nothing;

/* What passes "x (strategy) value"; strategies are those of a btree. */
extern QhRange qh_range_compared(int strategy, double value);
/* What passes both conditions, or one of them at least: the least range that holds it. */
extern QhRange qh_range_and(QhRange a, QhRange b);
extern QhRange qh_range_or(QhRange a, QhRange b);

/*
 * The x for which -x, x + operand and x * operand lie in the range; operand must be finite, and
 * positive in a product.  Bounds are moved outward by more than rounding can have done.
 */
extern QhRange qh_range_negated(QhRange range);
extern QhRange qh_range_moved(QhRange range, double operand);
extern QhRange qh_range_divided(QhRange range, double operand);

#endif							/* QH_RANGE_H */
