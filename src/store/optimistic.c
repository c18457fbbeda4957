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

/* A slot that is being read, and the buffer it is read from. */
typedef struct Glance
{
	BufferDesc *desc;
	BufferTag	tag;			/* that the buffer has to have */
	int			at;				/* of the nodes asked for */
} Glance;

bool
qh_usage_is_full(Buffer buf)
{
	if (BufferIsLocal(buf))
		return true;			/* nobody else wants its place */
	return BUF_STATE_GET_USAGECOUNT(qh_buffer_state(GetBufferDescriptor(buf - 1))) >= BM_MAX_USAGE_COUNT;
}

/*
 * The buffer's state, or 0 if it does not hold the page.  The tag is read first: it changes only
 * under the header's lock, which also makes the buffer invalid, so a state read behind the barrier
 * says whether the page of this tag is there, or still on its way in.
 */
static inline uint64
state_if_held(const Glance *glance)
{
	uint64		state;

	if (!qh_buffer_tags_equal(&glance->desc->tag, &glance->tag))
		return 0;
	pg_read_barrier();
	state = qh_buffer_state(glance->desc);
	return (state & (BM_VALID | BM_LOCKED)) == BM_VALID ? state : 0;
}

/*
 * May the slot be read without a pin?  Only from a buffer whose usage count is as high as
 * a pin could raise it.  So the clock sweep finds the same counts as if all had been pinned.
 */
static bool
begin_glance(QhRelStore *rs, BlockNumber blkno, Glance *glance)
{
	Buffer		buf = rs->ix->hints[blkno];

	if (buf <= InvalidBuffer)
		return false;			/* unknown, or a temporary index in local memory */
	glance->desc = GetBufferDescriptor(buf - 1);
	qh_buffer_tag_init(&glance->tag, qh_locator(rs->index), MAIN_FORKNUM, blkno);
	return BUF_STATE_GET_USAGECOUNT(state_if_held(glance)) >= BM_MAX_USAGE_COUNT;
}

int
qh_score_unpinned(QhRelStore *rs, const QvQuery *query, const QhSlotAddress *addrs, int n, float *dist, int *rest)
{
	Glance		glances[QH_UNPINNED_MAX];
	const uint8 *codes[QH_UNPINNED_MAX];
	float		scores[QH_UNPINNED_MAX];
	int			nglances = 0;
	int			nrest = 0;
	bool		needs_pin[QH_UNPINNED_MAX];

	Assert(n <= QH_UNPINNED_MAX);
	for (int i = 0; i < n; i++)
	{
		Glance	   *glance = &glances[nglances];

		needs_pin[i] = true;
		if (addrs[i].blkno == InvalidBlockNumber || !begin_glance(rs, addrs[i].blkno, glance))
			continue;
		glance->at = i;
		codes[nglances++] = (uint8 *) BufferGetBlock(BufferDescriptorGetBuffer(glance->desc)) + addrs[i].offset;
	}

	/* nothing of the codes may be read before the first look, or after the second */
	pg_read_barrier();
	qv_query_score(query, codes, nglances, scores);
	pg_read_barrier();

	for (int i = 0; i < nglances; i++)
	{
		dist[glances[i].at] = scores[i];
		needs_pin[glances[i].at] = state_if_held(&glances[i]) == 0;
	}
	for (int i = 0; i < n; i++)
	{
		rest[nrest] = i;
		nrest += needs_pin[i];
	}
	return nrest;
}
