-- A value out of line is read once, whether its distance serves the order, the filter, the result, or all of them.
\set ECHO none
\i sql/include/qhnsw.psql
\set ECHO all

CREATE TABLE long (id int, v real[]);
ALTER TABLE long ALTER v SET STORAGE EXTERNAL;
INSERT INTO long SELECT i, test_vector(i, 8) || array_fill((i % 3)::real, ARRAY[700]) FROM generate_series(1, 300) AS i;
CREATE TABLE long_copy AS SELECT * FROM long;
-- Values read out of line so far in this transaction: look-ups in the table they lie in
CREATE FUNCTION reads(relation regclass) RETURNS bigint LANGUAGE sql AS $$
    SELECT s.idx_scan FROM pg_class AS c JOIN pg_stat_xact_all_tables AS s ON s.relid = c.reltoastrelid WHERE c.oid = relation
$$;
-- How many more a query reads than its scan; and is what it returns what a sort returns?
CREATE FUNCTION read_beside(query text, scan text, sorted text, OUT beside text, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    before bigint := reads('long');
    took bigint;
    ours float8[];
    truth float8[];
BEGIN
    SET LOCAL enable_seqscan = off;
    EXECUTE query INTO ours;
    took := reads('long') - before;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_indexscan = off;
    EXECUTE sorted INTO truth;
    SET LOCAL enable_indexscan = on;
    same := ours = truth;
    beside := CASE WHEN took <= scan::int THEN 'no more' ELSE took || ' read' END;
END $$;
SELECT format('%L::real[]', v) AS query FROM long WHERE id = 7 \gset
SELECT format('%L::real[]', v) AS other FROM long WHERE id = 8 \gset
CREATE FUNCTION cases(most int, q text, op text) RETURNS TABLE (what text, beside text, same boolean) LANGUAGE sql AS $$
    SELECT what, r.* FROM (VALUES
        ('order', format('SELECT array_agg(id) FROM (SELECT id FROM long ORDER BY v %1$s %2$s LIMIT 10) s', op, q)),
        ('distance', format('SELECT array_agg(d) FROM (SELECT id, v %1$s %2$s AS d FROM long ORDER BY v %1$s %2$s LIMIT 10) s', op, q)),
        ('distance, the other way round', format('SELECT array_agg(d) FROM (SELECT id, %2$s %1$s v AS d FROM long ORDER BY v %1$s %2$s LIMIT 10) s', op, q)),
        ('bound and distance', format('SELECT array_agg(d) FROM (SELECT id, v %1$s %2$s AS d FROM long WHERE v %1$s %2$s < 100 ORDER BY v %1$s %2$s LIMIT 10) s', op, q)),
        ('filter and distance, twice', format('SELECT array_agg(d + e) FROM (SELECT v %1$s %2$s AS d, v %1$s %2$s AS e FROM long WHERE (v %1$s %2$s) * 2 < 1000 ORDER BY v %1$s %2$s LIMIT 10) s', op, q))
    ) AS c(what, query), read_beside(query, most::text, query) AS r
$$;
CREATE INDEX long_v ON long USING qhnsw (v real_l2_ops);
SELECT * FROM cases(50, :'query', '<->');
-- of rows that the order need not read the distance is read, once
DROP INDEX long_v;
CREATE INDEX long_v ON long USING qhnsw (v real_l2_ops) WITH (refine = 'half');
SELECT * FROM cases(12, :'query', '<->');
DROP INDEX long_v;
CREATE INDEX long_v ON long USING qhnsw (v real_cosine_ops) WITH (refine = 'half');
SELECT * FROM cases(40, :'query', '<=>');
DROP INDEX long_v;
CREATE INDEX long_v ON long USING qhnsw (v real_ip_ops);
SELECT * FROM cases(100, :'query', '<#>');
DROP INDEX long_v;

-- Another query, another function, another table: nothing of it is known
CREATE INDEX long_v ON long USING qhnsw (v real_l2_ops);
SET enable_seqscan = off;
SELECT bool_and(d = l2_distance(c, q) AND o = l2_distance(c, p) AND cosine = cosine_distance(c, q) AND copy = d) AS right
FROM (SELECT l.id, l.v <-> :query AS d, l.v <-> :other AS o, l.v <=> :query AS cosine, (SELECT k.v <-> :query FROM long_copy AS k WHERE k.id = l.id) AS copy,
        (l.v || '{}') AS c, :query AS q, :other AS p FROM long AS l ORDER BY l.v <-> :query LIMIT 20) AS s;
-- Two scans at once, and values that change between two rows of one
BEGIN;
DECLARE one CURSOR FOR SELECT id, round((v <-> :query)::numeric, 4) AS d FROM long ORDER BY v <-> :query LIMIT 6;
DECLARE two CURSOR FOR SELECT id, round((v <-> :other)::numeric, 4) AS d FROM long ORDER BY v <-> :other LIMIT 6;
FETCH 2 FROM one;
FETCH 2 FROM two;
UPDATE long SET v = v || '{}';
FETCH 2 FROM one;
DELETE FROM long;
FETCH 2 FROM two;
FETCH 2 FROM one;
ROLLBACK;
-- An error ends a scan, and nothing stays known
DO $$
BEGIN
    PERFORM 1 / (id - id) FROM (SELECT id FROM long ORDER BY v <-> (SELECT v FROM long WHERE id = 7) LIMIT 3) AS s;
EXCEPTION WHEN division_by_zero THEN
    RAISE NOTICE 'ended';
END $$;
SELECT round((v <-> :query)::numeric, 4) FROM long ORDER BY v <-> :query LIMIT 2;
DROP TABLE long, long_copy;
DROP FUNCTION cases, read_beside, reads;
-- An unknown query, of an index that has no rows, no values, and none within the condition
CREATE TABLE empty (id int, v real[]);
CREATE INDEX ON empty USING qhnsw (v real_l2_ops) WITH (dims = 2);
SELECT id FROM empty ORDER BY v <-> (SELECT NULL::real[]) LIMIT 1;
INSERT INTO empty VALUES (1, NULL);
SELECT id FROM empty ORDER BY v <-> (SELECT NULL::real[]) LIMIT 1;
INSERT INTO empty VALUES (2, '{1,2}');
SELECT count(*) FROM (SELECT id FROM empty WHERE v IS NOT NULL ORDER BY v <-> (SELECT NULL::real[]) LIMIT 1) AS s;
SELECT id FROM empty WHERE v <-> (SELECT NULL::real[]) < -1 ORDER BY v <-> (SELECT NULL::real[]) LIMIT 1;
DROP TABLE empty;

-- The empty set within bounds, which are left to the executor: a filter where there seemed to be none
CREATE TABLE sets (id int, e bitvec(21));
INSERT INTO sets SELECT i, (i * 7919 + 13)::bit(21)::bitvec FROM generate_series(1, 500) AS i;
CREATE INDEX ON sets USING qhnsw (e bitvec_jaccard_ops);
SELECT count(*) FROM (SELECT id FROM sets WHERE e <%> repeat('0', 21)::bitvec(21) > 0.5 ORDER BY e <%> repeat('0', 21)::bitvec(21) LIMIT 7) AS s;
DROP TABLE sets;
