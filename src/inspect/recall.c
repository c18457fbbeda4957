/*
 * recall.c
 *		qhnsw_recall: what share of the nearest rows a scan of the index finds.
 *
 * Reads the table twice (once to draw queries, once to find the nearest rows of all of them at
 * the same time), then scans the index for each.  See README.md, section "Recall".
 */
#include "compat.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "am/am.h"
#include "calibrate/nearest.h"
#include "catalog/index.h"
#include "column/batch.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "inspect/inspect.h"
#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(qhnsw_recall);

/* Memory is k * samples distances and as many vectors as samples. */
#define MAX_K				10000
#define MAX_SAMPLES			10000

/* A fixed one: two settings are compared on the same queries. */
#define SAMPLE_SEED			UINT64CONST(0x71686E7377)

/* A row drawn as a query, and the distances of the rows nearest to it. */
typedef struct Sample
{
	pairingheap_node node;		/* in the queue of samples, by key */
	uint64		key;			/* random */
	Datum		value;
	double	   *nearest;		/* a max-heap */
	int			nnearest;
} Sample;

typedef struct Recall
{
	Relation	heap;
	Relation	index;
	const QhColumn *column;
	FmgrInfo	distance;
	Oid			collation;
	int16		typlen;
	int			k;
	int			max_samples;

	IndexInfo  *info;
	EState	   *estate;
	ExprState  *predicate;
	TupleTableSlot *slot;
	MemoryContext row_cxt;		/* reset after each row */

	pairingheap *queue;			/* largest key on top */
	Sample	   *samples;
	int			nsamples;
	pg_prng_state prng;

	QhBatch    *batch;			/* rows whose values are computed together; NULL where each is alone */
	uint64	   *keys;			/* theirs */

	const Sample *sample;		/* that is searched for, and what was found */
	int			nfound;
} Recall;

/* ---- the table ---- */

/* What is done with the value of a row: it may have been given a random key. */
typedef void (*ValueCallback) (Recall *recall, Datum value, uint64 key);

/* Call back if the value is indexed; in row_cxt. */
static void
take_value(Recall *recall, Datum value, bool isnull, uint64 key, ValueCallback callback)
{
	QhValue		read;

	if (isnull)
		return;
	if (recall->typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	qh_column_read(recall->column, value, &read);
	if (qh_column_indexable(recall->column, &read, 0))
		callback(recall, value, key);
}

/* Compute the values of the rows that wait. */
static void
take_waiting(Recall *recall, ValueCallback callback)
{
	QhBatch    *batch = recall->batch;

	if (batch == NULL || batch->n == 0)
		return;
	qh_batch_compute(batch, 0);
	for (int i = 0; i < batch->n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(recall->row_cxt);

		take_value(recall, batch->rows[i].values[0], batch->rows[i].isnull[0], recall->keys[i], callback);
		MemoryContextSwitchTo(old);
		MemoryContextReset(recall->row_cxt);
	}
	qh_batch_clear(batch);
}

/* Call back with the indexed value of the row in the slot, now or when those of others are computed. */
static void
take_row(Recall *recall, uint64 key, ValueCallback callback)
{
	MemoryContext old = MemoryContextSwitchTo(recall->row_cxt);
	QhBatch    *batch = recall->batch;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	bool		full = false;

	FormIndexDatum(batch != NULL ? batch->info : recall->info, recall->slot, recall->estate, values, isnull);
	if (batch == NULL)
		take_value(recall, values[0], isnull[0], key, callback);
	else
	{
		recall->keys[batch->n] = key;
		full = qh_batch_add(batch, &recall->slot->tts_tid, values, isnull, true);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(recall->row_cxt);
	if (full)
		take_waiting(recall, callback);
}

static bool
is_indexed(Recall *recall)
{
	MemoryContext old = MemoryContextSwitchTo(recall->row_cxt);
	bool		indexed = ExecQual(recall->predicate, GetPerTupleExprContext(recall->estate));

	MemoryContextSwitchTo(old);
	return indexed;
}

/* Call back for each row of the table that the index is for, and that wants() does not leave out. */
static void
each_row(Recall *recall, Snapshot snapshot, bool (*wants) (Recall *recall, uint64 *key), ValueCallback callback)
{
	/* from the first block on: a synchronized scan would draw other rows each time */
	TableScanDesc scan = table_beginscan_strat(recall->heap, snapshot, 0, NULL, true, false);

	GetPerTupleExprContext(recall->estate)->ecxt_scantuple = recall->slot;
	while (table_scan_getnextslot(scan, ForwardScanDirection, recall->slot))
	{
		uint64		key = 0;

		CHECK_FOR_INTERRUPTS();
		if (is_indexed(recall) && wants(recall, &key))
			take_row(recall, key, callback);
		MemoryContextReset(recall->row_cxt);
	}
	take_waiting(recall, callback);
	table_endscan(scan);
}

/* ---- drawing queries ---- */

static int
compare_keys(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	uint64		x = pairingheap_const_container(Sample, node, a)->key;
	uint64		y = pairingheap_const_container(Sample, node, b)->key;

	return x < y ? -1 : x > y;
}

static bool
is_drawn(const Recall *recall, uint64 key)
{
	return recall->nsamples < recall->max_samples ||
		key < pairingheap_container(Sample, node, pairingheap_first(recall->queue))->key;
}

/*
 * Keep the rows with the smallest of random keys: every row has the same chance, and the value
 * (an expression may be dear) is looked at only where the key is small enough.
 */
static bool
draw(Recall *recall, uint64 *key)
{
	*key = pg_prng_uint64(&recall->prng);
	return is_drawn(recall, *key);
}

static void
keep(Recall *recall, Datum value, uint64 key)
{
	Sample	   *sample;

	/* others may have come between */
	if (!is_drawn(recall, key))
		return;
	if (recall->nsamples == recall->max_samples)
	{
		sample = pairingheap_container(Sample, node, pairingheap_remove_first(recall->queue));
		pfree(DatumGetPointer(sample->value));
	}
	else
		sample = &recall->samples[recall->nsamples++];
	MemoryContextSwitchTo(GetMemoryChunkContext(recall->samples));
	sample->key = key;
	sample->value = datumCopy(value, false, recall->typlen);
	pairingheap_add(recall->queue, &sample->node);
	MemoryContextSwitchTo(recall->row_cxt);
}

/* ---- exact search ---- */

static double
distance_to(Recall *recall, Datum value, const Sample *sample)
{
	return DatumGetFloat8(FunctionCall2Coll(&recall->distance, recall->collation, value, sample->value));
}

static bool
want_all(Recall *recall, uint64 *key)
{
	return true;
}

static void
measure(Recall *recall, Datum value, uint64 key)
{
	for (int i = 0; i < recall->nsamples; i++)
	{
		if ((i & 255) == 255)
			CHECK_FOR_INTERRUPTS();
		qh_nearest_offer(recall->samples[i].nearest, &recall->samples[i].nnearest, recall->k,
						 distance_to(recall, value, &recall->samples[i]));
	}
}

/* ---- the index ---- */

/* Rows as far as the k-th nearest may take each other's place. */
static void
count(Recall *recall, Datum value, uint64 key)
{
	if (float8_le(distance_to(recall, value, recall->sample), recall->sample->nearest[0]))
		recall->nfound++;
}

/* How many of the first k rows of a scan are no farther than the k-th nearest. */
static int
count_found(Recall *recall, IndexScanDesc scan, const Sample *sample)
{
	ScanKeyData key;

	recall->sample = sample;
	recall->nfound = 0;
	MemSet(&key, 0, sizeof(key));
	key.sk_flags = SK_ORDER_BY;
	key.sk_attno = 1;
	key.sk_strategy = QH_DISTANCE_STRATEGY;
	key.sk_subtype = recall->index->rd_opcintype[0];
	key.sk_collation = recall->collation;
	key.sk_func = recall->distance;
	key.sk_argument = sample->value;
	index_rescan(scan, NULL, 0, &key, 1);
	for (int i = 0; i < sample->nnearest; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!index_getnext_slot(scan, ForwardScanDirection, recall->slot))
			break;
		take_row(recall, 0, count);
	}
	take_waiting(recall, count);
	return recall->nfound;
}

/* Share of the rows wanted that scans with the settings in force find. */
static double
search_index(Recall *recall, Snapshot snapshot)
{
	IndexScanDesc scan = qh_index_beginscan(recall->heap, recall->index, snapshot, 1);
	double		nfound = 0;
	double		nwanted = 0;

	GetPerTupleExprContext(recall->estate)->ecxt_scantuple = recall->slot;
	for (int i = 0; i < recall->nsamples; i++)
	{
		nfound += count_found(recall, scan, &recall->samples[i]);
		nwanted += recall->samples[i].nnearest;
	}
	index_endscan(scan);
	return nfound / nwanted;
}

/* ---- putting it together ---- */

void
qh_inspect_check_argument(const char *name, int value, int max)
{
	if (value < 1 || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 1 and %d, not %d", name, max, value)));
}

/* The result tells of rows: the caller must be allowed to read all of them. */
void
qh_inspect_check_rights(Relation heap)
{
	if (pg_class_aclcheck(RelationGetRelid(heap), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(heap));
	if (check_enable_rls(RelationGetRelid(heap), InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("recall cannot be measured on table \"%s\", which has row-level security",
						RelationGetRelationName(heap))));
}

static void
begin(Recall *recall)
{
	Relation	index = recall->index;

	qh_column_distance(index, &recall->distance, CurrentMemoryContext);
	recall->column = qh_column(index);
	recall->collation = index->rd_indcollation[0];
	recall->typlen = get_typlen(index->rd_opcintype[0]);
	recall->info = BuildIndexInfo(index);
	recall->estate = CreateExecutorState();
	recall->row_cxt = GetPerTupleMemoryContext(recall->estate);
	recall->slot = table_slot_create(recall->heap, NULL);
	recall->predicate = ExecPrepareQual(recall->info->ii_Predicate, recall->estate);
	recall->queue = pairingheap_allocate(compare_keys, NULL);
	recall->samples = palloc0(sizeof(Sample) * recall->max_samples);
	pg_prng_seed(&recall->prng, SAMPLE_SEED);
	recall->batch = qh_batch_begin(index, recall->info);
	if (recall->batch != NULL)
		recall->keys = palloc(sizeof(uint64) * recall->batch->function.size);
}

/* Measure, and return false where no row is a query. */
static bool
measure_recall(Recall *recall, double *result)
{
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	Oid			user;
	int			security;
	int			nest_level;

	/* functions of an index run as in any maintenance: as the table's owner, restricted */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(recall->heap->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	qh_restrict_search_path();

	begin(recall);
	each_row(recall, snapshot, draw, keep);
	if (recall->nsamples > 0)
	{
		for (int i = 0; i < recall->nsamples; i++)
			recall->samples[i].nearest = palloc(sizeof(double) * recall->k);
		each_row(recall, snapshot, want_all, measure);
		*result = search_index(recall, snapshot);
	}

	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, security);
	if (recall->batch != NULL)
		qh_batch_end(recall->batch);
	ExecDropSingleTupleTableSlot(recall->slot);
	FreeExecutorState(recall->estate);
	UnregisterSnapshot(snapshot);
	return recall->nsamples > 0;
}

static void
put_recall(FunctionCallInfo fcinfo, Oid relid)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Recall		recall = {0};
	double		result = 0;
	Datum		value;
	bool		isnull;

	recall.k = PG_GETARG_INT32(1);
	recall.max_samples = PG_GETARG_INT32(2);
	recall.index = qh_inspect_open(relid, &recall.heap);
	if (!recall.index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(recall.index))));
	qh_inspect_check_rights(recall.heap);
	isnull = !measure_recall(&recall, &result);
	value = Float8GetDatum(result);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	table_close(recall.heap, AccessShareLock);
	index_close(recall.index, AccessShareLock);
}

/* One row an index: a plain one has one. */
Datum
qhnsw_recall(PG_FUNCTION_ARGS)
{
	MemoryContext index_cxt;
	ListCell   *lc;

	qh_inspect_check_argument("k", PG_GETARG_INT32(1), MAX_K);
	qh_inspect_check_argument("samples", PG_GETARG_INT32(2), MAX_SAMPLES);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	index_cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw recall", ALLOCSET_DEFAULT_SIZES);
	foreach(lc, qh_inspect_indexes(PG_GETARG_OID(0)))
	{
		MemoryContext old = MemoryContextSwitchTo(index_cxt);

		put_recall(fcinfo, lfirst_oid(lc));
		MemoryContextSwitchTo(old);
		MemoryContextReset(index_cxt);
	}
	return (Datum) 0;
}
