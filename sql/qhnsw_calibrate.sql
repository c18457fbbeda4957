-- target_recall: what search effort reaches which recall, measured and kept in the index.

CREATE FUNCTION noise(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((get_byte(decode(md5(seed || 'c' || j / 16), 'hex'), j % 16) - 127.5)::real ORDER BY j) FROM generate_series(0, dims - 1) AS j
$$;
-- near one of thirty points, which lie all on one side: hard for codes of one bit
CREATE FUNCTION near(seed int, dims int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((x + 0.2 * y + 100)::real ORDER BY j) FROM unnest(noise(-1 - seed % 30, dims), noise(seed, dims)) WITH ORDINALITY AS v(x, y, j)
$$;
CREATE TABLE items AS SELECT i AS id, near(i, 32) AS v FROM generate_series(1, 3000) AS i;
CREATE TABLE held_out AS SELECT i AS id, near(i, 32) AS v FROM generate_series(1000001, 1000150) AS i;
CREATE INDEX items_v ON items USING qhnsw (v real_l2_ops);

-- the build has measured
SELECT calibrated_at <= clock_timestamp() AS at, calibrated_on, calibration_queries BETWEEN 20 AND 200 AS queries, calibration_k, calibrated_rows,
    recall_targets <@ '{0.6,0.8,0.9,0.95,0.98,0.99,0.999}' AS targets, default_recall BETWEEN 0.95 AND 0.999 AS default_recall FROM qhnsw_info('items_v');
-- and so does the function, to the end
CREATE TABLE curve AS SELECT * FROM qhnsw_calibrate('items_v');
SELECT target, ef_search BETWEEN 1 AND 10000 AS ef_search, doubt BETWEEN -4 AND 12 AS doubt, recall > target - 0.005 AS reached FROM curve;
SELECT (SELECT array_agg(target) = recall_targets AND array_agg(ef_search) = recall_ef_search AND array_agg(doubt) = recall_doubt
    AND array_agg(recall) = recall_reached FROM curve) AS kept, calibration_queries FROM qhnsw_info('items_v');
SELECT bool_and(c = d) AS repeatable FROM curve AS c JOIN qhnsw_calibrate('items_v') AS d USING (target);

-- Recall that scans have, against exact search, for queries that are no rows of the table.
CREATE FUNCTION found(tab text, target real, k int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE share float8;
BEGIN
    PERFORM set_config('qhnsw.target_recall', target::text, true);
    EXECUTE format($q$
        SELECT avg((t.v <-> q.v <= q.worst)::int) FROM (
            SELECT *, (SELECT max(d) FROM (SELECT h.v <-> i.v AS d FROM %1$I AS i ORDER BY (h.v <-> i.v) + 0 LIMIT %2$s) AS n) AS worst FROM held_out AS h) AS q,
            LATERAL (SELECT v FROM %1$I ORDER BY v <-> q.v LIMIT %2$s) AS t$q$, tab, k) INTO share;
    RETURN share;
END $$;
SET enable_seqscan = off;
-- more only where the least effort there is finds more; 150 queries tell little of .60 and .80
SELECT target, share >= target - 0.02 AND (share <= target + 0.02 OR (ef_search, doubt) = (20, -2)) AS as_asked
FROM curve, found('items', target, 10) AS share WHERE target BETWEEN 0.85 AND 0.995;
SELECT found('items', 0.999, 10) > 0.985 AS nearly_all, found('items', 0.99, 100) > 0.96 AS more_rows;
RESET qhnsw.target_recall;

-- The effort of a scan.
CREATE FUNCTION effort(OUT ef_search int, OUT oversample real, OUT doubt real) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM id FROM items ORDER BY v <-> (SELECT v FROM held_out WHERE id = 1000001) LIMIT 10;
    SELECT s.ef_search, s.oversample::real, s.doubt::real INTO ef_search, oversample, doubt FROM qhnsw_last_scan() AS s;
END $$;
-- that of .95 or more by default, but no less than without a curve
SELECT e.ef_search >= greatest(c.ef_search, 40) AS ef_search, e.oversample, e.doubt >= greatest(c.doubt, 1.5) AS doubt FROM curve AS c, effort() AS e WHERE target = 0.95::real;
-- just what reaches the target that is set, or the index's own; nothing but doubt makes it read more rows than wanted
SET qhnsw.target_recall = 0.9;
SELECT (e.ef_search, e.doubt) = (c.ef_search, c.doubt) AS setting, oversample FROM curve AS c, effort() AS e WHERE target = 0.9::real;
SET qhnsw.target_recall = 0.5;
SELECT (e.ef_search, e.doubt) = (c.ef_search, c.doubt) AS no_less_than_measured FROM curve AS c, effort() AS e WHERE target = 0.6::real;
RESET qhnsw.target_recall;
ALTER INDEX items_v SET (target_recall = 0.99);
SELECT (e.ef_search, e.doubt) = (c.ef_search, c.doubt) AS parameter FROM curve AS c, effort() AS e WHERE target = 0.99::real;
SET qhnsw.target_recall = 0.9;
SELECT (e.ef_search, e.doubt) = (c.ef_search, c.doubt) AS setting FROM curve AS c, effort() AS e WHERE target = 0.9::real;
RESET qhnsw.target_recall;
-- between two points
SET qhnsw.target_recall = 0.97;
SELECT e.ef_search BETWEEN least(a.ef_search, b.ef_search) AND greatest(a.ef_search, b.ef_search) AND
    e.doubt BETWEEN least(a.doubt, b.doubt) AND greatest(a.doubt, b.doubt) AS between
FROM curve AS a, curve AS b, effort() AS e WHERE a.target = 0.95::real AND b.target = 0.98::real;
RESET qhnsw.target_recall;
ALTER INDEX items_v RESET (target_recall);
-- what is set overrides it
SET qhnsw.ef_search = 7;
SELECT * FROM effort();
RESET qhnsw.ef_search;
SET qhnsw.oversample = 4;
SELECT oversample FROM effort();
RESET qhnsw.oversample;

-- It leaves the session's settings and counters as they were, and is no scan of the index.
SET qhnsw.flat = on;
SET qhnsw.max_scan_tuples = 50;
SELECT codes_scored FROM effort(), qhnsw_last_scan();
SELECT bool_and(c = d) AS neutral FROM curve AS c JOIN qhnsw_calibrate('items_v') AS d USING (target);
SELECT codes_scored, current_setting('qhnsw.flat') AS flat, current_setting('qhnsw.max_scan_tuples') AS max_scan_tuples FROM qhnsw_last_scan();
RESET qhnsw.flat;
RESET qhnsw.max_scan_tuples;

-- Queries given: one vector, several, those of a column; another k.
SELECT count(*) FROM qhnsw_calibrate('items_v', (SELECT v FROM held_out WHERE id = 1000001));
SELECT calibrated_on, calibration_queries FROM qhnsw_info('items_v');
SELECT count(*) FROM qhnsw_calibrate('items_v', (SELECT array_agg(v) FROM held_out), k => 20);
SELECT calibrated_on, calibration_queries, calibration_k FROM qhnsw_info('items_v');
SELECT count(*) FROM qhnsw_calibrate('items_v', source => 'held_out', vector_column => 'v');
-- literals need no types
SELECT count(*) FROM qhnsw_calibrate('items_v', 'held_out', 'v');
SELECT count(*) FROM qhnsw_calibrate('items_v', 'nothing', 'v');
SELECT calibrated_on, calibration_queries, calibration_k FROM qhnsw_info('items_v');
-- no more than enough of them, and none that cannot be searched for
CREATE VIEW many AS SELECT CASE WHEN i % 7 > 0 THEN near(i, 32) END AS "Vector" FROM generate_series(1, 700) AS i;
SELECT count(*) FROM qhnsw_calibrate('items_v', 'many'::regclass, 'Vector');
SELECT calibrated_on, calibration_queries FROM qhnsw_info('items_v');

-- VACUUM and ANALYZE measure where the index has grown by half, or nothing was measured, but leave a curve for queries given.
CREATE TABLE grows (id int, v real[]);
CREATE INDEX grows_v ON grows USING qhnsw (v);
SELECT calibrated_on FROM qhnsw_info('grows_v');
INSERT INTO grows SELECT i, noise(i, 16) FROM generate_series(1, 900) AS i;
VACUUM grows;
SELECT calibrated_on FROM qhnsw_info('grows_v');
INSERT INTO grows SELECT i, noise(i, 16) FROM generate_series(901, 1200) AS i;
VACUUM grows;
SELECT calibrated_on, calibrated_at FROM qhnsw_info('grows_v') \gset
SELECT :'calibrated_on' AS calibrated_on;
INSERT INTO grows SELECT i, noise(i, 16) FROM generate_series(1201, 1300) AS i;
VACUUM grows;
ANALYZE grows;
SELECT calibrated_at = :'calibrated_at' AS not_due FROM qhnsw_info('grows_v');
INSERT INTO grows SELECT i, noise(i, 16) FROM generate_series(1301, 2000) AS i;
ANALYZE grows;
SELECT calibrated_at > :'calibrated_at' AS due, calibrated_on FROM qhnsw_info('grows_v');
SELECT count(*) FROM qhnsw_calibrate('grows_v', (SELECT array_agg(v) FROM grows WHERE id < 20));
INSERT INTO grows SELECT i, noise(i, 16) FROM generate_series(2001, 4000) AS i;
VACUUM ANALYZE grows;
SELECT calibrated_on FROM qhnsw_info('grows_v');
-- an expression that fails does not keep VACUUM from its end
CREATE TABLE fails AS SELECT i AS id, noise(i, 16) AS v FROM generate_series(1, 1500) AS i;
CREATE FUNCTION checked(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('regress.fails', true) = 'yes' THEN RAISE 'no model'; END IF;
    RETURN v;
END $$;
CREATE INDEX fails_v ON fails USING qhnsw (checked(v));
INSERT INTO fails SELECT i, noise(i, 16) FROM generate_series(1501, 3000) AS i;
SET regress.fails = 'yes';
VACUUM (PARALLEL 0) fails;
RESET regress.fails;
VACUUM (PARALLEL 0) fails;
SELECT calibrated_on FROM qhnsw_info('fails_v');

-- Codes that decide by themselves: the target is that of the code's distance.
CREATE TABLE bits AS SELECT i AS id, binary_quantize(noise(i, 64)) AS b FROM generate_series(1, 3000) AS i;
CREATE INDEX bits_b ON bits USING qhnsw (b) WITH (target_recall = 0.9);
CREATE INDEX bits_j ON bits USING qhnsw (b bitvec_jaccard_ops);
SELECT target, recall > target - 0.005 AS reached, doubt FROM qhnsw_calibrate('bits_b');
SELECT target, recall > target - 0.005 AS reached, doubt FROM qhnsw_calibrate('bits_j', source => 'bits', vector_column => 'b');
-- a part of a table; finer codes; an oversample that is set, which stays
CREATE INDEX items_part ON items USING qhnsw (v real_l2_ops) WHERE id > 1000;
SELECT target, recall > target - 0.005 AS reached FROM qhnsw_calibrate('items_part');
CREATE INDEX items_finer ON items USING qhnsw (v real_l2_ops) WITH (refine = 'int8');
SELECT target, recall > target - 0.005 AS reached FROM qhnsw_calibrate('items_finer');
CREATE INDEX items_narrow ON items USING qhnsw (v real_l2_ops) WITH (oversample = 1);
SELECT count(*) FILTER (WHERE recall BETWEEN 0.1 AND 1) AS points, bool_and(doubt < 12) AS doubt FROM qhnsw_calibrate('items_narrow');

-- errors
SET qhnsw.target_recall = 0.4;
SET qhnsw.target_recall = 1;
SET qhnsw.target_recall = -0.5;
SET qhnsw.target_recall = 'NaN';
ALTER INDEX items_v SET (target_recall = 0.4);
ALTER INDEX items_v SET (target_recall = 1);
SELECT * FROM qhnsw_calibrate('items_v', k => 0);
SELECT * FROM qhnsw_calibrate('items_v', k => 1001);
SELECT * FROM qhnsw_calibrate(NULL);
SELECT * FROM qhnsw_calibrate('items');
CREATE INDEX plain ON items (id);
SELECT * FROM qhnsw_calibrate('plain');
SELECT * FROM qhnsw_calibrate('items_v', '{1,2,3}');
SELECT * FROM qhnsw_calibrate('items_v', '{{1,2,3},{4,5,6}}');
SELECT * FROM qhnsw_calibrate('items_v', '{{{1,2},{3,4}}}');
SELECT * FROM qhnsw_calibrate('items_v', '{}');
SELECT * FROM qhnsw_calibrate('items_v', array_fill(NULL::real, ARRAY[32]));
SELECT * FROM qhnsw_calibrate('items_v', array_fill('NaN'::real, ARRAY[32]));
SELECT * FROM qhnsw_calibrate('bits_b', '{1,2,3}');
SELECT * FROM qhnsw_calibrate('items_v', source => 'held_out', vector_column => 'nothing');
SELECT * FROM qhnsw_calibrate('items_v', source => 'bits', vector_column => 'b');
SELECT * FROM qhnsw_calibrate('items_v', source => 'grows', vector_column => 'v');
CREATE INDEX few ON items USING qhnsw (v) WHERE id < 900;
CREATE INDEX nothing ON items USING qhnsw (v) WHERE id < 0;
SELECT calibrated_at, calibrated_on, calibration_queries, calibration_k, calibrated_rows, recall_targets, recall_ef_search, recall_doubt, recall_reached, default_recall FROM qhnsw_info('few');
SELECT * FROM qhnsw_calibrate('few');
SELECT * FROM qhnsw_calibrate('nothing');
CREATE TABLE same AS SELECT noise(i % 5, 16) AS v FROM generate_series(1, 3000) AS i;
CREATE INDEX same_v ON same USING qhnsw (v);
SELECT * FROM qhnsw_calibrate('same_v');
BEGIN READ ONLY;
SELECT * FROM qhnsw_calibrate('items_v');
ROLLBACK;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'few'::regclass;
SELECT * FROM qhnsw_calibrate('few');
CREATE ROLE regress_qvec_owner;
CREATE ROLE regress_qvec_other;
ALTER TABLE items OWNER TO regress_qvec_owner;
SET ROLE regress_qvec_other;
SELECT * FROM qhnsw_calibrate('items_v');
SET ROLE regress_qvec_owner;
SELECT count(*) FROM qhnsw_calibrate('items_v');
SELECT * FROM qhnsw_calibrate('items_v', source => 'held_out', vector_column => 'v');
REVOKE SELECT ON items FROM regress_qvec_owner;
SELECT * FROM qhnsw_calibrate('items_v');
RESET ROLE;
-- nothing was lost
SELECT calibrated_on FROM qhnsw_info('items_v');
SELECT * FROM qhnsw_check('items_v');
-- a rollback does not undo it, REINDEX measures anew
BEGIN;
SELECT count(*) FROM qhnsw_calibrate('items_v', (SELECT array_agg(v) FROM held_out));
ROLLBACK;
SELECT calibrated_on, calibration_queries FROM qhnsw_info('items_v');
REINDEX INDEX CONCURRENTLY items_v;
SELECT calibrated_on FROM qhnsw_info('items_v');

-- a row is no query of its own neighbours: bits at random, where a row's links lead to its nearest
CREATE TABLE coins AS SELECT i AS id, binary_quantize(noise(i, 128)) AS b FROM generate_series(1, 6000) AS i;
CREATE TABLE other_coins AS SELECT binary_quantize(noise(i, 128)) AS b FROM generate_series(1000001, 1000100) AS i;
CREATE INDEX coins_b ON coins USING qhnsw (b) WITH (m = 6);
SET qhnsw.target_recall = 0.95;
SELECT avg((t.d <= q.worst)::int) > 0.9 AS found FROM (
    SELECT *, (SELECT max(d) FROM (SELECT h.b <~> c.b AS d FROM coins AS c ORDER BY (h.b <~> c.b) + 0 LIMIT 10) AS n) AS worst FROM other_coins AS h) AS q,
    LATERAL (SELECT b <~> q.b AS d FROM coins ORDER BY b <~> q.b LIMIT 10) AS t;
SELECT recall_ef_search[2] > 40 AS more_effort FROM qhnsw_info('coins_b');
RESET qhnsw.target_recall;
DROP TABLE coins, other_coins;

DROP TABLE items, curve, grows, fails, bits, same CASCADE;
DROP VIEW many;
DROP TABLE held_out;
DROP FUNCTION noise, near, found, effort, checked;
DROP ROLE regress_qvec_owner, regress_qvec_other;
