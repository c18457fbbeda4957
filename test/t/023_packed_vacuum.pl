# Vacuum in a loop beside two writers, where links are packed: what vacuum read may be out of date when it is to be written, and a list that
# loses a link may take more room than before; neither is a fault, and nothing fails.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

use constant { WRITERS => 2, ROUNDS => 60 };

my $node = new_node('packed_vacuum', 'shared_buffers = 32MB', 'synchronous_commit = off');

$node->safe_psql('postgres', q{
	CREATE FUNCTION at_random(seed int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
		$$SELECT array_agg((hashint8(seed % 40 * 100 + j) / 2147483648.0 + hashint8(seed * 100::bigint + j) / 6442450944.0)::real ORDER BY j) FROM generate_series(1, 24) AS j$$;
	CREATE TABLE t (id int, v real[], q qvec8);
	INSERT INTO t SELECT i, at_random(i), at_random(i)::qvec8 FROM generate_series(1, 2000) AS i;
	CREATE INDEX t_q ON t USING qhnsw (q qvec8_l2_ops) WITH (m = 8, ef_construction = 24, refine = 'int4', hub_fraction = 0.05);
	CREATE INDEX t_v ON t USING qhnsw (v real_l2_ops) WITH (m = 6, ef_construction = 24, m_low = 5, hub_fraction = 0.01)});

# each takes out a fifth of its rows, in stretches, and puts as many in
my @writers = map { in_background($node, sprintf q{
	DO $$BEGIN
		FOR i IN 1 .. %d LOOP
			DELETE FROM t WHERE id %% %d = %d AND (id / 30 + i) %% 5 = 0;
			COMMIT;
			INSERT INTO t SELECT j, at_random(j), at_random(j)::qvec8 FROM generate_series(1, 2000) AS j WHERE j %% %d = %d AND (j / 30 + i) %% 5 = 0;
			COMMIT;
		END LOOP;
	END$$}, ROUNDS, WRITERS, $_, WRITERS, $_) } 0 .. WRITERS - 1;

my $nfailed = 0;
my $nvacuums = 0;
for (; $nvacuums < 1000 && grep({ $_->pumpable } @writers); $nvacuums++)
{
	$nfailed++ if sql_state($node, 'VACUUM (INDEX_CLEANUP on, PARALLEL 0) t') ne '00000';
	$_->pump_nb foreach grep { $_->pumpable } @writers;
}
ok($_->finish, 'a writer came to its end') foreach @writers;
is($nfailed, 0, 'no vacuum failed');
cmp_ok($nvacuums, '>', 0, 'and there were some');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
sound($node, $_, 'after all') foreach 't_q', 't_v';
server_survived($node, 'vacuum beside writers');

done_testing();
