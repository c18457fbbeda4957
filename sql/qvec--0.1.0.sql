-- Install script of qvec 0.1.0.  One section a topic, and every object has its comment.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION qvec" to load this file. \quit

-- Costs are in units of one cheap operator and chosen by hand from what the
-- parts take: counting bits is an operator like any other; a qvec8 is some
-- ten times as long; a real[] is long again and often has to be detoasted.

-- Type bitvec

CREATE TYPE bitvec;

CREATE FUNCTION bitvec_in(cstring, oid, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION bitvec_out(bitvec) RETURNS cstring
    AS 'MODULE_PATHNAME', 'bitvec_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_out(bitvec) IS 'I/O';

CREATE FUNCTION bitvec_recv(internal, oid, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION bitvec_send(bitvec) RETURNS bytea
    AS 'MODULE_PATHNAME', 'bitvec_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_send(bitvec) IS 'I/O';

CREATE FUNCTION bitvec_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME', 'bitvec_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_typmod_in(cstring[]) IS 'I/O typmod';

-- Inline wherever the row fits on a page: src/type/README.md, "Storage".
CREATE TYPE bitvec (
    INPUT = bitvec_in,
    OUTPUT = bitvec_out,
    RECEIVE = bitvec_recv,
    SEND = bitvec_send,
    TYPMOD_IN = bitvec_typmod_in,
    ALIGNMENT = int4,
    STORAGE = main
);
COMMENT ON TYPE bitvec IS 'vector of bits, bitvec(n) with n from 1 to 64000';

CREATE FUNCTION bitvec(bitvec, integer, boolean) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(bitvec, integer, boolean) IS 'checks the number of dimensions';

CREATE CAST (bitvec AS bitvec) WITH FUNCTION bitvec(bitvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (bitvec AS bitvec) IS 'checks the number of dimensions';

-- Type qvec8

CREATE TYPE qvec8;

CREATE FUNCTION qvec8_in(cstring, oid, integer) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'qvec8_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION qvec8_out(qvec8) RETURNS cstring
    AS 'MODULE_PATHNAME', 'qvec8_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_out(qvec8) IS 'I/O';

CREATE FUNCTION qvec8_recv(internal, oid, integer) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'qvec8_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION qvec8_send(qvec8) RETURNS bytea
    AS 'MODULE_PATHNAME', 'qvec8_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_send(qvec8) IS 'I/O';

CREATE FUNCTION qvec8_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME', 'qvec8_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_typmod_in(cstring[]) IS 'I/O typmod';

-- Inline wherever the row fits on a page: src/type/README.md, "Storage".
CREATE TYPE qvec8 (
    INPUT = qvec8_in,
    OUTPUT = qvec8_out,
    RECEIVE = qvec8_recv,
    SEND = qvec8_send,
    TYPMOD_IN = qvec8_typmod_in,
    ALIGNMENT = int4,
    STORAGE = main
);
COMMENT ON TYPE qvec8 IS 'vector of signed bytes with a scale and an offset, qvec8(n) with n from 1 to 16000';

CREATE FUNCTION qvec8(qvec8, integer, boolean) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'qvec8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8(qvec8, integer, boolean) IS 'checks the number of dimensions';

CREATE CAST (qvec8 AS qvec8) WITH FUNCTION qvec8(qvec8, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (qvec8 AS qvec8) IS 'checks the number of dimensions';

-- Casts of bitvec

CREATE FUNCTION bitvec(bit) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'varbit_to_bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(bit) IS 'converts bit to bitvec';

CREATE FUNCTION bitvec(bit varying) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'varbit_to_bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(bit varying) IS 'converts bit varying to bitvec';

CREATE FUNCTION bitvec(bytea) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bytea_to_bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(bytea) IS 'converts packed bytes to bitvec, 8 dimensions a byte';

CREATE FUNCTION bitvec(smallint[]) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'int_array_to_bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(smallint[]) IS 'converts signed or unsigned bytes to bitvec, 8 dimensions each';

CREATE FUNCTION bitvec(integer[]) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'int_array_to_bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(integer[]) IS 'converts signed or unsigned bytes to bitvec, 8 dimensions each';

CREATE FUNCTION bitvec(boolean[]) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bool_array_to_bitvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec(boolean[]) IS 'converts an array of boolean to bitvec';

CREATE FUNCTION bitvec_to_bit(bitvec) RETURNS bit
    AS 'MODULE_PATHNAME', 'bitvec_to_varbit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_to_bit(bitvec) IS 'converts bitvec to bit';

CREATE FUNCTION bitvec_to_varbit(bitvec) RETURNS bit varying
    AS 'MODULE_PATHNAME', 'bitvec_to_varbit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_to_varbit(bitvec) IS 'converts bitvec to bit varying';

CREATE FUNCTION bitvec_to_bytea(bitvec) RETURNS bytea
    AS 'MODULE_PATHNAME', 'bitvec_to_bytea' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_to_bytea(bitvec) IS 'converts bitvec to packed bytes';

CREATE FUNCTION bitvec_to_boolean_array(bitvec) RETURNS boolean[]
    AS 'MODULE_PATHNAME', 'bitvec_to_bool_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_to_boolean_array(bitvec) IS 'converts bitvec to an array of boolean';

-- Implicit only where nothing is lost and no other operator competes: a bit
-- constant beside a bitvec is a bitvec.

CREATE CAST (bit AS bitvec) WITH FUNCTION bitvec(bit) AS IMPLICIT;
COMMENT ON CAST (bit AS bitvec) IS 'one dimension a bit';

CREATE CAST (bit varying AS bitvec) WITH FUNCTION bitvec(bit varying) AS ASSIGNMENT;
COMMENT ON CAST (bit varying AS bitvec) IS 'one dimension a bit';

CREATE CAST (bytea AS bitvec) WITH FUNCTION bitvec(bytea) AS ASSIGNMENT;
COMMENT ON CAST (bytea AS bitvec) IS '8 dimensions a byte';

CREATE CAST (smallint[] AS bitvec) WITH FUNCTION bitvec(smallint[]) AS ASSIGNMENT;
COMMENT ON CAST (smallint[] AS bitvec) IS '8 dimensions an element of -128 to 255';

CREATE CAST (integer[] AS bitvec) WITH FUNCTION bitvec(integer[]) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS bitvec) IS '8 dimensions an element of -128 to 255';

CREATE CAST (boolean[] AS bitvec) WITH FUNCTION bitvec(boolean[]) AS ASSIGNMENT;
COMMENT ON CAST (boolean[] AS bitvec) IS 'one dimension an element';

CREATE CAST (bitvec AS bit) WITH FUNCTION bitvec_to_bit(bitvec) AS ASSIGNMENT;
COMMENT ON CAST (bitvec AS bit) IS 'one bit a dimension';

CREATE CAST (bitvec AS bit varying) WITH FUNCTION bitvec_to_varbit(bitvec) AS ASSIGNMENT;
COMMENT ON CAST (bitvec AS bit varying) IS 'one bit a dimension';

CREATE CAST (bitvec AS bytea) WITH FUNCTION bitvec_to_bytea(bitvec) AS ASSIGNMENT;
COMMENT ON CAST (bitvec AS bytea) IS 'packed bytes, the last one padded with zeroes';

CREATE CAST (bitvec AS boolean[]) WITH FUNCTION bitvec_to_boolean_array(bitvec) AS ASSIGNMENT;
COMMENT ON CAST (bitvec AS boolean[]) IS 'one element a dimension';

-- Quantizing, and the casts of qvec8

CREATE FUNCTION binary_quantize(real[]) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'real_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION binary_quantize(real[]) IS '1 where an element is greater than 0';

CREATE FUNCTION binary_quantize(real[], center real[]) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'real_binary_quantize_center' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION binary_quantize(real[], real[]) IS '1 where an element is greater than that of the center, for data without signs';

CREATE FUNCTION binary_quantize(qvec8) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'qvec8_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION binary_quantize(qvec8) IS '1 where a dequantized dimension is greater than 0';

CREATE FUNCTION quantize_int8(real[]) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'real_quantize_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION quantize_int8(real[]) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(real[], lo real, hi real) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'real_quantize_int8_range' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION quantize_int8(real[], real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE FUNCTION quantize_sq_l2(real[], lo real, hi real) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'real_quantize_sq_l2' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION quantize_sq_l2(real[], real, real) IS 'signed bytes for L2 by OpenSearch''s recipe: the interval from lo to hi in 255 steps, scale 1';

CREATE FUNCTION quantize_sq_cosine(real[], lo real, hi real) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'real_quantize_sq_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION quantize_sq_cosine(real[], real, real) IS 'signed bytes for cosine by OpenSearch''s recipe: 0 to hi in 127 steps, 0 to lo in 128, scale 1';

CREATE FUNCTION dequantize(qvec8) RETURNS real[]
    AS 'MODULE_PATHNAME', 'qvec8_dequantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION dequantize(qvec8) IS 'the numbers that the codes stand for';

CREATE FUNCTION dequantize(bitvec) RETURNS real[]
    AS 'MODULE_PATHNAME', 'bitvec_dequantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION dequantize(bitvec) IS '-1 for a 0 and 1 for a 1';

CREATE FUNCTION qvec8(smallint[]) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'int_array_to_qvec8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8(smallint[]) IS 'takes numbers from -128 to 127 as codes, with scale 1';

CREATE FUNCTION qvec8(integer[]) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'int_array_to_qvec8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8(integer[]) IS 'takes numbers from -128 to 127 as codes, with scale 1';

CREATE CAST (smallint[] AS qvec8) WITH FUNCTION qvec8(smallint[]) AS ASSIGNMENT;
COMMENT ON CAST (smallint[] AS qvec8) IS 'codes with scale 1';

CREATE CAST (integer[] AS qvec8) WITH FUNCTION qvec8(integer[]) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS qvec8) IS 'codes with scale 1';

CREATE CAST (real[] AS qvec8) WITH FUNCTION quantize_int8(real[]) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS qvec8) IS 'quantizes';

CREATE CAST (qvec8 AS real[]) WITH FUNCTION dequantize(qvec8) AS ASSIGNMENT;
COMMENT ON CAST (qvec8 AS real[]) IS 'dequantizes';

-- Distances of bitvec

CREATE FUNCTION hamming_distance(bitvec, bitvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'bitvec_hamming_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION hamming_distance(bitvec, bitvec) IS 'number of dimensions that differ';

CREATE FUNCTION jaccard_distance(bitvec, bitvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'bitvec_jaccard_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION jaccard_distance(bitvec, bitvec) IS 'share of the dimensions set in either that are not set in both';

CREATE OPERATOR <~> (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bitvec, bitvec) IS 'Hamming distance';

CREATE OPERATOR <%> (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bitvec, bitvec) IS 'Jaccard distance';

CREATE FUNCTION cosine_distance(bitvec, bitvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'bitvec_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION cosine_distance(bitvec, bitvec) IS '1 minus the cosine of the angle of the vectors of -1s and 1s';

CREATE OPERATOR <=> (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (bitvec, bitvec) IS 'cosine distance';

-- Distances of qvec8

CREATE FUNCTION cosine_distance(qvec8, qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4;
COMMENT ON FUNCTION cosine_distance(qvec8, qvec8) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(qvec8, qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4;
COMMENT ON FUNCTION l2_distance(qvec8, qvec8) IS 'Euclidean distance';

CREATE FUNCTION inner_product(qvec8, qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4;
COMMENT ON FUNCTION inner_product(qvec8, qvec8) IS 'inner product';

CREATE FUNCTION qvec8_negative_inner_product(qvec8, qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4;
COMMENT ON FUNCTION qvec8_negative_inner_product(qvec8, qvec8) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(qvec8, qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4;
COMMENT ON FUNCTION l1_distance(qvec8, qvec8) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (qvec8, qvec8) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (qvec8, qvec8) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (qvec8, qvec8) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (qvec8, qvec8) IS 'taxicab distance';

-- Distances of real[]

CREATE FUNCTION real_distance_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'real_distance_support' LANGUAGE C STRICT;
COMMENT ON FUNCTION real_distance_support(internal) IS 'planner support: makes an array a vector of pgvector where a column is one';

CREATE FUNCTION cosine_distance(real[], real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT real_distance_support;
COMMENT ON FUNCTION cosine_distance(real[], real[]) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(real[], real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT real_distance_support;
COMMENT ON FUNCTION l2_distance(real[], real[]) IS 'Euclidean distance';

CREATE FUNCTION inner_product(real[], real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION inner_product(real[], real[]) IS 'inner product';

CREATE FUNCTION real_negative_inner_product(real[], real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT real_distance_support;
COMMENT ON FUNCTION real_negative_inner_product(real[], real[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(real[], real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    SUPPORT real_distance_support;
COMMENT ON FUNCTION l1_distance(real[], real[]) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = real[], RIGHTARG = real[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (real[], real[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = real[], RIGHTARG = real[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (real[], real[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = real[], RIGHTARG = real[], FUNCTION = real_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (real[], real[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = real[], RIGHTARG = real[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (real[], real[]) IS 'taxicab distance';

-- Distances of double precision[].  Elements are rounded to real, in columns and in queries.
-- Where a real[] column meets a double precision[], the support function keeps the column as it is.

CREATE FUNCTION float8_array_to_real(double precision[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'float8_array_to_real' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION float8_array_to_real(double precision[]) IS 'rounds to real; what is too small for that becomes 0';

CREATE FUNCTION float8_distance_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'float8_distance_support' LANGUAGE C STRICT;
COMMENT ON FUNCTION float8_distance_support(internal) IS 'planner support: rounds a query to the real[] of the column it is compared with';

CREATE FUNCTION cosine_distance(double precision[], double precision[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'float8_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 25 SUPPORT float8_distance_support;
COMMENT ON FUNCTION cosine_distance(double precision[], double precision[]) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(double precision[], double precision[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'float8_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 25 SUPPORT float8_distance_support;
COMMENT ON FUNCTION l2_distance(double precision[], double precision[]) IS 'Euclidean distance';

CREATE FUNCTION inner_product(double precision[], double precision[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'float8_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 25;
COMMENT ON FUNCTION inner_product(double precision[], double precision[]) IS 'inner product';

CREATE FUNCTION float8_negative_inner_product(double precision[], double precision[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'float8_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 25 SUPPORT float8_distance_support;
COMMENT ON FUNCTION float8_negative_inner_product(double precision[], double precision[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(double precision[], double precision[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'float8_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 25 SUPPORT float8_distance_support;
COMMENT ON FUNCTION l1_distance(double precision[], double precision[]) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = double precision[], RIGHTARG = double precision[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (double precision[], double precision[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = double precision[], RIGHTARG = double precision[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (double precision[], double precision[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = double precision[], RIGHTARG = double precision[], FUNCTION = float8_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (double precision[], double precision[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = double precision[], RIGHTARG = double precision[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (double precision[], double precision[]) IS 'taxicab distance';

-- The other arrays of numbers that drivers and constants bring.  Each goes to real[] by itself, but
-- two of them would go to real[] and to double precision[] alike: doc/decisions/0270.

CREATE FUNCTION cosine_distance(numeric[], numeric[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <=> $2::real[];
COMMENT ON FUNCTION cosine_distance(numeric[], numeric[]) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(numeric[], numeric[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <-> $2::real[];
COMMENT ON FUNCTION l2_distance(numeric[], numeric[]) IS 'Euclidean distance';

CREATE FUNCTION inner_product(numeric[], numeric[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN inner_product($1::real[], $2::real[]);
COMMENT ON FUNCTION inner_product(numeric[], numeric[]) IS 'inner product';

CREATE FUNCTION numeric_negative_inner_product(numeric[], numeric[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <#> $2::real[];
COMMENT ON FUNCTION numeric_negative_inner_product(numeric[], numeric[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(numeric[], numeric[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <+> $2::real[];
COMMENT ON FUNCTION l1_distance(numeric[], numeric[]) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = numeric[], RIGHTARG = numeric[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (numeric[], numeric[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = numeric[], RIGHTARG = numeric[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (numeric[], numeric[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = numeric[], RIGHTARG = numeric[], FUNCTION = numeric_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (numeric[], numeric[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = numeric[], RIGHTARG = numeric[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (numeric[], numeric[]) IS 'taxicab distance';

CREATE FUNCTION cosine_distance(bigint[], bigint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <=> $2::real[];
COMMENT ON FUNCTION cosine_distance(bigint[], bigint[]) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(bigint[], bigint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <-> $2::real[];
COMMENT ON FUNCTION l2_distance(bigint[], bigint[]) IS 'Euclidean distance';

CREATE FUNCTION inner_product(bigint[], bigint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN inner_product($1::real[], $2::real[]);
COMMENT ON FUNCTION inner_product(bigint[], bigint[]) IS 'inner product';

CREATE FUNCTION int8_negative_inner_product(bigint[], bigint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <#> $2::real[];
COMMENT ON FUNCTION int8_negative_inner_product(bigint[], bigint[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(bigint[], bigint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <+> $2::real[];
COMMENT ON FUNCTION l1_distance(bigint[], bigint[]) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = bigint[], RIGHTARG = bigint[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (bigint[], bigint[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = bigint[], RIGHTARG = bigint[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (bigint[], bigint[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = bigint[], RIGHTARG = bigint[], FUNCTION = int8_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (bigint[], bigint[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = bigint[], RIGHTARG = bigint[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (bigint[], bigint[]) IS 'taxicab distance';

CREATE FUNCTION cosine_distance(integer[], integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <=> $2::real[];
COMMENT ON FUNCTION cosine_distance(integer[], integer[]) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(integer[], integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <-> $2::real[];
COMMENT ON FUNCTION l2_distance(integer[], integer[]) IS 'Euclidean distance';

CREATE FUNCTION inner_product(integer[], integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN inner_product($1::real[], $2::real[]);
COMMENT ON FUNCTION inner_product(integer[], integer[]) IS 'inner product';

CREATE FUNCTION int4_negative_inner_product(integer[], integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <#> $2::real[];
COMMENT ON FUNCTION int4_negative_inner_product(integer[], integer[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(integer[], integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <+> $2::real[];
COMMENT ON FUNCTION l1_distance(integer[], integer[]) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = integer[], RIGHTARG = integer[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (integer[], integer[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = integer[], RIGHTARG = integer[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (integer[], integer[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = integer[], RIGHTARG = integer[], FUNCTION = int4_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (integer[], integer[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = integer[], RIGHTARG = integer[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (integer[], integer[]) IS 'taxicab distance';

CREATE FUNCTION cosine_distance(smallint[], smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <=> $2::real[];
COMMENT ON FUNCTION cosine_distance(smallint[], smallint[]) IS '1 minus the cosine of the angle';

CREATE FUNCTION l2_distance(smallint[], smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <-> $2::real[];
COMMENT ON FUNCTION l2_distance(smallint[], smallint[]) IS 'Euclidean distance';

CREATE FUNCTION inner_product(smallint[], smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN inner_product($1::real[], $2::real[]);
COMMENT ON FUNCTION inner_product(smallint[], smallint[]) IS 'inner product';

CREATE FUNCTION int2_negative_inner_product(smallint[], smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <#> $2::real[];
COMMENT ON FUNCTION int2_negative_inner_product(smallint[], smallint[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(smallint[], smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::real[] <+> $2::real[];
COMMENT ON FUNCTION l1_distance(smallint[], smallint[]) IS 'taxicab distance';

CREATE OPERATOR <=> (
    LEFTARG = smallint[], RIGHTARG = smallint[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (smallint[], smallint[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = smallint[], RIGHTARG = smallint[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (smallint[], smallint[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = smallint[], RIGHTARG = smallint[], FUNCTION = int2_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (smallint[], smallint[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = smallint[], RIGHTARG = smallint[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (smallint[], smallint[]) IS 'taxicab distance';

-- qvec8 beside arrays of codes

CREATE FUNCTION cosine_distance(qvec8, smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <=> qvec8($2);
COMMENT ON FUNCTION cosine_distance(qvec8, smallint[]) IS '1 minus the cosine of the angle, of an array of codes';

CREATE FUNCTION l2_distance(qvec8, smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <-> qvec8($2);
COMMENT ON FUNCTION l2_distance(qvec8, smallint[]) IS 'Euclidean distance, of an array of codes';

CREATE FUNCTION inner_product(qvec8, smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN inner_product($1, qvec8($2));
COMMENT ON FUNCTION inner_product(qvec8, smallint[]) IS 'inner product, of an array of codes';

CREATE FUNCTION qvec8_int2_negative_inner_product(qvec8, smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <#> qvec8($2);
COMMENT ON FUNCTION qvec8_int2_negative_inner_product(qvec8, smallint[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(qvec8, smallint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <+> qvec8($2);
COMMENT ON FUNCTION l1_distance(qvec8, smallint[]) IS 'taxicab distance, of an array of codes';

CREATE OPERATOR <=> (
    LEFTARG = qvec8, RIGHTARG = smallint[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (qvec8, smallint[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = qvec8, RIGHTARG = smallint[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (qvec8, smallint[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = qvec8, RIGHTARG = smallint[], FUNCTION = qvec8_int2_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (qvec8, smallint[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = qvec8, RIGHTARG = smallint[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (qvec8, smallint[]) IS 'taxicab distance';

CREATE FUNCTION cosine_distance(smallint[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <=> $2;
COMMENT ON FUNCTION cosine_distance(smallint[], qvec8) IS '1 minus the cosine of the angle, of an array of codes';

CREATE FUNCTION l2_distance(smallint[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <-> $2;
COMMENT ON FUNCTION l2_distance(smallint[], qvec8) IS 'Euclidean distance, of an array of codes';

CREATE FUNCTION inner_product(smallint[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN inner_product(qvec8($1), $2);
COMMENT ON FUNCTION inner_product(smallint[], qvec8) IS 'inner product, of an array of codes';

CREATE FUNCTION int2_qvec8_negative_inner_product(smallint[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <#> $2;
COMMENT ON FUNCTION int2_qvec8_negative_inner_product(smallint[], qvec8) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(smallint[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <+> $2;
COMMENT ON FUNCTION l1_distance(smallint[], qvec8) IS 'taxicab distance, of an array of codes';

CREATE OPERATOR <=> (
    LEFTARG = smallint[], RIGHTARG = qvec8, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (smallint[], qvec8) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = smallint[], RIGHTARG = qvec8, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (smallint[], qvec8) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = smallint[], RIGHTARG = qvec8, FUNCTION = int2_qvec8_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (smallint[], qvec8) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = smallint[], RIGHTARG = qvec8, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (smallint[], qvec8) IS 'taxicab distance';

CREATE FUNCTION cosine_distance(qvec8, integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <=> qvec8($2);
COMMENT ON FUNCTION cosine_distance(qvec8, integer[]) IS '1 minus the cosine of the angle, of an array of codes';

CREATE FUNCTION l2_distance(qvec8, integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <-> qvec8($2);
COMMENT ON FUNCTION l2_distance(qvec8, integer[]) IS 'Euclidean distance, of an array of codes';

CREATE FUNCTION inner_product(qvec8, integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN inner_product($1, qvec8($2));
COMMENT ON FUNCTION inner_product(qvec8, integer[]) IS 'inner product, of an array of codes';

CREATE FUNCTION qvec8_int4_negative_inner_product(qvec8, integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <#> qvec8($2);
COMMENT ON FUNCTION qvec8_int4_negative_inner_product(qvec8, integer[]) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(qvec8, integer[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN $1 <+> qvec8($2);
COMMENT ON FUNCTION l1_distance(qvec8, integer[]) IS 'taxicab distance, of an array of codes';

CREATE OPERATOR <=> (
    LEFTARG = qvec8, RIGHTARG = integer[], FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (qvec8, integer[]) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = qvec8, RIGHTARG = integer[], FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (qvec8, integer[]) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = qvec8, RIGHTARG = integer[], FUNCTION = qvec8_int4_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (qvec8, integer[]) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = qvec8, RIGHTARG = integer[], FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (qvec8, integer[]) IS 'taxicab distance';

CREATE FUNCTION cosine_distance(integer[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <=> $2;
COMMENT ON FUNCTION cosine_distance(integer[], qvec8) IS '1 minus the cosine of the angle, of an array of codes';

CREATE FUNCTION l2_distance(integer[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <-> $2;
COMMENT ON FUNCTION l2_distance(integer[], qvec8) IS 'Euclidean distance, of an array of codes';

CREATE FUNCTION inner_product(integer[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN inner_product(qvec8($1), $2);
COMMENT ON FUNCTION inner_product(integer[], qvec8) IS 'inner product, of an array of codes';

CREATE FUNCTION int4_qvec8_negative_inner_product(integer[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <#> $2;
COMMENT ON FUNCTION int4_qvec8_negative_inner_product(integer[], qvec8) IS 'implementation of <#> operator';

CREATE FUNCTION l1_distance(integer[], qvec8) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5
    RETURN qvec8($1) <+> $2;
COMMENT ON FUNCTION l1_distance(integer[], qvec8) IS 'taxicab distance, of an array of codes';

CREATE OPERATOR <=> (
    LEFTARG = integer[], RIGHTARG = qvec8, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (integer[], qvec8) IS 'cosine distance';

CREATE OPERATOR <-> (
    LEFTARG = integer[], RIGHTARG = qvec8, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (integer[], qvec8) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = integer[], RIGHTARG = qvec8, FUNCTION = int4_qvec8_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (integer[], qvec8) IS 'negative inner product';

CREATE OPERATOR <+> (
    LEFTARG = integer[], RIGHTARG = qvec8, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (integer[], qvec8) IS 'taxicab distance';

-- bitvec beside packed bytes, 8 dimensions each

CREATE FUNCTION hamming_distance(bitvec, bytea) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2
    RETURN $1 <~> bitvec($2);
COMMENT ON FUNCTION hamming_distance(bitvec, bytea) IS 'number of dimensions that differ';

CREATE OPERATOR <~> (
    LEFTARG = bitvec, RIGHTARG = bytea, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bitvec, bytea) IS 'Hamming distance';

CREATE FUNCTION jaccard_distance(bitvec, bytea) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2
    RETURN $1 <%> bitvec($2);
COMMENT ON FUNCTION jaccard_distance(bitvec, bytea) IS 'share of the dimensions set in either that are not set in both';

CREATE OPERATOR <%> (
    LEFTARG = bitvec, RIGHTARG = bytea, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bitvec, bytea) IS 'Jaccard distance';

CREATE FUNCTION hamming_distance(bytea, bitvec) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2
    RETURN bitvec($1) <~> $2;
COMMENT ON FUNCTION hamming_distance(bytea, bitvec) IS 'number of dimensions that differ';

CREATE OPERATOR <~> (
    LEFTARG = bytea, RIGHTARG = bitvec, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bytea, bitvec) IS 'Hamming distance';

CREATE FUNCTION jaccard_distance(bytea, bitvec) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2
    RETURN bitvec($1) <%> $2;
COMMENT ON FUNCTION jaccard_distance(bytea, bitvec) IS 'share of the dimensions set in either that are not set in both';

CREATE OPERATOR <%> (
    LEFTARG = bytea, RIGHTARG = bitvec, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bytea, bitvec) IS 'Jaccard distance';

-- Two constants without a type are text to the parser wherever text is taken.  Without these it could
-- not choose between bitvec and the bit of pgvector, whose functions have the same names.

CREATE FUNCTION hamming_distance(text, text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2
    RETURN $1::bitvec <~> $2::bitvec;
COMMENT ON FUNCTION hamming_distance(text, text) IS 'number of dimensions that differ';

CREATE OPERATOR <~> (
    LEFTARG = text, RIGHTARG = text, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (text, text) IS 'Hamming distance';

CREATE FUNCTION jaccard_distance(text, text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2
    RETURN $1::bitvec <%> $2::bitvec;
COMMENT ON FUNCTION jaccard_distance(text, text) IS 'share of the dimensions set in either that are not set in both';

CREATE OPERATOR <%> (
    LEFTARG = text, RIGHTARG = text, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (text, text) IS 'Jaccard distance';

-- Quantizing what is no real[]

CREATE FUNCTION binary_quantize(double precision[]) RETURNS bitvec
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10
    RETURN binary_quantize(float8_array_to_real($1));
COMMENT ON FUNCTION binary_quantize(double precision[]) IS '1 where an element is greater than 0';

CREATE FUNCTION binary_quantize(numeric[]) RETURNS bitvec
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10
    RETURN binary_quantize($1::real[]);
COMMENT ON FUNCTION binary_quantize(numeric[]) IS '1 where an element is greater than 0';

CREATE FUNCTION binary_quantize(bigint[]) RETURNS bitvec
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10
    RETURN binary_quantize($1::real[]);
COMMENT ON FUNCTION binary_quantize(bigint[]) IS '1 where an element is greater than 0';

CREATE FUNCTION binary_quantize(integer[]) RETURNS bitvec
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10
    RETURN binary_quantize($1::real[]);
COMMENT ON FUNCTION binary_quantize(integer[]) IS '1 where an element is greater than 0';

CREATE FUNCTION binary_quantize(smallint[]) RETURNS bitvec
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10
    RETURN binary_quantize($1::real[]);
COMMENT ON FUNCTION binary_quantize(smallint[]) IS '1 where an element is greater than 0';

CREATE FUNCTION quantize_int8(double precision[]) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8(float8_array_to_real($1));
COMMENT ON FUNCTION quantize_int8(double precision[]) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(numeric[]) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[]);
COMMENT ON FUNCTION quantize_int8(numeric[]) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(bigint[]) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[]);
COMMENT ON FUNCTION quantize_int8(bigint[]) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(integer[]) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[]);
COMMENT ON FUNCTION quantize_int8(integer[]) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(smallint[]) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[]);
COMMENT ON FUNCTION quantize_int8(smallint[]) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(text) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[]);
COMMENT ON FUNCTION quantize_int8(text) IS 'signed bytes with the scale of the largest element';

CREATE FUNCTION quantize_int8(double precision[], lo real, hi real) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8(float8_array_to_real($1), lo, hi);
COMMENT ON FUNCTION quantize_int8(double precision[], real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE FUNCTION quantize_int8(numeric[], lo real, hi real) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[], lo, hi);
COMMENT ON FUNCTION quantize_int8(numeric[], real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE FUNCTION quantize_int8(bigint[], lo real, hi real) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[], lo, hi);
COMMENT ON FUNCTION quantize_int8(bigint[], real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE FUNCTION quantize_int8(integer[], lo real, hi real) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[], lo, hi);
COMMENT ON FUNCTION quantize_int8(integer[], real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE FUNCTION quantize_int8(smallint[], lo real, hi real) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[], lo, hi);
COMMENT ON FUNCTION quantize_int8(smallint[], real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE FUNCTION quantize_int8(text, lo real, hi real) RETURNS qvec8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 15
    RETURN quantize_int8($1::real[], lo, hi);
COMMENT ON FUNCTION quantize_int8(text, real, real) IS 'signed bytes that divide the interval from lo to hi';

CREATE CAST (double precision[] AS qvec8) WITH FUNCTION quantize_int8(double precision[]) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS qvec8) IS 'quantizes';

CREATE CAST (numeric[] AS qvec8) WITH FUNCTION quantize_int8(numeric[]) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS qvec8) IS 'quantizes';

-- Dimensions, norms, pieces

CREATE FUNCTION vector_dims(bitvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'bitvec_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(bitvec) IS 'number of dimensions';

CREATE FUNCTION l2_norm(bitvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'bitvec_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(bitvec) IS 'Euclidean norm of the vector of 0s and 1s';

CREATE FUNCTION vector_norm(bitvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'bitvec_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_norm(bitvec) IS 'Euclidean norm of the vector of 0s and 1s';

CREATE FUNCTION subvector(bitvec, start integer, count integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(bitvec, integer, integer) IS 'count dimensions from start on, where they exist';

CREATE FUNCTION vector_dims(qvec8) RETURNS integer
    AS 'MODULE_PATHNAME', 'qvec8_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(qvec8) IS 'number of dimensions';

CREATE FUNCTION l2_norm(qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(qvec8) IS 'Euclidean norm';

CREATE FUNCTION vector_norm(qvec8) RETURNS double precision
    AS 'MODULE_PATHNAME', 'qvec8_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_norm(qvec8) IS 'Euclidean norm';

CREATE FUNCTION subvector(qvec8, start integer, count integer) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'qvec8_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(qvec8, integer, integer) IS 'count dimensions from start on, where they exist';

CREATE FUNCTION vector_dims(real[]) RETURNS integer
    AS 'MODULE_PATHNAME', 'real_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(real[]) IS 'number of dimensions';

CREATE FUNCTION l2_norm(real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(real[]) IS 'Euclidean norm';

CREATE FUNCTION vector_norm(real[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'real_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_norm(real[]) IS 'Euclidean norm';

CREATE FUNCTION subvector(real[], start integer, count integer) RETURNS real[]
    AS 'MODULE_PATHNAME', 'real_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(real[], integer, integer) IS 'count dimensions from start on, where they exist';

CREATE FUNCTION bitvec_concat(bitvec, bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_concat' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_concat(bitvec, bitvec) IS 'implementation of || operator';

CREATE OPERATOR || (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_concat
);
COMMENT ON OPERATOR || (bitvec, bitvec) IS 'concatenate';

CREATE FUNCTION qvec8_concat(qvec8, qvec8) RETURNS qvec8
    AS 'MODULE_PATHNAME', 'qvec8_concat' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_concat(qvec8, qvec8) IS 'implementation of || operator';

CREATE OPERATOR || (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_concat
);
COMMENT ON OPERATOR || (qvec8, qvec8) IS 'concatenate';

-- Bits of bitvec

CREATE FUNCTION bit_count(bitvec) RETURNS bigint
    AS 'MODULE_PATHNAME', 'bitvec_bit_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bit_count(bitvec) IS 'number of dimensions set';

CREATE FUNCTION bitvec_not(bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_not' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_not(bitvec) IS 'implementation of ~ operator';

CREATE FUNCTION bitvec_and(bitvec, bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_and' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_and(bitvec, bitvec) IS 'implementation of & operator';

CREATE FUNCTION bitvec_or(bitvec, bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_or' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_or(bitvec, bitvec) IS 'implementation of | operator';

CREATE FUNCTION bitvec_xor(bitvec, bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_xor' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_xor(bitvec, bitvec) IS 'implementation of # operator';

CREATE OPERATOR ~ (
    RIGHTARG = bitvec, FUNCTION = bitvec_not
);
COMMENT ON OPERATOR ~ (NONE, bitvec) IS 'bitwise not';

CREATE OPERATOR & (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_and,
    COMMUTATOR = &
);
COMMENT ON OPERATOR & (bitvec, bitvec) IS 'bitwise and';

CREATE OPERATOR | (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_or,
    COMMUTATOR = |
);
COMMENT ON OPERATOR | (bitvec, bitvec) IS 'bitwise or';

CREATE OPERATOR # (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_xor,
    COMMUTATOR = #
);
COMMENT ON OPERATOR # (bitvec, bitvec) IS 'bitwise exclusive or';

-- Single bits, shifts and aggregates of bitvec, as of bit.  Positions are bigint: an exact
-- match on integer would make get_bit('101', 1), which is one of bit, ambiguous.

CREATE FUNCTION length(bitvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'bitvec_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION length(bitvec) IS 'number of dimensions';

CREATE FUNCTION get_bit(bitvec, bigint) RETURNS integer
    AS 'MODULE_PATHNAME', 'bitvec_get_bit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION get_bit(bitvec, bigint) IS 'the bit at a position counted from 0';

CREATE FUNCTION set_bit(bitvec, bigint, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_set_bit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION set_bit(bitvec, bigint, integer) IS 'the vector with a new bit at a position counted from 0';

CREATE FUNCTION "substring"(bitvec, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_substring' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION "substring"(bitvec, integer) IS 'dimensions from start on';

CREATE FUNCTION "substring"(bitvec, integer, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION "substring"(bitvec, integer, integer) IS 'count dimensions from start on, where they exist';

CREATE FUNCTION bitvec_shift_left(bitvec, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_shift_left' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_shift_left(bitvec, integer) IS 'implementation of << operator';

CREATE FUNCTION bitvec_shift_right(bitvec, integer) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_shift_right' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_shift_right(bitvec, integer) IS 'implementation of >> operator';

CREATE OPERATOR << (
    LEFTARG = bitvec, RIGHTARG = integer, FUNCTION = bitvec_shift_left
);
COMMENT ON OPERATOR << (bitvec, integer) IS 'bitwise shift left';

CREATE OPERATOR >> (
    LEFTARG = bitvec, RIGHTARG = integer, FUNCTION = bitvec_shift_right
);
COMMENT ON OPERATOR >> (bitvec, integer) IS 'bitwise shift right';

CREATE AGGREGATE bit_and(bitvec) (
    SFUNC = bitvec_and,
    STYPE = bitvec,
    COMBINEFUNC = bitvec_and,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE bit_and(bitvec) IS 'bitwise and of all rows';

CREATE AGGREGATE bit_or(bitvec) (
    SFUNC = bitvec_or,
    STYPE = bitvec,
    COMBINEFUNC = bitvec_or,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE bit_or(bitvec) IS 'bitwise or of all rows';

CREATE AGGREGATE bit_xor(bitvec) (
    SFUNC = bitvec_xor,
    STYPE = bitvec,
    COMBINEFUNC = bitvec_xor,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE bit_xor(bitvec) IS 'bitwise exclusive or of all rows';

-- Ordering of bitvec

CREATE FUNCTION bitvec_lt(bitvec, bitvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bitvec_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_lt(bitvec, bitvec) IS 'implementation of < operator';

CREATE FUNCTION bitvec_le(bitvec, bitvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bitvec_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_le(bitvec, bitvec) IS 'implementation of <= operator';

CREATE FUNCTION bitvec_eq(bitvec, bitvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bitvec_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_eq(bitvec, bitvec) IS 'implementation of = operator';

CREATE FUNCTION bitvec_ne(bitvec, bitvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bitvec_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_ne(bitvec, bitvec) IS 'implementation of <> operator';

CREATE FUNCTION bitvec_ge(bitvec, bitvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bitvec_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_ge(bitvec, bitvec) IS 'implementation of >= operator';

CREATE FUNCTION bitvec_gt(bitvec, bitvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bitvec_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_gt(bitvec, bitvec) IS 'implementation of > operator';

CREATE FUNCTION bitvec_cmp(bitvec, bitvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'bitvec_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_cmp(bitvec, bitvec) IS 'less-equal-greater';

CREATE FUNCTION bitvec_hash(bitvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'bitvec_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_hash(bitvec) IS 'hash';

CREATE FUNCTION bitvec_hash_extended(bitvec, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'bitvec_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_hash_extended(bitvec, bigint) IS 'hash';

CREATE OPERATOR < (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (bitvec, bitvec) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (bitvec, bitvec) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (bitvec, bitvec) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (bitvec, bitvec) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (bitvec, bitvec) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = bitvec_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (bitvec, bitvec) IS 'greater than';

CREATE OPERATOR CLASS bitvec_ops
    DEFAULT FOR TYPE bitvec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 bitvec_cmp(bitvec, bitvec),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS bitvec_ops USING btree IS 'order of bitvec';

CREATE OPERATOR CLASS bitvec_ops
    DEFAULT FOR TYPE bitvec USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 bitvec_hash(bitvec),
    FUNCTION 2 bitvec_hash_extended(bitvec, bigint);
COMMENT ON OPERATOR CLASS bitvec_ops USING hash IS 'equality of bitvec';

COMMENT ON OPERATOR FAMILY bitvec_ops USING btree IS 'order of bitvec';
COMMENT ON OPERATOR FAMILY bitvec_ops USING hash IS 'equality of bitvec';

CREATE FUNCTION bitvec_larger(bitvec, bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_larger' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_larger(bitvec, bitvec) IS 'larger of two';

CREATE FUNCTION bitvec_smaller(bitvec, bitvec) RETURNS bitvec
    AS 'MODULE_PATHNAME', 'bitvec_smaller' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvec_smaller(bitvec, bitvec) IS 'smaller of two';

CREATE AGGREGATE max(bitvec) (
    SFUNC = bitvec_larger,
    STYPE = bitvec,
    COMBINEFUNC = bitvec_larger,
    SORTOP = >,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE max(bitvec) IS 'maximum of all rows, in the order of bits';

CREATE AGGREGATE min(bitvec) (
    SFUNC = bitvec_smaller,
    STYPE = bitvec,
    COMBINEFUNC = bitvec_smaller,
    SORTOP = <,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE min(bitvec) IS 'minimum of all rows, in the order of bits';

-- Ordering of qvec8

CREATE FUNCTION qvec8_lt(qvec8, qvec8) RETURNS boolean
    AS 'MODULE_PATHNAME', 'qvec8_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_lt(qvec8, qvec8) IS 'implementation of < operator';

CREATE FUNCTION qvec8_le(qvec8, qvec8) RETURNS boolean
    AS 'MODULE_PATHNAME', 'qvec8_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_le(qvec8, qvec8) IS 'implementation of <= operator';

CREATE FUNCTION qvec8_eq(qvec8, qvec8) RETURNS boolean
    AS 'MODULE_PATHNAME', 'qvec8_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_eq(qvec8, qvec8) IS 'implementation of = operator';

CREATE FUNCTION qvec8_ne(qvec8, qvec8) RETURNS boolean
    AS 'MODULE_PATHNAME', 'qvec8_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_ne(qvec8, qvec8) IS 'implementation of <> operator';

CREATE FUNCTION qvec8_ge(qvec8, qvec8) RETURNS boolean
    AS 'MODULE_PATHNAME', 'qvec8_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_ge(qvec8, qvec8) IS 'implementation of >= operator';

CREATE FUNCTION qvec8_gt(qvec8, qvec8) RETURNS boolean
    AS 'MODULE_PATHNAME', 'qvec8_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_gt(qvec8, qvec8) IS 'implementation of > operator';

CREATE FUNCTION qvec8_cmp(qvec8, qvec8) RETURNS integer
    AS 'MODULE_PATHNAME', 'qvec8_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_cmp(qvec8, qvec8) IS 'less-equal-greater';

CREATE FUNCTION qvec8_hash(qvec8) RETURNS integer
    AS 'MODULE_PATHNAME', 'qvec8_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_hash(qvec8) IS 'hash';

CREATE FUNCTION qvec8_hash_extended(qvec8, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'qvec8_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec8_hash_extended(qvec8, bigint) IS 'hash';

CREATE OPERATOR < (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (qvec8, qvec8) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (qvec8, qvec8) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (qvec8, qvec8) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (qvec8, qvec8) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (qvec8, qvec8) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = qvec8, RIGHTARG = qvec8, FUNCTION = qvec8_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (qvec8, qvec8) IS 'greater than';

CREATE OPERATOR CLASS qvec8_ops
    DEFAULT FOR TYPE qvec8 USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 qvec8_cmp(qvec8, qvec8),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS qvec8_ops USING btree IS 'order of qvec8';

CREATE OPERATOR CLASS qvec8_ops
    DEFAULT FOR TYPE qvec8 USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 qvec8_hash(qvec8),
    FUNCTION 2 qvec8_hash_extended(qvec8, bigint);
COMMENT ON OPERATOR CLASS qvec8_ops USING hash IS 'equality of qvec8';

COMMENT ON OPERATOR FAMILY qvec8_ops USING btree IS 'order of qvec8';
COMMENT ON OPERATOR FAMILY qvec8_ops USING hash IS 'equality of qvec8';

-- Aggregates that find the interval for quantize_int8

CREATE FUNCTION qvec_minmax_accum(real[], real[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'qvec_minmax_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION qvec_minmax_accum(real[], real[]) IS 'aggregate transition and combine function';

CREATE AGGREGATE qvec_minmax(real[]) (
    SFUNC = qvec_minmax_accum,
    STYPE = real[],
    COMBINEFUNC = qvec_minmax_accum,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE qvec_minmax(real[]) IS '{min,max} over all elements of all rows';

CREATE FUNCTION qvec_quantiles_accum(internal, real[], double precision) RETURNS internal
    AS 'MODULE_PATHNAME', 'qvec_quantiles_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION qvec_quantiles_accum(internal, real[], double precision) IS 'aggregate transition function';

CREATE FUNCTION qvec_quantiles_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qvec_quantiles_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION qvec_quantiles_combine(internal, internal) IS 'aggregate combine function';

CREATE FUNCTION qvec_quantiles_serial(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'qvec_quantiles_serial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec_quantiles_serial(internal) IS 'aggregate serialize function';

CREATE FUNCTION qvec_quantiles_deserial(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qvec_quantiles_deserial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec_quantiles_deserial(bytea, internal) IS 'aggregate deserialize function';

CREATE FUNCTION qvec_quantiles_final(internal) RETURNS real[]
    AS 'MODULE_PATHNAME', 'qvec_quantiles_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION qvec_quantiles_final(internal) IS 'aggregate final function';

-- SSPACE: a state grows to 1 MB, src/type/README.md, "Aggregates".
CREATE AGGREGATE qvec_quantiles(real[], double precision) (
    SFUNC = qvec_quantiles_accum,
    STYPE = internal,
    SSPACE = 1048576,
    FINALFUNC = qvec_quantiles_final,
    COMBINEFUNC = qvec_quantiles_combine,
    SERIALFUNC = qvec_quantiles_serial,
    DESERIALFUNC = qvec_quantiles_deserial,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE qvec_quantiles(real[], double precision) IS '{lo,hi}, the interval that holds the given share of all elements of all rows';

-- Arithmetic of real[]

-- The operands have a type of their own, to which real[], integer[], double precision[] and
-- numeric[] convert implicitly and smallint[] does not.  Operators that took real[] itself
-- would make those of intarray on two smallint[] ambiguous.

CREATE TYPE real_operand;

CREATE FUNCTION real_operand_in(cstring) RETURNS real_operand
    AS 'MODULE_PATHNAME', 'real_operand_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION real_operand_in(cstring) IS 'I/O';

CREATE FUNCTION real_operand_out(real_operand) RETURNS cstring
    AS 'MODULE_PATHNAME', 'real_operand_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION real_operand_out(real_operand) IS 'I/O';

CREATE FUNCTION real_operand_recv(internal) RETURNS real_operand
    AS 'MODULE_PATHNAME', 'real_operand_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION real_operand_recv(internal) IS 'I/O';

CREATE FUNCTION real_operand_send(real_operand) RETURNS bytea
    AS 'MODULE_PATHNAME', 'real_operand_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION real_operand_send(real_operand) IS 'I/O';

CREATE TYPE real_operand (
    INPUT = real_operand_in,
    OUTPUT = real_operand_out,
    RECEIVE = real_operand_recv,
    SEND = real_operand_send,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE real_operand IS 'what + - and * of real[] take: real[] and what converts to it, for operators only';

-- The server allows no cast of an array type without a function.
CREATE FUNCTION real_operand(real[]) RETURNS real_operand
    AS 'MODULE_PATHNAME', 'real_operand' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION real_operand(real[]) IS 'the same array';

CREATE CAST (real[] AS real_operand) WITH FUNCTION real_operand(real[]) AS IMPLICIT;
COMMENT ON CAST (real[] AS real_operand) IS 'the same array';

CREATE FUNCTION real_operand(integer[]) RETURNS real_operand
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN real_operand($1::real[]);
COMMENT ON FUNCTION real_operand(integer[]) IS 'converts integer[] to real[]';

CREATE CAST (integer[] AS real_operand) WITH FUNCTION real_operand(integer[]) AS IMPLICIT;
COMMENT ON CAST (integer[] AS real_operand) IS 'as to real[]';

CREATE FUNCTION real_operand(double precision[]) RETURNS real_operand
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN real_operand($1::real[]);
COMMENT ON FUNCTION real_operand(double precision[]) IS 'converts double precision[] to real[]';

CREATE CAST (double precision[] AS real_operand) WITH FUNCTION real_operand(double precision[]) AS IMPLICIT;
COMMENT ON CAST (double precision[] AS real_operand) IS 'as to real[]';

CREATE FUNCTION real_operand(numeric[]) RETURNS real_operand
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN real_operand($1::real[]);
COMMENT ON FUNCTION real_operand(numeric[]) IS 'converts numeric[] to real[]';

CREATE CAST (numeric[] AS real_operand) WITH FUNCTION real_operand(numeric[]) AS IMPLICIT;
COMMENT ON CAST (numeric[] AS real_operand) IS 'as to real[]';

CREATE FUNCTION real_add(real_operand, real_operand) RETURNS real[]
    AS 'MODULE_PATHNAME', 'real_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION real_add(real_operand, real_operand) IS 'implementation of + operator';

CREATE OPERATOR + (
    LEFTARG = real_operand, RIGHTARG = real_operand, FUNCTION = real_add,
    COMMUTATOR = +
);
COMMENT ON OPERATOR + (real_operand, real_operand) IS 'sum of real[], element by element';

CREATE FUNCTION real_sub(real_operand, real_operand) RETURNS real[]
    AS 'MODULE_PATHNAME', 'real_sub' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION real_sub(real_operand, real_operand) IS 'implementation of - operator';

CREATE OPERATOR - (
    LEFTARG = real_operand, RIGHTARG = real_operand, FUNCTION = real_sub
);
COMMENT ON OPERATOR - (real_operand, real_operand) IS 'difference of real[], element by element';

CREATE FUNCTION real_mul(real_operand, real_operand) RETURNS real[]
    AS 'MODULE_PATHNAME', 'real_mul' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION real_mul(real_operand, real_operand) IS 'implementation of * operator';

CREATE OPERATOR * (
    LEFTARG = real_operand, RIGHTARG = real_operand, FUNCTION = real_mul,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (real_operand, real_operand) IS 'product of real[], element by element';

CREATE FUNCTION l2_normalize(real[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'real_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_normalize(real[]) IS 'the vector of Euclidean norm 1 in the same direction';

-- Sums and averages

CREATE FUNCTION qvec_sums_accum(double precision[], real[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'qvec_sums_accum_real' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION qvec_sums_accum(double precision[], real[]) IS 'aggregate transition function';

CREATE FUNCTION qvec_sums_accum(double precision[], qvec8) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'qvec_sums_accum_qvec8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION qvec_sums_accum(double precision[], qvec8) IS 'aggregate transition function';

CREATE FUNCTION qvec_sums_combine(double precision[], double precision[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'qvec_sums_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec_sums_combine(double precision[], double precision[]) IS 'aggregate combine function';

CREATE FUNCTION qvec_sums_sum(double precision[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'qvec_sums_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec_sums_sum(double precision[]) IS 'aggregate final function';

CREATE FUNCTION qvec_sums_avg(double precision[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'qvec_sums_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec_sums_avg(double precision[]) IS 'aggregate final function';

CREATE AGGREGATE sum(real[]) (
    SFUNC = qvec_sums_accum,
    STYPE = double precision[],
    FINALFUNC = qvec_sums_sum,
    COMBINEFUNC = qvec_sums_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(real[]) IS 'sum of all rows, dimension by dimension';

CREATE AGGREGATE avg(real[]) (
    SFUNC = qvec_sums_accum,
    STYPE = double precision[],
    FINALFUNC = qvec_sums_avg,
    COMBINEFUNC = qvec_sums_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(real[]) IS 'average of all rows, dimension by dimension';

CREATE AGGREGATE sum(qvec8) (
    SFUNC = qvec_sums_accum,
    STYPE = double precision[],
    FINALFUNC = qvec_sums_sum,
    COMBINEFUNC = qvec_sums_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(qvec8) IS 'sum of all rows, dimension by dimension';

CREATE AGGREGATE avg(qvec8) (
    SFUNC = qvec_sums_accum,
    STYPE = double precision[],
    FINALFUNC = qvec_sums_avg,
    COMBINEFUNC = qvec_sums_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(qvec8) IS 'average of all rows, dimension by dimension';
-- What a distance costs where a vector is out of line

CREATE FUNCTION qvec_distance_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
COMMENT ON FUNCTION qvec_distance_support(internal) IS 'planner support: cost of distances of vectors that are stored out of line';
ALTER FUNCTION hamming_distance(bitvec, bitvec) SUPPORT qvec_distance_support;
ALTER FUNCTION jaccard_distance(bitvec, bitvec) SUPPORT qvec_distance_support;
ALTER FUNCTION cosine_distance(qvec8, qvec8) SUPPORT qvec_distance_support;
ALTER FUNCTION l2_distance(qvec8, qvec8) SUPPORT qvec_distance_support;
ALTER FUNCTION inner_product(qvec8, qvec8) SUPPORT qvec_distance_support;
ALTER FUNCTION qvec8_negative_inner_product(qvec8, qvec8) SUPPORT qvec_distance_support;
ALTER FUNCTION l1_distance(qvec8, qvec8) SUPPORT qvec_distance_support;
ALTER FUNCTION cosine_distance(real[], real[]) SUPPORT qvec_distance_support;
ALTER FUNCTION l2_distance(real[], real[]) SUPPORT qvec_distance_support;
ALTER FUNCTION inner_product(real[], real[]) SUPPORT qvec_distance_support;
ALTER FUNCTION real_negative_inner_product(real[], real[]) SUPPORT qvec_distance_support;
ALTER FUNCTION l1_distance(real[], real[]) SUPPORT qvec_distance_support;

-- Instruction sets

CREATE FUNCTION qvec_simd() RETURNS text
    AS 'MODULE_PATHNAME', 'qvec_simd' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qvec_simd() IS 'instruction set that distances are computed with';

-- ---------------------------------------------------------------------------
-- The index access method qhnsw
-- ---------------------------------------------------------------------------

CREATE FUNCTION qhnsw_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_handler(internal) IS 'handler of the qhnsw index access method';

CREATE ACCESS METHOD qhnsw TYPE INDEX HANDLER qhnsw_handler;
COMMENT ON ACCESS METHOD qhnsw IS 'HNSW over binary codes, with rows in exact order';

CREATE FUNCTION qhnsw_bitvec_hamming(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_bitvec_hamming(internal) IS 'qhnsw support: bitvec by Hamming distance';
CREATE OPERATOR CLASS bitvec_hamming_ops
    DEFAULT FOR TYPE bitvec USING qhnsw AS
    OPERATOR 1 <~> (bitvec, bitvec) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_bitvec_hamming(internal);
COMMENT ON OPERATOR CLASS bitvec_hamming_ops USING qhnsw IS 'bitvec ordered by Hamming distance';
COMMENT ON OPERATOR FAMILY bitvec_hamming_ops USING qhnsw IS 'bitvec ordered by Hamming distance';

CREATE FUNCTION qhnsw_bitvec_jaccard(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_bitvec_jaccard(internal) IS 'qhnsw support: bitvec by Jaccard distance';
CREATE OPERATOR CLASS bitvec_jaccard_ops
    FOR TYPE bitvec USING qhnsw AS
    OPERATOR 1 <%> (bitvec, bitvec) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_bitvec_jaccard(internal);
COMMENT ON OPERATOR CLASS bitvec_jaccard_ops USING qhnsw IS 'bitvec ordered by Jaccard distance';
COMMENT ON OPERATOR FAMILY bitvec_jaccard_ops USING qhnsw IS 'bitvec ordered by Jaccard distance';

CREATE FUNCTION qhnsw_qvec8_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_qvec8_cosine(internal) IS 'qhnsw support: qvec8 by cosine distance';
CREATE OPERATOR CLASS qvec8_cosine_ops
    DEFAULT FOR TYPE qvec8 USING qhnsw AS
    OPERATOR 1 <=> (qvec8, qvec8) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_qvec8_cosine(internal);
COMMENT ON OPERATOR CLASS qvec8_cosine_ops USING qhnsw IS 'qvec8 ordered by cosine distance';
COMMENT ON OPERATOR FAMILY qvec8_cosine_ops USING qhnsw IS 'qvec8 ordered by cosine distance';

CREATE FUNCTION qhnsw_qvec8_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_qvec8_l2(internal) IS 'qhnsw support: qvec8 by Euclidean distance';
CREATE OPERATOR CLASS qvec8_l2_ops
    FOR TYPE qvec8 USING qhnsw AS
    OPERATOR 1 <-> (qvec8, qvec8) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_qvec8_l2(internal);
COMMENT ON OPERATOR CLASS qvec8_l2_ops USING qhnsw IS 'qvec8 ordered by Euclidean distance';
COMMENT ON OPERATOR FAMILY qvec8_l2_ops USING qhnsw IS 'qvec8 ordered by Euclidean distance';

CREATE FUNCTION qhnsw_qvec8_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_qvec8_ip(internal) IS 'qhnsw support: qvec8 by negative inner product';
CREATE OPERATOR CLASS qvec8_ip_ops
    FOR TYPE qvec8 USING qhnsw AS
    OPERATOR 1 <#> (qvec8, qvec8) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_qvec8_ip(internal);
COMMENT ON OPERATOR CLASS qvec8_ip_ops USING qhnsw IS 'qvec8 ordered by negative inner product';
COMMENT ON OPERATOR FAMILY qvec8_ip_ops USING qhnsw IS 'qvec8 ordered by negative inner product';

CREATE FUNCTION qhnsw_real_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_real_cosine(internal) IS 'qhnsw support: real[] by cosine distance';
CREATE OPERATOR CLASS real_cosine_ops
    DEFAULT FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <=> (real[], real[]) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_real_cosine(internal);
COMMENT ON OPERATOR CLASS real_cosine_ops USING qhnsw IS 'real[] ordered by cosine distance';
COMMENT ON OPERATOR FAMILY real_cosine_ops USING qhnsw IS 'real[] ordered by cosine distance';

CREATE FUNCTION qhnsw_real_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_real_l2(internal) IS 'qhnsw support: real[] by Euclidean distance';
CREATE OPERATOR CLASS real_l2_ops
    FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <-> (real[], real[]) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_real_l2(internal);
COMMENT ON OPERATOR CLASS real_l2_ops USING qhnsw IS 'real[] ordered by Euclidean distance';
COMMENT ON OPERATOR FAMILY real_l2_ops USING qhnsw IS 'real[] ordered by Euclidean distance';

CREATE FUNCTION qhnsw_real_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_real_ip(internal) IS 'qhnsw support: real[] by negative inner product';
CREATE OPERATOR CLASS real_ip_ops
    FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <#> (real[], real[]) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_real_ip(internal);
COMMENT ON OPERATOR CLASS real_ip_ops USING qhnsw IS 'real[] ordered by negative inner product';
COMMENT ON OPERATOR FAMILY real_ip_ops USING qhnsw IS 'real[] ordered by negative inner product';

CREATE FUNCTION qhnsw_float8_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_float8_cosine(internal) IS 'qhnsw support: double precision[] by cosine distance';
CREATE OPERATOR CLASS float8_cosine_ops
    DEFAULT FOR TYPE double precision[] USING qhnsw AS
    OPERATOR 1 <=> (double precision[], double precision[]) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_float8_cosine(internal);
COMMENT ON OPERATOR CLASS float8_cosine_ops USING qhnsw IS 'double precision[] ordered by cosine distance';
COMMENT ON OPERATOR FAMILY float8_cosine_ops USING qhnsw IS 'double precision[] ordered by cosine distance';

CREATE FUNCTION qhnsw_float8_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_float8_l2(internal) IS 'qhnsw support: double precision[] by Euclidean distance';
CREATE OPERATOR CLASS float8_l2_ops
    FOR TYPE double precision[] USING qhnsw AS
    OPERATOR 1 <-> (double precision[], double precision[]) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_float8_l2(internal);
COMMENT ON OPERATOR CLASS float8_l2_ops USING qhnsw IS 'double precision[] ordered by Euclidean distance';
COMMENT ON OPERATOR FAMILY float8_l2_ops USING qhnsw IS 'double precision[] ordered by Euclidean distance';

CREATE FUNCTION qhnsw_float8_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_float8_ip(internal) IS 'qhnsw support: double precision[] by negative inner product';
CREATE OPERATOR CLASS float8_ip_ops
    FOR TYPE double precision[] USING qhnsw AS
    OPERATOR 1 <#> (double precision[], double precision[]) FOR ORDER BY float_ops,
    FUNCTION 1 qhnsw_float8_ip(internal);
COMMENT ON OPERATOR CLASS float8_ip_ops USING qhnsw IS 'double precision[] ordered by negative inner product';
COMMENT ON OPERATOR FAMILY float8_ip_ops USING qhnsw IS 'double precision[] ordered by negative inner product';

-- Filter columns.  Strategies are those of B-trees; 6 to 8 are &&, @> and <@ of arrays.

CREATE FUNCTION qhnsw_filter_bool(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_bool(internal) IS 'qhnsw support: filter columns of boolean';

CREATE FUNCTION qhnsw_filter_int2(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_int2(internal) IS 'qhnsw support: filter columns of smallint';

CREATE FUNCTION qhnsw_filter_int4(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_int4(internal) IS 'qhnsw support: filter columns of integer';

CREATE FUNCTION qhnsw_filter_int8(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_int8(internal) IS 'qhnsw support: filter columns of bigint';

CREATE FUNCTION qhnsw_filter_oid(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_oid(internal) IS 'qhnsw support: filter columns of oid';

CREATE FUNCTION qhnsw_filter_float4(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_float4(internal) IS 'qhnsw support: filter columns of real';

CREATE FUNCTION qhnsw_filter_float8(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_float8(internal) IS 'qhnsw support: filter columns of double precision';

CREATE FUNCTION qhnsw_filter_numeric(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_numeric(internal) IS 'qhnsw support: filter columns of numeric';

CREATE FUNCTION qhnsw_filter_date(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_date(internal) IS 'qhnsw support: filter columns of date';

CREATE FUNCTION qhnsw_filter_time(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_time(internal) IS 'qhnsw support: filter columns of time';

CREATE FUNCTION qhnsw_filter_timestamp(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_timestamp(internal) IS 'qhnsw support: filter columns of timestamp';

CREATE FUNCTION qhnsw_filter_timestamptz(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_timestamptz(internal) IS 'qhnsw support: filter columns of timestamptz';

CREATE FUNCTION qhnsw_filter_uuid(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_uuid(internal) IS 'qhnsw support: filter columns of uuid';

CREATE FUNCTION qhnsw_filter_text(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_text(internal) IS 'qhnsw support: filter columns of text and varchar';

CREATE FUNCTION qhnsw_filter_bpchar(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_bpchar(internal) IS 'qhnsw support: filter columns of character';

CREATE FUNCTION qhnsw_filter_text_prefix(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_text_prefix(internal) IS 'qhnsw support: filter columns of text, by its first bytes';

CREATE FUNCTION qhnsw_filter_bytea(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_bytea(internal) IS 'qhnsw support: filter columns of bytea';

CREATE FUNCTION qhnsw_filter_inet(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_inet(internal) IS 'qhnsw support: filter columns of inet and cidr';

CREATE FUNCTION qhnsw_filter_enum(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_enum(internal) IS 'qhnsw support: filter columns of enums';

CREATE FUNCTION qhnsw_filter_array(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION qhnsw_filter_array(internal) IS 'qhnsw support: filter columns of arrays';

CREATE OPERATOR FAMILY integer_ops USING qhnsw;
COMMENT ON OPERATOR FAMILY integer_ops USING qhnsw IS 'filter columns of integers';

CREATE OPERATOR CLASS int2_ops
    DEFAULT FOR TYPE int2 USING qhnsw FAMILY integer_ops AS
    OPERATOR 1 < (int2, int2),
    OPERATOR 2 <= (int2, int2),
    OPERATOR 3 = (int2, int2),
    OPERATOR 4 >= (int2, int2),
    OPERATOR 5 > (int2, int2),
    FUNCTION 2 qhnsw_filter_int2(internal);
COMMENT ON OPERATOR CLASS int2_ops USING qhnsw IS 'filter columns of smallint';

CREATE OPERATOR CLASS int4_ops
    DEFAULT FOR TYPE int4 USING qhnsw FAMILY integer_ops AS
    OPERATOR 1 < (int4, int4),
    OPERATOR 2 <= (int4, int4),
    OPERATOR 3 = (int4, int4),
    OPERATOR 4 >= (int4, int4),
    OPERATOR 5 > (int4, int4),
    FUNCTION 2 qhnsw_filter_int4(internal);
COMMENT ON OPERATOR CLASS int4_ops USING qhnsw IS 'filter columns of integer';

CREATE OPERATOR CLASS int8_ops
    DEFAULT FOR TYPE int8 USING qhnsw FAMILY integer_ops AS
    OPERATOR 1 < (int8, int8),
    OPERATOR 2 <= (int8, int8),
    OPERATOR 3 = (int8, int8),
    OPERATOR 4 >= (int8, int8),
    OPERATOR 5 > (int8, int8),
    FUNCTION 2 qhnsw_filter_int8(internal);
COMMENT ON OPERATOR CLASS int8_ops USING qhnsw IS 'filter columns of bigint';

ALTER OPERATOR FAMILY integer_ops USING qhnsw ADD
    OPERATOR 1 < (int2, int4),
    OPERATOR 2 <= (int2, int4),
    OPERATOR 3 = (int2, int4),
    OPERATOR 4 >= (int2, int4),
    OPERATOR 5 > (int2, int4),
    OPERATOR 1 < (int2, int8),
    OPERATOR 2 <= (int2, int8),
    OPERATOR 3 = (int2, int8),
    OPERATOR 4 >= (int2, int8),
    OPERATOR 5 > (int2, int8),
    OPERATOR 1 < (int4, int2),
    OPERATOR 2 <= (int4, int2),
    OPERATOR 3 = (int4, int2),
    OPERATOR 4 >= (int4, int2),
    OPERATOR 5 > (int4, int2),
    OPERATOR 1 < (int4, int8),
    OPERATOR 2 <= (int4, int8),
    OPERATOR 3 = (int4, int8),
    OPERATOR 4 >= (int4, int8),
    OPERATOR 5 > (int4, int8),
    OPERATOR 1 < (int8, int2),
    OPERATOR 2 <= (int8, int2),
    OPERATOR 3 = (int8, int2),
    OPERATOR 4 >= (int8, int2),
    OPERATOR 5 > (int8, int2),
    OPERATOR 1 < (int8, int4),
    OPERATOR 2 <= (int8, int4),
    OPERATOR 3 = (int8, int4),
    OPERATOR 4 >= (int8, int4),
    OPERATOR 5 > (int8, int4);

CREATE OPERATOR FAMILY float_ops USING qhnsw;
COMMENT ON OPERATOR FAMILY float_ops USING qhnsw IS 'filter columns of real and double precision';

CREATE OPERATOR CLASS float4_ops
    DEFAULT FOR TYPE float4 USING qhnsw FAMILY float_ops AS
    OPERATOR 1 < (float4, float4),
    OPERATOR 2 <= (float4, float4),
    OPERATOR 3 = (float4, float4),
    OPERATOR 4 >= (float4, float4),
    OPERATOR 5 > (float4, float4),
    FUNCTION 2 qhnsw_filter_float4(internal);
COMMENT ON OPERATOR CLASS float4_ops USING qhnsw IS 'filter columns of real';

CREATE OPERATOR CLASS float8_ops
    DEFAULT FOR TYPE float8 USING qhnsw FAMILY float_ops AS
    OPERATOR 1 < (float8, float8),
    OPERATOR 2 <= (float8, float8),
    OPERATOR 3 = (float8, float8),
    OPERATOR 4 >= (float8, float8),
    OPERATOR 5 > (float8, float8),
    FUNCTION 2 qhnsw_filter_float8(internal);
COMMENT ON OPERATOR CLASS float8_ops USING qhnsw IS 'filter columns of double precision';

ALTER OPERATOR FAMILY float_ops USING qhnsw ADD
    OPERATOR 1 < (float4, float8),
    OPERATOR 2 <= (float4, float8),
    OPERATOR 3 = (float4, float8),
    OPERATOR 4 >= (float4, float8),
    OPERATOR 5 > (float4, float8),
    OPERATOR 1 < (float8, float4),
    OPERATOR 2 <= (float8, float4),
    OPERATOR 3 = (float8, float4),
    OPERATOR 4 >= (float8, float4),
    OPERATOR 5 > (float8, float4);

CREATE OPERATOR FAMILY datetime_ops USING qhnsw;
COMMENT ON OPERATOR FAMILY datetime_ops USING qhnsw IS 'filter columns of dates and timestamps';

CREATE OPERATOR CLASS date_ops
    DEFAULT FOR TYPE date USING qhnsw FAMILY datetime_ops AS
    OPERATOR 1 < (date, date),
    OPERATOR 2 <= (date, date),
    OPERATOR 3 = (date, date),
    OPERATOR 4 >= (date, date),
    OPERATOR 5 > (date, date),
    FUNCTION 2 qhnsw_filter_date(internal);
COMMENT ON OPERATOR CLASS date_ops USING qhnsw IS 'filter columns of date';

CREATE OPERATOR CLASS timestamp_ops
    DEFAULT FOR TYPE timestamp USING qhnsw FAMILY datetime_ops AS
    OPERATOR 1 < (timestamp, timestamp),
    OPERATOR 2 <= (timestamp, timestamp),
    OPERATOR 3 = (timestamp, timestamp),
    OPERATOR 4 >= (timestamp, timestamp),
    OPERATOR 5 > (timestamp, timestamp),
    FUNCTION 2 qhnsw_filter_timestamp(internal);
COMMENT ON OPERATOR CLASS timestamp_ops USING qhnsw IS 'filter columns of timestamp';

CREATE OPERATOR CLASS timestamptz_ops
    DEFAULT FOR TYPE timestamptz USING qhnsw FAMILY datetime_ops AS
    OPERATOR 1 < (timestamptz, timestamptz),
    OPERATOR 2 <= (timestamptz, timestamptz),
    OPERATOR 3 = (timestamptz, timestamptz),
    OPERATOR 4 >= (timestamptz, timestamptz),
    OPERATOR 5 > (timestamptz, timestamptz),
    FUNCTION 2 qhnsw_filter_timestamptz(internal);
COMMENT ON OPERATOR CLASS timestamptz_ops USING qhnsw IS 'filter columns of timestamptz';

ALTER OPERATOR FAMILY datetime_ops USING qhnsw ADD
    OPERATOR 1 < (date, timestamp),
    OPERATOR 2 <= (date, timestamp),
    OPERATOR 3 = (date, timestamp),
    OPERATOR 4 >= (date, timestamp),
    OPERATOR 5 > (date, timestamp),
    OPERATOR 1 < (date, timestamptz),
    OPERATOR 2 <= (date, timestamptz),
    OPERATOR 3 = (date, timestamptz),
    OPERATOR 4 >= (date, timestamptz),
    OPERATOR 5 > (date, timestamptz),
    OPERATOR 1 < (timestamp, date),
    OPERATOR 2 <= (timestamp, date),
    OPERATOR 3 = (timestamp, date),
    OPERATOR 4 >= (timestamp, date),
    OPERATOR 5 > (timestamp, date),
    OPERATOR 1 < (timestamp, timestamptz),
    OPERATOR 2 <= (timestamp, timestamptz),
    OPERATOR 3 = (timestamp, timestamptz),
    OPERATOR 4 >= (timestamp, timestamptz),
    OPERATOR 5 > (timestamp, timestamptz),
    OPERATOR 1 < (timestamptz, date),
    OPERATOR 2 <= (timestamptz, date),
    OPERATOR 3 = (timestamptz, date),
    OPERATOR 4 >= (timestamptz, date),
    OPERATOR 5 > (timestamptz, date),
    OPERATOR 1 < (timestamptz, timestamp),
    OPERATOR 2 <= (timestamptz, timestamp),
    OPERATOR 3 = (timestamptz, timestamp),
    OPERATOR 4 >= (timestamptz, timestamp),
    OPERATOR 5 > (timestamptz, timestamp);

CREATE OPERATOR CLASS bool_ops
    DEFAULT FOR TYPE bool USING qhnsw AS
    OPERATOR 1 < (bool, bool),
    OPERATOR 2 <= (bool, bool),
    OPERATOR 3 = (bool, bool),
    OPERATOR 4 >= (bool, bool),
    OPERATOR 5 > (bool, bool),
    FUNCTION 2 qhnsw_filter_bool(internal);
COMMENT ON OPERATOR CLASS bool_ops USING qhnsw IS 'filter columns of boolean';
COMMENT ON OPERATOR FAMILY bool_ops USING qhnsw IS 'filter columns of boolean';

CREATE OPERATOR CLASS oid_ops
    DEFAULT FOR TYPE oid USING qhnsw AS
    OPERATOR 1 < (oid, oid),
    OPERATOR 2 <= (oid, oid),
    OPERATOR 3 = (oid, oid),
    OPERATOR 4 >= (oid, oid),
    OPERATOR 5 > (oid, oid),
    FUNCTION 2 qhnsw_filter_oid(internal);
COMMENT ON OPERATOR CLASS oid_ops USING qhnsw IS 'filter columns of oid';
COMMENT ON OPERATOR FAMILY oid_ops USING qhnsw IS 'filter columns of oid';

CREATE OPERATOR CLASS numeric_ops
    DEFAULT FOR TYPE numeric USING qhnsw AS
    OPERATOR 1 < (numeric, numeric),
    OPERATOR 2 <= (numeric, numeric),
    OPERATOR 3 = (numeric, numeric),
    OPERATOR 4 >= (numeric, numeric),
    OPERATOR 5 > (numeric, numeric),
    FUNCTION 2 qhnsw_filter_numeric(internal);
COMMENT ON OPERATOR CLASS numeric_ops USING qhnsw IS 'filter columns of numeric';
COMMENT ON OPERATOR FAMILY numeric_ops USING qhnsw IS 'filter columns of numeric';

CREATE OPERATOR CLASS time_ops
    DEFAULT FOR TYPE time USING qhnsw AS
    OPERATOR 1 < (time, time),
    OPERATOR 2 <= (time, time),
    OPERATOR 3 = (time, time),
    OPERATOR 4 >= (time, time),
    OPERATOR 5 > (time, time),
    FUNCTION 2 qhnsw_filter_time(internal);
COMMENT ON OPERATOR CLASS time_ops USING qhnsw IS 'filter columns of time';
COMMENT ON OPERATOR FAMILY time_ops USING qhnsw IS 'filter columns of time';

CREATE OPERATOR CLASS uuid_ops
    DEFAULT FOR TYPE uuid USING qhnsw AS
    OPERATOR 1 < (uuid, uuid),
    OPERATOR 2 <= (uuid, uuid),
    OPERATOR 3 = (uuid, uuid),
    OPERATOR 4 >= (uuid, uuid),
    OPERATOR 5 > (uuid, uuid),
    FUNCTION 2 qhnsw_filter_uuid(internal);
COMMENT ON OPERATOR CLASS uuid_ops USING qhnsw IS 'filter columns of uuid';
COMMENT ON OPERATOR FAMILY uuid_ops USING qhnsw IS 'filter columns of uuid';

CREATE OPERATOR CLASS bytea_ops
    DEFAULT FOR TYPE bytea USING qhnsw AS
    OPERATOR 1 < (bytea, bytea),
    OPERATOR 2 <= (bytea, bytea),
    OPERATOR 3 = (bytea, bytea),
    OPERATOR 4 >= (bytea, bytea),
    OPERATOR 5 > (bytea, bytea),
    FUNCTION 2 qhnsw_filter_bytea(internal);
COMMENT ON OPERATOR CLASS bytea_ops USING qhnsw IS 'filter columns of bytea';
COMMENT ON OPERATOR FAMILY bytea_ops USING qhnsw IS 'filter columns of bytea';

CREATE OPERATOR CLASS inet_ops
    DEFAULT FOR TYPE inet USING qhnsw AS
    OPERATOR 1 < (inet, inet),
    OPERATOR 2 <= (inet, inet),
    OPERATOR 3 = (inet, inet),
    OPERATOR 4 >= (inet, inet),
    OPERATOR 5 > (inet, inet),
    FUNCTION 2 qhnsw_filter_inet(internal);
COMMENT ON OPERATOR CLASS inet_ops USING qhnsw IS 'filter columns of inet and cidr';
COMMENT ON OPERATOR FAMILY inet_ops USING qhnsw IS 'filter columns of inet and cidr';

CREATE OPERATOR CLASS text_ops
    DEFAULT FOR TYPE text USING qhnsw AS
    OPERATOR 3 = (text, text),
    FUNCTION 2 qhnsw_filter_text(internal);
COMMENT ON OPERATOR CLASS text_ops USING qhnsw IS 'filter columns of text and varchar: equality';
COMMENT ON OPERATOR FAMILY text_ops USING qhnsw IS 'filter columns of text and varchar: equality';

CREATE OPERATOR CLASS bpchar_ops
    DEFAULT FOR TYPE bpchar USING qhnsw AS
    OPERATOR 3 = (bpchar, bpchar),
    FUNCTION 2 qhnsw_filter_bpchar(internal);
COMMENT ON OPERATOR CLASS bpchar_ops USING qhnsw IS 'filter columns of character: equality';
COMMENT ON OPERATOR FAMILY bpchar_ops USING qhnsw IS 'filter columns of character: equality';

CREATE OPERATOR CLASS text_prefix_ops
    FOR TYPE text USING qhnsw AS
    OPERATOR 1 < (text, text),
    OPERATOR 2 <= (text, text),
    OPERATOR 3 = (text, text),
    OPERATOR 4 >= (text, text),
    OPERATOR 5 > (text, text),
    FUNCTION 2 qhnsw_filter_text_prefix(internal);
COMMENT ON OPERATOR CLASS text_prefix_ops USING qhnsw IS 'filter columns of text, in the order of collation "C" by the first eight bytes';
COMMENT ON OPERATOR FAMILY text_prefix_ops USING qhnsw IS 'filter columns of text, in the order of collation "C" by the first eight bytes';

CREATE OPERATOR CLASS enum_ops
    DEFAULT FOR TYPE anyenum USING qhnsw AS
    OPERATOR 3 = (anyenum, anyenum),
    FUNCTION 2 qhnsw_filter_enum(internal);
COMMENT ON OPERATOR CLASS enum_ops USING qhnsw IS 'filter columns of enums: equality';
COMMENT ON OPERATOR FAMILY enum_ops USING qhnsw IS 'filter columns of enums: equality';

CREATE OPERATOR CLASS array_ops
    DEFAULT FOR TYPE anyarray USING qhnsw AS
    OPERATOR 3 = (anyarray, anyarray),
    OPERATOR 6 && (anyarray, anyarray),
    OPERATOR 7 @> (anyarray, anyarray),
    OPERATOR 8 <@ (anyarray, anyarray),
    FUNCTION 2 qhnsw_filter_array(internal);
COMMENT ON OPERATOR CLASS array_ops USING qhnsw IS 'filter columns of arrays: common elements, containment, equality';
COMMENT ON OPERATOR FAMILY array_ops USING qhnsw IS 'filter columns of arrays: common elements, containment, equality';

-- Inspection

CREATE FUNCTION qhnsw_info(index regclass,
    OUT index_name regclass, OUT format_version integer, OUT metric text, OUT code text, OUT bits_per_dim integer, OUT dims integer,
    OUT m integer, OUT ef_construction integer, OUT nodes bigint, OUT rows bigint, OUT entry_points integer,
    OUT links bigint, OUT free_slots bigint, OUT reserved_slots bigint, OUT dying_slots bigint, OUT posting_slots bigint,
    OUT code_bytes integer, OUT link_bytes integer, OUT blocks bigint, OUT code_blocks bigint, OUT link_blocks bigint,
    OUT row_blocks bigint, OUT bytes_per_row double precision, OUT trained boolean, OUT refine_bits integer,
    OUT trained_spread double precision, OUT spread double precision, OUT drift double precision, OUT inserted_spread double precision,
    OUT reindex_advised boolean,
    OUT hub_fraction real, OUT m_low integer, OUT hubs bigint, OUT hub_blocks bigint, OUT centres integer, OUT centre_slots bigint,
    OUT filter_columns integer, OUT record_bytes integer, OUT filter_blocks bigint,
    OUT calibrated_at timestamptz, OUT calibrated_on text, OUT calibration_queries integer, OUT calibration_k integer,
    OUT calibrated_rows bigint, OUT recall_targets real[], OUT recall_ef_search integer[], OUT recall_doubt real[],
    OUT recall_reached real[], OUT default_recall real)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION qhnsw_info(regclass) IS
    'what a qhnsw index holds: format, parameters, nodes, rows, slots and pages; of a partitioned table or index a row a partition''s index';

CREATE FUNCTION qhnsw_check(index regclass, heap_all_indexed boolean DEFAULT false,
    OUT index_name regclass, OUT block bigint, OUT node bigint, OUT fault text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION qhnsw_check(regclass, boolean) IS
    'faults of a qhnsw index, or of those of all partitions, one a row: none for a sound one';

CREATE FUNCTION qhnsw_last_scan(
    OUT codes_scored bigint, OUT nodes_expanded bigint, OUT pages_pinned bigint, OUT buffer_lookups bigint,
    OUT flat_passes bigint, OUT heap_rows_fetched bigint, OUT rows_returned bigint, OUT rows_late bigint,
    OUT finer_codes_scored bigint, OUT reads_ahead bigint, OUT values_recomputed bigint, OUT fetch_batches bigint,
    OUT rows_filtered bigint, OUT values_read bigint, OUT batch_calls bigint, OUT values_batched bigint, OUT limited boolean, OUT ef_search integer, OUT oversample double precision,
    OUT doubt double precision, OUT filter_sweeps bigint, OUT nodes_passing bigint, OUT rows_dropped bigint)
    RETURNS record
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION qhnsw_last_scan() IS 'what the last qhnsw scan of this session did';

-- A table with a code column and a float column, searched in two phases

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query real[],
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, real[], integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

-- The same with a query of another type; text is what a constant without a type is taken for.

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query double precision[],
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, double precision[], integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query numeric[],
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, numeric[], integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query bigint[],
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, bigint[], integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query integer[],
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, integer[], integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query smallint[],
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, smallint[], integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

CREATE FUNCTION qvec_search(anyelement, code_column name, float_column name, query text,
    k integer DEFAULT 10, oversample real DEFAULT 3.0, metric text DEFAULT 'cosine', filter text DEFAULT NULL,
    OUT d anyelement, OUT distance double precision)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qvec_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION qvec_search(anyelement, name, name, text, integer, real, text, text) IS
    'nearest rows: candidates by the code column, order by the float column';

-- How good an index is, and how large one will be

CREATE FUNCTION qhnsw_recall(index regclass, k integer DEFAULT 10, samples integer DEFAULT 100) RETURNS SETOF double precision
    AS 'MODULE_PATHNAME', 'qhnsw_recall' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000000 ROWS 1;
COMMENT ON FUNCTION qhnsw_recall(regclass, integer, integer) IS
    'share of the k nearest rows that scans of the index find, for sampled rows of its table as queries; a row for each of qhnsw_info';

CREATE FUNCTION qhnsw_requantize(index regclass,
    OUT rows_read bigint, OUT rows_recoded bigint, OUT centres_added integer,
    OUT spread_before double precision, OUT spread_after double precision)
    RETURNS record
    AS 'MODULE_PATHNAME', 'qhnsw_requantize' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE COST 1000000;
COMMENT ON FUNCTION qhnsw_requantize(regclass) IS
    'learns centres from the rows of the table as they are, and makes codes and links of rows anew that lie nearer to them, while others read and write';

CREATE FUNCTION qhnsw_calibrate(index regclass, queries real[] DEFAULT NULL, k integer DEFAULT 10,
    OUT target real, OUT ef_search integer, OUT doubt real, OUT recall real)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qhnsw_calibrate' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 5;
COMMENT ON FUNCTION qhnsw_calibrate(regclass, real[], integer) IS
    'measures what search effort reaches which recall, for rows of the table or queries given, and keeps that in the index';

CREATE FUNCTION qhnsw_calibrate(index regclass, source regclass, vector_column name, k integer DEFAULT 10,
    OUT target real, OUT ef_search integer, OUT doubt real, OUT recall real)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qhnsw_calibrate_on' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 5;
COMMENT ON FUNCTION qhnsw_calibrate(regclass, regclass, name, integer) IS
    'measures what search effort reaches which recall, for queries that a column holds, and keeps that in the index';

CREATE FUNCTION qhnsw_calibrate(index regclass, source text, vector_column name, k integer DEFAULT 10,
    OUT target real, OUT ef_search integer, OUT doubt real, OUT recall real)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qhnsw_calibrate_named' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 5;
COMMENT ON FUNCTION qhnsw_calibrate(regclass, text, name, integer) IS
    'measures what search effort reaches which recall, for queries that a column of the table so named holds, and keeps that in the index';

CREATE FUNCTION qhnsw_estimate_size(rows bigint, dims integer, m integer DEFAULT 16,
    compression text DEFAULT '32x', refine text DEFAULT 'none', distinct_share double precision DEFAULT 1,
    type text DEFAULT 'real[]', hub_fraction double precision DEFAULT 0, m_low integer DEFAULT 10, centres integer DEFAULT 0,
    filters regtype[] DEFAULT '{}', include regtype[] DEFAULT '{}') RETURNS bigint
    AS 'MODULE_PATHNAME', 'qhnsw_estimate_size' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION qhnsw_estimate_size(bigint, integer, integer, text, text, double precision, text, double precision, integer, integer, regtype[], regtype[]) IS
    'bytes of a qhnsw index that is not built yet';

CREATE FUNCTION qvec_estimate_memory(method text, data_type text, rows bigint, dims integer,
    m integer DEFAULT 16, nlist integer DEFAULT NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'qvec_estimate_memory' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION qvec_estimate_memory(text, text, bigint, integer, integer, integer) IS
    'bytes of memory by the formulas of OpenSearch''s manual, for hnsw or ivf over byte or binary vectors';

CREATE FUNCTION qhnsw_suggest("table" regclass, "column" name, budget text DEFAULT NULL,
    target_recall double precision DEFAULT NULL, opclass text DEFAULT NULL,
    OUT options text, OUT estimated_bytes bigint, OUT share double precision, OUT estimated_recall double precision, OUT command text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'qhnsw_suggest' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION qhnsw_suggest(regclass, name, text, double precision, text) IS
    'options of a qhnsw index by the bytes that it may take and the recall that is wanted, measured on rows of the table, best first';
