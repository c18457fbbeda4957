/*
 * filter_array.c
 *		Signatures of arrays: 64 bits of which each element sets a few.
 *
 * A signature tells that an element is not there; that one is there only the array tells.
 * README.md, section "Filter columns".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "column/filter_type.h"
#include "compat.h"
#include "utils/array.h"
#include "utils/typcache.h"

/*
 * Bits that an element sets.  Of arrays of five elements 1 in 100 seems to have one that is not
 * there, of ten elements 1 in 20; two bits or four err more often at one of these sizes.
 */
#define BITS_PER_ELEMENT	3

/* Of an array whose elements have no hash function nothing is known. */
#define ANYTHING			(~UINT64CONST(0))

static uint64
bits_of_hash(uint64 hash)
{
	uint64		bits = 0;

	for (int i = 0; i < BITS_PER_ELEMENT; i++)
		bits |= UINT64CONST(1) << ((hash >> (6 * i)) & 63);
	return bits;
}

void
qh_array_bits(Datum value, Oid collation, QhArrayBits *out)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	TypeCacheEntry *type = lookup_type_cache(ARR_ELEMTYPE(array), TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	bool		hashes = OidIsValid(type->hash_extended_proc_finfo.fn_oid);
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign,
					  &elements, &nulls, &n);
	out->nelements = 0;
	out->bits = palloc(sizeof(uint64) * Max(n, 1));
	out->has_null = false;
	out->all = hashes ? 0 : ANYTHING;
	for (int i = 0; i < n; i++)
	{
		uint64		bits = 0;

		if (nulls[i])
		{
			out->has_null = true;
			continue;
		}
		if (hashes)
			bits = bits_of_hash(DatumGetUInt64(FunctionCall2Coll(&type->hash_extended_proc_finfo, collation,
																 elements[i], UInt64GetDatum(0))));
		out->bits[out->nelements++] = bits;
		out->all |= bits;
	}
	pfree(elements);
	pfree(nulls);
}

static int64
array_key(Datum value, Oid collation)
{
	QhArrayBits bits;

	qh_array_bits(value, collation, &bits);
	pfree(bits.bits);
	return (int64) bits.all;
}

QH_FILTER_CLASS(qhnsw_filter_array, "anyarray", QH_FILTER_SIGNATURE, 8, array_key, NULL);
