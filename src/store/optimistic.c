/*
 * optimistic.c
 *		Scoring codes in shared buffers without pinning their pages.
 *
 * A pin costs two atomic operations on a buffer descriptor, more than scoring a code does.  Here
 * the descriptor is only read, before and after: if it says both times that the buffer holds the page,
 * valid, then what lay between was the page.  A wrong answer costs a search a detour and
 * nothing else.  Must not be used for anything that is returned or followed unchecked.  See
 * README.md, section "Reading without pins".
 */
#include "postgres.h"

#include "compat.h"
#include "storage/buf_internals.h"
#include "store/optimistic.h"

bool		qh_optimistic_read = true;

/* Slots that are being read, and the buffers they are read from. */
typedef struct Glances
{
	BufferTag	tag;			/* of the index; the block is put in for each */
	int			n;
	BufferDesc *desc[QH_UNPINNED_MAX];
	BlockNumber blkno[QH_UNPINNED_MAX]; /* that the buffer has to hold */
	int			at[QH_UNPINNED_MAX];	/* of the slots asked for */
	const uint8 *code[QH_UNPINNED_MAX];
} Glances;

bool
qh_usage_is_full(Buffer buf)
{
	if (BufferIsLocal(buf))
		return true;			/* nobody else wants its place */
	return BUF_STATE_GET_USAGECOUNT(qh_buffer_state(GetBufferDescriptor(buf - 1))) >= BM_MAX_USAGE_COUNT;
}

/*
 * The buffer's state, or 0 if it does not hold the block.  The tag is read first: it changes only
 * under the header's lock, which also makes the buffer invalid, so a state read behind the barrier
 * says whether the page of this tag is there, or still on its way in.
 */
static inline uint64
state_if_held(BufferTag *tag, BufferDesc *desc, BlockNumber blkno)
{
	uint64		state;

	tag->blockNum = blkno;
	if (!qh_buffer_tags_equal(&desc->tag, tag))
		return 0;
	pg_read_barrier();
	state = qh_buffer_state(desc);
	return (state & (BM_VALID | BM_LOCKED)) == BM_VALID ? state : 0;
}

/*
 * Find the slots that may be read without a pin: only those in buffers whose usage count is as high as
 * a pin could raise it.  So the clock sweep finds the same counts as if all had been pinned.  The
 * others go to rest; returns how many.
 */
static int
begin_glances(QhRelStore *rs, Glances *glances, const QhSlotAddress *addrs, int n, int *rest)
{
	const Buffer *hints = rs->ix->hints;
	int			nrest = 0;

	qh_buffer_tag_init(&glances->tag, qh_locator(rs->index), MAIN_FORKNUM, InvalidBlockNumber);
	glances->n = 0;
	for (int i = 0; i < n; i++)
	{
		BlockNumber blkno = addrs[i].blkno;
		Buffer		buf = blkno == InvalidBlockNumber ? InvalidBuffer : hints[blkno];
		/* NULL where the buffer is unknown, or in local memory as those of a temporary index */
		BufferDesc *desc = buf > InvalidBuffer ? GetBufferDescriptor(buf - 1) : NULL;

		if (unlikely(desc == NULL) ||
			unlikely(BUF_STATE_GET_USAGECOUNT(state_if_held(&glances->tag, desc, blkno)) < BM_MAX_USAGE_COUNT))
		{
			rest[nrest++] = i;
			continue;
		}
		glances->desc[glances->n] = desc;
		glances->blkno[glances->n] = blkno;
		glances->at[glances->n] = i;
		glances->code[glances->n++] = (uint8 *) BufferGetBlock(buf) + addrs[i].offset;
	}
	return nrest;
}

int
qh_score_unpinned(QhRelStore *rs, const QvQuery *query, const QhSlotAddress *addrs, int n, float *dist, int *rest)
{
	Glances		glances;
	float		scores[QH_UNPINNED_MAX];
	int			nrest;

	Assert(n <= QH_UNPINNED_MAX);
	nrest = begin_glances(rs, &glances, addrs, n, rest);

	/* nothing of the codes may be read before the first look, or after the second */
	pg_read_barrier();
	qv_query_score(query, glances.code, glances.n, scores);
	pg_read_barrier();

	for (int i = 0; i < glances.n; i++)
	{
		dist[glances.at[i]] = scores[i];
		if (unlikely(state_if_held(&glances.tag, glances.desc[i], glances.blkno[i]) == 0))
			rest[nrest++] = glances.at[i];
	}
	return nrest;
}

const char *
qh_glance_begin(QhRelStore *rs, BlockNumber blkno, QhGlance *glance)
{
	Buffer		buf = rs->ix->hints[blkno];

	if (buf <= InvalidBuffer)
		return NULL;			/* unknown, or a temporary index in local memory */
	glance->desc = GetBufferDescriptor(buf - 1);
	qh_buffer_tag_init(&glance->tag, qh_locator(rs->index), MAIN_FORKNUM, blkno);
	if (BUF_STATE_GET_USAGECOUNT(state_if_held(&glance->tag, glance->desc, blkno)) < BM_MAX_USAGE_COUNT)
		return NULL;
	pg_read_barrier();
	return (const char *) BufferGetBlock(buf);
}

bool
qh_glance_end(QhGlance *glance)
{
	pg_read_barrier();
	return state_if_held(&glance->tag, glance->desc, glance->tag.blockNum) != 0;
}
