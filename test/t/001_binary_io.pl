# Binary form of bitvec and qvec8: COPY BINARY round trips, and every malformed
# value is refused with its error, leaving the table and the connection as they were.

use strict;
use warnings;

use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('binary');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION qvec');

# absolute: the server, which works elsewhere, opens it too
my $file = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir() . '/copy.bin');

# Write one row of one column in the format of COPY BINARY.
sub write_row
{
	my ($value) = @_;

	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh "PGCOPY\n\xff\r\n\0", pack('NN', 0, 0);
	print $fh pack('n', 1), pack('N', length($value)), $value;
	print $fh pack('n', 0xFFFF);
	close($fh) or die "$file: $!";
	return;
}

sub bitvec_value
{
	my ($ndims, $bytes) = @_;
	return pack('N', $ndims) . $bytes;
}

# scale and offset are the four bytes of a float, so that any can be sent
sub qvec8_value
{
	my ($ndims, $scale, $offset, $codes) = @_;
	return pack('N', $ndims) . $scale . $offset . $codes;
}

sub float_bytes
{
	return pack('f>', $_[0]);
}

# ---- round trips ----

$node->safe_psql('postgres', q{
	CREATE TABLE sent (id int, b bitvec, b3 bitvec(3), q qvec8, q2 qvec8(2));
	INSERT INTO sent SELECT n, repeat('110', n)::bitvec, '101', ('[' || n - 100 || ',' || n || ']*' || exp(n / 9.0)::real || '-' || n / 7.0)::qvec8, '[1,-128]'
	FROM generate_series(1, 100) AS n;
	INSERT INTO sent VALUES (101, repeat('10', 32000)::bitvec, '000', ('[' || repeat('-1,', 15999) || '1]')::qvec8, NULL), (102, NULL, NULL, NULL, '[0,0]*1e-45+3e38');
	CREATE TABLE received (LIKE sent);
});
$node->safe_psql('postgres', "COPY sent TO '$file' (FORMAT binary)");
$node->safe_psql('postgres', "COPY received FROM '$file' (FORMAT binary)");
is($node->safe_psql('postgres', 'SELECT count(*) FROM received'),
	'102', 'all rows arrive');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM sent s JOIN received r USING (id)
		WHERE (s.b, s.b3, s.q, s.q2) IS NOT DISTINCT FROM (r.b, r.b3, r.q, r.q2)}),
	'102',
	'as they were sent');

# ---- values made by hand ----

sub accepted
{
	my ($type, $value, $expected, $name) = @_;

	write_row($value);
	my $got = $node->safe_psql('postgres',
		"CREATE TEMP TABLE t (v $type); COPY t FROM '$file' (FORMAT binary); SELECT v FROM t");
	is($got, $expected, $name);
	return;
}

accepted('bitvec', bitvec_value(9, "\xA5\x80"), '101001011', 'bitvec of 9 dimensions');
accepted('bitvec(8)', bitvec_value(8, "\x63"), '01100011', 'bitvec without padding');
accepted('qvec8(3)', qvec8_value(3, float_bytes(0.5), float_bytes(-0.25), "\x01\x80\x7f"),
	'[1,-128,127]*0.5-0.25', 'qvec8 with scale and offset');
accepted('qvec8', qvec8_value(1, float_bytes(1), "\x80\0\0\0", "\x05"),
	'[5]', 'offset -0 becomes 0');

# ---- malformed ones ----

sub refused
{
	my ($type, $value, $code, $message, $name) = @_;

	write_row($value);
	# the connection goes on after the error: what it says then comes last
	my ($rc, $out, $err) = $node->psql(
		'postgres',
		"\\set VERBOSITY verbose\nCREATE TEMP TABLE t (v $type);\nCOPY t FROM '$file' (FORMAT binary);\nSELECT count(*) || ' rows' FROM t;",
		on_error_stop => 0);
	like($err, qr/ERROR:  $code: \Q$message\E\n/, $name);
	is($out, '0 rows', "$name: the connection goes on");
	return;
}

my $one = float_bytes(1);
my $zero = float_bytes(0);
my $infinity = "\x7f\x80\0\0";
my $nan = "\x7f\xc0\0\0";

refused('bitvec', '', '08P01', 'insufficient data left in message', 'bitvec: empty');
refused('bitvec', "\0\0\0", '08P01', 'insufficient data left in message', 'bitvec: cut in its length');
refused('bitvec', bitvec_value(0, ''), '22000', 'type bitvec needs at least 1 dimension, not 0', 'bitvec: no dimension');
refused('bitvec', bitvec_value(0xFFFFFFFF, "\0"), '22000', 'type bitvec needs at least 1 dimension, not -1', 'bitvec: negative length');
refused('bitvec', bitvec_value(64001, "\0" x 8001), '54000', 'type bitvec holds at most 64000 dimensions, not 64001', 'bitvec: too long');
refused('bitvec', bitvec_value(0x7FFFFFFF, "\0"), '54000', 'type bitvec holds at most 64000 dimensions, not 2147483647', 'bitvec: length out of all bounds');
refused('bitvec', bitvec_value(9, "\xff"), '22P03', 'bitvec of 9 dimensions takes 2 bytes, not 1', 'bitvec: bytes missing');
refused('bitvec', bitvec_value(8, "\xff\0"), '22P03', 'bitvec of 8 dimensions takes 1 bytes, not 2', 'bitvec: bytes left over');
refused('bitvec', bitvec_value(9, "\xff\xC0"), '22P03', 'bitvec of 9 dimensions has a padding bit set', 'bitvec: padding bit next to the last dimension');
refused('bitvec', bitvec_value(1, "\x81"), '22P03', 'bitvec of 1 dimensions has a padding bit set', 'bitvec: last padding bit');
refused('bitvec(3)', bitvec_value(4, "\xf0"), '22000', 'expected 3 dimensions, not 4', 'bitvec: type modifier');

refused('qvec8', '', '08P01', 'insufficient data left in message', 'qvec8: empty');
refused('qvec8', pack('N', 1) . $one . "\0\0", '08P01', 'insufficient data left in message', 'qvec8: cut in its offset');
refused('qvec8', qvec8_value(0, $one, $zero, ''), '22000', 'type qvec8 needs at least 1 dimension, not 0', 'qvec8: no dimension');
refused('qvec8', qvec8_value(0x80000000, $one, $zero, "\1"), '22000', 'type qvec8 needs at least 1 dimension, not -2147483648', 'qvec8: negative length');
refused('qvec8', qvec8_value(16001, $one, $zero, "\1" x 16001), '54000', 'type qvec8 holds at most 16000 dimensions, not 16001', 'qvec8: too long');
refused('qvec8', qvec8_value(3, $one, $zero, "\1\2"), '22P03', 'qvec8 of 3 dimensions takes 3 code bytes, not 2', 'qvec8: codes missing');
refused('qvec8', qvec8_value(1, $one, $zero, "\1\2"), '22P03', 'qvec8 of 1 dimensions takes 1 code bytes, not 2', 'qvec8: codes left over');
refused('qvec8', qvec8_value(1, $zero, $zero, "\1"), '22P03', 'scale of qvec8 must be finite and greater than 0, not 0', 'qvec8: scale 0');
refused('qvec8', qvec8_value(1, float_bytes(-2), $zero, "\1"), '22P03', 'scale of qvec8 must be finite and greater than 0, not -2', 'qvec8: negative scale');
refused('qvec8', qvec8_value(1, $nan, $zero, "\1"), '22P03', 'scale of qvec8 must be finite and greater than 0, not NaN', 'qvec8: scale NaN');
refused('qvec8', qvec8_value(1, $infinity, $zero, "\1"), '22P03', 'scale of qvec8 must be finite and greater than 0, not Infinity', 'qvec8: scale infinite');
refused('qvec8', qvec8_value(1, $one, $nan, "\1"), '22P03', 'offset of qvec8 must be finite, not NaN', 'qvec8: offset NaN');
refused('qvec8', qvec8_value(1, $one, $infinity, "\1"), '22P03', 'offset of qvec8 must be finite, not Infinity', 'qvec8: offset infinite');
refused('qvec8(3)', qvec8_value(2, $one, $zero, "\1\2"), '22000', 'expected 3 dimensions, not 2', 'qvec8: type modifier');

# values without their header, as clients send that think of bytes only, get a hint at the layout
foreach my $headerless ([ 'bitvec', "\x99" x 96 ], [ 'bitvec', '' ], [ 'qvec8', "\x99" x 768 ], [ 'qvec8', "\1" ])
{
	my ($type, $bytes) = @$headerless;

	write_row($bytes);
	my ($rc, $out, $err) = $node->psql('postgres', "CREATE TEMP TABLE t (v $type);\nCOPY t FROM '$file' (FORMAT binary);");
	like($err, qr/HINT:  The binary form of a $type is its number of dimensions, as 4 bytes/, "$type: " . length($bytes) . ' bytes without a header');
}

is($node->safe_psql('postgres', 'SELECT count(*) FROM received'), '102', 'data unharmed');

$node->stop;
done_testing();
