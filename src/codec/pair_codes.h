/*
 * pair_codes.h
 *		Codes that only live while a graph is built in bulk, and distances between them.
 *
 * The codes of an index are made to be compared with a query; two of them tell little of how far their
 * values are from each other.  These are made to be compared with each other: a byte or a float a
 * dimension.  They are never stored, so their layout may change at any time.  README.md, "Pairs".
 */
#ifndef QV_PAIR_CODES_H
#define QV_PAIR_CODES_H

#include "codec/codec.h"

typedef struct QvPairCodec QvPairCodec; /* immutable once made; holds no pointer */

/*
 * The parameters are those of the index's codes, of kind RABITQ; what is looked at is metric, ndims, seed and
 * the centroid.  mem is 16-byte aligned.
 */
extern size_t qv_pair_codec_sizeof(const QvCodecParams *params);
extern QvPairCodec *qv_pair_codec_init(void *mem, const QvCodecParams *params);

/* Bytes of a code, a multiple of 4; codes may lie at any address. */
extern size_t qv_pair_code_nbytes(const QvCodecParams *params);

/* As qv_codec_encode(): scratch is 16-byte aligned. */
extern size_t qv_pair_scratch_nbytes(const QvPairCodec *codec);
extern void qv_pair_encode(const QvPairCodec *codec, const float *value, uint8_t *code, void *scratch);

/* What two values are compared by. */
typedef enum QvPairAspect
{
	QV_PAIR_DISTANCE,			/* the metric's distance; L2: squared; inner product: the negative */
	QV_PAIR_ANGLE				/* 1 - cos of the angle that they have seen from the centroid; for inner product */
} QvPairAspect;

/* From one code to each of n, by pointer; always finite. */
extern void qv_pair_distances(const QvPairCodec *codec, QvPairAspect aspect, const uint8_t *code,
							  const uint8_t *const *codes, int n, float *dist);

/* Two arrays of codes, stride bytes apart in either. */
typedef struct QvPairBlock
{
	const uint8_t *rows;
	int			nrows;
	const uint8_t *base;
	int			n;
	size_t		stride;
} QvPairBlock;

/* The same of each of nrows codes and each of n; dist holds a row of n for each of the former. */
extern void qv_pair_block(const QvPairCodec *codec, QvPairAspect aspect, const QvPairBlock *block, float *dist);

/* The length of the value; not under cosine. */
extern float qv_pair_length(const QvPairCodec *codec, const uint8_t *code);

#endif							/* QV_PAIR_CODES_H */
