-- qhnsw_estimate_size: how large an index will be.

CREATE FUNCTION a_vector(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((get_byte(decode(md5(seed || 'v' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, dims - 1) AS j
$$;
-- what is built is within a tenth of the estimate
CREATE FUNCTION compare(type text, source text, m int, rows int, dims int, distinct_share float8, OUT built bigint, OUT within_a_tenth boolean) LANGUAGE plpgsql AS $$
DECLARE
    estimate bigint := qhnsw_estimate_size(rows, dims, m => m, type => type, distinct_share => distinct_share);
BEGIN
    EXECUTE format('CREATE TEMPORARY TABLE t AS SELECT %s AS v FROM generate_series(0, %s) AS i', replace(source, 'SEED', format('i %% %s', ceil(rows * distinct_share))), rows - 1);
    EXECUTE format('CREATE INDEX t_index ON t USING qhnsw (v) WITH (m = %s)', m);
    built := pg_relation_size('t_index');
    within_a_tenth := estimate BETWEEN built * 0.9 AND built * 1.1;
    IF NOT within_a_tenth THEN RAISE NOTICE '% estimated, % built', estimate, built; END IF;
    DROP TABLE t;
END $$;
SELECT c.*, s.within_a_tenth FROM (VALUES
    ('bitvec', 'binary_quantize(a_vector(SEED, 64))', 16, 3000, 64, 1.0),
    ('bitvec', 'binary_quantize(a_vector(SEED, 1024))', 8, 500, 1024, 1.0),
    ('bitvec', 'binary_quantize(a_vector(SEED, 64))', 16, 3000, 64, 0.2),
    ('bitvec', 'binary_quantize(a_vector(SEED, 64))', 4, 4000, 64, 0.01),
    ('bitvec', 'binary_quantize(a_vector(SEED, 64))', 16, 4000, 64, 0.7),
    ('bitvec', 'binary_quantize(a_vector(SEED, 64))', 16, 1, 64, 1.0),
    ('real[]', 'a_vector(SEED, 32)', 16, 3000, 32, 1.0),
    ('real[]', 'a_vector(SEED, 8)', 16, 3000, 8, 1.0),
    ('real[]', 'a_vector(SEED, 9)', 16, 3000, 9, 1.0),
    ('real[]', 'a_vector(SEED, 768)', 16, 300, 768, 1.0),
    ('real[]', 'a_vector(SEED, 256)', 100, 300, 256, 1.0),
    ('real[]', 'a_vector(SEED, 8000)', 2, 12, 8000, 1.0),
    ('qvec8', 'quantize_int8(a_vector(SEED, 4))', 16, 3000, 4, 1.0),
    ('qvec8', 'quantize_int8(a_vector(SEED, 300))', 12, 800, 300, 1.0)) AS c(type, source, m, rows, dims, distinct_share), compare(type, source, m, rows, dims, distinct_share) AS s;

-- and with every compression and finer code, few rows and many
CREATE FUNCTION compare_codes(type text, compression text, refine text, rows int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    estimate bigint := qhnsw_estimate_size(rows, 64, compression => compression, refine => refine, type => type);
    built bigint;
BEGIN
    EXECUTE format('CREATE INDEX codes_index ON codes USING qhnsw ((%s)) WITH (%s refine = %L) WHERE i < %s',
        CASE type WHEN 'real[]' THEN 'v' ELSE 'quantize_int8(v)' END, CASE type WHEN 'real[]' THEN format('compression = %L,', compression) END, refine, rows);
    built := pg_relation_size('codes_index');
    DROP INDEX codes_index;
    RETURN estimate BETWEEN built * 0.9 AND built * 1.1;
END $$;
CREATE TEMPORARY TABLE codes AS SELECT i, a_vector(i, 64) AS v FROM generate_series(0, 2499) AS i;
SELECT type, rows, bool_and(compare_codes(type, compression, refine, rows)) AS all_within_a_tenth, count(*)
FROM (VALUES ('real[]', '{32x,16x,8x,4x,2x,1x}'::text[]), ('qvec8', '{32x}')) AS t(type, compressions), unnest(compressions) AS c(compression),
    unnest('{none,int2,int4,int8,half,float}'::text[]) AS r(refine), unnest('{40,2500}'::int[]) AS n(rows)
GROUP BY type, rows ORDER BY type, rows;
DROP FUNCTION compare_codes;
DROP TABLE codes;

-- sizes to plan with: a million rows
SELECT round(qhnsw_estimate_size(1000000, 768) / 1e6) AS real_768, round(qhnsw_estimate_size(1000000, 768, type => 'bitvec') / 1e6) AS bitvec_768, round(qhnsw_estimate_size(1000000, 1024, type => 'bitvec') / 1e6) AS bitvec_1024,
    qhnsw_estimate_size(1000000, 768, 16, '32x', 'none', 1, 'real[]') = qhnsw_estimate_size(1000000, 768) AS defaults, qhnsw_estimate_size(1000000, 768, type => 'halfvec') = qhnsw_estimate_size(1000000, 768, type => 'vector') AS floats_are_alike;
SELECT qhnsw_estimate_size(1000000000, 768) > 2e11 AS billion, qhnsw_estimate_size(0, 768) / current_setting('block_size')::int AS blocks_of_none, qhnsw_estimate_size(NULL, 768) AS unknown;
-- it grows with each of these
SELECT qhnsw_estimate_size(20000, 768) > qhnsw_estimate_size(10000, 768) AS rows, qhnsw_estimate_size(10000, 1024) > qhnsw_estimate_size(10000, 768) AS dims, qhnsw_estimate_size(10000, 768, m => 24) > qhnsw_estimate_size(10000, 768) AS m,
    qhnsw_estimate_size(10000, 768) > qhnsw_estimate_size(10000, 768, distinct_share => 0.3) AS distinct_share;
-- half the compression, twice the bits, and what the finer codes and the ends of pages add
SELECT compression, round((qhnsw_estimate_size(100000, 768, compression => compression) - qhnsw_estimate_size(100000, 768)) / 100000.0) BETWEEN 0.95 * bytes AND 1.5 * bytes + 20 AS code_grows
FROM (VALUES ('32x', 0), ('16x', 96), ('8x', 3 * 96), ('4x', 7 * 96), ('2x', 15 * 96), ('1x', 31 * 96)) AS c(compression, bytes);
SELECT refine, round((qhnsw_estimate_size(100000, 768, refine => refine) - qhnsw_estimate_size(100000, 768)) / 100000.0) BETWEEN 0.95 * bytes AND 1.5 * bytes + 20 AS refine_adds
FROM (VALUES ('none', 0), ('int2', 2 * 96), ('int4', 4 * 96), ('int8', 8 * 96), ('half', 16 * 96), ('float', 32 * 96)) AS c(refine, bytes);

-- centres lie in front, as floats
SELECT (qhnsw_estimate_size(100000, 768, centres => 64) - qhnsw_estimate_size(100000, 768)) / 8192 AS pages_of_64;

-- errors
SELECT qhnsw_estimate_size(-1, 768);
SELECT qhnsw_estimate_size(100, 0);
SELECT qhnsw_estimate_size(100, 16001);
SELECT qhnsw_estimate_size(100, 64001, type => 'bitvec');
SELECT qhnsw_estimate_size(100, 64000, type => 'bitvec') > 100 * 8000 AS longest;
SELECT qhnsw_estimate_size(100, 768, m => 1);
SELECT qhnsw_estimate_size(100, 768, m => 101);
SELECT qhnsw_estimate_size(100, 768, compression => '3x');
SELECT qhnsw_estimate_size(100, 768, compression => '8x', type => 'bitvec');
SELECT qhnsw_estimate_size(100, 768, refine => 'int3');
SELECT qhnsw_estimate_size(100, 768, refine => 'int8', type => 'bitvec');
SELECT qhnsw_estimate_size(100, 4000, compression => '1x');
SELECT qhnsw_estimate_size(100, 768, distinct_share => 0);
SELECT qhnsw_estimate_size(100, 768, distinct_share => 1.5);
SELECT qhnsw_estimate_size(100, 768, distinct_share => 'NaN');
SELECT qhnsw_estimate_size(100, 768, type => 'text');
SELECT qhnsw_estimate_size(100, 768, centres => 256);
SELECT qhnsw_estimate_size(100, 768, centres => 1, type => 'bitvec');
SELECT qhnsw_estimate_size(9000000000, 768);

DROP FUNCTION a_vector, compare;
