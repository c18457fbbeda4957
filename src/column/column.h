/*
 * column.h
 *		What an operator class says of its type, and which values are indexed.
 *
 * Floor 4.  Knows types and codes; must not know indexes.  See README.md in this folder.
 */
#ifndef QH_COLUMN_H
#define QH_COLUMN_H

#include "postgres.h"

#include "codec/codec.h"
#include "fmgr.h"
#include "utils/rel.h"

#define QH_DISTANCE_STRATEGY	1
#define QH_COLUMN_PROC			1

/* Returned, as a pointer, by support function 1 of an operator class. */
typedef struct QhColumn
{
	const char *type_name;		/* for messages */
	QvMetric	metric;
	QvCodeKind	kind;
	uint32		max_ndims;
	bool		compressible;	/* numbers and not bits: "compression" applies */
	/* The dimension that a type modifier states, 0 if none. */
	uint32		(*typmod_ndims) (int32 typmod);

	/*
	 * Detoasts a value and returns what the codec reads of it: packed bits or floats, in the
	 * value itself or in memory allocated here.  Raises an error for a value that is no vector.
	 */
	const void *(*read) (Datum value, uint32 *ndims);
	bool		rounds_values;	/* read() rounds elements to floats */
	bool		sums_floats;	/* the distance operator adds up in single precision */
} QhColumn;

/* A value taken apart. */
typedef struct QhValue
{
	const void *data;
	uint32		ndims;
	double		norm2;			/* squared norm; float kinds only */
	bool		finite;
} QhValue;

/* What the operator class of the index's column says. */
extern const QhColumn *qh_column(Relation index);
/* Look up the function of the index's distance operator, in memory of cxt. */
extern void qh_column_distance(Relation index, FmgrInfo *distance, MemoryContext cxt);
/* Detoast a value and take it apart.  Checks nothing but that it is a vector. */
extern void qh_column_read(const QhColumn *column, Datum value, QhValue *out);

/*
 * Is this a value to be indexed?  False for a zero vector under cosine; an error for
 * elements that are not finite, and for a dimension other than ndims (0 = any).
 */
extern bool qh_column_indexable(const QhColumn *column, const QhValue *value, uint32 ndims);

#endif							/* QH_COLUMN_H */
