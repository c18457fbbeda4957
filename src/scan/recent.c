/*
 * recent.c
 *		Exact distances that this backend's last scan of an index computed.
 *
 * A page of a result (OFFSET, or a bound of the distance) passes over the rows of all pages
 * before it.  A row whose distance is known from there need not be read for that.  Nothing is
 * returned because of what is known here: a row that is to be returned is fetched.  Must not know
 * scans.  README.md, section "Distances remembered".
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/hashfn.h"
#include "compat.h"
#include "scan/recent.h"
#include "scan/row_queue.h"
#include "store/memory.h"
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

/* Rows that there is room for at first: those of LIMIT 10 at defaults. */
#define MIN_ROWS		64

/*
 * Rows are only added to a list while a scan finds them.  The hash table is made when the next
 * scan asks.
 */
static struct
{
	uint64		owner;			/* the scan that began last: to others nothing is known */
	MemoryContext cxt;			/* of what follows; NULL = never used */
	Oid			index;			/* InvalidOid = nothing is known */
	Oid			heap;
	char	   *query;
	Size		query_nbytes;
	Size		query_size;		/* room for it */
	Known	   *list;
	int			nlist;
	int			list_size;
	int			max_rows;
	known_hash *hash;			/* of the first nhashed of the list; NULL = not yet made */
	int			nhashed;
}			recent;

/*
 * Relation cache callback.  Vacuum, after which row pointers may belong to other rows, sends this
 * invalidation before the table gives them away (am/vacuum.c).  A standby sees it too late: when
 * vacuum's transaction ends.  So nothing is known there.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == recent.index || relid == recent.heap)
		recent.index = InvalidOid;
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

uint64
qh_recent_begin(Relation index, Oid heap, Datum query, int max_rows)
{
	const char *bytes = (const char *) DatumGetPointer(query);
	Size		nbytes = VARSIZE_ANY(bytes);

	if (recent.cxt == NULL)
	{
		recent.cxt = AllocSetContextCreate(CacheMemoryContext, "qhnsw recent distances",
										   ALLOCSET_DEFAULT_SIZES);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	}
	recent.max_rows = max_rows;
	recent.owner++;
	if (!RecoveryInProgress() && recent.index == RelationGetRelid(index) && recent.query_nbytes == nbytes &&
		memcmp(recent.query, bytes, nbytes) == 0)
		return recent.owner;
	recent.index = InvalidOid;
	if (recent.hash != NULL)
		known_destroy(recent.hash);
	recent.hash = NULL;
	recent.nlist = recent.nhashed = 0;
	keep_query(bytes, nbytes);
	recent.heap = heap;
	recent.index = RelationGetRelid(index);
	return recent.owner;
}

void
qh_recent_put(uint64 owner, const ItemPointerData *tid, float estimate, double dist)
{
	if (owner != recent.owner || recent.index == InvalidOid || recent.nlist >= recent.max_rows)
		return;
	if (recent.nlist == recent.list_size)
	{
		int			size = Max(MIN_ROWS, 2 * recent.list_size);

		recent.list = qh_alloc_more(recent.cxt, recent.list, sizeof(Known) * (Size) size);
		recent.list_size = size;
	}
	recent.list[recent.nlist++] = (Known) {.tid = qh_tid_to_queue(tid), .dist = dist, .estimate = estimate};
}

/* Put into the hash table what was added to the list since. */
static void
hash_list(void)
{
	if (recent.hash == NULL)
		recent.hash = known_create(recent.cxt, Max(MIN_ROWS, recent.nlist), NULL);
	while (recent.nhashed < recent.nlist)
	{
		const Known *known = &recent.list[recent.nhashed];
		bool		found;
		Known	   *row = known_insert(recent.hash, known->tid, &found);

		row->dist = known->dist;
		row->estimate = known->estimate;
		recent.nhashed++;
	}
}

bool
qh_recent_get(uint64 owner, const ItemPointerData *tid, float estimate, double *dist)
{
	Known	   *row;

	if (owner != recent.owner || recent.index == InvalidOid || recent.nlist == 0)
		return false;
	if (recent.nhashed < recent.nlist)
		hash_list();
	row = known_lookup(recent.hash, qh_tid_to_queue(tid));
	if (row == NULL || row->estimate != estimate)
		return false;
	*dist = row->dist;
	return true;
}

int
qh_recent_count_before(uint64 owner, double dist)
{
	int			n = 0;

	if (owner != recent.owner || recent.index == InvalidOid)
		return 0;
	for (int i = 0; i < recent.nlist; i++)
		n += recent.list[i].dist < dist;
	return n;
}
