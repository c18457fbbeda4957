/*
 * finer_encode.c
 *		From values to codes of 2, 4, 8 and 16 bits a dimension.
 *
 * Source: extended RaBitQ (arXiv 2409.09913).  Formulas and where we differ from the paper:
 * ESTIMATES.md, "More bits".  Must not know how a code is scored.
 */
#include <math.h>
#include <string.h>

#include "codec/finer.h"
#include "kernel/kernel.h"

/* The vector to encode. */
typedef struct Residual
{
	const float *r;				/* P(x - c), D floats */
	uint32_t	centre;			/* the number of c */
	const float *g;				/* P(c - c0); NULL of centre 0 */
} Residual;

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
 * pay.  More steps gain nothing (doc/decisions/0071).
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

/* Steps to try, in multiples of a unit. */
typedef struct Steps
{
	const float *steps;
	int			n;
	float		unit;
} Steps;

/* The best of some steps; *error is its. */
static float
best_of_steps(const float *a, uint32_t n, int32_t max_magnitude, const Steps *tried, float *error)
{
	float		best_step = tried->unit;

	*error = INFINITY;
	for (int i = 0; i < tried->n; i++)
	{
		float		this_error = grid_error(a, n, tried->unit * tried->steps[i], max_magnitude);

		if (this_error < *error)
		{
			*error = this_error;
			best_step = tried->unit * tried->steps[i];
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

		return unit > 0 ? best_of_steps(a, n, max_magnitude, &(Steps) {steps8, 3, unit}, &error) : 1.0f;
	}
	if (nbits == 2)
		step = best_of_steps(a, n, max_magnitude, &(Steps) {steps2, 5, GAUSSIAN_STEP2}, &error);
	else
		step = best_of_steps(a, n, max_magnitude, &(Steps) {steps4, 7, GAUSSIAN_STEP4}, &error);
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

/* What rounding adds to the length of an error, in units of |r|: that of a, of scale, and of the length itself. */
#define ERROR_SLACK		0x1p-22

/* <y,a>, |y|^2 and |a|^2 to the factors; unit is |r| / sqrt(D), that of a. */
static void
set_factors(QvFinerFactors *factors, double dot, double square, double a_square, double unit)
{
	double		share;			/* squared, of the error in |r| */

	if (!(dot > 0.0))
		return;					/* at the centroid: factors of zero */
	factors->scale = float_of(unit * a_square / dot);
	share = square * a_square / (dot * dot) - 1.0;
	factors->error = float_of(unit * sqrt(a_square) * (sqrt(share > 0.0 ? share : 0.0) * (1.0 + ERROR_SLACK) + ERROR_SLACK));
}

/* <y,v> of the grid point that levels stand for; lanes as above. */
static double
grid_dot(const uint8_t *level, const float *v, uint32_t n, uint32_t nbits)
{
	double		middle = 0.5 * ((1 << nbits) - 1);
	double		lane[8] = {0};
	double		sum = 0.0;

	for (uint32_t i = 0; i < n; i += 8)
	{
		for (int j = 0; j < 8; j++)
			lane[j] += (level[i + j] - middle) * v[i + j];
	}
	for (int j = 0; j < 8; j++)
		sum += lane[j];
	return sum;
}

/* What is kept of the centre; y_g is <y,g>, of what scale makes an estimate of <r,g>. */
static void
set_anchor(const QvRabitq *codec, const QvFinerMap *map, const Residual *residual, double y_g, uint8_t *slot)
{
	QvAnchor	anchor = qv_centres_anchor(codec, residual->centre, residual->r, y_g);

	if (codec->purpose == QV_PURPOSE_REFINE)
		memcpy(slot + map->anchor, &anchor, sizeof(anchor));
	memcpy(slot + map->offset, &anchor.offset, sizeof(anchor.offset));
}

/* Planes or signed bytes: levels in scratch, then to their place. */
static void
encode_grid(const QvRabitq *codec, const QvFinerMap *map, const Residual *residual, float *a, uint8_t *level, uint8_t *slot)
{
	uint32_t	n = codec->code_ndims;
	uint32_t	nbits = codec->head.nbits;
	const QvKernels *kernels = qv_kernels();
	double		per_unit = normalise(residual->r, n, a);
	float		step = choose_step(a, n, nbits);
	GridSums	sums = grid_sums(a, n, step, (1 << (nbits - 1)) - 1);
	QvFinerFactors factors = {0};

	factors.excess = grid_levels(residual->r, a, n, step, nbits, level);
	if (per_unit > 0.0)
		set_factors(&factors, 0.5 * sums.dot, 0.25 * sums.square, kernels->dot_f32(a, a, n), 1.0 / per_unit);
	memcpy(slot + map->factors, &factors, map->nfactor_nbytes);
	set_anchor(codec, map, residual, residual->centre == 0 ? 0.0 : factors.scale * grid_dot(level, residual->g, n, nbits), slot);
	if (!qv_finer_has_planes(nbits))
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
encode_halves(const QvRabitq *codec, const QvFinerMap *map, const Residual *residual, float *a, float *y, uint8_t *slot)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	n = codec->code_ndims;
	double		per_unit = normalise(residual->r, n, a);
	QvFinerFactors factors = {0};

	for (uint32_t i = 0; i < n; i++)
		y[i] = round_to_half(a[i]);
	if (per_unit > 0.0)
		set_factors(&factors, kernels->dot_f32(y, a, n), kernels->dot_f32(y, y, n), kernels->dot_f32(a, a, n), 1.0 / per_unit);
	for (uint32_t i = 0; i < n; i++)
	{
		uint16_t	half;

		y[i] = residual->r[i] > 0 ? y[i] : -y[i];
		half = half_bits(y[i]);
		memcpy(slot + map->code + 2 * (size_t) i, &half, sizeof(half));
	}
	memcpy(slot + map->factors, &factors, map->nfactor_nbytes);
	set_anchor(codec, map, residual, residual->centre == 0 ? 0.0 : factors.scale * kernels->dot_f32(y, residual->g, n), slot);
}

void
qv_finer_encode_older(const QvCodec *head, uint32_t ncentres, const void *value, uint8_t *slot, void *scratch)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	QvFinerMap	map = qv_finer_map_of(codec);
	float	   *r = scratch;
	float	   *a = r + codec->code_ndims;
	float	   *y = a + codec->code_ndims;
	Residual	residual = {.r = r};

	qv_rabitq_rotate(codec, value, r);
	residual.centre = qv_centres_leave(codec, ncentres, r);
	residual.g = residual.centre > 0 ? qv_centre_at(codec, residual.centre) : NULL;
	if (codec->purpose == QV_PURPOSE_TRAVERSE)
		qv_rabitq_encode_signs(codec, r, residual.centre, slot);
	else
	{
		float		norm = float_of(sqrt(qv_kernels()->dot_f32(r, r, codec->code_ndims)));

		memcpy(slot + map.norm, &norm, sizeof(norm));
	}
	if (head->nbits <= 8)
		encode_grid(codec, &map, &residual, a, (uint8_t *) y, slot);
	else
		encode_halves(codec, &map, &residual, a, y, slot);
}

void
qv_finer_encode(const QvCodec *head, const void *value, uint8_t *slot, void *scratch)
{
	qv_finer_encode_older(head, ((const QvRabitq *) head)->ncentres, value, slot, scratch);
}
