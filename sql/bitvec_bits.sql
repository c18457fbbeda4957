-- Single bits, shifts, pieces and aggregates of bitvec: as bit has them.

SELECT length('10110'::bitvec), get_bit('10110'::bitvec, 0), get_bit('10110'::bitvec, 4), get_bit('10110'::bitvec, 2::smallint), set_bit('10110'::bitvec, 1, 1), set_bit('10110'::bitvec, 0, 0), set_bit('10110'::bitvec, 0, 1) AS same;
SELECT substring('10110'::bitvec, 2, 3), substring('10110'::bitvec, 2), substring('10110'::bitvec, -1, 3), substring('10110'::bitvec, -2147483648), substring('10110'::bitvec, 4, 100);
SELECT '101011111'::bitvec << 1, '101011111'::bitvec >> 3, '101'::bitvec << -1, '101'::bitvec >> -2, '101'::bitvec << 3, '101'::bitvec << 2147483647, '101'::bitvec >> -2147483648, '101'::bitvec << 0;
-- every length and distance as bit has it
SELECT count(*) AS cases, bool_and((b::bitvec << s)::varbit = (b << s)::varbit AND (b::bitvec >> s)::varbit = (b >> s)::varbit) AS shifts,
    bool_and(length(b::bitvec) = length(b)) AS lengths, bool_and(s NOT BETWEEN 0 AND n - 1 OR (get_bit(b::bitvec, s) = get_bit(b, s) AND set_bit(b::bitvec, s, 1)::varbit = set_bit(b, s, 1)::varbit AND set_bit(b::bitvec, s, 0)::varbit = set_bit(b, s, 0)::varbit)) AS bits,
    bool_and(s NOT BETWEEN 1 AND n OR (substring(b::bitvec, s)::varbit = substring(b, s)::varbit AND substring(b::bitvec, s, 7)::varbit = substring(b, s, 7)::varbit)) AS pieces
FROM (SELECT n, string_agg(CASE WHEN i * i % 7 < 3 THEN '1' ELSE '0' END, '' ORDER BY i)::varbit::bit varying AS v FROM generate_series(1, 40) AS n, generate_series(1, n) AS i GROUP BY n) AS t, LATERAL (SELECT v::text::varbit AS b) AS x, generate_series(-45, 45) AS s;
SELECT get_bit('101'::bitvec, 3);
SELECT get_bit('101'::bitvec, -1);
SELECT get_bit('101'::bitvec, 4294967296);
SELECT set_bit('101'::bitvec, 3, 1);
SELECT set_bit('101'::bitvec, 0, 2);
SELECT substring('101'::bitvec, 4);
SELECT substring('101'::bitvec, 1, 0);
SELECT substring('101'::bitvec, 1, -1);
-- bit itself, and text, have what they had
SELECT get_bit('101', 1) AS bit, set_bit('101', 1, 1) AS bit_too, get_bit('\x80'::bytea, 7), length('abc'), length(B'101'), substring('abc', 2, 1), substring(B'101', 2), B'101' << 1, '101'::varbit >> 1, '5' << 1 AS number, min('b'), bit_and(B'11'), bit_or('10'::varbit);

-- cosine distance of the vectors of -1 and 1 is 2h/d
SELECT '1011'::bitvec <=> '0011' AS half, '1011'::bitvec <=> '1011' AS same, '1011'::bitvec <=> '0100' AS opposite, cosine_distance('1011'::bitvec, B'0100');
SELECT bool_and(abs((a <=> b) - (dequantize(a) <=> dequantize(b))) < 1e-12 AND (a <=> b) = 2 * (a <~> b) / vector_dims(a)) AS as_dequantized
FROM (SELECT binary_quantize(array_agg(sin(i * n)::real ORDER BY i)) AS a, binary_quantize(array_agg(cos(i * n)::real ORDER BY i)) AS b FROM generate_series(1, 70) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
SELECT '101'::bitvec <=> '1011';

-- aggregates
CREATE TABLE bits (g int, b bitvec);
SELECT min(b), max(b), bit_and(b), bit_or(b), bit_xor(b) FROM bits;
INSERT INTO bits VALUES (1, '1100'), (1, '0110'), (1, NULL), (2, '1111'), (2, NULL), (3, NULL);
SELECT g, min(b), max(b), bit_and(b), bit_or(b), bit_xor(b) FROM bits GROUP BY g ORDER BY g;
SELECT bit_and(b) FROM (VALUES ('101'::bitvec), ('1011')) AS t(b);
SELECT min(b), max(b) FROM (VALUES ('101'::bitvec), ('1011'), ('1')) AS t(b);
CREATE INDEX ON bits (b);
SET enable_seqscan = off;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SELECT line ~ 'Index Only Scan using bits_b_idx' AS by_index FROM plan_of('SELECT min(b) FROM bits') AS line WHERE line ~ 'Scan';
SELECT line ~ 'Index Only Scan Backward using bits_b_idx' AS by_index FROM plan_of('SELECT max(b) FROM bits') AS line WHERE line ~ 'Scan';
DROP FUNCTION plan_of;
RESET enable_seqscan;
DROP TABLE bits;
-- in parallel
CREATE TABLE many AS SELECT (substr(hash, 1, 32))::varbit::bitvec(32) AS b FROM (SELECT (('x' || md5(i::text))::bit(128))::text AS hash FROM generate_series(1, 5000) AS i) AS t;
CREATE TABLE serial_results AS SELECT min(b) AS mi, max(b) AS ma, bit_and(b) AS a, bit_or(b) AS o, bit_xor(b) AS x FROM many;
SELECT mi = (SELECT b FROM many ORDER BY b LIMIT 1) AS least, ma = (SELECT b FROM many ORDER BY b DESC LIMIT 1) AS greatest, a::varbit = (SELECT bit_and(b::bit(32)) FROM many) AS "and", o::varbit = (SELECT bit_or(b::bit(32)) FROM many) AS "or", x::varbit = (SELECT bit_xor(b::bit(32)) FROM many) AS "xor" FROM serial_results;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT min(b), max(b), bit_and(b), bit_or(b), bit_xor(b) FROM many;
SELECT min(b) = mi AS mi, max(b) = ma AS ma, bit_and(b) = a AS a, bit_or(b) = o AS o, bit_xor(b) = x AS x FROM many, serial_results GROUP BY mi, ma, a, o, x;
DROP TABLE many, serial_results;
