/*
 * parallel.c
 *		Building an index with parallel workers.
 *
 * Workers are PostgreSQL's own.  They share a small piece of dynamic shared memory and a set of
 * temporary files.  The leader takes part in everything.  The scan is shared, and usage is
 * accounted, as in nbtsort.c.  Must not know what a step does.
 * See README.md, section "Parallel builds".
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "build/shards.h"
#include "catalog/index.h"
#include "catalog/pg_proc.h"
#include "column/batch_function.h"
#include "compat.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/barrier.h"
#include "storage/latch.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define KEY_SHARED			UINT64CONST(0x7168000000000001)
#define KEY_SHARDS			UINT64CONST(0x7168000000000002)
#define KEY_CENTROID		UINT64CONST(0x7168000000000003)
#define KEY_SCAN			UINT64CONST(0x7168000000000004)
#define KEY_QUERY_TEXT		UINT64CONST(0x7168000000000005)
#define KEY_WAL_USAGE		UINT64CONST(0x7168000000000006)
#define KEY_BUFFER_USAGE	UINT64CONST(0x7168000000000007)

/* A leader that waits shows progress so often, in ms.  Chosen by hand. */
#define REPORT_INTERVAL		100

typedef struct Shared
{
	Oid			heap_oid;
	Oid			index_oid;
	bool		concurrent;
	bool		has_centroid;
	QhMetaData	meta;
	uint64		memory_limit;
	int			nparticipants;
	SharedFileSet fileset;
	Barrier		barrier;		/* its phase is the QhShardsStep */

	slock_t		mutex;			/* protects the rest */
	double		ntuples;
	double		nindexed;
	bool		broken_hot_chain;	/* somebody met one: older snapshots must not use the index */
} Shared;

typedef struct Leader
{
	ParallelContext *pcxt;
	Snapshot	snapshot;
	Shared	   *shared;
	ParallelTableScanDesc scan;
	WalUsage   *wal_usage;
	BufferUsage *buffer_usage;
} Leader;

int
qh_parallel_workers(const QhBuild *build)
{
	/*
	 * looks at the table's size and its parallel_workers, at maintenance_work_mem, and whether
	 * expressions are safe
	 */
	int			nworkers = qh_planned_workers(build->heap, build->index, build->info);
	QhBatchFunction function;

	/* of the function that is called in the expression's place the server knows nothing */
	if (nworkers > 0 && qh_option_batch_function(build->index) != NULL)
	{
		qh_batch_function(build->index, &function);
		if (func_parallel(function.function) != PROPARALLEL_SAFE)
			return 0;
	}
	return nworkers;
}

/* ---- every participant ---- */

/* Take part in all steps that are not over yet. */
static void
participate(QhBuild *build, Shared *shared, ParallelTableScanDesc pscan, QhShardsStep step)
{
	while (step < QH_NSTEPS)
	{
		if (step == QH_STEP_SCAN)
		{
			double		ntuples = qh_build_scan(build, qh_table_beginscan_parallel(build->heap, pscan));

			SpinLockAcquire(&shared->mutex);
			shared->ntuples += ntuples;
			shared->nindexed += build->nindexed;
			if (build->info->ii_BrokenHotChain)
				shared->broken_hot_chain = true;
			SpinLockRelease(&shared->mutex);
		}
		else
			qh_shards_work(build, step);
		qh_shards_end_step(build, step);

		/* the leader shows what the others do */
		while (!build->worker && !qh_shards_report(build, step))
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, REPORT_INTERVAL, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
		(void) BarrierArriveAndWait(&shared->barrier, PG_WAIT_EXTENSION);
		if (!build->worker)
			qh_shards_forget(build, step);
		step++;
	}
	BarrierDetach(&shared->barrier);
}

PGDLLEXPORT void qh_parallel_build_main(dsm_segment *seg, shm_toc *toc);

void
qh_parallel_build_main(dsm_segment *seg, shm_toc *toc)
{
	Shared	   *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	QhPartFileWriters writers = {&shared->fileset, 1 + ParallelWorkerNumber, shared->nparticipants};
	QhBuild		build = {.worker = true};
	int			step;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	step = BarrierAttach(&shared->barrier);
	SharedFileSetAttach(&shared->fileset, seg);

	/* the locks that the leader holds */
	build.heap = table_open(shared->heap_oid, shared->concurrent ? ShareUpdateExclusiveLock : ShareLock);
	build.index = index_open(shared->index_oid, shared->concurrent ? RowExclusiveLock : AccessExclusiveLock);
	build.info = BuildIndexInfo(build.index);
	build.info->ii_Concurrent = shared->concurrent;
	build.column = qh_column(build.index);
	qh_filter_columns(build.index, &build.filters);
	build.cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw build", ALLOCSET_DEFAULT_SIZES);
	build.row_cxt = AllocSetContextCreate(build.cxt, "qhnsw row", ALLOCSET_DEFAULT_SIZES);
	build.memory_limit = shared->memory_limit;
	build.meta = shared->meta;
	if (shared->has_centroid)
		build.centroid = shm_toc_lookup(toc, KEY_CENTROID, false);
	qh_build_set_params(&build);
	qh_build_set_codecs(&build);
	qh_shards_join(&build, shm_toc_lookup(toc, KEY_SHARDS, false), &writers);

	InstrStartParallelQuery();
	participate(&build, shared, shm_toc_lookup(toc, KEY_SCAN, false), step);
	InstrEndParallelQuery(&((BufferUsage *) shm_toc_lookup(toc, KEY_BUFFER_USAGE, false))[ParallelWorkerNumber],
						  &((WalUsage *) shm_toc_lookup(toc, KEY_WAL_USAGE, false))[ParallelWorkerNumber]);

	index_close(build.index, NoLock);
	table_close(build.heap, NoLock);
}

/* ---- the leader ---- */

/* Somebody who runs out of shared memory should learn that there is another way. */
static void
hint_serial(void *arg)
{
	errhint("Set max_parallel_maintenance_workers to 0 to build without parallel workers.");
}

static void
estimate(ParallelContext *pcxt, Size nbytes)
{
	shm_toc_estimate_chunk(&pcxt->estimator, nbytes);
	shm_toc_estimate_keys(&pcxt->estimator, 1);
}

static void *
allocate(ParallelContext *pcxt, uint64 key, Size nbytes)
{
	void	   *p = shm_toc_allocate(pcxt->toc, nbytes);

	shm_toc_insert(pcxt->toc, key, p);
	return p;
}

/* Centroid and centres. */
static Size
centroid_nbytes(const QhBuild *build)
{
	return build->centroid != NULL ? sizeof(float) * (Size) qh_meta_param_nfloats(&build->meta) : 0;
}

static Size
query_nbytes(void)
{
	return debug_query_string != NULL ? strlen(debug_query_string) + 1 : 0;
}

static void
initialize_memory(QhBuild *build, Leader *leader, const QhShardsPlan *plan)
{
	ParallelContext *pcxt = leader->pcxt;
	ErrorContextCallback callback = {.callback = hint_serial};

	estimate(pcxt, sizeof(Shared));
	estimate(pcxt, qh_shards_nbytes(plan));
	estimate(pcxt, table_parallelscan_estimate(build->heap, leader->snapshot));
	estimate(pcxt, mul_size(sizeof(WalUsage), pcxt->nworkers));
	estimate(pcxt, mul_size(sizeof(BufferUsage), pcxt->nworkers));
	if (centroid_nbytes(build) > 0)
		estimate(pcxt, centroid_nbytes(build));
	if (query_nbytes() > 0)
		estimate(pcxt, query_nbytes());
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	InitializeParallelDSM(pcxt);
	error_context_stack = callback.previous;
}

static void
fill_memory(QhBuild *build, Leader *leader, const QhShardsPlan *plan)
{
	ParallelContext *pcxt = leader->pcxt;
	Shared	   *shared = allocate(pcxt, KEY_SHARED, sizeof(Shared));

	memset(shared, 0, sizeof(*shared));
	shared->heap_oid = RelationGetRelid(build->heap);
	shared->index_oid = RelationGetRelid(build->index);
	shared->concurrent = build->info->ii_Concurrent;
	shared->has_centroid = build->centroid != NULL;
	shared->meta = build->meta;
	shared->memory_limit = build->memory_limit;
	shared->nparticipants = plan->nparticipants;
	SharedFileSetInit(&shared->fileset, pcxt->seg);
	BarrierInit(&shared->barrier, 0);
	SpinLockInit(&shared->mutex);
	leader->shared = shared;

	leader->scan = allocate(pcxt, KEY_SCAN, table_parallelscan_estimate(build->heap, leader->snapshot));
	table_parallelscan_initialize(build->heap, leader->scan, leader->snapshot);
	leader->wal_usage = allocate(pcxt, KEY_WAL_USAGE, mul_size(sizeof(WalUsage), pcxt->nworkers));
	leader->buffer_usage = allocate(pcxt, KEY_BUFFER_USAGE, mul_size(sizeof(BufferUsage), pcxt->nworkers));
	if (centroid_nbytes(build) > 0)
		memcpy(allocate(pcxt, KEY_CENTROID, centroid_nbytes(build)), build->centroid, centroid_nbytes(build));
	if (query_nbytes() > 0)
		memcpy(allocate(pcxt, KEY_QUERY_TEXT, query_nbytes()), debug_query_string, query_nbytes());
}

static void
end_parallel(Leader *leader)
{
	WaitForParallelWorkersToFinish(leader->pcxt);
	for (int i = 0; i < leader->pcxt->nworkers_launched; i++)
		InstrAccumParallelQuery(&leader->buffer_usage[i], &leader->wal_usage[i]);
	if (IsMVCCSnapshot(leader->snapshot))
		UnregisterSnapshot(leader->snapshot);
	DestroyParallelContext(leader->pcxt);
	ExitParallelMode();
}

bool
qh_parallel_build(QhBuild *build, const QhSample *sample, int nworkers, double *ntuples)
{
	Leader		leader;
	QhShardsPlan plan;
	QhShardsShared *shards;
	QhPartFileWriters writers = {.self = 0};

	EnterParallelMode();
	leader.pcxt = CreateParallelContext("qvec", "qh_parallel_build_main", nworkers);
	leader.snapshot = build->info->ii_Concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	plan = qh_shards_plan(build, sample, 1 + leader.pcxt->nworkers);
	initialize_memory(build, &leader, &plan);
	if (leader.pcxt->seg == NULL)
	{
		/* no segment was to be had: as if no worker had been asked for */
		if (IsMVCCSnapshot(leader.snapshot))
			UnregisterSnapshot(leader.snapshot);
		DestroyParallelContext(leader.pcxt);
		ExitParallelMode();
		return false;
	}
	fill_memory(build, &leader, &plan);
	shards = allocate(leader.pcxt, KEY_SHARDS, qh_shards_nbytes(&plan));
	qh_shards_init(shards, &plan, build, sample);
	writers.fileset = &leader.shared->fileset;
	writers.n = plan.nparticipants;
	qh_shards_join(build, shards, &writers);

	/* before any worker, so that nobody can be through all steps alone */
	BarrierAttach(&leader.shared->barrier);
	LaunchParallelWorkers(leader.pcxt);
	ereport(DEBUG1,
			(errmsg_internal("qhnsw index \"%s\" is built with %d parallel workers",
							 RelationGetRelationName(build->index), leader.pcxt->nworkers_launched)));
	participate(build, leader.shared, leader.scan, QH_STEP_SCAN);
	qh_shards_complete(build);
	*ntuples = leader.shared->ntuples;
	build->nindexed = leader.shared->nindexed;
	if (leader.shared->broken_hot_chain)
		build->info->ii_BrokenHotChain = true;
	end_parallel(&leader);
	return true;
}
