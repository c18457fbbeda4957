/*
 * batch_function.c
 *		Looks up the function that an index on an expression names to compute many values at once.
 *
 * It is named by a storage parameter, so it is looked up anew for each use, and never by the search
 * path: whoever sets that could have another function called.  Must not know what is done with the
 * values.  BATCHES.md in this folder.
 */
#include "compat.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "column/batch_function.h"
#include "column/options.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* ---- the index's expression ---- */

/*
 * The expression of the index's first column as it was written; NULL if that is a column.  Not
 * RelationGetIndexExpressions(), in whose expressions functions in SQL are inlined.
 */
static Node *
first_expression(Relation index)
{
	HeapTuple	tuple;
	Datum		stored;
	bool		isnull;
	List	   *list = NIL;

	if (index->rd_index->indkey.values[0] != 0)
		return NULL;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(RelationGetRelid(index)));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", RelationGetRelid(index));
	stored = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indexprs, &isnull);
	if (!isnull)
		list = (List *) stringToNode(TextDatumGetCString(stored));
	ReleaseSysCache(tuple);
	return list == NIL ? NULL : (Node *) linitial(list);
}

static void
refuse_expression(Relation index, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("storage parameter \"batch_function\" does not fit index \"%s\"", RelationGetRelationName(index)),
			 errdetail_internal("%s", detail),
			 errhint("It stands for an expression that is a call of one function with one argument and gives real[], as embed(body).")));
}

/* Take the expression apart: f(argument), of type real[]. */
static void
read_expression(Relation index, QhBatchFunction *out)
{
	Node	   *expr = first_expression(index);

	if (expr == NULL)
		refuse_expression(index, _("The index is on a column."));
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	if (!IsA(expr, FuncExpr) || list_length(((FuncExpr *) expr)->args) != 1)
		refuse_expression(index, _("The index's expression is no call of a function with one argument."));
	if (getBaseType(exprType(expr)) != FLOAT4ARRAYOID)
		refuse_expression(index, psprintf(_("The index's expression is of type %s."), format_type_be(exprType(expr))));
	out->call = (FuncExpr *) expr;
	out->argument = (Expr *) linitial(out->call->args);
	out->type = getBaseType(exprType((Node *) out->argument));
	get_typlenbyvalalign(out->type, &out->typlen, &out->typbyval, &out->typalign);
}

/* ---- the function's name ---- */

/* Without blanks and in lower case: for comparing how types may be spelled. */
static char *
squeeze(const char *text)
{
	char	   *result = pstrdup(text);
	char	   *to = result;

	for (const char *from = text; *from != '\0'; from++)
	{
		if (!isspace((unsigned char) *from))
			*to++ = pg_tolower((unsigned char) *from);
	}
	*to = '\0';
	return result;
}

static bool
is_spelled(const char *given, const char *name)
{
	return strcmp(squeeze(given), squeeze(name)) == 0;
}

/* Is this how the array type may be written?  No search path is asked. */
static bool
is_array_type(const char *given, Oid element, Oid array)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(element));
	char	   *plain;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", element);
	plain = psprintf("%s[]", NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
	ReleaseSysCache(tuple);
	return is_spelled(given, plain) || is_spelled(given, format_type_be(array)) ||
		is_spelled(given, format_type_be_qualified(array));
}

/* Cut "name(type)" in two; returns the type, or NULL where there is none.  False if it is neither. */
static bool
split_signature(char *text, char **type)
{
	bool		quoted = false;
	char	   *end;

	*type = NULL;
	for (char *c = text; *c != '\0'; c++)
	{
		if (*c == '"')
			quoted = !quoted;
		else if (*c == '(' && !quoted)
		{
			*c = '\0';
			*type = c + 1;
			end = strrchr(c + 1, ')');
			if (end == NULL || strspn(end + 1, " \t\n\r") != strlen(end + 1))
				return false;
			*end = '\0';
			return true;
		}
	}
	return !quoted;
}

/* The function's schema and name.  Without a schema, that of the expression's own function is meant. */
static bool
split_name(char *text, const QhBatchFunction *out, char **schema, char **name)
{
	List	   *names;

	if (!SplitIdentifierString(text, '.', &names) || list_length(names) < 1 || list_length(names) > 2)
		return false;
	*name = llast(names);
	*schema = list_length(names) == 2 ? linitial(names) : get_namespace_name(get_func_namespace(out->call->funcid));
	return *schema != NULL;
}

/* ---- the function ---- */

static void
refuse_function(const QhBatchFunction *out, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("function %s cannot be a batch function", out->name),
			 errdetail_internal("%s", detail)));
}

static void
check_function(HeapTuple tuple, const QhBatchFunction *out)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	AclResult	result = qh_function_aclcheck(out->function);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, out->name);
	if (proc->prokind != PROKIND_FUNCTION || proc->proretset || proc->prorettype != FLOAT4ARRAYOID)
		refuse_function(out, _("It must return real[], with a row for each value."));
	if (proc->provolatile != PROVOLATILE_IMMUTABLE)
		refuse_function(out, _("It must be marked IMMUTABLE, as functions in index expressions."));
}

/* Look up the function by its schema, name and the one argument it must have. */
static void
find_function(Relation index, const char *schema, const char *name, QhBatchFunction *out)
{
	Oid			array = get_array_type(out->type);
	Oid			namespace = get_namespace_oid(schema, true);
	oidvector  *types = buildoidvector(&array, 1);
	HeapTuple	tuple = NULL;

	out->name = psprintf("%s(%s)", quote_qualified_identifier(schema, name), format_type_be(array));
	if (OidIsValid(namespace))
		tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(name), PointerGetDatum(types), ObjectIdGetDatum(namespace));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("batch function %s of index \"%s\" does not exist", out->name, RelationGetRelationName(index)),
				 errhint("Create it, or change the index by ALTER INDEX ... SET or RESET (batch_function). A name without a schema is looked for in that of function %s.",
						 get_func_name(out->call->funcid))));
	out->function = ((Form_pg_proc) GETSTRUCT(tuple))->oid;
	check_function(tuple, out);
	ReleaseSysCache(tuple);
}

void
qh_batch_function(Relation index, QhBatchFunction *out)
{
	const char *given = qh_option_batch_function(index);
	char	   *text;
	char	   *type;
	char	   *schema;
	char	   *name;

	memset(out, 0, sizeof(*out));
	out->size = qh_option_batch_size(index);
	read_expression(index, out);
	if (!OidIsValid(get_array_type(out->type)))
		refuse_expression(index, psprintf(_("There are no arrays of type %s."), format_type_be(out->type)));
	text = pstrdup(given);
	if (!split_signature(text, &type) || !split_name(text, out, &schema, &name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for storage parameter \"batch_function\": \"%s\"", given),
				 errhint("Name a function as in \"schema.embed_many(text[])\".")));
	if (type != NULL && !is_array_type(type, out->type, get_array_type(out->type)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch function \"%s\" takes %s, but index \"%s\" needs one that takes %s",
						given, type[0] == '\0' ? "nothing" : type, RelationGetRelationName(index), format_type_be(get_array_type(out->type)))));
	find_function(index, schema, name, out);
}
