/*
 * codec_fixture.h
 *		What the tests of the codec room share: a codec with its memory, seeded
 *		data that has neighbours, and how many true neighbours a scan finds.
 *
 * Must not know how codes are laid out or estimated.
 */
#ifndef QV_CODEC_FIXTURE_H
#define QV_CODEC_FIXTURE_H

#include <math.h>
#include <string.h>

#include "check.h"
#include "codec/codec.h"

/* ---- memory ---- */

static inline void *
aligned_memory(size_t nbytes)
{
	void	   *p = aligned_alloc(64, (nbytes + 64) / 64 * 64);

	if (p == NULL)
	{
		perror("aligned_alloc");
		exit(2);
	}
	return p;
}

static inline float *
float_memory(size_t n)
{
	float	   *p = aligned_memory(n * sizeof(float));

	memset(p, 0, n * sizeof(float));
	return p;
}

/* A codec and whatever it needs to encode, and one query at a time. */
typedef struct CodecFixture
{
	QvCodecParams params;
	QvCodec    *codec;
	QvQuery    *query;
	void	   *scratch;
	size_t		slot_nbytes;
} CodecFixture;

static inline CodecFixture
fixture_open(QvCodecParams params)
{
	CodecFixture fx = {.params = params};

	fx.codec = qv_codec_init(aligned_memory(qv_codec_sizeof(&params)), &params);
	fx.scratch = aligned_memory(qv_codec_scratch_nbytes(fx.codec));
	fx.query = aligned_memory(qv_query_sizeof(fx.codec));
	fx.slot_nbytes = qv_codec_slot_nbytes(&params);
	return fx;
}

static inline void
fixture_close(CodecFixture *fx)
{
	free(fx->codec);
	free(fx->query);
	free(fx->scratch);
}

static inline void
fixture_query(CodecFixture *fx, const void *value)
{
	fx->query = qv_query_init(fx->query, fx->codec, value, fx->scratch);
}

/* Codes of n float vectors, one after another. */
static inline uint8_t *
fixture_encode(const CodecFixture *fx, const float *values, int n)
{
	uint8_t    *slots = aligned_memory(fx->slot_nbytes * (size_t) n);

	for (int i = 0; i < n; i++)
		qv_codec_encode(fx->codec, values + (size_t) i * fx->params.ndims, slots + fx->slot_nbytes * (size_t) i, fx->scratch);
	return slots;
}

static inline QvCodecParams
float_params(QvMetric metric, uint32_t ndims, uint64_t seed, const float *centroid)
{
	return (QvCodecParams) {
		.kind = QV_CODE_RABITQ, .metric = metric, .ndims = ndims, .nbits = 1, .seed = seed, .centroid = centroid
	};
}

/* ---- data ---- */

/* standard normal (Box and Muller) */
static inline double
check_normal(uint64_t *state)
{
	double		u = 1.0 - check_uniform(state);
	double		v = check_uniform(state);

	return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/*
 * n vectors around n / 25 centres; coordinate i of centres and of noise shrinks as
 * (i + 1)^-0.45, as the spectra of embeddings do.  offset shifts all of them off the origin.
 */
static inline float *
clustered_data(int n, int ndims, double noise, double offset, uint64_t seed)
{
	int			ncentres = n / 25 + 1;
	float	   *data = float_memory((size_t) n * ndims);
	float	   *centres = float_memory((size_t) ncentres * ndims);
	uint64_t	state = seed;

	for (int i = 0; i < ncentres * ndims; i++)
		centres[i] = (float) (check_normal(&state) * pow(i % ndims + 1, -0.45) + offset);
	for (int i = 0; i < n; i++)
	{
		const float *centre = centres + (size_t) (check_random(&state) % (uint64_t) ncentres) * ndims;

		for (int j = 0; j < ndims; j++)
			data[(size_t) i * ndims + j] = (float) (centre[j] + noise * check_normal(&state) * pow(j + 1, -0.45));
	}
	free(centres);
	return data;
}

/* Mean of n vectors, normalised first where cosine is the metric; ndims floats. */
static inline float *
mean_of(const float *data, int n, int ndims, QvMetric metric)
{
	float	   *mean = float_memory(ndims);

	for (int i = 0; i < n; i++)
	{
		const float *x = data + (size_t) i * ndims;
		double		scale = 1.0 / n;

		if (metric == QV_METRIC_COSINE)
		{
			double		sum = 0.0;

			for (int j = 0; j < ndims; j++)
				sum += (double) x[j] * x[j];
			scale /= sqrt(sum);
		}
		for (int j = 0; j < ndims; j++)
			mean[j] += (float) (x[j] * scale);
	}
	return mean;
}

/* The distance a float codec estimates, computed naively. */
static inline double
exact_distance(QvMetric metric, const float *x, const float *q, int ndims)
{
	double		xq = 0.0;
	double		xx = 0.0;
	double		qq = 0.0;
	double		l2 = 0.0;

	for (int i = 0; i < ndims; i++)
	{
		double		d = (double) x[i] - q[i];

		xq += (double) x[i] * q[i];
		xx += (double) x[i] * x[i];
		qq += (double) q[i] * q[i];
		l2 += d * d;
	}
	if (metric == QV_METRIC_L2)
		return l2;
	if (metric == QV_METRIC_IP)
		return -xq;
	return 1.0 - xq / sqrt(xx * qq);
}

/* ---- recall ---- */

typedef struct Ranked
{
	double		dist;
	int			id;
} Ranked;

static inline int
ranked_compare(const void *a, const void *b)
{
	const Ranked *x = a;
	const Ranked *y = b;

	if (x->dist != y->dist)
		return x->dist < y->dist ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Share of the k smallest by exact distance that are among the c smallest by estimate. */
static inline double
recall_among(const double *exact, const float *estimate, int n, int k, int c)
{
	Ranked	   *by_exact = aligned_memory(sizeof(Ranked) * (size_t) n);
	Ranked	   *by_estimate = aligned_memory(sizeof(Ranked) * (size_t) n);
	int			found = 0;

	for (int i = 0; i < n; i++)
	{
		by_exact[i] = (Ranked) {exact[i], i};
		by_estimate[i] = (Ranked) {estimate[i], i};
	}
	qsort(by_exact, (size_t) n, sizeof(Ranked), ranked_compare);
	qsort(by_estimate, (size_t) n, sizeof(Ranked), ranked_compare);
	for (int i = 0; i < k; i++)
	{
		for (int j = 0; j < c; j++)
			found += by_exact[i].id == by_estimate[j].id;
	}
	free(by_exact);
	free(by_estimate);
	return (double) found / k;
}

/* Distances of a block, of 0 to 37 of n slots and all of them, that are not those of one slot at a time. */
static inline int
fixture_block_differences(const CodecFixture *fx, const uint8_t *base, size_t stride, int n)
{
	float	   *block = malloc(sizeof(float) * 37 * (size_t) n + 1);
	float	   *one = malloc(sizeof(float) * (size_t) n + 1);
	int			ndifferent = 0;

	for (int nrows = 0; nrows <= 37; nrows += 1 + nrows / 4)
	{
		qv_codec_pair_block(fx->codec, base, nrows, base, stride, n, block);
		for (int i = 0; i < nrows; i++)
		{
			qv_codec_pair_strided(fx->codec, base + stride * (size_t) i, base, stride, n, one);
			ndifferent += memcmp(block + (size_t) n * (size_t) i, one, sizeof(float) * (size_t) n) != 0;
		}
	}
	free(block);
	free(one);
	return ndifferent;
}

/* Slots that a sweep should find below a limit and does not, or finds elsewhere or otherwise: limits are some of the distances, and beyond all. */
static inline int
fixture_sweep_differences(const CodecFixture *fx, const uint8_t *base, size_t stride, int n, const uint8_t *ahead)
{
	QvSlotRun	run = {base, stride, n, {ahead, ahead}};
	float	   *all = malloc(sizeof(float) * (size_t) n);
	float	   *dist = malloc(sizeof(float) * (size_t) n);
	uint32_t   *near = malloc(sizeof(uint32_t) * (size_t) n);
	int			ndifferent = 0;

	qv_query_score_strided(fx->query, base, stride, n, all);
	for (int k = 0; k <= 5; k++)
	{
		float		limit = k < 5 ? all[k * n / 5] : INFINITY;
		uint32_t	nnear = qv_query_sweep(fx->query, &run, limit, near, dist);
		uint32_t	want = 0;

		for (int i = 0; i < n; i++)
		{
			if (!(all[i] < limit))
				continue;
			ndifferent += want >= nnear || near[want] != (uint32_t) i || dist[want] != all[i];
			want++;
		}
		ndifferent += nnear != want || (k == 5 && nnear != (uint32_t) n);
		run.ahead.soon = base;
	}
	free(all);
	free(dist);
	free(near);
	return ndifferent;
}

#endif							/* QV_CODEC_FIXTURE_H */
