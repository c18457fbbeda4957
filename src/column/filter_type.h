/*
 * filter_type.h
 *		What an operator class of a filter column says of its type: how a value becomes a key.
 *
 * Floor 4.  Knows types; must not know pages or plans.  README.md, section "Filter columns".
 */
#ifndef QH_FILTER_TYPE_H
#define QH_FILTER_TYPE_H

#include "postgres.h"

#include "access/stratnum.h"
#include "fmgr.h"
#include "utils/rel.h"

#define QH_FILTER_PROC			2

/*
 * Strategies of the operators of filter columns: those of B-trees, and three of arrays.
 * Strategy 1 of a class of vectors is a distance; no class has both.
 */
#define QH_FILTER_OVERLAPS		6	/* && */
#define QH_FILTER_CONTAINS		7	/* @> */
#define QH_FILTER_CONTAINED		8	/* <@ */
#define QH_FILTER_NSTRATEGIES	8

/* What keys say of values. */
typedef enum QhFilterKind
{
	QH_FILTER_EXACT,			/* the key is the value: keys are equal and in order as values are */
	QH_FILTER_UNORDERED,		/* keys are equal as values are; their order says nothing */
	QH_FILTER_BOUNDING,			/* a smaller value has no greater key; different values may share one */
	QH_FILTER_HASHED,			/* equal values have equal keys, and that is all */
	QH_FILTER_SIGNATURE			/* of an array: each element sets bits of the key */
} QhFilterKind;

/*
 * Where a value lies among keys.  Values with keys below low are less than it, those with keys
 * above high are greater.  Between them values are equal if exact, and else nobody knows.  A
 * value that lies between keys has low = high + 1.
 */
typedef struct QhFilterPlace
{
	int64		low;
	int64		high;
	bool		exact;
} QhFilterPlace;

/* Returned, as a pointer, by support function 2 of an operator class. */
typedef struct QhFilterType
{
	const char *type_name;		/* for messages */
	QhFilterKind kind;
	uint32		nbytes;			/* of a key: 1, 2, 4 or 8 */

	/*
	 * The key of a value that is not NULL: a signed number that fits nbytes.  May allocate memory
	 * that the caller gives back.
	 */
	int64		(*key) (Datum value, Oid collation);

	/*
	 * Where a value that the column is compared with lies; type is the right input type of the
	 * operator, or InvalidOid for the column's own.  NULL = the kind and the key say it, for only
	 * values of the column's own type are compared.  Not called for signatures.
	 */
	void		(*place) (Datum value, Oid type, Oid collation, QhFilterPlace *out);
} QhFilterType;

/* Defines the support function of a class. */
#define QH_FILTER_CLASS(function, type_name, kind, nbytes, key, place) \
PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	static const QhFilterType type = {type_name, kind, nbytes, key, place}; \
\
	PG_RETURN_POINTER(&type); \
} \
extern int	qh_filter_no_such_variable

/* What the class of an index column (1 = the first) says; NULL if it is not for filter columns. */
extern const QhFilterType *qh_filter_type(Relation index, AttrNumber attno);

/* An error unless the first column is one of vectors, and all other key columns are filter columns. */
extern void qh_check_column_classes(Relation index);

/* Where a value lies, whatever the kind but signatures. */
extern void qh_filter_place(const QhFilterType *type, Datum value, Oid value_type, Oid collation,
							QhFilterPlace *out);

/* ---- filter_array.c ---- */

/* Elements of an array that a column is compared with. */
typedef struct QhArrayBits
{
	int			nelements;		/* NULLs do not count */
	uint64	   *bits;			/* that each sets in a signature; 0 = not known */
	bool		has_null;
	uint64		all;			/* the signature of the array itself */
} QhArrayBits;

extern void qh_array_bits(Datum value, Oid collation, QhArrayBits *out);

#endif							/* QH_FILTER_TYPE_H */
