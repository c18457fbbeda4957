/*
 * flatarray.h
 *		SQL arrays taken as plain lists: one subscript, no NULLs.
 *
 * Elements are of fixed length and lie side by side.  Knows no vector type.  See
 * README.md, "Arrays".
 */
#ifndef QV_FLATARRAY_H
#define QV_FLATARRAY_H

#include "compat.h"

#include "utils/array.h"

/*
 * Number of elements, 0 for an empty array.  Throws where there is more than one
 * subscript or a NULL.  The lower bound of the subscript does not matter.
 */
extern int	flat_array_count(const ArrayType *array);

/* The first element; not ARR_DATA_PTR(), which compares a signed with an unsigned number. */
static inline char *
flat_array_data(const ArrayType *array)
{
	Size		offset = ARR_HASNULL(array) ? (Size) array->dataoffset : ARR_OVERHEAD_NONULLS(ARR_NDIM(array));

	return (char *) array + offset;
}

/* Element i, counted from 0, of an array of smallint or integer. */
extern int32 flat_array_int(const ArrayType *array, int i);

#endif							/* QV_FLATARRAY_H */
