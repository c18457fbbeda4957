-- Strict order without a LIMIT: a row found after its place has passed comes after all others and is counted, and that is rare however deep the scan.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

CREATE TABLE deep (id int, r real[], b bitvec(64), q qvec8);
INSERT INTO deep
SELECT id, v, binary_quantize(v), quantize_int8(v)
FROM (SELECT id, test_vector(id, 64) AS v FROM generate_series(1, 4000) AS id OFFSET 0) s;
CREATE TABLE deep_query AS SELECT test_vector(100000 + i, 64) AS v FROM generate_series(1, 6) AS i;

CREATE TYPE deep_found AS (near bigint, returned bigint, scanned bigint, late bigint, ordered boolean);
-- What scans of all queries find, in a loop that ends after k rows as far as the plan knows nothing of it: rows among the true k, rows returned, before the filter too, rows late, order
CREATE FUNCTION deep_scan(mode text, distance text, filter text, k int) RETURNS deep_found
LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    ours float8[];
    kth float8;
    dist float8;
    found deep_found := (0, 0, 0, 0, true);
    statement text := format('SELECT d FROM (SELECT %1$s AS d FROM deep WHERE %2$s) s ORDER BY d + 0 LIMIT %3$s', distance, filter, k);
BEGIN
    PERFORM set_config('qhnsw.iterative_scan', mode, true);
    FOR query IN SELECT v FROM deep_query LOOP
        ours := '{}';
        FOR dist IN EXECUTE format('SELECT %1$s AS d FROM deep WHERE %2$s ORDER BY %1$s', distance, filter) USING query LOOP
            ours := ours || dist;
            EXIT WHEN cardinality(ours) = k;
        END LOOP;
        SELECT found.late + rows_late, found.scanned + rows_returned INTO found.late, found.scanned FROM qhnsw_last_scan();
        EXECUTE format('SELECT max(d) FROM (%s) s', statement) INTO kth USING query;
        found.near := found.near + (SELECT count(*) FROM unnest(ours) AS d WHERE d <= kth);
        found.returned := found.returned + cardinality(ours);
        -- rows that came late stand at the end
        IF mode = 'strict_order' THEN
            ours := ours[1 : cardinality(ours) - CASE WHEN cardinality(ours) < k THEN (SELECT rows_late FROM qhnsw_last_scan()) ELSE 0 END];
        END IF;
        found.ordered := found.ordered AND ours = ARRAY(SELECT d FROM unnest(ours) AS d ORDER BY d);
    END LOOP;
    RETURN found;
END $$;

-- A line a LIMIT and filter: strict order has at least the near rows of relaxed order, few are late, and every row of the table is returned
CREATE FUNCTION compared(distance text) RETURNS TABLE (filter text, k int, full_limit boolean, ordered boolean, no_less boolean, late_below_1_percent boolean)
LANGUAGE plpgsql AS $$
DECLARE
    exact deep_found;
    relaxed deep_found;
    matching bigint;
BEGIN
    FOR filter, k IN SELECT f.filter, l.k FROM unnest('{true,id % 50 = 7}'::text[]) AS f(filter), unnest('{10,60,500,100000}'::int[]) AS l(k) WHERE f.filter = 'true' OR l.k < 100 LOOP
        exact := deep_scan('strict_order', distance, filter, k);
        relaxed := deep_scan('relaxed_order', distance, filter, k);
        EXECUTE format('SELECT count(*) FROM deep WHERE %s', filter) INTO matching;
        full_limit := exact.returned = 6 * least(k, matching)
            AND relaxed.returned = 6 * least(k, matching);
        ordered := exact.ordered;
        no_less := exact.near + exact.late >= relaxed.near;
        late_below_1_percent := exact.late * 100 < exact.scanned;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE INDEX deep_index ON deep USING qhnsw (b);
SELECT * FROM compared('b <~> binary_quantize($1)');
DROP INDEX deep_index;
CREATE INDEX deep_index ON deep USING qhnsw (r real_l2_ops);
SELECT * FROM compared('r <-> $1');
DROP INDEX deep_index;
CREATE INDEX deep_index ON deep USING qhnsw (r) WITH (refine = 'int8');
SELECT * FROM compared('r <=> $1');
DROP INDEX deep_index;
CREATE INDEX deep_index ON deep USING qhnsw (r real_ip_ops) WITH (compression = '4x');
SELECT * FROM compared('r <#> $1');
DROP INDEX deep_index;
CREATE INDEX deep_index ON deep USING qhnsw (q qvec8_l2_ops) WITH (refine = 'int8');
SELECT * FROM compared('q <-> quantize_int8($1)');
DROP INDEX deep_index;

-- A plan that reads every row has all in order.
CREATE INDEX deep_index ON deep USING qhnsw (r);
SELECT count(*) AS rows, sum((d < before)::int) AS out_of_order
FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT r <=> (SELECT v FROM deep_query LIMIT 1) AS d FROM deep WHERE id % 3 <> 0 ORDER BY 1) AS s) AS t;
SELECT rows_late, rows_returned FROM qhnsw_last_scan();
DROP INDEX deep_index;

DROP TABLE deep, deep_query;
DROP FUNCTION compared(text), deep_scan(text, text, text, int);
DROP TYPE deep_found;
