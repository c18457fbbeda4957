/*
 * conditions.c
 *		Conditions on filter columns and stored values, tested on records before a row is fetched.
 *
 * Must not know where records come from.  CONDITIONS.md.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/visibilitymap.h"
#include "scan/scan_state.h"
#include "storage/bufmgr.h"

/* The condition of one scan key. */
static void
add_key(QhScan *scan, const ScanKeyData *key)
{
	QhFilterTest *test = &scan->q.test;
	int			column = key->sk_attno - 2;

	if (column < 0)
	{
		/* of the vector, which is never NULL where it is indexed */
		if (key->sk_flags & SK_SEARCHNULL)
			test->never = true;
		return;
	}
	if (key->sk_flags & (SK_SEARCHNULL | SK_SEARCHNOTNULL))
		qh_filter_test_add_null(test, column, (key->sk_flags & SK_SEARCHNULL) != 0);
	else if (key->sk_flags & SK_SEARCHARRAY)
		qh_filter_test_add_any(test, column, key->sk_strategy, key->sk_subtype, key->sk_argument,
							   (key->sk_flags & SK_ISNULL) != 0);
	else
		qh_filter_test_add(test, column, key->sk_strategy, key->sk_subtype, key->sk_argument,
						   (key->sk_flags & SK_ISNULL) != 0);
}

void
qh_conditions_begin(QhScan *scan)
{
	QhQueryState *q = &scan->q;
	QhFilterTest *test = &q->test;

	qh_filter_test_begin(test);
	for (int i = 0; i < scan->columns.ncolumns; i++)
		qh_filter_test_column(test, scan->columns.types[i], scan->columns.collations[i]);
	for (int i = 0; i < scan->desc->numberOfKeys; i++)
		add_key(scan, &scan->desc->keyData[i]);
	qh_filter_test_end(test);

	/* what keys leave open of the index's own conditions, the row of the table decides */
	q->recheck = !test->decided;
	qh_plan_add_keys(&scan->plan, test);
	qh_filter_test_end(test);
	q->tests_keys = !test->empty;
	q->tests_included = qh_plan_has_included(&scan->plan);
	q->map_buffer = InvalidBuffer;
}

void
qh_conditions_end(QhScan *scan)
{
	if (BufferIsValid(scan->q.map_buffer))
		ReleaseBuffer(scan->q.map_buffer);
	scan->q.map_buffer = InvalidBuffer;
	qh_plan_end_conditions(&scan->plan);
}

/* ---- a record ---- */

QhVerdict
qh_test_record(const QhScan *scan, const uint8 *record)
{
	const QhFilterLayout *layout = &scan->columns.layout;
	int64		keys[QH_MAX_FILTERS];
	uint32		nulls = 0;

	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		if (qh_record_is_null(record, i))
			nulls |= 1 << i;
		else
			keys[i] = qh_record_key(layout, record, i);
	}
	return qh_filter_test_row(&scan->q.test, keys, nulls);
}

/* What the visibility of a row is asked with. */
typedef struct AskedRow
{
	QhScan	   *scan;
	const ItemPointerData *tid;
} AskedRow;

/* Does everybody see all rows of the page that the row is on?  Then it is no row that is hidden from this snapshot. */
static bool
is_visible_to_all(void *arg)
{
	const AskedRow *row = arg;

	return VM_ALL_VISIBLE(row->scan->q.heap, ItemPointerGetBlockNumber(row->tid), &row->scan->q.map_buffer);
}

static bool
included_drops(QhScan *scan, const ItemPointerData *tid, const uint8 *record, bool keys_say_yes)
{
	AskedRow	asked = {scan, tid};
	QhIncludedRow row = {.keys_say_yes = keys_say_yes, .is_visible = is_visible_to_all, .arg = &asked};
	QhIncludeSpace space[INDEX_MAX_KEYS];

	for (int i = 0; i < scan->columns.ninclude; i++)
	{
		QhStored	stored = qh_include_value(&scan->columns, record, i, &space[i], &row.values[i]);

		row.isnull[i] = stored == QH_STORED_NULL;
		if (stored != QH_STORED_UNKNOWN)
			row.known |= UINT64CONST(1) << i;
	}
	return qh_plan_drops_included(&scan->plan, scan->q.heap, &row);
}

bool
qh_row_may_pass(QhScan *scan, const ItemPointerData *tid, const uint8 *record)
{
	QhVerdict	verdict = QH_YES;

	if (scan->q.tests_keys)
		verdict = qh_test_record(scan, record);
	if (verdict != QH_NO && scan->q.tests_included && included_drops(scan, tid, record, verdict == QH_YES))
		verdict = QH_NO;
	if (verdict == QH_NO)
		scan->q.stats.ndropped++;
	return verdict != QH_NO;
}

void
qh_keep_passing(QhScan *scan, QhRowList *list)
{
	uint32		nbytes = scan->columns.layout.record_nbytes;
	int			nkept = 0;

	if (!scan->q.tests_keys && !scan->q.tests_included)
		return;
	for (int i = 0; i < list->ntids; i++)
	{
		if (qh_row_may_pass(scan, &list->tids[i], list->records + (Size) i * nbytes))
			list->tids[nkept++] = list->tids[i];
	}
	list->ntids = nkept;
}
