/*
 * batched_scan.h
 *		Scans of a table for what is to be indexed, with the expression computed for many rows at once where the index says how.
 */
#ifndef QH_BATCHED_SCAN_H
#define QH_BATCHED_SCAN_H

#include "postgres.h"

#include "access/tableam.h"
#include "column/batch.h"
#include "nodes/execnodes.h"

typedef struct QhBatchedScan
{
	/* the caller's */
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	IndexBuildCallback callback;
	void	   *state;
	const uint32 *ndims;		/* of the vectors; 0 while it is not known */
	/* ours */
	QhBatch    *batch;			/* NULL = rows go to the callback as they come */
} QhBatchedScan;

/*
 * Begin, scan, end.  What is scanned between may be the table, or ranges of it one after the other;
 * the callback has had all rows at the end.  It is given what table_index_build_scan() gives.
 */
extern void qh_batched_begin(QhBatchedScan *scan);
/* Returns the number of tuples; how is NULL, or a scan that is shared with others. */
extern double qh_batched_table(QhBatchedScan *scan, bool allow_sync, bool progress, TableScanDesc how);
extern void qh_batched_block(QhBatchedScan *scan, BlockNumber blkno);
extern void qh_batched_end(QhBatchedScan *scan);
/* Rows that the callback is still to be given. */
extern uint32 qh_batched_pending(const QhBatchedScan *scan);

#endif							/* QH_BATCHED_SCAN_H */
