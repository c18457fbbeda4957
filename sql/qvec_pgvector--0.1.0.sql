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
