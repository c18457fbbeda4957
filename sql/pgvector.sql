-- The bridge extension: pgvector's vector and halfvec under qhnsw, where pgvector is installed.

SELECT count(*) = 0 AS absent FROM pg_available_extensions WHERE name = 'vector' AND string_to_array(default_version, '.')::int[] >= '{0,7}' \gset
\if :absent
\echo skipped: pgvector 0.7 or later is not installed
\quit
\endif

-- pgvector in a schema of its own, the bridge in another, neither searched; who comes first in the path does not matter
CREATE SCHEMA "pg Vector";
CREATE SCHEMA bridge;
CREATE EXTENSION vector SCHEMA "pg Vector";
CREATE TYPE bridge.vector AS (trap int);
CREATE FUNCTION bridge.trap("pg Vector".vector, "pg Vector".vector) RETURNS float8 LANGUAGE sql AS 'SELECT 0.0::float8';
CREATE OPERATOR bridge.<=> (LEFTARG = "pg Vector".vector, RIGHTARG = "pg Vector".vector, FUNCTION = bridge.trap);
CREATE EXTENSION qvec_pgvector SCHEMA bridge;
SHOW search_path;
DROP OPERATOR bridge.<=> ("pg Vector".vector, "pg Vector".vector);
DROP FUNCTION bridge.trap;
DROP TYPE bridge.vector;
SELECT opcname, opcnamespace::regnamespace, opcdefault, opcintype::regtype, amopopr::regoperator, amvalidate(c.oid) AS valid FROM pg_opclass c JOIN pg_amop ON amopfamily = opcfamily
WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'qhnsw') AND opcintype IN ('"pg Vector".vector'::regtype, '"pg Vector".halfvec'::regtype) ORDER BY 1;
SELECT pg_describe_object(classid, objid, objsubid) AS without_comment FROM pg_depend d
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'qvec_pgvector') AND deptype = 'e'
    AND NOT EXISTS (SELECT FROM pg_description c WHERE c.classoid = d.classid AND c.objoid = d.objid);
DROP EXTENSION vector;
DROP EXTENSION vector CASCADE;
DROP SCHEMA "pg Vector", bridge;

CREATE EXTENSION vector;
CREATE EXTENSION qvec_pgvector;
CREATE FUNCTION a_vector(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((get_byte(decode(md5(seed || 'v' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, dims - 1) AS j
$$;
CREATE TABLE items (id int, v vector(48), h halfvec(48));
INSERT INTO items SELECT i, e, e FROM generate_series(1, 2500) AS i, a_vector(i, 48) AS e;
INSERT INTO items VALUES (-1, NULL, NULL), (-2, array_fill(0::real, ARRAY[48]), array_fill(0::real, ARRAY[48]));

-- one word changes: hnsw becomes qhnsw
CREATE INDEX v_cosine ON items USING qhnsw (v vector_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX v_l2 ON items USING qhnsw (v vector_l2_ops);
CREATE INDEX v_ip ON items USING qhnsw (v vector_ip_ops);
CREATE INDEX h_cosine ON items USING qhnsw (h halfvec_cosine_ops);
CREATE INDEX h_l2 ON items USING qhnsw (h halfvec_l2_ops);
CREATE INDEX h_ip ON items USING qhnsw (h halfvec_ip_ops);
CREATE INDEX h_of_v ON items USING qhnsw ((v::halfvec(48)) halfvec_l2_ops);
ANALYZE items;
SELECT index, metric, dims, rows FROM unnest('{v_cosine,v_l2,v_ip,h_cosine,h_l2,h_ip,h_of_v}'::regclass[]) AS index, qhnsw_info(index);
SELECT index FROM unnest('{v_cosine,v_l2,v_ip,h_cosine,h_l2,h_ip,h_of_v}'::regclass[]) AS index, qhnsw_check(index, true);
SET qhnsw.oversample = 10;
SELECT index, qhnsw_recall(index, 10, 40) > 0.9 AS recall FROM unnest('{v_cosine,v_l2,v_ip,h_cosine,h_l2,h_ip,h_of_v}'::regclass[]) AS index;
RESET qhnsw.oversample;

-- the index is used, and rows come in the order of pgvector's operator
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <=> '[1,2,3]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <-> '[1,2,3]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY h <#> '[1,2,3]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v::halfvec(48) <-> '[1,2,3]' LIMIT 5;
CREATE FUNCTION in_order(query text, OUT rows bigint, OUT in_order boolean, OUT indexed boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    EXECUTE 'SELECT count(*), bool_and(d >= before IS NOT FALSE) FROM (SELECT d, lag(d) OVER (ORDER BY n) AS before FROM (SELECT d, row_number() OVER () AS n FROM (' || query || ') AS a) AS b) AS c' INTO rows, in_order;
    indexed := false;
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        indexed := indexed OR line LIKE '%Index Scan using%';
    END LOOP;
END $$;
SELECT type, op, r.* FROM unnest('{v,h}'::text[]) AS type, unnest('{<=>,<->,<#>}'::text[]) AS op,
    in_order(format('SELECT %s %s %L AS d FROM items ORDER BY d LIMIT 200', type, op, a_vector(9999, 48)::vector)) AS r ORDER BY type, op;
SELECT id, v <=> (SELECT v FROM items WHERE id = 33) < 1e-6 AS itself FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 33) LIMIT 1;
SELECT id FROM items ORDER BY h <-> (SELECT h FROM items WHERE id = 33) LIMIT 1;
SET qhnsw.iterative_scan = relaxed_order;
-- all rows but those without a value, and where cosine is asked for those without a direction
SELECT count(*) FROM (SELECT FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 1) LIMIT 5000) AS t;
SELECT count(*) FROM (SELECT FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 1) LIMIT 5000) AS t;

-- half precision: smallest, largest, and what lies between
CREATE TABLE halves (id int, h halfvec(3));
INSERT INTO halves VALUES (1, '[65504,0,0]'), (2, '[5.9604645e-08,0,0]'), (3, '[-6.1e-05,1,0]'), (4, '[0.333,-0.333,1000]'), (5, '[-65504,65504,-65504]');
CREATE INDEX ON halves USING qhnsw (h halfvec_l2_ops);
SELECT id, round((h <-> '[0,0,0]')::numeric, 2) AS distance FROM halves ORDER BY h <-> '[0,0,0]';
SET qhnsw.rescore = off;
SELECT id FROM halves ORDER BY h <-> '[-65504,65504,-65504]' LIMIT 1;
SELECT id FROM halves ORDER BY h <-> '[65504,0,0]' LIMIT 1;
RESET qhnsw.rescore;

-- inserts, updates, deletes and vacuum
DELETE FROM items WHERE id % 3 = 0;
INSERT INTO items SELECT i, e, e FROM generate_series(3001, 3300) AS i, a_vector(i, 48) AS e;
UPDATE items SET v = a_vector(id + 10000, 48)::vector WHERE id % 10 = 1;
SET min_parallel_index_scan_size = 0;
VACUUM (PARALLEL 2) items;
INSERT INTO items SELECT i, e, e FROM generate_series(3301, 3400) AS i, a_vector(i, 48) AS e;
SELECT index FROM unnest('{v_cosine,v_l2,v_ip,h_cosine,h_l2,h_ip,h_of_v}'::regclass[]) AS index, qhnsw_check(index, true);
SELECT count(*) FROM (SELECT FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 1) LIMIT 5000) AS t;
SELECT count(*) FROM items WHERE v IS NOT NULL;
SELECT id FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 3333) LIMIT 1;
SELECT id FROM items ORDER BY h <=> (SELECT h FROM items WHERE id = 3333) LIMIT 1;

-- values out of line, values with short headers, columns without a number of dimensions
CREATE TABLE long (id int, v vector, h halfvec);
INSERT INTO long SELECT i, a_vector(i, 3000)::vector, a_vector(i, 3000)::halfvec FROM generate_series(1, 20) AS i;
CREATE INDEX ON long USING qhnsw (v);
CREATE INDEX ON long USING qhnsw (h);
SELECT id FROM long ORDER BY v <=> (SELECT v FROM long WHERE id = 7) LIMIT 1;
SELECT id FROM long ORDER BY h <=> (SELECT h FROM long WHERE id = 8) LIMIT 1;
INSERT INTO long VALUES (21, '[1,2,3]', NULL);
CREATE TABLE short (v vector(1), h halfvec(1));
INSERT INTO short VALUES ('[1]', '[1]'), ('[-2]', '[-2]');
CREATE INDEX ON short USING qhnsw (v vector_l2_ops);
CREATE INDEX ON short USING qhnsw (h halfvec_ip_ops);
SELECT v FROM short ORDER BY v <-> '[-1]';
SELECT h FROM short ORDER BY h <#> '[1]';
-- what is no vector is refused, and reads nothing beyond its end: too short for a header, no dimension, a negative one,
-- one too many, fewer and more elements than it says, and something in the place that is unused
CREATE CAST (bytea AS vector) WITHOUT FUNCTION;
CREATE CAST (bytea AS halfvec) WITHOUT FUNCTION;
CREATE FUNCTION refused(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    type text;
    answer text := '';
BEGIN
    FOREACH type IN ARRAY '{vector,halfvec}'::text[] LOOP
        BEGIN
            EXECUTE format('CREATE TEMPORARY TABLE broken AS SELECT %L::bytea::%s AS v; CREATE INDEX ON broken USING qhnsw (v)', bytes, type);
            DROP TABLE broken;
            answer := answer || type || ' accepted ';
        EXCEPTION WHEN data_corrupted THEN answer := answer || SQLERRM || '; ';
        END;
    END LOOP;
    RETURN answer;
END $$;
SELECT refused(b) FROM unnest(ARRAY['\x', '\x01', '\x010100', '\x00000000', '\x0000000000000000', '\xffff000000000000', '\x7f7f000000000000', '\x0101000000000000',
    '\x01010000' || decode(repeat('3c3c', 256), 'hex'), '\x01010000' || decode(repeat('3c3c', 258), 'hex'), '\x01010000' || decode(repeat('3c3c', 515), 'hex'),
    '\x01010101' || decode(repeat('3c3c', 257), 'hex'), '\x01010001' || decode(repeat('3c3c', 514), 'hex')]::bytea[]) AS b;
SELECT refused('\x01010000' || decode(repeat('3c3c', 257), 'hex')) LIKE '%halfvec accepted%' AS halfvec, refused('\x01010000' || decode(repeat('3c3c', 514), 'hex')) LIKE 'vector accepted%' AS vector;
DROP CAST (bytea AS vector);
DROP CAST (bytea AS halfvec);
CREATE TABLE empty (v vector(5));
CREATE INDEX empty_index ON empty USING qhnsw (v);
SELECT dims FROM qhnsw_info('empty_index');
CREATE INDEX ON empty USING qhnsw (v) WITH (dims = 6);

-- a code column beside a column of pgvector's
ALTER TABLE items ADD COLUMN code bitvec(48);
UPDATE items SET code = bitvec(binary_quantize(v));
CREATE INDEX ON items USING qhnsw (code);
ANALYZE items;
SELECT count(*), bool_and(distance = (d).v <-> a_vector(5, 48)::vector) AS exact FROM qvec_search(NULL::items, 'code', 'v', a_vector(5, 48), k => 20, metric => 'l2') AS s(d, distance);
SELECT count(*), bool_and(distance = (d).h <=> a_vector(5, 48)::halfvec) AS exact FROM qvec_search(NULL::items, 'code', 'h', a_vector(5, 48), k => 20) AS s(d, distance);
SELECT (d).id FROM qvec_search(NULL::items, 'code', 'v', a_vector(5, 48), k => 1) AS s(d, distance);
SELECT * FROM qvec_search(NULL::items, 'code', 'v', '{1,2}');

-- suggestions for columns of pgvector's types
SELECT count(*) > 3 AS several, bool_and(command LIKE 'CREATE INDEX ON public.items USING qhnsw (v) WITH (%') AS commands FROM qhnsw_suggest('items', 'v');
SELECT count(*) > 3 AS several, bool_and(command LIKE '%(h public.halfvec_l2_ops) WITH (%') AS commands FROM qhnsw_suggest('items', 'h', opclass => 'halfvec_l2_ops');

-- the index goes with the bridge, and both with pgvector
\set VERBOSITY terse
DROP EXTENSION qvec_pgvector;
\set VERBOSITY default
SET client_min_messages = warning;
DROP EXTENSION qvec_pgvector CASCADE;
SELECT count(*) FROM pg_indexes WHERE tablename = 'items';
DROP TABLE items, halves, long, short, empty;
DROP EXTENSION vector;
DROP FUNCTION a_vector, in_order, refused;
