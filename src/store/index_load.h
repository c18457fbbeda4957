/*
 * index_load.h
 *		Reading what a backend remembers of an index: metapage, codec, centroid and entry points.
 *
 * README.md, section "What a backend remembers".
 */
#ifndef QH_INDEX_LOAD_H
#define QH_INDEX_LOAD_H

#include "store/index_cache.h"

/*
 * Read all there is to know of an index.  The caller holds ix, so that neither an invalidation
 * nor an error frees it meanwhile.
 */
extern void qh_index_load(QhIndex *ix, Relation index);

/*
 * Read the entry points and their codes, which a search scores first.  That is up to two
 * thousand reads, any of which may fail: until all of them are done, ix keeps the list it has,
 * with the counter that says it is out of date.
 */
extern void qh_index_load_entries(QhIndex *ix, Relation index);

/*
 * Have the entry points changed since they were read?  Asked by every scan: an invalidation
 * would come only when the change commits, and not at all if it does not.
 */
extern bool qh_index_entries_changed(QhIndex *ix, Relation index);

/*
 * Has the index been made empty for a row of another dimension since it was read?  The counter
 * of entry points went up then, in the same record.
 */
extern bool qh_index_was_emptied(const QhIndex *ix, Relation index);

#endif							/* QH_INDEX_LOAD_H */
