/*
 * bitvec_io.c
 *		Text and binary form of type bitvec, its type modifier, and making one.
 *
 * Knows no distance.  See README.md, "bitvec".
 */
#include "type/bitvec.h"
#include "type/dims.h"

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"

#include <string.h>

PG_FUNCTION_INFO_V1(bitvec_in);
PG_FUNCTION_INFO_V1(bitvec_out);
PG_FUNCTION_INFO_V1(bitvec_recv);
PG_FUNCTION_INFO_V1(bitvec_send);
PG_FUNCTION_INFO_V1(bitvec_typmod_in);
PG_FUNCTION_INFO_V1(bitvec);

void
bitvec_corrupt(Size nbytes, int nunused)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored bitvec is damaged"),
			 errdetail("It has %zu bytes, %d bits of the last unused.", nbytes, nunused)));
}

Bitvec *
bitvec_make(int nbits)
{
	int			nbytes = BITVEC_NBYTES(nbits);
	Size		size = offsetof(Bitvec, bits) + nbytes;
	Bitvec	   *vec = (Bitvec *) palloc0(size);

	SET_VARSIZE(vec, size);
	vec->nunused = (uint8) (nbytes * 8 - nbits);
	return vec;
}

/* One character a dimension, nothing else: no spaces, no prefix. */
Datum
bitvec_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	size_t		nchars = strlen(text);
	size_t		nbits = strspn(text, "01");
	Bitvec	   *vec;

	if (nbits < nchars)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "bitvec", text),
				 errdetail("Character %zu is neither \"0\" nor \"1\".", nbits + 1)));
	if (nbits == 0)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "bitvec", text),
				 errdetail("There must be at least one dimension.")));
	if (!dims_in_range(escontext, "bitvec", nbits, BITVEC_MAX_DIMS) ||
		!dims_match_typmod(escontext, typmod, nbits))
		return (Datum) 0;

	vec = bitvec_make((int) nbits);
	for (size_t i = 0; i < nbits; i++)
		vec->bits[i / 8] |= (uint8) ((text[i] - '0') << (7 - i % 8));
	PG_RETURN_BITVEC(vec);
}

Datum
bitvec_out(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	char	   *text = palloc(vec.nbits + 1);

	for (int i = 0; i < vec.nbits; i++)
		text[i] = (char) ('0' + ((vec.bits[i / 8] >> (7 - i % 8)) & 1));
	text[vec.nbits] = '\0';
	PG_RETURN_CSTRING(text);
}

/* The binary form is that of bit and varbit: the number of bits, then the bytes. */
Datum
bitvec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int32		nbits = (int32) pq_getmsgint(buf, sizeof(int32));
	int			nbytes;
	uint8		last;
	Bitvec	   *vec;

	dims_in_range(NULL, "bitvec", nbits, BITVEC_MAX_DIMS);
	dims_match_typmod(NULL, typmod, nbits);
	nbytes = BITVEC_NBYTES(nbits);
	if (buf->len - buf->cursor != nbytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("bitvec of %d dimensions takes %d bytes, not %d",
						nbits, nbytes, buf->len - buf->cursor)));

	vec = bitvec_make(nbits);
	pq_copymsgbytes(buf, (char *) vec->bits, nbytes);
	last = vec->bits[nbytes - 1];
	bitvec_clear_padding(vec, nbytes);
	if (vec->bits[nbytes - 1] != last)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("bitvec of %d dimensions has a padding bit set", nbits),
				 errdetail("The last byte is 0x%02X; its %d low bits must be zero.",
						   last, vec->nunused)));
	PG_RETURN_BITVEC(vec);
}

Datum
bitvec_send(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, vec.nbits);
	pq_sendbytes(&buf, (char *) vec.bits, vec.nbytes);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
bitvec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(dims_typmod_in(PG_GETARG_ARRAYTYPE_P(0), "bitvec", BITVEC_MAX_DIMS));
}

/* The cast of bitvec to bitvec(n): checks, never cuts or pads. */
Datum
bitvec(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);

	dims_match_typmod(NULL, PG_GETARG_INT32(1), vec.nbits);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
