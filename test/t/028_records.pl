# Records of filter and INCLUDE columns: through crashes, on a standby, and damaged.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

use constant { PAGE => 8192, SPECIAL => 8184 };

my $node = new_node('records', 'shared_buffers = 16MB', 'wal_writer_delay = 1ms', 'wal_writer_flush_after = 0');

load_vectors($node, 'source', 3000, 32, 5);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[], t int, at timestamptz, name text, price float8);
	CREATE INDEX t_v ON t USING qhnsw (v, t, at, name) INCLUDE (price, name) WITH (m = 8);
	CREATE INDEX t_l ON t USING qhnsw (v real_l2_ops, t) INCLUDE (name) WITH (m = 8, hub_fraction = 0.05, m_low = 5);
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO t (v, t, at, name, price)
		SELECT v, id % 20, CASE WHEN id % 11 > 0 THEN '2024-01-01'::timestamptz + id * interval '1 hour' END, 'name ' || id % 7, id / 4.0
		FROM source WHERE id BETWEEN from_id AND to_id $$;
	SELECT add(1, 400)});

# All rows that pass, by the index and without it.
sub same_rows
{
	my ($server, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $condition ('t = 3', 't < 5 AND at > \'2024-01-20\'', 'at IS NULL AND name = \'name 4\'', 't = 7 AND price < 100')
	{
		my $rows = "SELECT count(*), sum(id) FROM (SELECT id FROM t WHERE $condition ORDER BY v <=> (SELECT v FROM source WHERE id = 9)) AS a";
		my $by_index = $server->safe_psql('postgres', "SET enable_seqscan = off; SET enable_sort = off; $rows");

		is($by_index, $server->safe_psql('postgres', "SET enable_indexscan = off; $rows"), "$what: rows where $condition");
	}
	return;
}

sub all_is_well
{
	my ($server, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	sound($server, $_, $what) for ('t_v', 't_l');
	same_rows($server, $what);
	return;
}

# ---- a standby from the beginning

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('records_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 60s\n");
$standby->start;

# ---- crashes while rows come and filter columns change

my $script = "$PostgreSQL::Test::Utils::tmp_check/records.sql";
append_to_file($script, q{\set r random(1, 2990)
BEGIN;
SELECT add(:r, :r + 3);
UPDATE t SET t = :r % 20, name = 'changed' WHERE id % 500 = :r % 500;
\if :client_id = 0
ROLLBACK;
\else
COMMIT;
\endif
});
foreach my $way ('immediate', 'kill')
{
	my ($out, $err) = ('', '');
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM t');
	my $bench = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '4', '-T', '30', '-f', $script, '-d', $node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres', "SELECT count(*) > $before + 200 FROM t") or die 'no rows come';
	if ($way eq 'immediate')
	{
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1});
		kill 'KILL', $pid;
	}
	$bench->finish;
	$node->poll_query_until('postgres', undef, '') or die 'server did not come back';
	all_is_well($node, "after $way");
	$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 4 = 1');
	$node->safe_psql('postgres', 'VACUUM t');
	all_is_well($node, "after $way, vacuumed");
}
my $nth = 0;
foreach my $stage ('dying_slots > 20', 'free_slots > (SELECT free_slots + 20 FROM info_before)')
{
	$nth++;
	ok( kill_when($node, 'VACUUM t', "(SELECT $stage FROM qhnsw_info('t_v'))", qq{
			TRUNCATE t; SELECT add(1, 3000); SELECT add(1, 500); UPDATE t SET t = 3 WHERE id % 9 = 0;
			DELETE FROM t WHERE id % 4 IN (0, $nth);
			DROP TABLE IF EXISTS info_before;
			CREATE TABLE info_before AS SELECT * FROM qhnsw_info('t_v')}),
		"vacuum was killed when $stage");
	$node->poll_query_until('postgres', undef, '') or die 'server did not come back';
	all_is_well($node, "vacuum killed when $stage");
	$node->safe_psql('postgres', 'VACUUM t');
	all_is_well($node, "vacuum killed when $stage, and done again");
	$node->safe_psql('postgres', 'SELECT add(1, 300)');
	all_is_well($node, "vacuum killed when $stage, then inserts");
}

# ---- the standby has all of it

$node->wait_for_catchup($standby);
all_is_well($standby, 'on the standby');
$node->safe_psql('postgres', 'UPDATE t SET t = (t + 3) % 20 WHERE id % 3 = 0; DELETE FROM t WHERE id % 7 = 0');
$node->safe_psql('postgres', 'VACUUM t');
$node->wait_for_catchup($standby);
all_is_well($standby, 'on the standby, after updates and vacuum');
$standby->promote;
$standby->safe_psql('postgres', 'SELECT add(100, 400); UPDATE t SET t = 5 WHERE id % 10 = 0');
$standby->safe_psql('postgres', 'VACUUM t');
all_is_well($standby, 'promoted');
$standby->stop;

# ---- damage

sub put { substr($_[0], $_[1], length $_[2]) = $_[2]; return }
sub pages_of
{
	my ($image, $kind) = @_;
	return grep { unpack('v', substr($image, $_ * PAGE + SPECIAL + 4, 2)) == $kind } 0 .. length($image) / PAGE - 1;
}

# Numbers that look random and are the same every time.
my $seed = 1;
sub number { $seed = ($seed * 1103515245 + 12345) & 0x7FFFFFFF; return ($seed >> 8) % $_[0] }
sub noise { return join '', map { chr number(256) } 1 .. $_[0] }

# A FILTER page begins with two bitmaps, then come bounds (src/store/FORMAT.md, "Records").
my %damage;
my $first = sub { (pages_of($_[0], 8))[0] * PAGE };
$damage{'zero page'} = sub { my $i = shift; put($i, $first->($i), "\0" x PAGE); $i };
$damage{'noise on page'} = sub { my $i = shift; put($i, $first->($i), noise(PAGE)); $i };
$damage{'noise in all pages'} = sub { my $i = shift; put($i, $_ * PAGE + 24, noise(SPECIAL - 24)) for pages_of($i, 8); $i };
$damage{'page of another kind'} = sub { my $i = shift; put($i, $first->($i) + SPECIAL + 4, pack 'v', 7); $i };
$damage{'page of another group'} = sub { my $i = shift; put($i, $first->($i) + SPECIAL, pack 'V', 99); $i };
$damage{'no marks'} = sub { my $i = shift; put($i, $_ * PAGE + 24, "\0" x 64) for pages_of($i, 8); $i };
$damage{'marks everywhere'} = sub { my $i = shift; put($i, $_ * PAGE + 24, "\xFF" x 48) for pages_of($i, 8); $i };
$damage{'keys of noise'} = sub { my $i = shift; put($i, $_ * PAGE + 2000, noise(3000)) for pages_of($i, 8); $i };
$damage{'values of noise'} = sub { my $i = shift; put($i, $_ * PAGE + 6000, noise(2000)) for pages_of($i, 8); $i };
my %meta = (
	'bytes of a record' => [ 48, pack 'V', 10 ], 'many bytes of a record' => [ 48, pack 'V', 0x7FFFFFFF ], 'no record' => [ 48, pack 'V', 0 ],
	'widths' => [ 102, pack 'v', 0xFFFF ], 'bytes of INCLUDE columns' => [ 104, pack 'v', 65535 ], 'no INCLUDE columns' => [ 104, pack 'v', 0 ],
	'columns' => [ 106, "\xFF" ], 'a column less' => [ 106, "\x02" ], 'no columns' => [ 106, "\0" ]);
foreach my $field (keys %meta)
{
	$damage{"meta: $field"} = sub { my $i = shift; put($i, 24 + $meta{$field}[0], $meta{$field}[1]); $i };
}
foreach my $round (1 .. 12)
{
	$damage{sprintf 'at random: %02d', $round} = sub {
		my $i = shift;
		foreach (1 .. 30)
		{
			my @pages = pages_of($i, 8);
			put($i, $pages[ number(scalar @pages) ] * PAGE + 24 + number(SPECIAL - 24), noise(1));
		}
		$i;
	};
}

my @names = sort keys %damage;
$node->safe_psql('postgres', join '', map {
	"CREATE TABLE d$_ (LIKE t INCLUDING IDENTITY);\nCREATE INDEX d${_}_v ON d$_ USING qhnsw (v, t, at, name) INCLUDE (price, name);\n"
} 0 .. $#names);
$node->safe_psql('postgres', q{
	CREATE TABLE s (LIKE t INCLUDING IDENTITY);
	INSERT INTO s (v, t, at, name, price) SELECT v, t, at, name, price FROM t ORDER BY id LIMIT 1500;
	INSERT INTO s (v, t, at, name, price) SELECT v, t + 1, at, name, price FROM t ORDER BY id LIMIT 100;
	CREATE INDEX s_v ON s USING qhnsw (v, t, at, name) INCLUDE (price, name);
	DELETE FROM s WHERE id % 3 = 0});
my $paths = sub { split /\n/, $node->safe_psql('postgres', "SELECT pg_relation_filepath(r) FROM unnest(ARRAY['$_[0]', '$_[0]_v']::regclass[]) WITH ORDINALITY AS x(r, n) ORDER BY n") };
my @sound_files = $paths->('s');
my @files = map { [ $paths->("d$_") ] } 0 .. $#names;
$node->stop;

# with checksums the server would refuse every damaged page before we see it
system_log('pg_checksums', '--disable', '-D', $node->data_dir);
my @sound = map { slurp_file($node->data_dir . "/$_") } @sound_files;
foreach my $nth (0 .. $#names)
{
	foreach my $i (0, 1)
	{
		open my $f, '>:raw', $node->data_dir . "/$files[$nth][$i]" or die $!;
		print $f $i == 0 ? $sound[0] : $damage{ $names[$nth] }->($sound[1]);
		close $f;
	}
}
$node->start;

my $near = 'ORDER BY v <=> (SELECT v FROM source WHERE id = 3) LIMIT 40';
my @tries = (
	[ 'scan', "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM TABLE $near) AS a" ],
	[ 'scan with a condition', "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM TABLE WHERE t = 3 AND name = 'name 3' $near) AS a" ],
	[ 'scan of a range', "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM TABLE WHERE at > '2024-02-01' AND price < 50 $near) AS a" ],
	[ 'info', q{SELECT nodes FROM qhnsw_info('TABLE_v')} ],
	[ 'insert', 'INSERT INTO TABLE (v, t, at, name) SELECT v, 4, now(), name FROM t LIMIT 30' ],
	[ 'update', 'UPDATE TABLE SET t = 9 WHERE id BETWEEN 40 AND 90' ],
	[ 'vacuum', 'VACUUM (INDEX_CLEANUP on, PARALLEL 0) TABLE' ],
	[ 'insert after vacuum', 'INSERT INTO TABLE (v, t, at, name) SELECT v, 5, now(), name FROM t LIMIT 30' ],
	[ 'scan after vacuum', "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM TABLE WHERE t < 9 $near) AS a" ],
	[ 'reindex', 'REINDEX TABLE TABLE' ]);
foreach my $nth (0 .. $#names)
{
	my $name = $names[$nth];
	my $offset = -s $node->logfile;
	my $sql = "\\set VERBOSITY sqlstate\n\\echo check\nSELECT 'fault' FROM qhnsw_check('TABLE_v', true) LIMIT 1;\n"
	  . join('', map { "\\echo $_->[0]\nRESET ALL; SET statement_timeout = '60s';\n$_->[1];\n" } @tries);
	my $out = '';

	$sql =~ s/TABLE(?= \(v|_|;| ORDER| WHERE| SET)|(?<=PARALLEL 0\) )TABLE/d$nth/g;
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$sql, '>', \$out, '2>&1');
	my @bad = grep { $_ !~ /^(XX002|XX001)$/ } $out =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})/g;
	my ($check) = $out =~ /^check\n(.*?)^scan$/ms;

	is("@bad", '', "$name: only errors that name the damage") or diag($out);
	like($check, qr/fault|XX00/, "$name: the checker sees it") if $name !~ /at random/;
	server_survived($node, $name, $offset);
	unlike($out, qr/reindex\n.*(?:ERROR|FATAL)/s, "$name: REINDEX works");
	is($node->safe_psql('postgres', "SELECT * FROM qhnsw_check('d${nth}_v', true) LIMIT 5"), '', "$name: and mends it");
}
$node->stop;
done_testing();
