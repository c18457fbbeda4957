-- What is indexed, what is not, and what is refused; tables of no and of one row; dimensions from 1 up.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;

-- NULLs and, under cosine, zero vectors are not indexed; L2 and inner product take the zero vector.
CREATE TABLE vals (id int, r real[], q qvec8(2), b bitvec(2));
INSERT INTO vals VALUES (1, NULL, NULL, NULL), (2, '{0,0}', '[0,0]', '00'), (3, '{1,0}', '[1,0]', '10'),
                        (4, '{0,1}', '[0,1]', '01'), (5, '{-1,0}', '[-1,0]', '11'), (6, NULL, NULL, NULL);
CREATE INDEX vals_r ON vals USING qhnsw (r);
CREATE INDEX vals_l2 ON vals USING qhnsw (r real_l2_ops);
CREATE INDEX vals_ip ON vals USING qhnsw (r real_ip_ops);
CREATE INDEX vals_q ON vals USING qhnsw (q);
CREATE INDEX vals_b ON vals USING qhnsw (b);
CREATE INDEX vals_j ON vals USING qhnsw (b bitvec_jaccard_ops);
INSERT INTO vals SELECT id + 10, r, q, b FROM vals;
SELECT c.relname, i.rows, test_sound(c.oid)
FROM pg_class c, qhnsw_info(c.oid) i WHERE c.relname ~ '^vals_' ORDER BY c.relname COLLATE "C";
-- all rows, by sorting
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT id, r <=> '{1,0.1}' AS d FROM vals ORDER BY r <=> '{1,0.1}', id;
SET enable_seqscan = off;
SET enable_indexscan = on;
SELECT id FROM (SELECT id, r <=> '{1,0.1}' AS d FROM vals ORDER BY r <=> '{1,0.1}' LIMIT 100) s ORDER BY d, id;
SELECT id, d FROM (SELECT id, r <-> '{1,0.1}' AS d FROM vals ORDER BY r <-> '{1,0.1}' LIMIT 100) s ORDER BY d, id;
SELECT id, d FROM (SELECT id, b <~> '10' AS d FROM vals ORDER BY b <~> '10' LIMIT 100) s ORDER BY d, id;

-- A query that is NULL or, under cosine, zero orders nothing: what is indexed comes, in any order.
SELECT count(*) AS n, count(d) AS distances FROM (SELECT r <=> (SELECT NULL::real[]) AS d FROM vals ORDER BY d LIMIT 100) s;
SELECT count(*) AS n, count(d) AS distances FROM (SELECT b <~> (SELECT NULL::bitvec) AS d FROM vals ORDER BY d LIMIT 100) s;
SELECT count(*) AS n, count(d) AS distances FROM (SELECT b <%> (SELECT NULL::bitvec) AS d FROM vals ORDER BY d LIMIT 100) s;
SELECT d, count(*) FROM (SELECT r <=> '{0,0}' AS d FROM vals ORDER BY r <=> '{0,0}' LIMIT 100) s GROUP BY d;
SELECT d, count(*) FROM (SELECT q <=> '[0,0]' AS d FROM vals ORDER BY q <=> '[0,0]' LIMIT 100) s GROUP BY d;
SELECT d, count(*) FROM (SELECT r <#> '{0,0}' AS d FROM vals ORDER BY r <#> '{0,0}' LIMIT 100) s GROUP BY d;
SELECT id, d FROM (SELECT id, r <-> '{0,0}' AS d FROM vals ORDER BY r <-> '{0,0}' LIMIT 4) s ORDER BY d, id;
SELECT count(*) FROM (SELECT FROM vals ORDER BY r <-> '{Infinity,0}' LIMIT 100) s;
SELECT count(*) FROM (SELECT FROM vals ORDER BY r <-> '{3e38,3e38}' LIMIT 100) s;
SELECT d::real FROM (SELECT r <-> '{3e38,0}' AS d FROM vals ORDER BY r <-> '{3e38,0}' LIMIT 2) s;
PREPARE nearest(real[]) AS SELECT count(*) FROM (SELECT FROM vals ORDER BY r <-> $1 LIMIT 100) s;
EXECUTE nearest(NULL);
EXECUTE nearest('{1,1}');
EXECUTE nearest(NULL);
DEALLOCATE nearest;

-- Refused, by the first index that sees it; what was there stays and the session goes on.
\set SHOW_CONTEXT never
\set VERBOSITY default
INSERT INTO vals (r) VALUES ('{1,NaN}');
INSERT INTO vals (r) VALUES ('{Infinity,1}');
INSERT INTO vals (r) VALUES ('{0,-Infinity}');
INSERT INTO vals (r) VALUES ('{1,2,3}');
INSERT INTO vals (r) VALUES ('{1}');
INSERT INTO vals (r) VALUES ('{}');
INSERT INTO vals (r) VALUES ('{1,NULL}');
INSERT INTO vals (r) VALUES ('{{1,2},{3,4}}');
INSERT INTO vals (b) VALUES ('101');
INSERT INTO vals (r) VALUES ('{3e38,0}');
UPDATE vals SET r = '{1,2,3}' WHERE id = 3;
SELECT id FROM vals ORDER BY r <=> '{1,2,3}' LIMIT 1;
SELECT id FROM vals ORDER BY r <-> '{1}' LIMIT 1;
SELECT id FROM vals ORDER BY q <=> '[1,2,3]' LIMIT 1;
SELECT id FROM vals ORDER BY b <~> '101' LIMIT 1;
SELECT count(*) FROM vals;
:vacuum vals;
SELECT c.relname, i.rows, test_sound(c.oid)
FROM pg_class c, qhnsw_info(c.oid) i WHERE c.relname ~ '^vals_' ORDER BY c.relname COLLATE "C";
\set VERBOSITY sqlstate
INSERT INTO vals (r) VALUES ('{1,NaN}');
INSERT INTO vals (r) VALUES ('{1,2,3}');
INSERT INTO vals (r) VALUES ('{3e38,0}');
SELECT id FROM vals ORDER BY r <=> '{1,2,3}' LIMIT 1;
\set VERBOSITY default

-- The same when the index is built over them.
CREATE TABLE bad (r real[], b bitvec, q qvec8);
INSERT INTO bad VALUES ('{1,2}', '01', '[1,2]'), ('{1,NaN}', '0', '[3]');
CREATE INDEX ON bad USING qhnsw (r);
CREATE INDEX ON bad USING qhnsw (b);
CREATE INDEX ON bad USING qhnsw (q);
UPDATE bad SET r = '{3,4,5}' WHERE r <> '{1,2}';
CREATE INDEX ON bad USING qhnsw (r);
CREATE INDEX ON bad USING qhnsw (r) WITH (dims = 3);
DROP TABLE bad;

-- Dimensions: from the type, from dims, or from the first row.
CREATE TABLE dim (r real[], b bitvec(8), u bitvec);
CREATE INDEX dim_typed ON dim USING qhnsw (b);
CREATE INDEX dim_said ON dim USING qhnsw (r) WITH (dims = 3);
CREATE INDEX dim_open ON dim USING qhnsw (u);
CREATE INDEX dim_real ON dim USING qhnsw (r real_l2_ops);
SELECT c.relname, i.dims, i.rows, i.nodes, i.trained FROM pg_class c, qhnsw_info(c.oid) i
WHERE c.relname ~ '^dim_' ORDER BY c.relname COLLATE "C";
CREATE INDEX ON dim USING qhnsw (b) WITH (dims = 9);
CREATE INDEX ON dim USING qhnsw (b) WITH (dims = 8);
CREATE INDEX ON dim USING qhnsw (r) WITH (dims = 16001);
CREATE INDEX ON dim USING qhnsw (r) WITH (dims = 64001);
CREATE INDEX ON dim USING qhnsw (r) WITH (dims = 0);
INSERT INTO dim (r) VALUES ('{1,2}');
INSERT INTO dim (r) VALUES (NULL);
SELECT * FROM dim ORDER BY u <~> '1' LIMIT 1;
INSERT INTO dim VALUES ('{1,2,3}', '10101010', '11');
INSERT INTO dim (u) VALUES ('111');
INSERT INTO dim (r) VALUES ('{1,2,3,4}');
SELECT c.relname, i.dims, i.rows, test_sound(c.oid) FROM pg_class c, qhnsw_info(c.oid) i
WHERE c.relname ~ '^dim_' ORDER BY c.relname COLLATE "C";
SELECT * FROM dim ORDER BY r <=> '{3,2,1}' LIMIT 10;
DROP TABLE dim;

-- No row, and one row.
CREATE TABLE few (id int, r real[]);
CREATE INDEX few_r ON few USING qhnsw (r);
SELECT * FROM few ORDER BY r <=> '{1,2}' LIMIT 5;
SELECT test_sound('few_r');
:vacuum few;
INSERT INTO few VALUES (1, '{1,2}');
SELECT * FROM few ORDER BY r <=> '{1,2}' LIMIT 5;
SELECT test_sound('few_r');
DELETE FROM few;
:vacuum few;
SELECT * FROM few ORDER BY r <=> '{1,2}' LIMIT 5;
SELECT test_sound('few_r'), nodes, rows, dims, entry_points FROM qhnsw_info('few_r');
INSERT INTO few VALUES (2, '{1,3}');
SELECT * FROM few ORDER BY r <=> '{1,2}' LIMIT 5;
SELECT test_sound('few_r'), nodes, rows, dims, entry_points FROM qhnsw_info('few_r');
-- its dimension stays until it is built anew
INSERT INTO few VALUES (3, '{1,3,5}');
TRUNCATE few;
INSERT INTO few VALUES (3, '{1,3,5}');
SELECT * FROM few ORDER BY r <=> '{1,2,3}' LIMIT 5;
REINDEX INDEX few_r;
SELECT * FROM few ORDER BY r <=> '{1,2,3}' LIMIT 5;
DROP TABLE few;

-- An empty index grows row by row, from nothing.
CREATE TABLE grown (id int, r real[]);
CREATE INDEX grown_r ON grown USING qhnsw (r real_l2_ops);
INSERT INTO grown SELECT i, test_vector(i, 8) FROM generate_series(1, 300) AS i;
SELECT test_sound('grown_r'), rows FROM qhnsw_info('grown_r');
SET qhnsw.oversample = 100;
SELECT test_compare('grown', 'r', '<->', quote_literal(test_vector(i, 8)) || '::real[]', 50) AS result, count(*)
FROM generate_series(1001, 1010) AS i GROUP BY result;
RESET qhnsw.oversample;
DROP TABLE grown;

-- One dimension, two, three; the most there are.
CREATE TABLE low (id int, one real[], two real[], three real[], bit1 bitvec(1), byte1 qvec8(1));
INSERT INTO low SELECT i, ARRAY[i - 100.5]::real[], ARRAY[sin(i), cos(i)]::real[], ARRAY[i % 7, i % 11, i % 13]::real[],
                       (i % 2)::bit(1)::bitvec, ARRAY[i % 100]::int[]::qvec8
FROM generate_series(1, 200) AS i;
CREATE INDEX low_1 ON low USING qhnsw (one real_l2_ops);
CREATE INDEX low_1c ON low USING qhnsw (one);
CREATE INDEX low_2 ON low USING qhnsw (two);
CREATE INDEX low_3 ON low USING qhnsw (three real_l2_ops);
CREATE INDEX low_b1 ON low USING qhnsw (bit1);
CREATE INDEX low_q1 ON low USING qhnsw (byte1 qvec8_l2_ops);
INSERT INTO low SELECT id + 200, one, two, three, bit1, byte1 FROM low;
SELECT c.relname, i.rows, i.code_bytes > 0 AS code, test_sound(c.oid) FROM pg_class c, qhnsw_info(c.oid) i
WHERE c.relname ~ '^low_' ORDER BY c.relname COLLATE "C";
SELECT test_compare('low', 'bit1', '<~>', $$'1'::bitvec$$, 400);
SET qhnsw.oversample = 100;
SELECT test_compare('low', 'one', '<->', $$'{3.3}'::real[]$$, k), test_compare('low', 'one', '<=>', $$'{3.3}'::real[]$$, k),
       test_compare('low', 'two', '<=>', $$'{0.6,0.8}'::real[]$$, k), test_compare('low', 'three', '<->', $$'{3,3,3}'::real[]$$, k),
       test_compare('low', 'byte1', '<->', $$'[50]'::qvec8$$, k)
FROM (VALUES (4), (400)) l(k);
RESET qhnsw.oversample;
DROP TABLE low;

CREATE TABLE high (id int, b bitvec(64000), r real[]);
INSERT INTO high SELECT i, (repeat('10', i * 100) || repeat('0', 64000 - i * 200))::bitvec,
                        ARRAY(SELECT test_gauss(d, i) FROM generate_series(1, 16000) AS d)
FROM generate_series(1, 8) AS i;
CREATE INDEX high_b ON high USING qhnsw (b);
CREATE INDEX high_r ON high USING qhnsw (r);
INSERT INTO high SELECT i, (repeat('10', i * 100) || repeat('0', 64000 - i * 200))::bitvec,
                        ARRAY(SELECT test_gauss(d, i) FROM generate_series(1, 16000) AS d)
FROM generate_series(9, 12) AS i;
SELECT dims, rows, nodes, code_bytes, test_sound('high_b') FROM qhnsw_info('high_b');
SELECT dims, rows, nodes, test_sound('high_r') FROM qhnsw_info('high_r');
SELECT test_compare('high', 'b', '<~>', $$repeat('10', 32000)::bitvec$$, 12);
SELECT n.id, o.id FROM high o, LATERAL (SELECT id FROM high ORDER BY r <=> o.r LIMIT 1) n WHERE n.id <> o.id;
INSERT INTO high (r) SELECT array_agg(d) FROM generate_series(1, 16001) AS d;
DROP TABLE high;
CREATE TABLE higher (r real[]);
INSERT INTO higher SELECT array_agg(d) FROM generate_series(1, 16001) AS d;
CREATE INDEX ON higher USING qhnsw (r);
DROP TABLE higher, vals;
