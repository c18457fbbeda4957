# What vacuums leave of an index most of whose rows were deleted, at once or little by little, finds as much as one built anew, at few links a node, too.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $nqueries = 100;
my $node = new_node('vacuum_recall');

load_vectors($node, 'source', 20_000 + $nqueries, 64, 7);
# and rows without clusters, and in clusters of 100 that are far from each other
$node->safe_psql('postgres', q{
	SELECT setseed(.5);
	CREATE TABLE centres AS SELECT c, ARRAY(SELECT random() - .5 FROM generate_series(1, 64) WHERE c >= 0) AS v FROM generate_series(0, 199) AS c;
	CREATE TABLE spread AS SELECT id, source.v, ARRAY(SELECT random() - .5 FROM generate_series(1, 12) WHERE id > 0)::real[] AS u,
			ARRAY(SELECT x + (random() - .5) * .05 FROM unnest(centres.v) AS x)::real[] AS w
		FROM source JOIN centres ON c = id % 200 ORDER BY id;
	DROP TABLE source;
	ALTER TABLE spread RENAME TO source});

my @efs = (10, 20);

# How many of the ten nearest rows of each query the index finds at each ef, ties counted fairly.  A search that looks at all codes would
# tell nothing of the graph.
sub shares_found
{
	my ($op, $query) = @_;
	my $searches = join '', map { qq{
		SET qhnsw.ef_search = $_;
		INSERT INTO found SELECT $_, s.id, f.d
			FROM source AS s, LATERAL (SELECT e $op $query AS d FROM t ORDER BY e $op $query LIMIT 10) AS f WHERE s.id > 20000;} } @efs;

	return split /\n/, $node->safe_psql('postgres', qq{
		CREATE TEMP TABLE found (ef int, query int, d float8);
		SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = off; $searches
		SET enable_seqscan = on; SET enable_sort = on; SET enable_indexscan = off;
		CREATE TEMP TABLE nearest AS SELECT s.id AS query, f.d
			FROM source AS s, LATERAL (SELECT max(d) AS d FROM (SELECT e $op $query AS d FROM t ORDER BY 1 LIMIT 10) AS n) AS f WHERE s.id > 20000;
		SELECT round(count(*) / ($nqueries * 10.0), 3) FROM found JOIN nearest USING (query) WHERE found.d <= nearest.d GROUP BY ef ORDER BY ef});
}

# What is deleted before each vacuum: a fifth of the rows, at random, over and over leaves a fifth, too.
my $at_once = ['hashint4(id) % 5 <> 0'];
my $seven_times = [ map { "hashint4(id + $_) % 5 = 0" } (1 .. 7) ];

my %columns = (
	'real[], 64-d, 80% at once' => [ '<=>', 's.v', $at_once ],
	'bitvec(52), 80% at once' => [ '<~>', 'binary_quantize(s.v[1:52])', $at_once ],
	'uniform, 12-d, 20% seven times' => [ '<=>', 's.u', $seven_times ],
	'tight clusters, 64-d, 20% seven times' => [ '<=>', 's.w', $seven_times ]);

foreach my $m (4, 8)
{
	foreach my $kind (sort keys %columns)
	{
		my ($op, $query, $deletes) = @{ $columns{$kind} };
		my $select = $query =~ s/s\.//r;
		my (@vacuumed, @built);

		$node->safe_psql('postgres', qq{
			DROP TABLE IF EXISTS t;
			CREATE TABLE t AS SELECT id, $select AS e FROM source WHERE id <= 20000;
			CREATE INDEX t_e ON t USING qhnsw (e) WITH (m = $m)});
		$node->safe_psql('postgres', "DELETE FROM t WHERE $_;\nVACUUM t") foreach @$deletes;
		@vacuumed = shares_found($op, $query);
		is($node->safe_psql('postgres', q{SELECT count(*) FROM qhnsw_check('t_e')}), '0', "$kind, m = $m: sound after the vacuum");
		$node->safe_psql('postgres', 'REINDEX INDEX t_e');
		@built = shares_found($op, $query);
		cmp_ok($vacuumed[$_], '>=', $built[$_] - 0.01, "$kind, m = $m, ef $efs[$_]: recall $vacuumed[$_] after vacuum, $built[$_] after REINDEX")
			foreach (0 .. $#efs);
	}
}
done_testing();
