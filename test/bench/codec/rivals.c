/*
 * rivals.c
 *		See rivals.h.  Written for what they find, not for speed.
 */
#include <math.h>

#include "rivals.h"

/* Weight of the whole error against the error along the vector; the value the authors use. */
#define OSQ_LAMBDA		0.1
#define OSQ_ROUNDS		5

typedef struct Interval
{
	double		low;
	double		high;
} Interval;

static double
osq_level(double x, Interval t, int top)
{
	double		clipped = fmin(fmax(x, t.low), t.high);

	return round((clipped - t.low) * top / (t.high - t.low));
}

/* (1 - lambda) <x,e>^2 / |x|^2 + lambda |e|^2 with e the error of x. */
static double
osq_loss(const float *x, uint32_t n, Interval t, int top)
{
	double		along = 0.0;
	double		whole = 0.0;
	double		square = 0.0;

	for (uint32_t i = 0; i < n; i++)
	{
		double		e = x[i] - (t.low + osq_level(x[i], t, top) * (t.high - t.low) / top);

		along += x[i] * e;
		whole += e * e;
		square += (double) x[i] * x[i];
	}
	return (1.0 - OSQ_LAMBDA) * along * along / square + OSQ_LAMBDA * whole;
}

/* The interval that makes the loss smallest while every level stays what it is: two linear equations. */
static Interval
osq_refit(const float *x, uint32_t n, Interval t, int top)
{
	double		square = 0.0;
	double		aa = 0.0, ab = 0.0, bb = 0.0;	/* sums of products of 1 - s and s */
	double		xa = 0.0, xb = 0.0; /* of x and each */
	double		weight;
	double		caa, cab, cbb;
	double		determinant;

	for (uint32_t i = 0; i < n; i++)
	{
		double		s = osq_level(x[i], t, top) / top;

		square += (double) x[i] * x[i];
		aa += (1.0 - s) * (1.0 - s);
		ab += (1.0 - s) * s;
		bb += s * s;
		xa += x[i] * (1.0 - s);
		xb += x[i] * s;
	}
	weight = (1.0 - OSQ_LAMBDA) / square;
	caa = weight * xa * xa + OSQ_LAMBDA * aa;
	cab = weight * xa * xb + OSQ_LAMBDA * ab;
	cbb = weight * xb * xb + OSQ_LAMBDA * bb;
	determinant = caa * cbb - cab * cab;
	if (fabs(determinant) < 1e-12)
		return t;
	/* the right sides are xa and xb: weight * |x|^2 and lambda add up to one */
	return (Interval) {(cbb * xa - cab * xb) / determinant, (caa * xb - cab * xa) / determinant};
}

void
rival_osq(float *x, uint32_t n, int nbits)
{
	/* half the width of the best interval of a Gaussian number: the uniform quantiser's (Max 1960) */
	double		half = nbits == 1 ? 0.798 : nbits == 2 ? 1.493 : 2.514;
	int			top = (1 << nbits) - 1;
	double		mean = 0.0;
	double		variance = 0.0;
	double		smallest = x[0];
	double		largest = x[0];
	double		loss;
	Interval	t;

	for (uint32_t i = 0; i < n; i++)
	{
		mean += x[i] / (double) n;
		smallest = fmin(smallest, x[i]);
		largest = fmax(largest, x[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean) / n;
	if (!(largest > smallest))
		return;
	t.low = fmax(mean - half * sqrt(variance), smallest);
	t.high = fmin(mean + half * sqrt(variance), largest);
	loss = osq_loss(x, n, t, top);
	for (int round = 0; round < OSQ_ROUNDS; round++)
	{
		Interval	next = osq_refit(x, n, t, top);
		double		next_loss;

		if (!(next.high > next.low))
			break;
		next_loss = osq_loss(x, n, next, top);
		if (!(next_loss < loss))
			break;
		t = next;
		loss = next_loss;
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] = (float) (t.low + osq_level(x[i], t, top) * (t.high - t.low) / top);
}

void
rival_gaussian(float *x, uint32_t n, int nbits)
{
	static const double levels1[] = {0.7979};
	static const double levels2[] = {0.4528, 1.5104};
	static const double levels4[] = {0.1284, 0.3881, 0.6568, 0.9424, 1.2562, 1.6181, 2.0691, 2.7326};
	const double *levels = nbits == 1 ? levels1 : nbits == 2 ? levels2 : levels4;
	int			nlevels = 1 << (nbits - 1);
	double		square = 0.0;
	double		dot = 0.0;
	double		unit;

	for (uint32_t i = 0; i < n; i++)
		square += (double) x[i] * x[i];
	unit = sqrt(square / n);
	if (!(unit > 0.0))
		return;
	for (uint32_t i = 0; i < n; i++)
	{
		double		a = fabs(x[i]) / unit;
		int			k = 0;

		while (k + 1 < nlevels && a > 0.5 * (levels[k] + levels[k + 1]))
			k++;
		dot += levels[k] * fabs(x[i]);
		x[i] = (float) (x[i] > 0 ? levels[k] : -levels[k]);
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] = (float) (x[i] * square / dot);
}
