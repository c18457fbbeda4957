-- qvec_search: a code column's index chooses candidates, the float column decides.

CREATE FUNCTION a_vector(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((get_byte(decode(md5(seed || 'v' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, dims - 1) AS j
$$;
CREATE TABLE docs (id bigint, body text, embedding real[], code bitvec(64) GENERATED ALWAYS AS (binary_quantize(embedding)) STORED,
    code8 qvec8(64) GENERATED ALWAYS AS (quantize_int8(embedding)) STORED, affine qvec8 GENERATED ALWAYS AS (quantize_int8(embedding, -140, 200)) STORED);
INSERT INTO docs (id, body, embedding) SELECT i, 'body ' || i, a_vector(i, 64) FROM generate_series(1, 3000) AS i;
INSERT INTO docs (id, body) VALUES (-1, 'no embedding');
CREATE INDEX docs_code ON docs USING qhnsw (code);
CREATE INDEX docs_code8 ON docs USING qhnsw (code8);
CREATE INDEX docs_affine_l2 ON docs USING qhnsw (affine qvec8_l2_ops);
ANALYZE docs;
SELECT embedding AS query FROM docs WHERE id = 77 \gset

SELECT (d).id, (d).body, distance < 1e-6 AS itself FROM qvec_search(NULL::docs, 'code', 'embedding', :'query'::real[], k => 1, oversample => 3.0, metric => 'cosine') AS s(d, distance);
-- what may be left out: k 10, oversample 3, cosine, no filter
SELECT count(*), min((d).id) FILTER (WHERE distance < 1e-6) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query');

-- rows come nearest first, at the distance that the operator gives, and are whole
SELECT name, metric, count(*), count(DISTINCT (d).id) AS rows,
    bool_and(distance >= before IS NOT FALSE) AS in_order,
    bool_and(distance = CASE metric WHEN 'cosine' THEN (d).embedding <=> :'query' WHEN 'l2' THEN (d).embedding <-> :'query'
        WHEN 'l1' THEN (d).embedding <+> :'query' ELSE (d).embedding <#> :'query' END) AS exact,
    bool_and(d = t) AS whole
FROM (SELECT *, lag(distance) OVER (PARTITION BY name, metric ORDER BY n) AS before FROM unnest('{code,code8,affine}'::name[]) AS name, unnest('{cosine,l2,ip,inner_product,l1}'::text[]) AS metric,
    qvec_search(NULL::docs, name, 'embedding', :'query'::real[], k => 40, oversample => 2, metric => metric) WITH ORDINALITY AS s(d, distance, n)) AS found
    JOIN docs AS t ON t.id = (d).id
GROUP BY name, metric ORDER BY name, metric;

-- where the first pass takes in all rows the answer is exact search's
CREATE VIEW exact AS SELECT metric, distance, row_number() OVER (PARTITION BY metric ORDER BY distance) AS n
FROM (SELECT metric, CASE metric WHEN 'cosine' THEN embedding <=> a_vector(5000, 64) WHEN 'l2' THEN embedding <-> a_vector(5000, 64) WHEN 'ip' THEN embedding <#> a_vector(5000, 64) ELSE embedding <+> a_vector(5000, 64) END AS distance
    FROM docs, unnest('{cosine,l2,ip,l1}'::text[]) AS metric WHERE embedding IS NOT NULL) AS t;
SELECT name, metric, count(*) AS same FROM unnest('{code,code8,affine}'::name[]) AS name CROSS JOIN unnest('{cosine,l2,ip,l1}'::text[]) AS metric
    CROSS JOIN qvec_search(NULL::docs, name, 'embedding', a_vector(5000, 64), k => 30, oversample => 100, metric => metric) WITH ORDINALITY AS s(d, distance, n)
    JOIN exact USING (metric, n, distance) GROUP BY name, metric ORDER BY name, metric;
-- one that takes in fewer finds most
SELECT name, count(*) >= 6 AS most FROM unnest('{code,code8}'::name[]) AS name
    CROSS JOIN qvec_search(NULL::docs, name, 'embedding', a_vector(5000, 64), k => 10, oversample => 20) WITH ORDINALITY AS s(d, distance, n)
    JOIN exact USING (distance) WHERE metric = 'cosine' AND exact.n <= 10 GROUP BY name ORDER BY name;

-- first pass: oversample * k, at least 100, at most 10000; 1.1 * 200 is 220
SET enable_seqscan = off;
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => 10, oversample => 3);
SELECT rows_returned FROM qhnsw_last_scan();
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => 200, oversample => 1.1);
SELECT rows_returned FROM qhnsw_last_scan();
SELECT count(*) FROM qvec_search(NULL::docs, 'code8', 'embedding', :'query', k => 100, oversample => 3);
SELECT rows_returned FROM qhnsw_last_scan();
CREATE TABLE many AS SELECT i AS id, e AS embedding, binary_quantize(e) AS code FROM generate_series(1, 10500) AS i, a_vector(i, 16) AS e;
CREATE INDEX many_code ON many USING qhnsw (code);
ANALYZE many;
SELECT count(*) FROM qvec_search(NULL::many, 'code', 'embedding', a_vector(1, 16), k => 200, oversample => 100);
SELECT rows_returned FROM qhnsw_last_scan();
SELECT count(*) FROM qvec_search(NULL::many, 'code', 'embedding', a_vector(1, 16), k => 10000, oversample => 1);
SELECT rows_returned FROM qhnsw_last_scan();

-- settings are as they were, after an error too, and what was set to find less finds as much
SET qhnsw.ef_search = 10;
SET qhnsw.iterative_scan = off;
SET qhnsw.max_scan_tuples = 5;
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => 100, oversample => 3);
SELECT rows_returned FROM qhnsw_last_scan();
\set VERBOSITY sqlstate
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => '1 / (id - id) = 1');
\set VERBOSITY default
SELECT current_setting('qhnsw.ef_search') AS ef, current_setting('qhnsw.iterative_scan') AS iterative, current_setting('qhnsw.max_scan_tuples') AS most, current_setting('qhnsw.scan_mem_multiplier') AS memory;
RESET enable_seqscan;
RESET qhnsw.ef_search;
RESET qhnsw.iterative_scan;
RESET qhnsw.max_scan_tuples;

-- filters
SELECT count(*), bool_and((d).id % 100 = 7) AS fits FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => 30, filter => 'id % 100 = 7') AS s(d, distance);
SELECT count(*), bool_and((d).id IN (5, 6)) AS fits FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'docs.id = 5 OR docs.id = 6 -- no more') AS s(d, distance);
SELECT (d).id FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'id = (SELECT max(id) FROM docs) AND body LIKE ''body %''') AS s(d, distance);
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'false');
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'NULL');
-- one expression, and nothing that leaves its parentheses
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true) OR (true');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true ORDER BY id');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true UNION SELECT true');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true; DROP TABLE docs');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true;');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true, false');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true AS x');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'DISTINCT true');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true FROM many');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'true /* open');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => '');
-- what is no condition on the table is refused when the query is analyzed
\set VERBOSITY sqlstate
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => '*');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'missing = 1');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', filter => 'id');
\set VERBOSITY default

-- rows come and go
INSERT INTO docs (id, embedding) VALUES (4000, a_vector(77, 64));
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', :'query') AS s(d, distance) WHERE distance < 1e-6;
DELETE FROM docs WHERE id = 77;
SELECT (d).id FROM qvec_search(NULL::docs, 'code', 'embedding', :'query') AS s(d, distance) WHERE distance < 1e-6;

-- in a join, with a query from each row; none where there is no query
SELECT q.id, (d).id AS found FROM docs AS q, qvec_search(NULL::docs, 'code', 'embedding', q.embedding, k => 1) WHERE q.id IN (-1, 10, 20) ORDER BY q.id;
SELECT count(*) FROM qvec_search(NULL::docs, 'code', 'embedding', NULL);

-- any name, whatever the search path
CREATE SCHEMA "Odd ""one";
CREATE TABLE "Odd ""one"."the 'table'" ("the 'table'" int, "a ""b" real[], "select" bitvec(4));
INSERT INTO "Odd ""one"."the 'table'" VALUES (1, '{1,1,1,1}', '1111'), (2, '{1,-1,1,-1}', '1010'), (3, '{-1,-1,-1,1}', '0001'), (4, NULL, '1111'), (5, '{1,1,1,1}', NULL);
CREATE INDEX ON "Odd ""one"."the 'table'" USING qhnsw ("select");
CREATE SCHEMA trap;
CREATE FUNCTION trap.sprung(bitvec, bitvec) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap.<~>'; END $$;
CREATE FUNCTION trap.sprung(real[], real[]) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap.<=>'; END $$;
CREATE FUNCTION trap.binary_quantize(real[]) RETURNS public.bitvec LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap.binary_quantize'; END $$;
CREATE OPERATOR trap.<~> (LEFTARG = bitvec, RIGHTARG = bitvec, FUNCTION = trap.sprung);
CREATE OPERATOR trap.<=> (LEFTARG = real[], RIGHTARG = real[], FUNCTION = trap.sprung);
CREATE FUNCTION trap.equal(tid, tid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap.='; END $$;
CREATE OPERATOR trap.= (LEFTARG = tid, RIGHTARG = tid, FUNCTION = trap.equal);
SET search_path = trap, pg_catalog;
SELECT (d)."the 'table'", distance FROM public.qvec_search(NULL::"Odd ""one"."the 'table'", 'select', 'a "b', '{1,-1,2,-1}', filter => '"the ''table''".tableoid > 0');
SET search_path = pg_catalog;
SELECT (d).id FROM public.qvec_search(NULL::public.docs, 'code', 'embedding', (SELECT embedding FROM public.docs WHERE id = 78), k => 1);
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA trap CASCADE;
RESET client_min_messages;
-- and wherever the extension is
CREATE SCHEMA elsewhere;
ALTER EXTENSION qvec SET SCHEMA elsewhere;
SELECT (d).id FROM elsewhere.qvec_search(NULL::docs, 'code', 'embedding', (SELECT embedding FROM docs WHERE id = 78), k => 1);
SELECT (d).id FROM elsewhere.qvec_search(NULL::docs, 'code8', 'embedding', (SELECT embedding FROM docs WHERE id = 78), k => 1, metric => 'l2');
ALTER EXTENSION qvec SET SCHEMA public;
DROP SCHEMA elsewhere;

-- partitions, children, temporary tables, materialized views; dropped columns
CREATE TABLE parts (gone int, id int, embedding real[], code bitvec(16)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (500);
CREATE TABLE parts_2 (code bitvec(16), embedding real[], id int, gone int);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (500) TO (1001);
ALTER TABLE parts DROP COLUMN gone;
INSERT INTO parts SELECT i, e, binary_quantize(e) FROM generate_series(1, 1000) AS i, a_vector(i, 16) AS e;
CREATE INDEX ON parts USING qhnsw (code);
ANALYZE parts;
SELECT (d).id, (d).embedding = a_vector((d).id, 16) AS whole FROM unnest('{3,997}'::int[]) AS i, qvec_search(NULL::parts, 'code', 'embedding', a_vector(i, 16), k => 1) ORDER BY i;
SELECT (d).id, (d).embedding = a_vector((d).id, 16) AS whole FROM qvec_search(NULL::parts_2, 'code', 'embedding', a_vector(3, 16), k => 1);
CREATE TABLE child (extra text) INHERITS (many);
INSERT INTO child SELECT 20000, a_vector(20000, 16), binary_quantize(a_vector(20000, 16)), 'extra';
SELECT (d).id, d FROM qvec_search(NULL::many, 'code', 'embedding', a_vector(20000, 16), k => 1);
CREATE TEMPORARY TABLE passing AS SELECT id, embedding, code FROM parts;
CREATE INDEX ON passing USING qhnsw (code);
CREATE MATERIALIZED VIEW kept AS SELECT id, embedding, code FROM parts;
CREATE INDEX ON kept USING qhnsw (code);
SELECT (p.d).id, (v.d).id FROM qvec_search(NULL::passing, 'code', 'embedding', a_vector(11, 16), k => 1) AS p(d), qvec_search(NULL::kept, 'code', 'embedding', a_vector(11, 16), k => 1) AS v(d);
CREATE DOMAIN small_code AS bitvec(16);
CREATE DOMAIN small_vector AS real[];
CREATE TABLE domains AS SELECT id, embedding::small_vector AS embedding, code::small_code AS code FROM parts;
SELECT (d).id FROM qvec_search(NULL::domains, 'code', 'embedding', a_vector(12, 16), k => 1);

-- with the rights of the caller
CREATE ROLE regress_qvec_reader;
SET ROLE regress_qvec_reader;
\set VERBOSITY sqlstate
SELECT * FROM qvec_search(NULL::parts_1, 'code', 'embedding', a_vector(1, 16));
\set VERBOSITY default
RESET ROLE;
GRANT SELECT ON parts_1 TO regress_qvec_reader;
CREATE POLICY even ON parts_1 FOR SELECT TO regress_qvec_reader USING (id % 2 = 0);
ALTER TABLE parts_1 ENABLE ROW LEVEL SECURITY;
SET ROLE regress_qvec_reader;
SELECT count(*), bool_and((d).id % 2 = 0) AS even FROM qvec_search(NULL::parts_1, 'code', 'embedding', a_vector(1, 16), k => 50);
\set VERBOSITY sqlstate
SELECT * FROM qvec_search(NULL::parts_1, 'code', 'embedding', a_vector(1, 16), filter => 'EXISTS (SELECT FROM docs)');
\set VERBOSITY default
RESET ROLE;
REVOKE ALL ON parts_1 FROM regress_qvec_reader;
DROP POLICY even ON parts_1;
DROP ROLE regress_qvec_reader;

-- errors
SELECT * FROM qvec_search(NULL::docs, 'nothing', 'embedding', :'query');
SELECT * FROM qvec_search(NULL::docs, 'code', 'Embedding', :'query');
SELECT * FROM qvec_search(NULL::docs, 'embedding', 'embedding', :'query');
SELECT * FROM qvec_search(NULL::docs, 'code', 'code8', :'query');
SELECT * FROM qvec_search(NULL::docs, 'code', 'body', :'query');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', metric => 'hamming');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => 0);
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => 10001);
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', oversample => 0.5);
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', oversample => 101);
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', oversample => 'NaN');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', '{1,2}');
\set VERBOSITY sqlstate
SELECT * FROM qvec_search(NULL::docs, 'affine', 'embedding', '{1,2}', metric => 'l2');
\set VERBOSITY default
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', '{}');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', '{1,NaN}');
SELECT * FROM qvec_search(NULL::docs, NULL, 'embedding', :'query');
SELECT * FROM qvec_search(NULL::docs, 'code', NULL, :'query');
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', k => NULL);
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', oversample => NULL);
SELECT * FROM qvec_search(NULL::docs, 'code', 'embedding', :'query', metric => NULL);
SELECT * FROM qvec_search(1, 'code', 'embedding', :'query');
SELECT * FROM qvec_search(NULL::exact, 'id', 'n', :'query');

-- Codes that are all alike choose nothing, so the floats decide among all rows; and among those alike where others are not.
CREATE TABLE alike AS SELECT i AS id, e AS embedding, binary_quantize(e) AS code FROM generate_series(1, 3000) AS i,
    LATERAL (SELECT array_agg((1 + get_byte(decode(md5(i || 'p' || j), 'hex'), 0))::real ORDER BY j) AS e FROM generate_series(1, 16) AS j) AS v;
CREATE INDEX alike_code ON alike USING qhnsw (code);
CREATE TEMP TABLE asked AS SELECT embedding AS q FROM alike WHERE id % 300 = 7;
SELECT count(*) AS missed FROM asked, LATERAL (SELECT id FROM alike ORDER BY embedding <-> q LIMIT 10) AS e
    WHERE id NOT IN (SELECT (d).id FROM qvec_search(NULL::alike, 'code', 'embedding', q, metric => 'l2') AS s(d, distance));
SELECT count(*), min((d).id) >= 2000 AS filtered FROM qvec_search(NULL::alike, 'code', 'embedding', (SELECT q FROM asked LIMIT 1), metric => 'l2', filter => 'id >= 2000') AS s(d, distance);
INSERT INTO alike SELECT id + 3000, e, binary_quantize(e) FROM alike, LATERAL (SELECT array_agg(-x) AS e FROM unnest(embedding) AS x) AS v WHERE id <= 50;
SELECT count(*) AS found FROM qvec_search(NULL::alike, 'code', 'embedding', (SELECT embedding FROM alike WHERE id = 3001), metric => 'l2') AS s(d, distance) WHERE (d).id > 3000;
DROP TABLE alike, asked;

SET client_min_messages = warning;
DROP TABLE docs, many, child, parts, passing, domains CASCADE;
DROP SCHEMA "Odd ""one" CASCADE;
DROP DOMAIN small_code, small_vector;
DROP FUNCTION a_vector;
