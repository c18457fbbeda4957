#!/usr/bin/env python3
"""Every compression of a float column by every oversample, on one set.

Builds one index after the other on the same rows, and for each asks for 10 and
for 100 rows at several settings.  Prints Markdown, a line as soon as it is
measured: recall@10, recall@100, index bytes a vector, heap rows fetched a query
and milliseconds a query.  Exit status 1 when a promise does not hold.  README.md
here explains how time and recall are measured.
"""

import sys

import numpy

from common import Server, get_set, parser, print_columns, print_heading, print_promises, progress, say, truths

COMPRESSIONS = ('32x', '16x', '8x', '4x', '2x', '1x')
REFINES = ('none', 'int4', 'int8')
LIMITS = (10, 100)
STATEMENT = 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT {limit}'
WIDE_ROWS = 50000                       # of 2x and 1x, whose codes are as large as the rows


def parse_arguments():
    arguments = parser(__doc__)
    arguments.add_argument('--compressions', default=','.join(COMPRESSIONS))
    arguments.add_argument('--refines', default=','.join(REFINES), help='measured at 32x; other compressions are measured without')
    arguments.add_argument('--oversamples', default='1,2,3,5')
    arguments.add_argument('--wide-rows', type=int, default=WIDE_ROWS, help='2x and 1x are built on at most so many rows')
    args = arguments.parse_args()
    for name in ('compressions', 'refines', 'oversamples'):
        setattr(args, name, getattr(args, name).split(','))
    return args


def variants(args):
    """(compression, refine) of each index."""
    return ([(compression, 'none') for compression in args.compressions] +
            [('32x', refine) for refine in args.refines if refine != 'none'])


def settings_of(args, refine):
    """(name, settings) of each way to search an index."""
    ways = [('default', {})]
    ways += [(f'oversample {x}', {'qhnsw.oversample': x}) for x in args.oversamples]
    ways += [('rescore off', {'qhnsw.rescore': 'off'})]
    if refine != 'none':
        ways += [(f'oversample {x}, rescore off', {'qhnsw.oversample': x, 'qhnsw.rescore': 'off'}) for x in args.oversamples]
    return ways


class Bench:
    def __init__(self, args):
        self.args = args
        self.base, self.queries = get_set(args)
        self.truth = {}
        self.loaded = 0
        self.found = {}                 # (compression, refine, way) -> {limit: (recall, fetched)}
        args.skip = args.skip + ['pgvector']
        self.server = Server(args, self.base.shape[1])

    def load(self, rows):
        """Have a table of so many rows."""
        if rows != self.loaded:
            progress(f'loading {rows:,} rows')
            self.server.prepare()
            self.server.load(self.base[:rows], self.queries)
            self.loaded = rows
        if rows not in self.truth:
            self.truth[rows] = truths(self.base[:rows], self.queries)['cosine']

    def measure(self, compression, refine):
        rows = len(self.base)
        if compression in ('2x', '1x'):
            rows = min(rows, self.args.wide_rows)
        self.load(rows)
        progress(f'building {compression}, refine {refine}')
        seconds, nbytes = self.server.build(
            'CREATE INDEX q_embedding ON q USING qhnsw (embedding real_cosine_ops) '
            f"WITH (compression = '{compression}', refine = '{refine}')", 'q_embedding')
        for way, settings in settings_of(self.args, refine):
            line = {}
            for limit in LIMITS:
                ms, answers = self.server.measure(STATEMENT, settings, limit=limit)
                line[limit] = (self.truth[rows].recall(answers, limit), self.server.counters['heap_rows_fetched'],
                               float(numpy.median(ms)))
            self.found[compression, refine, way] = line
            say(f'| {compression} | {refine} | {way} | {rows:,} | {nbytes / rows:.0f} | {seconds:.1f} | ' +
                ' | '.join(f'{recall:.4f} | {fetched:.0f} | {ms:.3f}' for recall, fetched, ms in line.values()) + ' |')
        self.server.run('DROP INDEX q_embedding')

    def promises(self):
        """(what, holds, found) of each promise that this run can judge."""
        wanted = (
            ('32x', 'none', 'default', 'recall@10 at 32x, default settings >= {}', 0.97 if self.args.set != 'synthetic' else 0.95, 40),
            ('8x', 'none', 'rescore off', 'recall@10 at 8x, rescore off >= {}', 0.95, 0),
            ('4x', 'none', 'rescore off', 'recall@10 at 4x, rescore off >= {}', 0.99, 0),
            ('32x', 'int8', 'default', 'recall@10 at 32x, refine int8 >= {}', 0.95, 15),
        )
        found = []
        for compression, refine, way, what, least, most in wanted:
            if (compression, refine, way) not in self.found:
                continue
            recall, fetched, _ = self.found[compression, refine, way][10]
            found.append((what.format(least) + f', and at most {most} heap rows a query', recall >= least and fetched <= most,
                          f'{recall:.4f}, {fetched:.1f} rows'))
        return found


def main():
    args = parse_arguments()
    progress(f'making the set: {args.set}')
    bench = Bench(args)
    print_heading(args, bench.base, bench.queries)
    print_columns('compression', 'refine', 'settings', 'rows', 'bytes a vector', 'build s',
                  'recall@10', 'fetched', 'ms', 'recall@100', 'fetched', 'ms')
    for compression, refine in variants(args):
        bench.measure(compression, refine)
    promises = bench.promises()
    bench.server.finish()
    return print_promises(promises)


if __name__ == '__main__':
    sys.exit(main())
