# Builds without WAL, dump and restore, and reindexing under writes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('storage', 'wal_level = minimal', 'max_wal_senders = 0', 'archive_mode = off', 'wal_skip_threshold = 0');

# ---- wal_level = minimal: what is built in the transaction that made the table is synced, not logged

load_vectors($node, 'source', 3000, 64, 10);
is($node->safe_psql('postgres', 'SHOW wal_level'), 'minimal', 'WAL is minimal');
$node->safe_psql('postgres', q{
	BEGIN;
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[], b bitvec(64), q qvec8(64));
	INSERT INTO t (v, b, q) SELECT v, binary_quantize(v), quantize_int8(v) FROM source WHERE id <= 2000;
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE INDEX t_b ON t USING qhnsw (b);
	CREATE INDEX t_q ON t USING qhnsw (q qvec8_l2_ops);
	INSERT INTO t (v, b, q) SELECT v, binary_quantize(v), quantize_int8(v) FROM source WHERE id > 2000 AND id <= 2500;
	COMMIT;
	CREATE TABLE later AS TABLE t;
	CREATE INDEX later_v ON later USING qhnsw (v);
	BEGIN; TRUNCATE t; INSERT INTO t (v, b, q) SELECT v, binary_quantize(v), quantize_int8(v) FROM source WHERE id <= 2500; ROLLBACK;
	BEGIN; TRUNCATE later; INSERT INTO later SELECT * FROM t WHERE id <= 1000; COMMIT});
$node->stop('immediate');
$node->start;
sound($node, $_, 'minimal WAL, after a crash') for ('t_v', 't_b', 't_q', 'later_v');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM later)'), '2500|1000', 'all rows are there');
finds_all($node, 't', 'v', '<=>', 'minimal WAL, after a crash');
finds_all($node, 'later', 'v', '<=>', 'minimal WAL, after a crash');
$node->safe_psql('postgres', 'INSERT INTO t (v, b, q) SELECT v, binary_quantize(v), quantize_int8(v) FROM source WHERE id > 2500');
$node->stop('immediate');
$node->start;
sound($node, $_, 'and with rows inserted after it') for ('t_v', 't_b', 't_q');

# ---- dump and restore, all operator classes

$node->safe_psql('postgres', q{
	CREATE INDEX t_jaccard ON t USING qhnsw (b bitvec_jaccard_ops) WITH (m = 8);
	CREATE INDEX t_q_cosine ON t USING qhnsw (q qvec8_cosine_ops) WITH (ef_construction = 32);
	CREATE INDEX t_q_ip ON t USING qhnsw (q qvec8_ip_ops);
	CREATE INDEX t_v_l2 ON t USING qhnsw (v real_l2_ops) WITH (oversample = 5);
	CREATE INDEX t_v_ip ON t USING qhnsw (v real_ip_ops) WITH (compression = '32x');
	CREATE INDEX t_part ON t USING qhnsw ((binary_quantize(v)::bitvec(64))) WHERE id % 2 = 0;
	CREATE TABLE empty (v real[]);
	CREATE INDEX empty_v ON empty USING qhnsw (v) WITH (dims = 12);
	CREATE UNLOGGED TABLE u AS TABLE t;
	CREATE INDEX u_b ON u USING qhnsw (b);
	CREATE DATABASE restored});
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored');
my $defs = q{SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%qhnsw%' ORDER BY indexname};
is($node->safe_psql('restored', $defs), $node->safe_psql('postgres', $defs), 'with the same definitions');
is( $node->safe_psql('restored', q{
		SELECT c.relname, f FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam, LATERAL qhnsw_check(c.oid, true) AS f
		WHERE a.amname = 'qhnsw' AND c.relkind = 'i'}), '', 'and all indexes sound');
is($node->safe_psql('restored', q{SELECT count(*) FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam WHERE a.amname = 'qhnsw'}),
	'12', 'twelve of them');
is( $node->safe_psql('restored', 'SELECT count(*), sum(hashtext(t::text)) FROM t'),
	$node->safe_psql('postgres', 'SELECT count(*), sum(hashtext(t::text)) FROM t'), 'rows are the same');

# ---- REINDEX CONCURRENTLY while others write

my $script = "$PostgreSQL::Test::Utils::tmp_check/write.sql";
append_to_file($script, q{\set r random(1, 2990)
\set d random(1, 5000)
INSERT INTO t (v, b, q) SELECT v, binary_quantize(v), quantize_int8(v) FROM source WHERE id BETWEEN :r AND :r + 1;
DELETE FROM t WHERE id = :d;
UPDATE t SET v = (SELECT v FROM source WHERE id = :r) WHERE id = :d + 1;
});
$node->safe_psql('postgres', 'DROP INDEX t_jaccard, t_q_cosine, t_q_ip, t_v_l2, t_v_ip');
my ($out, $err) = ('', '');
my $bench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '3', '-T', '5', '--max-tries=1', '-f', $script, '-d', $node->connstr('postgres') ],
	'<', \undef, '>', \$out, '2>', \$err);
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM t');
$node->poll_query_until('postgres', "SELECT count(*) <> $before FROM t");
foreach my $index ('t_v', 't_b', 't_q', 't_part')
{
	$node->safe_psql('postgres', "REINDEX INDEX CONCURRENTLY $index");
}
$node->safe_psql('postgres', 'CREATE INDEX CONCURRENTLY t_new ON t USING qhnsw (v real_l2_ops)');
$bench->finish;
unlike($err, qr/ERROR|aborted/, 'writes beside REINDEX CONCURRENTLY met no error');
like($out, qr/number of transactions actually processed: [1-9]/, 'and there were some');
foreach my $index ('t_v', 't_b', 't_q', 't_part', 't_new')
{
	sound($node, $index, 'reindexed concurrently');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_index WHERE NOT indisvalid'), '0', 'no index is invalid');
finds_all($node, 't', 'v', '<=>', 'reindexed concurrently');
server_survived($node, 'storage');
$node->stop;
done_testing();
