/*
 * scan_state.h
 *		The state of a scan, which the files of this room share, and what each of them offers the others.
 *
 * The prototypes stand in the order of the files, from the lowest to the highest: a file calls
 * those before it and none behind it.  source.h stands between budget.c and refine.c.
 */
#ifndef QH_SCAN_STATE_H
#define QH_SCAN_STATE_H

#include <math.h>

#include "access/relscan.h"
#include "access/tableam.h"
#include "column/batch.h"
#include "column/column.h"
#include "column/filter_columns.h"
#include "column/filter_test.h"
#include "column/options.h"
#include "miscadmin.h"
#include "planner/plan.h"
#include "scan/row_queue.h"
#include "scan/scan.h"
#include "store/memory.h"
#include "store/codes.h"
#include "store/row_read.h"
#include "utils/memutils.h"

struct QhCandidateSource;

/* A stage is decided with the effort for at least so many rows (README.md, "Stages"). */
#define QH_MIN_STAGE		10

/* Shares of a scan's memory; README.md, section "Memory of a scan". */
#define QH_SEARCH_MEMORY	0.5		/* the graph search, or the pass over all codes */
#define QH_REFINE_MEMORY	0.2		/* candidates refined */
#define QH_POOL_MEMORY		0.15
#define QH_DECIDED_MEMORY	0.05
#define QH_WINDOW_MEMORY	0.05
#define QH_LATE_MEMORY		0.05
#define QH_RECENT_MEMORY	0.05	/* distances remembered for the next page, which outlive the scan */

/* The part of a query's result that is being decided (README.md, section "Stages"). */
typedef struct QhStage
{
	uint64		end;			/* the rank of its last row, counted from the query's first */
	double		rank;			/* decided with the effort for so many rows: end, at least QH_MIN_STAGE */
	bool		planned;		/* the plan was known to take rows of this stage when it began */
	bool		begun;			/* rescore.c has begun to decide it */
	double		margin;			/* standard errors by which estimates are doubted */
	double		ncandidates;	/* candidates to be found before its rows are decided; 0 = not known */
	QhBudget	budget;			/* of the graph search until those are found */
	uint64		max_near;		/* finer codes: candidates up to this number are refined if near; 0 = none */
} QhStage;

/* Candidates that the graph search gave, in their order. */
typedef struct QhCandidateList
{
	QhCandidate *cands;
	uint64		n;
	uint64		max;
	bool		by_node;		/* sorted by node, since a pass over all codes took over */
} QhCandidateList;

/* A candidate with the distance by the finest code there is. */
typedef struct QhRefined
{
	float		dist;
	float		coarse;			/* by the code that it was found by */
	QhNode		node;
} QhRefined;

/* Candidates on their way through their finer codes (refine.c). */
typedef struct QhRefining
{
	QhQueue		queue;			/* refined and not handed on, by the finer distance */
	uint64		ntaken;			/* candidates refined */
	uint64		ngiven;			/* of these, handed on */
	float		rank_dist;		/* estimate of the candidate whose rank is the budget's */
	float		last_dist;		/* estimate of the last candidate refined: those that follow are no nearer */
	QhNode		last_node;		/* and its node */
	float		last_error;		/* standard error of that estimate, or of one shortly before */
	bool		source_ended;	/* there are no more candidates */
} QhRefining;

/* Nodes that may have rows which pass the conditions on keys (passing.c). */
typedef struct QhPassing
{
	bool		counted;		/* they were looked for */
	uint64		nnodes;			/* so many there are */
	uint64	   *bits;			/* of all nodes; NULL = not looked for, or too many */
	QhNode		nslots;
} QhPassing;

/* Row pointers of the node that the scan has come to (node_rows.c). */
typedef struct QhNodeRows
{
	QhNode		node;
	QhRowList	list;
	int			next;			/* of list, to be returned */
	float		dist;			/* of the node, by the finest code there is */
	double		exact;			/* Jaccard: the distance itself */
	bool		has_interval;	/* interval is known: where distances of its rows lie, in the operator's unit */
	QvInterval	interval;
	QhRowBatch	batch;			/* rows of this node and of those behind it that were read together */
	int			nbatched;		/* nodes to come before another batch is read */
} QhNodeRows;

/* A candidate's row. */
typedef struct QhCandidateRow
{
	ItemPointerData tid;
	double		code_dist;		/* by its finest code, in the operator's unit only where codes decide */
	float		estimate;		/* the same as it was scored; NaN = its distance was remembered */
	bool		has_interval;	/* as of its node */
	QvInterval	interval;
} QhCandidateRow;

/* What is needed to fetch and judge rows of the table (fetch.c). */
typedef struct QhFetching
{
	IndexInfo  *index_info;
	EState	   *estate;
	TupleTableSlot *slot;
	IndexFetchTableData *fetch;
	QhBatch    *batch;			/* rows whose values are computed together (recompute.c); NULL where each is alone */
	QhCandidateRow *waiting;	/* the same rows, as candidates */
} QhFetching;

/*
 * Everything that is of one query: set to zeros at once when it starts.  What outlives it is in
 * QhScan.
 */
typedef struct QhQueryState
{
	Relation	heap;
	QhIndex    *ix;				/* held by query_cxt */
	QhAlloc		alloc;			/* in query_cxt */
	Datum		value;			/* the query vector, detoasted */
	const uint8 *bits;			/* what the codec reads of it, where codes are bits */
	bool		is_null;		/* it is NULL */
	QvQuery    *prepared;		/* it, prepared for the code that the graph is searched by */
	QvQuery    *refine_prepared;	/* and for the finer code; NULL = no finer codes, or none used */

	/* settings and options, as they were when the query started */
	int			ef;
	double		oversample;
	double		doubted;		/* standard errors by which estimates are doubted where ten rows are wanted */
	bool		hides;			/* candidates pass by the node hidden (QhForced) */
	QhNode		hidden;
	bool		rescore;		/* the column's values decide */
	bool		rescore_codes;	/* exact distances come from the codes (Jaccard) */
	bool		intervals;		/* the finest codes tell where distances lie */
	QvRounding	rounding;		/* what the operator adds to that */

	/* what the plan says */
	double		wanted;			/* rows that it takes, as far as can be afforded; 0 = not known */
	double		offset;			/* so many of them first, which nobody will see */
	double		page;			/* the others: those that a LIMIT hands on */
	bool		ties;			/* rows at the distance of the last one wanted are wanted too */
	bool		takes_all;		/* the plan reads every row, in strict order */
	bool		filter;			/* rows that the query's filter drops are not to be returned */
	QhBounds	bounds;			/* of the distance, by the filter */
	bool		bounded;		/* there are some, and rows are decided by distances that compare with them */

	/* conditions that records decide */
	QhFilterTest test;			/* of keys */
	bool		tests_keys;		/* there are any */
	bool		tests_included; /* there are conditions on stored values */
	bool		recheck;		/* keys leave some of the index's own open */
	Buffer		map_buffer;		/* of the visibility map */
	QhPassing	passing;

	/* candidates */
	struct QhCandidateSource *source;
	QhCandidateList from_graph;
	bool		leave_graph;	/* the next candidate is to come from a pass over all codes */
	QhStage		stage;
	QhRefining	refining;
	QhNodeRows	rows;

	/* rescoring: rows go from the pool to decided, and through the window if there is one */
	bool		queued;			/* rows go through these queues, not out in the order of their codes */
	bool		fetch_all;		/* estimates are of no use: all rows are fetched first */
	bool		source_ended;	/* no more candidates, or none that could be within the bounds */
	QhFetching	fetching;
	QhQueue		pool;			/* rows looked at, not decided */
	QhQueue		decided;		/* rows of the stage, nearest first */
	QhQueue		window;			/* rows decided, until the last stage that the plan takes rows of is */
	bool		window_closed;	/* its rows are being given out */
	QhCandidateRow held;		/* the candidate to be looked at next, drawn to see whether it is in doubt */
	bool		has_held;
	float		error;			/* standard error of candidates near it */
	double		doubt;			/* by which their estimates are doubted */
	uint64		ntaken;			/* rows of all stages that were given out or put into the window */
	uint64		npooled;		/* rows that came into the pool */
	uint64		npooled_within;	/* of these, up to the last one that lay within the bounds; 0 = none did */
	bool		reached_end;	/* the nearest row of the pool lies beyond the bounds */
	uint64		nbefore;		/* candidates nearer than the bounds let pass */
	uint64		recent;			/* distances are remembered under this number; 0 = none are */
	int			nknown_before;	/* rows nearer than the lower bound that an earlier page has found */
	float		typical_error;	/* standard error of recent estimates, where bounds ask for it */
	uint64		nestimates;		/* estimates made since the query started, to take a sample of them */

	/* strict order */
	QhQueue		late;			/* rows found after their place */
	bool		have_last;
	double		last_dist;		/* of the last row given out */
	QhQueued	last;			/* that row, where rows go through queues */

	QhScanStats stats;
} QhQueryState;

typedef struct QhScan
{
	/* until endscan */
	IndexScanDesc desc;
	MemoryContext cxt;
	MemoryContext query_cxt;	/* emptied when a query starts */
	const QhColumn *column;
	QhFilterColumns columns;	/* those behind the first */
	QhPlan		plan;			/* found once for all rescans */
	FmgrInfo	distance;		/* the operator's function, looked up at need */
	Oid			collation;

	bool		started;		/* the first row since rescan was asked for */
	QhRelStore	rs;				/* of the query too, but set up by qh_relstore_init() */
	QhQueryState q;
} QhScan;

/* Bytes that a share of the scan's memory comes to. */
static inline Size
qh_scan_memory(double share)
{
	double		nbytes = work_mem * 1024.0 * qhnsw_scan_mem_multiplier * share;

	/* settings may ask for more than an address has bits for */
	return (Size) Min(nbytes, (double) (MaxAllocHugeSize / 2));
}

/*
 * The standard error of candidates, which come in the order of their estimates: most have errors
 * like those shortly before, and the larger ones decide what is in doubt.
 */
static inline float
qh_error_of_recent(float recent, float next)
{
	return Max(0.9F * recent, next);
}

/* An estimate in the operator's unit. */
static inline double
qh_as_distance(const QhScan *scan, double estimate)
{
	return scan->column->metric == QV_METRIC_L2 ? sqrt(Max(estimate, 0)) : estimate;
}

/* ---- budget.c: how many candidates and expansions the rows wanted take ---- */

/* Candidates that so many rows take, from the source and from what refines them. */
extern double qh_budget_candidates(const QhScan *scan, double rank);
/* Candidates to be refined before rank of them are handed on. */
extern double qh_budget_refined(const QhScan *scan, double rank);
/*
 * Candidates that pass the filter to be looked at in any case before rank rows are decided; and
 * as many as are likely to be, with those in doubt.
 */
extern double qh_budget_rescored(const QhScan *scan, double rank);
extern double qh_budget_expected(const QhScan *scan, double rank);
/* Candidates that may be looked at for doubt alone, in a stage. */
extern double qh_budget_doubted(const QhScan *scan);
/*
 * Does it take so many candidates to decide so many rows that a pass over all codes costs no
 * more?
 */
extern bool qh_budget_prefers_flat(const QhScan *scan, double rank);
/* The next stage begins: rows are to be decided beyond those that were taken. */
extern void qh_budget_next_stage(QhScan *scan);

/*
 * What the graph search is to have done before it gives another candidate.  *max, a number of
 * candidates, is cut to those that this is the budget of.
 */
extern QhBudget qh_budget_next(const QhScan *scan, int *max);

/* ---- conditions.c: conditions that records decide ---- */

extern void qh_conditions_begin(QhScan *scan);
extern void qh_conditions_end(QhScan *scan);
/* What the keys of a record say. */
extern QhVerdict qh_test_record(const QhScan *scan, const uint8 *record);
/* Of rows read with their records, keep those that may pass. */
extern void qh_keep_passing(QhScan *scan, QhRowList *list);
/* The same of one row. */
extern bool qh_row_may_pass(QhScan *scan, const ItemPointerData *tid, const uint8 *record);

/* ---- passing.c: nodes that may have rows which pass ---- */

/* Look for all of them, if that was not done before. */
extern void qh_passing_count(QhScan *scan);
extern bool qh_node_may_pass(QhScan *scan, QhNode node);

/* Nodes handed on at once. */
#define QH_PASSING_BATCH	QH_UNPINNED_MAX

typedef void (*QhPassingTaker) (void *arg, const QhNode *nodes, int n);

/* All of them in the order of nodes, at most QH_PASSING_BATCH at a time. */
extern void qh_passing_each(QhScan *scan, QhPassingTaker taker, void *arg);

/* ---- from_graph.c: candidates that a search of the graph gave ---- */

/* Remember what was given: the budget counts it, and a pass over all codes leaves it out. */
extern void qh_note_given(QhScan *scan, const QhCandidate *cands, int n);
/* A pass takes over: what was given is to be found by node. */
extern void qh_sort_given(QhScan *scan);
extern bool qh_was_given(const QhScan *scan, QhNode node);

/* ---- refine.c: candidates in the order of their finer codes ---- */

extern bool qh_refine_next(QhScan *scan, QhRefined *out);
/*
 * Of the candidates refined and not handed on, the nearest as things stand: at most max, in their
 * order.
 */
extern int qh_refine_peek(const QhScan *scan, int max, QhNode *out);
/*
 * Standard error of the finest code of a node, which is read for that; 0 for bits, and where it
 * is gone.
 */
extern float qh_refine_error(QhScan *scan, QhNode node);

/*
 * Where the distances of a node's rows lie by its finest code, in the operator's unit; dist is
 * what that scored.  False if that is not known, or the code is another by now.
 */
extern bool qh_refine_interval(QhScan *scan, QhNode node, float dist, QvInterval *interval);

/* ---- node_rows.c: rows in the order of the codes ---- */

/*
 * The next row pointer, checked, and the distance of its node by the finest code there is; false
 * where there are no more.
 */
extern bool qh_next_row(QhScan *scan, ItemPointer tid, float *dist);

/* ---- late.c: rows found after their place in the order ---- */

/*
 * Does the row come in its place?  One that does not is put off in strict order, and goes out in
 * any other.
 */
extern bool qh_is_in_order(QhScan *scan, ItemPointer tid, double dist);
/* The next of those that were put off. */
extern bool qh_next_late(QhScan *scan, ItemPointer tid);

/* ---- rescore.c: rows in their exact order, stage by stage ---- */

/* Begin to remember distances of the query, and recall those of the last scan that had it. */
extern void qh_rescore_remember(QhScan *scan);
extern void qh_rescore_begin(QhScan *scan);
extern bool qh_rescore_next(QhScan *scan, ItemPointer tid);
extern void qh_rescore_end(QhScan *scan);

#endif							/* QH_SCAN_STATE_H */
