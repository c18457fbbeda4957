/*
 * rows.c
 *		The row pointers of a node: adding one, and removing the dead.
 *
 * A node with one row holds its TID in its row slot; one with several heads a chain of posting
 * slots.  A chain is changed under the exclusive lock of the node's row page (by qh_apply), and
 * a row pointer stays in the slot it was put into.  Must not know why a row is dead.  See
 * CHAINS.md.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "store/codes.h"
#include "store/filter_read.h"
#include "store/links.h"
#include "store/rows.h"
#include "store/slot_change.h"
#include "store/slots.h"

static const QhRowData no_row = {{0}, QH_ROW_NONE};

/* Give back a slot that was reserved and is not needed; QH_INVALID_NODE = there is none. */
static void
release_reserved(QhRelStore *rs, QhNode slot)
{
	QhSlotChange change = {slot, QH_SLOT_RESERVED, QH_SLOT_FREE, NULL, NULL};

	if (slot != QH_INVALID_NODE)
		(void) qh_apply(rs, &change, 1, NULL);
}

/* Read a row slot that is to be changed. */
static QhRowData
read_row(QhRelStore *rs, QhNode node)
{
	QhRowData	row = qh_read_row(rs, node);

	if (row.flags > QH_ROW_POSTING)
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, node).blkno,
						  "row slot is broken");
	return row;
}

/*
 * The slot that a row slot names as the head of its chain is none: either the row slot
 * has changed since it was read, or this is damage that would not go away by looking again.
 */
static void
check_head(QhRelStore *rs, QhNode node, QhRowData row)
{
	QhRowData	now = qh_read_row(rs, node);

	if (memcmp(&now, &row, sizeof(row)) == 0)
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, node).blkno,
						  "row pointer list is broken");
}

/* ---- posting slots ---- */

/* The content of a posting slot, wherever it is copied to. */
typedef struct Slot
{
	QhPosting	posting;
	uint32		nbytes;			/* for rows */
	uint32		record_nbytes;	/* 0 = the index has no records */
} Slot;

static Slot
slot_of(QhRelStore *rs, QhNode node, QhLink *content)
{
	return (Slot) {(QhPosting) content, qh_posting_nbytes(&rs->ix->geo, node), rs->ix->geo.filter.record_nbytes};
}

static uint32
slot_max(const Slot *slot)
{
	return qh_posting_max(slot->nbytes, slot->record_nbytes);
}

static uint8 *
record_of(const Slot *slot, uint32 i)
{
	return qh_posting_record(slot->posting, slot->nbytes, slot->record_nbytes, i);
}

/* Add a row to a slot that has room. */
static void
add_to_slot(const Slot *slot, const ItemPointerData *tid, const uint8 *record)
{
	uint32		i = slot->posting->ntids++;

	Assert(i < slot_max(slot));
	slot->posting->tids[i] = *tid;
	if (slot->record_nbytes > 0)
		memcpy(record_of(slot, i), record, slot->record_nbytes);
}

/*
 * The record of the only row of a node, whose row slot was read before.  False if the row is not
 * the only one any more.
 */
static bool
read_record(QhRelStore *rs, QhNode node, QhRowData row, uint8 *record)
{
	QhRowData	now;

	if (rs->ix->geo.filter.record_nbytes == 0 || qh_read_row_record(rs, node, record) == QH_RECORD_SINGLE)
		return true;
	/* either the row slot has changed since, or this is damage */
	now = qh_read_row(rs, node);
	if (memcmp(&now, &row, sizeof(row)) == 0)
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_FILTER, node).blkno,
						  "a row has no record");
	return false;
}

/* ---- adding a row ---- */

/* How an attempt to add a row pointer ended. */
typedef enum AppendResult
{
	APPEND_DONE,
	APPEND_GONE,				/* the node is not live any more, or has another code */
	APPEND_NO_ROOM,				/* the chain needs another posting slot */
	APPEND_CHANGED				/* the node's row pointers are not what they were: try again */
} AppendResult;

/* Put a row into the head posting slot if it has room. */
static AppendResult
append_to_head(QhRelStore *rs, QhNode node, QhRowData row, const QhNewRow *new_row)
{
	QhLink		old_slot[2 * QH_MAX_M];
	QhLink		new_slot[2 * QH_MAX_M];
	QhRowChange row_change = {node, row, row};
	QhSlotChange change = {qh_row_head(row), QH_SLOT_POSTING, QH_SLOT_POSTING, old_slot, new_slot};
	Slot		slot = slot_of(rs, change.node, new_slot);

	if (qh_read_slot(rs, change.node, old_slot) != QH_SLOT_POSTING ||
		((QhPosting) old_slot)->ntids > slot_max(&slot))
	{
		check_head(rs, node, row);
		return APPEND_CHANGED;
	}
	memcpy(new_slot, old_slot, qh_link_nbytes(&rs->ix->geo, change.node));
	if (slot.posting->ntids >= slot_max(&slot))
		return APPEND_NO_ROOM;
	add_to_slot(&slot, new_row->tid, new_row->record);
	return qh_apply(rs, &change, 1, &row_change) ? APPEND_DONE : APPEND_CHANGED;
}

/*
 * Make *spare, which is reserved, the head of the node's chain, holding one row (and the node's
 * single one where there was no chain).  *spare is QH_INVALID_NODE once it belongs to the chain.
 */
static AppendResult
push_head(QhRelStore *rs, QhNode node, QhRowData row, const QhNewRow *new_row, QhNode *spare)
{
	QhLink		new_slot[2 * QH_MAX_M] = {0};
	QhFilterChange several = {node, QH_RECORD_SEVERAL, NULL};
	QhRowChange row_change = {node, row, qh_row_posting(*spare), NULL};
	QhSlotChange change = {*spare, QH_SLOT_RESERVED, QH_SLOT_POSTING, NULL, new_slot};
	Slot		slot = slot_of(rs, *spare, new_slot);
	bool		has_room;

	slot.posting->next = row.flags == QH_ROW_POSTING ? qh_row_head(row) : QH_INVALID_NODE;
	if (row.flags == QH_ROW_SINGLE)
	{
		uint8		record[QH_MAX_RECORD_NBYTES];
		ItemPointerData tid;

		if (!read_record(rs, node, row, record))
			return APPEND_CHANGED;
		qh_check_tid(rs, node, (ItemPointer) row.w);
		memcpy(&tid, row.w, sizeof(tid));
		add_to_slot(&slot, &tid, record);
		row_change.filter = &several;
	}
	has_room = slot.posting->ntids < slot_max(&slot);
	if (has_room)
		add_to_slot(&slot, new_row->tid, new_row->record);
	if (!qh_apply(rs, &change, 1, &row_change))
		return APPEND_CHANGED;
	*spare = QH_INVALID_NODE;
	/* a slot of one TID is taken by the row that was the only one: the new one goes into the next */
	return has_room ? APPEND_DONE : APPEND_CHANGED;
}

/*
 * Has the node, whose row slot this is, the code?  The row slot names TIDs that no other node
 * has.  So if it is still the same when qh_apply() compares it, the slot was not reused in
 * between, and the codes read here are those of the node.
 */
static bool
has_code(QhRelStore *rs, QhNode node, QhRowData row, const QhCode *code)
{
	uint8		now[QH_PAGE_NBYTES];

	if (row.flags == QH_ROW_NONE || !qh_read_code(rs, node, now) || memcmp(now, code->code, rs->ix->code_nbytes) != 0)
		return false;
	return code->refine == NULL ||
		(qh_read_refine(rs, node, now) && memcmp(now, code->refine, rs->ix->refine_nbytes) == 0);
}

/*
 * Try to add a row pointer, with *spare as another posting slot if one is needed and there is
 * one.
 */
static AppendResult
try_append(QhRelStore *rs, QhNode node, const QhCode *code, const QhNewRow *new_row, QhNode *spare)
{
	QhRowData	row = read_row(rs, node);

	CHECK_FOR_INTERRUPTS();
	if (!has_code(rs, node, row, code))
		return APPEND_GONE;
	if (row.flags == QH_ROW_POSTING)
	{
		AppendResult result = append_to_head(rs, node, row, new_row);

		if (result != APPEND_NO_ROOM)
			return result;
	}
	return *spare == QH_INVALID_NODE ? APPEND_NO_ROOM : push_head(rs, node, row, new_row, spare);
}

/* Reserving a slot takes a while, so the row slot is read again after it. */
bool
qh_row_append(QhRelStore *rs, QhNode node, const QhCode *code, const QhNewRow *new_row)
{
	QhNode		spare = QH_INVALID_NODE;
	AppendResult result;

	do
	{
		result = try_append(rs, node, code, new_row, &spare);
		if (result == APPEND_NO_ROOM)
			spare = qh_slot_reserve(rs, NULL);
	} while (result == APPEND_CHANGED || result == APPEND_NO_ROOM);
	release_reserved(rs, spare);
	return result == APPEND_DONE;
}

/* ---- vacuum ---- */

/* Read a posting slot of a node's chain that vacuum is at. */
static void
read_posting(QhRelStore *rs, QhNode slot, QhLink *content)
{
	if (qh_read_slot(rs, slot, content) != QH_SLOT_POSTING ||
		((QhPosting) content)->ntids > qh_node_posting_max(&rs->ix->geo, slot))
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, slot).blkno,
						  "row pointer list is broken");
}

/* A chain that vacuum goes along. */
typedef struct Chain
{
	QhRelStore *rs;
	QhNode		node;			/* whose chain it is */
	QhNode		before;			/* the slot that leads to the one at hand, or QH_INVALID_NODE for the row slot */
	uint64		nbefore;		/* slots that were left in the chain so far */
	bool		(*dead) (ItemPointer, void *);
	void	   *arg;
	int64		nremoved;
} Chain;

/* The rows of a posting slot that are not dead, into another that is a copy of it. */
static void
keep_living(const Chain *chain, const Slot *was, const Slot *is)
{
	is->posting->ntids = 0;
	for (int i = 0; i < was->posting->ntids; i++)
	{
		ItemPointerData tid = was->posting->tids[i];

		qh_check_tid(chain->rs, chain->node, &tid);
		if (!chain->dead(&tid, chain->arg))
			add_to_slot(is, &tid, record_of(was, i));
	}
}

/* Has this posting slot no TIDs, and nothing behind it? */
static bool
is_empty_end(QhRelStore *rs, QhNode slot)
{
	QhLink		content[2 * QH_MAX_M];

	read_posting(rs, slot, content);
	return ((QhPosting) content)->ntids == 0 && ((QhPosting) content)->next == QH_INVALID_NODE;
}

/* Has it something behind it? */
static bool
leads_on(QhRelStore *rs, QhNode slot)
{
	QhLink		content[2 * QH_MAX_M];

	read_posting(rs, slot, content);
	return ((QhPosting) content)->next != QH_INVALID_NODE;
}

/*
 * May a slot with these TIDs leave the chain?  One without TIDs may, unless it leaves a single
 * slot behind that has some: a scan that finds one TID in the row slot, or a single posting
 * slot, relies on it that whatever was in a chain with it is seen by nobody (CHAINS.md, "Row
 * pointers").  The last TID of a chain that is one slot goes to the row slot.
 */
static bool
is_dispensable(const Chain *chain, const QhPostingData *kept)
{
	if (chain->nbefore == 0 && kept->next == QH_INVALID_NODE)
		return kept->ntids <= 1;
	if (kept->ntids > 0)
		return false;
	if (chain->nbefore == 0)
		return leads_on(chain->rs, kept->next) || is_empty_end(chain->rs, kept->next);
	if (chain->nbefore == 1 && kept->next == QH_INVALID_NODE)
	{
		QhLink		content[2 * QH_MAX_M];

		read_posting(chain->rs, chain->before, content);
		return ((QhPosting) content)->ntids == 0;
	}
	return true;
}

/* The record that takes out a slot another one leads to. */
static bool
take_out_behind(const Chain *chain, QhSlotChange *changes, QhNode next, const QhRowChange *row)
{
	QhRelStore *rs = chain->rs;
	QhLink		old_slot[2 * QH_MAX_M];
	QhLink		new_slot[2 * QH_MAX_M];

	read_posting(rs, chain->before, old_slot);
	if (((QhPosting) old_slot)->next != changes[0].node)
		return false;
	memcpy(new_slot, old_slot, qh_link_nbytes(&rs->ix->geo, chain->before));
	((QhPosting) new_slot)->next = next;
	changes[1] = (QhSlotChange) {chain->before, QH_SLOT_POSTING, QH_SLOT_POSTING, old_slot, new_slot};
	return qh_apply(rs, changes, 2, row);
}

/*
 * Take a slot out of its chain in one record.  Its TIDs are dead but for those kept, of which
 * there is one at most, and it goes to the row slot, and its record to the FILTER slot.  False if
 * that is not possible now: another backend pushed a new head, or put a row into the slot.
 */
static bool
take_out(const Chain *chain, QhNode slot, const QhLink *content, const Slot *kept_slot)
{
	const QhPostingData *kept = kept_slot->posting;
	QhRowData	row = qh_read_row(chain->rs, chain->node);
	QhRowChange row_change = {chain->node, row, row};
	QhFilterChange single = {chain->node, QH_RECORD_SINGLE, record_of(kept_slot, 0)};
	QhSlotChange changes[2] = {{slot, QH_SLOT_POSTING, QH_SLOT_FREE, content, NULL}};
	int			n = 1;

	if (row.flags != QH_ROW_POSTING)
		return false;
	if (chain->before != QH_INVALID_NODE)
		return take_out_behind(chain, changes, kept->next, &row_change);
	if (qh_row_head(row) != slot)
		return false;
	if (kept->next != QH_INVALID_NODE)
		row_change.new_row = qh_row_posting(kept->next);
	else if (kept->ntids == 1)
	{
		ItemPointerData tid = kept->tids[0];

		row_change.new_row = qh_row_single(&tid);
		row_change.filter = &single;
	}
	else
	{
		/* the node's last row is gone, and so is the node */
		row_change.new_row = no_row;
		changes[n++] = (QhSlotChange) {chain->node, QH_SLOT_LIVE, QH_SLOT_DYING, NULL, NULL};
	}
	return qh_apply(chain->rs, changes, n, &row_change);
}

/*
 * Remove the dead TIDs of one posting slot, and the slot where that is possible.  Returns how
 * many TIDs stay, and the next slot.
 */
static int
vacuum_posting(Chain *chain, QhNode slot, QhNode *next)
{
	QhRelStore *rs = chain->rs;
	QhLink		old_slot[2 * QH_MAX_M];
	QhLink		new_slot[2 * QH_MAX_M];
	Slot		was_slot = slot_of(rs, slot, old_slot);
	Slot		is_slot = slot_of(rs, slot, new_slot);
	QhPosting	was = was_slot.posting;
	QhPosting	is = is_slot.posting;

	for (;;)
	{
		QhRowData	row = qh_read_row(rs, chain->node);
		QhRowChange row_change = {chain->node, row, row};
		QhSlotChange change = {slot, QH_SLOT_POSTING, QH_SLOT_POSTING, old_slot, new_slot};

		CHECK_FOR_INTERRUPTS();
		read_posting(rs, slot, old_slot);
		memcpy(new_slot, old_slot, qh_link_nbytes(&rs->ix->geo, slot));
		keep_living(chain, &was_slot, &is_slot);
		*next = was->next;
		if (is_dispensable(chain, is) && take_out(chain, slot, old_slot, &is_slot))
			break;
		/* an empty slot that cannot leave now stays for the next vacuum */
		if (is->ntids < was->ntids && !qh_apply(rs, &change, 1, &row_change))
			continue;			/* it has changed: read it again */
		chain->before = slot;
		chain->nbefore++;
		break;
	}
	chain->nremoved += was->ntids - is->ntids;
	return is->ntids;
}

static int64
vacuum_chain(Chain *chain, QhNode head)
{
	QhRelStore *rs = chain->rs;
	QhNode		slot = head;
	int64		kept = 0;
	uint64		steps = 0;

	while (slot != QH_INVALID_NODE)
	{
		QhNode		next;

		qh_vacuum_delay();		/* a chain may be longer than many pages */
		if (++steps > rs->ix->nslots)
			qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, slot).blkno,
							  "row pointer list has no end");
		kept += vacuum_posting(chain, slot, &next);
		slot = next;
	}
	/* one empty slot is left, which was not the only one when it was looked at */
	if (kept == 0 && chain->nbefore == 1)
	{
		slot = chain->before;
		chain->before = QH_INVALID_NODE;
		chain->nbefore = 0;
		kept = vacuum_posting(chain, slot, &slot);
	}
	return kept;
}

int64
qh_row_vacuum(QhRelStore *rs, QhNode node, bool (*dead) (ItemPointer tid, void *arg), void *arg,
			  int64 *nremoved)
{
	for (;;)
	{
		QhRowData	row = read_row(rs, node);
		QhRowChange row_change = {node, row, no_row};
		QhSlotChange change = {node, QH_SLOT_LIVE, QH_SLOT_DYING, NULL, NULL};
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		if (row.flags == QH_ROW_NONE)
			return 0;
		if (row.flags == QH_ROW_POSTING)
		{
			Chain		chain = {rs, node, QH_INVALID_NODE, 0, dead, arg, 0};
			int64		kept = vacuum_chain(&chain, qh_row_head(row));

			*nremoved += chain.nremoved;
			return kept;
		}
		memcpy(&tid, row.w, sizeof(tid));
		qh_check_tid(rs, node, &tid);
		if (!dead(&tid, arg))
			return 1;
		if (qh_apply(rs, &change, 1, &row_change))
		{
			(*nremoved)++;
			return 0;
		}
	}
}
