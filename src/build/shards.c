/*
 * shards.c
 *		Building an index in shards, through temporary files: by one process or by several.
 *
 * What is local to a shard is done by whoever takes it; participants share counters and files, and
 * nothing else.  The graph room says how a shard is linked.  See README.md, section "Build".
 */
#include "postgres.h"

#include <math.h>

#include "build/build.h"
#include "commands/progress.h"
#include "graph/shard.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "utils/memutils.h"

typedef enum Partfile
{
	SPOOL_ROWS,					/* scan → divide; a part a shard: SentRow, code, finer code */
	SPOOL_CODES,				/* divide → between, within, write; in the order of ids, from here on */
	SPOOL_REFINE,				/* divide → write */
	SPOOL_SLOTS,				/* divide → write: row slots */
	SPOOL_POSTINGS,				/* divide → write: posting slots */
	SPOOL_OFFERED,				/* divide → between; a part a shard of each other division: SentNode, code */
	SPOOL_SAMPLE,				/* divide → between: SentNode, code */
	SPOOL_LINKS,				/* between → within: SentLinks, ids */
	SPOOL_GRAPH,				/* within → write: 2m links, QH_INVALID_NODE behind the last */
	NSPOOLS
} Partfile;

/* Bytes of a chunk of a partfile: as many as memory allows. */
#define MIN_CHUNK_NBYTES	BLCKSZ
#define MAX_CHUNK_NBYTES	(8 * BLCKSZ)

/*
 * Nodes that a shard has at least, whatever the memory: a leaf of the random trees is not much smaller.  And shards there are
 * at most, so that each can have an entry point and the parts of the partfiles stay few.  Chosen by hand.
 */
#define MIN_SHARD_NODES		4000
#define MAX_SHARDS			1000

/* Shards of a sample differ in size, by this much with some room: by median cuts of a sample of a few dozen rows a shard. */
#define SHARD_HEADROOM		0.7

/*
 * What is too large for a task is divided again, at most so many times: by then it is equal distances that are shared out by hash. So
 * many more shards there can be than were planned.  Chosen by hand.
 */
#define MAX_REDIVISIONS		4
#define SPARE_SHARDS(n)		((n) / 4 + 64)

StaticAssertDecl(MAX_SHARDS + SPARE_SHARDS(MAX_SHARDS) < QH_MAX_ENTRIES, "each shard has an entry point");

/* One node in so many is in the sample of coarse links, or in twice, four times … as many where memory is short. */
#define COARSE_STEP			64

typedef struct SentRow
{
	ItemPointerData tid;
} SentRow;

typedef struct SentNode
{
	uint32		shard;			/* of the first division */
	uint32		place;			/* in it */
} SentNode;

typedef struct SentLinks
{
	uint32		place;			/* of the node in the shard */
	uint16		division;		/* that they are from; 0 = coarse links */
	uint16		n;
} SentLinks;

/* What is known of a shard of the first division once it is divided. */
typedef struct Shard
{
	uint32		nnodes;
	uint32		npostings;
	uint32		nentries;		/* its first nodes */
} Shard;

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
	/* then: shards; chunks written by each participant to each partfile; a splitter for each division */
};

struct QhShards
{
	QhShardsShared *shared;
	const QhShardsPlan *plan;
	Shard	   *shards;
	QhSplitter *splitters[QH_NDIVISIONS];
	QhPartFile    *partfiles[NSPOOLS];
	MemoryContext cxt;			/* of partfiles */
	MemoryContext task_cxt;
	QhNode	   *bases;			/* nshards + 1; first ids, of nodes */
	QhNode	   *posting_bases;	/* the same of posting slots */
	QhPages	   *pages;
	uint8	   *row;			/* one record of SPOOL_ROWS */

	/* progress of the task at hand */
	QhShardsStep step;
	uint32		task_n;			/* nodes */
	uint32		task_done;
	uint32		nuncounted;		/* rows */
};

/* ---- planning ---- */

/* Bytes a node of the largest of a shard's data, when its graph is made. */
static Size
node_nbytes(const QhBuild *build)
{
	Size		graph = qh_build_nbytes(100 * MIN_SHARD_NODES, &build->graph_params) / (100 * MIN_SHARD_NODES);
	int			max_degree = 2 * build->meta.m;
	Size		offered = (QH_NDIVISIONS * (sizeof(SentLinks) + sizeof(Size)) + QH_NBETWEEN * max_degree * sizeof(QhNode) / 2);
	Size		joined = qh_away_max(build->meta.m, MAX_SHARDS) * sizeof(QhNode) + max_degree * sizeof(QhNode) / 2;
	Size		divided = build->meta.refine_nbytes + QH_LINK_NBYTES(build->meta.m) + 64;

	return build->meta.code_nbytes + Max(Max(graph, offered) + joined, divided);
}

static Size
chunk_size(Size memory, uint32 nshards)
{
	Size		nbytes = MAX_CHUNK_NBYTES;

	while (nbytes > MIN_CHUNK_NBYTES && nbytes * nshards * QH_NBETWEEN > memory / 8)
		nbytes /= 2;
	return nbytes;
}

QhShardsPlan
qh_shards_plan(const QhBuild *build, const QhSample *sample, int nparticipants)
{
	QhShardsPlan plan = {.nparticipants = nparticipants, .code_nbytes = build->meta.code_nbytes, .coarse_step = COARSE_STEP};
	Size		memory = build->memory_limit / nparticipants;
	double		wanted = ceil(sample->nrows * node_nbytes(build) / (memory * SHARD_HEADROOM));
	double		max = Max(sample->nrows / MIN_SHARD_NODES, 1.0);

	/* alone, a build that fits would not be here; together, everybody should have something to do: shards are about equal */
	wanted = Max(wanted, Max(nparticipants, 2));
	plan.nshards = (uint32) Min(Min(wanted, max), MAX_SHARDS);
	plan.max_shards = plan.nshards + SPARE_SHARDS(plan.nshards);
	plan.chunk_nbytes = chunk_size(memory, plan.nshards);
	while (sample->nrows / plan.coarse_step * node_nbytes(build) > memory * SHARD_HEADROOM)
		plan.coarse_step *= 2;
	return plan;
}

static Size
shards_offset(void)
{
	return MAXALIGN(sizeof(QhShardsShared));
}

static Size
chunks_offset(const QhShardsPlan *plan)
{
	return shards_offset() + MAXALIGN(sizeof(Shard) * plan->max_shards);
}

static Size
splitter_offset(const QhShardsPlan *plan, int division)
{
	return chunks_offset(plan) + sizeof(uint64) * NSPOOLS * plan->nparticipants +
		division * MAXALIGN(qh_splitter_nbytes(plan->nshards, plan->code_nbytes));
}

Size
qh_shards_nbytes(const QhShardsPlan *plan)
{
	return splitter_offset(plan, QH_NDIVISIONS);
}

void
qh_shards_init(QhShardsShared *shared, const QhShardsPlan *plan, const QhBuild *build, const QhSample *sample)
{
	QhSpace		space = qh_build_space(build, sample->codes, sample->ncodes);
	QhAlloc		alloc = qh_context_alloc(CurrentMemoryContext);

	memset(shared, 0, splitter_offset(plan, 0));
	shared->plan = *plan;
	for (int i = 0; i < QH_NSTEPS; i++)
	{
		pg_atomic_init_u32(&shared->next[i], 0);
		pg_atomic_init_u32(&shared->ended[i], 0);
		pg_atomic_init_u64(&shared->done[i], 0);
	}
	pg_atomic_init_u64(&shared->nrows, 0);
	pg_atomic_init_u32(&shared->nshards, plan->nshards);
	pg_atomic_init_u32(&shared->nentries_taken, 0);
	pg_atomic_init_u32(&shared->nentries, 0);
	for (int division = 0; division < QH_NDIVISIONS; division++)
		qh_splitter_init((QhSplitter *) ((char *) shared + splitter_offset(plan, division)), &alloc, &space,
						 plan->nshards, build->graph_params.seed + division);
}

/* ---- taking part ---- */

static uint32
nparts(const QhShardsPlan *plan, Partfile partfile)
{
	if (partfile == SPOOL_OFFERED)
		return plan->nshards * QH_NBETWEEN;
	return partfile == SPOOL_ROWS ? plan->nshards : plan->max_shards;
}

void
qh_shards_join(QhBuild *build, QhShardsShared *shared, const QhPartFileWriters *writers)
{
	QhShards   *shards = MemoryContextAllocZero(build->cxt, sizeof(QhShards));
	uint64	   *nchunks = (uint64 *) ((char *) shared + chunks_offset(&shared->plan));

	shards->shared = shared;
	shards->plan = &shared->plan;
	shards->shards = (Shard *) ((char *) shared + shards_offset());
	for (int division = 0; division < QH_NDIVISIONS; division++)
		shards->splitters[division] = (QhSplitter *) ((char *) shared + splitter_offset(&shared->plan, division));
	shards->cxt = AllocSetContextCreate(build->cxt, "qhnsw partfiles", ALLOCSET_DEFAULT_SIZES);
	shards->task_cxt = AllocSetContextCreate(build->cxt, "qhnsw shard", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < NSPOOLS; i++)
		shards->partfiles[i] = qh_partfile_create(shards->cxt, writers, i, nparts(&shared->plan, i), shared->plan.chunk_nbytes,
											nchunks + i * shared->plan.nparticipants);
	shards->row = MemoryContextAlloc(shards->cxt, sizeof(SentRow) + build->meta.code_nbytes + build->meta.refine_nbytes);
	build->shards = shards;
}

/* ---- progress ---- */

static void
add_done(QhShards *shards, uint64 n)
{
	pg_atomic_fetch_add_u64(&shards->shared->done[shards->step], n);
}

/* Shards of the first division; final once all are divided. */
static uint32
count_shards(const QhShardsShared *shared)
{
	return pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &shared->nshards));
}

static uint32
ntasks(const QhShards *shards, QhShardsStep step)
{
	const QhShardsShared *shared = shards->shared;

	switch (step)
	{
		case QH_STEP_DIVIDE:
			return shared->plan.nshards;
		case QH_STEP_BETWEEN:
			return 1 + shared->plan.nshards * QH_NBETWEEN;
		case QH_STEP_WITHIN:
			return count_shards(shared);
		case QH_STEP_WRITE:
			return qh_pages_nbatches(shards->pages);
		default:
			return 0;
	}
}

bool
qh_shards_report(QhBuild *build, QhShardsStep step)
{
	static const int64 subphases[] = {QH_SUBPHASE_SCAN, QH_SUBPHASE_DIVIDE, QH_SUBPHASE_BETWEEN, QH_SUBPHASE_WITHIN, QH_SUBPHASE_WRITE};
	const int	params[] = {
		PROGRESS_CREATEIDX_SUBPHASE,
		PROGRESS_CREATEIDX_TUPLES_TOTAL,
		PROGRESS_CREATEIDX_TUPLES_DONE
	};
	QhShards   *shards = build->shards;
	QhShardsShared *shared = shards->shared;
	uint64		nrows = pg_atomic_read_u64(&shared->nrows);
	int64		values[3];

	values[0] = subphases[step];
	values[1] = nrows;
	values[2] = pg_atomic_read_u64(&shared->done[step]);
	if (step == QH_STEP_SCAN)
	{
		values[1] = 0;
		values[2] = nrows;
	}
	else if (step == QH_STEP_BETWEEN)
		values[1] *= QH_NBETWEEN;
	else if (step == QH_STEP_WRITE)
		values[1] = shards->pages->nblocks;
	if (!build->worker)
		pgstat_progress_update_multi_param(3, params, values);
	return pg_atomic_read_u32(&shared->ended[step]) >= ntasks(shards, step);
}

/*
 * The graph room's report of the task at hand.  Nearly all time goes into candidates, so those are what counts; what is left
 * of the task is added at its end.
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
		add_done(shards, now - shards->task_done);
		shards->task_done = now;
	}
	qh_shards_report(build, shards->step);
}

static QhBuildParams
task_params(QhBuild *build, int division)
{
	QhBuildParams params = qh_division_params(&build->graph_params, division);

	params.progress = task_progress;
	params.progress_ctx = build;
	return params;
}

/* A task is one piece, or several where it is divided again; memory is a piece's. */
static void
begin_piece(QhBuild *build, uint32 n)
{
	build->shards->task_n = n;
	build->shards->task_done = 0;
}

static void
end_piece(QhBuild *build, uint32 n)
{
	QhShards   *shards = build->shards;

	add_done(shards, n - Min(n, shards->task_done));
	MemoryContextReset(shards->task_cxt);
	qh_shards_report(build, shards->step);
}

static void
end_task(QhBuild *build)
{
	pg_atomic_fetch_add_u32(&build->shards->shared->ended[build->shards->step], 1);
}

/* Room for n things, as long as the piece at hand. */
static void *
task_alloc(QhBuild *build, uint64 n, Size each)
{
	return MemoryContextAllocHuge(build->shards->task_cxt, Max(qh_build_array_nbytes(n, each), 1));
}

/* ---- rows to shards ---- */

#define COUNT_ROWS		256

static void
send_row(QhBuild *build, ItemPointer tid)
{
	QhShards   *shards = build->shards;
	const uint8 *code = shards->row + sizeof(SentRow);
	QhSpace		space = qh_build_space(build, NULL, 0);
	uint32		shard = qh_splitter_shard(shards->splitters[0], &space, code);

	((SentRow *) shards->row)->tid = *tid;
	qh_partfile_put(shards->partfiles[SPOOL_ROWS], shard, shards->row,
				 sizeof(SentRow) + build->meta.code_nbytes + build->meta.refine_nbytes);
	if (++shards->nuncounted == COUNT_ROWS)
	{
		pg_atomic_fetch_add_u64(&shards->shared->nrows, shards->nuncounted);
		shards->nuncounted = 0;
		qh_shards_report(build, QH_STEP_SCAN);
	}
}

void
qh_shards_row(QhBuild *build, const void *data, ItemPointer tid)
{
	uint8	   *code = build->shards->row + sizeof(SentRow);

	qv_codec_encode(build->codec, data, code, build->scratch);
	if (build->refine_codec != NULL)
		qv_codec_encode(build->refine_codec, data, code + build->meta.code_nbytes, build->scratch);
	send_row(build, tid);
}

static void
send_dedup(QhBuild *build, const QhDedup *dedup, uint32 node, ItemPointer tid)
{
	uint8	   *code = build->shards->row + sizeof(SentRow);

	memcpy(code, dedup->codes + node * dedup->code_nbytes, dedup->code_nbytes);
	if (dedup->refine_nbytes > 0)
		memcpy(code + dedup->code_nbytes, dedup->refine_codes + node * dedup->refine_nbytes, dedup->refine_nbytes);
	send_row(build, tid);
}

void
qh_shards_take_dedup(QhBuild *build, const QhDedup *dedup)
{
	for (uint32 node = 0; node < dedup->nnodes; node++)
	{
		QhRowData	row = qh_dedup_slot(dedup, node);
		uint32		slot = QH_INVALID_NODE;

		CHECK_FOR_INTERRUPTS();
		if (row.flags == QH_ROW_POSTING)
			slot = qh_row_head(row);
		else
			send_dedup(build, dedup, node, &dedup->tids[node]);
		while (slot != QH_INVALID_NODE)
		{
			QhPosting	posting = (QhPosting) (dedup->postings.full + slot * dedup->posting_nbytes);

			for (int i = 0; i < posting->ntids; i++)
				send_dedup(build, dedup, node, &posting->tids[i]);
			slot = posting->next;
		}
	}
}

/* ---- what is too large for one task ---- */

/* Nodes that a participant's share of memory holds. */
static uint32
max_piece_nodes(const QhBuild *build)
{
	Size		nnodes = build->memory_limit / build->shards->plan->nparticipants / node_nbytes(build);

	return (uint32) Max(Min(nnodes, QH_MAX_NODES / 2), 2 * MIN_SHARD_NODES);
}

/* Pieces that so many nodes are to be divided into; 1 if they fit. */
static uint32
count_pieces(const QhBuild *build, double nnodes, int depth)
{
	uint32		max = max_piece_nodes(build);

	if (nnodes <= max || depth == MAX_REDIVISIONS)
		return 1;
	return (uint32) Min(ceil(nnodes / (max * SHARD_HEADROOM)), SPARE_SHARDS(0));
}

typedef struct Pieces
{
	MemoryContext cxt;
	QhRecords	records;		/* part says which piece */
} Pieces;

static void
begin_pieces(QhBuild *build, const QhRecords *records, uint32 npieces, int depth, Pieces *pieces)
{
	ereport(DEBUG1,
			(errmsg_internal("a shard of qhnsw index \"%s\" is divided again, into %u", RelationGetRelationName(build->index), npieces)));
	pieces->cxt = AllocSetContextCreate(build->shards->cxt, "qhnsw pieces", ALLOCSET_DEFAULT_SIZES);
	pieces->records = *records;
	pieces->records.partfile = qh_redivide(build, records, npieces, build->graph_params.seed + QH_NDIVISIONS + depth, pieces->cxt);
	pieces->records.part = 0;
}

static void
end_pieces(Pieces *pieces)
{
	qh_partfile_close(pieces->records.partfile);
	qh_partfile_delete(pieces->records.partfile);
	MemoryContextDelete(pieces->cxt);
}

/* ---- dividing: distinct codes, their order, and whom they are offered to ---- */

static void
dedup_shard(QhBuild *build, const QhRecords *records, uint32 shard, QhDedup *dedup)
{
	QhShards   *shards = build->shards;
	QhPartFile    *rows = records->partfile;
	uint64		nrows = qh_records_count(records);
	SentRow		sent;

	/* rows may be many and their codes few, so no more room is made at once than a shard should need */
	qh_dedup_init(dedup, shards->task_cxt, &build->meta, (uint32) Min(nrows, max_piece_nodes(build)));
	dedup->postings.partfile = shards->partfiles[SPOOL_POSTINGS];
	dedup->postings.partfile_part = shard;
	qh_partfile_rewind(rows, records->part);
	while (qh_partfile_get(rows, &sent, sizeof(sent)))
	{
		qh_partfile_get_rest(rows, qh_dedup_code(dedup), dedup->code_nbytes);
		if (dedup->refine_nbytes > 0)
			qh_partfile_get_rest(rows, qh_dedup_refine(dedup), dedup->refine_nbytes);
		(void) qh_dedup_row(dedup, &sent.tid);
	}
	qh_dedup_end(dedup);
}

/* Give a node to the other divisions, and to the sample. */
static void
offer_node(QhBuild *build, SentNode sent, const uint8 *code)
{
	QhShards   *shards = build->shards;
	QhSpace		space = qh_build_space(build, NULL, 0);

	for (int i = 0; i < QH_NBETWEEN; i++)
	{
		uint32		part = i * shards->plan->nshards + qh_splitter_shard(shards->splitters[1 + i], &space, code);

		qh_partfile_put(shards->partfiles[SPOOL_OFFERED], part, &sent, sizeof(sent));
		qh_partfile_put(shards->partfiles[SPOOL_OFFERED], part, code, build->meta.code_nbytes);
	}
	if (sent.place % shards->plan->coarse_step == shards->plan->coarse_step / 2)
	{
		qh_partfile_put(shards->partfiles[SPOOL_SAMPLE], sent.shard, &sent, sizeof(sent));
		qh_partfile_put(shards->partfiles[SPOOL_SAMPLE], sent.shard, code, build->meta.code_nbytes);
	}
}

/* Numbers for as many as n more shards; *n is how many there are. */
static uint32
number_shards(QhShardsShared *shared, uint32 *n)
{
	uint32		first = pg_atomic_read_u32(&shared->nshards);
	uint32		wanted = *n;

	do
		*n = Min(wanted, shared->plan.max_shards - first);
	while (!pg_atomic_compare_exchange_u32(&shared->nshards, &first, first + *n));
	return first;
}

/*
 * Entry points of a shard of n nodes: its share of those of the whole graph were all shards alike, one at least.  The
 * sum is no more than that of shards that are; where shards were divided again there is one left for each.
 */
static uint32
take_entries(const QhShards *shards, uint32 n)
{
	uint32		room = QH_MAX_ENTRIES - shards->plan->max_shards;
	uint32		nshards = shards->plan->nshards;
	uint32		more = qh_entries_wanted((uint64) n * nshards, (int) room) / nshards;
	uint32		taken;

	if (n == 0)
		return 0;
	if (more > 0)
		more--;
	taken = pg_atomic_fetch_add_u32(&shards->shared->nentries_taken, more);
	return 1 + (taken < room ? Min(more, room - taken) : 0);
}

/* Put the nodes gathered in order, and send them where they are needed. */
static void
send_nodes(QhBuild *build, const QhDedup *dedup, uint32 shard)
{
	static const Partfile own[] = {SPOOL_CODES, SPOOL_REFINE, SPOOL_SLOTS, SPOOL_POSTINGS, SPOOL_SAMPLE};
	QhShards   *shards = build->shards;
	QhAlloc		alloc = qh_context_alloc(shards->task_cxt);
	QhBuildParams params = task_params(build, 0);
	QhSpace		space = qh_build_space(build, dedup->codes, dedup->nnodes);
	QhNode	   *order = task_alloc(build, dedup->nnodes, sizeof(QhNode));

	shards->shards[shard].nentries = take_entries(shards, dedup->nnodes);
	qh_build_order(&alloc, &space, &params, (int) shards->shards[shard].nentries, order);
	for (uint32 i = 0; i < dedup->nnodes; i++)
	{
		const uint8 *code = dedup->codes + order[i] * dedup->code_nbytes;
		QhRowData	row = qh_dedup_slot(dedup, order[i]);

		CHECK_FOR_INTERRUPTS();
		qh_partfile_put(shards->partfiles[SPOOL_CODES], shard, code, dedup->code_nbytes);
		qh_partfile_put(shards->partfiles[SPOOL_SLOTS], shard, &row, sizeof(row));
		if (dedup->refine_nbytes > 0)
			qh_partfile_put(shards->partfiles[SPOOL_REFINE], shard, dedup->refine_codes + order[i] * dedup->refine_nbytes, dedup->refine_nbytes);
		offer_node(build, (SentNode) {shard, i}, code);
	}
	for (int i = 0; i < lengthof(own); i++)
		qh_partfile_end_part(shards->partfiles[own[i]], shard);
}

static void
divide_rows(QhBuild *build, const QhRecords *rows, uint32 shard, int depth)
{
	QhShards   *shards = build->shards;
	uint32		npieces = 1;
	QhDedup	dedup;

	/* many rows may be few nodes */
	if (count_pieces(build, (double) qh_records_count(rows), depth) > 1)
		npieces = count_pieces(build, qh_records_distinct(build, rows), depth);
	if (npieces > 1)
	{
		uint32		nmore = npieces - 1;
		uint32		first = number_shards(shards->shared, &nmore);

		if (nmore > 0)
		{
			Pieces		pieces;

			begin_pieces(build, rows, 1 + nmore, depth, &pieces);
			divide_rows(build, &pieces.records, shard, depth + 1);
			for (pieces.records.part = 1; pieces.records.part <= nmore; pieces.records.part++)
				divide_rows(build, &pieces.records, first + pieces.records.part - 1, depth + 1);
			end_pieces(&pieces);
			return;
		}
	}
	begin_piece(build, 0);
	dedup_shard(build, rows, shard, &dedup);
	send_nodes(build, &dedup, shard);
	shards->shards[shard].nnodes = dedup.nnodes;
	shards->shards[shard].npostings = dedup.postings.nfull;
	end_piece(build, (uint32) dedup.nrows);
}

static void
divide_shard(QhBuild *build, uint32 shard)
{
	QhRecords	rows = {build->shards->partfiles[SPOOL_ROWS], shard};

	rows.nbytes = sizeof(SentRow) + build->meta.code_nbytes + build->meta.refine_nbytes;
	rows.code_at = sizeof(SentRow);
	divide_rows(build, &rows, shard, 0);
	end_task(build);
}

/* Add up the shards: all are divided, so it is known which ids there are, and which pages. */
static void
number_slots(QhBuild *build)
{
	QhShards   *shards = build->shards;
	uint32		nshards = count_shards(shards->shared);
	uint64		nslots = 0;

	if (shards->bases != NULL)
		return;
	shards->bases = MemoryContextAlloc(shards->cxt, sizeof(QhNode) * (nshards + 1));
	shards->posting_bases = MemoryContextAlloc(shards->cxt, sizeof(QhNode) * (nshards + 1));
	shards->pages = MemoryContextAlloc(shards->cxt, sizeof(QhPages));
	for (uint32 i = 0; i < nshards; i++)
	{
		shards->bases[i] = nslots;
		nslots += shards->shards[i].nnodes;
		if (nslots > QH_MAX_NODES / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("index \"%s\" cannot hold more than %u nodes",
							RelationGetRelationName(build->index), QH_MAX_NODES / 2)));
	}
	shards->bases[nshards] = nslots;
	for (uint32 i = 0; i < nshards; i++)
	{
		shards->posting_bases[i] = nslots;
		nslots += shards->shards[i].npostings;
		/* each shard kept to this for itself (put_by): ids must not run over, nor into what marks a tree link */
		if (nslots - shards->bases[nshards] > QH_MAX_NODES / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("index \"%s\" cannot hold more than %u lists of row pointers",
							RelationGetRelationName(build->index), QH_MAX_NODES / 2)));
	}
	shards->posting_bases[nshards] = nslots;
	qh_pages_init(shards->pages, build, nslots);
}

/* ---- between: links to other shards ---- */

/* Nodes with their codes, out of parts of a partfile. */
typedef struct Nodes
{
	SentNode   *sent;
	uint8	   *codes;
	uint32		n;
	uint64		max;
} Nodes;

static void
read_nodes(QhBuild *build, QhPartFile *partfile, uint32 part, Nodes *nodes)
{
	Size		code_nbytes = build->meta.code_nbytes;

	qh_partfile_rewind(partfile, part);
	while (qh_partfile_get(partfile, &nodes->sent[nodes->n], sizeof(SentNode)))
	{
		Assert(nodes->n < nodes->max);
		qh_partfile_get_rest(partfile, nodes->codes + nodes->n * code_nbytes, code_nbytes);
		nodes->n++;
	}
}

static void
make_nodes(QhBuild *build, uint64 nbytes, Nodes *nodes)
{
	nodes->n = 0;
	nodes->max = nbytes / (sizeof(SentNode) + build->meta.code_nbytes);
	/* one more: where the end of the partfile is met */
	nodes->sent = task_alloc(build, nodes->max + 1, sizeof(SentNode));
	nodes->codes = task_alloc(build, nodes->max + 1, build->meta.code_nbytes);
}

/* Send the links of a graph between these nodes to the shards that they belong to. */
static void
send_links(QhBuild *build, const QhGraph *graph, const Nodes *nodes, uint16 division)
{
	QhShards   *shards = build->shards;
	QhNode		ids[2 * QH_MAX_M];

	Assert(graph->max_degree <= lengthof(ids) && graph->n <= nodes->n);
	for (uint32 i = 0; i < graph->n; i++)
	{
		const QhLink *links = graph->links + i * (Size) graph->max_degree;
		SentLinks	sent = {nodes->sent[i].place, division, 0};

		CHECK_FOR_INTERRUPTS();
		for (; sent.n < graph->max_degree && links[sent.n] != QH_INVALID_NODE; sent.n++)
		{
			const SentNode *target = &nodes->sent[qh_link_node(links[sent.n])];

			ids[sent.n] = shards->bases[target->shard] + target->place;
		}
		qh_partfile_put(shards->partfiles[SPOOL_LINKS], nodes->sent[i].shard, &sent, sizeof(sent));
		qh_partfile_put(shards->partfiles[SPOOL_LINKS], nodes->sent[i].shard, ids, sizeof(QhNode) * sent.n);
	}
}

static void
link_sample(QhBuild *build)
{
	QhShards   *shards = build->shards;
	QhAlloc		alloc = qh_context_alloc(shards->task_cxt);
	QhBuildParams params = task_params(build, 0);
	uint32		nshards = count_shards(shards->shared);
	uint64		nbytes = 0;
	Nodes		nodes;
	QhSpace		space;

	begin_piece(build, 0);
	for (uint32 shard = 0; shard < nshards; shard++)
		nbytes += qh_partfile_part_nbytes(shards->partfiles[SPOOL_SAMPLE], shard);
	make_nodes(build, nbytes, &nodes);
	for (uint32 shard = 0; shard < nshards; shard++)
		read_nodes(build, shards->partfiles[SPOOL_SAMPLE], shard, &nodes);
	space = qh_build_space(build, nodes.codes, nodes.n);
	send_links(build, qh_build_coarse(&alloc, &space, &params), &nodes, 0);
	end_piece(build, 0);
	end_task(build);
}

static void
link_nodes(QhBuild *build, const QhRecords *records, int division, int depth)
{
	QhAlloc		alloc = qh_context_alloc(build->shards->task_cxt);
	QhBuildParams params = task_params(build, division);
	uint64		count = qh_records_count(records);
	uint32		npieces = count_pieces(build, (double) count, depth);
	Nodes		nodes;
	QhSpace		space;
	uint32	   *home;

	if (npieces > 1)
	{
		Pieces		pieces;

		begin_pieces(build, records, npieces, depth, &pieces);
		for (; pieces.records.part < npieces; pieces.records.part++)
			link_nodes(build, &pieces.records, division, depth + 1);
		end_pieces(&pieces);
		return;
	}
	make_nodes(build, count * records->nbytes, &nodes);
	read_nodes(build, records->partfile, records->part, &nodes);
	begin_piece(build, nodes.n);
	home = task_alloc(build, nodes.n, sizeof(uint32));
	for (uint32 i = 0; i < nodes.n; i++)
		home[i] = nodes.sent[i].shard;
	space = qh_build_space(build, nodes.codes, nodes.n);
	send_links(build, qh_build_between(&alloc, &space, &params, home), &nodes, division);
	end_piece(build, nodes.n);
}

static void
link_between(QhBuild *build, int division, uint32 shard)
{
	QhShards   *shards = build->shards;
	QhRecords	nodes = {shards->partfiles[SPOOL_OFFERED], (division - 1) * shards->plan->nshards + shard};

	nodes.nbytes = sizeof(SentNode) + build->meta.code_nbytes;
	nodes.code_at = sizeof(SentNode);
	link_nodes(build, &nodes, division, 0);
	end_task(build);
}

/* ---- within: the graph of a shard ---- */

/* Links that were sent to a shard: where the record for each node and division is in data. */
typedef struct Offered
{
	uint8	   *data;
	Size	   *at;				/* QH_NDIVISIONS a node; 0 = no record: none begins at byte 0 */
} Offered;

static void
read_offered(QhBuild *build, uint32 shard, uint32 n, Offered *offered)
{
	QhPartFile    *partfile = build->shards->partfiles[SPOOL_LINKS];
	Size		end = sizeof(uint64);
	uint64		room = qh_partfile_part_nbytes(partfile, shard) + end;
	SentLinks	sent;

	offered->data = task_alloc(build, room, 1);
	offered->at = task_alloc(build, n, sizeof(Size) * QH_NDIVISIONS);
	memset(offered->at, 0, sizeof(Size) * QH_NDIVISIONS * n);
	qh_partfile_rewind(partfile, shard);
	while (qh_partfile_get(partfile, &sent, sizeof(sent)))
	{
		Assert(sent.place < n && sent.division < QH_NDIVISIONS);
		Assert(end + sizeof(sent) + sizeof(QhNode) * sent.n <= room);
		offered->at[(Size) sent.place * QH_NDIVISIONS + sent.division] = end;
		memcpy(offered->data + end, &sent, sizeof(sent));
		end += sizeof(sent);
		if (sent.n > 0)
			qh_partfile_get_rest(partfile, offered->data + end, sizeof(QhNode) * sent.n);
		end += sizeof(QhNode) * sent.n;
	}
}

static QhOffer
offer_of(const Offered *offered, uint32 node, int division)
{
	Size		at = offered->at[(Size) node * QH_NDIVISIONS + division];
	const SentLinks *sent = (const SentLinks *) (offered->data + at);

	if (at == 0)
		return (QhOffer) {NULL, 0};
	return (QhOffer) {(const QhNode *) (sent + 1), sent->n};
}

/* What other divisions found for a shard. */
typedef struct Joins
{
	uint64	   *begin;			/* of QhKnown */
	QhNode	   *within;
	uint8	   *taken;
	QhNode	   *away;			/* away_max a node */
	int			away_max;
} Joins;

static void
join_shard(QhBuild *build, uint32 shard, uint32 n, Joins *joins)
{
	QhShardRange range = {build->shards->bases[shard], n};
	Size		max_within = QH_NBETWEEN * 2 * build->meta.m;
	uint64		room = n * (uint64) build->meta.m + max_within;
	Offered		offered;

	joins->away_max = qh_away_max(build->meta.m, build->shards->plan->nshards);
	joins->begin = task_alloc(build, (uint64) n + 1, sizeof(uint64));
	joins->within = task_alloc(build, room, sizeof(QhNode));
	joins->taken = task_alloc(build, n, 1);
	joins->away = task_alloc(build, n, sizeof(QhNode) * joins->away_max);
	read_offered(build, shard, n, &offered);
	joins->begin[0] = 0;
	for (uint32 node = 0; node < n; node++)
	{
		QhOffer		coarse = offer_of(&offered, node, 0);
		QhOffer		offers[QH_NBETWEEN];
		QhJoined	joined;

		CHECK_FOR_INTERRUPTS();
		if (joins->begin[node] + max_within > room)
		{
			room += room / 2 + max_within;
			joins->within = repalloc_huge(joins->within, qh_build_array_nbytes(room, sizeof(QhNode)));
		}
		for (int i = 0; i < QH_NBETWEEN; i++)
			offers[i] = offer_of(&offered, node, 1 + i);
		joined.within = joins->within + joins->begin[node];
		joined.away = joins->away + node * (Size) joins->away_max;
		qh_join_offers(&coarse, offers, &range, joins->away_max, &joined);
		Assert(joined.nwithin <= max_within && joined.naway <= joins->away_max);
		joins->begin[node + 1] = joins->begin[node] + joined.nwithin;
		joins->taken[node] = joined.naway;
	}
	pfree(offered.data);
	pfree(offered.at);
}

static void
write_graph(QhBuild *build, uint32 shard, const QhGraph *graph, const Joins *joins)
{
	QhShards   *shards = build->shards;
	QhPartFile    *partfile = shards->partfiles[SPOOL_GRAPH];
	QhLink		within[2 * QH_MAX_M];
	QhLink		out[4 * QH_MAX_M];
	QhFinalInput input = {.hubs = &build->graph_params.hubs, .max_degree = graph->max_degree, .within = within};

	Assert(graph->max_degree <= lengthof(within) && joins->away_max <= graph->max_degree);
	for (uint32 node = 0; node < graph->n; node++)
	{
		const QhLink *links = graph->links + node * (Size) graph->max_degree;
		int			n;

		CHECK_FOR_INTERRUPTS();
		input.id = shards->bases[shard] + node;
		for (n = 0; n < graph->max_degree && links[n] != QH_INVALID_NODE; n++)
			within[n] = (shards->bases[shard] + qh_link_node(links[n])) | (links[n] & QH_TREE_LINK);
		input.nwithin = n;
		input.away = joins->away + node * (Size) joins->away_max;
		input.naway = joins->taken[node];
		for (n = qh_final_links(&input, out); n < graph->max_degree; n++)
			out[n] = QH_INVALID_NODE;
		qh_partfile_put(partfile, shard, out, sizeof(QhLink) * graph->max_degree);
	}
	qh_partfile_end_part(partfile, shard);
}

static void
link_within(QhBuild *build, uint32 shard)
{
	QhShards   *shards = build->shards;
	QhAlloc		alloc = qh_context_alloc(shards->task_cxt);
	QhBuildParams params = task_params(build, 0);
	uint32		n = shards->shards[shard].nnodes;
	uint8	   *codes = task_alloc(build, n, build->meta.code_nbytes);
	Joins		joins;
	QhSpace		space = qh_build_space(build, codes, n);
	QhKnown		known;
	QhGraph    *graph;

	begin_piece(build, n);
	if (n > 0)
	{
		qh_partfile_rewind(shards->partfiles[SPOOL_CODES], shard);
		for (uint32 i = 0; i < n; i++)
			qh_partfile_get_rest(shards->partfiles[SPOOL_CODES], codes + i * (Size) build->meta.code_nbytes, build->meta.code_nbytes);
		join_shard(build, shard, n, &joins);
		known = (QhKnown) {shards->bases[shard], joins.begin, joins.within, joins.taken, (int) shards->shards[shard].nentries};
		graph = qh_build_within(&alloc, &space, &params, &known);
		write_graph(build, shard, graph, &joins);
		for (int i = 0; i < graph->nentries; i++)
		{
			uint32		at = pg_atomic_fetch_add_u32(&shards->shared->nentries, 1);

			if (at < QH_MAX_ENTRIES)
				shards->shared->entries[at] = shards->bases[shard] + graph->entries[i];
		}
	}
	end_piece(build, n);
	end_task(build);
}

/* ---- writing ---- */

/* Records of one size in a partfile, a part a shard, by the ids of what they are about. */
typedef struct Stream
{
	QhPartFile    *partfile;
	const QhNode *bases;		/* first id of each shard */
	Size		nbytes;			/* of a record */
	uint32		shard;
	QhNode		next;			/* id of the record that would be read next */
} Stream;

typedef struct ShardsSource
{
	QhSource	source;			/* first: the function casts */
	const QhNode *posting_bases;
	Stream		slots;
	Stream		codes;
	Stream		refine;
	Stream		links;
	Stream		postings;
	int			max_degree;
} ShardsSource;

static Stream
open_stream(QhPartFile *partfile, const QhNode *bases, Size nbytes)
{
	return (Stream) {partfile, bases, nbytes, 0, QH_INVALID_NODE};
}

/* Read the record of an id, fastest if it follows the last one read. */
static void
stream_get(Stream *stream, QhNode id, void *record)
{
	if (id != stream->next || id >= stream->bases[stream->shard + 1])
	{
		if (id < stream->next)
			stream->shard = 0;
		while (id >= stream->bases[stream->shard + 1])
			stream->shard++;
		qh_partfile_rewind(stream->partfile, stream->shard);
		qh_partfile_skip(stream->partfile, (id - stream->bases[stream->shard]) * (uint64) stream->nbytes);
	}
	qh_partfile_get_rest(stream->partfile, record, stream->nbytes);
	stream->next = id + 1;
}

static int
links_from_shards(QhSource *source, uint32 id, QhLink *links)
{
	ShardsSource *from = (ShardsSource *) source;
	int			n = 0;

	stream_get(&from->links, id, links);
	while (n < from->max_degree && links[n] != QH_INVALID_NODE)
		n++;
	return n;
}

static void
posting_from_shards(QhSource *source, uint32 id, uint8 *slot)
{
	ShardsSource *from = (ShardsSource *) source;
	QhPosting	posting = (QhPosting) slot;

	stream_get(&from->postings, id, slot);
	if (posting->next != QH_INVALID_NODE)
		posting->next += from->posting_bases[from->postings.shard];
}

static void
fill_row(ShardsSource *source, uint32 id, uint8 *slot)
{
	QhRowData	row;

	stream_get(&source->slots, id, &row);
	if (row.flags == QH_ROW_POSTING)
		row = qh_row_posting(qh_row_head(row) + source->posting_bases[source->slots.shard]);
	memcpy(slot, &row, sizeof(row));
}

static void
fill_from_shards(QhSource *source, QhArray array, uint32 id, uint8 *slot)
{
	ShardsSource *from = (ShardsSource *) source;

	if (array == QH_ARRAY_ROW)
		fill_row(from, id, slot);
	else
		stream_get(array == QH_ARRAY_CODE ? &from->codes : &from->refine, id, slot);
}

static void
open_source(QhBuild *build, ShardsSource *source)
{
	QhShards   *shards = build->shards;
	const QhMetaData *meta = &build->meta;

	*source = (ShardsSource) {
		.source = {
			.nnodes = shards->bases[count_shards(shards->shared)],
			.fill = fill_from_shards, .links = links_from_shards, .posting = posting_from_shards
		},
		.posting_bases = shards->posting_bases,
		.slots = open_stream(shards->partfiles[SPOOL_SLOTS], shards->bases, sizeof(QhRowData)),
		.codes = open_stream(shards->partfiles[SPOOL_CODES], shards->bases, meta->code_nbytes),
		.refine = open_stream(shards->partfiles[SPOOL_REFINE], shards->bases, meta->refine_nbytes),
		.links = open_stream(shards->partfiles[SPOOL_GRAPH], shards->bases, sizeof(QhLink) * 2 * meta->m),
		.postings = open_stream(shards->partfiles[SPOOL_POSTINGS], shards->posting_bases, qh_meta_link_nbytes(meta)),
		.max_degree = 2 * meta->m
	};
}

/* ---- steps ---- */

static void
do_task(QhBuild *build, uint32 task, ShardsSource *source)
{
	QhShards   *shards = build->shards;

	switch (shards->step)
	{
		case QH_STEP_DIVIDE:
			divide_shard(build, task);
			break;
		case QH_STEP_BETWEEN:
			if (task == 0)
				link_sample(build);
			else
				link_between(build, 1 + (task - 1) / shards->plan->nshards, (task - 1) % shards->plan->nshards);
			break;
		case QH_STEP_WITHIN:
			link_within(build, task);
			break;
		default:
			add_done(shards, qh_pages_write(shards->pages, build, task, &source->source));
			qh_shards_report(build, shards->step);
			end_task(build);
	}
}

void
qh_shards_work(QhBuild *build, QhShardsStep step)
{
	QhShards   *shards = build->shards;
	ShardsSource source;
	uint32		task;

	Assert(step != QH_STEP_SCAN);
	shards->step = step;
	if (step > QH_STEP_DIVIDE)
		number_slots(build);
	if (step == QH_STEP_WRITE)
		open_source(build, &source);
	qh_shards_report(build, step);
	while ((task = pg_atomic_fetch_add_u32(&shards->shared->next[step], 1)) < ntasks(shards, step))
		do_task(build, task, &source);
}

/* Steps in which a partfile is written and, for the last time, read. */
static const struct
{
	QhShardsStep written;
	QhShardsStep read;
}			partfile_steps[NSPOOLS] = {
	[SPOOL_ROWS] = {QH_STEP_SCAN, QH_STEP_DIVIDE},
	[SPOOL_CODES] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[SPOOL_REFINE] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[SPOOL_SLOTS] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[SPOOL_POSTINGS] = {QH_STEP_DIVIDE, QH_STEP_WRITE},
	[SPOOL_OFFERED] = {QH_STEP_DIVIDE, QH_STEP_BETWEEN},
	[SPOOL_SAMPLE] = {QH_STEP_DIVIDE, QH_STEP_BETWEEN},
	[SPOOL_LINKS] = {QH_STEP_BETWEEN, QH_STEP_WITHIN},
	[SPOOL_GRAPH] = {QH_STEP_WITHIN, QH_STEP_WRITE},
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
	for (int i = 0; i < NSPOOLS; i++)
	{
		if (partfile_steps[i].written == step)
			qh_partfile_finish(shards->partfiles[i]);
		if (partfile_steps[i].read == step)
			qh_partfile_close(shards->partfiles[i]);
	}
	/* while others may still be busy */
	if (step == QH_STEP_WITHIN && !build->worker && shards->pages->nslots > 0)
		qh_pages_extend(shards->pages, build);
}

void
qh_shards_forget(QhBuild *build, QhShardsStep step)
{
	for (int i = 0; i < NSPOOLS; i++)
		if (partfile_steps[i].read == step)
			qh_partfile_delete(build->shards->partfiles[i]);
}

double
qh_shards_nrows(const QhBuild *build)
{
	return (double) pg_atomic_read_u64(&build->shards->shared->nrows);
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

	build->meta.built_nnodes = shards->bases[count_shards(shared)];
	build->meta.built_nrows = (uint64) qh_shards_nrows(build);
	if (build->meta.built_nnodes == 0)
	{
		build->meta.nparam_pages = 0;
		qh_write_empty(build->index, MAIN_FORKNUM, &build->meta);
		return;
	}
	/* who came first is chance */
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
