#!/usr/bin/env python3
"""Bytes a second of exact scans over bits, beside a plain read of the machine's memory.

Clustered random codes; qhnsw.flat, which reads the index's codes, and a
sequential scan of the table with 0, 1 and 2 parallel workers.  The plain read is
numpy's, of a buffer as large as all codes, between the scans.  README.md here
explains the columns.
"""

import contextlib
import io
import mmap
import struct
import sys
import time

import numpy

from common import Server, parser, print_columns, print_promises, progress, say

PROMISED = 0.60                         # of a plain read
CLUSTERS = 2000
BLOCK = 100000                          # codes made and loaded at once
MAP_HUGETLB = 0x40000                   # Linux; not in Python's mmap
HUGE_PAGE = 2 << 20
SEQUENTIAL = {'enable_indexscan': 'off', 'parallel_setup_cost': '0', 'min_parallel_table_scan_size': '0'}


def make_codes(generator, centres, count):
    """Rows near a random centre: an eighth of the bits differ."""
    flips = generator.integers(0, 256, (3, count, centres.shape[1]), dtype=numpy.uint8)
    return centres[generator.integers(0, len(centres), count)] ^ (flips[0] & flips[1] & flips[2])


def copy_codes(cursor, table, start, codes):
    """Rows (integer, bitvec) by COPY BINARY."""
    nbytes = codes.shape[1]
    row = numpy.zeros(len(codes), dtype=[('fields', '>i2'), ('idlen', '>i4'), ('id', '>i4'), ('len', '>i4'),
                                         ('nbits', '>i4'), ('bits', 'u1', (nbytes,))])
    row['fields'] = 2
    row['idlen'] = 4
    row['id'] = numpy.arange(start, start + len(codes))
    row['len'] = 4 + nbytes
    row['nbits'] = 8 * nbytes
    row['bits'] = codes
    data = b'PGCOPY\n\xff\r\n\0' + struct.pack('>ii', 0, 0) + row.tobytes() + struct.pack('>h', -1)
    cursor.copy_expert(f'COPY {table} (id, code) FROM STDIN (FORMAT binary)', io.BytesIO(data))


def load(server, args):
    generator = numpy.random.default_rng(args.seed)
    centres = generator.integers(0, 256, (CLUSTERS, args.dims // 8), dtype=numpy.uint8)
    server.run(f'CREATE TABLE codes (id integer, code bitvec({args.dims}))')
    server.run(f'CREATE TABLE queries (id integer, code bitvec({args.dims}))')
    copy_codes(server.cursor, 'queries', 0, make_codes(generator, centres, args.queries))
    for start in range(0, args.rows, BLOCK):
        copy_codes(server.cursor, 'codes', start, make_codes(generator, centres, min(BLOCK, args.rows - start)))
    server.run('VACUUM ANALYZE codes')
    progress('index')
    server.build('CREATE INDEX codes_code ON codes USING qhnsw (code)', 'codes_code')
    server.run('CHECKPOINT')


def plain_read(nbytes, repeat, huge):
    """Bytes a second of reading a buffer once, at best.

    Shared memory, as the server's buffers are, and in huge pages if those are:
    numpy's own may lie in huge pages, which read half as fast again.
    """
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | (MAP_HUGETLB if huge else 0)
    memory = mmap.mmap(-1, -(-nbytes // HUGE_PAGE) * HUGE_PAGE, flags=flags)
    buffer = numpy.frombuffer(memory, dtype=numpy.int64, count=nbytes // 8)
    buffer.fill(1)
    best = 0
    for _ in range(repeat):
        started = time.perf_counter()
        numpy.bitwise_xor.reduce(buffer)
        best = max(best, nbytes / (time.perf_counter() - started))
    return best


@contextlib.contextmanager
def settings(server, values):
    for setting, value in values.items():
        server.run(f'SET {setting} = {value}')
    yield
    for setting in values:
        server.run(f'RESET {setting}')


def flat_ms(server):
    """Milliseconds of the fastest query of the index, in the server."""
    server.run('''
        CREATE OR REPLACE FUNCTION fastest() RETURNS float8 LANGUAGE plpgsql AS $$
        DECLARE query record; started timestamptz; found integer[]; best float8 := 'infinity';
        BEGIN
            FOR query IN SELECT * FROM queries LOOP
                started := clock_timestamp();
                found := ARRAY (SELECT id FROM codes ORDER BY code <~> query.code LIMIT 10);
                best := least(best, 1000 * extract(epoch FROM clock_timestamp() - started));
            END LOOP;
            RETURN best;
        END $$''')
    with settings(server, {'qhnsw.flat': 'on', 'enable_seqscan': 'off'}):
        return min(server.value('SELECT fastest()') for _ in range(server.args.repeat))


def workers_launched(plan):
    """How many a plan that was run had, in all its nodes; 0 where it has no Gather."""
    return plan.get('Workers Launched', 0) + sum(workers_launched(child) for child in plan.get('Plans', ()))


def sequential_ms(server, workers):
    """
    Milliseconds of the fastest query of the table, by the client's clock.

    A statement of its own: in PL/pgSQL none would run in parallel.
    """
    server.cursor.execute('SELECT code::text FROM queries')
    codes = [row[0] for row in server.cursor.fetchall()]
    best = float('inf')
    with settings(server, SEQUENTIAL | {'max_parallel_workers_per_gather': workers}):
        server.run('PREPARE nearest AS SELECT id FROM codes ORDER BY code <~> $1 LIMIT 10')
        server.cursor.execute('EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE nearest(%s)', codes[:1])
        plan = server.cursor.fetchone()[0][0]['Plan']
        if workers_launched(plan) != workers:
            sys.exit(f'{workers} workers were to be launched, but the plan is {plan}')
        for code in codes * server.args.repeat:
            started = time.perf_counter()
            server.cursor.execute('EXECUTE nearest(%s)', (code,))
            best = min(best, 1000 * (time.perf_counter() - started))
        server.run('DEALLOCATE nearest')
    return best


def main():
    arguments = parser(__doc__)
    arguments.set_defaults(rows=1000000, queries=30)
    args = arguments.parse_args()
    if args.set != 'synthetic' or args.dims % 8 != 0:
        sys.exit('the codes are made here, in whole bytes')
    server = Server(args, args.dims)
    server.prepare()
    load(server, args)

    nbytes = args.rows * args.dims // 64 * 8
    heap = server.value("SELECT pg_relation_size('codes')")
    server.run('SET plan_cache_mode = force_generic_plan')
    huge = server.value('SHOW huge_pages') == 'on'
    reads = [plain_read(nbytes, 10, huge)]
    found = {'qhnsw.flat': (nbytes, flat_ms(server))}
    for workers in (0, 1, 2):
        reads.append(plain_read(nbytes, 10, huge))
        found[f'sequential scan, {workers} workers'] = (heap, sequential_ms(server, workers))
    reads.append(plain_read(nbytes, 10, huge))
    read = max(reads)

    say(f'# {args.rows:,} codes of {args.dims} bits ({nbytes / 1e6:.0f} MB; table {heap / 1e6:.0f} MB)\n')
    say(f'{server.describe()}; the fastest of {args.queries} queries in each\n')
    print_columns('scan', 'ms', 'GB/s', 'share of a plain read')
    say(f'| plain read | {1000 * nbytes / read:.2f} | {read / 1e9:.1f} | 1 |')
    for name, (size, ms) in found.items():
        say(f'| {name} | {ms:.2f} | {size / ms / 1e6:.1f} | {size / ms * 1000 / read:.2f} |')
    _, ms = found['qhnsw.flat']
    share = nbytes / ms * 1000 / read
    server.finish()
    return print_promises([('qhnsw.flat reads codes at 60% of a plain read', share >= PROMISED, f'{share:.2f}')])


if __name__ == '__main__':
    sys.exit(main())
