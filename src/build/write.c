/*
 * write.c
 *		Writing the pages of a new index.
 *
 * A QhSource has the content of slots, and a batch of pages depends on no other.  Must not know
 * how nodes were linked, nor which processes take part.
 * See README.md, section "Pages and WAL".
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "build/write.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "storage/smgr.h"

/* Pages that are written, and logged, together; doc/decisions/0037. */
#define BATCH_NPAGES	256

/* Pages by which a relation grows between two looks for interrupts; doc/decisions/0037. */
#define EXTEND_NPAGES	128

/*
 * Lengthen a relation that nobody else uses yet.  Through the storage manager: the pages need no
 * buffers until they are written.
 */
static void
extend(Relation index, ForkNumber fork, BlockNumber nblocks)
{
	for (BlockNumber blkno = RelationGetNumberOfBlocksInFork(index, fork); blkno < nblocks; blkno += EXTEND_NPAGES)
	{
		CHECK_FOR_INTERRUPTS();
		smgrzeroextend(RelationGetSmgr(index), fork, blkno, (int) Min(nblocks - blkno, EXTEND_NPAGES), false);
	}
}

/* A page that was never written: there is nothing to read. */
static Buffer
new_page(Relation index, ForkNumber fork, BlockNumber blkno)
{
	return ReadBufferExtended(index, fork, blkno, RBM_ZERO_AND_LOCK, NULL);
}

static void
write_head(Relation index, ForkNumber fork, const QhMetaData *meta, const float *centroid,
		   const QhNode *entries, int nentries)
{
	Buffer		buf = new_page(index, fork, QH_META_BLKNO);
	QhEntry		entry;

	qh_page_init(BufferGetPage(buf), QH_PAGE_META, 0);
	*QhPageGetMeta(BufferGetPage(buf)) = *meta;
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);

	buf = new_page(index, fork, QH_ENTRY_BLKNO);
	qh_page_init(BufferGetPage(buf), QH_PAGE_ENTRY, 0);
	entry = QhPageGetEntry(BufferGetPage(buf));
	Assert(nentries <= QH_MAX_ENTRIES);
	entry->nentries = nentries;
	for (int i = 0; i < nentries; i++)
		entry->nodes[i] = entries[i];
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);

	for (uint32 i = 0; i < meta->nparam_pages; i++)
	{
		uint64		from = (uint64) i * QH_PARAM_NFLOATS;

		CHECK_FOR_INTERRUPTS();
		buf = new_page(index, fork, QH_FIRST_PARAM_BLKNO + i);
		qh_page_init(BufferGetPage(buf), QH_PAGE_PARAM, 0);
		memcpy(PageGetContents(BufferGetPage(buf)), centroid + from,
			   sizeof(float) * Min(QH_PARAM_NFLOATS, qh_meta_param_nfloats(meta) - from));
		MarkBufferDirty(buf);
		UnlockReleaseBuffer(buf);
	}
}

void
qh_write_empty(Relation index, ForkNumber fork, const QhMetaData *meta)
{
	extend(index, fork, QH_FIRST_PARAM_BLKNO);
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

	Assert(max_degree <= lengthof(links));
	if (!qh_link_packed(geo, id))
	{
		Assert(qh_link_nbytes(geo, id) >= sizeof(QhLink) * max_degree);
		memcpy(slot, links, sizeof(QhLink) * max_degree);
	}
	else if (!qh_pack_links(id, links, n, slot, qh_link_nbytes(geo, id)))
		elog(ERROR, "links of node %u do not fit their slot", id);
}

/* Records of nodes first to end - 1, which are on one page. */
static void
fill_records(const QhGeometry *geo, QhSource *source, QhNode first, QhNode end, Page page)
{
	uint8		record[QH_MAX_RECORD_NBYTES];

	qh_filter_page_init(page, &geo->filter);
	for (QhNode id = first; id < end; id++)
	{
		if (source->record(source, id, record))
			qh_filter_put(page, &geo->filter, id - first, record);
		else
			qh_filter_mark(page, &geo->filter, id - first, QH_RECORD_SEVERAL);
	}
}

static void
fill_page(const QhPages *pages, int max_degree, QhSource *source, BlockNumber blkno, Page page)
{
	const QhGeometry *geo = &pages->geo;
	uint32		group;
	QhNode		first;
	QhArray		array = qh_geometry_block(geo, blkno, &group, &first);
	bool		has_links = array == QH_ARRAY_LINK || array == QH_ARRAY_HUB;
	uint32		end = Min(first + qh_geometry_page_nslots(geo, blkno), has_links ? pages->nslots : source->nnodes);

	qh_page_init(page, qh_array_page_kind(array), group);
	if (array == QH_ARRAY_FILTER)
	{
		fill_records(geo, source, first, end, page);
		return;
	}
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
			((uint8 *) page)[geo->state_offset[array] + id - first] =
				id < source->nnodes ? QH_SLOT_LIVE : QH_SLOT_POSTING;
	}
}

/* Tell the free space map about slots behind the last one in use. */
static void
record_rest(Relation index, const QhPages *pages)
{
	uint32		end = qh_geometry_nslots(&pages->geo, pages->nblocks);
	BlockNumber last = InvalidBlockNumber;

	for (QhNode id = pages->nslots; id < end; id++)
	{
		BlockNumber blkno = qh_slot_address(&pages->geo, QH_ARRAY_LINK, id).blkno;

		if (blkno != last)
			RecordFreeIndexPage(index, blkno);
		last = blkno;
	}
	IndexFreeSpaceMapVacuum(index);
}

void
qh_pages_init(QhPages *pages, const QhBuild *build, uint32 nslots)
{
	const char *fault = qh_geometry_init(&pages->geo, &build->meta);

	if (fault != NULL)
		elog(ERROR, "cannot lay out index \"%s\": %s", RelationGetRelationName(build->index), fault);
	/* two batches less than there can be, so that none begins behind the last block number */
	if (((uint64) nslots / pages->geo.group_nslots + 1) * pages->geo.group_npages >
		MaxBlockNumber - pages->geo.first_blkno - 2 * BATCH_NPAGES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot hold %u nodes and lists of row pointers: it would have too many pages",
						RelationGetRelationName(build->index), nslots)));
	pages->nslots = nslots;
	pages->nblocks = qh_geometry_nblocks(&pages->geo, nslots);
}

void
qh_pages_extend(const QhPages *pages, const QhBuild *build)
{
	extend(build->index, MAIN_FORKNUM, pages->nblocks);
}

uint32
qh_pages_nbatches(const QhPages *pages)
{
	return (pages->nblocks - pages->geo.first_blkno + BATCH_NPAGES - 1) / BATCH_NPAGES;
}

uint32
qh_pages_write(const QhPages *pages, const QhBuild *build, uint32 batch, QhSource *source)
{
	BlockNumber begin = pages->geo.first_blkno + batch * BATCH_NPAGES;
	BlockNumber end = Min(begin + BATCH_NPAGES, pages->nblocks);

	for (BlockNumber blkno = begin; blkno < end; blkno++)
	{
		Buffer		buf;

		CHECK_FOR_INTERRUPTS();
		buf = new_page(build->index, MAIN_FORKNUM, blkno);
		fill_page(pages, 2 * build->meta.m, source, blkno, BufferGetPage(buf));
		MarkBufferDirty(buf);
		UnlockReleaseBuffer(buf);
	}
	if (RelationNeedsWAL(build->index))
		log_newpage_range(build->index, MAIN_FORKNUM, begin, end, true);
	return end - begin;
}

void
qh_pages_finish(const QhPages *pages, const QhBuild *build, const QhNode *entries, int nentries)
{
	write_head(build->index, MAIN_FORKNUM, &build->meta, build->centroid, entries, nentries);
	if (RelationNeedsWAL(build->index))
		log_newpage_range(build->index, MAIN_FORKNUM, 0, pages->geo.first_blkno, true);
	record_rest(build->index, pages);
}
