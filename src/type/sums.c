/*
 * sums.c
 *		The aggregates sum and avg of real[] and of qvec8, dimension by dimension.
 *
 * The state is an array of double precision: the number of rows, then one sum a dimension; no
 * dimension yet where there was no row.  The result is rounded to real once.  Knows no
 * distances.  See README.md, "Aggregates".
 */
#include "type/dims.h"
#include "type/flatarray.h"
#include "type/qvec8.h"
#include "type/realarray.h"

#include "catalog/pg_type.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(qvec_sums_accum_real);
PG_FUNCTION_INFO_V1(qvec_sums_accum_qvec8);
PG_FUNCTION_INFO_V1(qvec_sums_combine);
PG_FUNCTION_INFO_V1(qvec_sums_sum);
PG_FUNCTION_INFO_V1(qvec_sums_avg);

typedef struct Sums
{
	ArrayType  *array;
	int			ndims;			/* 0 = no row yet */
	float8	   *count;			/* the array's first element */
	float8	   *sums;			/* ndims, behind it */
} Sums;

static void
sums_open(ArrayType *array, Sums *sums)
{
	int			n;

	if (ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "expected an array of double precision, not of type %u", ARR_ELEMTYPE(array));
	n = flat_array_count(array);
	if (n < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("state of sum or avg must have at least 1 element, not %d", n)));
	sums->array = array;
	sums->ndims = n - 1;
	sums->count = (float8 *) flat_array_data(array);
	sums->sums = sums->count + 1;
}

static void
sums_make(int ndims, Sums *sums)
{
	Size		nbytes = ARR_OVERHEAD_NONULLS(1) + sizeof(float8) * ((Size) ndims + 1);
	ArrayType  *array = (ArrayType *) palloc0(nbytes);

	SET_VARSIZE(array, nbytes);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = ndims + 1;
	ARR_LBOUND(array)[0] = 1;
	sums_open(array, sums);
}

/*
 * The state in argument 0, ready to add a row of ndims dimensions to: itself inside an
 * aggregate, which owns it, else a copy.
 */
static void
sums_to_add_to(FunctionCallInfo fcinfo, int ndims, Sums *sums)
{
	if (AggCheckCallContext(fcinfo, NULL))
		sums_open(PG_GETARG_ARRAYTYPE_P(0), sums);
	else
		sums_open(PG_GETARG_ARRAYTYPE_P_COPY(0), sums);
	if (sums->ndims == 0)
		sums_make(ndims, sums);
	dims_check_same(sums->ndims, ndims);
}

Datum
qvec_sums_accum_real(PG_FUNCTION_ARGS)
{
	RealArray	row = PG_GETARG_REAL_ARRAY(1);
	Sums		sums;

	real_array_check_finite(&row);
	sums_to_add_to(fcinfo, row.ndims, &sums);
	*sums.count += 1;
	for (int i = 0; i < row.ndims; i++)
		sums.sums[i] += row.values[i];
	real_array_release(&row);
	PG_RETURN_ARRAYTYPE_P(sums.array);
}

Datum
qvec_sums_accum_qvec8(PG_FUNCTION_ARGS)
{
	Qvec8View	row = PG_GETARG_QVEC8(1);
	Sums		sums;

	sums_to_add_to(fcinfo, row.ndims, &sums);
	*sums.count += 1;
	for (int i = 0; i < row.ndims; i++)
		sums.sums[i] += qvec8_value(&row, i);
	qvec8_release(&row);
	PG_RETURN_ARRAYTYPE_P(sums.array);
}

Datum
qvec_sums_combine(PG_FUNCTION_ARGS)
{
	Sums		other;
	Sums		sums;

	sums_open(PG_GETARG_ARRAYTYPE_P(1), &other);
	if (other.ndims == 0)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	sums_to_add_to(fcinfo, other.ndims, &sums);
	*sums.count += *other.count;
	for (int i = 0; i < other.ndims; i++)
		sums.sums[i] += other.sums[i];
	PG_RETURN_ARRAYTYPE_P(sums.array);
}

/* The sums divided by a number, as real[]; NULL where there was no row. */
static Datum
result_of(FunctionCallInfo fcinfo, const Sums *sums, double divisor)
{
	float4	   *values;
	ArrayType  *result;

	if (sums->ndims == 0)
		PG_RETURN_NULL();
	result = real_array_make(sums->ndims, &values);
	for (int i = 0; i < sums->ndims; i++)
	{
		values[i] = (float4) (sums->sums[i] / divisor);
		if (isinf(values[i]))
			float_overflow_error();
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
qvec_sums_sum(PG_FUNCTION_ARGS)
{
	Sums		sums;

	sums_open(PG_GETARG_ARRAYTYPE_P(0), &sums);
	return result_of(fcinfo, &sums, 1);
}

Datum
qvec_sums_avg(PG_FUNCTION_ARGS)
{
	Sums		sums;

	sums_open(PG_GETARG_ARRAYTYPE_P(0), &sums);
	return result_of(fcinfo, &sums, *sums.count);
}
