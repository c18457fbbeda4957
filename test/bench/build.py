#!/usr/bin/env python3
"""Index builds: rows a second, memory and recall, beside pgvector's.

build.py                    768-d synthetic rows: bitvec and real[] at 32x, pgvector's bit and vector, faiss's IndexBinaryHNSW
build.py --sweep            the same without peers, with all of --memory, a tenth and a hundredth
build.py --growth 1,3,10    millions of clustered codes of --dims bits, made block by block, bitvec alone

Prints a line as soon as it is measured.  Memory is the private memory (RssAnon) of the
backend and its parallel workers, looked at twenty times a second, so the server must
run on this machine.  Recall@10 is of the column's own order against a scan of all codes
(real[]: of which a hundred times as many as wanted are rescored).  Exit status 1 when a
promise does not hold.  README.md here explains the sets.
"""

import io
import struct
import sys
import threading

import numpy

import exact
import synthetic
from common import Server, copy_block, faiss_binary_hnsw, parser, print_promises, progress, say

EFS = (20, 40, 100)
WIDE_EFS = EFS + (200, 400)             # of --growth
CODES_BLOCK = 10000
GROUPS = 10000                          # of a block of codes; a set of groups serves SHARED blocks
SHARED = 20
MEGA = 1000000


def parse_arguments():
    arguments = parser(__doc__)
    arguments.set_defaults(rows=MEGA, queries=200, repeat=1)
    arguments.add_argument('--sweep', action='store_true')
    arguments.add_argument('--growth', type=lambda text: [float(x) for x in text.split(',')], help='millions of codes, comma separated')
    return arguments.parse_args()


# ---------------------------------------------------------------------- codes

class Codes:
    """Clustered bit strings: topics, subjects, groups of about twenty rows, rows; each level flips fewer bits."""

    def __init__(self, rows, bits, seed):
        rng = numpy.random.default_rng([seed, 0])
        self.nbytes = bits // 8
        self.seed = seed
        self.nsets = max(1, rows // CODES_BLOCK // SHARED)
        topics = rng.integers(0, 256, (200, self.nbytes), dtype=numpy.uint8)
        self.subjects = topics[rng.integers(200, size=4000)] ^ self.flips(rng, 4000, 2)

    def flips(self, rng, count, halvings):
        """Bits that are set with probability 2^-halvings."""
        out = rng.integers(0, 256, (count, self.nbytes), dtype=numpy.uint8)
        for _ in range(halvings - 1):
            out &= rng.integers(0, 256, (count, self.nbytes), dtype=numpy.uint8)
        return out

    def groups(self, number):
        rng = numpy.random.default_rng([self.seed, 1, number])
        return self.subjects[rng.integers(len(self.subjects), size=GROUPS)] ^ self.flips(rng, GROUPS, 3)

    def block(self, number, stream):
        rng = numpy.random.default_rng([self.seed, stream, number])
        return self.groups(number % self.nsets)[rng.integers(GROUPS, size=CODES_BLOCK)] ^ self.flips(rng, CODES_BLOCK, 4)


def copy_codes(cursor, table, first, codes):
    """COPY BINARY of (integer, bitvec)."""
    nbytes = codes.shape[1]
    row = numpy.dtype([('fields', '>i2'), ('idlen', '>i4'), ('id', '>i4'), ('len', '>i4'), ('nbits', '>i4'), ('bits', 'u1', (nbytes,))])
    block = numpy.zeros(len(codes), dtype=row)
    block['fields'] = 2
    block['idlen'] = 4
    block['id'] = numpy.arange(first, first + len(codes))
    block['len'] = 4 + nbytes
    block['nbits'] = nbytes * 8
    block['bits'] = codes
    data = b'PGCOPY\n\xff\r\n\0' + struct.pack('>ii', 0, 0) + block.tobytes() + struct.pack('>h', -1)
    cursor.copy_expert(f'COPY {table} FROM STDIN (FORMAT binary)', io.BytesIO(data))


# --------------------------------------------------------------------- memory

class Memory(threading.Thread):
    """The most private memory that a backend and its workers have had together, in bytes."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.most = 0
        self.over = threading.Event()

    @staticmethod
    def private(pid):
        try:
            with open(f'/proc/{pid}/status') as file:
                return sum(1024 * int(line.split()[1]) for line in file if line.startswith('RssAnon'))
        except OSError:
            return 0

    def workers(self):
        """Children of our backend's postmaster that say that they work for it."""
        try:
            with open(f'/proc/{self.pid}/stat') as file:
                parent = file.read().rsplit(')', 1)[1].split()[1]
            with open(f'/proc/{parent}/task/{parent}/children') as file:
                children = file.read().split()
        except OSError:
            return []
        found = []
        for child in children:
            try:
                with open(f'/proc/{child}/cmdline') as file:
                    if f'parallel worker for PID {self.pid} ' in file.read().replace('\0', ' ') + ' ':
                        found.append(child)
            except OSError:
                pass
        return found

    def run(self):
        workers, looks = [], 0
        while not self.over.wait(0.05):
            if looks % 10 == 0:
                workers = self.workers()
            looks += 1
            self.most = max(self.most, self.private(self.pid) + sum(self.private(pid) for pid in workers))

    def stop(self):
        self.over.set()
        self.join()
        return self.most


# ---------------------------------------------------------------------- bench

class Bench:
    def __init__(self, args):
        self.args = args
        self.server = Server(args, args.dims)
        self.pid = self.server.value('SELECT pg_backend_pid()')
        self.verdicts = []
        self.speed = {}                 # what -> rows a second
        self.best = {}                  # what -> recall at the widest search
        self.codes = []                 # signs of the rows loaded, packed, and
        self.asked = None               # of the queries: for faiss

    def header(self):
        say('\n| build | rows | memory set | seconds | rows/s | MB used | bytes a row | recall@10 at ef ' +
            ' / '.join(str(ef) for ef in EFS) + ' |\n|---|---|---|---|---|---|---|---|')

    def say_build(self, what, rows, memory, seconds, used, nbytes, recalls):
        say(f'| {what} | {rows} | {memory} | {seconds:.1f} | {rows / seconds:.0f} | {used} | {nbytes / rows:.1f} | ' +
            ' / '.join(f'{r:.4f}' for r in recalls) + ' |')
        if recalls:
            self.best[what] = recalls[-1]

    def build(self, what, rows, statement, index, memory, recall=None):
        server = self.server
        server.run(f"SET maintenance_work_mem = '{memory}'")
        server.run(f'DROP INDEX IF EXISTS {index}')
        server.run('CHECKPOINT')
        watch = Memory(self.pid)
        watch.start()
        progress(f'{what}, {memory}')
        seconds, nbytes = server.build(statement, index)
        used = watch.stop()
        recalls = [recall(ef) for ef in EFS] if recall else []
        self.say_build(what, rows, memory, seconds, f'{used / 1e6:.0f}', nbytes, recalls)
        self.speed[what, memory] = rows / seconds
        return seconds, used, recalls

    def truth(self, name, column, operator, settings):
        """The distance of each query's true tenth, by a scan of all codes."""
        server = self.server
        for setting in ('enable_seqscan = off', 'qhnsw.flat = on') + settings:
            server.run(f'SET {setting}')
        server.run(f'DROP TABLE IF EXISTS {name}')
        server.run(f'CREATE TABLE {name} AS SELECT queries.id, max(s.d) AS d FROM queries, LATERAL '
                   f'(SELECT q.{column} {operator} queries.{column} AS d FROM q ORDER BY 1 LIMIT 10) s GROUP BY 1')
        for setting in ('enable_seqscan', 'qhnsw.flat') + tuple(s.split(' =')[0] for s in settings):
            server.run(f'RESET {setting}')

    def recall(self, name, table, column, operator, query, setting):
        """Share of the ten rows returned that are no farther than the true tenth; distances are of table q."""
        own = 'code' if name == 'by_code' else 'embedding'
        exact = '<~>' if name == 'by_code' else '<=>'

        def at(ef):
            self.server.run('SET enable_seqscan = off')
            self.server.run(f'SET {setting} = {ef}')
            share = self.server.value(
                f'SELECT avg((q.{own} {exact} queries.{own} <= {name}.d + 1e-6)::int) FROM queries JOIN {name} USING (id), '
                f'LATERAL (SELECT id FROM {table} ORDER BY {column} {operator} queries.{query} LIMIT 10) s, q WHERE q.id = s.id')
            self.server.run(f'RESET {setting}')
            return float(share)
        return at

    # ------------------------------------------------------------ embeddings

    def load(self):
        args, server = self.args, self.server
        server.prepare()
        mixture = synthetic.Mixture(args.dims, args.seed)
        queries = mixture.queries(args.queries)
        self.asked = numpy.packbits(queries > 0, axis=1)
        server.load(numpy.zeros((0, args.dims), dtype=numpy.float32), queries)
        progress('loading')
        start = 0
        for rows in mixture.rows(args.rows):
            data = (b'PGCOPY\n\xff\r\n\0' + struct.pack('>ii', 0, 0) +
                    copy_block(numpy.arange(start, start + len(rows)), rows) + struct.pack('>h', -1))
            server.cursor.copy_expert('COPY q (id, embedding) FROM STDIN (FORMAT binary)', io.BytesIO(data))
            start += len(rows)
            self.codes.append(numpy.packbits(rows > 0, axis=1))
        server.run('ALTER TABLE q ADD PRIMARY KEY (id)')
        server.run('VACUUM ANALYZE q')
        if 'pgvector' in server.engines:
            server.run('INSERT INTO v SELECT id, embedding::vector FROM q')
            server.run('VACUUM ANALYZE v')

    def own(self, memory, with_truth):
        rows = self.args.rows
        code = self.recall('by_code', 'q', 'code', '<~>', 'code', 'qhnsw.ef_search')
        floats = self.recall('by_float', 'q', 'embedding', '<=>', 'embedding', 'qhnsw.ef_search')
        found = []
        for what, statement, index, column, operator, settings, recall, name in (
                ('qvec bitvec', 'CREATE INDEX q_code ON q USING qhnsw (code)', 'q_code', 'code', '<~>', (), code, 'by_code'),
                ('qvec real[] 32x', 'CREATE INDEX q_embedding ON q USING qhnsw (embedding)', 'q_embedding', 'embedding', '<=>',
                 ('qhnsw.ef_search = 1000', 'qhnsw.oversample = 100'), floats, 'by_float')):
            if with_truth:
                # by the codes of a first index, whichever way it is built
                self.server.run(f"SET maintenance_work_mem = '{memory}'")
                self.server.run(statement.format(dims=self.args.dims))
                self.truth(name, column, operator, settings)
            found.append(self.build(what, rows, statement, index, memory, recall))
        return found

    def whole(self):
        args = self.args
        self.load()
        say(self.server.describe())
        self.header()
        self.own(args.memory, True)
        self.promise_speed('qvec bitvec', 40000)
        self.promise_speed('qvec real[] 32x', 25000)
        if 'pgvector' in self.server.engines:
            for what, rival, statement, index, recall in (
                    ('qvec bitvec', 'pgvector bit', 'CREATE INDEX v_code ON v USING hnsw (code bit_hamming_ops)', 'v_code',
                     self.recall('by_code', 'v', 'code', '<~>', 'bits', 'hnsw.ef_search')),
                    ('qvec real[] 32x', 'pgvector vector', 'CREATE INDEX v_embedding ON v USING hnsw (embedding vector_cosine_ops)', 'v_embedding',
                     self.recall('by_float', 'v', 'embedding', '<=>', 'vector', 'hnsw.ef_search'))):
                self.build(rival, args.rows, statement, index, args.memory, recall)
                ratio = self.speed[what, args.memory] / self.speed[rival, args.memory]
                self.verdicts.append((f'{what}: 10 times as fast as {rival}', ratio >= 10, f'{ratio:.2f}'))
        if 'faiss' not in args.skip:
            self.faiss('faiss binary (in process)')
        for rival in ('pgvector bit', 'faiss binary (in process)'):
            if rival in self.best:
                ours, theirs = self.best['qvec bitvec'], self.best[rival]
                self.verdicts.append((f'qvec bitvec: recall at ef {EFS[-1]} no lower than of {rival}', ours >= theirs,
                                      f'{ours:.4f} against {theirs:.4f}'))

    def faiss(self, what):
        """Its own distances are held against the true tenth's that by_code has."""
        progress(what)
        built = faiss_binary_hnsw(numpy.concatenate(self.codes))
        if built is None:
            return
        index, seconds, nbytes = built
        self.server.cursor.execute('SELECT d FROM by_code ORDER BY id')
        farthest = numpy.array(self.server.cursor.fetchall())
        recalls = []
        for ef in EFS:
            index.hnsw.efSearch = ef
            recalls.append(float((index.search(self.asked, exact.K)[0] <= farthest).mean()))
        self.say_build(what, self.args.rows, '', seconds, '', nbytes, recalls)

    def promise_speed(self, what, wanted):
        speed = self.speed[what, self.args.memory]
        self.verdicts.append((f'{what}: {wanted} rows/s', speed >= wanted, f'{speed:.0f}'))

    def sweep(self):
        args = self.args
        args.skip.append('pgvector')
        self.load()
        say(self.server.describe())
        self.header()
        whole = self.server.value(f"SELECT pg_size_bytes('{args.memory}')")
        first = None
        for share in (1, 10, 100):
            limit = max(int(whole) // share, 1024 * 1024)
            found = self.own(f'{limit // 1024}kB', share == 1)
            first = first or found
            for (seconds, used, recalls), (seconds0, _, recalls0) in zip(found, first):
                if share == 10:
                    self.verdicts.append(('a tenth of the memory: at most twice the time', seconds <= 2 * seconds0, f'{seconds / seconds0:.2f}'))
                    worst = min(r - r0 for r, r0 in zip(recalls, recalls0))
                    self.verdicts.append(('a tenth of the memory: recall within 0.01', worst >= -0.01, f'{worst:+.4f}'))
                most = 1.15 * limit + 64 * 2 ** 20
                self.verdicts.append((f'memory within 15% + 64 MB of {limit // 2 ** 20} MB', used <= most, f'{used / 2 ** 20:.0f} MB'))

    # ---------------------------------------------------------------- growth

    def growth(self):
        args, server = self.args, self.server
        args.skip.append('pgvector')
        server.prepare()
        say(server.describe())
        self.header()
        times = []
        for size in args.growth:
            rows = int(size * MEGA)
            codes = Codes(rows, args.dims, args.seed)
            progress(f'loading {rows} codes')
            server.run('DROP TABLE IF EXISTS q, queries')
            server.run(f'CREATE TABLE q (id integer, code bitvec({args.dims}))')
            server.run(f'CREATE TABLE queries (id integer, code bitvec({args.dims}))')
            for start in range(0, rows, CODES_BLOCK):
                copy_codes(server.cursor, 'q', start, codes.block(start // CODES_BLOCK, 2)[:rows - start])
            copy_codes(server.cursor, 'queries', 0, codes.block(0, 3)[:args.queries])
            server.run('VACUUM ANALYZE q')
            statement = 'CREATE INDEX q_code ON q USING qhnsw (code)'
            seconds, used, _ = self.build('qvec bitvec', rows, statement, 'q_code', args.memory)
            times.append((rows, seconds))
            self.search(rows)
        for (rows0, seconds0), (rows1, seconds1) in zip(times, times[1:]):
            exponent = numpy.log(seconds1 / seconds0) / numpy.log(rows1 / rows0)
            self.verdicts.append((f'time grows from {rows0} to {rows1} with exponent 1.15 at most', exponent <= 1.15, f'{exponent:.2f}'))

    def search(self, rows):
        """Recall by distance, and milliseconds, of searches of the index just built."""
        server = self.server
        progress('the exact order')
        self.truth('by_code', 'code', '<~>', ())
        for ef in WIDE_EFS:
            ms, found = server.measure('SELECT id FROM q ORDER BY code <~> $code LIMIT 10', {'qhnsw.ef_search': str(ef)})
            server.run('SET enable_seqscan = off')
            share = float(server.value(
                f"SET qhnsw.ef_search = {ef}; SELECT avg((s.d <= by_code.d)::int) FROM queries JOIN by_code USING (id), "
                'LATERAL (SELECT q.code <~> queries.code AS d FROM q ORDER BY 1 LIMIT 10) s'))
            server.run('RESET qhnsw.ef_search')
            say(f'  {rows} rows, ef {ef}: recall@10 {share:.4f}, p50 {numpy.percentile(ms, 50):.3f} ms, p99 {numpy.percentile(ms, 99):.3f} ms')

    def run(self):
        if self.args.growth:
            self.growth()
        elif self.args.sweep:
            self.sweep()
        else:
            self.whole()
        self.server.finish()
        return print_promises(self.verdicts)


if __name__ == '__main__':
    sys.exit(Bench(parse_arguments()).run())
