# test/t/QvecTest.pm
#       What the TAP tests of the index share: servers, seeded vectors, and the
#       questions asked after every phase.

package QvecTest;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node vectors load_vectors sound finds_all server_survived
  sql_state answer in_background strike_when cancel_when kill_when exact_tenth recall uses_graph);

# What a session of background_psql answers, without the end of its last line, which early modules of PostgreSQL 16 leave.
sub answer
{
	my ($session, $sql) = @_;
	my $text = $session->query_safe($sql);

	chomp $text;
	return $text;
}

# A running server with the extension in database postgres.
sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf',
		join("\n", 'autovacuum = off', 'restart_after_crash = on', 'max_wal_size = 256MB', 'jit = off', @conf) . "\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION qvec');
	return $node;
}

# A generator of our own: perl's differs between builds.  xorshift32.
my $state;

sub uniform
{
	$state ^= ($state << 13) & 0xFFFFFFFF;
	$state ^= $state >> 17;
	$state ^= ($state << 5) & 0xFFFFFFFF;
	return $state / 4294967296;
}

# Near enough to normal: the sum of three uniform numbers, scaled to variance 1.
sub normal
{
	return (uniform() + uniform() + uniform() - 1.5) * 2;
}

# n vectors as array literals: 50 clusters in 10 regions, a decaying spectrum.
# The clusters are the same for every seed, so two calls give rows and queries.
sub vectors
{
	my ($n, $ndims, $seed) = @_;
	my @scale = map { (1 + $_ / 8)**-0.4 } 0 .. $ndims - 1;
	my (@centers, @out);

	$state = 20240229;
	my @regions = map { [ map { normal() * $scale[$_] } 0 .. $ndims - 1 ] } 1 .. 10;
	foreach my $c (0 .. 49)
	{
		my $region = $regions[ $c % 10 ];
		push @centers, [ map { $region->[$_] + 0.7 * normal() * $scale[$_] } 0 .. $ndims - 1 ];
	}
	$state = ($seed * 2654435761 + 1) & 0xFFFFFFFF;
	uniform() for 1 .. 10;
	foreach my $i (1 .. $n)
	{
		my $center = $centers[ int(uniform() * 50) ];
		push @out, '{'
		  . join(',', map { sprintf '%.4f', $center->[$_] + 0.8 * normal() * $scale[$_] } 0 .. $ndims - 1) . '}';
	}
	return \@out;
}

# Create table name (id int, v real[]) with n vectors, ids from 1.
sub load_vectors
{
	my ($node, $name, $n, $ndims, $seed) = @_;
	my $i = 0;
	my $rows = join '', map { ++$i . "\t$_\n" } @{ vectors($n, $ndims, $seed) };

	$node->safe_psql('postgres',
		"CREATE TABLE $name (id int PRIMARY KEY, v real[]);\nCOPY $name FROM STDIN;\n$rows\\.\n");
	$node->safe_psql('postgres', "ANALYZE $name");
	return;
}

# The checker finds no fault, and every row of the table in the index.
sub sound
{
	my ($node, $index, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->safe_psql('postgres', "SELECT * FROM qhnsw_check('$index', true) LIMIT 5"),
		'', "$what: $index is sound and complete");
	return;
}

# Rows of table are found through its index by their own values: each of some 500
# in a pass over all codes, and all but one in a hundred (or that share at least) by the graph.  Rows with equal values stand for
# each other.  (That every row is in the index and can be reached is what sound() asks.)
sub finds_all
{
	my ($node, $table, $column, $op, $what, $least) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $flat ('on', 'off')
	{
		my $out = $node->safe_psql('postgres', qq{
			SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = $flat; SET qhnsw.ef_search = 60;
			SELECT count(*), count(*) FILTER (WHERE
				(SELECT $column FROM $table ORDER BY $column $op sought.$column LIMIT 1) = $column)
			FROM (SELECT *, row_number() OVER () AS nth FROM $table WHERE $column IS NOT NULL) AS sought
			WHERE nth % greatest(1, (SELECT count(*) / 500 FROM $table)) = 0});
		my ($sought, $found) = split /\|/, $out;

		cmp_ok($found, '>=', $flat eq 'on' ? $sought : ($least // 0.99) * $sought,
			"$what: rows of $table are found by $column, qhnsw.flat = $flat");
		cmp_ok($sought, '>', 0, 'and there are some');
	}
	return;
}

# No backend crashed since the server's log was at this offset.
sub server_survived
{
	my ($node, $what, $offset) = @_;
	my $log = substr(slurp_file($node->logfile), $offset // 0);
	my @crashes = grep { /terminated by signal|PANIC:|TRAP:/ } split /\n/, $log;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is("@crashes", '', "$what: no backend crashed");
	return;
}

# SQLSTATE of a statement, 00000 if it succeeds.
sub sql_state
{
	my ($node, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");

	return $1 if $err =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5})/;
	return $status == 0 ? '00000' : "failed: $err";
}

# Run psql with a script beside us.  Returns the handle; finish() it.
sub in_background
{
	my ($node, $sql) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$out, '2>', \$err);
}

# Run sql beside us and, as soon as condition holds, the PL/pgSQL statements of how, in which
# victim is the pid of its backend.  Returns whether that was in time and sql failed.  A machine may
# be too busy to look in time: then once more, if SQL is given that makes sql worth running again, and
# is run before each try; to build an index it is dropped.
sub strike_when
{
	my ($node, $sql, $condition, $how, $before) = @_;

	$before //= "DROP INDEX IF EXISTS $1" if $sql =~ /CREATE INDEX (?:CONCURRENTLY )?(\w+)/;
	for my $try (1 .. 20)
	{
		$node->safe_psql('postgres', $before) if defined $before;
		my ($struck, $failed) = strike_once($node, $sql, $condition, $how);

		return $struck && $failed if $failed || !defined $before;
		$node->poll_query_until('postgres', undef, '') or die 'server did not come back';
	}
	return 0;
}

# Once: whether the condition was seen to hold, and whether sql failed.
sub strike_once
{
	my ($node, $sql, $condition, $how) = @_;
	my $victim = in_background($node, $sql);
	my ($mark) = $sql =~ /^(\w+(?: \w+)?)/;
	my $status = $node->psql('postgres', qq{
		DO \$\$
		DECLARE victim int;
		BEGIN
			FOR i IN 1 .. 20000 LOOP
				PERFORM pg_stat_clear_snapshot();
				SELECT pid INTO victim FROM pg_stat_activity WHERE query LIKE '$mark%' AND state = 'active' AND pid <> pg_backend_pid();
				EXIT WHEN victim IS NOT NULL;
			END LOOP;
			FOR i IN 1 .. 1000000 LOOP
				IF ($condition) THEN
					$how;
					RETURN;
				END IF;
				PERFORM pg_stat_clear_snapshot();
				EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = victim AND state = 'active');
			END LOOP;
			RAISE 'the condition did not hold in time';
		END \$\$});
	my $failed = !$victim->finish;

	return ($status == 0, $failed);
}

# Run sql and cancel it when condition holds, as strike_when() does; returns whether that happened in time.
sub cancel_when
{
	my ($node, $sql, $condition, $before) = @_;

	return strike_when($node, $sql, $condition, 'PERFORM pg_cancel_backend(victim)', $before);
}

# The same with kill -9, from within the server, which goes down with the backend; back when it is up again.
sub kill_when
{
	my ($node, $sql, $condition, $before) = @_;
	my $offset = -s $node->logfile;

	strike_when($node, $sql, $condition,
		q{EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'kill -9 ' || victim); PERFORM pg_sleep(10)}, $before);
	# no query: psql ends before it reads one while the server is not back, and writing to it would be the end of us
	$node->poll_query_until('postgres', undef, '') or die 'server did not come back';
	return substr(slurp_file($node->logfile), $offset) =~ /terminated by signal 9/;
}

# Distance of the tenth nearest row of table from each vector of table queries(id, v).
sub exact_tenth
{
	my ($node, $table, $column, $op, $query) = @_;

	$node->safe_psql('postgres', qq{
		DROP TABLE IF EXISTS tenth;
		CREATE TABLE tenth AS SELECT q.id, max(r.d) AS d
			FROM queries AS q, LATERAL (SELECT $column $op $query AS d FROM $table ORDER BY ($column $op $query) + 0 LIMIT 10) AS r
			GROUP BY q.id});
	return;
}

# recall@10 against what exact_tenth() found: the share of rows returned that are no
# farther than the tenth nearest, so of rows at equal distance any will do.
sub recall
{
	my ($node, $table, $column, $op, $query, $settings) = @_;

	return $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; $settings;
		CREATE TEMP TABLE found AS SELECT q.id, r.d
			FROM queries AS q, LATERAL (SELECT $column $op $query AS d FROM $table ORDER BY $column $op $query LIMIT 10) AS r;
		SELECT round((count(*) FILTER (WHERE found.d <= tenth.d) / (10.0 * (SELECT count(*) FROM queries)))::numeric, 4)
			FROM found JOIN tenth USING (id)});
}

# Is the query answered by the graph: an index scan that made no pass over all codes?
sub uses_graph
{
	my ($node, $query, $settings) = @_;
	my $out = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; $settings;
		CREATE TEMP TABLE answer AS $query;
		SELECT flat_passes, codes_scored > 0, rows_returned > 0 FROM qhnsw_last_scan()});

	return $out eq '0|t|t';
}

1;
