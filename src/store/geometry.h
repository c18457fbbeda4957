/*
 * geometry.h
 *		Where a node's slots are: arithmetic from node id to block and offset.
 *
 * See FORMAT.md, section "Groups".  Knows no buffers.
 */
#ifndef QH_GEOMETRY_H
#define QH_GEOMETRY_H

#include "graph/graph.h"
#include "store/filter.h"
#include "store/format.h"

#define QH_MAX_GROUP_PAGES	256

/*
 * A divisor of node ids, which have 31 bits: a multiplication and a shift take a tenth of the
 * time of a division. shift is 31 + ceil(log2(divisor)) and factor 2^shift / divisor, rounded
 * up, which is exact (Granlund and Montgomery 1994).
 */
typedef struct QhDivisor
{
	uint64		factor;
	uint32		shift;
} QhDivisor;

static inline uint32
qh_divide(uint32 n, QhDivisor divisor)
{
	return (uint32) (n * divisor.factor >> divisor.shift);
}

typedef struct QhGeometry
{
	BlockNumber first_blkno;	/* of group 0 */
	uint32		group_nslots;
	uint32		group_npages;
	uint32		group_nhubs;
	uint32		slot_nbytes[QH_NARRAYS];	/* 0 = this index has no such array */
	uint32		page_nslots[QH_NARRAYS];
	uint32		data_offset[QH_NARRAYS];	/* of slot 0 in a page */
	uint32		npages[QH_NARRAYS];
	uint32		begin[QH_NARRAYS];	/* first slot of a group that the array holds */
	uint32		state_offset[QH_NARRAYS];	/* of the slot states in a page of links or hubs */
	QhFilterLayout filter;		/* of FILTER slots, whose pages are by column: their offsets are there */
	QhDivisor	by_group_nslots;
	QhDivisor	by_page_nslots[QH_NARRAYS];
	/* page i of an array is page where[array][i] of its group */
	uint16		where[QH_NARRAYS][QH_MAX_GROUP_PAGES];
	/* page i of a group belongs to array kind[i] and begins with slot first[i] of the group */
	uint8		kind[QH_MAX_GROUP_PAGES];
	uint32		first[QH_MAX_GROUP_PAGES];
} QhGeometry;

typedef struct QhSlotAddress
{
	BlockNumber blkno;
	uint32		offset;			/* bytes from the start of the page; not of FILTER slots */
	uint32		index;			/* of the slot in its page */
} QhSlotAddress;

/*
 * What is wrong with the slot sizes of meta and the fields they are made from, or NULL.  Must
 * be called before anything is divided by them.
 */
extern const char *qh_geometry_fault(const QhMetaData *meta);

/*
 * Choose a group for these slot sizes, which have no fault, and write it into meta
 * (group_nslots, group_npages).
 */
extern void qh_geometry_choose(QhMeta meta);

/* Lay out the geometry of meta.  Returns NULL, or what is wrong with meta. */
extern const char *qh_geometry_init(QhGeometry *geo, const QhMetaData *meta);

/* Which nodes are hubs, as the graph room puts it. */
extern QhHubs qh_meta_hubs(const QhMetaData *meta);

/* Nodes that an index of nblocks blocks has slots for. */
extern uint32 qh_geometry_nslots(const QhGeometry *geo, BlockNumber nblocks);

/* First blocks that give room to nslots slots: the inverse of the above. */
extern BlockNumber qh_geometry_nblocks(const QhGeometry *geo, uint32 nslots);

/* Array and group of a block at or past first_blkno, and the id of its first slot. */
extern QhArray qh_geometry_block(const QhGeometry *geo, BlockNumber blkno, uint32 *group, uint32 *first_slot);

/* Slots the page at blkno really has (the last page of an array in a group may be cut short). */
extern uint32 qh_geometry_page_nslots(const QhGeometry *geo, BlockNumber blkno);

static inline QhSlotAddress
qh_slot_address(const QhGeometry *geo, QhArray array, uint32 node)
{
	uint32		group = qh_divide(node, geo->by_group_nslots);
	uint32		rest = node - group * geo->group_nslots;
	uint32		page;
	QhSlotAddress addr;

	if (array == QH_ARRAY_LINK && unlikely(geo->group_nhubs > 0))
	{
		/* asked for links, in whichever array they are */
		if (rest < geo->group_nhubs)
			array = QH_ARRAY_HUB;
		else
			rest -= geo->group_nhubs;
	}
	page = qh_divide(rest, geo->by_page_nslots[array]);
	addr.index = rest - page * geo->page_nslots[array];
	addr.blkno = geo->first_blkno + group * geo->group_npages + geo->where[array][page];
	addr.offset = geo->data_offset[array] + addr.index * geo->slot_nbytes[array];
	return addr;
}

/* The array with the links and the state of a node. */
static inline QhArray
qh_link_array(const QhGeometry *geo, uint32 node)
{
	if (likely(geo->group_nhubs == 0))
		return QH_ARRAY_LINK;
	return node - qh_divide(node, geo->by_group_nslots) * geo->group_nslots < geo->group_nhubs ?
		QH_ARRAY_HUB : QH_ARRAY_LINK;
}

/* Bytes of a node's link slot. */
static inline uint32
qh_link_nbytes(const QhGeometry *geo, uint32 node)
{
	return geo->slot_nbytes[qh_link_array(geo, node)];
}

/*
 * Bytes that a posting slot in its place has for row pointers and records.  Where there are
 * records, a hub's slot holds no more than another, so that a build fills them alike.
 */
static inline uint32
qh_posting_nbytes(const QhGeometry *geo, uint32 node)
{
	return geo->filter.record_nbytes > 0 ? geo->slot_nbytes[QH_ARRAY_LINK] : qh_link_nbytes(geo, node);
}

/* Row pointers that it holds. */
static inline uint32
qh_node_posting_max(const QhGeometry *geo, uint32 node)
{
	return qh_posting_max(qh_posting_nbytes(geo, node), geo->filter.record_nbytes);
}

/* Are its links packed? */
static inline bool
qh_link_packed(const QhGeometry *geo, uint32 node)
{
	return geo->group_nhubs != 0 && qh_link_array(geo, node) == QH_ARRAY_LINK;
}

#endif							/* QH_GEOMETRY_H */
