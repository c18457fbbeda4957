/*
 * am.h
 *		The index access method qhnsw: what its files share.
 *
 * Floor 7.  See README.md in this folder.
 */
#ifndef QH_AM_H
#define QH_AM_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "column/column.h"
#include "column/options.h"
#include "nodes/execnodes.h"
#include "store/codes.h"
#include "store/links.h"
#include "store/memory.h"
#include "store/rows.h"
#include "store/slot_change.h"
#include "store/slot_pin.h"
#include "store/slots.h"
#include "utils/rel.h"

/* ---- insert.c ---- */

extern bool qhnswinsert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid,
						Relation heap, IndexUniqueCheck check_unique, bool index_unchanged,
						IndexInfo *info);

/*
 * Heavyweight lock of block 0: shared by an insert while it holds node ids, taken
 * exclusively for an instant by vacuum to know that all of those are gone.
 */
#define QH_INSERT_LOCK_BLKNO	QH_META_BLKNO

/* ---- learn.c ---- */

/*
 * Note a row that got a node of its own with this code, and from time to time learn centres from
 * such rows and add them to the index, for rows to come.  The caller holds no lock of block 0.
 */
extern void qh_learn(Relation index, QhIndex *ix, const QhValue *value, const QhCode *code);

/* ---- settle.c ---- */

/*
 * Write the dimension of an index that has none: that of its first row.  Does nothing if it has
 * one by now.
 */
extern void qh_settle_ndims(Relation index, uint32 ndims);
/*
 * Make an index whose rows have decided its dimension empty again, if no row is left that any
 * snapshot could see, and no other process uses the index.  True if it was, or has changed
 * otherwise: then it must be acquired anew.
 */
extern bool qh_unsettle_ndims(Relation index, Relation heap, QhIndex *ix);

/* ---- vacuum.c ---- */

extern IndexBulkDeleteResult *qhnswbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											  IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *qhnswvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* ---- truncate.c ---- */

/* After vacuum: if the end of the index is free, truncate it when the transaction commits. */
extern void qh_truncate_at_commit(QhRelStore *rs);
/*
 * Are three pages of the last sixteenth free, as if an earlier vacuum had not got the lock to
 * truncate?
 */
extern bool qh_seems_too_long(Relation index);

/* ---- validate.c ---- */

extern bool qhnswvalidate(Oid opclassoid);

#endif							/* QH_AM_H */
