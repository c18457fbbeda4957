/*
 * format.h
 *		What a qhnsw index looks like on disk: structs and their assertions, nothing else.
 *
 * Every offset here is spelled out in FORMAT.md.  A change of any
 * of it raises QH_FORMAT_VERSION.
 */
#ifndef QH_FORMAT_H
#define QH_FORMAT_H

#include "postgres.h"

#include "storage/block.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

#define QH_MAGIC			0x77736E71	/* "qnsw" read as little-endian bytes */
#define QH_FORMAT_VERSION	3

#define QH_META_BLKNO		0
#define QH_ENTRY_BLKNO		1
#define QH_FIRST_PARAM_BLKNO 2

/* Page kinds; stored: never renumber. */
typedef enum QhPageKind
{
	QH_PAGE_META = 1,
	QH_PAGE_ENTRY = 2,
	QH_PAGE_PARAM = 3,			/* the trained centroid, and the centres of the build */
	QH_PAGE_ROW = 4,
	QH_PAGE_LINK = 5,			/* links, packed where there are pages of hubs */
	QH_PAGE_CODE = 6,
	QH_PAGE_REFINE = 7,			/* the finer code of each node */
	QH_PAGE_FILTER = 8,			/* records of filter and INCLUDE columns, by column (filter.h) */
	QH_PAGE_HUB = 9				/* links of hubs, in a graph of low storage */
} QhPageKind;

/*
 * Arrays a group of pages holds.  Every node has its slot in all of them but one: the links of
 * a graph of low storage are in the hub array for the first group_nhubs nodes of a group, and
 * in the link array for the others.
 */
typedef enum QhArray
{
	QH_ARRAY_ROW = 0,
	QH_ARRAY_LINK,
	QH_ARRAY_CODE,
	QH_ARRAY_REFINE,
	QH_ARRAY_FILTER,
	QH_ARRAY_HUB
} QhArray;

#define QH_NARRAYS			6

/* Special space of every page. */
typedef struct QhPageOpaqueData
{
	uint32		group;			/* group number; 0 for pages before the groups */
	uint16		kind;			/* QhPageKind */
	uint16		page_id;		/* QH_PAGE_ID, last two bytes as pg_filedump expects */
} QhPageOpaqueData;

typedef QhPageOpaqueData *QhPageOpaque;

#define QH_PAGE_ID			0xFF96
#define QhPageGetOpaque(page) ((QhPageOpaque) PageGetSpecialPointer(page))

StaticAssertDecl(sizeof(QhPageOpaqueData) == 8, "special space is 8 bytes");

/* Bytes of a page between its header and its special space. */
#define QH_PAGE_NBYTES		(BLCKSZ - SizeOfPageHeaderData - sizeof(QhPageOpaqueData))

/* Block 0, after the page header. */
typedef struct QhMetaData
{
	uint32		magic;
	uint32		version;
	uint8		metric;			/* QvMetric */
	uint8		code_kind;		/* QvCodeKind */
	uint8		code_nbits;		/* a dimension */
	uint8		refine_nbits;	/* a dimension of the finer code; 0 = none */
	uint16		m;
	uint16		ef_construction;
	uint32		ndims;			/* 0 = not known yet: no row was ever indexed */
	uint32		flags;			/* 0; reserved */
	uint64		seed;			/* of the rotation */
	uint32		added_head;		/* first slot of the centre added last, or QH_INVALID_NODE */
	uint32		nparam_pages;	/* pages of centroid and centres; 0 = centroid is the origin */
	uint32		code_nbytes;	/* one slot of each array */
	uint32		refine_nbytes;
	uint32		filter_nbytes;	/* of a record; 0 = there are no filter and INCLUDE columns */
	uint32		group_nslots;	/* nodes a group */
	uint32		group_npages;	/* pages a group */
	uint32		group_nhubs;	/* of these, hubs; 0 = all nodes have room for 2m links */
	uint64		built_nnodes;	/* nodes the last build wrote */
	uint64		built_nrows;
	float4		sample_spread;	/* mean squared distance of the sample's rows to their centres */
	uint32		ninserts_sampled;	/* since the build; saturates at QH_DRIFT_MEMORY */
	float4		inserted_norm2; /* moving mean of their squared distance to their centres */
	float4		hub_fraction;	/* share of nodes that are hubs; 0 = no graph of low storage */
	uint16		m_low;			/* 4-byte words of the other nodes' link slots; 0 likewise */
	uint16		ncentres_built; /* centres besides the centroid, behind it on its pages */
	uint16		ncentres;		/* the same and those added since */
	uint16		filter_widths;	/* of their keys: two bits a filter column, the logarithm of the bytes */
	uint16		include_nbytes; /* of a record, what INCLUDE columns hold */
	uint8		nfilters;		/* filter columns */
	uint8		reserved0;
	uint32		reserved;
} QhMetaData;

typedef QhMetaData *QhMeta;

StaticAssertDecl(offsetof(QhMetaData, seed) == 24, "metapage layout");
StaticAssertDecl(offsetof(QhMetaData, built_nnodes) == 64, "metapage layout");
StaticAssertDecl(sizeof(QhMetaData) == 112, "metapage layout");

/*
 * Of inserted rows one in so many, at random, moves the mean of the metapage, which remembers
 * about as many of those: a record of 50 bytes for 64 inserts, and the last 16,000 rows.
 * Chosen by hand.
 */
#define QH_DRIFT_SAMPLING	64
#define QH_DRIFT_MEMORY		256

#define QhPageGetMeta(page) ((QhMeta) PageGetContents(page))

/*
 * What search effort reaches which recall, as it was measured (src/calibrate): in the metapage,
 * behind what others may keep there.
 */
typedef enum QhCurveSource
{
	QH_CURVE_ROWS = 1,			/* rows of the table were the queries */
	QH_CURVE_QUERIES = 2		/* queries that somebody gave */
} QhCurveSource;

typedef struct QhCurvePoint
{
	float4		target;			/* recall asked for */
	float4		recall;			/* reached by the effort, as measured; below target: no more was reached */
	uint32		ef;				/* the effort: ef_search, and candidates rescored or refined */
	float4		doubt;			/* and standard errors by which estimates are doubted (src/column/effort.h) */
} QhCurvePoint;

#define QH_CURVE_MAX_POINTS 8
#define QH_MAX_EF_SEARCH	10000

typedef struct QhCurveData
{
	uint32		npoints;		/* 0 = nothing was measured; targets rise */
	uint16		source;			/* QhCurveSource */
	uint16		k;				/* rows a query */
	uint32		nqueries;
	uint32		nslots;			/* of the index when it was measured */
	int64		measured_at;	/* TimestampTz */
	uint64		nrows;			/* of the table, estimated */
	float4		inserted_norm2; /* of the metapage, at that time */
	float4		default_target; /* of scans that ask for none; 0 = .95 */
	QhCurvePoint points[QH_CURVE_MAX_POINTS];
} QhCurveData;

typedef QhCurveData *QhCurve;

#define QH_CURVE_OFFSET		1024
#define QhPageGetCurve(page) ((QhCurve) (PageGetContents(page) + QH_CURVE_OFFSET))

StaticAssertDecl(sizeof(QhMetaData) <= QH_CURVE_OFFSET, "metapage layout");
StaticAssertDecl(sizeof(QhCurvePoint) == 16 && offsetof(QhCurveData, points) == 40, "metapage layout");
StaticAssertDecl(QH_CURVE_OFFSET + sizeof(QhCurveData) <= QH_PAGE_NBYTES, "metapage layout");

/* Block 1, after the page header. */
typedef struct QhEntryData
{
	uint32		nchanges;		/* goes up with every change of the list, in the same record */
	uint32		nentries;
	uint32		nodes[FLEXIBLE_ARRAY_MEMBER];
} QhEntryData;

typedef QhEntryData *QhEntry;

#define QhPageGetEntry(page) ((QhEntry) PageGetContents(page))
#define QH_MAX_ENTRIES		2000

StaticAssertDecl(sizeof(uint32) * (QH_MAX_ENTRIES + 2) <= QH_PAGE_NBYTES, "entry points fit one page");

/* A centroid page holds this many floats. */
#define QH_PARAM_NFLOATS	(QH_PAGE_NBYTES / sizeof(float4))

/* Floats on them: centroid and centres of the build, one behind the other. */
static inline uint64
qh_meta_param_nfloats(const QhMetaData *meta)
{
	return (uint64) (1 + meta->ncentres_built) * meta->ndims;
}

/* Their pages, where there is a centroid. */
static inline uint32
qh_meta_param_pages(const QhMetaData *meta)
{
	return (uint32) ((qh_meta_param_nfloats(meta) + QH_PARAM_NFLOATS - 1) / QH_PARAM_NFLOATS);
}

/* State of a slot: one byte a slot, behind the slots of its link page or hub page. */
typedef enum QhSlotState
{
	QH_SLOT_FREE = 0,
	QH_SLOT_RESERVED = 1,		/* taken by an insert that has not linked it yet */
	QH_SLOT_LIVE = 2,			/* a node */
	QH_SLOT_DYING = 3,			/* a node without rows: searches still pass through */
	QH_SLOT_POSTING = 4,		/* not a node: row pointers of a node with several rows */
	QH_SLOT_CENTRE = 5			/* not a node: part of a centre that was added after the build */
} QhSlotState;

#define QH_SLOT_LAST		QH_SLOT_CENTRE

/*
 * One element of the row array.  A node with one row holds its TID; a node with
 * several holds the head of a chain of posting slots.
 */
typedef struct QhRowData
{
	uint16		w[3];			/* TID as ItemPointerData, or the posting slot's id in w[0] (high) and w[1] (low) */
	uint16		flags;			/* QH_ROW_... */
} QhRowData;

#define QH_ROW_NONE			0	/* no row */
#define QH_ROW_SINGLE		1	/* w is a TID */
#define QH_ROW_POSTING		2	/* w[0], w[1] name a posting slot */

StaticAssertDecl(sizeof(QhRowData) == 8, "row slot is 8 bytes");

/*
 * A posting slot uses its place in the link array (or hub array) for row pointers.  Where the
 * index has records, behind the place of the last row pointer come those of the rows.
 */
typedef struct QhPostingData
{
	uint32		next;			/* next posting slot, or QH_INVALID_NODE */
	uint16		ntids;
	uint16		reserved;
	ItemPointerData tids[FLEXIBLE_ARRAY_MEMBER];
} QhPostingData;

typedef QhPostingData *QhPosting;

/*
 * A centre slot likewise uses its place in the link array (or hub array): for words of a centre
 * that was added after the build.  These are, over the slots of its chain: the first slot of the
 * centre added before it, or QH_INVALID_NODE; then ndims floats.
 */
typedef struct QhCentreData
{
	uint32		next;			/* next slot of the same centre, or QH_INVALID_NODE */
	uint16		nwords;
	uint16		number;			/* of the centre */
	uint32		words[FLEXIBLE_ARRAY_MEMBER];
} QhCentreData;

typedef QhCentreData *QhCentre;

#define QH_MIN_M			2
#define QH_MAX_M			100
#define QH_MIN_EF_CONSTRUCTION 4
#define QH_MAX_EF_CONSTRUCTION 1000
#define QH_LINK_NBYTES(m)	(2 * (m) * sizeof(uint32))
#define QH_MIN_M_LOW		4
#define QH_LINK_NBYTES_MIN	(QH_MIN_M_LOW * sizeof(uint32))	/* of any slot with links */
#define QH_CENTRE_NWORDS(nbytes) (((nbytes) - offsetof(QhCentreData, words)) / sizeof(uint32))

/* Filter columns of an index, and bytes of a record, at most. */
#define QH_MAX_FILTERS		8
#define QH_MAX_RECORD_NBYTES 512

/* Row pointers that a posting slot of so many bytes holds, with their records. */
static inline uint32
qh_posting_max(uint32 nbytes, uint32 record_nbytes)
{
	return (uint32) ((nbytes - offsetof(QhPostingData, tids)) / (sizeof(ItemPointerData) + record_nbytes));
}

/* Where in a posting slot of so many bytes a record is. */
static inline uint8 *
qh_posting_record(const QhPostingData *posting, uint32 nbytes, uint32 record_nbytes, uint32 i)
{
	return (uint8 *) unconstify(QhPostingData *, posting) + offsetof(QhPostingData, tids) +
		sizeof(ItemPointerData) * qh_posting_max(nbytes, record_nbytes) + i * record_nbytes;
}

/* Bytes of a slot with so many words of links, which is to hold a row with its record, too. */
static inline uint32
qh_link_slot_nbytes(uint32 nwords, uint32 record_nbytes)
{
	uint32		row = INTALIGN(offsetof(QhPostingData, tids) + sizeof(ItemPointerData) + record_nbytes);

	return Max(nwords * (uint32) sizeof(uint32), row);
}

/*
 * Bytes of a slot in the array of links, which posting slots share: of every node's unless some
 * are hubs.
 */
static inline uint32
qh_meta_link_nbytes(const QhMetaData *meta)
{
	return qh_link_slot_nbytes(meta->hub_fraction > 0 ? meta->m_low : 2 * meta->m, meta->filter_nbytes);
}

/* The same of a hub. */
static inline uint32
qh_meta_hub_nbytes(const QhMetaData *meta)
{
	return qh_link_slot_nbytes(2 * meta->m, meta->filter_nbytes);
}

StaticAssertDecl(QH_LINK_NBYTES(QH_MIN_M) >= QH_LINK_NBYTES_MIN,
				 "slots of low storage are the smallest");
StaticAssertDecl(offsetof(QhPostingData, tids) + sizeof(ItemPointerData) <= QH_LINK_NBYTES_MIN,
				 "a posting slot holds a row pointer");
StaticAssertDecl(offsetof(QhPostingData, tids) + sizeof(ItemPointerData) + QH_MAX_RECORD_NBYTES <= QH_LINK_NBYTES(QH_MAX_M),
				 "and its record, in a slot no larger than there are");
StaticAssertDecl(QH_CENTRE_NWORDS(QH_LINK_NBYTES_MIN) >= 1, "a centre slot holds a word");

#endif							/* QH_FORMAT_H */
