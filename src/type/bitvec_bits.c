/*
 * bitvec_bits.c
 *		Single bits and shifts of bitvec, with the names and rules of type bit.
 *
 * Where bit would give an empty string, bitvec, which has none, is an error.  Knows neither
 * distances nor other types.
 */
#include "type/bitvec.h"
#include "type/dims.h"

#include <string.h>

PG_FUNCTION_INFO_V1(bitvec_get_bit);
PG_FUNCTION_INFO_V1(bitvec_set_bit);
PG_FUNCTION_INFO_V1(bitvec_substring);
PG_FUNCTION_INFO_V1(bitvec_shift_left);
PG_FUNCTION_INFO_V1(bitvec_shift_right);
PG_FUNCTION_INFO_V1(bitvec_larger);
PG_FUNCTION_INFO_V1(bitvec_smaller);

extern Datum bitvec_cmp(PG_FUNCTION_ARGS);
extern Datum bitvec_subvector(PG_FUNCTION_ARGS);

/* ---- one bit ---- */

/* Bits are counted from 0, from the left. */
static int
check_position(const BitvecView *vec, int64 n)
{
	if (n < 0 || n >= vec->nbits)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("bit index %lld out of valid range (0..%d)", (long long) n, vec->nbits - 1)));
	return (int) n;
}

Datum
bitvec_get_bit(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	int			n = check_position(&vec, PG_GETARG_INT64(1));

	PG_RETURN_INT32((vec.bits[n / 8] >> (7 - n % 8)) & 1);
}

Datum
bitvec_set_bit(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	int			n = check_position(&vec, PG_GETARG_INT64(1));
	int32		bit = PG_GETARG_INT32(2);
	uint8		mask = (uint8) (0x80 >> (n % 8));
	Bitvec	   *result;

	if (bit != 0 && bit != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("new bit must be 0 or 1")));
	result = bitvec_make(vec.nbits);
	memcpy(result->bits, vec.bits, vec.nbytes);
	if (bit)
		result->bits[n / 8] |= mask;
	else
		result->bits[n / 8] &= (uint8) ~mask;
	PG_RETURN_BITVEC(result);
}

/* ---- pieces ---- */

/* From a dimension, counted from 1, to the last; with a length subvector() is the same. */
Datum
bitvec_substring(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	int32		start = Max(PG_GETARG_INT32(1), 1);

	return DirectFunctionCall3(bitvec_subvector, PG_GETARG_DATUM(0),
							   Int32GetDatum(start), Int32GetDatum(vec.nbits));
}

/* ---- shifts ---- */

/* Shift by "by" bits to the left, or to the right where that is negative; zeroes move in. */
static Bitvec *
shift(const BitvecView *vec, int64 by)
{
	Bitvec	   *result = bitvec_make(vec->nbits);
	int64		distance = by < 0 ? -by : by;
	int			nbytes = (int) Min(distance, vec->nbits) / 8;
	int			nbits = (int) (distance % 8);

	if (distance >= vec->nbits)
		return result;
	for (int i = nbytes; i < vec->nbytes; i++)
	{
		/* as many bytes from the start as from the end of the other */
		int			from = by < 0 ? i - nbytes : i;
		int			to = by < 0 ? i : i - nbytes;
		int			next = by < 0 ? to + 1 : to - 1;
		uint8		byte = vec->bits[from];

		result->bits[to] |= (uint8) (by < 0 ? byte >> nbits : byte << nbits);
		if (nbits > 0 && next >= 0 && next < vec->nbytes)
			result->bits[next] |= (uint8) (by < 0 ? byte << (8 - nbits) : byte >> (8 - nbits));
	}
	bitvec_clear_padding(result, vec->nbytes);
	return result;
}

Datum
bitvec_shift_left(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);

	PG_RETURN_BITVEC(shift(&vec, PG_GETARG_INT32(1)));
}

Datum
bitvec_shift_right(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);

	PG_RETURN_BITVEC(shift(&vec, -(int64) PG_GETARG_INT32(1)));
}

/* ---- the greater and the smaller of two ---- */

Datum
bitvec_larger(PG_FUNCTION_ARGS)
{
	int32		order = DatumGetInt32(DirectFunctionCall2(bitvec_cmp, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)));

	PG_RETURN_DATUM(PG_GETARG_DATUM(order >= 0 ? 0 : 1));
}

Datum
bitvec_smaller(PG_FUNCTION_ARGS)
{
	int32		order = DatumGetInt32(DirectFunctionCall2(bitvec_cmp, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)));

	PG_RETURN_DATUM(PG_GETARG_DATUM(order <= 0 ? 0 : 1));
}
