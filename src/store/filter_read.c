/*
 * filter_read.c
 *		Records of rows, read from the pages of an index: one node's, or page by page.
 *
 * A record changes while its node lives, so pages are read under the share lock, or as a
 * versioned read that shows what the lock would have shown.  Must not know what records are
 * compared with.  See README.md, section "Records".
 */
#include "postgres.h"

#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/filter_read.h"
#include "store/readahead.h"
#include "store/slot_pin.h"
#include "store/versioned_read.h"

/* Pages asked for ahead of a sweep: 256 kB, as for codes (sweep.c). */
#define PAGES_AHEAD		32

/* qh_read_filter_record() as a versioned read; false where that is not possible. */
static bool
read_versioned(QhRelStore *rs, QhNode node, uint8 *record, QhRecordState *state)
{
	QhSlotAddress addr;
	QhVersionedRead versioned;
	const char *page;

	if (!qh_optimistic_read || node >= rs->ix->nslots)
		return false;
	addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_FILTER, node);
	page = qh_versioned_read_begin(rs, addr.blkno, &versioned);
	if (page == NULL ||
		!qh_page_is((Page) page, QH_PAGE_FILTER, qh_divide(node, rs->ix->geo.by_group_nslots)))
		return false;
	*state = qh_filter_get(page, qh_record_layout(rs), addr.index, record);
	return qh_versioned_read_end(&versioned);
}

QhRecordState
qh_read_filter_record(QhRelStore *rs, QhNode node, uint8 *record)
{
	QhRecordState state;

	return read_versioned(rs, node, record, &state) ? state : qh_read_row_record(rs, node, record);
}

QhRecordState
qh_read_row_record(QhRelStore *rs, QhNode node, uint8 *record)
{
	QhSlotAddress addr;
	QhRecordState state;
	Buffer		buf = qh_lock_slot(rs, QH_ARRAY_FILTER, node, BUFFER_LOCK_SHARE, &addr);

	Assert(qh_record_layout(rs)->record_nbytes > 0);
	if (!BufferIsValid(buf))
		return QH_RECORD_NONE;
	state = qh_filter_get(BufferGetPage(buf), qh_record_layout(rs), addr.index, record);
	UnlockReleaseBuffer(buf);
	return state;
}

void
qh_prefetch_filters(QhRelStore *rs, const QhNode *nodes, int n)
{
	const QhFilterLayout *layout = qh_record_layout(rs);

	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		const char *page;

		if (nodes[i] >= rs->ix->nslots)
			continue;
		addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_FILTER, nodes[i]);
		page = qh_prefetch_page(rs->ix, addr.blkno);
		if (page == NULL)
			continue;
		qv_prefetch(page + layout->page_single_at + addr.index / 64 * sizeof(uint64));
		for (uint32 c = 0; c < layout->ncolumns; c++)
			qv_prefetch(page + layout->page_keys_at[c] + addr.index * layout->nbytes[c]);
	}
	qh_read_ahead_if_cold(rs, QH_ARRAY_FILTER, nodes, n);
}

/* ---- sweeps ---- */

/* Slots on the page whose first node is this; pages end with their group and with the index. */
static uint32
page_nslots(const QhFilterSweep *sweep, QhNode first)
{
	const QhGeometry *geo = &sweep->rs->ix->geo;
	uint32		in_group = geo->group_nslots - first % geo->group_nslots;

	return Min(Min(geo->page_nslots[QH_ARRAY_FILTER], in_group), sweep->nslots - first);
}

void
qh_filter_sweep_begin(QhFilterSweep *sweep, QhRelStore *rs)
{
	Assert(qh_record_layout(rs)->record_nbytes > 0);
	memset(sweep, 0, sizeof(*sweep));
	sweep->rs = rs;
	sweep->nslots = rs->ix->nslots;
	sweep->buf = InvalidBuffer;
	/* as a sequential scan does, so that one large sweep does not evict what others use */
	if (sweep->nslots / rs->ix->geo.page_nslots[QH_ARRAY_FILTER] > (uint32) NBuffers / 4)
		sweep->strategy = GetAccessStrategy(BAS_BULKREAD);
}

/* Where a page was missing, keep those behind it on their way from disk. */
static void
look_ahead(QhFilterSweep *sweep)
{
	QhIndex    *ix = sweep->rs->ix;
	uint64		end = (uint64) sweep->next + (uint64) PAGES_AHEAD * ix->geo.page_nslots[QH_ARRAY_FILTER];

	if (sweep->rs->nmisses == 0)
		return;
	sweep->ahead = Max(sweep->ahead, sweep->next);
	while (sweep->ahead < Min(end, sweep->nslots))
	{
		qh_read_ahead(sweep->rs, QH_ARRAY_FILTER, &sweep->ahead, 1);
		sweep->ahead += page_nslots(sweep, sweep->ahead);
	}
}

void
qh_filter_sweep_release(QhFilterSweep *sweep)
{
	if (BufferIsValid(sweep->buf))
		UnlockReleaseBuffer(sweep->buf);
	sweep->buf = InvalidBuffer;
}

bool
qh_filter_sweep_next(QhFilterSweep *sweep, QhFilterPage *page)
{
	QhRelStore *rs = sweep->rs;
	BufferAccessStrategy before = rs->strategy;
	QhSlotAddress addr;
	QhNode		first = sweep->next;

	qh_filter_sweep_release(sweep);
	if (first >= sweep->nslots)
		return false;
	CHECK_FOR_INTERRUPTS();
	sweep->next = first + page_nslots(sweep, first);
	look_ahead(sweep);
	rs->strategy = sweep->strategy;
	sweep->buf = qh_lock_slot(rs, QH_ARRAY_FILTER, first, BUFFER_LOCK_SHARE, &addr);
	rs->strategy = before;
	memset(page, 0, sizeof(*page));
	if (BufferIsValid(sweep->buf))
		qh_filter_view(BufferGetPage(sweep->buf), qh_record_layout(rs), first, sweep->next - first, page);
	return true;
}

void
qh_filter_sweep_end(QhFilterSweep *sweep)
{
	qh_filter_sweep_release(sweep);
	if (sweep->strategy != NULL)
		FreeAccessStrategy(sweep->strategy);
	sweep->strategy = NULL;
}
