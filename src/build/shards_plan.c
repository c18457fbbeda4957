/*
 * shards_plan.c
 *		How many shards there are, and what participants of a build in shards share.
 *
 * Must not know the steps.  See README.md, section "In shards".
 */
#include "postgres.h"

#include <math.h>

#include "build/shards_state.h"
#include "utils/memutils.h"

/* Bytes of a chunk of a partfile: as many as memory allows. */
#define MIN_CHUNK_NBYTES	BLCKSZ
#define MAX_CHUNK_NBYTES	(8 * BLCKSZ)

/*
 * So that each shard can have an entry point, and the parts of the partfiles stay few;
 * doc/decisions/0037.
 */
#define MAX_SHARDS			1000

StaticAssertDecl(MAX_SHARDS + QH_SPARE_SHARDS(MAX_SHARDS) < QH_MAX_ENTRIES, "each shard has an entry point");

/*
 * One node in so many is in the sample of coarse links, or in twice, four times … as many where
 * memory is short.
 */
#define COARSE_STEP			64

/* ---- planning ---- */

Size
qh_shards_node_nbytes(const QhBuild *build)
{
	uint32		many = 100 * QH_MIN_SHARD_NODES;
	Size		graph = qh_build_nbytes(many, &build->graph_params, qh_build_link_nbytes(build)) / many;
	int			max_degree = 2 * build->meta.m;
	Size		offered = (QH_NDIVISIONS * (sizeof(QhSentLinks) + sizeof(Size)) +
						   QH_NBETWEEN * max_degree * sizeof(QhNode) / 2);
	Size		joined = (qh_away_max(build->meta.m, MAX_SHARDS) * sizeof(QhNode) +
						  max_degree * sizeof(QhNode) / 2);
	Size		divided = build->meta.code_nbytes + build->meta.refine_nbytes + build->pair_nbytes +
		build->meta.filter_nbytes + qh_meta_hub_nbytes(&build->meta) + 64;

	return Max(qh_build_link_nbytes(build) + Max(graph, offered) + joined, divided);
}

/*
 * A participant writes a chunk a part of the offered nodes at once: those take an eighth of its
 * memory at most.
 */
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
	QhShardsPlan plan = {
		.nparticipants = nparticipants,
		.link_nbytes = qh_build_link_nbytes(build),
		.coarse_step = COARSE_STEP
	};
	Size		memory = build->memory_limit / nparticipants;
	double		wanted = ceil(sample->nrows * qh_shards_node_nbytes(build) / (memory * QH_SHARD_HEADROOM));
	double		max = Max(sample->nrows / QH_MIN_SHARD_NODES, 1.0);

	/*
	 * one process alone is here because one shard does not fit; of several, each should have one
	 * at least
	 */
	wanted = Max(wanted, Max(nparticipants, 2));
	plan.nshards = (uint32) Min(Min(wanted, max), MAX_SHARDS);
	plan.max_shards = plan.nshards + QH_SPARE_SHARDS(plan.nshards);
	plan.chunk_nbytes = chunk_size(memory, plan.nshards);
	while (sample->nrows / plan.coarse_step * qh_shards_node_nbytes(build) > memory * QH_SHARD_HEADROOM)
		plan.coarse_step *= 2;
	return plan;
}

/* ---- shared memory ---- */

/* Where in shared memory things are; see QhShardsShared. */
static Size
shards_offset(void)
{
	return MAXALIGN(sizeof(QhShardsShared));
}

static Size
chunks_offset(const QhShardsPlan *plan)
{
	return shards_offset() + MAXALIGN(sizeof(QhShard) * plan->max_shards);
}

static Size
splitter_offset(const QhShardsPlan *plan, int division)
{
	return chunks_offset(plan) + sizeof(uint64) * QH_NFILES * plan->nparticipants +
		division * MAXALIGN(qh_splitter_nbytes(plan->nshards, plan->link_nbytes));
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

/* Parts of a partfile. */
static uint32
nparts(const QhShardsPlan *plan, QhShardsFile file)
{
	if (file == QH_FILE_OFFERED)
		return plan->nshards * QH_NBETWEEN;
	return file == QH_FILE_ROWS ? plan->nshards : plan->max_shards;
}

void
qh_shards_join(QhBuild *build, QhShardsShared *shared, const QhPartFileWriters *writers)
{
	QhShards   *shards = MemoryContextAllocZero(build->cxt, sizeof(QhShards));
	uint64	   *nchunks = (uint64 *) ((char *) shared + chunks_offset(&shared->plan));

	shards->shared = shared;
	shards->plan = &shared->plan;
	shards->shards = (QhShard *) ((char *) shared + shards_offset());
	for (int division = 0; division < QH_NDIVISIONS; division++)
		shards->splitters[division] = (QhSplitter *) ((char *) shared + splitter_offset(&shared->plan, division));
	shards->cxt = AllocSetContextCreate(build->cxt, "qhnsw partfiles", ALLOCSET_DEFAULT_SIZES);
	shards->task_cxt = AllocSetContextCreate(build->cxt, "qhnsw shard", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < QH_NFILES; i++)
		shards->files[i] = qh_partfile_create(shards->cxt, writers, i, nparts(&shared->plan, i),
											  shared->plan.chunk_nbytes,
											  nchunks + i * shared->plan.nparticipants);
	shards->row = MemoryContextAlloc(shards->cxt, qh_sent_row_nbytes(build));
	build->shards = shards;
}
