# Heap places that are used again: a row pointer from before a vacuum never leads
# to the row that came after it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('reuse');

load_vectors($node, 'source', 3000, 64, 8);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, source_id int, v real[], l real[], b bitvec(64), q qvec8(64));
	ALTER TABLE t ALTER v SET STORAGE plain;
	CREATE INDEX t_l ON t USING qhnsw (l) WITH (hub_fraction = 0.05, m_low = 8);
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE INDEX t_b ON t USING qhnsw (b);
	CREATE INDEX t_q ON t USING qhnsw (q);
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (source_id, v, l, b, q) SELECT id, v, v, binary_quantize(v), quantize_int8(v) FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 1000)});

my %column = (v => '<=>', l => '<=>', b => '<~>', q => '<=>');
my %cast = (v => 's.v', l => 's.v', b => 'binary_quantize(s.v)', q => 'quantize_int8(s.v)');

# Rows of an index scan, all of them, against rows of the table: each once, with its own distance.
# (In strict order, rows that the graph overlooked at first would be left out.)
sub scans_agree
{
	my ($what) = @_;

	foreach my $column (sort keys %column)
	{
		my ($op, $query) = ($column{$column}, $cast{$column} =~ s/s\.v/(SELECT v FROM source WHERE id = 11)/r);

		is( $node->safe_psql('postgres', qq{
				SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.iterative_scan = relaxed_order;
				CREATE TEMP TABLE scanned AS SELECT id, source_id, $column $op $query AS d FROM t ORDER BY $column $op $query;
				SET enable_seqscan = on; SET enable_indexscan = off;
				SELECT count(*), count(DISTINCT s.id), count(*) FILTER (WHERE t.source_id = s.source_id AND t.$column $op $query = s.d),
					(SELECT count(*) FROM t) FROM scanned AS s LEFT JOIN t USING (id)}),
			join('|', ($node->safe_psql('postgres', 'SELECT count(*) FROM t')) x 4),
			"$what: a scan by $column returns each row once, with its distance");
	}
	return;
}

scans_agree('at first');
foreach my $round (1 .. 4)
{
	my $from = 1 + 600 * $round;
	my $pages = $node->safe_psql('postgres', "SELECT pg_relation_size('t')");

	# a rolled-back insert leaves row pointers that nothing visible stands behind
	$node->safe_psql('postgres', "BEGIN; SELECT add($from, $from + 150); ROLLBACK");
	$node->safe_psql('postgres', "DELETE FROM t WHERE id % 2 = $round % 2");
	$node->safe_psql('postgres', 'VACUUM t');
	$node->safe_psql('postgres', "SELECT add($from, $from + 400)");
	scans_agree("round $round");
	sound($node, "t_$_", "round $round") for sort keys %column;
	cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('t')"), '<=', 1.4 * $pages, "round $round: the table's space was reused");

	# updates, some of them heap-only, move rows
	$node->safe_psql('postgres', 'UPDATE t SET source_id = source_id WHERE id % 3 = 0');
	$node->safe_psql('postgres', "UPDATE t SET v = s.v, l = s.v, b = binary_quantize(s.v), q = quantize_int8(s.v), source_id = s.id
		FROM source AS s WHERE t.id % 7 = 0 AND s.id = 1 + (t.source_id * 13) % 3000");
	scans_agree("round $round, updated");
	finds_all($node, 't', $_, $column{$_}, "round $round, updated") for sort keys %column;
}

# A scan that is under way when its rows are deleted goes on with its own snapshot, and
# what is inserted meanwhile is not in it.
my $reader = $node->background_psql('postgres', on_error_stop => 1);
my $query = 'FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = 20)';
my $expected = $node->safe_psql('postgres', "SET enable_indexscan = off; SELECT id $query LIMIT 200");
$reader->query_safe('SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.ef_search = 10; SET qhnsw.oversample = 100');
$reader->query_safe('BEGIN');
$reader->query_safe("DECLARE c CURSOR FOR SELECT id $query");
my $got = $reader->query_safe('FETCH 20 FROM c');
$node->safe_psql('postgres', 'DELETE FROM t');
$node->safe_psql('postgres', 'VACUUM t');
$node->safe_psql('postgres', 'SELECT add(1, 1500)');
$got .= "\n" . $reader->query_safe('FETCH 180 FROM c');
my %wanted = map { $_ => 1 } split /\n/, $expected;
my @ids = grep { /^\d+$/ } split /\n/, $got;
my %seen;
$seen{$_}++ for @ids;
is(scalar(@ids), 200, 'the cursor returns as many rows as it was asked for');
is(scalar(grep { $_ > 1 } values %seen), 0, 'none of them twice');
cmp_ok(scalar(grep { $wanted{$_} } @ids), '>=', 190, 'and they are those of its snapshot');
$reader->query_safe('COMMIT');
$reader->quit;
$node->safe_psql('postgres', 'VACUUM t');
scans_agree('at last');
sound($node, "t_$_", 'at last') for sort keys %column;
server_survived($node, 'reuse');
$node->stop;
done_testing();
