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
 * At least this many rows are taken to be wanted.  Who takes more, and no plan told how many, is likely to
 * want many: from there on a scan in strict order looks further ahead, lest rows come late.
 */
#define QH_LEAST_WANTED		10

/* Shares of a scan's memory: of the search or the pass over all codes, of candidates refined, of rows fetched. */
#define QH_SEARCH_MEMORY	0.5
#define QH_REFINE_MEMORY	0.2
#define QH_RESCORE_MEMORY	0.3

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

/* What the plan says of the scan (plan.c). */
typedef struct QhPlan
{
	bool		searched;
	PlanState  *scan;			/* the node that runs it; NULL if it was not found */
	struct LimitState *limit;	/* takes all its rows; NULL if none does */
	bool		filters;		/* the node will drop rows, and which can be told beforehand */
	ExprContext *econtext;		/* to tell that */
} QhPlan;

/* A row with its distance, waiting for its turn (rescore.c). */
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
	uint64		nfiltered;		/* heap rows fetched that the query's filter drops */
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
	QhNode	   *pulled_nodes;	/* sorted once a pass over all codes took over from the graph */
	uint64		max_pulled_nodes;
	int			ef;
	double		ncandidates;	/* that the rows wanted take, and that are found before the first of them is returned; 0 = not known */
	QhAim		aim;			/* of the search until those are found */
	uint64		most_near;		/* so many are taken more where they are near; 0 = none */
	bool		exhausted;

	QhPlan		plan;
	double		wanted;			/* rows to be decided together, counted from the first one; 0 = not known */

	/* refining */
	QhRefined  *refined;		/* min-heap by dist */
	int			nrefined;
	int			max_refined;
	uint64		nrefine_taken;	/* candidates refined, and */
	uint64		nrefine_given;	/* handed on */
	float		refine_rank;	/* estimate of the one whose rank is that of the last row wanted */
	float		refine_front;	/* estimate of the last candidate refined: those that follow are no nearer */
	bool		no_candidates;	/* the source has no more */

	QhRowList	rows;			/* of the current node */
	int			next_row;
	QhRowBatch	ahead;			/* rows of the nodes that come next, as far as they were read together */
	int			nahead;			/* nodes to be read before the next are asked for */
	float		rows_dist;		/* by the finest code there is */
	float		rows_error;		/* in strict order, once it matters: standard error of the code they were found by */
	double		rows_exact;		/* Jaccard: the distance itself */

	/* rescoring */
	bool		rescore;
	bool		rescore_codes;	/* exact distances from the codes (Jaccard) */
	bool		filter;			/* rows that the query's filter drops are not to be returned */
	bool		fetch_all;
	double		oversample;
	FmgrInfo	distance;
	Oid			collation;
	pairingheap *queue;
	uint64		nqueued;
	uint64		npassed;		/* rows that came into the queue */
	QhRescored **decided;		/* rows in their final order, nearest first */
	uint64		ndecided;
	uint64		next_decided;
	uint64		max_decided;
	IndexInfo  *index_info;
	EState	   *estate;
	TupleTableSlot *slot;
	IndexFetchTableData *fetch;
	bool		have_last;
	double		last_dist;

	QhScanStats stats;
} QhScan;

/* ---- scan.c ---- */
/* The next candidates in the order of their codes, at least one and at most max; 0 where there are none. */
extern int qh_scan_next_candidates(QhScan *scan, int max, QhCandidate *out);
/* Next row in the order of the codes; code receives the node's code if not NULL. */
extern bool qh_scan_row(QhScan *scan, ItemPointer tid, float *dist);

/* ---- aim.c ---- */
/* Candidates that the rows wanted take. */
extern double qh_scan_candidates(const QhScan *scan);
/* The rows wanted are known, or have become more. */
extern void qh_scan_take_aim(QhScan *scan);
/* What the graph search is to have done before another candidate is taken, or more of them, whose number is cut to those it is the aim of. */
extern QhAim qh_scan_next_aim(const QhScan *scan, int *max);
/* Does the scan go beyond what most want and the plan told, in an order that a late row cannot be put into? */
extern bool qh_scan_is_deep_and_strict(const QhScan *scan);
/* Standard errors of which an estimate may be wrong where the rank-th row is decided. */
extern double qh_scan_caution(const QhScan *scan, double rank);

/* Bytes that a share of the scan's memory comes to. */
extern Size qh_scan_memory(double share);

/* An error if a row pointer leads nowhere in the table: the table's own is not as clear. */
extern void qh_scan_check_tid(IndexScanDesc desc, ItemPointer tid);

/* ---- refine.c ---- */
extern bool qh_refine_next(QhScan *scan, QhRefined *out);
/* Candidates that are refined before rank of them are handed on. */
extern double qh_refine_candidates(const QhScan *scan, double rank);

/* ---- plan.c ---- */
/* Find the scan in the plan that the executor is running; once is enough for all its rescans. */
extern void qh_plan_find(QhPlan *plan, IndexScanDesc desc);
/* Rows that LIMIT and OFFSET take, known from the first row on; 0 if the plan does not tell. */
extern double qh_plan_limit(const QhPlan *plan);
/* Does the query's filter let a row of the table pass?  Between begin and end, where plan->filters. */
extern void qh_plan_begin_filter(QhPlan *plan);
extern bool qh_plan_passes(QhPlan *plan, TupleTableSlot *slot);
extern void qh_plan_end_filter(QhPlan *plan);

/* ---- flat.c ---- */
/* Begin a pass over all codes that keeps at least the best ncandidates, as far as memory allows. */
extern void qh_flat_start(QhScan *scan, double ncandidates);
extern bool qh_flat_next(QhScan *scan, QhCandidate *out);
/* The next candidates as things stand, at most max; returns how many. */
extern int qh_flat_peek(const QhScan *scan, int max, QhNode *out);

/* ---- rescore.c ---- */
extern void qh_rescore_begin(IndexScanDesc desc);
extern bool qh_rescore_next(IndexScanDesc desc, ItemPointer tid);
extern void qh_rescore_end(QhScan *scan);
/* Candidates that pass the filter and are fetched before rank of them are returned. */
extern double qh_rescore_candidates(const QhScan *scan, double rank);

/* What the backend's last scan did. */
extern QhScanStats qh_last_scan;

#endif							/* QH_SCAN_H */
