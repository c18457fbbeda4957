/*
 * rabitq.h
 *		What the files of kind RABITQ share: the codec with its centres, the sign plane with
 *		its factors, and what a metric makes of norms and inner products.
 *
 * Private to rabitq*.c (one bit a dimension), centres.c and finer*.c (more).  See README.md,
 * "Slots", "Centres" and "Estimates".
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

/* What a slot knows of its centre; members and order are the format. */
typedef struct QvAnchor
{
	float		offset;			/* README.md, "Centres" */
	uint16_t	centre;			/* its number */
	uint16_t	zero;
} QvAnchor;

_Static_assert(sizeof(QvAnchor) == 8, "QvAnchor is an on-disk layout");

/* Bytes behind the sign plane of a slot that is paired. */
#define QV_SIGN_FACTORS_NBYTES	(sizeof(QvFactors) + sizeof(QvAnchor))

/* A centre g = P(c - c0), where c0 is the centroid; the numbers beside its D floats and its 8 planes of levels. */
typedef struct QvCentre
{
	float		sq;				/* |g|^2 */
	float		low;			/* g_i is about low + step * level_i */
	float		step;
	int32_t		level_sum;
} QvCentre;

typedef struct QvRabitq
{
	QvCodec		head;
	QvCodecPurpose purpose;
	uint32_t	code_ndims;		/* D: coordinates after padding, and bits of a plane */
	uint32_t	ncentres;		/* besides the centroid */
	uint64_t	seed;			/* of the rotation */
	float		floats[];		/* centroid, rotation, cosines, then of the centres floats, numbers, planes: see the functions below */
} QvRabitq;

/* What a query is made of, whatever its width: the beginning of its scratch. */
typedef struct QvResidual
{
	double		sq;				/* |q'|^2 */
	float		low;			/* smallest and largest coordinate */
	float		high;
	_Alignas(64) float rotated[];	/* q', D floats */
} QvResidual;

/* distance = norm_weight * norm^2 + ip_weight * (<r,q'> + what the centre adds) */
typedef struct QvWeights
{
	float		norm_weight;
	float		ip_weight;
} QvWeights;

/* What a query makes of one centre: a code's inner product gets addend + slope * offset. */
typedef struct QvTerm
{
	float		addend;
	float		slope;
	float		sq;				/* |q' - slope * g|^2: the length that the error of an estimate grows with */
	float		slack;			/* by which rounding may have put sq, and addend, wrong, at most */
	float		g_norm;			/* |g| */
} QvTerm;

/* Those of all centres that a codec knows. */
typedef struct QvTerms
{
	uint32_t	n;
	QvTerm		of[QV_MAX_CENTRES + 1];
} QvTerms;

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

/* Element 0 of as many arrays of D floats as there are centres: those of centre 1. */
static inline const float *
qv_centre_floats(const QvRabitq *codec)
{
	return qv_cosines_of(codec) + codec->code_ndims + 1;
}

static inline const QvCentre *
qv_centre_numbers(const QvRabitq *codec)
{
	return (const QvCentre *) (qv_centre_floats(codec) + (size_t) codec->ncentres * codec->code_ndims);
}

/* Eight planes of D bits each, the lowest first. */
static inline const uint8_t *
qv_centre_planes(const QvRabitq *codec)
{
	return (const uint8_t *) (qv_centre_numbers(codec) + codec->ncentres);
}

/* Centre k > 0, D floats. */
static inline const float *
qv_centre_at(const QvRabitq *codec, uint32_t k)
{
	return qv_centre_floats(codec) + (size_t) (k - 1) * codec->code_ndims;
}

/* A page may hold anything, and a code may be newer than the codec: then centre 0 stands in for its centre. */
static inline const QvTerm *
qv_term_of(const QvTerms *terms, uint32_t centre)
{
	return &terms->of[centre < terms->n ? centre : 0];
}

static inline bool
qv_is_finite_at_least_zero(float x)
{
	return x >= 0.0f && x <= FLT_MAX;
}

static inline float
qv_distance_of(const QvWeights *weights, float norm, float ip)
{
	return qv_clamp_finite(weights->norm_weight * norm * norm + weights->ip_weight * ip);
}

/* ---- centres.c ---- */

extern size_t qv_centres_nbytes(const QvCodecParams *params, uint32_t code_ndims);
/* Rotate the centres of the parameters; everything before them is there. */
extern void qv_centres_init(QvRabitq *codec, const QvCodecParams *params);
/* Turn r = P(x - c0) into P(x - c) of the nearest centre c of the first ncentres, and return the number of that. */
extern uint32_t qv_centres_leave(const QvRabitq *codec, uint32_t ncentres, float *r);
/*
 * What a slot keeps: y_g is weight * <y,g> of what stands for r, D floats, in it.  centre 0 keeps nothing.
 */
extern QvAnchor qv_centres_anchor(const QvRabitq *codec, uint32_t centre, const float *r, double y_g);
/* What a query of this residual makes of each centre. */
extern void qv_centres_terms(const QvRabitq *codec, const QvResidual *residual, QvTerms *terms);

/* ---- rabitq.c ---- */

/* As the operations of kinds.h have them; of slots, the first part: sign plane, QvFactors, QvAnchor. */
extern const char *qv_rabitq_params_fault(const QvCodecParams *params);
extern size_t qv_rabitq_codec_nbytes(const QvCodecParams *params);
extern uint32_t qv_rabitq_code_nbits(const QvCodecParams *params);
extern size_t qv_rabitq_slot_nbytes(const QvCodecParams *params);
extern void qv_rabitq_init(QvCodec *head, const QvCodecParams *params);
extern void qv_rabitq_residual(const QvCodec *head, const void *value, void *scratch);
extern bool qv_rabitq_same_residual(const QvCodec *head, const QvCodec *other);
extern const char *qv_rabitq_slot_fault(const QvCodec *head, const uint8_t *slot);

/* |r|^2, and the number of the centre, from what stands behind a sign plane of nbytes. */
extern float qv_rabitq_norm2(const uint8_t *slot, uint32_t nbytes);
extern uint32_t qv_rabitq_centre(const uint8_t *slot, uint32_t nbytes);

/* P(x - c0) into r, D floats; x is normalised first under cosine, and a zero vector stays one. */
extern void qv_rabitq_rotate(const QvRabitq *codec, const float *value, float *r);
/* The first part of a slot, of r = P(x - c) and the number of c. */
extern void qv_rabitq_encode_signs(const QvRabitq *codec, const float *r, uint32_t centre, uint8_t *slot);
/* Is this what an encoder writes of a centre? */
extern bool qv_rabitq_anchor_is_sound(const uint8_t *anchor);

/* What the metric makes of norms and inner products. */
extern QvWeights qv_rabitq_weights(QvMetric metric);

/* ---- rabitq_pair.c ---- */

extern void qv_rabitq_pair(const QvCodec *head, const uint8_t *slot, QvSlots run, int n, float *dist);
extern void qv_rabitq_pair_block(const QvCodec *head, const QvSlotBlock *block, float *dist, size_t dist_stride);

#endif							/* QV_CODEC_RABITQ_H */
