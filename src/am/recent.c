/*
 * recent.c
 *		Exact distances that this backend's last scan of an index computed.
 *
 * A page of a result (OFFSET, or a bound of the distance) has all pages before it to pass over.  A row whose distance is known from
 * there need not be read again for that.  Nothing is returned on the strength of what stands here: a row that is to be
 * returned is fetched.  README.md, section "Distances remembered".
 */
#include "postgres.h"

#include "am/recent.h"
#include "common/hashfn.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct Known
{
	uint64		tid;			/* block and offset */
	double		dist;
	float		estimate;
	char		status;
} Known;

#define SH_PREFIX		known
#define SH_ELEMENT_TYPE Known
#define SH_KEY_TYPE		uint64
#define SH_KEY			tid
#define SH_HASH_KEY(tb, key)	murmurhash32((uint32) (key) ^ (uint32) ((key) >> 32) * 0x9E3779B1)
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* Rows that the table has room for at once: those of a LIMIT 10 at defaults. */
#define FEW_ROWS		64

static struct
{
	MemoryContext cxt;			/* of the rest; NULL = never used */
	Oid			index;			/* InvalidOid = nothing is known */
	Oid			heap;
	Size		query_nbytes;
	char	   *query;
	int			most_rows;
	known_hash *rows;
}			recent;

/* Relation cache callback: vacuum may give row pointers to other rows, and tells so by this. */
static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == recent.index || relid == recent.heap)
		recent.index = InvalidOid;
}

static uint64
key_of(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 | ItemPointerGetOffsetNumberNoCheck(tid);
}

void
qh_recent_begin(Relation index, Oid heap, Datum query, int most_rows)
{
	const char *bytes = (const char *) DatumGetPointer(query);
	Size		nbytes = VARSIZE_ANY(bytes);

	if (recent.cxt == NULL)
	{
		recent.cxt = AllocSetContextCreate(CacheMemoryContext, "qhnsw recent distances", ALLOCSET_DEFAULT_SIZES);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	}
	recent.most_rows = most_rows;
	if (recent.index == RelationGetRelid(index) && recent.query_nbytes == nbytes &&
		memcmp(recent.query, bytes, nbytes) == 0)
		return;
	recent.index = InvalidOid;
	MemoryContextReset(recent.cxt);
	recent.query = MemoryContextAllocHuge(recent.cxt, nbytes);
	memcpy(recent.query, bytes, nbytes);
	recent.query_nbytes = nbytes;
	recent.rows = known_create(recent.cxt, FEW_ROWS, NULL);
	recent.heap = heap;
	recent.index = RelationGetRelid(index);
}

void
qh_recent_put(const ItemPointerData *tid, float estimate, double dist)
{
	Known	   *row;
	bool		found;

	if (recent.index == InvalidOid || recent.rows->members >= (uint32) recent.most_rows)
		return;
	row = known_insert(recent.rows, key_of(tid), &found);
	row->estimate = estimate;
	row->dist = dist;
}

bool
qh_recent_get(const ItemPointerData *tid, float estimate, double *dist)
{
	Known	   *row;

	if (recent.index == InvalidOid)
		return false;
	row = known_lookup(recent.rows, key_of(tid));
	if (row == NULL || row->estimate != estimate)
		return false;
	*dist = row->dist;
	return true;
}
