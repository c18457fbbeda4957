/*
 * build.c
 *		Building an index: sample, scan, and the graph where all fits in memory.
 *
 * The codes of all rows are gathered in memory, the graph room links them, and the pages are
 * written.  With workers, or once maintenance_work_mem is full, the same is done shard by shard
 * (shards.c).  See README.md, section "Build".
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "build/build.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "common/pg_prng.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Rows whose mean is the centroid: its error is 1/sqrt of this many of the spread. Chosen by hand. */
#define SAMPLE_NROWS	4096
#define SAMPLE_NBLOCKS	512

/* Codes that shards are made from, and the share of memory that they may take; chosen by hand. */
#define SAMPLE_NCODES	16384
#define SAMPLE_SHARE	8

/* Tables with no more rows are built in one piece, which makes better graphs than shards and takes a few seconds at most; chosen by hand. */
#define ONE_PIECE_NROWS	50000

/* of rotations and random trees: any number does, and a fixed one makes builds repeatable */
#define QH_SEED			UINT64CONST(0x9E3779B97F4A7C15)

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

void
qh_meta_set_ndims(QhMeta meta, uint32 ndims)
{
	QvCodecParams params;
	const char *fault;

	meta->ndims = ndims;
	qh_meta_params(meta, &params);
	fault = qv_codec_params_fault(&params);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot index %u dimensions: %s", ndims, fault)));
	meta->code_nbytes = qv_codec_slot_nbytes(&params);
	if (meta->refine_nbits != 0)
	{
		qh_meta_refine_params(meta, &params);
		fault = qv_codec_params_fault(&params);
		if (fault != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("cannot index %u dimensions: %s", ndims, fault)));
		meta->refine_nbytes = qv_codec_slot_nbytes(&params);
	}
	qh_geometry_choose(meta);
}

static void
init_meta(QhMeta meta, Relation index, const QhColumn *column)
{
	memset(meta, 0, sizeof(*meta));
	meta->magic = QH_MAGIC;
	meta->version = QH_FORMAT_VERSION;
	meta->metric = column->metric;
	meta->code_kind = column->kind;
	meta->code_nbits = qh_option_code_nbits(index, column);
	meta->refine_nbits = qh_option_refine_nbits(index);
	meta->m = qh_option_m(index);
	meta->ef_construction = qh_option_ef_construction(index);
	meta->hub_fraction = qh_option_hub_fraction(index);
	meta->m_low = qh_option_m_low(index);
	meta->seed = QH_SEED;
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

void
qh_build_set_codecs(QhBuild *build)
{
	Size		scratch_nbytes;

	qh_meta_params(&build->meta, &build->params);
	build->params.centroid = build->centroid;
	build->codec = qv_codec_init(qh_alloc_aligned(build->cxt, qv_codec_sizeof(&build->params), 64),
								 &build->params);
	scratch_nbytes = qv_codec_scratch_nbytes(build->codec);
	if (build->meta.refine_nbits != 0)
	{
		qh_meta_refine_params(&build->meta, &build->refine_params);
		build->refine_params.centroid = build->centroid;
		build->refine_codec = qv_codec_init(qh_alloc_aligned(build->cxt, qv_codec_sizeof(&build->refine_params), 64),
											&build->refine_params);
		scratch_nbytes = Max(scratch_nbytes, qv_codec_scratch_nbytes(build->refine_codec));
	}
	build->scratch = qh_alloc_aligned(build->cxt, scratch_nbytes, 64);
	build->graph_params.hubs = qh_meta_hubs(&build->meta);
}

static void
set_ndims(QhBuild *build, uint32 ndims)
{
	qh_meta_set_ndims(&build->meta, ndims);
	if (build->sample_ndims != ndims)
		build->centroid = NULL;
	if (build->centroid != NULL)
		build->meta.nparam_pages = (ndims + QH_PARAM_NFLOATS - 1) / QH_PARAM_NFLOATS;
	qh_build_set_codecs(build);
}

/* Read a row's value, in the context of one row; the first one that can be indexed says the dimension.  False if this one cannot. */
static bool
read_indexable(QhBuild *build, Datum datum, QhValue *value)
{
	qh_column_read(build->column, datum, value);
	if (!qh_column_indexable(build->column, value, build->meta.ndims))
		return false;
	if (build->codec == NULL)
		set_ndims(build, value->ndims);
	return true;
}

/* ---- sample ---- */

/* A look at rows of blocks chosen at random, until there are enough. */
typedef struct Sampling
{
	QhBuild    *build;
	uint32		nwanted;
	uint32		ntaken;
	BlockNumber nblocks;		/* looked at */
} Sampling;

/* State of the callback begins with a Sampling. */
static void
sample_blocks(Sampling *sampling, uint64 seed, IndexBuildCallback callback)
{
	QhBuild    *build = sampling->build;
	BlockNumber nblocks = RelationGetNumberOfBlocks(build->heap);
	uint32		nstretches = Min(nblocks, SAMPLE_NBLOCKS);
	uint32		order[SAMPLE_NBLOCKS];
	pg_prng_state prng;

	pg_prng_seed(&prng, seed);

	/* one block of each of as many equal stretches of the table, the stretches in random order: the sample may fill early */
	for (uint32 i = 0; i < nstretches; i++)
	{
		uint32		j = (uint32) pg_prng_uint64_range(&prng, 0, i);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32 i = 0; i < nstretches && sampling->ntaken < sampling->nwanted; i++)
	{
		BlockNumber from = (BlockNumber) ((uint64) nblocks * order[i] / nstretches);
		BlockNumber to = (BlockNumber) ((uint64) nblocks * (order[i] + 1) / nstretches);
		BlockNumber blkno = (BlockNumber) pg_prng_uint64_range(&prng, from, to - 1);

		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(build->heap, build->index, build->info, false, false, false,
									 blkno, 1, callback, sampling, NULL);
		sampling->nblocks++;
	}
}

typedef struct CentroidSample
{
	Sampling	sampling;		/* first: the callback casts */
	double	   *sum;
	double		sum_norm2;
	double		max_norm2;
} CentroidSample;

static void
sample_for_centroid(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	CentroidSample *sample = (CentroidSample *) state;
	QhBuild    *build = sample->sampling.build;
	MemoryContext old;
	QhValue		value;
	double		factor = 1;
	const float *x;

	if (isnull[0] || !alive)
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	qh_column_read(build->column, values[0], &value);

	/* a dimension that differs is reported when the row is indexed, if it is */
	if ((sample->sum == NULL || value.ndims == build->sample_ndims) &&
		qh_column_indexable(build->column, &value, build->meta.ndims))
	{
		if (sample->sum == NULL)
		{
			build->sample_ndims = value.ndims;
			sample->sum = MemoryContextAllocZero(build->cxt, sizeof(double) * value.ndims);
		}
		x = value.data;
		if (build->column->metric == QV_METRIC_COSINE)
			factor = 1 / sqrt(value.norm2);
		for (uint32 i = 0; i < value.ndims; i++)
			sample->sum[i] += factor * x[i];
		sample->sum_norm2 += factor * factor * value.norm2;
		sample->max_norm2 = Max(sample->max_norm2, value.norm2);
		sample->sampling.ntaken++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);
}

/* The centroid is the mean of the rows on blocks chosen at random. */
static void
take_centroid(QhBuild *build)
{
	CentroidSample sample = {{build, SAMPLE_NROWS}};
	uint32		ntaken;

	sample_blocks(&sample.sampling, QH_SEED, sample_for_centroid);
	ntaken = sample.sampling.ntaken;
	if (ntaken == 0)
		return;

	build->centroid = MemoryContextAlloc(build->cxt, sizeof(float) * build->sample_ndims);
	build->meta.sample_spread = sample.sum_norm2 / ntaken;
	for (uint32 i = 0; i < build->sample_ndims; i++)
	{
		double		mean = sample.sum[i] / ntaken;

		build->centroid[i] = mean;
		build->meta.sample_spread -= mean * mean;
	}
	if (build->column->metric == QV_METRIC_IP)
		build->meta.max_norm = sqrt(sample.max_norm2);
}

typedef struct CodeSample
{
	Sampling	sampling;		/* first: the callback casts */
	QhSample   *out;
	uint32		max_per_block;
	BlockNumber block;			/* of the last row */
	uint32		ntaken_of_block;
	double		nrows;			/* seen */
} CodeSample;

static void
sample_code(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	CodeSample *sample = (CodeSample *) state;
	QhBuild    *build = sample->sampling.build;
	MemoryContext old;
	QhValue		value;

	if (isnull[0] || !alive)
		return;
	sample->nrows++;
	if (ItemPointerGetBlockNumber(tid) != sample->block)
		sample->ntaken_of_block = 0;
	sample->block = ItemPointerGetBlockNumber(tid);
	if (sample->ntaken_of_block == sample->max_per_block || sample->sampling.ntaken == sample->sampling.nwanted)
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	if (read_indexable(build, values[0], &value))
	{
		if (sample->out->codes == NULL)
			sample->out->codes = MemoryContextAllocHuge(build->cxt, qh_build_array_nbytes(sample->sampling.nwanted, build->meta.code_nbytes));
		qv_codec_encode(build->codec, value.data,
						sample->out->codes + build->meta.code_nbytes * (Size) sample->sampling.ntaken++, build->scratch);
		sample->ntaken_of_block++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);
}

void
qh_sample_codes(QhBuild *build, uint32 max, QhSample *out)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(build->heap);
	CodeSample	sample = {{build, max}, .out = out, .block = InvalidBlockNumber};

	sample.max_per_block = max / SAMPLE_NBLOCKS + 1;
	memset(out, 0, sizeof(*out));
	sample_blocks(&sample.sampling, QH_SEED + 1, sample_code);
	out->ncodes = sample.sampling.ntaken;
	if (sample.sampling.nblocks > 0)
		out->nrows = sample.nrows / sample.sampling.nblocks * nblocks;
}

/* ---- rows ---- */

static uint32
sample_size(const QhBuild *build)
{
	Size		code_nbytes = Max(build->meta.code_nbytes, 1);

	return (uint32) Max(Min(SAMPLE_NCODES, build->memory_limit / SAMPLE_SHARE / code_nbytes), 1024);
}

/* What is gathered no longer fits into memory: go on in shards, alone. */
static void
go_on_in_shards(QhBuild *build)
{
	static const QhPartFileWriters alone = {NULL, 0, 1};
	QhSample	sample;
	QhShardsPlan plan;
	QhShardsShared *shared;

	qh_dedup_end(build->dedup);
	qh_sample_codes(build, sample_size(build), &sample);
	sample.nrows = Max(sample.nrows, build->dedup->nrows);
	plan = qh_shards_plan(build, &sample, 1);
	shared = MemoryContextAllocHuge(build->cxt, qh_shards_nbytes(&plan));
	qh_shards_init(shared, &plan, build, &sample);
	if (sample.codes != NULL)
		pfree(sample.codes);
	qh_shards_join(build, shared, &alone);
	qh_shards_take_dedup(build, build->dedup);
	build->dedup = NULL;
	MemoryContextReset(build->graph_cxt);
}

static Size
memory_used(const QhBuild *build)
{
	return MemoryContextMemAllocated(build->graph_cxt, true) + qh_dedup_end_nbytes(build->dedup) +
		qh_build_nbytes(build->dedup->nnodes, &build->graph_params) + sizeof(uint32) * (Size) build->dedup->nnodes;
}

static void
dedup_row(QhBuild *build, const void *data, ItemPointer tid)
{
	QhDedup   *dedup = build->dedup;

	if (dedup == NULL)
	{
		dedup = build->dedup = MemoryContextAlloc(build->graph_cxt, sizeof(QhDedup));
		qh_dedup_init(dedup, build->graph_cxt, &build->meta, 0);
	}
	qv_codec_encode(build->codec, data, qh_dedup_code(dedup), build->scratch);
	if (build->refine_codec != NULL)
		qv_codec_encode(build->refine_codec, data, qh_dedup_refine(dedup), build->scratch);
	(void) qh_dedup_row(dedup, tid);
}

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	QhBuild    *build = (QhBuild *) state;
	MemoryContext old;
	QhValue		value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	if (read_indexable(build, values[0], &value))
	{
		if (build->shards != NULL)
			qh_shards_row(build, value.data, tid);
		else
			dedup_row(build, value.data, tid);
		build->nindexed++;
		if (build->shards == NULL)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) build->nindexed);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);

	if (build->dedup != NULL && (build->dedup->nrows & 1023) == 0 && memory_used(build) > build->memory_limit)
		go_on_in_shards(build);
}

double
qh_build_scan(QhBuild *build, TableScanDesc scan)
{
	return table_index_build_scan(build->heap, build->index, build->info, true, !build->worker, build_row, build, scan);
}

/* ---- a graph in memory ---- */

static void
report_phase(int64 subphase, uint64 done, uint64 total)
{
	const int	params[] = {
		PROGRESS_CREATEIDX_SUBPHASE,
		PROGRESS_CREATEIDX_TUPLES_TOTAL,
		PROGRESS_CREATEIDX_TUPLES_DONE
	};
	int64		values[] = {subphase, total, done};

	pgstat_progress_update_multi_param(3, params, values);
}

static void
graph_progress(void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total)
{
	CHECK_FOR_INTERRUPTS();
	report_phase(QH_SUBPHASE_PARTITION + (phase - QH_PHASE_PARTITION), done, total);
}

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

QhSpace
qh_build_space(const QhBuild *build, const uint8 *codes, uint32 n)
{
	return (QhSpace) {space_pair_block, space_pair, build->codec, codes, build->meta.code_nbytes, n};
}

typedef struct MemorySource
{
	QhSource	source;			/* first: the function casts */
	const QhDedup *dedup;
	const QhGraph *graph;
	uint32	   *rank;			/* id of a node by its position */
} MemorySource;

static int
links_from_memory(QhSource *source, uint32 id, QhLink *links)
{
	const MemorySource *from = (const MemorySource *) source;
	int			degree = from->graph->max_degree;
	const QhLink *own = from->graph->links + from->graph->order[id] * (Size) degree;
	int			n = 0;

	for (; n < degree && own[n] != QH_INVALID_NODE; n++)
		links[n] = from->rank[qh_link_node(own[n])] | (own[n] & QH_TREE_LINK);
	for (int i = n; i < degree; i++)
		links[i] = QH_INVALID_NODE;
	return n;
}

static void
posting_from_memory(QhSource *source, uint32 id, uint8 *slot)
{
	const QhDedup *dedup = ((const MemorySource *) source)->dedup;
	QhPosting	posting = (QhPosting) slot;

	memcpy(slot, dedup->postings.full + (id - source->nnodes) * dedup->posting_nbytes, dedup->posting_nbytes);
	if (posting->next != QH_INVALID_NODE)
		posting->next += source->nnodes;
}

static void
fill_from_memory(QhSource *source, QhArray array, uint32 id, uint8 *slot)
{
	const MemorySource *from = (const MemorySource *) source;
	const QhDedup *dedup = from->dedup;
	uint32		position = from->graph->order[id];

	if (array == QH_ARRAY_ROW)
	{
		QhRowData	row = qh_dedup_slot(dedup, position);

		if (row.flags == QH_ROW_POSTING)
			row = qh_row_posting(source->nnodes + qh_row_head(row));
		memcpy(slot, &row, sizeof(row));
	}
	else if (array == QH_ARRAY_CODE)
		memcpy(slot, dedup->codes + position * dedup->code_nbytes, dedup->code_nbytes);
	else
		memcpy(slot, dedup->refine_codes + position * dedup->refine_nbytes, dedup->refine_nbytes);
}

/* Write all pages alone. */
static void
write_index(QhBuild *build, QhSource *source, uint32 nslots, const QhNode *entries, int nentries)
{
	QhPages		pages;
	uint64		ndone = 0;

	qh_pages_init(&pages, build, nslots);
	report_phase(QH_SUBPHASE_WRITE, 0, pages.nblocks);
	qh_pages_extend(&pages, build);
	for (uint32 batch = 0; batch < qh_pages_nbatches(&pages); batch++)
	{
		ndone += qh_pages_write(&pages, build, batch, source);
		report_phase(QH_SUBPHASE_WRITE, ndone, pages.nblocks);
	}
	qh_pages_finish(&pages, build, entries, nentries);
}

/* Link the nodes gathered and write the index. */
static void
build_in_memory(QhBuild *build)
{
	QhDedup   *dedup = build->dedup;
	QhAlloc		alloc = qh_context_alloc(build->graph_cxt);
	QhBuildParams params = build->graph_params;
	MemorySource source = {.dedup = dedup};
	QhNode	   *entries;
	QhSpace		space;

	if (dedup == NULL)
	{
		/* nothing is written that would have to be trained or found again */
		build->meta.nparam_pages = 0;
		qh_write_empty(build->index, MAIN_FORKNUM, &build->meta);
		return;
	}
	qh_dedup_end(dedup);
	build->meta.built_nnodes = dedup->nnodes;
	build->meta.built_nrows = dedup->nrows;
	params.progress = graph_progress;
	space = qh_build_space(build, dedup->codes, dedup->nnodes);
	source.graph = qh_build(&alloc, &space, &params);
	source.rank = MemoryContextAllocHuge(build->graph_cxt, qh_build_array_nbytes(dedup->nnodes, sizeof(uint32)));
	for (uint32 i = 0; i < dedup->nnodes; i++)
		source.rank[source.graph->order[i]] = i;
	entries = MemoryContextAlloc(build->graph_cxt, sizeof(QhNode) * source.graph->nentries);
	for (int i = 0; i < source.graph->nentries; i++)
		entries[i] = source.rank[source.graph->entries[i]];
	source.source = (QhSource) {
		.nnodes = dedup->nnodes,
		.fill = fill_from_memory, .links = links_from_memory, .posting = posting_from_memory
	};
	write_index(build, &source.source, dedup->nnodes + dedup->postings.nfull, entries, source.graph->nentries);
}

/* ---- the whole ---- */

static void
begin_build(QhBuild *build)
{
	uint32		ndims;

	build->column = qh_column(build->index);
	build->cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw build", ALLOCSET_DEFAULT_SIZES);
	build->graph_cxt = AllocSetContextCreate(build->cxt, "qhnsw graph", ALLOCSET_DEFAULT_SIZES);
	build->row_cxt = AllocSetContextCreate(build->cxt, "qhnsw row", ALLOCSET_DEFAULT_SIZES);
	build->memory_limit = (Size) maintenance_work_mem * 1024;
	init_meta(&build->meta, build->index, build->column);
	qh_build_set_params(build);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_SAMPLE);
	ndims = qh_option_check(build->index, build->column);
	if (ndims > 0)
		build->meta.ndims = ndims;
	if (build->column->kind != QV_CODE_BITS)
		take_centroid(build);
	if (ndims > 0)
		set_ndims(build, ndims);
}

/* Does the table's owner say how many workers it is to have? */
static bool
workers_are_set(Relation heap)
{
	return RelationGetParallelWorkers(heap, -1) >= 0;
}

/* Build with workers if that is allowed and there is something for them to do. */
static bool
build_in_parallel(QhBuild *build, double *ntuples)
{
	int			nworkers = qh_parallel_workers(build);
	QhSample	sample;
	bool		built;

	if (nworkers == 0)
		return false;
	qh_sample_codes(build, sample_size(build), &sample);
	if (sample.ncodes == 0 || (sample.nrows <= ONE_PIECE_NROWS && !workers_are_set(build->heap)))
		return false;
	built = qh_parallel_build(build, &sample, nworkers, ntuples);
	pfree(sample.codes);
	return built;
}

IndexBuildResult *
qhnswbuild(Relation heap, Relation index, IndexInfo *info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	QhBuild		build = {heap, index, info};

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	begin_build(&build);
	if (!build_in_parallel(&build, &result->heap_tuples))
	{
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_SCAN);
		result->heap_tuples = qh_build_scan(&build, NULL);
		if (build.shards == NULL)
			build_in_memory(&build);
		else
			qh_shards_finish_alone(&build);
	}
	result->index_tuples = build.nindexed;
	MemoryContextDelete(build.cxt);
	return result;
}

void
qhnswbuildempty(Relation index)
{
	const QhColumn *column = qh_column(index);
	QhMetaData	meta;
	uint32		ndims = qh_option_check(index, column);

	init_meta(&meta, index, column);
	if (ndims > 0)
		qh_meta_set_ndims(&meta, ndims);
	qh_write_empty(index, INIT_FORKNUM, &meta);
}

char *
qhnswbuildphasename(int64 phasenum)
{
	switch (phasenum)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case QH_SUBPHASE_SAMPLE:
			return "sampling table";
		case QH_SUBPHASE_SCAN:
			return "encoding rows";
		case QH_SUBPHASE_PARTITION:
			return "partitioning codes";
		case QH_SUBPHASE_CANDIDATES:
			return "finding candidates";
		case QH_SUBPHASE_PRUNE:
			return "choosing links";
		case QH_SUBPHASE_REVERSE:
			return "adding reverse links";
		case QH_SUBPHASE_REACH:
			return "connecting graph";
		case QH_SUBPHASE_DIVIDE:
			return "dividing codes into shards";
		case QH_SUBPHASE_BETWEEN:
			return "finding links between shards";
		case QH_SUBPHASE_WITHIN:
			return "linking shards";
		case QH_SUBPHASE_WRITE:
			return "writing pages";
		default:
			return NULL;
	}
}
