# test/stress/Chance.pm
#       Random choices that a seed repeats anywhere: perl's generator differs between builds.
#
# Knows nothing of vectors or SQL.

package Chance;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(seed_chance uniform normal below between chance pick weighted shuffled);

my $state = 1;

# xorshift32; the first numbers of seeds that follow one another are much alike, so they are dropped.
sub seed_chance
{
	my ($seed) = @_;

	$state = ($seed * 2654435761 + 12345) & 0xFFFFFFFF || 1;
	uniform() for 1 .. 16;
	return;
}

sub uniform
{
	$state ^= ($state << 13) & 0xFFFFFFFF;
	$state ^= $state >> 17;
	$state ^= ($state << 5) & 0xFFFFFFFF;
	return $state / 4294967296;
}

# Near enough to normal: the sum of three uniform numbers, scaled to variance 1.
sub normal
{
	return (uniform() + uniform() + uniform() - 1.5) * 2;
}

# A whole number of 0 .. n - 1.
sub below
{
	return int(uniform() * $_[0]);
}

# A whole number of low .. high.
sub between
{
	return $_[0] + int(uniform() * ($_[1] - $_[0] + 1));
}

sub chance
{
	return uniform() < $_[0];
}

sub pick
{
	return $_[ below(scalar @_) ];
}

# Of pairs (value, weight) a value, as often as its weight says.
sub weighted
{
	my @pairs = @_;
	my $total = 0;

	for (my $i = 1; $i < @pairs; $i += 2)
	{
		$total += $pairs[$i];
	}
	my $at = uniform() * $total;
	for (my $i = 0; $i < @pairs; $i += 2)
	{
		$at -= $pairs[ $i + 1 ];
		return $pairs[$i] if $at < 0;
	}
	return $pairs[-2];
}

sub shuffled
{
	my @list = @_;

	for (my $i = $#list; $i > 0; $i--)
	{
		my $j = below($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

1;
