#!/usr/bin/env python3
"""qhnsw beside pgvector's hnsw and faiss, on one set, in one run.

Loads a set into a PostgreSQL, builds the indexes, and measures in the server:
a PL/pgSQL function with static SQL, so a cached plan, answers every query and
notes clock_timestamp() around it.  Prints Markdown: builds, recall@10 and time a
query at several ef_search, times at equal recall, and whether the promises
hold.  Exit status 1 when one does not.  README.md here explains the columns.
"""

import math
import sys
import time

import numpy

import exact
from common import WARM_UP, Server, get_set, parser, print_promises, progress, say, time_at, truths

LEVELS = (0.90, 0.95, 0.98, 0.99)       # recalls at which times are compared
BYTES_PROMISED = 260                    # a vector of 768 bits, m = 16

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
    arguments = parser(__doc__)
    arguments.add_argument('--ef', default='10,20,40,80,100,160,320', help='widths of search, 40 and 100 are always measured')
    args = arguments.parse_args()
    args.widths = sorted({int(x) for x in args.ef.split(',')} | {40, 100})
    return args


def knobs(ef):
    """What METHODS may ask to be filled in, at one width of search."""
    return {'ef': ef, 'tenth': max(1.0, min(100.0, ef / exact.K))}


def main():
    args = parse_arguments()
    progress(f'making the set: {args.set}')
    base, queries = get_set(args)
    rows, dims = base.shape
    server = Server(args, dims)
    server.prepare()

    truth = truths(base, queries)
    progress('loading')
    server.load(base, queries)
    say(f'# {args.set}: {rows:,} x {dims}, {len(queries)} queries\n')
    say(f'{server.describe()}; m = 16, ef_construction = 64 everywhere')

    builds = {}
    curves = {}
    orders = {}
    for name, (engine, statement, relation) in INDEXES.items():
        if engine in server.engines:
            progress(f'building {name}')
            builds[name] = server.build(statement, relation)

    def judge(name, order, ef, ms, answers):
        share = truth[order].recall(answers)
        orders[name] = order
        curves.setdefault(name, {})[ef] = share, float(numpy.median(ms)), float(numpy.mean(ms))
        progress(f'{name}, ef {ef}: recall {share:.4f}, {numpy.median(ms):.3f} ms')

    for name, (engine, order, statement, settings) in METHODS.items():
        if engine in server.engines:
            for ef in args.widths:
                judge(name, order, ef, *server.measure(statement, settings, **knobs(ef)))
    plans = {name: server.chosen_plan(METHODS[name][2], **knobs(40)) for name in ('qvec real[] 32x', 'qvec bitvec')}
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
    sys.exit(print_promises(promises(args, dims, rows, curves, builds, plans)))


if __name__ == '__main__':
    main()
