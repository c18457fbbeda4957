/*
 * curve.h
 *		What search effort reaches which recall: read from the metapage, and written to it.
 *
 * Must not know how it is measured, nor what a scan makes of it.
 */
#ifndef QH_CURVE_H
#define QH_CURVE_H

#include "store/format.h"
#include "utils/rel.h"

/* A copy of the curve, judged; npoints = 0 where nothing was measured. */
extern void qh_curve_read(Relation index, QhCurveData *curve);

/*
 * The same for who only plans: false, and no points, where the metapage is not what it should be, which the scan
 * will say.
 */
extern bool qh_curve_peek(Relation index, QhCurveData *curve);

/*
 * Replace the curve, in one record.  Other backends use it when they read the index anew, which
 * the commit tells them to.
 */
extern void qh_curve_write(Relation index, const QhCurveData *curve);

#endif							/* QH_CURVE_H */
