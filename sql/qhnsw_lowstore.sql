-- Graphs of low storage: what they take, what they find, and that they stay sound whatever happens to them.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE low (id int, r real[], b bitvec(64)) WITH (autovacuum_enabled = off);
CREATE INDEX low_none ON low USING qhnsw (b) WITH (m_low = 3);
CREATE INDEX low_none ON low USING qhnsw (b) WITH (m_low = 201);
CREATE INDEX low_none ON low USING qhnsw (b) WITH (hub_fraction = -0.1);
CREATE INDEX low_none ON low USING qhnsw (b) WITH (hub_fraction = 0.6);
CREATE INDEX low_none ON low USING qhnsw (b) WITH (m = 6, hub_fraction = 0.02, m_low = 13);
-- without hubs there is nothing for m_low to say
CREATE INDEX low_none ON low USING qhnsw (b) WITH (m_low = 8);
CREATE INDEX low_r ON low USING qhnsw (r) WITH (hub_fraction = 0.02, dims = 64);
CREATE INDEX low_b ON low USING qhnsw (b) WITH (hub_fraction = 0.5, m_low = 4, m = 8);
SELECT c, m, hub_fraction, m_low, link_bytes, hubs FROM unnest(ARRAY['low_none', 'low_r', 'low_b']) AS c, qhnsw_info(c::regclass);

-- Grown from nothing, row by row.
CREATE TABLE source AS
SELECT id, v AS r, binary_quantize(v) AS b
FROM (SELECT id, test_vector(id, 64) AS v FROM generate_series(1, 6000) AS id OFFSET 0) s;
CREATE TABLE asked AS SELECT test_vector(id, 64) AS query FROM generate_series(10001, 10030) AS id;
INSERT INTO low SELECT * FROM source WHERE id <= 3000;
CREATE FUNCTION state() RETURNS TABLE (nodes text, r_index text, b_index text, hubs text, scan text) LANGUAGE sql AS $$
    SELECT CASE WHEN r.nodes = n AND r.rows = n THEN 'all' ELSE format('%s nodes and %s rows, not %s', r.nodes, r.rows, n) END,
           test_sound('low_r'), test_sound('low_b'),
           CASE WHEN r.hubs BETWEEN 0.005 * n AND 0.06 * n AND b.hubs > 0.3 * b.nodes THEN 'some'
                ELSE format('%s of %s, %s of %s', r.hubs, n, b.hubs, b.nodes) END,
           test_compare('low', 'r', '<=>', 'test_vector(20000, 64)', 5)
    FROM qhnsw_info('low_r') AS r, qhnsw_info('low_b') AS b, (SELECT count(*) AS n FROM low) AS l
$$;
SELECT * FROM state();
SET qhnsw.ef_search = 100;
SELECT test_recall('low', 'r', '<=>', 'asked', 10, 0.95);

-- Built.
REINDEX INDEX low_r;
REINDEX INDEX low_b;
SELECT * FROM state();
SELECT test_recall('low', 'r', '<=>', 'asked', 10, 0.95);
-- Deleted, repaired, and the places taken again.
DELETE FROM low WHERE id % 3 <> 0;
:vacuum low;
SELECT * FROM state();
CREATE TABLE before AS SELECT (SELECT blocks FROM qhnsw_info('low_r')) AS r, (SELECT blocks FROM qhnsw_info('low_b')) AS b;
INSERT INTO low SELECT * FROM source WHERE id BETWEEN 3001 AND 4900;
SELECT * FROM state();
SELECT (SELECT blocks FROM qhnsw_info('low_r')) = r AS same_r, (SELECT blocks FROM qhnsw_info('low_b')) <= b AS same_b FROM before;
INSERT INTO low SELECT * FROM source WHERE id > 4900;
SELECT * FROM state();
-- by the graph: vacuum has left few rows, and a search goes by what was counted last
ANALYZE low;
SELECT test_recall('low', 'r', '<=>', 'asked', 10, 0.95);
DELETE FROM low;
:vacuum low;
SELECT nodes, rows, links, hubs, dying_slots FROM qhnsw_info('low_r');
INSERT INTO low SELECT * FROM source WHERE id <= 50;
SELECT nodes, test_sound('low_r') FROM qhnsw_info('low_r');

-- Rows of one code: their list is in slots of both sizes.
TRUNCATE low;
INSERT INTO low SELECT g, s.r, s.b FROM generate_series(1, 1600) AS g, (SELECT * FROM source WHERE id = 1) AS s;
SELECT nodes, rows, test_sound('low_r'), posting_slots > 90 AS small FROM qhnsw_info('low_r');
INSERT INTO low SELECT id, r, b FROM source WHERE id BETWEEN 2 AND 200;
DELETE FROM low WHERE id % 2 = 0;
:vacuum low;
SELECT rows, test_sound('low_r'), test_sound('low_b') FROM qhnsw_info('low_r');
REINDEX INDEX low_r;
SELECT rows, test_sound('low_r') FROM qhnsw_info('low_r');
DROP TABLE low, before, asked;
DROP FUNCTION state();

-- Bytes a row at 768 dimensions, and as estimated.
CREATE TABLE wide (r real[]);
INSERT INTO wide
SELECT w.r || w.r || w.r
FROM (SELECT id, v.r || v.r AS r FROM (SELECT i AS id, a.r || b.r AS r FROM generate_series(0, 15999) AS i, source AS a, source AS b
      WHERE a.id = 1 + i % 5987 AND b.id = 1 + i / 3 % 5981) AS v) AS w;
CREATE INDEX wide_low ON wide USING qhnsw (r) WITH (hub_fraction = 0.02, ef_construction = 32);
CREATE INDEX wide_full ON wide USING qhnsw (r) WITH (ef_construction = 32);
SELECT c, rows, round(bytes_per_row::numeric) <= 190 AS low,
       abs(qhnsw_estimate_size(16000, 768, hub_fraction => hub_fraction, m_low => greatest(m_low, 4), centres => centres) - pg_relation_size(c)) < 2 * 8192 AS estimated
FROM unnest(ARRAY['wide_low', 'wide_full']) AS c, qhnsw_info(c::regclass);
-- Built in parts, where memory is short: the same size, and as sound.
SET maintenance_work_mem = '1MB';
REINDEX INDEX wide_low;
RESET maintenance_work_mem;
SELECT rows, round(bytes_per_row::numeric) <= 190 AS low, hubs BETWEEN 200 AND 500 AS hubs, test_sound('wide_low') FROM qhnsw_info('wide_low');
SELECT qhnsw_estimate_size(1000000, 768, hub_fraction => 0.7);
SELECT qhnsw_estimate_size(1000000, 768, hub_fraction => 0.1, m_low => 3);
SELECT qhnsw_estimate_size(1000000, 768, hub_fraction => 0.02) / 1000000 AS low, qhnsw_estimate_size(1000000, 768) / 1000000 AS full,
       qhnsw_estimate_size(1000000, 768, hub_fraction => 0.02, m_low => 8) / 1000000 AS lower;
DROP TABLE wide, source;
