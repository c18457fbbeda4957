/*
 * filter_test.h
 *		Conditions on filter columns, compiled into tests of keys.
 *
 * Floor 4.  README.md, section "Conditions".
 */
#ifndef QH_FILTER_TEST_H
#define QH_FILTER_TEST_H

#include "column/filter_type.h"
#include "column/key_set.h"
#include "store/format.h"

/* What keys say of a row; of several conditions the least counts. */
typedef enum QhVerdict
{
	QH_NO,
	QH_MAYBE,					/* the row of the table decides */
	QH_YES
} QhVerdict;

/* One of these masks must be covered by a signature. */
typedef struct QhAnyBits
{
	int			n;
	uint64	   *masks;
} QhAnyBits;

/* All conditions on one column. */
typedef struct QhKeyTest
{
	const QhFilterType *type;
	Oid			collation;
	bool		tested;			/* there are any */
	bool		wants_null;		/* IS NULL */
	bool		wants_value;	/* any other: NULL does not pass */
	QhKeySet	may;			/* keys of values that may pass */
	QhKeySet	sure;			/* of these, those of values that do */
	QhAnyBits  *any;			/* signatures: of each a mask must be covered */
	int			nany;
	uint64		outside;		/* and none of these bits set */
} QhKeyTest;

typedef struct QhFilterTest
{
	MemoryContext cxt;
	int			ncolumns;
	QhKeyTest	columns[QH_MAX_FILTERS];
	bool		never;			/* no row passes */
	bool		decided;		/* no row is doubtful; valid once compiled */
	bool		empty;			/* there are no conditions; likewise */
} QhFilterTest;

/* The keys of a column, on a page of the index. */
typedef struct QhKeyArray
{
	const void *keys;			/* as many bytes each as the type says */
	const uint64 *nulls;		/* bit i: key i is NULL, and its bytes mean nothing; NULL = none is */
	int64		least;			/* bounds of the keys that are not NULL; least > greatest: all are */
	int64		greatest;
} QhKeyArray;

/* Begin a test that every row passes.  Its memory is of the current context. */
extern void qh_filter_test_begin(QhFilterTest *test);
/* Add a filter column, to which conditions may be added; returns its number. */
extern int qh_filter_test_column(QhFilterTest *test, const QhFilterType *type, Oid collation);
/* column OP value; type is the right input type of OP. */
extern void qh_filter_test_add(QhFilterTest *test, int column, StrategyNumber strategy, Oid type,
							   Datum value, bool isnull);
/* column OP ANY (array); type is that of the operator, not of the array. */
extern void qh_filter_test_add_any(QhFilterTest *test, int column, StrategyNumber strategy, Oid type,
								   Datum array, bool isnull);
/* column IS NULL, or IS NOT NULL. */
extern void qh_filter_test_add_null(QhFilterTest *test, int column, bool wants_null);
/* A condition that keys do not decide, for which no value that is NULL passes. */
extern void qh_filter_test_add_doubt(QhFilterTest *test, int column);
/* All conditions were added. */
extern void qh_filter_test_end(QhFilterTest *test);

/* What the keys of a row say.  Bit i of nulls: the value of column i is NULL. */
extern QhVerdict qh_filter_test_row(const QhFilterTest *test, const int64 *keys, uint32 nulls);

/*
 * Set in pass a bit for each of n rows that the keys do not drop, and clear the others.  False if
 * they drop all; then pass is not touched.
 */
extern bool qh_filter_test_page(const QhFilterTest *test, const QhKeyArray *columns, uint32 n, uint64 *pass);

#endif							/* QH_FILTER_TEST_H */
