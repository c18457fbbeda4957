# test/torture/kills.pl
#       Rounds of kill -9 under mixed load.  After each the server comes back, every
#       index is sound and complete, and what was committed is there and found.
#
# usage: perl kills.pl [--rounds N] [--seed S]
#
# Writers keep a model of their rows: what a client was told is committed must be there,
# and of the statement that was under way either all or nothing.  When a strike falls is
# not in the seed: the same seed gives the same load, not the same moment.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Server;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);
use Torture;

use constant { OWN => 1_000_000, BIG => 51_000 };

my $options = options(rounds => 8);

my @indexes = index_names();

# ---- the tables

my $server = Server->new('kills', 'shared_buffers = 16MB', 'max_wal_size = 64MB', 'checkpoint_timeout = 30s', 'work_mem = 1MB', 'log_min_messages = warning',
	'full_page_writes = on', 'synchronous_commit = on', 'min_parallel_table_scan_size = 0', 'max_parallel_maintenance_workers = 2', 'max_worker_processes = 8');
$server->start or die "the server does not start\n";
my $session = $server->session or die "the server takes no session\n";

$session->rows('CREATE EXTENSION qvec;' . vector_functions() . ';' . table_of_all_types());
$session->rows(q{
	CREATE UNLOGGED TABLE u (LIKE t INCLUDING ALL);
	CREATE TABLE big (id int, e real[]);
	INSERT INTO t SELECT * FROM made(1, 400, 0)});
$session->rows('INSERT INTO big SELECT i, hv(i, 8) FROM generate_series(1, ' . BIG . ') i');
$session->rows("CREATE INDEX $_ ON " . index_of($_)->{on}) foreach @indexes;
$session->rows('CREATE INDEX u_v ON u USING qhnsw (v); ANALYZE');
$session->close;

# ---- what the sessions under load do.  Each draws a statement, and what it changes in the model.

my %model = map { $_ => {} } 1, 2;
my %next_id = map { $_ => $_ * OWN } 1, 2, 3;
my %count;

sub set_rows
{
	my ($rows, $from, $to, $ver) = @_;

	foreach my $id ($from .. $to) { $rows->{$id} = $ver }
	return;
}

# A writer's next: [ sql, model after it ].
sub write_next
{
	my ($w) = @_;
	my %rows = %{ $model{$w} };
	my $have = keys %rows;
	my ($from, $n, $ver) = ($next_id{$w}, 1 + number(20), number(5));
	my $to = $from + $n - 1;
	my $some = $have ? pick(sort keys %rows) : 0;
	my $span = $some + number(12);
	my $what = $have > 500 ? 'delete' : $have < 100 ? 'insert' : pick(qw(insert insert delete update update transaction rollback));
	my @hit = grep { exists $rows{$_} } $some .. $span;

	$next_id{$w} = $to + 1 if $what =~ /insert|transaction|rollback/;
	if ($what eq 'insert')
	{
		set_rows(\%rows, $from, $to, $ver);
		return [ "INSERT INTO t SELECT * FROM made($from, $to, $ver)", \%rows ];
	}
	if ($what eq 'delete')
	{
		$span = $some + number(150) if $have > 500;
		delete @rows{ $some .. $span };
		return [ "DELETE FROM t WHERE id BETWEEN $some AND $span", \%rows ];
	}
	my $update = "UPDATE t SET (ver, v, b, q, d) = (SELECT m.ver, m.v, m.b, m.q, m.d FROM made(t.id, t.id, $ver) m) WHERE id BETWEEN $some AND $span";
	$rows{$_} = $ver foreach @hit;
	return [ $update, \%rows ] if $what eq 'update';
	return [ "BEGIN; INSERT INTO t SELECT * FROM made($from, $to, $ver); $update; ROLLBACK", $model{$w} ] if $what eq 'rollback';
	set_rows(\%rows, $from, $to, $ver);
	return [ "BEGIN; INSERT INTO t SELECT * FROM made($from, $to, $ver); SAVEPOINT s; DELETE FROM t WHERE id BETWEEN $from AND $to;
		INSERT INTO t SELECT * FROM made($from, $to, $ver + 1); ROLLBACK TO s; $update; COMMIT", \%rows ];
}

# A scan beside the table, and what it is judged by.
sub read_next
{
	my ($name, $limit, $flat) = (pick(@indexes), pick(1, 10, 40), pick(qw(on off)));
	my $sql = by_index($flat) . '; ' . against_table($name, $limit, chance(0.5) ? -number(1000) : number(400));

	return [ $sql, undef, sub { disagreement($name, $limit, $flat, $_[0]) } ];
}

# One session does what must not run beside itself.
sub maintain_next
{
	my $name = pick(@indexes);

	return [ pick('VACUUM (INDEX_CLEANUP on) t', 'VACUUM (INDEX_CLEANUP on) t', 'VACUUM t', 'VACUUM (INDEX_CLEANUP on) u', 'CHECKPOINT',
			"REINDEX INDEX CONCURRENTLY $name", "REINDEX INDEX CONCURRENTLY $name", "SELECT qhnsw_requantize('$name')", "REINDEX INDEX $name", 'REINDEX TABLE CONCURRENTLY u',
			'DROP INDEX CONCURRENTLY IF EXISTS extra', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS extra ON ' . index_of($name)->{on}) ];
}

# Builds with workers, of a table that is large enough for them: in memory, and in shards.
sub build_next
{
	my $memory = pick('32MB', '64MB', '8MB');
	my $with = pick('', '', ' WITH (hub_fraction = 0.05)', ' WITH (refine = int8, m = 6)');

	return [ "SET maintenance_work_mem = '$memory'; DROP INDEX IF EXISTS big_i; CREATE INDEX big_i ON big USING qhnsw (e real_l2_ops)$with" ];
}

sub unlogged_next
{
	my ($from) = ($next_id{3});

	$next_id{3} += 10;
	return [ pick("INSERT INTO u SELECT * FROM made($from, $from + 9, 1)", "INSERT INTO u SELECT * FROM made($from, $from + 9, 1)",
			'DELETE FROM u WHERE id % 3 = ' . number(3), 'UPDATE u SET v = hv(id + 5, 48) WHERE id % 7 = ' . number(7)) ];
}

# ---- load

sub start_load
{
	my @load = map { my $w = $_; { name => "writer $w", writer => $w, next => sub { write_next($w) } } } 1, 2;

	push @load, { name => 'reader', next => \&read_next }, { name => 'maintenance', next => \&maintain_next };
	push @load, { name => 'unlogged', next => \&unlogged_next } if chance(0.5);
	push @load, { name => 'build', next => \&build_next } if chance(0.4);
	foreach my $one (@load)
	{
		$one->{session} = $server->session // die "the server takes no session\n";
		ask($one);
	}
	return \@load;
}

sub ask
{
	my ($one) = @_;

	$one->{asked} = $one->{next}->();

	# statements that want to be alone do not go with SET in one message
	$one->{parts} = [ $one->{asked}[0] =~ /^BEGIN/ ? $one->{asked}[0] : split /; /, $one->{asked}[0] ];
	$one->{session}->send(shift @{ $one->{parts} });
	return;
}

# Take an answer: in peace no statement fails, and what succeeded is in the model.
sub take_answer
{
	my ($one, $result, $struck) = @_;

	if ($result->{lost}) { $one->{lost} = 1; return }
	if ($result->{state} ne '00000')
	{
		fault("$one->{name}: $result->{state} $result->{message}", $one->{asked}[0]) if !$struck || $result->{state} !~ /^57P/;
		$one->{lost} = 1 if $struck;
	}
	elsif (@{ $one->{parts} })
	{
		$one->{session}->send(shift @{ $one->{parts} });
		return;
	}
	else
	{
		$count{'statements under load'}++;
		$model{ $one->{writer} } = $one->{asked}[1] if $one->{writer};
		my $wrong = $one->{asked}[2] ? $one->{asked}[2]->($result->{rows}[0]) : '';
		fault("$one->{name}: $wrong", $one->{asked}[0]) if $wrong;
	}
	delete $one->{asked};
	ask($one) if !$struck;
	return;
}

sub run_load
{
	my ($load, $until) = @_;

	while (time < $until)
	{
		my $r = '';
		vec($r, fileno $_->{session}->socket, 1) = 1 foreach grep { !$_->{lost} } @$load;
		my $left = $until - time;
		select $r, undef, undef, $left if $left > 0;
		foreach my $one (grep { !$_->{lost} } @$load)
		{
			my $result = $one->{session}->poll or next;
			take_answer($one, $result, 0);
			if ($one->{lost}) { fault("$one->{name}: the connection went before the strike", $one->{asked}[0]); return }
		}
	}
	return;
}

# ---- strikes

# The last answers of a load that was struck: the connections must go.
sub end_load
{
	my ($load) = @_;
	my $until = time + 60;

	foreach my $one (grep { !$_->{lost} } @$load)
	{
		while (!$one->{lost} && time < $until)
		{
			my $result = $one->{session}->wait(1) or next;
			take_answer($one, $result, 1);
			last if !$one->{asked} && !$one->{lost};
		}
	}
	return;
}

sub strike_process
{
	my ($load) = @_;
	my $processes = $server->processes;
	my @others = grep { $processes->{$_} =~ /parallel worker|checkpointer|background writer|walwriter/ } sort keys %$processes;
	my @workers = grep { $processes->{$_} =~ /parallel worker/ } @others;
	my $victim = @workers && chance(0.5) ? pick(@workers) : @others && chance(0.15) ? pick(@others) : pick(map { $_->{session}->pid } @$load);
	my $title = $processes->{$victim} // 'backend';

	$count{ $title =~ /parallel worker/ ? 'workers killed' : $title =~ /checkpointer|writer/ ? 'other processes killed' : 'backends killed' }++;
	kill 'KILL', $victim;
	end_load($load);
	return;
}

# Children that the postmaster's death left behind must be gone before it starts again, which PostgreSQL sees to.
sub strike_postmaster
{
	my ($load) = @_;

	$count{'postmasters killed'}++;
	my $children = $server->kill_postmaster(chance(0.5));
	foreach my $one (@$load)
	{
		while (!$one->{lost})
		{
			my $result = $one->{session}->poll or last;
			take_answer($one, $result, 1);
			last if !$one->{asked};
		}
		$one->{session}->drop;
	}
	kill 'KILL', @$children if !wait_gone($children, 20);
	wait_gone($children, 20);
	if (chance(0.3))
	{
		# once more while it recovers
		$server->start_no_wait;
		my $until = time + 10;
		sleep 0.01 while !$server->postmaster && time < $until;
		sleep 0.02 + rand 0.3;
		if ($server->postmaster)
		{
			$count{'killed in recovery'}++;
			my $late = $server->kill_postmaster(1);
			wait_gone($late, 20) if $late;
		}
	}
	$server->start_again(60) or fault('the server does not start again');
	return;
}

sub wait_gone
{
	my ($pids, $timeout) = @_;
	my $until = time + $timeout;

	while (time < $until)
	{
		return 1 if !grep { kill 0, $_ } @$pids;
		sleep 0.02;
	}
	return 0;
}

# ---- what must hold afterwards

sub writer_rows_hold
{
	my ($session, $load) = @_;

	foreach my $w (sort keys %model)
	{
		my $rows = $session->rows("SELECT id, ver FROM t WHERE id / @{[OWN]} = $w ORDER BY id");
		my $is = join ' ', map { "$_->[0]:$_->[1]" } @$rows;
		my ($one) = grep { ($_->{writer} // 0) == $w } @$load;
		my @may = ($model{$w}, $one && $one->{asked} ? $one->{asked}[1] : ());
		my ($holds) = grep {
			my $state = $_;
			$is eq join ' ', map { "$_:$state->{$_}" } sort { $a <=> $b } keys %$state
		} @may;

		if ($holds) { $model{$w} = $holds }
		else
		{
			fault("writer $w: rows are neither those before nor those after its last statement", $one->{asked} ? $one->{asked}[0] : 'none');
			$model{$w} = { map { $_->[0] => $_->[1] } @$rows };
		}
	}
	return;
}

# Indexes that a statement under way left invalid go; those of ours that went are made again.
sub tidy_indexes
{
	my ($session) = @_;

	foreach my $row (@{ $session->rows('SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid OR NOT indisready') })
	{
		$session->rows("DROP INDEX $row->[0]");
		$count{'invalid indexes dropped'}++;
	}
	foreach my $name (@indexes)
	{
		next if defined $session->value("SELECT to_regclass('$name')");
		$session->rows("CREATE INDEX $name ON " . index_of($name)->{on});
	}
	return;
}

# Rows are found by their own values: all in a pass over all codes; by the graph, nearly all, counted over the whole run.
sub rows_found
{
	my ($session) = @_;

	foreach my $name (grep { index_of($_)->{op} ne '<#>' } @indexes)
	{
		my ($column, $op) = @{ index_of($name) }{qw(column op)};
		foreach my $flat (qw(on off))
		{
			my $draw = number(1_000_003);
			$session->rows(by_index($flat));
			my ($sought, $found) = @{ $session->rows("SELECT count(*), count(*) FILTER (WHERE (SELECT $column FROM t ORDER BY $column $op s.$column LIMIT 1) = s.$column)
				FROM (SELECT * FROM t WHERE (hashint8(id + $draw) & 15) = 0 OFFSET 0) AS s")->[0] };
			$count{"looked up, flat $flat"} += $sought;
			$count{'not found by the graph'} += $sought - $found if $flat eq 'off';
			fault("$name: of $sought rows only $found are found in a pass over all codes") if $flat eq 'on' && $sought != $found;
			$session->rows('RESET ALL');
		}
	}
	return;
}

sub scans_agree
{
	my ($session) = @_;

	foreach my $name (@indexes)
	{
		my $flat = pick(qw(on off));
		$session->rows(by_index($flat));
		my $sql = against_table($name, 50, number(2000) - 1000);
		my $wrong = disagreement($name, 50, $flat, $session->rows($sql)->[0]);
		$count{'scans compared'}++;
		fault("$name after recovery: $wrong", $sql) if $wrong;
		$session->rows('RESET ALL');
	}
	return;
}

sub unlogged_reset
{
	my ($session) = @_;
	my $rows = $session->value('SELECT count(*) FROM u');

	fault("the unlogged table has $rows rows after a crash") if $rows;
	must($session, 'the unlogged table after it was reset', 'INSERT INTO u SELECT * FROM made(1, 40, 0)');
	my $found = $session->query('SET enable_seqscan = off; SELECT id FROM u ORDER BY v <=> hv(7, 48) LIMIT 10');
	fault('the index of the unlogged table finds ' . @{ $found->{rows} } . ' rows of 10 after it was reset') if @{ $found->{rows} } != 10;
	$session->rows('RESET ALL');
	return;
}

# The leader of any parallel transaction that sees the postmaster gone ends itself while it aborts, and PostgreSQL's report of its
# statistics asserts that no transaction is left (WaitForParallelWorkersToExit, pgstat_report_stat): PostgreSQL's own, and of that process only.
sub our_faults
{
	my ($offset) = @_;
	my %leader = map { /\[(\d+)\] FATAL:/ ? ($1 => 1) : () } $server->log_lines($offset, qr/postmaster exited during a parallel transaction/);
	my @faults = $server->log_faults($offset);
	my @ours = grep { !(/IsTransactionOrTransactionBlock\(\).*PID: (\d+)/ && $leader{$1}) } @faults;

	$count{'assertions of PostgreSQL itself, in leaders without postmaster'} += @faults - @ours if @faults > @ours;
	return @ours;
}

sub round_of
{
	my ($n) = @_;
	my $offset = $server->log_size;

	seed_for($n);
	my $load = start_load();
	run_load($load, time + 0.05 + rand(pick(0.3, 1.5, 1.5, 4)));
	if (chance(0.3)) { strike_postmaster($load) }
	else { strike_process($load) }
	my $session = $server->session_in_time(120) // do { fault("round $n: the server does not come back"); return 0 };
	foreach my $line (our_faults($offset)) { fault("round $n: $line") }
	writer_rows_hold($session, $load);
	unlogged_reset($session);
	tidy_indexes($session);
	$count{checks} += check_indexes($session, "round $n, after recovery");
	rows_found($session);
	scans_agree($session);
	if (chance(0.3))
	{
		must($session, "round $n, after recovery", 'VACUUM (INDEX_CLEANUP on) t');
		$count{checks} += check_indexes($session, "round $n, after recovery and vacuum");
	}
	$session->close;
	return 1;
}

my $rounds = 0;
foreach my $n (1 .. $options->{rounds})
{
	my $before = faults();
	my $went = round_of($n);
	$rounds++;
	ok($before == faults(), "round $n: back, sound and complete");
	last if !$went;
}
my $by_graph = $count{'looked up, flat off'} // 0;
cmp_ok($count{'not found by the graph'} // 0, '<=', 0.01 * $by_graph, "of $by_graph rows looked up the graph misses at most one in a hundred");
figures('kills', "$rounds rounds", (map { "$count{$_} $_" } sort keys %count), faults() . ' faults');
done_testing();
