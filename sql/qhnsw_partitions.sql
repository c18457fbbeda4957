-- qhnsw_info, qhnsw_check and qhnsw_recall of a partitioned table or index: of the indexes of its partitions.

CREATE TABLE parted (id int, part int, v real[], b bitvec(64)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE parted_2a PARTITION OF parted_2 FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted_2b PARTITION OF parted_2 FOR VALUES FROM (1000) TO (100000);
CREATE TABLE parted_none PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i, i % 3 % 2 + 1, v, binary_quantize(v || v || v || v)::bitvec(64)
FROM (SELECT i, ARRAY(SELECT sin(i * j * 0.7)::real FROM generate_series(1, 16) AS j) AS v FROM generate_series(1, 2000) AS i) AS t;
CREATE INDEX parted_v ON parted USING qhnsw (v real_l2_ops) WITH (dims = 16);
CREATE INDEX parted_b ON parted USING qhnsw (b);
CREATE INDEX parted_id ON parted (id);
CREATE INDEX own ON parted_2b USING qhnsw (v real_ip_ops);

-- of a partitioned index: its own; of a partition that is partitioned: below it; of a table: all there are
SELECT index_name, metric, dims, rows, rows = nodes AS distinct_codes FROM qhnsw_info('parted_v');
SELECT index_name, metric, rows FROM qhnsw_info('parted_2_b_idx');
SELECT index_name, metric, rows FROM qhnsw_info('parted') ORDER BY index_name::text COLLATE "C";
SELECT index_name FROM qhnsw_info('parted_2') ORDER BY index_name::text COLLATE "C";
SELECT index_name, rows = (SELECT count(*) FROM parted_1) AS counted FROM qhnsw_info('parted_1_v_idx');
SELECT sum(rows) AS rows FROM qhnsw_info('parted_v');

-- recall: a row for each of qhnsw_info, in its order; defaults of 10 and 100
SELECT count(*), bool_and(coalesce(recall > 0.9, true)) AS most, count(*) FILTER (WHERE recall IS NULL) AS none FROM qhnsw_recall('parted_v', 10, 20) AS recall;
SELECT index_name, round(qhnsw_recall(index_name, 5, 10)::numeric, 1) AS recall FROM qhnsw_info('parted_v');
SELECT qhnsw_recall('parted_1_v_idx') = qhnsw_recall('parted_1_v_idx', 10, 100) AS defaults, qhnsw_recall('parted_1_v_idx', samples => 7) = qhnsw_recall('parted_1_v_idx', 10, 7) AS k_by_default;
SELECT array_agg(recall) = (SELECT array_agg(recall) FROM (SELECT qhnsw_recall(index_name, 10, 20) AS recall FROM qhnsw_info('parted_v')) AS t) AS same FROM qhnsw_recall('parted_v', 10, 20) AS recall;

-- faults are named by the partition's index
SELECT * FROM qhnsw_check('parted', true);
SELECT * FROM qhnsw_check('parted_v');
BEGIN;
-- rows that a clumsy index of a partition misses
UPDATE pg_index SET indisready = false WHERE indexrelid = 'parted_2a_v_idx'::regclass;
INSERT INTO parted SELECT 999, 2, ARRAY(SELECT j FROM generate_series(1, 16) AS j), repeat('10', 32)::bitvec(64);
UPDATE pg_index SET indisready = true WHERE indexrelid = 'parted_2a_v_idx'::regclass;
SELECT index_name, count(*), min(fault) ~ 'row' AS fault FROM qhnsw_check('parted_v', true) GROUP BY 1;
SELECT index_name, count(*) FROM qhnsw_check('parted', true) GROUP BY 1;
ROLLBACK;

-- what is none
SELECT * FROM qhnsw_check('parted_id');
SELECT qhnsw_recall('parted_id');
SELECT rows FROM qhnsw_info('parted_1');
SELECT * FROM qhnsw_recall('parted_v', 0);
CREATE TABLE bare (id int, v real[]) PARTITION BY LIST (id);
SELECT * FROM qhnsw_check('bare');
CREATE INDEX bare_v ON bare USING qhnsw (v);
SELECT * FROM qhnsw_check('bare_v');
SELECT * FROM qhnsw_check('bare');
SELECT rows FROM qhnsw_info(0);
SELECT * FROM qhnsw_recall(NULL);
DROP TABLE bare;

-- the caller owns the one that he names, and those of the partitions
CREATE ROLE regress_partitions_other;
SET ROLE regress_partitions_other;
SELECT rows FROM qhnsw_info('parted_v');
SELECT rows FROM qhnsw_info('parted');
RESET ROLE;
ALTER TABLE parted OWNER TO regress_partitions_other;
SET ROLE regress_partitions_other;
SELECT rows FROM qhnsw_info('parted_v');
RESET ROLE;
DROP TABLE parted;
DROP ROLE regress_partitions_other;
