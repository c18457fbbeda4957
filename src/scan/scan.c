/*
 * scan.c
 *		Index scans as PostgreSQL calls them: begin, rescan, next row, end.
 *
 * The driver.  It starts a query (settings, plan, prepared query, source of candidates) and asks
 * for rows either in the order of their codes or, through rescore.c, in their exact order.  Must
 * not know how candidates are found.  See README.md in this folder.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "compat.h"
#include "pgstat.h"
#include "scan/source.h"
#include "store/heap_prefetch.h"

/*
 * Rows that are taken to be wanted, at most, where the planner's estimates alone say so; and
 * candidates that are looked at before the first row is returned, however many rows are wanted.
 * Chosen by hand; doc/decisions/0034.
 */
#define MOST_GUESSED		1000
#define MOST_CANDIDATES		100000

/* A table has no more rows than a row pointer has values; a LIMIT may say more. */
#define MOST_ROWS			281474976710656.0

/* Of one operation in single precision; of a whole distance in double precision, and to spare. */
#define FLOAT_ROUNDING		0x1p-24
#define DOUBLE_ROUNDING		0x1p-40

QhScanStats qh_last_scan;
const QhForced *qh_forced = NULL;

/* ---- begin and end ---- */

IndexScanDesc
qhnswbeginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc desc = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw scan",
											  ALLOCSET_DEFAULT_SIZES);
	QhScan	   *scan = MemoryContextAllocZero(cxt, sizeof(QhScan));

	scan->desc = desc;
	scan->cxt = cxt;
	scan->query_cxt = AllocSetContextCreate(cxt, "qhnsw query", ALLOCSET_DEFAULT_SIZES);
	scan->column = qh_column(index);
	qh_filter_columns(index, &scan->columns);
	desc->opaque = scan;
	return desc;
}

void
qhnswrescan(IndexScanDesc desc, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	if (keys && desc->numberOfKeys > 0)
		memmove(desc->keyData, keys, desc->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys && desc->numberOfOrderBys > 0)
		memmove(desc->orderByData, orderbys, desc->numberOfOrderBys * sizeof(ScanKeyData));
	scan->started = false;
}

/* Give back what outlives the memory of the query: files, slots, the executor's state. */
static void
end_query(QhScan *scan)
{
	qh_rescore_end(scan);
	qh_conditions_end(scan);
	qh_plan_end_filter(&scan->plan);
	qh_queue_end(&scan->q.refining.queue);
	qh_queue_end(&scan->q.late);
}

void
qhnswendscan(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	end_query(scan);
	MemoryContextDelete(scan->cxt);
	desc->opaque = NULL;
}

/* ---- starting a query ---- */

/* Rows that the plan takes, as far as that can be afforded. */
static void
consult_wanted(QhScan *scan, const QhWanted *wanted)
{
	QhQueryState *q = &scan->q;
	bool		merged = false;
	double		ncandidates;

	q->wanted = wanted->exact ? wanted->rows : Min(wanted->rows, MOST_GUESSED);
	q->offset = wanted->exact ? qh_plan_offset(&scan->plan, &merged) : 0;
	q->ties = wanted->with_ties;
	q->wanted = Min(q->wanted, MOST_ROWS);
	ncandidates = qh_budget_candidates(scan, q->wanted);
	if (ncandidates > MOST_CANDIDATES && q->ix->nslots > MOST_CANDIDATES)
		q->wanted = floor(q->wanted * MOST_CANDIDATES / ncandidates);
	q->offset = Min(q->offset, q->wanted);
	q->page = q->wanted - q->offset;
	/* who merges the rows of partitions needs them in order from the first on */
	if (merged)
		q->offset = 0;
}

/* What the plan says: rows wanted, bounds of the distance, and whether rows are filtered here. */
static void
consult_plan(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	QhWanted	wanted;

	qh_plan_find(&scan->plan, scan->desc, scan->cxt);
	qh_plan_bounds(&scan->plan, &q->bounds);
	if (qh_forced != NULL)
		wanted = (QhWanted) {.rows = qh_forced->wanted, .exact = true};
	else
		wanted = qh_plan_wanted(&scan->plan);
	consult_wanted(scan, &wanted);

	/* bounds can be compared only with distances that are those of the filter */
	q->bounded = (q->bounds.has_lower || q->bounds.has_upper) &&
		(q->rescore || scan->column->kind == QV_CODE_BITS);
	q->filter = scan->plan.filters && !(q->bounded && q->bounds.complete);
	qh_conditions_begin(scan);
	if (scan->plan.scan != NULL && (scan->plan.filters || q->recheck || q->tests_included))
		qh_plan_begin_filter(&scan->plan);

	/*
	 * who reads every row in strict order waits for the last of them; rows within bounds are
	 * found much sooner
	 */
	q->takes_all = wanted.all && wanted.exact && !q->bounded &&
		qhnsw_iterative_scan == QH_ITERATIVE_STRICT && qhnsw_max_scan_tuples == 0;
}

/* Read the query vector, and refuse one of another dimension. */
static void
read_query(QhScan *scan, QhValue *value)
{
	QhQueryState *q = &scan->q;
	const ScanKeyData *key = &scan->desc->orderByData[0];

	q->is_null = (key->sk_flags & SK_ISNULL) != 0;
	if (q->is_null)
		return;
	q->value = PointerGetDatum(PG_DETOAST_DATUM_COPY(key->sk_argument));
	qh_column_read(scan->column, q->value, value);
	if (q->ix->meta.ndims > 0 && value->ndims != q->ix->meta.ndims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %u and %u", q->ix->meta.ndims, value->ndims),
				 errdetail("The vectors of index \"%s\" have %u dimensions, the query has %u.",
						   RelationGetRelationName(scan->desc->indexRelation),
						   q->ix->meta.ndims, value->ndims)));
	if (scan->column->kind == QV_CODE_BITS)
		q->bits = value->data;
}

/*
 * Two empty sets are at Jaccard distance 0 to bitvec's operator, and at 1 to pgvector's of bit.
 * Any order of rows is right then, but which are within bounds is left to the executor.
 */
static void
unbound_empty_set(QhScan *scan)
{
	QhQueryState *q = &scan->q;

	if (!q->bounded || q->is_null || scan->column->metric != QV_METRIC_JACCARD ||
		qv_kernels()->popcount(q->bits, q->ix->code_nbytes) > 0)
		return;
	q->bounded = false;
	q->filter = scan->plan.filters;
}

/* Has the query no distances that would order anything? */
static bool
is_orderless(const QhColumn *column, const QhValue *value)
{
	if (column->kind == QV_CODE_BITS)
		return false;
	if (column->metric == QV_METRIC_COSINE)
		return !value->finite || value->norm2 == 0;
	return !value->finite || value->norm2 > FLT_MAX / 16;
}

/* Prepare the query for the codes of the index. */
static void
prepare_query(QhScan *scan, const QhValue *value)
{
	QhQueryState *q = &scan->q;
	const QvCodec *codec = q->ix->codec;
	const QvCodec *refine_codec = q->ix->refine_codec;
	size_t		scratch_nbytes = qv_codec_scratch_nbytes(codec);
	void	   *scratch;
	void	   *memory;

	if (refine_codec != NULL)
		scratch_nbytes = Max(scratch_nbytes, qv_codec_scratch_nbytes(refine_codec));
	scratch = qh_alloc_aligned(scan->query_cxt, scratch_nbytes, 64);
	memory = qh_alloc_aligned(scan->query_cxt, qv_query_sizeof(codec), 64);
	q->prepared = qv_query_init(memory, codec, value->data, scratch);
	scan->rs.query = q->prepared;
	if (refine_codec != NULL)
	{
		memory = qh_alloc_aligned(scan->query_cxt, qv_query_sizeof(refine_codec), 64);
		q->refine_prepared = qv_query_init_second(memory, refine_codec, codec, value->data, scratch);
		scan->rs.refine_query = q->refine_prepared;
	}
}

/* Do the finest codes tell where distances lie?  INTERVALS.md. */
static void
consult_intervals(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	const QhMetaData *meta = &q->ix->meta;

	q->intervals = q->rescore && (meta->refine_nbits > 0 || meta->code_nbits > 1);
	q->rounding = (QvRounding) {
		.values = scan->column->rounds_values ? FLOAT_ROUNDING : 0,
		.sums = DOUBLE_ROUNDING + (scan->column->sums_floats ? (meta->ndims + 2) * FLOAT_ROUNDING : 0)
	};
}

/* Choose the source of candidates, and prepare the query where it has one that scores codes. */
static void
open_source(QhScan *scan, const QhValue *value)
{
	QhQueryState *q = &scan->q;

	/* with no query there is nothing to compare */
	q->rescore = q->rescore && !q->is_null;
	if (q->ix->meta.ndims == 0 || q->ix->nentries == 0 || q->bounds.never || q->test.never)
		q->source = qh_source_none();
	else if (q->is_null || is_orderless(scan->column, value) || (q->takes_all && q->rescore))
	{
		/*
		 * Estimates are of no use: either every row is wanted in its exact order, or the query
		 * has none to speak of.  Exact distances may still differ then, as infinite ones of
		 * either sign do.
		 */
		q->source = qh_source_all(scan);
		q->rescore_codes = false;
		q->fetch_all = !q->is_null;
	}
	else
	{
		prepare_query(scan, value);
		consult_intervals(scan);
		qh_rescore_remember(scan);
		q->source = qh_source_choose(scan);
	}
}

/*
 * Do rows go through rescore.c's queues, rather than out in the order of their codes?  Where
 * codes are exact, the first stage comes in order by itself, and so does every stage of a source
 * that gives no candidate late.
 */
static bool
is_queued(const QhQueryState *q)
{
	if (q->rescore || q->rescore_codes || q->filter || q->recheck || q->bounded)
		return true;
	if (!q->source->gives_late || qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return false;
	return q->wanted == 0 ? qhnsw_iterative_scan == QH_ITERATIVE_STRICT : q->page < q->wanted;
}

/* Begin with nothing but the memory, settings and the index. */
static void
reset_query(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	Relation	index = scan->desc->indexRelation;
	QhEffort	effort;

	memset(q, 0, sizeof(*q));
	q->rows.list.cxt = scan->query_cxt;
	q->alloc = qh_context_alloc(scan->query_cxt);
	qh_queue_init(&q->refining.queue, scan->query_cxt, qh_scan_memory(QH_REFINE_MEMORY));
	qh_queue_init(&q->late, scan->query_cxt, qh_scan_memory(QH_LATE_MEMORY));

	q->rescore_codes = scan->column->metric == QV_METRIC_JACCARD;
	q->ix = qh_index_acquire(index, scan->query_cxt);
	q->rescore = qh_option_rescore(index, scan->column, q->ix->meta.code_nbits);
	qh_check_filter_columns(index, q->ix, &scan->columns);
	effort = qh_forced != NULL ? qh_forced->effort :
		qh_effort(index, &q->ix->curve, q->ix->meta.code_nbits);
	q->hides = qh_forced != NULL && qh_forced->hides;
	q->hidden = q->hides ? qh_forced->hidden : 0;
	q->ef = q->stats.ef = effort.ef;
	q->oversample = q->stats.oversample = effort.oversample;
	q->doubted = q->stats.doubt = effort.doubt;
	q->heap = scan->desc->heapRelation;
	qh_relstore_init(&scan->rs, index, q->ix);
}

/* Start a query; put off until the first row is asked for. */
static void
start(QhScan *scan)
{
	MemoryContext old;
	QhValue		value = {0};

	if (scan->desc->numberOfOrderBys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can only be scanned in the order of a distance",
						RelationGetRelationName(scan->desc->indexRelation)),
				 errhint("Add ORDER BY with the distance operator of its operator class.")));

	end_query(scan);
	MemoryContextReset(scan->query_cxt);
	old = MemoryContextSwitchTo(scan->query_cxt);
	reset_query(scan);
	consult_plan(scan);
	qh_budget_next_stage(scan);
	read_query(scan, &value);
	unbound_empty_set(scan);
	open_source(scan, &value);
	scan->q.queued = is_queued(&scan->q);
	if (scan->q.queued)
		qh_rescore_begin(scan);
	MemoryContextSwitchTo(old);
	scan->started = true;
}

/* ---- rows ---- */

/* The next row in the order of codes. */
static bool
next_by_code(QhScan *scan, ItemPointer tid)
{
	float		dist;

	while (qh_next_row(scan, tid, &dist))
	{
		if (++scan->q.ntaken >= scan->q.stage.end)
			qh_budget_next_stage(scan);
		if (qh_is_in_order(scan, tid, dist))
			return true;
	}
	return qh_next_late(scan, tid);
}

static void
publish_stats(QhScan *scan)
{
	QhScanStats *stats = &scan->q.stats;

	stats->ncodes = scan->rs.ncodes;
	stats->nexpanded = scan->rs.nlinks;
	stats->npins = scan->rs.npins;
	stats->nmisses = scan->rs.nmisses;
	stats->nrefined = scan->rs.nrefined;
	stats->nahead = scan->rs.nahead;
	qh_last_scan = *stats;
}

bool
qhnswgettuple(IndexScanDesc desc, ScanDirection dir)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	bool		found;

	/* amcanbackward is false */
	Assert(ScanDirectionIsForward(dir));
	if (!scan->started)
	{
		start(scan);
		if (qh_forced == NULL)
			qh_count_index_scan(desc);
	}
	if (scan->q.queued)
		found = qh_rescore_next(scan, &desc->xs_heaptid);
	else
		found = next_by_code(scan, &desc->xs_heaptid);
	/* where no plan was found, the scan cannot decide what keys leave open */
	desc->xs_recheck = scan->q.recheck && scan->plan.scan == NULL;
	desc->xs_recheckorderby = false;
	if (found)
	{
		scan->q.stats.nreturned++;
		if (desc->xs_heapfetch != NULL)	/* a row is fetched for each pointer */
			qh_heap_pin(&scan->rs, desc->xs_heapfetch, ItemPointerGetBlockNumber(&desc->xs_heaptid));
	}
	publish_stats(scan);
	return found;
}
