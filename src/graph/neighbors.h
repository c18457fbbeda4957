/*
 * neighbors.h
 *		Neighbour selection with the caller's scratch memory.
 *
 * Internal to the graph room: the bulk build selects millions of times and
 * must not allocate each time.  README.md, "Selection".
 */
#ifndef QH_NEIGHBORS_H
#define QH_NEIGHBORS_H

#include "graph/graph.h"
#include "kernel/assert.h"

/* Scratch for up to capacity candidates. */
typedef struct QhSelectWork
{
	int			capacity;
	QhNode	   *nodes;
	float	   *dist;
	int		   *alive;			/* candidates still in the running */
	int		   *rejected;
	int			nrejected;
	uint64_t   *keys;			/* for qh_candidates_sort() */
} QhSelectWork;

typedef struct QhSelectInput
{
	const QhCandidate *cands;	/* nearest first */
	const uint8_t *kept;		/* nonzero: must be chosen; NULL where none must */
	int			n;
	int			max;			/* at least the number kept */
	int			fill_to;		/* fewer than these are filled up with the nearest that another stood in front of; <= max */
} QhSelectInput;

extern QhSelectWork *qh_select_work_create(const QhAlloc *alloc, int capacity);
extern void qh_select_work_destroy(const QhAlloc *alloc, QhSelectWork *work);

/* As qh_select(); candidates that must be kept are chosen whatever stands in front of them. */
extern int	qh_select_with(QhSelectWork *work, QhStore *store, const QhSelectInput *input, int *out);

/* Sort candidates nearest first, ties by a hash salted with the owner (README.md, "Ties"). */
extern void qh_candidates_sort(QhSelectWork *work, QhCandidate *cands, int n, QhNode owner);

#endif							/* QH_NEIGHBORS_H */
