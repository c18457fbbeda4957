/*
 * bitvec_ops.c
 *		Distances, bit operators, ordering and pieces of bitvec.
 *
 * Counting is the kernels' work.  Knows neither text nor other types.  See
 * README.md, "Distances" and "Ordering".
 */
#include "type/bitvec.h"
#include "type/dims.h"

#include "common/hashfn.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

PG_FUNCTION_INFO_V1(bitvec_hamming_distance);
PG_FUNCTION_INFO_V1(bitvec_jaccard_distance);
PG_FUNCTION_INFO_V1(bitvec_cosine_distance);
PG_FUNCTION_INFO_V1(bitvec_dims);
PG_FUNCTION_INFO_V1(bitvec_bit_count);
PG_FUNCTION_INFO_V1(bitvec_l2_norm);
PG_FUNCTION_INFO_V1(bitvec_not);
PG_FUNCTION_INFO_V1(bitvec_and);
PG_FUNCTION_INFO_V1(bitvec_or);
PG_FUNCTION_INFO_V1(bitvec_xor);
PG_FUNCTION_INFO_V1(bitvec_concat);
PG_FUNCTION_INFO_V1(bitvec_subvector);
PG_FUNCTION_INFO_V1(bitvec_lt);
PG_FUNCTION_INFO_V1(bitvec_le);
PG_FUNCTION_INFO_V1(bitvec_eq);
PG_FUNCTION_INFO_V1(bitvec_ne);
PG_FUNCTION_INFO_V1(bitvec_ge);
PG_FUNCTION_INFO_V1(bitvec_gt);
PG_FUNCTION_INFO_V1(bitvec_cmp);
PG_FUNCTION_INFO_V1(bitvec_hash);
PG_FUNCTION_INFO_V1(bitvec_hash_extended);

/* ---- distances ---- */

Datum
bitvec_hamming_distance(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);

	dims_check_same(a.nbits, b.nbits);
	PG_RETURN_FLOAT8(qv_kernels()->hamming(a.bits, b.bits, a.nbytes));
}

/* 1 - |a and b| / |a or b|; two empty sets are alike, so 0. */
Datum
bitvec_jaccard_distance(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);
	const QvKernels *kernels = qv_kernels();
	uint32		both;
	uint32		either;

	dims_check_same(a.nbits, b.nbits);
	both = kernels->intersection(a.bits, b.bits, a.nbytes);
	either = kernels->popcount(a.bits, a.nbytes) + kernels->popcount(b.bits, b.nbytes) - both;
	if (either == 0)
		PG_RETURN_FLOAT8(0);
	/* one division of two integers: pairs with the same ratio tie exactly */
	PG_RETURN_FLOAT8((double) (either - both) / (double) either);
}

/* Of the vectors of -1s and 1s: their inner product is d - 2h, their norms are sqrt(d). */
Datum
bitvec_cosine_distance(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);

	dims_check_same(a.nbits, b.nbits);
	PG_RETURN_FLOAT8(2.0 * qv_kernels()->hamming(a.bits, b.bits, a.nbytes) / a.nbits);
}

/* ---- counts ---- */

Datum
bitvec_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_BITVEC(0).nbits);
}

Datum
bitvec_bit_count(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);

	PG_RETURN_INT64(qv_kernels()->popcount(vec.bits, vec.nbytes));
}

/* Of the vector of 0s and 1s, whose squared Euclidean distances are Hamming distances. */
Datum
bitvec_l2_norm(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);

	PG_RETURN_FLOAT8(sqrt(qv_kernels()->popcount(vec.bits, vec.nbytes)));
}

/* ---- bit operators ---- */

Datum
bitvec_not(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	Bitvec	   *result = bitvec_make(vec.nbits);

	for (int i = 0; i < vec.nbytes; i++)
		result->bits[i] = (uint8) ~vec.bits[i];
	bitvec_clear_padding(result, vec.nbytes);
	PG_RETURN_BITVEC(result);
}

Datum
bitvec_and(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);
	Bitvec	   *result;

	dims_check_same(a.nbits, b.nbits);
	result = bitvec_make(a.nbits);
	for (int i = 0; i < a.nbytes; i++)
		result->bits[i] = a.bits[i] & b.bits[i];
	PG_RETURN_BITVEC(result);
}

Datum
bitvec_or(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);
	Bitvec	   *result;

	dims_check_same(a.nbits, b.nbits);
	result = bitvec_make(a.nbits);
	for (int i = 0; i < a.nbytes; i++)
		result->bits[i] = a.bits[i] | b.bits[i];
	PG_RETURN_BITVEC(result);
}

Datum
bitvec_xor(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);
	Bitvec	   *result;

	dims_check_same(a.nbits, b.nbits);
	result = bitvec_make(a.nbits);
	for (int i = 0; i < a.nbytes; i++)
		result->bits[i] = a.bits[i] ^ b.bits[i];
	PG_RETURN_BITVEC(result);
}

/* ---- pieces ---- */

/*
 * Or the bits of source, from bit "from" on, into nbytes bytes of zeroes at "to".  Reads no
 * byte at or past source + source_nbytes.
 */
static void
copy_from_bit(uint8 *to, int nbytes, const uint8 *source, int source_nbytes, int from)
{
	int			first = from / 8;
	int			shift = from % 8;

	for (int i = 0; i < nbytes; i++)
	{
		int			byte = source[first + i] << shift;

		if (shift > 0 && first + i + 1 < source_nbytes)
			byte |= source[first + i + 1] >> (8 - shift);
		to[i] = (uint8) byte;
	}
}

Datum
bitvec_concat(PG_FUNCTION_ARGS)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);
	int			nbits = a.nbits + b.nbits;
	int			shift = a.nbits % 8;
	Bitvec	   *result;

	dims_in_range(NULL, "bitvec", nbits, BITVEC_MAX_DIMS);
	result = bitvec_make(nbits);
	memcpy(result->bits, a.bits, a.nbytes);
	for (int i = 0; i < b.nbytes; i++)
	{
		int			at = a.nbits / 8 + i;

		result->bits[at] |= (uint8) (b.bits[i] >> shift);
		/* what is shifted out past the last byte is padding */
		if (shift > 0 && at + 1 < BITVEC_NBYTES(nbits))
			result->bits[at + 1] = (uint8) (b.bits[i] << (8 - shift));
	}
	PG_RETURN_BITVEC(result);
}

Datum
bitvec_subvector(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	int32		start = PG_GETARG_INT32(1);
	int32		count = PG_GETARG_INT32(2);
	Bitvec	   *result;

	dims_clip("bitvec", vec.nbits, &start, &count);
	result = bitvec_make(count);
	copy_from_bit(result->bits, BITVEC_NBYTES(count), vec.bits, vec.nbytes, start);
	bitvec_clear_padding(result, BITVEC_NBYTES(count));
	PG_RETURN_BITVEC(result);
}

/* ---- ordering ---- */

/*
 * As strings of bits: the first bit that differs decides, and a prefix comes first.  Since
 * padding is zero, comparing whole bytes finds that bit.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	BitvecView	a = PG_GETARG_BITVEC(0);
	BitvecView	b = PG_GETARG_BITVEC(1);
	int			result = memcmp(a.bits, b.bits, Min(a.nbytes, b.nbytes));

	if (result == 0)
		result = a.nbits - b.nbits;
	bitvec_release(&a);
	bitvec_release(&b);
	return (result > 0) - (result < 0);
}

Datum
bitvec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
bitvec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
bitvec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
bitvec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
bitvec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
bitvec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
bitvec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

/* The number of unused bits precedes the bits in the datum, so one run of bytes says all. */
Datum
bitvec_hash(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	Datum		result = hash_any(vec.bits - BITVEC_HEADER_NBYTES,
								  vec.nbytes + BITVEC_HEADER_NBYTES);

	bitvec_release(&vec);
	return result;
}

Datum
bitvec_hash_extended(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	Datum		result = hash_any_extended(vec.bits - BITVEC_HEADER_NBYTES,
										   vec.nbytes + BITVEC_HEADER_NBYTES,
										   PG_GETARG_INT64(1));

	bitvec_release(&vec);
	return result;
}
