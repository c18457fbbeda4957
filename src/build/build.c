/*
 * build.c
 *		The driver of an index build: sample, scan, link, write.
 *
 * The index is built in one piece where it fits in memory; in shards where it does not, and with
 * workers.  See README.md.
 */
#include "postgres.h"

#include "build/build.h"
#include "build/shards.h"
#include "build/write.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * Tables with no more rows are built in one piece, which makes better graphs than shards and takes
 * a few seconds at most; doc/decisions/0037.
 */
#define ONE_PIECE_NROWS	50000

static void
begin_build(QhBuild *build)
{
	uint32		ndims;

	qh_check_column_classes(build->index);
	build->column = qh_column(build->index);
	qh_filter_columns(build->index, &build->filters);
	build->cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw build", ALLOCSET_DEFAULT_SIZES);
	build->graph_cxt = AllocSetContextCreate(build->cxt, "qhnsw graph", ALLOCSET_DEFAULT_SIZES);
	build->row_cxt = AllocSetContextCreate(build->cxt, "qhnsw row", ALLOCSET_DEFAULT_SIZES);
	build->memory_limit = (Size) maintenance_work_mem * 1024;
	qh_meta_init(&build->meta, build->index, build->column, &build->filters);
	qh_build_set_params(build);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_SAMPLE);
	ndims = qh_option_check(build->index, build->column);
	if (ndims > 0)
		build->meta.ndims = ndims;
	if (build->column->kind != QV_CODE_BITS)
		qh_sample_centres(build);
	if (ndims > 0)
		qh_build_set_ndims(build, ndims);
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
	qh_sample_codes(build, &sample);
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
			qh_build_in_memory(&build);
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
	const QhColumn *column;
	QhFilterColumns filters;
	QhMetaData	meta;
	uint32		ndims;

	qh_check_column_classes(index);
	column = qh_column(index);
	ndims = qh_option_check(index, column);
	qh_filter_columns(index, &filters);
	qh_meta_init(&meta, index, column, &filters);
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
		case QH_SUBPHASE_TRAIN:
			return "training centres";
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
		case QH_SUBPHASE_CALIBRATE:
			return "measuring recall";
		case QH_SUBPHASE_RECODE:
			return "recoding rows";
		case QH_SUBPHASE_RELINK:
			return "linking recoded rows";
		default:
			return NULL;
	}
}
