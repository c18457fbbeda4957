-- Codes of many centres: learned by the build, by inserts, kept, known again.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

-- Tight groups far from each other, in the midst of rows that are spread out: one centre tells their rows hardly apart.
CREATE FUNCTION grouped(id int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((CASE WHEN id % 3 = 0 THEN 4 * test_gauss(id::bigint * 1000 + d, 3)
                      ELSE 4 * test_gauss((id % 20) * 1000 + d, 4) + 0.2 * test_gauss(id::bigint * 1000 + d, 5) END)::real ORDER BY d)
    FROM generate_series(0, dims - 1) AS d
$$;
CREATE TABLE source AS SELECT id, grouped(id, 24) AS v FROM generate_series(1, 4000) AS id;
CREATE TABLE asked AS SELECT grouped(id, 24) AS query FROM generate_series(10001, 10040) AS id WHERE id % 3 <> 0;

-- Share of the ten nearest rows that scans find.
CREATE FUNCTION found(relation text, operator text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    far float8;
    n bigint;
    nfound bigint := 0;
BEGIN
    SET LOCAL qhnsw.oversample = 8;
    FOR query IN SELECT a.query FROM asked AS a LOOP
        SET LOCAL enable_indexscan = off;
        EXECUTE format('SELECT max(d) FROM (SELECT v %s $1 AS d FROM %I ORDER BY 1 LIMIT 10) AS s', operator, relation) INTO far USING query;
        SET LOCAL enable_indexscan = on;
        SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT count(*) FROM (SELECT v %1$s $1 AS d FROM %2$I ORDER BY v %1$s $1 LIMIT 10) AS s WHERE d <= $2', operator, relation) INTO n USING query, far;
        SET LOCAL enable_seqscan = on;
        nfound := nfound + n;
    END LOOP;
    RETURN nfound / 10.0 / (SELECT count(*) FROM asked);
END $$;

-- the build learns centres, and the metapage, the pages in front and every code know them
CREATE TABLE built AS SELECT * FROM source;
CREATE INDEX built_l2 ON built USING qhnsw (v real_l2_ops);
CREATE INDEX built_ip ON built USING qhnsw (v real_ip_ops) WITH (compression = '8x');
CREATE INDEX built_cosine ON built USING qhnsw (v real_cosine_ops) WITH (refine = 'int8', hub_fraction = 0.05, m_low = 6);
SELECT index, centres, centre_slots, blocks - code_blocks - link_blocks - row_blocks - hub_blocks >= 3 AS pages, spread < 1.2 * trained_spread AS near, test_sound(index)
FROM unnest(ARRAY['built_l2', 'built_ip', 'built_cosine']) AS index, qhnsw_info(index::regclass);
SELECT found('built', '<->') >= 0.9 AS l2, found('built', '<=>') >= 0.9 AS cosine;
-- with workers, too
ALTER TABLE built SET (parallel_workers = 2);
SET max_parallel_maintenance_workers = 2;
SET maintenance_work_mem = '128MB';
CREATE INDEX built_parallel ON built USING qhnsw (v real_l2_ops);
RESET max_parallel_maintenance_workers;
SELECT p.centres = l.centres AS same, p.trained_spread = l.trained_spread AS alike, test_sound('built_parallel') FROM qhnsw_info('built_parallel') AS p, qhnsw_info('built_l2') AS l;
-- with little memory, from fewer rows
SET maintenance_work_mem = '1MB';
CREATE INDEX built_small ON built USING qhnsw (v real_l2_ops);
RESET maintenance_work_mem;
SELECT centres > 0 AS centres, test_sound('built_small') FROM qhnsw_info('built_small');
DROP TABLE built;

-- an index of an empty table learns them from what is inserted
CREATE TABLE filled (id int, note text, v real[]);
CREATE INDEX filled_l2 ON filled USING qhnsw (v real_l2_ops);
CREATE INDEX filled_ip ON filled USING qhnsw (v real_ip_ops) WITH (compression = '8x', m = 3);
CREATE INDEX filled_cosine ON filled USING qhnsw (v real_cosine_ops) WITH (refine = 'int8', hub_fraction = 0.05, m_low = 6);
INSERT INTO filled SELECT id, 'short', v FROM source;
SELECT index, centres > 5 AS centres, centre_slots >= centres AS slots, inserted_spread < 60 AS near, reserved_slots, test_sound(index)
FROM unnest(ARRAY['filled_l2', 'filled_ip', 'filled_cosine']) AS index, qhnsw_info(index::regclass);
SELECT found('filled', '<->') >= 0.85 AS l2, found('filled', '<=>') >= 0.85 AS cosine;
-- other sessions see them
\c
SELECT test_sound('filled_l2'), test_sound('filled_ip'), test_sound('filled_cosine');
SELECT found('filled', '<->') >= 0.85 AS l2, found('filled', '<=>') >= 0.85 AS cosine;
-- rows whose vector stays are known by the codes they have, of before centres were added too
CREATE TABLE before AS SELECT nodes FROM qhnsw_info('filled_l2');
UPDATE filled SET note = 'long' || id WHERE id <= 400;
UPDATE filled SET note = note || id;
SELECT i.nodes = b.nodes AS no_new_nodes, test_sound('filled_l2') FROM qhnsw_info('filled_l2') AS i, before AS b;
:vacuum filled;
SELECT i.nodes = b.nodes AS nodes, i.dying_slots, test_sound('filled_l2'), test_sound('filled_ip'), test_sound('filled_cosine') FROM qhnsw_info('filled_l2') AS i, before AS b;

CREATE TABLE centres_before AS SELECT centres FROM qhnsw_info('filled_l2');
-- a cursor that began before centres were added goes on with what it knew
BEGIN;
DECLARE c CURSOR FOR SELECT v <-> grouped(50000, 24) AS d FROM filled ORDER BY v <-> grouped(50000, 24);
MOVE 10 IN c;
INSERT INTO filled SELECT 100000 + id, 'far', ARRAY(SELECT x + 300 FROM unnest(v) AS x) FROM source WHERE id <= 700;
SELECT i.centres > b.centres AS more_centres FROM qhnsw_info('filled_l2') AS i, centres_before AS b;
MOVE ALL IN c;
CLOSE c;
SELECT count(*) FROM (SELECT FROM filled ORDER BY v <-> grouped(50000, 24)) AS s;
ROLLBACK;
SELECT test_sound('filled_l2');

-- no row is left: centres stay, slots of rows do not, and rows that come are found
DELETE FROM filled;
:vacuum filled;
SELECT nodes, rows, centres > 5 AS centres, centre_slots >= centres AS slots, dying_slots, reserved_slots, test_sound('filled_l2') FROM qhnsw_info('filled_l2');
INSERT INTO filled SELECT id, 'again', v FROM source WHERE id <= 1500;
SELECT test_sound('filled_l2'), test_sound('filled_ip'), test_sound('filled_cosine');
SELECT found('filled', '<->') >= 0.85 AS l2;
REINDEX TABLE filled;
SELECT index, centre_slots, test_sound(index) FROM unnest(ARRAY['filled_l2', 'filled_ip', 'filled_cosine']) AS index, qhnsw_info(index::regclass);

-- an index that learned centres may decide its dimension anew once its rows are gone
CREATE TABLE anew (v real[]);
CREATE INDEX anew_v ON anew USING qhnsw (v real_l2_ops);
INSERT INTO anew SELECT v FROM source WHERE id <= 600;
SELECT centres > 0 AS centres FROM qhnsw_info('anew_v');
DELETE FROM anew;
:vacuum anew;
INSERT INTO anew VALUES ('{1,2}');
SELECT dims, centres, centre_slots, test_sound('anew_v') FROM qhnsw_info('anew_v');
INSERT INTO anew SELECT ARRAY[v[1], v[2]] FROM source WHERE id <= 300;
SELECT rows, test_sound('anew_v') FROM qhnsw_info('anew_v');
DROP TABLE anew;

-- rows of one even cloud get none, but for their mean where nothing was known
CREATE TABLE even AS SELECT id, ARRAY(SELECT test_gauss(id::bigint * 1000 + d, 6)::real FROM generate_series(1, 24) AS d) AS v FROM generate_series(1, 3000) AS id;
CREATE INDEX even_v ON even USING qhnsw (v real_l2_ops);
SELECT centres FROM qhnsw_info('even_v');
TRUNCATE even;
INSERT INTO even SELECT id, ARRAY(SELECT 3 + test_gauss(id::bigint * 1000 + d, 6)::real FROM generate_series(1, 24) AS d) FROM generate_series(1, 3000) AS id;
SELECT centres BETWEEN 1 AND 4 AS few FROM qhnsw_info('even_v');
DROP TABLE even, filled, source, asked, before, centres_before;
DROP FUNCTION grouped, found;
