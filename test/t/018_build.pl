# Builds in shards: with little memory, with workers, cancelled, and after a worker died.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('build', 'log_min_messages = warning', 'max_parallel_workers = 4', 'max_worker_processes = 8');
my $alone = 'SET max_parallel_maintenance_workers = 0;';
my $little = "$alone SET maintenance_work_mem = '1MB';";
my $workers = 'SET max_parallel_maintenance_workers = 2;';
my $temp_files = q{SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false)};

load_vectors($node, 'source', 12000, 32, 9);
$node->safe_psql('postgres', q{
	ALTER TABLE source SET (parallel_workers = 2);
	CREATE TABLE codes (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO codes SELECT id, binary_quantize(v || v) FROM source;
	-- one code in sixteen has five hundred rows
	CREATE TABLE few (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO few SELECT c.id, c.b FROM codes AS c;
	INSERT INTO few SELECT c.id, c.b FROM codes AS c, generate_series(1, 500) WHERE c.id <= 40;
	CREATE TABLE same (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO same SELECT i, (SELECT b FROM codes LIMIT 1) FROM generate_series(1, 30000) AS i;
	CREATE TABLE sorted (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO sorted SELECT id, b FROM codes ORDER BY b});

# ---- the same rows, whatever the way

sub built
{
	my ($settings, $table, $column, $what, $options) = @_;
	my $recall;

	$node->safe_psql('postgres', "$settings DROP INDEX IF EXISTS ${table}_i; CREATE INDEX ${table}_i ON $table USING qhnsw ($column) " . ($options // ''));
	sound($node, "${table}_i", "$table, $what");
	is($node->safe_psql('postgres', "SELECT rows - (SELECT count(*) FROM $table), nodes = (SELECT count(DISTINCT $column) FROM $table) OR '$column' = 'v' FROM qhnsw_info('${table}_i')"),
		'0|t', "$table, $what: all rows, one node a code");
	$recall = $node->safe_psql('postgres', "SET qhnsw.ef_search = 100; SELECT qhnsw_recall('${table}_i', 10, 100)");
	return $recall;
}

foreach my $case ([ 'source', 'v' ], [ 'source', 'v', q{WITH (refine = 'int8', m = 5)} ], [ 'source', 'v', 'WITH (hub_fraction = 0.02)' ], [ 'codes', 'b' ], [ 'few', 'b' ], [ 'sorted', 'b' ], [ 'same', 'b' ])
{
	my ($table, $column, $options) = @$case;
	my $whole = built("$alone SET maintenance_work_mem = '1GB';", $table, $column, 'in memory', $options);

	cmp_ok(built($little, $table, $column, 'in little memory', $options), '>=', $whole - 0.01, "$table: as good in little memory");
	cmp_ok(built($workers, $table, $column, 'with workers', $options), '>=', $whole - 0.01, "$table: as good with workers");
}

# ---- what the comparisons above rest on

$node->safe_psql('postgres', 'DROP TABLE IF EXISTS drawn; CREATE TABLE drawn (recall float)');
$node->safe_psql('postgres', q{SET qhnsw.ef_search = 20; INSERT INTO drawn SELECT qhnsw_recall('source_i', 10, 100); SELECT sum(id) FROM (SELECT id FROM source LIMIT 7000) AS s}) for 1 .. 5;
is($node->safe_psql('postgres', 'SELECT count(DISTINCT recall) FROM drawn'), 1, 'the same rows are drawn each time, though scans are synchronized');

# ---- a sample that sees little of most rows: they stand close together on few pages

$node->safe_psql('postgres', q{
	CREATE TABLE skewed (id int, pad text, b bitvec(64)) WITH (parallel_workers = 2, autovacuum_enabled = off);
	ALTER TABLE skewed ALTER pad SET STORAGE PLAIN;
	INSERT INTO skewed SELECT id, repeat('x', 8060), b FROM codes;
	INSERT INTO skewed SELECT i, '', int8send(hashint8extended(i, 2) & 1048575)::bitvec(64) FROM generate_series(1, 24000) AS i});
my $said = -s $node->logfile;
my $whole = built("$alone SET maintenance_work_mem = '1GB';", 'skewed', 'b', 'in memory');
cmp_ok(built("SET log_min_messages = debug1; $little", 'skewed', 'b', 'in little memory'), '>=', $whole - 0.01, 'skewed: as good in little memory');
like(slurp_file($node->logfile, $said), qr/a shard of qhnsw index "skewed_i" is divided again/, 'a shard that comes out too large is divided again');

# ---- row pointers of one code go to a file as they come

# Kilobytes by which a session grows while it builds an index of n rows, all of one code, in little memory.
sub growth
{
	my ($n) = @_;
	my $size = q{SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]};
	my $out = $node->safe_psql('postgres', "DROP TABLE IF EXISTS repeated; CREATE TABLE repeated AS SELECT i, (SELECT b FROM codes LIMIT 1) FROM generate_series(1, $n) AS i;
		$little SELECT count(*) FROM repeated; $size; CREATE INDEX repeated_i ON repeated USING qhnsw (b); $size");
	my (undef, $before, $after) = split /\n/, $out;

	return $after - $before;
}

SKIP:
{
	skip 'no /proc/self/status', 2 unless -r '/proc/self/status';
	my $few = growth(20000);

	cmp_ok(growth(400000), '<=', $few + 1024, 'twenty times the rows of one code take no more memory');
	sound($node, 'repeated_i', 'many rows of one code');
}

# ---- there were workers

my $plan = $node->safe_psql('postgres', "SET client_min_messages = debug1; $workers SET log_min_messages = debug1; REINDEX INDEX source_i");
like(slurp_file($node->logfile), qr/qhnsw index "source_i" is built with 2 parallel workers/, 'workers were used');
$node->safe_psql('postgres', "$workers ALTER TABLE source RESET (parallel_workers); REINDEX INDEX source_i; ALTER TABLE source SET (parallel_workers = 2)");
sound($node, 'source_i', 'a small table by itself');

# ---- empty and tiny tables, which workers have nothing to do in

foreach my $n (0, 1, 2, 50)
{
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS tiny; CREATE TABLE tiny (id int, b bitvec(64)) WITH (parallel_workers = 2);
		INSERT INTO tiny SELECT id, b FROM codes WHERE id <= $n; $workers CREATE INDEX tiny_i ON tiny USING qhnsw (b)");
	sound($node, 'tiny_i', "$n rows");
	is($node->safe_psql('postgres', "SELECT rows FROM qhnsw_info('tiny_i')"), $n, "$n rows are indexed");
}

# ---- concurrently, partial, on an expression

$node->safe_psql('postgres', "$workers CREATE INDEX CONCURRENTLY codes_c ON codes USING qhnsw (b)");
sound($node, 'codes_c', 'concurrently with workers');
$node->safe_psql('postgres', "$workers REINDEX INDEX CONCURRENTLY codes_c");
sound($node, 'codes_c', 'anew concurrently with workers');
$node->safe_psql('postgres', "$workers CREATE INDEX codes_p ON codes USING qhnsw ((~b)) WHERE id % 2 = 0");
sound($node, 'codes_p', 'partial, on an expression, with workers');
is($node->safe_psql('postgres', "SELECT rows FROM qhnsw_info('codes_p')"), 6000, 'and has the rows of its predicate');

# ---- unlogged

$node->safe_psql('postgres', "CREATE UNLOGGED TABLE unlogged (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO unlogged SELECT id, b FROM codes; $workers CREATE INDEX unlogged_i ON unlogged USING qhnsw (b)");
sound($node, 'unlogged_i', 'unlogged with workers');

# ---- errors in the midst

is(sql_state($node, "$workers INSERT INTO source VALUES (0, '{1,2}'); CREATE INDEX source_e ON source USING qhnsw (v)"), '22000', 'an error is the same with workers');
is($node->safe_psql('postgres', "DELETE FROM source WHERE id = 0; $temp_files"), 0, 'and leaves no temporary file');

$node->safe_psql('postgres', 'CREATE TABLE large (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO large SELECT c.id, c.b # int8send((c.id + i::bigint * 7919) * 104729)::bitvec(64) FROM codes AS c, generate_series(1, 10) AS i');
foreach my $settings ($little, $workers)
{
	foreach my $phase ('encoding', 'dividing', 'between', 'linking shards')
	{
		ok( cancel_when($node, "$settings CREATE INDEX large_i ON large USING qhnsw (b)",
				"EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%$phase%')"),
			"a build was cancelled at $phase");
		is($node->safe_psql('postgres', $temp_files), 0, 'no temporary file is left');
		is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'large_i'"), 0, 'no index is left');
	}
}
# enough pages to be met while they are written: the finer code of a node has one to itself
$node->safe_psql('postgres', q{CREATE FUNCTION stretched(v real[]) RETURNS real[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
	$$BEGIN FOR i IN 1 .. 7 LOOP v := v || v; END LOOP; RETURN v; END$$});
my $wide = q{CREATE INDEX wide_i ON source USING qhnsw ((stretched(v)) real_cosine_ops) WITH (refine = 'int8')};
foreach my $settings ($little, $workers)
{
	ok( cancel_when($node, "$settings $wide", q{EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%writing%' AND tuples_done > 0)}),
		'a build was cancelled while pages were written');
	is($node->safe_psql('postgres', $temp_files), 0, 'no temporary file is left');
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'wide_i'"), 0, 'no index is left');
}
foreach my $case ([ 'between', 'large_i', "$workers CREATE INDEX large_i ON large USING qhnsw (b)" ], [ 'writing', 'wide_i', "$workers $wide" ])
{
	my ($phase, $index, $statement) = @$case;

	ok( strike_when($node, $statement,
			"EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%$phase%')",
			"PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker'"),
		"a build fails whose workers are terminated at $phase");
	is($node->safe_psql('postgres', $temp_files), 0, 'no temporary file is left');
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = '$index'"), 0, 'no index is left');
}
foreach my $settings ($little, $workers)
{
	$node->safe_psql('postgres', "DROP INDEX IF EXISTS wide_i; $settings $wide");
	sound($node, 'wide_i', "a page to each finer code, $settings");
	is($node->safe_psql('postgres', q{SELECT rows, pg_relation_size('wide_i') > rows * 8192 FROM qhnsw_info('wide_i')}), '12000|t', 'and all rows are there');
}
$node->safe_psql('postgres', "$workers CREATE INDEX large_i ON large USING qhnsw (b)");
sound($node, 'large_i', 'and built at last');

# ---- a crash after a build whose pages several processes logged

$node->stop('immediate');
$node->start;
sound($node, $_, 'after a crash') foreach ('large_i', 'wide_i', 'unlogged_i');
is($node->safe_psql('postgres', q{SELECT count(*) FROM unlogged}), 0, 'what is not logged is empty');

# ---- a crash after a build that was not logged row by row

$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0");
$node->restart;
$node->safe_psql('postgres', "BEGIN; CREATE TABLE minimal (id int, b bitvec(64)) WITH (parallel_workers = 2);
	INSERT INTO minimal SELECT id, b FROM codes; $workers CREATE INDEX minimal_i ON minimal USING qhnsw (b); COMMIT");
$node->stop('immediate');
$node->start;
sound($node, 'minimal_i', 'after a crash under wal_level = minimal');
sound($node, 'source_i', 'and what was built before');

# ---- no shared memory to be had

SKIP:
{
	skip 'nothing is refused to root', 5 if $> == 0;
	my $segments = $node->data_dir . '/pg_dynshmem';

	$node->append_conf('postgresql.conf', 'dynamic_shared_memory_type = mmap');
	$node->restart;
	$node->safe_psql('postgres', 'DROP INDEX codes_c');
	chmod 0500, $segments;
	my ($status, $out, $err) = $node->psql('postgres', "$workers CREATE INDEX codes_c ON codes USING qhnsw (b)");
	like($err, qr/could not open shared memory segment.*\nHINT:  Set max_parallel_maintenance_workers to 0 to build without parallel workers\./,
		'without shared memory a build fails, and says what helps');
	is($node->safe_psql('postgres', $temp_files), 0, 'no temporary file is left');
	$node->safe_psql('postgres', "$alone CREATE INDEX codes_c ON codes USING qhnsw (b)");
	sound($node, 'codes_c', 'without shared memory, alone');
	chmod 0700, $segments;
	$node->safe_psql('postgres', "DROP INDEX codes_c; $workers CREATE INDEX codes_c ON codes USING qhnsw (b)");
	sound($node, 'codes_c', 'with shared memory again');
	is($node->safe_psql('postgres', $temp_files), 0, 'no temporary file is left');
}
$node->stop;
done_testing();
