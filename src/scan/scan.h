/*
 * scan.h
 *		What the access method and the inspection functions see of a scan.
 *
 * Floor 6.  See README.md in this folder.
 */
#ifndef QH_SCAN_H
#define QH_SCAN_H

#include "access/genam.h"
#include "column/effort.h"
#include "graph/graph.h"

/* What a scan did, from its query's first row on: shown by qhnsw_last_scan(). */
typedef struct QhScanStats
{
	uint64		ncodes;			/* codes scored */
	uint64		nexpanded;		/* link lists read */
	uint64		npins;			/* pages pinned */
	uint64		nmisses;		/* of these, looked up in the buffer table */
	uint64		nflat;			/* passes over all codes */
	uint64		nrefined;		/* finer codes scored */
	uint64		nahead;			/* pages asked for before they were needed */
	uint64		nfetched;		/* heap rows fetched to filter or rescore them */
	uint64		nrecomputed;	/* of these, rows for which the index's expression was evaluated */
	uint64		nbatches;		/* in which they were fetched */
	uint64		nreturned;		/* rows given to the executor */
	uint64		nlate;			/* rows found after their place in the order */
	uint64		nfiltered;		/* heap rows fetched that the query's filter drops */
	uint64		nvalues;		/* vectors read from rows, or computed, to decide the order */
	uint64		ncalls;			/* of the index's batch function, and values that came of them */
	uint64		nbatched;
	uint64		nfiltersweeps;	/* sweeps over the arrays of filter columns */
	uint64		npassing;		/* nodes that may pass, as the first of these counted */
	uint64		ndropped;		/* rows that their records drop, before they are fetched */
	int			ef;				/* ef_search, and oversample, that the scan had */
	double		oversample;
	double		doubt;			/* standard errors by which estimates were doubted, for ten rows */
	bool		limited;		/* qhnsw.max_scan_tuples ended the graph search */
} QhScanStats;

/* Of the backend's last scan. */
extern QhScanStats qh_last_scan;

/*
 * While recall is measured (src/calibrate): what scans take in place of what options, curve and
 * plan say.  They are not counted as scans of the index.
 */
typedef struct QhForced
{
	QhEffort	effort;
	double		wanted;			/* rows, as by a LIMIT */
	bool		hides;			/* scans pass by the node hidden, as if it were not there */
	QhNode		hidden;
} QhForced;

extern const QhForced *qh_forced;	/* NULL = nothing is measured */

extern IndexScanDesc qhnswbeginscan(Relation index, int nkeys, int norderbys);
extern void qhnswrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool qhnswgettuple(IndexScanDesc scan, ScanDirection dir);
extern void qhnswendscan(IndexScanDesc scan);

#endif							/* QH_SCAN_H */
