/*
 * finer.h
 *		What the files of kind RABITQ at 2 bits a dimension and more share: the slot and the query.
 *
 * Private to the files finer*.c.  README.md, "Slots" and "More bits".
 */
#ifndef QV_CODEC_FINER_H
#define QV_CODEC_FINER_H

#include <string.h>

#include "codec/rabitq.h"

/* The numbers of a slot that belong to its finer code; members and order are the format. */
typedef struct QvFinerFactors
{
	float		scale;			/* <r,q'> is scale * <y,q'> */
	float		error;			/* |r - scale * y|, rounded up */
	int32_t		excess;			/* twice the sum of y; only where planes hold the code */
} QvFinerFactors;

_Static_assert(sizeof(QvFinerFactors) == 12, "QvFinerFactors is an on-disk layout");

/* Byte offsets in a slot (README.md, "Slots"). */
typedef struct QvFinerMap
{
	uint32_t	norm;
	uint32_t	anchor;			/* QvAnchor: the number of the centre */
	uint32_t	offset;			/* of the finer code from it; where slots only refine, that of the anchor */
	uint32_t	factors;
	uint32_t	nfactor_nbytes; /* of QvFinerFactors so many are there */
	uint32_t	top_plane;		/* the sign plane, where planes hold the code */
	uint32_t	code;			/* the lower planes, or the numbers */
	uint32_t	nbytes;
} QvFinerMap;

typedef struct QvFinerQuery
{
	QvQuery		head;
	QvFinerMap	map;
	uint32_t	code_ndims;
	int32_t		level_sum;		/* planes: sum of the levels */
	/*
	 * <y,q'> = step * (2S - (2^nbits - 1) level_sum) + low * excess against
	 * planes, step * dot + low against signed bytes, dot against halves
	 */
	float		step;
	float		low;
	QvWeights	weights;
	/* sigma^2 = error_code * |q' - slope g|^2 * error^2 + error_round * (norm^2 + error^2) + (rounding of floats)^2 */
	float		error_code;
	float		error_round;
	float		norm;			/* |q'| */
	float		length;			/* |q|; under cosine 1 */
	float		lost;			/* |q' - what the planes or words stand for|, at most */
	QvTerms		terms;
	_Alignas(64) uint8_t bytes[];	/* planes, two runs of signed bytes, or floats */
} QvFinerQuery;

static inline bool
qv_finer_has_planes(uint32_t nbits)
{
	return nbits <= 4;
}

static inline QvFinerMap
qv_finer_map(QvCodecPurpose purpose, uint32_t nbits, uint32_t code_ndims)
{
	QvFinerMap	map = {0};
	uint32_t	plane_nbytes = code_ndims / 8;

	map.nfactor_nbytes = qv_finer_has_planes(nbits) ? 12 : 8;
	if (purpose == QV_PURPOSE_TRAVERSE)
	{
		map.norm = plane_nbytes + offsetof(QvFactors, norm);
		map.anchor = plane_nbytes + sizeof(QvFactors);
		map.offset = plane_nbytes + QV_SIGN_FACTORS_NBYTES;
		map.factors = map.offset + sizeof(float);
	}
	else
	{
		map.anchor = sizeof(float);
		map.offset = map.anchor + offsetof(QvAnchor, offset);
		map.factors = map.anchor + sizeof(QvAnchor);
	}
	map.code = map.factors + map.nfactor_nbytes;
	map.nbytes = map.code + plane_nbytes * nbits;
	if (qv_finer_has_planes(nbits) && purpose == QV_PURPOSE_TRAVERSE)
		map.nbytes -= plane_nbytes; /* the sign plane is at the front */
	else if (qv_finer_has_planes(nbits))
	{
		map.top_plane = map.code;
		map.code += plane_nbytes;
	}
	return map;
}

static inline QvFinerMap
qv_finer_map_of(const QvRabitq *codec)
{
	return qv_finer_map(codec->purpose, codec->head.nbits, codec->code_ndims);
}

static inline QvAnchor
qv_finer_anchor(const QvFinerMap *map, const uint8_t *slot)
{
	QvAnchor	anchor;

	memcpy(&anchor, slot + map->anchor, sizeof(anchor));
	memcpy(&anchor.offset, slot + map->offset, sizeof(anchor.offset));
	return anchor;
}

/* As the operations of kinds.h have them. */
extern void qv_finer_encode(const QvCodec *head, const void *value, uint8_t *slot, void *scratch);
extern void qv_finer_encode_older(const QvCodec *head, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch);
extern const char *qv_finer_slot_fault(const QvCodec *head, const uint8_t *slot);
extern size_t qv_finer_query_nbytes(const QvCodec *head);
extern void qv_finer_query_init(QvQuery *head, const QvCodec *codec_head, const void *value, void *scratch);
extern void qv_finer_score(const QvQuery *head, QvSlots run, int n, float *dist);
extern float qv_finer_error(const QvQuery *head, const uint8_t *slot);
extern bool qv_finer_interval(const QvQuery *head, const uint8_t *slot, float dist, const QvRounding *rounding, QvInterval *out);

#endif							/* QV_CODEC_FINER_H */
