#!/usr/bin/env python3
"""Searches under a WHERE, and searches that go deep, on one set.

Rows are numbered along a direction of the data, so that place < x is a filter that
goes with the vector, and columns made of remainders of the number do not.  "qvec columns" has
an index that knows these columns; the others filter rows of the table. Prints Markdown: recall of the rows
that pass against the exact ones among them, rows returned, rows that came late, candidates
looked at and milliseconds, for qvec in strict and in relaxed order and for pgvector's
iterative scans.  Exit status 1 when a promise does not hold.
"""

import sys

import numpy

from common import Truth, parser, print_columns, print_heading, print_promises, progress, say, start
import exact

SHARES = (0.1, 0.01, 0.001)
DEPTHS = (10, 100, 1000)

# name -> (engine, order by what, table, distance, index, prefix of settings)
METHODS = {
    'qvec real[] 32x': ('qvec', 'cosine', 'q', 'embedding <=> $embedding', 'q_embedding', 'qhnsw'),
    'qvec real[] 32x + int8': ('qvec', 'cosine', 'q', 'embedding <=> $embedding', 'q_refined', 'qhnsw'),
    'qvec bitvec': ('qvec', 'hamming', 'q', 'code <~> $code', 'q_code', 'qhnsw'),
    'qvec columns': ('qvec', 'cosine', 'q', 'embedding <=> $embedding', 'q_columns', 'qhnsw'),
    'pgvector vector': ('pgvector', 'cosine', 'v', 'embedding <=> $vector', 'v_embedding', 'hnsw'),
}
INDEXES = {
    'q_embedding': 'CREATE INDEX q_embedding ON q USING qhnsw (embedding real_cosine_ops)',
    'q_refined': "CREATE INDEX q_refined ON q USING qhnsw (embedding real_cosine_ops) WITH (refine = 'int8')",
    'q_code': 'CREATE INDEX q_code ON q USING qhnsw (code bitvec_hamming_ops)',
    'q_columns': 'CREATE INDEX q_columns ON q USING qhnsw (embedding real_cosine_ops, ten, hundred, thousand, weak, place, made, tags)',
    'v_embedding': 'CREATE INDEX v_embedding ON v USING hnsw (embedding vector_cosine_ops)',
}
# Columns that filters compare, of the number of the row.
COLUMNS = {
    'ten': ('integer', 'id % 10'),
    'hundred': ('integer', 'id % 100'),
    'thousand': ('integer', 'id % 1000'),
    'weak': ('integer', 'id / 10 % 10'),
    'place': ('integer', 'id'),
    'made': ('timestamp', "timestamp '2024-01-01' + (id * 7919::bigint % 1000003) * interval '1 minute'"),
    'tags': ('integer[]', 'ARRAY[id % 97, 100 + id % 89]'),
}
MODES = ('strict_order', 'relaxed_order')


def along_a_direction(base, seed):
    """The rows in the order of their projection on the difference of two of them."""
    one, other = numpy.random.default_rng(seed).choice(len(base), 2, replace=False)
    return base[numpy.argsort(base @ (base[one] - base[other]), kind='stable')]


def filters(rows):
    """(name, condition, row numbers that pass), without a filter first."""
    result = [('none', 'true', numpy.arange(rows))]
    ids = numpy.arange(rows)
    for share, column in zip(SHARES, ('ten', 'hundred', 'thousand')):
        result.append((f'{share:.1%} at random', f'{column} = 7', ids[ids % round(1 / share) == 7]))
    for share in SHARES:
        result.append((f'{share:.1%} with the vector', f'place < {int(rows * share)}', ids[:int(rows * share)]))
    minutes = ids * 7919 % 1000003
    result.append(('2.0% on the other side', f'place >= {int(rows * 0.98)}', ids[int(rows * 0.98):]))
    result.append(('two of 10%', 'ten = 7 AND weak = 3', ids[(ids % 10 == 7) & (ids // 10 % 10 == 3)]))
    result.append(('a span of time', "made >= '2024-01-01' AND made < timestamp '2024-01-01' + 20000 * interval '1 minute'",
                   ids[minutes < 20000]))
    result.append(('a tag', 'tags && ARRAY[13, 113]', ids[(ids % 97 == 13) | (ids % 89 == 13)]))
    some = list(range(5, 1000, 50))
    result.append(('20 of 1000', f"thousand IN ({', '.join(map(str, some))})", ids[numpy.isin(ids % 1000, some)]))
    result.append(('nothing', 'ten = 11', ids[:0]))
    return result


def add_columns(server):
    """Columns to filter by, in the tables that are there."""
    for table in ['q'] + (['v'] if 'pgvector' in server.engines else []):
        server.run(f'ALTER TABLE {table} ' + ', '.join(f'ADD {name} {type} GENERATED ALWAYS AS ({value}) STORED'
                                                       for name, (type, value) in COLUMNS.items()))
        server.run(f'VACUUM ANALYZE {table}')


class Passing:
    """Exact neighbours among the rows that pass a filter."""

    def __init__(self, base, queries, numbers, form):
        self.numbers = numbers
        self.truth = Truth(base[numbers], queries, form) if len(numbers) else None

    def recall(self, answers, k):
        k = min(k, len(self.numbers))
        if k == 0:
            return 1.0 - any(answers)
        return self.truth.recall([numpy.searchsorted(self.numbers, rows).tolist() for rows in answers], k)


class Bench:
    def __init__(self, args):
        self.args = args
        self.server, self.base, self.queries = start(args, lambda base: along_a_direction(base, args.seed))
        add_columns(self.server)
        self.found = {}                 # (method, filter, k, mode) -> (recall, rows, late)

    def measure(self, name, cases):
        engine, order, table, distance, index, prefix = METHODS[name]
        if engine not in self.server.engines:
            return
        progress(f'building {index}')
        self.server.build(INDEXES[index], index)
        form = exact.signs if order == 'hamming' else exact.same
        for label, condition, numbers, k in cases:
            passing = Passing(self.base, self.queries, numbers, form)
            for mode in MODES:
                statement = f'SELECT id FROM {table} WHERE {condition} ORDER BY {distance} LIMIT {k}'
                ms, answers = self.server.measure(statement, {f'{prefix}.iterative_scan': mode})
                self.show(name, label, k, mode, passing.recall(answers, k), answers, ms)
        self.server.run(f'DROP INDEX {index}')

    def show(self, name, label, k, mode, recall, answers, ms):
        rows = float(numpy.mean([len(row) for row in answers]))
        did = self.server.counters
        ours = name.startswith('qvec')
        self.found[name, label, k, mode] = recall, rows, did['rows_late']
        say(f'| {name} | {label} | {k} | {mode} | {recall:.4f} | {rows:.1f} | ' +
            (f"{did['rows_returned']:.0f} | {did['rows_late']:.2f} | {did['heap_rows_fetched']:.0f} | {did['codes_scored']:.0f}"
             if ours else ' | | | ') + f' | {numpy.median(ms):.3f} |')

    def promises(self):
        found = []
        for (name, label, k, mode), (recall, rows, late) in self.found.items():
            if name == 'qvec columns' and label not in ('none', 'nothing'):
                found.append((f'{name}, {label}, {mode}: recall@10 >= 0.95', recall >= 0.95, f'{recall:.4f}'))
            elif name.startswith('qvec') and label.startswith('1.0%') and k == 10:
                found.append((f'{name}, {label}, {mode}: 10 rows, recall@10 >= 0.95', recall >= 0.95 and rows == 10,
                              f'{rows:.1f} rows, {recall:.4f}'))
            if name.startswith('qvec') and mode == 'strict_order':
                relaxed = self.found[name, label, k, 'relaxed_order'][0]
                found.append((f'{name}, {label}, LIMIT {k}: strict order finds no less than relaxed', recall >= relaxed - 0.002,
                              f'{recall:.4f} against {relaxed:.4f}'))
        return found


def parse_arguments():
    arguments = parser(__doc__)
    arguments.add_argument('--methods', default=','.join(METHODS))
    args = arguments.parse_args()
    args.methods = args.methods.split(',')
    return args


def main():
    args = parse_arguments()
    bench = Bench(args)
    print_heading(args, bench.base, bench.queries)
    say(bench.server.describe() + '\n')
    print_columns('search', 'rows that pass', 'LIMIT', 'order', 'recall', 'rows', 'scanned', 'late', 'fetched', 'codes', 'ms')
    everything, *some = filters(len(bench.base))
    cases = [(*everything, k) for k in DEPTHS] + [(*case, 10) for case in some]
    for name in args.methods:
        bench.measure(name, cases)
    promises = bench.promises()
    bench.server.finish()
    return print_promises(promises)


if __name__ == '__main__':
    sys.exit(main())
