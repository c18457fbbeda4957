/*
 * heap_prefetch.c
 *		Prefetching rows of the table before they are fetched one by one.
 *
 * A row at a random place is four cache lines to wait for, each found through the one before:
 * the buffer's descriptor, the page's header, the line pointer, the row.  The rows of a LIMIT
 * are known before the first is returned, so all of them are prefetched together.  What is read
 * here without a pin may be wrong, and serves only to prefetch.  Must not know how rows are
 * fetched.  See README.md, section "Rows of the table".
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "storage/buf_internals.h"
#include "storage/bufpage.h"
#include "store/versioned_read.h"
#include "store/heap_prefetch.h"
#include "pgstat.h"
#include "utils/spccache.h"

#define CACHE_LINE_NBYTES	64

bool
qh_table_has_block(QhIndex *ix, Relation heap, BlockNumber blkno)
{
	if (likely(blkno < ix->ntable_blocks))
		return true;
	qh_index_refresh_table_size(ix, heap);
	return blkno < ix->ntable_blocks;
}

/*
 * Does the buffer hold this block of the table?  Read without a lock: it may be wrong a moment
 * later.
 */
static bool
seems_held(Relation heap, BlockNumber blkno, Buffer buf)
{
	BufferTag	tag;

	if (BufferIsLocal(buf))
		return true;
	if (buf == InvalidBuffer)
		return false;
	qh_buffer_tag_init(&tag, qh_locator(heap), MAIN_FORKNUM, blkno);
	return qh_buffer_tags_equal(&GetBufferDescriptor(buf - 1)->tag, &tag);
}

/* The recent buffer of a block of the table, or InvalidBuffer. */
static inline Buffer
recent_buffer(const QhIndex *ix, BlockNumber blkno)
{
	const QhHeapRecent *recent;

	if (unlikely(ix->nheap_recent == 0))
		return InvalidBuffer;
	recent = &ix->heap_recent[blkno & (ix->nheap_recent - 1)];
	return recent->blkno == blkno ? recent->buf : InvalidBuffer;
}

/*
 * Look up where a block of the table is, or have it read.  The table may have been truncated
 * since its size was noted.
 */
static void
look_up(QhRelStore *rs, Relation heap, BlockNumber blkno)
{
	QhIndex    *ix = rs->ix;
	PrefetchBufferResult result;

	qh_index_refresh_table_size(ix, heap);
	if (blkno >= ix->ntable_blocks)
		return;
	result = PrefetchBuffer(heap, MAIN_FORKNUM, blkno);
	if (result.initiated_io)
		rs->nahead++;
	ix->heap_recent[blkno & (ix->nheap_recent - 1)] = (QhHeapRecent) {blkno, result.recent_buffer};
}

/* Where a line pointer is, whose number may be any. */
static inline ItemId
line_pointer(Buffer buf, OffsetNumber offnum)
{
	return PageGetItemId((Page) BufferGetBlock(buf), Min(Max(offnum, FirstOffsetNumber), MaxHeapTuplesPerPage));
}

/* Where the row seems to be that a line pointer leads to: near the page in any case. */
static inline const char *
row_of(Buffer buf, OffsetNumber offnum)
{
	return (const char *) BufferGetBlock(buf) + ItemIdGetOffset(line_pointer(buf, offnum));
}

void
qh_heap_prefetch(QhRelStore *rs, Relation heap, const ItemPointerData *tids, int n)
{
	QhIndex    *ix = rs->ix;
	bool		may_read = get_tablespace_io_concurrency(heap->rd_rel->reltablespace) > 0;
	ItemPointerData known[QH_HEAP_PREFETCH_MAX];
	int			nknown = 0;

	Assert(n <= QH_HEAP_PREFETCH_MAX);
	for (int i = 0; i < n; i++)
	{
		BlockNumber blkno = ItemPointerGetBlockNumberNoCheck(&tids[i]);
		Buffer		buf;

		if (!qh_table_has_block(ix, heap, blkno))
			continue;
		known[nknown++] = tids[i];
		buf = recent_buffer(ix, blkno);
		if (buf <= InvalidBuffer)
			continue;			/* unknown, or a temporary table in local memory */
		qv_prefetch(GetBufferDescriptor(buf - 1));
		qv_prefetch(BufferGetBlock(buf));
		qv_prefetch(line_pointer(buf, ItemPointerGetOffsetNumberNoCheck(&tids[i])));
	}
	for (int i = 0; i < nknown; i++)
	{
		BlockNumber blkno = ItemPointerGetBlockNumberNoCheck(&known[i]);
		Buffer		buf = recent_buffer(ix, blkno);
		const char *row;

		if (may_read && !seems_held(heap, blkno, buf))
		{
			look_up(rs, heap, blkno);
			buf = recent_buffer(ix, blkno);
		}
		if (buf <= InvalidBuffer)
			continue;
		row = row_of(buf, ItemPointerGetOffsetNumberNoCheck(&known[i]));
		qv_prefetch(row);
		qv_prefetch(row + CACHE_LINE_NBYTES);	/* rows do not keep to lines */
	}
}

#ifdef QH_KNOW_HEAP_FETCH

/*
 * No other members are known.  One beside the buffer would not make the struct larger, so it is
 * the version that is relied on.
 */
StaticAssertDecl(offsetof(IndexFetchHeapData, xs_cbuf) == sizeof(IndexFetchTableData) &&
				 sizeof(IndexFetchHeapData) == MAXALIGN(offsetof(IndexFetchHeapData, xs_cbuf) + sizeof(Buffer)),
				 "a fetch from a heap holds one buffer");

/*
 * A fetch from a heap holds the buffer of the page it was on last, with a pin, and finds a row
 * of the same page without a look-up.  So the fetch is put on the page.  What the fetch of
 * another table access method holds is not known.
 */
void
qh_heap_pin(QhRelStore *rs, IndexFetchTableData *fetch, BlockNumber blkno)
{
	IndexFetchHeapData *of_heap = (IndexFetchHeapData *) fetch;
	Relation	heap = fetch->rel;
	Buffer		buf = recent_buffer(rs->ix, blkno);

	if (heap->rd_tableam != GetHeapamTableAmRoutine() || buf <= InvalidBuffer ||
		buf == of_heap->xs_cbuf || !qh_usage_is_full(buf) ||
		!ReadRecentBuffer(qh_locator(heap), MAIN_FORKNUM, blkno, buf))
		return;
	if (BufferIsValid(of_heap->xs_cbuf))
		ReleaseBuffer(of_heap->xs_cbuf);
	of_heap->xs_cbuf = buf;

	/* what the fetch does on a new page; ReadRecentBuffer() counts for the query, not for the table */
	pgstat_count_buffer_read(heap);
	pgstat_count_buffer_hit(heap);
	heap_page_prune_opt(heap, buf);
}

#else

/* The fetch finds its way. */
void
qh_heap_pin(QhRelStore *rs, IndexFetchTableData *fetch, BlockNumber blkno)
{
}

#endif
