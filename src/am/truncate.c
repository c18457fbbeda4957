/*
 * truncate.c
 *		Giving the free pages at the end of an index back.
 *
 * Vacuum's cleanup finds out whether that is worth a lock; the file is cut when vacuum's
 * transaction is about to commit, for the leader of a parallel vacuum could not take the lock
 * before.  See src/store/README.md, section "Giving pages back".
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/generic_xlog.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "am/am.h"
#include "catalog/storage.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

/*
 * As for tables (vacuumlazy.c): at least so many pages, or such a part of all; less is not worth a
 * lock.
 */
#define WORTHWHILE_NPAGES	1000
#define WORTHWHILE_FRACTION 16

/* How often the lock is asked for, and how many ms apart.  Only vacuum waits; chosen by hand. */
#define LOCK_TRIES			20
#define LOCK_INTERVAL		50

/*
 * Pages looked at under the lock before the next look for others that wait for it; chosen by hand.
 */
#define LOOK_FOR_WAITERS	32

/* Indexes that have pages to give back when this transaction commits; in its memory. */
static List *scheduled = NIL;
static bool callback_registered = false;

/* Asked from time to time: is counting to stop where it is? */
typedef bool (*QhIsOver) (QhRelStore *rs);

static bool
pause_for_vacuum(QhRelStore *rs)
{
	qh_vacuum_delay();
	return false;
}

static bool
others_wait(QhRelStore *rs)
{
	CHECK_FOR_INTERRUPTS();
	return LockHasWaitersRelation(rs->index, AccessExclusiveLock);
}

/* Slots that are left without the free ones at the end, as far as those were looked at. */
static uint32
count_without_tail(QhRelStore *rs, QhIsOver is_over)
{
	uint8		states[QH_PAGE_NBYTES / QH_LINK_NBYTES_MIN];
	uint32		nslots = rs->ix->nslots;
	uint32		npages = 0;

	while (nslots > 0)
	{
		QhNode		last = nslots - 1;
		uint32		count = qh_slot_address(&rs->ix->geo, qh_link_array(&rs->ix->geo, last), last).index + 1;

		(void) qh_read_states(rs, nslots - count, states);
		while (count > 0 && states[count - 1] == QH_SLOT_FREE)
		{
			count--;
			nslots--;
		}
		if (count > 0 || (++npages % LOOK_FOR_WAITERS == 0 && is_over(rs)))
			break;
	}
	return nslots;
}

/* No entry point is cut off; none is a free slot, if nothing is damaged. */
static uint32
count_with_entries(const QhIndex *ix, uint32 nslots)
{
	for (int i = 0; i < ix->nentries; i++)
		nslots = Max(nslots, ix->entries[i] + 1);
	return nslots;
}

/*
 * A dying node keeps its links to others that died with it, and these may be free already if a
 * vacuum was interrupted.  Nothing leads to such a node, but no link is to lead past the end.
 */
static bool
any_dying(QhRelStore *rs, uint32 nslots)
{
	uint8		states[QH_PAGE_NBYTES / QH_LINK_NBYTES_MIN];
	uint32		count;

	for (QhNode first = 0; first < nslots; first += count)
	{
		count = qh_read_states(rs, first, states);
		qh_vacuum_delay();
		if (memchr(states, QH_SLOT_DYING, Min(count, nslots - first)) != NULL)
			return true;
	}
	return false;
}

static bool
is_worthwhile(BlockNumber nfree, BlockNumber nblocks)
{
	return nfree >= WORTHWHILE_NPAGES || nfree > nblocks / WORTHWHILE_FRACTION;
}

/*
 * Does the table's vacuum_truncate forbid it?  (VACUUM's own option is not shown to access
 * methods.)
 */
static bool
table_forbids(Relation index)
{
	Relation	heap = table_open(index->rd_index->indrelid, AccessShareLock);
	bool		forbids = !qh_vacuum_may_truncate((StdRdOptions *) heap->rd_options);

	table_close(heap, AccessShareLock);
	return forbids;
}

/*
 * Other backends look at the size again when the counter of the entry page has moved.  The
 * invalidation alone does not suffice: it is not sent if the commit fails.
 */
static void
touch_entries(Relation index)
{
	Buffer		buf = qh_page_read(index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0, BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *xlog = GenericXLogStart(index);

	QhPageGetEntry(GenericXLogRegisterBuffer(xlog, buf, 0))->nchanges++;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buf);
}

/*
 * Cut the index behind its last slot in use.  The caller holds the lock that excludes all others.
 */
static void
cut(QhRelStore *rs)
{
	QhIndex    *ix = rs->ix;
	uint32		nslots;
	BlockNumber nblocks;

	qh_index_refresh_size(ix, rs->index);
	nslots = count_with_entries(ix, count_without_tail(rs, others_wait));
	nblocks = qh_geometry_nblocks(&ix->geo, nslots);
	if (nblocks >= ix->nblocks)
		return;
	elog(DEBUG1, "index \"%s\": truncating %u to %u pages",
		 RelationGetRelationName(rs->index), ix->nblocks, nblocks);
	touch_entries(rs->index);
	CacheInvalidateRelcache(rs->index);
	RelationTruncate(rs->index, nblocks);
	qh_index_refresh_size(ix, rs->index);
}

/* Cut an index, if its lock is free: then true. */
static bool
give_back(Oid relid)
{
	MemoryContext cxt = AllocSetContextCreate(TopTransactionContext, "qhnsw truncate", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Relation	index = index_open(relid, RowExclusiveLock);	/* vacuum has it already */
	bool		locked = ConditionalLockRelation(index, AccessExclusiveLock);

	if (locked)
	{
		QhRelStore	rs;
		QhIndex    *ix = qh_index_acquire(index, cxt);

		if (ix->meta.ndims > 0)
		{
			qh_relstore_init(&rs, index, ix);
			cut(&rs);
		}
	}
	index_close(index, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return locked;
}

/*
 * Cut all that were scheduled.  Locks are kept until the commit that follows, which sends the
 * invalidations; so once one is held, the others are not waited for.
 */
static void
give_all_back(void)
{
	for (int i = 0; i < LOCK_TRIES && scheduled != NIL; i++)
	{
		bool		any_locked = false;
		ListCell   *cell;

		foreach(cell, scheduled)
			any_locked |= give_back(lfirst_oid(cell));
		if (any_locked)
			return;
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_INTERVAL,
						 WAIT_EVENT_VACUUM_TRUNCATE);
		ResetLatch(MyLatch);
	}
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT && !IsInParallelMode())
		give_all_back();
	scheduled = NIL;
}

void
qh_truncate_at_commit(QhRelStore *rs)
{
	QhIndex    *ix = rs->ix;
	MemoryContext old;
	uint32		nslots = count_with_entries(ix, count_without_tail(rs, pause_for_vacuum));
	BlockNumber nblocks = qh_geometry_nblocks(&ix->geo, nslots);

	if (IsParallelWorker() || nblocks >= ix->nblocks || !is_worthwhile(ix->nblocks - nblocks, ix->nblocks) ||
		table_forbids(rs->index) || any_dying(rs, nslots))
		return;
	if (!callback_registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		callback_registered = true;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	scheduled = list_append_unique_oid(scheduled, RelationGetRelid(rs->index));
	MemoryContextSwitchTo(old);
}

/* Is every slot of the page that holds the links of a node free? */
static bool
is_free_page(Relation index, const QhGeometry *geo, QhNode node)
{
	QhArray		array = qh_link_array(geo, node);
	QhSlotAddress addr = qh_slot_address(geo, array, node);
	uint32		count = qh_geometry_page_nslots(geo, addr.blkno);
	Buffer		buf = ReadBuffer(index, addr.blkno);
	bool		free = true;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	if (!PageIsNew(BufferGetPage(buf)))
	{
		const uint8 *states = (const uint8 *) BufferGetPage(buf) + geo->state_offset[array];

		qh_page_check(index, addr.blkno, BufferGetPage(buf), qh_array_page_kind(array), node / geo->group_nslots);
		for (uint32 i = 0; i < count && free; i++)
			free = states[i] == QH_SLOT_FREE;
	}
	UnlockReleaseBuffer(buf);
	return free;
}

bool
qh_seems_too_long(Relation index)
{
	QhMetaData	meta;
	QhGeometry	geo;
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);
	uint32		nslots;

	qh_meta_read(index, &meta);
	if (meta.ndims == 0 || qh_geometry_init(&geo, &meta) != NULL)
		return false;
	nslots = qh_geometry_nslots(&geo, nblocks);
	return nslots > 0 && is_free_page(index, &geo, nslots - 1) && is_free_page(index, &geo, (uint32) (nslots * 0.97)) &&
		is_free_page(index, &geo, (uint32) (nslots * 0.94));
}
