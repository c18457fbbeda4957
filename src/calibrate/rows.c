/*
 * rows.c
 *		Rows of the table: fetched by their row pointers, their values and distances.
 *
 * Also begins and ends a measurement, and knows how long it has taken.  Must not know what is
 * measured.  See README.md.
 */
#include "compat.h"

#include <sys/resource.h>

#include "calibrate/measure.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "scan/scan.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * Where other processes, or disks, hold it up, a measurement takes so many times as long at most.
 */
#define PATIENCE	32.0

/* Processor time of this process in milliseconds. */
static double
processor_ms(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000.0 +
		(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000.0;
}

/* As index_beginscan does it; that refuses an index which is being built. */
static IndexScanDesc
begin_scan(QhMeasure *measure)
{
	IndexScanDesc scan = qhnswbeginscan(measure->what->index, 0, 1);

	scan->heapRelation = measure->what->heap;
	scan->xs_snapshot = measure->what->snapshot;
	return scan;
}

static void
find_distance(QhMeasure *measure)
{
	Relation	index = measure->what->index;

	qh_column_distance(index, &measure->distance, CurrentMemoryContext);
	measure->collation = index->rd_indcollation[0];
	measure->typlen = get_typlen(index->rd_opcintype[0]);
}

void
qh_measure_begin(QhMeasure *measure, const QhCalibration *what)
{
	memset(measure, 0, sizeof(*measure));
	INSTR_TIME_SET_CURRENT(measure->start);
	measure->start_ms = processor_ms();
	measure->what = what;
	measure->cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw calibration", ALLOCSET_DEFAULT_SIZES);
	measure->ix = qh_index_acquire(what->index, measure->cxt);
	measure->column = qh_column(what->index);
	find_distance(measure);
	measure->info = BuildIndexInfo(what->index);
	measure->estate = CreateExecutorState();
	measure->row_cxt = GetPerTupleMemoryContext(measure->estate);
	measure->slot = table_slot_create(what->heap, NULL);
	GetPerTupleExprContext(measure->estate)->ecxt_scantuple = measure->slot;
	measure->fetch = qh_table_index_fetch_begin(what->heap);
	measure->scan = begin_scan(measure);
	measure->batch = qh_batch_begin(what->index, measure->info);
}

void
qh_measure_end(QhMeasure *measure)
{
	if (measure->batch != NULL)
		qh_batch_end(measure->batch);
	qhnswendscan(measure->scan);
	IndexScanEnd(measure->scan);
	table_index_fetch_end(measure->fetch);
	ExecDropSingleTupleTableSlot(measure->slot);
	FreeExecutorState(measure->estate);
	MemoryContextDelete(measure->cxt);
}

double
qh_measure_elapsed(const QhMeasure *measure)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, measure->start);
	return Max(Max(processor_ms() - measure->start_ms, INSTR_TIME_GET_MILLISEC(now) / PATIENCE),
			   QH_MS_PER_CODE * measure->work);
}

bool
qh_measure_is_over(const QhMeasure *measure, double share)
{
	return measure->what->max_ms > 0 && qh_measure_elapsed(measure) > share * measure->what->max_ms;
}

/* Call back if the value is indexed. */
static void
take_value(QhMeasure *measure, const QhBatchRow *row, QhMeasureCallback callback, void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(measure->row_cxt);
	Datum		value = row->values[0];
	QhValue		read;

	if (!row->isnull[0])
	{
		if (measure->typlen == -1)
			value = PointerGetDatum(PG_DETOAST_DATUM(value));
		qh_column_read(measure->column, value, &read);
		if (qh_column_indexable(measure->column, &read, measure->ix->meta.ndims))
			callback(measure, &row->tid, value, arg);
	}
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(measure->estate);
}

void
qh_measure_take_waiting(QhMeasure *measure, QhMeasureCallback callback, void *arg)
{
	QhBatch    *batch = measure->batch;

	if (batch == NULL || batch->n == 0)
		return;
	qh_batch_compute(batch, measure->ix->meta.ndims);
	for (int i = 0; i < batch->n; i++)
		take_value(measure, &batch->rows[i], callback, arg);
	qh_batch_clear(batch);
}

void
qh_measure_take(QhMeasure *measure, QhMeasureCallback callback, void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(measure->row_cxt);
	QhBatch    *batch = measure->batch;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	QhBatchRow	row = {measure->slot->tts_tid, true, values, isnull};

	FormIndexDatum(batch != NULL ? batch->info : measure->info, measure->slot, measure->estate, values, isnull);
	MemoryContextSwitchTo(old);
	if (batch == NULL)
		take_value(measure, &row, callback, arg);
	else if (qh_batch_add(batch, &row.tid, values, isnull, true))
		qh_measure_take_waiting(measure, callback, arg);
	ResetPerTupleExprContext(measure->estate);
}

bool
qh_measure_fetch(QhMeasure *measure, const ItemPointerData *tid)
{
	ItemPointerData root = *tid;	/* the fetch moves it along the HOT chain */
	bool		call_again = false;
	bool		all_dead = false;

	return table_index_fetch_tuple(measure->fetch, &root, measure->what->snapshot, measure->slot,
								   &call_again, &all_dead);
}

double
qh_measure_distance(QhMeasure *measure, Datum value, const QhQuery *query)
{
	return DatumGetFloat8(FunctionCall2Coll(&measure->distance, measure->collation, value, query->value));
}
