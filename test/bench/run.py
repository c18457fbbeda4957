#!/usr/bin/env python3
"""qhnsw beside pgvector's hnsw and faiss, on one set, in one run.

Loads a set into a PostgreSQL, builds the indexes, and measures in the server:
a PL/pgSQL function with static SQL, so a cached plan, answers every query and
notes clock_timestamp() around it.  Prints Markdown: builds, recall@10 and time a
query at several ef_search, times at equal recall, and whether the promises
hold.  Exit status 1 when one does not.  README.md here explains the columns.

Needs numpy and psycopg2; connects as libpq's environment or --dsn says, as
superuser.  Everything it makes is in schema qvec_bench, dropped at the end.
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
LEVELS = (0.90, 0.95, 0.98, 0.99)       # recalls at which times are compared
BYTES_PROMISED = 260                    # a vector of 768 bits, m = 16
WARM_UP = 100                           # queries before the clock counts

# What is measured: name -> (engine, order by what, statement, settings).  $Q is
# the query's column of the queries table, {ef} the width of the search.
METHODS = {
    'qvec real[] 32x':
        ('qvec', 'cosine', 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10',
         {'qhnsw.ef_search': '{ef}'}),
    'qvec real[] 32x, all of ef rescored':
        ('qvec', 'cosine', 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10',
         {'qhnsw.ef_search': '{ef}', 'qhnsw.oversample': '{tenth}'}),
    'qvec bitvec':
        ('qvec', 'hamming', 'SELECT id FROM q ORDER BY code <~> $code LIMIT 10',
         {'qhnsw.ef_search': '{ef}'}),
    'qvec bitvec + rerank':
        ('qvec', 'cosine', 'SELECT id FROM (SELECT id, embedding FROM q ORDER BY code <~> $code LIMIT {ef}) c '
         'ORDER BY embedding <=> $embedding LIMIT 10',
         {'qhnsw.ef_search': '{ef}'}),
    'pgvector vector':
        ('pgvector', 'cosine', 'SELECT id FROM v ORDER BY embedding <=> $vector LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
    'pgvector halfvec':
        ('pgvector', 'cosine', 'SELECT id FROM v ORDER BY embedding::halfvec({dims}) <=> $vector::halfvec({dims}) LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
    'pgvector bit':
        ('pgvector', 'hamming', 'SELECT id FROM v ORDER BY code <~> $bits LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
    'pgvector bit + rerank':
        ('pgvector', 'cosine', 'SELECT id FROM (SELECT id, embedding FROM v ORDER BY code <~> $bits LIMIT {ef}) c '
         'ORDER BY embedding <=> $vector LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
}

# index name -> (engine, statement)
INDEXES = {
    'qvec real[] 32x': ('qvec', 'CREATE INDEX q_embedding ON q USING qhnsw (embedding real_cosine_ops)', 'q_embedding'),
    'qvec bitvec': ('qvec', 'CREATE INDEX q_code ON q USING qhnsw (code bitvec_hamming_ops)', 'q_code'),
    'pgvector vector': ('pgvector', 'CREATE INDEX v_embedding ON v USING hnsw (embedding vector_cosine_ops)', 'v_embedding'),
    'pgvector halfvec': ('pgvector', 'CREATE INDEX v_half ON v USING hnsw '
                         '((embedding::halfvec({dims})) halfvec_cosine_ops)', 'v_half'),
    'pgvector bit': ('pgvector', 'CREATE INDEX v_code ON v USING hnsw (code bit_hamming_ops)', 'v_code'),
}

# Which curves are compared at equal recall: ours, the peer's.
PAIRS = (
    ('qvec real[] 32x, all of ef rescored', 'pgvector vector'),
    ('qvec real[] 32x, all of ef rescored', 'pgvector halfvec'),
    ('qvec real[] 32x, all of ef rescored', 'pgvector bit + rerank'),
    ('qvec bitvec + rerank', 'pgvector bit + rerank'),
    ('qvec bitvec', 'pgvector bit'),
    ('qvec bitvec', 'faiss binary (in process)'),
)


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

class Server:
    def __init__(self, args, dims):
        self.args = args
        self.dims = dims
        self.connection = psycopg2.connect(args.dsn)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.engines = ['qvec']

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
        copy_vectors(self.cursor, 'queries', queries)
        self.run(f'ALTER TABLE queries ADD code bitvec({dims})')
        self.run('UPDATE queries SET code = binary_quantize(embedding)')
        if 'pgvector' in self.engines:
            self.run(f'CREATE TABLE v (id integer, embedding vector({dims}), code bit({dims}) '
                     f'GENERATED ALWAYS AS (binary_quantize(embedding)::bit({dims})) STORED)')
            self.run(f'ALTER TABLE v ALTER embedding SET STORAGE {storage}')
            self.run('INSERT INTO v SELECT id, embedding::vector FROM q')
            self.run(f'ALTER TABLE queries ADD vector vector({dims}), ADD bits bit({dims})')
            self.run(f'UPDATE queries SET vector = embedding::vector, bits = binary_quantize(embedding::vector)::bit({dims})')
        for table in ['q', 'queries'] + (['v'] if 'pgvector' in self.engines else []):
            self.run(f'VACUUM ANALYZE {table}')
        self.run('CHECKPOINT')

    def build(self, name):
        """Seconds and bytes of an index."""
        _, statement, relation = INDEXES[name]
        started = time.time()
        self.run(statement.format(dims=self.dims))
        return time.time() - started, self.value(f"SELECT pg_relation_size('{relation}')")

    def measure(self, name, ef):
        """Milliseconds and row numbers of every query, at one width of search."""
        _, _, statement, settings = METHODS[name]
        fill = {'ef': ef, 'tenth': max(1.0, min(100.0, ef / exact.K)), 'dims': self.dims}
        body = statement.format(**fill)
        for column in ('embedding', 'code', 'vector', 'bits'):
            body = body.replace('$' + column, 'query.' + column)
        self.run(f'''
            CREATE OR REPLACE FUNCTION measure() RETURNS TABLE (number integer, ms float8, ids integer[])
            LANGUAGE plpgsql AS $$
            DECLARE query record; started timestamptz;
            BEGIN
                FOR query IN SELECT * FROM queries ORDER BY queries.id LOOP
                    started := clock_timestamp();
                    SELECT array_agg(s.id) INTO ids FROM ({body}) s;
                    ms := 1000 * extract(epoch FROM clock_timestamp() - started);
                    number := query.id;
                    RETURN NEXT;
                END LOOP;
            END $$''')
        self.run('SET enable_seqscan = off')
        self.run("SET plan_cache_mode = force_generic_plan")
        for setting, value in settings.items():
            self.run(f"SET {setting} = '{value.format(**fill)}'")
        self.run(f'SELECT count(*) FROM (SELECT * FROM measure() LIMIT {WARM_UP}) s')
        rows = []
        for _ in range(self.args.repeat):
            self.cursor.execute('SELECT number, ms, ids FROM measure() ORDER BY number')
            rows.append(self.cursor.fetchall())
        for setting in settings:
            self.run(f'RESET {setting}')
        # Of several runs the fastest of each query: the rest is the machine's noise.
        ms = numpy.min([[row[1] for row in run] for run in rows], axis=0)
        return ms, [row[2] or [] for row in rows[0]]

    def chosen_plan(self, name):
        """The index that the planner chooses by itself, or None."""
        _, _, statement, _ = METHODS[name]
        body = statement.format(ef=40, tenth=4, dims=self.dims)
        for column in ('embedding', 'code', 'vector', 'bits'):
            body = body.replace('$' + column, f'(SELECT {column} FROM queries LIMIT 1)')
        self.run('RESET enable_seqscan')
        self.cursor.execute('EXPLAIN ' + body)
        for (line,) in self.cursor.fetchall():
            if 'Index Scan using' in line:
                return line.split('Index Scan using ')[1].split()[0]
        return None

    def finish(self):
        if not self.args.keep:
            self.run(f'DROP SCHEMA {SCHEMA} CASCADE')
        self.connection.close()


# --------------------------------------------------------------------- faiss

def measure_faiss(base, queries, widths):
    """(seconds, bytes, {ef: (ms, row numbers)}) of IndexBinaryHNSW, or None without faiss."""
    try:
        import faiss
    except ImportError:
        return None
    codes = numpy.packbits(base > 0, axis=1)
    asked = numpy.packbits(queries > 0, axis=1)
    index = faiss.IndexBinaryHNSW(codes.shape[1] * 8, 16)
    index.hnsw.efConstruction = 64
    started = time.time()
    index.add(codes)
    seconds = time.time() - started
    faiss.omp_set_num_threads(1)
    curve = {}
    for ef in widths:
        index.hnsw.efSearch = ef
        index.search(asked[:WARM_UP], exact.K)
        ms = []
        answers = []
        for i in range(len(asked)):
            started = time.perf_counter()
            _, ids = index.search(asked[i:i + 1], exact.K)
            ms.append(1000 * (time.perf_counter() - started))
            answers.append([x for x in ids[0] if x >= 0])
        curve[ef] = numpy.array(ms), answers
    return seconds, len(faiss.serialize_index_binary(index)), curve


# -------------------------------------------------------------------- report

def time_at(curve, level):
    """Milliseconds at a recall, interpolated: log time is near to linear in the
    log of what is missed.  None outside of what was measured."""
    points = sorted((min(r, 0.9999), ms) for r, ms in curve.values())
    for (r0, t0), (r1, t1) in zip(points, points[1:]):
        if r0 <= level <= r1:
            x0, x1, x = (-math.log(1 - r) for r in (r0, r1, level))
            share = 0 if x1 == x0 else (x - x0) / (x1 - x0)
            return math.exp(math.log(t0) + share * (math.log(t1) - math.log(t0)))
    return None


def print_builds(builds, rows):
    say('\n## Builds\n')
    say('| index | seconds | rows/s | MB | bytes a vector |')
    say('|---|---|---|---|---|')
    for name, (seconds, nbytes) in builds.items():
        say(f'| {name} | {seconds:.1f} | {rows / seconds:,.0f} | {nbytes / 1e6:.1f} | {nbytes / rows:.0f} |')


def print_curves(curves, orders):
    say('\n## Searches\n')
    say('Median milliseconds a query; recall@10 against the exact order of that distance, ties counted fairly.\n')
    say('| search | order | ef_search | recall@10 | median ms | mean ms |')
    say('|---|---|---|---|---|---|')
    for name, curve in curves.items():
        for ef, (share, median, mean) in curve.items():
            say(f'| {name} | {orders[name]} | {ef} | {share:.4f} | {median:.3f} | {mean:.3f} |')


def print_pairs(curves):
    say('\n## Times at equal recall\n')
    say('Interpolated between the measured widths; a ratio above 1 means that qvec is faster.\n')
    say('| qvec | peer | recall@10 | qvec ms | peer ms | ratio |')
    say('|---|---|---|---|---|---|')
    for ours, peer in PAIRS:
        if ours not in curves or peer not in curves:
            continue
        for level in LEVELS:
            a, b = (time_at({ef: (r, ms) for ef, (r, ms, _) in curves[name].items()}, level)
                    for name in (ours, peer))
            if a is not None and b is not None:
                say(f'| {ours} | {peer} | {level:.2f} | {a:.3f} | {b:.3f} | {b / a:.2f} |')


def promises(args, dims, rows, curves, builds, plans):
    """(what, holds, found) for each promise that this run can judge."""
    found = []
    share = curves['qvec real[] 32x'][40][0]
    found.append(('recall@10 of real_cosine_ops at default settings >= 0.95', share >= 0.95, f'{share:.4f}'))
    share = curves['qvec bitvec'][100][0]
    found.append(('recall@10 of bitvec_hamming_ops at ef_search = 100 >= 0.95', share >= 0.95, f'{share:.4f}'))
    if dims == 768:
        size = builds['qvec bitvec'][1] / rows
        found.append((f'bytes of index a 768-bit vector <= {BYTES_PROMISED}', size <= BYTES_PROMISED, f'{size:.1f}'))
    for name, plan in plans.items():
        found.append((f'the planner chooses the index for {name}', plan is not None, str(plan)))
    if 'pgvector bit' in curves:
        # At the recall that our default reaches, or the nearest that both have.
        ours, peer = ({ef: (r, ms) for ef, (r, ms, _) in curves[name].items()} for name in ('qvec bitvec', 'pgvector bit'))
        for level in LEVELS:
            a, b = time_at(ours, level), time_at(peer, level)
            if a is not None and b is not None:
                found.append((f'an index scan of bitvec is faster than pgvector at recall {level:.2f}', a < b,
                              f'{a:.3f} against {b:.3f} ms'))
        for ef in (40, 100):
            a, b = ours[ef][1], peer[ef][1]
            found.append((f'an index scan of bitvec is faster than pgvector at ef_search = {ef}', a < b,
                          f'{a:.3f} against {b:.3f} ms'))
    return found


# ---------------------------------------------------------------------- main

def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('set', nargs='?', default='synthetic', help='"synthetic" or the path of an .fbin file')
    parser.add_argument('--dsn', default='', help='connection string; default: the PG* environment')
    parser.add_argument('--rows', type=int, default=200000)
    parser.add_argument('--dims', type=int, default=768, help='of the synthetic set')
    parser.add_argument('--queries', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--ef', default='10,20,40,80,100,160,320', help='widths of search, 40 and 100 are always measured')
    parser.add_argument('--repeat', type=int, default=3, help='runs; of each query the fastest counts')
    parser.add_argument('--workers', type=int, default=1, help='max_parallel_maintenance_workers of the builds')
    parser.add_argument('--memory', default='2GB', help='maintenance_work_mem of the builds')
    parser.add_argument('--storage', choices=('external', 'plain'), default='external',
                        help='where floats lie: TOASTed as is, or in the row (plain needs rows under 8 kB)')
    parser.add_argument('--skip', default='', help='comma separated: pgvector, faiss')
    parser.add_argument('--keep', action='store_true', help=f'leave schema {SCHEMA}')
    args = parser.parse_args()
    args.widths = sorted({int(x) for x in args.ef.split(',')} | {40, 100})
    args.skip = args.skip.split(',')
    return args


def main():
    args = parse_arguments()
    progress(f'making the set: {args.set}')
    base, queries = get_set(args)
    rows, dims = base.shape
    server = Server(args, dims)
    server.prepare()

    progress(f'exact neighbours of {len(queries)} queries among {rows} x {dims}')
    spaces = {'cosine': (base, queries), 'hamming': (exact.signs(base), exact.signs(queries))}
    tenth = {order: exact.nearest(*space)[1][:, -1] for order, space in spaces.items()}

    progress('loading')
    server.load(base, queries)
    say(f'# {args.set}: {rows:,} x {dims}, {len(queries)} queries\n')
    say(f"{server.value('SELECT version()').split(' on ')[0]}; kernels {server.value('SELECT qvec_simd()')}; "
        f"shared_buffers {server.value('SHOW shared_buffers')}; builds with {args.memory} and {args.workers} worker(s) "
        f'beside the leader; floats stored {args.storage}; of {args.repeat} runs the fastest of each query; '
        f"m = 16, ef_construction = 64 everywhere")

    builds = {}
    curves = {}
    orders = {}
    for name, (engine, _, _) in INDEXES.items():
        if engine in server.engines:
            progress(f'building {name}')
            builds[name] = server.build(name)

    def judge(name, order, ef, ms, answers):
        share = exact.recall(*spaces[order], tenth[order], answers)
        orders[name] = order
        curves.setdefault(name, {})[ef] = share, float(numpy.median(ms)), float(numpy.mean(ms))
        progress(f'{name}, ef {ef}: recall {share:.4f}, {numpy.median(ms):.3f} ms')

    for name, (engine, order, _, _) in METHODS.items():
        if engine in server.engines:
            for ef in args.widths:
                judge(name, order, ef, *server.measure(name, ef))
    plans = {name: server.chosen_plan(name) for name in ('qvec real[] 32x', 'qvec bitvec')}
    server.finish()

    if 'faiss' not in args.skip:
        progress('faiss IndexBinaryHNSW, in process, one thread')
        result = measure_faiss(base, queries, args.widths)
        if result is None:
            progress('no faiss here, measured without')
        else:
            name = 'faiss binary (in process)'
            builds[name] = result[:2]
            for ef, (ms, answers) in result[2].items():
                judge(name, 'hamming', ef, ms, answers)

    print_builds(builds, rows)
    print_curves(curves, orders)
    print_pairs(curves)
    say('\n## Promises\n')
    verdicts = promises(args, dims, rows, curves, builds, plans)
    for what, holds, value in verdicts:
        say(f"- {'holds' if holds else 'DOES NOT HOLD'}: {what} (found {value})")
    sys.exit(0 if all(holds for _, holds, _ in verdicts) else 1)


if __name__ == '__main__':
    main()
