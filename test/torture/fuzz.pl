# test/torture/fuzz.pl
#       Inputs that nobody would send: to the types' text and binary forms, to every
#       function, operator, cast and aggregate of the extension, to its options, its
#       settings and its searches.  Each succeeds or is refused with an error that
#       names what is wrong with it; and a value survives being written and read.
#
# usage: perl fuzz.pl [--count N] [--seed S] [--only BATCH]
#
# Functions are taken from the catalog, so a new one is fuzzed without being named here.
# A batch depends on the seed and its number, but for values that earlier ones produced.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Server;
use Session;
use Test::More;
use Torture;

use constant BATCH => 200;

my $options = options(count => 20_000, only => '');

# Refused: wrong data, wrong syntax or unknown name, a limit, not supported, an index too small to be measured.  Binary forms that end too early are
# a violation of the protocol in PostgreSQL's own receive functions too.
my $refused = qr/^(00000|22...|42...|54...|0A...|55000)$/;
my $refused_binary = qr/^(00000|22...|42...|54...|0A...|55000|08P01)$/;

my $server = Server->new('fuzz', 'shared_buffers = 32MB', 'work_mem = 1MB', 'maintenance_work_mem = 8MB', 'log_min_messages = fatal', 'statement_timeout = 20s',
	'max_parallel_workers_per_gather = 0', 'max_stack_depth = 2MB');
$server->start or die "the server does not start\n";
my $session = $server->session or die "the server takes no session\n";
$session->rows('CREATE EXTENSION qvec;' . vector_functions() . ';' . table_of_all_types());
$session->rows('INSERT INTO t SELECT * FROM made(1, 120, 0)');
$session->rows("CREATE INDEX $_ ON " . index_of($_)->{on}) foreach index_names();
$session->rows('CREATE TABLE small (v real[], b bitvec, q qvec8); INSERT INTO small SELECT v, b, q FROM t LIMIT 5');

# ---- values.  Valid ones come back often, so that what they are given to is reached.

my %pool = (bitvec => [ '0', '1', '10110' ], qvec8 => [ '[1]', '[1,2]*0.5+1', '[-128,127,0]' ]);
my %pool_binary = (bitvec => [ pack('N C', 3, 0xA0) ], qvec8 => [ pack('N f> f> c2', 2, 0.5, 0, 1, -1) ]);

sub keep
{
	my ($pool, $value) = @_;

	return if length $value > 2000;
	if (@$pool < 300) { push @$pool, $value }
	else { $pool->[ number(300) ] = $value }
	return;
}

my @floats = qw(0 -0 1 -1 0.5 1e-45 1e-38 1.17549e-38 3.4e38 -3.4e38 3.5e38 1e400 1e-400 NaN Infinity -Infinity inf nan 0x10 1e 1.2.3 +5 .5 5. 127 128 -128 -129 255 256 16777217);
my @integers = qw(0 1 -1 2 3 7 8 9 127 128 -128 -129 255 256 16000 16001 64000 64001 2147483647 -2147483648 2147483648 32767 32768 100 1000);

sub float_text { return chance(0.7) ? sprintf('%.4g', (rand() - 0.5) * 10**(number(9) - 4)) : pick(@floats) }
sub sane_float { return sprintf '%.4g', (rand() - 0.5) * 4 }
sub integer_text { return chance(0.5) ? number(20) : pick(@integers) }
sub dims { return pick(1, 2, 3, 5, 8, 9, 48, 48, 48, 96, 96, 6, 6, 1 + number(70)) }
sub noise { return join '', map { chr(1 + number(255)) } 1 .. $_[0] }

# Change a string somewhere: characters of its own kind, or any.
sub mutated
{
	my ($text, $alphabet) = @_;

	foreach (1 .. pick(1, 1, 1, 2, 5))
	{
		my $at = number(1 + length $text);
		my $what = number(6);
		my $char = substr $alphabet, number(length $alphabet), 1;

		if ($what == 0) { substr($text, $at, 0) = $char }
		elsif ($what == 1 && $at < length $text) { substr($text, $at, 1) = $char }
		elsif ($what == 2 && $at < length $text) { substr($text, $at, 1) = '' }
		elsif ($what == 3) { substr($text, $at) = '' }
		elsif ($what == 4) { substr($text, $at, 0) = substr $text, number(1 + length $text), number(12) }
		elsif ($what == 5) { substr($text, $at, 0) = pick(@floats, @integers, ' ', "\t", "\n", '[', ']', '[]', '{}', "\xC3\xA9", "\xFF") }
	}
	return $text;
}

sub bits { return join '', map { number(2) } 1 .. $_[0] }

sub bitvec_text
{
	my $draw = rand;

	return bits(dims()) if $draw < 0.5;
	return pick(@{ $pool{bitvec} }) if $draw < 0.7;
	return '\\x' . mutated(unpack('H*', pack 'B*', bits(dims())), '0123456789abcdefABCDEFg ') if $draw < 0.75;
	return mutated(bits(dims()), "01012 xXbB\t,{}[]") if $draw < 0.97;
	return chance(0.9) ? noise(number(40)) : bits(pick(63999, 64000, 64001));
}

sub qvec8_text
{
	my $draw = rand;

	return pick(@{ $pool{qvec8} }) if $draw < 0.3;
	my $n = $draw > 0.997 ? pick(15999, 16000, 16001) : dims();
	my $text = '[' . join(',', map { number(256) - 128 } 1 .. $n) . ']';
	$text =~ tr/[]/{}/ if chance(0.2);
	$text .= '*' . (chance(0.7) ? abs(sane_float()) || 1 : float_text()) if chance(0.6);
	$text .= pick('+', '-') . (chance(0.7) ? abs sane_float() : float_text()) if chance(0.4);
	return $text if $draw < 0.6;
	return mutated($text, '0123456789[]{},*+-.eE ') if $draw < 0.98;
	return noise(number(40));
}

sub real_array_text
{
	my $draw = rand;
	my $n = dims();

	return '{' . join(',', map { sane_float() } 1 .. $n) . '}' if $draw < 0.6;
	return '{' . join(',', map { float_text() } 1 .. $n) . '}' if $draw < 0.8;
	return '{' . join(',', (0) x $n) . '}' if $draw < 0.84;
	return pick('{}', '{NULL}', '{1,NULL,2}', '{{1,2},{3,4}}', '[0:2]={1,2,3}', '[5:5]={1}', '{NaN}', '{Infinity,1}', '{{{1}}}', '[-3:-2]={1,2}');
}

sub integer_array_text
{
	my ($low, $high) = @{ pick([ -128, 127 ], [ 0, 255 ], [ -32768, 32767 ]) };

	return pick('{}', '{NULL}', '{{1},{2}}', '[3:4]={1,2}', '{1,NULL}') if chance(0.1);
	return '{' . join(',', map { $low + number($high - $low + 1) } 1 .. dims()) . '}';
}

my %text_of = (
	bitvec => \&bitvec_text, qvec8 => \&qvec8_text, 'real[]' => \&real_array_text, 'smallint[]' => \&integer_array_text, 'integer[]' => \&integer_array_text,
	'double precision[]' => \&real_array_text, real_operand => \&real_array_text, 'numeric[]' => \&real_array_text, 'bigint[]' => \&integer_array_text,
	'boolean[]' => sub { '{' . join(',', map { pick(qw(t f)) } 1 .. number(40)) . (chance(0.05) ? ',NULL' : '') . '}' },
	'"bit"' => sub { bits(number(100)) }, 'bit varying' => sub { bits(number(100)) }, bytea => sub { '\\x' . join '', map { sprintf '%02x', number(256) } 1 .. number(30) },
	integer => \&integer_text, bigint => sub { chance(0.1) ? pick('9223372036854775807', '-9223372036854775808', '1000000000000') : integer_text() },
	real => \&float_text, 'double precision' => \&float_text, boolean => sub { pick(qw(t f)) },
	text => sub { pick('real[]', 'vector', 'halfvec', 'qvec8', 'bitvec', '32x', '16x', '1x', 'none', 'int4', 'int8', 'cosine', 'l2', 'ip', 'hnsw', 'ivf', 'byte', 'binary', '', "'", noise(5), real_array_text(), bitvec_text()) },
	'regtype[]' => sub { '{' . join(',', map { pick(qw(int4 int8 text bool uuid numeric int4[] point 0 23 nothing)) } 1 .. number(4)) . '}' },
	name => sub { pick(qw(v b q d id nothing), '') }, oid => \&integer_text, cstring => sub { chance(0.5) ? bitvec_text() : qvec8_text() },
	regclass => sub { pick(index_names(), 't', 'small', 'pg_class', 't_pkey', '0', '1', '999999', 'pg_class_oid_index', 'nothing') });
$text_of{'cstring[]'} = sub { '{' . join(',', map { chance(0.8) ? integer_text() : '"a b"' } 1 .. number(3)) . '}' };

sub binary_of
{
	my ($type) = @_;
	my $n = dims();
	my $draw = rand;
	my $body = $draw < 0.3 ? pick(@{ $pool_binary{$type} })
	  : $type eq 'bitvec' ? pack('N', $n) . pack "B$n", bits($n)
	  : pack('N f> f> c*', $n, abs(sane_float()) || 1, sane_float(), map { number(256) - 128 } 1 .. $n);

	return $body if $draw < 0.5 && $draw >= 0.3;
	return noise(number(30)) if $draw > 0.97;
	foreach (1 .. pick(1, 1, 2))
	{
		my $what = number(5);
		my $at = chance(0.6) ? number(12) : number(length $body);
		$at = 0 if $at >= length $body;
		if ($what == 0 && length $body) { substr($body, $at, 1) = chr number(256) }
		elsif ($what == 1) { substr($body, $at) = '' }
		elsif ($what == 2) { $body .= noise(1 + number(9)) }
		elsif ($what == 3 && length $body >= 4) { substr($body, 0, 4) = pack 'N', pick(0, 1, 2, $n + 1, 64000, 64001, 16000, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000) }
		elsif ($what == 4 && length $body >= 12) { substr($body, pick(4, 8), 4) = pack 'N', pick(0, 0x7FC00000, 0x7F800000, 0xFF800000, 1, 0x80000000, 0x7F7FFFFF) }
	}
	return $body;
}

# ---- what is called: { name, sql, types of the parameters, kind }

my @calls;

# Set-returning ones are counted, so that no result is as long as it likes.
sub functions_of_extension
{
	my $rows = $session->rows(q{
		SELECT p.oid, p.proname, p.proretset, (SELECT string_agg(format_type(a, -1), ';' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY AS u(a, n))
		FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE e.extname = 'qvec' AND p.prorettype NOT IN ('internal'::regtype, 'index_am_handler'::regtype) AND NOT 'anyelement'::regtype = ANY (p.proargtypes)
			AND NOT 'internal'::regtype = ANY (p.proargtypes) ORDER BY p.proname, 4});

	foreach my $row (@$rows)
	{
		my @types = split /;/, $row->[3] // '';
		my $args = join ', ', map { '$' . ($_ + 1) . "::$types[$_]" } 0 .. $#types;
		my $weight = $row->[1] =~ /^qhnsw_(recall|check|info)/ ? 0.05 : 1;

		push @calls, { name => "$row->[1]($args)", sql => $row->[2] eq 't' ? "SELECT count(*) FROM $row->[1]($args)" : "SELECT $row->[1]($args)", types => \@types, weight => $weight };
	}
	return;
}

sub operators_of_extension
{
	my $rows = $session->rows(q{
		SELECT o.oprname, CASE WHEN oprleft <> 0 THEN format_type(oprleft, NULL) END, format_type(oprright, NULL)
		FROM pg_operator AS o JOIN pg_depend AS d ON d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE e.extname = 'qvec' ORDER BY 1, 2, 3});

	foreach my $row (@$rows)
	{
		my ($op, @types) = ($row->[0], grep { defined } $row->[1], $row->[2]);
		my $sql = @types == 2 ? "\$1::$types[0] $op \$2::$types[1]" : "$op \$1::$types[0]";
		push @calls, { name => $sql, sql => "SELECT $sql", types => \@types, weight => 0.5 };
	}
	return;
}

sub casts_of_extension
{
	my $rows = $session->rows(q{
		SELECT format_type(castsource, NULL), format_type(casttarget, NULL)
		FROM pg_cast AS c JOIN pg_depend AS d ON d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE e.extname = 'qvec' ORDER BY 1, 2});

	foreach my $row (@$rows)
	{
		my ($from, $to) = @$row;
		foreach my $target ($to, $to =~ /^(bitvec|qvec8)$/ ? map { "$to($_)" } 1, 48 : $to eq 'bit' ? ('bit(9)') : ())
		{
			# bit without a length is bit(1), so a parameter of it would be cut
			my $source = $from eq 'bit' ? "(\$1::varbit)::bit(20)" : "\$1::$from";
			push @calls, { name => "$from to $target", sql => "SELECT ($source)::$target", types => [ $from eq 'bit' ? 'bit varying' : $from ], weight => 0.5 };
		}
	}
	return;
}

# A scan or a write with a value that may be of any dimension, or none.
sub queries
{
	foreach my $name (index_names())
	{
		my $ix = index_of($name);
		my $type = { v => 'real[]', b => 'bitvec', d => 'bitvec', q => 'qvec8' }->{ $ix->{column} };
		my $d = "$ix->{column} $ix->{op} \$1::$type";

		push @calls, { name => "scan of $name", sql => "SELECT count(*) FROM (SELECT id FROM t ORDER BY $d LIMIT \$2::bigint) AS a", types => [ $type, 'bigint' ], weight => 0.4 };
		push @calls, { name => "search of $name within a distance",
			sql => "SELECT count(*) FROM (SELECT id FROM t WHERE $d < \$2::float8 ORDER BY $d LIMIT 10) AS a", types => [ $type, 'double precision' ], weight => 0.2 };
	}
	foreach my $column ([ v => 'real[]' ], [ b => 'bitvec' ], [ q => 'qvec8' ])
	{
		push @calls, { name => "update of $column->[0]", sql => "UPDATE t SET $column->[0] = \$1 WHERE id = 1 + abs(\$2::bigint % 100)", types => [ $column->[1], 'bigint' ], weight => 0.4 };
	}
	return;
}

# ---- statements that take no parameters: types' modifiers, options, settings, two-phase searches

sub literal { my $text = shift; $text =~ s/'/''/g; $text =~ s/\0//g; return "'$text'" }

sub any_type { return pick('bitvec', 'qvec8') . pick('', '(' . integer_text() . ')', '(' . integer_text() . ',' . integer_text() . ')', '(1.5)', "('a')", '()') }

sub index_option
{
	my $name = pick(qw(m ef_construction compression mode rescore ef_search refine oversample hub_fraction m_low dims nothing qhnsw.m));
	my $value = chance(0.4) ? integer_text() : pick(literal(pick('32x', '16x', '8x', '4x', '2x', '1x', '3x', 'on_disk', 'in_memory', 'int4', 'int8', 'none', '', 'NaN', '1e400')),
		'0.05', '0.5', '0.51', '-1', '1e10', 'on', '4', '8', '10', float_text());

	$value = literal($value) if $value !~ /^'/ && $value !~ /^-?[0-9.]+$/;
	return "$name = $value";
}

my @opclasses = qw(bitvec_hamming_ops bitvec_jaccard_ops qvec8_cosine_ops qvec8_l2_ops qvec8_ip_ops real_cosine_ops real_l2_ops real_ip_ops);

sub statement
{
	my $what = number(6);

	if ($what == 0)
	{
		return 'SELECT ' . literal(chance(0.5) ? bitvec_text() : qvec8_text()) . '::' . any_type();
	}
	if ($what == 1)
	{
		my $columns = chance(0.1) ? 'v, b' : pick(qw(v b q)) . pick('', '', map { " $_" } @opclasses) . pick('', '', '', ' DESC', ' NULLS FIRST');
		return 'BEGIN; CREATE ' . pick('', '', '', 'UNIQUE ') . "INDEX ON small USING qhnsw ($columns) WITH (" . join(', ', map { index_option() } 1 .. pick(1, 1, 2, 3)) . '); ROLLBACK';
	}
	if ($what == 2)
	{
		return 'BEGIN; ALTER INDEX ' . pick(index_names()) . ' SET (' . index_option() . '); ROLLBACK';
	}
	if ($what == 3)
	{
		my ($name) = pick(qw(ef_search oversample rescore iterative_scan max_scan_tuples scan_mem_multiplier flat optimistic_read nothing));
		return "BEGIN; SET LOCAL qhnsw.$name = " . literal(pick(integer_text(), float_text(), qw(on off strict_order relaxed_order maybe), ''))
		  . '; SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> ' . literal(real_array_text()) . ' LIMIT ' . number(50) . ') AS a; ROLLBACK';
	}
	if ($what == 4)
	{
		my @args = (pick('NULL::t', 'NULL::t', 'NULL::t', 'NULL::small', 'NULL::int', 'NULL', 'ROW(1, 2)'), literal(pick(qw(b b b q d v nothing), '')), literal(pick(qw(v v v id b), '')),
			literal(real_array_text()) . '::real[]');
		push @args, map { my ($n, $v) = @$_; "$n => $v" } grep { chance(0.5) } [ k => integer_text() ], [ oversample => literal(float_text()) . '::real' ],
		  [ metric => literal(pick('cosine', 'l2', 'ip', 'hamming', '', 'COSINE')) ], [ filter => literal(pick('id > 5', 'id % 2 = 0', 'nothing = 1', '1', '); SELECT (1', 'true --', 'ver = 0', '')) ];
		return 'SELECT count(*) FROM qvec_search(' . join(', ', @args) . ')';
	}
	return 'SELECT qhnsw_estimate_size(' . integer_text() . ', ' . integer_text() . ', compression => ' . literal(pick(qw(32x 1x 7x))) . ', refine => ' . literal(pick(qw(none int8 int9)))
	  . ', distinct_share => ' . literal(float_text()) . ', hub_fraction => ' . literal(float_text()) . ')';
}

# ---- asking

my %states;
my %inputs;
my %seen;

sub shown { my $text = $_[0] // return 'NULL'; $text =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge; return length $text > 2000 ? substr($text, 0, 2000) . '...' : "'$text'" }

sub judge
{
	my ($result, $allowed, $what, @params) = @_;

	$states{ $result->{state} }++;
	return 1 if $result->{state} eq '00000';
	return 0 if $result->{state} =~ $allowed;

	# one input of each fault, however many there are
	my $message = $result->{message} // 'the server crashed';
	(my $kind = (@params ? $what : '') . " $result->{state} $message") =~ s/\d+/N/g;
	return 0 if $seen{$kind}++;
	fault("$what: $result->{state} $message", (map { shown($_) } @params), $server->log_faults(0));
	return 0;
}

sub connect_again
{
	$session = $server->session_in_time(120) // die "the server does not come back\n";
	prepare_all();
	return;
}

# Run executions together: each [ statement, formats, params, format of the result ].  Their results, short where the server crashed.
sub together
{
	my (@runs) = @_;
	my @results;

	$session->execute(@$_) foreach @runs;
	foreach my $run (@runs)
	{
		my $result = $session->wait(60) // { state => 'timeout', message => 'no answer in a minute', lost => 1, rows => [] };
		push @results, $result;
		if ($result->{lost}) { connect_again(); last }
	}
	return @results;
}

# An offset of -0 is 0 from then on, so that equal values are equal bytes.
sub plain
{
	my ($type, $body) = @_;

	substr($body, 8, 4) = "\0\0\0\0" if $type eq 'qvec8' && substr($body, 8, 4) eq "\x80\0\0\0";
	return $body;
}

# A type's own forms.  What is taken comes back, and again as text and in binary: the same bytes each time.
sub fuzz_forms
{
	my ($type, $binary) = @_;
	my @in = map { $binary ? binary_of($type) : $text_of{$type}->() } 1 .. BATCH;
	my @results = together(map { [ "in_$type", [$binary], [$_], 0 ] } @in);
	my (@texts, @asked);

	$inputs{ ($binary ? 'binary' : 'text') . " of $type" } += @results;
	foreach my $i (0 .. $#results)
	{
		next if !judge($results[$i], $binary ? $refused_binary : $refused, ($binary ? 'binary' : 'text') . " of $type", $in[$i]);
		push @texts, $results[$i]{rows}[0][0];
		push @asked, $in[$i];
	}
	return if @results < @in;
	my @binaries = map { $_->{rows}[0][0] } together(map { [ "in_$type", [0], [$_], 1 ] } @texts);
	return if @binaries < @texts;
	my @again = map { $_->{rows}[0][0] } together(map { [ "in_$type", [1], [$_], 0 ] } @binaries);
	foreach my $i (0 .. $#again)
	{
		fault("$type: what was written is not what was read", map { shown($_) } $asked[$i], $texts[$i], $binaries[$i], $again[$i])
		  if !defined $again[$i] || !defined $binaries[$i] || $again[$i] ne $texts[$i] || $binary && plain($type, $asked[$i]) ne $binaries[$i];
		keep($pool{$type}, $texts[$i]);
		keep($pool_binary{$type}, $binaries[$i]) if defined $binaries[$i];
	}
	return;
}

sub fuzz_calls
{
	my @picked = map { my $call; do { $call = pick(@calls) } until chance($call->{weight}); $call } 1 .. BATCH;
	my @params = map { [ map { chance(0.02) ? undef : ($text_of{$_} // $text_of{text})->() } @{ $_->{types} } ] } @picked;
	my @results = together(map { [ $picked[$_]{statement}, [], $params[$_], 0 ] } 0 .. $#picked);

	$inputs{'functions, operators, casts, scans, updates'} += @results;
	judge($results[$_], $refused, $picked[$_]{name}, @{ $params[$_] }) foreach 0 .. $#results;
	return;
}

sub fuzz_statements
{
	foreach (1 .. 40)
	{
		my $sql = statement();
		my $result = $session->query($sql, 60);

		$inputs{statements}++;
		judge($result, $refused, $sql);
		if ($result->{lost} || $result->{state} eq 'timeout') { connect_again() }
		elsif ($sql =~ /^BEGIN/) { $session->query('ROLLBACK') }
	}
	return;
}

sub prepare_all
{
	foreach my $type (qw(bitvec qvec8)) { $session->prepare("in_$type", "SELECT \$1::$type") }
	my $n = 0;
	foreach my $call (@calls)
	{
		$call->{statement} = 'c' . $n++;
		my $result = $session->prepare($call->{statement}, $call->{sql});
		die "cannot prepare $call->{sql}: $result->{message}\n" if $result->{state} ne '00000';
	}
	$session->rows('SET enable_seqscan = off; SET enable_sort = off');
	return;
}

# ---- main

functions_of_extension();
cmp_ok(scalar @calls, '>', 60, @calls . ' functions of the extension are in the catalog');
operators_of_extension();
casts_of_extension();
queries();
my %unknown = map { $_ => 1 } grep { !$text_of{$_} } map { @{ $_->{types} } } @calls;
is(join(', ', sort keys %unknown), '', 'values of every type that a parameter has can be drawn');
prepare_all();

my ($total, $batch) = (0, 0);
while ($total < $options->{count} && faults() < 60)
{
	$batch = $options->{only} if $options->{only} ne '';
	seed_for($batch);
	my $draw = $batch % 20;
	if ($draw < 8) { fuzz_forms(pick(qw(bitvec qvec8 qvec8)), $draw & 1) }
	elsif ($draw < 18) { fuzz_calls() }
	else { fuzz_statements() }
	$total = 0;
	$total += $_ foreach values %inputs;
	last if $options->{only} ne '';
	$batch++;
}
foreach my $what (sort keys %inputs) { cmp_ok($inputs{$what}, '>', 0, "$what: $inputs{$what} inputs") }
my $good = $states{'00000'} // 0;
cmp_ok($good, '>', $total / 4, "of $total inputs $good were good, so functions were reached") if $options->{only} eq '';
$session->close;
$session = $server->session_in_time(60);
$session->rows('VACUUM (INDEX_CLEANUP on) t');
check_indexes($session, 'after all');
$session->close;
is(join("\n", $server->log_faults(0)), '', 'no backend crashed');
figures('fuzz', "$total inputs (" . join(', ', map { "$_ $inputs{$_}" } sort keys %inputs) . ')', 'SQLSTATEs ' . join(', ', map { "$_ $states{$_}" } sort keys %states), faults() . ' faults' . (%seen ? ' of ' . join('+', values %seen) . ' inputs' : ''));
done_testing();
