-- An index on what a function makes of a text: no vector is stored, and the function is called again for the rows looked at.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

-- Hashed trigrams: how often each of 128 buckets is met.
CREATE FUNCTION embed(body text) RETURNS real[] LANGUAGE plpgsql IMMUTABLE STRICT COST 10000 AS $$
DECLARE
    counts real[] := array_fill(0::real, ARRAY[128]);
    bucket int;
BEGIN
    FOR i IN 1 .. length(body) - 2 LOOP
        bucket := 1 + (hashtextextended(substr(body, i, 3), 7) & 127)::int;
        counts[bucket] := counts[bucket] + 1;
    END LOOP;
    RETURN counts;
END $$;

-- Sentences of a topic's words and of common ones.
CREATE FUNCTION sentence(id int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr(md5(CASE WHEN h % 3 = 0 THEN 'common ' || (h / 3) % 60 ELSE 'topic ' || id % 40 || ' ' || (h / 3) % 25 END), 1, 3 + (h % 7)::int), ' ' ORDER BY n)
    FROM (SELECT n, hashint8extended(id::bigint * 1000 + n, 3) & 1048575 AS h FROM generate_series(1, 24) AS n) AS words
$$;
CREATE TABLE texts (id int, body text);
INSERT INTO texts SELECT id, sentence(id) FROM generate_series(1, 2000) AS id;
CREATE INDEX texts_embed ON texts USING qhnsw ((embed(body)) real_cosine_ops) WITH (hub_fraction = 0.02, ef_construction = 100);
ANALYZE texts;
SELECT nodes, rows, dims, test_sound('texts_embed') FROM qhnsw_info('texts_embed');

-- The whole index, links and all, beside the text alone, and beside vectors that would be stored.
SELECT round(100.0 * pg_relation_size('texts_embed') / sum(octet_length(body))) BETWEEN 40 AND 80 AS percent_of_text,
       round(100.0 * pg_relation_size('texts_embed') / sum(pg_column_size(embed(body)))) < 25 AS percent_of_vectors FROM texts;

-- Exact order, and what is missed; by the graph, not by a pass over all codes, which the measured effort is so large for.
SET qhnsw.ef_search = 40;
CREATE TABLE asked AS SELECT embed(sentence(id)) AS query FROM generate_series(5001, 5008) AS id;
SELECT test_recall('texts', 'embed(body)', '<=>', 'asked', 10, 0.9);

-- Each candidate is computed once, in few batches.
SET track_functions = 'pl';
CREATE FUNCTION calls(k int) RETURNS TABLE (counted bigint, recomputed bigint, fetched bigint, returned bigint, batches bigint) LANGUAGE plpgsql AS $$
DECLARE
    query real[] := embed('a text that nobody wrote');
    before bigint;
BEGIN
    SET LOCAL enable_seqscan = off;
    before := coalesce(pg_stat_get_xact_function_calls('embed(text)'::regprocedure), 0);
    PERFORM id FROM texts ORDER BY embed(body) <=> query LIMIT k;
    counted := coalesce(pg_stat_get_xact_function_calls('embed(text)'::regprocedure), 0) - before;
    SELECT values_recomputed, heap_rows_fetched, rows_returned, fetch_batches INTO recomputed, fetched, returned, batches FROM qhnsw_last_scan();
    RETURN NEXT;
END $$;
SELECT k, counted = recomputed AS once, recomputed = fetched AS all_recomputed, returned, recomputed BETWEEN 3 * k AND 200 + 10 * k AS bounded,
       batches BETWEEN 1 AND 2 + recomputed / 3 AS batches
FROM (VALUES (1), (10)) AS v(k), calls(k);
-- with finer codes fewer
CREATE INDEX texts_finer ON texts USING qhnsw ((embed(body)) real_cosine_ops) WITH (hub_fraction = 0.02, refine = int8);
DROP INDEX texts_embed;
SELECT counted = recomputed AS once, recomputed < 25 AS few FROM calls(10);
SET qhnsw.rescore = off;
SELECT counted, recomputed, returned FROM calls(10);
RESET qhnsw.rescore;
-- of a plain column nothing is recomputed
CREATE INDEX texts_plain ON asked USING qhnsw (query);
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT FROM asked ORDER BY query <=> (SELECT query FROM asked LIMIT 1) LIMIT 3) AS s;
SELECT values_recomputed, heap_rows_fetched, fetch_batches > 0 AS batches FROM qhnsw_last_scan();
RESET enable_seqscan;
RESET qhnsw.ef_search;

-- What the function costs is part of what a scan costs.
CREATE FUNCTION start_cost() RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    SET LOCAL enable_seqscan = off;
    EXECUTE 'EXPLAIN (FORMAT json) SELECT id FROM texts ORDER BY embed(body) <=> array_fill(1::real, ARRAY[128]) LIMIT 10' INTO plan;
    RETURN (plan->0->'Plan'->>'Startup Cost')::float8;
END $$;
SELECT start_cost() AS dear \gset
ALTER FUNCTION embed(text) COST 1;
SELECT start_cost() AS cheap \gset
SELECT :dear - :cheap BETWEEN 15 * 25 AND 40 * 25 AS dearer;
-- it is called for all rows of a table that is sorted, so the index is worth more
ALTER FUNCTION embed(text) COST 10000;
PREPARE nearest(real[]) AS SELECT id FROM texts ORDER BY embed(body) <=> $1 LIMIT 10;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest('{1}');
RESET plan_cache_mode;
DEALLOCATE nearest;

-- Texts that change, that are too short for a trigram, and that are none.
UPDATE texts SET body = sentence(id + 10000) WHERE id % 10 = 0;
INSERT INTO texts VALUES (0, NULL), (-1, 'ab');
DELETE FROM texts WHERE id % 7 = 0;
:vacuum texts;
SELECT test_sound('texts_finer');
SELECT test_compare('texts', 'embed(body)', '<=>', 'embed(sentence(10010))', 5);
DROP TABLE texts, asked;
DROP FUNCTION embed, sentence, calls, start_cost;
