/*
 * bench_kernel.c
 *		Nanoseconds of every kernel of every level this machine runs.
 *
 * Run by "make bench", not by the tests: it checks nothing.  Batches are what a
 * search scores at once, codes by pointer in cache; runs are what a bulk build
 * scores, contiguous codes.  Each figure is the best of several rounds, as a
 * busy machine only ever adds time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "kernel/kernel.h"

#define NCODES		4096		/* 384 kB of 96-byte codes: second-level cache */
#define BLOCK		64			/* codes of a block of all pairs, sixteen of them queries */
#define BATCH		24			/* about the neighbours of one node that were not seen yet */
#define MAX_NBYTES	256
#define NFLOATS		4096

#define ROUNDS		15
#define ROUND_NS	2e6			/* long enough for the clock, short enough to find a quiet moment */

typedef struct Bench
{
	const QvKernels *level;
	size_t		n;				/* bytes of a code, or elements */
	uint8_t    *query;
	uint8_t    *base;
	const uint8_t *codes[NCODES];	/* in random order */
	float	   *x;
	float	   *y;
	uint32_t	out[NCODES];
	uint32_t	out2[NCODES];
} Bench;

static volatile double sink;

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* Best time of one call of run, divided by what one call does. */
static double
best_ns(void (*run) (Bench *), Bench *bench, double nunits)
{
	double		best = 1e30;

	run(bench);
	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now_ns();
		double		end;
		int			ncalls = 0;

		do
		{
			run(bench);
			ncalls++;
			end = now_ns();
		} while (end - start < ROUND_NS);
		if ((end - start) / ncalls < best)
			best = (end - start) / ncalls;
	}
	return best / nunits;
}

#define SINGLE(kernel) \
static void \
run_##kernel(Bench *b) \
{ \
	for (int i = 0; i < NCODES; i++) \
		b->out[i] = b->level->kernel(b->query, b->codes[i], b->n); \
}
SINGLE(hamming)
SINGLE(planes4)

static void
run_popcount(Bench *b)
{
	for (int i = 0; i < NCODES; i++)
		b->out[i] = b->level->popcount(b->codes[i], b->n);
}

#define MANY(kernel, ...) \
static void \
run_##kernel##_many(Bench *b) \
{ \
	for (int i = 0; i + BATCH <= NCODES; i += BATCH) \
		b->level->kernel##_many(b->query, b->codes + i, BATCH, b->n, __VA_ARGS__); \
} \
static void \
run_##kernel##_strided(Bench *b) \
{ \
	b->level->kernel##_strided(b->query, b->base, b->n, NCODES, b->n, __VA_ARGS__); \
}
MANY(hamming, b->out)
MANY(intersection, b->out, b->out2)
MANY(planes4, b->out)

/* One code in some thousand is near, and what is prefetched is there already. */
static void
run_hamming_below(Bench *b)
{
	QvCodeRun	run = {b->base, b->n, NCODES, {b->base, b->base}};

	sink = b->level->hamming_below(b->query, &run, b->n, (uint32_t) (b->n * 4 - 5 * b->n / 8), b->out2, b->out);
}

static void
run_hamming_block(Bench *b)
{
	b->level->hamming_block(b->base, 16, b->base, b->n, BLOCK, b->n, b->out);
}

/* In batches, as codes are scored; the factors are any bytes. */
static void
run_estimate(Bench *b)
{
	const QvEstimate how = {.nbits = 320, .level_sum = 2400, .step = 0.3f, .low = -7.3f, .norm_weight = 0.5f, .ip_weight = -1.0f};

	for (int i = 0; i + BATCH <= NCODES; i += BATCH)
		b->level->estimate(&how, b->out, (const QvFactors *) (const void *) b->base + i, NULL, BATCH, (float *) (void *) b->out2);
}

static void
run_below_f32(Bench *b)
{
	sink = b->level->below_f32(b->x, (uint32_t) b->n, -0.9f, b->out);
}

/* Sixteen times, as few keys as a list of candidates has. */
static void
run_sort_u64(Bench *b)
{
	uint64_t	out[64];

	for (int i = 0; i < 16; i++)
	{
		b->level->sort_u64((const uint64_t *) (const void *) (b->base + i * 1024), (uint32_t) b->n, out);
		sink = (double) out[0];
	}
}

#define INT8(kernel) \
static void \
run_##kernel(Bench *b) \
{ \
	for (int i = 0; i < 16; i++) \
		sink = b->level->kernel((const int8_t *) b->base, (const int8_t *) b->base + 32768 + i * 1024, b->n); \
}
INT8(dot_i8)
INT8(l2sq_i8)
INT8(l1_i8)

/* A quarter of the codes: they are four times as long. */
static void
run_dot_i8_strided(Bench *b)
{
	b->level->dot_i8_strided((const int8_t *) b->query, b->base, b->n, NCODES / 4, b->n, (int32_t *) b->out);
}

static void
run_dot_i8_block(Bench *b)
{
	b->level->dot_i8_block(b->base, 16, b->base, b->n, 64, b->n, (int32_t *) b->out);
}

static void
run_sum_i8(Bench *b)
{
	for (int i = 0; i < 16; i++)
		sink = b->level->sum_i8((const int8_t *) b->base + i * 1024, b->n);
}

#define FLOATS(kernel) \
static void \
run_##kernel(Bench *b) \
{ \
	sink = b->level->kernel(b->x, b->y, b->n); \
}
FLOATS(dot_f32)
FLOATS(l2sq_f32)
FLOATS(l1_f32)

/* Sixteen times: one takes no longer than reading the clock. */
static void
run_fast_dot_f32(Bench *b)
{
	for (int i = 0; i < 16; i++)
		sink = b->level->fast_dot_f32(b->x, b->y + i * 64, b->n);
}

static void
run_fast_dot_f16(Bench *b)
{
	for (int i = 0; i < 16; i++)
		sink = b->level->fast_dot_f16(b->x, (const uint16_t *) b->base + i * 64, b->n);
}

/* Of zeros: repeated on values the transform would run into infinities. */
static void
run_fht_f32(Bench *b)
{
	b->level->fht_f32(b->y, b->n);
}

static void
run_residual_f32(Bench *b)
{
	b->level->residual_f32(b->x, 0.5, b->x, b->n, b->y);
	memset(b->y, 0, b->n * sizeof(float));
}

static void
run_multiply_f32(Bench *b)
{
	b->level->multiply_f32(b->y, b->x, b->n);
}

static void
run_turn_f32(Bench *b)
{
	b->level->turn_f32(b->y, b->y + b->n / 2, b->n / 2);
}

static void
run_range_f32(Bench *b)
{
	float		low;
	float		high;

	b->level->range_f32(b->x, b->n, &low, &high);
	sink = low + high;
}

static void
run_levels_f32(Bench *b)
{
	sink = b->level->levels_f32(b->x, b->n, -1.0f, 7.5f, 15, (uint8_t *) b->out);
}

static void
run_words_f32(Bench *b)
{
	sink = b->level->words_f32(b->x, b->n, QV_MAX_WORD, (int8_t *) b->out, (int8_t *) b->out2);
}

static void
run_bits_u8(Bench *b)
{
	for (int j = 0; j < 4; j++)
		b->level->bits_u8(b->base, b->n, j, (uint8_t *) b->out);
}

static void
run_signs_f32(Bench *b)
{
	b->level->signs_f32(b->x, b->n, (uint8_t *) b->out);
}

static const struct
{
	const char *name;
	void		(*run) (Bench *);
	double		nunits;
	size_t		n[5];			/* lengths, 0 ends */
}			benches[] =
{
	{"popcount", run_popcount, NCODES, {96, 128, 256}},
	{"hamming", run_hamming, NCODES, {96, 128, 256}},
	{"hamming_many", run_hamming_many, NCODES / BATCH * BATCH, {40, 96, 128, 256}},
	{"hamming_strided", run_hamming_strided, NCODES, {40, 96, 128, 256}},
	{"hamming_block", run_hamming_block, 16 * BLOCK, {40, 96, 128, 256}},
	{"intersection_many", run_intersection_many, NCODES / BATCH * BATCH, {96, 128, 256}},
	{"hamming_below", run_hamming_below, NCODES, {40, 96, 128, 256}},
	{"intersection_strided", run_intersection_strided, NCODES, {96, 128, 256}},
	{"planes4", run_planes4, NCODES, {96, 128, 256}},
	{"planes4_many", run_planes4_many, NCODES / BATCH * BATCH, {40, 96, 128, 256}},
	{"planes4_strided", run_planes4_strided, NCODES, {40, 96, 128, 256}},
	{"estimate", run_estimate, NCODES / BATCH * BATCH, {1}},
	{"dot_i8", run_dot_i8, 16, {768, 1024}},
	{"dot_i8_strided", run_dot_i8_strided, NCODES / 4, {768, 1024}},
	{"dot_i8_block", run_dot_i8_block, 16 * 64, {256, 768}},
	{"l2sq_i8", run_l2sq_i8, 16, {768, 1024}},
	{"l1_i8", run_l1_i8, 16, {768, 1024}},
	{"sum_i8", run_sum_i8, 16, {768, 1024}},
	{"dot_f32", run_dot_f32, 1, {768, 1024}},
	{"fast_dot_f32", run_fast_dot_f32, 16, {768, 1024}},
	{"fast_dot_f16", run_fast_dot_f16, 16, {768, 1024}},
	{"l2sq_f32", run_l2sq_f32, 1, {768, 1024}},
	{"l1_f32", run_l1_f32, 1, {768, 1024}},
	{"below_f32", run_below_f32, 1, {1024}},
	{"sort_u64", run_sort_u64, 16, {24, 48, 64}},
	{"fht_f32", run_fht_f32, 1, {256, 512, 1024, 4096}},
	{"signs_f32", run_signs_f32, 1, {768, 1024}},
	{"residual_f32", run_residual_f32, 1, {320, 768}},
	{"multiply_f32", run_multiply_f32, 1, {320, 768}},
	{"turn_f32", run_turn_f32, 1, {320, 768}},
	{"range_f32", run_range_f32, 1, {320, 768}},
	{"levels_f32", run_levels_f32, 1, {320, 768}},
	{"words_f32", run_words_f32, 1, {320, 768}},
	{"bits_u8", run_bits_u8, 4, {320, 768}},
};

#define NBENCHES ((int) (sizeof(benches) / sizeof(benches[0])))

static void
fill(Bench *bench, uint64_t *seed)
{
	for (size_t i = 0; i < (size_t) NCODES * MAX_NBYTES; i++)
		bench->base[i] = (uint8_t) check_random(seed);
	for (int i = 0; i < 4 * MAX_NBYTES; i++)
		bench->query[i] = (uint8_t) check_random(seed);
	for (int i = 0; i < NFLOATS; i++)
		bench->x[i] = (float) (2 * check_uniform(seed) - 1);
	memset(bench->y, 0, NFLOATS * sizeof(float));
}

/* Codes of n bytes in an order that no stride explains. */
static void
scatter_codes(Bench *bench, uint64_t *seed)
{
	for (int i = 0; i < NCODES; i++)
		bench->codes[i] = bench->base + (size_t) i * bench->n;
	for (int i = NCODES - 1; i > 0; i--)
	{
		int			j = (int) (check_random(seed) % (uint64_t) (i + 1));
		const uint8_t *swap = bench->codes[i];

		bench->codes[i] = bench->codes[j];
		bench->codes[j] = swap;
	}
}

/* One line: the times of one kernel at one length, a column a level. */
static void
bench_line(Bench *bench, int which, size_t n)
{
	bool		usable;

	printf("%-22s%6zu", benches[which].name, n);
	for (int i = 0; (bench->level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		if (usable)
			printf("%10.2f", best_ns(benches[which].run, bench, benches[which].nunits));
	}
	printf("\n");
	fflush(stdout);
}

/* An argument keeps only the kernels whose name contains it. */
int
main(int argc, char **argv)
{
	Bench	   *bench = calloc(1, sizeof(Bench));
	uint64_t	seed = 1;
	bool		usable;

	bench->base = malloc((size_t) NCODES * MAX_NBYTES);
	bench->query = malloc(4 * MAX_NBYTES);
	bench->x = malloc(NFLOATS * sizeof(float));
	bench->y = malloc(NFLOATS * sizeof(float));
	fill(bench, &seed);
	printf("%-22s%6s", "ns a code or a call", "n");
	for (int i = 0; (bench->level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		if (usable)
			printf("%10s", bench->level->name);
	}
	printf("\n");
	for (int which = 0; which < NBENCHES; which++)
	{
		if (argc > 1 && strstr(benches[which].name, argv[1]) == NULL)
			continue;
		for (int k = 0; benches[which].n[k] != 0; k++)
		{
			bench->n = benches[which].n[k];
			scatter_codes(bench, &seed);
			bench_line(bench, which, bench->n);
		}
	}
	free(bench->base);
	free(bench->query);
	free(bench->x);
	free(bench->y);
	free(bench);
	return 0;
}
