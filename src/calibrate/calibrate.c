/*
 * calibrate.c
 *		Measuring what search effort of an index reaches which recall.
 *
 * Queries, their true answers, then scans with more and more effort.  Changes nothing on disk.
 * See README.md.
 */
#include "compat.h"

#include "calibrate/measure.h"
#include "scan/scan.h"
#include "store/page.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* Settings that scans are to have while they are measured, whatever the session's are. */
static const char *const settings[][2] = {
	{"qhnsw.rescore", "on"},
	{"qhnsw.flat", "off"},
	{"qhnsw.iterative_scan", "strict_order"},
	{"qhnsw.max_scan_tuples", "0"},
	{"qhnsw.oversample", "0"},
	{"qhnsw.ef_search", "0"},
	{"qhnsw.target_recall", "0"}
};

static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
qh_measure_set_neutral(void)
{
	for (int i = 0; i < lengthof(settings); i++)
		set_locally(settings[i][0], settings[i][1]);
}

/* Is there enough in the index to tell anything of it? */
static bool
has_enough(const QhMeasure *measure)
{
	qh_index_refresh_size(measure->ix, measure->what->index);
	return measure->ix->meta.ndims > 0 && measure->ix->nentries > 0 &&
		measure->ix->nslots >= QH_CALIBRATE_MIN_NROWS;
}

static bool
run(const QhCalibration *what, QhCurveData *curve)
{
	QhMeasure	measure;
	bool		done = false;

	qh_measure_begin(&measure, what);
	if (has_enough(&measure))
	{
		measure.least = what->queries != NULL ? 1 : QH_CALIBRATE_MIN_NQUERIES;
		if (what->queries != NULL)
			qh_measure_take_given(&measure);
		else
			qh_measure_draw(&measure);
		if (measure.nqueries >= measure.least)
			qh_measure_truth(&measure);
		/* the truth is that of the values; whether scans put rows into their order is the index's to say */
		set_locally("qhnsw.rescore", "auto");
		done = measure.nqueries >= measure.least && qh_ladder_climb(&measure, curve);
		curve->nqueries = measure.nqueries;
		curve->nslots = measure.ix->nslots;
	}
	qh_measure_end(&measure);
	return done;
}

bool
qh_calibrate(const QhCalibration *what, QhCurveData *out)
{
	QhScanStats last_scan = qh_last_scan;
	QhCurveData curve = {.k = what->k, .nrows = (uint64) what->nrows};
	int			nest_level = NewGUCNestLevel();
	QhMetaData	meta;
	bool		done;

	curve.source = what->queries != NULL ? QH_CURVE_QUERIES : QH_CURVE_ROWS;
	curve.measured_at = GetCurrentTimestamp();
	qh_meta_read(what->index, &meta);
	curve.inserted_norm2 = meta.inserted_norm2;
	qh_measure_set_neutral();
	PG_TRY();
	{
		done = run(what, &curve);
	}
	PG_FINALLY();
	{
		qh_forced = NULL;
		qh_last_scan = last_scan;
	}
	PG_END_TRY();
	AtEOXact_GUC(false, nest_level);
	if (done)
		*out = curve;
	return done;
}
