/*
 * plan.c
 *		Find a scan in the plan that the executor is running, and who takes its rows.
 *
 * An access method is told neither LIMIT nor WHERE.  A hook of ExecutorRun notes which query is running and how
 * many rows were asked for; the scan is found there by its descriptor.  What follows from where it stands is told
 * by plan_wanted.c, plan_filter.c and plan_bounds.c.  See README.md, section "Rows wanted".
 */
#include "postgres.h"

#include "access/relscan.h"
#include "planner/plan.h"
#include "planner/planner.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

/* More takers than that are not looked for: CTEs that read each other multiply. */
#define MOST_TAKERS		256

/* The query that the executor is running: the innermost one, and the rows this call of it is to give at most. */
static QueryDesc *running = NULL;
static uint64 running_count = 0;

static ExecutorRun_hook_type next_run_hook = NULL;

static void
note_running(QH_EXECUTOR_RUN_PARAMETERS)
{
	QueryDesc  *outer = running;
	uint64		outer_count = running_count;

	running = query;
	running_count = count;
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
		running_count = outer_count;
	}
	PG_END_TRY();
}

void
qh_plan_init(void)
{
	next_run_hook = ExecutorRun_hook;
	ExecutorRun_hook = note_running;
}

typedef struct FindContext
{
	IndexScanDesc desc;			/* of the scan that is searched for, or */
	PlanState  *target;			/* the node itself */
	List	   *path;			/* once it is found: nodes above it, the root last */
} FindContext;

static bool
find_path(PlanState *node, void *context)
{
	FindContext *find = (FindContext *) context;

	if (find->desc && IsA(node, IndexScanState) && castNode(IndexScanState, node)->iss_ScanDesc == find->desc)
		find->target = node;
	if (node == find->target)
		return true;
	if (!planstate_tree_walker(node, find_path, context))
		return false;
	find->path = lappend(find->path, node);
	return true;
}

typedef struct ReaderContext
{
	PlanState  *cte;
	List	   *readers;
} ReaderContext;

static bool
find_readers(PlanState *node, void *context)
{
	ReaderContext *find = (ReaderContext *) context;

	if (IsA(node, CteScanState) && castNode(CteScanState, node)->cteplanstate == find->cte)
		find->readers = lappend(find->readers, node);
	return planstate_tree_walker(node, find_readers, context);
}

static SubPlanState *
subplan_among(List *subplans, const PlanState *plan)
{
	ListCell   *cell;

	foreach(cell, subplans)
	{
		SubPlanState *subplan = lfirst_node(SubPlanState, cell);

		if (subplan->planstate == plan)
			return subplan;
	}
	return NULL;
}

static QhTaker *takers_of(PlanState *root, const FindContext *found, int *left);

static QhTaker *
new_taker(PlanState *node, PlanState *from, int *left)
{
	QhTaker    *taker = palloc0(sizeof(QhTaker));

	taker->node = node;
	taker->from = from;
	--*left;
	return taker;
}

/* Those who read a CTE take its rows, not the node that its plan hangs on. */
static QhTaker *
readers_of(PlanState *root, PlanState *cte, int *left)
{
	ReaderContext find = {cte, NIL};
	QhTaker    *all = NULL;
	ListCell   *cell;

	check_stack_depth();
	(void) find_readers(root, &find);
	foreach(cell, find.readers)
	{
		FindContext reader = {NULL, lfirst(cell), NIL};
		QhTaker    *taker;

		if (*left <= 0)
			break;
		(void) find_path(root, &reader);
		taker = new_taker(reader.target, cte, left);
		taker->above = takers_of(root, &reader, left);
		taker->other = all;
		all = taker;
	}
	if (all == NULL || *left <= 0)
		return new_taker(NULL, cte, left);
	return all;
}

/* Who takes the rows of the node found: one for each node above it, from the root down. */
static QhTaker *
takers_of(PlanState *root, const FindContext *found, int *left)
{
	QhTaker    *above = NULL;

	for (int i = list_length(found->path) - 1; i >= 0; i--)
	{
		PlanState  *node = list_nth(found->path, i);
		PlanState  *from = i > 0 ? list_nth(found->path, i - 1) : found->target;
		SubPlanState *via = subplan_among(node->initPlan, from);
		QhTaker    *taker;

		if (via == NULL)
			via = subplan_among(node->subPlan, from);
		if (via && via->subplan->subLinkType == CTE_SUBLINK)
			above = readers_of(root, from, left);
		else
		{
			taker = new_taker(node, from, left);
			taker->via = via;
			taker->above = above;
			qh_plan_read_run_condition(taker);
			above = taker;
		}
	}
	return above;
}

void
qh_plan_find(QhPlan *plan, IndexScanDesc desc, MemoryContext cxt)
{
	FindContext find = {desc, NULL, NIL};
	int			left = MOST_TAKERS;
	MemoryContext old;

	if (plan->searched)
		return;
	plan->searched = true;
	if (running == NULL || running->planstate == NULL)
		return;
	old = MemoryContextSwitchTo(cxt);
	if (find_path(running->planstate, &find))
	{
		plan->query = running;
		plan->takers = takers_of(running->planstate, &find, &left);
		plan->scan = find.target;
		plan->filters = qh_plan_may_filter(plan->scan);
		qh_plan_read_bounds(plan);
	}
	MemoryContextSwitchTo(old);
}

bool
qh_plan_rows_left(const QhPlan *plan, double *rows)
{
	if (plan->scan == NULL || plan->query != running)
		return false;
	*rows = 0;
	if (running_count > 0)
		*rows = running_count > running->estate->es_processed ? (double) (running_count - running->estate->es_processed) : 1;
	return true;
}
