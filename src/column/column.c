/*
 * column.c
 *		What an operator class says of its type, and which values are indexed.
 *
 * A new column type adds a QhColumn and an SQL-callable function that returns it.  Nothing else
 * in the access method knows types.  README.md, section "What an operator class says".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/genam.h"
#include "column/column.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "type/bitvec.h"
#include "type/qvec8.h"
#include "type/realarray.h"
#include "utils/lsyscache.h"

const QhColumn *
qh_column(Relation index)
{
	FmgrInfo   *proc = index_getprocinfo(index, 1, QH_COLUMN_PROC);

	return (const QhColumn *) DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));
}

void
qh_column_distance(Relation index, FmgrInfo *distance, MemoryContext cxt)
{
	Oid			type = index->rd_opcintype[0];
	Oid			operator = get_opfamily_member(index->rd_opfamily[0], type, type, QH_DISTANCE_STRATEGY);

	if (!OidIsValid(operator))
		elog(ERROR, "operator class of index \"%s\" has no distance operator",
			 RelationGetRelationName(index));
	fmgr_info_cxt(get_opcode(operator), distance, cxt);
}

void
qh_column_read(const QhColumn *column, Datum value, QhValue *out)
{
	out->data = column->read(value, &out->ndims);
	out->norm2 = 0;
	out->finite = true;
	if (column->kind == QV_CODE_BITS)
		return;
	out->norm2 = qv_kernels()->dot_f32(out->data, out->data, out->ndims);

	/* the sum of squares of finite floats is finite in double, so it tells whether all are */
	out->finite = isfinite(out->norm2);
}

/* An error that names the first element that is not finite, if there is one. */
static void
refuse_element(const QhValue *value)
{
	const float *x = value->data;

	for (uint32 i = 0; i < value->ndims; i++)
	{
		if (!isfinite(x[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("element %u of the vector is %s, which a qhnsw index cannot hold",
							i + 1, isnan(x[i]) ? "NaN" : x[i] > 0 ? "Infinity" : "-Infinity"),
					 errdetail("Indexed vectors have finite elements only.")));
	}
}

bool
qh_column_indexable(const QhColumn *column, const QhValue *value, uint32 ndims)
{
	if (value->ndims > column->max_ndims)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("type %s cannot be indexed with %u dimensions", column->type_name, value->ndims),
				 errdetail("The maximum is %u.", column->max_ndims)));
	if (ndims > 0 && value->ndims != ndims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %u dimensions, not %u", ndims, value->ndims),
				 errdetail("All vectors of a qhnsw index have one dimension."),
				 errhint("Where neither type nor \"dims\" states it, the first row ever inserted decided; REINDEX decides anew.")));
	if (column->kind == QV_CODE_BITS)
		return true;
	if (!value->finite)
		refuse_element(value);
	/* an estimate of L2 is a float, and may be four times a squared norm */
	if (value->norm2 > FLT_MAX / 16 && column->metric != QV_METRIC_COSINE)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("vector of length %g is too long for a qhnsw index", sqrt(value->norm2)),
				 errdetail("The maximum is %g.", sqrt(FLT_MAX / 16))));
	return column->metric != QV_METRIC_COSINE || value->norm2 > 0;
}

/* ---- the types ---- */

static uint32
plain_typmod_ndims(int32 typmod)
{
	return typmod > 0 ? typmod : 0;
}

static uint32
no_typmod_ndims(int32 typmod)
{
	return 0;
}

static const void *
read_bitvec(Datum value, uint32 *ndims)
{
	BitvecView	view = bitvec_view(value);

	*ndims = view.nbits;
	return view.bits;
}

static const void *
read_qvec8(Datum value, uint32 *ndims)
{
	Qvec8View	view = qvec8_view(value);
	float	   *x = palloc(sizeof(float) * view.ndims);

	for (int i = 0; i < view.ndims; i++)
		x[i] = (float) qvec8_value(&view, i);
	*ndims = view.ndims;
	return x;
}

static const void *
read_real_array(Datum value, uint32 *ndims)
{
	RealArray	view = real_array_view(value);

	*ndims = view.ndims;
	return view.values;
}

/* Rounded to floats, as the operators do: distances are those of the floats. */
static const void *
read_double_array(Datum value, uint32 *ndims)
{
	RealArray	view = real_array_of_doubles(value);

	*ndims = view.ndims;
	return view.values;
}

#define QH_COLUMN(function, type, metric, kind, max, compressible, typmod, read, rounds) \
PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	static const QhColumn column = {type, metric, kind, max, compressible, typmod, read, rounds, false}; \
\
	PG_RETURN_POINTER(&column); \
} \
extern int	qh_column_no_such_variable

/*
 * Most dimensions of float columns: those of pgvector's types.  The rotation was tested with so
 * many.
 */
#define REAL_MAX_DIMS	16000

QH_COLUMN(qhnsw_bitvec_hamming, "bitvec", QV_METRIC_HAMMING, QV_CODE_BITS, BITVEC_MAX_DIMS, false, plain_typmod_ndims, read_bitvec, false);
QH_COLUMN(qhnsw_bitvec_jaccard, "bitvec", QV_METRIC_JACCARD, QV_CODE_BITS, BITVEC_MAX_DIMS, false, plain_typmod_ndims, read_bitvec, false);
QH_COLUMN(qhnsw_qvec8_cosine, "qvec8", QV_METRIC_COSINE, QV_CODE_RABITQ, QVEC8_MAX_DIMS, true, plain_typmod_ndims, read_qvec8, true);
QH_COLUMN(qhnsw_qvec8_l2, "qvec8", QV_METRIC_L2, QV_CODE_RABITQ, QVEC8_MAX_DIMS, true, plain_typmod_ndims, read_qvec8, true);
QH_COLUMN(qhnsw_qvec8_ip, "qvec8", QV_METRIC_IP, QV_CODE_RABITQ, QVEC8_MAX_DIMS, true, plain_typmod_ndims, read_qvec8, true);
QH_COLUMN(qhnsw_real_cosine, "real[]", QV_METRIC_COSINE, QV_CODE_RABITQ, REAL_MAX_DIMS, true, no_typmod_ndims, read_real_array, false);
QH_COLUMN(qhnsw_real_l2, "real[]", QV_METRIC_L2, QV_CODE_RABITQ, REAL_MAX_DIMS, true, no_typmod_ndims, read_real_array, false);
QH_COLUMN(qhnsw_real_ip, "real[]", QV_METRIC_IP, QV_CODE_RABITQ, REAL_MAX_DIMS, true, no_typmod_ndims, read_real_array, false);
QH_COLUMN(qhnsw_float8_cosine, "double precision[]", QV_METRIC_COSINE, QV_CODE_RABITQ, REAL_MAX_DIMS, true, no_typmod_ndims, read_double_array, true);
QH_COLUMN(qhnsw_float8_l2, "double precision[]", QV_METRIC_L2, QV_CODE_RABITQ, REAL_MAX_DIMS, true, no_typmod_ndims, read_double_array, true);
QH_COLUMN(qhnsw_float8_ip, "double precision[]", QV_METRIC_IP, QV_CODE_RABITQ, REAL_MAX_DIMS, true, no_typmod_ndims, read_double_array, true);
