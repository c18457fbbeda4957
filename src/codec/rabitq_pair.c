/*
 * rabitq_pair.c
 *		Distances between codes of kind RABITQ, both known by their sign planes and factors.
 *
 * Codes of one centre are compared by the angle between their signs.  Those of two are seen from
 * both: ESTIMATES.md, "Pairs".  Must not know what a slot has behind its signs and their factors.
 */
#include <math.h>
#include <string.h>

#include "codec/rabitq.h"
#include "kernel/kernel.h"

/* What of a slot pairs need. */
typedef struct PairSide
{
	const uint8_t *signs;
	float		norm;
	float		weight;			/* of the signs: <r,v> is about weight * sum of v_i with the signs */
	float		offset;
	uint32_t	centre;
} PairSide;

/* What one side and one centre have in common. */
typedef struct CentrePair
{
	uint32_t	centre;
	float		ip;				/* of the two centres */
	float		one_ip;			/* <r,g> of the one code's r and this centre's g */
} CentrePair;

static inline double
centre_sq(const QvRabitq *codec, uint32_t k)
{
	return k == 0 ? 0.0 : qv_centre_numbers(codec)[k - 1].sq;
}

static PairSide
side_of(const QvRabitq *codec, const uint8_t *slot)
{
	PairSide	side = {.signs = slot};
	QvFactors	factors;
	QvAnchor	anchor;

	memcpy(&factors, slot + codec->head.nbytes, sizeof(factors));
	memcpy(&anchor, slot + codec->head.nbytes + sizeof(factors), sizeof(anchor));
	side.norm = factors.norm;
	side.weight = factors.norm * ((float) factors.inv_x0 / INV_X0_STEPS) / sqrtf((float) codec->code_ndims);
	/* as for a query: centre 0 stands in for one that is not known */
	side.centre = anchor.centre <= codec->ncentres ? anchor.centre : 0;
	side.offset = side.centre > 0 ? anchor.offset : 0.0f;
	return side;
}

/* The sum of a centre's floats with the signs of a code, from its planes. */
static float
signed_sum(const QvRabitq *codec, uint32_t k, const uint8_t *signs)
{
	const QvKernels *kernels = qv_kernels();
	uint32_t	nbytes = codec->head.nbytes;
	const QvCentre *centre = &qv_centre_numbers(codec)[k - 1];
	const uint8_t *planes = qv_centre_planes(codec) + (size_t) (k - 1) * 8 * nbytes;
	int32_t		sum = (int32_t) (kernels->planes4(planes, signs, nbytes) + 16 * kernels->planes4(planes + 4 * (size_t) nbytes, signs, nbytes));
	int32_t		excess = 2 * (int32_t) kernels->popcount(signs, nbytes) - (int32_t) codec->code_ndims;

	return centre->step * (float) (2 * sum - centre->level_sum) + centre->low * (float) excess;
}

static double
centres_ip(const QvRabitq *codec, uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return 0.0;
	return a == b ? centre_sq(codec, a) : qv_kernels()->dot_f32(qv_centre_at(codec, a), qv_centre_at(codec, b), codec->code_ndims);
}

/*
 * <r,g> of a code's r and any centre's g, where ip is that of g and the code's own centre.  What
 * the offset knows exactly is used: under L2 and cosine weight * <signs, own g>, under inner
 * product what that is off by.
 */
static float
code_centre_ip(const QvRabitq *codec, const PairSide *side, uint32_t k, double ip)
{
	double		own_sq = centre_sq(codec, side->centre);
	double		sum;

	if (k == 0)
		return 0.0f;
	if (codec->head.metric != QV_METRIC_IP && k == side->centre)
		return -side->offset;
	sum = side->weight * signed_sum(codec, k, side->signs);
	if (codec->head.metric == QV_METRIC_IP && own_sq > 0.0)
		sum += ip / own_sq * side->offset;
	return (float) sum;
}

/* Of the one side and each centre met so far: looked up, or computed and kept. */
static const CentrePair *
centre_pair(const QvRabitq *codec, const PairSide *one, uint32_t k, CentrePair *known, int *nknown)
{
	CentrePair *found = known;

	while (found < known + *nknown && found->centre != k)
		found++;
	if (found == known + *nknown)
	{
		QV_ASSERT(*nknown < QV_BATCH);
		(*nknown)++;
		found->centre = k;
		found->ip = (float) centres_ip(codec, one->centre, k);
		found->one_ip = code_centre_ip(codec, one, k, found->ip);
	}
	return found;
}

/*
 * L2 and cosine: |x - y|^2 = |r - s + d|^2 with d the difference of the centres.  Each sum is of
 * terms that do not change when the two change places, so the distance is symmetric to the bit.
 */
static float
l2_between_centres(const QvRabitq *codec, const PairSide *one, const PairSide *other, const CentrePair *pair, float near)
{
	double		d_sq = centre_sq(codec, one->centre) + centre_sq(codec, other->centre) - 2.0 * pair->ip;
	float		one_ip = -one->offset - pair->one_ip;	/* <r,d> */
	float		other_ip = -other->offset - code_centre_ip(codec, other, one->centre, pair->ip);	/* <s,-d> */
	float		sq = near + (float) (d_sq > 0.0 ? d_sq : 0.0) + 2.0f * (one_ip + other_ip);

	return sq > 0.0f ? sq : 0.0f;
}

static float
ip_of(const QvRabitq *codec, const PairSide *one, const PairSide *other, const CentrePair *pair, float residual_ip)
{
	return -(pair->ip + (pair->one_ip + code_centre_ip(codec, other, one->centre, pair->ip)) + residual_ip);
}

void
qv_rabitq_pair(const QvCodec *head, const uint8_t *slot, QvSlots run, int n, float *dist)
{
	const QvRabitq *codec = (const QvRabitq *) head;
	const QvKernels *kernels = qv_kernels();
	const float *cosines = qv_cosines_of(codec);
	PairSide	one = side_of(codec, slot);
	CentrePair	known[QV_BATCH];
	int			nknown = 0;
	uint32_t	hamming[QV_BATCH];

	QV_ASSERT(n >= 0 && n <= QV_BATCH);
	if (run.slots != NULL)
		kernels->hamming_many(slot, run.slots, n, head->nbytes, hamming);
	else
		kernels->hamming_strided(slot, run.base, run.stride, n, head->nbytes, hamming);
	for (int i = 0; i < n; i++)
	{
		PairSide	other = side_of(codec, qv_slot_at(run, i));
		float		residual_ip = cosines[hamming[i]] * (one.norm * other.norm);
		float		near = one.norm * one.norm + other.norm * other.norm - 2.0f * residual_ip;

		if (head->metric == QV_METRIC_IP)
			near = ip_of(codec, &one, &other, centre_pair(codec, &one, other.centre, known, &nknown), residual_ip);
		else if (one.centre != other.centre)
			near = l2_between_centres(codec, &one, &other, centre_pair(codec, &one, other.centre, known, &nknown), near);
		dist[i] = qv_clamp_finite(head->metric == QV_METRIC_COSINE ? 0.5f * near : near);
	}
}

void
qv_rabitq_pair_block(const QvCodec *head, const QvSlotBlock *block, float *dist, size_t dist_stride)
{
	QV_ASSERT(block->nrows <= QV_BLOCK_NROWS && block->n >= 0 && block->n <= QV_BATCH);
	for (int i = 0; i < block->nrows; i++)
		qv_rabitq_pair(head, block->rows + block->stride * (size_t) i, (QvSlots) {NULL, block->base, block->stride}, block->n,
					   dist + dist_stride * (size_t) i);
}
