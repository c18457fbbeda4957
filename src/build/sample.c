/*
 * sample.c
 *		A look at some rows of the table before it is indexed: the centroid and centres, and codes
 *		that shards are made from.
 *
 * Rows come from blocks chosen at random.  Must not know what the sample is used for.  See
 * README.md, section "Sample".
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "build/batched_scan.h"
#include "build/build.h"
#include "codec/training.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * Rows whose mean is the centroid: its error is 1/sqrt of this many of the spread;
 * doc/decisions/0037.  Centres are learned from them as well, as far as a share of memory holds
 * them.
 */
#define SAMPLE_NROWS	4096
#define SAMPLE_NBLOCKS	512
#define ROWS_SHARE		4

/* Rows of the table for each centre, at least; doc/decisions/0150. */
#define ROWS_PER_CENTRE 128

/*
 * Codes that shards are made from, and the share of memory that they may take; doc/decisions/0037.
 */
#define SAMPLE_NCODES	16384
#define SAMPLE_SHARE	8

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
	QhBatchedScan rows = {build->heap, build->index, build->info, callback, sampling, &build->meta.ndims};
	pg_prng_state prng;

	pg_prng_seed(&prng, seed);
	qh_batched_begin(&rows);

	/*
	 * One block of each of as many equal stretches of the table.  The stretches come in random
	 * order, for the sample may be full before the last.
	 */
	for (uint32 i = 0; i < nstretches; i++)
	{
		uint32		j = (uint32) pg_prng_uint64_range(&prng, 0, i);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32 i = 0; i < nstretches && sampling->ntaken + qh_batched_pending(&rows) < sampling->nwanted; i++)
	{
		BlockNumber from = (BlockNumber) ((uint64) nblocks * order[i] / nstretches);
		BlockNumber to = (BlockNumber) ((uint64) nblocks * (order[i] + 1) / nstretches);
		BlockNumber blkno = (BlockNumber) pg_prng_uint64_range(&prng, from, to - 1);

		CHECK_FOR_INTERRUPTS();
		qh_batched_block(&rows, blkno);
		sampling->nblocks++;
	}
	qh_batched_end(&rows);
}

/* ---- centroid and centres ---- */

typedef struct RowSample
{
	Sampling	sampling;		/* first: the callback casts */
	double	   *sum;
	double		sum_norm2;
	float	   *rows;			/* to learn centres from: the first of them */
	uint32		max_rows;
	uint32		nrows;
} RowSample;

/* Rows that are kept to learn centres from: no more than a share of memory holds. */
static uint32
kept_rows(const QhBuild *build, uint32 ndims)
{
	return (uint32) Min(SAMPLE_NROWS, build->memory_limit / ROWS_SHARE / (ndims * sizeof(float)));
}

/* Take a row into the sums, and if there is room, as it is. */
static void
add_row(RowSample *sample, const QhValue *value)
{
	QhBuild    *build = sample->sampling.build;
	const float *x = value->data;
	double		factor = build->column->metric == QV_METRIC_COSINE ? 1 / sqrt(value->norm2) : 1;

	if (sample->sum == NULL)
	{
		build->sample_ndims = value->ndims;
		sample->sum = MemoryContextAllocZero(build->cxt, sizeof(double) * value->ndims);
		sample->max_rows = kept_rows(build, value->ndims);
		sample->rows = MemoryContextAllocHuge(build->cxt, sizeof(float) * value->ndims * (Size) Max(sample->max_rows, 1));
	}
	for (uint32 i = 0; i < value->ndims; i++)
		sample->sum[i] += factor * x[i];
	sample->sum_norm2 += factor * factor * value->norm2;
	sample->sampling.ntaken++;
	if (sample->nrows < sample->max_rows)
	{
		float	   *row = sample->rows + (Size) value->ndims * sample->nrows++;

		for (uint32 i = 0; i < value->ndims; i++)
			row[i] = (float) (factor * x[i]);
	}
}

static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	RowSample  *sample = (RowSample *) state;
	QhBuild    *build = sample->sampling.build;
	MemoryContext old;
	QhValue		value;

	if (isnull[0] || !alive)
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	qh_column_read(build->column, values[0], &value);

	/* a dimension that differs is reported when the row is indexed, if it is */
	if ((sample->sum == NULL || value.ndims == build->sample_ndims) &&
		qh_column_indexable(build->column, &value, build->meta.ndims))
		add_row(sample, &value);
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);
}

static void
train_progress(void *arg)
{
	CHECK_FOR_INTERRUPTS();
}

/* The most centres that a table of this size is to have. */
static uint32
max_centres(const RowSample *sample)
{
	const Sampling *sampling = &sample->sampling;
	double		nrows = (double) sampling->ntaken / sampling->nblocks * RelationGetNumberOfBlocks(sampling->build->heap);

	return (uint32) Min(nrows / ROWS_PER_CENTRE, QV_TRAIN_MANY_MAX);
}

/*
 * Learn centres, which go behind the centroid.  How far rows are from what they are measured from
 * is noted in the metapage.
 */
static void
train(QhBuild *build, const RowSample *sample)
{
	uint32		ndims = build->sample_ndims;
	uint32		max = max_centres(sample);
	float	   *norm2 = palloc(sizeof(float) * Max(sample->nrows, 1));
	QvTraining	training = {.rows = sample->rows, .nrows = sample->nrows, .ndims = ndims, .seed = QH_SEED, .interrupt = train_progress};
	double		sum = 0;

	qh_build_report(QH_SUBPHASE_TRAIN, 0, 0);
	build->centroid = qh_alloc_more(build->cxt, build->centroid, sizeof(float) * (1 + max) * (Size) ndims);
	training.scratch = MemoryContextAllocHuge(build->cxt, qv_train_scratch_nbytes(sample->nrows, ndims, max));
	build->meta.ncentres_built = qv_train_many(&training, build->centroid, max, build->centroid + ndims, norm2);
	build->meta.ncentres = build->meta.ncentres_built;
	for (uint32 i = 0; i < sample->nrows; i++)
		sum += norm2[i];
	if (build->meta.ncentres > 0)
		build->meta.sample_spread = sum / sample->nrows;
	elog(DEBUG1, "index \"%s\": %u centres learned from %u rows", RelationGetRelationName(build->index), build->meta.ncentres, sample->nrows);
	pfree(training.scratch);
	pfree(norm2);
}

void
qh_sample_centres(QhBuild *build)
{
	RowSample	sample = {{build, SAMPLE_NROWS}};
	bool		is_ip = build->column->metric == QV_METRIC_IP;
	uint32		ntaken;

	sample_blocks(&sample.sampling, QH_SEED, sample_row);
	ntaken = sample.sampling.ntaken;
	if (ntaken == 0)
		return;

	/* inner products are measured from the origin */
	build->centroid = MemoryContextAllocZero(build->cxt, sizeof(float) * build->sample_ndims);
	build->meta.sample_spread = sample.sum_norm2 / ntaken;
	for (uint32 i = 0; i < build->sample_ndims && !is_ip; i++)
	{
		double		mean = sample.sum[i] / ntaken;

		build->centroid[i] = mean;
		build->meta.sample_spread -= mean * mean;
	}
	train(build, &sample);
	pfree(sample.rows);
	pfree(sample.sum);
}

/* ---- codes ---- */

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
	if (qh_build_read_value(build, values[0], &value))
	{
		if (sample->out->codes == NULL)
			sample->out->codes = MemoryContextAllocHuge(build->cxt, qh_build_array_nbytes(sample->sampling.nwanted,
																						qh_build_link_nbytes(build)));
		qh_build_encode_link(build, value.data,
							 sample->out->codes + qh_build_link_nbytes(build) * (Size) sample->sampling.ntaken++);
		sample->ntaken_of_block++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);
}

/* Codes that a sample has at most: a share of the memory, but at least a thousand or so. */
static uint32
sample_size(const QhBuild *build)
{
	Size		link_nbytes = Max(qh_build_link_nbytes(build), 1);

	return (uint32) Max(Min(SAMPLE_NCODES, build->memory_limit / SAMPLE_SHARE / link_nbytes), 1024);
}

void
qh_sample_codes(QhBuild *build, QhSample *out)
{
	uint32		max = sample_size(build);
	BlockNumber nblocks = RelationGetNumberOfBlocks(build->heap);
	CodeSample	sample = {{build, max}, .out = out, .block = InvalidBlockNumber};

	sample.max_per_block = max / SAMPLE_NBLOCKS + 1;
	memset(out, 0, sizeof(*out));
	sample_blocks(&sample.sampling, QH_SEED + 1, sample_code);
	out->ncodes = sample.sampling.ntaken;
	if (sample.sampling.nblocks > 0)
		out->nrows = sample.nrows / sample.sampling.nblocks * nblocks;
}
