/*
 * test_codec_floats.c
 *		Kind FLOAT: slots that are the vectors, distances against double precision, hostile input.
 */
#include <float.h>

#include "codec_float.h"

static QvCodecParams
floats_params(QvMetric metric, uint32_t ndims)
{
	QvCodecParams params = float_params(metric, ndims, 1, NULL);

	params.kind = QV_CODE_FLOAT;
	params.nbits = 32;
	return params;
}

static void
test_params(void)
{
	QvCodecParams good = floats_params(QV_METRIC_L2, 3);
	QvCodecParams bad;
	float		centroid[3] = {0.0f, NAN, 0.0f};

	ok(qv_codec_params_fault(&good) == NULL && qv_codec_slot_nbytes(&good) == 12 && qv_codec_code_nbits(&good) == 3,
	   "a slot of 3 dimensions is 12 bytes");
	good.ndims = 2040;
	ok(qv_codec_params_fault(&good) == NULL && qv_codec_slot_nbytes(&good) == QV_SLOT_MAX_NBYTES, "2040 dimensions fill a slot");
	bad = good;
	bad.ndims = 2041;
	ok(strcmp(qv_codec_params_fault(&bad), "codes of 32 bits a dimension hold at most 2040 dimensions") == 0, "2041 are refused by name of the limit");
	bad.ndims = 0;
	ok(qv_codec_params_fault(&bad) != NULL, "no dimension is refused");
	bad = good;
	bad.ndims = 3;
	bad.centroid = centroid;
	ok(qv_codec_params_fault(&bad) != NULL, "a centroid that is no number is refused");
	bad = good;
	bad.nbits = 16;
	ok(qv_codec_params_fault(&bad) != NULL, "16 bits a dimension are refused");
	bad = good;
	bad.metric = QV_METRIC_HAMMING;
	ok(qv_codec_params_fault(&bad) != NULL, "the Hamming distance is refused");
	bad = good;
	bad.purpose = QV_PURPOSE_REFINE;
	ok(qv_codec_params_fault(&bad) == NULL && qv_codec_slot_nbytes(&bad) == qv_codec_slot_nbytes(&good), "they refine, as they are");
}

/* What a slot must hold. */
static float
slot_element(QvMetric metric, const float *x, int ndims, int i)
{
	double		sum = 0.0;

	if (metric != QV_METRIC_COSINE)
		return x[i];
	for (int j = 0; j < ndims; j++)
		sum += (double) x[j] * x[j];
	return (float) (x[i] / sqrt(sum));
}

static void
test_slots(void)
{
	for (int m = 0; m < 3; m++)
	{
		int			nwrong = 0;
		float		zeros[2][3] = {{0.0f, -0.0f, 3.0f}, {-0.0f, 0.0f, 3.0f}};
		CodecFixture fx;
		uint8_t    *slots;

		for (int ndims = 1; ndims <= 200; ndims += 1 + ndims / 8)
		{
			float	   *data = clustered_data(20, ndims, 0.7, 0.2, 3);

			fx = fixture_open(floats_params(metrics[m], (uint32_t) ndims));
			slots = fixture_encode(&fx, data, 20);
			for (int i = 0; i < 20 * ndims; i++)
			{
				float		want = slot_element(metrics[m], data + i / ndims * ndims, ndims, i % ndims);
				float		got;

				memcpy(&got, slots + (size_t) i * sizeof(float), sizeof(got));
				/* the tests' own sum is in another order */
				nwrong += metrics[m] == QV_METRIC_COSINE ? fabsf(got - want) > 0x1p-23f * fabsf(want) : got != want;
			}
			for (int i = 0; i < 20; i++)
				nwrong += qv_codec_slot_fault(fx.codec, slots + fx.slot_nbytes * (size_t) i) != NULL;
			free(slots);
			free(data);
			fixture_close(&fx);
		}
		ok(nwrong == 0, "%s: slots hold the vectors (%d elements do not)", metric_names[m], nwrong);

		fx = fixture_open(floats_params(metrics[m], 3));
		slots = fixture_encode(&fx, zeros[0], 2);
		ok(memcmp(slots, slots + fx.slot_nbytes, fx.slot_nbytes) == 0, "%s: zeros of either sign make one code", metric_names[m]);
		free(slots);
		fixture_close(&fx);
	}
}

typedef struct Shares
{
	int			ndistances;
	int			none;			/* errors beyond one sigma */
	int			nthree;			/* beyond three */
	double		worst;			/* relative to the distance (inner product: to the lengths) */
} Shares;

static double
length_of(const float *x, int ndims)
{
	return sqrt(-exact_distance(QV_METRIC_IP, x, x, ndims));
}

/* 1 - cos without the cancellation that double has near 0. */
static double
cosine_distance(const float *x, const float *q, int ndims)
{
	double		xx = length_of(x, ndims);
	double		qq = length_of(q, ndims);
	double		sum = 0.0;

	for (int i = 0; i < ndims; i++)
	{
		double		d = x[i] / xx - q[i] / qq;

		sum += d * d;
	}
	return sum / 2;
}

static void
compare_distances(QvMetric metric, int ndims, double noise, Shares *shares)
{
	enum {N = 70};
	float	   *data = clustered_data(N, ndims, noise, 0.3, 31);
	CodecFixture fx = fixture_open(floats_params(metric, (uint32_t) ndims));
	uint8_t    *slots = fixture_encode(&fx, data, N);
	float		got[N];
	float		pair[N];

	for (int q = 0; q < N; q += 9)
	{
		const float *query = data + (size_t) q * ndims;

		fixture_query(&fx, query);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, N, got);
		qv_codec_pair_strided(fx.codec, slots + fx.slot_nbytes * (size_t) q, slots, fx.slot_nbytes, N, pair);
		for (int i = 0; i < N; i++)
		{
			const float *x = data + (size_t) i * ndims;
			double		exact = metric == QV_METRIC_COSINE ? cosine_distance(x, query, ndims) : exact_distance(metric, x, query, ndims);
			double		unit = metric == QV_METRIC_IP ? length_of(x, ndims) * length_of(query, ndims) : exact;
			double		error = fabs(got[i] - exact);
			double		sigma = qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i);

			shares->ndistances++;
			shares->none += error > sigma;
			shares->nthree += error > 3 * sigma;
			if (i != q)
				shares->worst = fmax(shares->worst, error / unit);
			if (pair[i] != got[i] || (i == q && metric != QV_METRIC_IP && got[i] != 0.0f))
				shares->worst = INFINITY;
		}
	}
	free(slots);
	free(data);
	fixture_close(&fx);
}

static void
test_distances(void)
{
	static const int ndims[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 63, 64, 65, 200, 768, 2040};

	for (int m = 0; m < 3; m++)
	{
		Shares		shares = {0};

		for (size_t i = 0; i < sizeof(ndims) / sizeof(ndims[0]); i++)
			compare_distances(metrics[m], ndims[i], 0.7, &shares);
		ok(shares.worst < 1e-5, "%s: distances are those of the vectors, pairs the same (worst %.2g)", metric_names[m], shares.worst);
		ok(shares.none <= 0.32 * shares.ndistances && shares.nthree == 0, "%s: of %d errors %d lie beyond one sigma, %d beyond three",
		   metric_names[m], shares.ndistances, shares.none, shares.nthree);
	}
}

/* Neighbours on the circle that a cosine rounded to float could not tell apart. */
static void
test_crowded_circle(void)
{
	enum {N = 2000};
	static float data[N][2];
	static float got[N];
	CodecFixture fx = fixture_open(floats_params(QV_METRIC_COSINE, 2));
	uint8_t    *slots;
	int			nwrong = 0;

	for (int i = 0; i < N; i++)
	{
		data[i][0] = (float) (3.0 * cos(i * 1e-5));
		data[i][1] = (float) (3.0 * sin(i * 1e-5));
	}
	slots = fixture_encode(&fx, data[0], N);
	fixture_query(&fx, data[0]);
	qv_query_score_strided(fx.query, slots, fx.slot_nbytes, N, got);
	for (int i = 1; i < N; i++)
		nwrong += !(got[i] > got[i - 1]);
	ok(nwrong == 0, "directions 0.00001 apart are told apart (%d are not)", nwrong);
	free(slots);
	fixture_close(&fx);
}

/* Inner products from the centroid: pairs, and a value that is to be linked, whose distances are those of its code. */
static void
test_centred_pairs(void)
{
	enum {N = 70};
	static const int ndims[] = {1, 3, 8, 16, 17, 200};
	double		worst = 0.0;

	for (size_t k = 0; k < sizeof(ndims) / sizeof(ndims[0]); k++)
	{
		int			n = ndims[k];
		float	   *data = clustered_data(N, n, 0.7, 2.0, 31);
		float	   *centroid = mean_of(data, N, n, QV_METRIC_IP);
		QvCodecParams params = floats_params(QV_METRIC_IP, (uint32_t) n);
		CodecFixture fx;
		uint8_t    *slots;
		float		got[N];
		float		pair[N];

		params.centroid = centroid;
		fx = fixture_open(params);
		slots = fixture_encode(&fx, data, N);
		for (int q = 0; q < N; q += 9)
		{
			fx.query = qv_query_init_pair(fx.query, fx.codec, data + (size_t) q * n, fx.scratch);
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, N, got);
			qv_codec_pair_strided(fx.codec, slots + fx.slot_nbytes * (size_t) q, slots, fx.slot_nbytes, N, pair);
			for (int i = 0; i < N; i++)
			{
				double		sum = 0.0;
				double		unit = (length_of(data + (size_t) i * n, n) + length_of(centroid, n)) * (length_of(data + (size_t) q * n, n) + length_of(centroid, n));

				for (int j = 0; j < n; j++)
					sum -= ((double) data[i * n + j] - centroid[j]) * ((double) data[q * n + j] - centroid[j]);
				worst = fmax(worst, fmax(fabs(got[i] - sum), fabs(pair[i] - sum)) / unit);
			}
		}
		free(slots);
		free(data);
		free(centroid);
		fixture_close(&fx);
	}
	ok(worst < 1e-6, "pairs of inner products are seen from the centroid, and what is to be linked likewise (worst %.2g)", worst);
}

static void
test_levels(void)
{
	static const uint32_t ndims[] = {1, 3, 8, 17, 200, 1000};

	for (int m = 0; m < 3; m++)
	{
		for (size_t i = 0; i < sizeof(ndims) / sizeof(ndims[0]); i++)
		{
			QvCodecParams params = floats_params(metrics[m], ndims[i]);
			float	   *data = clustered_data(NCODES, (int) ndims[i], 0.7, 0.2, 5);
			char		name[64];

			snprintf(name, sizeof(name), "%s, %u dimensions", metric_names[m], ndims[i]);
			same_at_every_level(&params, data, name);
			free(data);
		}
	}
}

/* Slots of random bytes, and of the floats that are no numbers. */
static void
test_hostile(void)
{
	static const float odd[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, 0.0f, 1e-45f, -0.0f};
	uint64_t	state = 7;

	for (int m = 0; m < 3; m++)
	{
		int			nwrong = 0;
		int			nfaults = 0;

		for (int ndims = 1; ndims <= 100; ndims += 1 + ndims / 3)
		{
			CodecFixture fx = fixture_open(floats_params(metrics[m], (uint32_t) ndims));
			float	   *data = clustered_data(2, ndims, 0.7, 0.2, 5);
			GuardedMemory mem = guarded_alloc(fx.slot_nbytes * NCODES);
			uint8_t    *slots = mem.end - fx.slot_nbytes * NCODES;
			float		dist[NCODES];

			fixture_query(&fx, data);
			for (int i = 0; i < NCODES * ndims; i++)
			{
				float		x = odd[check_random(&state) % 8];
				uint32_t	bits = (uint32_t) check_random(&state);

				memcpy(slots + (size_t) i * 4, i / ndims % 2 ? (const void *) &x : (const void *) &bits, 4);
			}
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NCODES, dist);
			for (int i = 0; i < NCODES; i++)
				nwrong += !isfinite(dist[i]) || !(qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i) >= 0.0f) ||
					!isfinite(qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i));
			for (int i = 0; i < NCODES; i++)
			{
				qv_codec_pair_strided(fx.codec, slots + fx.slot_nbytes * (size_t) i, slots, fx.slot_nbytes, NCODES, dist);
				for (int j = 0; j < NCODES; j++)
					nwrong += !isfinite(dist[j]);
			}
			qv_codec_encode(fx.codec, data, slots, fx.scratch);
			for (int k = 0; k < 3; k++)
			{
				memcpy(slots, &odd[k], sizeof(float));
				nfaults += qv_codec_slot_fault(fx.codec, slots) != NULL;
				qv_codec_encode(fx.codec, data, slots, fx.scratch);
			}
			memcpy(slots, &odd[7], sizeof(float));
			nfaults += qv_codec_slot_fault(fx.codec, slots) != NULL;
			memset(slots, 0, fx.slot_nbytes);
			nfaults += (qv_codec_slot_fault(fx.codec, slots) != NULL) == (metrics[m] == QV_METRIC_COSINE);
			nwrong += nfaults != 5;
			nfaults = 0;
			/* a query of length zero */
			memset(data, 0, sizeof(float) * (size_t) ndims);
			fixture_query(&fx, data);
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NCODES, dist);
			for (int i = 0; i < NCODES; i++)
				nwrong += !isfinite(dist[i]);
			guarded_free(&mem);
			free(data);
			fixture_close(&fx);
		}
		ok(nwrong == 0, "%s: whatever slots hold, distances and errors are finite and checkers see it (%d wrong)", metric_names[m], nwrong);
	}
}

/* Elements at the ends of float. */
static void
test_extremes(void)
{
	static const float lengths[] = {1e-45f, 1e-30f, 1e-20f, 1e18f, 4e18f, 1e38f};
	int			nwrong = 0;

	for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++)
	{
		float		data[3][2] = {{lengths[k], 0.0f}, {0.0f, lengths[k]}, {lengths[k], lengths[k]}};
		CodecFixture fx = fixture_open(floats_params(QV_METRIC_COSINE, 2));
		uint8_t    *slots = fixture_encode(&fx, data[0], 3);
		float		dist[3];

		fixture_query(&fx, data[0]);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 3, dist);
		nwrong += dist[0] != 0.0f || fabsf(dist[1] - 1.0f) > 1e-6f || fabsf(dist[2] - 0.29289f) > 1e-4f;
		free(slots);
		fixture_close(&fx);
	}
	ok(nwrong == 0, "under cosine any length will do (%d will not)", nwrong);
}

int
main(void)
{
	test_params();
	test_slots();
	test_distances();
	test_crowded_circle();
	test_centred_pairs();
	test_levels();
	test_hostile();
	test_extremes();
	return done_testing();
}
