/*
 * size.c
 *		qhnsw_estimate_size: how large an index will be, before it is built.
 *
 * The build says which codes there are, the store where they go; nothing here counts bytes of
 * its own.  See README.md, section "Size".
 */
#include "compat.h"

#include <math.h>

#include "am/am.h"
#include "build/build.h"
#include "catalog/pg_type.h"
#include "inspect/inspect.h"
#include "store/geometry.h"
#include "type/bitvec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(qhnsw_estimate_size);

static void
refuse(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", name, value),
			 errhint("Valid values are %s.", hint)));
}

static void
refuse_number(const char *name, int64 value, int64 max)
{
	if (value < 1 || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 1 and %lld, not %lld",
						name, (long long) max, (long long) value)));
}

static void
check_type(const char *type)
{
	static const char *const types[] = {"real[]", "vector", "halfvec", "qvec8", "bitvec"};

	for (int i = 0; i < (int) lengthof(types); i++)
		if (strcmp(type, types[i]) == 0)
			return;
	refuse("type", type, "\"real[]\", \"bitvec\", \"qvec8\", \"vector\" and \"halfvec\"");
}

/* Bits a dimension of the code that the graph is walked with. */
static int
compression_nbits(const char *compression)
{
	static const char *const names[] = {"32x", "16x", "8x", "4x", "2x", "1x"};
	static const char *const numbers[] = {"32", "16", "8", "4", "2", "1"};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(compression, names[i]) == 0 || strcmp(compression, numbers[i]) == 0)
			return 1 << i;
	refuse("compression", compression, "\"1x\", \"2x\", \"4x\", \"8x\", \"16x\" and \"32x\"");
	return 0;
}

/* Bits a dimension of the finer code, 0 for none. */
static int
refine_nbits(const char *refine)
{
	static const struct
	{
		const char *name;
		int			nbits;
	}			codes[] = {{"none", 0}, {"int2", 2}, {"int4", 4}, {"int8", 8}, {"half", 16}, {"float", 32}};

	for (int i = 0; i < (int) lengthof(codes); i++)
	{
		if (strcmp(refine, codes[i].name) == 0)
			return codes[i].nbits;
	}
	refuse("refine", refine, "\"none\", \"int2\", \"int4\", \"int8\", \"half\" and \"float\"");
	return 0;
}

/* The codes of the index, of the same size whatever the metric. */
static void
choose_codes(QhMeta meta, const char *type, const char *compression, const char *refine)
{
	bool		bits = strcmp(type, "bitvec") == 0;

	meta->code_kind = bits ? QV_CODE_BITS : QV_CODE_RABITQ;
	meta->metric = bits ? QV_METRIC_HAMMING : QV_METRIC_COSINE;
	meta->code_nbits = compression_nbits(compression);
	if (bits && meta->code_nbits != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("compression does not apply to type %s, whose codes are exact", type)));
	meta->refine_nbits = refine_nbits(refine);
	if (bits && meta->refine_nbits != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("refine does not apply to type %s, whose codes are exact", type)));
}

/* Slots of posting lists where rows are spread evenly over nodes. */
static double
count_postings(double nrows, double nnodes, const QhMetaData *meta)
{
	double		per_node = floor(nrows / nnodes);
	double		nfuller = nrows - per_node * nnodes;
	double		per_slot = qh_posting_max(qh_meta_link_nbytes(meta), meta->filter_nbytes);

	return nfuller * ceil((per_node + 1) / per_slot) +
		(per_node > 1 ? (nnodes - nfuller) * ceil(per_node / per_slot) : 0);
}

int64
qh_estimate_index_nbytes(QhMeta meta, double nrows, double distinct)
{
	QhGeometry	geo;
	double		nnodes = Min(Max(ceil(nrows * distinct), 1), nrows);
	double		nslots = nnodes + count_postings(nrows, nnodes, meta);
	const char *fault;

	if (nslots > QH_MAX_NODES / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a qhnsw index cannot hold more than %u nodes, and this one would have %.0f",
						QH_MAX_NODES / 2, nslots)));
	if (meta->code_kind == QV_CODE_RABITQ)
		meta->nparam_pages = qh_meta_param_pages(meta);
	fault = qh_geometry_init(&geo, meta);
	if (fault != NULL)
		elog(ERROR, "cannot lay out an index: %s", fault);
	return (int64) qh_geometry_nblocks(&geo, (uint32) nslots) * BLCKSZ;
}

/* What a graph of low storage says of itself. */
static void
choose_hubs(QhMeta meta, double hub_fraction, int m_low)
{
	if (!(hub_fraction >= 0 && hub_fraction <= 0.5))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hub_fraction must be between 0 and 0.5, not %g", hub_fraction)));
	if (m_low < QH_MIN_M_LOW || m_low > 2 * QH_MAX_M)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("m_low must be between %d and %d, not %d", QH_MIN_M_LOW, 2 * QH_MAX_M, m_low)));
	meta->hub_fraction = hub_fraction;
	if (hub_fraction > 0)
		meta->m_low = Min(m_low, 2 * meta->m);
}

/* The centres of the build, besides the centroid. */
static void
choose_centres(QhMeta meta, int ncentres)
{
	if (ncentres < 0 || ncentres > QV_MAX_CENTRES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("centres must be between 0 and %d, not %d", QV_MAX_CENTRES, ncentres)));
	if (ncentres > 0 && meta->code_kind == QV_CODE_BITS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("codes of type bitvec have no centres")));
	meta->ncentres_built = ncentres;
}

/* The types that an argument names; NULLs are none. */
static int
read_types(ArrayType *array, Oid **types)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int			ntypes = 0;

	deconstruct_array(array, REGTYPEOID, sizeof(Oid), true, TYPALIGN_INT, &values, &nulls, &n);
	*types = palloc(sizeof(Oid) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			(*types)[ntypes++] = getBaseType(DatumGetObjectId(values[i]));
	}
	return ntypes;
}

/* Filter columns and INCLUDE columns of these types. */
static void
choose_filters(QhMeta meta, ArrayType *filters, ArrayType *include)
{
	Oid		   *filter_types;
	Oid		   *include_types;
	int			nfilters = read_types(filters, &filter_types);
	int			ninclude = read_types(include, &include_types);
	QhFilterLayout layout;

	qh_filter_layout_of(filter_types, nfilters, include_types, ninclude, &layout);
	qh_meta_set_filters(meta, &layout);
}

/*
 * qhnsw_estimate_size(rows, dims, m, compression, refine, distinct_share, type, hub_fraction,
 * m_low, centres, filters, include)
 */
Datum
qhnsw_estimate_size(PG_FUNCTION_ARGS)
{
	int64		nrows = PG_GETARG_INT64(0);
	int			ndims = PG_GETARG_INT32(1);
	int			m = PG_GETARG_INT32(2);
	const char *compression = text_to_cstring(PG_GETARG_TEXT_PP(3));
	const char *refine = text_to_cstring(PG_GETARG_TEXT_PP(4));
	double		distinct = PG_GETARG_FLOAT8(5);
	const char *type = text_to_cstring(PG_GETARG_TEXT_PP(6));
	QhMetaData	meta = {0};

	if (nrows < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rows must not be negative, not %lld", (long long) nrows)));
	check_type(type);
	refuse_number("dims", ndims, strcmp(type, "bitvec") == 0 ? QV_BITS_MAX_NDIMS : QV_RABITQ_MAX_NDIMS);
	if (m < QH_MIN_M || m > QH_MAX_M)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("m must be between %d and %d, not %d", QH_MIN_M, QH_MAX_M, m)));
	if (!(distinct > 0 && distinct <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("distinct_share must be greater than 0 and at most 1, not %g", distinct)));

	meta.m = m;
	choose_codes(&meta, type, compression, refine);
	choose_hubs(&meta, PG_GETARG_FLOAT8(7), PG_GETARG_INT32(8));
	choose_centres(&meta, PG_GETARG_INT32(9));
	choose_filters(&meta, PG_GETARG_ARRAYTYPE_P(10), PG_GETARG_ARRAYTYPE_P(11));
	qh_meta_set_ndims(&meta, ndims);
	/* an empty index is its two head pages */
	if (nrows == 0)
		PG_RETURN_INT64((int64) QH_FIRST_PARAM_BLKNO * BLCKSZ);
	PG_RETURN_INT64(qh_estimate_index_nbytes(&meta, (double) nrows, distinct));
}
