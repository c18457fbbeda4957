/*
 * filter_vacuum.h
 *		Bounds of FILTER pages made anew, after slots were freed.
 */
#ifndef QH_FILTER_VACUUM_H
#define QH_FILTER_VACUUM_H

#include "store/filter.h"
#include "store/relstore.h"

/* Make the bounds of all FILTER pages of nslots slots those of the records they hold. */
extern void qh_filter_tighten(QhRelStore *rs, uint32 nslots);

#endif							/* QH_FILTER_VACUUM_H */
