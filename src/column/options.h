/*
 * options.h
 *		Storage parameters of qhnsw indexes and the qhnsw.* settings.
 *
 * Floor 4.  See README.md in this folder.
 */
#ifndef QH_OPTIONS_H
#define QH_OPTIONS_H

#include "postgres.h"

#include "column/column.h"

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
	QH_MODE_DEFAULT,			/* as on_disk */
	QH_MODE_ON_DISK,
	QH_MODE_IN_MEMORY
} QhMode;

typedef enum QhRescore
{
	QH_RESCORE_AUTO,			/* unset: by the index, or there by its mode */
	QH_RESCORE_ON,
	QH_RESCORE_OFF
} QhRescore;

typedef struct QhOptions
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int			m;
	int			ef_construction;
	int			compression;	/* QhCompression */
	int			mode;			/* QhMode */
	int			rescore;		/* QhRescore */
	int			ef_search;		/* 0 = by the recall wanted */
	double		oversample;		/* 0 = by compression */
	int			refine;			/* bits a dimension of the finer code, 0 = none */
	double		hub_fraction;	/* 0 = no graph of low storage */
	int			m_low;			/* 0 = the default */
	int			dims;			/* 0 = from the type or the first row */
	double		target_recall;	/* 0 = the default, and no less effort than that without a curve */
	int			batch_function; /* offset of a string, 0 = none */
	int			batch_size;		/* 0 = the default */
} QhOptions;

#define QH_DEFAULT_M				16
#define QH_DEFAULT_EF_CONSTRUCTION	64
#define QH_DEFAULT_M_LOW			10
#define QH_DEFAULT_EF_SEARCH		40
#define QH_DEFAULT_TARGET_RECALL	0.95
#define QH_MIN_TARGET_RECALL		0.5
#define QH_MAX_TARGET_RECALL		0.999
#define QH_DEFAULT_BATCH_SIZE		64
#define QH_MAX_BATCH_SIZE			10000

typedef enum QhIterativeScan
{
	QH_ITERATIVE_OFF,
	QH_ITERATIVE_RELAXED,
	QH_ITERATIVE_STRICT
} QhIterativeScan;

extern int	qhnsw_ef_search;	/* 0 = the index's own, or by the recall wanted; effort.c */
extern double qhnsw_target_recall;	/* 0 = the index's own */
extern double qhnsw_oversample;
extern int	qhnsw_rescore;		/* QhRescore */
extern int	qhnsw_iterative_scan;
extern int	qhnsw_max_scan_tuples;
extern double qhnsw_scan_mem_multiplier;
extern bool qhnsw_flat;

extern void qhnsw_init(void);	/* called once, when the library is loaded, as is qh_plan_init */
extern bytea *qhnswoptions(Datum reloptions, bool validate);
extern int	qh_option_m(Relation index);
extern int	qh_option_ef_construction(Relation index);
/*
 * Low storage: the share of nodes with room for 2m links, and the words of the others' slots.  0
 * and 0: all have that room.
 */
extern float4 qh_option_hub_fraction(Relation index);
extern int	qh_option_m_low(Relation index);
/* Bits a dimension of the code that searches walk by, and of the finer one (0 = none). */
extern int	qh_option_code_nbits(Relation index, const QhColumn *column);
extern int	qh_option_refine_nbits(Relation index);
/*
 * Are rows put into the order of the column's values?  By the setting, else the index's option,
 * else its mode; never where codes of so many bits are the values.
 */
extern bool qh_option_rescore(Relation index, const QhColumn *column, int code_nbits);
/* The setting, else the index's option unless the setting asks for recall; 0 = neither says it. */
extern int	qh_option_ef_search(Relation index);
/* The setting, else the index's option, else the default for codes of so many bits. */
extern double qh_option_oversample(Relation index, int code_nbits);
/* Does the setting or the index's option say it? */
extern bool qh_option_oversample_is_set(Relation index);
/* Recall that the setting, or else the index's option, asks for; 0 = neither does. */
extern double qh_option_target_recall(Relation index);
/* The function that computes many values of the index's expression at once, NULL = none; and how many. */
extern const char *qh_option_batch_function(Relation index);
extern int	qh_option_batch_size(Relation index);
/*
 * Check the options against the column; an error where they do not fit.  Returns the dimension
 * that they or the type state, 0 if none.
 */
extern uint32 qh_option_check(Relation index, const QhColumn *column);

#endif							/* QH_OPTIONS_H */
