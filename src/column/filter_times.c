/*
 * filter_times.c
 *		Filter columns of dates and times: keys, and where values of another type lie among them.
 *
 * Infinite dates and timestamps are the least and the greatest of their numbers, so they need
 * no care as keys.  What depends on the session's time zone on the column's side is left
 * undecided for a day.  README.md, section "Filter columns".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "column/filter_type.h"
#include "common/int.h"
#include "compat.h"
#include "utils/date.h"
#include "utils/timestamp.h"

static int64
date_key(Datum value, Oid collation)
{
	return DatumGetDateADT(value);
}

static int64
time_key(Datum value, Oid collation)
{
	return DatumGetTimeADT(value);
}

static int64
timestamp_key(Datum value, Oid collation)
{
	return DatumGetTimestamp(value);
}

static void
place_at(QhFilterPlace *out, int64 key)
{
	out->low = out->high = key;
	out->exact = true;
}

/* Among dates: a timestamp, whose days begin at the same time or up to a day earlier or later. */
static void
date_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	Timestamp	at;
	int64		day;

	if (type != TIMESTAMPOID && type != TIMESTAMPTZOID)
	{
		place_at(out, DatumGetDateADT(value));
		return;
	}
	at = DatumGetTimestamp(value);
	if (TIMESTAMP_NOT_FINITE(at))
	{
		place_at(out, TIMESTAMP_IS_NOBEGIN(at) ? DATEVAL_NOBEGIN : DATEVAL_NOEND);
		return;
	}
	day = at / USECS_PER_DAY;
	if (day * USECS_PER_DAY > at)
		day--;
	out->exact = type == TIMESTAMPOID && day * USECS_PER_DAY == at;
	if (type == TIMESTAMPTZOID)
	{
		out->low = day - 1;
		out->high = day + 2;
		return;
	}
	out->low = out->exact ? day : day + 1;
	out->high = day;
}

/* Among timestamps: one that a value of another type was made, beyond all of them if overflow is not 0. */
static void
converted_place(Timestamp at, int overflow, QhFilterPlace *out)
{
	place_at(out, at);
	if (overflow == 0)
		return;
	/* beyond the finite ones, and before the infinite one */
	out->low = overflow > 0 ? DT_NOEND : DT_NOBEGIN + 1;
	out->high = out->low - 1;
	out->exact = false;
}

static void
timestamp_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	int			overflow = 0;
	Timestamp	at;

	if (type == DATEOID)
	{
		at = date2timestamp_opt_overflow(DatumGetDateADT(value), &overflow);
		converted_place(at, overflow, out);
		return;
	}
	at = DatumGetTimestamp(value);
	place_at(out, at);
	if (type != TIMESTAMPTZOID || TIMESTAMP_NOT_FINITE(at))
		return;
	out->exact = false;
	if (pg_sub_s64_overflow(at, USECS_PER_DAY, &out->low))
		out->low = PG_INT64_MIN;
	if (pg_add_s64_overflow(at, USECS_PER_DAY, &out->high))
		out->high = PG_INT64_MAX;
}

static void
timestamptz_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	int			overflow = 0;
	TimestampTz at = 0;

	if (type == DATEOID)
		at = date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
	else if (type == TIMESTAMPOID)
		at = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), &overflow);
	else
		at = DatumGetTimestampTz(value);
	converted_place(at, overflow, out);
}

QH_FILTER_CLASS(qhnsw_filter_date, "date", QH_FILTER_EXACT, 4, date_key, date_place);
QH_FILTER_CLASS(qhnsw_filter_time, "time without time zone", QH_FILTER_EXACT, 8, time_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_timestamp, "timestamp without time zone", QH_FILTER_EXACT, 8, timestamp_key, timestamp_place);
QH_FILTER_CLASS(qhnsw_filter_timestamptz, "timestamp with time zone", QH_FILTER_EXACT, 8, timestamp_key, timestamptz_place);
