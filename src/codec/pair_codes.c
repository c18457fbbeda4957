/*
 * pair_codes.c
 *		Codes of a byte or a float a dimension, for distances between values while a graph is built.
 *
 * r = x - c, with the one centroid that all values have in common, is rotated and rounded to signed bytes
 * by its own largest coordinate.  Of few dimensions it is kept as it is: thousands of directions in a
 * plane are closer to each other than any rounding.  README.md, "Pairs".  Must not know graphs, nor
 * what the index keeps.
 */
#include <math.h>
#include <string.h>

#include "codec/pair_codes.h"
#include "codec/rabitq.h"
#include "codec/rotation.h"
#include "kernel/kernel.h"

/* So many dimensions are floats: no more bytes than the least number of signed bytes.  doc/decisions/0110. */
#define FLOAT_MAX_NDIMS		16

#define MAX_LEVEL			127

struct QvPairCodec
{
	QvMetric	metric;
	uint32_t	ndims;
	uint32_t	code_ndims;		/* of signed bytes; 0 where codes are floats */
	float		centroid_sq;	/* |c|^2 */
	float		floats[];		/* centroid, rotation */
};

/* What stands behind the numbers of a code: of r as it is decoded, so that a code is at distance 0 from itself. */
typedef struct PairFactors
{
	float		scale;			/* r_i is scale times the signed byte */
	float		norm_sq;		/* |r|^2 */
	float		xc;				/* <x,c>; inner product only, else 0 */
} PairFactors;

/* Those of a batch of codes, one array a factor. */
typedef struct FactorBatch
{
	float		scale[QV_BATCH];
	float		norm_sq[QV_BATCH];
	float		xc[QV_BATCH];
} FactorBatch;

/* ---- the codec ---- */

/* Signed bytes of a code; 0 where it is floats. */
static uint32_t
code_ndims_of(uint32_t ndims)
{
	return ndims <= FLOAT_MAX_NDIMS ? 0 : qv_rotation_ndims(ndims);
}

/* Floats of the centroid as it is kept. */
static uint32_t
centroid_nfloats(uint32_t ndims)
{
	return ndims <= FLOAT_MAX_NDIMS ? FLOAT_MAX_NDIMS : qv_rotation_ndims(ndims);
}

static const float *
rotation_of(const QvPairCodec *codec)
{
	return codec->floats + codec->code_ndims;
}

/* Bytes in front of the factors. */
static inline size_t
numbers_nbytes(const QvPairCodec *codec)
{
	return codec->code_ndims > 0 ? codec->code_ndims : codec->ndims * sizeof(float);
}

size_t
qv_pair_codec_sizeof(const QvCodecParams *params)
{
	uint32_t	code_ndims = code_ndims_of(params->ndims);
	size_t		nfloats = centroid_nfloats(params->ndims) + (code_ndims > 0 ? qv_rotation_nfloats(code_ndims) : 0);

	return sizeof(QvPairCodec) + nfloats * sizeof(float);
}

QvPairCodec *
qv_pair_codec_init(void *mem, const QvCodecParams *params)
{
	QvPairCodec *codec = mem;
	uint32_t	nfloats = centroid_nfloats(params->ndims);

	codec->metric = params->metric;
	codec->ndims = params->ndims;
	codec->code_ndims = code_ndims_of(params->ndims);
	memset(codec->floats, 0, nfloats * sizeof(float));
	if (params->centroid != NULL)
		memcpy(codec->floats, params->centroid, params->ndims * sizeof(float));
	codec->centroid_sq = (float) qv_kernels()->dot_f32(codec->floats, codec->floats, nfloats);
	if (codec->code_ndims > 0)
		qv_rotation_init((float *) rotation_of(codec), codec->code_ndims, params->seed);
	return codec;
}

size_t
qv_pair_code_nbytes(const QvCodecParams *params)
{
	QvPairCodec codec = {.ndims = params->ndims, .code_ndims = code_ndims_of(params->ndims)};

	return numbers_nbytes(&codec) + sizeof(PairFactors);
}

/* ---- from values to codes ---- */

/* r, and its levels. */
size_t
qv_pair_scratch_nbytes(const QvPairCodec *codec)
{
	return centroid_nfloats(codec->ndims) * (sizeof(float) + 1);
}

/* x - c into r; x is normalised first under cosine, and a zero vector stays one. */
static void
residual_of(const QvPairCodec *codec, const float *value, float *r)
{
	const QvKernels *kernels = qv_kernels();
	double		scale = 1.0;

	if (codec->metric == QV_METRIC_COSINE)
	{
		double		sum = kernels->dot_f32(value, value, codec->ndims);

		scale = sum > 0.0 ? 1.0 / sqrt(sum) : 0.0;
	}
	kernels->residual_f32(value, scale, codec->floats, codec->ndims, r);
}

/* Rotate r, and round it to signed bytes.  What is beyond float, or no length at all, becomes zeros. */
static void
encode_bytes(const QvPairCodec *codec, float *r, uint8_t *code, PairFactors *factors)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = codec->code_ndims;
	uint8_t    *level = (uint8_t *) (r + n);
	float		low,
				high,
				max;

	memset(r + codec->ndims, 0, (n - codec->ndims) * sizeof(float));
	qv_rotation_apply(rotation_of(codec), n, r);
	kernels->range_f32(r, n, &low, &high);
	max = -low > high ? -low : high;
	if (!(max >= FLT_MIN && max <= FLT_MAX / 2))
	{
		memset(code, 0, n);
		return;
	}
	factors->scale = max / MAX_LEVEL;
	(void) kernels->levels_f32(r, n, -max, MAX_LEVEL / max, 2 * MAX_LEVEL, level);
	for (uint32_t i = 0; i < n; i++)
		code[i] = (uint8_t) (level[i] - MAX_LEVEL);
	factors->norm_sq = factors->scale * factors->scale *
		(float) kernels->dot_i8((const int8_t *) code, (const int8_t *) code, n);
}

static void
encode_floats(const QvPairCodec *codec, const float *r, uint8_t *code, PairFactors *factors)
{
	for (uint32_t i = 0; i < codec->ndims; i++)
	{
		float		x = isnan(r[i]) ? 0.0f : qv_clamp_finite(r[i]);

		memcpy(code + i * sizeof(float), &x, sizeof(x));
		factors->norm_sq += x * x;
	}
	factors->scale = 1.0f;
}

void
qv_pair_encode(const QvPairCodec *codec, const float *value, uint8_t *code, void *scratch)
{
	PairFactors factors = {0};

	residual_of(codec, value, scratch);
	if (codec->code_ndims > 0)
		encode_bytes(codec, scratch, code, &factors);
	else
		encode_floats(codec, scratch, code, &factors);
	if (codec->metric == QV_METRIC_IP)
		factors.xc = (float) qv_kernels()->dot_f32(value, codec->floats, codec->ndims);
	memcpy(code + numbers_nbytes(codec), &factors, sizeof(factors));
}

/* ---- distances ---- */

static PairFactors
factors_of(const QvPairCodec *codec, const uint8_t *code)
{
	PairFactors factors;

	memcpy(&factors, code + numbers_nbytes(codec), sizeof(factors));
	return factors;
}

static void
load_factors(const QvPairCodec *codec, QvSlots run, int n, FactorBatch *batch)
{
	for (int i = 0; i < n; i++)
	{
		PairFactors factors = factors_of(codec, qv_slot_at(run, i));

		batch->scale[i] = factors.scale;
		batch->norm_sq[i] = factors.norm_sq;
		batch->xc[i] = factors.xc;
	}
}

/* Products of the numbers to cosines. */
static void
angles_of(const PairFactors *one, const FactorBatch *others, int n, float *product)
{
	float		norm = sqrtf(one->norm_sq);

	for (int i = 0; i < n; i++)
	{
		float		norms = norm * sqrtf(others->norm_sq[i]);

		product[i] = norms > 0.0f ? 1.0f - product[i] * (one->scale * others->scale[i]) / norms : 1.0f;
	}
}

/* Products of the numbers of one code and those of others to distances. */
static void
distances_of(const QvPairCodec *codec, QvPairAspect aspect, const PairFactors *one, const FactorBatch *others, int n, float *product)
{
	float		weight = codec->metric == QV_METRIC_COSINE ? 0.5f : 1.0f;

	if (aspect == QV_PAIR_ANGLE)
		angles_of(one, others, n, product);
	else if (codec->metric == QV_METRIC_IP)
	{
		for (int i = 0; i < n; i++)
			product[i] = codec->centroid_sq - (one->xc + others->xc[i]) - product[i] * (one->scale * others->scale[i]);
	}
	else
	{
		for (int i = 0; i < n; i++)
			product[i] = weight * (one->norm_sq + others->norm_sq[i] - 2.0f * product[i] * (one->scale * others->scale[i]));
	}
	for (int i = 0; i < n; i++)
		product[i] = qv_clamp_finite(product[i]);
}

/* Squared differences, where that is the distance, or products; columns hold a batch of codes, turned over. */
static void
sums_of_floats(const QvPairCodec *codec, bool differences, const uint8_t *code, float (*columns)[QV_BATCH], float *sum)
{
	for (int i = 0; i < QV_BATCH; i++)
		sum[i] = 0.0f;
	for (uint32_t d = 0; d < codec->ndims; d++)
	{
		const float *column = columns[d];
		float		x;

		memcpy(&x, code + d * sizeof(float), sizeof(x));
		if (differences)
		{
			for (int i = 0; i < QV_BATCH; i++)
				sum[i] += (x - column[i]) * (x - column[i]);
		}
		else
		{
			for (int i = 0; i < QV_BATCH; i++)
				sum[i] += x * column[i];
		}
	}
}

/* Of codes of floats: rows, or one, against a batch.  Few dimensions need differences: norms less twice a product leave too little of small ones. */
static void
compare_floats(const QvPairCodec *codec, QvPairAspect aspect, const QvPairBlock *block, QvSlots run, float *dist, size_t dist_stride)
{
	bool		differences = codec->metric != QV_METRIC_IP;
	float		weight = codec->metric == QV_METRIC_COSINE ? 0.5f : 1.0f;
	float		columns[FLOAT_MAX_NDIMS][QV_BATCH];
	float		sum[QV_BATCH];
	FactorBatch batch;

	QV_ASSERT(codec->ndims <= FLOAT_MAX_NDIMS && block->n <= QV_BATCH);
	memset(columns, 0, codec->ndims * sizeof(columns[0]));
	for (int i = 0; i < block->n; i++)
	{
		for (uint32_t d = 0; d < codec->ndims; d++)
			memcpy(&columns[d][i], qv_slot_at(run, i) + d * sizeof(float), sizeof(float));
	}
	load_factors(codec, run, block->n, &batch);
	for (int row = 0; row < block->nrows; row++, dist += dist_stride)
	{
		const uint8_t *code = block->rows + block->stride * (size_t) row;
		PairFactors one = factors_of(codec, code);

		sums_of_floats(codec, differences, code, columns, sum);
		if (!differences)
			distances_of(codec, aspect, &one, &batch, block->n, sum);
		for (int i = 0; i < block->n; i++)
			dist[i] = differences ? qv_clamp_finite(weight * sum[i]) : sum[i];
	}
}

/* Of codes of signed bytes: rows, or one, against a batch. */
static void
compare_bytes(const QvPairCodec *codec, QvPairAspect aspect, const QvPairBlock *block, QvSlots run, float *dist, size_t dist_stride)
{
	int32_t		dot[QV_BLOCK_NROWS * QV_BATCH];
	FactorBatch batch;

	QV_ASSERT(block->nrows <= QV_BLOCK_NROWS && block->n <= QV_BATCH);
	if (run.slots != NULL)
		qv_kernels()->dot_i8_many((const int8_t *) block->rows, run.slots, block->n, codec->code_ndims, dot);
	else
		qv_kernels()->dot_i8_block(block->rows, block->nrows, block->base, block->stride, block->n, codec->code_ndims, dot);
	load_factors(codec, run, block->n, &batch);
	for (int row = 0; row < block->nrows; row++, dist += dist_stride)
	{
		PairFactors one = factors_of(codec, block->rows + block->stride * (size_t) row);

		for (int i = 0; i < block->n; i++)
			dist[i] = (float) dot[row * block->n + i];
		distances_of(codec, aspect, &one, &batch, block->n, dist);
	}
}

static void
compare(const QvPairCodec *codec, QvPairAspect aspect, const QvPairBlock *block, QvSlots run, float *dist, size_t dist_stride)
{
	if (codec->code_ndims > 0)
		compare_bytes(codec, aspect, block, run, dist, dist_stride);
	else
		compare_floats(codec, aspect, block, run, dist, dist_stride);
}

void
qv_pair_distances(const QvPairCodec *codec, QvPairAspect aspect, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	QvPairBlock block = {.rows = code, .nrows = 1};

	for (int i = 0; i < n; i += QV_BATCH)
	{
		block.n = n - i < QV_BATCH ? n - i : QV_BATCH;
		compare(codec, aspect, &block, (QvSlots) {.slots = codes + i}, dist + i, 0);
	}
}

void
qv_pair_block(const QvPairCodec *codec, QvPairAspect aspect, const QvPairBlock *block, float *dist)
{
	QvPairBlock part = *block;

	for (int j = 0; j < block->n; j += QV_BATCH)
	{
		part.base = block->base + block->stride * (size_t) j;
		part.n = block->n - j < QV_BATCH ? block->n - j : QV_BATCH;
		for (int i = 0; i < block->nrows; i += QV_BLOCK_NROWS)
		{
			part.rows = block->rows + block->stride * (size_t) i;
			part.nrows = block->nrows - i < QV_BLOCK_NROWS ? block->nrows - i : QV_BLOCK_NROWS;
			compare(codec, aspect, &part, (QvSlots) {.base = part.base, .stride = part.stride},
					dist + (size_t) block->n * (size_t) i + j, (size_t) block->n);
		}
	}
}

float
qv_pair_length(const QvPairCodec *codec, const uint8_t *code)
{
	PairFactors factors = factors_of(codec, code);
	float		square = factors.norm_sq;

	if (codec->metric == QV_METRIC_IP)
		square += 2.0f * factors.xc - codec->centroid_sq;
	return qv_clamp_finite(sqrtf(square > 0.0f ? square : 0.0f));
}
