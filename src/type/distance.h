/*
 * distance.h
 *		The last steps of a distance, shared by the types that have them.
 *
 * Knows numbers only.  See README.md, "Distances".
 */
#ifndef QV_DISTANCE_H
#define QV_DISTANCE_H

#include "compat.h"

#include "utils/float.h"

#include <math.h>

/*
 * Cosine distance from an inner product and the two squared norms.  NaN for a zero
 * vector.  One square root of the product, not a product of two: sqrt(x * x) is exactly x in
 * IEEE arithmetic, so a vector lies at exactly 0 from itself.  Rounding may
 * carry the similarity past 1, which is clamped as pgvector does.
 */
static inline double
cosine_from_sums(double dot, double norm2_a, double norm2_b)
{
	double		similarity;

	if (norm2_a == 0 || norm2_b == 0)
		return get_float8_nan();
	similarity = dot / sqrt(norm2_a * norm2_b);
	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return 1 - similarity;
}

#endif							/* QV_DISTANCE_H */
