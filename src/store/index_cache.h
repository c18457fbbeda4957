/*
 * index_cache.h
 *		What a backend remembers of an open index: metapage, geometry, codec, entry points, buffers.
 *
 * Read once, kept until the relation cache says that the index changed.  See README.md, section
 * "What a backend remembers".
 */
#ifndef QH_INDEX_CACHE_H
#define QH_INDEX_CACHE_H

#include "codec/codec.h"
#include "graph/graph.h"
#include "store/geometry.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* Recent buffer of a block of the table: the one the block was last seen in. */
typedef struct QhHeapRecent
{
	BlockNumber blkno;
	Buffer		buf;
} QhHeapRecent;

/* Recent buffers of the table, at most: 128 kB.  A power of two, chosen by hand. */
#define QH_HEAP_RECENT_MAX	16384

typedef struct QhIndex
{
	Oid			relid;
	Oid			relfilenumber;
	bool		loaded;			/* all of it was read; until then nobody may have it but who reads it */
	bool		stale;			/* nobody new may have it */
	int			refcount;
	MemoryContext cxt;			/* holds this and all below */
	struct QhIndex *next;		/* in the list of known indexes */

	QhMetaData	meta;
	QhCurveData curve;			/* npoints = 0: nothing was measured */
	QhGeometry	geo;			/* valid only where meta.ndims > 0 */
	QvCodecParams params;
	QvCodec    *codec;			/* NULL where meta.ndims = 0 */
	uint32		code_nbytes;
	QvCodecParams refine_params;
	QvCodec    *refine_codec;	/* NULL where the index has no finer codes */
	uint32		refine_nbytes;

	MemoryContext entry_cxt;	/* holds the entry points */
	uint32		nentry_changes; /* of the entry page, when the list was read */
	int			nentries;
	QhNode	   *entries;
	uint8	   *entry_codes;	/* code_nbytes apart */

	BlockNumber nblocks;		/* as last looked up */
	uint32		nslots;			/* that nblocks give room to */

	Buffer	   *recent;			/* recent buffer of each block, or InvalidBuffer */
	BlockNumber nrecent;
	BlockNumber insert_target;	/* link page the last insert found room on */

	BlockNumber ntable_blocks;	/* of the table, as last looked up */
	QhHeapRecent *heap_recent;	/* recent buffers of those (heap_prefetch.c) */
	BlockNumber nheap_recent;	/* a power of two, or 0 */
} QhIndex;

/*
 * What is known of the index, with its entry points as they are now; read where nothing is
 * known.  Held until owner is reset or deleted.  The caller has the index open under a lock.
 */
extern QhIndex *qh_index_acquire(Relation index, MemoryContext owner);

/*
 * Forget what this backend knows of an index it has just changed by hand (entry points,
 * dimensions).
 */
extern void qh_index_forget(Oid relid);

/* A value as an index holds it. */
typedef struct QhCode
{
	uint8	   *code;
	uint8	   *refine;			/* NULL where the index has no finer codes */
	const uint8 *record;		/* of the row; NULL where the index has no records */
} QhCode;

/* Encode a value into memory of the current context; the record is for the caller to add. */
extern QhCode qh_encode(const QhIndex *ix, const void *value);

/* ---- index_load.c ---- */

/*
 * Codec parameters of a metapage; the centroid is not filled in.  Refine: those of the finer
 * codes, if it has any.
 */
extern void qh_meta_params(const QhMetaData *meta, QvCodecParams *params);
extern void qh_meta_refine_params(const QhMetaData *meta, QvCodecParams *params);

/* ---- recent_buffers.c ---- */

/* Look up the number of blocks anew, and make room for their recent buffers. */
extern void qh_index_refresh_size(QhIndex *ix, Relation index);

/* The same for those of the table. */
extern void qh_index_refresh_table_size(QhIndex *ix, Relation heap);

#endif							/* QH_INDEX_CACHE_H */
