/*
 * recode.c
 *		Another code for the value that a node has.
 *
 * The only place that changes a code while its slot is in use.  Must not know why the new one is
 * better.  See RECODING.md.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "compat.h"
#include "store/recode.h"
#include "store/slot_pin.h"

/* Lock the page of a slot that was read before, to change it. */
static Buffer
lock_known(QhRelStore *rs, QhArray array, QhNode node, QhSlotAddress *addr)
{
	Buffer		buf = qh_lock_slot(rs, array, node, BUFFER_LOCK_EXCLUSIVE, addr);

	if (!BufferIsValid(buf))
		qh_report_corrupt(rs->index, addr->blkno, "unexpected zero page");
	return buf;
}

bool
qh_recode(QhRelStore *rs, QhNode node, const QhRowData *row, const uint8 *old_code, const QhCode *code)
{
	QhSlotAddress row_addr;
	QhSlotAddress addr;
	QhSlotAddress refine_addr;
	Buffer		row_buf = lock_known(rs, QH_ARRAY_ROW, node, &row_addr);
	Buffer		buf;
	Buffer		refine_buf = InvalidBuffer;
	bool		due;

	due = row->flags == QH_ROW_SINGLE && memcmp(BufferGetPage(row_buf) + row_addr.offset, row, sizeof(*row)) == 0;
	if (!due)
	{
		UnlockReleaseBuffer(row_buf);
		return false;
	}
	buf = lock_known(rs, QH_ARRAY_CODE, node, &addr);
	if (code->refine != NULL)
		refine_buf = lock_known(rs, QH_ARRAY_REFINE, node, &refine_addr);
	due = memcmp(BufferGetPage(buf) + addr.offset, old_code, rs->ix->code_nbytes) == 0;
	if (due)
	{
		GenericXLogState *xlog = GenericXLogStart(rs->index);

		memcpy(GenericXLogRegisterBuffer(xlog, buf, 0) + addr.offset, code->code, rs->ix->code_nbytes);
		if (code->refine != NULL)
			memcpy(GenericXLogRegisterBuffer(xlog, refine_buf, 0) + refine_addr.offset, code->refine, rs->ix->refine_nbytes);
		GenericXLogFinish(xlog);
	}
	if (BufferIsValid(refine_buf))
		UnlockReleaseBuffer(refine_buf);
	UnlockReleaseBuffer(buf);
	UnlockReleaseBuffer(row_buf);
	return due;
}
