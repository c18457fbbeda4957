-- Filter columns and INCLUDE columns: what the index keeps of them, however it is built and changed.
\set ECHO none
\i sql/include/qhnsw.psql
\set ECHO all

CREATE TYPE mood AS ENUM ('low', 'even', 'high');
CREATE DOMAIN tenant AS int CHECK (VALUE < 1000000);
CREATE TABLE source AS
SELECT id, v, binary_quantize(v) AS b, quantize_int8(v) AS q, (id % 20)::tenant AS t, id % 3 = 0 AS is_new, (id % 5)::int2 AS small, id * 10000000000 AS big,
    id / 7.0::float4 AS f4, nullif(id / 3.0::float8, 100) AS f8, CASE WHEN id % 11 > 0 THEN '2024-01-01'::timestamptz + id * interval '1 minute' END AS at,
    '2024-01-01'::date + id AS day, md5(id::text)::uuid AS u, 'name ' || id % 30 AS name, (ARRAY['low', 'even', 'high'])[id % 3 + 1]::mood AS feels,
    ARRAY[id % 4, id % 6] AS tags, id * 1.25 AS price, CASE WHEN id % 10 > 0 THEN repeat('s', id % 25) END AS status
FROM (SELECT id, test_vector(id, 16) AS v FROM generate_series(1, 4000) AS id OFFSET 0) AS s;
-- Every kind of column; what is dropped from the table moves none of them.
CREATE TABLE items (LIKE source, gone int) WITH (autovacuum_enabled = off);
ALTER TABLE items DROP COLUMN gone, ADD COLUMN late int;
INSERT INTO items SELECT *, id % 9 FROM source WHERE id <= 3000;
CREATE FUNCTION state(index text) RETURNS TABLE (rows text, sound text, records text) LANGUAGE sql AS $$
    SELECT CASE WHEN i.rows = n THEN 'all' ELSE format('%s rows, not %s', i.rows, n) END, test_sound(index),
        format('%s columns, %s bytes', i.filter_columns, i.record_bytes)
    FROM qhnsw_info(index) AS i, (SELECT count(*) AS n FROM items) AS t
$$;
CREATE INDEX items_v ON items USING qhnsw (v, t, is_new, at, name, tags, late) INCLUDE (price, status);
CREATE INDEX items_b ON items USING qhnsw (b, small, big, f4, f8, day, u, feels);
CREATE INDEX items_q ON items USING qhnsw (q, t) WITH (hub_fraction = 0.05, m_low = 5, m = 8);
CREATE INDEX items_only ON items USING qhnsw (v) INCLUDE (u, is_new, t, day);
CREATE INDEX items_none ON items USING qhnsw (v);
SELECT i, s.* FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;
SELECT filter_columns, record_bytes, filter_blocks FROM qhnsw_info('items_none');

-- Rows of one vector have records of their own; chains come and go.
INSERT INTO items SELECT s.*, n FROM source AS s, generate_series(1, 12) AS n WHERE id <= 60;
UPDATE items SET t = id % 7, name = NULL, status = 'changed' WHERE id % 13 = 0;
UPDATE items SET price = -1 WHERE id % 29 = 0;
SELECT i, s.sound FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;
VACUUM items;
SELECT i, s.* FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;
DELETE FROM items WHERE id % 5 <> 0 OR (id <= 60 AND late <> 3);
VACUUM items;
SELECT i, s.* FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;
SELECT sum(posting_slots) AS chains FROM qhnsw_info('items_only');
-- places are taken again
INSERT INTO items SELECT *, -id FROM source WHERE id > 2500;
SELECT i, s.* FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;
-- rows whose transaction failed
BEGIN;
INSERT INTO items SELECT *, id FROM source WHERE id < 500;
ROLLBACK;
VACUUM items;
SELECT i, s.* FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;
REINDEX INDEX CONCURRENTLY items_v;
REINDEX INDEX items_b;
REINDEX TABLE items;
SELECT i, s.* FROM unnest('{items_v,items_b,items_q,items_only,items_none}'::text[]) AS i, state(i) AS s;

-- An UPDATE of filter columns alone finds the node by its code: no second one, and nothing new in the graph.
CREATE TABLE before AS SELECT nodes, links FROM qhnsw_info('items_v');
UPDATE items SET t = t + 1;
UPDATE items SET at = now() WHERE id % 3 = 0;
VACUUM items;
SELECT i.nodes - b.nodes AS nodes, i.links - b.links AS links FROM qhnsw_info('items_v') AS i, before AS b;
SELECT * FROM state('items_v');
DROP TABLE before;

-- Slots of links grow where a row with its record would not fit.
CREATE INDEX items_wide ON items USING qhnsw (v, big, at) INCLUDE (status, u, price, name, f8) WITH (m = 2);
CREATE INDEX items_wider ON items USING qhnsw (b, big) INCLUDE (status, u, price, name, f8) WITH (m = 4, hub_fraction = 0.1, m_low = 4);
SELECT i, m, link_bytes, s.* FROM unnest('{items_wide,items_wider}'::text[]) AS i, qhnsw_info(i), state(i) AS s;
INSERT INTO items SELECT s.*, n FROM source AS s, generate_series(1, 5) AS n WHERE id <= 400;
REINDEX INDEX items_wider;
REINDEX INDEX items_q;
SELECT i, s.* FROM unnest('{items_wide,items_wider,items_q}'::text[]) AS i, state(i) AS s;
DELETE FROM items WHERE id % 4 = 1;
VACUUM items;
INSERT INTO items SELECT s.*, n FROM source AS s, generate_series(1, 2) AS n WHERE id <= 400;
SELECT i, s.* FROM unnest('{items_wide,items_wider,items_v}'::text[]) AS i, state(i) AS s;
SELECT test_compare('items', 'v', '<=>', 'test_vector(20000, 16)', 5);
DROP INDEX items_wide, items_wider, items_only, items_none;
-- chains in slots of both sizes, as a build and as inserts fill them
CREATE TABLE few AS SELECT id, binary_quantize(v[1:4])::bitvec(4) AS b FROM source WHERE id <= 900;
CREATE INDEX few_b ON few USING qhnsw (b, id) WITH (m = 4, hub_fraction = 0.2, m_low = 5);
SELECT test_sound('few_b'), nodes < hubs + 3 AS hubs, posting_slots > 500 AS chains FROM qhnsw_info('few_b');
INSERT INTO few SELECT -id, b FROM few WHERE id % 3 = 0;
DELETE FROM few WHERE id % 4 = 0;
VACUUM few;
SELECT test_sound('few_b'), rows FROM qhnsw_info('few_b');
SET maintenance_work_mem = '1MB';
REINDEX INDEX few_b;
RESET maintenance_work_mem;
SELECT test_sound('few_b'), rows FROM qhnsw_info('few_b');
DROP TABLE few;

-- In shards, and with workers.
SET maintenance_work_mem = '1MB';
REINDEX INDEX items_v;
SELECT * FROM state('items_v');
RESET maintenance_work_mem;
ALTER TABLE items SET (parallel_workers = 2);
SET maintenance_work_mem = '96MB';
SET min_parallel_table_scan_size = 0;
REINDEX INDEX items_v;
REINDEX INDEX items_b;
SELECT i, s.* FROM unnest('{items_v,items_b,items_q}'::text[]) AS i, state(i) AS s;
RESET maintenance_work_mem;
RESET min_parallel_table_scan_size;

-- Grown from nothing; made empty; of expressions; of some of the rows; unlogged; temporary.
TRUNCATE items;
CREATE INDEX items_part ON items USING qhnsw ((v), (t + 1), lower(name)) INCLUDE (u) WHERE is_new;
INSERT INTO items SELECT *, id FROM source WHERE id <= 1500;
INSERT INTO items SELECT *, id FROM source WHERE id <= 100;
SELECT i, s.sound, s.records FROM unnest('{items_v,items_b,items_q,items_part}'::text[]) AS i, state(i) AS s;
DELETE FROM items;
VACUUM items;
SELECT i, nodes, rows FROM unnest('{items_v,items_b,items_q,items_part}'::text[]) AS i, qhnsw_info(i);
INSERT INTO items SELECT *, id FROM source WHERE id <= 200;
SELECT i, s.sound, s.records FROM unnest('{items_v,items_b,items_q,items_part}'::text[]) AS i, state(i) AS s;
ALTER TABLE items SET UNLOGGED;
INSERT INTO items SELECT *, id FROM source WHERE id <= 300;
DELETE FROM items WHERE id % 2 = 0;
VACUUM items;
SELECT i, s.sound FROM unnest('{items_v,items_b,items_q,items_part}'::text[]) AS i, state(i) AS s;
CREATE TEMPORARY TABLE brief (v real[], t int);
CREATE INDEX brief_v ON brief USING qhnsw (v, t);
INSERT INTO brief SELECT v, nullif(id % 10, 3) FROM source WHERE id < 300;
INSERT INTO brief SELECT v, t FROM source WHERE id < 100;
SELECT test_sound('brief_v'), filter_columns FROM qhnsw_info('brief_v');
-- an index that is made empty for another dimension keeps its columns
CREATE TABLE other (v real[], t int) WITH (autovacuum_enabled = off);
CREATE INDEX other_v ON other USING qhnsw (v, t);
BEGIN;
INSERT INTO other VALUES ('{1,2,3}', 1);
ROLLBACK;
INSERT INTO other VALUES ('{1,2}', 2), ('{1,2}', NULL), (NULL, 4);
SELECT dims, rows, nodes, record_bytes, test_sound('other_v') FROM qhnsw_info('other_v');

-- Partitions.
CREATE TABLE parts (v real[], t int, name text) PARTITION BY LIST (t);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1, 2);
CREATE TABLE parts_2 (name text, t int, v real[]);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (3);
CREATE INDEX parts_v ON parts USING qhnsw (v, t) INCLUDE (name);
INSERT INTO parts SELECT v, id % 3 + 1, name FROM source WHERE id < 900;
UPDATE parts SET t = t % 3 + 1 WHERE name < 'name 2';
SELECT i, test_sound(i), record_bytes FROM unnest('{parts_1_v_t_name_idx,parts_2_v_t_name_idx}'::text[]) AS i, qhnsw_info(i);

-- How large they are: within two pages of the estimate, and no more than five bytes a row for an int4.
CREATE TABLE sized AS SELECT id, v, id AS i, at, name FROM source;
CREATE INDEX sized_i ON sized USING qhnsw (v, i);
CREATE INDEX sized_two ON sized USING qhnsw (v, i, at) INCLUDE (name);
SELECT pg_relation_size('sized_i') - qhnsw_estimate_size(4000, 16, filters => '{int4}') BETWEEN -16384 AND 16384 AS one,
    pg_relation_size('sized_two') - qhnsw_estimate_size(4000, 16, filters => '{int4,timestamptz}', include => '{text}') BETWEEN -16384 AND 16384 AS two;
SELECT dims, bool_and(qhnsw_estimate_size(1000000, dims, compression => compression, hub_fraction => hubs, filters => '{int4}')
    <= qhnsw_estimate_size(1000000, dims, compression => compression, hub_fraction => hubs) + 5000000) AS five_bytes
FROM unnest('{64,128,256,768,1536}'::int[]) AS dims, unnest('{32x,8x,1x}'::text[]) AS compression, unnest('{0,0.02}'::float8[]) AS hubs GROUP BY dims ORDER BY dims;
SELECT qhnsw_estimate_size(1000, 16, filters => '{tenant,mood}') = qhnsw_estimate_size(1000, 16, filters => '{int4,int4}') AS domains_and_enums;
SELECT qhnsw_estimate_size(1000, 16, filters => '{point}');

-- What cannot be had.
CREATE INDEX ON source USING qhnsw (v, t, t, t, t, t, t, t, t, t);
CREATE INDEX ON source USING qhnsw (v, q);
CREATE INDEX ON source USING qhnsw (t, v);
DROP TABLE source, items, other, parts, sized;
DROP DOMAIN tenant;
DROP TYPE mood;
