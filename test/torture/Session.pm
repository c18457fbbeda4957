# test/torture/Session.pm
#       One connection to a server, spoken in PostgreSQL's own protocol: what psql
#       cannot do, which is many statements under way at once, parameters in binary,
#       and the SQLSTATE of each.
#
# Knows nothing of qvec.  Unix sockets and trust authentication only.  A result is
# { state => SQLSTATE or 00000, message, rows => of the last statement, sets => of
# each, lost => true where the connection went }.

package Session;

use strict;
use warnings;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Socket::UNIX;
use Time::HiRes qw(time);

# A session, or undef where the server takes none.
sub new
{
	my ($class, $socket_path, $database, $timeout) = @_;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $socket_path) or return;
	my $self = bless { socket => $socket, out => '', in => '', done => [], now => undef, lost => 0 }, $class;

	$socket->blocking(0);
	$self->begin_result;
	my $parameters = pack('N', 196608) . "user\0postgres\0database\0$database\0\0";
	$self->{out} = pack('N', 4 + length $parameters) . $parameters;
	my $hello = $self->wait($timeout // 60);
	return if !$hello || $hello->{lost} || $hello->{state} ne '00000';
	return $self;
}

sub pid { return $_[0]{pid} }
sub socket { return $_[0]{socket} }
sub lost { return $_[0]{lost} }

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

# ---- asking

# Send statements; wait() has the result.
sub send
{
	my ($self, $sql) = @_;

	utf8::encode($sql) if utf8::is_utf8($sql);
	$self->{out} .= message('Q', "$sql\0");
	$self->flush(0);
	return $self;
}

sub query
{
	my ($self, $sql, $timeout) = @_;

	$self->send($sql);
	return $self->wait($timeout // 600) // { state => 'timeout', message => 'no answer', rows => [], sets => [], lost => 0 };
}

# The rows of a statement that must succeed.
sub rows
{
	my ($self, $sql) = @_;
	my $result = $self->query($sql);

	die "$result->{state}: " . ($result->{message} // 'connection lost') . "\n$sql\n" if $result->{state} ne '00000' || $result->{lost};
	return $result->{rows};
}

# Its only value.
sub value { my $rows = rows(@_); return @$rows ? $rows->[0][0] : undef }

sub prepare
{
	my ($self, $name, $sql) = @_;

	$self->{out} .= message('P', "$name\0$sql\0" . pack('n', 0)) . message('S', '');
	return $self->wait(60);
}

# Run a prepared statement; wait() has the result.  Formats: 0 text, 1 binary, of each
# parameter and for all results.
sub execute
{
	my ($self, $name, $formats, $params, $result_format) = @_;
	my $body = "\0$name\0" . pack('n n*', scalar @$formats, @$formats) . pack('n', scalar @$params);

	foreach my $param (@$params)
	{
		$body .= defined $param ? pack('N', length $param) . $param : pack('N', 0xFFFFFFFF);
	}
	$body .= pack('n n', 1, $result_format // 0);
	$self->{out} .= message('B', $body) . message('E', "\0" . pack('N', 0)) . message('S', '');
	return $self;
}

sub close
{
	my ($self) = @_;

	local $SIG{PIPE} = 'IGNORE';
	syswrite $self->{socket}, message('X', '') if !$self->{lost};
	CORE::close $self->{socket};
	$self->{lost} = 1;
	return;
}

# Go without a word, as a client that died.
sub drop
{
	my ($self) = @_;

	CORE::close $self->{socket};
	$self->{lost} = 1;
	return;
}

# ---- hearing

# The next result; undef after timeout seconds.
sub wait
{
	my ($self, $timeout) = @_;
	my $until = time + $timeout;

	while (!@{ $self->{done} })
	{
		my $left = $until - time;
		return if $left <= 0;
		$self->flush($left);
	}
	return shift @{ $self->{done} };
}

# The next result if it is there.
sub poll
{
	my ($self) = @_;

	$self->flush(0) if !@{ $self->{done} };
	return shift @{ $self->{done} };
}

# Write what waits to be written and read what is there, up to a time.
sub flush
{
	my ($self, $timeout) = @_;

	return $self->finish_lost if $self->{lost};
	my ($r, $w) = ('', '');
	vec($r, fileno $self->{socket}, 1) = 1;
	vec($w, fileno $self->{socket}, 1) = 1 if length $self->{out};
	return if !CORE::select($r, $w, undef, $timeout) || $! == EINTR && !length $r;
	if (length $self->{out} && vec($w, fileno $self->{socket}, 1))
	{
		local $SIG{PIPE} = 'IGNORE';
		my $n = syswrite $self->{socket}, $self->{out}, 65536;
		if (defined $n) { substr($self->{out}, 0, $n) = '' }
		elsif ($! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR) { $self->{out} = '' }
	}
	if (vec($r, fileno $self->{socket}, 1))
	{
		my $n = sysread $self->{socket}, $self->{in}, 262144, length $self->{in};
		if (!defined $n ? $! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR : $n == 0)
		{
			$self->{lost} = 1;
			return $self->finish_lost;
		}
		$self->take_messages;
	}
	return;
}

# What was asked and not answered when the connection went.
sub finish_lost
{
	my ($self) = @_;

	$self->{now}{lost} = 1;
	$self->{now}{state} = '08006' if $self->{now}{state} eq '00000';
	push @{ $self->{done} }, { %{ $self->{now} } };
	return;
}

sub begin_result
{
	my ($self) = @_;

	$self->{now} = { state => '00000', message => undef, rows => [], sets => [], lost => 0 };
	return;
}

sub take_messages
{
	my ($self) = @_;
	my $at = 0;

	while (length($self->{in}) - $at >= 5)
	{
		my ($type, $length) = unpack 'a N', substr $self->{in}, $at, 5;
		last if length($self->{in}) - $at < 1 + $length;
		$self->take_message($type, substr $self->{in}, $at + 5, $length - 4);
		$at += 1 + $length;
	}
	substr($self->{in}, 0, $at) = '';
	return;
}

sub take_message
{
	my ($self, $type, $body) = @_;
	my $now = $self->{now};

	if ($type eq 'D') { push @{ $now->{rows} }, row_of($body) }
	elsif ($type eq 'T') { $now->{rows} = [] }
	elsif ($type eq 'C') { push @{ $now->{sets} }, $now->{rows} }
	elsif ($type eq 'E')
	{
		my %field = map { substr($_, 0, 1) => substr($_, 1) } grep { length } split /\0/, $body;
		($now->{state}, $now->{message}) = ($field{C}, "$field{S}: $field{M}" . ($field{D} ? " ($field{D})" : '')) if $now->{state} eq '00000';
	}
	elsif ($type eq 'K') { ($self->{pid}) = unpack 'N', $body }
	elsif ($type eq 'G') { $self->{out} .= message('f', "none\0") }
	elsif ($type eq 'Z')
	{
		push @{ $self->{done} }, $now;
		$self->begin_result;
	}
	return;
}

sub row_of
{
	my ($body) = @_;
	my ($n, $at, @row) = (unpack('n', $body), 2);

	foreach (1 .. $n)
	{
		my $length = unpack 'l>', substr $body, $at, 4;
		$at += 4;
		push @row, $length < 0 ? undef : substr $body, $at, $length;
		$at += $length if $length > 0;
	}
	return \@row;
}

1;
