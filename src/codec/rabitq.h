/*
 * rabitq.h
 *		What the two files of kind RABITQ share: the codec, the sign plane with
 *		its factors, and what a metric makes of norms and inner products.
 *
 * Private to rabitq.c (one bit a dimension) and finer.c (more).  See README.md,
 * "Slots" and "Estimates".
 */
#ifndef QV_CODEC_RABITQ_H
#define QV_CODEC_RABITQ_H

#include <float.h>

#include "codec/kinds.h"
#include "codec/rotation.h"

/*
 * 1/x0 is stored in steps of 1/4096 up to 16: rotated vectors have 1.25 or so,
 * which the step makes 0.01 % of an error against the estimate's own 0.6 % and more.
 */
#define INV_X0_STEPS	4096

_Static_assert(sizeof(QvFactors) == 8, "QvFactors is an on-disk layout");
_Static_assert(QV_RABITQ_MAX_NDIMS <= UINT16_MAX, "nset must hold every count");

typedef struct QvRabitq
{
	QvCodec		head;
	QvCodecPurpose purpose;
	uint32_t	code_ndims;		/* D: coordinates after padding, and bits of a plane */
	uint64_t	seed;			/* of the rotation */
	float		centroid_sq;	/* |c|^2 */
	float		max_norm_sq;	/* M^2, inner product only */
	float		floats[];		/* centroid, rotation, cosines: see the functions below */
} QvRabitq;

/* What a query is made of, whatever its width: the beginning of its scratch. */
typedef struct QvResidual
{
	double		sq;				/* |q'|^2 */
	float		low;			/* smallest and largest coordinate */
	float		high;
	_Alignas(64) float rotated[];	/* q', D floats */
} QvResidual;

/* distance = constant + norm_weight * norm^2 + ip_weight * (<r,q'> + <x,c>) */
typedef struct QvWeights
{
	float		constant;
	float		norm_weight;
	float		ip_weight;
} QvWeights;

static inline const float *
qv_centroid_of(const QvRabitq *codec)
{
	return codec->floats;
}

static inline const float *
qv_rotation_of(const QvRabitq *codec)
{
	return codec->floats + codec->code_ndims;
}

/* Element h: the cosine two vectors most likely have whose sign planes differ in h bits. */
static inline const float *
qv_cosines_of(const QvRabitq *codec)
{
	return qv_rotation_of(codec) + qv_rotation_nfloats(codec->code_ndims);
}

static inline bool
qv_is_finite_at_least_zero(float x)
{
	return x >= 0.0f && x <= FLT_MAX;
}

/* A page may hold anything; a graph search needs numbers that have an order, and keeps infinity for itself. */
static inline float
qv_clamp_finite(float x)
{
	x = x <= FLT_MAX ? x : FLT_MAX;
	return x >= -FLT_MAX ? x : -FLT_MAX;
}

static inline float
qv_distance_of(const QvWeights *weights, float norm, float ip)
{
	return qv_clamp_finite(weights->constant + weights->norm_weight * norm * norm + weights->ip_weight * ip);
}

/* As the operations of kinds.h have them; of slots, the first part: sign plane, QvFactors, <x,c>. */
extern const char *qv_rabitq_params_fault(const QvCodecParams *params);
extern size_t qv_rabitq_codec_nbytes(const QvCodecParams *params);
extern uint32_t qv_rabitq_code_nbits(const QvCodecParams *params);
extern size_t qv_rabitq_slot_nbytes(const QvCodecParams *params);
extern void qv_rabitq_init(QvCodec *head, const QvCodecParams *params);
extern void qv_rabitq_residual(const QvCodec *head, const void *value, void *scratch);
extern bool qv_rabitq_same_residual(const QvCodec *head, const QvCodec *other);
extern const char *qv_rabitq_slot_fault(const QvCodec *head, const uint8_t *slot);
extern void qv_rabitq_pair(const QvCodec *head, const uint8_t *slot, QvSlots run, int n, float *dist);
extern void qv_rabitq_pair_block(const QvCodec *head, const QvSlotBlock *block, float *dist, size_t dist_stride);

/* |r|^2, from the factors behind a sign plane of nbytes. */
extern float qv_rabitq_norm2(const uint8_t *slot, uint32_t nbytes);

/* P(x - c) into r, D floats; x is normalised first under cosine, and a zero vector stays one. */
extern void qv_rabitq_rotate(const QvRabitq *codec, const float *value, float *r);
/* The first part of a slot of value, whose P(x - c) is r. */
extern void qv_rabitq_encode_signs(const QvRabitq *codec, const void *value, const float *r, uint8_t *slot);

/* What the metric makes of norms and inner products; residual_sq is |q'|^2 of the query value. */
extern QvWeights qv_rabitq_weights(const QvRabitq *codec, const float *value, double residual_sq);

#endif							/* QV_CODEC_RABITQ_H */
