/*
 * centres.c
 *		The centres that codes of kind RABITQ are measured from: the nearest of a value, and what
 *		a query makes of each.
 *
 * Formulas: README.md, "Centres".  Must not know where centres come from (training.c), nor how a
 * code is scored.
 */
#include <math.h>
#include <string.h>

#include "codec/rabitq.h"
#include "kernel/kernel.h"

#define CENTRE_NPLANES		8
#define CENTRE_MAX_LEVEL	255

/*
 * A query this much nearer to a centre than both are to the centroid (in squares) has its distance computed anew, without
 * the rounding of two large numbers.
 */
#define NEAR_SHARE			0.25

size_t
qv_centres_nbytes(const QvCodecParams *params, uint32_t code_ndims)
{
	return (size_t) params->ncentres * (code_ndims * sizeof(float) + sizeof(QvCentre) + CENTRE_NPLANES * (code_ndims / 8));
}

/* Planes of levels for pairs; level has room for D bytes. */
static void
make_planes(const QvRabitq *codec, const float *g, QvCentre *centre, uint8_t *level, uint8_t *planes)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = codec->code_ndims;
	float		high;

	kernels->range_f32(g, n, &centre->low, &high);
	centre->step = (high - centre->low) / CENTRE_MAX_LEVEL;
	centre->level_sum = 0;
	if (centre->step >= FLT_MIN && centre->step <= FLT_MAX)
		centre->level_sum = kernels->levels_f32(g, n, centre->low, 1.0f / centre->step, CENTRE_MAX_LEVEL, level);
	else
	{
		memset(level, 0, n);
		centre->step = 0.0f;
	}
	for (int j = 0; j < CENTRE_NPLANES; j++)
		kernels->bits_u8(level, n, j, planes + (size_t) j * (n / 8));
}

void
qv_centres_init(QvRabitq *codec, const QvCodecParams *params)
{
	uint32_t	n = codec->code_ndims;
	uint8_t		level[QV_RABITQ_MAX_NDIMS + 64];
	float	   *g;
	QvCentre   *numbers;
	uint8_t    *planes;

	QV_ASSERT(n <= sizeof(level));
	codec->ncentres = params->ncentres;
	g = (float *) qv_centre_floats(codec);
	numbers = (QvCentre *) qv_centre_numbers(codec);
	planes = (uint8_t *) qv_centre_planes(codec);
	for (uint32_t k = 0; k < params->ncentres; k++, g += n, planes += (size_t) n / 8 * CENTRE_NPLANES)
	{
		qv_kernels()->residual_f32(params->centres + (size_t) k * params->ndims, 1.0, qv_centroid_of(codec), params->ndims, g);
		memset(g + params->ndims, 0, (n - params->ndims) * sizeof(float));
		qv_rotation_apply(qv_rotation_of(codec), n, g);
		numbers[k].sq = qv_clamp_finite((float) qv_kernels()->dot_f32(g, g, n));
		make_planes(codec, g, &numbers[k], level, planes);
	}
}

uint32_t
qv_centres_leave(const QvRabitq *codec, uint32_t ncentres, float *r)
{
	const QvCentre *numbers = qv_centre_numbers(codec);
	const float *g;
	uint32_t	nearest = 0;
	float		best = 0.0f;	/* |r - g|^2 - |r|^2 */

	QV_ASSERT(ncentres <= codec->ncentres);
	for (uint32_t k = 1; k <= ncentres; k++)
	{
		float		this = numbers[k - 1].sq - 2.0f * qv_kernels()->fast_dot_f32(r, qv_centre_at(codec, k), codec->code_ndims);

		if (this < best)
		{
			best = this;
			nearest = k;
		}
	}
	if (nearest == 0)
		return 0;
	g = qv_centre_at(codec, nearest);
	for (uint32_t i = 0; i < codec->code_ndims; i++)
		r[i] -= g[i];
	return nearest;
}

QvAnchor
qv_centres_anchor(const QvRabitq *codec, uint32_t centre, const float *r, double y_g)
{
	QvAnchor	anchor = {.centre = (uint16_t) centre};
	double		offset = -y_g;

	if (centre == 0)
		return anchor;
	if (codec->head.metric == QV_METRIC_IP)
		offset += qv_kernels()->dot_f32(r, qv_centre_at(codec, centre), codec->code_ndims);
	anchor.offset = isnan(offset) ? 0.0f : qv_clamp_finite((float) offset);
	return anchor;
}

/* Of a centre k > 0. */
static QvTerm
term_of(const QvRabitq *codec, const QvResidual *residual, uint32_t k)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = codec->code_ndims;
	const float *g = qv_centre_at(codec, k);
	double		g_sq = qv_centre_numbers(codec)[k - 1].sq;
	double		dot = kernels->fast_dot_f32(residual->rotated, g, n);
	double		dot_slack = qv_fast_sum_slack(n);
	double		slack;
	double		sq;

	if (codec->head.metric == QV_METRIC_IP)
	{
		/* the part of the query that is along the centre is known exactly, whatever the query's length */
		double		slope = g_sq > 0.0 ? dot / g_sq : 0.0;

		sq = residual->sq - slope * dot;
		slack = 4.0 * dot_slack * sqrt(residual->sq) * fmax(sqrt(residual->sq), sqrt(g_sq));
		return (QvTerm) {(float) dot, (float) slope, (float) (sq > 0.0 ? sq : 0.0), (float) slack, (float) sqrt(g_sq)};
	}
	sq = residual->sq + g_sq - 2.0 * dot;
	slack = 4.0 * dot_slack * sqrt(residual->sq * g_sq);
	if (!(sq > NEAR_SHARE * (residual->sq + g_sq)))
	{
		sq = kernels->l2sq_f32(residual->rotated, g, n);
		slack = 0.0;
	}
	return (QvTerm) {(float) (-0.5 * sq), 1.0f, (float) sq, (float) (slack + FLT_EPSILON * sq), (float) sqrt(g_sq)};
}

void
qv_centres_terms(const QvRabitq *codec, const QvResidual *residual, QvTerms *terms)
{
	float		sq = (float) residual->sq;

	terms->n = codec->ncentres + 1;
	terms->of[0] = (QvTerm) {codec->head.metric == QV_METRIC_IP ? 0.0f : -0.5f * sq, 0.0f, sq, FLT_EPSILON * sq, 0.0f};
	for (uint32_t k = 1; k <= codec->ncentres; k++)
		terms->of[k] = term_of(codec, residual, k);
}
