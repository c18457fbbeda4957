/*
 * shards_progress.c
 *		How much there is to do in a step, and how much of it all participants have done.
 *
 * Must not know what a task does.  See README.md, section "Progress and interrupts".
 */
#include "postgres.h"

#include "build/shards_state.h"

/* The scan has no tasks: it is PostgreSQL that shares it out. */
uint32
qh_shards_ntasks(const QhShards *shards, QhShardsStep step)
{
	const QhShardsShared *shared = shards->shared;

	switch (step)
	{
		case QH_STEP_DIVIDE:
			return shared->plan.nshards;
		case QH_STEP_BETWEEN:
			return 1 + shared->plan.nshards * QH_NBETWEEN;
		case QH_STEP_WITHIN:
			return qh_shards_count(shared);
		case QH_STEP_WRITE:
			return qh_pages_nbatches(shards->pages);
		default:
			return 0;
	}
}

bool
qh_shards_report(QhBuild *build, QhShardsStep step)
{
	static const QhSubphase subphases[] = {
		QH_SUBPHASE_SCAN, QH_SUBPHASE_DIVIDE, QH_SUBPHASE_BETWEEN, QH_SUBPHASE_WITHIN, QH_SUBPHASE_WRITE
	};
	QhShards   *shards = build->shards;
	QhShardsShared *shared = shards->shared;
	uint64		nrows = pg_atomic_read_u64(&shared->nrows);
	uint64		total = nrows;
	uint64		done = pg_atomic_read_u64(&shared->done[step]);

	if (step == QH_STEP_SCAN)
	{
		total = 0;
		done = nrows;
	}
	else if (step == QH_STEP_BETWEEN)
		total *= QH_NBETWEEN;
	else if (step == QH_STEP_WRITE)
		total = shards->pages->nblocks;
	if (!build->worker)
		qh_build_report(subphases[step], done, total);
	return pg_atomic_read_u32(&shared->ended[step]) >= qh_shards_ntasks(shards, step);
}
