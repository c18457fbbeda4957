-- Every kind of table and index: partial, expression, dropped columns, unlogged, temporary, partitioned, rebuilt, truncated.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET qhnsw.oversample = 20;

CREATE TABLE made (id int PRIMARY KEY, gone text, kind int, r real[], b bitvec(32));
CREATE TABLE source AS
SELECT id, 'x'::text, id % 4 AS kind, v, binary_quantize(v)
FROM (SELECT id, test_vector(id, 32) AS v FROM generate_series(1, 3000) AS id OFFSET 0) s;
INSERT INTO made SELECT * FROM source WHERE id <= 500;

-- a column dropped before and one added behind the indexed ones
ALTER TABLE made DROP COLUMN gone;
ALTER TABLE made ADD COLUMN late real[];
UPDATE made SET late = r WHERE id % 2 = 0;
CREATE INDEX made_r ON made USING qhnsw (r real_l2_ops);
CREATE INDEX made_late ON made USING qhnsw (late);
SELECT rows, test_sound('made_late') FROM qhnsw_info('made_late');
SELECT test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20), test_compare('made', 'late', '<=>', 'test_vector(5000, 32)', 20);
ALTER TABLE made DROP COLUMN kind;
INSERT INTO made (id, r, b) SELECT id, v, binary_quantize FROM source WHERE id BETWEEN 501 AND 600;
SELECT rows, test_sound('made_r') FROM qhnsw_info('made_r');
SELECT test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
DROP INDEX made_late, made_r;

-- partial
CREATE INDEX made_part ON made USING qhnsw (r real_l2_ops) WHERE id % 10 = 0;
SELECT rows, test_sound('made_part') FROM qhnsw_info('made_part');
INSERT INTO made (id, r) SELECT id, v FROM source WHERE id BETWEEN 601 AND 700;
UPDATE made SET id = id + 10000 WHERE id BETWEEN 601 AND 650;
SELECT rows, test_sound('made_part') FROM qhnsw_info('made_part');
SELECT test_compare('(SELECT ctid, tableoid, * FROM made WHERE id % 10 = 0) AS part', 'r', '<->', 'test_vector(5000, 32)', 20);
-- the whole table it cannot order
SELECT test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
DROP INDEX made_part;

-- expressions: what is compared is the expression's value, computed on the row
CREATE FUNCTION embed(body text) RETURNS real[] LANGUAGE sql IMMUTABLE AS 'SELECT public.test_vector(length(body), 32)';
ALTER TABLE made ADD COLUMN body text;
UPDATE made SET body = repeat('a', id % 400) WHERE id % 3 > 0;
CREATE INDEX made_bits ON made USING qhnsw (binary_quantize(r) bitvec_hamming_ops);
CREATE INDEX made_byte ON made USING qhnsw (quantize_int8(r));
CREATE INDEX made_head ON made USING qhnsw ((r[1:8]) real_l2_ops);
SELECT test_compare('made', 'binary_quantize(r)', '<~>', 'binary_quantize(test_vector(5000, 32))', 100),
       test_compare('made', 'quantize_int8(r)', '<=>', 'quantize_int8(test_vector(5000, 32))', 30),
       test_compare('made', 'r[1:8]', '<->', 'test_vector(5000, 8)', 30);
DELETE FROM made WHERE body = '';
CREATE INDEX made_body ON made USING qhnsw (embed(body)) WHERE body IS NOT NULL;
SELECT test_compare('(SELECT ctid, tableoid, * FROM made WHERE body IS NOT NULL) AS part', 'embed(body)', '<=>', 'test_vector(5000, 32)', 30);
INSERT INTO made (id, r, body) SELECT id, v, repeat('b', id % 300 + 1) FROM source WHERE id BETWEEN 701 AND 900;
SELECT test_compare('(SELECT ctid, tableoid, * FROM made WHERE body IS NOT NULL) AS part', 'embed(body)', '<=>', 'test_vector(5000, 32)', 30);
SELECT c.relname, test_sound(c.oid) FROM pg_class c WHERE relname ~ '^made_(bits|byte|head|body)' ORDER BY relname COLLATE "C";
DROP INDEX made_bits, made_byte, made_head, made_body;

-- rebuilt, by every way
CREATE INDEX CONCURRENTLY made_r ON made USING qhnsw (r real_l2_ops);
SELECT rows = (SELECT count(*) FROM made) AS all_rows, test_sound('made_r') FROM qhnsw_info('made_r');
SELECT indisvalid FROM pg_index WHERE indexrelid = 'made_r'::regclass;
REINDEX INDEX made_r;
SELECT test_sound('made_r');
REINDEX INDEX CONCURRENTLY made_r;
SELECT test_sound('made_r'), test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
REINDEX TABLE made;
VACUUM FULL made;
SELECT test_sound('made_r'), test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
ALTER TABLE made ALTER COLUMN id TYPE bigint;
SELECT test_sound('made_r'), test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
ALTER TABLE made SET UNLOGGED;
SELECT test_sound('made_r'), test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
ALTER TABLE made SET LOGGED;
SELECT test_sound('made_r'), test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
BEGIN;
TRUNCATE made;
SELECT count(*) FROM (SELECT FROM made ORDER BY r <-> test_vector(5000, 32) LIMIT 5) s;
INSERT INTO made (id, r) SELECT id, v FROM source WHERE id <= 50;
SELECT rows, test_sound('made_r') FROM qhnsw_info('made_r');
ROLLBACK;
SELECT rows = (SELECT count(*) FROM made) AS all_rows, test_sound('made_r') FROM qhnsw_info('made_r');
SELECT test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20);
TRUNCATE made;
SELECT rows, nodes, test_sound('made_r') FROM qhnsw_info('made_r');
INSERT INTO made (id, r) SELECT id, v FROM source WHERE id <= 300;
SELECT rows, test_sound('made_r'), test_compare('made', 'r', '<->', 'test_vector(5000, 32)', 20) FROM qhnsw_info('made_r');
-- made and filled in one transaction
BEGIN;
CREATE TABLE fresh (id int, r real[]);
CREATE INDEX fresh_r ON fresh USING qhnsw (r real_l2_ops);
INSERT INTO fresh SELECT id, v FROM source WHERE id <= 300;
TRUNCATE fresh;
INSERT INTO fresh SELECT id, v FROM source WHERE id <= 300;
SELECT rows, test_sound('fresh_r'), test_compare('fresh', 'r', '<->', 'test_vector(5000, 32)', 20) FROM qhnsw_info('fresh_r');
COMMIT;
SELECT rows, test_sound('fresh_r'), test_compare('fresh', 'r', '<->', 'test_vector(5000, 32)', 20) FROM qhnsw_info('fresh_r');

-- unlogged
CREATE UNLOGGED TABLE unlogged (id int, r real[], b bitvec(32));
CREATE INDEX unlogged_r ON unlogged USING qhnsw (r real_l2_ops);
CREATE INDEX unlogged_b ON unlogged USING qhnsw (b);
INSERT INTO unlogged SELECT id, v, binary_quantize FROM source WHERE id <= 300;
REINDEX INDEX unlogged_b;
DELETE FROM unlogged WHERE id % 2 = 0;
:vacuum unlogged;
INSERT INTO unlogged SELECT id, v, binary_quantize FROM source WHERE id BETWEEN 301 AND 400;
SELECT test_sound('unlogged_r'), test_sound('unlogged_b'), test_compare('unlogged', 'r', '<->', 'test_vector(5000, 32)', 20),
       test_compare('unlogged', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 250);

-- temporary, large enough for the graph to be used; and emptied at commit
CREATE TEMPORARY TABLE temp (id int, r real[], b bitvec(32));
INSERT INTO temp SELECT id, v, binary_quantize FROM source WHERE id <= 2000;
CREATE INDEX temp_r ON temp USING qhnsw (r real_l2_ops);
CREATE INDEX temp_b ON temp USING qhnsw (b);
INSERT INTO temp SELECT id, v, binary_quantize FROM source WHERE id > 2000;
DELETE FROM temp WHERE id % 2 = 0;
:vacuum temp;
SET enable_seqscan = off;
SELECT test_sound('temp_r'), test_sound('temp_b');
SELECT count(*) AS itself FROM (SELECT b FROM temp WHERE id % 31 = 1 AND id % 2 = 1) o,
    LATERAL (SELECT b <~> o.b AS d FROM temp ORDER BY b <~> o.b LIMIT 1) n WHERE n.d = 0;
RESET enable_seqscan;
CREATE TEMPORARY TABLE passing (id int, r real[]) ON COMMIT DELETE ROWS;
CREATE INDEX passing_r ON passing USING qhnsw (r real_l2_ops);
BEGIN;
INSERT INTO passing SELECT id, v FROM source WHERE id <= 100;
SELECT test_sound('passing_r'), test_compare('passing', 'r', '<->', 'test_vector(5000, 32)', 20);
COMMIT;
SELECT rows, test_sound('passing_r') FROM qhnsw_info('passing_r');
INSERT INTO passing SELECT id, v FROM source WHERE id <= 100;

-- cut off at its end, grown again and rewritten, under a session that has seen all of it
CREATE TABLE cut (id int, r real[], b bitvec(32)) WITH (autovacuum_enabled = off);
INSERT INTO cut SELECT id, v, binary_quantize FROM source;
CREATE INDEX cut_r ON cut USING qhnsw (r real_l2_ops);
CREATE INDEX cut_b ON cut USING qhnsw (b);
SELECT test_compare('cut', 'r', '<->', 'test_vector(5000, 32)', 20), test_compare('cut', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 100);
DELETE FROM cut WHERE id > 1000;
:vacuum cut;
SELECT test_compare('cut', 'r', '<->', 'test_vector(5000, 32)', 20), test_compare('cut', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 100);
INSERT INTO cut SELECT id, v, binary_quantize FROM source WHERE id > 2000;
SELECT test_compare('cut', 'r', '<->', 'test_vector(5000, 32)', 20), test_compare('cut', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 100);
VACUUM FULL cut;
SET effective_io_concurrency = 0;
SELECT test_compare('cut', 'r', '<->', 'test_vector(5000, 32)', 20), test_compare('cut', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 100);
RESET effective_io_concurrency;
SELECT test_sound('cut_r'), test_sound('cut_b');
DROP TABLE cut;

-- partitioned
CREATE TABLE parts (id int, r real[], b bitvec(32)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (101);
CREATE TABLE parts_2 (r real[], extra int, b bitvec(32), id int);
ALTER TABLE parts_2 DROP COLUMN extra;
INSERT INTO parts_2 (id, r, b) SELECT id, v, binary_quantize FROM source WHERE id BETWEEN 101 AND 200;
CREATE INDEX parts_r ON parts USING qhnsw (r real_l2_ops);
CREATE INDEX parts_b ON parts USING qhnsw (b);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (101) TO (201);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (201) TO (100000);
INSERT INTO parts SELECT id, v, binary_quantize FROM source WHERE id <= 100 OR id BETWEEN 201 AND 600;
UPDATE parts SET id = id + 300 WHERE id BETWEEN 91 AND 110;
SELECT relid, test_sound(relid) FROM pg_partition_tree('parts_r') WHERE isleaf
UNION ALL SELECT relid, test_sound(relid) FROM pg_partition_tree('parts_b') WHERE isleaf;
SELECT test_compare('parts', 'r', '<->', 'test_vector(5000, 32)', 20), test_compare('parts', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 600);
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE near(real[]) AS SELECT id FROM parts ORDER BY r <-> $1 LIMIT 5;
EXPLAIN (COSTS OFF) EXECUTE near(NULL);
DEALLOCATE near;
RESET plan_cache_mode;
RESET enable_seqscan;

-- inheritance, a materialized view, a domain
CREATE MATERIALIZED VIEW seen AS SELECT id, v AS r FROM source WHERE id <= 200;
CREATE INDEX seen_r ON seen USING qhnsw (r real_l2_ops);
REFRESH MATERIALIZED VIEW seen;
SELECT test_sound('seen_r'), test_compare('seen', 'r', '<->', 'test_vector(5000, 32)', 20);
CREATE DOMAIN embedding AS real[] CHECK (cardinality(VALUE) = 32);
CREATE TABLE domained (r embedding);
CREATE INDEX domained_r ON domained USING qhnsw (r real_l2_ops);
INSERT INTO domained SELECT v FROM source WHERE id <= 200;
SELECT test_sound('domained_r'), test_compare('domained', 'r', '<->', 'test_vector(5000, 32)', 20);

DROP MATERIALIZED VIEW seen;
DROP TABLE made, fresh, unlogged, temp, passing, parts, domained, source;
DROP DOMAIN embedding;
DROP FUNCTION embed(text);
