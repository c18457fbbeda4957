/*
 * shards.c
 *		The steps of a build in shards: tasks, and the life of the temporary files.
 *
 * What is local to a shard is done by whoever takes it; participants share counters and files, and
 * nothing else.  A file for each step says what its tasks do.  See README.md, section "In shards".
 */
#include "postgres.h"

#include "build/shards_state.h"

/* ---- tasks ---- */

/* source is that of the step that writes. */
static void
do_task(QhBuild *build, uint32 task, QhSource *source)
{
	QhShards   *shards = build->shards;

	switch (shards->step)
	{
		case QH_STEP_DIVIDE:
			qh_shards_divide(build, task);
			break;
		case QH_STEP_BETWEEN:
			if (task == 0)
				qh_shards_link_sample(build);
			else
				qh_shards_link_between(build, 1 + (task - 1) / shards->plan->nshards,
									   (task - 1) % shards->plan->nshards);
			break;
		case QH_STEP_WITHIN:
			qh_shards_link_within(build, task);
			break;
		default:
			qh_shards_add_done(shards, qh_pages_write(shards->pages, build, task, source));
			qh_shards_report(build, shards->step);
			qh_task_end(build);
	}
}

void
qh_shards_work(QhBuild *build, QhShardsStep step)
{
	QhShards   *shards = build->shards;
	QhSource   *source = NULL;
	uint32		task;

	Assert(step != QH_STEP_SCAN);
	shards->step = step;
	if (step > QH_STEP_DIVIDE)
		qh_shards_number_slots(build);
	if (step == QH_STEP_WRITE)
		source = qh_shards_source(build);
	qh_shards_report(build, step);
	while ((task = pg_atomic_fetch_add_u32(&shards->shared->next[step], 1)) < qh_shards_ntasks(shards, step))
		do_task(build, task, source);
}

/* ---- files ---- */

/* Steps in which a partfile is written and, for the last time, read. */
static const struct
{
	QhShardsStep written;
	QhShardsStep read;
}			file_steps[QH_NFILES] = {
	[QH_FILE_ROWS] = {QH_STEP_SCAN, QH_STEP_DIVIDE},
	[QH_FILE_CODES] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[QH_FILE_PAIRS] = {QH_STEP_DIVIDE, QH_STEP_WITHIN},
	[QH_FILE_REFINE] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[QH_FILE_SLOTS] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[QH_FILE_RECORDS] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[QH_FILE_POSTINGS] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[QH_FILE_OFFERED] = {QH_STEP_DIVIDE, QH_STEP_BETWEEN},
	[QH_FILE_SAMPLE] = {QH_STEP_DIVIDE, QH_STEP_BETWEEN},
	[QH_FILE_LINKS] = {QH_STEP_BETWEEN, QH_STEP_WITHIN},
	[QH_FILE_GRAPH] = {QH_STEP_WITHIN, QH_STEP_WRITE},
};

void
qh_shards_end_step(QhBuild *build, QhShardsStep step)
{
	QhShards   *shards = build->shards;

	if (step == QH_STEP_SCAN)
	{
		pg_atomic_fetch_add_u64(&shards->shared->nrows, shards->nuncounted);
		shards->nuncounted = 0;
	}
	for (int i = 0; i < QH_NFILES; i++)
	{
		if (file_steps[i].written == step)
			qh_partfile_finish(shards->files[i]);
		if (file_steps[i].read == step)
			qh_partfile_close(shards->files[i]);
	}
	/* while others may still be busy with this step */
	if (step == QH_STEP_WITHIN && !build->worker && shards->pages->nslots > 0)
		qh_pages_extend(shards->pages, build);
}

void
qh_shards_forget(QhBuild *build, QhShardsStep step)
{
	for (int i = 0; i < QH_NFILES; i++)
		if (file_steps[i].read == step)
			qh_partfile_delete(build->shards->files[i]);
}

/* ---- the end ---- */

static int
compare_nodes(const void *a, const void *b)
{
	QhNode		x = *(const QhNode *) a;
	QhNode		y = *(const QhNode *) b;

	return (x > y) - (x < y);
}

void
qh_shards_complete(QhBuild *build)
{
	QhShards   *shards = build->shards;
	QhShardsShared *shared = shards->shared;
	int			nentries = (int) Min(pg_atomic_read_u32(&shared->nentries), QH_MAX_ENTRIES);

	build->meta.built_nnodes = shards->bases[qh_shards_count(shared)];
	build->meta.built_nrows = pg_atomic_read_u64(&shared->nrows);
	if (build->meta.built_nnodes == 0)
	{
		build->meta.nparam_pages = build->meta.ncentres = build->meta.ncentres_built = 0;
		qh_write_empty(build->index, MAIN_FORKNUM, &build->meta);
		return;
	}
	/* in which order participants added them is chance */
	qsort(shared->entries, nentries, sizeof(QhNode), compare_nodes);
	qh_pages_finish(shards->pages, build, shared->entries, nentries);
}

void
qh_shards_finish_alone(QhBuild *build)
{
	for (QhShardsStep step = QH_STEP_SCAN; step < QH_NSTEPS; step++)
	{
		if (step != QH_STEP_SCAN)
			qh_shards_work(build, step);
		qh_shards_end_step(build, step);
		qh_shards_forget(build, step);
	}
	qh_shards_complete(build);
}
