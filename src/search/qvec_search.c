/*
 * qvec_search.c
 *		qvec_search: a code column's index chooses candidates, the float column beside it decides.
 *
 * Writes one query and runs it as its caller would.  Knows names, types and settings; must not
 * know codes or pages.  See README.md in this folder.
 */
#include "compat.h"

#include <math.h>

#include "column/options.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "store/format.h"
#include "type/realarray.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(qvec_search);

/*
 * The first pass takes oversample * k candidates, but at least and at most this many.  Chosen by
 * hand; doc/decisions/0040.
 */
#define LEAST_FIRST_PASS	100
#define MOST_FIRST_PASS		10000
#define MAX_OVERSAMPLE		100.0

/*
 * Where the codes do not tell the candidates apart, so many rows at their distance are candidates.  Chosen by
 * hand; doc/decisions/0215.
 */
#define MOST_ALIKE			100000

/*
 * Codes that a graph search scores for each candidate wanted (about 12, planner/cost.c, with room
 * to spare), and bytes that it keeps of each.
 */
#define CODES_PER_CANDIDATE 40
#define NBYTES_PER_CODE		32

typedef struct Metric
{
	const char *name;
	const char *operator;		/* the same for qvec's types and for pgvector's */
} Metric;

static const Metric metrics[] = {
	{"cosine", "<=>"},
	{"l2", "<->"},
	{"ip", "<#>"},
	{"inner_product", "<#>"},
	{"l1", "<+>"},
};

/* A column, and what is needed to write a distance from it. */
typedef struct Column
{
	const char *name;
	Oid			type;			/* no domain */
	int32		typmod;
	Oid			schema;			/* of its distance operators */
	const char *type_name;		/* qualified, for SQL */
} Column;

/* The arguments of qvec_search. */
typedef struct Search
{
	Oid			relid;
	Oid			schema;			/* of the extension's objects */
	Column		code;
	Column		floats;
	Datum		query;			/* real[] */
	int			ndims;
	int			k;
	float4		oversample;
	const Metric *metric;
	const char *filter;			/* NULL = all rows */
} Search;

/* ---- arguments ---- */

static void
refuse_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

static const Metric *
find_metric(const char *name)
{
	for (int i = 0; i < (int) lengthof(metrics); i++)
		if (strcmp(name, metrics[i].name) == 0)
			return &metrics[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized metric \"%s\"", name),
			 errhint("Valid values are \"cosine\", \"l2\", \"ip\", \"inner_product\" and \"l1\".")));
	return NULL;
}

/* The table whose row type the first argument has. */
static Oid
find_table(FunctionCallInfo fcinfo)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			relid = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("first argument of qvec_search must be of the row type of a table, not of type %s",
						OidIsValid(type) ? format_type_be(type) : "unknown"),
				 errhint("Name the table as in NULL::my_table.")));
	return relid;
}

/* Fill in what the catalog says of the column. */
static void
find_column(Oid relid, const char *name, Column *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);
	Form_pg_attribute attribute;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name, get_rel_name(relid))));
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	column->name = pstrdup(name);
	column->typmod = attribute->atttypmod;
	column->type = getBaseTypeAndTypmod(attribute->atttypid, &column->typmod);
	ReleaseSysCache(tuple);
}

/* The type of that name in a schema. */
static Oid
type_in_schema(Oid schema, const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name), ObjectIdGetDatum(schema));
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

/* Is this pgvector's type of that name?  pgvector may be installed in any schema. */
static bool
is_pgvector_type(Oid type, const char *name)
{
	Oid			extension = get_extension_oid("vector", true);

	return OidIsValid(extension) &&
		getExtensionOfObject(TypeRelationId, type) == extension &&
		type == type_in_schema(type_schema(type), name);
}

/* Always an error. */
static void
refuse_type(const Column *column, const char *role, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s column \"%s\" is of type %s", role, column->name, format_type_be(column->type)),
			 errdetail("The %s column must be of type %s.", role, expected)));
}

/* Check the types of both columns, and find the schemas of their operators. */
static void
check_types(Search *search)
{
	Column	   *code = &search->code;
	Column	   *floats = &search->floats;

	if (code->type != type_in_schema(search->schema, "bitvec") &&
		code->type != type_in_schema(search->schema, "qvec8"))
		refuse_type(code, "code", "bitvec or qvec8");
	code->schema = search->schema;

	if (floats->type == FLOAT4ARRAYOID || floats->type == FLOAT8ARRAYOID)
		floats->schema = search->schema;
	else if (is_pgvector_type(floats->type, "vector") || is_pgvector_type(floats->type, "halfvec"))
		floats->schema = type_schema(floats->type);
	else
		refuse_type(floats, "float", "real[] or double precision[], or pgvector's vector or halfvec");
	floats->type_name = format_type_extended(floats->type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

/* A type modifier states the dimension of these types; real[] has none. */
static void
check_dims(const Search *search, const Column *column)
{
	if (column->typmod > 0 && column->typmod != search->ndims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different numbers of dimensions: %d and %d", column->typmod, search->ndims),
				 errdetail("Column \"%s\" has %d, the query has %d.",
						   column->name, column->typmod, search->ndims)));
}

static void
check_numbers(const Search *search)
{
	if (search->k < 1 || search->k > MOST_FIRST_PASS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be between 1 and %d, not %d", MOST_FIRST_PASS, search->k)));
	if (!(search->oversample >= 1 && search->oversample <= MAX_OVERSAMPLE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("oversample must be between 1 and %g, not %g", MAX_OVERSAMPLE, search->oversample)));
}

/* The query as real[], whatever its overload takes: another array of numbers, or the text of one. */
static Datum
query_as_reals(FunctionCallInfo fcinfo, int arg)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, arg);
	Oid			function;
	Oid			element;
	bool		varlena;
	char	   *text;

	if (type == FLOAT8ARRAYOID)
		return DirectFunctionCall1(float8_array_to_real, PG_GETARG_DATUM(arg));
	if (type == FLOAT4ARRAYOID || !OidIsValid(type))
		return PG_GETARG_DATUM(arg);
	getTypeOutputInfo(type, &function, &varlena);
	text = OidOutputFunctionCall(function, PG_GETARG_DATUM(arg));
	getTypeInputInfo(FLOAT4ARRAYOID, &function, &element);
	return OidInputFunctionCall(function, text, element, -1);
}

/* False if the query is NULL: there is nothing to search for. */
static bool
read_arguments(FunctionCallInfo fcinfo, Search *search)
{
	RealArray	query;

	refuse_null(fcinfo, 1, "code_column");
	refuse_null(fcinfo, 2, "float_column");
	refuse_null(fcinfo, 4, "k");
	refuse_null(fcinfo, 5, "oversample");
	refuse_null(fcinfo, 6, "metric");
	search->schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	search->relid = find_table(fcinfo);
	find_column(search->relid, NameStr(*PG_GETARG_NAME(1)), &search->code);
	find_column(search->relid, NameStr(*PG_GETARG_NAME(2)), &search->floats);
	check_types(search);
	search->k = PG_GETARG_INT32(4);
	search->oversample = PG_GETARG_FLOAT4(5);
	check_numbers(search);
	search->metric = find_metric(text_to_cstring(PG_GETARG_TEXT_PP(6)));
	search->filter = PG_ARGISNULL(7) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(7));
	if (PG_ARGISNULL(3))
		return false;

	search->query = query_as_reals(fcinfo, 3);
	query = real_array_view(search->query);
	search->ndims = query.ndims;
	real_array_check_finite(&query);
	check_dims(search, &search->code);
	check_dims(search, &search->floats);
	return true;
}

/* ---- the filter ---- */

#define FILTER_PREFIX	"SELECT "

/*
 * Error context callback: show the place of an error in the filter, not in the query, which the
 * caller did not write.
 */
static void
filter_error(void *arg)
{
	const char *filter = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(Max(position - (int) strlen(FILTER_PREFIX), 1));
		internalerrquery(filter);
	}
	else
		errcontext("filter of qvec_search");
}

/*
 * Is the text behind "SELECT" one expression?  An expression that is put in parentheses stays
 * within them.  What else the parser may make of the text (a list, further clauses, a second
 * statement) does not.
 */
static bool
is_expression(List *statements)
{
	RawStmt    *statement;
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(statements) != 1)
		return false;
	statement = linitial_node(RawStmt, statements);
	/* a length is known only where a semicolon ended the statement */
	if (statement->stmt_len != 0)
		return false;
	select = (SelectStmt *) statement->stmt;
	if (!IsA(select, SelectStmt) || select->op != SETOP_NONE || list_length(select->targetList) != 1)
		return false;
	if (select->distinctClause || select->intoClause || select->fromClause || select->whereClause ||
		select->groupClause || select->havingClause || select->windowClause || select->valuesLists ||
		select->sortClause || select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause)
		return false;
	target = linitial_node(ResTarget, select->targetList);
	return target->name == NULL && target->indirection == NIL;
}

/* An error if the filter is not one expression. */
static void
check_filter(const char *filter)
{
	ErrorContextCallback callback = {error_context_stack, filter_error, (void *) filter};
	char	   *statement = psprintf(FILTER_PREFIX "%s\n", filter);

	error_context_stack = &callback;
	if (!is_expression(raw_parser(statement, RAW_PARSE_DEFAULT)))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("filter is not an expression: %s", filter),
				 errhint("Give what would follow WHERE, without WHERE itself.")));
	error_context_stack = callback.previous;
	pfree(statement);
}

/* ---- the query ---- */

/* The number of candidates.  In single precision, as oversample is: 1.1 times 10 is 11, not 12. */
static int
first_pass(const Search *search)
{
	float4		wanted = ceilf(search->oversample * (float4) search->k);

	return (int) Min(Max(wanted, LEAST_FIRST_PASS), MOST_FIRST_PASS);
}

/* "column OPERATOR(schema.name) " */
static void
append_operator(StringInfo sql, const char *table, const Column *column, const char *operator)
{
	appendStringInfo(sql, "%s.%s OPERATOR(%s.%s) ", table, quote_identifier(column->name),
					 quote_identifier(get_namespace_name(column->schema)), operator);
}

/*
 * The distance of the code column from the query's code.  Distances of qvec8 are those of the
 * numbers that the codes stand for, whatever their scale and offset.  So the query is quantized
 * by its own largest element, even where the column was quantized over one interval for all rows.
 */
static void
append_code_distance(StringInfo sql, const char *table, const Search *search)
{
	bool		bits = search->code.type == type_in_schema(search->schema, "bitvec");

	append_operator(sql, table, &search->code, bits ? "<~>" : search->metric->operator);
	appendStringInfo(sql, "%s.%s($1)", quote_identifier(get_namespace_name(search->schema)),
					 bits ? "binary_quantize" : "quantize_int8");
}

/*
 * The inner query passes on places and distances only.  Whole rows, with what lies out of line in
 * them, are fetched for the k that are left.  The filter sees no names but those of the table.
 * The third column says whether all candidates are at one distance by their codes, and that is $2
 * where the query is asked again for rows as far as that.
 */
static char *
write_query(const Search *search, int ncandidates, bool up_to)
{
	StringInfoData sql;
	const char *name = get_rel_name(search->relid);
	const char *table = quote_identifier(name);
	const char *schema = get_namespace_name(get_rel_namespace(search->relid));
	const char *qualified = quote_qualified_identifier(schema, name);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT (t.*)::%s, c.distance, c.alike FROM (SELECT f.place, f.part, f.distance, "
					 "CASE WHEN pg_catalog.min(f.code) OVER () OPERATOR(pg_catalog.=) pg_catalog.max(f.code) OVER () "
					 "AND pg_catalog.count(*) OVER () OPERATOR(pg_catalog.=) %d THEN f.code END AS alike FROM "
					 "(SELECT %s.ctid AS place, %s.tableoid AS part, ",
					 qualified, ncandidates, table, table);
	append_code_distance(&sql, table, search);
	appendStringInfoString(&sql, " AS code, ");
	append_operator(&sql, table, &search->floats, search->metric->operator);
	appendStringInfo(&sql, "$1::%s AS distance FROM %s WHERE %s.%s IS NOT NULL AND %s.%s IS NOT NULL",
					 search->floats.type_name, qualified,
					 table, quote_identifier(search->code.name),
					 table, quote_identifier(search->floats.name));
	/* the line end closes a comment at the end of the filter */
	if (search->filter)
		appendStringInfo(&sql, " AND (%s\n)", search->filter);
	if (up_to)
	{
		appendStringInfoString(&sql, " AND ");
		append_code_distance(&sql, table, search);
		appendStringInfoString(&sql, " OPERATOR(pg_catalog.<=) $2");
	}
	appendStringInfoString(&sql, " ORDER BY ");
	append_code_distance(&sql, table, search);
	appendStringInfo(&sql, " LIMIT %d) AS f ORDER BY f.distance LIMIT %d) AS c, %s AS t "
					 "WHERE t.ctid OPERATOR(pg_catalog.=) c.place "
					 "AND t.tableoid OPERATOR(pg_catalog.=) c.part ORDER BY c.distance",
					 ncandidates, search->k, qualified);
	return sql.data;
}

/* ---- running it ---- */

/* Set until the GUC nesting level ends. */
static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Let an index scan go on until it has found all candidates of the first pass.  Their order does
 * not matter, for they are sorted by the float column: in relaxed order none is put off for
 * coming late.
 */
static void
widen_scans(int nwanted)
{
	double		memory = (double) nwanted * CODES_PER_CANDIDATE * NBYTES_PER_CODE / (work_mem * 1024.0);

	/* else the effort is that of the index's curve, and of so many candidates */
	if (qhnsw_ef_search > 0)
		set_locally("qhnsw.ef_search", psprintf("%d", Min(Max(qhnsw_ef_search, nwanted), QH_MAX_EF_SEARCH)));
	set_locally("qhnsw.iterative_scan", "relaxed_order");
	set_locally("qhnsw.max_scan_tuples", psprintf("%d", INT_MAX));
	memory = Min(Max(qhnsw_scan_mem_multiplier, ceil(memory)), 1000);
	set_locally("qhnsw.scan_mem_multiplier", psprintf("%g", memory));
}

/*
 * Run the query with so many candidates.  True if their codes are all at one distance, which is then *code, and
 * there may be more like them.
 */
static bool
execute(const Search *search, int ncandidates, Datum *code, bool up_to)
{
	Oid			types[2] = {FLOAT4ARRAYOID, FLOAT8OID};
	Datum		values[2] = {search->query, *code};
	const char *sql = write_query(search, ncandidates, up_to);
	int			nest_level = NewGUCNestLevel();
	bool		isnull = true;

	widen_scans(ncandidates);
	/* read only: under the snapshot of the query that calls */
	if (SPI_execute_with_args(sql, up_to ? 2 : 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of query: %s", sql);
	AtEOXact_GUC(true, nest_level);
	if (SPI_processed > 0)
		*code = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull);
	return !isnull;
}

/*
 * Run the query, and put its rows into the result.  Codes that do not tell the candidates apart choose none: all rows
 * like them are candidates then.
 */
static void
run(FunctionCallInfo fcinfo, const Search *search)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		code = (Datum) 0;

	if (execute(search, first_pass(search), &code, false))
		(void) execute(search, MOST_ALIKE, &code, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		row[2];
		bool		isnull[2];

		for (int column = 0; column < 2; column++)
			row[column] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
										column + 1, &isnull[column]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, isnull);
	}
}

/*
 * qvec_search(anyelement, code_column, float_column, query, k, oversample, metric, filter):
 * rows and their exact distances, nearest first.
 */
Datum
qvec_search(PG_FUNCTION_ARGS)
{
	Search		search = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (!read_arguments(fcinfo, &search))
		return (Datum) 0;
	if (search.filter)
		check_filter(search.filter);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run(fcinfo, &search);
	SPI_finish();
	return (Datum) 0;
}
