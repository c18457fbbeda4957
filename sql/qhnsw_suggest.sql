-- qhnsw_suggest: what indexes with which options would take and find, measured on rows of the table.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

CREATE TABLE "Some items" (id int, "the vector" real[], code bitvec(64), bytes qvec8, body text);
INSERT INTO "Some items" SELECT id, v, binary_quantize(v)::bitvec(64), quantize_int8(v), 'text'
FROM (SELECT id, test_vector(id, 64, 200) AS v FROM generate_series(1, 900) AS id) AS s;
INSERT INTO "Some items" VALUES (0, NULL, NULL, NULL, NULL);

-- Each command runs as it is, and gives what was foretold: bytes within a tenth, recall within .02 (held-out queries).
CREATE TABLE asked AS SELECT test_vector(id, 64, 200) AS query FROM generate_series(100001, 100060) AS id;
CREATE FUNCTION as_foretold(source regclass, vector_column name, budget text, target float8, opclass text, distance text,
    OUT suggestions bigint, OUT worst_bytes text, OUT worst_recall text) LANGUAGE plpgsql AS $$
DECLARE
    row record;
    made regclass;
    bytes float8 := 0;
    recall float8 := 0;
    found float8;
BEGIN
    suggestions := 0;
    FOR row IN SELECT * FROM qhnsw_suggest(source, vector_column, budget, target, opclass) LOOP
        suggestions := suggestions + 1;
        EXECUTE row.command;
        SELECT max(indexrelid::bigint)::regclass INTO made FROM pg_index WHERE indrelid = source;
        SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT avg((SELECT count(*) FROM (SELECT %1$I %2$s q::%3$s AS d FROM %4$s ORDER BY %1$I %2$s q::%3$s LIMIT 10) AS s WHERE d <= farthest)) / 10
            FROM (SELECT query::text AS q, (SELECT max(d) FROM (SELECT %1$I %2$s query::%3$s AS d FROM %4$s ORDER BY (%1$I %2$s query::%3$s) + 0 LIMIT 10) AS s) AS farthest
                  FROM (SELECT CASE %3$L WHEN ''real[]'' THEN query::text WHEN ''qvec8'' THEN quantize_int8(query)::text ELSE binary_quantize(query)::text END::%3$s AS query FROM asked) AS a) AS a',
            vector_column, distance, (SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = source AND attname = vector_column), source) INTO found;
        bytes := greatest(bytes, abs(pg_relation_size(made) - row.estimated_bytes) / pg_relation_size(made));
        recall := greatest(recall, abs(found - row.estimated_recall));
        EXECUTE 'DROP INDEX ' || made;
    END LOOP;
    worst_bytes := CASE WHEN bytes <= 0.1 THEN 'within a tenth' ELSE bytes::text END;
    worst_recall := CASE WHEN recall <= 0.02 THEN 'within .02' ELSE recall::text END;
END $$;
SELECT * FROM as_foretold('"Some items"', 'the vector', NULL, NULL, NULL, '<=>');
SELECT * FROM as_foretold('"Some items"', 'the vector', '50%', 0.9, 'real_l2_ops', '<->');
SELECT * FROM as_foretold('"Some items"', 'code', NULL, NULL, NULL, '<~>');
SELECT * FROM as_foretold('"Some items"', 'bytes', '1 MB', NULL, NULL, '<=>');
SELECT regexp_replace(command, 'WITH .*, target', 'WITH (..., target') FROM qhnsw_suggest('"Some items"', 'the vector', '150 kB', 0.9, 'public.real_l2_ops') LIMIT 1;
SELECT options FROM qhnsw_suggest('"Some items"', 'code') ORDER BY 1;

-- Within a budget what finds most is first, without one the smallest of what finds enough.
SELECT bool_and(share <= 0.5) AS within, bool_and(estimated_recall <= before + 0.005) AS sorted
FROM (SELECT *, lag(estimated_recall, 1, 1) OVER (ORDER BY n) AS before FROM qhnsw_suggest('"Some items"', 'the vector', ' 50 % ') WITH ORDINALITY AS s(options, estimated_bytes, share, estimated_recall, command, n)) AS s;
SELECT bool_and(estimated_bytes >= before) AS sorted
FROM (SELECT *, lag(estimated_bytes, 1, 0) OVER (ORDER BY n) AS before FROM qhnsw_suggest('"Some items"', 'the vector') WITH ORDINALITY AS s(options, estimated_bytes, share, estimated_recall, command, n) WHERE estimated_recall >= 0.95) AS s;
-- settings of the session do not matter, and are what they were
SET qhnsw.ef_search = 1;
SET qhnsw.rescore = off;
SELECT bool_and(estimated_recall > 0.9) AS by_itself FROM qhnsw_suggest('"Some items"', 'code');
SHOW qhnsw.ef_search;
RESET qhnsw.ef_search;
RESET qhnsw.rescore;
-- nothing stays behind
SELECT count(*) FROM pg_class WHERE relname LIKE 'qhnsw_suggest%';

-- What cannot be answered.
SELECT * FROM qhnsw_suggest('"Some items"', 'nothing');
SELECT * FROM qhnsw_suggest('"Some items"', 'ctid');
SELECT * FROM qhnsw_suggest('"Some items"', 'body');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', NULL, NULL, 'bitvec_hamming_ops');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', NULL, NULL, 'no_such_ops');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', '5 apples');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', 'much%');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', '-5%');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', '0 MB');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', '1 kB');
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', NULL, 1.5);
SELECT * FROM qhnsw_suggest('"Some items"', 'the vector', NULL, 'NaN');
SELECT * FROM qhnsw_suggest(NULL, 'the vector');
CREATE TABLE few AS SELECT id, "the vector" AS v FROM "Some items" LIMIT 99;
SELECT * FROM qhnsw_suggest('few', 'v');
CREATE VIEW seen AS SELECT * FROM few;
SELECT * FROM qhnsw_suggest('seen', 'v');
TRUNCATE few;
SELECT * FROM qhnsw_suggest('few', 'v');
INSERT INTO few SELECT id, CASE WHEN id % 2 = 0 THEN ARRAY[id, 1] ELSE ARRAY[id] END FROM generate_series(1, 500) AS id;
\set VERBOSITY terse
SELECT * FROM qhnsw_suggest('few', 'v');
\set VERBOSITY default
BEGIN READ ONLY;
SELECT * FROM qhnsw_suggest('few', 'v');
ROLLBACK;
CREATE ROLE qhnsw_suggest_user;
SET ROLE qhnsw_suggest_user;
SELECT * FROM qhnsw_suggest('few', 'v');
RESET ROLE;
ALTER TABLE few ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON few, "Some items" TO qhnsw_suggest_user;
SET ROLE qhnsw_suggest_user;
SELECT * FROM qhnsw_suggest('few', 'v');
SELECT count(*) > 0 AS may_ask FROM qhnsw_suggest('"Some items"', 'code');
RESET ROLE;
DROP TABLE few CASCADE;

-- Vectors of few dimensions are kept as they are, whatever is asked for; and such as are the same.
CREATE TABLE tiny AS SELECT ARRAY[id % 37, id % 11, 1]::real[] AS v FROM generate_series(1, 2000) AS id;
SELECT options, estimated_recall FROM qhnsw_suggest('tiny', 'v');
CREATE INDEX tiny_v ON tiny USING qhnsw (v);
SELECT abs(estimated_bytes - pg_relation_size('tiny_v')) <= 0.1 * pg_relation_size('tiny_v') AS as_foretold FROM qhnsw_suggest('tiny', 'v') WHERE options = $$compression = '32x'$$;
DROP TABLE tiny;

-- Of a partitioned table the best for each partition with rows enough.
CREATE TABLE parts (id int, v real[]) PARTITION BY RANGE (id);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (1) TO (501);
CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (501) TO (1001);
CREATE TABLE parts_empty PARTITION OF parts FOR VALUES FROM (1001) TO (1501);
SELECT * FROM qhnsw_suggest('parts', 'v');
INSERT INTO parts SELECT id, "the vector" FROM "Some items" WHERE id BETWEEN 1 AND 900;
SELECT regexp_replace(command, 'WITH .*', '') FROM qhnsw_suggest('parts', 'v', '50%');
DROP TABLE parts;

DROP TABLE "Some items", asked;
DROP FUNCTION as_foretold;
DROP ROLE qhnsw_suggest_user;
