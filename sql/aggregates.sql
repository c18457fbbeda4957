-- qvec_minmax and qvec_quantiles, in one process and in several.

SELECT qvec_minmax(v) FROM (VALUES ('{1,-2}'::real[]), (NULL), ('{7}'), ('{0,0.5,3}')) AS t(v);
SELECT qvec_minmax(v) FROM (VALUES ('{5}'::real[])) AS t(v);
SELECT qvec_minmax(v) AS none FROM (VALUES (NULL::real[])) AS t(v);
SELECT qvec_minmax(v) AS none FROM (SELECT '{1}'::real[] AS v WHERE false) AS t;
SELECT g, qvec_minmax(v) FROM (VALUES (1, '{1,2}'::real[]), (2, '{3,4}'), (1, '{0}'), (2, '{9}')) AS t(g, v) GROUP BY g ORDER BY g;

-- exact: at most (1 - confidence) / 2 of the elements lie outside at either end
SELECT c, qvec_quantiles(ARRAY[n]::real[], c) FROM generate_series(1, 1000) AS n, (VALUES (1.0::float8), (0.999), (0.99), (0.9), (0.5), (0.001)) AS t(c) GROUP BY c ORDER BY c DESC;
SELECT n, qvec_quantiles(ARRAY[i]::real[], 0.9) FROM (VALUES (1), (2), (10), (19), (20), (21), (40)) AS t(n), generate_series(1, n) AS i GROUP BY n ORDER BY n;
SELECT qvec_quantiles(v, 1) FROM (VALUES ('{1,-2}'::real[]), (NULL), ('{7}'), ('{0,0.5,3}')) AS t(v);
SELECT qvec_quantiles(v, 0.5) AS none FROM (VALUES (NULL::real[])) AS t(v);
SELECT qvec_quantiles('{1,2,3}'::real[], NULL) AS none;
-- the state goes on after a result was read
SELECT n, qvec_quantiles(ARRAY[100 - n]::real[], 0.5) OVER (ORDER BY n) FROM generate_series(1, 8) AS n;

-- a histogram once there are more than 262144 elements: never short of the share, and at most 1/256 too wide at either end
CREATE TABLE many (v real[]);
INSERT INTO many SELECT ARRAY(SELECT (i * 300 + j)::real / 300000 - 0.25 FROM generate_series(0, 299) AS j) FROM generate_series(0, 999) AS i;
SELECT qvec_quantiles(v, 1) AS all_of_them, qvec_minmax(v) FROM many;
SELECT c, lo <= -0.25 + (1 - c) / 2 AND hi >= 0.75 - 1.0 / 300000 - (1 - c) / 2 AS holds_share, lo >= (-0.25 + (1 - c) / 2) * CASE WHEN (1 - c) / 2 < 0.25 THEN 1 + 1 / 256.0 ELSE 1 - 1 / 256.0 END - 1e-5 AS lo_near, hi <= (0.75 - (1 - c) / 2) * (1 + 1 / 256.0) + 1e-5 AS hi_near
FROM (VALUES (0.99::float8), (0.9), (0.6), (0.2)) AS t(c), LATERAL (SELECT q[1] AS lo, q[2] AS hi FROM (SELECT qvec_quantiles(v, c) AS q FROM many) AS x) AS y;

-- the same in any order, and from several workers
SELECT a.q = b.q AS order_does_not_matter
FROM (SELECT qvec_quantiles(v, 0.97) AS q FROM (SELECT v FROM many ORDER BY v[1]) AS t) AS a, (SELECT qvec_quantiles(v, 0.97) AS q FROM (SELECT v FROM many ORDER BY v[1] DESC) AS t) AS b;
CREATE TABLE serial_results AS SELECT qvec_minmax(v) AS m, qvec_quantiles(v, 0.97) AS q, qvec_quantiles(v[1:100], 0.97) AS exact_q FROM many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT qvec_minmax(v), qvec_quantiles(v, 0.97) FROM many;
SELECT m = qvec_minmax(v) AS minmax, q = qvec_quantiles(v, 0.97) AS quantiles, exact_q = qvec_quantiles(v[1:100], 0.97) AS exact_quantiles FROM many, serial_results GROUP BY m, q, exact_q;
SELECT qvec_minmax(NULL::real[]) IS NULL AND qvec_quantiles(NULL::real[], 0.97) IS NULL AS none FROM many;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE many, serial_results;

-- what they are for
SELECT quantize_int8('{-1,0,2}'::real[], q[1], q[2]) FROM (SELECT qvec_minmax(v) AS q FROM (VALUES ('{-1,0}'::real[]), ('{2,1}')) AS t(v)) AS x;

-- refused
SELECT qvec_minmax('{1,NaN}'::real[]);
SELECT qvec_quantiles('{1,-Infinity}'::real[], 0.5);
SELECT qvec_minmax('{1,NULL}'::real[]);
SELECT qvec_quantiles('{}'::real[], 0.5);
SELECT qvec_quantiles('{1}'::real[], 0);
SELECT qvec_quantiles('{1}'::real[], 1.5);
SELECT qvec_quantiles('{1}'::real[], 'NaN');
SELECT qvec_quantiles('{1}'::real[], n / 2.0) FROM generate_series(1, 2) AS n;
SELECT qvec_minmax_accum('{1,2,3}', '{1}');

-- sum and avg: dimension by dimension
SELECT sum(v), avg(v) FROM (VALUES ('{1,2}'::real[]), (NULL), ('{2,5}')) AS t(v);
SELECT sum(v), avg(v) FROM (VALUES ('[1,2]'::qvec8), (NULL), ('[1,2]*0.5+1')) AS t(v);
SELECT sum(v) AS none, avg(v) AS none_too FROM (VALUES (NULL::real[])) AS t(v);
SELECT sum(v) AS none, avg(v) AS none_too FROM (SELECT '[1]'::qvec8 AS v WHERE false) AS t;
SELECT g, sum(v), avg(v) FROM (VALUES (1, '{1,2}'::real[]), (2, '{3}'), (1, '[3:4]={0,1}'), (2, '{9}')) AS t(g, v) GROUP BY g ORDER BY g;
-- added in double precision, rounded once: no overflow on the way, no row lost beside a large one
SELECT sum(v) AS fits, avg(v) FROM (VALUES ('{3e38,16777216}'::real[]), ('{3e38,1}'), ('{-3e38,1}'), ('{-1e38,0}')) AS t(v);
SELECT avg(v) AS largest FROM (VALUES ('{3.4e38}'::real[]), ('{3.4e38}')) AS t(v);
SELECT sum(v) FROM (VALUES ('{3e38}'::real[]), ('{3e38}')) AS t(v);
-- the state goes on after a result was read
SELECT n, sum(ARRAY[n]::real[]) OVER (ORDER BY n), avg(ARRAY[n]::real[]) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM generate_series(1, 5) AS n;
CREATE TABLE many (v real[], q qvec8);
INSERT INTO many SELECT v, v::qvec8 FROM (SELECT ARRAY[i, -i, i % 7]::real[] AS v FROM generate_series(1, 3000) AS i) AS t;
CREATE TABLE serial_results AS SELECT sum(v) AS s, avg(v) AS a, sum(q) AS sq, avg(q) AS aq FROM many;
SELECT s, a, a = ARRAY[(SELECT avg(v[1]) FROM many), (SELECT avg(v[2]) FROM many), (SELECT avg(v[3]) FROM many)]::real[] AS as_numbers, sq <=> s < 1e-3 AS near, aq <=> a < 1e-3 AS near_too FROM serial_results;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT sum(v), avg(v), sum(q), avg(q) FROM many;
SELECT sum(v) = s AS sum, avg(v) = a AS avg, sum(q) <-> sq < 1 AS sum8, avg(q) <-> aq < 1e-3 AS avg8 FROM many, serial_results GROUP BY s, a, sq, aq;
SELECT sum(NULL::real[]) IS NULL AS none FROM many;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE many, serial_results;
-- refused
SELECT sum(v) FROM (VALUES ('{1,2}'::real[]), ('{1}')) AS t(v);
SELECT avg(v) FROM (VALUES ('[1,2]'::qvec8), ('[1]')) AS t(v);
SELECT avg('{1,NaN}'::real[]);
SELECT sum('{-Infinity}'::real[]);
SELECT sum('{1,NULL}'::real[]);
SELECT avg('{}'::real[]);
SELECT avg('{{1}}'::real[]);
-- a state that no aggregate made
SELECT qvec_sums_accum('{}', '{1}'::real[]);
SELECT qvec_sums_accum('{1,2,3}', '{1}'::real[]);
SELECT qvec_sums_combine('{1,2,3}', '{1,NULL}');
SELECT qvec_sums_accum(s, '{1}'::real[]) AS added, s AS as_it_was FROM (VALUES ('{1,2}'::double precision[])) AS t(s);
-- numbers of other aggregates are theirs
SELECT sum(n), avg(n), sum(n::real), pg_typeof(sum(n)) FROM generate_series(1, 4) AS n;
