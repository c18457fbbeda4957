# test/stress/Session.pm
#       One psql that stays connected, is sent statements, and hands back what each printed.
#
# Statements may be sent ahead of their results, so that several sessions run side by side.
# Knows nothing of what the statements mean.

package Session;

use strict;
use warnings;

use IO::Handle;
use POSIX ();
use Time::HiRes 'time';

my $marker = 'end-of-statement-of-stress';

# How long to wait for a statement before its backend is taken for one that cannot be cancelled.
our $patience = 150;

# new(name, log, setup): log is a list that gets every statement; setup is run at each connection.
sub new
{
	my ($class, $name, $log, $setup) = @_;

	return bless { name => $name, log => $log, setup => $setup, pid => 0, pending => [] }, $class;
}

sub connected
{
	return $_[0]{pid} != 0;
}

# Connect, trying for a minute: the server may be on its way back from a crash.
sub connect
{
	my ($self) = @_;

	for (1 .. 240)
	{
		$self->start;
		$self->{pending} = [];
		$self->send($self->{setup});
		$self->send('SELECT pg_backend_pid()');
		$self->result;
		my $answer = $self->{pid} ? $self->result : undef;
		if ($answer && !$answer->{dead} && @{ $answer->{lines} })
		{
			$self->{backend} = $answer->{lines}[0];
			return $self;
		}
		$self->disconnect;
		select undef, undef, undef, 0.25;
	}
	die "cannot connect to the server\n";
}

sub start
{
	my ($self) = @_;

	pipe(my $in_r, my $in_w) or die "pipe: $!";
	pipe(my $out_r, my $out_w) or die "pipe: $!";
	pipe(my $err_r, my $err_w) or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if (!$pid)
	{
		open STDIN, '<&', $in_r or POSIX::_exit(1);
		open STDOUT, '>&', $out_w or POSIX::_exit(1);
		open STDERR, '>&', $err_w or POSIX::_exit(1);
		$^F = 2;
		exec { $ENV{STRESS_PSQL} || 'psql' } 'psql', '-X', '-A', '-t', '-q', '-v', 'VERBOSITY=verbose' or POSIX::_exit(1);
	}
	close $_ for $in_r, $out_w, $err_w;
	@$self{qw(pid in out err outbuf errbuf)} = ($pid, $in_w, $out_r, $err_r, '', '');
	$in_w->autoflush(1);
	return;
}

sub disconnect
{
	my ($self) = @_;

	return if !$self->{pid};
	close $self->{$_} for qw(in out err);
	# psql ends when its input does; one that waits for the server is told to.
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	$self->{pending} = [];
	return;
}

# Send one statement; its result is fetched by result(), in the order of sending.
sub send
{
	my ($self, $sql) = @_;

	push @{ $self->{log} }, [ $self->{name}, $sql ] if $self->{log} && $sql ne $self->{setup};
	push @{ $self->{pending} }, $sql;
	return if !$self->{pid};
	$sql .= ';' if $sql !~ /(?:;|\\\.\n)\s*$/ && $sql !~ /^\\/;
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } "$sql\n\\echo $marker\n\\warn $marker\n";
	return;
}

# Has the oldest statement that was sent ended?  Does not wait.
sub ended
{
	my ($self) = @_;

	return 1 if !$self->{pid};
	$self->gather(0);
	return !$self->{pid} || $self->complete;
}

sub busy
{
	return scalar @{ $_[0]{pending} };
}

sub complete
{
	my ($self) = @_;

	return $self->{outbuf} =~ /^\Q$marker\E\n/m && $self->{errbuf} =~ /^\Q$marker\E\n/m;
}

# Read what there is, waiting at most so many seconds; marks the session as gone at end of file.
sub gather
{
	my ($self, $seconds) = @_;
	my $bits = '';

	vec($bits, fileno($self->{$_}), 1) = 1 for qw(out err);
	my $n = select(my $ready = $bits, undef, undef, $seconds);
	return if $n <= 0;
	foreach my $which (qw(out err))
	{
		next if !vec($ready, fileno($self->{$which}), 1);
		my $got = sysread $self->{$which}, $self->{ $which . 'buf' }, 65536, length $self->{ $which . 'buf' };
		$self->{ended} = 1 if !$got;
	}
	if (delete $self->{ended})
	{
		# The other stream may hold the message why.
		while (sysread $self->{err}, $self->{errbuf}, 65536, length $self->{errbuf}) { }
		$self->{last_words} = $self->{errbuf};
		my @pending = @{ $self->{pending} };
		$self->disconnect;
		$self->{pending} = \@pending;
	}
	return;
}

# The result of the oldest statement sent: {lines, state, message, dead, stuck, sql, seconds}.
# state is '' if it succeeded.
sub result
{
	my ($self) = @_;
	my $sql = shift @{ $self->{pending} };
	my $started = time;
	my $deadline = $started + $patience;

	while ($self->{pid} && !$self->complete)
	{
		$self->gather(1);
		return $self->give_up($sql) if $self->{pid} && time > $deadline;
	}
	if (!$self->{pid})
	{
		$self->{pending} = [];
		return { sql => $sql, lines => [], state => 'dead', dead => 1, message => $self->{last_words} // '' };
	}
	my $out = take($self->{outbuf});
	my $err = take($self->{errbuf});
	my ($state, $message) = $err =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}): (.*)/;
	$state = 'psql', $message = $err if !defined $state && $err =~ /error|invalid/i && $err !~ /(?:WARNING|NOTICE|INFO):/;
	return { sql => $sql, lines => [ split /\n/, $out ], state => $state // '', message => $message // '', stderr => $err, seconds => time - $started };
}

# Cut off the buffer what stands before the marker.
sub take
{
	$_[0] =~ s/\A(.*?)^\Q$marker\E\n//ms;
	return $1;
}

# A backend that no timeout reaches: end it, so that the run can go on.
sub give_up
{
	my ($self, $sql) = @_;

	kill 'ABRT', $self->{backend} if $self->{backend};
	$self->disconnect;
	return { sql => $sql, lines => [], state => 'stuck', dead => 1, stuck => 1, message => "no answer in $patience s" };
}

# Send one statement and wait for it.
sub run
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->result;
}

1;
