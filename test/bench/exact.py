"""Exact neighbours by numpy, and recall with ties counted fairly.

A returned row counts when it is no farther than the true k-th: among equal
distances any choice is right.  Knows nothing of PostgreSQL.
"""

import numpy

K = 10
STEP = 100              # queries a matrix product: 100 x 200,000 floats are 80 MB


def signs(vectors):
    """+1 where positive, else -1: the inner product of signs is dims - 2 * Hamming."""
    return numpy.where(vectors > 0, numpy.float32(1), numpy.float32(-1))


def nearest(base, queries, k=K):
    """Row numbers and similarities of the k nearest by inner product, best first."""
    ids = numpy.empty((len(queries), k), dtype=numpy.int64)
    best = numpy.empty((len(queries), k), dtype=numpy.float32)
    for start in range(0, len(queries), STEP):
        score = queries[start:start + STEP] @ base.T
        part = numpy.argpartition(-score, k - 1, axis=1)[:, :k]
        value = numpy.take_along_axis(score, part, axis=1)
        order = numpy.argsort(-value, axis=1, kind='stable')
        ids[start:start + STEP] = numpy.take_along_axis(part, order, axis=1)
        best[start:start + STEP] = numpy.take_along_axis(value, order, axis=1)
    return ids, best


def recall(base, queries, tenth, answers):
    """Mean share of the true K in `answers` (row numbers, a list a query), given
    the similarity of each query's true K-th."""
    hits = 0
    for query, limit, rows in zip(queries, tenth, answers):
        rows = list(dict.fromkeys(rows))[:K]
        hits += int(numpy.count_nonzero(base[rows] @ query >= limit - 1e-6))
    return hits / (K * len(queries))
