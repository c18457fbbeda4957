/*
 * build.h
 *		What the files of an index build share.
 *
 * A build gathers distinct codes with their rows (dedup_codes.c), in memory while they fit; then it links them
 * (build.c), or, divided into shards, does so through temporary files (shards.c, partitioned_file.c), alone or with
 * workers (parallel.c).  Pages are written (write.c) from either.  See README.md, section "Build".
 */
#ifndef QH_BUILD_H
#define QH_BUILD_H

#include "access/genam.h"
#include "access/tableam.h"
#include "build/partitioned_file.h"
#include "column/column.h"
#include "column/options.h"
#include "nodes/execnodes.h"
#include "store/geometry.h"
#include "store/memory.h"
#include "store/row_read.h"

/* Subphases of pg_stat_progress_create_index, after PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE = 1 */
typedef enum QhSubphase
{
	QH_SUBPHASE_SAMPLE = 2,
	QH_SUBPHASE_SCAN,
	QH_SUBPHASE_PARTITION,
	QH_SUBPHASE_CANDIDATES,
	QH_SUBPHASE_PRUNE,
	QH_SUBPHASE_REVERSE,
	QH_SUBPHASE_REACH,
	QH_SUBPHASE_DIVIDE,			/* these three where the table is built in shards */
	QH_SUBPHASE_BETWEEN,
	QH_SUBPHASE_WITHIN,
	QH_SUBPHASE_WRITE
} QhSubphase;

extern IndexBuildResult *qhnswbuild(Relation heap, Relation index, IndexInfo *info);
extern void qhnswbuildempty(Relation index);
extern char *qhnswbuildphasename(int64 phasenum);
/* Fill the parts of the metapage that follow from the dimension. */
extern void qh_meta_set_ndims(QhMeta meta, uint32 ndims);

typedef struct QhBuild QhBuild;
typedef struct QhShards QhShards;

/* ---- dedup_codes.c: distinct codes and their rows ---- */

/* Row pointers of a node with several: the posting slot that is being filled, and those before it, are a chain. */
typedef struct QhPostings
{
	uint32	   *open_of;		/* of a node: its place in open[], or QH_INVALID_NODE; NULL until there is one */
	uint8	   *open;			/* slots being filled, the heads of their chains */
	uint32		nopen;
	uint32		max_open;
	uint8	   *full;			/* slots that are full, numbered from 0; unless they go to a partfile */
	uint32		nfull;
	uint32		max_full;
	QhPartFile    *partfile;
	uint32		partfile_part;
} QhPostings;

typedef struct QhDedup
{
	MemoryContext cxt;
	Size		code_nbytes;
	Size		refine_nbytes;	/* 0 = no finer codes */
	Size		posting_nbytes;
	uint8	   *codes;			/* room for one more than nnodes; may move */
	uint8	   *refine_codes;
	ItemPointerData *tids;		/* first row of each node */
	uint32		nnodes;
	uint32		max_nodes;
	uint64		nrows;
	struct codeset_hash *hash;
	QhPostings	postings;
} QhDedup;

/* Nothing gathered yet; room is made for nnodes nodes, 0 where nobody knows. */
extern void qh_dedup_init(QhDedup *dedup, MemoryContext cxt, const QhMetaData *meta, uint32 nnodes);
/* Where the next row's code, and its finer code, are to be put. */
extern uint8 *qh_dedup_code(QhDedup *dedup);
extern uint8 *qh_dedup_refine(QhDedup *dedup);
/* Take the row whose code was put there.  True if the code is new: then the finer code is taken as well. */
extern bool qh_dedup_row(QhDedup *dedup, ItemPointer tid);
/* No row comes any more: the hash table is given back, and all posting slots are numbered. */
extern void qh_dedup_end(QhDedup *dedup);
/* Bytes that will take. */
extern Size qh_dedup_end_nbytes(const QhDedup *dedup);
/* What the row slot of a node holds; posting slots are called by their numbers. */
extern QhRowData qh_dedup_slot(const QhDedup *dedup, uint32 node);

/* ---- write.c: pages ---- */

/* Where the content of slots comes from.  Each function is asked for ids in ascending order as a rule, fill for those of each array. */
typedef struct QhSource
{
	uint32		nnodes;			/* posting slots follow them */
	/* Slot of a node in an array that has no links. */
	void		(*fill) (struct QhSource *source, QhArray array, uint32 id, uint8 *slot);
	/* Links of a node, QH_INVALID_NODE behind the last of 2m; returns how many. */
	int			(*links) (struct QhSource *source, uint32 id, QhLink *links);
	/* Posting slot id, nnodes or more. */
	void		(*posting) (struct QhSource *source, uint32 id, uint8 *slot);
} QhSource;

/* The pages that there will be, once the number of slots is known. */
typedef struct QhPages
{
	QhGeometry	geo;
	uint32		nslots;
	BlockNumber nblocks;
} QhPages;

extern void qh_pages_init(QhPages *pages, const QhBuild *build, uint32 nslots);
/* Make room for all of them: for one process, before any is written. */
extern void qh_pages_extend(const QhPages *pages, const QhBuild *build);
/* They are written, and logged, in batches, by whoever takes one; returns the number of pages in it. */
extern uint32 qh_pages_nbatches(const QhPages *pages);
extern uint32 qh_pages_write(const QhPages *pages, const QhBuild *build, uint32 batch, QhSource *source);
/* When all are: the head of the index, and what is free.  For one process. */
extern void qh_pages_finish(const QhPages *pages, const QhBuild *build, const QhNode *entries, int nentries);

/* Metapage, entry page and centroid alone: an index without nodes. */
extern void qh_write_empty(Relation index, ForkNumber fork, const QhMetaData *meta);

/* ---- build.c ---- */

struct QhBuild
{
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	const QhColumn *column;
	QhMetaData	meta;
	float	   *centroid;		/* NULL = origin */
	QvCodecParams params;
	QvCodec    *codec;			/* NULL until the dimension is known */
	QvCodecParams refine_params;
	QvCodec    *refine_codec;	/* NULL where there are no finer codes */
	void	   *scratch;

	MemoryContext cxt;			/* of what lasts; huge */
	MemoryContext graph_cxt;	/* of codes, rows and links; huge */
	MemoryContext row_cxt;		/* of one row's values */
	QhBuildParams graph_params;
	Size		memory_limit;	/* of all processes together */

	QhDedup   *dedup;			/* of a build in memory */
	QhShards   *shards;			/* of a build in shards, else NULL */
	uint32		sample_ndims;	/* of the centroid */
	bool		worker;			/* progress is the leader's to report */
	double		nindexed;		/* by this process */
};

/* What is known of a table from a look at some of its rows. */
typedef struct QhSample
{
	uint8	   *codes;			/* as they are put in the index */
	uint32		ncodes;
	double		nrows;			/* of the whole table, estimated */
} QhSample;

/* Bytes of n things, for an array: an error where there are too many for one, as may be where a Size has 32 bits. */
extern Size qh_build_array_nbytes(uint64 n, Size each);
/* Codes of rows all over the table, at most max. */
extern void qh_sample_codes(QhBuild *build, uint32 max, QhSample *sample);
/* What graphs are asked for, once the metapage says so. */
extern void qh_build_set_params(QhBuild *build);
/* Make codecs of the metapage and the centroid, once the dimension is in them. */
extern void qh_build_set_codecs(QhBuild *build);
/* A space over n codes. */
extern QhSpace qh_build_space(const QhBuild *build, const uint8 *codes, uint32 n);
/* Read the table and take its rows; scan is one shared with others, or NULL.  Returns the number of its tuples. */
extern double qh_build_scan(QhBuild *build, TableScanDesc scan);

/* ---- shards.c ---- */

/* What all participants of a build in shards share: no pointers, and sized by qh_shards_nbytes. */
typedef struct QhShardsShared QhShardsShared;

/* How the table is to be divided. */
typedef struct QhShardsPlan
{
	int			nparticipants;
	uint32		nshards;		/* of each division */
	uint32		max_shards;		/* of the first, where some may be divided again */
	uint32		coarse_step;	/* one node in so many is in the sample of coarse links */
	Size		code_nbytes;
	Size		chunk_nbytes;
} QhShardsPlan;

extern QhShardsPlan qh_shards_plan(const QhBuild *build, const QhSample *sample, int nparticipants);
extern Size qh_shards_nbytes(const QhShardsPlan *plan);
extern void qh_shards_init(QhShardsShared *shared, const QhShardsPlan *plan, const QhBuild *build, const QhSample *sample);

/* Take part: from now on build->shards is set, and rows go to the shards. */
extern void qh_shards_join(QhBuild *build, QhShardsShared *shared, const QhPartFileWriters *writers);

/* The steps, in each of which all participants take tasks until there are none; none begins before all have ended the one before. */
typedef enum QhShardsStep
{
	QH_STEP_SCAN = 0,
	QH_STEP_DIVIDE,				/* distinct codes of each shard, in order, offered to the other divisions */
	QH_STEP_BETWEEN,			/* links in the other divisions */
	QH_STEP_WITHIN,				/* the graph of each shard */
	QH_STEP_WRITE,				/* pages */
	QH_NSTEPS
} QhShardsStep;

/* Encode a value and send it to its shard. */
extern void qh_shards_row(QhBuild *build, const void *data, ItemPointer tid);
/* The same for what was gathered before. */
extern void qh_shards_take_dedup(QhBuild *build, const QhDedup *dedup);
/* All steps behind the scan by one process. */
extern void qh_shards_finish_alone(QhBuild *build);
/* Do this process's share of a step that is not the scan. */
extern void qh_shards_work(QhBuild *build, QhShardsStep step);
/* After a step: what was written can be read.  Then, once all have ended it: what is no longer needed goes. */
extern void qh_shards_end_step(QhBuild *build, QhShardsStep step);
extern void qh_shards_forget(QhBuild *build, QhShardsStep step);
/* Show what all participants have done of a step; true if that is all there is to do. */
extern bool qh_shards_report(QhBuild *build, QhShardsStep step);
/* After all steps: one process makes an index of the pages. */
extern void qh_shards_complete(QhBuild *build);
extern double qh_shards_nrows(const QhBuild *build);

/* ---- redivide.c: what is too large for one task ---- */

/* A part of a partfile that is nothing but records of one size, each of which has a code in it. */
typedef struct QhRecords
{
	QhPartFile    *partfile;
	uint32		part;
	Size		nbytes;			/* of one */
	Size		code_at;
} QhRecords;

extern uint64 qh_records_count(const QhRecords *records);
/* How many distinct codes there are, estimated. */
extern double qh_records_distinct(const QhBuild *build, const QhRecords *records);
/* Divide records by their codes into parts of a partfile of this process alone, which lives in cxt until it is closed and deleted. */
extern QhPartFile *qh_redivide(const QhBuild *build, const QhRecords *records, uint32 nparts, uint64 seed, MemoryContext cxt);

/* ---- parallel.c ---- */

/* Workers that the server's rules allow this build. */
extern int	qh_parallel_workers(const QhBuild *build);
/* Build with workers: true, and the number of the table's tuples; false where there are none to be had, with nothing done. */
extern bool qh_parallel_build(QhBuild *build, const QhSample *sample, int nworkers, double *ntuples);

#endif							/* QH_BUILD_H */
