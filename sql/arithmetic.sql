-- Sums, differences and products of real[], normalizing, and the type that operands have for the parser.

SELECT '{1,2}'::real[] + '{3,4}' AS sum, '{1,2}' - '{3,5}'::real[] AS difference, '{1,2}'::real[] * '{3,-4}'::real[] AS product;
-- what drivers and literals send
SELECT '{1,2}'::real[] + ARRAY[0.5,1] AS numeric, ARRAY[0.5,1] * '{1,2}'::real[] AS numeric_left, '{1,2}'::real[] - '{1,2}'::double precision[] AS double_precision, ARRAY[1,2] + '{1,2}'::real[] AS integer, pg_typeof('{1}'::real[] + ARRAY[1]);
-- results are rounded as real is
SELECT bool_and(c = a[1] + b[1] AND d = a[1] - b[1] AND e = a[1] * b[1]) AS as_real FROM
    (SELECT a, b, (a + b)[1] AS c, (a - b)[1] AS d, (a * b)[1] AS e FROM (SELECT ARRAY[sin(i)::real] AS a, ARRAY[(cos(i) * 1e5)::real] AS b FROM generate_series(1, 100) AS i) AS t) AS u;
SELECT '{NaN,Infinity,-Infinity}'::real[] + '{1,1,Infinity}' AS ieee, '[5:6]={1,2}'::real[] + '[0:1]={1,1}'::real[] AS bounds, NULL::real[] + '{1}' AS "null";
SELECT '{3e38}'::real[] + '{3e38}';
SELECT '{-3e38}'::real[] - '{3e38}';
SELECT '{1,1e20}'::real[] * '{1,1e20}';
SELECT '{1e-30}'::real[] * '{1e-30}';
SELECT '{1,2}'::real[] + '{1,2,3}';
SELECT '{1,2}'::real[] - '{1}';
SELECT '{}'::real[] + '{}';
SELECT '{1,NULL}'::real[] * '{1,2}';
SELECT '{{1,2}}'::real[] + '{{1,2}}'::real[];
SELECT '{1e39}'::double precision[] + '{1}'::real[];

SELECT l2_normalize('{3,4}'::real[]), l2_normalize('{0,0}'::real[]) AS zeroes, l2_normalize('{3e38,0}'::real[]) AS large, l2_normalize('{1e-45,0}'::real[]) AS small, l2_normalize('{NaN,1}'::real[]) AS nan, l2_normalize(NULL::real[]) AS "null";
SELECT bool_and(abs(l2_norm(l2_normalize(v)) - 1) < 1e-6 AND (v <=> l2_normalize(v)) < 1e-6) AS normal FROM (SELECT array_agg(sin(i * n)::real) AS v FROM generate_series(1, 50) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
SELECT l2_normalize('{}'::real[]);
SELECT vector_norm('{3,4}'::real[]) AS five, vector_norm('[3,4]*0.5'::qvec8) AS half, vector_norm('1111'::bitvec) AS two;

-- expressions like any other: in a view, an index, a generated column
CREATE TABLE sums (a real[], b real[], c real[] GENERATED ALWAYS AS (a + b) STORED);
INSERT INTO sums VALUES ('{1,2}', '{3,4}'), ('{5,6}', '{7,8}');
CREATE VIEW difference AS SELECT a - b AS d, c FROM sums;
SELECT * FROM difference;
SELECT pg_get_viewdef('difference') ~ 'real_operand - ' AS reads_back;
CREATE INDEX ON sums USING qhnsw ((a - b) real_l2_ops);
DROP VIEW difference;
DROP TABLE sums;
-- the type of operands reads and writes as real[] does
SELECT '{1,NULL,2.5}'::real_operand, '[0:1]={1,2}'::real[]::real_operand;
SELECT '{1,x}'::real_operand;
SELECT real_operand_send('{1,2.5}') = array_send('{1,2.5}'::real[]) AS binary;

-- Other people's operators mean what they meant.  intarray's are the nearest: + and - on integer[].
SELECT '1' + '2';
SELECT '{1}'::smallint[] + '{2}'::smallint[];
SELECT count(*) = 0 AS absent FROM pg_available_extensions WHERE name = 'intarray' \gset
\if :absent
\quit
\endif
CREATE EXTENSION intarray;
SELECT '{1,2}'::int[] + 3 AS "{1,2,3}", '{1,2}'::int[] - 1 AS "{2}", '{1,2}'::int[] + '{1}'::int[] AS "{1,2,1}", '{1,2}'::int[] - '{2}'::int[] AS "{1}", '{1,2}'::int[] + '{5}' AS literal, '{5}' - '{1}'::int[] AS literal_left;
SELECT '{1,2}'::smallint[] + 3 AS "{1,2,3}", '{1,2}'::smallint[] + '{1}'::smallint[] AS "{1,2,1}", '{1,2}'::smallint[] - '{2}'::smallint[] AS "{1}", '{1,2}'::int[] + '{1}'::smallint[] AS mixed, '{1,2}'::smallint[] - '{1}'::int[] AS mixed_too, '{1,2}'::smallint[] + '{7}' AS literal;
SELECT '{1,2}'::int[] + '{1,2}'::real[] AS real, '{1,2}'::int[] * '{1,2}'::int[] AS product, '{1,2}'::real[] - '{1,2}'::int[] AS real_too;
DROP EXTENSION intarray;
