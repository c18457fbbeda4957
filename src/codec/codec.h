/*
 * codec.h
 *		Turns column values into the codes an index holds, and scores codes.
 *
 * Floor 1: knows kernels, not PostgreSQL, pages or graphs.  One codec object
 * serves every index: native bits (Hamming, Jaccard) and RaBitQ codes of float
 * vectors (L2, inner product, cosine).  Formulas and sources: README.md.
 */
#ifndef QV_CODEC_H
#define QV_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/kernel.h"

/* Stored on disk: never renumber. */
typedef enum QvMetric
{
	QV_METRIC_HAMMING = 1,
	QV_METRIC_JACCARD = 2,
	QV_METRIC_L2 = 3,			/* estimates are squared L2 distances */
	QV_METRIC_IP = 4,			/* estimates are negative inner products */
	QV_METRIC_COSINE = 5		/* estimates are cosine distances, 1 - cos */
} QvMetric;

/* Stored on disk: never renumber. */
typedef enum QvCodeKind
{
	QV_CODE_BITS = 1,			/* the column's own bits */
	QV_CODE_RABITQ = 2,			/* centred, rotated, nbits a dimension, with factors */
	QV_CODE_FLOAT = 3			/* the vector itself, at unit length under cosine */
} QvCodeKind;

/* What the slots are for; decides what they leave out. */
typedef enum QvCodecPurpose
{
	QV_PURPOSE_TRAVERSE = 0,	/* scored and paired: graphs are built and walked with them */
	QV_PURPOSE_REFINE = 1		/* scored only, beside other codes of the same values: no sign plane; RABITQ of more than 1 bit, FLOAT */
} QvCodecPurpose;

/* What must be known to build a codec; all of it is stored in the index. */
typedef struct QvCodecParams
{
	QvCodeKind	kind;
	QvMetric	metric;
	uint32_t	ndims;			/* of the column's values */
	uint32_t	nbits;			/* a dimension: 1 for BITS; 1, 2, 4, 8 or 16 (half) for RABITQ; 32 for FLOAT */
	QvCodecPurpose purpose;
	uint64_t	seed;			/* of the rotation */
	const float *centroid;		/* ndims floats, or NULL for the origin; RABITQ under L2 and cosine, FLOAT under inner product.  Cosine: mean of normalised vectors */
	uint32_t	ncentres;		/* besides the centroid, at most QV_MAX_CENTRES; 0 but for RABITQ */
	const float *centres;		/* ncentres times ndims floats, in the space of the centroid */
} QvCodecParams;

/*
 * A code is measured from the centre nearest to its value.  Centre 0 is the centroid (under inner product the origin), the
 * others are numbered from 1.  Codes stay valid when centres are added behind those that are there.
 */
#define QV_MAX_CENTRES			255

#define QV_BITS_MAX_NDIMS		64000	/* as the type bitvec */
#define QV_RABITQ_MAX_NDIMS		16000	/* as the types qvec8 and vector; fewer where nbits > 4 */
#define QV_FLOAT_MAX_NDIMS		2040
#define QV_SLOT_MAX_NBYTES		8160	/* a slot must fit a page beside its header */

typedef struct QvCodec QvCodec; /* immutable once made: may be shared */
typedef struct QvQuery QvQuery; /* a prepared query */

/*
 * What is wrong with parameters of unknown origin (a page), as a phrase for an error
 * message, or NULL.  Every other function requires parameters without fault.
 */
extern const char *qv_codec_params_fault(const QvCodecParams *params);

/*
 * Bytes a codec for these parameters takes; the caller supplies the memory (16-byte
 * aligned), so that it lives in whatever memory context or cache it chooses.  The
 * object holds no pointer: it may be kept, shared and freed as one block.
 */
extern size_t qv_codec_sizeof(const QvCodecParams *params);
extern QvCodec *qv_codec_init(void *mem, const QvCodecParams *params);	/* copies centroid and centres */

/*
 * Bytes of one code slot: bits followed by factors, a multiple of 4 for RABITQ and FLOAT, of 1 for
 * BITS.  Slots may lie at any address.  Layout: README.md, "Slots".
 */
extern size_t qv_codec_slot_nbytes(const QvCodecParams *params);
/* Coordinates of the code after padding (ndims for BITS and FLOAT, >= 256 and a multiple of 64 for RABITQ), whatever nbits. */
extern uint32_t qv_codec_code_nbits(const QvCodecParams *params);

/*
 * Encode one value into slot.  BITS: value is packed bits ((ndims + 7) / 8 bytes).  Others: value is
 * ndims finite floats (not normalised; a cosine codec normalises itself and the caller has
 * seen to it that the norm is not zero).  scratch: qv_codec_scratch_nbytes() bytes, 16-byte aligned
 * (none, and NULL will do, for BITS and FLOAT).
 */
extern size_t qv_codec_scratch_nbytes(const QvCodec *codec);
extern void qv_codec_encode(const QvCodec *codec, const void *value, uint8_t *slot, void *scratch);

/*
 * The code that the value got before centres were added, if it is another one: slot has a code of the value, and gets one that is
 * measured from a centre with a smaller number, as a codec that lacked its centre made it.  False if every codec of ncentres
 * centres or more made the code that is there.  Called until then, it gives all codes that those codecs made.  Requires the purpose TRAVERSE.
 */
extern bool qv_codec_encode_older(const QvCodec *codec, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch);

/*
 * The code that a codec of the first ncentres centres makes of the value; any purpose.  So the finer code of a value that has an
 * older code, whose centre's number that is, can be made too.
 */
extern void qv_codec_encode_from(const QvCodec *codec, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch);

/* What no encoder writes into a slot (bits beyond the value, factors that contradict the bits), or NULL: for checkers. */
extern const char *qv_codec_slot_fault(const QvCodec *codec, const uint8_t *slot);

/*
 * Prepare a query in caller's memory of qv_query_sizeof() bytes; value and scratch as for encode, but value may be a
 * zero vector, and both mem and scratch are 64-byte aligned.  The query does not need the codec afterwards.
 */
extern size_t qv_query_sizeof(const QvCodec *codec);
extern QvQuery *qv_query_init(void *mem, const QvCodec *codec, const void *value, void *scratch);

/*
 * The same of a second codec of the value.  scratch, large enough for both, is as the latest qv_query_init(), of first and with this value,
 * left it: where the two codecs rotate alike, the value is not rotated again.
 */
extern QvQuery *qv_query_init_second(void *mem, const QvCodec *codec, const QvCodec *first, const void *value, void *scratch);

/*
 * The same of a value that is to be linked: its distances are such as may be compared with those of qv_codec_pair().
 */
extern QvQuery *qv_query_init_pair(void *mem, const QvCodec *codec, const void *value, void *scratch);

/*
 * Estimated distance of the query to codes by pointer, or laid out stride bytes apart.  Always
 * finite, whatever the slots hold; an L2 or cosine estimate may be below zero (ESTIMATES.md, "Estimates").
 * BITS: the distance itself, rounded to float.
 */
extern void qv_query_score(const QvQuery *query, const uint8_t *const *slots, int nslots, float *dist);
extern void qv_query_score_strided(const QvQuery *query, const uint8_t *base, size_t stride, int nslots, float *dist);

/* Slots that are read from first to last. */
typedef struct QvSlotRun
{
	const uint8_t *base;
	size_t		stride;
	int			nslots;
	QvAhead		ahead;			/* where the slots lie that will be scored behind these */
} QvSlotRun;

/*
 * Those of the run that qv_query_score() finds nearer than limit: their places in it, in order, to near, their distances to
 * dist, which have room for all.  Returns how many.
 */
extern uint32_t qv_query_sweep(const QvQuery *query, const QvSlotRun *run, float limit, uint32_t *near, float *dist);

/* The half width of the error of one estimate at one standard deviation, in the unit of the estimate; 0 for BITS. */
extern float qv_query_error(const QvQuery *query, const uint8_t *slot);

/* What the operator that decides adds to the distance of the floats that were encoded, at most; shares, 0 for nothing. */
typedef struct QvRounding
{
	double		values;			/* every element of value and query was rounded by so much of itself */
	double		sums;			/* every sum the operator makes is wrong by so much of the sum of the sizes of its terms */
} QvRounding;

typedef struct QvInterval
{
	double		low;			/* in the unit of the estimate */
	double		high;
} QvInterval;

/*
 * Where the operator's distance lies, given the estimate of the slot: for certain at 16 bits a dimension and more, and but for one
 * time in 10^10 at 2 to 8 (ESTIMATES.md, "Intervals").  False where nothing is known: 1 bit, BITS, numbers beyond float.
 */
extern bool qv_query_interval(const QvQuery *query, const uint8_t *slot, float dist, const QvRounding *rounding, QvInterval *out);

/*
 * Distance between codes, symmetric, finite, in the unit of the estimates (FLOAT: the negative inner product as seen from the
 * centroid).  RABITQ: coarser than a query's estimate, as both sides are signs, whatever nbits.  Requires the purpose TRAVERSE
 * (slots to refine with are all at the largest distance).
 */
extern void qv_codec_pair(const QvCodec *codec, const uint8_t *slot, const uint8_t *const *slots, int nslots, float *dist);
extern void qv_codec_pair_strided(const QvCodec *codec, const uint8_t *slot, const uint8_t *base, size_t stride, int nslots, float *dist);
/* The same of each of nrows slots and each of nslots, both stride bytes apart; dist holds a row of nslots for each of the former. */
extern void qv_codec_pair_block(const QvCodec *codec, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int nslots, float *dist);

/* Squared distance of the value to its own centre (cosine: of the value normalised); 0 for BITS and FLOAT, which have none.  Requires the purpose TRAVERSE. */
extern float qv_codec_norm2(const QvCodec *codec, const uint8_t *slot);
/* The number of that centre, which may be one that the codec does not know; 0 for BITS.  Requires the purpose TRAVERSE. */
extern uint32_t qv_codec_centre(const QvCodec *codec, const uint8_t *slot);

#endif							/* QV_CODEC_H */
