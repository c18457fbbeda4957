# A streaming standby answers as the primary does, while it replays and after it
# is promoted.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $primary = new_node('primary', 'hot_standby_feedback = off');

load_vectors($primary, 'source', 4000, 64, 3);
load_vectors($primary, 'queries', 40, 64, 4);
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 60s\n");
$standby->start;

my %column = (v => '<=>', b => '<~>', q => '<->');
my %cast = (v => 'q.v', b => 'binary_quantize(q.v)', q => 'quantize_int8(q.v)');

sub answers
{
	my ($node, $column, $flat) = @_;
	my ($op, $query) = ($column{$column}, $cast{$column});

	# ids too where distances cannot tie
	my $id = $column eq 'b' ? 'NULL' : 't.id';
	return $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = $flat;
		SELECT q.id, r.id, r.d FROM queries AS q,
			LATERAL (SELECT $id AS id, t.$column $op $query AS d FROM t ORDER BY t.$column $op $query LIMIT 20) AS r});
}

sub same_answers
{
	my ($what) = @_;

	$primary->wait_for_catchup($standby);
	foreach my $column (sort keys %column)
	{
		my $expected = answers($primary, $column, 'off');
		my $rows = () = $expected =~ /\n/g;

		cmp_ok($rows, '>=', 799, "$what: the primary returns 20 rows a query by $column");
		is(answers($standby, $column, 'off'), $expected, "$what: the standby returns the same by $column");
		is(answers($standby, $column, 'on'), answers($primary, $column, 'on'), "$what: and over all codes");
		is($standby->safe_psql('postgres', "SELECT * FROM qhnsw_check('t_$column', true) LIMIT 5"),
			'', "$what: t_$column is sound on the standby");
	}
	return;
}

$primary->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[], b bitvec(64), q qvec8(64));
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (v, b, q) SELECT v, binary_quantize(v), quantize_int8(v) FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 2000);
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE INDEX t_b ON t USING qhnsw (b);
	CREATE INDEX t_q ON t USING qhnsw (q qvec8_l2_ops)});
same_answers('after build');

# backends of the standby that know the index from before all that follows
my $old = $standby->background_psql('postgres', on_error_stop => 1);
$old->query_safe(q{SET enable_seqscan = off; SET qhnsw.ef_search = 20});
$old->query_safe(q{SELECT t.id FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = 7) LIMIT 5});

$primary->safe_psql('postgres', 'SELECT add(2001, 3000); SELECT add(1, 200)');
same_answers('after inserts');

# queries run on the standby while deletes, vacuum and inserts into freed slots replay
my $script = "$PostgreSQL::Test::Utils::tmp_check/standby.sql";
append_to_file($script, q{\set r random(1, 4000)
SET enable_seqscan = off;
SET qhnsw.ef_search = 20;
SELECT CASE WHEN count(*) <> 10 OR count(DISTINCT id) <> 10 OR bool_or(d < before) THEN 1 / (count(*) - count(*)) END FROM (
	SELECT id, d, lag(d) OVER (ORDER BY n) AS before FROM (
		SELECT id, d, row_number() OVER () AS n FROM (
			SELECT t.id, v <=> (SELECT v FROM source WHERE id = :r) AS d FROM t
			ORDER BY v <=> (SELECT v FROM source WHERE id = :r) LIMIT 10) AS a) AS b) AS c;
});
my ($out, $err) = ('', '');
my $bench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '2', '-T', '6', '-f', $script, '-d', $standby->connstr('postgres') ],
	'<', \undef, '>', \$out, '2>', \$err);
foreach my $round (0 .. 2)
{
	$primary->safe_psql('postgres', "DELETE FROM t WHERE id % 3 = $round AND id < 2500");
	$primary->safe_psql('postgres', 'VACUUM t');
	$primary->safe_psql('postgres', 'SELECT add(3001 - ' . 500 * $round . ', 3600 - ' . 500 * $round . ')');
	select undef, undef, undef, 0.5;
}
$bench->finish;
like($out, qr/number of transactions actually processed: [1-9]/, 'queries ran on the standby during replay');
unlike($err, qr/ERROR|division by zero|aborted/, 'each returned ten rows, once, in order');
same_answers('after deletes, vacuum and inserts');

like($old->query_safe(q{SELECT count(*) FROM (SELECT t.id FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = 7) LIMIT 5) AS a}),
	qr/5/, 'a backend from before all this finds rows');
$old->quit;

# ---- promotion

my %before = map { $_ => answers($primary, $_, 'off') } keys %column;
$primary->stop('immediate');
$standby->promote;
foreach my $column (sort keys %column)
{
	is(answers($standby, $column, 'off'), $before{$column}, "promoted: the same answers by $column");
}
$standby->safe_psql('postgres', 'SELECT add(1, 700); DELETE FROM t WHERE id % 5 = 0');
$standby->safe_psql('postgres', 'VACUUM t');
$standby->safe_psql('postgres', 'SELECT add(3000, 3500)');
foreach my $column (sort keys %column)
{
	sound($standby, "t_$column", 'promoted, written to and vacuumed');
	finds_all($standby, 't', $column, $column{$column}, 'promoted, written to and vacuumed');
}
server_survived($standby, 'standby');
$standby->stop;
done_testing();
