/*
 * distance_cost.c
 *		What computing a distance costs where the vector is stored out of line.
 *
 * PostgreSQL's statistics count such a value with the 18 bytes of its pointer, and its costs know
 * nothing of the way to the value.  The planner asks this support function of the distance
 * functions.  README.md, section "Cost of a distance".
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "compat.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(qvec_distance_support);

/* What statistics count a value with that is out of line (varattrib_1b_e and varatt_external). */
#define POINTER_NBYTES	18

/* A value out of line is stored in chunks (TOAST_MAX_CHUNK_SIZE). */
#define CHUNKS_PER_PAGE	4

/* Comparisons on the way to a value's chunks through their index.  Chosen by hand. */
#define COMPARISONS		40

/* Pages of values of a row that are out of line where nothing is known of them: ANALYZE alone does not count those. */
#define PAGES_GUESSED	0.5

/* Pages of a table's out-of-line values, a row; 0 = it has none. */
static double
pages_out_of_line(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			toast;
	double		nrows;
	double		npages = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	toast = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
	nrows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	if (!OidIsValid(toast))
		return 0;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(toast));
	if (HeapTupleIsValid(tuple))
	{
		npages = ((Form_pg_class) GETSTRUCT(tuple))->relpages;
		ReleaseSysCache(tuple);
	}
	return npages > 0 && nrows >= 1 ? npages / nrows : PAGES_GUESSED;
}

/* The cost of reading what the expression is, where it is a column whose values are out of line. */
static Cost
reading_cost(PlannerInfo *root, Node *node)
{
	const Var  *var;
	RangeTblEntry *rte;
	int32		width;
	double		npages;

	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var))
		return 0;
	var = (const Var *) node;
	if (var->varlevelsup != 0 || IS_SPECIAL_VARNO(var->varno) || var->varattno <= 0 ||
		var->varno >= root->simple_rel_array_size)
		return 0;
	rte = planner_rt_fetch(var->varno, root);
	if (rte == NULL || rte->rtekind != RTE_RELATION)
		return 0;
	width = get_attavgwidth(rte->relid, var->varattno);
	if (width != POINTER_NBYTES)
		return 0;
	npages = pages_out_of_line(rte->relid);
	if (npages == 0)
		return 0;
	return npages * seq_page_cost + Max(npages * CHUNKS_PER_PAGE, 1) * cpu_tuple_cost +
		COMPARISONS * cpu_operator_cost;
}

static double
cost_by_catalog(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	double		cost = 1;

	if (HeapTupleIsValid(tuple))
	{
		cost = ((Form_pg_proc) GETSTRUCT(tuple))->procost;
		ReleaseSysCache(tuple);
	}
	return cost * cpu_operator_cost;
}

Datum
qvec_distance_support(PG_FUNCTION_ARGS)
{
	SupportRequestCost *request = (SupportRequestCost *) PG_GETARG_POINTER(0);
	List	   *args = NIL;
	ListCell   *cell;

	if (!IsA(request, SupportRequestCost) || request->root == NULL || request->node == NULL)
		PG_RETURN_POINTER(NULL);
	if (IsA(request->node, OpExpr))
		args = ((OpExpr *) request->node)->args;
	else if (IsA(request->node, FuncExpr))
		args = ((FuncExpr *) request->node)->args;
	request->startup = 0;
	request->per_tuple = cost_by_catalog(request->funcid);
	foreach(cell, args)
		request->per_tuple += reading_cost(request->root, lfirst(cell));
	PG_RETURN_POINTER(request);
}
