/*
 * rabitq.c
 *		Kind RABITQ, one bit a dimension of the centred and rotated vector, with
 *		the factors that turn counted bits into an unbiased estimate.
 *
 * Source: RaBitQ (arXiv 2405.12497).  Formulas, the slot's layout and where we
 * differ from the paper: README.md, "Slots", and ESTIMATES.md.  Must not know
 * pages, graphs or where a vector comes from.
 */
#include <math.h>
#include <string.h>

#include "codec/rabitq.h"
#include "codec/rotation.h"
#include "kernel/kernel.h"

#define INV_X0_TYPICAL	1.2533	/* sqrt(pi/2), that of a Gaussian vector */

/*
 * A query of 4 bits is as good as any where it is about as far from codes' centres as from the centroid; nearer to a centre
 * than NEAR_CENTRE times that, it is rounded too coarsely and takes 8 bits.  doc/decisions/0160.
 */
#define QUERY_NPLANES		4
#define QUERY_NPLANES_NEAR	8
#define NEAR_CENTRE			0.5f

typedef struct QvRabitqQuery
{
	QvQuery		head;
	QvEstimate	estimate;
	int			nplanes;		/* 4 or 8 */
	/* sigma = norm * sqrt(error_sign * |q' - slope g|^2 * (inv_x0^2 - 1) + error_round * inv_x0^2) */
	float		error_sign;
	float		error_round;
	QvTerms		terms;
	_Alignas(64) uint8_t planes[];
} QvRabitqQuery;

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
	if (params->ncentres > QV_MAX_CENTRES)
		return "number of centres is out of range";
	for (uint32_t i = 0; params->centroid != NULL && i < params->ndims; i++)
	{
		if (!isfinite(params->centroid[i]))
			return "centroid is not finite";
	}
	for (size_t i = 0; i < (size_t) params->ncentres * params->ndims; i++)
	{
		if (!isfinite(params->centres[i]))
			return "centre is not finite";
	}
	return NULL;
}

/* Centroid (D floats, zero padded), rotation, cosines (D + 1 floats), what belongs to the centres, in this order. */
size_t
qv_rabitq_codec_nbytes(const QvCodecParams *params)
{
	uint32_t	code_ndims = qv_rotation_ndims(params->ndims);

	return sizeof(QvRabitq) +
		(code_ndims + qv_rotation_nfloats(code_ndims) + code_ndims + 1) * sizeof(float) + qv_centres_nbytes(params, code_ndims);
}

uint32_t
qv_rabitq_code_nbits(const QvCodecParams *params)
{
	return qv_rotation_ndims(params->ndims);
}

size_t
qv_rabitq_slot_nbytes(const QvCodecParams *params)
{
	return qv_rotation_ndims(params->ndims) / 8 + QV_SIGN_FACTORS_NBYTES;
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
	/* an inner product is measured from the origin, so that a short query is rounded as a long one is */
	if (params->centroid != NULL && params->metric != QV_METRIC_IP)
		memcpy(centroid, params->centroid, params->ndims * sizeof(float));
	qv_rotation_init((float *) qv_rotation_of(codec), code_ndims, params->seed);
	cosines = (float *) qv_cosines_of(codec);
	for (uint32_t h = 0; h <= code_ndims; h++)
		cosines[h] = (float) cos(pi * h / code_ndims);
	qv_centres_init(codec, params);
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

/* The sum over i of g_i with the sign of r_i; lanes as above. */
static double
signed_sum(const float *r, const float *g, uint32_t n)
{
	double		lane[8] = {0};
	double		sum = 0.0;

	for (uint32_t i = 0; i < n; i += 8)
	{
		for (int j = 0; j < 8; j++)
			lane[j] += r[i + j] > 0 ? g[i + j] : -g[i + j];
	}
	for (int j = 0; j < 8; j++)
		sum += lane[j];
	return sum;
}

void
qv_rabitq_encode_signs(const QvRabitq *codec, const float *r, uint32_t centre, uint8_t *slot)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	nbytes = codec->head.nbytes;
	uint32_t	n = codec->code_ndims;
	double		y_g = 0.0;
	QvFactors	factors;
	QvAnchor	anchor;

	kernels->signs_f32(r, n, slot);
	factors = factors_of(r, n, kernels->popcount(slot, nbytes));
	/* the weight that an estimate gives the signs, as stored */
	if (centre > 0)
		y_g = factors.norm * ((double) factors.inv_x0 / INV_X0_STEPS) / sqrt((double) n) *
			signed_sum(r, qv_centre_at(codec, centre), n);
	anchor = qv_centres_anchor(codec, centre, r, y_g);
	memcpy(slot + nbytes, &factors, sizeof(factors));
	memcpy(slot + nbytes + sizeof(factors), &anchor, sizeof(anchor));
}

static void
rabitq_encode_older(const QvCodec *head, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	uint32_t	centre;

	qv_rabitq_rotate(codec, value, scratch);
	centre = qv_centres_leave(codec, ncentres, scratch);
	qv_rabitq_encode_signs(codec, scratch, centre, slot);
}

static void
rabitq_encode(const QvCodec *head, const void *value, uint8_t *slot, void *scratch)
{
	rabitq_encode_older(head, ((const QvRabitq *) head)->ncentres, value, slot, scratch);
}

bool
qv_rabitq_anchor_is_sound(const uint8_t *from)
{
	QvAnchor	anchor;

	memcpy(&anchor, from, sizeof(anchor));
	return !isnan(anchor.offset) && anchor.centre <= QV_MAX_CENTRES && anchor.zero == 0;
}

const char *
qv_rabitq_slot_fault(const QvCodec *head, const uint8_t *slot)
{
	QvFactors	factors;

	memcpy(&factors, slot + head->nbytes, sizeof(factors));
	if (factors.nset != qv_kernels()->popcount(slot, head->nbytes))
		return "count of set bits does not match the bits";
	if (!qv_is_finite_at_least_zero(factors.norm))
		return "factor is not a number a vector can have";
	if (factors.inv_x0 < INV_X0_STEPS)
		return "factor is smaller than any vector's";
	if (!qv_rabitq_anchor_is_sound(slot + head->nbytes + sizeof(factors)))
		return "centre is not one a vector can have";
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
	return sizeof(QvRabitqQuery) + QUERY_NPLANES_NEAR * (size_t) head->nbytes;
}

/* ESTIMATES.md, "Estimates". */
QvWeights
qv_rabitq_weights(QvMetric metric)
{
	switch (metric)
	{
		case QV_METRIC_COSINE:
			return (QvWeights) {0.5f, -1.0f};
		case QV_METRIC_IP:
			return (QvWeights) {0.0f, -1.0f};
		default:				/* QV_METRIC_L2 */
			return (QvWeights) {1.0f, -2.0f};
	}
}

/* Planes of bits that a query takes: more where it is much nearer to some centre than to the centroid. */
static int
nplanes_of(const QvTerms *terms)
{
	for (uint32_t k = 1; k < terms->n; k++)
	{
		if (terms->of[k].sq < NEAR_CENTRE * NEAR_CENTRE * terms->of[0].sq)
			return QUERY_NPLANES_NEAR;
	}
	return QUERY_NPLANES;
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
	QvWeights	weights = qv_rabitq_weights(head->metric);
	float		low = residual->low;
	double		unit = INV_X0_STEPS * sqrt((double) n);
	int			max_level;
	float		step;
	double		weight;

	(void) value;
	qv_centres_terms(codec, residual, &query->terms);
	query->nplanes = nplanes_of(&query->terms);
	max_level = (1 << query->nplanes) - 1;
	step = (residual->high - low) / (float) max_level;

	/* All numbers equal (a query at the centroid), or beyond float: the grid is one point. */
	if (step >= FLT_MIN && step <= FLT_MAX)
		estimate->level_sum = kernels->levels_f32(residual->rotated, n, low, 1.0f / step, max_level, level);
	else
	{
		memset(level, 0, n);
		estimate->level_sum = 0;
		step = 0.0f;
	}
	for (int j = 0; j < query->nplanes; j++)
		kernels->bits_u8(level, n, j, query->planes + (size_t) j * (n / 8));

	estimate->constant = 0.0f;	/* it is in the terms */
	estimate->norm_weight = weights.norm_weight;
	estimate->ip_weight = weights.ip_weight;
	estimate->nbits = (int32_t) n;
	estimate->step = (float) (step / unit);
	estimate->low = (float) (low / unit);
	weight = (double) weights.ip_weight * weights.ip_weight;
	query->error_sign = (float) (weight / (n - 1));
	query->error_round = (float) (weight * step * step / 12.0);
}

/* ---- distances ---- */

/* The sums over the planes of the query of what they share with each code. */
static void
count_planes(const QvRabitqQuery *query, QvSlots run, int n, uint32_t *sum)
{
	const QvKernels *kernels = qv_kernels();
	size_t		nbytes = query->head.nbytes;
	uint32_t	high[QV_BATCH];

	for (int j = 0; j < query->nplanes; j += 4)
	{
		const uint8_t *planes = query->planes + (size_t) j * nbytes;
		uint32_t   *out = j == 0 ? sum : high;

		if (run.slots != NULL)
			kernels->planes4_many(planes, run.slots, n, nbytes, out);
		else
			kernels->planes4_strided(planes, run.base, run.stride, n, nbytes, out);
	}
	for (int i = 0; query->nplanes > 4 && i < n; i++)
		sum[i] += 16 * high[i];
}

static void
rabitq_score(const QvQuery *head, QvSlots run, int n, float *dist)
{
	const QvRabitqQuery *query = (const QvRabitqQuery *) head;
	QvFactors	factors[QV_BATCH];
	float		added[QV_BATCH];
	uint32_t	sum[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	for (int i = 0; i < n; i++)
	{
		const uint8_t *from = qv_slot_at(run, i) + head->nbytes;
		QvAnchor	anchor;
		const QvTerm *term;

		memcpy(&factors[i], from, sizeof(QvFactors));
		memcpy(&anchor, from + sizeof(QvFactors), sizeof(anchor));
		term = qv_term_of(&query->terms, anchor.centre);
		added[i] = term->addend + term->slope * anchor.offset;
	}
	count_planes(query, run, n, sum);
	qv_kernels()->estimate(&query->estimate, sum, factors, added, n, dist);
}

static float
rabitq_error(const QvQuery *head, const uint8_t *slot)
{
	const QvRabitqQuery *query = (const QvRabitqQuery *) head;
	QvFactors	factors;
	double		inv_x0_sq;
	double		variance;
	float		sq = qv_term_of(&query->terms, qv_rabitq_centre(slot, head->nbytes))->sq;

	memcpy(&factors, slot + head->nbytes, sizeof(factors));
	inv_x0_sq = (double) factors.inv_x0 * factors.inv_x0 / ((double) INV_X0_STEPS * INV_X0_STEPS);
	variance = (double) query->error_sign * sq * (inv_x0_sq - 1.0) + query->error_round * inv_x0_sq;
	return qv_clamp_finite((float) (factors.norm * sqrt(variance > 0.0 ? variance : 0.0)));
}

float
qv_rabitq_norm2(const uint8_t *slot, uint32_t nbytes)
{
	QvFactors	factors;

	memcpy(&factors, slot + nbytes, sizeof(factors));
	return qv_clamp_finite(factors.norm * factors.norm);
}

uint32_t
qv_rabitq_centre(const uint8_t *slot, uint32_t nbytes)
{
	QvAnchor	anchor;

	memcpy(&anchor, slot + nbytes + sizeof(QvFactors), sizeof(anchor));
	return anchor.centre;
}

const QvCodeOps qv_rabitq_ops = {
	.params_fault = qv_rabitq_params_fault,
	.codec_nbytes = qv_rabitq_codec_nbytes,
	.code_nbits = qv_rabitq_code_nbits,
	.slot_nbytes = qv_rabitq_slot_nbytes,
	.init = qv_rabitq_init,
	.scratch_nbytes = rabitq_scratch_nbytes,
	.encode = rabitq_encode,
	.encode_older = rabitq_encode_older,
	.slot_fault = qv_rabitq_slot_fault,
	.pair = qv_rabitq_pair,
	.pair_block = qv_rabitq_pair_block,
	.norm2 = qv_rabitq_norm2,
	.centre = qv_rabitq_centre,
	.residual = qv_rabitq_residual,
	.same_residual = qv_rabitq_same_residual,
	.query_nbytes = rabitq_query_nbytes,
	.query_init = rabitq_query_init,
	.score = rabitq_score,
	.sweep = NULL,				/* by score */
	.error = rabitq_error,
};
