/*
 * shards_task.c
 *		One task: its memory, its progress, and pieces where it is too large.
 *
 * Must not know what a task does.
 * See README.md, sections "In shards" and "Shards that came out too large".
 */
#include "postgres.h"

#include <math.h>

#include "build/shards_state.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * A task is divided again at most so many times: by then it is equal distances that are shared out
 * by hash; doc/decisions/0037.
 */
#define MAX_REDIVISIONS		4

/* Pieces of one task at most; doc/decisions/0037. */
#define MAX_PIECES			64

/* ---- memory and progress ---- */

void *
qh_task_alloc(QhBuild *build, uint64 n, Size each)
{
	return MemoryContextAllocHuge(build->shards->task_cxt, Max(qh_build_array_nbytes(n, each), 1));
}

/*
 * The graph room reports the progress of the piece at hand.  Nearly all time goes into candidates,
 * so only those are counted; what is left of the piece is added at its end.
 */
static void
task_progress(void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total)
{
	QhBuild    *build = (QhBuild *) ctx;
	QhShards   *shards = build->shards;
	uint32		now = total > 0 ? (uint32) (shards->task_n * (done / (double) total)) : 0;

	CHECK_FOR_INTERRUPTS();
	if (phase == QH_PHASE_CANDIDATES && now > shards->task_done && now <= shards->task_n)
	{
		qh_shards_add_done(shards, now - shards->task_done);
		shards->task_done = now;
	}
	qh_shards_report(build, shards->step);
}

QhBuildParams
qh_task_params(QhBuild *build, int division)
{
	QhBuildParams params = qh_division_params(&build->graph_params, division);

	params.progress = task_progress;
	params.progress_ctx = build;
	return params;
}

void
qh_task_begin_piece(QhBuild *build, uint32 n)
{
	build->shards->task_n = n;
	build->shards->task_done = 0;
}

void
qh_task_end_piece(QhBuild *build, uint32 n)
{
	QhShards   *shards = build->shards;

	qh_shards_add_done(shards, n - Min(n, shards->task_done));
	MemoryContextReset(shards->task_cxt);
	qh_shards_report(build, shards->step);
}

void
qh_task_end(QhBuild *build)
{
	pg_atomic_fetch_add_u32(&build->shards->shared->ended[build->shards->step], 1);
}

/* ---- pieces ---- */

uint32
qh_task_max_nodes(const QhBuild *build)
{
	Size		memory = build->memory_limit / build->shards->plan->nparticipants;
	Size		nnodes = memory / qh_shards_node_nbytes(build);

	return (uint32) Max(Min(nnodes, QH_MAX_NODES / 2), 2 * QH_MIN_SHARD_NODES);
}

uint32
qh_task_npieces(const QhBuild *build, double nnodes, int depth)
{
	uint32		max = qh_task_max_nodes(build);

	if (nnodes <= max || depth == MAX_REDIVISIONS)
		return 1;
	return (uint32) Min(ceil(nnodes / (max * QH_SHARD_HEADROOM)), MAX_PIECES);
}

void
qh_pieces_begin(QhPieces *pieces, QhBuild *build, const QhRecords *records, uint32 npieces, int depth)
{
	ereport(DEBUG1,
			(errmsg_internal("a shard of qhnsw index \"%s\" is divided again, into %u",
							 RelationGetRelationName(build->index), npieces)));
	pieces->cxt = AllocSetContextCreate(build->shards->cxt, "qhnsw pieces", ALLOCSET_DEFAULT_SIZES);
	pieces->records = *records;
	pieces->records.partfile = qh_redivide(build, records, npieces,
										   build->graph_params.seed + QH_NDIVISIONS + depth, pieces->cxt);
	pieces->records.part = 0;
}

void
qh_pieces_end(QhPieces *pieces)
{
	qh_partfile_close(pieces->records.partfile);
	qh_partfile_delete(pieces->records.partfile);
	MemoryContextDelete(pieces->cxt);
}
