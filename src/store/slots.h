/*
 * slots.h
 *		Formatting pages of slots and telling the free space map about them.
 */
#ifndef QH_SLOTS_H
#define QH_SLOTS_H

#include "store/geometry.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* Format the page of a block of the groups, WAL-logged.  The caller holds its exclusive lock. */
extern void qh_format_block(Relation index, const QhGeometry *geo, BlockNumber blkno, Buffer buf);

/* This link page has a free slot. */
extern void qh_slots_record_free(Relation index, BlockNumber link_blkno);

#endif							/* QH_SLOTS_H */
