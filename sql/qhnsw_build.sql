-- Builds: such as do not fit into memory, and of every size from one row on; and what inspection says of them.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

-- What does not fit into maintenance_work_mem is built in shards, and is found as well.
CREATE TABLE built (id int, r real[], b bitvec(256));
INSERT INTO built
SELECT id, v, binary_quantize(v || v || v || v || v || v || v || v)
FROM (SELECT id, test_vector(id, 32) AS v FROM generate_series(1, 6000) AS id OFFSET 0) s;
CREATE TABLE asked AS SELECT test_vector(id, 32) AS query FROM generate_series(10001, 10030) AS id;
SET maintenance_work_mem = '1MB';
CREATE INDEX built_r ON built USING qhnsw (r real_l2_ops);
CREATE INDEX built_b ON built USING qhnsw (b);
RESET maintenance_work_mem;
SELECT rows, test_sound('built_r') FROM qhnsw_info('built_r');
SELECT rows, nodes = (SELECT count(DISTINCT b) FROM built) AS node_a_code, test_sound('built_b') FROM qhnsw_info('built_b');
SELECT test_recall('built', 'r', '<->', 'asked', 10, 0.95);
SET enable_seqscan = off;
SELECT count(*) AS itself FROM (SELECT b FROM built WHERE id % 60 = 1) o,
    LATERAL (SELECT b <~> o.b AS d FROM built ORDER BY b <~> o.b LIMIT 1) n WHERE n.d = 0;
RESET enable_seqscan;
DROP TABLE built, asked;

-- Row by row and all at once, at each size: 1, 2, ... a page of each kind, a group and one more.
CREATE FUNCTION grow(options text, most int) RETURNS TABLE (rows int, state text) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE growing (id int, b bitvec(64));
    EXECUTE format('CREATE INDEX growing_b ON growing USING qhnsw (b) WITH (%s)', options);
    FOR rows IN 1..most LOOP
        INSERT INTO growing SELECT rows, binary_quantize(test_vector(rows, 64));
        CONTINUE WHEN rows > 10 AND rows % 29 <> 0;
        state := test_sound('growing_b');
        IF state <> 'sound' THEN
            RETURN NEXT;
        END IF;
        REINDEX INDEX growing_b;
        state := test_sound('growing_b');
        IF state <> 'sound' THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    state := test_compare('growing', 'b', '<~>', 'binary_quantize(test_vector(9999, 64))', most);
    RETURN NEXT;
    DROP TABLE growing;
END $$;
SELECT * FROM grow('m = 16', 150);
SELECT * FROM grow('m = 2', 100);
SELECT * FROM grow('m = 100', 100);
SELECT * FROM grow('hub_fraction = 0.01', 150);
SELECT * FROM grow('m = 2, hub_fraction = 0.5, m_low = 4', 150);
SELECT * FROM grow('m = 100, hub_fraction = 0.5, m_low = 200', 150);
DROP FUNCTION grow(text, int);

-- The same rows give the same index.
CREATE TABLE twice (id int, r real[]);
INSERT INTO twice SELECT i, test_vector(i, 16) FROM generate_series(1, 1500) AS i;
CREATE INDEX twice_a ON twice USING qhnsw (r);
CREATE INDEX twice_b ON twice USING qhnsw (r);
-- but when recall was measured, and how far in the time there was
SELECT (SELECT to_jsonb(i) - columns FROM qhnsw_info('twice_a') i) = (SELECT to_jsonb(i) - columns FROM qhnsw_info('twice_b') i) AS same_numbers
FROM (VALUES ('{index_name,calibrated_at,calibrated_on,calibration_queries,calibration_k,calibrated_rows,recall_targets,recall_ef_search,recall_doubt,recall_reached,default_recall}'::text[])) AS v(columns);
SELECT trained, dims, nodes <= rows AS nodes, rows, entry_points BETWEEN 1 AND 200 AS entries, links BETWEEN 2 * nodes AND 32 * nodes AS links,
       free_slots >= 0 AS free, reserved_slots, dying_slots, code_bytes, link_bytes,
       blocks = 2 + 1 + code_blocks + link_blocks + row_blocks AS blocks, bytes_per_row = blocks * 8192.0 / rows AS bytes_per_row
FROM qhnsw_info('twice_a');
SELECT blocks * 8192 = pg_relation_size('twice_a') AS size FROM qhnsw_info('twice_a');
-- rows that are dead to all but an open transaction are indexed for it
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM twice WHERE id <= 100;
UPDATE twice SET id = id + 5000 WHERE id <= 200;
CREATE INDEX twice_c ON twice USING qhnsw (r);
SELECT test_sound('twice_c');
ROLLBACK;

-- Inspection of what is no such index.
SELECT * FROM qhnsw_info('twice');
SELECT * FROM qhnsw_check('twice');
CREATE INDEX twice_id ON twice (id);
SELECT * FROM qhnsw_info('twice_id');
SELECT * FROM qhnsw_check('twice_id', true);
SELECT count(*) FROM qhnsw_check(NULL);
CREATE TABLE parted (r real[]) PARTITION BY HASH (r);
CREATE INDEX parted_r ON parted USING qhnsw (r);
SELECT index_name FROM qhnsw_info('parted_r');
DROP TABLE parted;
CREATE ROLE qhnsw_other;
SET ROLE qhnsw_other;
SELECT * FROM qhnsw_info('twice_a');
SELECT * FROM qhnsw_check('twice_a');
RESET ROLE;
DROP ROLE qhnsw_other;

-- The checker sees what is missing.  (An index that does not know of a row: inserted while the index was held not ready.)
UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid = 'twice_a'::regclass;
INSERT INTO twice VALUES (-1, test_vector(-1, 16));
UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid = 'twice_a'::regclass;
SELECT count(*) FROM qhnsw_check('twice_a');
SELECT block, node, regexp_replace(fault, '\(.*\)', '(...)') AS fault FROM qhnsw_check('twice_a', true);
REINDEX INDEX twice_a;
SELECT count(*) FROM qhnsw_check('twice_a', true);
DROP TABLE twice;
