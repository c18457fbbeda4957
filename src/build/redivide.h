/*
 * redivide.h
 *		A part of a partfile that is too large for one task is divided again.
 */
#ifndef QH_REDIVIDE_H
#define QH_REDIVIDE_H

#include "build/build.h"
#include "build/partitioned_file.h"

/* A part of a partfile that is nothing but records of one size, each of which has a code in it.  Of nodes only that which they are linked by. */
typedef struct QhRecords
{
	QhPartFile *partfile;
	uint32		part;
	Size		nbytes;			/* of one */
	Size		code_at;
	Size		link_at;		/* of the code that nodes are linked by */
} QhRecords;

extern uint64 qh_records_count(const QhRecords *records);
/* How many distinct codes there are, estimated. */
extern double qh_records_distinct(const QhBuild *build, const QhRecords *records);

/*
 * Divide records by their codes into parts of a partfile of this process alone, which lives in cxt
 * until it is closed and deleted.
 */
extern QhPartFile *qh_redivide(const QhBuild *build, const QhRecords *records, uint32 nparts, uint64 seed,
							   MemoryContext cxt);

#endif							/* QH_REDIVIDE_H */
