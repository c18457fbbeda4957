/*
 * measure.h
 *		The state of a measurement, which the files of this room share.
 *
 * The prototypes stand in the order of the files, from the lowest to the highest: a file calls
 * those before it and none behind it.
 */
#ifndef QH_MEASURE_H
#define QH_MEASURE_H

#include "access/relscan.h"
#include "access/tableam.h"
#include "calibrate/calibrate.h"
#include "column/batch.h"
#include "column/column.h"
#include "column/effort.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "portability/instr_time.h"
#include "store/index_cache.h"

/* A query, and the distances of the rows nearest to it. */
typedef struct QhQuery
{
	Datum		value;
	ItemPointerData tid;		/* of the row that it was drawn from, as the index has it; invalid = none */
	ItemPointerData version;	/* and of the version that the snapshot sees */
	bool		alone;			/* no other row has its code */
	QhNode		node;			/* of that code; of rows drawn */
	double	   *nearest;		/* a max-heap */
	int			nnearest;
} QhQuery;

typedef struct QhMeasure
{
	const QhCalibration *what;
	MemoryContext cxt;			/* of all that follows */
	QhIndex    *ix;
	const QhColumn *column;
	FmgrInfo	distance;
	Oid			collation;
	int16		typlen;

	IndexInfo  *info;
	EState	   *estate;
	TupleTableSlot *slot;
	MemoryContext row_cxt;		/* reset after each row */
	IndexFetchTableData *fetch;
	IndexScanDesc scan;
	QhBatch    *batch;			/* rows whose values are computed together; NULL where each is alone */

	QhQuery    *queries;
	int			nqueries;
	int			least;			/* so many tell something */
	bool		drawn;			/* queries are rows of the table, which are left out of their answers */
	double		row_ms;			/* to fetch and evaluate a row, as found when they were drawn */

	instr_time	start;
	double		start_ms;		/* processor time */
	double		work;			/* of scans so far, in codes scored at random places */
} QhMeasure;

/* ---- rows.c: rows of the table, their values and distances ---- */

/*
 * Milliseconds that are counted for a code scored at a random place: about twice what it takes, so that
 * scans end by what they have done, not by what else the machine does.  doc/decisions/0212.
 */
#define QH_MS_PER_CODE	5e-5

extern void qh_measure_begin(QhMeasure *measure, const QhCalibration *what);
extern void qh_measure_end(QhMeasure *measure);
/*
 * Milliseconds that it has taken: by what scans have done, of the processor, or part of those that went by, whichever
 * is most.
 */
extern double qh_measure_elapsed(const QhMeasure *measure);
/* Is this share of the time over? */
extern bool qh_measure_is_over(const QhMeasure *measure, double share);
/* What is done with the indexed value of a row; in row_cxt, in which it lies. */
typedef void (*QhMeasureCallback) (QhMeasure *measure, const ItemPointerData *version, Datum value, void *arg);
/*
 * Call back with the indexed value of the row in the slot, if it is indexed: now, or when the values
 * of others are computed.  And with those that wait for it.
 */
extern void qh_measure_take(QhMeasure *measure, QhMeasureCallback callback, void *arg);
extern void qh_measure_take_waiting(QhMeasure *measure, QhMeasureCallback callback, void *arg);
/* Put the row that a row pointer of the index leads to into the slot; false if there is none. */
extern bool qh_measure_fetch(QhMeasure *measure, const ItemPointerData *tid);
extern double qh_measure_distance(QhMeasure *measure, Datum value, const QhQuery *query);

/* ---- queries.c: rows drawn as queries, or those that were given ---- */

extern void qh_measure_draw(QhMeasure *measure);
extern void qh_measure_take_given(QhMeasure *measure);

/* ---- probe.c: scans of the index ---- */

typedef struct QhProbe
{
	double		recall;
	double		error;			/* standard error of it, as a sample of queries */
	double		cost;			/* of a query, in codes scored at random places */
} QhProbe;

/* The distances of the rows that a scan for a query finds with this effort, in its order. */
extern int	qh_probe_query(QhMeasure *measure, const QhQuery *query, const QhEffort *effort, double *dist);
/* What the first n queries find.  False if this share of the time is over. */
extern bool qh_probe(QhMeasure *measure, const QhEffort *effort, int n, double share, QhProbe *out);

/* ---- truth.c: the nearest rows of each query ---- */

/* Drops queries that there is no time for. */
extern void qh_measure_truth(QhMeasure *measure);

/* ---- calibrate.c: the course of a measurement ---- */

/* Set, as by SET LOCAL, what scans are to have while they are measured, whatever the session's are. */
extern void qh_measure_set_neutral(void);

/* ---- ladder.c: the least effort for each target ---- */

/* Fills the points of the curve, as many as there is time for; false if there are none. */
extern bool qh_ladder_climb(QhMeasure *measure, QhCurveData *curve);

#endif							/* QH_MEASURE_H */
