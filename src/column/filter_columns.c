/*
 * filter_columns.c
 *		Which filter columns and INCLUDE columns an index has, and the record of a row.
 *
 * Of a filter column a record has the key that its class makes; of an INCLUDE column the value
 * itself where it is short, and else that it is not there.  README.md, section "Filter columns".
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "column/filter_columns.h"
#include "commands/defrem.h"
#include "compat.h"
#include "store/page.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Two bits an INCLUDE column, QhStored, before their values. */
#define STATES_NBYTES(n)	(((n) + 3) / 4)

static void
refuse_columns(const char *what, int n, int max)
{
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_COLUMNS),
			 errmsg("a qhnsw index cannot have %d %s", n, what),
			 errdetail("The maximum is %d.", max)));
}

/*
 * How much room a record has for values of a type.  What others expect with four bytes of header (types whose
 * storage is plain) is not stored, nor what is longer.
 */
static uint32
include_nbytes(Oid type, int16 len)
{
	if (len > 0)
		return len <= QH_INCLUDE_NBYTES ? len : 0;
	return len == -1 && get_typstorage(type) != TYPSTORAGE_PLAIN ? QH_INCLUDE_NBYTES : 0;
}

/* INCLUDE columns, behind nkeys key columns; returns the bytes that they take. */
static uint32
include_columns(Relation index, int nkeys, QhFilterColumns *columns)
{
	TupleDesc	desc = RelationGetDescr(index);
	uint32		at = STATES_NBYTES(desc->natts - nkeys);

	columns->ninclude = desc->natts - nkeys;
	if (columns->ninclude == 0)
		return 0;
	for (int i = 0; i < columns->ninclude; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, nkeys + i);
		QhIncludeColumn *include = &columns->include[i];

		include->len = attr->attlen;
		include->byval = attr->attbyval;
		include->nbytes = include_nbytes(attr->atttypid, attr->attlen);
		include->at = at;
		at += include->nbytes;
	}
	return at;
}

void
qh_filter_columns(Relation index, QhFilterColumns *columns)
{
	int			nkeys = IndexRelationGetNumberOfKeyAttributes(index);
	uint32		nbytes[QH_MAX_FILTERS];
	uint32		in_include;
	const char *fault;

	memset(columns, 0, sizeof(*columns));
	if (RelationGetNumberOfAttributes(index) == 1)
		return;
	if (nkeys - 1 > QH_MAX_FILTERS)
		refuse_columns("filter columns", nkeys - 1, QH_MAX_FILTERS);
	columns->ncolumns = nkeys - 1;
	for (int i = 0; i < columns->ncolumns; i++)
	{
		columns->types[i] = qh_filter_type(index, (AttrNumber) (i + 2));
		columns->collations[i] = index->rd_indcollation[i + 1];
		nbytes[i] = columns->types[i]->nbytes;
	}
	in_include = include_columns(index, nkeys, columns);
	fault = qh_filter_layout(&columns->layout, columns->ncolumns, nbytes, in_include);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot be made: %s", RelationGetRelationName(index), fault)));
	for (int i = 0; i < columns->ninclude; i++)
		columns->include[i].at += columns->layout.include_at;
}

/* What the default class of a type says; an error where there is none. */
static const QhFilterType *
default_filter_type(Oid type)
{
	Oid			opclass = GetDefaultOpClass(type, get_index_am_oid("qhnsw", false));
	Oid			input = OidIsValid(opclass) ? get_opclass_input_type(opclass) : InvalidOid;
	Oid			proc = OidIsValid(opclass) ? get_opfamily_proc(get_opclass_family(opclass), input, input, QH_FILTER_PROC) : InvalidOid;

	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type %s has no default operator class for filter columns of a qhnsw index", format_type_be(type))));
	return (const QhFilterType *) DatumGetPointer(OidFunctionCall1(proc, PointerGetDatum(NULL)));
}

void
qh_filter_layout_of(const Oid *filters, int nfilters, const Oid *include, int ninclude, QhFilterLayout *layout)
{
	uint32		nbytes[QH_MAX_FILTERS];
	uint32		in_include = ninclude > 0 ? STATES_NBYTES(ninclude) : 0;
	const char *fault;

	if (nfilters > QH_MAX_FILTERS)
		refuse_columns("filter columns", nfilters, QH_MAX_FILTERS);
	if (ninclude > INDEX_MAX_KEYS)
		refuse_columns("INCLUDE columns", ninclude, INDEX_MAX_KEYS);
	for (int i = 0; i < nfilters; i++)
		nbytes[i] = default_filter_type(filters[i])->nbytes;
	for (int i = 0; i < ninclude; i++)
		in_include += include_nbytes(include[i], get_typlen(include[i]));
	fault = qh_filter_layout(layout, nfilters, nbytes, in_include);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an index of these columns cannot be made: %s", fault)));
}

void
qh_check_filter_columns(Relation index, const QhIndex *ix, const QhFilterColumns *columns)
{
	QhMetaData	meta = ix->meta;

	qh_meta_set_filters(&meta, &columns->layout);
	if (meta.nfilters != ix->meta.nfilters || meta.filter_widths != ix->meta.filter_widths ||
		meta.include_nbytes != ix->meta.include_nbytes || meta.filter_nbytes != ix->meta.filter_nbytes)
		qh_report_corrupt(index, QH_META_BLKNO, "filter columns do not match those of the index");
}

/* ---- records ---- */

static QhStored
stored_state(const QhFilterColumns *columns, const uint8 *record, int i)
{
	return (QhStored) ((record[columns->layout.include_at + i / 4] >> (i % 4 * 2)) & 3);
}

/* Store a value of variable length with a short header, if it is short enough. */
static bool
store_varlena(uint8 *to, Datum value)
{
	struct varlena *from = (struct varlena *) DatumGetPointer(value);
	Size		nbytes;

	if (VARATT_IS_EXTERNAL(from) || VARATT_IS_COMPRESSED(from))
		return false;
	nbytes = VARSIZE_ANY_EXHDR(from);
	if (nbytes > QH_INCLUDE_NBYTES - VARHDRSZ_SHORT)
		return false;
	SET_VARSIZE_SHORT(to, nbytes + VARHDRSZ_SHORT);
	memcpy(to + VARHDRSZ_SHORT, VARDATA_ANY(from), nbytes);
	return true;
}

/* Store a value if there is room for it. */
static QhStored
store_include(const QhIncludeColumn *include, Datum value, bool isnull, uint8 *record)
{
	uint8	   *to = record + include->at;
	QhIncludeSpace space;

	if (isnull)
		return QH_STORED_NULL;
	if (include->nbytes == 0)
		return QH_STORED_UNKNOWN;
	if (include->len < 0)
		return store_varlena(to, value) ? QH_STORED_VALUE : QH_STORED_UNKNOWN;
	if (include->byval)
		store_att_byval(space.bytes, value, include->len);
	memcpy(to, include->byval ? space.bytes : DatumGetPointer(value), include->nbytes);
	return QH_STORED_VALUE;
}

void
qh_form_record(const QhFilterColumns *columns, const Datum *values, const bool *isnull, uint8 *record)
{
	const QhFilterLayout *layout = &columns->layout;

	/* what is not used is zero, so that equal rows have equal records */
	memset(record, 0, layout->record_nbytes);
	for (int i = 0; i < columns->ncolumns; i++)
	{
		if (isnull[1 + i])
			record[0] |= 1 << i;
		else
			qh_record_set_key(layout, record, i, columns->types[i]->key(values[1 + i], columns->collations[i]));
	}
	for (int i = 0; i < columns->ninclude; i++)
	{
		int			at = 1 + columns->ncolumns + i;
		QhStored	stored = store_include(&columns->include[i], values[at], isnull[at], record);

		record[layout->include_at + i / 4] |= stored << (i % 4 * 2);
	}
}

QhStored
qh_include_value(const QhFilterColumns *columns, const uint8 *record, int i, QhIncludeSpace *space, Datum *value)
{
	const QhIncludeColumn *include = &columns->include[i];
	const uint8 *from = record + include->at;
	QhStored	stored = stored_state(columns, record, i);

	if (stored != QH_STORED_VALUE)
		return stored == QH_STORED_NULL ? QH_STORED_NULL : QH_STORED_UNKNOWN;
	if (include->nbytes == 0)
		return QH_STORED_UNKNOWN;
	memcpy(space->bytes, from, include->nbytes);
	/* it comes from disk: only what is a short value is one */
	if (include->len < 0 && (!VARATT_IS_1B(space->bytes) || VARATT_IS_1B_E(space->bytes) ||
							 VARSIZE_1B(space->bytes) < VARHDRSZ_SHORT || VARSIZE_1B(space->bytes) > QH_INCLUDE_NBYTES))
		return QH_STORED_UNKNOWN;
	*value = include->byval ? fetch_att(space->bytes, true, include->len) : PointerGetDatum(space->bytes);
	return QH_STORED_VALUE;
}
