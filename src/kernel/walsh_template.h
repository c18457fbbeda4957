/*
 * walsh_template.h
 *		The Walsh-Hadamard transform on registers, for one instruction set.
 *
 * Private to the room; included by the file of a level, after it has defined
 *
 *		WALSH_TARGET		its QV_TARGET()
 *		WALSH_REGISTER		a vector of floats
 *		WALSH_LANES			floats in a vector
 *		WALSH_NREGS			vectors that a pass keeps in registers, 8 or 16
 *		WALSH_LOAD(p), WALSH_STORE(p, v), WALSH_ADD(a, b), WALSH_SUB(a, b)
 *		WALSH_WITHIN(v)		the first log2(WALSH_LANES) stages, within a vector
 *
 * Defines walsh(x, n), n a power of two and at least WALSH_LANES.  Each stage adds and subtracts
 * pairs h apart, h = 1, 2, 4, ... n / 2; the pairs of several stages that lie in one set of
 * registers are done together.  The order of stages and the roundings are those of the scalar
 * level.  README.md, "Same bits at every level".
 */
#ifdef WALSH_REGISTER

WALSH_TARGET QV_INLINE void
butterfly(WALSH_REGISTER *a, WALSH_REGISTER *b)
{
	WALSH_REGISTER low = *a;
	WALSH_REGISTER high = *b;

	*a = WALSH_ADD(low, high);
	*b = WALSH_SUB(low, high);
}

WALSH_TARGET QV_INLINE void
butterflies2(WALSH_REGISTER *r)
{
	butterfly(&r[0], &r[1]);
}

WALSH_TARGET QV_INLINE void
butterflies4(WALSH_REGISTER *r)
{
	butterflies2(r);
	butterflies2(r + 2);
	butterfly(&r[0], &r[2]);
	butterfly(&r[1], &r[3]);
}

WALSH_TARGET QV_INLINE void
butterflies8(WALSH_REGISTER *r)
{
	butterflies4(r);
	butterflies4(r + 4);
#define CROSS(k) butterfly(&r[k], &r[(k) + 4]);
	QV_REPEAT4(CROSS)
#undef CROSS
}

#if WALSH_NREGS == 16
WALSH_TARGET QV_INLINE void
butterflies16(WALSH_REGISTER *r)
{
	butterflies8(r);
	butterflies8(r + 8);
#define CROSS(k) butterfly(&r[k], &r[(k) + 8]);
	QV_REPEAT8(CROSS)
#undef CROSS
}

#define WALSH_REPEAT(M)	QV_REPEAT16(M)
#else
#define WALSH_REPEAT(M)	QV_REPEAT8(M)
#endif

/*
 * The next log2(nregs) stages on nregs registers, step floats apart, after the
 * stages within each register if these are the first.
 */
WALSH_TARGET QV_INLINE void
transform_registers(float *x, size_t step, const int nregs, const int first)
{
	WALSH_REGISTER r[WALSH_NREGS];

#define LOAD(k) if ((k) < nregs) r[k] = WALSH_LOAD(x + (k) * step);
	WALSH_REPEAT(LOAD)
#undef LOAD
#define WITHIN(k) if (first && (k) < nregs) r[k] = WALSH_WITHIN(r[k]);
	WALSH_REPEAT(WITHIN)
#undef WITHIN
	if (nregs == 2)
		butterflies2(r);
	else if (nregs == 4)
		butterflies4(r);
	else if (nregs == 8)
		butterflies8(r);
#if WALSH_NREGS == 16
	else if (nregs == 16)
		butterflies16(r);
#endif
#define STORE(k) if ((k) < nregs) WALSH_STORE(x + (k) * step, r[k]);
	WALSH_REPEAT(STORE)
#undef STORE
}

/* Stages h, 2h, ... (log2(nregs) of them) of the whole array, h >= WALSH_LANES. */
WALSH_TARGET QV_INLINE void
transform_pass(float *x, size_t n, size_t h, const int nregs)
{
	for (size_t block = 0; block < n; block += h * (size_t) nregs)
	{
		for (size_t j = 0; j < h; j += WALSH_LANES)
			transform_registers(x + block + j, h, nregs, 0);
	}
}

WALSH_TARGET QV_INLINE void
walsh(float *x, size_t n)
{
	size_t		h = WALSH_LANES * WALSH_NREGS;

	switch (n)
	{
		case WALSH_LANES:
			transform_registers(x, WALSH_LANES, 1, 1);
			return;
		case 2 * WALSH_LANES:
			transform_registers(x, WALSH_LANES, 2, 1);
			return;
		case 4 * WALSH_LANES:
			transform_registers(x, WALSH_LANES, 4, 1);
			return;
#if WALSH_NREGS == 16
		case 8 * WALSH_LANES:
			transform_registers(x, WALSH_LANES, 8, 1);
			return;
#endif
	}
	for (size_t i = 0; i < n; i += h)
		transform_registers(x + i, WALSH_LANES, WALSH_NREGS, 1);
	for (; n / h >= WALSH_NREGS; h *= WALSH_NREGS)
		transform_pass(x, n, h, WALSH_NREGS);
#if WALSH_NREGS == 16
	if (n / h == 8)
		transform_pass(x, n, h, 8);
	else
#endif
	if (n / h == 4)
		transform_pass(x, n, h, 4);
	else if (n / h == 2)
		transform_pass(x, n, h, 2);
}

#endif							/* WALSH_REGISTER */
