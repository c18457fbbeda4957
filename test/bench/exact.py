"""Exact neighbours by numpy, and recall with ties counted fairly.

A returned row counts when it is no farther than the true k-th: among equal
distances any choice is right.  Knows nothing of PostgreSQL.
"""

import numpy

K = 10
STEP = 100              # queries a matrix product, and
BLOCK = 100000          # rows of it: 40 MB of similarities


def same(vectors):
    """Vectors as they are: similarity is the inner product."""
    return vectors


def signs(vectors):
    """+1 where positive, else -1: the inner product of signs is dims - 2 * Hamming."""
    return numpy.where(vectors > 0, numpy.float32(1), numpy.float32(-1))


def nearest(base, queries, k=K, form=same):
    """Row numbers and similarities of the k nearest by inner product of form(vectors), best first."""
    ids = numpy.zeros((len(queries), 0), dtype=numpy.int64)
    best = numpy.zeros((len(queries), 0), dtype=numpy.float32)
    asked = form(queries)
    for row in range(0, len(base), BLOCK):
        block = form(base[row:row + BLOCK])
        kept = min(k, len(block))
        found = numpy.empty((len(asked), kept), dtype=numpy.int64)
        score = numpy.empty((len(asked), kept), dtype=numpy.float32)
        for start in range(0, len(asked), STEP):
            product = asked[start:start + STEP] @ block.T
            part = numpy.argpartition(-product, kept - 1, axis=1)[:, :kept]
            found[start:start + STEP] = part + row
            score[start:start + STEP] = numpy.take_along_axis(product, part, axis=1)
        ids = numpy.hstack((ids, found))
        best = numpy.hstack((best, score))
        order = numpy.argsort(-best, axis=1, kind='stable')[:, :k]
        ids = numpy.take_along_axis(ids, order, axis=1)
        best = numpy.take_along_axis(best, order, axis=1)
    return ids, best


def recall(base, queries, farthest, answers, k=K, form=same):
    """Mean share of the true k in `answers` (row numbers, a list a query), given
    the similarity of each query's true k-th."""
    hits = 0
    for query, limit, rows in zip(form(queries), farthest, answers):
        rows = list(dict.fromkeys(rows))[:k]
        hits += int(numpy.count_nonzero(form(base[rows]) @ query >= limit - 1e-6))
    return hits / (k * len(queries))
