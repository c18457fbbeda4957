/*
 * heap_prefetch.h
 *		Rows of the table asked for before they are fetched one by one.
 *
 * README.md, section "Rows of the table".
 */
#ifndef QH_HEAP_PREFETCH_H
#define QH_HEAP_PREFETCH_H

#include "access/relscan.h"
#include "storage/itemptr.h"
#include "store/relstore.h"

/* Rows asked for at once. */
#define QH_HEAP_PREFETCH_MAX	64

/* Has the table such a block?  Looks again where it had fewer when it was looked at last. */
extern bool qh_table_has_block(QhIndex *ix, Relation heap, BlockNumber blkno);

/*
 * Ask the processor for what fetching these rows, at most QH_HEAP_PREFETCH_MAX, will touch, and the disk for pages that are not in
 * shared buffers.  Takes no pin; any row pointers will do.
 */
extern void qh_heap_prefetch(QhRelStore *rs, Relation heap, const ItemPointerData *tids, int n);

/*
 * Pin the page of the row that is fetched next where it was seen last, which saves the fetch a look-up in the buffer table.  Does
 * nothing where the table is no heap, or the page is not there, or not used enough: the fetch finds its way.  The block must be one
 * of the table's.
 */
extern void qh_heap_pin(QhRelStore *rs, IndexFetchTableData *fetch, BlockNumber blkno);

#endif							/* QH_HEAP_PREFETCH_H */
