# test/stress/Verdict.pm
#       What must hold of an answer, whatever the statement was.
#
# An oracle is the answer of a sequential scan in the same snapshot: {distance => {id => text}, ...}.  A verdict is a list
# of pairs (kind of fault, what was seen); none if all is well.  Runs no SQL.

package Verdict;

use strict;
use warnings;

# The oracle out of lines "id|distance|distance to itself": rows that the index has.
sub oracle
{
	my ($lines, $metric) = @_;
	my (%distance, %absent);

	foreach (@$lines)
	{
		my ($id, $d, $self) = split /\|/, $_, -1;
		# The index has no NULLs, and under cosine no vector of length zero.
		if ($self eq '' || ($metric eq 'cosine' && $self eq 'NaN'))
		{
			$absent{$id} = $d;
		}
		else
		{
			$distance{$id} = $d;
		}
	}
	return { distance => \%distance, absent => \%absent, count => scalar keys %distance };
}

# Distances of an oracle in ascending order, NaN last as in SQL.
sub ascending
{
	my ($oracle) = @_;

	$oracle->{ascending} //= [ sort { $a <=> $b } map { number($_) } values %{ $oracle->{distance} } ];
	return $oracle->{ascending};
}

# NaN and NULL come after all numbers.
sub number
{
	my ($text) = @_;

	return 9**9**9 if $text eq 'NaN' || $text eq '' || $text eq 'Infinity';
	return -9**9**9 if $text eq '-Infinity';
	return 0 + $text;
}

# rows: [id, distance or ''] in the order returned.  want: limit, offset, ties, by_id, ordered (order must be exact),
# complete (no bound was set: all that qualify must come), partly (but for a condition on the distance, which is answered as approximately
# as a LIMIT), may_be_late with late, exact.
sub faults
{
	my ($oracle, $rows, $want) = @_;
	my @faults = wrong_rows($oracle, $rows);

	return @faults if @faults;
	push @faults, order_faults($oracle, $rows, $want) if $want->{ordered};
	push @faults, count_faults($oracle, $rows, $want);
	push @faults, tie_faults($oracle, $rows, $want) if $want->{ties} && $want->{ordered} && $want->{complete};
	push @faults, exact_faults($oracle, $rows, $want) if $want->{exact} && !@faults;
	return @faults;
}

sub wrong_rows
{
	my ($oracle, $rows) = @_;
	my (%seen, @faults);

	foreach (@$rows)
	{
		my ($id, $d) = @$_;
		my $true = $oracle->{distance}{$id};

		return [ 'repeated row', "row $id came twice" ] if $seen{$id}++;
		return [ 'wrong row', "row $id" . (exists $oracle->{absent}{$id} ? ' (not indexed)' : ' is dead, unknown or does not satisfy the condition') ]
		  if !defined $true;
		return [ 'wrong distance', "row $id: $d, not $true" ] if $d ne '' && $d ne $true;
	}
	return @faults;
}

# Ascending, but for rows that came late in strict order: they stand at the end, in order too, as many as were counted, if that is known.
sub order_faults
{
	my ($oracle, $rows, $want) = @_;
	my ($last, $last_id);
	my $most = $want->{may_be_late} ? $want->{late} // @$rows : 0;
	my $i = 0;

	return if $want->{may_be_late} && $want->{merged};
	foreach (@$rows)
	{
		my $id = $_->[0];
		my $d = number($oracle->{distance}{$id});

		if (defined $last && ($d < $last || ($want->{by_id} && $d == $last && $id < $last_id)))
		{
			return [ 'order', "row $id at $oracle->{distance}{$id} after row $last_id at $oracle->{distance}{$last_id}" ] if @$rows - $i > $most;
			$most = 0;
		}
		($last, $last_id) = ($d, $id);
		$i++;
	}
	return;
}

sub most_late
{
	my ($n) = @_;

	return 3 + int($n / 50);
}

sub count_faults
{
	my ($oracle, $rows, $want) = @_;
	my $got = @$rows;
	my $all = $oracle->{count} - $want->{offset};
	my $most = defined $want->{limit} && $want->{limit} < $all ? $want->{limit} : $all;

	$most = 0 if $most < 0;
	$all = 0 if $all < 0;
	return [ 'too many rows', "$got, not $most" ] if $got > $most && !$want->{ties};
	return if !$want->{complete};
	return [ 'many rows late', "$want->{late} of $all" ] if $want->{may_be_late} && $want->{usual} && defined $want->{late} && $want->{late} > most_late($all);
	# a floor for the loss of most rows only, as that of recall
	return [ 'too few rows', "$got, not $most, of $oracle->{count} that qualify" ] if $want->{partly} ? $got + $want->{offset} < 0.3 * ($most + $want->{offset}) - 3 : $got < $most;
	return;
}

# WITH TIES: every row as far as the last one.
sub tie_faults
{
	my ($oracle, $rows, $want) = @_;

	return if !@$rows;
	my %got = map { $_->[0] => 1 } @$rows;
	my $last = number($oracle->{distance}{ $rows->[-1][0] });
	my @lost = grep { !$got{$_} && number($oracle->{distance}{$_}) == $last } keys %{ $oracle->{distance} };
	my $ties = grep { number($oracle->{distance}{ $_->[0] }) == $last } @$rows;

	# With an offset the first of them may stand before it.
	@lost = () if $want->{offset} && @lost <= $want->{offset} && $ties == @$rows;
	return [ 'ties lost', scalar(@lost) . " rows as far as the last of " . scalar(@$rows) . ", e.g. row $lost[0]" ] if @lost;
	return [ 'too many ties', scalar(@$rows) . " rows, $ties of them ties" ] if @$rows > $want->{limit} && @$rows - $ties >= $want->{limit};
	return;
}

# A scan that looks at every row: the distances are the oracle's, in whatever order they came.
sub exact_faults
{
	my ($oracle, $rows, $want) = @_;
	my $all = ascending($oracle);
	my @got = sort { $a <=> $b } map { number($oracle->{distance}{ $_->[0] }) } @$rows;
	my $i = $want->{offset};

	foreach my $d (@got)
	{
		return [ 'not exact', "row number $i is at $d, that of all at $all->[$i]" ] if $d != $all->[$i];
		$i++;
	}
	return;
}

# The share of the rows returned that are among the nearest so many.
sub recall
{
	my ($oracle, $rows, $want) = @_;
	my $all = ascending($oracle);
	my $n = $want->{offset} + $want->{limit};

	$n = @$all if $n > @$all;
	return undef if !$n || $n <= $want->{offset};
	my $farthest = $all->[ $n - 1 ];
	my $near = grep { number($oracle->{distance}{ $_->[0] }) <= $farthest } @$rows;
	$n -= $want->{offset};
	return $near > $n ? 1 : $near / $n;
}

1;
