/*
 * slot_pin.h
 *		Slots of the arrays: pinning and locking the page that holds one, and prefetching it.
 *
 * README.md, section "Reading".
 */
#ifndef QH_SLOT_PIN_H
#define QH_SLOT_PIN_H

#include "kernel/kernel.h"
#include "store/relstore.h"

/* Of a longer slot no more is prefetched: the processor's own prefetcher brings the rest. */
#define QH_MAX_PREFETCH_NBYTES 256

/* Look at the index's size again: is there room for the node now? */
extern bool qh_relstore_grown_to(QhRelStore *rs, QhNode node);

/* Is there room for the node?  Looks again if it is past what was known. */
static inline bool
qh_relstore_in_range(QhRelStore *rs, QhNode node)
{
	return likely(node < rs->ix->nslots) || qh_relstore_grown_to(rs, node);
}

/*
 * Pin the page that holds a slot of an array.  The first time this backend meets the page it is
 * checked, under a share lock that is given back.  After that only the tag of its recent buffer
 * is compared, unless the buffer's usage count has to be raised.  Returns InvalidBuffer for a
 * page that was never written (the relation was extended just before a crash).  The caller may
 * hold locks that come before the page's in the lock order, and no others.
 */
extern Buffer qh_pin_slot(QhRelStore *rs, QhArray array, QhNode node, QhSlotAddress *addr);

/*
 * The same with a content lock, which is kept.  A page that is locked to be changed is checked
 * in full each time, one that is only read as far as a reader relies on it.
 */
extern Buffer qh_lock_slot(QhRelStore *rs, QhArray array, QhNode node, int lockmode, QhSlotAddress *addr);

/*
 * A page of an array, whose group a node belongs to, was read into a buffer and is pinned:
 * check it if it is not in its recent buffer, and remember the buffer.  InvalidBuffer if the
 * page was never written; then it is released.
 */
extern Buffer qh_remember_page(QhRelStore *rs, QhArray array, QhNode node, BlockNumber blkno, Buffer buf);

/* States of the slots of a page of links or hubs, a byte a slot. */
static inline uint8 *
qh_slot_states(QhRelStore *rs, QhArray array, Page page)
{
	return (uint8 *) page + rs->ix->geo.state_offset[array];
}

/*
 * Prefetch the cache lines of a slot, of which nbytes will be read; the last twice where slots
 * begin on a line.
 */
static inline void
qh_prefetch_slot(const char *slot, uint32 nbytes)
{
	for (uint32 at = 0; at < nbytes; at += 64)
		qv_prefetch(slot + at);
	qv_prefetch(slot + nbytes - 1);
}

/*
 * Prefetch what locking a page and checking it will touch.  Returns where the page is, or NULL
 * if that is not known.  The recent buffer may hold another page by now; prefetching from a
 * wrong buffer does no harm.
 */
static inline const char *
qh_prefetch_page(const QhIndex *ix, BlockNumber blkno)
{
	Buffer		buf = ix->recent[blkno];
	const char *page;

	if (buf <= InvalidBuffer)
		return NULL;			/* unknown, or a temporary index in local memory */
	page = (const char *) BufferGetBlock(buf);
	qv_prefetch(GetBufferDescriptor(buf - 1));
	qv_prefetch(page + BLCKSZ - 1);
	return page;
}

#endif							/* QH_SLOT_PIN_H */
