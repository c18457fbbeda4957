/*
 * training.c
 *		Centres that codes are measured from: learned from rows, and only as many as pay.
 *
 * An estimate errs in proportion to |r|, the distance of a row from its centre.  So centres pay as
 * far as they lower the mean of log |r|^2 over rows they were not learned from: a mean of
 * logarithms, for one row far away, which any centre of its own serves, must not outweigh all
 * others.  Must not know codes.  See TRAINING.md.
 */
#include "codec/training.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/assert.h"
#include "kernel/kernel.h"

/* Rounds of k-means: later ones change little.  While rows are inserted there is less time.  doc/decisions/0150. */
#define NROUNDS_MANY	8
#define NROUNDS_FEW		4

/* Rows a centre has at least to be learned from: its mean has a variance of an eighth of theirs. */
#define MIN_ROWS		8

/* Of so many rows one is held out when many centres are learned, and when few are. */
#define HOLD_OUT_MANY	4
#define HOLD_OUT_FEW	2

/*
 * What the mean of log |r|^2 has to fall by for the next larger number of centres, and more for each number that is passed over.
 * doc/decisions/0150.
 */
#define PAYS_MANY		0.20
#define PAYS_PASSED		0.10

/* The same for one more centre, by its own rows; and by how much each has to be of use where all together pay. */
#define PAYS_ALONE		0.35
#define PAYS_BESIDE		0.05

/* No row counts as nearer than this share of what it was: a row at its centre has no logarithm. */
#define NEAREST			1e-6

/* Rows between two looks for interrupts. */
#define LOOK_NROWS		64

typedef struct Clusters
{
	const QvTraining *training;
	uint32_t	hold_out;		/* one row in so many is not learned from; 0 = all are */
	uint32_t	k;
	int			nrounds;
	float	   *centres;
	uint32_t   *own;			/* of each row */
	uint32_t   *count;			/* of each cluster */
	double	   *sum;			/* k x ndims */
	double	   *gain;			/* of each cluster */
	float	   *before;			/* of each row: |r|^2 with the centres taken so far */
	float	   *after;			/* the same with these clusters */
	uint64_t	random;
} Clusters;

size_t
qv_train_scratch_nbytes(uint32_t nrows, uint32_t ndims, uint32_t k)
{
	return (size_t) k * ndims * (sizeof(double) + sizeof(float)) + k * (sizeof(double) + sizeof(uint32_t)) +
		(size_t) nrows * (sizeof(uint32_t) + 2 * sizeof(float)) + 64;
}

/* Lay out the scratch for at most k clusters. */
static Clusters
begin(const QvTraining *training, uint32_t k)
{
	Clusters	c = {.training = training, .random = training->seed, .nrounds = NROUNDS_MANY};
	char	   *p = training->scratch;

	c.sum = (double *) p;
	p += (size_t) k * training->ndims * sizeof(double);
	c.gain = (double *) p;
	p += k * sizeof(double);
	c.centres = (float *) p;
	p += (size_t) k * training->ndims * sizeof(float);
	c.before = (float *) p;
	p += training->nrows * sizeof(float);
	c.after = (float *) p;
	p += training->nrows * sizeof(float);
	c.own = (uint32_t *) p;
	p += training->nrows * sizeof(uint32_t);
	c.count = (uint32_t *) p;
	p += k * sizeof(uint32_t);
	QV_ASSERT((size_t) (p - (char *) training->scratch) <= qv_train_scratch_nbytes(training->nrows, training->ndims, k));
	return c;
}

/* splitmix64 */
static uint32_t
random_below(Clusters *c, uint32_t n)
{
	uint64_t	z = (c->random += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (uint32_t) (((z ^ (z >> 31)) >> 32) * n >> 32);
}

static inline const float *
row_at(const Clusters *c, uint32_t i)
{
	return c->training->rows + (size_t) i * c->training->ndims;
}

static inline float *
centre_at(const Clusters *c, uint32_t j)
{
	return c->centres + (size_t) j * c->training->ndims;
}

/* One row in so many, in no order: rows may come in one, such as every other from another source. */
static inline bool
is_held_out(const Clusters *c, uint32_t i)
{
	return c->hold_out > 0 && ((i + 1) * UINT32_C(2654435769) >> 16) % c->hold_out == 0;
}

static void
look_for_interrupts(const Clusters *c, uint32_t i)
{
	if (i % LOOK_NROWS == 0 && c->training->interrupt != NULL)
		c->training->interrupt(c->training->arg);
}

/* The nearest centre of each row; sums and counts of rows that are learned from. */
static void
assign(Clusters *c)
{
	uint32_t	ndims = c->training->ndims;

	memset(c->sum, 0, (size_t) c->k * ndims * sizeof(double));
	memset(c->count, 0, c->k * sizeof(uint32_t));
	for (uint32_t i = 0; i < c->training->nrows; i++)
	{
		const float *row = row_at(c, i);
		double		best = INFINITY;
		uint32_t	own = 0;
		double	   *sum;

		look_for_interrupts(c, i);
		for (uint32_t j = 0; j < c->k; j++)
		{
			double		dist = qv_kernels()->l2sq_f32(row, centre_at(c, j), ndims);

			if (dist < best)
			{
				best = dist;
				own = j;
			}
		}
		c->own[i] = own;
		c->after[i] = (float) best;
		if (is_held_out(c, i))
			continue;
		c->count[own]++;
		sum = c->sum + (size_t) own * ndims;
		for (uint32_t d = 0; d < ndims; d++)
			sum[d] += row[d];
	}
}

/* A row to learn from, at random. */
static uint32_t
random_row(Clusters *c)
{
	uint32_t	i;

	do
		i = random_below(c, c->training->nrows);
	while (is_held_out(c, i));
	return i;
}

/* Centres become the means of their rows; one without rows starts anew from a row. */
static void
move_centres(Clusters *c)
{
	uint32_t	ndims = c->training->ndims;

	for (uint32_t j = 0; j < c->k; j++)
	{
		const double *sum = c->sum + (size_t) j * ndims;
		float	   *centre = centre_at(c, j);

		if (c->count[j] == 0)
		{
			memcpy(centre, row_at(c, random_row(c)), ndims * sizeof(float));
			continue;
		}
		for (uint32_t d = 0; d < ndims; d++)
			centre[d] = (float) (sum[d] / c->count[j]);
	}
}

/* k of the rows to learn from, all different: the first of a shuffle, whose order own serves as. */
static void
choose_seeds(Clusters *c)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < c->training->nrows; i++)
	{
		if (!is_held_out(c, i))
			c->own[n++] = i;
	}
	QV_ASSERT(c->k <= n);
	for (uint32_t j = 0; j < c->k; j++)
	{
		uint32_t	other = j + random_below(c, n - j);
		uint32_t	row = c->own[other];

		c->own[other] = c->own[j];
		c->own[j] = row;
		memcpy(centre_at(c, j), row_at(c, row), c->training->ndims * sizeof(float));
	}
}

/* Learn k centres from the rows that are not held out.  Every row is assigned afterwards. */
static void
learn(Clusters *c, uint32_t k)
{
	c->k = k;
	choose_seeds(c);
	for (int round = 0; round < c->nrounds; round++)
	{
		assign(c);
		move_centres(c);
	}
	assign(c);
}

/* Of a row, how much nearer it is to its nearest centre: the fall of log |r|^2, never below 0. */
static double
gain_of(double before, double after)
{
	if (!(after < before && before <= FLT_MAX))
		return 0;
	return log(before / (after + NEAREST * before) * (1 + NEAREST));
}

/* Whatever was held out is learned from as well, and the centres go to the caller. */
static void
finish(Clusters *c)
{
	c->hold_out = 0;
	assign(c);
	move_centres(c);
}

/* ---- many ---- */

/* Mean gain over the rows held out. */
static double
mean_gain(const Clusters *c)
{
	double		sum = 0;
	uint32_t	n = 0;

	for (uint32_t i = 0; i < c->training->nrows; i++)
	{
		if (!is_held_out(c, i))
			continue;
		sum += gain_of(c->before[i], c->after[i]);
		n++;
	}
	return n > 0 ? sum / n : 0;
}

/* How far each row is from what it is nearest to: where it was, or one of n centres. */
static void
measure(Clusters *c, const float *centres, uint32_t n, float *norm2)
{
	memcpy(norm2, c->before, c->training->nrows * sizeof(float));
	if (n == 0)
		return;
	c->k = n;
	memcpy(c->centres, centres, (size_t) n * c->training->ndims * sizeof(float));
	assign(c);
	for (uint32_t i = 0; i < c->training->nrows; i++)
		norm2[i] = c->after[i] < norm2[i] ? c->after[i] : norm2[i];
}

/* Learn several numbers of centres, at most max, and take as many as pay beside what each row has. */
static uint32_t
take_many(Clusters *c, uint32_t max, float *centres)
{
	static const uint32_t numbers[] = {16, 64, QV_TRAIN_MANY_MAX};
	uint32_t	nrows = c->training->nrows;
	uint32_t	taken = 0;
	double		wanted = PAYS_MANY;

	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
	{
		uint32_t	nlearned = nrows - nrows / HOLD_OUT_MANY;
		double		gain;

		if (numbers[n] > max || numbers[n] > nlearned / MIN_ROWS)
			break;
		c->hold_out = HOLD_OUT_MANY;
		learn(c, numbers[n]);
		gain = mean_gain(c);
		wanted += PAYS_PASSED;
		if (gain < wanted - PAYS_PASSED)
			continue;
		taken = numbers[n];
		wanted = gain + PAYS_MANY;
		finish(c);
		memcpy(centres, c->centres, (size_t) taken * c->training->ndims * sizeof(float));
	}
	return taken;
}

uint32_t
qv_train_many(const QvTraining *training, const float *centroid, uint32_t max, float *centres, float *norm2)
{
	Clusters	c = begin(training, max);
	uint32_t	taken;

	for (uint32_t i = 0; i < training->nrows; i++)
		c.before[i] = (float) qv_kernels()->l2sq_f32(row_at(&c, i), centroid, training->ndims);
	taken = take_many(&c, max, centres);
	measure(&c, centres, taken, norm2);
	return taken;
}

uint32_t
qv_train_more(const QvTraining *training, float *norm2, uint32_t max, float *centres)
{
	Clusters	c = begin(training, max);
	uint32_t	taken;

	memcpy(c.before, norm2, training->nrows * sizeof(float));
	taken = take_many(&c, max, centres);
	measure(&c, centres, taken, norm2);
	return taken;
}
/* ---- few ---- */

/*
 * Mean gain of each cluster over its rows that were held out.  One that does not pay alone, or has
 * too few rows to tell, pays where all clusters together do.
 */
static void
judge_clusters(Clusters *c)
{
	double		all = mean_gain(c);
	uint32_t	count[QV_TRAIN_FEW_LARGEST] = {0};

	QV_ASSERT(c->k <= QV_TRAIN_FEW_LARGEST);
	memset(c->gain, 0, c->k * sizeof(double));
	for (uint32_t i = 0; i < c->training->nrows; i++)
	{
		if (!is_held_out(c, i))
			continue;
		c->gain[c->own[i]] += gain_of(c->before[i], c->after[i]);
		count[c->own[i]]++;
	}
	for (uint32_t j = 0; j < c->k; j++)
	{
		double		gain = count[j] > 0 ? c->gain[j] / count[j] : 0;
		bool		pays = (count[j] >= MIN_ROWS && gain >= PAYS_ALONE) || (all >= PAYS_MANY && gain >= PAYS_BESIDE);

		c->gain[j] = pays ? gain : 0;
	}
}

/* Take the clusters that pay, at most max; their rows are nearer from now on.  Returns how many. */
static uint32_t
take_clusters(Clusters *c, uint32_t max, float *centres)
{
	uint32_t	ndims = c->training->ndims;
	uint32_t	ntaken = 0;

	judge_clusters(c);
	finish(c);
	for (uint32_t j = 0; j < c->k && ntaken < max; j++)
	{
		if (c->gain[j] <= 0)
			continue;
		memcpy(centres + (size_t) ntaken++ * ndims, centre_at(c, j), ndims * sizeof(float));
		for (uint32_t i = 0; i < c->training->nrows; i++)
		{
			float		dist = (float) qv_kernels()->l2sq_f32(row_at(c, i), centre_at(c, j), ndims);

			if (dist < c->before[i])
				c->before[i] = dist;
		}
	}
	return ntaken;
}

uint32_t
qv_train_few(const QvTraining *training, float *norm2, uint32_t max, float *centres)
{
	static const uint32_t numbers[] = {1, 8, QV_TRAIN_FEW_LARGEST};
	Clusters	c = begin(training, QV_TRAIN_FEW_LARGEST);
	uint32_t	ntaken = 0;

	c.nrounds = NROUNDS_FEW;
	memcpy(c.before, norm2, training->nrows * sizeof(float));
	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
	{
		/* one cluster, and then clusters of the rows that it does not serve */
		uint32_t	k = numbers[n] < max - ntaken ? numbers[n] : max - ntaken;

		if (k == 0 || (n > 0 && k <= numbers[n - 1]) || k * MIN_ROWS * HOLD_OUT_FEW > training->nrows)
			break;
		c.hold_out = HOLD_OUT_FEW;
		learn(&c, k);
		ntaken += take_clusters(&c, max - ntaken, centres + (size_t) ntaken * training->ndims);
	}
	memcpy(norm2, c.before, training->nrows * sizeof(float));
	return ntaken;
}
