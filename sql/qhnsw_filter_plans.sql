-- Which plan is chosen with default settings, where vectors are out of line: the index where it is faster.
CREATE TABLE w (id int PRIMARY KEY, e real[], half boolean, tenant int, other int, status text);
SELECT setseed(.5);
INSERT INTO w SELECT id, ARRAY(SELECT (random() + sin(id % 40 * j))::real FROM generate_series(1, 600) AS j), id % 3 <> 0, id % 100, id % 100, 's' || id % 40
FROM generate_series(1, 3000) AS id;
CREATE INDEX w_plain ON w USING qhnsw (e);
CREATE INDEX w_keys ON w USING qhnsw (e, tenant, half) INCLUDE (status);
CREATE INDEX w_tenant ON w (tenant);
CREATE INDEX w_other ON w (other);
VACUUM ANALYZE w;
CREATE TABLE queries AS SELECT id, e FROM w WHERE id <= 3;
ANALYZE queries;

-- the access path of w, and whether rows are sorted
CREATE FUNCTION path_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line ~ 'Index Scan using w_(plain|keys)' OR line ~ 'Index Scan on w_(tenant|other)' THEN
            found := found || substring(line FROM 'w_\w+') || ' ';
        ELSIF line ~ 'Seq Scan on w' OR line ~ 'Sort Key' THEN
            found := found || substring(line FROM 'Seq|Sort') || ' ';
        END IF;
    END LOOP;
    RETURN rtrim(found);
END $$;
SELECT path_of('SELECT id FROM w WHERE tenant = 5 ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS thirty_rows,
    path_of('SELECT id FROM w WHERE tenant < 20 ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS a_fifth,
    path_of('SELECT id FROM w WHERE half ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS half,
    path_of('SELECT id FROM w WHERE tenant = ANY (''{1,2,3}'') ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS some,
    path_of('SELECT id FROM w WHERE tenant = 5 AND status = ''s5'' ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS stored,
    path_of('SELECT id FROM w WHERE other = 5 ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS not_in_the_index;
-- few rows: the primary key is faster; no order: the index is of no use; every row: it is not
SELECT path_of('SELECT id FROM w WHERE tenant = 5') AS no_order,
    path_of('SELECT id FROM w WHERE e IS NULL ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS null_vectors,
    path_of('SELECT id FROM w WHERE id < 4 ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT 10') AS three_rows;
-- a generic plan with LIMIT $n, keys of an outer row
SET plan_cache_mode = force_generic_plan;
PREPARE p (int, int) AS SELECT id FROM w WHERE tenant = $1 ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT $2;
PREPARE half (int) AS SELECT id FROM w WHERE half ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT $1;
SELECT path_of('EXECUTE p (5, 10)'), path_of('EXECUTE half (10)');
SELECT path_of('SELECT q.id, n.id FROM queries AS q, LATERAL (SELECT id FROM w WHERE w.tenant = q.id ORDER BY w.e <=> q.e LIMIT 5) AS n') AS of_outer_rows;
SELECT q.id, count(*), bool_and(n.tenant = q.id) FROM queries AS q, LATERAL (SELECT tenant FROM w WHERE w.tenant = q.id ORDER BY w.e <=> q.e LIMIT 5) AS n
GROUP BY q.id ORDER BY q.id;
CREATE FUNCTION definer(int, int) RETURNS SETOF int LANGUAGE sql STABLE SECURITY DEFINER SET plan_cache_mode = force_generic_plan AS
    'SELECT id FROM w WHERE tenant = $1 ORDER BY e <=> (SELECT e FROM queries WHERE id = 1) LIMIT $2';
SELECT count(*) FROM definer(5, 10);
SELECT codes_scored > 0 AND heap_rows_fetched <= 30 AS by_index FROM qhnsw_last_scan();
DROP FUNCTION definer(int, int);
DROP FUNCTION path_of(text);
DROP TABLE w, queries;
