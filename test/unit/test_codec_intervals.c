/*
 * test_codec_intervals.c
 *		Intervals of distances hold the distance: every width, metric and kind of data, against long
 *		double; and they are no wider than the length of a code's error says.
 */
#include <float.h>

#include "codec_float.h"

#define NROWS		40
#define NQUERIES	9
#define MAX_NDIMS	2000

/* Kinds of data, by what they are hard for. */
static const char *const kind_names[] = {
	"even", "clustered", "near to equal", "far off the origin", "very far off", "tiny", "huge", "sparse", "whole numbers",
	"heavy tails", "one long coordinate", "rows of zeros"
};

#define NKINDS ((int) (sizeof(kind_names) / sizeof(kind_names[0])))

static double
element(int kind, uint64_t *state, int i, int j, int ndims)
{
	double		x = check_normal(state);

	switch (kind)
	{
		case 1:
			return 10.0 * sin(1.0 + (double) (i % 4) * (j + 1)) + x;
		case 2:
			return sin(1.0 + (double) (i % 4) * (j + 1)) + pow(10.0, -2.0 - i % 5) * x;
		case 3:
			return 100.0 + x;
		case 4:
			return 1e6 + x;
		case 5:
			return 1e-17 * x;
		case 6:
			return 1e15 * x;
		case 7:
			return check_random(state) % 20 == 0 ? x : 0.0;
		case 8:
			return (double) (check_random(state) % 4);
		case 9:
			return x / (check_uniform(state) + 1e-4);
		case 10:
			return j == ndims / 2 ? 1000.0 * x : x;
		case 11:
			return i % 3 == 0 ? 0.0 : x;
		default:
			return x;
	}
}

/* Rows, and behind them queries: some like rows, some rows themselves, some nearly. */
static void
make_data(int kind, int ndims, float *data)
{
	uint64_t	state = 77 + (uint64_t) kind;

	for (int i = 0; i < NROWS + NQUERIES; i++)
	{
		float	   *x = data + (size_t) i * ndims;

		for (int j = 0; j < ndims; j++)
			x[j] = (float) element(kind, &state, i, j, ndims);
		if (i < NROWS || i % 3 == 0)
			continue;
		memcpy(x, data + (size_t) (i - NROWS) * ndims, sizeof(float) * (size_t) ndims);
		for (int j = 0; i % 3 == 1 && j < ndims; j++)
			x[j] *= (float) (1.0 + 1e-6 * check_normal(&state));
	}
}

static long double
distance(QvMetric metric, const float *a, const float *b, int ndims)
{
	long double dot = 0;
	long double square = 0;
	long double a_sq = 0;
	long double b_sq = 0;

	for (int i = 0; i < ndims; i++)
	{
		long double d = (long double) a[i] - b[i];

		dot += (long double) a[i] * b[i];
		square += d * d;
		a_sq += (long double) a[i] * a[i];
		b_sq += (long double) b[i] * b[i];
	}
	if (metric == QV_METRIC_IP)
		return -dot;
	return metric == QV_METRIC_L2 ? square : 1 - dot / sqrtl(a_sq * b_sq);
}

static bool
is_zero(const float *x, int ndims)
{
	for (int i = 0; i < ndims; i++)
	{
		if (x[i] != 0)
			return false;
	}
	return true;
}

typedef struct Count
{
	int			n;
	int			nmissed;
	int			nunknown;
} Count;

/* All rows against all queries by one codec. */
static void
count_misses(const QvCodecParams *params, const float *data, Count *count)
{
	const QvRounding exact = {0, 0};
	int			ndims = (int) params->ndims;
	CodecFixture fx = fixture_open(*params);
	uint8_t    *slots = aligned_memory(fx.slot_nbytes * NROWS);

	for (int i = 0; i < NROWS; i++)
	{
		const float *x = data + (size_t) i * ndims;

		if (params->metric != QV_METRIC_COSINE || !is_zero(x, ndims))
			qv_codec_encode(fx.codec, x, slots + fx.slot_nbytes * (size_t) i, fx.scratch);
	}
	for (int q = NROWS; q < NROWS + NQUERIES; q++)
	{
		const float *query = data + (size_t) q * ndims;

		fixture_query(&fx, query);
		for (int i = 0; i < NROWS; i++)
		{
			const float *x = data + (size_t) i * ndims;
			const uint8_t *slot = slots + fx.slot_nbytes * (size_t) i;
			long double want = distance(params->metric, x, query, ndims);
			QvInterval	interval;
			float		dist;

			if (params->metric == QV_METRIC_COSINE && (is_zero(x, ndims) || is_zero(query, ndims)))
				continue;
			qv_query_score_strided(fx.query, slot, fx.slot_nbytes, 1, &dist);
			count->n++;
			if (!qv_query_interval(fx.query, slot, dist, &exact, &interval))
				count->nunknown++;
			else
				count->nmissed += !(interval.low <= want && want <= interval.high);
		}
	}
	free(slots);
	fixture_close(&fx);
}

typedef struct Code
{
	QvCodeKind	kind;
	uint32_t	nbits;
	QvCodecPurpose purpose;
} Code;

static const Code codes[] = {
	{QV_CODE_RABITQ, 2, QV_PURPOSE_REFINE}, {QV_CODE_RABITQ, 4, QV_PURPOSE_REFINE}, {QV_CODE_RABITQ, 8, QV_PURPOSE_REFINE},
	{QV_CODE_RABITQ, 16, QV_PURPOSE_REFINE}, {QV_CODE_FLOAT, 32, QV_PURPOSE_REFINE}, {QV_CODE_RABITQ, 4, QV_PURPOSE_TRAVERSE},
	{QV_CODE_RABITQ, 8, QV_PURPOSE_TRAVERSE}, {QV_CODE_FLOAT, 32, QV_PURPOSE_TRAVERSE}
};

#define NCODE_KINDS ((int) (sizeof(codes) / sizeof(codes[0])))

static void
test_kind(int kind, float *data)
{
	static const int sizes[] = {2, 3, 8, 9, 17, 64, 100, 256, 300, 768, 2000};

	for (int m = 0; m < 3; m++)
	{
		Count		count = {0, 0, 0};

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		{
			float	   *centroid;

			make_data(kind, sizes[s], data);
			centroid = mean_of(data, NROWS, sizes[s], metrics[m]);
			for (int c = 0; c < 2 * NCODE_KINDS; c++)
			{
				const Code *code = &codes[c / 2];
				QvCodecParams params = float_params(metrics[m], (uint32_t) sizes[s], 5 + (uint64_t) c, centroid);

				params.kind = code->kind;
				params.nbits = code->nbits;
				params.purpose = code->purpose;
				if (code->kind == QV_CODE_FLOAT && c % 2)
					continue;
				if (metrics[m] == QV_METRIC_IP || !isfinite(centroid[0]))
					params.centroid = NULL;
				/* the first rows are centres, too: those are estimated exactly */
				params.ncentres = code->kind == QV_CODE_RABITQ && c % 2 && metrics[m] != QV_METRIC_COSINE ? 5 : 0;
				params.centres = params.ncentres > 0 ? data : NULL;
				count_misses(&params, data, &count);
			}
			free(centroid);
		}
		ok(count.nmissed == 0 && count.nunknown == 0, "%s, %s: %d of %d distances outside of their interval, %d without one",
		   kind_names[kind], metric_names[m], count.nmissed, count.n, count.nunknown);
	}
}

/* Of rows and queries of unit length at right angles: half the interval, in units of |r||q|. */
static void
test_width(void)
{
	static const double widest[NCODE_KINDS] = {0.1, 0.03, 0.0022, 0.00025, 3e-6, 0.03, 0.0022, 3e-6};
	const QvRounding exact = {0, 0};
	float	   *data = clustered_data(40, 768, 4.0, 0.0, 7);

	for (int c = 0; c < NCODE_KINDS; c++)
	{
		QvCodecParams params = float_params(QV_METRIC_COSINE, 768, 3, NULL);
		CodecFixture fx;
		uint8_t    *slots;
		double		sum = 0.0;

		params.kind = codes[c].kind;
		params.nbits = codes[c].nbits;
		params.purpose = codes[c].purpose;
		fx = fixture_open(params);
		slots = fixture_encode(&fx, data, 40);
		fixture_query(&fx, data);
		for (int i = 1; i < 40; i++)
		{
			const uint8_t *slot = slots + fx.slot_nbytes * (size_t) i;
			QvInterval	interval;
			float		dist;

			qv_query_score_strided(fx.query, slot, fx.slot_nbytes, 1, &dist);
			if (qv_query_interval(fx.query, slot, dist, &exact, &interval))
				sum += 0.5 * (interval.high - interval.low) / 39;
		}
		ok(sum > 0.0 && sum < widest[c], "%u bits, purpose %d: half an interval is %.7f", params.nbits, (int) params.purpose, sum);
		free(slots);
		fixture_close(&fx);
	}
	free(data);
}

/*
 * Values that were rounded to floats, as those of other types are: with the rounding told of, the
 * interval holds the distance of the numbers before.
 */
static void
test_rounded_values(void)
{
	const QvRounding rounded = {0x1p-24, 0};
	enum {N = 300};
	int			nmissed = 0;
	int			n = 0;
	uint64_t	state = 5;

	for (int m = 0; m < 3; m++)
	{
		for (int c = 3; c < 5; c++)
		{
			QvCodecParams params = float_params(metrics[m], N, 3, NULL);
			CodecFixture fx;
			uint8_t    *slot;

			params.kind = codes[c].kind;
			params.nbits = codes[c].nbits;
			params.purpose = codes[c].purpose;
			fx = fixture_open(params);
			slot = aligned_memory(fx.slot_nbytes);
			for (int round = 0; round < 200; round++)
			{
				double		sums[3] = {0, 0, 0};
				double		square = 0;
				float		x[N];
				float		q[N];
				QvInterval	interval;
				double		want;
				float		dist;

				for (int i = 0; i < N; i++)
				{
					double		a = 100 + check_normal(&state);
					double		b = round % 2 ? a : 100 + check_normal(&state);

					b *= 1 + 1e-7 * check_normal(&state);
					x[i] = (float) a;
					q[i] = (float) b;
					sums[0] += a * b;
					sums[1] += a * a;
					sums[2] += b * b;
					square += (a - b) * (a - b);
				}
				want = metrics[m] == QV_METRIC_IP ? -sums[0] : metrics[m] == QV_METRIC_L2 ? square : 1 - sums[0] / sqrt(sums[1] * sums[2]);
				qv_codec_encode(fx.codec, x, slot, fx.scratch);
				fixture_query(&fx, q);
				qv_query_score_strided(fx.query, slot, fx.slot_nbytes, 1, &dist);
				n++;
				nmissed += !qv_query_interval(fx.query, slot, dist, &rounded, &interval) ||
					!(interval.low <= want && want <= interval.high);
			}
			free(slot);
			fixture_close(&fx);
		}
	}
	ok(nmissed == 0, "values rounded before they were encoded: %d of %d outside", nmissed, n);
}

/* Whatever bytes a slot holds, an interval has finite ends in their order, or there is none. */
static void
test_hostile(void)
{
	const QvRounding exact = {0, 0};
	uint64_t	state = 9;
	float	   *data = clustered_data(2, 96, 1.0, 0.1, 3);
	int			nwrong = 0;

	for (int round = 0; round < 3 * NCODE_KINDS * 300; round++)
	{
		const Code *code = &codes[round % NCODE_KINDS];
		QvCodecParams params = float_params(metrics[round / NCODE_KINDS % 3], 96, 3, NULL);
		CodecFixture fx;
		uint8_t    *slot;
		QvInterval	interval;
		float		dist;

		params.kind = code->kind;
		params.nbits = code->nbits;
		params.purpose = code->purpose;
		fx = fixture_open(params);
		slot = fixture_encode(&fx, data, 1);
		for (size_t i = 0; i < fx.slot_nbytes; i++)
			slot[i] = round % 2 && i % 7 ? slot[i] : (uint8_t) check_random(&state);
		fixture_query(&fx, data + 96);
		qv_query_score_strided(fx.query, slot, fx.slot_nbytes, 1, &dist);
		if (qv_query_interval(fx.query, slot, dist, &exact, &interval))
			nwrong += !(isfinite(interval.low) && isfinite(interval.high) && interval.low <= interval.high);
		free(slot);
		fixture_close(&fx);
	}
	ok(nwrong == 0, "any bytes: intervals are finite and in order, or there is none (%d are not)", nwrong);
	free(data);
}

int
main(void)
{
	float	   *data = float_memory((size_t) (NROWS + NQUERIES) * MAX_NDIMS);

	for (int kind = 0; kind < NKINDS; kind++)
		test_kind(kind, data);
	test_width();
	test_rounded_values();
	test_hostile();
	free(data);
	return done_testing();
}
