/*
 * filter_columns.h
 *		Which filter columns and INCLUDE columns an index has, and the record of a row.
 *
 * Floor 4.  Knows types and records (store/filter.h); must not know conditions.  README.md,
 * section "Filter columns".
 */
#ifndef QH_FILTER_COLUMNS_H
#define QH_FILTER_COLUMNS_H

#include "postgres.h"

#include "column/filter_type.h"
#include "store/filter.h"
#include "store/index_cache.h"

/* Fixed-width values up to so many bytes are stored whole, others up to so many with their header. */
#define QH_INCLUDE_NBYTES	16

/* An INCLUDE column, as a record holds it. */
typedef struct QhIncludeColumn
{
	int16		len;			/* of the type, as the catalog says it */
	bool		byval;
	uint32		nbytes;			/* of its place in a record; 0 = nothing is stored of it */
	uint32		at;				/* in a record */
} QhIncludeColumn;

/* Index column 2 is filter column 0; INCLUDE columns follow the filter columns. */
typedef struct QhFilterColumns
{
	int			ncolumns;
	const QhFilterType *types[QH_MAX_FILTERS];
	Oid			collations[QH_MAX_FILTERS];
	int			ninclude;
	QhIncludeColumn include[INDEX_MAX_KEYS];
	QhFilterLayout layout;		/* record_nbytes = 0: the index has neither */
} QhFilterColumns;

/*
 * The columns of an index behind the first, whose classes were checked when it was built.  An
 * error where there are too many.
 */
extern void qh_filter_columns(Relation index, QhFilterColumns *columns);

/* The layout that an index of these types would have, with the default classes of the first. */
extern void qh_filter_layout_of(const Oid *filters, int nfilters, const Oid *include, int ninclude,
								QhFilterLayout *layout);

/* Does an index hold records of these columns?  If not, it is damaged: an error. */
extern void qh_check_filter_columns(Relation index, const QhIndex *ix, const QhFilterColumns *columns);

/*
 * The record of a row, layout.record_nbytes bytes.  values and isnull are those of all index
 * columns, the vector first.  May leave memory to the current context.
 */
extern void qh_form_record(const QhFilterColumns *columns, const Datum *values, const bool *isnull, uint8 *record);

/* What a record knows of an INCLUDE column. */
typedef enum QhStored
{
	QH_STORED_UNKNOWN,			/* the table's row has to be asked */
	QH_STORED_NULL,
	QH_STORED_VALUE
} QhStored;

/* Memory of a value that is read back. */
typedef union QhIncludeSpace
{
	char		bytes[QH_INCLUDE_NBYTES];
	int64		align_int;
	double		align_double;
	void	   *align_pointer;
} QhIncludeSpace;

/*
 * The value of INCLUDE column i (0 = the first), which may point into space.  A varlena has a short header,
 * as in a row.
 */
extern QhStored qh_include_value(const QhFilterColumns *columns, const uint8 *record, int i,
								 QhIncludeSpace *space, Datum *value);

#endif							/* QH_FILTER_COLUMNS_H */
