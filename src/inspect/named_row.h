/*
 * named_row.h
 *		A result row of an SQL function, put together by the names of its columns.
 *
 * Rows of these functions have up to 33 columns: a value that is set by name cannot slip into
 * its neighbour's place when the SQL declaration and the C code are changed.
 */
#ifndef QH_NAMED_ROW_H
#define QH_NAMED_ROW_H

#include "fmgr.h"
#include "access/tupdesc.h"
#include "nodes/execnodes.h"

typedef struct QhNamedRow
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	int			nset;			/* columns that were set */
} QhNamedRow;

/* Begin the row that the function returns, whose OUT parameters name the columns. */
extern void qh_named_row_begin(QhNamedRow *row, FunctionCallInfo fcinfo);

/* Set a column, which must exist and not have been set. */
extern void qh_named_row_set(QhNamedRow *row, const char *column, Datum value);
extern void qh_named_row_set_null(QhNamedRow *row, const char *column);

/* The row, or add it to those that a set-returning function returns; every column must have been set. */
extern Datum qh_named_row_end(QhNamedRow *row);
extern void qh_named_row_store(QhNamedRow *row, ReturnSetInfo *rsinfo);

#endif							/* QH_NAMED_ROW_H */
