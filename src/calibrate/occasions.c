/*
 * occasions.c
 *		When recall is measured without being asked for: builds, VACUUM and ANALYZE.
 *
 * See README.md, section "Occasions".
 */
#include "compat.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "build/build.h"
#include "calibrate/calibrate.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "store/curve.h"
#include "store/geometry.h"
#include "store/page.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* What it may cost: a share of the build, but at least so many milliseconds. */
#define SHARE_OF_BUILD	0.05
#define LEAST_MS		2000.0

/* Small tables are built in no time, and are to be measured in little. */
#define NROWS_PER_QUERY	20
#define LEAST_NQUERIES	50
#define MOST_NQUERIES	1000

/* Due again when the index is so many times as large, or inserted rows lie so much farther out. */
#define GROWTH_DUE		1.5
#define DRIFT_DUE		(1.25 * 1.25)	/* of squared distances, as inspect/drift.c advises */
#define DRIFT_NINSERTS	32

bool		qh_calibrate_builds = true;

/* Measure; false if there is nothing to be said. */
static bool
measure(Relation heap, Relation index, double nrows, double max_ms, QhCurveData *curve)
{
	QhCalibration what = {heap, index, .nrows = nrows, .k = QH_CALIBRATE_K, .max_ms = max_ms};
	bool		done;

	what.nwanted = (int) Min(Max(nrows / NROWS_PER_QUERY, LEAST_NQUERIES), MOST_NQUERIES);
	/* a new one, that sees the rows which the command itself has written */
	PushActiveSnapshot(GetTransactionSnapshot());
	what.snapshot = GetActiveSnapshot();
	done = qh_calibrate(&what, curve);
	PopActiveSnapshot();
	return done;
}

IndexBuildResult *
qh_build_and_calibrate(Relation heap, Relation index, IndexInfo *info)
{
	instr_time	begin;
	instr_time	end;
	IndexBuildResult *result;

	INSTR_TIME_SET_CURRENT(begin);
	result = qhnswbuild(heap, index, info);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, begin);
	if (qh_calibrate_builds && result->index_tuples >= QH_CALIBRATE_MIN_NROWS)
	{
		QhCurveData curve;

		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_CALIBRATE);
		if (measure(heap, index, result->heap_tuples,
					Max(LEAST_MS, SHARE_OF_BUILD * INSTR_TIME_GET_MILLISEC(end)), &curve))
			qh_curve_write(index, &curve);
	}
	return result;
}

/* ---- VACUUM and ANALYZE ---- */

/* Slots that an index has room for; without reading more than its metapage. */
static uint32
count_slots(Relation index, const QhMetaData *meta)
{
	QhGeometry	geo;

	/* what is wrong with a metapage is for others to report */
	if (meta->ndims == 0 || qh_geometry_init(&geo, meta) != NULL)
		return 0;
	return qh_geometry_nslots(&geo, RelationGetNumberOfBlocks(index));
}

static bool
is_due(Relation index)
{
	QhMetaData	meta;
	QhCurveData curve;
	uint32		nslots;
	double		spread;

	qh_meta_read(index, &meta);
	qh_curve_read(index, &curve);
	nslots = count_slots(index, &meta);
	/* who gave queries of his own knows better than the rows */
	if (nslots < QH_CALIBRATE_MIN_NROWS || curve.source == QH_CURVE_QUERIES)
		return false;
	spread = Max(curve.inserted_norm2, meta.sample_spread);
	return curve.npoints == 0 || nslots > GROWTH_DUE * curve.nslots ||
		(spread > 0 && meta.ninserts_sampled >= DRIFT_NINSERTS && meta.inserted_norm2 > DRIFT_DUE * spread);
}

/*
 * The same within VACUUM, which holds back no row that its snapshot sees: an out-of-line value may
 * be gone when it is read.  Such an error, or any other, must not keep VACUUM from its end.
 */
static bool
measure_or_warn(Relation heap, Relation index, double nrows, QhCurveData *curve)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		done = measure(heap, index, nrows, LEAST_MS, curve);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(cxt);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_INDEX_CORRUPTED)
			ReThrowError(error);
		ereport(WARNING,
				(errmsg("could not measure the recall of index \"%s\": %s",
						RelationGetRelationName(index), error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return done;
}

void
qh_calibrate_if_due(IndexVacuumInfo *info)
{
	QhCurveData curve;
	Relation	heap;
	double		nrows;
	bool		done;

	/* within a parallel vacuum there can be no subtransaction: the next ANALYZE will do it */
	if (IsInParallelMode() || RecoveryInProgress() || !is_due(info->index))
		return;
	heap = table_open(info->index->rd_index->indrelid, NoLock);
	nrows = Max(info->num_heap_tuples, 0);
	if (info->analyze_only)
		done = measure(heap, info->index, nrows, LEAST_MS, &curve);
	else
		done = measure_or_warn(heap, info->index, nrows, &curve);
	if (done)
		qh_curve_write(info->index, &curve);
	table_close(heap, NoLock);
}
