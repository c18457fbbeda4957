/*
 * batched_scan.c
 *		Scans of a table for what is to be indexed, with the expression computed for many rows at once where the index says how.
 *
 * Stands between table_index_build_scan() and its callback: rows with the arguments of the
 * expression are collected, and handed on with its values.  Must not know what is done with them.
 * See src/column/BATCHES.md.
 */
#include "postgres.h"

#include "build/batched_scan.h"

/* Compute what was collected, and hand it on. */
static void
hand_on(QhBatchedScan *scan)
{
	QhBatch    *batch = scan->batch;

	if (batch->n == 0)
		return;
	qh_batch_compute(batch, *scan->ndims);
	for (int i = 0; i < batch->n; i++)
	{
		QhBatchRow *row = &batch->rows[i];

		scan->callback(scan->index, &row->tid, row->values, row->isnull, row->alive, scan->state);
	}
	qh_batch_clear(batch);
}

static void
collect_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	QhBatchedScan *scan = (QhBatchedScan *) state;

	if (qh_batch_add(scan->batch, tid, values, isnull, alive))
		hand_on(scan);
}

void
qh_batched_begin(QhBatchedScan *scan)
{
	scan->batch = qh_batch_begin(scan->index, scan->info);
}

double
qh_batched_table(QhBatchedScan *scan, bool allow_sync, bool progress, TableScanDesc how)
{
	double		ntuples;

	if (scan->batch == NULL)
		return table_index_build_scan(scan->heap, scan->index, scan->info, allow_sync, progress,
									  scan->callback, scan->state, how);
	ntuples = table_index_build_scan(scan->heap, scan->index, scan->batch->info, allow_sync, progress,
									 collect_row, scan, how);
	if (scan->batch->info->ii_BrokenHotChain)
		scan->info->ii_BrokenHotChain = true;
	return ntuples;
}

void
qh_batched_block(QhBatchedScan *scan, BlockNumber blkno)
{
	bool		batched = scan->batch != NULL;

	table_index_build_range_scan(scan->heap, scan->index, batched ? scan->batch->info : scan->info, false, false, false,
								 blkno, 1, batched ? collect_row : scan->callback, batched ? scan : scan->state, NULL);
}

void
qh_batched_end(QhBatchedScan *scan)
{
	if (scan->batch == NULL)
		return;
	hand_on(scan);
	qh_batch_end(scan->batch);
	scan->batch = NULL;
}

uint32
qh_batched_pending(const QhBatchedScan *scan)
{
	return scan->batch != NULL ? (uint32) scan->batch->n : 0;
}
