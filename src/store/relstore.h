/*
 * relstore.h
 *		A graph store over the pages of an index, and what all who read or change its slots share.
 *
 * Lock order, WAL rules and why codes are read without a content lock: README.md.
 */
#ifndef QH_RELSTORE_H
#define QH_RELSTORE_H

#include "storage/buf_internals.h"
#include "store/index_cache.h"
#include "store/page.h"
#include "store/pair_values.h"

/* Blocks asked for lately that are remembered: a hop's, and the links of those that come next. */
#define QH_ASKED_MAX		64

/* Codes scored in one unpinned read: a hop's, at m = 16. */
#define QH_UNPINNED_MAX		32

/*
 * Where slots are, by their pages' recent buffers.  desc is NULL where none is known, or the
 * slot must not be read without a pin.
 */
typedef struct QhPlaces
{
	BufferDesc *desc[QH_UNPINNED_MAX];
	BlockNumber blkno[QH_UNPINNED_MAX]; /* that the buffer has to hold */
	const uint8 *slot[QH_UNPINNED_MAX]; /* of zeros where desc is NULL */
} QhPlaces;

typedef struct QhRelStore
{
	QhStore		store;			/* what the graph room sees; must be first */
	Relation	index;
	QhIndex    *ix;				/* meta.ndims > 0 */
	const QvQuery *query;		/* what score() measures from */
	const QvQuery *refine_query;	/* what qh_score_refine() measures from */
	QhPairValues *values;		/* what pair() goes by where it can, or NULL */
	BufferAccessStrategy strategy;	/* buffers for pages that are not in shared buffers (sweep.c), or NULL */
	bool		in_recovery;	/* replay may be filling a page (UNPINNED.md, "Standby") */

	QhPlaces	fetched[2];		/* where the nodes are that fetch() was given, for either place */

	uint64		ncodes;			/* codes scored */
	uint64		nlinks;			/* link lists read */
	uint64		npins;			/* pages pinned */
	uint64		nmisses;		/* of these, through the buffer mapping table */
	uint64		nrefined;		/* finer codes scored */

	uint64		nahead;			/* reads begun before their page was wanted (readahead.c) */
	BlockNumber asked[QH_ASKED_MAX];	/* the last blocks asked for, a ring */
	uint32		nasked;
} QhRelStore;

extern void qh_relstore_init(QhRelStore *rs, Relation index, QhIndex *ix);

/*
 * Of the max nearest entry points those that are nodes still: what is known of entry points may
 * be out of date.  Returns how many; none does not mean that the index is empty.
 */
extern int qh_choose_seeds(QhRelStore *rs, int max, QhCandidate *seeds);

#endif							/* QH_RELSTORE_H */
