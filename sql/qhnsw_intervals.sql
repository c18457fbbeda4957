-- Order decided by intervals: whatever the data, rows come in the order of the operator's distance, and few values are read.
\set ECHO none
\i sql/include/qhnsw.psql
\set ECHO all

CREATE TABLE near_base (id int, dims int, v real[]);
INSERT INTO near_base SELECT i, dims, test_vector(i, dims) FROM generate_series(1, 400) AS i, unnest('{12,100}'::int[]) AS dims;
CREATE TABLE near (id int, v real[]);
CREATE TABLE near_query (id int, q real[]);
-- kinds of data, each hard for something: clusters, copies, nearly copies, far off the origin, tiny, huge, zeros, whole numbers
CREATE FUNCTION near_vector(kind text, i int, v real[]) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((CASE kind
        WHEN 'even' THEN x
        WHEN 'clusters' THEN 20 * sin((i % 7 + 1) * (1.0 + j)) + x
        WHEN 'copies' THEN sin((i % 60 + 1) * (1.0 + j))
        WHEN 'nearly' THEN sin((i % 9 + 1) * (1.0 + j)) + 1e-6 * x
        WHEN 'far' THEN 1e5 + x
        WHEN 'tiny' THEN 1e-16 * x
        WHEN 'huge' THEN 1e15 * x
        WHEN 'zeros' THEN CASE WHEN i % 5 = 0 THEN 0 ELSE x END
        WHEN 'whole' THEN round(x::numeric) END)::real ORDER BY j)
    FROM unnest(v) WITH ORDINALITY AS u(x, j)
$$;
-- Of scans by an index: are distances in order, the ten nearest found, the values read for ten rows less than rows fetched?
CREATE FUNCTION near_test(kind text, class text, operator text, dims int, options text, OUT in_order boolean, OUT share numeric, OUT read float8)
LANGUAGE plpgsql AS $$
DECLARE
    r record;
    d float8[];
    truth float8[];
    found_ids int[];
    n int := 0;
    hits int := 0;
BEGIN
    TRUNCATE near, near_query;
    INSERT INTO near SELECT id, near_vector(kind, id, b.v) FROM near_base AS b WHERE b.dims = near_test.dims;
    -- queries are rows, or lie between two
    INSERT INTO near_query SELECT a.id, ARRAY(SELECT (x + CASE WHEN a.id % 2 = 0 THEN x ELSE y END) / 2 FROM unnest(a.v, b.v) AS u(x, y))
    FROM near AS a JOIN near AS b ON b.id = a.id + 60 WHERE a.id % 59 = 1;
    EXECUTE format('CREATE INDEX near_v ON near USING qhnsw (v %I) WITH (%s)', class, options);
    in_order := true;
    read := 0;
    FOR r IN SELECT q FROM near_query LOOP
        SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM near ORDER BY v %s $1 LIMIT 30) AS s', operator) INTO found_ids USING r.q;
        EXECUTE format('SELECT array_agg(v %s $1 ORDER BY n) FROM unnest($2) WITH ORDINALITY AS u(id, n) JOIN near USING (id)', operator) INTO d USING r.q, found_ids;
        EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM near ORDER BY v %s $1 LIMIT 10) AS s', operator) INTO found_ids USING r.q;
        read := read + (SELECT values_read FROM qhnsw_last_scan()) / (SELECT count(*) FROM near_query);
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_indexscan = off;
        EXECUTE format('SELECT array_agg(d) FROM (SELECT v %1$s $1 AS d FROM near ORDER BY v %1$s $1 LIMIT 30) AS s', operator) INTO truth USING r.q;
        SET LOCAL enable_indexscan = on;
        in_order := in_order AND d = (SELECT array_agg(x ORDER BY x) FROM unnest(d) AS x) AND cardinality(d) = cardinality(truth);
        n := n + 10;
        hits := hits + (SELECT count(*) FROM unnest(d[1:10]) AS x WHERE x <= truth[10]);
    END LOOP;
    share := hits / n::numeric;
    DROP INDEX near_v;
END $$;
SELECT kind, class, refine, count(*), bool_and(in_order) AS in_order, min(share) >= 0.9 AS found
FROM unnest('{even,clusters,copies,nearly,far,tiny,huge,zeros,whole}'::text[]) WITH ORDINALITY AS k(kind, i),
    (VALUES ('real_l2_ops', '<->'), ('real_ip_ops', '<#>'), ('real_cosine_ops', '<=>')) AS c(class, operator),
    unnest('{12,100}'::int[]) AS dims, unnest('{int2,int8,half,float}'::text[]) WITH ORDINALITY AS r(refine, j),
    near_test(kind, class, operator, dims, format('refine = %L', refine))
WHERE (dims = 12 OR refine IN ('int8', 'half'))
GROUP BY i, kind, class, j, refine ORDER BY i, class, j;

-- beside codes of signs alone every row that is looked at is read; with halves hardly one
SELECT refine, (near_test('even', 'real_l2_ops', '<->', 100, format('refine = %L', refine))).read < most AS few
FROM (VALUES ('none', 50), ('int8', 9), ('half', 2), ('float', 1)) AS r(refine, most);

-- A cursor without end, pages, bounds and filters, over rows that were deleted and updated
INSERT INTO near SELECT id + 1000, v FROM near WHERE id % 4 = 0;
DELETE FROM near WHERE id % 3 = 0;
UPDATE near SET id = id WHERE id % 5 = 0;
CREATE FUNCTION near_more(with_options text, OUT cursor_order boolean, OUT pages boolean, OUT behind boolean, OUT filtered boolean) LANGUAGE plpgsql AS $$
DECLARE
    query real[] := (SELECT q FROM near_query ORDER BY id LIMIT 1);
    truth float8[];
    d float8[] := '{}';
    c CURSOR (q real[]) FOR SELECT id, v <-> q AS d FROM near ORDER BY v <-> q;
    ids int[] := '{}';
    more int[];
    t float8;
BEGIN
    EXECUTE format('CREATE INDEX near_v ON near USING qhnsw (v real_l2_ops) WITH (%s)', with_options);
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_indexscan = off;
    truth := ARRAY(SELECT v <-> query FROM near ORDER BY v <-> query);
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    FOR r IN c(query) LOOP
        d := d || r.d;
    END LOOP;
    cursor_order := d = truth;
    d := '{}';
    FOR page IN 0..7 LOOP
        more := ARRAY(SELECT id FROM near ORDER BY v <-> query LIMIT 7 OFFSET 7 * page);
        ids := ids || more;
    END LOOP;
    pages := (SELECT count(DISTINCT i) FROM unnest(ids) AS i) = 56 AND
        (SELECT bool_and(x >= y) FROM (SELECT v <-> query AS x, lag(v <-> query, 1, 0) OVER (ORDER BY n) AS y FROM unnest(ids) WITH ORDINALITY AS u(id, n) JOIN near USING (id)) AS s);
    t := truth[30];
    behind := ARRAY(SELECT v <-> query FROM near WHERE v <-> query > t ORDER BY v <-> query LIMIT 10) =
        ARRAY(SELECT x FROM unnest(truth) AS x WHERE x > t ORDER BY x LIMIT 10);
    filtered := ARRAY(SELECT id FROM near WHERE id % 7 = 1 ORDER BY v <-> query LIMIT 10) =
        ARRAY(SELECT id FROM (SELECT id, v <-> query AS x FROM near WHERE id % 7 = 1 OFFSET 0) AS s ORDER BY x LIMIT 10);
    DROP INDEX near_v;
END $$;
SELECT with_options, n.* FROM (VALUES ('refine = int2'), ('refine = int8'), ('refine = half'), ($$refine = 'float'$$), ('compression = "4x"'), ('compression = "1x"')) AS o(with_options), near_more(with_options) AS n;
DROP TABLE near, near_query, near_base;
DROP FUNCTION near_test, near_vector, near_more;

-- A row at a lower bound is within, also where the estimates of exact codes round to before it.
CREATE TABLE edges AS SELECT id, (SELECT array_agg((1000 + sin(id * 100 + i * i))::real) FROM generate_series(1, 17) AS i) AS v FROM generate_series(1, 300) AS id;
CREATE FUNCTION lost_at_edges(op text, condition text) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
    r record;
    q real[];
    found boolean;
    lost bigint := 0;
BEGIN
    FOR q IN SELECT v FROM edges WHERE id % 100 = 7 LOOP
        FOR r IN EXECUTE format('SELECT id, (v %s $1) + 0 AS d FROM edges ORDER BY 2 LIMIT 40', op) USING q LOOP
            EXECUTE format('SELECT bool_or(id = $2) FROM (SELECT id FROM edges WHERE v %1$s $1 %2$s ORDER BY v %1$s $1 LIMIT 60) AS s', op, replace(condition, 'd', '$3'))
            INTO found USING q, r.id, r.d;
            lost := lost + (found IS NOT TRUE)::int;
        END LOOP;
    END LOOP;
    RETURN lost;
END $$;
CREATE INDEX edges_l2 ON edges USING qhnsw (v real_l2_ops) WITH (compression = '1x');
CREATE INDEX edges_cosine ON edges USING qhnsw (v real_cosine_ops) WITH (compression = '1x');
CREATE INDEX edges_ip ON edges USING qhnsw (v real_ip_ops) WITH (compression = '1x');
SELECT op, condition, lost_at_edges(op, condition) FROM unnest('{<->,<=>,<#>}'::text[]) AS op, unnest('{>= d,<= d,BETWEEN d AND d}'::text[]) AS condition;
DROP INDEX edges_cosine;
CREATE INDEX edges_cosine ON edges USING qhnsw (v real_cosine_ops) WITH (refine = 'float');
SELECT condition, lost_at_edges('<=>', condition) FROM unnest('{>= d,<= d,BETWEEN d AND d}'::text[]) AS condition;
DROP TABLE edges;
DROP FUNCTION lost_at_edges;
