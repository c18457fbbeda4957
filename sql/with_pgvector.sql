-- Side by side with pgvector in one schema, where that is installed: neither makes a call of the other ambiguous.

SELECT count(*) = 0 AS absent FROM pg_available_extensions WHERE name = 'vector' AND string_to_array(default_version, '.')::int[] >= '{0,7}' \gset
\if :absent
\quit
\endif

SELECT $$
SELECT r <=> '{4,0}' AS cosine, r <-> '{4,0}'::real[] AS l2, r <#> '{4,1}' AS ip, r <+> r AS l1, l2_distance(r, r), cosine_distance(r, r), inner_product(r, r), l1_distance(r, r), l2_norm(r), vector_dims(r), subvector(r, 2, 1), binary_quantize(r) FROM vectors;
SELECT v <=> '[4,0]' AS cosine, v <-> '[4,0]'::vector AS l2, v <#> '[4,1]' AS ip, v <+> v AS l1, l2_distance(v, v), cosine_distance(v, v), inner_product(v, v), l1_distance(v, v), vector_norm(v), vector_dims(v), subvector(v, 2, 1), binary_quantize(v) FROM vectors;
SELECT h <=> '[4,0]' AS cosine, h <-> h AS l2, l2_norm(h), vector_dims(h), subvector(h, 2, 1), binary_quantize(h), s <-> s AS sparse, l2_norm(s) FROM vectors;
SELECT v <-> r AS mixed, r <=> v AS mixed_too, v::real[] AS out, r::vector AS "in", h::real[] AS half_out, r::halfvec AS half_in, quantize_int8(v::real[]) AS codes FROM vectors;
SELECT bits <~> B'111' AS bit, bits <%> '111' AS bit_jaccard, hamming_distance(bits, bits), '111'::varbit <~> '100'::varbit AS varbit, bits || bits AS both FROM vectors;
SELECT b <~> '111' AS bitvec, b <~> B'111' AS bitvec_bit, b <~> bits AS stored_bit, hamming_distance(b, b), jaccard_distance(b, b), b || '1' AS both, subvector(b, 1, 2) <~> binary_quantize(v) AS quantized FROM vectors;
SELECT hamming_distance('101', '111'), jaccard_distance('101', '111'), '101' <~> '111' AS hamming, '101' <%> '111' AS jaccard, bits <~> '111' AS stored FROM vectors;
SELECT v <-> '{4,0}'::integer[] AS mixed, r <-> ARRAY[4, 0.5] AS constant, v <-> ARRAY[4, 0.5] AS vector_constant, ARRAY[1, 2] <-> ARRAY[1, 2.5] AS constants FROM vectors;
INSERT INTO vectors (r, v, h, b) SELECT v, r, r, binary_quantize('{1,1,-1}'::real[]) FROM vectors;
SELECT r, v, h, b FROM vectors WHERE bits IS NULL;
SELECT avg(v), qvec_minmax(r) FROM vectors;
SELECT v + v AS sum, v - '[1,1]' AS difference, v * v AS product, v + h::vector AS cast, l2_normalize(v), sum(v), avg(v), sum(h), h + h AS half FROM vectors WHERE id = 1 GROUP BY v, h;
SELECT r + r AS sum, r - '{1,1}' AS difference, r * ARRAY[2,2] AS product, l2_normalize(r), sum(r), avg(r), vector_norm(r) = vector_norm(v) AS norm FROM vectors WHERE id = 1 GROUP BY r, v;
SELECT bits << 1 AS bit, get_bit(bits, 0), length(bits), length(b), bit_and(b), bit_and(bits) FROM vectors WHERE id = 1 GROUP BY bits, b;
CREATE INDEX ON vectors USING hnsw (v vector_l2_ops);
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT id FROM vectors ORDER BY v <-> '[4,0]' LIMIT 1;
EXPLAIN (COSTS off) SELECT id FROM vectors ORDER BY v <-> ARRAY[4, 0.5] LIMIT 1;
EXPLAIN (COSTS off) SELECT id FROM vectors ORDER BY ARRAY[4, 0] <-> v LIMIT 1;
PREPARE nearest(real[]) AS SELECT v FROM vectors ORDER BY v <-> $1 LIMIT 1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS off) EXECUTE nearest('{4,0}');
EXECUTE nearest('{4,0}');
SET enable_seqscan = on;
EXPLAIN (COSTS off) SELECT id FROM vectors ORDER BY v::real[] <-> '{4,0}' LIMIT 1;
$$ AS checks \gset
\set main :DBNAME
CREATE DATABASE regress_qvec_before_vector;
CREATE DATABASE regress_vector_before_qvec;

\c regress_qvec_before_vector
CREATE EXTENSION qvec;
CREATE EXTENSION vector;
CREATE TABLE vectors AS SELECT 1 AS id, '{0,3}'::real[] AS r, '[0,3]'::vector(2) AS v, '[0,3]'::halfvec(2) AS h, '{2:3}/2'::sparsevec AS s, '101'::bit(3) AS bits, '101'::bitvec(3) AS b;
:checks

\c regress_vector_before_qvec
CREATE EXTENSION vector;
CREATE EXTENSION qvec;
CREATE TABLE vectors AS SELECT 1 AS id, '{0,3}'::real[] AS r, '[0,3]'::vector(2) AS v, '[0,3]'::halfvec(2) AS h, '{2:3}/2'::sparsevec AS s, '101'::bit(3) AS bits, '101'::bitvec(3) AS b;
:checks

-- each in a schema of its own, both of them searched
CREATE DATABASE regress_vector_beside_qvec;
\c regress_vector_beside_qvec
CREATE SCHEMA a;
CREATE SCHEMA b;
CREATE EXTENSION vector SCHEMA a;
CREATE EXTENSION qvec SCHEMA b;
SET search_path = public, a, b;
SELECT hamming_distance('101', '111'), jaccard_distance('101', '111'), '101' <~> '111' AS hamming, '101' <%> '111' AS jaccard, B'101' <~> '111' AS bits;
SET search_path = public, b, a;
SELECT hamming_distance('101', '111'), jaccard_distance('101', '111'), '101' <~> '111' AS hamming, '101' <%> '111' AS jaccard, B'101' <~> '111' AS bits;
\c :main
DROP DATABASE regress_vector_beside_qvec;
DROP DATABASE regress_qvec_before_vector;
DROP DATABASE regress_vector_before_qvec;
