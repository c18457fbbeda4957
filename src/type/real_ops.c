/*
 * real_ops.c
 *		Distances and vector functions on real[].
 *
 * Arithmetic is IEEE's: NaN and infinity go in and come out.  Sums are the
 * kernels', so a result is the same bits on every machine.  Knows no codes.
 * See README.md, "real[]".
 */
#include "type/dims.h"
#include "type/distance.h"
#include "type/realarray.h"

#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

PG_FUNCTION_INFO_V1(real_inner_product);
PG_FUNCTION_INFO_V1(real_negative_inner_product);
PG_FUNCTION_INFO_V1(real_l2_distance);
PG_FUNCTION_INFO_V1(real_l1_distance);
PG_FUNCTION_INFO_V1(real_cosine_distance);
PG_FUNCTION_INFO_V1(real_l2_norm);
PG_FUNCTION_INFO_V1(real_dims);
PG_FUNCTION_INFO_V1(real_subvector);

typedef double (*FloatKernel) (const float *a, const float *b, size_t n);

/* Apply one kernel to both arguments, after the checks every distance needs. */
static double
apply(FunctionCallInfo fcinfo, FloatKernel kernel)
{
	RealArray	a = PG_GETARG_REAL_ARRAY(0);
	RealArray	b = PG_GETARG_REAL_ARRAY(1);
	double		result;

	dims_check_same(a.ndims, b.ndims);
	result = kernel(a.values, b.values, a.ndims);
	real_array_release(&a);
	real_array_release(&b);
	return result;
}

Datum
real_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(apply(fcinfo, qv_kernels()->dot_f32));
}

Datum
real_negative_inner_product(PG_FUNCTION_ARGS)
{
	/* 0 - x and not -x: orthogonal vectors are at 0, not at -0 */
	PG_RETURN_FLOAT8(0 - apply(fcinfo, qv_kernels()->dot_f32));
}

Datum
real_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(apply(fcinfo, qv_kernels()->l2sq_f32)));
}

Datum
real_l1_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(apply(fcinfo, qv_kernels()->l1_f32));
}

Datum
real_cosine_distance(PG_FUNCTION_ARGS)
{
	RealArray	a = PG_GETARG_REAL_ARRAY(0);
	RealArray	b = PG_GETARG_REAL_ARRAY(1);
	const QvKernels *kernels = qv_kernels();
	double		result;

	dims_check_same(a.ndims, b.ndims);
	result = cosine_from_sums(kernels->dot_f32(a.values, b.values, a.ndims),
							  kernels->dot_f32(a.values, a.values, a.ndims),
							  kernels->dot_f32(b.values, b.values, b.ndims));
	real_array_release(&a);
	real_array_release(&b);
	PG_RETURN_FLOAT8(result);
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
