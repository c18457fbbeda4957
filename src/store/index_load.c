/*
 * index_load.c
 *		Reading what a backend remembers of an index: metapage, codec, centroid and entry points.
 *
 * Everything read is judged here before anybody uses it.  Must not know who holds an index, or
 * for how long.  See README.md, section "What a backend remembers".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/index_load.h"
#include "store/memory.h"
#include "store/page.h"
#include "store/readahead.h"
#include "store/versioned_read.h"
#include "utils/memutils.h"

void
qh_meta_params(const QhMetaData *meta, QvCodecParams *params)
{
	memset(params, 0, sizeof(*params));
	params->kind = (QvCodeKind) meta->code_kind;
	params->metric = (QvMetric) meta->metric;
	params->ndims = meta->ndims;
	params->nbits = meta->code_nbits;
	params->seed = meta->seed;
}

void
qh_meta_refine_params(const QhMetaData *meta, QvCodecParams *params)
{
	qh_meta_params(meta, params);
	params->nbits = meta->refine_nbits;
	params->purpose = QV_PURPOSE_REFINE;
}

/* The centroid from its pages, or NULL for the origin. */
static float *
read_centroid(Relation index, const QhMetaData *meta)
{
	float	   *centroid;

	if (meta->nparam_pages == 0)
		return NULL;
	if ((uint64) meta->nparam_pages * QH_PARAM_NFLOATS < meta->ndims)
		qh_report_corrupt(index, QH_META_BLKNO, "too few centroid pages");
	centroid = palloc(sizeof(float) * meta->ndims);
	for (uint32 i = 0; i < meta->nparam_pages; i++)
	{
		uint32		from = i * QH_PARAM_NFLOATS;
		uint32		count = Min(QH_PARAM_NFLOATS, meta->ndims - Min(from, meta->ndims));
		Buffer		buf = qh_page_read(index, MAIN_FORKNUM, QH_FIRST_PARAM_BLKNO + i,
									   QH_PAGE_PARAM, 0, BUFFER_LOCK_SHARE);

		memcpy(centroid + from, PageGetContents(BufferGetPage(buf)), count * sizeof(float));
		UnlockReleaseBuffer(buf);
	}
	return centroid;
}

/*
 * What is wrong with those fields of a metapage that neither the codec nor the geometry judges,
 * or NULL.
 */
static const char *
meta_fault(const QhMetaData *meta)
{
	if (meta->ef_construction < QH_MIN_EF_CONSTRUCTION || meta->ef_construction > QH_MAX_EF_CONSTRUCTION)
		return "ef_construction is out of range";
	if (!isfinite(meta->sample_spread) || !isfinite(meta->inserted_norm2))
		return "a mean of squared distances is not finite";
	return NULL;
}

/* A mean of indexed vectors is not longer than they are. */
static void
check_centroid(const QvCodecParams *params, Relation index)
{
	const float *centroid = params->centroid;

	/* NaN fails this too */
	if (centroid != NULL && !(qv_kernels()->dot_f32(centroid, centroid, params->ndims) <= FLT_MAX))
		qh_report_corrupt(index, QH_FIRST_PARAM_BLKNO, "centroid is not that of vectors");
}

static void
load_codec(QhIndex *ix, Relation index)
{
	const char *fault = meta_fault(&ix->meta);

	qh_meta_params(&ix->meta, &ix->params);
	if (fault == NULL)
		fault = qv_codec_params_fault(&ix->params);
	if (fault == NULL && qv_codec_slot_nbytes(&ix->params) != ix->meta.code_nbytes)
		fault = "code size does not match the codec";
	qh_meta_refine_params(&ix->meta, &ix->refine_params);
	if (fault == NULL && ix->meta.refine_nbits != 0)
	{
		fault = qv_codec_params_fault(&ix->refine_params);
		if (fault == NULL && qv_codec_slot_nbytes(&ix->refine_params) != ix->meta.refine_nbytes)
			fault = "size of the finer code does not match its codec";
	}
	if (fault == NULL)
		fault = qh_geometry_init(&ix->geo, &ix->meta);
	if (fault != NULL)
		qh_report_corrupt(index, QH_META_BLKNO, fault);
	ix->params.centroid = read_centroid(index, &ix->meta);
	check_centroid(&ix->params, index);
	ix->codec = qv_codec_init(qh_alloc_aligned(ix->cxt, qv_codec_sizeof(&ix->params), 64), &ix->params);
	ix->code_nbytes = ix->meta.code_nbytes;
	if (ix->meta.refine_nbits != 0)
	{
		ix->refine_params.centroid = ix->params.centroid;
		ix->refine_codec = qv_codec_init(qh_alloc_aligned(ix->cxt, qv_codec_sizeof(&ix->refine_params), 64),
										 &ix->refine_params);
		ix->refine_nbytes = ix->meta.refine_nbytes;
	}
}

/* Entry points stand all over the index: read their pages as one batch. */
static void
read_entries_ahead(const QhIndex *ix, Relation index, const QhNode *nodes, int n)
{
	BlockNumber *blknos = palloc(sizeof(BlockNumber) * Max(n, 1));
	int			nblknos = 0;

	for (int i = 0; i < n; i++)
	{
		if (nodes[i] < ix->nslots)
			blknos[nblknos++] = qh_slot_address(&ix->geo, QH_ARRAY_CODE, nodes[i]).blkno;
	}
	(void) qh_read_ahead_blocks(index, blknos, nblknos);
	pfree(blknos);
}

/* The codes of the entry points, side by side. */
static uint8 *
read_entry_codes(QhIndex *ix, Relation index, const QhNode *nodes, int n)
{
	uint8	   *codes = palloc((Size) ix->code_nbytes * Max(n, 1));

	qh_index_refresh_size(ix, index);
	read_entries_ahead(ix, index, nodes, n);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		Buffer		buf;

		CHECK_FOR_INTERRUPTS();
		if (nodes[i] >= ix->nslots)
			qh_report_corrupt(index, QH_ENTRY_BLKNO, "entry point is out of range");
		addr = qh_slot_address(&ix->geo, QH_ARRAY_CODE, nodes[i]);
		buf = qh_page_read(index, MAIN_FORKNUM, addr.blkno, QH_PAGE_CODE, nodes[i] / ix->geo.group_nslots,
						   BUFFER_LOCK_SHARE);
		memcpy(codes + (Size) i * ix->code_nbytes, BufferGetPage(buf) + addr.offset, ix->code_nbytes);
		UnlockReleaseBuffer(buf);
	}
	return codes;
}

void
qh_index_load_entries(QhIndex *ix, Relation index)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw entry points",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Buffer		buf = qh_page_read(index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0, BUFFER_LOCK_SHARE);
	QhEntry		entry = QhPageGetEntry(BufferGetPage(buf));
	uint32		nchanges = entry->nchanges;
	int			n = qh_entry_count(index, BufferGetPage(buf));
	QhNode	   *nodes = palloc(sizeof(QhNode) * Max(n, 1));
	uint8	   *codes;

	memcpy(nodes, entry->nodes, sizeof(QhNode) * n);
	UnlockReleaseBuffer(buf);
	codes = read_entry_codes(ix, index, nodes, n);
	MemoryContextSwitchTo(old);

	/* from here on nothing can fail */
	MemoryContextSetParent(cxt, ix->cxt);
	if (ix->entry_cxt != NULL)
		MemoryContextDelete(ix->entry_cxt);
	ix->entry_cxt = cxt;
	ix->nentry_changes = nchanges;
	ix->nentries = n;
	ix->entries = nodes;
	ix->entry_codes = codes;
}

/*
 * Read the metapage.  An index without a dimension has no entry points, or its metapage is
 * damaged; or another backend is giving it a dimension at this moment, so the metapage is read
 * again before that is reported.
 */
static void
read_meta(Relation index, QhMetaData *meta)
{
	Buffer		buf;
	bool		has_entries;

	qh_meta_read(index, meta);
	if (meta->ndims > 0)
		return;
	buf = qh_page_read(index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0, BUFFER_LOCK_SHARE);
	has_entries = qh_entry_count(index, BufferGetPage(buf)) > 0;
	UnlockReleaseBuffer(buf);
	if (!has_entries)
		return;
	qh_meta_read(index, meta);
	if (meta->ndims == 0)
		qh_report_corrupt(index, QH_META_BLKNO, "there are entry points, and no dimension");
}

void
qh_index_load(QhIndex *ix, Relation index)
{
	MemoryContext old = MemoryContextSwitchTo(ix->cxt);

	read_meta(index, &ix->meta);
	if (ix->meta.ndims > 0)
	{
		load_codec(ix, index);
		qh_index_load_entries(ix, index);
	}
	MemoryContextSwitchTo(old);
	ix->loaded = true;
}

/*
 * The counter of the entry page, if it can be read without pin and lock.  While it is being
 * changed, some of its bytes may be new already: then it differs from what is remembered, and
 * the list is read again.
 */
static bool
read_changes_unpinned(const QhIndex *ix, Relation index, uint32 *nchanges)
{
	QhUnpinnedRead unpinned;
	const char *page = qh_unpinned_read_begin(ix, index, QH_ENTRY_BLKNO, &unpinned);

	if (!qh_optimistic_read || page == NULL || !qh_page_is((Page) page, QH_PAGE_ENTRY, 0))
		return false;
	*nchanges = QhPageGetEntry((Page) page)->nchanges;
	return qh_unpinned_read_end(&unpinned);
}

bool
qh_index_entries_changed(QhIndex *ix, Relation index)
{
	Buffer		buf = ix->recent[QH_ENTRY_BLKNO];
	uint32		nchanges;

	if (read_changes_unpinned(ix, index, &nchanges))
		return nchanges != ix->nentry_changes;
	if (buf == InvalidBuffer || !qh_usage_is_full(buf) ||
		!ReadRecentBuffer(qh_locator(index), MAIN_FORKNUM, QH_ENTRY_BLKNO, buf))
		buf = ReadBuffer(index, QH_ENTRY_BLKNO);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	qh_page_check(index, QH_ENTRY_BLKNO, BufferGetPage(buf), QH_PAGE_ENTRY, 0);
	ix->recent[QH_ENTRY_BLKNO] = buf;
	nchanges = QhPageGetEntry(BufferGetPage(buf))->nchanges;
	UnlockReleaseBuffer(buf);
	return nchanges != ix->nentry_changes;
}

bool
qh_index_was_emptied(const QhIndex *ix, Relation index)
{
	QhMetaData	meta;

	qh_meta_read(index, &meta);
	return meta.ndims != ix->meta.ndims;
}
