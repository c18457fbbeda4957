/*
 * quantiles.c
 *		The aggregate qvec_quantiles: the interval that holds a share of all elements.
 *
 * Exact up to MAX_EXACT elements; beyond, a histogram whose buckets are 1/256
 * wide relative to the value.  Either way the result depends neither on the
 * order of rows nor on how workers share them.  Knows no codes.  See
 * README.md, "Aggregates".
 */
#include "type/realarray.h"

#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include <math.h>
#include <string.h>

PG_FUNCTION_INFO_V1(qvec_quantiles_accum);
PG_FUNCTION_INFO_V1(qvec_quantiles_combine);
PG_FUNCTION_INFO_V1(qvec_quantiles_serial);
PG_FUNCTION_INFO_V1(qvec_quantiles_deserial);
PG_FUNCTION_INFO_V1(qvec_quantiles_final);

/*
 * A bucket is the 17 high bits of a float: sign, exponent and 8 bits of
 * mantissa.  Chosen by hand: 1 MB of counts, as much as the exact elements
 * take before, and a bucket a third as wide as a step of 8 bits over [0, max].
 */
#define BUCKET_SHIFT 15
#define NBUCKETS (1 << (32 - BUCKET_SHIFT))
#define MAX_EXACT (NBUCKETS * sizeof(uint64) / sizeof(float4))

typedef struct QuantileState
{
	double		confidence;
	uint64		nelements;
	float4		min;
	float4		max;
	uint64	   *counts;			/* NBUCKETS, or NULL while elements are exact */
	float4	   *exact;			/* nelements of them, or NULL */
	uint64		capacity;		/* of exact */
	MemoryContext context;
} QuantileState;

/* ---- floats as ordered integers ---- */

/* A map of floats to integers that keeps their order: flip all bits of the negative, the sign of the others. */
static uint32
ordered_key(float4 value)
{
	uint32		bits;

	value += 0;					/* -0 becomes 0 */
	memcpy(&bits, &value, sizeof(bits));
	return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

static float4
value_of_key(uint32 key)
{
	uint32		bits = key & 0x80000000 ? key & 0x7FFFFFFF : ~key;
	float4		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static int
compare_values(const void *a, const void *b)
{
	float4		x = *(const float4 *) a;
	float4		y = *(const float4 *) b;

	return (x > y) - (x < y);
}

/* ---- state ---- */

static QuantileState *
state_make(MemoryContext context, double confidence)
{
	QuantileState *state = MemoryContextAllocZero(context, sizeof(QuantileState));

	state->confidence = confidence;
	state->context = context;
	return state;
}

/* From exact elements to a histogram. */
static void
state_spill(QuantileState *state)
{
	if (state->counts != NULL)
		return;
	state->counts = MemoryContextAllocZero(state->context, NBUCKETS * sizeof(uint64));
	for (uint64 i = 0; i < state->nelements; i++)
		state->counts[ordered_key(state->exact[i]) >> BUCKET_SHIFT]++;
	if (state->exact != NULL)
		pfree(state->exact);
	state->exact = NULL;
	state->capacity = 0;
}

/* Make room for more exact elements; requires that MAX_EXACT allows them. */
static void
state_reserve(QuantileState *state, uint64 more)
{
	uint64		wanted = state->nelements + more;

	if (wanted <= state->capacity)
		return;
	state->capacity = Min(Max(wanted * 2, 64), MAX_EXACT);
	if (state->exact == NULL)
		state->exact = MemoryContextAlloc(state->context, state->capacity * sizeof(float4));
	else
		state->exact = repalloc(state->exact, state->capacity * sizeof(float4));
}

static void
state_add(QuantileState *state, const float4 *values, uint64 n)
{
	if (state->counts == NULL && state->nelements + n > MAX_EXACT)
		state_spill(state);
	if (state->counts == NULL)
	{
		state_reserve(state, n);
		memcpy(state->exact + state->nelements, values, n * sizeof(float4));
	}
	for (uint64 i = 0; i < n; i++)
	{
		if (state->counts != NULL)
			state->counts[ordered_key(values[i]) >> BUCKET_SHIFT]++;
		if (state->nelements + i == 0)
			state->min = state->max = values[i];
		state->min = Min(state->min, values[i]);
		state->max = Max(state->max, values[i]);
	}
	state->nelements += n;
}

/* Take in the other state, which is left as it was. */
static void
state_merge(QuantileState *state, const QuantileState *other)
{
	if (other->counts == NULL)
	{
		state_add(state, other->exact, other->nelements);
		return;
	}
	state_spill(state);
	for (int i = 0; i < NBUCKETS; i++)
		state->counts[i] += other->counts[i];
	if (state->nelements == 0)
	{
		state->min = other->min;
		state->max = other->max;
	}
	state->min = Min(state->min, other->min);
	state->max = Max(state->max, other->max);
	state->nelements += other->nelements;
}

/* ---- result ---- */

/*
 * How many elements may lie outside at either end.  The small excess makes up
 * for the rounding of confidence: 1 - 0.9 is a little less than 0.1.
 */
static uint64
trimmed(const QuantileState *state)
{
	double		share = (1 - state->confidence) / 2;
	uint64		n = (uint64) floor(share * (double) state->nelements * (1 + 1e-12) + 1e-9);

	return Min(n, (state->nelements - 1) / 2);
}

/* The lower edge of the bucket that holds the element of this rank, counted from 0 upwards. */
static float4
histogram_lower(const QuantileState *state, uint64 rank)
{
	uint32		bucket = 0;
	uint64		seen = state->counts[0];

	while (seen <= rank)
		seen += state->counts[++bucket];
	return value_of_key(bucket << BUCKET_SHIFT);
}

/* The upper edge of the bucket that holds the element of this rank, counted from 0 downwards. */
static float4
histogram_upper(const QuantileState *state, uint64 rank)
{
	uint32		bucket = NBUCKETS - 1;
	uint64		seen = state->counts[bucket];

	while (seen <= rank)
		seen += state->counts[--bucket];
	return value_of_key((bucket << BUCKET_SHIFT) | ((1 << BUCKET_SHIFT) - 1));
}

/* ---- SQL ---- */

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function of aggregate qvec_quantiles called outside of an aggregate");
	return context;
}

static void
check_confidence(double confidence)
{
	if (!(confidence > 0 && confidence <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("confidence must be greater than 0 and at most 1, not %g", confidence)));
}

static void
check_same_confidence(const QuantileState *state, double confidence)
{
	if (state->confidence != confidence)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("confidence must be the same for all rows, not %g and %g",
						state->confidence, confidence)));
}

/* (state internal, value real[], confidence float8): a NULL value or confidence is passed over. */
Datum
qvec_quantiles_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	QuantileState *state = PG_ARGISNULL(0) ? NULL : (QuantileState *) PG_GETARG_POINTER(0);
	RealArray	row;
	double		confidence;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	confidence = PG_GETARG_FLOAT8(2);
	row = PG_GETARG_REAL_ARRAY(1);
	check_confidence(confidence);
	real_array_check_finite(&row);
	if (state == NULL)
		state = state_make(context, confidence);
	check_same_confidence(state, confidence);
	state_add(state, row.values, row.ndims);
	PG_RETURN_POINTER(state);
}

Datum
qvec_quantiles_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	QuantileState *state = PG_ARGISNULL(0) ? NULL : (QuantileState *) PG_GETARG_POINTER(0);
	QuantileState *other = PG_ARGISNULL(1) ? NULL : (QuantileState *) PG_GETARG_POINTER(1);

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = state_make(context, other->confidence);
	check_same_confidence(state, other->confidence);
	state_merge(state, other);
	PG_RETURN_POINTER(state);
}

/* Exact elements as they are; of a histogram the buckets in use. */
Datum
qvec_quantiles_serial(PG_FUNCTION_ARGS)
{
	QuantileState *state = (QuantileState *) PG_GETARG_POINTER(0);
	StringInfoData buf;
	uint32		nused = 0;

	(void) aggregate_context(fcinfo);
	pq_begintypsend(&buf);
	pq_sendfloat8(&buf, state->confidence);
	pq_sendint64(&buf, state->nelements);
	pq_sendfloat4(&buf, state->min);
	pq_sendfloat4(&buf, state->max);
	pq_sendbyte(&buf, state->counts != NULL);
	if (state->counts == NULL)
	{
		for (uint64 i = 0; i < state->nelements; i++)
			pq_sendfloat4(&buf, state->exact[i]);
		PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
	}
	for (int i = 0; i < NBUCKETS; i++)
		nused += state->counts[i] > 0;
	pq_sendint32(&buf, nused);
	for (int i = 0; i < NBUCKETS; i++)
	{
		if (state->counts[i] == 0)
			continue;
		pq_sendint32(&buf, i);
		pq_sendint64(&buf, state->counts[i]);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* The server hands back what qvec_quantiles_serial() made in another process. */
Datum
qvec_quantiles_deserial(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	bytea	   *source = PG_GETARG_BYTEA_PP(0);
	QuantileState *state;
	StringInfoData buf;
	uint64		nelements;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source));
	state = state_make(context, pq_getmsgfloat8(&buf));
	nelements = pq_getmsgint64(&buf);
	state->min = pq_getmsgfloat4(&buf);
	state->max = pq_getmsgfloat4(&buf);
	if (pq_getmsgbyte(&buf) == 0)
	{
		if (nelements > MAX_EXACT)
			elog(ERROR, "state of qvec_quantiles holds too many elements");
		state_reserve(state, nelements);
		for (uint64 i = 0; i < nelements; i++)
			state->exact[i] = pq_getmsgfloat4(&buf);
	}
	else
	{
		uint32		nused = pq_getmsgint(&buf, sizeof(uint32));

		state_spill(state);
		for (uint32 i = 0; i < nused; i++)
		{
			uint32		bucket = pq_getmsgint(&buf, sizeof(uint32));

			if (bucket >= NBUCKETS)
				elog(ERROR, "state of qvec_quantiles names bucket %u", bucket);
			state->counts[bucket] = pq_getmsgint64(&buf);
		}
	}
	state->nelements = nelements;
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* {lo,hi}, or NULL where there was no element. */
Datum
qvec_quantiles_final(PG_FUNCTION_ARGS)
{
	QuantileState *state = PG_ARGISNULL(0) ? NULL : (QuantileState *) PG_GETARG_POINTER(0);
	ArrayType  *result;
	float4	   *bounds;
	uint64		skip;

	(void) aggregate_context(fcinfo);
	if (state == NULL)
		PG_RETURN_NULL();
	skip = trimmed(state);
	result = real_array_make(2, &bounds);
	if (state->counts == NULL)
	{
		/* sorting does not change what the state says, so more rows may follow */
		qsort(state->exact, state->nelements, sizeof(float4), compare_values);
		bounds[0] = state->exact[skip];
		bounds[1] = state->exact[state->nelements - 1 - skip];
	}
	else
	{
		/* the outer edges of both buckets: rather a little wide than short of the share */
		bounds[0] = Max(histogram_lower(state, skip), state->min);
		bounds[1] = Min(histogram_upper(state, skip), state->max);
	}
	PG_RETURN_ARRAYTYPE_P(result);
}
