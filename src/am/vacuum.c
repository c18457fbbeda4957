/*
 * vacuum.c
 *		Forgetting dead rows, and nodes that have none left.
 *
 * The four steps of src/store/README.md, section "Vacuum": forget, wait, repair, free.  Every step
 * leaves the index sound, so a crash or a cancel between any two records loses nothing but
 * the work that remains, which the next vacuum does.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "am/am.h"
#include "am/requantize.h"
#include "calibrate/calibrate.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "storage/smgr.h"
#include "store/added_centres.h"
#include "store/filter_vacuum.h"
#include "store/slots.h"
#include "utils/memutils.h"

typedef struct QhVacuum
{
	Relation	index;
	QhIndex    *ix;
	QhRelStore	rs;
	MemoryContext cxt;
	MemoryContext node_cxt;		/* of one node's repair */
	QhAlloc		alloc;
	uint32		nslots;			/* when we began: what came later has no dead rows to forget */
	uint8	   *dying;			/* bit a slot */
	uint8	   *leaked;			/* bit a slot: RESERVED when we began, or CENTRE and of none */
	uint8	   *centres;		/* bit a slot: part of a centre */
	uint64		ndying;
	uint64		nleaked;
	QhNode		current;		/* node whose rows are looked at */
	BlockNumber table_nblocks;	/* as last looked up */

	QhNode	   *revisit;		/* nodes whose lists a splice has changed */
	uint64		nrevisit;
	uint64		nsteps;			/* of splices and repairs, all together */
	uint64		nsplices;		/* of these, splices that changed the tree */
	uint64		max_revisit;

	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	IndexBulkDeleteResult *stats;
} QhVacuum;

/*
 * Steps that splices and repairs may take together: some for each link of a dying node, some for
 * each link back, and some lost to inserts.  More are needed only where tree links form no tree:
 * then there is no end.  Splices that were not lost are fewer: some for each link of a dying node,
 * and for each node that an insert may have hung below one.  Chosen by hand.
 */
#define STEPS_PER_LINK	16
#define STEPS_TO_SPARE	1000000
#define SPLICES_TO_SPARE 1000

#define set_bit(bits, i)	((bits)[(i) / 8] |= 1 << ((i) % 8))
#define get_bit(bits, i)	(((bits)[(i) / 8] & (1 << ((i) % 8))) != 0)

static bool
is_dying(void *ctx, QhNode node)
{
	QhVacuum   *vac = (QhVacuum *) ctx;

	return node < vac->nslots && get_bit(vac->dying, node);
}

/*
 * A row pointer leads past the end that the table had: the table has grown since, or this is none.
 */
static void
check_block(QhVacuum *vac, BlockNumber blkno)
{
	Relation	heap = table_open(vac->index->rd_index->indrelid, NoLock);

	/* other table access methods may number rows as they like */
	if (heap->rd_tableam == GetHeapamTableAmRoutine())
		vac->table_nblocks = RelationGetNumberOfBlocks(heap);
	else
		vac->table_nblocks = InvalidBlockNumber;
	table_close(heap, NoLock);
	if (blkno >= vac->table_nblocks)
		qh_report_tid(&vac->rs, vac->current);
}

static bool
tid_is_dead(ItemPointer tid, void *arg)
{
	QhVacuum   *vac = (QhVacuum *) arg;

	if (ItemPointerGetBlockNumber(tid) >= vac->table_nblocks)
		check_block(vac, ItemPointerGetBlockNumber(tid));
	return vac->callback(tid, vac->callback_state);
}

/* ---- step 1: forget dead rows ---- */

static void
forget_rows_of(QhVacuum *vac, QhNode node)
{
	QhLink		slot[2 * QH_MAX_M];
	int64		nremoved = 0;
	int64		kept;

	vac->current = node;
	kept = qh_row_vacuum(&vac->rs, node, tid_is_dead, vac, &nremoved);
	vac->stats->tuples_removed += nremoved;
	vac->stats->num_index_tuples += kept;
	if (kept == 0 && qh_read_slot(&vac->rs, node, slot) == QH_SLOT_DYING)
	{
		set_bit(vac->dying, node);
		vac->ndying++;
	}
}

/*
 * The slots of one page of links or hubs, whose states and row slots are read at once: most have
 * nothing to forget.
 */
static void
forget_rows_of_page(QhVacuum *vac, QhNode first, uint32 count, const uint8 *states)
{
	QhRowData	rows[QH_PAGE_NBYTES / QH_LINK_NBYTES_MIN];

	qh_read_row_range(&vac->rs, first, count, rows);
	for (uint32 i = 0; i < count; i++)
	{
		ItemPointerData tid;

		memcpy(&tid, rows[i].w, sizeof(tid));
		vac->current = first + i;
		if (states[i] == QH_SLOT_DYING)
		{
			set_bit(vac->dying, first + i);
			vac->ndying++;
		}
		else if (states[i] == QH_SLOT_RESERVED || (states[i] == QH_SLOT_CENTRE && !get_bit(vac->centres, first + i)))
		{
			set_bit(vac->leaked, first + i);
			vac->nleaked++;
		}
		else if (states[i] == QH_SLOT_LIVE && rows[i].flags == QH_ROW_SINGLE && qh_tid_is_possible(&tid) && !tid_is_dead(&tid, vac))
			vac->stats->num_index_tuples++;
		else if (states[i] == QH_SLOT_LIVE)
			forget_rows_of(vac, first + i);
	}
}

static void
forget_rows(QhVacuum *vac)
{
	uint8		states[QH_PAGE_NBYTES / QH_LINK_NBYTES_MIN];
	QhNode		first = 0;

	while (first < vac->nslots)
	{
		uint32		count = qh_read_states(&vac->rs, first, states);

		qh_vacuum_delay();
		count = Min(count, vac->nslots - first);
		forget_rows_of_page(vac, first, count, states);
		first += count;
	}
}

/* ---- entry points ---- */

static int
find_entry(const QhEntryData *entry, uint32 nentries, QhNode node)
{
	for (uint32 i = 0; i < nentries; i++)
	{
		if (entry->nodes[i] == node)
			return i;
	}
	return -1;
}

/* Replace an entry point by its heir; drop it where there is none or that is one already. */
static void
replace_entry(QhVacuum *vac, QhNode old, QhNode heir)
{
	Buffer		buf = qh_page_read(vac->index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0,
								   BUFFER_LOCK_EXCLUSIVE);
	QhEntry		entry = QhPageGetEntry(BufferGetPage(buf));
	uint32		nentries = qh_entry_count(vac->index, BufferGetPage(buf));
	int			i = find_entry(entry, nentries, old);

	if (i >= 0)
	{
		GenericXLogState *xlog = GenericXLogStart(vac->index);

		entry = QhPageGetEntry(GenericXLogRegisterBuffer(xlog, buf, 0));
		entry->nchanges++;
		if (heir != QH_INVALID_NODE && find_entry(entry, nentries, heir) < 0)
			entry->nodes[i] = heir;
		else
		{
			entry->nodes[i] = entry->nodes[nentries - 1];
			entry->nentries = nentries - 1;
		}
		GenericXLogFinish(xlog);
	}
	UnlockReleaseBuffer(buf);
}

/* ---- step 2: wait for inserts that may know nodes from before ---- */

/*
 * While no insert runs, a RESERVED slot was left by a crash or an error, and so was a CENTRE slot
 * that the metapage does not lead to.  Before and after this instant it may be an insert's.
 */
static void
free_leaked(QhVacuum *vac)
{
	QhLink		slot[2 * QH_MAX_M];

	qh_added_mark(&vac->rs, vac->centres, vac->nslots);
	for (QhNode node = 0; node < vac->nslots; node++)
	{
		QhSlotChange change = {node, QH_SLOT_RESERVED, QH_SLOT_FREE, NULL, NULL};

		if (!get_bit(vac->leaked, node))
			continue;
		change.old_state = qh_read_slot(&vac->rs, node, slot);
		if (change.old_state != QH_SLOT_RESERVED && (change.old_state != QH_SLOT_CENTRE || get_bit(vac->centres, node)))
			continue;
		replace_entry(vac, node, QH_INVALID_NODE);
		if (qh_apply(&vac->rs, &change, 1, NULL))
			RecordFreeIndexPage(vac->index, qh_slot_address(&vac->ix->geo, QH_ARRAY_LINK, node).blkno);
	}
}

static void
wait_for_inserts(QhVacuum *vac)
{
	LockPage(vac->index, QH_INSERT_LOCK_BLKNO, ExclusiveLock);
	if (vac->nleaked > 0)
		free_leaked(vac);
	UnlockPage(vac->index, QH_INSERT_LOCK_BLKNO, ExclusiveLock);
}

/* ---- step 3: repair ---- */

static void
report_no_tree(QhVacuum *vac, QhNode node)
{
	qh_report_corrupt(vac->index, qh_slot_address(&vac->ix->geo, QH_ARRAY_LINK, node).blkno,
					  "tree links do not form a tree");
}

static void
count_step(QhVacuum *vac, QhNode node)
{
	uint64		most = (vac->ndying + 1) * vac->rs.store.max_degree * STEPS_PER_LINK + STEPS_TO_SPARE +
		(uint64) vac->ix->nslots * (4 + vac->rs.store.max_degree);

	if (++vac->nsteps > most)
		report_no_tree(vac, node);
}

static void
count_splice(QhVacuum *vac, QhNode node)
{
	uint64		most = (vac->ndying + 1) * vac->rs.store.max_degree * STEPS_PER_LINK +
		vac->ix->nslots + SPLICES_TO_SPARE;

	if (++vac->nsplices > most)
		report_no_tree(vac, node);
}

/* A node that a splice gave a tree child, which may be dying itself: look at it again. */
static void
revisit(QhVacuum *vac, QhNode node)
{
	if (vac->nrevisit == vac->max_revisit)
	{
		uint64		max = Max(64, 2 * vac->max_revisit);

		vac->revisit = qh_alloc_more(vac->cxt, vac->revisit, sizeof(QhNode) * max);
		vac->max_revisit = max;
	}
	Assert(vac->nrevisit < vac->max_revisit);
	vac->revisit[vac->nrevisit++] = node;
}

/*
 * Taking a dying node out of the tree: the changes of one step, each from the lists as they were
 * read.
 */
typedef struct QhSplice
{
	QhNode		parent;			/* QH_INVALID_NODE: dead is an entry point */
	QhNode		dead;
	QhNode		heir;			/* of an entry point: takes its place, if there is one */
	int			nsteps;
	QhLinkChange steps[QH_MAX_SPLICE_CHANGES];
	QhLink		lists[2 * QH_MAX_SPLICE_CHANGES][2 * QH_MAX_M];
} QhSplice;

static void
begin_splice(QhSplice *splice, QhNode parent, QhNode dead)
{
	splice->parent = parent;
	splice->dead = dead;
	for (int i = 0; i < QH_MAX_SPLICE_CHANGES; i++)
	{
		splice->steps[i].old_links = splice->lists[2 * i];
		splice->steps[i].new_links = splice->lists[2 * i + 1];
	}
}

/* Plan the next step; false if there is none. */
static bool
plan_splice(QhVacuum *vac, QhSplice *splice)
{
	count_step(vac, splice->dead);
	qh_vacuum_delay();
	splice->heir = QH_INVALID_NODE;
	splice->nsteps = qh_plan_splice(&vac->alloc, &vac->rs.store, splice->parent, splice->dead,
									splice->steps, &splice->heir);
	return splice->nsteps > 0;
}

/* Apply what was planned; nothing happens if a list has changed since. */
static void
apply_splice(QhVacuum *vac, const QhSplice *splice)
{
	QhSlotChange changes[QH_MAX_SPLICE_CHANGES] = {{0}};

	for (int i = 0; i < splice->nsteps; i++)
	{
		const QhLinkChange *step = &splice->steps[i];
		QhLink		now[2 * QH_MAX_M];
		QhSlotState state = qh_read_slot(&vac->rs, step->node, now);

		/* tree links, and they are what led here, lead to nodes */
		if (state != QH_SLOT_LIVE && state != QH_SLOT_DYING)
			report_no_tree(vac, step->node);
		changes[i] = (QhSlotChange) {step->node, state, state, step->old_links, step->new_links};
	}
	if (!qh_apply(&vac->rs, changes, splice->nsteps, NULL))
		return;
	count_splice(vac, splice->dead);
	for (int i = 0; i < splice->nsteps; i++)
	{
		if (splice->steps[i].node != splice->parent && splice->steps[i].node != splice->dead)
			revisit(vac, splice->steps[i].node);
	}
}

/* Take a dying node out of the tree, below its parent.  False if there was not one step to do. */
static bool
splice_out(QhVacuum *vac, QhNode parent, QhNode dead)
{
	QhSplice	splice;
	bool		any = false;

	begin_splice(&splice, parent, dead);
	while (plan_splice(vac, &splice))
	{
		apply_splice(vac, &splice);
		MemoryContextReset(vac->node_cxt);
		any = true;
	}
	return any;
}

/*
 * The same for an entry point, whose heir becomes one.  An heir that is dying too has its turn
 * next, in a loop, for there may be as many as nodes.
 */
static void
splice_entry_out(QhVacuum *vac, QhNode dead)
{
	QhSplice	splice;
	QhNode		entry = dead;	/* what stands for it among the entry points */

	begin_splice(&splice, QH_INVALID_NODE, dead);
	for (;;)
	{
		if (plan_splice(vac, &splice))
		{
			if (splice.heir != QH_INVALID_NODE)
			{
				replace_entry(vac, entry, splice.heir);
				entry = splice.heir;
			}
			apply_splice(vac, &splice);
			MemoryContextReset(vac->node_cxt);
		}
		else if (entry != splice.dead && is_dying(vac, entry))
			splice.dead = entry;
		else
			break;
	}
	if (entry == splice.dead)
		replace_entry(vac, entry, QH_INVALID_NODE);
}

/* Entry points that are dying. */
static void
repair_entries(QhVacuum *vac)
{
	Buffer		buf = qh_page_read(vac->index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0,
								   BUFFER_LOCK_SHARE);
	QhEntry		entry = QhPageGetEntry(BufferGetPage(buf));
	int			nentries = qh_entry_count(vac->index, BufferGetPage(buf));
	QhNode	   *nodes = MemoryContextAlloc(vac->cxt, sizeof(QhNode) * Max(nentries, 1));

	memcpy(nodes, entry->nodes, sizeof(QhNode) * nentries);
	UnlockReleaseBuffer(buf);
	for (int i = 0; i < nentries; i++)
	{
		if (is_dying(vac, nodes[i]))
			splice_entry_out(vac, nodes[i]);
	}
	pfree(nodes);
}

/*
 * Offer a node that others are linked to now a link back; nothing is lost where a crash comes
 * before that.
 */
static void
offer_link(QhVacuum *vac, QhNode to, QhNode node)
{
	QhLink		old_links[2 * QH_MAX_M];
	QhLink		new_links[2 * QH_MAX_M];
	QhSlotChange change = {to, QH_SLOT_LIVE, QH_SLOT_LIVE, old_links, new_links};

	do
	{
		count_step(vac, to);
		qh_vacuum_delay();
		if (qh_read_slot(&vac->rs, to, old_links) != QH_SLOT_LIVE ||
			qh_link_back(&vac->alloc, &vac->rs.store, to, old_links, node, new_links) != QH_REVISED)
			break;
	} while (!qh_apply(&vac->rs, &change, 1, NULL));
}

/* A list was repaired: ask those it did not link to before to link back, as an insert does. */
static void
link_back(QhVacuum *vac, QhNode node, const QhLink *old_links, const QhLink *new_links)
{
	int			max_degree = vac->rs.store.max_degree;

	for (int i = 0; i < max_degree && new_links[i] != QH_INVALID_NODE; i++)
	{
		bool		known = is_dying(vac, qh_link_node(new_links[i]));

		for (int j = 0; j < max_degree && old_links[j] != QH_INVALID_NODE && !known; j++)
			known = qh_link_node(old_links[j]) == qh_link_node(new_links[i]);
		if (!known)
			offer_link(vac, qh_link_node(new_links[i]), node);
	}
}

/* Rid one node's link list of the dying. */
static void
repair_node(QhVacuum *vac, QhNode node)
{
	QhDead		dead = {is_dying, vac};
	QhLink		old_links[2 * QH_MAX_M];
	QhLink		new_links[2 * QH_MAX_M];

	for (;;)
	{
		QhSlotState state = qh_read_slot(&vac->rs, node, old_links);
		QhSlotChange change = {node, state, state, old_links, new_links};
		QhNode		child = QH_INVALID_NODE;
		bool		any = false;

		count_step(vac, node);
		if (state != QH_SLOT_LIVE && state != QH_SLOT_DYING)
			return;
		for (int i = 0; i < vac->rs.store.max_degree && old_links[i] != QH_INVALID_NODE; i++)
		{
			if (!is_dying(vac, qh_link_node(old_links[i])))
				continue;
			any = true;
			if (old_links[i] & QH_TREE_LINK)
				child = qh_link_node(old_links[i]);
		}
		if (child != QH_INVALID_NODE)
		{
			/* nothing to do, and the link is still there: looking again would not help */
			if (!splice_out(vac, node, child) &&
				qh_read_slot(&vac->rs, node, new_links) == state &&
				memcmp(new_links, old_links, vac->rs.store.max_degree * sizeof(QhLink)) == 0)
				report_no_tree(vac, node);
			continue;
		}
		if (!any || state == QH_SLOT_DYING)
			return;
		if (qh_repair_links(&vac->alloc, &vac->rs.store, node, old_links, &dead, new_links) == QH_UNCHANGED)
			return;
		if (!qh_apply(&vac->rs, &change, 1, NULL))
			continue;
		link_back(vac, node, old_links, new_links);
		return;
	}
}

static void
repair_links(QhVacuum *vac)
{
	BufferAccessStrategy given = vac->rs.strategy;
	uint32		nslots;

	/*
	 * lists and codes are read in no order: in vacuum's own ring, of a few dozen pages, few would
	 * be found again
	 */
	if (given != NULL)
		vac->rs.strategy = GetAccessStrategy(BAS_BULKWRITE);
	repair_entries(vac);
	/*
	 * nodes that were inserted meanwhile may link to the dying: their inserts began before step 2
	 * ended
	 */
	qh_index_refresh_size(vac->ix, vac->index);
	nslots = vac->ix->nslots;
	for (QhNode node = 0; node < nslots; node++)
	{
		if (node % 64 == 0)
			qh_vacuum_delay();
		repair_node(vac, node);
		MemoryContextReset(vac->node_cxt);
		while (vac->nrevisit > 0)
		{
			repair_node(vac, vac->revisit[--vac->nrevisit]);
			MemoryContextReset(vac->node_cxt);
		}
	}
	if (given != NULL)
		FreeAccessStrategy(vac->rs.strategy);
	vac->rs.strategy = given;
}

/* ---- step 4: free ---- */

static void
free_slots(QhVacuum *vac)
{
	BlockNumber last = InvalidBlockNumber;

	for (QhNode node = 0; node < vac->nslots; node++)
	{
		QhSlotChange change = {node, QH_SLOT_DYING, QH_SLOT_FREE, NULL, NULL};
		BlockNumber blkno;

		if (!get_bit(vac->dying, node) || !qh_apply(&vac->rs, &change, 1, NULL))
			continue;
		blkno = qh_slot_address(&vac->ix->geo, QH_ARRAY_LINK, node).blkno;
		if (blkno != last)
		{
			qh_vacuum_delay();
			RecordFreeIndexPage(vac->index, blkno);
		}
		last = blkno;
	}
	IndexFreeSpaceMapVacuum(vac->index);
}

static void
begin(QhVacuum *vac, IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	memset(vac, 0, sizeof(*vac));
	vac->index = info->index;
	vac->stats = stats;
	vac->cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	vac->node_cxt = AllocSetContextCreate(vac->cxt, "qhnsw vacuum node", ALLOCSET_DEFAULT_SIZES);
	vac->alloc = qh_context_alloc(vac->node_cxt);
	/* entry points must be those of now: nodes are freed only if they are none */
	qh_index_forget(RelationGetRelid(info->index));
	vac->ix = qh_index_acquire(info->index, vac->cxt);
	vac->rs.index = info->index;	/* of an index without a dimension this is all there is */
	if (vac->ix->meta.ndims > 0)
	{
		Size		nbytes;

		qh_relstore_init(&vac->rs, info->index, vac->ix);
		vac->rs.strategy = info->strategy;
		qh_index_refresh_size(vac->ix, info->index);
		vac->nslots = vac->ix->nslots;
		nbytes = vac->nslots / 8 + 1;
		vac->dying = MemoryContextAllocZero(vac->cxt, nbytes);
		vac->leaked = MemoryContextAllocZero(vac->cxt, nbytes);
		vac->centres = MemoryContextAllocZero(vac->cxt, nbytes);
		qh_added_mark(&vac->rs, vac->centres, vac->nslots);
	}
}

/*
 * Rows are gone, and the table may give their row pointers to others as soon as this vacuum of the
 * index returns: tell backends that remember distances of them (scan/recent.c).  At once, for the
 * invalidations of a transaction come when it ends, and where vacuum changes no statistics none
 * does.
 */
static void
announce_removal(const IndexVacuumInfo *info)
{
	SharedInvalidationMessage message = {.rc = {
		.id = SHAREDINVALRELCACHE_ID,
		.dbId = info->index->rd_rel->relisshared ? InvalidOid : MyDatabaseId,
		.relId = RelationGetRelid(info->index)
	}};

	SendSharedInvalidMessages(&message, 1);
}

IndexBulkDeleteResult *
qhnswbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				IndexBulkDeleteCallback callback, void *callback_state)
{
	QhVacuum	vac;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	begin(&vac, info, stats);
	vac.callback = callback;
	vac.callback_state = callback_state;
	stats->num_index_tuples = 0;
	stats->estimated_count = info->estimated_count;
	forget_rows(&vac);
	announce_removal(info);
	if (vac.ndying > 0 || vac.nleaked > 0)
	{
		wait_for_inserts(&vac);
		repair_links(&vac);
		free_slots(&vac);
		qh_filter_tighten(&vac.rs, vac.nslots);
	}
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	MemoryContextDelete(vac.cxt);
	return stats;
}

/*
 * Are all pages to be looked at for free slots?  Yes where rows were forgotten: chains of row
 * pointers free slots without telling the map, and a crash may have lost entries of it.  Otherwise
 * only if there is no map at all.
 */
static bool
wants_record(Relation index, const IndexBulkDeleteResult *stats)
{
	return stats->tuples_removed > 0 || !smgrexists(RelationGetSmgr(index), FSM_FORKNUM);
}

IndexBulkDeleteResult *
qhnswvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	QhVacuum	vac;

	if (info->analyze_only)
	{
		qh_calibrate_if_due(info);
		return stats;
	}
	if (stats == NULL)
	{
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->num_index_tuples = info->num_heap_tuples;
		stats->estimated_count = true;
	}
	if (wants_record(info->index, stats) || qh_seems_too_long(info->index))
	{
		begin(&vac, info, stats);
		qh_slots_record_all_free(&vac.rs, vac.nslots);
		if (vac.nslots > 0)
			qh_truncate_at_commit(&vac.rs);
		MemoryContextDelete(vac.cxt);
	}
	qh_advise_requantize(info);
	qh_calibrate_if_due(info);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return stats;
}
