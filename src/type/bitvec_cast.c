/*
 * bitvec_cast.c
 *		Casts between bitvec and bit, varbit, bytea, integers and booleans.
 *
 * Each makes a bitvec of as many dimensions as its input has; the cast of
 * bitvec to bitvec(n), which the parser adds, checks n.  Knows no distance.
 * See README.md, "Casts".
 */
#include "type/bitvec.h"
#include "type/dims.h"
#include "type/flatarray.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/varbit.h"

#include <string.h>

PG_FUNCTION_INFO_V1(varbit_to_bitvec);
PG_FUNCTION_INFO_V1(bitvec_to_varbit);
PG_FUNCTION_INFO_V1(bytea_to_bitvec);
PG_FUNCTION_INFO_V1(bitvec_to_bytea);
PG_FUNCTION_INFO_V1(int_array_to_bitvec);
PG_FUNCTION_INFO_V1(bool_array_to_bitvec);
PG_FUNCTION_INFO_V1(bitvec_to_bool_array);

/* Serves bit as well: the two are one datum. */
Datum
varbit_to_bitvec(PG_FUNCTION_ARGS)
{
	VarBit	   *source = PG_GETARG_VARBIT_P(0);
	Bitvec	   *vec;

	dims_in_range(NULL, "bitvec", VARBITLEN(source), BITVEC_MAX_DIMS);
	vec = bitvec_make(VARBITLEN(source));
	memcpy(vec->bits, VARBITS(source), VARBITBYTES(source));
	/* varbit promises zero padding too, but equality here depends on it */
	bitvec_clear_padding(vec, VARBITBYTES(source));
	PG_RETURN_BITVEC(vec);
}

Datum
bitvec_to_varbit(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	Size		size = VARBITTOTALLEN(vec.nbits);
	VarBit	   *result = (VarBit *) palloc0(size);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = vec.nbits;
	memcpy(VARBITS(result), vec.bits, vec.nbytes);
	PG_RETURN_VARBIT_P(result);
}

Datum
bytea_to_bitvec(PG_FUNCTION_ARGS)
{
	bytea	   *source = PG_GETARG_BYTEA_PP(0);
	int64		nbytes = VARSIZE_ANY_EXHDR(source);
	Bitvec	   *vec;

	dims_in_range(NULL, "bitvec", nbytes * 8, BITVEC_MAX_DIMS);
	vec = bitvec_make((int) nbytes * 8);
	memcpy(vec->bits, VARDATA_ANY(source), nbytes);
	PG_RETURN_BITVEC(vec);
}

Datum
bitvec_to_bytea(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	bytea	   *result = (bytea *) palloc(VARHDRSZ + vec.nbytes);

	SET_VARSIZE(result, VARHDRSZ + vec.nbytes);
	memcpy(VARDATA(result), vec.bits, vec.nbytes);
	PG_RETURN_BYTEA_P(result);
}

/* A byte of eight dimensions, as signed (-128..127) or unsigned (0..255) number. */
static uint8
byte_from_int(int position, int32 value)
{
	if (value < -128 || value > 255)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("array element %d is out of range for a byte of bitvec: %d",
						position, value),
				 errdetail("A byte is a number between -128 and 255.")));
	return (uint8) value;
}

/* From smallint[] or integer[]. */
Datum
int_array_to_bitvec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			nbytes = flat_array_count(array);
	Bitvec	   *vec;

	dims_in_range(NULL, "bitvec", (int64) nbytes * 8, BITVEC_MAX_DIMS);
	vec = bitvec_make(nbytes * 8);
	for (int i = 0; i < nbytes; i++)
		vec->bits[i] = byte_from_int(i + 1, flat_array_int(array, i));
	PG_RETURN_BITVEC(vec);
}

Datum
bool_array_to_bitvec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			nbits = flat_array_count(array);
	const bool *values = (const bool *) flat_array_data(array);
	Bitvec	   *vec;

	dims_in_range(NULL, "bitvec", nbits, BITVEC_MAX_DIMS);
	vec = bitvec_make(nbits);
	for (int i = 0; i < nbits; i++)
		if (values[i])
			vec->bits[i / 8] |= (uint8) (0x80 >> (i % 8));
	PG_RETURN_BITVEC(vec);
}

Datum
bitvec_to_bool_array(PG_FUNCTION_ARGS)
{
	BitvecView	vec = PG_GETARG_BITVEC(0);
	Datum	   *values = (Datum *) palloc(sizeof(Datum) * vec.nbits);

	for (int i = 0; i < vec.nbits; i++)
		values[i] = BoolGetDatum((vec.bits[i / 8] >> (7 - i % 8)) & 1);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, vec.nbits, BOOLOID,
										  sizeof(bool), true, TYPALIGN_CHAR));
}
