-- A distance that serves the order alone is not computed for the rows returned; one that is read is.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE items (id int, embedding real[]);
INSERT INTO items SELECT i, ARRAY[cos(i), sin(i), cos(3 * i), 1] FROM generate_series(1, 100) AS i;
CREATE INDEX items_embedding ON items USING qhnsw (embedding real_l2_ops);
CREATE TABLE parts (id int, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (50);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (50) TO (1000);
INSERT INTO parts SELECT * FROM items;
CREATE INDEX ON parts USING qhnsw (embedding real_l2_ops);
SET enable_seqscan = off;

-- What the scans of a plan put out.
CREATE FUNCTION outputs(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        IF line ~ 'Output|Index Scan' THEN
            RETURN NEXT regexp_replace(btrim(line), ' using.* on', ' on');
        END IF;
    END LOOP;
END $$;

-- not read
SELECT outputs($$SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}' LIMIT 3$$);
SELECT outputs($$SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}'$$);
SELECT outputs($$SELECT count(*) FROM (SELECT FROM items WHERE id % 2 = 0 ORDER BY embedding <-> '{1,0,0,1}' OFFSET 2 LIMIT 3) AS s$$);
PREPARE nearest(real[]) AS SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 3;
SELECT outputs($$EXECUTE nearest('{1,0,0,1}')$$);
EXECUTE nearest('{1,0,0,1}');

-- read: by the client, by ties, by locks, by the merge of partitions, by another sort
SELECT outputs($$SELECT id, embedding <-> '{1,0,0,1}' AS distance FROM items ORDER BY distance LIMIT 3$$);
SELECT outputs($$SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}' FETCH FIRST 3 ROWS WITH TIES$$);
SELECT outputs($$SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}' LIMIT 3 FOR UPDATE$$);
SELECT outputs($$SELECT id FROM parts ORDER BY embedding <-> '{1,0,0,1}' LIMIT 3$$);
-- from version 17 on a sort could be on top of the index scan
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT outputs($$SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}', id LIMIT 3$$);
RESET enable_indexscan;
SET enable_seqscan = off;

-- the same rows either way
INSERT INTO items SELECT 1000 + id, embedding FROM items;
SELECT (SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}' LIMIT 20) AS s) =
       (SELECT array_agg(id ORDER BY id) FROM (SELECT id, embedding <-> '{1,0,0,1}' AS d FROM items ORDER BY d LIMIT 20) AS s) AS same_rows;
SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY embedding <-> '{1,0,0,1}', id LIMIT 6) AS s;
SELECT count(*) FROM (SELECT FROM items ORDER BY embedding <-> '{1,0,0,1}' FETCH FIRST 3 ROWS WITH TIES) AS s;
SELECT array_agg(id) FROM (SELECT id FROM parts ORDER BY embedding <-> '{1,0,0,1}' LIMIT 5) AS s;

DROP TABLE items, parts;
DROP FUNCTION outputs;
