# The entry points changed and reading them again fails: the backend that knew the old ones says so, each time, and
# finds rows as soon as the pages can be read.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

use constant { PAGE => 8192, SPECIAL => 8184, CODE => 6 };

# 128 buffers, so that no code page of the index stays in them
my $node = new_node('entry_points', 'shared_buffers = 1MB');

load_vectors($node, 'source', 6000, 64, 1);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v real[]);
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (v) SELECT v FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 4000);
	CREATE INDEX t_v ON t USING qhnsw (v);
	-- how a statement ends: the rows it found, or its error
	CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
	DECLARE
		n text;
	BEGIN
		EXECUTE statement INTO n;
		RETURN n;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END $$;
	CREATE TABLE filler (id int PRIMARY KEY, t text);
	ALTER TABLE filler ALTER t SET STORAGE PLAIN;
	INSERT INTO filler SELECT i, repeat('x', 7000) FROM generate_series(1, 1500) AS i;
	VACUUM ANALYZE;
	CHECKPOINT});
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('t_v')");

# Push the index out of shared buffers: by a scan that uses no ring, so often that no usage count outlives it.
sub evict
{
	$node->safe_psql('postgres', q{
		CHECKPOINT; SET enable_seqscan = off; SET enable_bitmapscan = off;
		SELECT count(t) FROM filler WHERE id > 0;
		SELECT count(t) FROM filler WHERE id > 0});
	return;
}

# Give all code pages a header that no page has, or what they had before.  Returns how many those are.
my %header;
sub damage
{
	my ($repair) = @_;
	my $n = 0;

	open my $file, '+<:raw', $path or die;
	for (my $at = 0; $at < -s $path; $at += PAGE)
	{
		sysseek $file, $at, 0;
		sysread $file, my $page, PAGE;
		next if unpack('v', substr($page, SPECIAL + 4, 2)) != CODE;
		$header{$at} //= substr $page, 12, 6;
		sysseek $file, $at + 12, 0;
		syswrite $file, $repair ? $header{$at} : "\xFF" x 6;
		$n++;
	}
	close $file;
	return $n;
}

my $search = q{SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> (SELECT v FROM source WHERE id = 7) LIMIT 10) AS found};
my $insert = q{INSERT INTO t (v) SELECT v FROM source WHERE id = 7 RETURNING 'done'};
my $old = $node->background_psql('postgres', on_error_stop => 1);
sub try { return answer($old, "SELECT try(\$\$$_[0]\$\$)") }

foreach my $what ('added', 'dropped')
{
	is(try($search), 10, 'rows are found');
	if ($what eq 'added')
	{
		$node->safe_psql('postgres', 'SELECT add(4001, 6000)');
	}
	else
	{
		$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 4 <> 0');
		$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
	}
	evict();
	cmp_ok(damage(0), '>', 20, "entry points were $what, and the code pages are damaged");
	is(try($search), 'XX001', "entry points were $what: a search that cannot read them says so (try $_)") for 1 .. 3;
	is(try($insert), 'XX001', 'an insert too');
	damage(1);
	is(try($search), 10, 'rows are found when the pages can be read');
	is(try($insert), 'done', 'an insert finds its neighbours');
	is(try($search), 10, 'and rows are found after that');
	sound($node, 't_v', "entry points were $what");
	evict();
}
$old->quit;
server_survived($node, 'entry points');
done_testing();
