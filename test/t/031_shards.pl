# A table partitioned over three clusters by postgres_fdw (doc/scaling.md): the order is computed where the rows
# are, by the index there, and the merged answer is that of one table.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $front = new_node('front');
if ($front->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'") eq '0')
{
	plan skip_all => 'postgres_fdw is not installed';
}

load_vectors($front, 'source', 4000, 32, 11);
load_vectors($front, 'queries', 20, 32, 12);
$front->safe_psql('postgres', q{
	CREATE EXTENSION postgres_fdw;
	CREATE TABLE items (id bigint, tenant int, embedding real[]) PARTITION BY HASH (id)});

my @shards = map { new_node("shard_$_") } (0, 1);
foreach my $i (0, 1)
{
	my ($host, $port) = ($shards[$i]->host, $shards[$i]->port);

	$shards[$i]->safe_psql('postgres', "CREATE TABLE items_$i (id bigint, tenant int, embedding real[])");
	$front->safe_psql('postgres', qq{
		CREATE SERVER shard_$i FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (host '$host', port '$port', dbname 'postgres', extensions 'qvec', fetch_size '20',
					 options '-c cursor_tuple_fraction=0.0001');
		CREATE USER MAPPING FOR CURRENT_USER SERVER shard_$i;
		CREATE FOREIGN TABLE items_$i PARTITION OF items
			FOR VALUES WITH (MODULUS 2, REMAINDER $i) SERVER shard_$i});
}
$front->safe_psql('postgres', 'INSERT INTO items SELECT id, id % 5, v FROM source');
foreach my $i (0, 1)
{
	$shards[$i]->safe_psql('postgres', "CREATE INDEX items_idx ON items_$i USING qhnsw (embedding); ANALYZE items_$i");
}

my $order = q{ORDER BY embedding <=> (SELECT v FROM queries WHERE id = 1) LIMIT 10};
my $plan = $front->safe_psql('postgres', "EXPLAIN (VERBOSE) SELECT id FROM items $order");
my $sent = () = $plan =~ /Remote SQL: .*ORDER BY \(embedding OPERATOR\(public\.<=>\)/g;

is($sent, 2, 'both shards are asked in the order of the distance') or diag $plan;
unlike($plan, qr{^\s*(->\s*)?Sort  \(}m, 'nothing is sorted here') or diag $plan;

foreach my $where ('', 'WHERE tenant = 3')
{
	my $exact = $where ? 'WHERE id % 5 = 3' : '';
	my $found = $front->safe_psql('postgres', qq{
		SELECT count(*) FROM queries AS q,
			LATERAL (SELECT id FROM items $where ORDER BY embedding <=> q.v LIMIT 10) AS r
		WHERE r.id IN (SELECT s.id FROM source AS s $exact ORDER BY s.v <=> q.v LIMIT 10)});

	cmp_ok($found, '>=', 190, "of 200 rows nearest to 20 queries, most are found $where");
}

my $rows = $front->safe_psql('postgres', qq{
	SELECT count(*), bool_and(d >= before) FROM (
		SELECT d, lag(d, 1, d) OVER () AS before FROM (
			SELECT embedding <=> (SELECT v FROM queries WHERE id = 2) AS d FROM items
			ORDER BY embedding <=> (SELECT v FROM queries WHERE id = 2) LIMIT 200) AS r) AS s});
is($rows, '200|t', 'rows of both come merged, nearest first, beyond one fetch');

foreach my $shard (@shards)
{
	my $scans = 0;

	# statistics reach the shared table some time after the scan
	foreach (1 .. 100)
	{
		$scans = $shard->safe_psql('postgres', "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname = 'items_idx'");
		last if $scans >= 20;
		select(undef, undef, undef, 0.1);
	}
	cmp_ok($scans, '>=', 20, $shard->name . ' answered by its index');
}

done_testing();
