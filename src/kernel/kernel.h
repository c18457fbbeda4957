/*
 * kernel.h
 *		Distances on raw bytes and floats, one implementation per instruction set.
 *
 * Floor 0: knows no PostgreSQL, allocates nothing, raises nothing.  The scalar
 * level is the specification; every other level returns the same bits for the
 * same input (see README.md, "Same bits at every level").  All pointers may be
 * unaligned, and no byte past the stated length is ever read.
 */
#ifndef QV_KERNEL_H
#define QV_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Ask the processor for the line at an address, which may be any.  The empty statement stands for an effect: for gcc 12 a function that
 * does nothing but prefetch has none, and calls of it are dropped.
 */
static inline void
qv_prefetch(const void *address)
{
	__builtin_prefetch(address);
	__asm__ volatile ("" : : "r" (address));
}

/*
 * Where as many bytes lie as are read now, which will be read soon and after those; where that is not known, what is read now.
 * Prefetched and not touched, so a wrong address does no harm.
 */
typedef struct QvAhead
{
	const uint8_t *soon;
	const uint8_t *later;
} QvAhead;

#define QV_CACHE_LINE_NBYTES	64

/* The largest word of words_f32, and the negative of the smallest: 128 * 127, so that two signed bytes hold it. */
#define QV_MAX_WORD		16256

/*
 * Prefetch nbytes of what is ahead, from such an offset on.  Called for a few codes at a time, for memory has nothing to do while
 * nobody asks.  Each line is asked for twice: while as many reads are on their way as there can be, the processor drops a prefetch,
 * and what was dropped far ahead is asked for again.  Into the second-level cache, for the first has room for fewer reads on their way.
 */
static inline __attribute__((always_inline)) void
qv_prefetch_ahead(QvAhead ahead, size_t from, size_t nbytes)
{
	for (size_t at = from; at < from + nbytes; at += QV_CACHE_LINE_NBYTES)
	{
		__builtin_prefetch(ahead.later + at, 0, 2);
		__builtin_prefetch(ahead.soon + at, 0, 2);
	}
}

/* Codes that are read from first to last, stride bytes apart. */
typedef struct QvCodeRun
{
	const uint8_t *base;
	size_t		stride;
	int			ncodes;
	QvAhead		ahead;
} QvCodeRun;

/* What a code of bits has behind its bits; members and order are the format (src/codec/README.md, "Slots"). */
typedef struct QvFactors
{
	float		norm;			/* |r| */
	uint16_t	inv_x0;			/* |r| sqrt(D) / |r|_1, in steps of 1/4096 */
	uint16_t	nset;			/* bits set */
} QvFactors;

/*
 * How counted bits and factors make a distance (src/codec/ESTIMATES.md, "Estimates"):
 *		ip = norm * inv_x0 * (step * (2 * sum - level_sum) + low * (2 * nset - nbits)) + xc
 *		distance = constant + norm_weight * norm * norm + ip_weight * ip
 */
typedef struct QvEstimate
{
	int32_t		nbits;			/* of a code */
	int32_t		level_sum;		/* of the quantised query */
	float		step;
	float		low;
	float		constant;
	float		norm_weight;
	float		ip_weight;
} QvEstimate;

typedef struct QvKernels
{
	const char *name;			/* "scalar", "avx2", "avx512", "neon" */

	/* Packed bits.  nbytes is the length of each code. */
	uint32_t	(*popcount) (const uint8_t *a, size_t nbytes);
	uint32_t	(*hamming) (const uint8_t *a, const uint8_t *b, size_t nbytes);
	/* popcount(a & b); Jaccard follows from it and the two popcounts */
	uint32_t	(*intersection) (const uint8_t *a, const uint8_t *b, size_t nbytes);
	/* sum over j = 0..3 of 2^j * popcount(code & plane j); planes holds four runs of nbytes */
	uint32_t	(*planes4) (const uint8_t *planes, const uint8_t *code, size_t nbytes);

	/*
	 * The same against ncodes codes: either by pointer, or laid out stride
	 * bytes apart from base.  out has ncodes elements.
	 */
	void		(*hamming_many) (const uint8_t *query, const uint8_t *const *codes, int ncodes, size_t nbytes, uint32_t *out);
	void		(*hamming_strided) (const uint8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, uint32_t *out);
	void		(*intersection_many) (const uint8_t *query, const uint8_t *const *codes, int ncodes, size_t nbytes, uint32_t *inter, uint32_t *codebits);
	void		(*intersection_strided) (const uint8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, uint32_t *inter, uint32_t *codebits);
	void		(*planes4_many) (const uint8_t *planes, const uint8_t *const *codes, int ncodes, size_t nbytes, uint32_t *out);
	void		(*planes4_strided) (const uint8_t *planes, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, uint32_t *out);

	/*
	 * The distances n sums of planes4 stand for, each operation rounded by itself, from left to right, and what is no finite number
	 * clamped to one.  xc is NULL for zeros.
	 */
	void		(*estimate) (const QvEstimate *how, const uint32_t *sums, const QvFactors *factors, const float *xc, int n, float *dist);

	/*
	 * hamming of each of nqueries codes and each of ncodes, both stride bytes
	 * apart; out holds a row of ncodes for each query.
	 */
	void		(*hamming_block) (const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes, size_t nbytes, uint32_t *out);

	/*
	 * Of the codes of a run those whose hamming is less than limit: their places, in order, to
	 * near and their distances to out, which have room for all; returns how many.
	 */
	uint32_t	(*hamming_below) (const uint8_t *query, const QvCodeRun *run, size_t nbytes, uint32_t limit, uint32_t *near, uint32_t *out);

	/* Signed bytes, n <= 32768 so that no sum leaves its type. */
	int32_t		(*dot_i8) (const int8_t *a, const int8_t *b, size_t n);
	uint32_t	(*l2sq_i8) (const int8_t *a, const int8_t *b, size_t n);
	uint32_t	(*l1_i8) (const int8_t *a, const int8_t *b, size_t n);
	int32_t		(*sum_i8) (const int8_t *a, size_t n);
	/* dot_i8 of query and ncodes codes, by pointer or stride bytes apart */
	void		(*dot_i8_many) (const int8_t *query, const uint8_t *const *codes, int ncodes, size_t n, int32_t *out);
	void		(*dot_i8_strided) (const int8_t *query, const uint8_t *base, size_t stride, int ncodes, size_t n, int32_t *out);
	/* dot_i8 of each of nqueries codes and each of ncodes, both stride bytes apart; out holds a row of ncodes for each query */
	void		(*dot_i8_block) (const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes, size_t n, int32_t *out);

	/*
	 * Floats.  Sixteen double accumulators, element i into accumulator i mod
	 * 16, added up in one fixed tree; no fused multiply-add.  So the result
	 * is one number whatever the level.
	 */
	double		(*dot_f32) (const float *a, const float *b, size_t n);
	double		(*l2sq_f32) (const float *a, const float *b, size_t n);
	double		(*l1_f32) (const float *a, const float *b, size_t n);

	/*
	 * The same at single precision, for estimates: sixty-four float
	 * accumulators, element i into accumulator i mod 64, one fixed tree.
	 * halves are IEEE half precision numbers, converted exactly.
	 */
	float		(*fast_dot_f32) (const float *a, const float *b, size_t n);
	float		(*fast_dot_f16) (const float *a, const uint16_t *halves, size_t n);
	float		(*fast_l2sq_f32) (const float *a, const float *b, size_t n);

	/* The places, in order, of the elements of x that are less than limit, to out, which has room for n; returns how many. */
	uint32_t	(*below_f32) (const float *x, uint32_t n, float limit, uint32_t *out);

	/*
	 * Which of n signed keys of 1, 2, 4 or 8 bytes lie from low to high, both of which fit a key; which of n words have these bits
	 * under a mask.  For each that does, bit i % 64 of word i / 64 of bits is set, and no other bit is changed.
	 */
	void		(*between_keys) (const void *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint64_t *bits);
	void		(*masked_u64) (const uint64_t *words, uint32_t n, uint64_t mask, uint64_t want, uint64_t *bits);

	/* n keys, all different, in ascending order to out, which is elsewhere.  Each is compared with each: for a few dozen. */
	void		(*sort_u64) (const uint64_t *keys, uint32_t n, uint64_t *out);

	/* In-place fast Walsh-Hadamard transform, unscaled, n a power of two >= 1. */
	void		(*fht_f32) (float *x, size_t n);

	/*
	 * What else makes codes and queries of values: element by element, each
	 * operation rounded by itself.  n is a multiple of 32, but for residual_f32.
	 */
	/* out[i] = x[i] * scale - centre[i], the product in double and rounded to float; any n */
	void		(*residual_f32) (const float *x, double scale, const float *centre, size_t n, float *out);
	/* x[i] *= factor[i] */
	void		(*multiply_f32) (float *x, const float *factor, size_t n);
	/* turn (a[i], b[i]) by 45 degrees: each times cos 45, then their sum and their difference */
	void		(*turn_f32) (float *a, float *b, size_t n);
	/* smallest and largest; n > 0.  A NaN may be either, or be passed over */
	void		(*range_f32) (const float *x, size_t n, float *low, float *high);
	/* (x[i] - low) * per_step to the nearest of 0 to max_level <= 255, halves upwards and NaN to max_level; returns the sum */
	int32_t		(*levels_f32) (const float *x, size_t n, float low, float per_step, int max_level, uint8_t *level);
	/* x[i] * per_step to the nearest of -QV_MAX_WORD to QV_MAX_WORD, as 128 * high[i] + low[i], -64 <= low[i] < 64; returns the sum */
	int32_t		(*words_f32) (const float *x, size_t n, float per_step, int8_t *high, int8_t *low);
	/* bit i of out (order as below) = bit j < 8 of x[i] */
	void		(*bits_u8) (const uint8_t *x, size_t n, int j, uint8_t *out);

	/* bit i of out (most significant bit of byte 0 first) = x[i] > 0; padding bits zero; (n + 7) / 8 bytes */
	void		(*signs_f32) (const float *x, size_t n, uint8_t *out);
} QvKernels;

/* The level in use: the best this machine runs, unless another was forced. */
extern const QvKernels *qv_kernels(void);

/*
 * Force a level by name ("auto" undoes it).  Returns false, and changes
 * nothing, where the name is unknown or the machine cannot run that level.
 */
extern bool qv_kernels_force(const char *name);

/* Level i of those compiled in (0 = scalar), or NULL past the last; *usable says whether this machine runs it. */
extern const QvKernels *qv_kernels_level(int i, bool *usable);

#endif							/* QV_KERNEL_H */
