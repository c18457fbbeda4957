/*
 * quantize.c
 *		Floats and integers into bitvec and qvec8, and back into floats.
 *
 * The formulas are in README.md, "Quantizing".  Knows no distance and no text.
 */
#include "type/bitvec.h"
#include "type/dims.h"
#include "type/flatarray.h"
#include "type/qvec8.h"
#include "type/realarray.h"

#include "kernel/kernel.h"

#include <float.h>

PG_FUNCTION_INFO_V1(real_binary_quantize);
PG_FUNCTION_INFO_V1(real_binary_quantize_center);
PG_FUNCTION_INFO_V1(qvec8_binary_quantize);
PG_FUNCTION_INFO_V1(real_quantize_int8);
PG_FUNCTION_INFO_V1(real_quantize_int8_range);
PG_FUNCTION_INFO_V1(real_quantize_sq_l2);
PG_FUNCTION_INFO_V1(real_quantize_sq_cosine);
PG_FUNCTION_INFO_V1(qvec8_dequantize);
PG_FUNCTION_INFO_V1(bitvec_dequantize);
PG_FUNCTION_INFO_V1(int_array_to_qvec8);

/* ---- to bits ---- */

Datum
real_binary_quantize(PG_FUNCTION_ARGS)
{
	RealArray	array = PG_GETARG_REAL_ARRAY(0);
	Bitvec	   *result;

	dims_in_range(NULL, "bitvec", array.ndims, BITVEC_MAX_DIMS);
	real_array_check_finite(&array);
	result = bitvec_make(array.ndims);
	qv_kernels()->signs_f32(array.values, array.ndims, result->bits);
	PG_RETURN_BITVEC(result);
}

/* Bits for data without signs: greater than the center, element by element. */
Datum
real_binary_quantize_center(PG_FUNCTION_ARGS)
{
	RealArray	array = PG_GETARG_REAL_ARRAY(0);
	RealArray	center = PG_GETARG_REAL_ARRAY(1);
	Bitvec	   *result;

	dims_check_same(array.ndims, center.ndims);
	dims_in_range(NULL, "bitvec", array.ndims, BITVEC_MAX_DIMS);
	real_array_check_finite(&array);
	real_array_check_finite(&center);
	result = bitvec_make(array.ndims);
	for (int i = 0; i < array.ndims; i++)
		if (array.values[i] > center.values[i])
			result->bits[i / 8] |= (uint8) (0x80 >> (i % 8));
	PG_RETURN_BITVEC(result);
}

Datum
qvec8_binary_quantize(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	Bitvec	   *result = bitvec_make(vec.ndims);

	for (int i = 0; i < vec.ndims; i++)
		if (qvec8_value(&vec, i) > 0)
			result->bits[i / 8] |= (uint8) (0x80 >> (i % 8));
	PG_RETURN_BITVEC(result);
}

/* ---- to signed bytes ---- */

/* The codes nearest to (x - offset) / scale, clipped to [lowest, QVEC8_MAX_CODE]; ties go to even. */
static Qvec8 *
encode(const RealArray *array, float4 scale, float4 offset, int lowest)
{
	Qvec8	   *result = qvec8_make(array->ndims, scale, offset);

	for (int i = 0; i < array->ndims; i++)
	{
		double		code = rint(((double) array->values[i] - (double) offset) / (double) scale);

		result->codes[i] = (int8) Max(lowest, Min(code, QVEC8_MAX_CODE));
	}
	return result;
}

/*
 * max|x| / 127 as a float4.  A vector of zeroes gets 1: a scale must be greater than 0,
 * and then any will do.  Among the subnormal numbers the quotient is coarse and may be too
 * small for the largest element, or 0; the next one up is then the nearest that serves.
 */
static float4
symmetric_scale(const RealArray *array)
{
	float4		largest = 0;
	float4		scale;

	for (int i = 0; i < array->ndims; i++)
		largest = Max(largest, fabsf(array->values[i]));
	if (largest == 0)
		return 1;
	scale = (float4) ((double) largest / QVEC8_MAX_CODE);
	if ((double) scale * (QVEC8_MAX_CODE + 0.5) < largest)
		scale = nextafterf(scale, FLT_MAX);
	return scale;
}

Datum
real_quantize_int8(PG_FUNCTION_ARGS)
{
	RealArray	array = PG_GETARG_REAL_ARRAY(0);

	dims_in_range(NULL, "qvec8", array.ndims, QVEC8_MAX_DIMS);
	real_array_check_finite(&array);
	/* symmetric: -128 is left out, as scale says */
	PG_RETURN_QVEC8(encode(&array, symmetric_scale(&array), 0, -QVEC8_MAX_CODE));
}

/* An interval to quantize over.  lo = hi is one of constant data. */
static void
check_interval(float4 lo, float4 hi)
{
	if (!isfinite(lo) || !isfinite(hi) || lo > hi)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lo must not be greater than hi, and both finite, not %g and %g", lo, hi)));
}

/*
 * Code -128 stands for lo and 127 for hi.  Codes are computed from the scale and offset as
 * stored, rounded to float4, so that rounding these does not add to the error of an element.
 * Where lo = hi, there is one value to stand for: code 0 with that offset, and any scale.
 */
Datum
real_quantize_int8_range(PG_FUNCTION_ARGS)
{
	RealArray	array = PG_GETARG_REAL_ARRAY(0);
	float4		lo = PG_GETARG_FLOAT4(1);
	float4		hi = PG_GETARG_FLOAT4(2);
	double		step = ((double) hi - (double) lo) / (QVEC8_MAX_CODE - QVEC8_MIN_CODE);

	check_interval(lo, hi);
	if (lo < hi && (float4) step == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lo and hi are too close to divide the interval between them: %g and %g", lo, hi)));
	dims_in_range(NULL, "qvec8", array.ndims, QVEC8_MAX_DIMS);
	real_array_check_finite(&array);
	if (lo == hi)
		PG_RETURN_QVEC8(qvec8_make(array.ndims, 1, lo));
	PG_RETURN_QVEC8(encode(&array, (float4) step, (float4) (lo - step * QVEC8_MIN_CODE), QVEC8_MIN_CODE));
}

/* ---- to signed bytes of scale 1, by the recipes of OpenSearch's manual ---- */

typedef int (*Recipe) (double value, double lo, double hi);

/* Codes of values that were clipped to [lo, hi]. */
static Qvec8 *
encode_by(FunctionCallInfo fcinfo, Recipe recipe)
{
	RealArray	array = PG_GETARG_REAL_ARRAY(0);
	float4		lo = PG_GETARG_FLOAT4(1);
	float4		hi = PG_GETARG_FLOAT4(2);
	Qvec8	   *result;

	check_interval(lo, hi);
	dims_in_range(NULL, "qvec8", array.ndims, QVEC8_MAX_DIMS);
	real_array_check_finite(&array);
	result = qvec8_make(array.ndims, 1, 0);
	for (int i = 0; i < array.ndims; i++)
		result->codes[i] = (int8) recipe(Max(lo, Min(array.values[i], hi)), lo, hi);
	return result;
}

static int
l2_code(double value, double lo, double hi)
{
	/* the product first: where it is exact, so are codes that fall on whole numbers */
	double		steps = lo < hi ? (value - lo) * (QVEC8_MAX_CODE - QVEC8_MIN_CODE) / (hi - lo) : 0;

	return (int) floor(steps) + QVEC8_MIN_CODE;
}

/* Rounded up, away from 0, only where the fraction is above a half. */
static int
cosine_code(double value, double lo, double hi)
{
	if (value > 0)
		return (int) ceil(value * QVEC8_MAX_CODE / hi - 0.5);
	if (value < 0)
		return -(int) ceil(value * -QVEC8_MIN_CODE / lo - 0.5);
	return 0;
}

Datum
real_quantize_sq_l2(PG_FUNCTION_ARGS)
{
	PG_RETURN_QVEC8(encode_by(fcinfo, l2_code));
}

Datum
real_quantize_sq_cosine(PG_FUNCTION_ARGS)
{
	PG_RETURN_QVEC8(encode_by(fcinfo, cosine_code));
}

/* ---- back to floats ---- */

Datum
qvec8_dequantize(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	float4	   *values;
	ArrayType  *result = real_array_make(vec.ndims, &values);

	for (int i = 0; i < vec.ndims; i++)
	{
		values[i] = (float4) qvec8_value(&vec, i);
		if (isinf(values[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("dimension %d is out of range for type real: %g",
							i + 1, qvec8_value(&vec, i))));
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
bitvec_dequantize(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	float4	   *values;
	ArrayType  *result = real_array_make(vec.nbits, &values);

	for (int i = 0; i < vec.nbits; i++)
		values[i] = (vec.bits[i / 8] & (0x80 >> (i % 8))) ? 1 : -1;
	PG_RETURN_ARRAYTYPE_P(result);
}

/* ---- integers as codes ---- */

/* From smallint[] or integer[]. */
Datum
int_array_to_qvec8(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			ndims = flat_array_count(array);
	Qvec8	   *result;

	dims_in_range(NULL, "qvec8", ndims, QVEC8_MAX_DIMS);
	result = qvec8_make(ndims, 1, 0);
	for (int i = 0; i < ndims; i++)
	{
		int32		value = flat_array_int(array, i);

		if (value < QVEC8_MIN_CODE || value > QVEC8_MAX_CODE)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("array element %d is out of range for a code of qvec8: %d", i + 1, value),
					 errdetail("A code is a whole number between %d and %d.",
							   QVEC8_MIN_CODE, QVEC8_MAX_CODE)));
		result->codes[i] = (int8) value;
	}
	PG_RETURN_QVEC8(result);
}
