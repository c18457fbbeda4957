/*
 * finer.c
 *		Kind RABITQ at 2, 4, 8 and 16 bits a dimension: a grid point or halves
 *		beside the sign plane, or in its place where they only refine.
 *
 * Source: extended RaBitQ (arXiv 2409.09913).  Formulas, the slot's layout and
 * where we differ from the paper: README.md, "Slots", "Estimates" and "More
 * bits".  Must not know pages, graphs or where a vector comes from.
 */
#include "codec/finer.h"

typedef struct WidthLimit
{
	uint32_t	nbits;
	uint32_t	max_ndims[2];	/* by purpose: the slot fits QV_SLOT_MAX_NBYTES */
	const char *fault[2];
} WidthLimit;

static const WidthLimit limits[] = {
	{2, {QV_RABITQ_MAX_NDIMS, QV_RABITQ_MAX_NDIMS}, {NULL, NULL}},
	{4, {QV_RABITQ_MAX_NDIMS, QV_RABITQ_MAX_NDIMS}, {NULL, NULL}},
	{8, {7168, 8128}, {"codes of 8 bits a dimension hold at most 7168 dimensions",
	"refining codes of 8 bits a dimension hold at most 8128 dimensions"}},
	{16, {3776, 4032}, {"codes of 16 bits a dimension hold at most 3776 dimensions",
	"refining codes of 16 bits a dimension hold at most 4032 dimensions"}},
};

static const char *
finer_params_fault(const QvCodecParams *params)
{
	const char *fault = qv_rabitq_params_fault(params);

	if (fault != NULL)
		return fault;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		if (limits[i].nbits == params->nbits)
			return params->ndims > limits[i].max_ndims[params->purpose] ? limits[i].fault[params->purpose] : NULL;
	}
	return "number of bits a dimension is none of 1, 2, 4, 8 and 16";
}

static size_t
finer_slot_nbytes(const QvCodecParams *params)
{
	return qv_finer_map(params->purpose, params->nbits, qv_rotation_ndims(params->ndims)).nbytes;
}

/* The rotated vector, its normalised magnitudes, and the code made of it; of a query less. */
static size_t
finer_scratch_nbytes(const QvCodec *head)
{
	const QvRabitq *codec = (const QvRabitq *) head;

	return sizeof(QvResidual) + codec->code_ndims * (3 * sizeof(float));
}

static void
finer_pair(const QvCodec *head, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	if (((const QvRabitq *) head)->purpose == QV_PURPOSE_TRAVERSE)
	{
		qv_rabitq_pair(head, slot, run, n, dist);
		return;
	}
	for (int i = 0; i < n; i++)
		dist[i] = FLT_MAX;
}

static void
finer_pair_block(const QvCodec *head, const QvSlotBlock *block, float *dist, size_t dist_stride)
{
	if (((const QvRabitq *) head)->purpose == QV_PURPOSE_TRAVERSE)
	{
		qv_rabitq_pair_block(head, block, dist, dist_stride);
		return;
	}
	for (int i = 0; i < block->nrows; i++)
	{
		for (int j = 0; j < block->n; j++)
			dist[dist_stride * (size_t) i + (size_t) j] = FLT_MAX;
	}
}

const QvCodeOps qv_finer_ops = {
	.params_fault = finer_params_fault,
	.codec_nbytes = qv_rabitq_codec_nbytes,
	.code_nbits = qv_rabitq_code_nbits,
	.slot_nbytes = finer_slot_nbytes,
	.init = qv_rabitq_init,
	.scratch_nbytes = finer_scratch_nbytes,
	.encode = qv_finer_encode,
	.encode_older = qv_finer_encode_older,
	.slot_fault = qv_finer_slot_fault,
	.pair = finer_pair,
	.pair_block = finer_pair_block,
	.norm2 = qv_rabitq_norm2,
	.centre = qv_rabitq_centre,
	.residual = qv_rabitq_residual,
	.same_residual = qv_rabitq_same_residual,
	.query_nbytes = qv_finer_query_nbytes,
	.query_init = qv_finer_query_init,
	.score = qv_finer_score,
	.sweep = NULL,				/* by score */
	.error = qv_finer_error,
	.interval = qv_finer_interval,
};
