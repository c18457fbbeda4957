/*
 * test_codec_rabitq.c
 *		Kind RABITQ: estimates against the definition in double precision, their
 *		bias and their error, pairs, slots, parameters, hostile input.
 */
#include <float.h>

#include "codec_float.h"

/* What test_format found when the format was fixed: a change here breaks every index on disk. */
#define FORMAT_HASH		UINT64_C(0x47512246bc8c06f5)
#define FORMAT_NORM		3005.18
#define FORMAT_INV_X0	5177
#define FORMAT_NSET		154

/* ---- the definition, in double ---- */

/* <r,q'> from the signs of r and q' itself, or q' rounded to the 4-bit grid over its range. */
static double
naive_inner_product(const Rotated *x, const Rotated *q, uint32_t code_ndims, double *step)
{
	double		low = q->r[0];
	double		high = q->r[0];
	double		sum = 0.0;

	for (uint32_t i = 0; i < code_ndims; i++)
	{
		low = fmin(low, q->r[i]);
		high = fmax(high, q->r[i]);
	}
	*step = (high - low) / 15.0;
	for (uint32_t i = 0; i < code_ndims; i++)
	{
		double		rounded = low + *step * floor((q->r[i] - low) / *step + 0.5);

		sum += x->r[i] > 0 ? rounded : -rounded;
	}
	*step *= x->sq / x->magnitudes;
	return sum * x->sq / x->magnitudes;
}

/* The estimate as README.md has it; *slack is what one coordinate on the brink of a level may change. */
static double
naive_estimate(const QvCodecParams *params, const Rotated *x, const Rotated *q, double *slack)
{
	double		ip = naive_inner_product(x, q, qv_rotation_ndims(params->ndims), slack);

	if (params->metric == QV_METRIC_IP)
		return -ip;
	return (x->sq + q->sq - 2.0 * ip) * (params->metric == QV_METRIC_COSINE ? 0.5 : 1.0);
}

/* README.md's standard deviation; step is that of naive_inner_product, f = |r|^2 / |r|_1 times the grid's. */
static double
naive_sigma(const QvCodecParams *params, const Rotated *x, const Rotated *q, double step)
{
	double		code_ndims = qv_rotation_ndims(params->ndims);
	double		inv_x0 = sqrt(x->sq * code_ndims) / x->magnitudes;
	double		sign = x->sq * q->sq * (inv_x0 * inv_x0 - 1.0) / (code_ndims - 1.0);
	double		round = step * step * code_ndims / 12.0;

	return sqrt(sign + round) * (params->metric == QV_METRIC_L2 ? 2.0 : 1.0);
}

static void
test_definition(void)
{
	static const int sizes[] = {1, 2, 3, 100, 256, 300, 768, 1000};
	static Rotated x;
	static Rotated q;

	for (int m = 0; m < 3; m++)
	{
		double		worst = 0.0;
		double		worst_sigma = 0.0;

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		{
			int			ndims = sizes[s];
			float	   *data = clustered_data(40, ndims, 0.5, 0.3, 100 + s);
			float	   *centroid = mean_of(data, 40, ndims, metrics[m]);
			CodecFixture fx = fixture_open(float_params(metrics[m], (uint32_t) ndims, 4 + s, centroid));
			uint8_t    *slots = fixture_encode(&fx, data + ndims, 39);
			float		got[39];

			fixture_query(&fx, data);
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 39, got);
			rotate_naively(&fx.params, data, &q);
			for (int i = 0; i < 39; i++)
			{
				double		slack;
				double		want;
				double		sigma;

				rotate_naively(&fx.params, data + (size_t) (i + 1) * ndims, &x);
				want = naive_estimate(&fx.params, &x, &q, &slack);
				/* 0.0002: the step of 1/x0 in the slot, in units of the inner product's bound */
				worst = fmax(worst, fabs(got[i] - want) / (2.0 * slack + 0.0002 * (sqrt(x.sq * q.sq) + fabs(want)) + 1e-6));
				sigma = naive_sigma(&fx.params, &x, &q, slack);
				worst_sigma = fmax(worst_sigma, fabs(qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i) / sigma - 1.0));
			}
			free(slots);
			fixture_close(&fx);
			free(centroid);
			free(data);
		}
		ok(worst < 2.0, "%s estimates are those of the definition (worst %.2f of the tolerance)", metric_names[m], worst);
		/* rounding of 1/x0 again; the smaller of the two terms is 2 % of sigma */
		ok(worst_sigma < 0.002, "%s errors are those of the definition (off by %.5f)", metric_names[m], worst_sigma);
	}
}

/* ---- bias and error ---- */

/* Over seeds, the error of one pair has mean 0: within 4 standard errors. */
static void
test_unbiased(void)
{
	const int	nseeds = 600;

	for (int m = 0; m < 3; m++)
	{
		double		worst = worst_bias(float_params(metrics[m], 200, 0, NULL), 10, nseeds);

		ok(worst < 4.0, "%s estimates have no bias over %d seeds (worst %.2f standard errors)", metric_names[m], nseeds, worst);
	}
}

/* sigma is that of vectors at right angles: about 68 % there, and more the nearer a vector is. */
static void
test_error_scale(void)
{
	for (int m = 0; m < 3; m++)
	{
		ErrorShares far = error_shares(float_params(metrics[m], 768, 0, NULL), 4.0, 60);
		ErrorShares mixed = error_shares(float_params(metrics[m], 300, 0, NULL), 0.5, 60);
		ErrorShares flat = error_shares(float_params(metrics[m], 3, 0, NULL), 1.0, 60);

		ok(far.one > 0.65 && far.one < 0.74 && far.three > 0.99,
		   "%s, far apart: %.3f within 1 sigma, %.4f within 3", metric_names[m], far.one, far.three);
		ok(mixed.one > 0.66 && mixed.one < 0.85 && mixed.three > 0.99,
		   "%s, clustered: %.3f within 1 sigma, %.4f within 3", metric_names[m], mixed.one, mixed.three);
		ok(flat.one > 0.66 && flat.three > 0.99,
		   "%s, 3 dimensions: %.3f within 1 sigma, %.4f within 3", metric_names[m], flat.one, flat.three);
	}
}

/* ---- the same answer whatever the way ---- */

static void
test_same_everywhere(void)
{
	float	   *data = clustered_data(NCODES, 1000, 0.5, 0.1, 31);

	for (int m = 0; m < 3; m++)
	{
		float	   *centroid = mean_of(data, NCODES, 1000, metrics[m]);
		QvCodecParams params = float_params(metrics[m], 1000, 8, centroid);

		same_at_every_level(&params, data, metric_names[m]);
		free(centroid);
	}
	free(data);
}

/* A code made today must be the code made by every later version: bits and factors of one known vector. */
static void
test_format(void)
{
	CodecFixture fx = fixture_open(float_params(QV_METRIC_L2, 300, 42, NULL));
	float		value[300];
	uint8_t    *slot;
	uint64_t	hash = UINT64_C(14695981039346656037);	/* FNV-1a */
	float		norm;
	uint16_t	inv_x0;
	uint16_t	nset;

	for (int i = 0; i < 300; i++)
		value[i] = (float) (i * 7919 % 601 - 300);
	slot = fixture_encode(&fx, value, 1);
	for (int i = 0; i < 40; i++)
		hash = (hash ^ slot[i]) * UINT64_C(1099511628211);
	memcpy(&norm, slot + 40, 4);
	memcpy(&inv_x0, slot + 44, 2);
	memcpy(&nset, slot + 46, 2);
	ok(fx.slot_nbytes == 56, "a slot of 320 bits is 56 bytes");
	ok(hash == FORMAT_HASH, "bits of a known vector (hash %016llx)", (unsigned long long) hash);
	ok(fabs(norm - FORMAT_NORM) < 0.01 && abs(inv_x0 - FORMAT_INV_X0) <= 1 && nset == FORMAT_NSET,
	   "factors of a known vector (%.2f %d %d)", norm, inv_x0, nset);
	free(slot);
	fixture_close(&fx);
}

/* ---- pairs ---- */

/* cos(pi h / D) has its error at right angles: pi/2 / sqrt(D) a pair, 4 sigma allowed. */
static void
test_pairs(void)
{
	const int	n = 100;
	const int	ndims = 768;
	float	   *data = clustered_data(n, ndims, 0.5, 0.1, 41);

	for (int m = 0; m < 3; m++)
	{
		float	   *centroid = mean_of(data, n, ndims, metrics[m]);
		QvCodecParams params = float_params(metrics[m], (uint32_t) ndims, 3, centroid);
		CodecFixture fx;
		uint8_t    *slots;
		float		got[100];
		double		worst = 0.0;
		int			nself = 0;

		fx = fixture_open(params);
		slots = fixture_encode(&fx, data, n);
		for (int a = 0; a < n; a++)
		{
			const float *x = data + (size_t) a * ndims;

			qv_codec_pair_strided(fx.codec, slots + fx.slot_nbytes * (size_t) a, slots, fx.slot_nbytes, n, got);
			nself += got[a] == 0.0f;
			for (int b = 0; b < n; b++)
			{
				const float *y = data + (size_t) b * ndims;
				static Rotated rx;
				static Rotated ry;
				double		exact = exact_distance(metrics[m], x, y, ndims);
				double		scale = metrics[m] == QV_METRIC_L2 ? 2.0 : 1.0;

				if (b % 10 != a % 10)
					continue;
				rotate_naively(&fx.params, x, &rx);
				rotate_naively(&fx.params, y, &ry);
				worst = fmax(worst, fabs(got[b] - exact) / (scale * sqrt(rx.sq * ry.sq) * 1.5708 / sqrt(768) + 1e-3));
			}
		}
		ok(nself == n || metrics[m] == QV_METRIC_IP, "%s: the distance of a code to itself is 0", metric_names[m]);
		ok(worst < 4.5, "%s: pairs are within their error (worst %.2f sigma)", metric_names[m], worst);
		free(slots);
		fixture_close(&fx);
		free(centroid);
	}
	free(data);
}

/* ---- edges ---- */

static bool
all_finite(const float *dist, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (!isfinite(dist[i]))
			return false;
	}
	return true;
}

static void
test_at_centroid(void)
{
	float		data[3 * 64];
	uint64_t	state = 51;

	for (int i = 0; i < 3 * 64; i++)
		data[i] = (float) check_normal(&state);
	for (int m = 0; m < 2; m++)
	{
		CodecFixture fx = fixture_open(centred_params(float_params(metrics[m], 64, 1, data)));
		uint8_t    *slots = fixture_encode(&fx, data, 3);
		float		got[3];
		double		worst = 0.0;

		ok(qv_codec_slot_fault(fx.codec, slots) == NULL, "%s: the code of the centroid is sound", metric_names[m]);
		fixture_query(&fx, data + 64);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 3, got);
		ok(fabs(got[0] - exact_distance(metrics[m], data, data + 64, 64)) < 1e-3 && qv_query_error(fx.query, slots) == 0.0f,
		   "%s: a value at the centroid is estimated exactly", metric_names[m]);
		fixture_query(&fx, data);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 3, got);
		/* of inner products, those of codes that are measured from there */
		for (int i = 0; i < (metrics[m] == QV_METRIC_IP ? 1 : 3); i++)
			worst = fmax(worst, fabs(got[i] - exact_distance(metrics[m], data + 64 * i, data, 64)));
		ok(worst < 1e-3, "%s: a query at the centroid is estimated exactly (worst %.2g)", metric_names[m], worst);
		free(slots);
		fixture_close(&fx);
	}
}

/* Zero queries, norms beyond float and slots full of anything: finite numbers come back, always. */
static void
test_hostile(void)
{
	const int	ndims = 96;
	float	   *data = clustered_data(NCODES, ndims, 0.5, 0.1, 61);
	float	   *centroid = mean_of(data, NCODES, ndims, QV_METRIC_L2);
	float		huge[96];
	float		zero[96] = {0};
	uint64_t	state = 62;

	for (int i = 0; i < ndims; i++)
		huge[i] = i % 2 ? FLT_MAX : -FLT_MAX;
	for (int m = 0; m < 3; m++)
	{
		QvCodecParams params = float_params(metrics[m], (uint32_t) ndims, 1, centroid);
		CodecFixture fx;
		uint8_t    *slots;
		const float *queries[3] = {data, zero, huge};
		float		got[NCODES];
		bool		finite = true;

		fx = fixture_open(params);
		slots = fixture_encode(&fx, data, NCODES);
		qv_codec_encode(fx.codec, huge, slots, fx.scratch);
		finite &= qv_codec_slot_fault(fx.codec, slots) == NULL;
		for (int round = 0; round < 2; round++)
		{
			for (int q = 0; q < 3; q++)
			{
				fixture_query(&fx, queries[q]);
				qv_query_score_strided(fx.query, slots, fx.slot_nbytes, NCODES, got);
				finite &= all_finite(got, NCODES);
				for (int i = 0; i < NCODES; i++)
					got[i] = qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i);
				finite &= all_finite(got, NCODES);
			}
			for (int i = 0; i < NCODES; i += 11)
			{
				qv_codec_pair_strided(fx.codec, slots + fx.slot_nbytes * (size_t) i, slots, fx.slot_nbytes, NCODES, got);
				finite &= all_finite(got, NCODES);
			}
			for (size_t i = 0; i < fx.slot_nbytes * NCODES; i++)
				slots[i] = check_random(&state) % 3 ? (uint8_t) check_random(&state) : 0xff;
		}
		ok(finite, "%s: distances are finite for huge and zero vectors and for any bytes", metric_names[m]);
		free(slots);
		fixture_close(&fx);
	}
	free(centroid);
	free(data);
}

/* A cosine code is that of the direction, even where squares leave the range of float. */
static void
test_cosine_scale(void)
{
	float	   *data = clustered_data(1, 128, 0.5, 0.1, 71);
	float		scaled[128];
	CodecFixture fx = fixture_open(float_params(QV_METRIC_COSINE, 128, 1, NULL));
	uint8_t    *want = fixture_encode(&fx, data, 1);
	int			ndifferent = 0;

	for (int sign = -1; sign <= 1; sign += 2)
	{
		uint8_t    *got;

		for (int i = 0; i < 128; i++)
			scaled[i] = ldexpf(data[i], sign * 100);
		got = fixture_encode(&fx, scaled, 1);
		ndifferent += memcmp(want, got, fx.slot_nbytes) != 0;
		free(got);
	}
	ok(ndifferent == 0, "cosine codes do not depend on the length of the vector");
	free(want);
	fixture_close(&fx);
	free(data);
}

static bool
refused(QvCodecParams params)
{
	return qv_codec_params_fault(&params) != NULL;
}

static void
test_params(void)
{
	float		centroid[4] = {0};
	QvCodecParams good = float_params(QV_METRIC_L2, 4, 1, centroid);
	QvCodecParams params = good;
	int			naccepted = 0;

	ok(!refused(good) && !refused(float_params(QV_METRIC_COSINE, 16000, 1, NULL)), "sound parameters have no fault");
	ok(qv_codec_slot_nbytes(&good) == 48 && qv_codec_code_nbits(&good) == 256, "a slot of 4 dimensions is 256 bits and 16 bytes");
	params.metric = QV_METRIC_IP;
	ok(qv_codec_slot_nbytes(&params) == 48, "for inner product as many");
	params.metric = QV_METRIC_HAMMING;
	ok(refused(params), "Hamming is refused");
	params.metric = (QvMetric) 77;
	ok(refused(params), "an unknown metric is refused");
	ok(refused(float_params(QV_METRIC_L2, 0, 1, NULL)) && refused(float_params(QV_METRIC_L2, 16001, 1, NULL)),
	   "dimensions out of range are refused");
	for (params = good, params.nbits = 0; params.nbits < 40; params.nbits++)
		naccepted += !refused(params);
	ok(naccepted == 5, "of all bits a dimension five are accepted");
	params = good;
	params.ncentres = 1;
	params.centres = centroid;
	ok(!refused(params), "a centre is accepted");
	params.ncentres = QV_MAX_CENTRES + 1;
	ok(refused(params), "more centres than a slot can number are refused");
	params.ncentres = 1;
	params.centroid = NULL;
	centroid[3] = NAN;
	ok(refused(good), "a centroid with NaN is refused");
	ok(refused(params), "a centre with NaN is refused");
	centroid[3] = -INFINITY;
	ok(refused(good), "a centroid with infinity is refused");
}

static void
test_slot_fault(void)
{
	float	   *data = clustered_data(1, 128, 0.5, 0.1, 81);
	CodecFixture fx = fixture_open(float_params(QV_METRIC_IP, 128, 1, NULL));
	uint8_t    *slot = fixture_encode(&fx, data, 1);
	const float nan = NAN;
	float		norm;

	ok(qv_codec_slot_fault(fx.codec, slot) == NULL, "an encoded slot is sound");
	slot[3] ^= 0x10;
	ok(qv_codec_slot_fault(fx.codec, slot) != NULL, "a flipped bit is a fault");
	slot[3] ^= 0x10;
	memcpy(&norm, slot + 32, 4);
	memcpy(slot + 32, &nan, 4);
	ok(qv_codec_slot_fault(fx.codec, slot) != NULL, "a norm of NaN is a fault");
	memcpy(slot + 32, &norm, 4);
	memset(slot + 36, 0, 2);
	ok(qv_codec_slot_fault(fx.codec, slot) != NULL, "a correction below 1 is a fault");
	memset(slot + 36, 0xff, 2);
	memcpy(slot + 40, &nan, 4);
	ok(qv_codec_slot_fault(fx.codec, slot) != NULL, "an offset of NaN is a fault");
	free(slot);
	fixture_close(&fx);
	free(data);
}

int
main(void)
{
	test_params();
	test_slot_fault();
	test_format();
	test_definition();
	test_same_everywhere();
	test_at_centroid();
	test_cosine_scale();
	test_hostile();
	test_pairs();
	test_unbiased();
	test_error_scale();
	return done_testing();
}
