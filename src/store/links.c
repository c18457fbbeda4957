/*
 * links.c
 *		Links and states of nodes, read from the pages of an index.
 *
 * Links change, so they are read under the share lock of their page, or as a versioned read
 * that shows what the lock would have shown.  Must not know what a search does with them, or
 * who changes them.  See README.md, section "Reading", and UNPINNED.md.
 */
#include "postgres.h"

#include "compat.h"
#include "kernel/kernel.h"
#include "store/links.h"
#include "store/readahead.h"
#include "store/slot_pin.h"
#include "store/versioned_read.h"

/* Nodes whose links are prefetched: of the next hop, and one more.  Chosen by hand. */
#define LINKS_PREFETCHED	2

void
qh_prefetch_links(QhRelStore *rs, const QhNode *nodes, int n)
{
	QhIndex    *ix = rs->ix;

	for (int i = 0; i < n; i++)
	{
		QhArray		array = qh_link_array(&ix->geo, nodes[i]);
		QhSlotAddress addr = qh_slot_address(&ix->geo, array, nodes[i]);
		const char *page = qh_prefetch_page(ix, addr.blkno);

		if (page == NULL)
			continue;
		qv_prefetch(page);		/* the LSN */
		qv_prefetch(page + ix->geo.state_offset[array] + addr.index);
		qh_prefetch_slot(page + addr.offset, Min(ix->geo.slot_nbytes[array], QH_MAX_PREFETCH_NBYTES));
	}
}

/*
 * Prefetch the finer code of a node, where there is a query for it: what is expanded is nearly
 * always refined.
 */
static void
prefetch_refine(QhRelStore *rs, QhNode node)
{
	QhIndex    *ix = rs->ix;
	QhSlotAddress addr;
	Buffer		buf;

	if (rs->refine_query == NULL)
		return;
	addr = qh_slot_address(&ix->geo, QH_ARRAY_REFINE, node);
	buf = ix->recent[addr.blkno];
	if (buf > InvalidBuffer)
		qh_prefetch_slot((const char *) BufferGetBlock(buf) + addr.offset,
						 Min(ix->geo.slot_nbytes[QH_ARRAY_REFINE], QH_MAX_PREFETCH_NBYTES));
}

void
qh_store_prefetch(QhStore *store, const QhNode *nodes, int n)
{
	QhRelStore *rs = (QhRelStore *) store;

	qh_prefetch_links(rs, nodes, Min(n, LINKS_PREFETCHED));
	prefetch_refine(rs, nodes[0]);
	qh_read_ahead_if_cold(rs, QH_ARRAY_LINK, nodes, n);
	store->prefetch_max = rs->nmisses > 0 ? QH_PREFETCH_MAX : LINKS_PREFETCHED;
}

/*
 * qh_read_slot() as a versioned read; false where that is not possible, or the slot is not
 * sound.
 */
static bool
read_slot_versioned(QhRelStore *rs, QhNode node, QhSlotState *state, QhLink *links)
{
	QhArray		array;
	QhSlotAddress addr;
	QhVersionedRead versioned;
	const char *page;
	bool		sound;

	if (!qh_optimistic_read || node >= rs->ix->nslots)
		return false;
	array = qh_link_array(&rs->ix->geo, node);
	addr = qh_slot_address(&rs->ix->geo, array, node);
	page = qh_versioned_read_begin(rs, addr.blkno, &versioned);
	if (page == NULL ||
		!qh_page_is((Page) page, qh_array_page_kind(array), qh_divide(node, rs->ix->geo.by_group_nslots)))
		return false;
	*state = (QhSlotState) qh_slot_states(rs, array, (Page) page)[addr.index];
	sound = qh_copy_slot(rs, node, *state, (const uint8 *) page + addr.offset, links);
	return qh_versioned_read_end(&versioned) && sound;
}

/* The same, and under the lock where that is not possible. */
static QhSlotState
read_links(QhRelStore *rs, QhNode node, QhLink *links)
{
	QhSlotState state;

	return read_slot_versioned(rs, node, &state, links) ? state : qh_read_slot(rs, node, links);
}

/* How many nodes a node in this state links to, and the largest of their ids. */
static inline int
count_links(QhSlotState state, const QhLink *links, int max_degree, QhNode *largest)
{
	QhNode		last = 0;
	int			n = 0;

	if (state == QH_SLOT_LIVE || state == QH_SLOT_DYING)
		for (; n < max_degree && links[n] != QH_INVALID_NODE; n++)
			last = Max(last, qh_link_node(links[n]));
	*largest = last;
	return n;
}

int
qh_store_links(QhStore *store, QhNode node, QhLink *out)
{
	QhRelStore *rs = (QhRelStore *) store;
	QhLink		slot[2 * QH_MAX_M];
	bool		is_longer = unlikely(rs->ix->geo.filter.record_nbytes > 0) &&
		qh_link_nbytes(&rs->ix->geo, node) > store->max_degree * sizeof(QhLink);
	QhLink	   *links = unlikely(is_longer) ? slot : out;
	QhNode		last;
	int			n = count_links(read_links(rs, node, links), links, store->max_degree, &last);

	rs->nlinks++;
	/* a list is reported only after it was read under the lock */
	if (unlikely(!qh_relstore_in_range(rs, last)))
		n = count_links(qh_read_slot(rs, node, links), links, store->max_degree, &last);
	if (unlikely(!qh_relstore_in_range(rs, last)))
		qh_report_corrupt(rs->index,
						  qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, node).blkno,
						  "a link leads past the end");
	if (unlikely(is_longer))
		memcpy(out, slot, store->max_degree * sizeof(QhLink));
	return n;
}

int
qh_nodes_in_use(QhRelStore *rs, const QhCandidate *cands, int n, QhCandidate *out)
{
	QhLink		links[2 * QH_MAX_M];
	int			nout = 0;

	for (int i = 0; i < n; i++)
	{
		QhSlotState state = read_links(rs, cands[i].node, links);

		if (state == QH_SLOT_LIVE || state == QH_SLOT_DYING)
			out[nout++] = cands[i];
	}
	return nout;
}

QhSlotState
qh_read_slot(QhRelStore *rs, QhNode node, QhLink *links)
{
	XLogRecPtr	lsn;

	return qh_read_slot_at(rs, node, links, &lsn);
}

QhSlotState
qh_read_slot_at(QhRelStore *rs, QhNode node, QhLink *links, XLogRecPtr *lsn)
{
	QhArray		array = qh_link_array(&rs->ix->geo, node);
	QhSlotAddress addr;
	Buffer		buf = qh_lock_slot(rs, array, node, BUFFER_LOCK_SHARE, &addr);
	QhSlotState state;
	bool		sound;

	*lsn = InvalidXLogRecPtr;
	if (!BufferIsValid(buf))
		return QH_SLOT_FREE;
	*lsn = PageGetLSN(BufferGetPage(buf));
	state = (QhSlotState) qh_slot_states(rs, array, BufferGetPage(buf))[addr.index];
	sound = qh_copy_slot(rs, node, state, (uint8 *) BufferGetPage(buf) + addr.offset, links);
	UnlockReleaseBuffer(buf);
	if (unlikely(!sound))
		qh_report_corrupt(rs->index, addr.blkno, "packed links are broken");
	return state;
}

uint32
qh_read_states(QhRelStore *rs, QhNode first, uint8 *states)
{
	QhArray		array = qh_link_array(&rs->ix->geo, first);
	QhSlotAddress addr;
	Buffer		buf = qh_lock_slot(rs, array, first, BUFFER_LOCK_SHARE, &addr);
	uint32		count = qh_geometry_page_nslots(&rs->ix->geo, addr.blkno);

	Assert(addr.index == 0);
	if (!BufferIsValid(buf))
	{
		memset(states, QH_SLOT_FREE, count);
		return count;
	}
	memcpy(states, qh_slot_states(rs, array, BufferGetPage(buf)), count);
	UnlockReleaseBuffer(buf);
	return count;
}
