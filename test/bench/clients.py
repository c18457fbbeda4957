#!/usr/bin/env python3
"""Queries a second with one client and with two.

Twice: pgbench with prepared statements, whose clients take their share of the same
processors, and PL/pgSQL loops in one and two sessions at once, which are the
server alone.  README.md here explains the columns.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

from common import SCHEMA, parser, print_columns, print_heading, print_promises, progress, say, start

PROMISED = 1.8                          # times one client's, with two

# name -> (engine, index, statement, settings)
METHODS = {
    'qvec bitvec':
        ('qvec', 'CREATE INDEX q_code ON q USING qhnsw (code)',
         'SELECT id FROM q ORDER BY code <~> $code LIMIT 10', {}),
    'qvec real[] 32x, int8 in the index':
        ('qvec', "CREATE INDEX q_embedding ON q USING qhnsw (embedding) WITH (refine = 'int8')",
         'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10', {'qhnsw.rescore': 'off'}),
    'qvec real[] 32x, exact order':
        ('qvec', None, 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10', {}),
    'pgvector bit':
        ('pgvector', 'CREATE INDEX v_code ON v USING hnsw (code bit_hamming_ops)',
         'SELECT id FROM v ORDER BY code <~> $bits LIMIT 10', {}),
}


def body_of(statement):
    for column in ('embedding', 'code', 'bits'):
        statement = statement.replace('$' + column, 'query.' + column)
    return statement


def options(settings):
    settings = {'enable_seqscan': 'off', 'plan_cache_mode': 'force_generic_plan', 'jit': 'off',
                'search_path': f'{SCHEMA},public'} | settings
    return ' '.join(f'-c {name}={value}' for name, value in settings.items())


def pgbench(server, statement, settings, clients, seconds):
    """Transactions a second: a random query of the table each, looked up by number."""
    body = body_of(statement)
    column = body.split('query.')[1].split()[0]
    script = (f'\\set number random(0, {server.args.queries - 1})\n'
              + body.replace(f'query.{column}', f'(SELECT {column} FROM queries WHERE queries.id = :number)') + ';\n')
    program = os.path.join(server.value("SELECT setting FROM pg_config WHERE name = 'BINDIR'"), 'pgbench')
    with tempfile.NamedTemporaryFile('w', suffix='.sql') as file:
        file.write(script)
        file.flush()
        environment = os.environ | {'PGOPTIONS': options(settings)}
        out = subprocess.run([program, '-n', '-M', 'prepared', '-f', file.name, '-T', str(seconds),
                              '-c', str(clients), '-j', str(clients), server.connection.dsn],
                             env=environment, check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[2]) for line in out.splitlines() if line.startswith('tps'))


def loop(dsn, settings, together, seconds, done):
    """Answer queries in one session from when all are ready; how many a second."""
    connection = psycopg2.connect(dsn, options=options(settings))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute('SELECT answer_for(0.5)')
        together.wait()
        cursor.execute(f'SELECT answer_for({seconds})')
        done.append(cursor.fetchone()[0] / seconds)
    connection.close()


def loops(server, statement, settings, sessions, seconds):
    """Queries a second of several sessions at once, in the server alone."""
    server.run(f'''
        CREATE OR REPLACE FUNCTION answer_for(seconds float8) RETURNS float8 LANGUAGE plpgsql AS $$
        DECLARE query record; ids integer[]; answered integer := 0;
                until timestamptz := clock_timestamp() + seconds * interval '1 second';
        BEGIN
            LOOP
                FOR query IN SELECT * FROM queries LOOP
                    ids := ARRAY ({body_of(statement)});
                    answered := answered + 1;
                    EXIT WHEN clock_timestamp() >= until;
                END LOOP;
                EXIT WHEN clock_timestamp() >= until;
            END LOOP;
            RETURN answered;
        END $$''')
    together = threading.Barrier(sessions)
    done = []
    threads = [threading.Thread(target=loop, args=(server.args.dsn, settings, together, seconds, done))
               for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done)


def measure(server, method, args):
    """Best of the runs, which alternate: (loops 1, loops 2, pgbench 1, pgbench 2)."""
    _, _, statement, settings = METHODS[method]
    best = [0.0] * 4
    for _ in range(args.repeat):
        for i, (how, clients) in enumerate(((loops, 1), (loops, 2), (pgbench, 1), (pgbench, 2))):
            best[i] = max(best[i], how(server, statement, settings, clients, args.seconds))
    return best


def main():
    arguments = parser(__doc__)
    arguments.add_argument('--seconds', type=int, default=5, help='of each run')
    args = arguments.parse_args()
    server, base, queries = start(args)
    server.run('CREATE INDEX ON queries (id)')
    found = {}
    for method, (engine, index, _, _) in METHODS.items():
        if engine not in server.engines:
            continue
        progress(method)
        if index is not None:
            server.run(index)
        found[method] = measure(server, method, args)

    print_heading(args, base, queries)
    say(f'{server.describe()}; {os.cpu_count()} processors; the best of {args.repeat} runs of {args.seconds} s\n')
    print_columns('search', 'in the server: 1 session', '2', 'ratio', 'pgbench: 1 client', '2', 'ratio')
    for method, (one, two, client, clients) in found.items():
        say(f'| {method} | {one:.0f} | {two:.0f} | {two / one:.2f} | {client:.0f} | {clients:.0f} | {clients / client:.2f} |')
    server.finish()
    return print_promises([(f'{method}: two sessions answer 1.8 times as many', two / one >= PROMISED, f'{two / one:.2f}')
                           for method, (one, two, _, _) in found.items() if method.startswith('qvec')])


if __name__ == '__main__':
    sys.exit(main())
