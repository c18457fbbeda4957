/*
 * page.c
 *		Pages of a qhnsw index: initialise, read, check, and the metapage.
 *
 * Must not know what the slots mean.  See FORMAT.md.
 */
#include "postgres.h"

#include "store/page.h"

void
qh_page_init(Page page, QhPageKind kind, uint32 group)
{
	QhPageOpaque opaque;

	PageInit(page, BLCKSZ, sizeof(QhPageOpaqueData));
	opaque = QhPageGetOpaque(page);
	opaque->group = group;
	opaque->kind = kind;
	opaque->page_id = QH_PAGE_ID;

	/*
	 * WAL leaves out what lies between pd_lower and pd_upper, and slots have no line
	 * pointers that would move pd_lower: declare the page full once and for all.
	 */
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_upper;
}

QhPageKind
qh_array_page_kind(int array)
{
	return array == QH_ARRAY_HUB ? QH_PAGE_HUB : (QhPageKind) (QH_PAGE_ROW + array);
}

void
qh_report_corrupt(Relation index, BlockNumber blkno, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" contains a corrupted page at block %u: %s",
					RelationGetRelationName(index), blkno, what),
			 errhint("Please REINDEX it.")));
}

const char *
qh_page_fault(Page page, QhPageKind kind, uint32 group)
{
	QhPageOpaque opaque;

	if (PageIsNew(page))
		return "unexpected zero page";
	if (PageGetSpecialSize(page) != MAXALIGN(sizeof(QhPageOpaqueData)) ||
		((PageHeader) page)->pd_special != BLCKSZ - MAXALIGN(sizeof(QhPageOpaqueData)))
		return "special space has a wrong size";
	opaque = QhPageGetOpaque(page);
	if (opaque->page_id != QH_PAGE_ID)
		return "not a page of a qhnsw index";
	if (opaque->kind != kind)
		return "page is of another kind";
	if (opaque->group != group)
		return "page belongs to another group";
	return NULL;
}

void
qh_page_check(Relation index, BlockNumber blkno, Page page, QhPageKind kind, uint32 group)
{
	const char *fault = qh_page_fault(page, kind, group);

	if (unlikely(fault != NULL))
		qh_report_corrupt(index, blkno, fault);
}

Buffer
qh_page_read(Relation index, ForkNumber fork, BlockNumber blkno, QhPageKind kind, uint32 group, int lockmode)
{
	Buffer		buf = ReadBufferExtended(index, fork, blkno, RBM_NORMAL, NULL);

	LockBuffer(buf, lockmode);
	qh_page_check(index, blkno, BufferGetPage(buf), kind, group);
	return buf;
}

uint32
qh_entry_count(Relation index, Page page)
{
	uint32		nentries = QhPageGetEntry(page)->nentries;

	if (nentries > QH_MAX_ENTRIES)
		qh_report_corrupt(index, QH_ENTRY_BLKNO, "too many entry points");
	return nentries;
}

void
qh_meta_check(Relation index, Page page)
{
	QhMeta		meta = QhPageGetMeta(page);

	if (PageIsNew(page) || meta->magic != QH_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is not a qhnsw index", RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
	if (meta->version != QH_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has on-disk format version %u, but this qvec reads version %u",
						RelationGetRelationName(index), meta->version, QH_FORMAT_VERSION),
				 errhint("Please REINDEX it.")));
	qh_page_check(index, QH_META_BLKNO, page, QH_PAGE_META, 0);
}

void
qh_meta_read(Relation index, QhMetaData *meta)
{
	Buffer		buf = ReadBuffer(index, QH_META_BLKNO);

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	qh_meta_check(index, BufferGetPage(buf));
	*meta = *QhPageGetMeta(BufferGetPage(buf));
	UnlockReleaseBuffer(buf);
}
