/*
 * readahead.h
 *		Reading pages of an index ahead from disk, so that their reads overlap.
 *
 * README.md, section "Cold reads".
 */
#ifndef QH_READAHEAD_H
#define QH_READAHEAD_H

#include "store/relstore.h"

/*
 * Ask for the pages that hold these nodes' slots of an array, where shared buffers
 * seem to lack them.  Does nothing where effective_io_concurrency is 0.  Takes no pin and no lock.
 */
extern void qh_read_ahead(QhRelStore *rs, QhArray array, const QhNode *nodes, int n);

/*
 * Is a page not in its recent buffer?  The buffer's tag is read without a lock, and only in
 * part: a wrong answer costs a needless look-up or a read that does not overlap.
 */
extern bool qh_seems_absent(QhIndex *ix, BlockNumber blkno);

/*
 * The same for blocks that nothing is known of.  Sorts blknos.  Returns how many reads it
 * began.
 */
extern int qh_read_ahead_blocks(Relation index, BlockNumber *blknos, int n);

/*
 * Where everything is in shared buffers, qh_read_ahead() would cost too much.  A scan that has
 * found every page in its recent buffer takes it that this is so.
 */
static inline void
qh_read_ahead_if_cold(QhRelStore *rs, QhArray array, const QhNode *nodes, int n)
{
	if (unlikely(rs->nmisses > 0))
		qh_read_ahead(rs, array, nodes, n);
}

#endif							/* QH_READAHEAD_H */
