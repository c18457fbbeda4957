/*
 * suggest.h
 *		qhnsw_suggest: what its files share.
 *
 * The prototypes stand in the order of the files, from the lowest to the highest.
 */
#ifndef QH_SUGGEST_H
#define QH_SUGGEST_H

#include "postgres.h"

#include "column/column.h"
#include "column/effort.h"
#include "store/format.h"
#include "utils/rel.h"

/* A column to be indexed. */
typedef struct QhSuggestColumn
{
	Relation	heap;
	AttrNumber	attno;
	Oid			type;
	int32		typmod;
	Oid			opclass;
	bool		is_default;		/* it is the default one of the type */
	const QhColumn *column;		/* what it says */
} QhSuggestColumn;

/* ---- suggest_sample.c: rows of the table, in a temporary table ---- */

/*
 * Rows drawn from the table, and such as are queries and not among them.  The parts are nested: a
 * row of one is a row of all larger ones.
 */
#define QH_SUGGEST_NPARTS	2
#define QH_SUGGEST_NQUERIES	200
#define QH_SUGGEST_MIN_NROWS	100

typedef struct QhSuggestPart
{
	double		nrows;
	char	   *predicate;		/* of its rows in the temporary table */
} QhSuggestPart;

typedef struct QhSuggestSample
{
	MemoryContext cxt;
	Oid			relid;			/* the temporary table */
	char	   *name;			/* with its schema */
	double		nrows;			/* of the table that have a value, estimated unless they were counted */
	bool		whole;			/* the sample is the whole table */
	QhSuggestPart parts[QH_SUGGEST_NPARTS]; /* the last is all of it but the queries */
	Datum		queries[QH_SUGGEST_NQUERIES];
	int			nqueries;
} QhSuggestSample;

/* Draw.  False if there are fewer than QH_SUGGEST_MIN_NROWS rows.  Needs SPI. */
extern bool qh_suggest_draw(const QhSuggestColumn *what, QhSuggestSample *sample);
/* The temporary table is gone. */
extern void qh_suggest_drop(QhSuggestSample *sample);

/* ---- suggest_measure.c: an index of a part, and what it finds ---- */

typedef struct QhSuggestTruth
{
	double	   *nearest[QH_SUGGEST_NQUERIES];	/* distances, as in a QhQuery */
	int			nnearest[QH_SUGGEST_NQUERIES];
	bool		known;
} QhSuggestTruth;

/* The operator class with its schema. */
extern char *qh_suggest_opclass_name(const QhSuggestColumn *what);
/* Build an index of a part with these options; whether it measures its own recall as any build does. */
extern Oid	qh_suggest_build(const QhSuggestColumn *what, const QhSuggestSample *sample, int part, const char *options, bool calibrate);
extern void qh_suggest_remove(Oid index);
extern void qh_suggest_read_meta(Oid index, QhMeta meta);
/* The effort that scans of the index have by themselves. */
extern QhEffort qh_suggest_effort(Oid index);
/* Recall of scans with this effort; truth of the part is measured once. */
extern double qh_suggest_recall(Oid index, const QhSuggestSample *sample, int part, const QhEffort *effort, QhSuggestTruth *truth);

/* ---- suggest_options.c: the options that come into question, measured ---- */

typedef struct QhSuggestion
{
	char	   *options;
	double		nbytes;
	double		recall;
	double		small_recall;	/* with the same effort, in the small part */
	QhMetaData	meta;			/* of the index that was measured */
} QhSuggestion;

/*
 * All that come into question and take no more than max_nbytes (0 = any), best first; returns how
 * many.  *smallest is the least that one of them takes, whether it is among these or not.
 */
extern int	qh_suggest_options(const QhSuggestColumn *what, QhSuggestSample *sample, double target, double max_nbytes,
							   QhSuggestion **out, double *smallest);

#endif							/* QH_SUGGEST_H */
