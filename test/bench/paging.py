#!/usr/bin/env python3
"""Rows as clients take them: pages, keysets, thresholds, LIMIT above other nodes, cursors.

On one set, at defaults.  Prints Markdown: for each way the rows that came twice, the true rows
among those shown, and milliseconds of its first and its last page.  Exit status 1 when a promise
does not hold.
"""

import sys
import time

import numpy

from common import parser, print_columns, print_heading, print_promises, say, start
import exact

PAGE = 10
PAGES = 20
ALL = PAGE * PAGES

INDEX = 'CREATE INDEX q_embedding ON q USING qhnsw (embedding real_cosine_ops)'

# name -> how the k nearest are asked for with a LIMIT that does not stand right above the scan
ABOVE = {
    'join': 'SELECT q.id FROM q JOIN other o ON o.id = q.id ORDER BY embedding <=> {query} LIMIT {k}',
    'window': 'SELECT id, r FROM (SELECT id, rank() OVER (ORDER BY embedding <=> {query}) AS r FROM q) s LIMIT {k}',
    'CTE': 'WITH s AS MATERIALIZED (SELECT id FROM q ORDER BY embedding <=> {query}) SELECT id FROM s LIMIT {k}',
}


class Client:
    def __init__(self, args):
        self.server, self.base, self.queries = start(args)
        self.cursor = self.server.cursor
        self.true = {k: exact.nearest(self.base, self.queries, k, exact.same)[0] for k in (10, 20, 50, 100, ALL)}
        self.found = []
        run = self.server.run
        run('ALTER TABLE q ALTER id SET NOT NULL')
        run('CREATE TABLE other AS SELECT id FROM q')
        run('CREATE INDEX ON other (id)')
        run('VACUUM ANALYZE other')
        self.server.build(INDEX, 'q_embedding')
        run('SET enable_seqscan = off')
        run('SET enable_hashjoin = off')
        run('SET enable_mergejoin = off')
        run("SET plan_cache_mode = force_generic_plan")
        run('PREPARE page AS SELECT id, embedding <=> $1 FROM q ORDER BY embedding <=> $1 LIMIT $2 OFFSET $3')
        run('PREPARE keyset AS SELECT id, embedding <=> $1 FROM q WHERE embedding <=> $1 > $3 ORDER BY embedding <=> $1 LIMIT $2')
        run('PREPARE threshold AS SELECT id FROM q WHERE embedding <=> $1 < $3 ORDER BY embedding <=> $1 LIMIT $2')

    def rows(self, statement):
        started = time.perf_counter()
        self.cursor.execute(statement)
        rows = self.cursor.fetchall()
        return rows, 1000 * (time.perf_counter() - started)

    def value(self, i):
        return f'(SELECT embedding FROM queries WHERE id = {i})'

    def literal(self, i):
        return "'{" + ','.join(repr(float(x)) for x in self.queries[i]) + "}'"

    def hits(self, i, ids, k):
        return len(set(ids) & set(self.true[k][i].tolist()))

    def show(self, name, shown, twice, hits, first, last, note=''):
        say(f'| {name} | {shown} | {twice} | {hits} | {numpy.median(first):.3f} | {numpy.median(last):.3f} | {note} |')

    def promise(self, what, holds, found):
        self.found.append((what, holds, found))

    def pages(self):
        twice = hits = together = shown = 0
        first, last, whole = [], [], []
        for i in range(len(self.queries)):
            q = self.literal(i)
            seen = []
            for page in range(PAGES):
                rows, ms = self.rows(f'EXECUTE page ({q}, {PAGE}, {page * PAGE})')
                seen += [row[0] for row in rows]
                if page == 0:
                    first.append(ms)
            last.append(ms)
            at_once, ms = self.rows(f'EXECUTE page ({q}, {ALL}, 0)')
            whole.append(ms)
            twice += len(seen) - len(set(seen))
            shown += len(seen)
            hits += self.hits(i, seen, ALL)
            together += self.hits(i, [row[0] for row in at_once], ALL)
        self.show('LIMIT 10 OFFSET 0, 10 ... 190', shown, twice, hits, first, last)
        self.show('LIMIT 200', len(self.queries) * ALL, 0, together, whole, whole)
        self.promise('no row is shown twice', twice == 0, twice)
        self.promise('pages show as many true rows as one LIMIT', hits >= together, f'{hits} and {together}')

    def keyset(self):
        hits = shown = twice = 0
        first, last = [], []
        for i in range(len(self.queries)):
            q = self.literal(i)
            seen = []
            bound = -2
            for page in range(PAGES):
                rows, ms = self.rows(f'EXECUTE keyset ({q}, {PAGE}, {bound!r})')
                seen += [row[0] for row in rows]
                bound = rows[-1][1]
                if page == 0:
                    first.append(ms)
            last.append(ms)
            shown += len(seen)
            twice += len(seen) - len(set(seen))
            hits += self.hits(i, seen, ALL)
        least = round(0.975 * ALL * len(self.queries))
        self.show('keyset', shown, twice, hits, first, last)
        self.promise(f'a keyset shows {least} of {ALL * len(self.queries)} true rows', hits >= least, hits)
        ratio = numpy.median(last) / numpy.median(first)
        self.promise('page 20 of a keyset costs at most three times the first', ratio <= 3, f'{ratio:.2f}')

    def threshold(self):
        plain, bounded = [], []
        missing = 0
        for i in range(len(self.queries)):
            q = self.literal(i)
            rows, ms = self.rows(f'EXECUTE page ({q}, 20, 0)')
            plain.append(ms)
            bound = (rows[4][1] + rows[5][1]) / 2
            within, ms = self.rows(f'EXECUTE threshold ({q}, 20, {bound!r})')
            bounded.append(ms)
            missing += len({row[0] for row in rows[:5]} ^ {row[0] for row in within})
        self.show('LIMIT 20', 20, 0, '', plain, plain)
        self.show('LIMIT 20 below a threshold, five rows', 5, 0, '', bounded, bounded)
        self.promise('a threshold gives the same rows', missing == 0, f'{missing} others')
        ratio = numpy.median(bounded) / numpy.median(plain)
        self.promise('a threshold costs at most three times LIMIT 20', ratio <= 3, f'{ratio:.2f}')

    def above(self):
        for k in (20, 50, 100):
            recalls = {}
            for name, statement in {'plain': 'SELECT id FROM q ORDER BY embedding <=> {query} LIMIT {k}', **ABOVE}.items():
                hits, times = 0, []
                for i in range(len(self.queries)):
                    rows, ms = self.rows(statement.format(query=self.literal(i) + '::real[]', k=k))
                    hits += self.hits(i, [row[0] for row in rows], k)
                    times.append(ms)
                recalls[name] = hits / k / len(self.queries)
                self.show(f'LIMIT {k}, {name}', k, 0, f'{recalls[name]:.4f}', times, times)
            for name in ABOVE:
                self.promise(f'LIMIT {k} above a {name}: within .005 of the plain LIMIT',
                             recalls[name] >= recalls['plain'] - 0.005, f"{recalls[name]:.4f} and {recalls['plain']:.4f}")

    def cursors(self):
        late = hits = plain = 0
        missing = 0
        times = []
        for i in range(len(self.queries)):
            whole = i < 3
            statement = f'SELECT id FROM q ORDER BY embedding <=> {self.literal(i)}::real[]'
            self.server.run('SET cursor_tuple_fraction = 0.0001')
            self.server.run('BEGIN')
            self.server.run(f'DECLARE c CURSOR FOR {statement}')
            rows, ms = self.rows('FETCH 10 FROM c')
            times.append(ms)
            hits += self.hits(i, [row[0] for row in rows], 10)
            if whole:
                self.rows('FETCH 9990 FROM c')
                late = max(late, self.server.value('SELECT rows_late FROM qhnsw_last_scan()'))
                rest, _ = self.rows('FETCH ALL FROM c')
                missing += max(len(self.base) - min(10000, len(self.base)) - len(rest), 0)
            self.server.run('COMMIT')
            rows, _ = self.rows(statement + ' LIMIT 10')
            plain += self.hits(i, [row[0] for row in rows], 10)
        n = 10 * len(self.queries)
        self.show('cursor, FETCH 10', n, 0, hits, times, times, f'{late} late in 10,000')
        self.promise('the first FETCH 10 is within .005 of LIMIT 10', hits / n >= plain / n - 0.005, f'{hits / n:.4f} and {plain / n:.4f}')
        self.promise('at most ten rows late in ten thousand', late <= 10, late)
        self.promise('a cursor to the end gives all rows', missing == 0, f'{missing} missing')


def main():
    arguments = parser(__doc__)
    arguments.add_argument('--ways', default='pages,keyset,threshold,above,cursors')
    arguments.set_defaults(queries=40)
    args = arguments.parse_args()
    args.skip = ['pgvector']
    client = Client(args)
    print_heading(args, client.base, client.queries)
    say(client.server.describe() + '\n')
    print_columns('way', 'rows shown', 'twice', 'true', 'ms, first page', 'ms, last page', '')
    for way in args.ways.split(','):
        getattr(client, way)()
    client.server.finish()
    return print_promises(client.found)


if __name__ == '__main__':
    sys.exit(main())
