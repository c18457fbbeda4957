/*
 * requantize.h
 *		Codes and links of an index made anew, row by row, while others read and write it.
 *
 * README.md, section "Requantization".
 */
#ifndef QH_REQUANTIZE_H
#define QH_REQUANTIZE_H

#include "am/am.h"
#include "utils/snapshot.h"

/* What was done. */
typedef struct QhRequantized
{
	uint64		nrows;			/* values that were read */
	uint64		nrecoded;		/* nodes that got another code, and were linked anew */
	uint32		ncentres;		/* added */
	double		spread_before;	/* root mean square of the distances of rows from their centres */
	double		spread_after;
} QhRequantized;

/*
 * Learn centres from the table's rows as the snapshot sees them, measure from these the rows that lie nearer to them, and link those rows anew.
 * The caller holds a lock on table and index that keeps VACUUM and others like himself away.
 */
extern void qh_requantize(Relation heap, Relation index, Snapshot snapshot, QhRequantized *done);

/* VACUUM says by a notice if inserted rows lie much farther from their centres than those the index was made from. */
extern void qh_advise_requantize(const IndexVacuumInfo *info);

#endif							/* QH_REQUANTIZE_H */
