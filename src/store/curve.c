/*
 * curve.c
 *		What search effort reaches which recall: read from the metapage, and written to it.
 *
 * See FORMAT.md, "Metapage"; src/calibrate measures it, src/column reads an effort off it.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "store/curve.h"
#include "store/index_cache.h"
#include "store/page.h"
#include "utils/inval.h"

/* What is wrong with a point, or NULL.  NaN fails every comparison. */
static const char *
point_fault(const QhCurvePoint *point)
{
	if (!(point->target > 0 && point->target < 1) || !(point->recall >= 0 && point->recall <= 1))
		return "a measured recall is out of range";
	if (point->ef < 1 || point->ef > QH_MAX_EF_SEARCH)
		return "a measured ef_search is out of range";
	if (!(point->doubt >= -100 && point->doubt <= 100))
		return "a measured doubt is out of range";
	return NULL;
}

static const char *
curve_fault(const QhCurveData *curve)
{
	const char *fault = NULL;

	if (curve->npoints > QH_CURVE_MAX_POINTS)
		return "too many points of recall";
	if (!(curve->default_target >= 0 && curve->default_target < 1))
		return "the default recall is out of range";
	for (uint32 i = 0; i < curve->npoints && fault == NULL; i++)
	{
		fault = point_fault(&curve->points[i]);
		if (fault == NULL && i > 0 && !(curve->points[i].target > curve->points[i - 1].target))
			fault = "points of recall are not in order";
	}
	return fault;
}

void
qh_curve_read(Relation index, QhCurveData *curve)
{
	Buffer		buf = ReadBuffer(index, QH_META_BLKNO);
	const char *fault;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	qh_meta_check(index, BufferGetPage(buf));
	*curve = *QhPageGetCurve(BufferGetPage(buf));
	UnlockReleaseBuffer(buf);
	fault = curve_fault(curve);
	if (fault != NULL)
		qh_report_corrupt(index, QH_META_BLKNO, fault);
}

/* Is it the metapage of an index that a scan could read? */
static bool
is_readable(Page page)
{
	QhMeta		meta = QhPageGetMeta(page);

	return !PageIsNew(page) && meta->magic == QH_MAGIC && meta->version == QH_FORMAT_VERSION;
}

bool
qh_curve_peek(Relation index, QhCurveData *curve)
{
	bool		readable = false;
	Buffer		buf;

	if (RelationGetNumberOfBlocks(index) > QH_META_BLKNO)
	{
		buf = ReadBuffer(index, QH_META_BLKNO);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		readable = is_readable(BufferGetPage(buf));
		if (readable)
			*curve = *QhPageGetCurve(BufferGetPage(buf));
		UnlockReleaseBuffer(buf);
	}
	if (readable && curve_fault(curve) == NULL)
		return true;
	memset(curve, 0, sizeof(*curve));
	return false;
}

void
qh_curve_write(Relation index, const QhCurveData *curve)
{
	Buffer		buf = ReadBuffer(index, QH_META_BLKNO);
	GenericXLogState *xlog;

	Assert(curve_fault(curve) == NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	qh_meta_check(index, BufferGetPage(buf));
	xlog = GenericXLogStart(index);
	*QhPageGetCurve(GenericXLogRegisterBuffer(xlog, buf, 0)) = *curve;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buf);
	CacheInvalidateRelcache(index);
	qh_index_forget(RelationGetRelid(index));
}
