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
} QhEffort;

/* The effort of a scan of an index with this curve, by settings and options. */
extern QhEffort qh_effort(Relation index, const QhCurveData *curve, int code_nbits);
/* ef_search as far as it is known without reading the index. */
extern int	qh_effort_planned(Relation index);

#endif							/* QH_EFFORT_H */
