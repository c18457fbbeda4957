# What VACUUM reads of an index: nearly nothing where nothing died, and never so that others lose their pages.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

# The index is larger than all of them, another table an eighth.
my $node = new_node('vacuum_buffers', 'shared_buffers = 16MB');

$node->safe_psql('postgres', q{
	CREATE FUNCTION number(i int, j int) RETURNS real LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8(i * 1000::bigint + j) / 2147483648.0)::real';
	CREATE TABLE t AS SELECT i AS id, (SELECT u || u || u || u || u || u || u || u
			FROM (SELECT array_agg(number(i % 500, j) + 0.3::real * number(-i, j) ORDER BY j) AS u FROM generate_series(1, 32) AS j) AS part) AS v
		FROM generate_series(1, 16000) AS i;
	CREATE INDEX t_v ON t USING qhnsw (v) WITH (compression = '1x');
	CREATE TABLE wanted AS SELECT i AS id, repeat('x', 1900) AS t FROM generate_series(1, 1000) AS i;
	CREATE INDEX wanted_id ON wanted (id);
	VACUUM ANALYZE;
	CHECKPOINT});
cmp_ok($node->safe_psql('postgres', q{SELECT pg_relation_size('t_v') / 8192}), '>', 2048, 'the index is larger than shared buffers');

# Blocks of the index that a statement looks at, in its own counters, sent when its session ends.
sub blocks
{
	my ($sql) = @_;
	my $count = q{SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes WHERE indexrelname = 't_v'};
	my $before = $node->safe_psql('postgres', $count);

	$node->safe_psql('postgres', "$sql; SELECT pg_stat_force_next_flush()");
	return $node->safe_psql('postgres', $count) - $before;
}

cmp_ok(blocks('VACUUM t'), '<', 10, 'where nothing died VACUUM looks at a few blocks');
cmp_ok(blocks('VACUUM (FREEZE, INDEX_CLEANUP on) t'), '<', 10, 'also where it has to look at the whole table');
$node->safe_psql('postgres', q{INSERT INTO t (v) SELECT v FROM t LIMIT 10});
cmp_ok(blocks('VACUUM (INDEX_CLEANUP on) t'), '<', 10, 'also after inserts');

# Pages of a table that are read from disk, by a scan that uses no ring.
sub misses
{
	my $plan = $node->safe_psql('postgres', q{SET enable_seqscan = off; SET enable_bitmapscan = off;
		EXPLAIN (ANALYZE, BUFFERS, TIMING off, SUMMARY off) SELECT count(t) FROM wanted WHERE id > 0});
	my ($read) = $plan =~ /Buffers: shared(?: hit=\d+)?(?: read=(\d+))?/;

	like($plan, qr/Index Scan using wanted_id/, 'the table is read by its index');
	return $read // 0;
}

misses();
cmp_ok(misses(), '<', 10, 'a table is in shared buffers');
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 200 = 0');
misses();
cmp_ok(blocks('VACUUM (INDEX_CLEANUP on) t'), '>', 500, 'VACUUM reads the index where rows died');
cmp_ok(misses(), '<', 100, 'and leaves the other table where it was');
sound($node, 't_v', 'afterwards');
done_testing();
