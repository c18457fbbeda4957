/*
 * slot_change.c
 *		Changes of existing slots: compared with what was read, and made as one WAL record.
 *
 * The only place that holds several content locks of slot pages for a change, so the lock order
 * is kept here.  Must not know why something is changed.  See README.md, sections "Locks" and
 * "WAL".
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "compat.h"
#include "store/links.h"
#include "store/slot_change.h"
#include "store/slot_pin.h"

typedef struct LockedPages
{
	int			n;
	Buffer		bufs[QH_MAX_SLOT_CHANGES + 2];
	BlockNumber blknos[QH_MAX_SLOT_CHANGES + 2];
	Page		pages[QH_MAX_SLOT_CHANGES + 2];
} LockedPages;

static int
find_page(const LockedPages *locked, BlockNumber blkno)
{
	for (int i = 0; i < locked->n; i++)
	{
		if (locked->blknos[i] == blkno)
			return i;
	}
	return -1;
}

/* Lock the page of a slot, if it is not; one that was never written is damage, for it was read before. */
static void
lock_page(QhRelStore *rs, QhArray array, QhNode node, LockedPages *locked)
{
	QhSlotAddress addr;
	Buffer		buf;

	if (!qh_relstore_in_range(rs, node))
		qh_report_corrupt(rs->index, QH_META_BLKNO, "a link or row pointer list leads past the end");
	addr = qh_slot_address(&rs->ix->geo, array, node);
	if (find_page(locked, addr.blkno) >= 0)
		return;
	buf = qh_lock_slot(rs, array, node, BUFFER_LOCK_EXCLUSIVE, &addr);
	if (!BufferIsValid(buf))
		qh_report_corrupt(rs->index, addr.blkno, "unexpected zero page");
	locked->bufs[locked->n] = buf;
	locked->blknos[locked->n] = addr.blkno;
	locked->pages[locked->n] = BufferGetPage(buf);
	locked->n++;
}

/*
 * The change of a FILTER slot that goes with these: the row's, or that a slot which becomes FREE
 * loses its record.  False where there is none.
 */
static bool
find_filter_change(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row,
				   QhFilterChange *filter)
{
	if (likely(rs->ix->geo.filter.record_nbytes == 0))
		return false;
	if (row != NULL && row->filter != NULL)
	{
		*filter = *row->filter;
		return true;
	}
	for (int i = 0; i < nchanges; i++)
	{
		if (changes[i].new_state != QH_SLOT_FREE ||
			(changes[i].old_state != QH_SLOT_DYING && changes[i].old_state != QH_SLOT_RESERVED))
			continue;
		*filter = (QhFilterChange) {changes[i].node, QH_RECORD_NONE, NULL};
		return true;
	}
	return false;
}

/*
 * Lock the row page first, then the link pages in ascending order, each once, and the FILTER page
 * behind them.
 */
static void
lock_pages(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row,
		   const QhFilterChange *filter, LockedPages *locked)
{
	QhNode		sorted[QH_MAX_SLOT_CHANGES];

	locked->n = 0;
	for (int i = 0; i < nchanges; i++)
	{
		int			j = i;

		for (; j > 0 && sorted[j - 1] > changes[i].node; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = changes[i].node;
	}
	if (row != NULL)
		lock_page(rs, QH_ARRAY_ROW, row->node, locked);
	for (int i = 0; i < nchanges; i++)
		lock_page(rs, qh_link_array(&rs->ix->geo, sorted[i]), sorted[i], locked);
	if (filter != NULL)
		lock_page(rs, QH_ARRAY_FILTER, filter->node, locked);
}

static void
unlock_pages(LockedPages *locked)
{
	for (int i = locked->n - 1; i >= 0; i--)
		UnlockReleaseBuffer(locked->bufs[i]);
}

static Page
page_of(QhRelStore *rs, const LockedPages *locked, QhArray array, QhNode node, QhSlotAddress *addr)
{
	*addr = qh_slot_address(&rs->ix->geo, array, node);
	return locked->pages[find_page(locked, addr->blkno)];
}

/* Do readers see the same list in both?  Nobody reads what is behind the last link. */
static bool
same_list(const QhLink *a, const QhLink *b, int max_degree)
{
	for (int i = 0; i < max_degree; i++)
	{
		if (a[i] != b[i])
			return false;
		if (a[i] == QH_INVALID_NODE)
			break;
	}
	return true;
}

static bool
same_row(const QhRowData *a, const QhRowData *b)
{
	return a->flags == b->flags && (a->flags == QH_ROW_NONE || memcmp(a->w, b->w, sizeof(a->w)) == 0);
}

/* Does a slot hold these links, or this posting list? */
static bool
holds(QhRelStore *rs, QhNode node, QhSlotState state, const uint8 *slot, const QhLink *links)
{
	QhLink		now[2 * QH_MAX_M];

	if (state == QH_SLOT_POSTING)
		return memcmp(slot, links, qh_link_nbytes(&rs->ix->geo, node)) == 0;
	return qh_copy_slot(rs, node, state, slot, now) && same_list(now, links, rs->store.max_degree);
}

/*
 * Report damage where a slot is not in the state it was read in, and reading it again would not
 * help: a RESERVED slot, which only its owner may change; and a slot that is not LIVE though
 * the row slot names a row and has not changed (is_named).
 */
static void
check_state(QhRelStore *rs, const QhSlotChange *change, BlockNumber blkno, bool is_named)
{
	if (change->old_state == QH_SLOT_RESERVED)
		qh_report_corrupt(rs->index, blkno, "a free slot is in use");
	if (change->old_state == QH_SLOT_LIVE && is_named)
		qh_report_corrupt(rs->index, blkno, "row pointer of a slot that is not a live node");
}

/* Is the slot of a change as it was read? */
static bool
slot_as_read(QhRelStore *rs, const LockedPages *locked, const QhSlotChange *change,
			 const QhRowChange *row)
{
	QhSlotAddress addr;
	QhArray		array = qh_link_array(&rs->ix->geo, change->node);
	Page		page = page_of(rs, locked, array, change->node, &addr);

	if (qh_slot_states(rs, array, page)[addr.index] != change->old_state)
	{
		check_state(rs, change, addr.blkno,
					row != NULL && row->node == change->node && row->old_row.flags != QH_ROW_NONE);
		return false;
	}
	return change->old_links == NULL ||
		holds(rs, change->node, change->old_state, (uint8 *) page + addr.offset, change->old_links);
}

/*
 * Is the row slot as it was read?  One of a slot that is about to become a node and has a row
 * is damage.
 */
static bool
row_as_read(QhRelStore *rs, const LockedPages *locked, const QhSlotChange *changes, int nchanges,
			const QhRowChange *row)
{
	QhSlotAddress addr;
	QhRowData	now;

	memcpy(&now, page_of(rs, locked, QH_ARRAY_ROW, row->node, &addr) + addr.offset, sizeof(now));
	if (same_row(&now, &row->old_row))
		return true;
	for (int i = 0; i < nchanges; i++)
	{
		if (changes[i].node == row->node && changes[i].old_state == QH_SLOT_RESERVED)
			qh_report_corrupt(rs->index, addr.blkno, "a free slot is in use");
	}
	return false;
}

/*
 * Is everything as it was read?  This compares what a reader sees, not bytes.  So where it is
 * false, reading again gives something else, and a loop that tries until it is true ends, on
 * damaged pages too.
 */
static bool
as_read(QhRelStore *rs, const LockedPages *locked, const QhSlotChange *changes, int nchanges,
		const QhRowChange *row)
{
	if (row != NULL && !row_as_read(rs, locked, changes, nchanges, row))
		return false;
	for (int i = 0; i < nchanges; i++)
	{
		if (!slot_as_read(rs, locked, &changes[i], row))
			return false;
	}
	return true;
}

/*
 * The new content of a slot, packed into scratch where its links are packed; *content is NULL
 * where it stays as it is.  False where the links do not fit, which is damage only if what they
 * were made from is still current.
 */
static bool
slot_content(QhRelStore *rs, const QhSlotChange *change, uint8 *scratch, const void **content)
{
	int			n = 0;

	*content = change->new_links;
	if (change->new_links == NULL || !qh_slot_is_packed(rs, change->node, change->new_state))
		return true;
	*content = scratch;
	while (n < rs->store.max_degree && change->new_links[n] != QH_INVALID_NODE)
		n++;
	return qh_pack_links(change->node, change->new_links, n, scratch, qh_link_nbytes(&rs->ix->geo, change->node));
}

/* Write the new content of a slot, if there is one. */
static void
write_content(QhRelStore *rs, const QhSlotChange *change, const void *content, uint8 *slot)
{
	uint32		nbytes = qh_link_nbytes(&rs->ix->geo, change->node);

	/* a slot may have room for more words than links, to hold a record */
	if (change->new_state == QH_SLOT_LIVE || change->new_state == QH_SLOT_DYING)
		nbytes = Min(nbytes, rs->store.max_degree * (uint32) sizeof(QhLink));
	if (content != NULL)
		memcpy(slot, content, nbytes);
}

static void
write_filter(const QhFilterLayout *layout, const QhFilterChange *filter, Page page, uint32 index)
{
	if (filter->state == QH_RECORD_SINGLE)
		qh_filter_put(page, layout, index, filter->record);
	else
		qh_filter_mark(page, layout, index, filter->state);
}

/* What qh_apply() is to change. */
typedef struct Changes
{
	const QhSlotChange *slots;
	const void *const *contents;
	int			nslots;
	const QhRowChange *row;
	const QhFilterChange *filter;
} Changes;

/* Write the changes as one record. */
static void
write_changes(QhRelStore *rs, LockedPages *locked, const Changes *changes)
{
	const QhRowChange *row = changes->row;
	GenericXLogState *xlog = GenericXLogStart(rs->index);
	QhSlotAddress addr;
	Page		page;

	for (int i = 0; i < locked->n; i++)
		locked->pages[i] = GenericXLogRegisterBuffer(xlog, locked->bufs[i], 0);
	if (row != NULL)
	{
		page = page_of(rs, locked, QH_ARRAY_ROW, row->node, &addr);
		memcpy(page + addr.offset, &row->new_row, sizeof(QhRowData));
	}
	for (int i = 0; i < changes->nslots; i++)
	{
		const QhSlotChange *change = &changes->slots[i];
		QhArray		array = qh_link_array(&rs->ix->geo, change->node);

		page = page_of(rs, locked, array, change->node, &addr);
		qh_slot_states(rs, array, page)[addr.index] = change->new_state;
		write_content(rs, change, changes->contents[i], (uint8 *) page + addr.offset);
	}
	if (changes->filter != NULL)
	{
		page = page_of(rs, locked, QH_ARRAY_FILTER, changes->filter->node, &addr);
		write_filter(&rs->ix->geo.filter, changes->filter, page, addr.index);
	}
	GenericXLogFinish(xlog);
}

bool
qh_apply(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row)
{
	LockedPages locked = {0};
	uint8		packed[QH_MAX_SLOT_CHANGES][QH_LINK_NBYTES(QH_MAX_M)];
	const void *contents[QH_MAX_SLOT_CHANGES];
	QhFilterChange filter;
	Changes		all = {changes, contents, nchanges, row, NULL};
	int			misfit = -1;
	bool		due;

	Assert(nchanges <= QH_MAX_SLOT_CHANGES);
	for (int i = 0; i < nchanges; i++)
	{
		if (!slot_content(rs, &changes[i], packed[i], &contents[i]))
			misfit = i;
	}
	if (find_filter_change(rs, changes, nchanges, row, &filter))
		all.filter = &filter;
	lock_pages(rs, changes, nchanges, row, all.filter, &locked);
	due = as_read(rs, &locked, changes, nchanges, row);
	if (due && misfit >= 0)
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, changes[misfit].node).blkno,
						  "links do not fit their slot");
	if (due)
		write_changes(rs, &locked, &all);
	unlock_pages(&locked);
	return due;
}
