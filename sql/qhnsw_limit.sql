-- What the plan knows of a scan: its LIMIT and its filter.  Rows within them are decided together, so none is late.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

CREATE TABLE known (id int, part int, r real[], b bitvec(64), q qvec8);
INSERT INTO known
SELECT id, id % 100, v, binary_quantize(v), quantize_int8(v)
FROM (SELECT id, test_vector(id, 64) AS v FROM generate_series(1, 4000) AS id OFFSET 0) s;
CREATE TABLE known_query AS SELECT test_vector(100000 + i, 64) AS v FROM generate_series(1, 6) AS i;
ANALYZE known;

-- A line a filter and LIMIT: both orders return the same distances, nothing is late, what the filter drops was dropped by the scan, and most of the true rows are there
CREATE FUNCTION compared(distance text) RETURNS TABLE (filter text, k int, same boolean, ordered boolean, late bigint, dropped boolean, mostly_right boolean)
LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    ours float8[];
    theirs float8[];
    kth float8;
    near bigint;
    statement text;
    scan record;
BEGIN
    FOR filter, k IN SELECT f.filter, l.k FROM unnest('{true,part = 7,id % 10 = 3,id < 400}'::text[]) AS f(filter), unnest('{1,10,40,300}'::int[]) AS l(k) LOOP
        same := true;
        ordered := true;
        dropped := true;
        late := 0;
        near := 0;
        statement := format('SELECT %1$s AS d FROM known WHERE %2$s ORDER BY %1$s LIMIT %3$s', distance, filter, k);
        FOR query IN SELECT v FROM known_query LOOP
            PERFORM set_config('qhnsw.iterative_scan', 'strict_order', true);
            EXECUTE format('SELECT ARRAY(%s)', statement) INTO ours USING query;
            SELECT * INTO scan FROM qhnsw_last_scan();
            late := late + scan.rows_late;
            dropped := dropped AND scan.rows_returned = cardinality(ours) AND (scan.rows_filtered > 0) = (filter <> 'true');
            PERFORM set_config('qhnsw.iterative_scan', 'relaxed_order', true);
            EXECUTE format('SELECT ARRAY(%s)', statement) INTO theirs USING query;
            EXECUTE format('SELECT max(d) FROM (SELECT d FROM (SELECT %1$s AS d FROM known WHERE %2$s) s ORDER BY d + 0 LIMIT %3$s) s', distance, filter, k) INTO kth USING query;
            same := same AND ours = theirs;
            ordered := ordered AND ours = ARRAY(SELECT d FROM unnest(ours) AS d ORDER BY d);
            near := near + (SELECT count(*) FROM unnest(ours) AS d WHERE d <= kth);
        END LOOP;
        EXECUTE format('SELECT least(%s, count(*)) FROM known WHERE %s', k, filter) INTO kth;
        mostly_right := near >= 0.8 * 6 * kth;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE INDEX known_index ON known USING qhnsw (b);
SELECT * FROM compared('b <~> binary_quantize($1)');
DROP INDEX known_index;
CREATE INDEX known_index ON known USING qhnsw (b bitvec_jaccard_ops);
SELECT * FROM compared('b <%> binary_quantize($1)');
DROP INDEX known_index;
CREATE INDEX known_index ON known USING qhnsw (r real_l2_ops);
SELECT * FROM compared('r <-> $1');
DROP INDEX known_index;
CREATE INDEX known_index ON known USING qhnsw (q qvec8_l2_ops) WITH (refine = 'int8');
SELECT * FROM compared('q <-> quantize_int8($1)');
DROP INDEX known_index;

-- Where a LIMIT may stand: what is expected of the scan shows in the rows it fetches before it returns the first one.
CREATE INDEX known_index ON known USING qhnsw (r);
CREATE FUNCTION fetched(statement text) RETURNS TABLE (n bigint, rows_returned bigint, fetched text) LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    n := 0;
    FOR one IN EXECUTE statement LOOP
        n := n + 1;
    END LOOP;
    SELECT s.rows_returned, CASE WHEN heap_rows_fetched < 100 THEN 'few' WHEN heap_rows_fetched < 250 THEN 'for 40' ELSE 'many' END
    INTO rows_returned, fetched FROM qhnsw_last_scan() s;
    RETURN NEXT;
END $$;
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9000, 64) LIMIT 10');
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9000, 64) LIMIT 40');
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9002, 64) LIMIT 10 OFFSET 30');
-- what a page before has read is not read again
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9002, 64) LIMIT 10 OFFSET 40');
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9000, 64) LIMIT (SELECT 40)');
SELECT * FROM fetched('SELECT id + 1 FROM (SELECT id, r FROM known ORDER BY r <=> test_vector(9000, 64) OFFSET 0) s LIMIT 40');
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9000, 64) LIMIT 40 FOR UPDATE');
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9000, 64) FETCH FIRST 40 ROWS WITH TIES');
SELECT * FROM fetched('SELECT n.id FROM known_query q, LATERAL (SELECT id FROM known ORDER BY r <=> q.v LIMIT 40) n');
SELECT * FROM fetched('SELECT (SELECT id FROM known ORDER BY r <=> q.v LIMIT 1) FROM known_query q');
SELECT * FROM fetched('SELECT id FROM known ORDER BY r <=> test_vector(9000, 64) LIMIT NULL');
-- a prepared statement, the LIMIT its parameter
PREPARE nearest(int, int) AS SELECT id FROM known WHERE part = $2 ORDER BY r <=> test_vector(9000, 64) LIMIT $1;
SET plan_cache_mode = force_generic_plan;
SELECT count(*) FROM known WHERE part = 7;
SELECT * FROM fetched('EXECUTE nearest(20, 7)');
SELECT * FROM fetched('EXECUTE nearest(100, 7)');
RESET plan_cache_mode;
DEALLOCATE nearest;

-- Two scans of one index in a plan have each their own LIMIT
SELECT count(*), count(DISTINCT id) FROM
  ((SELECT id FROM known WHERE part = 3 ORDER BY r <=> test_vector(9000, 64) LIMIT 5)
   UNION ALL (SELECT id FROM known WHERE part = 4 ORDER BY r <=> test_vector(9001, 64) LIMIT 30)) s;

-- A cursor: rows on demand, and again after the scan is at its end
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT part FROM known WHERE part = 7 ORDER BY r <=> test_vector(9000, 64) LIMIT 25;
FETCH 3 FROM c;
MOVE FORWARD 19 IN c;
FETCH 10 FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;

-- Filters: a subplan, a column of the outer side, a function that searches itself, one that is volatile
SELECT * FROM fetched('SELECT id FROM known k WHERE EXISTS (SELECT FROM generate_series(0, k.part) i HAVING count(*) > 98) ORDER BY r <=> test_vector(9000, 64) LIMIT 10');
SELECT count(*), bool_and(part = wanted) FROM generate_series(1, 3) AS wanted,
  LATERAL (SELECT part FROM known WHERE part = wanted ORDER BY r <=> test_vector(wanted, 64) LIMIT 10) s;
CREATE FUNCTION near_one(v real[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT v <=> r < 2 FROM known ORDER BY r <=> v LIMIT 1);
END $$;
SELECT count(*) FROM (SELECT id FROM known WHERE near_one(r) AND part = 7 ORDER BY r <=> test_vector(9000, 64) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM known WHERE part = 7 AND random() >= 0 ORDER BY r <=> test_vector(9000, 64) LIMIT 10) s;
SELECT rows_filtered, rows_returned > 10 AS more FROM qhnsw_last_scan();

-- An error in the filter ends the query and nothing else
SELECT id FROM known WHERE 1 / (part - 7) > 100 ORDER BY r <=> test_vector(9000, 64) LIMIT 10;
DO $$
BEGIN
    PERFORM id FROM known WHERE 1 / (part - 7) > 100 ORDER BY r <=> test_vector(9000, 64) LIMIT 10;
EXCEPTION WHEN division_by_zero THEN
    RAISE NOTICE 'caught';
    PERFORM id FROM known WHERE part = 7 ORDER BY r <=> test_vector(9000, 64) LIMIT 10;
END $$;

-- EXPLAIN counts what was dropped on the way
CREATE FUNCTION removed(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement LOOP
        IF line ~ 'Rows Removed by Filter' THEN
            RETURN substring(line FROM '\d+')::int = (SELECT rows_filtered FROM qhnsw_last_scan());
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
SELECT removed('SELECT id FROM known WHERE part = 7 ORDER BY r <=> test_vector(9000, 64) LIMIT 10');

-- Row security stands before a filter of the user's that tells what it sees
CREATE ROLE regress_qvec_limit;
GRANT SELECT ON known TO regress_qvec_limit;
ALTER TABLE known ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_part ON known TO regress_qvec_limit USING (part = 7);
CREATE FUNCTION tells(part int) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001 AS $$
BEGIN
    IF part <> 7 THEN
        RAISE EXCEPTION 'saw %', part;
    END IF;
    RETURN true;
END $$;
SET ROLE regress_qvec_limit;
SELECT count(*), bool_and(part = 7) FROM (SELECT part FROM known WHERE tells(part) ORDER BY r <=> test_vector(9000, 64) LIMIT 10) s;
RESET ROLE;
SELECT rows_filtered > 0 AS filtered FROM qhnsw_last_scan();
DROP POLICY one_part ON known;
ALTER TABLE known DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON known FROM regress_qvec_limit;
DROP ROLE regress_qvec_limit;

-- Partitions: each gives what all are asked for
CREATE TABLE parts (id int, r real[]) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (2001);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2001) TO (4001);
INSERT INTO parts SELECT id, r FROM known;
CREATE INDEX ON parts USING qhnsw (r);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM parts WHERE id % 10 = 3 ORDER BY r <=> test_vector(9000, 64) LIMIT 40) s;
SELECT rows_late, rows_filtered > 0 AS filtered FROM qhnsw_last_scan();

DROP TABLE known, known_query, parts;
DROP FUNCTION compared(text), fetched(text), near_one(real[]), removed(text), tells(int);
