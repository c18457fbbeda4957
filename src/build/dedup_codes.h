/*
 * dedup_codes.h
 *		Distinct codes and their rows.
 */
#ifndef QH_DEDUP_CODES_H
#define QH_DEDUP_CODES_H

#include "postgres.h"

#include "build/build.h"
#include "build/partitioned_file.h"
#include "storage/itemptr.h"
#include "store/format.h"

/*
 * Row pointers of a node with several: a chain of posting slots, of which the head is being
 * filled.
 */
typedef struct QhPostings
{
	uint32	   *open_of;		/* of a node: its place in open[], or QH_INVALID_NODE; NULL until there is one */
	uint8	   *open;			/* slots being filled, the heads of their chains */
	uint32		nopen;
	uint32		max_open;
	uint8	   *full;			/* slots that are full, numbered from 0; unless they go to a partfile */
	uint32		nfull;
	uint32		max_full;
	QhPartFile *partfile;
	uint32		partfile_part;
} QhPostings;

typedef struct QhDedup
{
	MemoryContext cxt;
	Size		code_nbytes;
	Size		refine_nbytes;	/* 0 = no finer codes */
	Size		pair_nbytes;	/* 0 = no codes for pairs */
	Size		record_nbytes;	/* 0 = rows have no records */
	Size		posting_nbytes;
	uint8	   *codes;			/* room for one more than nnodes; may move */
	uint8	   *refine_codes;
	uint8	   *pair_codes;
	ItemPointerData *tids;		/* first row of each node */
	uint8	   *records;		/* of those rows */
	uint32		nnodes;
	uint32		max_nodes;
	uint64		nrows;
	struct codeset_hash *hash;
	QhPostings	postings;
} QhDedup;

/* No rows yet.  Room is made for nnodes nodes; 0 where the number is not known. */
extern void qh_dedup_init(QhDedup *dedup, MemoryContext cxt, const QhBuild *build, uint32 nnodes);
/* Where the next row's codes are to be put. */
extern QhRowCodes qh_dedup_codes(QhDedup *dedup);
/* Where those of a node are. */
extern QhRowCodes qh_dedup_node(const QhDedup *dedup, uint32 node);
/* The codes that nodes are linked by, in the order of nodes. */
extern const uint8 *qh_dedup_link_codes(const QhDedup *dedup);
/*
 * Take the row whose codes were put there.  True if the code is new: then the other codes are taken as
 * well.
 */
extern bool qh_dedup_row(QhDedup *dedup, const QhNewRow *row);
/* All rows have been taken: frees the hash table, and numbers all posting slots. */
extern void qh_dedup_end(QhDedup *dedup);
/* Bytes that qh_dedup_end allocates. */
extern Size qh_dedup_end_nbytes(const QhDedup *dedup);
/* Content of a node's row slot.  A posting slot is named by its number here. */
extern QhRowData qh_dedup_slot(const QhDedup *dedup, uint32 node);
/* Record of a node's only row; NULL where it has several. */
extern const uint8 *qh_dedup_record(const QhDedup *dedup, uint32 node);
/* Row i of a full posting slot. */
extern QhNewRow qh_dedup_posting_row(const QhDedup *dedup, QhPosting posting, int i);

#endif							/* QH_DEDUP_CODES_H */
