#!/usr/bin/env python3
"""Recall and time at default settings on every kind of data, beside pgvector's hnsw.

Makes each kind of kinds.py, and the files named, and measures our index in several
states: built over a loaded table, calibrated where queries are unlike the rows, made
first and filled afterwards, and where the data come in two parts also grown by the
second, with the first deleted, and then built anew.  Prints a Markdown line for each as soon as it is measured, and at the
end what does not hold of what is promised; exit status 1 if anything does not.
README.md here explains the columns and the kinds.
"""

import argparse
import io
import json
import sys

import numpy
import psycopg2

import distances
import kinds
from common import Server, copy_vectors, print_columns, progress, read_fbin, say

SYMBOLS = {'l2': '<->', 'ip': '<#>', 'cosine': '<=>', 'hamming': '<~>', 'jaccard': '<%>'}
LIMITS = (10, 100)
PEER_WIDTHS = (40, 80, 160, 320, 640)   # hnsw.ef_search; the first is its default
TARGETS = (0.90, 0.95, 0.98, 0.99)

# What is promised of recall@10.
LEAST = 0.95
LEAST_OF_EASY = 0.97                    # where the peer finds
EASY = 0.99
BEHIND_PEER = 0.005
BEHIND_FRESH = {'filled': ('built', 0.007), 'grown': ('built', 0.01), 'shrunk': ('rebuilt', 0.01)}
OFF_TARGET = 0.015                      # either way, but where the least effort finds more
LEAST_TARGET = 0.5                      # asks for the least effort
SAME_ROWS = ('calibrated', 'filled', 'grown')     # as built: the peer's figures are the same
PEER_TIME = 1 / 3                       # of the peer's at equal recall: shown, and no reason to fail

COLUMNS = ('set', 'distance', 'rows × dims', 'index', 'recall@10', 'ms', 'codes scored', 'rows read', 'recall@100', 'ms')
PEER_COLUMNS = ('pgvector recall@10', 'ms', 'recall@100', 'ms', 'ms at our recall@10', 'our time in its')


def parse_arguments():
    arguments = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    arguments.add_argument('files', nargs='*', metavar='FILE.fbin', help='embeddings of your own; words*.fbin also makes the sets of sentences')
    arguments.add_argument('--sets', type=lambda text: text.split(','), default=[], help='comma separated names; default: all')
    arguments.add_argument('--states', type=lambda text: text.split(','), default=[], help='comma separated; default: all')
    arguments.add_argument('--rows-scale', type=float, default=1, help='multiplies the numbers of rows')
    arguments.add_argument('--queries', type=int, default=300)
    arguments.add_argument('--seed', type=int, default=1)
    arguments.add_argument('--repeat', type=int, default=2, help='runs; of each query the fastest counts')
    arguments.add_argument('--compression', help='of our indexes on floats and bytes')
    arguments.add_argument('--refine', help='of our indexes on floats and bytes')
    arguments.add_argument('--with', dest='options', default='', help='more of what stands between the parentheses of WITH')
    arguments.add_argument('--set', dest='settings', action='append', default=[], metavar='NAME=VALUE', help='a setting of our searches')
    arguments.add_argument('--targets', action='store_true', help='also what qhnsw.target_recall reaches')
    arguments.add_argument('--skip-pgvector', action='store_true')
    arguments.add_argument('--peer-only', action='store_true', help="pgvector's figures alone")
    arguments.add_argument('--peer', metavar='FILE', help="take pgvector's figures from what --json wrote")
    arguments.add_argument('--json', metavar='FILE', help='write the figures here')
    arguments.add_argument('--before', metavar='FILE', help='compare with what --json wrote')
    arguments.add_argument('--list', action='store_true', help='the names of the sets, and nothing else')
    arguments.add_argument('--dsn', default='', help='connection string; default: the PG* environment')
    arguments.add_argument('--workers', type=int, default=1, help='max_parallel_maintenance_workers of the builds')
    arguments.add_argument('--memory', default='2GB', help='maintenance_work_mem of the builds')
    arguments.add_argument('--keep', action='store_true', help='leave the tables of the last kind')
    args = arguments.parse_args()
    args.settings = dict(text.split('=', 1) for text in args.settings)
    args.storage = 'external'
    args.skip = ['pgvector'] if args.skip_pgvector or args.peer else []
    return args


def wanted_kinds(args):
    """(names, function) of the kinds that have a set that is wanted."""
    every = kinds.KINDS + [kind for path in args.files for kind in kinds.of_file(path, read_fbin)]
    names = [name for family, _ in every for name in family]
    unknown = [name for name in args.sets if name not in names]
    if unknown:
        sys.exit(f"no set is called {', '.join(unknown)}; there are {', '.join(names)}")
    return [(family, make) for family, make in every if not args.sets or any(name in args.sets for name in family)]


# -------------------------------------------------------------------- tables

class Column:
    """What a type of column has to be called, in ours and in the peer's tables."""

    def __init__(self, kind):
        self.kind = kind
        self.dims = kind.parts[0].shape[1]
        self.symbol = SYMBOLS[kind.distance]
        self.type = {'real': 'real[]', 'qvec8': f'qvec8({self.dims})', 'bits': f'bitvec({self.dims})'}[kind.column]
        self.opclass = f"{'bitvec' if kind.column == 'bits' else kind.column}_{kind.distance}_ops"
        self.peer_type = f"{'bit' if kind.column == 'bits' else 'vector'}({self.dims})"
        self.peer_opclass = f"{'bit' if kind.column == 'bits' else 'vector'}_{kind.distance}_ops"

    def options(self, args):
        options = [f'dims = {self.dims}'] if self.kind.column == 'real' else []
        options += [f"compression = '{args.compression}'"] if args.compression and self.kind.column != 'bits' else []
        options += [f"refine = '{args.refine}'"] if args.refine and self.kind.column != 'bits' else []
        options += [args.options] if args.options else []
        return f" WITH ({', '.join(options)})" if options else ''


class Tables(Server):
    """A server that holds the rows of a kind: table q, and v for the peer."""

    def __init__(self, args, kind):
        super().__init__(args, kind.parts[0].shape[1])
        self.column = Column(kind)
        self.kind = kind
        self.base = numpy.concatenate(kind.parts)
        self.oracles = {}               # (name of the queries, first row) -> Oracle

    def copy(self, table, rows):
        if self.kind.column != 'bits':
            copy_vectors(self.cursor, table, rows)
            return
        digits = (rows + ord('0')).astype('u1')
        text = ''.join(f'{number}\t{row.tobytes().decode()}\n' for number, row in enumerate(digits))
        self.cursor.copy_expert(f'COPY {table} (id, embedding) FROM STDIN', io.StringIO(text))

    def make(self, table, rows):
        """A table of (id, embedding) of our type, numbered from 0."""
        raw = 'real[]' if self.kind.column == 'qvec8' else self.column.type
        self.run(f'CREATE TABLE {table} (id integer, embedding {raw})')
        if raw == 'real[]':
            self.run(f'ALTER TABLE {table} ALTER embedding SET STORAGE external')
        self.copy(table, rows)
        if raw != self.column.type:
            self.run(f'ALTER TABLE {table} ALTER embedding TYPE {self.column.type} USING embedding::integer[]::{self.column.type}')
        self.run(f'VACUUM ANALYZE {table}')

    def peer_form(self):
        """The expression that turns our embedding into the peer's."""
        if self.kind.column == 'bits':
            return f'embedding::{self.column.peer_type}'
        return f"{'embedding' if self.kind.column == 'real' else 'dequantize(embedding)'}::{self.column.peer_type}"

    def oracle(self, name, first):
        if (name, first) not in self.oracles:
            self.oracles[name, first] = distances.Oracle(self.base, self.kind.queries[name], self.kind.distance, max(LIMITS), first)
        return self.oracles[name, first]

    def load_rows(self):
        self.make('q', self.base)
        if 'pgvector' in self.engines:
            self.run(f'CREATE TABLE v (id integer, embedding {self.column.peer_type})')
            self.run('ALTER TABLE v ALTER embedding SET STORAGE external')
            self.run(f'INSERT INTO v SELECT id, {self.peer_form()} FROM q ORDER BY id')
            self.run('VACUUM ANALYZE v')

    def calibrate(self, samples):
        """Show the index of q queries like those to come."""
        self.make('samples', samples)
        self.run("SELECT qhnsw_calibrate('q_i', 'samples'::regclass, 'embedding'::name)")
        self.run('DROP TABLE samples')

    def load_queries(self, queries):
        self.run('DROP TABLE IF EXISTS queries')
        self.make('queries', queries)
        if 'pgvector' in self.engines:
            self.run(f'ALTER TABLE queries ADD vector {self.column.peer_type}')
            self.run(f'UPDATE queries SET vector = {self.peer_form()}')
            self.run('VACUUM ANALYZE queries')

    def index(self, table):
        self.run(f'CREATE INDEX {table}_i ON {table} USING qhnsw (embedding {self.column.opclass}){self.column.options(self.args)}')

    def copy_table(self, table, rows='true'):
        """An empty table like q with our index, then filled with these rows of q."""
        self.run(f'CREATE TABLE {table} (LIKE q INCLUDING STORAGE)')
        self.index(table)
        self.fill(table, rows)

    def fill(self, table, rows='true'):
        self.run(f'INSERT INTO {table} SELECT * FROM q WHERE {rows} ORDER BY id')
        self.run(f'ANALYZE {table}')

    def uses_index(self, statement, relation):
        self.run('SET enable_seqscan = off')
        for ours, name in (('$embedding', 'embedding'), ('$vector', 'vector')):
            statement = statement.replace(ours, f'(SELECT {name} FROM queries LIMIT 1)')
        self.cursor.execute('EXPLAIN ' + statement)
        return any('Index Scan using ' + relation in line for (line,) in self.cursor.fetchall())


# -------------------------------------------------------------------- states

def reach(tables, state):
    """Bring our index into a state; the name of its table.  States come in this order."""
    half = len(tables.kind.parts[0])
    if state == 'built':
        tables.index('q')
        return 'q'
    if state == 'calibrated':
        return 'q'
    if state == 'filled':
        tables.copy_table('f')
        return 'f'
    if state == 'grown':
        tables.run('CREATE TABLE g (LIKE q INCLUDING STORAGE)')
        tables.fill('g', f'id < {half}')
        tables.index('g')
        tables.fill('g', f'id >= {half}')
    elif state == 'shrunk':
        tables.run(f'DELETE FROM g WHERE id < {half}')
        tables.run('VACUUM (ANALYZE, INDEX_CLEANUP on) g')
    elif state == 'rebuilt':
        tables.run('REINDEX INDEX g_i')
    return 'g'


def states_of(tables, args):
    states = ['built']
    if tables.kind.samples and tables.value("SELECT count(*) FROM pg_proc WHERE proname = 'qhnsw_calibrate'"):
        states.append('calibrated')
    states += ['filled'] + (['grown', 'shrunk', 'rebuilt'] if len(tables.kind.parts) > 1 else [])
    if not args.states:
        return states
    needed = {'calibrated': ('built',), 'shrunk': ('grown',), 'rebuilt': ('grown', 'shrunk')}
    wanted = set(args.states) | {before for state in args.states for before in needed.get(state, ())}
    return [state for state in states if state in wanted]


# ----------------------------------------------------------------- measuring

def search(tables, oracle, statement, settings, k):
    """Figures of a search at LIMIT k."""
    statement = statement + f' LIMIT {k}'
    ms, answers = tables.measure(statement, settings)
    return {'recall': oracle.recall(answers, k), 'ms': float(ms.mean()), 'median': float(numpy.median(ms)),
            'codes': tables.counters['codes_scored'], 'values': tables.counters['values_read']}


def measure_ours(tables, table, oracle, args):
    statement = f'SELECT id FROM {table} ORDER BY embedding {tables.column.symbol} $embedding'
    found = {str(k): search(tables, oracle, statement, args.settings, k) for k in LIMITS}
    found['index used'] = all(tables.uses_index(statement + f' LIMIT {k}', table + '_i') for k in LIMITS)
    if args.targets:
        tables.value('SELECT qvec_simd()')      # loads the library, which knows its settings
        if tables.value("SELECT count(*) FROM pg_settings WHERE name = 'qhnsw.target_recall'"):
            found['targets'] = {str(target): search(tables, oracle, statement, {**args.settings, 'qhnsw.target_recall': str(target)}, 10)
                                for target in TARGETS}
            found['least'] = search(tables, oracle, statement, {**args.settings, 'qhnsw.target_recall': str(LEAST_TARGET)}, 10)
    return found


class Peer:
    """pgvector's hnsw over the rows of a kind, and its curve for each set of queries."""

    def __init__(self, tables):
        self.tables = tables
        self.statement = f'SELECT id FROM v ORDER BY embedding {tables.column.symbol} $vector'
        self.found = {}                 # name of the queries -> figures
        tables.run(f'CREATE INDEX v_i ON v USING hnsw (embedding {tables.column.peer_opclass})')

    def forget_first(self):
        """The same deletes that our table has seen."""
        self.found = {}
        self.tables.run(f'DELETE FROM v WHERE id < {len(self.tables.kind.parts[0])}')
        self.tables.run('VACUUM (ANALYZE, INDEX_CLEANUP on) v')

    def search(self, oracle, width, k):
        return search(self.tables, oracle, self.statement, {'hnsw.ef_search': str(width)}, k)

    def measure(self, name, oracle, wanted):
        """At its defaults, and at wider searches until one finds as much as wanted."""
        if name not in self.found:
            self.found[name] = {'100': self.search(oracle, PEER_WIDTHS[0], 100), 'curve': {}}
        curve = self.found[name]['curve']
        for width in PEER_WIDTHS:
            if str(width) not in curve:
                curve[str(width)] = self.search(oracle, width, 10)
            if curve[str(width)]['recall'] >= wanted:
                break
        self.found[name]['10'] = curve[str(PEER_WIDTHS[0])]
        return self.found[name]


def at_equal_recall(peer, wanted):
    """(ms, width) of the peer's narrowest search that finds as much, or of its widest and None."""
    for width, row in peer['curve'].items():
        if row['recall'] >= wanted:
            return row['ms'], width
    return row['ms'], None


# -------------------------------------------------------------------- report

def print_header(args):
    columns = COLUMNS + (PEER_COLUMNS if args.with_peer else ()) + (('recall@10 before', 'ms before') if args.before else ())
    print_columns(*columns)


def our_cells(figures):
    if not figures:
        return ['', '', '', '', '', '']
    ten, hundred = figures['10'], figures['100']
    return [f"{ten['recall']:.4f}", f"{ten['ms']:.3f}", f"{ten['codes']:.0f}", f"{ten['values']:.1f}",
            f"{hundred['recall']:.4f}", f"{hundred['ms']:.3f}"]


def peer_cells(figures, peer):
    if not peer:
        return ['', '', '', '', '', '']
    cells = [f"{peer['10']['recall']:.4f}", f"{peer['10']['ms']:.3f}", f"{peer['100']['recall']:.4f}", f"{peer['100']['ms']:.3f}"]
    if not figures:
        return cells + ['', '']
    ms, width = at_equal_recall(peer, figures['10']['recall'])
    reached = f'{ms:.3f} (ef {width})' if width else f'not reached, {ms:.3f} (ef {PEER_WIDTHS[-1]})'
    return cells + [reached, f"{figures['10']['ms'] / ms:.2f}"]


def before_cells(args, name, state):
    if not args.before:
        return []
    figures = args.before['sets'].get(name, {}).get('states', {}).get(state)
    return [f"{figures['10']['recall']:.4f}", f"{figures['10']['ms']:.3f}"] if figures else ['', '']


def print_line(args, name, entry, state):
    figures = entry['states'].get(state)
    cells = [name, entry['distance'], f"{entry['rows']:,} × {entry['dims']}", state] + our_cells(figures)
    cells += peer_cells(figures, entry['peer'].get(state)) if args.with_peer else []
    say('| ' + ' | '.join(cells + before_cells(args, name, state)) + ' |')


def is_floor(figures, target, recall):
    """Is more found because even the least effort finds so much?"""
    return recall > target and figures['least']['recall'] > target - OFF_TARGET


def targets_line(name, state, figures):
    """Asked and found, with what it cost."""
    if 'targets' in figures:
        say(f'| {name} | | | {state}, targets | '
            + ' · '.join(f"{target}: {row['recall']:.4f}{' (least effort)' if is_floor(figures, float(target), row['recall']) else ''}, "
                         f"{row['codes']:.0f} codes, {row['values']:.0f} rows" for target, row in figures['targets'].items()) + ' |')


def faults_of_state(states, state, peer):
    """What does not hold of one set in one state."""
    figures = states[state]
    recall = figures['10']['recall']
    peer_recall = peer['10']['recall'] if peer else 0
    if not figures['index used']:
        yield 'the index is not used'
    if recall < LEAST:
        yield f'recall@10 {recall:.4f} < {LEAST}'
    if peer_recall >= EASY and recall < LEAST_OF_EASY:
        yield f'recall@10 {recall:.4f} < {LEAST_OF_EASY}, where pgvector has {peer_recall:.4f}'
    if recall < peer_recall - BEHIND_PEER:
        yield f"recall@10 {recall:.4f} is more than {BEHIND_PEER} below pgvector's {peer_recall:.4f}"
    if state in BEHIND_FRESH:
        fresh, most = BEHIND_FRESH[state]
        if fresh in states and recall < states[fresh]['10']['recall'] - most:
            yield f"recall@10 {recall:.4f} is more than {most} below that of {fresh}, {states[fresh]['10']['recall']:.4f}"
    for target, row in figures.get('targets', {}).items():
        if abs(row['recall'] - float(target)) > OFF_TARGET and not is_floor(figures, float(target), row['recall']):
            yield f"target {target}: {row['recall']:.4f}"


def print_faults(results):
    """What does not hold, and the exit status."""
    faults = [f'{name}, {state}: {fault}' for name, entry in results['sets'].items() for state in entry['states']
              for fault in faults_of_state(entry['states'], state, entry['peer'].get(state))]
    faults += [f"{name}: {entry['error']}" for name, entry in results['sets'].items() if 'error' in entry]
    slow = [f"{name}, {state}: {figures['10']['ms'] / ms:.2f} of pgvector's time at equal recall"
            for name, entry in results['sets'].items() for state, figures in entry['states'].items() if entry['peer'].get(state)
            for ms, width in [at_equal_recall(entry['peer'][state], figures['10']['recall'])]
            if width and figures['10']['ms'] > PEER_TIME * ms]
    say('\n## What does not hold\n')
    say('\n'.join('- ' + fault for fault in faults) or 'Nothing: every promise of recall holds.')
    if slow:
        say('\nTimes above a third of the peer\'s, which are no reason to fail:\n\n' + '\n'.join('- ' + text for text in slow))
    return 1 if faults else 0


# ---------------------------------------------------------------------- main

def read_json(path):
    with open(path) as file:
        return json.load(file)


def write_json(args, results):
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(results, file, indent=1)


def known_peer(args, name, entry, state):
    """The peer's figures of an earlier run, if they are of the same rows and queries."""
    known = args.peer['sets'].get(name) if args.peer else None
    if known and all(known[key] == entry[key] for key in ('rows', 'dims', 'queries', 'seed')):
        return known['peer'].get(state, known['peer'].get('built') if state in SAME_ROWS else None)
    return None


def measure_state(args, tables, state, table, peer, entries):
    """Measure every set of queries of a kind in one state."""
    first = len(tables.kind.parts[0]) if state in ('shrunk', 'rebuilt') else 0
    for name, entry in entries.items():
        if first and name == next(iter(tables.kind.queries)):
            continue                    # its part is gone
        if state == 'calibrated' and name not in tables.kind.samples:
            continue
        if state == 'calibrated' and not args.peer_only:
            tables.calibrate(tables.kind.samples[name])
        tables.load_queries(tables.kind.queries[name])
        oracle = tables.oracle(name, first)
        figures = None
        if not args.peer_only:
            figures = entry['states'][state] = measure_ours(tables, table, oracle, args)
        if peer:
            entry['peer'][state] = peer.measure(name, oracle, figures['10']['recall'] if figures else 1)
        elif args.peer and known_peer(args, name, entry, state):
            entry['peer'][state] = known_peer(args, name, entry, state)
        print_line(args, name, entry, state)
        targets_line(name, state, figures or {})


def run_kind(args, family, make, results):
    kind = make(kinds.Draw(family[0], args.seed, args.rows_scale, args.queries))
    rows = sum(len(part) for part in kind.parts)
    entries = {name: {'distance': kind.distance, 'rows': rows, 'dims': kind.parts[0].shape[1], 'queries': len(queries),
                      'seed': args.seed, 'states': {}, 'peer': {}} for name, queries in kind.queries.items()}
    wanted = {name: entry for name, entry in entries.items() if not args.sets or name in args.sets}
    results['sets'].update(wanted)
    tables = Tables(args, kind)
    tables.prepare()
    tables.load_rows()
    peer = Peer(tables) if 'pgvector' in tables.engines else None
    for state in states_of(tables, args):
        progress(f"{', '.join(wanted)}: {state}")
        table = reach(tables, state) if not args.peer_only else None
        if peer and state == 'shrunk':
            peer.forget_first()
        measure_state(args, tables, state, table, peer, wanted)
    tables.finish()


def describe(args):
    """Print what the server is, and find out whether there is a peer."""
    server = Server(args, 0)
    server.prepare()
    installed = 'pgvector' in server.engines
    args.with_peer = installed or args.peer is not None
    if installed:
        version = server.value("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        peer = f'pgvector {version}, ef_search {PEER_WIDTHS[0]}'
    else:
        peer = 'pgvector as measured before' if args.peer else 'pgvector is not measured' if args.skip else 'pgvector is not installed'
    say(f'{server.describe()}; {peer}\n')
    server.finish()
    if args.peer_only and not installed:
        sys.exit('there is no pgvector to measure')


def main():
    args = parse_arguments()
    chosen = wanted_kinds(args)
    if args.list:
        say('\n'.join(name for family, _ in chosen for name in family))
        return 0
    args.before, args.peer = (read_json(path) if path else None for path in (args.before, args.peer))
    results = {'arguments': ' '.join(sys.argv[1:]), 'sets': {}}
    say(f'# Battery: {args.queries} queries, seed {args.seed}, rows × {args.rows_scale:g}\n')
    describe(args)
    print_header(args)
    for family, make in chosen:
        try:
            run_kind(args, family, make, results)
        except psycopg2.Error as error:
            say(f"| {family[0]} | | | failed: {' '.join(str(error).split())} |")
            results['sets'].setdefault(family[0], {'states': {}, 'peer': {}})['error'] = ' '.join(str(error).split())
        write_json(args, results)
    return print_faults(results)


if __name__ == '__main__':
    sys.exit(main())
