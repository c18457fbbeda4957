/*
 * postings.c
 *		The row pointers of a node that has several, read a part at a time.
 *
 * A chain of posting slots may be long: millions of rows may have one code.  Between two parts
 * no lock is held, so others may add slots in front, and take out slots that have become empty.
 * Relies on what they may do, and must not know who does it.  See CHAINS.md.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "store/links.h"
#include "store/memory.h"
#include "store/postings.h"
#include "store/slot_pin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Posting slots read under one lock: 320 row pointers at m = 16.  Chosen by hand. */
#define SLOTS_A_PART	16

/* Slots passed over under one lock, of those that were read already; chosen by hand. */
#define SLOTS_PASSED	1024

/* Posting slots that were read: the elements of a hash table. */
typedef struct SeenSlot
{
	QhNode		node;
	uint32		status;			/* the hash table's */
} SeenSlot;

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenSlot
#define SH_KEY_TYPE QhNode
#define SH_KEY node
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

void
qh_list_add(QhRowList *list, const void *tids, int ntids, const uint8 *records, uint32 record_nbytes)
{
	if (list->ntids + ntids > list->max)
	{
		int			max = Max(64, 2 * (list->ntids + ntids));

		list->tids = qh_alloc_more(list->cxt, list->tids, sizeof(ItemPointerData) * (Size) max);
		if (record_nbytes > 0)
			list->records = qh_alloc_more(list->cxt, list->records, record_nbytes * (Size) max);
		list->max = max;
	}
	memcpy(list->tids + list->ntids, tids, sizeof(ItemPointerData) * ntids);
	if (record_nbytes > 0)
		memcpy(list->records + list->ntids * (Size) record_nbytes, records, ntids * (Size) record_nbytes);
	list->ntids += ntids;
}

/*
 * Read the next posting slot of the chain; an error if it is none.  Reading continues behind
 * it.
 */
static void
read_posting(QhRelStore *rs, QhChain *chain, QhNode node)
{
	BlockNumber blkno;

	if (!qh_relstore_in_range(rs, node))
		qh_report_corrupt(rs->index, QH_META_BLKNO, "a row pointer list leads past the end");
	blkno = qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, node).blkno;
	if (qh_read_slot_at(rs, node, chain->content, &chain->lsn) != QH_SLOT_POSTING ||
		((QhPosting) chain->content)->ntids > qh_node_posting_max(&rs->ix->geo, node))
		qh_report_corrupt(rs->index, blkno, "row pointer list is broken");
	if (++chain->nsteps > rs->ix->nslots)
		qh_report_corrupt(rs->index, blkno, "row pointer list has no end");
	chain->slot = node;
}

/*
 * Is the slot that was read last still in the chain?  Taking it out, or another that it leads
 * to, changes the LSN of its page.  Pages that are not logged have none: there the slot must
 * hold what it held.
 */
static bool
is_in_chain(QhRelStore *rs, const QhChain *chain)
{
	QhLink		now[2 * QH_MAX_M];
	XLogRecPtr	lsn;
	QhSlotState state = qh_read_slot_at(rs, chain->slot, now, &lsn);

	if (RelationNeedsWAL(rs->index))
		return lsn == chain->lsn;
	return state == QH_SLOT_POSTING && memcmp(now, chain->content, qh_link_nbytes(&rs->ix->geo, chain->slot)) == 0;
}

/* Note that the slot read last was; false if it had been before. */
static bool
first_time(QhRowList *list)
{
	bool		found;

	if (list->chain.seen == NULL && ((QhPosting) list->chain.content)->next == QH_INVALID_NODE)
		return true;			/* the only one, in most lists */
	if (list->chain.seen == NULL)
		list->chain.seen = seen_create(list->cxt, 2 * SLOTS_A_PART, NULL);
	(void) seen_insert(list->chain.seen, list->chain.slot, &found);
	return !found;
}

/* Read the chain from this slot on: a part of it. */
static void
read_part(QhRelStore *rs, QhRowList *list, QhNode node)
{
	QhChain    *chain = &list->chain;
	QhPosting	posting = (QhPosting) chain->content;
	uint32		record_nbytes = rs->ix->geo.filter.record_nbytes;
	uint64		npassed = 0;

	for (int n = 0; node != QH_INVALID_NODE && n < SLOTS_A_PART && npassed < chain->max_passed;
		 node = posting->next)
	{
		read_posting(rs, chain, node);
		if (!first_time(list))
		{
			npassed++;
			continue;
		}
		qh_list_add(list, posting->tids, posting->ntids,
					qh_posting_record(posting, qh_posting_nbytes(&rs->ix->geo, node), record_nbytes, 0), record_nbytes);
		n++;
		chain->max_passed = SLOTS_PASSED;
	}
	if (node == QH_INVALID_NODE)
		qh_chain_end(list);
}

void
qh_chain_begin(QhRelStore *rs, QhRowList *list, QhNode head)
{
	QhChain    *chain = &list->chain;

	if (chain->content == NULL)
		chain->content = MemoryContextAlloc(list->cxt, sizeof(QhLink) * 2 * QH_MAX_M);
	chain->nsteps = 0;
	chain->max_passed = SLOTS_PASSED;
	chain->more = true;
	read_part(rs, list, head);
}

void
qh_chain_go_on(QhRelStore *rs, QhRowList *list, QhNode head)
{
	QhChain    *chain = &list->chain;

	if (is_in_chain(rs, chain))
	{
		read_part(rs, list, ((QhPosting) chain->content)->next);
		return;
	}
	/*
	 * From its beginning, skipping what was read; farther each time, so that this ends though others
	 * change the chain.
	 */
	chain->nsteps = 0;
	chain->max_passed *= 2;
	read_part(rs, list, head);
}

void
qh_chain_end(QhRowList *list)
{
	list->chain.more = false;
	if (list->chain.seen != NULL)
		seen_destroy(list->chain.seen);
	list->chain.seen = NULL;
}
