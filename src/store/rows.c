/*
 * rows.c
 *		The row pointers of a node: adding one, and forgetting the dead.
 *
 * A node with one row holds its TID in its row slot; one with several heads a chain of
 * posting slots.  Whoever changes a chain holds the exclusive lock of the node's row page
 * (through qh_apply), and a row pointer stays in the slot it was put into.  See README.md, section "Chains of rows".
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "miscadmin.h"
#include "store/relstore.h"

static const QhRowData no_row = {{0}, QH_ROW_NONE};

static void
release_reserved(QhRelStore *rs, QhNode *slot)
{
	QhSlotChange change = {*slot, QH_SLOT_RESERVED, QH_SLOT_FREE, NULL, NULL};

	if (*slot != QH_INVALID_NODE)
		(void) qh_apply(rs, &change, 1, NULL);
	*slot = QH_INVALID_NODE;
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

/* Put a TID into the head posting slot if it has room. */
static bool
append_to_head(QhRelStore *rs, QhNode node, QhRowData row, ItemPointer tid, bool *full)
{
	QhLink		old_slot[2 * QH_MAX_M];
	QhLink		new_slot[2 * QH_MAX_M];
	QhPosting	posting = (QhPosting) new_slot;
	QhRowChange row_change = {node, row, row};
	QhSlotChange change = {qh_row_head(row), QH_SLOT_POSTING, QH_SLOT_POSTING, old_slot, new_slot};
	uint32		nbytes = qh_link_nbytes(&rs->ix->geo, change.node);

	*full = false;
	if (qh_read_slot(rs, change.node, old_slot) != QH_SLOT_POSTING ||
		((QhPosting) old_slot)->ntids > QH_POSTING_NTIDS(nbytes))
	{
		check_head(rs, node, row);
		return false;
	}
	memcpy(new_slot, old_slot, nbytes);
	if (posting->ntids >= QH_POSTING_NTIDS(nbytes))
	{
		*full = true;
		return false;
	}
	posting->tids[posting->ntids++] = *tid;
	return qh_apply(rs, &change, 1, &row_change);
}

/* Make slot the head of the node's chain, holding one TID (and, before there is a chain, the node's single one). */
static bool
push_head(QhRelStore *rs, QhNode node, QhRowData row, QhNode slot, ItemPointer tid, bool *added)
{
	QhLink		new_slot[2 * QH_MAX_M] = {0};
	QhPosting	posting = (QhPosting) new_slot;
	QhRowChange row_change = {node, row, qh_row_posting(slot)};
	QhSlotChange change = {slot, QH_SLOT_RESERVED, QH_SLOT_POSTING, NULL, new_slot};

	posting->next = row.flags == QH_ROW_POSTING ? qh_row_head(row) : QH_INVALID_NODE;
	if (row.flags == QH_ROW_SINGLE)
	{
		qh_check_tid(rs, node, (ItemPointer) row.w);
		memcpy(&posting->tids[posting->ntids++], row.w, sizeof(ItemPointerData));
	}
	*added = posting->ntids < QH_POSTING_NTIDS(qh_link_nbytes(&rs->ix->geo, slot));
	Assert(posting->ntids <= QH_POSTING_NTIDS(qh_link_nbytes(&rs->ix->geo, slot)));
	if (*added)
		posting->tids[posting->ntids++] = *tid;
	return qh_apply(rs, &change, 1, &row_change);
}

bool
qh_row_append(QhRelStore *rs, QhNode node, const uint8 *code, ItemPointer tid)
{
	QhNode		spare = QH_INVALID_NODE;
	uint8		now[QH_PAGE_NBYTES];

	for (;;)
	{
		QhRowData	row = read_row(rs, node);
		bool		full = row.flags == QH_ROW_SINGLE;
		bool		added = false;

		CHECK_FOR_INTERRUPTS();

		/*
		 * The row slot names TIDs that no other node has, so if it is still the same when
		 * qh_apply looks, the slot was not reused in between and the code read here is its.
		 */
		if (row.flags == QH_ROW_NONE || !qh_read_code(rs, node, now) ||
			memcmp(now, code, rs->ix->code_nbytes) != 0)
		{
			release_reserved(rs, &spare);
			return false;
		}
		if (row.flags == QH_ROW_POSTING && append_to_head(rs, node, row, tid, &full))
		{
			release_reserved(rs, &spare);
			return true;
		}
		if (!full)
			continue;			/* it changed under us: look again */
		if (spare == QH_INVALID_NODE)
		{
			spare = qh_slot_reserve(rs, NULL);
			continue;			/* that took a while: look again */
		}
		if (push_head(rs, node, row, spare, tid, &added))
		{
			spare = QH_INVALID_NODE;
			if (added)
				return true;
		}
	}
}

/* Remove dead TIDs from one posting slot, in place.  Returns how many stay. */
static int
vacuum_posting(QhRelStore *rs, QhNode node, QhNode slot, bool (*dead) (ItemPointer, void *), void *arg,
			   int64 *nremoved, QhNode *next)
{
	QhLink		old_slot[2 * QH_MAX_M];
	QhLink		new_slot[2 * QH_MAX_M];
	QhPosting	was = (QhPosting) old_slot;
	QhPosting	is = (QhPosting) new_slot;
	uint32		nbytes = qh_link_nbytes(&rs->ix->geo, slot);
	int			kept;

	for (;;)
	{
		QhRowData	row = qh_read_row(rs, node);
		QhRowChange row_change = {node, row, row};
		QhSlotChange change = {slot, QH_SLOT_POSTING, QH_SLOT_POSTING, old_slot, new_slot};

		CHECK_FOR_INTERRUPTS();
		if (qh_read_slot(rs, slot, old_slot) != QH_SLOT_POSTING ||
			was->ntids > QH_POSTING_NTIDS(nbytes))
			qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, slot).blkno,
							  "row pointer list is broken");
		memcpy(new_slot, old_slot, nbytes);
		*next = was->next;
		kept = 0;
		for (int i = 0; i < was->ntids; i++)
		{
			qh_check_tid(rs, node, &was->tids[i]);
			if (!dead(&was->tids[i], arg))
				is->tids[kept++] = was->tids[i];
		}
		is->ntids = kept;
		if (kept == was->ntids)
			return kept;
		if (qh_apply(rs, &change, 1, &row_change))
		{
			*nremoved += was->ntids - kept;
			return kept;
		}
	}
}

/*
 * Take an empty posting slot out of the chain.  before is the slot that leads to it, or
 * QH_INVALID_NODE for the row slot.  False if it cannot be done now (somebody pushed a new
 * head, or put a row into it): it stays, empty or not, for the next vacuum.
 */
static bool
unlink_posting(QhRelStore *rs, QhNode node, QhNode before, QhNode slot)
{
	QhRowData	row = qh_read_row(rs, node);
	QhRowChange row_change = {node, row, row};
	QhLink		gone[2 * QH_MAX_M];
	QhLink		old_slot[2 * QH_MAX_M];
	QhLink		new_slot[2 * QH_MAX_M];
	QhSlotChange changes[3];
	int			n = 0;
	QhNode		next;

	if (row.flags != QH_ROW_POSTING || qh_read_slot(rs, slot, gone) != QH_SLOT_POSTING ||
		((QhPosting) gone)->ntids != 0)
		return false;
	next = ((QhPosting) gone)->next;
	changes[n++] = (QhSlotChange) {slot, QH_SLOT_POSTING, QH_SLOT_FREE, gone, NULL};
	if (before == QH_INVALID_NODE)
	{
		if (qh_row_head(row) != slot)
			return false;
		if (next == QH_INVALID_NODE)
		{
			/* the node's last row is gone, and so is the node */
			row_change.new_row = no_row;
			changes[n++] = (QhSlotChange) {node, QH_SLOT_LIVE, QH_SLOT_DYING, NULL, NULL};
		}
		else
			row_change.new_row = qh_row_posting(next);
	}
	else
	{
		if (qh_read_slot(rs, before, old_slot) != QH_SLOT_POSTING ||
			((QhPosting) old_slot)->next != slot)
			return false;
		memcpy(new_slot, old_slot, qh_link_nbytes(&rs->ix->geo, before));
		((QhPosting) new_slot)->next = next;
		changes[n++] = (QhSlotChange) {before, QH_SLOT_POSTING, QH_SLOT_POSTING, old_slot, new_slot};
	}
	return qh_apply(rs, changes, n, &row_change);
}

static int64
vacuum_chain(QhRelStore *rs, QhNode node, QhNode head, bool (*dead) (ItemPointer, void *), void *arg, int64 *nremoved)
{
	QhNode		before = QH_INVALID_NODE;
	QhNode		slot = head;
	int64		kept = 0;
	uint64		steps = 0;

	while (slot != QH_INVALID_NODE)
	{
		QhNode		next;
		int			here = vacuum_posting(rs, node, slot, dead, arg, nremoved, &next);

		qh_vacuum_delay();		/* a chain may be longer than many pages */
		if (++steps > rs->ix->nslots)
			qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, slot).blkno,
							  "row pointer list has no end");
		if (here > 0 || !unlink_posting(rs, node, before, slot))
			before = slot;
		kept += here;
		slot = next;
	}
	return kept;
}

int64
qh_row_vacuum(QhRelStore *rs, QhNode node, bool (*dead) (ItemPointer tid, void *arg), void *arg, int64 *nremoved)
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
			return vacuum_chain(rs, node, qh_row_head(row), dead, arg, nremoved);
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
