-- Equal codes by the thousand: one node for all of them, every row found.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;

CREATE TABLE dup (id int, b bitvec(16));
INSERT INTO dup SELECT i, '1010101010101010' FROM generate_series(1, 3000) AS i;
INSERT INTO dup SELECT i, (i % 7)::bit(16)::bitvec FROM generate_series(3001, 4000) AS i;
CREATE INDEX dup_b ON dup USING qhnsw (b);
SELECT nodes, rows, posting_slots > 100 AS chains, test_sound('dup_b') FROM qhnsw_info('dup_b');
SELECT count(DISTINCT id) AS found, max(d) AS farthest
FROM (SELECT id, b <~> '1010101010101010' AS d FROM dup ORDER BY b <~> '1010101010101010' LIMIT 3000) s;
SELECT count(DISTINCT id) AS found FROM (SELECT id FROM dup ORDER BY b <~> '1010101010101010' LIMIT 5000) s;

-- one by one as well
INSERT INTO dup SELECT i, '1010101010101010' FROM generate_series(4001, 6000) AS i;
INSERT INTO dup SELECT i, (i % 7)::bit(16)::bitvec FROM generate_series(6001, 6100) AS i;
SELECT nodes, rows, test_sound('dup_b') FROM qhnsw_info('dup_b');
SELECT count(DISTINCT id) AS found, max(d) AS farthest
FROM (SELECT id, b <~> '1010101010101010' AS d FROM dup ORDER BY b <~> '1010101010101010' LIMIT 5000) s;
SELECT count(DISTINCT id) AS found FROM (SELECT id FROM dup ORDER BY b <~> '0000000000000000' LIMIT 10000) s;

-- most of them go; all of one code go; some come back
DELETE FROM dup WHERE id % 10 <> 0 OR b = (3)::bit(16)::bitvec;
:vacuum dup;
SELECT nodes, rows, dying_slots, reserved_slots, test_sound('dup_b') FROM qhnsw_info('dup_b');
SELECT count(DISTINCT id) = (SELECT count(*) FROM dup) AS found FROM (SELECT id FROM dup ORDER BY b <~> '1010101010101010' LIMIT 10000) s;
INSERT INTO dup SELECT i, (i % 7)::bit(16)::bitvec FROM generate_series(7001, 7500) AS i;
SELECT nodes, rows = (SELECT count(*) FROM dup) AS rows, test_sound('dup_b') FROM qhnsw_info('dup_b');
DELETE FROM dup;
:vacuum dup;
SELECT nodes, rows, posting_slots, dying_slots, reserved_slots, entry_points, test_sound('dup_b') FROM qhnsw_info('dup_b');
SELECT count(*) FROM (SELECT FROM dup ORDER BY b <~> '1010101010101010' LIMIT 10) s;
INSERT INTO dup SELECT i, '1010101010101010' FROM generate_series(1, 100) AS i;
SELECT nodes, rows, test_sound('dup_b') FROM qhnsw_info('dup_b');
DROP TABLE dup;

-- The same with the fewest links, where a slot holds a single row pointer, and with the most.
CREATE TABLE dup (id int, b bitvec(16));
INSERT INTO dup SELECT i, (i % 5)::bit(16)::bitvec FROM generate_series(1, 300) AS i;
CREATE INDEX dup_2 ON dup USING qhnsw (b) WITH (m = 2);
CREATE INDEX dup_100 ON dup USING qhnsw (b bitvec_jaccard_ops) WITH (m = 100);
INSERT INTO dup SELECT i, (i % 5)::bit(16)::bitvec FROM generate_series(301, 600) AS i;
DELETE FROM dup WHERE id % 3 = 0;
:vacuum dup;
INSERT INTO dup SELECT i, (i % 5)::bit(16)::bitvec FROM generate_series(601, 700) AS i;
SELECT c.relname, i.nodes, i.rows, test_sound(c.oid) FROM pg_class c, qhnsw_info(c.oid) i
WHERE c.relname IN ('dup_2', 'dup_100') ORDER BY c.relname COLLATE "C";
SELECT test_compare('dup', 'b', '<~>', $$'0000000000000011'::bitvec$$, 500), test_compare('dup', 'b', '<%>', $$'0000000000000011'::bitvec$$, 500);
DROP TABLE dup;

-- Equal real[]: one node; nearly equal ones too, as far as their codes cannot tell, and the exact order holds.
CREATE TABLE dup (id int, r real[]);
INSERT INTO dup SELECT i, ARRAY[1, 2, 3, 4] FROM generate_series(1, 1000) AS i;
INSERT INTO dup SELECT i, ARRAY[-1, i, 3, -4] FROM generate_series(1001, 1100) AS i;
CREATE INDEX dup_r ON dup USING qhnsw (r real_l2_ops);
INSERT INTO dup SELECT i, ARRAY[1, 2, 3, 4] FROM generate_series(2001, 3000) AS i;
SELECT nodes <= 101 AS one_node, rows, test_sound('dup_r') FROM qhnsw_info('dup_r');
SELECT count(DISTINCT id) AS found, max(d) AS farthest
FROM (SELECT id, r <-> '{1,2,3,4}' AS d FROM dup ORDER BY r <-> '{1,2,3,4}' LIMIT 2000) s;
SELECT count(DISTINCT id) AS found FROM (SELECT id FROM dup ORDER BY r <-> '{1,2,3,4}' LIMIT 5000) s;

-- Copies of one vector do not hide the others.
CREATE TABLE crowd (id int, b bitvec(48));
INSERT INTO crowd SELECT i, binary_quantize(test_vector(CASE WHEN i % 2 = 0 THEN i % 20 ELSE i END, 48)) FROM generate_series(1, 4000) AS i;
CREATE INDEX crowd_b ON crowd USING qhnsw (b);
INSERT INTO crowd SELECT i, binary_quantize(test_vector(CASE WHEN i % 2 = 0 THEN i % 20 ELSE i END, 48)) FROM generate_series(4001, 5000) AS i;
SELECT nodes = (SELECT count(DISTINCT b) FROM crowd) AS node_a_code, rows, test_sound('crowd_b') FROM qhnsw_info('crowd_b');
SET qhnsw.ef_search = 10;
SELECT count(*) AS itself FROM (SELECT b FROM crowd WHERE id % 50 = 1) o,
    LATERAL (SELECT b <~> o.b AS d FROM crowd ORDER BY b <~> o.b LIMIT 1) n WHERE n.d = 0;
SELECT count(*) AS copies FROM (SELECT DISTINCT b FROM crowd WHERE id % 2 = 0) o,
    LATERAL (SELECT count(*) FROM (SELECT b FROM crowd ORDER BY b <~> o.b LIMIT 250) n WHERE n.b = o.b) c WHERE count = 250;
DROP TABLE dup, crowd;

-- Rows share a node where all their codes are the same, the finer too: nearly equal vectors have one code of signs, and floats of their own
CREATE TABLE nearly (i int, v real[]);
INSERT INTO nearly SELECT i, ARRAY(SELECT (sin(j) + CASE j WHEN 3 THEN i % 200 * 1e-6 ELSE 0 END)::real FROM generate_series(1, 24) AS j) FROM generate_series(0, 399) AS i;
CREATE FUNCTION nearly_nodes(OUT signs bigint, OUT floats bigint) LANGUAGE plpgsql AS $$
BEGIN
    signs := (SELECT nodes FROM qhnsw_info('nearly_signs'));
    floats := (SELECT nodes FROM qhnsw_info('nearly_floats'));
END $$;
CREATE INDEX nearly_signs ON nearly USING qhnsw (v real_ip_ops);
CREATE INDEX nearly_floats ON nearly USING qhnsw (v real_ip_ops) WITH (refine = 'float');
SELECT signs < 150 AS few, floats FROM nearly_nodes();
CREATE TABLE nearly_rows AS SELECT * FROM nearly;
TRUNCATE nearly;
INSERT INTO nearly SELECT * FROM nearly_rows WHERE i < 20;
VACUUM nearly;
INSERT INTO nearly SELECT * FROM nearly_rows WHERE i >= 20;
SELECT floats >= 200 AS floats FROM nearly_nodes();
SELECT index, (SELECT count(*) FROM qhnsw_check(index, true)) AS faults FROM unnest('{nearly_signs,nearly_floats}'::regclass[]) AS index;
DROP TABLE nearly, nearly_rows;
DROP FUNCTION nearly_nodes;
