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

-- back
SELECT dequantize('[12,-3,127]'::qvec8), dequantize('[12,-3,-128]*0.5+0.25'::qvec8), dequantize('10110'::bitvec);
SELECT binary_quantize(dequantize('1011000011'::bitvec)) AS round_trip, dequantize(quantize_int8('{1,2,127}'::real[])) AS exact;

-- a generated column, as tables with codes have it
CREATE TABLE docs (id int, embedding real[], code bitvec(4) GENERATED ALWAYS AS (binary_quantize(embedding)) STORED, code8 qvec8(4) GENERATED ALWAYS AS (quantize_int8(embedding)) STORED);
INSERT INTO docs VALUES (1, '{127,-1,2,0}'), (2, NULL);
SELECT * FROM docs ORDER BY id;
INSERT INTO docs VALUES (3, '{1,2,3}');
DROP TABLE docs;
