-- Distances and vector functions on real[].

SELECT '{0,3}'::real[] <-> '{4,0}' AS l2_5, '{1,2,3}'::real[] <#> '{4,5,6}' AS minus_32, '{1,2,3}'::real[] <+> '{4,-5,6}' AS l1_13, '{1,0}'::real[] <=> '{0,1}' AS right_angle;
SELECT l2_distance('{0,3}'::real[], '{4,0}'), inner_product('{1,2,3}'::real[], '{4,5,6}'), l1_distance('{1,2,3}'::real[], '{4,-5,6}'), cosine_distance('{1,2}'::real[], '{-1,-2}');
SELECT '{1,0}'::real[] <#> '{0,1}' AS not_negative_zero, '{0,0}'::real[] <=> '{1,1}' AS zero_vector, '{0,0}'::real[] <=> '{0,0}' AS both_zero;
-- a vector lies at exactly 0 from itself
SELECT bool_and(v <=> v = 0 AND v <-> v = 0 AND v <+> v = 0) AS itself FROM (SELECT array_agg(sin(i * n)::real) AS v FROM generate_series(1, 50) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
-- no overflow on the way to a result that is representable
SELECT '{3e38}'::real[] <-> '{-3e38}' AS six_e38, '{3e38,0}'::real[] <=> '{3e38,3e38}' AS one_less_root_half, '{1e-45}'::real[] <=> '{1e-45}' AS smallest;
-- NaN and infinity follow IEEE
SELECT '{NaN,1}'::real[] <-> '{1,1}' AS nan, '{Infinity}'::real[] <-> '{1}' AS infinity, '{Infinity}'::real[] <-> '{Infinity}' AS inf_minus_inf, '{Infinity,1}'::real[] <#> '{1,1}' AS ip, '{Infinity,1}'::real[] <=> '{1,1}' AS cosine, '{-Infinity}'::real[] <+> '{1}' AS l1;
-- lengths around every tail, against sums in SQL
SELECT count(*) AS lengths,
    bool_and(abs((a <-> b) - l2) <= 1e-9 * l2) AS l2, bool_and(abs((a <#> b) + ip) <= 1e-9 * (1 + abs(ip))) AS ip, bool_and(abs((a <+> b) - l1) <= 1e-9 * l1) AS l1,
    bool_and(abs((a <=> b) - (1 - ip / (na * nb))) <= 1e-9) AS cosine, bool_and(abs(l2_norm(a) - na) <= 1e-9 * na) AS norm
FROM (SELECT n, array_agg(x ORDER BY i) AS a, array_agg(y ORDER BY i) AS b, sqrt(sum((x::float8 - y::float8) ^ 2)) AS l2, sum(x::float8 * y::float8) AS ip, sum(abs(x::float8 - y::float8)) AS l1,
        sqrt(sum(x::float8 ^ 2)) AS na, sqrt(sum(y::float8 ^ 2)) AS nb
    FROM generate_series(1, 140) AS n, LATERAL (SELECT i, sin(i * 1.7)::real AS x, cos(i * i * 0.3)::real AS y FROM generate_series(1, n) AS i) AS e GROUP BY n) AS t;

SELECT vector_dims('{1,2,3}'::real[]), l2_norm('{3,4}'::real[]), subvector('{1,2,3,4}'::real[], 2, 2), subvector('{1,2,3,4}'::real[], -1, 3), '[5:6]={3,4}'::real[] <-> '{3,5}' AS bounds_do_not_matter;
SELECT subvector('{1,2}'::real[], 3, 1);
SELECT NULL::real[] <-> '{1}' AS null_in_null_out;
SELECT '{1,2}'::real[] <-> '{1,2,3}';
SELECT '{1,2}'::real[] <=> '{1,2,3}';
SELECT '{1,2}'::real[] <#> '{1,2,3}';
SELECT '{1,2}'::real[] <+> '{1,2,3}';
SELECT '{}'::real[] <-> '{}';
SELECT '{{1,2},{3,4}}'::real[] <-> '{1,2}';
SELECT '{1,NULL}'::real[] <-> '{1,2}';
SELECT '{1,2}'::real[] <=> '{NULL,2}';

-- stored inline, compressed and out of line
CREATE TABLE reals (id int, v real[]);
INSERT INTO reals SELECT n, array_agg(sin(i)::real) FROM (VALUES (3), (30), (3000)) AS d(n), generate_series(1, n) AS i GROUP BY n;
INSERT INTO reals SELECT 2000, array_fill(1::real, ARRAY[2000]);
SELECT id, v <-> v AS itself, vector_dims(v) FROM reals ORDER BY id;
DROP TABLE reals;
