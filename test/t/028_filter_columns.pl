# Conditions on filter columns: what a scan of the index returns, and in which order, is what a sequential scan
# and a sort return, for conditions at random on columns of every type.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use QvecTest;

my $rounds = $ENV{QVEC_FILTER_ROUNDS} || 60;
my $seed = $ENV{QVEC_FILTER_SEED} || 19;
my $nrows = 3000;

srand($seed);
my $node = new_node('filter');

sub one_of { return $_[ int(rand(@_)) ]; }

# ---- columns: type, an expression that makes a value of a row, constants to compare with, operators ----

my @order = ('<', '<=', '=', '>=', '>');
my %column = (
	b => [ 'boolean', 'h % 3 = 0', [ 'true', 'false' ], \@order ],
	i2 => [ 'smallint', 'h % 20 - 10', [ '3', '-4::smallint', '7::bigint', '100000', '-99999999999', '5', '-10', '9' ], \@order ],
	i4 => [ 'integer', 'h % 50 - 5', [ '3', '4::smallint', '17::bigint', '5000000000', '-5000000000', '22', '-5', '44' ], \@order ],
	i8 => [ 'bigint', '(h % 40)::bigint * 1000000007', [ '3', '0', '4::smallint', '7000000049', '21000000147', '39000000273' ], \@order ],
	o => [ 'oid', '(4294967290 - h % 30)::oid', [ '4294967290::oid', '4294967280::oid', '3::oid' ], \@order ],
	f4 => [
		'real', "CASE h % 30 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0' ELSE (h % 30 - 15) / 10.0 END::real",
		[ '0.3', '0.3::real', "'NaN'::real", "'NaN'::float8", '0::real', '-0.0::float8', '1e300', '-1e300', "'-Infinity'::float8", '0.7::real', '0.3000001::float8' ], \@order
	],
	f8 => [
		'double precision', "CASE h % 30 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-0' ELSE (h % 30 - 15) / 10.0 END::float8",
		[ '0.3', '0.3::real', "'NaN'::real", '0::real', '-0.0::float8', '1e300', "'Infinity'::real", '0.7' ], \@order
	],
	n => [ 'numeric', "CASE h % 40 WHEN 0 THEN 'NaN' ELSE (h % 40 - 20) * 1.37 END::numeric", [ '1.37', '2.74', '0', '-13.7', "'NaN'::numeric", '1e40', '5', '6.850000000000000000001' ], \@order ],
	d => [
		'date', "CASE h % 30 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE date '2024-03-20' + h % 30 END::date",
		[ "'2024-03-31'", "'2024-04-01'::timestamp", "'2024-04-01 12:00'::timestamp", "'2024-04-02 00:00+00'::timestamptz", "'infinity'::date", "'-infinity'::timestamp", "'infinity'::timestamptz", "'4713-01-01 BC'::date" ], \@order
	],
	t => [ 'time', "time '00:00' + (h % 24) * interval '1 hour'", [ "'03:00'", "'12:30'", "'23:00'", "'24:00'" ], \@order ],
	ts => [
		'timestamp', "CASE h % 40 WHEN 0 THEN 'infinity' ELSE timestamp '2024-03-25' + (h % 40) * interval '7 hours' END::timestamp",
		[ "'2024-03-31 02:00'", "'2024-04-01'::date", "'2024-03-31 01:00+00'::timestamptz", "'infinity'::timestamp", "'5874897-12-31'::date", "'-infinity'::date" ], \@order
	],
	tz => [
		'timestamptz', "CASE h % 40 WHEN 0 THEN '-infinity' ELSE timestamptz '2024-03-25 00:00+00' + (h % 40) * interval '7 hours' END::timestamptz",
		[ "'2024-03-31 02:00+00'", "'2024-04-01'::date", "'2024-03-31 03:00'::timestamp", "'-infinity'::timestamptz", "'5874897-12-31'::date" ], \@order
	],
	u => [ 'uuid', "md5((h % 30)::text)::uuid", [ "md5('3')::uuid", "md5('11')::uuid", "'00000000-0000-0000-0000-000000000000'" ], \@order ],
	x => [ 'text', "'text ' || h % 25", [ "'text 3'", "'text 11'", "'none'", "''" ], ['='] ],
	vc => [ 'varchar(20)', "'v' || h % 25", [ "'v3'", "'v11'::varchar", "'v2'::text" ], ['='] ],
	c => [ 'char(6)', "'c' || h % 25", [ "'c3'", "'c11   '", "'c4'::char(9)" ], ['='] ],
	ba => [ 'bytea', "decode(md5((h % 30)::text), 'hex')", [ "decode(md5('3'), 'hex')", "'\\x'", "'\\x8000000000'", "decode(md5('7'), 'hex') || '\\x00'" ], \@order ],
	ip => [
		'inet', "CASE h % 3 WHEN 0 THEN '10.0.' || h % 20 || '.7/' || 8 + h % 25 WHEN 1 THEN '2001:db8:' || h % 20 || '::1/' || 30 + h % 98 ELSE '192.168.' || h % 20 || '.1' END::inet",
		[ "'10.0.3.7'", "'10.0.0.0/8'", "'192.168.7.1'", "'2001:db8:4::/48'", "'10.0.3.7/28'" ], \@order
	],
	en => [ 'mood', "('{glad,calm,sad,odd}'::mood[])[1 + h % 4]", [ "'calm'", "'odd'", "'between'" ], ['='] ],
	ai => [ 'integer[]', "(ARRAY[h % 9, h % 7, CASE WHEN h % 5 > 0 THEN h % 5 END])[h % 3 + 1:]", [ "'{3}'", "'{1,2}'", "'{}'", "'{NULL}'", "'{4,NULL}'", "'{8,6,4}'", "ARRAY[2, 6]" ], [ '&&', '@>', '=', '<@' ] ],
	at => [ 'text[]', "(ARRAY['a' || h % 9, 'b' || h % 7])[h % 3:]", [ "'{a3}'", "'{a1,b1}'", "'{}'::text[]", "'{b6,none}'" ], [ '&&', '@>', '=', '<@' ] ],
	au => [ 'uuid[]', "ARRAY[md5((h % 9)::text), md5((h % 7)::text)]::uuid[]", [ "ARRAY[md5('3')::uuid]", "'{}'::uuid[]" ], [ '&&', '@>', '=', '<@' ] ],
	px => [ 'text COLLATE "C"', "'prefix' || md5((h % 30)::text)", [ "'prefixa'", "'prefix' || md5('3')", "''", "'q'" ], \@order ],
	pd => [ 'text', "'prefix' || md5((h % 30)::text)", [ "'prefixa'", "'prefix' || md5('3')" ], \@order ]);

my @indexes = (
	[qw(b i2 i4 i8 o f4 f8 n)], [qw(d t ts tz u x vc c)], [qw(ba ip en ai at au)], [qw(px pd i4 x)]);
my %class = (px => 'text_prefix_ops', pd => 'text_prefix_ops');

# ---- conditions ----

sub condition_on
{
	my ($name) = @_;
	my ($type, undef, $values, $operators) = @{ $column{$name} };
	my $operator = one_of(@$operators);
	my $kind = rand();

	return "$name IS NULL" if $kind < .06;
	return "$name IS NOT NULL" if $kind < .12;
	return $operator eq '=' ? ($name eq 'b' ? one_of('b', 'NOT b') : "$name = NULL") : "$name $operator NULL" if $kind < .15 && $name ne 'b';
	if ($kind < .35 && $type !~ /\[\]/)
	{
		my $base = $type =~ s/ COLLATE.*//r;
		my @some = map { rand() < .15 ? 'NULL' : one_of(grep { !/::/ || $name !~ /^(i2|i4|i8|f4|f8|d|ts|tz|vc|c)$/ } @$values) } 1 .. int(rand(4));
		@some = grep { !/^-?\d{6,}$|e300/ } @some if $name =~ /^(i2|i4|f4)$/;

		return "$name $operator ANY (ARRAY[" . join(', ', @some) . "]::$base\[])";
	}
	return "$name BETWEEN " . one_of(@$values) . ' AND ' . one_of(@$values) if $kind < .45 && @$operators == 5;
	return "$name $operator " . one_of(@$values);
}

sub condition
{
	my (@columns) = @_;
	my $n = 1 + int(rand(3));

	return join(' AND ', map { condition_on(one_of(@columns)) } 1 .. $n);
}

# ---- tables ----

my $types = join(', ', map { "$_ $column{$_}[0]" } sort keys %column);
my $values = join(', ', map { "CASE WHEN (h / 7 + @{[length($_)]} + ascii('$_')) % 11 > 0 THEN $column{$_}[1] END" } sort keys %column);
$node->safe_psql('postgres', qq{
	CREATE TYPE mood AS ENUM ('glad', 'calm', 'sad', 'odd');
	ALTER TYPE mood ADD VALUE 'between' BEFORE 'calm';
	CREATE TABLE f (id int PRIMARY KEY, e real[], h int, $types);
	SELECT setseed(.25);
	INSERT INTO f SELECT id, e, h, $values FROM (
		SELECT id, ARRAY(SELECT random()::real FROM generate_series(1, 12) WHERE id > 0) AS e, (random() * 1000000)::int AS h
		FROM generate_series(1, $nrows) AS id OFFSET 0) AS r;
	-- some vectors that many rows have
	UPDATE f SET e = (SELECT e FROM f WHERE id = 1 + f.id % 5) WHERE id % 10 = 0;
	UPDATE f SET e = NULL WHERE id % 97 = 0;
	VACUUM ANALYZE f;
	CREATE FUNCTION ids(condition text, query real[], k int, by_index boolean, OUT ids int[], OUT distances float8[]) LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true),
			set_config('enable_sort', (NOT by_index)::text, true), set_config('enable_bitmapscan', 'off', true);
		EXECUTE format('SELECT array_agg(id), array_agg(d) FROM (SELECT id, e <-> \$1 AS d FROM f WHERE e IS NOT NULL AND %s ORDER BY e <-> \$1 LIMIT %s) s',
			condition, coalesce(k::text, 'ALL')) INTO ids, distances USING query;
		ids := coalesce(ids, '{}');
		distances := coalesce(distances, '{}');
	END \$\$;
	CREATE FUNCTION sorted(int[]) RETURNS int[] LANGUAGE sql AS 'SELECT ARRAY(SELECT unnest(\$1) ORDER BY 1)';
	-- what is wrong with the answer of an index
	CREATE FUNCTION fault(condition text, query real[], k int, exact boolean) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		a record;
		b record;
		whole record;
	BEGIN
		SELECT * INTO a FROM ids(condition, query, k, false);
		SELECT * INTO b FROM ids(condition, query, k, true);
		IF b.distances <> ARRAY(SELECT unnest(b.distances) ORDER BY 1) THEN
			RETURN 'out of order';
		ELSIF cardinality(a.ids) <> cardinality(b.ids) THEN
			RETURN format('%s rows, not %s', cardinality(b.ids), cardinality(a.ids));
		ELSIF cardinality(b.ids) <> (SELECT count(DISTINCT i) FROM unnest(b.ids) AS i) THEN
			RETURN 'a row is repeated';
		ELSIF k IS NULL AND sorted(a.ids) <> sorted(b.ids) THEN
			RETURN 'other rows';
		ELSIF exact AND a.distances <> b.distances THEN
			RETURN 'rows are not the nearest';
		END IF;
		SELECT * INTO whole FROM ids(condition, query, NULL, false);
		IF NOT b.ids <@ whole.ids THEN
			RETURN 'a row that does not pass';
		END IF;
		RETURN NULL;
	END \$\$;
});

sub run_rounds
{
	my ($what, $columns, $settings, $exact) = @_;
	my $script = "$settings;\n";
	my ($out, $err) = ('', '');

	for my $round (1 .. $rounds)
	{
		my $condition = condition(@$columns);
		my $k = one_of('NULL', 1, 10, 10, 50);
		my $quoted = $condition =~ s/'/''/gr;

		$script .= "SELECT '$quoted (LIMIT $k): ' || fault('$quoted', (SELECT e FROM f WHERE id = @{[1 + int(rand(96))]}), $k, $exact);\n";
	}
	$node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 1);
	is($err, '', "$what: no error");
	is(join("\n", grep { /\S/ } split(/\n/, $out)), '', "$what: $rounds conditions");
}

for my $columns (@indexes)
{
	my $list = join(', ', map { $class{$_} ? "$_ $class{$_}" : $_ } @$columns);

	for my $options ("WITH (compression = '1x')", '', "WITH (compression = '32x', refine = 'int4')")
	{
		$node->safe_psql('postgres', "DROP INDEX IF EXISTS f_e; CREATE INDEX f_e ON f USING qhnsw (e real_l2_ops, $list) $options; ANALYZE f");
		my $exact = $options =~ /1x/;

		run_rounds("@$columns $options, flat", $columns, "SET timezone = 'Europe/Berlin'; SET qhnsw.flat = on", $exact ? 'true' : 'false');
		run_rounds("@$columns $options, small", $columns, "SET timezone = 'America/New_York'; SET work_mem = '64kB'", 'false');
		run_rounds("@$columns $options, walk", $columns, 'SET qhnsw.ef_search = 10', 'false');
	}
}
$node->stop;
done_testing();
