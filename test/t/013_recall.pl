# Recall of the three kinds of columns after build, after inserts, and after
# delete and vacuum, through the graph, with exact search as reference; a row as
# near as the tenth counts whichever it is.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('recall', 'shared_buffers = 128MB', 'maintenance_work_mem = 128MB');

load_vectors($node, 'source', 10000, 128, 6);
load_vectors($node, 'queries', 100, 128, 7);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id int, v real[], b bitvec(128), q qvec8(128));
	ALTER TABLE t ALTER v SET STORAGE main;
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t SELECT id, v, binary_quantize(v), quantize_int8(v) FROM source WHERE id BETWEEN from_id AND to_id'});

my @kinds = (
	[ 'b', '<~>', 'bitvec_hamming_ops', 'binary_quantize(q.v)' ],
	[ 'q', '<->', 'qvec8_l2_ops', 'quantize_int8(q.v)' ],
	[ 'v', '<=>', 'real_cosine_ops', 'q.v' ]);

# One bit a dimension at 128 dimensions leaves the tenth nearest row beyond the candidates
# looked at now and then, which is no matter of the graph: so the graph is also held
# to a pass over all codes, and to more candidates.  Floors are below what
# the generator's fixed data gives by a third of what is missed there, or more.
my %settings = (
	default => 'SET qhnsw.ef_search = 80',
	wide => 'SET qhnsw.ef_search = 80; SET qhnsw.oversample = 12');
my %floor = (
	b => { default => 0.99, wide => 0.99 },
	q => { default => 0.80, wide => 0.97 },
	v => { default => 0.80, wide => 0.97 });

sub recall_holds
{
	my ($phase) = @_;

	foreach my $kind (@kinds)
	{
		my ($column, $op, undef, $query) = @$kind;
		my $single = $query =~ s/q\.v/(SELECT v FROM queries WHERE id = 1)/r;

		exact_tenth($node, 't', $column, $op, $query);
		foreach my $width (sort keys %settings)
		{
			my $recall = recall($node, 't', $column, $op, $query, $settings{$width});

			note("$phase, $width: recall of $column is $recall");
			cmp_ok($recall, '>=', $floor{$column}{$width}, "after $phase: recall of $column, $width");
			next if $width ne 'default';

			my $flat = recall($node, 't', $column, $op, $query, "$settings{$width}; SET qhnsw.flat = on");
			cmp_ok($recall, '>=', $flat - 0.015, "after $phase: $column loses little to a pass over all codes");
		}
		ok(uses_graph($node, "SELECT id FROM t ORDER BY $column $op $single LIMIT 10", $settings{default}),
			"after $phase: $column is searched by its graph");
		is($node->safe_psql('postgres', "SELECT * FROM qhnsw_check('t_$column') LIMIT 5"), '', "after $phase: t_$column is sound");
	}
	return;
}

sub create_indexes
{
	$node->safe_psql('postgres', join ';', map { "CREATE INDEX t_$_->[0] ON t USING qhnsw ($_->[0] $_->[2])" } @kinds);
	return;
}

$node->safe_psql('postgres', 'SELECT add(1, 10000); ANALYZE t');
create_indexes();
recall_holds('build');

$node->safe_psql('postgres', 'TRUNCATE t; DROP INDEX t_b, t_q, t_v; SELECT add(1, 5000)');
create_indexes();
$node->safe_psql('postgres', 'SELECT add(5001, 10000); ANALYZE t');
recall_holds('insert');

$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 5 IN (1, 3)');
$node->safe_psql('postgres', 'VACUUM ANALYZE t');
recall_holds('vacuum');

# k rows for a LIMIT of k, past ef_search too, and under a filter
foreach my $kind (@kinds)
{
	my ($column, $op, undef, $query) = @$kind;
	my $single = $query =~ s/q\.v/(SELECT v FROM queries WHERE id = 2)/r;

	is( $node->safe_psql('postgres', qq{
			SET enable_seqscan = off; SET enable_sort = off;
			SELECT count(DISTINCT id), bool_and(d >= before) FROM (
				SELECT id, d, coalesce(lag(d) OVER (ORDER BY n), d) AS before FROM (
					SELECT id, d, row_number() OVER () AS n FROM (
						SELECT id, $column $op $single AS d FROM t ORDER BY $column $op $single LIMIT 500) AS a) AS b) AS c}),
		'500|t', "LIMIT 500 gives 500 rows in order by $column");
	is( $node->safe_psql('postgres', qq{
			SET enable_seqscan = off; SET enable_sort = off;
			SELECT count(DISTINCT id), min(id % 40), max(id % 40) FROM (
				SELECT id FROM t WHERE id % 40 = 2 ORDER BY $column $op $single LIMIT 50) AS a}),
		'50|2|2', "and LIMIT 50 fifty under a filter");
}
server_survived($node, 'recall');
$node->stop;
done_testing();
