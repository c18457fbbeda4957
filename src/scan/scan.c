/*
 * scan.c
 *		Index scans: candidates in the order of their codes, and rows from them.
 *
 * Candidates stream from the graph, or from a pass over all codes where that costs no
 * more; rescore.c puts the rows into exact order where codes do not say it all.
 * See README.md, section "Scans".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/relscan.h"
#include "scan/scan.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "store/readahead.h"
#include "store/heap_prefetch.h"
#include "type/bitvec.h"
#include "utils/float.h"
#include "utils/memutils.h"

/*
 * A graph search scores about this many codes for each of ef (measured: 8 to 15 at m = 16,
 * findings of test/bench/graph), at random places.  With no more nodes than that, all of them in
 * order are cheaper, and exact.
 */
#define FLAT_CODES_PER_EF	20

/* The same where vacuum has left few rows in so many times as many slots: in order a code costs a tenth of one at a random place. */
#define FLAT_FREE_SLOTS		8

/* A graph search that has scored one code in so many goes on as a pass over all: in order they cost a tenth of one at a random place. */
#define FLAT_FRACTION		16

/* Seeds a search starts with: the nearest entry points. More of them cost an expansion each and save none (test/bench). */
#define MAX_SEEDS			4

/* The most rows that are taken to be wanted where the planner's estimates say so. */
#define MOST_GUESSED		1000

/* The most candidates that are looked at before the first row is returned, however many rows are wanted. */
#define MOST_CANDIDATES		100000

QhScanStats qh_last_scan;

IndexScanDesc
qhnswbeginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc desc = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw scan",
											  ALLOCSET_DEFAULT_SIZES);
	QhScan	   *scan = MemoryContextAllocZero(cxt, sizeof(QhScan));

	scan->cxt = cxt;
	scan->query_cxt = AllocSetContextCreate(cxt, "qhnsw query", ALLOCSET_DEFAULT_SIZES);
	scan->tuple_cxt = AllocSetContextCreate(cxt, "qhnsw row", ALLOCSET_DEFAULT_SIZES);
	scan->column = qh_column(index);
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

Size
qh_scan_memory(double share)
{
	double		nbytes = work_mem * 1024.0 * qhnsw_scan_mem_multiplier * share;

	/* settings may ask for more than an address has bits for */
	return (Size) Min(nbytes, (double) (MaxAllocHugeSize / 2));
}

/* Rows that the plan takes, as far as that can be afforded, and which of them are filtered here. */
static void
consult_plan(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	QhWanted	wanted;
	bool		merged = false;
	double		ncandidates;

	qh_plan_find(&scan->plan, desc, scan->cxt);
	qh_plan_bounds(&scan->plan, &scan->bounds);
	wanted = qh_plan_wanted(&scan->plan);
	scan->wanted = wanted.exact ? wanted.rows : Min(wanted.rows, MOST_GUESSED);
	scan->offset = wanted.exact ? qh_plan_offset(&scan->plan, &merged) : 0;
	scan->ties = wanted.with_ties;
	ncandidates = qh_scan_candidates(scan, scan->wanted);
	if (ncandidates > MOST_CANDIDATES && scan->ix->nslots > MOST_CANDIDATES)
		scan->wanted = floor(scan->wanted * MOST_CANDIDATES / ncandidates);
	scan->offset = Min(scan->offset, scan->wanted);
	scan->page = scan->wanted - scan->offset;
	/* whoever merges partitions needs their rows in order from the first on */
	if (merged)
		scan->offset = 0;

	/* only distances that are those of the filter can be compared with its bounds */
	scan->bounded = (scan->bounds.has_lower || scan->bounds.has_upper) &&
		(scan->rescore || scan->column->kind == QV_CODE_BITS);
	scan->filter = scan->plan.filters && !(scan->bounded && scan->bounds.complete);

	/* whoever reads every row in strict order waits for the last of them; those within bounds are found much sooner */
	scan->takes_all = wanted.all && wanted.exact && !scan->bounded &&
		qhnsw_iterative_scan == QH_ITERATIVE_STRICT && qhnsw_max_scan_tuples == 0;
}

/* Begin a graph search.  False if no entry point is known that could begin one. */
static bool
start_graph(QhScan *scan)
{
	QhSearchLimits limits = {0};
	QhCandidate seeds[MAX_SEEDS];
	int			nseeds = qh_choose_seeds(&scan->rs, MAX_SEEDS, seeds);

	if (nseeds == 0)
		return false;
	limits.resumable = qhnsw_iterative_scan != QH_ITERATIVE_OFF;
	limits.max_scored = limits.resumable ? qhnsw_max_scan_tuples : 0;
	limits.max_nbytes = qh_scan_memory(QH_SEARCH_MEMORY);
	scan->search = qh_search_create(&scan->alloc, &scan->rs.store);
	qh_search_start(scan->search, &limits, seeds, nseeds);
	scan->source = QH_SOURCE_GRAPH;
	return true;
}

/* Has the query no distances that would order anything? */
static bool
is_orderless(QhScan *scan, const QhValue *value)
{
	if (scan->column->kind == QV_CODE_BITS)
		return false;
	if (scan->column->metric == QV_METRIC_COSINE)
		return !value->finite || value->norm2 == 0;
	return !value->finite || value->norm2 > FLT_MAX / 16;
}

static void
prepare_queries(QhScan *scan, const QhValue *value)
{
	QhIndex    *ix = scan->ix;
	size_t		scratch_nbytes = qv_codec_scratch_nbytes(ix->codec);
	void	   *scratch;

	if (ix->refine_codec != NULL)
		scratch_nbytes = Max(scratch_nbytes, qv_codec_scratch_nbytes(ix->refine_codec));
	scratch = qh_alloc_aligned(scan->query_cxt, scratch_nbytes, 64);
	scan->prepared = qv_query_init(qh_alloc_aligned(scan->query_cxt, qv_query_sizeof(ix->codec), 64),
								   ix->codec, value->data, scratch);
	scan->rs.query = scan->prepared;
	if (ix->refine_codec != NULL)
	{
		scan->refine_prepared = qv_query_init_second(qh_alloc_aligned(scan->query_cxt, qv_query_sizeof(ix->refine_codec), 64),
													 ix->refine_codec, ix->codec, value->data, scratch);
		scan->rs.refine_query = scan->refine_prepared;
	}
}

/* Rows of the table as the planner estimates them: by the density that was counted last.  Negative if none ever was. */
static double
table_rows(const QhScan *scan)
{
	Form_pg_class stats = scan->heap->rd_rel;

	if (stats->reltuples < 0 || stats->relpages == 0)
		return -1;
	return (double) stats->reltuples / stats->relpages * RelationGetNumberOfBlocks(scan->heap);
}

/* Does a pass over all codes cost no more than a search?  Slots that vacuum freed are passed over quickly. */
static bool
is_small(const QhScan *scan)
{
	uint64		few = (uint64) FLAT_CODES_PER_EF * scan->ef;
	uint64		nslots = scan->ix->nslots;
	double		nrows;

	if (nslots <= few || nslots > FLAT_FREE_SLOTS * few)
		return nslots <= few;
	nrows = table_rows(scan);
	return nrows >= 0 && nrows <= few;
}

/* Candidates come from a pass over all codes, from now on. */
static void
start_flat(QhScan *scan)
{
	qh_flat_start(scan, qh_scan_candidates(scan, Max(scan->wanted, scan->stage)));
	scan->source = QH_SOURCE_FLAT;
}

static void
choose_source(QhScan *scan, const QhValue *value)
{
	QhIndex    *ix = scan->ix;

	if (ix->meta.ndims == 0 || ix->nentries == 0 || scan->bounds.never)
	{
		scan->source = QH_SOURCE_NONE;
		return;
	}
	if (scan->query_null || is_orderless(scan, value) || (scan->takes_all && scan->rescore))
	{
		qh_index_refresh_size(ix, scan->rs.index);
		scan->source = QH_SOURCE_ALL;

		/*
		 * Estimates are no use, for every row is wanted in its exact order; or the query has none to speak of, but the
		 * exact distances may still differ (infinite ones of either sign).  With no query there is nothing to compare.
		 */
		scan->fetch_all = !scan->query_null;
		scan->rescore = scan->rescore && !scan->query_null;
		return;
	}

	prepare_queries(scan, value);
	qh_rescore_remember(scan);
	if (is_small(scan) || qh_scan_takes_many(scan, scan->stage + scan->known_before) || scan->takes_all || qhnsw_flat || scan->ties ||
		!start_graph(scan))
		start_flat(scan);
}

/*
 * Do rows go through rescore.c's queues, rather than out in the order of their codes?  Where codes say all, the first stage
 * comes in order by itself, and so do all from a pass over all codes.
 */
static bool
is_queued(const QhScan *scan)
{
	if (scan->rescore || scan->rescore_codes || scan->filter || scan->bounded)
		return true;
	if (scan->source != QH_SOURCE_GRAPH || qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return false;
	return scan->wanted == 0 ? qhnsw_iterative_scan == QH_ITERATIVE_STRICT : scan->page < scan->wanted;
}

/* Give back what outlives the memory of the query. */
static void
end_query(QhScan *scan)
{
	qh_rescore_end(scan);
	qh_queue_end(&scan->refined);
	qh_queue_end(&scan->late);
}

/* Everything a new query needs; put off until the first row is asked for. */
static void
start(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	Relation	index = desc->indexRelation;
	MemoryContext old;
	QhValue		value = {0};

	if (desc->numberOfOrderBys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can only be scanned in the order of a distance",
						RelationGetRelationName(index)),
				 errhint("Add ORDER BY with the distance operator of its operator class.")));

	end_query(scan);
	MemoryContextReset(scan->query_cxt);
	MemoryContextReset(scan->tuple_cxt);
	old = MemoryContextSwitchTo(scan->query_cxt);
	memset(&scan->stats, 0, sizeof(scan->stats));
	memset(&scan->flat, 0, sizeof(scan->flat));
	memset(&scan->rows, 0, sizeof(scan->rows));
	scan->rows.cxt = scan->query_cxt;
	scan->alloc = qh_context_alloc(scan->query_cxt);
	scan->next_row = 0;
	scan->next_node = 0;
	scan->ahead.n = 0;
	scan->nahead = 0;
	scan->npulled = 0;
	scan->pulled = NULL;
	scan->max_pulled = 0;
	scan->leaves_graph = false;
	scan->source = QH_SOURCE_NONE;
	scan->stage = 0;
	scan->stage_end = 0;
	scan->ntaken = scan->npassed = 0;
	scan->planned = scan->stage_decided = scan->window_closed = false;
	scan->nbefore = scan->nuntil_within = scan->nestimates = 0;
	scan->typical_error = 0;
	scan->remembers = false;
	scan->known_before = 0;
	scan->exhausted = scan->have_last = scan->fetch_all = false;
	scan->search = NULL;
	scan->prepared = NULL;
	scan->refine_prepared = NULL;
	qh_queue_init(&scan->refined, scan->query_cxt, qh_scan_memory(QH_REFINE_MEMORY));
	qh_queue_init(&scan->late, scan->query_cxt, qh_scan_memory(QH_LATE_MEMORY));
	scan->nrefine_taken = scan->nrefine_given = 0;
	scan->no_candidates = false;

	scan->ef = qhnsw_ef_search;
	scan->rescore_codes = scan->column->metric == QV_METRIC_JACCARD;
	scan->rescore = scan->column->kind != QV_CODE_BITS && qhnsw_rescore;
	scan->ix = qh_index_acquire(index, scan->query_cxt);
	scan->oversample = qh_option_oversample(index, scan->ix->meta.code_nbits);
	scan->heap = desc->heapRelation;
	qh_relstore_init(&scan->rs, index, scan->ix);
	consult_plan(desc);
	qh_scan_next_stage(scan);

	scan->query_null = (desc->orderByData[0].sk_flags & SK_ISNULL) != 0;
	if (!scan->query_null)
	{
		scan->query = PointerGetDatum(PG_DETOAST_DATUM_COPY(desc->orderByData[0].sk_argument));
		qh_column_read(scan->column, scan->query, &value);
		if (scan->ix->meta.ndims > 0 && value.ndims != scan->ix->meta.ndims)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("different vector dimensions %u and %u", scan->ix->meta.ndims, value.ndims),
					 errdetail("The vectors of index \"%s\" have %u dimensions, the query has %u.",
							   RelationGetRelationName(index), scan->ix->meta.ndims, value.ndims)));
	}
	choose_source(scan, &value);
	scan->rescore_codes = scan->rescore_codes && scan->source != QH_SOURCE_ALL;
	scan->queued = is_queued(scan);
	if (scan->queued)
		qh_rescore_begin(desc);
	MemoryContextSwitchTo(old);
	scan->started = true;
}

/* Would a pass over all codes cost no more than what the graph search has cost? */
static bool
outgrown(QhScan *scan)
{
	/* refining alone takes more than ef for ten rows; those that are wanted were found before the first was taken */
	double		enough = Max(scan->refine_prepared ? 2 * scan->ef : scan->ef, Max(scan->ncandidates, scan->most_near));

	return scan->npulled > enough &&
		qh_search_stats(scan->search)->nscored > scan->ix->nslots / FLAT_FRACTION;
}

static void
note_pulled(QhScan *scan, const QhCandidate *cands, int n)
{
	if (scan->npulled + n > scan->max_pulled)
	{
		uint64		max = Max(64, 2 * (scan->npulled + n));
		QhCandidate *grown = MemoryContextAllocHuge(scan->query_cxt, sizeof(QhCandidate) * max);

		if (scan->npulled > 0)
			memcpy(grown, scan->pulled, sizeof(QhCandidate) * scan->npulled);
		if (scan->pulled)
			pfree(scan->pulled);
		scan->pulled = grown;
		scan->max_pulled = max;
	}
	Assert(scan->npulled + n <= scan->max_pulled);
	memcpy(scan->pulled + scan->npulled, cands, sizeof(QhCandidate) * n);
	scan->npulled += n;
}

/* Leave the graph for a pass over all codes. */
static bool
go_on_flat(QhScan *scan, QhCandidate *out)
{
	qh_search_destroy(scan->search);
	scan->search = NULL;
	start_flat(scan);
	return qh_flat_next(scan, out);
}

static int
graph_candidates(QhScan *scan, int max, QhCandidate *out)
{
	bool		goes_on = qhnsw_iterative_scan != QH_ITERATIVE_OFF;
	QhBudget		budget = qh_scan_next_budget(scan, &max);
	const QhSearchStats *stats;
	int			n;

	if (!goes_on && scan->npulled >= (uint64) scan->ef)
		return 0;
	if (goes_on && (scan->leaves_graph || outgrown(scan)))
		return go_on_flat(scan, out);
	n = qh_search_next_within(scan->search, &budget, max, out);
	stats = qh_search_stats(scan->search);

	/*
	 * No more nodes are to be reached from where the search began, or there is no memory for them.  From the other
	 * entry points there may be, so look at everything, before a row is returned that one of those should have come before.
	 */
	if (goes_on && (n == 0 || stats->exhausted || stats->limited))
	{
		scan->stats.limited = stats->limited && qhnsw_max_scan_tuples > 0 && stats->nscored >= (uint64) qhnsw_max_scan_tuples;
		if (!scan->stats.limited)
			return go_on_flat(scan, out);
	}
	note_pulled(scan, out, n);
	return n;
}

int
qh_scan_next_candidates(QhScan *scan, int max, QhCandidate *out)
{
	switch (scan->source)
	{
		case QH_SOURCE_NONE:
			return 0;
		case QH_SOURCE_GRAPH:
			return graph_candidates(scan, max, out);
		case QH_SOURCE_FLAT:
			return qh_flat_next(scan, out);
		case QH_SOURCE_ALL:
			if (scan->next_node >= scan->ix->nslots)
				return 0;
			CHECK_FOR_INTERRUPTS();
			out->node = scan->next_node++;
			out->dist = 0;
			return 1;
	}
	return 0;
}

/*
 * Does the node still have the code that was scored?  Between scoring and reading its rows the
 * slot may have been given to another node.  Rows of that one were inserted after this scan's
 * snapshot, so leaving them out loses nothing.
 */
static bool
still_scored(QhScan *scan, const uint8 *code, float dist)
{
	float		now;

	if (scan->source == QH_SOURCE_ALL)
		return true;
	qv_query_score(scan->prepared, &code, 1, &now);
	return now == dist;
}

/* The operator's own value from the bits: an estimate is the same number rounded to a float. */
static double
jaccard(QhScan *scan, const uint8 *code)
{
	const QvKernels *kernels = qv_kernels();
	uint32		nbytes = scan->ix->code_nbytes;
	const uint8 *query = bitvec_view(scan->query).bits;
	uint32		both = kernels->intersection(query, code, nbytes);
	uint32		either = kernels->popcount(query, nbytes) + kernels->popcount(code, nbytes) - both;

	return either == 0 ? 0 : (double) (either - both) / (double) either;
}

/* The next node in the order of the finest code there is. */
static bool
next_node(QhScan *scan, QhRefined *out)
{
	QhCandidate cand;

	if (scan->refine_prepared != NULL)
		return qh_refine_next(scan, out);
	if (qh_scan_next_candidates(scan, 1, &cand) == 0)
		return false;
	*out = (QhRefined) {cand.dist, cand.dist, cand.node};
	return true;
}

/* Nodes whose rows are asked for together: not more than there are rows still wanted, where each is returned. */
static int
rows_ahead(const QhScan *scan)
{
	double		missing = scan->wanted - scan->stats.nreturned;

	return scan->queued || missing <= 0 ? QH_ROWS_AHEAD : (int) Min(ceil(missing), QH_ROWS_AHEAD);
}

float
qh_scan_error(QhScan *scan, QhNode node)
{
	uint8		code[QH_PAGE_NBYTES];

	if (scan->column->kind == QV_CODE_BITS || scan->source == QH_SOURCE_ALL || !qh_read_code(&scan->rs, node, code))
		return 0;
	return qv_query_error(scan->prepared, code);
}

float
qh_scan_finer_error(QhScan *scan, QhNode node)
{
	uint8		code[QH_PAGE_NBYTES];

	if (scan->refine_prepared == NULL)
		return qh_scan_error(scan, node);
	if (!qh_read_refine(&scan->rs, node, code))
		return 0;
	return qv_query_error(scan->refine_prepared, code);
}

/* The rows of this node will be read next: read them, or ask for them, together with those of the nodes behind it. */
static void
read_rows_ahead(QhScan *scan, QhNode node)
{
	QhNode		nodes[QH_ROWS_AHEAD] = {node};
	int			max;
	int			n = 1;

	if (scan->nahead-- > 0)
		return;
	max = rows_ahead(scan);
	if (scan->refine_prepared != NULL)
		n += qh_refine_peek(scan, max - n, nodes + n);
	else if (scan->source == QH_SOURCE_GRAPH)
		n += qh_search_peek(scan->search, max - n, nodes + n);
	else if (scan->source == QH_SOURCE_FLAT)
		n += qh_flat_peek(scan, max - n, nodes + n);
	Assert(n <= QH_ROWS_AHEAD);
	scan->nahead = n - 1;
	scan->ahead.n = 0;
	qh_prefetch_rows(&scan->rs, nodes, n);

	/* where more than its score is wanted of a code, it is read with the rows, one by one */
	if (scan->source == QH_SOURCE_ALL || scan->rescore_codes)
		return;
	qh_read_row_batch(&scan->rs, nodes, n, &scan->ahead);
	if (!scan->queued)
		qh_heap_prefetch(&scan->rs, scan->heap, scan->ahead.tids, scan->ahead.n);
}

/* Read the rows of a node, and what else is wanted of it. */
static void
read_rows(QhScan *scan, const QhRefined *cand)
{
	uint8		code[QH_PAGE_NBYTES];

	scan->rows_node = cand->node;
	if (qh_rows_of_batch(&scan->ahead, cand->node, cand->coarse, &scan->rows))
		return;
	if (qh_read_rows(&scan->rs, cand->node, &scan->rows, code) &&
		!still_scored(scan, code, cand->coarse))
		qh_drop_rows(&scan->rows);
	if (scan->rescore_codes)
		scan->rows_exact = jaccard(scan, code);
}

bool
qh_scan_row(QhScan *scan, ItemPointer tid, float *dist)
{
	while (scan->next_row >= scan->rows.ntids)
	{
		QhRefined	cand;
		MemoryContext old;
		bool		found;

		scan->next_row = 0;
		if (scan->rows.chain.more && qh_read_more_rows(&scan->rs, &scan->rows) > 0)
			break;				/* of the same node */
		scan->rows.ntids = 0;
		old = MemoryContextSwitchTo(scan->query_cxt);
		found = next_node(scan, &cand);
		MemoryContextSwitchTo(old);
		if (!found)
			return false;
		read_rows_ahead(scan, cand.node);
		read_rows(scan, &cand);
		scan->rows_dist = cand.dist;
	}
	*tid = scan->rows.tids[scan->next_row++];
	*dist = scan->rows_dist;
	return true;
}

void
qh_scan_check_tid(IndexScanDesc desc, ItemPointer tid)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	if (unlikely(!ItemPointerIsValid(tid)))
		qh_report_corrupt(desc->indexRelation, QH_META_BLKNO, "a row pointer is not valid");
	if (unlikely(!qh_table_has_block(scan->ix, desc->heapRelation, ItemPointerGetBlockNumber(tid))))
		qh_report_corrupt(desc->indexRelation, QH_META_BLKNO, "a row pointer leads past the end of the table");
}

bool
qh_scan_is_in_order(QhScan *scan, ItemPointer tid, double dist)
{
	if (scan->have_last && float8_lt(dist, scan->last_dist) && qhnsw_iterative_scan == QH_ITERATIVE_STRICT)
	{
		/* what would have had to come before a row that is out already */
		qh_queue_add(&scan->late, dist, qh_tid_to_queue(tid));
		scan->stats.nlate++;
		return false;
	}
	scan->last_dist = dist;
	scan->have_last = true;
	return true;
}

bool
qh_scan_next_late(QhScan *scan, ItemPointer tid)
{
	QhQueued	row;

	if (!qh_queue_pop(&scan->late, &row))
		return false;
	qh_queue_to_tid(row.what, tid);
	return true;
}

/* The next row in the order of codes. */
static bool
next_by_code(IndexScanDesc desc, ItemPointer tid)
{
	QhScan	   *scan = (QhScan *) desc->opaque;
	float		dist;

	while (qh_scan_row(scan, tid, &dist))
	{
		qh_scan_check_tid(desc, tid);
		if (++scan->ntaken >= scan->stage_end)
			qh_scan_next_stage(scan);
		if (qh_scan_is_in_order(scan, tid, dist))
			return true;
	}
	return qh_scan_next_late(scan, tid);
}

static void
publish_stats(QhScan *scan)
{
	scan->stats.ncodes = scan->rs.ncodes;
	scan->stats.nexpanded = scan->rs.nlinks;
	scan->stats.npins = scan->rs.npins;
	scan->stats.nmisses = scan->rs.nmisses;
	scan->stats.nrefined = scan->rs.nrefined;
	scan->stats.nahead = scan->rs.nahead;
	qh_last_scan = scan->stats;
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
		start(desc);
		qh_count_index_scan(desc);
	}
	if (scan->queued)
		found = qh_rescore_next(desc, &desc->xs_heaptid);
	else
		found = next_by_code(desc, &desc->xs_heaptid);
	desc->xs_recheck = false;
	desc->xs_recheckorderby = false;
	if (found)
	{
		scan->stats.nreturned++;
		if (desc->xs_heapfetch != NULL)	/* a row is fetched for each pointer */
			qh_heap_pin(&scan->rs, desc->xs_heapfetch, ItemPointerGetBlockNumber(&desc->xs_heaptid));
	}
	publish_stats(scan);
	return found;
}

void
qhnswendscan(IndexScanDesc desc)
{
	QhScan	   *scan = (QhScan *) desc->opaque;

	end_query(scan);
	MemoryContextDelete(scan->cxt);
	desc->opaque = NULL;
}
