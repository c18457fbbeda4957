/*
 * nearest.h
 *		The k smallest of many distances.
 *
 * A max-heap: its first element is the largest of those kept.  Must not know what the distances
 * are of.
 */
#ifndef QH_NEAREST_H
#define QH_NEAREST_H

#include "postgres.h"

/* Keep dist if fewer than k are kept, or if it is less than the largest of them; heap has room for k. */
extern void qh_nearest_offer(double *heap, int *n, int k, double dist);

#endif							/* QH_NEAREST_H */
