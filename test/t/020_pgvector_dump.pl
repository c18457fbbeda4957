# Dump and restore of indexes on pgvector's types: the copy has the same
# definitions, and its indexes are built, sound and used.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('pgvector');

plan skip_all => 'pgvector 0.7 or later is not installed'
  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'vector' AND string_to_array(default_version, '.')::int[] >= '{0,7}'}) eq '0';

# Schemas that are not in the search path, in which a dump is restored.
$node->safe_psql('postgres', q{
	CREATE SCHEMA pgv;
	CREATE SCHEMA bridge;
	CREATE EXTENSION vector SCHEMA pgv;
	CREATE EXTENSION qvec_pgvector SCHEMA bridge;
	CREATE TABLE items (id int PRIMARY KEY, v pgv.vector(16), h pgv.halfvec(16));
	INSERT INTO items SELECT i, a, a FROM (SELECT i, array_agg(sin(i * j)::real ORDER BY j) AS a
		FROM generate_series(1, 3000) AS i, generate_series(1, 16) AS j GROUP BY i) AS s;
	CREATE INDEX v_l2 ON items USING qhnsw (v bridge.vector_l2_ops) WITH (m = 8, ef_construction = 40);
	CREATE INDEX h_cosine ON items USING qhnsw (h);
	CREATE INDEX of_cast ON items USING qhnsw ((v::pgv.halfvec(16)) bridge.halfvec_ip_ops) WHERE id > 100});

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
my $again = PostgreSQL::Test::Utils::tempdir() . '/again.sql';

$node->command_ok([ 'pg_dump', '--file', $dump, $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'restored');
$node->command_ok([ 'pg_dump', '--file', $again, $node->connstr('restored') ], 'dumped again');

# newer versions put a random key into each dump
my ($first, $second) = map { join('', grep { !/^\\(un)?restrict / } split(/^/m, slurp_file($_))) } ($dump, $again);
is($second, $first, 'both dumps say the same');

foreach my $index (qw(v_l2 h_cosine of_cast))
{
	is($node->safe_psql('restored', "SELECT * FROM qhnsw_check('$index', true)"), '', "$index is sound");
	is($node->safe_psql('restored', "SELECT pg_get_indexdef('$index'::regclass)"),
		$node->safe_psql('postgres', "SELECT pg_get_indexdef('$index'::regclass)"), "$index is defined as it was");
}

my $query = q{SELECT id FROM items ORDER BY v OPERATOR(pgv.<->) (SELECT v FROM items WHERE id = 77) LIMIT 5};
my $set = 'SET enable_seqscan = off; SET enable_sort = off;';
like($node->safe_psql('restored', "$set EXPLAIN $query"), qr/Index Scan using v_l2/, 'the index is used');
is($node->safe_psql('restored', "$set $query"), $node->safe_psql('postgres', "$set $query"), 'and finds the same rows');

$node->stop;
done_testing();
