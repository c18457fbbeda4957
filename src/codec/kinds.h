/*
 * kinds.h
 *		What the files of this room share: the operations of one kind of code.
 *
 * Private to the room; everybody else includes codec.h.  Must not know what
 * any kind keeps in its slots.  See README.md, "Kinds".
 */
#ifndef QV_CODEC_KINDS_H
#define QV_CODEC_KINDS_H

#include <float.h>

#include "codec/codec.h"
#include "kernel/assert.h"

/*
 * Codes scored in one piece: their factors and counts, 1 KB for 64, live on the stack.
 * doc/decisions/0073.
 */
#define QV_BATCH	64

/* A page may hold anything; a graph search needs numbers that have an order, and keeps infinity for itself. */
static inline float
qv_clamp_finite(float x)
{
	x = x <= FLT_MAX ? x : FLT_MAX;
	return x >= -FLT_MAX ? x : -FLT_MAX;
}

/* The rounding of fast_dot_f32, fast_dot_f16 and fast_l2sq_f32, at most: of the sum of the sizes of n terms so much (kernel.h). */
static inline double
qv_fast_sum_slack(uint32_t n)
{
	return (n / 64 + 10) * 0x1p-24;
}

/*
 * interval.c: from where |x - q|^2 lies to where the operator's distance does: either vector is known but for moved in all, and what
 * rounding says, |q| being length.
 */
extern void qv_interval_of_squares(QvMetric metric, QvInterval *interval, double moved, double length, const QvRounding *rounding);

/* A batch of slots: by pointer, or stride bytes apart from base where slots is NULL. */
typedef struct QvSlots
{
	const uint8_t *const *slots;
	const uint8_t *base;
	size_t		stride;
} QvSlots;

static inline const uint8_t *
qv_slot_at(QvSlots run, int i)
{
	return run.slots != NULL ? run.slots[i] : run.base + run.stride * (size_t) i;
}

/* Slots of two arrays, stride bytes apart in either: at most QV_BLOCK_NROWS against at most QV_BATCH. */
#define QV_BLOCK_NROWS	16

typedef struct QvSlotBlock
{
	const uint8_t *rows;
	int			nrows;
	const uint8_t *base;
	int			n;
	size_t		stride;
} QvSlotBlock;

/* What every codec and every query begins with. */
struct QvCodec
{
	QvCodeKind	kind;
	QvMetric	metric;
	uint32_t	ndims;			/* of the column's values */
	uint32_t	nbits;			/* a dimension */
	uint32_t	nbytes;			/* of one bit of every dimension of a slot */
};

struct QvQuery
{
	QvCodeKind	kind;
	QvMetric	metric;
	uint32_t	nbits;			/* a dimension */
	uint32_t	nbytes;			/* of one bit of every dimension of a slot */
};

/* Distances of n slots of a run to a query. */
typedef void QvScore(const QvQuery *query, QvSlots run, int n, float *dist);

/* codec.h says what each function promises; n is at most QV_BATCH.  dist_stride is in elements. */
typedef struct QvCodeOps
{
	const char *(*params_fault) (const QvCodecParams *params);
	size_t		(*codec_nbytes) (const QvCodecParams *params);
	uint32_t	(*code_nbits) (const QvCodecParams *params);
	size_t		(*slot_nbytes) (const QvCodecParams *params);

	void		(*init) (QvCodec *codec, const QvCodecParams *params);	/* the common head is filled in */
	size_t		(*scratch_nbytes) (const QvCodec *codec);
	void		(*encode) (const QvCodec *codec, const void *value, uint8_t *slot, void *scratch);
	/* the same, measured from the nearest of the first ncentres; NULL: there are none */
	void		(*encode_older) (const QvCodec *codec, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch);
	const char *(*slot_fault) (const QvCodec *codec, const uint8_t *slot);
	void		(*pair) (const QvCodec *codec, const uint8_t *slot, QvSlots run, int n, float *dist);
	void		(*pair_block) (const QvCodec *codec, const QvSlotBlock *block, float *dist, size_t dist_stride);

	float		(*norm2) (const uint8_t *slot, uint32_t nbytes);	/* NULL: 0 */
	uint32_t	(*centre) (const uint8_t *slot, uint32_t nbytes);	/* NULL: 0 */

	/* what queries of a value have in common whatever the width, into scratch; does another codec of this kind make the same?  NULL: nothing */
	void		(*residual) (const QvCodec *codec, const void *value, void *scratch);
	bool		(*same_residual) (const QvCodec *codec, const QvCodec *other);
	size_t		(*query_nbytes) (const QvCodec *codec);
	void		(*query_init) (QvQuery *query, const QvCodec *codec, const void *value, void *scratch); /* head and residual are there */
	void		(*query_as_pair) (QvQuery *query, const QvCodec *codec);	/* turn its distances into those of pairs; NULL: they are in the same unit */
	QvScore    *score;
	uint32_t	(*sweep) (const QvQuery *query, const QvSlotRun *run, float limit, uint32_t *near, float *dist);	/* any number of slots; NULL: by score */
	float		(*error) (const QvQuery *query, const uint8_t *slot);
	bool		(*interval) (const QvQuery *query, const uint8_t *slot, float dist, const QvRounding *rounding, QvInterval *out);	/* NULL: none is known */
} QvCodeOps;

/* sweep_codes.c: sweep by score, for kinds that have nothing better. */
extern uint32_t qv_sweep_by_score(QvScore *score, const QvQuery *query, const QvSlotRun *run, float limit,
								  uint32_t *near, float *dist);

extern const QvCodeOps qv_bits_ops;
extern const QvCodeOps qv_rabitq_ops;	/* 1 bit a dimension */
extern const QvCodeOps qv_finer_ops;	/* more */
extern const QvCodeOps qv_float_ops;

#endif							/* QV_CODEC_KINDS_H */
