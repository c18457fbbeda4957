/*
 * am.h
 *		The index access method qhnsw: what its files share.
 *
 * Floor 4.  See README.md in this folder.
 */
#ifndef QH_AM_H
#define QH_AM_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "nodes/execnodes.h"
#include "store/memory.h"
#include "store/relstore.h"
#include "utils/rel.h"

/* ---- column.c: what an operator class says of its type ---- */

#define QH_DISTANCE_STRATEGY	1
#define QH_COLUMN_PROC			1

/* Returned, as a pointer, by support function 1 of an operator class. */
typedef struct QhColumn
{
	const char *type_name;		/* for messages */
	QvMetric	metric;
	QvCodeKind	kind;
	uint32		max_ndims;
	bool		compressible;	/* a float column: "compression" applies */
	/* Dimension a type modifier states, 0 if none. */
	uint32		(*typmod_ndims) (int32 typmod);

	/*
	 * What the codec reads of a detoasted value: packed bits or floats, in the value
	 * itself or in memory allocated here.  Raises an error for a value that is no vector.
	 */
	const void *(*read) (Datum value, uint32 *ndims);
} QhColumn;

/* A value taken apart. */
typedef struct QhValue
{
	const void *data;
	uint32		ndims;
	double		norm2;			/* squared norm; float kinds only */
	bool		finite;
} QhValue;

extern const QhColumn *qh_column(Relation index);
/* Detoast and take apart; checks nothing but that it is a vector. */
extern void qh_column_read(const QhColumn *column, Datum value, QhValue *out);

/*
 * Is this a value to be indexed?  False for a zero vector under cosine; an error for
 * elements that are not finite, and for a dimension other than ndims (0 = any).
 */
extern bool qh_column_indexable(const QhColumn *column, const QhValue *value, uint32 ndims);

/* ---- plan.c ---- */

extern void qh_plan_init(void);

/* ---- options.c ---- */

typedef enum QhCompression
{
	QH_COMPRESSION_DEFAULT = 0,
	QH_COMPRESSION_1X = 1,
	QH_COMPRESSION_2X = 2,
	QH_COMPRESSION_4X = 4,
	QH_COMPRESSION_8X = 8,
	QH_COMPRESSION_16X = 16,
	QH_COMPRESSION_32X = 32
} QhCompression;

typedef enum QhMode
{
	QH_MODE_ON_DISK,
	QH_MODE_IN_MEMORY
} QhMode;

typedef struct QhOptions
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int			m;
	int			ef_construction;
	int			compression;	/* QhCompression */
	int			mode;			/* QhMode */
	double		oversample;		/* 0 = by compression */
	int			refine;			/* bits a dimension of the finer code, 0 = none */
	double		hub_fraction;	/* 0 = no graph of low storage */
	int			m_low;			/* 0 = the default */
	int			dims;			/* 0 = from the type or the first row */
} QhOptions;

#define QH_DEFAULT_M				16
#define QH_DEFAULT_EF_CONSTRUCTION	64
#define QH_DEFAULT_M_LOW			10
#define QH_DEFAULT_EF_SEARCH		40

typedef enum QhIterativeScan
{
	QH_ITERATIVE_OFF,
	QH_ITERATIVE_RELAXED,
	QH_ITERATIVE_STRICT
} QhIterativeScan;

extern int	qhnsw_ef_search;
extern double qhnsw_oversample;
extern bool qhnsw_rescore;
extern int	qhnsw_iterative_scan;
extern int	qhnsw_max_scan_tuples;
extern double qhnsw_scan_mem_multiplier;
extern bool qhnsw_flat;

extern void qhnsw_init(void);	/* called once, when the library is loaded, as is qh_plan_init */
extern bytea *qhnswoptions(Datum reloptions, bool validate);
extern int	qh_option_m(Relation index);
extern int	qh_option_ef_construction(Relation index);
/* Share of nodes with room for 2m links, and words of the others' slots; 0 and 0 where all have that room. */
extern float4 qh_option_hub_fraction(Relation index);
extern int	qh_option_m_low(Relation index);
/* Bits a dimension of the traversal code, and of the finer one (0 = none). */
extern int	qh_option_code_nbits(Relation index, const QhColumn *column);
extern int	qh_option_refine_nbits(Relation index);
/* Setting, else index option, else the default for codes of so many bits. */
extern double qh_option_oversample(Relation index, int code_nbits);
/* Check the options against the column; an error where they do not fit.  Returns the dimension they and the type state, 0 if none. */
extern uint32 qh_option_check(Relation index, const QhColumn *column);

/* ---- build.c ---- */

/* Subphases of pg_stat_progress_create_index, after PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE = 1 */
typedef enum QhSubphase
{
	QH_SUBPHASE_SAMPLE = 2,
	QH_SUBPHASE_SCAN,
	QH_SUBPHASE_PARTITION,
	QH_SUBPHASE_CANDIDATES,
	QH_SUBPHASE_PRUNE,
	QH_SUBPHASE_REVERSE,
	QH_SUBPHASE_REACH,
	QH_SUBPHASE_DIVIDE,			/* these three where the table is built in shards */
	QH_SUBPHASE_BETWEEN,
	QH_SUBPHASE_WITHIN,
	QH_SUBPHASE_WRITE
} QhSubphase;

extern IndexBuildResult *qhnswbuild(Relation heap, Relation index, IndexInfo *info);
extern void qhnswbuildempty(Relation index);
extern char *qhnswbuildphasename(int64 phasenum);
/* Fill the parts of the metapage that follow from the dimension. */
extern void qh_meta_set_ndims(QhMeta meta, uint32 ndims);

/* ---- settle.c ---- */

/* The first row of an index whose dimension nothing said decides it; does nothing where somebody else was faster. */
extern void qh_settle_ndims(Relation index, uint32 ndims);
/*
 * Make an index whose rows have decided its dimension empty again, if none of them is left that any snapshot could see and nobody else uses
 * the index.  Returns whether it did, or somebody else: then it must be acquired anew.
 */
extern bool qh_unsettle_ndims(Relation index, Relation heap, QhIndex *ix);

/* ---- insert.c ---- */

extern bool qhnswinsert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid,
						Relation heap, IndexUniqueCheck check_unique, bool index_unchanged,
						IndexInfo *info);

/*
 * Heavyweight lock of block 0: shared by an insert while it holds node ids, taken
 * exclusively for an instant by vacuum to know that all of those are gone.
 */
#define QH_INSERT_LOCK_BLKNO	QH_META_BLKNO

/* ---- scan.c ---- */

extern IndexScanDesc qhnswbeginscan(Relation index, int nkeys, int norderbys);
extern void qhnswrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool qhnswgettuple(IndexScanDesc scan, ScanDirection dir);
extern void qhnswendscan(IndexScanDesc scan);

/* ---- vacuum.c ---- */

extern IndexBulkDeleteResult *qhnswbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											  IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *qhnswvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* ---- truncate.c ---- */

/* Vacuum has been over the index: if its end is free, give that back when the transaction commits. */
extern void qh_truncate_at_commit(QhRelStore *rs);
/* Look at three pages of the last sixteenth: are they free, as if a vacuum before had not got the lock? */
extern bool qh_seems_too_long(Relation index);

/* ---- cost.c, validate.c ---- */

struct PlannerInfo;
struct IndexPath;
extern void qhnswcostestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
							  Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
							  double *correlation, double *pages);
extern bool qhnswvalidate(Oid opclassoid);

/* ---- unread.c ---- */

extern void qh_unread_init(void);	/* called once, when the library is loaded */

#endif							/* QH_AM_H */
