-- amvalidate: the operator classes there are, and such as are broken in each way.
SELECT opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE amname = 'qhnsw' ORDER BY opcname COLLATE "C";

CREATE FUNCTION valid(class text) RETURNS boolean LANGUAGE sql AS $$
    SELECT amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
    WHERE amname = 'qhnsw' AND opcname = class
$$;

-- sound, of one's own
CREATE OPERATOR CLASS own_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <-> (real[], real[]) FOR ORDER BY float_ops, FUNCTION 1 qhnsw_real_l2(internal);
SELECT valid('own_ops');
CREATE TABLE owned (r real[]);
INSERT INTO owned VALUES ('{1,2}'), ('{3,4}');
CREATE INDEX ON owned USING qhnsw (r own_ops);
DROP TABLE owned;

-- no support function; no operator; neither
CREATE OPERATOR CLASS nofunc_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <-> (real[], real[]) FOR ORDER BY float_ops;
SELECT valid('nofunc_ops');
CREATE OPERATOR CLASS noop_ops FOR TYPE real[] USING qhnsw AS
    FUNCTION 1 qhnsw_real_l2(internal);
SELECT valid('noop_ops');
CREATE OPERATOR CLASS empty_ops FOR TYPE real[] USING qhnsw AS STORAGE real[];
SELECT valid('empty_ops');

-- an operator that searches in place of ordering
CREATE OPERATOR CLASS search_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 = (anyarray, anyarray) FOR SEARCH, FUNCTION 1 qhnsw_real_l2(internal);
SELECT valid('search_ops');
-- numbers there are not, and such as are of filter columns
CREATE OPERATOR CLASS ninth_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 9 <-> (real[], real[]) FOR ORDER BY float_ops, FUNCTION 1 qhnsw_real_l2(internal);
CREATE OPERATOR CLASS third_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <-> (real[], real[]) FOR ORDER BY float_ops, FUNCTION 3 qhnsw_real_l2(internal);
CREATE OPERATOR CLASS second_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 2 <-> (real[], real[]) FOR ORDER BY float_ops, FUNCTION 1 qhnsw_real_l2(internal);
SELECT valid('second_ops');
-- a filter column that is ordered by; one without operators; one that is a column of vectors too
CREATE OPERATOR CLASS ordering_ops FOR TYPE int4 USING qhnsw AS
    OPERATOR 1 - (int4, int4) FOR ORDER BY integer_ops, FUNCTION 2 qhnsw_filter_int4(internal);
SELECT valid('ordering_ops');
CREATE OPERATOR CLASS bare_ops FOR TYPE int4 USING qhnsw AS FUNCTION 2 qhnsw_filter_int4(internal);
SELECT valid('bare_ops');
CREATE OPERATOR CLASS both_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 3 = (anyarray, anyarray), FUNCTION 1 qhnsw_real_l2(internal), FUNCTION 2 qhnsw_filter_array(internal);
SELECT valid('both_ops');
-- a filter column of one operator is sound
CREATE OPERATOR CLASS equal_ops FOR TYPE int4 USING qhnsw AS
    OPERATOR 3 = (int4, int4), FUNCTION 2 qhnsw_filter_int4(internal);
SELECT valid('equal_ops');
-- a function of another shape
CREATE OPERATOR CLASS shape_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <-> (real[], real[]) FOR ORDER BY float_ops, FUNCTION 1 l2_norm(real[]);
SELECT valid('shape_ops');
-- an operator whose result is no distance
CREATE FUNCTION whole(real[], real[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE OPERATOR <!> (LEFTARG = real[], RIGHTARG = real[], FUNCTION = whole);
CREATE OPERATOR CLASS whole_ops FOR TYPE real[] USING qhnsw AS
    OPERATOR 1 <!> (real[], real[]) FOR ORDER BY integer_ops, FUNCTION 1 qhnsw_real_l2(internal);
SELECT valid('whole_ops');
-- a family whose second type is half there
CREATE OPERATOR FAMILY half USING qhnsw;
CREATE OPERATOR CLASS half_ops FOR TYPE real[] USING qhnsw FAMILY half AS
    OPERATOR 1 <-> (real[], real[]) FOR ORDER BY float_ops, FUNCTION 1 qhnsw_real_l2(internal);
SELECT valid('half_ops');
ALTER OPERATOR FAMILY half USING qhnsw ADD OPERATOR 1 <~> (bitvec, bitvec) FOR ORDER BY float_ops;
SELECT valid('half_ops');
ALTER OPERATOR FAMILY half USING qhnsw ADD FUNCTION 1 (bitvec, bitvec) qhnsw_bitvec_hamming(internal);
SELECT valid('half_ops');
ALTER OPERATOR FAMILY half USING qhnsw ADD FUNCTION 1 (bitvec, qvec8) qhnsw_bitvec_hamming(internal);
SELECT valid('half_ops');

-- an index of a broken class is refused, or does no harm
CREATE TABLE broken (r real[]);
INSERT INTO broken VALUES ('{1,2}');
CREATE INDEX ON broken USING qhnsw (r nofunc_ops);
CREATE INDEX ON broken USING qhnsw (r noop_ops);
SET enable_seqscan = off;
SELECT * FROM broken ORDER BY r <-> '{1,1}' LIMIT 1;
DROP TABLE broken;

-- what the access method says it can do
SELECT p, pg_indexam_has_property(a.oid, p) FROM pg_am a,
    unnest('{can_order,can_unique,can_multi_col,can_exclude,can_include}'::text[]) AS p WHERE amname = 'qhnsw';
CREATE TABLE props (b bitvec(4));
CREATE INDEX props_b ON props USING qhnsw (b);
SELECT p, pg_index_has_property('props_b', p) FROM unnest('{clusterable,index_scan,bitmap_scan,backward_scan}'::text[]) AS p;
SELECT p, pg_index_column_has_property('props_b', 1, p)
FROM unnest('{asc,desc,orderable,distance_orderable,returnable,search_array,search_nulls}'::text[]) AS p;
CLUSTER props USING props_b;
\set VERBOSITY sqlstate
ALTER TABLE props ADD EXCLUDE USING qhnsw (b WITH =);
\set VERBOSITY default
DROP TABLE props;

DROP OPERATOR FAMILY own_ops USING qhnsw;
DROP OPERATOR FAMILY nofunc_ops USING qhnsw;
DROP OPERATOR FAMILY noop_ops USING qhnsw;
DROP OPERATOR FAMILY empty_ops USING qhnsw;
DROP OPERATOR FAMILY search_ops USING qhnsw;
DROP OPERATOR FAMILY second_ops USING qhnsw;
DROP OPERATOR FAMILY ordering_ops USING qhnsw;
DROP OPERATOR FAMILY bare_ops USING qhnsw;
DROP OPERATOR FAMILY both_ops USING qhnsw;
DROP OPERATOR FAMILY equal_ops USING qhnsw;
DROP OPERATOR FAMILY shape_ops USING qhnsw;
DROP OPERATOR FAMILY whole_ops USING qhnsw;
DROP OPERATOR FAMILY half USING qhnsw;
DROP OPERATOR <!> (real[], real[]);
DROP FUNCTION whole(real[], real[]);
DROP FUNCTION valid(text);

-- An oid that is no relation's
SELECT * FROM qhnsw_info(0);
SELECT * FROM qhnsw_check(0);
SELECT qhnsw_recall(0, 10, 10);
