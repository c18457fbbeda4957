-- Every operator class with every compression and finer code: built, inserted into, vacuumed, inserted into
-- again, each index is sound and returns rows in exact order at the operator's own distances.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all
\set VERBOSITY terse

CREATE TABLE matrix (id int, r real[], q qvec8, b bitvec(40));
CREATE FUNCTION matrix_fill(first int, last int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO matrix SELECT i, v, quantize_int8(v), binary_quantize(v)
    FROM (SELECT i, test_vector(i, 40) AS v FROM generate_series(first, last) AS i OFFSET 0) AS s
$$;

-- name, expression, operator and definition of each index
CREATE TABLE matrix_index AS
SELECT format('%s_%s_%s', class, compression, refine) AS name, col, operator, c.n, x.n AS cn, f.n AS fn,
    format('CREATE INDEX %I ON matrix USING qhnsw (%I %I) WITH (m = 8, ef_construction = 32, compression = %L, refine = %L)',
           format('%s_%s_%s', class, compression, refine), col, class, compression, refine) AS definition
FROM (VALUES (1, 'r', 'real_cosine_ops', '<=>'), (2, 'r', 'real_l2_ops', '<->'), (3, 'r', 'real_ip_ops', '<#>')) AS c(n, col, class, operator),
     unnest('{32x,16x,8x,4x,2x,1x}'::text[]) WITH ORDINALITY AS x(compression, n), unnest('{none,int4,int8}'::text[]) WITH ORDINALITY AS f(refine, n)
UNION ALL
SELECT format('%s_%s', class, refine), col, operator, c.n, 0, f.n,
    format('CREATE INDEX %I ON matrix USING qhnsw (%I %I) WITH (m = 8, ef_construction = 32, refine = %L)', format('%s_%s', class, refine), col, class, refine)
FROM (VALUES (4, 'q', 'qvec8_cosine_ops', '<=>'), (5, 'q', 'qvec8_l2_ops', '<->'), (6, 'q', 'qvec8_ip_ops', '<#>')) AS c(n, col, class, operator),
     unnest('{none,int4,int8}'::text[]) WITH ORDINALITY AS f(refine, n)
UNION ALL
SELECT class, 'b', operator, c.n, 0, 0, format('CREATE INDEX %I ON matrix USING qhnsw (b %I) WITH (m = 8, ef_construction = 32)', class, class)
FROM (VALUES (7, 'bitvec_hamming_ops', '<~>'), (8, 'bitvec_jaccard_ops', '<%>')) AS c(n, class, operator);
SELECT count(*) FROM matrix_index;

-- Are the distances that an index scan gives in order, and those that the function gives?
CREATE FUNCTION matrix_ordered(col text, operator text, k int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    query text := CASE col WHEN 'r' THEN 'test_vector(5000, 40)' WHEN 'q' THEN 'quantize_int8(test_vector(5000, 40))' ELSE 'binary_quantize(test_vector(5000, 40))' END;
    distances float8[];
    own float8[];
    ids int[];
    found int;
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    EXECUTE format('SELECT array_agg(d), array_agg(own), array_agg(id) FROM (SELECT id, %1$I %2$s %3$s AS d, %4$s(%1$I, %3$s) AS own FROM matrix ORDER BY %1$I %2$s %3$s LIMIT %5$s) AS s', col, operator, query,
        CASE operator WHEN '<=>' THEN 'cosine_distance' WHEN '<->' THEN 'l2_distance' WHEN '<#>' THEN '-inner_product' WHEN '<~>' THEN 'hamming_distance' ELSE 'jaccard_distance' END, k)
        INTO distances, own, ids;
    -- apart, because PostgreSQL 16 and later sort the rows for an aggregate of DISTINCT values
    found := (SELECT count(DISTINCT i) FROM unnest(ids) AS i);
    RETURN CASE WHEN (SELECT rows_returned FROM qhnsw_last_scan()) < k THEN 'no index scan'
        WHEN found < k THEN found || ' rows'
        WHEN distances <> ARRAY(SELECT d FROM unnest(distances) AS d ORDER BY d) THEN 'not in order'
        WHEN distances <> own THEN 'other distances' ELSE 'exact' END;
END $$;

CREATE FUNCTION matrix_phases(name text, col text, operator text, definition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text[];
BEGIN
    DELETE FROM matrix WHERE id > 300;
    EXECUTE definition;
    result := ARRAY[test_sound(name::regclass), matrix_ordered(col, operator, 60)];
    PERFORM matrix_fill(301, 360);
    result := result || test_sound(name::regclass) || matrix_ordered(col, operator, 60);
    EXECUTE format('DROP INDEX %I', name);
    RETURN (SELECT string_agg(DISTINCT r, ' ' ORDER BY r) FROM unnest(result) AS r);
END $$;

-- built and inserted into, one after the other: a scan can only have used the one index there is
SELECT matrix_fill(1, 300);
SELECT phases, count(*) FROM (SELECT matrix_phases(name, col, operator, definition) COLLATE "C" AS phases FROM matrix_index ORDER BY n, cn, fn) AS s GROUP BY phases;

-- all of them on one table: vacuumed, then inserted into the slots that are free. A scan uses the one that is marked valid.
DO $$ DECLARE d text; BEGIN FOR d IN SELECT definition FROM matrix_index LOOP EXECUTE d; END LOOP; END $$;
DELETE FROM matrix WHERE id % 3 = 0;
:vacuum matrix;
SELECT sound, count(*) FROM (SELECT test_sound(name::regclass) COLLATE "C" AS sound FROM matrix_index) AS s GROUP BY sound;
SELECT matrix_fill(1001, 1100);
SELECT sound, count(*) FROM (SELECT test_sound(name::regclass) COLLATE "C" AS sound FROM matrix_index) AS s GROUP BY sound;
CREATE FUNCTION matrix_alone(name text, col text, operator text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pg_index SET indisvalid = (indexrelid = name::regclass) WHERE indrelid = 'matrix'::regclass;
    RETURN matrix_ordered(col, operator, 60);
END $$;
SELECT result, count(*) FROM (SELECT matrix_alone(name, col, operator) COLLATE "C" AS result FROM matrix_index ORDER BY n, cn, fn) AS s GROUP BY result;
DROP TABLE matrix, matrix_index;
DROP FUNCTION matrix_fill, matrix_ordered, matrix_phases, matrix_alone;
