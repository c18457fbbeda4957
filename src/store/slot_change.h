/*
 * slot_change.h
 *		Changes of existing slots: compared with what was read, and made as one WAL record.
 *
 * README.md, sections "Locks" and "WAL".
 */
#ifndef QH_SLOT_CHANGE_H
#define QH_SLOT_CHANGE_H

#include "store/relstore.h"

/* One slot's change.  old_links and new_links are whole lists (2m words); a posting slot's content passes as such. */
typedef struct QhSlotChange
{
	QhNode		node;
	QhSlotState old_state;
	QhSlotState new_state;
	const QhLink *old_links;	/* NULL = whatever is there */
	const QhLink *new_links;	/* NULL = stays */
} QhSlotChange;

typedef struct QhRowChange
{
	QhNode		node;
	QhRowData	old_row;
	QhRowData	new_row;
} QhRowChange;

#define QH_MAX_SLOT_CHANGES 3

/*
 * Make all these changes in one WAL record, or none: returns false, having changed
 * nothing, if any of the old values is not what is there.  Reading that again gives something else then, so a caller may try until
 * it is done; damage that would have it try for ever is reported.  Locks are taken here, in the order of README.md, and released.
 */
extern bool qh_apply(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row);

#endif							/* QH_SLOT_CHANGE_H */
