/*
 * realarray.h
 *		real[] as a vector of floats: the checked way in, and a way out.
 *
 * Knows no distance and no code.  See README.md, "real[]".
 */
#ifndef QV_REALARRAY_H
#define QV_REALARRAY_H

#include "compat.h"

#include "utils/array.h"

typedef struct RealArray
{
	int			ndims;			/* elements, at least 1 */
	const float4 *values;		/* aligned for floats; NaN and infinity are possible */
	void	   *copy;			/* what detoasting allocated, or NULL */
} RealArray;

/*
 * Open a real[] datum.  Throws unless it has one subscript, at least one
 * element and no NULL.  The lower bound of the subscript does not matter.
 */
extern RealArray real_array_view(Datum value);

/* Free what detoasting allocated: needed where calls share one memory context, as in index builds. */
static inline void
real_array_release(const RealArray *array)
{
	if (array->copy)
		pfree(array->copy);
}

#define PG_GETARG_REAL_ARRAY(n) real_array_view(PG_GETARG_DATUM(n))

/*
 * The same of a double precision[] datum: a copy whose elements are rounded to floats.  Throws
 * where a finite element is too large for one; what is too small for one becomes 0.
 */
extern RealArray real_array_of_doubles(Datum value);

/* The SQL function: such a copy as a real[]. */
extern PGDLLEXPORT Datum float8_array_to_real(PG_FUNCTION_ARGS);

/* Throws, naming the first element that is NaN or infinite, if there is one. */
extern void real_array_check_finite(const RealArray *array);

/* A one-dimensional real[] of ndims uninitialised elements; they start at *values. */
extern ArrayType *real_array_make(int ndims, float4 **values);

#endif							/* QV_REALARRAY_H */
