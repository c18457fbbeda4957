/*
 * qvec8.h
 *		The datum of type qvec8, and how to read and make one.
 *
 * Knows neither SQL functions nor distances.  Layout: README.md, "qvec8".
 */
#ifndef QV_QVEC8_H
#define QV_QVEC8_H

#include "compat.h"

#include <math.h>
#include <string.h>

/* pgvector's limit for its own vectors; sums of 16000 byte products stay below 2^31. */
#define QVEC8_MAX_DIMS 16000

#define QVEC8_MIN_CODE (-128)
#define QVEC8_MAX_CODE 127

/* As made by qvec8_make(); what comes from a table may have a short header. */
typedef struct Qvec8
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	float4		scale;			/* finite, > 0 */
	float4		offset;			/* finite, never -0 */
	int8		codes[FLEXIBLE_ARRAY_MEMBER];
} Qvec8;

#define QVEC8_HEADER_NBYTES (2 * sizeof(float4))

/* A qvec8 to read: detoasted if need be, but not aligned. */
typedef struct Qvec8View
{
	int			ndims;			/* at least 1 */
	float4		scale;
	float4		offset;
	const int8 *codes;			/* ndims of them; dimension i is codes[i] * scale + offset */
	void	   *copy;			/* what detoasting allocated, or NULL */
} Qvec8View;

/* Throws: the datum is not a qvec8 (a page went bad). */
pg_noreturn extern void qvec8_corrupt(Size nbytes);

static inline Qvec8View
qvec8_view(Datum value)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	Size		nbytes = VARSIZE_ANY_EXHDR(packed);
	const char *data = VARDATA_ANY(packed);
	Qvec8View	view;

	if (unlikely(nbytes < QVEC8_HEADER_NBYTES + 1 ||
				 nbytes > QVEC8_HEADER_NBYTES + QVEC8_MAX_DIMS))
		qvec8_corrupt(nbytes);

	memcpy(&view.scale, data, sizeof(float4));
	memcpy(&view.offset, data + sizeof(float4), sizeof(float4));
	if (unlikely(!(view.scale > 0) || isinf(view.scale) || !isfinite(view.offset)))
		qvec8_corrupt(nbytes);

	view.ndims = (int) (nbytes - QVEC8_HEADER_NBYTES);
	view.codes = (const int8 *) data + QVEC8_HEADER_NBYTES;
	view.copy = (Pointer) packed != DatumGetPointer(value) ? packed : NULL;
	return view;
}

/* Free what detoasting allocated: needed where calls share one memory context, as in index builds. */
static inline void
qvec8_release(const Qvec8View *view)
{
	if (view->copy)
		pfree(view->copy);
}

#define PG_GETARG_QVEC8(n) qvec8_view(PG_GETARG_DATUM(n))
#define PG_RETURN_QVEC8(p) PG_RETURN_POINTER(p)

/* A qvec8 of ndims zero codes; requires 1 <= ndims <= QVEC8_MAX_DIMS. */
extern Qvec8 *qvec8_make(int ndims, float4 scale, float4 offset);

/*
 * Dimension i, counted from 0, as a real number.  The product is exact in double (24 + 8
 * bits), so the sum is rounded once.
 */
static inline double
qvec8_value(const Qvec8View *view, int i)
{
	return (double) view->codes[i] * (double) view->scale + (double) view->offset;
}

#endif							/* QV_QVEC8_H */
