/*
 * filter_vacuum.c
 *		Bounds of FILTER pages made anew, after slots were freed.
 *
 * A record that goes leaves the bounds of its page as they are.  Must not know why it went.  See
 * RECORDS.md, section "When what changes".
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "store/filter_vacuum.h"
#include "store/slot_pin.h"

/* Write those bounds that are not what the records on the page say. */
static void
tighten_page(QhRelStore *rs, Buffer buf)
{
	const QhFilterLayout *layout = &rs->ix->geo.filter;
	QhKeyBounds bounds[QH_MAX_FILTERS];
	bool		changed = false;
	QhFilterPage now;
	GenericXLogState *xlog;
	Page		page;

	qh_filter_view(BufferGetPage(buf), layout, 0, layout->page_nslots, &now);
	for (uint32 i = 0; i < layout->ncolumns; i++)
	{
		bounds[i] = qh_filter_bounds(BufferGetPage(buf), layout, i);
		changed = changed || memcmp(&bounds[i], &now.columns[i].bounds, sizeof(QhKeyBounds)) != 0;
	}
	if (!changed)
		return;
	xlog = GenericXLogStart(rs->index);
	page = GenericXLogRegisterBuffer(xlog, buf, 0);
	for (uint32 i = 0; i < layout->ncolumns; i++)
		memcpy(page + layout->page_bounds_at[i], &bounds[i], sizeof(QhKeyBounds));
	GenericXLogFinish(xlog);
}

void
qh_filter_tighten(QhRelStore *rs, uint32 nslots)
{
	QhNode		node = 0;

	if (rs->ix->geo.filter.ncolumns == 0)
		return;
	while (node < nslots)
	{
		QhSlotAddress addr;
		Buffer		buf;

		qh_vacuum_delay();
		buf = qh_lock_slot(rs, QH_ARRAY_FILTER, node, BUFFER_LOCK_EXCLUSIVE, &addr);
		if (BufferIsValid(buf))
		{
			tighten_page(rs, buf);
			UnlockReleaseBuffer(buf);
		}
		node += qh_geometry_page_nslots(&rs->ix->geo, addr.blkno) - addr.index;
	}
}
