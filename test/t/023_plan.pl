# What a scan learns from the plan: how many rows are wanted of it, and what its filter says of distances.
# It says so at DEBUG2.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $node = new_node('plan');

load_vectors($node, 't', 600, 16, 7);
$node->safe_psql('postgres', q{
	ALTER TABLE t ADD part int;
	UPDATE t SET part = id % 10;
	INSERT INTO t SELECT id + 1000, v, part FROM t WHERE id <= 100;
	CREATE INDEX t_v ON t USING qhnsw (v);
	CREATE TABLE u AS SELECT id, id % 7 AS x FROM t;
	CREATE TABLE many AS SELECT id FROM t, generate_series(1, 5);
	VACUUM ANALYZE;
	CREATE FUNCTION nearest() RETURNS SETOF int LANGUAGE sql AS 'SELECT id FROM t ORDER BY v <=> (SELECT v FROM t WHERE id = 17)';
	CREATE FUNCTION loops() RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		r record;
	BEGIN
		FOR r IN SELECT id FROM t ORDER BY v <=> (SELECT v FROM t WHERE id = 17) LOOP
			EXIT;
		END LOOP;
		RETURN r.id;
	END $$;
});
my $query = $node->safe_psql('postgres', 'SELECT v FROM t WHERE id = 17');
my $d = "(v <=> '$query')";

# What a session says, and what it returns.
sub said
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');

	$node->psql('postgres', "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
		  . "SET client_min_messages = debug2;\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 0);
	return ($err, $out);
}

sub wanted_is
{
	my ($what, $sql, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($err) = said($sql);
	my @got = $err =~ /DEBUG: +qhnsw plan: ((?:exactly|about) .*)/g;

	# a scan may ask more than once
	@got = map { $_ > 0 && $got[$_] eq $got[ $_ - 1 ] ? () : $got[$_] } 0 .. $#got;
	like(join('; ', @got), '/^' . join('; ', map { ref $_ ? $_ : quotemeta } @expected) . '$/', $what)
	  or diag($sql, "\n", grep { /ERROR/ } split /^/, $err);
}

# ---- how many rows

my $o = "ORDER BY $d";

wanted_is('LIMIT', "SELECT id FROM t $o LIMIT 10", 'exactly rows 10, fetch 0');
wanted_is('LIMIT and OFFSET', "SELECT id FROM t $o LIMIT 10 OFFSET 20", 'exactly rows 30, fetch 0');
wanted_is('LIMIT of a LIMIT', "SELECT id FROM (SELECT id FROM t $o LIMIT 100 OFFSET 5) s LIMIT 10", 'exactly rows 15, fetch 0');
wanted_is('WITH TIES', "SELECT id FROM t $o FETCH FIRST 10 ROWS WITH TIES", 'exactly rows 10 and ties, fetch 0');
wanted_is('all rows', "SELECT id FROM t $o", 'exactly rows 0 (all), fetch 0');
wanted_is('all rows after an OFFSET', "SELECT id FROM t $o OFFSET 690", 'exactly rows 0 (all), fetch 0');
wanted_is('aggregated', "SELECT count(*) FROM (SELECT id FROM t $o OFFSET 0) s", 'exactly rows 0 (all), fetch 0');
wanted_is('an array', "SELECT ARRAY(SELECT id FROM t $o LIMIT 15)", 'exactly rows 15, fetch 0');
wanted_is('a scalar', "SELECT (SELECT id FROM t $o LIMIT 1)", 'exactly rows 1, fetch 0');
wanted_is('inserted', "CREATE TEMP TABLE i(id int); INSERT INTO i SELECT id FROM t $o LIMIT 4", 'exactly rows 4, fetch 0');

wanted_is('outer side of a join', "SELECT t.id, x FROM t JOIN u USING (id) $o LIMIT 40", 'about rows 40, fetch 0');
wanted_is('a join that multiplies', "SELECT t.id FROM t JOIN many USING (id) $o LIMIT 40", 'about rows 40, fetch 0');
wanted_is('a join that drops', "SELECT t.id FROM t JOIN u ON u.id = t.id AND u.x = 3 $o LIMIT 10",
	qr/about rows [678]\d, fetch 0/);
wanted_is('outer join with at most one partner', "CREATE UNIQUE INDEX ON u(id); SELECT t.id, x FROM t LEFT JOIN u USING (id) $o LIMIT 40",
	'exactly rows 40, fetch 0');
wanted_is('filtered above', "SELECT id FROM (SELECT id, part FROM t $o OFFSET 0) s WHERE part < 5 LIMIT 10", 'about rows 20, fetch 0');

wanted_is('rank', "SELECT id, rank() OVER ($o) FROM t LIMIT 20", 'exactly rows 20, fetch 0');
wanted_is('sum over peers', "SELECT id, sum(id) OVER ($o) FROM t LIMIT 20", 'about rows 20 and ties, fetch 0');
wanted_is('share of all', "SELECT id, percent_rank() OVER ($o) FROM t LIMIT 20", 'exactly rows 0 (all), fetch 0');
wanted_is('row number at most', "SELECT * FROM (SELECT id, row_number() OVER ($o) AS r FROM t) s WHERE r <= 30", 'exactly rows 30, fetch 0');
wanted_is('rank less than', "SELECT * FROM (SELECT id, rank() OVER ($o) AS r FROM t) s WHERE 30 > r", 'exactly rows 29 and ties, fetch 0');
wanted_is('row number and LIMIT', "SELECT * FROM (SELECT id, row_number() OVER ($o) AS r FROM t) s WHERE r <= 30 LIMIT 7", 'exactly rows 7, fetch 0');
wanted_is('distinct distances', "SELECT DISTINCT ON ($d) id FROM t $o LIMIT 12", qr/about rows 1\d, fetch 0/);
wanted_is('a set for each row', "SELECT id, generate_series(1, 3) FROM t $o LIMIT 12", 'about rows 12, fetch 0');

wanted_is('LIMIT in a CTE', "WITH c AS MATERIALIZED (SELECT id FROM t $o LIMIT 50) SELECT * FROM c", 'exactly rows 50, fetch 0');
wanted_is('LIMIT above a CTE', "WITH c AS MATERIALIZED (SELECT id FROM t $o) SELECT * FROM c LIMIT 25", 'exactly rows 25, fetch 0');
wanted_is('two readers of a CTE', "WITH c AS MATERIALIZED (SELECT id FROM t $o) (SELECT * FROM c LIMIT 25) UNION ALL (SELECT * FROM c LIMIT 35)",
	'exactly rows 35, fetch 0');
wanted_is('a reader of a CTE that takes all', "WITH c AS MATERIALIZED (SELECT id FROM t $o) (SELECT * FROM c LIMIT 25) UNION ALL SELECT count(*) FROM c",
	'exactly rows 0 (all), fetch 0');
wanted_is('a CTE read by another', "WITH c AS MATERIALIZED (SELECT id FROM t $o), e AS MATERIALIZED (SELECT id + 1 FROM c) SELECT * FROM e LIMIT 9",
	'exactly rows 9, fetch 0');
wanted_is('order among equal distances', "SET enable_sort = on; SELECT * FROM (SELECT id, $d AS d FROM t ORDER BY d OFFSET 0) s ORDER BY d, id LIMIT 12",
	'exactly rows 12 and ties, fetch 0');

wanted_is('a cursor', "BEGIN; DECLARE c CURSOR FOR SELECT id FROM t $o; FETCH 10 FROM c; FETCH 100 FROM c; COMMIT", 'about rows 0, fetch 10');
wanted_is('a cursor with a LIMIT', "BEGIN; DECLARE c CURSOR FOR SELECT id FROM t $o LIMIT 300; FETCH 10 FROM c; COMMIT", 'exactly rows 300, fetch 0');
wanted_is('a cursor over a join', "BEGIN; DECLARE c CURSOR FOR SELECT t.id, x FROM t JOIN u USING (id) $o; FETCH 25 FROM c; COMMIT", 'about rows 0, fetch 25');
wanted_is('a cursor to its end', "BEGIN; DECLARE c CURSOR FOR SELECT id FROM t $o; FETCH ALL FROM c; COMMIT", 'exactly rows 0 (all), fetch 0');
wanted_is('a loop', 'SELECT loops()', 'about rows 0, fetch 10');
wanted_is('a set from a function in SQL', 'SELECT nearest()', 'about rows 0, fetch 1');

# a prepared statement, and a LIMIT that is known when it is run
wanted_is('parameter', "PREPARE p(int) AS SELECT id FROM t $o LIMIT \$1; SET plan_cache_mode = force_generic_plan; EXECUTE p(3); EXECUTE p(NULL); EXECUTE p(8)",
	'exactly rows 3, fetch 0', 'exactly rows 0 (all), fetch 0', 'exactly rows 8, fetch 0');

# ---- bounds of the distance

sub bounds_are
{
	my ($what, $sql, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($err) = said($sql);
	my @got = $err =~ /DEBUG: +qhnsw plan: distances (.*)/g;

	is(join('; ', @got), join('; ', @expected), $what) or diag($sql, "\n", grep { /ERROR/ } split /^/, $err);
}

sub where_bounds_are
{
	my ($where, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $what = $where;

	$where =~ s/\bD\b/$d/g;
	bounds_are("WHERE $what", "SELECT id FROM t WHERE $where $o LIMIT 3", @expected);
}

where_bounds_are('D < .5', 'from -Infinity to 0.5 excluded, no other condition');
where_bounds_are('.5 >= D AND part < 5', 'from -Infinity to 0.5');
where_bounds_are('D > .25', 'beyond 0.25 to Infinity, no other condition');
where_bounds_are('D BETWEEN .25 AND 1', 'from 0.25 to 1, no other condition');
where_bounds_are('D BETWEEN SYMMETRIC 1 AND .25', 'from 0.25 to 1');
where_bounds_are('(D = .5 OR D = .25)', 'from 0.25 to 0.5');
where_bounds_are('D < .5::real', 'from -Infinity to 0.5 excluded, no other condition');
where_bounds_are('NOT D >= .5', 'from -Infinity to 0.5 excluded, no other condition');
where_bounds_are('(D, id) > (.5, 3)', 'from 0.5 to Infinity');
where_bounds_are('(.5, 3) > (D, id)', 'from -Infinity to 0.5');
where_bounds_are('(D > .5 OR (D = .5 AND id > 3))', 'from 0.5 to Infinity');
where_bounds_are('(D > .5 OR part = 2)');
where_bounds_are('D < 1 AND D > 2', 'beyond 2 to 1 excluded, none, no other condition');
where_bounds_are("D > 'NaN'", 'from -Infinity to Infinity, none');
where_bounds_are('D < (SELECT .25) AND D < (SELECT NULL::float8)', 'from -Infinity to 0.25 excluded, none, no other condition');
where_bounds_are('D < random()');
where_bounds_are('D < part');
where_bounds_are("(v <-> '$query') < .5");
where_bounds_are("(v <=> '$query'::real[]) < 2 AND ('$query' <=> v) < .5", 'from -Infinity to 0.5 excluded, no other condition');
bounds_are('the query as a subquery of its own', 'SELECT id FROM t WHERE v <=> (SELECT v FROM t WHERE id = 17) < .5 ORDER BY v <=> (SELECT v FROM t WHERE id = 17) LIMIT 3',
	'from -Infinity to 0.5 excluded, no other condition');
bounds_are('another query', 'SELECT id FROM t WHERE v <=> (SELECT v FROM t WHERE id = 18) < .5 ORDER BY v <=> (SELECT v FROM t WHERE id = 17) LIMIT 3',
	'from -Infinity to Infinity');
bounds_are('parameters of a generic plan', qq{
	PREPARE p(float8, real[]) AS SELECT id FROM t WHERE v <=> \$2 < \$1 ORDER BY \$2 <=> v LIMIT 3;
	SET plan_cache_mode = force_generic_plan;
	EXECUTE p(.25, '$query'); EXECUTE p(NULL, '$query'); EXECUTE p(.5, NULL); EXECUTE p('NaN', '$query')},
	'from -Infinity to 0.25 excluded, no other condition', 'from -Infinity to Infinity, none, no other condition',
	'from -Infinity to Infinity, none, no other condition', 'from -Infinity to Infinity');
bounds_are('for each row of the outer side', "SELECT s.id FROM (VALUES (.25::float8), (.5)) w(x), LATERAL (SELECT id FROM t WHERE $d < w.x $o LIMIT 3) s",
	'from -Infinity to 0.25 excluded, no other condition', 'from -Infinity to 0.5 excluded, no other condition');

# Conditions at random: whatever passes lies within the bounds, and where nothing else is said all that lies within passes.
srand(11);

my @distances = split /\n/, $node->safe_psql('postgres', "SELECT $d FROM t $o");
my @inner = split /\n/, $node->safe_psql('postgres', 'SELECT v FROM t WHERE id IN (1, 17) ORDER BY id');

sub any { return $_[ int(rand(@_)) ] }

sub value
{
	my $near = any(@distances) + 0;

	return any($near, $near, $near, "$near\::real", sprintf('%.3f', rand(1.5)), "(SELECT $near\::float8)", "'NaN'", "'Infinity'", "'-Infinity'", 'NULL', '0', '1', "abs(-$near)");
}

sub computed
{
	return any($d, $d, $d, "('$query' <=> v)", "(1 - $d)", "($d * -1)", "(2.5 * $d)", "(-$d)", "($d - .3)", "(.7 + $d)", "(3 - (2 * $d - 1))", "($d * 0)",
		"(v <=> (SELECT v FROM t WHERE id = " . any(1, 17) . "))", "(v <=> '$inner[0]')", "($d * $d)", "sqrt($d)");
}

sub condition
{
	my ($depth) = @_;
	my $op = any('<', '<=', '>', '>=', '=', '<>');

	return '(' . condition($depth - 1) . any(' AND ', ' AND ', ' OR ') . condition($depth - 1) . ')' if $depth > 0 && rand() < .6;
	return any("part < " . int(rand(10)), 'id % 3 = 1', 'random() < 2') if rand() < .1;
	return 'NOT ' . condition(0) if rand() < .1;
	return computed() . any(' BETWEEN ', ' BETWEEN SYMMETRIC ', ' NOT BETWEEN ') . value() . ' AND ' . value() if rand() < .15;
	return '(' . computed() . ', id) ' . any('<', '<=', '>', '>=') . ' (' . value() . ', ' . int(rand(700)) . ')' if rand() < .15;
	return rand() < .3 ? value() . " $op " . computed() : computed() . " $op " . value();
}

my @conditions = map { condition(2) } 1 .. 600;
my ($err, $out) = said(join("\n", map {
	"DO \$\$ BEGIN RAISE NOTICE 'condition $_'; END \$\$; SELECT FROM t WHERE $conditions[$_] $o LIMIT 1;\n"
	  . "SELECT 'condition $_', array_agg(d) FROM (SELECT $d AS d FROM t WHERE $conditions[$_] OFFSET 0) s;" } 0 .. $#conditions));
my (%told, %passing, $n);

foreach my $line (split /\n/, $err)
{
	$n = $1 if $line =~ /NOTICE: +condition (\d+)/;
	$told{$n} = $1 if $line =~ /qhnsw plan: distances (.*)/ && !exists $told{$n};
	diag("$line in $conditions[$n]") if $line =~ /ERROR/;
}
foreach my $line (split /\n/, $out)
{
	$passing{$1} = [ split /,/, $2 ] if $line =~ /^condition (\d+)\|\{?(.*?)\}?$/;
}
is(scalar(keys %passing), scalar(@conditions), 'conditions were tried');
cmp_ok(scalar(grep { !/from -Infinity to Infinity/ } values %told), '>=', 200, 'bounds were found in many');

my (@wrong, $complete);
foreach my $i (sort { $a <=> $b } keys %told)
{
	my ($open, $lower, $upper, $upper_open, $never, $no_other) = $told{$i} =~ /^(from|beyond) (\S+) to ([^ ,]+)( excluded)?(, none)?(, no other condition)?$/
	  or die "cannot read: $told{$i}";
	my $within = sub {
		my ($x) = @_;
		return !$never
		  && ($lower eq '-Infinity' || ($open eq 'beyond' ? $x > $lower : $x >= $lower))
		  && ($upper eq 'Infinity' || ($upper_open ? $x < $upper : $x <= $upper));
	};
	my $outside = grep { !$within->($_) } @{ $passing{$i} };

	push @wrong, "$outside rows pass outside ($told{$i}): $conditions[$i]" if $outside;
	next unless $no_other;
	$complete++;
	push @wrong, "not all rows within pass ($told{$i}): $conditions[$i]" if @{ $passing{$i} } != grep { $within->($_) } @distances;
}
is(join("\n", @wrong), '', 'all rows that pass lie within the bounds');
cmp_ok($complete // 0, '>=', 15, 'of many conditions bounds said everything');

$node->stop;
done_testing();
