-- Type qvec8: text, binary form, typmod, distances and pieces.

-- text
SELECT '[12,-3,127]'::qvec8, '[12,-3,127]*0.0078'::qvec8, '[12,-3,127]*0.0078+0.5'::qvec8, '[12,-3,127]*0.0078-0.5'::qvec8, '[-128]'::qvec8(1);
SELECT '[1]*1'::qvec8, '[1]+0'::qvec8, '[1]*1.0-0.0'::qvec8, '[1]+0.5'::qvec8, '[+1,-0]*2'::qvec8;
SELECT E' [ 1 ,\t-2 , 3 ] * 0.5 + 0.25 \n'::qvec8 AS spaces, '[1]*1e-3-1E+2'::qvec8 AS exponents, '[1]*.5'::qvec8 AS bare_point;
SELECT vector_dims(('[' || repeat('-128,', 15999) || '127]')::qvec8);
-- the shortest float that reads back the same
SELECT '[1]*0.1+0.3'::qvec8, '[1]*0.10000000149011612'::qvec8, '[1]*16777217'::qvec8, '[1]*1e-45'::qvec8, '[1]*3.4028235e38-3.4028235e38'::qvec8;
SELECT count(*) AS scales, bool_and(qvec8_send(v::text::qvec8) = qvec8_send(v)) AS round_trip
FROM (SELECT ('[1,-1]*' || exp(n / 3.0)::real || CASE WHEN n % 2 = 0 THEN '+' ELSE '-' END || exp(-n / 7.0)::real)::qvec8 AS v FROM generate_series(-200, 200) AS n) AS t;

-- binary form
SELECT qvec8_send('[12,-3,127]'), qvec8_send('[-128]*0.5-0.25'), qvec8_send('[1]-0') = qvec8_send('[1]') AS no_negative_zero;

-- typmod
CREATE TABLE codes (v qvec8(3), any_length qvec8);
INSERT INTO codes VALUES ('[1,2,3]', '[1]'), ('[4,5,6]*0.5', '[1,2]'), (NULL, NULL);
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'codes'::regclass AND attnum > 0 ORDER BY attnum;
SELECT v, any_length, v::qvec8(3) AS same FROM codes;
UPDATE codes SET v = any_length;
INSERT INTO codes VALUES ('[1,2]');
SELECT '[1,2,3]'::qvec8(4);
SELECT '[1,2,3]'::qvec8::qvec8(2);
DROP TABLE codes;

-- distances, known by hand: one scale and offset
SELECT '[0,3]'::qvec8 <-> '[4,0]' AS l2_5, '[0,3]*0.5'::qvec8 <-> '[4,0]*0.5' AS l2_2_5, '[0,3]*0.5+7'::qvec8 <-> '[4,0]*0.5+7' AS offsets_cancel;
SELECT '[1,2,3]'::qvec8 <#> '[4,5,6]' AS minus_32, inner_product('[1,2,3]'::qvec8, '[4,5,6]') AS plus_32, '[1,0]'::qvec8 <#> '[0,1]' AS zero;
SELECT '[1,2,3]'::qvec8 <+> '[4,-5,6]' AS l1_13, '[1,2,3]*0.5+9'::qvec8 <+> '[4,-5,6]*0.5+9' AS l1_6_5;
SELECT '[1,0]'::qvec8 <=> '[0,1]' AS right_angle, '[1,2]'::qvec8 <=> '[-1,-2]' AS opposite, '[3,4]'::qvec8 <=> '[4,3]*0.01' AS scale_free, '[0,0]'::qvec8 <=> '[1,1]' AS nan;
-- two scales and offsets: of the dequantized values
SELECT '[2,4]*0.5'::qvec8 <-> '[1,2]' AS same_place, '[0,6]*0.5'::qvec8 <-> '[2,0]*2' AS l2_5, '[0,6]*0.5+1'::qvec8 <-> '[2,0]*2+1' AS l2_5_too, '[0]+0.5'::qvec8 <-> '[0]-0.5' AS l2_1;
SELECT '[2,4]*0.5'::qvec8 <+> '[1,2]' AS same_place, '[0,6]*0.5+1'::qvec8 <+> '[2,0]*2+1' AS l1_7;
SELECT inner_product('[2,4]*0.5+1'::qvec8, '[1,3]*2-1') AS twenty_four_less_seven, '[2,4]*0.5+1'::qvec8 <#> '[1,3]*2-1' AS negative;
SELECT '[1,-1]+1'::qvec8 <=> '[2,0]' AS same_line, '[1,1]*0.5-0.5'::qvec8 <=> '[1,1]' AS zero_vector_nan, '[5,5]*0.5-2.5'::qvec8 <=> '[5,5]*0.5-2.5' AS both_zero_nan;
-- extremes, in the longest vector
SELECT v <-> w AS l2, v <#> w AS negative_ip, v <+> w AS l1, v <=> w AS cosine, v <=> v AS itself
FROM (SELECT ('[' || repeat('-128,', 15999) || '-128]')::qvec8 AS v, ('[' || repeat('127,', 15999) || '127]')::qvec8 AS w) AS t;
-- a vector lies at exactly 0 from itself, both ways round alike, and near the distance of the floats
CREATE TABLE codes AS
    SELECT id, quantize_int8(x) AS sym, quantize_int8(x, -1, 1.5) AS aff, quantize_int8(x, (-1 - id / 100.0)::real, 1.5) AS mixed, dequantize(quantize_int8(x)) AS f
    FROM (SELECT id, array_agg((sin(id * 7.7 + i * i * 1.3) * (1 + id % 3) / 3)::real ORDER BY i) AS x FROM generate_series(1, 30) AS id, generate_series(1, 97) AS i GROUP BY id) AS t;
SELECT bool_and(sym <-> sym = 0 AND aff <-> aff = 0 AND mixed <-> mixed = 0) AS l2, bool_and(sym <=> sym = 0 AND aff <=> aff = 0 AND mixed <=> mixed = 0) AS cosine,
    bool_and(sym <+> sym = 0 AND aff <+> aff = 0 AND mixed <+> mixed = 0) AS l1 FROM codes;
SELECT bool_and(a.sym <-> b.sym = b.sym <-> a.sym AND a.mixed <-> b.mixed = b.mixed <-> a.mixed) AS l2,
    bool_and(a.sym <=> b.sym = b.sym <=> a.sym AND a.mixed <=> b.mixed = b.mixed <=> a.mixed) AS cosine,
    bool_and(a.sym <#> b.sym = b.sym <#> a.sym AND a.mixed <#> b.mixed = b.mixed <#> a.mixed) AS ip,
    bool_and(a.sym <+> b.sym = b.sym <+> a.sym AND a.mixed <+> b.mixed = b.mixed <+> a.mixed) AS l1 FROM codes a, codes b;
SELECT metric, count(*), bool_and(abs(code - floats) <= 1e-6 * (1 + abs(floats))) AS close
FROM codes a, codes b, LATERAL (VALUES
    ('l2 sym', a.sym <-> b.sym, a.f <-> b.f), ('ip sym', a.sym <#> b.sym, a.f <#> b.f), ('cosine sym', a.sym <=> b.sym, a.f <=> b.f), ('l1 sym', a.sym <+> b.sym, a.f <+> b.f),
    ('l2 mixed', a.mixed <-> b.mixed, dequantize(a.mixed) <-> dequantize(b.mixed)), ('ip mixed', a.mixed <#> b.mixed, dequantize(a.mixed) <#> dequantize(b.mixed)),
    ('cosine mixed', a.mixed <=> b.mixed, dequantize(a.mixed) <=> dequantize(b.mixed)), ('l1 mixed', a.mixed <+> b.mixed, dequantize(a.mixed) <+> dequantize(b.mixed))) AS m(metric, code, floats)
GROUP BY metric ORDER BY metric;
DROP TABLE codes;
-- offsets that all but cancel the codes: the sums are taken again element by element, or they would say 0 or nonsense
SELECT l2_norm('[100]*0.1-10'::qvec8), '[100]*0.1-10'::qvec8 <#> '[100]*0.1-10' AS ip, '[100]*0.1'::qvec8 <-> '[10]' AS l2, '[100]*0.1'::qvec8 <+> '[10]' AS l1, 100 * 0.1::real::float8 - 10 AS expected;
SELECT '[100,101]*0.25-25'::qvec8 <#> '[100,101]*0.25-25' AS minus_sixteenth, l2_norm('[100,101]*0.25-25'::qvec8) AS quarter,
    '[100,100]*0.25-24'::qvec8 <-> '[50,51]*0.5-24.5' AS l2_of_half;
SELECT '[1]'::qvec8 <-> '[1,2]';
SELECT '[1]'::qvec8 <=> '[1,2]';
SELECT '[1]'::qvec8 <#> '[1,2]';
SELECT '[1]'::qvec8 <+> '[1,2]';

-- pieces
SELECT vector_dims('[1,2,3]'::qvec8), l2_norm('[3,4]'::qvec8), l2_norm('[6,8]*0.5'::qvec8), l2_norm('[2,3]+1'::qvec8);
SELECT '[1,2]*0.5+1'::qvec8 || '[3]*0.5+1', subvector('[1,2,3,4]*0.5'::qvec8, 2, 2), subvector('[1,2,3,4]'::qvec8, 0, 2), subvector('[1,2,3,4]'::qvec8, 4, 9);
SELECT '[1,2]*0.5'::qvec8 || '[3]';
SELECT ('[' || repeat('1,', 15999) || '1]')::qvec8 || '[1]';
SELECT subvector('[1,2]'::qvec8, 3, 1);

-- storage
SELECT typstorage, typalign, typlen FROM pg_type WHERE typname = 'qvec8';
CREATE TABLE wide_codes (c "char", v qvec8);
INSERT INTO wide_codes SELECT 'x', ('[' || string_agg((hashint4(i) & 127)::text, ',') || ']')::qvec8 FROM (VALUES (1), (100), (1024), (16000)) AS d(n), generate_series(1, n) AS i GROUP BY n;
SELECT vector_dims(v), CASE WHEN vector_dims(v) < 8000 THEN pg_column_size(v) END AS size, v <-> v AS itself FROM wide_codes ORDER BY 1;
DROP TABLE wide_codes;
