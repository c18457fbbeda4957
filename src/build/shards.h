/*
 * shards.h
 *		A build in shards, as the scan, the driver and the workers see it.
 *
 * All participants take tasks of a step until there are none left; no step begins before all have
 * ended the one before.  See README.md, section "In shards".
 */
#ifndef QH_SHARDS_H
#define QH_SHARDS_H

#include "build/build.h"
#include "build/dedup_codes.h"
#include "build/partitioned_file.h"

/* ---- shards_plan.c ---- */

/* What all participants of a build in shards share: no pointers, and sized by qh_shards_nbytes. */
typedef struct QhShardsShared QhShardsShared;

/* How the table is to be divided. */
typedef struct QhShardsPlan
{
	int			nparticipants;
	uint32		nshards;		/* of each division */
	uint32		max_shards;		/* of the first, where some may be divided again */
	uint32		coarse_step;	/* one node in so many is in the sample of coarse links */
	Size		link_nbytes;	/* of the codes that nodes are linked by */
	Size		chunk_nbytes;
} QhShardsPlan;

extern QhShardsPlan qh_shards_plan(const QhBuild *build, const QhSample *sample, int nparticipants);
extern Size qh_shards_nbytes(const QhShardsPlan *plan);
extern void qh_shards_init(QhShardsShared *shared, const QhShardsPlan *plan, const QhBuild *build,
						   const QhSample *sample);
/* Take part: from now on build->shards is set, and rows go to the shards. */
extern void qh_shards_join(QhBuild *build, QhShardsShared *shared, const QhPartFileWriters *writers);

typedef enum QhShardsStep
{
	QH_STEP_SCAN = 0,
	QH_STEP_DIVIDE,				/* distinct codes of each shard, in order, offered to the other divisions */
	QH_STEP_BETWEEN,			/* links in the other divisions */
	QH_STEP_WITHIN,				/* the graph of each shard */
	QH_STEP_WRITE,				/* pages */
	QH_NSTEPS
} QhShardsStep;

/* ---- shards_progress.c ---- */

/* Show what all participants have done of a step; true if that is all there is to do. */
extern bool qh_shards_report(QhBuild *build, QhShardsStep step);

/* ---- shards_rows.c ---- */

/* Encode a value and send it to its shard. */
extern void qh_shards_row(QhBuild *build, const void *data, const QhNewRow *row);
/* The same for all rows that were collected in memory. */
extern void qh_shards_take_dedup(QhBuild *build, const QhDedup *dedup);

/* ---- shards.c ---- */

/* Do this process's share of a step that is not the scan. */
extern void qh_shards_work(QhBuild *build, QhShardsStep step);
/* This process has ended a step: what it wrote can be read. */
extern void qh_shards_end_step(QhBuild *build, QhShardsStep step);
/* All have ended the step: one process deletes the files that are no longer needed. */
extern void qh_shards_forget(QhBuild *build, QhShardsStep step);
/* After all steps: one process makes an index of the pages. */
extern void qh_shards_complete(QhBuild *build);
/* All steps after the scan, by one process. */
extern void qh_shards_finish_alone(QhBuild *build);

#endif							/* QH_SHARDS_H */
