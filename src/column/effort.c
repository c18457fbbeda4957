/*
 * effort.c
 *		How much a scan does: read off the curve of an index for the recall that is wanted.
 *
 * Must not know how the curve was measured.  README.md, section "Effort".
 */
#include "postgres.h"

#include <math.h>

#include "column/effort.h"
#include "column/options.h"

/* Measured recall is that near to the target where it was reached. */
#define REACHED_WITHIN	0.005

/* Beyond what was measured: standard errors of more doubt where half as many rows may be missed. */
#define DOUBT_PER_HALF	0.5

/* x at place of the way from a to b, by ratios. */
static double
between(double a, double b, double place)
{
	return exp(log(a) + place * (log(b) - log(a)));
}

static bool
is_reached(const QhCurvePoint *point)
{
	return point->recall >= point->target - REACHED_WITHIN;
}

static QhEffort
most_of(QhEffort a, QhEffort b)
{
	return (QhEffort) {Max(a.ef, b.ef), Max(a.oversample, b.oversample), Max(a.doubt, b.doubt)};
}

/* The effort of a point; no less than without a curve where it does not reach its target. */
static QhEffort
effort_of(const QhCurvePoint *point, double floor)
{
	QhEffort	effort = {(int) point->ef, floor, Min(Max(point->doubt, QH_MIN_DOUBT), QH_MAX_DOUBT)};

	if (!is_reached(point))
		effort = most_of(effort, (QhEffort) {QH_DEFAULT_EF_SEARCH, floor, QH_DEFAULT_DOUBT});
	return effort;
}

/*
 * Beyond what was measured, for want of time: as many times the effort as fewer rows may be
 * missed, which is more than it takes.
 */
static QhEffort
beyond(const QhCurvePoint *last, double target, QhEffort effort)
{
	double		times = (1 - last->target) / (1 - target);

	effort = most_of(effort, (QhEffort) {QH_DEFAULT_EF_SEARCH, effort.oversample, QH_DEFAULT_DOUBT});
	return (QhEffort) {
		(int) Min(rint(effort.ef * times), QH_MAX_EF_SEARCH),
		effort.oversample,
		Min(effort.doubt + DOUBT_PER_HALF * log2(times), QH_MAX_DOUBT)
	};
}

QhEffort
qh_effort_at(const QhCurveData *curve, double target, double floor)
{
	const QhCurvePoint *above = curve->points;
	const QhCurvePoint *last = curve->points + curve->npoints - 1;
	QhEffort	low;
	QhEffort	high;
	double		place;

	/* a target is a float4 in the curve: .95 is .95 there, too */
	while (above < last && above->target < (float4) target)
		above++;
	high = effort_of(above, floor);
	if (above->target < (float4) target && is_reached(above))
		return beyond(above, target, high);
	if (above == curve->points || above->target <= (float4) target)
		return high;
	low = effort_of(above - 1, floor);
	place = (log(1 - above[-1].target) - log(1 - target)) / (log(1 - above[-1].target) - log(1 - above->target));
	return (QhEffort) {
		(int) rint(between(low.ef, high.ef, place)),
		floor,
		low.doubt + place * (high.doubt - low.doubt)
	};
}

QhEffort
qh_effort_default(Relation index, int code_nbits)
{
	return (QhEffort) {QH_DEFAULT_EF_SEARCH, qh_option_oversample(index, code_nbits), QH_DEFAULT_DOUBT};
}

QhEffort
qh_effort(Relation index, const QhCurveData *curve, int code_nbits)
{
	double		target = qh_option_target_recall(index);
	QhEffort	effort = qh_effort_default(index, code_nbits);

	if (qh_option_ef_search(index) > 0)
		effort.ef = qh_option_ef_search(index);
	else if (curve->npoints > 0 && target > 0)
		effort = qh_effort_at(curve, target, qh_option_oversample_is_set(index) ? effort.oversample : 1);
	else if (curve->npoints > 0)
	{
		/* who asks for nothing gets no less than without a curve */
		target = curve->default_target > 0 ? curve->default_target : QH_DEFAULT_TARGET_RECALL;
		effort = most_of(effort, qh_effort_at(curve, target, 1));
	}
	return effort;
}
