/*
 * filter.h
 *		Records of filter columns and INCLUDE columns, and the pages that hold them by column.
 *
 * A record is what the index knows of a row besides its vector.  README.md, section "Records", and
 * FORMAT.md.  Knows no buffers.
 */
#ifndef QH_FILTER_H
#define QH_FILTER_H

#include "store/format.h"

/*
 * Where things are in a record, and on a page of FILTER slots.  A record begins with a byte of
 * null bits, then come the keys in the order of columns, then what INCLUDE columns hold.  A page
 * has bitmaps (bit i of word i / 64), then for each column bounds, null bits and keys, then what
 * INCLUDE columns hold, slot by slot.  Offsets in a page count from its start.
 */
typedef struct QhFilterLayout
{
	uint32		ncolumns;		/* filter columns */
	uint32		record_nbytes;	/* 0 = the index has neither filter nor INCLUDE columns */
	uint32		include_nbytes;
	uint32		include_at;		/* in a record */
	uint32		nbytes[QH_MAX_FILTERS]; /* of a key: 1, 2, 4 or 8 */
	uint32		key_at[QH_MAX_FILTERS]; /* in a record */

	uint32		page_nslots;
	uint32		page_single_at;
	uint32		page_several_at;
	uint32		page_include_at;
	uint32		page_bounds_at[QH_MAX_FILTERS];
	uint32		page_nulls_at[QH_MAX_FILTERS];
	uint32		page_keys_at[QH_MAX_FILTERS];	/* a multiple of 8 */
} QhFilterLayout;

/* What a FILTER slot says of its node. */
typedef enum QhRecordState
{
	QH_RECORD_NONE,				/* nothing: no node */
	QH_RECORD_SINGLE,			/* the slot holds the record of the node's only row */
	QH_RECORD_SEVERAL			/* records are in the node's posting slots */
} QhRecordState;

/* Smallest and largest key of a page; least > greatest where there is none. */
typedef struct QhKeyBounds
{
	int64		least;
	int64		greatest;
} QhKeyBounds;

/* A page of FILTER slots, read in place. */
typedef struct QhFilterPage
{
	uint32		first;			/* node of slot 0 */
	uint32		nslots;
	const uint64 *single;		/* bits of the slots that hold the record of their node's only row */
	const uint64 *several;		/* and of those whose node's posting slots must be read */
	struct
	{
		QhKeyBounds bounds;
		const uint64 *nulls;
		const void *keys;		/* signed numbers of so many bytes */
	}			columns[QH_MAX_FILTERS];
	const uint8 *include;		/* include_nbytes apart */
} QhFilterPage;

/* Words of a bitmap of n slots. */
#define QH_BITMAP_WORDS(n)	(((n) + 63) / 64)

/*
 * The layout of these columns.  Returns NULL, or what is wrong with them: must be asked of what
 * comes from disk.
 */
extern const char *qh_filter_layout(QhFilterLayout *layout, uint32 ncolumns, const uint32 *nbytes, uint32 include_nbytes);

/* The layout that a metapage names; the same. */
extern const char *qh_meta_filter_layout(const QhMetaData *meta, QhFilterLayout *layout);

/* Write a layout into a metapage. */
extern void qh_meta_set_filters(QhMeta meta, const QhFilterLayout *layout);

/* An empty page of slots; the page was initialised. */
extern void qh_filter_page_init(Page page, const QhFilterLayout *layout);

/* Put a record into a slot, which then holds its node's only row. */
extern void qh_filter_put(Page page, const QhFilterLayout *layout, uint32 index, const uint8 *record);

/* The slot holds no record any more: its node has several rows, or is none (QH_RECORD_NONE). */
extern void qh_filter_mark(Page page, const QhFilterLayout *layout, uint32 index, QhRecordState state);

/* What a slot says, and its record where it holds one. */
extern QhRecordState qh_filter_get(const char *page, const QhFilterLayout *layout, uint32 index, uint8 *record);

/* Look at the first nslots slots of a page in place. */
extern void qh_filter_view(const char *page, const QhFilterLayout *layout, uint32 first, uint32 nslots, QhFilterPage *view);

/* Bounds of a column as the records on the page have them. */
extern QhKeyBounds qh_filter_bounds(const char *page, const QhFilterLayout *layout, uint32 column);

/* A number of so many bytes, from an array of these. */
static inline int64
qh_key_at(const void *keys, uint32 nbytes, uint32 i)
{
	switch (nbytes)
	{
		case 1:
			return ((const int8 *) keys)[i];
		case 2:
			return ((const int16 *) keys)[i];
		case 4:
			return ((const int32 *) keys)[i];
		default:
			return ((const int64 *) keys)[i];
	}
}

static inline bool
qh_bit(const uint64 *bits, uint32 i)
{
	return (bits[i / 64] >> (i % 64)) & 1;
}

/* ---- records ---- */

static inline bool
qh_record_is_null(const uint8 *record, uint32 column)
{
	return (record[0] >> column) & 1;
}

/* Key of a column that is not NULL; records are not aligned. */
static inline int64
qh_record_key(const QhFilterLayout *layout, const uint8 *record, uint32 column)
{
	uint64		key = 0;

	memcpy(&key, record + layout->key_at[column], layout->nbytes[column]);
	return qh_key_at(&key, layout->nbytes[column], 0);
}

/* Set it, to a number that fits. */
static inline void
qh_record_set_key(const QhFilterLayout *layout, uint8 *record, uint32 column, int64 key)
{
	int8		key1 = (int8) key;
	int16		key2 = (int16) key;
	int32		key4 = (int32) key;
	const void *from = layout->nbytes[column] == 1 ? (const void *) &key1 :
		layout->nbytes[column] == 2 ? (const void *) &key2 :
		layout->nbytes[column] == 4 ? (const void *) &key4 : (const void *) &key;

	memcpy(record + layout->key_at[column], from, layout->nbytes[column]);
}

#endif							/* QH_FILTER_H */
