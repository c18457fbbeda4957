-- Rows are looked at as long as the error of their codes leaves them in doubt: few where estimates tell rows apart,
-- a whole group where they do not.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
SET enable_seqscan = off;

-- Row number id of groups of 50 around points of length 1 or so, which lie apart; spread is that within a group.
CREATE FUNCTION grouped(id int, spread float8, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(((test_gauss(id / 50 * 1000 + d, 3) + spread * test_gauss(id::bigint * 1000 + d, 4)) / sqrt(dims))::real ORDER BY d)
    FROM generate_series(1, dims) AS d
$$;
-- Of the k nearest rows of some queries, those that the index finds; and the rows fetched for a query.
CREATE FUNCTION found(relation text, operator text, queries real[], k int, OUT recall float8, OUT fetched float8) LANGUAGE plpgsql AS $$
DECLARE
    query real[];
    ours float8[];
    farthest float8;
BEGIN
    recall := 0;
    fetched := 0;
    FOREACH query SLICE 1 IN ARRAY queries LOOP
        SET LOCAL enable_indexscan = on;
        EXECUTE format('SELECT ARRAY(SELECT v %s $1 AS d FROM %s ORDER BY d LIMIT %s)', operator, relation, k) INTO ours USING query;
        fetched := fetched + (SELECT heap_rows_fetched FROM qhnsw_last_scan()) / array_length(queries, 1)::float8;
        SET LOCAL enable_indexscan = off;
        EXECUTE format('SELECT d FROM (SELECT v %s $1 AS d FROM %s) AS s ORDER BY d + 0 OFFSET %s LIMIT 1', operator, relation, k - 1)
        INTO farthest USING query;
        recall := recall + (SELECT count(*) FROM unnest(ours) AS d WHERE d <= farthest) / (k * array_length(queries, 1))::float8;
    END LOOP;
END $$;

-- Near-duplicates, which no code tells apart: the group is found at once, and all of it is looked at.
CREATE TABLE groups (id int, v real[]);
INSERT INTO groups SELECT i, grouped(i, 1e-4, 48) FROM generate_series(0, 4999) AS i;
CREATE INDEX groups_v ON groups USING qhnsw (v real_l2_ops);
-- queries of the groups themselves: other noise at the same points
SELECT array_agg(q ORDER BY i) AS queries FROM (SELECT i, (SELECT array_agg((x + 1e-4 * test_gauss(i::bigint * 1000 + n, 5) / sqrt(48))::real ORDER BY n)
    FROM unnest(grouped(i * 471, 0, 48)) WITH ORDINALITY AS u(x, n)) AS q FROM generate_series(0, 9) AS i) AS s \gset
SELECT recall >= 0.97 AS found, fetched BETWEEN 50 AND 130 AS the_group FROM found('groups', '<->', :'queries', 10);
SET qhnsw.flat = on;
SELECT recall >= 0.97 AS found, fetched BETWEEN 50 AND 130 AS the_group FROM found('groups', '<->', :'queries', 10);
RESET qhnsw.flat;
-- finer codes do not tell them apart either
DROP INDEX groups_v;
CREATE INDEX groups_v ON groups USING qhnsw (v real_cosine_ops) WITH (refine = 'int8');
SELECT recall >= 0.97 AS found FROM found('groups', '<=>', :'queries', 10);
DROP TABLE groups;

-- Many rows at the distance of the last one, by Jaccard on short bits: more effort must not find less.
CREATE TABLE short (id int, v bitvec(52));
INSERT INTO short SELECT i, (hashint8extended(i, 1)::bit(52))::bitvec FROM generate_series(1, 1900) AS i;
CREATE INDEX short_v ON short USING qhnsw (v bitvec_jaccard_ops);
CREATE FUNCTION found_bits(OUT recall float8) LANGUAGE plpgsql AS $$
DECLARE
    query bitvec;
    ours float8[];
    farthest float8;
BEGIN
    recall := 0;
    FOR query IN SELECT (hashint8extended(i, 2)::bit(52))::bitvec FROM generate_series(1, 20) AS i LOOP
        SET LOCAL enable_indexscan = on;
        SELECT array_agg(d) INTO ours FROM (SELECT v <%> query AS d FROM short ORDER BY v <%> query LIMIT 10) AS s;
        SET LOCAL enable_indexscan = off;
        SELECT d INTO farthest FROM (SELECT v <%> query AS d FROM short) AS s ORDER BY d + 0 OFFSET 9 LIMIT 1;
        recall := recall + (SELECT count(*) FROM unnest(ours) AS d WHERE d <= farthest) / 200::float8;
    END LOOP;
END $$;
SET qhnsw.ef_search = 1;
SELECT recall >= 0.99 AS found FROM found_bits();
SET qhnsw.ef_search = 40;
SELECT recall >= 0.99 AS found FROM found_bits();
SET qhnsw.ef_search = 94;
SELECT recall >= 0.99 AS found FROM found_bits();
RESET qhnsw.ef_search;
DROP TABLE short;
DROP FUNCTION grouped(int, float8, int), found(text, text, real[], int), found_bits();
