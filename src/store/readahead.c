/*
 * readahead.c
 *		Reading pages of an index ahead from disk, so that their reads overlap.
 *
 * A graph search goes from page to page at random, so its reads would come one after the other.
 * But a hop names all its pages at once, and the nodes that will be expanded next are known
 * too.  Must not know what a page holds.  See README.md, section "Cold reads".
 */
#include "postgres.h"

#include "storage/buf_internals.h"
#include "store/readahead.h"
#include "utils/spccache.h"

/* Pages asked for at once: a hop at m = 16 has at most 32. */
#define READ_AHEAD_BATCH	64

static int
compare_blknos(const void *a, const void *b)
{
	BlockNumber x = *(const BlockNumber *) a;
	BlockNumber y = *(const BlockNumber *) b;

	return (x > y) - (x < y);
}

static bool
is_enabled(Relation index)
{
	return get_tablespace_io_concurrency(index->rd_rel->reltablespace) > 0;
}

/* In ascending order, which the disk or the kernel may merge, and each once. */
static int
start_reads(Relation index, BlockNumber *blknos, int n)
{
	int			nstarted = 0;

	qsort(blknos, n, sizeof(BlockNumber), compare_blknos);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && blknos[i] == blknos[i - 1])
			continue;
		if (PrefetchBuffer(index, MAIN_FORKNUM, blknos[i]).initiated_io)
			nstarted++;
	}
	return nstarted;
}

int
qh_read_ahead_blocks(Relation index, BlockNumber *blknos, int n)
{
	return is_enabled(index) ? start_reads(index, blknos, n) : 0;
}

bool
qh_seems_absent(QhIndex *ix, BlockNumber blkno)
{
	Buffer		buf = ix->recent[blkno];

	if (BufferIsLocal(buf))
		return false;
	return buf == InvalidBuffer || GetBufferDescriptor(buf - 1)->tag.blockNum != blkno;
}

/* Was it asked for a moment ago?  Then it is still being read, and needs no other look-up. */
static bool
asked_already(QhRelStore *rs, BlockNumber blkno)
{
	for (int i = 0; i < QH_ASKED_MAX; i++)
	{
		if (rs->asked[i] == blkno)
			return true;
	}
	rs->asked[rs->nasked++ % QH_ASKED_MAX] = blkno;
	return false;
}

void
qh_read_ahead(QhRelStore *rs, QhArray array, const QhNode *nodes, int n)
{
	BlockNumber blknos[READ_AHEAD_BATCH];
	int			nblknos = 0;

	for (int i = 0; i < n && nblknos < READ_AHEAD_BATCH; i++)
	{
		BlockNumber blkno;

		if (nodes[i] >= rs->ix->nslots)
			continue;
		blkno = qh_slot_address(&rs->ix->geo, array, nodes[i]).blkno;
		if (qh_seems_absent(rs->ix, blkno) && !asked_already(rs, blkno))
			blknos[nblknos++] = blkno;
	}
	if (nblknos > 0 && is_enabled(rs->index))
		rs->nahead += start_reads(rs->index, blknos, nblknos);
}
