/*
 * ladder.c
 *		The least effort that reaches each target.
 *
 * Efforts stand in a grid: ef_search one way, doubled from one to the next, and the errors by which
 * estimates are doubted the other way.  They are measured from the cheapest on, with part of the
 * queries, and only beyond those that were worth their cost.  Then all queries say how far between two
 * of them each target lies.  Must not know how efforts are measured.  See README.md, section "Efforts".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "calibrate/measure.h"
#include "column/options.h"

/*
 * ef_search of the first step; and where codes are the values, which there is nothing to doubt of.
 * doc/decisions/0211.
 */
#define FIRST_EF		20
#define FIRST_EF_BITS	5
#define NSTEPS			12

/* Doubt from column to column; doc/decisions/0210. */
static const double doubts[] = {-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 9};

#define NCOLUMNS	lengthof(doubts)
#define COLUMN_OF_NONE	3

/*
 * An effort is worth its cost if it misses less than this share of what every cheaper one misses;
 * doc/decisions/0140.
 */
#define WORTH		0.97

/*
 * Of all queries an effort between two is measured until it finds what it should, within so much, or so
 * many times; from the line between the two it goes no farther than so many times its length.
 */
#define TOLERANCE	0.003
#define MAX_REFINED	4
#define REFINED		2.0			/* times, mostly */
#define REFINED_SHARES	3		/* a target has one of so many equal parts of the time left */
#define MAX_PLACE	2.0
#define LEAST_STEP	0.05		/* of the line's length */
#define TOO_LITTLE	10.0

/* Added to the share missed before its logarithm is taken: none may have been missed. */
#define MISSED_LEAST	0.0005

/* Slots for each of ef_search up to which a scan looks at all codes anyway (scan/source.c). */
#define FLAT_CODES_PER_EF	20

/*
 * Queries that walk the grid: at most and at least.  All cells together cost so many times what the
 * default effort does, as a rule, and the walk may take so much of the time that is left.
 * doc/decisions/0212.
 */
#define MOST_WALKING		100
#define FEWEST_WALKING		30
#define FORETOLD_EFFORTS	30
#define WALK_SHARE			0.4

/*
 * What scans that ask for nothing are given: what so many times the cost of the default effort finds, up to this
 * target, but no less than the default target and so many standard errors of it.  doc/decisions/0213.
 */
#define DEFAULT_ERRORS		2
#define DEFAULT_COSTS		1.5
#define DEFAULT_ENOUGH		0.997f

static const float4 targets[] = {0.60f, 0.80f, 0.90f, 0.95f, 0.98f, 0.99f, 0.999f};

/* What is asked for most comes first, should there be no time for all. */
static const int by_importance[] = {3, 4, 2, 5, 6, 1, 0};

#define DEFAULT_AT			3

StaticAssertDecl(lengthof(targets) <= QH_CURVE_MAX_POINTS, "points fit the metapage");
StaticAssertDecl(lengthof(targets) == lengthof(by_importance), "each target has its turn");

typedef struct Cell
{
	bool		known;
	QhProbe		probe;
} Cell;

typedef struct Ladder
{
	QhMeasure  *measure;
	double		oversample;		/* of all efforts */
	int			first_ef;
	int			first_column;	/* of doubts */
	int			ncolumns;
	int			nsteps;
	int			nwalking;		/* queries that walk the grid */
	double		walk_share;		/* of the time: when the walk is over */
	Cell		cells[NCOLUMNS][NSTEPS];
	bool		over;			/* time is: no more cells are measured */
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
	double		doubt;
	QhProbe		probe;
} Point;

/* The effort for a target: between one that is too little and one that is enough. */
typedef struct Found
{
	Point		low;
	Point		high;
	bool		between;		/* high is more than it takes, and low is known */
	bool		reached;		/* some effort reaches the target */
	Point		at;
} Found;

static double
step_ef(const Ladder *ladder, int step)
{
	return Min(ladder->first_ef << step, QH_MAX_EF_SEARCH);
}

/* Of codes that are the values there is no doubt. */
static double
column_doubt(const Ladder *ladder, int column)
{
	return ladder->ncolumns > 1 ? doubts[ladder->first_column + column] : 0;
}

/* As far as a scan walks the graph, and one step more. */
static void
set_steps(Ladder *ladder)
{
	uint64		nslots = ladder->measure->ix->nslots;

	ladder->nsteps = 1;
	while (ladder->nsteps < NSTEPS && FLAT_CODES_PER_EF * step_ef(ladder, ladder->nsteps - 1) < nslots)
		ladder->nsteps++;
}

/* What the first n queries find. */
static bool
probe_effort(const Ladder *ladder, double ef, double doubt, int n, double share, QhProbe *out)
{
	QhEffort	effort = {(int) ef, ladder->oversample, doubt};

	return qh_probe(ladder->measure, &effort, n, share, out);
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
 * Does this doubt lead on to the next?  With finer codes one step may be worth little before the next
 * is worth much.
 */
static bool
doubt_leads_on(const Ladder *ladder, int i, int step)
{
	if (i < 0 || !ladder->cells[i][step].known)
		return false;
	if (!is_worthless(ladder, &ladder->cells[i][step]))
		return true;
	return ladder->measure->ix->meta.refine_nbits > 0 && i > 0 && ladder->cells[i - 1][step].known &&
		!is_worthless(ladder, &ladder->cells[i - 1][step]);
}

/*
 * What an effort that is not known costs at least: as much as the one that it would go on from.
 * DBL_MAX if there is none worth that.
 */
static double
least_cost(const Ladder *ladder, int i, int step)
{
	const Cell *narrower = step > 0 ? &ladder->cells[i][step - 1] : NULL;
	double		cost = i == 0 && step == 0 ? 0 : DBL_MAX;

	if (doubt_leads_on(ladder, i - 1, step))
		cost = ladder->cells[i - 1][step].probe.cost;
	if (narrower != NULL && narrower->known && !is_worthless(ladder, narrower))
		cost = Min(cost, narrower->probe.cost);
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
	QhProbe		best = {-1, 0, DBL_MAX};

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

/* The nearest effort that is not known with more of one or of both than what finds most. */
static Place
find_beyond_most(const Ladder *ladder)
{
	static const Place more[] = {{1, 0}, {0, 1}, {1, 1}};
	Place		most = find_most(ladder);

	for (int far = 1; far < Max(NCOLUMNS, NSTEPS) && most.column >= 0; far++)
	{
		for (int i = 0; i < lengthof(more); i++)
		{
			Place		next = {most.column + far * more[i].column, most.step + far * more[i].step};

			if (next.column < ladder->ncolumns && next.step < ladder->nsteps &&
				!ladder->cells[next.column][next.step].known)
				return next;
		}
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
	Cell	   *cell;

	if (next.column < 0 && less_than == DBL_MAX)
		next = find_beyond_most(ladder);
	if (next.column < 0 || ladder->over)
		return false;
	cell = &ladder->cells[next.column][next.step];
	cell->known = probe_effort(ladder, step_ef(ladder, next.step), column_doubt(ladder, next.column), ladder->nwalking, ladder->walk_share,
							   &cell->probe);
	ladder->over = !cell->known;
	return cell->known;
}

/* ---- the effort for a target ---- */

static Point
point_of(const Ladder *ladder, int i, int step)
{
	return (Point) {step_ef(ladder, step), column_doubt(ladder, i), ladder->cells[i][step].probe};
}

static double
log_missed(double recall)
{
	return log(1 - Min(recall, 1) + MISSED_LEAST);
}

/* Where the target lies on the way from low to high; the logarithm of the share missed is taken for a straight line. */
static double
place_of(const Point *low, const Point *high, float4 target)
{
	double		from = log_missed(low->probe.recall);
	double		to = log_missed(high->probe.recall);

	return to < from ? (log_missed(target) - from) / (to - from) : 1;
}

/* The effort at a place of the way from low to high, or beyond, and what it is taken to find and to cost. */
static Point
point_at(const Found *found, double place, float4 target)
{
	const Point *low = &found->low;
	const Point *high = &found->high;
	double		ef = rint(low->ef * pow(high->ef / low->ef, place));

	return (Point) {
		Min(Max(ef, 1), QH_MAX_EF_SEARCH),
		Min(Max(low->doubt + place * (high->doubt - low->doubt), QH_MIN_DOUBT), QH_MAX_DOUBT),
		{target, 0, low->probe.cost + place * (high->probe.cost - low->probe.cost)}
	};
}

/* Take what is cheaper: towards low, if that is known and does not reach the target, or high itself. */
static void
consider(Found *best, const Cell *low_cell, Point low, Point high, float4 target)
{
	Found		found = {low, high, low_cell != NULL && low_cell->known && low.probe.recall < target, true, high};

	if (found.between)
		found.at = point_at(&found, place_of(&low, &high, target), target);
	if (found.at.probe.cost < best->at.probe.cost)
		*best = found;
}

/* The cheapest effort that reaches the target, as far as the cells tell; its cost is DBL_MAX if there is none. */
static Found
find_effort(const Ladder *ladder, float4 target)
{
	Found		best = {.at = {.probe = {0, 0, DBL_MAX}}};

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

/* What was found at a place of a line. */
typedef struct Mark
{
	bool		known;
	double		place;
	double		missed;			/* its logarithm */
} Mark;

/*
 * Where to look next: between what was too little and what was enough, but not too near to either; as long as
 * there is only one of them, by the slope of the line.
 */
static double
next_place(const Mark *less, const Mark *enough, double slope, float4 target)
{
	const Mark *one = less->known ? less : enough;
	double		step;

	if (less->known && enough->known)
	{
		step = (log_missed(target) - less->missed) / Min(enough->missed - less->missed, -DBL_EPSILON);
		return less->place + Min(Max(step, 0.1), 0.9) * (enough->place - less->place);
	}
	step = (log_missed(target) - one->missed) / Min(slope, -DBL_EPSILON);
	step = less->known ? Min(Max(step, LEAST_STEP), 1) : Max(Min(step, -LEAST_STEP), -1);
	return Min(Max(one->place + step, 1 - MAX_PLACE), MAX_PLACE);
}

/* Where recall goes by leaps, more than was asked for is better than less. */
static double
distance_from(float4 target, double recall)
{
	return recall < target - TOLERANCE ? TOO_LITTLE * (target - recall) : fabs(recall - target);
}

/*
 * See what so many queries find with the effort that was read off, and move it along its line until that is
 * the target.  The line's ends were measured with fewer queries, so it may lie beyond them.
 */
static void
refine(const Ladder *ladder, Found *found, float4 target, int nqueries)
{
	double		slope = log_missed(found->high.probe.recall) - log_missed(found->low.probe.recall);
	double		place = place_of(&found->low, &found->high, target);
	double		nearest = DBL_MAX;
	Mark		less = {false};
	Mark		enough = {false};
	Point		last = {0};

	for (int i = 0; i < MAX_REFINED; i++)
	{
		Point		at = found->between ? point_at(found, place, target) : found->high;

		/* ef_search is a whole number: there may be nothing between */
		if (at.ef == last.ef && at.doubt == last.doubt)
			return;
		if (!probe_effort(ladder, at.ef, at.doubt, nqueries, 1, &at.probe))
		{
			/* what was read off last is nearer than what was measured before */
			if (found->between)
				found->at = point_at(found, place, target);
			return;
		}
		if (distance_from(target, at.probe.recall) < nearest)
		{
			nearest = distance_from(target, at.probe.recall);
			found->at = at;
		}
		if (!found->between || nearest <= Min(TOLERANCE, (1 - target) / 4))
			return;
		*(at.probe.recall < target ? &less : &enough) = (Mark) {true, place, log_missed(at.probe.recall)};
		place = next_place(&less, &enough, slope, target);
		last = at;
	}
}

/* Walk the grid until the target's effort is known, or time is over; what is reached then. */
static Found
climb_to(Ladder *ladder, float4 target)
{
	Found		found = find_effort(ladder, target);
	Place		most;

	while (measure_next(ladder, found.at.probe.cost))
		found = find_effort(ladder, target);
	most = find_most(ladder);
	if (!found.reached && most.column >= 0)
		found.at = found.high = point_of(ladder, most.column, most.step);
	return found;
}

/* Queries that there is time for in one of nshares equal parts of the time left. */
static int
affordable_queries(const QhMeasure *measure, double cost, int nshares)
{
	double		left = measure->what->max_ms - qh_measure_elapsed(measure);

	if (measure->what->max_ms <= 0)
		return measure->nqueries;
	return (int) Max(Min(left / nshares / (REFINED * cost * QH_MS_PER_CODE), measure->nqueries),
					 Min(FEWEST_WALKING, measure->nqueries));
}

/* ---- the curve ---- */

/* What the default effort finds and costs, and how many queries there is time to walk with. */
static bool
begin(Ladder *ladder, QhProbe *by_default)
{
	QhMeasure  *measure = ladder->measure;
	QhEffort	effort = qh_effort_default(measure->what->index, measure->ix->meta.code_nbits);
	double		before = qh_measure_elapsed(measure);
	double		left;
	double		needed;

	ladder->walk_share = 1;
	ladder->nwalking = Min(measure->nqueries, MOST_WALKING);
	if (!qh_probe(measure, &effort, measure->nqueries, 1, by_default))
		return false;
	if (measure->what->max_ms > 0)
	{
		left = Max(measure->what->max_ms - qh_measure_elapsed(measure), 0);
		needed = FORETOLD_EFFORTS * (qh_measure_elapsed(measure) - before) / measure->nqueries;
		ladder->nwalking = (int) Min(ladder->nwalking, Max(WALK_SHARE * left / Max(needed, 0.001), FEWEST_WALKING));
		ladder->nwalking = Min(ladder->nwalking, measure->nqueries);
		ladder->walk_share = 1 - (1 - WALK_SHARE) * left / measure->what->max_ms;
	}
	return true;
}

/*
 * Should scans that ask for nothing find more than the default target?  As much as costs little more than the
 * default effort; and the default target and two standard errors of it in any case.
 */
static float4
choose_default(const QhProbe *by_default, const Point *points, int npoints)
{
	double		affordable = DEFAULT_COSTS * by_default->cost;
	float4		least = QH_DEFAULT_TARGET_RECALL;

	if (npoints > DEFAULT_AT)
		least += DEFAULT_ERRORS * points[DEFAULT_AT].probe.error;
	for (int i = npoints - 1; i > DEFAULT_AT; i--)
	{
		const Point *low = &points[i - 1];
		const Point *high = &points[i];
		double		place = (affordable - low->probe.cost) / Max(high->probe.cost - low->probe.cost, 1);
		double		missed;

		if (low->probe.cost > affordable || high->probe.recall <= low->probe.recall)
			continue;
		missed = log(1 - targets[i - 1]) + Min(place, 1) * (log(1 - targets[i]) - log(1 - targets[i - 1]));
		return Max(least, Min((float4) (1 - exp(missed)), DEFAULT_ENOUGH));
	}
	return Min(least, DEFAULT_ENOUGH);
}

/*
 * Points up to the first target that there was no time for.  The first one is there in any case, with what
 * was found most.
 */
static int
count_points(const Ladder *ladder, const Found *found)
{
	int			n = 0;

	while (n < lengthof(targets) && (found[n].reached || !ladder->over || n == 0))
		n++;
	return n;
}

bool
qh_ladder_climb(QhMeasure *measure, QhCurveData *curve)
{
	Ladder	   *ladder = MemoryContextAllocZero(measure->cxt, sizeof(Ladder));
	Relation	index = measure->what->index;
	Found		found[lengthof(targets)];
	Point		points[lengthof(targets)];
	QhProbe		by_default;
	int			npoints;

	ladder->measure = measure;
	ladder->oversample = qh_option_oversample_is_set(index) ? qh_option_oversample(index, measure->ix->meta.code_nbits) : 1;
	/* finer codes leave nothing to be doubted below none, for more are scored in any case than there would be */
	ladder->first_column = measure->ix->meta.refine_nbits > 0 ? COLUMN_OF_NONE : 0;
	ladder->ncolumns = measure->column->kind == QV_CODE_BITS ? 1 : NCOLUMNS - ladder->first_column;
	ladder->first_ef = measure->column->kind == QV_CODE_BITS ? FIRST_EF_BITS : FIRST_EF;
	set_steps(ladder);
	if (!begin(ladder, &by_default))
		return false;
	for (int i = 0; i < lengthof(targets); i++)
		found[i] = climb_to(ladder, targets[i]);
	if (find_most(ladder).column < 0)
		return false;
	npoints = count_points(ladder, found);
	for (int i = 0; i < lengthof(targets); i++)
	{
		int			at = by_importance[i];

		if (at < npoints)
			refine(ladder, &found[at], targets[at],
				   affordable_queries(measure, found[at].at.probe.cost, Min(lengthof(targets) - i, REFINED_SHARES)));
	}
	for (int i = 0; i < npoints; i++)
	{
		points[i] = found[i].at;
		curve->points[i] = (QhCurvePoint) {targets[i], points[i].probe.recall, (uint32) points[i].ef, points[i].doubt};
	}
	curve->npoints = npoints;
	curve->default_target = choose_default(&by_default, points, npoints);
	return true;
}
