/*
 * recent.c
 *		Exact distances that this backend's last scan of an index computed.
 *
 * A page of a result (OFFSET, or a bound of the distance) has all pages before it to pass over.  A row whose distance is known from
 * there need not be read again for that.  Nothing is returned on the strength of what stands here: a row that is to be
 * returned is fetched.  README.md, section "Distances remembered".
 */
#include "postgres.h"

#include "scan/recent.h"
#include "common/hashfn.h"
#include "compat.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct Known
{
	uint64		tid;			/* block and offset */
	double		dist;
	float		estimate;
	char		status;			/* of the hash table */
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

/* Rows that there is room for at once: those of a LIMIT 10 at defaults. */
#define FEW_ROWS		64

/* Rows are only noted while they come; a table of them is made when the next scan asks. */
static struct
{
	MemoryContext cxt;			/* of the rest; NULL = never used */
	Oid			index;			/* InvalidOid = nothing is known */
	Oid			heap;
	char	   *query;
	Size		query_nbytes;
	Size		query_size;		/* room for it */
	Known	   *noted;
	int			nnoted;
	int			noted_size;
	int			most_rows;
	known_hash *rows;			/* the first nhashed of those noted; NULL = none yet */
	int			nhashed;
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

static void
keep_query(const char *bytes, Size nbytes)
{
	if (nbytes > recent.query_size)
	{
		if (recent.query)
			pfree(recent.query);
		recent.query = NULL;
		recent.query_size = 0;
		recent.query = MemoryContextAllocHuge(recent.cxt, nbytes);
		recent.query_size = nbytes;
	}
	memcpy(recent.query, bytes, nbytes);
	recent.query_nbytes = nbytes;
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
	if (recent.rows != NULL)
		known_destroy(recent.rows);
	recent.rows = NULL;
	recent.nnoted = recent.nhashed = 0;
	keep_query(bytes, nbytes);
	recent.heap = heap;
	recent.index = RelationGetRelid(index);
}

void
qh_recent_put(const ItemPointerData *tid, float estimate, double dist)
{
	if (recent.index == InvalidOid || recent.nnoted >= recent.most_rows)
		return;
	if (recent.nnoted == recent.noted_size)
	{
		int			size = Max(FEW_ROWS, 2 * recent.noted_size);
		Known	   *grown = MemoryContextAllocHuge(recent.cxt, sizeof(Known) * (Size) size);

		if (recent.nnoted > 0)
			memcpy(grown, recent.noted, sizeof(Known) * (Size) recent.nnoted);
		if (recent.noted)
			pfree(recent.noted);
		recent.noted = grown;
		recent.noted_size = size;
	}
	recent.noted[recent.nnoted++] = (Known) {.tid = key_of(tid), .dist = dist, .estimate = estimate};
}

/* Put into the table what was noted since. */
static void
hash_noted(void)
{
	if (recent.rows == NULL)
		recent.rows = known_create(recent.cxt, Max(FEW_ROWS, recent.nnoted), NULL);
	while (recent.nhashed < recent.nnoted)
	{
		const Known *noted = &recent.noted[recent.nhashed];
		bool		found;
		Known	   *row = known_insert(recent.rows, noted->tid, &found);

		row->dist = noted->dist;
		row->estimate = noted->estimate;
		recent.nhashed++;
	}
}

bool
qh_recent_get(const ItemPointerData *tid, float estimate, double *dist)
{
	Known	   *row;

	if (recent.index == InvalidOid || recent.nnoted == 0)
		return false;
	if (recent.nhashed < recent.nnoted)
		hash_noted();
	row = known_lookup(recent.rows, key_of(tid));
	if (row == NULL || row->estimate != estimate)
		return false;
	*dist = row->dist;
	return true;
}

int
qh_recent_count_before(double dist)
{
	int			n = 0;

	if (recent.index == InvalidOid)
		return 0;
	for (int i = 0; i < recent.nnoted; i++)
		n += recent.noted[i].dist < dist;
	return n;
}
