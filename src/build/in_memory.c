/*
 * in_memory.c
 *		An index whose codes, rows and links fit in memory: one graph, written by one process.
 *
 * Must not know where rows come from.
 * See README.md, section "In memory".
 */
#include "postgres.h"

#include "build/build.h"
#include "build/dedup_codes.h"
#include "build/write.h"
#include "miscadmin.h"
#include "utils/memutils.h"

static void
graph_progress(void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total)
{
	CHECK_FOR_INTERRUPTS();
	qh_build_report(QH_SUBPHASE_PARTITION + (phase - QH_PHASE_PARTITION), done, total);
}

/* ---- pages out of memory ---- */

typedef struct MemorySource
{
	QhSource	source;			/* first: the function casts */
	const QhDedup *dedup;
	const QhGraph *graph;
	uint32	   *rank;			/* id of a node by its position */
} MemorySource;

static int
links_from_memory(QhSource *source, uint32 id, QhLink *links)
{
	const MemorySource *from = (const MemorySource *) source;
	int			degree = from->graph->max_degree;
	const QhLink *own = from->graph->links + from->graph->order[id] * (Size) degree;
	int			n = 0;

	for (; n < degree && own[n] != QH_INVALID_NODE; n++)
		links[n] = from->rank[qh_link_node(own[n])] | (own[n] & QH_TREE_LINK);
	for (int i = n; i < degree; i++)
		links[i] = QH_INVALID_NODE;
	return n;
}

static void
posting_from_memory(QhSource *source, uint32 id, uint8 *slot)
{
	const QhDedup *dedup = ((const MemorySource *) source)->dedup;
	QhPosting	posting = (QhPosting) slot;

	memcpy(slot, dedup->postings.full + (id - source->nnodes) * dedup->posting_nbytes, dedup->posting_nbytes);
	if (posting->next != QH_INVALID_NODE)
		posting->next += source->nnodes;
}

static void
fill_from_memory(QhSource *source, QhArray array, uint32 id, uint8 *slot)
{
	const MemorySource *from = (const MemorySource *) source;
	const QhDedup *dedup = from->dedup;
	uint32		position = from->graph->order[id];

	if (array == QH_ARRAY_ROW)
	{
		QhRowData	row = qh_dedup_slot(dedup, position);

		if (row.flags == QH_ROW_POSTING)
			row = qh_row_posting(source->nnodes + qh_row_head(row));
		memcpy(slot, &row, sizeof(row));
	}
	else if (array == QH_ARRAY_CODE)
		memcpy(slot, dedup->codes + position * dedup->code_nbytes, dedup->code_nbytes);
	else
		memcpy(slot, dedup->refine_codes + position * dedup->refine_nbytes, dedup->refine_nbytes);
}

static bool
record_from_memory(QhSource *source, uint32 id, uint8 *record)
{
	const MemorySource *from = (const MemorySource *) source;
	const uint8 *own = qh_dedup_record(from->dedup, from->graph->order[id]);

	if (own != NULL)
		memcpy(record, own, from->dedup->record_nbytes);
	return own != NULL;
}

/* Write all pages alone. */
static void
write_index(QhBuild *build, QhSource *source, uint32 nslots, const QhNode *entries, int nentries)
{
	QhPages		pages;
	uint64		ndone = 0;

	qh_pages_init(&pages, build, nslots);
	qh_build_report(QH_SUBPHASE_WRITE, 0, pages.nblocks);
	qh_pages_extend(&pages, build);
	for (uint32 batch = 0; batch < qh_pages_nbatches(&pages); batch++)
	{
		ndone += qh_pages_write(&pages, build, batch, source);
		qh_build_report(QH_SUBPHASE_WRITE, ndone, pages.nblocks);
	}
	qh_pages_finish(&pages, build, entries, nentries);
}

/* ---- the graph ---- */

void
qh_build_in_memory(QhBuild *build)
{
	QhDedup    *dedup = build->dedup;
	QhAlloc		alloc = qh_context_alloc(build->graph_cxt);
	QhBuildParams params = build->graph_params;
	MemorySource source = {.dedup = dedup};
	QhNode	   *entries;
	QhSpace		space;

	if (dedup == NULL)
	{
		/* no rows: the index has no centroid, and no dimension unless type or option says it */
		build->meta.nparam_pages = build->meta.ncentres = build->meta.ncentres_built = 0;
		qh_write_empty(build->index, MAIN_FORKNUM, &build->meta);
		return;
	}
	qh_dedup_end(dedup);
	build->meta.built_nnodes = dedup->nnodes;
	build->meta.built_nrows = dedup->nrows;
	params.progress = graph_progress;
	space = qh_build_space(build, qh_dedup_link_codes(dedup), dedup->nnodes);
	source.graph = qh_build(&alloc, &space, &params);
	source.rank = MemoryContextAllocHuge(build->graph_cxt,
										 qh_build_array_nbytes(dedup->nnodes, sizeof(uint32)));
	for (uint32 i = 0; i < dedup->nnodes; i++)
		source.rank[source.graph->order[i]] = i;
	entries = MemoryContextAlloc(build->graph_cxt, sizeof(QhNode) * source.graph->nentries);
	for (int i = 0; i < source.graph->nentries; i++)
		entries[i] = source.rank[source.graph->entries[i]];
	source.source = (QhSource) {
		.nnodes = dedup->nnodes,
		.fill = fill_from_memory, .links = links_from_memory, .posting = posting_from_memory,
		.record = record_from_memory
	};
	write_index(build, &source.source, dedup->nnodes + dedup->postings.nfull, entries, source.graph->nentries);
}
