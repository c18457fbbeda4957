-- Rows that move away from what an index was trained on: qhnsw_info says so, REINDEX mends it.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE moved (id int, v real[], q qvec8, b bitvec(32));
CREATE FUNCTION moved_vector(id int, shift float8) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((x + shift)::real ORDER BY i) FROM unnest(test_vector(id, 32)) WITH ORDINALITY AS u(x, i)
$$;
CREATE FUNCTION move(first int, last int, shift float8) RETURNS void LANGUAGE sql AS $$
    INSERT INTO moved SELECT i, v, quantize_int8(v, -12, 12), binary_quantize(v)
    FROM (SELECT i, moved_vector(i, shift) AS v FROM generate_series(first, last) AS i OFFSET 0) AS s
$$;
SELECT move(1, 1500, 0);
CREATE INDEX moved_l2 ON moved USING qhnsw (v real_l2_ops);
CREATE INDEX moved_cosine ON moved USING qhnsw (v real_cosine_ops) WITH (compression = '8x');
CREATE INDEX moved_ip ON moved USING qhnsw (v real_ip_ops) WITH (compression = '2x', refine = 'int4');
CREATE INDEX moved_q ON moved USING qhnsw (q qvec8_l2_ops);
CREATE INDEX moved_b ON moved USING qhnsw (b);

CREATE FUNCTION drifts() RETURNS TABLE (index text, trained boolean, spread_as_trained boolean, drifted text, reindex_advised boolean) LANGUAGE sql AS $$
    SELECT c.relname::text, i.trained, i.spread / i.trained_spread BETWEEN 0.95 AND 1.05,
        CASE WHEN i.drift < 0.3 THEN 'none' WHEN i.drift < 0.5 THEN 'some' WHEN i.drift >= 0.5 THEN 'much' END, i.reindex_advised
    FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid, qhnsw_info(c.oid) AS i
    WHERE x.indrelid = 'moved'::regclass ORDER BY c.relname COLLATE "C"
$$;
-- nothing has moved
SELECT * FROM drifts();
SELECT inserted_spread FROM qhnsw_info('moved_l2');
-- the numbers are those of the table
CREATE FUNCTION spread() RETURNS float8 LANGUAGE sql AS $$
    SELECT sqrt(sum(variance)) FROM (SELECT var_pop(x) AS variance FROM moved, unnest(v) WITH ORDINALITY AS u(x, i) GROUP BY i) AS s
$$;
SELECT i.spread / spread() BETWEEN 0.97 AND 1.03 AS spread FROM qhnsw_info('moved_l2') AS i;

-- as many rows again, two spreads away: centres are learned from the first of them, and the others lie as near as rows do
CREATE TABLE asked AS SELECT moved_vector(100000 + i, 2 * spread() / sqrt(32)) AS query FROM generate_series(1, 30) AS i;
SELECT move(2001, 4000, 2 * spread() / sqrt(32));
SELECT * FROM drifts();
SELECT index, centres > 0 AS learned, centre_slots > 0 AS slots FROM unnest(ARRAY['moved_l2', 'moved_cosine', 'moved_q', 'moved_b']) AS index, qhnsw_info(index::regclass);
SELECT inserted_spread / trained_spread < 1.5 AS inserts_seen FROM qhnsw_info('moved_l2');
SELECT count(*) AS faults FROM unnest(ARRAY['moved_l2', 'moved_cosine', 'moved_ip', 'moved_q']) AS index, qhnsw_check(index::regclass, true);
-- the old rows go, and all of them are where the centroid is not
DELETE FROM moved WHERE id < 2000;
:vacuum moved;
SELECT i.spread / spread() BETWEEN 0.9 AND 1.2 AS spread, i.drift < 0.7 AS drift, centre_slots > 0 AS slots FROM qhnsw_info('moved_l2') AS i;
-- a row is found as after REINDEX
CREATE FUNCTION found_by_codes() RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0;
    near float8[];
    limit_ float8;
    query real[];
BEGIN
    SET LOCAL qhnsw.rescore = off;
    FOR query IN SELECT a.query FROM asked AS a LOOP
        SET LOCAL enable_seqscan = off;
        SET LOCAL enable_indexscan = on;
        near := ARRAY(SELECT v <-> query FROM (SELECT v FROM moved ORDER BY v <-> query LIMIT 20) AS s);
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_indexscan = off;
        SELECT max(d) INTO limit_ FROM (SELECT v <-> query AS d FROM moved ORDER BY 1 LIMIT 20) AS s;
        n := n + (SELECT count(*) FROM unnest(near) AS d WHERE d <= limit_);
    END LOOP;
    RETURN n / 600.0;
END $$;
DROP INDEX moved_cosine, moved_ip, moved_q, moved_b;
CREATE TABLE recalls AS SELECT found_by_codes() AS before;
REINDEX INDEX moved_l2;
SELECT * FROM drifts();
SELECT inserted_spread, centre_slots FROM qhnsw_info('moved_l2');
SELECT found_by_codes() < before + 0.05 AS no_better FROM recalls;

-- rows that are farther apart than those of the build, which no centre helps
INSERT INTO moved SELECT id + 10000, ARRAY(SELECT x * 4 FROM unnest(test_vector(id, 32)) AS x) FROM generate_series(5000, 7000) AS id;
SELECT * FROM drifts();
SELECT inserted_spread / trained_spread BETWEEN 2 AND 6 AS inserts_seen FROM qhnsw_info('moved_l2');
REINDEX INDEX moved_l2;
SELECT * FROM drifts();

-- trained on nothing: rows lie around the origin until centres are learned
TRUNCATE moved;
SELECT move(1, 1, 3);
SELECT trained, trained_spread, spread, drift, reindex_advised FROM qhnsw_info('moved_l2');
SELECT move(2, 1000, 3);
SELECT * FROM drifts();
SELECT centres > 0 AS learned, spread / spread() < 1.5 AS spread FROM qhnsw_info('moved_l2');
REINDEX INDEX moved_l2;
SELECT * FROM drifts();
-- all rows alike have no spread
UPDATE moved SET v = (SELECT v FROM moved WHERE id = 1);
:vacuum moved;
SELECT trained, spread, drift FROM qhnsw_info('moved_l2');
DROP TABLE moved, asked, recalls;
DROP FUNCTION moved_vector, move, drifts, spread, found_by_codes;
