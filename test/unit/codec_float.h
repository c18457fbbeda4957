/*
 * codec_float.h
 *		What the tests of codes of floats share: the rotated vector in double
 *		precision, bias and error over many seeds, answers at every kernel level.
 *
 * Must not know how codes are laid out, nor how many bits they have.
 */
#ifndef QV_CODEC_FLOAT_H
#define QV_CODEC_FLOAT_H

#include "codec/rotation.h"
#include "codec_fixture.h"
#include "kernel/kernel.h"

#define NCODES	150				/* more than two batches, and a part of one */

static const QvMetric metrics[] = {QV_METRIC_L2, QV_METRIC_IP, QV_METRIC_COSINE};
static const char *const metric_names[] = {"L2", "inner product", "cosine"};

/* ---- the definition, in double ---- */

typedef struct Rotated
{
	double		r[2048];		/* P(x - c) */
	double		sq;				/* |r|^2 */
	double		magnitudes;		/* |r|_1 */
	double		low;			/* range of r and 0 */
	double		high;
} Rotated;

static inline void
rotate_naively(const QvCodecParams *params, const float *x, Rotated *out)
{
	uint32_t	code_ndims = qv_rotation_ndims(params->ndims);
	float	   *rotation = float_memory(qv_rotation_nfloats(code_ndims));
	float	   *r = float_memory(code_ndims);
	double		norm = 0.0;
	bool		centred = params->metric != QV_METRIC_IP;	/* inner products are measured from the origin */

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < params->ndims; i++)
		norm += (double) x[i] * x[i];
	norm = params->metric == QV_METRIC_COSINE ? sqrt(norm) : 1.0;
	for (uint32_t i = 0; i < params->ndims; i++)
		r[i] = (float) (x[i] / norm - (centred ? params->centroid[i] : 0.0f));
	qv_rotation_init(rotation, code_ndims, params->seed);
	qv_rotation_apply(rotation, code_ndims, r);
	for (uint32_t i = 0; i < code_ndims; i++)
	{
		out->r[i] = r[i];
		out->sq += (double) r[i] * r[i];
		out->magnitudes += fabs(r[i]);
		out->low = fmin(out->low, r[i]);
		out->high = fmax(out->high, r[i]);
	}
	free(rotation);
	free(r);
}

/* Measured from its centroid under any metric: inner products have it as a centre. */
static inline QvCodecParams
centred_params(QvCodecParams params)
{
	params.ncentres = params.metric == QV_METRIC_IP;
	params.centres = params.centroid;
	return params;
}

/* ---- bias and error ---- */

/* What the estimate of the distance between q and the code of x is off by, with one seed. */
static inline double
estimate_error(QvCodecParams params, const float *x, const float *q)
{
	CodecFixture fx = fixture_open(params);
	uint8_t    *slot = fixture_encode(&fx, x, 1);
	float		got;

	fixture_query(&fx, q);
	qv_query_score_strided(fx.query, slot, fx.slot_nbytes, 1, &got);
	free(slot);
	fixture_close(&fx);
	return got - exact_distance(params.metric, x, q, (int) params.ndims);
}

/* Mean error of some pairs over seeds, in standard errors: the worst of them.  The centroid and the seeds are set here. */
static inline double
worst_bias(QvCodecParams params, int npairs, int nseeds)
{
	const int	ndims = (int) params.ndims;
	float	   *data = clustered_data(20, ndims, 0.7, 0.2, 11);
	float	   *centroid = mean_of(data, 20, ndims, params.metric);
	double		worst = 0.0;

	params.centroid = centroid;
	for (int pair = 0; pair < npairs; pair++)
	{
		const float *x = data + (size_t) (20 / npairs * pair) * ndims;
		double		sum = 0.0;
		double		sum_sq = 0.0;

		for (int seed = 0; seed < nseeds; seed++)
		{
			double		error;

			params.seed = (uint64_t) seed;
			error = estimate_error(params, x, x + ndims);
			sum += error;
			sum_sq += error * error;
		}
		worst = fmax(worst, fabs(sum / nseeds) / (sqrt(sum_sq / nseeds) / sqrt(nseeds)));
	}
	free(centroid);
	free(data);
	return worst;
}

typedef struct ErrorShares
{
	double		one;			/* share of errors within one sigma */
	double		three;			/* within three */
	double		sigma;			/* mean, in units of |r| |q'| / sqrt(D) */
} ErrorShares;

static inline ErrorShares
error_shares(QvCodecParams params, double noise, int nseeds)
{
	enum {N = 60};
	static Rotated rotated[N];
	const int	ndims = (int) params.ndims;
	const double total = nseeds * (N - 1) * 3;
	float	   *data = clustered_data(N, ndims, noise, 0.1, 21);
	float	   *centroid = mean_of(data, N, ndims, params.metric);
	ErrorShares shares = {0.0, 0.0, 0.0};

	params.centroid = centroid;
	for (int seed = 0; seed < nseeds; seed++)
	{
		CodecFixture fx;
		uint8_t    *slots;
		float		got[N];

		params.seed = (uint64_t) seed;
		fx = fixture_open(params);
		slots = fixture_encode(&fx, data, N);
		for (int i = 0; i < N; i++)
			rotate_naively(&fx.params, data + (size_t) i * ndims, &rotated[i]);
		for (int q = 0; q < N; q += 20)
		{
			const float *query = data + (size_t) q * ndims;

			fixture_query(&fx, query);
			qv_query_score_strided(fx.query, slots, fx.slot_nbytes, N, got);
			for (int i = 0; i < N; i++)
			{
				double		exact = exact_distance(params.metric, data + (size_t) i * ndims, query, ndims);
				double		sigma = qv_query_error(fx.query, slots + fx.slot_nbytes * (size_t) i);

				if (i == q)
					continue;
				shares.one += fabs(got[i] - exact) <= sigma;
				shares.three += fabs(got[i] - exact) <= 3.0 * sigma;
				shares.sigma += sigma / sqrt(rotated[i].sq * rotated[q].sq / ndims) / (params.metric == QV_METRIC_L2 ? 2.0 : 1.0);
			}
		}
		free(slots);
		fixture_close(&fx);
	}
	free(centroid);
	free(data);
	return (ErrorShares) {
		shares.one / total, shares.three / total, shares.sigma / total
	};
}

/* ---- the same answer whatever the way ---- */

/* Slots and answers of one codec, taken by every way to ask. */
typedef struct Answers
{
	uint8_t    *slots;
	float		score[NCODES];
	float		error[NCODES];
	float		pair[NCODES];
	int			nwrong;			/* ways that differ from the first */
} Answers;

/* At an odd address, so that no slot is aligned, and ending at a trap. */
static inline void
take_answers(CodecFixture *fx, const float *data, Answers *out)
{
	size_t		stride = fx->slot_nbytes + 3;
	size_t		total = stride * (NCODES - 1) + fx->slot_nbytes;
	GuardedMemory mem = guarded_alloc(total);
	uint8_t    *base = mem.end - total;
	const uint8_t *slots[NCODES];
	float		other[NCODES];
	float		one;

	out->nwrong = 0;
	for (int i = 0; i < NCODES; i++)
	{
		slots[i] = base + stride * (size_t) i;
		qv_codec_encode(fx->codec, data + (size_t) i * fx->params.ndims, base + stride * (size_t) i, fx->scratch);
		memcpy(out->slots + fx->slot_nbytes * (size_t) i, slots[i], fx->slot_nbytes);
		out->nwrong += qv_codec_slot_fault(fx->codec, slots[i]) != NULL;
	}
	fixture_query(fx, data + 5 * fx->params.ndims);
	qv_query_score_strided(fx->query, base, stride, NCODES, out->score);
	qv_query_score(fx->query, slots, NCODES, other);
	out->nwrong += memcmp(out->score, other, sizeof(other)) != 0;
	out->nwrong += fixture_sweep_differences(fx, base, stride, NCODES, base + stride * NCODES);
	qv_codec_pair_strided(fx->codec, slots[7], base, stride, NCODES, out->pair);
	qv_codec_pair(fx->codec, slots[7], slots, NCODES, other);
	out->nwrong += memcmp(out->pair, other, sizeof(other)) != 0;
	out->nwrong += fixture_block_differences(fx, base, stride, NCODES);
	for (int i = 0; i < NCODES; i++)
	{
		qv_query_score(fx->query, &slots[i], 1, &one);
		out->nwrong += one != out->score[i];
		out->error[i] = qv_query_error(fx->query, slots[i]);
		qv_codec_pair(fx->codec, slots[i], &slots[7], 1, &one);
		out->nwrong += one != out->pair[i];
	}
	guarded_free(&mem);
}

/* Codes of data by every kernel level and every way to ask: one test. */
static inline void
same_at_every_level(const QvCodecParams *params, const float *data, const char *name)
{
	const QvKernels *level;
	size_t		nbytes = qv_codec_slot_nbytes(params) * NCODES;
	Answers		first = {.slots = aligned_memory(nbytes)};
	Answers		other = {.slots = aligned_memory(nbytes)};
	bool		usable;
	int			nlevels = 0;
	int			ndifferent = 0;
	int			nwrong = 0;

	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		CodecFixture fx;

		if (!usable)
			continue;
		qv_kernels_force(level->name);
		fx = fixture_open(*params);
		take_answers(&fx, data, nlevels == 0 ? &first : &other);
		nwrong += nlevels == 0 ? first.nwrong : other.nwrong;
		if (nlevels++ > 0)
			ndifferent += memcmp(first.slots, other.slots, nbytes) != 0 ||
				memcmp(first.score, other.score, sizeof(first.score)) != 0 ||
				memcmp(first.error, other.error, sizeof(first.error)) != 0 ||
				memcmp(first.pair, other.pair, sizeof(first.pair)) != 0;
		fixture_close(&fx);
	}
	qv_kernels_force("auto");
	ok(nwrong == 0 && ndifferent == 0,
	   "%s: by pointer, by stride, one by one and both ways round are equal (%d differ), at %d levels (%d differ)",
	   name, nwrong, nlevels, ndifferent);
	free(first.slots);
	free(other.slots);
}

#endif							/* QV_CODEC_FLOAT_H */
