/*
 * info.c
 *		qhnsw_info and qhnsw_last_scan: what an index holds, and what a scan did.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/index.h"
#include "scan/scan.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "compat.h"
#include "funcapi.h"
#include "inspect/inspect.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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
	int64		slots[QH_SLOT_POSTING + 1];
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

		if (state > QH_SLOT_POSTING)
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

Datum
qhnsw_info(PG_FUNCTION_ARGS)
{
	Relation	heap;
	Relation	index = qh_inspect_open(PG_GETARG_OID(0), &heap);
	TupleDesc	desc;
	QhIndex    *ix;
	Counts		counts = {0};
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);
	Datum		values[33];
	bool		nulls[33] = {0};
	QhDrift		drift = {0};
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!index->rd_index->indisready)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(index)),
				 errdetail("Its build did not end.")));
	ix = qh_index_acquire(index, CurrentMemoryContext);
	if (ix->meta.ndims > 0)
	{
		QhRelStore	rs;

		qh_relstore_init(&rs, index, ix);
		qh_index_refresh_size(ix, index);
		count_slots(&rs, &counts);
		qh_measure_drift(&rs, &drift);
	}

	values[n++] = Int32GetDatum(ix->meta.version);
	values[n++] = CStringGetTextDatum(metric_name(ix->meta.metric));
	values[n++] = CStringGetTextDatum(ix->meta.code_kind == QV_CODE_BITS ? "bits" : "rabitq");
	values[n++] = Int32GetDatum(ix->meta.code_nbits);
	nulls[n] = ix->meta.ndims == 0;
	values[n++] = Int32GetDatum(ix->meta.ndims);
	values[n++] = Int32GetDatum(ix->meta.m);
	values[n++] = Int32GetDatum(ix->meta.ef_construction);
	values[n++] = Int64GetDatum(counts.slots[QH_SLOT_LIVE]);
	values[n++] = Int64GetDatum(counts.rows);
	values[n++] = Int32GetDatum(ix->nentries);
	values[n++] = Int64GetDatum(counts.links);
	values[n++] = Int64GetDatum(counts.slots[QH_SLOT_FREE]);
	values[n++] = Int64GetDatum(counts.slots[QH_SLOT_RESERVED]);
	values[n++] = Int64GetDatum(counts.slots[QH_SLOT_DYING]);
	values[n++] = Int64GetDatum(counts.slots[QH_SLOT_POSTING]);
	values[n++] = Int32GetDatum(ix->meta.code_nbytes);
	values[n++] = Int32GetDatum(qh_meta_link_nbytes(&ix->meta));
	values[n++] = Int64GetDatum(nblocks);
	values[n++] = Int64GetDatum(counts.blocks[QH_ARRAY_CODE]);
	values[n++] = Int64GetDatum(counts.blocks[QH_ARRAY_LINK]);
	values[n++] = Int64GetDatum(counts.blocks[QH_ARRAY_ROW]);
	nulls[n] = counts.rows == 0;
	values[n++] = Float8GetDatum(counts.rows == 0 ? 0 : (double) nblocks * BLCKSZ / counts.rows);
	values[n++] = BoolGetDatum(ix->meta.nparam_pages > 0);
	values[n++] = Int32GetDatum(ix->meta.refine_nbits);
	nulls[n] = ix->meta.nparam_pages == 0;
	values[n++] = Float8GetDatum(drift.trained_spread);
	nulls[n] = !drift.known;
	values[n++] = Float8GetDatum(drift.spread);
	nulls[n] = !drift.known;
	values[n++] = Float8GetDatum(drift.drift);
	nulls[n] = drift.ninserts == 0;
	values[n++] = Float8GetDatum(drift.inserted_spread);
	nulls[n] = ix->meta.code_kind != QV_CODE_RABITQ;
	values[n++] = BoolGetDatum(qh_reindex_advised(&drift));
	values[n++] = Float4GetDatum(ix->meta.hub_fraction);
	values[n++] = Int32GetDatum(ix->meta.m_low);
	values[n++] = Int64GetDatum(counts.hubs);
	values[n++] = Int64GetDatum(counts.blocks[QH_ARRAY_HUB]);
	index_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

Datum
qhnsw_last_scan(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[15];
	bool		nulls[15] = {0};
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[n++] = Int64GetDatum(qh_last_scan.ncodes);
	values[n++] = Int64GetDatum(qh_last_scan.nexpanded);
	values[n++] = Int64GetDatum(qh_last_scan.npins);
	values[n++] = Int64GetDatum(qh_last_scan.nmisses);
	values[n++] = Int64GetDatum(qh_last_scan.nflat);
	values[n++] = Int64GetDatum(qh_last_scan.nfetched);
	values[n++] = Int64GetDatum(qh_last_scan.nreturned);
	values[n++] = Int64GetDatum(qh_last_scan.nlate);
	values[n++] = Int64GetDatum(qh_last_scan.nrefined);
	values[n++] = Int64GetDatum(qh_last_scan.nahead);
	values[n++] = Int64GetDatum(qh_last_scan.nrecomputed);
	values[n++] = Int64GetDatum(qh_last_scan.nbatches);
	values[n++] = Int64GetDatum(qh_last_scan.nfiltered);
	values[n++] = Int64GetDatum(qh_last_scan.nvalues);
	values[n++] = BoolGetDatum(qh_last_scan.limited);
	Assert(n == lengthof(values) && n == desc->natts);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
