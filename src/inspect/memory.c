/*
 * memory.c
 *		qvec_estimate_memory: what the usual formulas say of bytes and bits in memory.
 *
 * The formulas of OpenSearch's manual, for those who plan by them; qhnsw_estimate_size() says what
 * an index of this extension takes.  Reads nothing.  See README.md, section "Size".
 */
#include "compat.h"

#include "inspect/inspect.h"
#include "type/bitvec.h"
#include "utils/builtins.h"

#include <math.h>

PG_FUNCTION_INFO_V1(qvec_estimate_memory);

static void
refuse_name(const char *what, const char *value, const char *valid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", what, value),
			 errhint("Valid values are %s.", valid)));
}

static void
refuse_outside(const char *what, int64 value, int64 min, int64 max)
{
	if (value < min || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between %lld and %lld, not %lld", what,
						(long long) min, (long long) max, (long long) value)));
}

/*
 * qvec_estimate_memory(method, data_type, rows, dims, m, nlist): m is HNSW's and nlist IVF's,
 * and the other's may be NULL.  NULL where a number is that is needed.
 */
Datum
qvec_estimate_memory(PG_FUNCTION_ARGS)
{
	const char *method;
	const char *data_type;
	bool		hnsw;
	bool		bits;
	int			needed;			/* number of the argument that the method asks for */
	double		nrows;
	double		vector;			/* bytes of one */
	double		nbytes;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	method = text_to_cstring(PG_GETARG_TEXT_PP(0));
	data_type = text_to_cstring(PG_GETARG_TEXT_PP(1));
	hnsw = strcmp(method, "hnsw") == 0;
	bits = strcmp(data_type, "binary") == 0;
	if (!hnsw && strcmp(method, "ivf") != 0)
		refuse_name("method", method, "\"hnsw\" and \"ivf\"");
	if (!bits && strcmp(data_type, "byte") != 0)
		refuse_name("data_type", data_type, "\"byte\" and \"binary\"");
	needed = hnsw ? 4 : 5;
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(needed))
		PG_RETURN_NULL();
	refuse_outside("rows", PG_GETARG_INT64(2), 0, INT64CONST(1000000000000));
	refuse_outside("dims", PG_GETARG_INT32(3), 1, BITVEC_MAX_DIMS);
	refuse_outside(hnsw ? "m" : "nlist", PG_GETARG_INT32(needed), 1, PG_INT32_MAX);

	nrows = (double) PG_GETARG_INT64(2);
	vector = bits ? PG_GETARG_INT32(3) / 8.0 : PG_GETARG_INT32(3);
	if (hnsw)
		nbytes = (vector + 8.0 * PG_GETARG_INT32(4)) * nrows;
	else
		nbytes = vector * nrows + (bits ? 1 : 4) * vector * PG_GETARG_INT32(5);
	/* a tenth more for overhead, to the nearest byte; 1.1 itself is no number of double precision */
	nbytes = floor(nbytes * 11 / 10 + 0.5);
	if (nbytes >= (double) PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range")));
	PG_RETURN_INT64((int64) nbytes);
}
