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

/* ---- settle.c ---- */

/* The first row of an index whose dimension nothing said decides it; does nothing where somebody else was faster. */
extern void qh_settle_ndims(Relation index, uint32 ndims);
/*
 * Make an index whose rows have decided its dimension empty again, if none of them is left that any snapshot could see and nobody else uses
 * the index.  Returns whether it did, or somebody else: then it must be acquired anew.
 */
extern bool qh_unsettle_ndims(Relation index, Relation heap, QhIndex *ix);

/* ---- vacuum.c ---- */

extern IndexBulkDeleteResult *qhnswbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											  IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *qhnswvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* ---- truncate.c ---- */

/* Vacuum has been over the index: if its end is free, give that back when the transaction commits. */
extern void qh_truncate_at_commit(QhRelStore *rs);
/* Look at three pages of the last sixteenth: are they free, as if a vacuum before had not got the lock? */
extern bool qh_seems_too_long(Relation index);

/* ---- validate.c ---- */

extern bool qhnswvalidate(Oid opclassoid);

#endif							/* QH_AM_H */
