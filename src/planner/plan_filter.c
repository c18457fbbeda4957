/*
 * plan_filter.c
 *		The query's filter, evaluated by the scan before the executor does.
 *
 * A row that passes is tested twice, and rows are tested that the executor would not have asked
 * for.  So a filter may be evaluated here only if it calls no volatile function, be it in a
 * subplan.  README.md, section "Filter".
 */
#include "postgres.h"

#include "planner/plan.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static bool
is_volatile_function(Oid function)
{
	return OidIsValid(function) && func_volatile(function) == PROVOLATILE_VOLATILE;
}

/* An aggregate always counts as immutable itself; the functions that it calls may be volatile. */
static bool
is_volatile_aggregate(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate agg;
	bool		is_volatile;

	if (!HeapTupleIsValid(tuple))
		return false;			/* a window function, which contain_volatile_functions() looks at */
	agg = (Form_pg_aggregate) GETSTRUCT(tuple);
	is_volatile = is_volatile_function(agg->aggtransfn) || is_volatile_function(agg->aggfinalfn) ||
		is_volatile_function(agg->aggmtransfn) || is_volatile_function(agg->aggminvtransfn) ||
		is_volatile_function(agg->aggmfinalfn);
	ReleaseSysCache(tuple);
	return is_volatile;
}

/* expression_tree_walker */
static bool
calls_volatile_aggregate(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref) && is_volatile_aggregate(castNode(Aggref, node)->aggfnoid))
		return true;
	if (IsA(node, WindowFunc) && is_volatile_aggregate(castNode(WindowFunc, node)->winfnoid))
		return true;
	return expression_tree_walker(node, calls_volatile_aggregate, context);
}

static bool
is_volatile(const void *expression)
{
	Node	   *node = (Node *) expression;

	return contain_volatile_functions(node) || calls_volatile_aggregate(node, NULL);
}

/* What a scan computes beside its target list and its filter. */
static bool
scan_is_volatile(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SubqueryScan:
		case T_CteScan:
		case T_WorkTableScan:
		case T_NamedTuplestoreScan:
			return false;
		case T_IndexScan:
			return is_volatile(((IndexScan *) plan)->indexqualorig) ||
				is_volatile(((IndexScan *) plan)->indexorderbyorig);
		case T_IndexOnlyScan:
			return is_volatile(((IndexOnlyScan *) plan)->indexqual) ||
				is_volatile(((IndexOnlyScan *) plan)->indexorderby);
		case T_BitmapIndexScan:
			return is_volatile(((BitmapIndexScan *) plan)->indexqualorig);
		case T_BitmapHeapScan:
			return is_volatile(((BitmapHeapScan *) plan)->bitmapqualorig);
		case T_TidScan:
			return is_volatile(((TidScan *) plan)->tidquals);
		case T_TidRangeScan:
			return is_volatile(((TidRangeScan *) plan)->tidrangequals);
		case T_FunctionScan:
			return is_volatile(((FunctionScan *) plan)->functions);
		case T_ValuesScan:
			return is_volatile(((ValuesScan *) plan)->values_lists);
		case T_TableFuncScan:
			return is_volatile(((TableFuncScan *) plan)->tablefunc);
		default:
			return true;		/* foreign, sampled, of another extension */
	}
}

/*
 * What a node computes beside its target list and its filter.  A node that is not known here
 * counts as volatile.
 */
static bool
node_is_volatile(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_ProjectSet:
		case T_Append:
		case T_MergeAppend:
		case T_RecursiveUnion:
		case T_BitmapAnd:
		case T_BitmapOr:
		case T_Material:
		case T_Sort:
		case T_IncrementalSort:
		case T_Group:
		case T_Agg:
		case T_Unique:
		case T_SetOp:
			return false;
		case T_Result:
			return is_volatile(((Result *) plan)->resconstantqual);
		case T_NestLoop:
			return is_volatile(((Join *) plan)->joinqual);
		case T_MergeJoin:
			return is_volatile(((Join *) plan)->joinqual) || is_volatile(((MergeJoin *) plan)->mergeclauses);
		case T_HashJoin:
			return is_volatile(((Join *) plan)->joinqual) || is_volatile(((HashJoin *) plan)->hashclauses);
		case T_Hash:
			return is_volatile(((Hash *) plan)->hashkeys);
		case T_Memoize:
			return is_volatile(((Memoize *) plan)->param_exprs);
		case T_WindowAgg:
			return is_volatile(((WindowAgg *) plan)->startOffset) ||
				is_volatile(((WindowAgg *) plan)->endOffset) ||
				is_volatile(((WindowAgg *) plan)->runCondition);
		case T_Limit:
			return is_volatile(((Limit *) plan)->limitOffset) || is_volatile(((Limit *) plan)->limitCount);
		default:
			return scan_is_volatile(plan);
	}
}

/*
 * Is anything volatile in a plan?  The walker goes into initPlans, subPlans and inputs; the plan
 * of a CTE may hang elsewhere.
 */
static bool
plan_is_volatile(PlanState *node, void *context)
{
	Plan	   *plan;

	if (node == NULL)
		return false;
	plan = node->plan;
	if (is_volatile(plan->targetlist) || is_volatile(plan->qual) || node_is_volatile(plan))
		return true;
	if (IsA(node, CteScanState) && plan_is_volatile(castNode(CteScanState, node)->cteplanstate, context))
		return true;
	return planstate_tree_walker(node, plan_is_volatile, context);
}

/* expression_tree_walker */
static bool
calls_volatile_subplan(Node *node, void *context)
{
	EState	   *estate = (EState *) context;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) &&
		plan_is_volatile(list_nth(estate->es_subplanstates, castNode(SubPlan, node)->plan_id - 1), NULL))
		return true;
	return expression_tree_walker(node, calls_volatile_subplan, context);
}

/*
 * An initPlan that the filter refers to is not looked at.  It is evaluated once, when it is first
 * referred to, as it would be for a condition of any other index.
 */
bool
qh_plan_may_filter(PlanState *scan)
{
	Node	   *qual = (Node *) scan->plan->qual;

	return qual != NULL && !is_volatile(qual) && !calls_volatile_subplan(qual, scan->state);
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

void
qh_plan_count_dropped(QhPlan *plan)
{
	InstrCountFiltered1(plan->scan, 1);
}
