/*
 * slots.c
 *		Free slots: finding one, making more, and telling the free space map.
 *
 * The free space map knows pages of links and hubs that have a free slot.  It may be out of
 * date; vacuum renews it.  Must not know rows or links.  See README.md, section "Space".
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "store/links.h"
#include "store/slot_pin.h"
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

/* Was the page of this slot extended but never formatted?  Then none behind it was. */
static bool
is_unformatted(QhRelStore *rs, QhArray array, QhNode node)
{
	Buffer		buf = ReadBuffer(rs->index, qh_slot_address(&rs->ix->geo, array, node).blkno);
	bool		is_new = PageIsNew(BufferGetPage(buf));

	ReleaseBuffer(buf);
	return is_new;
}

/* A slot that is being reserved, and the pages that are locked for it. */
typedef struct Reservation
{
	QhNode		node;			/* QH_INVALID_NODE = none */
	bool		more;			/* other slots of the page are free */
	QhArray		array;			/* of the page: links or hubs */
	uint32		group;
	QhNode		first;			/* first node of the page */
	uint32		count;			/* of its slots that may be used */
	Buffer		link_buf;
	Buffer		code_buf;		/* InvalidBuffer = no code is written */
	Buffer		refine_buf;		/* likewise */
	Buffer		filter_buf;		/* likewise */
	QhSlotAddress code_addr;
	QhSlotAddress refine_addr;
	QhSlotAddress filter_addr;
} Reservation;

/*
 * Lock the page of links or hubs; false, with no lock held, where the block is none or was
 * never formatted.
 */
static bool
lock_link_page(QhRelStore *rs, BlockNumber blkno, Reservation *res)
{
	Page		page;

	res->count = link_page_range(rs, blkno, &res->array, &res->group, &res->first);
	if (res->count == 0)
		return false;
	res->link_buf = ReadBuffer(rs->index, blkno);
	LockBuffer(res->link_buf, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(res->link_buf);
	if (PageIsNew(page))
	{
		UnlockReleaseBuffer(res->link_buf);
		return false;
	}
	qh_page_check(rs->index, blkno, page, qh_array_page_kind(res->array), res->group);
	return true;
}

/* Find a free slot on the locked page, and whether there is another one. */
static void
find_free_slot(QhRelStore *rs, Reservation *res)
{
	const uint8 *states = qh_slot_states(rs, res->array, BufferGetPage(res->link_buf));

	for (uint32 i = 0; i < res->count; i++)
	{
		if (states[i] != QH_SLOT_FREE)
			continue;
		if (res->node != QH_INVALID_NODE)
		{
			res->more = true;
			break;
		}
		res->node = res->first + i;
	}
}

/* Are all pages of the slot there?  If not, extend() formats them. */
static bool
pages_are_formatted(QhRelStore *rs, QhNode node, const QhCode *code)
{
	return !is_unformatted(rs, QH_ARRAY_ROW, node) && !is_unformatted(rs, QH_ARRAY_CODE, node) &&
		!(code != NULL && code->refine != NULL && is_unformatted(rs, QH_ARRAY_REFINE, node)) &&
		!(rs->ix->geo.filter.record_nbytes > 0 && is_unformatted(rs, QH_ARRAY_FILTER, node));
}

/* Lock the pages that the codes go to, behind the link page in the lock order. */
static void
lock_code_pages(QhRelStore *rs, const QhCode *code, Reservation *res)
{
	if (code == NULL)
		return;
	res->code_addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, res->node);
	res->code_buf = qh_page_read(rs->index, MAIN_FORKNUM, res->code_addr.blkno, QH_PAGE_CODE, res->group,
								 BUFFER_LOCK_EXCLUSIVE);
	if (code->refine != NULL)
	{
		res->refine_addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_REFINE, res->node);
		res->refine_buf = qh_page_read(rs->index, MAIN_FORKNUM, res->refine_addr.blkno, QH_PAGE_REFINE, res->group,
									   BUFFER_LOCK_EXCLUSIVE);
	}
	if (code->record != NULL)
	{
		res->filter_addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_FILTER, res->node);
		res->filter_buf = qh_page_read(rs->index, MAIN_FORKNUM, res->filter_addr.blkno, QH_PAGE_FILTER, res->group,
									   BUFFER_LOCK_EXCLUSIVE);
	}
}

/* Mark the slot RESERVED and write its codes and its record, in one record of WAL. */
static void
write_reservation(QhRelStore *rs, const QhCode *code, const Reservation *res)
{
	GenericXLogState *xlog = GenericXLogStart(rs->index);
	Page		page = GenericXLogRegisterBuffer(xlog, res->link_buf, 0);

	qh_slot_states(rs, res->array, page)[res->node - res->first] = QH_SLOT_RESERVED;
	if (BufferIsValid(res->code_buf))
	{
		page = GenericXLogRegisterBuffer(xlog, res->code_buf, 0);
		memcpy(page + res->code_addr.offset, code->code, rs->ix->code_nbytes);
	}
	if (BufferIsValid(res->refine_buf))
	{
		page = GenericXLogRegisterBuffer(xlog, res->refine_buf, 0);
		memcpy(page + res->refine_addr.offset, code->refine, rs->ix->refine_nbytes);
	}
	if (BufferIsValid(res->filter_buf))
	{
		page = GenericXLogRegisterBuffer(xlog, res->filter_buf, 0);
		qh_filter_put(page, &rs->ix->geo.filter, res->filter_addr.index, code->record);
	}
	GenericXLogFinish(xlog);
}

static void
unlock_pages(const Reservation *res)
{
	if (BufferIsValid(res->filter_buf))
		UnlockReleaseBuffer(res->filter_buf);
	if (BufferIsValid(res->refine_buf))
		UnlockReleaseBuffer(res->refine_buf);
	if (BufferIsValid(res->code_buf))
		UnlockReleaseBuffer(res->code_buf);
	UnlockReleaseBuffer(res->link_buf);
}

/*
 * Reserve a free slot of this page of links or hubs, and write its codes in the same record.
 * Returns QH_INVALID_NODE where there is none that can be used; else *more says whether others
 * stay free.
 */
static QhNode
reserve_on_page(QhRelStore *rs, BlockNumber blkno, const QhCode *code, bool *more)
{
	Reservation res = {.node = QH_INVALID_NODE};

	if (!lock_link_page(rs, blkno, &res))
		return QH_INVALID_NODE;
	find_free_slot(rs, &res);
	if (res.node != QH_INVALID_NODE && !pages_are_formatted(rs, res.node, code))
		res.node = QH_INVALID_NODE;
	if (res.node != QH_INVALID_NODE)
	{
		lock_code_pages(rs, code, &res);
		write_reservation(rs, code, &res);
	}
	unlock_pages(&res);
	*more = res.more;
	return res.node;
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
	if (array == QH_ARRAY_FILTER)
		qh_filter_page_init(page, &geo->filter);
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

/* Where the page comes from that is tried next. */
typedef enum PageSource
{
	SOURCE_TARGET,				/* the last reservation of this backend left others free there */
	SOURCE_MAP,
	SOURCE_END,					/* the map may have been lost in a crash, and room is likely there */
	SOURCE_NONE
} PageSource;

/* Find a page of links or hubs that may have a free slot; the end of the index is tried once. */
static PageSource
find_page(QhRelStore *rs, bool tried_end, BlockNumber *blkno)
{
	QhIndex    *ix = rs->ix;

	*blkno = ix->insert_target;
	if (*blkno != InvalidBlockNumber)
		return SOURCE_TARGET;
	*blkno = GetFreeIndexPage(rs->index);
	if (*blkno != InvalidBlockNumber)
	{
		if (*blkno >= ix->nblocks)
			qh_index_refresh_size(ix, rs->index);
		return SOURCE_MAP;
	}
	if (tried_end || ix->nslots == 0)
		return SOURCE_NONE;
	*blkno = qh_slot_address(&ix->geo, QH_ARRAY_LINK, ix->nslots - 1).blkno;
	return SOURCE_END;
}

/*
 * Note what a reservation left on its page.  The map gave the page to this backend alone, which may
 * forget it before it is full (it ends, or reads the index anew): the page stays on the map until
 * somebody finds it full.
 */
static void
note_rest(QhRelStore *rs, BlockNumber blkno, PageSource source, bool more)
{
	rs->ix->insert_target = more ? blkno : InvalidBlockNumber;
	if (source == SOURCE_MAP && more)
		qh_slots_record_free(rs->index, blkno);
}

QhNode
qh_slot_reserve(QhRelStore *rs, const QhCode *code)
{
	bool		tried_end = false;

	for (;;)
	{
		BlockNumber blkno;
		PageSource	source;
		QhNode		node;
		bool		more;

		CHECK_FOR_INTERRUPTS();
		source = find_page(rs, tried_end, &blkno);
		if (source == SOURCE_NONE)
		{
			extend(rs);
			tried_end = false;
			continue;
		}
		node = reserve_on_page(rs, blkno, code, &more);
		if (node != QH_INVALID_NODE)
		{
			note_rest(rs, blkno, source, more);
			return node;
		}
		rs->ix->insert_target = InvalidBlockNumber;
		tried_end = tried_end || source == SOURCE_END;
	}
}

void
qh_slots_record_all_free(QhRelStore *rs, uint32 nslots)
{
	uint8		states[QH_PAGE_NBYTES / QH_LINK_NBYTES_MIN];
	QhNode		first = 0;

	while (first < nslots)
	{
		uint32		count = Min(qh_read_states(rs, first, states), nslots - first);

		qh_vacuum_delay();
		if (memchr(states, QH_SLOT_FREE, count) != NULL)
			RecordFreeIndexPage(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, first).blkno);
		first += count;
	}
	RecordUsedIndexPage(rs->index, QH_META_BLKNO);
	IndexFreeSpaceMapVacuum(rs->index);
}
