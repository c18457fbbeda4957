# test/torture/Torture.pm
#       What the long tests share: options, seeded randomness, TAP, and the SQL that
#       makes their vectors.

package Torture;

use strict;
use warnings;

use Exporter 'import';
use Getopt::Long ();
use Server;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(options seed_for number chance pick figures fault faults elapsed
  vector_functions table_of_all_types index_names index_of by_index against_table disagreement must check_indexes);

my $began = time;
my $seed;
my $nfaults = 0;

# Options by name => default, and --seed.  Prints the command that does the same again.
sub options
{
	my (%default) = @_;
	my %value = (%default, seed => (time * 1000 + $$) % 1_000_000_007);

	Getopt::Long::GetOptions(\%value, map { "$_=s" } keys %value) or exit 2;
	$seed = int $value{seed};
	(my $name = $0) =~ s,.*/,,;
	print "# $name ", join(' ', map { "--$_ $value{$_}" } grep { defined $value{$_} && $value{$_} ne '' } sort keys %value), "\n";
	$| = 1;
	return \%value;
}

# Randomness of its own for each numbered piece of work, so that one can be done again alone.  perl's generator has been
# the same everywhere since 5.20.
sub seed_for
{
	my ($n) = @_;

	srand(($seed * 2654435761 + $n * 40503 + 12345) % 4294967291);
	rand for 1 .. 3;
	return;
}

sub number { return int rand $_[0] }
sub chance { return rand() < $_[0] }
sub pick { return $_[ number(scalar @_) ] }
sub elapsed { return time - $began }

# A fault found: a failed test, at most so many of them in full.
sub fault
{
	my ($what, @details) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	fail("$what (seed $seed)");
	diag($_) foreach @details;
	Server::keep_files() if $ENV{TORTURE_KEEP} && $nfaults == 0;
	BAIL_OUT('too many faults') if ++$nfaults >= 100;
	return;
}

sub faults { return $nfaults }

# The line for the table in README.md.
sub figures
{
	my ($what, @figures) = @_;
	my $minutes = sprintf '%.1f', elapsed() / 60;

	note("figures of $what: seed $seed, $minutes minutes, " . join(', ', @figures));
	return;
}

# SQL functions: vector i of 16 clusters, as real[]; each element is a function of i alone.
sub vector_functions
{
	return q{
CREATE FUNCTION hv(i bigint, d int) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT array_agg((hashint8((i & 15) * 7919 + j * 104729) / 2147483648.0 + 0.7 * hashint8(i * 1000 + j) / 2147483648.0)::real ORDER BY j)
	FROM generate_series(1, d) j $$};
}

# Table t, and a function that makes its rows: of an id and a version, everything else follows.
sub table_of_all_types
{
	return q{
CREATE TABLE t (id bigint PRIMARY KEY, ver int, v real[], b bitvec(96), q qvec8(48), d bitvec(6));
CREATE FUNCTION made(from_id bigint, to_id bigint, ver int) RETURNS SETOF t LANGUAGE sql AS $$
	SELECT i, ver, subvector(h, 1, 48), binary_quantize(h), quantize_int8(subvector(h, 49, 48)), binary_quantize(subvector(h, 1, 6))
	FROM (SELECT i, hv(i + ver * 10000019::bigint, 96) AS h FROM generate_series(from_id, to_id) i OFFSET 0) AS a $$};
}

# Indexes of t, one of each shape.  exact: a pass over all codes finds the nearest, for the codes are the values.
my %index = (
	t_b => { column => 'b', op => '<~>', on => 't USING qhnsw (b)', query => 'binary_quantize(hv(%d, 96))', exact => 1 },
	t_d => { column => 'd', op => '<~>', on => 't USING qhnsw (d, ver, id) WITH (m = 4)', query => 'binary_quantize(hv(%d, 6))', exact => 1 },
	t_q => { column => 'q', op => '<->', on => 't USING qhnsw (q qvec8_l2_ops) WITH (refine = int4, hub_fraction = 0.05)', query => 'quantize_int8(hv(%d, 48))' },
	t_v => { column => 'v', op => '<=>', on => 't USING qhnsw (v)', query => 'hv(%d, 48)' },
	t_r => { column => 'v', op => '<->', on => 't USING qhnsw (v real_l2_ops, ver) INCLUDE (id) WITH (refine = int8, m = 4)', query => 'hv(%d, 48)' },
	t_x => { column => 'v', op => '<#>', on => "t USING qhnsw (v real_ip_ops) WITH (compression = '8x', hub_fraction = 0.1, m_low = 6)", query => 'hv(%d, 48)' });

sub index_names { return sort keys %index }
sub index_of { return $index{ $_[0] } }

# Settings that make a scan use the index.
sub by_index
{
	my ($flat) = @_;

	return "SET enable_seqscan = off; SET enable_sort = off; SET qhnsw.flat = $flat";
}

# One statement, so one snapshot: an index scan beside the table itself.  Its row: how many rows came, how many different ones,
# how many after a farther one, how many that are not in the table at that distance, and how many as near as the nearest that many.
sub against_table
{
	my ($name, $limit, $i) = @_;
	my $ix = $index{$name};
	my $d = "$ix->{column} $ix->{op} " . sprintf $ix->{query}, $i;

	return "WITH a AS MATERIALIZED (SELECT id, $d AS d FROM t ORDER BY $d LIMIT $limit),
		x AS MATERIALIZED (SELECT id, $d AS d FROM t OFFSET 0),
		n AS (SELECT *, row_number() OVER () AS n FROM a), o AS (SELECT *, lag(d) OVER (ORDER BY n) > d AS late FROM n)
		SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE late),
			count(*) FILTER (WHERE NOT EXISTS (SELECT FROM x WHERE x.id = o.id AND x.d = o.d)),
			count(*) FILTER (WHERE d <= (SELECT max(d) FROM (SELECT d FROM x ORDER BY d LIMIT $limit) AS e)) FROM o";
}

# What is wrong with such a row; nothing, or a description.
sub disagreement
{
	my ($name, $limit, $flat, $row) = @_;
	my ($came, $different, $late, $wrong, $near) = @$row;
	my @what;

	push @what, "$came rows for LIMIT $limit" if $came != $limit;
	push @what, $came - $different . ' repeated' if $came != $different;
	push @what, "$late out of order" if $late;
	push @what, "$wrong that are not in the table at that distance" if $wrong;
	push @what, "only $near of the nearest in a pass over all codes" if $index{$name}{exact} && $flat eq 'on' && $near != $came;
	return join ', ', @what;
}

# Run what must succeed.
sub must
{
	my ($session, $when, $sql) = @_;
	my $result = $session->query($sql);

	fault("$when: $result->{state} " . ($result->{message} // 'the connection went'), $sql) if $result->{state} ne '00000' || $result->{lost};
	return;
}

# Indexes that the checker finds a fault in, or cannot check.
sub check_indexes
{
	my ($session, $when) = @_;
	my $many = 0;

	foreach my $row (@{ $session->rows(q{SELECT i.oid::regclass FROM pg_class i JOIN pg_am a ON a.oid = i.relam WHERE amname = 'qhnsw' ORDER BY 1}) })
	{
		my $result = $session->query("SELECT * FROM qhnsw_check('$row->[0]', true) LIMIT 5");
		my @faults = map { join ' ', map { $_ // '' } @$_ } @{ $result->{rows} };

		$many++;
		fault("$when: $row->[0] is not sound", $result->{state}, $result->{message} // '', @faults) if $result->{state} ne '00000' || @faults;
	}
	return $many;
}

1;
