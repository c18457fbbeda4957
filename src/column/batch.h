/*
 * batch.h
 *		Rows of the table, collected until the value of an index's expression is computed for all of them at once.
 *
 * Floor 4.  See BATCHES.md in this folder.
 */
#ifndef QH_BATCH_H
#define QH_BATCH_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "column/batch_function.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"

/* A row: what FormIndexDatum() gave for it, copied. */
typedef struct QhBatchRow
{
	ItemPointerData tid;
	bool		alive;			/* as an IndexBuildCallback is told */
	Datum	   *values;
	bool	   *isnull;
} QhBatchRow;

typedef struct QhBatch
{
	QhBatchFunction function;
	IndexInfo  *info;			/* as the index's own, but for what the function is called with in place of its first expression */
	int			natts;
	TupleDesc	desc;			/* of the index */
	QhBatchRow *rows;			/* those collected */
	int			n;
	bool		computed;		/* their first values are vectors, no arguments */

	uint64		ncalls;			/* of the function since the batch began, and values that came of them */
	uint64		nvalues;

	MemoryContext cxt;			/* of all this */
	MemoryContext row_cxt;		/* of the rows */
	Size		nbytes;			/* of their arguments */
	FmgrInfo	flinfo;
	bool		knows_null;		/* the expression's value for NULL is known */
	bool		null_is_null;	/* it is NULL */
	Datum		of_null;
} QhBatch;

/*
 * Begin to collect rows, in the current memory context: NULL where the index has no batch function.
 * info is the index's own.  Rows are given in the order in which they were added.
 */
extern QhBatch *qh_batch_begin(Relation index, const IndexInfo *info);
extern void qh_batch_end(QhBatch *batch);

/*
 * Add a row: what FormIndexDatum() made of it by the batch's info.  True if the batch is full, and
 * must be computed and cleared before another row comes.
 */
extern bool qh_batch_add(QhBatch *batch, const ItemPointerData *tid, const Datum *values, const bool *isnull, bool alive);

/*
 * Compute the first values of the rows, vectors of ndims dimensions (0 = any), by one call of the
 * function.  An error if it does not give a vector for each.
 */
extern void qh_batch_compute(QhBatch *batch, uint32 ndims);
/* Forget the rows. */
extern void qh_batch_clear(QhBatch *batch);

#endif							/* QH_BATCH_H */
