/*
 * node_rows.c
 *		Row pointers in the order of the codes: the rows of one candidate after the other.
 *
 * Rows of the nodes that come next are read together, where each has one.  Must not read the
 * table.  README.md, section "Course of a scan".
 */
#include "postgres.h"

#include <math.h>

#include "scan/source.h"
#include "kernel/kernel.h"
#include "store/heap_prefetch.h"

/*
 * Are the rows of a node those of the code that was scored?  Between scoring and reading the rows
 * the slot may have been given to another node.  Rows of that one were inserted after this scan's
 * snapshot, so leaving them out loses nothing, and taking them costs a fetch that finds nothing
 * visible.  A code that stands for a value may also have been replaced by another of the same value
 * (src/store/RECODING.md): such rows must be taken.
 */
static bool
still_scored(QhScan *scan, const uint8 *code, float dist)
{
	float		now;

	if (!scan->q.source->has_estimates || scan->q.ix->meta.code_kind == QV_CODE_RABITQ)
		return true;
	qv_query_score(scan->q.prepared, &code, 1, &now);
	return now == dist;
}

/* The operator's own value from the bits.  The estimate is the same number rounded to a float. */
static double
jaccard(QhScan *scan, const uint8 *code)
{
	const QvKernels *kernels = qv_kernels();
	uint32		nbytes = scan->q.ix->code_nbytes;
	const uint8 *query = scan->q.bits;
	uint32		both = kernels->intersection(query, code, nbytes);
	uint32		either = kernels->popcount(query, nbytes) + kernels->popcount(code, nbytes) - both;

	return either == 0 ? 0 : (double) (either - both) / (double) either;
}

/* The next node in the order of the finest code there is. */
static bool
next_node(QhScan *scan, QhRefined *out)
{
	QhCandidate cand;

	if (scan->q.refine_prepared != NULL)
		return qh_refine_next(scan, out);
	if (qh_source_next(scan, 1, &cand) == 0)
		return false;
	*out = (QhRefined) {cand.dist, cand.dist, cand.node};
	return true;
}

/*
 * Nodes whose rows are read together: where each is returned, not more than there are rows still
 * wanted.
 */
static int
batch_size(const QhScan *scan)
{
	double		missing = scan->q.wanted - scan->q.stats.nreturned;

	return scan->q.queued || missing <= 0 ? QH_ROWS_AHEAD : (int) Min(ceil(missing), QH_ROWS_AHEAD);
}

/*
 * The rows of this node will be read next.  Read them, or ask for them, together with those of
 * the nodes behind it.
 */
static void
read_ahead(QhScan *scan, QhNode node)
{
	QhNodeRows *rows = &scan->q.rows;
	QhNode		nodes[QH_ROWS_AHEAD] = {node};
	int			max;
	int			n = 1;

	if (rows->nbatched-- > 0)
		return;
	max = batch_size(scan);
	if (scan->q.refine_prepared != NULL)
		n += qh_refine_peek(scan, max - n, nodes + n);
	else
		n += qh_source_peek(scan, max - n, nodes + n);
	Assert(n <= QH_ROWS_AHEAD);
	rows->nbatched = n - 1;
	rows->batch.n = 0;
	qh_prefetch_rows(&scan->rs, nodes, n);

	/*
	 * where the code itself is needed, and not its score alone, it is read with the rows, one by
	 * one
	 */
	if (!scan->q.source->has_estimates || scan->q.rescore_codes)
		return;
	qh_read_row_batch(&scan->rs, nodes, n, &rows->batch);
	if (!scan->q.queued)
		qh_heap_prefetch(&scan->rs, scan->q.heap, rows->batch.tids, rows->batch.n);
}

/* Read the rows of a node, and what else is needed of it. */
static void
read_rows(QhScan *scan, const QhRefined *cand)
{
	QhNodeRows *rows = &scan->q.rows;
	uint8		code[QH_PAGE_NBYTES];

	rows->node = cand->node;
	if (qh_rows_of_batch(&rows->batch, cand->node, cand->coarse, &rows->list))
	{
		qh_keep_passing(scan, &rows->list);
		return;
	}
	if (qh_read_rows(&scan->rs, cand->node, &rows->list, code) &&
		!still_scored(scan, code, cand->coarse))
		qh_drop_rows(&rows->list);
	qh_keep_passing(scan, &rows->list);
	if (scan->q.rescore_codes)
		rows->exact = jaccard(scan, code);
}

/*
 * An error if a row pointer leads nowhere in the table: the table's own would not name the index.
 */
static void
check_tid(QhScan *scan, ItemPointer tid)
{
	Relation	index = scan->desc->indexRelation;

	if (unlikely(!ItemPointerIsValid(tid)))
		qh_report_corrupt(index, QH_META_BLKNO, "a row pointer is not valid");
	if (unlikely(!qh_table_has_block(scan->q.ix, scan->q.heap, ItemPointerGetBlockNumber(tid))))
		qh_report_corrupt(index, QH_META_BLKNO, "a row pointer leads past the end of the table");
}

bool
qh_next_row(QhScan *scan, ItemPointer tid, float *dist)
{
	QhNodeRows *rows = &scan->q.rows;

	while (rows->next >= rows->list.ntids)
	{
		QhRefined	cand;
		MemoryContext old;
		bool		found;

		rows->next = 0;
		if (rows->list.chain.more && qh_read_more_rows(&scan->rs, &rows->list) > 0)
		{
			qh_keep_passing(scan, &rows->list);
			continue;			/* with those of the same node */
		}
		rows->list.ntids = 0;
		old = MemoryContextSwitchTo(scan->query_cxt);
		found = next_node(scan, &cand);
		MemoryContextSwitchTo(old);
		if (!found)
			return false;
		read_ahead(scan, cand.node);
		read_rows(scan, &cand);
		rows->dist = cand.dist;
		rows->has_interval = scan->q.intervals && rows->list.ntids > 0 &&
			qh_refine_interval(scan, cand.node, cand.dist, &rows->interval);
	}
	*tid = rows->list.tids[rows->next++];
	*dist = rows->dist;
	check_tid(scan, tid);
	return true;
}
