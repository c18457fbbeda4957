# What was measured of recall survives a crash, is replayed on a standby, which
# uses it and measures nothing, and is measured anew by autovacuum.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $primary = new_node('primary', "autovacuum_naptime = 1s\nlog_autovacuum_min_duration = 0");

load_vectors($primary, 'source', 5000, 32, 5);
$primary->safe_psql('postgres', q{
	CREATE TABLE t AS SELECT id, v FROM source WHERE id <= 2000;
	CREATE INDEX t_v ON t USING qhnsw (v)});
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

my $curve = q{SELECT calibrated_at, calibrated_on, recall_targets, recall_ef_search, recall_doubt, recall_reached FROM qhnsw_info('t_v')};
my $effort = q{
	SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.target_recall = 0.99;
	DO $$ BEGIN PERFORM id FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = 1) LIMIT 10; END $$;
	SELECT ef_search, oversample FROM qhnsw_last_scan()};

# a session that has read the index before is told of the new curve
my $session = $standby->background_psql('postgres', on_error_stop => 0);
$primary->wait_for_catchup($standby);
answer($session, $effort);
my $before = $primary->safe_psql('postgres', $curve);
$primary->safe_psql('postgres', q{SELECT FROM qhnsw_calibrate('t_v', source => 'source', vector_column => 'v')});
my $measured = $primary->safe_psql('postgres', $curve);
isnt($measured, $before, 'the curve was measured anew');
like($measured, qr/\|queries\|/, 'on queries given');
my $expected = $primary->safe_psql('postgres', $effort);
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $curve), $measured, 'the standby has it');
is(answer($session, $effort), $expected, 'and a session there that knew the index uses it');
$session->quit;

my ($status, $out, $err) = $standby->psql('postgres', q{SELECT FROM qhnsw_calibrate('t_v')});
isnt($status, 0, 'a standby cannot measure');
like($err, qr/cannot execute qhnsw_calibrate\(\) during recovery/, 'and says why');

$primary->stop('immediate');
$primary->start;
is($primary->safe_psql('postgres', $curve), $measured, 'a crash does not lose it');
is($primary->safe_psql('postgres', q{SELECT * FROM qhnsw_check('t_v', true)}), '', 'and the index is sound');

# autovacuum, analyzing or vacuuming
$primary->safe_psql('postgres', q{SELECT FROM qhnsw_calibrate('t_v')});
my $rows = $primary->safe_psql('postgres', q{SELECT calibrated_at FROM qhnsw_info('t_v')});
$primary->append_conf('postgresql.conf', 'autovacuum = on');
$primary->reload;
$primary->safe_psql('postgres', q{INSERT INTO t SELECT id, v FROM source WHERE id > 2000});
ok($primary->poll_query_until('postgres', qq{SELECT calibrated_at > '$rows' AND calibrated_on = 'rows' FROM qhnsw_info('t_v')}),
	'autovacuum measures when the index has grown');
is($primary->safe_psql('postgres', q{SELECT * FROM qhnsw_check('t_v', true)}), '', 'and the index is sound');

done_testing();
