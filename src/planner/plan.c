/*
 * plan.c
 *		Finds a scan in the plan that the executor is running, and the nodes that take its rows.
 *
 * An access method is told neither LIMIT nor WHERE.  A hook of ExecutorRun remembers which query
 * is running and how many rows were asked for.  The scan is found in its plan by the scan
 * descriptor.  What follows from its place there is for plan_wanted.c, plan_filter.c and
 * plan_bounds.c to say.  README.md, section "Finding the scan".
 */
#include "postgres.h"

#include "access/relscan.h"
#include "planner/plan.h"
#include "planner/planner.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

/*
 * More consumers are not looked for: where CTEs read each other, their number multiplies.  Chosen
 * by hand.
 */
#define MAX_CONSUMERS		256

/*
 * The innermost query that the executor is running, and the rows that this call of it is to give
 * at most; 0 = no limit.
 */
static QueryDesc *running = NULL;
static uint64 running_count = 0;

static ExecutorRun_hook_type next_run_hook = NULL;

/* ExecutorRun_hook */
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
	IndexScanDesc desc;			/* of the scan that is searched for; NULL = target is given */
	PlanState  *target;			/* the node */
	List	   *path;			/* once it is found: the nodes above it, the root last */
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

/* The subplan in the list that has this plan. */
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

static QhConsumer *consumers_of(PlanState *root, const FindContext *found, int *left);

static QhConsumer *
new_consumer(PlanState *node, PlanState *from, int *left)
{
	QhConsumer    *consumer = palloc0(sizeof(QhConsumer));

	consumer->node = node;
	consumer->from = from;
	--*left;
	return consumer;
}

/* The rows of a CTE are taken by its readers, not by the node that its plan hangs on. */
static QhConsumer *
readers_of(PlanState *root, PlanState *cte, int *left)
{
	ReaderContext find = {cte, NIL};
	QhConsumer    *all = NULL;
	ListCell   *cell;

	check_stack_depth();
	(void) find_readers(root, &find);
	foreach(cell, find.readers)
	{
		FindContext reader = {NULL, lfirst(cell), NIL};
		QhConsumer    *consumer;

		if (*left <= 0)
			break;
		(void) find_path(root, &reader);
		consumer = new_consumer(reader.target, cte, left);
		consumer->above = consumers_of(root, &reader, left);
		consumer->other = all;
		all = consumer;
	}
	if (all == NULL || *left <= 0)
		return new_consumer(NULL, cte, left);
	return all;
}

/*
 * The consumer of the node found, linked to those above it; made from the root down.  left is
 * counted down.
 */
static QhConsumer *
consumers_of(PlanState *root, const FindContext *found, int *left)
{
	QhConsumer    *above = NULL;

	for (int i = list_length(found->path) - 1; i >= 0; i--)
	{
		PlanState  *node = list_nth(found->path, i);
		PlanState  *from = i > 0 ? list_nth(found->path, i - 1) : found->target;
		SubPlanState *via = subplan_among(node->initPlan, from);
		QhConsumer    *consumer;

		if (via == NULL)
			via = subplan_among(node->subPlan, from);
		if (via && via->subplan->subLinkType == CTE_SUBLINK)
			above = readers_of(root, from, left);
		else
		{
			consumer = new_consumer(node, from, left);
			consumer->via = via;
			consumer->above = above;
			qh_plan_read_run_condition(consumer);
			above = consumer;
		}
	}
	return above;
}

void
qh_plan_find(QhPlan *plan, IndexScanDesc desc, MemoryContext cxt)
{
	FindContext find = {desc, NULL, NIL};
	int			left = MAX_CONSUMERS;
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
		plan->consumers = consumers_of(running->planstate, &find, &left);
		plan->scan = find.target;
		plan->filters = qh_plan_may_filter(plan->scan);
		qh_plan_read_bounds(plan);
		qh_plan_read_conditions(plan, desc->indexRelation);
	}
	MemoryContextSwitchTo(old);
}

bool
qh_plan_rows_left(const QhPlan *plan, double *rows)
{
	if (plan->scan == NULL || plan->query != running)
		return false;
	if (running_count == 0)
		*rows = 0;
	else if (running_count > running->estate->es_processed)
		*rows = (double) (running_count - running->estate->es_processed);
	else
		*rows = 1;
	return true;
}
