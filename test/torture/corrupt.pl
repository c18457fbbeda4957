# test/torture/corrupt.pl
#       Random damage to the pages of sound indexes.  Whatever is asked of one then
#       succeeds, or says that the index is corrupted: it never crashes, never hangs,
#       and returns no row that is not in the table.
#
# usage: perl corrupt.pl [--count N] [--seed S] [--only N]
#
# A database full of sound indexes is copied file by file, so that none of its pages is
# in shared buffers; each index of the copy is damaged in its file and used in turn, and
# the copy is dropped.  Damage number n depends on the seed and n alone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use File::Copy ();
use Server;
use Session;
use Test::More;
use Torture;

use constant { PAGE => 8192, SPECIAL => 8184, REPLICAS => 4 };

my $options = options(count => 200, only => '');

# ---- the indexes: type, operator, class, other columns and options; value and query of row i

my @shapes = (
	{ name => 'bits',    type => 'bitvec(96)', op => '<~>', class => 'bitvec_hamming_ops',            dims => 96 },
	{ name => 'jaccard', type => 'bitvec(40)', op => '<%>', class => 'bitvec_jaccard_ops', with => 'm = 3', dims => 40 },
	{ name => 'dup',     type => 'bitvec(5)',  op => '<~>', class => 'bitvec_hamming_ops', with => 'm = 4', dims => 5 },
	{ name => 'q8',      type => 'qvec8(48)',  op => '<->', class => 'qvec8_l2_ops',       with => 'refine = int4', dims => 48 },
	{ name => 'q8hub',   type => 'qvec8(48)',  op => '<=>', class => 'qvec8_cosine_ops',   with => 'refine = int4, hub_fraction = 0.05', dims => 48 },
	{ name => 'r32',     type => 'real[]',     op => '<=>', class => 'real_cosine_ops',    dims => 64 },
	{ name => 'r32hub',  type => 'real[]',     op => '<->', class => 'real_l2_ops',        with => 'hub_fraction = 0.02, m_low = 6', dims => 40 },
	{ name => 'r8',      type => 'real[]',     op => '<#>', class => 'real_ip_ops',        with => "compression = '8x', refine = int8", dims => 24 },
	{ name => 'r16m3',   type => 'real[]',     op => '<=>', class => 'real_cosine_ops',    with => "compression = '16x', m = 3, hub_fraction = 0.1", dims => 33 },
	{ name => 'r1',      type => 'real[]',     op => '<->', class => 'real_l2_ops',        with => "compression = '1x', m = 3", dims => 30 },
	{ name => 'rdup',    type => 'real[]',     op => '<->', class => 'real_l2_ops',        with => 'hub_fraction = 0.05', dims => 16, distinct => 24 },
	{ name => 'rmany',   type => 'real[]',     op => '<->', class => 'real_l2_ops',        with => 'hub_fraction = 0.05, m_low = 6', dims => 20, apart => 100 },
	{ name => 'filt',    type => 'real[]',     op => '<=>', class => 'real_cosine_ops',    columns => 'id) INCLUDE (id', dims => 40 },
	{ name => 'filtdup', type => 'bitvec(5)',  op => '<~>', class => 'bitvec_hamming_ops', columns => 'id', with => 'm = 4, hub_fraction = 0.05, m_low = 5', dims => 5 });

# SQL of the value that row i (an SQL expression) has in a shape.
sub value_of
{
	my ($shape, $i) = @_;
	my $v = 'hv(' . ($shape->{distinct} ? "($i) % $shape->{distinct}" : $i) . ", $shape->{dims})";

	# far populations: inserts add centres to the index
	$v = "(SELECT array_agg((x + $shape->{apart} * (($i) / 100))::real ORDER BY n) FROM unnest($v) WITH ORDINALITY AS u(x, n))" if $shape->{apart};
	return $shape->{type} =~ /^bitvec/ ? "binary_quantize($v)" : $shape->{type} =~ /^qvec8/ ? "quantize_int8($v)" : $v;
}

my @slots = map { my $r = $_; map { { shape => $_, table => "$_->{name}_$r" } } @shapes } 1 .. REPLICAS;

# ---- the sound database

sub make_sound
{
	my ($server) = @_;
	my $session = $server->session;

	$session->rows('CREATE DATABASE sound');
	$session->close;
	$session = $server->session('sound');
	$session->rows('CREATE EXTENSION qvec;' . vector_functions());
	foreach my $slot (@slots)
	{
		my ($shape, $table) = ($slot->{shape}, $slot->{table});
		my $with = $shape->{with} ? "WITH ($shape->{with})" : '';

		# dead rows that vacuum has to take out, and rows that came after the build
		$session->rows("CREATE TABLE $table (id int, e $shape->{type})");
		$session->rows("INSERT INTO $table SELECT i, " . value_of($shape, 'i') . ' FROM generate_series(1, 500) i');
		my $columns = $shape->{columns} ? ", $shape->{columns}" : '';

		$session->rows("CREATE INDEX ${table}_i ON $table USING qhnsw (e $shape->{class}$columns) $with");
		$session->rows("INSERT INTO $table SELECT i, " . value_of($shape, 'i') . ' FROM generate_series(501, 560) i');
		$session->rows("DELETE FROM $table WHERE id % 4 = 0");
		$slot->{file} = $session->value("SELECT pg_relation_filepath('${table}_i')");
		my $faults = $session->rows("SELECT * FROM qhnsw_check('${table}_i', true)");
		die "the sound $table is not\n" if @$faults;
	}
	$session->close;
	$session = $server->session;
	$session->rows('CHECKPOINT');
	$session->close;
	return;
}

# A copy of the sound database that no page of is in memory.  Returns the directory's name.
sub copy_sound
{
	my ($server) = @_;
	my $session = $server->session_in_time(60) // die "the server takes no session\n";

	$session->query('DROP DATABASE IF EXISTS damaged WITH (FORCE)');
	$session->rows('CREATE DATABASE damaged TEMPLATE sound STRATEGY FILE_COPY');
	my $oid = $session->value("SELECT oid FROM pg_database WHERE datname = 'damaged'");
	$session->close;
	return $oid;
}

# ---- damage.  Each way takes the image of a file and changes it; a description comes back.

my @special = (0, 1, 2, 4, 0xFF, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x80000001, 0x7FC00000, 0x7F800000, 0xFF800000, 0x00000001, 0x7F7FFFFF,
	0x00FFFFFF, 0xFFFF0000, 560, 559, 500, 63, 64, 1000, 0x80000200);
my %kind_names = (1 => 'meta', 2 => 'entry', 3 => 'param', 4 => 'row', 5 => 'link', 6 => 'code', 7 => 'refine', 8 => 'filter', 9 => 'hub');

sub kind_of { return unpack 'v', substr($_[0], $_[1] * PAGE + SPECIAL + 4, 2) }
sub noise { return pack 'C*', map { number(256) } 1 .. $_[0] }

# A page of a kind drawn first, so that the few pages before the groups get their share.
sub draw_page
{
	my ($image) = @_;
	my %pages;

	push @{ $pages{ kind_of($$image, $_) } }, $_ foreach 0 .. length($$image) / PAGE - 1;
	my $kind = pick(sort keys %pages);
	return ($kind, pick(@{ $pages{$kind} }), $pages{$kind});
}

# An offset in a page: mostly where there is something, sometimes the header or the end.
sub draw_offset
{
	my ($kind) = @_;

	return number(24) if chance(0.05);
	return SPECIAL + number(8) if chance(0.05);
	return 24 + number(112) if $kind == 1;
	return 24 + number(8 + 4 * 70) if $kind == 2 && chance(0.8);
	return 24 + number(SPECIAL - 24);
}

sub change_words
{
	my ($image, $page, $kind) = @_;
	my $many = pick(1, 1, 2, 4, 16, 64);

	foreach (1 .. $many)
	{
		my $width = pick(1, 2, 4, 4, 4, 8);
		my $at = draw_offset($kind);
		my $word = chance(0.7) ? pick(@special) : chance(0.5) ? number(700) : number(4294967296);
		$at -= $at % $width;
		substr($$image, $page * PAGE + $at, $width) = substr pack('V', $word) . pack('V', $word), 0, $width;
	}
	return "$many words";
}

sub change_bits
{
	my ($image, $page, $kind) = @_;
	my $many = pick(1, 1, 2, 8, 50);

	vec($$image, ($page * PAGE + draw_offset($kind)) * 8 + number(8), 1) ^= 1 foreach 1 .. $many;
	return "$many bits";
}

sub change_stretch
{
	my ($image, $page, $kind) = @_;
	my $at = draw_offset($kind);
	my $length = 1 + number(pick(8, 64, 512, 8192));

	$length = PAGE - $at if $length > PAGE - $at;
	my $what = pick('zero', 'ones', 'noise', 'moved');
	my $from = number(PAGE - $length + 1);
	my $bytes = $what eq 'zero' ? "\0" x $length : $what eq 'ones' ? "\xFF" x $length : $what eq 'noise' ? noise($length) : substr $$image, $page * PAGE + $from, $length;
	substr($$image, $page * PAGE + $at, $length) = $bytes;
	return "$length bytes $what at $at";
}

# The same word at the same distance throughout a page, as where all slots of an array are wrong.
sub change_slots
{
	my ($image, $page, $kind) = @_;
	my $stride = pick(4, 8, 8, 12, 16, 20, 24, 32, 40, 128);
	my $word = chance(0.5) ? pick(@special) : number(700);

	for (my $at = 24 + pick(0, 40) + 4 * number($stride / 4); $at + 4 <= SPECIAL; $at += $stride)
	{
		substr($$image, $page * PAGE + $at, 4) = pack 'V', $word;
	}
	return sprintf 'word %x every %d bytes', $word, $stride;
}

sub change_page
{
	my ($image, $page, $kind, $same) = @_;
	my $what = pick('zero', 'garbage', 'swap', 'swap kinds', 'copy', 'torn', 'body of noise');
	my $other = $what eq 'swap' || $what eq 'copy' || $what eq 'torn' ? pick(@$same) : number(length($$image) / PAGE);
	my $mine = substr $$image, $page * PAGE, PAGE;
	my $theirs = substr $$image, $other * PAGE, PAGE;
	my $half = 512 * (1 + number(15));

	if ($what eq 'zero') { substr($$image, $page * PAGE, PAGE) = "\0" x PAGE }
	elsif ($what eq 'garbage') { substr($$image, $page * PAGE, PAGE) = noise(PAGE) }
	elsif ($what eq 'body of noise') { substr($$image, $page * PAGE + 24, SPECIAL - 24) = noise(SPECIAL - 24) }
	elsif ($what eq 'torn') { substr($$image, $page * PAGE, $half) = substr $theirs, 0, $half }
	else
	{
		substr($$image, $page * PAGE, PAGE) = $theirs;
		substr($$image, $other * PAGE, PAGE) = $mine if $what =~ /^swap/;
	}
	return "$what (page $other)";
}

sub change_length
{
	my ($image) = @_;
	my $npages = length($$image) / PAGE;
	my $what = pick('cut', 'cut', 'cut in a page', 'zeros behind', 'noise behind', 'pages behind');

	if ($what eq 'cut') { substr($$image, PAGE * number($npages)) = '' }
	elsif ($what eq 'cut in a page') { substr($$image, number(length $$image)) = '' }
	elsif ($what eq 'zeros behind') { $$image .= "\0" x (PAGE * (1 + number(40))) }
	elsif ($what eq 'noise behind') { $$image .= noise(PAGE) }
	else { $$image .= substr $$image, PAGE * number($npages), PAGE }
	return "$what, $npages pages to " . length($$image) / PAGE;
}

# One damage, or two.  Returns its description, the kinds of the pages, and the new image.
sub damage
{
	my ($image) = @_;
	my (@what, %kinds);

	foreach (1 .. pick(1, 1, 1, 1, 2))
	{
		if (chance(0.05) || length $image < 2 * PAGE)
		{
			push @what, 'file: ' . change_length(\$image);
			$kinds{file} = 1;
			next;
		}
		my ($kind, $page, $same) = draw_page(\$image);
		my $way = pick(\&change_words, \&change_words, \&change_words, \&change_bits, \&change_bits, \&change_stretch, \&change_slots, \&change_page);
		my @pages = chance(0.15) ? @$same : ($page);
		my $done = '';
		$done = $way->(\$image, $_, $kind, $same) foreach @pages;
		my $name = $kind_names{$kind} // 'other';
		$kinds{$name} = 1;
		$kinds{meta} = 1 if $done =~ /\(page 0\)/;
		push @what, "$name page" . (@pages > 1 ? "s (all)" : " $page") . ": $done";
	}
	return ($image, join('; ', @what), \%kinds);
}

# ---- what is done with a damaged index

# Rows that an index scan returns and the table has not, or not at that distance.
sub wrong_rows
{
	my ($shape, $table, $query, $limit, $where) = @_;
	my $d = "e $shape->{op} $query";
	my $from = $table . ($where ? " WHERE $where" : '');

	return "WITH a AS MATERIALIZED (SELECT id, $d AS d FROM $from ORDER BY $d $limit)
		SELECT count(*) FROM a WHERE NOT EXISTS (SELECT FROM $table x WHERE x.id = a.id AND x.$d IS NOT DISTINCT FROM a.d)";
}

sub uses_of
{
	my ($slot, $n) = @_;
	my ($shape, $table) = @$slot{qw(shape table)};
	my ($near, $far) = (value_of($shape, 1 + number(560)), value_of($shape, -1 - number(1000)));
	my $scan = 'SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.ef_search = ' . pick(1, 10, 40, 200);
	my @reads = (
		[ check => "SELECT count(*) * 0 FROM qhnsw_check('${table}_i', true)" ],
		[ info => "SELECT count(*) * 0 FROM qhnsw_info('${table}_i')" ],
		[ graph => "$scan; SET qhnsw.flat = off; " . wrong_rows($shape, $table, $near, 'LIMIT 15') ],
		[ flat => "$scan; SET qhnsw.flat = on; " . wrong_rows($shape, $table, $far, 'LIMIT 15') ],
		[ recall => "SELECT qhnsw_recall('${table}_i', 5, 4) * 0" ]);
	my @writes = (
		[ insert => "INSERT INTO $table SELECT i, " . value_of($shape, 'i') . " FROM generate_series(1, 40, 13) i" ],
		[ update => "UPDATE $table SET e = " . value_of($shape, 'id + 2000') . " WHERE id % 97 = 1" ],
		[ vacuum => "VACUUM (INDEX_CLEANUP on, PARALLEL 0) $table" ]);
	my @again = (
		[ 'insert again' => "INSERT INTO $table SELECT i, " . value_of($shape, 'i') . " FROM generate_series(3000, 3004) i" ],
		[ 'scan to the end' => "$scan; SET qhnsw.flat = off; SET qhnsw.iterative_scan = " . pick(qw(strict_order relaxed_order)) . '; '
			  . wrong_rows($shape, $table, $near, '') ]);

	push @reads, [ pass => "$scan; " . wrong_rows($shape, $table, $near, 'LIMIT 15', 'id < 20') ],
	  [ walk => "$scan; " . wrong_rows($shape, $table, $near, 'LIMIT 15', 'id > 30 AND id % 3 < 2') ]
	  if $shape->{columns};

	# what a backend reads first is what it remembers: in any order
	@reads = sort { rand() <=> 0.5 } @reads if chance(0.5);
	return chance(0.5) ? (@reads, @writes, @again) : (@writes, @reads, @again);
}

my %states;
my $statements = 0;

# Run all uses of one damaged index.  Returns what went wrong, and whether the server must be made anew.
sub use_index
{
	my ($session, $slot, $n, $kinds) = @_;

	# A metapage may come to say, soundly, another version or another dimension.
	my $allowed = $kinds->{meta} ? qr/^(00000|XX001|XX002|0A000|22000)$/ : qr/^(00000|XX001|XX002)$/;
	my @wrong;
	foreach my $use (uses_of($slot, $n))
	{
		my ($what, $sql) = @$use;
		my $result = { state => '00000', rows => [] };

		# one after the other, for VACUUM wants to be alone
		foreach my $statement (split /; /, $sql)
		{
			$result = $session->query($statement, 40);
			last if $result->{state} ne '00000';
		}
		$statements++;
		$states{ $result->{state} }++;
		return ("$what: the server crashed", 1) if $result->{lost};
		return ("$what: no answer in 40 s, and no end by its timeout", 1) if $result->{state} eq 'timeout';
		return ("$what: tries again without end", 0) if $result->{state} eq '57014';
		push @wrong, "$what: $result->{state} " . ($result->{message} // '') if $result->{state} !~ $allowed;
		push @wrong, "$what: $result->{rows}[0][0] rows that are not in the table" if $result->{state} eq '00000' && @{ $result->{rows} } && $result->{rows}[0][0];
	}
	return (join('; ', @wrong), 0);
}

sub slurp
{
	my ($path) = @_;

	open my $file, '<:raw', $path or die "cannot read $path: $!\n";
	local $/;
	my $image = <$file>;
	close $file;
	return $image;
}

sub spew
{
	my ($path, $image) = @_;

	open my $file, '>:raw', $path or die "cannot write $path: $!\n";
	print $file $image;
	close $file;
	return;
}

# ---- main

my @conf = ('shared_buffers = 32MB', 'max_wal_size = 512MB', 'log_min_messages = fatal', 'log_checkpoints = off', 'work_mem = 1MB',
	'max_parallel_workers_per_gather = 0', 'wal_level = minimal', 'max_wal_senders = 0');
my $sound = Server->new('sound', @conf);
$sound->start or die "the server does not start\n";
make_sound($sound);
$sound->stop;

# Every use of a sound index succeeds, or this test tests nothing.
my $serial = 0;
my $server;

sub fresh_server
{
	if ($server) { $server->remove }
	$server = Server->copy_of($sound, 'damaged' . $serial++);
	Server::run('pg_checksums', '--disable', '-D', $server->dir);
	$server->start or die "the server does not start\n";
	return;
}

sub open_session
{
	my $session = $server->session_in_time(60, 'damaged') // return;

	$session->rows("SET statement_timeout = '15s'");
	return $session;
}

my @todo = $options->{only} ne '' ? ($options->{only}) : 0 .. $options->{count} - 1;
my ($done, %by_kind) = (0);

fresh_server();
copy_sound($server);
my $trial = open_session();
seed_for(0);
is((use_index($trial, $_, 0, {}))[0], '', "all uses of the sound $_->{table} succeed") foreach @slots[0 .. $#shapes];
is(join(' ', keys %states), '00000', 'and no error among them');
$trial->close;
%states = ();
$statements = 0;

# Damage that is done in one copy of the database: the next ones, each to an index of its own.
while (@todo)
{
	my $last = $todo[0] - $todo[0] % @slots + $#slots;
	my $oid = copy_sound($server);
	my @batch;

	while (@todo && $todo[0] <= $last)
	{
		my $n = shift @todo;
		my $slot = $slots[ $n % @slots ];
		(my $path = $server->dir . "/$slot->{file}") =~ s,/base/\d+/,/base/$oid/,;

		seed_for($n + 1);
		my ($image, $what, $kinds) = damage(slurp($path));
		spew($path, $image);
		$by_kind{$_}++ foreach keys %$kinds;
		push @batch, [ $n, $slot, $what, $kinds ];
	}
	my $session = open_session();
	while (my $one = shift @batch)
	{
		my ($n, $slot, $what, $kinds) = @$one;
		my $offset = $server->log_size;

		seed_for($n + 1_000_000_007);
		my ($wrong, $broken) = use_index($session, $slot, $n, $kinds);
		$done++;
		next if $wrong eq '';
		fault("damage $n to $slot->{table} ($what): $wrong", $server->log_faults($offset), "again: --only $n");
		next if !$broken;

		# after a crash nothing is left to stand on: the rest of the batch in a new copy
		unshift @todo, map { $_->[0] } @batch;
		@batch = ();
		fresh_server();
	}
	$session->close if $session && !$session->lost;
	is(join("\n", $server->log_faults(0)), '', "damage up to $last: no backend crashed") if @todo == 0 || $last % 1000 < @slots;
}

figures('corrupt', "$done corruptions (" . join(', ', map { "$_ $by_kind{$_}" } sort keys %by_kind) . ')',
	"$statements statements (" . join(', ', map { "$_ $states{$_}" } sort keys %states) . ')', faults() . ' faults');
ok($done > 0, 'indexes were damaged');
done_testing();
