-- A search whose window shrinks while neighbours of the node expanded last are on their way: all that fall out of it have room.
-- Of 12,000 such queries a few wrote past an array; this is one of them with those beside it.  A server with
-- assertions looks at its memory after each, and warns.
CREATE FUNCTION pg_temp.vec(i int, d int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
$$SELECT array_agg((hashint8(i * 1000::bigint + j) / 2147483648.0)::real ORDER BY j) FROM generate_series(1, d) j$$;
CREATE TABLE window_rows AS SELECT i AS id, i % 20 AS grp, pg_temp.vec(i, 32) AS e FROM generate_series(1, 6200) i;
CREATE INDEX ON window_rows USING qhnsw (e);
SET enable_seqscan = off;
SET work_mem = '4MB';
DO $$
BEGIN
    FOR i IN 2550..2650 LOOP
        PERFORM id FROM window_rows WHERE grp = 3 ORDER BY e <=> pg_temp.vec(-i, 32) LIMIT 3;
    END LOOP;
END$$;
DROP TABLE window_rows;
