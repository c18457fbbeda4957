/*
 * exact.c
 *		Rows in their exact order, from queues where intervals stand for distances.
 *
 * A row that ends before any other begins is the nearest; others are read.  Must not know stages.
 * INTERVALS.md.
 */
#include "postgres.h"

#include "scan/rescore.h"
#include "utils/float.h"

/* Put the distance of a row in place of its interval; false if the row is gone. */
static bool
read_row(QhScan *scan, QhQueued *row)
{
	ItemPointerData tid;

	qh_pool_to_tid(row->what, &tid);
	if (!qh_fetch_distance(scan, &tid, &row->dist))
		return false;
	row->what = qh_pool_from_tid(&tid, 0, 0);
	return true;
}

bool
qh_exact_pop(QhScan *scan, QhQueue *queue, QhQueued *row)
{
	QhQueued	next;

	while (qh_queue_pop(queue, row))
	{
		bool		has_width = qh_pool_has_width(row->what);

		CHECK_FOR_INTERRUPTS();
		if (!qh_queue_peek(queue, &next) || float8_gt(next.dist, qh_pool_high(row)) ||
			!(has_width || qh_pool_has_width(next.what)))
			return true;
		if (has_width)
		{
			if (read_row(scan, row))
				qh_queue_add(queue, row->dist, row->what);
			continue;
		}
		/* one that may be just as near comes before or behind it by its place in the table */
		(void) qh_queue_pop(queue, &next);
		if (read_row(scan, &next))
			qh_queue_add(queue, next.dist, next.what);
		qh_queue_add(queue, row->dist, row->what);
	}
	return false;
}

void
qh_exact_compare(QhScan *scan, QhQueued *row)
{
	QhQueryState *q = &scan->q;

	if (!q->have_last || qhnsw_iterative_scan != QH_ITERATIVE_STRICT || float8_ge(row->dist, qh_pool_high(&q->last)))
		return;
	/* rows that were found are there under the scan's snapshot, however often they are fetched */
	if (qh_pool_has_width(q->last.what) && read_row(scan, &q->last))
		q->last_dist = q->last.dist;
	if (qh_pool_has_width(row->what))
		(void) read_row(scan, row);
}
