/*
 * bitvec.h
 *		The datum of type bitvec, and how to read and make one.
 *
 * Knows neither SQL functions nor distances.  Layout: README.md, "bitvec".
 */
#ifndef QV_BITVEC_H
#define QV_BITVEC_H

#include "compat.h"

/*
 * 8000 bytes: the longest that still fits on a heap page of 8 kB together with
 * its row's header, and the limit of pgvector's bit indexes as well.
 */
#define BITVEC_MAX_DIMS 64000

/* As made by bitvec_make(); what comes from a table may have a short header. */
typedef struct Bitvec
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	uint8		nunused;		/* padding bits in the last byte, 0..7, all zero */
	uint8		bits[FLEXIBLE_ARRAY_MEMBER];	/* dimension 1 is the top bit of bits[0] */
} Bitvec;

#define BITVEC_HEADER_NBYTES	(sizeof(uint8))
#define BITVEC_NBYTES(nbits)	(((nbits) + 7) / 8)

/* A bitvec to read: detoasted if need be, but not aligned. */
typedef struct BitvecView
{
	int			nbits;			/* = dimensions, at least 1 */
	int			nbytes;			/* of bits: BITVEC_NBYTES(nbits) */
	const uint8 *bits;			/* unaligned */
	void	   *copy;			/* what detoasting allocated, or NULL */
} BitvecView;

/* Throws: the datum is not a bitvec (a page went bad). */
pg_noreturn extern void bitvec_corrupt(Size nbytes, int nunused);

static inline BitvecView
bitvec_view(Datum value)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	Size		nbytes = VARSIZE_ANY_EXHDR(packed);
	const uint8 *data = (const uint8 *) VARDATA_ANY(packed);
	BitvecView	view;

	/* Lengths follow from the varlena header, so no bad value reads beyond it. */
	if (unlikely(nbytes < BITVEC_HEADER_NBYTES + 1 ||
				 nbytes > BITVEC_HEADER_NBYTES + BITVEC_NBYTES(BITVEC_MAX_DIMS) ||
				 data[0] > 7))
		bitvec_corrupt(nbytes, nbytes > 0 ? data[0] : 0);

	view.nbytes = (int) (nbytes - BITVEC_HEADER_NBYTES);
	view.nbits = view.nbytes * 8 - data[0];
	view.bits = data + BITVEC_HEADER_NBYTES;
	view.copy = (Pointer) packed != DatumGetPointer(value) ? packed : NULL;
	return view;
}

/* Free what detoasting allocated: needed where calls share one memory context, as in index builds. */
static inline void
bitvec_release(const BitvecView *view)
{
	if (view->copy)
		pfree(view->copy);
}

#define PG_GETARG_BITVEC(n) bitvec_view(PG_GETARG_DATUM(n))
#define PG_RETURN_BITVEC(p) PG_RETURN_POINTER(p)

/* A bitvec of nbits zero bits; requires 1 <= nbits <= BITVEC_MAX_DIMS. */
extern Bitvec *bitvec_make(int nbits);

/* Clear the padding bits of the last byte. */
static inline void
bitvec_clear_padding(Bitvec *vec, int nbytes)
{
	vec->bits[nbytes - 1] &= (uint8) (0xFF << vec->nunused);
}

#endif							/* QV_BITVEC_H */
