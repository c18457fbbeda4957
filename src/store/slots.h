/*
 * slots.h
 *		Free slots: taking one, formatting pages of slots, and telling the free space map about them.
 *
 * README.md, section "Space".
 */
#ifndef QH_SLOTS_H
#define QH_SLOTS_H

#include "store/relstore.h"

/*
 * Take a free slot, extending the index if there is none, and write its codes (NULL for a
 * posting slot).  Its state becomes RESERVED.  The caller holds no content lock.
 */
extern QhNode qh_slot_reserve(QhRelStore *rs, const QhCode *code);

/* Format the page of a block of the groups, WAL-logged.  The caller holds its exclusive lock. */
extern void qh_format_block(Relation index, const QhGeometry *geo, BlockNumber blkno, Buffer buf);

/* This link page has a free slot. */
extern void qh_slots_record_free(Relation index, BlockNumber link_blkno);

/* VACUUM: tell the free space map of all link pages of nslots slots that have a free one.  After that there is a map. */
extern void qh_slots_record_all_free(QhRelStore *rs, uint32 nslots);

#endif							/* QH_SLOTS_H */
