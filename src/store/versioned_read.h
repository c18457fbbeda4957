/*
 * versioned_read.h
 *		Reading pages in shared buffers without a pin, and without pin and lock.
 *
 * Why that is safe, and what it may get wrong: UNPINNED.md.
 */
#ifndef QH_VERSIONED_READ_H
#define QH_VERSIONED_READ_H

#include "storage/buf_internals.h"
#include "store/relstore.h"

/*
 * Stands for the slot of a node that is gone or must not be read: zeros, which score finite as
 * any code.
 */
extern const uint8 qh_no_slot[QH_PAGE_NBYTES];

/* The setting qhnsw.optimistic_read. */
extern bool qh_optimistic_read;

/*
 * Has a buffer the highest usage count?  If not, it should be pinned by ReadBuffer():
 * ReadRecentBuffer() does not raise the count, and pages reached only by it are evicted as if
 * never used.  A wrong buffer does no harm.
 */
extern bool qh_usage_is_full(Buffer buf);

/*
 * Wait until the page is complete in its buffer, which is pinned: on a standby replay may still
 * be filling it (UNPINNED.md, "Standby").  What is read after that, while the pin is held, is
 * the page.
 */
extern void qh_await_page(Buffer buf);

/*
 * Score n slots where they lie.  Positions of those that need a pin, or whose page may not have
 * been there all the time, go to rest in any order, and their dist means nothing.  Returns how
 * many those are.  Changes places.  Takes no pin and no lock.
 */
extern int qh_score_unpinned(QhRelStore *rs, const QvQuery *query, QhPlaces *places, int n, float *dist, int *rest);

/* A page that is read without a pin. */
typedef struct QhUnpinnedRead
{
	BufferDesc *desc;
	BufferTag	tag;			/* that the buffer must have */
} QhUnpinnedRead;

/*
 * Where the page is, if it may be read without a pin now, or NULL.  What is read of it means
 * something only if qh_unpinned_read_end() says that it was there all the time.  Takes no pin
 * and no lock.
 */
extern const char *qh_unpinned_read_begin(const QhIndex *ix, Relation index, BlockNumber blkno,
										  QhUnpinnedRead *unpinned);
extern bool qh_unpinned_read_end(QhUnpinnedRead *unpinned);

/* A page that others may change, read without pin and lock. */
typedef struct QhVersionedRead
{
	QhUnpinnedRead unpinned;
	const char *page;
	XLogRecPtr	lsn;			/* of its last change */
} QhVersionedRead;

/*
 * The same of a page that others may change: what is read means something only if
 * qh_versioned_read_end() is true, and is then what a share lock would have shown, but for the
 * case of two reads from disk in UNPINNED.md: a caller that finds it wrong reads it again under
 * the lock.  NULL also where the page's lock is held, or changes of the index are not logged.
 */
extern const char *qh_versioned_read_begin(QhRelStore *rs, BlockNumber blkno, QhVersionedRead *versioned);
extern bool qh_versioned_read_end(QhVersionedRead *versioned);

#endif							/* QH_VERSIONED_READ_H */
