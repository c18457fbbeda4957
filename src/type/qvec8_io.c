/*
 * qvec8_io.c
 *		Text and binary form of type qvec8, its type modifier, and making one.
 *
 * Text is [codes], then *scale unless it is 1, then +offset or -offset unless
 * it is 0; {codes}, as of an array, is taken too.  Knows no distance.  See README.md, "qvec8".
 */
#include "type/dims.h"
#include "type/qvec8.h"

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"

#include <errno.h>
#include <stdlib.h>

PG_FUNCTION_INFO_V1(qvec8_in);
PG_FUNCTION_INFO_V1(qvec8_out);
PG_FUNCTION_INFO_V1(qvec8_recv);
PG_FUNCTION_INFO_V1(qvec8_send);
PG_FUNCTION_INFO_V1(qvec8_typmod_in);
PG_FUNCTION_INFO_V1(qvec8);

void
qvec8_corrupt(Size nbytes)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored qvec8 is damaged"),
			 errdetail("It has %zu bytes.", nbytes)));
}

Qvec8 *
qvec8_make(int ndims, float4 scale, float4 offset)
{
	Size		size = offsetof(Qvec8, codes) + ndims;
	Qvec8	   *vec = (Qvec8 *) palloc0(size);

	SET_VARSIZE(vec, size);
	vec->scale = scale;
	vec->offset = offset == 0 ? 0 : offset; /* -0 becomes 0: equal values are equal bytes */
	return vec;
}

/* ---- text ---- */

/* What is left to parse, and where to report what is wrong with it. */
typedef struct Parser
{
	const char *text;			/* the whole input */
	const char *at;				/* the next character */
	Node	   *escontext;
} Parser;

static void
skip_spaces(Parser *parser)
{
	while (*parser->at == ' ' || (*parser->at >= '\t' && *parser->at <= '\r'))
		parser->at++;
}

/* Take character c, spaces around it included, if it is next. */
static bool
accept(Parser *parser, char c)
{
	skip_spaces(parser);
	if (*parser->at != c)
		return false;
	parser->at++;
	skip_spaces(parser);
	return true;
}

/* Report that something else was expected here; always false. */
static bool
syntax_error(Parser *parser, const char *expected)
{
	const char *at = parser->at;

	if (*at == '\0')
		ereturn(parser->escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "qvec8", parser->text),
				 errdetail("The input ends where %s should be.", expected)));
	ereturn(parser->escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", "qvec8", parser->text),
			 errdetail("There should be %s at \"%.*s\".", expected,
					   pg_mbcliplen(at, (int) strlen(at), 20), at)));
}

static bool
parse_code(Parser *parser, int8 *code)
{
	const char *start = parser->at;
	bool		negative = *parser->at == '-';
	int			value = 0;

	if (*parser->at == '-' || *parser->at == '+')
		parser->at++;
	if (*parser->at < '0' || *parser->at > '9')
	{
		parser->at = start;
		return syntax_error(parser, "a whole number");
	}
	while (*parser->at >= '0' && *parser->at <= '9')
	{
		/* past 1000 it is out of range whatever follows */
		if (value < 1000)
			value = value * 10 + (*parser->at - '0');
		parser->at++;
	}
	if (negative)
		value = -value;
	if (value < QVEC8_MIN_CODE || value > QVEC8_MAX_CODE)
		ereturn(parser->escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("code \"%.*s\" is out of range for type %s",
						(int) Min(parser->at - start, 40), start, "qvec8"),
				 errdetail("A code is a whole number between %d and %d.",
						   QVEC8_MIN_CODE, QVEC8_MAX_CODE)));
	*code = (int8) value;
	return true;
}

/* [code, ...] or {code, ...} into codes, which has room for QVEC8_MAX_DIMS. */
static bool
parse_codes(Parser *parser, int8 *codes, int64 *ndims)
{
	int8		ignored;
	char		closing = ']';

	*ndims = 0;
	if (accept(parser, '{'))
		closing = '}';
	else if (!accept(parser, '['))
		return syntax_error(parser, "\"[\"");
	do
	{
		/* count those beyond the limit too, so that the error can name their number */
		if (!parse_code(parser, *ndims < QVEC8_MAX_DIMS ? &codes[*ndims] : &ignored))
			return false;
		(*ndims)++;
	} while (accept(parser, ','));
	if (!accept(parser, closing))
		return syntax_error(parser, closing == ']' ? "\",\" or \"]\"" : "\",\" or \"}\"");
	return true;
}

/* A decimal number without a sign, as a float4; what says which it is. */
static bool
parse_float(Parser *parser, const char *what, float4 *value)
{
	const char *start = parser->at;
	bool		digit = (*start >= '0' && *start <= '9') || *start == '.';
	char	   *end;

	errno = 0;
	*value = strtof(start, &end);
	if (*start == '-' || *start == '+' || end == start)
		return syntax_error(parser, "a number");
	parser->at = end;
	/* as float4in: a number too small to be normal is fine unless it became 0 */
	if (isnan(*value) || isinf(*value) || (errno == ERANGE && *value == 0))
		ereturn(parser->escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s \"%.*s\" is out of range for type %s", what,
						(int) Min(end - start, 40), start, "qvec8"),
				 digit ? errdetail("The %s must fit type real.", what) :
				 errdetail("The %s must be a finite number.", what)));
	return true;
}

static bool
parse_scale(Parser *parser, float4 *scale)
{
	const char *start = parser->at;
	bool		negative = *start == '-';

	if (negative)
		parser->at++;
	if (!parse_float(parser, "scale", scale))
		return false;
	if (negative || *scale == 0)
		ereturn(parser->escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("scale \"%.*s\" is out of range for type %s",
						(int) Min(parser->at - start, 40), start, "qvec8"),
				 errdetail("The scale must be greater than 0.")));
	skip_spaces(parser);
	return true;
}

/* The whole input; false once an error was reported. */
static bool
parse_qvec8(Parser *parser, int8 *codes, int64 *ndims, float4 *scale, float4 *offset)
{
	bool		negative;

	*scale = 1;
	*offset = 0;
	if (!parse_codes(parser, codes, ndims))
		return false;
	if (accept(parser, '*') && !parse_scale(parser, scale))
		return false;
	negative = *parser->at == '-';
	if (accept(parser, '-') || accept(parser, '+'))
	{
		if (!parse_float(parser, "offset", offset))
			return false;
		if (negative)
			*offset = -*offset;
	}
	skip_spaces(parser);
	if (*parser->at != '\0')
		return syntax_error(parser, "the end of the input");
	return true;
}

Datum
qvec8_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Parser		parser = {text, text, fcinfo->context};
	int8		codes[QVEC8_MAX_DIMS];
	int64		ndims;
	float4		scale;
	float4		offset;
	Qvec8	   *vec;

	if (!parse_qvec8(&parser, codes, &ndims, &scale, &offset) ||
		!dims_in_range(fcinfo->context, "qvec8", ndims, QVEC8_MAX_DIMS) ||
		!dims_match_typmod(fcinfo->context, typmod, ndims))
		return (Datum) 0;

	vec = qvec8_make((int) ndims, scale, offset);
	memcpy(vec->codes, codes, ndims);
	PG_RETURN_QVEC8(vec);
}

static void
append_float(StringInfo text, float4 value)
{
	char		digits[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(value, digits);
	appendStringInfoString(text, digits);
}

Datum
qvec8_out(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < vec.ndims; i++)
		appendStringInfo(&text, "%c%d", i == 0 ? '[' : ',', vec.codes[i]);
	appendStringInfoChar(&text, ']');
	if (vec.scale != 1)
	{
		appendStringInfoChar(&text, '*');
		append_float(&text, vec.scale);
	}
	if (vec.offset != 0)
	{
		/* a negative number brings its own sign */
		if (vec.offset > 0)
			appendStringInfoChar(&text, '+');
		append_float(&text, vec.offset);
	}
	PG_RETURN_CSTRING(text.data);
}

/* ---- binary ---- */

/*
 * Error context callback of qvec8_recv: codes without a header look like a header that fits
 * nothing.
 */
static void
layout_hint(void *arg)
{
	errhint("The binary form of a qvec8 is its number of dimensions, as 4 bytes in network order, scale and offset, as 4-byte floats, then the codes.");
}

Datum
qvec8_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	ErrorContextCallback callback = {error_context_stack, layout_hint, NULL};
	int32		ndims;
	float4		scale;
	float4		offset;
	Qvec8	   *vec;

	error_context_stack = &callback;
	ndims = (int32) pq_getmsgint(buf, sizeof(int32));
	scale = pq_getmsgfloat4(buf);
	offset = pq_getmsgfloat4(buf);
	dims_in_range(NULL, "qvec8", ndims, QVEC8_MAX_DIMS);
	dims_match_typmod(NULL, typmod, ndims);
	if (!(scale > 0) || isinf(scale))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("scale of qvec8 must be finite and greater than 0, not %g", scale)));
	if (!isfinite(offset))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("offset of qvec8 must be finite, not %g", offset)));
	if (buf->len - buf->cursor != ndims)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("qvec8 of %d dimensions takes %d code bytes, not %d",
						ndims, ndims, buf->len - buf->cursor)));

	vec = qvec8_make(ndims, scale, offset);
	pq_copymsgbytes(buf, (char *) vec->codes, ndims);
	error_context_stack = callback.previous;
	PG_RETURN_QVEC8(vec);
}

Datum
qvec8_send(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, vec.ndims);
	pq_sendfloat4(&buf, vec.scale);
	pq_sendfloat4(&buf, vec.offset);
	pq_sendbytes(&buf, (const char *) vec.codes, vec.ndims);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---- type modifier ---- */

Datum
qvec8_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(dims_typmod_in(PG_GETARG_ARRAYTYPE_P(0), "qvec8", QVEC8_MAX_DIMS));
}

/* The cast of qvec8 to qvec8(n): checks, never cuts or pads. */
Datum
qvec8(PG_FUNCTION_ARGS)
{
	Qvec8View	vec = PG_GETARG_QVEC8(0);

	dims_match_typmod(NULL, PG_GETARG_INT32(1), vec.ndims);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
