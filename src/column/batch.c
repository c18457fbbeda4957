/*
 * batch.c
 *		Rows of the table, collected until the value of an index's expression is computed for all of them at once.
 *
 * The batch function takes an array of arguments and gives a matrix, one row for each.  Must not
 * know where rows come from and what their values are for.  BATCHES.md in this folder.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "column/batch.h"
#include "column/options.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* A batch is full, too, when its arguments take this share of work_mem. */
#define ARGUMENTS_SHARE		4

/* The index's info with the argument in place of its first expression. */
static IndexInfo *
info_of_arguments(const IndexInfo *info, const QhBatchFunction *function)
{
	IndexInfo  *result = makeNode(IndexInfo);

	memcpy(result, info, sizeof(IndexInfo));
	result->ii_Expressions = list_copy(info->ii_Expressions);
	linitial(result->ii_Expressions) = expression_planner((Expr *) copyObject(function->argument));
	result->ii_ExpressionsState = NIL;
	result->ii_PredicateState = NULL;
	return result;
}

QhBatch *
qh_batch_begin(Relation index, const IndexInfo *info)
{
	MemoryContext cxt;
	MemoryContext old;
	QhBatch    *batch;

	if (qh_option_batch_function(index) == NULL)
		return NULL;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw batch", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	batch = palloc0(sizeof(QhBatch));
	qh_batch_function(index, &batch->function);
	batch->cxt = cxt;
	batch->row_cxt = AllocSetContextCreate(cxt, "qhnsw batch rows", ALLOCSET_DEFAULT_SIZES);
	batch->info = info_of_arguments(info, &batch->function);
	batch->desc = RelationGetDescr(index);
	batch->natts = batch->desc->natts;
	batch->rows = palloc(sizeof(QhBatchRow) * batch->function.size);
	fmgr_info_cxt(batch->function.function, &batch->flinfo, cxt);
	MemoryContextSwitchTo(old);
	return batch;
}

void
qh_batch_end(QhBatch *batch)
{
	MemoryContextDelete(batch->cxt);
}

/* ---- rows ---- */

/* A copy with nothing left out of line, which might be gone when it is read. */
static Datum
copy_value(Datum value, bool typbyval, int16 typlen)
{
	if (typlen == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, typbyval, typlen);
}

static Size
argument_nbytes(const QhBatch *batch, Datum value)
{
	return batch->function.typlen == -1 ? VARSIZE_ANY(DatumGetPointer(value)) : sizeof(Datum);
}

bool
qh_batch_add(QhBatch *batch, const ItemPointerData *tid, const Datum *values, const bool *isnull, bool alive)
{
	const QhBatchFunction *function = &batch->function;
	QhBatchRow *row = &batch->rows[batch->n];
	MemoryContext old = MemoryContextSwitchTo(batch->row_cxt);

	Assert(batch->n < function->size && !batch->computed);
	row->tid = *tid;
	row->alive = alive;
	row->values = palloc(sizeof(Datum) * batch->natts);
	row->isnull = palloc(sizeof(bool) * batch->natts);
	for (int i = 0; i < batch->natts; i++)
	{
		FormData_pg_attribute *att = TupleDescAttr(batch->desc, i);

		row->isnull[i] = isnull[i];
		row->values[i] = isnull[i] ? (Datum) 0 :
			i == 0 ? copy_value(values[i], function->typbyval, function->typlen) :
			copy_value(values[i], att->attbyval, att->attlen);
	}
	if (!isnull[0])
		batch->nbytes += argument_nbytes(batch, row->values[0]);
	MemoryContextSwitchTo(old);
	batch->n++;
	return batch->n == function->size || batch->nbytes > (Size) work_mem * 1024 / ARGUMENTS_SHARE;
}

void
qh_batch_clear(QhBatch *batch)
{
	MemoryContextReset(batch->row_cxt);
	batch->n = 0;
	batch->nbytes = 0;
	batch->computed = false;
}

/* ---- values ---- */

/* What the expression's own function says of NULL, which the batch function is never given. */
static void
learn_of_null(QhBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(batch->cxt);
	FuncExpr   *call = copyObject(batch->function.call);
	EState	   *estate;
	ExprState  *state;
	Datum		value;

	batch->knows_null = batch->null_is_null = true;
	if (!func_strict(call->funcid))
	{
		Node	   *argument = linitial(call->args);

		linitial(call->args) = makeNullConst(exprType(argument), exprTypmod(argument), exprCollation(argument));
		estate = CreateExecutorState();
		state = ExecPrepareExpr((Expr *) call, estate);
		value = ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), &batch->null_is_null);
		if (!batch->null_is_null)
			batch->of_null = copy_value(value, false, -1);
		FreeExecutorState(estate);
	}
	MemoryContextSwitchTo(old);
}

/* Whose fault an error is. */
static void
add_context(void *arg)
{
	const QhBatch *batch = (const QhBatch *) arg;

	errcontext("batch function %s for %d rows", batch->function.name, batch->n);
}

/* Is the matrix one of a vector for each of n values?  An error if it is not. */
static void
check_matrix(const QhBatch *batch, ArrayType *matrix, int n, uint32 ndims)
{
	const char *name = batch->function.name;
	int			nrows = ARR_NDIM(matrix) > 0 ? ARR_DIMS(matrix)[0] : 0;

	if (ARR_NDIM(matrix) > 0 && ARR_NDIM(matrix) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("batch function %s returned an array of %d dimensions, not of two", name, ARR_NDIM(matrix)),
				 errdetail("It must return a row for each value.")));
	if (nrows != n)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("batch function %s returned %d vectors for %d values", name, nrows, n)));
	if (array_contains_nulls(matrix))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("batch function %s returned a vector with a NULL element", name)));
	if (ndims > 0 && ARR_DIMS(matrix)[1] != ndims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("batch function %s returned vectors of %d dimensions, not of %u", name, ARR_DIMS(matrix)[1], ndims)));
}

/* A row of the matrix as a vector. */
static Datum
row_of_matrix(ArrayType *matrix, int i)
{
	int			ndims = ARR_DIMS(matrix)[1];
	Size		nbytes = ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * (Size) ndims;
	ArrayType  *vector = palloc0(nbytes);

	SET_VARSIZE(vector, nbytes);
	vector->ndim = 1;
	vector->elemtype = FLOAT4OID;
	ARR_DIMS(vector)[0] = ndims;
	ARR_LBOUND(vector)[0] = 1;
	memcpy(ARR_DATA_PTR(vector), (const float4 *) ARR_DATA_PTR(matrix) + (Size) ndims * i, sizeof(float4) * (Size) ndims);
	return PointerGetDatum(vector);
}

/* The function's answer for n arguments. */
static ArrayType *
call_function(QhBatch *batch, Datum *arguments, int n)
{
	const QhBatchFunction *function = &batch->function;
	ArrayType  *array = construct_array(arguments, n, function->type, function->typlen, function->typbyval, function->typalign);
	LOCAL_FCINFO(fcinfo, 1);
	PgStat_FunctionCallUsage usage;
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &batch->flinfo, 1, function->call->inputcollid, NULL, NULL);
	fcinfo->args[0].value = PointerGetDatum(array);
	fcinfo->args[0].isnull = false;
	pgstat_init_function_usage(fcinfo, &usage);
	result = FunctionCallInvoke(fcinfo);
	pgstat_end_function_usage(&usage, true);
	batch->ncalls++;
	batch->nvalues += n;
	if (fcinfo->isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("batch function %s returned NULL for %d values", function->name, n)));
	return DatumGetArrayTypeP(result);
}

/* Put vectors in the place of arguments. */
static void
fill(QhBatch *batch, uint32 ndims)
{
	Datum	   *arguments = palloc(sizeof(Datum) * batch->n);
	ArrayType  *matrix = NULL;
	int			n = 0;
	int			next = 0;

	for (int i = 0; i < batch->n; i++)
	{
		if (!batch->rows[i].isnull[0])
			arguments[n++] = batch->rows[i].values[0];
	}
	if (n > 0)
	{
		matrix = call_function(batch, arguments, n);
		check_matrix(batch, matrix, n, ndims);
	}
	if (n < batch->n && !batch->knows_null)
		learn_of_null(batch);
	for (int i = 0; i < batch->n; i++)
	{
		QhBatchRow *row = &batch->rows[i];

		if (!row->isnull[0])
			row->values[0] = row_of_matrix(matrix, next++);
		else
		{
			row->values[0] = batch->of_null;
			row->isnull[0] = batch->null_is_null;
		}
	}
}

void
qh_batch_compute(QhBatch *batch, uint32 ndims)
{
	MemoryContext old = MemoryContextSwitchTo(batch->row_cxt);
	ErrorContextCallback context = {.callback = add_context, .arg = batch};

	CHECK_FOR_INTERRUPTS();
	Assert(!batch->computed);
	context.previous = error_context_stack;
	error_context_stack = &context;
	fill(batch, ndims);
	error_context_stack = context.previous;
	batch->computed = true;
	MemoryContextSwitchTo(old);
}
