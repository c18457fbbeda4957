/*
 * rotation.c
 *		A seeded random rotation that needs no matrix: four rounds of sign flips,
 *		a fast Hadamard transform and a mixing of halves.
 *
 * Codes on disk were made with it: what a seed stands for must never change.
 * Must not know codes, metrics or centroids.  See README.md, "Rotation".
 */
#include <math.h>

#include "codec/rotation.h"
#include "kernel/kernel.h"

/*
 * Four: after the first a vector with one coordinate is flat instead of random,
 * and where code_ndims is no power of two each round reaches only a part of the
 * coordinates.  The number the RaBitQ authors' own library uses.
 */
#define NROUNDS		4

/* Fewer bits than this estimate badly, however few dimensions there are (README.md, "Rotation"). */
#define MIN_NDIMS	256

uint32_t
qv_rotation_ndims(uint32_t ndims)
{
	uint32_t	rounded = (ndims + 63) / 64 * 64;

	return rounded < MIN_NDIMS ? MIN_NDIMS : rounded;
}

/* Coordinates one Hadamard transform covers: the largest power of two that fits. */
static uint32_t
transform_size(uint32_t code_ndims)
{
	uint32_t	n = MIN_NDIMS;

	while (n <= code_ndims / 2)
		n *= 2;
	return n;
}

/* First coordinate the transform of a round covers: rounds take turns at both ends. */
static uint32_t
transform_start(uint32_t code_ndims, int round)
{
	return round % 2 == 0 ? 0 : code_ndims - transform_size(code_ndims);
}

/* splitmix64 (Steele, Lea, Flood 2014).  Part of the format: see the top of this file. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

size_t
qv_rotation_nfloats(uint32_t code_ndims)
{
	return (size_t) NROUNDS * code_ndims;
}

/*
 * A rotation is kept as the number each coordinate is multiplied with in each
 * round: the sign, times 1/sqrt(n) where the transform over n coordinates
 * follows.  Scaling before the transform instead of after it keeps every
 * partial sum below the norm, so that nothing overflows that need not.
 */
void
qv_rotation_init(float *rotation, uint32_t code_ndims, uint64_t seed)
{
	uint32_t	n = transform_size(code_ndims);
	float		scale = (float) (1.0 / sqrt((double) n));

	for (int round = 0; round < NROUNDS; round++)
	{
		uint32_t	start = transform_start(code_ndims, round);
		float	   *factor = rotation + (size_t) round * code_ndims;

		for (uint32_t i = 0; i < code_ndims; i += 64)
		{
			uint64_t	flips = next_random(&seed);

			for (uint32_t j = i; j < i + 64; j++)
			{
				float		size = j >= start && j < start + n ? scale : 1.0f;

				factor[j] = (flips >> (j - i)) & 1 ? -size : size;
			}
		}
	}
}

void
qv_rotation_apply(const float *rotation, uint32_t code_ndims, float *x)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = transform_size(code_ndims);

	/*
	 * Halves are mixed once every coordinate went through a transform: mixed
	 * before, a coordinate beyond the first transform escapes the second one with
	 * half of its energy (doc/decisions/0070 has the measurement).
	 */
	for (int round = 0; round < NROUNDS; round++)
	{
		const float *factor = rotation + (size_t) round * code_ndims;

		kernels->multiply_f32(x, factor, code_ndims);
		kernels->fht_f32(x + transform_start(code_ndims, round), n);
		if (round >= 1 && n != code_ndims)
			kernels->turn_f32(x, x + code_ndims / 2, code_ndims / 2);
	}
}
