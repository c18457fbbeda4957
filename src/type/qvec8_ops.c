/*
 * qvec8_ops.c
 *		Distances, ordering and pieces of qvec8.
 *
 * A distance is that of the dequantized values.  It is put together from sums
 * of integers, which are exact; README.md, "Distances of qvec8", has the
 * formulas and how far rounding can carry.  Knows neither text nor other types.
 */
#include "type/dims.h"
#include "type/distance.h"
#include "type/qvec8.h"

#include "common/hashfn.h"
#include "kernel/kernel.h"

#include <math.h>

PG_FUNCTION_INFO_V1(qvec8_inner_product);
PG_FUNCTION_INFO_V1(qvec8_negative_inner_product);
PG_FUNCTION_INFO_V1(qvec8_l2_distance);
PG_FUNCTION_INFO_V1(qvec8_l1_distance);
PG_FUNCTION_INFO_V1(qvec8_cosine_distance);
PG_FUNCTION_INFO_V1(qvec8_l2_norm);
PG_FUNCTION_INFO_V1(qvec8_dims);
PG_FUNCTION_INFO_V1(qvec8_concat);
PG_FUNCTION_INFO_V1(qvec8_subvector);
PG_FUNCTION_INFO_V1(qvec8_lt);
PG_FUNCTION_INFO_V1(qvec8_le);
PG_FUNCTION_INFO_V1(qvec8_eq);
PG_FUNCTION_INFO_V1(qvec8_ne);
PG_FUNCTION_INFO_V1(qvec8_ge);
PG_FUNCTION_INFO_V1(qvec8_gt);
PG_FUNCTION_INFO_V1(qvec8_cmp);
PG_FUNCTION_INFO_V1(qvec8_hash);
PG_FUNCTION_INFO_V1(qvec8_hash_extended);

/* ---- distances ---- */

/*
 * How much smaller than the sum of its terms' magnitudes a sum may come out
 * before it is computed again element by element.  Ten bits lost of 53 leave
 * a relative error below 1e-12.  Chosen by hand: neighbours whose squared
 * distance is a hundredth of their norm still take the fast way.
 */
#define CANCELLATION_LIMIT (1.0 / 1024)

static bool
same_quantizer(const Qvec8View *a, const Qvec8View *b)
{
	return a->scale == b->scale && a->offset == b->offset;
}

static int32
integer_dot(const Qvec8View *a, const Qvec8View *b)
{
	return qv_kernels()->dot_i8(a->codes, b->codes, a->ndims);
}

static double
dot_by_element(const Qvec8View *a, const Qvec8View *b)
{
	double		sum = 0;

	for (int i = 0; i < a->ndims; i++)
		sum += qvec8_value(a, i) * qvec8_value(b, i);
	return sum;
}

/* Every product here reads the same with a and b exchanged, so the result does too. */
static double
dot(const Qvec8View *a, const Qvec8View *b)
{
	double		codes = (double) a->scale * (double) b->scale * integer_dot(a, b);
	double		cross_a = 0;
	double		cross_b = 0;
	double		offsets;
	double		sum;

	if (a->offset == 0 && b->offset == 0)
		return codes;
	if (b->offset != 0)
		cross_a = (double) a->scale * (double) b->offset * qv_kernels()->sum_i8(a->codes, a->ndims);
	if (a->offset != 0)
		cross_b = (double) b->scale * (double) a->offset * qv_kernels()->sum_i8(b->codes, b->ndims);
	offsets = (double) a->offset * (double) b->offset * a->ndims;
	sum = codes + (cross_a + cross_b) + offsets;
	if (fabs(sum) < CANCELLATION_LIMIT * (fabs(codes) + fabs(cross_a) + fabs(cross_b) + fabs(offsets)))
		return dot_by_element(a, b);
	return sum;
}

static double
l2_squared_by_element(const Qvec8View *a, const Qvec8View *b)
{
	double		sum = 0;

	for (int i = 0; i < a->ndims; i++)
	{
		double		difference = qvec8_value(a, i) - qvec8_value(b, i);

		sum += difference * difference;
	}
	return sum;
}

/* For two quantizers: the square of (s a - t b + d), multiplied out over the sums. */
static double
l2_squared(const Qvec8View *a, const Qvec8View *b)
{
	double		s = a->scale;
	double		t = b->scale;
	double		d = (double) a->offset - (double) b->offset;
	double		squares = s * s * integer_dot(a, a) + t * t * integer_dot(b, b);
	double		product = 2 * (s * t) * integer_dot(a, b);
	double		cross_a = 0;
	double		cross_b = 0;
	double		offsets = d * d * a->ndims;
	double		sum;

	if (d != 0)
	{
		cross_a = 2 * (s * d) * qv_kernels()->sum_i8(a->codes, a->ndims);
		cross_b = 2 * (t * d) * qv_kernels()->sum_i8(b->codes, b->ndims);
	}
	sum = (squares - product) + (cross_a - cross_b) + offsets;
	if (sum < CANCELLATION_LIMIT * (squares + fabs(product) + fabs(cross_a) + fabs(cross_b) + offsets))
		return l2_squared_by_element(a, b);
	return sum;
}

static double
l2(const Qvec8View *a, const Qvec8View *b)
{
	if (same_quantizer(a, b))
		return a->scale * sqrt(qv_kernels()->l2sq_i8(a->codes, b->codes, a->ndims));
	return sqrt(l2_squared(a, b));
}

static double
l1(const Qvec8View *a, const Qvec8View *b)
{
	double		sum = 0;

	if (same_quantizer(a, b))
		return (double) a->scale * qv_kernels()->l1_i8(a->codes, b->codes, a->ndims);
	for (int i = 0; i < a->ndims; i++)
		sum += fabs(qvec8_value(a, i) - qvec8_value(b, i));
	return sum;
}

/* Without offsets the scales cancel out, and integers are all there is. */
static double
cosine(const Qvec8View *a, const Qvec8View *b)
{
	if (a->offset == 0 && b->offset == 0)
		return cosine_from_sums(integer_dot(a, b), integer_dot(a, a), integer_dot(b, b));
	return cosine_from_sums(dot(a, b), dot(a, a), dot(b, b));
}

typedef double (*Measure) (const Qvec8View *a, const Qvec8View *b);

static double
apply(FunctionCallInfo fcinfo, Measure measure)
{
	Qvec8View	a = PG_GETARG_QVEC8(0);
	Qvec8View	b = PG_GETARG_QVEC8(1);

	dims_check_same(a.ndims, b.ndims);
	return measure(&a, &b);
}

Datum
qvec8_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(apply(fcinfo, dot));
}

Datum
qvec8_negative_inner_product(PG_FUNCTION_ARGS)
{
	/* 0 - x and not -x: orthogonal vectors are at 0, not at -0 */
	PG_RETURN_FLOAT8(0 - apply(fcinfo, dot));
}

Datum
qvec8_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(apply(fcinfo, l2));
}

Datum
qvec8_l1_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(apply(fcinfo, l1));
}

Datum
qvec8_cosine_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(apply(fcinfo, cosine));
}

Datum
qvec8_l2_norm(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);

	if (vec.offset == 0)
		PG_RETURN_FLOAT8(vec.scale * sqrt(integer_dot(&vec, &vec)));
	PG_RETURN_FLOAT8(sqrt(dot(&vec, &vec)));
}

/* ---- pieces ---- */

Datum
qvec8_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_QVEC8(0).ndims);
}

/* Codes of two quantizers cannot stand in one vector, and are not rounded behind the user's back. */
Datum
qvec8_concat(PG_FUNCTION_ARGS)
{
	Qvec8View	a = PG_GETARG_QVEC8(0);
	Qvec8View	b = PG_GETARG_QVEC8(1);
	Qvec8	   *result;

	if (!same_quantizer(&a, &b))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot concatenate qvec8 values of different scale or offset"),
				 errdetail("The left one has scale %g and offset %g, the right one scale %g and offset %g.",
						   a.scale, a.offset, b.scale, b.offset),
				 errhint("Concatenate the dequantized values and quantize the result.")));
	dims_in_range(NULL, "qvec8", a.ndims + b.ndims, QVEC8_MAX_DIMS);
	result = qvec8_make(a.ndims + b.ndims, a.scale, a.offset);
	memcpy(result->codes, a.codes, a.ndims);
	memcpy(result->codes + a.ndims, b.codes, b.ndims);
	PG_RETURN_QVEC8(result);
}

Datum
qvec8_subvector(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	int32		start = PG_GETARG_INT32(1);
	int32		count = PG_GETARG_INT32(2);
	Qvec8	   *result;

	dims_clip("qvec8", vec.ndims, &start, &count);
	result = qvec8_make(count, vec.scale, vec.offset);
	memcpy(result->codes, vec.codes + start, count);
	PG_RETURN_QVEC8(result);
}

/* ---- ordering ---- */

static int
compare_floats(double a, double b)
{
	return (a > b) - (a < b);
}

/*
 * The first dimension whose dequantized value differs decides, and a prefix comes first.
 * Vectors of the same values but different scale, offset or codes are different data, so these
 * decide then: values compare equal only where all their bytes are.
 */
static int
compare_views(const Qvec8View *a, const Qvec8View *b)
{
	int			common = Min(a->ndims, b->ndims);
	int			result;

	for (int i = 0; i < common; i++)
		if ((result = compare_floats(qvec8_value(a, i), qvec8_value(b, i))) != 0)
			return result;
	if ((result = a->ndims - b->ndims) != 0)
		return result > 0 ? 1 : -1;
	if ((result = compare_floats(a->scale, b->scale)) != 0)
		return result;
	if ((result = compare_floats(a->offset, b->offset)) != 0)
		return result;
	/* an offset so large that it swallows the codes */
	result = memcmp(a->codes, b->codes, common);
	return (result > 0) - (result < 0);
}

static int
compare(FunctionCallInfo fcinfo)
{
	Qvec8View	a = PG_GETARG_QVEC8(0);
	Qvec8View	b = PG_GETARG_QVEC8(1);
	int			result = compare_views(&a, &b);

	qvec8_release(&a);
	qvec8_release(&b);
	return result;
}

Datum
qvec8_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
qvec8_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
qvec8_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
qvec8_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
qvec8_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
qvec8_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
qvec8_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

/* Equal values are equal bytes, so the bytes of the whole datum are hashed. */
Datum
qvec8_hash(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	Datum		result = hash_any((const unsigned char *) vec.codes - QVEC8_HEADER_NBYTES,
								  vec.ndims + QVEC8_HEADER_NBYTES);

	qvec8_release(&vec);
	return result;
}

Datum
qvec8_hash_extended(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	Datum		result = hash_any_extended((const unsigned char *) vec.codes - QVEC8_HEADER_NBYTES,
										   vec.ndims + QVEC8_HEADER_NBYTES,
										   PG_GETARG_INT64(1));

	qvec8_release(&vec);
	return result;
}
