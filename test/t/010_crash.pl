# Crashes in mid-insert, mid-vacuum and mid-build: what was committed is found,
# what was not leaves the index sound, and work goes on.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('crash', 'wal_writer_delay = 1000ms', 'track_io_timing = off');

load_vectors($node, 'source', 4000, 64, 1);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[], l real[], b bitvec(64), q qvec8(64));
	CREATE INDEX t_l ON t USING qhnsw (l) WITH (m = 8, hub_fraction = 0.05, m_low = 5);
	CREATE INDEX t_v ON t USING qhnsw (v) WITH (m = 8);
	CREATE INDEX t_b ON t USING qhnsw (b) WITH (m = 8);
	CREATE INDEX t_q ON t USING qhnsw (q qvec8_l2_ops) WITH (m = 8);
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (v, l, b, q) SELECT v, v, binary_quantize(v), quantize_int8(v) FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 300)});

my @indexes = ('t_v', 't_l', 't_b', 't_q');

# After a crash: up again, sound, complete, and usable.
sub recovered
{
	my ($what) = @_;

	$node->poll_query_until('postgres', undef, '') or die "server did not come back after: $what";
	sound($node, $_, $what) for @indexes;
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM t');
	$node->safe_psql('postgres', 'SELECT add(301, 400)');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $before + 100, "$what: inserts go on");
	sound($node, $_, "$what, then inserts") for @indexes;
	return;
}

# ---- inserts by several backends; the four ways a server dies

my $script = "$PostgreSQL::Test::Utils::tmp_check/insert.sql";
append_to_file($script, q{\set r random(1, 3990)
BEGIN;
SELECT add(:r, :r + 4);
\if :client_id = 0
ROLLBACK;
\else
COMMIT;
\endif
});

# Kill one of the backends that insert, in the middle of an insert if one is.
sub kill_inserter
{
	my $pid = $node->safe_psql('postgres', q{
		SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
		ORDER BY query LIKE 'SELECT add%' DESC LIMIT 1});

	ok($pid, 'a backend is inserting');
	kill 'KILL', $pid if $pid;
	return;
}

# Kill the postmaster; its orphans must be gone before the next one may start.
sub kill_postmaster
{
	my @pids = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity');

	$node->kill9;
	foreach (1 .. 300)
	{
		last unless kill 0, @pids;
		select undef, undef, undef, 0.1;
	}
	$node->start;
	return;
}

my @deaths = (
	[ 'immediate stop while inserting', sub { $node->stop('immediate'); $node->start } ],
	[ 'kill -9 of an inserting backend', \&kill_inserter ],
	[ 'kill -9 of the postmaster', \&kill_postmaster ],
	[ 'immediate stop after a checkpoint', sub { $node->safe_psql('postgres', 'CHECKPOINT'); $node->stop('immediate'); $node->start } ],
);
my $delay = 0.4;
foreach my $death (@deaths)
{
	my ($what, $kill) = @$death;
	my ($out, $err) = ('', '');
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM t');
	my $bench = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '4', '-T', '30', '-f', $script, '-d', $node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres', "SELECT count(*) > $before + 50 FROM t") or die 'no rows come';
	select undef, undef, undef, $delay;
	$delay += 0.23;
	$kill->();
	$bench->finish;
	recovered($what);
}
finds_all($node, 't', 'v', '<=>', 'after all crashes');
finds_all($node, 't', 'b', '<~>', 'after all crashes');
finds_all($node, 't', 'l', '<=>', 'after all crashes');

# ---- vacuum, killed when its work on an index has got so far

# What was logged goes to disk at once, so that recovery gets as far as the vacuum did.
$node->append_conf('postgresql.conf', "wal_writer_delay = 1ms\nwal_writer_flush_after = 0");
$node->reload;

my $nth = 0;
foreach my $stage (
	[ 'rows are being forgotten', 't_v', 'dying_slots > 20' ],
	[ 'links are being repaired', 't_v', 'dying_slots > 200 AND links < (SELECT links - 20 FROM info_before)' ],
	[ 'slots are being freed', 't_v', 'free_slots > (SELECT free_slots + 20 FROM info_before)' ],
	[ 'slots of low storage are being freed', 't_l', 'free_slots > (SELECT free_slots + 20 FROM info_before)' ])
{
	my ($what, $index, $condition) = @$stage;

	$nth++;
	ok( kill_when($node, 'VACUUM t', "(SELECT $condition FROM qhnsw_info('$index'))", qq{
			TRUNCATE t; SELECT add(1, 4000); SELECT add(1, 500);
			DELETE FROM t WHERE id % 4 IN (0, $nth);
			DROP TABLE IF EXISTS info_before;
			CREATE TABLE info_before AS SELECT * FROM qhnsw_info('$index')}),
		"vacuum was killed while $what");
	recovered("vacuum killed while $what");
	$node->safe_psql('postgres', 'VACUUM t');
	sound($node, $_, "vacuum killed while $what, and done again") for @indexes;
	is($node->safe_psql('postgres', "SELECT dying_slots, reserved_slots FROM qhnsw_info('$index')"),
		'0|0', 'the next vacuum leaves no slot behind');
}
finds_all($node, 't', 'q', '<->', 'after vacuums that were killed');
finds_all($node, 't', 'l', '<=>', 'after vacuums that were killed');

# ---- builds

load_vectors($node, 'big', 8000, 64, 2);
foreach my $phase ('finding candidates', 'choosing links')
{
	ok( kill_when($node, 'CREATE INDEX big_v ON big USING qhnsw (v)',
			"EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%$phase%')"),
		"build was killed while $phase");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'big_v'"), '0', 'no index is left');
}
$node->safe_psql('postgres', 'CREATE INDEX big_v ON big USING qhnsw (v)');
sound($node, 'big_v', 'built after killed builds');

# a build that was finished just before a crash is all there
$node->stop('immediate');
$node->start;
sound($node, 'big_v', 'crash right after a build');

# ---- unlogged

$node->safe_psql('postgres', q{
	CREATE UNLOGGED TABLE u (id int, v real[], b bitvec);
	CREATE INDEX u_v ON u USING qhnsw (v);
	CREATE INDEX u_b ON u USING qhnsw (b);
	INSERT INTO u SELECT id, v, binary_quantize(v) FROM big LIMIT 2000});
sound($node, 'u_v', 'unlogged');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', "SELECT count(*) FROM u"), '0', 'an unlogged table is empty after a crash');
is($node->safe_psql('postgres', "SELECT nodes, rows, entry_points, dims FROM qhnsw_info('u_v')"),
	'0|0|0|', 'and its index is as it was created');
$node->safe_psql('postgres', 'INSERT INTO u SELECT id, v, binary_quantize(v) FROM big LIMIT 1000');
sound($node, $_, 'unlogged, filled again') for ('u_v', 'u_b');
finds_all($node, 'u', 'v', '<=>', 'unlogged, filled again');

$node->stop;
done_testing();
