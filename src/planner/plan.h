/*
 * plan.h
 *		What the executor's plan says of a scan: rows wanted, filter, bounds of the distance.
 *
 * It serves to look at the right candidates only: the executor filters and counts what it is
 * given once more.  README.md, section "Rows wanted".
 */
#ifndef QH_PLAN_H
#define QH_PLAN_H

#include "access/genam.h"
#include "executor/execdesc.h"
#include "nodes/execnodes.h"

/* A node that reads the rows of another, on the way from the scan to the root of the plan. */
typedef struct QhConsumer
{
	PlanState  *node;			/* NULL = not known */
	PlanState  *from;			/* the node whose rows it reads */
	SubPlanState *via;			/* from is a subplan of an expression of node; NULL = an input of it */
	ExprState  *run_limit;		/* WindowAgg: it stops once run_func passes this; NULL = no such condition */
	struct WindowFunc *run_func;
	int			run_strategy;
	struct QhConsumer *above;	/* reads the rows of node; NULL = node is the root */
	struct QhConsumer *other;	/* reads the rows of from too, which is a CTE */
} QhConsumer;

/* A condition on the distance, as plan_bounds.c reads it. */
typedef struct QhBoundExpr QhBoundExpr;

/* Conditions that the index can test, as plan_conditions.c reads them. */
typedef struct QhConditions QhConditions;
struct QhFilterTest;

/* What the plan says of a scan, found once for all its rescans. */
typedef struct QhPlan
{
	bool		searched;		/* qh_plan_find() was called */
	PlanState  *scan;			/* the node that runs it; NULL if it was not found */
	QueryDesc  *query;			/* the query it belongs to; to be compared only */
	QhConsumer *consumers;		/* of the scan's rows */
	bool		filters;		/* the node has a filter that qh_plan_passes() may evaluate */
	ExprContext *econtext;		/* for that */
	QhBoundExpr *bounds;		/* conditions on the distance; NULL = none */
	bool		bounds_complete;	/* the filter has no others, as far as reading tells */
	QhConditions *conditions;	/* of the filter, that the index can test; NULL = none, or not read */
} QhPlan;

/*
 * How many rows will be taken from the scan.  At most one of rows, all and fetch is set; none if
 * nothing is known.
 *
 * exact: no more rows are taken, and no fewer if they are there.  Not exact: a guess from the
 * planner's estimates, where a join or a filter lies between.  It may be wrong by any factor.
 *
 * ties: besides those, every row at the distance of the last of them is taken, and one more row,
 * which ends it.
 *
 * fetch: no LIMIT is known, but the query's rows are asked for in pieces (FETCH from a cursor, a
 * loop of PL/pgSQL, a client that takes some rows at a time).  So many more rows are wanted from
 * now on, before the next piece is asked for.  That is a lower bound of the rows wanted in all,
 * as low as 1 in functions in SQL.  Ask again when that many were taken.
 */
typedef struct QhWanted
{
	double		rows;			/* in all, counted from the first; 0 = not known */
	bool		all;			/* every row: to sort or aggregate them, or since there is no LIMIT */
	bool		exact;			/* rows and all are no guess */
	bool		ties;
	bool		with_ties;		/* by LIMIT ... WITH TIES itself */
	double		fetch;			/* 0 = not known, or not bounded */
} QhWanted;

/*
 * What the node's filter says of the distance by which the scan is ordered.  No row outside the
 * bounds passes the filter; rows within may be dropped too.  No bound is NaN.  A NaN is neither
 * above nor below a bound, as C compares, for it may pass though it comes behind all others.
 * Compare the operator's own value only: a distance that differs in the last bit may be on the
 * other side.
 */
typedef struct QhBounds
{
	bool		has_lower;
	bool		has_upper;
	bool		lower_open;		/* the bound itself does not pass */
	bool		upper_open;
	bool		never;			/* no row passes */
	bool		complete;		/* the filter says no more than this, so all rows within pass */
	double		lower;
	double		upper;
} QhBounds;

/* ---- plan.c ---- */
/*
 * Find the scan in the plan that the executor is running, if that was not done before.  What is
 * found lives in cxt.
 */
extern void qh_plan_find(QhPlan *plan, IndexScanDesc desc, MemoryContext cxt);
/*
 * Rows that the running call of the executor may still give, 0 = no limit; false if that is not
 * known.
 */
extern bool qh_plan_rows_left(const QhPlan *plan, double *rows);

/* ---- plan_wanted.c ---- */
/* May be asked from the first row on.  The answer may change with every call of the executor. */
extern QhWanted qh_plan_wanted(const QhPlan *plan);
/*
 * Rows that a LIMIT right above the scan passes over before it hands any on, where that is known;
 * otherwise 0.  *merged is set if they are merged with those of other scans on the way.
 */
extern double qh_plan_offset(const QhPlan *plan, bool *merged);

/* ---- plan_window.c ---- */
/* Read the condition on a window function that ends the scan, if the consumer has one. */
extern void qh_plan_read_run_condition(QhConsumer *consumer);
/*
 * Rows after which that condition no longer holds, and nothing more is read; rows = 0: not known.
 */
extern QhWanted qh_plan_run_limit(const QhConsumer *consumer);

/* ---- plan_bounds.c ---- */
/* Read the conditions on the distance from the node's filter. */
extern void qh_plan_read_bounds(QhPlan *plan);
/* Evaluate what they compare the distance with: the bounds of the scan until its next rescan. */
extern void qh_plan_bounds(const QhPlan *plan, QhBounds *out);

/* ---- plan_conditions.c ---- */
/* Read from the node's filter what the index can test, for a scan of it that was found. */
extern void qh_plan_read_conditions(QhPlan *plan, Relation index);
/* Add what the filter says of keys, with the values of this rescan. */
extern void qh_plan_add_keys(const QhPlan *plan, struct QhFilterTest *test);
/* Are there conditions on stored values? */
extern bool qh_plan_has_included(const QhPlan *plan);

/* A row as far as the index stores its INCLUDE columns. */
typedef struct QhIncludedRow
{
	uint64		known;			/* bits of the columns whose values are here */
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	bool		keys_say_yes;	/* no condition on keys is open */
	/* Does every snapshot see the row? */
	bool		(*is_visible) (void *arg);
	void	   *arg;
} QhIncludedRow;

/*
 * Do conditions on stored values drop the row?  A condition that may tell what it sees, by an
 * error for instance, is evaluated only where those before it are known to pass, and the row is
 * visible.  Between qh_plan_begin_filter() and its end.
 */
extern bool qh_plan_drops_included(QhPlan *plan, Relation heap, const QhIncludedRow *row);
extern void qh_plan_end_conditions(QhPlan *plan);
/* Do the index's own conditions let a row of the table pass?  Likewise. */
extern bool qh_plan_passes_keys(QhPlan *plan, TupleTableSlot *slot);

/* ---- plan_filter.c ---- */
/* May the filter be evaluated more often, and for more rows, than the executor does? */
extern bool qh_plan_may_filter(PlanState *scan);
/*
 * Does the query's filter let a row of the table pass?  Between begin and end, where
 * plan->filters.
 */
extern void qh_plan_begin_filter(QhPlan *plan);
extern bool qh_plan_passes(QhPlan *plan, TupleTableSlot *slot);
extern void qh_plan_end_filter(QhPlan *plan);
/* Count a row for EXPLAIN that was left out, since the filter would have dropped it. */
extern void qh_plan_count_dropped(QhPlan *plan);

#endif							/* QH_PLAN_H */
