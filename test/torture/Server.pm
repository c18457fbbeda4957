# test/torture/Server.pm
#       A throw-away PostgreSQL that may be killed: made, started, struck, brought
#       back, and gone when the program ends.
#
# Knows nothing of qvec.  Programs are found in TORTURE_BIN; data and sockets lie below
# TORTURE_DIR, which test/torture/run and test/all make and remove.

package Server;

use strict;
use warnings;

use File::Path qw(remove_tree);
use POSIX ();
use Session;
use Time::HiRes qw(sleep time);

my $bin = $ENV{TORTURE_BIN} // die "TORTURE_BIN is not set; sh test/torture/run sets it\n";
my $base = $ENV{TORTURE_DIR} // die "TORTURE_DIR is not set; sh test/torture/run sets it\n";
my @all;
my $owner = $$;

END
{
	my $status = $?;
	if ($$ == $owner) { $_->remove foreach @all }
	$? = $status;
}
foreach my $signal (qw(INT TERM HUP)) { $SIG{$signal} = sub { exit 1 } }

sub run
{
	my @command = @_;
	my $pid = fork // die "cannot fork: $!\n";

	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null' or POSIX::_exit(126);
		open STDOUT, '>>', "$base/commands.log" or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return $? == 0;
}

# A server with a fresh cluster; further arguments are lines of postgresql.conf.
sub new
{
	my ($class, $name, @conf) = @_;
	my $self = bless { name => $name, dir => "$base/$name", socket_dir => "$base/$name.s", log => "$base/$name.log" }, $class;

	push @all, $self;
	run("$bin/initdb", '-D', $self->{dir}, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync')
	  or die "initdb failed: $base/commands.log\n";
	$self->configure('fsync = off', 'autovacuum = off', 'jit = off', 'restart_after_crash = on', @conf);
	return $self;
}

# Another with a copy of a stopped one's files.
sub copy_of
{
	my ($class, $from, $name, @conf) = @_;
	my $self = bless { name => $name, dir => "$base/$name", socket_dir => "$base/$name.s", log => "$base/$name.log" }, $class;

	push @all, $self;
	run('cp', '-a', $from->{dir}, $self->{dir}) or die "cannot copy $from->{dir}\n";
	$self->configure(@conf);
	return $self;
}

sub configure
{
	my ($self, @lines) = @_;

	mkdir $self->{socket_dir}, 0700;
	open my $file, '>>', "$self->{dir}/postgresql.conf" or die "cannot write: $!\n";
	print $file "$_\n" foreach "listen_addresses = ''", "unix_socket_directories = '$self->{socket_dir}'", @lines;
	print $file slurp_config();
	close $file;
	return;
}

# More settings for every server, from the file that PostgreSQL's own tests take them from.
sub slurp_config
{
	open my $file, '<', $ENV{TEMP_CONFIG} // '/dev/null' or die "cannot read $ENV{TEMP_CONFIG}: $!\n";
	return <$file>;
}

sub dir { return $_[0]{dir} }
sub socket_dir { return $_[0]{socket_dir} }

# Start, and wait until it takes sessions.
sub start
{
	my ($self) = @_;

	return run("$bin/pg_ctl", '-D', $self->{dir}, '-l', $self->{log}, '-s', '-w', '-t', '120', 'start');
}

# Start without waiting for the end of recovery.
sub start_no_wait
{
	my ($self) = @_;

	return run("$bin/pg_ctl", '-D', $self->{dir}, '-l', $self->{log}, '-s', '-W', 'start');
}

sub stop
{
	my ($self, $mode) = @_;

	return run("$bin/pg_ctl", '-D', $self->{dir}, '-s', '-w', '-t', '120', '-m', $mode // 'fast', 'stop');
}

sub promote
{
	my ($self) = @_;

	return run("$bin/pg_ctl", '-D', $self->{dir}, '-s', '-w', '-t', '120', 'promote');
}

sub session
{
	my ($self, $database) = @_;

	return Session->new("$self->{socket_dir}/.s.PGSQL.5432", $database // 'postgres');
}

# The same, from a server that may be on its way up; undef after timeout seconds.
sub session_in_time
{
	my ($self, $timeout, $database) = @_;
	my $until = time + $timeout;

	while (time < $until)
	{
		my $session = $self->session($database);
		return $session if $session;
		sleep 0.03;
	}
	return;
}

sub postmaster
{
	my ($self) = @_;

	open my $file, '<', "$self->{dir}/postmaster.pid" or return 0;
	my $pid = <$file> // '';
	close $file;
	return $pid =~ /^(\d+)/ && kill(0, $1) ? $1 : 0;
}

# Processes of the server by what they call themselves: pid => title.
sub processes
{
	my ($self) = @_;
	my $postmaster = $self->postmaster or return {};
	my %found;

	foreach my $path (glob '/proc/[0-9]*')
	{
		open my $file, '<', "$path/stat" or next;
		my $stat = <$file> // '';
		close $file;
		next if $stat !~ /^(\d+) \(.*\) \S (\d+)/ || $2 != $postmaster;
		my $pid = $1;
		open $file, '<', "$path/cmdline" or next;
		my $title = <$file> // '';
		close $file;
		$title =~ tr/\0/ /;
		$found{$pid} = $title;
	}
	return \%found;
}

# kill -9 of the postmaster; its children follow by themselves or are killed too.
sub kill_postmaster
{
	my ($self, $children_too) = @_;
	my $pid = $self->postmaster or return 0;
	my @children = keys %{ $self->processes };

	kill 'KILL', $pid;
	kill 'KILL', @children if $children_too;
	return \@children;
}

# Start after a kill: the old processes may take a while to go.
sub start_again
{
	my ($self, $timeout) = @_;
	my $until = time + $timeout;

	while (time < $until)
	{
		return 1 if $self->postmaster ? $self->session : $self->start;
		sleep 0.1;
	}
	return 0;
}

sub log_size { return -s $_[0]{log} // 0 }

# Lines of the log since an offset that match.
sub log_lines
{
	my ($self, $offset, $pattern) = @_;

	open my $file, '<', $self->{log} or return;
	seek $file, $offset, 0;
	my @lines = grep { $_ =~ $pattern } <$file>;
	close $file;
	chomp @lines;
	return @lines;
}

# What no log may ever say.  A kill -9 is ours.
sub log_faults
{
	my ($self, $offset) = @_;

	return $self->log_lines($offset // 0, qr/TRAP:|PANIC:|terminated by signal (?!9\b)|WARNING:.*(?:memory|leak)|AddressSanitizer/);
}

# Copies of all files as they are now, for whoever looks into a fault: a server started on one recovers as after a crash.
sub keep_files
{
	foreach my $self (grep { -d $_->{dir} } @all) { run('cp', '-a', $self->{dir}, "$self->{dir}.fault") }
	return;
}

sub remove
{
	my ($self) = @_;

	if (my $pid = $self->postmaster)
	{
		$self->stop('immediate') or kill 'KILL', $pid, keys %{ $self->processes };
	}
	return if $ENV{TORTURE_KEEP};
	remove_tree($self->{dir}, $self->{socket_dir});
	return;
}

1;
