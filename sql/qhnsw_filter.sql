-- LIMIT k gives k rows if the table has them: more than ef_search, and under a WHERE.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

CREATE TABLE filtered (id int, tenant int, r real[], b bitvec(32));
INSERT INTO filtered
SELECT id, id % 100, v, binary_quantize(v)
FROM (SELECT id, test_vector(id, 32) AS v FROM generate_series(1, 4000) AS id OFFSET 0) s;
CREATE INDEX filtered_r ON filtered USING qhnsw (r real_l2_ops);
CREATE INDEX filtered_b ON filtered USING qhnsw (b);
ANALYZE filtered;

-- Rows of a scan in the order they came, compared with a sort of the same rows.
CREATE FUNCTION tried(filter text, k int) RETURNS TABLE (mode text, col text, n bigint, ordered boolean, passing boolean)
LANGUAGE plpgsql AS $$
DECLARE
    d float8[];
    p boolean[];
BEGIN
    FOREACH mode IN ARRAY '{off,relaxed_order,strict_order}'::text[] LOOP
        PERFORM set_config('qhnsw.iterative_scan', mode, true);
        FOREACH col IN ARRAY '{r,b}'::text[] LOOP
            EXECUTE format('SELECT array_agg(d), array_agg(p) FROM (SELECT %1$s AS d, %2$s AS p FROM filtered WHERE %2$s ORDER BY %1$s LIMIT %3$s) s',
                           CASE col WHEN 'r' THEN 'r <-> test_vector(9000, 32)' ELSE 'b <~> binary_quantize(test_vector(9000, 32))' END,
                           filter, k) INTO d, p;
            n := coalesce(cardinality(d), 0);
            ordered := d = ARRAY(SELECT u FROM unnest(d) AS u ORDER BY u);
            passing := true = ALL (p);
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

PREPARE near(real[]) AS SELECT id FROM filtered WHERE tenant = 7 ORDER BY r <-> $1 LIMIT 10;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near(NULL);
RESET plan_cache_mode;
DEALLOCATE near;

-- off stops at ef_search candidates, the others go on until k rows passed or no row is left
SELECT mode, col, CASE WHEN mode = 'off' THEN n < 10 ELSE n = 10 END AS rows, n = 0 OR ordered OR mode = 'relaxed_order' AS ordered, n = 0 OR passing AS passing FROM tried('tenant = 7', 10);
SELECT mode, col, n, ordered OR mode = 'relaxed_order' AS ordered FROM tried('true', 40);
SELECT mode, col, CASE WHEN mode = 'off' THEN n BETWEEN 40 AND 60 ELSE n = 500 END AS rows, ordered OR mode = 'relaxed_order' AS ordered FROM tried('true', 500);
SELECT mode, col, n, passing FROM tried('id = 1234', 10) WHERE mode <> 'off';
SELECT mode, col, n FROM tried('id = -1', 10) WHERE mode <> 'off';
SELECT mode, col, n, passing FROM tried('tenant = 7', 100) WHERE mode = 'relaxed_order';
-- relaxed returns every row of the table; strict leaves out the few that are found after their place has passed
SELECT mode, col, n > 3960 AS all_rows FROM tried('true', 10000) WHERE mode = 'strict_order'
UNION ALL SELECT mode, col, n = 4000 FROM tried('true', 10000) WHERE mode = 'relaxed_order';

-- ef_search wide and narrow
SET qhnsw.ef_search = 1;
SELECT mode, col, n, ordered OR mode = 'relaxed_order' AS ordered FROM tried('true', 100) WHERE mode <> 'off';
SELECT mode, col, n, passing FROM tried('tenant = 7', 10) WHERE mode <> 'off';
SET qhnsw.ef_search = 10000;
SELECT mode, col, n, ordered OR mode = 'relaxed_order' AS ordered FROM tried('true', 100);
RESET qhnsw.ef_search;

-- Little memory: a pass over all codes is repeated for what lies behind.
SET work_mem = '64kB';
SET qhnsw.flat = on;
SELECT count(DISTINCT id) AS found FROM (SELECT id FROM filtered ORDER BY b <~> binary_quantize(test_vector(9000, 32)) LIMIT 10000) s;
SELECT test_compare('filtered', 'b', '<~>', 'binary_quantize(test_vector(9000, 32))', 4000);
RESET qhnsw.flat;
SELECT mode, col, n, passing FROM tried('tenant = 7', 40) WHERE mode = 'relaxed_order';
RESET work_mem;

-- The bound on a graph's work ends a scan only in off and in indexes too large for a pass over all codes.
SET qhnsw.max_scan_tuples = 1;
SELECT mode, col, n > 0 AS some FROM tried('true', 10);
RESET qhnsw.max_scan_tuples;

-- A filter on the distance itself, OFFSET, and no LIMIT at all.
SET qhnsw.iterative_scan = relaxed_order;
SELECT count(*) = (SELECT count(*) FROM filtered WHERE r <-> test_vector(9000, 32) < 5) AS within
FROM (SELECT id FROM filtered WHERE r <-> test_vector(9000, 32) < 5 ORDER BY r <-> test_vector(9000, 32) LIMIT 5000) s;
SELECT count(*) FROM (SELECT id FROM filtered ORDER BY b <~> binary_quantize(test_vector(9000, 32)) OFFSET 3990 LIMIT 100) s;
SELECT count(*) FROM (SELECT id FROM filtered ORDER BY b <~> binary_quantize(test_vector(9000, 32))) s;
RESET qhnsw.iterative_scan;
SELECT test_sound('filtered_r'), test_sound('filtered_b');
-- descending is not what the index gives
RESET enable_sort;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM filtered ORDER BY b <~> '10101010101010101010101010101010' DESC LIMIT 10;
DROP TABLE filtered;
DROP FUNCTION tried(text, int);
