/*
 * slots.c
 *		Free slots: finding one, making more, and telling the free space map.
 *
 * The free space map knows pages of links and hubs that have a free slot; it is a hint, and vacuum
 * renews it.  Must not know rows or links.  See README.md, section "Space".
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "store/relstore.h"
#include "store/slots.h"

/* First node and number of usable slots of a page of links or hubs; 0 where the block is none. */
static uint32
link_page_range(QhRelStore *rs, BlockNumber blkno, QhArray *array, uint32 *group, QhNode *first)
{
	QhGeometry *geo = &rs->ix->geo;

	if (blkno < geo->first_blkno || blkno >= rs->ix->nblocks)
		return 0;
	*array = qh_geometry_block(geo, blkno, group, first);
	if ((*array != QH_ARRAY_LINK && *array != QH_ARRAY_HUB) || *first >= rs->ix->nslots)
		return 0;
	return Min(qh_geometry_page_nslots(geo, blkno), rs->ix->nslots - *first);
}

/* Was the page of this slot extended but never formatted?  What follows it was not either. */
static bool
is_unformatted(QhRelStore *rs, QhArray array, QhNode node)
{
	Buffer		buf = ReadBuffer(rs->index, qh_slot_address(&rs->ix->geo, array, node).blkno);
	bool		is_new = PageIsNew(BufferGetPage(buf));

	ReleaseBuffer(buf);
	return is_new;
}

/*
 * Reserve a free slot of this page of links or hubs, writing the code in the same record.  *more
 * says whether others stay free.
 */
static QhNode
reserve_on_page(QhRelStore *rs, BlockNumber blkno, const QhCode *code, bool *more)
{
	QhGeometry *geo = &rs->ix->geo;
	QhArray		array;
	uint32		group;
	QhNode		first;
	uint32		count = link_page_range(rs, blkno, &array, &group, &first);
	QhNode		node = QH_INVALID_NODE;
	Buffer		link_buf;
	Buffer		code_buf = InvalidBuffer;
	Buffer		refine_buf = InvalidBuffer;
	QhSlotAddress code_addr = {0};
	QhSlotAddress refine_addr = {0};
	bool		finer = code != NULL && code->refine != NULL;
	uint8	   *states;
	GenericXLogState *xlog;
	Page		page;

	*more = false;
	if (count == 0)
		return QH_INVALID_NODE;
	link_buf = ReadBuffer(rs->index, blkno);
	LockBuffer(link_buf, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(link_buf);
	if (PageIsNew(page))
	{
		UnlockReleaseBuffer(link_buf);
		return QH_INVALID_NODE;
	}
	qh_page_check(rs->index, blkno, page, qh_array_page_kind(array), group);
	states = (uint8 *) page + geo->state_offset[array];
	for (uint32 i = 0; i < count; i++)
	{
		if (states[i] != QH_SLOT_FREE)
			continue;
		if (node != QH_INVALID_NODE)
		{
			*more = true;
			break;
		}
		node = first + i;
	}
	/* a slot is no use before all its pages are there: extend() formats them */
	if (node == QH_INVALID_NODE ||
		is_unformatted(rs, QH_ARRAY_ROW, node) || is_unformatted(rs, QH_ARRAY_CODE, node) ||
		(finer && is_unformatted(rs, QH_ARRAY_REFINE, node)))
	{
		*more = false;
		UnlockReleaseBuffer(link_buf);
		return QH_INVALID_NODE;
	}

	if (code != NULL)
	{
		code_addr = qh_slot_address(geo, QH_ARRAY_CODE, node);
		code_buf = qh_page_read(rs->index, MAIN_FORKNUM, code_addr.blkno, QH_PAGE_CODE, group,
								BUFFER_LOCK_EXCLUSIVE);
	}
	if (finer)
	{
		refine_addr = qh_slot_address(geo, QH_ARRAY_REFINE, node);
		refine_buf = qh_page_read(rs->index, MAIN_FORKNUM, refine_addr.blkno, QH_PAGE_REFINE, group,
								  BUFFER_LOCK_EXCLUSIVE);
	}
	xlog = GenericXLogStart(rs->index);
	page = GenericXLogRegisterBuffer(xlog, link_buf, 0);
	((uint8 *) page + geo->state_offset[array])[node - first] = QH_SLOT_RESERVED;
	if (code != NULL)
	{
		page = GenericXLogRegisterBuffer(xlog, code_buf, 0);
		memcpy(page + code_addr.offset, code->code, rs->ix->code_nbytes);
	}
	if (finer)
	{
		page = GenericXLogRegisterBuffer(xlog, refine_buf, 0);
		memcpy(page + refine_addr.offset, code->refine, rs->ix->refine_nbytes);
	}
	GenericXLogFinish(xlog);
	if (finer)
		UnlockReleaseBuffer(refine_buf);
	if (BufferIsValid(code_buf))
		UnlockReleaseBuffer(code_buf);
	UnlockReleaseBuffer(link_buf);
	return node;
}

/* Format a new or zero page as its place in its group wants it. */
void
qh_format_block(Relation index, const QhGeometry *geo, BlockNumber blkno, Buffer buf)
{
	uint32		group;
	uint32		first;
	QhArray		array = qh_geometry_block(geo, blkno, &group, &first);
	GenericXLogState *xlog = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(xlog, buf, GENERIC_XLOG_FULL_IMAGE);

	qh_page_init(page, qh_array_page_kind(array), group);
	GenericXLogFinish(xlog);
}

void
qh_slots_record_free(Relation index, BlockNumber link_blkno)
{
	RecordFreeIndexPage(index, link_blkno);
	FreeSpaceMapVacuumRange(index, link_blkno, link_blkno + 1);
}

/*
 * Pages at the end of the file that were extended but never formatted (a crash came
 * between): format them now.  The caller holds the extension lock.
 */
static void
format_tail(QhRelStore *rs)
{
	QhGeometry *geo = &rs->ix->geo;
	BlockNumber blkno = rs->ix->nblocks;

	while (blkno > geo->first_blkno)
	{
		Buffer		buf = ReadBuffer(rs->index, blkno - 1);
		bool		empty = PageIsNew(BufferGetPage(buf));

		ReleaseBuffer(buf);
		if (!empty)
			break;
		blkno--;
	}

	/* forwards, so that after another crash what is formatted still comes first */
	for (; blkno < rs->ix->nblocks; blkno++)
	{
		Buffer		buf = ReadBuffer(rs->index, blkno);

		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		qh_format_block(rs->index, geo, blkno, buf);
		UnlockReleaseBuffer(buf);
	}
}

/* Extend the index by the pages that give room to at least one more slot. */
static void
extend(QhRelStore *rs)
{
	QhIndex    *ix = rs->ix;
	uint32		old_nslots = ix->nslots;
	BlockNumber last = InvalidBlockNumber;

	LockRelationForExtension(rs->index, ExclusiveLock);
	qh_index_refresh_size(ix, rs->index);
	if (ix->nslots > old_nslots)
	{
		/* somebody else was faster: look again before adding more */
		UnlockRelationForExtension(rs->index, ExclusiveLock);
		return;
	}
	format_tail(rs);
	while (ix->nslots == old_nslots)
	{
		Buffer		buf;

		if (old_nslots >= QH_MAX_NODES - 1)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("index \"%s\" cannot hold more than %u nodes",
							RelationGetRelationName(rs->index), QH_MAX_NODES)));
		buf = ReadBuffer(rs->index, P_NEW);
		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		qh_format_block(rs->index, &ix->geo, BufferGetBlockNumber(buf), buf);
		UnlockReleaseBuffer(buf);
		qh_index_refresh_size(ix, rs->index);
	}
	UnlockRelationForExtension(rs->index, ExclusiveLock);

	for (QhNode node = old_nslots; node < ix->nslots; node++)
	{
		BlockNumber blkno = qh_slot_address(&ix->geo, QH_ARRAY_LINK, node).blkno;

		if (blkno != last)
			qh_slots_record_free(rs->index, blkno);
		last = blkno;
	}
}

QhNode
qh_slot_reserve(QhRelStore *rs, const QhCode *code)
{
	QhIndex    *ix = rs->ix;
	bool		tried_last = false;

	for (;;)
	{
		BlockNumber blkno = ix->insert_target;
		bool		from_map = false;
		QhNode		node;
		bool		more;

		CHECK_FOR_INTERRUPTS();
		if (blkno == InvalidBlockNumber)
		{
			blkno = GetFreeIndexPage(rs->index);
			from_map = blkno != InvalidBlockNumber;
			if (from_map && blkno >= ix->nblocks)
				qh_index_refresh_size(ix, rs->index);
		}
		if (blkno == InvalidBlockNumber && !tried_last && ix->nslots > 0)
		{
			/* the map may have been lost in a crash: the end is where room is likely */
			blkno = qh_slot_address(&ix->geo, QH_ARRAY_LINK, ix->nslots - 1).blkno;
			tried_last = true;
		}
		if (blkno == InvalidBlockNumber)
		{
			extend(rs);
			tried_last = false;
			continue;
		}
		node = reserve_on_page(rs, blkno, code, &more);
		if (node == QH_INVALID_NODE)
		{
			ix->insert_target = InvalidBlockNumber;
			continue;
		}
		ix->insert_target = more ? blkno : InvalidBlockNumber;

		/*
		 * The map gave the page to us alone, and we may forget it before it is full (the session
		 * ends, the cached index is read anew): let it stay on the map until somebody finds it full.
		 */
		if (from_map && more)
			qh_slots_record_free(rs->index, blkno);
		return node;
	}
}
