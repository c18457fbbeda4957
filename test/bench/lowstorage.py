#!/usr/bin/env python3
"""Graphs of low storage beside full ones, and indexes on a function of a text.

Builds one index after the other on the same rows and prints Markdown, a line as
soon as it is measured: index bytes a vector, links a node, seconds of the build,
and for each ef recall@10 and milliseconds, with as many rows looked at as the
default asks for, and with all of ef (oversample = ef / 10).  Exit status 1 when a
promise does not hold.  README.md here explains how time and recall are measured.

Then passages of Python's library, 3,000 characters each, and a function for their
embedding: nothing but the texts is stored.  Builds, checks and searches with and
without a function for many texts at once: its calls, the seconds that it takes, the
index's share of the text, recall@3.  --passages N measures nothing else.

--texts N takes N records of Debian's packages (apt-cache dumpavail) in place of all
that, and a function of SQL for their embedding.
"""

import pathlib
import subprocess
import sys
import time

import numpy
import psycopg2

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
    arguments.add_argument('--passages', type=int, default=0, metavar='N', help='passages of Python\'s library, and nothing else')
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


# ------------------------------------------------------------------- passages

PASSAGES = 5000
PASSAGE_LENGTH = 3000
PASSAGE_DIMS = 128
BATCH = 64
MOST_OF_TEXT = 0.05
LEAST_RECALL_AT_3 = 0.9
LEAST_GAIN = 5

# Words hashed into 16,384 buckets and two layers of weights: a text alone takes as long as reading 135 MB of weights.
MODEL = f'''
    CREATE FUNCTION embed_many(bodies text[]) RETURNS real[] LANGUAGE plpython3u IMMUTABLE PARALLEL SAFE COST 1000000 AS $$
        import os, re, zlib
        os.environ['OPENBLAS_NUM_THREADS'] = '1'
        import numpy
        if 'first' not in GD:
            random = numpy.random.default_rng(1)
            GD['first'] = random.standard_normal((16384, 2048), dtype=numpy.float32)
            GD['second'] = random.standard_normal((2048, {PASSAGE_DIMS}), dtype=numpy.float32) / 32
            GD['bucket'] = {{}}
        buckets = GD['bucket']
        counts = numpy.zeros((len(bodies), 16384), dtype=numpy.float32)
        for row, body in zip(counts, bodies):
            words = re.findall('[a-z]{{3,}}', body.lower())
            for word in words:
                if word not in buckets:
                    buckets[word] = zlib.crc32(word.encode()) % 16384
            row += numpy.bincount([buckets[word] for word in words], minlength=16384)
        counts = numpy.log1p(counts)
        counts /= numpy.maximum(numpy.linalg.norm(counts, axis=1, keepdims=True), 1e-6)
        return (numpy.tanh(counts @ GD['first']) @ GD['second']).tolist()
    $$;
    CREATE FUNCTION embed(body text) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100000 AS $$
        SELECT ARRAY(SELECT unnest(embed_many(ARRAY[body])))
    $$'''

# Where there is no PL/Python: a model that takes 10 ms a call and a tenth of a millisecond a text.
NO_MODEL = f'''
    CREATE FUNCTION embed_text(body text) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_agg(coalesce(n, 0)::real ORDER BY bucket) FROM generate_series(0, {PASSAGE_DIMS - 1}) AS bucket LEFT JOIN
            (SELECT hashtext(word) & {PASSAGE_DIMS - 1} AS bucket, ln(1 + count(*)) AS n
             FROM regexp_split_to_table(lower(body), '[^a-z]+') AS word WHERE length(word) > 2 GROUP BY 1) AS counts USING (bucket)
    $$;
    CREATE FUNCTION embed_many(bodies text[]) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 1000000 AS $$
        SELECT array_agg(embed_text(body) ORDER BY n) FROM (SELECT pg_sleep(0.01 + cardinality(bodies) / 10000.0)) AS s, unnest(bodies) WITH ORDINALITY AS b(body, n)
    $$;
    CREATE FUNCTION embed(body text) RETURNS real[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100000 AS $$
        SELECT embed_text(body) FROM (SELECT pg_sleep(0.0101)) AS s
    $$'''


def passages(most):
    """Pieces of the sources that Python's packages brought."""
    found = []
    for path in sorted(pathlib.Path('/usr/lib').glob('python3*/**/*.py')):
        text = path.read_bytes().decode('utf-8', 'replace').replace('\0', ' ')
        found += [text[start:start + PASSAGE_LENGTH] for start in range(0, len(text) - PASSAGE_LENGTH, PASSAGE_LENGTH)]
    found = list(dict.fromkeys(found))
    return [found[i] for i in numpy.random.default_rng(1).permutation(len(found))[:most]]


def create_model(server):
    try:
        server.run('CREATE EXTENSION IF NOT EXISTS plpython3u')
        server.run(MODEL)
        return 'a model of 135 MB of weights, in PL/Python'
    except psycopg2.Error as error:
        progress(f'no PL/Python here: {error}'.strip())
        server.run(NO_MODEL)
        return 'a function that waits 10 ms a call and 0.1 ms a text'


PASSAGE_SEARCH = '''
    CREATE FUNCTION search() RETURNS TABLE (ms float8, hits integer, computed bigint, calls bigint) LANGUAGE plpgsql AS $$
    DECLARE query record; started timestamptz; found integer[];
    BEGIN
        FOR query IN SELECT * FROM queries LOOP
            started := clock_timestamp();
            SELECT array_agg(id) INTO found FROM (SELECT id FROM texts ORDER BY embed(body) <=> query.embedding LIMIT 3) s;
            ms := 1000 * extract(epoch FROM clock_timestamp() - started);
            SELECT values_recomputed, CASE WHEN values_batched > 0 THEN batch_calls ELSE values_recomputed END
                INTO computed, calls FROM qhnsw_last_scan();
            hits := (SELECT count(*) FROM vectors v WHERE v.id = ANY (found) AND v.embedding <=> query.embedding <= query.farthest);
            RETURN NEXT;
        END LOOP;
    END $$'''


def load_passages(server, texts, held):
    """Texts, their vectors (to measure against only), and passages held out as queries."""
    server.run('CREATE TABLE texts (id integer, body text)')
    server.cursor.executemany('INSERT INTO texts VALUES (%s, %s)', list(enumerate(texts)))
    server.run(f'''CREATE TABLE vectors (id integer, embedding real[]);
        DO $$
        DECLARE part record; vectors real[];
        BEGIN
            FOR part IN SELECT array_agg(id ORDER BY id) AS ids, array_agg(body ORDER BY id) AS bodies FROM texts GROUP BY id / {BATCH} LOOP
                vectors := embed_many(part.bodies);
                INSERT INTO vectors SELECT part.ids[i], ARRAY(SELECT unnest(vectors[i:i])) FROM generate_subscripts(part.ids, 1) AS i;
            END LOOP;
        END $$''')
    server.run(f'CREATE TABLE held AS SELECT * FROM vectors WHERE id < {held}')
    server.run(f'DELETE FROM texts WHERE id < {held}')
    server.run(f'DELETE FROM vectors WHERE id < {held}')
    server.run('VACUUM FULL ANALYZE texts')
    server.run('''CREATE TABLE queries AS SELECT embedding,
        (SELECT max(d) FROM (SELECT v.embedding <=> h.embedding AS d FROM vectors v ORDER BY 1 LIMIT 3) s) AS farthest FROM held h''')
    server.run(PASSAGE_SEARCH)


def milliseconds_a_text(server):
    """Of the function alone: one a call, and a batch a call."""
    result = []
    for size in (1, BATCH):
        server.run(f'''CREATE TABLE pieces AS SELECT array_agg(body) AS bodies FROM
            (SELECT body, row_number() OVER () AS n FROM texts LIMIT {4 * BATCH}) s GROUP BY (n - 1) / {size}''')
        server.value('SELECT count(embed_many(bodies)) FROM pieces')
        started = time.time()
        server.value('SELECT count(embed_many(bodies)) FROM pieces')
        result.append(1000 * (time.time() - started) / (4 * BATCH))
        server.run('DROP TABLE pieces')
    return result


def measure_passages(server, options, texts, nbytes):
    """Print a line of an index with these options; returns (bytes, recall@3)."""
    progress(f'building with {options}')
    seconds, size = server.build(f'CREATE INDEX texts_embed ON texts USING qhnsw ((embed(body)) real_cosine_ops) WITH ({options})', 'texts_embed')
    started = time.time()
    server.value("SELECT count(*) FROM qhnsw_check('texts_embed', true)")
    checked = time.time() - started
    server.cursor.execute('SELECT avg(hits) / 3, avg(computed), avg(calls), avg(ms) FROM search()')
    recall, computed, calls, ms = (float(value) for value in server.cursor.fetchone())
    say(f'| {options} | {seconds:.1f} | {checked:.1f} | {size / texts:.1f} | {size / nbytes:.1%} | {recall:.4f} | {computed:.1f} | {calls:.1f} | {ms:.1f} |')
    server.run('DROP INDEX texts_embed')
    return size, recall


def batches(args):
    texts = passages(args.passages or PASSAGES)
    args.skip = args.skip + ['pgvector']
    server = Server(args, PASSAGE_DIMS)
    server.prepare()
    model = create_model(server)
    held = min(args.queries, 200, len(texts) // 10)
    progress(f'loading {len(texts):,} passages')
    load_passages(server, texts, held)
    rows = len(texts) - held
    nbytes = server.value('SELECT sum(octet_length(body)) FROM texts')
    server.run('SET enable_seqscan = off')
    server.run('SET plan_cache_mode = force_generic_plan')
    alone, together = milliseconds_a_text(server)
    say(f'# {rows:,} passages of {nbytes / rows:.0f} bytes, {held} queries; {model}\n')
    say(f'A text takes {alone:.2f} ms alone, {together:.2f} ms of a call with {BATCH}.\n')
    print_columns('index', 'build s', 'qhnsw_check s', 'bytes a row', 'of the text', 'recall@3', 'values a search', 'calls', 'ms a search')
    found = [measure_passages(server, f'hub_fraction = 0.02, m_low = 8{more}', rows, nbytes)
             for more in ('', f", batch_function = 'embed_many', batch_size = {BATCH}")]
    server.finish()
    size, recall = found[1]
    return print_promises([
        (f'a text of {BATCH} a call at least {LEAST_GAIN} times faster', alone >= LEAST_GAIN * together, f'{alone / together:.1f}'),
        (f'index at most {MOST_OF_TEXT:.0%} of the text', size <= MOST_OF_TEXT * float(nbytes), f'{size / float(nbytes):.1%}'),
        (f'recall@3 at least {LEAST_RECALL_AT_3}', recall >= LEAST_RECALL_AT_3, f'{recall:.4f}')])


def main():
    args = parse_arguments()
    if args.texts:
        return recompute(args)
    if args.passages:
        return batches(args)
    return max(compare(args), batches(args))


if __name__ == '__main__':
    sys.exit(main())
