# qhnsw_requantize: rows that were coded before their population had centres get codes and links of today, beside searches and
# inserts, through a crash in its midst, on a standby, and with what must be refused.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('requantize', 'shared_buffers = 32MB', 'wal_consistency_checking = generic');

# Three populations, each tight and far from the others, in turns; all but the first few rows come from sessions that learn nothing.
load_vectors($node, 'source', 2000, 32, 1);
load_vectors($node, 'few', 20, 32, 2);
$node->safe_psql('postgres', q{
	CREATE FUNCTION shifted(v real[], by real) RETURNS real[] LANGUAGE sql IMMUTABLE AS 'SELECT array_agg(.2 * x + by ORDER BY i) FROM unnest(v) WITH ORDINALITY AS u(x, i)';
	CREATE TABLE queries AS SELECT id * 4 + n AS id, shifted(v, 10 * n) AS v FROM few, generate_series(0, 2) n;
	CREATE TABLE rows AS SELECT id * 4 + n AS id, shifted(v, 10 * n) AS v FROM source, generate_series(0, 2) n;
});

# A table whose index measures its rows from few centres: those that are built on, or learned, are of the first population.
sub make
{
	my ($table, $options) = @_;

	$node->safe_psql('postgres', qq{
		DROP TABLE IF EXISTS $table;
		CREATE TABLE $table (id int, v real[]);
		INSERT INTO $table SELECT * FROM rows WHERE id % 4 = 0 ORDER BY id;
		CREATE INDEX ${table}_v ON $table USING qhnsw (v real_l2_ops) WITH ($options)});
	for my $part (0 .. 79)
	{
		$node->safe_psql('postgres', "INSERT INTO $table SELECT * FROM rows WHERE id % 4 > 0 AND id / 4 % 80 = $part ORDER BY id");
	}
	return;
}

my $call = sub { return "SELECT rows_recoded, centres_added, spread_after < spread_before / 2 FROM qhnsw_requantize('$_[0]')" };
my $found = sub { return recall($node, $_[0], 'v', '<->', 'q.v', 'SET qhnsw.ef_search = 20; SET qhnsw.oversample = 1') };

make('t', 'm = 8');
exact_tenth($node, 't', 'v', '<->', 'q.v');
my $before = $found->('t');
my ($nrecoded, $ncentres, $nearer) = split /\|/, $node->safe_psql('postgres', $call->('t_v'));
my $after = $found->('t');
note "recall $before before, $after after; $nrecoded rows recoded, $ncentres centres added";
cmp_ok($nrecoded, '>', 1000, 'rows of later populations are recoded');
is($nearer, 't', 'rows lie nearer to their centres');
cmp_ok($after, '>=', $before, 'what is found is no less');
cmp_ok($after, '>', 0.97, 'and nearly all');
sound($node, 't_v', 'after all was recoded');
finds_all($node, 't', 'v', '<->', 'after all was recoded');
my $again = $node->safe_psql('postgres', q{SELECT rows_recoded FROM qhnsw_requantize('t_v')});
cmp_ok($again, '<', $nrecoded / 4, 'a second time finds little to do');
is($node->safe_psql('postgres', q{SELECT drift < .5 FROM qhnsw_info('t_v')}), 't', 'there is no drift any more');

# ---- a finer code beside the code is recoded with it

make('f', "m = 8, refine = 'int8'");
exact_tenth($node, 'f', 'v', '<->', 'q.v');
note 'recall with finer codes before: ' . $found->('f');
cmp_ok($node->safe_psql('postgres', q{SELECT rows_recoded FROM qhnsw_requantize('f_v')}), '>', 1000, 'rows with finer codes are recoded');
sound($node, 'f_v', 'with finer codes');
cmp_ok($found->('f'), '>', 0.94, 'with finer codes nearly all is found');

# ---- a scan under way, and rows that come and go beside it

make('c', 'm = 16');
my $session = $node->background_psql('postgres');
$session->query_safe(q{SET enable_seqscan = off; SET enable_sort = off; SET cursor_tuple_fraction = 1;
	BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR SELECT id FROM c ORDER BY v <-> (SELECT v FROM queries WHERE id = 6)});
my $all = answer($session, 'SELECT count(*) FROM c');
answer($session, 'CREATE TEMP TABLE got (id int); DO $$ DECLARE r record; c refcursor := \'c\'; BEGIN FOR i IN 1 .. 50 LOOP FETCH c INTO r; INSERT INTO got VALUES (r.id); END LOOP; END $$');
my $script = "$PostgreSQL::Test::Utils::tmp_check/beside.sql";
append_to_file($script, q{\set r random(1, 1999)
\set n random(0, 2)
BEGIN; DELETE FROM c WHERE id = 4 * :r + :n; INSERT INTO c SELECT * FROM rows WHERE id = 4 * :r + :n; COMMIT;
SET enable_seqscan = off;
SELECT 1 / (count(*) = 10)::int FROM (SELECT id FROM c ORDER BY v <-> (SELECT v FROM rows WHERE id = 4 * :r + :n) LIMIT 10) AS s;
});
my $beside = IPC::Run::start([ 'pgbench', '-n', '-c', '3', '-T', '8', '-f', $script, '-d', $node->connstr('postgres') ], '<', \undef, '>', \my $out, '2>', \my $err);
$node->safe_psql('postgres', q{SELECT qhnsw_requantize('c_v') FROM generate_series(1, 2)});
ok($beside->finish, 'rows are read, deleted and inserted beside it') or diag $err;
answer($session, 'DO $$ DECLARE r record; c refcursor := \'c\'; BEGIN LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; INSERT INTO got VALUES (r.id); END LOOP; END $$');
is(answer($session, 'SELECT count(*), count(DISTINCT id) FROM got'), "$all|$all", 'a scan that was under way finds every row once');
$session->quit;
sound($node, 'c_v', 'with inserts beside');
$node->safe_psql('postgres', 'VACUUM c');
sound($node, 'c_v', 'after vacuum');
# what writers did beside it differs from run to run
finds_all($node, 'c', 'v', '<->', 'after vacuum', 0.97);

# ---- VACUUM waits for it, and it for VACUUM; writers do not

$session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT qhnsw_requantize('c_v')});
is(sql_state($node, q{SET lock_timeout = '200ms'; INSERT INTO c SELECT * FROM rows LIMIT 1; DELETE FROM c WHERE id = 8}), '00000', 'rows are written while its locks are held');
is(sql_state($node, q{SET lock_timeout = '200ms'; SELECT qhnsw_requantize('c_v')}), '55P03', 'another one waits');
$session->query_safe('ROLLBACK');
$session->quit;

# ---- a crash and a cancel in its midst

my $midst = q{EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE '%%%s%%' AND tuples_done > 256)};
foreach my $phase ('recoding rows', 'linking recoded rows')
{
	make('k', 'm = 16');
	ok(kill_when($node, q{SELECT qhnsw_requantize('k_v')}, sprintf($midst, $phase), q{DELETE FROM k WHERE id < 0}), "killed while $phase");
	sound($node, 'k_v', "killed while $phase");
	exact_tenth($node, 'k', 'v', '<->', 'q.v');
	cmp_ok(recall($node, 'k', 'v', '<->', 'q.v', 'SET qhnsw.flat = on'), '>', 0.98, "killed while $phase: codes tell the nearest rows");
	cmp_ok($found->('k'), '>', 0.9, "killed while $phase: and the graph leads to them");
	make('k', 'm = 16');
	ok(cancel_when($node, q{SELECT qhnsw_requantize('k_v')}, sprintf($midst, $phase), q{DELETE FROM k WHERE id < 0}), "cancelled while $phase");
	sound($node, 'k_v', "cancelled while $phase");
}

# ---- a standby, with a session that knew the index before

make('s', 'm = 8');
exact_tenth($node, 's', 'v', '<->', 'q.v');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $nearest = q{SELECT string_agg(id::text, ' ') FROM (SELECT id FROM s ORDER BY v <-> (SELECT v FROM queries WHERE id = 6) LIMIT 10) AS x};
my $reader = $standby->background_psql('postgres');
$reader->query_safe('SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = on');
my $answer = answer($reader, $nearest);
$node->safe_psql('postgres', q{SELECT qhnsw_requantize('s_v')});
$node->wait_for_catchup($standby);
is(answer($reader, $nearest), $answer, 'a session of the standby finds the same rows by their new codes');
is($standby->safe_psql('postgres', q{SELECT * FROM qhnsw_check('s_v', true) LIMIT 5}), '', 'the index is sound on the standby');
is(sql_state($standby, q{SELECT qhnsw_requantize('s_v')}), '25006', 'nothing is recoded on a standby');
$reader->quit;
$standby->stop;

# ---- VACUUM advises it

$node->safe_psql('postgres', q{CREATE TABLE d (v real[]); INSERT INTO d SELECT v FROM source; CREATE INDEX d_v ON d USING qhnsw (v real_l2_ops)});
my $verbose = sub { my ($status, $stdout, $stderr) = $node->psql('postgres', 'VACUUM (VERBOSE) d'); return $stderr };
unlike($verbose->(), qr/times as far/, 'VACUUM advises nothing for an index as it was built');
# single rows, all of them far off in all directions: one in 64 is noted
$node->safe_psql('postgres', q{INSERT INTO d SELECT ARRAY(SELECT (100 * (random() - .5))::real FROM generate_series(1, 32) WHERE i > 0) FROM generate_series(1, 8000) i});
like($verbose->(), qr/index "d_v": inserted rows lie \d+\.\d+ times as far from their centres.*\n.*qhnsw_requantize/, 'but where rows lie far out');
$node->safe_psql('postgres', q{SELECT qhnsw_requantize('d_v')});
unlike($verbose->(), qr/times as far/, 'and nothing after it was done');

# ---- what is refused, and what there is nothing to do for

$node->safe_psql('postgres', q{
	CREATE ROLE other; CREATE INDEX b_i ON rows USING btree (id);
	CREATE TABLE bits (b bitvec(8)); CREATE INDEX bits_i ON bits USING qhnsw (b);
	CREATE TABLE none (v real[]); CREATE INDEX none_v ON none USING qhnsw (v);
	CREATE TABLE plane (v real[]); CREATE INDEX plane_v ON plane USING qhnsw (v); INSERT INTO plane SELECT ARRAY[i, 1] FROM generate_series(1, 100) i});
is(sql_state($node, q{SET ROLE other; SELECT qhnsw_requantize('s_v')}), '42501', 'only the owner may');
is(sql_state($node, q{SELECT qhnsw_requantize('b_i')}), '42809', 'an index of another kind is refused');
is(sql_state($node, q{BEGIN READ ONLY; SELECT qhnsw_requantize('s_v')}), '25006', 'a read-only transaction is refused');
is($node->safe_psql('postgres', "SELECT qhnsw_requantize('$_')"), '(0,0,0,0,0)', "$_: there is nothing to do") for 'bits_i', 'none_v', 'plane_v';

done_testing();
