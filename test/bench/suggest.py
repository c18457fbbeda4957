#!/usr/bin/env python3
"""What qhnsw_suggest foretells, beside what CREATE INDEX then gives.

Asks for suggestions for a table, runs the command of each, and prints Markdown:
bytes foretold and found, recall@10 foretold and found by held-out queries with
default settings.  Exit status 1 when an estimate is off by more than a tenth
(bytes) or .02 (recall).  README.md here explains how recall is measured.
"""

import sys
import time

from common import parser, print_columns, print_heading, print_promises, progress, say, start, truths

STATEMENT = 'SELECT id FROM q ORDER BY embedding <=> $embedding LIMIT 10'
MOST_BYTES_OFF = 0.1
MOST_RECALL_OFF = 0.02


def parse_arguments():
    arguments = parser(__doc__)
    arguments.add_argument('--budget', help='as the function takes it')
    arguments.add_argument('--target', type=float, help='target_recall')
    arguments.add_argument('--first', type=int, default=100, help='so many of the rows are tried')
    return arguments.parse_args()


def suggestions(server, args):
    started = time.time()
    server.cursor.execute('SELECT options, estimated_bytes, share, estimated_recall, command FROM qhnsw_suggest(%s, %s, %s, %s)',
                          ('q', 'embedding', args.budget, args.target))
    rows = server.cursor.fetchall()
    say(f'{len(rows)} suggestions in {time.time() - started:.0f} s.\n')
    return rows


def main():
    args = parse_arguments()
    args.skip = args.skip + ['pgvector']
    args.repeat = 1
    server, base, queries = start(args)
    truth = truths(base, queries)['cosine']
    print_heading(args, base, queries)
    asked = suggestions(server, args)
    print_columns('options', 'bytes foretold', 'found', 'share', 'recall@10 foretold', 'found', 'ef_search')
    worst_bytes = worst_recall = 0
    for options, nbytes, share, recall, command in asked[:args.first]:
        progress(options)
        server.run(command)
        index = server.value("SELECT max(indexrelid::bigint)::regclass::text FROM pg_index WHERE indrelid = 'q'::regclass")
        found_bytes = server.value(f"SELECT pg_relation_size('{index}')")
        found = truth.recall(server.measure(STATEMENT)[1])
        say(f'| {options} | {nbytes} | {found_bytes} | {share:.3f} | {recall:.4f} | {found:.4f} | {server.counters["ef_search"]:.0f} |')
        worst_bytes = max(worst_bytes, abs(nbytes - found_bytes) / found_bytes)
        worst_recall = max(worst_recall, abs(recall - found))
        server.run(f'DROP INDEX {index}')
    server.finish()
    return print_promises([
        ('bytes foretold within a tenth', worst_bytes <= MOST_BYTES_OFF, f'{worst_bytes:.3f}'),
        (f'recall foretold within {MOST_RECALL_OFF}', worst_recall <= MOST_RECALL_OFF, f'{worst_recall:.4f}')])


if __name__ == '__main__':
    sys.exit(main())
