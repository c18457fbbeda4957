-- Storage parameters and settings: what they take, and what they refuse.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE opt (r real[], q qvec8(2), b bitvec(2), t text, n int[]);
INSERT INTO opt VALUES ('{1,2}', '[1,2]', '01', 'x', '{1,2}');

CREATE INDEX ON opt USING qhnsw (b) WITH (m = 1);
CREATE INDEX ON opt USING qhnsw (b) WITH (m = 101);
CREATE INDEX ON opt USING qhnsw (b) WITH (m = 'many');
CREATE INDEX ON opt USING qhnsw (b) WITH (ef_construction = 3);
CREATE INDEX ON opt USING qhnsw (b) WITH (ef_construction = 1001);
CREATE INDEX ON opt USING qhnsw (r) WITH (oversample = 0.5);
CREATE INDEX ON opt USING qhnsw (r) WITH (oversample = 101);
CREATE INDEX ON opt USING qhnsw (r) WITH (compression = '3x');
CREATE INDEX ON opt USING qhnsw (r) WITH (compression = '8x');
CREATE INDEX ON opt USING qhnsw (r) WITH (mode = 'in_memory');
CREATE INDEX ON opt USING qhnsw (r) WITH (mode = 'elsewhere');
CREATE INDEX ON opt USING qhnsw (b) WITH (compression = '32x');
CREATE INDEX ON opt USING qhnsw (q) WITH (compression = '32x');
CREATE INDEX ON opt USING qhnsw (b) WITH (lists = 100);
CREATE INDEX ON opt USING qhnsw (b) WITH (fillfactor = 90);
\set VERBOSITY sqlstate
CREATE INDEX ON opt USING qhnsw (b) WITH (m = 1);
CREATE INDEX ON opt USING qhnsw (b) WITH (lists = 100);
CREATE INDEX ON opt USING qhnsw (r) WITH (compression = '8x');
CREATE INDEX ON opt USING qhnsw (b) WITH (compression = '32x');
\set VERBOSITY default

-- What an index access method of one column of vectors, the first, cannot do.
CREATE INDEX ON opt USING qhnsw (t);
CREATE INDEX ON opt USING qhnsw (n);
CREATE INDEX ON opt USING qhnsw (r, q);
CREATE UNIQUE INDEX ON opt USING qhnsw (r);
CREATE INDEX ON opt USING qhnsw (r DESC);
CREATE INDEX ON opt USING qhnsw (r bitvec_hamming_ops);

-- Both ends of each range, and the spellings.
CREATE INDEX opt_least ON opt USING qhnsw (b) WITH (m = 2, ef_construction = 4);
CREATE INDEX opt_most ON opt USING qhnsw (b) WITH (m = 100, ef_construction = 1000);
CREATE INDEX opt_real ON opt USING qhnsw (r) WITH (compression = '32x', mode = on_disk, oversample = 1.5, dims = 2);
CREATE INDEX opt_over ON opt USING qhnsw (r) WITH (compression = '32x', mode = in_memory);
CREATE INDEX opt_plain ON opt USING qhnsw (r real_l2_ops);
SELECT c.relname, c.reloptions, i.m, i.ef_construction, i.bits_per_dim, test_sound(c.oid) FROM pg_class c, qhnsw_info(c.oid) i
WHERE c.relname ~ '^opt_' ORDER BY c.relname COLLATE "C";
ALTER INDEX opt_real SET (oversample = 2);
ALTER INDEX opt_real SET (oversample = 200);
ALTER INDEX opt_real SET (speed = 2);
-- what is built in stays until the index is built anew
ALTER INDEX opt_plain SET (m = 8);
SELECT m FROM qhnsw_info('opt_plain');
INSERT INTO opt SELECT ARRAY[i, 1], '[1,2]', '01', 'x', NULL FROM generate_series(1, 100) AS i;
SELECT m, test_sound('opt_plain') FROM qhnsw_info('opt_plain');
REINDEX INDEX opt_plain;
SELECT m, test_sound('opt_plain') FROM qhnsw_info('opt_plain');

-- Settings.
SELECT name, setting, boot_val, min_val, max_val, enumvals, context FROM pg_settings WHERE name LIKE 'qhnsw.%' ORDER BY name COLLATE "C";
SET qhnsw.ef_search = -1;
SET qhnsw.ef_search = 10001;
SET qhnsw.oversample = -1;
SET qhnsw.oversample = 101;
SET qhnsw.iterative_scan = 'sometimes';
SET qhnsw.iterative_scan = on;
SET qhnsw.max_scan_tuples = -1;
SET qhnsw.scan_mem_multiplier = 0;
SET qhnsw.no_such_thing = 1;

-- The number of rows read is what oversample says; without rescoring none is.
CREATE TABLE over (id int, r real[]);
INSERT INTO over SELECT i, test_vector(i, 16) FROM generate_series(1, 500) AS i;
CREATE INDEX over_r ON over USING qhnsw (r) WITH (oversample = 5);
SET enable_seqscan = off;
CREATE FUNCTION fetched(k int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM id FROM over ORDER BY r <=> test_vector(1000, 16) LIMIT k;
    RETURN heap_rows_fetched FROM qhnsw_last_scan();
END $$;
SELECT fetched(10) BETWEEN 50 AND 75 AS by_index;
SET qhnsw.oversample = 1;
SELECT fetched(10) BETWEEN 15 AND 30 AS by_setting;
SET qhnsw.oversample = 100;
SELECT fetched(10);
SET qhnsw.oversample = 0;
SELECT fetched(10) BETWEEN 50 AND 75 AS by_index;
SET qhnsw.rescore = off;
SELECT fetched(10);
SELECT count(*) FROM (SELECT FROM over ORDER BY r <=> test_vector(1000, 16) LIMIT 1000) s;
RESET qhnsw.rescore;
SET qhnsw.flat = on;
SELECT fetched(1) > 0 AS fetched, flat_passes, codes_scored >= 500 AS all_codes FROM qhnsw_last_scan();
DROP FUNCTION fetched(int);
DROP TABLE opt, over;
