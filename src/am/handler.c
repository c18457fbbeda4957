/*
 * handler.c
 *		The access method's description of itself.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "am/am.h"
#include "build/build.h"
#include "calibrate/calibrate.h"
#include "column/filter_type.h"
#include "planner/planner.h"
#include "scan/scan.h"
#include "commands/vacuum.h"
#include "compat.h"

PG_FUNCTION_INFO_V1(qhnsw_handler);

/*
 * The one property PostgreSQL cannot know by itself: the first column can be ordered by distance.
 */
static bool
qhnswproperty(Oid index_oid, int attno, IndexAMProperty prop, const char *propname,
			  bool *res, bool *isnull)
{
	if (attno == 0 || prop != AMPROP_DISTANCE_ORDERABLE)
		return false;
	*res = attno == 1;
	return true;
}

Datum
qhnsw_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = QH_FILTER_NSTRATEGIES;
	am->amsupport = QH_FILTER_PROC;
	am->amoptsprocnum = 0;
	am->amcanorder = false;
	am->amcanorderbyop = true;
	am->amcanbackward = false;
	am->amcanunique = false;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amstorage = false;
	am->amclusterable = false;
	am->ampredlocks = false;
	am->amcanparallel = false;
	qh_set_can_build_parallel(am);
	am->amcaninclude = true;
	am->amusemaintenanceworkmem = false;
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;
	am->amkeytype = InvalidOid;

	am->ambuild = qh_build_and_calibrate;
	am->ambuildempty = qhnswbuildempty;
	am->aminsert = qhnswinsert;
	am->ambulkdelete = qhnswbulkdelete;
	am->amvacuumcleanup = qhnswvacuumcleanup;
	am->amcanreturn = NULL;
	am->amcostestimate = qhnswcostestimate;
	am->amoptions = qhnswoptions;
	am->amproperty = qhnswproperty;
	am->ambuildphasename = qhnswbuildphasename;
	am->amvalidate = qhnswvalidate;
	am->amadjustmembers = NULL;
	am->ambeginscan = qhnswbeginscan;
	am->amrescan = qhnswrescan;
	am->amgettuple = qhnswgettuple;
	am->amgetbitmap = NULL;
	am->amendscan = qhnswendscan;
	am->ammarkpos = NULL;
	am->amrestrpos = NULL;
	am->amestimateparallelscan = NULL;
	am->aminitparallelscan = NULL;
	am->amparallelrescan = NULL;
	PG_RETURN_POINTER(am);
}
