/*
 * plan_wanted.c
 *		How many rows the plan takes from a scan.
 *
 * From the root down to the scan each node says how many rows it takes to give those that are taken from it: known where
 * it hands on what it gets, guessed by the planner's estimates where it drops or multiplies rows.
 * See README.md, section "Rows wanted".
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "planner/plan.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/*
 * A guess is never less than what is taken above, nor more than so many times that.  Of a join that multiplies rows fewer would do, but
 * some of its outer rows may have no partner.  A condition without statistics counts as .5 %, so what is guessed to be rare need not be.
 */
#define MOST_SCALED		10

static QhWanted
every_row(void)
{
	return (QhWanted) {.all = true, .exact = true};
}

static QhWanted
some_rows(double rows)
{
	return (QhWanted) {.rows = rows, .exact = true};
}

static QhWanted
guessed(QhWanted wanted, double scale)
{
	wanted.exact = false;
	wanted.rows = ceil(wanted.rows * Min(Max(scale, 1), MOST_SCALED));
	return wanted;
}

/* What a node takes that gives another number of rows than it gets. */
static QhWanted
scaled(const QhTaker *taker, QhWanted above)
{
	return guessed(above, taker->from->plan->plan_rows / taker->node->plan->plan_rows);
}

/* What a node takes that hands on all it gets but for what its filter drops. */
static QhWanted
handed_on(const QhTaker *taker, QhWanted above)
{
	return taker->node->qual ? scaled(taker, above) : above;
}

/* What the expression with the subplan takes from it. */
static QhWanted
by_subplan(const QhTaker *taker)
{
	const SubPlan *subplan = taker->via->subplan;

	switch (subplan->subLinkType)
	{
		case EXISTS_SUBLINK:
			return some_rows(1);
		case EXPR_SUBLINK:
		case ROWCOMPARE_SUBLINK:
		case MULTIEXPR_SUBLINK:
			return some_rows(2);	/* the second is an error */
		case ARRAY_SUBLINK:
			return every_row();
		default:
			return subplan->useHashTable ? every_row() : (QhWanted) {0};
	}
}

/* Count and offset of another reader of a CTE, which was not yet run: known if they are constants.  A count of -1 is none. */
static bool
constant_limit(const Limit *limit, double *count, double *offset)
{
	const Node *exprs[] = {limit->limitCount, limit->limitOffset};
	double		values[] = {-1, 0};

	for (int i = 0; i < 2; i++)
	{
		if (exprs[i] == NULL)
			continue;
		if (!IsA(exprs[i], Const))
			return false;
		if (!((const Const *) exprs[i])->constisnull)
			values[i] = (double) DatumGetInt64(((const Const *) exprs[i])->constvalue);
	}
	*count = values[0];
	*offset = values[1];
	return true;
}

static QhWanted
by_limit(const LimitState *limit, QhWanted above)
{
	double		count = limit->noCount ? -1 : (double) limit->count;
	double		offset = (double) limit->offset;

	if (limit->lstate == LIMIT_INITIAL &&
		!constant_limit(castNode(Limit, limit->ps.plan), &count, &offset))
		return (QhWanted) {0};

	/* what is only guessed to be taken from the LIMIT does not make it less */
	if (count < 0 || (above.rows > 0 && above.exact && above.rows < count))
	{
		if (above.rows > 0)
			above.rows += offset;
		return above;
	}
	above = some_rows(count + offset);
	above.ties = above.with_ties = limit->limitOption == LIMIT_OPTION_WITH_TIES;
	return above;
}

/* Rows of equal distance are put in order among each other, once all are there. */
static QhWanted
by_incremental_sort(const IncrementalSortState *sort, QhWanted above)
{
	if (sort->bounded)
		above = some_rows((double) sort->bound);
	above.ties = above.rows > 0;
	return above;
}

static QhWanted
by_join(const QhTaker *taker, QhWanted above)
{
	const JoinState *join = (const JoinState *) taker->node;
	double		scale = taker->from->plan->plan_rows / join->ps.plan->plan_rows;

	if (taker->from == outerPlanState(join))
	{
		if (join->jointype == JOIN_LEFT && join->ps.qual == NULL)
			return join->single_match ? above : guessed(above, 1);
		return guessed(above, scale);
	}
	if (!IsA(join, NestLoopState))
		return (QhWanted) {0};
	if (join->single_match || join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI)
		return guessed(some_rows(1), 1);
	/* as often as there are outer rows */
	return guessed(above, scale * outerPlanState(join)->plan->plan_rows);
}

/* Functions that look at no row behind their own. */
static bool
looks_back_only(Oid function)
{
	switch (function)
	{
		case F_ROW_NUMBER:
		case F_RANK_:
		case F_DENSE_RANK_:
		case F_LAG_ANYELEMENT:
		case F_LAG_ANYELEMENT_INT4:
		case F_LAG_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
			return true;
		default:
			return false;
	}
}

static bool
counts_its_partition(Oid function)
{
	return function == F_NTILE || function == F_PERCENT_RANK_ || function == F_CUME_DIST_;
}

static bool
has_partition_for_frame(const WindowAggState *window)
{
	const WindowAgg *plan = castNode(WindowAgg, window->ss.ps.plan);

	return (plan->frameOptions & FRAMEOPTION_END_UNBOUNDED_FOLLOWING) != 0 ||
		((plan->frameOptions & FRAMEOPTION_ROWS) == 0 && plan->ordNumCols == 0);
}

/* Rows after which the condition on a function of the window no longer holds, and nothing more is read; 0 = not known. */
static QhWanted
by_run_condition(const QhTaker *taker)
{
	const WindowAggState *window = castNode(WindowAggState, taker->node);
	Oid			function;
	QhWanted	wanted;
	Datum		value;
	bool		isnull;
	double		count;

	if (taker->run_limit == NULL || window->use_pass_through)
		return (QhWanted) {0};
	function = taker->run_func->winfnoid;
	value = ExecEvalExprSwitchContext(taker->run_limit, window->ss.ps.ps_ExprContext, &isnull);
	if (isnull)
		return some_rows(1);
	switch (exprType((Node *) taker->run_limit->expr))
	{
		case INT2OID:
			count = DatumGetInt16(value);
			break;
		case INT4OID:
			count = DatumGetInt32(value);
			break;
		default:
			count = (double) DatumGetInt64(value);
			break;
	}
	if (taker->run_strategy == BTLessStrategyNumber)
		count--;
	wanted = some_rows(Max(count, 1));
	wanted.ties = function != F_ROW_NUMBER;
	wanted.exact = function == F_ROW_NUMBER || function == F_RANK_;
	return wanted;
}

static QhWanted
by_window(const QhTaker *taker, QhWanted above)
{
	const WindowAggState *window = castNode(WindowAggState, taker->node);
	QhWanted	wanted = handed_on(taker, above);
	QhWanted	run = by_run_condition(taker);
	ListCell   *cell;

	if (run.rows > 0 && (wanted.rows == 0 || run.rows < wanted.rows))
		wanted = run;
	foreach(cell, window->funcs)
	{
		Oid			function = lfirst_node(WindowFuncExprState, cell)->wfunc->winfnoid;

		if (looks_back_only(function))
			continue;
		if (counts_its_partition(function) || has_partition_for_frame(window))
			return every_row();
		/* up to the end of the frame, which is most likely the last of the row's peers */
		wanted.exact = false;
		wanted.ties = wanted.rows > 0;
	}
	if (castNode(WindowAgg, window->ss.ps.plan)->partNumCols > 0)
		wanted.exact = false;
	return wanted;
}

/* What a node takes from the one below it. */
static QhWanted
by_node(const QhTaker *taker, QhWanted above)
{
	switch (nodeTag(taker->node))
	{
		case T_LimitState:
			return by_limit(castNode(LimitState, taker->node), above);
		case T_ResultState:
		case T_LockRowsState:
		case T_SubqueryScanState:
		case T_CteScanState:
		case T_AppendState:
		case T_MergeAppendState:
		case T_MaterialState:
		case T_MemoizeState:
			return handed_on(taker, above);
		case T_IncrementalSortState:
			return by_incremental_sort(castNode(IncrementalSortState, taker->node), above);
		case T_WindowAggState:
			return by_window(taker, above);
		case T_NestLoopState:
		case T_HashJoinState:
		case T_MergeJoinState:
			return by_join(taker, above);
		case T_ProjectSetState:
		case T_UniqueState:
		case T_GroupState:
		case T_GatherState:
		case T_GatherMergeState:
			return scaled(taker, above);
		case T_AggState:
			if (castNode(AggState, taker->node)->aggstrategy == AGG_SORTED)
				return scaled(taker, above);
			return every_row();
		case T_SortState:
		case T_HashState:
		case T_ModifyTableState:
			return every_row();
		default:
			return (QhWanted) {0};
	}
}

/* The more of two who take the same rows. */
static QhWanted
more_of(QhWanted a, QhWanted b)
{
	if (a.all || b.all)
		return a.all ? a : b;
	if (a.rows == 0 || b.rows == 0)
		return (QhWanted) {0};
	return a.rows > b.rows || (a.rows == b.rows && a.ties) ? a : b;
}

static QhWanted
wanted_by(const QhTaker *takers, QhWanted root)
{
	QhWanted	most = {0};

	check_stack_depth();
	if (takers == NULL)
		return root;
	for (const QhTaker *taker = takers; taker; taker = taker->other)
	{
		QhWanted	wanted = {0};

		if (taker->via)
			wanted = by_subplan(taker);
		else if (taker->node)
			wanted = by_node(taker, wanted_by(taker->above, root));
		most = taker == takers ? wanted : more_of(most, wanted);
	}
	return most;
}

QhWanted
qh_plan_wanted(const QhPlan *plan)
{
	QhWanted	wanted = {0};
	double		left;

	if (plan->scan == NULL)
		return wanted;
	if (!qh_plan_rows_left(plan, &left))
		wanted = wanted_by(plan->takers, wanted);
	else if (left == 0)
		wanted = wanted_by(plan->takers, every_row());
	else
	{
		wanted = wanted_by(plan->takers, wanted);
		if (wanted.rows == 0 && !wanted.all)
			wanted.fetch = wanted_by(plan->takers, some_rows(left)).rows;
	}
	elog(DEBUG2, "qhnsw plan: %s rows %.0f%s%s, fetch %.0f", wanted.exact ? "exactly" : "about",
		 wanted.rows, wanted.ties ? " and ties" : "", wanted.all ? " (all)" : "", wanted.fetch);
	return wanted;
}

double
qh_plan_offset(const QhPlan *plan, bool *merged)
{
	const QhTaker *taker = plan->takers;

	for (; taker != NULL && taker->node != NULL && taker->other == NULL && taker->via == NULL; taker = taker->above)
	{
		const LimitState *limit = (const LimitState *) taker->node;
		double		count;
		double		offset = 0;

		if (IsA(taker->node, LimitState))
		{
			if (limit->lstate != LIMIT_INITIAL)
				return (double) limit->offset;
			return constant_limit(castNode(Limit, limit->ps.plan), &count, &offset) ? offset : 0;
		}
		if (taker->node->qual != NULL)
			return 0;
		if (IsA(taker->node, AppendState) || IsA(taker->node, MergeAppendState))
			*merged = true;
		else if (!(IsA(taker->node, ResultState) || IsA(taker->node, LockRowsState) || IsA(taker->node, SubqueryScanState)))
			return 0;
	}
	return 0;
}

static bool
read_run_condition(QhTaker *taker, OpExpr *condition)
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
		(strategy != BTLessStrategyNumber && strategy != BTLessEqualStrategyNumber && strategy != BTEqualStrategyNumber))
		return false;
	taker->run_func = castNode(WindowFunc, left);
	taker->run_strategy = strategy;
	taker->run_limit = ExecInitExpr(right, taker->node);
	return true;
}

void
qh_plan_read_run_condition(QhTaker *taker)
{
	ListCell   *cell;

	if (taker->via || !IsA(taker->node, WindowAggState))
		return;
	foreach(cell, castNode(WindowAgg, taker->node->plan)->runConditionOrig)
	{
		if (read_run_condition(taker, lfirst(cell)))
			return;
	}
}
