/*
 * finer.c
 *		Kind RABITQ at 2, 4, 8, 16 and 32 bits a dimension: a grid point, halves
 *		or floats beside the sign plane, or in its place where they only refine.
 *
 * Source: extended RaBitQ (arXiv 2409.09913).  Formulas, the slot's layout and
 * where we differ from the paper: README.md, "Slots", "Estimates" and "More
 * bits".  Must not know pages, graphs or where a vector comes from.
 */
#include <math.h>
#include <string.h>

#include "codec/rabitq.h"
#include "kernel/kernel.h"

#define QUERY_MAX_LEVEL		255		/* against bit planes: eight planes */
#define FLOAT_ROUNDING		0x1p-22	/* of every term of an estimate: measured, 68 % of floats and more lie within */

/* The numbers of a slot that belong to its finer code; members and order are the format. */
typedef struct QvFinerFactors
{
	float		scale;			/* <r,q'> is scale * <y,q'> */
	float		error;			/* |r| sqrt((1/x0^2 - 1) / (D - 1)) with x0 the cosine of y and r */
	int32_t		excess;			/* twice the sum of y; only where planes hold the code */
} QvFinerFactors;

_Static_assert(sizeof(QvFinerFactors) == 12, "QvFinerFactors is an on-disk layout");

/* Byte offsets in a slot (README.md, "Slots"). */
typedef struct SlotMap
{
	uint32_t	norm;
	uint32_t	xc;				/* only under inner product */
	uint32_t	factors;
	uint32_t	nfactor_nbytes; /* of QvFinerFactors so many are there */
	uint32_t	top_plane;		/* the sign plane, where planes hold the code */
	uint32_t	code;			/* the lower planes, or the numbers */
	uint32_t	nbytes;
} SlotMap;

typedef struct QvFinerQuery
{
	QvQuery		head;
	SlotMap		map;
	uint32_t	code_ndims;
	int32_t		level_sum;		/* planes: sum of the levels */
	/*
	 * <y,q'> = step * (2S - (2^nbits - 1) level_sum) + low * excess against
	 * planes, step * dot + low against signed bytes, dot against floats
	 */
	float		step;
	float		low;
	QvWeights	weights;
	/* sigma^2 = error_code * error^2 + error_round * (norm^2 + (D - 1) error^2) + (rounding of floats)^2 */
	float		error_code;
	float		error_round;
	float		norm;			/* |q'| */
	_Alignas(64) uint8_t bytes[];	/* planes, two runs of signed bytes, or floats */
} QvFinerQuery;

/* ---- the codec object ---- */

typedef struct WidthLimit
{
	uint32_t	nbits;
	uint32_t	max_ndims[2];	/* by purpose: the slot of an inner product fits QV_SLOT_MAX_NBYTES */
	const char *fault[2];
} WidthLimit;

static const WidthLimit limits[] = {
	{2, {QV_RABITQ_MAX_NDIMS, QV_RABITQ_MAX_NDIMS}, {NULL, NULL}},
	{4, {QV_RABITQ_MAX_NDIMS, QV_RABITQ_MAX_NDIMS}, {NULL, NULL}},
	{8, {7232, 8128}, {"codes of 8 bits a dimension hold at most 7232 dimensions",
	"refining codes of 8 bits a dimension hold at most 8128 dimensions"}},
	{16, {3776, 4032}, {"codes of 16 bits a dimension hold at most 3776 dimensions",
	"refining codes of 16 bits a dimension hold at most 4032 dimensions"}},
	{32, {1920, 1984}, {"codes of 32 bits a dimension hold at most 1920 dimensions",
	"refining codes of 32 bits a dimension hold at most 1984 dimensions"}},
};

static const char *
finer_params_fault(const QvCodecParams *params)
{
	const char *fault = qv_rabitq_params_fault(params);

	if (fault != NULL)
		return fault;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		if (limits[i].nbits == params->nbits)
			return params->ndims > limits[i].max_ndims[params->purpose] ? limits[i].fault[params->purpose] : NULL;
	}
	return "number of bits a dimension is none of 1, 2, 4, 8, 16 and 32";
}

static inline bool
has_planes(uint32_t nbits)
{
	return nbits <= 4;
}

static SlotMap
slot_map(QvCodecPurpose purpose, QvMetric metric, uint32_t nbits, uint32_t code_ndims)
{
	SlotMap		map = {0};
	uint32_t	plane_nbytes = code_ndims / 8;
	uint32_t	xc_nbytes = metric == QV_METRIC_IP ? sizeof(float) : 0;

	map.nfactor_nbytes = has_planes(nbits) ? 12 : nbits <= 16 ? 8 : 0;
	if (purpose == QV_PURPOSE_TRAVERSE)
	{
		map.norm = plane_nbytes + offsetof(QvFactors, norm);
		map.xc = plane_nbytes + sizeof(QvFactors);
	}
	else
		map.xc = sizeof(float);
	map.factors = map.xc + xc_nbytes;
	map.code = map.factors + map.nfactor_nbytes;
	map.nbytes = map.code + plane_nbytes * nbits;
	if (has_planes(nbits) && purpose == QV_PURPOSE_TRAVERSE)
		map.nbytes -= plane_nbytes; /* the sign plane is at the front */
	else if (has_planes(nbits))
	{
		map.top_plane = map.code;
		map.code += plane_nbytes;
	}
	return map;
}

static SlotMap
slot_map_of(const QvRabitq *codec)
{
	return slot_map(codec->purpose, codec->head.metric, codec->head.nbits, codec->code_ndims);
}

static size_t
finer_slot_nbytes(const QvCodecParams *params)
{
	return slot_map(params->purpose, params->metric, params->nbits, qv_rotation_ndims(params->ndims)).nbytes;
}

/* The rotated vector, its normalised magnitudes, and the code made of it; of a query less. */
static size_t
finer_scratch_nbytes(const QvCodec *head)
{
	const QvRabitq *codec = (const QvRabitq *) head;

	return sizeof(QvResidual) + codec->code_ndims * (3 * sizeof(float));
}

/* ---- from values to codes ---- */

/*
 * |r_i| in units of |r| / sqrt(D), so that they are those of a Gaussian vector
 * whatever the length; returns the inverse of the unit.  What is no number
 * below sqrt(D) comes of norms beyond float and counts as zero.
 */
static double
normalise(const float *r, uint32_t n, float *a)
{
	double		norm = sqrt(qv_kernels()->dot_f32(r, r, n));
	double		per_unit = norm > 0.0 && norm < INFINITY ? sqrt((double) n) / norm : 0.0;
	float		max = sqrtf((float) n) * 1.0001f;

	for (uint32_t i = 0; i < n; i++)
	{
		float		x = (float) (fabsf(r[i]) * per_unit);

		a[i] = x <= max ? x : 0.0f;
	}
	return per_unit;
}

/* Squared distance of a to the nearest points of the grid; lanes spelled out, as in rabitq.c. */
static float
grid_error(const float *a, uint32_t n, float step, int32_t max_magnitude)
{
	float		lane[16] = {0};
	float		per_step = 1.0f / step;

	for (uint32_t i = 0; i < n; i += 16)
	{
		for (int j = 0; j < 16; j++)
		{
			int32_t		m = (int32_t) (a[i + j] * per_step);
			float		d;

			m = m < max_magnitude ? m : max_magnitude;
			d = a[i + j] - ((float) m + 0.5f) * step;
			lane[j] += d * d;
		}
	}
	for (int j = 1; j < 16; j++)
		lane[0] += lane[j];
	return lane[0];
}

/* <y,a> and |y|^2 of the grid point for a step, in units of half a step. */
typedef struct GridSums
{
	double		dot;
	double		square;
} GridSums;

static GridSums
grid_sums(const float *a, uint32_t n, float step, int32_t max_magnitude)
{
	GridSums	sums = {0.0, 0.0};
	double		dot[8] = {0};
	uint32_t	square[8] = {0};
	float		per_step = 1.0f / step;

	for (uint32_t i = 0; i < n; i += 8)
	{
		for (int j = 0; j < 8; j++)
		{
			int32_t		m = (int32_t) (a[i + j] * per_step);

			m = 2 * (m < max_magnitude ? m : max_magnitude) + 1;
			dot[j] += (double) a[i + j] * m;
			square[j] += (uint32_t) (m * m);
		}
	}
	for (int j = 0; j < 8; j++)
	{
		sums.dot += dot[j];
		sums.square += square[j];
	}
	return sums;
}

/*
 * The steps tried, in units of the best one for a Gaussian number (Max 1960), or of
 * the one that just reaches the largest magnitude at 8 bits, where clipping does not
 * pay.  More steps gain nothing (README.md, "More bits").
 */
static const float steps2[] = {0.8f, 0.9f, 1.0f, 1.1f, 1.2f};
static const float steps4[] = {0.85f, 0.9f, 0.95f, 1.0f, 1.05f, 1.1f, 1.2f};
static const float steps8[] = {1.0f, 0.985f, 0.96f};

#define GAUSSIAN_STEP2	0.9957f
#define GAUSSIAN_STEP4	0.3352f

static float
largest_of(const float *a, uint32_t n)
{
	float		smallest;
	float		largest;

	qv_kernels()->range_f32(a, n, &smallest, &largest);
	return largest;
}

/* The best of some steps; *error is its. */
static float
best_of_steps(const float *a, uint32_t n, int32_t max_magnitude, const float *steps, int nsteps, float unit, float *error)
{
	float		best_step = unit;

	*error = INFINITY;
	for (int i = 0; i < nsteps; i++)
	{
		float		this_error = grid_error(a, n, unit * steps[i], max_magnitude);

		if (this_error < *error)
		{
			*error = this_error;
			best_step = unit * steps[i];
		}
	}
	return best_step;
}

/*
 * The step whose grid point makes the smallest angle with a: the smallest
 * distance |a - step * y| over step and y is |a| times the sine of that angle.  Below
 * 8 bits the best multiple of the y found is tried as a step, too.
 */
static float
choose_step(const float *a, uint32_t n, uint32_t nbits)
{
	int32_t		max_magnitude = (1 << (nbits - 1)) - 1;
	float		error;
	float		step;
	float		multiple;
	GridSums	sums;

	if (nbits == 8)
	{
		float		unit = largest_of(a, n) / (float) (max_magnitude + 1);

		return unit > 0 ? best_of_steps(a, n, max_magnitude, steps8, 3, unit, &error) : 1.0f;
	}
	if (nbits == 2)
		step = best_of_steps(a, n, max_magnitude, steps2, 5, GAUSSIAN_STEP2, &error);
	else
		step = best_of_steps(a, n, max_magnitude, steps4, 7, GAUSSIAN_STEP4, &error);
	sums = grid_sums(a, n, step, max_magnitude);
	multiple = (float) (2.0 * sums.dot / sums.square);
	/* far below the steps tried only for a vector of zeros */
	if (multiple > 0.1f * step && grid_error(a, n, multiple, max_magnitude) < error)
		return multiple;
	return step;
}

/* Level u of each coordinate, 0 to 2^nbits - 1 from most negative to most positive; returns the sum of 2u - (2^nbits - 1). */
static int32_t
grid_levels(const float *r, const float *a, uint32_t n, float step, uint32_t nbits, uint8_t *level)
{
	int32_t		half = 1 << (nbits - 1);
	float		per_step = 1.0f / step;
	int32_t		sum = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		int32_t		m = (int32_t) (a[i] * per_step);

		m = m < half - 1 ? m : half - 1;
		m = r[i] > 0 ? half + m : half - 1 - m;
		level[i] = (uint8_t) m;
		sum += 2 * m - (2 * half - 1);
	}
	return sum;
}

/* The half nearest to a float below 65520, ties to even, as a float. */
static float
round_to_half(float x)
{
	uint32_t	bits;

	if (fabsf(x) < 0x1p-14f)
		return x < 0 ? -((0.5f - x) - 0.5f) : (0.5f + x) - 0.5f;	/* steps of 2^-24, those of floats from 0.5 on */
	memcpy(&bits, &x, sizeof(bits));
	bits = (bits + 0xFFF + (bits >> 13 & 1)) & ~UINT32_C(0x1FFF);
	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* The bits of a half that is given as a float. */
static uint16_t
half_bits(float y)
{
	uint32_t	bits;

	memcpy(&bits, &y, sizeof(bits));
	if (fabsf(y) < 0x1p-14f)
		return (uint16_t) ((bits >> 16 & 0x8000) | (uint32_t) (fabsf(y) * 0x1p24f));
	return (uint16_t) ((bits >> 16 & 0x8000) | ((bits & 0x7FFFFFFF) - (UINT32_C(112) << 23)) >> 13);
}

static inline float
float_of(double x)
{
	return x < FLT_MAX ? (float) x : FLT_MAX;
}

/* <y,a>, |y|^2 and |a|^2 to the factors; unit is |r| / sqrt(D), that of a. */
static void
set_factors(QvFinerFactors *factors, double dot, double square, double a_square, double unit, uint32_t n)
{
	double		variance;

	if (!(dot > 0.0))
		return;					/* at the centroid: factors of zero */
	factors->scale = float_of(unit * a_square / dot);
	variance = square * a_square / (dot * dot) - 1.0;
	factors->error = float_of(unit * sqrt(a_square) * sqrt((variance > 0.0 ? variance : 0.0) / (n - 1)));
}

/* Planes or signed bytes: levels in scratch, then to their place. */
static void
encode_grid(const QvRabitq *codec, const SlotMap *map, const float *r, float *a, uint8_t *level, uint8_t *slot)
{
	uint32_t	n = codec->code_ndims;
	uint32_t	nbits = codec->head.nbits;
	const QvKernels *kernels = qv_kernels();
	double		per_unit = normalise(r, n, a);
	float		step = choose_step(a, n, nbits);
	GridSums	sums = grid_sums(a, n, step, (1 << (nbits - 1)) - 1);
	QvFinerFactors factors = {0};

	factors.excess = grid_levels(r, a, n, step, nbits, level);
	if (per_unit > 0.0)
		set_factors(&factors, 0.5 * sums.dot, 0.25 * sums.square, kernels->dot_f32(a, a, n), 1.0 / per_unit, n);
	memcpy(slot + map->factors, &factors, map->nfactor_nbytes);
	if (!has_planes(nbits))
	{
		for (uint32_t i = 0; i < n; i++)
			slot[map->code + i] = level[i] ^ 0x80;
		return;
	}
	if (codec->purpose == QV_PURPOSE_REFINE)
		kernels->bits_u8(level, n, (int) nbits - 1, slot + map->top_plane);
	for (uint32_t j = 0; j < nbits - 1; j++)
		kernels->bits_u8(level, n, (int) (nbits - 2 - j), slot + map->code + (size_t) j * (n / 8));
}

static void
encode_halves(const QvRabitq *codec, const SlotMap *map, const float *r, float *a, float *y, uint8_t *slot)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = codec->code_ndims;
	double		per_unit = normalise(r, n, a);
	QvFinerFactors factors = {0};

	for (uint32_t i = 0; i < n; i++)
	{
		uint16_t	half;

		y[i] = round_to_half(a[i]);
		half = half_bits(r[i] > 0 ? y[i] : -y[i]);
		memcpy(slot + map->code + 2 * (size_t) i, &half, sizeof(half));
	}
	if (per_unit > 0.0)
		set_factors(&factors, kernels->dot_f32(y, a, n), kernels->dot_f32(y, y, n), kernels->dot_f32(a, a, n), 1.0 / per_unit, n);
	memcpy(slot + map->factors, &factors, map->nfactor_nbytes);
}

/* Components near 1e38 may have left the range of float in the rotation; a slot holds finite numbers. */
static void
encode_floats(const QvRabitq *codec, const SlotMap *map, const float *r, uint8_t *slot)
{
	for (uint32_t i = 0; i < codec->code_ndims; i++)
	{
		float		x = isnan(r[i]) ? 0.0f : qv_clamp_finite(r[i]);

		memcpy(slot + map->code + 4 * (size_t) i, &x, sizeof(x));
	}
}

/* What stands in place of the sign plane and its factors where a slot is never paired. */
static void
encode_head(const QvRabitq *codec, const SlotMap *map, const float *value, const float *r, uint8_t *slot)
{
	double		norm = sqrt(qv_kernels()->dot_f32(r, r, codec->code_ndims));
	float		stored = float_of(norm);

	memcpy(slot + map->norm, &stored, sizeof(stored));
	if (codec->head.metric == QV_METRIC_IP)
	{
		float		xc = (float) qv_kernels()->dot_f32(value, qv_centroid_of(codec), codec->head.ndims);

		memcpy(slot + map->xc, &xc, sizeof(xc));
	}
}

static void
finer_encode(const QvCodec *head, const void *value, uint8_t *slot, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	SlotMap		map = slot_map_of(codec);
	float	   *r = scratch;
	float	   *a = r + codec->code_ndims;
	float	   *y = a + codec->code_ndims;

	qv_rabitq_rotate(codec, value, r);
	if (codec->purpose == QV_PURPOSE_TRAVERSE)
		qv_rabitq_encode_signs(codec, value, r, slot);
	else
		encode_head(codec, &map, value, r, slot);
	if (head->nbits <= 8)
		encode_grid(codec, &map, r, a, (uint8_t *) y, slot);
	else if (head->nbits == 16)
		encode_halves(codec, &map, r, a, y, slot);
	else
		encode_floats(codec, &map, r, slot);
}

/* Twice the sum of the grid point, from the planes. */
static int32_t
count_excess(const SlotMap *map, uint32_t nbits, uint32_t plane_nbytes, const uint8_t *slot)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	sum = kernels->popcount(slot + map->top_plane, plane_nbytes);

	for (uint32_t j = 0; j < nbits - 1; j++)
		sum = 2 * sum + kernels->popcount(slot + map->code + (size_t) j * plane_nbytes, plane_nbytes);
	return 2 * (int32_t) sum - ((1 << nbits) - 1) * (int32_t) (8 * plane_nbytes);
}

/* The numbers of a code that is not in planes: finite, with the signs the sign plane has. */
static const char *
numbers_fault(const QvRabitq *codec, const SlotMap *map, const uint8_t *slot)
{
	bool		paired = codec->purpose == QV_PURPOSE_TRAVERSE;

	for (uint32_t i = 0; i < codec->code_ndims; i++)
	{
		const uint8_t *code = slot + map->code + (size_t) i * (codec->head.nbits / 8);
		bool		bit = slot[i / 8] >> (7 - i % 8) & 1;
		float		x;
		uint16_t	half;

		switch (codec->head.nbits)
		{
			case 8:
				if (paired && bit != (code[0] < 0x80))
					return "sign of a coordinate does not match the sign plane";
				break;
			case 16:
				memcpy(&half, code, sizeof(half));
				if ((half & 0x7C00) == 0x7C00)
					return "coordinate is not finite";
				if (paired && (half & 0x7FFF) != 0 && bit != (half < 0x8000))
					return "sign of a coordinate does not match the sign plane";
				break;
			default:
				memcpy(&x, code, sizeof(x));
				if (!isfinite(x))
					return "coordinate is not finite";
				if (paired && bit != (x > 0))
					return "sign of a coordinate does not match the sign plane";
				break;
		}
	}
	return NULL;
}

static const char *
finer_slot_fault(const QvCodec *head, const uint8_t *slot)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	SlotMap		map = slot_map_of(codec);
	QvFinerFactors factors = {0};
	const char *fault = NULL;
	float		norm;
	float		xc = 0.0f;

	if (codec->purpose == QV_PURPOSE_TRAVERSE)
		fault = qv_rabitq_slot_fault(head, slot);
	if (fault != NULL)
		return fault;
	memcpy(&norm, slot + map.norm, sizeof(norm));
	if (head->metric == QV_METRIC_IP)
		memcpy(&xc, slot + map.xc, sizeof(xc));
	memcpy(&factors, slot + map.factors, map.nfactor_nbytes);
	if (!qv_is_finite_at_least_zero(norm) || isnan(xc) ||
		!qv_is_finite_at_least_zero(factors.scale) || !qv_is_finite_at_least_zero(factors.error))
		return "factor is not a number a vector can have";
	if (!has_planes(head->nbits))
		return numbers_fault(codec, &map, slot);
	if (factors.excess != count_excess(&map, head->nbits, head->nbytes, slot))
		return "sum of the coordinates does not match the planes";
	return NULL;
}

static void
finer_pair(const QvCodec *head, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	if (((const QvRabitq *) head)->purpose == QV_PURPOSE_TRAVERSE)
	{
		qv_rabitq_pair(head, slot, run, n, dist);
		return;
	}
	for (int i = 0; i < n; i++)
		dist[i] = FLT_MAX;
}

static void
finer_pair_block(const QvCodec *head, const QvSlotBlock *block, float *dist, size_t dist_stride)
{
	if (((const QvRabitq *) head)->purpose == QV_PURPOSE_TRAVERSE)
	{
		qv_rabitq_pair_block(head, block, dist, dist_stride);
		return;
	}
	for (int i = 0; i < block->nrows; i++)
	{
		for (int j = 0; j < block->n; j++)
			dist[dist_stride * (size_t) i + (size_t) j] = FLT_MAX;
	}
}

/* ---- from values to queries ---- */

static size_t
finer_query_nbytes(const QvCodec *head)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	size_t		n = codec->code_ndims;

	return sizeof(QvFinerQuery) + (has_planes(head->nbits) ? n : head->nbits == 8 ? 2 * n : n * sizeof(float));
}

/* 1 / step, or 0 where all numbers are equal or beyond float, and so the grid is one point. */
static inline float
per_usable_step(float step)
{
	return step >= FLT_MIN && step <= FLT_MAX ? 1.0f / step : 0.0f;
}

/* Eight planes on a grid over the range of q'; returns the step, 0 where all levels are. */
static float
prepare_planes(QvFinerQuery *query, const QvResidual *residual, uint8_t *level)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = query->code_ndims;
	float		step = (residual->high - residual->low) / QUERY_MAX_LEVEL;
	float		per_step = per_usable_step(step);

	if (per_step > 0.0f)
		query->level_sum = kernels->levels_f32(residual->rotated, n, residual->low, per_step, QUERY_MAX_LEVEL, level);
	else
	{
		memset(level, 0, n);
		step = 0.0f;
	}
	for (int j = 0; j < 8; j++)
		kernels->bits_u8(level, n, j, query->bytes + (size_t) j * (n / 8));
	query->step = 0.5f * step;
	query->low = 0.5f * residual->low;
	return step;
}

/* Words, as two runs of signed bytes; returns the step. */
static float
prepare_words(QvFinerQuery *query, const QvResidual *residual)
{
	uint32_t	n = query->code_ndims;
	int8_t	   *high_bytes = (int8_t *) query->bytes;
	float		max = residual->high > -residual->low ? residual->high : -residual->low;
	float		step = max / QV_MAX_WORD;
	float		per_step = per_usable_step(step);
	int32_t		sum = qv_kernels()->words_f32(residual->rotated, n, per_step, high_bytes, high_bytes + n);

	query->step = per_step > 0.0f ? step : 0.0f;
	query->low = 0.5f * query->step * (float) sum;	/* y is the signed byte and a half */
	return query->step;
}

static void
finer_query_init(QvQuery *head, const QvCodec *codec_head, const void *value, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) codec_head;
	QvFinerQuery *query = (QvFinerQuery *) head;
	const QvResidual *residual = scratch;
	uint32_t	n = codec->code_ndims;
	float		step = 0.0f;
	double		weight;

	query->map = slot_map_of(codec);
	query->code_ndims = n;
	query->level_sum = 0;
	query->step = 1.0f;
	query->low = 0.0f;
	if (has_planes(head->nbits))
		step = prepare_planes(query, residual, (uint8_t *) scratch + sizeof(QvResidual) + n * sizeof(float));
	else if (head->nbits == 8)
		step = prepare_words(query, residual);
	else
		memcpy(query->bytes, residual->rotated, n * sizeof(float));

	query->weights = qv_rabitq_weights(codec, value, residual->sq);
	weight = (double) query->weights.ip_weight * query->weights.ip_weight;
	query->error_code = (float) (weight * residual->sq);
	query->error_round = (float) (weight * step * step / 12.0);
	query->norm = (float) sqrt(residual->sq);
}

/* ---- distances ---- */

/* The parts of a batch of slots at an offset; moved has room for their pointers. */
static QvSlots
parts_at(QvSlots run, int n, size_t offset, const uint8_t **moved)
{
	if (run.slots == NULL)
		return (QvSlots) {NULL, run.base + offset, run.stride};
	for (int i = 0; i < n; i++)
		moved[i] = run.slots[i] + offset;
	return (QvSlots) {moved, NULL, 0};
}

static void
score_planes(const uint8_t *planes, QvSlots run, int n, size_t nbytes, uint32_t *sum)
{
	if (run.slots != NULL)
		qv_kernels()->planes4_many(planes, run.slots, n, nbytes, sum);
	else
		qv_kernels()->planes4_strided(planes, run.base, run.stride, n, nbytes, sum);
}

/* <y,q'> from the planes of code and query; every sum is below 15 * 255 * D < 2^31. */
static void
dot_planes(const QvFinerQuery *query, QvSlots run, int n, float *dot)
{
	size_t		nbytes = query->head.nbytes;
	int32_t		nlevels = (1 << query->head.nbits) - 1;
	const uint8_t *moved[QV_BATCH];
	uint32_t	low[QV_BATCH];
	uint32_t	high[QV_BATCH];
	uint32_t	sum[QV_BATCH] = {0};

	for (uint32_t j = 0; j < query->head.nbits; j++)
	{
		size_t		offset = j == 0 ? query->map.top_plane : query->map.code + (j - 1) * nbytes;
		QvSlots		plane = parts_at(run, n, offset, moved);

		score_planes(query->bytes, plane, n, nbytes, low);
		score_planes(query->bytes + 4 * nbytes, plane, n, nbytes, high);
		for (int i = 0; i < n; i++)
			sum[i] = 2 * sum[i] + low[i] + 16 * high[i];
	}
	for (int i = 0; i < n; i++)
	{
		int32_t		excess;

		memcpy(&excess, qv_slot_at(run, i) + query->map.factors + offsetof(QvFinerFactors, excess), sizeof(excess));
		dot[i] = query->step * (float) (2 * (int32_t) sum[i] - nlevels * query->level_sum) + query->low * (float) excess;
	}
}

static void
score_bytes(const int8_t *bytes, QvSlots run, int n, size_t ndims, int32_t *dot)
{
	if (run.slots != NULL)
		qv_kernels()->dot_i8_many(bytes, run.slots, n, ndims, dot);
	else
		qv_kernels()->dot_i8_strided(bytes, run.base, run.stride, n, ndims, dot);
}

static void
dot_bytes(const QvFinerQuery *query, QvSlots run, int n, float *dot)
{
	const int8_t *bytes = (const int8_t *) query->bytes;
	const uint8_t *moved[QV_BATCH];
	QvSlots		code = parts_at(run, n, query->map.code, moved);
	int32_t		high[QV_BATCH];
	int32_t		low[QV_BATCH];

	score_bytes(bytes, code, n, query->code_ndims, high);
	score_bytes(bytes + query->code_ndims, code, n, query->code_ndims, low);
	for (int i = 0; i < n; i++)
		dot[i] = (float) (query->step * (128.0 * high[i] + low[i])) + query->low;
}

static void
dot_numbers(const QvFinerQuery *query, QvSlots run, int n, float *dot)
{
	const QvKernels *kernels = qv_kernels();
	const float *rotated = (const float *) (const void *) query->bytes;

	for (int i = 0; i < n; i++)
	{
		const void *code = qv_slot_at(run, i) + query->map.code;

		dot[i] = query->head.nbits == 16 ? kernels->fast_dot_f16(rotated, code, query->code_ndims) :
			kernels->fast_dot_f32(rotated, code, query->code_ndims);
	}
}

static void
finer_score(const QvQuery *head, QvSlots run, int n, float *dist)
{
	const QvFinerQuery *query = (const QvFinerQuery *) head;
	const SlotMap *map = &query->map;
	float		dot[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (has_planes(head->nbits))
		dot_planes(query, run, n, dot);
	else if (head->nbits == 8)
		dot_bytes(query, run, n, dot);
	else
		dot_numbers(query, run, n, dot);

	for (int i = 0; i < n; i++)
	{
		const uint8_t *slot = qv_slot_at(run, i);
		float		norm;
		float		scale = 1.0f;
		float		xc = 0.0f;

		memcpy(&norm, slot + map->norm, sizeof(norm));
		if (map->nfactor_nbytes != 0)
			memcpy(&scale, slot + map->factors, sizeof(scale));
		if (head->metric == QV_METRIC_IP)
			memcpy(&xc, slot + map->xc, sizeof(xc));
		dist[i] = qv_distance_of(&query->weights, norm, scale * dot[i] + xc);
	}
}

static float
finer_error(const QvQuery *head, const uint8_t *slot)
{
	const QvFinerQuery *query = (const QvFinerQuery *) head;
	const SlotMap *map = &query->map;
	const QvWeights *weights = &query->weights;
	QvFinerFactors factors = {0};
	float		norm;
	float		xc = 0.0f;
	double		error_sq;
	double		norm_sq;
	double		rounding;
	double		variance;

	memcpy(&factors, slot + map->factors, map->nfactor_nbytes);
	memcpy(&norm, slot + map->norm, sizeof(norm));
	if (head->metric == QV_METRIC_IP)
		memcpy(&xc, slot + map->xc, sizeof(xc));
	error_sq = (double) factors.error * factors.error;
	norm_sq = (double) norm * norm;
	rounding = FLOAT_ROUNDING * (weights->norm_weight * norm_sq + fabs((double) weights->constant) +
								 fabs((double) weights->ip_weight) * (fabs((double) norm) * query->norm + fabs((double) xc)));
	variance = query->error_code * error_sq + query->error_round * (norm_sq + (query->code_ndims - 1) * error_sq) + rounding * rounding;
	return qv_clamp_finite((float) sqrt(variance));
}

const QvCodeOps qv_finer_ops = {
	.params_fault = finer_params_fault,
	.codec_nbytes = qv_rabitq_codec_nbytes,
	.code_nbits = qv_rabitq_code_nbits,
	.slot_nbytes = finer_slot_nbytes,
	.init = qv_rabitq_init,
	.scratch_nbytes = finer_scratch_nbytes,
	.encode = finer_encode,
	.slot_fault = finer_slot_fault,
	.pair = finer_pair,
	.pair_block = finer_pair_block,
	.norm2 = qv_rabitq_norm2,
	.residual = qv_rabitq_residual,
	.same_residual = qv_rabitq_same_residual,
	.query_nbytes = finer_query_nbytes,
	.query_init = finer_query_init,
	.score = finer_score,
	.sweep = qv_sweep_by_score,
	.error = finer_error,
};
