-- Recall of the graph: floors for each kind of column after a build, after inserts, after
-- deletes with a vacuum, and for graphs of few and of many links.
\set ECHO none
\i sql/include/qhnsw.psql
\set ECHO all

CREATE TABLE many (id int PRIMARY KEY, r real[], q qvec8(48), b bitvec(48));
CREATE VIEW vectors AS
SELECT id, v AS r, quantize_int8(v) AS q, binary_quantize(v) AS b
FROM (SELECT id, test_vector(id, 48) AS v FROM generate_series(1, 5200) AS id OFFSET 0) s;
INSERT INTO many SELECT * FROM vectors WHERE id <= 3000;
CREATE TABLE asked_r AS SELECT test_vector(id, 48) AS query FROM generate_series(100001, 100040) AS id;
CREATE TABLE asked_q AS SELECT quantize_int8(query) AS query FROM asked_r;
CREATE TABLE asked_b AS SELECT binary_quantize(query) AS query FROM asked_r;

CREATE INDEX many_b ON many USING qhnsw (b);
CREATE INDEX many_j ON many USING qhnsw (b bitvec_jaccard_ops);
CREATE INDEX many_q ON many USING qhnsw (q);
CREATE INDEX many_r ON many USING qhnsw (r);
CREATE INDEX many_l2 ON many USING qhnsw (r real_l2_ops);
CREATE INDEX many_ip ON many USING qhnsw (r real_ip_ops);

-- the graph is in use from here on: three thousand nodes, forty looked for
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT FROM many ORDER BY b <~> (SELECT query FROM asked_b LIMIT 1) LIMIT 10) s;
SELECT flat_passes, codes_scored BETWEEN 100 AND 2000 AS some_codes, nodes_expanded BETWEEN 20 AND 400 AS some_nodes,
       rows_returned, heap_rows_fetched FROM qhnsw_last_scan();
RESET enable_seqscan;

CREATE FUNCTION recalls() RETURNS TABLE (class text, recall text, index text) LANGUAGE sql AS $$
    VALUES ('bitvec <~>', test_recall('many', 'b', '<~>', 'asked_b', 10, 0.95), test_sound('many_b')),
           ('bitvec <%>', test_recall('many', 'b', '<%>', 'asked_b', 10, 0.95), test_sound('many_j')),
           ('qvec8 <=>', test_recall('many', 'q', '<=>', 'asked_q', 10, 0.95), test_sound('many_q')),
           ('real[] <=>', test_recall('many', 'r', '<=>', 'asked_r', 10, 0.95), test_sound('many_r')),
           ('real[] <->', test_recall('many', 'r', '<->', 'asked_r', 10, 0.95), test_sound('many_l2')),
           ('real[] <#>', test_recall('many', 'r', '<#>', 'asked_r', 10, 0.95), test_sound('many_ip'))
$$;
SELECT * FROM recalls();

-- inserts, one by one into the graph
INSERT INTO many SELECT * FROM vectors WHERE id BETWEEN 3001 AND 4000;
SELECT * FROM recalls();

-- two fifths of it go, whole clusters among them
DELETE FROM many WHERE id % 3 = 0 OR abs(hashint4(id)::bigint) % 60 < 6;
VACUUM many;
SELECT nodes = (SELECT count(DISTINCT b) FROM many) AS node_a_code, rows = (SELECT count(*) FROM many) AS all_rows,
       dying_slots, reserved_slots, free_slots > 0 AS free FROM qhnsw_info('many_b');
SELECT * FROM recalls();

-- and others come
INSERT INTO many SELECT * FROM vectors WHERE id BETWEEN 4001 AND 5000;
SELECT * FROM recalls();
DROP INDEX many_b, many_j, many_q, many_r, many_l2, many_ip;

-- Two links a node are too few for a good graph, but the search still finds; a hundred need fewer steps.
CREATE INDEX many_b ON many USING qhnsw (b) WITH (m = 2, ef_construction = 4);
SELECT m, ef_construction, link_bytes FROM qhnsw_info('many_b');
SET qhnsw.ef_search = 100;
SELECT test_recall('many', 'b', '<~>', 'asked_b', 10, 0.5), test_sound('many_b');
DROP INDEX many_b;
CREATE INDEX many_b ON many USING qhnsw (b) WITH (m = 100, ef_construction = 200);
SELECT m, ef_construction, link_bytes FROM qhnsw_info('many_b');
SET qhnsw.ef_search = 20;
SELECT test_recall('many', 'b', '<~>', 'asked_b', 10, 0.95), test_sound('many_b');
INSERT INTO many SELECT * FROM vectors WHERE id BETWEEN 5001 AND 5200;
DELETE FROM many WHERE id % 2 = 0;
VACUUM many;
SELECT test_recall('many', 'b', '<~>', 'asked_b', 10, 0.95), test_sound('many_b');

DROP FUNCTION recalls();
DROP VIEW vectors;
DROP TABLE many, asked_r, asked_q, asked_b;
