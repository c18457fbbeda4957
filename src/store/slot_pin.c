/*
 * slot_pin.c
 *		Slots of the arrays: pinning and locking the page that holds one.
 *
 * Every read of a page of the groups that takes a pin comes through here: a page is checked
 * when this backend first meets it, and its buffer is remembered.  Must not know what a slot
 * holds.  See README.md, sections "What a backend remembers" and "Reading".
 */
#include "postgres.h"

#include "compat.h"
#include "store/slot_pin.h"
#include "store/versioned_read.h"

bool
qh_relstore_grown_to(QhRelStore *rs, QhNode node)
{
	qh_index_refresh_size(rs->ix, rs->index);
	return node < rs->ix->nslots;
}

Buffer
qh_remember_page(QhRelStore *rs, QhArray array, QhNode node, BlockNumber blkno, Buffer buf)
{
	Page		page = BufferGetPage(buf);
	QhPageKind	kind = qh_array_page_kind(array);
	uint32		group = node / rs->ix->geo.group_nslots;
	bool		is_new;

	if (rs->in_recovery)
		qh_await_page(buf);
	if (buf == rs->ix->recent[blkno] && qh_page_is(page, kind, group))
		return buf;
	rs->nmisses++;

	/* whether a page is new, damaged or sound is decided under its lock only */
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	is_new = PageIsNew(page);
	if (!is_new)
		qh_page_check(rs->index, blkno, page, kind, group);
	LockBuffer(buf, BUFFER_LOCK_UNLOCK);
	if (is_new)
	{
		ReleaseBuffer(buf);
		return InvalidBuffer;
	}
	rs->ix->recent[blkno] = buf;
	return buf;
}

Buffer
qh_pin_slot(QhRelStore *rs, QhArray array, QhNode node, QhSlotAddress *addr)
{
	QhIndex    *ix = rs->ix;
	Buffer		known;
	Buffer		buf;

	if (!qh_relstore_in_range(rs, node))
		qh_report_corrupt(rs->index, QH_META_BLKNO, "a link or row pointer list leads past the end");
	*addr = qh_slot_address(&ix->geo, array, node);
	rs->npins++;
	known = ix->recent[addr->blkno];
	if (known != InvalidBuffer &&
		(rs->strategy != NULL || qh_usage_is_full(known)) &&
		ReadRecentBuffer(qh_locator(rs->index), MAIN_FORKNUM, addr->blkno, known))
	{
		if (rs->in_recovery)
			qh_await_page(known);
		return known;
	}

	buf = ReadBufferExtended(rs->index, MAIN_FORKNUM, addr->blkno, RBM_NORMAL, rs->strategy);
	return qh_remember_page(rs, array, node, addr->blkno, buf);
}

Buffer
qh_lock_slot(QhRelStore *rs, QhArray array, QhNode node, int lockmode, QhSlotAddress *addr)
{
	Buffer		buf = qh_pin_slot(rs, array, node, addr);
	QhPageKind	kind = qh_array_page_kind(array);
	uint32		group = node / rs->ix->geo.group_nslots;

	if (!BufferIsValid(buf))
		return buf;
	LockBuffer(buf, lockmode);
	if (lockmode != BUFFER_LOCK_SHARE || unlikely(!qh_page_is(BufferGetPage(buf), kind, group)))
		qh_page_check(rs->index, addr->blkno, BufferGetPage(buf), kind, group);
	return buf;
}
