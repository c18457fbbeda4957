/*
 * redivide.c
 *		A part of a partfile that is too large for one task is divided again.
 *
 * Shards are planned from a sample, which may be wrong where rows are not spread evenly over
 * blocks.  Must not know what records are for.
 * See README.md, section "Shards that came out too large".
 */
#include "postgres.h"

#include "build/redivide.h"
#include "common/hashfn.h"
#include "graph/shard.h"
#include "lib/hyperloglog.h"
#include "miscadmin.h"

/*
 * Codes that the cuts are learned from, fewer where they would take more than a share of memory: a few dozen a part suffice;
 * doc/decisions/0037.
 */
#define SAMPLE_NCODES		4096
#define SAMPLE_SHARE		64	/* for as many participants as there may be */
#define MIN_SAMPLE_NCODES	512

/*
 * Registers of the estimate of distinct codes, as a power of two: its error is 0.8%;
 * doc/decisions/0037.
 */
#define DISTINCT_BITS	14

uint64
qh_records_count(const QhRecords *records)
{
	return qh_partfile_part_nbytes(records->partfile, records->part) / records->nbytes;
}

double
qh_records_distinct(const QhBuild *build, const QhRecords *records)
{
	hyperLogLogState state;
	uint8	   *record = palloc(records->nbytes);
	double		ndistinct;

	initHyperLogLog(&state, DISTINCT_BITS);
	qh_partfile_rewind(records->partfile, records->part);
	while (qh_partfile_get(records->partfile, record, records->nbytes))
		addHyperLogLog(&state, hash_bytes(record + records->code_at, (int) build->meta.code_nbytes));
	ndistinct = estimateHyperLogLog(&state);
	freeHyperLogLog(&state);
	pfree(record);
	return ndistinct;
}

/* Codes at equal distances in the order of the records. */
static QhSpace
sample_records(const QhBuild *build, const QhRecords *records, MemoryContext cxt)
{
	Size		code_nbytes = qh_build_link_nbytes(build);
	Size		share = build->memory_limit / SAMPLE_SHARE;
	uint32		max = (uint32) Max(Min(SAMPLE_NCODES, share / code_nbytes), MIN_SAMPLE_NCODES);
	uint64		step = qh_records_count(records) / max + 1;
	uint8	   *codes = MemoryContextAllocHuge(cxt, code_nbytes * max);
	uint8	   *record = MemoryContextAlloc(cxt, records->nbytes);
	uint32		ncodes = 0;

	qh_partfile_rewind(records->partfile, records->part);
	for (uint64 i = 0; qh_partfile_get(records->partfile, record, records->nbytes); i++)
	{
		if (i % step == 0 && ncodes < max)
			memcpy(codes + code_nbytes * ncodes++, record + records->link_at, code_nbytes);
	}
	return qh_build_space(build, codes, ncodes);
}

QhPartFile *
qh_redivide(const QhBuild *build, const QhRecords *records, uint32 nparts, uint64 seed,
			MemoryContext cxt)
{
	static const QhPartFileWriters alone = {NULL, 0, 1};
	QhAlloc		alloc = qh_context_alloc(cxt);
	QhSpace		sample = sample_records(build, records, cxt);
	QhSplitter *splitter = MemoryContextAllocHuge(cxt, qh_splitter_nbytes(nparts, sample.stride));
	uint8	   *record = MemoryContextAlloc(cxt, records->nbytes);
	uint64	   *nchunks = MemoryContextAllocZero(cxt, sizeof(uint64));
	QhPartFile *partfile = qh_partfile_create(cxt, &alone, 0, nparts, BLCKSZ, nchunks);

	qh_splitter_init(splitter, &alloc, &sample, nparts, seed);
	qh_partfile_rewind(records->partfile, records->part);
	while (qh_partfile_get(records->partfile, record, records->nbytes))
	{
		uint32		part = qh_splitter_shard(splitter, &sample, record + records->link_at);

		qh_partfile_put(partfile, part, record, records->nbytes);
	}
	qh_partfile_finish(partfile);
	return partfile;
}
