/*
 * calibrate.c
 *		qhnsw_calibrate: measures what search effort reaches which recall, and keeps that in the index.
 *
 * Reads the queries that it is given with the caller's rights.  How recall is measured is
 * src/calibrate's.  See README.md, section "Calibration".
 */
#include "compat.h"

#include "access/table.h"
#include "calibrate/calibrate.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "inspect/inspect.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "store/curve.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(qhnsw_calibrate);
PG_FUNCTION_INFO_V1(qhnsw_calibrate_on);
PG_FUNCTION_INFO_V1(qhnsw_calibrate_named);

/* Queries given of which no more than these are taken, at random; and rows read at a time. */
#define MAX_QUERIES		500
#define FETCH_NROWS		100

/* Rows of the table for each that is drawn as a query, and queries at least. */
#define NROWS_PER_QUERY	20
#define LEAST_NQUERIES	200

/* A fixed one: two measurements of the same queries take the same of them. */
#define SAMPLE_SEED		UINT64CONST(0x71686E7377)

/* Queries of the indexed type, and those that were seen. */
typedef struct Queries
{
	Relation	index;
	MemoryContext cxt;
	int16		typlen;
	uint32		ndims;			/* of the index */
	Datum		values[MAX_QUERIES];
	int			n;
	uint64		nseen;
	pg_prng_state prng;
} Queries;

/* ---- queries ---- */

static void
queries_init(Queries *queries, Relation index)
{
	QhIndex    *ix = qh_index_acquire(index, CurrentMemoryContext);

	memset(queries, 0, sizeof(*queries));
	queries->index = index;
	queries->cxt = CurrentMemoryContext;
	queries->typlen = get_typlen(index->rd_opcintype[0]);
	queries->ndims = ix->meta.ndims;
	pg_prng_seed(&queries->prng, SAMPLE_SEED);
}

/* May the value be a query?  An error for another dimension; false where nothing is near to it. */
static bool
is_query(const Queries *queries, Datum value)
{
	const QhColumn *column = qh_column(queries->index);
	QhValue		read;

	qh_column_read(column, value, &read);
	if (queries->ndims > 0 && read.ndims != queries->ndims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %u and %u", queries->ndims, read.ndims),
				 errdetail("The vectors of index \"%s\" have %u dimensions, the query has %u.",
						   RelationGetRelationName(queries->index), queries->ndims, read.ndims)));
	return qh_column_indexable(column, &read, queries->ndims);
}

/* Take a value as a query; where there are too many, each has the same chance. */
static void
queries_add(Queries *queries, Datum value)
{
	uint64		place = queries->nseen;
	MemoryContext old;

	if (queries->typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	if (!is_query(queries, value))
		return;
	if (queries->nseen >= MAX_QUERIES)
		place = pg_prng_uint64_range(&queries->prng, 0, queries->nseen);
	queries->nseen++;
	if (place >= MAX_QUERIES)
		return;
	if (place < queries->n)
		pfree(DatumGetPointer(queries->values[place]));
	old = MemoryContextSwitchTo(queries->cxt);
	queries->values[place] = datumCopy(value, false, queries->typlen);
	MemoryContextSwitchTo(old);
	queries->n = Max(queries->n, (int) place + 1);
}

/* "bit" in SQL is bit(1); that a modifier was looked for makes it the type without one. */
static const char *
indexed_type(const Queries *queries)
{
	return format_type_extended(queries->index->rd_opcintype[0], -1,
								FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_TYPEMOD_GIVEN);
}

/* Add what a query's only column holds, in the indexed type. */
static void
queries_add_result(Queries *queries, Portal portal)
{
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_NROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			if (!isnull)
				queries_add(queries, value);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
}

/* Run a query with one parameter, or none. */
static void
queries_run(Queries *queries, const char *sql, int nargs, Datum arg)
{
	Oid			types[1] = {FLOAT4ARRAYOID};
	Portal		portal;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	portal = SPI_cursor_open_with_args(NULL, sql, nargs, types, &arg, NULL, true, 0);
	queries_add_result(queries, portal);
	SPI_cursor_close(portal);
	SPI_finish();
}

/* A vector, or rows of a matrix. */
static void
queries_from_array(Queries *queries, ArrayType *array)
{
	int			ndim = ARR_NDIM(array);
	int			width = ndim > 0 ? ARR_DIMS(array)[ndim - 1] : 0;
	int			n = ArrayGetNItems(ndim, ARR_DIMS(array));
	const float4 *elements = (const float4 *) ARR_DATA_PTR(array);
	const char *sql = psprintf("SELECT CAST($1 AS %s)", indexed_type(queries));
	Datum	   *values = palloc(sizeof(Datum) * Max(width, 1));

	if (ndim > 2)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("queries must be a vector or an array of vectors")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("queries must not contain nulls")));
	for (int from = 0; from < n; from += width)
	{
		ArrayType  *vector;

		for (int i = 0; i < width; i++)
			values[i] = Float4GetDatum(elements[from + i]);
		vector = construct_array(values, width, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT);
		if (queries->index->rd_opcintype[0] == FLOAT4ARRAYOID)
			queries_add(queries, PointerGetDatum(vector));
		else
			queries_run(queries, sql, 1, PointerGetDatum(vector));
		pfree(vector);
	}
}

static void
queries_from_table(Queries *queries, Oid source, const char *column)
{
	const char *name = get_rel_name(source);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", source)));
	queries_run(queries,
				psprintf("SELECT CAST(%s AS %s) FROM %s", quote_identifier(column), indexed_type(queries),
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(source)), name)),
				0, (Datum) 0);
}

/* ---- measuring ---- */

static Relation
open_index(Oid oid, int k, Relation *heap)
{
	Relation	index;

	PreventCommandDuringRecovery("qhnsw_calibrate()");
	PreventCommandIfReadOnly("qhnsw_calibrate()");
	PreventCommandIfParallelMode("qhnsw_calibrate()");
	qh_inspect_check_argument("k", k, QH_CALIBRATE_MAX_K);
	index = qh_inspect_open(oid, heap);
	if (!index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(index))));
	qh_inspect_check_rights(*heap);
	return index;
}

/* Measure as the owner of the table, restricted, as in any maintenance. */
static bool
measure_as_owner(QhCalibration *what, QhCurveData *curve)
{
	BlockNumber nblocks;
	double		allvisible;
	Oid			user;
	int			security;
	int			nest_level;
	bool		done;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(what->heap->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	qh_restrict_search_path();
	what->snapshot = RegisterSnapshot(GetActiveSnapshot());
	estimate_rel_size(what->heap, NULL, &nblocks, &what->nrows, &allvisible);
	what->nwanted = (int) Min(Max(what->nrows / NROWS_PER_QUERY, LEAST_NQUERIES), QH_CALIBRATE_NQUERIES);
	done = qh_calibrate(what, curve);
	UnregisterSnapshot(what->snapshot);
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, security);
	return done;
}

static void
put_points(FunctionCallInfo fcinfo, const QhCurveData *curve)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint32 i = 0; i < curve->npoints; i++)
	{
		const QhCurvePoint *point = &curve->points[i];
		bool		isnull[4] = {false};
		Datum		row[4] = {
			Float4GetDatum(point->target), Int32GetDatum((int32) point->ef),
			Float4GetDatum(point->doubt), Float4GetDatum(point->recall)
		};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, isnull);
	}
}

/* queries: NULL = rows of the table. */
static void
calibrate(FunctionCallInfo fcinfo, QhCalibration *what, const Queries *queries)
{
	QhCurveData curve;

	if (queries != NULL)
	{
		if (queries->n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there are no queries to measure recall with")));
		what->queries = queries->values;
		what->nqueries = queries->n;
	}
	if (!measure_as_owner(what, &curve))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" has too few rows to measure recall", RelationGetRelationName(what->index)),
				 errdetail("At least %d different vectors are needed.", QH_CALIBRATE_MIN_NROWS)));
	qh_curve_write(what->index, &curve);
	put_points(fcinfo, &curve);
	index_close(what->index, AccessShareLock);
	table_close(what->heap, AccessShareLock);
}

/* qhnsw_calibrate(index, queries real[] DEFAULT NULL, k DEFAULT 10) */
Datum
qhnsw_calibrate(PG_FUNCTION_ARGS)
{
	QhCalibration what = {0};
	Queries    *queries = NULL;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		return (Datum) 0;
	what.k = PG_GETARG_INT32(2);
	what.index = open_index(PG_GETARG_OID(0), what.k, &what.heap);
	if (!PG_ARGISNULL(1))
	{
		queries = palloc(sizeof(Queries));
		queries_init(queries, what.index);
		queries_from_array(queries, PG_GETARG_ARRAYTYPE_P(1));
	}
	calibrate(fcinfo, &what, queries);
	return (Datum) 0;
}

static void
calibrate_on(FunctionCallInfo fcinfo, Oid source)
{
	QhCalibration what = {0};
	Queries    *queries = palloc(sizeof(Queries));

	InitMaterializedSRF(fcinfo, 0);
	what.k = PG_GETARG_INT32(3);
	what.index = open_index(PG_GETARG_OID(0), what.k, &what.heap);
	queries_init(queries, what.index);
	queries_from_table(queries, source, NameStr(*PG_GETARG_NAME(2)));
	calibrate(fcinfo, &what, queries);
}

/* qhnsw_calibrate(index, source, vector_column, k DEFAULT 10) */
Datum
qhnsw_calibrate_on(PG_FUNCTION_ARGS)
{
	calibrate_on(fcinfo, PG_GETARG_OID(1));
	return (Datum) 0;
}

/* The same with the source by name: what literals without a type are taken for. */
Datum
qhnsw_calibrate_named(PG_FUNCTION_ARGS)
{
	calibrate_on(fcinfo, DatumGetObjectId(DirectFunctionCall1(text_regclass, PG_GETARG_DATUM(1))));
	return (Datum) 0;
}
