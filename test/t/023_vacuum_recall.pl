# What a vacuum leaves of an index most of whose rows were deleted finds as much as one built anew, at few links a node, too.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $nqueries = 100;
my $node = new_node('vacuum_recall');

load_vectors($node, 'source', 20_000 + $nqueries, 64, 7);

# How many of the ten nearest rows of each query the index finds, ties counted fairly.  A search that looks at all codes would
# tell nothing of the graph.
sub share_found
{
	my ($table, $op, $query) = @_;

	return $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.ef_search = 20; SET qhnsw.flat = off;
		CREATE TEMP TABLE found AS SELECT s.id AS query, f.d
			FROM source AS s, LATERAL (SELECT e $op $query AS d FROM $table ORDER BY e $op $query LIMIT 10) AS f WHERE s.id > 20000;
		SET enable_seqscan = on; SET enable_sort = on; SET enable_indexscan = off;
		CREATE TEMP TABLE nearest AS SELECT s.id AS query, f.d
			FROM source AS s, LATERAL (SELECT max(d) AS d FROM (SELECT e $op $query AS d FROM $table ORDER BY 1 LIMIT 10) AS n) AS f WHERE s.id > 20000;
		SELECT round(count(*) / ($nqueries * 10.0), 3) FROM found JOIN nearest USING (query) WHERE found.d <= nearest.d});
}

my %columns = (
	'real[], 64-d' => [ '<=>', 's.v' ],
	'bitvec(52)' => [ '<~>', 'binary_quantize(s.v[1:52])' ]);

foreach my $m (4, 8)
{
	foreach my $kind (sort keys %columns)
	{
		my ($op, $query) = @{ $columns{$kind} };
		my $select = $query =~ s/s\.//r;
		my ($vacuumed, $built);

		$node->safe_psql('postgres', qq{
			DROP TABLE IF EXISTS t;
			CREATE TABLE t AS SELECT id, $select AS e FROM source WHERE id <= 20000;
			CREATE INDEX t_e ON t USING qhnsw (e) WITH (m = $m);
			DELETE FROM t WHERE hashint4(id) % 5 <> 0;
			VACUUM t});
		$vacuumed = share_found('t', $op, $query);
		is($node->safe_psql('postgres', q{SELECT count(*) FROM qhnsw_check('t_e')}), '0', "$kind, m = $m: sound after the vacuum");
		$node->safe_psql('postgres', 'REINDEX INDEX t_e');
		$built = share_found('t', $op, $query);
		cmp_ok($vacuumed, '>=', $built - 0.01, "$kind, m = $m: recall $vacuumed after a vacuum, $built after REINDEX");
	}
}
done_testing();
