-- The setting qvec.simd: the level it names runs, and gives the same results.

-- the setting is known once the library is loaded
LOAD 'qvec';
SHOW qvec.simd;
SET qvec.simd = 'scalar';
SELECT qvec_simd();
SHOW qvec.simd;
-- case does not matter
SET qvec.simd = 'SCALAR';
SELECT qvec_simd();
-- what one level says, all say: the best of this machine against the specification
CREATE TABLE samples AS SELECT n, array_agg(sin(i * n)::real ORDER BY i) AS a, array_agg(cos(i * i + n)::real ORDER BY i) AS b FROM generate_series(1, 200) AS n, generate_series(1, n) AS i GROUP BY n;
CREATE VIEW results AS
    SELECT n, a <-> b AS l2, a <=> b AS cosine, a <#> b AS ip, a <+> b AS l1, l2_norm(a) AS norm,
        ba, ba <~> bb AS hamming, ba <%> bb AS jaccard, bit_count(ba) AS bits,
        qa <-> qb AS l2_8, qa <=> qb AS cosine_8, qa <#> qb AS ip_8, qa <+> qb AS l1_8, ra <-> rb AS l2_r, ra <=> rb AS cosine_r
    FROM samples, LATERAL (SELECT binary_quantize(a) AS ba, binary_quantize(b) AS bb, quantize_int8(a) AS qa, quantize_int8(b) AS qb, quantize_int8(a, -1, 0.9) AS ra, quantize_int8(b, -0.8, 1) AS rb OFFSET 0) AS q;
CREATE TABLE by_scalar AS SELECT * FROM results;
SET qvec.simd = 'auto';
SELECT count(*) AS rows_that_differ FROM (SELECT * FROM results EXCEPT SELECT * FROM by_scalar) AS t;
SELECT count(*) AS rows FROM (SELECT * FROM results INTERSECT SELECT * FROM by_scalar) AS t;
DROP VIEW results;
DROP TABLE samples, by_scalar;

-- refused, and nothing changes (the detail's list depends on the machine)
SET qvec.simd = 'scalar';
\set VERBOSITY terse
SET qvec.simd = 'mmx';
SET qvec.simd = '';
\set VERBOSITY default
SHOW qvec.simd;
SELECT qvec_simd();
RESET qvec.simd;
SET qvec.no_such_setting = 1;

-- superusers only
CREATE ROLE regress_qvec_user;
SET ROLE regress_qvec_user;
SET qvec.simd = 'scalar';
SELECT qvec_simd() IS NOT NULL AS may_look;
RESET ROLE;
DROP ROLE regress_qvec_user;
