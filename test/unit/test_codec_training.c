/*
 * test_codec_training.c
 *		Centres learned from rows: how many pay on data of several kinds, the same whatever the
 *		level, nothing written past its end; codes that a value had before centres were added.
 */
#include <float.h>

#include "codec/training.h"
#include "codec_fixture.h"

#define NDIMS	24
#define NROWS	1200
#define MAX		QV_TRAIN_MANY_MAX

typedef struct Learned
{
	float	   *rows;
	float	   *centres;
	float	   *norm2;
	void	   *scratch;
	QvTraining	training;
	int			nlooks;
} Learned;

static void
count_look(void *arg)
{
	++*(int *) arg;
}

static void
begin(Learned *l, uint32_t nrows)
{
	size_t		nbytes = qv_train_scratch_nbytes(nrows, NDIMS, MAX);

	memset(l, 0, sizeof(*l));
	l->rows = float_memory((size_t) nrows * NDIMS);
	l->centres = float_memory((size_t) MAX * NDIMS);
	l->norm2 = float_memory(nrows);
	l->scratch = aligned_memory(nbytes + 64);
	memset((char *) l->scratch + nbytes, 0x5A, 64);
	l->training = (QvTraining) {
		.rows = l->rows, .nrows = nrows, .ndims = NDIMS, .seed = 7, .scratch = l->scratch,
		.interrupt = count_look, .arg = &l->nlooks
	};
}

static bool
end(Learned *l)
{
	size_t		nbytes = qv_train_scratch_nbytes(l->training.nrows, NDIMS, MAX);
	bool		kept = true;

	for (size_t i = nbytes; i < nbytes + 64; i++)
		kept = kept && ((unsigned char *) l->scratch)[i] == 0x5A;
	free(l->rows);
	free(l->centres);
	free(l->norm2);
	free(l->scratch);
	return kept;
}

/* Rows around so many means, which are `apart` standard deviations apart, with this spread. */
static void
fill(Learned *l, uint32_t from, uint32_t n, uint32_t nmeans, double apart, double spread)
{
	uint64_t	state = 11 + from;
	float	   *means = float_memory((size_t) nmeans * NDIMS);

	for (uint32_t i = 0; i < nmeans * NDIMS; i++)
		means[i] = (float) (apart * check_normal(&state));
	for (uint32_t i = from; i < from + n; i++)
	{
		const float *mean = means + (size_t) (check_random(&state) % nmeans) * NDIMS;

		for (int d = 0; d < NDIMS; d++)
			l->rows[(size_t) i * NDIMS + d] = mean[d] + (float) (spread * check_normal(&state));
	}
	free(means);
}

/* Mean of log |r|^2 of the rows from the nearest of n centres and the origin. */
static double
mean_log(const Learned *l, uint32_t n)
{
	double		sum = 0;

	for (uint32_t i = 0; i < l->training.nrows; i++)
	{
		const float *row = l->rows + (size_t) i * NDIMS;
		double		best = 0;

		for (int d = 0; d < NDIMS; d++)
			best += (double) row[d] * row[d];
		for (uint32_t j = 0; j < n; j++)
		{
			double		dist = 0;

			for (int d = 0; d < NDIMS; d++)
				dist += pow((double) row[d] - l->centres[(size_t) j * NDIMS + d], 2);
			best = dist < best ? dist : best;
		}
		sum += log(best + 1e-30);
	}
	return sum / l->training.nrows;
}

static void
test_many(void)
{
	static const float origin[NDIMS];
	Learned		l;
	uint32_t	n;
	double		worst = 0;

	begin(&l, NROWS);
	fill(&l, 0, NROWS, 1, 0, 1);
	n = qv_train_many(&l.training, origin, MAX, l.centres, l.norm2);
	ok(n == 0 && l.nlooks > 10, "one even cloud gets no centres (%u), and interrupts are looked for", n);
	ok(end(&l), "scratch is not exceeded");

	begin(&l, NROWS);
	fill(&l, 0, NROWS, 12, 8, 1);
	n = qv_train_many(&l.training, origin, MAX, l.centres, l.norm2);
	ok(n >= 16 && mean_log(&l, n) < log(1.5 * NDIMS), "twelve clusters get centres (%u) that rows are near to (%.2f)", n, mean_log(&l, n));
	for (uint32_t i = 0; i < NROWS; i++)
		worst = fmax(worst, l.norm2[i]);
	ok(worst < 6 * NDIMS, "distances are those to the centres (%.1f)", worst);
	n = qv_train_many(&l.training, origin, 15, l.centres, l.norm2);
	ok(n == 0, "no more centres than the most");
	ok(end(&l), "scratch is not exceeded");

	/* a hundred rows so far away that they are all of the variance */
	begin(&l, NROWS);
	fill(&l, 0, NROWS - 100, 12, 8, 1);
	fill(&l, NROWS - 100, 100, 100, 1e6, 1);
	n = qv_train_many(&l.training, origin, MAX, l.centres, l.norm2);
	ok(n > 0, "rows far away do not hide that centres pay for the others (%u)", n);
	ok(end(&l), "scratch is not exceeded");

	begin(&l, 20);
	fill(&l, 0, 20, 2, 8, 1);
	ok(qv_train_many(&l.training, origin, MAX, l.centres, l.norm2) == 0, "too few rows learn nothing");
	(void) end(&l);
}

static void
test_few(void)
{
	Learned		l;
	uint32_t	n;

	/* rows of one cloud that lie far from their centre, and others that lie at the middle of it */
	begin(&l, 256);
	fill(&l, 0, 256, 1, 5, 1);
	for (int i = 0; i < 256; i++)
		l.norm2[i] = NDIMS * 26.0f;
	n = qv_train_few(&l.training, l.norm2, QV_TRAIN_FEW_MAX, l.centres);
	ok(n == 1 && l.norm2[0] < 4 * NDIMS, "one cloud gets one centre (%u), its mean", n);
	n = qv_train_few(&l.training, l.norm2, QV_TRAIN_FEW_MAX, l.centres);
	ok(n == 0, "and no other");
	l.training.nrows = 8;
	l.norm2[0] = l.norm2[1] = NDIMS * 26.0f;
	ok(qv_train_few(&l.training, l.norm2, QV_TRAIN_FEW_MAX, l.centres) == 0, "too few rows learn nothing");
	l.training.nrows = 256;
	(void) end(&l);

	begin(&l, 256);
	fill(&l, 0, 256, 5, 10, 1);
	for (int i = 0; i < 256; i++)
		l.norm2[i] = NDIMS * 101.0f;
	n = qv_train_few(&l.training, l.norm2, QV_TRAIN_FEW_MAX, l.centres);
	ok(n >= 4, "several clouds get several centres (%u)", n);
	for (int i = 0; i < 256; i++)
		l.norm2[i] = NDIMS * 101.0f;
	n = qv_train_few(&l.training, l.norm2, 2, l.centres);
	ok(n <= 2, "no more than the most (%u)", n);
	(void) end(&l);

	/* all rows alike: nothing is divided by a distance of zero */
	begin(&l, 256);
	for (int i = 0; i < 256 * NDIMS; i++)
		l.rows[i] = 3;
	for (int i = 0; i < 256; i++)
		l.norm2[i] = NDIMS * 9.0f;
	n = qv_train_few(&l.training, l.norm2, QV_TRAIN_FEW_MAX, l.centres);
	ok(n == 1 && l.centres[0] == 3 && l.norm2[255] == 0, "rows that are all alike get the one centre (%u)", n);
	(void) end(&l);
}

/* Numbers near the ends of float: centres stay finite. */
/* Rows of an index: half of them near to the centre they have, the others far. */
static void
test_more(void)
{
	Learned		l;
	uint32_t	n;

	begin(&l, NROWS);
	fill(&l, 0, NROWS, 12, 8, 1);
	for (uint32_t i = 0; i < NROWS; i++)
		l.norm2[i] = NDIMS * (i % 2 == 0 ? 1.0f : 65.0f);
	n = qv_train_more(&l.training, l.norm2, MAX, l.centres);
	ok(n >= 16 && l.norm2[1] < 6 * NDIMS, "rows far from the centres they have get others (%u)", n);
	n = qv_train_more(&l.training, l.norm2, MAX, l.centres);
	ok(n == 0, "and no more of them (%u)", n);
	for (uint32_t i = 0; i < NROWS; i++)
		l.norm2[i] = 0;
	ok(qv_train_more(&l.training, l.norm2, MAX, l.centres) == 0 && l.norm2[0] == 0, "rows at their centres need none");
	ok(end(&l), "scratch is not exceeded");
}

static void
test_extremes(void)
{
	static const float origin[NDIMS];
	Learned		l;
	uint32_t	n;
	bool		finite = true;

	begin(&l, NROWS);
	for (int i = 0; i < NROWS * NDIMS; i++)
		l.rows[i] = i % 3 == 0 ? 1e38f : i % 3 == 1 ? -1e38f : 1e-38f;
	for (int i = 0; i < NROWS; i++)
		l.norm2[i] = FLT_MAX;
	n = qv_train_many(&l.training, origin, MAX, l.centres, l.norm2);
	for (uint32_t i = 0; i < n * NDIMS; i++)
		finite = finite && isfinite(l.centres[i]);
	l.training.nrows = 256;
	n = qv_train_few(&l.training, l.norm2, QV_TRAIN_FEW_MAX, l.centres);
	for (uint32_t i = 0; i < n * NDIMS; i++)
		finite = finite && isfinite(l.centres[i]);
	ok(finite, "centres of the largest and smallest numbers are finite");
	l.training.nrows = NROWS;
	ok(end(&l), "scratch is not exceeded");
}

static void
test_same_everywhere(void)
{
	static const float origin[NDIMS];
	Learned		first;
	uint32_t	n;
	bool		same = true;
	bool		usable;

	begin(&first, NROWS);
	fill(&first, 0, NROWS, 12, 8, 1);
	n = qv_train_many(&first.training, origin, MAX, first.centres, first.norm2);
	for (int i = 0; qv_kernels_level(i, &usable) != NULL; i++)
	{
		Learned		other;

		if (!usable)
			continue;
		qv_kernels_force(qv_kernels_level(i, &usable)->name);
		begin(&other, NROWS);
		fill(&other, 0, NROWS, 12, 8, 1);
		same = same && qv_train_many(&other.training, origin, MAX, other.centres, other.norm2) == n &&
			memcmp(first.centres, other.centres, sizeof(float) * n * NDIMS) == 0;
		(void) end(&other);
	}
	qv_kernels_force("auto");
	ok(same, "the same centres at every level");
	(void) end(&first);
}

/* Every code that a codec with fewer centres made is among the older ones of the whole codec. */
static void
test_older_codes(void)
{
	static const QvMetric metrics[] = {QV_METRIC_L2, QV_METRIC_IP, QV_METRIC_COSINE};
	static const uint32_t widths[] = {1, 8};

	for (int m = 0; m < 6; m++)
	{
		float	   *data = clustered_data(400, 64, 0.5, 0.3, 3);
		QvCodecParams params = float_params(metrics[m / 2], 64, 5, NULL);
		CodecFixture whole;
		uint8_t    *slot;
		uint8_t    *was;
		int			nmissing = 0;
		int			nolder = 0;

		/* the first rows are the centres */
		for (int i = 0; i < 12 * 64 && metrics[m / 2] == QV_METRIC_COSINE; i += 64)
		{
			double		norm = sqrt(qv_kernels()->dot_f32(data + i, data + i, 64));

			for (int d = 0; d < 64; d++)
				data[i + d] = (float) (data[i + d] / norm);
		}
		params.nbits = widths[m % 2];
		params.centres = data;
		params.ncentres = 12;
		whole = fixture_open(params);
		slot = aligned_memory(whole.slot_nbytes);
		was = aligned_memory(whole.slot_nbytes);
		for (uint32_t n = 4; n <= 12; n++)
		{
			CodecFixture part;

			params.ncentres = n;
			part = fixture_open(params);
			for (int i = 20; i < 120; i++)
			{
				const float *value = data + (size_t) i * 64;
				bool		found;

				qv_codec_encode(part.codec, value, was, part.scratch);
				qv_codec_encode(whole.codec, value, slot, whole.scratch);
				found = memcmp(slot, was, whole.slot_nbytes) == 0;
				while (!found && qv_codec_encode_older(whole.codec, 4, value, slot, whole.scratch))
				{
					found = memcmp(slot, was, whole.slot_nbytes) == 0;
					nolder++;
				}
				nmissing += !found;
			}
			fixture_close(&part);
		}
		ok(nmissing == 0 && nolder > 50, "%u bits, metric %d: codes made before centres were added are found again (%d missing, %d older)",
		   widths[m % 2], (int) metrics[m / 2], nmissing, nolder);
		free(slot);
		free(was);
		free(data);
		fixture_close(&whole);
	}
}

int
main(void)
{
	test_many();
	test_few();
	test_more();
	test_extremes();
	test_same_everywhere();
	test_older_codes();
	return done_testing();
}
