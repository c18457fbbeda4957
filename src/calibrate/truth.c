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

/* Share of the time that may go by until all is known. */
#define TRUTH_SHARE			0.4

/*
 * In a pass over all codes: rows read for each row wanted in any case; standard errors by which all others
 * are doubted; and rows read for doubt at most, by a tenth of which the scan counts them.
 * doc/decisions/0212.
 */
#define LEAST_WIDE			5
#define TRUTH_DOUBT			3.25
#define MOST_DOUBTED		4000
#define DOUBTED_PER_EF		10

/* Without a limit of time, passes end after so much of it; fewer queries than that are not dropped. */
#define MOST_PASSES_MS		30000.0
#define FEWEST_PASSES		100

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

static void
read_table(QhMeasure *measure)
{
	ExprState  *predicate = ExecPrepareQual(measure->info->ii_Predicate, measure->estate);
	ExprContext *context = GetPerTupleExprContext(measure->estate);
	TableScanDesc scan = table_beginscan_strat(measure->what->heap, measure->what->snapshot, 0, NULL, true, false);

	while (table_scan_getnextslot(scan, ForwardScanDirection, measure->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (ExecQual(predicate, context))
			qh_measure_take(measure, offer_row, NULL);
		ResetPerTupleExprContext(measure->estate);
	}
	qh_measure_take_waiting(measure, offer_row, NULL);
	ExecClearTuple(measure->slot);
	table_endscan(scan);
}

/* ---- by all codes ---- */

static void
set_flat(const char *value)
{
	(void) set_config_option("qhnsw.flat", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* What finds all there is to be found; oversample is 0 where there is no time for enough rows. */
static QhEffort
widest_effort(const QhMeasure *measure)
{
	double		k = measure->what->k;
	double		least = LEAST_WIDE * k;
	double		nrows = least + MOST_DOUBTED;
	double		growth = Min(Max(log10(k / 10), 0), 1);

	if (measure->what->max_ms > 0 && measure->row_ms > 0)
		nrows = Min(nrows, TRUTH_SHARE * measure->what->max_ms / (QH_CALIBRATE_MIN_NQUERIES * measure->row_ms));
	return (QhEffort) {
		(int) Max((nrows - least) / DOUBTED_PER_EF, 1),
		nrows < least ? 0 : LEAST_WIDE,
		/* it falls to half from the tenth row to the hundredth (src/scan/budget.c) */
		TRUTH_DOUBT / (1 - growth / 2)
	};
}

/* Have passes taken long enough, where nothing else ends them? */
static bool
is_long(const QhMeasure *measure, int nqueries)
{
	return measure->what->max_ms <= 0 && nqueries >= FEWEST_PASSES && qh_measure_elapsed(measure) > MOST_PASSES_MS;
}

static void
scan_codes(QhMeasure *measure)
{
	QhEffort	effort = widest_effort(measure);
	double	   *dist = palloc(sizeof(double) * measure->what->k);
	int			n = 0;

	set_flat("on");
	while (effort.oversample > 0 && n < measure->nqueries && !is_long(measure, n) &&
		   !qh_measure_is_over(measure, TRUTH_SHARE))
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
	for (int i = 0; i < measure->nqueries; i++)
		measure->queries[i].nearest = MemoryContextAlloc(measure->cxt, sizeof(double) * measure->what->k);

	/* codes that are the values are exact, and read faster */
	if (measure->column->kind != QV_CODE_BITS && measure->what->max_ms <= 0 &&
		measure->what->nrows <= WHOLE_TABLE_NROWS)
		read_table(measure);
	else
		scan_codes(measure);
}
