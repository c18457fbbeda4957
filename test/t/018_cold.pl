# Searches that must read pages answer as those that find them in shared buffers, whether
# the reads are begun ahead or not; and begun ahead they are only where they should be.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

# 128 buffers: a tenth of what the indexes take
my $node = new_node('cold', 'shared_buffers = 1MB');

load_vectors($node, 't', 6000, 64, 1);
load_vectors($node, 'queries', 30, 64, 2);
$node->safe_psql('postgres', q{
	ALTER TABLE t ADD b bitvec(64);
	UPDATE t SET b = binary_quantize(v);
	CREATE INDEX t_v ON t USING qhnsw (v) WITH (refine = 'int8');
	CREATE INDEX t_b ON t USING qhnsw (b);
	VACUUM ANALYZE t});

my %search = (
	v => 'SELECT id FROM t ORDER BY v <=> queries.v LIMIT 10',
	b => 'SELECT id FROM t ORDER BY b <~> binary_quantize(queries.v) LIMIT 10');

# Rows found for each query, and the reads that the last of these searches began ahead.
sub answers
{
	my ($column, $settings) = @_;
	my $out = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; $settings;
		CREATE TEMP TABLE answer AS
			SELECT queries.id, array_agg(found.id) AS ids FROM queries, LATERAL ($search{$column}) AS found GROUP BY queries.id;
		SELECT reads_ahead FROM qhnsw_last_scan();
		SELECT id, ids FROM answer ORDER BY id});
	my ($nahead, $found) = split /\n/, $out, 2;

	return ($nahead, $found);
}

foreach my $column (sort keys %search)
{
	foreach my $flat ('off', 'on')
	{
		my ($serial, $one_by_one) = answers($column, "SET qhnsw.flat = $flat; SET effective_io_concurrency = 0");
		my ($nahead, $ahead) = answers($column, "SET qhnsw.flat = $flat; SET effective_io_concurrency = 16");

		is($serial, 0, "$column, flat $flat: no read is begun ahead where effective_io_concurrency is 0");
		# the few pages of codes may have stayed
		cmp_ok($nahead, '>', 0, "$column: reads are begun ahead") if $flat eq 'off';
		is($ahead, $one_by_one, "$column, flat $flat: and the rows are the same");
	}
}

exact_tenth($node, 't', 'b', '<~>', 'binary_quantize(q.v)');
my $spared = recall($node, 't', 'b', '<~>', 'binary_quantize(q.v)', 'SET qhnsw.flat = off');
cmp_ok($spared, '>=', 0.95, "where pages are spared most of the nearest are found ($spared)");

$node->append_conf('postgresql.conf', "shared_buffers = 64MB\n");
$node->restart;
is( $node->safe_psql('postgres', q{
		SET enable_seqscan = off; SET qhnsw.flat = on; SET effective_io_concurrency = 16;
		CREATE TEMP TABLE first AS SELECT id FROM t ORDER BY b <~> (SELECT b FROM t AS other LIMIT 1) LIMIT 1;
		SELECT flat_passes, reads_ahead > 1 FROM qhnsw_last_scan()}),
	'1|t', 'the first pass over all codes after a start reads them ahead');
$node->restart;
is( $node->safe_psql('postgres', q{
		SET enable_seqscan = off; SET effective_io_concurrency = 16;
		CREATE TEMP TABLE read AS SELECT count(*) FROM qhnsw_check('t_b');
		CREATE TEMP TABLE first AS SELECT id FROM t ORDER BY b <~> (SELECT binary_quantize(v) FROM queries LIMIT 1) LIMIT 10;
		SELECT reads_ahead > 1 FROM qhnsw_last_scan()}),
	't', 'pages of the table are read ahead where the index is in shared buffers');
# how far a search goes depends on whether the index has room in shared buffers, and not on what is there
foreach my $column (sort keys %search)
{
	foreach my $flat ('off', 'on')
	{
		my $settings = "SET qhnsw.flat = $flat; SET effective_io_concurrency = 16";

		$node->restart;
		my (undef, $cold) = answers($column, $settings);
		my ($nahead, $warm) = answers($column, $settings);

		is($nahead, 0, "$column, flat $flat: no read is begun ahead where all is in shared buffers");
		is($warm, $cold, "$column, flat $flat: the rows are those of the cold search");
	}
}

is(recall($node, 't', 'b', '<~>', 'binary_quantize(q.v)', 'SET qhnsw.flat = on'),
	'1.0000', 'a pass over all codes of bits is exact');

done_testing();
