/*
 * bits.c
 *		Kind BITS: the column's own bits, under Hamming or Jaccard distance.
 *
 * Distances here are exact up to their rounding to float.  Must not know
 * floats, rotations or factors: a slot is the value.  See README.md, "Slots".
 */
#include <math.h>
#include <string.h>

#include "codec/kinds.h"
#include "kernel/kernel.h"

typedef struct QvBitsQuery
{
	QvQuery		head;
	uint32_t	nset;			/* bits set in the query, for Jaccard */
	_Alignas(64) uint8_t bits[];
} QvBitsQuery;

/* Codes of a sweep that are compared in one call: a page of codes of 64 bytes or more. */
#define SWEEP_BATCH	128

/* The one side of a batch of distances: a query or a code. */
typedef struct BitsSide
{
	const uint8_t *bits;
	size_t		nbytes;
	uint32_t	nset;			/* looked at under Jaccard only */
} BitsSide;

static const char *
bits_params_fault(const QvCodecParams *params)
{
	if (params->metric != QV_METRIC_HAMMING && params->metric != QV_METRIC_JACCARD)
		return "metric does not fit codes of bits";
	if (params->ndims < 1 || params->ndims > QV_BITS_MAX_NDIMS)
		return "number of dimensions is out of range";
	if (params->nbits != 1)
		return "codes of bits have one bit a dimension";
	if (params->purpose != QV_PURPOSE_TRAVERSE)
		return "codes of bits refine nothing";
	return NULL;
}

static size_t
bits_codec_nbytes(const QvCodecParams *params)
{
	(void) params;
	return sizeof(QvCodec);
}

static uint32_t
bits_code_nbits(const QvCodecParams *params)
{
	return params->ndims;
}

static size_t
bits_slot_nbytes(const QvCodecParams *params)
{
	return (params->ndims + 7) / 8;
}

static void
bits_init(QvCodec *codec, const QvCodecParams *params)
{
	(void) codec;
	(void) params;
}

static size_t
bits_scratch_nbytes(const QvCodec *codec)
{
	(void) codec;
	return 0;
}

static void
bits_encode(const QvCodec *codec, const void *value, uint8_t *slot, void *scratch)
{
	(void) scratch;
	memcpy(slot, value, codec->nbytes);
}

static const char *
bits_slot_fault(const QvCodec *codec, const uint8_t *slot)
{
	uint32_t	npadding = codec->nbytes * 8 - codec->ndims;

	if ((slot[codec->nbytes - 1] & ((1u << npadding) - 1)) != 0)
		return "padding bits are not zero";
	return NULL;
}

/*
 * Distances of one run of bits to a batch.  An integer below 2^24 is a float
 * exactly; a Jaccard distance is computed in double and rounded once, so that
 * rounding can make two distances equal but never swap them.
 */
static void
bits_distances(QvMetric metric, BitsSide one, QvSlots run, int n, float *dist)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	count[QV_BATCH];
	uint32_t	slot_nset[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (metric == QV_METRIC_HAMMING)
	{
		if (run.slots != NULL)
			kernels->hamming_many(one.bits, run.slots, n, one.nbytes, count);
		else
			kernels->hamming_strided(one.bits, run.base, run.stride, n, one.nbytes, count);
		for (int i = 0; i < n; i++)
			dist[i] = (float) (int32_t) count[i];
		return;
	}

	if (run.slots != NULL)
		kernels->intersection_many(one.bits, run.slots, n, one.nbytes, count, slot_nset);
	else
		kernels->intersection_strided(one.bits, run.base, run.stride, n, one.nbytes, count, slot_nset);
	for (int i = 0; i < n; i++)
	{
		int32_t		nunion = (int32_t) (one.nset + slot_nset[i] - count[i]);

		dist[i] = nunion == 0 ? 0.0f : (float) (1.0 - (double) (int32_t) count[i] / (double) nunion);
	}
}

static void
bits_pair(const QvCodec *codec, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	BitsSide	one = {slot, codec->nbytes, 0};

	if (codec->metric == QV_METRIC_JACCARD)
		one.nset = qv_kernels()->popcount(slot, codec->nbytes);
	bits_distances(codec->metric, one, run, n, dist);
}

static void
bits_pair_block(const QvCodec *codec, const QvSlotBlock *block, float *dist, size_t dist_stride)
{
	uint32_t	count[QV_BLOCK_NROWS * QV_BATCH];
	QvSlots		run = {NULL, block->base, block->stride};
	int			n = block->n;	/* known not to change while dist is written */

	QV_ASSERT(block->nrows <= QV_BLOCK_NROWS && n >= 0 && n <= QV_BATCH);
	if (codec->metric == QV_METRIC_JACCARD)
	{
		for (int i = 0; i < block->nrows; i++)
			bits_pair(codec, block->rows + block->stride * (size_t) i, run, n, dist + dist_stride * (size_t) i);
		return;
	}
	qv_kernels()->hamming_block(block->rows, block->nrows, block->base, block->stride, n, codec->nbytes, count);
	for (int i = 0; i < block->nrows; i++)
	{
		const uint32_t *from = count + i * n;
		float	   *to = dist + dist_stride * (size_t) i;

		for (int j = 0; j < n; j++)
			to[j] = (float) (int32_t) from[j];
	}
}

static size_t
bits_query_nbytes(const QvCodec *codec)
{
	return sizeof(QvBitsQuery) + codec->nbytes;
}

static void
bits_query_init(QvQuery *head, const QvCodec *codec, const void *value, void *scratch)
{
	QvBitsQuery *query = (QvBitsQuery *) head;

	(void) scratch;
	memcpy(query->bits, value, codec->nbytes);
	query->nset = qv_kernels()->popcount(query->bits, codec->nbytes);
}

static void
bits_score(const QvQuery *head, QvSlots run, int n, float *dist)
{
	const QvBitsQuery *query = (const QvBitsQuery *) head;

	bits_distances(head->metric, (BitsSide) {query->bits, head->nbytes, query->nset}, run, n, dist);
}

/* The least count that is not below the limit. */
static uint32_t
count_limit(float limit)
{
	return limit <= 0.0f ? 0 : limit < 0x1p31f ? (uint32_t) ceilf(limit) : UINT32_C(1) << 31;
}

static uint32_t
bits_sweep(const QvQuery *head, const QvSlotRun *run, float limit, uint32_t *near, float *dist)
{
	const QvBitsQuery *query = (const QvBitsQuery *) head;
	uint32_t	count[SWEEP_BATCH];
	uint32_t	nnear = 0;

	if (head->metric != QV_METRIC_HAMMING)
		return qv_sweep_by_score(bits_score, head, run, limit, near, dist);
	for (int first = 0; first < run->nslots; first += SWEEP_BATCH)
	{
		size_t		offset = run->stride * (size_t) first;
		QvCodeRun	part = {
			.base = run->base + offset,
			.stride = run->stride,
			.ncodes = run->nslots - first < SWEEP_BATCH ? run->nslots - first : SWEEP_BATCH,
			.ahead = {run->ahead.soon + offset, run->ahead.later + offset},
		};
		uint32_t	n = qv_kernels()->hamming_below(query->bits, &part, head->nbytes, count_limit(limit), near + nnear, count);

		QV_ASSERT(n <= (uint32_t) part.ncodes);
		for (uint32_t i = 0; i < n; i++)
		{
			near[nnear] += (uint32_t) first;
			dist[nnear++] = (float) (int32_t) count[i];
		}
	}
	return nnear;
}

static float
bits_error(const QvQuery *query, const uint8_t *slot)
{
	(void) query;
	(void) slot;
	return 0.0f;
}

const QvCodeOps qv_bits_ops = {
	.params_fault = bits_params_fault,
	.codec_nbytes = bits_codec_nbytes,
	.code_nbits = bits_code_nbits,
	.slot_nbytes = bits_slot_nbytes,
	.init = bits_init,
	.scratch_nbytes = bits_scratch_nbytes,
	.encode = bits_encode,
	.slot_fault = bits_slot_fault,
	.pair = bits_pair,
	.pair_block = bits_pair_block,
	.query_nbytes = bits_query_nbytes,
	.query_init = bits_query_init,
	.score = bits_score,
	.sweep = bits_sweep,
	.error = bits_error,
};
