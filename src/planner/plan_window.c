/*
 * plan_window.c
 *		Conditions on a window function that end the scan below it, as in "WHERE rank <= 30".
 *
 * The planner gives such a condition to the window's node, which stops when the function has
 * passed its limit.  README.md, section "Rows wanted".
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "planner/plan.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/*
 * Read "function of the window (strategy) limit", either way round.  False if the condition is
 * something else.
 */
static bool
read_run_condition(QhConsumer *consumer, OpExpr *condition)
{
	Expr	   *left;
	Expr	   *right;
	int			strategy;

	if (!IsA(condition, OpExpr) || list_length(condition->args) != 2)
		return false;
	left = linitial(condition->args);
	right = lsecond(condition->args);
	strategy = get_op_opfamily_strategy(condition->opno, INTEGER_BTREE_FAM_OID);
	if (strategy != 0 && IsA(right, WindowFunc))
	{
		Expr	   *swap = left;

		left = right;
		right = swap;
		strategy = BTMaxStrategyNumber + 1 - strategy;
	}
	if (!IsA(left, WindowFunc) || contain_subplans((Node *) right) ||
		(strategy != BTLessStrategyNumber && strategy != BTLessEqualStrategyNumber &&
		 strategy != BTEqualStrategyNumber))
		return false;
	consumer->run_func = castNode(WindowFunc, left);
	consumer->run_strategy = strategy;
	consumer->run_limit = ExecInitExpr(right, consumer->node);
	return true;
}

void
qh_plan_read_run_condition(QhConsumer *consumer)
{
	ListCell   *cell;

	if (consumer->via || !IsA(consumer->node, WindowAggState))
		return;
	foreach(cell, castNode(WindowAgg, consumer->node->plan)->runConditionOrig)
	{
		if (read_run_condition(consumer, lfirst(cell)))
			return;
	}
}

/* The value that the function is compared with, of any integer type. */
static double
limit_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return (double) DatumGetInt64(value);
	}
}

QhWanted
qh_plan_run_limit(const QhConsumer *consumer)
{
	const WindowAggState *window = castNode(WindowAggState, consumer->node);
	Oid			function;
	Datum		value;
	bool		isnull;
	double		count;

	if (consumer->run_limit == NULL || window->use_pass_through)
		return (QhWanted) {0};
	function = consumer->run_func->winfnoid;
	value = ExecEvalExprSwitchContext(consumer->run_limit, window->ss.ps.ps_ExprContext, &isnull);
	if (isnull)
		return (QhWanted) {.rows = 1, .exact = true};
	count = limit_value(value, exprType((Node *) consumer->run_limit->expr));
	if (consumer->run_strategy == BTLessStrategyNumber)
		count--;
	return (QhWanted)
	{
		.rows = Max(count, 1),
			.ties = function != F_ROW_NUMBER,
			.exact = function == F_ROW_NUMBER || function == F_RANK_
	};
}
