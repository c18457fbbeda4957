-- An index on an expression whose function has one beside it that computes many values at once.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE SCHEMA model;
-- How often each of 16 hashed letters is met, and where.
CREATE FUNCTION model.embed(body text) RETURNS real[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
DECLARE
    sums real[] := array_fill(0.01::real, ARRAY[16]);
    place int;
BEGIN
    FOR i IN 1 .. length(body) LOOP
        place := 1 + ascii(substr(body, i, 1)) % 16;
        sums[place] := sums[place] + 1 + i / 100.0;
    END LOOP;
    RETURN sums;
END $$;
CREATE FUNCTION model.embed_many(bodies text[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 100000 AS $$
DECLARE
    vectors real[] := '{}';
    body text;
BEGIN
    FOREACH body IN ARRAY bodies LOOP
        IF body IS NULL THEN RAISE 'a text is NULL'; END IF;
        vectors := vectors || ARRAY[model.embed(body)];
    END LOOP;
    RETURN vectors;
END $$;
CREATE TABLE notes (id int, body text, kind int);
INSERT INTO notes SELECT id, md5(id::text) || CASE WHEN id % 3 = 0 THEN md5((id / 30)::text) ELSE '' END, id % 10 FROM generate_series(1, 600) AS id;

-- What does not fit is refused when the index is made.
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'nothing(text[])');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'public.embed_many(text[])');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'nowhere.embed_many');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_many(integer[])');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_many(text[]');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'a.b.c(text[])');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = '');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_size = 10);
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_many', batch_size = 0);
CREATE INDEX bad ON notes USING qhnsw ((ARRAY[kind, 1]::real[]) real_cosine_ops) WITH (batch_function = 'embed_many');
CREATE INDEX bad ON notes USING qhnsw (binary_quantize(model.embed(body))) WITH (batch_function = 'embed_many');
CREATE TABLE stored (v real[]);
CREATE INDEX bad ON stored USING qhnsw (v) WITH (batch_function = 'embed_many');
DROP TABLE stored;
CREATE FUNCTION model.embed_one(text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1[1] $$;
CREATE FUNCTION model.embed_rows(text[]) RETURNS SETOF real[] LANGUAGE sql IMMUTABLE AS $$ SELECT model.embed(t) FROM unnest($1) AS t $$;
CREATE FUNCTION model.embed_any(text[]) RETURNS real[] LANGUAGE sql AS $$ SELECT model.embed_many($1) $$;
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_one');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_rows');
CREATE INDEX bad ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_any');

-- Calls within a transaction of the function, and of the one for many.
SET track_functions = 'all';
CREATE FUNCTION calls(OUT single bigint, OUT many bigint) LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(pg_stat_get_xact_function_calls('model.embed(text)'::regprocedure), 0), coalesce(pg_stat_get_xact_function_calls('model.embed_many(text[])'::regprocedure), 0)
$$;

-- A build: rows are computed twice, once for the sample.  (The function for many calls the other for each.)
BEGIN;
CREATE INDEX notes_many ON notes USING qhnsw ((model.embed(body)) real_cosine_ops) WITH (batch_function = 'embed_many( TEXT[] )', batch_size = 50);
SELECT many BETWEEN 24 AND 26 AS few_calls FROM calls();
COMMIT;
SELECT pg_get_indexdef('notes_many'::regclass);
SELECT nodes, rows, dims FROM qhnsw_info('notes_many');
-- the same index as without
CREATE INDEX notes_one ON notes USING qhnsw ((model.embed(body)) real_cosine_ops);
SELECT pg_relation_size('notes_many') = pg_relation_size('notes_one') AS same_size;
BEGIN;
SELECT many AS before FROM calls() \gset
SELECT * FROM qhnsw_check('notes_many', true);
SELECT many - :before = 600 / 50 AS in_batches FROM calls();
COMMIT;
SELECT qhnsw_recall('notes_many', 10, 50) = qhnsw_recall('notes_one', 10, 50) AS same_recall;
BEGIN;
SELECT many AS before FROM calls() \gset
SELECT qhnsw_recall('notes_many', 10, 50) > 0.9 AS found;
-- all rows in twelve calls, the rows drawn in a few, two or three for each query and what it found
SELECT many - :before BETWEEN 12 + 100 AND 12 + 20 + 50 * 4 AS in_batches FROM calls();
COMMIT;
DROP INDEX notes_one;

-- Scans: the same rows, each value computed once, in few calls.
CREATE TABLE asked AS SELECT id, model.embed(md5(id::text || 'x')) AS query FROM generate_series(1, 20) AS id;
SET enable_seqscan = off;
CREATE FUNCTION nearest(query real[], k int, OUT ids int[], OUT counted bigint, OUT did record) LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT many FROM calls());
BEGIN
    SELECT array_agg(id) INTO ids FROM (SELECT id FROM notes ORDER BY model.embed(body) <=> query LIMIT k) AS s;
    counted := (SELECT many FROM calls()) - before;
    SELECT values_recomputed AS recomputed, values_batched AS batched, batch_calls AS calls, heap_rows_fetched AS fetched INTO did FROM qhnsw_last_scan();
END $$;
SELECT bool_and(counted = calls) AS calls_counted, bool_and(recomputed = batched AND batched = fetched) AS all_in_batches,
       bool_and(calls BETWEEN 1 AND ceil(recomputed / 50.0) + 2) AS few_calls, bool_and(recomputed BETWEEN 30 AND 300) AS few_values
FROM asked, nearest(query, 10) AS n, LATERAL (SELECT * FROM json_to_record(to_json(n.did)) AS r(recomputed int, batched int, calls int, fetched int)) AS d;
SET qhnsw.ef_search = 20;
SELECT test_recall('notes', 'model.embed(body)', '<=>', 'asked', 10, 0.9);
RESET qhnsw.ef_search;
SELECT test_compare('notes', 'model.embed(body)', '<=>', 'model.embed(md5(''17x''))', 600);
-- a batch of one, and one that is larger than what a step looks at
ALTER INDEX notes_many SET (batch_size = 1);
SELECT batched = calls AS alone FROM asked, nearest(query, 10) AS n, LATERAL (SELECT * FROM json_to_record(to_json(n.did)) AS r(batched int, calls int)) AS d WHERE id = 1;
ALTER INDEX notes_many SET (batch_size = 10000);
SELECT calls < 6 AS few_calls FROM asked, nearest(query, 100) AS n, LATERAL (SELECT * FROM json_to_record(to_json(n.did)) AS r(batched int, calls int)) AS d WHERE id = 1;
SELECT test_compare('notes', 'model.embed(body)', '<=>', 'model.embed(md5(''17x''))', 100);
-- no more texts at once than memory is for
SET work_mem = 64;
UPDATE notes SET body = repeat(body, 10) WHERE id % 20 = 0;
SELECT test_compare('notes', 'model.embed(body)', '<=>', 'model.embed(md5(''17x''))', 40);
RESET work_mem;
-- with workers, where the function for many may be called by them, and in shards
ALTER TABLE notes SET (parallel_workers = 2);
SET min_parallel_table_scan_size = 0;
REINDEX INDEX notes_many;
SELECT * FROM qhnsw_check('notes_many', true);
ALTER FUNCTION model.embed_many(text[]) PARALLEL UNSAFE;
REINDEX INDEX notes_many;
SELECT * FROM qhnsw_check('notes_many', true);
ALTER FUNCTION model.embed_many(text[]) PARALLEL SAFE;
ALTER TABLE notes RESET (parallel_workers);
RESET min_parallel_table_scan_size;
-- filters, bounds, pages
CREATE FUNCTION both_ways(what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found int[];
    wanted int[];
BEGIN
    EXECUTE 'SELECT array_agg(id) FROM (' || what || ') AS s' INTO found;
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_seqscan = on;
    EXECUTE 'SELECT array_agg(id) FROM (' || what || ') AS s' INTO wanted;
    RESET enable_indexscan;
    SET LOCAL enable_seqscan = off;
    RETURN found = wanted;
END $$;
SELECT both_ways($$SELECT id FROM notes WHERE kind = 3 ORDER BY model.embed(body) <=> model.embed('one two') LIMIT 12$$),
       both_ways($$SELECT id FROM notes WHERE model.embed(body) <=> model.embed('one two') BETWEEN 0.4 AND 0.5 ORDER BY model.embed(body) <=> model.embed('one two') LIMIT 12$$),
       both_ways($$SELECT id FROM notes WHERE kind < 5 AND model.embed(body) <=> model.embed('one two') > 0.42 ORDER BY model.embed(body) <=> model.embed('one two') LIMIT 12$$),
       both_ways($$SELECT id FROM notes ORDER BY model.embed(body) <=> model.embed('one two') OFFSET 10 LIMIT 10$$),
       both_ways($$SELECT id FROM notes ORDER BY model.embed(body) <=> model.embed('one two') OFFSET 20 LIMIT 10$$),
       both_ways($$SELECT id FROM notes ORDER BY model.embed(body) <=> model.embed('one two')$$);
SET qhnsw.rescore = off;
SELECT cardinality(ids), counted FROM nearest(model.embed('one'), 5);
RESET qhnsw.rescore;

-- Rows that change, and texts that are NULL: the function for many is never given one.
ALTER INDEX notes_many SET (batch_size = 7);
INSERT INTO notes SELECT id, CASE WHEN id % 2 = 0 THEN md5(id::text) END, 1 FROM generate_series(601, 640) AS id;
DELETE FROM notes WHERE id % 9 = 0;
VACUUM notes;
SELECT * FROM qhnsw_check('notes_many', true);
REINDEX INDEX notes_many;
SELECT * FROM qhnsw_check('notes_many', true);
SELECT rows = (SELECT count(body) FROM notes) AS all_rows FROM qhnsw_info('notes_many');
SELECT both_ways($$SELECT id FROM notes ORDER BY model.embed(body) <=> model.embed('one two') LIMIT 20$$);
-- a function that makes something of NULL
CREATE FUNCTION model.embed_null(body text) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$ SELECT model.embed(coalesce(body, 'nothing')) $$;
CREATE INDEX notes_null ON notes USING qhnsw (model.embed_null(body)) WITH (batch_function = 'model.embed_many');
SELECT rows = (SELECT count(*) FROM notes) AS all_rows FROM qhnsw_info('notes_null');
SELECT * FROM qhnsw_check('notes_null', true);
DROP INDEX notes_null;

-- A function that does not keep its word.
CREATE FUNCTION model.set_body(body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE OR REPLACE FUNCTION model.embed_many(bodies text[]) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ' || quote_literal('SELECT ' || body);
END $$;
CREATE FUNCTION model.right_ones(bodies text[]) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$ SELECT array_agg(model.embed(t) ORDER BY n) FROM unnest($1) WITH ORDINALITY AS u(t, n) $$;
CREATE FUNCTION search() RETURNS SETOF int LANGUAGE sql AS $$ SELECT id FROM notes ORDER BY model.embed(body) <=> model.embed('one two') LIMIT 3 $$;
\set VERBOSITY terse
SELECT model.set_body('NULL::real[]');
SELECT * FROM search();
REINDEX INDEX notes_many;
SELECT * FROM qhnsw_check('notes_many', true);
SELECT qhnsw_recall('notes_many', 10, 10);
SELECT model.set_body($$'{}'::real[]$$);
SELECT * FROM search();
SELECT model.set_body('model.right_ones($1[2:])');
SELECT * FROM search();
REINDEX INDEX notes_many;
SELECT model.set_body($$model.right_ones($1 || 'x'::text)$$);
SELECT * FROM search();
SELECT model.set_body('model.embed($1[1])');
SELECT * FROM search();
SELECT model.set_body('array_fill(1::real, ARRAY[cardinality($1), 17])');
SELECT * FROM search();
SELECT * FROM qhnsw_check('notes_many', true);
SELECT model.set_body('array_fill(NULL::real, ARRAY[cardinality($1), 16])');
SELECT * FROM search();
SELECT model.set_body($$array_fill('NaN'::real, ARRAY[cardinality($1), 16])$$);
REINDEX INDEX notes_many;
SELECT model.set_body('array_fill(1 / (cardinality($1) - cardinality($1))::real, ARRAY[1, 16])');
SELECT * FROM search();
\set VERBOSITY default
SELECT * FROM search();
-- nothing was lost
SELECT model.set_body('model.right_ones($1)');
SELECT array_agg(s) = (SELECT ids FROM nearest(model.embed('one two'), 3)) AS found FROM search() AS s;
SELECT * FROM qhnsw_check('notes_many', true);

-- The function's name is looked up anew each time, and by no search path.
CREATE SCHEMA other;
CREATE FUNCTION other.embed_many(text[]) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$ SELECT NULL::real[] $$;
SET search_path = other, public;
SELECT count(*) FROM search();
SET search_path = '';
SELECT count(*) FROM public.qhnsw_check('public.notes_many', true);
REINDEX INDEX public.notes_many;
RESET search_path;
ALTER FUNCTION model.embed_many(text[]) RENAME TO "Embed ""many""";
SELECT * FROM search();
REINDEX INDEX notes_many;
ALTER INDEX notes_many SET (batch_function = 'model."Embed ""many"""(text[])');
SELECT count(*) FROM search();
REINDEX INDEX notes_many;
DROP FUNCTION model."Embed ""many"""(text[]);
SELECT * FROM search();
ALTER INDEX notes_many RESET (batch_function, batch_size);
SELECT count(*) FROM search();
SELECT batch_calls, values_recomputed > 0 AS recomputed FROM qhnsw_last_scan();

-- Run as the owner of the table where the index is kept, and as who searches where it is searched.
CREATE ROLE qhnsw_batch_owner;
CREATE ROLE qhnsw_batch_reader;
GRANT USAGE ON SCHEMA model TO qhnsw_batch_owner, qhnsw_batch_reader;
CREATE FUNCTION model.embed_many(bodies text[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE NOTICE 'run as %', current_user;
    RETURN model.right_ones(bodies);
END $$;
ALTER TABLE notes OWNER TO qhnsw_batch_owner;
GRANT SELECT ON notes TO qhnsw_batch_reader;
ALTER INDEX notes_many SET (batch_function = 'embed_many', batch_size = 1000);
SET client_min_messages = notice;
\set VERBOSITY terse
REINDEX INDEX notes_many;
SELECT count(*) FROM qhnsw_check('notes_many', true);
SET ROLE qhnsw_batch_reader;
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM notes ORDER BY model.embed(body) <=> array_fill(1::real, ARRAY[16]) LIMIT 3) AS s;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION model.embed_many(text[]) FROM public;
SET ROLE qhnsw_batch_reader;
SELECT count(*) FROM (SELECT id FROM notes ORDER BY model.embed(body) <=> array_fill(1::real, ARRAY[16]) LIMIT 3) AS s;
RESET ROLE;
REINDEX INDEX notes_many;
RESET client_min_messages;
DROP TABLE notes, asked;
SET client_min_messages = warning;
DROP SCHEMA model CASCADE;
DROP SCHEMA other CASCADE;
DROP FUNCTION calls, nearest, both_ways, search;
DROP OWNED BY qhnsw_batch_owner;
DROP ROLE qhnsw_batch_owner, qhnsw_batch_reader;
