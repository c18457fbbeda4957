/*
 * index_cache.c
 *		What a backend remembers of an open index: who holds it, and when it is read anew.
 *
 * The relation cache's own rd_amcache is not used: any invalidation frees it, even under a scan
 * that is using it.  So the entries are in a list of this file, with a count of their holders,
 * and an invalidation only marks them stale.  Must not know what is read, or how
 * (index_load.c).  See README.md, section "What a backend remembers".
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "store/index_cache.h"
#include "store/index_load.h"
#include "store/memory.h"
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

QhCode
qh_encode(const QhIndex *ix, const void *value)
{
	Size		nbytes = qv_codec_scratch_nbytes(ix->codec);
	void	   *scratch;
	QhCode		code = {palloc(ix->code_nbytes), NULL, NULL};

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
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw index",
											  ALLOCSET_DEFAULT_SIZES);
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

/* What is known of the index, held and up to date; NULL where it has to be read anew. */
static QhIndex *
acquire_known(Relation index, MemoryContext owner)
{
	QhIndex    *ix = find_known(index);

	if (ix == NULL)
		return NULL;
	hold(ix, MemoryContextAllocZero(owner, sizeof(Holder)), owner);
	if (!qh_index_entries_changed(ix, index) || qh_index_load_entries(ix, index))
		return ix;
	ix->stale = true;			/* released with its owner, and with all that use it now */
	return NULL;
}

/*
 * Read the index.  It is in the list and held before anything of it is read: reading may look
 * at the catalog, where an invalidation may come in, which must neither be missed nor free what
 * is being read; and whatever fails, release() tidies up.
 */
static QhIndex *
acquire_unread(Relation index, MemoryContext owner)
{
	for (;;)
	{
		Holder	   *holder = MemoryContextAllocZero(owner, sizeof(Holder));
		QhIndex    *ix = make_unread(index);

		hold(ix, holder, owner);
		if (qh_index_load(ix, index))
			return ix;
		CHECK_FOR_INTERRUPTS();
		ix->stale = true;		/* released with its owner */
	}
}

QhIndex *
qh_index_acquire(Relation index, MemoryContext owner)
{
	QhIndex    *ix;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(index_changed, (Datum) 0);
		callback_registered = true;
	}
	ix = acquire_known(index, owner);
	return ix != NULL ? ix : acquire_unread(index, owner);
}
