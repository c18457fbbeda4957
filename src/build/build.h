/*
 * build.h
 *		One index build: what all its files know of it.
 *
 * The driver (build.c) samples the table (sample.c) and scans it (table_scan.c).  Distinct codes
 * are collected in memory while they fit, then linked there (in_memory.c).  Otherwise the build is
 * divided into shards (shards.h), by one process or with workers (parallel.c).  See README.md.
 */
#ifndef QH_BUILD_H
#define QH_BUILD_H

#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "codec/pair_codes.h"
#include "column/column.h"
#include "column/filter_columns.h"
#include "column/options.h"
#include "nodes/execnodes.h"
#include "store/geometry.h"
#include "store/memory.h"
#include "store/row_read.h"

/* Subphases of pg_stat_progress_create_index, after PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE = 1 */
typedef enum QhSubphase
{
	QH_SUBPHASE_SAMPLE = 2,
	QH_SUBPHASE_TRAIN,
	QH_SUBPHASE_SCAN,
	QH_SUBPHASE_PARTITION,
	QH_SUBPHASE_CANDIDATES,
	QH_SUBPHASE_PRUNE,
	QH_SUBPHASE_REVERSE,
	QH_SUBPHASE_REACH,
	QH_SUBPHASE_DIVIDE,			/* these three of a build in shards */
	QH_SUBPHASE_BETWEEN,
	QH_SUBPHASE_WITHIN,
	QH_SUBPHASE_WRITE,
	QH_SUBPHASE_CALIBRATE,
	QH_SUBPHASE_RECODE,			/* these two of qhnsw_requantize() */
	QH_SUBPHASE_RELINK
} QhSubphase;

typedef struct QhDedup QhDedup;
typedef struct QhShards QhShards;

typedef struct QhBuild
{
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	const QhColumn *column;
	QhFilterColumns filters;	/* layout.record_nbytes = 0: rows have no records */
	QhMetaData	meta;
	float	   *centroid;		/* and the centres of the metapage behind it; NULL = origin and no centres */
	QvCodecParams params;
	QvCodec    *codec;			/* NULL until the dimension is known */
	QvCodecParams refine_params;
	QvCodec    *refine_codec;	/* NULL where there are no finer codes */
	QvPairCodec *pair_codec;	/* of what nodes are linked by; NULL where that is their codes */
	Size		pair_nbytes;	/* 0 = there are no codes for pairs */
	void	   *scratch;

	MemoryContext cxt;			/* of what lasts; huge */
	MemoryContext graph_cxt;	/* of codes, rows and links; huge */
	MemoryContext row_cxt;		/* of one row's values */
	uint8		record[QH_MAX_RECORD_NBYTES];	/* of one row */
	QhBuildParams graph_params;
	Size		memory_limit;	/* of all processes together */

	QhDedup    *dedup;			/* of a build in memory */
	QhShards   *shards;			/* of a build in shards, else NULL */
	uint32		sample_ndims;	/* of the centroid */
	bool		worker;			/* progress is the leader's to report */
	double		nindexed;		/* by this process */
} QhBuild;

/* ---- build.c: the driver ---- */

extern IndexBuildResult *qhnswbuild(Relation heap, Relation index, IndexInfo *info);
extern void qhnswbuildempty(Relation index);
extern char *qhnswbuildphasename(int64 phasenum);

/* ---- context.c: metapage, codecs, distances, progress ---- */

/* Seed of rotations and random trees: any number does, and a fixed one makes builds repeatable. */
#define QH_SEED			UINT64CONST(0x9E3779B97F4A7C15)

/*
 * Bytes of an array of n things.  An error where no allocation can be as large, as may be where a
 * Size has 32 bits.
 */
extern Size qh_build_array_nbytes(uint64 n, Size each);
/* Kind and widths of the codes, as far as they are known: the dimension has a say. */
extern void qh_meta_choose_codes(QhMeta meta, Relation index, const QhColumn *column);
/* The metapage of a new index, without what follows from the dimension. */
extern void qh_meta_init(QhMeta meta, Relation index, const QhColumn *column, const QhFilterColumns *filters);
/* Fill the parts of the metapage that follow from the dimension, the kind of the codes among them. */
extern void qh_meta_set_ndims(QhMeta meta, uint32 ndims);
/* Parameters of graphs, from the metapage. */
extern void qh_build_set_params(QhBuild *build);
/* Make the codecs of the metapage and the centroid, which must have the dimension. */
extern void qh_build_set_codecs(QhBuild *build);
/* The dimension is known now: complete the metapage and make the codecs. */
extern void qh_build_set_ndims(QhBuild *build, uint32 ndims);
/* A space over n codes of the kind that nodes are linked by. */
extern QhSpace qh_build_space(const QhBuild *build, const uint8 *codes, uint32 n);
/* Show a subphase of pg_stat_progress_create_index. */
extern void qh_build_report(QhSubphase subphase, uint64 done, uint64 total);

/*
 * Read a row's value, in the context of one row.  The first one that can be indexed decides the
 * dimension where nothing else does.  False if this one cannot be indexed.
 */
static inline bool
qh_build_read_value(QhBuild *build, Datum datum, QhValue *value)
{
	qh_column_read(build->column, datum, value);
	if (!qh_column_indexable(build->column, value, build->meta.ndims))
		return false;
	if (build->codec == NULL)
		qh_build_set_ndims(build, value->ndims);
	return true;
}

/*
 * Nodes are linked by codes that last as long as the build; those of bits by the codes themselves.
 */
static inline Size
qh_build_link_nbytes(const QhBuild *build)
{
	return build->pair_codec != NULL ? build->pair_nbytes : build->meta.code_nbytes;
}

static inline void
qh_build_encode_link(const QhBuild *build, const void *data, uint8 *code)
{
	if (build->pair_codec != NULL)
		qv_pair_encode(build->pair_codec, data, code, build->scratch);
	else
		qv_codec_encode(build->codec, data, code, build->scratch);
}

/* Where the codes of a row go; what there is none of is not looked at. */
typedef struct QhRowCodes
{
	uint8	   *code;
	uint8	   *refine;
	uint8	   *pair;
} QhRowCodes;

static inline void
qh_build_encode(const QhBuild *build, const void *data, QhRowCodes codes)
{
	qv_codec_encode(build->codec, data, codes.code, build->scratch);
	if (build->refine_codec != NULL)
		qv_codec_encode(build->refine_codec, data, codes.refine, build->scratch);
	if (build->pair_codec != NULL)
		qv_pair_encode(build->pair_codec, data, codes.pair, build->scratch);
}

/* ---- sample.c ---- */

/* What is known of a table from a look at some of its rows. */
typedef struct QhSample
{
	uint8	   *codes;			/* of the kind that nodes are linked by */
	uint32		ncodes;
	double		nrows;			/* of the whole table, estimated */
} QhSample;

/*
 * Learn from rows all over the table what codes are measured from: the centroid, which is their
 * mean, and centres.  None is set where there are no rows.
 */
extern void qh_sample_centres(QhBuild *build);
/* Codes of rows all over the table, as many as a share of memory holds. */
extern void qh_sample_codes(QhBuild *build, QhSample *sample);

/* ---- table_scan.c ---- */

/*
 * Read the table and take its rows, into memory or to shards.  scan is one shared with others, or
 * NULL. Returns the number of the table's tuples that this process has read.
 */
extern double qh_build_scan(QhBuild *build, TableScanDesc scan);

/* ---- in_memory.c ---- */

/* Link the nodes collected in memory and write the index. */
extern void qh_build_in_memory(QhBuild *build);

/* ---- parallel.c ---- */

/* Workers that the server's rules allow this build. */
extern int	qh_parallel_workers(const QhBuild *build);
/*
 * Build with workers: true, and the number of the table's tuples.  False where no shared memory is
 * to be had; then nothing is done.
 */
extern bool qh_parallel_build(QhBuild *build, const QhSample *sample, int nworkers, double *ntuples);

#endif							/* QH_BUILD_H */
