# test/stress/Statements.pm
#       Random statements that search, each with what may be expected of its answer.
#
# A statement prints rows "group|id|distance", in the order it returns them; a distance may be left empty.
# Fields: shape, sql (a list, of which all but those in {around} print rows), limit, offset, visible (the scan can
# see the LIMIT in the plan), ties, groups (more than one query), pages.

package Statements;

use strict;
use warnings;

use Chance;

# Conditions on other columns; the alias is t.
sub plain_condition
{
	my ($table) = @_;
	my $n = pick(2, 3, 10, 50, 500);

	return weighted(
		't.grp = ' . below($table->{ngroups}), 4,
		't.grp IN (' . join(', ', map { below($table->{ngroups}) } 1 .. between(1, 4)) . ')', 2,
		't.grp <> ' . below($table->{ngroups}), 1,
		"t.id % $n = " . below($n), 4,
		't.id BETWEEN ' . ($n = below($table->{nextid} + 1)) . ' AND ' . ($n + between(0, 40)), 2,
		't.id = ' . below($table->{nextid} + 1), 1,
		sprintf('t.x < %.3f', uniform()), 3,
		sprintf('t.x > %.3f', 1 - uniform()**3), 2,
		't.n IS NULL', 1,
		't.n IS NOT NULL AND t.s IS NOT NULL', 1,
		"length(t.s) > 20", 1,
		't.e IS NOT NULL', 1,
		'EXISTS (SELECT FROM g WHERE g.grp = t.grp)', 1,
		't.grp IN (SELECT grp FROM g)', 1,
		't.grp NOT IN (SELECT grp FROM g)', 1,
		'(SELECT count(*) FROM g WHERE g.grp <= t.grp) > 2', 0.5,
		'random() >= 0', 1,
		'false', 0.2,
		't.id < 0', 0.3);
}

# A condition on the distance itself.  The bound is the distance of some row, or near one.
sub distance_condition
{
	my ($distance, $commuted, $bounds) = @_;
	my ($low, $high) = sort { $a <=> $b } map { pick(@$bounds) } 1, 2;

	return weighted(
		"$distance < $high", 3,
		"$distance <= $high", 3,
		"$high > $distance", 1,
		"$high >= $distance", 1,
		"$commuted <= $high", 1,
		"$distance > $low", 3,
		"$distance >= $low", 1,
		"$distance BETWEEN $low AND $high", 2,
		"$distance > $low AND $distance < $high", 1,
		"$distance < $high AND " . sprintf('t.x < %.2f', uniform()), 1,
		"$distance = $low", 0.5);
}

sub random_limit
{
	return weighted(1, 3, between(2, 9), 4, 10, 8, between(11, 60), 4, between(61, 500), 2, 1000, 1, 100000, 1, 0, 0.1);
}

# make(table, query, where, lateral): one statement of a random shape.  where is a list of conditions over t;
# query is SQL; lateral_where a list of conditions that hold for each row of qs.
sub make
{
	my ($table, $q, $where, $lateral) = @_;
	my $shape = weighted(
		plain => 10, id_only => 6, commuted => 2, subquery => 4, fenced => 2, cte => 2, cte_limit => 2, initplan => 2,
		join => 4, left_join => 2, semi_join => 1, window => 3, ranked => 2, by_id_too => 3, ties => 4, locked => 2,
		loop => 3, union => 1, lateral => 4, scalar => 1, all => 3, prepared => 5, cursor => 6, aggregate => 1, offset_param => 1);
	my $limit = random_limit();
	my $offset = chance(0.2) ? weighted(between(0, 20), 3, between(0, 300), 1) : 0;
	my $e = $table->expression('t.e');
	my $d = "$e $table->{operator} $q";
	my $c = @$where ? 'WHERE ' . join(' AND ', map { "($_)" } @$where) : '';
	my $limits = (chance(0.1) ? "FETCH FIRST $limit ROWS ONLY" : "LIMIT $limit") . ($offset ? " OFFSET $offset" : '');
	# A volatile condition is the executor's: the scan does not know how many rows it is asked for.
	my %s = (shape => $shape, limit => $limit, offset => $offset, visible => $c !~ /random/, around => [], q => $q);

	no strict 'refs';
	&{"Statements::shape_$shape"}(\%s, { t => $table, e => $e, d => $d, c => $c, q => $q, limits => $limits, where => $where, lateral => $lateral });
	return \%s;
}

sub shape_plain
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d} $p->{limits}";
	return;
}

sub shape_id_only
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, NULL FROM t $p->{c} ORDER BY $p->{d} $p->{limits}";
	return;
}

sub shape_commuted
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, NULL FROM t $p->{c} ORDER BY $p->{q} $p->{t}{operator} $p->{e} $p->{limits}";
	return;
}

sub shape_subquery
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, id, d FROM (SELECT t.id, $p->{d} AS d FROM t $p->{c} ORDER BY $p->{d}) AS s $p->{limits}";
	return;
}

sub shape_fenced
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, id, d FROM (SELECT t.id, $p->{d} AS d FROM t $p->{c} ORDER BY $p->{d} OFFSET 0) AS s " . ($s->{offset} ? "OFFSET $s->{offset} " : '') . "LIMIT $s->{limit}";
	$s->{visible} = 0;
	return;
}

sub shape_cte
{
	my ($s, $p) = @_;

	$s->{sql} = "WITH c AS MATERIALIZED (SELECT t.id, $p->{d} AS d FROM t $p->{c} ORDER BY $p->{d} $p->{limits}) SELECT 0, id, d FROM c";
	return;
}

sub shape_cte_limit
{
	my ($s, $p) = @_;

	$s->{sql} = 'WITH c AS ' . pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ')
	  . "(SELECT t.id, $p->{d} AS d FROM t $p->{c} ORDER BY $p->{d}) SELECT 0, id, d FROM c $p->{limits}";
	$s->{visible} = 0;
	return;
}

sub shape_initplan
{
	my ($s, $p) = @_;
	my $q = "(SELECT v FROM qs WHERE qid = 0)";

	$s->{sql} = "SELECT 0, t.id, $p->{e} $p->{t}{operator} $q FROM t $p->{c} ORDER BY $p->{e} $p->{t}{operator} $q $p->{limits}";
	$s->{qs} = 1;
	return;
}

# g has each group once, but not all groups.
sub shape_join
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t JOIN g ON g.grp = t.grp $p->{c} ORDER BY $p->{d} $p->{limits}";
	$s->{extra} = 'EXISTS (SELECT FROM g WHERE g.grp = t.grp)';
	$s->{visible} = 0;
	return;
}

sub shape_left_join
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t LEFT JOIN g ON g.grp = t.grp $p->{c} ORDER BY $p->{d} $p->{limits}";
	$s->{visible} = 0;
	return;
}

sub shape_semi_join
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t " . ($p->{c} ? "$p->{c} AND" : 'WHERE') . " NOT EXISTS (SELECT FROM g WHERE g.grp = t.grp + 1) ORDER BY $p->{d} $p->{limits}";
	$s->{extra} = 'NOT EXISTS (SELECT FROM g WHERE g.grp = t.grp + 1)';
	$s->{visible} = 0;
	return;
}

sub shape_window
{
	my ($s, $p) = @_;
	my $k = $s->{limit} || 1;

	$s->{sql} = "SELECT 0, id, d FROM (SELECT t.id, $p->{d} AS d, row_number() OVER (ORDER BY $p->{d}) AS r FROM t $p->{c}) AS s WHERE r <= $k";
	@$s{qw(limit offset visible)} = ($k, 0, 0);
	return;
}

sub shape_ranked
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d}, rank() OVER (ORDER BY $p->{d}) FROM t $p->{c} $p->{limits}";
	$s->{visible} = 0;
	return;
}

# An incremental sort above the scan.
sub shape_by_id_too
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d}, t.id $p->{limits}";
	@$s{qw(visible by_id)} = (0, 1);
	return;
}

sub shape_ties
{
	my ($s, $p) = @_;
	my $k = $s->{limit} || 1;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d} " . ($s->{offset} ? "OFFSET $s->{offset} ROWS " : '') . "FETCH FIRST $k ROWS WITH TIES";
	@$s{qw(limit ties)} = ($k, 1);
	return;
}

sub shape_locked
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d} LIMIT $s->{limit} " . pick('FOR UPDATE', 'FOR SHARE', 'FOR KEY SHARE', 'FOR UPDATE OF t NOWAIT');
	$s->{offset} = 0;
	$s->{writes} = 1;
	return;
}

# A loop of PL/pgSQL, which fetches 10 rows and then 50 at a time.
sub shape_loop
{
	my ($s, $p) = @_;

	$s->{explain} = "SELECT t.id, $p->{d} AS d FROM t $p->{c} ORDER BY $p->{d}";
	$s->{sql} = "SELECT 0, id, d FROM stress_loop(\$_\$$s->{explain}\$_\$, $s->{limit})";
	@$s{qw(offset visible)} = (0, 0);
	return;
}

sub shape_union
{
	my ($s, $p) = @_;

	$s->{sql} = join ' UNION ALL ', map { "(SELECT $_, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d} $p->{limits})" } 0, 1;
	$s->{groups} = 'same';
	return;
}

sub shape_lateral
{
	my ($s, $p) = @_;
	my $d = "$p->{e} $p->{t}{operator} qs.v";
	my $limit = $s->{limit} = $s->{limit} > 100 ? 100 : $s->{limit};
	my $c = @{ $p->{lateral} } ? 'WHERE ' . join(' AND ', map { "($_)" } @{ $p->{lateral} }) : '';

	$s->{sql} = "SELECT qs.qid, s.id, s.d FROM qs CROSS JOIN LATERAL (SELECT t.id, " . pick($d, 'NULL::float8') . " AS d FROM t $c ORDER BY $d LIMIT $limit"
	  . ($s->{offset} ? " OFFSET $s->{offset}" : '') . ') AS s';
	@$s{qw(groups qs)} = ('qs', 1);
	return;
}

sub shape_scalar
{
	my ($s, $p) = @_;
	my $c = @{ $p->{lateral} } ? 'WHERE ' . join(' AND ', map { "($_)" } @{ $p->{lateral} }) : '';

	$s->{sql} = "SELECT * FROM (SELECT qs.qid, (SELECT t.id FROM t $c ORDER BY $p->{e} $p->{t}{operator} qs.v LIMIT 1) AS id, NULL FROM qs) AS s WHERE id IS NOT NULL";
	@$s{qw(groups qs limit offset)} = ('qs', 1, 1, 0);
	return;
}

sub shape_all
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d}";
	@$s{qw(limit offset visible)} = (undef, 0, 0);
	return;
}

sub shape_aggregate
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, unnest(ids), NULL FROM (SELECT array_agg(id) AS ids FROM (SELECT t.id FROM t $p->{c} ORDER BY $p->{d} $p->{limits}) AS s) AS a";
	return;
}

sub shape_offset_param
{
	my ($s, $p) = @_;

	$s->{sql} = "SELECT 0, t.id, NULL FROM t $p->{c} ORDER BY $p->{d} LIMIT (SELECT $s->{limit}) OFFSET (SELECT count(*) - count(*) + $s->{offset} FROM g)";
	return;
}

# A prepared statement, run several times: some plans are made for the values, some for any.
sub shape_prepared
{
	my ($s, $p) = @_;
	my $table = $p->{t};
	my $type = $table->{type};
	my $where = $p->{c} =~ s/\Q$p->{q}\E/\$1/gr;
	my $d = "$p->{e} $table->{operator} \$1";
	my $times = pick(1, 2, 7);

	push @{ $s->{around} }, 'DEALLOCATE ALL', "PREPARE p($type, bigint, bigint) AS SELECT 0, t.id, " . pick($d, 'NULL') . " FROM t $where ORDER BY $d LIMIT \$2 OFFSET \$3";
	$s->{sql} = "EXECUTE p($p->{q}, $s->{limit}, $s->{offset})";
	$s->{again} = $times - 1;
	return;
}

# A cursor: fetched in pieces, to the end or not, with other things between.
sub shape_cursor
{
	my ($s, $p) = @_;
	my $limited = chance(0.3);
	my $hold = chance(0.1) ? 'WITH HOLD ' : '';
	my $scroll = chance(0.1) ? 'SCROLL ' : '';
	my $size = pick(1, 3, 10, 10, 50, 1000);

	$s->{declare} = "DECLARE c ${scroll}CURSOR ${hold}FOR SELECT 0, t.id, $p->{d} FROM t $p->{c} ORDER BY $p->{d}" . ($limited ? " $p->{limits}" : '');
	@$s{qw(limit offset)} = (undef, 0) if !$limited;
	$s->{visible} &&= $limited;
	# fetches: numbers of rows; 0 stands for all that is left
	$s->{fetches} = chance(0.5)
	  ? [ (map { $size } 1 .. between(1, 6)), 0 ]
	  : [ map { pick($size, 1, 10) } 1 .. between(1, 8) ];
	$s->{hold} = $hold ne '';
	return;
}

# Settings of a scan: {name => value} of those that are not the default.
sub settings
{
	my %set;
	my $work_mem = weighted('4MB', 12, '64kB', 4, '128kB', 1, '256kB', 1, '1GB', 1);

	$set{work_mem} = "'$work_mem'";
	$set{'qhnsw.ef_search'} = pick(1, 2, 5, 10, 100, 400, 10000) if chance(0.4);
	$set{'qhnsw.oversample'} = pick(0.1, 1, 2, 20, 100) if chance(0.25);
	$set{'qhnsw.rescore'} = weighted('off', 4, 'on', 1, 'auto', 1) if chance(0.18);
	$set{'qhnsw.iterative_scan'} = weighted('relaxed_order', 3, 'off', 1) if chance(0.35);
	$set{'qhnsw.max_scan_tuples'} = pick(1, 10, 100, 1000, 20000) if chance(0.1);
	$set{'qhnsw.scan_mem_multiplier'} = pick(1.5, 1000) if chance(0.1);
	$set{'qhnsw.flat'} = 'on' if chance(0.15);
	$set{'qhnsw.optimistic_read'} = 'off' if chance(0.1);
	$set{plan_cache_mode} = pick('force_generic_plan', 'force_custom_plan') if chance(0.4);
	if (chance(0.12))
	{
		$set{$_} = 0 for qw(parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size min_parallel_index_scan_size);
	}
	$set{debug_parallel} = pick('on', 'regress') if chance(0.05);
	if (chance(0.2))
	{
		$set{"enable_$_"} = pick('on', 'off') for grep { chance(0.4) } qw(material memoize nestloop hashjoin mergejoin bitmapscan incremental_sort);
	}
	$set{cursor_tuple_fraction} = pick(0.001, 1) if chance(0.1);
	if (chance(0.93))
	{
		$set{enable_seqscan} = 'off';
		$set{enable_sort} = 'off';
	}
	return \%set;
}

1;
