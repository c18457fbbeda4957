/*
 * pair_values.c
 *		Values of nodes that this backend inserted lately, as codes for pairs.
 *
 * The codes of an index tell little of how far two rows are from each other.  Whoever loads many
 * rows has had their values: kept in a ring, they tell which nodes are to be linked.  An entry may
 * be out of date, for nodes come and go: who uses it compares the node's code.  Must not know
 * graphs.  See VALUES.md.
 */
#include "postgres.h"

#include "access/xact.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/memory.h"
#include "store/pair_values.h"
#include "utils/memutils.h"

/* Nodes that there is room for at first. */
#define LEAST_CAPACITY	256

/* Indexes of which a backend keeps values: those of a table or two. */
#define MAX_KNOWN		4

/* Bytes of the stored code that an entry remembers: two codes that agree in so many bits are of values nearly the same. */
#define CHECK_NBYTES	16

/* What stands in front of a code for pairs. */
typedef struct Entry
{
	QhNode		node;			/* QH_INVALID_NODE where it is empty */
	uint8		check[CHECK_NBYTES];
} Entry;

struct QhPairValues
{
	Oid			relid;
	Oid			relfilenumber;
	uint32		ndims;
	MemoryContext cxt;			/* of all that is below; NULL = nothing is kept here */
	uint64		used;			/* when, by a count of uses */
	QvPairCodec *codec;
	uint8	   *scratch;
	uint8	   *last;			/* code of the value that was encoded last */
	Size		code_nbytes;
	Size		stride;			/* of entries */
	uint32		capacity;
	uint8	   *entries;		/* the place of a node is its number modulo capacity: nodes are numbered as they come */
};

static QhPairValues known[MAX_KNOWN];
static uint64 nuses = 0;

static inline Entry *
entry_at(const QhPairValues *values, uint32 i)
{
	return (Entry *) (values->entries + values->stride * i);
}

static inline uint8 *
code_of(Entry *entry)
{
	return (uint8 *) entry + sizeof(Entry);
}

/* ---- what is kept ---- */

static void
drop(QhPairValues *values)
{
	if (values->cxt != NULL)
		MemoryContextDelete(values->cxt);
	memset(values, 0, sizeof(*values));
}

static Size
total_nbytes(void)
{
	Size		nbytes = 0;

	for (int i = 0; i < MAX_KNOWN; i++)
		nbytes += known[i].stride * known[i].capacity;
	return nbytes;
}

/*
 * A transaction that loads many rows may use the memory of a maintenance command; what is kept
 * after it is no more than any query may use.
 */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < MAX_KNOWN && total_nbytes() > work_mem * (Size) 1024; i++)
		drop(&known[i]);
}

/* Nodes that there may be room for; while the ring grows, the old one is there beside the new one. */
static uint32
max_capacity(const QhPairValues *values)
{
	Size		limit = maintenance_work_mem * (Size) 1024;

	return (uint32) Min((limit - Min(total_nbytes(), limit)) / values->stride, QH_MAX_NODES);
}

static void
set_capacity(QhPairValues *values, uint32 capacity)
{
	uint8	   *old = values->entries;
	uint32		old_capacity = values->capacity;

	values->entries = MemoryContextAllocHuge(values->cxt, values->stride * capacity);
	values->capacity = capacity;
	for (uint32 i = 0; i < capacity; i++)
		entry_at(values, i)->node = QH_INVALID_NODE;
	for (uint32 i = 0; i < old_capacity; i++)
	{
		Entry	   *entry = (Entry *) (old + values->stride * i);

		if (entry->node != QH_INVALID_NODE)
			memcpy(entry_at(values, entry->node % capacity), entry, values->stride);
	}
	if (old != NULL)
		pfree(old);
}

static void
begin(QhPairValues *values, const QhIndex *ix)
{
	static bool registered = false;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw known values", ALLOCSET_SMALL_SIZES);

	drop(values);
	if (!registered)
		RegisterXactCallback(at_end_of_transaction, NULL);
	registered = true;
	values->relid = ix->relid;
	values->relfilenumber = ix->relfilenumber;
	values->ndims = ix->meta.ndims;
	values->codec = qv_pair_codec_init(qh_alloc_aligned(cxt, qv_pair_codec_sizeof(&ix->params), 64), &ix->params);
	values->scratch = qh_alloc_aligned(cxt, qv_pair_scratch_nbytes(values->codec), 64);
	values->code_nbytes = qv_pair_code_nbytes(&ix->params);
	values->last = MemoryContextAlloc(cxt, values->code_nbytes);
	values->stride = TYPEALIGN(4, sizeof(Entry) + values->code_nbytes);
	MemoryContextSetParent(cxt, TopMemoryContext);
	values->cxt = cxt;
}

QhPairValues *
qh_pair_values(const QhIndex *ix)
{
	QhPairValues *oldest = &known[0];

	if (ix->meta.code_kind != QV_CODE_RABITQ)
		return NULL;
	nuses++;
	for (int i = 0; i < MAX_KNOWN; i++)
	{
		QhPairValues *values = &known[i];

		if (values->cxt != NULL && values->relid == ix->relid && values->relfilenumber == ix->relfilenumber &&
			values->ndims == ix->meta.ndims)
		{
			values->used = nuses;
			return values;
		}
		if (values->used < oldest->used)
			oldest = values;
	}
	begin(oldest, ix);
	oldest->used = nuses;
	return oldest;
}

/* ---- use ---- */

const QvPairCodec *
qh_pair_values_codec(const QhPairValues *values)
{
	return values->codec;
}

const uint8 *
qh_pair_values_encode(QhPairValues *values, const float *value)
{
	qv_pair_encode(values->codec, value, values->last, values->scratch);
	return values->last;
}

void
qh_pair_values_add(QhPairValues *values, QhNode node, const uint8 *code)
{
	Entry	   *entry;

	/* another node would have to go: make room, if there may be more */
	if (values->capacity == 0 || entry_at(values, node % values->capacity)->node != QH_INVALID_NODE)
	{
		uint32		capacity = Min(Max(2 * values->capacity, LEAST_CAPACITY), max_capacity(values));

		if (capacity > values->capacity)
			set_capacity(values, capacity);
	}
	if (values->capacity == 0)
		return;
	entry = entry_at(values, node % values->capacity);
	entry->node = node;
	memcpy(entry->check, code, CHECK_NBYTES);
	memcpy(code_of(entry), values->last, values->code_nbytes);
}

const uint8 *
qh_pair_values_find(const QhPairValues *values, QhNode node, const uint8 *code)
{
	Entry	   *entry;

	if (values->capacity == 0)
		return NULL;
	entry = entry_at(values, node % values->capacity);
	if (entry->node != node || memcmp(entry->check, code, CHECK_NBYTES) != 0)
		return NULL;
	return code_of(entry);
}

void
qh_pair_values_prefetch(const QhPairValues *values, QhNode node)
{
	const uint8 *entry;

	if (values->capacity == 0)
		return;
	entry = (const uint8 *) entry_at(values, node % values->capacity);
	for (Size at = 0; at < Min(values->stride, 512); at += QV_CACHE_LINE_NBYTES)
		qv_prefetch(entry + at);
}
