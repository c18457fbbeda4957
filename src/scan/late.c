/*
 * late.c
 *		Rows that are found after their place in the order has passed.
 *
 * In strict order they are kept, and come after all others.  README.md, section "Strict order".
 */
#include "postgres.h"

#include "scan/scan_state.h"
#include "utils/float.h"

bool
qh_is_in_order(QhScan *scan, ItemPointer tid, double dist)
{
	QhQueryState *q = &scan->q;

	if (q->have_last && float8_lt(dist, q->last_dist) && qhnsw_iterative_scan == QH_ITERATIVE_STRICT)
	{
		/* it would have had to come before a row that is out already */
		qh_queue_add(&q->late, dist, qh_tid_to_queue(tid));
		q->stats.nlate++;
		return false;
	}
	q->last_dist = dist;
	q->have_last = true;
	return true;
}

bool
qh_next_late(QhScan *scan, ItemPointer tid)
{
	QhQueued	row;

	if (!qh_queue_pop(&scan->q.late, &row))
		return false;
	qh_queue_to_tid(row.what, tid);
	return true;
}
