/*
 * flatarray.c
 *		SQL arrays taken as plain lists: one subscript, no NULLs.
 *
 * Knows no vector type.  See README.md, "Arrays".
 */
#include "type/flatarray.h"

#include "catalog/pg_type.h"

/* Position, counted from 1, of the first NULL; requires that there is one. */
static int
first_null(const ArrayType *array)
{
	const uint8 *bitmap = ARR_NULLBITMAP(array);
	int			i = 0;

	while (bitmap[i / 8] & (1 << (i % 8)))
		i++;
	return i + 1;
}

int
flat_array_count(const ArrayType *array)
{
	if (ARR_NDIM(array) == 0)
		return 0;
	if (ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("expected an array with 1 subscript, not %d", ARR_NDIM(array))));
	if (array_contains_nulls((ArrayType *) array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array element %d is NULL", first_null(array)),
				 errdetail("An array used as a vector has no NULL elements.")));
	return ARR_DIMS(array)[0];
}

int32
flat_array_int(const ArrayType *array, int i)
{
	if (ARR_ELEMTYPE(array) == INT2OID)
		return ((const int16 *) flat_array_data(array))[i];
	if (ARR_ELEMTYPE(array) == INT4OID)
		return ((const int32 *) flat_array_data(array))[i];
	elog(ERROR, "expected an array of smallint or integer, not of type %u", ARR_ELEMTYPE(array));
}
