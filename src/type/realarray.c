/*
 * realarray.c
 *		real[] as a vector of floats: the checked way in, and a way out.
 *
 * Knows no distance and no code.  See README.md, "real[]".
 */
#include "type/realarray.h"

#include "catalog/pg_type.h"
#include "type/flatarray.h"

#include <math.h>

static void
refuse_empty(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("expected at least 1 element, not an empty array")));
}

RealArray
real_array_view(Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	RealArray	view;

	if (ARR_ELEMTYPE(array) != FLOAT4OID)
		elog(ERROR, "expected an array of real, not of type %u", ARR_ELEMTYPE(array));
	view.ndims = flat_array_count(array);
	if (view.ndims == 0)
		refuse_empty();
	view.values = (const float4 *) flat_array_data(array);
	view.copy = (Pointer) array != DatumGetPointer(value) ? array : NULL;
	return view;
}

RealArray
real_array_of_doubles(Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	const float8 *doubles;
	float4	   *values;
	RealArray	view;

	if (ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "expected an array of double precision, not of type %u", ARR_ELEMTYPE(array));
	view.ndims = flat_array_count(array);
	if (view.ndims == 0)
		refuse_empty();
	doubles = (const float8 *) flat_array_data(array);
	values = palloc(sizeof(float4) * (Size) view.ndims);
	for (int i = 0; i < view.ndims; i++)
	{
		values[i] = (float4) doubles[i];
		if (unlikely(isinf(values[i]) && !isinf(doubles[i])))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("array element %d is out of range for type real: %g", i + 1, doubles[i])));
	}
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
	view.values = view.copy = values;
	return view;
}

void
real_array_check_finite(const RealArray *array)
{
	for (int i = 0; i < array->ndims; i++)
	{
		float4		value = array->values[i];

		if (unlikely(!isfinite(value)))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("array element %d is %s", i + 1,
							isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"),
					 errdetail("Every element must be a finite number.")));
	}
}

ArrayType *
real_array_make(int ndims, float4 **values)
{
	Size		nbytes = ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * (Size) ndims;
	ArrayType  *array = (ArrayType *) palloc0(nbytes);

	SET_VARSIZE(array, nbytes);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = ndims;
	ARR_LBOUND(array)[0] = 1;
	*values = (float4 *) flat_array_data(array);
	return array;
}
