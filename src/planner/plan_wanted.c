/*
 * plan_wanted.c
 *		How many rows the plan takes from a scan.
 *
 * From the root down to the scan each node says how many rows of its input it takes, to give
 * those that are taken from it.  That is known where a node hands on what it gets.  Where a node
 * drops or multiplies rows it is a guess by the planner's estimates.  README.md, section "Rows
 * wanted".
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
 * A guess is never less than what is taken above, nor more than so many times that.  Fewer would
 * do for a join that multiplies rows, but some of its outer rows may have no partner.  More would
 * be too many for a condition without statistics, which the planner counts as .5 %.  Chosen by
 * hand; doc/decisions/0027.
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

/* What a node takes that gives more or fewer rows than it gets. */
static QhWanted
scaled(const QhConsumer *consumer, QhWanted above)
{
	return guessed(above, consumer->from->plan->plan_rows / consumer->node->plan->plan_rows);
}

/* What a node takes that hands on what it gets, but for what its filter drops. */
static QhWanted
handed_on(const QhConsumer *consumer, QhWanted above)
{
	return consumer->node->qual ? scaled(consumer, above) : above;
}

/* What the expression takes whose subplan this is. */
static QhWanted
by_subplan(const QhConsumer *consumer)
{
	const SubPlan *subplan = consumer->via->subplan;

	switch (subplan->subLinkType)
	{
		case EXISTS_SUBLINK:
			return some_rows(1);
		case EXPR_SUBLINK:
		case ROWCOMPARE_SUBLINK:
		case MULTIEXPR_SUBLINK:
			return some_rows(2);	/* a second row is an error */
		case ARRAY_SUBLINK:
			return every_row();
		default:
			return subplan->useHashTable ? every_row() : (QhWanted) {0};
	}
}

/*
 * Count and offset of a LIMIT that was not run yet, as that of another reader of a CTE: known if
 * they are constants.  A count of -1 is none.
 */
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

	/* a guess of what is taken from the LIMIT does not make it less */
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

/* The sort reads all rows of equal distance before it gives the first of them. */
static QhWanted
by_incremental_sort(const IncrementalSortState *sort, QhWanted above)
{
	if (sort->bounded)
		above = some_rows((double) sort->bound);
	above.ties = above.rows > 0;
	return above;
}

static QhWanted
by_join(const QhConsumer *consumer, QhWanted above)
{
	const JoinState *join = (const JoinState *) consumer->node;
	double		scale = consumer->from->plan->plan_rows / join->ps.plan->plan_rows;

	if (consumer->from == outerPlanState(join))
	{
		if (join->jointype == JOIN_LEFT && join->ps.qual == NULL)
			return join->single_match ? above : guessed(above, 1);
		return guessed(above, scale);
	}
	if (!IsA(join, NestLoopState))
		return (QhWanted) {0};
	if (join->single_match || join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI)
		return guessed(some_rows(1), 1);
	/* the inner side is read once for each outer row */
	return guessed(above, scale * outerPlanState(join)->plan->plan_rows);
}

/* Window functions that need no row behind the current one. */
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

/* Window functions that need the number of rows of the partition. */
static bool
counts_its_partition(Oid function)
{
	return function == F_NTILE || function == F_PERCENT_RANK_ || function == F_CUME_DIST_;
}

/* Does the frame extend to the end of the partition? */
static bool
has_partition_for_frame(const WindowAggState *window)
{
	const WindowAgg *plan = castNode(WindowAgg, window->ss.ps.plan);

	return (plan->frameOptions & FRAMEOPTION_END_UNBOUNDED_FOLLOWING) != 0 ||
		((plan->frameOptions & FRAMEOPTION_ROWS) == 0 && plan->ordNumCols == 0);
}

static QhWanted
by_window(const QhConsumer *consumer, QhWanted above)
{
	const WindowAggState *window = castNode(WindowAggState, consumer->node);
	QhWanted	wanted = handed_on(consumer, above);
	QhWanted	run = qh_plan_run_limit(consumer);
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
		/* up to the end of the frame, which is most likely the last row of the same distance */
		wanted.exact = false;
		wanted.ties = wanted.rows > 0;
	}
	if (castNode(WindowAgg, window->ss.ps.plan)->partNumCols > 0)
		wanted.exact = false;
	return wanted;
}

/*
 * What a node takes from the one below it.  An extension's node, and any other, takes nobody
 * knows how many.
 */
static QhWanted
by_node(const QhConsumer *consumer, QhWanted above)
{
	switch (nodeTag(consumer->node))
	{
		case T_LimitState:
			return by_limit(castNode(LimitState, consumer->node), above);
		case T_ResultState:
		case T_LockRowsState:
		case T_SubqueryScanState:
		case T_CteScanState:
		case T_AppendState:
		case T_MergeAppendState:
		case T_MaterialState:
		case T_MemoizeState:
			return handed_on(consumer, above);
		case T_IncrementalSortState:
			return by_incremental_sort(castNode(IncrementalSortState, consumer->node), above);
		case T_WindowAggState:
			return by_window(consumer, above);
		case T_NestLoopState:
		case T_HashJoinState:
		case T_MergeJoinState:
			return by_join(consumer, above);
		case T_ProjectSetState:
		case T_UniqueState:
		case T_GroupState:
		case T_GatherState:
		case T_GatherMergeState:
			return scaled(consumer, above);
		case T_AggState:
			if (castNode(AggState, consumer->node)->aggstrategy == AGG_SORTED)
				return scaled(consumer, above);
			return every_row();
		case T_SortState:
		case T_HashState:
		case T_ModifyTableState:
			return every_row();
		default:
			return (QhWanted) {0};
	}
}

/* Of two that read the same rows the one that takes more. */
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
wanted_by(const QhConsumer *consumers, QhWanted root)
{
	QhWanted	most = {0};

	check_stack_depth();
	if (consumers == NULL)
		return root;
	for (const QhConsumer *consumer = consumers; consumer; consumer = consumer->other)
	{
		QhWanted	wanted = {0};

		if (consumer->via)
			wanted = by_subplan(consumer);
		else if (consumer->node)
			wanted = by_node(consumer, wanted_by(consumer->above, root));
		most = consumer == consumers ? wanted : more_of(most, wanted);
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
		wanted = wanted_by(plan->consumers, wanted);
	else if (left == 0)
		wanted = wanted_by(plan->consumers, every_row());
	else
	{
		wanted = wanted_by(plan->consumers, wanted);
		if (wanted.rows == 0 && !wanted.all)
			wanted.fetch = wanted_by(plan->consumers, some_rows(left)).rows;
	}
	elog(DEBUG2, "qhnsw plan: %s rows %.0f%s%s, fetch %.0f", wanted.exact ? "exactly" : "about",
		 wanted.rows, wanted.ties ? " and ties" : "", wanted.all ? " (all)" : "", wanted.fetch);
	return wanted;
}

/* Is this a known node that reads the rows as its input, and nobody else does? */
static bool
is_only_input(const QhConsumer *consumer)
{
	return consumer != NULL && consumer->node != NULL && consumer->other == NULL && consumer->via == NULL;
}

/* Does the node hand on each row as it gets it? */
static bool
hands_on_rows(const PlanState *node)
{
	return IsA(node, ResultState) || IsA(node, LockRowsState) || IsA(node, SubqueryScanState);
}

double
qh_plan_offset(const QhPlan *plan, bool *merged)
{
	const QhConsumer *consumer = plan->consumers;

	for (; is_only_input(consumer); consumer = consumer->above)
	{
		const LimitState *limit = (const LimitState *) consumer->node;
		double		count;
		double		offset = 0;

		if (IsA(consumer->node, LimitState))
		{
			if (limit->lstate != LIMIT_INITIAL)
				return (double) limit->offset;
			return constant_limit(castNode(Limit, limit->ps.plan), &count, &offset) ? offset : 0;
		}
		if (consumer->node->qual != NULL)
			return 0;
		if (IsA(consumer->node, AppendState) || IsA(consumer->node, MergeAppendState))
			*merged = true;
		else if (!hands_on_rows(consumer->node))
			return 0;
	}
	return 0;
}
