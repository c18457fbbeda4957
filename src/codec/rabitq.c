/*
 * rabitq.c
 *		Kind RABITQ, one bit a dimension of the centred and rotated vector, with
 *		the factors that turn counted bits into an unbiased estimate.
 *
 * Source: RaBitQ (arXiv 2405.12497).  Formulas, the slot's layout and where we
 * differ from the paper: README.md, "Slots" and "Estimates".  Must not know
 * pages, graphs or where a vector comes from.
 */
#include <math.h>
#include <string.h>

#include "codec/rabitq.h"
#include "codec/rotation.h"
#include "kernel/kernel.h"

#define INV_X0_TYPICAL	1.2533	/* sqrt(pi/2), that of a Gaussian vector */

#define QUERY_MAX_LEVEL 15		/* of a 4-bit query */

typedef struct QvRabitqQuery
{
	QvQuery		head;
	QvEstimate	estimate;
	/* sigma = norm * sqrt(error_sign * (inv_x0^2 - 1) + error_round * inv_x0^2) */
	float		error_sign;
	float		error_round;
	_Alignas(64) uint8_t planes[];
} QvRabitqQuery;

/* What of a batch of slots pairs need, one array a factor. */
typedef struct FactorBatch
{
	float		norm[QV_BATCH];
	float		xc[QV_BATCH];	/* <x,c>; inner product only, else 0 */
} FactorBatch;

/* ---- the codec object ---- */

const char *
qv_rabitq_params_fault(const QvCodecParams *params)
{
	if (params->metric != QV_METRIC_L2 && params->metric != QV_METRIC_IP && params->metric != QV_METRIC_COSINE)
		return "metric does not fit codes of floats";
	if (params->ndims < 1 || params->ndims > QV_RABITQ_MAX_NDIMS)
		return "number of dimensions is out of range";
	if (params->purpose != QV_PURPOSE_TRAVERSE && params->purpose != QV_PURPOSE_REFINE)
		return "unknown purpose of codes";
	if (params->purpose == QV_PURPOSE_REFINE && params->nbits == 1)
		return "codes of one bit a dimension refine nothing";
	if (!qv_is_finite_at_least_zero(params->max_norm))
		return "largest norm is not a finite number of at least zero";
	for (uint32_t i = 0; params->centroid != NULL && i < params->ndims; i++)
	{
		if (!isfinite(params->centroid[i]))
			return "centroid is not finite";
	}
	return NULL;
}

/* Centroid (D floats, zero padded), rotation, cosines (D + 1 floats), in this order. */
size_t
qv_rabitq_codec_nbytes(const QvCodecParams *params)
{
	uint32_t	code_ndims = qv_rotation_ndims(params->ndims);

	return sizeof(QvRabitq) +
		(code_ndims + qv_rotation_nfloats(code_ndims) + code_ndims + 1) * sizeof(float);
}

uint32_t
qv_rabitq_code_nbits(const QvCodecParams *params)
{
	return qv_rotation_ndims(params->ndims);
}

size_t
qv_rabitq_slot_nbytes(const QvCodecParams *params)
{
	return qv_rotation_ndims(params->ndims) / 8 + sizeof(QvFactors) +
		(params->metric == QV_METRIC_IP ? sizeof(float) : 0);
}

void
qv_rabitq_init(QvCodec *head, const QvCodecParams *params)
{
	const double pi = 3.14159265358979323846;
	QvRabitq   *codec = (QvRabitq *) head;
	uint32_t	code_ndims = qv_rotation_ndims(params->ndims);
	float	   *centroid = codec->floats;
	float	   *cosines;

	codec->code_ndims = code_ndims;
	codec->purpose = params->purpose;
	codec->seed = params->seed;
	memset(centroid, 0, code_ndims * sizeof(float));
	if (params->centroid != NULL)
		memcpy(centroid, params->centroid, params->ndims * sizeof(float));
	codec->centroid_sq = (float) qv_kernels()->dot_f32(centroid, centroid, code_ndims);
	codec->max_norm_sq = params->max_norm * params->max_norm;
	qv_rotation_init((float *) qv_rotation_of(codec), code_ndims, params->seed);
	cosines = (float *) qv_cosines_of(codec);
	for (uint32_t h = 0; h <= code_ndims; h++)
		cosines[h] = (float) cos(pi * h / code_ndims);
}

/* ---- from values to codes ---- */

/* Room for the rotated vector or, of a query, its residual and levels. */
static size_t
rabitq_scratch_nbytes(const QvCodec *head)
{
	const QvRabitq *codec = (const QvRabitq *) head;

	return sizeof(QvResidual) + codec->code_ndims * (sizeof(float) + 1);
}

void
qv_rabitq_rotate(const QvRabitq *codec, const float *value, float *out)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	ndims = codec->head.ndims;
	double		scale = 1.0;

	if (codec->head.metric == QV_METRIC_COSINE)
	{
		double		sum = kernels->dot_f32(value, value, ndims);

		scale = sum > 0.0 ? 1.0 / sqrt(sum) : 0.0;
	}
	kernels->residual_f32(value, scale, qv_centroid_of(codec), ndims, out);
	memset(out + ndims, 0, (codec->code_ndims - ndims) * sizeof(float));
	qv_rotation_apply(qv_rotation_of(codec), codec->code_ndims, out);
}

/* Lanes spelled out: a compiler may not reorder a float sum by itself.  n is a multiple of 64. */
static double
sum_of_magnitudes(const float *x, uint32_t n)
{
	double		lane[8] = {0};
	double		sum = 0.0;

	for (uint32_t i = 0; i < n; i += 8)
	{
		for (int j = 0; j < 8; j++)
			lane[j] += fabsf(x[i + j]);
	}
	for (int j = 0; j < 8; j++)
		sum += lane[j];
	return sum;
}

/*
 * A value at the centroid has norm 0: every estimate is then that of the
 * centroid, whatever its bits.  Norms beyond float (components near 1e38) are
 * stored as the largest float; the row is found by its bits.
 */
static QvFactors
factors_of(const float *r, uint32_t code_ndims, uint32_t nset)
{
	QvFactors	factors;
	double		norm = sqrt(qv_kernels()->dot_f32(r, r, code_ndims));
	double		inv_x0 = norm * sqrt((double) code_ndims) / sum_of_magnitudes(r, code_ndims);

	if (!(inv_x0 >= 1.0 && inv_x0 < INFINITY))
		inv_x0 = norm > 0.0 ? INV_X0_TYPICAL : 1.0;
	inv_x0 = inv_x0 * INV_X0_STEPS + 0.5;
	factors.norm = norm < FLT_MAX ? (float) norm : FLT_MAX;
	factors.inv_x0 = inv_x0 < UINT16_MAX ? (uint16_t) inv_x0 : UINT16_MAX;
	factors.nset = (uint16_t) nset;
	return factors;
}

void
qv_rabitq_encode_signs(const QvRabitq *codec, const void *value, const float *r, uint8_t *slot)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	nbytes = codec->head.nbytes;
	QvFactors	factors;

	kernels->signs_f32(r, codec->code_ndims, slot);
	factors = factors_of(r, codec->code_ndims, kernels->popcount(slot, nbytes));
	memcpy(slot + nbytes, &factors, sizeof(factors));
	if (codec->head.metric == QV_METRIC_IP)
	{
		float		xc = (float) kernels->dot_f32(value, qv_centroid_of(codec), codec->head.ndims);

		memcpy(slot + nbytes + sizeof(factors), &xc, sizeof(xc));
	}
}

static void
rabitq_encode(const QvCodec *head, const void *value, uint8_t *slot, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) head;

	qv_rabitq_rotate(codec, value, scratch);
	qv_rabitq_encode_signs(codec, value, scratch, slot);
}

const char *
qv_rabitq_slot_fault(const QvCodec *head, const uint8_t *slot)
{
	QvFactors	factors;
	float		xc = 0.0f;

	memcpy(&factors, slot + head->nbytes, sizeof(factors));
	if (head->metric == QV_METRIC_IP)
		memcpy(&xc, slot + head->nbytes + sizeof(factors), sizeof(xc));
	if (factors.nset != qv_kernels()->popcount(slot, head->nbytes))
		return "count of set bits does not match the bits";
	if (!qv_is_finite_at_least_zero(factors.norm) || isnan(xc))
		return "factor is not a number a vector can have";
	if (factors.inv_x0 < INV_X0_STEPS)
		return "factor is smaller than any vector's";
	return NULL;
}

/* ---- from values to queries ---- */

void
qv_rabitq_residual(const QvCodec *head, const void *value, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	const QvKernels *kernels = qv_kernels();
	QvResidual *residual = scratch;
	uint32_t	n = codec->code_ndims;

	qv_rabitq_rotate(codec, value, residual->rotated);
	residual->sq = kernels->dot_f32(residual->rotated, residual->rotated, n);
	kernels->range_f32(residual->rotated, n, &residual->low, &residual->high);
}

bool
qv_rabitq_same_residual(const QvCodec *head, const QvCodec *other_head)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	const QvRabitq *other = (const QvRabitq *) other_head;

	return head->metric == other_head->metric && head->ndims == other_head->ndims && codec->seed == other->seed &&
		memcmp(qv_centroid_of(codec), qv_centroid_of(other), head->ndims * sizeof(float)) == 0;
}

static size_t
rabitq_query_nbytes(const QvCodec *head)
{
	return sizeof(QvRabitqQuery) + 4 * (size_t) head->nbytes;
}

/* What the metric makes of norms and inner products (README.md, "Estimates"). */
QvWeights
qv_rabitq_weights(const QvRabitq *codec, const float *value, double residual_sq)
{
	QvWeights	weights;

	switch (codec->head.metric)
	{
		case QV_METRIC_COSINE:
			weights.norm_weight = 0.5f;
			weights.ip_weight = -1.0f;
			weights.constant = (float) (0.5 * residual_sq);
			break;
		case QV_METRIC_IP:
			weights.norm_weight = 0.0f;
			weights.ip_weight = -1.0f;
			weights.constant = (float) (codec->centroid_sq -
										qv_kernels()->dot_f32(value, qv_centroid_of(codec), codec->head.ndims));
			break;
		default:				/* QV_METRIC_L2 */
			weights.norm_weight = 1.0f;
			weights.ip_weight = -2.0f;
			weights.constant = (float) residual_sq;
			break;
	}
	return weights;
}

static void
rabitq_query_init(QvQuery *head, const QvCodec *codec_head, const void *value, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) codec_head;
	QvRabitqQuery *query = (QvRabitqQuery *) head;
	QvEstimate *estimate = &query->estimate;
	uint32_t	n = codec->code_ndims;
	const QvKernels *kernels = qv_kernels();
	const QvResidual *residual = scratch;
	uint8_t    *level = (uint8_t *) scratch + sizeof(QvResidual) + n * sizeof(float);
	float		low = residual->low;
	float		step = (residual->high - low) / QUERY_MAX_LEVEL;
	double		unit = INV_X0_STEPS * sqrt((double) n);
	QvWeights	weights;
	double		weight;

	/* All numbers equal (a query at the centroid), or beyond float: the grid is one point. */
	if (step >= FLT_MIN && step <= FLT_MAX)
		estimate->level_sum = kernels->levels_f32(residual->rotated, n, low, 1.0f / step, QUERY_MAX_LEVEL, level);
	else
	{
		memset(level, 0, n);
		estimate->level_sum = 0;
		step = 0.0f;
	}
	for (int j = 0; j < 4; j++)
		kernels->bits_u8(level, n, j, query->planes + (size_t) j * (n / 8));

	weights = qv_rabitq_weights(codec, value, residual->sq);
	estimate->constant = weights.constant;
	estimate->norm_weight = weights.norm_weight;
	estimate->ip_weight = weights.ip_weight;
	estimate->nbits = (int32_t) n;
	estimate->step = (float) (step / unit);
	estimate->low = (float) (low / unit);
	weight = (double) weights.ip_weight * weights.ip_weight;
	query->error_sign = (float) (weight * residual->sq / (n - 1));
	query->error_round = (float) (weight * step * step / 12.0);
}

/* ---- distances ---- */

static void
load_factors(QvMetric metric, size_t nbytes, QvSlots run, int n, FactorBatch *batch)
{
	for (int i = 0; i < n; i++)
	{
		QvFactors	factors;

		memcpy(&factors, qv_slot_at(run, i) + nbytes, sizeof(factors));
		batch->norm[i] = factors.norm;
		batch->xc[i] = 0.0f;
	}
	if (metric == QV_METRIC_IP)
	{
		for (int i = 0; i < n; i++)
			memcpy(&batch->xc[i], qv_slot_at(run, i) + nbytes + sizeof(QvFactors), sizeof(float));
	}
}

static void
rabitq_score(const QvQuery *head, QvSlots run, int n, float *dist)
{
	const QvRabitqQuery *query = (const QvRabitqQuery *) head;
	const QvKernels *kernels = qv_kernels();
	QvFactors	factors[QV_BATCH];
	float		xc[QV_BATCH];
	uint32_t	sum[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	for (int i = 0; i < n; i++)
		memcpy(&factors[i], qv_slot_at(run, i) + head->nbytes, sizeof(QvFactors));
	if (head->metric == QV_METRIC_IP)
	{
		for (int i = 0; i < n; i++)
			memcpy(&xc[i], qv_slot_at(run, i) + head->nbytes + sizeof(QvFactors), sizeof(float));
	}
	if (run.slots != NULL)
		kernels->planes4_many(query->planes, run.slots, n, head->nbytes, sum);
	else
		kernels->planes4_strided(query->planes, run.base, run.stride, n, head->nbytes, sum);
	kernels->estimate(&query->estimate, sum, factors, head->metric == QV_METRIC_IP ? xc : NULL, n, dist);
}

static float
rabitq_error(const QvQuery *head, const uint8_t *slot)
{
	const QvRabitqQuery *query = (const QvRabitqQuery *) head;
	QvFactors	factors;
	double		inv_x0_sq;
	double		variance;

	memcpy(&factors, slot + head->nbytes, sizeof(factors));
	inv_x0_sq = (double) factors.inv_x0 * factors.inv_x0 / ((double) INV_X0_STEPS * INV_X0_STEPS);
	variance = query->error_sign * (inv_x0_sq - 1.0) + query->error_round * inv_x0_sq;
	return qv_clamp_finite((float) (factors.norm * sqrt(variance > 0.0 ? variance : 0.0)));
}

/* sqrt(M^2 - |x|^2), the coordinate that gives every vector the norm M; 0 for those beyond the sample's largest. */
static inline float
augment(const QvRabitq *codec, float norm, float xc)
{
	float		left = codec->max_norm_sq - (norm * norm + 2.0f * xc - codec->centroid_sq);

	return sqrtf(left > 0.0f ? left : 0.0f);
}

/* Distances of one slot, number at of a batch of factors, to others at known Hamming distances. */
static void
pair_distances(const QvRabitq *codec, const FactorBatch *one, int at, const FactorBatch *others, int n, const uint32_t *hamming, float *dist)
{
	QvMetric	metric = codec->head.metric;
	const float *cosines = qv_cosines_of(codec);
	float		scale = metric == QV_METRIC_COSINE ? 0.5f : 1.0f;
	float		norm = one->norm[at];

	for (int i = 0; i < n; i++)
	{
		float		other = others->norm[i];

		QV_ASSERT(hamming[i] <= codec->code_ndims);
		dist[i] = scale * (norm * norm + other * other) - 2.0f * scale * cosines[hamming[i]] * (norm * other);
	}
	if (metric == QV_METRIC_IP)
	{
		float		extra = augment(codec, norm, one->xc[at]);

		for (int i = 0; i < n; i++)
		{
			float		d = extra - augment(codec, others->norm[i], others->xc[i]);

			dist[i] += d * d;
		}
	}
	for (int i = 0; i < n; i++)
		dist[i] = qv_clamp_finite(dist[i]);
}

void
qv_rabitq_pair(const QvCodec *head, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	const QvKernels *kernels = qv_kernels();
	FactorBatch one;
	FactorBatch batch;
	uint32_t	hamming[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (run.slots != NULL)
		kernels->hamming_many(slot, run.slots, n, head->nbytes, hamming);
	else
		kernels->hamming_strided(slot, run.base, run.stride, n, head->nbytes, hamming);
	load_factors(head->metric, head->nbytes, (QvSlots) {NULL, slot, 0}, 1, &one);
	load_factors(head->metric, head->nbytes, run, n, &batch);
	pair_distances((const QvRabitq *) head, &one, 0, &batch, n, hamming, dist);
}

void
qv_rabitq_pair_block(const QvCodec *head, const QvSlotBlock *block, float *dist, size_t dist_stride)
{
	FactorBatch rows;
	FactorBatch batch;
	uint32_t	hamming[QV_BLOCK_NROWS * QV_BATCH];

	QV_ASSERT(block->nrows <= QV_BLOCK_NROWS && block->n >= 0 && block->n <= QV_BATCH);
	qv_kernels()->hamming_block(block->rows, block->nrows, block->base, block->stride, block->n, head->nbytes, hamming);
	load_factors(head->metric, head->nbytes, (QvSlots) {NULL, block->rows, block->stride}, block->nrows, &rows);
	load_factors(head->metric, head->nbytes, (QvSlots) {NULL, block->base, block->stride}, block->n, &batch);
	for (int i = 0; i < block->nrows; i++)
		pair_distances((const QvRabitq *) head, &rows, i, &batch, block->n, hamming + i * block->n, dist + dist_stride * (size_t) i);
}

float
qv_rabitq_norm2(const uint8_t *slot, uint32_t nbytes)
{
	QvFactors	factors;

	memcpy(&factors, slot + nbytes, sizeof(factors));
	return qv_clamp_finite(factors.norm * factors.norm);
}

const QvCodeOps qv_rabitq_ops = {
	.params_fault = qv_rabitq_params_fault,
	.codec_nbytes = qv_rabitq_codec_nbytes,
	.code_nbits = qv_rabitq_code_nbits,
	.slot_nbytes = qv_rabitq_slot_nbytes,
	.init = qv_rabitq_init,
	.scratch_nbytes = rabitq_scratch_nbytes,
	.encode = rabitq_encode,
	.slot_fault = qv_rabitq_slot_fault,
	.pair = qv_rabitq_pair,
	.pair_block = qv_rabitq_pair_block,
	.norm2 = qv_rabitq_norm2,
	.residual = qv_rabitq_residual,
	.same_residual = qv_rabitq_same_residual,
	.query_nbytes = rabitq_query_nbytes,
	.query_init = rabitq_query_init,
	.score = rabitq_score,
	.sweep = NULL,				/* by score */
	.error = rabitq_error,
};
