/*
 * heap_prefetch.h
 *		Prefetching rows of the table before they are fetched one by one.
 *
 * README.md, section "Rows of the table".
 */
#ifndef QH_HEAP_PREFETCH_H
#define QH_HEAP_PREFETCH_H

#include "access/relscan.h"
#include "storage/itemptr.h"
#include "store/relstore.h"

/* Rows prefetched at once, at most. */
#define QH_HEAP_PREFETCH_MAX	64

/* Has the table such a block?  Looks again where it had fewer when it was looked at last. */
extern bool qh_table_has_block(QhIndex *ix, Relation heap, BlockNumber blkno);

/*
 * Prefetch what fetching these rows, at most QH_HEAP_PREFETCH_MAX, will touch, and read ahead
 * pages that are not in shared buffers.  Takes no pin; any row pointers will do.
 */
extern void qh_heap_prefetch(QhRelStore *rs, Relation heap, const ItemPointerData *tids, int n);

/*
 * Pin the page of the row that is fetched next in its recent buffer, and put it into the fetch,
 * which saves a look-up in the buffer table.  Does nothing where the table is no heap, the page
 * is not there, or its usage count is low: then the fetch looks it up.  The block must be one
 * of the table's.
 */
extern void qh_heap_pin(QhRelStore *rs, IndexFetchTableData *fetch, BlockNumber blkno);

#endif							/* QH_HEAP_PREFETCH_H */
