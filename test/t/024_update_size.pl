# An UPDATE that leaves the vector alone: rows whose code is there are not searched for, and vacuum gives
# the space back; beside readers and writers, after a crash, and on a standby.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $rows = 2000;
my $node = new_node('size', 'max_connections = 40', 'wal_keep_size = 2GB', 'log_min_messages = debug1', 'max_parallel_maintenance_workers = 2',
	'min_parallel_index_scan_size = 0');
my %column = (v => '<=>', l => '<=>', b => '<~>', q => '<=>');
my @indexes = map { "t_$_" } sort keys %column;
my $flat = 'SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = on';

load_vectors($node, 'source', $rows, 64, 9);

# A table whose other column is indexed, so that no update is heap-only.
sub make_table
{
	my ($kind, $name) = @_;

	return qq{
		CREATE $kind TABLE $name (id int PRIMARY KEY, n int DEFAULT 0, v real[], l real[], b bitvec(64), q qvec8(64));
		INSERT INTO $name SELECT id, 0, v, v, binary_quantize(v), quantize_int8(v) FROM source;
		CREATE INDEX ON $name (n);
		CREATE INDEX ${name}_v ON $name USING qhnsw (v) WITH (refine = int4);
		CREATE INDEX ${name}_l ON $name USING qhnsw (l) WITH (hub_fraction = 0.05, m_low = 8);
		CREATE INDEX ${name}_b ON $name USING qhnsw (b);
		CREATE INDEX ${name}_q ON $name USING qhnsw (q) WITH (m = 8);};
}

sub size
{
	my ($index, $server) = @_;

	return ($server // $node)->safe_psql('postgres', "SELECT pg_relation_size('$index')");
}

sub sizes_stay
{
	my ($before, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $index (sort keys %$before)
	{
		cmp_ok(size($index), '<=', 1.1 * $before->{$index}, "$what: $index is no larger than it was");
	}
	return;
}

# What a statement did to find places in the graphs: searches made, and times that all codes were read.
sub searches
{
	my ($sql) = @_;
	my $err;

	$node->psql('postgres', "SET client_min_messages = debug2; $sql", stderr => \$err, on_error_die => 1);
	return (scalar(() = $err =~ /searching the graph/g), scalar(() = $err =~ /reading all codes/g));
}

# ---- all rows, again and again; parallel vacuum or not

$node->safe_psql('postgres', make_table('', 't'));
my %before = map { $_ => size($_) } @indexes;

foreach my $round (1 .. 5)
{
	my ($nsearches, $npasses) = searches($round == 2 ? join(';', 'BEGIN', (map { "UPDATE t SET n = n + 1 WHERE id % 5 = $_" } 0 .. 4), 'COMMIT') :
		'UPDATE t SET n = n + 1');

	cmp_ok($nsearches, '<=', @indexes * ($rows / 2000 + 4), "round $round: rows are not searched for in the graph");
	is($npasses, scalar @indexes, "round $round: all codes were read once an index");
	$node->safe_psql('postgres', $round == 3 ? 'VACUUM (PARALLEL 0) t' : 'VACUUM t');
	sizes_stay(\%before, "round $round");
	foreach my $index (@indexes)
	{
		my ($nodes, $postings) = split /\|/, $node->safe_psql('postgres', "SELECT nodes = rows, posting_slots FROM qhnsw_info('$index')");

		cmp_ok($postings, '<', 0.1 * $rows, "round $round: a node of $index with one row keeps no list of rows");
		sound($node, $index, "round $round");
	}
}
finds_all($node, 't', $_, $column{$_}, 'updated') foreach sort keys %column;

# A new vector is searched for, and so is one that UPDATE has changed.
my ($nsearches) = searches(q{UPDATE t SET v = array_append(v[2:64], v[1]) WHERE id <= 100});
cmp_ok($nsearches, '>=', 100, 'rows with new vectors are searched for');

# One row a transaction: searched for, and hardly ever given a node of its own.
my $nodes = $node->safe_psql('postgres', "SELECT nodes FROM qhnsw_info('t_q')");
$node->safe_psql('postgres', 'DO $$ BEGIN FOR i IN 200 .. 1199 LOOP UPDATE t SET n = n + 1 WHERE id = i; COMMIT; END LOOP; END $$');
cmp_ok($node->safe_psql('postgres', "SELECT nodes FROM qhnsw_info('t_q')"), '<=', $nodes + 10, 'a row alone finds its node');
$node->safe_psql('postgres', 'VACUUM t');
sound($node, $_, 'row by row') foreach @indexes;

# ---- lists of rows: as many slots as before

$node->safe_psql('postgres', q{
	CREATE TABLE many (id int PRIMARY KEY, n int DEFAULT 0, v real[]);
	CREATE INDEX ON many (n);
	INSERT INTO many SELECT s.id + 10000 * i, 0, s.v FROM source AS s, generate_series(1, 50) AS i WHERE s.id <= 100;
	CREATE INDEX many_v ON many USING qhnsw (v)});
my $postings = $node->safe_psql('postgres', "SELECT posting_slots FROM qhnsw_info('many_v')");
my $many = size('many_v');
foreach my $round (1 .. 3)
{
	$node->safe_psql('postgres', 'UPDATE many SET n = n + 1');
	$node->safe_psql('postgres', 'VACUUM many');
	cmp_ok($node->safe_psql('postgres', "SELECT posting_slots FROM qhnsw_info('many_v')"), '<=', 1.4 * $postings, "round $round: lists of rows are no longer than they were");
	sound($node, 'many_v', "lists of rows, round $round");
}
$node->safe_psql('postgres', 'DELETE FROM many WHERE id > 20000');
# few pages hold dead rows: PostgreSQL would leave the indexes alone
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) many');
is($node->safe_psql('postgres', "SELECT posting_slots FROM qhnsw_info('many_v')"), 200,
	'of fifty rows one is left, in two slots: one alone would look like a list that was never longer');
cmp_ok(size('many_v'), '<=', 2 * $many, 'and the space of lists was used again');
sound($node, 'many_v', 'lists of one row');
$node->safe_psql('postgres', 'DELETE FROM many');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) many');
is($node->safe_psql('postgres', "SELECT nodes, posting_slots, dying_slots, free_slots < 40 FROM qhnsw_info('many_v')"), '0|0|0|t', 'and then none, and no slots');

# ---- others in the index: vacuum does not wait, and does it the next time

$node->safe_psql('postgres', 'VACUUM t');
%before = map { $_ => size($_) } @indexes;
$node->safe_psql('postgres', 'UPDATE t SET n = n + 1');
my %large = map { $_ => size($_) } @indexes;
my $reader = $node->background_psql('postgres', on_error_stop => 1);
my $look = 'SELECT count(*) FROM (SELECT FROM t ORDER BY %s %s (SELECT %s FROM t WHERE id = 7) LIMIT 5000) AS s';
my $add = 'INSERT INTO t SELECT id + %d, 0, v, l, b, q FROM t WHERE id BETWEEN 500 AND 520';
$reader->query_safe($flat);
foreach my $column (sort keys %column)
{
	is(answer($reader, sprintf $look, $column, $column{$column}, $column), $rows, "a session knows t_$column at its largest");
}
$reader->query_safe(sprintf $add, 20000);
$reader->query_safe('DELETE FROM t WHERE id > 20000');
$reader->query_safe('BEGIN');
$reader->query_safe(sprintf $look, 'v', '<=>', 'v');
$node->safe_psql('postgres', 'VACUUM t');
cmp_ok(size($_), '>=', $large{$_}, "$_ is not cut beside a reader") foreach @indexes;
$reader->query_safe('COMMIT');
$node->safe_psql('postgres', 'ALTER TABLE t SET (vacuum_truncate = off); VACUUM t');
cmp_ok(size($_), '>=', $large{$_}, "$_ is not cut where the table forbids it") foreach @indexes;
$node->safe_psql('postgres', 'ALTER TABLE t RESET (vacuum_truncate)');
$node->safe_psql('postgres', 'VACUUM t');
sizes_stay(\%before, 'later');
foreach my $column (sort keys %column)
{
	is(answer($reader, sprintf $look, $column, $column{$column}, $column), $rows, "that session reads t_$column after it was cut");
}
$reader->query_safe(sprintf $add, 30000);
is(answer($reader, sprintf $look, 'v', '<=>', 'v'), $rows + 21, 'and inserts into it');
$reader->quit;
sound($node, $_, 'cut') foreach @indexes;

# ---- nothing left at all; unlogged and temporary indexes

foreach my $kind ('', 'UNLOGGED', 'TEMPORARY')
{
	my $out = $node->safe_psql('postgres', make_table($kind, 'u') . q{
		SELECT pg_relation_size('u_l') AS l, pg_relation_size('u_v') AS v, pg_relation_size('u_b') AS b, pg_relation_size('u_q') AS q \gset
		UPDATE u SET n = n + 1;
		VACUUM u;
		SELECT pg_relation_size('u_l') <= 1.1 * :l, pg_relation_size('u_v') <= 1.1 * :v, pg_relation_size('u_b') <= 1.1 * :b,
			pg_relation_size('u_q') <= 1.1 * :q;
		DELETE FROM u;
		VACUUM u;
		SELECT pg_relation_size('u_l') + pg_relation_size('u_v') + pg_relation_size('u_b') + pg_relation_size('u_q') <= 20 * 8192;
		INSERT INTO u SELECT id, 0, v, v, binary_quantize(v), quantize_int8(v) FROM source WHERE id <= 500;
		SELECT count(*) FROM (SELECT qhnsw_check(i, true) FROM unnest('{u_l,u_v,u_b,u_q}'::regclass[]) AS i) AS s;
		SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = on;
		SELECT count(*) FROM (SELECT FROM u ORDER BY v <=> (SELECT v FROM source WHERE id = 3) LIMIT 1000) AS s;
		DROP TABLE u});

	is($out, "t|t|t|t\nt\n0\n500", lc("$kind index") . ' is cut, emptied and filled again');
}

# ---- a standby, and a crash

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = 10s');
$standby->start;
my $far = $standby->background_psql('postgres', on_error_stop => 1);
$far->query_safe($flat);
%before = map { $_ => size($_) } @indexes;
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM t');
foreach my $round (1 .. 2)
{
	# each page compared after replay: once, for all are written whole
	$node->safe_psql('postgres', sprintf 'SET wal_consistency_checking = %s; UPDATE t SET n = n + 1', $round == 2 ? 'generic' : "''");
	$node->wait_for_catchup($standby);
	foreach my $column (sort keys %column)
	{
		is(answer($far, sprintf $look, $column, $column{$column}, $column), $count, "round $round: a session of the standby knows t_$column at its largest");
	}
	$node->safe_psql('postgres', sprintf 'SET wal_consistency_checking = %s; VACUUM t', $round == 2 ? 'generic' : "''");
	$node->wait_for_catchup($standby);
	sizes_stay(\%before, "beside a standby, round $round");
	foreach my $column (sort keys %column)
	{
		is(size("t_$column", $standby), size("t_$column"), "round $round: t_$column is cut on the standby");
		is(answer($far, sprintf $look, $column, $column{$column}, $column), $count, "round $round: and read there");
	}
}
$far->quit;

$node->safe_psql('postgres', 'UPDATE t SET n = n + 1');
$node->safe_psql('postgres', 'VACUUM t');
$node->stop('immediate');
$node->start;
sizes_stay(\%before, 'after a crash');
sound($node, $_, 'after a crash') foreach @indexes;
$node->safe_psql('postgres', sprintf $add, 40000);
sound($node, $_, 'inserted after a crash') foreach @indexes;

# ---- everybody at once

$node->safe_psql('postgres', q{
	CREATE PROCEDURE read_on(seconds int) LANGUAGE plpgsql AS $$
	DECLARE
		until timestamptz := clock_timestamp() + seconds * interval '1 s';
		sought int;
		query real[];
		r record;
		n int;
		seen int[];
	BEGIN
		SET enable_seqscan = off; SET enable_sort = off;
		WHILE clock_timestamp() < until LOOP
			sought := 1 + random() * 1999;
			query := (SELECT v FROM source WHERE id = sought);
			n := 0;
			seen := '{}';
			FOR r IN SELECT id, v <=> query AS d, v FROM t ORDER BY v <=> query LIMIT 40 LOOP
				IF r.id = ANY (seen) THEN RAISE 'row % came twice', r.id; END IF;
				IF r.d <> (r.v <=> query) THEN RAISE 'row % has another distance', r.id; END IF;
				seen := seen || r.id;
				n := n + 1;
			END LOOP;
			IF n <> 40 THEN RAISE 'only % rows', n; END IF;
			COMMIT;
			PERFORM pg_sleep(random() * 0.05);
			PERFORM set_config('qhnsw.flat', CASE WHEN random() < 0.3 THEN 'on' ELSE 'off' END, false);
		END LOOP;
	END $$;
	CREATE PROCEDURE write_on(seconds int, part int) LANGUAGE plpgsql AS $$
	DECLARE
		until timestamptz := clock_timestamp() + seconds * interval '1 s';
		many int;
		which int;
	BEGIN
		WHILE clock_timestamp() < until LOOP
			many := CASE WHEN random() < 0.2 THEN 4 ELSE 200 END;
			which := random() * many;
			UPDATE t SET n = n + 1 WHERE id % 2 = part AND id / 2 % many = which;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
			DELETE FROM t WHERE id % 2 = part AND id > 50000;
			INSERT INTO t SELECT id + 50000 + part, 0, v, l, b, q FROM t WHERE id % 2 = 0 AND id < 50000 AND random() < 0.01;
			COMMIT;
			PERFORM pg_sleep(random() * 0.2);
		END LOOP;
	END $$});
my @beside = map { in_background($node, $_) } ('CALL read_on(10)') x 2, 'CALL write_on(10, 0)', 'CALL write_on(10, 1)';
my $until = time + 10;
my $offset = -s $node->logfile;
my $nvacuums = 0;
while (time < $until)
{
	$node->safe_psql('postgres', $nvacuums++ % 3 ? 'VACUUM t' : 'VACUUM (PARALLEL 0) t');
}
is(scalar(grep { !$_->finish } @beside), 0, "no error beside $nvacuums vacuums");
note(scalar(() = substr(slurp_file($node->logfile), $offset) =~ /truncating/g) . ' times an index was cut among them');
$node->safe_psql('postgres', 'VACUUM t');
sound($node, $_, 'at last') foreach @indexes;
finds_all($node, 't', $_, $column{$_}, 'at last') foreach sort keys %column;
$node->wait_for_catchup($standby);
$standby->promote;
is($standby->safe_psql('postgres', "SELECT count(*) FROM unnest('{" . join(',', @indexes) . "}'::regclass[]) AS i, qhnsw_check(i, true)"),
	0, 'sound on the standby, promoted');
$standby->safe_psql('postgres', 'UPDATE t SET n = n + 1');
$standby->safe_psql('postgres', 'VACUUM t');
is($standby->safe_psql('postgres', "SELECT count(*) FROM unnest('{" . join(',', @indexes) . "}'::regclass[]) AS i, qhnsw_check(i, true)"),
	0, 'and after it was written to');
server_survived($standby, 'standby');
server_survived($node, 'size');
$standby->stop;
$node->stop;
done_testing();
