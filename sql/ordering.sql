-- Comparison of bitvec and qvec8, with btree and hash.

-- bits as strings of bits: a prefix comes first
SELECT v FROM unnest('{11,1,10,0,01,100000000,10000000,00}'::bitvec[]) AS v ORDER BY v;
SELECT count(*) AS pairs, bool_and((a::bitvec < b::bitvec) = (a < b COLLATE "C") AND (a::bitvec <= b::bitvec) = (a <= b COLLATE "C") AND (a::bitvec = b::bitvec) = (a = b)
    AND (a::bitvec <> b::bitvec) = (a <> b) AND (a::bitvec > b::bitvec) = (a > b COLLATE "C") AND (a::bitvec >= b::bitvec) = (a >= b COLLATE "C") AND sign(bitvec_cmp(a::bitvec, b::bitvec)) = (a > b COLLATE "C")::int - (a < b COLLATE "C")::int) AS as_text
FROM (SELECT substr((n * 37 % 1024)::bit(10)::text || (n * 91 % 256)::bit(8)::text, 1, 1 + n % 18) AS a FROM generate_series(1, 150) AS n) AS x, (SELECT substr((n * 53 % 1024)::bit(10)::text || (n * 17 % 256)::bit(8)::text, 1, 1 + n % 17) AS b FROM generate_series(1, 150) AS n) AS y;

-- codes by the values they stand for, then by what they are
SELECT v FROM unnest(ARRAY['[2]', '[1]*2', '[1]', '[-128]', '[1,0]', '[0]+1.5', '[127]*0.001', '[1,-1]', '[3]-1']::qvec8[]) AS v ORDER BY v;
SELECT '[2]'::qvec8 = '[2]' AS equal, '[2]'::qvec8 = '[1]*2' AS same_value_other_scale, '[1]'::qvec8 = '[1]*1.0+0' AS same_written_longer, '[1]*1e-30+1e30'::qvec8 = '[2]*1e-30+1e30' AS swallowed_codes;
SELECT count(*) AS pairs,
    bool_and((a < b)::int + (a = b)::int + (a > b)::int = 1) AS one_of_three,
    bool_and((a <= b) = NOT (a > b) AND (a >= b) = NOT (a < b) AND (a <> b) = NOT (a = b)) AS negators,
    bool_and((a < b) = (b > a) AND (a <= b) = (b >= a)) AS commutators,
    bool_and((a = b) = (qvec8_send(a) = qvec8_send(b))) AS equal_is_same_bytes,
    bool_and(qvec8_cmp(a, b) = (a > b)::int - (a < b)::int) AS cmp
FROM (SELECT ('[' || n % 5 - 2 || ',' || n % 3 || ']*' || 1 + n % 2 || '+' || n % 4)::qvec8 AS a FROM generate_series(1, 120) AS n) AS x, (SELECT ('[' || n % 5 - 2 || ',' || n % 3 || ']*' || 1 + n % 2 || '+' || n % 4)::qvec8 AS b FROM generate_series(1, 120) AS n) AS y;
-- equal values hash alike, whatever header they have
CREATE TABLE short_headers AS SELECT repeat('1', n) AS text, repeat('1', n)::bitvec AS b, ('[' || n || ']')::qvec8 AS q FROM generate_series(1, 100) AS n;
SELECT bool_and(bitvec_hash(b) = bitvec_hash(text::bitvec) AND bitvec_hash_extended(b, 7) = bitvec_hash_extended(text::bitvec, 7) AND b = text::bitvec) AS bits,
    bool_and(qvec8_hash(q) = qvec8_hash(q::text::qvec8) AND qvec8_hash_extended(q, 7) = qvec8_hash_extended(q::text::qvec8, 7) AND q = q::text::qvec8) AS codes FROM short_headers;
DROP TABLE short_headers;
SELECT count(DISTINCT bitvec_hash((repeat('0', n))::bitvec)) AS lengths_hash_apart, count(DISTINCT qvec8_hash(('[1]*' || n)::qvec8)) AS scales_hash_apart FROM generate_series(1, 100) AS n;
SELECT bitvec_hash_extended('101', 0)::bit(32) = bitvec_hash('101')::bit(32) AS bits_seed_0, qvec8_hash_extended('[1]', 0)::bit(32) = qvec8_hash('[1]')::bit(32) AS codes_seed_0,
    bitvec_hash_extended('101', 1) <> bitvec_hash_extended('101', 0) AS bits_seed_1, qvec8_hash_extended('[1]', 1) <> qvec8_hash_extended('[1]', 0) AS codes_seed_1;

-- indexes
CREATE TABLE ordered (b bitvec(10), q qvec8(2));
INSERT INTO ordered SELECT (n % 500)::bit(10)::bitvec, ('[' || n % 100 || ',' || n % 7 || ']*0.5')::qvec8 FROM generate_series(1, 2000) AS n;
CREATE INDEX ordered_b_btree ON ordered USING btree (b);
CREATE INDEX ordered_b_hash ON ordered USING hash (b);
CREATE INDEX ordered_q_btree ON ordered USING btree (q);
CREATE INDEX ordered_q_hash ON ordered USING hash (q);
ANALYZE ordered;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
BEGIN;
DROP INDEX ordered_b_hash, ordered_q_hash;
EXPLAIN (COSTS off) SELECT count(*) FROM ordered WHERE b >= '0111100000';
SELECT count(*) FROM ordered WHERE b >= '0111100000';
SELECT count(*) FROM ordered WHERE b < '0000000011';
EXPLAIN (COSTS off) SELECT q FROM ordered ORDER BY q DESC LIMIT 3;
SELECT q FROM ordered ORDER BY q DESC LIMIT 3;
SELECT count(*) FROM ordered WHERE q = '[50,1]*0.5';
ROLLBACK;
BEGIN;
DROP INDEX ordered_b_btree, ordered_q_btree;
EXPLAIN (COSTS off) SELECT count(*) FROM ordered WHERE b = '0000000011';
SELECT count(*) FROM ordered WHERE b = '0000000011';
EXPLAIN (COSTS off) SELECT count(*) FROM ordered WHERE q = '[50,1]*0.5';
SELECT count(*) FROM ordered WHERE q = '[50,1]*0.5';
ROLLBACK;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- joins and groups by hash, by merge
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT count(*) AS merged FROM ordered x JOIN ordered y USING (b);
RESET enable_hashjoin;
SET enable_mergejoin = off;
SELECT count(*) AS hashed FROM ordered x JOIN ordered y USING (b);
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT count(DISTINCT b) AS bits, count(DISTINCT q) AS codes FROM ordered;
SELECT count(*) AS groups FROM (SELECT q FROM ordered GROUP BY q) AS t;
CREATE TABLE by_hash (b bitvec) PARTITION BY HASH (b);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash SELECT b FROM ordered;
SELECT count(*) > 0 AS some FROM by_hash_0;
SELECT count(*) AS of_one FROM by_hash WHERE b = '0000000011';
-- a unique index sees the duplicates
CREATE UNIQUE INDEX ON ordered (b);
DROP TABLE ordered, by_hash;

-- every operator class is sound
SELECT opcname, amname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE opcname IN ('bitvec_ops', 'qvec8_ops') ORDER BY 1, 2;
