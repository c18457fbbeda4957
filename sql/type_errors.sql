-- Every way bad input is refused, with its error code: bitvec, qvec8, real[].

CREATE FUNCTION fault(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
\pset format unaligned
\pset fieldsep ' | '
\pset footer off

-- text of bitvec
SELECT input, left(message, 80) AS message, code, detail FROM (VALUES ('102'), (''), (' 101'), ('101 '), ('1 01'), ('B101'), ('[1,0]'), ('１')) AS t(input), LATERAL fault(format('SELECT %L::bitvec', input));
SELECT n, f.* FROM (VALUES (64001), (1000000)) AS t(n), LATERAL fault(format('SELECT repeat(''1'', %s)::bitvec', n)) AS f;

-- text of qvec8
SELECT input, f.* FROM (VALUES (''), ('[]'), ('['), ('1,2'), ('[1'), ('[1,'), ('[1,]'), ('[,1]'), ('[1 2]'), ('[1]]'), ('[1] x'), ('[1.5]'), ('[1e1]'), ('[a]'), ('[--1]'), ('[- 1]'), ('[NaN]'),
    ('[128]'), ('[-129]'), ('[1,99999999999999999999]'), ('[-99999999999999999999]'),
    ('[1]*'), ('[1]*x'), ('[1]*+2'), ('[1]**2'), ('[1]*-2'), ('[1]*0'), ('[1]*0.0'), ('[1]*NaN'), ('[1]*Infinity'), ('[1]*inf'), ('[1]*1e39'), ('[1]*1e-50'),
    ('[1]+'), ('[1]-'), ('[1]+-1'), ('[1]--1'), ('[1]+x'), ('[1]+1+1'), ('[1]+NaN'), ('[1]-Infinity'), ('[1]+1e39'), ('[1]+0.5*2'), ('{1,2]'), ('[1,２]')) AS t(input), LATERAL fault(format('SELECT %L::qvec8', input)) AS f;
SELECT f.* FROM fault($$SELECT ('[' || repeat('1,', 16000) || '1]')::qvec8$$) AS f;

-- numbers of dimensions
SELECT statement, f.* FROM (VALUES ('SELECT ''101''::bitvec(2)'), ('SELECT ''[1,2]''::qvec8(3)'), ('SELECT ''101''::bitvec(0)'), ('SELECT ''101''::bitvec(-1)'), ('SELECT ''101''::bitvec(64001)'), ('SELECT ''101''::bitvec(3,4)'), ('SELECT ''101''::bitvec(''x'')'),
    ('SELECT ''[1]''::qvec8(0)'), ('SELECT ''[1]''::qvec8(16001)'), ('CREATE TABLE t (v qvec8(1,2))'),
    ('SELECT ''101''::bitvec <~> ''10'''), ('SELECT ''101''::bitvec <%> ''10'''), ('SELECT ''[1,2]''::qvec8 <-> ''[1]'''), ('SELECT ''{1,2}''::real[] <=> ''{1}'''),
    ('SELECT subvector(''101''::bitvec, 9, 1)'), ('SELECT ''[1]*2''::qvec8 || ''[1]+1''')) AS t(statement), LATERAL fault(statement) AS f;

-- casts
SELECT statement, f.* FROM (VALUES ('SELECT ''''::varbit::bitvec'), ('SELECT ''''::bytea::bitvec'), ('SELECT repeat(''1'', 64001)::varbit::bitvec'), ('SELECT decode(repeat(''00'', 8001), ''hex'')::bitvec'),
    ('SELECT ''{}''::integer[]::bitvec'), ('SELECT ''{256}''::integer[]::bitvec'), ('SELECT ''{0,-129}''::smallint[]::bitvec'), ('SELECT ''{{1}}''::smallint[]::bitvec'), ('SELECT ''{1,2,NULL}''::integer[]::bitvec'), ('SELECT array_fill(1, ARRAY[8001])::bitvec'),
    ('SELECT ''{}''::boolean[]::bitvec'), ('SELECT ''{t,NULL}''::boolean[]::bitvec'), ('SELECT ''{{t}}''::boolean[]::bitvec'), ('SELECT array_fill(true, ARRAY[64001])::bitvec'),
    ('SELECT ''{}''::integer[]::qvec8'), ('SELECT ''{1,128}''::integer[]::qvec8'), ('SELECT ''{-129}''::smallint[]::qvec8'), ('SELECT ''{{1}}''::smallint[]::qvec8'), ('SELECT ''{NULL}''::integer[]::qvec8'), ('SELECT array_fill(1, ARRAY[16001])::qvec8'),
    ('SELECT ''{}''::real[]::qvec8'), ('SELECT ''{1,NaN}''::real[]::qvec8'), ('SELECT array_fill(1::real, ARRAY[16001])::qvec8'), ('SELECT ''{1,NULL}''::real[]::qvec8')) AS t(statement), LATERAL fault(statement) AS f;

-- quantizing
SELECT statement, f.* FROM (VALUES ('SELECT binary_quantize(''{}''::real[])'), ('SELECT binary_quantize(''{{1}}''::real[])'), ('SELECT binary_quantize(''{1,NULL}''::real[])'), ('SELECT binary_quantize(''{1,2,NaN}''::real[])'), ('SELECT binary_quantize(''{-Infinity}''::real[])'), ('SELECT binary_quantize(array_fill(1::real, ARRAY[64001]))'),
    ('SELECT quantize_int8(''{1,Infinity}''::real[])'), ('SELECT quantize_int8(''{1}''::real[], 1, 1)'), ('SELECT quantize_int8(''{1}''::real[], 2, 1)'), ('SELECT quantize_int8(''{1}''::real[], ''NaN'', 1)'), ('SELECT quantize_int8(''{1}''::real[], 0, ''Infinity'')'), ('SELECT quantize_int8(''{1}''::real[], 0, 1e-45)'), ('SELECT quantize_int8(''{NaN}''::real[], 0, 1)'),
    ('SELECT dequantize(''[1,127]*3e38''::qvec8)'), ('SELECT dequantize(''[-128]*3e38''::qvec8)')) AS t(statement), LATERAL fault(statement) AS f;

DROP FUNCTION fault;
