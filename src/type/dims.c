/*
 * dims.c
 *		Numbers of dimensions: type modifiers, limits and agreement.
 *
 * Knows no type's layout.  See README.md, "Dimensions and their errors".
 */
#include "type/dims.h"

int32
dims_typmod_in(ArrayType *modifiers, const char *type_name, int max)
{
	int			nmodifiers;
	int32	   *values = ArrayGetIntegerTypmods(modifiers, &nmodifiers);

	if (nmodifiers != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("type %s takes one modifier, not %d", type_name, nmodifiers),
				 errdetail("The modifier is the number of dimensions.")));
	if (values[0] < 1 || values[0] > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of dimensions of type %s must be between 1 and %d, not %d",
						type_name, max, values[0])));
	return values[0];
}

bool
dims_match_typmod(Node *escontext, int32 typmod, int64 ndims)
{
	if (typmod != -1 && typmod != ndims)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %lld", typmod, (long long) ndims)));
	return true;
}

bool
dims_in_range(Node *escontext, const char *type_name, int64 ndims, int max)
{
	if (ndims < 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("type %s needs at least 1 dimension, not %lld",
						type_name, (long long) ndims)));
	if (ndims > max)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("type %s holds at most %d dimensions, not %lld",
						type_name, max, (long long) ndims)));
	return true;
}

void
dims_differ(int a, int b)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different numbers of dimensions: %d and %d", a, b)));
}

void
dims_clip(const char *type_name, int ndims, int32 *start, int32 *count)
{
	int64		first = Max((int64) *start, 1);
	int64		last = Min((int64) *start + *count - 1, (int64) ndims);

	if (*count < 1 || last < first)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("type %s needs at least 1 dimension, not 0", type_name),
				 errdetail("No dimension of 1 to %d lies among the %d from %d on.",
						   ndims, *count, *start)));
	*start = (int32) (first - 1);
	*count = (int32) (last - first + 1);
}
