/*
 * recode.h
 *		Another code for the value that a node has.
 *
 * RECODING.md.
 */
#ifndef QH_RECODE_H
#define QH_RECODE_H

#include "store/relstore.h"

/*
 * Give a live node another code of the same value, in one WAL record.  False, and nothing is changed, unless the node still has this
 * row, its only one, and this code.
 */
extern bool qh_recode(QhRelStore *rs, QhNode node, const QhRowData *row, const uint8 *old_code, const QhCode *code);

#endif							/* QH_RECODE_H */
