# Centres that inserts add to an index: through a crash, before they are made known, on a standby, from many sessions
# at once, and damaged.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

use constant { PAGE => 8192, META => 24 };

my $node = new_node('centres', 'shared_buffers = 32MB');

load_vectors($node, 'source', 1500, 32, 1);
load_vectors($node, 'queries', 20, 32, 2);
$node->safe_psql('postgres', q{
	CREATE FUNCTION shifted(v real[], by real) RETURNS real[] LANGUAGE sql IMMUTABLE AS 'SELECT array_agg(x + by ORDER BY i) FROM unnest(v) WITH ORDINALITY AS u(x, i)';
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[]);
	CREATE INDEX t_v ON t USING qhnsw (v real_l2_ops) WITH (m = 8);
	CREATE FUNCTION add(by real, first int, last int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (v) SELECT shifted(v, by) FROM source WHERE id BETWEEN first AND last ORDER BY id';
});

sub info { return $node->safe_psql('postgres', "SELECT $_[0] FROM qhnsw_info('t_v')") }

# Rows are found by their own values, but for the few of each population that came before its centres.
sub finds_most
{
	my ($what) = @_;
	my ($sought, $found) = split /\|/, $node->safe_psql('postgres', q{
		SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.ef_search = 60;
		SELECT count(*), count(*) FILTER (WHERE (SELECT v FROM t ORDER BY v <-> sought.v LIMIT 1) = v)
		FROM (SELECT * FROM t WHERE id % 5 = 0) AS sought});

	cmp_ok($found, '>=', 0.95 * $sought, "$what: rows are found by their own values");
	return;
}

# ---- a crash

$node->safe_psql('postgres', 'SELECT add(20, 1, 700)');
my $first = info('centres');
cmp_ok($first, '>', 0, 'inserts add centres');
$node->stop('immediate');
$node->start;
is(info('centres'), $first, 'centres survive a crash');
sound($node, 't_v', 'after a crash');
finds_most('after a crash');

# ---- a standby, with sessions that knew the index before

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $session = $standby->background_psql('postgres');
my $nearest = q{SELECT string_agg(d::text, ' ') FROM (SELECT v <-> (SELECT shifted(v, %s) FROM queries WHERE id = 1) AS d
	FROM t ORDER BY v <-> (SELECT shifted(v, %s) FROM queries WHERE id = 1) LIMIT 10) AS s};
my $settings = 'SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = on;';

$session->query_safe($settings);
answer($session, sprintf($nearest, 20, 20));
$node->safe_psql('postgres', 'SELECT add(-60, 1, 700)');
cmp_ok(info('centres'), '>', $first, 'another population gets centres');
$node->wait_for_catchup($standby);
foreach my $by (20, -60)
{
	is(answer($session, sprintf($nearest, $by, $by)),
		$node->safe_psql('postgres', $settings . sprintf($nearest, $by, $by)), "a session of the standby knows new centres ($by)");
}
is($standby->safe_psql('postgres', q{SELECT * FROM qhnsw_check('t_v', true) LIMIT 5}), '', 'the index is sound on the standby');
$session->quit;
$standby->stop;

# ---- centres that were written when a crash came, and not made known

$node->safe_psql('postgres', 'CHECKPOINT');
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('t_v')});
my $known = info('centres || $$ $$ || centre_slots');

sub meta_of { return substr(slurp_file($path), 0, PAGE) }

# Byte offsets within the metapage: src/store/FORMAT.md.
my ($head, $count) = unpack 'x[' . (META + 32) . ']V x64 v', meta_of();

sub patch
{
	my ($offset, $bytes) = @_;

	open my $file, '+<:raw', $path or die "$path: $!";
	seek $file, $offset, 0;
	print $file $bytes;
	close $file or die "$path: $!";
	return;
}

sub restart_with
{
	my (@patches) = @_;

	$node->stop;
	patch(@$_) for @patches;
	$node->start;
	return;
}

$node->stop;
system_log('pg_checksums', '--disable', '-D', $node->data_dir);
$node->start;
is($count, (split / /, $known)[0], 'the metapage is where FORMAT.md says');
$node->safe_psql('postgres', 'SELECT add(150, 1, 700)');
cmp_ok(info('centres'), '>', $count, 'a third population gets centres');
restart_with([ META + 32, pack('V', $head) ], [ META + 100, pack('v', $count) ]);
is(info('centres'), $count, 'the metapage does not know the last centres');
is($node->safe_psql('postgres', "$settings SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '{" . join(',', (0) x 32) . "}') AS s"),
	2100, 'codes measured from centres that nobody knows are passed over, and every row is found');
is($node->safe_psql('postgres', q{SELECT * FROM qhnsw_check('t_v') LIMIT 5}), '', 'slots of no centre are no fault');
$node->safe_psql('postgres', 'DELETE FROM t WHERE v[1] > 75; VACUUM t');
is(info('centres || $$ $$ || centre_slots'), $known, 'vacuum frees slots of no centre, and keeps the others');
sound($node, 't_v', 'after that vacuum');
$node->safe_psql('postgres', 'SELECT add(150, 1, 700)');
cmp_ok(info('centres'), '>', $count, 'and the population gets centres again');
sound($node, 't_v', 'with these');
finds_most('with these');

# ---- all rows go

$node->safe_psql('postgres', 'DELETE FROM t; VACUUM t; VACUUM t');
like(info('nodes, dying_slots, reserved_slots, centres > 0, centre_slots > 0'), qr/^0\|0\|0\|t\|t$/, 'centres stay when all rows go');

# ---- many sessions at once

my $script = "$PostgreSQL::Test::Utils::tmp_check/insert_centres.sql";
append_to_file($script, q{\set r random(1, 1490)
\set by random(0, 5)
SELECT add(40 * :by, :r, :r + 9);
});
$node->safe_psql('postgres', 'TRUNCATE t');
command_ok([ 'pgbench', '-n', '-c', '4', '-t', '60', '-f', $script, '-d', $node->connstr('postgres') ], 'four sessions insert');
like(info('rows, reserved_slots, centres BETWEEN 4 AND 255'), qr/^2400\|0\|t$/, 'they add centres between them');
sound($node, 't_v', 'after inserts by four sessions');
finds_most('after inserts by four sessions');

# ---- damage: each is said, and REINDEX mends it

$node->safe_psql('postgres', 'CHECKPOINT');
$path = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('t_v')});
my $image = slurp_file($path);
($head, $count) = unpack 'x[' . (META + 32) . ']V x64 v', $image;
my ($m, $nslots) = (8, int((PAGE - 24 - 8) / (8 * 8 + 1)));
my $at = int((PAGE - 24 - 8 - 40) / 65) == $nslots ? 64 : 24;
my @centre_slots;
foreach my $page (grep { unpack('v', substr($image, $_ * PAGE + PAGE - 4, 2)) == 5 } 0 .. length($image) / PAGE - 1)
{
	push @centre_slots, map { $page * PAGE + $at + $_ * 64 }
	  grep { ord(substr($image, $page * PAGE + $at + $nslots * 64 + $_, 1)) == 5 } 0 .. $nslots - 1;
}
cmp_ok(scalar @centre_slots, '>', $count, 'slots of centres are where FORMAT.md says');
my $slot = $centre_slots[0];
my @damages = (
	[ 'number of centres', META + 100, pack('v', 255) ],
	[ 'more centres than there can be', META + 100, pack('v', 256) ],
	[ 'fewer centres', META + 100, pack('v', 1) ],
	[ 'head of centres', META + 32, pack('V', 0) ],
	[ 'head past the end', META + 32, pack('V', 0x7FFFFFF0) ],
	[ 'no head', META + 32, pack('V', 0xFFFFFFFF) ],
	[ 'next slot', $slot, pack('V', 0x7FFFFFFF) ],
	[ 'number of words', $slot + 4, pack('v', 0) ],
	[ 'too many words', $slot + 4, pack('v', 60000) ],
	[ 'number of the centre', $slot + 6, pack('v', 200) ],
	[ 'words', $slot + 8, pack('V*', (0x7FC00000) x 14) ]);

foreach my $damage (@damages)
{
	my ($what, $offset, $bytes) = @$damage;

	restart_with([ $offset, $bytes ]);
	my ($code, $out, $err) = $node->psql('postgres', "$settings SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '{" . join(',', (0) x 32) . "}' LIMIT 3) AS s",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/XX002/, "damaged $what: a scan says so");
	($code, $out, $err) = $node->psql('postgres', 'SELECT add(0, 1, 1); DELETE FROM t WHERE id % 7 = 0; VACUUM t', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	unlike($err, qr/terminated|PANIC/, "damaged $what: nothing crashes");
	$node->stop;
	patch($offset, substr($image, $offset, length $bytes));
	$node->start;
}
$node->safe_psql('postgres', 'REINDEX INDEX t_v');
sound($node, 't_v', 'after REINDEX');
server_survived($node, 'all of this');

done_testing();
