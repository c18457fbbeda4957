/*
 * plan.c
 *		What the plan knows of a scan and the access method is not told: its LIMIT and its filter.
 *
 * The executor's tree is searched for the node that runs the scan.  A Limit node that takes its
 * rows, through nodes that drop none, knows how many it takes; the node's own qualification says
 * which rows it will drop.  Both only help to look at the right number of candidates: a scan goes
 * on for as long as rows are asked for, and the executor filters what it is given once more.
 * See README.md, section "Rows wanted".
 */
#include "postgres.h"

#include "am/scan.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

/* The query that the executor is running: the innermost one. */
static QueryDesc *running = NULL;

static ExecutorRun_hook_type next_run_hook = NULL;

static void
note_running(QH_EXECUTOR_RUN_PARAMETERS)
{
	QueryDesc  *outer = running;

	running = query;
	PG_TRY();
	{
		if (next_run_hook)
			next_run_hook(QH_EXECUTOR_RUN_ARGUMENTS);
		else
			standard_ExecutorRun(QH_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
}

void
qh_plan_init(void)
{
	next_run_hook = ExecutorRun_hook;
	ExecutorRun_hook = note_running;
}

static bool runs_below(PlanState *node, const PlanState *scan);

static bool
runs_in_any(PlanState **nodes, int nnodes, const PlanState *scan)
{
	bool		found = false;

	for (int i = 0; i < nnodes && !found; i++)
		found = runs_below(nodes[i], scan);
	return found;
}

/* Does the node return all rows of the scan, and no others but those of its like? */
static bool
runs_below(PlanState *node, const PlanState *scan)
{
	if (node == NULL || node == scan)
		return node == scan;
	if (node->qual != NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_ResultState:
		case T_LockRowsState:
			return runs_below(outerPlanState(node), scan);
		case T_SubqueryScanState:
			return runs_below(castNode(SubqueryScanState, node)->subplan, scan);
		case T_AppendState:
			return runs_in_any(castNode(AppendState, node)->appendplans, castNode(AppendState, node)->as_nplans, scan);
		case T_MergeAppendState:
			return runs_in_any(castNode(MergeAppendState, node)->mergeplans, castNode(MergeAppendState, node)->ms_nplans, scan);
		default:
			return false;
	}
}

typedef struct FindContext
{
	IndexScanDesc desc;
	PlanState  *scan;
	LimitState *limit;
} FindContext;

static bool
find_scan(PlanState *node, void *context)
{
	FindContext *find = (FindContext *) context;

	if (IsA(node, IndexScanState) && castNode(IndexScanState, node)->iss_ScanDesc == find->desc)
	{
		find->scan = node;
		return true;
	}
	return planstate_tree_walker(node, find_scan, context);
}

static bool
find_limit(PlanState *node, void *context)
{
	FindContext *find = (FindContext *) context;

	if (IsA(node, LimitState) && runs_below(outerPlanState(node), find->scan))
	{
		find->limit = castNode(LimitState, node);
		return true;
	}
	return planstate_tree_walker(node, find_limit, context);
}

void
qh_plan_find(QhPlan *plan, IndexScanDesc desc)
{
	FindContext find = {desc, NULL, NULL};

	if (plan->searched)
		return;
	plan->searched = true;
	if (running == NULL || running->planstate == NULL || !find_scan(running->planstate, &find))
		return;
	plan->scan = find.scan;
	(void) find_limit(running->planstate, &find);
	plan->limit = find.limit;
	plan->filters = find.scan->qual != NULL &&
		!contain_volatile_functions((Node *) find.scan->plan->qual);
}

double
qh_plan_limit(const QhPlan *plan)
{
	if (plan->limit == NULL || plan->limit->noCount)
		return 0;
	return (double) plan->limit->count + (double) plan->limit->offset;
}

void
qh_plan_begin_filter(QhPlan *plan)
{
	plan->econtext = CreateExprContext(plan->scan->state);
}

void
qh_plan_end_filter(QhPlan *plan)
{
	if (plan->econtext)
		FreeExprContext(plan->econtext, true);
	plan->econtext = NULL;
}

bool
qh_plan_passes(QhPlan *plan, TupleTableSlot *slot)
{
	bool		passes;

	plan->econtext->ecxt_scantuple = slot;
	passes = ExecQual(plan->scan->qual, plan->econtext);
	if (!passes)
		InstrCountFiltered1(plan->scan, 1);
	ResetExprContext(plan->econtext);
	return passes;
}
