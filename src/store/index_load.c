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
#include "store/added_centres.h"
#include "store/curve.h"
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
	/* a finer code of 32 bits is the vector itself */
	if (meta->refine_nbits == 32)
		params->kind = QV_CODE_FLOAT;
	params->nbits = meta->refine_nbits;
	params->purpose = QV_PURPOSE_REFINE;
}

/* Centroid and centres of the build from their pages, one behind the other. */
static void
read_params(Relation index, const QhMetaData *meta, float *params)
{
	uint64		nfloats = qh_meta_param_nfloats(meta);

	for (uint32 i = 0; i < meta->nparam_pages; i++)
	{
		uint64		from = (uint64) i * QH_PARAM_NFLOATS;
		Buffer		buf = qh_page_read(index, MAIN_FORKNUM, QH_FIRST_PARAM_BLKNO + i,
									   QH_PAGE_PARAM, 0, BUFFER_LOCK_SHARE);

		memcpy(params + from, PageGetContents(BufferGetPage(buf)), Min(QH_PARAM_NFLOATS, nfloats - from) * sizeof(float));
		UnlockReleaseBuffer(buf);
	}
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
	if (meta->ncentres > QV_MAX_CENTRES || meta->ncentres_built > meta->ncentres ||
		(meta->ncentres_built > 0 && meta->nparam_pages == 0) ||
		(meta->ncentres > 0 && meta->code_kind == QV_CODE_BITS) ||
		(meta->ncentres > meta->ncentres_built) != (meta->added_head != QH_INVALID_NODE))
		return "numbers of centres do not match";
	return NULL;
}

/* A mean of indexed vectors is not longer than they are. */
static void
check_centres(const float *centres, uint32 n, uint32 ndims, Relation index)
{
	for (uint32 i = 0; i < n; i++)
	{
		const float *centre = centres + (Size) i * ndims;

		/* NaN fails this too */
		if (!(qv_kernels()->dot_f32(centre, centre, ndims) <= FLT_MAX))
			qh_report_corrupt(index, QH_FIRST_PARAM_BLKNO, "centre is not that of vectors");
	}
}

/*
 * What codes are measured from: the centroid, or the origin; the centres of the build; those added
 * since.  The parameters point to it until both codecs have their copies.
 */
static float *
read_centres(QhIndex *ix, Relation index)
{
	const QhMetaData *meta = &ix->meta;
	uint32		ndims = meta->ndims;
	float	   *centres;

	if (meta->nparam_pages == 0 && meta->ncentres == 0)
		return NULL;
	centres = palloc0(sizeof(float) * (1 + meta->ncentres) * (Size) ndims);
	read_params(index, meta, centres);
	if (meta->ncentres > meta->ncentres_built)
	{
		QhRelStore	rs;

		qh_relstore_init(&rs, index, ix);
		qh_added_read(&rs, centres + (1 + meta->ncentres_built) * (Size) ndims);
	}
	check_centres(centres, 1 + meta->ncentres, ndims, index);
	return centres;
}

/* A codec over these centres; the parameters do not point to them afterwards. */
static QvCodec *
make_codec(QhIndex *ix, QvCodecParams *params, const float *centres)
{
	QvCodec    *codec;

	if (ix->meta.nparam_pages > 0)
		params->centroid = centres;
	params->ncentres = ix->meta.ncentres;
	params->centres = params->ncentres > 0 ? centres + ix->meta.ndims : NULL;
	codec = qv_codec_init(qh_alloc_aligned(ix->cxt, qv_codec_sizeof(params), 64), params);
	params->centroid = params->centres = NULL;
	params->ncentres = 0;
	return codec;
}

static void
load_codec(QhIndex *ix, Relation index)
{
	const char *fault = meta_fault(&ix->meta);
	float	   *centres;

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
	centres = read_centres(ix, index);
	ix->codec = make_codec(ix, &ix->params, centres);
	ix->code_nbytes = ix->meta.code_nbytes;
	if (ix->meta.refine_nbits != 0)
	{
		ix->refine_codec = make_codec(ix, &ix->refine_params, centres);
		ix->refine_nbytes = ix->meta.refine_nbytes;
	}
	if (centres != NULL)
		pfree(centres);
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

/*
 * Inner products of rows are taken from their middle where links are chosen.  In an index that no
 * sample was taken for, the entry points tell it, which are spread over the rows.
 */
static void
recentre(QhIndex *ix)
{
	QvCodecParams params = ix->params;
	float	   *centroid;

	if (params.kind != QV_CODE_FLOAT || params.metric != QV_METRIC_IP || params.centroid != NULL || ix->nentries == 0)
		return;
	centroid = palloc0(sizeof(float) * params.ndims);
	for (int i = 0; i < ix->nentries; i++)
	{
		for (uint32 j = 0; j < params.ndims; j++)
		{
			float		x;

			memcpy(&x, ix->entry_codes + (Size) i * ix->code_nbytes + j * sizeof(float), sizeof(x));
			centroid[j] += x / ix->nentries;
		}
	}
	params.centroid = centroid;
	if (qv_codec_params_fault(&params) == NULL)
		(void) qv_codec_init(ix->codec, &params);
	pfree(centroid);
}

/* Has the index another dimension or other centres than when its metapage was read? */
static bool
meta_changed(const QhIndex *ix, Relation index)
{
	QhMetaData	meta;

	qh_meta_read(index, &meta);
	return meta.ndims != ix->meta.ndims || meta.ncentres != ix->meta.ncentres || meta.added_head != ix->meta.added_head;
}

/*
 * The list, and then whether the rest is as it was: what changes dimension or centres moves the
 * counter in the same record.  So either it is seen here, or the counter differs next time.
 */
bool
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
	if (meta_changed(ix, index))
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		return false;
	}
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
	recentre(ix);
	return true;
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

bool
qh_index_load(QhIndex *ix, Relation index)
{
	MemoryContext old = MemoryContextSwitchTo(ix->cxt);

	read_meta(index, &ix->meta);
	qh_curve_read(index, &ix->curve);
	if (ix->meta.ndims > 0)
	{
		load_codec(ix, index);
		ix->loaded = qh_index_load_entries(ix, index);
	}
	else
		ix->loaded = true;
	MemoryContextSwitchTo(old);
	return ix->loaded;
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
