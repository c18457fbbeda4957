-- Rows as clients take them: pages, keysets, thresholds, LIMIT above other nodes, cursors, ties, little memory.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;

CREATE TABLE paged (id int PRIMARY KEY, part int, r real[], b bitvec(96), q qvec8);
INSERT INTO paged
SELECT id, id % 100, v, binary_quantize(v), quantize_int8(v)
FROM (SELECT id, test_vector(id, 96) AS v FROM generate_series(1, 8000) AS id OFFSET 0) s;
ANALYZE paged;
CREATE TABLE paged_query AS SELECT i AS id, test_vector(100000 + i, 96) AS v FROM generate_series(1, 8) AS i;

-- The true rows of each query, as many as are looked at here, by the sequential scan.
CREATE FUNCTION true_rows(distance text, k int, query real[]) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
    ids int[];
BEGIN
    EXECUTE format('SELECT ARRAY(SELECT id FROM (SELECT id, %s AS d FROM paged) s ORDER BY d + 0 LIMIT %s)', distance, k) INTO ids USING query;
    RETURN ids;
END $$;
CREATE FUNCTION among(found int[], these int[]) RETURNS bigint LANGUAGE sql AS
  'SELECT count(DISTINCT f) FROM unnest(found) AS f JOIN unnest(these) AS t ON t = f';

-- Pages by OFFSET: no row twice, and no true row less than one LIMIT shows.
CREATE FUNCTION pages(distance text, page int, last int) RETURNS TABLE (twice bigint, lost bigint, sorted boolean) LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    seen int[];
    once int[];
    near int[];
    one record;
BEGIN
    twice := 0;
    lost := 0;
    sorted := true;
    FOR query IN SELECT v FROM paged_query LOOP
        seen := '{}';
        FOR start IN 0 .. last - page BY page LOOP
            EXECUTE format('SELECT array_agg(id) AS ids, array_agg(d) = array_agg(d ORDER BY d) AS sorted
                            FROM (SELECT id, %1$s AS d FROM paged ORDER BY %1$s LIMIT %2$s OFFSET %3$s) s', distance, page, start) INTO one USING query;
            seen := seen || one.ids;
            sorted := sorted AND one.sorted;
        END LOOP;
        EXECUTE format('SELECT ARRAY(SELECT id FROM paged ORDER BY %s LIMIT %s)', distance, last) INTO once USING query;
        near := true_rows(distance, last, query);
        twice := twice + cardinality(seen) - (SELECT count(DISTINCT s) FROM unnest(seen) AS s);
        lost := lost + greatest(among(once, near) - among(seen, near), 0);
    END LOOP;
    RETURN NEXT;
END $$;

-- Pages by the distance of the last row seen.
CREATE FUNCTION keyset(distance text, page int, npages int, condition text) RETURNS TABLE (twice bigint, found_975_in_1000 boolean) LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    seen int[];
    bound float8;
    hits bigint := 0;
    one record;
BEGIN
    twice := 0;
    FOR query IN SELECT v FROM paged_query LOOP
        seen := '{}';
        bound := '-infinity';
        FOR i IN 1 .. npages LOOP
            EXECUTE format('SELECT array_agg(id) AS ids, max(d) AS last FROM (SELECT id, %1$s AS d FROM paged WHERE %2$s ORDER BY %1$s LIMIT %3$s) s',
                           distance, condition, page) INTO one USING query, bound;
            seen := seen || one.ids;
            bound := one.last;
        END LOOP;
        twice := twice + cardinality(seen) - (SELECT count(DISTINCT s) FROM unnest(seen) AS s);
        hits := hits + among(seen, true_rows(distance, page * npages, query));
    END LOOP;
    found_975_in_1000 := hits >= 0.975 * 8 * page * npages;
    RETURN NEXT;
END $$;

-- A threshold that five rows are below: the same rows, and no more rows read than three times those of a LIMIT 20.
CREATE FUNCTION threshold(distance text, condition text) RETURNS TABLE (others bigint, few boolean) LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    plain int[];
    within int[];
    dists float8[];
    bound float8;
    read_plain bigint := 0;
    read_within bigint := 0;
BEGIN
    others := 0;
    FOR query IN SELECT v FROM paged_query LOOP
        EXECUTE format('SELECT array_agg(id), array_agg(d) FROM (SELECT id, %1$s AS d FROM paged ORDER BY %1$s LIMIT 20) s', distance) INTO plain, dists USING query;
        read_plain := read_plain + (SELECT heap_rows_fetched + rows_returned FROM qhnsw_last_scan());
        bound := (dists[5] + dists[6]) / 2;
        EXECUTE format('SELECT ARRAY(SELECT id FROM paged WHERE %2$s ORDER BY %1$s LIMIT 20)', distance, condition) INTO within USING query, bound;
        read_within := read_within + (SELECT heap_rows_fetched + rows_returned FROM qhnsw_last_scan());
        plain := plain[1 : (SELECT count(*) FROM unnest(dists) AS d WHERE d < bound)];
        others := others + cardinality(within) + cardinality(plain) - 2 * among(within, plain);
    END LOOP;
    few := read_within <= 3 * read_plain;
    RETURN NEXT;
END $$;

CREATE INDEX paged_index ON paged USING qhnsw (r);
SELECT * FROM pages('r <=> $1', 10, 150);
SELECT * FROM pages('r <=> $1', 7, 70);
SELECT * FROM keyset('r <=> $1', 10, 15, 'r <=> $1 > $2');
SELECT * FROM keyset('r <=> $1', 10, 15, '$2 < r <=> $1 AND id > 0');
SELECT * FROM threshold('r <=> $1', 'r <=> $1 < $2');
SELECT * FROM threshold('r <=> $1', 'r <=> $1 <= $2');
SELECT * FROM threshold('r <=> $1', '$2 > r <=> $1 AND part >= 0');
SELECT * FROM threshold('r <=> $1', 'r <=> $1 BETWEEN -1 AND $2');
SET plan_cache_mode = force_generic_plan;
SELECT * FROM threshold('r <=> $1', 'r <=> $1 < $2');
RESET plan_cache_mode;
DROP INDEX paged_index;
CREATE INDEX paged_index ON paged USING qhnsw (r real_l2_ops) WITH (refine = 'int8');
SELECT * FROM pages('r <-> $1', 10, 150);
SELECT * FROM keyset('r <-> $1', 10, 15, 'r <-> $1 > $2');
SELECT * FROM threshold('r <-> $1', 'r <-> $1 < $2');
DROP INDEX paged_index;
CREATE INDEX paged_index ON paged USING qhnsw (q qvec8_ip_ops);
SELECT * FROM pages('q <#> quantize_int8($1)', 10, 150);
SELECT * FROM keyset('q <#> quantize_int8($1)', 10, 15, 'q <#> quantize_int8($1) > $2');
SELECT * FROM threshold('q <#> quantize_int8($1)', 'q <#> quantize_int8($1) < $2');
DROP INDEX paged_index;
CREATE INDEX paged_index ON paged USING qhnsw (b);
SELECT * FROM pages('b <~> binary_quantize($1)', 10, 150);
SELECT * FROM threshold('b <~> binary_quantize($1)', 'b <~> binary_quantize($1) < $2');
DROP INDEX paged_index;

-- LIMIT above other nodes: as many true rows as right above the scan.
CREATE TABLE other AS SELECT id FROM paged;
CREATE UNIQUE INDEX ON other (id);
ANALYZE other;
CREATE INDEX paged_index ON paged USING qhnsw (r);
CREATE FUNCTION above(k int) RETURNS TABLE (kind text, no_less boolean) LANGUAGE plpgsql AS $$
DECLARE
    plain bigint := 0;
    hits bigint;
    query real[];
    ids int[];
    statement text;
BEGIN
    FOR kind, statement IN VALUES
        ('plain', 'SELECT id FROM paged ORDER BY r <=> $1 LIMIT $2'),
        ('join', 'SELECT id FROM paged JOIN other USING (id) ORDER BY r <=> $1 LIMIT $2'),
        ('window', 'SELECT id FROM (SELECT id, rank() OVER (ORDER BY r <=> $1) AS n FROM paged) s WHERE n > 0 LIMIT $2'),
        ('CTE', 'WITH s AS MATERIALIZED (SELECT id FROM paged ORDER BY r <=> $1) SELECT id FROM s LIMIT $2') LOOP
        hits := 0;
        FOR query IN SELECT v FROM paged_query LOOP
            EXECUTE format('SELECT ARRAY(%s)', statement) INTO ids USING query, k;
            hits := hits + among(ids, true_rows('r <=> $1', k, query));
        END LOOP;
        IF kind = 'plain' THEN
            plain := hits;
        END IF;
        no_less := hits >= plain - 0.005 * k * 8;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT k, a.* FROM unnest('{20,50,100}'::int[]) AS k, above(k) AS a;

-- A cursor: its first rows are those of a LIMIT, few come late, none is lost.
CREATE FUNCTION cursor(query real[]) RETURNS TABLE (as_limit boolean, late_of_5000 boolean, all_rows boolean, twice bigint, sorted boolean) LANGUAGE plpgsql AS $$
DECLARE
    c refcursor;
    seen int[] := '{}';
    dists float8[] := '{}';
    id int;
    dist float8;
    late bigint;
BEGIN
    OPEN c NO SCROLL FOR SELECT paged.id, r <=> query FROM paged ORDER BY r <=> query;
    LOOP
        FETCH c INTO id, dist;
        EXIT WHEN NOT FOUND;
        seen := seen || id;
        dists := dists || dist;
        IF cardinality(seen) = 5000 THEN
            late_of_5000 := (SELECT rows_late FROM qhnsw_last_scan()) <= 5;
        END IF;
    END LOOP;
    late := (SELECT rows_late FROM qhnsw_last_scan());
    as_limit := seen[1:10] = ARRAY(SELECT paged.id FROM paged ORDER BY r <=> query LIMIT 10);
    all_rows := cardinality(seen) = 8000;
    twice := cardinality(seen) - (SELECT count(DISTINCT s) FROM unnest(seen) AS s);
    -- rows that came late stand at the end
    dists := dists[1 : 8000 - late];
    sorted := dists = ARRAY(SELECT d FROM unnest(dists) AS d ORDER BY d);
    RETURN NEXT;
END $$;
SELECT c.* FROM paged_query, cursor(v) AS c WHERE id <= 3;

-- LIMIT k gives k rows in exact order at any work_mem.
CREATE FUNCTION little_memory(distance text, k int) RETURNS TABLE (n bigint, twice bigint, sorted boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*), count(*) - count(DISTINCT id), bool_and((d >= before) IS NOT FALSE)
                    FROM (SELECT id, d, lag(d) OVER () AS before FROM (SELECT id, %1$s AS d FROM paged ORDER BY %1$s LIMIT %2$s) s) t', distance, k)
    INTO n, twice, sorted USING (SELECT v FROM paged_query WHERE id = 1);
    RETURN NEXT;
END $$;
SET work_mem = '64kB';
SELECT k, l.* FROM unnest('{10,1000,5000,7500,20000}'::int[]) AS k, little_memory('r <=> $1', k) AS l;
DROP INDEX paged_index;
CREATE INDEX paged_index ON paged USING qhnsw (r real_l2_ops) WITH (refine = 'int8');
SELECT k, l.* FROM unnest('{1000,5000}'::int[]) AS k, little_memory('r <-> $1', k) AS l;
SET qhnsw.rescore = off;
SELECT k, l.n, l.twice FROM unnest('{1000,5000}'::int[]) AS k, little_memory('r <-> $1', k) AS l;
RESET qhnsw.rescore;
DROP INDEX paged_index;
CREATE INDEX paged_index ON paged USING qhnsw (b);
SELECT k, l.* FROM unnest('{1000,5000}'::int[]) AS k, little_memory('b <~> binary_quantize($1)', k) AS l;
RESET work_mem;
DROP INDEX paged_index;

-- All ties: whole numbers in few dimensions, so that many rows are at one distance.
CREATE TABLE tied AS SELECT id, ARRAY[id % 31, id / 31 % 29, id % 7]::real[] AS r FROM generate_series(1, 9000) AS id;
CREATE INDEX tied_index ON tied USING qhnsw (r real_l2_ops);
CREATE FUNCTION tied_rows() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    ours bigint;
    theirs bigint;
    differ bigint := 0;
BEGIN
    FOR i IN 1 .. 40 LOOP
        query := ARRAY[i % 30 + 0.5, i % 28, i % 6];
        SELECT count(*) INTO ours FROM (SELECT FROM tied ORDER BY r <-> query FETCH FIRST 30 ROWS WITH TIES) s;
        SELECT count(*) INTO theirs FROM (SELECT FROM tied ORDER BY (r <-> query) + 0 FETCH FIRST 30 ROWS WITH TIES) s;
        differ := differ + (ours <> theirs)::int;
    END LOOP;
    RETURN differ;
END $$;
SELECT tied_rows();

-- A filter that is far from the query, or that few rows pass: LIMIT 10 gives ten rows, whatever that takes; a bound ends a scan only where it was set, and is shown.
CREATE TABLE langs AS
SELECT id, id % 10 AS lang, ARRAY(SELECT x + CASE WHEN j % 10 = id % 10 THEN 40 ELSE 0 END FROM unnest(test_vector(id, 32)) WITH ORDINALITY AS u(x, j))::real[] AS r
FROM generate_series(1, 30000) AS id;
CREATE INDEX langs_index ON langs USING qhnsw (r);
ANALYZE langs;
CREATE FUNCTION far_rows(condition text) RETURNS TABLE (n bigint, limited boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM langs WHERE %s ORDER BY r <=> (SELECT r FROM langs WHERE id = 7) LIMIT 10) s', condition) INTO n;
    limited := (SELECT s.limited FROM qhnsw_last_scan() AS s);
    RETURN NEXT;
END $$;
SELECT * FROM far_rows('lang = 2');
SELECT * FROM far_rows('id % 1500 = 0');
SET qhnsw.max_scan_tuples = 400;
SELECT n < 10 AS fewer, limited FROM far_rows('lang = 2');
RESET qhnsw.max_scan_tuples;

-- A small table left over from a large one is searched as a small one is.
CREATE TABLE remnant AS SELECT id, r FROM paged WHERE id <= 4000;
CREATE INDEX remnant_index ON remnant USING qhnsw (r) WITH (m = 4);
DELETE FROM remnant WHERE id % 6 <> 0;
:vacuum remnant;
SELECT count(*) FROM (SELECT FROM remnant ORDER BY r <=> test_vector(1, 96) LIMIT 10) s;
SELECT flat_passes, nodes_expanded FROM qhnsw_last_scan();

-- Two scans at once remember apart: what one finds is not taken for what the other looks for.  Estimates of whole numbers are often the same.
CREATE TABLE apart (id int, v real[]);
INSERT INTO apart SELECT i, (SELECT array_agg((hashint8(i * 77::bigint + j) % 4)::real) FROM generate_series(1, 8) AS j) FROM generate_series(1, 1500) AS i;
CREATE TABLE apart_too AS SELECT * FROM apart;
CREATE INDEX ON apart USING qhnsw (v real_l2_ops) WITH (compression = '1x');
CREATE INDEX ON apart_too USING qhnsw (v real_ip_ops) WITH (compression = '1x');
CREATE FUNCTION apart_rows() RETURNS TABLE (wrong int) LANGUAGE plpgsql AS $$
DECLARE
    r record;
    k int := 0;
    n int;
    expected int := (SELECT count(*) FROM apart_too WHERE (v <#> '{-8,0,0,0,0,0,0,0}') + 0 > 15);
BEGIN
    wrong := 0;
    FOR r IN SELECT id FROM apart ORDER BY v <-> '{1,2,3,0,-1,2,3,1}' LOOP
        k := k + 1;
        CONTINUE WHEN k % 100 <> 1;
        SELECT count(*) INTO n FROM (SELECT id FROM apart_too WHERE v <#> '{-8,0,0,0,0,0,0,0}' > 15
                                     ORDER BY v <#> '{-8,0,0,0,0,0,0,0}' LIMIT 10000) AS s;
        wrong := wrong + (n <> expected)::int;
    END LOOP;
    RETURN NEXT;
END $$;
SELECT * FROM apart_rows();
DROP FUNCTION apart_rows();
DROP TABLE apart, apart_too;

DROP TABLE paged, paged_query, other, tied, langs, remnant;
DROP FUNCTION true_rows(text, int, real[]), among(int[], int[]), pages(text, int, int), keyset(text, int, int, text), threshold(text, text),
    above(int), cursor(real[]), little_memory(text, int), tied_rows(), far_rows(text);
