/*
 * context.c
 *		What every step of a build computes with: metapage, codecs, the space of codes, progress.
 *
 * Must not know where rows come from, nor how they are linked.  See README.md.
 */
#include "postgres.h"

#include "build/build.h"
#include "commands/progress.h"
#include "pgstat.h"
#include "utils/memutils.h"

Size
qh_build_array_nbytes(uint64 n, Size each)
{
	if (each > 0 && n > MaxAllocHugeSize / each)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot hold " UINT64_FORMAT " items of %zu bytes in memory", n, each)));
	return (Size) n * each;
}

/* ---- dimension and metapage ---- */

/*
 * Bytes of a code; an error where the codec does not take as many dimensions, which names what
 * may be changed.
 */
static Size
code_nbytes(uint32 ndims, const QvCodecParams *params, const char *hint)
{
	const char *fault = qv_codec_params_fault(params);

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot index %u dimensions: %s", ndims, fault),
				 params->nbits > 1 ? errhint("%s", hint) : 0));
	return qv_codec_slot_nbytes(params);
}

/* Vectors of so few dimensions are no larger than the 256 bits that codes are padded to. */
#define FLOAT_CODE_NDIMS	8

/* Bits a dimension of codes that stand for floats where those do not fit a page. */
#define HALF_NBITS			16

/* Floats of so few dimensions are compared as fast as a byte each, and exactly. */
#define FLOAT_PAIR_NDIMS	16

/*
 * The floats themselves are the codes where nothing would be gained by others, and then nothing
 * is finer; halves are where so many floats do not fit a page.
 */
static void
prefer_floats(QhMeta meta)
{
	if (meta->code_kind == QV_CODE_BITS ||
		(meta->code_nbits < 32 && (meta->ndims == 0 || meta->ndims > FLOAT_CODE_NDIMS)))
		return;
	meta->code_kind = QV_CODE_FLOAT;
	meta->code_nbits = 32;
	meta->refine_nbits = 0;
	if (meta->ndims <= QV_FLOAT_MAX_NDIMS)
		return;
	meta->code_kind = QV_CODE_RABITQ;
	meta->code_nbits = HALF_NBITS;
}

void
qh_meta_choose_codes(QhMeta meta, Relation index, const QhColumn *column)
{
	meta->code_kind = column->kind;
	meta->code_nbits = qh_option_code_nbits(index, column);
	meta->refine_nbits = column->kind == QV_CODE_BITS ? 0 : qh_option_refine_nbits(index);
	prefer_floats(meta);
}

void
qh_meta_set_ndims(QhMeta meta, uint32 ndims)
{
	QvCodecParams params;

	meta->ndims = ndims;
	prefer_floats(meta);
	qh_meta_params(meta, &params);
	meta->code_nbytes = code_nbytes(ndims, &params, "Codes of a higher \"compression\" hold more dimensions.");
	if (meta->refine_nbits != 0)
	{
		qh_meta_refine_params(meta, &params);
		meta->refine_nbytes = code_nbytes(ndims, &params, "Finer codes of fewer bits (\"refine\") hold more dimensions.");
	}
	qh_geometry_choose(meta);
}

void
qh_meta_init(QhMeta meta, Relation index, const QhColumn *column, const QhFilterColumns *filters)
{
	memset(meta, 0, sizeof(*meta));
	meta->magic = QH_MAGIC;
	meta->version = QH_FORMAT_VERSION;
	meta->metric = column->metric;
	qh_meta_choose_codes(meta, index, column);
	meta->m = qh_option_m(index);
	meta->ef_construction = qh_option_ef_construction(index);
	meta->hub_fraction = qh_option_hub_fraction(index);
	meta->m_low = qh_option_m_low(index);
	qh_meta_set_filters(meta, &filters->layout);
	meta->seed = QH_SEED;
	meta->added_head = QH_INVALID_NODE;
}

void
qh_build_set_params(QhBuild *build)
{
	build->graph_params = (QhBuildParams) {
		.m = build->meta.m,
		.ef_construction = build->meta.ef_construction,
		.seed = QH_SEED,
		.max_entries = QH_MAX_ENTRIES
	};
}

/* Let codes be measured from what was learned. */
static void
set_centres(const QhBuild *build, QvCodecParams *params)
{
	params->centroid = build->centroid;
	params->ncentres = build->meta.ncentres_built;
	params->centres = params->ncentres > 0 ? build->centroid + build->meta.ndims : NULL;
}

/* Bits are compared as they are, and so are a few floats. */
static bool
has_pair_codes(const QvCodecParams *params)
{
	return params->kind == QV_CODE_RABITQ || (params->kind == QV_CODE_FLOAT && params->ndims > FLOAT_PAIR_NDIMS);
}

void
qh_build_set_codecs(QhBuild *build)
{
	Size		scratch_nbytes;

	qh_meta_params(&build->meta, &build->params);
	set_centres(build, &build->params);
	build->codec = qv_codec_init(qh_alloc_aligned(build->cxt, qv_codec_sizeof(&build->params), 64),
								 &build->params);
	scratch_nbytes = qv_codec_scratch_nbytes(build->codec);
	if (build->meta.refine_nbits != 0)
	{
		qh_meta_refine_params(&build->meta, &build->refine_params);
		set_centres(build, &build->refine_params);
		build->refine_codec = qv_codec_init(qh_alloc_aligned(build->cxt, qv_codec_sizeof(&build->refine_params), 64),
											&build->refine_params);
		scratch_nbytes = Max(scratch_nbytes, qv_codec_scratch_nbytes(build->refine_codec));
	}
	if (has_pair_codes(&build->params))
	{
		build->pair_codec = qv_pair_codec_init(qh_alloc_aligned(build->cxt, qv_pair_codec_sizeof(&build->params), 64),
											   &build->params);
		build->pair_nbytes = qv_pair_code_nbytes(&build->params);
		scratch_nbytes = Max(scratch_nbytes, qv_pair_scratch_nbytes(build->pair_codec));
	}
	build->scratch = qh_alloc_aligned(build->cxt, scratch_nbytes, 64);
	build->graph_params.hubs = qh_meta_hubs(&build->meta);
	build->graph_params.fills_up = build->meta.metric == QV_METRIC_IP && build->meta.code_kind == QV_CODE_FLOAT;
}

void
qh_build_set_ndims(QhBuild *build, uint32 ndims)
{
	qh_meta_set_ndims(&build->meta, ndims);
	if (build->sample_ndims != ndims)
		build->centroid = NULL;
	/* floats are measured from nowhere, but for pairs of inner products */
	if (build->meta.code_kind == QV_CODE_FLOAT && build->meta.metric != QV_METRIC_IP)
		build->centroid = NULL;
	if (build->centroid == NULL || build->meta.code_kind == QV_CODE_FLOAT)
		build->meta.ncentres = build->meta.ncentres_built = 0;
	if (build->centroid != NULL)
		build->meta.nparam_pages = qh_meta_param_pages(&build->meta);
	qh_build_set_codecs(build);
}

/* ---- distances ---- */

static void
space_pair_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_codec_pair_block((const QvCodec *) ctx, rows, nrows, base, stride, n, dist);
}

static void
space_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_codec_pair((const QvCodec *) ctx, code, codes, n, dist);
}

static void
pairs_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	QvPairBlock block = {rows, nrows, base, n, stride};

	qv_pair_block((const QvPairCodec *) ctx, QV_PAIR_DISTANCE, &block, dist);
}

static void
pairs_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_pair_distances((const QvPairCodec *) ctx, QV_PAIR_DISTANCE, code, codes, n, dist);
}

static void
angles_block(const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist)
{
	QvPairBlock block = {rows, nrows, base, n, stride};

	qv_pair_block((const QvPairCodec *) ctx, QV_PAIR_ANGLE, &block, dist);
}

static void
angles_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_pair_distances((const QvPairCodec *) ctx, QV_PAIR_ANGLE, code, codes, n, dist);
}

static float
pair_length(const void *ctx, const uint8_t *code)
{
	return qv_pair_length((const QvPairCodec *) ctx, code);
}

QhSpace
qh_build_space(const QhBuild *build, const uint8 *codes, uint32 n)
{
	QhSpace		space = {.codes = codes, .stride = qh_build_link_nbytes(build), .n = n};

	if (build->pair_codec == NULL)
	{
		space.pair_block = space_pair_block;
		space.pair = space_pair;
		space.ctx = build->codec;
		return space;
	}
	space.pair_block = pairs_block;
	space.pair = pairs_pair;
	space.ctx = build->pair_codec;
	if (build->column->metric == QV_METRIC_IP)
	{
		space.place_block = angles_block;
		space.place = angles_pair;
		space.length = pair_length;
	}
	return space;
}

/* ---- progress ---- */

void
qh_build_report(QhSubphase subphase, uint64 done, uint64 total)
{
	const int	params[] = {
		PROGRESS_CREATEIDX_SUBPHASE,
		PROGRESS_CREATEIDX_TUPLES_TOTAL,
		PROGRESS_CREATEIDX_TUPLES_DONE
	};
	int64		values[] = {subphase, total, done};

	pgstat_progress_update_multi_param(3, params, values);
}
