/*
 * test_codec_bits.c
 *		Kind BITS: distances against counting one bit at a time, parameters, slots.
 */
#include "codec_fixture.h"
#include "kernel/kernel.h"

#define NCODES	150				/* more than two batches, and a part of one */

static const uint32_t lengths[] = {1, 7, 8, 9, 63, 64, 65, 300, 511, 512, 513, 768, 1024, 1027, 64000};

#define NLENGTHS ((int) (sizeof(lengths) / sizeof(lengths[0])))

static QvCodecParams
bits_params(QvMetric metric, uint32_t ndims)
{
	return (QvCodecParams) {
		.kind = QV_CODE_BITS, .metric = metric, .ndims = ndims, .nbits = 1
	};
}

static int
bit_of(const uint8_t *code, uint32_t i)
{
	return (code[i / 8] >> (7 - i % 8)) & 1;
}

static float
naive_distance(QvMetric metric, const uint8_t *a, const uint8_t *b, uint32_t ndims)
{
	uint32_t	differ = 0;
	uint32_t	both = 0;
	uint32_t	either = 0;

	for (uint32_t i = 0; i < ndims; i++)
	{
		differ += bit_of(a, i) != bit_of(b, i);
		both += bit_of(a, i) && bit_of(b, i);
		either += bit_of(a, i) || bit_of(b, i);
	}
	if (metric == QV_METRIC_HAMMING)
		return (float) differ;
	return either == 0 ? 0.0f : (float) (1.0 - (double) both / either);
}

/* Random bits, denser from code to code; code 0 is empty. */
static void
random_code(uint8_t *code, uint32_t ndims, int density, uint64_t *state)
{
	memset(code, 0, (ndims + 7) / 8);
	for (uint32_t i = 0; i < ndims; i++)
	{
		if ((int) (check_random(state) % NCODES) < density)
			code[i / 8] |= (uint8_t) (0x80 >> (i % 8));
	}
}

/* Every way to ask for distances gives the naive ones, with slots at odd addresses that end at a trap. */
static int
count_wrong(QvMetric metric, uint32_t ndims)
{
	CodecFixture fx = fixture_open(bits_params(metric, ndims));
	size_t		stride = fx.slot_nbytes;
	GuardedMemory mem = guarded_alloc(stride * NCODES);
	uint8_t    *base = mem.end - stride * NCODES;
	uint8_t    *value = aligned_memory(stride);
	const uint8_t *slots[NCODES];
	float		got[4][NCODES];
	uint64_t	state = ndims;
	int			wrong = 0;

	for (int i = 0; i < NCODES; i++)
	{
		random_code(value, ndims, i, &state);
		qv_codec_encode(fx.codec, value, base + stride * (size_t) i, fx.scratch);
		slots[NCODES - 1 - i] = base + stride * (size_t) i;
		wrong += qv_codec_slot_fault(fx.codec, base + stride * (size_t) i) != NULL;
	}
	for (int q = 0; q < NCODES; q += 37)
	{
		const uint8_t *code = base + stride * (size_t) q;

		fixture_query(&fx, code);
		qv_query_score(fx.query, slots, NCODES, got[0]);
		qv_query_score_strided(fx.query, base, stride, NCODES, got[1]);
		qv_codec_pair(fx.codec, code, slots, NCODES, got[2]);
		qv_codec_pair_strided(fx.codec, code, base, stride, NCODES, got[3]);
		for (int i = 0; i < NCODES; i++)
		{
			float		want = naive_distance(metric, code, base + stride * (size_t) i, ndims);

			wrong += got[0][NCODES - 1 - i] != want || got[1][i] != want;
			wrong += got[2][NCODES - 1 - i] != want || got[3][i] != want;
		}
		wrong += qv_query_error(fx.query, base) != 0.0f;
		/* the guard page comes next, which is not to be read */
		wrong += fixture_sweep_differences(&fx, base, stride, NCODES, mem.end);
	}
	wrong += fixture_block_differences(&fx, base, stride, NCODES);
	free(value);
	guarded_free(&mem);
	fixture_close(&fx);
	return wrong;
}

static void
test_distances(const char *level)
{
	for (QvMetric metric = QV_METRIC_HAMMING; metric <= QV_METRIC_JACCARD; metric++)
	{
		int			wrong = 0;

		for (int i = 0; i < NLENGTHS; i++)
			wrong += count_wrong(metric, lengths[i]);
		ok(wrong == 0, "%s: %s distances of %d lengths are the naive ones (%d wrong)", level,
		   metric == QV_METRIC_HAMMING ? "Hamming" : "Jaccard", NLENGTHS, wrong);
	}
}

static bool
refused(QvCodecParams params)
{
	return qv_codec_params_fault(&params) != NULL;
}

static void
test_params(void)
{
	QvCodecParams params = bits_params(QV_METRIC_HAMMING, 64000);

	ok(!refused(params) && !refused(bits_params(QV_METRIC_JACCARD, 1)), "sound parameters have no fault");
	ok(refused(bits_params(QV_METRIC_L2, 64)) && refused(bits_params((QvMetric) 0, 64)) &&
	   refused(bits_params((QvMetric) 6, 64)), "metrics of floats and of nothing are refused");
	ok(refused(bits_params(QV_METRIC_HAMMING, 0)) && refused(bits_params(QV_METRIC_HAMMING, 64001)),
	   "dimensions out of range are refused");
	params.nbits = 2;
	ok(refused(params), "two bits a dimension are refused");
	params.nbits = 1;
	params.kind = (QvCodeKind) 0;
	ok(refused(params), "kind 0 is refused");
	params.kind = (QvCodeKind) 3;
	ok(refused(params), "kind 3 is refused");
	params = bits_params(QV_METRIC_HAMMING, 9);
	ok(qv_codec_slot_nbytes(&params) == 2 && qv_codec_code_nbits(&params) == 9, "a slot of 9 bits is 2 bytes");
}

static void
test_slot_fault(void)
{
	CodecFixture fx = fixture_open(bits_params(QV_METRIC_HAMMING, 9));
	uint8_t		slot[2] = {0xff, 0x80};

	ok(qv_codec_slot_fault(fx.codec, slot) == NULL, "a full code of 9 bits is sound");
	slot[1] = 0xc0;
	ok(qv_codec_slot_fault(fx.codec, slot) != NULL, "a padding bit that is set is a fault");
	fixture_close(&fx);
}

int
main(void)
{
	const QvKernels *level;
	bool		usable;

	test_params();
	test_slot_fault();
	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		if (usable && qv_kernels_force(level->name))
			test_distances(level->name);
	}
	return done_testing();
}
