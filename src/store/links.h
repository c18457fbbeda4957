/*
 * links.h
 *		Links and states of nodes, read from the pages of an index.
 *
 * README.md, section "Reading", and UNPINNED.md.
 */
#ifndef QH_LINKS_H
#define QH_LINKS_H

#include "store/relstore.h"

/*
 * State of a slot and its links, a whole list of 2m words (or the content of a posting or centre
 * slot), under a short share lock.
 */
extern QhSlotState qh_read_slot(QhRelStore *rs, QhNode node, QhLink *links);

/* The same, and the LSN of its page. */
extern QhSlotState qh_read_slot_at(QhRelStore *rs, QhNode node, QhLink *links, XLogRecPtr *lsn);

/*
 * States of all slots of the page of links or hubs that begins with first; returns how many.
 * All FREE where the page was never formatted.
 */
extern uint32 qh_read_states(QhRelStore *rs, QhNode first, uint8 *states);

/* Of n candidates those whose slots are nodes now, LIVE or DYING; returns how many. */
extern int qh_nodes_in_use(QhRelStore *rs, const QhCandidate *cands, int n, QhCandidate *out);

/* Prefetch what reading these nodes' links will touch. */
extern void qh_prefetch_links(QhRelStore *rs, const QhNode *nodes, int n);

/* links() and prefetch() of the graph's store. */
extern int qh_store_links(QhStore *store, QhNode node, QhLink *out);
extern void qh_store_prefetch(QhStore *store, const QhNode *nodes, int n);

/* Does the slot of a node in this state hold a packed list? */
static inline bool
qh_slot_is_packed(QhRelStore *rs, QhNode node, QhSlotState state)
{
	return qh_link_packed(&rs->ix->geo, node) && state != QH_SLOT_POSTING && state != QH_SLOT_CENTRE;
}

/* Copy what a slot holds, unpacked; false where a packed list is damaged. */
static inline bool
qh_copy_slot(QhRelStore *rs, QhNode node, QhSlotState state, const uint8 *slot, QhLink *links)
{
	if (!qh_slot_is_packed(rs, node, state))
	{
		memcpy(links, slot, qh_link_nbytes(&rs->ix->geo, node));
		return true;
	}
	memset(links, 0xFF, rs->store.max_degree * sizeof(QhLink)); /* QH_INVALID_NODE */
	if (state != QH_SLOT_LIVE && state != QH_SLOT_DYING)
		return true;
	return qh_unpack_links(node, slot, qh_link_nbytes(&rs->ix->geo, node), rs->store.max_degree, links) >= 0;
}

#endif							/* QH_LINKS_H */
