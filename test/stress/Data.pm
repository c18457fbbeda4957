# test/stress/Data.pm
#       Vectors of many kinds, and how each type writes them.
#
# A source is made for a table: kind of data, number of dimensions, type.  It gives rows and queries
# as SQL literals.  Knows nothing of tables, indexes or statements.

package Data;

use strict;
use warnings;

use Chance;

# Kinds, and how often each is taken.
my @kinds = (
	clusters => 5, uniform => 2, duplicates => 3, equal => 2, dominating => 2, tiny => 1, huge => 1,
	norms => 2, integers => 3, offcentre => 2, sparse => 1, line => 1, far_clusters => 1);

# new(type, metric, ndims)
sub new
{
	my ($class, $type, $metric, $ndims) = @_;
	my $self = bless { type => $type, metric => $metric, ndims => $ndims, kind => weighted(@kinds) }, $class;
	my $spread = $self->{kind} eq 'far_clusters' ? 20 : 1;

	$self->{nclusters} = pick(1, 3, 10, 40);
	$self->{centers} = [ map { $self->noise($spread) } 1 .. $self->{nclusters} ];
	$self->{width} = pick(0.1, 0.5, 1);
	$self->{direction} = $self->noise(1);
	$self->{shift} = $self->{kind} eq 'offcentre' ? pick(1, 10, 1000) : 0;
	$self->{nulls} = chance(0.3) ? pick(0.02, 0.3) : 0;
	$self->{zeros} = chance(0.3) ? pick(0.02, 0.3) : 0;
	# qvec8: whole numbers, each vector's own scale, or one interval for all.
	$self->{quantizer} = pick('codes', 'own', 'interval');
	# bitvec: bits that are set.
	$self->{threshold} = pick(-1, 0, 0, 0, 1.5);
	$self->{few} = [ map { $self->vector } 1 .. pick(1, 2, 5, 30) ] if $self->{kind} =~ /duplicates|equal/;
	return $self;
}

sub noise
{
	my ($self, $scale) = @_;

	return [ map { $scale * normal() } 1 .. $self->{ndims} ];
}

# A vector of the kind, as a list of numbers; sets the cluster it is of.
sub vector
{
	my ($self) = @_;
	my $kind = $self->{kind};

	$self->{cluster} = below($self->{nclusters});
	if ($self->{few})
	{
		$self->{cluster} = $kind eq 'equal' && chance(0.9) ? 0 : below(scalar @{ $self->{few} });
		return $self->{few}[ $self->{cluster} ] if $kind eq 'equal' || chance(0.9);
	}
	return [ map { between(-2, 2) } 1 .. $self->{ndims} ] if $kind eq 'integers';
	return [ map { chance(0.1) ? normal() : 0 } 1 .. $self->{ndims} ] if $kind eq 'sparse';
	if ($kind eq 'line')
	{
		my $at = normal();
		return [ map { $at * $_ } @{ $self->{direction} } ];
	}
	my $center = $self->{centers}[ $self->{cluster} % $self->{nclusters} ];
	my $factor = 1;
	$factor = 10**-between(3, 18) if $kind eq 'tiny';
	$factor = 10**between(5, 16) if $kind eq 'huge';
	$factor = exp(2 * normal()) if $kind eq 'norms';
	my $shift = $self->{shift};
	my $width = $self->{width};
	my @v = $kind eq 'uniform'
	  ? map { 2 * uniform() - 1 } 1 .. $self->{ndims}
	  : map { $factor * ($_ + $width * normal()) + $shift } @$center;
	$v[0] *= 1000 if $kind eq 'dominating';
	return \@v;
}

# A row's value, as a literal without its cast; NULL may come.
sub row
{
	my ($self) = @_;
	my $v = $self->vector;

	return undef if $self->{nulls} && chance($self->{nulls});
	$v = [ (0) x $self->{ndims} ] if $self->{zeros} && chance($self->{zeros});
	return $self->literal($v);
}

# A query: {sql, odd}; odd are those that no distance can be said of beforehand.
sub query
{
	my ($self) = @_;
	my $way = weighted(row => 55, noise => 20, other => 12, scaled => 12, zero => 3, far => 3);
	my $v = $self->vector;

	$v = [ map { $_ * (1 + 0.3 * normal()) } @$v ] if $way eq 'noise';
	$v = $self->noise(1) if $way eq 'other';
	$v = [ (0) x $self->{ndims} ] if $way eq 'zero';
	$v = [ map { 1e6 * $_ + 1e5 } @$v ] if $way eq 'far';
	# Far shorter or longer than the rows: for inner products and cosines that changes no order.
	if ($way eq 'scaled')
	{
		my $factor = 10**pick(-12, -6, -3, -2, 3, 9);
		$v = [ map { $factor * $_ } @$v ];
	}
	my $text = $self->literal($v);
	return { text => $text, odd => $self->{metric} eq 'cosine' && is_zero($text), way => $way };
}

# Does the literal stand for a vector of length zero?  (0.5 + -16 * 0.03125 is what an interval's zero would be.)
sub is_zero
{
	my ($text) = @_;

	return $text =~ /^\[-16(?:,-16)*\]\*0\.03125\+0\.5$/ || ($text !~ /\+0\.5$/ && $text =~ /^([^*]*)/ && $1 !~ /[1-9]/);
}

sub literal
{
	my ($self, $v) = @_;
	my $type = $self->{type};

	return '{' . join(',', map { sprintf '%.7g', $_ } @$v) . '}' if $type eq 'real[]';
	return join '', map { $_ > $self->{threshold} ? 1 : 0 } @$v if $type eq 'bitvec';
	return $self->bytes($v);
}

# A qvec8.
sub bytes
{
	my ($self, $v) = @_;
	my ($scale, $offset) = (1, 0);

	if ($self->{quantizer} eq 'own')
	{
		my $max = 0;
		foreach (@$v)
		{
			$max = abs if abs > $max;
		}
		$scale = ($max || 1) / 127;
	}
	($scale, $offset) = (0.03125, 0.5) if $self->{quantizer} eq 'interval';
	my @codes = map { my $c = POSIX::floor(($_ - $offset) / $scale + 0.5); $c < -128 ? -128 : $c > 127 ? 127 : $c } @$v;
	my $text = '[' . join(',', @codes) . ']';
	$text .= sprintf '*%.7g', $scale if $scale != 1;
	$text .= sprintf '%+.7g', $offset if $offset != 0;
	return $text;
}

1;
