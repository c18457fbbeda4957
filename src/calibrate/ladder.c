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
#define FIRST_EF	5
#define NSTEPS		11

/* oversample: the index's own, halved and doubled so many times at most; doc/decisions/0140. */
#define NHALVED		2
#define NDOUBLED	5
#define NCOLUMNS	(NHALVED + 1 + NDOUBLED)

/*
 * An effort is worth its cost if it misses less than this share of what every cheaper one misses;
 * doc/decisions/0140.
 */
#define WORTH		0.97

/* Slots for each of ef_search up to which a scan looks at all codes anyway (scan/source.c). */
#define FLAT_CODES_PER_EF	20

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

/* An effort that reaches a target. */
typedef struct Found
{
	double		ef;
	double		oversample;
	double		recall;
	double		cost;			/* DBL_MAX = there is none */
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
		double		oversample = own * pow(2, i);

		if (i == 0 || (!fixed && oversample >= 1 && oversample <= 100))
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

/* Measure the cheapest effort that is not known; false if there is none that costs less than that. */
static bool
measure_next(Ladder *ladder, double less_than)
{
	double		cost = less_than;
	int			column = -1;
	int			step = 0;
	QhEffort	effort;
	Cell	   *cell;

	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int j = 0; j < ladder->nsteps; j++)
		{
			double		least = ladder->cells[i][j].known ? DBL_MAX : least_cost(ladder, i, j);

			if (least < cost)
			{
				cost = least;
				column = i;
				step = j;
			}
		}
	}
	if (column < 0 || ladder->over)
		return false;
	cell = &ladder->cells[column][step];
	effort = (QhEffort) {(int) step_ef(step), ladder->oversample[column]};
	cell->known = qh_probe(ladder->measure, &effort, &cell->probe);
	ladder->over = !cell->known;
	return cell->known;
}

/* ---- the effort for a target ---- */

/* The way from low, below the target, to high; the share missed falls by ratios along it. */
static double
place_between(const QhProbe *low, const QhProbe *high, float4 target)
{
	/* nothing missed counts as a hundredth of what may be */
	double		least = 0.01 * (1 - target);
	double		from = log(Max(1 - low->recall, least));
	double		to = log(Max(1 - high->recall, least));

	if (from <= to)
		return 1;
	return Min(Max((from - log(1 - target)) / (from - to), 0), 1);
}

static void
consider(Found *best, Found found)
{
	if (found.cost < best->cost)
		*best = found;
}

/* Efforts that a cell which reaches the target stands for: its own, or less towards one that does not. */
static void
consider_cell(const Ladder *ladder, int i, int step, float4 target, Found *best)
{
	const QhProbe *high = &ladder->cells[i][step].probe;
	Found		found = {step_ef(step), ladder->oversample[i], high->recall, high->cost};

	consider(best, found);
	if (step > 0 && ladder->cells[i][step - 1].known)
	{
		const QhProbe *low = &ladder->cells[i][step - 1].probe;
		double		place = place_between(low, high, target);

		if (low->recall < target)
			consider(best, (Found) {found.ef * pow(2, place - 1), found.oversample, target,
									low->cost + place * (high->cost - low->cost)});
	}
	if (i > 0 && ladder->cells[i - 1][step].known)
	{
		const QhProbe *low = &ladder->cells[i - 1][step].probe;
		double		place = place_between(low, high, target);

		if (low->recall < target)
			consider(best, (Found) {found.ef, found.oversample * pow(2, place - 1), target,
									low->cost + place * (high->cost - low->cost)});
	}
}

/* The cheapest effort known that reaches the target. */
static Found
find_effort(const Ladder *ladder, float4 target)
{
	Found		best = {.cost = DBL_MAX};

	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int step = 0; step < ladder->nsteps; step++)
		{
			if (ladder->cells[i][step].known && ladder->cells[i][step].probe.recall >= target)
				consider_cell(ladder, i, step, target, &best);
		}
	}
	return best;
}

/* Where none does: the one that finds most, and of these the cheapest. */
static Found
find_most(const Ladder *ladder)
{
	Found		most = {.recall = -1, .cost = DBL_MAX};

	for (int i = 0; i < ladder->ncolumns; i++)
	{
		for (int step = 0; step < ladder->nsteps; step++)
		{
			const Cell *cell = &ladder->cells[i][step];

			if (cell->known && (cell->probe.recall > most.recall ||
								(cell->probe.recall == most.recall && cell->probe.cost < most.cost)))
				most = (Found) {step_ef(step), ladder->oversample[i], cell->probe.recall, cell->probe.cost};
		}
	}
	return most;
}

bool
qh_ladder_climb(QhMeasure *measure, QhCurveData *curve)
{
	Ladder	   *ladder = MemoryContextAllocZero(measure->cxt, sizeof(Ladder));

	ladder->measure = measure;
	set_columns(ladder);
	set_steps(ladder);
	for (int i = 0; i < lengthof(targets); i++)
	{
		QhCurvePoint *point = &curve->points[i];
		Found		found = find_effort(ladder, targets[i]);

		while (measure_next(ladder, found.cost))
			found = find_effort(ladder, targets[i]);
		if (found.cost == DBL_MAX)
			found = find_most(ladder);
		if (found.recall < 0)
			return false;
		point->target = targets[i];
		point->recall = found.recall;
		point->ef = (uint32) ceil(found.ef);
		point->oversample = found.oversample;
	}
	curve->npoints = lengthof(targets);
	return true;
}
