/*
 * codes.c
 *		Codes and finer codes, scored and read from the pages of an index.
 *
 * While a slot is in use its code stays one of the same value, so it is read without the content lock:
 * without a pin where that is allowed, else under a pin.  Must not know links or row pointers.
 * See README.md, section "Reading", and UNPINNED.md.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "store/codes.h"
#include "store/readahead.h"
#include "store/slot_pin.h"
#include "store/versioned_read.h"

/* What the codes of an array are scored from. */
static inline const QvQuery *
query_for(const QhRelStore *rs, QhArray array)
{
	return array == QH_ARRAY_REFINE ? rs->refine_query : rs->query;
}

/* Pin the codes of up to QH_PIN_BATCH nodes; ptr is a code of zeros for a node that is gone. */
static void
pin_codes(QhRelStore *rs, QhArray array, const QhNode *nodes, int n, Buffer *bufs, const uint8 **ptrs)
{
	Assert(n <= QH_PIN_BATCH);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;

		bufs[i] = qh_pin_slot(rs, array, nodes[i], &addr);
		ptrs[i] = BufferIsValid(bufs[i]) ? (uint8 *) BufferGetPage(bufs[i]) + addr.offset : qh_no_slot;
	}
}

static void
unpin_codes(Buffer *bufs, int n, float *dist)
{
	for (int i = 0; i < n; i++)
	{
		if (BufferIsValid(bufs[i]))
			ReleaseBuffer(bufs[i]);
		else
			dist[i] = INFINITY;
	}
}

/*
 * Find where the slots of up to QH_UNPINNED_MAX nodes are, by their pages' recent buffers, and
 * prefetch what scoring them will touch: the buffers' descriptors, which pins are counted in,
 * and the slots themselves.  A recent buffer may hold another page by now; prefetching from a
 * wrong buffer does no harm.
 */
static void
find_slots(QhRelStore *rs, QhArray array, const QhNode *nodes, int n, QhPlaces *places)
{
	const QhIndex *ix = rs->ix;
	uint32		nbytes = Min(ix->geo.slot_nbytes[array], QH_MAX_PREFETCH_NBYTES);

	Assert(n <= QH_UNPINNED_MAX);
	for (int i = 0; i < n; i++)
	{
		QhSlotAddress addr;
		Buffer		buf = InvalidBuffer;

		if (likely(nodes[i] < ix->nslots))
		{
			addr = qh_slot_address(&ix->geo, array, nodes[i]);
			buf = ix->recent[addr.blkno];
		}
		if (unlikely(buf <= InvalidBuffer))
		{
			/* unknown, or a temporary index in local memory */
			places->desc[i] = NULL;
			places->slot[i] = qh_no_slot;
			continue;
		}
		places->desc[i] = GetBufferDescriptor(buf - 1);
		places->blkno[i] = addr.blkno;
		places->slot[i] = (const uint8 *) BufferGetBlock(buf) + addr.offset;
		qv_prefetch(places->desc[i]);
		qh_prefetch_slot((const char *) places->slot[i], nbytes);
	}
}

/* Score slots of an array in place, a few pins at a time; positions says which of the nodes. */
static void
score_pinned(QhRelStore *rs, QhArray array, const QhNode *nodes, const int *positions, int n, float *dist)
{
	for (int done = 0; done < n; done += QH_PIN_BATCH)
	{
		int			batch = Min(n - done, QH_PIN_BATCH);
		QhNode		pinned[QH_PIN_BATCH];
		Buffer		bufs[QH_PIN_BATCH];
		const uint8 *ptrs[QH_PIN_BATCH];
		float		scores[QH_PIN_BATCH];

		for (int i = 0; i < batch; i++)
			pinned[i] = nodes[positions[done + i]];
		pin_codes(rs, array, pinned, batch, bufs, ptrs);
		qv_query_score(query_for(rs, array), ptrs, batch, scores);
		unpin_codes(bufs, batch, scores);
		for (int i = 0; i < batch; i++)
			dist[positions[done + i]] = scores[i];
	}
}

/*
 * Score slots that were found: without pins, and under pins those of which an unpinned read is
 * not allowed or failed.
 */
static void
score_places(QhRelStore *rs, QhArray array, QhPlaces *places, const QhNode *nodes, int n, float *dist)
{
	int			rest[QH_UNPINNED_MAX];
	int			nrest = n;

	if (likely(qh_optimistic_read))
		nrest = qh_score_unpinned(rs, query_for(rs, array), places, n, dist, rest);
	else
		for (int i = 0; i < n; i++)
			rest[i] = i;
	score_pinned(rs, array, nodes, rest, nrest, dist);
}

/* Score slots of an array in place. */
static void
score_slots(QhRelStore *rs, QhArray array, const QhNode *nodes, int n, float *dist)
{
	CHECK_FOR_INTERRUPTS();
	qh_read_ahead_if_cold(rs, array, nodes, n);
	for (int done = 0; done < n; done += QH_UNPINNED_MAX)
	{
		int			batch = Min(n - done, QH_UNPINNED_MAX);
		QhPlaces	places;

		find_slots(rs, array, nodes + done, batch, &places);
		score_places(rs, array, &places, nodes + done, batch, dist + done);
	}
}

void
qh_store_score(QhStore *store, const QhNode *nodes, int n, float *dist)
{
	QhRelStore *rs = (QhRelStore *) store;

	rs->ncodes += n;
	score_slots(rs, QH_ARRAY_CODE, nodes, n, dist);
}

void
qh_store_fetch(QhStore *store, int place, const QhNode *nodes, int n)
{
	QhRelStore *rs = (QhRelStore *) store;

	qh_read_ahead_if_cold(rs, QH_ARRAY_CODE, nodes, n);
	find_slots(rs, QH_ARRAY_CODE, nodes, Min(n, QH_UNPINNED_MAX), &rs->fetched[place]);
}

void
qh_store_score_fetched(QhStore *store, int place, const QhNode *nodes, int n, float *dist)
{
	QhRelStore *rs = (QhRelStore *) store;
	int			nfound = Min(n, QH_UNPINNED_MAX);

	CHECK_FOR_INTERRUPTS();
	rs->ncodes += n;
	score_places(rs, QH_ARRAY_CODE, &rs->fetched[place], nodes, nfound, dist);
	if (n > nfound)
		score_slots(rs, QH_ARRAY_CODE, nodes + nfound, n - nfound, dist + nfound);
}

void
qh_score_codes(QhRelStore *rs, const QhNode *nodes, int n, float *dist)
{
	score_slots(rs, QH_ARRAY_CODE, nodes, n, dist);
}

void
qh_score_refine(QhRelStore *rs, const QhNode *nodes, int n, float *dist)
{
	rs->nrefined += n;
	score_slots(rs, QH_ARRAY_REFINE, nodes, n, dist);
}

/*
 * Distances from a node to up to QH_PIN_BATCH others with the codes at ptrs: by their values, where these are known.  value is
 * the node's.
 */
static void
pair_batch(QhRelStore *rs, const uint8 *code, const uint8 *value, const QhNode *nodes, const uint8 **ptrs, int n, float *dist)
{
	const uint8 *values[QH_PIN_BATCH];
	int			places[QH_PIN_BATCH];
	float		found[QH_PIN_BATCH];
	int			nvalues = 0;

	Assert(n <= QH_PIN_BATCH);
	for (int i = 0; value != NULL && i < n; i++)
	{
		values[nvalues] = qh_pair_values_find(rs->values, nodes[i], ptrs[i]);
		places[nvalues] = i;
		nvalues += values[nvalues] != NULL;
	}
	if (nvalues < n)
		qv_codec_pair(rs->ix->codec, code, ptrs, n, dist);
	if (nvalues == 0)
		return;
	qv_pair_distances(qh_pair_values_codec(rs->values), QV_PAIR_DISTANCE, value, values, nvalues, found);
	for (int i = 0; i < nvalues; i++)
		dist[places[i]] = found[i];
}

void
qh_store_pair(QhStore *store, QhNode node, const QhNode *nodes, int n, float *dist)
{
	QhRelStore *rs = (QhRelStore *) store;
	uint8		code[QH_PAGE_NBYTES];
	const uint8 *value = NULL;

	CHECK_FOR_INTERRUPTS();
	if (!qh_read_code(rs, node, code))
		memset(code, 0, rs->ix->code_nbytes);
	else if (rs->values != NULL)
		value = qh_pair_values_find(rs->values, node, code);
	for (int i = 0; value != NULL && i < n; i++)
		qh_pair_values_prefetch(rs->values, nodes[i]);
	qh_read_ahead_if_cold(rs, QH_ARRAY_CODE, nodes, n);
	for (int done = 0; done < n; done += QH_PIN_BATCH)
	{
		int			batch = Min(n - done, QH_PIN_BATCH);
		QhPlaces	places;
		Buffer		bufs[QH_PIN_BATCH];
		const uint8 *ptrs[QH_PIN_BATCH];

		find_slots(rs, QH_ARRAY_CODE, nodes + done, batch, &places);
		pin_codes(rs, QH_ARRAY_CODE, nodes + done, batch, bufs, ptrs);
		pair_batch(rs, code, value, nodes + done, ptrs, batch, dist + done);
		unpin_codes(bufs, batch, dist + done);
	}
}

/* Copy nbytes of a slot, as it is at the moment. */
static bool
copy_code(QhRelStore *rs, QhArray array, QhNode node, uint32 nbytes, uint8 *code)
{
	QhSlotAddress addr;
	Buffer		buf = qh_pin_slot(rs, array, node, &addr);

	if (!BufferIsValid(buf))
		return false;
	memcpy(code, BufferGetPage(buf) + addr.offset, nbytes);
	ReleaseBuffer(buf);
	return true;
}

bool
qh_read_code(QhRelStore *rs, QhNode node, uint8 *code)
{
	return copy_code(rs, QH_ARRAY_CODE, node, rs->ix->code_nbytes, code);
}

bool
qh_read_refine(QhRelStore *rs, QhNode node, uint8 *code)
{
	return copy_code(rs, QH_ARRAY_REFINE, node, rs->ix->refine_nbytes, code);
}

void
qh_measure_values(QhRelStore *rs, const uint8 *value, const QhNode *nodes, int n, float *dist)
{
	for (int i = 0; i < n; i++)
		qh_pair_values_prefetch(rs->values, nodes[i]);
	for (int i = 0; i < n; i++)
	{
		uint8		code[QH_PAGE_NBYTES];
		const uint8 *other;

		if (!qh_read_code(rs, nodes[i], code))
			continue;
		other = qh_pair_values_find(rs->values, nodes[i], code);
		if (other != NULL)
			qv_pair_distances(qh_pair_values_codec(rs->values), QV_PAIR_DISTANCE, value, &other, 1, dist + i);
	}
}
