# test/stress/Table.pm
#       A random table with a random index, and the changes made to it.
#
# Gives SQL; runs nothing.  What a change may fail with is said beside it.

package Table;

use strict;
use warnings;

use Chance;
use Data;

my %operators = (cosine => '<=>', l2 => '<->', ip => '<#>', hamming => '<~>', jaccard => '<%>');

# new(most_rows)
sub new
{
	my ($class, $most_rows) = @_;
	my ($type, $metric) = @{ pick(
			[ 'bitvec', 'hamming' ], [ 'bitvec', 'jaccard' ],
			[ 'qvec8', 'cosine' ], [ 'qvec8', 'l2' ], [ 'qvec8', 'ip' ],
			map { ([ 'real[]', $_ ]) x 2 } qw(cosine l2 ip)) };
	my $self = bless { type => $type, metric => $metric, operator => $operators{$metric},
		name => 't', index => 'ti', nextid => 1 }, $class;

	$self->{ndims} = weighted(1, 3, 2, 3, 3, 2, between(4, 32), 20, between(33, 200), 12, between(201, 2000), 1);
	$self->{kind} = weighted(plain => 10, unlogged => 1, temp => 1, partitioned => 2);
	$self->{expression} = chance(0.15);
	$self->{partial} = chance(0.12) && $self->{kind} ne 'partitioned';
	$self->{data} = Data->new($self->{expression} ? 'real[]' : $type, $metric, $self->{ndims});
	$self->{ngroups} = pick(2, 5, 20, 100);
	$self->{grouped_by_cluster} = chance(0.4);
	$self->{rows} = weighted(between(0, 30), 3, between(30, 300), 5, between(300, 3000), 8, between(3000, 8000), 2, between(8000, 20000), 0.4);
	$self->{rows} = $most_rows if $self->{rows} > $most_rows;
	# What Perl has to make up is bounded: some seconds a table would be too long.
	my $most = int(150000 / $self->{ndims}) + 10;
	$self->{rows} = $most if $self->{rows} > $most;
	$self->{options} = $self->options;
	$self->{filters} = chance(0.5) ? [ grep { chance(0.5) } qw(grp x n s) ] : [];
	$self->{include} = chance(0.3) ? [ grep { chance(0.5) } qw(id grp x n s) ] : [];
	return $self;
}

sub options
{
	my ($self) = @_;
	my %o;
	my $m = weighted(16, 6, 2, 2, 3, 2, 4, 2, 8, 1, 40, 1, 100, 1);

	$o{m} = $m if $m != 16 || chance(0.2);
	$o{ef_construction} = pick(4, 10, 200) if chance(0.25);
	$o{oversample} = pick(1, 2, 10, 100) if chance(0.15);
	if (chance(0.25))
	{
		$o{hub_fraction} = pick(0.02, 0.05, 0.5);
		$o{m_low} = between(4, 2 * $m) if chance(0.5);
	}
	$o{refine} = "'" . pick('int4', 'int8') . "'" if $self->{type} ne 'bitvec' && chance(0.35);
	$o{compression} = "'" . pick('32x', '16x', '8x', '4x', '2x', '1x') . "'"
	  if $self->{type} ne 'bitvec' && $self->{ndims} <= 3700 && chance($self->{type} eq 'real[]' ? 0.6 : 0.3);
	if ($self->{type} ne 'bitvec')
	{
		$o{mode} = pick('on_disk', 'in_memory') if $self->{ndims} <= 3700 && chance(0.2);
		$o{rescore} = pick('on', 'off') if chance(0.15);
	}
	$o{ef_search} = pick(1, 20, 100, 400) if chance(0.15);
	$o{dims} = $self->{ndims} if $self->{type} eq 'real[]';
	return \%o;
}

# Are rows put into the order of their values under these settings?
sub rescores
{
	my ($self, $set) = @_;
	my $rescore = $set->{'qhnsw.rescore'} // 'auto';

	return 1 if $self->{type} eq 'bitvec';
	$rescore = $self->{options}{rescore} // 'auto' if $rescore eq 'auto';
	$rescore = ($self->{options}{mode} // 'on_disk') eq 'in_memory' ? 'off' : 'on' if $rescore eq 'auto';
	return $rescore eq 'on';
}

# ef_search of a scan under these settings.
sub ef_search
{
	my ($self, $set) = @_;

	return $set->{'qhnsw.ef_search'} // $self->{options}{ef_search} // 40;
}

# One line about it, for the log.
sub describe
{
	my ($self) = @_;
	my $o = $self->{options};

	return "$self->{type} $self->{metric}, $self->{ndims} dimensions, $self->{rows} rows of $self->{data}{kind}, $self->{kind}"
	  . ($self->{expression} ? ', expression' : '') . ($self->{partial} ? ', partial' : '')
	  . (@{ $self->{filters} } ? ", filters @{ $self->{filters} }" : '') . (@{ $self->{include} } ? ", include @{ $self->{include} }" : '')
	  . join '', map { ", $_ $o->{$_}" } sort keys %$o;
}

sub column_type
{
	my ($self) = @_;

	return 'real[]' if $self->{expression} || $self->{type} eq 'real[]';
	return "$self->{type}($self->{ndims})";
}

# The indexed expression over a value or column.
sub expression
{
	my ($self, $of) = @_;

	return $of if !$self->{expression};
	return "binary_quantize($of)::bitvec($self->{ndims})" if $self->{type} eq 'bitvec';
	return "quantize_int8($of)::qvec8($self->{ndims})" if $self->{type} eq 'qvec8';
	# A function in SQL takes long for many dimensions.
	return $self->{ndims} * $self->{rows} < 10000 ? "stress_half($of)" : "($of)[1:$self->{ndims}]";
}

# A query's value as SQL.
sub query_sql
{
	my ($self, $query) = @_;

	return "NULL::$self->{type}" if !defined $query->{text};
	return $self->expression("'$query->{text}'::" . $self->column_type);
}

# The condition that a query needs for a partial index to be used; '' without.
sub predicate
{
	my ($self) = @_;

	return $self->{partial} ? 'x < 0.7' : '';
}

sub create_sql
{
	my ($self) = @_;
	my $sort = { unlogged => 'UNLOGGED ', temp => 'TEMP ' }->{ $self->{kind} } // '';
	my $columns = "id int NOT NULL, grp int, x float8, n int, s text, e " . $self->column_type;
	my @sql;

	if ($self->{kind} eq 'partitioned')
	{
		push @sql, "CREATE TABLE t ($columns) PARTITION BY " . ($self->{by} = pick('HASH (id)', 'RANGE (x)'));
		push @sql, $self->{by} =~ /HASH/
		  ? map { "CREATE TABLE t$_ PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2
		  : ("CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (0.3)",
			"CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0.3) TO (0.9)",
			"CREATE TABLE t2 PARTITION OF t DEFAULT");
	}
	else
	{
		push @sql, "CREATE ${sort}TABLE t ($columns, PRIMARY KEY (id))";
		push @sql, 'ALTER TABLE t ALTER e SET STORAGE ' . pick('PLAIN', 'EXTERNAL', 'EXTENDED', 'MAIN') if chance(0.3) && $self->{ndims} < 1500;
		push @sql, 'ALTER TABLE t SET (toast_tuple_target = 128)' if chance(0.2);
		push @sql, 'ALTER TABLE t SET (fillfactor = 40)' if chance(0.2);
		push @sql, 'ALTER TABLE t SET (parallel_workers = 2)' if $self->{kind} ne 'temp' && chance(0.3);
	}
	push @sql, 'CREATE INDEX tg ON t (grp)' if chance(0.3);
	return @sql;
}

sub create_index_sql
{
	my ($self, $how) = @_;
	my $o = $self->{options};
	my $with = join ', ', map { "$_ = $o->{$_}" } sort keys %$o;
	my $opclass = ($self->{type} eq 'real[]' ? 'real' : $self->{type}) . "_$self->{metric}_ops";

	return 'CREATE INDEX ' . ($how // '') . "ti ON t USING qhnsw (" . join(', ', '(' . $self->expression('e') . ") $opclass", @{ $self->{filters} }) . ')'
	  . (@{ $self->{include} } ? ' INCLUDE (' . join(', ', @{ $self->{include} }) . ')' : '')
	  . ($with ne '' ? " WITH ($with)" : '') . ($self->{partial} ? ' WHERE ' . $self->predicate : '');
}

# Memory and workers of builds.
sub build_settings
{
	return 'SET maintenance_work_mem = ' . pick("'64MB'", "'1MB'") . '; SET max_parallel_maintenance_workers = ' . pick(0, 0, 2);
}

# The indexes to check: of a partitioned table its partitions'.
sub leaf_indexes
{
	my ($self) = @_;

	return "SELECT c.oid, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
		WHERE a.amname = 'qhnsw' AND c.relkind = 'i' AND i.indisvalid AND i.indrelid IN
			(SELECT 't'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 't'::regclass)";
}

# So many rows as a list of VALUES.
sub values
{
	my ($self, $n) = @_;
	my @rows;

	foreach (1 .. $n)
	{
		my $e = $self->{data}->row;
		my $grp = $self->{grouped_by_cluster} ? $self->{data}{cluster} : below($self->{ngroups});
		push @rows, [ $self->{nextid}++, $grp, sprintf('%.4f', uniform()), chance(0.1) ? undef : below(1000),
			chance(0.1) ? undef : 'x' x (chance(0.02) ? 3000 : below(30)), $e ];
	}
	return @rows;
}

sub copy_sql
{
	my ($self, $n) = @_;

	return 'COPY t (id, grp, x, n, s, e) FROM STDIN;' . "\n"
	  . join('', map { join("\t", map { $_ // '\N' } @$_) . "\n" } $self->values($n)) . "\\.\n";
}

sub insert_sql
{
	my ($self, $n) = @_;

	return 'INSERT INTO t (id, grp, x, n, s, e) VALUES '
	  . join(', ', map { '(' . join(', ', map { defined $_ ? /^[-+.\de]+$/ ? $_ : "'$_'" : 'NULL' } @$_[ 0 .. 4 ])
			. ', ' . (defined $_->[5] ? "'$_->[5]'" : 'NULL') . ')' } $self->values($n));
}

# Some of the rows, as a condition.
sub some
{
	my ($self) = @_;
	my $modulus = pick(2, 3, 7, 20, 100);
	my $from = below($self->{nextid} + 1);

	return weighted("id % $modulus = " . below($modulus), 4, "id BETWEEN $from AND $from + " . between(0, 50), 4,
		'grp = ' . below($self->{ngroups}), 2, 'id = ' . $from, 3, "id % $modulus <> 0", 2, 'x < ' . sprintf('%.2f', uniform()), 2,
		'true', 0.4);
}

# A change: {sql, may_fail}; without a transaction block of its own.
sub change
{
	my ($self) = @_;
	my $value = sub { my $e = $self->{data}->row; defined $e ? "'$e'" : 'NULL' };
	my $made = weighted(
		sub { $self->insert_sql(1) }, 4,
		sub { $self->insert_sql(between(2, 60)) }, 5,
		sub { $self->copy_sql(between(1, 200)) }, 3,
		sub { 'DELETE FROM t WHERE ' . $self->some }, 5,
		sub { 'UPDATE t SET n = n + 1 WHERE ' . $self->some }, 3,
		sub { 'UPDATE t SET grp = grp + 1 WHERE ' . $self->some }, 2,
		sub { 'UPDATE t SET x = ' . sprintf('%.4f', uniform()) . ' WHERE ' . $self->some }, 2,
		sub { 'UPDATE t SET e = ' . $value->() . ' WHERE ' . $self->some }, 4,
		sub {
			my $q = $self->query_sql($self->{data}->query);
			'DELETE FROM t WHERE id IN (SELECT id FROM t' . ($self->{partial} ? ' WHERE ' . $self->predicate : '') . ' ORDER BY ' . $self->expression('e') . " $self->{operator} $q LIMIT " . between(1, 30) . ')';
		}, 1,
		sub { 'UPDATE t SET e = o.e FROM t AS o WHERE o.id = t.id + ' . between(1, 9) . ' AND t.' . $self->some =~ s/^true$/id > 0/r }, 2,
		sub {
			my $from = below($self->{nextid} + 1);
			my $base = $self->{nextid};
			$self->{nextid} += 60;
			"INSERT INTO t (id, grp, x, n, s, e) SELECT $base + row_number() OVER (), grp, x, n, s, e FROM t WHERE id BETWEEN $from AND $from + 50";
		}, 2)->();

	return $made;
}

# What cannot stand in a transaction block, or is no change of rows.
sub upkeep
{
	my ($self) = @_;
	my $concurrently = $self->{kind} eq 'temp' || $self->{kind} eq 'partitioned' ? '' : 'CONCURRENTLY ';

	return weighted(
		[ 'VACUUM t' ], 6,
		[ 'VACUUM (INDEX_CLEANUP ON' . pick('', ', FREEZE', ', PARALLEL 0') . ') t' ], 6,
		[ 'ANALYZE t' ], 2,
		[ 'VACUUM FULL t' ], 0.4,
		[ build_settings(), "REINDEX INDEX ${concurrently}ti" ], 1.5,
		[ build_settings(), 'REINDEX TABLE t' ], 0.5,
		[ 'DROP INDEX ti', build_settings(), $self->create_index_sql($concurrently) ], 0.7,
		[ 'TRUNCATE t', $self->copy_sql(between(0, 300)) ], 0.5,
		[ 'DELETE FROM t', 'VACUUM (INDEX_CLEANUP ON) t', $self->copy_sql(between(1, 300)) ], 0.5,
		[ 'ALTER TABLE t ALTER s TYPE varchar' ], 0.2,
		[ 'DELETE FROM t WHERE id % 4 <> 0', 'VACUUM (INDEX_CLEANUP ON) t' ], 1);
}

# A statement that must be refused, and as what.
sub bad_change
{
	my ($self) = @_;
	my $id = $self->{nextid}++;
	my ($state, $text);

	return [ 'INSERT INTO t (id, x, e) SELECT id, x, e FROM t WHERE e IS NOT NULL ORDER BY id LIMIT 1', '23505' ]
	  if chance(0.3) && $self->{kind} ne 'partitioned' && 0;
	if ($self->column_type eq 'real[]')
	{
		my @v = (1) x ($self->{ndims} + (chance(0.5) ? 1 : 0));
		$v[ below(scalar @v) ] = pick('NaN', 'Infinity', '-Infinity') if @v == $self->{ndims};
		$text = '{' . join(',', @v) . '}';
	}
	else
	{
		$text = $self->{type} eq 'bitvec' ? '1' x ($self->{ndims} + 1) : '[' . join(',', (1) x ($self->{ndims} + 1)) . ']';
	}
	return [ "INSERT INTO t (id, x, e) VALUES ($id, 0.1, '$text')", '22' ];
}

1;
