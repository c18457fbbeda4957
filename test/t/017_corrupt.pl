# Damaged pages: everything that meets one says so, or goes on; nothing crashes
# and nothing hangs.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

use constant { PAGE => 8192, SPECIAL => 8184 };

my $node = new_node('corrupt', 'shared_buffers = 16MB');

# The files of a sound table and its indexes, with dead rows that vacuum has to take out.
sub files_of
{
	my ($table) = @_;
	my @paths = split /\n/, $node->safe_psql('postgres',
		"SELECT pg_relation_filepath(r) FROM unnest(ARRAY['$table', '${table}_v', '${table}_b', '${table}_l']::regclass[]) WITH ORDINALITY AS x(r, n) ORDER BY n");

	return map { $node->data_dir . '/' . $_ } @paths;
}

# ---- the format, from src/store/FORMAT.md

sub page_kind { return unpack 'v', substr($_[0], $_[1] * PAGE + SPECIAL + 4, 2) }
sub pages_of
{
	my ($image, $kind) = @_;
	return grep { page_kind($image, $_) == $kind } 0 .. length($image) / PAGE - 1;
}
my ($M, $LINK_NBYTES) = (16, 128);
my $LINK_NSLOTS = int((PAGE - 24 - 8) / ($LINK_NBYTES + 1));

# Where link slots begin: on a cache line where that costs no slot.
my $LINK_AT = int((PAGE - 24 - 8 - 40) / ($LINK_NBYTES + 1)) == $LINK_NSLOTS ? 64 : 24;
my $STATE_AT = $LINK_AT + $LINK_NSLOTS * $LINK_NBYTES;

sub put { substr($_[0], $_[1], length $_[2]) = $_[2]; return }

# For each slot of each link page: code(offset of slot, state).
sub each_slot
{
	my ($image, $do) = @_;

	foreach my $page (pages_of($image, 5))
	{
		foreach my $i (0 .. $LINK_NSLOTS - 1)
		{
			my $state = ord substr($image, $page * PAGE + $STATE_AT + $i, 1);
			$do->($page * PAGE + $LINK_AT + $i * $LINK_NBYTES, $state, $page * PAGE + $STATE_AT + $i);
		}
	}
	return;
}

# Numbers that look random and are the same every time.
my $seed = 1;
sub number { $seed = ($seed * 1103515245 + 12345) & 0x7FFFFFFF; return ($seed >> 8) % $_[0] }
sub noise { return join '', map { chr number(256) } 1 .. $_[0] }

# Change 4-byte words of every live node's links.
sub change_links
{
	my ($image, $how) = @_;

	each_slot($image, sub {
		my ($at, $state) = @_;
		return if $state != 2;
		my @links = unpack 'V*', substr($image, $at, $LINK_NBYTES);
		$how->(\@links);
		put($image, $at, pack 'V*', @links) });
	return $image;
}

my %damage;
foreach my $kind ([ 0 => 'metapage' ], [ 1 => 'entry page' ])
{
	my ($page, $name) = @$kind;
	$damage{"zero $name"} = sub { my $i = shift; put($i, $page * PAGE, "\0" x PAGE); $i };
	$damage{"noise on $name"} = sub { my $i = shift; put($i, $page * PAGE, noise(PAGE)); $i };
	$damage{"noise in $name"} = sub { my $i = shift; put($i, $page * PAGE + 24, noise(2000)); $i };
}
foreach my $kind ([ 4 => 'row' ], [ 5 => 'link' ], [ 6 => 'code' ])
{
	my ($number, $name) = @$kind;
	$damage{"zero $name page"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE, "\0" x PAGE); $i };
	$damage{"noise on $name page"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE, noise(PAGE)); $i };
	$damage{"noise in all $name pages"} = sub {
		my $i = shift;
		put($i, $_ * PAGE + 24, noise(SPECIAL - 24)) for pages_of($i, $number);
		$i;
	};
	$damage{"$name page of another kind"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE + SPECIAL + 4, pack 'v', 7); $i };
	$damage{"$name page of another group"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE + SPECIAL, pack 'V', 99); $i };
	$damage{"$name page without its mark"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE + SPECIAL + 6, "\0\0"); $i };
}

# fields of the metapage: name => [ offset, bytes ]
my %meta = (
	'magic' => [ 0, pack 'V', 1 ], 'version' => [ 4, pack 'V', 1000 ], 'metric' => [ 8, "\x77" ], 'metric of another kind' => [ 8, "\x03" ],
	'code kind' => [ 9, "\x63" ], 'bits' => [ 10, "\x20" ], 'm' => [ 12, pack 'v', 60000 ], 'm of another size' => [ 12, pack 'v', 20 ],
	'dimension' => [ 16, pack 'V', 0xFFFFFFFF ], 'dimension of another size' => [ 16, pack 'V', 900 ], 'dimension 0' => [ 16, pack 'V', 0 ],
	'centroid pages' => [ 36, pack 'V', 0xFFFFFFFF ], 'one centroid page more' => [ 36, pack 'V', 2 ], 'code size' => [ 40, pack 'V', 0x7FFFFFFF ],
	'slots a group' => [ 52, pack 'V', 0xFFFFFFF0 ], 'pages a group' => [ 56, pack 'V', 0 ], 'head of centres' => [ 32, pack 'V', 0x7FC00000 ],
	'spread' => [ 80, pack 'V', 0x7FC00000 ], 'mean of inserts' => [ 88, pack 'V', 0x7F800000 ], 'ef_construction' => [ 14, pack 'v', 65535 ],
	'points of recall' => [ 1024, pack 'V', 9 ], 'points of nothing' => [ 1024, pack 'V', 8 ], 'point of NaN' => [ 1024, pack('Vx36V', 1, 0x7FC00000) ],
	'point without ef_search' => [ 1024, pack('Vx36f<f<Vf<', 1, 0.9, 0.9, 0, 1) ], 'point of much' => [ 1024, pack('Vx36f<f<Vf<', 1, 0.9, 0.9, 40, 1e30) ],
	'default recall' => [ 1024, pack('Vx32f<', 1, 2) ],
	'points out of order' => [ 1024, pack('Vx36f<f<Vf<f<f<Vf<', 2, 0.9, 0.9, 40, 3, 0.8, 0.8, 40, 3) ]);
foreach my $field (keys %meta)
{
	$damage{"meta: $field"} = sub { my $i = shift; put($i, 24 + $meta{$field}[0], $meta{$field}[1]); $i };
}
$damage{'entry points: too many'} = sub { my $i = shift; put($i, PAGE + 28, pack 'V', 0xFFFFFFFF); $i };
$damage{'entry points: one too many'} = sub { my $i = shift; put($i, PAGE + 28, pack 'V', 2001); $i };
$damage{'entry points: past the end'} = sub { my $i = shift; put($i, PAGE + 32, pack 'V*', (0x7FFFFFF0) x 60); $i };
$damage{'entry points: no nodes'} = sub { my $i = shift; put($i, PAGE + 32, pack 'V*', 2000 .. 2060); $i };
$damage{'entry points: none'} = sub { my $i = shift; put($i, PAGE + 28, pack 'V', 0); $i };
$damage{'links past the end'} = sub { change_links(shift, sub { $_[0][$_] = 0x00FFFFFF for 0 .. 3 }) };
$damage{'tree links past the end'} = sub { change_links(shift, sub { $_[0][0] = 0x80000000 | 0x00FFFFFF }) };
$damage{'links to oneself and to one'} = sub { change_links(shift, sub { $_[0][$_] = 5 for 0 .. 31 }) };
$damage{'links of noise in range'} = sub { change_links(shift, sub { $_[0][$_] = number(2000) for 0 .. 31 }) };
$damage{'tree links in loops'} = sub { my $n = 0; change_links(shift, sub { $_[0][$_] = 0x80000000 | (($n + $_) % 1300) for 0 .. 31; $n++ }) };
$damage{'tree links everywhere to one'} = sub { change_links(shift, sub { $_[0][0] = 0x80000000 | 17; $_[0][1] = 0xFFFFFFFF; $_[0][2] = 3 }) };
$damage{'no tree links'} = sub { change_links(shift, sub { $_ != 0xFFFFFFFF and $_ &= 0x7FFFFFFF for @{ $_[0] } }) };
$damage{'no links'} = sub { change_links(shift, sub { $_ = 0xFFFFFFFF for @{ $_[0] } }) };

# postings
sub change_postings
{
	my ($image, $how) = @_;

	each_slot($image, sub { put($image, $_[0], $how->(substr($image, $_[0], $LINK_NBYTES))) if $_[1] == 4 });
	return $image;
}
$damage{'row lists in a loop'} = sub {
	my $image = shift;
	my $first = 0;
	# find a posting's own id through a row slot that names one
	foreach my $page (pages_of($image, 4))
	{
		foreach my $i (0 .. 1000)
		{
			my ($high, $low, undef, $flags) = unpack 'v4', substr($image, $page * PAGE + 64 + 8 * $i, 8);
			$first = ($high << 16) | $low if $flags == 2;
		}
	}
	return change_postings($image, sub { pack('V', $first) . substr($_[0], 4) });
};
$damage{'row lists past the end'} = sub { change_postings(shift, sub { pack('V', 0x7FFFFF00) . substr($_[0], 4) }) };
$damage{'row lists into nodes'} = sub { change_postings(shift, sub { pack('V', 1) . substr($_[0], 4) }) };
$damage{'row lists too long'} = sub { change_postings(shift, sub { substr($_[0], 0, 4) . pack('v', 65535) . substr($_[0], 6) }) };
$damage{'row lists of row pointers to nowhere'} = sub { change_postings(shift, sub { substr($_[0], 0, 8) . noise($LINK_NBYTES - 8) }) };
$damage{'row slots with row pointers to nowhere'} = sub {
	my $image = shift;
	foreach my $page (pages_of($image, 4))
	{
		put($image, $page * PAGE + 64 + 8 * $_, pack('v4', number(65536), number(65536), number(65536), 1)) for 0 .. 1000;
	}
	$image;
};
$damage{'row slots that lead to lists in nodes'} = sub {
	my $image = shift;
	foreach my $page (pages_of($image, 4))
	{
		put($image, $page * PAGE + 64 + 8 * $_, pack('v4', 0, number(2000), 0, 2)) for 0 .. 1000;
	}
	$image;
};

# row pointers that are none: words of those row slots that hold one, or none
sub change_rows
{
	my ($image, $flags, $how) = @_;

	foreach my $page (pages_of($image, 4))
	{
		foreach my $i (0 .. 1019)
		{
			my @words = unpack 'v4', substr($image, $page * PAGE + 24 + 8 * $i, 8);
			next if $words[3] != $flags;
			$how->(\@words, $i);
			put($image, $page * PAGE + 24 + 8 * $i, pack 'v4', @words);
		}
	}
	return $image;
}
my %pointer = ('offset 0' => [ 0, 1, 0 ], 'an offset past any page' => [ 0, 1, 60000 ], 'a block past the table' => [ 0, 60000, 1 ], 'no block' => [ 65535, 65535, 1 ]);
foreach my $what (keys %pointer)
{
	my @words = @{ $pointer{$what} };
	$damage{"row pointers with $what"} = sub { change_rows(shift, 1, sub { $_[0]->@[ 0 .. 2 ] = @words if $_[1] % 7 == 0 }) };
	$damage{"row lists of row pointers with $what"} = sub { change_postings(shift, sub { substr($_[0], 0, 14) . pack('v3', @words) . substr($_[0], 20) }) };
}
$damage{'words of free row slots'} = sub { change_rows(shift, 0, sub { $_[0][ number(3) ] = 1 + number(65535) }) };

# floats of codes: the norm behind the bits of each, and the centroid
my %float = ('NaN' => 0x7FC00000, 'infinity' => 0x7F800000, 'minus infinity' => 0xFF800000, 'zero' => 0, 'minus one' => 0xBF800000, '1e38' => 0x7E967699, 'a denormal' => 1);
my ($CODE_NBYTES, $FACTORS_AT) = (40, 32);
foreach my $name (keys %float)
{
	my $float = pack 'V', $float{$name};
	$damage{"codes with $name"} = sub {
		my $i = shift;
		foreach my $page (pages_of($i, 6))
		{
			put($i, $page * PAGE + 64 + $CODE_NBYTES * $_ + $FACTORS_AT, $float) foreach grep { $_ % 3 == 0 } 0 .. 200;
		}
		$i;
	};
	$damage{"centroid with $name"} = sub { my $i = shift; put($i, $_ * PAGE + 24, $float x 5) foreach pages_of($i, 3); $i };
}

# what an index looks like that a first insert of another dimension has made empty, before its pages are cut off; and damage to it
sub without_dimension { my $i = shift; put($i, 24 + 16, pack 'V', 0); put($i, 24 + 36, pack 'V', 0); put($i, PAGE + 28, pack 'V', 0); return $i }
$damage{'no dimension, no entry points'} = sub { without_dimension(shift) };
foreach my $field ('m', 'code kind', 'bits', 'head of centres')
{
	$damage{"no dimension, no entry points, $field"} = sub { my $i = without_dimension(shift); put($i, 24 + $meta{$field}[0], $meta{$field}[1]); $i };
}

# anything, anywhere: pages of any kind, bytes, words that mean something, and numbers of nodes
my @words = (map { pack 'V', $_ } values %float, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 5, 1500);
sub at_random
{
	my ($image) = @_;
	my $npages = length($image) / PAGE;

	return $image if $npages == 0;
	foreach my $page (map { number($npages) } 1 .. (1, 3, 20)[ number(3) ])
	{
		foreach (1 .. (1, 5, 60)[ number(3) ])
		{
			my $at = $page * PAGE + 24 + 4 * number((64, 512, (SPECIAL - 24) / 4)[ number(3) ]);
			my $how = number(3);
			put($image, $at + number(4), noise(1)) if $how == 0;
			put($image, $at, $words[ number(scalar @words) ]) if $how == 1;
			put($image, $at, pack 'V', number(2000) | (number(2) << 31)) if $how == 2;
		}
	}
	return $image;
}
$damage{sprintf 'at random: %02d', $_} = \&at_random foreach 1 .. 24;

# states
foreach my $state (0, 1, 3, 4, 9, 255)
{
	$damage{"all slots in state $state"} = sub {
		my $image = shift;
		my @at;
		each_slot($image, sub { push @at, $_[2] });
		put($image, $_, chr $state) for @at;
		$image;
	};
}
$damage{'states of noise'} = sub {
	my $image = shift;
	my @at;
	each_slot($image, sub { push @at, $_[2] });
	put($image, $_, chr number(5)) for @at;
	$image;
};

# file length
$damage{'file cut to nothing'} = sub { '' };
$damage{'file cut after the metapage'} = sub { substr $_[0], 0, PAGE };
$damage{'file cut in the middle'} = sub { substr $_[0], 0, PAGE * int(length($_[0]) / PAGE / 2) };
$damage{'file with noise behind its end'} = sub { $_[0] . noise(PAGE) };
$damage{'file with zeros behind its end'} = sub { $_[0] . "\0" x (40 * PAGE) };

# An index of low storage, damaged alone: packed lists are in the link pages, the others in pages of hubs.
my %low_damage;
my ($LOW_NBYTES, $LOW_NSLOTS) = (40, int((PAGE - 24 - 8) / 41));

sub change_packed
{
	my ($image, $how) = @_;

	foreach my $page (pages_of($image, 5))
	{
		foreach my $i (0 .. $LOW_NSLOTS - 1)
		{
			my $at = $page * PAGE + 24 + $i * $LOW_NBYTES;
			put($image, $at, $how->(substr($image, $at, $LOW_NBYTES)));
		}
	}
	return $image;
}
foreach my $kind ([ 5 => 'packed' ], [ 9 => 'hub' ])
{
	my ($number, $name) = @$kind;
	$low_damage{"low: noise in all $name pages"} = sub { my $i = shift; put($i, $_ * PAGE + 24, noise(SPECIAL - 24)) for pages_of($i, $number); $i };
	$low_damage{"low: noise on $name page"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE, noise(PAGE)); $i };
	$low_damage{"low: zero $name page"} = sub { my $i = shift; put($i, (pages_of($i, $number))[0] * PAGE, "\0" x PAGE); $i };
}
$low_damage{sprintf 'low: at random: %02d', $_} = \&at_random foreach 1 .. 10;
$low_damage{'low: lists too long'} = sub { change_packed(shift, sub { "\xFF\xFF" . substr($_[0], 2) }) };
$low_damage{'low: lists of noise'} = sub { change_packed(shift, sub { chr(number(9)) . chr(number(9)) . noise($LOW_NBYTES - 2) }) };
$low_damage{'low: no links'} = sub { change_packed(shift, sub { "\0" x $LOW_NBYTES }) };
$low_damage{'low: a bit flipped in each list'} = sub { change_packed(shift, sub { my $s = $_[0]; vec($s, number(160), 1) ^= 1; $s }) };
my %low_meta = ('hubs a group' => [ 60, pack 'V', 4000000000 ], 'one hub more' => [ 60, pack 'V', 200 ], 'no hubs' => [ 60, pack 'V', 0 ],
	'hub_fraction' => [ 92, pack 'V', 0x7FC00000 ], 'no hub_fraction' => [ 92, pack 'V', 0 ], 'm_low' => [ 96, pack 'v', 60000 ], 'm_low 0' => [ 96, pack 'v', 0 ]);
foreach my $field (keys %low_meta)
{
	$low_damage{"low: meta: $field"} = sub { my $i = shift; put($i, 24 + $low_meta{$field}[0], $low_meta{$field}[1]); $i };
}

# These are no faults: what is left is another sound index, or one that is only worse.
my %harmless = map { $_ => 1 } ('file with zeros behind its end', 'words of free row slots');

# ---- what is tried with each

my $rows = q{SELECT count(*) FROM (SELECT id FROM TABLE ORDER BY %s LIMIT 40) AS a};
my @tries = (
	[ 'scan by v', sprintf("SET enable_seqscan = off; SET qhnsw.ef_search = 20; $rows", 'v <=> (SELECT v FROM source WHERE id = 3)') ],
	[ 'scan by b', sprintf("SET enable_seqscan = off; SET qhnsw.ef_search = 20; $rows", 'b <~> (SELECT binary_quantize(v) FROM source WHERE id = 3)') ],
	[ 'scan of all codes', sprintf("SET enable_seqscan = off; SET qhnsw.flat = on; $rows", 'b <~> (SELECT binary_quantize(v) FROM source WHERE id = 5)') ],
	[ 'scan without order', sprintf("SET enable_seqscan = off; $rows", 'v <=> NULL') ],
	[ 'scan by l', sprintf("SET enable_seqscan = off; SET qhnsw.ef_search = 20; $rows", 'v <-> (SELECT v FROM source WHERE id = 3)') ],
	[ 'info on l', q{SELECT nodes FROM qhnsw_info('TABLE_l')} ],
	[ 'info on v', q{SELECT nodes FROM qhnsw_info('TABLE_v')} ],
	[ 'info on b', q{SELECT nodes FROM qhnsw_info('TABLE_b')} ],
	[ 'recall', q{SELECT qhnsw_recall('TABLE_v', 5, 2) + qhnsw_recall('TABLE_b', 5, 2) + qhnsw_recall('TABLE_l', 5, 2)} ],
	[ 'insert', 'INSERT INTO TABLE (v, b) SELECT v, binary_quantize(v) FROM source WHERE id BETWEEN 2001 AND 2020 OR id < 5' ],
	[ 'update', 'UPDATE TABLE SET v = source.v, b = binary_quantize(source.v) FROM source WHERE TABLE.id BETWEEN 40 AND 60 AND source.id = TABLE.id + 2060' ],
	[ 'vacuum', 'VACUUM (INDEX_CLEANUP on, PARALLEL 0) TABLE' ],
	[ 'insert after vacuum', 'INSERT INTO TABLE (v, b) SELECT v, binary_quantize(v) FROM source WHERE id BETWEEN 2021 AND 2040' ],
	[ 'scan after vacuum', sprintf("SET enable_seqscan = off; SET qhnsw.ef_search = 20; $rows", 'v <=> (SELECT v FROM source WHERE id = 9)') ],
	[ 'reindex', 'REINDEX TABLE TABLE' ]);

# Index corrupted, not this format, a dimension that is none of ours; or success.
my $acceptable = qr/^(00000|XX002|XX001|0A000|22000)$/;

# A table for each damage.  They are there before the sound one has rows, and are given
# the files of that: so no row is older than vacuum finds believable.
my @names = sort(keys %damage, keys %low_damage);
load_vectors($node, 'source', 2200, 64, 11);
$node->safe_psql('postgres', 'CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[], b bitvec(64))');
$node->safe_psql('postgres', join '', map {
	"CREATE TABLE d$_ (LIKE t INCLUDING IDENTITY);\nCREATE INDEX d${_}_v ON d$_ USING qhnsw (v);\nCREATE INDEX d${_}_b ON d$_ USING qhnsw (b);\n"
	  . "CREATE INDEX d${_}_l ON d$_ USING qhnsw (v real_l2_ops) WITH (hub_fraction = 0.02);\n"
} 0 .. $#names);
$node->safe_psql('postgres', q{
	INSERT INTO t (v, b) SELECT v, binary_quantize(v) FROM source WHERE id <= 2000;
	INSERT INTO t (v, b) SELECT v, binary_quantize(v) FROM source, generate_series(1, 30) WHERE source.id <= 8;
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE INDEX t_b ON t USING qhnsw (b);
	CREATE INDEX t_l ON t USING qhnsw (v real_l2_ops) WITH (hub_fraction = 0.02);
	DELETE FROM t WHERE id % 3 = 0});
my @sound_files = files_of('t');
my @files = map { [ files_of("d$_") ] } 0 .. $#names;
$node->stop;

# With checksums, as new clusters have them from PostgreSQL 18 on, the server would refuse every damaged page before we see it.
# Where there are none this says so and changes nothing.
system_log('pg_checksums', '--disable', '-D', $node->data_dir);
my @sound = map { slurp_file($_) } @sound_files;
foreach my $nth (0 .. $#names)
{
	foreach my $i (0 .. 3)
	{
		my $harm = ($i == 3 ? \%low_damage : $i > 0 ? \%damage : {})->{ $names[$nth] };
		open my $f, '>:raw', $files[$nth][$i] or die $!;
		print $f $harm ? $harm->($sound[$i]) : $sound[$i];
		close $f;
	}
}
$node->start;

foreach my $nth (0 .. $#names)
{
	my $name = $names[$nth];
	my $offset = -s $node->logfile;

	# one connection, so that what a backend remembers is tried too; each statement on its own
	my $sql = "\\set VERBOSITY sqlstate\nSET statement_timeout = '30s';\n"
	  . "\\echo check\nSELECT 'fault' FROM qhnsw_check('TABLE_v', true) LIMIT 1;\nSELECT 'fault' FROM qhnsw_check('TABLE_b', true) LIMIT 1;\n"
	  . "SELECT 'fault' FROM qhnsw_check('TABLE_l', true) LIMIT 1;\n"
	  . join('', map { "\\echo $_->[0]\nRESET ALL; SET statement_timeout = '30s';\n$_->[1];\n" } @tries);
	my ($out, $err) = ('', '');

	$sql =~ s/TABLE(?= \(v|_|;| ORDER|\.| SET)|(?<=PARALLEL 0\) )TABLE/d$nth/g;
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$sql, '>', \$out, '2>&1');
	my @states = $out =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})/g;
	my @bad = grep { $_ !~ $acceptable } @states;
	my ($check) = $out =~ /^check\n(.*?)scan by v/ms;

	is("@bad", '', "$name: only errors that name the damage") or diag($out);
	unlike($out, qr/server closed|connection to server was lost|could not connect/, "$name: the session went on");
	if ($name =~ /at random/)
	{
		# may be found by nobody
	}
	elsif ($harmless{$name})
	{
		is($check, '', "$name: is no fault");
	}
	else
	{
		like($check, qr/fault|XX00|0A000/, "$name: the checker sees it");
	}
	server_survived($node, $name, $offset);
	unlike($out, qr/reindex\n.*(?:ERROR|FATAL)/s, "$name: REINDEX works");
	$check = $node->safe_psql('postgres', "SELECT * FROM qhnsw_check('d${nth}_v', true) UNION ALL SELECT * FROM qhnsw_check('d${nth}_b', true)
		UNION ALL SELECT * FROM qhnsw_check('d${nth}_l', true) LIMIT 5");
	is($check, '', "$name: and mends it");
}
$node->stop;
done_testing();
