/*
 * known.h
 *		Distances of values out of line that were computed while a scan runs, so that a value is read once.
 *
 * A plan that selects or filters by a distance computes it for rows whose distance the index scan
 * has computed already.  README.md, section "Distances known".
 */
#ifndef QV_KNOWN_H
#define QV_KNOWN_H

#include "compat.h"

#include "fmgr.h"
#include "utils/palloc.h"

/*
 * From now on, and until the context is reset, remember what this function makes of the query, a
 * detoasted value, and values out of line.
 */
extern void qv_known_begin(Oid function, Datum query, MemoryContext cxt);

/* Is the distance that a function of two vectors is called for known? */
extern bool qv_known_get(FunctionCallInfo fcinfo, double *dist);
/* Remember it, if anybody asked for that. */
extern void qv_known_put(FunctionCallInfo fcinfo, double dist);

#endif							/* QV_KNOWN_H */
