/*
 * scan.h
 *		A scan in progress: what scan.c, flat.c and rescore.c share.
 */
#ifndef QH_SCAN_H
#define QH_SCAN_H

#include "am/am.h"
#include "access/tableam.h"
#include "lib/pairingheap.h"

/*
 * The LIMIT is not known to an index, so at least this many rows are taken to be wanted.  Who takes more is
 * likely to want many: from there on a scan in strict order looks further ahead, lest rows come late.
 */
#define QH_LEAST_WANTED		10

/* Where candidates come from. */
typedef enum QhSourceKind
{
	QH_SOURCE_NONE,				/* nothing is indexed */
	QH_SOURCE_GRAPH,
	QH_SOURCE_FLAT,				/* all codes, best first */
	QH_SOURCE_ALL				/* all nodes in no order: the query has no distances to speak of */
} QhSourceKind;

/* All codes, best first, in passes of bounded memory (flat.c). */
typedef struct QhFlat
{
	QhCandidate *best;
	int			nbest;
	int			max;			/* of this pass */
	int			limit;			/* of any: what memory allows */
	int			next;			/* of best, to be returned */
	QhCandidate bound;			/* last one of the pass before: only what is behind it counts */
	bool		bounded;
	bool		more;			/* the last pass left some out */
	uint64		npasses;
} QhFlat;

/* A candidate with its finer distance, waiting for its turn (refine.c). */
typedef struct QhRefined
{
	float		dist;			/* by the finer code */
	float		coarse;			/* by the code it was found by */
	QhNode		node;
} QhRefined;

/* A row with its exact distance, waiting for its turn (rescore.c). */
typedef struct QhRescored
{
	pairingheap_node node;
	double		dist;
	ItemPointerData tid;
} QhRescored;

typedef struct QhScanStats
{
	uint64		ncodes;			/* codes scored */
	uint64		nexpanded;		/* link lists read */
	uint64		npins;			/* pages pinned */
	uint64		nmisses;		/* of these, looked up in the buffer table */
	uint64		nflat;			/* passes over all codes */
	uint64		nrefined;		/* finer codes scored */
	uint64		nahead;			/* pages asked for before they were wanted */
	uint64		nfetched;		/* heap rows fetched to rescore */
	uint64		nrecomputed;	/* of these, rows for which the index's expression was evaluated */
	uint64		nbatches;		/* in which they were fetched */
	uint64		nreturned;		/* rows given to the executor */
	uint64		nlate;			/* rows left out because they came after their place in the order */
} QhScanStats;

typedef struct QhScan
{
	MemoryContext cxt;			/* until endscan */
	MemoryContext query_cxt;	/* until rescan */
	MemoryContext tuple_cxt;	/* until the next row */

	const QhColumn *column;
	QhIndex    *ix;				/* held by query_cxt */
	QhRelStore	rs;
	Datum		query;			/* detoasted */
	bool		query_null;
	QvQuery    *prepared;
	QvQuery    *refine_prepared;	/* NULL = no finer codes, or none used */
	QhSearch   *search;			/* made at need, in query_cxt */
	QhAlloc		alloc;

	bool		started;		/* first gettuple after rescan was done */
	QhSourceKind source;
	QhFlat		flat;
	QhNode		next_node;		/* of QH_SOURCE_ALL */
	uint64		npulled;		/* candidates taken from the source */
	uint8	   *pulled;			/* bit a node, once flat took over from the graph */
	uint32		npulled_bits;
	QhNode	   *pulled_nodes;
	uint64		max_pulled_nodes;
	int			ef;
	bool		peeked;
	QhCandidate peek;
	bool		exhausted;

	/* refining */
	QhRefined  *refined;		/* min-heap by dist */
	int			nrefined;
	int			max_refined;
	uint64		nrefine_taken;	/* candidates refined, and */
	uint64		nrefine_given;	/* handed on */
	float		refine_front;	/* estimate of the last candidate refined: those that follow are no nearer */
	bool		no_candidates;	/* the source has no more */

	QhRowList	rows;			/* of the current node */
	int			next_row;
	uint64		nrow_reads;		/* nodes whose rows were read while the scan was cold */
	BlockNumber heap_nblocks;	/* as last looked up */
	float		rows_dist;		/* by the finest code there is */
	float		rows_error;		/* in strict order, once it matters: standard error of the code they were found by */
	double		rows_exact;		/* Jaccard: the distance itself */

	/* rescoring */
	bool		rescore;
	bool		rescore_codes;	/* exact distances from the codes (Jaccard) */
	bool		fetch_all;
	double		oversample;
	FmgrInfo	distance;
	Oid			collation;
	pairingheap *queue;
	IndexInfo  *index_info;
	EState	   *estate;
	TupleTableSlot *slot;
	IndexFetchTableData *fetch;
	bool		have_last;
	double		last_dist;

	QhScanStats stats;
} QhScan;

/* ---- scan.c ---- */
extern bool qh_scan_candidate(QhScan *scan, QhCandidate *out);
/* Next row in the order of the codes; code receives the node's code if not NULL. */
extern bool qh_scan_row(QhScan *scan, ItemPointer tid, float *dist);

/* Standard errors of which an estimate may be wrong where the rank-th row is decided. */
extern double qh_scan_caution(double rank);

/* An error if a row pointer leads nowhere in the table: the table's own is not as clear. */
extern void qh_scan_check_tid(IndexScanDesc desc, ItemPointer tid);

/* ---- refine.c ---- */
extern bool qh_refine_next(QhScan *scan, QhRefined *out);

/* ---- flat.c ---- */
extern void qh_flat_start(QhScan *scan);
extern bool qh_flat_next(QhScan *scan, QhCandidate *out);
/* The next candidates as things stand, at most max; returns how many. */
extern int qh_flat_peek(const QhScan *scan, int max, QhNode *out);

/* ---- rescore.c ---- */
extern void qh_rescore_begin(IndexScanDesc desc);
extern bool qh_rescore_next(IndexScanDesc desc, ItemPointer tid);
extern void qh_rescore_end(QhScan *scan);

/* What the backend's last scan did. */
extern QhScanStats qh_last_scan;

#endif							/* QH_SCAN_H */
