/*
 * gather.c
 *		Distinct codes and their rows: one node a code, with a list of row pointers.
 *
 * Must not know where rows come from nor where nodes go.  The first row of a node is kept beside it; a second
 * one opens a posting slot for it, and a slot that is full becomes the tail of the chain, so that however
 * many rows share a code, only one slot a node is held.  See README.md, section "Build".
 */
#include "postgres.h"

#include "am/build.h"
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

static void *
grow(MemoryContext cxt, void *p, Size nbytes)
{
	return p == NULL ? MemoryContextAllocHuge(cxt, nbytes) : repalloc_huge(p, nbytes);
}

static void
make_room(QhGather *gather, uint32 max)
{
	if (max > QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index cannot hold more than %u nodes", QH_MAX_NODES / 2)));
	gather->codes = grow(gather->cxt, gather->codes, gather->code_nbytes * max);
	gather->tids = grow(gather->cxt, gather->tids, sizeof(ItemPointerData) * (Size) max);
	if (gather->refine_nbytes > 0)
		gather->refine_codes = grow(gather->cxt, gather->refine_codes, gather->refine_nbytes * max);
	if (gather->postings.open_of != NULL)
		gather->postings.open_of = repalloc_huge(gather->postings.open_of, sizeof(uint32) * (Size) max);
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
		postings->open_of = MemoryContextAllocHuge(gather->cxt, sizeof(uint32) * (Size) gather->max_nodes);
		memset(postings->open_of, 0xFF, sizeof(uint32) * (Size) gather->nnodes);
	}
	if (postings->open_of[node] != QH_INVALID_NODE)
		return open_slot(gather, postings->open_of[node]);
	if (postings->nopen == postings->max_open)
	{
		postings->max_open = postings->max_open * 2 + 64;
		postings->open = grow(gather->cxt, postings->open, gather->posting_nbytes * postings->max_open);
	}
	postings->open_of[node] = postings->nopen++;
	slot = open_slot(gather, postings->open_of[node]);
	clear_slot(gather, slot, QH_INVALID_NODE);
	slot->tids[slot->ntids++] = gather->tids[node];
	return slot;
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
		{
			postings->max_full = postings->max_full * 2 + 64;
			postings->full = grow(gather->cxt, postings->full, gather->posting_nbytes * postings->max_full);
		}
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
	for (uint32 node = 0; node < gather->nnodes; node++)
		if (postings->open_of[node] != QH_INVALID_NODE)
			postings->open_of[node] = put_by(gather, open_slot(gather, postings->open_of[node]));
	pfree(postings->open);
	postings->open = NULL;
}

QhRowData
qh_gather_slot(const QhGather *gather, uint32 node)
{
	const uint32 *heads = gather->postings.open_of;

	if (heads != NULL && heads[node] != QH_INVALID_NODE)
		return qh_row_posting(heads[node]);
	return qh_row_single(&gather->tids[node]);
}
