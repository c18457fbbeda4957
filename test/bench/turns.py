#!/usr/bin/env python3
"""Searches by this checkout's library and by another build of it, in turns.

Both read the same tables and the same indexes on the same server: the library is
changed under it, and each turn is a connection of its own.  So what differs is the
code alone.  The other library is a qvec.so of a commit whose indexes have the same
format, built against the same PostgreSQL.  Prints Markdown: milliseconds of a query
(the mean, each query by its fastest turn), their ratio, and the recall of both.
"""

import os
import shutil
import sys

import numpy
import psycopg2

from common import Server, get_set, parser, print_columns, print_heading, progress, say, timing_function, truths

BY_CODE = 'SELECT id FROM q ORDER BY code <~> $code LIMIT {k}'
BY_COSINE = 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT {k}'

# name, index, query, settings, truth
CASES = [
    ('bits', 'q USING qhnsw (code)', BY_CODE, {}, 'hamming'),
    ('int8 decides', "q USING qhnsw (embedding real_cosine_ops) WITH (refine = 'int8')", BY_COSINE, {'qhnsw.rescore': 'off'}, 'cosine'),
    ('int8, exact', "q USING qhnsw (embedding real_cosine_ops) WITH (refine = 'int8')", BY_COSINE, {}, 'cosine'),
    ('32x, exact', 'q USING qhnsw (embedding real_cosine_ops)', BY_COSINE, {}, 'cosine'),
]
EFFORTS = [(10, 10), (10, 40), (100, 40)]   # LIMIT, ef_search
NAMES = ('before', 'now')


class Turns:
    def __init__(self, args):
        self.args = args
        self.base, self.queries = get_set(args)
        server = Server(args, self.base.shape[1])
        server.prepare()
        progress('loading')
        server.load(self.base, self.queries)
        self.loader = server
        directory = server.value("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'")
        self.place = os.path.join(directory, 'qvec.so')
        self.libraries = {'before': args.before, 'now': self.place + '.now'}
        shutil.copy(self.place, self.libraries['now'])
        self.truth = truths(self.base, self.queries)

    def put(self, name):
        """Connections made from now on load this build: by a new file, for the old one is in use."""
        shutil.copy(self.libraries[name], self.place + '.new')
        os.rename(self.place + '.new', self.place)

    def turn(self, name, statement, settings, k):
        """One run of all queries: milliseconds and row numbers of each."""
        self.put(name)
        connection = psycopg2.connect(self.args.dsn)
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f'SET search_path = {self.loader.value("SELECT current_schema()")}, public')
        cursor.execute('SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan')
        for setting, value in settings.items():
            cursor.execute('SELECT qvec_simd()')    # loads the library, which knows the settings
            cursor.execute(f"SET {setting} = '{value}'")
        # not what qhnsw_last_scan() says: its columns may differ between the builds
        cursor.execute(timing_function('pg_temp.turn', statement.format(k=k)))
        fastest = None
        for _ in range(1 + self.args.repeat):       # the first warms up
            cursor.execute('SELECT ms, ids FROM pg_temp.turn() ORDER BY number')
            rows = cursor.fetchall()
            ms = numpy.array([row[0] for row in rows])
            fastest = ms if fastest is None else numpy.minimum(fastest, ms)
        connection.close()
        return fastest, [row[1] or [] for row in rows]

    def compare(self, statement, settings, k):
        """name -> (milliseconds, row numbers), each query by its fastest turn."""
        best = {}
        for turn in range(self.args.turns):
            for name in NAMES if turn % 2 == 0 else reversed(NAMES):
                ms, ids = self.turn(name, statement, settings, k)
                best[name] = (numpy.minimum(best[name][0], ms) if name in best else ms, ids)
        return best

    def run(self):
        print_heading(self.args, self.base, self.queries)
        say(self.loader.describe() + '\n')
        print_columns('index', 'LIMIT', 'ef_search', 'before, ms', 'now, ms', 'ratio', 'recall before', 'recall now')
        for name, index, statement, settings, truth in (case for case in CASES if self.args.only in case[0]):
            self.loader.run('DROP INDEX IF EXISTS q_i')
            self.loader.run('CREATE INDEX q_i ON ' + index)
            for k, ef in EFFORTS:
                best = self.compare(statement, {**settings, 'qhnsw.ef_search': ef}, k)
                ms = {n: best[n][0].mean() for n in NAMES}
                recall = {n: self.truth[truth].recall(best[n][1], k) for n in NAMES}
                say(f"| {name} | {k} | {ef} | {ms['before']:.4f} | {ms['now']:.4f} | {ms['now'] / ms['before']:.3f} | "
                    f"{recall['before']:.4f} | {recall['now']:.4f} |")

    def finish(self):
        self.put('now')
        self.loader.finish()


def main():
    arguments = parser(__doc__)
    arguments.add_argument('--before', required=True, metavar='LIBRARY', help='the other build: a qvec.so')
    arguments.add_argument('--turns', type=int, default=6, help='of each build')
    arguments.add_argument('--only', default='', help='cases with this in their name')
    args = arguments.parse_args()
    args.skip = ['pgvector']
    turns = Turns(args)
    try:
        turns.run()
    finally:
        turns.finish()
    return 0


if __name__ == '__main__':
    sys.exit(main())
