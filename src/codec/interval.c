/*
 * interval.c
 *		Where the distance of a row lies, by its code: for codes of 2, 4, 8 and 16 bits a dimension,
 *		and what all kinds of floats share.
 *
 * ESTIMATES.md, "Intervals", has the argument.  Must not know what is done with an interval.
 */
#include <math.h>

#include "codec/finer.h"

/* Of every term of an estimate: a few operations of 2^-24 each. */
#define TERM_SLACK		0x1p-22

/*
 * Up to 8 bits the error of a code is taken for no longer, along the query, than so many standard errors.  A random direction
 * in 255 dimensions and more goes beyond one time in 10^10.  doc/decisions/0220.
 */
#define MOST_SIGMAS		6.5

void
qv_interval_of_squares(QvMetric metric, QvInterval *interval, double moved, double length, const QvRounding *rounding)
{
	double		low = sqrt(fmax(interval->low, 0.0));
	double		high = sqrt(fmax(interval->high, 0.0));

	/* under cosine all lengths are 1; else |x| is at most |q| and what lies between */
	moved += rounding->values * (metric == QV_METRIC_COSINE ? 2.0 : 2.0 * length + high);
	low = fmax(low - moved, 0.0);
	high += moved;
	interval->low = low * low;
	interval->high = high * high;
	if (metric == QV_METRIC_COSINE)
	{
		interval->low = 0.5 * interval->low - 2.0 * rounding->sums;
		interval->high = 0.5 * interval->high + 2.0 * rounding->sums;
		return;
	}
	interval->low -= rounding->sums * interval->high;
	interval->high += rounding->sums * interval->high;
}

/* What is known of <r,u>, where u is the query as seen from the code's centre. */
typedef struct Product
{
	double		estimate;
	double		norm;			/* |r| */
	double		query;			/* |u| */
	double		error;			/* |r - scale * y|, or what it comes to along u */
	double		slack;			/* of the estimate besides that */
} Product;

/*
 * Where <r,u> lies.  The error e of a code is at right angles to r, so that it meets only that
 * part of u that is too: |estimate - <r,u>| <= |e| sqrt(|u|^2 - <r,u>^2 / |r|^2).
 */
static QvInterval
product_interval(const Product *p)
{
	double		norm_sq = p->norm * p->norm;
	double		both_sq = norm_sq + p->error * p->error;
	double		least = fmax(fabs(p->estimate) - p->slack, 0.0);
	double		middle;
	double		half;

	if (!(both_sq > 0.0))
		return (QvInterval) {p->estimate - p->slack, p->estimate + p->slack};
	middle = p->estimate * norm_sq / both_sq;
	half = p->norm * p->error * sqrt(fmax(both_sq * p->query * p->query - least * least, 0.0)) / both_sq + p->slack;
	return (QvInterval) {middle - half, middle + half};
}

/* Of all places where a vector is rotated: r, the query and the centre each are known but for so much of their length. */
static double
rotation_slack(uint32_t n)
{
	double		nstages = 0;

	for (uint32_t i = n; i > 1; i /= 2)
		nstages += 4.0;
	return (nstages + 24.0) * 0x1p-24;
}

/* What the rounding of the query, and of floats, may add to scale * <y,q'>. */
static double
dot_slack(const QvFinerQuery *query, const QvFinerFactors *factors, double length)
{
	double		low = (double) factors->scale * query->low;

	if (query->head.nbits == 16)
		return qv_fast_sum_slack(query->code_ndims) * length * query->norm;
	if (query->head.nbits == 8)
		return TERM_SLACK * 2.0 * fabs(low);
	return TERM_SLACK * 2.0 * fabs(low * factors->excess);
}

/* Numbers that the interval of a slot is made of. */
typedef struct Parts
{
	QvFinerFactors factors;
	QvAnchor	anchor;
	const QvTerm *term;
	double		norm;			/* |r| */
	double		ip;				/* <r,q'> and what the centre adds, by the estimate */
} Parts;

/* False of a slot whose numbers say nothing. */
static bool
read_parts(const QvFinerQuery *query, const uint8_t *slot, float dist, Parts *parts)
{
	const QvFinerMap *map = &query->map;
	float		norm;

	memset(&parts->factors, 0, sizeof(parts->factors));
	memcpy(&parts->factors, slot + map->factors, map->nfactor_nbytes);
	memcpy(&norm, slot + map->norm, sizeof(norm));
	parts->anchor = qv_finer_anchor(map, slot);
	parts->term = qv_term_of(&query->terms, parts->anchor.centre);
	parts->norm = norm;
	parts->ip = (dist - query->weights.norm_weight * parts->norm * parts->norm) / query->weights.ip_weight;
	return fabsf(dist) < FLT_MAX && norm >= 0.0f && norm < FLT_MAX &&
		parts->factors.error >= 0.0f && parts->factors.error < FLT_MAX &&
		parts->factors.scale >= 0.0f && parts->factors.scale < FLT_MAX && parts->anchor.centre < query->terms.n;
}

/* What is known of <r,u> but its estimate. */
static Product
product_of(const QvFinerQuery *query, const Parts *parts)
{
	const QvTerm *term = parts->term;
	double		added = fabs((double) term->addend) + fabs((double) term->slope * parts->anchor.offset);
	double		length = parts->norm + parts->factors.error;
	double		sigma = MOST_SIGMAS / sqrt(query->code_ndims - 1.0);
	double		share = query->head.nbits <= 8 && sigma < 1.0 ? sigma : 1.0;

	return (Product) {
		.norm = parts->norm,
		.query = sqrt((double) term->sq + term->slack),
		.error = share * parts->factors.error,
		/* r was rounded before it was encoded, so that its error is known but for 2^-24 of it */
		.slack = share * length * query->lost + dot_slack(query, &parts->factors, length) + term->slack + FLT_MIN +
			TERM_SLACK * (parts->norm * parts->norm + parts->norm * query->norm + 2.0 * fabs(parts->ip) + 4.0 * added)
	};
}

/* Under L2 and cosine, from the square of a distance on. */
static void
square_interval(const QvFinerQuery *query, const Parts *parts, const QvRounding *rounding, QvInterval *out)
{
	const QvTerm *term = parts->term;
	Product		product = product_of(query, parts);
	double		moved = rotation_slack(query->code_ndims) * (parts->norm + 2.0 * term->g_norm + query->norm) + FLT_MIN;
	double		norms_sq = parts->norm * parts->norm + term->sq;
	QvInterval	ip;

	product.estimate = parts->ip - term->addend;
	ip = product_interval(&product);
	*out = (QvInterval) {norms_sq - 2.0 * ip.high, norms_sq - 2.0 * ip.low};
	/* under cosine both vectors were rounded at unit length before */
	if (query->head.metric == QV_METRIC_COSINE)
		moved += 0x1p-23;
	qv_interval_of_squares(query->head.metric, out, moved, query->length, rounding);
}

/* Under inner product.  Beside a centre the estimate of <r,u> itself is not known. */
static void
negative_product_interval(const QvFinerQuery *query, const Parts *parts, const QvRounding *rounding, QvInterval *out)
{
	double		length = parts->norm + 2.0 * parts->term->g_norm;
	double		slack = (2.0 * rotation_slack(query->code_ndims) + 2.0 * rounding->values + rounding->sums) * length * query->norm;
	Product		product = product_of(query, parts);
	QvInterval	ip;

	product.estimate = parts->ip;
	if (parts->anchor.centre == 0)
		ip = product_interval(&product);
	else
	{
		slack += product.error * product.query + product.slack;
		ip = (QvInterval) {parts->ip, parts->ip};
	}
	*out = (QvInterval) {-ip.high - slack, -ip.low + slack};
}

bool
qv_finer_interval(const QvQuery *head, const uint8_t *slot, float dist, const QvRounding *rounding, QvInterval *out)
{
	const QvFinerQuery *query = (const QvFinerQuery *) head;
	Parts		parts;

	if (!read_parts(query, slot, dist, &parts))
		return false;
	if (head->metric == QV_METRIC_IP)
		negative_product_interval(query, &parts, rounding, out);
	else
		square_interval(query, &parts, rounding, out);
	return out->low <= out->high && out->low > -FLT_MAX && out->high < FLT_MAX;
}
