/*
 * code_map.h
 *		Which node has a code: a table of all codes of an index, kept until the transaction ends.
 */
#ifndef QH_CODE_MAP_H
#define QH_CODE_MAP_H

#include "store/relstore.h"

typedef struct QhCodeMap QhCodeMap;

/* The map of an index in this transaction, or NULL where it has none. */
extern QhCodeMap *qh_code_map(const QhIndex *ix);

/*
 * One more row is inserted whose code the index has, most likely.  Once there were so many in
 * this transaction that their searches cost as much, the map is made, if it fits
 * maintenance_work_mem.
 */
extern void qh_code_map_expect(QhRelStore *rs);

/*
 * Nodes that may have a code, one after the other; whether one has it is for the caller to see.
 * *pos is 0 at first.
 */
extern QhNode qh_code_map_next(const QhCodeMap *map, const uint8 *code, uint32 *pos);

/* A node that was made since. */
extern void qh_code_map_add(QhCodeMap *map, QhNode node, const uint8 *code);

#endif							/* QH_CODE_MAP_H */
