/*
 * rotation.h
 *		A seeded random rotation that needs no matrix.
 *
 * Private to the room.  Knows kernels; must not know codes, metrics or
 * centroids.  See README.md, "Rotation".
 */
#ifndef QV_CODEC_ROTATION_H
#define QV_CODEC_ROTATION_H

#include <stddef.h>
#include <stdint.h>

/* Coordinates rotated, code_ndims, for values of ndims dimensions: a multiple of 64, at least 256. */
extern uint32_t qv_rotation_ndims(uint32_t ndims);

/* Floats that hold a rotation of code_ndims coordinates, and those floats for a seed. */
extern size_t qv_rotation_nfloats(uint32_t code_ndims);
extern void qv_rotation_init(float *rotation, uint32_t code_ndims, uint64_t seed);

/* Rotate x (code_ndims floats) in place; norms and inner products stay, but for float rounding. */
extern void qv_rotation_apply(const float *rotation, uint32_t code_ndims, float *x);

#endif							/* QV_CODEC_ROTATION_H */
