/*
 * write.c
 *		Writing the pages of a new index.
 *
 * Must not know how nodes were linked: a QhSource has the content of their slots.  Pages are made in the order
 * of their blocks and logged at the end.  See README.md, section "Build".
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "am/build.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/indexfsm.h"

static Buffer
new_page(Relation index, ForkNumber fork)
{
	Buffer		buf = ReadBufferExtended(index, fork, P_NEW, RBM_NORMAL, NULL);

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	return buf;
}

static void
write_head(Relation index, ForkNumber fork, const QhMetaData *meta, const float *centroid,
		   const QhNode *entries, int nentries)
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
		entry->nodes[i] = entries[i];
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

void
qh_write_empty(Relation index, ForkNumber fork, const QhMetaData *meta)
{
	write_head(index, fork, meta, NULL, NULL, 0);
	/* the init fork of an unlogged index is logged: it is what a crash resets the index to */
	if (fork == INIT_FORKNUM || RelationNeedsWAL(index))
		log_newpage_range(index, fork, 0, QH_FIRST_PARAM_BLKNO, true);
}

static void
fill_link_slot(const QhGeometry *geo, int max_degree, QhSource *source, QhNode id, uint8 *slot)
{
	QhLink		links[2 * QH_MAX_M];
	int			n = source->links(source, id, links);

	if (!qh_link_packed(geo, id))
	{
		memcpy(slot, links, sizeof(QhLink) * n);
		memset(slot + sizeof(QhLink) * n, 0xFF, sizeof(QhLink) * (max_degree - n)); /* QH_INVALID_NODE */
	}
	else if (!qh_pack_links(id, links, n, slot, qh_link_nbytes(geo, id)))
		elog(ERROR, "links of node %u do not fit their slot", id);
}

static void
fill_page(const QhGeometry *geo, int max_degree, QhSource *source, BlockNumber blkno, Page page)
{
	uint32		group;
	QhNode		first;
	QhArray		array = qh_geometry_block(geo, blkno, &group, &first);
	bool		has_links = array == QH_ARRAY_LINK || array == QH_ARRAY_HUB;
	uint32		end = Min(first + qh_geometry_page_nslots(geo, blkno), has_links ? source->nslots : source->nnodes);

	qh_page_init(page, qh_array_page_kind(array), group);
	for (QhNode id = first; id < end; id++)
	{
		uint8	   *slot = (uint8 *) page + geo->data_offset[array] + (id - first) * geo->slot_nbytes[array];

		if (!has_links)
			source->fill(source, array, id, slot);
		else if (id < source->nnodes)
			fill_link_slot(geo, max_degree, source, id, slot);
		else
			source->posting(source, id, slot);
		if (has_links)
			((uint8 *) page)[geo->state_offset[array] + id - first] = id < source->nnodes ? QH_SLOT_LIVE : QH_SLOT_POSTING;
	}
}

/* Tell the free space map about slots behind the last one in use. */
static void
record_rest(Relation index, const QhGeometry *geo, uint32 nslots, BlockNumber nblocks)
{
	uint32		end = qh_geometry_nslots(geo, nblocks);
	BlockNumber last = InvalidBlockNumber;

	for (QhNode id = nslots; id < end; id++)
	{
		BlockNumber blkno = qh_slot_address(geo, QH_ARRAY_LINK, id).blkno;

		if (blkno != last)
			RecordFreeIndexPage(index, blkno);
		last = blkno;
	}
	IndexFreeSpaceMapVacuum(index);
}

void
qh_write_index(QhBuild *build, QhSource *source)
{
	QhGeometry	geo;
	const char *fault = qh_geometry_init(&geo, &build->meta);
	BlockNumber nblocks;

	if (fault != NULL)
		elog(ERROR, "cannot lay out index \"%s\": %s", RelationGetRelationName(build->index), fault);
	nblocks = qh_geometry_nblocks(&geo, source->nslots);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, QH_SUBPHASE_WRITE);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, nblocks);
	write_head(build->index, MAIN_FORKNUM, &build->meta, build->centroid, source->entries, source->nentries);
	for (BlockNumber blkno = geo.first_blkno; blkno < nblocks; blkno++)
	{
		Buffer		buf;

		CHECK_FOR_INTERRUPTS();
		buf = new_page(build->index, MAIN_FORKNUM);
		Assert(BufferGetBlockNumber(buf) == blkno);
		fill_page(&geo, 2 * build->meta.m, source, blkno, BufferGetPage(buf));
		MarkBufferDirty(buf);
		UnlockReleaseBuffer(buf);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, blkno + 1);
	}
	if (RelationNeedsWAL(build->index))
		log_newpage_range(build->index, MAIN_FORKNUM, 0, nblocks, true);
	record_rest(build->index, &geo, source->nslots, nblocks);
}
