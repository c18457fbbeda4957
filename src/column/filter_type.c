/*
 * filter_type.c
 *		Filter columns: what an operator class says of its type, and the classes of PostgreSQL's types.
 *
 * A type of another extension adds a QhFilterType and an SQL-callable function that returns it.
 * Numbers and times are in filter_numbers.c and filter_times.c.  README.md, section "Filter
 * columns".
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/genam.h"
#include "column/filter_type.h"
#include "compat.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/pg_locale.h"
#include "utils/uuid.h"

const QhFilterType *
qh_filter_type(Relation index, AttrNumber attno)
{
	const QhFilterType *type;

	if (!OidIsValid(index_getprocid(index, attno, QH_FILTER_PROC)))
		return NULL;
	type = (const QhFilterType *)
		DatumGetPointer(FunctionCall1(index_getprocinfo(index, attno, QH_FILTER_PROC), PointerGetDatum(NULL)));
	if (type->nbytes != 1 && type->nbytes != 2 && type->nbytes != 4 && type->nbytes != 8)
		elog(ERROR, "filter keys of type %s have %u bytes", type->type_name, type->nbytes);
	return type;
}

void
qh_check_column_classes(Relation index)
{
	for (AttrNumber attno = 1; attno <= IndexRelationGetNumberOfKeyAttributes(index); attno++)
	{
		bool		is_filter = qh_filter_type(index, attno) != NULL;

		if (attno == 1 && is_filter)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the first column of a qhnsw index must be one of vectors"),
					 errdetail("Column \"%s\" has an operator class for filter columns.",
							   NameStr(TupleDescAttr(RelationGetDescr(index), attno - 1)->attname)),
					 errhint("Name the column of vectors first, or an operator class that orders by distance.")));
		if (attno > 1 && !is_filter)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a qhnsw index has one column of vectors, the first"),
					 errdetail("Column \"%s\" has an operator class for vectors.",
							   NameStr(TupleDescAttr(RelationGetDescr(index), attno - 1)->attname)),
					 errhint("Create one index for each column of vectors.")));
	}
}

void
qh_filter_place(const QhFilterType *type, Datum value, Oid value_type, Oid collation,
				QhFilterPlace *out)
{
	Assert(type->kind != QH_FILTER_SIGNATURE);
	if (type->place != NULL)
	{
		type->place(value, value_type, collation, out);
		return;
	}
	out->low = out->high = type->key(value, collation);
	out->exact = type->kind == QH_FILTER_EXACT || type->kind == QH_FILTER_UNORDERED;
}

/* ---- the types ---- */

static int64
bool_key(Datum value, Oid collation)
{
	return DatumGetBool(value) ? 1 : 0;
}

/* Order is the catalog's, which a value added between others changes. */
static int64
enum_key(Datum value, Oid collation)
{
	return (int32) DatumGetObjectId(value);
}

/* Unsigned numbers in the order of signed ones. */
static int64
in_signed_order(uint64 bits)
{
	return (int64) (bits ^ UINT64CONST(1) << 63);
}

/* The first eight bytes, zeros behind the end: in the order of memcmp(), but for what they leave out. */
static int64
prefix_key(const char *bytes, Size nbytes)
{
	uint64		prefix = 0;

	memcpy(&prefix, bytes, Min(nbytes, sizeof(prefix)));
	return in_signed_order(pg_ntoh64(prefix));
}

static int64
uuid_key(Datum value, Oid collation)
{
	return prefix_key((const char *) DatumGetUUIDP(value)->data, UUID_LEN);
}

static int64
bytea_key(Datum value, Oid collation)
{
	struct varlena *bytes = PG_DETOAST_DATUM_SLICE(value, 0, sizeof(uint64));

	return prefix_key(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/*
 * As inet values are ordered: the family, the network, the length of its mask, the host.  Of
 * version 6 the first 63 bits of the network.
 */
static int64
inet_key(Datum value, Oid collation)
{
	inet	   *address = DatumGetInetPP(value);
	int			nbits = ip_bits(address);
	uint64		first = 0;
	uint64		network;

	if (ip_family(address) != PGSQL_AF_INET)
	{
		memcpy(&first, ip_addr(address), sizeof(first));
		network = pg_ntoh64(first);
		if (nbits < 64)
			network &= nbits == 0 ? 0 : ~UINT64CONST(0) << (64 - nbits);
		return in_signed_order(UINT64CONST(1) << 63 | network >> 1);
	}
	memcpy(&first, ip_addr(address), 4);
	first = pg_ntoh64(first) >> 32;
	network = nbits == 0 ? 0 : first & (UINT64CONST(0xFFFFFFFF) << (32 - nbits));
	return in_signed_order(network << 31 | (uint64) nbits << 25 | (first - network) >> 7);
}

static int64
text_key(Datum value, Oid collation)
{
	return DatumGetInt32(DirectFunctionCall1Coll(hashtext, collation, value));
}

static int64
bpchar_key(Datum value, Oid collation)
{
	return DatumGetInt32(DirectFunctionCall1Coll(hashbpchar, collation, value));
}

static int64
text_prefix_key(Datum value, Oid collation)
{
	struct varlena *bytes = PG_DETOAST_DATUM_SLICE(value, 0, sizeof(uint64));

	return prefix_key(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Bytes order as text does in collation "C" only; in any other nothing is known. */
static void
text_prefix_place(Datum value, Oid type, Oid collation, QhFilterPlace *out)
{
	out->low = PG_INT64_MIN;
	out->high = PG_INT64_MAX;
	out->exact = false;
	if (qh_collation_is_c(collation))
		out->low = out->high = text_prefix_key(value, collation);
}

QH_FILTER_CLASS(qhnsw_filter_bool, "boolean", QH_FILTER_EXACT, 1, bool_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_enum, "anyenum", QH_FILTER_UNORDERED, 4, enum_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_uuid, "uuid", QH_FILTER_BOUNDING, 8, uuid_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_bytea, "bytea", QH_FILTER_BOUNDING, 8, bytea_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_inet, "inet", QH_FILTER_BOUNDING, 8, inet_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_text, "text", QH_FILTER_HASHED, 4, text_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_bpchar, "character", QH_FILTER_HASHED, 4, bpchar_key, NULL);
QH_FILTER_CLASS(qhnsw_filter_text_prefix, "text", QH_FILTER_BOUNDING, 8, text_prefix_key, text_prefix_place);
