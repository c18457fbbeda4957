/*
 * floats.c
 *		Kind FLOAT: the vector itself, as float4; under cosine at unit length.
 *
 * Distances here have no error but that of rounding floats, between a query and a code and
 * between two codes alike.  No rotation, no padding; slots know no centroid.  See README.md, "Slots".
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "codec/kinds.h"
#include "kernel/kernel.h"

/* Up to so many dimensions a plain loop costs less than the call of a kernel and its tree of sums. */
#define FEW_NDIMS	16

/* Standard error of a sum of products, in units of the sum of their sizes; measured: test_codec_floats. */
#define FLOAT_ROUNDING	0x1p-22

/* What the squared length of a vector of unit length may differ from 1, its elements rounded to float. */
#define UNIT_SLACK		1e-5

typedef struct QvFloatCodec
{
	QvCodec		head;
	float		centroid_sq;
	float		centroid[];		/* inner product only; zeros for the origin */
} QvFloatCodec;

typedef struct QvFloatQuery
{
	QvQuery		head;
	uint32_t	ndims;
	float		norm;			/* |q| */
	float		bias;			/* of inner products: what is added to -<q,x> */
	_Alignas(64) float q[];
} QvFloatQuery;

/* A float at any address. */
typedef float QvLooseFloat __attribute__((aligned(1), may_alias));

static const char *
floats_params_fault(const QvCodecParams *params)
{
	if (params->metric != QV_METRIC_L2 && params->metric != QV_METRIC_IP && params->metric != QV_METRIC_COSINE)
		return "metric does not fit codes of floats";
	if (params->ndims < 1)
		return "number of dimensions is out of range";
	if (params->ndims > QV_FLOAT_MAX_NDIMS)
		return "codes of 32 bits a dimension hold at most 2040 dimensions";
	if (params->nbits != 32)
		return "codes of floats have 32 bits a dimension";
	for (uint32_t i = 0; params->centroid != NULL && i < params->ndims; i++)
	{
		if (!isfinite(params->centroid[i]))
			return "centroid is not finite";
	}
	return NULL;
}

static size_t
floats_codec_nbytes(const QvCodecParams *params)
{
	return sizeof(QvFloatCodec) + params->ndims * sizeof(float);
}

static uint32_t
floats_code_nbits(const QvCodecParams *params)
{
	return params->ndims;
}

static size_t
floats_slot_nbytes(const QvCodecParams *params)
{
	return params->ndims * sizeof(float);
}

static void
floats_init(QvCodec *head, const QvCodecParams *params)
{
	QvFloatCodec *codec = (QvFloatCodec *) head;
	uint32_t	n = params->ndims;

	for (uint32_t i = 0; i < n; i++)
		codec->centroid[i] = params->centroid != NULL ? params->centroid[i] : 0.0f;
	codec->centroid_sq = (float) qv_kernels()->dot_f32(codec->centroid, codec->centroid, n);
}

static size_t
floats_scratch_nbytes(const QvCodec *codec)
{
	(void) codec;
	return 0;
}

/*
 * The value, at unit length under cosine, to any address.  Equal vectors have equal bytes:
 * adding 0 makes a zero of a minus zero.
 */
static void
put_vector(const QvCodec *codec, const float *value, void *out)
{
	QvLooseFloat *to = out;
	double		scale = 1.0;

	if (codec->metric == QV_METRIC_COSINE)
	{
		double		sum = qv_kernels()->dot_f32(value, value, codec->ndims);

		scale = sum > 0.0 ? 1.0 / sqrt(sum) : 0.0;
	}
	for (uint32_t i = 0; i < codec->ndims; i++)
		to[i] = (float) (value[i] * scale) + 0.0f;
}

static void
floats_encode(const QvCodec *codec, const void *value, uint8_t *slot, void *scratch)
{
	(void) scratch;
	put_vector(codec, value, slot);
}

static const char *
floats_slot_fault(const QvCodec *codec, const uint8_t *slot)
{
	const QvLooseFloat *x = (const QvLooseFloat *) slot;
	double		square = 0.0;

	for (uint32_t i = 0; i < codec->ndims; i++)
	{
		if (!isfinite(x[i]))
			return "coordinate is not finite";
		if (x[i] == 0.0f && signbit(x[i]))
			return "coordinate is a minus zero";
		square += (double) x[i] * x[i];
	}
	if (codec->metric == QV_METRIC_COSINE && !(fabs(square - 1.0) < UNIT_SLACK))
		return "vector is not of unit length";
	return NULL;
}

/* ---- distances ---- */

static inline float
dot(const uint8_t *a, const uint8_t *b, uint32_t ndims)
{
	const QvLooseFloat *x = (const QvLooseFloat *) a;
	const QvLooseFloat *y = (const QvLooseFloat *) b;
	float		sum = 0.0f;

	if (ndims > FEW_NDIMS)
		return qv_kernels()->fast_dot_f32((const float *) (const void *) a, (const float *) (const void *) b, ndims);
	for (uint32_t i = 0; i < ndims; i++)
		sum += x[i] * y[i];
	return sum;
}

static inline float
l2sq(const uint8_t *a, const uint8_t *b, uint32_t ndims)
{
	const QvLooseFloat *x = (const QvLooseFloat *) a;
	const QvLooseFloat *y = (const QvLooseFloat *) b;
	float		sum = 0.0f;

	if (ndims > FEW_NDIMS)
		return qv_kernels()->fast_l2sq_f32((const float *) (const void *) a, (const float *) (const void *) b, ndims);
	for (uint32_t i = 0; i < ndims; i++)
	{
		float		d = x[i] - y[i];

		sum += d * d;
	}
	return sum;
}

/*
 * Squared distances of one vector to a batch.  The cosine distance of vectors of unit length is half of
 * their squared distance: 1 - <a,b> could not tell neighbours of few dimensions apart.
 */
static void
squares(QvMetric metric, const uint8_t *one, uint32_t ndims, QvSlots run, int n, float *dist)
{
	float		scale = metric == QV_METRIC_COSINE ? 0.5f : 1.0f;

	for (int i = 0; i < n; i++)
		dist[i] = qv_clamp_finite(scale * l2sq(one, qv_slot_at(run, i), ndims));
}

/*
 * -<a - c, b - c>: whatever the query, a vector added to all rows changes no order, and so it is
 * not to change the graph.  Both sides are added first: symmetric to the bit.
 */
static void
centred_products(const QvFloatCodec *codec, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	const uint8_t *centroid = (const uint8_t *) codec->centroid;
	uint32_t	ndims = codec->head.ndims;
	float		one = dot(slot, centroid, ndims);

	for (int i = 0; i < n; i++)
	{
		const uint8_t *other = qv_slot_at(run, i);

		dist[i] = qv_clamp_finite((one + dot(other, centroid, ndims)) - (dot(slot, other, ndims) + codec->centroid_sq));
	}
}

static void
floats_pair(const QvCodec *codec, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (codec->metric == QV_METRIC_IP)
		centred_products((const QvFloatCodec *) codec, slot, run, n, dist);
	else
		squares(codec->metric, slot, codec->ndims, run, n, dist);
}

static void
floats_pair_block(const QvCodec *codec, const QvSlotBlock *block, float *dist, size_t dist_stride)
{
	QvSlots		run = {NULL, block->base, block->stride};

	for (int i = 0; i < block->nrows; i++)
		floats_pair(codec, block->rows + block->stride * (size_t) i, run, block->n, dist + dist_stride * (size_t) i);
}

/* ---- queries ---- */

static size_t
floats_query_nbytes(const QvCodec *codec)
{
	return sizeof(QvFloatQuery) + codec->ndims * sizeof(float);
}

static void
floats_query_init(QvQuery *head, const QvCodec *codec, const void *value, void *scratch)
{
	QvFloatQuery *query = (QvFloatQuery *) head;

	(void) scratch;
	put_vector(codec, value, query->q);
	query->ndims = codec->ndims;
	query->bias = 0.0f;
	query->norm = (float) sqrt(qv_kernels()->dot_f32(query->q, query->q, codec->ndims));
}

static void
floats_score(const QvQuery *head, QvSlots run, int n, float *dist)
{
	const QvFloatQuery *query = (const QvFloatQuery *) head;

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (head->metric != QV_METRIC_IP)
	{
		squares(head->metric, (const uint8_t *) query->q, query->ndims, run, n, dist);
		return;
	}
	for (int i = 0; i < n; i++)
		dist[i] = qv_clamp_finite(query->bias - dot((const uint8_t *) query->q, qv_slot_at(run, i), query->ndims));
}

static void
floats_query_as_pair(QvQuery *head, const QvCodec *codec_head)
{
	const QvFloatCodec *codec = (const QvFloatCodec *) codec_head;
	QvFloatQuery *query = (QvFloatQuery *) head;

	if (head->metric != QV_METRIC_IP)
		return;
	for (uint32_t i = 0; i < query->ndims; i++)
		query->q[i] -= codec->centroid[i];
	query->bias = dot((const uint8_t *) query->q, (const uint8_t *) codec->centroid, query->ndims);
}

/*
 * Differences are of the very floats of value and query, so that the error of a squared distance
 * is a share of itself; under cosine either vector was rounded before, by 2^-24 of its length.
 */
static float
floats_error(const QvQuery *head, const uint8_t *slot)
{
	const QvFloatQuery *query = (const QvFloatQuery *) head;
	QvSlots		run = {NULL, slot, 0};
	float		dist;
	double		norm;

	floats_score(head, run, 1, &dist);
	switch (head->metric)
	{
		case QV_METRIC_IP:
			norm = sqrt((double) qv_clamp_finite(dot(slot, slot, query->ndims)));
			return qv_clamp_finite((float) (FLOAT_ROUNDING * query->norm * norm));
		case QV_METRIC_COSINE:
			return (float) (FLOAT_ROUNDING * dist + 0x1p-24 * sqrt(2.0 * dist) + 0x1p-48);
		default:				/* QV_METRIC_L2 */
			return (float) (FLOAT_ROUNDING * dist);
	}
}

/* Sums of float products and squares, at most, as dot() and l2sq() make them. */
static double
sum_slack(uint32_t ndims)
{
	return ndims > FEW_NDIMS ? qv_fast_sum_slack(ndims) : (ndims + 3) * 0x1p-24;
}

static bool
floats_interval(const QvQuery *head, const uint8_t *slot, float dist, const QvRounding *rounding, QvInterval *out)
{
	const QvFloatQuery *query = (const QvFloatQuery *) head;
	double		sums = sum_slack(query->ndims);
	double		size;

	if (!(fabsf(dist) < FLT_MAX))
		return false;
	if (head->metric == QV_METRIC_IP)
	{
		size = query->norm * sqrt((double) qv_clamp_finite(dot(slot, slot, query->ndims))) * (1.0 + 4.0 * sums);
		size = size * (sums + rounding->sums + 2.0 * rounding->values) + FLT_MIN;
		*out = (QvInterval) {dist - size, dist + size};
		return true;
	}
	/* under cosine both vectors were rounded, at unit length */
	size = head->metric == QV_METRIC_COSINE ? 2.0 * dist : dist;
	*out = (QvInterval) {size * (1.0 - sums) - FLT_MIN, size * (1.0 + sums) + FLT_MIN};
	qv_interval_of_squares(head->metric, out, head->metric == QV_METRIC_COSINE ? 0x1p-22 : 0.0, query->norm, rounding);
	return true;
}

const QvCodeOps qv_float_ops = {
	.params_fault = floats_params_fault,
	.codec_nbytes = floats_codec_nbytes,
	.code_nbits = floats_code_nbits,
	.slot_nbytes = floats_slot_nbytes,
	.init = floats_init,
	.scratch_nbytes = floats_scratch_nbytes,
	.encode = floats_encode,
	.slot_fault = floats_slot_fault,
	.pair = floats_pair,
	.pair_block = floats_pair_block,
	.query_nbytes = floats_query_nbytes,
	.query_init = floats_query_init,
	.query_as_pair = floats_query_as_pair,
	.score = floats_score,
	.error = floats_error,
	.interval = floats_interval,
};
