/*
 * minmax.c
 *		The aggregate qvec_minmax: the least and the greatest element of all rows.
 *
 * The state is the result, {min,max}, so the step that takes in a row takes in
 * another state as well.  Knows no codes.  See README.md, "Aggregates".
 */
#include "type/realarray.h"

PG_FUNCTION_INFO_V1(qvec_minmax_accum);

/*
 * qvec_minmax_accum(state real[], value real[]).  Either may be NULL.  Transition and
 * combine function in one.
 */
Datum
qvec_minmax_accum(PG_FUNCTION_ARGS)
{
	RealArray	row;
	float4	   *bounds;
	ArrayType  *state;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	row = PG_GETARG_REAL_ARRAY(1);
	real_array_check_finite(&row);

	state = real_array_make(2, &bounds);
	bounds[0] = bounds[1] = row.values[0];
	if (!PG_ARGISNULL(0))
	{
		RealArray	previous = PG_GETARG_REAL_ARRAY(0);

		if (previous.ndims != 2)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("state of qvec_minmax must have 2 elements, not %d", previous.ndims)));
		bounds[0] = previous.values[0];
		bounds[1] = previous.values[1];
	}
	for (int i = 0; i < row.ndims; i++)
	{
		bounds[0] = Min(bounds[0], row.values[i]);
		bounds[1] = Max(bounds[1], row.values[i]);
	}
	PG_RETURN_ARRAYTYPE_P(state);
}
