/*
 * entry.h
 *		Entries of a search's window and overflow: a distance and a node in one integer.
 *
 * Internal to the graph room.  README.md, "Search".
 */
#ifndef QH_ENTRY_H
#define QH_ENTRY_H

#include "graph/order.h"

/*
 * The high half is the distance, as an integer that orders as it does; the low half is the node.
 * Node ids have 31 bits, which leaves one for a flag.  So entries are compared by their distances
 * alone, and qh_keys_sort_into() sorts them as it sorts keys.
 */
typedef uint64_t QhEntry;

#define QH_EXPANDED			UINT64_C(0x80000000)

/* Or'ed with an entry: the last of all entries that have its distance. */
#define QH_ENTRY_LAST		UINT64_C(0xFFFFFFFF)

static inline QhEntry
qh_entry(float dist, QhNode node)
{
	return (QhEntry) qh_float_to_order(dist) << 32 | node;
}

static inline QhNode
qh_entry_node(QhEntry entry)
{
	return (QhNode) (entry & ~QH_EXPANDED);
}

static inline float
qh_entry_dist(QhEntry entry)
{
	return qh_order_to_float((uint32_t) (entry >> 32));
}

/* Is a nearer than b?  The flag and the node do not count. */
static inline bool
qh_entry_is_nearer(QhEntry a, QhEntry b)
{
	return a >> 32 < b >> 32;
}

#endif							/* QH_ENTRY_H */
