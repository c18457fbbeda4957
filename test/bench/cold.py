#!/usr/bin/env python3
"""Pages a search reads, and how long it takes, when nothing of it is cached.

Before each query the shared buffers are filled with another table's pages, and
the kernel is asked to forget the files (so this runs where they can be opened); EXPLAIN (ANALYZE, BUFFERS) of a prepared statement then counts
pages and milliseconds.  Wants small shared buffers: sh test/bench/run.sh cold
--shared-buffers 16MB.  README.md here explains the columns.
"""

import os
import sys

import numpy
import psycopg2

from common import (SCHEMA, at_equal_recall, parser, print_columns, print_heading, print_promises, progress, say, start,
                    truths)

LEVELS = (0.90, 0.95, 0.98)             # recalls at which pages are compared
PROMISED = 1 / 3                        # of the pages that pgvector reads, at .95
MAX_BUFFERS = 256 * 2**20               # more take too long to fill before each query
# The clock sweep takes a page's usage count, at most 5, down by one a round.
FILLER = 7                              # times the shared buffers

# name -> (engine, order by what, statement, column of the query, settings, widths)
METHODS = {
    'qvec bitvec':
        ('qvec', 'hamming', 'SELECT id FROM q ORDER BY code <~> $1 LIMIT 10', 'code',
         {'qhnsw.ef_search': '{ef}'}, (5, 10, 15, 20, 40, 80)),
    'qvec real[] 32x':
        ('qvec', 'cosine', 'SELECT id FROM q ORDER BY embedding <=> $1 LIMIT 10', 'embedding',
         {'qhnsw.ef_search': '{ef}', 'qhnsw.oversample': '{oversample}'}, (10, 15, 20, 40, 80)),
    'qvec real[] 32x, narrow':
        ('qvec', 'cosine', 'SELECT id FROM q ORDER BY embedding <=> $1 LIMIT 10', 'embedding',
         # no window behind the rows looked at: they are the width
         {'qhnsw.ef_search': '1', 'qhnsw.oversample': '{oversample}'}, (10, 13, 16, 20, 30)),
    'qvec real[] 32x, int8 in the index':
        ('qvec', 'cosine', 'SELECT id FROM q ORDER BY embedding <=> $1 LIMIT 10', 'embedding',
         # what it refines is its width: no window behind that
         {'qhnsw.ef_search': '1', 'qhnsw.oversample': '{oversample}', 'qhnsw.rescore': 'off'}, (10, 15, 20, 40, 80)),
    'qvec real[] 32x, int8, exact order':
        ('qvec', 'cosine', 'SELECT id FROM q ORDER BY embedding <=> $1 LIMIT 10', 'embedding',
         # twelve rows are fetched, chosen by the finer code
         {'qhnsw.ef_search': '1', 'qhnsw.oversample': '{oversample}'}, (15, 20, 40, 80)),
    'pgvector bit':
        ('pgvector', 'hamming', 'SELECT id FROM v ORDER BY code <~> $1 LIMIT 10', 'bits',
         {'hnsw.ef_search': '{ef}'}, (10, 20, 30, 40, 60, 80)),
    'pgvector halfvec':
        ('pgvector', 'cosine', 'SELECT id FROM v ORDER BY embedding::halfvec({dims}) <=> $1::halfvec({dims}) LIMIT 10',
         'vector', {'hnsw.ef_search': '{ef}'}, (20, 40, 60, 80, 160)),
}

# index -> (engine, statement, the methods that it is for)
INDEXES = {
    'q_code': ('qvec', 'CREATE INDEX q_code ON q USING qhnsw (code)', ('qvec bitvec',)),
    'q_embedding': ('qvec', 'CREATE INDEX q_embedding ON q USING qhnsw (embedding)', ('qvec real[] 32x', 'qvec real[] 32x, narrow')),
    'q_refined': ('qvec', "CREATE INDEX q_refined ON q USING qhnsw (embedding) WITH (refine = 'int8')",
                  ('qvec real[] 32x, int8 in the index', 'qvec real[] 32x, int8, exact order')),
    'v_code': ('pgvector', 'CREATE INDEX v_code ON v USING hnsw (code bit_hamming_ops)', ('pgvector bit',)),
    'v_half': ('pgvector', 'CREATE INDEX v_half ON v USING hnsw ((embedding::halfvec({dims})) halfvec_cosine_ops)',
               ('pgvector halfvec',)),
}

# Ours, the peer's, of the same order.
PAIRS = (('qvec bitvec', 'pgvector bit'),
         ('qvec real[] 32x', 'pgvector halfvec'),
         ('qvec real[] 32x, narrow', 'pgvector halfvec'),
         ('qvec real[] 32x, int8 in the index', 'pgvector halfvec'),
         ('qvec real[] 32x, int8, exact order', 'pgvector halfvec'))

QUERY_TYPES = {'code': 'bitvec', 'embedding': 'real[]', 'vector': 'vector', 'bits': 'bit({dims})'}


def relations_of(server):
    """Tables, their TOAST tables and TOAST indexes, and the indexes measured."""
    server.cursor.execute(f'''
        SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relkind IN ('r', 'i')
        UNION ALL
        SELECT t.oid::regclass FROM pg_class c
        JOIN pg_index i ON i.indrelid = c.reltoastrelid JOIN pg_class t ON t.oid IN (i.indrelid, i.indexrelid)
        WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relname IN ('q', 'v')''')
    return [row[0] for row in server.cursor.fetchall()]


class Cooler:
    """Forgets what is cached: in the server, and in the kernel where we may open the files."""

    def __init__(self, server):
        self.server = server
        buffers = int(server.value("SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'shared_buffers'"))
        if buffers > MAX_BUFFERS:
            sys.exit('shared_buffers is too large to be filled before each query: try --shared-buffers 16MB')
        server.run('CREATE EXTENSION IF NOT EXISTS pg_prewarm')
        server.run('DROP TABLE IF EXISTS filler')
        server.run('CREATE TABLE filler (x text) WITH (autovacuum_enabled = off)')
        server.run('ALTER TABLE filler ALTER x SET STORAGE plain')
        server.run(f"INSERT INTO filler SELECT repeat('x', 8000) FROM generate_series(1, {FILLER * buffers // 8192})")
        server.run('VACUUM filler')
        server.run('CHECKPOINT')
        self.files = self.open_files()

    def open_files(self):
        """Descriptors of the files measured; an error where this is another machine or user."""
        directory = self.server.value('SHOW data_directory')
        files = []
        for relation in relations_of(self.server):
            path = os.path.join(directory, self.server.value(f"SELECT pg_relation_filepath('{relation}')"))
            try:
                files.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                sys.exit(f'cannot make the kernel forget: {error}')
        for file in files:
            os.fsync(file)
        return files

    def cool(self):
        self.server.run("SELECT pg_prewarm('filler', 'buffer')")
        for file in self.files:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def fill(text, dims, ef):
    return text.format(dims=dims, ef=ef, oversample=max(1, ef / 10))


def prepare(cursor, method, dims, ef):
    """Settings and a cached plan, warmed up, in a session."""
    _, _, statement, column, settings, _ = METHODS[method]
    cursor.execute('SET enable_seqscan = off')
    cursor.execute('SET plan_cache_mode = force_generic_plan')
    for setting, value in settings.items():
        cursor.execute(f"SET {setting} = '{fill(value, dims, ef)}'")
    cursor.execute(f'PREPARE m({fill(QUERY_TYPES[column], dims, ef)}) AS {fill(statement, dims, ef)}')


def cold_query(cursor, cooler, query):
    """Pages read and milliseconds of one execution."""
    cooler.cool()
    cursor.execute('EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE m(%s)', (query,))
    plan = cursor.fetchone()[0][0]
    return plan['Plan']['Shared Read Blocks'], plan['Execution Time']


def measure_cold(server, cooler, method, ef, queries, concurrency):
    """Mean pages and median milliseconds of queries in a session that knows the index."""
    cursor = server.cursor
    cursor.execute(f'SET effective_io_concurrency = {concurrency}')
    prepare(cursor, method, server.dims, ef)
    found = [cold_query(cursor, cooler, query) for query in queries[:1] + queries][1:]
    cursor.execute('DEALLOCATE m')
    for setting in METHODS[method][4]:
        cursor.execute(f'RESET {setting}')
    cursor.execute('RESET effective_io_concurrency')
    return numpy.mean([pages for pages, _ in found]), numpy.median([ms for _, ms in found])


def measure_first(server, cooler, method, ef, queries, concurrency):
    """The same where each query is the first of its session."""
    found = []
    for query in queries:
        connection = psycopg2.connect(server.args.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'SET search_path = {SCHEMA}, public')
            cursor.execute('LOAD \'qvec\'')
            cursor.execute(f'SET effective_io_concurrency = {concurrency}')
            prepare(cursor, method, server.dims, ef)
            found.append(cold_query(cursor, cooler, query))
        connection.close()
    return numpy.mean([pages for pages, _ in found]), numpy.median([ms for _, ms in found])


def asked(server, method, count):
    column = METHODS[method][3]
    server.cursor.execute(f'SELECT {column}::text FROM queries ORDER BY id LIMIT {count}')
    return [row[0] for row in server.cursor.fetchall()]


def recall_at(server, method, ef, truth):
    _, order, statement, column, settings, _ = METHODS[method]
    _, answers = server.measure(statement.replace('$1', '$' + column), settings,
                                ef=ef, oversample=max(1, ef / 10))
    return truth[order].recall(answers)


def measure_index(server, truth, methods, count, concurrency):
    """{method: {ef: (recall, pages, ms, ms one read at a time, pages first, ms first)}}."""
    cooler = Cooler(server)
    curves = {}
    for method in methods:
        queries = asked(server, method, count)
        curves[method] = {}
        for ef in METHODS[method][5]:
            progress(f'{method} at {ef}')
            share = recall_at(server, method, ef, truth)
            pages, ms = measure_cold(server, cooler, method, ef, queries, concurrency)
            _, serial = measure_cold(server, cooler, method, ef, queries, 0)
            first = measure_first(server, cooler, method, ef, queries[:count // 4], concurrency)
            curves[method][ef] = (share, pages, ms, serial, *first)
    return curves


# -------------------------------------------------------------------- report

def print_curves(curves):
    say('\n## Cold searches\n')
    print_columns('search', 'ef_search', 'recall@10', 'pages read', 'ms', 'ms, one read at a time',
                  'pages, first of a session', 'ms')
    for name, curve in curves.items():
        for ef, (share, *rest) in curve.items():
            say(f'| {name} | {ef} | {share:.4f} | ' + ' | '.join(f'{x:.1f}' for x in rest) + ' |')


def print_pairs(curves):
    """Pages and time at equal recall; returns {(ours, peer): share of the pages at .95}."""
    shares = {}
    say('\n## At equal recall\n')
    print_columns('qvec', 'peer', 'recall@10', 'pages', 'peer', 'share', 'ms', 'peer', 'share')
    of_pages, of_ms = (at_equal_recall(curves, PAIRS, LEVELS, column) for column in (1, 2))
    for (ours, peer, level, pages, peer_pages), (*_, ms, peer_ms) in zip(of_pages, of_ms):
        if level == 0.95:
            shares[ours, peer] = pages / peer_pages
        say(f'| {ours} | {peer} | {level:.2f} | {pages:.0f} | {peer_pages:.0f} | {pages / peer_pages:.2f} | '
            f'{ms:.2f} | {peer_ms:.2f} | {ms / peer_ms:.2f} |')
    return shares


def main():
    arguments = parser(__doc__)
    arguments.add_argument('--cold', type=int, default=40, help='queries a width, each with everything forgotten before')
    arguments.add_argument('--concurrency', type=int, default=32, help='effective_io_concurrency')
    args = arguments.parse_args()
    server, base, queries = start(args)
    truth = truths(base, queries)
    curves = {}
    for index, (engine, statement, methods) in INDEXES.items():
        if engine in server.engines:
            progress(f'index {index}')
            server.build(statement, index)
            curves |= measure_index(server, truth, methods, args.cold, args.concurrency)
            server.run(f'DROP INDEX {index}')
    print_heading(args, base, queries)
    say(f'Nothing cached; {server.describe()}; {args.cold} queries a width; effective_io_concurrency {args.concurrency}')
    print_curves(curves)
    shares = print_pairs(curves)
    verdicts = [(f'{ours} reads at most a third of the pages of {peer} at recall .95', share <= PROMISED, f'{share:.2f}')
                for (ours, peer), share in shares.items()]
    server.finish()
    return print_promises(verdicts)


if __name__ == '__main__':
    sys.exit(main())
