/*
 * relstore.c
 *		A graph store over the pages of an index: reading.
 *
 * Codes are read under a pin alone, in batches; links and row pointers change and are
 * read under a share lock, or so as if they were.  Must not know the graph's algorithms.  See README.md,
 * sections "Reading" and "Locks".
 */
#include "postgres.h"

#include <math.h>

#include "access/generic_xlog.h"
#include "access/xlog.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "store/versioned_read.h"
#include "store/postings.h"
#include "store/readahead.h"

/* Of a long code the processor's own prefetcher brings the rest. */
#define MAX_PREFETCH_NBYTES 256

/* Nodes whose links the processor is asked for: of the next hop, and one more; chosen by hand. */
#define LINKS_AHEAD			2

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
	if (buf == rs->ix->hints[blkno] && qh_page_is(page, kind, group))
		return buf;
	rs->nmisses++;

	/* a page is not called new, or wrong, or right, without its lock */
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
	rs->ix->hints[blkno] = buf;
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
	known = ix->hints[addr->blkno];
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

/* The same with a lock that is kept; the page is looked at each time, all over if it is to be changed. */
static Buffer
lock_slot(QhRelStore *rs, QhArray array, QhNode node, int lockmode, QhSlotAddress *addr)
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

static inline uint8 *
slot_states(QhRelStore *rs, QhArray array, Page page)
{
	return (uint8 *) page + rs->ix->geo.state_offset[array];
}

/* Ask the processor for the lines of a slot, of which nbytes will be read; the last twice where slots begin on a line. */
static inline void
prefetch_slot(const char *slot, uint32 nbytes)
{
	for (uint32 at = 0; at < nbytes; at += 64)
		qv_prefetch(slot + at);
	qv_prefetch(slot + nbytes - 1);
}

/* Ask the processor for what locking a page and checking it will touch.  Returns where the page is, or NULL if that is not known. */
static inline const char *
prefetch_page(const QhIndex *ix, BlockNumber blkno)
{
	Buffer		buf = ix->hints[blkno];
	const char *page;

	if (buf <= InvalidBuffer)
		return NULL;			/* unknown, or a temporary index in local memory */
	page = (const char *) BufferGetBlock(buf);
	qv_prefetch(GetBufferDescriptor(buf - 1));
	qv_prefetch(page + BLCKSZ - 1);
	return page;
}

/* Ask the processor for what reading these nodes' links will touch, as find_slots() does for codes. */
static void
prefetch_links(QhRelStore *rs, const QhNode *nodes, int n)
{
	QhIndex    *ix = rs->ix;

	for (int i = 0; i < n; i++)
	{
		QhArray		array = qh_link_array(&ix->geo, nodes[i]);
		QhSlotAddress addr = qh_slot_address(&ix->geo, array, nodes[i]);
		const char *page = prefetch_page(ix, addr.blkno);

		if (page == NULL)
			continue;
		qv_prefetch(page);		/* the LSN */
		qv_prefetch(page + ix->geo.state_offset[array] + addr.index);
		prefetch_slot(page + addr.offset, Min(ix->geo.slot_nbytes[array], MAX_PREFETCH_NBYTES));
	}
}

/* Ask the processor for the finer code of a node, where it will be wanted: what is expanded is nearly always refined. */
static void
prefetch_refine(QhRelStore *rs, QhNode node)
{
	QhIndex    *ix = rs->ix;
	QhSlotAddress addr;
	Buffer		buf;

	if (rs->refine_query == NULL)
		return;
	addr = qh_slot_address(&ix->geo, QH_ARRAY_REFINE, node);
	buf = ix->hints[addr.blkno];
	if (buf > InvalidBuffer)
		prefetch_slot((const char *) BufferGetBlock(buf) + addr.offset, Min(ix->geo.slot_nbytes[QH_ARRAY_REFINE], MAX_PREFETCH_NBYTES));
}

/* The search says which nodes come next, the nearest first. */
static void
relstore_hint(QhStore *store, const QhNode *nodes, int n)
{
	QhRelStore *rs = (QhRelStore *) store;

	prefetch_links(rs, nodes, Min(n, LINKS_AHEAD));
	prefetch_refine(rs, nodes[0]);
	qh_read_ahead_if_cold(rs, QH_ARRAY_LINK, nodes, n);
	store->hint_max = rs->nmisses > 0 ? QH_HINT_MAX : LINKS_AHEAD;
}

/* Does the slot of a node in this state hold a packed list? */
static inline bool
is_packed(QhRelStore *rs, QhNode node, QhSlotState state)
{
	return qh_link_packed(&rs->ix->geo, node) && state != QH_SLOT_POSTING;
}

/* Copy what a slot holds; false where a packed list is none. */
static bool
copy_slot(QhRelStore *rs, QhNode node, QhSlotState state, const uint8 *slot, QhLink *links)
{
	if (!is_packed(rs, node, state))
	{
		memcpy(links, slot, qh_link_nbytes(&rs->ix->geo, node));
		return true;
	}
	memset(links, 0xFF, rs->store.max_degree * sizeof(QhLink)); /* QH_INVALID_NODE */
	if (state != QH_SLOT_LIVE && state != QH_SLOT_DYING)
		return true;
	return qh_unpack_links(node, slot, qh_link_nbytes(&rs->ix->geo, node), rs->store.max_degree, links) >= 0;
}

/* Read a slot of links as qh_read_slot() does, but without pin and lock; false where that cannot be, or the slot is not sound. */
static bool
read_slot_unpinned(QhRelStore *rs, QhNode node, QhSlotState *state, QhLink *links)
{
	QhArray		array;
	QhSlotAddress addr;
	QhVersionedRead		versioned;
	const char *page;
	bool		sound;

	if (!qh_optimistic_read || node >= rs->ix->nslots)
		return false;
	array = qh_link_array(&rs->ix->geo, node);
	addr = qh_slot_address(&rs->ix->geo, array, node);
	page = qh_versioned_read_begin(rs, addr.blkno, &versioned);
	if (page == NULL || !qh_page_is((Page) page, qh_array_page_kind(array), qh_divide(node, rs->ix->geo.by_group_nslots)))
		return false;
	*state = (QhSlotState) slot_states(rs, array, (Page) page)[addr.index];
	sound = copy_slot(rs, node, *state, (const uint8 *) page + addr.offset, links);
	return qh_versioned_read_end(&versioned) && sound;
}

/* qh_read_slot(), without pin and lock where that can be. */
static QhSlotState
read_links(QhRelStore *rs, QhNode node, QhLink *links)
{
	QhSlotState state;

	return read_slot_unpinned(rs, node, &state, links) ? state : qh_read_slot(rs, node, links);
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

static int
relstore_links(QhStore *store, QhNode node, QhLink *out)
{
	QhRelStore *rs = (QhRelStore *) store;
	QhNode		last;
	int			n = count_links(read_links(rs, node, out), out, store->max_degree, &last);

	rs->nlinks++;
	/* a list is not called wrong before it was read under the lock */
	if (unlikely(!qh_relstore_in_range(rs, last)))
		n = count_links(qh_read_slot(rs, node, out), out, store->max_degree, &last);
	if (unlikely(!qh_relstore_in_range(rs, last)))
		qh_report_corrupt(rs->index,
						  qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, node).blkno,
						  "a link leads past the end");
	return n;
}

/* Pin the codes of up to QH_PIN_BATCH nodes; ptr is a code of zeros for a node that is gone. */
static void
pin_codes(QhRelStore *rs, QhArray array, const QhNode *nodes, int n, Buffer *bufs, const uint8 **ptrs)
{
	Assert(n <= QH_PIN_BATCH);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;

		bufs[i] = qh_pin_slot(rs, array, nodes[i], &addr);
		ptrs[i] = BufferIsValid(bufs[i]) ? (uint8 *) BufferGetPage(bufs[i]) + addr.offset : qh_no_slot;
	}
}

static void
unpin_codes(Buffer *bufs, int n, float *dist)
{
	for (int i = 0; i < n; i++)
	{
		if (BufferIsValid(bufs[i]))
			ReleaseBuffer(bufs[i]);
		else
			dist[i] = INFINITY;
	}
}

/*
 * Find where the slots of up to QH_UNPINNED_MAX nodes are, as far as this backend remembers, and ask the processor for what scoring
 * them will touch: the buffers' descriptors, which pins are counted in, and the slots themselves.
 * What is remembered may be out of date; reading ahead from a wrong buffer does no harm.
 */
static void
find_slots(QhRelStore *rs, QhArray array, const QhNode *nodes, int n, QhPlaces *places)
{
	const QhIndex *ix = rs->ix;
	uint32		nbytes = Min(ix->geo.slot_nbytes[array], MAX_PREFETCH_NBYTES);

	Assert(n <= QH_UNPINNED_MAX);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		Buffer		buf = InvalidBuffer;

		if (likely(nodes[i] < ix->nslots))
		{
			addr = qh_slot_address(&ix->geo, array, nodes[i]);
			buf = ix->hints[addr.blkno];
		}
		if (unlikely(buf <= InvalidBuffer))
		{
			/* unknown, or a temporary index in local memory */
			places->desc[i] = NULL;
			places->slot[i] = qh_no_slot;
			continue;
		}
		places->desc[i] = GetBufferDescriptor(buf - 1);
		places->blkno[i] = addr.blkno;
		places->slot[i] = (const uint8 *) BufferGetBlock(buf) + addr.offset;
		qv_prefetch(places->desc[i]);
		prefetch_slot((const char *) places->slot[i], nbytes);
	}
}

void
qh_rows_ahead(QhRelStore *rs, const QhNode *nodes, int n)
{
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		const char *page;

		if (nodes[i] >= rs->ix->nslots)
			continue;
		addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, nodes[i]);
		page = prefetch_page(rs->ix, addr.blkno);
		if (page != NULL)
			qv_prefetch(page + addr.offset);
	}
	qh_read_ahead_if_cold(rs, QH_ARRAY_ROW, nodes, n);
}

/* Score slots of an array in place, a few pins at a time; positions says which of the nodes. */
static void
score_pinned(QhRelStore *rs, QhArray array, const QvQuery *query, const QhNode *nodes, const int *positions, int n, float *dist)
{
	for (int done = 0; done < n; done += QH_PIN_BATCH)
	{
		int			batch = Min(n - done, QH_PIN_BATCH);
		QhNode		pinned[QH_PIN_BATCH];
		Buffer		bufs[QH_PIN_BATCH];
		const uint8 *ptrs[QH_PIN_BATCH];
		float		scores[QH_PIN_BATCH];

		for (int i = 0; i < batch; i++)
			pinned[i] = nodes[positions[done + i]];
		pin_codes(rs, array, pinned, batch, bufs, ptrs);
		qv_query_score(query, ptrs, batch, scores);
		unpin_codes(bufs, batch, scores);
		for (int i = 0; i < batch; i++)
			dist[positions[done + i]] = scores[i];
	}
}

/* Score slots that were found, without pins as far as that can be vouched for. */
static void
score_places(QhRelStore *rs, QhArray array, const QvQuery *query, QhPlaces *places, const QhNode *nodes, int n, float *dist)
{
	int			rest[QH_UNPINNED_MAX];
	int			nrest = n;

	if (likely(qh_optimistic_read))
		nrest = qh_score_unpinned(rs, query, places, n, dist, rest);
	else
		for (int i = 0; i < n; i++)
			rest[i] = i;
	score_pinned(rs, array, query, nodes, rest, nrest, dist);
}

/* Score slots of an array in place. */
static void
score_slots(QhRelStore *rs, QhArray array, const QvQuery *query, const QhNode *nodes, int n, float *dist)
{
	CHECK_FOR_INTERRUPTS();
	qh_read_ahead_if_cold(rs, array, nodes, n);
	for (int done = 0; done < n; done += QH_UNPINNED_MAX)
	{
		int			batch = Min(n - done, QH_UNPINNED_MAX);
		QhPlaces	places;

		find_slots(rs, array, nodes + done, batch, &places);
		score_places(rs, array, query, &places, nodes + done, batch, dist + done);
	}
}

static void
relstore_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	QhRelStore *rs = (QhRelStore *) store;

	rs->ncodes += n;
	score_slots(rs, QH_ARRAY_CODE, rs->query, nodes, n, dist);
}

static void
relstore_fetch(QhStore *store, int place, const QhNode *nodes, int n)
{
	QhRelStore *rs = (QhRelStore *) store;

	qh_read_ahead_if_cold(rs, QH_ARRAY_CODE, nodes, n);
	find_slots(rs, QH_ARRAY_CODE, nodes, Min(n, QH_UNPINNED_MAX), &rs->fetched[place]);
}

static void
relstore_score_fetched(QhStore *store, int place, const QhNode *nodes, int n, float *dist)
{
	QhRelStore *rs = (QhRelStore *) store;
	int			nfound = Min(n, QH_UNPINNED_MAX);

	CHECK_FOR_INTERRUPTS();
	rs->ncodes += n;
	score_places(rs, QH_ARRAY_CODE, rs->query, &rs->fetched[place], nodes, nfound, dist);
	if (n > nfound)
		score_slots(rs, QH_ARRAY_CODE, rs->query, nodes + nfound, n - nfound, dist + nfound);
}

void
qh_score_refine(QhRelStore *rs, const QhNode *nodes, int n, float *dist)
{
	rs->nrefined += n;
	score_slots(rs, QH_ARRAY_REFINE, rs->refine_query, nodes, n, dist);
}

static void
relstore_pair(QhStore *store, QhNode node, const QhNode *nodes, int n, float *dist)
{
	QhRelStore *rs = (QhRelStore *) store;
	uint8		code[QH_PAGE_NBYTES];

	CHECK_FOR_INTERRUPTS();
	if (!qh_read_code(rs, node, code))
		memset(code, 0, rs->ix->code_nbytes);
	qh_read_ahead_if_cold(rs, QH_ARRAY_CODE, nodes, n);
	for (int done = 0; done < n; done += QH_PIN_BATCH)
	{
		int			batch = Min(n - done, QH_PIN_BATCH);
		QhPlaces	places;
		Buffer		bufs[QH_PIN_BATCH];
		const uint8 *ptrs[QH_PIN_BATCH];

		find_slots(rs, QH_ARRAY_CODE, nodes + done, batch, &places);
		pin_codes(rs, QH_ARRAY_CODE, nodes + done, batch, bufs, ptrs);
		qv_codec_pair(rs->ix->codec, code, ptrs, batch, dist + done);
		unpin_codes(bufs, batch, dist + done);
	}
}

/* The first node whose code is on the page. */
static QhNode
relstore_place(QhStore *store, QhNode node)
{
	const QhRelStore *rs = (const QhRelStore *) store;

	return node - qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, node).index;
}

void
qh_relstore_init(QhRelStore *rs, Relation index, QhIndex *ix)
{
	memset(rs, 0, sizeof(*rs));
	rs->store.links = relstore_links;
	rs->store.score = relstore_score;
	rs->store.pair = relstore_pair;
	rs->store.hint = relstore_hint;
	rs->store.hint_max = QH_HINT_MAX;
	rs->store.fetch = relstore_fetch;
	rs->store.score_fetched = relstore_score_fetched;
	rs->store.max_degree = 2 * ix->meta.m;
	rs->store.hubs = qh_meta_hubs(&ix->meta);
	rs->in_recovery = RecoveryInProgress();
	rs->index = index;
	rs->ix = ix;
	if (ix->nslots == 0)
		qh_index_refresh_size(ix, index);
	rs->store.nnodes = ix->nslots;
	/* not by what is cached at the moment: a search is to find the same whether its pages are or not */
	rs->store.at_once = ix->nblocks > (BlockNumber) NBuffers;
	rs->store.place = rs->store.at_once ? relstore_place : NULL;
}

/* Copy nbytes of a slot that does not change. */
static bool
copy_code(QhRelStore *rs, QhArray array, QhNode node, uint32 nbytes, uint8 *code)
{
	QhSlotAddress addr;
	Buffer		buf = qh_pin_slot(rs, array, node, &addr);

	if (!BufferIsValid(buf))
		return false;
	memcpy(code, BufferGetPage(buf) + addr.offset, nbytes);
	ReleaseBuffer(buf);
	return true;
}

bool
qh_read_code(QhRelStore *rs, QhNode node, uint8 *code)
{
	return copy_code(rs, QH_ARRAY_CODE, node, rs->ix->code_nbytes, code);
}

bool
qh_read_refine(QhRelStore *rs, QhNode node, uint8 *code)
{
	return copy_code(rs, QH_ARRAY_REFINE, node, rs->ix->refine_nbytes, code);
}

/* Entry points are scored in one sweep, and only the nearest of them put in order: sorting all was a fifth of a whole search. */
static int
nearest_entries(QhRelStore *rs, int max, QhCandidate *nearest)
{
	QhIndex    *ix = rs->ix;
	float		dist[256];
	int			n = 0;

	for (int done = 0; done < ix->nentries; done += lengthof(dist))
	{
		int			batch = Min(ix->nentries - done, (int) lengthof(dist));

		qv_query_score_strided(rs->query, ix->entry_codes + (Size) done * ix->code_nbytes,
							   ix->code_nbytes, batch, dist);
		for (int i = 0; i < batch; i++)
		{
			int			at;

			if (n == max && dist[i] >= nearest[n - 1].dist)
				continue;
			at = n < max ? n++ : n - 1;
			for (; at > 0 && nearest[at - 1].dist > dist[i]; at--)
				nearest[at] = nearest[at - 1];
			nearest[at].dist = dist[i];
			nearest[at].node = ix->entries[done + i];
		}
	}
	rs->ncodes += ix->nentries;
	return n;
}

/* Of n candidates those that are nodes still: vacuum may have freed them since the list was read. */
static int
nodes_still(QhRelStore *rs, const QhCandidate *cands, int n, QhCandidate *out)
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

int
qh_choose_seeds(QhRelStore *rs, int max, QhCandidate *seeds)
{
	QhCandidate *nearest = palloc(sizeof(QhCandidate) * max);
	QhNode	   *nodes = palloc(sizeof(QhNode) * max);
	int			n = nearest_entries(rs, max, nearest);
	int			nseeds;

	for (int i = 0; i < n; i++)
		nodes[i] = nearest[i].node;
	prefetch_links(rs, nodes, n);
	qh_read_ahead(rs, QH_ARRAY_LINK, nodes, n);
	nseeds = nodes_still(rs, nearest, n, seeds);
	pfree(nodes);
	pfree(nearest);
	return nseeds;
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
	Buffer		buf = lock_slot(rs, array, node, BUFFER_LOCK_SHARE, &addr);
	QhSlotState state;
	bool		sound;

	*lsn = InvalidXLogRecPtr;
	if (!BufferIsValid(buf))
		return QH_SLOT_FREE;
	*lsn = PageGetLSN(BufferGetPage(buf));
	state = (QhSlotState) slot_states(rs, array, BufferGetPage(buf))[addr.index];
	sound = copy_slot(rs, node, state, (uint8 *) BufferGetPage(buf) + addr.offset, links);
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
	Buffer		buf = lock_slot(rs, array, first, BUFFER_LOCK_SHARE, &addr);
	uint32		count = qh_geometry_page_nslots(&rs->ix->geo, addr.blkno);

	Assert(addr.index == 0);
	if (!BufferIsValid(buf))
	{
		memset(states, QH_SLOT_FREE, count);
		return count;
	}
	memcpy(states, slot_states(rs, array, BufferGetPage(buf)), count);
	UnlockReleaseBuffer(buf);
	return count;
}

void
qh_read_row_range(QhRelStore *rs, QhNode first, uint32 count, QhRowData *rows)
{
	while (count > 0)
	{
		QhSlotAddress addr;
		Buffer		buf = lock_slot(rs, QH_ARRAY_ROW, first, BUFFER_LOCK_SHARE, &addr);
		uint32		here = Min(count, qh_geometry_page_nslots(&rs->ix->geo, addr.blkno) - addr.index);

		if (BufferIsValid(buf))
		{
			memcpy(rows, BufferGetPage(buf) + addr.offset, here * sizeof(QhRowData));
			UnlockReleaseBuffer(buf);
		}
		else
			memset(rows, 0, here * sizeof(QhRowData));
		first += here;
		rows += here;
		count -= here;
	}
}

QhRowData
qh_read_row(QhRelStore *rs, QhNode node)
{
	QhSlotAddress addr;
	Buffer		buf = lock_slot(rs, QH_ARRAY_ROW, node, BUFFER_LOCK_SHARE, &addr);
	QhRowData	row = {{0}, QH_ROW_NONE};

	if (!BufferIsValid(buf))
		return row;
	memcpy(&row, BufferGetPage(buf) + addr.offset, sizeof(row));
	UnlockReleaseBuffer(buf);
	return row;
}

void
qh_report_tid(QhRelStore *rs, QhNode node)
{
	qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, node).blkno, "row pointer is out of range");
}

bool
qh_read_rows(QhRelStore *rs, QhNode node, QhRowList *list, uint8 *code)
{
	QhSlotAddress addr;
	Buffer		buf = lock_slot(rs, QH_ARRAY_ROW, node, BUFFER_LOCK_SHARE, &addr);
	QhRowData	row;

	qh_drop_rows(list);
	list->chain.node = node;
	if (!BufferIsValid(buf))
		return false;
	memcpy(&row, BufferGetPage(buf) + addr.offset, sizeof(row));
	if (row.flags == QH_ROW_SINGLE)
		qh_list_add(list, row.w, 1);
	else if (row.flags == QH_ROW_POSTING)
		qh_chain_begin(rs, list, qh_row_head(row));
	else if (row.flags != QH_ROW_NONE)
		qh_report_corrupt(rs->index, addr.blkno, "row slot is broken");
	for (int i = 0; i < list->ntids; i++)
		qh_check_tid(rs, node, &list->tids[i]);
	if (code != NULL && row.flags != QH_ROW_NONE && !qh_read_code(rs, node, code))
		qh_drop_rows(list);
	UnlockReleaseBuffer(buf);
	return list->ntids > 0 || list->chain.more;
}

int
qh_read_more_rows(QhRelStore *rs, QhRowList *list)
{
	list->ntids = 0;
	while (list->ntids == 0 && list->chain.more)
	{
		QhSlotAddress addr;
		Buffer		buf;
		QhRowData	row = {{0}, QH_ROW_NONE};

		CHECK_FOR_INTERRUPTS();
		buf = lock_slot(rs, QH_ARRAY_ROW, list->chain.node, BUFFER_LOCK_SHARE, &addr);
		if (BufferIsValid(buf))
			memcpy(&row, BufferGetPage(buf) + addr.offset, sizeof(row));
		/* a node whose chain is gone had no rows any more that anybody sees */
		if (row.flags == QH_ROW_POSTING)
			qh_chain_go_on(rs, list, qh_row_head(row));
		else
			qh_chain_end(list);
		if (BufferIsValid(buf))
			UnlockReleaseBuffer(buf);
	}
	for (int i = 0; i < list->ntids; i++)
		qh_check_tid(rs, list->chain.node, &list->tids[i]);
	return list->ntids;
}

/* Of n nodes, add to the batch those in a page whose row is the only one.  The caller holds the page's lock. */
static void
add_page_rows(QhRowBatch *batch, const QhNode *nodes, const QhSlotAddress *addrs, int n, BlockNumber blkno, Page page)
{
	for (int i = 0; i < n; i++)
	{
		QhRowData	row;

		if (addrs[i].blkno != blkno)
			continue;
		memcpy(&row, page + addrs[i].offset, sizeof(row));
		if (row.flags != QH_ROW_SINGLE || !qh_tid_is_possible((ItemPointer) row.w))
			continue;			/* what is damaged is reported when it is read alone */
		Assert(batch->n < QH_ROWS_AHEAD);
		batch->nodes[batch->n] = nodes[i];
		memcpy(&batch->tids[batch->n], row.w, sizeof(ItemPointerData));
		batch->n++;
	}
}

/* Does one of n slots stand in the page? */
static bool
is_among(const QhSlotAddress *addrs, int n, BlockNumber blkno)
{
	for (int i = 0; i < n; i++)
	{
		if (addrs[i].blkno == blkno)
			return true;
	}
	return false;
}

void
qh_read_row_batch(QhRelStore *rs, const QhNode *nodes, int n, QhRowBatch *batch)
{
	QhSlotAddress addrs[QH_ROWS_AHEAD];

	Assert(n <= QH_ROWS_AHEAD);
	batch->n = 0;
	for (int i = 0; i < n; i++)
		addrs[i] = qh_slot_address(&rs->ix->geo, QH_ARRAY_ROW, nodes[i]);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		Buffer		buf;

		if (is_among(addrs, i, addrs[i].blkno))
			continue;			/* read with that one */
		buf = lock_slot(rs, QH_ARRAY_ROW, nodes[i], BUFFER_LOCK_SHARE, &addr);
		if (!BufferIsValid(buf))
			continue;
		add_page_rows(batch, nodes + i, addrs + i, n - i, addr.blkno, BufferGetPage(buf));
		UnlockReleaseBuffer(buf);
	}
	score_slots(rs, QH_ARRAY_CODE, rs->query, batch->nodes, batch->n, batch->dist);
}

bool
qh_rows_of_batch(const QhRowBatch *batch, QhNode node, float dist, QhRowList *list)
{
	for (int i = 0; i < batch->n; i++)
	{
		if (batch->nodes[i] != node || batch->dist[i] != dist)
			continue;
		qh_drop_rows(list);
		qh_list_add(list, &batch->tids[i], 1);
		return true;
	}
	return false;
}

/* ---- changing ---- */

typedef struct LockedPages
{
	int			n;
	Buffer		bufs[QH_MAX_SLOT_CHANGES + 1];
	BlockNumber blknos[QH_MAX_SLOT_CHANGES + 1];
	Page		pages[QH_MAX_SLOT_CHANGES + 1];
} LockedPages;

static int
find_page(const LockedPages *locked, BlockNumber blkno)
{
	for (int i = 0; i < locked->n; i++)
	{
		if (locked->blknos[i] == blkno)
			return i;
	}
	return -1;
}

/*
 * Lock the row page first, then the link pages in ascending order, each once.  What is to be changed was read, so a page
 * that was never written is one that was lost.
 */
static void
lock_pages(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row, LockedPages *locked)
{
	QhNode		sorted[QH_MAX_SLOT_CHANGES];
	QhSlotAddress addr;
	Buffer		buf;

	locked->n = 0;
	for (int i = 0; i < nchanges; i++)
	{
		int			j = i;

		for (; j > 0 && sorted[j - 1] > changes[i].node; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = changes[i].node;
	}
	for (int i = (row == NULL); i <= nchanges; i++)
	{
		QhNode		node = i == 0 ? row->node : sorted[i - 1];
		QhArray		array = i == 0 ? QH_ARRAY_ROW : qh_link_array(&rs->ix->geo, node);

		if (!qh_relstore_in_range(rs, node))
			qh_report_corrupt(rs->index, QH_META_BLKNO, "a link or row pointer list leads past the end");
		addr = qh_slot_address(&rs->ix->geo, array, node);
		if (find_page(locked, addr.blkno) >= 0)
			continue;
		buf = lock_slot(rs, array, node, BUFFER_LOCK_EXCLUSIVE, &addr);
		if (!BufferIsValid(buf))
			qh_report_corrupt(rs->index, addr.blkno, "unexpected zero page");
		locked->bufs[locked->n] = buf;
		locked->blknos[locked->n] = addr.blkno;
		locked->pages[locked->n] = BufferGetPage(buf);
		locked->n++;
	}
}

static void
unlock_pages(LockedPages *locked)
{
	for (int i = locked->n - 1; i >= 0; i--)
		UnlockReleaseBuffer(locked->bufs[i]);
}

static Page
page_of(QhRelStore *rs, const LockedPages *locked, QhArray array, QhNode node, QhSlotAddress *addr)
{
	*addr = qh_slot_address(&rs->ix->geo, array, node);
	return locked->pages[find_page(locked, addr->blkno)];
}

/* Would a reader of these two see one and the same list?  What stands behind the last link is nobody's. */
static bool
same_list(const QhLink *a, const QhLink *b, int max_degree)
{
	for (int i = 0; i < max_degree; i++)
	{
		if (a[i] != b[i])
			return false;
		if (a[i] == QH_INVALID_NODE)
			break;
	}
	return true;
}

static bool
same_row(const QhRowData *a, const QhRowData *b)
{
	return a->flags == b->flags && (a->flags == QH_ROW_NONE || memcmp(a->w, b->w, sizeof(a->w)) == 0);
}

/* Does a slot hold these links, or this posting list? */
static bool
holds(QhRelStore *rs, QhNode node, QhSlotState state, const uint8 *slot, const QhLink *links)
{
	QhLink		now[2 * QH_MAX_M];

	if (state == QH_SLOT_POSTING)
		return memcmp(slot, links, qh_link_nbytes(&rs->ix->geo, node)) == 0;
	return copy_slot(rs, node, state, slot, now) && same_list(now, links, rs->store.max_degree);
}

/*
 * A slot is not in the state that it was read in.  Nobody but who reserved it changes a RESERVED slot, and a row slot names a
 * row while its node is LIVE and no longer (is_named: it still does, and has not changed): that is damage, which looking again does not mend.
 */
static void
check_state(QhRelStore *rs, const QhSlotChange *change, BlockNumber blkno, bool is_named)
{
	if (change->old_state == QH_SLOT_RESERVED)
		qh_report_corrupt(rs->index, blkno, "a free slot is in use");
	if (change->old_state == QH_SLOT_LIVE && is_named)
		qh_report_corrupt(rs->index, blkno, "row pointer of a slot that is not a live node");
}

/* Is the slot of a change as it was read? */
static bool
slot_as_read(QhRelStore *rs, const LockedPages *locked, const QhSlotChange *change, const QhRowChange *row)
{
	QhSlotAddress addr;
	QhArray		array = qh_link_array(&rs->ix->geo, change->node);
	Page		page = page_of(rs, locked, array, change->node, &addr);

	if (slot_states(rs, array, page)[addr.index] != change->old_state)
	{
		check_state(rs, change, addr.blkno,
					row != NULL && row->node == change->node && row->old_row.flags != QH_ROW_NONE);
		return false;
	}
	return change->old_links == NULL ||
		holds(rs, change->node, change->old_state, (uint8 *) page + addr.offset, change->old_links);
}

/* Is the row slot as it was read?  That of a slot that is about to become a node has no row, or the slot is damaged. */
static bool
row_as_read(QhRelStore *rs, const LockedPages *locked, const QhSlotChange *changes, int nchanges, const QhRowChange *row)
{
	QhSlotAddress addr;
	QhRowData	now;

	memcpy(&now, page_of(rs, locked, QH_ARRAY_ROW, row->node, &addr) + addr.offset, sizeof(now));
	if (same_row(&now, &row->old_row))
		return true;
	for (int i = 0; i < nchanges; i++)
	{
		if (changes[i].node == row->node && changes[i].old_state == QH_SLOT_RESERVED)
			qh_report_corrupt(rs->index, addr.blkno, "a free slot is in use");
	}
	return false;
}

/*
 * Is everything as it was read?  Compared is what a reader sees and not the bytes, so that where this says no, reading again gives
 * something else: whoever tries until it says yes comes to an end, on damaged pages too.
 */
static bool
as_read(QhRelStore *rs, const LockedPages *locked, const QhSlotChange *changes, int nchanges, const QhRowChange *row)
{
	if (row != NULL && !row_as_read(rs, locked, changes, nchanges, row))
		return false;
	for (int i = 0; i < nchanges; i++)
	{
		if (!slot_as_read(rs, locked, &changes[i], row))
			return false;
	}
	return true;
}

/*
 * What the slot of a change is to hold: packed into scratch where links are packed there.  *content is NULL for what is there.
 * False where the links do not fit, which means nothing as long as what they were made from may be out of date.
 */
static bool
slot_content(QhRelStore *rs, const QhSlotChange *change, uint8 *scratch, const void **content)
{
	int			n = 0;

	*content = change->new_links;
	if (change->new_links == NULL || !is_packed(rs, change->node, change->new_state))
		return true;
	*content = scratch;
	while (n < rs->store.max_degree && change->new_links[n] != QH_INVALID_NODE)
		n++;
	return qh_pack_links(change->node, change->new_links, n, scratch, qh_link_nbytes(&rs->ix->geo, change->node));
}

/* Write what was found to be due, as one record. */
static void
write_changes(QhRelStore *rs, LockedPages *locked, const QhSlotChange *changes, const void *const *contents, int nchanges, const QhRowChange *row)
{
	GenericXLogState *xlog = GenericXLogStart(rs->index);
	QhSlotAddress addr;
	Page		page;

	for (int i = 0; i < locked->n; i++)
		locked->pages[i] = GenericXLogRegisterBuffer(xlog, locked->bufs[i], 0);
	if (row != NULL)
	{
		page = page_of(rs, locked, QH_ARRAY_ROW, row->node, &addr);
		memcpy(page + addr.offset, &row->new_row, sizeof(QhRowData));
	}
	for (int i = 0; i < nchanges; i++)
	{
		QhArray		array = qh_link_array(&rs->ix->geo, changes[i].node);

		page = page_of(rs, locked, array, changes[i].node, &addr);
		slot_states(rs, array, page)[addr.index] = changes[i].new_state;
		if (contents[i] != NULL)
			memcpy(page + addr.offset, contents[i], qh_link_nbytes(&rs->ix->geo, changes[i].node));
	}
	GenericXLogFinish(xlog);
}

bool
qh_apply(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row)
{
	LockedPages locked = {0};
	uint8		packed[QH_MAX_SLOT_CHANGES][QH_LINK_NBYTES(QH_MAX_M)];
	const void *contents[QH_MAX_SLOT_CHANGES];
	int			misfit = -1;
	bool		due;

	Assert(nchanges <= QH_MAX_SLOT_CHANGES);
	for (int i = 0; i < nchanges; i++)
	{
		if (!slot_content(rs, &changes[i], packed[i], &contents[i]))
			misfit = i;
	}
	lock_pages(rs, changes, nchanges, row, &locked);
	due = as_read(rs, &locked, changes, nchanges, row);
	if (due && misfit >= 0)
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, changes[misfit].node).blkno,
						  "links do not fit their slot");
	if (due)
		write_changes(rs, &locked, changes, contents, nchanges, row);
	unlock_pages(&locked);
	return due;
}
