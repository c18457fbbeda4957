/*
 * test_codec_rotation.c
 *		The rotation: against its definition in double precision, orthonormal,
 *		spreading, the same for ever.
 */
#include "codec/rotation.h"
#include "codec_fixture.h"
#include "kernel/kernel.h"

#define MAX_NDIMS	2048

static const uint32_t sizes[] = {256, 320, 384, 512, 768, 832, 1024, 1536};

#define NSIZES ((int) (sizeof(sizes) / sizeof(sizes[0])))

static float *
rotation_for(uint32_t ndims, uint64_t seed)
{
	float	   *rotation = float_memory(qv_rotation_nfloats(ndims));

	qv_rotation_init(rotation, ndims, seed);
	return rotation;
}

/*
 * The definition: Hadamard matrix element (i, j) is -1 to the number of bits
 * set in i & j; random bit i of a round is bit i % 64 of its word i / 64.
 */
static void
rotate_by_definition(double *x, int ndims, uint64_t seed)
{
	int			n = 1;

	while (n * 2 <= ndims)
		n *= 2;
	for (int round = 0; round < 4; round++)
	{
		double		out[MAX_NDIMS];
		int			start = round % 2 == 0 ? 0 : ndims - n;

		for (int i = 0; i < ndims; i += 64)
		{
			uint64_t	flips = check_random(&seed);

			for (int j = 0; j < 64; j++)
				x[i + j] *= (flips >> j) & 1 ? -1.0 : 1.0;
		}
		memcpy(out, x, sizeof(double) * (size_t) ndims);
		for (int i = 0; i < n; i++)
		{
			double		sum = 0.0;

			for (int j = 0; j < n; j++)
				sum += __builtin_parity((unsigned) (i & j)) ? -x[start + j] : x[start + j];
			out[start + i] = sum / sqrt(n);
		}
		memcpy(x, out, sizeof(double) * (size_t) ndims);
		if (n == ndims || round == 0)
			continue;
		for (int i = 0; i < ndims / 2; i++)
		{
			double		a = x[i];
			double		b = x[i + ndims / 2];

			x[i] = (a + b) / sqrt(2.0);
			x[i + ndims / 2] = (a - b) / sqrt(2.0);
		}
	}
}

static void
test_sizes(void)
{
	ok(qv_rotation_ndims(1) == 256 && qv_rotation_ndims(256) == 256, "few dimensions are padded to 256");
	ok(qv_rotation_ndims(257) == 320 && qv_rotation_ndims(300) == 320 && qv_rotation_ndims(320) == 320,
	   "more are padded to a multiple of 64");
	ok(qv_rotation_ndims(16000) == 16000, "16000 need no padding");
}

static void
test_definition(void)
{
	double		worst = 0.0;
	uint64_t	state = 1;

	for (int s = 0; s < NSIZES; s++)
	{
		uint32_t	ndims = sizes[s];
		float	   *rotation = rotation_for(ndims, 77 + (uint64_t) s);
		float		x[MAX_NDIMS];
		double		want[MAX_NDIMS];

		for (uint32_t i = 0; i < ndims; i++)
			want[i] = x[i] = (float) check_normal(&state);
		rotate_by_definition(want, (int) ndims, 77 + (uint64_t) s);
		qv_rotation_apply(rotation, ndims, x);
		for (uint32_t i = 0; i < ndims; i++)
			worst = fmax(worst, fabs(x[i] - want[i]));
		free(rotation);
	}
	ok(worst < 1e-5, "rotated coordinates are those of the definition (worst %.2g)", worst);
}

static void
test_orthonormal(void)
{
	double		worst = 0.0;
	uint64_t	state = 2;

	for (int s = 0; s < NSIZES; s++)
	{
		uint32_t	ndims = sizes[s];
		float	   *rotation = rotation_for(ndims, 5);
		float		x[MAX_NDIMS];
		float		y[MAX_NDIMS];
		double		before[3] = {0};
		double		after[3] = {0};

		for (uint32_t i = 0; i < ndims; i++)
		{
			x[i] = (float) check_normal(&state);
			y[i] = (float) (x[i] * 0.5 + check_normal(&state));
			before[0] += (double) x[i] * x[i];
			before[1] += (double) y[i] * y[i];
			before[2] += (double) x[i] * y[i];
		}
		qv_rotation_apply(rotation, ndims, x);
		qv_rotation_apply(rotation, ndims, y);
		for (uint32_t i = 0; i < ndims; i++)
		{
			after[0] += (double) x[i] * x[i];
			after[1] += (double) y[i] * y[i];
			after[2] += (double) x[i] * y[i];
		}
		for (int i = 0; i < 3; i++)
			worst = fmax(worst, fabs(after[i] - before[i]) / before[0]);
		free(rotation);
	}
	ok(worst < 1e-6, "norms and inner products stay (worst relative change %.2g)", worst);
}

/*
 * A vector with one coordinate must come out as a Gaussian vector would: fourth
 * moment 3 times the square of the second (a flat vector has 1, a spike ndims).
 */
static void
test_spread(void)
{
	for (int s = 0; s < NSIZES; s++)
	{
		uint32_t	ndims = sizes[s];
		double		worst = 0.0;
		double		fourth = 0.0;
		int			nspikes = 0;

		for (uint32_t at = 0; at < ndims; at += 7)
		{
			float	   *rotation = rotation_for(ndims, 1000 + at);
			float		x[MAX_NDIMS] = {0};

			x[at] = 1.0f;
			qv_rotation_apply(rotation, ndims, x);
			for (uint32_t i = 0; i < ndims; i++)
			{
				worst = fmax(worst, fabs(x[i]));
				fourth += pow(x[i], 4) * ndims;
			}
			nspikes++;
			free(rotation);
		}
		fourth /= nspikes;
		ok(fourth > 2.7 && fourth < 3.3 && worst * sqrt(ndims) < 6.0,
		   "%u coordinates: a spike is spread (kurtosis %.2f, largest %.2f/sqrt(D))", ndims, fourth, worst * sqrt(ndims));
	}
}

static void
test_levels(void)
{
	int			ndifferent = 0;
	int			nlevels = 0;
	bool		usable;
	const QvKernels *level;
	float		want[768];
	uint64_t	state = 3;
	float	   *rotation = rotation_for(768, 9);
	float		x[768];

	for (int i = 0; i < 768; i++)
		x[i] = (float) check_normal(&state);
	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		float		got[768];

		if (!usable)
			continue;
		qv_kernels_force(level->name);
		memcpy(got, x, sizeof(x));
		qv_rotation_apply(rotation, 768, got);
		if (nlevels++ == 0)
			memcpy(want, got, sizeof(got));
		ndifferent += memcmp(want, got, sizeof(got)) != 0;
	}
	qv_kernels_force("auto");
	ok(ndifferent == 0, "%d kernel levels rotate to the same bits", nlevels);
	free(rotation);
}

int
main(void)
{
	test_sizes();
	test_definition();
	test_orthonormal();
	test_spread();
	test_levels();
	return done_testing();
}
