/*
 * calibrate.h
 *		Measuring what search effort of an index reaches which recall.
 *
 * Floor 7.  See README.md in this folder.
 */
#ifndef QH_CALIBRATE_H
#define QH_CALIBRATE_H

#include "postgres.h"

#include "access/genam.h"
#include "nodes/execnodes.h"
#include "store/format.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* Fewer indexed rows have no curve: nearly all scans of so small an index look at all codes. */
#define QH_CALIBRATE_MIN_NROWS	1000

/* Queries drawn at most, and so few that they tell too little. */
#define QH_CALIBRATE_NQUERIES		2000
#define QH_CALIBRATE_MIN_NQUERIES	20

#define QH_CALIBRATE_K				10
#define QH_CALIBRATE_MAX_K			1000

/* What is to be measured. */
typedef struct QhCalibration
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;		/* registered */
	double		nrows;			/* of the table, estimated */
	int			k;				/* rows a query */
	int			nwanted;		/* queries to be drawn */
	double		max_ms;			/* ends about then, with what was reached; 0 = at the end */
	const Datum *queries;		/* of the indexed type, detoasted; NULL = rows of the table are drawn */
	int			nqueries;
} QhCalibration;

/*
 * Measure.  False if nothing can be said: too few rows, or too little time; then out is
 * untouched.  Changes nothing on disk.
 */
extern bool qh_calibrate(const QhCalibration *what, QhCurveData *out);

/* ---- occasions.c: when it is measured without being asked for ---- */

/* False while indexes are built that nobody else will search: they are not measured. */
extern bool qh_calibrate_builds;

/* ambuild: the build, and the measurement within a share of the time that it took. */
extern IndexBuildResult *qh_build_and_calibrate(Relation heap, Relation index, IndexInfo *info);
/* VACUUM or ANALYZE has come by: measure if the index has grown by half, or its rows have moved. */
extern void qh_calibrate_if_due(IndexVacuumInfo *info);

#endif							/* QH_CALIBRATE_H */
