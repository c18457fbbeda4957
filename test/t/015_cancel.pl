# Statements that are cancelled in the middle leave a sound index and nothing behind.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('cancel', 'log_min_messages = warning');

load_vectors($node, 'source', 6000, 64, 9);

my $files = q{SELECT count(*) FROM pg_ls_dir((SELECT 'base/' || oid FROM pg_database WHERE datname = 'postgres')) AS f WHERE f ~ '^[0-9]'};

# ---- build

$node->safe_psql('postgres', 'CHECKPOINT');
my $before = $node->safe_psql('postgres', $files);
foreach my $phase ('encoding', 'candidates', 'links')
{
	ok( cancel_when($node, 'CREATE INDEX source_v ON source USING qhnsw (v)',
			"EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%$phase%')"),
		"build was cancelled at $phase");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'source_v'"), '0', 'no index is left');
}
# enough pages to be met while they are written: the finer code of a node has one to itself
$node->safe_psql('postgres', q{CREATE FUNCTION stretched(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN FOR i IN 1 .. 6 LOOP v := v || v; END LOOP; RETURN v; END$$});
ok( cancel_when($node, q{CREATE INDEX source_v ON source USING qhnsw ((stretched(v)) real_cosine_ops) WITH (refine = 'int8')},
		q{EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%writing%' AND tuples_done > 0)}),
	'build was cancelled while pages were written');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'source_v'"), '0', 'no index is left');
# a build that would need a minute, however fast the machine
$node->safe_psql('postgres', q{CREATE FUNCTION slowly(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN PERFORM pg_sleep(.01); RETURN v; END$$});
is(sql_state($node, 'SET statement_timeout = 150; CREATE INDEX source_v ON source USING qhnsw (slowly(v))'), '57014', 'build ran into a timeout');
ok( cancel_when($node, 'CREATE INDEX CONCURRENTLY source_v ON source USING qhnsw (v)',
		q{EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%links%')}),
	'a concurrent build was cancelled');
is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'source_v'::regclass"), 'f', 'which leaves an invalid index');
is(sql_state($node, "SELECT * FROM qhnsw_$_('source_v')"), '55000', "qhnsw_$_ says so") foreach 'check', 'info';
$node->safe_psql('postgres', 'DROP INDEX source_v; CHECKPOINT');
is($node->safe_psql('postgres', $files), $before, 'no file is left');
$node->safe_psql('postgres', 'CREATE INDEX source_v ON source USING qhnsw (v)');
sound($node, 'source_v', 'built at last');

# ---- vacuum

$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[]);
	CREATE INDEX t_v ON t USING qhnsw (v);
	INSERT INTO t (v) SELECT v FROM source;
	INSERT INTO t (v) SELECT v FROM source LIMIT 1000});
my $nth = 0;
foreach my $stage (
	[ 'rows are forgotten', 'dying_slots > 20' ],
	[ 'links are repaired', 'dying_slots > 200 AND links < (SELECT links - 20 FROM info_before)' ],
	[ 'slots are freed', 'free_slots > (SELECT free_slots + 20 FROM info_before)' ])
{
	my ($what, $condition) = @$stage;

	$nth++;
	ok( cancel_when($node, 'VACUUM t', "(SELECT $condition FROM qhnsw_info('t_v'))", qq{
			INSERT INTO t (v) SELECT v FROM source WHERE id % 5 = 0;
			DELETE FROM t WHERE id % 5 = $nth;
			DROP TABLE IF EXISTS info_before;
			CREATE TABLE info_before AS SELECT * FROM qhnsw_info('t_v')}),
		"vacuum was cancelled when $what");
	sound($node, 't_v', "vacuum cancelled when $what");
	$node->safe_psql('postgres', 'INSERT INTO t (v) SELECT v FROM source WHERE id % 20 = 0');
	sound($node, 't_v', "vacuum cancelled when $what, then inserts");
	finds_all($node, 't', 'v', '<=>', "vacuum cancelled when $what, then inserts");
}
$node->safe_psql('postgres', 'VACUUM t');
is($node->safe_psql('postgres', "SELECT dying_slots, reserved_slots, rows - (SELECT count(*) FROM t) FROM qhnsw_info('t_v')"),
	'0|0|0', 'the next vacuum leaves nothing behind');
sound($node, 't_v', 'vacuumed at last');

# ---- inserts and scans

foreach my $ms (5, 10, 15, 20, 30, 40, 60)
{
	is(sql_state($node, "SET statement_timeout = $ms; INSERT INTO t (v) SELECT v FROM source, generate_series(1, 10) ORDER BY id"),
		'57014', "insert was cancelled after $ms ms");
}
sound($node, 't_v', 'after inserts that were cancelled');
is(sql_state($node, q{SET statement_timeout = 20; SET enable_seqscan = off; SET qhnsw.ef_search = 10000;
	SELECT count(*) FROM source AS s, LATERAL (SELECT id FROM t ORDER BY t.v <=> s.v LIMIT 100) AS r}), '57014', 'a scan was cancelled');
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 3 = 0');
$node->safe_psql('postgres', 'VACUUM t');
is($node->safe_psql('postgres', "SELECT reserved_slots, dying_slots FROM qhnsw_info('t_v')"), '0|0', 'vacuum frees what they had reserved');
sound($node, 't_v', 'and vacuum');
server_survived($node, 'cancel');
$node->stop;
done_testing();
