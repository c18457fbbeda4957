-- Type bitvec: text, binary form, typmod, distances, bits and pieces.

-- text
SELECT '1'::bitvec, '0'::bitvec, '10110'::bitvec(5), repeat('10', 20)::bitvec;
SELECT length(repeat('1', 64000)::bitvec::text), vector_dims(repeat('1', 64000)::bitvec);
SELECT v::bitvec::text = v AS round_trip FROM (VALUES (repeat('1', 7)), (repeat('01', 4)), (repeat('110', 3)), (repeat('10010', 333))) AS t(v);

-- binary form: that of bit
SELECT bitvec_send('10110'), bitvec_send('101100001'), bitvec_send('10110') = varbit_send(B'10110') AS as_bit;

-- typmod
CREATE TABLE bits (v bitvec(3), any_length bitvec);
INSERT INTO bits VALUES ('101', '1'), ('010', '01'), (NULL, NULL);
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'bits'::regclass AND attnum > 0 ORDER BY attnum;
SELECT v, any_length, v::bitvec(3) AS same FROM bits;
UPDATE bits SET v = any_length;
INSERT INTO bits VALUES ('10');
SELECT '101'::bitvec(4);
SELECT '101'::bitvec::bitvec(2);
SELECT any_length::bitvec(2) FROM bits;

-- distances, known by hand
SELECT '1011'::bitvec <~> '0011' AS hamming_1, hamming_distance('11111111', '00000000') AS hamming_8;
SELECT '1100'::bitvec <%> '1010' AS two_thirds, '1100'::bitvec <%> '1100' AS same, '1100'::bitvec <%> '0011' AS disjoint,
    '0000'::bitvec <%> '0000' AS both_empty, '0000'::bitvec <%> '0001' AS one_empty, jaccard_distance('111', '110') AS a_third;
-- every length around whole bytes and words: the last dimension counts, padding does not
SELECT count(*) AS lengths,
    bool_and((repeat('1', n))::bitvec <~> (repeat('0', n))::bitvec = n) AS all_differ,
    bool_and((repeat('0', n - 1) || '1')::bitvec <~> (repeat('0', n))::bitvec = 1) AS last_differs,
    bool_and((repeat('1', n))::bitvec <%> (repeat('1', n - 1) || '0')::bitvec = 1.0::float8 / n) AS last_missing,
    bool_and(bit_count((repeat('1', n))::bitvec) = n) AS counts
FROM generate_series(1, 600) AS n;
SELECT '1011'::bitvec <~> '101';
SELECT jaccard_distance('1011'::bitvec, '101');
SELECT NULL::bitvec <~> '1' AS null_in_null_out;

-- nearest first, by an operator alone
SELECT id, v <~> '00001000' AS hamming FROM (VALUES (1, '00000111'::bitvec), (2, '00001010'), (3, '00001111'), (4, '01100011'), (5, '01010000')) AS t(id, v)
ORDER BY 2, 1;

-- counts
SELECT vector_dims('10110'::bitvec), bit_count('10110'::bitvec), l2_norm('11110000'::bitvec);

-- bits
SELECT ~ '10110'::bitvec AS "not", '1100'::bitvec & '1010' AS "and", '1100'::bitvec | '1010' AS "or", '1100'::bitvec # '1010' AS "xor";
SELECT bitvec_send(~ '10110'::bitvec) AS padding_stays_zero;
SELECT '11'::bitvec & '1';
SELECT '11'::bitvec | '1';
SELECT '11'::bitvec # '1';

-- pieces
SELECT '101'::bitvec || '0110', '10101010'::bitvec || '1', '1'::bitvec || '10101010';
SELECT count(*) AS pairs, bool_and((a::bitvec || b::bitvec)::text = a || b) AS concatenates
FROM (SELECT substr(repeat('1101001', 10), 1, n) AS a FROM generate_series(1, 40) AS n) AS x,
     (SELECT substr(repeat('011', 20), 1, m) AS b FROM generate_series(1, 40) AS m) AS y;
SELECT bool_and(bitvec_send(a::bitvec || b::bitvec) = bitvec_send((a || b)::bitvec)) AS same_bytes
FROM (SELECT repeat('1', n) AS a FROM generate_series(1, 17) AS n) AS x, (SELECT repeat('1', m) AS b FROM generate_series(1, 17) AS m) AS y;
SELECT subvector('1011'::bitvec, 2, 2), subvector('1011'::bitvec, -1, 3), subvector('1011'::bitvec, 3, 100), subvector('1011'::bitvec, 2147483647 - 2147483646, 2147483647);
SELECT count(*) AS pieces, bool_and(bitvec_send(subvector(v::bitvec, s, c)) = bitvec_send(substr(v, s, c)::bitvec)) AS same_bytes
FROM (VALUES (substr(repeat('1101001', 10), 1, 67))) AS t(v), generate_series(1, 67) AS s, generate_series(1, 70) AS c;
SELECT subvector('1011'::bitvec, 5, 1);
SELECT subvector('1011'::bitvec, 1, 0);
SELECT subvector('1011'::bitvec, -5, 3);
SELECT subvector('1011'::bitvec, -2147483648, -2147483648);
SELECT repeat('1', 64000)::bitvec || '1';

-- storage: inline and as it is, also beside something long; out of line goes first what is longest
SELECT typstorage, typalign, typlen FROM pg_type WHERE typname = 'bitvec';
CREATE TABLE wide_bits (v bitvec(1024), t text[], big bitvec(64000));
ALTER TABLE wide_bits ALTER t SET STORAGE external;
INSERT INTO wide_bits SELECT (string_agg((hashint4(n) & 1)::text, ''))::bitvec, array_fill(repeat('x', 200), ARRAY[20]) FROM generate_series(1, 1024) AS n;
SELECT pg_column_size(v), pg_relation_size(reltoastrelid) > 4000 AS text_is_out FROM wide_bits, pg_class WHERE oid = 'wide_bits'::regclass;
UPDATE wide_bits SET big = (SELECT string_agg((hashint4(n) & 1)::text, '') FROM generate_series(1, 64000) AS n)::bitvec;
SELECT pg_column_size(v), vector_dims(big), bit_count(big) = (SELECT sum(hashint4(n) & 1) FROM generate_series(1, 64000) AS n) AS intact FROM wide_bits;
-- a short header leaves the bits unaligned
CREATE TABLE short_bits (c "char", v bitvec);
INSERT INTO short_bits SELECT 'x', (repeat('1', n))::bitvec FROM generate_series(1, 100) AS n;
SELECT bool_and(v <~> (~ v) = vector_dims(v)) AS unaligned, min(pg_column_size(v)), max(pg_column_size(v)) FROM short_bits;

DROP TABLE bits, wide_bits, short_bits;
