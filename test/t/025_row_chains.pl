# Very many rows of one code: a scan reads no more of them than are asked for, and neither loses one nor returns one
# twice while others add rows to the node, and vacuum takes dead ones out and gives their place to other nodes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('row_chains', 'max_connections = 20');
my $order = "ORDER BY b <~> '0000111100001111'::bitvec";

sub settings { return 'SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off; SET qhnsw.iterative_scan = relaxed_order;' }

# ---- LIMIT 1 of 200,000 equal values

$node->safe_psql('postgres', q{
	CREATE TABLE many AS SELECT i AS id, '0000111100001111'::bitvec AS b FROM generate_series(1, 200000) AS i;
	CREATE INDEX many_b ON many USING qhnsw (b);
	VACUUM ANALYZE many});
my $plan = $node->safe_psql('postgres', settings() . "EXPLAIN (ANALYZE, BUFFERS, TIMING off, SUMMARY off) SELECT id FROM many $order LIMIT 1");
my ($hit, $read) = $plan =~ /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/;
like($plan, qr/Index Scan using many_b/, 'the index is used');
cmp_ok(($hit // 0) + ($read // 0), '<', 100, 'LIMIT 1 reads a few pages');
is($node->safe_psql('postgres', settings() . "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM many $order) AS a"),
	'200000|200000', 'and without LIMIT all rows come, once');
is($node->safe_psql('postgres', settings() . "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM many $order OFFSET 100 LIMIT 1000) AS a"),
	'1000|1000', 'and with OFFSET as many as were asked for');

# ---- a cursor that stands still while the chain changes

# Rows of one code among which whole posting slots are dead; fetch so many, have them vacuumed and their slots given to
# other codes, and to new rows of this one; fetch the rest.
$node->safe_psql('postgres', q{
	CREATE FUNCTION take(c refcursor, n int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		row record;
	BEGIN
		FOR i IN 1 .. n LOOP
			FETCH c INTO row;
			EXIT WHEN NOT FOUND;
			INSERT INTO got VALUES (row.id);
		END LOOP;
	END $$});
sub cursor
{
	my ($logged, $fetched, $dead) = @_;
	my $what = ($logged || 'logged') . ", after $fetched rows, dead: $dead";

	$node->safe_psql('postgres', qq{
		DROP TABLE IF EXISTS t;
		CREATE $logged TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, b bitvec(16)) WITH (autovacuum_enabled = off);
		CREATE INDEX t_b ON t USING qhnsw (b);
		INSERT INTO t (b) SELECT '0000111100001111' FROM generate_series(1, 3000);
		INSERT INTO t (b) SELECT i::int::bit(16)::text::bitvec FROM generate_series(1, 20) AS i;
		DELETE FROM t WHERE id <= 3000 AND ($dead)});
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS visible; CREATE TABLE visible AS SELECT id FROM t');
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	$session->query_safe(settings());
	$session->query_safe("CREATE TEMP TABLE got (id bigint); BEGIN; DECLARE c CURSOR FOR SELECT id FROM t $order");
	$session->query_safe("SELECT take('c', $fetched)");
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
	$node->safe_psql('postgres', q{
		INSERT INTO t (b) SELECT i::int::bit(16)::text::bitvec FROM generate_series(1, 20) AS i, generate_series(1, 60);
		INSERT INTO t (b) SELECT '0000111100001111' FROM generate_series(1, 500)});
	$session->query_safe("SELECT take('c', 100)");
	$node->safe_psql('postgres', q{INSERT INTO t (b) SELECT '0000111100001111' FROM generate_series(1, 100)});
	$session->query_safe("SELECT take('c', 1000000)");
	is(answer($session, 'SELECT count(*), count(*) FILTER (WHERE v.id IS NULL), count(*) FILTER (WHERE g.n IS NULL), max(g.n)
			FROM visible AS v FULL JOIN (SELECT id, count(*) AS n FROM got GROUP BY id) AS g USING (id)'),
		$node->safe_psql('postgres', 'SELECT count(*), 0, 0, 1 FROM visible'), "$what: each row came once");
	$session->quit;
	sound($node, 't_b', $what);
	return;
}

foreach my $logged ('', 'UNLOGGED')
{
	cursor($logged, $_, '(id / 60) % 2 = 0') for (1, 330, 1000);
	cursor($logged, $_, 'id < 2990') for (1, 9);
	cursor($logged, 500, 'id % 20 <> 0');
	cursor($logged, 640, 'id BETWEEN 1500 AND 2900');
}

# ---- all at once

$node->safe_psql('postgres', q{
	DROP TABLE t;
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, b bitvec(16)) WITH (autovacuum_enabled = off);
	CREATE INDEX t_b ON t USING qhnsw (b);
	INSERT INTO t (b) SELECT '0000111100001111' FROM generate_series(1, 2000);
	INSERT INTO t (b) SELECT (i % 30)::int::bit(16)::text::bitvec FROM generate_series(1, 600) AS i;
	-- what the index returns, and what there is, by one snapshot
	CREATE FUNCTION look() RETURNS void LANGUAGE plpgsql SET enable_sort = off SET enable_bitmapscan = off SET qhnsw.iterative_scan = 'relaxed_order' AS $$
	DECLARE
		found bigint[];
		missing bigint[];
	BEGIN
		SET LOCAL enable_seqscan = off;
		SELECT array_agg(id) INTO found FROM (SELECT id FROM t ORDER BY b <~> '0000111100001111'::bitvec) AS a;
		SET LOCAL enable_seqscan = on;
		IF cardinality(found) <> (SELECT count(DISTINCT x) FROM unnest(found) AS x) THEN
			RAISE 'rows came twice';
		END IF;
		SELECT array_agg(id) INTO missing FROM t WHERE b = '0000111100001111' AND id <> ALL (found);
		IF missing IS NOT NULL THEN
			RAISE 'rows are missing: %', missing;
		END IF;
	END $$});
my $dir = $PostgreSQL::Test::Utils::tmp_check;
append_to_file("$dir/chain_look.sql", "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT look();\nCOMMIT;\n");
append_to_file("$dir/chain_add.sql", "\\set n random(1, 100)\nINSERT INTO t (b) SELECT '0000111100001111' FROM generate_series(1, :n);\nINSERT INTO t (b) SELECT (i % 30)::int::bit(16)::text::bitvec FROM generate_series(1, :n) AS i;\n");
append_to_file("$dir/chain_remove.sql", "\\set r random(0, 9)\nDELETE FROM t WHERE (id / 30) % 10 = :r AND (SELECT count(*) FROM t) > 2000;\n");
append_to_file("$dir/chain_vacuum.sql", "VACUUM (INDEX_CLEANUP on) t;\n");
$node->command_ok([ 'pgbench', '-n', '-c', '5', '-t', '40', '--max-tries=1',
		'-f', "$dir/chain_look.sql\@4", '-f', "$dir/chain_add.sql\@3", '-f', "$dir/chain_remove.sql\@2", '-f', "$dir/chain_vacuum.sql\@2",
		$node->connstr('postgres') ], 'scans, inserts, deletes and vacuums of one node');
sound($node, 't_b', 'afterwards');
server_survived($node, 'row chains');
done_testing();
