/*
 * build.c
 *		Building an index: sample, scan, graph, pages.
 *
 * The codes of all rows are gathered in memory, the graph room links them, and the pages are
 * written in the order of their blocks.  When maintenance_work_mem is full before the table
 * is, what there is gets written and the other rows are inserted one by one.
 * See README.md, section "Build".
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "am/am.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/indexfsm.h"
#include "storage/smgr.h"
#include "store/slots.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Rows whose mean is the centroid: its error is 1/sqrt of this many of the spread. Chosen by hand. */
#define SAMPLE_NROWS	4096
#define SAMPLE_NBLOCKS	512

/* of rotations and random trees: any number does, and a fixed one makes builds repeatable */
#define QH_SEED			UINT64CONST(0x9E3779B97F4A7C15)

/* ---- the hash table of codes: one node a distinct code ---- */

typedef struct CodeEntry
{
	uint32		node;			/* position in codes[] */
	uint32		hash;
	char		status;
} CodeEntry;

typedef struct CodeSet
{
	const uint8 *codes;			/* may move as they grow */
	Size		nbytes;
} CodeSet;

#define code_at(set, i) ((set)->codes + (Size) (i) * (set)->nbytes)

#define SH_PREFIX		codeset
#define SH_ELEMENT_TYPE CodeEntry
#define SH_KEY_TYPE		uint32
#define SH_KEY			node
#define SH_HASH_KEY(tb, key) hash_bytes(code_at((CodeSet *) (tb)->private_data, key), (int) ((CodeSet *) (tb)->private_data)->nbytes)
#define SH_EQUAL(tb, a, b) (memcmp(code_at((CodeSet *) (tb)->private_data, a), code_at((CodeSet *) (tb)->private_data, b), ((CodeSet *) (tb)->private_data)->nbytes) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A row beyond the first of its node. */
typedef struct ExtraRow
{
	uint32		node;
	ItemPointerData tid;
} ExtraRow;

typedef struct QhBuild
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

	MemoryContext cxt;			/* of codes and rows; huge */
	MemoryContext graph_cxt;
	MemoryContext row_cxt;		/* of one row's values */

	CodeSet		set;
	uint8	   *codes;			/* room for one more than nnodes */
	uint8	   *refine_codes;	/* the same of the finer codes */
	ItemPointerData *tids;		/* first row of each node */
	uint32		nnodes;
	uint32		max_nodes;
	ExtraRow   *extra;
	uint64		nextra;
	uint64		max_extra;
	struct codeset_hash *hash;
	QhBuildParams graph_params;
	Size		memory_limit;

	QhIndex    *ix;				/* once the graph is written: rows are inserted one by one */
	MemoryContext ix_cxt;

	double		nindexed;
	double		nsampled;
	double	   *sum;			/* of the sample */
	double		sum_norm2;
	double		max_norm2;
	uint32		sample_ndims;
} QhBuild;

/* ---- dimension and metapage ---- */

void
qh_meta_set_ndims(QhMeta meta, uint32 ndims)
{
	QvCodecParams params;
	const char *fault;

	meta->ndims = ndims;
	qh_meta_params(meta, &params);
	fault = qv_codec_params_fault(&params);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot index %u dimensions: %s", ndims, fault)));
	meta->code_nbytes = qv_codec_slot_nbytes(&params);
	if (meta->refine_nbits != 0)
	{
		qh_meta_refine_params(meta, &params);
		fault = qv_codec_params_fault(&params);
		if (fault != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("cannot index %u dimensions: %s", ndims, fault)));
		meta->refine_nbytes = qv_codec_slot_nbytes(&params);
	}
	qh_geometry_choose(meta);
}

static void
init_meta(QhMeta meta, Relation index, const QhColumn *column)
{
	memset(meta, 0, sizeof(*meta));
	meta->magic = QH_MAGIC;
	meta->version = QH_FORMAT_VERSION;
	meta->metric = column->metric;
	meta->code_kind = column->kind;
	meta->code_nbits = qh_option_code_nbits(index, column);
	meta->refine_nbits = qh_option_refine_nbits(index);
	meta->m = qh_option_m(index);
	meta->ef_construction = qh_option_ef_construction(index);
	meta->hub_fraction = qh_option_hub_fraction(index);
	meta->m_low = qh_option_m_low(index);
	meta->seed = QH_SEED;
}

static void
set_ndims(QhBuild *build, uint32 ndims)
{
	Size		scratch_nbytes;

	qh_meta_set_ndims(&build->meta, ndims);
	if (build->sample_ndims != ndims)
		build->centroid = NULL;
	if (build->centroid != NULL)
		build->meta.nparam_pages = (ndims + QH_PARAM_NFLOATS - 1) / QH_PARAM_NFLOATS;
	qh_meta_params(&build->meta, &build->params);
	build->params.centroid = build->centroid;
	build->codec = qv_codec_init(qh_alloc_aligned(build->cxt, qv_codec_sizeof(&build->params), 64),
								 &build->params);
	scratch_nbytes = qv_codec_scratch_nbytes(build->codec);
	if (build->meta.refine_nbits != 0)
	{
		qh_meta_refine_params(&build->meta, &build->refine_params);
		build->refine_params.centroid = build->centroid;
		build->refine_codec = qv_codec_init(qh_alloc_aligned(build->cxt, qv_codec_sizeof(&build->refine_params), 64),
											&build->refine_params);
		scratch_nbytes = Max(scratch_nbytes, qv_codec_scratch_nbytes(build->refine_codec));
	}
	build->scratch = qh_alloc_aligned(build->cxt, scratch_nbytes, 64);
	build->set.nbytes = build->meta.code_nbytes;
	build->graph_params.hubs = qh_meta_hubs(&build->meta);
}

/* ---- sample ---- */

static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	QhBuild    *build = (QhBuild *) state;
	MemoryContext old;
	QhValue		value;
	double		factor = 1;
	const float *x;

	if (isnull[0] || !alive)
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	qh_column_read(build->column, values[0], &value);

	/* a dimension that differs is reported when the row is indexed, if it is */
	if ((build->sum == NULL || value.ndims == build->sample_ndims) &&
		qh_column_indexable(build->column, &value, build->meta.ndims))
	{
		if (build->sum == NULL)
		{
			build->sample_ndims = value.ndims;
			build->sum = MemoryContextAllocZero(build->cxt, sizeof(double) * value.ndims);
		}
		x = value.data;
		if (build->column->metric == QV_METRIC_COSINE)
			factor = 1 / sqrt(value.norm2);
		for (uint32 i = 0; i < value.ndims; i++)
			build->sum[i] += factor * x[i];
		build->sum_norm2 += factor * factor * value.norm2;
		build->max_norm2 = Max(build->max_norm2, value.norm2);
		build->nsampled++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);
}

/* The centroid is the mean of the rows on blocks chosen at random. */
static void
take_sample(QhBuild *build)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(build->heap);
	uint32		nstretches = Min(nblocks, SAMPLE_NBLOCKS);
	uint32		order[SAMPLE_NBLOCKS];
	pg_prng_state prng;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_SAMPLE);
	pg_prng_seed(&prng, QH_SEED);

	/* one block of each of as many equal stretches of the table, the stretches in random order: the sample may fill early */
	for (uint32 i = 0; i < nstretches; i++)
	{
		uint32		j = (uint32) pg_prng_uint64_range(&prng, 0, i);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32 i = 0; i < nstretches && build->nsampled < SAMPLE_NROWS; i++)
	{
		BlockNumber from = (BlockNumber) ((uint64) nblocks * order[i] / nstretches);
		BlockNumber to = (BlockNumber) ((uint64) nblocks * (order[i] + 1) / nstretches);
		BlockNumber blkno = (BlockNumber) pg_prng_uint64_range(&prng, from, to - 1);

		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(build->heap, build->index, build->info, false, false, false,
									 blkno, 1, sample_row, build, NULL);
	}
	if (build->nsampled == 0)
		return;

	build->centroid = MemoryContextAlloc(build->cxt, sizeof(float) * build->sample_ndims);
	build->meta.sample_spread = build->sum_norm2 / build->nsampled;
	for (uint32 i = 0; i < build->sample_ndims; i++)
	{
		double		mean = build->sum[i] / build->nsampled;

		build->centroid[i] = mean;
		build->meta.sample_spread -= mean * mean;
	}
	if (build->column->metric == QV_METRIC_IP)
		build->meta.max_norm = sqrt(build->max_norm2);
}

/* ---- gathering codes ---- */

static Size
memory_used(QhBuild *build)
{
	return MemoryContextMemAllocated(build->cxt, true) +
		qh_build_nbytes(build->nnodes, &build->graph_params);
}

static void
grow_nodes(QhBuild *build)
{
	uint32		max = build->max_nodes ? build->max_nodes + build->max_nodes / 2 : 1024;
	Size		code_nbytes = build->set.nbytes;

	if (build->nnodes >= QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot hold more than %u nodes",
						RelationGetRelationName(build->index), QH_MAX_NODES / 2)));
	if (build->max_nodes == 0)
	{
		build->codes = MemoryContextAllocHuge(build->cxt, code_nbytes * max);
		build->tids = MemoryContextAllocHuge(build->cxt, sizeof(ItemPointerData) * (Size) max);
	}
	else
	{
		build->codes = repalloc_huge(build->codes, code_nbytes * max);
		build->tids = repalloc_huge(build->tids, sizeof(ItemPointerData) * (Size) max);
	}
	if (build->refine_codec != NULL && build->max_nodes == 0)
		build->refine_codes = MemoryContextAllocHuge(build->cxt, build->meta.refine_nbytes * (Size) max);
	else if (build->refine_codec != NULL)
		build->refine_codes = repalloc_huge(build->refine_codes, build->meta.refine_nbytes * (Size) max);
	build->set.codes = build->codes;
	build->max_nodes = max;
}

static void
add_extra(QhBuild *build, uint32 node, ItemPointer tid)
{
	if (build->nextra == build->max_extra)
	{
		uint64		max = build->max_extra ? build->max_extra * 2 : 1024;

		if (build->extra == NULL)
			build->extra = MemoryContextAllocHuge(build->cxt, sizeof(ExtraRow) * max);
		else
			build->extra = repalloc_huge(build->extra, sizeof(ExtraRow) * max);
		build->max_extra = max;
	}
	build->extra[build->nextra].node = node;
	build->extra[build->nextra].tid = *tid;
	build->nextra++;
}

/* Put a value's code at the end of codes[], and keep it there if it is new. */
static void
gather(QhBuild *build, const void *data, ItemPointer tid)
{
	CodeEntry  *entry;
	bool		found;

	if (build->nnodes == build->max_nodes)
		grow_nodes(build);
	qv_codec_encode(build->codec, data, build->codes + build->nnodes * build->set.nbytes, build->scratch);
	entry = codeset_insert(build->hash, build->nnodes, &found);
	if (found)
	{
		add_extra(build, entry->node, tid);
		return;
	}
	if (build->refine_codec != NULL)
		qv_codec_encode(build->refine_codec, data,
						build->refine_codes + build->nnodes * (Size) build->meta.refine_nbytes, build->scratch);
	build->tids[build->nnodes++] = *tid;
}

static void write_index(QhBuild *build);

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	QhBuild    *build = (QhBuild *) state;
	MemoryContext old;
	QhValue		value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->row_cxt);
	qh_column_read(build->column, values[0], &value);
	if (qh_column_indexable(build->column, &value, build->meta.ndims))
	{
		if (build->codec == NULL)
			set_ndims(build, value.ndims);
		if (build->ix != NULL)
		{
			QhCode		code = qh_encode(build->ix, value.data);

			qh_insert_code(index, build->ix, value.data, &code, tid);
		}
		else
			gather(build, value.data, tid);
		build->nindexed++;
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) build->nindexed);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_cxt);

	if (build->ix == NULL && build->nnodes > 0 && ((int64) build->nindexed & 1023) == 0 &&
		memory_used(build) > build->memory_limit)
	{
		ereport(NOTICE,
				(errmsg("index \"%s\" no longer fits into maintenance_work_mem after %.0f rows",
						RelationGetRelationName(index), build->nindexed),
				 errdetail("The other rows are inserted one by one, which takes longer."),
				 errhint("Increase maintenance_work_mem to speed up builds.")));
		write_index(build);
		build->ix = qh_index_acquire(index, build->ix_cxt);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_INSERT);
	}
}

/* ---- the graph ---- */

static void
graph_tick(void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total)
{
	const int	params[] = {
		PROGRESS_CREATEIDX_SUBPHASE,
		PROGRESS_CREATEIDX_TUPLES_TOTAL,
		PROGRESS_CREATEIDX_TUPLES_DONE
	};
	int64		values[] = {QH_SUBPHASE_PARTITION + (phase - QH_PHASE_PARTITION), total, done};

	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_multi_param(3, params, values);
}

static void
space_pair_strided(const void *ctx, const uint8_t *code, const uint8_t *base, size_t stride, int n, float *dist)
{
	qv_codec_pair_strided((const QvCodec *) ctx, code, base, stride, n, dist);
}

static void
space_pair(const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist)
{
	qv_codec_pair((const QvCodec *) ctx, code, codes, n, dist);
}

static QhGraph *
make_graph(QhBuild *build)
{
	QhAlloc		alloc = qh_context_alloc(build->graph_cxt);
	QhSpace		space = {space_pair_strided, space_pair, build->codec, build->codes, build->set.nbytes, build->nnodes};

	return qh_build(&alloc, &space, &build->graph_params);
}

/* ---- writing pages ---- */

/* What the slots of the new index hold; ids are final. */
typedef struct Layout
{
	QhBuild    *build;
	QhGraph    *graph;
	QhGeometry	geo;
	uint32	   *rank;			/* final id of a node by its position in codes[] */
	uint32		nslots;			/* nodes, then posting slots */
	uint32		nnodes;
	uint8	   *postings;		/* content of posting slots */
	QhNode	   *heads;			/* first posting slot of a node by position, or QH_INVALID_NODE; NULL if no node has several rows */
} Layout;

static int
compare_extra(const void *a, const void *b)
{
	const ExtraRow *x = a;
	const ExtraRow *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &x->tid, (ItemPointer) &y->tid);
}

/* Nodes with several rows get chains of posting slots, numbered behind the nodes. */
static void
lay_postings(Layout *layout)
{
	QhBuild    *build = layout->build;
	Size		slot_nbytes = layout->geo.slot_nbytes[QH_ARRAY_LINK];
	uint32		per_slot = QH_POSTING_NTIDS(slot_nbytes);
	uint32		nslots = 0;
	uint64		i = 0;

	if (build->nextra == 0)
		return;
	qsort(build->extra, build->nextra, sizeof(ExtraRow), compare_extra);
	for (uint64 from = 0, to; from < build->nextra; from = to)
	{
		for (to = from; to < build->nextra && build->extra[to].node == build->extra[from].node; to++)
			;
		nslots += (to - from + 1 + per_slot - 1) / per_slot;
	}
	layout->heads = MemoryContextAllocHuge(build->graph_cxt, sizeof(QhNode) * (Size) build->nnodes);
	memset(layout->heads, 0xFF, sizeof(QhNode) * (Size) build->nnodes);
	layout->postings = MemoryContextAllocHuge(build->graph_cxt, slot_nbytes * nslots);
	memset(layout->postings, 0, slot_nbytes * nslots);

	for (uint32 slot = 0; slot < nslots; slot++)
	{
		QhPosting	posting = (QhPosting) (layout->postings + slot_nbytes * slot);
		uint32		node = build->extra[i].node;

		CHECK_FOR_INTERRUPTS();
		posting->next = layout->heads[node];
		if (posting->next == QH_INVALID_NODE)
			posting->tids[posting->ntids++] = build->tids[node];
		while (i < build->nextra && build->extra[i].node == node && posting->ntids < per_slot)
			posting->tids[posting->ntids++] = build->extra[i++].tid;
		layout->heads[node] = layout->nnodes + slot;
	}
	layout->nslots += nslots;
}

static void
fill_row_slot(Layout *layout, QhNode id, uint8 *slot)
{
	uint32		pos;
	QhRowData	row;

	if (id >= layout->nnodes)
		return;
	pos = layout->graph->order[id];
	if (layout->heads && layout->heads[pos] != QH_INVALID_NODE)
		row = qh_row_posting(layout->heads[pos]);
	else
		row = qh_row_single(&layout->build->tids[pos]);
	memcpy(slot, &row, sizeof(row));
}

static void
fill_link_slot(Layout *layout, QhNode id, uint8 *slot, uint8 *state)
{
	int			degree = layout->graph->max_degree;
	Size		nbytes = layout->geo.slot_nbytes[QH_ARRAY_LINK];
	const QhLink *links;
	QhLink		final[2 * QH_MAX_M];
	int			n = 0;

	if (id >= layout->nnodes)
	{
		memcpy(slot, layout->postings + (id - layout->nnodes) * nbytes, nbytes);
		*state = QH_SLOT_POSTING;
		return;
	}
	links = layout->graph->links + (Size) layout->graph->order[id] * degree;
	memset(final, 0xFF, sizeof(final));	/* QH_INVALID_NODE */
	for (; n < degree && links[n] != QH_INVALID_NODE; n++)
		final[n] = layout->rank[qh_link_node(links[n])] | (links[n] & QH_TREE_LINK);
	if (!qh_link_packed(&layout->geo, id))
		memcpy(slot, final, QH_LINK_NBYTES(layout->build->meta.m));
	else if (!qh_pack_links(id, final, n, slot, nbytes))
		elog(ERROR, "links of node %u do not fit their slot", id);
	*state = QH_SLOT_LIVE;
}

static void
fill_page(Layout *layout, BlockNumber blkno, Page page)
{
	QhGeometry *geo = &layout->geo;
	uint32		group;
	QhNode		first;
	QhArray		array = qh_geometry_block(geo, blkno, &group, &first);
	uint32		count = qh_geometry_page_nslots(geo, blkno);

	qh_page_init(page, qh_array_page_kind(array), group);
	for (uint32 i = 0; i < count && first + i < layout->nslots; i++)
	{
		uint8	   *slot = (uint8 *) page + geo->data_offset[array] + i * geo->slot_nbytes[array];
		QhNode		id = first + i;

		if (array == QH_ARRAY_ROW)
			fill_row_slot(layout, id, slot);
		else if (array == QH_ARRAY_LINK || array == QH_ARRAY_HUB)
			fill_link_slot(layout, id, slot, (uint8 *) page + geo->state_offset[array] + i);
		else if (array == QH_ARRAY_CODE && id < layout->nnodes)
			memcpy(slot, layout->build->codes + layout->graph->order[id] * (Size) geo->slot_nbytes[array],
				   geo->slot_nbytes[array]);
		else if (array == QH_ARRAY_REFINE && id < layout->nnodes)
			memcpy(slot, layout->build->refine_codes + layout->graph->order[id] * (Size) geo->slot_nbytes[array],
				   geo->slot_nbytes[array]);
	}
}

static Buffer
new_page(Relation index, ForkNumber fork)
{
	Buffer		buf = ReadBufferExtended(index, fork, P_NEW, RBM_NORMAL, NULL);

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	return buf;
}

static void
write_head(Relation index, ForkNumber fork, const QhMetaData *meta, const float *centroid,
		   const QhNode *entries, int nentries, const uint32 *rank)
{
	Buffer		buf = new_page(index, fork);
	QhEntry		entry;

	Assert(BufferGetBlockNumber(buf) == QH_META_BLKNO);
	qh_page_init(BufferGetPage(buf), QH_PAGE_META, 0);
	*QhPageGetMeta(BufferGetPage(buf)) = *meta;
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);

	buf = new_page(index, fork);
	qh_page_init(BufferGetPage(buf), QH_PAGE_ENTRY, 0);
	entry = QhPageGetEntry(BufferGetPage(buf));
	entry->nentries = nentries;
	for (int i = 0; i < nentries; i++)
		entry->nodes[i] = rank[entries[i]];
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);

	for (uint32 i = 0; i < meta->nparam_pages; i++)
	{
		uint32		from = i * QH_PARAM_NFLOATS;

		buf = new_page(index, fork);
		qh_page_init(BufferGetPage(buf), QH_PAGE_PARAM, 0);
		memcpy(PageGetContents(BufferGetPage(buf)), centroid + from,
			   sizeof(float) * Min(QH_PARAM_NFLOATS, meta->ndims - from));
		MarkBufferDirty(buf);
		UnlockReleaseBuffer(buf);
	}
}

/* Tell the free space map about slots behind the last node. */
static void
record_rest(Layout *layout, BlockNumber nblocks)
{
	uint32		nslots = qh_geometry_nslots(&layout->geo, nblocks);
	BlockNumber last = InvalidBlockNumber;

	for (QhNode id = layout->nslots; id < nslots; id++)
	{
		BlockNumber blkno = qh_slot_address(&layout->geo, QH_ARRAY_LINK, id).blkno;

		if (blkno != last)
			RecordFreeIndexPage(layout->build->index, blkno);
		last = blkno;
	}
	IndexFreeSpaceMapVacuum(layout->build->index);
}

static void
write_pages(Layout *layout)
{
	QhBuild    *build = layout->build;
	BlockNumber nblocks = qh_geometry_nblocks(&layout->geo, layout->nslots);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_WRITE);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, nblocks);
	write_head(build->index, MAIN_FORKNUM, &build->meta, build->centroid,
			   layout->graph->entries, layout->graph->nentries, layout->rank);
	for (BlockNumber blkno = layout->geo.first_blkno; blkno < nblocks; blkno++)
	{
		Buffer		buf;

		CHECK_FOR_INTERRUPTS();
		buf = new_page(build->index, MAIN_FORKNUM);
		Assert(BufferGetBlockNumber(buf) == blkno);
		fill_page(layout, blkno, BufferGetPage(buf));
		MarkBufferDirty(buf);
		UnlockReleaseBuffer(buf);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, blkno + 1);
	}
	if (RelationNeedsWAL(build->index))
		log_newpage_range(build->index, MAIN_FORKNUM, 0, nblocks, true);
	record_rest(layout, nblocks);
}

/* Link the nodes gathered so far and write the index. */
static void
write_index(QhBuild *build)
{
	Layout		layout = {build};
	const char *fault;

	build->meta.built_nnodes = build->nnodes;
	build->meta.built_nrows = build->nnodes + build->nextra;
	if (build->nnodes == 0)
	{
		/* nothing is written that would have to be trained or found again */
		build->meta.nparam_pages = 0;
		write_head(build->index, MAIN_FORKNUM, &build->meta, NULL, NULL, 0, NULL);
		if (RelationNeedsWAL(build->index))
			log_newpage_range(build->index, MAIN_FORKNUM, 0, QH_FIRST_PARAM_BLKNO, true);
		return;
	}
	fault = qh_geometry_init(&layout.geo, &build->meta);
	if (fault != NULL)
		elog(ERROR, "cannot lay out index \"%s\": %s", RelationGetRelationName(build->index), fault);
	layout.graph = make_graph(build);
	layout.nslots = layout.nnodes = build->nnodes;
	layout.rank = MemoryContextAllocHuge(build->graph_cxt, sizeof(uint32) * (Size) build->nnodes);
	for (uint32 i = 0; i < build->nnodes; i++)
		layout.rank[layout.graph->order[i]] = i;
	lay_postings(&layout);
	write_pages(&layout);
	MemoryContextReset(build->graph_cxt);
}

IndexBuildResult *
qhnswbuild(Relation heap, Relation index, IndexInfo *info)
{
	IndexBuildResult *result;
	QhBuild		build = {heap, index, info};
	uint32		ndims;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	build.column = qh_column(index);
	build.cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw build", ALLOCSET_DEFAULT_SIZES);
	build.graph_cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw graph", ALLOCSET_DEFAULT_SIZES);
	build.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw row", ALLOCSET_DEFAULT_SIZES);
	build.ix_cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw index held", ALLOCSET_SMALL_SIZES);
	build.memory_limit = (Size) maintenance_work_mem * 1024;
	build.hash = codeset_create(build.cxt, 1024, &build.set);
	init_meta(&build.meta, index, build.column);
	build.graph_params.m = build.meta.m;
	build.graph_params.ef_construction = build.meta.ef_construction;
	build.graph_params.seed = QH_SEED;
	build.graph_params.max_entries = QH_MAX_ENTRIES;
	build.graph_params.tick = graph_tick;

	ndims = qh_option_check(index, build.column);
	if (ndims > 0)
		build.meta.ndims = ndims;
	if (build.column->kind != QV_CODE_BITS)
		take_sample(&build);
	if (ndims > 0)
		set_ndims(&build, ndims);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_SCAN);
	result = palloc0(sizeof(IndexBuildResult));
	result->heap_tuples = table_index_build_scan(heap, index, info, true, true, build_row, &build, NULL);
	if (build.ix == NULL)
		write_index(&build);
	result->index_tuples = build.nindexed;

	MemoryContextDelete(build.ix_cxt);
	MemoryContextDelete(build.row_cxt);
	MemoryContextDelete(build.graph_cxt);
	MemoryContextDelete(build.cxt);
	return result;
}

void
qhnswbuildempty(Relation index)
{
	const QhColumn *column = qh_column(index);
	QhMetaData	meta;
	uint32		ndims = qh_option_check(index, column);

	init_meta(&meta, index, column);
	if (ndims > 0)
		qh_meta_set_ndims(&meta, ndims);
	write_head(index, INIT_FORKNUM, &meta, NULL, NULL, 0, NULL);
	/* the init fork of an unlogged index is logged: it is what a crash resets the index to */
	log_newpage_range(index, INIT_FORKNUM, 0, QH_FIRST_PARAM_BLKNO, true);
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
		case QH_SUBPHASE_WRITE:
			return "writing pages";
		case QH_SUBPHASE_INSERT:
			return "inserting rows";
		default:
			return NULL;
	}
}
