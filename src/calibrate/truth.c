/*
 * truth.c
 *		The nearest rows of each query.
 *
 * By one pass over the table for all queries at once where it is small; else by a scan over all
 * codes that rescores far more candidates than any effort measured.  Must not know what is done
 * with them.  See README.md, section "Truth".
 */
#include "compat.h"

#include <math.h>

#include "calibrate/measure.h"
#include "calibrate/nearest.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* Tables of no more rows are read as a whole; doc/decisions/0140. */
#define WHOLE_TABLE_NROWS	50000

/* Rows after which it is foretold how long the whole table takes. */
#define FORETOLD_NROWS		256

/* Share of the time that may go by until all is known. */
#define TRUTH_SHARE			0.5

/*
 * Candidates rescored for a query in a pass over all codes, and for each row wanted at least;
 * doc/decisions/0140.
 */
#define WIDE				1000
#define LEAST_WIDE			10
#define WIDE_EF				100

/* ---- by the table ---- */

/* A row, for all queries. */
static void
offer_row(QhMeasure *measure, const ItemPointerData *version, Datum value, void *arg)
{
	for (int i = 0; i < measure->nqueries; i++)
	{
		QhQuery    *query = &measure->queries[i];

		if (!measure->drawn || !ItemPointerEquals(&query->version, (ItemPointer) version))
			qh_nearest_offer(query->nearest, &query->nnearest, measure->what->k, qh_measure_distance(measure, value, query));
	}
}

/* After nrows rows in ms milliseconds: keep as many queries as there is time for. */
static void
keep_affordable(QhMeasure *measure, double nrows, double ms)
{
	double		left = TRUTH_SHARE * measure->what->max_ms - qh_measure_elapsed(measure);
	double		needed = ms * (measure->what->nrows / nrows - 1);

	if (measure->what->max_ms > 0 && needed > left)
		measure->nqueries = (int) (measure->nqueries * Max(left, 0) / needed);
}

/* False if there is no time for it. */
static bool
read_table(QhMeasure *measure)
{
	ExprState  *predicate = ExecPrepareQual(measure->info->ii_Predicate, measure->estate);
	ExprContext *context = GetPerTupleExprContext(measure->estate);
	TableScanDesc scan = table_beginscan_strat(measure->what->heap, measure->what->snapshot, 0, NULL, true, false);
	double		begun = qh_measure_elapsed(measure);
	double		nrows = 0;

	while (measure->nqueries >= measure->least &&
		   table_scan_getnextslot(scan, ForwardScanDirection, measure->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (ExecQual(predicate, context))
			qh_measure_take(measure, offer_row, NULL);
		ResetPerTupleExprContext(measure->estate);
		if (++nrows == FORETOLD_NROWS)
			keep_affordable(measure, nrows, qh_measure_elapsed(measure) - begun);
	}
	qh_measure_take_waiting(measure, offer_row, NULL);
	ExecClearTuple(measure->slot);
	table_endscan(scan);
	return measure->nqueries >= measure->least;
}

/* ---- by all codes ---- */

static void
set_flat(const char *value)
{
	(void) set_config_option("qhnsw.flat", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Candidates for each row wanted that there is time for; 0 = too few. */
static double
affordable_width(const QhMeasure *measure)
{
	double		k = measure->what->k;
	double		width = Max(WIDE, LEAST_WIDE * k);

	if (measure->what->max_ms > 0 && measure->row_ms > 0)
		width = Min(width, TRUTH_SHARE * measure->what->max_ms / (QH_CALIBRATE_MIN_NQUERIES * measure->row_ms));
	return width < LEAST_WIDE * k ? 0 : width / k;
}

static void
scan_codes(QhMeasure *measure)
{
	QhEffort	effort = {WIDE_EF, affordable_width(measure)};
	double	   *dist = palloc(sizeof(double) * measure->what->k);
	int			n = 0;

	set_flat("on");
	while (effort.oversample > 0 && n < measure->nqueries && !qh_measure_is_over(measure, TRUTH_SHARE))
	{
		QhQuery    *query = &measure->queries[n++];
		int			nrows = qh_probe_query(measure, query, &effort, dist);

		for (int i = 0; i < nrows; i++)
			qh_nearest_offer(query->nearest, &query->nnearest, measure->what->k, dist[i]);
	}
	measure->nqueries = n;
	set_flat("off");
	pfree(dist);
}

void
qh_measure_truth(QhMeasure *measure)
{
	int			nqueries = measure->nqueries;

	for (int i = 0; i < nqueries; i++)
		measure->queries[i].nearest = MemoryContextAlloc(measure->cxt, sizeof(double) * measure->what->k);

	/* codes that are the values are exact, and read faster */
	if (measure->column->kind != QV_CODE_BITS && measure->what->nrows <= WHOLE_TABLE_NROWS &&
		read_table(measure))
		return;
	measure->nqueries = nqueries;
	for (int i = 0; i < nqueries; i++)
		measure->queries[i].nnearest = 0;
	scan_codes(measure);
}
