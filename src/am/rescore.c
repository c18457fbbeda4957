/*
 * rescore.c
 *		Rows in their exact order: the codes choose candidates, the column's value decides.
 *
 * Candidates are fetched from the heap in batches, sorted by block and prefetched; a row is
 * returned once oversample times as many candidates as rows wanted so far have been looked
 * at.  See README.md, section "Rescoring".
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "access/tableam.h"
#include "am/scan.h"
#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

/*
 * Looked at beyond oversample times the rows wanted.  LIMIT 10 and less at oversample 3 look at 39 rows: recall .99 of the
 * best 40 against .98 of the best 30 on bge-base embeddings (findings, section 3).  Growing
 * from 13 rows for the first one on lost 4 points of recall@10 to rows that came late.
 */
#define LOOKAHEAD		9

/* The same where a finer code has put the candidates in order: five rows more than wanted, or a tenth. */
#define LOOKAHEAD_REFINED 5
#define LOOKAHEAD_REFINED_SHARE 10

/*
 * Beyond that, candidates estimated nearer than the row about to be returned are fetched
 * too: in a cluster tighter than the error of the codes the rank says little.  At most
 * this many times ef_search of them, or times the rows wanted where none may come late; chosen by hand.
 */
#define MAX_DOUBT		10
/* A row that came late shows that too few were looked at: it counts for this many. Chosen by hand. */
#define LATE_WEIGHT		10

#define FETCH_BATCH		64

static int
compare_rescored(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	double		x = pairingheap_const_container(QhRescored, node, a)->dist;
	double		y = pairingheap_const_container(QhRescored, node, b)->dist;

	/* a max-heap: nearest on top, NaN last */
	return float8_cmp_internal(y, x);
}

void
qh_rescore_begin(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	MemoryContext old = MemoryContextSwitchTo(scan->query_cxt);

	scan->queue = pairingheap_allocate(compare_rescored, NULL);
	if (scan->rescore)
	{
		scan->index_info = BuildIndexInfo(desc->indexRelation);
		scan->estate = CreateExecutorState();
		scan->slot = table_slot_create(desc->heapRelation, NULL);
		GetPerTupleExprContext(scan->estate)->ecxt_scantuple = scan->slot;
		scan->fetch = table_index_fetch_begin(desc->heapRelation);
	}
	MemoryContextSwitchTo(old);
}

void
qh_rescore_end(QhScan *scan)
{
	if (scan->fetch)
		table_index_fetch_end(scan->fetch);
	if (scan->slot)
		ExecDropSingleTupleTableSlot(scan->slot);
	if (scan->estate)
		FreeExecutorState(scan->estate);
	scan->fetch = NULL;
	scan->slot = NULL;
	scan->estate = NULL;
	scan->index_info = NULL;
	scan->queue = NULL;
}

static void
enqueue(QhScan *scan, ItemPointer tid, double dist)
{
	QhRescored *row = MemoryContextAlloc(scan->query_cxt, sizeof(QhRescored));

	row->dist = dist;
	row->tid = *tid;
	pairingheap_add(scan->queue, &row->node);
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/* Exact distance of the row a TID leads to under the scan's snapshot; false if there is none. */
static bool
exact_distance(IndexScanDesc desc, ItemPointer tid, double *dist)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData root = *tid;	/* the fetch moves it along the HOT chain */
	bool		call_again = false;
	bool		all_dead = false;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	MemoryContext old;
	bool		found = false;

	if (!table_index_fetch_tuple(scan->fetch, &root, desc->xs_snapshot, scan->slot,
								 &call_again, &all_dead))
		return false;
	scan->stats.nfetched++;
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(scan->estate));
	FormIndexDatum(scan->index_info, scan->slot, scan->estate, values, isnull);
	if (scan->index_info->ii_Expressions != NIL)
		scan->stats.nrecomputed++;
	if (!isnull[0])
	{
		*dist = DatumGetFloat8(FunctionCall2Coll(&scan->distance, scan->collation,
												 values[0], scan->query));
		found = true;
	}
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(scan->estate);
	ExecClearTuple(scan->slot);
	return found;
}

/* Fetch up to n candidate rows; returns how many were visible. */
static int
fetch_batch(IndexScanDesc desc, int n)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData tids[FETCH_BATCH];
	int			ntids = 0;
	int			nvisible = 0;
	float		estimate;

	while (ntids < Min(n, FETCH_BATCH))
	{
		if (!qh_scan_row(scan, &tids[ntids], &estimate))
		{
			scan->exhausted = true;
			break;
		}
		qh_scan_check_tid(desc, &tids[ntids]);
		ntids++;
	}
	if (ntids > 0)
		scan->stats.nbatches++;
	qsort(tids, ntids, sizeof(ItemPointerData), compare_tids);
	for (int i = 0; i < ntids; i++)
	{
		BlockNumber blkno = ItemPointerGetBlockNumber(&tids[i]);

		if (i == 0 || blkno != ItemPointerGetBlockNumber(&tids[i - 1]))
			PrefetchBuffer(desc->heapRelation, MAIN_FORKNUM, blkno);
	}
	for (int i = 0; i < ntids; i++)
	{
		double		dist;

		CHECK_FOR_INTERRUPTS();
		if (exact_distance(desc, &tids[i], &dist))
		{
			enqueue(scan, &tids[i], dist);
			nvisible++;
		}
	}
	return nvisible;
}

/* An estimate in the unit of the operator. */
static double
as_distance(const QhScan *scan, float estimate)
{
	return scan->column->metric == QV_METRIC_L2 ? sqrt(Max(estimate, 0)) : estimate;
}

/* Look at enough candidates for the next row to be decided. */
static void
look_ahead(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	double		rank = Max(scan->stats.nreturned + LATE_WEIGHT * scan->stats.nlate + 1, QH_LEAST_WANTED);
	double		caution = scan->refine_prepared ? 0 : qh_scan_caution(rank);
	double		wanted = scan->refine_prepared ?
		rank + Max(LOOKAHEAD_REFINED, rank / LOOKAHEAD_REFINED_SHARE) : scan->oversample * rank + LOOKAHEAD;
	double		most = wanted + MAX_DOUBT * (caution > 0 ? Max(qhnsw_ef_search, rank) : qhnsw_ef_search);

	while (!scan->exhausted)
	{
		double		missing = wanted - scan->stats.nfetched;

		if (scan->fetch_all || pairingheap_is_empty(scan->queue))
			missing = Max(missing, FETCH_BATCH / 8);
		else if (missing <= 0)
		{
			QhRescored *head = pairingheap_container(QhRescored, node, pairingheap_first(scan->queue));

			/* rows_dist is the estimate of the last candidate, and those that follow are no nearer */
			if (scan->stats.nfetched >= most || !(as_distance(scan, scan->rows_dist - caution * scan->rows_error) < head->dist))
				break;
			missing = FETCH_BATCH / 8;
		}
		(void) fetch_batch(desc, (int) ceil(Min(missing, FETCH_BATCH)));
	}
}

/*
 * The same for codes that are exact but whose distances are not floats: all candidates whose
 * distance rounds to the same float are put in order by the distance itself.
 */
static void
look_ahead_codes(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData tid;
	float		dist;
	double		head = 0;

	while (!scan->exhausted)
	{
		bool		waiting = !pairingheap_is_empty(scan->queue);

		if (waiting)
			head = pairingheap_container(QhRescored, node, pairingheap_first(scan->queue))->dist;

		/* the last row put in was beyond the head: so is everything that follows */
		if (waiting && scan->rows_dist > (float) head)
			break;
		if (!qh_scan_row(scan, &tid, &dist))
		{
			scan->exhausted = true;
			break;
		}
		qh_scan_check_tid(desc, &tid);
		enqueue(scan, &tid, scan->rows_exact);
	}
}

bool
qh_rescore_next(IndexScanDesc desc, ItemPointer tid)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	for (;;)
	{
		QhRescored *row;
		double		dist;

		if (scan->rescore)
			look_ahead(desc);
		else
			look_ahead_codes(desc);
		if (pairingheap_is_empty(scan->queue))
			return false;
		row = pairingheap_container(QhRescored, node, pairingheap_remove_first(scan->queue));
		dist = row->dist;
		*tid = row->tid;
		pfree(row);

		if (scan->have_last && float8_lt(dist, scan->last_dist) &&
			qhnsw_iterative_scan == QH_ITERATIVE_STRICT)
		{
			/* what would have had to come before a row that is out already */
			scan->stats.nlate++;
			continue;
		}
		scan->last_dist = dist;
		scan->have_last = true;
		return true;
	}
}
