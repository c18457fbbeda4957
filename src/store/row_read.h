/*
 * row_read.h
 *		Row pointers of nodes, read from the pages of an index.
 *
 * README.md, section "Reading", and CHAINS.md.
 */
#ifndef QH_ROW_READ_H
#define QH_ROW_READ_H

#include "store/relstore.h"

/*
 * Nodes whose row pointers are read together: those of LIMIT 10, and a few that prove gone.
 * Chosen by hand.
 */
#define QH_ROWS_AHEAD		16

/* Row slot of a node, under a short share lock of its row page. */
extern QhRowData qh_read_row(QhRelStore *rs, QhNode node);

/* Row slots of count nodes from first on, one lock for each page. */
extern void qh_read_row_range(QhRelStore *rs, QhNode first, uint32 count, QhRowData *rows);

/*
 * Prefetch the row pointers of these nodes, at most QH_ROWS_AHEAD; their pages from disk, where
 * the scan is cold.
 */
extern void qh_prefetch_rows(QhRelStore *rs, const QhNode *nodes, int n);

/* ---- what a row slot says ---- */

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

/* Can this be a row pointer?  Asked of what comes from disk before it leaves the store. */
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

/* ---- the rows of a node ---- */

/* A row as it is added: its TID and, where the index has them, its record. */
typedef struct QhNewRow
{
	ItemPointer tid;
	const uint8 *record;		/* NULL where the index has no records */
} QhNewRow;

/* How far the posting slots of a node were read (postings.c). */
typedef struct QhChain
{
	bool		more;			/* there may be others; if not, the fields below mean nothing */
	QhNode		node;
	QhNode		slot;			/* read last */
	XLogRecPtr	lsn;			/* of its page, when it was read */
	QhLink	   *content;		/* and what it held */
	struct seen_hash *seen;		/* those that were read, in the list's memory */
	uint64		nsteps;			/* slots read since the beginning of the chain */
	uint64		max_passed;		/* so many of them that were read before are skipped under one lock */
} QhChain;

/* Row pointers of a node, as many as were read at once. */
typedef struct QhRowList
{
	ItemPointerData *tids;
	uint8	   *records;		/* of the same rows, record_nbytes apart; NULL where the index has none */
	int			ntids;
	int			max;
	MemoryContext cxt;
	QhChain		chain;			/* where the others are */
} QhRowList;

/*
 * The first row pointers of a node, read under a share lock of its row page together with its
 * code (NULL = not wanted), so that the two belong to the same node even if the slot was reused
 * since the caller scored it.  False if it is not a live node.  If it is, there may still be
 * none among the first.  Records come with them, under the same lock.
 */
extern bool qh_read_rows(QhRelStore *rs, QhNode node, QhRowList *list, uint8 *code);

/*
 * Replace those by the next row pointers of the node, where list->chain.more says that there
 * may be some; 0 = there are none.
 */
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
	uint32		record_nbytes;	/* 0 = the index has no records */
	uint8		records[QH_ROWS_AHEAD * QH_MAX_RECORD_NBYTES];	/* record_nbytes apart */
} QhRowBatch;

/*
 * Read the row pointers of n nodes, at most QH_ROWS_AHEAD, under one share lock for each row
 * page, and score their codes from rs->query after that.  Nodes with no row, or several, are
 * left out.  A row may be returned if dist is what the node was found by; README.md, section
 * "Reading", says why this is so though the code is not read under the lock.
 */
extern void qh_read_row_batch(QhRelStore *rs, const QhNode *nodes, int n, QhRowBatch *batch);

/*
 * The list of a node's rows from a batch; false where the node was left out or has another
 * distance: then qh_read_rows() is needed.
 */
extern bool qh_rows_of_batch(const QhRowBatch *batch, QhNode node, float dist, QhRowList *list);

#endif							/* QH_ROW_READ_H */
