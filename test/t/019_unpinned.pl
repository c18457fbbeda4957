# Codes and links read without pins: the same answers as with them, while pages are evicted all the
# time and while slots are freed and given to other rows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

# 128 buffers: a fraction of the indexes, let alone the table
my $node = new_node('unpinned', 'shared_buffers = 1MB', 'max_connections = 20');

load_vectors($node, 'source', 9000, 64, 1);
load_vectors($node, 'queries', 40, 64, 2);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source_id int, v real[], b bitvec(64));
	CREATE FUNCTION add(from_id int, to_id int) RETURNS void LANGUAGE sql AS
		'INSERT INTO t (source_id, v, b) SELECT id, v, binary_quantize(v) FROM source WHERE id BETWEEN from_id AND to_id';
	SELECT add(1, 6000);
	CREATE INDEX t_v ON t USING qhnsw (v) WITH (refine = 'int8');
	CREATE INDEX t_b ON t USING qhnsw (b);
	VACUUM ANALYZE t;
	-- ten rows by each index, compared with all rows of the same snapshot in exact order
	CREATE FUNCTION look(of_id int) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
	DECLARE
		query real[] := (SELECT v FROM source WHERE id = of_id);
		bits bitvec := binary_quantize(query);
		found bigint[];
		distances float8[];
		farthest float8;
	BEGIN
		FOR kind IN 0 .. 1 LOOP
			IF kind = 0 THEN
				SELECT array_agg(s.id), array_agg(s.d) INTO found, distances
					FROM (SELECT id, v <=> query AS d FROM t ORDER BY v <=> query LIMIT 10) AS s;
				SELECT max(d) INTO farthest FROM (SELECT v <=> query AS d FROM t ORDER BY (v <=> query) + 0 LIMIT 10) AS s;
			ELSE
				SELECT array_agg(s.id), array_agg(s.d) INTO found, distances
					FROM (SELECT id, b <~> bits AS d FROM t ORDER BY b <~> bits LIMIT 10) AS s;
				SELECT max(d) INTO farthest FROM (SELECT b <~> bits AS d FROM t ORDER BY (b <~> bits) + 0 LIMIT 10) AS s;
			END IF;
			IF cardinality(found) <> 10 OR (SELECT count(DISTINCT x) FROM unnest(found) AS x) <> 10 THEN
				RAISE EXCEPTION 'not ten rows: %', found;
			END IF;
			IF distances <> (SELECT array_agg(d ORDER BY d) FROM unnest(distances) AS d) THEN
				RAISE EXCEPTION 'out of order: %', distances;
			END IF;
			IF (SELECT count(*) FROM unnest(distances) AS d WHERE d <= farthest) < 5 THEN
				RAISE EXCEPTION 'ten rows are within %, found were %', farthest, distances;
			END IF;
			IF (SELECT count(*) FROM t JOIN source ON source.id = t.source_id
				WHERE t.id = ANY (found) AND t.v = source.v AND t.b = binary_quantize(source.v)) <> 10 THEN
				RAISE EXCEPTION 'not the rows that were inserted: %', found;
			END IF;
		END LOOP;
	END $$});

my %search = (
	v => 'SELECT id FROM t ORDER BY v <=> queries.v LIMIT 10',
	codes => 'SELECT id FROM t ORDER BY v <=> queries.v LIMIT 10',
	b => 'SELECT id FROM t ORDER BY b <~> binary_quantize(queries.v) LIMIT 10',
	flat => 'SELECT id FROM t ORDER BY b <~> binary_quantize(queries.v) LIMIT 10');

# Rows found for each query, twice over; codes scored, pages pinned and nodes expanded by the last search.
sub answers
{
	my ($kind, $optimistic) = @_;
	my $rescore = $kind eq 'codes' ? 'off' : 'on';
	my $flat = $kind eq 'flat' ? 'on' : 'off';
	my $ask = "SELECT queries.id, array_agg(found.id) AS ids FROM queries, LATERAL ($search{$kind}) AS found GROUP BY queries.id";
	my $out = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.rescore = $rescore; SET qhnsw.flat = $flat;
		LOAD 'qvec'; SET qhnsw.optimistic_read = $optimistic;
		DO \$\$ BEGIN FOR i IN 1 .. 5 LOOP PERFORM count(*) FROM ($ask) AS s; END LOOP; END \$\$;
		CREATE TEMP TABLE answer AS $ask;
		SELECT codes_scored, pages_pinned, nodes_expanded FROM qhnsw_last_scan();
		SELECT id, ids FROM answer ORDER BY id});
	my ($counts, $found) = split /\n/, $out, 2;

	return ($found, split /\|/, $counts);
}

sub same_answers
{
	my ($buffers) = @_;

	foreach my $kind (sort keys %search)
	{
		my ($with, $scored_with, $pinned_with) = answers($kind, 'off');
		my ($without, $scored_without, $pinned_without, $expanded) = answers($kind, 'on');

		is($without, $with, "$buffers of buffers, $kind: the rows are those that pins find");
		is($scored_without, $scored_with, "$buffers of buffers, $kind: and as many codes were scored");
		next if $buffers eq '1MB';
		# the codes of a pass lie on few pages, and rows are pinned besides
		cmp_ok($pinned_without, '<', $pinned_with * ($kind eq 'flat' ? .8 : .5), "$buffers of buffers, $kind: most codes were read without a pin");
		# only the row pages, of which there are eight at most, are pinned: for no code, no list of links, no row, and no entry point
		cmp_ok($pinned_without, '<=', 8, "$buffers of buffers, $kind: links were read without pins, and row pointers a page at a time") if $kind eq 'codes';
	}
	return;
}

same_answers('1MB');

my $dir = $PostgreSQL::Test::Utils::tmp_check;
append_to_file("$dir/unpinned_look.sql", "\\set r random(1, 9000)\nBEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT look(:r);\nCOMMIT;\n");
append_to_file("$dir/unpinned_add.sql", "\\set r random(1, 8990)\nSELECT add(:r, :r + 9);\n");
append_to_file("$dir/unpinned_remove.sql", "\\set r random(0, 499)\nDELETE FROM t WHERE id % 500 = :r AND (SELECT count(*) FROM t) > 4000;\n");
append_to_file("$dir/unpinned_vacuum.sql", "VACUUM (INDEX_CLEANUP on) t;\n");

# nobody tries again, so any error fails
sub stress
{
	my ($buffers) = @_;

	$node->command_ok([ 'pgbench', '-n', '-c', '6', '-t', '60', '--max-tries=1',
			'-f', "$dir/unpinned_look.sql\@6", '-f', "$dir/unpinned_add.sql\@3", '-f', "$dir/unpinned_remove.sql\@3", '-f', "$dir/unpinned_vacuum.sql\@1",
			'-d', $node->connstr('postgres') ], "searches, inserts, deletes and vacuums in $buffers of buffers");
	sound($node, $_, "afterwards in $buffers of buffers") for ('t_v', 't_b');
	return;
}

stress('1MB');

$node->append_conf('postgresql.conf', "shared_buffers = 64MB\n");
$node->restart;
same_answers('64MB');

# and now links are changed while they are read where they lie
stress('64MB');

# Pages whose changes are not logged do not say that they were changed: their links are read under locks.
$node->safe_psql('postgres', 'ALTER TABLE t SET UNLOGGED; VACUUM ANALYZE t');
my ($found, $scored, $pinned, $expanded) = answers('codes', 'on');
is($found, (answers('codes', 'off'))[0], 'unlogged: the rows are those that pins find');
cmp_ok($pinned, '>=', $expanded, 'unlogged: every list of links was read under a pin');

# What lies in a backend's own memory is read as ever.
is($node->safe_psql('postgres', q{
		CREATE TEMP TABLE own AS SELECT id, v FROM t;
		CREATE INDEX own_v ON own USING qhnsw (v);
		SET enable_sort = off; SET enable_seqscan = off; SET qhnsw.ef_search = 20;
		CREATE TEMP TABLE mine AS SELECT queries.id, count(found.id) AS n FROM queries, LATERAL
			(SELECT id FROM own ORDER BY v <=> queries.v LIMIT 10) AS found GROUP BY queries.id;
		SELECT min(n), max(n), count(*) FROM mine}),
	'10|10|40', 'a temporary index');

done_testing();
