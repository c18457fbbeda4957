/*
 * row_queue.h
 *		Rows by distance in bounded memory: what does not fit goes to temporary files.
 */
#ifndef QH_ROW_QUEUE_H
#define QH_ROW_QUEUE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/tuplesort.h"

/*
 * A row: its distance, and 63 bits of the caller's, whose order decides between equal distances.
 */
typedef struct QhQueued
{
	double		dist;			/* NaN comes last */
	uint64		what;
} QhQueued;

/* The same as it is kept: key orders as the distance does. */
typedef struct QhQueueEntry
{
	uint64		key;
	uint64		what;
} QhQueueEntry;

/* At most so many sorted runs are read side by side; then they are made one. */
#define QH_QUEUE_MAX_RUNS	6

/* A sorted run in temporary files, and the nearest row left in it, which was read. */
typedef struct QhQueueRun
{
	Tuplesortstate *sort;
	QhQueueEntry head;
} QhQueueRun;

typedef struct QhQueue
{
	MemoryContext cxt;			/* of all it holds */
	Size		max_nbytes;
	uint64		count;

	QhQueueEntry *heap;			/* min-heap; where sorted, all of it in order */
	int			nheap;
	bool		sorted;			/* rows came in their order, so the nearest is taken by moving heap on */
	QhQueueEntry *space;		/* that heap lies in */
	int			space_size;

	Tuplesortstate *spill;		/* rows that are being written, not sorted yet; NULL where there are none */
	QhQueueEntry spill_first;	/* the nearest of them */
	QhQueueRun	runs[QH_QUEUE_MAX_RUNS];
	int			nruns;
	TupleDesc	desc;			/* of the rows of spill and runs; made at need, as are the slots */
	TupleTableSlot *slot;
	TupleTableSlot *put_slot;
} QhQueue;

/*
 * An empty queue in the context given, which is to take at most so many bytes of memory, but at
 * least those of 64 rows.
 */
extern void qh_queue_init(QhQueue *queue, MemoryContext cxt, Size max_nbytes);
extern void qh_queue_add(QhQueue *queue, double dist, uint64 what);
/* The nearest row, taken out or left; false where there is none. */
extern bool qh_queue_pop(QhQueue *queue, QhQueued *out);
extern bool qh_queue_peek(QhQueue *queue, QhQueued *out);
/* Give back its files and memory.  Resetting its context gives back the memory, not the files. */
extern void qh_queue_end(QhQueue *queue);

/*
 * A row pointer as a number, in the order of the table: so that equal distances in a queue are, too.
 */
static inline uint64
qh_tid_to_queue(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 | ItemPointerGetOffsetNumberNoCheck(tid);
}

static inline void
qh_queue_to_tid(uint64 what, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) (what >> 16), (OffsetNumber) (what & 0xFFFF));
}

#endif							/* QH_ROW_QUEUE_H */
