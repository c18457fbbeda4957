/*
 * scalar.c
 *		The kernels in plain C: the specification of every other level.
 *
 * Must not know any instruction set: this is what runs on a machine of which
 * nothing is known.  Other levels are tested for equality with these functions,
 * these against naive definitions.  See README.md, "Same bits at every level".
 */
#include <float.h>
#include <math.h>

#include "kernel/levels.h"

/*
 * Bits set in a word, by adding neighbours in parallel.  On x86 the builtin
 * without -mpopcnt is a call to a table look-up, and slower
 * (doc/decisions/0075).
 */
static inline uint32_t
popcount_word(uint64_t x)
{
#if defined(__aarch64__)
	return (uint32_t) __builtin_popcountll(x);
#else
	x -= (x >> 1) & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
	return (uint32_t) ((x * UINT64_C(0x0101010101010101)) >> 56);
#endif
}

/* ---- bits ---- */

static uint32_t
scalar_popcount(const uint8_t *a, size_t nbytes)
{
	uint32_t	sum = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
		sum += popcount_word(qv_load_word(a + i));
	if (i < nbytes)
		sum += popcount_word(qv_load_partial_word(a + i, nbytes - i));
	return sum;
}

static uint32_t
scalar_hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint32_t	sum = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
		sum += popcount_word(qv_load_word(a + i) ^ qv_load_word(b + i));
	if (i < nbytes)
		sum += popcount_word(qv_load_partial_word(a + i, nbytes - i) ^
							 qv_load_partial_word(b + i, nbytes - i));
	return sum;
}

static uint32_t
scalar_intersection(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint32_t	sum = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
		sum += popcount_word(qv_load_word(a + i) & qv_load_word(b + i));
	if (i < nbytes)
		sum += popcount_word(qv_load_partial_word(a + i, nbytes - i) &
							 qv_load_partial_word(b + i, nbytes - i));
	return sum;
}

static uint32_t
scalar_planes4(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	uint32_t	sum = 0;

	for (int j = 0; j < 4; j++)
		sum += scalar_intersection(planes + (size_t) j * nbytes, code, nbytes) << j;
	return sum;
}

static inline void
hamming_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	for (int i = 0; i < ncodes; i++)
		out[i] = scalar_hamming(query, qv_code_at(list, i), nbytes);
}

static inline void
intersection_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
				  uint32_t *inter, uint32_t *codebits)
{
	for (int i = 0; i < ncodes; i++)
	{
		inter[i] = scalar_intersection(query, qv_code_at(list, i), nbytes);
		codebits[i] = scalar_popcount(qv_code_at(list, i), nbytes);
	}
}

static inline void
planes_list(const uint8_t *planes, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	for (int i = 0; i < ncodes; i++)
		out[i] = scalar_planes4(planes, qv_code_at(list, i), nbytes);
}

QV_DEFINE_BIT_BATCHES(, scalar)

static float
clamp_finite(float x)
{
	x = x < FLT_MAX ? x : FLT_MAX;
	return x > -FLT_MAX ? x : -FLT_MAX;
}

static void
scalar_estimate(const QvEstimate *how, const uint32_t *sums, const QvFactors *factors, const float *xc, int n, float *dist)
{
	for (int i = 0; i < n; i++)
	{
		float		norm = factors[i].norm;
		float		steps = (float) (int32_t) (2 * sums[i] - (uint32_t) how->level_sum);
		float		excess = (float) (2 * factors[i].nset - how->nbits);
		float		ip = norm * (float) factors[i].inv_x0 * (how->step * steps + how->low * excess) + (xc != NULL ? xc[i] : 0.0f);

		dist[i] = clamp_finite(how->constant + how->norm_weight * norm * norm + how->ip_weight * ip);
	}
}

static void
scalar_hamming_block(const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes,
					 size_t nbytes, uint32_t *out)
{
	for (int i = 0; i < nqueries; i++)
		scalar_hamming_strided(queries + stride * (size_t) i, base, stride, ncodes, nbytes, out + (size_t) ncodes * (size_t) i);
}

static uint32_t
scalar_hamming_below(const uint8_t *query, const QvCodeRun *run, size_t nbytes, uint32_t limit, uint32_t *near, uint32_t *out)
{
	return qv_hamming_below(scalar_hamming_strided, query, run, nbytes, limit, near, out);
}

QV_DEFINE_PLANE_BATCHES(, scalar)

/* ---- signed bytes ---- */

static int32_t
scalar_dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static uint32_t
scalar_l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int			d = a[i] - b[i];

		sum += (uint32_t) (d * d);
	}
	return sum;
}

static uint32_t
scalar_l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int			d = a[i] - b[i];

		sum += (uint32_t) (d < 0 ? -d : d);
	}
	return sum;
}

static int32_t
scalar_sum_i8(const int8_t *a, size_t n)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i];
	return sum;
}

static inline void
dot_i8_list(const int8_t *query, QvCodeList list, int ncodes, size_t n, int32_t *out)
{
	for (int i = 0; i < ncodes; i++)
		out[i] = scalar_dot_i8(query, (const int8_t *) qv_code_at(list, i), n);
}

QV_DEFINE_DOT_BATCHES(, scalar)
QV_DEFINE_DOT_BLOCK(, scalar)

/* ---- floats ---- */

QV_INLINE double
float_term(QvFloatOp op, double x, double y)
{
	double		d = x - y;

	return op == QV_FLOAT_DOT ? x * y : op == QV_FLOAT_L2SQ ? d * d : fabs(d);
}

/*
 * Element i is added to accumulator i mod 16.  Whole blocks of sixteen have a
 * loop of their own because a compiler can keep them in registers.
 */
QV_INLINE double
sum_floats(QvFloatOp op, const QvFloat *x, const QvFloat *y, size_t n)
{
	double		s[16] = {0};
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
	{
		for (size_t j = 0; j < 16; j++)
			s[j] += float_term(op, x[i + j], y[i + j]);
	}
	for (; i < n; i++)
		s[i % 16] += float_term(op, x[i], y[i]);
	return qv_sum_tree(s);
}

QV_DEFINE_FLOAT_SUMS(, scalar)

/* The same at single precision, in sixty-four accumulators. */
QV_INLINE float
fast_sum(QvFastOp op, const float *a, const void *b, size_t n)
{
	float		s[64] = {0};
	size_t		i = 0;

	for (; i + 64 <= n; i += 64)
	{
		for (size_t j = 0; j < 64; j++)
			s[j] += qv_fast_term(op, a, b, i + j);
	}
	for (; i < n; i++)
		s[i % 64] += qv_fast_term(op, a, b, i);
	return qv_sum_tree_single(s);
}

QV_DEFINE_FAST_SUMS(, scalar)

static uint32_t
scalar_below_f32(const float *values, uint32_t n, float limit, uint32_t *out)
{
	const QvFloat *x = values;
	uint32_t	count = 0;

	/* every place is written, so that nothing has to be predicted */
	for (uint32_t i = 0; i < n; i++)
	{
		out[count] = i;
		count += x[i] < limit;
	}
	return count;
}

/* ---- keys ---- */

QV_INLINE void
between(const void *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint64_t *bits)
{
	for (uint32_t i = 0; i < n; i++)
	{
		int64_t		key = qv_signed_key(keys, nbytes, i);

		bits[i / 64] |= (uint64_t) (key >= low && key <= high) << i % 64;
	}
}

static void
scalar_between_keys(const void *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint64_t *bits)
{
	switch (nbytes)
	{
		case 1:
			between(keys, 1, n, low, high, bits);
			break;
		case 2:
			between(keys, 2, n, low, high, bits);
			break;
		case 4:
			between(keys, 4, n, low, high, bits);
			break;
		default:
			between(keys, 8, n, low, high, bits);
	}
}

static void
scalar_masked_u64(const uint64_t *words, uint32_t n, uint64_t mask, uint64_t want, uint64_t *bits)
{
	const QvKey *keys = words;

	for (uint32_t i = 0; i < n; i++)
		bits[i / 64] |= (uint64_t) ((keys[i] & mask) == want) << i % 64;
}

/* ---- sorting ---- */

static void
scalar_sort_u64(const uint64_t *values, uint32_t n, uint64_t *result)
{
	const QvKey *keys = values;
	QvKey	   *out = result;

	for (uint32_t i = 0; i < n; i++)
		out[qv_rank(keys, n, keys[i])] = keys[i];
}

/* ---- Walsh-Hadamard transform ---- */

/*
 * Stages in the order h = 1, 2, 4, ...: every level keeps this order, so every
 * output is the same tree of additions.
 */
static void
scalar_fht_f32(float *values, size_t n)
{
	QvFloat    *x = values;

	for (size_t h = 1; h < n; h *= 2)
	{
		for (size_t i = 0; i < n; i += 2 * h)
		{
			for (size_t j = i; j < i + h; j++)
			{
				float		low = x[j];
				float		high = x[j + h];

				x[j] = low + high;
				x[j + h] = low - high;
			}
		}
	}
}

/* ---- from values to codes ---- */

static void
scalar_residual_f32(const float *values, double scale, const float *centre, size_t n, float *result)
{
	const QvFloat *x = values;
	const QvFloat *c = centre;
	QvFloat    *out = result;

	for (size_t i = 0; i < n; i++)
		out[i] = (float) (x[i] * scale) - c[i];
}

static void
scalar_multiply_f32(float *values, const float *factors, size_t n)
{
	QvFloat    *x = values;
	const QvFloat *factor = factors;

	for (size_t i = 0; i < n; i++)
		x[i] *= factor[i];
}

static void
scalar_turn_f32(float *first, float *second, size_t n)
{
	QvFloat    *a = first;
	QvFloat    *b = second;

	for (size_t i = 0; i < n; i++)
	{
		float		x = a[i] * QV_COS45;
		float		y = b[i] * QV_COS45;

		a[i] = x + y;
		b[i] = x - y;
	}
}

/* Sixteen of either, element i into that of i mod 16, then compared 8 apart, 4 apart, 2 apart, 1 apart. */
static void
scalar_range_f32(const float *values, size_t n, float *low, float *high)
{
	const QvFloat *x = values;
	float		min[16];
	float		max[16];

	for (size_t j = 0; j < 16; j++)
		min[j] = max[j] = x[j];
	for (size_t i = 16; i < n; i += 16)
	{
		for (size_t j = 0; j < 16; j++)
		{
			min[j] = x[i + j] < min[j] ? x[i + j] : min[j];
			max[j] = x[i + j] > max[j] ? x[i + j] : max[j];
		}
	}
	for (size_t h = 8; h > 0; h /= 2)
	{
		for (size_t j = 0; j < h; j++)
		{
			min[j] = min[j + h] < min[j] ? min[j + h] : min[j];
			max[j] = max[j + h] > max[j] ? max[j + h] : max[j];
		}
	}
	*low = min[0];
	*high = max[0];
}

static int32_t
scalar_levels_f32(const float *values, size_t n, float low, float per_step, int max_level, uint8_t *level)
{
	const QvFloat *x = values;
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int32_t		u = qv_truncate((x[i] - low) * per_step + 0.5f, (float) max_level);

		level[i] = (uint8_t) u;
		sum += u;
	}
	return sum;
}

static int32_t
scalar_words_f32(const float *values, size_t n, float per_step, int8_t *high, int8_t *low)
{
	const QvFloat *x = values;
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int32_t		w = qv_truncate(x[i] * per_step + QV_WORD_BIAS, 2 * QV_MAX_WORD);

		high[i] = (int8_t) (((w + 64) >> 7) - QV_MAX_WORD / 128);
		low[i] = (int8_t) (((w + 64) & 127) - 64);
		sum += w - QV_MAX_WORD;
	}
	return sum;
}

/*
 * Eight bytes at a time, the first the lowest of a word: the multiplication moves bit
 * 8i of the masked word to bit 63 - i, and no two of its partial products meet above bit 55.
 */
static void
scalar_bits_u8(const uint8_t *x, size_t n, int j, uint8_t *out)
{
	for (size_t i = 0; i < n; i += 8)
	{
		uint64_t	word = 0;

		for (int k = 0; k < 8; k++)
			word |= (uint64_t) x[i + k] << (8 * k);
		word = (word >> j) & UINT64_C(0x0101010101010101);
		out[i / 8] = (uint8_t) ((word * UINT64_C(0x8040201008040201)) >> 56);
	}
}

static void
scalar_signs_f32(const float *values, size_t n, uint8_t *out)
{
	const QvFloat *x = values;

	for (size_t i = 0; i < n; i += 8)
	{
		unsigned	byte = 0;
		size_t		end = n - i < 8 ? n - i : 8;

		for (size_t j = 0; j < end; j++)
			byte |= (unsigned) (x[i + j] > 0) << (7 - j);
		out[i / 8] = (uint8_t) byte;
	}
}

const QvKernels qv_kernels_scalar = QV_KERNELS_OF(scalar);
