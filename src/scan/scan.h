/*
 * scan.h
 *		A scan in progress: what scan.c, flat.c and rescore.c share.
 */
#ifndef QH_SCAN_H
#define QH_SCAN_H

#include "planner/plan.h"
#include "access/genam.h"
#include "access/tableam.h"
#include "column/column.h"
#include "column/options.h"
#include "scan/row_queue.h"
#include "store/codes.h"
#include "store/memory.h"
#include "store/row_read.h"

/* Rows of the first stage: at least so many are decided together (README.md, "Stages"). */
#define QH_LEAST_WANTED		10

/* Shares of a scan's memory: of the search or the pass over all codes, of candidates refined, of rows found late.  The rest is in rescore.c. */
#define QH_SEARCH_MEMORY	0.5
#define QH_REFINE_MEMORY	0.2
#define QH_LATE_MEMORY		0.05

/* Where candidates come from. */
typedef enum QhSourceKind
{
	QH_SOURCE_NONE,				/* nothing is indexed */
	QH_SOURCE_GRAPH,
	QH_SOURCE_FLAT,				/* all codes, best first */
	QH_SOURCE_ALL				/* all nodes in no order: estimates are no use */
} QhSourceKind;

/* All codes, best first, in passes of bounded memory (flat.c). */
typedef struct QhFlat
{
	uint64	   *best;			/* candidates as numbers that order as they do; the first nsorted in order */
	int			nbest;
	int			nsorted;
	int			max;			/* that this pass keeps */
	int			size;			/* of best */
	int			limit;			/* of max: what memory allows */
	int			next;			/* of best, to be returned */
	uint64		worst;			/* of those kept, once there are more than are kept */
	uint64		bound;			/* last one of the pass before: only what is behind it counts */
	bool		bounded;
	bool		more;			/* the last pass left some out */
	uint64		npasses;
} QhFlat;

/* A candidate with its finer distance (refine.c). */
typedef struct QhRefined
{
	float		dist;			/* by the finer code */
	float		coarse;			/* by the code it was found by */
	QhNode		node;
} QhRefined;

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
	uint64		nlate;			/* rows found after their place in the order; in strict order they come last */
	uint64		nfiltered;		/* heap rows fetched that the query's filter drops */
	uint64		nvalues;		/* vectors read from rows, or computed, to decide the order */
	bool		limited;		/* qhnsw.max_scan_tuples ended the graph search */
} QhScanStats;

typedef struct QhScan
{
	MemoryContext cxt;			/* until endscan */
	MemoryContext query_cxt;	/* until rescan */
	MemoryContext tuple_cxt;	/* until the next row */

	Relation	heap;
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
	QhCandidate *pulled;		/* of the graph, as they came; sorted by node once a pass over all codes took over */
	uint64		max_pulled;
	int			ef;
	double		ncandidates;	/* that the rows of the stage take, and that are found before they are decided; 0 = not known */
	QhBudget		budget;			/* of the search until those are found */
	bool		leaves_graph;	/* the next candidate comes from a pass over all codes */
	uint64		most_near;		/* so many are taken more where they are near; 0 = none */
	bool		exhausted;

	QhPlan		plan;
	QhBounds	bounds;			/* of the distance, by the filter */
	bool		bounded;		/* there are some, and distances that rows are decided by can be compared with them */

	/* README.md, "Stages" */
	bool		takes_all;		/* the plan reads every row, in strict order */
	double		wanted;			/* rows that the plan takes, as far as it is known and can be afforded; 0 = not known */
	double		offset;			/* so many of them first, which nobody will see */
	double		page;			/* those that a LIMIT hands on */
	uint64		stage_end;		/* rows are decided up to this one, counted from the first, */
	double		stage;			/* with the effort that so many take */
	uint64		ntaken;			/* rows decided that were given out or put into the window */
	bool		stage_decided;	/* the first was begun with the scan */
	bool		planned;		/* the plan was known to take rows of this stage when it began */
	bool		ties;			/* rows at the distance of the last one wanted are wanted too */

	/* refining */
	QhQueue		refined;		/* by the finer code */
	uint64		nrefine_taken;	/* candidates refined, and */
	uint64		nrefine_given;	/* handed on */
	float		refine_rank;	/* estimate of the one whose rank is that of the last row wanted */
	float		refine_front;	/* estimate of the last candidate refined: those that follow are no nearer */
	QhNode		refine_front_node;	/* and its node */
	float		refine_error;	/* standard error of that estimate, where it matters */
	bool		no_candidates;	/* the source has no more */

	QhRowList	rows;			/* of the current node */
	QhNode		rows_node;
	int			next_row;
	QhRowBatch	ahead;			/* rows of the nodes that come next, as far as they were read together */
	int			nahead;			/* nodes to be read before the next are asked for */
	float		rows_dist;		/* by the finest code there is */
	double		rows_exact;		/* Jaccard: the distance itself */

	/* rescoring */
	bool		queued;			/* rows go through the queues below */
	bool		rescore;
	bool		rescore_codes;	/* exact distances from the codes (Jaccard) */
	bool		filter;			/* rows that the query's filter drops are not to be returned */
	bool		fetch_all;
	double		oversample;
	FmgrInfo	distance;
	Oid			collation;
	QhQueue		pool;			/* rows looked at, not decided */
	QhQueue		decided;		/* of the stage, nearest first */
	QhQueue		window;			/* decided, of all stages that the plan takes rows of, until the last of these is */
	QhQueue		late;			/* in strict order: found after their place */
	bool		window_closed;	/* its rows are being given out */
	bool		reached_end;	/* the nearest row of the pool lies beyond the bounds */
	bool		remembers;		/* distances are remembered for the next page */
	int			known_before;	/* rows before the lower bound that an earlier page found */
	uint64		npassed;		/* rows that came into the pool */
	uint64		nuntil_within;	/* of these, until the last that lay within the bounds; 0 = none did */
	uint64		nbefore;		/* candidates nearer than the bounds let pass */
	float		typical_error;	/* standard error of the estimates of late, where bounds ask for it */
	uint64		nestimates;		/* since it was looked at */
	IndexInfo  *index_info;
	EState	   *estate;
	TupleTableSlot *slot;
	IndexFetchTableData *fetch;
	bool		have_last;
	double		last_dist;

	QhScanStats stats;
} QhScan;

/* ---- scan.c ---- */

extern IndexScanDesc qhnswbeginscan(Relation index, int nkeys, int norderbys);
extern void qhnswrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool qhnswgettuple(IndexScanDesc scan, ScanDirection dir);
extern void qhnswendscan(IndexScanDesc scan);

/* The next candidates in the order of their codes, at least one and at most max; 0 where there are none. */
extern int qh_scan_next_candidates(QhScan *scan, int max, QhCandidate *out);
/* Next row in the order of the codes; code receives the node's code if not NULL. */
extern bool qh_scan_row(QhScan *scan, ItemPointer tid, float *dist);

/* Standard error of the code of a node, which is read for that; 0 for bits, and where it is gone. */
extern float qh_scan_error(QhScan *scan, QhNode node);
/* The same of the finest code there is. */
extern float qh_scan_finer_error(QhScan *scan, QhNode node);

/* ---- budget.c ---- */
/* Candidates that so many rows take. */
extern double qh_scan_candidates(const QhScan *scan, double rank);
/* Does it take so many candidates to decide so many rows that a pass over all codes costs no more? */
extern bool qh_scan_takes_many(const QhScan *scan, double rank);
/* The next stage begins: rows are to be decided beyond those that were taken. */
extern void qh_scan_next_stage(QhScan *scan);
/* What the graph search is to have done before another candidate is taken, or more of them, whose number is cut to those it is the budget of. */
extern QhBudget qh_scan_next_budget(const QhScan *scan, int *max);
/* Does the scan go beyond the first stage and what the plan told, in an order that a late row cannot be put into? */
extern bool qh_scan_is_deep_and_strict(const QhScan *scan);
/* Standard errors by which an estimate may be wrong where the rows of the stage are decided. */
extern double qh_scan_error_margin(const QhScan *scan);

/* Does the row come in its place?  One that does not is put off in strict order, and goes out in any other. */
extern bool qh_scan_is_in_order(QhScan *scan, ItemPointer tid, double dist);
/* The next of those that were put off. */
extern bool qh_scan_next_late(QhScan *scan, ItemPointer tid);

/* A row pointer as a queue keeps it, so that equal distances are in the order of the table. */
static inline uint64
qh_tid_to_queue(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 | ItemPointerGetOffsetNumberNoCheck(tid);
}

static inline void
qh_queue_to_tid(uint64 what, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) (what >> 16), (OffsetNumber) (what & 0xFFFF));
}

/* Bytes that a share of the scan's memory comes to. */
extern Size qh_scan_memory(double share);

/* An error if a row pointer leads nowhere in the table: the table's own is not as clear. */
extern void qh_scan_check_tid(IndexScanDesc desc, ItemPointer tid);

/* ---- refine.c ---- */
extern bool qh_refine_next(QhScan *scan, QhRefined *out);
/* Of the candidates refined and not handed on, the nearest as things stand: at most max, in their order. */
extern int qh_refine_peek(const QhScan *scan, int max, QhNode *out);
/* Candidates that are refined before rank of them are handed on. */
extern double qh_refine_candidates(const QhScan *scan, double rank);

/* ---- flat.c ---- */
/* Begin a pass over all codes that keeps at least the best ncandidates, as far as memory allows. */
extern void qh_flat_start(QhScan *scan, double ncandidates);
extern bool qh_flat_next(QhScan *scan, QhCandidate *out);
/* The next candidates as things stand, at most max; returns how many. */
extern int qh_flat_peek(const QhScan *scan, int max, QhNode *out);

/* ---- rescore.c ---- */
/* Begin to remember distances of the query, and recall those of the last scan that had it. */
extern void qh_rescore_remember(QhScan *scan);
extern void qh_rescore_begin(IndexScanDesc desc);
extern bool qh_rescore_next(IndexScanDesc desc, ItemPointer tid);
extern void qh_rescore_end(QhScan *scan);
/* Candidates that pass the filter and are fetched before rank of them are returned. */
extern double qh_rescore_candidates(const QhScan *scan, double rank);

/* What the backend's last scan did. */
extern QhScanStats qh_last_scan;

#endif							/* QH_SCAN_H */
