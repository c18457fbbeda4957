/*
 * check.c
 *		qhnsw_check: everything that must hold of an index, verified.
 *
 * Pages first, then slots and row pointers, then the graph, and on demand that every row of the
 * table is in the index.  Each step relies on the one before, and runs only if that found
 * nothing.  Meant for an index at rest: while others write, a change between two of its records
 * may be reported.  Must not change anything.  See README.md, section "What qhnsw_check
 * verifies".
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "am/am.h"
#include "build/batched_scan.h"
#include "catalog/index.h"
#include "column/filter_columns.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "inspect/inspect.h"
#include "lib/bloomfilter.h"
#include "miscadmin.h"
#include "store/filter_read.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(qhnsw_check);

/* A broken index may have millions of faults of one kind: this many tell enough. */
#define MAX_FAULTS	1000

typedef struct Check
{
	Relation	index;
	Relation	heap;
	ReturnSetInfo *rsinfo;
	QhIndex    *ix;
	QhRelStore	rs;
	int64		nfaults;

	uint8	   *in_use;			/* bit a node: live or dying */
	uint8	   *dying;			/* bit a node */
	uint8	   *posted;			/* bit a posting slot: some node's chain leads to it */
	BlockNumber heap_nblocks;
	QhNode		current;		/* node whose rows are looked at */

	/* whether every row of the table is in the index */
	bool		heap_all_indexed;
	bloom_filter *filter;
	const QhColumn *column;
	QhFilterColumns filters;
	void	   *scratch;
	MemoryContext row_cxt;
	int64		nrows;
} Check;

static void
report(Check *check, BlockNumber blkno, QhNode node, const char *fmt,...) pg_attribute_printf(4, 5);

static void
report(Check *check, BlockNumber blkno, QhNode node, const char *fmt,...)
{
	Datum		values[4];
	bool		nulls[4] = {false};
	StringInfoData text;

	if (check->nfaults++ >= MAX_FAULTS)
		return;
	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&text, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	values[0] = ObjectIdGetDatum(RelationGetRelid(check->index));
	values[1] = Int64GetDatum(blkno);
	nulls[1] = blkno == InvalidBlockNumber;
	values[2] = Int64GetDatum(node);
	nulls[2] = node == QH_INVALID_NODE;
	values[3] = CStringGetTextDatum(text.data);
	tuplestore_putvalues(check->rsinfo->setResult, check->rsinfo->setDesc, values, nulls);
	pfree(text.data);
}

#define set_bit(bits, i)	((bits)[(i) / 8] |= 1 << ((i) % 8))
#define get_bit(bits, i)	(((bits)[(i) / 8] & (1 << ((i) % 8))) != 0)

/* ---- pages ---- */

static void
check_page(Check *check, BlockNumber blkno, QhPageKind kind, uint32 group)
{
	Buffer		buf = ReadBuffer(check->index, blkno);
	const char *fault;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	fault = qh_page_fault(BufferGetPage(buf), kind, group);
	UnlockReleaseBuffer(buf);
	if (fault != NULL)
		report(check, blkno, QH_INVALID_NODE, "%s", fault);
}

/*
 * Blocks up to the last that was formatted: a crash may leave zero pages at the end, and only
 * there.
 */
static BlockNumber
formatted_nblocks(Check *check)
{
	BlockNumber nblocks = check->ix->nblocks;

	while (nblocks > check->ix->geo.first_blkno)
	{
		Buffer		buf = ReadBuffer(check->index, nblocks - 1);
		bool		is_new;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		is_new = PageIsNew(BufferGetPage(buf));
		UnlockReleaseBuffer(buf);
		if (!is_new)
			break;
		nblocks--;
	}
	return nblocks;
}

static void
check_pages(Check *check)
{
	QhGeometry *geo = &check->ix->geo;
	BlockNumber nblocks = formatted_nblocks(check);

	check_page(check, QH_META_BLKNO, QH_PAGE_META, 0);
	check_page(check, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0);
	for (uint32 i = 0; i < check->ix->meta.nparam_pages; i++)
		check_page(check, QH_FIRST_PARAM_BLKNO + i, QH_PAGE_PARAM, 0);
	for (BlockNumber blkno = geo->first_blkno; blkno < nblocks; blkno++)
	{
		uint32		group;
		uint32		first;
		QhArray		array = qh_geometry_block(geo, blkno, &group, &first);

		CHECK_FOR_INTERRUPTS();
		check_page(check, blkno, qh_array_page_kind(array), group);
	}
}

/* ---- slots and row pointers ---- */

/* Bytes of the longest element of the Bloom filter. */
#define ELEMENT_NBYTES	(2 * sizeof(ItemPointerData) + QH_PAGE_NBYTES)

/* What the Bloom filter has of a row: its TID, and its code ... */
static Size
code_element(const Check *check, const ItemPointerData *tid, const uint8 *code, uint8 *element)
{
	memcpy(element, tid, sizeof(ItemPointerData));
	memcpy(element + sizeof(ItemPointerData), code, check->ix->code_nbytes);
	return sizeof(ItemPointerData) + check->ix->code_nbytes;
}

/* ... or its record, behind a TID that no row has. */
static Size
record_element(const Check *check, const ItemPointerData *tid, const uint8 *record, uint8 *element)
{
	uint32		nbytes = check->ix->geo.filter.record_nbytes;

	memset(element, 0xFF, sizeof(ItemPointerData));
	memcpy(element + sizeof(ItemPointerData), tid, sizeof(ItemPointerData));
	memcpy(element + 2 * sizeof(ItemPointerData), record, nbytes);
	return 2 * sizeof(ItemPointerData) + nbytes;
}

static void
check_tid(Check *check, QhNode node, ItemPointer tid, const uint8 *code, const uint8 *record)
{
	BlockNumber blkno = qh_slot_address(&check->ix->geo, QH_ARRAY_ROW, node).blkno;

	check->nrows++;
	if (!ItemPointerIsValid(tid) || ItemPointerGetBlockNumber(tid) >= check->heap_nblocks ||
		ItemPointerGetOffsetNumber(tid) > MaxHeapTuplesPerPage)
		report(check, blkno, node, "row pointer (%u,%u) is out of range",
			   ItemPointerGetBlockNumberNoCheck(tid), ItemPointerGetOffsetNumberNoCheck(tid));
	if (check->filter != NULL)
	{
		uint8		element[ELEMENT_NBYTES];

		bloom_add_element(check->filter, element, code_element(check, tid, code, element));
		if (check->ix->geo.filter.record_nbytes > 0)
			bloom_add_element(check->filter, element, record_element(check, tid, record, element));
	}
}

/* A list may be empty: a vacuum that ended half way leaves that to the next. */
static void
check_chain(Check *check, QhNode node, QhNode head, const uint8 *code)
{
	QhLink		slot[2 * QH_MAX_M];
	QhPosting	posting = (QhPosting) slot;

	while (head != QH_INVALID_NODE)
	{
		BlockNumber blkno;

		CHECK_FOR_INTERRUPTS();
		if (head >= check->ix->nslots)
		{
			report(check, InvalidBlockNumber, node, "row pointer list leads to slot %u, past the end", head);
			return;
		}
		blkno = qh_slot_address(&check->ix->geo, QH_ARRAY_LINK, head).blkno;
		if (qh_read_slot(&check->rs, head, slot) != QH_SLOT_POSTING)
		{
			report(check, blkno, node, "row pointer list leads to slot %u, which is no posting slot", head);
			return;
		}
		if (get_bit(check->posted, head))
		{
			report(check, blkno, node, "posting slot %u is in two row pointer lists", head);
			return;
		}
		set_bit(check->posted, head);
		if (posting->ntids > qh_node_posting_max(&check->ix->geo, head))
		{
			report(check, blkno, node, "posting slot %u claims %u row pointers", head, posting->ntids);
			return;
		}
		for (int i = 0; i < posting->ntids; i++)
			check_tid(check, node, &posting->tids[i], code,
					  qh_posting_record(posting, qh_posting_nbytes(&check->ix->geo, head), check->ix->geo.filter.record_nbytes, i));
		head = posting->next;
	}
}

/* A node with one row: its record is in its FILTER slot. */
static void
check_single(Check *check, QhNode node, ItemPointer tid, const uint8 *code)
{
	uint8		record[QH_MAX_RECORD_NBYTES] = {0};

	if (check->ix->geo.filter.record_nbytes > 0 && qh_read_row_record(&check->rs, node, record) != QH_RECORD_SINGLE)
		return;					/* check_records() reports it */
	check_tid(check, node, tid, code, record);
}

static void
check_slot(Check *check, QhNode node)
{
	QhLink		slot[2 * QH_MAX_M];
	uint8		code[QH_PAGE_NBYTES];
	QhSlotState state = qh_read_slot(&check->rs, node, slot);
	QhRowData	row = qh_read_row(&check->rs, node);
	BlockNumber link_blkno = qh_slot_address(&check->ix->geo, QH_ARRAY_LINK, node).blkno;
	BlockNumber row_blkno = qh_slot_address(&check->ix->geo, QH_ARRAY_ROW, node).blkno;
	const char *fault;

	if (state > QH_SLOT_LAST)
	{
		report(check, link_blkno, node, "slot has unknown state %d", (int) state);
		return;
	}
	if (state == QH_SLOT_LIVE || state == QH_SLOT_DYING)
		set_bit(check->in_use, node);
	if (state == QH_SLOT_DYING)
		set_bit(check->dying, node);
	if (row.flags > QH_ROW_POSTING)
	{
		report(check, row_blkno, node, "row slot has unknown flags %u", row.flags);
		return;
	}
	if ((state == QH_SLOT_LIVE) != (row.flags != QH_ROW_NONE))
	{
		report(check, row_blkno, node, state == QH_SLOT_LIVE ?
			   "live node has no row pointer" : "row pointer of a slot that is not a live node");
		return;
	}
	if (state != QH_SLOT_LIVE)
		return;
	if (!qh_read_code(&check->rs, node, code))
		return;
	fault = qv_codec_slot_fault(check->ix->codec, code);
	if (fault != NULL)
		report(check, qh_slot_address(&check->ix->geo, QH_ARRAY_CODE, node).blkno, node, "%s", fault);
	if (row.flags == QH_ROW_SINGLE)
		check_single(check, node, (ItemPointer) row.w, code);
	else
		check_chain(check, node, qh_row_head(row), code);
}

static void
check_slots(Check *check)
{
	QhLink		slot[2 * QH_MAX_M];

	for (QhNode node = 0; node < check->ix->nslots; node++)
	{
		CHECK_FOR_INTERRUPTS();
		check_slot(check, node);
	}
	for (QhNode node = 0; node < check->ix->nslots; node++)
	{
		CHECK_FOR_INTERRUPTS();
		if (qh_read_slot(&check->rs, node, slot) == QH_SLOT_POSTING && !get_bit(check->posted, node))
			report(check, qh_slot_address(&check->ix->geo, QH_ARRAY_LINK, node).blkno, node,
				   "posting slot belongs to no node");
	}
}

/* ---- records ---- */

/* Does the mark of a FILTER slot say what the slot holds? */
static void
check_mark(Check *check, QhNode node, QhRecordState mark, BlockNumber blkno)
{
	QhLink		slot[2 * QH_MAX_M];
	QhRowData	row = qh_read_row(&check->rs, node);
	QhRecordState due = row.flags == QH_ROW_SINGLE ? QH_RECORD_SINGLE :
		row.flags == QH_ROW_POSTING ? QH_RECORD_SEVERAL : QH_RECORD_NONE;

	if (mark == due)
		return;
	if (due != QH_RECORD_NONE)
		report(check, blkno, node, mark == QH_RECORD_NONE ? "node has no record" :
			   "record and row pointers do not say alike whether the node has several rows");
	/* a record is there before its node is, and a little longer */
	else if (!get_bit(check->dying, node) && qh_read_slot(&check->rs, node, slot) != QH_SLOT_RESERVED)
		report(check, blkno, node, "record of a slot that is not a node");
}

/* Are keys of the slot's record within the bounds of the page? */
static void
check_keys(Check *check, QhNode node, const QhFilterPage *page, const uint8 *record, BlockNumber blkno)
{
	const QhFilterLayout *layout = qh_record_layout(&check->rs);

	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		int64		key = qh_record_key(layout, record, i);
		QhKeyBounds bounds = page->columns[i].bounds;

		if (!qh_record_is_null(record, i) && (key < bounds.least || key > bounds.greatest))
			report(check, blkno, node, "key of filter column %u is out of the bounds of its page", i + 1);
	}
}

static void
check_records(Check *check)
{
	PGAlignedBlock copy;
	QhFilterSweep sweep;
	QhFilterPage page;

	if (qh_record_layout(&check->rs)->record_nbytes == 0)
		return;
	qh_filter_sweep_begin(&sweep, &check->rs);
	while (qh_filter_sweep_next(&sweep, &page))
	{
		BlockNumber blkno = BufferIsValid(sweep.buf) ? BufferGetBlockNumber(sweep.buf) : InvalidBlockNumber;

		/* marks are compared with other pages, so this one is copied and given back */
		if (!BufferIsValid(sweep.buf))
			continue;
		memcpy(copy.data, BufferGetPage(sweep.buf), BLCKSZ);
		qh_filter_sweep_release(&sweep);
		for (uint32 i = 0; i < page.nslots; i++)
		{
			uint8		record[QH_MAX_RECORD_NBYTES];
			QhRecordState mark = qh_filter_get(copy.data, qh_record_layout(&check->rs), i, record);

			check_mark(check, page.first + i, mark, blkno);
			if (mark == QH_RECORD_SINGLE)
				check_keys(check, page.first + i, &page, record, blkno);
		}
	}
	qh_filter_sweep_end(&sweep);
}

/* ---- graph ---- */

static bool
node_in_use(void *ctx, QhNode node)
{
	return get_bit(((Check *) ctx)->in_use, node);
}

static bool
node_is_dying(void *ctx, QhNode node)
{
	return get_bit(((Check *) ctx)->dying, node);
}

static void
graph_fault(void *ctx, const QhFault *fault)
{
	Check	   *check = (Check *) ctx;
	BlockNumber blkno = fault->node < check->ix->nslots ?
		qh_slot_address(&check->ix->geo, QH_ARRAY_LINK, fault->node).blkno : InvalidBlockNumber;

	switch (fault->kind)
	{
		case QH_FAULT_RANGE:
			report(check, blkno, fault->node, "link to node %u, past the end", fault->other);
			break;
		case QH_FAULT_SELF:
			report(check, blkno, fault->node, "link to itself");
			break;
		case QH_FAULT_TWICE:
			report(check, blkno, fault->node, "two links to node %u", fault->other);
			break;
		case QH_FAULT_GONE:
			report(check, blkno, fault->node, "link to slot %u, which is no node", fault->other);
			break;
		case QH_FAULT_UNREACHABLE:
			report(check, blkno, fault->node, "node cannot be reached from the entry points");
			break;
		case QH_FAULT_TREE:
			report(check, blkno, fault->node, "node is not the target of exactly one tree link");
			break;
		case QH_FAULT_NONE:
			break;
	}
}

static void
graph_progress(void *ctx)
{
	CHECK_FOR_INTERRUPTS();
}

static void
check_graph(Check *check)
{
	QhAlloc		alloc = qh_context_alloc(CurrentMemoryContext);
	QhCheckInput input = {
		check->ix->nslots, node_in_use, check->ix->entries, check->ix->nentries,
		check, graph_fault, graph_progress, node_is_dying
	};

	(void) qh_check(&alloc, &check->rs.store, &input);
}

/* ---- the table's rows ---- */

/* Has the index the record that the row has? */
static void
check_heap_record(Check *check, ItemPointer tid, const Datum *values, const bool *isnull)
{
	uint8		record[QH_MAX_RECORD_NBYTES];
	uint8		element[ELEMENT_NBYTES];

	qh_form_record(&check->filters, values, isnull, record);
	if (bloom_lacks_element(check->filter, element, record_element(check, tid, record, element)))
		report(check, InvalidBlockNumber, QH_INVALID_NODE, "row (%u,%u) of the table has other values than the index has of it",
			   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
}

static void
check_heap_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	Check	   *check = (Check *) state;
	MemoryContext old;
	QhValue		value;
	uint8		element[ELEMENT_NBYTES];

	CHECK_FOR_INTERRUPTS();
	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(check->row_cxt);
	qh_column_read(check->column, values[0], &value);
	if (qh_column_indexable(check->column, &value, check->ix->meta.ndims))
	{
		bool		missing = true;
		uint8	   *code = element + sizeof(ItemPointerData);

		if (check->ix->codec != NULL)
		{
			memcpy(element, tid, sizeof(ItemPointerData));
			qv_codec_encode(check->ix->codec, value.data, code, check->scratch);
			/* or it was encoded before some centre was added */
			do
			{
				missing = bloom_lacks_element(check->filter, element, sizeof(ItemPointerData) + check->ix->code_nbytes);
			} while (missing && qv_codec_encode_older(check->ix->codec, check->ix->meta.ncentres_built, value.data, code, check->scratch));
		}
		if (missing)
			report(check, InvalidBlockNumber, QH_INVALID_NODE, "row (%u,%u) of the table is not in the index",
				   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
		else if (check->filters.layout.record_nbytes > 0)
			check_heap_record(check, tid, values, isnull);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(check->row_cxt);
}

static void
check_heap(Check *check, Snapshot snapshot)
{
	IndexInfo  *info = BuildIndexInfo(check->index);
	TableScanDesc scan = table_beginscan_strat(check->heap, snapshot, 0, NULL, true, true);
	QhBatchedScan rows;

	/* as amcheck does it: a plain snapshot, and no wait for other transactions */
	info->ii_Concurrent = true;
	info->ii_Unique = false;
	info->ii_ExclusionOps = NULL;
	info->ii_ExclusionProcs = NULL;
	info->ii_ExclusionStrats = NULL;
	rows = (QhBatchedScan) {check->heap, check->index, info, check_heap_row, check, &check->ix->meta.ndims};
	qh_batched_begin(&rows);
	(void) qh_batched_table(&rows, true, false, scan);
	qh_batched_end(&rows);
}

/*
 * An index built over broken HOT chains is not to be used by snapshots older than it; one of
 * REPEATABLE READ may be, and would find rows missing that nobody looks up (as amcheck does).
 */
static void
refuse_old_snapshot(Relation index, Snapshot snapshot)
{
	if (IsolationUsesXactSnapshot() && index->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), snapshot->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("index \"%s\" cannot be verified using transaction snapshot",
						RelationGetRelationName(index))));
}

/* ---- SQL ---- */

static void
check_index(Check *check)
{
	Size		nbytes;

	qh_index_refresh_size(check->ix, check->index);
	check_pages(check);
	if (check->nfaults > 0)
		return;
	nbytes = check->ix->nslots / 8 + 1;
	check->in_use = MemoryContextAllocHuge(CurrentMemoryContext, nbytes);
	check->dying = MemoryContextAllocHuge(CurrentMemoryContext, nbytes);
	check->posted = MemoryContextAllocHuge(CurrentMemoryContext, nbytes);
	memset(check->in_use, 0, nbytes);
	memset(check->dying, 0, nbytes);
	memset(check->posted, 0, nbytes);
	check_slots(check);
	check_records(check);
	if (check->nfaults > 0)
		return;
	check_graph(check);
}

/* Open the index and its table, and prepare what does not depend on the index's content. */
static void
begin(Check *check, Oid relid)
{
	check->index = qh_inspect_open(relid, &check->heap);
	if (!check->index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot check index \"%s\"", RelationGetRelationName(check->index)),
				 errdetail("Index is not valid.")));
	check->heap_nblocks = RelationGetNumberOfBlocks(check->heap);
	check->column = qh_column(check->index);
	qh_filter_columns(check->index, &check->filters);
	check->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw check row", ALLOCSET_DEFAULT_SIZES);
}

/* Check the index, and if that is wanted, that every row of the table is in it. */
static void
check_all(Check *check)
{
	Snapshot	snapshot = NULL;

	/* what this backend remembers may be older than what is there */
	qh_index_forget(RelationGetRelid(check->index));
	check->ix = qh_index_acquire(check->index, CurrentMemoryContext);
	if (check->heap_all_indexed)
	{
		/* before the index is read: rows of this snapshot must be there by then */
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
		refuse_old_snapshot(check->index, snapshot);
		check->filter = bloom_create(Max((int64) check->heap->rd_rel->reltuples, 10000) * (check->filters.layout.record_nbytes > 0 ? 2 : 1),
									 maintenance_work_mem, 0);
	}
	if (check->ix->meta.ndims > 0)
	{
		qh_check_filter_columns(check->index, check->ix, &check->filters);
		qh_relstore_init(&check->rs, check->index, check->ix);
		check->scratch = qh_alloc_aligned(CurrentMemoryContext, qv_codec_scratch_nbytes(check->ix->codec), 64);
		check_index(check);
	}
	if (check->heap_all_indexed && check->nfaults == 0)
		check_heap(check, snapshot);
	if (snapshot)
		UnregisterSnapshot(snapshot);
}

/* Functions of an index run as in any maintenance: as the table's owner, restricted. */
static void
check_as_owner(Check *check)
{
	Oid			user;
	int			security;
	int			nest_level;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(check->heap->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	qh_restrict_search_path();

	check_all(check);
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, security);
}

Datum
qhnsw_check(PG_FUNCTION_ARGS)
{
	MemoryContext index_cxt;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	/* what is taken for one partition is given back before the next */
	index_cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw check", ALLOCSET_DEFAULT_SIZES);
	foreach(lc, qh_inspect_indexes(PG_GETARG_OID(0)))
	{
		MemoryContext old = MemoryContextSwitchTo(index_cxt);
		Check		check = {0};

		check.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
		check.heap_all_indexed = PG_GETARG_BOOL(1);
		begin(&check, lfirst_oid(lc));
		check_as_owner(&check);
		table_close(check.heap, AccessShareLock);
		index_close(check.index, AccessShareLock);
		MemoryContextSwitchTo(old);
		MemoryContextReset(index_cxt);
	}
	return (Datum) 0;
}
