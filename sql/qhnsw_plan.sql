-- Plans: the index for ORDER BY ... LIMIT on tables of some size, and not for small ones, for filters
-- that leave few rows, or without a LIMIT.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET plan_cache_mode = force_generic_plan;

CREATE TABLE planned (id int PRIMARY KEY, tenant int, big real[], r real[], q qvec8(8), b bitvec(8));
INSERT INTO planned SELECT id, id % 1000, NULL, v, quantize_int8(v), binary_quantize(v)
FROM (SELECT id, test_vector(id, 8) AS v FROM generate_series(1, 10000) AS id OFFSET 0) s;
CREATE INDEX planned_r ON planned USING qhnsw (r);
CREATE INDEX planned_l2 ON planned USING qhnsw (r real_l2_ops);
CREATE INDEX planned_q ON planned USING qhnsw (q qvec8_ip_ops);
CREATE INDEX planned_b ON planned USING qhnsw (b);
CREATE INDEX planned_tenant ON planned (tenant);
:vacuum ANALYZE planned;

-- each by the index whose operator it is
PREPARE cosine(real[]) AS SELECT id FROM planned ORDER BY r <=> $1 LIMIT 10;
EXPLAIN (COSTS OFF) EXECUTE cosine('{1,1,1,1,1,1,1,1}');
PREPARE l2(real[]) AS SELECT id FROM planned ORDER BY r <-> $1 LIMIT 10;
EXPLAIN (COSTS OFF) EXECUTE l2('{1,1,1,1,1,1,1,1}');
PREPARE ip(qvec8) AS SELECT id FROM planned ORDER BY q <#> $1 LIMIT 10;
EXPLAIN (COSTS OFF) EXECUTE ip('[1,1,1,1,1,1,1,1]');
PREPARE hamming(bitvec) AS SELECT id, b <~> $1 AS d FROM planned ORDER BY d LIMIT 10;
EXPLAIN (COSTS OFF) EXECUTE hamming('11111111');
-- the column on the right, and a larger LIMIT
EXPLAIN (COSTS OFF) SELECT id FROM planned ORDER BY '11111111' <~> b LIMIT 100;
-- no index for this distance
PREPARE l1(real[]) AS SELECT id FROM planned ORDER BY r <+> $1 LIMIT 10;
EXPLAIN (COSTS OFF) EXECUTE l1('{1,1,1,1,1,1,1,1}');

-- a filter that lets many rows pass goes along; one that leaves few decides
EXPLAIN (COSTS OFF) SELECT id FROM planned WHERE tenant < 500 ORDER BY b <~> '11111111' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM planned WHERE tenant = 7 ORDER BY b <~> '11111111' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM planned WHERE id = 7 ORDER BY b <~> '11111111' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM planned WHERE tenant = 7 ORDER BY r <=> '{1,1,1,1,1,1,1,1}' LIMIT 10;

-- without a LIMIT, or without an order
EXPLAIN (COSTS OFF) SELECT id FROM planned ORDER BY b <~> '11111111';
EXPLAIN (COSTS OFF) SELECT id FROM planned ORDER BY r <=> '{1,1,1,1,1,1,1,1}';
EXPLAIN (COSTS OFF) SELECT id FROM planned WHERE b <~> '11111111' < 2;
-- nor as a way to read the table, whatever else is forbidden
CREATE FUNCTION uses(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan::text ~ 'planned_(r|l2|q|b)"';
END $$;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SELECT uses('SELECT id FROM planned WHERE r IS NOT NULL AND q IS NULL'), uses('SELECT count(*) FROM planned'),
       uses('SELECT r FROM planned ORDER BY r'), uses('SELECT FROM planned ORDER BY b <~> ''1''') AS ordered;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;
RESET enable_seqscan;
DROP FUNCTION uses(text);

-- the flat scan's cost is that of a table's worth of codes, not of the table
SET qhnsw.flat = on;
EXPLAIN (COSTS OFF) SELECT id FROM planned ORDER BY b <~> '11111111' LIMIT 10;
RESET qhnsw.flat;

-- a small table is sorted sooner than searched
CREATE TABLE small AS SELECT * FROM planned WHERE id <= 30;
CREATE INDEX small_r ON small USING qhnsw (r);
CREATE INDEX small_b ON small USING qhnsw (b);
:vacuum ANALYZE small;
EXPLAIN (COSTS OFF) SELECT id FROM small ORDER BY b <~> '11111111' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM small ORDER BY r <=> '{1,1,1,1,1,1,1,1}' LIMIT 10;
-- unless that is forbidden
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM small ORDER BY b <~> '11111111' LIMIT 10;
RESET enable_seqscan;
RESET enable_sort;

-- rows of wide vectors, out of line
CREATE TABLE wide (id int, r real[]);
INSERT INTO wide SELECT i, ARRAY(SELECT test_gauss(i * 1000 + d, 3) FROM generate_series(1, 600) AS d) FROM generate_series(1, 1000) AS i;
CREATE INDEX wide_r ON wide USING qhnsw (r);
:vacuum ANALYZE wide;
PREPARE wide(real[]) AS SELECT id FROM wide ORDER BY r <=> $1 LIMIT 10;
EXPLAIN (COSTS OFF) EXECUTE wide('{1}');

-- Costs grow with what is done.
CREATE FUNCTION cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' -> 'Total Cost';
END $$;
SET enable_seqscan = off;
SELECT cost('SELECT id FROM planned ORDER BY b <~> ''11111111'' LIMIT 10') < cost('SELECT id FROM planned ORDER BY b <~> ''11111111'' LIMIT 500') AS more_rows,
       cost('SELECT id FROM planned ORDER BY q <#> ''[1,1,1,1,1,1,1,1]'' LIMIT 10') > cost('SELECT id FROM planned ORDER BY b <~> ''11111111'' LIMIT 10') AS rescoring;
CREATE TABLE costs AS SELECT cost('SELECT id FROM planned ORDER BY b <~> ''11111111'' LIMIT 10') AS usual;
SET qhnsw.ef_search = 400;
SELECT cost('SELECT id FROM planned ORDER BY b <~> ''11111111'' LIMIT 10') > usual AS wider FROM costs;
-- The effort that the index's curve says is the one that is counted.
CREATE TABLE measured AS SELECT i AS id, binary_quantize(ARRAY(SELECT test_gauss(i * 100 + d, 5)::real FROM generate_series(1, 64) AS d)) AS b FROM generate_series(1, 4000) AS i;
CREATE INDEX measured_b ON measured USING qhnsw (b);
VACUUM ANALYZE measured;
CREATE FUNCTION cost_at(target real, ef_search int) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('qhnsw.target_recall', target::text, true), set_config('qhnsw.ef_search', ef_search::text, true);
    RETURN cost('SELECT id FROM measured ORDER BY b <~> (SELECT b FROM measured LIMIT 1) LIMIT 10');
END $$;
SELECT bool_and(cost_at(t, 0) = cost_at(0, ef)) AS by_curve, count(DISTINCT cost_at(t, 0)) > 1 AS differ
FROM qhnsw_info('measured_b') AS i, unnest(recall_targets, recall_ef_search) AS p(t, ef) WHERE recall_reached[1] > 0;
DROP TABLE measured;
DROP FUNCTION cost_at;

DEALLOCATE ALL;
DROP FUNCTION cost(text);
DROP TABLE planned, small, wide, costs;
