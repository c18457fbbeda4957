/*
 * real_ops.c
 *		Distances and vector functions on real[], and distances on double precision[].
 *
 * Arithmetic is IEEE's: NaN and infinity go in and come out.  Sums are the
 * kernels', so a result is the same bits on every machine.  Doubles are rounded to floats first.
 * Knows no codes.
 * See README.md, "real[]".
 */
#include "type/dims.h"
#include "type/distance.h"
#include "type/known.h"
#include "type/realarray.h"

#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

PG_FUNCTION_INFO_V1(real_inner_product);
PG_FUNCTION_INFO_V1(real_negative_inner_product);
PG_FUNCTION_INFO_V1(real_l2_distance);
PG_FUNCTION_INFO_V1(real_l1_distance);
PG_FUNCTION_INFO_V1(real_cosine_distance);
PG_FUNCTION_INFO_V1(float8_inner_product);
PG_FUNCTION_INFO_V1(float8_negative_inner_product);
PG_FUNCTION_INFO_V1(float8_l2_distance);
PG_FUNCTION_INFO_V1(float8_l1_distance);
PG_FUNCTION_INFO_V1(float8_cosine_distance);
PG_FUNCTION_INFO_V1(float8_array_to_real);
PG_FUNCTION_INFO_V1(real_l2_norm);
PG_FUNCTION_INFO_V1(real_dims);
PG_FUNCTION_INFO_V1(real_subvector);

typedef double (*FloatKernel) (const float *a, const float *b, size_t n);

/* What reads an argument: real[] or double precision[]. */
typedef RealArray (*ReadArray) (Datum value);

/* Apply one kernel to both arguments, after the checks every distance needs. */
static double
apply(FunctionCallInfo fcinfo, ReadArray read, FloatKernel kernel)
{
	RealArray	a;
	RealArray	b;
	double		result;

	if (qv_known_get(fcinfo, &result))
		return result;
	a = read(PG_GETARG_DATUM(0));
	b = read(PG_GETARG_DATUM(1));
	dims_check_same(a.ndims, b.ndims);
	result = kernel(a.values, b.values, a.ndims);
	real_array_release(&a);
	real_array_release(&b);
	qv_known_put(fcinfo, result);
	return result;
}

static double
cosine(FunctionCallInfo fcinfo, ReadArray read)
{
	const QvKernels *kernels = qv_kernels();
	RealArray	a;
	RealArray	b;
	double		result;

	if (qv_known_get(fcinfo, &result))
		return result;
	a = read(PG_GETARG_DATUM(0));
	b = read(PG_GETARG_DATUM(1));
	dims_check_same(a.ndims, b.ndims);
	result = cosine_from_sums(kernels->dot_f32(a.values, b.values, a.ndims),
							  kernels->dot_f32(a.values, a.values, a.ndims),
							  kernels->dot_f32(b.values, b.values, b.ndims));
	real_array_release(&a);
	real_array_release(&b);
	qv_known_put(fcinfo, result);
	return result;
}

#define DISTANCES(type, read) \
Datum \
type##_inner_product(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_FLOAT8(apply(fcinfo, read, qv_kernels()->dot_f32)); \
} \
Datum \
type##_negative_inner_product(PG_FUNCTION_ARGS) \
{ \
	/* 0 - x and not -x: orthogonal vectors are at 0, not at -0 */ \
	PG_RETURN_FLOAT8(0 - apply(fcinfo, read, qv_kernels()->dot_f32)); \
} \
Datum \
type##_l2_distance(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_FLOAT8(sqrt(apply(fcinfo, read, qv_kernels()->l2sq_f32))); \
} \
Datum \
type##_l1_distance(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_FLOAT8(apply(fcinfo, read, qv_kernels()->l1_f32)); \
} \
Datum \
type##_cosine_distance(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_FLOAT8(cosine(fcinfo, read)); \
} \
extern int	real_ops_no_such_variable

DISTANCES(real, real_array_view);
DISTANCES(float8, real_array_of_doubles);

/* Not the cast, which refuses what is too small for a float. */
Datum
float8_array_to_real(PG_FUNCTION_ARGS)
{
	RealArray	a = real_array_of_doubles(PG_GETARG_DATUM(0));
	float4	   *values;
	ArrayType  *result = real_array_make(a.ndims, &values);

	memcpy(values, a.values, sizeof(float4) * (Size) a.ndims);
	real_array_release(&a);
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
real_l2_norm(PG_FUNCTION_ARGS)
{
	RealArray	a = PG_GETARG_REAL_ARRAY(0);

	PG_RETURN_FLOAT8(sqrt(qv_kernels()->dot_f32(a.values, a.values, a.ndims)));
}

Datum
real_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_REAL_ARRAY(0).ndims);
}

Datum
real_subvector(PG_FUNCTION_ARGS)
{
	RealArray	a = PG_GETARG_REAL_ARRAY(0);
	int32		start = PG_GETARG_INT32(1);
	int32		count = PG_GETARG_INT32(2);
	ArrayType  *result;
	float4	   *values;

	dims_clip("real[]", a.ndims, &start, &count);
	result = real_array_make(count, &values);
	memcpy(values, a.values + start, sizeof(float4) * (Size) count);
	PG_RETURN_ARRAYTYPE_P(result);
}
