-- qhnsw_floats: vectors of few dimensions, and 1x, whose codes are the vectors.

-- Of the ten nearest of sixty queries, how many an index scan at default settings finds, whether
-- the table was loaded before the index was made or after.
CREATE FUNCTION few_recall(ops text, op text, dims int, element text, loaded boolean, nrows int, options text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    make_index text := format('CREATE INDEX few_v ON few USING qhnsw (v %s) %s', ops, options);
    make_vector text := format('(SELECT array_agg((%s)::real) FROM generate_series(1, %s) WHERE i > 0)', element, dims);
    q record;
    worst float8;
    nfound int;
    found int := 0;
BEGIN
    PERFORM setseed(0.25);
    CREATE TABLE few (id int, v real[]);
    IF NOT loaded THEN EXECUTE make_index; END IF;
    EXECUTE format('INSERT INTO few SELECT i, %s FROM generate_series(1, %s) AS i', make_vector, nrows);
    IF loaded THEN EXECUTE make_index; END IF;
    FOR q IN EXECUTE format('SELECT %s AS v FROM generate_series(1, 60) AS i', make_vector) LOOP
        SET LOCAL enable_indexscan = off;
        SET LOCAL enable_seqscan = on;
        EXECUTE format('SELECT max(d) FROM (SELECT v %s $1 AS d FROM few ORDER BY v %s $1 LIMIT 10) AS nearest', op, op) INTO worst USING q.v;
        SET LOCAL enable_indexscan = on;
        SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT count(*) FROM (SELECT v %s $1 AS d FROM few ORDER BY v %s $1 LIMIT 10) AS nearest WHERE d <= $2', op, op) INTO nfound USING q.v, worst;
        found := found + nfound;
    END LOOP;
    SELECT found + count(*) * 1000 INTO found FROM qhnsw_check('few_v', true);
    DROP TABLE few;
    RETURN found / 600.0;
END $$;
\set normal 'sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())'
SELECT ops, dims, CASE element WHEN 'random()' THEN 'even' ELSE 'normal' END AS elements, loaded, CASE WHEN recall BETWEEN 0.97 AND 1 THEN 'at least 0.97' ELSE recall::text END AS recall
FROM (VALUES ('real_cosine_ops', '<=>'), ('real_l2_ops', '<->'), ('real_ip_ops', '<#>')) AS o(ops, op), unnest('{2,3,4}'::int[]) AS dims, unnest(ARRAY['random()', :'normal']) AS element, unnest('{t,f}'::boolean[]) AS loaded,
    few_recall(ops, op, dims, element, loaded, 3000, '') AS recall
ORDER BY ops, dims, elements, loaded;
SELECT ops, loaded, CASE WHEN recall BETWEEN 0.97 AND 1 THEN 'at least 0.97' ELSE recall::text END AS recall
FROM (VALUES ('real_cosine_ops', '<=>'), ('real_l2_ops', '<->'), ('real_ip_ops', '<#>')) AS o(ops, op), unnest('{t,f}'::boolean[]) AS loaded,
    few_recall(ops, op, 20, :'normal', loaded, 1500, 'WITH (compression = ''1x'')') AS recall
ORDER BY ops, loaded;
DROP FUNCTION few_recall;

-- What an index holds is known with the dimension; made empty and given another one, it decides anew
CREATE TABLE few_many (v real[]);
CREATE INDEX few_many_v ON few_many USING qhnsw (v real_l2_ops) WITH (refine = 'int8');
CREATE FUNCTION few_codes() RETURNS text LANGUAGE sql AS $$ SELECT format('%s, %s+%s bits, %s dims, %s bytes', code, bits_per_dim, refine_bits, dims, code_bytes) FROM qhnsw_info('few_many_v') $$;
SELECT few_codes();
BEGIN;
INSERT INTO few_many VALUES ('{1,2,3,4,5,6,7,8}');
ROLLBACK;
SELECT few_codes();
INSERT INTO few_many VALUES ('{1,2,3,4,5,6,7,8,9}');
SELECT few_codes();
DELETE FROM few_many;
VACUUM few_many;
INSERT INTO few_many VALUES ('{1,2}'), ('{-0,2}'), ('{0,2}'), ('{3,4}');
SELECT few_codes();
SELECT v <-> '{1,1}' AS distance FROM few_many ORDER BY v <-> '{1,1}' LIMIT 2;
SELECT nodes, rows FROM qhnsw_info('few_many_v');
SELECT * FROM qhnsw_check('few_many_v', true);
DROP FUNCTION few_codes;
DROP TABLE few_many;
-- bytes that stand for few numbers, likewise
CREATE TABLE few_bytes AS SELECT quantize_int8(ARRAY[i, 50 - i, 7]::real[]) AS v FROM generate_series(1, 50) AS i;
CREATE INDEX few_bytes_v ON few_bytes USING qhnsw (v qvec8_l2_ops);
SELECT code, code_bytes, nodes FROM qhnsw_info('few_bytes_v');
DROP TABLE few_bytes;
