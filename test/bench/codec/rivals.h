/*
 * rivals.h
 *		Other codes of the same size, to be measured beside those of src/codec.
 *
 * A rival is what its code stands for: numbers in place of the vector's.  Their
 * inner product with the query's own floats is the best that any rounding of
 * the query can come near.
 */
#ifndef QV_BENCH_RIVALS_H
#define QV_BENCH_RIVALS_H

#include <stdint.h>

typedef void (*Rival) (float *x, uint32_t n, int nbits);

/*
 * Optimised scalar quantisation as Lucene and Elasticsearch have it, of a centred
 * vector: 2^nbits levels on an interval of the vector's own, fitted to it.
 */
extern void rival_osq(float *x, uint32_t n, int nbits);

/*
 * The Lloyd-Max codebook of a Gaussian number, of a centred and rotated vector, scaled
 * so that the inner product is without bias.  1, 2 and 4 bits.
 */
extern void rival_gaussian(float *x, uint32_t n, int nbits);

#endif							/* QV_BENCH_RIVALS_H */
