/*
 * code_map.c
 *		Which node has a code: a table of all codes of an index, kept until the transaction ends.
 *
 * An UPDATE that leaves the vector alone inserts a row whose code is in the index already.  A
 * search for it costs as much as reading hundreds of codes, so a transaction with many such
 * rows reads all codes once.  An entry of the table may be out of date, for nodes come and go:
 * who adds a row to a node compares its code.  Must not know who asks.  See README.md, section
 * "Known codes".
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "store/code_map.h"
#include "store/links.h"
#include "store/slot_pin.h"
#include "utils/memutils.h"

/*
 * The map is made after one row for so many nodes, and not for less than a few: by then
 * searches have cost about as much.  Measured, doc/decisions/0024-unchanged-vectors.md.
 */
#define LEAST_ROWS			4
#define NODES_PER_ROW		2000

/* Of four places three are filled when the map is made, and nine in ten at most. */
#define PLACES(n)			((Size) (n) + (n) / 3 + 64)
#define MAX_FILLED(nplaces) ((nplaces) / 10 * 9)

typedef struct Place
{
	uint32		hash;
	QhNode		node;			/* QH_INVALID_NODE where it is empty */
} Place;

struct QhCodeMap
{
	uint32		code_nbytes;
	uint32		nplaces;
	uint32		nfilled;
	Place	   *places;
};

/* What this transaction knows of an index; in its memory. */
typedef struct Known
{
	struct Known *next;
	Oid			relid;
	Oid			relfilenumber;
	uint64		nrows;			/* that were expected to have a code of the index */
	bool		too_large;
	QhCodeMap  *map;
} Known;

static Known *known = NULL;

static void
forget_all(void *arg)
{
	known = NULL;
}

static Known *
find_known(const QhIndex *ix)
{
	for (Known *k = known; k != NULL; k = k->next)
	{
		if (k->relid == ix->relid && k->relfilenumber == ix->relfilenumber)
			return k;
	}
	return NULL;
}

static Known *
add_known(const QhIndex *ix)
{
	Known	   *k = MemoryContextAllocZero(TopTransactionContext, sizeof(Known));

	if (known == NULL)
	{
		MemoryContextCallback *callback = MemoryContextAllocZero(TopTransactionContext, sizeof(MemoryContextCallback));

		callback->func = forget_all;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	k->relid = ix->relid;
	k->relfilenumber = ix->relfilenumber;
	k->next = known;
	known = k;
	return k;
}

/* ---- the table ---- */

static uint32
hash_code(const QhCodeMap *map, const uint8 *code)
{
	return hash_bytes(code, (int) map->code_nbytes);
}

/* Where to begin to look, without a division. */
static inline uint32
place_of(const QhCodeMap *map, uint32 hash)
{
	return (uint32) ((uint64) hash * map->nplaces >> 32);
}

static inline uint32
place_behind(const QhCodeMap *map, uint32 place)
{
	return place + 1 < map->nplaces ? place + 1 : 0;
}

void
qh_code_map_add(QhCodeMap *map, QhNode node, const uint8 *code)
{
	uint32		hash = hash_code(map, code);
	uint32		place = place_of(map, hash);

	if (map->nfilled >= MAX_FILLED(map->nplaces))
		return;
	while (map->places[place].node != QH_INVALID_NODE)
		place = place_behind(map, place);
	map->places[place] = (Place) {hash, node};
	map->nfilled++;
}

QhNode
qh_code_map_next(const QhCodeMap *map, const uint8 *code, uint32 *pos)
{
	uint32		hash = hash_code(map, code);
	uint64		place = (uint64) place_of(map, hash) + *pos;

	/* some places are empty, so this ends */
	for (;; place++)
	{
		const Place *p = &map->places[place < map->nplaces ? place : place - map->nplaces];

		if (p->node == QH_INVALID_NODE)
			return QH_INVALID_NODE;
		++*pos;
		if (p->hash == hash)
			return p->node;
	}
}

/* ---- making it ---- */

/* The codes of live nodes, a page after the other. */
static void
read_codes(QhRelStore *rs, QhCodeMap *map)
{
	uint8		states[QH_PAGE_NBYTES / QH_LINK_NBYTES_MIN];
	uint32		nslots = rs->ix->nslots;
	BlockNumber blkno = InvalidBlockNumber;
	Buffer		buf = InvalidBuffer;
	uint32		count;

	for (QhNode first = 0; first < nslots; first += count)
	{
		CHECK_FOR_INTERRUPTS();
		count = qh_read_states(rs, first, states);
		for (QhNode node = first; node < Min(first + count, nslots); node++)
		{
			QhSlotAddress addr;

			if (states[node - first] != QH_SLOT_LIVE)
				continue;
			addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, node);
			if (addr.blkno != blkno)
			{
				if (BufferIsValid(buf))
					ReleaseBuffer(buf);
				blkno = addr.blkno;
				buf = qh_pin_slot(rs, QH_ARRAY_CODE, node, &addr);
			}
			if (BufferIsValid(buf))
				qh_code_map_add(map, node, (const uint8 *) BufferGetPage(buf) + addr.offset);
		}
	}
	if (BufferIsValid(buf))
		ReleaseBuffer(buf);
}

/* As a sequential scan, this must not evict what others use. */
static void
read_codes_aside(QhRelStore *rs, QhCodeMap *map)
{
	BufferAccessStrategy strategy = NULL;

	if (rs->ix->nblocks > (BlockNumber) NBuffers / 4)
		strategy = GetAccessStrategy(BAS_BULKREAD);
	rs->strategy = strategy;
	read_codes(rs, map);
	rs->strategy = NULL;
	if (strategy != NULL)
		FreeAccessStrategy(strategy);
}

/* Its memory goes with the transaction, and with an error. */
static QhCodeMap *
make_map(QhRelStore *rs)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw known codes", ALLOCSET_SMALL_SIZES);
	QhCodeMap  *map = MemoryContextAlloc(cxt, sizeof(QhCodeMap));
	Size		nplaces = PLACES(rs->ix->nslots);

	elog(DEBUG1, "index \"%s\": reading all codes to find rows with unchanged ones", RelationGetRelationName(rs->index));
	map->code_nbytes = rs->ix->code_nbytes;
	map->nplaces = (uint32) nplaces;
	map->nfilled = 0;
	map->places = MemoryContextAllocHuge(cxt, sizeof(Place) * nplaces);
	memset(map->places, 0xFF, sizeof(Place) * nplaces); /* QH_INVALID_NODE */
	read_codes_aside(rs, map);
	MemoryContextSetParent(cxt, TopTransactionContext);
	return map;
}

QhCodeMap *
qh_code_map(const QhIndex *ix)
{
	Known	   *k = known == NULL ? NULL : find_known(ix);

	if (k == NULL)
		return NULL;
	/* the index was made empty and has decided its dimension anew since */
	if (k->map != NULL && k->map->code_nbytes != ix->code_nbytes)
	{
		MemoryContextDelete(GetMemoryChunkContext(k->map));
		k->map = NULL;
		k->nrows = 0;
	}
	return k->map;
}

void
qh_code_map_expect(QhRelStore *rs)
{
	Known	   *k = find_known(rs->ix);

	if (k == NULL)
		k = add_known(rs->ix);
	k->nrows++;
	if (qh_code_map(rs->ix) != NULL || k->too_large || k->nrows < LEAST_ROWS || k->nrows < rs->ix->nslots / NODES_PER_ROW)
		return;
	qh_index_refresh_size(rs->ix, rs->index);
	k->too_large = sizeof(Place) * PLACES(rs->ix->nslots) > maintenance_work_mem * (Size) 1024;
	if (!k->too_large)
		k->map = make_map(rs);
}
