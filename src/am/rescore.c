/*
 * rescore.c
 *		Rows in their exact order: the codes choose candidates, the column's value decides.
 *
 * Candidates are fetched from the heap in batches, sorted by block and prefetched; what the
 * query's filter drops is left out.  A row is returned once oversample times as many candidates
 * as rows wanted have been looked at.  See README.md, sections "Rescoring" and "Rows wanted".
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
#include "store/table_ahead.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * Looked at beyond oversample times the rows wanted.  LIMIT 10 and less at oversample 3 look at 39 rows: recall .99 of the
 * best 40 against .98 of the best 30 on bge-base embeddings (findings, section 3).  Growing
 * from 13 rows for the first one on lost 4 points of recall@10 to rows that came late.
 */
#define LOOKAHEAD		9

/*
 * The same where a finer code has put the candidates in order: some rows more than wanted, or a share of them. Words, LIMIT 10:
 * int8 finds as much with one row more as with five, int4 a tenth of a hundredth less with three than with five.
 */
#define LOOKAHEAD_INT4	5
#define LOOKAHEAD_INT4_SHARE 10
#define LOOKAHEAD_INT8	2
#define LOOKAHEAD_INT8_SHARE 25

/*
 * Beyond that, candidates estimated nearer than the last row about to be decided are fetched
 * too: in a cluster tighter than the error of the codes the rank says little.  At most
 * this many times ef_search of them, or times the rows wanted where none may come late; chosen by hand.
 */
#define MAX_DOUBT		10
/* A row that came late shows that too few were looked at: it counts for this many. Chosen by hand. */
#define LATE_WEIGHT		10

/*
 * Behind a filter candidates are those of ranks where distances differ little: what one row in ten or fewer
 * passes is doubted by so many standard errors of its estimate, less with more.  Words, 1 % that goes with the
 * vector: recall .92 without, .983 with 1.5 at 1.6 times the rows fetched (test/bench/filter.py).
 */
#define FILTER_CAUTION	1.5

#define FETCH_BATCH		QH_TABLE_AHEAD_MAX

/* A row in the queue, which the allocator rounds up and gives a header, and its place among those decided. */
#define QUEUED_NBYTES	(2 * sizeof(QhRescored) + sizeof(QhRescored *))

/* A candidate about to be fetched. */
typedef struct Fetch
{
	ItemPointerData tid;
	double		code_dist;		/* by its codes */
} Fetch;

static int
compare_rescored(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	double		x = pairingheap_const_container(QhRescored, node, a)->dist;
	double		y = pairingheap_const_container(QhRescored, node, b)->dist;

	/* a max-heap: nearest on top, NaN last */
	return float8_cmp_internal(y, x);
}

/* Are candidates fetched from the heap? */
static bool
is_fetched(const QhScan *scan)
{
	return scan->rescore || scan->filter;
}

/* Look up the function of the distance operator: once for all rescans. */
static void
find_distance(QhScan *scan, Relation index)
{
	Oid			type = index->rd_opcintype[0];
	Oid			operator;

	if (OidIsValid(scan->distance.fn_oid))
		return;
	operator = get_opfamily_member(index->rd_opfamily[0], type, type, QH_DISTANCE_STRATEGY);
	if (!OidIsValid(operator))
		elog(ERROR, "operator class of index \"%s\" has no distance operator",
			 RelationGetRelationName(index));
	fmgr_info_cxt(get_opcode(operator), &scan->distance, scan->cxt);
	scan->collation = index->rd_indcollation[0];
}

void
qh_rescore_begin(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	MemoryContext old = MemoryContextSwitchTo(scan->query_cxt);

	scan->queue = pairingheap_allocate(compare_rescored, NULL);
	scan->nqueued = scan->npassed = 0;
	scan->decided = NULL;
	scan->ndecided = scan->next_decided = scan->max_decided = 0;
	if (scan->filter)
		qh_plan_begin_filter(&scan->plan);
	if (is_fetched(scan))
	{
		find_distance(scan, desc->indexRelation);
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
	qh_plan_end_filter(&scan->plan);
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
	scan->nqueued++;
	scan->npassed++;
}

static int
compare_fetches(const void *a, const void *b)
{
	return ItemPointerCompare(&((Fetch *) a)->tid, &((Fetch *) b)->tid);
}

/* Distance of the row in the slot by the column's operator; false if its value is NULL. */
static bool
exact_distance(QhScan *scan, double *dist)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(scan->estate));

	FormIndexDatum(scan->index_info, scan->slot, scan->estate, values, isnull);
	if (scan->index_info->ii_Expressions != NIL)
		scan->stats.nrecomputed++;
	if (!isnull[0])
		*dist = DatumGetFloat8(FunctionCall2Coll(&scan->distance, scan->collation,
												 values[0], scan->query));
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(scan->estate);
	return !isnull[0];
}

/* Put the row a TID leads to under the scan's snapshot into the queue, if there is one and the filter lets it pass. */
static void
fetch_row(IndexScanDesc desc, const Fetch *fetch)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData root = fetch->tid;	/* the fetch moves it along the HOT chain */
	ItemPointerData tid = fetch->tid;
	bool		call_again = false;
	bool		all_dead = false;
	double		dist = fetch->code_dist;

	qh_table_pin(&scan->rs, scan->fetch, ItemPointerGetBlockNumber(&root));
	if (!table_index_fetch_tuple(scan->fetch, &root, desc->xs_snapshot, scan->slot,
								 &call_again, &all_dead))
		return;
	scan->stats.nfetched++;
	if (scan->filter && !qh_plan_passes(&scan->plan, scan->slot))
		scan->stats.nfiltered++;
	else if (!scan->rescore || exact_distance(scan, &dist))
		enqueue(scan, &tid, dist);
	ExecClearTuple(scan->slot);
}

static void
fetch_rows(IndexScanDesc desc, Fetch *rows, int nrows)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData tids[FETCH_BATCH];

	scan->stats.nbatches++;
	qsort(rows, nrows, sizeof(Fetch), compare_fetches);
	for (int i = 0; i < nrows; i++)
		tids[i] = rows[i].tid;
	qh_table_ahead(&scan->rs, scan->heap, tids, nrows);
	for (int i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_row(desc, &rows[i]);
	}
}

/* Look at n more candidates, as many as fit a batch. */
static void
look_at(IndexScanDesc desc, double n)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	Fetch		rows[FETCH_BATCH];
	int			most = (int) Max(ceil(Min(n, FETCH_BATCH)), 1);
	int			nrows = 0;
	float		estimate;

	while (nrows < most)
	{
		if (!qh_scan_row(scan, &rows[nrows].tid, &estimate))
		{
			scan->exhausted = true;
			break;
		}
		qh_scan_check_tid(desc, &rows[nrows].tid);
		rows[nrows++].code_dist = scan->rescore_codes ? scan->rows_exact : estimate;
	}
	if (nrows > 0 && is_fetched(scan))
		fetch_rows(desc, rows, nrows);
	else
	{
		for (int i = 0; i < nrows; i++)
			enqueue(scan, &rows[i].tid, rows[i].code_dist);
	}
}

/* An estimate in the unit of the operator. */
static double
as_distance(const QhScan *scan, float estimate)
{
	return scan->column->metric == QV_METRIC_L2 ? sqrt(Max(estimate, 0)) : estimate;
}

double
qh_rescore_candidates(const QhScan *scan, double rank)
{
	if (!scan->rescore)
		return rank;
	if (scan->ix->meta.refine_nbits >= 8)
		return rank + Max(LOOKAHEAD_INT8, rank / LOOKAHEAD_INT8_SHARE);
	if (scan->ix->meta.refine_nbits > 0)
		return rank + Max(LOOKAHEAD_INT4, rank / LOOKAHEAD_INT4_SHARE);
	return scan->oversample * rank + LOOKAHEAD;
}

/*
 * Is there memory for another batch of rows?  For one there always is, and for all of them
 * where no estimate puts them in order.
 */
static bool
may_queue_more(const QhScan *scan)
{
	return scan->nqueued == 0 || scan->fetch_all ||
		(scan->nqueued + FETCH_BATCH) * QUEUED_NBYTES < qh_scan_memory(QH_RESCORE_MEMORY);
}

/* Take the nearest n rows, or all there are, from the queue; they are in order. */
static void
take_decided(QhScan *scan, uint64 n)
{
	n = Min(n, scan->nqueued);
	if (n > scan->max_decided)
	{
		if (scan->decided)
			pfree(scan->decided);
		scan->decided = MemoryContextAllocHuge(scan->query_cxt, sizeof(QhRescored *) * n);
		scan->max_decided = n;
	}
	for (uint64 i = 0; i < n; i++)
		scan->decided[i] = pairingheap_container(QhRescored, node, pairingheap_remove_first(scan->queue));
	scan->nqueued -= n;
	scan->ndecided = n;
	scan->next_decided = 0;
}

static void
give_back_decided(QhScan *scan)
{
	for (uint64 i = 0; i < scan->ndecided; i++)
		pairingheap_add(scan->queue, &scan->decided[i]->node);
	scan->nqueued += scan->ndecided;
	scan->ndecided = 0;
}

/* Standard errors by which estimates are doubted. */
static double
caution_of(const QhScan *scan, double rank)
{
	if (scan->refine_prepared)
		return 0;
	if (scan->filter && scan->npassed > 0)
		return Min(FILTER_CAUTION * log10(1 + (double) scan->stats.nfiltered / scan->npassed), FILTER_CAUTION);
	return qh_scan_caution(scan, rank);
}

/*
 * May a candidate that is still to come be nearer than dist, that of the rank-th row, and is it worth
 * looking at more than the wanted ones?  rows_dist is the distance of the last one by its codes, and those that
 * follow are no nearer by theirs.  Jaccard distances that round to the same float are told apart by the
 * distance itself.
 */
static bool
is_doubtful(const QhScan *scan, double dist, double rank, double wanted)
{
	double		caution;

	if (scan->rescore_codes)
		return scan->rows_dist <= (float) dist;
	if (!scan->rescore)
		return scan->rows_dist < dist;
	caution = caution_of(scan, rank);
	if (scan->npassed >= wanted + MAX_DOUBT * (caution > 0 ? Max(qhnsw_ef_search, rank) : qhnsw_ef_search))
		return false;
	return as_distance(scan, scan->rows_dist - caution * scan->rows_error) < dist;
}

/*
 * Decide on the next rows: look at enough candidates for them, and at those that may be nearer than
 * the last of them.
 */
static void
decide(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	double		n = Max(scan->wanted - scan->stats.nreturned, 1);
	double		rank = Max(scan->stats.nreturned + LATE_WEIGHT * scan->stats.nlate + n, QH_LEAST_WANTED);
	double		wanted = qh_rescore_candidates(scan, rank);

	while (!scan->exhausted && may_queue_more(scan))
	{
		double		missing = wanted - scan->npassed;

		if (scan->fetch_all || scan->nqueued == 0)
			missing = Max(missing, FETCH_BATCH / 8);
		else if (missing <= 0)
		{
			take_decided(scan, (uint64) n);
			if (!is_doubtful(scan, scan->decided[scan->ndecided - 1]->dist, rank, wanted))
				return;
			give_back_decided(scan);
			missing = Max(n, FETCH_BATCH) / 8;
		}
		/* as many more as would pass if they were like those looked at so far */
		if (scan->npassed > 0)
			missing *= 1 + (double) scan->stats.nfiltered / scan->npassed;
		look_at(desc, missing);
	}
	take_decided(scan, (uint64) n);
}

bool
qh_rescore_next(IndexScanDesc desc, ItemPointer tid)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	for (;;)
	{
		QhRescored *row;
		double		dist;

		if (scan->next_decided == scan->ndecided)
			decide(desc);
		if (scan->ndecided == 0)
			return false;
		row = scan->decided[scan->next_decided++];
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
