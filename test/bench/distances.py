"""Exact distances in double precision, and recall against the true neighbours.

The numbers are computed from the differences themselves, so that rows which lie
much nearer to one another than to the origin are told apart as well.  A row
answered counts as found if it is no farther than the true k-th: among equal
distances any choice is right.  Knows nothing of PostgreSQL.
"""

import numpy

TOLERANCE = 1e-6        # of a distance, for what the server may round
STEP = 50               # queries a matrix product, and
BLOCK = 50000           # rows of it
SPARE = 3               # times k rows are taken by the product, which is not exact, and looked at more closely


def shape_of(rows, distance):
    """Rows as products want them."""
    if distance in ('hamming', 'jaccard'):
        return rows.astype(numpy.float32)       # exact: small integers
    rows = rows.astype(numpy.float64)
    if distance == 'cosine':
        rows /= numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    return rows


def by_product(base, queries, distance):
    """Something that orders rows as the distance does, but for rounding; both sides as shape_of() gives them."""
    product = queries @ base.T
    if distance in ('ip', 'cosine'):
        return -product
    size = (base * base).sum(axis=1)
    if distance == 'jaccard':
        either = size + (queries * queries).sum(axis=1)[:, None] - product
        return -product / numpy.maximum(either, 1)
    return size - 2 * product


def exact(rows, query, distance):
    """Distances of some rows from one query."""
    if distance == 'hamming':
        return (rows != query).sum(axis=1).astype(float)
    if distance == 'jaccard':
        either = (rows | query).sum(axis=1)
        return 1 - (rows & query).sum(axis=1) / numpy.maximum(either, 1)
    rows, query = shape_of(rows, distance), shape_of(query[None], distance)[0]
    if distance == 'l2':
        return numpy.sqrt(((rows - query) ** 2).sum(axis=1))
    if distance == 'cosine':
        return ((rows - query) ** 2).sum(axis=1) / 2
    return -(rows @ query)


class Oracle:
    """The true neighbours, up to the most-th, among the rows from first on."""

    def __init__(self, base, queries, distance, most, first=0):
        self.base = base
        self.queries = queries
        self.distance = distance
        self.first = first
        self.nearest = numpy.array([numpy.sort(exact(base[ids], query, distance))[:most]
                                    for ids, query in zip(self.candidates(SPARE * most), queries)])

    def candidates(self, most):
        """Row numbers of about the nearest of each query."""
        asked = shape_of(self.queries, self.distance)
        ids = [numpy.zeros((len(asked[start:start + STEP]), 0), dtype=numpy.int64) for start in range(0, len(asked), STEP)]
        near = [numpy.zeros(part.shape) for part in ids]
        for row in range(self.first, len(self.base), BLOCK):
            block = shape_of(self.base[row:row + BLOCK], self.distance)
            for i, start in enumerate(range(0, len(asked), STEP)):
                found = numpy.hstack((near[i], by_product(block, asked[start:start + STEP], self.distance)))
                numbers = numpy.hstack((ids[i], numpy.broadcast_to(numpy.arange(row, row + len(block)), (len(found), len(block)))))
                kept = numpy.argpartition(found, min(most, found.shape[1]) - 1, axis=1)[:, :most]
                near[i] = numpy.take_along_axis(found, kept, axis=1)
                ids[i] = numpy.take_along_axis(numbers, kept, axis=1)
        return numpy.vstack(ids)

    def recall(self, answers, k):
        """Share of the true k that each answer, a list of row numbers, has of its query; a mean over the queries."""
        hits = 0
        for query, limit, ids in zip(self.queries, self.nearest[:, k - 1], answers):
            ids = list(dict.fromkeys(ids))[:k]
            found = exact(self.base[ids], query, self.distance)
            hits += int(numpy.count_nonzero(found <= limit + TOLERANCE * abs(limit)))
        return hits / (k * len(self.queries))
