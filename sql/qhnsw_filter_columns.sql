-- Conditions that the index answers: key columns behind the vector, INCLUDE columns, row security.
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

CREATE TABLE docs (id int PRIMARY KEY, v real[], tenant int, made timestamptz, tags int[], public boolean, price int, status text, note text);
SELECT setseed(.1);
INSERT INTO docs
SELECT id, ARRAY(SELECT (sin(id % 37 * j) + random())::real FROM generate_series(1, 24) AS j), id % 50,
    '2024-01-01 00:00+00'::timestamptz + id * interval '1 hour', ARRAY[id % 100, id % 7 + 200], id % 2 = 0, id % 1000, 's' || id % 10, repeat('n', id % 60)
FROM generate_series(1, 8000) AS id;
CREATE INDEX docs_v ON docs USING qhnsw (v real_l2_ops, tenant, made, tags, public) INCLUDE (price, status, note);
VACUUM ANALYZE docs;
CREATE TEMP TABLE q AS SELECT v FROM docs WHERE id = 4321;

-- the condition is the index's
EXPLAIN (COSTS off) SELECT id FROM docs WHERE tenant = 7 AND made > '2024-05-01' AND tags && '{57,3}' ORDER BY v <-> '{1}' LIMIT 10;

-- what a sequential scan finds, and what the last scan of the index took
CREATE FUNCTION compare(condition text, k int DEFAULT 10, OUT rows int, OUT same int, OUT few_fetched boolean, OUT swept boolean) LANGUAGE plpgsql AS $$
DECLARE
    a int[];
    b int[];
    seq text := format('SELECT ARRAY(SELECT id FROM docs WHERE %s ORDER BY v <-> (SELECT v FROM q) LIMIT %s)', condition, k);
BEGIN
    SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off;
    EXECUTE seq INTO a;
    SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_indexscan = on;
    EXECUTE seq INTO b;
    rows := cardinality(b);
    same := (SELECT count(*) FROM unnest(a) AS i WHERE i = ANY (b));
    SELECT heap_rows_fetched <= 20 * k, filter_sweeps > 0 INTO few_fetched, swept FROM qhnsw_last_scan();
END $$;
SELECT * FROM compare('tenant = 7');
SELECT * FROM compare('tenant IN (3, 7, NULL, 9, 11)');
SELECT * FROM compare('tenant = 7 AND tags && ''{57}''');
SELECT * FROM compare('made BETWEEN ''2024-03-01'' AND ''2024-03-04 12:00+00''', 100);
SELECT * FROM compare('tenant = 51');
SELECT * FROM compare('tenant = 1 AND tenant = 2');
SELECT * FROM compare('tenant = ANY (''{}'')');
SELECT * FROM compare('tenant IS NULL');
SELECT * FROM compare('public');
SELECT * FROM compare('NOT public AND tenant = 7', 200);
SELECT * FROM compare('public IS TRUE AND public IS FALSE');
SELECT * FROM compare('tenant IS NOT NULL AND made IS NOT NULL');

-- a cursor goes on from the graph into a pass, and misses and repeats none
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM docs WHERE tenant < 25 AND public ORDER BY v <-> (SELECT v FROM q);
CREATE TEMP TABLE got (id int) ON COMMIT DROP;
DO $$
DECLARE
    r record;
    c refcursor := 'c';
BEGIN
    LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        INSERT INTO got VALUES (r.id);
    END LOOP;
END $$;
SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM docs WHERE tenant < 25 AND public) AS passing FROM got;
COMMIT;

-- NULL vectors are not in the index
SELECT count(*) FROM (SELECT id FROM docs WHERE v IS NOT NULL AND tenant = 7 ORDER BY v <-> (SELECT v FROM q) LIMIT 10) AS s;

-- stored values: tested before rows are fetched
SELECT * FROM compare('price * 2 < 40 OR status = ''s3''');
SELECT * FROM compare('price = 321');
SELECT rows_filtered AS fetched_for_nothing FROM qhnsw_last_scan();
SELECT * FROM compare('tenant = 7 AND status = ''s7''');
SELECT rows_filtered AS fetched_for_nothing FROM qhnsw_last_scan();
-- where a value is too long to be stored, the row decides
SELECT * FROM compare('length(note) > 40');
SELECT * FROM compare('note = repeat(''n'', 3)');
-- a column that the index does not have
SELECT * FROM compare('tenant = 7 AND id % 3 = 0');

-- a condition that may fail is not evaluated on rows that a condition before it drops, nor on rows nobody sees
SELECT * FROM compare('price <> 0 AND 1000 / price > 2');
BEGIN;
UPDATE docs SET status = 's1' WHERE id = 4321;
INSERT INTO docs SELECT id + 100000, v, tenant, made, tags, public, 0, status, note FROM docs WHERE id % 100 = 0;
DELETE FROM docs WHERE id > 100000;
SELECT count(*) FROM (SELECT id FROM docs WHERE price > 0 AND tenant >= 0 ORDER BY v <-> (SELECT v FROM q) LIMIT 500) AS s WHERE id > 0;
ROLLBACK;
SELECT count(*) FROM (SELECT id FROM docs WHERE price = 0 OR 1000 / price > 2 ORDER BY v <-> (SELECT v FROM q) LIMIT 100) AS s;

-- row security: a function that tells what it sees must not see rows that the policy hides
CREATE FUNCTION tells(int) RETURNS boolean LANGUAGE plpgsql COST .0001 AS $$
BEGIN
    IF $1 % 1000 < 995 THEN
        RAISE NOTICE 'saw %', $1;
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION tells_text(text) RETURNS boolean LANGUAGE plpgsql COST .0001 AS $$
BEGIN
    IF $1 <> 's5' THEN
        RAISE NOTICE 'saw %', $1;
    END IF;
    RETURN true;
END $$;
CREATE ROLE regress_qvec_reader;
GRANT SELECT ON docs, q TO regress_qvec_reader;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY dear ON docs TO regress_qvec_reader USING (price >= 995);
SET ROLE regress_qvec_reader;
SELECT count(*) FROM (SELECT id FROM docs WHERE tells(price) ORDER BY v <-> (SELECT v FROM q) LIMIT 5) AS s;
SELECT count(*) FROM (SELECT id FROM docs WHERE tells(price) AND tenant > 10 ORDER BY v <-> (SELECT v FROM q) LIMIT 5) AS s;
RESET ROLE;
DROP POLICY dear ON docs;
CREATE POLICY own ON docs TO regress_qvec_reader USING (status = 's5');
SET ROLE regress_qvec_reader;
SELECT count(*) FROM (SELECT id FROM docs WHERE tells_text(status) ORDER BY v <-> (SELECT v FROM q) LIMIT 5) AS s;
RESET ROLE;
-- by a filter column that only the row of the table decides
DROP INDEX docs_v;
CREATE INDEX docs_v ON docs USING qhnsw (v real_l2_ops, status) INCLUDE (price);
DROP POLICY own ON docs;
CREATE POLICY own ON docs TO regress_qvec_reader USING (status = 's5');
SET ROLE regress_qvec_reader;
SELECT count(*) FROM (SELECT id FROM docs WHERE tells_text(status) AND price % 10 = 5 ORDER BY v <-> (SELECT v FROM q) LIMIT 5) AS s;
RESET ROLE;
DROP TABLE docs CASCADE;
DROP FUNCTION tells(int), tells_text(text);
DROP OWNED BY regress_qvec_reader;
DROP ROLE regress_qvec_reader;

-- other columns: bits by either distance, qvec8, expressions, a partial index
CREATE TABLE codes (id int, b bitvec(64), n int, s text);
INSERT INTO codes SELECT id, (SELECT string_agg((random() < .5)::int::text, '') FROM generate_series(1, 64) WHERE id > 0)::bitvec(64), id % 20, 'x' || id % 20
FROM generate_series(1, 3000) AS id;
CREATE INDEX codes_h ON codes USING qhnsw (b bitvec_hamming_ops, n, s, (n * 2)) WHERE id > 10;
CREATE INDEX codes_j ON codes USING qhnsw (b bitvec_jaccard_ops, n, s);
CREATE FUNCTION agrees(operator text, condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    a float8[];
    b float8[];
    ids text := format('SELECT ARRAY(SELECT b %s (SELECT b FROM codes WHERE id = 77) FROM codes WHERE %s ORDER BY b %1$s (SELECT b FROM codes WHERE id = 77) LIMIT 20)', operator, condition);
BEGIN
    SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off;
    EXECUTE ids INTO a;
    SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_indexscan = on;
    EXECUTE ids INTO b;
    RETURN a = b;
END $$;
SET qhnsw.flat = on;
SELECT agrees('<~>', 'id > 10 AND n = 3'), agrees('<~>', 'id > 10 AND s = ''x4'''), agrees('<~>', 'id > 10 AND n * 2 = 10'),
    agrees('<%>', 'n = 3'), agrees('<%>', 's = ANY (''{x3,x4,nothing}'')'), agrees('<%>', 'n < 0');
RESET qhnsw.flat;
DROP TABLE codes;
DROP FUNCTION agrees(text, text);

-- partitions, changes of a filter column alone, vacuum, NULL queries, expressions
CREATE TABLE parts (id int, e real[], tenant int, s text) PARTITION BY HASH (id);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT id, ARRAY(SELECT (random() - .5)::real FROM generate_series(1, 16) WHERE id > 0), id % 20, 's' || id % 20
FROM generate_series(1, 2000) AS id;
CREATE INDEX ON parts USING qhnsw (e real_l2_ops, tenant, s);
SELECT count(*), min(tenant), max(tenant) FROM (SELECT tenant FROM parts WHERE tenant = 3 AND s = 's3' ORDER BY e <-> (SELECT e FROM parts WHERE id = 5) LIMIT 7) AS x;
DROP TABLE parts;
CREATE TABLE u (id int PRIMARY KEY, e real[], t int);
INSERT INTO u SELECT id, ARRAY(SELECT random()::real FROM generate_series(1, 8) WHERE id > 0), id % 10 FROM generate_series(1, 1500) AS id;
CREATE INDEX u_e ON u USING qhnsw (e real_l2_ops, t);
UPDATE u SET t = 77 WHERE id % 100 = 0;
SELECT count(*) FROM (SELECT id FROM u WHERE t = 77 ORDER BY e <-> (SELECT e FROM u WHERE id = 5)) AS x;
SELECT count(*) FROM (SELECT id FROM u WHERE t = 0 ORDER BY e <-> (SELECT e FROM u WHERE id = 5)) AS x;
DELETE FROM u WHERE t = 77 AND id < 500;
VACUUM u;
SELECT count(*) FROM (SELECT id FROM u WHERE t = 77 ORDER BY e <-> (SELECT e FROM u WHERE id = 5)) AS x;
SELECT count(*) FROM (SELECT id FROM u WHERE t IS NULL OR t = 1 ORDER BY e <-> (SELECT e FROM u WHERE id = 5)) AS x;
SELECT count(*) FROM (SELECT id FROM u WHERE t = 2 ORDER BY e <-> NULL) AS x;
DROP INDEX u_e;
CREATE INDEX u_e ON u USING qhnsw (e real_ip_ops, (t % 3), t) WHERE id > 20;
SELECT count(*), (SELECT count(*) FROM u WHERE id > 20 AND t % 3 = 1) AS passing
FROM (SELECT id FROM u WHERE id > 20 AND t % 3 = 1 ORDER BY e <#> (SELECT e FROM u WHERE id = 5)) AS x;
SELECT * FROM qhnsw_check('u_e', true);
DROP TABLE u;

-- what is refused
CREATE TABLE refused (e real[], a int, b int, c int);
CREATE INDEX ON refused USING qhnsw (a, e);
CREATE INDEX ON refused USING qhnsw (e, e);
CREATE INDEX ON refused USING qhnsw (e, a, b, c, a, b, c, a, b, c);
DROP TABLE refused;
