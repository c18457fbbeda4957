/*
 * ladder.c
 *		The least effort that reaches each target.
 *
 * Efforts stand in a grid: ef_search one way, oversample the other, each doubled from one to the
 * next.  They are measured from the cheapest on, and only beyond those that were worth their
 * cost.  Must not know how they are measured.  See README.md, section "Efforts".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "calibrate/measure.h"
#include "column/options.h"

/* ef_search of the first step. */
#define FIRST_EF	20
#define NSTEPS		9

/* oversample: the index's own, halved and doubled so many times at most; doc/decisions/0140. */
#define NHALVED		2
#define NDOUBLED	5
#define NCOLUMNS	(NHALVED + 1 + NDOUBLED)

/*
 * An effort is worth its cost if it misses less than this share of what every cheaper one misses;
 * doc/decisions/0140.
 */
#define WORTH		0.97

/*
 * An effort between two is measured until it finds what it should, within so much, or so many
 * times.
 */
#define TOLERANCE	0.004
#define MAX_REFINED	3

/* Slots for each of ef_search up to which a scan looks at all codes anyway (scan/source.c). */
#define FLAT_CODES_PER_EF	20

/*
 * All efforts together take so many times as long as the first, as a rule; queries that are left
 * at least where that is too long.  doc/decisions/0140.
 */
#define FORETOLD_EFFORTS	30
#define FEWEST_QUERIES		50

static const float4 targets[] = {0.90f, 0.95f, 0.98f, 0.99f, 0.999f};

StaticAssertDecl(lengthof(targets) <= QH_CURVE_MAX_POINTS, "points fit the metapage");

typedef struct Cell
{
	bool		known;
	QhProbe		probe;
} Cell;

typedef struct Ladder
{
	QhMeasure  *measure;
	double		oversample[NCOLUMNS];
	int			ncolumns;
	int			nsteps;
	Cell		cells[NCOLUMNS][NSTEPS];
	bool		over;			/* time is: no more is measured */
} Ladder;

/* One of its cells; column -1 = none. */
typedef struct Place
{
	int			column;
	int			step;
} Place;

/* An effort, and what it finds. */
typedef struct Point
{
	double		ef;
	double		oversample;
	QhProbe		probe;
} Point;

/* The effort for a target: between one that is too little and one that is enough. */
typedef struct Found
{
	Point		low;
	Point		high;
	bool		between;		/* high is more than it takes, and low is known */
	Point		at;
} Found;

static double
step_ef(int step)
{
	return FIRST_EF << step;
}

/* Columns of oversample; one where it is set, or codes decide by themselves. */
static void
set_columns(Ladder *ladder)
{
	QhMeasure  *measure = ladder->measure;
	Relation	index = measure->what->index;
	double		own = qh_option_oversample(index, measure->ix->meta.code_nbits);
	bool		fixed = qh_option_oversample_is_set(index) || measure->column->kind == QV_CODE_BITS;

	for (int i = -NHALVED; i <= NDOUBLED; i++)
	{
		double		oversample = Max(own * pow(2, i), 1);
		int			n = ladder->ncolumns;
		bool		differs = n == 0 || oversample > ladder->oversample[n - 1];

		if (fixed ? i == 0 : differs && (i <= 0 || oversample <= 100))
			ladder->oversample[ladder->ncolumns++] = oversample;
	}
}

/* As far as a scan walks the graph, and one step more. */
static void
set_steps(Ladder *ladder)
{
	uint64		nslots = ladder->measure->ix->nslots;

	ladder->nsteps = 1;
	while (ladder->nsteps < NSTEPS && FLAT_CODES_PER_EF * step_ef(ladder->nsteps - 1) < nslots)
		ladder->nsteps++;
}

/* ---- which effort to measure next ---- */

/* Of two that cost the same, the one with less of both comes first. */
static bool
is_cheaper(const Cell *a, const Cell *b)
{
	return a->probe.cost < b->probe.cost || (a->probe.cost == b->probe.cost && a < b);
}

/* Does a cheaper effort find as much, or hardly less? */
static bool
is_worthless(const Ladder *ladder, const Cell *cell)
{
	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int step = 0; step < ladder->nsteps; step++)
		{
			const Cell *other = &ladder->cells[i][step];

			if (other->known && is_cheaper(other, cell) &&
				WORTH * (1 - other->probe.recall) <= 1 - cell->probe.recall)
				return true;
		}
	}
	return false;
}

/*
 * What an effort that is not known costs at least: as much as the one that it would go on from.
 * DBL_MAX if there is none worth that.
 */
static double
least_cost(const Ladder *ladder, int i, int step)
{
	const Cell *before[] = {
		i > 0 ? &ladder->cells[i - 1][step] : NULL,
		step > 0 ? &ladder->cells[i][step - 1] : NULL
	};
	double		cost = i == 0 && step == 0 ? 0 : DBL_MAX;

	for (int j = 0; j < lengthof(before); j++)
	{
		if (before[j] != NULL && before[j]->known && !is_worthless(ladder, before[j]))
			cost = Min(cost, before[j]->probe.cost);
	}
	return cost;
}

/* The cheapest effort that is not known and costs less than that. */
static Place
find_cheapest(const Ladder *ladder, double less_than)
{
	Place		next = {-1};

	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int step = 0; step < ladder->nsteps; step++)
		{
			double		least = ladder->cells[i][step].known ? DBL_MAX : least_cost(ladder, i, step);

			if (least < less_than)
			{
				less_than = least;
				next = (Place) {i, step};
			}
		}
	}
	return next;
}

/* The effort that finds most, and of these the cheapest. */
static Place
find_most(const Ladder *ladder)
{
	Place		most = {-1};
	QhProbe		best = {-1, DBL_MAX};

	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int step = 0; step < ladder->nsteps; step++)
		{
			const QhProbe *probe = &ladder->cells[i][step].probe;

			if (ladder->cells[i][step].known &&
				(probe->recall > best.recall || (probe->recall == best.recall && probe->cost < best.cost)))
			{
				best = *probe;
				most = (Place) {i, step};
			}
		}
	}
	return most;
}

/* More of one or of both than what finds most, where that is not known yet. */
static Place
find_beyond_most(const Ladder *ladder)
{
	static const Place more[] = {{1, 0}, {0, 1}, {1, 1}};
	Place		most = find_most(ladder);

	for (int i = 0; i < lengthof(more) && most.column >= 0; i++)
	{
		Place		next = {most.column + more[i].column, most.step + more[i].step};

		if (next.column < ladder->ncolumns && next.step < ladder->nsteps &&
			!ladder->cells[next.column][next.step].known)
			return next;
	}
	return (Place) {-1};
}

/*
 * Measure the cheapest effort that is not known; false if there is none that costs less than that.
 * Where nothing is worth its cost and the target was not reached, go on from what finds most.
 */
static bool
measure_next(Ladder *ladder, double less_than)
{
	Place		next = find_cheapest(ladder, less_than);
	QhEffort	effort;
	Cell	   *cell;

	if (next.column < 0 && less_than == DBL_MAX)
		next = find_beyond_most(ladder);
	if (next.column < 0 || ladder->over)
		return false;
	cell = &ladder->cells[next.column][next.step];
	effort = (QhEffort) {(int) step_ef(next.step), ladder->oversample[next.column]};
	cell->known = qh_probe(ladder->measure, &effort, &cell->probe);
	ladder->over = !cell->known;
	return cell->known;
}

/* ---- the effort for a target ---- */

static Point
point_of(const Ladder *ladder, int i, int step)
{
	return (Point) {step_ef(step), ladder->oversample[i], ladder->cells[i][step].probe};
}

/* x at place of the way from a to b, by ratios. */
static double
between(double a, double b, double place)
{
	return a * pow(b / a, place);
}

/*
 * The share missed falls ever more slowly as effort grows by ratios, so that a straight line errs
 * to the side of more effort.
 */
static void
interpolate(Found *found, float4 target)
{
	const Point *low = &found->low;
	const Point *high = &found->high;
	double		place = (target - low->probe.recall) / (high->probe.recall - low->probe.recall);

	found->at = (Point) {
		ceil(between(low->ef, high->ef, place)),
		between(low->oversample, high->oversample, place),
		{target, low->probe.cost + place * (high->probe.cost - low->probe.cost)}
	};
}

/* Take what is cheaper: towards low, if that is known and does not reach the target, or high itself. */
static void
consider(Found *best, const Cell *low_cell, Point low, Point high, float4 target)
{
	Found		found = {low, high, low_cell != NULL && low_cell->known && low.probe.recall < target, high};

	if (found.between)
		interpolate(&found, target);
	if (found.at.probe.cost < best->at.probe.cost)
		*best = found;
}

/* The cheapest effort that reaches the target, as far as the cells tell; its cost is DBL_MAX if there is none. */
static Found
find_effort(const Ladder *ladder, float4 target)
{
	Found		best = {.at = {.probe = {0, DBL_MAX}}};

	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int step = 0; step < ladder->nsteps; step++)
		{
			Point		high = point_of(ladder, i, step);

			if (!ladder->cells[i][step].known || high.probe.recall < target)
				continue;
			consider(&best, NULL, high, high, target);
			if (step > 0)
				consider(&best, &ladder->cells[i][step - 1], point_of(ladder, i, step - 1), high, target);
			if (i > 0)
				consider(&best, &ladder->cells[i - 1][step], point_of(ladder, i - 1, step), high, target);
		}
	}
	return best;
}

/* See what the effort that was read off between two finds, and read it off anew if that is not the target. */
static void
refine(Ladder *ladder, Found *found, float4 target)
{
	double		tolerance = Min(TOLERANCE, (1 - target) / 4);

	for (int i = 0; i < MAX_REFINED && found->between && !ladder->over; i++)
	{
		Point		at = found->at;
		QhEffort	effort = {(int) at.ef, at.oversample};

		ladder->over = !qh_probe(ladder->measure, &effort, &at.probe);
		if (ladder->over)
			break;
		found->at = at;
		if (fabs(at.probe.recall - target) <= tolerance)
			break;
		if (at.probe.recall < target)
			found->low = at;
		else
			found->high = at;
		interpolate(found, target);
	}
}

/* Measure until the target's effort is known; false if time is over before that. */
static bool
climb_to(Ladder *ladder, float4 target, Point *out)
{
	Found		found = find_effort(ladder, target);
	Place		most;

	while (measure_next(ladder, found.at.probe.cost))
		found = find_effort(ladder, target);
	if (found.at.probe.cost < DBL_MAX)
	{
		refine(ladder, &found, target);
		*out = found.at;
		return true;
	}
	most = find_most(ladder);

	/* no time to see whether it can be reached: nothing is said of it, if anything is at all */
	if ((ladder->over && target != targets[0]) || most.column < 0)
		return false;
	*out = point_of(ladder, most.column, most.step);
	return true;
}

/* See how long one effort takes: keep as many queries as there is time for. */
static void
keep_affordable(QhMeasure *measure, const Ladder *ladder)
{
	QhEffort	effort = {FIRST_EF, ladder->oversample[0]};
	double		before = qh_measure_elapsed(measure);
	double		needed;
	double		left;
	QhProbe		probe;

	if (measure->what->max_ms <= 0 || measure->nqueries <= FEWEST_QUERIES ||
		!qh_probe(measure, &effort, &probe))
		return;
	needed = FORETOLD_EFFORTS * (qh_measure_elapsed(measure) - before);
	left = measure->what->max_ms - qh_measure_elapsed(measure);
	if (needed > left)
		measure->nqueries = Max((int) (measure->nqueries * Max(left, 0) / needed), FEWEST_QUERIES);
}

bool
qh_ladder_climb(QhMeasure *measure, QhCurveData *curve)
{
	Ladder	   *ladder = MemoryContextAllocZero(measure->cxt, sizeof(Ladder));
	Point		at;

	ladder->measure = measure;
	set_columns(ladder);
	set_steps(ladder);
	keep_affordable(measure, ladder);
	for (int i = 0; i < lengthof(targets) && climb_to(ladder, targets[i], &at); i++)
	{
		curve->points[i] = (QhCurvePoint) {targets[i], at.probe.recall, (uint32) at.ef, at.oversample};
		curve->npoints = i + 1;
	}
	return curve->npoints > 0;
}
