/*
 * avx512.c
 *		The kernels on 512-bit registers: AVX-512 with VPOPCNTDQ and VNNI.
 *
 * Must not be called before dispatch.c has seen that processor and operating
 * system allow it; compiles to nothing elsewhere.  A tail is loaded under a
 * mask, so no byte past the end is touched, and the bytes masked off are zero,
 * which adds nothing to any sum here.  See README.md, "The batch kernels" and
 * "Same bits at every level".
 */
#include <float.h>

#include "kernel/levels.h"

#ifdef QV_HAVE_X86_LEVELS
#include <immintrin.h>

#define AVX512	QV_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,popcnt")

/* n < 64 ones */
AVX512 QV_INLINE __mmask64
low_bits(size_t n)
{
	return (UINT64_C(1) << n) - 1;
}

AVX512 QV_INLINE __m512i
load(const void *p)
{
	return _mm512_loadu_si512(p);
}

AVX512 QV_INLINE __m512i
load_tail(const void *p, size_t nbytes)
{
	return _mm512_maskz_loadu_epi8(low_bits(nbytes), p);
}

/*
 * The last n <= 64 of nbytes >= 64, behind zeros.  For codes at the end of a page: a load that reaches the next page waits for that page's
 * address to be translated, even where all of it is masked off.
 */
AVX512 QV_INLINE __m512i
load_last(const uint8_t *p, size_t nbytes, size_t n)
{
	return _mm512_maskz_loadu_epi8(~UINT64_C(0) << (64 - n), p + nbytes - 64);
}

/* ---- bits ---- */

AVX512 QV_INLINE __m512i
count(QvBitOp op, __m512i a, __m512i b)
{
	if (op == QV_BITS_XOR)
		b = _mm512_xor_si512(a, b);
	else if (op == QV_BITS_AND)
		b = _mm512_and_si512(a, b);
	return _mm512_popcnt_epi64(b);
}

/* Two sums side by side: one code pair. */
AVX512 QV_INLINE uint32_t
count_run(QvBitOp op, const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	__m512i		sum0 = _mm512_setzero_si512();
	__m512i		sum1 = _mm512_setzero_si512();
	size_t		i = 0;

	for (; i + 128 <= nbytes; i += 128)
	{
		sum0 = _mm512_add_epi64(sum0, count(op, load(a + i), load(b + i)));
		sum1 = _mm512_add_epi64(sum1, count(op, load(a + i + 64), load(b + i + 64)));
	}
	if (i + 64 <= nbytes)
	{
		sum0 = _mm512_add_epi64(sum0, count(op, load(a + i), load(b + i)));
		i += 64;
	}
	if (i < nbytes)
		sum1 = _mm512_add_epi64(sum1, count(op, load_tail(a + i, nbytes - i),
											load_tail(b + i, nbytes - i)));
	return (uint32_t) _mm512_reduce_add_epi64(_mm512_add_epi64(sum0, sum1));
}

AVX512 static uint32_t
avx512_popcount(const uint8_t *a, size_t nbytes)
{
	return count_run(QV_BITS_ONE, a, a, nbytes);
}

AVX512 static uint32_t
avx512_hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return count_run(QV_BITS_XOR, a, b, nbytes);
}

AVX512 static uint32_t
avx512_intersection(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return count_run(QV_BITS_AND, a, b, nbytes);
}

/*
 * Eight sums, in order, of registers that hold two each: the first of a pair in
 * the low words of the 64-bit lanes, the second in the high ones.  The upper four
 * lanes count 2^high_shift times.
 */
AVX512 QV_INLINE __m256i
sum_pairs(__m512i pair01, __m512i pair23, __m512i pair45, __m512i pair67, const int high_shift)
{
	__m512i		quad0 = _mm512_add_epi32(_mm512_unpacklo_epi64(pair01, pair23),
										 _mm512_unpackhi_epi64(pair01, pair23));
	__m512i		quad4 = _mm512_add_epi32(_mm512_unpacklo_epi64(pair45, pair67),
										 _mm512_unpackhi_epi64(pair45, pair67));
	__m512i		lanes = _mm512_add_epi32(_mm512_shuffle_i64x2(quad0, quad4, _MM_SHUFFLE(2, 0, 2, 0)),
										 _mm512_shuffle_i64x2(quad0, quad4, _MM_SHUFFLE(3, 1, 3, 1)));

	/* lanes holds 128-bit parts of codes 0-3, 0-3, 4-7, 4-7: of the lower half of the registers and of the upper */
	return _mm256_add_epi32(_mm512_castsi512_si256(_mm512_shuffle_i64x2(lanes, lanes, _MM_SHUFFLE(2, 0, 2, 0))),
							_mm256_slli_epi32(_mm512_castsi512_si256(_mm512_shuffle_i64x2(lanes, lanes, _MM_SHUFFLE(3, 1, 3, 1))), high_shift));
}

/*
 * Sums of the 64-bit lanes of eight registers, in order.  Every lane and every
 * sum is below 2^32, so two registers share one: 20 instructions for eight
 * sums, where eight separate reductions take some 60.
 */
AVX512 QV_INLINE __m256i
sum_eight(const __m512i *s, const int high_shift)
{
	return sum_pairs(_mm512_add_epi64(s[0], _mm512_slli_epi64(s[1], 32)),
					 _mm512_add_epi64(s[2], _mm512_slli_epi64(s[3], 32)),
					 _mm512_add_epi64(s[4], _mm512_slli_epi64(s[5], 32)),
					 _mm512_add_epi64(s[6], _mm512_slli_epi64(s[7], 32)), high_shift);
}

/* Store the first n <= 8 of eight sums. */
AVX512 QV_INLINE void
store_eight(uint32_t *out, __m256i sums, int n)
{
	if (n == 8)
		_mm256_storeu_si256((__m256i *) out, sums);
	else
		_mm256_mask_storeu_epi32(out, (__mmask8) low_bits((size_t) n), sums);
}

/*
 * The codes of one group of eight.  A short last group repeats its last code,
 * whose sums are then not stored: cheaper than a loop for the rest.
 */
AVX512 QV_INLINE void
group_codes(const uint8_t **code, QvCodeList list, int first, int n)
{
#define CODE(k) code[k] = qv_code_at(list, first + ((k) < n ? (k) : n - 1));
	QV_REPEAT8(CODE)
#undef CODE
}

/* op of query and each of n <= 8 codes of 65 to 128 bytes: two loads each, and the query's words are loaded once. */
AVX512 QV_INLINE __m256i
count_two_words(QvBitOp op, const uint8_t *query, QvCodeList list, int first, int n, size_t nbytes)
{
	const uint8_t *code[8];
	__m512i		sum[8];
	__m512i		low = load(query);
	__m512i		high = load_last(query, nbytes, nbytes - 64);

	group_codes(code, list, first, n);
#define SUM(k) \
	sum[k] = _mm512_add_epi64(count(op, low, load(code[k])), \
							  count(op, high, load_last(code[k], nbytes, nbytes - 64)));
	QV_REPEAT8(SUM)
#undef SUM
	return sum_eight(sum, 0);
}

/* op of query and each of n <= 8 codes; ones gets the codes' own counts unless NULL. */
AVX512 QV_INLINE __m256i
count_eight(QvBitOp op, const uint8_t *query, QvCodeList list, int first, int n,
			size_t nbytes, uint32_t *ones)
{
	const uint8_t *code[8];
	__m512i		sum[8];
	__m512i		one[8];
	size_t		i = 0;

	if (ones == NULL && nbytes > 64 && nbytes <= 128)
		return count_two_words(op, query, list, first, n, nbytes);
	group_codes(code, list, first, n);
#define CLEAR(k) sum[k] = one[k] = _mm512_setzero_si512();
	QV_REPEAT8(CLEAR)
#undef CLEAR
#define ADD(k, loaded) \
	{ \
		__m512i		bits = (loaded); \
		\
		sum[k] = _mm512_add_epi64(sum[k], count(op, word, bits)); \
		if (ones != NULL) \
			one[k] = _mm512_add_epi64(one[k], count(QV_BITS_ONE, bits, bits)); \
	}
	for (; i + 64 <= nbytes; i += 64)
	{
		__m512i		word = load(query + i);

#define FULL(k) ADD(k, load(code[k] + i))
		QV_REPEAT8(FULL)
#undef FULL
	}
	if (i > 0 && i < nbytes)
	{
		__m512i		word = load_last(query, nbytes, nbytes - i);

#define LAST(k) ADD(k, load_last(code[k], nbytes, nbytes - i))
		QV_REPEAT8(LAST)
#undef LAST
	}
	else if (i < nbytes)
	{
		__m512i		word = load_tail(query, nbytes);

#define TAIL(k) ADD(k, load_tail(code[k], nbytes))
		QV_REPEAT8(TAIL)
#undef TAIL
	}
#undef ADD
	if (ones != NULL)
		store_eight(ones + first, sum_eight(one, 0), n);
	return sum_eight(sum, 0);
}

AVX512 QV_INLINE void
count_list(QvBitOp op, const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
		   uint32_t *out, uint32_t *ones)
{
	int			i = 0;

	for (; i + 8 <= ncodes; i += 8)
		store_eight(out + i, count_eight(op, query, list, i, 8, nbytes, ones), 8);
	if (i < ncodes)
		store_eight(out + i, count_eight(op, query, list, i, ncodes - i, nbytes, ones), ncodes - i);
}

AVX512 QV_INLINE void
hamming_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	count_list(QV_BITS_XOR, query, list, ncodes, nbytes, out, NULL);
}

AVX512 QV_INLINE void
intersection_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
				  uint32_t *inter, uint32_t *codebits)
{
	count_list(QV_BITS_AND, query, list, ncodes, nbytes, inter, codebits);
}

QV_DEFINE_BIT_BATCHES(AVX512, avx512)

/* The places and sums of those of eight that are below the limit, behind nnear others; returns how many there are then. */
AVX512 QV_INLINE uint32_t
keep_below(__m256i sums, int first, int n, uint32_t limit, uint32_t nnear, uint32_t *near, uint32_t *out)
{
	__mmask8	below = _mm256_mask_cmplt_epu32_mask((__mmask8) low_bits((size_t) n), sums, _mm256_set1_epi32((int) limit));
	int			nbelow = __builtin_popcount(below);
	__m256i		places = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));

	if (below == 0)
		return nnear;			/* nearly always */
	store_eight(near + nnear, _mm256_maskz_compress_epi32(below, places), nbelow);
	store_eight(out + nnear, _mm256_maskz_compress_epi32(below, sums), nbelow);
	return nnear + (uint32_t) nbelow;
}

AVX512 QV_INLINE uint32_t
below_run(const uint8_t *query, const QvCodeRun *run, size_t nbytes, uint32_t limit, uint32_t *near, uint32_t *out)
{
	QvAhead		ahead = run->ahead;
	size_t		stride = run->stride;
	size_t		offset = 0;
	uint32_t	nnear = 0;
	int			i = 0;

	for (; i + 8 <= run->ncodes; i += 8)
	{
		QvCodeList	list = qv_codes_by_stride(run->base + offset, stride);

		qv_prefetch_ahead(ahead, offset, 8 * stride);
		nnear = keep_below(count_eight(QV_BITS_XOR, query, list, 0, 8, nbytes, NULL), i, 8, limit, nnear, near, out);
		offset += 8 * stride;
	}
	if (i < run->ncodes)
	{
		QvCodeList	list = qv_codes_by_stride(run->base + offset, stride);
		int			rest = run->ncodes - i;

		qv_prefetch_ahead(ahead, offset, stride * (size_t) rest);
		nnear = keep_below(count_eight(QV_BITS_XOR, query, list, 0, rest, nbytes, NULL), i, rest, limit, nnear, near, out);
	}
	return nnear;
}

AVX512 static uint32_t
avx512_hamming_below(const uint8_t *query, const QvCodeRun *run, size_t nbytes, uint32_t limit, uint32_t *near, uint32_t *out)
{
	/* a loop of its own for two words, where all stays in registers */
	if (nbytes > 64 && nbytes <= 128)
		return below_run(query, run, nbytes, limit, near, out);
	return below_run(query, run, nbytes, limit, near, out);
}

/* ---- blocks of bits ---- */

/* Bytes of eight codes that are turned over at a time, and queries that pass over them together: 2 kB, and four sums. */
#define BLOCK_NBYTES		256
#define BLOCK_NQUERIES		4

/* Eight words of each of eight codes: words[i] gets word i of all of them. */
AVX512 QV_INLINE void
turn_words(const __m512i *row, __m512i *words)
{
	__m512i		pair[8];
	__m512i		quad[8];

#define PAIR(k) \
	pair[2 * (k)] = _mm512_unpacklo_epi64(row[2 * (k)], row[2 * (k) + 1]); \
	pair[2 * (k) + 1] = _mm512_unpackhi_epi64(row[2 * (k)], row[2 * (k) + 1]);
	QV_REPEAT4(PAIR)
#undef PAIR
	/* pair[k] holds words k mod 2 + 0, 2, 4, 6 of two codes; quad[k] and quad[k + 2] those of four */
#define QUAD(k) \
	quad[(k) / 2 * 4 + (k) % 2] = _mm512_shuffle_i64x2(pair[(k) / 2 * 4 + (k) % 2], pair[(k) / 2 * 4 + (k) % 2 + 2], _MM_SHUFFLE(2, 0, 2, 0)); \
	quad[(k) / 2 * 4 + (k) % 2 + 2] = _mm512_shuffle_i64x2(pair[(k) / 2 * 4 + (k) % 2], pair[(k) / 2 * 4 + (k) % 2 + 2], _MM_SHUFFLE(3, 1, 3, 1));
	QV_REPEAT4(QUAD)
#undef QUAD
#define WORD(k) \
	words[k] = _mm512_shuffle_i64x2(quad[k], quad[(k) + 4], _MM_SHUFFLE(2, 0, 2, 0)); \
	words[(k) + 4] = _mm512_shuffle_i64x2(quad[k], quad[(k) + 4], _MM_SHUFFLE(3, 1, 3, 1));
	QV_REPEAT4(WORD)
#undef WORD
}

/* The same of nbytes of the codes, zeros behind; room for whole eights of words. */
AVX512 QV_INLINE void
turn_codes(const uint8_t *const *code, size_t from, size_t nbytes, __m512i *words)
{
	for (size_t i = 0; i < nbytes; i += 64)
	{
		size_t		part = nbytes - i < 64 ? nbytes - i : 64;
		__m512i		row[8];

		if (part == 64)
		{
#define ROW(k) row[k] = load(code[k] + from + i);
			QV_REPEAT8(ROW)
#undef ROW
		}
		else
		{
#define ROW(k) row[k] = load_tail(code[k] + from + i, part);
			QV_REPEAT8(ROW)
#undef ROW
		}
		turn_words(row, words + i / 8);
	}
}

/* Sums of eight codes' nbytes, turned over, against those of four queries. */
AVX512 QV_INLINE void
count_block(const __m512i *words, const uint8_t *const *query, size_t nbytes, __m256i *sums)
{
	__m512i		sum[BLOCK_NQUERIES];
	size_t		nwords = nbytes / 8;

#define CLEAR(k) sum[k] = _mm512_setzero_si512();
	QV_REPEAT4(CLEAR)
#undef CLEAR
#define ADD(k, word) sum[k] = _mm512_add_epi64(sum[k], count(QV_BITS_XOR, words[w], _mm512_set1_epi64((long long) (word))));
	for (size_t w = 0; w < nwords; w++)
	{
#define FULL(k) ADD(k, qv_load_word(query[k] + 8 * w))
		QV_REPEAT4(FULL)
#undef FULL
	}
	if (nbytes % 8 != 0)
	{
		size_t		w = nwords;

#define TAIL(k) ADD(k, qv_load_partial_word(query[k] + 8 * w, nbytes % 8))
		QV_REPEAT4(TAIL)
#undef TAIL
	}
#undef ADD
#define NARROW(k) sums[k] = _mm512_cvtepi64_epi32(sum[k]);
	QV_REPEAT4(NARROW)
#undef NARROW
}

/*
 * Eight codes are turned over, so that a register holds the same word of all of
 * them and their sums need no reduction; each word loaded serves four queries.
 */
AVX512 static void
avx512_hamming_block(const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes,
					 size_t nbytes, uint32_t *out)
{
	__m512i		words[BLOCK_NBYTES / 8];
	int			first_rest = nqueries - nqueries % BLOCK_NQUERIES;

	for (int first = 0; first < ncodes && first_rest > 0; first += 8)
	{
		const uint8_t *code[8];
		int			n = ncodes - first < 8 ? ncodes - first : 8;

		group_codes(code, qv_codes_by_stride(base, stride), first, n);
		for (size_t from = 0; from == 0 || from < nbytes; from += BLOCK_NBYTES)
		{
			size_t		part = nbytes - from < BLOCK_NBYTES ? nbytes - from : BLOCK_NBYTES;

			turn_codes(code, from, part, words);
			for (int i = 0; i < first_rest; i += BLOCK_NQUERIES)
			{
				const uint8_t *query[BLOCK_NQUERIES];
				__m256i		sums[BLOCK_NQUERIES];
				uint32_t   *row = out + (size_t) ncodes * (size_t) i + first;

#define QUERY(k) query[k] = queries + stride * (size_t) (i + (k)) + from;
				QV_REPEAT4(QUERY)
#undef QUERY
				count_block(words, query, part, sums);
				for (int k = 0; k < BLOCK_NQUERIES; k++, row += ncodes)
				{
					if (from > 0)
						sums[k] = _mm256_add_epi32(sums[k], _mm256_maskz_loadu_epi32((__mmask8) low_bits((size_t) n), row));
					store_eight(row, sums[k], n);
				}
			}
		}
	}
	for (int i = first_rest; i < nqueries; i++)
		avx512_hamming_strided(queries + stride * (size_t) i, base, stride, ncodes, nbytes, out + (size_t) ncodes * (size_t) i);
}

/* ---- four bit planes ---- */

/*
 * A count fits a byte, so VPDPBUSD multiplies it by its plane's weight and adds
 * it in one instruction; the other bytes of the weights are zero.
 */
AVX512 QV_INLINE __m512i
add_weighted(__m512i sum, __m512i counts, __m512i weights)
{
	return _mm512_dpbusd_epi32(sum, counts, weights);
}

/* Planes 0..3 of one 64-byte word of codes. */
typedef struct PlanesWord
{
	__m512i		plane[4];
} PlanesWord;

AVX512 QV_INLINE __m512i
add_planes(__m512i sum, const PlanesWord *word, __m512i code)
{
	sum = _mm512_add_epi64(sum, count(QV_BITS_AND, word->plane[0], code));
	sum = add_weighted(sum, count(QV_BITS_AND, word->plane[1], code), _mm512_set1_epi64(2));
	sum = add_weighted(sum, count(QV_BITS_AND, word->plane[2], code), _mm512_set1_epi64(4));
	return add_weighted(sum, count(QV_BITS_AND, word->plane[3], code), _mm512_set1_epi64(8));
}

/* The last nbytes <= 32 of the planes, two in a register. */
typedef struct PlanesHalfWord
{
	__m512i		planes01;
	__m512i		planes23;
} PlanesHalfWord;

AVX512 QV_INLINE __m512i
load_two_halves(const uint8_t *low, const uint8_t *high, size_t nbytes)
{
	__mmask32	mask = (__mmask32) low_bits(nbytes);

	return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi8(mask, low)),
							  _mm256_maskz_loadu_epi8(mask, high), 1);
}

AVX512 QV_INLINE __m512i
add_half_planes(__m512i sum, const PlanesHalfWord *word, __m512i code_twice)
{
	__m512i		weights01 = _mm512_set_epi64(2, 2, 2, 2, 1, 1, 1, 1);
	__m512i		weights23 = _mm512_set_epi64(8, 8, 8, 8, 4, 4, 4, 4);

	sum = add_weighted(sum, count(QV_BITS_AND, word->planes01, code_twice), weights01);
	return add_weighted(sum, count(QV_BITS_AND, word->planes23, code_twice), weights23);
}

AVX512 QV_INLINE __m512i
load_twice(const uint8_t *p, size_t nbytes)
{
	/* a whole half is broadcast by the load itself, without a shuffle */
	if (nbytes == 32)
		return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *) p));
	return _mm512_broadcast_i64x4(_mm256_maskz_loadu_epi8((__mmask32) low_bits(nbytes), p));
}

/*
 * The planes for codes of 33 to 48 bytes: the first 32 bytes of two in a register, and the last 16 of all four in another, without those among the
 * first 32.  Planes 0 and 2 are in its lower half, 1 and 3 in the upper.
 */
typedef struct ShortPlanes
{
	__m512i		first01;
	__m512i		first23;
	__m512i		last0213;
} ShortPlanes;

AVX512 QV_INLINE ShortPlanes
load_short_planes(const uint8_t *planes, size_t nbytes)
{
	__mmask16	is_new = (__mmask16) (0xFFFF << (48 - nbytes));
	const uint8_t *last = planes + nbytes - 16;
	__m512i		all = _mm512_castsi128_si512(_mm_maskz_loadu_epi8(is_new, last));

	all = _mm512_inserti64x2(all, _mm_maskz_loadu_epi8(is_new, last + 2 * nbytes), 1);
	all = _mm512_inserti64x2(all, _mm_maskz_loadu_epi8(is_new, last + nbytes), 2);
	all = _mm512_inserti64x2(all, _mm_maskz_loadu_epi8(is_new, last + 3 * nbytes), 3);
	return (ShortPlanes) {load_two_halves(planes, planes + nbytes, 32), load_two_halves(planes + 2 * nbytes, planes + 3 * nbytes, 32), all};
}

/* Counts get the weights 1 and 4 here, and the upper half of the lanes counts twice at the end. */
AVX512 QV_INLINE void
short_planes_group(const ShortPlanes *planes, QvCodeList list, int first, int n, size_t nbytes, uint32_t *out)
{
	__m512i		four = _mm512_set1_epi64(4);
	__m512i		last_weights = _mm512_set_epi64(4, 4, 1, 1, 4, 4, 1, 1);
	const uint8_t *code[8];
	__m512i		sum[8];

	group_codes(code, list, first, n);
#define SUM(k) \
	{ \
		__m512i		twice = load_twice(code[k], 32); \
		__m512i		last = _mm512_broadcast_i64x2(_mm_loadu_si128((const __m128i *) (code[k] + nbytes - 16))); \
		\
		sum[k] = add_weighted(count(QV_BITS_AND, planes->first01, twice), count(QV_BITS_AND, planes->first23, twice), four); \
		sum[k] = add_weighted(sum[k], count(QV_BITS_AND, planes->last0213, last), last_weights); \
	}
	QV_REPEAT8(SUM)
#undef SUM
	store_eight(out + first, sum_eight(sum, 1), n);
}

AVX512 QV_INLINE void
planes_group(const uint8_t *planes, QvCodeList list, int first, int n, size_t nbytes,
			 uint32_t *out)
{
	const uint8_t *code[8];
	__m512i		sum[8];
	size_t		i = 0;

	group_codes(code, list, first, n);
#define CLEAR(k) sum[k] = _mm512_setzero_si512();
	QV_REPEAT8(CLEAR)
#undef CLEAR
	for (; i + 64 <= nbytes; i += 64)
	{
		PlanesWord	word;

#define PLANE(j) word.plane[j] = load(planes + (j) * nbytes + i);
		QV_REPEAT4(PLANE)
#undef PLANE
#define FULL(k) sum[k] = add_planes(sum[k], &word, load(code[k] + i));
		QV_REPEAT8(FULL)
#undef FULL
	}
	if (nbytes - i > 32)
	{
		PlanesWord	word;

#define PLANE(j) word.plane[j] = load_tail(planes + (j) * nbytes + i, nbytes - i);
		QV_REPEAT4(PLANE)
#undef PLANE
#define TAIL(k) sum[k] = add_planes(sum[k], &word, load_tail(code[k] + i, nbytes - i));
		QV_REPEAT8(TAIL)
#undef TAIL
	}
	else if (i < nbytes)
	{
		size_t		rest = nbytes - i;
		PlanesHalfWord word;

		word.planes01 = load_two_halves(planes + i, planes + nbytes + i, rest);
		word.planes23 = load_two_halves(planes + 2 * nbytes + i, planes + 3 * nbytes + i, rest);
#define HALF(k) sum[k] = add_half_planes(sum[k], &word, load_twice(code[k] + i, rest));
		if (rest == 32)
		{
			QV_REPEAT8(HALF)
		}
		else
		{
			QV_REPEAT8(HALF)
		}
#undef HALF
	}
	store_eight(out + first, sum_eight(sum, 0), n);
}

AVX512 QV_INLINE void
planes_list(const uint8_t *planes, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	int			i = 0;

	if (nbytes > 32 && nbytes <= 48)
	{
		ShortPlanes short_planes = load_short_planes(planes, nbytes);

		for (; i + 8 <= ncodes; i += 8)
			short_planes_group(&short_planes, list, i, 8, nbytes, out);
		if (i < ncodes)
			short_planes_group(&short_planes, list, i, ncodes - i, nbytes, out);
		return;
	}
	for (; i + 8 <= ncodes; i += 8)
		planes_group(planes, list, i, 8, nbytes, out);
	if (i < ncodes)
		planes_group(planes, list, i, ncodes - i, nbytes, out);
}

QV_DEFINE_PLANE_BATCHES(AVX512, avx512)

AVX512 static uint32_t
avx512_planes4(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	__m512i		sum = _mm512_setzero_si512();
	size_t		i = 0;
	PlanesWord	word;

	for (; i + 64 <= nbytes; i += 64)
	{
#define PLANE(j) word.plane[j] = load(planes + (j) * nbytes + i);
		QV_REPEAT4(PLANE)
#undef PLANE
		sum = add_planes(sum, &word, load(code + i));
	}
	if (i < nbytes)
	{
#define PLANE(j) word.plane[j] = load_tail(planes + (j) * nbytes + i, nbytes - i);
		QV_REPEAT4(PLANE)
#undef PLANE
		sum = add_planes(sum, &word, load_tail(code + i, nbytes - i));
	}
	return (uint32_t) _mm512_reduce_add_epi64(sum);
}

/* The distances of n <= 8 codes. */
AVX512 QV_INLINE void
estimate_group(const QvEstimate *how, const uint32_t *sums, const QvFactors *factors, const float *xc, int n, float *dist)
{
	__mmask8	mask = (__mmask8) low_bits((size_t) n);
	__m256i		sum = n == 8 ? _mm256_loadu_si256((const __m256i *) sums) : _mm256_maskz_loadu_epi32(mask, sums);
	__m512i		words = n == 8 ? load(factors) : _mm512_maskz_loadu_epi64(mask, factors);
	__m256		norm = _mm256_castsi256_ps(_mm512_cvtepi64_epi32(words));
	__m256i		packed = _mm512_cvtepi64_epi32(_mm512_srli_epi64(words, 32));
	__m256		inv_x0 = _mm256_cvtepi32_ps(_mm256_and_si256(packed, _mm256_set1_epi32(0xFFFF)));
	__m256i		nset_twice = _mm256_slli_epi32(_mm256_srli_epi32(packed, 16), 1);
	__m256		excess = _mm256_cvtepi32_ps(_mm256_sub_epi32(nset_twice, _mm256_set1_epi32(how->nbits)));
	__m256		steps = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_slli_epi32(sum, 1), _mm256_set1_epi32(how->level_sum)));
	__m256		total = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(how->step), steps), _mm256_mul_ps(_mm256_set1_ps(how->low), excess));
	__m256		ip = _mm256_add_ps(_mm256_mul_ps(_mm256_mul_ps(norm, inv_x0), total),
								   xc != NULL ? _mm256_maskz_loadu_ps(mask, xc) : _mm256_setzero_ps());
	__m256		square = _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(how->norm_weight), norm), norm);
	__m256		x = _mm256_add_ps(_mm256_add_ps(_mm256_set1_ps(how->constant), square), _mm256_mul_ps(_mm256_set1_ps(how->ip_weight), ip));

	x = _mm256_max_ps(_mm256_min_ps(x, _mm256_set1_ps(FLT_MAX)), _mm256_set1_ps(-FLT_MAX));
	store_eight((uint32_t *) (void *) dist, _mm256_castps_si256(x), n);
}

AVX512 static void
avx512_estimate(const QvEstimate *how, const uint32_t *sums, const QvFactors *factors, const float *xc, int n, float *dist)
{
	int			i = 0;

	for (; i + 8 <= n; i += 8)
		estimate_group(how, sums + i, factors + i, xc != NULL ? xc + i : NULL, 8, dist + i);
	if (i < n)
		estimate_group(how, sums + i, factors + i, xc != NULL ? xc + i : NULL, n - i, dist + i);
}

/* ---- signed bytes ---- */

/* x + 128 as an unsigned byte: the order and the differences of signed bytes, kept */
AVX512 QV_INLINE __m512i
biased(__m512i x)
{
	return _mm512_xor_si512(x, _mm512_set1_epi8(-128));
}

/*
 * VPDPBUSD takes unsigned times signed: sum of (a + 128) * b, from which 128
 * times the sum of b is taken away.  Sums wrap modulo 2^32 and so end right.
 */
AVX512 static int32_t
avx512_dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i		bias = _mm512_set1_epi8(-128);	/* 128 where it stands as unsigned */
	__m512i		dot0 = _mm512_setzero_si512();
	__m512i		dot1 = _mm512_setzero_si512();
	__m512i		over0 = _mm512_setzero_si512();
	__m512i		over1 = _mm512_setzero_si512();
	size_t		i = 0;

	for (; i + 128 <= n; i += 128)
	{
		__m512i		b0 = load(b + i);
		__m512i		b1 = load(b + i + 64);

		dot0 = _mm512_dpbusd_epi32(dot0, biased(load(a + i)), b0);
		dot1 = _mm512_dpbusd_epi32(dot1, biased(load(a + i + 64)), b1);
		over0 = _mm512_dpbusd_epi32(over0, bias, b0);
		over1 = _mm512_dpbusd_epi32(over1, bias, b1);
	}
	for (; i < n; i += 64)
	{
		size_t		rest = n - i;
		__m512i		a0 = rest >= 64 ? load(a + i) : load_tail(a + i, rest);
		__m512i		b0 = rest >= 64 ? load(b + i) : load_tail(b + i, rest);

		dot0 = _mm512_dpbusd_epi32(dot0, biased(a0), b0);
		over0 = _mm512_dpbusd_epi32(over0, bias, b0);
	}
	return _mm512_reduce_add_epi32(_mm512_sub_epi32(_mm512_add_epi32(dot0, dot1),
													_mm512_add_epi32(over0, over1)));
}

/* |a - b| as an unsigned byte, 0..255 */
AVX512 QV_INLINE __m512i
byte_distance(__m512i a, __m512i b)
{
	return _mm512_sub_epi8(_mm512_max_epi8(a, b), _mm512_min_epi8(a, b));
}

/* With d unsigned and d - 128 signed: sum of d * d = sum of d * (d - 128) + 128 * sum of d. */
AVX512 static uint32_t
avx512_l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i		ones = _mm512_set1_epi8(1);
	__m512i		square0 = _mm512_setzero_si512();
	__m512i		square1 = _mm512_setzero_si512();
	__m512i		linear0 = _mm512_setzero_si512();
	__m512i		linear1 = _mm512_setzero_si512();
	size_t		i = 0;

	for (; i + 128 <= n; i += 128)
	{
		__m512i		d0 = byte_distance(load(a + i), load(b + i));
		__m512i		d1 = byte_distance(load(a + i + 64), load(b + i + 64));

		square0 = _mm512_dpbusd_epi32(square0, d0, biased(d0));
		square1 = _mm512_dpbusd_epi32(square1, d1, biased(d1));
		linear0 = _mm512_dpbusd_epi32(linear0, d0, ones);
		linear1 = _mm512_dpbusd_epi32(linear1, d1, ones);
	}
	for (; i < n; i += 64)
	{
		size_t		rest = n - i;
		__m512i		d0 = rest >= 64 ? byte_distance(load(a + i), load(b + i)) :
			byte_distance(load_tail(a + i, rest), load_tail(b + i, rest));

		square0 = _mm512_dpbusd_epi32(square0, d0, biased(d0));
		linear0 = _mm512_dpbusd_epi32(linear0, d0, ones);
	}
	linear0 = _mm512_slli_epi32(_mm512_add_epi32(linear0, linear1), 7);
	return (uint32_t) _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(square0, square1), linear0));
}

AVX512 static uint32_t
avx512_l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i		sum = _mm512_setzero_si512();
	size_t		i = 0;

	for (; i + 64 <= n; i += 64)
		sum = _mm512_add_epi64(sum, _mm512_sad_epu8(biased(load(a + i)), biased(load(b + i))));
	if (i < n)
		sum = _mm512_add_epi64(sum, _mm512_sad_epu8(biased(load_tail(a + i, n - i)),
													biased(load_tail(b + i, n - i))));
	return (uint32_t) _mm512_reduce_add_epi64(sum);
}

AVX512 static int32_t
avx512_sum_i8(const int8_t *a, size_t n)
{
	__m512i		ones = _mm512_set1_epi8(1);
	__m512i		sum = _mm512_setzero_si512();
	size_t		i = 0;

	for (; i + 64 <= n; i += 64)
		sum = _mm512_dpbusd_epi32(sum, ones, load(a + i));
	if (i < n)
		sum = _mm512_dpbusd_epi32(sum, ones, load_tail(a + i, n - i));
	return _mm512_reduce_add_epi32(sum);
}

/* As sum_eight, but of the 32-bit lanes of eight registers, modulo 2^32. */
AVX512 QV_INLINE __m512i
pair_words(__m512i a, __m512i b)
{
	a = _mm512_add_epi32(a, _mm512_shuffle_epi32(a, (_MM_PERM_ENUM) _MM_SHUFFLE(2, 3, 0, 1)));
	b = _mm512_add_epi32(b, _mm512_shuffle_epi32(b, (_MM_PERM_ENUM) _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm512_mask_blend_epi32(0xAAAA, a, b);
}

/* The biased operand is the code; what that adds is the same for all: 128 times the sum of the query. */
AVX512 QV_INLINE void
dot_i8_group(const int8_t *query, QvCodeList list, int first, int n, size_t nbytes, int32_t *out)
{
	const uint8_t *code[8];
	__m512i		sum[8];
	__m512i		bias = _mm512_set1_epi8(-128);
	__m512i		over = _mm512_setzero_si512();
	size_t		i = 0;
	__m256i		sums;

	group_codes(code, list, first, n);
#define CLEAR(k) sum[k] = _mm512_setzero_si512();
	QV_REPEAT8(CLEAR)
#undef CLEAR
	for (; i + 64 <= nbytes; i += 64)
	{
		__m512i		word = load(query + i);

		over = _mm512_dpbusd_epi32(over, bias, word);
#define FULL(k) sum[k] = _mm512_dpbusd_epi32(sum[k], biased(load(code[k] + i)), word);
		QV_REPEAT8(FULL)
#undef FULL
	}
	if (i < nbytes)
	{
		__m512i		word = load_tail(query + i, nbytes - i);

		over = _mm512_dpbusd_epi32(over, bias, word);
#define TAIL(k) sum[k] = _mm512_dpbusd_epi32(sum[k], biased(load_tail(code[k] + i, nbytes - i)), word);
		QV_REPEAT8(TAIL)
#undef TAIL
	}
	sums = sum_pairs(pair_words(sum[0], sum[1]), pair_words(sum[2], sum[3]),
					 pair_words(sum[4], sum[5]), pair_words(sum[6], sum[7]), 0);
	sums = _mm256_sub_epi32(sums, _mm256_set1_epi32(_mm512_reduce_add_epi32(over)));
	store_eight((uint32_t *) out + first, sums, n);
}

AVX512 QV_INLINE void
dot_i8_list(const int8_t *query, QvCodeList list, int ncodes, size_t n, int32_t *out)
{
	int			i = 0;

	for (; i + 8 <= ncodes; i += 8)
		dot_i8_group(query, list, i, 8, n, out);
	if (i < ncodes)
		dot_i8_group(query, list, i, ncodes - i, n, out);
}

QV_DEFINE_DOT_BATCHES(AVX512, avx512)

/* Queries that pass over eight codes together: each word of the codes that is loaded serves them all. */
#define DOT_NQUERIES	8

/* Two sums of each of eight codes' nbytes, turned over and biased, against those of eight queries. */
AVX512 QV_INLINE void
dot_block(const __m512i *words, const uint8_t *const *query, size_t nbytes, __m512i *sum)
{
	size_t		nwords = nbytes / 8;

#define CLEAR(k) sum[k] = _mm512_setzero_si512();
	QV_REPEAT8(CLEAR)
#undef CLEAR
#define ADD(k, word) sum[k] = _mm512_dpbusd_epi32(sum[k], words[w], _mm512_set1_epi64((long long) (word)));
	for (size_t w = 0; w < nwords; w++)
	{
#define FULL(k) ADD(k, qv_load_word(query[k] + 8 * w))
		QV_REPEAT8(FULL)
#undef FULL
	}
	if (nbytes % 8 != 0)
	{
		size_t		w = nwords;

#define TAIL(k) ADD(k, qv_load_partial_word(query[k] + 8 * w, nbytes % 8))
		QV_REPEAT8(TAIL)
#undef TAIL
	}
#undef ADD
}

/* Add what dot_block found of a row; first begins the sums with what the bias of the codes adds to the whole, taken away. */
AVX512 QV_INLINE void
store_dots(__m512i sum, int32_t over, bool first, int n, int32_t *out)
{
	__mmask8	mask = (__mmask8) low_bits((size_t) n);
	__m256i		dots = _mm512_cvtepi64_epi32(_mm512_add_epi32(sum, _mm512_srli_epi64(sum, 32)));

	dots = _mm256_add_epi32(dots, first ? _mm256_set1_epi32(-over) : _mm256_maskz_loadu_epi32(mask, out));
	store_eight((uint32_t *) out, dots, n);
}

/* Queries of a block whose sums are taken once. */
#define DOT_BLOCK_NQUERIES	64

/* A block of whole eights of queries, DOT_BLOCK_NQUERIES at most.  As avx512_hamming_block, eight codes are turned over. */
AVX512 static void
dot_i8_rows(const uint8_t *queries, int nqueries, QvCodeList list, int ncodes, size_t n, int32_t *out)
{
	__m512i		words[BLOCK_NBYTES / 8];
	int32_t		over[DOT_BLOCK_NQUERIES];

	for (int i = 0; i < nqueries; i++)
		over[i] = 128 * avx512_sum_i8((const int8_t *) queries + list.stride * (size_t) i, n);
	for (int first = 0; first < ncodes; first += 8)
	{
		const uint8_t *code[8];
		int			ngroup = ncodes - first < 8 ? ncodes - first : 8;

		group_codes(code, list, first, ngroup);
		for (size_t from = 0; from == 0 || from < n; from += BLOCK_NBYTES)
		{
			size_t		part = n - from < BLOCK_NBYTES ? n - from : BLOCK_NBYTES;

			turn_codes(code, from, part, words);
			for (size_t w = 0; w < (part + 7) / 8; w++)
				words[w] = biased(words[w]);
			for (int i = 0; i < nqueries; i += DOT_NQUERIES)
			{
				const uint8_t *query[DOT_NQUERIES];
				__m512i		sum[DOT_NQUERIES];

#define QUERY(k) query[k] = queries + list.stride * (size_t) (i + (k)) + from;
				QV_REPEAT8(QUERY)
#undef QUERY
				dot_block(words, query, part, sum);
				for (int k = 0; k < DOT_NQUERIES; k++)
					store_dots(sum[k], over[i + k], from == 0, ngroup, out + (size_t) ncodes * (size_t) (i + k) + first);
			}
		}
	}
}

AVX512 static void
avx512_dot_i8_block(const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes, size_t n,
					int32_t *out)
{
	QvCodeList	list = qv_codes_by_stride(base, stride);

	for (int i = 0; i < nqueries;)
	{
		const uint8_t *query = queries + stride * (size_t) i;
		int			left = nqueries - i;
		int			nrows = left < DOT_BLOCK_NQUERIES ? left - left % DOT_NQUERIES : DOT_BLOCK_NQUERIES;

		if (nrows > 0)
			dot_i8_rows(query, nrows, list, ncodes, n, out + (size_t) ncodes * (size_t) i);
		else
			dot_i8_list((const int8_t *) query, list, ncodes, n, out + (size_t) ncodes * (size_t) i);
		i += nrows > 0 ? nrows : 1;
	}
}

/* ---- floats ---- */

/* One step of eight of the sixteen accumulators. */
AVX512 QV_INLINE __m512d
add_floats(QvFloatOp op, __m512d sum, __m256 a, __m256 b)
{
	__m512d		x = _mm512_cvtps_pd(a);
	__m512d		y = _mm512_cvtps_pd(b);
	__m512d		d;

	if (op == QV_FLOAT_DOT)
		return _mm512_add_pd(sum, _mm512_mul_pd(x, y));
	d = _mm512_sub_pd(x, y);
	if (op == QV_FLOAT_L1)
		return _mm512_add_pd(sum, _mm512_abs_pd(d));
	return _mm512_add_pd(sum, _mm512_mul_pd(d, d));
}

/* The tree of qv_sum_tree() on registers; accumulators 0..7 and 8..15. */
AVX512 QV_INLINE double
sum_tree(__m512d low, __m512d high)
{
	__m512d		eight = _mm512_add_pd(low, high);
	__m256d		four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
	__m128d		two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/*
 * In the tail the accumulators past the end get +0, which changes none: a sum
 * that starts at +0 is never -0 in this rounding mode.
 */
AVX512 QV_INLINE double
sum_floats(QvFloatOp op, const float *a, const float *b, size_t n)
{
	__m512d		low = _mm512_setzero_pd();
	__m512d		high = _mm512_setzero_pd();
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
	{
		low = add_floats(op, low, _mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
		high = add_floats(op, high, _mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
	}
	if (i < n)
	{
		__mmask8	mask_low = (__mmask8) low_bits(n - i);
		__mmask8	mask_high = (__mmask8) (low_bits(n - i) >> 8);

		low = add_floats(op, low, _mm256_maskz_loadu_ps(mask_low, a + i),
						 _mm256_maskz_loadu_ps(mask_low, b + i));
		if (mask_high != 0)
			high = add_floats(op, high, _mm256_maskz_loadu_ps(mask_high, a + i + 8),
							  _mm256_maskz_loadu_ps(mask_high, b + i + 8));
	}
	return sum_tree(low, high);
}

QV_DEFINE_FLOAT_SUMS(AVX512, avx512)

/* qv_sum_tree_single() on registers. */
AVX512 QV_INLINE float
sum_tree_single(const __m512 *s)
{
	__m512		sixteen = _mm512_add_ps(_mm512_add_ps(s[0], s[2]), _mm512_add_ps(s[1], s[3]));
	__m256		eight = _mm256_add_ps(_mm512_castps512_ps256(sixteen), _mm512_extractf32x8_ps(sixteen, 1));
	__m128		four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128		two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#define LOAD_FLOATS(k) _mm512_loadu_ps((const float *) b + i + 16 * (k))
#define LOAD_HALVES(k) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) ((const uint16_t *) b + i + 16 * (k))))
#define LOAD_FLOATS_OF(mask, k) _mm512_maskz_loadu_ps((mask), (const float *) b + i + 16 * (k))
#define LOAD_HALVES_OF(mask, k) _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((mask), (const uint16_t *) b + i + 16 * (k)))

AVX512 QV_INLINE __m512
fast_add(QvFastOp op, __m512 sum, __m512 x, __m512 y)
{
	__m512		d = _mm512_sub_ps(x, y);

	return _mm512_add_ps(sum, op == QV_FAST_L2SQ ? _mm512_mul_ps(d, d) : _mm512_mul_ps(x, y));
}

/* In the tail the accumulators past the end get +0, as in sum_floats. */
AVX512 QV_INLINE float
fast_sum(QvFastOp op, const float *a, const void *b, size_t n)
{
	__m512		sum[4];
	size_t		i = 0;

#define CLEAR(k) sum[k] = _mm512_setzero_ps();
	QV_REPEAT4(CLEAR)
#undef CLEAR
#define ADD(k) sum[k] = fast_add(op, sum[k], _mm512_loadu_ps(a + i + 16 * (k)), op == QV_FAST_DOT_HALVES ? LOAD_HALVES(k) : LOAD_FLOATS(k));
	for (; i + 64 <= n; i += 64)
	{
		QV_REPEAT4(ADD)
	}
#undef ADD
#define TAIL(k) \
	if (i + 16 * (k) < n) \
	{ \
		size_t		rest = n - i - 16 * (k); \
		__mmask16	mask = (__mmask16) (rest >= 16 ? 0xFFFF : low_bits(rest)); \
		\
		sum[k] = fast_add(op, sum[k], _mm512_maskz_loadu_ps(mask, a + i + 16 * (k)), \
						  op == QV_FAST_DOT_HALVES ? LOAD_HALVES_OF(mask, k) : LOAD_FLOATS_OF(mask, k)); \
	}
	QV_REPEAT4(TAIL)
#undef TAIL
	return sum_tree_single(sum);
}

QV_DEFINE_FAST_SUMS(AVX512, avx512)

/* ---- Walsh-Hadamard transform ---- */

/*
 * One stage within a register: swapped is x with the two halves of each pair
 * exchanged, sign is -1 in the upper half.  A multiplication by 1 or -1 is
 * exact, so this multiply-add rounds as the addition does.
 */
#define STAGE_WITHIN(x, swapped, sign) _mm512_fmadd_ps((x), (sign), (swapped))

AVX512 QV_INLINE __m512
stages_within(__m512 x)
{
	__m512		sign1 = _mm512_castsi512_ps(_mm512_set1_epi64((long long) UINT64_C(0xBF8000003F800000)));
	__m512		sign2 = _mm512_set_ps(-1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1);
	__m512		sign4 = _mm512_set_ps(-1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1);
	__m512		sign8 = _mm512_set_ps(-1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1);

	x = STAGE_WITHIN(x, _mm512_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1)), sign1);
	x = STAGE_WITHIN(x, _mm512_permute_ps(x, _MM_SHUFFLE(1, 0, 3, 2)), sign2);
	x = STAGE_WITHIN(x, _mm512_shuffle_f32x4(x, x, _MM_SHUFFLE(2, 3, 0, 1)), sign4);
	return STAGE_WITHIN(x, _mm512_shuffle_f32x4(x, x, _MM_SHUFFLE(1, 0, 3, 2)), sign8);
}

#define WALSH_TARGET		AVX512
#define WALSH_REGISTER		__m512
#define WALSH_LANES			16
#define WALSH_NREGS			16
#define WALSH_LOAD(p)		_mm512_loadu_ps(p)
#define WALSH_STORE(p, v)	_mm512_storeu_ps((p), (v))
#define WALSH_ADD(a, b)		_mm512_add_ps((a), (b))
#define WALSH_SUB(a, b)		_mm512_sub_ps((a), (b))
#define WALSH_WITHIN(v)		stages_within(v)
#include "kernel/walsh_template.h"

AVX512 static void
avx512_fht_f32(float *x, size_t n)
{
	if (n < WALSH_LANES)
		qv_kernels_scalar.fht_f32(x, n);
	else
		walsh(x, n);
}

/* ---- from values to codes ---- */

AVX512 QV_INLINE __m256
scale_eight(__m256 x, __m512d scale)
{
	return _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_cvtps_pd(x), scale));
}

AVX512 static void
avx512_residual_f32(const float *x, double scale, const float *centre, size_t n, float *out)
{
	__m512d		scales = _mm512_set1_pd(scale);
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(out + i, _mm256_sub_ps(scale_eight(_mm256_loadu_ps(x + i), scales), _mm256_loadu_ps(centre + i)));
	if (i < n)
	{
		__mmask8	mask = (__mmask8) low_bits(n - i);

		_mm256_mask_storeu_ps(out + i, mask, _mm256_sub_ps(scale_eight(_mm256_maskz_loadu_ps(mask, x + i), scales),
														   _mm256_maskz_loadu_ps(mask, centre + i)));
	}
}

AVX512 static void
avx512_multiply_f32(float *x, const float *factor, size_t n)
{
	for (size_t i = 0; i < n; i += 16)
		_mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(factor + i)));
}

AVX512 static void
avx512_turn_f32(float *a, float *b, size_t n)
{
	__m512		cos45 = _mm512_set1_ps(QV_COS45);

	for (size_t i = 0; i < n; i += 16)
	{
		__m512		x = _mm512_mul_ps(_mm512_loadu_ps(a + i), cos45);
		__m512		y = _mm512_mul_ps(_mm512_loadu_ps(b + i), cos45);

		_mm512_storeu_ps(a + i, _mm512_add_ps(x, y));
		_mm512_storeu_ps(b + i, _mm512_sub_ps(x, y));
	}
}

/* MINPS and MAXPS return their second operand where a comparison is false, so that is the one kept. */
AVX512 static void
avx512_range_f32(const float *x, size_t n, float *low, float *high)
{
	__m512		min = _mm512_loadu_ps(x);
	__m512		max = min;
	__m256		min8;
	__m256		max8;
	__m128		min4;
	__m128		max4;

	for (size_t i = 16; i < n; i += 16)
	{
		__m512		v = _mm512_loadu_ps(x + i);

		min = _mm512_min_ps(v, min);
		max = _mm512_max_ps(v, max);
	}
	min8 = _mm256_min_ps(_mm512_extractf32x8_ps(min, 1), _mm512_castps512_ps256(min));
	max8 = _mm256_max_ps(_mm512_extractf32x8_ps(max, 1), _mm512_castps512_ps256(max));
	min4 = _mm_min_ps(_mm256_extractf128_ps(min8, 1), _mm256_castps256_ps128(min8));
	max4 = _mm_max_ps(_mm256_extractf128_ps(max8, 1), _mm256_castps256_ps128(max8));
	min4 = _mm_min_ps(_mm_movehl_ps(min4, min4), min4);
	max4 = _mm_max_ps(_mm_movehl_ps(max4, max4), max4);
	*low = _mm_cvtss_f32(_mm_min_ss(_mm_movehdup_ps(min4), min4));
	*high = _mm_cvtss_f32(_mm_max_ss(_mm_movehdup_ps(max4), max4));
}

/* qv_truncate() of sixteen. */
AVX512 QV_INLINE __m512i
truncate_sixteen(__m512 x, __m512 max)
{
	return _mm512_cvttps_epi32(_mm512_max_ps(_mm512_min_ps(x, max), _mm512_setzero_ps()));
}

AVX512 static int32_t
avx512_levels_f32(const float *x, size_t n, float low, float per_step, int max_level, uint8_t *level)
{
	__m512		lows = _mm512_set1_ps(low);
	__m512		per_steps = _mm512_set1_ps(per_step);
	__m512		max = _mm512_set1_ps((float) max_level);
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 16)
	{
		__m512		steps = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), lows), per_steps);
		__m512i		u = truncate_sixteen(_mm512_add_ps(steps, _mm512_set1_ps(0.5f)), max);

		_mm_storeu_si128((__m128i *) (level + i), _mm512_cvtepi32_epi8(u));
		sum = _mm512_add_epi32(sum, u);
	}
	return _mm512_reduce_add_epi32(sum);
}

AVX512 static int32_t
avx512_words_f32(const float *x, size_t n, float per_step, int8_t *high, int8_t *low)
{
	__m512		per_steps = _mm512_set1_ps(per_step);
	__m512		bias = _mm512_set1_ps(QV_WORD_BIAS);
	__m512		max = _mm512_set1_ps(2 * QV_MAX_WORD);
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 16)
	{
		__m512i		w = truncate_sixteen(_mm512_add_ps(_mm512_mul_ps(_mm512_loadu_ps(x + i), per_steps), bias), max);
		__m512i		nearest = _mm512_add_epi32(w, _mm512_set1_epi32(64));
		__m512i		upper = _mm512_sub_epi32(_mm512_srli_epi32(nearest, 7), _mm512_set1_epi32(QV_MAX_WORD / 128));
		__m512i		lower = _mm512_sub_epi32(_mm512_and_si512(nearest, _mm512_set1_epi32(127)), _mm512_set1_epi32(64));

		_mm_storeu_si128((__m128i *) (high + i), _mm512_cvtepi32_epi8(upper));
		_mm_storeu_si128((__m128i *) (low + i), _mm512_cvtepi32_epi8(lower));
		sum = _mm512_add_epi32(sum, _mm512_sub_epi32(w, _mm512_set1_epi32(QV_MAX_WORD)));
	}
	return _mm512_reduce_add_epi32(sum);
}

/* The first byte of eight gets the least significant bit and is to get the most significant, so they are turned round first. */
AVX512 QV_INLINE __m256i
bytes_reversed(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_setr_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F, 0x0001020304050607, 0x08090A0B0C0D0E0F));
}

AVX512 static void
avx512_bits_u8(const uint8_t *x, size_t n, int j, uint8_t *out)
{
	__m256i		bit = _mm256_set1_epi8((char) (1 << j));

	for (size_t i = 0; i < n; i += 32)
	{
		uint32_t	bits = _mm256_test_epi8_mask(bytes_reversed(_mm256_loadu_si256((const __m256i *) (x + i))), bit);

		memcpy(out + i / 8, &bits, 4);
	}
}

/*
 * The comparison gives element 0 the least significant bit and the format wants
 * the most significant, so the elements of each byte are turned round first.
 */
AVX512 QV_INLINE uint16_t
positive_bits(__m512 v)
{
	__m512i		reversed = _mm512_set_epi32(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);

	return _mm512_cmp_ps_mask(_mm512_permutexvar_ps(reversed, v), _mm512_setzero_ps(), _CMP_GT_OQ);
}

AVX512 static uint32_t
avx512_below_f32(const float *x, uint32_t n, float limit, uint32_t *out)
{
	__m512		limits = _mm512_set1_ps(limit);
	__m512i		places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	uint32_t	count = 0;

	for (uint32_t i = 0; i < n; i += 16)
	{
		__mmask16	valid = n - i < 16 ? (__mmask16) low_bits(n - i) : 0xFFFF;
		__mmask16	less = _mm512_mask_cmp_ps_mask(valid, _mm512_maskz_loadu_ps(valid, x + i), limits, _CMP_LT_OQ);
		int			nless = __builtin_popcount(less);

		/* packed in a register: packing to memory is slow on AMD */
		_mm512_mask_storeu_epi32(out + count, (__mmask16) low_bits((size_t) nless), _mm512_maskz_compress_epi32(less, places));
		count += (uint32_t) nless;
		places = _mm512_add_epi32(places, _mm512_set1_epi32(16));
	}
	return count;
}

/* Eight keys at a time against all. */
AVX512 static void
avx512_sort_u64(const uint64_t *values, uint32_t n, uint64_t *result)
{
	const QvKey *keys = values;
	QvKey	   *out = result;

	for (uint32_t i = 0; i < n; i += 8)
	{
		uint32_t	part = n - i < 8 ? n - i : 8;
		__m512i		eight = _mm512_maskz_loadu_epi64((__mmask8) low_bits(part), keys + i);
		__m512i		rank = _mm512_setzero_si512();
		uint64_t	ranks[8];

		for (uint32_t j = 0; j < n; j++)
		{
			__mmask8	less = _mm512_cmplt_epu64_mask(_mm512_set1_epi64((int64_t) keys[j]), eight);

			rank = _mm512_mask_add_epi64(rank, less, rank, _mm512_set1_epi64(1));
		}
		_mm512_storeu_si512(ranks, rank);
		for (uint32_t k = 0; k < part; k++)
			out[ranks[k]] = keys[i + k];
	}
}

/*
 * Add the bits of a register of keys.  By numbers of their own width: a wide load of what was
 * just stored in less waits for the store.
 */
AVX512 QV_INLINE void
add_bits(int nbytes, uint64_t found, uint8_t *bits)
{
	uint64_t	eight;
	uint32_t	four;
	uint16_t	two;

	switch (nbytes)
	{
		case 1:
			memcpy(&eight, bits, 8);
			eight |= found;
			memcpy(bits, &eight, 8);
			break;
		case 2:
			memcpy(&four, bits, 4);
			four |= (uint32_t) found;
			memcpy(bits, &four, 4);
			break;
		case 4:
			memcpy(&two, bits, 2);
			two = (uint16_t) (two | found);
			memcpy(bits, &two, 2);
			break;
		default:
			*bits = (uint8_t) (*bits | found);
	}
}

/*
 * Keys in the range: unsigned, their distance from its low end is no more than its length.  A
 * register of them at a time, the last under a mask.
 */
AVX512 QV_INLINE void
between_keys(const uint8_t *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint8_t *bits)
{
	uint32_t	step = 64 / (uint32_t) nbytes;
	__m512i		lows = nbytes == 1 ? _mm512_set1_epi8((char) low) : nbytes == 2 ? _mm512_set1_epi16((short) low) :
		nbytes == 4 ? _mm512_set1_epi32((int) low) : _mm512_set1_epi64(low);
	int64_t		length = (int64_t) ((uint64_t) high - (uint64_t) low);
	__m512i		lengths = nbytes == 1 ? _mm512_set1_epi8((char) length) : nbytes == 2 ? _mm512_set1_epi16((short) length) :
		nbytes == 4 ? _mm512_set1_epi32((int) length) : _mm512_set1_epi64(length);

	for (uint32_t i = 0; i < n; i += step)
	{
		uint32_t	part = n - i < step ? n - i : step;
		__mmask64	valid = UINT64_MAX >> (64 - part * (uint32_t) nbytes);
		__m512i		v = _mm512_maskz_loadu_epi8(valid, keys + (size_t) i * (size_t) nbytes);
		uint64_t	found;
		uint64_t	old = 0;

		if (nbytes == 1)
			found = _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, lows), lengths);
		else if (nbytes == 2)
			found = _mm512_cmple_epu16_mask(_mm512_sub_epi16(v, lows), lengths);
		else if (nbytes == 4)
			found = _mm512_cmple_epu32_mask(_mm512_sub_epi32(v, lows), lengths);
		else
			found = _mm512_cmple_epu64_mask(_mm512_sub_epi64(v, lows), lengths);
		found &= UINT64_MAX >> (64 - part);
		if (part == step)
		{
			add_bits(nbytes, found, bits + i / 8);
			continue;
		}
		memcpy(&old, bits + i / 8, (part + 7) / 8);
		found |= old;
		memcpy(bits + i / 8, &found, (part + 7) / 8);
	}
}

AVX512 static void
avx512_between_keys(const void *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint64_t *words)
{
	uint8_t    *bits = (uint8_t *) words;

	switch (nbytes)
	{
		case 1:
			between_keys(keys, 1, n, low, high, bits);
			break;
		case 2:
			between_keys(keys, 2, n, low, high, bits);
			break;
		case 4:
			between_keys(keys, 4, n, low, high, bits);
			break;
		default:
			between_keys(keys, 8, n, low, high, bits);
	}
}

AVX512 static void
avx512_masked_u64(const uint64_t *words, uint32_t n, uint64_t mask, uint64_t want, uint64_t *result)
{
	uint8_t    *bits = (uint8_t *) result;
	__m512i		masks = _mm512_set1_epi64((int64_t) mask);
	__m512i		wants = _mm512_set1_epi64((int64_t) want);

	for (uint32_t i = 0; i < n; i += 8)
	{
		__mmask8	valid = (__mmask8) low_bits(n - i < 8 ? n - i : 8);
		__m512i		v = _mm512_and_si512(_mm512_maskz_loadu_epi64(valid, words + i), masks);

		bits[i / 8] |= (uint8_t) _mm512_mask_cmpeq_epi64_mask(valid, v, wants);
	}
}

AVX512 static void
avx512_signs_f32(const float *x, size_t n, uint8_t *out)
{
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
	{
		uint16_t	bits = positive_bits(_mm512_loadu_ps(x + i));

		memcpy(out + i / 8, &bits, 2);
	}
	if (i < n)
	{
		uint16_t	bits = positive_bits(_mm512_maskz_loadu_ps((__mmask16) low_bits(n - i), x + i));

		memcpy(out + i / 8, &bits, (n - i + 7) / 8);
	}
}

const QvKernels qv_kernels_avx512 = QV_KERNELS_OF(avx512);

#endif							/* QV_HAVE_X86_LEVELS */
