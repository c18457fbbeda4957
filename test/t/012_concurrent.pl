# Inserts, deletes, scans and vacuums at the same time: no errors, no wrong
# rows, no row twice, and a sound index afterwards.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('concurrent', 'max_connections = 40');
my %column = (v => '<=>', l => '<=>', b => '<~>', q => '<->');

load_vectors($node, 'source', 4000, 64, 5);

# Each row names the source row it was made from, so a scan can tell a wrong row
# from its distance; "deleted" rows are never to be seen again by later snapshots.
$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source_id int, v real[], l real[], b bitvec(64), q qvec8(64));
	CREATE INDEX t_l ON t USING qhnsw (l) WITH (m = 8, hub_fraction = 0.05, m_low = 5);
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE INDEX t_b ON t USING qhnsw (b);
	CREATE INDEX t_q ON t USING qhnsw (q qvec8_l2_ops);
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (source_id, v, l, b, q) SELECT id, v, v, binary_quantize(v), quantize_int8(v) FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 1500);
	CREATE FUNCTION look(of_id int, wanted int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		query real[] := (SELECT v FROM source WHERE id = of_id);
		q8 qvec8 := quantize_int8(query);
		bits bitvec := binary_quantize(query);
		seen bigint[] := '{}';
		last double precision := -1;
		r record;
		kind int := of_id % 4;
	BEGIN
		FOR r IN EXECUTE CASE kind
			WHEN 0 THEN 'SELECT id, source_id, t.v <=> $1 AS d, t.v AS v FROM t ORDER BY t.v <=> $1 LIMIT $4'
			WHEN 1 THEN 'SELECT id, source_id, t.b <~> $2 AS d, t.v AS v FROM t ORDER BY t.b <~> $2 LIMIT $4'
			WHEN 2 THEN 'SELECT id, source_id, t.l <=> $1 AS d, t.v AS v FROM t ORDER BY t.l <=> $1 LIMIT $4'
			ELSE 'SELECT id, source_id, t.q <-> $3 AS d, t.v AS v FROM t ORDER BY t.q <-> $3 LIMIT $4' END
			USING query, bits, q8, wanted
		LOOP
			IF r.id = ANY (seen) THEN
				RAISE EXCEPTION 'row % came twice', r.id;
			END IF;
			IF r.d < last THEN
				RAISE EXCEPTION 'row % at % comes after one at %', r.id, r.d, last;
			END IF;
			IF r.v <> (SELECT v FROM source WHERE id = r.source_id) OR
				r.d <> (CASE kind WHEN 1 THEN binary_quantize(r.v) <~> bits WHEN 3 THEN quantize_int8(r.v) <-> q8 ELSE r.v <=> query END) THEN
				RAISE EXCEPTION 'row % is not what was inserted', r.id;
			END IF;
			seen := seen || r.id;
			last := r.d;
		END LOOP;
		IF cardinality(seen) < wanted THEN
			RAISE EXCEPTION 'only % of % rows', cardinality(seen), wanted;
		END IF;
	END $$});

my $dir = $PostgreSQL::Test::Utils::tmp_check;
append_to_file("$dir/look.sql", q{\set r random(1, 4000)
\set n random(1, 30)
SET enable_seqscan = off;
SET enable_sort = off;
SET qhnsw.ef_search = 20;
SELECT look(:r, :n);
});
append_to_file("$dir/add.sql", q{\set r random(1, 3997)
\set fail random(1, 5)
BEGIN;
SELECT add(:r, :r + 2);
\if :fail = 1
ROLLBACK;
\else
COMMIT;
\endif
});
append_to_file("$dir/remove.sql", q{\set r random(1, 1000)
DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id % 1000 BETWEEN :r AND :r + 2 ORDER BY id LIMIT 5)
	AND (SELECT count(*) FROM t) > 500;
});
append_to_file("$dir/vacuum.sql", "VACUUM (INDEX_CLEANUP on) t;\n");

sub bench
{
	my ($seconds, $clients, @scripts) = @_;
	my ($out, $err) = ('', '');
	my $handle = IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-T', $seconds,
			'--max-tries=1', (map { ('-f', "$dir/$_") } @scripts), '-d', $node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>', \$err);
	return { handle => $handle, out => \$out, err => \$err };
}

my $vacuum = bench(9, 1, 'vacuum.sql');
my $work = bench(9, 6, 'look.sql@4', 'add.sql@4', 'remove.sql@3');
foreach ($vacuum, $work)
{
	$_->{handle}->finish;
	unlike(${ $_->{err} }, qr/ERROR|aborted/, 'no error, no wrong row') or diag(${ $_->{err} });
	like(${ $_->{out} }, qr/number of transactions actually processed: [1-9]/, 'and there was work');
}
foreach my $column (sort keys %column)
{
	sound($node, "t_$column", 'after concurrent work');
	finds_all($node, 't', $column, $column{$column}, 'after concurrent work');
}

# all rows gone, space reused, all again
my $blocks = $node->safe_psql('postgres', "SELECT blocks FROM qhnsw_info('t_v')");
$node->safe_psql('postgres', 'DELETE FROM t');
$node->safe_psql('postgres', 'VACUUM t');
foreach my $column (sort keys %column)
{
	is($node->safe_psql('postgres', "SELECT nodes, rows, links, entry_points, dying_slots, reserved_slots, posting_slots FROM qhnsw_info('t_$column')"),
		'0|0|0|0|0|0|0', "nothing is left in t_$column");
}
my @adders = map { in_background($node, 'SELECT add(' . (1 + 100 * $_) . ', ' . (100 + 100 * $_) . ')') } 0 .. 7;
$_->finish for @adders;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '800', 'eight backends fill the empty index at once');
foreach my $column (sort keys %column)
{
	sound($node, "t_$column", 'filled again by eight');
	finds_all($node, 't', $column, $column{$column}, 'filled again by eight');
}
cmp_ok($node->safe_psql('postgres', "SELECT blocks FROM qhnsw_info('t_v')"), '<=', $blocks, 'free slots were reused');

# many rows of one code, by many: one node, all rows
$node->safe_psql('postgres', 'TRUNCATE t');
@adders = map { in_background($node, 'SELECT add(7, 7) FROM generate_series(1, 100)') } 0 .. 7;
$_->finish for @adders;
sound($node, "t_$_", 'one code, eight hundred rows') for sort keys %column;
is( $node->safe_psql('postgres', q{
		SET enable_seqscan = off;
		SELECT count(DISTINCT id) FROM (SELECT id FROM t ORDER BY b <~> (SELECT b FROM t LIMIT 1) LIMIT 1000) AS a}),
	'800', 'all of them are found');

server_survived($node, 'concurrent work');
$node->stop;
done_testing();
