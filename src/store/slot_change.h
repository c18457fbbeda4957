/*
 * slot_change.h
 *		Changes of existing slots: compared with what was read, and made as one WAL record.
 *
 * README.md, sections "Locks" and "WAL".
 */
#ifndef QH_SLOT_CHANGE_H
#define QH_SLOT_CHANGE_H

#include "store/filter.h"
#include "store/relstore.h"

/*
 * A change of one slot.  old_links and new_links are whole lists (2m words), or the content of
 * a posting slot.
 */
typedef struct QhSlotChange
{
	QhNode		node;
	QhSlotState old_state;
	QhSlotState new_state;
	const QhLink *old_links;	/* NULL = whatever is there */
	const QhLink *new_links;	/* NULL = stays */
} QhSlotChange;

/* A change of a FILTER slot.  A slot that becomes FREE loses its record without being told. */
typedef struct QhFilterChange
{
	QhNode		node;
	QhRecordState state;
	const uint8 *record;		/* of QH_RECORD_SINGLE */
} QhFilterChange;

typedef struct QhRowChange
{
	QhNode		node;
	QhRowData	old_row;
	QhRowData	new_row;
	const QhFilterChange *filter;	/* that goes with it, or NULL; only of an index with records */
} QhRowChange;

/* With row page and FILTER page a record has four pages at most, as many as generic WAL allows. */
#define QH_MAX_SLOT_CHANGES 2

/*
 * Make all these changes in one WAL record, or none: returns false, having changed nothing, if
 * any of the old values is not what is there.  Reading again then gives something else, so a
 * caller may try again until it succeeds; damage with which it never would is reported.  Locks
 * are taken here, in the lock order, and released.
 */
extern bool qh_apply(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row);

#endif							/* QH_SLOT_CHANGE_H */
