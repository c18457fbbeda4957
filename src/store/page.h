/*
 * page.h
 *		Pages of a qhnsw index: initialise, read, check, and the metapage.
 *
 * Every page that comes from disk passes qh_page_check() before a byte of it is used; a reader
 * that locks it again calls qh_page_is() at least.
 */
#ifndef QH_PAGE_H
#define QH_PAGE_H

#include "compat.h"
#include "store/format.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* Format an empty page.  The whole of it counts as in use, so that WAL keeps every byte. */
extern void qh_page_init(Page page, QhPageKind kind, uint32 group);

/* Kind of the pages an array is made of. */
extern QhPageKind qh_array_page_kind(int array);

/*
 * Raise an error (errcode index_corrupted) unless page is of this kind and group.  The
 * caller has a pin; no lock is needed, for neither ever changes.
 */
extern void qh_page_check(Relation index, BlockNumber blkno, Page page, QhPageKind kind, uint32 group);

/* The same, but tells: NULL for a sound page, else what is wrong with it. */
extern const char *qh_page_fault(Page page, QhPageKind kind, uint32 group);

/*
 * Does the end of the page name this kind and group?  Enough for a reader of a page that was
 * checked before: all offsets come from the geometry, and the header, which nobody reads, would
 * be another cache line to wait for.
 */
static inline bool
qh_page_is(Page page, QhPageKind kind, uint32 group)
{
	const QhPageOpaqueData *opaque = (const QhPageOpaqueData *) (page + BLCKSZ - MAXALIGN(sizeof(QhPageOpaqueData)));

	return opaque->page_id == QH_PAGE_ID && opaque->kind == kind && opaque->group == group;
}

/* Report a fault found on a page; does not return. */
pg_noreturn extern void qh_report_corrupt(Relation index, BlockNumber blkno, const char *what);

/* Read, lock (BUFFER_LOCK_SHARE or _EXCLUSIVE) and check a page. */
extern Buffer qh_page_read(Relation index, ForkNumber fork, BlockNumber blkno, QhPageKind kind,
						   uint32 group, int lockmode);

/*
 * Number of entry points on the entry page, judged: what says more than there is room for is
 * damage.
 */
extern uint32 qh_entry_count(Relation index, Page page);

/* Copy of the metapage, checked: an error with a hint to REINDEX where magic or version differ. */
extern void qh_meta_read(Relation index, QhMetaData *meta);

/* The same checks on a metapage already read. */
extern void qh_meta_check(Relation index, Page page);

#endif							/* QH_PAGE_H */
