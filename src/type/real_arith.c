/*
 * real_arith.c
 *		Sums, differences, products and normalizing of real[], and the type of their operands.
 *
 * Element by element, as PostgreSQL's own real computes: NaN and infinity go in and come out, and
 * a finite result that does not fit is an error.  Knows no distances and no codes.  See
 * README.md, "Arithmetic".
 */
#include "type/dims.h"
#include "type/realarray.h"

#include "catalog/pg_type.h"
#include "kernel/kernel.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgroids.h"

#include <math.h>

PG_FUNCTION_INFO_V1(real_operand_in);
PG_FUNCTION_INFO_V1(real_operand_out);
PG_FUNCTION_INFO_V1(real_operand_recv);
PG_FUNCTION_INFO_V1(real_operand_send);
PG_FUNCTION_INFO_V1(real_operand);
PG_FUNCTION_INFO_V1(real_add);
PG_FUNCTION_INFO_V1(real_sub);
PG_FUNCTION_INFO_V1(real_mul);
PG_FUNCTION_INFO_V1(real_l2_normalize);

/* ---- real_operand: a real[] under another name ---- */

/* Call an input or output function of arrays, which looks for the type of the elements in its FmgrInfo. */
static Datum
call_array_function(FunctionCallInfo fcinfo, Oid function, short nargs)
{
	LOCAL_FCINFO(call, 3);
	FmgrInfo	flinfo;
	Datum		result;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, nargs, InvalidOid, fcinfo->context, NULL);
	call->args[0].value = PG_GETARG_DATUM(0);
	call->args[0].isnull = false;
	call->args[1].value = ObjectIdGetDatum(FLOAT4OID);
	call->args[1].isnull = false;
	call->args[2].value = Int32GetDatum(-1);
	call->args[2].isnull = false;
	result = FunctionCallInvoke(call);
	fcinfo->isnull = call->isnull;
	return result;
}

Datum
real_operand_in(PG_FUNCTION_ARGS)
{
	return call_array_function(fcinfo, F_ARRAY_IN, 3);
}

Datum
real_operand_out(PG_FUNCTION_ARGS)
{
	return call_array_function(fcinfo, F_ARRAY_OUT, 1);
}

Datum
real_operand_recv(PG_FUNCTION_ARGS)
{
	return call_array_function(fcinfo, F_ARRAY_RECV, 3);
}

Datum
real_operand_send(PG_FUNCTION_ARGS)
{
	return call_array_function(fcinfo, F_ARRAY_SEND, 1);
}

/* The cast from real[]: the same datum. */
Datum
real_operand(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* ---- element by element ---- */

typedef float4 (*Step) (const float4 a, const float4 b);

static Datum
each(FunctionCallInfo fcinfo, Step step)
{
	RealArray	a = PG_GETARG_REAL_ARRAY(0);
	RealArray	b = PG_GETARG_REAL_ARRAY(1);
	ArrayType  *result;
	float4	   *values;

	dims_check_same(a.ndims, b.ndims);
	result = real_array_make(a.ndims, &values);
	for (int i = 0; i < a.ndims; i++)
		values[i] = step(a.values[i], b.values[i]);
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
real_add(PG_FUNCTION_ARGS)
{
	return each(fcinfo, float4_pl);
}

Datum
real_sub(PG_FUNCTION_ARGS)
{
	return each(fcinfo, float4_mi);
}

Datum
real_mul(PG_FUNCTION_ARGS)
{
	return each(fcinfo, float4_mul);
}

/* A vector of zeroes has no direction and stays what it is. */
Datum
real_l2_normalize(PG_FUNCTION_ARGS)
{
	RealArray	a = PG_GETARG_REAL_ARRAY(0);
	double		norm = sqrt(qv_kernels()->dot_f32(a.values, a.values, a.ndims));
	float4	   *values;
	ArrayType  *result = real_array_make(a.ndims, &values);

	for (int i = 0; i < a.ndims; i++)
		values[i] = norm == 0 ? a.values[i] : (float4) (a.values[i] / norm);
	PG_RETURN_ARRAYTYPE_P(result);
}
