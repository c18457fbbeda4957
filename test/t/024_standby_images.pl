# A standby that restores full images of pages which its few buffers do not hold, all the time, while it is asked:
# a page on its way into its buffer is neither empty nor damaged, and no row of it is lost.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use QvecTest;

my $primary = new_node('primary', 'wal_compression = on', 'full_page_writes = on', 'synchronous_commit = off', 'max_wal_size = 1GB');

load_vectors($primary, 'source', 4000, 64, 1);
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
# 128 buffers: fewer than pages of codes
$standby->append_conf('postgresql.conf', "shared_buffers = 1MB\nmax_standby_streaming_delay = 60s\n");
$standby->start;

# Every other row stays; the others come and go, and with them slots on all pages.
$primary->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stays bool, v real[]);
	INSERT INTO t (stays, v) SELECT id % 2 = 0, v FROM source ORDER BY id;
	CREATE INDEX t_v ON t USING qhnsw (v) WITH (compression = '1x');
	CREATE FUNCTION stay(n bigint, wanted bigint) RETURNS void LANGUAGE plpgsql AS
		$$BEGIN IF n <> wanted THEN RAISE '% rows in place of %', n, wanted; END IF; END$$;
	VACUUM ANALYZE t});
$primary->wait_for_catchup($standby);

my $dir = $PostgreSQL::Test::Utils::tmp_check;

# all rows that stay are found in a pass over all codes, and ten rows by the graph
my $settings = 'SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.rescore = off; SET qhnsw.iterative_scan = relaxed_order; SET work_mem = \'64MB\';';
append_to_file("$dir/images_all.sql", "\\set r random(1, 4000)\n$settings SET qhnsw.flat = on;\n" .
	"SELECT stay(count(*), 2000) FROM (SELECT stays FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = :r) LIMIT 100000) AS found WHERE stays;\n");
append_to_file("$dir/images_graph.sql", "\\set r random(1, 4000)\n$settings SET qhnsw.flat = off; SET qhnsw.ef_search = 20;\n" .
	"SELECT stay(count(DISTINCT id), 10) FROM (SELECT id FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = :r) LIMIT 10) AS found;\n");
append_to_file("$dir/images_change.sql", q{\set r random(0, 49)
DELETE FROM t WHERE NOT stays AND id % 50 = :r;
VACUUM (INDEX_CLEANUP on) t;
INSERT INTO t (stays, v) SELECT false, v FROM source WHERE id % 100 = :r;
});
append_to_file("$dir/images_checkpoint.sql", "CHECKPOINT;\n\\sleep 20 ms\n");

# Rows are asked for, and pages changed, for so many seconds; longer by hand.
my $seconds = $ENV{QVEC_TEST_SECONDS} // 6;
my ($out, $err) = ('', '');
my ($change_out, $change_err) = ('', '');
my ($replaying) = split /\n/, $standby->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'});
my $asked = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '2', '-T', $seconds, '-f', "$dir/images_all.sql", '-f', "$dir/images_graph.sql", $standby->connstr('postgres') ],
	'<', \undef, '>', \$out, '2>', \$err);
my $changed = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '2', '-T', $seconds, '-f', "$dir/images_change.sql", '-f', "$dir/images_checkpoint.sql", $primary->connstr('postgres') ],
	'<', \undef, '>', \$change_out, '2>', \$change_err);

# A page is on its way for a microsecond.  So replay is stopped for a while, again and again, wherever it is.
for (my $end = time + $seconds; time < $end; usleep(2000))
{
	kill 'STOP', $replaying;
	usleep(20000);
	kill 'CONT', $replaying;
}
$asked->finish;
$changed->finish;
note($out);
like($out, qr/number of transactions actually processed: [1-9]/, 'the standby answered');
unlike($err, qr/error|aborted/i, 'and lost no row, and called no page damaged');
like($change_out, qr/number of transactions actually processed: [1-9]/, 'while the primary changed pages');

$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT * FROM qhnsw_check('t_v', true) LIMIT 5"), '', 'the index is sound on the standby');
server_survived($standby, 'standby');
done_testing();
