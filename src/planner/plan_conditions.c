/*
 * plan_conditions.c
 *		Conditions of the node's filter that the index can test before a row is fetched.
 *
 * "column = ANY (array)" becomes a test of keys: up to version 16 the planner leaves such a
 * condition in the filter if it is to keep the order of an index.  So does a boolean column, which
 * up to version 15 is a condition of PostgreSQL's own index types only.  Conditions on INCLUDE columns
 * are evaluated on the values that the index stores.  README.md, section "Conditions
 * that the index tests".
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "column/filter_test.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "planner/plan.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* "column OP ANY (array)", or a boolean column by itself. */
typedef struct QhKeyCondition
{
	int			column;			/* filter column */
	StrategyNumber strategy;
	Oid			type;			/* right input type of the operator */
	ExprState  *array;			/* NULL = the column is boolean, and is to be */
	bool		value;
} QhKeyCondition;

/* A condition of the filter, in the order in which the executor tests them. */
typedef struct QhIncluded
{
	ExprState  *state;			/* NULL = it is not tested here */
	uint64		columns;		/* INCLUDE columns that it reads, as bits */
	bool		leakproof;
	bool		keys_tell;		/* not tested here, and true where all keys say yes */
} QhIncluded;

struct QhConditions
{
	List	   *keys;			/* QhKeyCondition */
	int			nclauses;
	QhIncluded *clauses;
	bool		has_included;	/* some have a state */
	int			ninclude;
	AttrNumber	attnos[INDEX_MAX_KEYS]; /* of INCLUDE columns, in the table */
	TupleTableSlot *slot;		/* a row of the table, as far as the index stores it */
};

/* ---- conditions on keys ---- */

static Node *
without_relabel(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* Is this what the key column of the index holds?  expression is that of the column, if it has one. */
static bool
is_column(Relation index, int attno, Node *expression, Node *node, Index varno)
{
	AttrNumber	heap_attno = index->rd_index->indkey.values[attno - 1];
	const Var  *var = (const Var *) node;

	if (heap_attno == 0)
		return expression != NULL && equal(without_relabel(expression), node);
	return IsA(node, Var) && var->varno == (int) varno && var->varattno == heap_attno && var->varlevelsup == 0;
}

/* The key column behind the first that an expression is, or 0. */
static int
find_column(Relation index, List *expressions, Node *node, Index varno)
{
	ListCell   *next = list_head(expressions);

	node = without_relabel(node);
	for (int attno = 1; attno <= IndexRelationGetNumberOfKeyAttributes(index); attno++)
	{
		Node	   *expression = NULL;

		if (index->rd_index->indkey.values[attno - 1] == 0 && next != NULL)
		{
			expression = lfirst(next);
			next = lnext(expressions, next);
		}
		if (attno > 1 && is_column(index, attno, expression, node, varno))
			return attno;
	}
	return 0;
}

/* Has it one value for all rows of the scan? */
static bool
is_constant_of_scan(Node *node)
{
	return !contain_var_clause(node) && !contain_subplans(node) && !contain_volatile_functions(node);
}

/* "flag", "NOT flag", "flag IS TRUE", "flag IS FALSE": the column and the value it is to have. */
static Node *
read_boolean(Node *clause, bool *value)
{
	const BooleanTest *test = (const BooleanTest *) clause;

	*value = true;
	if (IsA(clause, BooleanTest) && (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE))
	{
		*value = test->booltesttype == IS_TRUE;
		return (Node *) test->arg;
	}
	if (!IsA(clause, BoolExpr) || ((BoolExpr *) clause)->boolop != NOT_EXPR)
		return clause;
	*value = false;
	return linitial(((BoolExpr *) clause)->args);
}

/*
 * A condition of this kind, or NULL.  Up to version 15 the planner makes conditions of it for its
 * own index types only.
 */
static QhKeyCondition *
read_boolean_condition(PlanState *scan, Relation index, List *expressions, Node *clause)
{
	QhKeyCondition *condition;
	bool		value;
	Node	   *flag = read_boolean(clause, &value);
	int			attno;

	if (exprType(flag) != BOOLOID)
		return NULL;
	attno = find_column(index, expressions, flag, ((Scan *) scan->plan)->scanrelid);
	if (attno == 0 || !op_in_opfamily(BooleanEqualOperator, index->rd_opfamily[attno - 1]))
		return NULL;
	condition = palloc0(sizeof(QhKeyCondition));
	condition->column = attno - 2;
	condition->strategy = BTEqualStrategyNumber;
	condition->type = BOOLOID;
	condition->value = value;
	return condition;
}

/* A condition of this kind, or NULL. */
static QhKeyCondition *
read_array_condition(PlanState *scan, Relation index, List *expressions, Node *clause)
{
	const ScalarArrayOpExpr *any = (const ScalarArrayOpExpr *) clause;
	QhKeyCondition *condition;
	int			attno;
	int			strategy;
	Oid			left;
	Oid			collation;

	if (!IsA(clause, ScalarArrayOpExpr) || !any->useOr || !is_constant_of_scan(lsecond(any->args)))
		return NULL;
	attno = find_column(index, expressions, linitial(any->args), ((Scan *) scan->plan)->scanrelid);
	if (attno == 0 || !op_in_opfamily(any->opno, index->rd_opfamily[attno - 1]))
		return NULL;
	collation = index->rd_indcollation[attno - 1];
	if (OidIsValid(collation) && collation != any->inputcollid)
		return NULL;
	condition = palloc0(sizeof(QhKeyCondition));
	condition->column = attno - 2;
	get_op_opfamily_properties(any->opno, index->rd_opfamily[attno - 1], false, &strategy, &left, &condition->type);
	condition->strategy = (StrategyNumber) strategy;
	condition->array = ExecInitExpr(lsecond(any->args), scan);
	return condition;
}

/* ---- conditions on stored values ---- */

/* The INCLUDE columns that a condition reads, as bits; 0 if it reads none, or others too. */
static uint64
included_columns(const QhConditions *conditions, Node *clause, Index varno)
{
	Bitmapset  *attnos = NULL;
	uint64		columns = 0;
	int			member = -1;

	pull_varattnos(clause, varno, &attnos);
	while ((member = bms_next_member(attnos, member)) >= 0)
	{
		AttrNumber	attno = member + FirstLowInvalidHeapAttributeNumber;
		int			i = 0;

		while (i < conditions->ninclude && conditions->attnos[i] != attno)
			i++;
		if (i == conditions->ninclude)
			return 0;
		columns |= UINT64CONST(1) << i;
	}
	return columns;
}

static void
read_clause(QhPlan *plan, QhConditions *conditions, Relation index, List *expressions, Node *clause)
{
	QhIncluded *included = &conditions->clauses[conditions->nclauses++];
	QhKeyCondition *key = read_array_condition(plan->scan, index, expressions, clause);

	if (key == NULL)
		key = read_boolean_condition(plan->scan, index, expressions, clause);
	memset(included, 0, sizeof(*included));
	if (key != NULL)
	{
		conditions->keys = lappend(conditions->keys, key);
		included->keys_tell = true;
		return;
	}
	if (contain_volatile_functions(clause) || contain_subplans(clause))
		return;
	included->columns = included_columns(conditions, clause, ((Scan *) plan->scan->plan)->scanrelid);
	if (included->columns == 0)
		return;
	included->leakproof = !contain_leaked_vars(clause);
	included->state = ExecInitQual(list_make1(clause), plan->scan);
	conditions->has_included = true;
}

void
qh_plan_read_conditions(QhPlan *plan, Relation index)
{
	int			nkeys = IndexRelationGetNumberOfKeyAttributes(index);
	int			nattrs = IndexRelationGetNumberOfAttributes(index);
	List	   *qual = plan->scan->plan->qual;
	List	   *expressions;
	QhConditions *conditions;
	ListCell   *cell;

	if (qual == NIL || nattrs < 2)
		return;
	StaticAssertStmt(INDEX_MAX_KEYS <= 64, "INCLUDE columns fit 64 bits");
	conditions = palloc0(sizeof(QhConditions));
	conditions->clauses = palloc(sizeof(QhIncluded) * list_length(qual));
	for (int i = nkeys; i < nattrs; i++)
		conditions->attnos[conditions->ninclude++] = index->rd_index->indkey.values[i];
	expressions = copyObject(RelationGetIndexExpressions(index));
	ChangeVarNodes((Node *) expressions, 1, ((Scan *) plan->scan->plan)->scanrelid, 0);
	foreach(cell, qual)
		read_clause(plan, conditions, index, expressions, lfirst(cell));
	plan->conditions = conditions;
}

void
qh_plan_add_keys(const QhPlan *plan, QhFilterTest *test)
{
	ListCell   *cell;

	if (plan->conditions == NULL)
		return;
	foreach(cell, plan->conditions->keys)
	{
		const QhKeyCondition *condition = lfirst(cell);
		bool		isnull;
		Datum		array;

		if (condition->array == NULL)
		{
			qh_filter_test_add(test, condition->column, condition->strategy, condition->type,
							   BoolGetDatum(condition->value), false);
			continue;
		}
		array = ExecEvalExprSwitchContext(condition->array, plan->scan->ps_ExprContext, &isnull);
		qh_filter_test_add_any(test, condition->column, condition->strategy, condition->type, array, isnull);
	}
}

bool
qh_plan_has_included(const QhPlan *plan)
{
	return plan->conditions != NULL && plan->conditions->has_included;
}

/* The row as far as it is stored: columns that are not have no meaning. */
static void
fill_slot(QhConditions *conditions, const QhIncludedRow *row)
{
	TupleTableSlot *slot = conditions->slot;

	ExecClearTuple(slot);
	for (int i = 0; i < conditions->ninclude; i++)
	{
		if ((row->known & (UINT64CONST(1) << i)) == 0)
			continue;
		slot->tts_values[conditions->attnos[i] - 1] = row->values[i];
		slot->tts_isnull[conditions->attnos[i] - 1] = row->isnull[i];
	}
	ExecStoreVirtualTuple(slot);
}

bool
qh_plan_drops_included(QhPlan *plan, Relation heap, const QhIncludedRow *row)
{
	QhConditions *conditions = plan->conditions;
	bool		certain = row->keys_say_yes;	/* no condition of before is open */
	bool		dropped = false;

	if (conditions->slot == NULL)
	{
		conditions->slot = MakeSingleTupleTableSlot(RelationGetDescr(heap), &TTSOpsVirtual);
		memset(conditions->slot->tts_isnull, true, conditions->slot->tts_tupleDescriptor->natts);
	}
	fill_slot(conditions, row);
	plan->econtext->ecxt_scantuple = conditions->slot;
	for (int i = 0; i < conditions->nclauses && !dropped; i++)
	{
		const QhIncluded *clause = &conditions->clauses[i];
		bool		known = clause->state != NULL && (clause->columns & ~row->known) == 0;

		if (known && (clause->leakproof || (certain && row->is_visible(row->arg))))
			dropped = !ExecQual(clause->state, plan->econtext);
		else if (!clause->keys_tell)
			certain = false;
	}
	ResetExprContext(plan->econtext);
	if (dropped)
		InstrCountFiltered1(plan->scan, 1);
	return dropped;
}

void
qh_plan_end_conditions(QhPlan *plan)
{
	if (plan->conditions != NULL && plan->conditions->slot != NULL)
	{
		ExecDropSingleTupleTableSlot(plan->conditions->slot);
		plan->conditions->slot = NULL;
	}
}

/* ---- the index's own conditions, on a row of the table ---- */

bool
qh_plan_passes_keys(QhPlan *plan, TupleTableSlot *slot)
{
	IndexScanState *scan = castNode(IndexScanState, plan->scan);
	bool		passes;

	plan->econtext->ecxt_scantuple = slot;
	passes = ExecQual(scan->indexqualorig, plan->econtext);
	ResetExprContext(plan->econtext);
	return passes;
}
