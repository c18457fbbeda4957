/*
 * sweep.c
 *		All codes of an index in order, a page at a time, scored.
 *
 * What a pass over all codes costs is reading memory, so while one page is scored the
 * processor is asked for the next, and the disk for those behind it.  Must not
 * know what the scores are for.  See README.md, section "Sweeps".
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#ifdef QH_HAVE_READ_STREAM
#include "storage/read_stream.h"
#endif
#include "store/optimistic.h"
#include "store/readahead.h"
#include "store/sweep.h"

/* Code pages asked for ahead where no stream reads them: 256 kB, as large as a ring of buffers for bulk reads. */
#define PAGES_AHEAD			32

/* Codes are scored in runs of about so many bytes, between which the next page's lines are asked for.  Measured: README.md. */
#define RUN_NBYTES			1536

#define CACHE_LINE_NBYTES	64

/* Into the second-level cache: the first has room for too few reads on their way, and then the prefetch itself waits. */
#define prefetch_l2(address) __builtin_prefetch(address, 0, 2)

/* Codes on the page whose first node is this; pages end with their group and with the index. */
static uint32
page_ncodes(const QhSweep *sweep, QhNode first)
{
	const QhGeometry *geo = &sweep->rs->ix->geo;
	uint32		in_group = geo->group_nslots - first % geo->group_nslots;

	return Min(Min(geo->page_nslots[QH_ARRAY_CODE], in_group), sweep->nslots - first);
}

void
qh_sweep_begin(QhSweep *sweep, QhRelStore *rs)
{
	QhIndex    *ix = rs->ix;

	sweep->rs = rs;
	sweep->nslots = ix->nslots;
	sweep->next = 0;
	sweep->ahead = 0;
	sweep->stream = NULL;

	/* as a sequential scan does, so that one large sweep does not push out what everybody else uses */
	sweep->strategy = NULL;
	if (sweep->nslots / ix->geo.page_nslots[QH_ARRAY_CODE] > (uint32) NBuffers / 4)
		sweep->strategy = GetAccessStrategy(BAS_BULKREAD);
	rs->strategy = sweep->strategy;
}

void
qh_sweep_end(QhSweep *sweep)
{
#ifdef QH_HAVE_READ_STREAM
	if (sweep->stream != NULL)
		read_stream_end(sweep->stream);
#endif
	sweep->rs->strategy = NULL;
	if (sweep->strategy != NULL)
		FreeAccessStrategy(sweep->strategy);
}

#ifdef QH_HAVE_READ_STREAM

/* The stream asks for the block of the next code page. */
static BlockNumber
next_block(ReadStream *stream, void *arg, void *per_buffer_data)
{
	QhSweep    *sweep = (QhSweep *) arg;
	QhIndex    *ix = sweep->rs->ix;
	BlockNumber blkno;

	if (sweep->ahead >= sweep->nslots)
		return InvalidBlockNumber;
	blkno = qh_slot_address(&ix->geo, QH_ARRAY_CODE, sweep->ahead).blkno;
	if (qh_seems_absent(ix, blkno))
		sweep->rs->nahead++;
	sweep->ahead += page_ncodes(sweep, sweep->ahead);
	return blkno;
}

/*
 * From the first page that seems not to be in shared buffers on a stream reads them all; before it
 * a look-up of each would cost more than its codes.
 */
static void
look_ahead(QhSweep *sweep, QhNode first)
{
	QhRelStore *rs = sweep->rs;

	if (sweep->stream != NULL || !qh_seems_absent(rs->ix, qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, first).blkno))
		return;
	sweep->ahead = first;
	sweep->stream = read_stream_begin_relation(READ_STREAM_FULL, sweep->strategy, rs->index, MAIN_FORKNUM,
											   next_block, sweep, 0);
}

/* Pin the page of codes that begins with a node. */
static Buffer
pin_page(QhSweep *sweep, QhNode first, QhSlotAddress *addr)
{
	QhRelStore *rs = sweep->rs;
	Buffer		buf = InvalidBuffer;

	if (sweep->stream != NULL)
		buf = read_stream_next_buffer(sweep->stream, NULL);
	if (!BufferIsValid(buf))
		return qh_pin_slot(rs, QH_ARRAY_CODE, first, addr);
	*addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, first);
	rs->npins++;
	return qh_remember_page(rs, QH_ARRAY_CODE, first, addr->blkno, buf);
}

#else

/* Keep the pages behind this one on their way, where they must come from disk. */
static void
look_ahead(QhSweep *sweep, QhNode first)
{
	QhIndex    *ix = sweep->rs->ix;
	uint64		end = (uint64) first + (PAGES_AHEAD + 1) * ix->geo.page_nslots[QH_ARRAY_CODE];

	while (sweep->ahead < Min(end, sweep->nslots))
	{
		qh_read_ahead(sweep->rs, QH_ARRAY_CODE, &sweep->ahead, 1);
		sweep->ahead += page_ncodes(sweep, sweep->ahead);
	}
}

static Buffer
pin_page(QhSweep *sweep, QhNode first, QhSlotAddress *addr)
{
	return qh_pin_slot(sweep->rs, QH_ARRAY_CODE, first, addr);
}

#endif

/* Where the next page's codes seem to be, or NULL: a wrong guess does no harm. */
static const char *
next_codes(QhSweep *sweep)
{
	QhIndex    *ix = sweep->rs->ix;
	QhSlotAddress addr;
	Buffer		buf;

	if (sweep->next >= sweep->nslots)
		return NULL;
	addr = qh_slot_address(&ix->geo, QH_ARRAY_CODE, sweep->next);
	buf = ix->hints[addr.blkno];
	if (buf <= InvalidBuffer)
		return NULL;
	__builtin_prefetch(GetBufferDescriptor(buf - 1));
	return (const char *) BufferGetBlock(buf) + addr.offset;
}

/* Score n codes that stand one behind the other, and ask the processor for as many bytes from next on. */
static void
score_page(const QvQuery *query, const uint8 *codes, uint32 nbytes, int n, const char *next, float *dist)
{
	int			run = Max(RUN_NBYTES / nbytes, 1);

	for (int done = 0; done < n; done += run)
	{
		int			count = Min(n - done, run);

		if (next != NULL)
		{
			for (uint32 at = 0; at < count * nbytes; at += CACHE_LINE_NBYTES)
				prefetch_l2(next + (Size) done * nbytes + at);
		}
		qv_query_score_strided(query, codes + (Size) done * nbytes, nbytes, count, dist + done);
	}
}

/* Score the page without a pin: false where it may not have been there all the time, or a stream has it. */
static bool
score_unpinned(QhSweep *sweep, QhNode first, int n, float *dist)
{
	QhRelStore *rs = sweep->rs;
	QhSlotAddress addr = qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, first);
	QhGlance	glance;
	const char *page;

	if (sweep->stream != NULL || !qh_optimistic_read)
		return false;
	page = qh_glance_begin(rs, addr.blkno, &glance);
	if (page == NULL)
		return false;
	score_page(rs->query, (const uint8 *) page + addr.offset, rs->ix->code_nbytes, n, next_codes(sweep), dist);
	return qh_glance_end(&glance);
}

int
qh_sweep_next(QhSweep *sweep, QhNode *first, float *dist)
{
	QhRelStore *rs = sweep->rs;
	QhSlotAddress addr;
	Buffer		buf;
	int			count;

	if (sweep->next >= sweep->nslots)
		return 0;
	CHECK_FOR_INTERRUPTS();
	*first = sweep->next;
	count = page_ncodes(sweep, *first);
	sweep->next += count;
	look_ahead(sweep, *first);
	if (score_unpinned(sweep, *first, count, dist))
	{
		rs->ncodes += count;
		return count;
	}

	buf = pin_page(sweep, *first, &addr);
	if (!BufferIsValid(buf))
	{
		/* never written: nobody is there */
		for (int i = 0; i < count; i++)
			dist[i] = INFINITY;
		return count;
	}
	score_page(rs->query, (uint8 *) BufferGetPage(buf) + addr.offset, rs->ix->code_nbytes, count,
			   next_codes(sweep), dist);
	ReleaseBuffer(buf);
	rs->ncodes += count;
	return count;
}
