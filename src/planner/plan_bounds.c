/*
 * plan_bounds.c
 *		Conditions on the distance by which a scan is ordered: what they say of rows that can pass.
 *
 * "WHERE e <=> q < .5 ORDER BY e <=> q" is a filter to the executor, but to the scan it is where it may end, and
 * "> .5" where it may begin.  Conditions are read once from the node's filter, as a tree of AND, OR and comparisons;
 * what they compare with is evaluated for each rescan.  Bounds need not be tight: the executor tests the filter again.
 * See README.md, section "Bounds of the distance".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "planner/plan.h"
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

/* Errors of a computation in double precision, doubled more than once to be on the safe side. */
#define ROUNDING		(8 * DBL_EPSILON)

/* What is computed from the distance before it is compared, as in "1 - (e <=> q) > .8". */
typedef enum QhStepKind
{
	QH_STEP_PLUS,				/* x + operand */
	QH_STEP_MINUS_FROM,			/* operand - x */
	QH_STEP_TIMES				/* x * operand */
} QhStepKind;

typedef struct QhStep
{
	QhStepKind	kind;
	double		sign;			/* of the operand */
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
	int			strategy;		/* of a comparison: distance (strategy) value */
	ExprState  *value;
	bool		leads;			/* rows are compared, by this first: the bound itself passes if what follows does */
	List	   *steps;			/* the last one that is computed first */
	ExprState  *query;			/* what the distance is from, to be compared with the scan's; NULL = it is the same expression */
};

/* Distances that pass.  Within PostgreSQL's order, in which NaN comes last. */
typedef struct Range
{
	bool		has_lower;
	bool		has_upper;
	bool		lower_open;
	bool		upper_open;
	bool		empty;			/* of any but NaN */
	bool		nan;			/* NaN may pass */
	double		lower;
	double		upper;
} Range;

static const Range anything = {.nan = true};
static const Range nothing = {.empty = true};

/* ---- reading ---- */

typedef struct ReadContext
{
	PlanState  *scan;
	OpExpr	   *distance;		/* that orders the scan: column, query */
	Oid			opfamily;		/* of comparisons of floats */
} ReadContext;

/* Has the expression one value for all rows of the scan, which can be computed before any is at hand? */
static bool
is_steady(Expr *expr)
{
	return !contain_var_clause((Node *) expr) && !contain_subplans((Node *) expr) && !contain_volatile_functions((Node *) expr);
}

/* Are these the column and something that may come to the scan's query? */
static bool
is_from_query(const ReadContext *read, Expr *column, Expr *other, ExprState **query)
{
	Expr	   *own = lsecond(read->distance->args);

	if (!equal(column, linitial(read->distance->args)))
		return false;
	*query = NULL;
	if (equal(other, own))
		return true;
	if (!is_steady(other) || exprType((Node *) other) != exprType((Node *) own))
		return false;
	*query = ExecInitExpr(other, read->scan);
	return true;
}

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

/* One step of the computation: what is computed further is left in inner. */
static bool
read_step(const ReadContext *read, OpExpr *op, QhStep *step, Expr **inner)
{
	Expr	   *left = linitial(op->args);
	Expr	   *right = llast(op->args);
	bool		left_steady = is_steady(left);
	Expr	   *operand = left_steady ? left : right;

	*inner = left_steady ? right : left;
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
			if (left_steady)
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
	if (!is_steady(operand))
		return false;
	step->operand = ExecInitExpr(operand, read->scan);
	return true;
}

/* The distance, or what is computed from it. */
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

static QhBoundExpr *
read_comparison(const ReadContext *read, Oid operator, Expr *left, Expr *right)
{
	QhBoundExpr *comparison = palloc0(sizeof(QhBoundExpr));

	comparison->kind = QH_BOUND_COMPARISON;
	comparison->strategy = get_op_opfamily_strategy(operator, read->opfamily);
	if (comparison->strategy == 0)
		return NULL;
	if (is_steady(left))
	{
		Expr	   *swap = left;

		left = right;
		right = swap;
		comparison->strategy = BTMaxStrategyNumber + 1 - comparison->strategy;
	}
	if (!is_steady(right) || !read_distance(read, left, comparison))
		return NULL;
	comparison->value = ExecInitExpr(right, read->scan);
	return comparison;
}

static QhBoundExpr *read_condition(const ReadContext *read, Node *node, bool *complete);

/* An argument that says nothing of the distance is no argument of AND, and leaves nothing of OR. */
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

static QhBoundExpr *
read_row_comparison(const ReadContext *read, RowCompareExpr *row)
{
	QhBoundExpr *first = read_comparison(read, linitial_oid(row->opnos), linitial(row->largs), linitial(row->rargs));

	if (first)
		first->leads = true;
	return first;
}

/* NULL if the condition says nothing of the distance; complete is cleared if it says more than is read. */
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
		read_here = read_comparison(read, ((OpExpr *) node)->opno, linitial(((OpExpr *) node)->args), lsecond(((OpExpr *) node)->args));
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
	plan->only_bounds = true;
	plan->bounds = read_condition(&read, (Node *) scan->scan.plan.qual, &plan->only_bounds);
	plan->only_bounds = plan->only_bounds && plan->bounds;
}

/* ---- evaluating ---- */

typedef struct Evaluation
{
	PlanState  *scan;
	const ScanKeyData *query;
	bool		complete;
} Evaluation;

/* False if it is NULL. */
static bool
evaluate_float(const Evaluation *eval, ExprState *expr, double *value)
{
	bool		isnull;
	Datum		datum = ExecEvalExprSwitchContext(expr, eval->scan->ps_ExprContext, &isnull);

	if (!isnull)
		*value = exprType((Node *) expr->expr) == FLOAT4OID ? (double) DatumGetFloat4(datum) : DatumGetFloat8(datum);
	return !isnull;
}

/* Is the query that the expression comes to the scan's? */
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

static void
set_lower(Range *range, double lower, bool open)
{
	range->has_lower = true;
	range->lower = lower;
	range->lower_open = open;
}

static void
set_upper(Range *range, double upper, bool open)
{
	range->has_upper = true;
	range->upper = upper;
	range->upper_open = open;
}

static void
note_empty(Range *range)
{
	if (range->has_lower && range->has_upper &&
		(range->lower > range->upper || (range->lower == range->upper && (range->lower_open || range->upper_open))))
		range->empty = true;
}

/* What passes "x (strategy) value".  NaN comes behind everything and equals itself. */
static Range
compared_with(int strategy, double value)
{
	Range		range = {0};
	bool		is_nan = isnan(value);
	bool		open = strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber;

	if (strategy >= BTEqualStrategyNumber)
	{
		range.nan = is_nan ? !open : strategy != BTEqualStrategyNumber;
		if (is_nan)
			range.empty = true;
		else
			set_lower(&range, value, open);
	}
	if (strategy <= BTEqualStrategyNumber && !is_nan)
		set_upper(&range, value, open);
	if (strategy == BTLessEqualStrategyNumber && is_nan)
		range.nan = true;
	return range;
}

static Range
both(Range a, Range b)
{
	a.empty |= b.empty;
	a.nan &= b.nan;
	if (b.has_lower && (!a.has_lower || b.lower > a.lower || (b.lower == a.lower && b.lower_open)))
		set_lower(&a, b.lower, b.lower_open);
	if (b.has_upper && (!a.has_upper || b.upper < a.upper || (b.upper == a.upper && b.upper_open)))
		set_upper(&a, b.upper, b.upper_open);
	note_empty(&a);
	return a;
}

static Range
either(Range a, Range b)
{
	bool		nan = a.nan || b.nan;

	if (a.empty || b.empty)
	{
		Range		other = a.empty ? b : a;

		other.nan = nan;
		return other;
	}
	a.nan = nan;
	if (!b.has_lower)
		a.has_lower = false;
	else if (a.has_lower && (b.lower < a.lower || (b.lower == a.lower && !b.lower_open)))
		set_lower(&a, b.lower, b.lower_open);
	if (!b.has_upper)
		a.has_upper = false;
	else if (a.has_upper && (b.upper > a.upper || (b.upper == a.upper && !b.upper_open)))
		set_upper(&a, b.upper, b.upper_open);
	return a;
}

/* -x */
static Range
negated(Range range)
{
	Range		out = range;

	out.has_lower = out.has_upper = false;
	if (range.has_upper)
		set_lower(&out, -range.upper, range.upper_open);
	if (range.has_lower)
		set_upper(&out, -range.lower, range.lower_open);
	return out;
}

/* Bounds as far as they are sure though they were computed with an error; what is not finite is none. */
static Range
widened(Range range, double lower_error, double upper_error)
{
	if (range.has_lower)
		set_lower(&range, range.lower - lower_error, false);
	if (range.has_upper)
		set_upper(&range, range.upper + upper_error, false);
	range.has_lower &= isfinite(range.lower) != 0;
	range.has_upper &= isfinite(range.upper) != 0;
	return range;
}

/* What passes x + operand in the range. */
static Range
moved(Range range, double operand)
{
	double		lower = range.lower;
	double		upper = range.upper;

	range.lower -= operand;
	range.upper -= operand;
	return widened(range, ROUNDING * (fabs(lower) + fabs(operand)) + DBL_MIN, ROUNDING * (fabs(upper) + fabs(operand)) + DBL_MIN);
}

/* What passes x * operand in the range; a positive one. */
static Range
divided(Range range, double operand)
{
	double		least = DBL_MIN + DBL_MIN / operand;

	range.lower /= operand;
	range.upper /= operand;
	return widened(range, ROUNDING * fabs(range.lower) + least, ROUNDING * fabs(range.upper) + least);
}

/* The range of what a step was computed from. */
static Range
undo(const Evaluation *eval, const QhStep *step, Range range)
{
	double		operand = 0;

	if (step->operand && !evaluate_float(eval, step->operand, &operand))
		return nothing;
	if (!isfinite(operand) || (step->kind == QH_STEP_TIMES && operand == 0))
		return anything;
	switch (step->kind)
	{
		case QH_STEP_PLUS:
			return moved(range, step->sign * operand);
		case QH_STEP_MINUS_FROM:
			return moved(negated(range), -operand);
		case QH_STEP_TIMES:
			return divided(operand < 0 ? negated(range) : range, fabs(operand));
	}
	return anything;
}

static Range
evaluate_comparison(Evaluation *eval, const QhBoundExpr *comparison)
{
	Range		range;
	double		value;
	ListCell   *cell;

	if (comparison->query && !is_same_query(eval, comparison->query))
	{
		eval->complete = false;
		return anything;
	}
	/* operators of a distance are strict, as are comparisons */
	if ((eval->query->sk_flags & SK_ISNULL) || !evaluate_float(eval, comparison->value, &value))
		return nothing;
	if (isnan(value))
		eval->complete = false;
	range = compared_with(comparison->strategy, value);
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

static Range
evaluate(Evaluation *eval, const QhBoundExpr *expr)
{
	Range		range = expr->kind == QH_BOUND_OR ? nothing : anything;
	ListCell   *cell;

	if (expr->kind == QH_BOUND_COMPARISON)
		return evaluate_comparison(eval, expr);
	foreach(cell, expr->args)
	{
		Range		arg = evaluate(eval, lfirst(cell));

		range = expr->kind == QH_BOUND_OR ? either(range, arg) : both(range, arg);
	}
	return range;
}

void
qh_plan_bounds(const QhPlan *plan, QhBounds *out)
{
	Evaluation	eval = {.scan = plan->scan, .complete = plan->only_bounds};
	Range		range;

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
		 out->upper_open ? " excluded" : "", out->never ? ", none" : "", out->complete ? ", no other condition" : "");
}
