/*
 * row_read.c
 *		Row pointers of nodes, read from the pages of an index.
 *
 * Row pointers are read under the share lock of their row page.  Must not know who changes
 * them, or what a scan does with them.  See README.md, section "Reading", and CHAINS.md.
 */
#include "postgres.h"

#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/codes.h"
#include "store/filter_read.h"
#include "store/postings.h"
#include "store/readahead.h"
#include "store/row_read.h"
#include "store/slot_pin.h"

void
qh_prefetch_rows(QhRelStore *rs, const QhNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		const char *page;

		if (nodes[i] >= rs->ix->nslots)
			continue;
		addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, nodes[i]);
		page = qh_prefetch_page(rs->ix, addr.blkno);
		if (page != NULL)
			qv_prefetch(page + addr.offset);
	}
	qh_read_ahead_if_cold(rs, QH_ARRAY_ROW, nodes, n);
}

void
qh_read_row_range(QhRelStore *rs, QhNode first, uint32 count, QhRowData *rows)
{
	while (count > 0)
	{
		QhSlotAddress addr;
		Buffer		buf = qh_lock_slot(rs, QH_ARRAY_ROW, first, BUFFER_LOCK_SHARE, &addr);
		uint32		here = Min(count, qh_geometry_page_nslots(&rs->ix->geo, addr.blkno) - addr.index);

		if (BufferIsValid(buf))
		{
			memcpy(rows, BufferGetPage(buf) + addr.offset, here * sizeof(QhRowData));
			UnlockReleaseBuffer(buf);
		}
		else
			memset(rows, 0, here * sizeof(QhRowData));
		first += here;
		rows += here;
		count -= here;
	}
}

QhRowData
qh_read_row(QhRelStore *rs, QhNode node)
{
	QhSlotAddress addr;
	Buffer		buf = qh_lock_slot(rs, QH_ARRAY_ROW, node, BUFFER_LOCK_SHARE, &addr);
	QhRowData	row = {{0}, QH_ROW_NONE};

	if (!BufferIsValid(buf))
		return row;
	memcpy(&row, BufferGetPage(buf) + addr.offset, sizeof(row));
	UnlockReleaseBuffer(buf);
	return row;
}

void
qh_report_tid(QhRelStore *rs, QhNode node)
{
	qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, node).blkno,
					  "row pointer is out of range");
}

/*
 * Add the only row of a node to the list.  Its record is in its FILTER slot: else this is damage,
 * for both change in one record, and the caller holds the lock of the row page.
 */
static void
add_single(QhRelStore *rs, QhNode node, const QhRowData *row, QhRowList *list)
{
	uint32		record_nbytes = qh_record_layout(rs)->record_nbytes;
	uint8		record[QH_MAX_RECORD_NBYTES];

	if (unlikely(record_nbytes > 0) && qh_read_row_record(rs, node, record) != QH_RECORD_SINGLE)
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_FILTER, node).blkno,
						  "a row has no record");
	qh_list_add(list, row->w, 1, record, record_nbytes);
}

bool
qh_read_rows(QhRelStore *rs, QhNode node, QhRowList *list, uint8 *code)
{
	QhSlotAddress addr;
	Buffer		buf = qh_lock_slot(rs, QH_ARRAY_ROW, node, BUFFER_LOCK_SHARE, &addr);
	QhRowData	row;

	qh_drop_rows(list);
	list->chain.node = node;
	if (!BufferIsValid(buf))
		return false;
	memcpy(&row, BufferGetPage(buf) + addr.offset, sizeof(row));
	if (row.flags == QH_ROW_SINGLE)
		add_single(rs, node, &row, list);
	else if (row.flags == QH_ROW_POSTING)
		qh_chain_begin(rs, list, qh_row_head(row));
	else if (row.flags != QH_ROW_NONE)
		qh_report_corrupt(rs->index, addr.blkno, "row slot is broken");
	for (int i = 0; i < list->ntids; i++)
		qh_check_tid(rs, node, &list->tids[i]);
	if (code != NULL && row.flags != QH_ROW_NONE && !qh_read_code(rs, node, code))
		qh_drop_rows(list);
	UnlockReleaseBuffer(buf);
	return list->ntids > 0 || list->chain.more;
}

int
qh_read_more_rows(QhRelStore *rs, QhRowList *list)
{
	list->ntids = 0;
	while (list->ntids == 0 && list->chain.more)
	{
		QhSlotAddress addr;
		Buffer		buf;
		QhRowData	row = {{0}, QH_ROW_NONE};

		CHECK_FOR_INTERRUPTS();
		buf = qh_lock_slot(rs, QH_ARRAY_ROW, list->chain.node, BUFFER_LOCK_SHARE, &addr);
		if (BufferIsValid(buf))
			memcpy(&row, BufferGetPage(buf) + addr.offset, sizeof(row));
		/* a node whose chain is gone had no rows left that this scan sees */
		if (row.flags == QH_ROW_POSTING)
			qh_chain_go_on(rs, list, qh_row_head(row));
		else
			qh_chain_end(list);
		if (BufferIsValid(buf))
			UnlockReleaseBuffer(buf);
	}
	for (int i = 0; i < list->ntids; i++)
		qh_check_tid(rs, list->chain.node, &list->tids[i]);
	return list->ntids;
}

/*
 * Of n nodes, add to the batch those in a page whose row is the only one.  The caller holds the
 * page's lock.
 */
static void
add_page_rows(QhRelStore *rs, QhRowBatch *batch, const QhNode *nodes, const QhSlotAddress *addrs, int n,
			  BlockNumber blkno, Page page)
{
	for (int i = 0; i < n; i++)
	{
		QhRowData	row;

		if (addrs[i].blkno != blkno)
			continue;
		memcpy(&row, page + addrs[i].offset, sizeof(row));
		if (row.flags != QH_ROW_SINGLE || !qh_tid_is_possible((ItemPointer) row.w))
			continue;			/* damage is reported when the node is read alone */
		if (unlikely(batch->record_nbytes > 0) &&
			qh_read_row_record(rs, nodes[i], batch->records + batch->n * batch->record_nbytes) != QH_RECORD_SINGLE)
			continue;			/* likewise */
		Assert(batch->n < QH_ROWS_AHEAD);
		batch->nodes[batch->n] = nodes[i];
		memcpy(&batch->tids[batch->n], row.w, sizeof(ItemPointerData));
		batch->n++;
	}
}

/* Does one of n slots stand in the page? */
static bool
is_among(const QhSlotAddress *addrs, int n, BlockNumber blkno)
{
	for (int i = 0; i < n; i++)
	{
		if (addrs[i].blkno == blkno)
			return true;
	}
	return false;
}

void
qh_read_row_batch(QhRelStore *rs, const QhNode *nodes, int n, QhRowBatch *batch)
{
	QhSlotAddress addrs[QH_ROWS_AHEAD];

	Assert(n <= QH_ROWS_AHEAD);
	batch->n = 0;
	batch->record_nbytes = qh_record_layout(rs)->record_nbytes;
	for (int i = 0; i < n; i++)
		addrs[i] = qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, nodes[i]);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		Buffer		buf;

		if (is_among(addrs, i, addrs[i].blkno))
			continue;			/* read with that one */
		buf = qh_lock_slot(rs, QH_ARRAY_ROW, nodes[i], BUFFER_LOCK_SHARE, &addr);
		if (!BufferIsValid(buf))
			continue;
		add_page_rows(rs, batch, nodes + i, addrs + i, n - i, addr.blkno, BufferGetPage(buf));
		UnlockReleaseBuffer(buf);
	}
	qh_score_codes(rs, batch->nodes, batch->n, batch->dist);
}

bool
qh_rows_of_batch(const QhRowBatch *batch, QhNode node, float dist, QhRowList *list)
{
	for (int i = 0; i < batch->n; i++)
	{
		if (batch->nodes[i] != node || batch->dist[i] != dist)
			continue;
		qh_drop_rows(list);
		qh_list_add(list, &batch->tids[i], 1, batch->records + i * batch->record_nbytes, batch->record_nbytes);
		return true;
	}
	return false;
}
