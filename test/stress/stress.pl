# test/stress/stress.pl
#       Random small tables, indexes, changes and searches beside the sequential scan: README.md.
#
# usage: perl stress.pl [--seconds N] [--seed N] [--rounds N] [--out DIR] [--rows N] [--only SHAPE]
#
# Connects by PGHOST, PGPORT, PGUSER to a server that is its own: it makes a database and drops it.  One TAP
# line a round; of a round that fails what was wrong, the statement, and a script of all that was run.

use strict;
use warnings;

use File::Path 'make_path';
use FindBin;
use lib $FindBin::Bin;
use Getopt::Long;
use Time::HiRes 'time';

use Chance;
use Session;
use Statements;
use Table;
use Verdict;

my ($seconds, $rounds, $seed, $out, $most_rows, $only, $server_log, $verbose) = (60, undef, undef, undef, 20000, undef, $ENV{STRESS_SERVER_LOG}, 0);
GetOptions('seconds=i' => \$seconds, 'rounds=i' => \$rounds, 'seed=i' => \$seed, 'out=s' => \$out, 'rows=i' => \$most_rows,
	'only=s' => \$only, 'verbose' => \$verbose)
  or die "usage: stress [--seconds N] [--seed N] [--rounds N] [--out DIR] [--rows N] [--only SHAPE] [--verbose]\n";
$seed //= time % 1000000 * 1000;
$out //= "/tmp/qvec-stress-$seed";
my $database = "stress_$$";
$| = 1;

# Of one round: everything sent, faults seen, the table, the number of the table's state, oracles of that state.
my (@log, @faults, $table, $state, %oracles, $statements);
# SQLSTATEs that are no fault for now, as a pattern.
my $tolerated = '';
# Seconds and text of the statement that took longest in this round.
my @slowest;
# Of the run.
my (%kinds, %shapes, %totals, @recalls, %recalls_of);

# No JIT: plans that are forced cost so much that each would be compiled.
my $setup = <<'EOS' =~ s/\n/ /gr;
SET jit = off; SET client_min_messages = warning; SET statement_timeout = '60s'; SET max_parallel_workers_per_gather = 2;
EOS
my $main = Session->new('main', \@log, $setup);
my $beside = Session->new('beside', \@log, $setup);
my @writers = map { Session->new("writer$_", \@log, $setup) } 0, 1;

# ------------------------------------------------------------------ running

sub fault
{
	my ($kind, $detail, $sql, $context) = @_;

	$kinds{$kind}{count}++;
	$kinds{$kind}{first} //= $table->{seed};
	$totals{faults}++;
	push @faults, { kind => $kind, detail => $detail, sql => $sql, context => $context, at => scalar @log };
	return;
}

# Judge how a statement ended.  may is a pattern of SQLSTATEs that are no fault.  Returns the result if it succeeded.
sub judge
{
	my ($result, $may) = @_;

	$statements++;
	@slowest = ($result->{seconds}, $result->{sql}) if ($result->{seconds} // 0) > ($slowest[0] // 0);
	# A server with assertions looks at its memory when it frees it; all know of buffers and snapshots left behind.
	foreach (($result->{stderr} // '') =~ /^WARNING:\s+(.*)/mg)
	{
		fault('warning', $_, $result->{sql}), last if !/^25P01/;
	}
	return $result if $result->{state} eq '';
	if ($result->{dead})
	{
		fault($result->{stuck} ? 'stuck' : 'crash', crash_report($result), $result->{sql});
		die "round ended\n";
	}
	return undef if defined $may && $result->{state} =~ /^(?:$may)/;
	return undef if $tolerated ne '' && $result->{state} =~ /^(?:$tolerated)/;
	fault("error $result->{state}", $result->{message} . stderr_location($result), $result->{sql});
	return undef;
}

sub stderr_location
{
	my ($result) = @_;

	return ($result->{stderr} // '') =~ /^LOCATION:\s+(.*)$/m ? " ($1)" : '';
}

# What the server's log says of a crash.
sub crash_report
{
	my ($result) = @_;
	my $said = $result->{message} =~ s/\s+/ /gr;

	return $said if !defined $server_log || !open my $file, '<', $server_log;
	sleep 1;
	seek $file, $totals{log_offset} // 0, 0;
	my @lines = grep { /TRAP:|PANIC:|terminated by signal|was terminated/ } <$file>;
	$totals{log_offset} = tell $file;
	chomp @lines;
	return @lines ? join('; ', @lines) : $said;
}

sub main_run
{
	my ($sql, $may) = @_;

	return judge($main->run($sql), $may);
}

# ------------------------------------------------------------------ oracle

sub oracle
{
	my ($q, $where) = @_;
	my $condition = join ' AND ', map { "($_)" } @$where;
	my $key = "$q->{sql}|$condition";

	return $oracles{$key} if $oracles{$key};
	my $e = $table->expression('t.e');
	my $self = $q->{odd} || !defined $q->{text} ? "$e $table->{operator} $e" : "$e $table->{operator} $q->{sql}";
	my $result = main_run("SELECT t.id, $e $table->{operator} $q->{sql}, $self FROM t" . ($condition ne '' ? " WHERE $condition" : ''), '57014');
	return undef if !$result;
	return $oracles{$key} = Verdict::oracle($result->{lines}, $table->{metric});
}

sub changed
{
	$state++;
	%oracles = ();
	# Entries of dead rows may be counted as late, before they are looked up.
	$table->{dead_rows} = 1;
	return;
}

# Take dead rows away now and then, for what is checked only without them.
sub clear_dead_rows
{
	return if !main_run('VACUUM (INDEX_CLEANUP ON) t');
	$table->{dead_rows} = 0;
	return;
}

# ------------------------------------------------------------------ searches

sub set_sql
{
	my ($set) = @_;

	return join ' ', map { "SET $_ = $set->{$_};" } sort keys %$set;
}

# What must hold of a statement's answer under these settings.
sub expectation
{
	my ($s, $set) = @_;
	my $order = $set->{'qhnsw.iterative_scan'} // 'strict_order';
	my $by_value = $table->rescores($set);
	my $ample = $set->{work_mem} !~ /kB/;
	my $visible = $s->{visible} && limit_is_visible();
	my %want = (limit => $s->{limit}, offset => $s->{offset}, ties => $s->{ties}, by_id => $s->{by_id});

	$want{complete} = $order ne 'off' && !exists $set->{'qhnsw.max_scan_tuples'};
	# A condition on the distance is answered as a LIMIT is: not every row within is found.
	$want{partly} = $s->{bounded} || ($s->{shape} // '') eq 'keyset';
	$want{complete} = 0 if $want{partly} && $table->{metric} eq 'ip';
	# Rows within a LIMIT are decided together: no row of it is late in either order, unless dead rows were counted.
	$want{ordered} = $by_value && ($order eq 'strict_order'
		|| ($visible && $order eq 'relaxed_order' && $ample && !$table->{dead_rows} && defined $s->{limit} && $s->{limit} + $s->{offset} <= 100));
	# Each partition puts its late rows last, and a merge of them has several places for such.
	$want{merged} = $table->{plan} =~ /Append/;
	$want{may_be_late} = $order eq 'strict_order' && !$visible;
	# Rows passed over are a stage of their own, decided from fewer candidates.
	$want{exact} = $want{complete} && !$want{partly} && !$s->{offset} && $visible && $by_value && ($set->{'qhnsw.flat'} // 'off') eq 'on'
	  && ($table->{type} eq 'bitvec' || sees_all($s, $set));
	$want{measure} = $want{complete} && $visible && $by_value && $ample && defined $s->{limit} && $s->{limit} >= 5
	  && $table->ef_search($set) >= 40 && ($set->{'qhnsw.oversample'} // 1) >= 1;
	# How many rows are late is judged where codes say something and enough of them is looked at: not under the inner product (queries much shorter
	# than the rows), nor for data of which they cannot tell one row from another (README.md), nor where a window ends the scan as a LIMIT does.
	$want{usual} = $ample && $table->ef_search($set) >= 40 && $table->{metric} ne 'ip'
	  && ($s->{shape} // '') ne 'window' && $table->{data}{kind} =~ /^(?:clusters|uniform)$/
	  && ($set->{'qhnsw.oversample'} // $table->{options}{oversample} // 2) > 1;
	return \%want;
}

# Does a pass over all codes rescore every row, so few are they?
sub sees_all
{
	my ($s, $set) = @_;
	my $oversample = $set->{'qhnsw.oversample'} // $table->{options}{oversample} // 1;
	my $wanted = $s->{limit} + $s->{offset};

	return 0 if $table->{options}{refine};
	return $table->{nextid} < $oversample * ($wanted < 10 ? 10 : $wanted);
}

# Rows of an answer by group: lines "group|id|distance".
sub by_group
{
	my ($lines) = @_;
	my %groups;

	foreach (@$lines)
	{
		my ($group, $id, $d) = split /\|/, $_, -1;
		push @{ $groups{$group} }, [ $id, $d // '' ];
	}
	return \%groups;
}

# Compare one answer, of one query, with the oracle.
sub compare
{
	my ($s, $want, $oracle, $rows, $context) = @_;

	my $before = @faults;
	foreach my $f (Verdict::faults($oracle, $rows, $want))
	{
		fault("$f->[0] ($s->{shape})", $f->[1], $s->{sql} // $s->{declare}, $context);
	}
	return if @faults > $before || !$want->{measure} || $s->{q_odd};
	my $recall = Verdict::recall($oracle, $rows, $want);
	return if !defined $recall;
	push @{ $table->{recalls} }, $recall;
	push @recalls, $recall;
	push @{ $recalls_of{"$table->{metric}, $want->{way} queries"} }, $recall;
	return;
}

# Scans to the end, for the share of all rows that is late.
sub count_late
{
	my ($want, $nrows) = @_;

	return if !defined $want->{late} || !$want->{usual} || !$want->{complete} || $want->{partly};
	$totals{cursor_rows} += $nrows;
	$totals{cursor_late} += $want->{late};
	return;
}

# Rows late in the last scan; undef where more scans than one were run, or in a worker.
sub rows_late
{
	my ($set) = @_;
	my $result = main_run('SELECT rows_late FROM qhnsw_last_scan()');

	return undef if !$result || $table->{kind} eq 'partitioned' || $set->{debug_parallel} || exists $set->{parallel_setup_cost};
	return $result->{lines}[0];
}

# Is the statement's plan a scan of the index?
sub uses_index
{
	my ($sql) = @_;
	my $plan = main_run("EXPLAIN (COSTS OFF) $sql");

	return undef if !$plan;
	my @scans = grep { /Index Scan using \S+ on|Seq Scan on t|Bitmap|Custom/ } @{ $plan->{lines} };
	my $ours = grep { /Index Scan using (?:ti|t\d_\S*)(?:_ccnew\d*)? on t/ && !/_pkey| tg | t\d_grp_/ } @scans;
	my $others = grep { /(?:Seq Scan on|Bitmap Heap Scan on) t\d?\b/ } @scans;

	$table->{plan} = join "\n", @{ $plan->{lines} };
	return $ours && !$others;
}

# Does a scan of the index in the plan see the LIMIT: are there only nodes between that pass on all they get?
sub limit_is_visible
{
	my @above;

	foreach (split /\n/, $table->{plan})
	{
		my ($indent, $node) = /^(\s*)(?:->\s+)?(.*)/;
		my $depth = length $indent;
		next if $node !~ /^(?:Limit|Result|Subquery Scan|LockRows|Append|Merge Append|Index Scan|[A-Z][\w ]+(?: on |$))/ || $node =~ /^(?:Sort Key|Order By|Filter|Index Cond|Join Filter|Presorted Key|SubPlan|InitPlan|CTE \w+$)/;
		pop @above while @above && $above[-1][0] >= $depth;
		push @above, [ $depth, $node ];
		next if $node !~ /^Index Scan using .* on t/;
		for (my $i = $#above - 1; $i >= 0; $i--)
		{
			last if $above[$i][1] =~ /^Limit/;
			return 0 if $i == 0 || $above[$i][1] !~ /^(?:Result|Subquery Scan|LockRows|Append|Merge Append)/;
		}
	}
	return 1;
}

sub query_for
{
	my $q = $table->{data}->query;

	$q->{text} = undef if chance(0.01);
	$q->{sql} = $table->query_sql($q);
	return $q;
}

# Some distances of rows to a query, for conditions.
sub bounds
{
	my ($oracle) = @_;
	my @finite = grep { abs($_) < 1e30 } @{ Verdict::ascending($oracle) };

	return [0] if !@finite;
	return [ map { sprintf '%.17g', $finite[ int(uniform()**3 * @finite) ] } 1 .. 4 ];
}

# Searches under one choice of settings.
sub battery
{
	my ($n) = @_;
	my $set = Statements::settings();
	my %guc = %$set;
	my $parallel = delete $guc{debug_parallel};
	$guc{ $table->{server_version} >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode' } = $parallel if $parallel;

	main_run(set_sql(\%guc));
	foreach (1 .. $n)
	{
		my @queries = map { query_for() } 0 .. between(0, 4);
		searches_of(\@queries, $set) for 1 .. between(1, 4);
	}
	main_run("RESET ALL; $setup");
	return;
}

# One statement over these queries.
sub searches_of
{
	my ($queries, $set) = @_;
	my $q = $queries->[0];
	my $predicate = $table->predicate;
	my @always = $predicate ne '' ? ($predicate) : ();
	my @where = @always;
	my @lateral = @always;
	my $bounded = 0;
	my $e = $table->expression('t.e');

	push @where, Statements::plain_condition($table) if chance(0.4);
	@lateral = @where;
	if (chance(0.25))
	{
		my $all = oracle($q, \@always) or return;
		my $bounds = bounds($all);
		my $condition = Statements::distance_condition("$e $table->{operator} QUERY", "QUERY $table->{operator} $e", $bounds);
		$bounded = 1;
		push @where, $condition =~ s/QUERY/$q->{sql}/gr;
		push @lateral, $condition =~ s/QUERY/qs.v/gr;
	}
	my $s = Statements::make($table, $q->{sql}, \@where, \@lateral);

	return if defined $only && $s->{shape} ne $only;
	$s->{bounded} = $bounded;
	$s->{q_odd} = $q->{odd} || !defined $q->{text};
	if ($s->{qs})
	{
		my $type = $table->{type};
		main_run('TRUNCATE qs; INSERT INTO qs VALUES ' . join(', ', map { "($_, $queries->[$_]{sql})" } 0 .. $#$queries)) or return;
	}
	push @where, $s->{extra} if $s->{extra};
	my $want;
	my $context = set_sql($set);
	$shapes{ $s->{shape} }++;
	return cursor($s, $q, \@where, $set, $context) if $s->{shape} eq 'cursor';
	main_run($_) or return for @{ $s->{around} };
	foreach (0 .. $s->{again} // 0)
	{
		my $index = uses_index($s->{explain} // $s->{sql}) // return;
		$want = expectation($s, $set);
		$totals{$index ? 'by_index' : 'by_others'}++;
		my $result = main_run($s->{sql}) or return;
		next if !$index;
		if ($want->{may_be_late})
		{
			$want->{late} = rows_late($set);
			$want->{late_exact} = $table->{plan} !~ /Nested Loop|Join/ && !$table->{dead_rows};
			count_late($want, scalar @{ $result->{lines} }) if $s->{shape} eq 'all' && $want->{late_exact};
		}
		judge_groups($s, $want, $queries, \@where, \@lateral, by_group($result->{lines}), "$context\n$table->{plan}") or return;
	}
	return;
}

sub judge_groups
{
	my ($s, $want, $queries, $where, $lateral, $groups, $context) = @_;

	if (!$s->{groups})
	{
		my $oracle = oracle($queries->[0], $where) or return;
		$want->{way} = $queries->[0]{way};
		compare($s, $want, $oracle, $groups->{0} // [], $context);
		return 1;
	}
	my @ids = $s->{groups} eq 'same' ? (0, 1) : (0 .. $#$queries);
	foreach my $i (@ids)
	{
		my $q = $queries->[ $s->{groups} eq 'same' ? 0 : $i ];
		my $condition = $s->{groups} eq 'same' ? $where : [ map { s/qs\.v/$q->{sql}/gr } @$lateral ];
		my $oracle = oracle($q, $condition) or return;
		$want->{way} = $q->{way};
		compare($s, $want, $oracle, $groups->{$i} // [], "$context\ngroup $i, query $q->{sql}");
	}
	return 1;
}

# A cursor, which needs a transaction block.
sub cursor
{
	my ($s, $q, $where, $set, $context) = @_;
	my $inside = $table->{in_transaction};
	my (@rows, $ended);

	main_run('BEGIN') or return if !$inside;
	my $index = uses_index($s->{declare});
	my $want = expectation($s, $set);
	my $oracle = defined $index ? oracle($q, $where) : undef;
	if (!$oracle || !main_run($s->{declare}))
	{
		main_run('ROLLBACK') if !$inside;
		return;
	}
	my $changed = 0;
	if ($s->{hold} && !$inside)
	{
		# cancelled, it leaves no cursor
		main_run('COMMIT') or return;
		$inside = 1;
	}
	foreach my $n (@{ $s->{fetches} })
	{
		my $result = main_run('FETCH ' . ($n || 'ALL') . ' FROM c');
		if (!$result)
		{
			main_run('ROLLBACK') if !$table->{in_transaction};
			return;
		}
		push @rows, map { my (undef, $id, $d) = split /\|/; [ $id, $d // '' ] } @{ $result->{lines} };
		$ended = 1 if !$n || @{ $result->{lines} } < $n;
		last if $ended;
		# What others did since the cursor was opened it does not see.
		if (!$s->{hold} && !$table->{in_transaction} && !$table->{concurrent} && chance(0.1))
		{
			main_run($table->change) or last;
			$changed = 1;
		}
		elsif (chance(0.1) && $want->{complete})
		{
			main_run("SELECT t.id FROM t ORDER BY " . $table->expression('t.e') . " $table->{operator} $q->{sql} LIMIT 3");
			$s->{another_scan} = 1;
		}
	}
	$totals{$index ? 'by_index' : 'by_others'}++;
	my $late = $want->{may_be_late} ? rows_late($set) : undef;
	backwards(\@rows, $s->{declare}) if $s->{declare} =~ /SCROLL/ && @rows && chance(0.7);
	main_run('CLOSE c', '57014');
	main_run($changed ? 'ROLLBACK' : 'COMMIT') if !$inside;
	return if !$index;
	if (!$ended)
	{
		$want->{limit} = @rows;
		$want->{measure} = 0;
	}
	if ($want->{may_be_late})
	{
		# Statistics of a held or unfinished cursor are not its own, nor complete.
		$want->{late} = !$ended || $s->{another_scan} || $s->{hold} || $changed ? undef : $late;
		$want->{late_exact} = $table->{plan} !~ /Nested Loop|Join/ && !$table->{dead_rows};
		count_late($want, scalar @rows) if $want->{late_exact};
	}
	$want->{way} = $q->{way};
	compare($s, $want, $oracle, \@rows, "$context\nfetched " . join(', ', @{ $s->{fetches} }) . "\n$table->{plan}");
	return;
}

# What a cursor gave comes again in the reverse order.
sub backwards
{
	my ($rows, $declare) = @_;
	my $result = main_run('FETCH ' . pick('LAST', 'NEXT') . ' FROM c; MOVE ABSOLUTE ' . (@$rows + 1) . ' FROM c; FETCH BACKWARD ALL FROM c') or return;
	my @ids = map { (split /\|/)[1] } @{ $result->{lines} };
	my @expected = map { $_->[0] } reverse @$rows;

	# The first line may be that of the row fetched before the move.
	splice @ids, 0, @ids - @expected if @ids > @expected;
	fault('backwards', 'rows ' . join(' ', @ids[ 0 .. ($#ids < 5 ? $#ids : 5) ]) . ' where ' . join(' ', @expected[ 0 .. ($#expected < 5 ? $#expected : 5) ]) . ' should be', $declare)
	  if "@ids" ne "@expected";
	return;
}

# Pages: LIMIT and OFFSET, or each behind the last distance, until the rows are through.
sub pages
{
	my $q = query_for();
	my $set = { work_mem => "'4MB'" };
	my $e = $table->expression('t.e');
	my $d = "$e $table->{operator} $q->{sql}";
	my @always = $table->predicate ne '' ? ($table->predicate) : ();
	my $c = @always ? "WHERE $always[0]" : '';
	my $size = pick(3, 10, 10, 50);
	# where codes order rows, the last of a page need not be the farthest
	my $keyset = chance(0.5) && $table->rescores($set);
	my (%seen, $last, $sql);

	return if $q->{odd} || !defined $q->{text} || (defined $only && $only ne 'pages');
	$shapes{pages}++;
	main_run('SET enable_seqscan = off; SET enable_sort = off');
	my $oracle = oracle($q, \@always) or return;
	my %ties;
	$ties{$_}++ for map { Verdict::number($_) } values %{ $oracle->{distance} };
	foreach my $page (0 .. 12)
	{
		my @where = (@always, $keyset && defined $last ? "$d > $last" : ());
		$sql = "SELECT 0, t.id, $d FROM t " . (@where ? 'WHERE ' . join(' AND ', @where) : '') . " ORDER BY $d LIMIT $size" . ($keyset ? '' : ' OFFSET ' . $page * $size);
		my $index = uses_index($sql) // return;
		my $result = main_run($sql) or last;
		last if !$index;
		my $rows = by_group($result->{lines})->{0} // [];
		my $s = { shape => $keyset ? 'keyset' : 'pages', sql => $sql, limit => $size, offset => $keyset ? 0 : $page * $size, visible => 1 };
		my $of = oracle($q, \@where) or last;
		compare($s, { %{ expectation($s, $set) }, way => $q->{way} }, $of, $rows, $table->{plan});
		foreach (@$rows)
		{
			# Where codes order rows, each page is a search of its own effort.  Rows of partitions are merged: one that comes late in its partition moves others to another page.
			fault("repeated row ($s->{shape})", "row $_->[0] of page $page was on page $seen{ $_->[0] }", $sql, $table->{plan}), last
			  if exists $seen{ $_->[0] } && $table->rescores($set) && ($keyset || $table->{plan} !~ /Append/) && ($ties{ Verdict::number($_->[1]) } // 0) == 1;
			$seen{ $_->[0] } = $page;
		}
		last if @$rows < $size;
		$last = $rows->[-1][1];
		last if $keyset && $last !~ /\d/;
	}
	main_run("RESET ALL; $setup");
	return;
}

# ------------------------------------------------------------------ changes

# Statements, some of them in a transaction with savepoints, and searches between.
sub transaction
{
	my $level = pick('', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE');

	main_run("BEGIN$level") or return;
	$table->{in_transaction} = 1;
	my @savepoints;
	foreach (1 .. between(2, 6))
	{
		my $what = weighted(change => 5, search => 5, savepoint => 3, back => 2, release => 1, bad => 1, block => 1);
		if ($what eq 'change') { main_run($table->change) or last; changed(); }
		elsif ($what eq 'search') { battery(1); }
		elsif ($what eq 'savepoint') { push @savepoints, 's' . @savepoints; main_run("SAVEPOINT $savepoints[-1]"); }
		elsif ($what eq 'back' && @savepoints) { main_run("ROLLBACK TO $savepoints[-1]"); changed(); }
		elsif ($what eq 'release' && @savepoints) { main_run('RELEASE ' . pop @savepoints); }
		elsif ($what eq 'bad') { main_run('SAVEPOINT bad'); bad_change(); main_run('ROLLBACK TO bad'); main_run('RELEASE bad'); }
		elsif ($what eq 'block')
		{
			my $change = $table->insert_sql(3);
			my $delete = 'DELETE FROM t WHERE ' . $table->some;
			main_run("DO \$_\$ BEGIN BEGIN $change; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END; BEGIN $delete; EXCEPTION WHEN others THEN RAISE; END; END \$_\$");
			changed();
		}
		last if @faults > 20;
	}
	main_run(pick('COMMIT', 'COMMIT', 'ROLLBACK'));
	$table->{in_transaction} = 0;
	changed();
	return;
}

# A row that must be refused.
sub bad_change
{
	my ($sql, $state) = @{ $table->bad_change };
	my $result = $main->run($sql);

	$statements++;
	judge($result) if $result->{dead};
	# A row that fails no predicate, in an index with no rows yet, may set the dimension: then it is not refused.
	return if $result->{state} =~ /^$state/;
	fault('bad row: ' . ($result->{state} || 'accepted'), $result->{message} || 'was accepted', $sql)
	  if $result->{state} ne '' || $table->{type} ne 'real[]';
	main_run('DELETE FROM t WHERE id = ' . ($table->{nextid} - 1)) if $result->{state} eq '';
	return;
}

# Statements that are cancelled in their midst, by a timeout or from beside.
sub cancels
{
	my $canceled = '57014|25P02|40001';

	if (chance(0.5))
	{
		foreach (1 .. between(1, 6))
		{
			my $ms = pick(1, 2, 3, 5, 10, 30);
			main_run("SET statement_timeout = '${ms}ms'", '57014');
			my @sql = chance(0.6) ? ($table->change) : @{ $table->upkeep };
			main_run($_, $canceled) or last for @sql;
			main_run('SET statement_timeout = 0', '57014') for 1, 2;
			settle();
		}
	}
	else
	{
		my $pid = $main->{backend};
		$tolerated = '57014|25P02';
		$beside->connect if !$beside->connected;
		$beside->send(join '; ', map { "SELECT pg_sleep($_); SELECT pg_cancel_backend($pid)" } map { 0.001 * between(1, 40) } 1 .. between(1, 5));
		while (!$beside->ended)
		{
			weighted(sub { main_run($table->change, $canceled) }, 2,
				sub { battery(1) }, 3,
				sub { main_run($_, $canceled) or last for @{ $table->upkeep } }, 1)->();
			changed();
		}
		judge($beside->result);
	}
	settle();
	$tolerated = '';
	return;
}

# After cancels: no transaction open, no setting left, what a canceled build left behind is gone.
sub settle
{
	for (1 .. 3)
	{
		main_run('ROLLBACK', '57014|25P01');
		main_run("RESET ALL; $setup", '57014');
	}
	changed();
	my $left = main_run("SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 't'::regclass AND NOT i.indisvalid AND c.relkind = 'i'", '57014');
	main_run("DROP INDEX $_") for $left ? @{ $left->{lines} } : ();
	my $there = main_run("SELECT to_regclass('ti')", '57014');
	main_run($table->create_index_sql) if $there && ($there->{lines}[0] // '') eq '';
	return;
}

# The checker finds nothing, in any index of the table.
sub sound
{
	my ($when) = @_;
	my $indexes = main_run($table->leaf_indexes) or return;

	foreach (@{ $indexes->{lines} })
	{
		my ($oid, $name) = split /\|/;
		my $result = main_run("SELECT block, node, fault FROM qhnsw_check($oid, true) LIMIT 5") or next;
		fault('checker', "$when, $name: " . join('; ', @{ $result->{lines} }), "SELECT * FROM qhnsw_check('$name', true)") if @{ $result->{lines} };
	}
	return;
}

# ------------------------------------------------------------------ writers beside

my $writer_lines = 0;

# The next piece of work for a writer: each has rows of its own.
sub writer_sql
{
	my ($w) = @_;
	my $base = 2000000 * ($w + 1) + 1000 * $writer_lines++;
	my $n = between(1, 60);
	my $copy = "SELECT $base + j, s.grp, s.x, s.n, s.s, s.e FROM src AS s WHERE s.nth = (j * " . between(1, 40) . ') % 100';

	return weighted(
		"DO \$_\$ BEGIN FOR j IN 1 .. $n LOOP INSERT INTO t (id, grp, x, n, s, e) $copy; COMMIT; END LOOP; END \$_\$", 5,
		"INSERT INTO t (id, grp, x, n, s, e) SELECT $base + s.nth, s.grp, s.x, s.n, s.s, s.e FROM src AS s WHERE s.nth < $n", 2,
		"DELETE FROM t WHERE id % 2 = $w AND id % " . pick(3, 7, 30) . ' = ' . below(3), 3,
		"UPDATE t SET n = n + 1 WHERE id % 2 = $w AND id % 5 = " . below(5), 2,
		"UPDATE t SET e = (SELECT e FROM src ORDER BY id LIMIT 1 OFFSET " . below(50) . ") WHERE id % 2 = $w AND id % 20 = " . below(20), 2,
		"DO \$_\$ BEGIN FOR j IN 1 .. $n LOOP BEGIN DELETE FROM t WHERE id = 2 * (j * 17) + $w; IF j % 3 = 0 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END \$_\$", 1,
		'VACUUM (INDEX_CLEANUP ON) t', 4,
		$w || $table->{kind} eq 'partitioned' ? 'VACUUM t' : 'REINDEX INDEX CONCURRENTLY ti', 0.5);
}

# Keep the writers busy; what they did may fail only by one another.
sub keep_writing
{
	foreach my $w (0 .. $#writers)
	{
		my $session = $writers[$w];
		next if !$session->ended && $session->busy;
		judge($session->result, '40P01|40001|55P03') if $session->busy;
		$session->send(writer_sql($w));
	}
	return;
}

# Searches in snapshots of their own, beside writers.
sub beside_writers
{
	$table->{concurrent} = 1;
	main_run('DROP TABLE IF EXISTS src') && main_run('CREATE TABLE src AS SELECT *, row_number() OVER () - 1 AS nth FROM t WHERE e IS NOT NULL AND id < 1000000 ORDER BY id LIMIT 200') or return;
	$_->connected or $_->connect for @writers;
	foreach (1 .. between(5, 15))
	{
		keep_writing();
		main_run('BEGIN ISOLATION LEVEL REPEATABLE READ') or last;
		$table->{in_transaction} = 1;
		changed();
		$tolerated = '40001|40P01|25P02|55P03';
		eval { battery(between(1, 2)); 1 } or $table->{ended} = $@;
		$tolerated = '';
		last if $table->{ended};
		$table->{in_transaction} = 0;
		main_run('ROLLBACK');
		last if @faults > 20;
	}
	foreach my $session (@writers)
	{
		judge($session->result, '40P01|40001|55P03') while $session->busy && !$table->{ended};
	}
	die $table->{ended} if $table->{ended};
	$table->{concurrent} = $table->{in_transaction} = 0;
	settle();
	return;
}

# Many searches in one statement, inside the server: of each, that as many rows as there must be came, each once and in order.
sub soak
{
	my $set = Statements::settings();
	my $predicate = $table->predicate;
	my @where = $predicate ne '' ? ($predicate) : ();
	my $e = $table->expression('t.e');
	my $limit = pick(1, 3, 10, 40);
	my $n = pick(50, 200, 1000, $limit <= 10 ? 3000 : 200);
	my $reads_values = $table->rescores($set);
	my $order = $set->{'qhnsw.iterative_scan'} // 'strict_order';

	return if defined $only && $only ne 'soak';
	delete @$set{qw(debug_parallel qhnsw.max_scan_tuples)};
	$n = 50 if $set->{'qhnsw.flat'} || ($set->{'qhnsw.ef_search'} // 0) > 1000 || ($set->{'qhnsw.oversample'} // 0) >= 20;
	$n = 50 if $table->{expression};
	push @where, Statements::plain_condition($table) if chance(0.7);
	my $c = @where ? 'WHERE ' . join(' AND ', map { "($_)" } @where) : '';
	my @literals = map { my $q = query_for(); $q->{odd} || !defined $q->{text} ? () : "($q->{sql})" } 1 .. 10;
	push @literals, "(NULL::$table->{type})" if !@literals;
	my $zero = $table->{metric} eq 'cosine' ? " AND ($e $table->{operator} $e) <> 'NaN'" : '';
	my $queries = "SELECT v FROM (SELECT $e AS v, id FROM t WHERE e IS NOT NULL$zero UNION ALL SELECT column1, 0 FROM (VALUES " . join(', ', @literals) . ") AS l) AS q WHERE v IS NOT NULL ORDER BY hashint4(id + " . below(1000) . "), id LIMIT $n";
	my $present = $table->{metric} eq 'cosine' ? "($e $table->{operator} $e) <> 'NaN'" : "$e IS NOT NULL";
	my $count = main_run("SELECT least(count(*), $limit) FROM t " . ($c ne '' ? "$c AND $present" : "WHERE $present")) or return;
	$count = $count->{lines}[0];
	my $search = "SELECT t.id, $e $table->{operator} \$1 AS d FROM t $c ORDER BY $e $table->{operator} \$1 LIMIT $limit";
	main_run('SET plan_cache_mode = force_custom_plan; ' . set_sql($set));
	my $sql = "SELECT * FROM stress_soak(\$_\$$queries\$_\$, \$_\$$search\$_\$, $count, " . ($reads_values && $order eq 'strict_order' ? 'true' : 'false') . ', ' . ($order eq 'off' ? 'false' : 'true') . ", NULL::$table->{type}) LIMIT 3";
	my $plan = uses_index($search =~ s/\$1/(SELECT v FROM qs LIMIT 1)/gr);
	my $result = $plan ? main_run($sql) : undef;
	main_run("RESET ALL; $setup");
	return if !$result;
	$shapes{soak}++;
	$totals{soaked} += $n;
	foreach (@{ $result->{lines} })
	{
		my ($kind, $detail) = split /\|/;
		fault("$kind (soak)", $detail, $sql, set_sql($set) . "\n$table->{plan}");
	}
	return;
}

# ------------------------------------------------------------------ rounds

sub set_up
{
	main_run($_) for 'DROP TABLE IF EXISTS t CASCADE', 'DROP TABLE IF EXISTS g', 'DROP TABLE IF EXISTS qs', 'DROP TABLE IF EXISTS src';
	main_run($_) or die "round ended\n" for $table->create_sql;
	main_run('CREATE TABLE g (grp int)');
	main_run('INSERT INTO g SELECT i FROM generate_series(0, ' . ($table->{ngroups} - 1) . ') i WHERE i % ' . pick(1, 2, 3, 10) . ' = 0; ANALYZE g');
	main_run("CREATE TABLE qs (qid int, v $table->{type})");
	my $before = chance(0.2);
	my @index = (Table::build_settings(), $table->create_index_sql);
	my $n = $table->{rows};

	if (!$before)
	{
		main_run($table->copy_sql($n)) or die "round ended\n";
		main_run('ANALYZE t') if chance(0.8);
		main_run($_) or die "round ended\n" for @index;
	}
	else
	{
		my $first = chance(0.5) ? 0 : int($n / 3);
		main_run($table->copy_sql($first)) if $first;
		main_run($_) or die "round ended\n" for @index;
		main_run($table->copy_sql($n > 3000 ? 3000 : $n - $first)) or die "round ended\n";
		main_run('ANALYZE t') if chance(0.5);
	}
	changed();
	sound('after the build');
	$table->{dead_rows} = 0 if $before == 0;
	return;
}

sub round
{
	set_up();
	foreach my $phase (1 .. between(2, 4))
	{
		battery(between(1, 4)) for 1 .. between(2, 5);
		pages() if chance(0.5);
		soak() if chance(0.6);
		last if @faults > 20;
		my $what = weighted(changes => 8, transaction => 6, cancels => 2,
			$table->{kind} eq 'temp' || $table->{rows} < 2 ? () : (writers => 2));
		if ($what eq 'changes')
		{
			foreach (1 .. between(1, 5))
			{
				main_run($_) or last for chance(0.6) ? ($table->change) : @{ $table->upkeep };
				changed();
				bad_change() if chance(0.1) && !$table->{partial};
				changed();
			}
		}
		elsif ($what eq 'transaction') { transaction() for 1 .. between(1, 3); }
		elsif ($what eq 'cancels') { cancels(); }
		else { beside_writers(); }
		clear_dead_rows() if chance(0.3);
		sound("after $what in phase $phase");
		last if @faults > 20;
	}
	battery(3);
	return;
}

# The file that repeats a round's statements; of several sessions it says which.
sub save_script
{
	make_path($out, { error => \my $ignored });
	my $path = "$out/$table->{seed}.sql";

	open my $file, '>', $path or return "cannot write $path";
	print $file '-- ', $table->describe, "\n$setup\n";
	my $at = 0;
	my $session = 'main';
	foreach (@log)
	{
		print $file "-- $_->[0]\n" if $_->[0] ne $session;
		$session = $_->[0];
		print $file $_->[1], $_->[1] =~ /(?:;|\\\.\n)\s*$/ ? "\n" : ";\n";
		$at++;
		print $file map { "-- FAULT: $_->{kind}: $_->{detail}\n" } grep { $_->{at} == $at } @faults;
	}
	close $file;
	return $path;
}

sub report
{
	my ($number, $seconds) = @_;
	my %by_kind;

	$by_kind{ $_->{kind} }++ for @faults;
	printf "%sok %d - seed %d: %d statements, %.1f s, %s\n", @faults ? 'not ' : '', $number, $table->{seed}, $statements, $seconds, $table->describe;
	printf "# slowest: %.1f s, %s\n", $slowest[0], substr($slowest[1], 0, 500) if $verbose && @slowest;
	return if !@faults && !$verbose;
	my $path = save_script();
	my %shown;
	foreach my $f (@faults)
	{
		next if $shown{ $f->{kind} }++;
		print "# $f->{kind} ($by_kind{$f->{kind}} times): $f->{detail}\n";
		print map { "#     " . ($verbose || length $_ < 500 ? $_ : substr($_, 0, 240) . ' ... ' . substr($_, -240)) . "\n" }
		  split /\n/, ($f->{context} // '') . "\n" . ($f->{sql} // '');
	}
	print "# all statements: $path\n# again: --seed $table->{seed} --rounds 1\n";
	return;
}

sub one_round
{
	my ($number, $round_seed) = @_;
	my $started = time;

	@log = @faults = @slowest = ();
	$statements = 0;
	seed_chance($round_seed);
	$table = Table->new($most_rows);
	$table->{seed} = $round_seed;
	$table->{server_version} = $totals{server_version};
	$tolerated = '';
	$_->connected && !$_->busy or $_->disconnect for $main, $beside, @writers;
	$main->connected or $main->connect;
	eval { round(); 1 } or do { fault('driver', $@) if $@ ne "round ended\n" };
	if (@{ $table->{recalls} // [] } >= 10)
	{
		my $sum = 0;
		$sum += $_ for @{ $table->{recalls} };
		my $mean = $sum / @{ $table->{recalls} };
		$totals{least_recall} = $mean if $mean < ($totals{least_recall} // 2);
		fault('recall', sprintf('%.3f in the mean of %d searches', $mean, scalar @{ $table->{recalls} })) if $mean < 0.3;
	}
	report($number, time - $started);
	$totals{statements} += $statements;
	# A round that ended in its midst leaves a session in some state.
	$_->disconnect for @faults ? ($main, $beside, @writers) : ();
	return;
}

sub prepare_database
{
	my $first = Session->new('first', undef, 'SET client_min_messages = warning');

	$ENV{PGDATABASE} = 'postgres';
	$first->connect;
	$totals{server_version} = $first->run('SHOW server_version_num')->{lines}[0];
	$first->run($_)->{state} eq '' or die "cannot make the database\n" for "DROP DATABASE IF EXISTS $database", "CREATE DATABASE $database";
	$first->disconnect;
	$ENV{PGDATABASE} = $database;
	$first->connect;
	foreach ('CREATE EXTENSION qvec', <<'EOS',
CREATE FUNCTION stress_soak(queries text, search text, expected bigint, ordered bool, complete bool, example anyelement) RETURNS TABLE (kind text, detail text) LANGUAGE plpgsql AS $_$
DECLARE q example%TYPE; r record; last float8; seen int[]; n bigint; i int := 0;
BEGIN
	FOR q IN EXECUTE queries LOOP
		i := i + 1; n := 0; last := NULL; seen := '{}';
		FOR r IN EXECUTE search USING q LOOP
			n := n + 1;
			IF ordered AND r.d < last THEN kind := 'order'; detail := format('row %s at %s after %s, query %s: %s', r.id, r.d, last, i, q); RETURN NEXT; END IF;
			IF r.id = ANY (seen) THEN kind := 'repeated row'; detail := format('row %s came twice, query %s: %s', r.id, i, q); RETURN NEXT; END IF;
			last := r.d;
			seen := seen || r.id;
		END LOOP;
		IF n > expected OR (complete AND n < expected) THEN
			kind := 'number of rows'; detail := format('%s, not %s, query %s: %s', n, expected, i, q); RETURN NEXT;
		END IF;
	END LOOP;
END $_$
EOS
		"CREATE FUNCTION stress_half(v real[]) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT array_agg(u / 2 ORDER BY i) FROM unnest(v) WITH ORDINALITY AS x(u, i)'",
		'CREATE FUNCTION stress_loop(query text, most bigint) RETURNS TABLE (id int, d float8) LANGUAGE plpgsql AS $_$
			DECLARE r record; n bigint := 0;
			BEGIN
				IF most = 0 THEN RETURN; END IF;
				FOR r IN EXECUTE query LOOP id := r.id; d := r.d; n := n + 1; RETURN NEXT; EXIT WHEN n >= most; END LOOP;
			END $_$')
	{
		my $result = $first->run($_);
		$result->{state} eq '' or die "cannot prepare the database: $result->{message}\n";
	}
	$first->disconnect;
	return;
}

prepare_database();
$totals{log_offset} = -s $server_log if defined $server_log;
print "# seed $seed" . (defined $rounds ? ", $rounds rounds" : ", $seconds seconds") . "\n";
my $end = time + $seconds;
my $number = 0;
while (defined $rounds ? $number < $rounds : time < $end)
{
	one_round($number + 1, $seed + $number);
	$number++;
}
if (($totals{cursor_rows} // 0) > 10000)
{
	my $share = $totals{cursor_late} / $totals{cursor_rows};
	printf "%sok %d - rows late in strict order: %d of %d by cursors to the end, not more than one in a thousand\n",
	  $share > 0.001 ? 'not ' : '', ++$number, $totals{cursor_late}, $totals{cursor_rows};
	$totals{faults}++ if $share > 0.001;
}
foreach my $of (sort keys %recalls_of)
{
	my @of = @{ $recalls_of{$of} };
	my $sum = 0;
	next if @of < 30;
	$sum += $_ for @of;
	printf "%sok %d - recall is .5 or more: %s, %.3f in the mean of %d\n", $sum / @of < 0.5 ? 'not ' : '', ++$number, $of, $sum / @of, scalar @of;
	$totals{faults}++ if $sum / @of < 0.5;
}
my $mean = 0;
$mean += $_ / @recalls for @recalls;
$totals{soaked} //= 0;
printf "# %d statements, $totals{soaked} searches in loops, %d searches by the index, %d by other plans; recall %.3f in the mean of %d, %.3f in the worst round\n",
  $totals{statements}, $totals{by_index} // 0, $totals{by_others} // 0, $mean, scalar @recalls, $totals{least_recall} // 1;
print "# ", join(', ', map { "$_ $shapes{$_}" } sort keys %shapes), "\n";
print "# $_: $kinds{$_}{count} times, first in seed $kinds{$_}{first}\n" for sort keys %kinds;
print "1..$number\n";
$_->disconnect for $main, $beside, @writers;
$ENV{PGDATABASE} = 'postgres';
Session->new('last', undef, '')->connect->run("DROP DATABASE $database WITH (FORCE)");
exit($totals{faults} ? 1 : 0);
