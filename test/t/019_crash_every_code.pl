# A crash in the middle of inserts and in the middle of a vacuum, with an index of every operator class, compression
# and finer code on the table: each is sound, complete and in exact order afterwards.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('crash_every_code');

# [ name, column, operator, function of its distance, operator class, parameters ]
my @indexes;
foreach my $class ([ 'cosine', '<=>', 'cosine_distance' ], [ 'l2', '<->', 'l2_distance' ], [ 'ip', '<#>', '-inner_product' ])
{
	my ($metric, @distance) = @$class;

	foreach my $refine ('none', 'int4', 'int8')
	{
		push @indexes, map { [ "r_${metric}_${_}_$refine", 'r', @distance, "real_${metric}_ops", ", compression = '$_', refine = '$refine'" ] }
		  '32x', '16x', '8x', '4x', '2x', '1x';
		push @indexes, [ "q_${metric}_$refine", 'q', @distance, "qvec8_${metric}_ops", ", refine = '$refine'" ];
	}
}
push @indexes, [ 'b_hamming', 'b', '<~>', 'hamming_distance', 'bitvec_hamming_ops', '' ], [ 'b_jaccard', 'b', '<%>', 'jaccard_distance', 'bitvec_jaccard_ops', '' ];

load_vectors($node, 'source', 1000, 48, 3);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id int, r real[], q qvec8, b bitvec(48));
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t SELECT id, v, quantize_int8(v), binary_quantize(v) FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 200)});
$node->safe_psql('postgres', join '', map { "CREATE INDEX $_->[0] ON t USING qhnsw ($_->[1] $_->[4]) WITH (m = 6, ef_construction = 16$_->[5]);\n" } @indexes);

# Is each index sound, and does a scan give distances that do not decrease and are the function's own?  Of the
# indexes of one operator class the planner takes the one that is valid.
sub all_exact
{
	my ($what) = @_;
	my ($script, @wrong) = ('');

	foreach my $index (@indexes)
	{
		my ($name, $column, $operator, $function) = @$index;
		my $query = "(SELECT $column FROM t WHERE id = 7)";

		$script .= qq{
			BEGIN;
			UPDATE pg_index SET indisvalid = (indexrelid = '$name'::regclass) WHERE indrelid = 't'::regclass;
			SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;
			CREATE TEMP TABLE found ON COMMIT DROP AS
			SELECT count(*) = 50 AND array_agg(d) = array_agg(d ORDER BY d) AND array_agg(d) = array_agg(own) AS exact
			FROM (SELECT $column $operator $query AS d, $function($column, $query) AS own FROM t ORDER BY $column $operator $query LIMIT 50) AS s;
			SELECT '$name', exact, (SELECT rows_returned >= 50 FROM qhnsw_last_scan()),
				(SELECT coalesce(string_agg(fault, ','), 'sound') FROM qhnsw_check('$name', true)) FROM found;
			ROLLBACK;};
	}
	my @found = split /\n/, $node->safe_psql('postgres', $script);
	@wrong = grep { !/\|t\|t\|sound$/ } @found;
	is(scalar @found, scalar @indexes, "$what: all were looked at");
	is("@wrong", '', "$what: " . @indexes . ' indexes are sound and in exact order');
	return;
}

sub crash
{
	my ($session) = @_;

	$node->stop('immediate');
	eval { $session->finish };
	$node->start;
	return;
}

all_exact('built');

# ---- while rows are inserted, each on its own

my $inserts = in_background($node, q{DO $$ BEGIN FOR i IN 201..1000 LOOP PERFORM add(i, i); COMMIT; END LOOP; END $$});
ok($node->poll_query_until('postgres', 'SELECT count(*) > 230 FROM t'), 'rows are being inserted');
crash($inserts);
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '<', 1000, 'crash in the middle of inserts');
all_exact('crash while inserting');

# ---- while dead rows are vacuumed out of the indexes

$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 3 = 0');
ok( kill_when($node, 'VACUUM (INDEX_CLEANUP on, PARALLEL 0) t',
		"EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes')"),
	'crash in the middle of a vacuum');
all_exact('crash while vacuuming');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on, PARALLEL 0) t');
$node->safe_psql('postgres', 'SELECT add(901, 960)');
all_exact('vacuumed, and inserted into again');

$node->stop;
done_testing();
