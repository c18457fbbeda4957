/*
 * finer_query.c
 *		Queries, estimates and their error for codes of 2, 4, 8 and 16 bits a dimension.
 *
 * ESTIMATES.md, "Estimates" and "More bits", has the formulas.  Must not know where a slot lies.
 */
#include <math.h>
#include <string.h>

#include "codec/finer.h"
#include "kernel/kernel.h"

#define QUERY_MAX_LEVEL		255		/* against bit planes: eight planes */
#define FLOAT_ROUNDING		0x1p-22	/* of every term of an estimate: measured, 68 % of floats and more lie within */

size_t
qv_finer_query_nbytes(const QvCodec *head)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	size_t		n = codec->code_ndims;

	return sizeof(QvFinerQuery) + (qv_finer_has_planes(head->nbits) ? n : head->nbits == 8 ? 2 * n : n * sizeof(float));
}

/* 1 / step, or 0 where all numbers are equal or beyond float, and so the grid is one point. */
static inline float
per_usable_step(float step)
{
	return step >= FLT_MIN && step <= FLT_MAX ? 1.0f / step : 0.0f;
}

/* |q' - what its levels stand for|, rounded up; lanes spelled out, as in rabitq.c. */
static float
lost_to_levels(const QvResidual *residual, uint32_t n, float step, const uint8_t *level)
{
	double		lane[8] = {0};
	double		sum = 0.0;

	for (uint32_t i = 0; i < n; i += 8)
	{
		for (int j = 0; j < 8; j++)
		{
			double		d = residual->rotated[i + j] - (residual->low + (double) step * level[i + j]);

			lane[j] += d * d;
		}
	}
	for (int j = 0; j < 8; j++)
		sum += lane[j];
	return (float) (sqrt(sum) * (1.0 + FLOAT_ROUNDING));
}

/* Eight planes on a grid over the range of q'; returns the step, 0 where all levels are. */
static float
prepare_planes(QvFinerQuery *query, const QvResidual *residual, uint8_t *level)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = query->code_ndims;
	float		step = (residual->high - residual->low) / QUERY_MAX_LEVEL;
	float		per_step = per_usable_step(step);

	if (per_step > 0.0f)
		query->level_sum = kernels->levels_f32(residual->rotated, n, residual->low, per_step, QUERY_MAX_LEVEL, level);
	else
	{
		memset(level, 0, n);
		step = 0.0f;
	}
	for (int j = 0; j < 8; j++)
		kernels->bits_u8(level, n, j, query->bytes + (size_t) j * (n / 8));
	query->step = 0.5f * step;
	query->low = 0.5f * residual->low;
	query->lost = lost_to_levels(residual, n, step, level);
	return step;
}

/* Words, as two runs of signed bytes; returns the step. */
static float
prepare_words(QvFinerQuery *query, const QvResidual *residual)
{
	uint32_t	n = query->code_ndims;
	int8_t	   *high_bytes = (int8_t *) query->bytes;
	float		max = residual->high > -residual->low ? residual->high : -residual->low;
	float		step = max / QV_MAX_WORD;
	float		per_step = per_usable_step(step);
	int32_t		sum = qv_kernels()->words_f32(residual->rotated, n, per_step, high_bytes, high_bytes + n);

	query->step = per_step > 0.0f ? step : 0.0f;
	query->low = 0.5f * query->step * (float) sum;	/* y is the signed byte and a half */
	/* half a step, and the rounding of what is a step's multiple; all of it where there is no step */
	query->lost = (float) (query->step > 0.0f ? 0.502 * query->step * sqrt((double) n) : sqrt(residual->sq) * (1.0 + FLOAT_ROUNDING));
	return query->step;
}

void
qv_finer_query_init(QvQuery *head, const QvCodec *codec_head, const void *value, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) codec_head;
	QvFinerQuery *query = (QvFinerQuery *) head;
	const QvResidual *residual = scratch;
	uint32_t	n = codec->code_ndims;
	float		step = 0.0f;
	double		weight;

	query->map = qv_finer_map_of(codec);
	query->code_ndims = n;
	query->level_sum = 0;
	query->step = 1.0f;
	query->low = 0.0f;
	query->lost = 0.0f;
	if (qv_finer_has_planes(head->nbits))
		step = prepare_planes(query, residual, (uint8_t *) scratch + sizeof(QvResidual) + n * sizeof(float));
	else if (head->nbits == 8)
		step = prepare_words(query, residual);
	else
		memcpy(query->bytes, residual->rotated, n * sizeof(float));

	query->length = head->metric == QV_METRIC_COSINE ? 1.0f : (float) sqrt(qv_kernels()->dot_f32(value, value, codec->head.ndims));
	qv_centres_terms(codec, residual, &query->terms);
	query->weights = qv_rabitq_weights(head->metric);
	weight = (double) query->weights.ip_weight * query->weights.ip_weight;
	query->error_code = (float) weight;
	query->error_round = (float) (weight * step * step / 12.0);
	query->norm = (float) sqrt(residual->sq);
}

/* ---- distances ---- */

/* The parts of a batch of slots at an offset; moved has room for their pointers. */
static QvSlots
parts_at(QvSlots run, int n, size_t offset, const uint8_t **moved)
{
	if (run.slots == NULL)
		return (QvSlots) {NULL, run.base + offset, run.stride};
	for (int i = 0; i < n; i++)
		moved[i] = run.slots[i] + offset;
	return (QvSlots) {moved, NULL, 0};
}

static void
score_planes(const uint8_t *planes, QvSlots run, int n, size_t nbytes, uint32_t *sum)
{
	if (run.slots != NULL)
		qv_kernels()->planes4_many(planes, run.slots, n, nbytes, sum);
	else
		qv_kernels()->planes4_strided(planes, run.base, run.stride, n, nbytes, sum);
}

/* <y,q'> from the planes of code and query; every sum is below 15 * 255 * D < 2^31. */
static void
dot_planes(const QvFinerQuery *query, QvSlots run, int n, float *dot)
{
	size_t		nbytes = query->head.nbytes;
	int32_t		nlevels = (1 << query->head.nbits) - 1;
	const uint8_t *moved[QV_BATCH];
	uint32_t	low[QV_BATCH];
	uint32_t	high[QV_BATCH];
	uint32_t	sum[QV_BATCH] = {0};

	for (uint32_t j = 0; j < query->head.nbits; j++)
	{
		size_t		offset = j == 0 ? query->map.top_plane : query->map.code + (j - 1) * nbytes;
		QvSlots		plane = parts_at(run, n, offset, moved);

		score_planes(query->bytes, plane, n, nbytes, low);
		score_planes(query->bytes + 4 * nbytes, plane, n, nbytes, high);
		for (int i = 0; i < n; i++)
			sum[i] = 2 * sum[i] + low[i] + 16 * high[i];
	}
	for (int i = 0; i < n; i++)
	{
		int32_t		excess;

		memcpy(&excess, qv_slot_at(run, i) + query->map.factors + offsetof(QvFinerFactors, excess), sizeof(excess));
		dot[i] = query->step * (float) (2 * (int32_t) sum[i] - nlevels * query->level_sum) + query->low * (float) excess;
	}
}

static void
score_bytes(const int8_t *bytes, QvSlots run, int n, size_t ndims, int32_t *dot)
{
	if (run.slots != NULL)
		qv_kernels()->dot_i8_many(bytes, run.slots, n, ndims, dot);
	else
		qv_kernels()->dot_i8_strided(bytes, run.base, run.stride, n, ndims, dot);
}

static void
dot_bytes(const QvFinerQuery *query, QvSlots run, int n, float *dot)
{
	const int8_t *bytes = (const int8_t *) query->bytes;
	const uint8_t *moved[QV_BATCH];
	QvSlots		code = parts_at(run, n, query->map.code, moved);
	int32_t		high[QV_BATCH];
	int32_t		low[QV_BATCH];

	score_bytes(bytes, code, n, query->code_ndims, high);
	score_bytes(bytes + query->code_ndims, code, n, query->code_ndims, low);
	for (int i = 0; i < n; i++)
		dot[i] = (float) (query->step * (128.0 * high[i] + low[i])) + query->low;
}

static void
dot_halves(const QvFinerQuery *query, QvSlots run, int n, float *dot)
{
	const QvKernels *kernels = qv_kernels();
	const float *rotated = (const float *) (const void *) query->bytes;

	for (int i = 0; i < n; i++)
	{
		const void *code = qv_slot_at(run, i) + query->map.code;

		dot[i] = kernels->fast_dot_f16(rotated, code, query->code_ndims);
	}
}

void
qv_finer_score(const QvQuery *head, QvSlots run, int n, float *dist)
{
	const QvFinerQuery *query = (const QvFinerQuery *) head;
	const QvFinerMap *map = &query->map;
	float		dot[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (qv_finer_has_planes(head->nbits))
		dot_planes(query, run, n, dot);
	else if (head->nbits == 8)
		dot_bytes(query, run, n, dot);
	else
		dot_halves(query, run, n, dot);

	for (int i = 0; i < n; i++)
	{
		const uint8_t *slot = qv_slot_at(run, i);
		QvAnchor	anchor = qv_finer_anchor(map, slot);
		const QvTerm *term = qv_term_of(&query->terms, anchor.centre);
		float		norm;
		float		scale;

		memcpy(&norm, slot + map->norm, sizeof(norm));
		memcpy(&scale, slot + map->factors, sizeof(scale));
		dist[i] = qv_distance_of(&query->weights, norm, scale * dot[i] + (term->addend + term->slope * anchor.offset));
	}
}

float
qv_finer_error(const QvQuery *head, const uint8_t *slot)
{
	const QvFinerQuery *query = (const QvFinerQuery *) head;
	const QvFinerMap *map = &query->map;
	const QvWeights *weights = &query->weights;
	QvAnchor	anchor = qv_finer_anchor(map, slot);
	const QvTerm *term = qv_term_of(&query->terms, anchor.centre);
	QvFinerFactors factors = {0};
	float		norm;
	double		added = fabs((double) term->addend) + fabs((double) term->slope * anchor.offset);
	double		error_sq;
	double		norm_sq;
	double		rounding;
	double		variance;

	memcpy(&factors, slot + map->factors, map->nfactor_nbytes);
	memcpy(&norm, slot + map->norm, sizeof(norm));
	error_sq = (double) factors.error * factors.error;
	norm_sq = (double) norm * norm;
	rounding = FLOAT_ROUNDING * (weights->norm_weight * norm_sq + fabs((double) weights->ip_weight) * (fabs((double) norm) * query->norm + added));
	variance = (double) query->error_code * term->sq * error_sq / (query->code_ndims - 1) + query->error_round * (norm_sq + error_sq) + rounding * rounding;
	return qv_clamp_finite((float) sqrt(variance));
}
