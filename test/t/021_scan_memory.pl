# Memory of deep scans and of scans under a WHERE, against work_mem times qhnsw.scan_mem_multiplier.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

# Kilobytes a scan holds whatever the bound: its own state, a node's rows, the query, a few words for each node that the graph gave.
use constant FIXED => 40;

my $node = new_node('scan_memory');

load_vectors($node, 'source', 40000, 32, 5);
$node->safe_psql('postgres', q{
	CREATE TABLE t AS SELECT id, v, v AS finer, binary_quantize(v) AS b FROM source;
	CREATE INDEX t_b ON t USING qhnsw (b);
	CREATE INDEX t_j ON t USING qhnsw ((b || '1') bitvec_jaccard_ops);
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE INDEX t_finer ON t USING qhnsw (finer) WITH (refine = 'int8');
	VACUUM ANALYZE t;

	-- rows that a cursor gives, and kilobytes that its scan holds then
	CREATE FUNCTION held(statement text, wanted int, OUT rows int, OUT kilobytes int) LANGUAGE plpgsql AS $$
	DECLARE
		c refcursor;
	BEGIN
		OPEN c NO SCROLL FOR EXECUTE statement;
		MOVE FORWARD wanted FROM c;
		GET DIAGNOSTICS rows = ROW_COUNT;
		kilobytes := (SELECT sum(used_bytes) / 1024 FROM pg_backend_memory_contexts WHERE name IN ('qhnsw scan', 'qhnsw query'));
		CLOSE c;
	END $$});

my %order = (
	'bits' => 'b <~> (SELECT b FROM t WHERE id = 17)',
	'bits, Jaccard' => "(b || '1') <%> (SELECT b || '1' FROM t WHERE id = 17)",
	'floats' => 'v <=> (SELECT v FROM t WHERE id = 17)',
	'floats, finer' => 'finer <=> (SELECT v FROM t WHERE id = 17)');

# Kilobytes held by a scan under so much memory; whether it found as many rows as were wanted is tested here.
sub held
{
	my ($what, $settings, $where, $wanted, $work_mem, $multiplier) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $out = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off; SET qhnsw.iterative_scan = relaxed_order;
		SET work_mem = '${work_mem}kB'; SET qhnsw.scan_mem_multiplier = $multiplier; $settings;
		SELECT rows, kilobytes FROM held('SELECT id FROM t WHERE $where ORDER BY ' || \$\$$order{$what}\$\$, $wanted)});
	my ($rows, $kilobytes) = split /\|/, $out;

	is($rows, $wanted, "$what where $where, $work_mem kB times $multiplier: $wanted rows");
	return $kilobytes;
}

foreach my $memory ([ 64, 2 ], [ 256, 1 ], [ 256, 2 ], [ 1024, 1 ])
{
	my ($work_mem, $multiplier) = @$memory;
	my $bound = $work_mem * $multiplier + FIXED;

	foreach my $scan ([ 'id % 1000 = 7', 10 ], [ 'true', 5000 ])
	{
		cmp_ok(held('floats', 'SET qhnsw.rescore = off', @$scan, @$memory), '<=', $bound, 'and no more memory than that');
		foreach my $what (sort keys %order)
		{
			cmp_ok(held($what, '', @$scan, @$memory), '<=', $bound, 'and no more memory than that');
		}
	}
}

# Where memory ends the search of a graph before it has enough, the scan goes on as a pass over all codes.
foreach my $what (sort keys %order)
{
	held($what, '', 'id % 1000 = 7', 10, 64, 1);
}

$node->stop;
done_testing();
