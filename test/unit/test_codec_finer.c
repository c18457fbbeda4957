/*
 * test_codec_finer.c
 *		Kind RABITQ at more than one bit a dimension: slots decoded as README.md has
 *		them, estimates against double precision, bias, error, hostile input.
 */
#include <float.h>

#include "codec_float.h"

#define MAX_D	1024

static const uint32_t widths[] = {2, 4, 8, 16};

#define NWIDTHS ((int) (sizeof(widths) / sizeof(widths[0])))

/* What test_format found when the format was fixed: a change here breaks every index on disk. */
static const uint64_t format_hashes[2][4] = {
	{UINT64_C(0x1427671b508aeb2d), UINT64_C(0x77c0e82155c1f56c), UINT64_C(0xa42a47f5c2111ae5),
	UINT64_C(0x5a660ff3828daef3)},
	{UINT64_C(0xdc955bac420ce78e), UINT64_C(0x212241498837b147), UINT64_C(0x7c33ac704fc0ce22),
	UINT64_C(0x7deb264321591be4)},
};

static QvCodecParams
finer_params(QvMetric metric, uint32_t ndims, uint32_t nbits, QvCodecPurpose purpose, uint64_t seed, const float *centroid)
{
	QvCodecParams params = float_params(metric, ndims, seed, centroid);

	params.nbits = nbits;
	params.purpose = purpose;
	return params;
}

static const char *
purpose_name(QvCodecPurpose purpose)
{
	return purpose == QV_PURPOSE_TRAVERSE ? "to traverse" : "to refine";
}

/* ---- the definition, in double ---- */

static double
half_value(uint16_t half)
{
	int			exponent = (half >> 10) & 31;
	double		x = exponent == 0 ? ldexp(half & 1023, -24) : ldexp(1024 + (half & 1023), exponent - 25);

	return half & 0x8000 ? -x : x;
}

/* A slot, taken apart by the tables of README.md. */
typedef struct Decoded
{
	float		norm;
	float		scale;
	float		error;
	int32_t		excess;
	double		y[MAX_D];
} Decoded;

static void
decode(const CodecFixture *fx, const uint8_t *slot, Decoded *out)
{
	uint32_t	n = qv_rotation_ndims(fx->params.ndims);
	uint32_t	nbits = fx->params.nbits;
	bool		paired = fx->params.purpose == QV_PURPOSE_TRAVERSE;
	const uint8_t *sign = slot;
	const uint8_t *p = slot + (paired ? n / 8 : 0);
	const uint8_t *plane;

	memset(out, 0, sizeof(*out));
	memcpy(&out->norm, p, 4);
	p += paired ? 16 + 4 : 4 + 8;	/* the factors and the centre of the signs, and an offset; or the norm and the centre */
	memcpy(&out->scale, p, 4);
	memcpy(&out->error, p + 4, 4);
	p += 8;
	if (nbits <= 4)
	{
		memcpy(&out->excess, p, 4);
		p += 4;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		int			u = 0;
		uint16_t	half;

		switch (nbits)
		{
			case 8:
				out->y[i] = (int8_t) p[i] + 0.5;
				break;
			case 16:
				memcpy(&half, p + 2 * i, 2);
				out->y[i] = half_value(half);
				break;
			default:
				for (uint32_t j = 0; j < nbits; j++)
				{
					plane = paired ? (j == 0 ? sign : p + (j - 1) * (n / 8)) : p + j * (n / 8);
					u = 2 * u + (plane[i / 8] >> (7 - i % 8) & 1);
				}
				out->y[i] = u - 0.5 * ((1 << nbits) - 1);
				break;
		}
	}
}

/* Squared tangent of the angle between y and r: 1 / x0^2 - 1. */
static double
tangent_sq(const double *y, const Rotated *v, uint32_t n)
{
	double		dot = 0.0;
	double		square = 0.0;

	for (uint32_t i = 0; i < n; i++)
	{
		dot += y[i] * v->r[i];
		square += y[i] * y[i];
	}
	return square * v->sq / (dot * dot) - 1.0;
}

/* The smallest squared tangent a grid of this width can have, over many steps. */
static double
best_tangent_sq(const Rotated *v, uint32_t n, uint32_t nbits)
{
	static double y[MAX_D];
	double		best = INFINITY;
	double		top = (1 << (nbits - 1)) - 1;
	double		largest = fmax(v->high, -v->low);

	for (int k = 0; k < 300; k++)
	{
		double		step = largest / (top + 1.0) * (0.6 + k / 100.0);

		for (uint32_t i = 0; i < n; i++)
		{
			double		m = fmin(floor(fabs(v->r[i]) / step), top) + 0.5;

			y[i] = v->r[i] > 0 ? m : -m;
		}
		best = fmin(best, tangent_sq(y, v, n));
	}
	return best;
}

/* How far codes and estimates are from the definition, in units of what is allowed. */
typedef struct Deviations
{
	double		scale;
	double		code;			/* angle beyond the best possible */
	double		number;			/* rounding of halves */
	double		estimate;
	double		sigma;
	int			nexcess;		/* sums of coordinates that are wrong */
	int			nshort;			/* errors longer than the slot says */
} Deviations;

static double
query_step(uint32_t nbits, const Rotated *q)
{
	if (nbits <= 4)
		return (q->high - q->low) / 255.0;
	return nbits == 8 ? fmax(q->high, -q->low) / 16256.0 : 0.0;
}

static void
compare_slot(const CodecFixture *fx, const Rotated *x, const Decoded *code, Deviations *worst)
{
	uint32_t	n = qv_rotation_ndims(fx->params.ndims);
	uint32_t	nbits = fx->params.nbits;
	double		dot = 0.0;
	double		sum = 0.0;
	double		error;

	for (uint32_t i = 0; i < n; i++)
	{
		double		unit = nbits == 16 ? sqrt(n / x->sq) : 1.0;
		double		a = x->r[i] * unit;
		/* a unit vector is rounded to floats before it is turned, here in another order */
		double		slack = fx->params.metric == QV_METRIC_COSINE ? 1e-6 * unit / sqrt(n) : fabs(a) * 1e-7;

		dot += code->y[i] * x->r[i];
		sum += code->y[i];
		if (nbits == 16)
			worst->number = fmax(worst->number, (fabs(code->y[i] - a) - slack) / fmax(ldexp(1.0, -25), ldexp(fabs(a), -11)));
		if (nbits < 16 && code->y[i] * x->r[i] < 0)
			worst->number = 2.0;
	}
	worst->scale = fmax(worst->scale, fabs(code->scale * dot / x->sq - 1.0) / 2e-6);
	if (nbits <= 4)
		worst->nexcess += code->excess != (int32_t) (2.0 * sum);
	if (nbits <= 8)
		worst->code = fmax(worst->code, tangent_sq(code->y, x, n) / best_tangent_sq(x, n, nbits));
	error = sqrt(x->sq * fmax(0.0, tangent_sq(code->y, x, n)));
	if (code->error < error)
		worst->nshort++;
	worst->sigma = fmax(worst->sigma, (code->error - error) / (1e-3 * error + 1e-6 * sqrt(x->sq)));
}

static void
compare_estimate(const CodecFixture *fx, const Rotated *x, const Rotated *q, const Decoded *code, float got, float sigma, Deviations *worst)
{
	const QvCodecParams *params = &fx->params;
	uint32_t	n = qv_rotation_ndims(params->ndims);
	double		step = query_step(params->nbits, q);
	double		weight = params->metric == QV_METRIC_L2 ? 2.0 : 1.0;
	double		ip = 0.0;
	double		square = 0.0;
	double		constant = 0.5 * weight * q->sq;
	double		want;
	double		rounding;
	double		query_rounding;
	double		want_sigma;

	for (uint32_t i = 0; i < n; i++)
	{
		ip += code->scale * code->y[i] * q->r[i];
		square += code->y[i] * code->y[i];
	}
	if (params->metric == QV_METRIC_IP)
	{
		want = -ip;
		rounding = 0.0;
	}
	else
	{
		want = constant + 0.5 * weight * x->sq - weight * ip;
		rounding = constant + 0.5 * weight * x->sq;
	}
	rounding = ldexp(rounding + weight * sqrt(x->sq * q->sq), -22);
	query_rounding = weight * step / sqrt(12.0) * code->scale * sqrt(square);
	/* the rounding of the query is known, but for its sign: six of its standard deviations */
	worst->estimate = fmax(worst->estimate, fabs(got - want) / (6.0 * query_rounding + 2.0 * rounding));
	want_sigma = weight * sqrt(q->sq / (n - 1)) * code->error;
	want_sigma = sqrt(want_sigma * want_sigma + query_rounding * query_rounding + rounding * rounding);
	worst->sigma = fmax(worst->sigma, fabs(sigma / want_sigma - 1.0) / 1e-3);
}

static Deviations
deviations(QvMetric metric, uint32_t nbits, QvCodecPurpose purpose)
{
	static const int sizes[] = {1, 3, 100, 300, 768, 1000};
	static Rotated x;
	static Rotated q;
	static Decoded code;
	Deviations	worst = {0};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
	{
		int			ndims = sizes[s];
		float	   *data = clustered_data(12, ndims, 0.5, 0.3, 100 + s);
		float	   *centroid = mean_of(data, 12, ndims, metric);
		CodecFixture fx = fixture_open(finer_params(metric, (uint32_t) ndims, nbits, purpose, 4 + s, centroid));
		uint8_t    *slots = fixture_encode(&fx, data + ndims, 11);
		float		got[11];

		fixture_query(&fx, data);
		qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 11, got);
		rotate_naively(&fx.params, data, &q);
		for (int i = 0; i < 11; i++)
		{
			const uint8_t *slot = slots + fx.slot_nbytes * (size_t) i;

			rotate_naively(&fx.params, data + (size_t) (i + 1) * ndims, &x);
			if (x.sq < 1e-6)
				continue;		/* a cosine in one dimension: at the centroid, see test_at_centroid */
			decode(&fx, slot, &code);
			compare_slot(&fx, &x, &code, &worst);
			compare_estimate(&fx, &x, &q, &code, got[i], qv_query_error(fx.query, slot), &worst);
		}
		free(slots);
		fixture_close(&fx);
		free(centroid);
		free(data);
	}
	return worst;
}

static void
test_definition(void)
{
	for (int w = 0; w < NWIDTHS; w++)
	{
		for (int m = 0; m < 3; m++)
		{
			for (int p = 0; p < 2; p++)
			{
				Deviations	d = deviations(metrics[m], widths[w], (QvCodecPurpose) p);

				/* at 8 bits every step has luck of its own, 6 % of the squared error at 256 coordinates: 300 steps find more than 3 */
				ok(d.scale < 1.0 && d.number <= 1.0 && d.nexcess == 0 && d.code < (widths[w] == 8 ? 1.3 : 1.06),
				   "%u bits, %s, %s: codes are those of the definition (scale %.2f, numbers %.3f, angle %.4f, %d sums)",
				   widths[w], metric_names[m], purpose_name((QvCodecPurpose) p), d.scale, d.number, d.code, d.nexcess);
				ok(d.estimate < 1.0 && d.sigma < 1.0 && d.nshort == 0, "%u bits, %s, %s: so are estimates (%.2f) and errors (%.2f, %d too short)",
				   widths[w], metric_names[m], purpose_name((QvCodecPurpose) p), d.estimate, d.sigma, d.nshort);
			}
		}
	}
}

/* ---- bias and error ---- */

/* Over seeds, the error of one pair has mean 0: within 4 standard errors. */
static void
test_unbiased(void)
{
	const int	nseeds = 250;

	for (int w = 0; w < NWIDTHS; w++)
	{
		for (int m = 0; m < 3; m++)
		{
			double		worst = worst_bias(finer_params(metrics[m], 200, widths[w], QV_PURPOSE_TRAVERSE, 0, NULL), 5, nseeds);

			ok(worst < 4.0, "%u bits, %s: no bias over %d seeds (worst %.2f standard errors)", widths[w], metric_names[m], nseeds, worst);
		}
	}
}

/*
 * sigma is that of vectors at right angles: about 68 % there, and more the nearer a vector is.
 * The error falls with the width as it should.
 */
static void
test_error_scale(void)
{
	static const double largest[] = {0.37, 0.11, 0.0085, 0.0004};

	for (int w = 0; w < NWIDTHS; w++)
	{
		for (int m = 0; m < 3; m++)
		{
			QvCodecParams params = finer_params(metrics[m], 768, widths[w], QV_PURPOSE_TRAVERSE, 0, NULL);
			ErrorShares far = error_shares(params, 4.0, 12);
			ErrorShares near = error_shares(params, 0.5, 12);
			double		most = widths[w] < 16 ? 0.74 : 1.01;

			ok(far.one > 0.65 && far.one < most && far.three > 0.99,
			   "%u bits, %s, far apart: %.3f within 1 sigma, %.4f within 3", widths[w], metric_names[m], far.one, far.three);
			ok(near.one > 0.66 && near.three > 0.99,
			   "%u bits, %s, clustered: %.3f within 1 sigma, %.4f within 3", widths[w], metric_names[m], near.one, near.three);
			ok(far.sigma < largest[w], "%u bits, %s: sigma is %.6f of |r||q|/sqrt(D)", widths[w], metric_names[m], far.sigma);
		}
	}
}

/* ---- the same answer whatever the way ---- */

static void
test_same_everywhere(void)
{
	float	   *data = clustered_data(NCODES, 1000, 0.5, 0.1, 31);

	for (int w = 0; w < NWIDTHS; w++)
	{
		for (int m = 0; m < 3; m++)
		{
			float	   *centroid = mean_of(data, NCODES, 1000, metrics[m]);

			for (int p = 0; p < 2; p++)
			{
				QvCodecParams params = finer_params(metrics[m], 1000, widths[w], (QvCodecPurpose) p, 8, centroid);
				char		name[64];

				snprintf(name, sizeof(name), "%u bits, %s, %s", widths[w], metric_names[m], purpose_name((QvCodecPurpose) p));
				same_at_every_level(&params, data, name);
			}
			free(centroid);
		}
	}
	free(data);
}

/* Is the query of fx, prepared behind one of the first codec, the one prepared by itself? */
static bool
is_same_second(const CodecFixture *fx, const QvCodecParams *first_params, const float *value)
{
	CodecFixture first = fixture_open(*first_params);
	size_t		nbytes = qv_query_sizeof(fx->codec);
	size_t		first_nbytes = qv_codec_scratch_nbytes(first.codec);
	size_t		scratch_nbytes = qv_codec_scratch_nbytes(fx->codec);
	uint8_t    *scratch = aligned_memory(first_nbytes > scratch_nbytes ? first_nbytes : scratch_nbytes);
	uint8_t    *alone = aligned_memory(nbytes);
	uint8_t    *behind = aligned_memory(nbytes);
	bool		same;

	memset(alone, 0, nbytes);
	memset(behind, 0, nbytes);
	qv_query_init(alone, fx->codec, value, fx->scratch);
	qv_query_init(first.query, first.codec, value, scratch);
	qv_query_init_second(behind, fx->codec, first.codec, value, scratch);
	same = memcmp(alone, behind, nbytes) == 0;
	free(scratch);
	free(alone);
	free(behind);
	fixture_close(&first);
	return same;
}

/* A query beside another of the same value: of a codec that rotates alike, and of those that do not. */
static void
test_second_query(void)
{
	float	   *data = clustered_data(20, 300, 0.5, 0.1, 33);

	for (int m = 0; m < 3; m++)
	{
		float	   *centroid = mean_of(data, 20, 300, metrics[m]);
		float	   *elsewhere = mean_of(data, 10, 300, metrics[m]);

		for (int w = 0; w < NWIDTHS; w++)
		{
			CodecFixture fx = fixture_open(finer_params(metrics[m], 300, widths[w], QV_PURPOSE_REFINE, 8, centroid));
			QvCodecParams alike = float_params(metrics[m], 300, 8, centroid);
			QvCodecParams firsts[] = {alike, alike, alike, alike, alike, {.kind = QV_CODE_BITS, .metric = QV_METRIC_HAMMING, .ndims = 300, .nbits = 1}};
			int			nfirsts = (int) (sizeof(firsts) / sizeof(firsts[0]));
			int			nsame = 0;

			firsts[1].seed = 9;
			firsts[2].centroid = elsewhere;
			firsts[3].metric = metrics[(m + 1) % 3];
			firsts[4].ndims = 299;
			for (int i = 0; i < nfirsts; i++)
				nsame += is_same_second(&fx, &firsts[i], data);
			ok(nsame == nfirsts, "%u bits, %s: a second query is as one alone (%d of %d)", widths[w], metric_names[m], nsame, nfirsts);
			fixture_close(&fx);
		}
		free(centroid);
		free(elsewhere);
	}
	free(data);
}

/* The first part of a slot is a slot of one bit: the same bytes, pairs and, to a codec of one bit, estimates. */
static void
test_first_part(void)
{
	float	   *data = clustered_data(NCODES, 300, 0.5, 0.1, 32);

	for (int m = 0; m < 3; m++)
	{
		float	   *centroid = mean_of(data, NCODES, 300, metrics[m]);
		CodecFixture one = fixture_open(float_params(metrics[m], 300, 8, centroid));
		uint8_t    *one_slots = fixture_encode(&one, data, NCODES);
		float		want[NCODES];
		float		want_pair[NCODES];

		fixture_query(&one, data);
		qv_query_score_strided(one.query, one_slots, one.slot_nbytes, NCODES, want);
		qv_codec_pair_strided(one.codec, one_slots, one_slots, one.slot_nbytes, NCODES, want_pair);
		for (int w = 0; w < NWIDTHS; w++)
		{
			CodecFixture fx = fixture_open(finer_params(metrics[m], 300, widths[w], QV_PURPOSE_TRAVERSE, 8, centroid));
			uint8_t    *slots = fixture_encode(&fx, data, NCODES);
			float		got[NCODES];
			int			ndifferent = 0;

			for (size_t i = 0; i < NCODES; i++)
				ndifferent += memcmp(one_slots + one.slot_nbytes * i, slots + fx.slot_nbytes * i, one.slot_nbytes) != 0;
			qv_query_score_strided(one.query, slots, fx.slot_nbytes, NCODES, got);
			ndifferent += memcmp(got, want, sizeof(got)) != 0;
			qv_codec_pair_strided(fx.codec, slots, slots, fx.slot_nbytes, NCODES, got);
			ndifferent += memcmp(got, want_pair, sizeof(got)) != 0;
			ok(ndifferent == 0, "%u bits, %s: slots begin as those of one bit, and pair alike", widths[w], metric_names[m]);
			free(slots);
			fixture_close(&fx);
		}
		free(one_slots);
		fixture_close(&one);
		free(centroid);
	}
	free(data);
}

/* A code made today must be the code made by every later version: all bytes of one known vector. */
static void
test_format(void)
{
	float		value[300];

	for (int i = 0; i < 300; i++)
		value[i] = (float) (i * 7919 % 601 - 300);
	for (int p = 0; p < 2; p++)
	{
		for (int w = 0; w < NWIDTHS; w++)
		{
			CodecFixture fx = fixture_open(finer_params(QV_METRIC_L2, 300, widths[w], (QvCodecPurpose) p, 42, NULL));
			uint8_t    *slot = fixture_encode(&fx, value, 1);
			uint64_t	hash = UINT64_C(14695981039346656037);	/* FNV-1a */

			for (size_t i = 0; i < fx.slot_nbytes; i++)
				hash = (hash ^ slot[i]) * UINT64_C(1099511628211);
			ok(hash == format_hashes[p][w], "%u bits, %s: slot of a known vector (hash %016llx)", widths[w],
			   purpose_name((QvCodecPurpose) p), (unsigned long long) hash);
			free(slot);
			fixture_close(&fx);
		}
	}
}

/* ---- the ends of the range ---- */

/* A value at the centroid, and a query there, are estimated exactly. */
static void
test_at_centroid(void)
{
	float	   *data = clustered_data(3, 64, 0.5, 0.3, 51);

	for (int w = 0; w < NWIDTHS; w++)
	{
		for (int m = 0; m < 3; m++)
		{
			/* of one vector: the mean is that vector itself, its direction under cosine */
			float	   *centroid = mean_of(data, 1, 64, metrics[m]);
			CodecFixture fx = fixture_open(centred_params(finer_params(metrics[m], 64, widths[w], QV_PURPOSE_REFINE, 1, centroid)));
			uint8_t    *slots = fixture_encode(&fx, data, 3);
			double		worst = 0.0;
			float		got[3];

			fixture_query(&fx, data + 64);
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 1, got);
			worst = fabs(got[0] - exact_distance(metrics[m], data, data + 64, 64));
			fixture_query(&fx, data);
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, 3, got);
			/* of inner products, those of codes that are measured from there */
			for (int i = 0; i < (metrics[m] == QV_METRIC_IP ? 1 : 3); i++)
				worst = fmax(worst, fabs(got[i] - exact_distance(metrics[m], data + 64 * i, data, 64)));
			ok(worst < 1e-4 && qv_codec_slot_fault(fx.codec, slots) == NULL,
			   "%u bits, %s: estimates at the centroid are exact (worst %.2g)", widths[w], metric_names[m], worst);
			free(slots);
			fixture_close(&fx);
			free(centroid);
		}
	}
	free(data);
}

static bool
all_finite(const float *x, int n)
{
	bool		finite = true;

	for (int i = 0; i < n; i++)
		finite &= isfinite(x[i]) != 0;
	return finite;
}

static bool
answers_finite(CodecFixture *fx, const uint8_t *slots, const float *query)
{
	float		got[NCODES];
	bool		finite;

	fixture_query(fx, query);
	qv_query_score_strided(fx->query, slots, fx->slot_nbytes, NCODES, got);
	finite = all_finite(got, NCODES);
	for (int i = 0; i < NCODES; i++)
		got[i] = qv_query_error(fx->query, slots + fx->slot_nbytes * (size_t) i);
	finite &= all_finite(got, NCODES);
	for (int i = 0; i < NCODES; i += 31)
	{
		qv_codec_pair_strided(fx->codec, slots + fx->slot_nbytes * (size_t) i, slots, fx->slot_nbytes, NCODES, got);
		finite &= all_finite(got, NCODES);
		(void) qv_codec_slot_fault(fx->codec, slots + fx->slot_nbytes * (size_t) i);
	}
	return finite;
}

/* Zero queries, norms beyond float and slots full of anything, NaN and infinity among it: finite numbers come back, always. */
static void
test_hostile(void)
{
	const int	ndims = 96;
	float	   *data = clustered_data(NCODES, ndims, 0.5, 0.1, 61);
	float	   *centroid = mean_of(data, NCODES, ndims, QV_METRIC_L2);
	float		huge[96];
	float		tiny[96];
	float		zero[96] = {0};
	const float *queries[4] = {data, zero, huge, tiny};
	uint64_t	state = 62;

	for (int i = 0; i < ndims; i++)
	{
		huge[i] = i % 2 ? FLT_MAX : -FLT_MAX;
		tiny[i] = i % 3 ? 1e-42f : -1e-44f;
	}
	for (int w = 0; w < NWIDTHS * 6; w++)
	{
		int			m = w / NWIDTHS % 3;
		QvCodecPurpose purpose = (QvCodecPurpose) (w / NWIDTHS / 3);
		QvCodecParams params = finer_params(metrics[m], (uint32_t) ndims, widths[w % NWIDTHS], purpose, 1, w % 2 ? centroid : NULL);
		CodecFixture fx;
		uint8_t    *slots;
		bool		sound = true;
		bool		finite = true;

		fx = fixture_open(params);
		slots = fixture_encode(&fx, data, NCODES);
		for (int i = 0; i < 3; i++)
		{
			if (queries[i + 1] == zero && metrics[m] == QV_METRIC_COSINE)
				continue;
			qv_codec_encode(fx.codec, queries[i + 1], slots + fx.slot_nbytes * (size_t) i, fx.scratch);
			sound &= qv_codec_slot_fault(fx.codec, slots + fx.slot_nbytes * (size_t) i) == NULL;
		}
		for (int round = 0; round < 3; round++)
		{
			for (int q = 0; q < 4; q++)
				finite &= answers_finite(&fx, slots, queries[q]);
			for (size_t i = 0; i < fx.slot_nbytes * NCODES; i++)
				slots[i] = round == 0 && check_random(&state) % 3 ? (uint8_t) check_random(&state) : round == 0 ? 0xff : 0x7c;
		}
		ok(sound && finite, "%u bits, %s, %s: codes are sound and distances finite for huge, tiny and zero vectors and for any bytes",
		   params.nbits, metric_names[m], purpose_name(purpose));
		free(slots);
		fixture_close(&fx);
	}
	free(centroid);
	free(data);
}

/* ---- parameters and slots ---- */

static bool
refused(QvCodecParams params)
{
	return qv_codec_params_fault(&params) != NULL;
}

static void
check_limit(uint32_t nbits, QvCodecPurpose purpose, uint32_t max_ndims)
{
	QvCodecParams params = finer_params(QV_METRIC_IP, max_ndims, nbits, purpose, 1, NULL);
	bool		accepted = !refused(params);
	size_t		nbytes = qv_codec_slot_nbytes(&params);
	char		number[16];
	const char *fault;

	snprintf(number, sizeof(number), " %u ", max_ndims);
	params.ndims++;
	fault = qv_codec_params_fault(&params);
	ok(accepted && nbytes <= QV_SLOT_MAX_NBYTES && fault != NULL,
	   "%u bits %s: %u dimensions are accepted, one more is not", nbits, purpose_name(purpose), max_ndims);
	if (max_ndims < QV_RABITQ_MAX_NDIMS)
		ok(strstr(fault, number) != NULL && qv_codec_slot_nbytes(&params) > QV_SLOT_MAX_NBYTES,
		   "because no more fit: \"%s\"", fault);
}

static void
test_params(void)
{
	static const uint32_t max_ndims[2][4] = {{16000, 16000, 7168, 3776}, {16000, 16000, 8128, 4032}};
	static const size_t nbytes[2][4] = {{224, 416, 892, 1660}, {216, 408, 788, 1556}};
	QvCodecParams params;
	int			nright = 0;
	int			naccepted[2] = {0, 0};

	for (int p = 0; p < 2; p++)
	{
		for (int w = 0; w < NWIDTHS; w++)
		{
			check_limit(widths[w], (QvCodecPurpose) p, max_ndims[p][w]);
			params = finer_params(QV_METRIC_COSINE, 768, widths[w], (QvCodecPurpose) p, 1, NULL);
			nright += qv_codec_slot_nbytes(&params) == nbytes[p][w] && qv_codec_code_nbits(&params) == 768;
			params.metric = QV_METRIC_IP;
			nright += qv_codec_slot_nbytes(&params) == nbytes[p][w];
		}
		for (uint32_t nbits = 0; nbits < 100; nbits++)
			naccepted[p] += !refused(finer_params(QV_METRIC_L2, 4, nbits, (QvCodecPurpose) p, 1, NULL));
	}
	ok(nright == 16, "slots of 768 dimensions have the sizes of README.md (%d of 16)", nright);
	ok(naccepted[0] == 5 && naccepted[1] == 4, "five widths are accepted to traverse, four to refine");
	ok(refused(finer_params(QV_METRIC_L2, 4, 2, (QvCodecPurpose) 2, 1, NULL)), "an unknown purpose is refused");
	ok(refused(finer_params(QV_METRIC_HAMMING, 4, 2, QV_PURPOSE_TRAVERSE, 1, NULL)), "Hamming is refused");
	params = (QvCodecParams) {.kind = QV_CODE_BITS, .metric = QV_METRIC_HAMMING, .ndims = 8, .nbits = 1, .purpose = QV_PURPOSE_REFINE};
	ok(refused(params), "bits are no codes to refine with");
}

/* Faults found by writing nbytes of what at offset at of a sound slot. */
static bool
finds_fault(const CodecFixture *fx, const uint8_t *sound, size_t at, const void *what, size_t nbytes)
{
	uint8_t    *slot = aligned_memory(fx->slot_nbytes);
	bool		found;

	memcpy(slot, sound, fx->slot_nbytes);
	memcpy(slot + at, what, nbytes);
	found = qv_codec_slot_fault(fx->codec, slot) != NULL;
	free(slot);
	return found;
}

static void
test_slot_fault(void)
{
	static const size_t code_at[2][4] = {{32 + 20 + 12, 32 + 20 + 12, 32 + 20 + 8, 32 + 20 + 8}, {24, 24, 20, 20}};
	const float nan = NAN;
	const float minus = -1.0f;
	const uint16_t half_infinity = 0x7C00;
	float	   *data = clustered_data(1, 128, 0.5, 0.1, 81);

	for (int p = 0; p < 2; p++)
	{
		for (int w = 0; w < NWIDTHS; w++)
		{
			CodecFixture fx = fixture_open(finer_params(QV_METRIC_IP, 128, widths[w], (QvCodecPurpose) p, 1, NULL));
			uint8_t    *slot = fixture_encode(&fx, data, 1);
			size_t		norm_at = p == 0 ? 32 : 0;
			size_t		factors_at = p == 0 ? 52 : 12;
			size_t		offset_at = p == 0 ? 48 : 4;
			uint16_t	far_centre = QV_MAX_CENTRES + 1;
			size_t		at = code_at[p][w];
			uint8_t		flipped[4];
			int			nfound = 0;
			int			nwanted = 7;

			nfound += finds_fault(&fx, slot, norm_at, &nan, 4);
			nfound += finds_fault(&fx, slot, offset_at, &nan, 4);
			nfound += finds_fault(&fx, slot, p == 0 ? 44 : 8, &far_centre, 2);
			nfound += finds_fault(&fx, slot, factors_at, &nan, 4) + finds_fault(&fx, slot, factors_at, &minus, 4);
			nfound += finds_fault(&fx, slot, factors_at + 4, &nan, 4) + finds_fault(&fx, slot, factors_at + 4, &minus, 4);
			memcpy(flipped, slot + at, 4);
			if (widths[w] <= 4)
			{
				nwanted += 2;
				flipped[0] ^= 0x10;
				nfound += finds_fault(&fx, slot, at, flipped, 1);
				memcpy(flipped, slot + at - 4, 4);	/* excess, the last of the factors */
				flipped[1] ^= 1;
				nfound += finds_fault(&fx, slot, at - 4, flipped, 4);
			}
			else
			{
				/* the sign of a number is known where there is a sign plane */
				flipped[widths[w] / 8 - 1] ^= 0x80;
				nwanted += p == 0;
				nfound += p == 0 && finds_fault(&fx, slot, at, flipped, widths[w] / 8);
			}
			if (widths[w] == 16)
			{
				nwanted++;
				nfound += finds_fault(&fx, slot, at, &half_infinity, 2);
			}
			ok(qv_codec_slot_fault(fx.codec, slot) == NULL && nfound == nwanted,
			   "%u bits, %s: an encoded slot is sound, %d of %d faults are found", widths[w], purpose_name((QvCodecPurpose) p), nfound, nwanted);
			free(slot);
			fixture_close(&fx);
		}
	}
	free(data);
}

int
main(void)
{
	test_params();
	test_slot_fault();
	test_format();
	test_first_part();
	test_definition();
	test_same_everywhere();
	test_second_query();
	test_at_centroid();
	test_hostile();
	test_unbiased();
	test_error_scale();
	return done_testing();
}
