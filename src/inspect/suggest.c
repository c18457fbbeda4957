/*
 * suggest.c
 *		qhnsw_suggest: options for an index of a column, by the bytes that it may take and the recall that is wanted.
 *
 * Reads arguments and gives rows.  See README.md, section "Suggestions".
 */
#include "compat.h"

#include <math.h>

#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "inspect/inspect.h"
#include "inspect/suggest.h"
#include "calibrate/measure.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(qhnsw_suggest);

typedef struct Request
{
	ReturnSetInfo *rsinfo;
	const char *column;
	Oid			am;
	const char *opclass;		/* NULL = the type's default */
	Oid			opclass_oid;
	double		share;			/* of the table; 0 = none is said */
	double		nbytes;			/* likewise */
	double		target;			/* likewise */
} Request;

/* ---- arguments ---- */

/* '5%' is a share of the table, anything else a size. */
static void
read_budget(Request *request, const char *text)
{
	size_t		n = strlen(text);
	char	   *end;

	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	if (n == 0 || text[n - 1] != '%')
	{
		request->nbytes = (double) DatumGetInt64(DirectFunctionCall1(pg_size_bytes, CStringGetTextDatum(text)));
		if (request->nbytes <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("budget must be greater than zero, not \"%s\"", text)));
		return;
	}
	request->share = strtod(text, &end) / 100;
	end += strspn(end, " \t");
	if (end != text + n - 1 || !(request->share > 0) || !isfinite(request->share))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid budget: \"%s\"", text),
				 errhint("Give a share of the table, as \"5%%\", or a size, as \"2 GB\".")));
}

static void
read_target(Request *request, double target)
{
	if (!(target >= QH_MIN_TARGET_RECALL && target <= QH_MAX_TARGET_RECALL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target_recall must be between %g and %g, not %g", QH_MIN_TARGET_RECALL, QH_MAX_TARGET_RECALL, target)));
	request->target = rint(target * 1e6) / 1e6;
}

/* ---- the column ---- */

static void
find_attribute(const Request *request, QhSuggestColumn *what)
{
	const char *name = RelationGetRelationName(what->heap);
	FormData_pg_attribute *att;

	what->attno = get_attnum(RelationGetRelid(what->heap), request->column);
	if (what->attno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", request->column, name)));
	if (what->attno < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of relation \"%s\" is a system column", request->column, name)));
	att = TupleDescAttr(RelationGetDescr(what->heap), what->attno - 1);
	what->typmod = att->atttypmod;
	what->type = getBaseTypeAndTypmod(att->atttypid, &what->typmod);
}

/* The operator class: the one that was named, else the type's default; and what it says. */
static void
find_opclass(const Request *request, QhSuggestColumn *what)
{
	Oid			usual = GetDefaultOpClass(what->type, request->am);
	Oid			input;
	Oid			proc;

	what->opclass = request->opclass != NULL ? request->opclass_oid : usual;
	if (!OidIsValid(what->opclass))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot have a qhnsw index", request->column, format_type_be(what->type)),
				 errdetail("There is no default operator class for its type.")));
	input = get_opclass_input_type(what->opclass);
	if (input != what->type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("operator class \"%s\" does not accept data type %s", request->opclass, format_type_be(what->type))));
	what->is_default = what->opclass == usual;
	proc = get_opfamily_proc(get_opclass_family(what->opclass), input, input, QH_COLUMN_PROC);
	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot have a qhnsw index", request->column, format_type_be(what->type)),
				 errdetail("Its operator class is one of filter columns.")));
	what->column = (const QhColumn *) DatumGetPointer(OidFunctionCall1(proc, PointerGetDatum(NULL)));
}

/* ---- rows of the result ---- */

static char *
command(const Request *request, const QhSuggestColumn *what, const QhSuggestion *found)
{
	return psprintf("CREATE INDEX ON %s USING qhnsw (%s%s%s) WITH (%s)",
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(what->heap)),
											   RelationGetRelationName(what->heap)),
					quote_identifier(request->column), what->is_default ? "" : " ",
					what->is_default ? "" : qh_suggest_opclass_name(what), found->options);
}

static void
put_row(const Request *request, const QhSuggestColumn *what, const QhSuggestion *found, double table_nbytes)
{
	bool		isnull[5] = {false};
	Datum		row[5] = {
		CStringGetTextDatum(found->options), Int64GetDatum((int64) found->nbytes),
		Float8GetDatum(found->nbytes / Max(table_nbytes, 1)), Float8GetDatum(rint(found->recall * 1e4) / 1e4),
		CStringGetTextDatum(command(request, what, found))
	};

	tuplestore_putvalues(request->rsinfo->setResult, request->rsinfo->setDesc, row, isnull);
}

static void
refuse_budget(const QhSuggestColumn *what, double max_nbytes, double smallest, double table_nbytes)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no index of table \"%s\" takes as little as %.0f bytes", RelationGetRelationName(what->heap), floor(max_nbytes)),
			 errdetail("The smallest would take about %.0f bytes, %.1f%% of the table.", smallest, 100 * smallest / Max(table_nbytes, 1))));
}

/* ---- a table ---- */

/* Its bytes, out-of-line values included. */
static double
table_nbytes(Relation heap)
{
	return (double) DatumGetInt64(DirectFunctionCall1(pg_table_size, ObjectIdGetDatum(RelationGetRelid(heap))));
}

/* Suggestions for a table, max_rows of them (0 = all).  False if there are too few rows. */
static bool
suggest_for(const Request *request, Relation heap, double budget, int max_rows)
{
	QhSuggestColumn what = {heap};
	QhSuggestSample sample = {.cxt = CurrentMemoryContext};
	QhSuggestion *found;
	double		total = table_nbytes(heap);
	double		smallest;
	int			n;

	find_attribute(request, &what);
	find_opclass(request, &what);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (!qh_suggest_draw(&what, &sample))
	{
		qh_suggest_drop(&sample);
		SPI_finish();
		return false;
	}
	n = qh_suggest_options(&what, &sample, request->target, budget, &found, &smallest);
	qh_suggest_drop(&sample);
	if (n == 0 && budget > 0)
		refuse_budget(&what, budget, smallest, total);
	for (int i = 0; i < n && (max_rows == 0 || i < max_rows); i++)
		put_row(request, &what, &found[i], total);
	SPI_finish();
	return true;
}

static void
refuse_too_few(Relation heap)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" has too few rows to measure on", RelationGetRelationName(heap)),
			 errdetail("At least %d vectors are needed.", QH_SUGGEST_MIN_NROWS)));
}

/* The best for each partition that has rows enough, as an index on the whole is one on each. */
static void
suggest_for_partitions(const Request *request, Relation parent)
{
	List	   *oids = find_all_inheritors(RelationGetRelid(parent), AccessShareLock, NULL);
	double		total = 0;
	bool		found = false;
	ListCell   *lc;

	foreach(lc, oids)
	{
		Relation	heap = table_open(lfirst_oid(lc), NoLock);

		if (heap->rd_rel->relkind == RELKIND_RELATION)
			total += table_nbytes(heap);
		table_close(heap, NoLock);
	}
	foreach(lc, oids)
	{
		Relation	heap = table_open(lfirst_oid(lc), NoLock);
		double		share = request->share > 0 ? request->share : request->nbytes / Max(total, 1);

		if (heap->rd_rel->relkind == RELKIND_RELATION)
			found |= suggest_for(request, heap, share * table_nbytes(heap), 1);
		table_close(heap, NoLock);
	}
	if (!found)
		refuse_too_few(parent);
}

static void
suggest(const Request *request, Relation heap)
{
	char		kind = heap->rd_rel->relkind;

	qh_inspect_check_rights(heap);
	if (kind == RELKIND_PARTITIONED_TABLE)
		suggest_for_partitions(request, heap);
	else if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table or materialized view", RelationGetRelationName(heap))));
	else if (!suggest_for(request, heap, request->share > 0 ? request->share * table_nbytes(heap) : request->nbytes, 0))
		refuse_too_few(heap);
}

/* qhnsw_suggest(table, column, budget DEFAULT NULL, target_recall DEFAULT NULL, opclass DEFAULT NULL) */
Datum
qhnsw_suggest(PG_FUNCTION_ARGS)
{
	Request		request = {0};
	Relation	heap;
	int			nest_level;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	PreventCommandDuringRecovery("qhnsw_suggest()");
	PreventCommandIfReadOnly("qhnsw_suggest()");
	PreventCommandIfParallelMode("qhnsw_suggest()");
	request.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	request.am = get_index_am_oid("qhnsw", false);
	request.column = NameStr(*PG_GETARG_NAME(1));
	if (!PG_ARGISNULL(2))
		read_budget(&request, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (!PG_ARGISNULL(3))
		read_target(&request, PG_GETARG_FLOAT8(3));
	if (!PG_ARGISNULL(4))
	{
		request.opclass = text_to_cstring(PG_GETARG_TEXT_PP(4));
		request.opclass_oid = get_opclass_oid(request.am, qh_qualified_name_list(request.opclass), false);
	}
	heap = table_open(PG_GETARG_OID(0), AccessShareLock);

	/* scans and the effort of an index are to be what they are by themselves, whatever the session's settings */
	nest_level = NewGUCNestLevel();
	qh_measure_set_neutral();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	suggest(&request, heap);
	AtEOXact_GUC(false, nest_level);
	table_close(heap, AccessShareLock);
	return (Datum) 0;
}
