/*
 * row_queue.c
 *		Rows by distance in bounded memory.
 *
 * A heap in memory, or a sorted array as long as rows come in their order.  When it is full, its
 * farther half goes to a tuplesort, which becomes a sorted run when its nearest row is due.  Must
 * not know indexes or scans.  README.md, section "Memory of a scan".
 */
#include "postgres.h"

#include <math.h>

#include "access/tupdesc.h"
#include "scan/row_queue.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* Rows that there is room for at first, and at least. */
#define MIN_ROWS		64
#define SIGN			(UINT64CONST(1) << 63)

/* The least memory that PostgreSQL sorts in, in kB. */
#define MIN_SORT_MEMORY	64

/* A distance as an integer that orders as floats do in PostgreSQL: NaN last, both zeros alike. */
static inline uint64
key_of(double dist)
{
	uint64		bits;

	if (unlikely(isnan(dist)))
		return PG_UINT64_MAX;
	dist += 0.0;
	memcpy(&bits, &dist, sizeof(bits));
	return (bits & SIGN) ? ~bits : bits | SIGN;
}

static inline double
dist_of(uint64 key)
{
	uint64		bits = (key & SIGN) ? key & ~SIGN : ~key;
	double		dist;

	if (unlikely(key == PG_UINT64_MAX))
		return get_float8_nan();
	memcpy(&dist, &bits, sizeof(dist));
	return dist;
}

/* Without a branch, which could not be predicted. */
static inline bool
before(QhQueueEntry a, QhQueueEntry b)
{
	return (a.key < b.key) | ((a.key == b.key) & (a.what < b.what));
}

static int
compare(const void *a, const void *b)
{
	QhQueueEntry x = *(const QhQueueEntry *) a;
	QhQueueEntry y = *(const QhQueueEntry *) b;

	return before(x, y) ? -1 : before(y, x) ? 1 : 0;
}

/* ---- in memory ---- */

static inline int
room(const QhQueue *queue)
{
	return queue->space_size - (int) (queue->heap - queue->space) - queue->nheap;
}

static inline void
heap_push(QhQueue *queue, QhQueueEntry row)
{
	QhQueueEntry *heap = queue->heap;
	int			i = queue->nheap++;

	Assert(room(queue) >= 0);
	queue->sorted = queue->sorted && (i == 0 || !before(row, heap[i - 1]));
	if (!queue->sorted)
	{
		for (; i > 0 && before(row, heap[(i - 1) / 2]); i = (i - 1) / 2)
			heap[i] = heap[(i - 1) / 2];
	}
	heap[i] = row;
}

/* Take the nearest out. */
static inline void
heap_pop(QhQueue *queue)
{
	QhQueueEntry *heap = queue->heap;
	QhQueueEntry last;
	int			n;
	int			i = 0;

	if (queue->sorted)
	{
		queue->heap++;
		queue->nheap--;
		return;
	}
	last = heap[--queue->nheap];
	n = queue->nheap;
	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= n)
			break;
		child += child + 1 < n && before(heap[child + 1], heap[child]);
		if (!before(heap[child], last))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
}

/* Rows that memory is to hold, at most. */
static int
most_in_memory(const QhQueue *queue)
{
	Size		n = queue->max_nbytes / sizeof(QhQueueEntry);

	return (int) Max(Min(n, (Size) PG_INT32_MAX / 2), MIN_ROWS);
}

/* Make room for a row in memory; false where memory is full. */
static bool
make_room(QhQueue *queue)
{
	int			most = most_in_memory(queue);
	int			size = queue->space_size;
	QhQueueEntry *space = queue->space;

	/* where less than half was taken out at the front, moving the rest there gains too little */
	if (queue->nheap > size / 2 || size == 0)
	{
		if (size >= most)
			return false;
		size = Min(Max(MIN_ROWS, 2 * size), most);
		space = MemoryContextAllocHuge(queue->cxt, sizeof(QhQueueEntry) * (Size) size);
	}
	if (queue->nheap > 0)
		memmove(space, queue->heap, sizeof(QhQueueEntry) * queue->nheap);
	if (queue->space != NULL && queue->space != space)
		pfree(queue->space);
	queue->heap = queue->space = space;
	queue->space_size = size;
	return true;
}

/* ---- in temporary files ---- */

static Tuplesortstate *
begin_sort(QhQueue *queue)
{
	AttrNumber	columns[2] = {1, 2};
	Oid			operators[2] = {Float8LessOperator, Int8LessOperator};
	Oid			collations[2] = {InvalidOid, InvalidOid};
	bool		nulls_first[2] = {false, false};
	int			kbytes = (int) Max(Min(queue->max_nbytes / 1024, (Size) MAX_KILOBYTES), MIN_SORT_MEMORY);

	if (queue->desc == NULL)
	{
		queue->desc = CreateTemplateTupleDesc(2);
		TupleDescInitEntry(queue->desc, 1, "distance", FLOAT8OID, -1, 0);
		TupleDescInitEntry(queue->desc, 2, "row", INT8OID, -1, 0);
		queue->slot = MakeSingleTupleTableSlot(queue->desc, &TTSOpsMinimalTuple);
		queue->put_slot = MakeSingleTupleTableSlot(queue->desc, &TTSOpsVirtual);
	}
	return tuplesort_begin_heap(queue->desc, 2, columns, operators, collations, nulls_first,
								kbytes, NULL, TUPLESORT_NONE);
}

static void
write_row(QhQueue *queue, Tuplesortstate *sort, QhQueueEntry row)
{
	TupleTableSlot *slot = queue->put_slot;

	ExecClearTuple(slot);
	slot->tts_values[0] = Float8GetDatum(dist_of(row.key));
	slot->tts_values[1] = Int64GetDatum((int64) row.what);
	slot->tts_isnull[0] = slot->tts_isnull[1] = false;
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(sort, slot);
}

/* The next row of a sorted run; false at its end. */
static bool
read_row(QhQueue *queue, Tuplesortstate *sort, QhQueueEntry *row)
{
	bool		isnull;

	if (!tuplesort_gettupleslot(sort, true, false, queue->slot, NULL))
		return false;
	row->key = key_of(DatumGetFloat8(slot_getattr(queue->slot, 1, &isnull)));
	row->what = (uint64) DatumGetInt64(slot_getattr(queue->slot, 2, &isnull));
	return true;
}

static void
spill_row(QhQueue *queue, QhQueueEntry row)
{
	if (queue->spill == NULL)
	{
		queue->spill = begin_sort(queue);
		queue->spill_first = row;
	}
	else if (before(row, queue->spill_first))
		queue->spill_first = row;
	write_row(queue, queue->spill, row);
}

/* Memory is full: write its farther half. */
static void
spill_half(QhQueue *queue)
{
	int			keep = queue->nheap / 2;

	qsort(queue->heap, queue->nheap, sizeof(QhQueueEntry), compare);
	for (int i = keep; i < queue->nheap; i++)
		spill_row(queue, queue->heap[i]);
	queue->nheap = keep;
	queue->sorted = true;
}

/* There is no room for another run: what is left of all runs goes into what is being written. */
static void
spill_runs(QhQueue *queue)
{
	for (int i = 0; i < queue->nruns; i++)
	{
		QhQueueEntry row = queue->runs[i].head;

		do
			spill_row(queue, row);
		while (read_row(queue, queue->runs[i].sort, &row));
		tuplesort_end(queue->runs[i].sort);
	}
	queue->nruns = 0;
}

/* The nearest of the rows written is due: sort them, and read them from now on. */
static void
open_spill(QhQueue *queue)
{
	QhQueueRun	run;

	if (queue->nruns == QH_QUEUE_MAX_RUNS)
		spill_runs(queue);
	run.sort = queue->spill;
	queue->spill = NULL;
	tuplesort_performsort(run.sort);
	if (!read_row(queue, run.sort, &run.head))
		elog(ERROR, "a sorted run has no rows");
	queue->runs[queue->nruns++] = run;
}

/* ---- interface ---- */

void
qh_queue_init(QhQueue *queue, MemoryContext cxt, Size max_nbytes)
{
	memset(queue, 0, sizeof(*queue));
	queue->cxt = cxt;
	queue->max_nbytes = max_nbytes;
	queue->sorted = true;
}

void
qh_queue_add(QhQueue *queue, double dist, uint64 what)
{
	QhQueueEntry row = {key_of(dist), what};

	if (queue->nheap == 0)
	{
		queue->heap = queue->space;
		queue->sorted = true;
	}
	if (unlikely(room(queue) == 0) && !make_room(queue))
	{
		MemoryContext old = MemoryContextSwitchTo(queue->cxt);

		spill_half(queue);
		MemoryContextSwitchTo(old);
	}
	heap_push(queue, row);
	queue->count++;
}

/* Places of a row besides the runs, which have numbers. */
#define IN_HEAP		(-1)
#define NOWHERE		(-2)

/*
 * Which of the heap and the runs has the nearest row; runs that are not sorted yet are not looked
 * at.
 */
static int
nearest_of_open(const QhQueue *queue, QhQueueEntry *out)
{
	int			place = NOWHERE;

	if (queue->nheap > 0)
	{
		*out = queue->heap[0];
		place = IN_HEAP;
	}
	for (int i = 0; i < queue->nruns; i++)
	{
		if (place != NOWHERE && !before(queue->runs[i].head, *out))
			continue;
		*out = queue->runs[i].head;
		place = i;
	}
	return place;
}

/* Where the nearest row is, in a queue that is not empty. */
static int
nearest(QhQueue *queue, QhQueueEntry *out)
{
	int			place;

	if (likely(queue->nruns == 0 && queue->spill == NULL))
	{
		*out = queue->heap[0];
		return IN_HEAP;
	}
	place = nearest_of_open(queue, out);
	if (queue->spill != NULL && (place == NOWHERE || before(queue->spill_first, *out)))
	{
		MemoryContext old = MemoryContextSwitchTo(queue->cxt);

		open_spill(queue);
		MemoryContextSwitchTo(old);
		place = nearest_of_open(queue, out);
	}
	return place;
}

bool
qh_queue_peek(QhQueue *queue, QhQueued *out)
{
	QhQueueEntry row;

	if (queue->count == 0)
		return false;
	(void) nearest(queue, &row);
	*out = (QhQueued) {dist_of(row.key), row.what};
	return true;
}

bool
qh_queue_pop(QhQueue *queue, QhQueued *out)
{
	QhQueueEntry row;
	int			place;

	if (queue->count == 0)
		return false;
	place = nearest(queue, &row);
	*out = (QhQueued) {dist_of(row.key), row.what};
	queue->count--;
	if (place == IN_HEAP)
		heap_pop(queue);
	else
	{
		QhQueueRun *run = &queue->runs[place];

		if (!read_row(queue, run->sort, &run->head))
		{
			tuplesort_end(run->sort);
			*run = queue->runs[--queue->nruns];
		}
	}
	return true;
}

void
qh_queue_end(QhQueue *queue)
{
	if (queue->space == NULL)
		return;
	if (queue->spill != NULL)
		tuplesort_end(queue->spill);
	for (int i = 0; i < queue->nruns; i++)
		tuplesort_end(queue->runs[i].sort);
	if (queue->slot != NULL)
	{
		ExecDropSingleTupleTableSlot(queue->slot);
		ExecDropSingleTupleTableSlot(queue->put_slot);
	}
	pfree(queue->space);
	memset(queue, 0, sizeof(*queue));
}
