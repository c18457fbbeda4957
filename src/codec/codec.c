/*
 * codec.c
 *		The public functions of the room: choose the kind and width, cut long runs into batches.
 *
 * Must not know what any kind keeps in its slots.  See README.md, "Kinds".
 */
#include "codec/kinds.h"

/* NULL for a kind that does not exist: only parameters read from disk can name one. */
static const QvCodeOps *
ops_of(QvCodeKind kind, uint32_t nbits)
{
	switch (kind)
	{
		case QV_CODE_BITS:
			return &qv_bits_ops;
		case QV_CODE_RABITQ:
			return nbits == 1 ? &qv_rabitq_ops : &qv_finer_ops;
		case QV_CODE_FLOAT:
			return &qv_float_ops;
	}
	return NULL;
}

const char *
qv_codec_params_fault(const QvCodecParams *params)
{
	const QvCodeOps *ops = ops_of(params->kind, params->nbits);

	return ops == NULL ? "unknown kind of code" : ops->params_fault(params);
}

size_t
qv_codec_sizeof(const QvCodecParams *params)
{
	return ops_of(params->kind, params->nbits)->codec_nbytes(params);
}

QvCodec *
qv_codec_init(void *mem, const QvCodecParams *params)
{
	const QvCodeOps *ops = ops_of(params->kind, params->nbits);
	QvCodec    *codec = mem;

	codec->kind = params->kind;
	codec->metric = params->metric;
	codec->ndims = params->ndims;
	codec->nbits = params->nbits;
	codec->nbytes = (ops->code_nbits(params) + 7) / 8;
	ops->init(codec, params);
	return codec;
}

size_t
qv_codec_slot_nbytes(const QvCodecParams *params)
{
	return ops_of(params->kind, params->nbits)->slot_nbytes(params);
}

uint32_t
qv_codec_code_nbits(const QvCodecParams *params)
{
	return ops_of(params->kind, params->nbits)->code_nbits(params);
}

size_t
qv_codec_scratch_nbytes(const QvCodec *codec)
{
	return ops_of(codec->kind, codec->nbits)->scratch_nbytes(codec);
}

void
qv_codec_encode(const QvCodec *codec, const void *value, uint8_t *slot, void *scratch)
{
	ops_of(codec->kind, codec->nbits)->encode(codec, value, slot, scratch);
}

bool
qv_codec_encode_older(const QvCodec *codec, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);
	uint32_t	centre = qv_codec_centre(codec, slot);

	/* as long as its centre was not there, the value was measured from the nearest of those before it */
	if (ops->encode_older == NULL || centre <= ncentres)
		return false;
	ops->encode_older(codec, centre - 1, value, slot, scratch);
	return true;
}

void
qv_codec_encode_from(const QvCodec *codec, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	if (ops->encode_older == NULL)
		ops->encode(codec, value, slot, scratch);
	else
		ops->encode_older(codec, ncentres, value, slot, scratch);
}

const char *
qv_codec_slot_fault(const QvCodec *codec, const uint8_t *slot)
{
	return ops_of(codec->kind, codec->nbits)->slot_fault(codec, slot);
}

size_t
qv_query_sizeof(const QvCodec *codec)
{
	return ops_of(codec->kind, codec->nbits)->query_nbytes(codec);
}

static QvQuery *
query_of_residual(void *mem, const QvCodec *codec, const void *value, void *scratch)
{
	QvQuery    *query = mem;

	query->kind = codec->kind;
	query->metric = codec->metric;
	query->nbits = codec->nbits;
	query->nbytes = codec->nbytes;
	ops_of(codec->kind, codec->nbits)->query_init(query, codec, value, scratch);
	return query;
}

QvQuery *
qv_query_init(void *mem, const QvCodec *codec, const void *value, void *scratch)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	if (ops->residual != NULL)
		ops->residual(codec, value, scratch);
	return query_of_residual(mem, codec, value, scratch);
}

QvQuery *
qv_query_init_second(void *mem, const QvCodec *codec, const QvCodec *first, const void *value, void *scratch)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	if (ops->same_residual == NULL || codec->kind != first->kind || !ops->same_residual(codec, first))
		return qv_query_init(mem, codec, value, scratch);
	return query_of_residual(mem, codec, value, scratch);
}

QvQuery *
qv_query_init_pair(void *mem, const QvCodec *codec, const void *value, void *scratch)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);
	QvQuery    *query = qv_query_init(mem, codec, value, scratch);

	if (ops->query_as_pair != NULL)
		ops->query_as_pair(query, codec);
	return query;
}

/* The part of a run that begins at slot i. */
static inline QvSlots
run_from(QvSlots run, int i)
{
	if (run.slots != NULL)
		run.slots += i;
	else
		run.base += run.stride * (size_t) i;
	return run;
}

static inline int
batch_size(int nleft)
{
	return nleft < QV_BATCH ? nleft : QV_BATCH;
}

static void
score_run(const QvQuery *query, QvSlots run, int nslots, float *dist)
{
	const QvCodeOps *ops = ops_of(query->kind, query->nbits);

	for (int i = 0; i < nslots; i += QV_BATCH)
		ops->score(query, run_from(run, i), batch_size(nslots - i), dist + i);
}

void
qv_query_score(const QvQuery *query, const uint8_t *const *slots, int nslots, float *dist)
{
	score_run(query, (QvSlots) {slots, NULL, 0}, nslots, dist);
}

void
qv_query_score_strided(const QvQuery *query, const uint8_t *base, size_t stride, int nslots, float *dist)
{
	score_run(query, (QvSlots) {NULL, base, stride}, nslots, dist);
}

uint32_t
qv_query_sweep(const QvQuery *query, const QvSlotRun *run, float limit, uint32_t *near, float *dist)
{
	const QvCodeOps *ops = ops_of(query->kind, query->nbits);

	if (ops->sweep == NULL)
		return qv_sweep_by_score(ops->score, query, run, limit, near, dist);
	return ops->sweep(query, run, limit, near, dist);
}

float
qv_query_error(const QvQuery *query, const uint8_t *slot)
{
	return ops_of(query->kind, query->nbits)->error(query, slot);
}

bool
qv_query_interval(const QvQuery *query, const uint8_t *slot, float dist, const QvRounding *rounding, QvInterval *out)
{
	const QvCodeOps *ops = ops_of(query->kind, query->nbits);

	return ops->interval != NULL && ops->interval(query, slot, dist, rounding, out);
}

static void
pair_run(const QvCodec *codec, const uint8_t *slot, QvSlots run, int nslots, float *dist)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	for (int i = 0; i < nslots; i += QV_BATCH)
		ops->pair(codec, slot, run_from(run, i), batch_size(nslots - i), dist + i);
}

void
qv_codec_pair(const QvCodec *codec, const uint8_t *slot, const uint8_t *const *slots, int nslots, float *dist)
{
	pair_run(codec, slot, (QvSlots) {slots, NULL, 0}, nslots, dist);
}

void
qv_codec_pair_strided(const QvCodec *codec, const uint8_t *slot, const uint8_t *base, size_t stride, int nslots, float *dist)
{
	pair_run(codec, slot, (QvSlots) {NULL, base, stride}, nslots, dist);
}

void
qv_codec_pair_block(const QvCodec *codec, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int nslots, float *dist)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	for (int i = 0; i < nrows; i += QV_BLOCK_NROWS)
	{
		QvSlotBlock block = {.rows = rows + stride * (size_t) i, .stride = stride};

		block.nrows = nrows - i < QV_BLOCK_NROWS ? nrows - i : QV_BLOCK_NROWS;
		for (int j = 0; j < nslots; j += QV_BATCH)
		{
			block.base = base + stride * (size_t) j;
			block.n = batch_size(nslots - j);
			ops->pair_block(codec, &block, dist + (size_t) nslots * (size_t) i + j, (size_t) nslots);
		}
	}
}

float
qv_codec_norm2(const QvCodec *codec, const uint8_t *slot)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	return ops->norm2 == NULL ? 0.0f : ops->norm2(slot, codec->nbytes);
}

uint32_t
qv_codec_centre(const QvCodec *codec, const uint8_t *slot)
{
	const QvCodeOps *ops = ops_of(codec->kind, codec->nbits);

	return ops->centre == NULL ? 0 : ops->centre(slot, codec->nbytes);
}
