/*
 * rows.h
 *		The row pointers of a node: adding one, and removing the dead.
 *
 * CHAINS.md.
 */
#ifndef QH_ROWS_H
#define QH_ROWS_H

#include "store/row_read.h"

/*
 * Add a row pointer to a live node.  False if the node is no longer live or no longer has this
 * code and this finer code.
 */
extern bool qh_row_append(QhRelStore *rs, QhNode node, const QhCode *code, const QhNewRow *new_row);

/*
 * Remove the row pointers for which dead() is true.  Returns how many stay; where none does, the
 * node has become DYING.
 */
extern int64 qh_row_vacuum(QhRelStore *rs, QhNode node, bool (*dead) (ItemPointer tid, void *arg),
						   void *arg, int64 *nremoved);

#endif							/* QH_ROWS_H */
