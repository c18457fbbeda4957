/*
 * dedup_codes.c
 *		Distinct codes and their rows: one node a code, with a list of row pointers.
 *
 * Must not know where rows come from nor where nodes go.  The first row of a node is kept beside
 * it.  A second row opens a posting slot for the node; when the slot is full, another one is
 * opened and links to it.  So however many rows share a code, one slot a node is being filled.
 * See README.md, section "In memory".
 */
#include "postgres.h"

#include "build/build.h"
#include "build/dedup_codes.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

/* ---- the hash table of codes ---- */

typedef struct CodeEntry
{
	uint32		node;			/* position in codes[] */
	uint32		hash;
	char		status;
} CodeEntry;

#define code_at(dedup, i) ((dedup)->codes + (Size) (i) * (dedup)->code_nbytes)
#define refine_at(dedup, i) ((dedup)->refine_codes + (Size) (i) * (dedup)->refine_nbytes)

/*
 * Rows of one node have the very same codes, the finer ones too: what those say of a distance and
 * its error holds for every row.
 */
static inline bool
same_codes(const QhDedup *dedup, uint32 a, uint32 b)
{
	return memcmp(code_at(dedup, a), code_at(dedup, b), dedup->code_nbytes) == 0 &&
		(dedup->refine_nbytes == 0 || memcmp(refine_at(dedup, a), refine_at(dedup, b), dedup->refine_nbytes) == 0);
}

#define dedup_of(tb) ((QhDedup *) (tb)->private_data)

#define SH_PREFIX		codeset
#define SH_ELEMENT_TYPE CodeEntry
#define SH_KEY_TYPE		uint32
#define SH_KEY			node
#define SH_HASH_KEY(tb, key) \
	hash_bytes(code_at(dedup_of(tb), key), (int) dedup_of(tb)->code_nbytes)
#define SH_EQUAL(tb, a, b) same_codes(dedup_of(tb), a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * Nodes there is room for at first where the caller does not know how many will come; chosen by
 * hand.
 */
#define FIRST_NNODES	1024

/* Make an array of n things of p, or a new one if p is NULL. */
static void *
grow(MemoryContext cxt, void *p, uint32 n, Size each)
{
	return qh_alloc_more(cxt, p, qh_build_array_nbytes(n, each));
}

/* Room for max nodes. */
static void
make_room(QhDedup *dedup, uint32 max)
{
	if (max > QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index cannot hold more than %u nodes", QH_MAX_NODES / 2)));
	dedup->codes = grow(dedup->cxt, dedup->codes, max, dedup->code_nbytes);
	dedup->tids = grow(dedup->cxt, dedup->tids, max, sizeof(ItemPointerData));
	if (dedup->record_nbytes > 0)
		dedup->records = grow(dedup->cxt, dedup->records, max, dedup->record_nbytes);
	if (dedup->refine_nbytes > 0)
		dedup->refine_codes = grow(dedup->cxt, dedup->refine_codes, max, dedup->refine_nbytes);
	if (dedup->pair_nbytes > 0)
		dedup->pair_codes = grow(dedup->cxt, dedup->pair_codes, max, dedup->pair_nbytes);
	if (dedup->postings.open_of != NULL)
		dedup->postings.open_of = grow(dedup->cxt, dedup->postings.open_of, max, sizeof(uint32));
	dedup->max_nodes = max;
}

void
qh_dedup_init(QhDedup *dedup, MemoryContext cxt, const QhBuild *build, uint32 nnodes)
{
	const QhMetaData *meta = &build->meta;

	memset(dedup, 0, sizeof(*dedup));
	dedup->cxt = cxt;
	dedup->code_nbytes = meta->code_nbytes;
	dedup->refine_nbytes = meta->refine_nbytes;
	dedup->pair_nbytes = build->pair_nbytes;
	dedup->record_nbytes = meta->filter_nbytes;
	dedup->posting_nbytes = qh_meta_link_nbytes(meta);
	dedup->hash = codeset_create(cxt, nnodes > 0 ? nnodes : FIRST_NNODES, dedup);
	make_room(dedup, nnodes > 0 ? nnodes + 1 : FIRST_NNODES);
}

QhRowCodes
qh_dedup_codes(QhDedup *dedup)
{
	if (dedup->nnodes == dedup->max_nodes)
		make_room(dedup, dedup->max_nodes + dedup->max_nodes / 2 + 1);
	return qh_dedup_node(dedup, dedup->nnodes);
}

QhRowCodes
qh_dedup_node(const QhDedup *dedup, uint32 node)
{
	return (QhRowCodes) {
		code_at(dedup, node),
		refine_at(dedup, node),
		dedup->pair_codes + node * dedup->pair_nbytes
	};
}

const uint8 *
qh_dedup_link_codes(const QhDedup *dedup)
{
	return dedup->pair_nbytes > 0 ? dedup->pair_codes : dedup->codes;
}

/* ---- nodes with several rows ---- */

static QhPosting
open_slot(const QhDedup *dedup, uint32 at)
{
	return (QhPosting) (dedup->postings.open + at * dedup->posting_nbytes);
}

/* Begin a posting slot; next is the chain behind it. */
static void
clear_slot(const QhDedup *dedup, QhPosting slot, QhNode next)
{
	memset(slot, 0, dedup->posting_nbytes);
	slot->next = next;
}

static uint32
max_rows(const QhDedup *dedup)
{
	return qh_posting_max(dedup->posting_nbytes, dedup->record_nbytes);
}

/* Add a row to a posting slot that has room. */
static void
put_row(const QhDedup *dedup, QhPosting slot, const QhNewRow *row)
{
	uint32		i = slot->ntids++;

	Assert(i < max_rows(dedup));
	slot->tids[i] = *row->tid;
	if (dedup->record_nbytes > 0)
		memcpy(qh_posting_record(slot, dedup->posting_nbytes, dedup->record_nbytes, i), row->record, dedup->record_nbytes);
}

/* The first row of a node. */
static QhNewRow
first_row(const QhDedup *dedup, uint32 node)
{
	return (QhNewRow) {&dedup->tids[node], dedup->records + node * dedup->record_nbytes};
}

/* The slot that takes a node's next row; its first one is moved there. */
static QhPosting
slot_of(QhDedup *dedup, uint32 node)
{
	QhPostings *postings = &dedup->postings;
	QhNewRow	first = first_row(dedup, node);
	QhPosting	slot;

	if (postings->open_of == NULL)
	{
		postings->open_of = grow(dedup->cxt, NULL, dedup->max_nodes, sizeof(uint32));
		memset(postings->open_of, 0xFF, sizeof(uint32) * (Size) dedup->nnodes);
	}
	if (postings->open_of[node] != QH_INVALID_NODE)
		return open_slot(dedup, postings->open_of[node]);
	if (postings->nopen == postings->max_open)
	{
		/* a slot a node at most: memory is planned so */
		postings->max_open = Min(postings->max_open * 2 + 64, dedup->max_nodes);
		postings->open = grow(dedup->cxt, postings->open, postings->max_open, dedup->posting_nbytes);
	}
	postings->open_of[node] = postings->nopen++;
	Assert(postings->nopen <= postings->max_open);
	slot = open_slot(dedup, postings->open_of[node]);
	clear_slot(dedup, slot, QH_INVALID_NODE);
	put_row(dedup, slot, &first);
	return slot;
}

/* Room for max full slots. */
static void
make_full_room(QhDedup *dedup, uint32 max)
{
	QhPostings *postings = &dedup->postings;

	postings->full = grow(dedup->cxt, postings->full, max, dedup->posting_nbytes);
	postings->max_full = max;
}

/* Number a posting slot that is not filled any further, and store it. */
static uint32
number_posting(QhDedup *dedup, const QhPostingData *slot)
{
	QhPostings *postings = &dedup->postings;

	if (postings->nfull >= QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index cannot hold more than %u lists of row pointers", QH_MAX_NODES / 2)));
	if (postings->partfile != NULL)
		qh_partfile_put(postings->partfile, postings->partfile_part, slot, dedup->posting_nbytes);
	else
	{
		if (postings->nfull == postings->max_full)
			make_full_room(dedup, postings->max_full + postings->max_full / 2 + 64);
		memcpy(postings->full + postings->nfull * dedup->posting_nbytes, slot, dedup->posting_nbytes);
	}
	return postings->nfull++;
}

/* Add a row to a node that has one. */
static void
add_row(QhDedup *dedup, uint32 node, const QhNewRow *row)
{
	QhPosting	slot = slot_of(dedup, node);

	if (slot->ntids == max_rows(dedup))
		clear_slot(dedup, slot, number_posting(dedup, slot));
	put_row(dedup, slot, row);
}

bool
qh_dedup_row(QhDedup *dedup, const QhNewRow *row)
{
	CodeEntry  *entry;
	bool		found;

	Assert(dedup->nnodes < dedup->max_nodes);
	dedup->nrows++;
	entry = codeset_insert(dedup->hash, dedup->nnodes, &found);
	if (found)
	{
		add_row(dedup, entry->node, row);
		return false;
	}
	if (dedup->postings.open_of != NULL)
		dedup->postings.open_of[dedup->nnodes] = QH_INVALID_NODE;
	if (dedup->record_nbytes > 0)
		memcpy(dedup->records + dedup->nnodes * dedup->record_nbytes, row->record, dedup->record_nbytes);
	dedup->tids[dedup->nnodes++] = *row->tid;
	return true;
}

void
qh_dedup_end(QhDedup *dedup)
{
	QhPostings *postings = &dedup->postings;

	codeset_destroy(dedup->hash);
	dedup->hash = NULL;
	if (postings->open_of == NULL)
		return;
	/* exactly as much as qh_dedup_end_nbytes said */
	if (postings->partfile == NULL && postings->max_full - postings->nfull < postings->nopen)
		make_full_room(dedup, postings->nfull + postings->nopen);
	for (uint32 node = 0; node < dedup->nnodes; node++)
		if (postings->open_of[node] != QH_INVALID_NODE)
			postings->open_of[node] = number_posting(dedup, open_slot(dedup, postings->open_of[node]));
	pfree(postings->open);
	postings->open = NULL;
}

Size
qh_dedup_end_nbytes(const QhDedup *dedup)
{
	const QhPostings *postings = &dedup->postings;
	uint32		room = postings->max_full - postings->nfull;

	return postings->nopen > room ? (postings->nopen - room) * dedup->posting_nbytes : 0;
}

QhRowData
qh_dedup_slot(const QhDedup *dedup, uint32 node)
{
	const uint32 *heads = dedup->postings.open_of;

	if (heads != NULL && heads[node] != QH_INVALID_NODE)
		return qh_row_posting(heads[node]);
	return qh_row_single(&dedup->tids[node]);
}

const uint8 *
qh_dedup_record(const QhDedup *dedup, uint32 node)
{
	if (qh_dedup_slot(dedup, node).flags == QH_ROW_POSTING)
		return NULL;
	return dedup->records + node * dedup->record_nbytes;
}

QhNewRow
qh_dedup_posting_row(const QhDedup *dedup, QhPosting posting, int i)
{
	return (QhNewRow) {&posting->tids[i], qh_posting_record(posting, dedup->posting_nbytes, dedup->record_nbytes, i)};
}
