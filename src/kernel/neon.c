/*
 * neon.c
 *		The kernels on the 128-bit registers every 64-bit ARM has.
 *
 * Uses the base architecture only, so that it runs wherever it is compiled;
 * compiles to nothing elsewhere.  Tails shorter than 16 bytes pass through a
 * zeroed register.  See README.md, "The batch kernels" and "Same bits at every
 * level".
 */
#include <float.h>

#include "kernel/levels.h"

#ifdef QV_HAVE_NEON_LEVEL
#include <arm_neon.h>

QV_INLINE uint8x16_t
load_tail(const uint8_t *p, size_t nbytes)
{
	uint8_t		whole[16] = {0};

	memcpy(whole, p, nbytes);
	return vld1q_u8(whole);
}

/* ---- bits ---- */

QV_INLINE uint8x16_t
count_bytes(QvBitOp op, uint8x16_t a, uint8x16_t b)
{
	if (op == QV_BITS_XOR)
		b = veorq_u8(a, b);
	else if (op == QV_BITS_AND)
		b = vandq_u8(a, b);
	return vcntq_u8(b);
}

/* Add sixteen bytes into four 32-bit sums. */
QV_INLINE uint32x4_t
add_bytes(uint32x4_t sum, uint8x16_t bytes)
{
	return vpadalq_u16(sum, vpaddlq_u8(bytes));
}

/*
 * Counts in 32-bit sums.  Bytes are added up over 64 bytes first: four counts of
 * at most 8 fit easily, and the widening is done once for them.
 */
QV_INLINE uint32x4_t
count_vectors(QvBitOp op, const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint32x4_t	sum = vdupq_n_u32(0);
	size_t		i = 0;

	for (; i + 64 <= nbytes; i += 64)
	{
		uint8x16_t	c0 = count_bytes(op, vld1q_u8(a + i), vld1q_u8(b + i));
		uint8x16_t	c1 = count_bytes(op, vld1q_u8(a + i + 16), vld1q_u8(b + i + 16));
		uint8x16_t	c2 = count_bytes(op, vld1q_u8(a + i + 32), vld1q_u8(b + i + 32));
		uint8x16_t	c3 = count_bytes(op, vld1q_u8(a + i + 48), vld1q_u8(b + i + 48));

		sum = add_bytes(sum, vaddq_u8(vaddq_u8(c0, c1), vaddq_u8(c2, c3)));
	}
	for (; i + 16 <= nbytes; i += 16)
		sum = add_bytes(sum, count_bytes(op, vld1q_u8(a + i), vld1q_u8(b + i)));
	if (i < nbytes)
		sum = add_bytes(sum, count_bytes(op, load_tail(a + i, nbytes - i), load_tail(b + i, nbytes - i)));
	return sum;
}

QV_INLINE uint32_t
count_run(QvBitOp op, const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return vaddvq_u32(count_vectors(op, a, b, nbytes));
}

static uint32_t
neon_popcount(const uint8_t *a, size_t nbytes)
{
	return count_run(QV_BITS_ONE, a, a, nbytes);
}

static uint32_t
neon_hamming(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return count_run(QV_BITS_XOR, a, b, nbytes);
}

static uint32_t
neon_intersection(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	return count_run(QV_BITS_AND, a, b, nbytes);
}

/* Sums of the lanes of four registers, in order. */
QV_INLINE uint32x4_t
sum_four(uint32x4_t s0, uint32x4_t s1, uint32x4_t s2, uint32x4_t s3)
{
	return vpaddq_u32(vpaddq_u32(s0, s1), vpaddq_u32(s2, s3));
}

QV_INLINE void
count_list(QvBitOp op, const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
		   uint32_t *out)
{
	int			i = 0;

	for (; i + 4 <= ncodes; i += 4)
		vst1q_u32(out + i, sum_four(count_vectors(op, query, qv_code_at(list, i), nbytes),
									count_vectors(op, query, qv_code_at(list, i + 1), nbytes),
									count_vectors(op, query, qv_code_at(list, i + 2), nbytes),
									count_vectors(op, query, qv_code_at(list, i + 3), nbytes)));
	for (; i < ncodes; i++)
		out[i] = count_run(op, query, qv_code_at(list, i), nbytes);
}

QV_INLINE void
hamming_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	count_list(QV_BITS_XOR, query, list, ncodes, nbytes, out);
}

QV_INLINE void
intersection_list(const uint8_t *query, QvCodeList list, int ncodes, size_t nbytes,
				  uint32_t *inter, uint32_t *codebits)
{
	count_list(QV_BITS_AND, query, list, ncodes, nbytes, inter);
	count_list(QV_BITS_ONE, query, list, ncodes, nbytes, codebits);
}

QV_DEFINE_BIT_BATCHES(, neon)

static void
neon_hamming_block(const uint8_t *queries, int nqueries, const uint8_t *base, size_t stride, int ncodes,
				   size_t nbytes, uint32_t *out)
{
	for (int i = 0; i < nqueries; i++)
		neon_hamming_strided(queries + stride * (size_t) i, base, stride, ncodes, nbytes, out + (size_t) ncodes * (size_t) i);
}

static uint32_t
neon_hamming_below(const uint8_t *query, const QvCodeRun *run, size_t nbytes, uint32_t limit, uint32_t *near, uint32_t *out)
{
	return qv_hamming_below(neon_hamming_strided, query, run, nbytes, limit, near, out);
}

/* ---- four bit planes ---- */

/* Weighted counts of one vector's bytes: at most 8 * (1 + 2 + 4 + 8) = 120. */
QV_INLINE uint8x16_t
count_planes(const uint8x16_t *plane, uint8x16_t code)
{
	uint8x16_t	sum = count_bytes(QV_BITS_AND, plane[3], code);

	sum = vaddq_u8(vshlq_n_u8(sum, 1), count_bytes(QV_BITS_AND, plane[2], code));
	sum = vaddq_u8(vshlq_n_u8(sum, 1), count_bytes(QV_BITS_AND, plane[1], code));
	return vaddq_u8(vshlq_n_u8(sum, 1), count_bytes(QV_BITS_AND, plane[0], code));
}

QV_INLINE uint32x4_t
planes_vectors(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	uint32x4_t	sum = vdupq_n_u32(0);
	uint8x16_t	plane[4];
	size_t		i = 0;

	for (; i + 16 <= nbytes; i += 16)
	{
#define PLANE(j) plane[j] = vld1q_u8(planes + (j) * nbytes + i);
		QV_REPEAT4(PLANE)
#undef PLANE
		sum = add_bytes(sum, count_planes(plane, vld1q_u8(code + i)));
	}
	if (i < nbytes)
	{
#define PLANE(j) plane[j] = load_tail(planes + (j) * nbytes + i, nbytes - i);
		QV_REPEAT4(PLANE)
#undef PLANE
		sum = add_bytes(sum, count_planes(plane, load_tail(code + i, nbytes - i)));
	}
	return sum;
}

static uint32_t
neon_planes4(const uint8_t *planes, const uint8_t *code, size_t nbytes)
{
	return vaddvq_u32(planes_vectors(planes, code, nbytes));
}

QV_INLINE void
planes_list(const uint8_t *planes, QvCodeList list, int ncodes, size_t nbytes, uint32_t *out)
{
	int			i = 0;

	for (; i + 4 <= ncodes; i += 4)
		vst1q_u32(out + i, sum_four(planes_vectors(planes, qv_code_at(list, i), nbytes),
									planes_vectors(planes, qv_code_at(list, i + 1), nbytes),
									planes_vectors(planes, qv_code_at(list, i + 2), nbytes),
									planes_vectors(planes, qv_code_at(list, i + 3), nbytes)));
	for (; i < ncodes; i++)
		out[i] = neon_planes4(planes, qv_code_at(list, i), nbytes);
}

QV_DEFINE_PLANE_BATCHES(, neon)

/* x where it is less, or more; the instructions of these names would make NaN of a NaN. */
QV_INLINE float32x4_t
lesser(float32x4_t x, float32x4_t than)
{
	return vbslq_f32(vcltq_f32(x, than), x, than);
}

QV_INLINE float32x4_t
greater(float32x4_t x, float32x4_t than)
{
	return vbslq_f32(vcgtq_f32(x, than), x, than);
}

/* Four distances. */
QV_INLINE float32x4_t
estimate_four(const QvEstimate *how, uint32x4_t sums, const QvFactors *factors, float32x4_t xc)
{
	uint32x4x2_t words = vld2q_u32((const uint32_t *) (const void *) factors);
	float32x4_t norm = vreinterpretq_f32_u32(words.val[0]);
	float32x4_t inv_x0 = vcvtq_f32_u32(vandq_u32(words.val[1], vdupq_n_u32(0xFFFF)));
	int32x4_t	nset = vreinterpretq_s32_u32(vshrq_n_u32(words.val[1], 16));
	float32x4_t excess = vcvtq_f32_s32(vsubq_s32(vshlq_n_s32(nset, 1), vdupq_n_s32(how->nbits)));
	float32x4_t steps = vcvtq_f32_s32(vsubq_s32(vshlq_n_s32(vreinterpretq_s32_u32(sums), 1), vdupq_n_s32(how->level_sum)));
	float32x4_t total = vaddq_f32(vmulq_f32(vdupq_n_f32(how->step), steps), vmulq_f32(vdupq_n_f32(how->low), excess));
	float32x4_t ip = vaddq_f32(vmulq_f32(vmulq_f32(norm, inv_x0), total), xc);
	float32x4_t square = vmulq_f32(vmulq_f32(vdupq_n_f32(how->norm_weight), norm), norm);
	float32x4_t dist = vaddq_f32(vaddq_f32(vdupq_n_f32(how->constant), square), vmulq_f32(vdupq_n_f32(how->ip_weight), ip));

	return greater(lesser(dist, vdupq_n_f32(FLT_MAX)), vdupq_n_f32(-FLT_MAX));
}

static void
neon_estimate(const QvEstimate *how, const uint32_t *sums, const QvFactors *factors, const float *xc, int n, float *dist)
{
	int			i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(dist + i, estimate_four(how, vld1q_u32(sums + i), factors + i, xc != NULL ? vld1q_f32(xc + i) : vdupq_n_f32(0)));
	qv_kernels_scalar.estimate(how, sums + i, factors + i, xc != NULL ? xc + i : NULL, n - i, dist + i);
}

/* ---- signed bytes ---- */

/* Each product is widened before it is added: two of (-128)^2 do not fit 16 bits. */
static int32_t
neon_dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32x4_t	sum0 = vdupq_n_s32(0);
	int32x4_t	sum1 = vdupq_n_s32(0);
	size_t		i = 0;
	int32_t		sum;

	for (; i + 16 <= n; i += 16)
	{
		int8x16_t	x = vld1q_s8(a + i);
		int8x16_t	y = vld1q_s8(b + i);

		sum0 = vpadalq_s16(sum0, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
		sum1 = vpadalq_s16(sum1, vmull_high_s8(x, y));
	}
	sum = vaddvq_s32(vaddq_s32(sum0, sum1));
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* |a - b| as an unsigned byte, 0..255 */
QV_INLINE uint8x16_t
byte_distance(const int8_t *a, const int8_t *b)
{
	return vreinterpretq_u8_s8(vabdq_s8(vld1q_s8(a), vld1q_s8(b)));
}

static uint32_t
neon_l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	uint32x4_t	sum0 = vdupq_n_u32(0);
	uint32x4_t	sum1 = vdupq_n_u32(0);
	size_t		i = 0;
	uint32_t	sum;

	for (; i + 16 <= n; i += 16)
	{
		uint8x16_t	d = byte_distance(a + i, b + i);

		sum0 = vpadalq_u16(sum0, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
		sum1 = vpadalq_u16(sum1, vmull_high_u8(d, d));
	}
	sum = vaddvq_u32(vaddq_u32(sum0, sum1));
	for (; i < n; i++)
	{
		int			d = a[i] - b[i];

		sum += (uint32_t) (d * d);
	}
	return sum;
}

static uint32_t
neon_l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	uint32x4_t	sums = vdupq_n_u32(0);
	size_t		i = 0;
	uint32_t	sum;

	for (; i + 16 <= n; i += 16)
		sums = add_bytes(sums, byte_distance(a + i, b + i));
	sum = vaddvq_u32(sums);
	for (; i < n; i++)
	{
		int			d = a[i] - b[i];

		sum += (uint32_t) (d < 0 ? -d : d);
	}
	return sum;
}

static int32_t
neon_sum_i8(const int8_t *a, size_t n)
{
	int32x4_t	sums = vdupq_n_s32(0);
	size_t		i = 0;
	int32_t		sum;

	for (; i + 16 <= n; i += 16)
		sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(a + i)));
	sum = vaddvq_s32(sums);
	for (; i < n; i++)
		sum += a[i];
	return sum;
}

static inline void
dot_i8_list(const int8_t *query, QvCodeList list, int ncodes, size_t n, int32_t *out)
{
	for (int i = 0; i < ncodes; i++)
		out[i] = neon_dot_i8(query, (const int8_t *) qv_code_at(list, i), n);
}

QV_DEFINE_DOT_BATCHES(, neon)
QV_DEFINE_DOT_BLOCK(, neon)

/* ---- floats ---- */

/* One step of two of the sixteen accumulators: no vfmaq, which rounds once. */
QV_INLINE float64x2_t
add_floats(QvFloatOp op, float64x2_t sum, float64x2_t x, float64x2_t y)
{
	float64x2_t d;

	if (op == QV_FLOAT_DOT)
		return vaddq_f64(sum, vmulq_f64(x, y));
	d = vsubq_f64(x, y);
	if (op == QV_FLOAT_L1)
		return vaddq_f64(sum, vabsq_f64(d));
	return vaddq_f64(sum, vmulq_f64(d, d));
}

QV_INLINE double
sum_floats(QvFloatOp op, const float *a, const float *b, size_t n)
{
	float64x2_t sum[8];
	double		s[16];
	size_t		i = 0;

#define CLEAR(k) sum[k] = vdupq_n_f64(0);
	QV_REPEAT8(CLEAR)
#undef CLEAR
	for (; i + 16 <= n; i += 16)
	{
#define ADD(k) \
		{ \
			float32x4_t x = vld1q_f32(a + i + 4 * (k)); \
			float32x4_t y = vld1q_f32(b + i + 4 * (k)); \
			\
			sum[2 * (k)] = add_floats(op, sum[2 * (k)], vcvt_f64_f32(vget_low_f32(x)), vcvt_f64_f32(vget_low_f32(y))); \
			sum[2 * (k) + 1] = add_floats(op, sum[2 * (k) + 1], vcvt_high_f64_f32(x), vcvt_high_f64_f32(y)); \
		}
		QV_REPEAT4(ADD)
#undef ADD
	}
#define STORE(k) vst1q_f64(s + 2 * (k), sum[k]);
	QV_REPEAT8(STORE)
#undef STORE
	for (; i < n; i++)
	{
		double		x = ((const QvFloat *) a)[i];
		double		y = ((const QvFloat *) b)[i];
		double		d = x - y;

		if (op == QV_FLOAT_DOT)
			s[i % 16] += x * y;
		else if (op == QV_FLOAT_L1)
			s[i % 16] += __builtin_fabs(d);
		else
			s[i % 16] += d * d;
	}
	return qv_sum_tree(s);
}

QV_DEFINE_FLOAT_SUMS(, neon)

/* qv_sum_tree_single() on registers. */
QV_INLINE float
sum_tree_single(float32x4_t *s)
{
	float32x2_t two;

#define CROSS32(k) s[k] = vaddq_f32(s[k], s[(k) + 8]);
	QV_REPEAT8(CROSS32)
#undef CROSS32
#define CROSS16(k) s[k] = vaddq_f32(s[k], s[(k) + 4]);
	QV_REPEAT4(CROSS16)
#undef CROSS16
	s[0] = vaddq_f32(vaddq_f32(s[0], s[2]), vaddq_f32(s[1], s[3]));
	two = vadd_f32(vget_low_f32(s[0]), vget_high_f32(s[0]));
	return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

#define LOAD_FLOATS(k) vld1q_f32((const float *) b + i + 4 * (k))
#define LOAD_HALVES(k) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *) b + i + 4 * (k))))

QV_INLINE float32x4_t
fast_add(QvFastOp op, float32x4_t sum, float32x4_t x, float32x4_t y)
{
	float32x4_t d = vsubq_f32(x, y);

	return vaddq_f32(sum, op == QV_FAST_L2SQ ? vmulq_f32(d, d) : vmulq_f32(x, y));
}

QV_INLINE float
fast_sum(QvFastOp op, const float *a, const void *b, size_t n)
{
	float32x4_t sum[16];
	float		s[64];
	size_t		i = 0;

#define CLEAR(k) sum[k] = vdupq_n_f32(0);
	QV_REPEAT16(CLEAR)
#undef CLEAR
#define ADD(k) sum[k] = fast_add(op, sum[k], vld1q_f32(a + i + 4 * (k)), op == QV_FAST_DOT_HALVES ? LOAD_HALVES(k) : LOAD_FLOATS(k));
	for (; i + 64 <= n; i += 64)
	{
		QV_REPEAT16(ADD)
	}
#undef ADD
	if (i == n)
		return sum_tree_single(sum);
#define STORE(k) vst1q_f32(s + 4 * (k), sum[k]);
	QV_REPEAT16(STORE)
#undef STORE
	for (; i < n; i++)
		s[i % 64] += qv_fast_term(op, a, b, i);
	return qv_sum_tree_single(s);
}

QV_DEFINE_FAST_SUMS(, neon)

/* ---- Walsh-Hadamard transform ---- */

QV_INLINE void
butterfly(float32x4_t *a, float32x4_t *b)
{
	float32x4_t low = *a;
	float32x4_t high = *b;

	*a = vaddq_f32(low, high);
	*b = vsubq_f32(low, high);
}

/*
 * The two stages within each of four registers, between two transpositions of
 * four by four: a butterfly between registers is one within them then.
 */
QV_INLINE void
transpose4(float32x4_t *r)
{
	float32x4_t t0 = vtrn1q_f32(r[0], r[1]);
	float32x4_t t1 = vtrn2q_f32(r[0], r[1]);
	float32x4_t t2 = vtrn1q_f32(r[2], r[3]);
	float32x4_t t3 = vtrn2q_f32(r[2], r[3]);

	r[0] = vcombine_f32(vget_low_f32(t0), vget_low_f32(t2));
	r[1] = vcombine_f32(vget_low_f32(t1), vget_low_f32(t3));
	r[2] = vcombine_f32(vget_high_f32(t0), vget_high_f32(t2));
	r[3] = vcombine_f32(vget_high_f32(t1), vget_high_f32(t3));
}

QV_INLINE void
butterflies4(float32x4_t *r)
{
	butterfly(&r[0], &r[1]);
	butterfly(&r[2], &r[3]);
	butterfly(&r[0], &r[2]);
	butterfly(&r[1], &r[3]);
}

QV_INLINE void
butterflies16(float32x4_t *r)
{
	butterflies4(r);
	butterflies4(r + 4);
	butterflies4(r + 8);
	butterflies4(r + 12);
#define CROSS(k) butterfly(&r[k], &r[(k) + 4]); butterfly(&r[(k) + 8], &r[(k) + 12]);
	QV_REPEAT4(CROSS)
#undef CROSS
#define CROSS(k) butterfly(&r[k], &r[(k) + 8]);
	QV_REPEAT8(CROSS)
#undef CROSS
}

/* All six stages of 64 floats. */
QV_INLINE void
transform_64(float *x)
{
	float32x4_t r[16];

#define LOAD(k) r[k] = vld1q_f32(x + 4 * (k));
	QV_REPEAT16(LOAD)
#undef LOAD
#define WITHIN(k) \
	transpose4(r + 4 * (k)); \
	butterflies4(r + 4 * (k)); \
	transpose4(r + 4 * (k));
	QV_REPEAT4(WITHIN)
#undef WITHIN
	butterflies16(r);
#define STORE(k) vst1q_f32(x + 4 * (k), r[k]);
	QV_REPEAT16(STORE)
#undef STORE
}

/* Stages h, 2h, 4h and 8h, h >= 4. */
QV_INLINE void
transform_pass16(float *x, size_t n, size_t h)
{
	for (size_t block = 0; block < n; block += 16 * h)
	{
		for (size_t j = block; j < block + h; j += 4)
		{
			float32x4_t r[16];

#define LOAD(k) r[k] = vld1q_f32(x + j + (k) * h);
			QV_REPEAT16(LOAD)
#undef LOAD
			butterflies16(r);
#define STORE(k) vst1q_f32(x + j + (k) * h, r[k]);
			QV_REPEAT16(STORE)
#undef STORE
		}
	}
}

/* Stages h and 2h. */
QV_INLINE void
transform_pass4(float *x, size_t n, size_t h)
{
	for (size_t block = 0; block < n; block += 4 * h)
	{
		for (size_t j = block; j < block + h; j += 4)
		{
			float32x4_t r[4];

#define LOAD(k) r[k] = vld1q_f32(x + j + (k) * h);
			QV_REPEAT4(LOAD)
#undef LOAD
			butterflies4(r);
#define STORE(k) vst1q_f32(x + j + (k) * h, r[k]);
			QV_REPEAT4(STORE)
#undef STORE
		}
	}
}

/* The last stage, h = n / 2. */
QV_INLINE void
transform_pass2(float *x, size_t h)
{
	for (size_t j = 0; j < h; j += 4)
	{
		float32x4_t low = vld1q_f32(x + j);
		float32x4_t high = vld1q_f32(x + j + h);

		butterfly(&low, &high);
		vst1q_f32(x + j, low);
		vst1q_f32(x + j + h, high);
	}
}

static void
neon_fht_f32(float *x, size_t n)
{
	size_t		h = 64;

	if (n < 64)
	{
		qv_kernels_scalar.fht_f32(x, n);
		return;
	}
	for (size_t i = 0; i < n; i += 64)
		transform_64(x + i);
	for (; n / h >= 16; h *= 16)
		transform_pass16(x, n, h);
	for (; n / h >= 4; h *= 4)
		transform_pass4(x, n, h);
	if (n / h == 2)
		transform_pass2(x, h);
}

static uint32_t
neon_below_f32(const float *values, uint32_t n, float limit, uint32_t *out)
{
	const QvFloat *x = values;
	float32x4_t limits = vdupq_n_f32(limit);
	uint32_t	count = 0;
	uint32_t	i = 0;

	for (; i + 4 <= n; i += 4)
	{
		/* most often none is */
		if (vmaxvq_u32(vcltq_f32(vld1q_f32(values + i), limits)) == 0)
			continue;
		for (uint32_t j = i; j < i + 4; j++)
		{
			out[count] = j;
			count += x[j] < limit;
		}
	}
	for (; i < n; i++)
	{
		if (x[i] < limit)
			out[count++] = i;
	}
	return count;
}

/* Two keys at a time against all. */
static void
neon_sort_u64(const uint64_t *values, uint32_t n, uint64_t *result)
{
	const QvKey *keys = values;
	QvKey	   *out = result;
	uint32_t	i = 0;

	for (; i + 2 <= n; i += 2)
	{
		uint64x2_t	two = vcombine_u64(vcreate_u64(keys[i]), vcreate_u64(keys[i + 1]));
		uint64x2_t	rank = vdupq_n_u64(0);

		for (uint32_t j = 0; j < n; j++)
			rank = vsubq_u64(rank, vcltq_u64(vdupq_n_u64(keys[j]), two));
		out[vgetq_lane_u64(rank, 0)] = keys[i];
		out[vgetq_lane_u64(rank, 1)] = keys[i + 1];
	}
	if (i < n)
		out[qv_rank(keys, n, keys[i])] = keys[i];
}

/* ---- from values to codes ---- */

static void
neon_residual_f32(const float *x, double scale, const float *centre, size_t n, float *out)
{
	float64x2_t scales = vdupq_n_f64(scale);
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
	{
		float32x4_t v = vld1q_f32(x + i);
		float32x2_t low = vcvt_f32_f64(vmulq_f64(vcvt_f64_f32(vget_low_f32(v)), scales));
		float32x4_t scaled = vcvt_high_f32_f64(low, vmulq_f64(vcvt_high_f64_f32(v), scales));

		vst1q_f32(out + i, vsubq_f32(scaled, vld1q_f32(centre + i)));
	}
	qv_kernels_scalar.residual_f32(x + i, scale, centre + i, n - i, out + i);
}

static void
neon_multiply_f32(float *x, const float *factor, size_t n)
{
	for (size_t i = 0; i < n; i += 4)
		vst1q_f32(x + i, vmulq_f32(vld1q_f32(x + i), vld1q_f32(factor + i)));
}

static void
neon_turn_f32(float *a, float *b, size_t n)
{
	float32x4_t cos45 = vdupq_n_f32(QV_COS45);

	for (size_t i = 0; i < n; i += 4)
	{
		float32x4_t x = vmulq_f32(vld1q_f32(a + i), cos45);
		float32x4_t y = vmulq_f32(vld1q_f32(b + i), cos45);

		vst1q_f32(a + i, vaddq_f32(x, y));
		vst1q_f32(b + i, vsubq_f32(x, y));
	}
}

static void
neon_range_f32(const float *x, size_t n, float *low, float *high)
{
	float32x4_t min[4];
	float32x4_t max[4];

#define FIRST(k) min[k] = max[k] = vld1q_f32(x + 4 * (k));
	QV_REPEAT4(FIRST)
#undef FIRST
#define NEXT(k) \
	min[k] = lesser(vld1q_f32(x + i + 4 * (k)), min[k]); \
	max[k] = greater(vld1q_f32(x + i + 4 * (k)), max[k]);
	for (size_t i = 16; i < n; i += 16)
	{
		QV_REPEAT4(NEXT)
	}
#undef NEXT
	min[0] = lesser(lesser(min[3], min[1]), lesser(min[2], min[0]));
	max[0] = greater(greater(max[3], max[1]), greater(max[2], max[0]));
	min[0] = lesser(vextq_f32(min[0], min[0], 2), min[0]);
	max[0] = greater(vextq_f32(max[0], max[0], 2), max[0]);
	*low = vgetq_lane_f32(lesser(vextq_f32(min[0], min[0], 1), min[0]), 0);
	*high = vgetq_lane_f32(greater(vextq_f32(max[0], max[0], 1), max[0]), 0);
}

/* qv_truncate() of four. */
QV_INLINE uint32x4_t
truncate_four(float32x4_t x, float32x4_t max)
{
	return vcvtq_u32_f32(greater(lesser(x, max), vdupq_n_f32(0)));
}

/* The lowest byte of each of eight. */
QV_INLINE uint8x8_t
low_bytes(uint32x4_t first, uint32x4_t second)
{
	return vmovn_u16(vcombine_u16(vmovn_u32(first), vmovn_u32(second)));
}

static int32_t
neon_levels_f32(const float *x, size_t n, float low, float per_step, int max_level, uint8_t *level)
{
	float32x4_t lows = vdupq_n_f32(low);
	float32x4_t per_steps = vdupq_n_f32(per_step);
	float32x4_t half = vdupq_n_f32(0.5f);
	float32x4_t max = vdupq_n_f32((float) max_level);
	uint32x4_t	sum = vdupq_n_u32(0);

	for (size_t i = 0; i < n; i += 8)
	{
		uint32x4_t	first = truncate_four(vaddq_f32(vmulq_f32(vsubq_f32(vld1q_f32(x + i), lows), per_steps), half), max);
		uint32x4_t	second = truncate_four(vaddq_f32(vmulq_f32(vsubq_f32(vld1q_f32(x + i + 4), lows), per_steps), half), max);

		vst1_u8(level + i, low_bytes(first, second));
		sum = vaddq_u32(sum, vaddq_u32(first, second));
	}
	return (int32_t) vaddvq_u32(sum);
}

static int32_t
neon_words_f32(const float *x, size_t n, float per_step, int8_t *high, int8_t *low)
{
	float32x4_t per_steps = vdupq_n_f32(per_step);
	float32x4_t bias = vdupq_n_f32(QV_WORD_BIAS);
	float32x4_t max = vdupq_n_f32(2 * QV_MAX_WORD);
	uint32x4_t	sum = vdupq_n_u32(0);

	for (size_t i = 0; i < n; i += 8)
	{
		uint32x4_t	first = truncate_four(vaddq_f32(vmulq_f32(vld1q_f32(x + i), per_steps), bias), max);
		uint32x4_t	second = truncate_four(vaddq_f32(vmulq_f32(vld1q_f32(x + i + 4), per_steps), bias), max);
		uint32x4_t	nearest0 = vaddq_u32(first, vdupq_n_u32(64));
		uint32x4_t	nearest1 = vaddq_u32(second, vdupq_n_u32(64));
		uint8x8_t	upper = low_bytes(vshrq_n_u32(nearest0, 7), vshrq_n_u32(nearest1, 7));
		uint8x8_t	lower = vand_u8(low_bytes(nearest0, nearest1), vdup_n_u8(127));

		vst1_s8(high + i, vreinterpret_s8_u8(vsub_u8(upper, vdup_n_u8(QV_MAX_WORD / 128))));
		vst1_s8(low + i, vreinterpret_s8_u8(vsub_u8(lower, vdup_n_u8(64))));
		sum = vaddq_u32(sum, vaddq_u32(first, second));
	}
	return (int32_t) vaddvq_u32(sum) - QV_MAX_WORD * (int32_t) n;
}

static void
neon_bits_u8(const uint8_t *x, size_t n, int j, uint8_t *out)
{
	uint8x8_t	bit = vdup_n_u8((uint8_t) (1 << j));
	uint8x8_t	place = vcreate_u8(UINT64_C(0x0102040810204080));

	for (size_t i = 0; i < n; i += 8)
		out[i / 8] = vaddv_u8(vand_u8(vtst_u8(vld1_u8(x + i), bit), place));
}

static void
neon_signs_f32(const float *x, size_t n, uint8_t *out)
{
	static const uint32_t high_bits[4] = {128, 64, 32, 16};
	static const uint32_t low_bits[4] = {8, 4, 2, 1};
	uint32x4_t	high = vld1q_u32(high_bits);
	uint32x4_t	low = vld1q_u32(low_bits);
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		uint32x4_t	first = vandq_u32(vcgtzq_f32(vld1q_f32(x + i)), high);
		uint32x4_t	second = vandq_u32(vcgtzq_f32(vld1q_f32(x + i + 4)), low);

		out[i / 8] = (uint8_t) vaddvq_u32(vorrq_u32(first, second));
	}
	qv_kernels_scalar.signs_f32(x + i, n - i, out + i / 8);
}

/* Nothing better yet. */
static void
neon_between_keys(const void *keys, int nbytes, uint32_t n, int64_t low, int64_t high, uint64_t *bits)
{
	qv_kernels_scalar.between_keys(keys, nbytes, n, low, high, bits);
}

static void
neon_masked_u64(const uint64_t *words, uint32_t n, uint64_t mask, uint64_t want, uint64_t *bits)
{
	qv_kernels_scalar.masked_u64(words, n, mask, want, bits);
}

const QvKernels qv_kernels_neon = QV_KERNELS_OF(neon);

#endif							/* QV_HAVE_NEON_LEVEL */
