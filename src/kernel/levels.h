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

#endif							/* QV_KERNEL_LEVELS_H */
