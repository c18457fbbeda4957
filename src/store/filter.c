/*
 * filter.c
 *		Records of filter columns and INCLUDE columns, and the pages that hold them by column.
 *
 * Must not know buffers, nor what keys mean: they are signed numbers that are equal or in order.
 * See FORMAT.md, section "Filter slots".
 */
#include "postgres.h"

#include "store/filter.h"

/* Bytes of a page where slots may be. */
#define SLOTS_BEGIN		MAXALIGN(SizeOfPageHeaderData)
#define SLOTS_END		(BLCKSZ - MAXALIGN(sizeof(QhPageOpaqueData)))

static uint32
bitmap_nbytes(uint32 nslots)
{
	return QH_BITMAP_WORDS(nslots) * sizeof(uint64);
}

/* Lay out a page of so many slots; returns where it ends. */
static uint32
lay_out_page(QhFilterLayout *layout, uint32 nslots)
{
	uint32		at = SLOTS_BEGIN;

	layout->page_nslots = nslots;
	layout->page_single_at = at;
	at += bitmap_nbytes(nslots);
	layout->page_several_at = at;
	at += bitmap_nbytes(nslots);
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		layout->page_bounds_at[i] = at;
		at += sizeof(QhKeyBounds);
	}
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		layout->page_nulls_at[i] = at;
		at += bitmap_nbytes(nslots);
	}
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		layout->page_keys_at[i] = at;
		at += TYPEALIGN(sizeof(uint64), nslots * layout->nbytes[i]);
	}
	layout->page_include_at = at;
	return at + nslots * layout->include_nbytes;
}

const char *
qh_filter_layout(QhFilterLayout *layout, uint32 ncolumns, const uint32 *nbytes, uint32 include_nbytes)
{
	uint32		at = 1;			/* behind the null bits */
	uint32		nbits;
	uint32		nslots;

	memset(layout, 0, sizeof(*layout));
	if (ncolumns > QH_MAX_FILTERS)
		return "there are too many filter columns";
	if (ncolumns == 0 && include_nbytes == 0)
		return NULL;
	layout->ncolumns = ncolumns;
	for (uint32 i = 0; i < ncolumns; i++)
	{
		layout->nbytes[i] = nbytes[i];
		layout->key_at[i] = at;
		at += nbytes[i];
	}
	layout->include_at = at;
	layout->include_nbytes = include_nbytes;
	layout->record_nbytes = at + include_nbytes;
	if (layout->record_nbytes > QH_MAX_RECORD_NBYTES)
		return "what filter and INCLUDE columns hold of a row is too long";
	/* a bit for each column that may be NULL, and two for the state */
	nbits = (layout->record_nbytes - 1) * BITS_PER_BYTE + ncolumns + 2;
	nslots = (SLOTS_END - SLOTS_BEGIN) * BITS_PER_BYTE / nbits;
	while (lay_out_page(layout, nslots) > SLOTS_END)
		nslots--;
	return NULL;
}

const char *
qh_meta_filter_layout(const QhMetaData *meta, QhFilterLayout *layout)
{
	uint32		nbytes[QH_MAX_FILTERS] = {0};
	const char *fault;

	for (int i = 0; i < QH_MAX_FILTERS; i++)
		nbytes[i] = 1 << ((meta->filter_widths >> (2 * i)) & 3);
	fault = qh_filter_layout(layout, meta->nfilters, nbytes, meta->include_nbytes);
	if (fault == NULL && layout->record_nbytes != meta->filter_nbytes)
		fault = "size of a record does not match the filter columns";
	return fault;
}

/* The logarithm of a number of bytes. */
static uint32
width_of(uint32 nbytes)
{
	return nbytes == 1 ? 0 : nbytes == 2 ? 1 : nbytes == 4 ? 2 : 3;
}

void
qh_meta_set_filters(QhMeta meta, const QhFilterLayout *layout)
{
	meta->nfilters = (uint8) layout->ncolumns;
	meta->include_nbytes = (uint16) layout->include_nbytes;
	meta->filter_nbytes = layout->record_nbytes;
	meta->filter_widths = 0;
	for (uint32 i = 0; i < layout->ncolumns; i++)
		meta->filter_widths |= (uint16) (width_of(layout->nbytes[i]) << (2 * i));
}

/* ---- pages ---- */

static uint64 *
bitmap(Page page, uint32 at)
{
	return (uint64 *) (page + at);
}

static void
set_bit(uint64 *bits, uint32 i, bool value)
{
	uint64		bit = UINT64CONST(1) << (i % 64);

	if (value)
		bits[i / 64] |= bit;
	else
		bits[i / 64] &= ~bit;
}

static QhKeyBounds *
bounds_of(Page page, const QhFilterLayout *layout, uint32 column)
{
	return (QhKeyBounds *) (page + layout->page_bounds_at[column]);
}

static const QhKeyBounds no_keys = {PG_INT64_MAX, PG_INT64_MIN};

static void
widen(QhKeyBounds *bounds, int64 key)
{
	bounds->least = Min(bounds->least, key);
	bounds->greatest = Max(bounds->greatest, key);
}

void
qh_filter_page_init(Page page, const QhFilterLayout *layout)
{
	for (uint32 i = 0; i < layout->ncolumns; i++)
		*bounds_of(page, layout, i) = no_keys;
}

void
qh_filter_put(Page page, const QhFilterLayout *layout, uint32 index, const uint8 *record)
{
	Assert(index < layout->page_nslots);
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		bool		is_null = qh_record_is_null(record, i);

		set_bit(bitmap(page, layout->page_nulls_at[i]), index, is_null);
		if (!is_null)
			widen(bounds_of(page, layout, i), qh_record_key(layout, record, i));
		memcpy(page + layout->page_keys_at[i] + index * layout->nbytes[i], record + layout->key_at[i], layout->nbytes[i]);
	}
	memcpy(page + layout->page_include_at + index * layout->include_nbytes, record + layout->include_at, layout->include_nbytes);
	set_bit(bitmap(page, layout->page_single_at), index, true);
	set_bit(bitmap(page, layout->page_several_at), index, false);
}

void
qh_filter_mark(Page page, const QhFilterLayout *layout, uint32 index, QhRecordState state)
{
	Assert(index < layout->page_nslots && state != QH_RECORD_SINGLE);
	set_bit(bitmap(page, layout->page_single_at), index, false);
	set_bit(bitmap(page, layout->page_several_at), index, state == QH_RECORD_SEVERAL);
}

QhRecordState
qh_filter_get(const char *page, const QhFilterLayout *layout, uint32 index, uint8 *record)
{
	Assert(index < layout->page_nslots);
	if (qh_bit((const uint64 *) (page + layout->page_several_at), index))
		return QH_RECORD_SEVERAL;
	if (!qh_bit((const uint64 *) (page + layout->page_single_at), index))
		return QH_RECORD_NONE;
	record[0] = 0;
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		record[0] |= qh_bit((const uint64 *) (page + layout->page_nulls_at[i]), index) << i;
		memcpy(record + layout->key_at[i], page + layout->page_keys_at[i] + index * layout->nbytes[i], layout->nbytes[i]);
	}
	memcpy(record + layout->include_at, page + layout->page_include_at + index * layout->include_nbytes, layout->include_nbytes);
	return QH_RECORD_SINGLE;
}

void
qh_filter_view(const char *page, const QhFilterLayout *layout, uint32 first, uint32 nslots, QhFilterPage *view)
{
	Assert(nslots <= layout->page_nslots);
	view->first = first;
	view->nslots = nslots;
	view->single = (const uint64 *) (page + layout->page_single_at);
	view->several = (const uint64 *) (page + layout->page_several_at);
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		view->columns[i].bounds = *(const QhKeyBounds *) (page + layout->page_bounds_at[i]);
		view->columns[i].nulls = (const uint64 *) (page + layout->page_nulls_at[i]);
		view->columns[i].keys = page + layout->page_keys_at[i];
	}
	view->include = (const uint8 *) page + layout->page_include_at;
}

QhKeyBounds
qh_filter_bounds(const char *page, const QhFilterLayout *layout, uint32 column)
{
	const uint64 *single = (const uint64 *) (page + layout->page_single_at);
	const uint64 *nulls = (const uint64 *) (page + layout->page_nulls_at[column]);
	const void *keys = page + layout->page_keys_at[column];
	QhKeyBounds bounds = no_keys;

	for (uint32 i = 0; i < layout->page_nslots; i++)
	{
		if (qh_bit(single, i) && !qh_bit(nulls, i))
			widen(&bounds, qh_key_at(keys, layout->nbytes[column], i));
	}
	return bounds;
}
