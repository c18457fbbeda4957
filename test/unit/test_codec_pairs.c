/*
 * test_codec_pairs.c
 *		Codes that graphs are built with: distances against exact ones, the same at every level, finite
 *		whatever the values.
 */
#include <float.h>

#include "codec/pair_codes.h"
#include "codec_fixture.h"
#include "kernel/kernel.h"

#define N 70					/* more than a batch */

typedef struct Pairs
{
	QvCodecParams params;
	QvPairCodec *codec;
	uint8_t    *codes;
	size_t		stride;
	void	   *scratch;
} Pairs;

static Pairs
pairs_open(QvMetric metric, uint32_t ndims, const float *centroid, const float *values, int n)
{
	Pairs		pairs = {.params = float_params(metric, ndims, 7, centroid)};

	pairs.codec = qv_pair_codec_init(aligned_memory(qv_pair_codec_sizeof(&pairs.params)), &pairs.params);
	pairs.stride = qv_pair_code_nbytes(&pairs.params);
	pairs.scratch = aligned_memory(qv_pair_scratch_nbytes(pairs.codec));
	pairs.codes = aligned_memory(pairs.stride * (size_t) n);
	for (int i = 0; i < n; i++)
		qv_pair_encode(pairs.codec, values + (size_t) i * ndims, pairs.codes + pairs.stride * (size_t) i, pairs.scratch);
	return pairs;
}

static void
pairs_close(Pairs *pairs)
{
	free(pairs->codec);
	free(pairs->codes);
	free(pairs->scratch);
}

static float *
all_pairs(const Pairs *pairs, QvPairAspect aspect, int n)
{
	float	   *dist = float_memory((size_t) (n * n));
	QvPairBlock block = {pairs->codes, n, pairs->codes, n, pairs->stride};

	qv_pair_block(pairs->codec, aspect, &block, dist);
	return dist;
}

static double
exact(QvMetric metric, const float *a, const float *b, uint32_t ndims)
{
	double		aa = 0,
				bb = 0,
				ab = 0;

	for (uint32_t i = 0; i < ndims; i++)
	{
		aa += (double) a[i] * a[i];
		bb += (double) b[i] * b[i];
		ab += (double) a[i] * b[i];
	}
	if (metric == QV_METRIC_COSINE)
		return 1 - ab / sqrt(aa * bb);
	return metric == QV_METRIC_IP ? -ab : aa + bb - 2 * ab;
}

static double
angle(const float *a, const float *b, const float *centre, uint32_t ndims)
{
	float		x[768];
	float		y[768];

	for (uint32_t i = 0; i < ndims; i++)
	{
		x[i] = a[i] - centre[i];
		y[i] = b[i] - centre[i];
	}
	return exact(QV_METRIC_COSINE, x, y, ndims);
}

/* The largest error of all pairs, in units of the mean distance between two values. */
static void
test_error(QvMetric metric, const char *name, uint32_t ndims)
{
	float	   *values = clustered_data(N, (int) ndims, 0.5, 1.0, 3);
	float	   *mean = mean_of(values, N, (int) ndims, metric);
	Pairs		pairs = pairs_open(metric, ndims, mean, values, N);
	float	   *dist = all_pairs(&pairs, QV_PAIR_DISTANCE, N);
	float	   *angles = all_pairs(&pairs, QV_PAIR_ANGLE, N);
	const uint8_t *codes[N];
	float		by_pointer[N];
	double		scale = 0;
	double		worst = 0;
	double		worst_angle = 0;
	int			nasymmetric = 0;
	int			nother = 0;

	for (int i = 0; i < N; i++)
		codes[i] = pairs.codes + pairs.stride * (size_t) i;
	for (int i = 0; i < N * N; i++)
		scale += fabs(exact(metric == QV_METRIC_IP ? QV_METRIC_L2 : metric, values + i / N * (int) ndims, values + i % N * (int) ndims, ndims)) / (N * N);
	for (int i = 0; i < N; i++)
	{
		qv_pair_distances(pairs.codec, QV_PAIR_DISTANCE, codes[i], codes, N, by_pointer);
		for (int j = 0; j < N; j++)
		{
			const float *a = values + i * (int) ndims;
			const float *b = values + j * (int) ndims;

			worst = fmax(worst, fabs(dist[i * N + j] - exact(metric, a, b, ndims)) / scale);
			worst_angle = fmax(worst_angle, fabs(angles[i * N + j] - angle(a, b, mean, ndims)));
			nasymmetric += dist[i * N + j] != dist[j * N + i];
			nother += by_pointer[j] != dist[i * N + j];
		}
	}
	ok(worst < (ndims <= 16 ? 1e-5 : 0.008), "%s, %u dimensions: distances are right to %.2g of the mean one", name, ndims, worst);
	if (metric == QV_METRIC_IP)
		ok(worst_angle < 0.01, "%s, %u dimensions: angles are right to %.2g", name, ndims, worst_angle);
	ok(nasymmetric == 0 && nother == 0, "%s, %u dimensions: symmetric, and the same by pointer", name, ndims);
	free(angles);
	free(dist);
	free(mean);
	free(values);
	pairs_close(&pairs);
}

/* Directions in a plane that differ by less than the rounding of a squared length. */
static void
test_plane(void)
{
	float		values[2 * N];
	float		centre[2] = {0.1f, -0.2f};
	int			nwrong = 0;
	Pairs		pairs;
	float	   *dist;

	for (int i = 0; i < N; i++)
	{
		values[2 * i] = (float) cos(1 + i * 1e-4);
		values[2 * i + 1] = (float) sin(1 + i * 1e-4);
	}
	pairs = pairs_open(QV_METRIC_COSINE, 2, centre, values, N);
	dist = all_pairs(&pairs, QV_PAIR_DISTANCE, N);
	for (int i = 0; i < N; i++)
		for (int j = 1; j < N; j++)
			nwrong += (dist[i * N + j] > dist[i * N + j - 1]) != (j > i);
	ok(nwrong == 0, "in a plane directions of a ten thousandth are in order");
	free(dist);
	pairs_close(&pairs);
}

static void
test_levels(uint32_t ndims)
{
	float	   *values = clustered_data(N, (int) ndims, 0.5, 1.0, 4);
	float	   *first = NULL;
	bool		usable;
	int			ndifferent = 0;

	for (int level = 0; qv_kernels_level(level, &usable) != NULL; level++)
	{
		float	   *dist;
		Pairs		pairs;

		if (!usable)
			continue;
		(void) qv_kernels_force(qv_kernels_level(level, &usable)->name);
		pairs = pairs_open(QV_METRIC_L2, ndims, NULL, values, N);
		dist = all_pairs(&pairs, QV_PAIR_DISTANCE, N);
		if (first == NULL)
			first = dist;
		else
		{
			ndifferent += memcmp(dist, first, sizeof(float) * N * N) != 0;
			free(dist);
		}
		pairs_close(&pairs);
	}
	(void) qv_kernels_force("auto");
	ok(ndifferent == 0, "%u dimensions: the same distances at every level", ndims);
	free(first);
	free(values);
}

/* Values at the edges of float, equal ones, and none but zeros. */
static void
test_extremes(QvMetric metric, const char *name, uint32_t ndims)
{
	static const float sizes[] = {0.0f, 1e-38f, 1e-20f, 1.0f, 1e19f, 3e38f, -3e38f};
	float	   *values = float_memory(N * (size_t) ndims);
	int			nbad = 0;
	Pairs		pairs;
	float	   *dist;
	float	   *angles;

	for (int i = 0; i < N; i++)
		for (uint32_t j = 0; j < ndims; j++)
			values[(size_t) i * ndims + j] = sizes[i % 7] * (i < 7 || j % 3 == 0 ? 1 : 0.5f);
	pairs = pairs_open(metric, ndims, NULL, values, N);
	dist = all_pairs(&pairs, QV_PAIR_DISTANCE, N);
	angles = all_pairs(&pairs, QV_PAIR_ANGLE, N);
	for (int i = 0; i < N * N; i++)
		nbad += !isfinite(dist[i]) || !isfinite(angles[i]);
	for (int i = 0; i < N; i++)
		nbad += !isfinite(qv_pair_length(pairs.codec, pairs.codes + pairs.stride * (size_t) i));
	ok(nbad == 0, "%s, %u dimensions: every distance is finite", name, ndims);
	free(angles);
	free(dist);
	free(values);
	pairs_close(&pairs);
}

static void
test_length(void)
{
	float	   *values = clustered_data(N, 96, 0.5, 1.0, 5);
	float	   *mean = mean_of(values, N, 96, QV_METRIC_IP);
	Pairs		pairs = pairs_open(QV_METRIC_IP, 96, mean, values, N);
	double		worst = 0;

	for (int i = 0; i < N; i++)
	{
		double		length = sqrt(-exact(QV_METRIC_IP, values + i * 96, values + i * 96, 96));

		worst = fmax(worst, fabs(qv_pair_length(pairs.codec, pairs.codes + pairs.stride * (size_t) i) / length - 1));
	}
	ok(worst < 0.01, "lengths are right to %.2g", worst);
	free(mean);
	free(values);
	pairs_close(&pairs);
}

int
main(void)
{
	static const uint32_t sizes[] = {1, 2, 16, 17, 96, 256, 300, 768};

	for (int i = 0; i < 8; i++)
	{
		if (sizes[i] > 1)
			test_error(QV_METRIC_COSINE, "cosine", sizes[i]);
		test_error(QV_METRIC_L2, "L2", sizes[i]);
		test_error(QV_METRIC_IP, "inner product", sizes[i]);
		test_levels(sizes[i]);
	}
	for (int i = 0; i < 8; i += 3)
	{
		test_extremes(QV_METRIC_COSINE, "cosine", sizes[i]);
		test_extremes(QV_METRIC_L2, "L2", sizes[i]);
		test_extremes(QV_METRIC_IP, "inner product", sizes[i]);
	}
	test_plane();
	test_length();
	return done_testing();
}
