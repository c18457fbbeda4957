# Inserts link by the values that their session knows: groups that sign codes do not tell apart, filled in one
# transaction and in several, and from sessions that know few values.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('known_values', 'shared_buffers = 64MB', 'maintenance_work_mem = 32MB');

# Rows of 100 groups, one coordinate each, and a little noise.
$node->safe_psql('postgres', q{
	CREATE FUNCTION gauss() RETURNS float8 LANGUAGE sql VOLATILE AS 'SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())';
	SELECT setseed(.5);
	CREATE TABLE source (id int, v real[]);
	INSERT INTO source SELECT i, (SELECT array_agg((.001 * gauss() + (d = 1 + i * 7919 % 100)::int)::real ORDER BY d) FROM generate_series(1, 100) d WHERE i = i)
		FROM generate_series(1, 5100) i;
	CREATE TABLE queries AS SELECT * FROM source WHERE id > 5000;
	CREATE FUNCTION nearest(q real[], exact bool) RETURNS int[] LANGUAGE plpgsql AS $$ DECLARE found int[]; BEGIN
		PERFORM set_config('enable_indexscan', (NOT exact)::text, true), set_config('enable_seqscan', exact::text, true), set_config('enable_sort', exact::text, true);
		SELECT array_agg(id) INTO found FROM (SELECT id FROM t ORDER BY v <-> q LIMIT 10) s;
		RETURN found; END $$;
	CREATE FUNCTION share() RETURNS numeric LANGUAGE sql AS
		'SELECT avg((SELECT count(*) FROM unnest(nearest(v, true)) u WHERE u = ANY (nearest(v, false)))) / 10 FROM queries';
});

# Fill a new table with statements; returns the number of links and the share of the nearest rows that is found.
sub fill
{
	my (@statements) = @_;

	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS t; CREATE TABLE t (id int, v real[]); CREATE INDEX t_v ON t USING qhnsw (v real_l2_ops) WITH (dims = 100)');
	$node->safe_psql('postgres', join ";\n", @statements);
	sound($node, 't_v', 'after it was filled');
	return split /\|/, $node->safe_psql('postgres', q{SET qhnsw.ef_search = 40; SELECT links, (SELECT share() FROM qhnsw_info('t_v') LIMIT 1) FROM qhnsw_info('t_v')});
}

my $insert = 'INSERT INTO t SELECT * FROM source WHERE id <= 5000';

# By sign codes alone it is 78,000 links.
my ($links, $share) = fill("$insert ORDER BY id");
note "one transaction: $links links, $share found";
cmp_ok($links, '<', 66000, 'lists are pruned by true distances');
cmp_ok($share, '>', 0.99, 'and nearest rows are found');

($links, $share) = fill(map { "$insert AND id % 10 = $_ ORDER BY id" } 0 .. 9);
note "ten transactions: $links links, $share found";
cmp_ok($links, '<', 66000, 'values are known from one transaction to the next');

# Rings of one table do not serve another, and are given back where they are larger than work_mem.
$node->safe_psql('postgres', q{SET work_mem = '64kB'; SET maintenance_work_mem = '1MB';
	CREATE TABLE u (id int, v real[]); CREATE INDEX u_v ON u USING qhnsw (v real_cosine_ops) WITH (dims = 100);
	INSERT INTO u SELECT * FROM source WHERE id <= 1000; INSERT INTO t SELECT * FROM source WHERE id <= 500;
	INSERT INTO u SELECT * FROM source WHERE id <= 1000; DELETE FROM u WHERE id < 500; VACUUM u;
	INSERT INTO u SELECT * FROM source WHERE id < 500});
sound($node, $_, 'two tables filled by turns') for 't_v', 'u_v';
cmp_ok($node->safe_psql('postgres', q{SET work_mem = '64kB'; BEGIN; INSERT INTO u SELECT * FROM source WHERE id BETWEEN 1001 AND 3000; COMMIT;
	SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name = 'qhnsw known values'}), '<=', 65536, 'no more than work_mem is kept after a transaction');
$node->stop;

done_testing();
