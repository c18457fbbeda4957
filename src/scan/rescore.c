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
#include "scan/recent.h"
#include "scan/scan.h"
#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/heap_prefetch.h"
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
/* Where rows at the very distance of the last are wanted, no number bounds the doubt, and it is this many standard errors. */
#define TIES_MARGIN	4
/* A row that came late shows that too few were looked at: it counts for this many. Chosen by hand. */
#define LATE_WEIGHT		10

/*
 * Behind a filter candidates are those of ranks where distances differ little: what one row in ten or fewer
 * passes is doubted by so many standard errors of its estimate, less with more.  Words, 1 % that goes with the
 * vector: recall .92 without, .983 with 1.5 at 1.6 times the rows fetched (test/bench/filter.py).
 */
#define FILTER_MARGIN	1.5

#define FETCH_BATCH		QH_HEAP_PREFETCH_MAX

/* Shares of a scan's memory; README.md, section "Memory of a scan". */
#define POOL_MEMORY		0.15
#define DECIDED_MEMORY	0.05
#define WINDOW_MEMORY	0.05

/* Most distances that are remembered for the next page, as a share of a scan's memory, each with what a hash table takes. */
#define RECENT_MEMORY	0.05
#define RECENT_NBYTES	64

/*
 * Candidates nearer than the lower bound by so many standard errors are not fetched; and behind a lower bound, where
 * the rows wanted are those of ranks whose distances differ little, estimates are doubted by so many.  Words, 20 pages of ten rows
 * by their distance: test/bench/paging.py.
 */
#define BOUND_MARGIN	4
#define LOWER_MARGIN	2

/*
 * Where fewer rows than wanted are found within an upper bound, those that estimates may have put beyond it are looked for no further than
 * END_MARGIN standard errors; once rows are found, no further than so many times the candidates of the rows wanted, or of those that the
 * last row within took.
 */
#define END_DOUBT		2.5
#define END_MARGIN		2.5

/* Estimates of which one is asked for its error, where bounds want to know. */
#define ERROR_SAMPLING	16

/* A candidate about to be fetched. */
typedef struct Fetch
{
	ItemPointerData tid;
	double		code_dist;		/* by its codes */
	float		estimate;		/* by the first of them */
} Fetch;

/* A row in the pool whose distance is remembered is fetched when its turn comes. */
#define REMEMBERED			UINT64_C(1)

static inline uint64
as_read(const ItemPointerData *tid)
{
	return qh_tid_to_queue(tid) << 1;
}

static inline void
tid_of(uint64 what, ItemPointer tid)
{
	qh_queue_to_tid(what >> 1, tid);
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
qh_rescore_remember(QhScan *scan)
{
	if (!scan->rescore)
		return;
	scan->remembers = true;
	qh_recent_begin(scan->rs.index, RelationGetRelid(scan->heap), scan->query,
					(int) Min(qh_scan_memory(RECENT_MEMORY) / RECENT_NBYTES, PG_INT32_MAX / 2));
	if (scan->bounded && scan->bounds.has_lower)
		scan->known_before = qh_recent_count_before(scan->bounds.lower);
}

void
qh_rescore_begin(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	MemoryContext old = MemoryContextSwitchTo(scan->query_cxt);

	qh_queue_init(&scan->pool, scan->query_cxt, qh_scan_memory(POOL_MEMORY));
	qh_queue_init(&scan->decided, scan->query_cxt, qh_scan_memory(DECIDED_MEMORY));
	qh_queue_init(&scan->window, scan->query_cxt, qh_scan_memory(WINDOW_MEMORY));
	if (scan->filter)
		qh_plan_begin_filter(&scan->plan);
	if (is_fetched(scan))
	{
		find_distance(scan, desc->indexRelation);
		scan->index_info = BuildIndexInfo(desc->indexRelation);
		scan->estate = CreateExecutorState();
		scan->slot = table_slot_create(desc->heapRelation, NULL);
		GetPerTupleExprContext(scan->estate)->ecxt_scantuple = scan->slot;
		scan->fetch = qh_table_index_fetch_begin(desc->heapRelation);
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
	qh_queue_end(&scan->pool);
	qh_queue_end(&scan->decided);
	qh_queue_end(&scan->window);
}

/* Is a distance nearer than any that the filter lets pass? */
static bool
is_before(const QhScan *scan, double dist)
{
	const QhBounds *bounds = &scan->bounds;

	return scan->bounded && bounds->has_lower && (dist < bounds->lower || (dist == bounds->lower && bounds->lower_open));
}

/* Is it farther than any? */
static bool
is_beyond(const QhScan *scan, double dist)
{
	const QhBounds *bounds = &scan->bounds;

	return scan->bounded && bounds->has_upper && (dist > bounds->upper || (dist == bounds->upper && bounds->upper_open));
}

static void
enqueue(QhScan *scan, const ItemPointerData *tid, double dist, uint64 flags)
{
	qh_queue_add(&scan->pool, dist, as_read(tid) | flags);
	scan->npassed++;
	if (scan->bounded && !is_beyond(scan, dist))
		scan->nuntil_within = scan->npassed;
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
	scan->stats.nvalues++;
	if (!isnull[0])
		*dist = DatumGetFloat8(FunctionCall2Coll(&scan->distance, scan->collation,
												 values[0], scan->query));
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(scan->estate);
	return !isnull[0];
}

/*
 * Put the row in the slot into the pool if it may be returned.  One beyond the bounds may not, but tells how far the scan has come.
 */
static void
judge_row(QhScan *scan, const Fetch *fetch)
{
	double		dist = fetch->code_dist;
	bool		read = false;

	scan->stats.nfetched++;
	if (scan->rescore && scan->bounded)
	{
		if (!exact_distance(scan, &dist))
			return;
		read = true;
	}
	if (is_before(scan, dist))
	{
		scan->nbefore++;
		scan->stats.nfiltered++;
		qh_plan_count_dropped(&scan->plan);
		if (scan->remembers && !isnan(fetch->estimate))
			qh_recent_put(&fetch->tid, fetch->estimate, dist);
		return;
	}
	if (scan->filter && !is_beyond(scan, dist) && !qh_plan_passes(&scan->plan, scan->slot))
	{
		scan->stats.nfiltered++;
		return;
	}
	if (scan->rescore && !read && !exact_distance(scan, &dist))
		return;
	if (scan->remembers && !isnan(fetch->estimate))
		qh_recent_put(&fetch->tid, fetch->estimate, dist);
	enqueue(scan, &fetch->tid, dist, 0);
}

/* Judge the row a TID leads to under the scan's snapshot, if there is one. */
static void
fetch_row(IndexScanDesc desc, const Fetch *fetch)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData root = fetch->tid;	/* the fetch moves it along the HOT chain */
	bool		call_again = false;
	bool		all_dead = false;

	qh_heap_pin(&scan->rs, scan->fetch, ItemPointerGetBlockNumber(&root));
	if (!table_index_fetch_tuple(scan->fetch, &root, desc->xs_snapshot, scan->slot,
								 &call_again, &all_dead))
		return;
	judge_row(scan, fetch);
	ExecClearTuple(scan->slot);
}

/* Bits of a sorted row pointer that say which of the batch it is. */
#define PLACE_BITS		16

/* The rows of a batch as they lie in the table: row pointers, each with its place in the batch in the lowest bits. */
static void
sort_by_table(const Fetch *rows, int nrows, uint64 *sorted)
{
	uint64		keys[FETCH_BATCH];

	Assert(nrows <= FETCH_BATCH);
	for (int i = 0; i < nrows; i++)
		keys[i] = qh_tid_to_queue(&rows[i].tid) << PLACE_BITS | i;
	qv_kernels()->sort_u64(keys, nrows, sorted);
}

static void
fetch_rows(IndexScanDesc desc, const Fetch *rows, int nrows)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	ItemPointerData tids[FETCH_BATCH];
	uint64		sorted[FETCH_BATCH];

	scan->stats.nbatches++;
	sort_by_table(rows, nrows, sorted);
	for (int i = 0; i < nrows; i++)
		qh_queue_to_tid(sorted[i] >> PLACE_BITS, &tids[i]);
	qh_heap_prefetch(&scan->rs, scan->heap, tids, nrows);
	for (int i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_row(desc, &rows[sorted[i] & ((1 << PLACE_BITS) - 1)]);
	}
}

/* An estimate in the unit of the operator. */
static double
as_distance(const QhScan *scan, double estimate)
{
	return scan->column->metric == QV_METRIC_L2 ? sqrt(Max(estimate, 0)) : estimate;
}

/* The standard error of estimates of late: rows of like distance have like ones. */
static double
typical_error(QhScan *scan)
{
	if (scan->nestimates++ % ERROR_SAMPLING == 0)
		scan->typical_error = Max(0.9 * scan->typical_error, qh_scan_finer_error(scan, scan->rows_node));
	return scan->typical_error;
}

typedef enum Sight
{
	SIGHT_FETCH,				/* to be fetched */
	SIGHT_KNOWN,				/* in the pool already */
	SIGHT_OUT,					/* to be left out */
	SIGHT_END					/* beyond the bounds, as are all to come */
} Sight;

/* What is to be done with a candidate, by what is known without its row. */
static Sight
look_at_bounds(QhScan *scan, const Fetch *row)
{
	double		estimate = row->code_dist;
	double		dist;

	if (scan->rescore && qh_recent_get(&row->tid, row->estimate, &dist))
	{
		if (is_before(scan, dist))
		{
			scan->nbefore++;
			return SIGHT_OUT;
		}
		enqueue(scan, &row->tid, dist, REMEMBERED);
		return SIGHT_KNOWN;
	}
	if (!scan->bounded)
		return SIGHT_FETCH;
	if (!scan->rescore)
	{
		if (is_before(scan, estimate))
		{
			scan->nbefore++;
			return SIGHT_OUT;
		}
		/* candidates come in the order of estimates, which distances may round to */
		if (!is_beyond(scan, estimate))
			return SIGHT_FETCH;
		return row->estimate > (float) scan->bounds.upper ? SIGHT_END : SIGHT_OUT;
	}
	/* under the inner product the error of a short query is not in that of the code */
	if (scan->column->metric != QV_METRIC_IP && is_before(scan, as_distance(scan, estimate)) &&
		is_before(scan, as_distance(scan, estimate + BOUND_MARGIN * typical_error(scan))))
	{
		scan->nbefore++;
		return SIGHT_OUT;
	}
	return SIGHT_FETCH;
}

/* Look at n more candidates, as many as fit a batch. */
static void
look_at(IndexScanDesc desc, double n)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	Fetch		rows[FETCH_BATCH];
	int			most = (int) Max(ceil(Min(n, FETCH_BATCH)), 1);
	int			nrows = 0;
	bool		looks = scan->source != QH_SOURCE_ALL && (scan->bounded || (scan->remembers && scan->offset > 0));

	/* rows that are known count as if they were fetched, so that every page decides its rows from the same candidates */
	for (int nknown = 0; nrows + nknown < most;)
	{
		Fetch	   *row = &rows[nrows];
		Sight		sight = SIGHT_FETCH;
		float		estimate;

		CHECK_FOR_INTERRUPTS();
		if (!qh_scan_row(scan, &row->tid, &estimate))
			sight = SIGHT_END;
		else
		{
			qh_scan_check_tid(desc, &row->tid);
			row->code_dist = scan->rescore_codes ? scan->rows_exact : estimate;
			row->estimate = estimate;
			if (looks)
				sight = look_at_bounds(scan, row);
		}
		if (sight == SIGHT_END)
		{
			scan->exhausted = true;
			break;
		}
		nrows += sight == SIGHT_FETCH;
		nknown += sight == SIGHT_KNOWN;
	}
	if (nrows > 0 && is_fetched(scan))
		fetch_rows(desc, rows, nrows);
	else
	{
		for (int i = 0; i < nrows; i++)
			enqueue(scan, &rows[i].tid, rows[i].code_dist, 0);
	}
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

/* Standard errors by which estimates are doubted. */
static double
error_margin(const QhScan *scan)
{
	if (scan->bounded && scan->bounds.has_lower && scan->nbefore > 0)
		return LOWER_MARGIN;
	if (scan->filter && scan->npassed > 0 && scan->refine_prepared == NULL)
		return Min(FILTER_MARGIN * log10(1 + (double) scan->stats.nfiltered / scan->npassed), FILTER_MARGIN);
	return qh_scan_error_margin(scan);
}

/*
 * May a candidate that is still to come be nearer than dist, that of the last row of the stage, and is it worth
 * looking at more than the wanted ones?  rows_dist is the distance of the last one by its codes, and those that
 * follow are no nearer by theirs.  Jaccard distances that round to the same float are told apart by the
 * distance itself.
 */
static bool
is_doubtful(QhScan *scan, double dist, double wanted)
{
	double		margin;

	if (scan->rescore_codes)
		return scan->rows_dist <= (float) dist;
	if (!scan->rescore)
		return scan->rows_dist < dist || (scan->ties && scan->rows_dist == dist);
	if (scan->ties)
		return as_distance(scan, scan->rows_dist - TIES_MARGIN * qh_scan_finer_error(scan, scan->rows_node)) <= dist;
	margin = error_margin(scan);
	if (scan->npassed >= wanted + MAX_DOUBT * (margin > 0 ? Max(Max(qhnsw_ef_search, scan->stage), scan->nbefore) : qhnsw_ef_search))
		return false;
	if (margin > 0)
		margin *= qh_scan_finer_error(scan, scan->rows_node);
	return as_distance(scan, scan->rows_dist - margin) < dist;
}

/* The pool has come to the upper bound: may candidates that are still to come lie within it, and is it worth looking? */
static bool
end_is_doubtful(QhScan *scan, double wanted)
{
	if (!scan->rescore)
		return false;			/* candidates come in the order of their distances */
	if (scan->nuntil_within > 0 && scan->npassed >= END_DOUBT * Max(wanted, scan->nuntil_within))
		return false;
	/* under the inner product the error of a short query is not in that of the code */
	if (scan->column->metric == QV_METRIC_IP)
		return true;
	return as_distance(scan, scan->rows_dist - END_MARGIN * qh_scan_finer_error(scan, scan->rows_node)) < scan->bounds.upper;
}

/* Fetch a row of the pool whose distance was remembered.  It goes back there if it is still a row that may be returned. */
static void
read_remembered(IndexScanDesc desc, const QhQueued *row)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	Fetch		fetch = {.code_dist = row->dist, .estimate = NAN};	/* remembered as it is */

	tid_of(row->what, &fetch.tid);
	scan->npassed--;
	fetch_row(desc, &fetch);
}

/*
 * Take the nearest n rows, or all there are within the bounds, from the pool.  Returns the distance of the last, or of one beyond the
 * bounds, which stays.
 */
static double
take_from_pool(IndexScanDesc desc, uint64 n)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	QhQueued	row = {0};

	scan->reached_end = false;
	while (scan->decided.count < n && qh_queue_peek(&scan->pool, &row))
	{
		if (is_beyond(scan, row.dist))
		{
			scan->reached_end = true;
			break;
		}
		(void) qh_queue_pop(&scan->pool, &row);
		if (row.what & REMEMBERED)
			read_remembered(desc, &row);
		else
			qh_queue_add(&scan->decided, row.dist, row.what);
	}
	return row.dist;
}

static void
give_back(QhScan *scan)
{
	QhQueued	row;

	while (qh_queue_pop(&scan->decided, &row))
		qh_queue_add(&scan->pool, row.dist, row.what);
}

/* Are the rows taken from the pool still the n nearest, the farthest of them at a distance of last? */
static bool
is_settled(QhScan *scan, uint64 n, double last)
{
	QhQueued	first;

	return scan->decided.count == n && (!qh_queue_peek(&scan->pool, &first) || float8_ge(first.dist, last));
}

/*
 * Decide on the rows of a stage: look at enough candidates for them, and at those that may be nearer than
 * the last of them.
 */
static void
decide(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	uint64		n;
	double		wanted;
	double		last = 0;

	if (scan->stage_decided)
		qh_scan_next_stage(scan);
	scan->stage_decided = true;
	n = scan->stage_end - scan->ntaken;
	wanted = qh_rescore_candidates(scan, scan->stage + (scan->planned ? 0 : LATE_WEIGHT * scan->stats.nlate));
	while (!scan->exhausted)
	{
		double		missing = wanted - scan->npassed;

		if (scan->fetch_all)
			missing = FETCH_BATCH;
		else if (scan->pool.count + scan->decided.count == 0)
			missing = Max(missing, FETCH_BATCH / 8);
		else if (missing <= 0)
		{
			if (!is_settled(scan, n, last))
			{
				give_back(scan);
				last = take_from_pool(desc, n);
			}
			if (scan->reached_end && (scan->stage_end < scan->wanted || !end_is_doubtful(scan, wanted)))
			{
				/* as far as a scan without the bound would look */
				scan->exhausted = scan->stage_end >= scan->wanted;
				return;
			}
			if (scan->decided.count == n && !is_doubtful(scan, last, wanted))
				return;
			missing = Max(n, FETCH_BATCH) / 8;
		}
		/* as many more as would pass if they were like those looked at so far */
		if (scan->npassed > 0)
			missing *= 1 + (double) scan->stats.nfiltered / scan->npassed;
		look_at(desc, missing);
	}
	if (!is_settled(scan, n, last))
	{
		give_back(scan);
		(void) take_from_pool(desc, n);
	}
}

/* The next row in the order of stages. */
static bool
next_decided(IndexScanDesc desc, QhQueued *row)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	if (scan->decided.count == 0)
		decide(desc);
	if (!qh_queue_pop(&scan->decided, row))
		return false;
	scan->ntaken++;
	return true;
}

/*
 * The next row of those the plan takes, in their exact order; false where there is none, or they are all out.  Those that it passes over
 * go out as they were decided, and the rest when the last of them is decided.
 */
static bool
next_planned(IndexScanDesc desc, QhQueued *row)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	while (!scan->window_closed && scan->ntaken < scan->wanted)
	{
		if (!next_decided(desc, row))
			break;
		/* rows of one stage come in order */
		if (scan->ntaken <= scan->offset || (scan->stage_end >= scan->wanted && scan->window.count == 0))
			return true;
		qh_queue_add(&scan->window, row->dist, row->what);
	}
	scan->window_closed = true;
	return qh_queue_pop(&scan->window, row);
}

bool
qh_rescore_next(IndexScanDesc desc, ItemPointer tid)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	QhQueued	row;

	if (next_planned(desc, &row))
	{
		scan->last_dist = row.dist;
		scan->have_last = scan->window_closed || scan->ntaken > scan->offset;
		tid_of(row.what, tid);
		return true;
	}
	while (next_decided(desc, &row))
	{
		tid_of(row.what, tid);
		if (qh_scan_is_in_order(scan, tid, row.dist))
			return true;
	}
	return qh_scan_next_late(scan, tid);
}
