#!/usr/bin/env python3
"""Graphs of low storage beside full ones; with --texts, indexes on a function of a text.

Builds one index after the other on the same rows and prints Markdown, a line as
soon as it is measured: index bytes a vector, links a node, seconds of the build,
and for each ef recall@10 and milliseconds, with as many rows looked at as the
default asks for, and with all of ef (oversample = ef / 10).  Exit status 1 when a
promise does not hold.  README.md here explains how time and recall are measured.

--texts N takes N records of Debian's packages (apt-cache dumpavail) in place of a
set, and a function of SQL for their embedding: nothing but the texts is stored.
"""

import subprocess
import sys

import numpy

from common import Server, parser, print_columns, print_heading, print_promises, progress, say, start, truths

VARIANTS = (
    ('full', ''),
    ('hub_fraction 0.02', 'hub_fraction = 0.02'),
    ('0.02, m_low 8', 'hub_fraction = 0.02, m_low = 8'),
    ('0.001', 'hub_fraction = 0.001'),
    ('0.001, m_low 4', 'hub_fraction = 0.001, m_low = 4'),
)
STATEMENT = 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10'
MOST_BYTES = 160                        # a vector, at 768 dimensions and 32x
MANY_ROWS = 100000                      # that the head pages and the last group are no matter beside
MOST_LOST = 0.01                        # of recall, at equal ef

TEXT_DIMS = 256
TEXT_FIELDS = ('Package', 'Description', 'Section', 'Depends', 'Recommends', 'Suggests', 'Tag', 'Homepage', 'Maintainer')
TEXT_SETTINGS = (('default', {}), ('ef 100, oversample 10', {'qhnsw.ef_search': 100, 'qhnsw.oversample': 10}))
EMBED = f'''
    CREATE FUNCTION embed(body text) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100000 AS $$
        SELECT array_agg(coalesce(n, 0)::real ORDER BY bucket) FROM generate_series(0, {TEXT_DIMS - 1}) AS bucket LEFT JOIN
            (SELECT hashtext(word) & {TEXT_DIMS - 1} AS bucket, sqrt(count(*)) AS n
             FROM regexp_split_to_table(lower(body), '[^a-z0-9+]+') AS word WHERE length(word) > 2 GROUP BY 1) AS counts USING (bucket)
    $$'''


def parse_arguments():
    arguments = parser(__doc__)
    arguments.add_argument('--efs', default='20,40,100')
    arguments.add_argument('--texts', type=int, default=0, metavar='N', help='records of packages, in place of a set')
    args = arguments.parse_args()
    args.efs = [int(ef) for ef in args.efs.split(',')]
    return args


# --------------------------------------------------------------- full and low

def measure_variant(server, truth, args, rows, name, options):
    """Print a line; returns (bytes a vector, {ef: recall over all of ef})."""
    seconds, nbytes = server.build(
        f"CREATE INDEX q_embedding ON q USING qhnsw (embedding real_cosine_ops) WITH (dims = {server.dims}{', ' if options else ''}{options})",
        'q_embedding')
    links = server.value("SELECT links::float8 / nodes FROM qhnsw_info('q_embedding')")
    cells = []
    wide = {}
    for ef in args.efs:
        for oversample in (0, ef / 10):
            ms, answers = server.measure(STATEMENT, {'qhnsw.ef_search': str(ef), 'qhnsw.oversample': str(oversample)})
            recall = truth.recall(answers)
            cells.append(f'{recall:.4f} · {numpy.median(ms):.3f}')
            if oversample:
                wide[ef] = recall
    server.run('DROP INDEX q_embedding')
    say(f'| {name} | {nbytes / rows:.1f} | {links:.1f} | {seconds:.1f} | ' + ' | '.join(cells) + ' |')
    return nbytes / rows, wide


def compare(args):
    args.skip = args.skip + ['pgvector']
    server, base, queries = start(args)
    truth = truths(base, queries)['cosine']
    print_heading(args, base, queries)
    say(server.describe() + '\n')
    print_columns('index', 'bytes a vector', 'links a node', 'build s',
                  *(name for ef in args.efs for name in (f'ef {ef}', f'all of {ef}')))
    found = {name: measure_variant(server, truth, args, len(base), name, options) for name, options in VARIANTS}
    server.finish()
    nbytes, low = found['hub_fraction 0.02']
    full = found['full'][1]
    promises = [(f'recall@10 at ef {ef}, all of them rescored: no more than {MOST_LOST} lost', low[ef] >= full[ef] - MOST_LOST,
                 f'{low[ef]:.4f} for {full[ef]:.4f}') for ef in args.efs]
    if base.shape[1] == 768 and len(base) >= MANY_ROWS:
        promises.append((f'at most {MOST_BYTES} bytes a vector', nbytes <= MOST_BYTES, f'{nbytes:.1f}'))
    return print_promises(promises)


# ---------------------------------------------------------------------- texts

def package_texts(most):
    """The records of different packages, as lines of text."""
    texts = {}
    output = subprocess.run(['apt-cache', 'dumpavail'], stdout=subprocess.PIPE, check=True).stdout.decode('utf-8', 'replace')
    for record in output.split('\n\n'):
        fields = dict(line.split(': ', 1) for line in record.split('\n') if ': ' in line and not line.startswith(' '))
        if 'Description' in fields or 'Description-en' in fields:
            fields.setdefault('Description', fields.get('Description-en', ''))
            texts.setdefault(fields.get('Package'), '. '.join(fields[name] for name in TEXT_FIELDS if name in fields))
    return list(texts.values())[:most]


SEARCH = '''
    CREATE FUNCTION search() RETURNS TABLE (ms float8, hits integer, computed bigint, batches bigint) LANGUAGE plpgsql AS $$
    DECLARE query record; started timestamptz;
    BEGIN
        FOR query IN SELECT * FROM queries LOOP
            started := clock_timestamp();
            SELECT count(*) FILTER (WHERE d <= query.farthest) INTO hits
                FROM (SELECT embed(body) <=> query.embedding AS d FROM texts ORDER BY embed(body) <=> query.embedding LIMIT 10) s;
            ms := 1000 * extract(epoch FROM clock_timestamp() - started);
            SELECT values_recomputed, fetch_batches INTO computed, batches FROM qhnsw_last_scan();
            RETURN NEXT;
        END LOOP;
    END $$'''


def load_texts(server, texts, held):
    """Texts, their vectors (to measure against only), and as queries the first two thirds of some texts."""
    server.run(EMBED)
    server.run('CREATE TABLE texts (id integer, body text)')
    server.cursor.executemany('INSERT INTO texts VALUES (%s, %s)', list(enumerate(texts)))
    server.run('VACUUM ANALYZE texts')
    server.run('CREATE TABLE vectors AS SELECT embed(body) AS embedding FROM texts')
    server.run(f'''CREATE TABLE queries AS
        SELECT embedding, (SELECT max(d) FROM (SELECT v.embedding <=> q.embedding AS d FROM vectors v ORDER BY 1 LIMIT 10) s) AS farthest
        FROM (SELECT embed(substr(body, 1, length(body) * 2 / 3)) AS embedding FROM texts ORDER BY hashint4(id) LIMIT {held}) q''')
    server.run(SEARCH)


def recompute(args):
    texts = package_texts(args.texts)
    args.skip = args.skip + ['pgvector']
    server = Server(args, TEXT_DIMS)
    server.prepare()
    rows, nbytes = len(texts), sum(len(text.encode()) for text in texts)
    held = min(args.queries, rows // 20)
    progress(f'loading {rows:,} texts')
    load_texts(server, texts, held)
    vectors = server.value('SELECT sum(pg_column_size(embedding)) FROM vectors')
    server.run("SET plan_cache_mode = force_generic_plan")
    server.run('SET enable_indexscan = off')
    server.cursor.execute('EXPLAIN (ANALYZE, FORMAT json) SELECT id FROM texts ORDER BY embed(body) <=> (SELECT embedding FROM queries LIMIT 1) LIMIT 10')
    sorting = server.cursor.fetchone()[0][0]['Execution Time']
    server.run('RESET enable_indexscan')
    say(f'# {rows:,} package records of {nbytes / rows:.0f} bytes, {held} queries\n\n{server.describe()}\n')
    say(f'Vectors of {TEXT_DIMS} dimensions would take {vectors / nbytes:.0%} of the text. Without an index a search takes {sorting:.0f} ms.\n')
    print_columns('index', 'build s', 'bytes a row', 'of the text', 'settings', 'recall@10', 'values computed', 'batches', 'ms')
    for options in ('hub_fraction = 0', 'hub_fraction = 0.02', 'hub_fraction = 0.02, refine = int8'):
        progress(f'building with {options}')
        seconds, size = server.build(f'CREATE INDEX texts_embed ON texts USING qhnsw ((embed(body)) real_cosine_ops) WITH ({options})', 'texts_embed')
        for name, settings in TEXT_SETTINGS:
            for setting, value in settings.items():
                server.run(f'SET {setting} = {value}')
            server.cursor.execute('SELECT avg(hits) / 10, avg(computed), avg(batches), percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM search()')
            recall, computed, batches, ms = server.cursor.fetchone()
            say(f'| {options} | {seconds:.1f} | {size / rows:.1f} | {size / nbytes:.0%} | {name} | {recall:.4f} | {computed:.1f} | {batches:.1f} | {ms:.2f} |')
            for setting in settings:
                server.run(f'RESET {setting}')
        server.run('DROP INDEX texts_embed')
    server.finish()
    return 0


def main():
    args = parse_arguments()
    return recompute(args) if args.texts else compare(args)


if __name__ == '__main__':
    sys.exit(main())
