/*
 * passing.c
 *		Nodes that may have rows which pass the conditions on keys, as the filter arrays tell.
 *
 * One sweep over the FILTER pages finds them all.  They are kept as a bitmap where memory allows,
 * and looked for again where not.  What it says no of is no row that the snapshot sees; whether a
 * row passes its own record says.  CONDITIONS.md.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "scan/scan_state.h"
#include "store/filter_read.h"

/* Of the memory of candidates, at most so much for the bitmap. */
#define BITMAP_SHARE		0.25

/* Set the bits of the nodes of a page that may pass; false if none may. */
static bool
test_page(const QhScan *scan, const QhFilterPage *page, uint64 *bits)
{
	QhKeyArray	columns[QH_MAX_FILTERS];
	uint64		any = 0;

	for (int i = 0; i < scan->columns.ncolumns; i++)
		columns[i] = (QhKeyArray)
	{
		page->columns[i].keys, page->columns[i].nulls,
			page->columns[i].bounds.least, page->columns[i].bounds.greatest
	};
	if (page->nslots == 0)
		return false;
	if (!qh_filter_test_page(&scan->q.test, columns, page->nslots, bits))
		memset(bits, 0, sizeof(uint64) * QH_BITMAP_WORDS(page->nslots));
	/* of a node with several rows, its posting slots tell */
	for (uint32 i = 0; i < QH_BITMAP_WORDS(page->nslots); i++)
	{
		bits[i] = (bits[i] & page->single[i]) | page->several[i];
		any |= bits[i];
	}
	return any != 0;
}

/* Set n bits of all from a place on as those of page say. */
static void
put_bits(uint64 *all, QhNode at, const uint64 *page, uint32 n)
{
	uint64	   *to = all + at / 64;
	int			shift = at % 64;

	for (uint32 i = 0; i < QH_BITMAP_WORDS(n); i++)
	{
		uint64		bits = page[i];

		if (n - 64 * i < 64)
			bits &= (UINT64CONST(1) << (n - 64 * i)) - 1;
		if (bits == 0)
			continue;
		to[i] |= bits << shift;
		if (shift > 0 && bits >> (64 - shift) != 0)
			to[i + 1] |= bits >> (64 - shift);
	}
}

static uint64
count_bits(const uint64 *bits, uint32 n)
{
	uint64		count = 0;

	for (uint32 i = 0; i < QH_BITMAP_WORDS(n); i++)
	{
		uint64		word = bits[i];

		if (n - 64 * i < 64)
			word &= (UINT64CONST(1) << (n - 64 * i)) - 1;
		count += pg_popcount64(word);
	}
	return count;
}

void
qh_passing_count(QhScan *scan)
{
	QhPassing  *passing = &scan->q.passing;
	QhFilterSweep sweep;
	QhFilterPage page;
	uint64		bits[BLCKSZ / 64];
	Size		nbytes;

	if (passing->counted)
		return;
	/* rows that the snapshot sees may be in pages that are newer than what is known of the index */
	qh_index_refresh_size(scan->q.ix, scan->rs.index);
	passing->nslots = scan->q.ix->nslots;
	nbytes = sizeof(uint64) * ((Size) QH_BITMAP_WORDS(passing->nslots) + 1);
	if (nbytes <= qh_scan_memory(QH_SEARCH_MEMORY * BITMAP_SHARE) || nbytes <= BLCKSZ)
		passing->bits = MemoryContextAllocExtended(scan->query_cxt, nbytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	passing->nnodes = 0;
	qh_filter_sweep_begin(&sweep, &scan->rs);
	while (qh_filter_sweep_next(&sweep, &page))
	{
		uint32		n = page.first < passing->nslots ? Min(page.nslots, passing->nslots - page.first) : 0;

		if (!test_page(scan, &page, bits))
			continue;
		passing->nnodes += count_bits(bits, n);
		if (passing->bits != NULL)
			put_bits(passing->bits, page.first, bits, n);
	}
	qh_filter_sweep_end(&sweep);
	passing->counted = true;
	scan->q.stats.nfiltersweeps++;
	scan->q.stats.npassing = passing->nnodes;
}

bool
qh_node_may_pass(QhScan *scan, QhNode node)
{
	const QhPassing *passing = &scan->q.passing;
	uint8		record[QH_MAX_RECORD_NBYTES];

	if (!scan->q.tests_keys)
		return true;
	if (passing->bits != NULL && node < passing->nslots)
		return qh_bit(passing->bits, node);
	switch (qh_read_filter_record(&scan->rs, node, record))
	{
		case QH_RECORD_NONE:
			return false;
		case QH_RECORD_SEVERAL:
			return true;
		case QH_RECORD_SINGLE:
			break;
	}
	return qh_test_record(scan, record) != QH_NO;
}

/* ---- all of them ---- */

/* Hand on the nodes of a run of bits, a few at a time. */
static void
take_bits(const uint64 *bits, QhNode first, uint32 n, QhPassingTaker taker, void *arg)
{
	QhNode		nodes[QH_PASSING_BATCH];
	int			nnodes = 0;

	for (uint32 i = 0; i < QH_BITMAP_WORDS(n); i++)
	{
		for (uint64 word = bits[i]; word != 0; word &= word - 1)
		{
			uint32		at = 64 * i + (uint32) pg_rightmost_one_pos64(word);

			if (at >= n)
				break;
			nodes[nnodes++] = first + at;
			if (nnodes == QH_PASSING_BATCH)
			{
				taker(arg, nodes, nnodes);
				nnodes = 0;
			}
		}
	}
	if (nnodes > 0)
		taker(arg, nodes, nnodes);
}

void
qh_passing_each(QhScan *scan, QhPassingTaker taker, void *arg)
{
	QhPassing  *passing = &scan->q.passing;
	QhFilterSweep sweep;
	QhFilterPage page;
	uint64		bits[BLCKSZ / 64];

	qh_passing_count(scan);
	if (passing->bits != NULL)
	{
		take_bits(passing->bits, 0, passing->nslots, taker, arg);
		return;
	}
	qh_filter_sweep_begin(&sweep, &scan->rs);
	while (qh_filter_sweep_next(&sweep, &page))
	{
		bool		any = test_page(scan, &page, bits);

		qh_filter_sweep_release(&sweep);
		if (any)
			take_bits(bits, page.first, page.nslots, taker, arg);
	}
	qh_filter_sweep_end(&sweep);
	scan->q.stats.nfiltersweeps++;
}
