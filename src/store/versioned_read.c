/*
 * versioned_read.c
 *		Reading pages in shared buffers without a pin, and without pin and lock.
 *
 * A pin is two atomic operations on a buffer descriptor, more than scoring a code costs.  Here
 * the descriptor is only read, before and after: if it says both times that the buffer holds
 * the page, valid, then the page was read.  A wrong answer costs a search a detour and nothing
 * else, so this must not be used for anything that is returned or followed unchecked.  Reads of
 * pages that change are versioned besides, so that they see one moment.  See UNPINNED.md.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "compat.h"
#include "storage/buf_internals.h"
#include "store/versioned_read.h"

bool		qh_optimistic_read = true;

const uint8 qh_no_slot[QH_PAGE_NBYTES] = {0};

StaticAssertDecl(sizeof(BufferTag) == offsetof(BufferTag, blockNum) + sizeof(BlockNumber) &&
				 offsetof(BufferTag, blockNum) == 4 * sizeof(uint32),
				 "of a buffer's tag all but the block stand before it, without gaps");

bool
qh_usage_is_full(Buffer buf)
{
	if (BufferIsLocal(buf))
		return true;			/* nobody else wants its place */
	return BUF_STATE_GET_USAGECOUNT(qh_buffer_state(GetBufferDescriptor(buf - 1))) >= BM_MAX_USAGE_COUNT;
}

/* The bits of a buffer's state that say whether its page is there, and how much it is used. */
#define BUFFER_THERE		(BM_VALID | BM_LOCKED)
#define BUFFER_USED			(BUFFER_THERE | BUF_USAGECOUNT_MASK)

/*
 * Does the buffer hold the block, and is its state under mask the one wanted?  The block of tag
 * is ignored.  The tag is read first: it changes only under the header's lock, which also makes
 * the buffer invalid, so a state read behind the barrier says whether the page of this tag is
 * there, or still on its way in.
 */
static inline bool
is_held(const BufferTag *tag, BufferDesc *desc, BlockNumber blkno, uint64 mask, uint64 wanted)
{
	/* the fields one by one would be four branches */
	if (memcmp(&desc->tag, tag, offsetof(BufferTag, blockNum)) != 0 || desc->tag.blockNum != blkno)
		return false;
	pg_read_barrier();
	return (qh_buffer_state(desc) & mask) == wanted;
}

/* Is the page in the buffer? */
static inline bool
is_there(const BufferTag *tag, BufferDesc *desc, BlockNumber blkno)
{
	return is_held(tag, desc, blkno, BUFFER_THERE, BM_VALID);
}

/*
 * May the page be read there without a pin?  Only where the buffer's usage count is as high as
 * a pin could raise it, so that the clock sweep finds the same counts as if all had been
 * pinned.
 */
static inline bool
may_read_unpinned(const BufferTag *tag, BufferDesc *desc, BlockNumber blkno)
{
	return is_held(tag, desc, blkno, BUFFER_USED, BM_VALID | BM_MAX_USAGE_COUNT * BUF_USAGECOUNT_ONE);
}

/* The state of a content lock that nobody holds or waits for. */
static inline uint32
free_lock_state(void)
{
	static bool known = false;
	static uint32 state;

	if (unlikely(!known))
	{
		LWLock		lock;

		LWLockInitialize(&lock, LWTRANCHE_FIRST_USER_DEFINED);
		state = pg_atomic_read_u32(&lock.state);
		known = true;
	}
	return state;
}

/* Does nobody hold the content lock of the buffer, or wait for it? */
static inline bool
is_unlocked(BufferDesc *desc)
{
	return qh_content_lock_is_free(desc, free_lock_state());
}

/*
 * Is a page complete in a buffer that was seen to be valid?  Replay makes the buffer valid
 * before that, but holds the lock until it is.
 */
static inline bool
is_in(BufferDesc *desc)
{
	pg_read_barrier();
	return is_unlocked(desc);
}

/*
 * Pinning is a barrier: a page that replay began to fill before the pin is locked until it is
 * complete.
 */
void
qh_await_page(Buffer buf)
{
	if (BufferIsLocal(buf) || is_unlocked(GetBufferDescriptor(buf - 1)))
	{
		pg_read_barrier();
		return;
	}
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	LockBuffer(buf, BUFFER_LOCK_UNLOCK);
}

/* Add to rest the places whose page replay may still be filling.  Returns how many are in rest. */
static int
leave_out_locked(QhPlaces *places, int n, int *rest, int nrest)
{
	for (int i = 0; i < n; i++)
	{
		if (places->desc[i] == NULL || is_in(places->desc[i]))
			continue;
		places->desc[i] = NULL;
		places->slot[i] = qh_no_slot;
		rest[nrest++] = i;
	}
	return nrest;
}

int
qh_score_unpinned(QhRelStore *rs, const QvQuery *query, QhPlaces *places, int n, float *dist, int *rest)
{
	BufferTag	tag;
	int			nrest = 0;

	Assert(n <= QH_UNPINNED_MAX);
	qh_buffer_tag_init(&tag, qh_locator(rs->index), MAIN_FORKNUM, InvalidBlockNumber);
	for (int i = 0; i < n; i++)
	{
		BufferDesc *desc = places->desc[i];

		if (likely(desc != NULL) && likely(may_read_unpinned(&tag, desc, places->blkno[i])))
			continue;
		places->desc[i] = NULL;
		places->slot[i] = qh_no_slot;
		rest[nrest++] = i;
	}
	if (unlikely(rs->in_recovery))
		nrest = leave_out_locked(places, n, rest, nrest);

	/* nothing of the codes may be read before the first look, or after the second */
	pg_read_barrier();
	qv_query_score(query, places->slot, n, dist);
	pg_read_barrier();

	for (int i = 0; i < n; i++)
	{
		if (likely(places->desc[i] != NULL) &&
			unlikely(!is_there(&tag, places->desc[i], places->blkno[i])))
			rest[nrest++] = i;
	}
	Assert(nrest <= n);
	return nrest;
}

/*
 * Where the page is, if it may be read without a pin; on a standby replay may still be filling
 * it.
 */
static inline const char *
begin_unpinned_read(const QhIndex *ix, Relation index, BlockNumber blkno, QhUnpinnedRead *unpinned)
{
	Buffer		buf = ix->recent[blkno];

	if (buf <= InvalidBuffer)
		return NULL;			/* unknown, or a temporary index in local memory */
	unpinned->desc = GetBufferDescriptor(buf - 1);
	qh_buffer_tag_init(&unpinned->tag, qh_locator(index), MAIN_FORKNUM, blkno);
	if (!may_read_unpinned(&unpinned->tag, unpinned->desc, blkno))
		return NULL;
	pg_read_barrier();
	return (const char *) BufferGetBlock(buf);
}

const char *
qh_unpinned_read_begin(const QhIndex *ix, Relation index, BlockNumber blkno, QhUnpinnedRead *unpinned)
{
	const char *page = begin_unpinned_read(ix, index, blkno, unpinned);

	if (page != NULL && RecoveryInProgress() && !is_in(unpinned->desc))
		return NULL;
	pg_read_barrier();
	return page;
}

bool
qh_unpinned_read_end(QhUnpinnedRead *unpinned)
{
	pg_read_barrier();
	return is_there(&unpinned->tag, unpinned->desc, unpinned->tag.blockNum);
}

const char *
qh_versioned_read_begin(QhRelStore *rs, BlockNumber blkno, QhVersionedRead *versioned)
{
	if (!RelationNeedsWAL(rs->index))
		return NULL;			/* its pages do not say that they were changed */
	versioned->page = begin_unpinned_read(rs->ix, rs->index, blkno, &versioned->unpinned);
	if (versioned->page == NULL)
		return NULL;

	/*
	 * In this order: if the lock were read first, the LSN could be that of a change whose bytes are
	 * not visible yet.
	 */
	versioned->lsn = PageGetLSN((Page) versioned->page);
	pg_read_barrier();
	if (!is_unlocked(versioned->unpinned.desc))
		return NULL;
	pg_read_barrier();
	return versioned->page;
}

/*
 * A writer locks the page, changes it, sets its LSN and unlocks it.  With the lock free before
 * and after, a change that was not over before began and ended in between, and its LSN is
 * visible behind the barrier.
 */
bool
qh_versioned_read_end(QhVersionedRead *versioned)
{
	pg_read_barrier();
	if (!is_unlocked(versioned->unpinned.desc))
		return false;
	pg_read_barrier();
	return PageGetLSN((Page) versioned->page) == versioned->lsn && qh_unpinned_read_end(&versioned->unpinned);
}
