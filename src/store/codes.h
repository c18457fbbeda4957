/*
 * codes.h
 *		Codes and finer codes, scored and read from the pages of an index.
 *
 * README.md, section "Reading", and UNPINNED.md.
 */
#ifndef QH_CODES_H
#define QH_CODES_H

#include "store/relstore.h"

/*
 * Pins held at once while codes are scored.  A backend counts its first eight pins in an array
 * and those beyond in a hash table, which costs more than the larger batch saves; the executor
 * holds one or two.
 */
#define QH_PIN_BATCH		6

/* Copy of a node's code, or its finer code; false where its page was never written. */
extern bool qh_read_code(QhRelStore *rs, QhNode node, uint8 *code);
extern bool qh_read_refine(QhRelStore *rs, QhNode node, uint8 *code);

/* The distance of rs->query to the code of each of n nodes; INFINITY for a node that is gone. */
extern void qh_score_codes(QhRelStore *rs, const QhNode *nodes, int n, float *dist);

/* The same of rs->refine_query and the finer codes. */
extern void qh_score_refine(QhRelStore *rs, const QhNode *nodes, int n, float *dist);

/*
 * Distances of a value, encoded for pairs, to those of n nodes whose values are known; dist stays as it is for the others.
 */
extern void qh_measure_values(QhRelStore *rs, const uint8 *value, const QhNode *nodes, int n, float *dist);

/* score(), fetch(), score_fetched() and pair() of the graph's store. */
extern void qh_store_score(QhStore *store, const QhNode *nodes, int n, float *dist);
extern void qh_store_fetch(QhStore *store, int place, const QhNode *nodes, int n);
extern void qh_store_score_fetched(QhStore *store, int place, const QhNode *nodes, int n, float *dist);
extern void qh_store_pair(QhStore *store, QhNode node, const QhNode *nodes, int n, float *dist);

#endif							/* QH_CODES_H */
