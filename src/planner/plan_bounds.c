/*
 * plan_bounds.c
 *		Conditions on the distance by which a scan is ordered: the range of distances that can pass.
 *
 * "WHERE e <=> q < .5 ORDER BY e <=> q" is a filter to the executor.  To the scan it says where
 * it may end, and "> .5" says where it may begin.  Conditions are read once from the node's
 * filter, as a tree of AND, OR and comparisons.  What they compare the distance with is evaluated
 * for each rescan.  Bounds need not be tight, since the executor tests the filter again.
 * README.md, section "Bounds of the distance".
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "planner/plan.h"
#include "planner/range.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* What is computed from the distance before it is compared, as in "1 - (e <=> q) > .8". */
typedef enum QhStepKind
{
	QH_STEP_PLUS,				/* x + operand */
	QH_STEP_MINUS_FROM,			/* operand - x */
	QH_STEP_TIMES				/* x * operand */
} QhStepKind;

/* One operation on x, the distance or the result of the operations before. */
typedef struct QhStep
{
	QhStepKind	kind;
	double		sign;			/* of the operand, 1 or -1 */
	ExprState  *operand;		/* NULL = 0 */
} QhStep;

typedef enum QhBoundKind
{
	QH_BOUND_AND,
	QH_BOUND_OR,
	QH_BOUND_COMPARISON
} QhBoundKind;

struct QhBoundExpr
{
	QhBoundKind kind;
	List	   *args;			/* of AND and OR */
	/* of a comparison: "steps(distance) (strategy) value" */
	int			strategy;
	ExprState  *value;
	bool		leads;			/* it is the first of a comparison of rows, so the bound itself may pass */
	List	   *steps;			/* in the reverse order of evaluation */
	ExprState  *query;			/* what the distance is from; NULL = the scan's own expression */
};

/* ---- reading ---- */

typedef struct ReadContext
{
	PlanState  *scan;
	OpExpr	   *distance;		/* that the scan is ordered by: column (operator) query */
	Oid			opfamily;		/* of comparisons of floats */
} ReadContext;

/*
 * Has the expression the same value for all rows of the scan, which can be computed before the
 * first?
 */
static bool
is_constant_of_scan(Expr *expr)
{
	return !contain_var_clause((Node *) expr) && !contain_subplans((Node *) expr) &&
		!contain_volatile_functions((Node *) expr);
}

/*
 * Are these the indexed column and what may have the value of the scan's query?  *query is set if
 * that is to be found out.
 */
static bool
is_from_query(const ReadContext *read, Expr *column, Expr *other, ExprState **query)
{
	Expr	   *own = lsecond(read->distance->args);

	if (!equal(column, linitial(read->distance->args)))
		return false;
	*query = NULL;
	if (equal(other, own))
		return true;
	if (!is_constant_of_scan(other) || exprType((Node *) other) != exprType((Node *) own))
		return false;
	*query = ExecInitExpr(other, read->scan);
	return true;
}

/* Is this the distance that the scan is ordered by, by the same operator or its commutator? */
static bool
is_distance(const ReadContext *read, Expr *expr, ExprState **query)
{
	OpExpr	   *op = (OpExpr *) expr;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 || op->inputcollid != read->distance->inputcollid)
		return false;
	if (op->opno == read->distance->opno && is_from_query(read, linitial(op->args), lsecond(op->args), query))
		return true;
	return op->opno == get_commutator(read->distance->opno) &&
		is_from_query(read, lsecond(op->args), linitial(op->args), query);
}

/* Read one step.  *inner is set to the expression that it is computed from. */
static bool
read_step(const ReadContext *read, OpExpr *op, QhStep *step, Expr **inner)
{
	Expr	   *left = linitial(op->args);
	Expr	   *right = llast(op->args);
	bool		left_constant = is_constant_of_scan(left);
	Expr	   *operand = left_constant ? left : right;

	*inner = left_constant ? right : left;
	*step = (QhStep) {.kind = QH_STEP_PLUS, .sign = 1};
	switch (op->opfuncid)
	{
		case F_FLOAT8UM:
			step->kind = QH_STEP_MINUS_FROM;
			*inner = left;
			return true;
		case F_FLOAT8PL:
			break;
		case F_FLOAT8MI:
			if (left_constant)
				step->kind = QH_STEP_MINUS_FROM;
			else
				step->sign = -1;
			break;
		case F_FLOAT8MUL:
			step->kind = QH_STEP_TIMES;
			break;
		default:
			return false;
	}
	if (!is_constant_of_scan(operand))
		return false;
	step->operand = ExecInitExpr(operand, read->scan);
	return true;
}

/* Read the distance, or what is computed from it; false if the expression is neither. */
static bool
read_distance(const ReadContext *read, Expr *expr, QhBoundExpr *out)
{
	out->steps = NIL;
	while (!is_distance(read, expr, &out->query))
	{
		QhStep	   *step = palloc(sizeof(QhStep));

		if (!IsA(expr, OpExpr) || !read_step(read, (OpExpr *) expr, step, &expr))
			return false;
		out->steps = lappend(out->steps, step);
	}
	return true;
}

/* NULL if it compares nothing that is computed from the distance. */
static QhBoundExpr *
read_comparison(const ReadContext *read, Oid operator, Expr *left, Expr *right)
{
	QhBoundExpr *comparison = palloc0(sizeof(QhBoundExpr));

	comparison->kind = QH_BOUND_COMPARISON;
	comparison->strategy = get_op_opfamily_strategy(operator, read->opfamily);
	if (comparison->strategy == 0)
		return NULL;
	if (is_constant_of_scan(left))
	{
		Expr	   *swap = left;

		left = right;
		right = swap;
		comparison->strategy = BTMaxStrategyNumber + 1 - comparison->strategy;
	}
	if (!is_constant_of_scan(right) || !read_distance(read, left, comparison))
		return NULL;
	comparison->value = ExecInitExpr(right, read->scan);
	return comparison;
}

static QhBoundExpr *read_condition(const ReadContext *read, Node *node, bool *complete);

/*
 * Arguments of AND and OR.  One that says nothing of the distance is left out of AND; an OR that
 * has one says nothing.
 */
static QhBoundExpr *
read_all(const ReadContext *read, QhBoundKind kind, List *args, bool *complete)
{
	QhBoundExpr *all = palloc0(sizeof(QhBoundExpr));
	ListCell   *cell;

	all->kind = kind;
	foreach(cell, args)
	{
		QhBoundExpr *arg = read_condition(read, lfirst(cell), complete);

		if (arg)
			all->args = lappend(all->args, arg);
		else if (kind == QH_BOUND_OR)
			return NULL;
	}
	if (kind == QH_BOUND_OR)
		*complete = false;
	return all->args ? all : NULL;
}

/* A comparison of rows says what its first columns say. */
static QhBoundExpr *
read_row_comparison(const ReadContext *read, RowCompareExpr *row)
{
	QhBoundExpr *first = read_comparison(read, linitial_oid(row->opnos),
										 linitial(row->largs), linitial(row->rargs));

	if (first)
		first->leads = true;
	return first;
}

/*
 * NULL if the condition says nothing of the distance; *complete is cleared if it says more than
 * is read.
 */
static QhBoundExpr *
read_condition(const ReadContext *read, Node *node, bool *complete)
{
	QhBoundExpr *read_here = NULL;

	check_stack_depth();
	if (IsA(node, List))
		return read_all(read, QH_BOUND_AND, (List *) node, complete);
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop != NOT_EXPR)
		return read_all(read, ((BoolExpr *) node)->boolop == AND_EXPR ? QH_BOUND_AND : QH_BOUND_OR,
						((BoolExpr *) node)->args, complete);
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
		read_here = read_comparison(read, ((OpExpr *) node)->opno,
									linitial(((OpExpr *) node)->args), lsecond(((OpExpr *) node)->args));
	else if (IsA(node, RowCompareExpr))
		read_here = read_row_comparison(read, (RowCompareExpr *) node);
	if (read_here == NULL || read_here->steps || read_here->leads)
		*complete = false;
	return read_here;
}

void
qh_plan_read_bounds(QhPlan *plan)
{
	IndexScan  *scan = castNode(IndexScan, plan->scan->plan);
	ReadContext read = {.scan = plan->scan};

	if (scan->scan.plan.qual == NIL || list_length(scan->indexorderbyorig) != 1)
		return;
	read.distance = linitial(scan->indexorderbyorig);
	if (!IsA(read.distance, OpExpr) || list_length(read.distance->args) != 2 ||
		exprType((Node *) read.distance) != FLOAT8OID || !func_strict(read.distance->opfuncid))
		return;
	read.opfamily = lookup_type_cache(FLOAT8OID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	plan->bounds_complete = true;
	plan->bounds = read_condition(&read, (Node *) scan->scan.plan.qual, &plan->bounds_complete);
	plan->bounds_complete = plan->bounds_complete && plan->bounds;
}

/* ---- evaluating ---- */

typedef struct Evaluation
{
	PlanState  *scan;
	const ScanKeyData *query;	/* of the scan */
	bool		complete;		/* as in QhBounds */
} Evaluation;

/* The value of a float expression; false if it is NULL. */
static bool
evaluate_float(const Evaluation *eval, ExprState *expr, double *value)
{
	bool		isnull;
	Datum		datum = ExecEvalExprSwitchContext(expr, eval->scan->ps_ExprContext, &isnull);

	if (!isnull)
		*value = exprType((Node *) expr->expr) == FLOAT4OID ?
			(double) DatumGetFloat4(datum) : DatumGetFloat8(datum);
	return !isnull;
}

/* Has the expression the value of the scan's query? */
static bool
is_same_query(const Evaluation *eval, ExprState *expr)
{
	bool		isnull;
	Datum		datum = ExecEvalExprSwitchContext(expr, eval->scan->ps_ExprContext, &isnull);
	int16		length;
	bool		by_value;
	MemoryContext old;
	bool		same;

	if (isnull || (eval->query->sk_flags & SK_ISNULL))
		return false;
	get_typlenbyval(exprType((Node *) expr->expr), &length, &by_value);
	old = MemoryContextSwitchTo(eval->scan->ps_ExprContext->ecxt_per_tuple_memory);
	same = datum_image_eq(datum, eval->query->sk_argument, by_value, length);
	MemoryContextSwitchTo(old);
	return same;
}

/* The range that x must lie in for the result of the step to lie in this one. */
static QhRange
undo(const Evaluation *eval, const QhStep *step, QhRange range)
{
	double		operand = 0;

	if (step->operand && !evaluate_float(eval, step->operand, &operand))
		return qh_range_nothing;
	if (!isfinite(operand) || (step->kind == QH_STEP_TIMES && operand == 0))
		return qh_range_anything;
	switch (step->kind)
	{
		case QH_STEP_PLUS:
			return qh_range_moved(range, step->sign * operand);
		case QH_STEP_MINUS_FROM:
			return qh_range_moved(qh_range_negated(range), -operand);
		case QH_STEP_TIMES:
			return qh_range_divided(operand < 0 ? qh_range_negated(range) : range, fabs(operand));
	}
	return qh_range_anything;
}

static QhRange
evaluate_comparison(Evaluation *eval, const QhBoundExpr *comparison)
{
	QhRange		range;
	double		value;
	ListCell   *cell;

	if (comparison->query && !is_same_query(eval, comparison->query))
	{
		eval->complete = false;
		return qh_range_anything;
	}
	/* the distance's operator is strict, as is the comparison: with NULL nothing passes */
	if ((eval->query->sk_flags & SK_ISNULL) || !evaluate_float(eval, comparison->value, &value))
		return qh_range_nothing;
	if (isnan(value))
		eval->complete = false;
	range = qh_range_compared(comparison->strategy, value);
	if (comparison->leads)
	{
		range.lower_open = range.upper_open = false;
		if (isnan(value))
			range.nan = true;
	}
	foreach(cell, comparison->steps)
		range = undo(eval, lfirst(cell), range);
	return range;
}

/* The range of distances for which the condition may hold. */
static QhRange
evaluate(Evaluation *eval, const QhBoundExpr *expr)
{
	QhRange		range = expr->kind == QH_BOUND_OR ? qh_range_nothing : qh_range_anything;
	ListCell   *cell;

	if (expr->kind == QH_BOUND_COMPARISON)
		return evaluate_comparison(eval, expr);
	foreach(cell, expr->args)
	{
		QhRange		arg = evaluate(eval, lfirst(cell));

		range = expr->kind == QH_BOUND_OR ? qh_range_or(range, arg) : qh_range_and(range, arg);
	}
	return range;
}

void
qh_plan_bounds(const QhPlan *plan, QhBounds *out)
{
	Evaluation	eval = {.scan = plan->scan, .complete = plan->bounds_complete};
	QhRange		range;

	memset(out, 0, sizeof(*out));
	if (plan->bounds == NULL)
		return;
	eval.query = castNode(IndexScanState, plan->scan)->iss_ScanDesc->orderByData;
	range = evaluate(&eval, plan->bounds);
	*out = (QhBounds)
	{
		.has_lower = range.has_lower, .has_upper = range.has_upper,
			.lower_open = range.lower_open, .upper_open = range.upper_open,
			.never = range.empty && !range.nan, .complete = eval.complete,
			.lower = range.lower, .upper = range.upper
	};
	elog(DEBUG2, "qhnsw plan: distances %s%.17g to %.17g%s%s%s", out->lower_open ? "beyond " : "from ",
		 out->has_lower ? out->lower : -INFINITY, out->has_upper ? out->upper : INFINITY,
		 out->upper_open ? " excluded" : "", out->never ? ", none" : "",
		 out->complete ? ", no other condition" : "");
}
