/*
 * postings.h
 *		The row pointers of a node that has several, read a part at a time.
 *
 * Why no part is lost or read twice while others change the chain: CHAINS.md.
 */
#ifndef QH_POSTINGS_H
#define QH_POSTINGS_H

#include "store/row_read.h"

/* Add row pointers to those of the list, and their records, of so many bytes each. */
extern void qh_list_add(QhRowList *list, const void *tids, int ntids, const uint8 *records, uint32 record_nbytes);

/*
 * Read the first posting slots of a node, whose row slot names head as the first, or the next
 * ones.  Both add row pointers to the list, and set chain.more if there are others behind
 * those.  The caller holds the lock of the node's row page.
 */
extern void qh_chain_begin(QhRelStore *rs, QhRowList *list, QhNode head);
extern void qh_chain_go_on(QhRelStore *rs, QhRowList *list, QhNode head);

#endif							/* QH_POSTINGS_H */
