/*
 * shards_state.h
 *		State of a build in shards: what the files shards*.c share, and nobody else knows.
 *
 * Participants share counters (QhShardsShared) and files, and nothing else.
 */
#ifndef QH_SHARDS_STATE_H
#define QH_SHARDS_STATE_H

#include "build/redivide.h"
#include "build/shards.h"
#include "build/write.h"
#include "graph/shard.h"
#include "port/atomics.h"

/* The partfiles of a build: what is written in one step and read in another.  A part a shard. */
typedef enum QhShardsFile
{
	QH_FILE_ROWS,				/* scan → divide: QhSentRow, code, finer code, code for pairs, record */
	QH_FILE_CODES,				/* divide → write, within where nodes are linked by them; in the order of ids, from here on */
	QH_FILE_PAIRS,				/* divide → within: codes for pairs */
	QH_FILE_REFINE,				/* divide → write */
	QH_FILE_SLOTS,				/* divide → write: row slots */
	QH_FILE_RECORDS,			/* divide → write: QhSentRecord, record */
	QH_FILE_POSTINGS,			/* divide → write: posting slots */
	QH_FILE_OFFERED,			/* divide → between; a part a shard of each other division: QhSentNode, code for links */
	QH_FILE_SAMPLE,				/* divide → between: QhSentNode, code for links */
	QH_FILE_LINKS,				/* between → within: QhSentLinks, ids */
	QH_FILE_GRAPH,				/* within → write: 2m links, QH_INVALID_NODE behind the last */
	QH_NFILES
} QhShardsFile;

typedef struct QhSentRow
{
	ItemPointerData tid;
} QhSentRow;

/* Before the record of a node's only row; where it has several, that means nothing. */
typedef struct QhSentRecord
{
	bool		single;
} QhSentRecord;

/* A record of QH_FILE_ROWS, and where in it the codes are. */
static inline Size
qh_sent_row_nbytes(const QhBuild *build)
{
	return sizeof(QhSentRow) + build->meta.code_nbytes + build->meta.refine_nbytes + build->pair_nbytes + build->meta.filter_nbytes;
}

static inline QhRowCodes
qh_sent_row_codes(const QhBuild *build, uint8 *row)
{
	uint8	   *code = row + sizeof(QhSentRow);
	uint8	   *refine = code + build->meta.code_nbytes;

	return (QhRowCodes) {code, refine, refine + build->meta.refine_nbytes};
}

typedef struct QhSentNode
{
	uint32		shard;			/* of the first division */
	uint32		place;			/* in it */
} QhSentNode;

typedef struct QhSentLinks
{
	uint32		place;			/* of the node in the shard */
	uint16		division;		/* that they are from; 0 = coarse links */
	uint16		n;
} QhSentLinks;

/* What is known of a shard of the first division once it is divided. */
typedef struct QhShard
{
	uint32		nnodes;
	uint32		npostings;
	uint32		nentries;		/* its first nodes */
} QhShard;

struct QhShardsShared
{
	QhShardsPlan plan;
	pg_atomic_uint32 next[QH_NSTEPS];	/* task to be taken */
	pg_atomic_uint32 ended[QH_NSTEPS];	/* tasks done */
	pg_atomic_uint64 done[QH_NSTEPS];	/* for the progress view: rows, nodes, or pages */
	pg_atomic_uint64 nrows;
	pg_atomic_uint32 nshards;	/* of the first division */
	pg_atomic_uint32 nentries_taken;	/* by shards, besides one for each */
	pg_atomic_uint32 nentries;
	QhNode		entries[QH_MAX_ENTRIES];
	/*
	 * then: shards; chunks written by each participant to each partfile; a splitter for each
	 * division
	 */
};

struct QhShards
{
	QhShardsShared *shared;
	const QhShardsPlan *plan;
	QhShard    *shards;
	QhSplitter *splitters[QH_NDIVISIONS];
	QhPartFile *files[QH_NFILES];
	MemoryContext cxt;			/* of files */
	MemoryContext task_cxt;		/* of the piece at hand */
	QhNode	   *bases;			/* nshards + 1; first ids, of nodes */
	QhNode	   *posting_bases;	/* the same of posting slots */
	QhPages	   *pages;
	uint8	   *row;			/* one record of QH_FILE_ROWS */

	/* progress of the task at hand */
	QhShardsStep step;
	uint32		task_n;			/* nodes */
	uint32		task_done;
	uint32		nuncounted;		/* rows */
};

/* ---- shards_plan.c ---- */

/*
 * Nodes that a shard has at least, whatever the memory: a leaf of the random trees is not much
 * smaller; doc/decisions/0037.
 */
#define QH_MIN_SHARD_NODES	4000

/*
 * Shards of a sample differ in size, by this much with some room: the cuts are medians of a few
 * dozen rows a shard.
 */
#define QH_SHARD_HEADROOM	0.7

/* Shards there can be more than were planned, where some are divided again; doc/decisions/0037. */
#define QH_SPARE_SHARDS(n)	((n) / 4 + 64)

/* Bytes a node of the largest of a shard's data, when its graph is made. */
extern Size qh_shards_node_nbytes(const QhBuild *build);

/* ---- shards_progress.c ---- */

/* Tasks of a step. */
extern uint32 qh_shards_ntasks(const QhShards *shards, QhShardsStep step);

/* Rows, nodes or pages of the step at hand are done. */
static inline void
qh_shards_add_done(QhShards *shards, uint64 n)
{
	pg_atomic_fetch_add_u64(&shards->shared->done[shards->step], n);
}

/* Shards of the first division; final once all are divided. */
static inline uint32
qh_shards_count(const QhShardsShared *shared)
{
	return pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &shared->nshards));
}

/* ---- shards_task.c ---- */

/* Parameters of the graph room for a task of a division; they report progress. */
extern QhBuildParams qh_task_params(QhBuild *build, int division);
/*
 * A task is one piece, or several where it is divided again; task memory is a piece's.  n is a
 * number of nodes.
 */
extern void qh_task_begin_piece(QhBuild *build, uint32 n);
extern void qh_task_end_piece(QhBuild *build, uint32 n);
extern void qh_task_end(QhBuild *build);
/* Room for n things, as long as the piece at hand. */
extern void *qh_task_alloc(QhBuild *build, uint64 n, Size each);

/* Nodes that a participant's share of memory holds. */
extern uint32 qh_task_max_nodes(const QhBuild *build);
/*
 * Pieces that a task of so many nodes is to be divided into; 1 if they fit.  depth: how often it
 * was divided already.
 */
extern uint32 qh_task_npieces(const QhBuild *build, double nnodes, int depth);

/* Records divided by their codes. */
typedef struct QhPieces
{
	MemoryContext cxt;			/* of their partfile */
	QhRecords	records;		/* part says which piece; 0 at first */
} QhPieces;

extern void qh_pieces_begin(QhPieces *pieces, QhBuild *build, const QhRecords *records, uint32 npieces, int depth);
extern void qh_pieces_end(QhPieces *pieces);

/*
 * ---- shards_divide.c, shards_between.c, shards_within.c: tasks of the steps of these names ----
 */

extern void qh_shards_divide(QhBuild *build, uint32 shard);
/* After the step divide: ids and pages follow from the sizes of all shards. */
extern void qh_shards_number_slots(QhBuild *build);
/* Coarse links, between the nodes of the sample. */
extern void qh_shards_link_sample(QhBuild *build);
/* Links between the nodes of a shard of another division than the first. */
extern void qh_shards_link_between(QhBuild *build, int division, uint32 shard);
/* The graph of a shard of the first division. */
extern void qh_shards_link_within(QhBuild *build, uint32 shard);

/* ---- shards_source.c ---- */

/* Content of slots out of the files of all shards.  It lives in the context of the files. */
extern QhSource *qh_shards_source(const QhBuild *build);

#endif							/* QH_SHARDS_STATE_H */
