/*
 * test_kernel.c
 *		Every kernel of every level this machine runs.
 *
 * The scalar level is compared with definitions written out here, every other
 * level with the scalar one, for equality: all short lengths, some long ones,
 * every misalignment, operands that begin right after a trapping page and that
 * end right before one, and values at the ends of their range.  QV_EXPECT_LEVEL
 * in the environment names the level that "auto" must choose.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "kernel/kernel.h"

#define MAX_SHORT		300
#define MAX_NBYTES		8000	/* 64000 bits, the longest bitvec */
#define MAX_NFLOATS		16384
#define MAX_NINT8		32768	/* the contract of the signed byte kernels */
#define MAX_CODES		64
#define MAX_NCONVERTED	1024

static const QvKernels *scalar;

/* ---- placing operands ---- */

/* 0..7: so many bytes after a trapping page; 8: right before one */
#define NPLACES			9
#define PLACE_END		8

static uint8_t *
place(const GuardedMemory *mem, size_t nbytes, int where)
{
	return where == PLACE_END ? mem->end - nbytes : mem->start + where;
}

/* ---- patterns ---- */

#define NPATTERNS		4

/* Random bytes, all ones against random, all ones, all zeros. */
static void
fill_bytes(uint8_t *p, size_t nbytes, int pattern, int operand, uint64_t *seed)
{
	for (size_t i = 0; i < nbytes; i++)
	{
		if (pattern == 2 || (pattern == 1 && operand == 0))
			p[i] = 0xFF;
		else if (pattern == 3)
			p[i] = 0;
		else
			p[i] = (uint8_t) check_random(seed);
	}
}

/* Random, -128 against 127, -128 against -128, random among the extremes. */
static void
fill_int8(int8_t *p, size_t n, int pattern, int operand, uint64_t *seed)
{
	static const int8_t extremes[4] = {-128, -127, 127, 0};

	for (size_t i = 0; i < n; i++)
	{
		if (pattern == 0)
			p[i] = (int8_t) check_random(seed);
		else if (pattern == 3)
			p[i] = extremes[check_random(seed) % 4];
		else
			p[i] = (pattern == 1 && operand == 1) ? 127 : -128;
	}
}

/*
 * Values of like size; of every size; denormals and signed zeros; some
 * infinities and NaNs among them.
 */
static void
fill_floats(float *p, size_t n, int pattern, uint64_t *seed)
{
	for (size_t i = 0; i < n; i++)
	{
		float		x = (float) (2 * check_uniform(seed) - 1);
		uint64_t	r = check_random(seed);

		if (pattern == 1)
			x = ldexpf(x, (int) (r % 250) - 125);
		else if (pattern == 2)
			x = (r % 3 == 0) ? copysignf(0, x) : ldexpf(x, -135);
		else if (pattern == 3 && r % 16 == 0)
			x = copysignf(INFINITY, x);
		else if (pattern == 3 && r % 97 == 1)
			x = NAN;
		p[i] = x;
	}
}

/* Copy n floats to a place that may be unaligned even for a float. */
static float *
put_floats(const GuardedMemory *mem, const float *values, size_t n, int where)
{
	uint8_t    *p = place(mem, n * sizeof(float), where);

	memcpy(p, values, n * sizeof(float));
	return (float *) (void *) p;
}

static bool
same_double(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0 || (isnan(a) && isnan(b));
}

static bool
same_float(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0 || (isnan(a) && isnan(b));
}

/* ---- counting mismatches ---- */

static int	mismatches;

static void
expect(bool good, const char *kernel, size_t n, int where, int pattern)
{
	if (!good && mismatches++ == 0)
		printf("#   first mismatch: %s, length %zu, place %d, pattern %d\n", kernel, n, where, pattern);
}

static void
report(const QvKernels *level, const char *what)
{
	ok(mismatches == 0, "%s: %s (%d mismatches)", level->name, what, mismatches);
	mismatches = 0;
}

/* ---- definitions ---- */

static int
bit_at(const uint8_t *p, size_t i)
{
	return (p[i / 8] >> (7 - i % 8)) & 1;
}

static uint32_t
naive_hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < 8 * nbytes; i++)
		sum += bit_at(a, i) != bit_at(b, i);
	return sum;
}

static uint32_t
naive_intersection(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < 8 * nbytes; i++)
		sum += bit_at(a, i) && bit_at(b, i);
	return sum;
}

/* The four planes hold numbers 0..15; the sum of those where the code has a one. */
static uint32_t
naive_planes4(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	uint32_t	sum = 0;

	for (size_t i = 0; i < 8 * nbytes; i++)
	{
		for (int j = 0; j < 4; j++)
			sum += (uint32_t) (bit_at(code, i) * bit_at(planes + (size_t) j * nbytes, i)) << j;
	}
	return sum;
}

typedef enum FloatOp
{
	FLOAT_DOT,
	FLOAT_L2SQ,
	FLOAT_L1
} FloatOp;

/*
 * Sixteen accumulators and the tree, one rounding at a time: what is stored in
 * a volatile variable cannot be fused with what follows.
 */
static double
naive_float_sum(FloatOp op, const float *a, const float *b, size_t n)
{
	volatile double s[16] = {0};
	volatile double d;
	volatile double term;

	for (size_t i = 0; i < n; i++)
	{
		float		x;
		float		y;

		memcpy(&x, (const char *) a + i * sizeof(float), sizeof(x));
		memcpy(&y, (const char *) b + i * sizeof(float), sizeof(y));
		d = (double) x - (double) y;
		if (op == FLOAT_DOT)
			term = (double) x * (double) y;
		else if (op == FLOAT_L2SQ)
			term = d * d;
		else
			term = fabs(d);
		s[i % 16] = s[i % 16] + term;
	}
	for (int width = 8; width >= 1; width /= 2)
	{
		for (int i = 0; i < width; i++)
			s[i] = s[i] + s[i + width];
	}
	return s[0];
}

/* ---- packed bits ---- */

static void
compare_bits(const QvKernels *level, const uint8_t *a, const uint8_t *b, size_t nbytes, int where, int pattern)
{
	expect(level->popcount(a, nbytes) == scalar->popcount(a, nbytes), "popcount", nbytes, where, pattern);
	expect(level->hamming(a, b, nbytes) == scalar->hamming(a, b, nbytes), "hamming", nbytes, where, pattern);
	expect(level->intersection(a, b, nbytes) == scalar->intersection(a, b, nbytes),
		   "intersection", nbytes, where, pattern);
}

static void
compare_bits_naive(const uint8_t *a, const uint8_t *b, size_t nbytes, int where, int pattern)
{
	expect(scalar->popcount(a, nbytes) == naive_intersection(a, a, nbytes), "popcount", nbytes, where, pattern);
	expect(scalar->hamming(a, b, nbytes) == naive_hamming(a, b, nbytes), "hamming", nbytes, where, pattern);
	expect(scalar->intersection(a, b, nbytes) == naive_intersection(a, b, nbytes),
		   "intersection", nbytes, where, pattern);
}

/* 0..MAX_SHORT, then some long ones around block sizes; SIZE_MAX ends it. */
static size_t
length_at(int i)
{
	static const size_t longer[] = {
		383, 384, 385, 511, 512, 513, 544, 767, 768, 991, 992, 1023, 1024, 1025, 2047, 2050, 4096, 7999, MAX_NBYTES
	};
	int			nlonger = (int) (sizeof(longer) / sizeof(longer[0]));

	if (i <= MAX_SHORT)
		return (size_t) i;
	return i - MAX_SHORT <= nlonger ? longer[i - MAX_SHORT - 1] : SIZE_MAX;
}

static void
test_bits(const QvKernels *level)
{
	GuardedMemory ma = guarded_alloc(MAX_NBYTES + 8);
	GuardedMemory mb = guarded_alloc(MAX_NBYTES + 8);
	uint64_t	seed = 1;

	for (int i = 0; length_at(i) != SIZE_MAX; i++)
	{
		size_t		nbytes = length_at(i);

		for (int where = 0; where < NPLACES; where++)
		{
			uint8_t    *a = place(&ma, nbytes, where);
			uint8_t    *b = place(&mb, nbytes, (where * 5 + i) % NPLACES);

			for (int pattern = 0; pattern < NPATTERNS; pattern++)
			{
				fill_bytes(a, nbytes, pattern, 0, &seed);
				fill_bytes(b, nbytes, pattern, 1, &seed);
				if (level != scalar)
					compare_bits(level, a, b, nbytes, where, pattern);
				else if (where % 4 == 0)
					compare_bits_naive(a, b, nbytes, where, pattern);
			}
		}
	}
	report(level, "popcount, hamming, intersection");
	guarded_free(&ma);
	guarded_free(&mb);
}

static void
test_planes(const QvKernels *level)
{
	GuardedMemory mp = guarded_alloc(4 * MAX_NBYTES + 8);
	GuardedMemory mc = guarded_alloc(MAX_NBYTES + 8);
	uint64_t	seed = 2;

	for (int i = 0; length_at(i) != SIZE_MAX; i++)
	{
		size_t		nbytes = length_at(i);

		for (int where = 0; where < NPLACES; where++)
		{
			uint8_t    *planes = place(&mp, 4 * nbytes, where);
			uint8_t    *code = place(&mc, nbytes, (where * 5 + i) % NPLACES);

			for (int pattern = 0; pattern < NPATTERNS; pattern++)
			{
				fill_bytes(planes, 4 * nbytes, pattern, 0, &seed);
				fill_bytes(code, nbytes, pattern, 1, &seed);
				if (level != scalar)
					expect(level->planes4(planes, code, nbytes) == scalar->planes4(planes, code, nbytes),
						   "planes4", nbytes, where, pattern);
				else if (where % 4 == 0)
					expect(scalar->planes4(planes, code, nbytes) == naive_planes4(planes, code, nbytes),
						   "planes4", nbytes, where, pattern);
			}
		}
	}
	report(level, "planes4");
	guarded_free(&mp);
	guarded_free(&mc);
}

/* ---- batches ---- */

/* What the batch kernels are asked, and where the answers go: each ends at a trapping page. */
typedef struct Batch
{
	const uint8_t *query;		/* also the first plane of four */
	const uint8_t *base;
	size_t		stride;
	const uint8_t *codes[MAX_CODES];
	int			ncodes;
	size_t		nbytes;
	uint32_t   *out;
	uint32_t   *out2;
} Batch;

static void
expect_counts(const Batch *batch, const uint32_t *got, uint32_t (*one) (const Batch *, int), const char *kernel)
{
	for (int i = 0; i < batch->ncodes; i++)
		expect(got[i] == one(batch, i), kernel, batch->nbytes, i, batch->ncodes);
}

static uint32_t
one_hamming(const Batch *batch, int i)
{
	return scalar->hamming(batch->query, batch->codes[i], batch->nbytes);
}

static uint32_t
one_intersection(const Batch *batch, int i)
{
	return scalar->intersection(batch->query, batch->codes[i], batch->nbytes);
}

static uint32_t
one_popcount(const Batch *batch, int i)
{
	return scalar->popcount(batch->codes[i], batch->nbytes);
}

static uint32_t
one_planes4(const Batch *batch, int i)
{
	return scalar->planes4(batch->query, batch->codes[i], batch->nbytes);
}

static void
clear_answers(const Batch *batch)
{
	memset(batch->out, 0xA5, (size_t) batch->ncodes * sizeof(uint32_t));
	memset(batch->out2, 0xA5, (size_t) batch->ncodes * sizeof(uint32_t));
}

/* The answer is as wide as the codes are many, and what is to be prefetched is not to be read. */
static void
compare_below_limit(const QvKernels *level, const Batch *b, uint32_t limit, const uint8_t *ahead)
{
	QvCodeRun	run = {b->base, b->stride, b->ncodes, {ahead, ahead}};
	uint32_t	nnear;
	uint32_t	want = 0;

	clear_answers(b);
	nnear = level->hamming_below(b->query, &run, b->nbytes, limit, b->out, b->out2);
	for (int i = 0; i < b->ncodes; i++)
	{
		uint32_t	hamming = one_hamming(b, i);

		if (hamming >= limit)
			continue;
		expect(want < nnear && b->out[want] == (uint32_t) i, "hamming_below, which", b->nbytes, i, b->ncodes);
		expect(want < nnear && b->out2[want] == hamming, "hamming_below, how far", b->nbytes, i, b->ncodes);
		want++;
	}
	expect(nnear == want, "hamming_below, how many", b->nbytes, (int) nnear, b->ncodes);
}

static void
test_limits(const QvKernels *level, const Batch *b)
{
	const uint8_t *end = b->base + (b->ncodes == 0 ? 0 : b->stride * (size_t) (b->ncodes - 1) + b->nbytes);
	uint32_t	first = b->ncodes == 0 ? 0 : one_hamming(b, 0);

	compare_below_limit(level, b, 0, b->base);
	compare_below_limit(level, b, first, b->base);
	compare_below_limit(level, b, first + 1, end);
	compare_below_limit(level, b, (uint32_t) (4 * b->nbytes), end);
	compare_below_limit(level, b, UINT32_C(1) << 31, end);
}

static void
compare_batch_strided(const QvKernels *level, const Batch *b)
{
	clear_answers(b);
	level->hamming_strided(b->query, b->base, b->stride, b->ncodes, b->nbytes, b->out);
	expect_counts(b, b->out, one_hamming, "hamming_strided");
	clear_answers(b);
	level->hamming_block(b->query, 1, b->base, b->stride, b->ncodes, b->nbytes, b->out);
	expect_counts(b, b->out, one_hamming, "hamming_block of one query");
	clear_answers(b);
	level->planes4_strided(b->query, b->base, b->stride, b->ncodes, b->nbytes, b->out);
	expect_counts(b, b->out, one_planes4, "planes4_strided");
	clear_answers(b);
	level->intersection_strided(b->query, b->base, b->stride, b->ncodes, b->nbytes, b->out, b->out2);
	expect_counts(b, b->out, one_intersection, "intersection_strided");
	expect_counts(b, b->out2, one_popcount, "intersection_strided, codebits");
}

static void
compare_batch_many(const QvKernels *level, const Batch *b)
{
	clear_answers(b);
	level->hamming_many(b->query, b->codes, b->ncodes, b->nbytes, b->out);
	expect_counts(b, b->out, one_hamming, "hamming_many");
	clear_answers(b);
	level->planes4_many(b->query, b->codes, b->ncodes, b->nbytes, b->out);
	expect_counts(b, b->out, one_planes4, "planes4_many");
	clear_answers(b);
	level->intersection_many(b->query, b->codes, b->ncodes, b->nbytes, b->out, b->out2);
	expect_counts(b, b->out, one_intersection, "intersection_many");
	expect_counts(b, b->out2, one_popcount, "intersection_many, codebits");
}

/* All pairs of the codes. */
static void
compare_block(const QvKernels *level, const Batch *b)
{
	static uint32_t out[MAX_CODES * MAX_CODES];
	size_t		n = (size_t) b->ncodes;

	memset(out, 0xA5, sizeof(out));
	level->hamming_block(b->base, b->ncodes, b->base, b->stride, b->ncodes, b->nbytes, out);
	for (size_t i = 0; i < n * n; i++)
		expect(out[i] == scalar->hamming(b->base + b->stride * (i / n), b->base + b->stride * (i % n), b->nbytes),
			   "hamming_block", b->nbytes, (int) i, b->ncodes);
	expect(n == MAX_CODES || out[n * n] == 0xA5A5A5A5, "hamming_block writes past the end", b->nbytes, 0, b->ncodes);
}

/* The same codes in another order, so that a pointer is not where a stride would find it. */
static void
shuffle_codes(Batch *batch, uint64_t *seed)
{
	for (int i = batch->ncodes - 1; i > 0; i--)
	{
		int			j = (int) (check_random(seed) % (uint64_t) (i + 1));
		const uint8_t *swap = batch->codes[i];

		batch->codes[i] = batch->codes[j];
		batch->codes[j] = swap;
	}
}

static void
test_batches(const QvKernels *level)
{
	static const int ncodes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 31, 33, MAX_CODES};
	GuardedMemory mq = guarded_alloc(4 * MAX_NBYTES + 8);
	GuardedMemory mc = guarded_alloc(MAX_CODES * (MAX_NBYTES + 37));
	GuardedMemory mo = guarded_alloc(MAX_CODES * sizeof(uint32_t));
	GuardedMemory mo2 = guarded_alloc(MAX_CODES * sizeof(uint32_t));
	uint64_t	seed = 3;

	for (int i = 0; length_at(i) != SIZE_MAX; i++)
	{
		Batch		batch;
		size_t		nbytes = length_at(i);
		uint8_t    *query = place(&mq, 4 * nbytes, i % NPLACES);

		fill_bytes(query, 4 * nbytes, 0, 0, &seed);
		batch.query = query;
		batch.nbytes = nbytes;
		for (size_t k = 0; k < sizeof(ncodes) / sizeof(ncodes[0]); k++)
		{
			size_t		gap = (size_t) (i + (int) k) % 3 == 0 ? 0 : (size_t) (i % 37);
			size_t		extent;
			uint8_t    *base;

			if (nbytes > 1024 && k % 4 != 0)
				continue;
			batch.ncodes = ncodes[k];
			batch.stride = nbytes + gap;
			extent = batch.ncodes == 0 ? 0 : (size_t) (batch.ncodes - 1) * batch.stride + nbytes;
			base = place(&mc, extent, k % 2 == 0 ? PLACE_END : (int) k % 8);
			fill_bytes(base, extent, 0, 1, &seed);
			batch.base = base;
			batch.out = (uint32_t *) (void *) place(&mo, (size_t) batch.ncodes * sizeof(uint32_t), PLACE_END);
			batch.out2 = (uint32_t *) (void *) place(&mo2, (size_t) batch.ncodes * sizeof(uint32_t), PLACE_END);
			for (int c = 0; c < batch.ncodes; c++)
				batch.codes[c] = base + (size_t) c * batch.stride;
			compare_batch_strided(level, &batch);
			test_limits(level, &batch);
			compare_block(level, &batch);
			shuffle_codes(&batch, &seed);
			compare_batch_many(level, &batch);
		}
	}
	report(level, "batches by pointer and by stride");
	guarded_free(&mq);
	guarded_free(&mc);
	guarded_free(&mo);
	guarded_free(&mo2);
}

/* ---- signed bytes ---- */

static void
compare_int8(const QvKernels *level, const int8_t *a, const int8_t *b, size_t n, int where, int pattern)
{
	expect(level->dot_i8(a, b, n) == scalar->dot_i8(a, b, n), "dot_i8", n, where, pattern);
	expect(level->l2sq_i8(a, b, n) == scalar->l2sq_i8(a, b, n), "l2sq_i8", n, where, pattern);
	expect(level->l1_i8(a, b, n) == scalar->l1_i8(a, b, n), "l1_i8", n, where, pattern);
	expect(level->sum_i8(a, n) == scalar->sum_i8(a, n), "sum_i8", n, where, pattern);
}

static void
compare_int8_naive(const int8_t *a, const int8_t *b, size_t n, int where, int pattern)
{
	int64_t		dot = 0;
	int64_t		l2sq = 0;
	int64_t		l1 = 0;
	int64_t		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int64_t		x = a[i];
		int64_t		y = b[i];

		dot += x * y;
		l2sq += (x - y) * (x - y);
		l1 += x > y ? x - y : y - x;
		sum += x;
	}
	expect(scalar->dot_i8(a, b, n) == dot, "dot_i8", n, where, pattern);
	expect(scalar->l2sq_i8(a, b, n) == l2sq, "l2sq_i8", n, where, pattern);
	expect(scalar->l1_i8(a, b, n) == l1, "l1_i8", n, where, pattern);
	expect(scalar->sum_i8(a, n) == sum, "sum_i8", n, where, pattern);
}

static void
test_int8_length(const QvKernels *level, const GuardedMemory *ma, const GuardedMemory *mb,
				 size_t n, int where, uint64_t *seed)
{
	int8_t	   *a = (int8_t *) place(ma, n, where);
	int8_t	   *b = (int8_t *) place(mb, n, (where * 5 + (int) n) % NPLACES);

	for (int pattern = 0; pattern < NPATTERNS; pattern++)
	{
		fill_int8(a, n, pattern, 0, seed);
		fill_int8(b, n, pattern, 1, seed);
		if (level == scalar)
			compare_int8_naive(a, b, n, where, pattern);
		else
			compare_int8(level, a, b, n, where, pattern);
	}
}

static void
test_int8(const QvKernels *level)
{
	GuardedMemory ma = guarded_alloc(MAX_NINT8 + 8);
	GuardedMemory mb = guarded_alloc(MAX_NINT8 + 8);
	uint64_t	seed = 4;

	for (int i = 0; length_at(i) != SIZE_MAX; i++)
	{
		for (int where = 0; where < NPLACES; where++)
			test_int8_length(level, &ma, &mb, length_at(i), where, &seed);
	}
	test_int8_length(level, &ma, &mb, 16000, PLACE_END, &seed);
	test_int8_length(level, &ma, &mb, MAX_NINT8 - 1, PLACE_END, &seed);
	test_int8_length(level, &ma, &mb, MAX_NINT8, PLACE_END, &seed);
	report(level, "dot, l2sq, l1 and sum of signed bytes");
	guarded_free(&ma);
	guarded_free(&mb);
}

#define MOST_BLOCK	70			/* more than are taken at a time */

/* All pairs of codes of signed bytes, the last of which ends at a trap. */
static void
test_int8_blocks(const QvKernels *level, GuardedMemory *mc)
{
	static const size_t lengths[] = {0, 1, 7, 8, 63, 64, 100, 256, 300, 768, 1000};
	static int32_t out[MOST_BLOCK * MOST_BLOCK + 1];
	uint64_t	seed = 15;

	for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
	{
		size_t		n = lengths[l];
		size_t		stride = n + 5;

		for (size_t ncodes = 1; ncodes <= MOST_BLOCK; ncodes += ncodes < 20 ? 1 : 25)
		{
			size_t		extent = stride * (ncodes - 1) + n;
			uint8_t    *base = place(mc, extent, PLACE_END);

			fill_int8((int8_t *) base, extent, (int) ncodes % NPATTERNS, 1, &seed);
			memset(out, 0xA5, sizeof(out));
			level->dot_i8_block(base, (int) ncodes, base, stride, (int) ncodes, n, out);
			for (size_t i = 0; i < ncodes * ncodes; i++)
				expect(out[i] == scalar->dot_i8((int8_t *) base + stride * (i / ncodes), (int8_t *) base + stride * (i % ncodes), n),
					   "dot_i8_block", n, (int) i, (int) ncodes);
			expect((uint32_t) out[ncodes * ncodes] == 0xA5A5A5A5, "dot_i8_block writes past the end", n, 0, (int) ncodes);
		}
	}
}

/* Batches of signed bytes give what one call a code gives; the last code ends at a trap. */
static void
test_int8_batches(const QvKernels *level)
{
	static const size_t lengths[] = {0, 1, 15, 16, 63, 64, 65, 100, 128, 256, 768, 1000, 7232};
	GuardedMemory mq = guarded_alloc(8000);
	GuardedMemory mc = guarded_alloc(21 * 8000);
	uint64_t	seed = 14;

	for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
	{
		size_t		n = lengths[l];
		size_t		stride = n + 3;

		for (int ncodes = 0; ncodes <= 20; ncodes++)
		{
			int			pattern = ncodes % NPATTERNS;
			size_t		extent = ncodes == 0 ? 0 : stride * (size_t) (ncodes - 1) + n;
			int8_t	   *query = (int8_t *) place(&mq, n, (ncodes * 5) % NPLACES);
			uint8_t    *base = place(&mc, extent, ncodes % 2 == 0 ? PLACE_END : ncodes % 8);
			const uint8_t *codes[20];
			int32_t		by_pointer[20];
			int32_t		by_stride[20];

			fill_int8(query, n, pattern, 0, &seed);
			fill_int8((int8_t *) base, extent, pattern, 1, &seed);
			for (int i = 0; i < ncodes; i++)
				codes[i] = base + stride * (size_t) ((i * 7 + 3) % ncodes);
			level->dot_i8_many(query, codes, ncodes, n, by_pointer);
			level->dot_i8_strided(query, base, stride, ncodes, n, by_stride);
			for (int i = 0; i < ncodes; i++)
			{
				expect(by_pointer[i] == scalar->dot_i8(query, (const int8_t *) codes[i], n), "dot_i8_many", n, ncodes, pattern);
				expect(by_stride[i] == scalar->dot_i8(query, (const int8_t *) base + stride * (size_t) i, n), "dot_i8_strided", n, ncodes, pattern);
			}
		}
	}
	test_int8_blocks(level, &mc);
	report(level, "batches of signed bytes");
	guarded_free(&mq);
	guarded_free(&mc);
}

/* ---- sums of floats ---- */

static void
compare_floats(const QvKernels *level, const float *a, const float *b, size_t n, int where, int pattern)
{
	expect(same_double(level->dot_f32(a, b, n), naive_float_sum(FLOAT_DOT, a, b, n)), "dot_f32", n, where, pattern);
	expect(same_double(level->l2sq_f32(a, b, n), naive_float_sum(FLOAT_L2SQ, a, b, n)), "l2sq_f32", n, where, pattern);
	expect(same_double(level->l1_f32(a, b, n), naive_float_sum(FLOAT_L1, a, b, n)), "l1_f32", n, where, pattern);
}

static void
test_floats(const QvKernels *level)
{
	static const size_t longer[] = {768, 1000, 1024, 4099, 16000};
	GuardedMemory ma = guarded_alloc(MAX_NFLOATS * sizeof(float) + 8);
	GuardedMemory mb = guarded_alloc(MAX_NFLOATS * sizeof(float) + 8);
	float	   *a = malloc(MAX_NFLOATS * sizeof(float));
	float	   *b = malloc(MAX_NFLOATS * sizeof(float));
	uint64_t	seed = 5;

	for (int i = 0; i <= MAX_SHORT + 5; i++)
	{
		size_t		n = i <= MAX_SHORT ? (size_t) i : longer[i - MAX_SHORT - 1];

		for (int pattern = 0; pattern < NPATTERNS; pattern++)
		{
			fill_floats(a, n, pattern, &seed);
			fill_floats(b, n, pattern, &seed);
			for (int where = 0; where < NPLACES; where += n < 40 ? 1 : 4)
				compare_floats(level, put_floats(&ma, a, n, where),
							   put_floats(&mb, b, n, (where * 5 + i) % NPLACES), n, where, pattern);
		}
	}
	report(level, "dot, l2sq and l1 of floats, to the bit");
	free(a);
	free(b);
	guarded_free(&ma);
	guarded_free(&mb);
}

/* What a half stands for, from its definition. */
static float
naive_half(uint16_t half)
{
	int			exponent = (half >> 10) & 31;
	double		fraction = half & 1023;
	double		x = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);

	if (exponent == 31)
		x = fraction == 0 ? INFINITY : NAN;
	return (float) copysign(x, half & 0x8000 ? -1.0 : 1.0);
}

/* The sum kernel.h defines, element by element. */
static float
naive_fast_sum(bool l2sq, const float *a, const float *b, size_t n)
{
	volatile float s[64] = {0};

	for (size_t i = 0; i < n; i++)
	{
		volatile float d = a[i] - b[i];
		volatile float product = l2sq ? d * d : a[i] * b[i];

		s[i % 64] = s[i % 64] + product;
	}
	for (int h = 32; h > 0; h /= 2)
	{
		for (int i = 0; i < h; i++)
			s[i] = s[i] + s[i + h];
	}
	return s[0];
}

/* All 65,536 halves, one at a time, in every lane. */
static void
test_half_values(const QvKernels *level)
{
	float		one[64] = {0};
	uint16_t	halves[64] = {0};

	for (uint32_t half = 0; half < 65536; half++)
	{
		size_t		lane = half % 64;
		size_t		n = half % 2 ? 64 : lane + 1;

		one[lane] = 1.0f;
		halves[lane] = (uint16_t) half;
		/* a sum that starts at +0 is never -0 */
		expect(same_float(level->fast_dot_f16(one, halves, n), naive_half((uint16_t) half) + 0.0f), "fast_dot_f16", n, (int) half, 0);
		one[lane] = 0.0f;
		halves[lane] = 0;
	}
	report(level, "every half is the float it should be");
}

static void
test_fast_sums(const QvKernels *level)
{
	static const size_t longer[] = {768, 1000, 1024, 4099, 16000};
	GuardedMemory ma = guarded_alloc(MAX_NFLOATS * sizeof(float) + 8);
	GuardedMemory mb = guarded_alloc(MAX_NFLOATS * sizeof(float) + 8);
	float	   *a = malloc(MAX_NFLOATS * sizeof(float));
	float	   *b = malloc(MAX_NFLOATS * sizeof(float));
	uint16_t   *halves = malloc(MAX_NFLOATS * sizeof(uint16_t));
	uint64_t	seed = 15;

	for (int i = 0; i <= MAX_SHORT + 5; i++)
	{
		size_t		n = i <= MAX_SHORT ? (size_t) i : longer[i - MAX_SHORT - 1];

		for (int pattern = 0; pattern < NPATTERNS; pattern++)
		{
			fill_floats(a, n, pattern, &seed);
			fill_floats(b, n, pattern, &seed);
			for (int where = 0; where < NPLACES; where += n < 80 ? 1 : 4)
			{
				const float *x = put_floats(&ma, a, n, where);
				const float *y = put_floats(&mb, b, n, (where * 5 + i) % NPLACES);

				expect(same_float(level->fast_dot_f32(x, y, n), naive_fast_sum(false, a, b, n)), "fast_dot_f32", n, where, pattern);
				expect(same_float(level->fast_l2sq_f32(x, y, n), naive_fast_sum(true, a, b, n)), "fast_l2sq_f32", n, where, pattern);
			}
			/* numbers up to 2, or any */
			for (size_t j = 0; j < n; j++)
			{
				halves[j] = (uint16_t) (check_random(&seed) & (pattern < 3 ? 0xBFFF : 0xFFFF));
				b[j] = naive_half(halves[j]);
			}
			for (int where = 0; where < NPLACES; where += n < 80 ? 1 : 4)
			{
				uint8_t    *p = place(&mb, n * sizeof(uint16_t), (where * 5 + i) % NPLACES);

				memcpy(p, halves, n * sizeof(uint16_t));
				expect(same_float(level->fast_dot_f16(put_floats(&ma, a, n, where), (const uint16_t *) (const void *) p, n),
								  naive_fast_sum(false, a, b, n)), "fast_dot_f16", n, where, pattern);
			}
		}
	}
	report(level, "dot of floats and of halves, and squared distance, at single precision, to the bit");
	free(a);
	free(b);
	free(halves);
	guarded_free(&ma);
	guarded_free(&mb);
}

/* The bound that README.md states, against long double where that is wider. */
static void
test_float_error(const QvKernels *level)
{
	size_t		n = 4096;
	float	   *a = malloc(n * sizeof(float));
	float	   *b = malloc(n * sizeof(float));
	uint64_t	seed = 6;
	int			nbad = 0;

	for (int round = 0; round < 50; round++)
	{
		long double dot = 0;
		long double dot_abs = 0;
		long double l2sq = 0;
		double		unit = ((double) n / 16 + 7) * 0x1p-53;

		fill_floats(a, n, round % 2, &seed);
		fill_floats(b, n, round % 2, &seed);
		for (size_t i = 0; i < n; i++)
		{
			long double d = (long double) a[i] - (long double) b[i];

			dot += (long double) a[i] * (long double) b[i];
			dot_abs += fabsl((long double) a[i] * (long double) b[i]);
			l2sq += d * d;
		}
		nbad += !(fabsl(level->dot_f32(a, b, n) - dot) <= unit * dot_abs);
		nbad += !(fabsl(level->l2sq_f32(a, b, n) - l2sq) <= unit * l2sq);
	}
	ok(nbad == 0, "%s: float sums are within their error bound (%d are not)", level->name, nbad);
	free(a);
	free(b);
}

/* ---- Walsh-Hadamard transform, signs ---- */

/* By definition, on integers, for which floats are exact. */
static void
test_fht_definition(void)
{
	float		x[1024];
	double		y[1024];
	uint64_t	seed = 7;

	for (size_t n = 1; n <= 1024; n *= 2)
	{
		for (size_t i = 0; i < n; i++)
			x[i] = (float) ((int) (check_random(&seed) % 2001) - 1000);
		for (size_t i = 0; i < n; i++)
		{
			y[i] = 0;
			for (size_t j = 0; j < n; j++)
				y[i] += __builtin_parityll((unsigned long long) (i & j)) ? -x[j] : x[j];
		}
		scalar->fht_f32(x, n);
		for (size_t i = 0; i < n; i++)
			expect(x[i] == y[i], "fht_f32", n, (int) i, 0);
	}
	report(scalar, "fht by definition");
}

static void
test_fht(const QvKernels *level)
{
	GuardedMemory mem = guarded_alloc(MAX_NFLOATS * sizeof(float) + 8);
	float	   *values = malloc(MAX_NFLOATS * sizeof(float));
	float	   *expected = malloc(MAX_NFLOATS * sizeof(float));
	uint64_t	seed = 8;

	for (size_t n = 1; n <= MAX_NFLOATS; n *= 2)
	{
		for (int pattern = 0; pattern < NPATTERNS; pattern++)
		{
			fill_floats(values, n, pattern, &seed);
			memcpy(expected, values, n * sizeof(float));
			scalar->fht_f32(expected, n);
			for (int where = 0; where < NPLACES; where++)
			{
				uint8_t    *x = (uint8_t *) put_floats(&mem, values, n, where);

				level->fht_f32((float *) (void *) x, n);
				for (size_t i = 0; i < n; i++)
				{
					float		got;

					memcpy(&got, x + i * sizeof(float), sizeof(got));
					expect(same_float(got, expected[i]), "fht_f32", n, where, pattern);
				}
			}
		}
	}
	report(level, "fht, to the bit");
	free(values);
	free(expected);
	guarded_free(&mem);
}

static void
compare_signs(const QvKernels *level, const float *values, const uint8_t *x, size_t n, uint8_t *out, int where, int pattern)
{
	size_t		nbytes = (n + 7) / 8;

	memset(out, 0xA5, nbytes);
	level->signs_f32((const float *) (const void *) x, n, out);
	for (size_t i = 0; i < 8 * nbytes; i++)
		expect(bit_at(out, i) == (i < n && values[i] > 0), "signs_f32", n, where, pattern);
}

static void
test_signs(const QvKernels *level)
{
	GuardedMemory mx = guarded_alloc(MAX_NFLOATS * sizeof(float) + 8);
	GuardedMemory mo = guarded_alloc(MAX_NFLOATS / 8 + 8);
	float	   *values = malloc(MAX_NFLOATS * sizeof(float));
	uint64_t	seed = 9;

	for (size_t n = 0; n <= 16000; n = n < MAX_SHORT ? n + 1 : n * 2 + 1)
	{
		for (int pattern = 0; pattern < NPATTERNS; pattern++)
		{
			fill_floats(values, n, pattern, &seed);
			for (int where = 0; where < NPLACES; where++)
				compare_signs(level, values, (uint8_t *) put_floats(&mx, values, n, where), n,
							  place(&mo, (n + 7) / 8, (where * 5 + (int) n) % NPLACES), where, pattern);
		}
	}
	report(level, "signs");
	free(values);
	guarded_free(&mx);
	guarded_free(&mo);
}

/* ---- from values to codes ---- */

/* Two runs of floats: where they lie, what is put there, and what the scalar level makes of that. */
typedef struct FloatRuns
{
	GuardedMemory mem[3];		/* two operands, and a result */
	float		values[2][MAX_NCONVERTED];
	float		expected[2][MAX_NCONVERTED];
} FloatRuns;

static void
open_runs(FloatRuns *runs)
{
	for (int i = 0; i < 3; i++)
		runs->mem[i] = guarded_alloc(MAX_NCONVERTED * sizeof(float) + 8);
}

static void
close_runs(FloatRuns *runs)
{
	for (int i = 0; i < 3; i++)
		guarded_free(&runs->mem[i]);
}

/* Both values to their places, which differ. */
static void
put_runs(const FloatRuns *runs, size_t n, int where, float **a, float **b)
{
	*a = put_floats(&runs->mem[0], runs->values[0], n, where);
	*b = put_floats(&runs->mem[1], runs->values[1], n, (where + (int) n) % NPLACES);
}

static void
expect_floats(const float *got, const float *expected, size_t n, const char *kernel, int where, int pattern)
{
	for (size_t i = 0; i < n; i++)
	{
		float		x;

		memcpy(&x, (const uint8_t *) got + i * sizeof(float), sizeof(x));
		expect(same_float(x, expected[i]), kernel, n, where, pattern);
	}
}

static void
compare_residual(const QvKernels *level, FloatRuns *runs, size_t n, int where, int pattern)
{
	const double scales[] = {1.0, 1.0 / 3.0, 0.0};
	float	   *out = (float *) (void *) place(&runs->mem[2], n * sizeof(float), where);
	float	   *a;
	float	   *b;

	put_runs(runs, n, where, &a, &b);
	for (int i = 0; i < 3; i++)
	{
		scalar->residual_f32(runs->values[0], scales[i], runs->values[1], n, runs->expected[0]);
		level->residual_f32(a, scales[i], b, n, out);
		expect_floats(out, runs->expected[0], n, "residual_f32", where, pattern);
	}
}

static void
compare_in_place(const QvKernels *level, FloatRuns *runs, size_t n, int where, int pattern)
{
	float	   *a;
	float	   *b;

	memcpy(runs->expected, runs->values, sizeof(runs->expected));
	put_runs(runs, n, where, &a, &b);
	scalar->multiply_f32(runs->expected[0], runs->expected[1], n);
	level->multiply_f32(a, b, n);
	expect_floats(a, runs->expected[0], n, "multiply_f32", where, pattern);

	scalar->turn_f32(runs->expected[0], runs->expected[1], n);
	level->turn_f32(a, b, n);
	expect_floats(a, runs->expected[0], n, "turn_f32", where, pattern);
	expect_floats(b, runs->expected[1], n, "turn_f32, second", where, pattern);
}

static void
compare_levels(const QvKernels *level, FloatRuns *runs, size_t n, int where, int pattern)
{
	static const int max_levels[] = {15, 255};
	uint8_t    *out = place(&runs->mem[2], n, where);
	uint8_t		expected[MAX_NCONVERTED];
	float	   *a;
	float	   *b;
	float		low[2];
	float		high[2];

	put_runs(runs, n, where, &a, &b);
	scalar->range_f32(runs->values[0], n, &low[0], &high[0]);
	level->range_f32(a, n, &low[1], &high[1]);
	expect(same_float(low[0], low[1]) && same_float(high[0], high[1]), "range_f32", n, where, pattern);
	for (int i = 0; i < 2; i++)
	{
		float		per_step = (float) max_levels[i] / (high[0] - low[0]);
		int32_t		sum = scalar->levels_f32(runs->values[0], n, low[0], per_step, max_levels[i], expected);

		expect(level->levels_f32(a, n, low[0], per_step, max_levels[i], out) == sum, "levels_f32, sum", n, where, pattern);
		expect(memcmp(out, expected, n) == 0, "levels_f32", n, where, pattern);
	}
}

static void
compare_words(const QvKernels *level, FloatRuns *runs, size_t n, int where, int pattern)
{
	int8_t	   *high = (int8_t *) place(&runs->mem[2], n, where);
	int8_t	   *low;
	int8_t		expected[2][MAX_NCONVERTED];
	float	   *a;
	float	   *b;
	int32_t		sum;

	put_runs(runs, n, where, &a, &b);
	low = (int8_t *) place(&runs->mem[1], n, where);
	/* half of the values lie beyond the largest word */
	sum = scalar->words_f32(runs->values[0], n, 2.0f * QV_MAX_WORD, expected[0], expected[1]);
	expect(level->words_f32(a, n, 2.0f * QV_MAX_WORD, high, low) == sum, "words_f32, sum", n, where, pattern);
	expect(memcmp(high, expected[0], n) == 0, "words_f32", n, where, pattern);
	expect(memcmp(low, expected[1], n) == 0, "words_f32, low", n, where, pattern);
}

static void
compare_plane(const QvKernels *level, FloatRuns *runs, size_t n, int where, int j)
{
	const uint8_t *bytes = (const uint8_t *) runs->values[0];
	uint8_t    *x = place(&runs->mem[0], n, where);
	uint8_t    *out = place(&runs->mem[2], n / 8, where);

	memcpy(x, bytes, n);
	level->bits_u8(x, n, j, out);
	for (size_t i = 0; i < n; i++)
		expect(bit_at(out, i) == (bytes[i] >> j & 1), "bits_u8", n, where, j);
}

static void
test_conversions(const QvKernels *level)
{
	FloatRuns  *runs = malloc(sizeof(FloatRuns));
	uint64_t	seed = 37;

	open_runs(runs);
	for (size_t n = 1; n <= MAX_NCONVERTED; n = n < 96 ? n + 1 : n + 32)
	{
		for (int pattern = 0; pattern < NPATTERNS; pattern++)
		{
			fill_floats(runs->values[0], n, pattern, &seed);
			fill_floats(runs->values[1], n, pattern, &seed);
			for (int where = 0; where < NPLACES; where++)
			{
				compare_residual(level, runs, n, where, pattern);
				if (n % 32 != 0)
					continue;
				compare_in_place(level, runs, n, where, pattern);
				compare_levels(level, runs, n, where, pattern);
				compare_words(level, runs, n, where, pattern);
				for (int j = 0; j < 8; j++)
					compare_plane(level, runs, n, where, j);
			}
		}
	}
	report(level, "values to codes");
	close_runs(runs);
	free(runs);
}

/* Levels and words by rounding in double; ties that a float makes of others are left out. */
static void
test_conversions_definition(void)
{
	enum {N = 4096};
	static float x[N];
	static uint8_t level[N];
	static int8_t high[N];
	static int8_t low[N];
	float		smallest;
	float		largest;
	int32_t		level_sum;
	int32_t		word_sum;
	uint64_t	seed = 41;

	fill_floats(x, N, 0, &seed);
	scalar->range_f32(x, N, &smallest, &largest);
	level_sum = scalar->levels_f32(x, N, -0.5f, 100, 127, level);
	word_sum = scalar->words_f32(x, N, 20000, high, low);
	for (int i = 0; i < N; i++)
	{
		double		u = fmin(fmax((x[i] + 0.5) * 100, 0), 127);
		double		w = fmin(fmax(x[i] * 20000.0, -QV_MAX_WORD), QV_MAX_WORD);

		expect(smallest <= x[i] && x[i] <= largest, "range_f32", N, 0, 0);
		expect(fabs(level[i] - u) <= 0.50001, "levels_f32", N, 0, 0);
		expect(fabs(128 * high[i] + low[i] - w) <= 0.502 && low[i] >= -64 && low[i] < 64, "words_f32", N, 0, 0);
		level_sum -= level[i];
		word_sum -= 128 * high[i] + low[i];
	}
	expect(level_sum == 0 && word_sum == 0, "sums of levels and words", N, 0, 0);
	report(scalar, "levels and words by definition");
}

/* ---- estimates ---- */

/* By the formula, in double: the scalar level is right to the rounding of floats. */
static void
test_estimate_definition(void)
{
	const QvEstimate how = {.nbits = 320, .level_sum = 2400, .step = 0.002f, .low = -0.01f, .constant = 0.7f, .norm_weight = 0.5f, .ip_weight = -1.0f};
	uint64_t	seed = 43;

	for (int i = 0; i < 1000; i++)
	{
		float		x = (float) check_uniform(&seed);
		uint32_t	sum = (uint32_t) (check_random(&seed) % 2400);
		QvFactors	factors = {.norm = x, .inv_x0 = (uint16_t) check_random(&seed), .nset = (uint16_t) (check_random(&seed) % 320)};
		double		ip = (double) x * factors.inv_x0 * (0.002 * (2.0 * sum - 2400) - 0.01 * (2.0 * factors.nset - 320)) + x;
		float		got;

		scalar->estimate(&how, &sum, &factors, &x, 1, &got);
		expect(fabs(got - (0.7 + 0.5 * x * x - ip)) <= 1e-5 * (1 + x * factors.inv_x0), "estimate", 1, 0, 0);
	}
	report(scalar, "estimates by definition");
}

/* Factors of any bits: infinities and NaNs among them. */
static void
test_estimate(const QvKernels *level)
{
	const QvEstimate how = {.nbits = 320, .level_sum = 2400, .step = 0.3f, .low = -7.3f, .constant = 0.7f, .norm_weight = 0.5f, .ip_weight = -1.0f};
	GuardedMemory mf = guarded_alloc(MAX_CODES * sizeof(QvFactors));
	GuardedMemory mo = guarded_alloc(MAX_CODES * sizeof(float));
	uint32_t	sums[MAX_CODES];
	float		xc[MAX_CODES];
	float		expected[MAX_CODES];
	uint64_t	seed = 47;

	for (int round = 0; round < 2000; round++)
	{
		int			n = round % (MAX_CODES + 1);
		size_t		nbytes = (size_t) n * sizeof(QvFactors);
		QvFactors  *factors = (QvFactors *) (void *) place(&mf, nbytes, PLACE_END);
		float	   *dist = (float *) (void *) place(&mo, (size_t) n * sizeof(float), PLACE_END);

		fill_bytes((uint8_t *) factors, nbytes, 0, 0, &seed);
		fill_bytes((uint8_t *) sums, sizeof(sums), 0, 0, &seed);
		fill_floats(xc, MAX_CODES, round % NPATTERNS, &seed);
		for (int i = 0; i < n; i++)
			sums[i] >>= round % 32;
		for (int with = 0; with < 2; with++)
		{
			scalar->estimate(&how, sums, factors, with ? xc : NULL, n, expected);
			level->estimate(&how, sums, factors, with ? xc : NULL, n, dist);
			expect(memcmp(dist, expected, (size_t) n * sizeof(float)) == 0, "estimate", (size_t) n, with, round);
			for (int i = 0; i < n; i++)
				expect(isfinite(dist[i]), "estimate, finite", (size_t) n, with, round);
		}
	}
	report(level, "estimates");
	guarded_free(&mf);
	guarded_free(&mo);
}

/* ---- elements below a limit ---- */

static void
compare_below(const QvKernels *level, const float *x, uint32_t n, float limit, const GuardedMemory *mo, int where)
{
	uint32_t   *out = (uint32_t *) (void *) place(mo, n * sizeof(uint32_t), PLACE_END);
	uint32_t	count = level->below_f32(x, n, limit, out);
	uint32_t	want = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		float		value;

		memcpy(&value, (const uint8_t *) x + i * sizeof(float), sizeof(value));
		if (value < limit)
		{
			expect(want < count && out[want] == i, "below_f32", n, where, (int) i);
			want++;
		}
	}
	expect(count == want, "below_f32, how many", n, where, (int) count);
}

static void
test_below(const QvKernels *level)
{
	GuardedMemory mx = guarded_alloc(MAX_SHORT * sizeof(float) + 8);
	GuardedMemory mo = guarded_alloc(MAX_SHORT * sizeof(uint32_t));
	uint64_t	seed = 29;
	float		values[MAX_SHORT];

	for (uint32_t n = 0; n <= MAX_SHORT; n++)
	{
		for (int pattern = 0; pattern < NPATTERNS; pattern++)
		{
			float		limits[] = {0, INFINITY, -INFINITY, NAN, 1};
			const float *x;

			fill_floats(values, n, pattern, &seed);
			x = put_floats(&mx, values, n, (int) n % NPLACES);
			if (n > 0)
				limits[4] = values[n / 2];
			for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
				compare_below(level, x, n, limits[i], &mo, pattern);
		}
	}
	report(level, "elements below a limit");
	guarded_free(&mx);
	guarded_free(&mo);
}

/* ---- sorting ---- */

static void
test_sort(const QvKernels *level)
{
	GuardedMemory mk = guarded_alloc(MAX_SHORT * sizeof(uint64_t) + 8);
	GuardedMemory mo = guarded_alloc(MAX_SHORT * sizeof(uint64_t) + 8);
	uint64_t	seed = 31;
	uint64_t	keys[MAX_SHORT];

	for (uint32_t n = 0; n <= MAX_SHORT; n++)
	{
		for (int where = 0; where < NPLACES; where++)
		{
			size_t		nbytes = n * sizeof(uint64_t);
			uint8_t    *in = place(&mk, nbytes, where);
			uint8_t    *out = place(&mo, nbytes, (where + (int) n) % NPLACES);

			/* different by their low bytes; both ends of the range are among them */
			for (uint32_t i = 0; i < n; i++)
				keys[i] = i == 0 ? UINT64_MAX : i == 1 ? 0 : (check_random(&seed) << 16) + i;
			memcpy(in, keys, nbytes);
			level->sort_u64((const uint64_t *) (const void *) in, n, (uint64_t *) (void *) out);
			qsort(keys, n, sizeof(uint64_t), compare_u64);
			expect(memcmp(out, keys, nbytes) == 0, "sort_u64", n, where, 0);
		}
	}
	report(level, "sorted keys");
	guarded_free(&mk);
	guarded_free(&mo);
}

/* ---- keys ---- */

/* The range from one of the keys to another, or to an end of what keys can be. */
static void
choose_range(const uint8_t *keys, int nbytes, uint32_t n, uint64_t *seed, int64_t *low, int64_t *high)
{
	int64_t		ends[2] = {INT64_MIN >> (64 - 8 * nbytes), INT64_MAX >> (64 - 8 * nbytes)};
	int64_t		at[2] = {ends[0], ends[1]};

	for (int i = 0; i < 2; i++)
	{
		uint64_t	key = 0;

		if (n == 0 || check_random(seed) % 4 == 0)
			continue;
		memcpy(&key, keys + (size_t) (check_random(seed) % n) * (size_t) nbytes, (size_t) nbytes);
		at[i] = (int64_t) (key << (64 - 8 * nbytes)) >> (64 - 8 * nbytes);
	}
	*low = at[0] < at[1] ? at[0] : at[1];
	*high = at[0] < at[1] ? at[1] : at[0];
}

static void
compare_between(const QvKernels *level, const uint8_t *keys, int nbytes, uint32_t n, const GuardedMemory *mo, uint64_t *seed)
{
	size_t		nwords = (n + 63) / 64;
	uint64_t   *out = (uint64_t *) (void *) place(mo, nwords * sizeof(uint64_t), PLACE_END);
	uint64_t	want[MAX_SHORT / 64 + 1];
	int64_t		low;
	int64_t		high;

	choose_range(keys, nbytes, n, seed, &low, &high);
	/* what is set stays, behind the last key too */
	for (size_t i = 0; i < nwords; i++)
		want[i] = out[i] = check_random(seed) & check_random(seed);
	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t	bits = 0;
		int64_t		key;

		memcpy(&bits, keys + (size_t) i * (size_t) nbytes, (size_t) nbytes);
		key = (int64_t) (bits << (64 - 8 * nbytes)) >> (64 - 8 * nbytes);
		if (key >= low && key <= high)
			want[i / 64] |= UINT64_C(1) << i % 64;
	}
	level->between_keys(keys, nbytes, n, low, high, out);
	expect(memcmp(out, want, nwords * sizeof(uint64_t)) == 0, "between_keys", n, nbytes, (int) (low & 0xFF));
}

static void
compare_masked(const QvKernels *level, const uint8_t *words, uint32_t n, const GuardedMemory *mo, uint64_t *seed)
{
	size_t		nwords = (n + 63) / 64;
	uint64_t   *out = (uint64_t *) (void *) place(mo, nwords * sizeof(uint64_t), PLACE_END);
	uint64_t	want[MAX_SHORT / 64 + 1];
	uint64_t	mask = check_random(seed) & check_random(seed) & check_random(seed) & check_random(seed);
	uint64_t	value = check_random(seed) % 2 ? mask : 0;

	for (size_t i = 0; i < nwords; i++)
		want[i] = out[i] = check_random(seed) & check_random(seed);
	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t	word;

		memcpy(&word, words + (size_t) i * 8, 8);
		if ((word & mask) == value)
			want[i / 64] |= UINT64_C(1) << i % 64;
	}
	level->masked_u64((const uint64_t *) (const void *) words, n, mask, value, out);
	expect(memcmp(out, want, nwords * sizeof(uint64_t)) == 0, "masked_u64", n, 0, 0);
}

static void
test_keys(const QvKernels *level)
{
	GuardedMemory mk = guarded_alloc(MAX_SHORT * sizeof(uint64_t) + 8);
	GuardedMemory mo = guarded_alloc(MAX_SHORT / 8 + 16);
	uint64_t	seed = 37;

	for (uint32_t n = 0; n <= MAX_SHORT; n++)
	{
		for (int nbytes = 1; nbytes <= 8; nbytes *= 2)
		{
			uint8_t    *keys = place(&mk, n * (size_t) nbytes, (int) n % NPLACES);

			for (size_t i = 0; i < n * (size_t) nbytes; i++)
				keys[i] = (uint8_t) (check_random(&seed) % 3 == 0 ? 0 : check_random(&seed));
			compare_between(level, keys, nbytes, n, &mo, &seed);
			compare_between(level, keys, nbytes, n, &mo, &seed);
			if (nbytes == 8)
				compare_masked(level, keys, n, &mo, &seed);
		}
	}
	report(level, "keys in a range, words under a mask");
	guarded_free(&mk);
	guarded_free(&mo);
}

/* ---- selection ---- */

static void
test_refused(const char *name)
{
	const QvKernels *before = qv_kernels();

	ok(!qv_kernels_force(name) && qv_kernels() == before,
	   "level \"%s\" is refused and changes nothing", name == NULL ? "(null)" : name);
}

static void
test_selection(void)
{
	const char *expected = getenv("QV_EXPECT_LEVEL");
	const QvKernels *level;
	const QvKernels *best = NULL;
	const QvKernels *chosen = qv_kernels();
	bool		usable;
	int			nlevels = 0;

	for (; (level = qv_kernels_level(nlevels, &usable)) != NULL; nlevels++)
	{
		if (usable)
		{
			ok(qv_kernels_force(level->name) && qv_kernels() == level, "level \"%s\" can be forced", level->name);
			best = level;
		}
		else
			test_refused(level->name);
	}
	test_refused("sse9");
	test_refused("");
	test_refused("AVX2");
	test_refused("scalar ");
	test_refused(NULL);
	ok(chosen == best, "the first use chose \"%s\", the best of %d levels", chosen->name, nlevels);
	ok(qv_kernels_force("scalar") && qv_kernels_force("auto") && qv_kernels() == best, "\"auto\" undoes a forced level");
	ok(qv_kernels_level(-1, &usable) == NULL && qv_kernels_level(nlevels + 1, &usable) == NULL,
	   "there is no level before the first and past the last");
	if (expected != NULL)
		ok(strcmp(best->name, expected) == 0, "this processor gets level \"%s\": \"%s\"", expected, best->name);
}

int
main(void)
{
	const QvKernels *level;
	bool		usable;

	test_selection();
	scalar = qv_kernels_level(0, &usable);
	ok(usable && strcmp(scalar->name, "scalar") == 0, "level 0 is scalar and always runs");
	test_fht_definition();
	test_conversions_definition();
	test_estimate_definition();
	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		if (!usable)
		{
			skip_ok("%s: this machine does not run it", level->name);
			continue;
		}
		test_bits(level);
		test_planes(level);
		test_batches(level);
		test_int8(level);
		test_int8_batches(level);
		test_floats(level);
		test_half_values(level);
		test_fast_sums(level);
		test_float_error(level);
		test_fht(level);
		test_signs(level);
		test_conversions(level);
		test_estimate(level);
		test_below(level);
		test_keys(level);
		test_sort(level);
	}
	return done_testing();
}
