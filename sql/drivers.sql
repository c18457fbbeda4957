-- What drivers send: arrays of other types than the column's, and the index that is used all the same.

CREATE TABLE items (id int PRIMARY KEY, e real[], d double precision[], n numeric[], code bitvec(48), code8 qvec8(48));
INSERT INTO items SELECT i, v, v, v, binary_quantize(v), quantize_int8(v) FROM generate_series(1, 600) AS i,
    LATERAL (SELECT array_agg((get_byte(decode(md5(i || 'd' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, 47) AS j) AS a(v);
CREATE INDEX items_e_cosine ON items USING qhnsw (e real_cosine_ops);
CREATE INDEX items_e_l2 ON items USING qhnsw (e real_l2_ops);
CREATE INDEX items_e_ip ON items USING qhnsw (e real_ip_ops);
CREATE INDEX items_d_cosine ON items USING qhnsw (d float8_cosine_ops);
CREATE INDEX items_d_l2 ON items USING qhnsw (d float8_l2_ops);
CREATE INDEX items_d_ip ON items USING qhnsw (d float8_ip_ops);
CREATE INDEX items_code ON items USING qhnsw (code);
CREATE INDEX items_code8 ON items USING qhnsw (code8 qvec8_l2_ops);
ANALYZE items;
SET enable_seqscan = off;

-- the indexes that the plan of a query names, ordered by an expression with a parameter, whose value the planner knows and does not
CREATE FUNCTION indexes_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        found := found || coalesce(substring(line FROM 'Index Scan using (\w+)') || ' ', '');
    END LOOP;
    RETURN found;
END $$;
CREATE FUNCTION indexes_for(distance text, type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mode text;
    found text := '';
BEGIN
    EXECUTE format('PREPARE q(%s) AS SELECT id FROM items ORDER BY %s LIMIT 3', type, replace(distance, '?', '$1'));
    FOREACH mode IN ARRAY '{force_custom_plan,force_generic_plan}'::text[] LOOP
        PERFORM set_config('plan_cache_mode', mode, true);
        found := found || indexes_of(format('EXECUTE q(%L)', value));
    END LOOP;
    DEALLOCATE q;
    RETURN found;
END $$;
SELECT '{' || repeat('1,', 47) || '2}' AS ones \gset
SELECT type, side, indexes_for(replace(side, 'op', '<=>'), type, :'ones') AS cosine, indexes_for(replace(side, 'op', '<->'), type, :'ones') AS l2, indexes_for(replace(side, 'op', '<#>'), type, :'ones') AS ip
FROM unnest('{real[],double precision[],numeric[],bigint[],integer[],smallint[]}'::text[]) WITH ORDINALITY AS t(type, i), unnest('{e op ?,? op e,d op ?,? op d}'::text[]) WITH ORDINALITY AS s(side, j) ORDER BY i, j;
SELECT type, side, indexes_for(side, type, :'ones') FROM unnest('{smallint[],integer[]}'::text[]) AS type, unnest('{code8 <-> ?,? <-> code8}'::text[]) AS side ORDER BY 1, 2;
SELECT side, indexes_for(side, 'bytea', '\x0102030405ff') FROM unnest('{code <~> ?,? <~> code}'::text[]) AS side ORDER BY 1;

-- arrays of constants, as clients that put parameters into the text send them; a subquery, an outer column
SELECT indexes_of('SELECT id FROM items ORDER BY e <-> (SELECT d FROM items WHERE id = 3) LIMIT 1');
EXPLAIN (COSTS OFF) SELECT q.id, f.id FROM items AS q, LATERAL (SELECT id FROM items ORDER BY items.e <-> q.d LIMIT 1) AS f WHERE q.id < 3;
EXPLAIN (COSTS OFF) SELECT q.id, f.id FROM items AS q, LATERAL (SELECT id FROM items ORDER BY items.d <-> q.e LIMIT 1) AS f WHERE q.id < 3;
SELECT q.id, f.id FROM items AS q, LATERAL (SELECT id FROM items ORDER BY items.e <-> q.d LIMIT 1) AS f WHERE q.id < 3 ORDER BY 1;
SELECT q.id, f.id FROM items AS q, LATERAL (SELECT id FROM items ORDER BY items.d <-> q.e LIMIT 1) AS f WHERE q.id < 3 ORDER BY 1;
CREATE TABLE small (e real[]);
INSERT INTO small VALUES ('{1,2}'), ('{3,4}');
CREATE INDEX ON small USING qhnsw (e real_l2_ops);
EXPLAIN (COSTS OFF) SELECT e FROM small ORDER BY e <-> ARRAY[0.5, 2.5] LIMIT 1;
EXPLAIN (COSTS OFF) SELECT e FROM small ORDER BY e <-> ARRAY[0.5, 2.5]::double precision[] LIMIT 1;
EXPLAIN (COSTS OFF) SELECT e FROM small ORDER BY e <-> ARRAY[1, 2] LIMIT 1;
EXPLAIN (COSTS OFF) SELECT e FROM small WHERE e <-> ARRAY[0.5, 2.5]::double precision[] < 1 ORDER BY e <-> ARRAY[0.5, 2.5]::double precision[] LIMIT 1;
SELECT e, e <-> ARRAY[0.5, 2.5]::double precision[] AS distance FROM small ORDER BY 2;
-- an index on an expression: a column of another type of number
CREATE INDEX items_n ON items USING qhnsw ((n::real[]) real_l2_ops);
SELECT indexes_of('SELECT id FROM items ORDER BY n <-> (SELECT n FROM items WHERE id = 3) LIMIT 1');
SELECT id FROM items ORDER BY n <-> (SELECT n FROM items WHERE id = 3) LIMIT 1;

-- the same distances whatever the types, and no two of them without an operator: no row is to differ
CREATE FUNCTION computed(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE query INTO result;
    RETURN result;
EXCEPTION WHEN ambiguous_function OR undefined_function THEN RETURN SQLERRM;
END $$;
SELECT '{real[],double precision[],numeric[],bigint[],integer[],smallint[]}' AS types \gset
SELECT * FROM (SELECT a, b, computed(format('SELECT concat_ws('' '', x <=> y, x <-> y, x <#> y, x <+> y, cosine_distance(x, y), l2_distance(x, y), inner_product(x, y), l1_distance(x, y)) FROM (SELECT ''{1,2,3}''::%s AS x, ''{3,4,6}''::%s AS y) AS t', a, b))
    FROM unnest(:'types'::text[]) AS a, unnest(:'types'::text[]) AS b) AS t(a, b, distances)
WHERE distances IS DISTINCT FROM '0.0076404292977253485 4.123105625617661 -29 7 0.0076404292977253485 4.123105625617661 29 7';
SELECT '{1,2}'::real[] <=> '{1,3}'::real[] AS real, '{1,2}'::float8[] <=> '{1,3}'::float8[] AS float8, '{1,2}'::real[] <=> '{1,3}' AS unknown, '{1,3}' <=> '{1,2}'::real[] AS unknown_first;
SELECT count(*) FROM items AS a JOIN items AS b USING (id) WHERE a.e <-> b.d <> 0 OR a.d <-> b.e <> 0 OR a.e <-> b.n <> 0 OR a.n <-> b.d <> 0;
SELECT ARRAY[1e-60, 1]::float8[] <-> ARRAY[0, 1]::float8[] AS too_small_is_0, ARRAY['NaN', 1]::float8[] <-> ARRAY[0, 1]::float8[] AS nan;
SELECT ARRAY[1e60, 1]::float8[] <-> ARRAY[0, 1]::float8[];
SELECT ARRAY[1, 2]::float8[] <-> ARRAY[1]::float8[];
SELECT '{}'::float8[] <-> '{}'::float8[];
SELECT '{1,NULL}'::float8[] <-> '{1,1}'::float8[];
SELECT '{{1,2}}'::float8[] <-> '{1,1}'::float8[];
SELECT (NULL::real[] <-> '{1}'::float8[]) IS NULL AS a, ('{1}'::real[] <-> NULL::numeric[]) IS NULL AS b, (NULL::integer[] <-> '{1}'::integer[]) IS NULL AS c;
SELECT float8_array_to_real('{1.1,1e-60,-3}');

-- columns of double precision[]
SELECT index, metric, dims, rows FROM unnest('{items_d_cosine,items_d_l2,items_d_ip}'::regclass[]) AS index, qhnsw_info(index);
SELECT index FROM unnest('{items_d_cosine,items_d_l2,items_d_ip}'::regclass[]) AS index, qhnsw_check(index, true);
SELECT index, qhnsw_recall(index, 10, 20) > 0.8 AS recall FROM unnest('{items_d_cosine,items_d_l2,items_d_ip}'::regclass[]) AS index;
INSERT INTO items (id, d) VALUES (1001, array_fill(1e60, ARRAY[48]));
INSERT INTO items (id, d) VALUES (1001, ARRAY[1]);
INSERT INTO items (id, d) VALUES (1001, array_fill(1e-60, ARRAY[48]));
DELETE FROM items WHERE id = 1001;
CREATE INDEX items_d_finer ON items USING qhnsw (d float8_l2_ops) WITH (compression = '8x', refine = 'int8');
DROP INDEX items_d_l2;
SELECT id FROM items ORDER BY d <-> (SELECT e FROM items WHERE id = 9) LIMIT 1;

-- codes
SELECT '[1,2]'::qvec8 <-> '{1,4}'::smallint[] AS a, '{1,4}'::integer[] <-> '[1,2]'::qvec8 AS b, '[1,2]'::qvec8 <#> '{1,4}'::integer[] AS c, '[1,2]'::qvec8 <+> '{1,4}'::integer[] AS d, '[1,2]'::qvec8 <=> '{2,4}'::integer[] AS e, cosine_distance('[1,2]'::qvec8, '{2,4}'::integer[]) AS f, l2_distance('[1,2]'::qvec8, '[1,4]') AS g;
\set SHOW_CONTEXT never
SELECT '[1,2]'::qvec8 <-> '{1,400}'::integer[];
SELECT '101010101010'::bitvec <~> '\xaaa0'::bytea;
SELECT '1010101010100000'::bitvec <~> '\xaaa1'::bytea AS a, '\xaaa1'::bytea <%> '1010101010100000'::bitvec AS b, hamming_distance('10101010'::bitvec, '\xab'::bytea) AS c, hamming_distance('10101010'::bitvec, '10101011') AS d, jaccard_distance('\xab'::bytea, '10101010'::bitvec) AS e;
SELECT hamming_distance('101', '111'), jaccard_distance('101', '111'), '101' <~> '111' AS hamming, '101' <%> '111' AS jaccard, '101' <~> B'111' AS bits, '101' <~> '111'::bitvec AS bitvec;

-- quantizing
SELECT type, computed(format('SELECT concat_ws('' '', binary_quantize(v), quantize_int8(v), quantize_int8(v, -4, 4)) FROM (SELECT ''{1,-2,3}''::%s AS v) AS t', type)) FROM unnest(:'types'::text[]) AS type;
SELECT quantize_int8('{1,-2,3}'), quantize_int8('{1,-2,3}', -4, 4);
SELECT '{1,-2,3}'::float8[]::qvec8, '{1,-2,3}'::numeric[]::qvec8;
SELECT (d).id, type FROM unnest('{real[],double precision[],numeric[]}'::text[]) AS type, LATERAL (SELECT e FROM items WHERE id = 5) AS q, LATERAL (SELECT CASE type WHEN 'real[]' THEN
    (SELECT d FROM qvec_search(NULL::items, 'code', 'e', q.e, k => 1) AS s(d, distance)) WHEN 'numeric[]' THEN
    (SELECT d FROM qvec_search(NULL::items, 'code8', 'd', q.e::numeric[], k => 1) AS s(d, distance)) ELSE
    (SELECT d FROM qvec_search(NULL::items, 'code', 'd', q.e::float8[], k => 1) AS s(d, distance)) END) AS s(d);
CREATE TABLE tiny AS SELECT 1 AS id, '{1,-2}'::float8[] AS e, '10'::bitvec AS code;
SELECT (d).id, distance FROM qvec_search(NULL::tiny, 'code', 'e', '{1,-1}', metric => 'l2') AS s(d, distance);
SELECT (d).id, distance FROM qvec_search(NULL::tiny, 'code', 'e', '{1,-1}'::integer[], metric => 'l2') AS s(d, distance);
SELECT (d).id, distance FROM qvec_search(NULL::tiny, 'code', 'e', '{1,-1}'::smallint[], metric => 'l2') AS s(d, distance);
SELECT (d).id, distance FROM qvec_search(NULL::tiny, 'code', 'e', '{1,-1}'::varchar, metric => 'l2') AS s(d, distance);
SELECT * FROM qvec_search(NULL::tiny, 'code', 'e', '{1,x}');
SELECT count(*) FROM qvec_search(NULL::tiny, 'code', 'e', NULL);

-- text: an array as qvec8, bytea as bitvec
SELECT '{1,-2}'::qvec8, ' { 1 , -2 } * 0.5 + 1'::qvec8, '\x63fF'::bitvec, '\xa0'::bitvec(8);
SELECT '{1,-2]'::qvec8;
SELECT '[1,-2}'::qvec8;
SELECT '\x6'::bitvec;
SELECT '\x6g'::bitvec;
SELECT '\x'::bitvec;
SELECT '\x63'::bitvec(7);

-- a setting before anything of the extension was used, and afterwards
\c
SET qhnsw.ef_search = 77;
SHOW qhnsw.ef_search;
SELECT qvec_simd() <> '' AS loaded;
SHOW qhnsw.ef_search;
SHOW qhnsw.target_recall;
SET qhnsw.ef_serach = 5;
\c
SET qhnsw.ef_search = 'many';
SET qhnsw.ef_serach = 5;
SELECT qvec_simd() <> '' AS loaded;
SHOW qhnsw.ef_search;
-- stored for a role by one who is no superuser: only where the library is loaded
CREATE ROLE regress_qvec_driver;
\c
SET ROLE regress_qvec_driver;
ALTER ROLE regress_qvec_driver SET qhnsw.ef_search = 50;
SELECT qvec_simd() <> '' AS loaded;
ALTER ROLE regress_qvec_driver SET qhnsw.ef_search = 50;
RESET ROLE;
SELECT rolconfig FROM pg_roles WHERE rolname = 'regress_qvec_driver';
DROP ROLE regress_qvec_driver;
DROP TABLE items, small, tiny;
DROP FUNCTION indexes_of, indexes_for, computed;
