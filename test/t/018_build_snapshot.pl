# A build beside a snapshot that is older than an update which broke a HOT chain: the snapshot must not use the index.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('build_snapshot', 'log_min_messages = debug1', 'max_parallel_workers = 4', 'max_worker_processes = 8');
my $moved = 12000;
my $old_code = q{'1111111100000000111111110000000011111111000000001111111100000000'};

# Four rows a page: the sample sees one page in six.  Some rows take a while, so that workers are there before the leader has read all.
$node->safe_psql('postgres', qq{
	CREATE TABLE rows (id int, pad text, b bitvec(64)) WITH (parallel_workers = 3, fillfactor = 80);
	ALTER TABLE rows ALTER pad SET STORAGE PLAIN;
	INSERT INTO rows SELECT i, repeat('x', 1500), int8send(hashint8extended(i, 2))::bitvec(64) FROM generate_series(1, $moved) AS i;
	UPDATE rows SET b = $old_code WHERE id = $moved;
	VACUUM rows;
	CREATE FUNCTION slow(id int) RETURNS bool LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
	\$\$BEGIN IF id % 64 = 0 THEN PERFORM pg_sleep(0.002); END IF; RETURN true; END\$\$});

# What the sessions of the test see of the index, and of the row that is moved once they began.
my $nearest = "SET enable_seqscan = off; SELECT id FROM rows WHERE slow(id) ORDER BY b <~> $old_code LIMIT 1";

sub build
{
	my ($name, $settings, $workers) = @_;
	my $offset = -s $node->logfile;

	$node->safe_psql('postgres', "$settings CREATE INDEX $name ON rows USING qhnsw (b) WHERE slow(id)");
	like(slurp_file($node->logfile, $offset), qr/qhnsw index "$name" is built with $workers parallel workers/, "$name is built with $workers workers") if $workers > 0;
	is($node->safe_psql('postgres', "SELECT indcheckxmin FROM pg_index WHERE indexrelid = '$name'::regclass"), 't', "$name is not for older snapshots");
	return;
}

my $old = $node->background_psql('postgres', on_error_stop => 1);
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('postgres', "UPDATE rows SET b = ~b WHERE id = $moved");
is($node->safe_psql('postgres', q{SELECT pg_stat_force_next_flush(); SELECT n_tup_hot_upd > 0 FROM pg_stat_user_tables WHERE relname = 'rows'}), "\nt", 'the update was HOT');

build('alone', 'SET max_parallel_maintenance_workers = 0;', 0);
# whoever reads the last page meets the chain: hardly ever the leader each time
build("shared$_", 'SET max_parallel_maintenance_workers = 3;', 3) foreach (1 .. 5);
my $seen = answer($old, $nearest);
is($seen, $moved, 'the old snapshot sees its row');
$old->quit;

# What began after the update may use them all.
isnt($node->safe_psql('postgres', $nearest), $moved, 'a new snapshot sees the row where it is now');
like($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN SELECT id FROM rows WHERE slow(id) ORDER BY b <~> $old_code LIMIT 1"), qr/Index Scan using/, 'and uses an index');
is($node->safe_psql('postgres', "REINDEX TABLE rows; SELECT count(*) FROM pg_index WHERE indrelid = 'rows'::regclass AND indcheckxmin"), 0,
	'built when nobody has an older snapshot an index is for all');
sound($node, 'shared1', 'with workers');
$node->stop;
done_testing();
