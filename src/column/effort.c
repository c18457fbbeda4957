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

/* x at place of the way from a to b, by ratios. */
static double
between(double a, double b, double place)
{
	return exp(log(a) + place * (log(b) - log(a)));
}

/* Measured recall is that near to the target where it was reached. */
#define REACHED_WITHIN	0.005

static bool
is_reached(const QhCurvePoint *point)
{
	return point->recall >= point->target - REACHED_WITHIN;
}

/* The effort of a point; no less than without a curve where it does not reach its target. */
static QhEffort
effort_of(const QhCurvePoint *point, double own_oversample)
{
	QhEffort	effort = {(int) point->ef, point->oversample > 0 ? point->oversample : own_oversample};

	if (!is_reached(point))
	{
		effort.ef = Max(effort.ef, QH_DEFAULT_EF_SEARCH);
		effort.oversample = Max(effort.oversample, own_oversample);
	}
	return effort;
}

/*
 * Beyond what was measured, for want of time: as many times the effort as fewer rows may be
 * missed, which is more than it takes.
 */
static QhEffort
beyond(const QhCurvePoint *last, double target, QhEffort effort, double own_oversample)
{
	double		times = (1 - last->target) / (1 - target);

	return (QhEffort) {
		(int) Min(rint(Max(effort.ef, QH_DEFAULT_EF_SEARCH) * times), QH_MAX_EF_SEARCH),
		Min(Max(effort.oversample, own_oversample) * times, Max(own_oversample, 100))
	};
}

/*
 * Between two points effort grows as the share of rows missed falls, both by ratios.  Before
 * the first it is that of the first.
 */
static QhEffort
read_off(const QhCurveData *curve, double target, double own_oversample)
{
	const QhCurvePoint *above = curve->points;
	const QhCurvePoint *last = curve->points + curve->npoints - 1;
	QhEffort	low;
	QhEffort	high;
	double		place;

	/* a target is a float4 in the curve: .95 is .95 there, too */
	while (above < last && above->target < (float4) target)
		above++;
	high = effort_of(above, own_oversample);
	if (above->target < (float4) target && is_reached(above))
		return beyond(above, target, high, own_oversample);
	if (above == curve->points || above->target <= (float4) target)
		return high;
	low = effort_of(above - 1, own_oversample);
	place = (log(1 - above[-1].target) - log(1 - target)) / (log(1 - above[-1].target) - log(1 - above->target));
	return (QhEffort) {
		(int) rint(between(low.ef, high.ef, place)),
		between(low.oversample, high.oversample, place)
	};
}

QhEffort
qh_effort(Relation index, const QhCurveData *curve, int code_nbits)
{
	double		own_oversample = qh_option_oversample(index, code_nbits);
	double		target = qh_option_target_recall(index);
	QhEffort	effort = {QH_DEFAULT_EF_SEARCH, own_oversample};
	QhEffort	measured;

	if (qh_option_ef_search(index) > 0)
		effort.ef = qh_option_ef_search(index);
	else if (curve->npoints > 0)
	{
		measured = read_off(curve, target > 0 ? target : QH_DEFAULT_TARGET_RECALL, own_oversample);
		/* who asks for nothing gets no less than without a curve */
		if (target > 0 || measured.ef > effort.ef)
			effort.ef = measured.ef;
		if (!qh_option_oversample_is_set(index) && (target > 0 || measured.oversample > own_oversample))
			effort.oversample = measured.oversample;
	}
	return effort;
}

int
qh_effort_planned(Relation index)
{
	int			ef = qh_option_ef_search(index);

	return ef > 0 ? ef : QH_DEFAULT_EF_SEARCH;
}
