/*
 * recompute.c
 *		Values of an index on an expression, computed for many rows at once by the index's batch function.
 *
 * A model takes little longer for many texts than for one.  So rows wait until a batch is full, or
 * until nothing can be decided without them.  Must not know why they are looked at.  src/column/BATCHES.md.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "executor/executor.h"
#include "scan/rescore.h"

void
qh_recompute_begin(QhScan *scan)
{
	QhFetching *fetching = &scan->q.fetching;

	if (!scan->q.rescore)
		return;
	fetching->batch = qh_batch_begin(scan->desc->indexRelation, fetching->index_info);
	if (fetching->batch != NULL)
		fetching->waiting = palloc(sizeof(QhCandidateRow) * fetching->batch->function.size);
}

void
qh_recompute_end(QhScan *scan)
{
	if (scan->q.fetching.batch != NULL)
		qh_batch_end(scan->q.fetching.batch);
	scan->q.fetching.batch = NULL;
}

bool
qh_recompute_wait(QhScan *scan, const QhCandidateRow *row)
{
	QhFetching *fetching = &scan->q.fetching;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(fetching->estate));
	bool		full;

	FormIndexDatum(fetching->batch->info, fetching->slot, fetching->estate, values, isnull);
	fetching->waiting[fetching->batch->n] = *row;
	full = qh_batch_add(fetching->batch, &row->tid, values, isnull, true);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(fetching->estate);
	return full;
}

void
qh_recompute_values(QhScan *scan)
{
	QhBatch    *batch = scan->q.fetching.batch;
	QhScanStats *stats = &scan->q.stats;

	qh_batch_compute(batch, scan->q.ix->meta.ndims);
	stats->nrecomputed += batch->n;
	stats->nvalues += batch->n;
	stats->ncalls = batch->ncalls;
	stats->nbatched = batch->nvalues;
}

void
qh_recompute_clear(QhScan *scan)
{
	qh_batch_clear(scan->q.fetching.batch);
}
