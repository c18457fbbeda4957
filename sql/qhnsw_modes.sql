-- Modes, compression, rescoring and effort as parameters of an index, and the settings that override them.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE modes (id int, v real[], q qvec8, b bitvec(48));
INSERT INTO modes SELECT i, v, v::qvec8, binary_quantize(v)::bitvec(48) FROM (SELECT i, test_vector(i, 48) AS v FROM generate_series(1, 600) AS i) AS t;
SET enable_seqscan = off;
SET enable_sort = off;

-- What a scan for the ten nearest does by an index made with some options: bits a dimension held, whether it reads
-- values of the table for the order, effort; how many rows of three queries it finds; whether they come in order.
CREATE FUNCTION modes_scan(k int DEFAULT 10) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found int := 0;
    swapped int := 0;
    far float8;
    d float8[];
    s record;
BEGIN
    FOR n IN 1..3 LOOP
        d := ARRAY(SELECT v <=> test_vector(5000 + n, 48) FROM modes ORDER BY v <=> test_vector(5000 + n, 48) LIMIT k);
        SELECT * INTO s FROM qhnsw_last_scan();
        far := (SELECT x FROM (SELECT (v || '{}') <=> test_vector(5000 + n, 48) AS x FROM modes) AS t ORDER BY x LIMIT 1 OFFSET k - 1);
        found := found + (SELECT count(*) FROM unnest(d) AS x WHERE x <= far);
        -- floats of unit length are rounded: rows that near may swap
        swapped := swapped + (SELECT count(*) FROM generate_series(1, k - 1) AS i WHERE d[i] > d[i + 1] + 1e-6);
    END LOOP;
    RETURN format('%s, ef_search %s, oversample %s, found %s, %s', CASE WHEN s.heap_rows_fetched > 0 THEN 'rescores' ELSE 'no rescoring' END, s.ef_search, s.oversample,
        CASE WHEN found >= 2.7 * k THEN 'most' WHEN found > k THEN 'some' ELSE found::text END, CASE swapped WHEN 0 THEN 'in order' ELSE 'out of order' END);
END $$;
CREATE FUNCTION modes_index(options text, k int DEFAULT 10) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE 'CREATE INDEX modes_v ON modes USING qhnsw (v) ' || options;
    result := (SELECT bits_per_dim FROM qhnsw_info('modes_v')) || ' bits, ' || modes_scan(k);
    DROP INDEX modes_v;
    RETURN result;
END $$;

SELECT options, modes_index('WITH (' || options || ')') FROM unnest(ARRAY['m = 16', 'mode = on_disk', 'mode = in_memory',
    -- compression overrides the mode's; whether rows are rescored is the mode's to say, or of rescore
    $$mode = on_disk, compression = '1x'$$, $$mode = in_memory, compression = '4x'$$, $$mode = in_memory, compression = '32x'$$,
    'mode = in_memory, rescore = on', 'mode = on_disk, rescore = off', $$compression = '1x', rescore$$, $$compression = '8x', rescore = false$$,
    'ef_search = 77', 'mode = in_memory, ef_search = 5', 'ef_search = 20, target_recall = 0.99', 'oversample = 4.5',
    -- 3 at 32x, 2 at 16x and 8x, none else
    $$compression = '32x'$$, $$compression = '16x'$$, $$compression = '8x'$$, $$compression = '4x'$$, $$compression = '2x'$$, $$compression = '1x'$$]) AS options;

-- one spelling is as good as another
SELECT options, modes_index('WITH (' || options || ')', 5) ~ '^2 bits' AS two_bits
FROM unnest(ARRAY[$$compression = 16$$, $$compression = '16'$$, $$compression = "16x"$$, $$compression = "16"$$, $$compression = '16X'$$, $$"compression" = '16x'$$, $$COMPRESSION = 16$$]) AS options;
SELECT modes_index('WITH (compression = 1)') ~ '^32 bits' AS one, modes_index('WITH (compression = 32)') ~ '^1 bits' AS thirty_two, qhnsw_estimate_size(1000, 100, compression => '16') = qhnsw_estimate_size(1000, 100, compression => '16x') AS estimate;

-- settings override what the index says; auto and 0 leave it
CREATE INDEX modes_v ON modes USING qhnsw (v) WITH (mode = in_memory, ef_search = 30);
SELECT modes_scan();
SET qhnsw.rescore = on;
SELECT modes_scan();
SET qhnsw.rescore = off;
SELECT modes_scan();
SET qhnsw.rescore = auto;
SELECT modes_scan();
SET qhnsw.ef_search = 50;
SELECT modes_scan();
SET qhnsw.ef_search = 0;
SELECT modes_scan();
-- a target asked for in the session is more than an effort stated by the index; without a curve, the default
SET qhnsw.target_recall = 0.9;
SELECT modes_scan();
RESET qhnsw.target_recall;
ALTER INDEX modes_v SET (ef_search = 60, rescore = on);
SELECT modes_scan();
ALTER INDEX modes_v RESET (ef_search, rescore);
SELECT modes_scan();
DROP INDEX modes_v;
SET qhnsw.rescore = off;
CREATE INDEX modes_v ON modes USING qhnsw (v) WITH (mode = on_disk, rescore = on);
SELECT modes_scan() ~ '^no rescoring' AS setting_wins;
RESET qhnsw.rescore;
SELECT modes_scan() ~ '^rescores' AS and_leaves;
SET qhnsw.rescore = 'yes';
SHOW qhnsw.rescore;
SET qhnsw.rescore = 0;
SHOW qhnsw.rescore;
SET qhnsw.rescore = maybe;
RESET qhnsw.rescore;
DROP INDEX modes_v;

-- A mode given to an index that has the codes of another waits for REINDEX, and so does its order
CREATE INDEX modes_v ON modes USING qhnsw (v);
ALTER INDEX modes_v SET (mode = in_memory);
SELECT bits_per_dim, modes_scan() FROM qhnsw_info('modes_v');
REINDEX INDEX modes_v;
SELECT bits_per_dim, modes_scan() FROM qhnsw_info('modes_v');
ALTER INDEX modes_v SET (mode = on_disk);
SELECT bits_per_dim, modes_scan() FROM qhnsw_info('modes_v');
DROP INDEX modes_v;

-- What is measured of recall is what scans of this index find: less where one bit decides the order
INSERT INTO modes SELECT i, v, v::qvec8, binary_quantize(v)::bitvec(48) FROM (SELECT i, test_vector(i, 48) AS v FROM generate_series(601, 1500) AS i) AS t;
CREATE INDEX modes_on ON modes USING qhnsw (v);
CREATE INDEX modes_off ON modes USING qhnsw (v) WITH (rescore = off);
CREATE INDEX modes_memory ON modes USING qhnsw (v) WITH (mode = in_memory);
SELECT index_name, (SELECT max(r) FROM unnest(recall_reached) AS r) > 0.95 AS most FROM unnest('{modes_on,modes_off,modes_memory}'::regclass[]) AS i, qhnsw_info(i);
SET qhnsw.rescore = off;
REINDEX INDEX modes_on;
RESET qhnsw.rescore;
SELECT (SELECT max(r) FROM unnest(recall_reached) AS r) > 0.95 AS whatever_the_session_has FROM qhnsw_info('modes_on');
DROP INDEX modes_on, modes_off, modes_memory;
DELETE FROM modes WHERE id > 600;
:vacuum ANALYZE modes;

-- The plan knows of both: without rescoring and with less effort a scan costs less
CREATE FUNCTION modes_cost(options text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'CREATE INDEX modes_v ON modes USING qhnsw (v) ' || options;
    EXECUTE $q$EXPLAIN (FORMAT json) SELECT id FROM modes ORDER BY v <=> test_vector(1, 48) LIMIT 10$q$ INTO plan;
    DROP INDEX modes_v;
    RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END $$;
SELECT modes_cost('') > modes_cost('WITH (mode = in_memory)') AS rescore, modes_cost('') > modes_cost('WITH (ef_search = 10)') AS ef_search, modes_cost('WITH (mode = in_memory, rescore = on)') > modes_cost('WITH (mode = in_memory)') AS rescore_too;

-- Code columns: qvec8 has numbers to compress, bitvec has not
CREATE FUNCTION modes_bytes(options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE 'CREATE INDEX modes_q ON modes USING qhnsw (q qvec8_l2_ops) ' || options;
    result := (SELECT code || ' ' || bits_per_dim FROM qhnsw_info('modes_q'));
    PERFORM id FROM modes ORDER BY q <-> test_vector(5000, 48)::qvec8 LIMIT 10;
    result := result || CASE WHEN (SELECT heap_rows_fetched FROM qhnsw_last_scan()) > 0 THEN ', rescores' ELSE ', no rescoring' END || (SELECT ', ' || oversample FROM qhnsw_last_scan()) || (SELECT CASE WHEN r > 0.9 THEN ', finds most' ELSE ', finds ' || r END FROM qhnsw_recall('modes_q', 10, 30) AS r);
    DROP INDEX modes_q;
    RETURN result;
END $$;
SELECT options, modes_bytes(options) FROM unnest(ARRAY['', $$WITH (compression = '4x')$$, 'WITH (compression = 8)', 'WITH (compression = 32, mode = on_disk)', 'WITH (compression = 1)', 'WITH (mode = in_memory)', 'WITH (mode = on_disk)', $$WITH (compression = '4x', rescore = off)$$]) AS options;
CREATE INDEX ON modes USING qhnsw (b) WITH (compression = '32x');
CREATE INDEX ON modes USING qhnsw (b) WITH (compression = 4);
CREATE INDEX ON modes USING qhnsw (b) WITH (mode = on_disk);
CREATE INDEX ON modes USING qhnsw (b) WITH (mode = in_memory);
CREATE INDEX modes_b ON modes USING qhnsw (b) WITH (ef_search = 33, rescore = off);
SELECT count(*) FROM (SELECT id FROM modes ORDER BY b <~> (SELECT b FROM modes LIMIT 1) LIMIT 10) AS s;
SELECT ef_search FROM qhnsw_last_scan();
-- ALTER INDEX does not know the column: what it sets keeps nobody from making the index anew
ALTER INDEX modes_b SET (compression = '8x');
REINDEX INDEX modes_b;
ALTER INDEX modes_b RESET (compression);
ALTER INDEX modes_b SET (refine = int8);
REINDEX INDEX modes_b;
SELECT code, bits_per_dim, refine_bits, test_sound('modes_b') FROM qhnsw_info('modes_b');
DROP INDEX modes_b;

-- refused
CREATE INDEX ON modes USING qhnsw (v) WITH (compression = 64);
CREATE INDEX ON modes USING qhnsw (v) WITH (compression = 0);
CREATE INDEX ON modes USING qhnsw (v) WITH (compression = -1);
CREATE INDEX ON modes USING qhnsw (v) WITH (compression = 32.0);
CREATE INDEX ON modes USING qhnsw (v) WITH (compression = '');
CREATE INDEX ON modes USING qhnsw (v) WITH (compression);
CREATE INDEX ON modes USING qhnsw (v) WITH (mode);
CREATE INDEX ON modes USING qhnsw (v) WITH (rescore = maybe);
CREATE INDEX ON modes USING qhnsw (v) WITH (rescore = 2);
CREATE INDEX ON modes USING qhnsw (v) WITH (ef_search = 0);
CREATE INDEX ON modes USING qhnsw (v) WITH (ef_search = 10001);
CREATE INDEX ON modes USING qhnsw (v) WITH (ef_search = 'many');
DROP TABLE modes;

-- 1x holds floats of up to 2,040 dimensions, and halves of up to 3,776; more need a higher compression
CREATE TABLE long (id int, v real[]);
CREATE FUNCTION long_index(ndims int, options text, loaded boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    TRUNCATE long;
    IF NOT loaded THEN EXECUTE 'CREATE INDEX long_v ON long USING qhnsw (v real_l2_ops) ' || options; END IF;
    INSERT INTO long SELECT i, array_agg((sin(i % 5 * d) + sin(i * d * 0.7 + d % 100 * d))::real ORDER BY d) FROM generate_series(1, 20) AS i, generate_series(1, ndims) AS d GROUP BY i;
    IF loaded THEN EXECUTE 'CREATE INDEX long_v ON long USING qhnsw (v real_l2_ops) ' || options; END IF;
    result := (SELECT format('%s %s, refine %s, ', code, bits_per_dim, refine_bits) FROM qhnsw_info('long_v')) ||
        test_compare('long', 'v', '<->', '(SELECT v FROM long WHERE id = 7)', 10) || ', ' || test_sound('long_v');
    DROP INDEX long_v;
    RETURN result;
EXCEPTION WHEN program_limit_exceeded THEN
    IF to_regclass('long_v') IS NOT NULL THEN DROP INDEX long_v; END IF;
    RETURN sqlerrm;
END $$;
SELECT ndims, options, long_index(ndims, options) FROM (VALUES (1920, 'WITH (compression = 1)'), (2000, 'WITH (compression = 1)'), (2040, 'WITH (mode = in_memory)'), (2041, 'WITH (mode = in_memory)'), (2041, 'WITH (compression = 1, refine = int8)'), (3776, 'WITH (compression = 1)'), (3777, 'WITH (compression = 1)'), (4096, 'WITH (mode = in_memory)'), (4096, 'WITH (mode = in_memory, compression = 4, rescore = on)'), (4096, 'WITH (compression = 4)'), (16000, 'WITH (compression = 1)'), (16000, 'WITH (compression = 4)'), (16000, 'WITH (compression = 8)'), (16000, '')) AS c(ndims, options);
SELECT ndims, options, long_index(ndims, options, false) FROM (VALUES (2041, 'WITH (mode = in_memory)'), (3777, 'WITH (compression = 1)'), (2041, 'WITH (compression = 1, dims = 2041)')) AS c(ndims, options);
TRUNCATE long;
CREATE INDEX ON long USING qhnsw (v) WITH (compression = 1, dims = 4096);
-- values beyond the range of a half are as good
TRUNCATE long;
INSERT INTO long SELECT i, array_agg((1e6 * sin(i * d * 0.7 + d % 100 * d))::real ORDER BY d) FROM generate_series(1, 20) AS i, generate_series(1, 2500) AS d GROUP BY i;
CREATE INDEX long_v ON long USING qhnsw (v real_l2_ops) WITH (mode = in_memory);
SELECT test_compare('long', 'v', '<->', '(SELECT v FROM long WHERE id = 7)', 10), test_sound('long_v');
DROP TABLE long;
