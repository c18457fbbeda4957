/*
 * effort.h
 *		How much a scan does: read off the curve of an index for the recall that is wanted.
 *
 * Floor 4.  See README.md, section "Effort".
 */
#ifndef QH_EFFORT_H
#define QH_EFFORT_H

#include "store/format.h"
#include "utils/rel.h"

typedef struct QhEffort
{
	int			ef;
	double		oversample;
	double		doubt;			/* standard errors by which estimates are doubted, for ten rows */
} QhEffort;

/* doc/decisions/0130 */
#define QH_DEFAULT_DOUBT	1.5
/* The least and the most that a curve may say; below 0 a candidate must be nearer by so much. */
#define QH_MIN_DOUBT		(-4.0)
#define QH_MAX_DOUBT		12.0

/* The effort where nothing was measured, and the least of scans that ask for nothing. */
extern QhEffort qh_effort_default(Relation index, int code_nbits);
/* The effort of a target on a curve that was measured with floor as oversample. */
extern QhEffort qh_effort_at(const QhCurveData *curve, double target, double floor);

/* The effort of a scan of an index with this curve, by settings and options. */
extern QhEffort qh_effort(Relation index, const QhCurveData *curve, int code_nbits);

#endif							/* QH_EFFORT_H */
