/*
 * dedup_codes.c
 *		Distinct codes and their rows: one node a code, with a list of row pointers.
 *
 * Must not know where rows come from nor where nodes go.  The first row of a node is kept beside it; a second
 * one opens a posting slot for it, and a slot that is full becomes the tail of the chain, so that however
 * many rows share a code, only one slot a node is held.  See README.md, section "Build".
 */
#include "postgres.h"

#include "build/build.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

/* ---- the hash table of codes ---- */

typedef struct CodeEntry
{
	uint32		node;			/* position in codes[] */
	uint32		hash;
	char		status;
} CodeEntry;

#define code_at(gather, i) ((gather)->codes + (Size) (i) * (gather)->code_nbytes)

#define SH_PREFIX		codeset
#define SH_ELEMENT_TYPE CodeEntry
#define SH_KEY_TYPE		uint32
#define SH_KEY			node
#define SH_HASH_KEY(tb, key) hash_bytes(code_at((QhGather *) (tb)->private_data, key), (int) ((QhGather *) (tb)->private_data)->code_nbytes)
#define SH_EQUAL(tb, a, b) (memcmp(code_at((QhGather *) (tb)->private_data, a), code_at((QhGather *) (tb)->private_data, b), ((QhGather *) (tb)->private_data)->code_nbytes) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Nodes there is room for at first where nobody knows how many will come. */
#define FIRST_NNODES	1024

/* Room for n things, whose bytes together need not fit a Size. */
static void *
grow(MemoryContext cxt, void *p, uint32 n, Size each)
{
	Size		nbytes = qh_build_array_nbytes(n, each);

	return p == NULL ? MemoryContextAllocHuge(cxt, nbytes) : repalloc_huge(p, nbytes);
}

static void
make_room(QhGather *gather, uint32 max)
{
	if (max > QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index cannot hold more than %u nodes", QH_MAX_NODES / 2)));
	gather->codes = grow(gather->cxt, gather->codes, max, gather->code_nbytes);
	gather->tids = grow(gather->cxt, gather->tids, max, sizeof(ItemPointerData));
	if (gather->refine_nbytes > 0)
		gather->refine_codes = grow(gather->cxt, gather->refine_codes, max, gather->refine_nbytes);
	if (gather->postings.open_of != NULL)
		gather->postings.open_of = grow(gather->cxt, gather->postings.open_of, max, sizeof(uint32));
	gather->max_nodes = max;
}

void
qh_gather_init(QhGather *gather, MemoryContext cxt, const QhMetaData *meta, uint32 nnodes)
{
	memset(gather, 0, sizeof(*gather));
	gather->cxt = cxt;
	gather->code_nbytes = meta->code_nbytes;
	gather->refine_nbytes = meta->refine_nbytes;
	gather->posting_nbytes = qh_meta_link_nbytes(meta);
	gather->hash = codeset_create(cxt, nnodes > 0 ? nnodes : FIRST_NNODES, gather);
	make_room(gather, nnodes > 0 ? nnodes + 1 : FIRST_NNODES);
}

uint8 *
qh_gather_code(QhGather *gather)
{
	if (gather->nnodes == gather->max_nodes)
		make_room(gather, gather->max_nodes + gather->max_nodes / 2 + 1);
	return code_at(gather, gather->nnodes);
}

uint8 *
qh_gather_refine(QhGather *gather)
{
	return gather->refine_codes + gather->nnodes * gather->refine_nbytes;
}

/* ---- several rows ---- */

static QhPosting
open_slot(const QhGather *gather, uint32 at)
{
	return (QhPosting) (gather->postings.open + at * gather->posting_nbytes);
}

static void
clear_slot(const QhGather *gather, QhPosting slot, QhNode next)
{
	memset(slot, 0, gather->posting_nbytes);
	slot->next = next;
}

/* The slot that takes a node's next row; its first one is moved there. */
static QhPosting
slot_of(QhGather *gather, uint32 node)
{
	QhPostings *postings = &gather->postings;
	QhPosting	slot;

	if (postings->open_of == NULL)
	{
		postings->open_of = grow(gather->cxt, NULL, gather->max_nodes, sizeof(uint32));
		memset(postings->open_of, 0xFF, sizeof(uint32) * (Size) gather->nnodes);
	}
	if (postings->open_of[node] != QH_INVALID_NODE)
		return open_slot(gather, postings->open_of[node]);
	if (postings->nopen == postings->max_open)
	{
		/* no more than a slot a node: so much is planned for */
		postings->max_open = Min(postings->max_open * 2 + 64, gather->max_nodes);
		postings->open = grow(gather->cxt, postings->open, postings->max_open, gather->posting_nbytes);
	}
	postings->open_of[node] = postings->nopen++;
	Assert(postings->nopen <= postings->max_open);
	slot = open_slot(gather, postings->open_of[node]);
	clear_slot(gather, slot, QH_INVALID_NODE);
	slot->tids[slot->ntids++] = gather->tids[node];
	return slot;
}

static void
make_full_room(QhGather *gather, uint32 max)
{
	QhPostings *postings = &gather->postings;

	postings->full = grow(gather->cxt, postings->full, max, gather->posting_nbytes);
	postings->max_full = max;
}

/* Number a slot and put it by. */
static uint32
put_by(QhGather *gather, const QhPostingData *slot)
{
	QhPostings *postings = &gather->postings;

	if (postings->nfull >= QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index cannot hold more than %u lists of row pointers", QH_MAX_NODES / 2)));
	if (postings->spool != NULL)
		qh_spool_put(postings->spool, postings->spool_part, slot, gather->posting_nbytes);
	else
	{
		if (postings->nfull == postings->max_full)
			make_full_room(gather, postings->max_full + postings->max_full / 2 + 64);
		memcpy(postings->full + postings->nfull * gather->posting_nbytes, slot, gather->posting_nbytes);
	}
	return postings->nfull++;
}

static void
add_row(QhGather *gather, uint32 node, ItemPointer tid)
{
	QhPosting	slot = slot_of(gather, node);

	if (slot->ntids == QH_POSTING_NTIDS(gather->posting_nbytes))
		clear_slot(gather, slot, put_by(gather, slot));
	Assert(slot->ntids < QH_POSTING_NTIDS(gather->posting_nbytes));
	slot->tids[slot->ntids++] = *tid;
}

bool
qh_gather_row(QhGather *gather, ItemPointer tid)
{
	CodeEntry  *entry;
	bool		found;

	Assert(gather->nnodes < gather->max_nodes);
	gather->nrows++;
	entry = codeset_insert(gather->hash, gather->nnodes, &found);
	if (found)
	{
		add_row(gather, entry->node, tid);
		return false;
	}
	if (gather->postings.open_of != NULL)
		gather->postings.open_of[gather->nnodes] = QH_INVALID_NODE;
	gather->tids[gather->nnodes++] = *tid;
	return true;
}

void
qh_gather_end(QhGather *gather)
{
	QhPostings *postings = &gather->postings;

	codeset_destroy(gather->hash);
	gather->hash = NULL;
	if (postings->open_of == NULL)
		return;
	/* exactly as much as qh_gather_end_nbytes said */
	if (postings->spool == NULL && postings->max_full - postings->nfull < postings->nopen)
		make_full_room(gather, postings->nfull + postings->nopen);
	for (uint32 node = 0; node < gather->nnodes; node++)
		if (postings->open_of[node] != QH_INVALID_NODE)
			postings->open_of[node] = put_by(gather, open_slot(gather, postings->open_of[node]));
	pfree(postings->open);
	postings->open = NULL;
}

Size
qh_gather_end_nbytes(const QhGather *gather)
{
	const QhPostings *postings = &gather->postings;
	uint32		room = postings->max_full - postings->nfull;

	return postings->nopen > room ? (postings->nopen - room) * gather->posting_nbytes : 0;
}

QhRowData
qh_gather_slot(const QhGather *gather, uint32 node)
{
	const uint32 *heads = gather->postings.open_of;

	if (heads != NULL && heads[node] != QH_INVALID_NODE)
		return qh_row_posting(heads[node]);
	return qh_row_single(&gather->tids[node]);
}
