/*
 * added_centres.c
 *		Centres that were added to an index after its build: read, and made known to all.
 *
 * A centre lies in a chain of slots, whose first one leads to the centre added before it.  The
 * metapage leads to the last.  Chains never change once the metapage knows them.  Must not know
 * why a centre is added, nor what codes do with it.  See CENTRES.md.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "compat.h"
#include "miscadmin.h"
#include "store/added_centres.h"
#include "store/links.h"
#include "store/slot_change.h"
#include "store/slot_pin.h"
#include "store/slots.h"

#define set_bit(bits, i)	((bits)[(i) / 8] |= 1 << ((i) % 8))

/* Words of a centre: its floats, behind the slot of the one before it. */
#define CENTRE_NWORDS(ndims) (1 + (ndims))

/* ---- reading ---- */

/* One slot of a chain; an error if it is none of this centre's. */
static void
read_part(QhRelStore *rs, QhNode node, uint32 number, uint32 nleft, QhLink *slot)
{
	QhCentre	part = (QhCentre) slot;

	CHECK_FOR_INTERRUPTS();
	if (!qh_relstore_in_range(rs, node))
		qh_report_corrupt(rs->index, QH_META_BLKNO, "a centre leads past the end");
	if (qh_read_slot(rs, node, slot) != QH_SLOT_CENTRE || part->number != number ||
		part->nwords < 1 || part->nwords > nleft || part->nwords > QH_CENTRE_NWORDS(qh_link_nbytes(&rs->ix->geo, node)) ||
		(part->nwords == nleft) != (part->next == QH_INVALID_NODE))
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, node).blkno, "a centre is broken");
}

/*
 * All words of a centre.  Each slot has some, and the number of all is known: so this ends.  Where
 * bits are given, those of its slots below nslots are set.
 */
static void
read_words(QhRelStore *rs, QhNode node, uint32 number, uint32 *words, uint8 *bits, uint32 nslots)
{
	uint32		nleft = CENTRE_NWORDS(rs->ix->meta.ndims);

	while (nleft > 0)
	{
		QhLink		slot[2 * QH_MAX_M];
		QhCentre	part = (QhCentre) slot;

		read_part(rs, node, number, nleft, slot);
		memcpy(words, part->words, part->nwords * sizeof(uint32));
		words += part->nwords;
		nleft -= part->nwords;
		if (bits != NULL && node < nslots)
			set_bit(bits, node);
		node = part->next;
	}
}

/* Read the centres of a metapage, the last first.  Either of centres and bits may be NULL. */
static void
read_chains(QhRelStore *rs, const QhMetaData *meta, float *centres, uint8 *bits, uint32 nslots)
{
	uint32		ndims = meta->ndims;
	uint32	   *words = palloc(CENTRE_NWORDS(ndims) * sizeof(uint32));
	QhNode		head = meta->added_head;

	for (uint32 number = meta->ncentres; number > meta->ncentres_built; number--)
	{
		read_words(rs, head, number, words, bits, nslots);
		head = words[0];
		if (centres != NULL)
			memcpy(centres + (Size) (number - meta->ncentres_built - 1) * ndims, words + 1, ndims * sizeof(float));
	}
	if (head != QH_INVALID_NODE)
		qh_report_corrupt(rs->index, QH_META_BLKNO, "there are more centres than are counted");
	pfree(words);
}

void
qh_added_read(QhRelStore *rs, float *centres)
{
	read_chains(rs, &rs->ix->meta, centres, NULL, 0);
}

void
qh_added_mark(QhRelStore *rs, uint8 *bits, uint32 nslots)
{
	QhMetaData	meta;

	qh_meta_read(rs->index, &meta);
	if (meta.ndims == rs->ix->meta.ndims)
		read_chains(rs, &meta, NULL, bits, nslots);
}

/* ---- adding ---- */

/* Slots that were taken for a centre. */
typedef struct Chain
{
	QhNode	   *nodes;
	uint32		n;
	uint32		max;
} Chain;

uint32
qh_added_nslots(const QhMetaData *meta)
{
	uint32		each = QH_CENTRE_NWORDS(qh_meta_link_nbytes(meta));

	return (CENTRE_NWORDS(meta->ndims) + each - 1) / each;
}

static void
remember(Chain *chain, QhNode node)
{
	if (chain->n == chain->max)
	{
		chain->max = Max(64, 2 * chain->max);
		chain->nodes = chain->nodes == NULL ? palloc(chain->max * sizeof(QhNode)) :
			repalloc(chain->nodes, chain->max * sizeof(QhNode));
	}
	chain->nodes[chain->n++] = node;
}

/* Write one slot of a centre, which is reserved. */
static void
write_part(QhRelStore *rs, QhNode node, const QhCentreData *head, const uint32 *words)
{
	QhLink		slot[2 * QH_MAX_M] = {0};
	QhCentre	part = (QhCentre) slot;
	QhSlotChange change = {node, QH_SLOT_RESERVED, QH_SLOT_CENTRE, NULL, slot};

	Assert(head->nwords <= QH_CENTRE_NWORDS(qh_link_nbytes(&rs->ix->geo, node)));
	*part = *head;
	memcpy(part->words, words, head->nwords * sizeof(uint32));
	if (!qh_apply(rs, &change, 1, NULL))
		qh_report_corrupt(rs->index, qh_slot_address(&rs->ix->geo, QH_ARRAY_LINK, node).blkno,
						  "a free slot is in use");
}

/* Write a centre into slots of its own; returns the first.  The slots are added to the chain. */
static QhNode
write_centre(QhRelStore *rs, Chain *chain, uint32 number, const uint32 *words)
{
	uint32		first = chain->n;
	uint32		nwords = CENTRE_NWORDS(rs->ix->meta.ndims);
	uint32		room = 0;

	while (room < nwords)
	{
		remember(chain, qh_slot_reserve(rs, NULL));
		room += QH_CENTRE_NWORDS(qh_link_nbytes(&rs->ix->geo, chain->nodes[chain->n - 1]));
	}
	for (uint32 i = first; i < chain->n; i++)
	{
		QhCentreData head = {.number = number};

		head.next = i + 1 < chain->n ? chain->nodes[i + 1] : QH_INVALID_NODE;
		head.nwords = Min(nwords, QH_CENTRE_NWORDS(qh_link_nbytes(&rs->ix->geo, chain->nodes[i])));
		write_part(rs, chain->nodes[i], &head, words);
		words += head.nwords;
		nwords -= head.nwords;
	}
	return chain->nodes[first];
}

/*
 * Make the metapage lead to the centres, and tell all backends, in one record.  False where the
 * centres of the index are not those that rs->ix has.
 */
static bool
publish(QhRelStore *rs, QhNode head, uint32 ncentres)
{
	Buffer		meta_buf = qh_page_read(rs->index, MAIN_FORKNUM, QH_META_BLKNO, QH_PAGE_META, 0, BUFFER_LOCK_EXCLUSIVE);
	Buffer		entry_buf = qh_page_read(rs->index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0, BUFFER_LOCK_EXCLUSIVE);
	const QhMetaData *known = &rs->ix->meta;
	QhMeta		meta = QhPageGetMeta(BufferGetPage(meta_buf));
	bool		current;

	qh_meta_check(rs->index, BufferGetPage(meta_buf));
	current = meta->ndims == known->ndims && meta->ncentres == known->ncentres && meta->added_head == known->added_head;
	if (current)
	{
		GenericXLogState *xlog = GenericXLogStart(rs->index);

		meta = QhPageGetMeta(GenericXLogRegisterBuffer(xlog, meta_buf, 0));
		meta->ncentres = ncentres;
		meta->added_head = head;
		QhPageGetEntry(GenericXLogRegisterBuffer(xlog, entry_buf, 0))->nchanges++;
		GenericXLogFinish(xlog);
	}
	UnlockReleaseBuffer(entry_buf);
	UnlockReleaseBuffer(meta_buf);
	return current;
}

/* Nothing leads to these slots. */
static void
give_back(QhRelStore *rs, const Chain *chain)
{
	for (uint32 i = 0; i < chain->n; i++)
	{
		QhSlotChange change = {chain->nodes[i], QH_SLOT_CENTRE, QH_SLOT_FREE, NULL, NULL};

		(void) qh_apply(rs, &change, 1, NULL);
	}
}

bool
qh_added_publish(QhRelStore *rs, const float *centres, uint32 n)
{
	uint32		ndims = rs->ix->meta.ndims;
	uint32		number = rs->ix->meta.ncentres;
	QhNode		head = rs->ix->meta.added_head;
	uint32	   *words = palloc(CENTRE_NWORDS(ndims) * sizeof(uint32));
	Chain		chain = {0};
	bool		published;

	Assert(number + n <= QV_MAX_CENTRES);
	for (uint32 i = 0; i < n; i++)
	{
		words[0] = head;
		memcpy(words + 1, centres + (Size) i * ndims, ndims * sizeof(float));
		head = write_centre(rs, &chain, ++number, words);
	}
	published = publish(rs, head, number);
	if (!published)
		give_back(rs, &chain);
	if (chain.nodes != NULL)
		pfree(chain.nodes);
	pfree(words);
	return published;
}
