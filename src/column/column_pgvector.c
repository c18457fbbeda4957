/*
 * column_pgvector.c
 *		The columns of the bridge extension qvec_pgvector: pgvector's vector and halfvec, and bit.
 *
 * Knows the layout of pgvector's types without a header of its, and so checks every datum.
 * README.md, section "pgvector's types".
 */
#include "compat.h"

#include "column/column.h"
#include "type/bitvec.h"
#include "utils/varbit.h"

/* pgvector's own limit, VECTOR_MAX_DIM and HALFVEC_MAX_DIM */
#define PGVECTOR_MAX_DIMS	16000

/* Both types: after the varlena header a number of dimensions, two unused bytes, the elements. */
typedef struct PgvectorDatum
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int16		ndims;
	int16		unused;			/* 0 */
	char		elements[FLEXIBLE_ARRAY_MEMBER];
} PgvectorDatum;

StaticAssertDecl(offsetof(PgvectorDatum, elements) == 8, "elements of pgvector's types are aligned");

/* Detoast a value.  An error if its length is not that of its dimension. */
static const PgvectorDatum *
open_datum(Datum value, const char *type_name, Size element_nbytes)
{
	const PgvectorDatum *datum = (const PgvectorDatum *) PG_DETOAST_DATUM(value);
	Size		nbytes = VARSIZE(datum);

	if (nbytes < offsetof(PgvectorDatum, elements) ||
		datum->ndims < 1 || datum->ndims > PGVECTOR_MAX_DIMS || datum->unused != 0 ||
		nbytes != offsetof(PgvectorDatum, elements) + datum->ndims * element_nbytes)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("value of %zu bytes is not a %s as pgvector lays it out", nbytes, type_name)));
	return datum;
}

static const void *
read_vector(Datum value, uint32 *ndims)
{
	const PgvectorDatum *datum = open_datum(value, "vector", sizeof(float));

	*ndims = datum->ndims;
	return datum->elements;
}

/* A half precision number (IEEE 754 binary16) as a float, exactly. */
static float
half_to_float(uint16 half)
{
	uint32		sign = (uint32) (half & 0x8000) << 16;
	uint32		exponent = (half >> 10) & 0x1F;
	uint32		fraction = half & 0x3FF;
	uint32		bits;
	float		result;

	if (exponent == 0)
	{
		/* zero or subnormal: a whole number of 2^-24 */
		result = (float) fraction * 0x1p-24f;
		return sign ? -result : result;
	}
	/* infinity and NaN have the largest exponent in either format */
	exponent = exponent == 0x1F ? 0xFF : exponent + 127 - 15;
	bits = sign | exponent << 23 | fraction << 13;
	memcpy(&result, &bits, sizeof(result));
	return result;
}

static const void *
read_halfvec(Datum value, uint32 *ndims)
{
	const PgvectorDatum *datum = open_datum(value, "halfvec", sizeof(uint16));
	const uint16 *halves = (const uint16 *) datum->elements;
	float	   *x = palloc(sizeof(float) * datum->ndims);

	for (int i = 0; i < datum->ndims; i++)
		x[i] = half_to_float(halves[i]);
	*ndims = datum->ndims;
	return x;
}

/* PostgreSQL's own bits lie as those of bitvec do, padded with zeroes. */
static const void *
read_bit(Datum value, uint32 *ndims)
{
	VarBit	   *bits = DatumGetVarBitP(value);

	if (VARBITLEN(bits) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("type bit cannot be indexed with 0 dimensions")));
	*ndims = VARBITLEN(bits);
	return VARBITS(bits);
}

static uint32
typmod_ndims(int32 typmod)
{
	return typmod > 0 ? typmod : 0;
}

#define BRIDGE_COLUMN(function, name, metric_, kind_, max_, compressible_, read_) \
PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	static const QhColumn column = { \
		.type_name = name, \
		.metric = metric_, \
		.kind = kind_, \
		.max_ndims = max_, \
		.compressible = compressible_, \
		.typmod_ndims = typmod_ndims, \
		.read = read_, \
		.sums_floats = true \
	}; \
\
	PG_RETURN_POINTER(&column); \
} \
extern int	qh_pgvector_no_such_variable

#define PGVECTOR_COLUMN(function, name, metric, read) \
	BRIDGE_COLUMN(function, name, metric, QV_CODE_RABITQ, PGVECTOR_MAX_DIMS, true, read)
#define BIT_COLUMN(function, metric) \
	BRIDGE_COLUMN(function, "bit", metric, QV_CODE_BITS, BITVEC_MAX_DIMS, false, read_bit)

PGVECTOR_COLUMN(qhnsw_vector_cosine, "vector", QV_METRIC_COSINE, read_vector);
PGVECTOR_COLUMN(qhnsw_vector_l2, "vector", QV_METRIC_L2, read_vector);
PGVECTOR_COLUMN(qhnsw_vector_ip, "vector", QV_METRIC_IP, read_vector);
PGVECTOR_COLUMN(qhnsw_halfvec_cosine, "halfvec", QV_METRIC_COSINE, read_halfvec);
PGVECTOR_COLUMN(qhnsw_halfvec_l2, "halfvec", QV_METRIC_L2, read_halfvec);
PGVECTOR_COLUMN(qhnsw_halfvec_ip, "halfvec", QV_METRIC_IP, read_halfvec);
BIT_COLUMN(qhnsw_bit_hamming, QV_METRIC_HAMMING);
BIT_COLUMN(qhnsw_bit_jaccard, QV_METRIC_JACCARD);
