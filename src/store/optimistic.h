/*
 * optimistic.h
 *		Scoring codes in shared buffers without pinning their pages.
 *
 * Why that is safe, and what it may get wrong: README.md, section "Reading without pins".
 */
#ifndef QH_OPTIMISTIC_H
#define QH_OPTIMISTIC_H

#include "storage/buf_internals.h"
#include "store/relstore.h"

/* Codes scored between the two looks at their buffers: a hop's, at m = 16. */
#define QH_UNPINNED_MAX		32

/* The setting qhnsw.optimistic_read. */
extern bool qh_optimistic_read;

/*
 * Has a buffer the highest usage count there is?  If not, it should be pinned by ReadBuffer():
 * ReadRecentBuffer() does not raise the count, and pages reached only by it are evicted as if never used.  A wrong buffer does no harm.
 */
extern bool qh_usage_is_full(Buffer buf);

/*
 * Score up to QH_UNPINNED_MAX slots where they lie.  Positions in addrs of those that need a pin (or whose block is
 * invalid), or whose page may not have been there all the time, go to rest in any order, and their dist means nothing.
 * Returns how many those are.  Takes no pin and no lock.
 */
extern int qh_score_unpinned(QhRelStore *rs, const QvQuery *query, const QhSlotAddress *addrs, int n, float *dist, int *rest);

/* A page that is read without a pin. */
typedef struct QhGlance
{
	BufferDesc *desc;
	BufferTag	tag;			/* that the buffer has to have */
} QhGlance;

/*
 * Where the page is, if it may be read without a pin now, or NULL.  What is read of it means something only if
 * qh_glance_end() says that it was there all the time.  Takes no pin and no lock.
 */
extern const char *qh_glance_begin(QhRelStore *rs, BlockNumber blkno, QhGlance *glance);
extern bool qh_glance_end(QhGlance *glance);

#endif							/* QH_OPTIMISTIC_H */
