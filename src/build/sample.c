/*
 * sample.c
 *		A look at some rows of the table before it is indexed: the centroid, and codes that shards
 *		are made from.
 *
 * Rows come from blocks chosen at random.  Must not know what the sample is used for.  See
 * README.md, section "Sample".
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "build/build.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * Rows whose mean is the centroid: its error is 1/sqrt of this many of the spread;
 * doc/decisions/0037.
 */
#define SAMPLE_NROWS	4096
#define SAMPLE_NBLOCKS	512

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
	pg_prng_state prng;

	pg_prng_seed(&prng, seed);

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

/* ---- the centroid ---- */

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

void
qh_sample_centroid(QhBuild *build)
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
																						build->meta.code_nbytes));
		qv_codec_encode(build->codec, value.data,
						sample->out->codes + build->meta.code_nbytes * (Size) sample->sampling.ntaken++, build->scratch);
		sample->ntaken_of_block++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);
}

/* Codes that a sample has at most: a share of the memory, but at least a thousand or so. */
static uint32
sample_size(const QhBuild *build)
{
	Size		code_nbytes = Max(build->meta.code_nbytes, 1);

	return (uint32) Max(Min(SAMPLE_NCODES, build->memory_limit / SAMPLE_SHARE / code_nbytes), 1024);
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
