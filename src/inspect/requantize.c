/*
 * requantize.c
 *		qhnsw_requantize: codes and links of an index made anew, and its recall measured again.
 *
 * Opens, checks rights and reports; what is done is src/am's.  See src/am/README.md, section
 * "Requantization".
 */
#include "compat.h"

#include "access/table.h"
#include "am/requantize.h"
#include "build/build.h"
#include "calibrate/calibrate.h"
#include "commands/progress.h"
#include "fmgr.h"
#include "inspect/inspect.h"
#include "inspect/named_row.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "store/curve.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(qhnsw_requantize);

/* Rows go on being read and written; VACUUM, and another call for the same table, wait. */
#define REQUANTIZE_LOCK	ShareUpdateExclusiveLock

static Relation
open_index(Oid oid, Relation *heap)
{
	Relation	index;

	PreventCommandDuringRecovery("qhnsw_requantize()");
	PreventCommandIfReadOnly("qhnsw_requantize()");
	PreventCommandIfParallelMode("qhnsw_requantize()");
	index = qh_inspect_open(oid, heap);
	if (!index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(index))));
	LockRelation(*heap, REQUANTIZE_LOCK);
	LockRelation(index, REQUANTIZE_LOCK);
	return index;
}

static void
begin_progress(Relation heap, Relation index)
{
	const int	params[] = {
		PROGRESS_CREATEIDX_COMMAND, PROGRESS_CREATEIDX_INDEX_OID, PROGRESS_CREATEIDX_ACCESS_METHOD_OID, PROGRESS_CREATEIDX_PHASE
	};
	const int64 values[] = {
		PROGRESS_CREATEIDX_COMMAND_REINDEX_CONCURRENTLY, RelationGetRelid(index), index->rd_rel->relam, PROGRESS_CREATEIDX_PHASE_BUILD
	};

	pgstat_progress_start_command(PROGRESS_COMMAND_CREATE_INDEX, RelationGetRelid(heap));
	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

/* Measure recall again, where it was measured, but not on queries that were given: they are not kept. */
static void
calibrate_again(Relation heap, Relation index, Snapshot snapshot)
{
	QhCalibration what = {heap, index, .snapshot = snapshot, .k = QH_CALIBRATE_K, .nwanted = QH_CALIBRATE_NQUERIES};
	QhCurveData curve;
	BlockNumber nblocks;
	double		allvisible;

	qh_curve_read(index, &curve);
	if (curve.npoints == 0 || curve.source == QH_CURVE_QUERIES)
		return;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_CALIBRATE);
	estimate_rel_size(heap, NULL, &nblocks, &what.nrows, &allvisible);
	if (qh_calibrate(&what, &curve))
		qh_curve_write(index, &curve);
}

/* As the owner of the table, restricted, as in any maintenance. */
static void
requantize_as_owner(Relation heap, Relation index, QhRequantized *done)
{
	Oid			user;
	int			security;
	int			nest_level;
	Snapshot	snapshot;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(heap->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	qh_restrict_search_path();
	/* a new one: rows that were written while we waited for the lock are to be seen */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	begin_progress(heap, index);
	qh_requantize(heap, index, snapshot, done);
	if (done->nrecoded > 0)
		calibrate_again(heap, index, snapshot);
	pgstat_progress_end_command();
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, security);
}

/* qhnsw_requantize(index) */
Datum
qhnsw_requantize(PG_FUNCTION_ARGS)
{
	Relation	heap;
	Relation	index = open_index(PG_GETARG_OID(0), &heap);
	QhRequantized done;
	QhNamedRow	row;

	qh_named_row_begin(&row, fcinfo);
	requantize_as_owner(heap, index, &done);
	qh_named_row_set(&row, "rows_read", Int64GetDatum((int64) done.nrows));
	qh_named_row_set(&row, "rows_recoded", Int64GetDatum((int64) done.nrecoded));
	qh_named_row_set(&row, "centres_added", Int32GetDatum((int32) done.ncentres));
	qh_named_row_set(&row, "spread_before", Float8GetDatum(done.spread_before));
	qh_named_row_set(&row, "spread_after", Float8GetDatum(done.spread_after));
	/* locks are kept until the transaction ends: what was changed is there for all, whatever becomes of it */
	index_close(index, NoLock);
	table_close(heap, NoLock);
	PG_RETURN_DATUM(qh_named_row_end(&row));
}
