-- Bad input of bitvec and qvec8 is reported without throwing, where the server can (PostgreSQL 16 and later).

SELECT current_setting('server_version_num')::int < 160000 AS absent \gset
\if :absent
\quit
\endif

SELECT type, input, pg_input_is_valid(input, type), e.message, e.sql_error_code AS code
FROM (VALUES ('bitvec', '101'), ('bitvec', '102'), ('bitvec', ''), ('bitvec(3)', '101'), ('bitvec(3)', '10'), ('bitvec', '\xa0'), ('bitvec', '\xa'), ('bitvec', '\xg0'), ('bitvec', '\x'), ('bitvec(7)', '\xa0'), ('qvec8', '{1,2}'), ('qvec8', '{1,2]'),
    ('qvec8', '[1,2]*0.5+1'), ('qvec8', '[1'), ('qvec8', '[1.5]'), ('qvec8', '[128]'), ('qvec8', '[1]*x'), ('qvec8', '[1]*0'), ('qvec8', '[1]*-1'), ('qvec8', '[1]*1e39'), ('qvec8', '[1]+NaN'), ('qvec8', '[1] 2'),
    ('qvec8(2)', '[1,2]'), ('qvec8(2)', '[1]')) AS t(type, input), LATERAL pg_input_error_info(input, type) AS e;
SELECT pg_input_is_valid(repeat('1', 64000), 'bitvec') AS longest, pg_input_is_valid(repeat('1', 64001), 'bitvec') AS too_long;
SELECT pg_input_is_valid('[' || repeat('1,', 15999) || '1]', 'qvec8') AS longest, pg_input_is_valid('[' || repeat('1,', 16000) || '1]', 'qvec8') AS too_long;
