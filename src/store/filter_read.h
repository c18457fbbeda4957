/*
 * filter_read.h
 *		Records of rows, read from the pages of an index.
 *
 * README.md, section "Records".  A row's record is certain where it is read together with its row
 * pointer (row_read.h); what is read here may be a moment older or newer.  If it says no of the
 * only row of a node, no row of the node that the scan's snapshot sees passes.
 */
#ifndef QH_FILTER_READ_H
#define QH_FILTER_READ_H

#include "store/filter.h"
#include "store/relstore.h"

/* Layout of the index's records; record_nbytes = 0 where it has none. */
static inline const QhFilterLayout *
qh_record_layout(const QhRelStore *rs)
{
	return &rs->ix->geo.filter;
}

/*
 * What the FILTER slot of a node says, and its record where that is the node's only one.  The
 * caller holds no lock.
 */
extern QhRecordState qh_read_filter_record(QhRelStore *rs, QhNode node, uint8 *record);

/*
 * The same under a short share lock of the page; the caller holds the lock of the node's row page,
 * so that record and row belong together.
 */
extern QhRecordState qh_read_row_record(QhRelStore *rs, QhNode node, uint8 *record);

/* Prefetch what reading these nodes' FILTER slots will touch. */
extern void qh_prefetch_filters(QhRelStore *rs, const QhNode *nodes, int n);

/* All pages of FILTER slots in the order of nodes, one at a time. */
typedef struct QhFilterSweep
{
	QhRelStore *rs;
	QhNode		next;			/* first node of the page that comes next */
	QhNode		ahead;			/* of the page that is asked for next, from disk */
	uint32		nslots;			/* of the index, when the sweep began */
	Buffer		buf;			/* of the page at hand, locked; InvalidBuffer = none */
	BufferAccessStrategy strategy;
} QhFilterSweep;

extern void qh_filter_sweep_begin(QhFilterSweep *sweep, QhRelStore *rs);

/*
 * The next page, or false at the end.  It may be read in place until the next call: the page is
 * share-locked, so no other lock is to be taken, and nothing done that takes long.
 * Where nothing was ever written, nslots is 0.
 */
extern bool qh_filter_sweep_next(QhFilterSweep *sweep, QhFilterPage *page);

/* Give the page at hand back before the next call. */
extern void qh_filter_sweep_release(QhFilterSweep *sweep);

/* Also before the end is reached. */
extern void qh_filter_sweep_end(QhFilterSweep *sweep);

#endif							/* QH_FILTER_READ_H */
