/*
 * recent_buffers.c
 *		Sizes of an index and its table, and room for the recent buffers of their blocks.
 *
 * Must not know who looks for a block, or notes where it is.  See README.md, section "What a
 * backend remembers".
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "store/index_cache.h"
#include "store/memory.h"
#include "utils/memutils.h"

/* Make room for the recent buffer of each of nblocks blocks. */
static void
grow_recent(QhIndex *ix, BlockNumber nblocks)
{
	BlockNumber max;

	if (nblocks <= ix->nrecent)
		return;
	max = Max(nblocks, ix->nrecent + ix->nrecent / 2);
	ix->recent = qh_alloc_more(ix->cxt, ix->recent, sizeof(Buffer) * (Size) max);
	memset(ix->recent + ix->nrecent, 0, sizeof(Buffer) * (Size) (max - ix->nrecent));
	ix->nrecent = max;
}

/* The same for blocks of the table, of which only so many are remembered. */
static void
grow_heap_recent(QhIndex *ix, BlockNumber nblocks)
{
	BlockNumber max = pg_nextpower2_32(Max(1, Min(nblocks, QH_HEAP_RECENT_MAX)));
	QhHeapRecent *grown;

	if (max <= ix->nheap_recent)
		return;
	grown = MemoryContextAlloc(ix->cxt, sizeof(QhHeapRecent) * max);
	for (BlockNumber i = 0; i < max; i++)
		grown[i] = (QhHeapRecent) {InvalidBlockNumber, InvalidBuffer};
	if (ix->heap_recent)
		pfree(ix->heap_recent);
	ix->heap_recent = grown;
	ix->nheap_recent = max;
}

/* Memory comes first: what is known of the size must not be ahead of it. */
void
qh_index_refresh_size(QhIndex *ix, Relation index)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);

	/* vacuum cut the file: what is remembered of a block behind the end may be taken for a new block */
	if (nblocks < ix->nblocks && ix->recent != NULL)
		memset(ix->recent, 0, sizeof(Buffer) * (Size) ix->nrecent);
	grow_recent(ix, nblocks);
	ix->nblocks = nblocks;
	ix->nslots = ix->meta.ndims > 0 ? qh_geometry_nslots(&ix->geo, nblocks) : 0;
}

void
qh_index_refresh_table_size(QhIndex *ix, Relation heap)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);

	grow_heap_recent(ix, nblocks);
	ix->ntable_blocks = nblocks;
}
