/*
 * finer_fault.c
 *		Can a slot be one of a vector?  Codes of 2, 4, 8 and 16 bits a dimension.
 *
 * A page may hold anything.  README.md, "Slots".
 */
#include <math.h>
#include <string.h>

#include "codec/finer.h"
#include "kernel/kernel.h"

/* Twice the sum of the grid point, from the planes. */
static int32_t
count_excess(const QvFinerMap *map, uint32_t nbits, uint32_t plane_nbytes, const uint8_t *slot)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	sum = kernels->popcount(slot + map->top_plane, plane_nbytes);

	for (uint32_t j = 0; j < nbits - 1; j++)
		sum = 2 * sum + kernels->popcount(slot + map->code + (size_t) j * plane_nbytes, plane_nbytes);
	return 2 * (int32_t) sum - ((1 << nbits) - 1) * (int32_t) (8 * plane_nbytes);
}

/* The numbers of a code that is not in planes: finite, with the signs the sign plane has. */
static const char *
numbers_fault(const QvRabitq *codec, const QvFinerMap *map, const uint8_t *slot)
{
	bool		paired = codec->purpose == QV_PURPOSE_TRAVERSE;

	for (uint32_t i = 0; i < codec->code_ndims; i++)
	{
		const uint8_t *code = slot + map->code + (size_t) i * (codec->head.nbits / 8);
		bool		bit = slot[i / 8] >> (7 - i % 8) & 1;
		uint16_t	half;

		if (codec->head.nbits == 8)
		{
			if (paired && bit != (code[0] < 0x80))
				return "sign of a coordinate does not match the sign plane";
			continue;
		}
		memcpy(&half, code, sizeof(half));
		if ((half & 0x7C00) == 0x7C00)
			return "coordinate is not finite";
		if (paired && (half & 0x7FFF) != 0 && bit != (half < 0x8000))
			return "sign of a coordinate does not match the sign plane";
	}
	return NULL;
}

const char *
qv_finer_slot_fault(const QvCodec *head, const uint8_t *slot)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	QvFinerMap	map = qv_finer_map_of(codec);
	QvFinerFactors factors = {0};
	const char *fault = NULL;
	float		norm;

	if (codec->purpose == QV_PURPOSE_TRAVERSE)
		fault = qv_rabitq_slot_fault(head, slot);
	if (fault != NULL)
		return fault;
	memcpy(&norm, slot + map.norm, sizeof(norm));
	memcpy(&factors, slot + map.factors, map.nfactor_nbytes);
	if (!qv_rabitq_anchor_is_sound(slot + map.anchor) || isnan(qv_finer_anchor(&map, slot).offset))
		return "centre is not one a vector can have";
	if (!qv_is_finite_at_least_zero(norm) ||
		!qv_is_finite_at_least_zero(factors.scale) || !qv_is_finite_at_least_zero(factors.error))
		return "factor is not a number a vector can have";
	if (!qv_finer_has_planes(head->nbits))
		return numbers_fault(codec, &map, slot);
	if (factors.excess != count_excess(&map, head->nbits, head->nbytes, slot))
		return "sum of the coordinates does not match the planes";
	return NULL;
}
