/*
 * suggest_measure.c
 *		An index of a part of the sample: built, and what scans of it find.
 *
 * Must not know which options are of interest.  See README.md, section "Suggestions".
 */
#include "compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "calibrate/measure.h"
#include "catalog/namespace.h"
#include "catalog/pg_opclass.h"
#include "executor/spi.h"
#include "inspect/suggest.h"
#include "nodes/makefuncs.h"
#include "scan/scan.h"
#include "store/curve.h"
#include "store/page.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define NAME	"qhnsw_suggest_index"

/* ---- building ---- */

static char *
opclass_name(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->opcnamespace), NameStr(form->opcname));
	ReleaseSysCache(tuple);
	return name;
}

char *
qh_suggest_opclass_name(const QhSuggestColumn *what)
{
	return opclass_name(what->opclass);
}

Oid
qh_suggest_build(const QhSuggestColumn *what, const QhSuggestSample *sample, int part, const char *options, bool calibrate)
{
	char	   *name = psprintf(NAME "_%d", part);
	char	   *sql = psprintf("CREATE INDEX %s ON %s USING qhnsw (v %s)%s WHERE %s", name, sample->name,
							   opclass_name(what->opclass),
							   options[0] != '\0' ? psprintf(" WITH (%s)", options) : "", sample->parts[part].predicate);

	qh_calibrate_builds = calibrate;
	PG_TRY();
	{
		if (SPI_execute(sql, false, 0) < 0)
			elog(ERROR, "could not run: %s", sql);
	}
	PG_FINALLY();
	{
		qh_calibrate_builds = true;
	}
	PG_END_TRY();
	return RangeVarGetRelid(makeRangeVar("pg_temp", name, -1), NoLock, false);
}

void
qh_suggest_remove(Oid index)
{
	char	   *sql = psprintf("DROP INDEX pg_temp.%s", quote_identifier(get_rel_name(index)));

	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
}

void
qh_suggest_read_meta(Oid oid, QhMeta meta)
{
	Relation	index = index_open(oid, AccessShareLock);

	qh_meta_read(index, meta);
	index_close(index, AccessShareLock);
}

QhEffort
qh_suggest_effort(Oid oid)
{
	Relation	index = index_open(oid, AccessShareLock);
	QhMetaData	meta;
	QhCurveData curve;
	QhEffort	effort;

	qh_meta_read(index, &meta);
	qh_curve_read(index, &curve);
	effort = qh_effort(index, &curve, meta.code_nbits);
	index_close(index, AccessShareLock);
	return effort;
}

/* ---- measuring ---- */

/* Let the queries have their answers: those known, or else they are found and kept. */
static void
know_truth(QhMeasure *measure, MemoryContext cxt, QhSuggestTruth *truth)
{
	if (!truth->known)
		qh_measure_truth(measure);
	for (int i = 0; i < measure->nqueries; i++)
	{
		QhQuery    *query = &measure->queries[i];

		if (!truth->known)
		{
			truth->nearest[i] = MemoryContextAlloc(cxt, sizeof(double) * QH_CALIBRATE_K);
			memcpy(truth->nearest[i], query->nearest, sizeof(double) * QH_CALIBRATE_K);
			truth->nnearest[i] = query->nnearest;
		}
		query->nearest = truth->nearest[i];
		query->nnearest = truth->nnearest[i];
	}
	truth->known = true;
}

/* As in a calibration for queries that are given. */
static double
measure_recall(const QhCalibration *what, MemoryContext cxt, const QhEffort *effort, QhSuggestTruth *truth)
{
	QhMeasure	measure;
	QhProbe		probe;

	qh_measure_begin(&measure, what);
	qh_index_refresh_size(measure.ix, what->index);
	qh_measure_take_given(&measure);
	know_truth(&measure, cxt, truth);
	(void) qh_probe(&measure, effort, measure.nqueries, 1, &probe);
	qh_measure_end(&measure);
	return probe.recall;
}

double
qh_suggest_recall(Oid oid, const QhSuggestSample *sample, int part, const QhEffort *effort, QhSuggestTruth *truth)
{
	QhScanStats last_scan = qh_last_scan;
	Relation	heap = table_open(sample->relid, AccessShareLock);
	Relation	index = index_open(oid, AccessShareLock);
	QhCalibration what = {heap, index, .nrows = sample->parts[part].nrows, .k = QH_CALIBRATE_K,
	.queries = sample->queries, .nqueries = sample->nqueries};
	double		recall;

	/* a new one, that sees the rows which the function has written */
	PushActiveSnapshot(GetTransactionSnapshot());
	what.snapshot = GetActiveSnapshot();
	PG_TRY();
	{
		recall = measure_recall(&what, sample->cxt, effort, truth);
	}
	PG_FINALLY();
	{
		qh_forced = NULL;
		qh_last_scan = last_scan;
	}
	PG_END_TRY();
	PopActiveSnapshot();
	index_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	return recall;
}
