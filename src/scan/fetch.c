/*
 * fetch.c
 *		Rows of the table, fetched to compute their exact distances and to drop what the query's filter drops.
 *
 * Rows are fetched in batches, in the order of the table.  What may be returned goes into the
 * pool.  Must not know how many rows are wanted.  README.md, section "Rescoring".
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "kernel/kernel.h"
#include "scan/recent.h"
#include "scan/rescore.h"
#include "type/known.h"

/* Bits of a sorted row pointer that say which of its batch it is. */
#define PLACE_BITS		16

/* Look up the function of the distance operator: once for all rescans. */
static void
find_distance(QhScan *scan)
{
	Relation	index = scan->desc->indexRelation;

	if (OidIsValid(scan->distance.fn_oid))
		return;
	qh_column_distance(index, &scan->distance, scan->cxt);
	scan->collation = index->rd_indcollation[0];
}

void
qh_fetch_begin(QhScan *scan)
{
	QhFetching *fetching = &scan->q.fetching;

	find_distance(scan);
	fetching->index_info = BuildIndexInfo(scan->desc->indexRelation);
	fetching->estate = CreateExecutorState();
	fetching->slot = table_slot_create(scan->q.heap, NULL);
	GetPerTupleExprContext(fetching->estate)->ecxt_scantuple = fetching->slot;
	fetching->fetch = qh_table_index_fetch_begin(scan->q.heap);
	qh_recompute_begin(scan);
	/* what the plan computes of rows returned need not be read again */
	if (scan->q.rescore)
		qv_known_begin(scan->distance.fn_oid, scan->q.value, scan->query_cxt);
}

void
qh_fetch_end(QhScan *scan)
{
	QhFetching *fetching = &scan->q.fetching;

	qh_recompute_end(scan);
	if (fetching->fetch)
		table_index_fetch_end(fetching->fetch);
	if (fetching->slot)
		ExecDropSingleTupleTableSlot(fetching->slot);
	if (fetching->estate)
		FreeExecutorState(fetching->estate);
	memset(fetching, 0, sizeof(*fetching));
}

/* Distance of the row in the slot by the column's operator; false if its value is NULL. */
static bool
exact_distance(QhScan *scan, double *dist)
{
	QhFetching *fetching = &scan->q.fetching;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(fetching->estate));

	FormIndexDatum(fetching->index_info, fetching->slot, fetching->estate, values, isnull);
	if (fetching->index_info->ii_Expressions != NIL)
		scan->q.stats.nrecomputed++;
	scan->q.stats.nvalues++;
	if (!isnull[0])
		*dist = DatumGetFloat8(FunctionCall2Coll(&scan->distance, scan->collation,
												 values[0], scan->q.value));
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(fetching->estate);
	return !isnull[0];
}

/* Remember the distance of a row, but one that was remembered already. */
static inline void
remember(QhScan *scan, const QhCandidateRow *row, double dist)
{
	if (!isnan(row->estimate))
		qh_recent_put(scan->q.recent, &row->tid, row->estimate, dist);
}

/* Does the row's interval tell all that is to be known for now: on which side of the bounds it is? */
static inline bool
is_told(const QhScan *scan, const QhCandidateRow *row)
{
	return row->has_interval &&
		qh_is_before(scan, row->interval.low) == qh_is_before(scan, row->interval.high) &&
		qh_is_beyond(scan, row->interval.low) == qh_is_beyond(scan, row->interval.high);
}

/*
 * Put the row in the slot into the pool if it may be returned.  Within bounds of the distance
 * that comes before the filter, which may cost more.
 */
static void
judge_row(QhScan *scan, const QhCandidateRow *row)
{
	QhQueryState *q = &scan->q;
	double		dist = row->code_dist;
	double		width = 0;
	bool		is_known = false;

	q->stats.nfetched++;
	if (q->rescore && is_told(scan, row))
	{
		dist = row->interval.low;
		width = row->interval.high - dist;
		is_known = true;
	}
	else if (q->rescore && q->bounded)
	{
		if (!exact_distance(scan, &dist))
			return;
		is_known = true;
	}
	if (qh_is_before(scan, dist))
	{
		q->nbefore++;
		q->stats.nfiltered++;
		qh_plan_count_dropped(&scan->plan);
		remember(scan, row, dist);
		return;
	}
	if (q->recheck && scan->plan.scan != NULL && !qh_plan_passes_keys(&scan->plan, q->fetching.slot))
		return;
	if (q->filter && !qh_is_beyond(scan, dist) && !qh_plan_passes(&scan->plan, q->fetching.slot))
	{
		q->stats.nfiltered++;
		return;
	}
	if (q->rescore && !is_known && !exact_distance(scan, &dist))
		return;
	remember(scan, row, dist);
	qh_pool_add(scan, &row->tid, dist, width, 0);
}

/* Put the row that a row pointer leads to under the scan's snapshot into the slot, if there is one. */
static bool
find_row(QhScan *scan, const ItemPointerData *tid)
{
	QhFetching *fetching = &scan->q.fetching;
	ItemPointerData root = *tid;	/* the fetch moves it along the HOT chain */
	bool		call_again = false;
	bool		all_dead = false;

	qh_heap_pin(&scan->rs, fetching->fetch, ItemPointerGetBlockNumber(&root));
	return table_index_fetch_tuple(fetching->fetch, &root, scan->desc->xs_snapshot, fetching->slot,
								   &call_again, &all_dead);
}

/* ---- values computed together ---- */

/* Distance of a value by the column's operator. */
static double
distance_of(QhScan *scan, Datum value)
{
	EState	   *estate = scan->q.fetching.estate;
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	double		dist = DatumGetFloat8(FunctionCall2Coll(&scan->distance, scan->collation, value, scan->q.value));

	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(estate);
	return dist;
}

/*
 * A row whose value was computed, as judge_row does it.  Its tuple is fetched again where the filter
 * comes behind the bounds.
 */
static void
judge_waiting(QhScan *scan, const QhCandidateRow *row, Datum value)
{
	QhQueryState *q = &scan->q;
	double		dist = distance_of(scan, value);

	if (qh_is_before(scan, dist))
	{
		q->nbefore++;
		q->stats.nfiltered++;
		qh_plan_count_dropped(&scan->plan);
		remember(scan, row, dist);
		return;
	}
	if (q->filter && q->bounded && !qh_is_beyond(scan, dist))
	{
		if (!find_row(scan, &row->tid))
			return;
		if (!qh_plan_passes(&scan->plan, q->fetching.slot))
		{
			q->stats.nfiltered++;
			return;
		}
	}
	remember(scan, row, dist);
	qh_pool_add(scan, &row->tid, dist, 0, 0);
}

bool
qh_fetch_waiting(QhScan *scan)
{
	QhFetching *fetching = &scan->q.fetching;

	if (qh_nwaiting(scan) == 0)
		return false;
	qh_recompute_values(scan);
	for (int i = 0; i < fetching->batch->n; i++)
	{
		const QhBatchRow *computed = &fetching->batch->rows[i];

		if (!computed->isnull[0])
			judge_waiting(scan, &fetching->waiting[i], computed->values[0]);
	}
	ExecClearTuple(fetching->slot);
	qh_recompute_clear(scan);
	return true;
}

/* Let the row in the slot wait for its value, unless the filter drops it for less. */
static void
wait_for_value(QhScan *scan, const QhCandidateRow *row)
{
	QhQueryState *q = &scan->q;

	q->stats.nfetched++;
	if (q->recheck && scan->plan.scan != NULL && !qh_plan_passes_keys(&scan->plan, q->fetching.slot))
		return;
	if (q->filter && !q->bounded && !qh_plan_passes(&scan->plan, q->fetching.slot))
		q->stats.nfiltered++;
	else if (qh_recompute_wait(scan, row))
		(void) qh_fetch_waiting(scan);
}

/* ---- rows ---- */

static void
fetch_row(QhScan *scan, const QhCandidateRow *row)
{
	if (!find_row(scan, &row->tid))
		return;
	if (scan->q.fetching.batch != NULL)
		wait_for_value(scan, row);
	else
		judge_row(scan, row);
	ExecClearTuple(scan->q.fetching.slot);
}

bool
qh_fetch_distance(QhScan *scan, const ItemPointerData *tid, double *dist)
{
	bool		found = find_row(scan, tid) && exact_distance(scan, dist);

	ExecClearTuple(scan->q.fetching.slot);
	return found;
}

/*
 * The rows of a batch as they lie in the table: row pointers, each with its place in the batch in
 * the lowest bits.
 */
static void
sort_by_table(const QhCandidateRow *rows, int nrows, uint64 *sorted)
{
	uint64		keys[QH_FETCH_BATCH];

	Assert(nrows <= QH_FETCH_BATCH);
	for (int i = 0; i < nrows; i++)
		keys[i] = qh_tid_to_queue(&rows[i].tid) << PLACE_BITS | i;
	qv_kernels()->sort_u64(keys, nrows, sorted);
}

void
qh_fetch_rows(QhScan *scan, const QhCandidateRow *rows, int nrows)
{
	ItemPointerData tids[QH_FETCH_BATCH];
	uint64		sorted[QH_FETCH_BATCH];

	scan->q.stats.nbatches++;
	sort_by_table(rows, nrows, sorted);
	for (int i = 0; i < nrows; i++)
		qh_queue_to_tid(sorted[i] >> PLACE_BITS, &tids[i]);
	qh_heap_prefetch(&scan->rs, scan->q.heap, tids, nrows);
	for (int i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_row(scan, &rows[sorted[i] & ((1 << PLACE_BITS) - 1)]);
	}
}

void
qh_fetch_remembered(QhScan *scan, const QhQueued *queued)
{
	QhCandidateRow row = {.code_dist = queued->dist, .estimate = NAN};

	qh_pool_to_tid(queued->what, &row.tid);
	scan->q.npooled--;
	fetch_row(scan, &row);
	(void) qh_fetch_waiting(scan);
}
