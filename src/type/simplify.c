/*
 * simplify.c
 *		A real[] compared with a double precision[] becomes a real[] compared with a real[].
 *
 * The parser widens the real[], which hides a column from its index.  While the query is planned
 * the other side is rounded in its place.  Knows names and types; must not know indexes.
 * README.md, section "Mixed arrays".
 */
#include "compat.h"

#include <string.h>

#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(float8_distance_support);

/* Functions on double precision[], and the operators on real[] that compute the same. */
static const struct
{
	const char *function;
	const char *operator;
}			operators[] = {
	{"cosine_distance", "<=>"},
	{"l2_distance", "<->"},
	{"float8_negative_inner_product", "<#>"},
	{"l1_distance", "<+>"},
};

/* The operator on real[] in the function's own schema; InvalidOid if there is none. */
static Oid
operator_on_reals(Oid function, Oid schema)
{
	const char *name = get_func_name(function);

	for (int i = 0; name != NULL && i < (int) lengthof(operators); i++)
		if (strcmp(name, operators[i].function) == 0)
			return GetSysCacheOid4(OPERNAMENSP, Anum_pg_operator_oid,
								   CStringGetDatum(operators[i].operator), ObjectIdGetDatum(FLOAT4ARRAYOID),
								   ObjectIdGetDatum(FLOAT4ARRAYOID), ObjectIdGetDatum(schema));
	return InvalidOid;
}

/* The real[] that was widened to this double precision[], or NULL. */
static Node *
widened_reals(Node *node)
{
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (!IsA(node, ArrayCoerceExpr))
		return NULL;
	node = (Node *) ((ArrayCoerceExpr *) node)->arg;
	return exprType(node) == FLOAT4ARRAYOID ? node : NULL;
}

/* The real[] itself, or a call that rounds a double precision[] to one; NULL if there is no such function. */
static Node *
as_reals(PlannerInfo *root, Node *node, Oid schema)
{
	Oid			argument = FLOAT8ARRAYOID;
	Node	   *reals = widened_reals(node);
	Oid			function;

	if (reals != NULL)
		return reals;
	function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("float8_array_to_real"),
							   PointerGetDatum(buildoidvector(&argument, 1)), ObjectIdGetDatum(schema));
	if (!OidIsValid(function))
		return NULL;
	node = (Node *) makeFuncExpr(function, FLOAT4ARRAYOID, list_make1(node), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	/* a constant is rounded here and now */
	return eval_const_expressions(root, node);
}

/*
 * Is one side a real[] that differs from row to row, widened, and the other the same for all rows?
 * Then an index can serve the real[] only.  A column of doubles is left as it is: it may have an
 * index of its own.
 */
static bool
hides_reals(Node *a, Node *b)
{
	return widened_reals(a) != NULL && contain_var_clause(a) && !contain_var_clause(b);
}

static Node *
simplify(SupportRequestSimplify *request)
{
	FuncExpr   *call = request->fcall;
	Oid			schema = get_func_namespace(call->funcid);
	Oid			operator;
	Node	   *a;
	Node	   *b;
	OpExpr	   *result;

	if (list_length(call->args) != 2)
		return NULL;
	a = linitial(call->args);
	b = lsecond(call->args);
	if (!hides_reals(a, b) && !hides_reals(b, a))
		return NULL;
	operator = operator_on_reals(call->funcid, schema);
	a = as_reals(request->root, a, schema);
	b = as_reals(request->root, b, schema);
	if (!OidIsValid(operator) || a == NULL || b == NULL)
		return NULL;
	result = (OpExpr *) make_opclause(operator, FLOAT8OID, false, (Expr *) a, (Expr *) b,
									  InvalidOid, call->inputcollid);
	result->opfuncid = get_opcode(operator);
	result->location = call->location;
	return (Node *) result;
}

/* Planner support function of the distances on double precision[]. */
Datum
float8_distance_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(NULL);
	PG_RETURN_POINTER(simplify((SupportRequestSimplify *) request));
}
