-- Casts of bitvec and qvec8, and in which contexts they happen.

-- bit and varbit
SELECT B'10110'::bitvec, '10110'::varbit::bitvec, B'10110'::bitvec(5), '10110'::bitvec::bit(5), '10110'::bitvec::varbit, '10110'::bitvec::varbit(3) AS cut;
SELECT bool_and(v::bitvec::varbit = v AND varbit_send(v) = bitvec_send(v::bitvec)) AS round_trip FROM (SELECT repeat('110', n)::varbit AS v FROM generate_series(1, 50) AS n) AS t;
SELECT B'10110'::bitvec(4);
-- bytea: packed bytes
SELECT '\x63ff'::bytea::bitvec, '0110001111111111'::bitvec::bytea, '011000111'::bitvec::bytea AS padded, '\x00'::bytea::bitvec(8);
SELECT '\x00'::bytea::bitvec(7);
-- signed or unsigned bytes
SELECT '{99}'::smallint[]::bitvec AS "01100011", '{99}'::integer[]::bitvec, '{-1,-128,127,0}'::smallint[]::bitvec, '{255,128}'::integer[]::bitvec AS unsigned, '[3:4]={1,2}'::integer[]::bitvec;
-- boolean
SELECT '{t,f,t,t,f,f,f,f,t}'::boolean[]::bitvec, '1011'::bitvec::boolean[], '{f}'::boolean[]::bitvec::boolean[];
SELECT bool_and(v::bitvec::boolean[] = v) AS round_trip FROM (SELECT array_agg(i % 3 = 0) AS v FROM generate_series(1, 40) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
-- qvec8
SELECT '{-128,0,127}'::smallint[]::qvec8, '{-128,0,127}'::integer[]::qvec8(3), '{1,-0.5,0.25}'::real[]::qvec8, '[2,-4]*0.5+1'::qvec8::real[], '[1,2]'::qvec8::real[]::qvec8;

-- numbers with a fraction quantize, whatever they came as
SELECT '{1,-0.5,0.25}'::double precision[]::qvec8, ARRAY[1,-0.5,0.25]::qvec8(3), '{1,-0.5,0.25}'::numeric[]::qvec8 = '{1,-0.5,0.25}'::real[]::qvec8 AS same;
SELECT '{1e39}'::double precision[]::qvec8;
SELECT '{NaN}'::numeric[]::qvec8;
SELECT '{}'::numeric[]::qvec8;
SELECT '{1,NULL}'::double precision[]::qvec8;

-- golden rows: whole numbers as bytes, nearest to 8 and to 9
SELECT q, id, ARRAY[n]::integer[]::bitvec <~> ARRAY[q]::integer[]::bitvec AS h
FROM (VALUES (1, 7), (2, 10), (3, 15), (4, 99), (5, 80)) AS t(id, n), (VALUES (8), (9)) AS s(q) ORDER BY q, h, id;

-- on assignment all of them
CREATE TABLE assigned (b bitvec(8), q qvec8(2), r real[], bits bit(8), vbits varbit, bytes bytea, bools boolean[]);
INSERT INTO assigned (b) VALUES (B'01100011'), ('01100011'::varbit), ('\x63'::bytea), ('{99}'::smallint[]), ('{99}'::integer[]), ('{f,t,t,f,f,f,t,t}'::boolean[]);
SELECT b, count(*) FROM assigned GROUP BY b;
TRUNCATE assigned;
INSERT INTO assigned (q) VALUES ('{1,2}'::smallint[]), ('{1,2}'::integer[]), ('{1,2}'::real[]), ('{1,2}'::double precision[]), ('{1,2}'::numeric[]);
INSERT INTO assigned (bits, vbits, bytes, bools, r) SELECT b, b, b, b, q FROM (VALUES ('01100011'::bitvec, '[1,2]*0.5'::qvec8)) AS t(b, q);
SELECT * FROM assigned;
INSERT INTO assigned (b) VALUES (B'0110');
INSERT INTO assigned (q) VALUES ('{1,2,3}'::real[]);
DROP TABLE assigned;

-- implicitly only bit to bitvec
SELECT '1011'::bitvec <~> B'0011' AS bit_literal, '1011'::bitvec = B'1011' AS equal, B'1011' <%> '1011'::bitvec AS jaccard;
SELECT '[1,2]'::qvec8 <-> '{1,2}'::real[];
SELECT '1011'::bitvec = '\x0b'::bytea;
-- and what bit and varbit did before, they do still
SELECT pg_typeof(B'10' || B'01'), pg_typeof(B'10' || '01'), pg_typeof('10'::varbit || B'01'), B'10' & B'11', ~ B'10', B'10' = B'10', B'10' < '11'::varbit, bit_count('110'::varbit);
SELECT pg_typeof(bitvec '10' || B'01'), pg_typeof(bitvec '10' & B'01');
