/*
 * filter_numbers.c
 *		Filter columns of numbers: keys, and where numbers of another type lie among them.
 *
 * README.md, section "Filter columns".
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "column/filter_type.h"
#include "compat.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

/* ---- integers ---- */

static int64
int2_key(Datum value, Oid collation)
{
	return DatumGetInt16(value);
}

static int64
int4_key(Datum value, Oid collation)
{
	return DatumGetInt32(value);
}

static int64
int8_key(Datum value, Oid collation)
{
	return DatumGetInt64(value);
}

/* An unsigned number in the order of signed ones. */
static int64
oid_key(Datum value, Oid collation)
{
	return (int64) DatumGetObjectId(value) + PG_INT32_MIN;
}

/* Where an integer of any width lies among those from min to max. */
static void
integer_place(Datum value, Oid type, Oid own_type, QhFilterPlace *out, int64 min, int64 max)
{
	int64		number;

	switch (OidIsValid(type) ? type : own_type)
	{
		case INT2OID:
			number = DatumGetInt16(value);
			break;
		case INT4OID:
			number = DatumGetInt32(value);
			break;
		default:
			number = DatumGetInt64(value);
	}
	out->exact = number >= min && number <= max;
	out->low = out->high = number;
	if (number < min)
	{
		out->low = min;
		out->high = min - 1;
	}
	else if (number > max)
	{
		out->low = max + 1;
		out->high = max;
	}
}

static void
int2_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	integer_place(value, type, INT2OID, out, PG_INT16_MIN, PG_INT16_MAX);
}

static void
int4_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	integer_place(value, type, INT4OID, out, PG_INT32_MIN, PG_INT32_MAX);
}

static void
int8_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	integer_place(value, type, INT8OID, out, PG_INT64_MIN, PG_INT64_MAX);
}

/* ---- floats ---- */

/* In the order of PostgreSQL: zeros alike, all NaN alike and greatest. */
static int64
key_of_float8(float8 x)
{
	int64		bits;

	if (isnan(x))
		return PG_INT64_MAX;
	x += 0.0;
	memcpy(&bits, &x, sizeof(bits));
	return bits < 0 ? bits ^ PG_INT64_MAX : bits;
}

static int64
key_of_float4(float4 x)
{
	int32		bits;

	if (isnan(x))
		return PG_INT32_MAX;
	x += 0.0F;
	memcpy(&bits, &x, sizeof(bits));
	return bits < 0 ? bits ^ PG_INT32_MAX : bits;
}

static int64
float4_key(Datum value, Oid collation)
{
	return key_of_float4(DatumGetFloat4(value));
}

static int64
float8_key(Datum value, Oid collation)
{
	return key_of_float8(DatumGetFloat8(value));
}

static void
float4_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	float8		x = type == FLOAT8OID ? DatumGetFloat8(value) : DatumGetFloat4(value);
	float4		nearest = (float4) x;

	out->low = out->high = key_of_float4(nearest);
	out->exact = isnan(x) || (float8) nearest == x;
	if (out->exact)
		return;
	/* it lies between two of them */
	if ((float8) nearest < x)
		out->low++;
	else
		out->high--;
}

static void
float8_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	out->low = out->high = key_of_float8(type == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value));
	out->exact = true;
}

/* ---- numeric ---- */

/* The nearest double: a smaller number has no greater one. */
static int64
numeric_key(Datum value, Oid collation)
{
	return key_of_float8(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value)));
}

QH_FILTER_CLASS(qhnsw_filter_int2, "smallint", QH_FILTER_EXACT, 2, int2_key, int2_place);
QH_FILTER_CLASS(qhnsw_filter_int4, "integer", QH_FILTER_EXACT, 4, int4_key, int4_place);
QH_FILTER_CLASS(qhnsw_filter_int8, "bigint", QH_FILTER_EXACT, 8, int8_key, int8_place);
QH_FILTER_CLASS(qhnsw_filter_oid, "oid", QH_FILTER_EXACT, 4, oid_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_float4, "real", QH_FILTER_EXACT, 4, float4_key, float4_place);
QH_FILTER_CLASS(qhnsw_filter_float8, "double precision", QH_FILTER_EXACT, 8, float8_key, float8_place);
QH_FILTER_CLASS(qhnsw_filter_numeric, "numeric", QH_FILTER_BOUNDING, 8, numeric_key, NULL);
