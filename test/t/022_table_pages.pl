# Pages of the table that the index pins for whoever fetches the row: they are counted and pruned as if the fetch had
# looked them up.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('table_pages', 'shared_buffers = 64MB');

# One row a page, and room for one more version of it.
load_vectors($node, 'source', 500, 64, 1);
$node->safe_psql('postgres', q{
	CREATE TABLE t (id int, b bitvec(64), note int, filler text) WITH (fillfactor = 50);
	ALTER TABLE t ALTER filler SET STORAGE PLAIN;
	INSERT INTO t SELECT id, binary_quantize(v), 0, repeat('x', 3900) FROM source;
	CREATE INDEX t_b ON t USING qhnsw (b);
	VACUUM ANALYZE t;
	CREATE FUNCTION search(times int) RETURNS tid[] LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
	DECLARE found tid[];
	BEGIN
		FOR i IN 1 .. times LOOP
			found := ARRAY(SELECT ctid FROM t ORDER BY b <~> (SELECT binary_quantize(v) FROM source WHERE id = 7) LIMIT 10);
		END LOOP;
		RETURN found;
	END $$;
	CREATE FUNCTION block_of(tid) RETURNS int LANGUAGE sql AS 'SELECT ($1::text::point)[0]::int'});

# Ten searches in the session before: it knows where the pages are, and they are used as much as any.
is($node->safe_psql('postgres', q{
		SELECT cardinality(search(10));
		BEGIN;
		CREATE TEMP TABLE before AS SELECT pg_stat_get_xact_blocks_fetched('t'::regclass) AS fetched, pg_stat_get_xact_blocks_hit('t'::regclass) AS hit;
		SELECT cardinality(search(1));
		SELECT pg_stat_get_xact_blocks_fetched('t'::regclass) - fetched, pg_stat_get_xact_blocks_hit('t'::regclass) - hit FROM before;
		COMMIT}),
	"10\n10\n10|10", 'the page of each row is counted once, as found in shared buffers');

# A version that is not moved to another page finds the one before the last gone.
is($node->safe_psql('postgres', q{
		SELECT cardinality(search(10));
		UPDATE t SET note = 1;
		CREATE TEMP TABLE found AS SELECT unnest(search(1)) AS place;
		DO $$
		DECLARE
			old tid;
			new tid;
		BEGIN
			FOR old IN SELECT place FROM found LOOP
				UPDATE t SET note = 2 WHERE ctid = old RETURNING ctid INTO new;
				IF block_of(new) <> block_of(old) THEN
					RAISE EXCEPTION 'row % had to move to %', old, new;
				END IF;
			END LOOP;
		END $$;
		SELECT count(*) FROM t WHERE note = 2}),
	"10\n10", 'and pruned');

done_testing();
