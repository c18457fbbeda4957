/*
 * table_scan.c
 *		The scan of the table: each row is encoded, and collected in memory or sent to its shard.
 *
 * Once the memory is full, the build goes on in shards.
 * See README.md, section "In memory".
 */
#include "postgres.h"

#include "access/tableam.h"
#include "build/batched_scan.h"
#include "build/build.h"
#include "build/dedup_codes.h"
#include "build/shards.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "pgstat.h"
#include "utils/memutils.h"

/* Codes and rows no longer fit in memory: go on in shards, alone. */
static void
go_on_in_shards(QhBuild *build)
{
	static const QhPartFileWriters alone = {NULL, 0, 1};
	QhSample	sample;
	QhShardsPlan plan;
	QhShardsShared *shared;

	qh_dedup_end(build->dedup);
	qh_sample_codes(build, &sample);
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

/* What the build needs in memory if no row comes any more. */
static Size
memory_used(const QhBuild *build)
{
	return MemoryContextMemAllocated(build->graph_cxt, true) + qh_dedup_end_nbytes(build->dedup) +
		qh_build_nbytes(build->dedup->nnodes, &build->graph_params, qh_build_link_nbytes(build)) +
		sizeof(uint32) * (Size) build->dedup->nnodes;
}

/* Collect a row in memory. */
static void
dedup_row(QhBuild *build, const void *data, const QhNewRow *row)
{
	QhDedup    *dedup = build->dedup;

	if (dedup == NULL)
	{
		dedup = build->dedup = MemoryContextAlloc(build->graph_cxt, sizeof(QhDedup));
		qh_dedup_init(dedup, build->graph_cxt, build, 0);
	}
	qh_build_encode(build, data, qh_dedup_codes(dedup));
	(void) qh_dedup_row(dedup, row);
}

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	QhBuild    *build = (QhBuild *) state;
	QhNewRow	row = {tid, build->record};
	MemoryContext old;
	QhValue		value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	if (qh_build_read_value(build, values[0], &value))
	{
		if (build->meta.filter_nbytes > 0)
			qh_form_record(&build->filters, values, isnull, build->record);
		if (build->shards != NULL)
			qh_shards_row(build, value.data, &row);
		else
			dedup_row(build, value.data, &row);
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
	QhBatchedScan rows = {build->heap, build->index, build->info, build_row, build, &build->meta.ndims};
	double		ntuples;

	qh_batched_begin(&rows);
	ntuples = qh_batched_table(&rows, true, !build->worker, scan);
	qh_batched_end(&rows);
	return ntuples;
}
