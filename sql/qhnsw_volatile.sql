-- A filter is evaluated before the executor does only where that changes nothing: not if it calls a volatile function, wherever that stands.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
SET jit = off;

CREATE TABLE drawn (id int, part int, r real[]);
INSERT INTO drawn SELECT id, id % 10, test_vector(id, 16) FROM generate_series(1, 2000) AS id;
CREATE INDEX drawn_r ON drawn USING qhnsw (r);
CREATE TABLE few AS SELECT i FROM generate_series(0, 3) AS i;
CREATE INDEX few_i ON few (i);
ANALYZE drawn, few;

-- Counts its calls; stable and immutable ones are no different but for what they promise.
CREATE SEQUENCE calls;
CREATE FUNCTION counted(i int) RETURNS int LANGUAGE plpgsql VOLATILE COST 1 AS $$
BEGIN
    PERFORM nextval('calls');
    RETURN i;
END $$;
CREATE FUNCTION steady(i int) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN i;
END $$;
CREATE FUNCTION several(i int) RETURNS SETOF int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM nextval('calls');
    RETURN NEXT i;
END $$;
CREATE FUNCTION add_counted(state int, i int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM nextval('calls');
    RETURN state + i;
END $$;
CREATE AGGREGATE sum_counted(int) (sfunc = add_counted, stype = int, initcond = '0');

-- Calls of volatile functions for each of five rows (the executor's own are one or what a subplan has of them, for rows of part 3 only), and whether the scan filtered.
CREATE FUNCTION tried(filter text, OUT calls numeric, OUT beforehand boolean) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    n bigint;
BEGIN
    before := nextval('calls');
    EXECUTE 'SELECT count(*) FROM (SELECT id FROM drawn t WHERE part = 3 AND ' || filter || ' ORDER BY r <=> test_vector(5000, 16) LIMIT 5) s' INTO n;
    IF n <> 5 THEN
        RAISE EXCEPTION '% rows', n;
    END IF;
    SELECT rows_filtered > 0 INTO beforehand FROM qhnsw_last_scan();
    calls := round((nextval('calls') - before - 1) / 5.0, 1);
END $$;

-- in the filter itself, and in a subplan's target list
SELECT * FROM tried('counted(id) > 0');
SELECT * FROM tried('(SELECT counted(t.id)) > 0');
SELECT * FROM tried('(SELECT nextval(''calls'') + 0 * t.id) > 0');
SELECT * FROM tried('CASE WHEN t.id > 0 THEN (SELECT counted(t.id) FROM few LIMIT 1) > 0 END');
-- its filter, what it is given, its conditions on an index
SELECT * FROM tried('(SELECT max(i) FROM few WHERE i + 0 * t.id = 1 AND counted(i) >= 0) >= 0');
SELECT * FROM tried('EXISTS (SELECT FROM few WHERE i + 0 * t.id = 0 AND counted(i) >= 0) IS TRUE');
SELECT * FROM tried('(SELECT counted(t.id) FROM few WHERE i = t.id * 0) > 0');
-- a subplan of a subplan, and an initplan of one
SELECT * FROM tried('(SELECT (SELECT counted(t.id) + 0 * few.i) FROM few LIMIT 1) > 0');
SELECT * FROM tried('(SELECT (SELECT counted(t.id)) FROM few LIMIT 1) > 0');
-- functions and values in FROM
SELECT * FROM tried('(SELECT sum(s) FROM several(t.id) s) > 0');
SELECT * FROM tried('(SELECT sum(s) FROM unnest(ARRAY[counted(t.id)]) s) > 0');
SELECT * FROM tried('(SELECT sum(v) FROM (VALUES (counted(t.id)), (0)) s(v)) > 0');
SELECT * FROM tried('(SELECT several(t.id) LIMIT 1) > 0');
-- joins, sorts, limits, windows, aggregates
SELECT * FROM tried('(SELECT count(*) FROM few a LEFT JOIN few b ON a.i = 0 AND b.i = 0 AND counted(a.i + b.i) = t.id * 0) > 0');
SELECT * FROM tried('(SELECT i FROM few ORDER BY counted(i + t.id) LIMIT 1) >= 0');
SELECT * FROM tried('(SELECT count(*) FROM (SELECT FROM few LIMIT counted(1 + 0 * t.id)) s) > 0');
SELECT * FROM tried('(SELECT sum_counted(i) FROM few WHERE i = 1 + 0 * t.id) > 0');
SELECT * FROM tried('(SELECT max(s) FROM (SELECT sum(i) OVER (ORDER BY i ROWS BETWEEN counted(0) PRECEDING AND CURRENT ROW) AS s FROM few WHERE i = 1 + 0 * t.id) w) > 0');
SELECT * FROM tried('(WITH c AS MATERIALIZED (SELECT counted(t.id) AS i) SELECT sum(i) FROM c) > 0');
SELECT * FROM tried('(WITH RECURSIVE c(i) AS (SELECT t.id * 0 UNION ALL SELECT counted(i + 1) FROM c WHERE i < 1) SELECT sum(i) FROM c) > 0');
-- sets; a sample, which may be another each time
SELECT * FROM tried('(SELECT count(*) FROM (SELECT t.id * 0 UNION ALL SELECT counted(1)) s) > 0');
SELECT beforehand FROM tried('(SELECT count(*) + t.id FROM few TABLESAMPLE BERNOULLI (50)) > 0');

-- evaluated once, however often it is referred to: an initplan, a hashed subplan that calls nothing volatile
SELECT round(calls * 5) AS in_all, beforehand FROM tried('id > (SELECT counted(0))');
SELECT * FROM tried('id % 2 IN (SELECT i FROM few)');
-- nothing volatile in it
SELECT * FROM tried('steady(id) > 0');
SELECT * FROM tried('(SELECT steady(t.id)) > 0');
SELECT * FROM tried('(SELECT sum(i) FROM few WHERE i + 0 * t.id < 3) > 0');
SELECT * FROM tried('(WITH c AS MATERIALIZED (SELECT t.id AS i) SELECT sum(i) FROM c) > 0');
-- a volatile function that is not the filter's does not keep it from being evaluated
SELECT count(*) FROM (SELECT (SELECT counted(t.id)) FROM drawn t WHERE part = 3 ORDER BY r <=> test_vector(5000, 16) LIMIT 5) s;
SELECT rows_filtered > 0 AS beforehand FROM qhnsw_last_scan();

-- a CTE of the query that the filter reads is read once, by all its readers together
SELECT setval('calls', 1);
WITH c AS MATERIALIZED (SELECT counted(i) AS i FROM few)
SELECT count(*) FROM (SELECT id FROM drawn t WHERE (SELECT sum(c.i) FROM c WHERE c.i + 0 * t.id < 3) > 2 AND part = 3 ORDER BY r <=> test_vector(5000, 16) LIMIT 5) s;
SELECT rows_filtered > 0 AS beforehand, nextval('calls') - 2 AS calls FROM qhnsw_last_scan();

-- half of the rows are drawn, each once: what passes is what the executor says
SELECT count(*) BETWEEN 800 AND 1200 AS half FROM (SELECT id FROM drawn t WHERE (SELECT random() < .5 + 0 * t.id) ORDER BY r <=> test_vector(5000, 16) LIMIT 10000) s;

DROP TABLE drawn, few;
DROP FUNCTION tried(text), counted(int), steady(int), several(int);
DROP AGGREGATE sum_counted(int);
DROP FUNCTION add_counted(int, int);
DROP SEQUENCE calls;
