/*
 * index_load.h
 *		Reading what a backend remembers of an index: metapage, codec, centres and entry points.
 *
 * README.md, section "What a backend remembers".
 */
#ifndef QH_INDEX_LOAD_H
#define QH_INDEX_LOAD_H

#include "store/index_cache.h"

/*
 * Read all there is to know of an index.  The caller holds ix, so that neither an invalidation
 * nor an error frees it meanwhile.  False if the index got another dimension or other centres
 * while it was being read; then it has to be read anew, into another ix.
 */
extern bool qh_index_load(QhIndex *ix, Relation index);

/*
 * Read the entry points and their codes, which a search scores first.  That is up to two
 * thousand reads, any of which may fail: until all of them are done, ix keeps the list it has,
 * with the counter that says it is out of date.  False, likewise, if it is not the entry points
 * alone that have changed.
 */
extern bool qh_index_load_entries(QhIndex *ix, Relation index);

/*
 * Have the entry points changed since they were read?  Asked by every scan: an invalidation
 * would come only when the change commits, and not at all if it does not.
 */
extern bool qh_index_entries_changed(QhIndex *ix, Relation index);

#endif							/* QH_INDEX_LOAD_H */
