-- The bridge extension: pgvector's columns beside arrays of numbers, and bit(n) under qhnsw, where pgvector is installed.

SELECT count(*) = 0 AS absent FROM pg_available_extensions WHERE name = 'vector' AND string_to_array(default_version, '.')::int[] >= '{0,7}' \gset
\if :absent
\echo skipped: pgvector 0.7 or later is not installed
\quit
\endif

-- the bridge in a schema of its own
CREATE SCHEMA bridge;
CREATE EXTENSION vector;
CREATE EXTENSION qvec_pgvector SCHEMA bridge;
SET search_path = public, bridge;
CREATE TABLE items (id int PRIMARY KEY, v vector(48), h halfvec(48), s sparsevec(48), r real[], bits bit(48));
INSERT INTO items SELECT i, e, e, e::vector, e, binary_quantize(e)::bit(48) FROM generate_series(1, 600) AS i,
    LATERAL (SELECT array_agg((get_byte(decode(md5(i || 'p' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, 47) AS j) AS a(e);
CREATE INDEX items_v_cosine ON items USING qhnsw (v vector_cosine_ops);
CREATE INDEX items_v_l2 ON items USING qhnsw (v vector_l2_ops);
CREATE INDEX items_v_ip ON items USING qhnsw (v vector_ip_ops);
CREATE INDEX items_v_l1 ON items USING hnsw (v vector_l1_ops);
CREATE INDEX items_h_cosine ON items USING qhnsw (h halfvec_cosine_ops);
CREATE INDEX items_h_l2 ON items USING qhnsw (h halfvec_l2_ops);
CREATE INDEX items_h_ip ON items USING qhnsw (h halfvec_ip_ops);
CREATE INDEX items_h_l1 ON items USING hnsw (h halfvec_l1_ops);
ANALYZE items;
SET enable_seqscan = off;

-- the index that a query uses, with the parameter's value known and unknown to the planner
CREATE FUNCTION indexes_for(distance text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mode text;
    line text;
    found text := '';
BEGIN
    EXECUTE format('PREPARE q(%s) AS SELECT id FROM items ORDER BY %s LIMIT 3', type, replace(distance, '?', '$1'));
    FOREACH mode IN ARRAY '{force_custom_plan,force_generic_plan}'::text[] LOOP
        PERFORM set_config('plan_cache_mode', mode, true);
        FOR line IN EXECUTE format('EXPLAIN EXECUTE q(%L)', '{' || repeat('1,', 47) || '2}') LOOP
            found := found || coalesce(substring(line FROM 'Index Scan using (\w+)') || ' ', '');
        END LOOP;
    END LOOP;
    DEALLOCATE q;
    RETURN found;
EXCEPTION WHEN ambiguous_function OR undefined_function THEN RETURN SQLERRM;
END $$;
SELECT '{real[],double precision[],numeric[],bigint[],integer[],smallint[]}' AS types \gset
-- no row is to differ
SELECT * FROM (SELECT type, side, c, op, indexes_for(replace(replace(side, 'op', op), 'c', c), type) AS indexes, format('items_%s_%s items_%s_%s ', c, name, c, name) AS expected
    FROM unnest(:'types'::text[]) AS type, unnest('{c op ?,? op c}'::text[]) AS side, unnest('{v,h}'::text[]) AS c, unnest('{<=>,<->,<#>,<+>}'::text[], '{cosine,l2,ip,l1}'::text[]) AS o(op, name)) AS t
WHERE indexes <> expected;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <=> array_fill(0.5, ARRAY[48]) LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY h <=> array_fill(0.5, ARRAY[48]) LIMIT 1;

-- what pgvector's own operators did, they do still: constants without a type, and its types beside each other
SELECT h <-> v AS hv, v <-> h AS vh, v <-> s AS vs, s <-> v AS sv, h <-> s AS hs, s <-> h AS sh, v <-> r AS vr, r <-> v AS rv, h <-> r AS hr, r <-> h AS rh, v <=> v AS vv, h <+> h AS hh FROM items WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <-> '[1,2]' LIMIT 1;
CREATE TABLE short (v vector(2), h halfvec(2));
INSERT INTO short VALUES ('[1,2]', '[1,2]');
SELECT v <=> '[1,3]' AS a, '[1,3]' <=> v AS b, h <-> '[1,3]' AS c, '[1,3]' <-> h AS d, v <-> '{1,3}'::int[] AS e, h <+> ARRAY[1, 3.5] AS f, v <#> ARRAY[1, 3]::smallint[] AS g, ARRAY[1, 3]::bigint[] <+> h AS h FROM short;
SELECT v <-> ARRAY[1, 2, 3] FROM short;
SELECT v <-> ARRAY[1, NULL] FROM short;
SELECT v <-> NULL::numeric[] IS NULL AS a, h <-> NULL::numeric[] IS NULL AS b FROM short;
SELECT v <-> ARRAY['1', '2'] FROM short;

-- bits
CREATE INDEX items_hamming ON items USING qhnsw (bits);
CREATE INDEX items_jaccard ON items USING qhnsw (bits bit_jaccard_ops);
SELECT opcname, opcdefault, amvalidate(c.oid) FROM pg_opclass c WHERE opcintype = 'bit'::regtype AND opcmethod = (SELECT oid FROM pg_am WHERE amname = 'qhnsw') ORDER BY 1;
SELECT index, metric, code, dims, rows FROM unnest('{items_hamming,items_jaccard}'::regclass[]) AS index, qhnsw_info(index);
SELECT index, qhnsw_recall(index, 10, 20) > 0.9 AS recall FROM unnest('{items_hamming,items_jaccard}'::regclass[]) AS index;
SELECT bits AS query FROM items WHERE id = 7 \gset
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY bits <~> '1' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY bits <%> '1' LIMIT 1;
SELECT id, bits <~> :'query' AS distance FROM items ORDER BY bits <~> :'query' LIMIT 1;
SELECT id, bits <%> :'query' AS distance FROM items ORDER BY bits <%> :'query' LIMIT 1;
SELECT count(*), bool_and(d >= before IS NOT FALSE) AS in_order FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT bits <%> :'query' AS d FROM items ORDER BY d LIMIT 500) AS a) AS b;
INSERT INTO items (id, bits) VALUES (1001, ~ :'query'::bit(48)), (1002, repeat('0', 48)::bit(48)), (1003, NULL);
DELETE FROM items WHERE id % 3 = 0;
VACUUM items;
SELECT id FROM items ORDER BY bits <~> ~ :'query'::bit(48) LIMIT 1;
SELECT index FROM unnest('{items_hamming,items_jaccard}'::regclass[]) AS index, qhnsw_check(index, true);
SELECT count(*) FROM (SELECT FROM items ORDER BY bits <~> :'query' LIMIT 1000) AS t;
SELECT * FROM qhnsw_calibrate('items_hamming', source => 'items', vector_column => 'bits') LIMIT 0;
-- two empty sets: at distance 1 by pgvector
CREATE TABLE sets (id int, b bit(3));
INSERT INTO sets VALUES (1, '000'), (2, '001'), (3, '111');
CREATE INDEX ON sets USING qhnsw (b bit_jaccard_ops);
SELECT id FROM (SELECT id FROM sets WHERE b <%> '000' > 0.5 ORDER BY b <%> '000' LIMIT 5) AS t ORDER BY id;
SELECT id FROM (SELECT id FROM sets WHERE b <%> '000' < 0.5 ORDER BY b <%> '000' LIMIT 5) AS t ORDER BY id;
SELECT id FROM sets WHERE b <%> '001' < 0.9 ORDER BY b <%> '001' LIMIT 5;
CREATE TABLE varying (b bit varying);
CREATE INDEX ON varying USING qhnsw ((b::bit(8)) bit_hamming_ops);
INSERT INTO varying VALUES ('10101010'), ('1');
SELECT b FROM varying ORDER BY b::bit(8) <~> '10101010' LIMIT 1;
CREATE INDEX ON items USING qhnsw (bits) WITH (compression = '8x');

DROP TABLE items, short, sets, varying;
DROP FUNCTION indexes_for;
SET client_min_messages = warning;
DROP EXTENSION vector CASCADE;
RESET client_min_messages;
DROP SCHEMA bridge;
