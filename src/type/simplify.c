/*
 * simplify.c
 *		Distances in which the parser cast a column: the cast goes to the other side.
 *
 * A real[] beside a double precision[] is widened, and pgvector's vector beside an array of numbers
 * becomes a real[].  Either hides a column from its index.  While the query is planned the other
 * side is converted in its place.  Knows names and types; must not know indexes.  README.md,
 * section "Mixed arrays".
 */
#include "compat.h"

#include <string.h>

#include "catalog/dependency.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(float8_distance_support);
PG_FUNCTION_INFO_V1(real_distance_support);

/* Functions on real[] or double precision[], and the operators of that distance. */
static const struct
{
	const char *function;
	const char *operator;
}			operators[] = {
	{"cosine_distance", "<=>"},
	{"l2_distance", "<->"},
	{"real_negative_inner_product", "<#>"},
	{"float8_negative_inner_product", "<#>"},
	{"l1_distance", "<+>"},
};

/* The operator of a function's distance on two values of a type, in a schema; InvalidOid if there is none. */
static Oid
operator_on(Oid type, Oid schema, Oid function)
{
	const char *name = get_func_name(function);

	for (int i = 0; name != NULL && i < (int) lengthof(operators); i++)
		if (strcmp(name, operators[i].function) == 0)
			return GetSysCacheOid4(OPERNAMENSP, Anum_pg_operator_oid,
								   CStringGetDatum(operators[i].operator), ObjectIdGetDatum(type),
								   ObjectIdGetDatum(type), ObjectIdGetDatum(schema));
	return InvalidOid;
}

/* The call as an operator on other operands; NULL if one of these could not be made. */
static Node *
rewritten(const FuncExpr *call, Oid operator, Node *a, Node *b)
{
	OpExpr	   *result;

	if (!OidIsValid(operator) || a == NULL || b == NULL)
		return NULL;
	result = (OpExpr *) make_opclause(operator, FLOAT8OID, false, (Expr *) a, (Expr *) b,
									  InvalidOid, call->inputcollid);
	result->opfuncid = get_opcode(operator);
	result->location = call->location;
	return (Node *) result;
}

/*
 * Does one side, which was cast, differ from row to row, and is the other the same for all rows?
 * Then an index can serve the first only as it was before the cast.  A cast beside another column
 * is left: that may have an index of its own.
 */
static bool
hides_column(Node *cast_from, Node *side, Node *other)
{
	return cast_from != NULL && contain_var_clause(side) && !contain_var_clause(other);
}

/* ---- real[] widened to double precision[] ---- */

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

static Node *
simplify_doubles(const FuncExpr *call, PlannerInfo *root)
{
	Oid			schema = get_func_namespace(call->funcid);
	Node	   *a = linitial(call->args);
	Node	   *b = lsecond(call->args);

	if (!hides_column(widened_reals(a), a, b) && !hides_column(widened_reals(b), b, a))
		return NULL;
	return rewritten(call, operator_on(FLOAT4ARRAYOID, schema, call->funcid),
					 as_reals(root, a, schema), as_reals(root, b, schema));
}

/* ---- a vector of pgvector's made a real[] ---- */

/* The vector behind a cast to real[] that the parser added, or NULL. */
static Node *
cast_vector(Node *node)
{
	FuncExpr   *cast = (FuncExpr *) node;
	Oid			extension;

	if (!IsA(node, FuncExpr) || cast->funcformat != COERCE_IMPLICIT_CAST || cast->args == NIL)
		return NULL;
	extension = get_extension_oid("vector", true);
	node = linitial(cast->args);
	return OidIsValid(extension) && getExtensionOfObject(TypeRelationId, exprType(node)) == extension ? node : NULL;
}

static Oid
type_schema(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return schema;
}

/* A real[] as that type, or NULL if there is no such cast. */
static Node *
as_vector(PlannerInfo *root, Node *node, Oid type)
{
	node = coerce_to_target_type(NULL, node, FLOAT4ARRAYOID, type, -1,
								 COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	return node == NULL ? NULL : eval_const_expressions(root, node);
}

static Node *
simplify_reals(const FuncExpr *call, PlannerInfo *root)
{
	Node	   *a = linitial(call->args);
	Node	   *b = lsecond(call->args);
	Node	   *vector_a = cast_vector(a);
	Node	   *vector_b = cast_vector(b);
	Oid			type;
	Oid			operator;

	if (!hides_column(vector_a, a, b) && !hides_column(vector_b, b, a))
		return NULL;
	type = exprType(vector_a != NULL ? vector_a : vector_b);
	operator = operator_on(type, type_schema(type), call->funcid);
	return rewritten(call, operator, vector_a != NULL ? vector_a : as_vector(root, a, type),
					 vector_b != NULL ? vector_b : as_vector(root, b, type));
}

/* ---- support functions ---- */

typedef Node *(*Simplify) (const FuncExpr *call, PlannerInfo *root);

static Node *
answer(Node *request, Simplify simplify)
{
	SupportRequestSimplify *asked = (SupportRequestSimplify *) request;

	if (!IsA(request, SupportRequestSimplify) || list_length(asked->fcall->args) != 2)
		return NULL;
	return simplify(asked->fcall, asked->root);
}

/* Planner support function of the distances on double precision[]. */
Datum
float8_distance_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(answer((Node *) PG_GETARG_POINTER(0), simplify_doubles));
}

/* Planner support function of the distances on real[]. */
Datum
real_distance_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(answer((Node *) PG_GETARG_POINTER(0), simplify_reals));
}
