/*
 * added_centres.h
 *		Centres that were added to an index after its build: read, and made known to all.
 *
 * CENTRES.md.
 */
#ifndef QH_ADDED_CENTRES_H
#define QH_ADDED_CENTRES_H

#include "store/relstore.h"

/*
 * Read the added centres of the metapage that rs->ix has: ndims floats each, in the order of their
 * numbers.  What is damaged is reported.
 */
extern void qh_added_read(QhRelStore *rs, float *centres);

/*
 * Set the bit of every slot that holds a part of an added centre, by the metapage as it is now.
 * No other slot in state CENTRE is in use, as long as no insert runs.
 */
extern void qh_added_mark(QhRelStore *rs, uint8 *bits, uint32 nslots);

/* Slots that a centre takes, where none of them is a hub's. */
extern uint32 qh_added_nslots(const QhMetaData *meta);

/*
 * Add n centres behind those that rs->ix has.  Codes that are measured from them may be written
 * only after that, and with the index acquired anew.  False, and nothing is added, where another
 * backend was faster.  The caller holds the insert lock.
 */
extern bool qh_added_publish(QhRelStore *rs, const float *centres, uint32 n);

#endif							/* QH_ADDED_CENTRES_H */
