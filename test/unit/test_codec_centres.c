/*
 * test_codec_centres.c
 *		Codes of many centres: estimates and pairs against exact distances, the same at every
 *		level, codes that are older or newer than a codec, queries of any length.
 */
#include <float.h>

#include "codec_float.h"

#define NCENTRES	6
#define NDIMS		200
#define NROWS		150

static const uint32_t widths[] = {1, 2, 4, 8, 16};

#define NWIDTHS		((int) (sizeof(widths) / sizeof(widths[0])))

/*
 * Rows of NCENTRES clusters, one after another: each of a spread of its own, and far off the
 * origin and each other.  centres get the means.
 */
static float *
far_clusters(uint64_t seed, float *centres)
{
	float	   *data = float_memory((size_t) NROWS * NDIMS);
	uint64_t	state = seed;

	for (int k = 0; k < NCENTRES; k++)
	{
		double		spread = 0.1 * (k + 1);

		for (int i = 0; i < NDIMS; i++)
			centres[k * NDIMS + i] = (float) (1.0 + check_normal(&state));
		for (int row = k; row < NROWS; row += NCENTRES)
		{
			for (int i = 0; i < NDIMS; i++)
				data[(size_t) row * NDIMS + i] = centres[k * NDIMS + i] + (float) (spread * check_normal(&state));
		}
	}
	return data;
}

/* In the space that a codec of the metric measures in. */
static void
normalise_centres(QvMetric metric, float *centres)
{
	for (int k = 0; metric == QV_METRIC_COSINE && k < NCENTRES; k++)
	{
		double		sq = 0.0;

		for (int i = 0; i < NDIMS; i++)
			sq += (double) centres[k * NDIMS + i] * centres[k * NDIMS + i];
		for (int i = 0; i < NDIMS; i++)
			centres[k * NDIMS + i] /= (float) sqrt(sq);
	}
}

typedef struct World
{
	float	   *data;
	float	   *centroid;
	float		centres[NCENTRES * NDIMS];
} World;

static World
world_open(QvMetric metric)
{
	World		world;

	world.data = far_clusters(5, world.centres);
	world.centroid = mean_of(world.data, NROWS, NDIMS, metric);
	normalise_centres(metric, world.centres);
	return world;
}

static void
world_close(World *world)
{
	free(world->data);
	free(world->centroid);
}

static QvCodecParams
params_of(const World *world, QvMetric metric, uint32_t nbits, QvCodecPurpose purpose)
{
	QvCodecParams params = float_params(metric, NDIMS, 3, world->centroid);

	params.nbits = nbits;
	params.purpose = purpose;
	params.ncentres = NCENTRES;
	params.centres = world->centres;
	return params;
}

static double
distance(QvMetric metric, const World *world, int a, int b)
{
	return exact_distance(metric, world->data + (size_t) a * NDIMS, world->data + (size_t) b * NDIMS, NDIMS);
}

/* ---- estimates ---- */

/* Errors of estimates in units of the error that the codec tells: they must be those of a unit normal, or smaller. */
static void
check_estimates(QvMetric metric, uint32_t nbits, QvCodecPurpose purpose, const char *name)
{
	World		world = world_open(metric);
	CodecFixture fx = fixture_open(params_of(&world, metric, nbits, purpose));
	uint8_t    *slots = fixture_encode(&fx, world.data, NROWS);
	float		got[NROWS];
	double		sum_sq = 0.0;
	double		sum = 0.0;
	int			nwithin = 0;
	int			ncounted = 0;

	for (int q = 0; q < NROWS; q += 5)
	{
		fixture_query(&fx, world.data + (size_t) q * NDIMS);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NROWS, got);
		for (int i = 0; i < NROWS; i++)
		{
			double		sigma = qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i);
			double		error = (got[i] - distance(metric, &world, i, q)) / sigma;

			if (i == q)
				continue;
			sum += error;
			sum_sq += error * error;
			nwithin += fabs(error) < 4.0;
			ncounted++;
		}
	}
	ok(fabs(sum / ncounted) < 0.25 && sqrt(sum_sq / ncounted) < 1.2 && nwithin >= ncounted - 2,
	   "%s, %s: errors have mean %.2f and deviation %.2f sigma, %d of %d below 4", name, metric_names[metric - QV_METRIC_L2],
	   sum / ncounted, sqrt(sum_sq / ncounted), nwithin, ncounted);
	free(slots);
	fixture_close(&fx);
	world_close(&world);
}

static void
test_estimates(void)
{
	for (QvMetric metric = QV_METRIC_L2; metric <= QV_METRIC_COSINE; metric++)
	{
		for (int w = 0; w < NWIDTHS; w++)
		{
			char		name[32];

			snprintf(name, sizeof(name), "%u bits", widths[w]);
			check_estimates(metric, widths[w], QV_PURPOSE_TRAVERSE, name);
			snprintf(name, sizeof(name), "%u bits to refine", widths[w]);
			if (widths[w] > 1)
				check_estimates(metric, widths[w], QV_PURPOSE_REFINE, name);
		}
	}
}

/* Among rows of the query's own tight cluster: how many of its ten nearest are among the best twenty. */
static int
nfound(QvCodecParams params, const World *world)
{
	CodecFixture fx = fixture_open(params);
	uint8_t    *slots = fixture_encode(&fx, world->data, NROWS);
	float		got[NROWS];
	int			n = 0;

	for (int q = 0; q < NROWS; q += NCENTRES)
	{
		fixture_query(&fx, world->data + (size_t) q * NDIMS);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NROWS, got);
		for (int i = 0; i < NROWS; i++)
		{
			int			rank = 0;
			int			got_rank = 0;

			for (int j = 0; j < NROWS; j++)
			{
				rank += distance(QV_METRIC_L2, world, j, q) < distance(QV_METRIC_L2, world, i, q);
				got_rank += got[j] < got[i];
			}
			n += rank < 5 && got_rank < 10;
		}
	}
	free(slots);
	fixture_close(&fx);
	return n;
}

static void
test_tight_cluster(void)
{
	World		world = world_open(QV_METRIC_L2);
	QvCodecParams params = params_of(&world, QV_METRIC_L2, 1, QV_PURPOSE_TRAVERSE);
	int			many = nfound(params, &world);
	int			one;

	params.ncentres = 0;
	one = nfound(params, &world);
	ok(many >= 100 && many > one + 20, "of 125 nearest in a tight cluster %d are found with many centres, %d with one", many, one);
	world_close(&world);
}

/* Whatever the length of a query, an inner product is that of its direction times the length. */
static void
test_query_length(void)
{
	World		world = world_open(QV_METRIC_IP);

	for (int w = 0; w < NWIDTHS; w++)
	{
		CodecFixture fx = fixture_open(params_of(&world, QV_METRIC_IP, widths[w], QV_PURPOSE_TRAVERSE));
		uint8_t    *slots = fixture_encode(&fx, world.data, NROWS);
		float		want[NROWS];
		float		got[NROWS];
		float		query[NDIMS];
		double		worst = 0.0;

		fixture_query(&fx, world.data);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NROWS, want);
		for (int i = 0; i < NDIMS; i++)
			query[i] = 1e-4f * world.data[i];
		fixture_query(&fx, query);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NROWS, got);
		for (int i = 0; i < NROWS; i++)
			worst = fmax(worst, fabs(1e4 * got[i] / want[i] - 1.0));
		ok(worst < 1e-3, "%u bits: a query of a ten thousandth of the length has the same estimates (off by %.1e)", widths[w], worst);
		free(slots);
		fixture_close(&fx);
	}
	world_close(&world);
}

/* ---- pairs ---- */

/*
 * Each side adds the error of its signs: of the other's residual and of the distance between the
 * centres.  Five times that.
 */
static void
test_pairs(void)
{
	for (QvMetric metric = QV_METRIC_L2; metric <= QV_METRIC_COSINE; metric++)
	{
		World		world = world_open(metric);
		CodecFixture fx = fixture_open(params_of(&world, metric, 1, QV_PURPOSE_TRAVERSE));
		uint8_t    *slots = fixture_encode(&fx, world.data, NROWS);
		float		got[NROWS];
		float		back;
		int			nasymmetric = 0;
		double		worst = 0.0;

		for (int a = 0; a < NROWS; a++)
		{
			const uint8_t *slot = slots + fx.slot_nbytes * (size_t) a;
			double		r = sqrt(qv_codec_norm2(fx.codec, slot));

			qv_codec_pair_strided(fx.codec, slot, slots, fx.slot_nbytes, NROWS, got);
			for (int b = 0; b < NROWS; b++)
			{
				const uint8_t *other = slots + fx.slot_nbytes * (size_t) b;
				double		s = sqrt(qv_codec_norm2(fx.codec, other));
				double		d = 0.0;
				double		sigma;

				qv_codec_pair(fx.codec, other, &slot, 1, &back);
				nasymmetric += back != got[b];
				for (int i = 0; i < NDIMS; i++)
				{
					double		x = world.centres[a % NCENTRES * NDIMS + i];
					double		y = world.centres[b % NCENTRES * NDIMS + i];

					d += metric == QV_METRIC_IP ? 0.5 * (x * x + y * y) : (x - y) * (x - y);
				}
				sigma = (metric == QV_METRIC_L2 ? 2.0 : 1.0) * sqrt(d * (r * r + s * s) + 4.0 * r * r * s * s) * 0.8 / sqrt(256);
				worst = fmax(worst, fabs(got[b] - distance(metric, &world, a, b)) / (sigma + 1e-6));
			}
		}
		ok(nasymmetric == 0 && worst < 5.0, "%s: pairs of any centres are symmetric (%d not) and within their error (%.2f)",
		   metric_names[metric - QV_METRIC_L2], nasymmetric, worst);
		free(slots);
		fixture_close(&fx);
		world_close(&world);
	}
}

/* ---- the same whatever the way, and whoever made the code ---- */

static void
test_same_everywhere(void)
{
	for (QvMetric metric = QV_METRIC_L2; metric <= QV_METRIC_COSINE; metric++)
	{
		World		world = world_open(metric);

		for (int w = 0; w < NWIDTHS; w++)
		{
			QvCodecParams params = params_of(&world, metric, widths[w], QV_PURPOSE_TRAVERSE);
			char		name[64];

			snprintf(name, sizeof(name), "%u bits, %s", widths[w], metric_names[metric - QV_METRIC_L2]);
			same_at_every_level(&params, world.data, name);
		}
		world_close(&world);
	}
}

/* Codes made before a centre was added are what they were, and codes newer than a codec harm nobody. */
static void
test_added_centres(void)
{
	for (QvMetric metric = QV_METRIC_L2; metric <= QV_METRIC_COSINE; metric++)
	{
		World		world = world_open(metric);
		QvCodecParams params = params_of(&world, metric, 8, QV_PURPOSE_TRAVERSE);
		QvCodecParams fewer = params;
		CodecFixture fx = fixture_open(params);
		CodecFixture before;
		uint8_t    *slots;
		uint8_t    *newer = fixture_encode(&fx, world.data, NROWS);
		float		want[NROWS];
		float		got[NROWS];
		bool		finite = true;
		int			nknown = 0;

		fewer.ncentres = 2;
		before = fixture_open(fewer);
		slots = fixture_encode(&before, world.data, NROWS);
		fixture_query(&fx, world.data);
		fixture_query(&before, world.data);
		qv_query_score_strided(before.query, slots, fx.slot_nbytes, NROWS, want);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NROWS, got);
		ok(memcmp(want, got, sizeof(got)) == 0, "%s: codes of before have the same estimates with more centres",
		   metric_names[metric - QV_METRIC_L2]);
		for (int i = 0; i < NROWS; i++)
			nknown += qv_codec_centre(fx.codec, newer + fx.slot_nbytes * (size_t) i) == (uint32_t) (i % NCENTRES) + 1;
		ok(nknown == NROWS, "%s: codes name the nearest centre (%d of %d)", metric_names[metric - QV_METRIC_L2], nknown, NROWS);

		qv_query_score_strided(before.query, newer, fx.slot_nbytes, NROWS, got);
		for (int i = 0; i < NROWS; i++)
			finite &= isfinite(got[i]) && isfinite(qv_query_error(before.query, newer + fx.slot_nbytes * (size_t) i));
		qv_codec_pair_strided(before.codec, newer, newer, fx.slot_nbytes, NROWS, got);
		for (int i = 0; i < NROWS; i++)
			finite &= isfinite(got[i]);
		ok(finite && qv_codec_slot_fault(before.codec, newer) == NULL, "%s: codes newer than a codec are no fault and have finite distances",
		   metric_names[metric - QV_METRIC_L2]);
		free(slots);
		free(newer);
		fixture_close(&fx);
		fixture_close(&before);
		world_close(&world);
	}
}

int
main(void)
{
	test_estimates();
	test_tight_cluster();
	test_query_length();
	test_pairs();
	test_same_everywhere();
	test_added_centres();
	return done_testing();
}
