"""What the benchmarks share: sets, loading, a server, measuring in it.

A benchmark is a script beside this one that run.sh can start by its name.  It
makes a parser with parser(), and with start() a Server that holds a set, in
which measure() answers every query and says how long each took.  README.md here
explains what is measured and how.

Needs numpy and psycopg2; connects as libpq's environment or --dsn says, as
superuser.  Everything is made in schema qvec_bench, dropped at the end.
"""

import argparse
import io
import math
import struct
import sys
import time

import numpy
import psycopg2

import exact
import synthetic

SCHEMA = 'qvec_bench'
WARM_UP = 100                           # queries before the clock counts
INLINE_NBYTES = 7800                    # of vectors in a row that a page holds
QUERY_COLUMNS = ('embedding', 'code', 'vector', 'bits')


def say(text=''):
    print(text, flush=True)


def progress(text):
    print(f'{time.strftime("%H:%M:%S")} {text}', file=sys.stderr, flush=True)


# ---------------------------------------------------------------------- data

def read_fbin(path):
    with open(path, 'rb') as file:
        count, dims = struct.unpack('<II', file.read(8))
        rows = numpy.fromfile(file, dtype='<f4', count=count * dims)
    if rows.size != count * dims:
        sys.exit(f'{path}: {count} x {dims} announced, {rows.size} floats found')
    return rows.reshape(count, dims)


def get_set(args):
    """Base rows and held-out queries, unit length."""
    if args.set == 'synthetic':
        mixture = synthetic.Mixture(args.dims, args.seed)
        return mixture.base(args.rows), mixture.queries(args.queries)
    rows = read_fbin(args.set)
    rows = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows[numpy.random.default_rng(args.seed).permutation(len(rows))]
    held = min(args.queries, len(rows) // 10)
    return rows[:-held][:args.rows], rows[-held:]


def copy_block(ids, vectors):
    """Rows (integer, real[]) of COPY BINARY, without header and trailer."""
    dims = vectors.shape[1]
    row = numpy.dtype([('fields', '>i2'), ('idlen', '>i4'), ('id', '>i4'), ('len', '>i4'),
                       ('ndim', '>i4'), ('nulls', '>i4'), ('oid', '>i4'), ('dim', '>i4'), ('low', '>i4'),
                       ('elements', numpy.dtype([('len', '>i4'), ('x', '>f4')]), (dims,))])
    block = numpy.zeros(len(ids), dtype=row)
    block['fields'] = 2
    block['idlen'] = 4
    block['id'] = ids
    block['len'] = 20 + 8 * dims
    block['ndim'] = 1
    block['oid'] = 700                  # float4
    block['dim'] = dims
    block['low'] = 1
    block['elements']['len'] = 4
    block['elements']['x'] = vectors
    return block.tobytes()


def copy_vectors(cursor, table, vectors):
    for start in range(0, len(vectors), synthetic.BLOCK):
        part = vectors[start:start + synthetic.BLOCK]
        data = (b'PGCOPY\n\xff\r\n\0' + struct.pack('>ii', 0, 0) +
                copy_block(numpy.arange(start, start + len(part)), part) + struct.pack('>h', -1))
        cursor.copy_expert(f'COPY {table} (id, embedding) FROM STDIN (FORMAT binary)', io.BytesIO(data))


# -------------------------------------------------------------------- server

def timing_function(name, body, did='NULL'):
    """The statement that makes a function which answers all queries and says how long each took; did is what else it tells of each."""
    for column in QUERY_COLUMNS:
        body = body.replace('$' + column, 'query.' + column)
    return f'''
        CREATE OR REPLACE FUNCTION {name}() RETURNS TABLE (number integer, ms float8, ids integer[], did json)
        LANGUAGE plpgsql AS $$
        DECLARE query record; started timestamptz;
        BEGIN
            FOR query IN SELECT * FROM queries ORDER BY queries.id LOOP
                started := clock_timestamp();
                SELECT array_agg(s.id) INTO ids FROM ({body}) s;
                ms := 1000 * extract(epoch FROM clock_timestamp() - started);
                number := query.id;
                did := {did};
                RETURN NEXT;
            END LOOP;
        END $$'''


class Server:
    def __init__(self, args, dims):
        self.args = args
        self.dims = dims
        self.connection = psycopg2.connect(args.dsn)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.engines = ['qvec']
        self.counters = {}              # what the queries last measured did, a query on average

    def run(self, statement):
        self.cursor.execute(statement)

    def value(self, statement):
        self.cursor.execute(statement)
        return self.cursor.fetchone()[0]

    def prepare(self):
        self.run(f'DROP SCHEMA IF EXISTS {SCHEMA} CASCADE')
        self.run(f'CREATE SCHEMA {SCHEMA}')
        self.run('CREATE EXTENSION IF NOT EXISTS qvec')
        try:
            if 'pgvector' not in self.args.skip:
                self.run('CREATE EXTENSION IF NOT EXISTS vector')
                self.engines.append('pgvector')
        except psycopg2.Error as error:
            progress(f'no pgvector here, measured without: {error}'.strip())
        self.run(f'SET search_path = {SCHEMA}, public')
        self.run(f"SET maintenance_work_mem = '{self.args.memory}'")
        self.run(f'SET max_parallel_maintenance_workers = {self.args.workers}')
        self.run('SET jit = off')

    def load(self, base, queries):
        dims = self.dims
        storage = self.args.storage
        self.run(f'CREATE TABLE q (id integer, embedding real[], code bitvec({dims}) '
                 'GENERATED ALWAYS AS (binary_quantize(embedding)) STORED)')
        self.run(f'ALTER TABLE q ALTER embedding SET STORAGE {storage}')
        copy_vectors(self.cursor, 'q', base)
        self.run('CREATE TABLE queries (id integer, embedding real[])')
        # In the row where it has room for both engines' forms: no time is to hold a query's way out of TOAST.
        inline = 'plain' if 2 * 4 * dims + 2 * dims / 8 < INLINE_NBYTES else 'external'
        self.run(f'ALTER TABLE queries ALTER embedding SET STORAGE {inline}')
        copy_vectors(self.cursor, 'queries', queries)
        self.run(f'ALTER TABLE queries ADD code bitvec({dims})')
        self.run('UPDATE queries SET code = binary_quantize(embedding)')
        if 'pgvector' in self.engines:
            self.run(f'CREATE TABLE v (id integer, embedding vector({dims}), code bit({dims}) '
                     f'GENERATED ALWAYS AS (binary_quantize(embedding)::bit({dims})) STORED)')
            self.run(f'ALTER TABLE v ALTER embedding SET STORAGE {storage}')
            self.run('INSERT INTO v SELECT id, embedding::vector FROM q')
            self.run(f'ALTER TABLE queries ADD vector vector({dims}), ADD bits bit({dims})')
            self.run(f'ALTER TABLE queries ALTER vector SET STORAGE {inline}')
            self.run(f'UPDATE queries SET vector = embedding::vector, bits = binary_quantize(embedding::vector)::bit({dims})')
        for table in ['q', 'queries'] + (['v'] if 'pgvector' in self.engines else []):
            self.run(f'VACUUM ANALYZE {table}')
        self.run('CHECKPOINT')

    def build(self, statement, relation):
        """Seconds and bytes of an index."""
        started = time.time()
        self.run(statement.format(dims=self.dims))
        return time.time() - started, self.value(f"SELECT pg_relation_size('{relation}')")

    def measure(self, statement, settings=(), **fill):
        """Milliseconds and row numbers of every query; counters are those of qhnsw_last_scan().

        statement is a SELECT of row numbers in which $embedding, $code, $vector and
        $bits stand for the query's columns; settings are set while it runs; {name}
        in either is filled in from the keywords, {dims} besides.
        """
        return fastest_of([self.run_queries(statement, settings, **fill) for _ in range(self.args.repeat)])

    def run_queries(self, statement, settings=(), **fill):
        """One of measure()'s runs: milliseconds and row numbers of every query."""
        settings = dict(settings)
        fill = {**fill, 'dims': self.dims}
        self.run(timing_function('measure', statement.format(**fill), '(SELECT to_json(d) FROM qhnsw_last_scan() d)'))
        self.run('SET enable_seqscan = off')
        self.run("SET plan_cache_mode = force_generic_plan")
        for setting, value in settings.items():
            self.run(f"SET {setting} = '{value.format(**fill)}'")
        self.run(f'SELECT count(*) FROM (SELECT * FROM measure() LIMIT {WARM_UP}) s')
        self.cursor.execute('SELECT number, ms, ids, did FROM measure() ORDER BY number')
        rows = self.cursor.fetchall()
        for setting in settings:
            self.run(f'RESET {setting}')
        self.counters = {name: float(numpy.mean([row[3][name] for row in rows])) for name in rows[0][3]}
        return numpy.array([row[1] for row in rows]), [row[2] or [] for row in rows]

    def show_only(self, relation):
        """Let the planner see one index of our tables and no other: it could not choose among several of one column."""
        self.run(f"""UPDATE pg_index SET indisvalid = indexrelid = '{relation}'::regclass
            WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace)""")

    def chosen_plan(self, statement, **fill):
        """The index that the planner chooses by itself, or None."""
        body = statement.format(dims=self.dims, **fill)
        for column in QUERY_COLUMNS:
            body = body.replace('$' + column, f'(SELECT {column} FROM queries LIMIT 1)')
        self.run('RESET enable_seqscan')
        self.cursor.execute('EXPLAIN ' + body)
        for (line,) in self.cursor.fetchall():
            if 'Index Scan using' in line:
                return line.split('Index Scan using ')[1].split()[0]
        return None

    def describe(self):
        """What was measured on what, in a line."""
        return (f"{self.value('SELECT version()').split(' on ')[0]}; kernels {self.value('SELECT qvec_simd()')}; "
                f"shared_buffers {self.value('SHOW shared_buffers')}, huge pages {self.value('SHOW huge_pages')}; builds with {self.args.memory} and "
                f'{self.args.workers} worker(s) beside the leader; floats stored {self.args.storage}; of '
                f'{self.args.repeat} runs the fastest of each query')

    def finish(self):
        if not self.args.keep:
            self.run(f'DROP SCHEMA {SCHEMA} CASCADE')
        self.connection.close()


def fastest_of(runs):
    """The fastest of each query of several runs, for the rest is the machine's noise, and what the first of them answered."""
    return numpy.min([ms for ms, _ in runs], axis=0), runs[0][1]


def start(args, arrange=lambda base: base):
    """A server that holds a set, the base rows in the order that arrange() gives them, and the queries."""
    progress(f'making the set: {args.set}')
    base, queries = get_set(args)
    base = arrange(base)
    server = Server(args, base.shape[1])
    server.prepare()
    progress('loading')
    server.load(base, queries)
    return server, base, queries


# --------------------------------------------------------------------- faiss

def faiss_binary_hnsw(codes):
    """(index, seconds, bytes) of faiss's IndexBinaryHNSW over packed codes, built by all processors with m and
    ef_construction as the servers' indexes and from here on searched by one thread; None without faiss."""
    try:
        import faiss
    except ImportError:
        progress('no faiss here, measured without')
        return None
    index = faiss.IndexBinaryHNSW(codes.shape[1] * 8, 16)
    index.hnsw.efConstruction = 64
    started = time.time()
    index.add(codes)
    seconds = time.time() - started
    faiss.omp_set_num_threads(1)
    return index, seconds, len(faiss.serialize_index_binary(index))


# -------------------------------------------------------------------- recall

class Truth:
    """The exact neighbours of a set's queries in one order, and recall against them."""

    def __init__(self, base, queries, form=exact.same):
        self.base = base
        self.queries = queries
        self.form = form
        self.farthest = {}              # k -> similarity of the true k-th of each query

    def recall(self, answers, k=exact.K):
        """Share of the rows answered that are no farther than the true k-th."""
        if k not in self.farthest:
            self.farthest[k] = exact.nearest(self.base, self.queries, k, self.form)[1][:, -1]
        return exact.recall(self.base, self.queries, self.farthest[k], answers, k, self.form)


def truths(base, queries):
    """By cosine (of unit vectors), and by Hamming distance of the signs."""
    return {'cosine': Truth(base, queries), 'hamming': Truth(base, queries, exact.signs)}


# -------------------------------------------------------------------- report

def print_heading(args, base, queries):
    say(f'# {args.set}: {len(base):,} x {base.shape[1]}, {len(queries)} queries\n')


def print_columns(*names):
    """The first two lines of a table."""
    say('| ' + ' | '.join(names) + ' |')
    say('|---' * len(names) + '|')


def value_at(curve, level, column=1):
    """What a curve {ef: (recall, values...)} has in a column at a recall, interpolated:
    log time is near to linear in the log of what is missed.  None outside of what was measured."""
    points = sorted((min(row[0], 0.9999), row[column]) for row in curve.values())
    for (r0, t0), (r1, t1) in zip(points, points[1:]):
        if r0 <= level <= r1:
            x0, x1, x = (-math.log(1 - r) for r in (r0, r1, level))
            share = 0 if x1 == x0 else (x - x0) / (x1 - x0)
            return math.exp(math.log(t0) + share * (math.log(t1) - math.log(t0)))
    return None


def at_equal_recall(curves, pairs, levels, column=1):
    """(ours, peer, recall, our value, the peer's) wherever both curves of a pair reach a recall."""
    for ours, peer in pairs:
        for level in levels:
            a, b = (value_at(curves.get(name, {}), level, column) for name in (ours, peer))
            if a is not None and b is not None:
                yield ours, peer, level, a, b


def print_promises(verdicts):
    """Print (what, holds, found) of each; the exit status: 1 if one does not hold."""
    say('\n## Promises\n')
    for what, holds, found in verdicts:
        say(f"- {'holds' if holds else 'DOES NOT HOLD'}: {what} (found {found})")
    return 0 if all(holds for _, holds, _ in verdicts) else 1


# ----------------------------------------------------------------- arguments

def parser(description):
    """The arguments that all benchmarks have."""
    result = argparse.ArgumentParser(description=description.split('\n')[0])
    result.add_argument('set', nargs='?', default='synthetic', help='"synthetic" or the path of an .fbin file')
    result.add_argument('--dsn', default='', help='connection string; default: the PG* environment')
    result.add_argument('--rows', type=int, default=200000)
    result.add_argument('--dims', type=int, default=768, help='of the synthetic set')
    result.add_argument('--queries', type=int, default=1000)
    result.add_argument('--seed', type=int, default=1)
    result.add_argument('--repeat', type=int, default=3, help='runs; of each query the fastest counts')
    result.add_argument('--workers', type=int, default=1, help='max_parallel_maintenance_workers of the builds')
    result.add_argument('--memory', default='2GB', help='maintenance_work_mem of the builds')
    result.add_argument('--storage', choices=('external', 'plain'), default='external',
                        help='where floats lie: TOASTed as is, or in the row (plain needs rows under 8 kB)')
    result.add_argument('--skip', type=lambda text: text.split(','), default=[], help='comma separated: pgvector, faiss')
    result.add_argument('--keep', action='store_true', help=f'leave schema {SCHEMA}')
    return result
