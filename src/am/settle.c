/*
 * settle.c
 *		The dimension of an index of which neither type nor option says it.
 *
 * The first row decides it, and with it the codes and the geometry.  That row may roll back: as
 * long as no row is left that any snapshot could see, the index is made empty again for a row of
 * another dimension.  Must not know the graph.
 * See README.md, section "The dimension of an index".
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "am/am.h"
#include "build/build.h"
#include "catalog/storage.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

/* ---- is no row left? ---- */

/*
 * Can any snapshot see the row, now or later, here or on a standby?  Not if its transaction is
 * known to have failed, nor if the table has no such row.  A deleted row is left until vacuum
 * removes it, which conflicts with snapshots of standbys.
 */
static bool
row_is_left(Relation heap, ItemPointer tid, TupleTableSlot *slot)
{
	SnapshotData dirty;
	TransactionId xmin;
	bool		all_dead = false;
	bool		isnull;

	InitDirtySnapshot(dirty);
	if (table_index_fetch_tuple_check(heap, tid, &dirty, &all_dead) || !all_dead)
		return true;
	if (!table_tuple_fetch_row_version(heap, tid, SnapshotAny, slot))
		return false;
	xmin = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
	ExecClearTuple(slot);
	return !TransactionIdIsNormal(xmin) || TransactionIdDidCommit(xmin);
}

/* Ends at the first row that is left: for an index in use the answer is cheap. */
static bool
is_empty(Relation index, Relation heap, QhIndex *ix)
{
	QhRelStore	rs;
	QhRowList	list = {.cxt = CurrentMemoryContext};
	TupleTableSlot *slot = table_slot_create(heap, NULL);
	bool		empty = true;

	qh_relstore_init(&rs, index, ix);
	qh_index_refresh_size(ix, index);
	for (QhNode node = 0; node < ix->nslots && empty; node++)
	{
		bool		any = qh_read_rows(&rs, node, &list, NULL);

		while (any && empty)
		{
			CHECK_FOR_INTERRUPTS();
			for (int i = 0; i < list.ntids && empty; i++)
				empty = !row_is_left(heap, &list.tids[i], slot);
			any = qh_read_more_rows(&rs, &list) > 0;
		}
		CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
	return empty;
}

/* ---- changes ---- */

/*
 * Entry points and dimension go in one record; the pages behind, which nothing leads to any more,
 * after it.
 */
static void
make_empty(Relation index, const QhColumn *column)
{
	Buffer		meta_buf = qh_page_read(index, MAIN_FORKNUM, QH_META_BLKNO, QH_PAGE_META, 0, BUFFER_LOCK_EXCLUSIVE);
	Buffer		entry_buf = qh_page_read(index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0, BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *xlog = GenericXLogStart(index);
	Page		head = GenericXLogRegisterBuffer(xlog, meta_buf, 0);
	QhMeta		meta = QhPageGetMeta(head);
	QhCurve		curve = QhPageGetCurve(head);
	QhEntry		entry = QhPageGetEntry(GenericXLogRegisterBuffer(xlog, entry_buf, 0));

	meta->ndims = 0;
	qh_meta_choose_codes(meta, index, column);
	meta->code_nbytes = meta->refine_nbytes = 0;
	meta->group_nslots = meta->group_npages = meta->group_nhubs = 0;
	meta->built_nnodes = meta->built_nrows = 0;
	meta->sample_spread = meta->inserted_norm2 = 0;
	meta->ninserts_sampled = 0;
	meta->ncentres = meta->ncentres_built = 0;
	meta->added_head = QH_INVALID_NODE;
	memset(curve, 0, sizeof(*curve));
	entry->nentries = 0;
	entry->nchanges++;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(entry_buf);
	UnlockReleaseBuffer(meta_buf);
}

/*
 * Take the lock that excludes all others, if it is free.  This backend must have the index open
 * once, for this insert: otherwise a scan of its own may be under way.
 */
static bool
lock_alone(Relation index)
{
	return index->rd_refcnt == 1 && ConditionalLockRelation(index, AccessExclusiveLock);
}

/* Cut off pages of groups.  The caller is alone with the index. */
static void
drop_groups(Relation index)
{
	if (RelationGetNumberOfBlocks(index) > QH_FIRST_PARAM_BLKNO)
		RelationTruncate(index, QH_FIRST_PARAM_BLKNO);
}

bool
qh_unsettle_ndims(Relation index, Relation heap, QhIndex *ix)
{
	uint32		ndims = ix->meta.ndims;
	const QhColumn *column = qh_column(index);

	/*
	 * Not if the dimension is stated, nor if the index has a centroid, which rows have trained: it
	 * has to be rebuilt.  Other table access methods may keep old rows in ways that row_is_left
	 * does not know.
	 */
	if (qh_option_check(index, column) > 0 || ix->meta.nparam_pages > 0 ||
		heap->rd_tableam != GetHeapamTableAmRoutine() ||
		!is_empty(index, heap, ix) || !lock_alone(index))
		return false;
	/* what was seen before the lock may have changed */
	qh_index_forget(RelationGetRelid(index));
	ix = qh_index_acquire(index, CurrentMemoryContext);
	if (ix->meta.ndims == ndims && is_empty(index, heap, ix))
	{
		make_empty(index, column);
		drop_groups(index);
		CacheInvalidateRelcache(index);
	}
	qh_index_forget(RelationGetRelid(index));
	UnlockRelation(index, AccessExclusiveLock);
	return true;
}

/* What is wrong with a metapage that has no dimension yet, or NULL. */
static const char *
unsettled_fault(const QhMetaData *meta)
{
	QhMetaData	one = *meta;
	QvCodecParams params;
	const char *fault = qh_geometry_fault(meta);

	one.ndims = 1;
	qh_meta_params(&one, &params);
	if (fault == NULL)
		fault = qv_codec_params_fault(&params);
	if (fault == NULL && (meta->ncentres != 0 || meta->ncentres_built != 0 || meta->added_head != QH_INVALID_NODE))
		fault = "there are centres, and no dimension";
	if (fault == NULL && meta->refine_nbits != 0)
	{
		qh_meta_refine_params(&one, &params);
		fault = qv_codec_params_fault(&params);
	}
	return fault;
}

/* A crash came before the pages of an index that had been made empty were cut off. */
static void
drop_remains(Relation index)
{
	if (!lock_alone(index))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on index \"%s\" to remove what a crash left in it", RelationGetRelationName(index)),
				 errhint("Try again, or REINDEX it.")));
	/* another insert may have settled it meanwhile */
	qh_index_forget(RelationGetRelid(index));
	if (qh_index_acquire(index, CurrentMemoryContext)->meta.ndims == 0)
		drop_groups(index);
	UnlockRelation(index, AccessExclusiveLock);
}

/* Write the dimension, and what follows from it, into the metapage, which is locked. */
static void
write_ndims(Relation index, Buffer buf, uint32 ndims)
{
	QhMetaData	meta = *QhPageGetMeta(BufferGetPage(buf));
	const char *fault = unsettled_fault(&meta);
	GenericXLogState *xlog;

	if (fault != NULL)
		qh_report_corrupt(index, QH_META_BLKNO, fault);
	/* what can fail comes before the record is begun */
	qh_meta_set_ndims(&meta, ndims);
	xlog = GenericXLogStart(index);
	*QhPageGetMeta(GenericXLogRegisterBuffer(xlog, buf, 0)) = meta;
	GenericXLogFinish(xlog);
	CacheInvalidateRelcache(index);
}

void
qh_settle_ndims(Relation index, uint32 ndims)
{
	for (;;)
	{
		Buffer		buf = qh_page_read(index, MAIN_FORKNUM, QH_META_BLKNO, QH_PAGE_META, 0, BUFFER_LOCK_EXCLUSIVE);
		bool		settled;
		bool		remains;

		/* while this page is locked and has no dimension, no pages are added */
		qh_meta_check(index, BufferGetPage(buf));
		settled = QhPageGetMeta(BufferGetPage(buf))->ndims > 0;
		remains = !settled && RelationGetNumberOfBlocks(index) > QH_FIRST_PARAM_BLKNO;
		if (!settled && !remains)
			write_ndims(index, buf, ndims);
		UnlockReleaseBuffer(buf);
		if (!remains)
			break;
		drop_remains(index);
	}
	qh_index_forget(RelationGetRelid(index));
}
