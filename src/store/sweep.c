/*
 * sweep.c
 *		All codes of an index in order, a page at a time, scored.
 *
 * A pass over all codes is a read of memory, so while one page is scored the next two are
 * prefetched, and those behind them read ahead from disk.  Must not know what the scores are
 * for.  See README.md, section "Sweeps".
 */
#include "postgres.h"

#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#ifdef QH_HAVE_READ_STREAM
#include "storage/read_stream.h"
#endif
#include "store/readahead.h"
#include "store/slot_pin.h"
#include "store/sweep.h"
#include "store/versioned_read.h"

/*
 * Code pages asked for ahead where no stream reads them: 256 kB, as large as a ring of buffers
 * for bulk reads.
 */
#define PAGES_AHEAD			32

/* Codes on the page whose first node is this; pages end with their group and with the index. */
static uint32
page_ncodes(const QhSweep *sweep, QhNode first)
{
	const QhGeometry *geo = &sweep->rs->ix->geo;
	uint32		in_group = geo->group_nslots - first % geo->group_nslots;

	return Min(Min(geo->page_nslots[QH_ARRAY_CODE], in_group), sweep->nslots - first);
}

/* Where the codes are by the page's recent buffer, or NULL; prefetches the buffer's descriptor. */
static const uint8 *
seen_last(const QhSweep *sweep, QhSlotAddress addr)
{
	Buffer		buf = sweep->rs->ix->recent[addr.blkno];

	if (buf <= InvalidBuffer)
		return NULL;
	qv_prefetch(GetBufferDescriptor(buf - 1));
	return (const uint8 *) BufferGetBlock(buf) + addr.offset;
}

static QhSweepPage
page_from(const QhSweep *sweep, QhNode first)
{
	QhSweepPage page = {first, 0, {InvalidBlockNumber, 0, 0}, NULL};

	if (first < sweep->nslots)
	{
		page.ncodes = (int) page_ncodes(sweep, first);
		page.addr = qh_slot_address(&sweep->rs->ix->geo, QH_ARRAY_CODE, first);
		page.codes = seen_last(sweep, page.addr);
	}
	return page;
}

static QhNode
end_of(QhSweepPage page)
{
	return page.first + (QhNode) page.ncodes;
}

/* Take the next page. */
static QhSweepPage
advance(QhSweep *sweep)
{
	QhSweepPage page = sweep->pages[0];

	for (int i = 1; i < QH_SWEEP_LATER; i++)
		sweep->pages[i - 1] = sweep->pages[i];
	sweep->pages[QH_SWEEP_LATER - 1] = page_from(sweep, end_of(sweep->pages[QH_SWEEP_LATER - 2]));
	return page;
}

void
qh_sweep_begin(QhSweep *sweep, QhRelStore *rs)
{
	QhIndex    *ix = rs->ix;

	sweep->rs = rs;
	sweep->nslots = ix->nslots;
	sweep->pages[0] = page_from(sweep, 0);
	for (int i = 1; i < QH_SWEEP_LATER; i++)
		sweep->pages[i] = page_from(sweep, end_of(sweep->pages[i - 1]));
	sweep->absent = false;
	sweep->ahead = 0;
	sweep->stream = NULL;

	/* as a sequential scan does, so that one large sweep does not evict what others use */
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

/* A stream reads the pages from this one on. */
static void
look_ahead(QhSweep *sweep, QhNode first)
{
	if (sweep->stream != NULL)
		return;
	sweep->ahead = first;
	sweep->stream = read_stream_begin_relation(READ_STREAM_FULL, sweep->strategy, sweep->rs->index, MAIN_FORKNUM,
											   next_block, sweep, 0);
}

static Buffer
pin_page(QhSweep *sweep, const QhSweepPage *page)
{
	QhRelStore *rs = sweep->rs;
	Buffer		buf = InvalidBuffer;
	QhSlotAddress addr;

	if (sweep->stream != NULL)
		buf = read_stream_next_buffer(sweep->stream, NULL);
	if (!BufferIsValid(buf))
		return qh_pin_slot(rs, QH_ARRAY_CODE, page->first, &addr);
	rs->npins++;
	return qh_remember_page(rs, QH_ARRAY_CODE, page->first, page->addr.blkno, buf);
}

#else

/* Keep the pages behind this one on their way from disk. */
static void
look_ahead(QhSweep *sweep, QhNode first)
{
	QhIndex    *ix = sweep->rs->ix;
	uint64		end = (uint64) first + (PAGES_AHEAD + 1) * ix->geo.page_nslots[QH_ARRAY_CODE];

	sweep->ahead = Max(sweep->ahead, first);
	while (sweep->ahead < Min(end, sweep->nslots))
	{
		qh_read_ahead(sweep->rs, QH_ARRAY_CODE, &sweep->ahead, 1);
		sweep->ahead += page_ncodes(sweep, sweep->ahead);
	}
}

static Buffer
pin_page(QhSweep *sweep, const QhSweepPage *page)
{
	QhSlotAddress addr;

	return qh_pin_slot(sweep->rs, QH_ARRAY_CODE, page->first, &addr);
}

#endif

/* Its codes, or those of the page at hand where nobody knows. */
static inline const uint8 *
codes_or(const QhSweepPage *page, const uint8 *at_hand)
{
	return page->codes != NULL ? page->codes : at_hand;
}

static void
score_page(const QhSweep *sweep, const QhSweepPage *page, const char *bytes, float limit, QhSweepHits *hits)
{
	QhRelStore *rs = sweep->rs;
	const uint8 *codes = (const uint8 *) bytes + page->addr.offset;
	QvSlotRun	run = {
		.base = codes,
		.stride = rs->ix->code_nbytes,
		.nslots = page->ncodes,
		.ahead.soon = codes_or(&sweep->pages[QH_SWEEP_SOON - 1], codes),
		.ahead.later = codes_or(&sweep->pages[QH_SWEEP_LATER - 1], codes),
	};

	hits->first = page->first;
	hits->ncodes = page->ncodes;
	hits->nnear = qv_query_sweep(rs->query, &run, limit, hits->near, hits->dist);
}

/* Score the page without a pin: false where it may not have been there all the time. */
static bool
score_unpinned(const QhSweep *sweep, const QhSweepPage *page, float limit, QhSweepHits *hits)
{
	QhUnpinnedRead unpinned;
	const char *bytes = qh_unpinned_read_begin(sweep->rs->ix, sweep->rs->index, page->addr.blkno, &unpinned);

	if (bytes == NULL)
		return false;
	score_page(sweep, page, bytes, limit, hits);
	return qh_unpinned_read_end(&unpinned);
}

/*
 * From the first page on that seems not to be in shared buffers, all are pinned and asked for
 * ahead; to look for each before that would cost more than its codes.
 */
static void
score_pinned(QhSweep *sweep, const QhSweepPage *page, float limit, QhSweepHits *hits)
{
	Buffer		buf;

	if (!sweep->absent)
		sweep->absent = qh_seems_absent(sweep->rs->ix, page->addr.blkno);
	if (sweep->absent)
		look_ahead(sweep, page->first);
	buf = pin_page(sweep, page);
	if (!BufferIsValid(buf))
	{
		/* never written: nobody is there */
		hits->ncodes = 0;
		hits->nnear = 0;
		return;
	}
	score_page(sweep, page, BufferGetPage(buf), limit, hits);
	ReleaseBuffer(buf);
}

bool
qh_sweep_next(QhSweep *sweep, float limit, QhSweepHits *hits)
{
	QhSweepPage page = advance(sweep);

	if (page.ncodes == 0)
		return false;
	CHECK_FOR_INTERRUPTS();
	if (sweep->absent || !qh_optimistic_read || !score_unpinned(sweep, &page, limit, hits))
		score_pinned(sweep, &page, limit, hits);
	sweep->rs->ncodes += hits->ncodes;
	return true;
}
