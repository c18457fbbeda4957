#!/usr/bin/env python3
"""Seeded synthetic embeddings with the neighbourhoods of real ones.

A hierarchical mixture in a latent space: a few hundred topics, a few thousand
subjects near the topics, rows near the subjects, every level with the power-law
spectrum i^-0.45 that text embeddings show; a random orthonormal map to the
wanted number of dimensions; a little isotropic noise; unit length.  Uniform or
isotropic noise would have no near neighbours and is not a benchmark.

The same seed gives the same rows, and the first rows of a larger set are those
of a smaller one.  Needs numpy.  See README.md here for what it was tuned to.
"""

import argparse
import sys

import numpy

import exact

BLOCK = 10000           # rows made at a time, each block from its own seed
EXPONENT = -0.45        # of the spectrum, as measured on text embeddings

# Chosen by `--difficulty` against the table in README.md.
LATENT = 256
TOPICS = 200
SUBJECTS = 4000
SUBJECT_SPREAD = 0.75   # of a subject around its topic, topic = 1
ROW_SPREAD = 0.80       # of a row around its subject
NOISE = 0.10            # isotropic, length of the noise against length 1


class Mixture:
    """The distribution that a seed stands for; rows and queries come from it."""

    def __init__(self, dims, seed):
        rng = numpy.random.default_rng([seed, 0])
        self.dims = dims
        self.seed = seed
        latent = min(LATENT, dims)
        spectrum = numpy.arange(1, latent + 1, dtype=numpy.float64) ** EXPONENT
        self.spectrum = (spectrum / numpy.linalg.norm(spectrum)).astype(numpy.float32)
        topics = self._draw(rng, TOPICS)
        self.subjects = topics[rng.integers(TOPICS, size=SUBJECTS)]
        self.subjects = self.subjects + SUBJECT_SPREAD * self._draw(rng, SUBJECTS)
        # Popular subjects have more rows, rare ones few.
        weight = numpy.arange(1, SUBJECTS + 1) ** -0.5
        self.cumulative = numpy.cumsum(weight / weight.sum())
        basis, _ = numpy.linalg.qr(rng.standard_normal((dims, latent)))
        self.basis = numpy.ascontiguousarray(basis.T.astype(numpy.float32))

    def _draw(self, rng, count):
        return rng.standard_normal((count, len(self.spectrum)), dtype=numpy.float32) * self.spectrum

    def block(self, number, count, stream):
        """Rows `number * BLOCK` and on of stream 1 (base) or 2 (queries)."""
        rng = numpy.random.default_rng([self.seed, stream, number])
        subject = numpy.searchsorted(self.cumulative, rng.random(BLOCK))
        subject = numpy.minimum(subject, SUBJECTS - 1)
        rows = (self.subjects[subject] + ROW_SPREAD * self._draw(rng, BLOCK)) @ self.basis
        rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
        noise = rng.standard_normal((BLOCK, self.dims), dtype=numpy.float32)
        rows += noise * numpy.float32(NOISE / numpy.sqrt(self.dims))
        rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
        return rows[:count]

    def rows(self, count, stream=1):
        """Blocks of at most BLOCK rows, `count` rows together."""
        for number in range((count + BLOCK - 1) // BLOCK):
            yield self.block(number, min(BLOCK, count - number * BLOCK), stream)

    def base(self, count):
        return numpy.concatenate(list(self.rows(count)))

    def queries(self, count):
        return numpy.concatenate(list(self.rows(count, stream=2)))


def difficulty(base, queries):
    """Share of the true ten (cosine) among the best c by the Hamming distance of signs."""
    truth, _ = exact.nearest(base, queries)
    widths = (10, 20, 40, 80)
    found, _ = exact.nearest(exact.signs(base), exact.signs(queries), max(widths))
    for c in widths:
        share = numpy.mean([len(set(t) & set(f[:c])) / 10 for t, f in zip(truth, found)])
        print(f'sign Hamming, c = {c}: {share:.3f}')


def write_fbin(blocks, count, dims, out):
    """uint32 count, uint32 dims, then float32, little-endian."""
    out.write(numpy.array([count, dims], dtype='<u4').tobytes())
    for block in blocks:
        out.write(block.astype('<f4').tobytes())


def write_copy(blocks, out):
    """Lines for COPY (id, embedding real[])."""
    number = 0
    for block in blocks:
        lines = []
        for row in block:
            number += 1
            lines.append('%d\t{%s}\n' % (number, ','.join('%.7g' % x for x in row)))
        out.write(''.join(lines).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rows', type=int, default=200000)
    parser.add_argument('--dims', type=int, default=768)
    parser.add_argument('--queries', type=int, default=0, help='write this many queries instead of the rows')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--format', choices=('fbin', 'copy'), default='fbin')
    parser.add_argument('--difficulty', action='store_true', help='print how hard the set is, write nothing')
    args = parser.parse_args()
    if args.rows < 1 or args.dims < 8 or args.queries < 0:
        parser.error('rows must be at least 1, dims at least 8, queries at least 0')

    mixture = Mixture(args.dims, args.seed)
    if args.difficulty:
        difficulty(mixture.base(args.rows), mixture.queries(args.queries or 500))
        return
    count = args.queries or args.rows
    blocks = mixture.rows(count, stream=2 if args.queries else 1)
    if args.format == 'fbin':
        write_fbin(blocks, count, args.dims, sys.stdout.buffer)
    else:
        write_copy(blocks, sys.stdout.buffer)


if __name__ == '__main__':
    main()
