/*
 * inspect.h
 *		Looking into an index from SQL: what the files of this room share.
 */
#ifndef QH_INSPECT_H
#define QH_INSPECT_H

#include "am/am.h"

/*
 * Open a qhnsw index for a function of this room: an error unless it is one and the caller
 * owns it.  Its table is opened first.  Both under AccessShareLock, and closed with it.
 */
extern Relation qh_inspect_open(Oid relid, Relation *heap);

#endif							/* QH_INSPECT_H */
