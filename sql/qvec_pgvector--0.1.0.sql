-- Install script of qvec_pgvector 0.1.0: pgvector's types under qhnsw.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION qvec_pgvector" to load this file. \quit

-- Types and operators are those of pgvector and nobody else's: the schema that this
-- extension goes to may hold others of the same name, and is not searched.
-- (@extschema:vector@ would say so too, from PostgreSQL 16 on.)
SELECT pg_catalog.set_config('search_path', 'pg_catalog, ' || pg_catalog.quote_ident(n.nspname) || ', pg_temp', true)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
WHERE e.extname OPERATOR(pg_catalog.=) 'vector';

-- Type vector

CREATE FUNCTION @extschema@.qhnsw_vector_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_vector_cosine' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_vector_cosine(internal) IS 'qhnsw support: vector by cosine distance';
CREATE OPERATOR CLASS @extschema@.vector_cosine_ops
    DEFAULT FOR TYPE vector USING qhnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_vector_cosine(internal);
COMMENT ON OPERATOR CLASS @extschema@.vector_cosine_ops USING qhnsw IS 'vector ordered by cosine distance';
COMMENT ON OPERATOR FAMILY @extschema@.vector_cosine_ops USING qhnsw IS 'vector ordered by cosine distance';

CREATE FUNCTION @extschema@.qhnsw_vector_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_vector_l2' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_vector_l2(internal) IS 'qhnsw support: vector by Euclidean distance';
CREATE OPERATOR CLASS @extschema@.vector_l2_ops
    FOR TYPE vector USING qhnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_vector_l2(internal);
COMMENT ON OPERATOR CLASS @extschema@.vector_l2_ops USING qhnsw IS 'vector ordered by Euclidean distance';
COMMENT ON OPERATOR FAMILY @extschema@.vector_l2_ops USING qhnsw IS 'vector ordered by Euclidean distance';

CREATE FUNCTION @extschema@.qhnsw_vector_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_vector_ip' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_vector_ip(internal) IS 'qhnsw support: vector by negative inner product';
CREATE OPERATOR CLASS @extschema@.vector_ip_ops
    FOR TYPE vector USING qhnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_vector_ip(internal);
COMMENT ON OPERATOR CLASS @extschema@.vector_ip_ops USING qhnsw IS 'vector ordered by negative inner product';
COMMENT ON OPERATOR FAMILY @extschema@.vector_ip_ops USING qhnsw IS 'vector ordered by negative inner product';

-- Type halfvec

CREATE FUNCTION @extschema@.qhnsw_halfvec_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_halfvec_cosine' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_halfvec_cosine(internal) IS 'qhnsw support: halfvec by cosine distance';
CREATE OPERATOR CLASS @extschema@.halfvec_cosine_ops
    DEFAULT FOR TYPE halfvec USING qhnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_halfvec_cosine(internal);
COMMENT ON OPERATOR CLASS @extschema@.halfvec_cosine_ops USING qhnsw IS 'halfvec ordered by cosine distance';
COMMENT ON OPERATOR FAMILY @extschema@.halfvec_cosine_ops USING qhnsw IS 'halfvec ordered by cosine distance';

CREATE FUNCTION @extschema@.qhnsw_halfvec_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_halfvec_l2' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_halfvec_l2(internal) IS 'qhnsw support: halfvec by Euclidean distance';
CREATE OPERATOR CLASS @extschema@.halfvec_l2_ops
    FOR TYPE halfvec USING qhnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_halfvec_l2(internal);
COMMENT ON OPERATOR CLASS @extschema@.halfvec_l2_ops USING qhnsw IS 'halfvec ordered by Euclidean distance';
COMMENT ON OPERATOR FAMILY @extschema@.halfvec_l2_ops USING qhnsw IS 'halfvec ordered by Euclidean distance';

CREATE FUNCTION @extschema@.qhnsw_halfvec_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_halfvec_ip' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_halfvec_ip(internal) IS 'qhnsw support: halfvec by negative inner product';
CREATE OPERATOR CLASS @extschema@.halfvec_ip_ops
    FOR TYPE halfvec USING qhnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_halfvec_ip(internal);
COMMENT ON OPERATOR CLASS @extschema@.halfvec_ip_ops USING qhnsw IS 'halfvec ordered by negative inner product';
COMMENT ON OPERATOR FAMILY @extschema@.halfvec_ip_ops USING qhnsw IS 'halfvec ordered by negative inner product';

-- Type bit

CREATE FUNCTION @extschema@.qhnsw_bit_hamming(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_bit_hamming' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_bit_hamming(internal) IS 'qhnsw support: bit by Hamming distance';
CREATE OPERATOR CLASS @extschema@.bit_hamming_ops
    DEFAULT FOR TYPE bit USING qhnsw AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_bit_hamming(internal);
COMMENT ON OPERATOR CLASS @extschema@.bit_hamming_ops USING qhnsw IS 'bit ordered by Hamming distance';
COMMENT ON OPERATOR FAMILY @extschema@.bit_hamming_ops USING qhnsw IS 'bit ordered by Hamming distance';

CREATE FUNCTION @extschema@.qhnsw_bit_jaccard(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'qhnsw_bit_jaccard' LANGUAGE C;
COMMENT ON FUNCTION @extschema@.qhnsw_bit_jaccard(internal) IS 'qhnsw support: bit by Jaccard distance';
CREATE OPERATOR CLASS @extschema@.bit_jaccard_ops
    FOR TYPE bit USING qhnsw AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 @extschema@.qhnsw_bit_jaccard(internal);
COMMENT ON OPERATOR CLASS @extschema@.bit_jaccard_ops USING qhnsw IS 'bit ordered by Jaccard distance';
COMMENT ON OPERATOR FAMILY @extschema@.bit_jaccard_ops USING qhnsw IS 'bit ordered by Jaccard distance';

-- A vector or halfvec beside an array of numbers, which is what drivers send.  The array becomes a
-- vector, so that an index on the column serves the query: doc/decisions/0271.

CREATE FUNCTION @extschema@.vector_array_cosine(vector, real[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(vector, real[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(real[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <=> $2;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(real[], vector) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(vector, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(vector, double precision[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(double precision[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <=> $2;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(double precision[], vector) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(vector, numeric[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(vector, numeric[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(numeric[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <=> $2;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(numeric[], vector) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(vector, bigint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(vector, bigint[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(bigint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <=> $2;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(bigint[], vector) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(vector, integer[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(vector, integer[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(integer[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <=> $2;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(integer[], vector) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(vector, smallint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(vector, smallint[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.vector_array_cosine(smallint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <=> $2;
COMMENT ON FUNCTION @extschema@.vector_array_cosine(smallint[], vector) IS 'implementation of <=> operator';
CREATE OPERATOR @extschema@.<=> (
    LEFTARG = vector, RIGHTARG = real[], FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (vector, real[]) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = real[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (real[], vector) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = vector, RIGHTARG = double precision[], FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (vector, double precision[]) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = double precision[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (double precision[], vector) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = vector, RIGHTARG = numeric[], FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (vector, numeric[]) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = numeric[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (numeric[], vector) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = vector, RIGHTARG = bigint[], FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (vector, bigint[]) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = bigint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (bigint[], vector) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = vector, RIGHTARG = integer[], FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (vector, integer[]) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = integer[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (integer[], vector) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = vector, RIGHTARG = smallint[], FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (vector, smallint[]) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = smallint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (smallint[], vector) IS 'cosine distance';

CREATE FUNCTION @extschema@.vector_array_l2(vector, real[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l2(vector, real[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(real[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <-> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l2(real[], vector) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(vector, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l2(vector, double precision[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(double precision[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <-> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l2(double precision[], vector) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(vector, numeric[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l2(vector, numeric[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(numeric[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <-> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l2(numeric[], vector) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(vector, bigint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l2(vector, bigint[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(bigint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <-> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l2(bigint[], vector) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(vector, integer[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l2(vector, integer[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(integer[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <-> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l2(integer[], vector) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(vector, smallint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l2(vector, smallint[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.vector_array_l2(smallint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <-> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l2(smallint[], vector) IS 'implementation of <-> operator';
CREATE OPERATOR @extschema@.<-> (
    LEFTARG = vector, RIGHTARG = real[], FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (vector, real[]) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = real[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (real[], vector) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = vector, RIGHTARG = double precision[], FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (vector, double precision[]) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = double precision[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (double precision[], vector) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = vector, RIGHTARG = numeric[], FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (vector, numeric[]) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = numeric[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (numeric[], vector) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = vector, RIGHTARG = bigint[], FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (vector, bigint[]) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = bigint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (bigint[], vector) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = vector, RIGHTARG = integer[], FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (vector, integer[]) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = integer[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (integer[], vector) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = vector, RIGHTARG = smallint[], FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (vector, smallint[]) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = smallint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (smallint[], vector) IS 'Euclidean distance';

CREATE FUNCTION @extschema@.vector_array_ip(vector, real[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_ip(vector, real[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(real[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <#> $2;
COMMENT ON FUNCTION @extschema@.vector_array_ip(real[], vector) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(vector, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_ip(vector, double precision[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(double precision[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <#> $2;
COMMENT ON FUNCTION @extschema@.vector_array_ip(double precision[], vector) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(vector, numeric[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_ip(vector, numeric[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(numeric[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <#> $2;
COMMENT ON FUNCTION @extschema@.vector_array_ip(numeric[], vector) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(vector, bigint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_ip(vector, bigint[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(bigint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <#> $2;
COMMENT ON FUNCTION @extschema@.vector_array_ip(bigint[], vector) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(vector, integer[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_ip(vector, integer[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(integer[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <#> $2;
COMMENT ON FUNCTION @extschema@.vector_array_ip(integer[], vector) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(vector, smallint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_ip(vector, smallint[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.vector_array_ip(smallint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <#> $2;
COMMENT ON FUNCTION @extschema@.vector_array_ip(smallint[], vector) IS 'implementation of <#> operator';
CREATE OPERATOR @extschema@.<#> (
    LEFTARG = vector, RIGHTARG = real[], FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (vector, real[]) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = real[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (real[], vector) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = vector, RIGHTARG = double precision[], FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (vector, double precision[]) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = double precision[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (double precision[], vector) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = vector, RIGHTARG = numeric[], FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (vector, numeric[]) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = numeric[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (numeric[], vector) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = vector, RIGHTARG = bigint[], FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (vector, bigint[]) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = bigint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (bigint[], vector) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = vector, RIGHTARG = integer[], FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (vector, integer[]) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = integer[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (integer[], vector) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = vector, RIGHTARG = smallint[], FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (vector, smallint[]) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = smallint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (smallint[], vector) IS 'negative inner product';

CREATE FUNCTION @extschema@.vector_array_l1(vector, real[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l1(vector, real[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(real[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <+> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l1(real[], vector) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(vector, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l1(vector, double precision[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(double precision[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::vector <+> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l1(double precision[], vector) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(vector, numeric[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l1(vector, numeric[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(numeric[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <+> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l1(numeric[], vector) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(vector, bigint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l1(vector, bigint[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(bigint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <+> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l1(bigint[], vector) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(vector, integer[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l1(vector, integer[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(integer[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <+> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l1(integer[], vector) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(vector, smallint[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::double precision[]::vector;
COMMENT ON FUNCTION @extschema@.vector_array_l1(vector, smallint[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.vector_array_l1(smallint[], vector) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::double precision[]::vector <+> $2;
COMMENT ON FUNCTION @extschema@.vector_array_l1(smallint[], vector) IS 'implementation of <+> operator';
CREATE OPERATOR @extschema@.<+> (
    LEFTARG = vector, RIGHTARG = real[], FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (vector, real[]) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = real[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (real[], vector) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = vector, RIGHTARG = double precision[], FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (vector, double precision[]) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = double precision[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (double precision[], vector) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = vector, RIGHTARG = numeric[], FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (vector, numeric[]) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = numeric[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (numeric[], vector) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = vector, RIGHTARG = bigint[], FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (vector, bigint[]) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = bigint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (bigint[], vector) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = vector, RIGHTARG = integer[], FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (vector, integer[]) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = integer[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (integer[], vector) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = vector, RIGHTARG = smallint[], FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (vector, smallint[]) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = smallint[], RIGHTARG = vector, FUNCTION = @extschema@.vector_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (smallint[], vector) IS 'taxicab distance';

-- No array competes for a halfvec, so one operator takes all of them.

CREATE FUNCTION @extschema@.halfvec_array_cosine(halfvec, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <=> $2::halfvec;
COMMENT ON FUNCTION @extschema@.halfvec_array_cosine(halfvec, double precision[]) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.halfvec_array_cosine(double precision[], halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::halfvec <=> $2;
COMMENT ON FUNCTION @extschema@.halfvec_array_cosine(double precision[], halfvec) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.halfvec_array_cosine(halfvec, anyarray) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_cosine($1, $2::pg_catalog.float8[])';
COMMENT ON FUNCTION @extschema@.halfvec_array_cosine(halfvec, anyarray) IS 'implementation of <=> operator';
CREATE FUNCTION @extschema@.halfvec_array_cosine(anyarray, halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_cosine($1::pg_catalog.float8[], $2)';
COMMENT ON FUNCTION @extschema@.halfvec_array_cosine(anyarray, halfvec) IS 'implementation of <=> operator';
CREATE OPERATOR @extschema@.<=> (
    LEFTARG = halfvec, RIGHTARG = anyarray, FUNCTION = @extschema@.halfvec_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (halfvec, anyarray) IS 'cosine distance';

CREATE OPERATOR @extschema@.<=> (
    LEFTARG = anyarray, RIGHTARG = halfvec, FUNCTION = @extschema@.halfvec_array_cosine,
    COMMUTATOR = OPERATOR(@extschema@.<=>)
);
COMMENT ON OPERATOR @extschema@.<=> (anyarray, halfvec) IS 'cosine distance';

CREATE FUNCTION @extschema@.halfvec_array_l2(halfvec, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <-> $2::halfvec;
COMMENT ON FUNCTION @extschema@.halfvec_array_l2(halfvec, double precision[]) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.halfvec_array_l2(double precision[], halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::halfvec <-> $2;
COMMENT ON FUNCTION @extschema@.halfvec_array_l2(double precision[], halfvec) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.halfvec_array_l2(halfvec, anyarray) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_l2($1, $2::pg_catalog.float8[])';
COMMENT ON FUNCTION @extschema@.halfvec_array_l2(halfvec, anyarray) IS 'implementation of <-> operator';
CREATE FUNCTION @extschema@.halfvec_array_l2(anyarray, halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_l2($1::pg_catalog.float8[], $2)';
COMMENT ON FUNCTION @extschema@.halfvec_array_l2(anyarray, halfvec) IS 'implementation of <-> operator';
CREATE OPERATOR @extschema@.<-> (
    LEFTARG = halfvec, RIGHTARG = anyarray, FUNCTION = @extschema@.halfvec_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (halfvec, anyarray) IS 'Euclidean distance';

CREATE OPERATOR @extschema@.<-> (
    LEFTARG = anyarray, RIGHTARG = halfvec, FUNCTION = @extschema@.halfvec_array_l2,
    COMMUTATOR = OPERATOR(@extschema@.<->)
);
COMMENT ON OPERATOR @extschema@.<-> (anyarray, halfvec) IS 'Euclidean distance';

CREATE FUNCTION @extschema@.halfvec_array_ip(halfvec, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <#> $2::halfvec;
COMMENT ON FUNCTION @extschema@.halfvec_array_ip(halfvec, double precision[]) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.halfvec_array_ip(double precision[], halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::halfvec <#> $2;
COMMENT ON FUNCTION @extschema@.halfvec_array_ip(double precision[], halfvec) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.halfvec_array_ip(halfvec, anyarray) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_ip($1, $2::pg_catalog.float8[])';
COMMENT ON FUNCTION @extschema@.halfvec_array_ip(halfvec, anyarray) IS 'implementation of <#> operator';
CREATE FUNCTION @extschema@.halfvec_array_ip(anyarray, halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_ip($1::pg_catalog.float8[], $2)';
COMMENT ON FUNCTION @extschema@.halfvec_array_ip(anyarray, halfvec) IS 'implementation of <#> operator';
CREATE OPERATOR @extschema@.<#> (
    LEFTARG = halfvec, RIGHTARG = anyarray, FUNCTION = @extschema@.halfvec_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (halfvec, anyarray) IS 'negative inner product';

CREATE OPERATOR @extschema@.<#> (
    LEFTARG = anyarray, RIGHTARG = halfvec, FUNCTION = @extschema@.halfvec_array_ip,
    COMMUTATOR = OPERATOR(@extschema@.<#>)
);
COMMENT ON OPERATOR @extschema@.<#> (anyarray, halfvec) IS 'negative inner product';

CREATE FUNCTION @extschema@.halfvec_array_l1(halfvec, double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1 <+> $2::halfvec;
COMMENT ON FUNCTION @extschema@.halfvec_array_l1(halfvec, double precision[]) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.halfvec_array_l1(double precision[], halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    RETURN $1::halfvec <+> $2;
COMMENT ON FUNCTION @extschema@.halfvec_array_l1(double precision[], halfvec) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.halfvec_array_l1(halfvec, anyarray) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_l1($1, $2::pg_catalog.float8[])';
COMMENT ON FUNCTION @extschema@.halfvec_array_l1(halfvec, anyarray) IS 'implementation of <+> operator';
CREATE FUNCTION @extschema@.halfvec_array_l1(anyarray, halfvec) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 25
    AS 'SELECT @extschema@.halfvec_array_l1($1::pg_catalog.float8[], $2)';
COMMENT ON FUNCTION @extschema@.halfvec_array_l1(anyarray, halfvec) IS 'implementation of <+> operator';
CREATE OPERATOR @extschema@.<+> (
    LEFTARG = halfvec, RIGHTARG = anyarray, FUNCTION = @extschema@.halfvec_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (halfvec, anyarray) IS 'taxicab distance';

CREATE OPERATOR @extschema@.<+> (
    LEFTARG = anyarray, RIGHTARG = halfvec, FUNCTION = @extschema@.halfvec_array_l1,
    COMMUTATOR = OPERATOR(@extschema@.<+>)
);
COMMENT ON OPERATOR @extschema@.<+> (anyarray, halfvec) IS 'taxicab distance';
