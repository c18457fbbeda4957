/*
 * inspect.h
 *		Looking into an index from SQL: what the files of this room share.
 */
#ifndef QH_INSPECT_H
#define QH_INSPECT_H

#include "am/am.h"
#include "store/codes.h"
#include "store/links.h"
#include "store/row_read.h"

/*
 * Open a qhnsw index for a function of this room: an error unless it is one and the caller
 * owns it.  Its table is opened first.  Both under AccessShareLock, and closed with it.
 */
extern Relation qh_inspect_open(Oid relid, Relation *heap);

/* ---- partitions.c ---- */

/*
 * The qhnsw indexes that a name stands for: those of the partitions of a partitioned table or
 * index, which the caller must own, whose tables stay locked until the transaction ends; for
 * anything else itself, which qh_inspect_open() judges.
 */
extern List *qh_inspect_indexes(Oid relid);

/*
 * How far the rows have moved from what the codec was trained on; lengths are not squared.  Of
 * float codes only.
 */
typedef struct QhDrift
{
	bool		known;			/* there are rows enough, and they differ */
	bool		drift_known;	/* and the index was trained */
	double		trained_spread; /* of the sample from its centres; 0 = untrained */
	double		spread;			/* of the rows from theirs */
	double		drift;			/* how much longer that is: of the part at right angles, in units of trained_spread */
	uint32		ninserts;		/* rows inserted since the build that were looked at */
	double		inserted_spread;	/* of these from their centres */
} QhDrift;

/* ---- recall.c ---- */
/* Errors: an argument that is not between 1 and max; a table that the caller may not read all of. */
extern void qh_inspect_check_argument(const char *name, int value, int max);
extern void qh_inspect_check_rights(Relation heap);

/* ---- size.c ---- */
/* Bytes of an index of that many rows with this metapage, of which it fills what follows from others. */
extern int64 qh_estimate_index_nbytes(QhMeta meta, double nrows, double distinct);

/* ---- drift.c ---- */
extern void qh_measure_drift(QhRelStore *rs, QhDrift *result);
extern bool qh_reindex_advised(const QhDrift *drift);

#endif							/* QH_INSPECT_H */
