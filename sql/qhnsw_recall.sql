-- qhnsw_recall: what share of the nearest rows a scan of the index finds.

CREATE FUNCTION a_vector(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((get_byte(decode(md5(seed || 'v' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, dims - 1) AS j
$$;
CREATE TABLE items AS SELECT i AS id, e AS embedding, binary_quantize(e) AS code, quantize_int8(e) AS code8 FROM generate_series(1, 3000) AS i, a_vector(i, 64) AS e;
CREATE INDEX hamming ON items USING qhnsw (code);
CREATE INDEX jaccard ON items USING qhnsw (code bitvec_jaccard_ops);
CREATE INDEX cosine8 ON items USING qhnsw (code8);
CREATE INDEX l28 ON items USING qhnsw (code8 qvec8_l2_ops);
CREATE INDEX ip8 ON items USING qhnsw (code8 qvec8_ip_ops);
CREATE INDEX cosine ON items USING qhnsw (embedding);
CREATE INDEX l2 ON items USING qhnsw (embedding real_l2_ops);
CREATE INDEX ip ON items USING qhnsw (embedding real_ip_ops);

-- exhaustive search with many rows rescored finds all: every operator class
SET qhnsw.flat = on;
SET qhnsw.oversample = 100;
SELECT index, qhnsw_recall(index, 10, 30) FROM unnest('{hamming,jaccard,cosine8,l28,ip8,cosine,l2,ip}'::regclass[]) AS index;
RESET qhnsw.flat;
-- the graph finds most, more with a larger ef_search
SELECT index, qhnsw_recall(index, 10, 30) > 0.9 AS most FROM unnest('{hamming,jaccard,cosine8,l28,ip8,cosine,l2,ip}'::regclass[]) AS index;
RESET qhnsw.oversample;
SET qhnsw.iterative_scan = off;
SET qhnsw.ef_search = 10;
SELECT qhnsw_recall('cosine', 10, 50) AS narrow \gset
SET qhnsw.ef_search = 400;
SELECT qhnsw_recall('cosine', 10, 50) AS wide \gset
SELECT :wide > :narrow AS grows, :narrow BETWEEN 0.1 AND 0.9 AS narrow, :wide > 0.9 AS wide, :wide = qhnsw_recall('cosine', 10, 50) AS repeatable;
-- fewer rows than wanted are misses
SET qhnsw.ef_search = 5;
SELECT qhnsw_recall('hamming', 50, 20) < 0.2 AS few;
RESET qhnsw.ef_search;
RESET qhnsw.iterative_scan;
DROP TABLE items;

-- every row as a query: the same number as by SQL
CREATE TABLE few AS SELECT i AS id, a_vector(i, 32) AS embedding FROM generate_series(1, 200) AS i;
CREATE INDEX few_index ON few USING qhnsw (embedding);
SET qhnsw.rescore = off;
SET enable_seqscan = off;
SELECT count(*) FILTER (WHERE q.embedding <=> f.embedding <= q.worst)::float8 / (200 * 10) AS by_sql
FROM (SELECT *, (SELECT max(d) FROM (SELECT q.embedding <=> e.embedding AS d FROM few AS e ORDER BY (q.embedding <=> e.embedding) + 0 LIMIT 10) AS n) AS worst FROM few AS q) AS q,
    LATERAL (SELECT embedding FROM few ORDER BY embedding <=> q.embedding LIMIT 10) AS f \gset
SELECT qhnsw_recall('few_index', 10, 200) = :by_sql AS same, :by_sql BETWEEN 0.2 AND 0.9 AS some_missed, qhnsw_recall('few_index', 10, 10000) = :by_sql AS all_there_are;
RESET qhnsw.rescore;
RESET enable_seqscan;
-- the row itself counts
SELECT qhnsw_recall('few_index', 1, 200);
-- more wanted than there are; NULLs and zero vectors, which are not indexed, are not wanted
INSERT INTO few VALUES (201, NULL), (202, array_fill(0::real, ARRAY[32]));
SELECT qhnsw_recall('few_index', 1000, 5);
-- rows as far as the last one wanted may take its place
CREATE TABLE ties AS SELECT i AS id, (CASE i % 4 WHEN 0 THEN '1100' WHEN 1 THEN '0011' ELSE '1001' END)::bitvec(4) AS code FROM generate_series(1, 400) AS i;
CREATE INDEX ties_index ON ties USING qhnsw (code);
SELECT qhnsw_recall('ties_index', 7, 50), qhnsw_recall('ties_index', 150, 50);
-- rows deleted and rows inserted since
DELETE FROM few WHERE id % 2 = 0;
INSERT INTO few SELECT i, a_vector(i, 32) FROM generate_series(300, 350) AS i;
SET qhnsw.oversample = 100;
SELECT qhnsw_recall('few_index', 10, 50);

-- expressions and parts of a table
CREATE FUNCTION embed(id int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN id % 10 > 0 THEN public.a_vector(id, 32) END $$;
CREATE INDEX computed ON few USING qhnsw (embed(id) real_l2_ops);
CREATE INDEX part ON few USING qhnsw (embedding) WHERE id > 310;
CREATE INDEX nothing ON few USING qhnsw (embedding) WITH (dims = 32) WHERE id < 0;
SELECT qhnsw_recall('computed', 10, 50), qhnsw_recall('part', 10, 50), qhnsw_recall('part', 100, 50) AS whole_part, qhnsw_recall('nothing', 10, 50) AS nothing;
RESET qhnsw.oversample;
-- whose functions are run as the owner, and may not change anything
CREATE ROLE regress_qvec_owner;
CREATE FUNCTION embed_as(id int) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    RETURN CASE current_user WHEN 'regress_qvec_owner' THEN public.a_vector(id, 32) END; END $$;
CREATE TABLE theirs AS SELECT id FROM generate_series(1, 30) AS id;
ALTER TABLE theirs OWNER TO regress_qvec_owner;
CREATE INDEX theirs_index ON theirs USING qhnsw (embed_as(id));
SELECT qhnsw_recall('theirs_index', 3, 10), current_user = session_user AS oneself;

-- errors
SELECT qhnsw_recall('few_index', 0, 10);
SELECT qhnsw_recall('few_index', 10001, 10);
SELECT qhnsw_recall('few_index', 10, 0);
SELECT qhnsw_recall('few_index', 10, 10001);
SELECT qhnsw_recall('few', 10, 10);
CREATE INDEX plain ON few (id);
SELECT qhnsw_recall('plain', 10, 10);
SELECT qhnsw_recall(NULL, 10, 10);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'part'::regclass;
SELECT qhnsw_recall('part', 10, 10);
-- nor can the index be checked; what it holds can be counted
SELECT * FROM qhnsw_check('part');
SELECT nodes > 0 AS nodes FROM qhnsw_info('part');
CREATE ROLE regress_qvec_other;
GRANT CREATE ON SCHEMA public TO regress_qvec_owner;
ALTER TABLE few OWNER TO regress_qvec_owner;
SET ROLE regress_qvec_other;
SELECT qhnsw_recall('few_index', 10, 10);
SET ROLE regress_qvec_owner;
SELECT qhnsw_recall('few_index', 1, 10);
REVOKE SELECT ON few FROM regress_qvec_owner;
SELECT qhnsw_recall('few_index', 10, 10);
GRANT SELECT ON few TO regress_qvec_owner;
ALTER TABLE few ENABLE ROW LEVEL SECURITY;
SELECT qhnsw_recall('few_index', 1, 10);
ALTER TABLE few FORCE ROW LEVEL SECURITY;
SELECT qhnsw_recall('few_index', 10, 10);
RESET ROLE;

DROP TABLE few, ties, theirs;
REVOKE ALL ON SCHEMA public FROM regress_qvec_owner;
DROP ROLE regress_qvec_owner, regress_qvec_other;
DROP FUNCTION a_vector, embed, embed_as;
