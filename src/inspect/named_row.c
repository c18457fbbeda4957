/*
 * named_row.c
 *		A result row of an SQL function, put together by the names of its columns.
 *
 * Must not know what the columns mean.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "inspect/named_row.h"

void
qh_named_row_begin(QhNamedRow *row, FunctionCallInfo fcinfo)
{
	if (get_call_result_type(fcinfo, NULL, &row->desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	row->values = palloc0(sizeof(Datum) * row->desc->natts);
	row->nulls = palloc(sizeof(bool) * row->desc->natts);
	memset(row->nulls, true, sizeof(bool) * row->desc->natts);
	row->nset = 0;
}

/* Position of a column, from 0. */
static int
find_column(const QhNamedRow *row, const char *column)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(row->desc, i)->attname), column) == 0)
			return i;
	}
	elog(ERROR, "function result has no column \"%s\"", column);
	return -1;
}

void
qh_named_row_set(QhNamedRow *row, const char *column, Datum value)
{
	int			i = find_column(row, column);

	Assert(row->nulls[i]);
	row->values[i] = value;
	row->nulls[i] = false;
	row->nset++;
}

void
qh_named_row_set_null(QhNamedRow *row, const char *column)
{
	Assert(row->nulls[find_column(row, column)]);
	row->nset++;
}

Datum
qh_named_row_end(QhNamedRow *row)
{
	Assert(row->nset == row->desc->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row->desc), row->values, row->nulls));
}

void
qh_named_row_store(QhNamedRow *row, ReturnSetInfo *rsinfo)
{
	Assert(row->nset == row->desc->natts);
	tuplestore_putvalues(rsinfo->setResult, row->desc, row->values, row->nulls);
}
