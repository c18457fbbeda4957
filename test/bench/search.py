#!/usr/bin/env python3
"""qhnsw beside pgvector's hnsw and faiss, on one set, in one run.

Loads a set into a PostgreSQL, builds the indexes, and measures in the server:
a PL/pgSQL function with static SQL, so a cached plan, answers every query and
notes clock_timestamp() around it.  Prints Markdown: builds, recall@10 and time a
query at several ef_search, times at equal recall, what planning and parsing
would add, and whether the promises hold.  Exit status 1 when one does not.  README.md here explains the columns.
"""

import math
import sys
import time

import numpy

import exact
from common import (WARM_UP, at_equal_recall, faiss_binary_hnsw, fastest_of, parser, print_columns, print_heading, print_promises,
                    progress, say, start, truths, value_at)

LEVELS = (0.90, 0.95, 0.98, 0.99)       # recalls at which times are compared
BYTES_PROMISED = 260                    # a vector of 768 bits, m = 16

BY_EMBEDDING = 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10'
WIDTH = {'qhnsw.ef_search': '{ef}'}
ALL_OF_EF = {**WIDTH, 'qhnsw.oversample': '{tenth}'}    # as many looked at more closely as the graph keeps

# What is measured: name -> (index, order by what, statement, settings).  $Q is
# the query's column of the queries table, {ef} the width of the search.
METHODS = {
    'qvec real[] 32x':
        ('qvec real[] 32x', 'cosine', BY_EMBEDDING, WIDTH),
    'qvec real[] 32x, all of ef rescored':
        ('qvec real[] 32x', 'cosine', BY_EMBEDDING, ALL_OF_EF),
    'qvec real[] 32x + int8':
        ('qvec real[] 32x + int8', 'cosine', BY_EMBEDDING, ALL_OF_EF),
    'qvec real[] 32x + int8, rescore off':
        ('qvec real[] 32x + int8', 'cosine', BY_EMBEDDING, {**ALL_OF_EF, 'qhnsw.rescore': 'off'}),
    'qvec real[] 32x + int4':
        ('qvec real[] 32x + int4', 'cosine', BY_EMBEDDING, ALL_OF_EF),
    'qvec real[] 32x + int4, rescore off':
        ('qvec real[] 32x + int4', 'cosine', BY_EMBEDDING, {**ALL_OF_EF, 'qhnsw.rescore': 'off'}),
    'qvec bitvec':
        ('qvec bitvec', 'hamming', 'SELECT id FROM q ORDER BY code <~> $code LIMIT 10', WIDTH),
    'qvec bitvec, pins only':
        ('qvec bitvec', 'hamming', 'SELECT id FROM q ORDER BY code <~> $code LIMIT 10',
         {**WIDTH, 'qhnsw.optimistic_read': 'off'}),
    'qvec bitvec + rerank':
        ('qvec bitvec', 'cosine', 'SELECT id FROM (SELECT id, embedding FROM q ORDER BY code <~> $code LIMIT {ef}) c '
         'ORDER BY embedding <=> $embedding LIMIT 10', WIDTH),
    'pgvector vector':
        ('pgvector vector', 'cosine', 'SELECT id FROM v ORDER BY embedding <=> $vector LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
    'pgvector halfvec':
        ('pgvector halfvec', 'cosine',
         'SELECT id FROM v ORDER BY embedding::halfvec({dims}) <=> $vector::halfvec({dims}) LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
    'pgvector bit':
        ('pgvector bit', 'hamming', 'SELECT id FROM v ORDER BY code <~> $bits LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
    'pgvector bit + rerank':
        ('pgvector bit', 'cosine', 'SELECT id FROM (SELECT id, embedding FROM v ORDER BY code <~> $bits LIMIT {ef}) c '
         'ORDER BY embedding <=> $vector LIMIT 10',
         {'hnsw.ef_search': '{ef}'}),
}

# index name -> (engine, statement, relation).
INDEXES = {
    'qvec real[] 32x': ('qvec', 'CREATE INDEX q_embedding ON q USING qhnsw (embedding real_cosine_ops)', 'q_embedding'),
    'qvec real[] 32x + int8': ('qvec', 'CREATE INDEX q_int8 ON q USING qhnsw (embedding real_cosine_ops) '
                               "WITH (refine = 'int8')", 'q_int8'),
    'qvec real[] 32x + int4': ('qvec', 'CREATE INDEX q_int4 ON q USING qhnsw (embedding real_cosine_ops) '
                               "WITH (refine = 'int4')", 'q_int4'),
    'qvec bitvec': ('qvec', 'CREATE INDEX q_code ON q USING qhnsw (code bitvec_hamming_ops)', 'q_code'),
    'pgvector vector': ('pgvector', 'CREATE INDEX v_embedding ON v USING hnsw (embedding vector_cosine_ops)', 'v_embedding'),
    'pgvector halfvec': ('pgvector', 'CREATE INDEX v_half ON v USING hnsw '
                         '((embedding::halfvec({dims})) halfvec_cosine_ops)', 'v_half'),
    'pgvector bit': ('pgvector', 'CREATE INDEX v_code ON v USING hnsw (code bit_hamming_ops)', 'v_code'),
}

# Which curves are compared at equal recall: ours, the peer's.
PAIRS = (
    ('qvec real[] 32x + int8, rescore off', 'pgvector vector'),
    ('qvec real[] 32x + int8, rescore off', 'pgvector halfvec'),
    ('qvec real[] 32x + int8, rescore off', 'pgvector bit + rerank'),
    ('qvec real[] 32x + int4, rescore off', 'pgvector halfvec'),
    ('qvec real[] 32x + int8', 'pgvector halfvec'),
    ('qvec real[] 32x, all of ef rescored', 'pgvector vector'),
    ('qvec real[] 32x, all of ef rescored', 'pgvector halfvec'),
    ('qvec real[] 32x, all of ef rescored', 'pgvector bit + rerank'),
    ('qvec bitvec + rerank', 'pgvector bit + rerank'),
    ('qvec bitvec', 'pgvector bit'),
    ('qvec bitvec', 'faiss binary (in process)'),
    ('qvec bitvec', 'qvec bitvec, pins only'),
)

BY_DEFAULT = 'qvec real[] 32x'
IN_PROCESS = 'faiss binary (in process)'
FLOATS_OF_PGVECTOR = ('pgvector vector', 'pgvector halfvec', 'pgvector bit + rerank')
EXACT_ORDER = ('qvec real[] 32x, all of ef rescored', 'qvec real[] 32x + int8', 'qvec real[] 32x + int4')
CODE_ORDER = ('qvec real[] 32x + int8, rescore off', 'qvec real[] 32x + int4, rescore off')
INLINE_NBYTES = 2000                    # of a row that PostgreSQL does not move values out of
INLINE_FACTOR = 4
TOASTED_FACTOR = 2.5


def speed_promises(inline):
    """(what, our ways, their ways, recall, times as fast): the best way of each counts."""
    exact = INLINE_FACTOR if inline else TOASTED_FACTOR
    return (
        ('bits', ('qvec bitvec',), ('pgvector bit',), 0.95, 8),
        ('bits', ('qvec bitvec',), ('pgvector bit',), 0.99, 8),
        ('bits, faiss in process', ('qvec bitvec',), (IN_PROCESS,), 0.95, 1),
        ('bits, faiss in process', ('qvec bitvec',), (IN_PROCESS,), 0.99, 1),
        ('floats, the finer code decides', CODE_ORDER, FLOATS_OF_PGVECTOR, 0.95, 7),
        ('floats, the finer code decides', CODE_ORDER, FLOATS_OF_PGVECTOR, 0.99, 10),
        (f"floats in exact order, {'inline' if inline else 'TOASTed'}", EXACT_ORDER, FLOATS_OF_PGVECTOR, 0.95, exact),
        (f"floats in exact order, {'inline' if inline else 'TOASTed'}", EXACT_ORDER, FLOATS_OF_PGVECTOR, 0.99, exact),
    )


# ------------------------------------------------------------------- indexes

class ServerIndex:
    """An index of INDEXES and the methods that search it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.engine, self.create, self.relation = INDEXES[name]
        self.methods = [method for method, (index, *_) in METHODS.items() if index == name]

    def build(self):
        """Seconds and bytes."""
        return self.server.build(self.create, self.relation)

    def run(self, method, ef):
        """Milliseconds and row numbers of every query."""
        _, _, statement, settings = METHODS[method]
        return self.server.run_queries(statement, settings, **knobs(ef))

    def take_turn(self, widths):
        """A run of each method at each width: (method, ef, milliseconds, row numbers)."""
        self.server.show_only(self.relation)
        self.run(self.methods[0], max(widths))      # the server has to get to know an index anew that was hidden
        for method in self.methods:
            for ef in widths:
                yield method, ef, *self.run(method, ef)

    def chosen_plan(self):
        """The index that the planner chooses by itself for the method of the same name."""
        return self.server.chosen_plan(METHODS[self.name][2], **knobs(40))

    def drop(self):
        self.server.run(f'DROP INDEX {self.relation}')


class FaissIndex:
    """IndexBinaryHNSW in process, one thread."""

    def __init__(self, base, queries):
        self.codes = numpy.packbits(base > 0, axis=1)
        self.asked = numpy.packbits(queries > 0, axis=1)
        self.name = IN_PROCESS
        self.engine = 'faiss'
        self.index = None

    def build(self):
        """Seconds and bytes, or None without faiss."""
        built = faiss_binary_hnsw(self.codes)
        if built is None:
            return None
        self.index = built[0]
        return built[1:]

    def run(self, ef):
        self.index.hnsw.efSearch = ef
        self.index.search(self.asked[:WARM_UP], exact.K)
        ms = []
        answers = []
        for i in range(len(self.asked)):
            started = time.perf_counter()
            _, ids = self.index.search(self.asked[i:i + 1], exact.K)
            ms.append(1000 * (time.perf_counter() - started))
            answers.append([x for x in ids[0] if x >= 0])
        return numpy.array(ms), answers

    def take_turn(self, widths):
        for ef in widths if self.index is not None else ():
            yield self.name, ef, *self.run(ef)

    def drop(self):
        self.index = None


# -------------------------------------------------------------------- report

# Columns of a curve's rows, which are (recall, median ms, mean ms).
MEDIAN, MEAN = 1, 2


def print_builds(builds, rows):
    say('\n## Builds\n')
    print_columns('index', 'seconds', 'rows/s', 'MB', 'bytes a vector')
    for name, (seconds, nbytes) in builds.items():
        say(f'| {name} | {seconds:.1f} | {rows / seconds:,.0f} | {nbytes / 1e6:.1f} | {nbytes / rows:.0f} |')


def print_curves(curves, orders):
    say('\n## Searches\n')
    say('Median milliseconds a query; recall@10 against the exact order of that distance, ties counted fairly.\n')
    print_columns('search', 'order', 'ef_search', 'recall@10', 'median ms', 'mean ms')
    for name, curve in curves.items():
        for ef, (share, median, mean) in curve.items():
            say(f'| {name} | {orders[name]} | {ef} | {share:.4f} | {median:.3f} | {mean:.3f} |')


def print_pairs(curves):
    say('\n## Times at equal recall\n')
    say('Interpolated between the measured widths; a ratio above 1 means that qvec is faster.\n')
    print_columns('qvec', 'peer', 'recall@10', 'qvec ms', 'peer ms', 'ratio', 'ratio of means')
    means = [b / a for _, _, _, a, b in at_equal_recall(curves, PAIRS, LEVELS, MEAN)]
    for (ours, peer, level, a, b), of_means in zip(at_equal_recall(curves, PAIRS, LEVELS), means):
        say(f'| {ours} | {peer} | {level:.2f} | {a:.3f} | {b:.3f} | {b / a:.2f} | {of_means:.2f} |')


def fastest(curves, names, level, column=MEDIAN):
    """(milliseconds, name) of the fastest of these methods that reaches a recall, or None.

    A method that finds more than that at its narrowest counts with what that takes.
    """
    times = []
    for name in names:
        curve = curves.get(name, {})
        enough = [row[column] for row in curve.values() if row[0] >= level]
        if enough:
            times.append((value_at(curve, level, column) or min(enough), name))
    return min(times, default=None)


def widest(curves, names):
    """(milliseconds, name, recall) of the fastest of these methods at its widest, or None: where none reaches a recall."""
    return min(((curve[max(curve)][1], name, curve[max(curve)][0]) for name, curve in curves.items() if name in names), default=None)


def judge_speed(args, dims, curves):
    verdicts = []
    inline = args.storage == 'plain' or 4 * dims + 100 < INLINE_NBYTES
    for what, ours, theirs, level, factor in speed_promises(inline):
        a, b = fastest(curves, ours, level), fastest(curves, theirs, level)
        short = ''
        if b is None:
            at_most = widest(curves, theirs)
            if at_most is None:
                continue                # nothing to compare with
            b = at_most[:2]
            short = f', whose widest search finds {at_most[2]:.4f}'
        else:
            of_means = fastest(curves, theirs, level, MEAN)[0] / fastest(curves, ours, level, MEAN)[0] if a else 0
            short = f'; means: {of_means:.2f} times'
        promise = f'{what}: {factor} times as fast at recall {level:.2f}'
        if a is None:
            verdicts.append((promise, False, 'recall not reached'))
        else:
            verdicts.append((promise, b[0] >= factor * a[0],
                             f'{b[0] / a[0]:.2f} times: {a[0]:.3f} ms, {b[1]} {b[0]:.3f} ms{short}'))
    return verdicts


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
        pair = 'qvec bitvec', 'pgvector bit'
        for _, _, level, a, b in at_equal_recall(curves, (pair,), LEVELS):
            found.append((f'an index scan of bitvec is faster than pgvector at recall {level:.2f}', a < b,
                          f'{a:.3f} against {b:.3f} ms'))
        for ef in (40, 100):
            a, b = (curves[name][ef][1] for name in pair)
            found.append((f'an index scan of bitvec is faster than pgvector at ef_search = {ef}', a < b,
                          f'{a:.3f} against {b:.3f} ms'))
    return found + judge_speed(args, dims, curves)


def measure_preparation(server):
    """Median milliseconds of planning a search, and of reading a vector from its text: not part of the times above."""
    planning = []
    for _ in range(50):
        server.cursor.execute('EXPLAIN (SUMMARY) ' + BY_EMBEDDING.replace('$embedding', "(SELECT embedding FROM queries LIMIT 1)"))
        planning.append(float(server.cursor.fetchall()[-1][0].split()[-2]))
    parsing = server.value('''
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM (
            SELECT 1000 * extract(epoch FROM clock_timestamp() - started) AS ms
            FROM (SELECT clock_timestamp() AS started, literal
                  FROM (SELECT embedding::text AS literal FROM queries OFFSET 0) r OFFSET 0) q,
                 LATERAL (SELECT literal::real[] AS parsed OFFSET 0) p
            WHERE parsed IS NOT NULL OFFSET 0) t''')
    return float(numpy.median(planning)), float(parsing)


# ---------------------------------------------------------------------- main

def parse_arguments():
    arguments = parser(__doc__)
    arguments.add_argument('--ef', default='6,8,10,14,20,40,80,100,160,320',
                           help='widths of search, of all engines; 40 and 100 are always measured')
    arguments.add_argument('--one-at-a-time', action='store_true',
                           help='build, measure and drop one index after the other, where shared buffers do not hold all of them')
    args = arguments.parse_args()
    args.widths = sorted({int(x) for x in args.ef.split(',')} | {40, 100})
    return args


def knobs(ef):
    """What METHODS may ask to be filled in, at one width of search."""
    return {'ef': ef, 'tenth': max(1.0, min(100.0, ef / exact.K))}


def build_all(indexes):
    """{name: (seconds, bytes)} of those that can be built."""
    builds = {}
    for index in indexes:
        progress(f'building {index.name}')
        built = index.build()
        if built is not None:
            builds[index.name] = built
    return builds


def measure_all(indexes, widths, repeat):
    """{(method, ef): [(milliseconds, row numbers) of a run]}: the indexes take turns, so that what slows the machine for a while slows no one's every run."""
    runs = {}
    for turn in range(repeat):
        for index in indexes:
            progress(f'turn {turn + 1} of {index.name}')
            for method, ef, *run in index.take_turn(widths):
                runs.setdefault((method, ef), []).append(run)
    return runs


def main():
    args = parse_arguments()
    server, base, queries = start(args)
    rows, dims = base.shape
    truth = truths(base, queries)
    print_heading(args, base, queries)
    say(f'{server.describe()}; m = 16, ef_construction = 64 everywhere')

    indexes = [ServerIndex(server, name) for name, (engine, *_) in INDEXES.items() if engine in server.engines]
    if 'faiss' not in args.skip:
        indexes.append(FaissIndex(base, queries))
    builds = {}
    curves = {}
    orders = {}
    plans = {}
    for together in [[index] for index in indexes] if args.one_at_a_time else [indexes]:
        builds |= build_all(together)
        for (method, ef), runs in measure_all(together, args.widths, args.repeat).items():
            ms, answers = fastest_of(runs)
            orders[method] = METHODS[method][1] if method in METHODS else 'hamming'
            curves.setdefault(method, {})[ef] = truth[orders[method]].recall(answers), float(numpy.median(ms)), float(numpy.mean(ms))
        for index in together:
            if index.engine == 'qvec':
                server.show_only(index.relation)
                plans[index.name] = index.chosen_plan()
            if index.name == BY_DEFAULT:
                preparation = measure_preparation(server)
        for index in together:
            index.drop()
    server.finish()

    print_builds(builds, rows)
    print_curves(curves, orders)
    print_pairs(curves)
    say('\nNot in these times: planning, {:.3f} ms a search; reading a vector from its text, {:.3f} ms.'.format(*preparation))
    return print_promises(promises(args, dims, rows, curves, builds, plans))


if __name__ == '__main__':
    sys.exit(main())
