/*
 * avx2.c
 *		The kernels on 256-bit registers: AVX2 with POPCNT and F16C.
 *
 * Must not be called before dispatch.c has seen that processor and operating
 * system allow it; compiles to nothing elsewhere.  There are no masked byte
 * loads here: the tail of a run of 32 bytes or more is the last 32 bytes with
 * those already counted masked off, shorter runs go word by word.  See
 * README.md, "The batch kernels" and "Same bits at every level".
 */
#include <float.h>

#include "kernel/levels.h"

#ifdef QV_HAVE_X86_LEVELS
#include <immintrin.h>

#define AVX2	QV_TARGET("avx2,popcnt,f16c")

AVX2 QV_INLINE __m256i
load(const void *p)
{
	return _mm256_loadu_si256(p);
}

AVX2 QV_INLINE uint64_t
sum_epi64(__m256i v)
{
	__m128i		two = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	return (uint64_t) _mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}

AVX2 QV_INLINE uint32_t
sum_epi32(__m256i v)
{
	__m128i		four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
	__m128i		two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));

	return (uint32_t) _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

/* ---- bits ---- */

AVX2 QV_INLINE __m256i
combine(QvBitOp op, __m256i a, __m256i b)
{
	if (op == QV_BITS_XOR)
		return _mm256_xor_si256(a, b);
	if (op == QV_BITS_AND)
		return _mm256_and_si256(a, b);
	return b;
}

AVX2 QV_INLINE uint64_t
combine_word(QvBitOp op, uint64_t a, uint64_t b)
{
	return op == QV_BITS_XOR ? a ^ b : op == QV_BITS_AND ? a & b : b;
}

/* Bits set in each byte, by looking up both halves of it (Mula, Kurz, Lemire 2016). */
AVX2 QV_INLINE __m256i
count_bytes(__m256i v)
{
	__m256i		table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
										 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	__m256i		nibble = _mm256_set1_epi8(15);

	return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble)),
						   _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
}

AVX2 QV_INLINE __m256i
sum_bytes(__m256i v)
{
	return _mm256_sad_epu8(v, _mm256_setzero_si256());
}

/*
 * The last 32 bytes of a run are loaded whole; of these the bytes from the last
 * multiple of 32 on are new.  All of them, if the run is a multiple of 32.
 */
AVX2 QV_INLINE __m256i
tail_mask(size_t nbytes)
{
	static const uint8_t window[64] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
	};

	return load(window + (nbytes - 1) % 32 + 1);
}

AVX2 QV_INLINE uint32_t
count_words(QvBitOp op, const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint32_t	sum = 0;
	size_t		i = 0;

	for (; i + 8 <= nbytes; i += 8)
		sum += (uint32_t) __builtin_popcountll(combine_word(op, qv_load_word(a + i), qv_load_word(b + i)));
	if (i < nbytes)
		sum += (uint32_t) __builtin_popcountll(combine_word(op, qv_load_partial_word(a + i, nbytes - i),
															qv_load_partial_word(b + i, nbytes - i)));
	return sum;
}

/* Counts of eight words are at most 64 a byte: they are summed as bytes, widened once. */
AVX2 QV_INLINE uint32_t
count_run(QvBitOp op, const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	__m256i		sum = _mm256_setzero_si256();
	__m256i		bytes;
	size_t		i = 0;

	if (nbytes < 32)
		return count_words(op, a, b, nbytes);
#define ADD(k) bytes = _mm256_add_epi8(bytes, count_bytes(combine(op, load(a + i + 32 * (k)), load(b + i + 32 * (k)))));
	for (; i + 256 <= nbytes; i += 256)
	{
		bytes = _mm256_setzero_si256();
		QV_REPEAT8(ADD)
		sum = _mm256_add_epi64(sum, sum_bytes(bytes));
	}
	bytes = _mm256_setzero_si256();
	for (; i + 32 <= nbytes; i += 32)
		ADD(0)
#undef ADD
	if (i < nbytes)
		bytes = _mm256_add_epi8(bytes, count_bytes(_mm256_and_si256(tail_mask(nbytes),
																	combine(op, load(a + nbytes - 32), load(b + nbytes - 32)))));
	return (uint32_t) sum_epi64(_mm256_add_epi64(sum, sum_bytes(bytes)));
}

AVX2 static uint32_t
avx2_popcount(const uint8_t *a, size_t nbytes)
{
	return count_run(QV_BITS_ONE, a, a, nbytes);
}

AVX2 static uint32_t
avx2_hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return count_run(QV_BITS_XOR, a, b, nbytes);
}

AVX2 static uint32_t
avx2_intersection(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return count_run(QV_BITS_AND, a, b, nbytes);
}

/* Store the sums of the 64-bit lanes, each below 2^32, of four registers. */
AVX2 QV_INLINE void
store_four(uint32_t *out, const __m256i *s)
{
	__m256i		pair01 = _mm256_add_epi64(s[0], _mm256_slli_epi64(s[1], 32));
	__m256i		pair23 = _mm256_add_epi64(s[2], _mm256_slli_epi64(s[3], 32));
	__m256i		quad = _mm256_add_epi32(_mm256_unpacklo_epi64(pair01, pair23),
										_mm256_unpackhi_epi64(pair01, pair23));

	_mm_storeu_si128((__m128i *) out, _mm_add_epi32(_mm256_castsi256_si128(quad),
													_mm256_extracti128_si256(quad, 1)));
}

/* A byte of count_bytes() is at most 8, so the counts of 31 words fit a byte. */
#define MAX_FOUR_NBYTES		(31 * 32)

/* op of query and each of four codes of 32 to MAX_FOUR_NBYTES; the codes' own counts unless ones is NULL. */
AVX2 QV_INLINE void
count_four(QvBitOp op, const uint8_t *query, QvCodeList list, int first, size_t nbytes,
		   uint32_t *out, uint32_t *ones)
{
	const uint8_t *code[4];
	__m256i		sum[4];
	__m256i		one[4];
	__m256i		mask = tail_mask(nbytes);
	__m256i		word;
	size_t		last = nbytes - 32;
	size_t		i;

#define START(k) \
	code[k] = qv_code_at(list, first + (k)); \
	sum[k] = one[k] = _mm256_setzero_si256();
	QV_REPEAT4(START)
#undef START
#define ADD(k, loaded) \
	{ \
		__m256i		bits = (loaded); \
		\
		sum[k] = _mm256_add_epi8(sum[k], count_bytes(combine(op, word, bits))); \
		if (ones != NULL) \
			one[k] = _mm256_add_epi8(one[k], count_bytes(bits)); \
	}
	for (i = 0; i < last; i += 32)
	{
		word = load(query + i);
#define FULL(k) ADD(k, load(code[k] + i))
		QV_REPEAT4(FULL)
#undef FULL
	}
	word = _mm256_and_si256(mask, load(query + last));
#define TAIL(k) ADD(k, _mm256_and_si256(mask, load(code[k] + last)))
	QV_REPEAT4(TAIL)
#undef TAIL
#undef ADD
#define SUM(k) sum[k] = sum_bytes(sum[k]); one[k] = sum_bytes(one[k]);
	QV_REPEAT4(SUM)
#undef SUM
	store_four(out + first, sum);
	if (ones != NULL)
		store_four(ones + first, one);
}

AVX2 QV_INLINE void
count_list(QvBitOp op, const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
		   uint32_t *out, uint32_t *ones)
{
	int			i = 0;

	if (nbytes >= 32 && nbytes <= MAX_FOUR_NBYTES)
	{
		for (; i + 4 <= ncodes; i += 4)
			count_four(op, query, list, i, nbytes, out, ones);
	}
	for (; i < ncodes; i++)
	{
		const uint8_t *code = qv_code_at(list, i);

		out[i] = count_run(op, query, code, nbytes);
		if (ones != NULL)
			ones[i] = count_run(QV_BITS_ONE, code, code, nbytes);
	}
}

AVX2 QV_INLINE void
hamming_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	count_list(QV_BITS_XOR, query, list, ncodes, nbytes, out, NULL);
}

AVX2 QV_INLINE void
intersection_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
				  uint32_t *inter, uint32_t *codebits)
{
	count_list(QV_BITS_AND, query, list, ncodes, nbytes, inter, codebits);
}

QV_DEFINE_BIT_BATCHES(AVX2, avx2)

AVX2 static void
avx2_hamming_block(const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes,
				   size_t nbytes, uint32_t *out)
{
	for (int i = 0; i < nqueries; i++)
		avx2_hamming_strided(queries + stride * (size_t) i, base, stride, ncodes, nbytes, out + (size_t) ncodes * (size_t) i);
}

AVX2 static uint32_t
avx2_hamming_below(const uint8_t *query, const QvCodeRun *run, size_t nbytes, uint32_t limit, uint32_t *near, uint32_t *out)
{
	return qv_hamming_below(avx2_hamming_strided, query, run, nbytes, limit, near, out);
}

/* ---- four bit planes ---- */

/*
 * Weighted counts of one word's bytes: at most 8 * (1 + 2 + 4 + 8) = 120.  The
 * look-up tables are multiplied by the weight of their plane, so that nothing
 * is left to multiply.
 */
AVX2 QV_INLINE __m256i
count_planes(const uint8_t *planes, size_t nbytes, __m256i code)
{
	__m256i		table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
										 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	__m256i		nibble = _mm256_set1_epi8(15);
	__m256i		sum = _mm256_setzero_si256();

#define PLANE(j) \
	{ \
		__m256i		bits = _mm256_and_si256(code, load(planes + (j) * nbytes)); \
		__m256i		weighted = _mm256_slli_epi16(table, (j)); \
		\
		sum = _mm256_add_epi8(sum, _mm256_shuffle_epi8(weighted, _mm256_and_si256(bits, nibble))); \
		bits = _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibble); \
		sum = _mm256_add_epi8(sum, _mm256_shuffle_epi8(weighted, bits)); \
	}
	QV_REPEAT4(PLANE)
#undef PLANE
	return sum;
}

/* Weighted 64-bit sums of one code of 32 bytes or more. */
AVX2 QV_INLINE __m256i
planes_run(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	__m256i		sum = _mm256_setzero_si256();
	size_t		last = nbytes - 32;
	__m256i		bytes;

	for (size_t i = 0; i < last; i += 32)
		sum = _mm256_add_epi64(sum, sum_bytes(count_planes(planes + i, nbytes, load(code + i))));
	bytes = count_planes(planes + last, nbytes, _mm256_and_si256(tail_mask(nbytes), load(code + last)));
	return _mm256_add_epi64(sum, sum_bytes(bytes));
}

AVX2 static uint32_t
avx2_planes4(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	uint32_t	sum = 0;

	if (nbytes >= 32)
		return (uint32_t) sum_epi64(planes_run(planes, code, nbytes));
	for (int j = 0; j < 4; j++)
		sum += count_words(QV_BITS_AND, planes + (size_t) j * nbytes, code, nbytes) << j;
	return sum;
}

AVX2 QV_INLINE void
planes_list(const uint8_t *planes, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	int			i = 0;

	if (nbytes >= 32)
	{
		for (; i + 4 <= ncodes; i += 4)
		{
			__m256i		sum[4];

#define RUN(k) sum[k] = planes_run(planes, qv_code_at(list, i + (k)), nbytes);
			QV_REPEAT4(RUN)
#undef RUN
			store_four(out + i, sum);
		}
	}
	for (; i < ncodes; i++)
		out[i] = avx2_planes4(planes, qv_code_at(list, i), nbytes);
}

QV_DEFINE_PLANE_BATCHES(AVX2, avx2)

/* Eight distances. */
AVX2 QV_INLINE __m256
estimate_eight(const QvEstimate *how, __m256i sums, const QvFactors *factors, __m256 xc)
{
	__m256		first = _mm256_castsi256_ps(load(factors));
	__m256		second = _mm256_castsi256_ps(load(factors + 4));
	/* every other word of either, in each half of the registers; then the quarters are put in order */
	__m256d		norms = _mm256_castps_pd(_mm256_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0)));
	__m256i		words = _mm256_castps_si256(_mm256_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
	__m256		norm = _mm256_castpd_ps(_mm256_permute4x64_pd(norms, _MM_SHUFFLE(3, 1, 2, 0)));
	__m256i		packed = _mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0));
	__m256		inv_x0 = _mm256_cvtepi32_ps(_mm256_and_si256(packed, _mm256_set1_epi32(0xFFFF)));
	__m256i		nset_twice = _mm256_slli_epi32(_mm256_srli_epi32(packed, 16), 1);
	__m256		excess = _mm256_cvtepi32_ps(_mm256_sub_epi32(nset_twice, _mm256_set1_epi32(how->nbits)));
	__m256		steps = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_slli_epi32(sums, 1), _mm256_set1_epi32(how->level_sum)));
	__m256		total = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(how->step), steps), _mm256_mul_ps(_mm256_set1_ps(how->low), excess));
	__m256		ip = _mm256_add_ps(_mm256_mul_ps(_mm256_mul_ps(norm, inv_x0), total), xc);
	__m256		square = _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(how->norm_weight), norm), norm);
	__m256		dist = _mm256_add_ps(_mm256_add_ps(_mm256_set1_ps(how->constant), square),
									 _mm256_mul_ps(_mm256_set1_ps(how->ip_weight), ip));

	return _mm256_max_ps(_mm256_min_ps(dist, _mm256_set1_ps(FLT_MAX)), _mm256_set1_ps(-FLT_MAX));
}

AVX2 static void
avx2_estimate(const QvEstimate *how, const uint32_t *sums, const QvFactors *factors, const float *xc, int n, float *dist)
{
	int			i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(dist + i, estimate_eight(how, load(sums + i), factors + i, xc != NULL ? _mm256_loadu_ps(xc + i) : _mm256_setzero_ps()));
	qv_kernels_scalar.estimate(how, sums + i, factors + i, xc != NULL ? xc + i : NULL, n - i, dist + i);
}

/* ---- signed bytes ---- */

/* x + 128 as an unsigned byte: the order and the differences of signed bytes, kept */
AVX2 QV_INLINE __m256i
biased(__m256i x)
{
	return _mm256_xor_si256(x, _mm256_set1_epi8(-128));
}

AVX2 QV_INLINE __m256i
load_words(const int8_t *p)
{
	return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) p));
}

/* Widened to 16 bits first: VPMADDUBSW saturates, and 128 * 128 * 2 does not fit it. */
AVX2 static int32_t
avx2_dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = _mm256_setzero_si256();
	size_t		i = 0;
	int32_t		sum;

	for (; i + 32 <= n; i += 32)
	{
		sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(load_words(a + i), load_words(b + i)));
		sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(load_words(a + i + 16), load_words(b + i + 16)));
	}
	sum = (int32_t) sum_epi32(_mm256_add_epi32(sum0, sum1));
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

AVX2 static uint32_t
avx2_l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i		low_bytes = _mm256_set1_epi16(255);
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = _mm256_setzero_si256();
	size_t		i = 0;
	uint32_t	sum;

	for (; i + 32 <= n; i += 32)
	{
		__m256i		x = load(a + i);
		__m256i		y = load(b + i);
		__m256i		d = _mm256_sub_epi8(_mm256_max_epi8(x, y), _mm256_min_epi8(x, y));
		__m256i		even = _mm256_and_si256(d, low_bytes);
		__m256i		odd = _mm256_srli_epi16(d, 8);

		sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(even, even));
		sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(odd, odd));
	}
	sum = sum_epi32(_mm256_add_epi32(sum0, sum1));
	for (; i < n; i++)
	{
		int			d = a[i] - b[i];

		sum += (uint32_t) (d * d);
	}
	return sum;
}

AVX2 static uint32_t
avx2_l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i		sums = _mm256_setzero_si256();
	size_t		i = 0;
	uint32_t	sum;

	for (; i + 32 <= n; i += 32)
		sums = _mm256_add_epi64(sums, _mm256_sad_epu8(biased(load(a + i)), biased(load(b + i))));
	sum = (uint32_t) sum_epi64(sums);
	for (; i < n; i++)
	{
		int			d = a[i] - b[i];

		sum += (uint32_t) (d < 0 ? -d : d);
	}
	return sum;
}

AVX2 static int32_t
avx2_sum_i8(const int8_t *a, size_t n)
{
	__m256i		sums = _mm256_setzero_si256();
	size_t		i = 0;
	int32_t		sum;

	for (; i + 32 <= n; i += 32)
		sums = _mm256_add_epi64(sums, sum_bytes(biased(load(a + i))));
	sum = (int32_t) sum_epi64(sums) - (int32_t) i * 128;
	for (; i < n; i++)
		sum += a[i];
	return sum;
}

/* Four codes share the widened query. */
AVX2 QV_INLINE void
dot_i8_four(const int8_t *query, QvCodeList list, int first, size_t n, int32_t *out)
{
	const int8_t *code[4];
	__m256i		sum[4];
	size_t		i = 0;

#define START(k) \
	code[k] = (const int8_t *) qv_code_at(list, first + (k)); \
	sum[k] = _mm256_setzero_si256();
	QV_REPEAT4(START)
#undef START
	for (; i + 16 <= n; i += 16)
	{
		__m256i		word = load_words(query + i);

#define ADD(k) sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(word, load_words(code[k] + i)));
		QV_REPEAT4(ADD)
#undef ADD
	}
	for (int k = 0; k < 4; k++)
	{
		int32_t		total = (int32_t) sum_epi32(sum[k]);

		for (size_t j = i; j < n; j++)
			total += query[j] * code[k][j];
		out[first + k] = total;
	}
}

AVX2 QV_INLINE void
dot_i8_list(const int8_t *query, QvCodeList list, int ncodes, size_t n, int32_t *out)
{
	int			i = 0;

	for (; i + 4 <= ncodes; i += 4)
		dot_i8_four(query, list, i, n, out);
	for (; i < ncodes; i++)
		out[i] = avx2_dot_i8(query, (const int8_t *) qv_code_at(list, i), n);
}

QV_DEFINE_DOT_BATCHES(AVX2, avx2)
QV_DEFINE_DOT_BLOCK(AVX2, avx2)

/* ---- floats ---- */

/* One step of four of the sixteen accumulators. */
AVX2 QV_INLINE __m256d
add_floats(QvFloatOp op, __m256d sum, const float *a, const float *b)
{
	__m256d		x = _mm256_cvtps_pd(_mm_loadu_ps(a));
	__m256d		y = _mm256_cvtps_pd(_mm_loadu_ps(b));
	__m256d		d;

	if (op == QV_FLOAT_DOT)
		return _mm256_add_pd(sum, _mm256_mul_pd(x, y));
	d = _mm256_sub_pd(x, y);
	if (op == QV_FLOAT_L1)
		return _mm256_add_pd(sum, _mm256_andnot_pd(_mm256_set1_pd(-0.0), d));
	return _mm256_add_pd(sum, _mm256_mul_pd(d, d));
}

AVX2 QV_INLINE double
sum_floats(QvFloatOp op, const float *a, const float *b, size_t n)
{
	__m256d		sum[4];
	double		s[16];
	size_t		i = 0;

#define CLEAR(k) sum[k] = _mm256_setzero_pd();
	QV_REPEAT4(CLEAR)
#undef CLEAR
	for (; i + 16 <= n; i += 16)
	{
#define ADD(k) sum[k] = add_floats(op, sum[k], a + i + 4 * (k), b + i + 4 * (k));
		QV_REPEAT4(ADD)
#undef ADD
	}
#define STORE(k) _mm256_storeu_pd(s + 4 * (k), sum[k]);
	QV_REPEAT4(STORE)
#undef STORE
	for (; i < n; i++)
	{
		double		x = ((const QvFloat *) a)[i];
		double		y = ((const QvFloat *) b)[i];
		double		d = x - y;

		if (op == QV_FLOAT_DOT)
			s[i % 16] += x * y;
		else if (op == QV_FLOAT_L1)
			s[i % 16] += __builtin_fabs(d);
		else
			s[i % 16] += d * d;
	}
	return qv_sum_tree(s);
}

QV_DEFINE_FLOAT_SUMS(AVX2, avx2)

/* qv_sum_tree_single() on registers. */
AVX2 QV_INLINE float
sum_tree_single(__m256 *s)
{
	__m256		eight = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(s[0], s[4]), _mm256_add_ps(s[2], s[6])),
									  _mm256_add_ps(_mm256_add_ps(s[1], s[5]), _mm256_add_ps(s[3], s[7])));
	__m128		four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128		two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#define LOAD_FLOATS(k) _mm256_loadu_ps((const float *) b + i + 8 * (k))
#define LOAD_HALVES(k) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) ((const uint16_t *) b + i + 8 * (k))))

AVX2 QV_INLINE __m256
fast_add(QvFastOp op, __m256 sum, __m256 x, __m256 y)
{
	__m256		d = _mm256_sub_ps(x, y);

	return _mm256_add_ps(sum, op == QV_FAST_L2SQ ? _mm256_mul_ps(d, d) : _mm256_mul_ps(x, y));
}

AVX2 QV_INLINE float
fast_sum(QvFastOp op, const float *a, const void *b, size_t n)
{
	__m256		sum[8];
	float		s[64];
	size_t		i = 0;

#define CLEAR(k) sum[k] = _mm256_setzero_ps();
	QV_REPEAT8(CLEAR)
#undef CLEAR
#define ADD(k) sum[k] = fast_add(op, sum[k], _mm256_loadu_ps(a + i + 8 * (k)), op == QV_FAST_DOT_HALVES ? LOAD_HALVES(k) : LOAD_FLOATS(k));
	for (; i + 64 <= n; i += 64)
	{
		QV_REPEAT8(ADD)
	}
#undef ADD
	if (i == n)
		return sum_tree_single(sum);
#define STORE(k) _mm256_storeu_ps(s + 8 * (k), sum[k]);
	QV_REPEAT8(STORE)
#undef STORE
	for (; i < n; i++)
		s[i % 64] += qv_fast_term(op, a, b, i);
	return qv_sum_tree_single(s);
}

QV_DEFINE_FAST_SUMS(AVX2, avx2)

/* ---- Walsh-Hadamard transform ---- */

/*
 * One stage within a register: swapped is x with the two halves of each pair
 * exchanged, sign has the sign bit in the upper half.  low + high below, low +
 * (-high) above: the same roundings as plain addition and subtraction.
 */
#define STAGE_WITHIN(x, swapped, sign) _mm256_add_ps((swapped), _mm256_xor_ps((x), (sign)))

AVX2 QV_INLINE __m256
stages_within(__m256 x)
{
	__m256		sign1 = _mm256_setr_ps(0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f);
	__m256		sign2 = _mm256_setr_ps(0.0f, 0.0f, -0.0f, -0.0f, 0.0f, 0.0f, -0.0f, -0.0f);
	__m256		sign4 = _mm256_setr_ps(0.0f, 0.0f, 0.0f, 0.0f, -0.0f, -0.0f, -0.0f, -0.0f);

	x = STAGE_WITHIN(x, _mm256_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1)), sign1);
	x = STAGE_WITHIN(x, _mm256_permute_ps(x, _MM_SHUFFLE(1, 0, 3, 2)), sign2);
	return STAGE_WITHIN(x, _mm256_permute2f128_ps(x, x, 1), sign4);
}

#define WALSH_TARGET		AVX2
#define WALSH_REGISTER		__m256
#define WALSH_LANES			8
#define WALSH_NREGS			8
#define WALSH_LOAD(p)		_mm256_loadu_ps(p)
#define WALSH_STORE(p, v)	_mm256_storeu_ps((p), (v))
#define WALSH_ADD(a, b)		_mm256_add_ps((a), (b))
#define WALSH_SUB(a, b)		_mm256_sub_ps((a), (b))
#define WALSH_WITHIN(v)		stages_within(v)
#include "kernel/walsh_template.h"

AVX2 static void
avx2_fht_f32(float *x, size_t n)
{
	if (n < WALSH_LANES)
		qv_kernels_scalar.fht_f32(x, n);
	else
		walsh(x, n);
}

AVX2 static uint32_t
avx2_below_f32(const float *values, uint32_t n, float limit, uint32_t *out)
{
	const QvFloat *x = values;
	__m256		limits = _mm256_set1_ps(limit);
	uint32_t	count = 0;
	uint32_t	i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m256		less = _mm256_cmp_ps(_mm256_loadu_ps(values + i), limits, _CMP_LT_OQ);

		for (unsigned bits = (unsigned) _mm256_movemask_ps(less); bits != 0; bits &= bits - 1)
			out[count++] = i + (uint32_t) __builtin_ctz(bits);
	}
	for (; i < n; i++)
	{
		if (x[i] < limit)
			out[count++] = i;
	}
	return count;
}

/* Four keys at a time against all; comparisons are signed, so the highest bit is turned over. */
AVX2 static void
avx2_sort_u64(const uint64_t *values, uint32_t n, uint64_t *result)
{
	const QvKey *keys = values;
	QvKey	   *out = result;
	__m256i		highest = _mm256_set1_epi64x(INT64_MIN);
	uint32_t	i = 0;

	for (; i + 4 <= n; i += 4)
	{
		__m256i		four = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *) (const void *) (keys + i)), highest);
		__m256i		rank = _mm256_setzero_si256();
		uint64_t	ranks[4];

		for (uint32_t j = 0; j < n; j++)
		{
			__m256i		other = _mm256_xor_si256(_mm256_set1_epi64x((int64_t) keys[j]), highest);

			rank = _mm256_sub_epi64(rank, _mm256_cmpgt_epi64(four, other));
		}
		_mm256_storeu_si256((__m256i *) ranks, rank);
		for (uint32_t k = 0; k < 4; k++)
			out[ranks[k]] = keys[i + k];
	}
	for (; i < n; i++)
		out[qv_rank(keys, n, keys[i])] = keys[i];
}

/* ---- from values to codes ---- */

AVX2 QV_INLINE __m128
scale_four(__m128 x, __m256d scale)
{
	return _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtps_pd(x), scale));
}

AVX2 static void
avx2_residual_f32(const float *x, double scale, const float *centre, size_t n, float *out)
{
	__m256d		scales = _mm256_set1_pd(scale);
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
		_mm_storeu_ps(out + i, _mm_sub_ps(scale_four(_mm_loadu_ps(x + i), scales), _mm_loadu_ps(centre + i)));
	qv_kernels_scalar.residual_f32(x + i, scale, centre + i, n - i, out + i);
}

AVX2 static void
avx2_multiply_f32(float *x, const float *factor, size_t n)
{
	for (size_t i = 0; i < n; i += 8)
		_mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(factor + i)));
}

AVX2 static void
avx2_turn_f32(float *a, float *b, size_t n)
{
	__m256		cos45 = _mm256_set1_ps(QV_COS45);

	for (size_t i = 0; i < n; i += 8)
	{
		__m256		x = _mm256_mul_ps(_mm256_loadu_ps(a + i), cos45);
		__m256		y = _mm256_mul_ps(_mm256_loadu_ps(b + i), cos45);

		_mm256_storeu_ps(a + i, _mm256_add_ps(x, y));
		_mm256_storeu_ps(b + i, _mm256_sub_ps(x, y));
	}
}

/* MINPS and MAXPS return their second operand where a comparison is false, so that is the one kept. */
AVX2 static void
avx2_range_f32(const float *x, size_t n, float *low, float *high)
{
	__m256		min0 = _mm256_loadu_ps(x);
	__m256		min1 = _mm256_loadu_ps(x + 8);
	__m256		max0 = min0;
	__m256		max1 = min1;
	__m128		min4;
	__m128		max4;

	for (size_t i = 16; i < n; i += 16)
	{
		__m256		v0 = _mm256_loadu_ps(x + i);
		__m256		v1 = _mm256_loadu_ps(x + i + 8);

		min0 = _mm256_min_ps(v0, min0);
		min1 = _mm256_min_ps(v1, min1);
		max0 = _mm256_max_ps(v0, max0);
		max1 = _mm256_max_ps(v1, max1);
	}
	min0 = _mm256_min_ps(min1, min0);
	max0 = _mm256_max_ps(max1, max0);
	min4 = _mm_min_ps(_mm256_extractf128_ps(min0, 1), _mm256_castps256_ps128(min0));
	max4 = _mm_max_ps(_mm256_extractf128_ps(max0, 1), _mm256_castps256_ps128(max0));
	min4 = _mm_min_ps(_mm_movehl_ps(min4, min4), min4);
	max4 = _mm_max_ps(_mm_movehl_ps(max4, max4), max4);
	*low = _mm_cvtss_f32(_mm_min_ss(_mm_movehdup_ps(min4), min4));
	*high = _mm_cvtss_f32(_mm_max_ss(_mm_movehdup_ps(max4), max4));
}

/* qv_truncate() of eight. */
AVX2 QV_INLINE __m256i
truncate_eight(__m256 x, __m256 max)
{
	return _mm256_cvttps_epi32(_mm256_max_ps(_mm256_min_ps(x, max), _mm256_setzero_ps()));
}

/* The lowest byte of each of eight. */
AVX2 QV_INLINE void
store_low_bytes(void *p, __m256i v)
{
	__m256i		packed = _mm256_shuffle_epi8(v, _mm256_set1_epi32(0x0C080400));

	_mm_storel_epi64(p, _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1)));
}

AVX2 static int32_t
avx2_levels_f32(const float *x, size_t n, float low, float per_step, int max_level, uint8_t *level)
{
	__m256		lows = _mm256_set1_ps(low);
	__m256		per_steps = _mm256_set1_ps(per_step);
	__m256		max = _mm256_set1_ps((float) max_level);
	__m256i		sum = _mm256_setzero_si256();

	for (size_t i = 0; i < n; i += 8)
	{
		__m256		steps = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), lows), per_steps);
		__m256i		u = truncate_eight(_mm256_add_ps(steps, _mm256_set1_ps(0.5f)), max);

		store_low_bytes(level + i, u);
		sum = _mm256_add_epi32(sum, u);
	}
	return (int32_t) sum_epi32(sum);
}

AVX2 static int32_t
avx2_words_f32(const float *x, size_t n, float per_step, int8_t *high, int8_t *low)
{
	__m256		per_steps = _mm256_set1_ps(per_step);
	__m256		bias = _mm256_set1_ps(QV_WORD_BIAS);
	__m256		max = _mm256_set1_ps(2 * QV_MAX_WORD);
	__m256i		sum = _mm256_setzero_si256();

	for (size_t i = 0; i < n; i += 8)
	{
		__m256i		w = truncate_eight(_mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), per_steps), bias), max);
		__m256i		nearest = _mm256_add_epi32(w, _mm256_set1_epi32(64));

		store_low_bytes(high + i, _mm256_sub_epi32(_mm256_srli_epi32(nearest, 7), _mm256_set1_epi32(QV_MAX_WORD / 128)));
		store_low_bytes(low + i, _mm256_sub_epi32(_mm256_and_si256(nearest, _mm256_set1_epi32(127)), _mm256_set1_epi32(64)));
		sum = _mm256_add_epi32(sum, _mm256_sub_epi32(w, _mm256_set1_epi32(QV_MAX_WORD)));
	}
	return (int32_t) sum_epi32(sum);
}

/* The bit is moved to the top of its byte; the first byte of eight is the most significant bit, so they are turned round first. */
AVX2 static void
avx2_bits_u8(const uint8_t *x, size_t n, int j, uint8_t *out)
{
	__m256i		reversed = _mm256_setr_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F, 0x0001020304050607, 0x08090A0B0C0D0E0F);
	__m128i		shift = _mm_cvtsi32_si128(7 - j);

	for (size_t i = 0; i < n; i += 32)
	{
		__m256i		v = _mm256_shuffle_epi8(load(x + i), reversed);
		int			bits = _mm256_movemask_epi8(_mm256_sll_epi16(v, shift));

		memcpy(out + i / 8, &bits, 4);
	}
}

/* All bits of the keys that are not in the range. */
AVX2 QV_INLINE __m256i
outside_range(int nbytes, const uint8_t *at, __m256i low, __m256i high)
{
	__m256i		keys = _mm256_loadu_si256((const __m256i *) (const void *) at);

	switch (nbytes)
	{
		case 1:
			return _mm256_or_si256(_mm256_cmpgt_epi8(low, keys), _mm256_cmpgt_epi8(keys, high));
		case 2:
			return _mm256_or_si256(_mm256_cmpgt_epi16(low, keys), _mm256_cmpgt_epi16(keys, high));
		case 4:
			return _mm256_or_si256(_mm256_cmpgt_epi32(low, keys), _mm256_cmpgt_epi32(keys, high));
		default:
			return _mm256_or_si256(_mm256_cmpgt_epi64(low, keys), _mm256_cmpgt_epi64(keys, high));
	}
}

/* Bits of 32 keys of one byte or 16 of two at a time; of four and eight bytes eight keys. */
AVX2 QV_INLINE uint32_t
between_keys(const uint8_t *keys, int nbytes, int64_t low, int64_t high, uint32_t n, uint8_t *bits)
{
	__m256i		lows = nbytes == 1 ? _mm256_set1_epi8((char) low) : nbytes == 2 ? _mm256_set1_epi16((short) low) :
		nbytes == 4 ? _mm256_set1_epi32((int) low) : _mm256_set1_epi64x(low);
	__m256i		highs = nbytes == 1 ? _mm256_set1_epi8((char) high) : nbytes == 2 ? _mm256_set1_epi16((short) high) :
		nbytes == 4 ? _mm256_set1_epi32((int) high) : _mm256_set1_epi64x(high);
	uint32_t	step = nbytes == 1 ? 32 : nbytes == 2 ? 16 : 8;
	uint32_t	i = 0;

	for (; i + step <= n; i += step)
	{
		const uint8_t *at = keys + (size_t) i * (size_t) nbytes;
		__m256i		outside = outside_range(nbytes, at, lows, highs);
		uint32_t	found;

		if (nbytes == 1)
			found = ~(uint32_t) _mm256_movemask_epi8(outside);
		else if (nbytes == 2)
			found = ~(uint32_t) _mm256_movemask_epi8(_mm256_permute4x64_epi64(_mm256_packs_epi16(outside, outside), 0xD8)) & 0xFFFF;
		else if (nbytes == 4)
			found = ~(uint32_t) _mm256_movemask_ps(_mm256_castsi256_ps(outside)) & 0xFF;
		else
			found = (~(uint32_t) _mm256_movemask_pd(_mm256_castsi256_pd(outside)) & 0xF) |
				(~(uint32_t) _mm256_movemask_pd(_mm256_castsi256_pd(outside_range(8, at + 32, lows, highs))) & 0xF) << 4;
		for (uint32_t j = 0; j < step / 8; j++)
			bits[i / 8 + j] |= (uint8_t) (found >> 8 * j);
	}
	return i;
}

AVX2 static void
avx2_between_keys(const void *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint64_t *words)
{
	uint8_t    *bits = (uint8_t *) words;
	uint32_t	done;

	switch (nbytes)
	{
		case 1:
			done = between_keys(keys, 1, low, high, n, bits);
			break;
		case 2:
			done = between_keys(keys, 2, low, high, n, bits);
			break;
		case 4:
			done = between_keys(keys, 4, low, high, n, bits);
			break;
		default:
			done = between_keys(keys, 8, low, high, n, bits);
	}
	for (; done < n; done++)
	{
		int64_t		key = qv_signed_key(keys, nbytes, done);

		bits[done / 8] |= (uint8_t) ((key >= low && key <= high) << done % 8);
	}
}

AVX2 static void
avx2_masked_u64(const uint64_t *words, uint32_t n, uint64_t mask, uint64_t want, uint64_t *result)
{
	uint8_t    *bits = (uint8_t *) result;
	__m256i		masks = _mm256_set1_epi64x((int64_t) mask);
	__m256i		wants = _mm256_set1_epi64x((int64_t) want);
	const uint8_t *at = (const uint8_t *) words;
	uint32_t	i = 0;

	for (; i + 8 <= n; i += 8, at += 64)
	{
		__m256i		first = _mm256_and_si256(_mm256_loadu_si256((const __m256i *) (const void *) at), masks);
		__m256i		second = _mm256_and_si256(_mm256_loadu_si256((const __m256i *) (const void *) (at + 32)), masks);

		bits[i / 8] |= (uint8_t) (_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(first, wants))) |
								  _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(second, wants))) << 4);
	}
	for (; i < n; i++)
		bits[i / 8] |= (uint8_t) (((uint64_t) qv_signed_key(words, 8, i) & mask) == want) << i % 8;
}

/* Element 0 is the most significant bit: the elements of each byte are turned round first. */
AVX2 static void
avx2_signs_f32(const float *x, size_t n, uint8_t *out)
{
	__m256i		reversed = _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0);
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m256		v = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x + i), reversed);

		out[i / 8] = (uint8_t) _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ));
	}
	qv_kernels_scalar.signs_f32(x + i, n - i, out + i / 8);
}

const QvKernels qv_kernels_avx2 = QV_KERNELS_OF(avx2);

#endif							/* QV_HAVE_X86_LEVELS */
