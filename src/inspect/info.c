/*
 * info.c
 *		qhnsw_info and qhnsw_last_scan: what an index holds, and what a scan did.
 *
 * Must not judge what it counts: that is check.c.  See README.md.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "compat.h"
#include "funcapi.h"
#include "inspect/inspect.h"
#include "inspect/named_row.h"
#include "miscadmin.h"
#include "scan/scan.h"
#include "store/curve.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(qhnsw_info);
PG_FUNCTION_INFO_V1(qhnsw_last_scan);

Relation
qh_inspect_open(Oid relid, Relation *heap)
{
	/* the table first, as everybody locks them; ownership before anything is waited for */
	Oid			heap_oid = IndexGetRelation(relid, true);
	Relation	rel;

	if (OidIsValid(heap_oid))
	{
		if (!qh_owns_relation(relid))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(relid));
		*heap = table_open(heap_oid, AccessShareLock);
	}
	else
		*heap = NULL;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (*heap == NULL || rel->rd_rel->relkind != RELKIND_INDEX ||
		rel->rd_rel->relam != get_index_am_oid("qhnsw", false))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a qhnsw index", RelationGetRelationName(rel))));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	return rel;
}

static const char *
code_name(int kind)
{
	switch (kind)
	{
		case QV_CODE_BITS:
			return "bits";
		case QV_CODE_RABITQ:
			return "rabitq";
		case QV_CODE_FLOAT:
			return "float";
	}
	return "unknown";
}

static const char *
metric_name(int metric)
{
	switch (metric)
	{
		case QV_METRIC_HAMMING:
			return "hamming";
		case QV_METRIC_JACCARD:
			return "jaccard";
		case QV_METRIC_L2:
			return "l2";
		case QV_METRIC_IP:
			return "inner_product";
		case QV_METRIC_COSINE:
			return "cosine";
	}
	return "unknown";
}

typedef struct Counts
{
	int64		slots[QH_SLOT_LAST + 1];
	int64		rows;
	int64		links;
	int64		hubs;
	int64		blocks[QH_NARRAYS];
} Counts;

/* Count what the page of links or hubs with these slots holds. */
static void
count_link_page(QhRelStore *rs, QhNode first, uint32 count, Counts *counts)
{
	QhLink		slot[2 * QH_MAX_M];

	for (uint32 i = 0; i < count; i++)
	{
		QhSlotState state = qh_read_slot(rs, first + i, slot);

		if (state > QH_SLOT_LAST)
			continue;			/* qhnsw_check names it */
		counts->slots[state]++;
		if (state == QH_SLOT_POSTING)
			counts->rows += ((QhPosting) slot)->ntids;
		if (state != QH_SLOT_LIVE)
			continue;
		counts->hubs += qh_link_array(&rs->ix->geo, first + i) == QH_ARRAY_HUB;
		for (int j = 0; j < rs->store.max_degree && slot[j] != QH_INVALID_NODE; j++)
			counts->links++;
		if (qh_read_row(rs, first + i).flags == QH_ROW_SINGLE)
			counts->rows++;
	}
}

static void
count_slots(QhRelStore *rs, Counts *counts)
{
	QhGeometry *geo = &rs->ix->geo;

	for (BlockNumber blkno = geo->first_blkno; blkno < rs->ix->nblocks; blkno++)
	{
		uint32		group;
		QhNode		first;
		QhArray		array = qh_geometry_block(geo, blkno, &group, &first);

		CHECK_FOR_INTERRUPTS();
		counts->blocks[array]++;
		if ((array == QH_ARRAY_LINK || array == QH_ARRAY_HUB) && first < rs->ix->nslots)
			count_link_page(rs, first,
							Min(qh_geometry_page_nslots(geo, blkno), rs->ix->nslots - first), counts);
	}
}

/* Format, parameters and sizes of slots. */
static void
set_parameters(QhNamedRow *row, const QhIndex *ix)
{
	const QhMetaData *meta = &ix->meta;

	qh_named_row_set(row, "format_version", Int32GetDatum(meta->version));
	qh_named_row_set(row, "metric", CStringGetTextDatum(metric_name(meta->metric)));
	qh_named_row_set(row, "code", CStringGetTextDatum(code_name(meta->code_kind)));
	qh_named_row_set(row, "bits_per_dim", Int32GetDatum(meta->code_nbits));
	if (meta->ndims == 0)
		qh_named_row_set_null(row, "dims");
	else
		qh_named_row_set(row, "dims", Int32GetDatum(meta->ndims));
	qh_named_row_set(row, "m", Int32GetDatum(meta->m));
	qh_named_row_set(row, "ef_construction", Int32GetDatum(meta->ef_construction));
	qh_named_row_set(row, "code_bytes", Int32GetDatum(meta->code_nbytes));
	qh_named_row_set(row, "link_bytes", Int32GetDatum(qh_meta_link_nbytes(meta)));
	qh_named_row_set(row, "trained", BoolGetDatum(meta->nparam_pages > 0));
	qh_named_row_set(row, "centres", Int32GetDatum(meta->ncentres));
	qh_named_row_set(row, "refine_bits", Int32GetDatum(meta->refine_nbits));
	qh_named_row_set(row, "hub_fraction", Float4GetDatum(meta->hub_fraction));
	qh_named_row_set(row, "m_low", Int32GetDatum(meta->m_low));
	qh_named_row_set(row, "filter_columns", Int32GetDatum(meta->nfilters));
	qh_named_row_set(row, "record_bytes", Int32GetDatum(meta->filter_nbytes));
}

/* What was counted. */
static void
set_counts(QhNamedRow *row, const QhIndex *ix, const Counts *counts, BlockNumber nblocks)
{
	qh_named_row_set(row, "nodes", Int64GetDatum(counts->slots[QH_SLOT_LIVE]));
	qh_named_row_set(row, "rows", Int64GetDatum(counts->rows));
	qh_named_row_set(row, "entry_points", Int32GetDatum(ix->nentries));
	qh_named_row_set(row, "links", Int64GetDatum(counts->links));
	qh_named_row_set(row, "hubs", Int64GetDatum(counts->hubs));
	qh_named_row_set(row, "free_slots", Int64GetDatum(counts->slots[QH_SLOT_FREE]));
	qh_named_row_set(row, "reserved_slots", Int64GetDatum(counts->slots[QH_SLOT_RESERVED]));
	qh_named_row_set(row, "dying_slots", Int64GetDatum(counts->slots[QH_SLOT_DYING]));
	qh_named_row_set(row, "posting_slots", Int64GetDatum(counts->slots[QH_SLOT_POSTING]));
	qh_named_row_set(row, "centre_slots", Int64GetDatum(counts->slots[QH_SLOT_CENTRE]));
	qh_named_row_set(row, "blocks", Int64GetDatum(nblocks));
	qh_named_row_set(row, "code_blocks", Int64GetDatum(counts->blocks[QH_ARRAY_CODE]));
	qh_named_row_set(row, "link_blocks", Int64GetDatum(counts->blocks[QH_ARRAY_LINK]));
	qh_named_row_set(row, "row_blocks", Int64GetDatum(counts->blocks[QH_ARRAY_ROW]));
	qh_named_row_set(row, "hub_blocks", Int64GetDatum(counts->blocks[QH_ARRAY_HUB]));
	qh_named_row_set(row, "filter_blocks", Int64GetDatum(counts->blocks[QH_ARRAY_FILTER]));
	if (counts->rows == 0)
		qh_named_row_set_null(row, "bytes_per_row");
	else
		qh_named_row_set(row, "bytes_per_row", Float8GetDatum((double) nblocks * BLCKSZ / counts->rows));
}

static void
set_float8_if(QhNamedRow *row, const char *column, double value, bool known)
{
	if (known)
		qh_named_row_set(row, column, Float8GetDatum(value));
	else
		qh_named_row_set_null(row, column);
}

/* How far the rows have moved from what the codec was trained on. */
static void
set_drift(QhNamedRow *row, const QhIndex *ix, const QhDrift *drift)
{
	set_float8_if(row, "trained_spread", drift->trained_spread, ix->meta.nparam_pages > 0);
	set_float8_if(row, "spread", drift->spread, drift->known);
	set_float8_if(row, "drift", drift->drift, drift->drift_known);
	set_float8_if(row, "inserted_spread", drift->inserted_spread, drift->ninserts > 0);
	if (ix->meta.code_kind == QV_CODE_RABITQ)
		qh_named_row_set(row, "reindex_advised", BoolGetDatum(qh_reindex_advised(drift)));
	else
		qh_named_row_set_null(row, "reindex_advised");
}

static Datum
float4_array(const QhCurveData *curve, Size offset)
{
	Datum		values[QH_CURVE_MAX_POINTS];

	for (uint32 i = 0; i < curve->npoints; i++)
		values[i] = Float4GetDatum(*(const float4 *) ((const char *) &curve->points[i] + offset));
	return PointerGetDatum(construct_array(values, curve->npoints, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}

static Datum
ef_array(const QhCurveData *curve)
{
	Datum		values[QH_CURVE_MAX_POINTS];

	for (uint32 i = 0; i < curve->npoints; i++)
		values[i] = Int32GetDatum((int32) curve->points[i].ef);
	return PointerGetDatum(construct_array(values, curve->npoints, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* What was measured of recall, when and on what. */
static void
set_curve(QhNamedRow *row, const QhCurveData *curve)
{
	static const char *const columns[] = {
		"calibrated_at", "calibrated_on", "calibration_queries", "calibration_k", "calibrated_rows",
		"recall_targets", "recall_ef_search", "recall_doubt", "recall_reached", "default_recall"
	};

	if (curve->npoints == 0)
	{
		for (int i = 0; i < lengthof(columns); i++)
			qh_named_row_set_null(row, columns[i]);
		return;
	}
	qh_named_row_set(row, "calibrated_at", TimestampTzGetDatum(curve->measured_at));
	qh_named_row_set(row, "calibrated_on",
					 CStringGetTextDatum(curve->source == QH_CURVE_QUERIES ? "queries" : "rows"));
	qh_named_row_set(row, "calibration_queries", Int32GetDatum((int32) curve->nqueries));
	qh_named_row_set(row, "calibration_k", Int32GetDatum(curve->k));
	qh_named_row_set(row, "calibrated_rows", Int64GetDatum((int64) curve->nrows));
	qh_named_row_set(row, "recall_targets", float4_array(curve, offsetof(QhCurvePoint, target)));
	qh_named_row_set(row, "recall_ef_search", ef_array(curve));
	qh_named_row_set(row, "recall_doubt", float4_array(curve, offsetof(QhCurvePoint, doubt)));
	qh_named_row_set(row, "recall_reached", float4_array(curve, offsetof(QhCurvePoint, recall)));
	qh_named_row_set(row, "default_recall", Float4GetDatum(curve->default_target));
}

static void
put_info(FunctionCallInfo fcinfo, Oid relid)
{
	Relation	heap;
	Relation	index = qh_inspect_open(relid, &heap);
	QhIndex    *ix;
	Counts		counts = {0};
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);
	QhDrift		drift = {0};
	QhCurveData curve;
	QhNamedRow	row;

	qh_named_row_begin(&row, fcinfo);
	if (!index->rd_index->indisready)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(index)),
				 errdetail("Its build did not end.")));
	ix = qh_index_acquire(index, CurrentMemoryContext);
	qh_curve_read(index, &curve);
	if (ix->meta.ndims > 0)
	{
		QhRelStore	rs;

		qh_relstore_init(&rs, index, ix);
		qh_index_refresh_size(ix, index);
		count_slots(&rs, &counts);
		qh_measure_drift(&rs, &drift);
	}

	qh_named_row_set(&row, "index_name", ObjectIdGetDatum(relid));
	set_parameters(&row, ix);
	set_counts(&row, ix, &counts, nblocks);
	set_drift(&row, ix, &drift);
	set_curve(&row, &curve);
	index_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	qh_named_row_store(&row, (ReturnSetInfo *) fcinfo->resultinfo);
}

Datum
qhnsw_info(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, qh_inspect_indexes(PG_GETARG_OID(0)))
		put_info(fcinfo, lfirst_oid(lc));
	return (Datum) 0;
}

Datum
qhnsw_last_scan(PG_FUNCTION_ARGS)
{
	QhNamedRow	row;

	qh_named_row_begin(&row, fcinfo);
	qh_named_row_set(&row, "codes_scored", Int64GetDatum(qh_last_scan.ncodes));
	qh_named_row_set(&row, "nodes_expanded", Int64GetDatum(qh_last_scan.nexpanded));
	qh_named_row_set(&row, "pages_pinned", Int64GetDatum(qh_last_scan.npins));
	qh_named_row_set(&row, "buffer_lookups", Int64GetDatum(qh_last_scan.nmisses));
	qh_named_row_set(&row, "flat_passes", Int64GetDatum(qh_last_scan.nflat));
	qh_named_row_set(&row, "heap_rows_fetched", Int64GetDatum(qh_last_scan.nfetched));
	qh_named_row_set(&row, "rows_returned", Int64GetDatum(qh_last_scan.nreturned));
	qh_named_row_set(&row, "rows_late", Int64GetDatum(qh_last_scan.nlate));
	qh_named_row_set(&row, "finer_codes_scored", Int64GetDatum(qh_last_scan.nrefined));
	qh_named_row_set(&row, "reads_ahead", Int64GetDatum(qh_last_scan.nahead));
	qh_named_row_set(&row, "values_recomputed", Int64GetDatum(qh_last_scan.nrecomputed));
	qh_named_row_set(&row, "fetch_batches", Int64GetDatum(qh_last_scan.nbatches));
	qh_named_row_set(&row, "rows_filtered", Int64GetDatum(qh_last_scan.nfiltered));
	qh_named_row_set(&row, "filter_sweeps", Int64GetDatum(qh_last_scan.nfiltersweeps));
	qh_named_row_set(&row, "nodes_passing", Int64GetDatum(qh_last_scan.npassing));
	qh_named_row_set(&row, "rows_dropped", Int64GetDatum(qh_last_scan.ndropped));
	qh_named_row_set(&row, "values_read", Int64GetDatum(qh_last_scan.nvalues));
	qh_named_row_set(&row, "batch_calls", Int64GetDatum(qh_last_scan.ncalls));
	qh_named_row_set(&row, "values_batched", Int64GetDatum(qh_last_scan.nbatched));
	qh_named_row_set(&row, "ef_search", Int32GetDatum(qh_last_scan.ef));
	qh_named_row_set(&row, "oversample", Float8GetDatum(qh_last_scan.oversample));
	qh_named_row_set(&row, "doubt", Float8GetDatum(qh_last_scan.doubt));
	qh_named_row_set(&row, "limited", BoolGetDatum(qh_last_scan.limited));
	PG_RETURN_DATUM(qh_named_row_end(&row));
}
