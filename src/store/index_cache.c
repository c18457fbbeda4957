/*
 * index_cache.c
 *		What a backend remembers of an open index.
 *
 * The relation cache's own rd_amcache will not do: it is freed by any invalidation, even
 * while a scan is using it.  So the entries live in a list of our own, counted, and
 * an invalidation only marks them stale.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "store/index_cache.h"
#include "store/memory.h"
#include "store/versioned_read.h"
#include "store/page.h"
#include "store/readahead.h"
#include "utils/inval.h"
#include "utils/memutils.h"

static QhIndex *known = NULL;
static bool callback_registered = false;

typedef struct Holder
{
	MemoryContextCallback callback;
	QhIndex    *ix;
} Holder;

static void
unlink_index(QhIndex *ix)
{
	for (QhIndex **p = &known; *p != NULL; p = &(*p)->next)
	{
		if (*p == ix)
		{
			*p = ix->next;
			return;
		}
	}
}

static void
drop_unused(QhIndex *ix)
{
	if ((ix->stale || !ix->loaded) && ix->refcount == 0)
	{
		unlink_index(ix);
		MemoryContextDelete(ix->cxt);
	}
}

/* Relation cache callback: InvalidOid means everything. */
static void
index_changed(Datum arg, Oid relid)
{
	QhIndex    *next;

	for (QhIndex *ix = known; ix != NULL; ix = next)
	{
		next = ix->next;
		if (relid == InvalidOid || ix->relid == relid)
		{
			ix->stale = true;
			drop_unused(ix);
		}
	}
}

void
qh_index_forget(Oid relid)
{
	index_changed((Datum) 0, relid);
}

static void
release(void *arg)
{
	QhIndex    *ix = ((Holder *) arg)->ix;

	Assert(ix->refcount > 0);
	ix->refcount--;
	drop_unused(ix);
}

void
qh_meta_params(const QhMetaData *meta, QvCodecParams *params)
{
	memset(params, 0, sizeof(*params));
	params->kind = (QvCodeKind) meta->code_kind;
	params->metric = (QvMetric) meta->metric;
	params->ndims = meta->ndims;
	params->nbits = meta->code_nbits;
	params->seed = meta->seed;
	params->max_norm = meta->max_norm;
}

void
qh_meta_refine_params(const QhMetaData *meta, QvCodecParams *params)
{
	qh_meta_params(meta, params);
	params->nbits = meta->refine_nbits;
	params->purpose = QV_PURPOSE_REFINE;
}

QhCode
qh_encode(const QhIndex *ix, const void *value)
{
	Size		nbytes = qv_codec_scratch_nbytes(ix->codec);
	void	   *scratch;
	QhCode		code = {palloc(ix->code_nbytes), NULL};

	if (ix->refine_codec != NULL)
		nbytes = Max(nbytes, qv_codec_scratch_nbytes(ix->refine_codec));
	scratch = qh_alloc_aligned(CurrentMemoryContext, nbytes, 64);
	qv_codec_encode(ix->codec, value, code.code, scratch);
	if (ix->refine_codec != NULL)
	{
		code.refine = palloc(ix->refine_nbytes);
		qv_codec_encode(ix->refine_codec, value, code.refine, scratch);
	}
	return code;
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

/* What is wrong with those fields of a metapage that neither the codec nor the geometry judges, or NULL. */
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
		buf = qh_page_read(index, MAIN_FORKNUM, addr.blkno, QH_PAGE_CODE, nodes[i] / ix->geo.group_nslots, BUFFER_LOCK_SHARE);
		memcpy(codes + (Size) i * ix->code_nbytes, BufferGetPage(buf) + addr.offset, ix->code_nbytes);
		UnlockReleaseBuffer(buf);
	}
	return codes;
}

/*
 * Entry points and, beside them, their codes: what a search scores first, in one sweep.  Up to two thousand reads, any of
 * which may fail: what is known stays as it was, with the counter that says it is out of date, until all of them are done.
 */
static void
load_entries(QhIndex *ix, Relation index)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw entry points", ALLOCSET_DEFAULT_SIZES);
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

/* An index without a dimension has no entry points, or its metapage is damaged; somebody may be giving it one just now. */
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

/* Read all there is to know.  The caller holds ix, so that neither an invalidation nor an error frees it under us. */
static void
load(QhIndex *ix, Relation index)
{
	MemoryContext old = MemoryContextSwitchTo(ix->cxt);

	read_meta(index, &ix->meta);
	if (ix->meta.ndims > 0)
	{
		load_codec(ix, index);
		load_entries(ix, index);
	}
	MemoryContextSwitchTo(old);
	ix->loaded = true;
}

/*
 * The counter of the entry page, if it can be read without pin and lock.  If it is being changed, some of its bytes may be
 * new already: then it is not what it was, and the list is read again.
 */
static bool
read_changes_unpinned(const QhIndex *ix, Relation index, uint32 *nchanges)
{
	QhUnpinnedRead	unpinned;
	const char *page = qh_unpinned_read_begin(ix, index, QH_ENTRY_BLKNO, &unpinned);

	if (!qh_optimistic_read || page == NULL || !qh_page_is((Page) page, QH_PAGE_ENTRY, 0))
		return false;
	*nchanges = QhPageGetEntry((Page) page)->nchanges;
	return qh_unpinned_read_end(&unpinned);
}

/*
 * Have the entry points changed since they were read?  Asked for every scan: an
 * invalidation would come only when the change commits, and not at all if it does not.
 */
static bool
entries_changed(QhIndex *ix, Relation index)
{
	Buffer		buf = ix->hints[QH_ENTRY_BLKNO];
	uint32		nchanges;

	if (read_changes_unpinned(ix, index, &nchanges))
		return nchanges != ix->nentry_changes;
	if (buf == InvalidBuffer || !qh_usage_is_full(buf) ||
		!ReadRecentBuffer(qh_locator(index), MAIN_FORKNUM, QH_ENTRY_BLKNO, buf))
		buf = ReadBuffer(index, QH_ENTRY_BLKNO);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	qh_page_check(index, QH_ENTRY_BLKNO, BufferGetPage(buf), QH_PAGE_ENTRY, 0);
	ix->hints[QH_ENTRY_BLKNO] = buf;
	nchanges = QhPageGetEntry(BufferGetPage(buf))->nchanges;
	UnlockReleaseBuffer(buf);
	return nchanges != ix->nentry_changes;
}

/* What is known of the index, if anything is. */
static QhIndex *
find_known(Relation index)
{
	QhIndex    *ix = known;

	while (ix != NULL && (ix->relid != RelationGetRelid(index) || ix->stale || !ix->loaded))
		ix = ix->next;
	/* an index without a dimension costs nothing to read again, and may have got one */
	if (ix != NULL && (ix->relfilenumber != qh_relfilenumber(index) || ix->codec == NULL))
	{
		ix->stale = true;
		drop_unused(ix);
		return NULL;
	}
	return ix;
}

/* An entry of the list of which nothing was read. */
static QhIndex *
make_unread(Relation index)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw index", ALLOCSET_DEFAULT_SIZES);
	QhIndex    *ix = MemoryContextAllocZero(cxt, sizeof(QhIndex));

	MemoryContextSetParent(cxt, CacheMemoryContext);
	ix->cxt = cxt;
	ix->relid = RelationGetRelid(index);
	ix->relfilenumber = qh_relfilenumber(index);
	ix->insert_target = InvalidBlockNumber;
	ix->next = known;
	known = ix;
	return ix;
}

static void
hold(QhIndex *ix, Holder *holder, MemoryContext owner)
{
	holder->ix = ix;
	holder->callback.func = release;
	holder->callback.arg = holder;
	ix->refcount++;
	MemoryContextRegisterResetCallback(owner, &holder->callback);
}

/*
 * Has the index been made empty for a row of another dimension since it was read?  The counter of entry points went up then, in the
 * same record.
 */
static bool
was_emptied(const QhIndex *ix, Relation index)
{
	QhMetaData	meta;

	qh_meta_read(index, &meta);
	return meta.ndims != ix->meta.ndims;
}

/*
 * It is in the list and held before anything of it is read: reading may look at the catalog, where an invalidation may
 * come in, which must neither be missed nor free what is being read; and whatever fails, release() tidies up.
 */
QhIndex *
qh_index_acquire(Relation index, MemoryContext owner)
{
	Holder	   *holder = MemoryContextAllocZero(owner, sizeof(Holder));
	QhIndex    *ix;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(index_changed, (Datum) 0);
		callback_registered = true;
	}

	ix = find_known(index);
	if (ix != NULL)
	{
		hold(ix, holder, owner);
		if (!entries_changed(ix, index))
			return ix;
		if (!was_emptied(ix, index))
		{
			load_entries(ix, index);
			return ix;
		}
		ix->stale = true;		/* let go with its owner */
		holder = MemoryContextAllocZero(owner, sizeof(Holder));
	}
	ix = make_unread(index);
	hold(ix, holder, owner);
	load(ix, index);
	return ix;
}

/* Room for a hint for each of nblocks blocks. */
static void
grow_hints(QhIndex *ix, BlockNumber nblocks)
{
	BlockNumber max;
	Buffer	   *grown;

	if (nblocks <= ix->nhints)
		return;
	max = Max(nblocks, ix->nhints + ix->nhints / 2);
	grown = MemoryContextAllocHuge(ix->cxt, sizeof(Buffer) * (Size) max);
	if (ix->nhints > 0)
		memcpy(grown, ix->hints, sizeof(Buffer) * (Size) ix->nhints);
	memset(grown + ix->nhints, 0, sizeof(Buffer) * (Size) (max - ix->nhints));
	if (ix->hints)
		pfree(ix->hints);
	ix->hints = grown;
	ix->nhints = max;
}

/* Those of the table are few enough to be found again. */
static void
grow_heap_recent(QhIndex *ix, BlockNumber nblocks)
{
	BlockNumber max = pg_nextpower2_32(Max(1, Min(nblocks, QH_TABLE_HINTS_MAX)));
	QhHeapRecent *grown;

	if (max <= ix->nheap_recent)
		return;
	grown = MemoryContextAlloc(ix->cxt, sizeof(QhHeapRecent) * max);
	for (BlockNumber i = 0; i < max; i++)
		grown[i] = (QhHeapRecent) {InvalidBlockNumber, InvalidBuffer};
	if (ix->heap_recent)
		pfree(ix->heap_recent);
	ix->heap_recent = grown;
	ix->nheap_recent = max;
}

/* Memory comes first: what is known of the size must not be ahead of it. */
void
qh_index_refresh_size(QhIndex *ix, Relation index)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);

	/* vacuum gave its end back: what is remembered of that may be taken for its successor's */
	if (nblocks < ix->nblocks && ix->hints != NULL)
		memset(ix->hints, 0, sizeof(Buffer) * (Size) ix->nhints);
	grow_hints(ix, nblocks);
	ix->nblocks = nblocks;
	ix->nslots = ix->meta.ndims > 0 ? qh_geometry_nslots(&ix->geo, nblocks) : 0;
}

void
qh_index_refresh_table_size(QhIndex *ix, Relation heap)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);

	grow_heap_recent(ix, nblocks);
	ix->ntable_blocks = nblocks;
}
