-- Scans started again, left half way, read by cursors, prepared, nested; several at once.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET enable_sort = off;

CREATE TABLE scanned (id int, r real[], b bitvec(32));
INSERT INTO scanned
SELECT id, v, binary_quantize(v)
FROM (SELECT id, test_vector(id, 32) AS v FROM generate_series(1, 2000) AS id OFFSET 0) s;
CREATE INDEX scanned_r ON scanned USING qhnsw (r real_l2_ops);
CREATE INDEX scanned_b ON scanned USING qhnsw (b);
CREATE TABLE asks AS SELECT id AS ask, test_vector(id, 32) AS r, binary_quantize(test_vector(id, 32)) AS b
FROM generate_series(5001, 5020) AS id;
INSERT INTO asks VALUES (5021, NULL, NULL);

-- a nested loop: one scan, started anew for each row outside
RESET enable_seqscan;
EXPLAIN (COSTS OFF)
SELECT ask, id FROM asks, LATERAL (SELECT id FROM scanned ORDER BY scanned.b <~> asks.b LIMIT 3) n;
SET enable_seqscan = off;
CREATE TABLE lateral_b AS
SELECT ask, d FROM asks, LATERAL (SELECT scanned.b <~> asks.b AS d FROM scanned ORDER BY scanned.b <~> asks.b LIMIT 3) n;
CREATE TABLE lateral_r AS
SELECT ask, d FROM asks, LATERAL (SELECT scanned.r <-> asks.r AS d FROM scanned ORDER BY scanned.r <-> asks.r LIMIT 3) n;
SET enable_indexscan = off;
SET enable_sort = on;
SELECT ask, array_agg(d ORDER BY d) FROM lateral_b GROUP BY ask
EXCEPT
SELECT ask, (SELECT array_agg(d ORDER BY d) FROM (SELECT scanned.b <~> asks.b AS d FROM scanned ORDER BY d LIMIT 3) n) FROM asks;
SELECT ask, count(*), count(d) FROM lateral_b GROUP BY ask HAVING count(*) <> 3 OR count(d) <> 3;
SELECT ask, count(*), count(d) FROM lateral_r GROUP BY ask HAVING count(*) <> 3 OR count(d) <> 3;
SELECT count(*) FILTER (WHERE near) >= 57 AS near, count(*)
FROM (SELECT l.d <= (SELECT max(d) FROM (SELECT scanned.r <-> asks.r AS d FROM scanned ORDER BY d LIMIT 3) e) AS near
      FROM lateral_r l JOIN asks USING (ask) WHERE asks.r IS NOT NULL) s;
RESET enable_indexscan;
SET enable_sort = off;

-- two scans of one index at the same time, and a scan inside a scan
SELECT count(*) FROM (SELECT id FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5001) LIMIT 50) x
                JOIN (SELECT id FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5001) LIMIT 50) y USING (id);
SELECT count(*) FROM (SELECT b FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5001) LIMIT 10) x,
    LATERAL (SELECT y.b FROM scanned y ORDER BY y.b <~> x.b LIMIT 10) y,
    LATERAL (SELECT z.b FROM scanned z ORDER BY z.b <~> y.b LIMIT 1) z WHERE z.b = y.b;

-- cursors: row by row, left, beyond the end, across a change, held
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT b <~> (SELECT b FROM asks WHERE ask = 5002) AS d FROM scanned ORDER BY d;
DECLARE c2 CURSOR FOR SELECT r <-> (SELECT r FROM asks WHERE ask = 5002) AS d FROM scanned ORDER BY d;
CREATE TABLE fetched (n serial, d float8);
DO $$
DECLARE
    c refcursor := 'c';
    c2 refcursor := 'c2';
    d float8;
BEGIN
    FOR i IN 1..200 LOOP
        FETCH c INTO d;
        INSERT INTO fetched (d) VALUES (d);
        FETCH c2 INTO d;
    END LOOP;
END $$;
SELECT count(*), array_agg(d ORDER BY n) = array_agg(d ORDER BY d) AS ordered FROM fetched;
DELETE FROM scanned WHERE id % 2 = 0;
INSERT INTO scanned SELECT id + 10000, r, b FROM scanned WHERE id < 100;
-- a cursor's snapshot is older than both, so it sees the rest of the two thousand
SELECT count(*) FROM scanned;
DO $$
DECLARE
    c refcursor := 'c';
    d float8;
BEGIN
    LOOP
        FETCH c INTO d;
        EXIT WHEN NOT FOUND;
        INSERT INTO fetched (d) VALUES (d);
    END LOOP;
END $$;
SELECT count(*), array_agg(d ORDER BY n) = array_agg(d ORDER BY d) AS ordered FROM fetched;
FETCH c;
FETCH BACKWARD 1 FROM c2;
ROLLBACK;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5003) LIMIT 100;
COMMIT;
DO $$
DECLARE
    c refcursor := 'c';
    n int := 0;
BEGIN
    LOOP
        MOVE c;
        EXIT WHEN NOT FOUND;
        n := n + 1;
    END LOOP;
    ASSERT n = 100, n;
END $$;
CLOSE c;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT b <~> (SELECT b FROM asks WHERE ask = 5003) AS d FROM scanned ORDER BY d LIMIT 5;
FETCH ALL FROM c;
FETCH BACKWARD ALL FROM c;
COMMIT;

-- prepared statements, planned for the value and for any value
SELECT b AS b7 FROM scanned WHERE id = 7 \gset
SELECT b AS b8 FROM scanned WHERE id = 8 \gset
PREPARE near(bitvec, int) AS SELECT count(*), min(d), max(d) <= 12 AS near FROM (SELECT b <~> $1 AS d FROM scanned ORDER BY b <~> $1 LIMIT $2) s;
SET plan_cache_mode = force_custom_plan;
EXECUTE near(:'b7', 5);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near('0', 5);
EXECUTE near(:'b7', 5);
EXECUTE near(:'b8', 15);
EXECUTE near('0101', 5);
EXECUTE near(:'b8', 0);
EXECUTE near(:'b8', 5);
-- the index goes, and comes back
DROP INDEX scanned_b;
SET enable_sort = on;
EXECUTE near(:'b8', 5);
SET enable_sort = off;
CREATE INDEX scanned_b ON scanned USING qhnsw (b);
EXECUTE near(:'b8', 5);
DEALLOCATE near;
RESET plan_cache_mode;

-- in functions, where a scan is left before its end; an error in mid-scan
CREATE FUNCTION nearest(q bitvec) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    row record;
    n int := 0;
BEGIN
    FOR row IN SELECT id FROM scanned ORDER BY b <~> q LOOP
        n := n + 1;
        EXIT WHEN n = 3;
    END LOOP;
    RETURN n;
END $$;
SELECT sum(nearest(b)) FROM asks WHERE b IS NOT NULL;
SELECT id / (id - id) FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5003) LIMIT 5;
SELECT count(*) FROM (SELECT FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5003) LIMIT 5) s;

-- as a condition only, the index has nothing to offer
RESET enable_sort;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT count(*) FROM scanned WHERE b <~> :'b7' < 5;
-- an order by something else behind the distance
SET enable_seqscan = off;
SELECT count(*) = 200 AS rows FROM (SELECT id FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5003), id LIMIT 200) s;
-- under a lock of its rows
SELECT count(*) FROM (SELECT id FROM scanned ORDER BY b <~> (SELECT b FROM asks WHERE ask = 5003) LIMIT 5 FOR UPDATE) s;

SELECT test_sound('scanned_r'), test_sound('scanned_b');
DROP TABLE scanned, asks, lateral_b, lateral_r;
DROP FUNCTION nearest(bitvec);
