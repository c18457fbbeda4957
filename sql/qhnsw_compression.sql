-- Every compression of float columns, with and without finer codes: build, insert, delete, vacuum, insert again.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

-- not what was measured, for that may be so much that a pass over all codes costs less
SET qhnsw.ef_search = 40;
CREATE TABLE wide (id int, v real[]);
INSERT INTO wide SELECT i, test_vector(i, 48) FROM generate_series(1, 1000) AS i;
CREATE TABLE wide_query AS SELECT test_vector(100000 + i, 48) AS query FROM generate_series(1, 6) AS i;

-- One line an index: bits, sound after each phase, order exact, recall of ten
CREATE FUNCTION test_phases(class text, operator text, with_options text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text := '';
BEGIN
    DELETE FROM wide WHERE id > 1000;
    EXECUTE format('CREATE INDEX wide_v ON wide USING qhnsw (v %I) WITH (%s)', class, with_options);
    result := (SELECT bits_per_dim || '+' || refine_bits FROM qhnsw_info('wide_v')) || ' ' || test_sound('wide_v');
    INSERT INTO wide SELECT i, test_vector(i, 48) FROM generate_series(1001, 1300) AS i;
    result := result || ' ' || test_sound('wide_v') || ' ' || test_recall('wide', 'v', operator, 'wide_query', 10, 0.9);
    DROP INDEX wide_v;
    RETURN result;
END $$;

SELECT class, compression, refine, test_phases(class, operator, format('compression = %L, refine = %L', compression, refine))
FROM (VALUES (1, 'real_cosine_ops', '<=>'), (2, 'real_l2_ops', '<->'), (3, 'real_ip_ops', '<#>')) AS c(n, class, operator),
     unnest('{32x,16x,8x,4x,2x,1x}'::text[]) WITH ORDINALITY AS x(compression, i),
     unnest('{none,int2,int4,int8,half,float}'::text[]) WITH ORDINALITY AS r(refine, j)
WHERE refine IN ('none', 'int8') OR (refine = 'int4' AND class = 'real_cosine_ops') OR compression = '32x'
ORDER BY c.n, i, j;

-- Vacuum and reused slots carry finer codes too
CREATE INDEX wide_v ON wide USING qhnsw (v) WITH (compression = '16x', refine = 'int8');
DELETE FROM wide WHERE id % 3 = 0;
:vacuum wide;
SELECT test_sound('wide_v');
INSERT INTO wide SELECT i, test_vector(i, 48) FROM generate_series(1, 1299, 3) AS i WHERE i % 2 = 1;
SELECT test_sound('wide_v'), test_recall('wide', 'v', '<=>', 'wide_query', 10, 0.9);

-- Few rows are fetched where a finer code chooses them; none where rescoring is off
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY v <=> (SELECT query FROM wide_query LIMIT 1) LIMIT 10) AS s;
SELECT heap_rows_fetched BETWEEN 10 AND 20 AS few, finer_codes_scored >= 30 AS finer FROM qhnsw_last_scan();
SET qhnsw.rescore = off;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY v <=> (SELECT query FROM wide_query LIMIT 1) LIMIT 10) AS s;
SELECT heap_rows_fetched, finer_codes_scored >= 30 AS finer FROM qhnsw_last_scan();

-- What is found last is scored by the finer code without having been expanded
SET qhnsw.ef_search = 1;
SET qhnsw.oversample = 5;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY v <=> (SELECT query FROM wide_query LIMIT 1) LIMIT 10) AS s;
SELECT finer_codes_scored, nodes_expanded < finer_codes_scored AS fewer_expanded, flat_passes FROM qhnsw_last_scan();
RESET qhnsw.oversample;
RESET qhnsw.ef_search;
RESET qhnsw.rescore;

-- Averages over queries at default settings: what LIMIT 10 reads from the table
DROP INDEX wide_v;
CREATE FUNCTION mean_fetched() RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0;
    q real[];
BEGIN
    FOR q IN SELECT query FROM wide_query LOOP
        PERFORM id FROM wide ORDER BY v <=> q LIMIT 10;
        n := n + (SELECT heap_rows_fetched FROM qhnsw_last_scan());
    END LOOP;
    RETURN n / 6.0;
END $$;
CREATE INDEX wide_v ON wide USING qhnsw (v) WITH (refine = 'int8');
SELECT mean_fetched() BETWEEN 10 AND 15 AS with_finer_codes;
DROP INDEX wide_v;
CREATE INDEX wide_v ON wide USING qhnsw (v);
SELECT mean_fetched() BETWEEN 30 AND 40 AS without;
DROP FUNCTION mean_fetched();

-- A code must fit a page, and bits have no finer ones
CREATE TABLE wide_long (v real[], b bitvec(8));
INSERT INTO wide_long VALUES (array_fill(1::real, ARRAY[4000]), '00000000');
CREATE INDEX ON wide_long USING qhnsw (v) WITH (compression = '1x');
CREATE INDEX ON wide_long USING qhnsw (v) WITH (refine = 'int8');
CREATE INDEX ON wide_long USING qhnsw (b) WITH (refine = 'int8');
CREATE INDEX ON wide_long USING qhnsw (v) WITH (refine = 'half');
CREATE INDEX ON wide_long USING qhnsw (v) WITH (refine = 'float');
CREATE INDEX ON wide_long USING qhnsw (v) WITH (refine = 'int3');
DROP TABLE wide, wide_query, wide_long;
DROP FUNCTION test_phases;
