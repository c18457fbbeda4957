-- A table that changes: transactions that fail, updates, deletes, vacuum, and the space used again.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE changing (id int PRIMARY KEY, note text, r real[], b bitvec(32)) WITH (autovacuum_enabled = off, fillfactor = 50);
CREATE TABLE source AS
SELECT id, v AS r, binary_quantize(v) AS b
FROM (SELECT id, test_vector(id, 32) AS v FROM generate_series(1, 4000) AS id OFFSET 0) s;
INSERT INTO changing SELECT id, 'a', r, b FROM source WHERE id <= 800;
CREATE INDEX changing_r ON changing USING qhnsw (r real_l2_ops);
CREATE INDEX changing_b ON changing USING qhnsw (b);
SET qhnsw.oversample = 20;

-- The rows of an index scan are those of the table, whatever state it is in.
CREATE FUNCTION state() RETURNS TABLE (r text, b text, r_index text, b_index text) LANGUAGE sql AS $$
    SELECT test_compare('changing', 'r', '<->', 'test_vector(5000, 32)', 20),
           test_compare('changing', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 2000),
           test_sound('changing_r'), test_sound('changing_b')
$$;
SELECT * FROM state();

-- a transaction that ends in nothing
BEGIN;
INSERT INTO changing SELECT id, 'b', r, b FROM source WHERE id BETWEEN 801 AND 900;
SELECT * FROM state();
ROLLBACK;
SELECT * FROM state();
-- the first row ever, undone
CREATE TABLE undone (b bitvec(32));
CREATE INDEX undone_b ON undone USING qhnsw (b);
BEGIN;
INSERT INTO undone SELECT b FROM source WHERE id < 10;
ROLLBACK;
SELECT count(*) FROM (SELECT FROM undone ORDER BY b <~> binary_quantize(test_vector(5000, 32)) LIMIT 5) s;
INSERT INTO undone SELECT b FROM source WHERE id < 20;
:vacuum undone;
SELECT rows, test_sound('undone_b'), test_compare('undone', 'b', '<~>', 'binary_quantize(test_vector(5000, 32))', 30) FROM qhnsw_info('undone_b');
DROP TABLE undone;

-- savepoints, and errors caught
BEGIN;
INSERT INTO changing SELECT id, 'b', r, b FROM source WHERE id BETWEEN 801 AND 820;
SAVEPOINT a;
INSERT INTO changing SELECT id, 'b', r, b FROM source WHERE id BETWEEN 821 AND 840;
DELETE FROM changing WHERE id <= 20;
SELECT * FROM state();
ROLLBACK TO a;
SELECT * FROM state();
INSERT INTO changing (id, b) VALUES (821, '01');
ROLLBACK TO a;
INSERT INTO changing SELECT id, 'b', r, b FROM source WHERE id BETWEEN 821 AND 825;
COMMIT;
DO $$
BEGIN
    INSERT INTO changing SELECT id, 'c', r, b FROM source WHERE id BETWEEN 826 AND 840;
    INSERT INTO changing (id, r) VALUES (841, '{NaN}');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%', SQLSTATE;
END $$;
SELECT count(*) FROM changing;
SELECT * FROM state();

-- updates: of another column (the row stays where the index finds it), and of the vector
UPDATE changing SET note = note || 'x' WHERE id <= 200;
SELECT * FROM state();
UPDATE changing SET r = s.r, b = s.b FROM source s WHERE changing.id <= 100 AND s.id = changing.id + 2000;
SELECT * FROM state();
UPDATE changing SET r = NULL, b = NULL WHERE id BETWEEN 101 AND 150;
UPDATE changing SET note = repeat('long', 500) WHERE id <= 120;
SELECT * FROM state();
SELECT count(*) FROM (SELECT FROM changing ORDER BY b <~> binary_quantize(test_vector(5000, 32)) LIMIT 5000) s;
:vacuum changing;
SELECT * FROM state();
UPDATE changing SET r = s.r, b = s.b FROM source s WHERE changing.id BETWEEN 101 AND 150 AND s.id = changing.id;
INSERT INTO changing SELECT id, 'again', r, b FROM source WHERE id <= 10
    ON CONFLICT (id) DO UPDATE SET note = excluded.note, b = excluded.b;
SELECT * FROM state();

-- rows deleted and not vacuumed; then vacuumed
DELETE FROM changing WHERE id % 3 = 0;
SELECT * FROM state();
:vacuum changing;
SELECT * FROM state();
SELECT rows = (SELECT count(*) FROM changing) AS rows, dying_slots, reserved_slots FROM qhnsw_info('changing_b');

-- A row pointer used again never leads to the wrong row: each row knows its vector.
CREATE TABLE reused (id int, b bitvec(32)) WITH (autovacuum_enabled = off);
CREATE INDEX reused_b ON reused USING qhnsw (b);
INSERT INTO reused SELECT id, b FROM source WHERE id <= 500;
DELETE FROM reused;
:vacuum reused;
INSERT INTO reused SELECT id, b FROM source WHERE id BETWEEN 501 AND 1000;
SELECT test_sound('reused_b'), test_compare('reused', 'b', '<~>', 'binary_quantize(test_vector(700, 32))', 1000);
SELECT count(*) FILTER (WHERE s.b = x.b) AS right, count(*)
FROM (SELECT id, b FROM reused ORDER BY b <~> binary_quantize(test_vector(700, 32)) LIMIT 1000) x JOIN source s USING (id);
DROP TABLE reused;

-- Space: as many rows go as come, again and again, and the index stays as large as it is.
CREATE TABLE turned (id int, r real[], b bitvec(32)) WITH (autovacuum_enabled = off);
INSERT INTO turned SELECT id, r, b FROM source WHERE id <= 2000;
CREATE INDEX turned_r ON turned USING qhnsw (r real_l2_ops);
CREATE INDEX turned_b ON turned USING qhnsw (b);
CREATE TABLE sizes AS SELECT 0 AS turn, pg_relation_size('turned_r') AS r, pg_relation_size('turned_b') AS b;
DELETE FROM turned WHERE id <= 1000;
:vacuum turned;
INSERT INTO turned SELECT id, r, b FROM source WHERE id BETWEEN 2001 AND 3000;
INSERT INTO sizes VALUES (1, pg_relation_size('turned_r'), pg_relation_size('turned_b'));
DELETE FROM turned WHERE id BETWEEN 1001 AND 2000;
:vacuum turned;
INSERT INTO turned SELECT id, r, b FROM source WHERE id BETWEEN 3001 AND 4000;
INSERT INTO sizes VALUES (2, pg_relation_size('turned_r'), pg_relation_size('turned_b'));
DELETE FROM turned;
:vacuum turned;
INSERT INTO turned SELECT id, r, b FROM source WHERE id <= 2000;
INSERT INTO sizes VALUES (3, pg_relation_size('turned_r'), pg_relation_size('turned_b'));
-- at most a group's first pages more
SELECT s.turn, s.r <= o.r + 5 * 8192 AS r, s.b <= o.b + 5 * 8192 AS b FROM sizes s, sizes o WHERE o.turn = 0 ORDER BY s.turn;
SELECT test_sound('turned_r'), test_sound('turned_b');
SELECT count(*) AS itself FROM (SELECT b FROM turned WHERE id % 20 = 1) o,
    LATERAL (SELECT b <~> o.b AS d FROM turned ORDER BY b <~> o.b LIMIT 1) n WHERE n.d = 0;

-- Vacuum in its other guises.
:vacuum (FREEZE, ANALYZE) turned;
:vacuum (INDEX_CLEANUP off) turned;
DELETE FROM turned WHERE id > 1900;
:vacuum (INDEX_CLEANUP off) turned;
SELECT count(*) FROM (SELECT FROM turned ORDER BY b <~> binary_quantize(test_vector(1950, 32)) LIMIT 3000) s;
:vacuum (INDEX_CLEANUP on, PARALLEL 2) turned;
SELECT rows, test_sound('turned_b') FROM qhnsw_info('turned_b');
ANALYZE turned;
SELECT relname, reltuples FROM pg_class WHERE relname ~ '^turned_' ORDER BY relname COLLATE "C";

-- Sessions that insert one row each share the free slots of a page, rather than use up the pages.
CREATE TABLE shared (id int, b bitvec(32)) WITH (autovacuum_enabled = off);
INSERT INTO shared SELECT id, b FROM source WHERE id <= 250;
CREATE INDEX shared_b ON shared USING qhnsw (b);
DELETE FROM shared WHERE id % 2 = 0;
:vacuum shared;
SELECT link_blocks FROM qhnsw_info('shared_b');
INSERT INTO sizes VALUES (4, 0, pg_relation_size('shared_b'));
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id = 1001;
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id = 1002;
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id = 1003;
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id = 1004;
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id = 1005;
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id = 1006;
\c -
INSERT INTO shared SELECT id, b FROM source WHERE id BETWEEN 1007 AND 1106;
SELECT pg_relation_size('shared_b') <= b AS no_larger, test_sound('shared_b') FROM sizes WHERE turn = 4;
DROP TABLE shared;

DROP TABLE changing, source, turned, sizes;
DROP FUNCTION state();

-- Known codes of a dimension that was taken back are forgotten: a map of codes of 1,900 dimensions must not be asked for one of 3.
CREATE TABLE taken_back (id int, x int, e real[]);
CREATE INDEX taken_back_e ON taken_back USING qhnsw (e real_l2_ops) WITH (compression = '1x');
CREATE INDEX ON taken_back (x);
BEGIN;
SAVEPOINT a;
INSERT INTO taken_back SELECT i, i, test_vector(i, 1900) FROM generate_series(1, 6) AS i;
UPDATE taken_back SET x = x + 1;
ROLLBACK TO a;
INSERT INTO taken_back SELECT i, i, test_vector(i, 3) FROM generate_series(1, 8) AS i;
UPDATE taken_back SET x = x + 1;
COMMIT;
SELECT dims FROM qhnsw_info('taken_back_e');
SELECT count(*) AS rows, test_sound('taken_back_e') FROM taken_back;
DROP TABLE taken_back;
