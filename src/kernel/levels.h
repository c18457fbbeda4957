/*
 * levels.h
 *		What the files of this room share: the levels, and the few pieces that
 *		must be the same in each of them.
 *
 * Private to the room; everybody else includes kernel.h.  Must not know of
 * instruction sets beyond their names.  See README.md, "Levels" and "Same bits
 * at every level".
 */
#ifndef QV_KERNEL_LEVELS_H
#define QV_KERNEL_LEVELS_H

#include <string.h>

#include "kernel/kernel.h"

#ifdef __FAST_MATH__
#error "float kernels must return the same bits at every level: compile without -ffast-math"
#endif

/*
 * A fused multiply-add rounds once where the specification rounds twice.  The
 * build says -ffp-contract=off too; this holds where a build does not, but for
 * clang up to 14 given -ffp-contract=fast, which heeds no pragma.
 */
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize ("fp-contract=off")
#endif

extern const QvKernels qv_kernels_scalar;
#if defined(__x86_64__)
#define QV_HAVE_X86_LEVELS 1
extern const QvKernels qv_kernels_avx2;
extern const QvKernels qv_kernels_avx512;
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define QV_HAVE_NEON_LEVEL 1
extern const QvKernels qv_kernels_neon;
#endif

/*
 * Code for one instruction set in a file compiled without -m flags.  A helper
 * is always_inline: its arguments that are constants (which operation, how many
 * registers) must be folded, and vectors must not pass through memory.
 */
#define QV_TARGET(features)			__attribute__((target(features)))
#define QV_INLINE					static inline __attribute__((always_inline))

/*
 * Explicit repetition: at -O2 gcc leaves a loop over an array of vectors rolled,
 * and the array then lives in memory.
 */
#define QV_REPEAT4(M)	M(0) M(1) M(2) M(3)
#define QV_REPEAT8(M)	QV_REPEAT4(M) M(4) M(5) M(6) M(7)
#define QV_REPEAT16(M)	QV_REPEAT8(M) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)

/* A float or a half precision number at any address, as kernel.h allows them. */
typedef float QvFloat __attribute__((aligned(1)));
typedef uint16_t QvHalf __attribute__((aligned(1)));
typedef uint64_t QvKey __attribute__((aligned(1)));

/* A signed key of so many bytes at any address. */
QV_INLINE int64_t
qv_signed_key(const void *keys, int nbytes, size_t i)
{
	const uint8_t *at = (const uint8_t *) keys + i * (size_t) nbytes;
	int8_t		one;
	int16_t		two;
	int32_t		four;
	int64_t		eight;

	switch (nbytes)
	{
		case 1:
			memcpy(&one, at, 1);
			return one;
		case 2:
			memcpy(&two, at, 2);
			return two;
		case 4:
			memcpy(&four, at, 4);
			return four;
		default:
			memcpy(&eight, at, 8);
			return eight;
	}
}

/* How many of n keys are less than this one: its place in their order. */
QV_INLINE uint32_t
qv_rank(const QvKey *keys, uint32_t n, uint64_t key)
{
	uint32_t	rank = 0;

	for (uint32_t i = 0; i < n; i++)
		rank += keys[i] < key;
	return rank;
}

/* What is counted of two runs of bits. */
typedef enum QvBitOp
{
	QV_BITS_ONE,				/* popcount(b); a is not looked at */
	QV_BITS_XOR,				/* popcount(a ^ b) */
	QV_BITS_AND					/* popcount(a & b) */
} QvBitOp;

/* A batch of codes: by pointer, or stride bytes apart from base when codes is NULL. */
typedef struct QvCodeList
{
	const uint8_t *const *codes;
	const uint8_t *base;
	size_t		stride;
} QvCodeList;

QV_INLINE QvCodeList
qv_codes_by_pointer(const uint8_t *const *codes)
{
	return (QvCodeList) {codes, NULL, 0};
}

QV_INLINE QvCodeList
qv_codes_by_stride(const uint8_t *base, size_t stride)
{
	return (QvCodeList) {NULL, base, stride};
}

QV_INLINE const uint8_t *
qv_code_at(QvCodeList list, int i)
{
	return list.codes != NULL ? list.codes[i] : list.base + list.stride * (size_t) i;
}

/* hamming_below by a level's hamming_strided, so many codes at a time. */
#define QV_BELOW_NCODES	16

typedef void (*QvHammingStrided) (const uint8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, uint32_t *out);

QV_INLINE uint32_t
qv_hamming_below(QvHammingStrided hamming_strided, const uint8_t *query, const QvCodeRun *run, size_t nbytes,
				 uint32_t limit, uint32_t *near, uint32_t *out)
{
	uint32_t	count[QV_BELOW_NCODES];
	uint32_t	nnear = 0;

	for (int first = 0; first < run->ncodes; first += QV_BELOW_NCODES)
	{
		int			n = run->ncodes - first < QV_BELOW_NCODES ? run->ncodes - first : QV_BELOW_NCODES;

		qv_prefetch_ahead(run->ahead, run->stride * (size_t) first, run->stride * (size_t) n);
		hamming_strided(query, run->base + run->stride * (size_t) first, run->stride, n, nbytes, count);
		for (int i = 0; i < n; i++)
		{
			/* every place is written: there is room, and no branch to be guessed */
			near[nnear] = (uint32_t) (first + i);
			out[nnear] = count[i];
			nnear += count[i] < limit;
		}
	}
	return nnear;
}

/* Eight bytes, or the last nbytes < 8 of a run followed by zeros. */
QV_INLINE uint64_t
qv_load_word(const uint8_t *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
	return word;
}

QV_INLINE uint64_t
qv_load_partial_word(const uint8_t *p, size_t nbytes)
{
	uint64_t	word = 0;

	memcpy(&word, p, nbytes);
	return word;
}

/* The one order in which the sixteen accumulators of a float sum are added up. */
QV_INLINE double
qv_sum_tree(const double *s)
{
	double		t[8];

	for (int i = 0; i < 8; i++)
		t[i] = s[i] + s[i + 8];
	for (int i = 0; i < 4; i++)
		t[i] = t[i] + t[i + 4];
	return (t[0] + t[2]) + (t[1] + t[3]);
}

/* The same of the sixty-four accumulators of a sum at single precision; overwrites them. */
QV_INLINE float
qv_sum_tree_single(float *s)
{
	for (int h = 32; h > 0; h /= 2)
	{
		for (int i = 0; i < h; i++)
			s[i] = s[i] + s[i + h];
	}
	return s[0];
}

#define QV_COS45	0.70710678f

/* What words_f32 adds before rounding, so that no word is negative. */
#define QV_WORD_BIAS	(QV_MAX_WORD + 0.5f)

/* A number truncated to 0 .. max; NaN is max.  The comparisons are those of MINPS and MAXPS. */
QV_INLINE int32_t
qv_truncate(float x, float max)
{
	x = x < max ? x : max;
	return (int32_t) (x > 0.0f ? x : 0.0f);
}

/* Every half is a float exactly; below the normal ones it is a multiple of 2^-24. */
QV_INLINE float
qv_float_of_half(uint16_t half)
{
	uint32_t	exponent = (half >> 10) & 31;
	uint32_t	fraction = half & 1023;
	uint32_t	bits;
	float		x;

	if (exponent == 0)
	{
		x = (float) fraction * 0x1p-24f;
		memcpy(&bits, &x, sizeof(bits));
	}
	else
		bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
	bits |= (uint32_t) (half & 0x8000) << 16;
	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* ---- what the levels would else write each for itself ---- */

/* The table of a level: its kernels are named level_kernel. */
#define QV_KERNELS_OF(level) \
{ \
	.name = #level, \
	.popcount = level##_popcount, \
	.hamming = level##_hamming, \
	.intersection = level##_intersection, \
	.planes4 = level##_planes4, \
	.hamming_many = level##_hamming_many, \
	.hamming_strided = level##_hamming_strided, \
	.hamming_block = level##_hamming_block, \
	.hamming_below = level##_hamming_below, \
	.intersection_many = level##_intersection_many, \
	.intersection_strided = level##_intersection_strided, \
	.planes4_many = level##_planes4_many, \
	.planes4_strided = level##_planes4_strided, \
	.estimate = level##_estimate, \
	.dot_i8 = level##_dot_i8, \
	.l2sq_i8 = level##_l2sq_i8, \
	.l1_i8 = level##_l1_i8, \
	.sum_i8 = level##_sum_i8, \
	.dot_i8_many = level##_dot_i8_many, \
	.dot_i8_strided = level##_dot_i8_strided, \
	.dot_i8_block = level##_dot_i8_block, \
	.dot_f32 = level##_dot_f32, \
	.l2sq_f32 = level##_l2sq_f32, \
	.l1_f32 = level##_l1_f32, \
	.fast_dot_f32 = level##_fast_dot_f32, \
	.fast_dot_f16 = level##_fast_dot_f16, \
	.fast_l2sq_f32 = level##_fast_l2sq_f32, \
	.below_f32 = level##_below_f32, \
	.between_keys = level##_between_keys, \
	.masked_u64 = level##_masked_u64, \
	.sort_u64 = level##_sort_u64, \
	.fht_f32 = level##_fht_f32, \
	.residual_f32 = level##_residual_f32, \
	.multiply_f32 = level##_multiply_f32, \
	.turn_f32 = level##_turn_f32, \
	.range_f32 = level##_range_f32, \
	.levels_f32 = level##_levels_f32, \
	.words_f32 = level##_words_f32, \
	.bits_u8 = level##_bits_u8, \
	.signs_f32 = level##_signs_f32, \
}

/*
 * Batch kernels come in pairs, codes by pointer and by stride, which are one function over a
 * QvCodeList.  The file of a level has that function, always_inline where it matters:
 * hamming_list(), intersection_list(), planes_list(), dot_i8_list().  target is the file's
 * QV_TARGET(), empty where there is none.
 */
#define QV_DEFINE_BIT_BATCHES(target, level) \
target static void \
level##_hamming_many(const uint8_t *query, const uint8_t *const *codes, int ncodes, size_t nbytes, uint32_t *out) \
{ \
	hamming_list(query, qv_codes_by_pointer(codes), ncodes, nbytes, out); \
} \
\
target static void \
level##_hamming_strided(const uint8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, \
						uint32_t *out) \
{ \
	hamming_list(query, qv_codes_by_stride(base, stride), ncodes, nbytes, out); \
} \
\
target static void \
level##_intersection_many(const uint8_t *query, const uint8_t *const *codes, int ncodes, size_t nbytes, \
						  uint32_t *inter, uint32_t *codebits) \
{ \
	intersection_list(query, qv_codes_by_pointer(codes), ncodes, nbytes, inter, codebits); \
} \
\
target static void \
level##_intersection_strided(const uint8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, \
							 uint32_t *inter, uint32_t *codebits) \
{ \
	intersection_list(query, qv_codes_by_stride(base, stride), ncodes, nbytes, inter, codebits); \
}

#define QV_DEFINE_PLANE_BATCHES(target, level) \
target static void \
level##_planes4_many(const uint8_t *planes, const uint8_t *const *codes, int ncodes, size_t nbytes, uint32_t *out) \
{ \
	planes_list(planes, qv_codes_by_pointer(codes), ncodes, nbytes, out); \
} \
\
target static void \
level##_planes4_strided(const uint8_t *planes, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, \
						uint32_t *out) \
{ \
	planes_list(planes, qv_codes_by_stride(base, stride), ncodes, nbytes, out); \
}

#define QV_DEFINE_DOT_BATCHES(target, level) \
target static void \
level##_dot_i8_many(const int8_t *query, const uint8_t *const *codes, int ncodes, size_t n, int32_t *out) \
{ \
	dot_i8_list(query, qv_codes_by_pointer(codes), ncodes, n, out); \
} \
\
target static void \
level##_dot_i8_strided(const int8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t n, int32_t *out) \
{ \
	dot_i8_list(query, qv_codes_by_stride(base, stride), ncodes, n, out); \
}

/* All pairs, one row after the other: for levels that have nothing better. */
#define QV_DEFINE_DOT_BLOCK(target, level) \
target static void \
level##_dot_i8_block(const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes, size_t n, \
					 int32_t *out) \
{ \
	for (int i = 0; i < nqueries; i++) \
		dot_i8_list((const int8_t *) queries + stride * (size_t) i, qv_codes_by_stride(base, stride), ncodes, n, \
					out + (size_t) ncodes * (size_t) i); \
}

/* What is summed of two floats; sum_floats() of the level's file does it. */
typedef enum QvFloatOp
{
	QV_FLOAT_DOT,
	QV_FLOAT_L2SQ,
	QV_FLOAT_L1
} QvFloatOp;

#define QV_DEFINE_FLOAT_SUMS(target, level) \
target static double \
level##_dot_f32(const float *a, const float *b, size_t n) \
{ \
	return sum_floats(QV_FLOAT_DOT, a, b, n); \
} \
\
target static double \
level##_l2sq_f32(const float *a, const float *b, size_t n) \
{ \
	return sum_floats(QV_FLOAT_L2SQ, a, b, n); \
} \
\
target static double \
level##_l1_f32(const float *a, const float *b, size_t n) \
{ \
	return sum_floats(QV_FLOAT_L1, a, b, n); \
}

/* What is summed of a vector of floats and other numbers; fast_sum() of the level's file does it. */
typedef enum QvFastOp
{
	QV_FAST_DOT,
	QV_FAST_DOT_HALVES,
	QV_FAST_L2SQ
} QvFastOp;

#define QV_DEFINE_FAST_SUMS(target, level) \
target static float \
level##_fast_dot_f32(const float *a, const float *b, size_t n) \
{ \
	return fast_sum(QV_FAST_DOT, a, b, n); \
} \
\
target static float \
level##_fast_dot_f16(const float *a, const uint16_t *halves, size_t n) \
{ \
	return fast_sum(QV_FAST_DOT_HALVES, a, halves, n); \
} \
\
target static float \
level##_fast_l2sq_f32(const float *a, const float *b, size_t n) \
{ \
	return fast_sum(QV_FAST_L2SQ, a, b, n); \
}

/* The term of fast_sum() for one element. */
QV_INLINE float
qv_fast_term(QvFastOp op, const float *a, const void *b, size_t i)
{
	float		x = ((const QvFloat *) a)[i];
	float		y = op == QV_FAST_DOT_HALVES ? qv_float_of_half(((const QvHalf *) b)[i]) : ((const QvFloat *) b)[i];
	float		d = x - y;

	return op == QV_FAST_L2SQ ? d * d : x * y;
}

#endif							/* QV_KERNEL_LEVELS_H */
