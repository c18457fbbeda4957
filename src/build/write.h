/*
 * write.h
 *		Writing the pages of a new index.
 */
#ifndef QH_WRITE_H
#define QH_WRITE_H

#include "build/build.h"

/*
 * Where the content of slots comes from.  Functions are asked for ids in ascending order as a
 * rule, fill for those of each array.
 */
typedef struct QhSource
{
	uint32		nnodes;			/* posting slots follow them */
	/* Slot of a node in an array that has no links. */
	void		(*fill) (struct QhSource *source, QhArray array, uint32 id, uint8 *slot);
	/* Links of a node, QH_INVALID_NODE behind the last of 2m; returns how many. */
	int			(*links) (struct QhSource *source, uint32 id, QhLink *links);
	/* Record of a node's only row; false where it has several.  Of an index with records. */
	bool		(*record) (struct QhSource *source, uint32 id, uint8 *record);
	/* Posting slot id, nnodes or more. */
	void		(*posting) (struct QhSource *source, uint32 id, uint8 *slot);
} QhSource;

/* The pages that there will be, once the number of slots is known. */
typedef struct QhPages
{
	QhGeometry	geo;
	uint32		nslots;
	BlockNumber nblocks;
} QhPages;

extern void qh_pages_init(QhPages *pages, const QhBuild *build, uint32 nslots);
/* Make room for all of them: for one process, before any is written. */
extern void qh_pages_extend(const QhPages *pages, const QhBuild *build);
/*
 * Pages are written, and logged, in batches; any process may write any.  Returns the number of its
 * pages.
 */
extern uint32 qh_pages_nbatches(const QhPages *pages);
extern uint32 qh_pages_write(const QhPages *pages, const QhBuild *build, uint32 batch, QhSource *source);
/* After all batches: the head of the index, and the free space map.  For one process. */
extern void qh_pages_finish(const QhPages *pages, const QhBuild *build, const QhNode *entries, int nentries);

/* Metapage, entry page and centroid alone: an index without nodes. */
extern void qh_write_empty(Relation index, ForkNumber fork, const QhMetaData *meta);

#endif							/* QH_WRITE_H */
