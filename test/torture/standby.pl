# test/torture/standby.pl
#       Two standbys that answer queries while they replay inserts, updates, deletes,
#       vacuum and builds, with little memory; then they are promoted.
#
# usage: perl standby.pl [--minutes N] [--seed S]
#
# Every replayed page is compared with the primary's (wal_consistency_checking), and every
# answer of an index with the table in the same snapshot.  Shared buffers are 1 MB, less
# than the indexes: pages come and go all the time.  The images that replay compares make a
# statement ten times as slow; so a statement in three writes them, and the others what a
# server writes by default, compressed or not.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Server;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);
use Torture;

use constant { BASE => 2000, MOST => 4500, BEHIND_AT_MOST => 24e6 };

my $options = options(minutes => 0.3);
my @indexes = index_names();
my (%count, %near, %wanted);

# ---- a primary and two standbys

my @conf = ('shared_buffers = 1MB', 'max_connections = 24', 'wal_compression = on', 'full_page_writes = on', 'checkpoint_timeout = 30s', 'max_wal_size = 64MB',
	'min_wal_size = 32MB', 'wal_keep_size = 1GB', 'max_wal_senders = 6', 'work_mem = 1MB', 'maintenance_work_mem = 8MB', 'log_min_messages = warning',
	'log_checkpoints = off', 'max_parallel_workers_per_gather = 0', 'max_parallel_maintenance_workers = 0');
my $primary = Server->new('primary', @conf, "wal_consistency_checking = 'all'");
$primary->start or die "the server does not start\n";
my $control = $primary->session or die "the server takes no session\n";
$control->rows('CREATE EXTENSION qvec;' . vector_functions() . ';' . table_of_all_types());
$control->rows('INSERT INTO t SELECT * FROM made(1, ' . BASE . ', 0)');
$control->rows('CREATE INDEX ' . $_ . ' ON ' . index_of($_)->{on}) foreach @indexes;
$control->rows('ANALYZE; CHECKPOINT');
$control->close;
$primary->stop;

# One holds dead rows back on the primary, the other's queries are in conflict with replay.
sub standby_named
{
	my ($name, @more) = @_;
	my $standby = Server->copy_of($primary, $name, 'hot_standby = on', "primary_conninfo = 'host=@{[$primary->socket_dir]} user=postgres application_name=$name'", @more);

	open my $file, '>', $standby->dir . '/standby.signal' or die "cannot write: $!\n";
	close $file;
	return $standby;
}

my %standby = (
	held => standby_named('held', 'hot_standby_feedback = on', 'max_standby_streaming_delay = 10s'),
	free => standby_named('free', 'hot_standby_feedback = off', 'max_standby_streaming_delay = 1s'));
$primary->start or die "the server does not start\n";
foreach my $name (sort keys %standby) { $standby{$name}->start or die "standby $name does not start\n" }
$control = $primary->session or die "the server takes no session\n";

# ---- what the sessions do: each draws its next statements, which run in turn

my $next_id = BASE + 1;

# How the next statement of a writer writes its WAL.
sub wal_settings
{
	my $all = chance(0.35);

	$count{'writes with wal_consistency_checking = all'} += $all;
	$count{'other writes'} += !$all;
	return ("SET wal_consistency_checking = '" . ($all ? 'all' : '') . "'", 'SET wal_compression = ' . pick(qw(on on off)));
}

sub write_one
{
	my ($from, $n, $ver) = ($next_id, 1 + number(40), number(9));
	my ($to, $some) = ($from + $n - 1, BASE / 2 + number($next_id - BASE / 2));
	my $what = pick(qw(insert insert insert delete update update duplicates));

	$next_id = $to + 1 if $what eq 'insert';
	$what = 'thin' if $next_id % 997 < 20;
	return "INSERT INTO t SELECT * FROM made($from, $to, $ver)" if $what eq 'insert';
	return "DELETE FROM t WHERE id BETWEEN $some AND $some + " . number(60) . ' AND id > ' . BASE / 2 if $what eq 'delete';
	return 'DELETE FROM t WHERE id > ' . BASE / 2 . ' AND (SELECT count(*) FROM t) > ' . MOST . ' AND (id & 1) = ' . number(2) if $what eq 'thin';
	return "UPDATE t SET d = o.d, b = o.b FROM t AS o WHERE o.id = 1 + $some % 1000 AND t.id BETWEEN $some AND $some + 20" if $what eq 'duplicates';
	return "UPDATE t SET (ver, v, b, q, d) = (SELECT m.ver, m.v, m.b, m.q, m.d FROM made(t.id, t.id, $ver) m) WHERE id BETWEEN $some AND $some + " . number(30);
}

sub write_next { return [ wal_settings(), write_one() ] }

sub maintain_next
{
	my $name = pick(@indexes);
	my $what = chance(0.55) ? 'VACUUM (INDEX_CLEANUP on) t' : chance(0.8) ? 'CHECKPOINT' : pick("REINDEX INDEX $name", "REINDEX INDEX CONCURRENTLY $name");

	$count{'reindexed concurrently'} += $what =~ /CONCURRENTLY/;

	$count{vacuums}++ if $what =~ /VACUUM/;
	return [ wal_settings(), $what, 'SELECT pg_sleep(' . pick(0.05, 0.2, 0.5) . ')' ];
}

# A transaction of one snapshot with some scans in it, and a rest between, in which replay goes on.
sub query_next
{
	my @parts = ('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
	my @judged = (undef);

	foreach (1 .. pick(1, 1, 3, 6))
	{
		my ($name, $limit, $flat) = (pick(@indexes), pick(1, 10, 10, 40), pick(qw(on off off)));
		push @parts, split(/; /, by_index($flat)), 'SET qhnsw.ef_search = ' . pick(10, 40, 40, 100), against_table($name, $limit, chance(0.5) ? -number(100000) : number(BASE));
		push @judged, (undef) x 4, [ $name, $limit, $flat ];
		if (chance(0.1)) { push @parts, 'SELECT pg_sleep(0.2)'; push @judged, undef }
	}
	return [ @parts, 'COMMIT' ], \@judged;
}

my @load = (
	(map { { name => "writer $_", server => $primary, next => \&write_next, writes => 1 } } 1, 2),
	{ name => 'maintenance', server => $primary, next => \&maintain_next },
	(map { my $name = $_; map { { name => "query $_ on $name", server => $standby{$name}, standby => $name, next => \&query_next } } 1, 2 } sort keys %standby));

sub ask
{
	my ($one) = @_;

	if (!$one->{session})
	{
		$one->{session} = $one->{server}->session_in_time(60) or do { fault("$one->{name}: no session in a minute"); return };
	}
	my ($parts, $judged) = $one->{next}->();
	@$one{qw(parts judged at)} = ($parts, $judged, 0);
	$one->{session}->send($parts->[0]);
	$one->{asked} = 1;
	return;
}

# What a standby may say when replay comes in a query's way.
sub is_conflict
{
	my ($one, $result) = @_;

	return $one->{standby} && ($result->{message} // '') =~ /conflict with recovery/ && $result->{state} =~ /^(40001|40P01|57P0\d)$/;
}

# REINDEX INDEX CONCURRENTLY waits for the primary's transactions before it drops the old index, but not for a standby's: a query
# there that has listed the indexes of its table and not yet opened them meets one that is gone.  That is PostgreSQL's own.
sub met_dropped_index
{
	my ($one, $result) = @_;

	return $one->{standby} && ($result->{message} // '') =~ /could not open relation with OID (\d+)/ &&
		$count{'reindexed concurrently'} && !$control->value("SELECT count(*) FROM pg_class WHERE oid = $1");
}

sub take_answer
{
	my ($one, $result) = @_;
	my $judged = $one->{judged} && $one->{judged}[ $one->{at} ];

	if ($result->{state} eq '00000')
	{
		judge($one, $judged, $result->{rows}[0]) if $judged;
		if (++$one->{at} < @{ $one->{parts} })
		{
			$one->{session}->send($one->{parts}[ $one->{at} ]);
			return;
		}
	}
	elsif (is_conflict($one, $result)) { $count{conflicts}++ }
	elsif (met_dropped_index($one, $result)) { $count{'queries that met an index just dropped by REINDEX CONCURRENTLY'}++ }
	elsif (!$one->{restarted}) { fault("$one->{name}: $result->{state} " . ($result->{message} // 'the connection went'), $one->{parts}[ $one->{at} ]) }
	$one->{asked} = 0;
	if ($result->{lost}) { $one->{session} = undef }
	elsif ($result->{state} ne '00000') { $one->{session}->query('ROLLBACK', 60) }
	return;
}

sub judge
{
	my ($one, $judged, $row) = @_;
	my ($name, $limit, $flat) = @$judged;
	my $wrong = disagreement($name, $limit, $flat, $row);

	$count{'scans on standbys'}++;
	$count{'rows compared'} += $row->[0];
	$near{$name}{$flat} += $row->[4];
	$wanted{$name}{$flat} += $limit;
	fault("$one->{name}: $name, flat $flat: $wrong", $one->{parts}[ $one->{at} ]) if $wrong;
	return;
}

# Bytes of WAL that the slower standby has still to replay.
sub behind
{
	my $rows = $control->rows('SELECT pg_current_wal_lsn() - coalesce(min(replay_lsn), \'0/0\'), count(*) FROM pg_stat_replication');

	return $rows->[0][1] == keys %standby ? $rows->[0][0] : BEHIND_AT_MOST + 1;
}

sub run_load
{
	my ($until) = @_;
	my ($looked, $far) = (0, 0);

	while (time < $until)
	{
		if (time > $looked + 0.3) { ($looked, $far) = (time, behind() > ($far ? BEHIND_AT_MOST / 3 : BEHIND_AT_MOST)) }
		foreach my $one (grep { !$_->{asked} } @load) { ask($one) if !$far || !$one->{writes} }
		my $r = '';
		foreach my $one (grep { $_->{asked} } @load) { vec($r, fileno $one->{session}->socket, 1) = 1 }
		select $r, undef, undef, 0.1;
		foreach my $one (grep { $_->{asked} } @load)
		{
			my $result = $one->{session}->poll;
			take_answer($one, $result) if $result;
		}
		last if faults() >= 20;
	}
	return;
}

# Let what is under way end.
sub rest
{
	foreach my $one (grep { $_->{asked} } @load)
	{
		my $until = time + 120;
		while ($one->{asked} && time < $until)
		{
			my $result = $one->{session}->wait(1);
			take_answer($one, $result) if $result;
		}
	}
	return;
}

# A standby that goes down hard replays from its last restartpoint, pages that are newer than the record among them.
sub restart_standby
{
	my ($name) = @_;
	my @its = grep { ($_->{standby} // '') eq $name } @load;

	$_->{restarted} = 1 foreach @its;
	$standby{$name}->stop('immediate');
	$standby{$name}->start or fault("standby $name does not start again");
	foreach my $one (@its)
	{
		while ($one->{asked} && (my $result = $one->{session}->wait(60))) { take_answer($one, $result) }
		($one->{session}, $one->{restarted}) = (undef, 0);
	}
	$count{'standby restarts'}++;
	return;
}

sub caught_up
{
	my $until = time + 300;
	my $lsn = $control->value('SELECT pg_current_wal_flush_lsn()');

	while (time < $until)
	{
		return 1 if $control->value("SELECT count(*) FILTER (WHERE replay_lsn >= '$lsn') FROM pg_stat_replication") == keys %standby;
		sleep 0.1;
	}
	return 0;
}

# ---- comparisons at rest

# What scans of all indexes answer, as text.
sub answers
{
	my ($session) = @_;
	my $text = '';

	foreach my $name (@indexes)
	{
		foreach my $flat (qw(on off))
		{
			$session->rows($_) foreach split /; /, by_index($flat);
			foreach my $i (map { $_ * 7 - 50 } 1 .. 8)
			{
				my $ix = index_of($name);
				my $d = "$ix->{column} $ix->{op} " . sprintf $ix->{query}, $i;
				$text .= "$name $flat $i: " . join(' ', map { $_->[0] } @{ $session->rows("SELECT $d FROM t ORDER BY $d LIMIT 20") }) . "\n";
			}
		}
	}
	return $text;
}

sub scans_agree
{
	my ($session, $when) = @_;

	foreach my $name (@indexes)
	{
		foreach my $flat (qw(on off))
		{
			$session->rows($_) foreach split /; /, by_index($flat);
			my $sql = against_table($name, 40, number(2000) - 1000);
			my $wrong = disagreement($name, 40, $flat, $session->rows($sql)->[0]);
			fault("$when: $name, flat $flat: $wrong", $sql) if $wrong;
		}
	}
	return;
}

# As a primary: sound, vacuumed, written to, and sound.
sub after_promotion
{
	my ($name) = @_;

	ok($standby{$name}->promote, "standby $name is promoted");
	my $session = $standby{$name}->session_in_time(60) // do { fault("$name takes no session after promotion"); return };
	must($session, "$name, promoted", "SET wal_consistency_checking = ''");
	$count{checks} += check_indexes($session, "$name, promoted");
	must($session, "$name, promoted", 'VACUUM (INDEX_CLEANUP on) t');
	$count{checks} += check_indexes($session, "$name, promoted and vacuumed");
	my $from = 10_000_000;
	must($session, "$name, promoted", "INSERT INTO t SELECT * FROM made($from, $from + 300, 3)");
	must($session, "$name, promoted", 'DELETE FROM t WHERE id % 5 = 0');
	must($session, "$name, promoted", 'VACUUM (INDEX_CLEANUP on) t');
	must($session, "$name, promoted", "INSERT INTO t SELECT * FROM made($from + 1000, $from + 1200, 3)");
	$count{checks} += check_indexes($session, "$name, promoted, vacuumed and written to");
	scans_agree($session, "$name, promoted");
	$session->close;
	return;
}

# ---- main

seed_for(1);
my $end = time + 60 * $options->{minutes};
my $restart_every = 60 * $options->{minutes} / 4;
my $restart_at = time + $restart_every;
while (time < $end && faults() < 20)
{
	run_load($restart_at < $end ? $restart_at : $end);
	if (time < $end && faults() < 20) { restart_standby(pick(sort keys %standby)) }
	$restart_at += $restart_every;
}
rest();
ok(faults() == 0, 'queries on the standbys agreed with the table');
ok(caught_up(), 'the standbys caught up') or diag(join "\n", map { $_->log_lines(0, qr/FATAL|PANIC/) } values %standby);
my $expected = answers($control);
$count{checks} += check_indexes($control, 'primary');
foreach my $name (sort keys %standby)
{
	my $session = $standby{$name}->session_in_time(60) // do { fault("$name takes no session"); next };
	$count{checks} += check_indexes($session, "$name before promotion");
	is(answers($session), $expected, "$name answers as the primary does");
	$session->close;
}
$control->close;
$primary->stop('immediate');
after_promotion($_) foreach sort keys %standby;
foreach my $server ($primary, map { $standby{$_} } sort keys %standby)
{
	is(join("\n", $server->log_faults(0), $server->log_lines(0, qr/inconsistent page|invalid page|WARNING:  page|could not find block/)), '', 'nothing crashed, and replay found no page that differs');
}

# Generous floors: whether rows are lost, not how good the codes are, is asked here.
my @recall;
foreach my $name (@indexes)
{
	foreach my $flat (sort keys %{ $near{$name} // {} })
	{
		my $share = $near{$name}{$flat} / $wanted{$name}{$flat};
		push @recall, sprintf '%s %s %.3f', $name, $flat eq 'on' ? 'flat' : 'graph', $share;
		cmp_ok($share, '>', 0.8, "$name, flat $flat: rows that are among the nearest") if $wanted{$name}{$flat} >= 300;
	}
}
figures('standby', (map { "$count{$_} $_" } sort keys %count), 'recall ' . join(' ', @recall), faults() . ' faults');
done_testing();
