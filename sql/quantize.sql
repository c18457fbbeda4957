-- Quantizing floats into bitvec and qvec8, and back.

-- bits: greater than 0
SELECT binary_quantize('{0.5,-0.5,0,-0,1e-45,-1e-45,3e38}'::real[]), binary_quantize('{-1}'::real[]), binary_quantize('[1,0,-1]*0.5'::qvec8), binary_quantize('[1,0,-1,-2]*0.5+1'::qvec8);
SELECT bool_and(binary_quantize(v) = b) AS all_lengths FROM (SELECT array_agg((CASE WHEN i * i % 7 < 3 THEN 1 ELSE -1 END)::real ORDER BY i) AS v, string_agg(CASE WHEN i * i % 7 < 3 THEN '1' ELSE '0' END, '' ORDER BY i)::bitvec AS b
    FROM generate_series(1, 150) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
SELECT vector_dims(binary_quantize(array_fill(1::real, ARRAY[64000])));

-- signed bytes: scale = max|x| / 127, to the nearest, ties to even
SELECT quantize_int8('{127,-127,1.4,1.6,-1.4,-1.6,0}'::real[]) AS scale_1, quantize_int8('{127,0.5,1.5,2.5,-0.5,-1.5}'::real[]) AS ties, quantize_int8('{254,1,-254}'::real[]) AS scale_2;
SELECT quantize_int8('{1,-0.5,0.25}'::real[]), quantize_int8('{0,0}'::real[]) AS zeroes, quantize_int8('{-3e38,3e38}'::real[]) AS large;
-- among the subnormal numbers: the scale is coarse there, but the largest element still gets its code
SELECT quantize_int8('{1e-45}'::real[]), quantize_int8('{2.66e-43,-1.33e-43}'::real[]);
-- symmetric: the sign changes the codes and nothing else
SELECT bool_and(quantize_int8(n)::real[] = (SELECT array_agg(-x ORDER BY o) FROM unnest(quantize_int8(v)::real[]) WITH ORDINALITY AS u(x, o))) AS symmetric,
    bool_and((SELECT bool_and(abs(x - y) <= 0.501 * s) FROM unnest(v, quantize_int8(v)::real[]) AS u(x, y))) AS half_a_step
FROM (SELECT array_agg(sin(i * k)::real ORDER BY i) AS v, array_agg(-sin(i * k)::real ORDER BY i) AS n, max(abs(sin(i * k)::real)) / 127 AS s FROM generate_series(1, 20) AS k, generate_series(1, 50) AS i GROUP BY k) AS t;

-- an interval: lo is -128 and hi 127, what lies outside is clipped
SELECT quantize_int8('{-128,127,0,-1,0.4,0.6,-500,500}'::real[], -128, 127), quantize_int8('{0,255,128,1,-7,300}'::real[], 0, 255), quantize_int8('{-1,1,0.5}'::real[], -1, 1);
SELECT quantize_int8('{0,255,128,1,-7,300}'::real[], 0, 255)::real[], quantize_int8('{-3.4e38,3.4e38}'::real[], -3.4e38, 3.4e38) AS widest;
SELECT bool_and(abs(x - y) <= 0.5001 * 2.5 / 255) AS half_a_step FROM (SELECT array_agg((i / 40.0 - 1)::real) AS v FROM generate_series(0, 100) AS i) AS t, unnest(v, quantize_int8(v, -1, 1.5)::real[]) AS u(x, y);

-- constant data: one value to stand for
SELECT quantize_int8('{5,5,7,-2}'::real[], 5, 5), quantize_int8('{5,5}'::real[], 5, 5)::real[] AS back, quantize_int8('{0}'::real[], 0, -0.0);
SELECT quantize_int8(v, q[1], q[2])::real[] = v AS exact FROM (SELECT v, qvec_minmax(v) OVER () AS q FROM (VALUES ('{0.1,0.1}'::real[]), ('{0.1,0.1}')) AS t(v)) AS u;

-- OpenSearch's recipes for bytes: scale 1
SELECT quantize_sq_l2('{-350,-300,0,150,300,350}', -300, 300), quantize_sq_cosine('{150,151,-150,-151,300,-300}', -300, 300), quantize_sq_cosine('{0,-0,350,-350,1,-1,2,-2}', -300, 300) AS saturated;
SELECT quantize_sq_l2(array_agg(i::real ORDER BY i), 0, 255) = array_agg(i - 128 ORDER BY i)::qvec8 AS whole_numbers FROM generate_series(0, 255) AS i;
SELECT bool_and(l2 = floor(255 * (i + 150) / 400.0)::int - 128) AS l2, bool_and(c = CASE WHEN i > 0 THEN ceil(i * 127 / 250.0 - 0.5) ELSE -ceil(i * -128 / 150.0 - 0.5) END) AS cosine
FROM (SELECT i, (quantize_sq_l2(ARRAY[i], -150, 250)::real[])[1] AS l2, (quantize_sq_cosine(ARRAY[i], -150, 250)::real[])[1] AS c FROM generate_series(-150, 250) AS i) AS t;
-- data of one sign, of one value
SELECT quantize_sq_cosine('{0,1,2}', 0, 2), quantize_sq_cosine('{-1,-2,1}', -2, -1) AS negative, quantize_sq_l2('{3,3,4}', 3, 3) AS constant, quantize_sq_cosine('{3,3,4}', 3, 3) AS constant_too, quantize_sq_cosine('{0}', 0, 0) AS zero;
SELECT quantize_sq_l2(NULL, 0, 1) IS NULL AND quantize_sq_l2('{1}', NULL, 1) IS NULL AS "null";
SELECT quantize_sq_l2('{1}', 1, 0);
SELECT quantize_sq_cosine('{1}', 'NaN', 1);
SELECT quantize_sq_l2('{1}', 0, 'Infinity');
SELECT quantize_sq_l2('{1,NaN}', 0, 1);
SELECT quantize_sq_cosine('{-Infinity}', 0, 1);
SELECT quantize_sq_cosine('{}', 0, 1);
SELECT quantize_sq_l2('{{1}}', 0, 1);
SELECT quantize_sq_l2('{NULL}', 0, 1);
SELECT quantize_sq_l2(array_fill(1::real, ARRAY[16001]), 0, 1);

-- bits about a center: data without signs
SELECT binary_quantize('{1,2,3,0}'::real[], '{2,2,2,0}'), binary_quantize('{3e38,-3e38,1e-45}'::real[], '{-3e38,3e38,0}') AS far, binary_quantize('[5:6]={1,2}'::real[], '{1,1}') AS bounds, binary_quantize(NULL::real[], '{1}') AS "null";
SELECT bool_and(binary_quantize(v, array_fill(0::real, ARRAY[n])) = binary_quantize(v)) AS about_zero FROM (SELECT n, array_agg(sin(i * n)::real) AS v FROM generate_series(1, 40) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
SELECT sum((binary_quantize(v) = binary_quantize('{1,1}'::real[]))::int) AS all_alike, count(DISTINCT binary_quantize(v, center)) AS told_apart FROM (SELECT v, avg(v) OVER () AS center FROM (VALUES ('{1,9}'::real[]), ('{9,1}'), ('{9,9}'), ('{1,1}')) AS t(v)) AS u;
SELECT binary_quantize('{1,2}'::real[], '{1}');
SELECT binary_quantize('{1,NaN}'::real[], '{1,2}');
SELECT binary_quantize('{1,2}'::real[], '{1,Infinity}');
SELECT binary_quantize('{}'::real[], '{}');
SELECT binary_quantize('{1,2}'::real[], '{1,NULL}');

-- back
SELECT dequantize('[12,-3,127]'::qvec8), dequantize('[12,-3,-128]*0.5+0.25'::qvec8), dequantize('10110'::bitvec);
SELECT binary_quantize(dequantize('1011000011'::bitvec)) AS round_trip, dequantize(quantize_int8('{1,2,127}'::real[])) AS exact;

-- a generated column, as tables with codes have it
CREATE TABLE docs (id int, embedding real[], code bitvec(4) GENERATED ALWAYS AS (binary_quantize(embedding)) STORED, code8 qvec8(4) GENERATED ALWAYS AS (quantize_int8(embedding)) STORED);
INSERT INTO docs VALUES (1, '{127,-1,2,0}'), (2, NULL);
SELECT * FROM docs ORDER BY id;
INSERT INTO docs VALUES (3, '{1,2,3}');
DROP TABLE docs;
