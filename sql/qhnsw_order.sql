-- Every operator class: an index scan gives what sorting gives.
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir /sql/include/qhnsw.psql
\i :helpers
\set ECHO all

-- Few enough rows for a scan to look at all codes, so that nothing is left to chance.
CREATE TABLE ordered (id int, r real[], q qvec8(24), b bitvec(24));
INSERT INTO ordered
SELECT id, v, quantize_int8(v), binary_quantize(v)
FROM (SELECT id, test_vector(id, 24) AS v FROM generate_series(1, 400) AS id OFFSET 0) s;

CREATE INDEX ordered_b_hamming ON ordered USING qhnsw (b);
CREATE INDEX ordered_b_jaccard ON ordered USING qhnsw (b bitvec_jaccard_ops);
CREATE INDEX ordered_q_cosine ON ordered USING qhnsw (q);
CREATE INDEX ordered_q_l2 ON ordered USING qhnsw (q qvec8_l2_ops);
CREATE INDEX ordered_q_ip ON ordered USING qhnsw (q qvec8_ip_ops);
CREATE INDEX ordered_r_cosine ON ordered USING qhnsw (r);
CREATE INDEX ordered_r_l2 ON ordered USING qhnsw (r real_l2_ops);
CREATE INDEX ordered_r_ip ON ordered USING qhnsw (r real_ip_ops);

-- the default class of a type orders by its first distance, the others by theirs
SELECT c.relname, o.opcname, o.opcdefault, i.metric, i.code, i.dims, i.rows, test_sound(c.oid)
FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid JOIN pg_opclass o ON o.oid = x.indclass[0],
     qhnsw_info(c.oid) i
WHERE x.indrelid = 'ordered'::regclass ORDER BY c.relname COLLATE "C";

CREATE TABLE asked AS
SELECT id, v AS r, quantize_int8(v) AS q, binary_quantize(v) AS b
FROM (SELECT id, test_vector(id, 24) AS v FROM generate_series(1001, 1010) AS id OFFSET 0) s;

-- Bits say all: the whole table comes back as if it were sorted.
SELECT operator COLLATE "C" AS operator, k, test_compare('ordered', 'b', operator, quote_literal(asked.b) || '::bitvec', k) COLLATE "C" AS result, count(*)
FROM asked, (VALUES ('<~>'), ('<%>')) o(operator), (VALUES (1), (10), (100), (400), (1000)) l(k)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- Codes of floats only choose candidates: with enough of those the order is that of the operator.
SET qhnsw.oversample = 100;
SELECT operator COLLATE "C" AS operator, k, test_compare('ordered', 'q', operator, quote_literal(asked.q) || '::qvec8', k) COLLATE "C" AS result, count(*)
FROM asked, (VALUES ('<=>'), ('<->'), ('<#>')) o(operator), (VALUES (5), (100), (400), (1000)) l(k)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT operator COLLATE "C" AS operator, k, test_compare('ordered', 'r', operator, quote_literal(asked.r) || '::real[]', k) COLLATE "C" AS result, count(*)
FROM asked, (VALUES ('<=>'), ('<->'), ('<#>')) o(operator), (VALUES (5), (100), (400), (1000)) l(k)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
RESET qhnsw.oversample;

-- With the default some rows may be left out, none comes out of order, and relaxed order leaves out none.
CREATE FUNCTION tried(query real[], mode text) RETURNS TABLE (n int, ordered boolean) LANGUAGE plpgsql AS $$
DECLARE
    d float8[];
BEGIN
    PERFORM set_config('qhnsw.iterative_scan', mode, true);
    d := ARRAY(SELECT r <-> query AS d FROM ordered ORDER BY d);
    n := cardinality(d);
    ordered := d = ARRAY(SELECT u FROM unnest(d) AS u ORDER BY u);
    RETURN NEXT;
END $$;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT mode, count(*) AS scans, min(n) > 390 AS rows, min(n) = 400 OR mode <> 'relaxed_order' AS all_rows, bool_and(ordered) OR mode <> 'strict_order' AS ordered
FROM asked, unnest('{strict_order,relaxed_order}'::text[]) AS mode, tried(r, mode) GROUP BY mode ORDER BY mode COLLATE "C";
RESET enable_seqscan;
RESET enable_sort;
DROP FUNCTION tried(real[], text);

-- A row finds itself, at the operator's own value.
SET enable_seqscan = off;
SELECT count(*) AS itself, count(*) FILTER (WHERE n.d = (o.r <-> o.r)) AS at_distance
FROM ordered o, LATERAL (SELECT id, r <-> o.r AS d FROM ordered ORDER BY r <-> o.r LIMIT 1) n
WHERE n.id = o.id;

-- Jaccard distances that a float cannot tell apart come in the order of the double.
CREATE TABLE fine (id int, b bitvec(64000));
INSERT INTO fine SELECT i, (repeat('1', 64000 - 1 - i) || repeat('0', 1 + i))::bitvec FROM generate_series(0, 60) AS i;
CREATE INDEX ON fine USING qhnsw (b bitvec_jaccard_ops);
SELECT test_compare('fine', 'b', '<%>', $q$repeat('1', 64000)::bitvec$q$, 61);
SELECT test_compare('fine', 'b', '<%>', $q$(repeat('0', 70) || repeat('1', 63930))::bitvec$q$, 61);

-- Many rows at one distance, by Jaccard as well; and the empty set, which is at 0 from itself and at 1 from all else.
CREATE TABLE tied (id int, b bitvec(16));
INSERT INTO tied SELECT i, (i % 256)::bit(16)::bitvec FROM generate_series(0, 1023) AS i;
CREATE INDEX ON tied USING qhnsw (b bitvec_jaccard_ops);
SELECT test_compare('tied', 'b', '<%>', q, k) AS result, count(*)
FROM (VALUES ($$'0000000000000000'::bitvec$$), ($$'0000000000001111'::bitvec$$), ($$'1111111100000000'::bitvec$$)) s(q),
     (VALUES (1), (4), (5), (300), (1024)) l(k)
GROUP BY result;

DROP TABLE ordered, asked, fine, tied;
