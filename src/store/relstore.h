/*
 * relstore.h
 *		A graph store over the pages of an index: links, scores, row pointers, and changes to them.
 *
 * Lock order, WAL rules and why codes are read without a content lock: README.md.
 */
#ifndef QH_RELSTORE_H
#define QH_RELSTORE_H

#include "storage/buf_internals.h"
#include "store/index_cache.h"
#include "store/page.h"

/*
 * Pins held at once while codes are scored.  A backend counts its first eight pins in an
 * array and those beyond in a hash table, which costs more than the larger batch saves; the executor holds one or two.
 */
#define QH_PIN_BATCH		6

/* Nodes whose rows are asked for ahead: those of LIMIT 10, and a few that prove gone. */
#define QH_ROWS_AHEAD		16

/* Blocks asked for lately that are remembered: a hop's, and the links of those that come next. */
#define QH_ASKED_MAX		64

/* Codes scored without pins between two looks at their buffers: a hop's, at m = 16. */
#define QH_UNPINNED_MAX		32

/* Where slots are, as far as this backend remembers.  desc is NULL where it does not, or must not look without a pin. */
typedef struct QhPlaces
{
	BufferDesc *desc[QH_UNPINNED_MAX];
	BlockNumber blkno[QH_UNPINNED_MAX]; /* that the buffer has to hold */
	const uint8 *slot[QH_UNPINNED_MAX]; /* of zeros where desc is NULL */
} QhPlaces;

typedef struct QhRelStore
{
	QhStore		store;			/* what the graph room sees; must be first */
	Relation	index;
	QhIndex    *ix;				/* meta.ndims > 0 */
	const QvQuery *query;		/* what score() measures from */
	const QvQuery *refine_query;	/* what qh_score_refine() measures from */
	BufferAccessStrategy strategy;	/* how pages are read that are not in shared buffers (sweep.c), or NULL */
	bool		in_recovery;	/* a page may be on its way into its buffer from WAL ("Standby" in README.md) */

	QhPlaces	fetched[2];		/* where the nodes are that fetch() was given, for either place */

	uint64		ncodes;			/* codes scored */
	uint64		nlinks;			/* link lists read */
	uint64		npins;			/* pages pinned */
	uint64		nmisses;		/* of these, through the buffer mapping table */
	uint64		nrefined;		/* finer codes scored */

	uint64		nahead;			/* reads begun before their page was wanted (readahead.c) */
	BlockNumber asked[QH_ASKED_MAX];	/* the last blocks asked for, a ring */
	uint32		nasked;
} QhRelStore;

extern void qh_relstore_init(QhRelStore *rs, Relation index, QhIndex *ix);

/* Look at the index's size again: is there room for the node now? */
extern bool qh_relstore_grown_to(QhRelStore *rs, QhNode node);

/* Is there room for the node?  Looks again if it is past what was known. */
static inline bool
qh_relstore_in_range(QhRelStore *rs, QhNode node)
{
	return likely(node < rs->ix->nslots) || qh_relstore_grown_to(rs, node);
}

/* Copy of a node's code, or its finer code; false where its page was never written. */
extern bool qh_read_code(QhRelStore *rs, QhNode node, uint8 *code);
extern bool qh_read_refine(QhRelStore *rs, QhNode node, uint8 *code);

/*
 * Of the max nearest entry points those that are nodes still: what is known of entry points may be out of
 * date.  Returns how many; none does not mean that the index is empty.
 */
extern int qh_choose_seeds(QhRelStore *rs, int max, QhCandidate *seeds);

/* The row pointers of these nodes, at most QH_ROWS_AHEAD, will be read soon. */
extern void qh_rows_ahead(QhRelStore *rs, const QhNode *nodes, int n);

/* The finer distance of the query to each of n nodes; INFINITY for a node that is gone. */
extern void qh_score_refine(QhRelStore *rs, const QhNode *nodes, int n, float *dist);

/*
 * Pin the page that holds a slot of an array.  The first time this backend meets the
 * page it is checked, under a share lock that is given back; after that its place in shared buffers is remembered, and only
 * the buffer's tag is compared, unless the usage count wants to be raised.  Returns InvalidBuffer for a page that was never written
 * (the relation was extended just before a crash).  The caller may hold locks that come before the page's in the order of locks, and no others.
 */
extern Buffer qh_pin_slot(QhRelStore *rs, QhArray array, QhNode node, QhSlotAddress *addr);

/*
 * A page of an array, whose group a node belongs to, was read into a buffer and is pinned: check it if
 * it is not where it was, and remember where it is.  As above if it was never written; then it is released.
 */
extern Buffer qh_remember_page(QhRelStore *rs, QhArray array, QhNode node, BlockNumber blkno, Buffer buf);

/* Can this be a row pointer?  What comes from disk is judged before anybody outside the store sees it. */
static inline bool
qh_tid_is_possible(const ItemPointerData *tid)
{
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);

	return offset >= FirstOffsetNumber && offset <= MaxOffsetNumber &&
		BlockNumberIsValid(ItemPointerGetBlockNumberNoCheck(tid));
}

/* Report a row pointer of a node that is none; does not return. */
pg_noreturn extern void qh_report_tid(QhRelStore *rs, QhNode node);

static inline void
qh_check_tid(QhRelStore *rs, QhNode node, const ItemPointerData *tid)
{
	if (unlikely(!qh_tid_is_possible(tid)))
		qh_report_tid(rs, node);
}

/* How far the posting slots of a node were read (postings.c). */
typedef struct QhChain
{
	bool		more;			/* there are others; if not, nothing of what follows counts */
	QhNode		node;
	QhNode		slot;			/* read last */
	XLogRecPtr	lsn;			/* of its page, when it was read */
	QhLink	   *content;		/* and what it held */
	struct seen_hash *seen;		/* those that were read, in the list's memory */
	uint64		nsteps;			/* slots read since the beginning of the chain */
	uint64		max_passed;		/* of them, so many that were read before are passed over under one lock */
} QhChain;

/* Row pointers of a node, as many as were read at once. */
typedef struct QhRowList
{
	ItemPointerData *tids;
	int			ntids;
	int			max;
	MemoryContext cxt;
	QhChain		chain;			/* where the others are */
} QhRowList;

/*
 * The first row pointers of a node, read under a share lock of its row page together with
 * its code, so that the two belong to the same node even if the slot was reused since
 * the caller scored it.  False if it is not a live node.  If it is, there may still be none among the first.
 */
extern bool qh_read_rows(QhRelStore *rs, QhNode node, QhRowList *list, uint8 *code);

/* In the place of those, the next row pointers of that node, where list->chain.more says that there may be others; 0 = there are none. */
extern int qh_read_more_rows(QhRelStore *rs, QhRowList *list);

/* There is nothing more to be read of the chain. */
extern void qh_chain_end(QhRowList *list);

/* None of the node's rows is wanted. */
static inline void
qh_drop_rows(QhRowList *list)
{
	list->ntids = 0;
	if (unlikely(list->chain.more))
		qh_chain_end(list);
}

/* Row pointers of nodes with one row each that were read together, and how their codes score. */
typedef struct QhRowBatch
{
	int			n;
	QhNode		nodes[QH_ROWS_AHEAD];
	ItemPointerData tids[QH_ROWS_AHEAD];
	float		dist[QH_ROWS_AHEAD];
} QhRowBatch;

/*
 * Read the row pointers of n nodes, at most QH_ROWS_AHEAD, under one share lock for each row page, and score their codes from
 * rs->query after that.  Nodes with no row, or several, are left out.  A row may be returned if dist is what the node was
 * found by; README.md, section "Reading", says why though the code is not read under the lock.
 */
extern void qh_read_row_batch(QhRelStore *rs, const QhNode *nodes, int n, QhRowBatch *batch);

/* The list of a node's rows from a batch; false where it was left out, or scores otherwise: then qh_read_rows() tells. */
extern bool qh_rows_of_batch(const QhRowBatch *batch, QhNode node, float dist, QhRowList *list);

/* ---- changes ---- */

/* One slot's change.  old_links and new_links are whole lists (2m words); a posting slot's content passes as such. */
typedef struct QhSlotChange
{
	QhNode		node;
	QhSlotState old_state;
	QhSlotState new_state;
	const QhLink *old_links;	/* NULL = whatever is there */
	const QhLink *new_links;	/* NULL = stays */
} QhSlotChange;

typedef struct QhRowChange
{
	QhNode		node;
	QhRowData	old_row;
	QhRowData	new_row;
} QhRowChange;

#define QH_MAX_SLOT_CHANGES 3

/*
 * Make all these changes in one WAL record, or none: returns false, having changed
 * nothing, if any of the old values is not what is there.  Reading that again gives something else then, so a caller may try until
 * it is done; damage that would have it try for ever is reported.  Locks are taken here, in the order of README.md, and released.
 */
extern bool qh_apply(QhRelStore *rs, const QhSlotChange *changes, int nchanges, const QhRowChange *row);

/* State of a slot and its links, a whole list (or a posting slot's content), under a short share lock. */
extern QhSlotState qh_read_slot(QhRelStore *rs, QhNode node, QhLink *links);
/* The same, and where the last change of its page is logged. */
extern QhSlotState qh_read_slot_at(QhRelStore *rs, QhNode node, QhLink *links, XLogRecPtr *lsn);
/* States of all slots of the page of links or hubs that begins with first; returns how many.  All FREE where it was never formatted. */
extern uint32 qh_read_states(QhRelStore *rs, QhNode first, uint8 *states);
/* Row slots of count nodes from first on, a lock a page. */
extern void qh_read_row_range(QhRelStore *rs, QhNode first, uint32 count, QhRowData *rows);
extern QhRowData qh_read_row(QhRelStore *rs, QhNode node);

/* ---- slots.c ---- */

/* Take a free slot, extending the index if there is none; its codes are written (code may be NULL for a posting slot).  State becomes RESERVED. */
extern QhNode qh_slot_reserve(QhRelStore *rs, const QhCode *code);

/* ---- rows.c ---- */

static inline QhRowData
qh_row_single(ItemPointer tid)
{
	QhRowData	row;

	memcpy(row.w, tid, sizeof(ItemPointerData));
	row.flags = QH_ROW_SINGLE;
	return row;
}

static inline QhRowData
qh_row_posting(QhNode head)
{
	QhRowData	row = {{head >> 16, head & 0xFFFF, 0}, QH_ROW_POSTING};

	return row;
}

#define qh_row_head(row)	(((QhNode) (row).w[0] << 16) | (row).w[1])

/* Add a row pointer to a live node.  False if the node is no longer live or no longer has this code. */
extern bool qh_row_append(QhRelStore *rs, QhNode node, const uint8 *code, ItemPointer tid);

/*
 * Remove the row pointers that callback calls dead.  Returns how many stay; where none does, the
 * node has become DYING.
 */
extern int64 qh_row_vacuum(QhRelStore *rs, QhNode node, bool (*dead) (ItemPointer tid, void *arg), void *arg, int64 *nremoved);

#endif							/* QH_RELSTORE_H */
