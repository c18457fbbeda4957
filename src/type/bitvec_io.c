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

/* The value of a hexadecimal digit, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* \x and packed bytes in hexadecimal, as bytea is written: 8 dimensions a byte. */
static Datum
bitvec_from_hex(const char *text, int32 typmod, Node *escontext)
{
	const char *digits = text + 2;
	size_t		ndigits = strlen(digits);
	size_t		nvalid = 0;
	Bitvec	   *vec;

	while (hex_digit(digits[nvalid]) >= 0)
		nvalid++;
	if (nvalid < ndigits || ndigits % 2 != 0)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "bitvec", text),
				 nvalid < ndigits ? errdetail("Character %zu is no hexadecimal digit.", nvalid + 3) :
				 errdetail("The number of hexadecimal digits is odd.")));
	if (!dims_in_range(escontext, "bitvec", (int64) ndigits * 4, BITVEC_MAX_DIMS) ||
		!dims_match_typmod(escontext, typmod, (int64) ndigits * 4))
		return (Datum) 0;

	vec = bitvec_make((int) ndigits * 4);
	for (size_t i = 0; i < ndigits; i++)
		vec->bits[i / 2] |= (uint8) (hex_digit(digits[i]) << (i % 2 == 0 ? 4 : 0));
	PG_RETURN_BITVEC(vec);
}

/* One character a dimension, or bytes in hexadecimal; no spaces. */
Datum
bitvec_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	size_t		nchars = strlen(text);
	size_t		nbits = strspn(text, "01");
	Bitvec	   *vec;

	if (text[0] == '\\' && text[1] == 'x')
		return bitvec_from_hex(text, typmod, escontext);
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

/*
 * Error context callback of bitvec_recv: packed bytes without a header look like a header that
 * fits nothing.
 */
static void
layout_hint(void *arg)
{
	errhint("The binary form of a bitvec is its number of dimensions, as 4 bytes in network order, then the packed bits; those alone are a bytea.");
}

/* The binary form is that of bit and varbit: the number of bits, then the bytes. */
Datum
bitvec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	ErrorContextCallback callback = {error_context_stack, layout_hint, NULL};
	int32		nbits;
	int			nbytes;
	uint8		last;
	Bitvec	   *vec;

	error_context_stack = &callback;
	nbits = (int32) pq_getmsgint(buf, sizeof(int32));
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
	error_context_stack = callback.previous;
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
