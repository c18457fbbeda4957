/*
 * plan.h
 *		What the executor's plan says of a scan: rows wanted, filter, bounds of the distance.
 *
 * Nothing here is needed for a right answer but to look at the right candidates: the executor
 * filters and counts what it is given once more.  See README.md, section "Rows wanted".
 */
#ifndef QH_PLAN_H
#define QH_PLAN_H

#include "access/genam.h"
#include "executor/execdesc.h"
#include "nodes/execnodes.h"

/* A node that takes the rows of another, on the way from the scan to the root of the plan. */
typedef struct QhTaker
{
	PlanState  *node;			/* NULL = nobody knows who takes them */
	PlanState  *from;
	SubPlanState *via;			/* from is a subplan of an expression of the node's; NULL = an input */
	ExprState  *run_limit;		/* WindowAgg: stops once its function passes this; NULL = no such condition */
	struct WindowFunc *run_func;
	int			run_strategy;
	struct QhTaker *above;		/* who takes the node's rows; NULL = whoever runs the query */
	struct QhTaker *other;		/* who takes them too: a CTE has many readers */
} QhTaker;

/* A condition on the distance, as plan_bounds.c reads it. */
typedef struct QhBoundExpr QhBoundExpr;

/* What the plan says of the scan, found once for all its rescans. */
typedef struct QhPlan
{
	bool		searched;
	PlanState  *scan;			/* the node that runs it; NULL if it was not found */
	QueryDesc  *query;			/* which it belongs to; to be compared only */
	QhTaker    *takers;
	bool		filters;		/* the node will drop rows, and which can be told beforehand */
	ExprContext *econtext;		/* to tell that */
	QhBoundExpr *bounds;		/* NULL = no condition on the distance */
	bool		only_bounds;	/* the node's filter is nothing else */
} QhPlan;

/*
 * How many rows will be taken from the scan.  At most one of rows, all and fetch is set; none if nothing is known.
 *
 * exact: not more than that many, and they will be taken if they are there.  Not exact: a guess, from the planner's
 * estimates where a join or a filter lies between, which is off by any factor; more or fewer may be taken.
 *
 * ties: behind those, every row that has the same distance as the last of them, and one that does not, which ends it.
 *
 * fetch: no LIMIT is known, but whoever runs the query asks for pieces (FETCH from a cursor, a loop of PL/pgSQL, a client
 * that wants some rows at a time).  So many more are wanted, from now on, before the next piece may be asked for: a lower
 * bound of what will be wanted in all, which is as low as 1 in functions in SQL.  Ask again when that many were taken.
 */
typedef struct QhWanted
{
	double		rows;			/* in all, counted from the first one; 0 = not known */
	bool		all;			/* every row there is: sorted, aggregated, or read to the end without a LIMIT */
	bool		exact;			/* of rows and all */
	bool		ties;
	bool		with_ties;		/* they are asked for by LIMIT ... WITH TIES itself */
	double		fetch;			/* 0 = not known, or not bounded */
} QhWanted;

/*
 * What the node's filter says of the distance, by the operator that orders the scan: no other row passes.  Rows within may be dropped
 * too.  NaN is neither above nor below a bound (as C compares), for it may pass though it comes behind all others; no bound is NaN.
 * A distance must be compared that is the same to the last bit: the operator's own value.
 */
typedef struct QhBounds
{
	bool		has_lower;
	bool		has_upper;
	bool		lower_open;		/* the bound itself does not pass */
	bool		upper_open;
	bool		never;			/* no row passes */
	bool		complete;		/* the filter says no more than this: all rows within pass */
	double		lower;
	double		upper;
} QhBounds;

/* ---- plan.c ---- */
/* Find the scan in the plan that the executor is running; once is enough for all its rescans.  What is found lives in cxt. */
extern void qh_plan_find(QhPlan *plan, IndexScanDesc desc, MemoryContext cxt);
/* Rows that the running call may still be given: false if that is not known; 0 = no bound. */
extern bool qh_plan_rows_left(const QhPlan *plan, double *rows);

/* ---- plan_wanted.c ---- */
/* Known from the first row on, and may change with every call of the executor. */
extern QhWanted qh_plan_wanted(const QhPlan *plan);
/*
 * Rows that a LIMIT right above the scan passes over before it hands any on, where that is known; otherwise 0.  *merged is set if they
 * are merged with those of other scans on the way.
 */
extern double qh_plan_offset(const QhPlan *plan, bool *merged);
/* What of a window function ends the scan. */
extern void qh_plan_read_run_condition(QhTaker *taker);

/* ---- plan_bounds.c ---- */
extern void qh_plan_read_bounds(QhPlan *plan);
/* Bounds of this scan until its next rescan; evaluates what conditions compare the distance with. */
extern void qh_plan_bounds(const QhPlan *plan, QhBounds *out);

/* ---- plan_filter.c ---- */
/* May the filter be evaluated more often, and for more rows, than the executor does? */
extern bool qh_plan_may_filter(PlanState *scan);
/* Does the query's filter let a row of the table pass?  Between begin and end, where plan->filters. */
extern void qh_plan_begin_filter(QhPlan *plan);
extern bool qh_plan_passes(QhPlan *plan, TupleTableSlot *slot);
extern void qh_plan_end_filter(QhPlan *plan);
/* A row was left out that the filter would have dropped: EXPLAIN counts it. */
extern void qh_plan_count_dropped(QhPlan *plan);

#endif							/* QH_PLAN_H */
