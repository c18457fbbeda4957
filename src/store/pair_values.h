/*
 * pair_values.h
 *		Values of nodes that this backend inserted lately, as codes for pairs.
 *
 * VALUES.md has the rules.
 */
#ifndef QH_PAIR_VALUES_H
#define QH_PAIR_VALUES_H

#include "codec/pair_codes.h"
#include "store/index_cache.h"

typedef struct QhPairValues QhPairValues;

/*
 * Those of an index, none at first, or NULL where its own codes tell the distances of pairs as well.  Valid until this is called for
 * another index, or the transaction ends.
 */
extern QhPairValues *qh_pair_values(const QhIndex *ix);

extern const QvPairCodec *qh_pair_values_codec(const QhPairValues *values);

/* Encode a value; the code is valid until the next value of this index is encoded. */
extern const uint8 *qh_pair_values_encode(QhPairValues *values, const float *value);

/* A node has the value that was encoded last.  code is what the index keeps of it. */
extern void qh_pair_values_add(QhPairValues *values, QhNode node, const uint8 *code);

/*
 * The value of a node, or NULL where it is not known.  code is what the index has for the node: if
 * that is another than it was, the value is not known any more.
 */
extern const uint8 *qh_pair_values_find(const QhPairValues *values, QhNode node, const uint8 *code);

/* The value of a node will be looked for soon. */
extern void qh_pair_values_prefetch(const QhPairValues *values, QhNode node);

#endif							/* QH_PAIR_VALUES_H */
