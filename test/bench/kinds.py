"""The kinds of data of the battery: what searches meet off the road of tidy embeddings.

A kind has rows, in one part or in two that come one after the other, and queries
that are no rows: one set of them, or several that ask for different things of the
same rows.  Everything is drawn from a seed.  Knows nothing of PostgreSQL;
README.md here says what each kind stands for.
"""

import collections
import os
import zlib

import numpy

import synthetic

# column is the type of our column; distance one of distances.py; queries a dictionary by the names of the sets,
# and samples one of other queries of the same origin, for sets whose queries are unlike the rows.
Kind = collections.namedtuple('Kind', 'column distance parts queries samples', defaults=({},))

TIGHT_OFFSET = 20       # of eight coordinates of the second population
GAP = 0.7               # between queries from elsewhere and the rows, of unit length
ELSEWHERE_NOISE = 0.3   # length of the noise of such a query
WORDS_DIMS = 256        # of a word's vector that a sentence's takes


class Draw:
    """A source of random numbers for one kind, and how much of it is wanted."""

    def __init__(self, name, seed, scale, nqueries):
        self.rng = numpy.random.default_rng([seed, zlib.crc32(name.encode())])
        self.seed = seed
        self.scale = scale
        self.nqueries = nqueries

    def rows(self, count):
        return max(1000, round(count * self.scale))

    def normal(self, *shape):
        return self.rng.standard_normal(shape, dtype=numpy.float32)

    def pick(self, choices, count):
        """Rows of an array, drawn with repetition."""
        return choices[self.rng.integers(len(choices), size=count)]

    def split(self, rows, column, distance, name):
        """A kind of one part, whose last rows are its queries."""
        rows = numpy.ascontiguousarray(rows)
        return Kind(column, distance, [rows[:-self.nqueries]], {name: rows[-self.nqueries:]})


def unit(rows):
    return (rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(numpy.float32)


def floats(rows):
    return rows.astype(numpy.float32)


# ----------------------------------------------------------- two populations

def populations(draw):
    """A wide population, and a tight one apart from it that comes later."""
    dims = 384
    means = draw.normal(60, dims) * 0.8
    offset = numpy.zeros(dims, dtype=numpy.float32)
    offset[:8] = TIGHT_OFFSET

    def wide(count):
        return draw.pick(means, count) + 0.6 * draw.normal(count, dims)

    def tight(count):
        return 0.25 * draw.pick(means, count) + 0.2 * draw.normal(count, dims) + offset

    count = draw.rows(10000)
    return Kind('real', 'l2', [wide(count), tight(count)], {'wide': wide(draw.nqueries), 'tight': tight(draw.nqueries)})


def mixtures(draw):
    """Embeddings as synthetic.py makes them, and others of another direction, all near to one another."""
    dims = 256
    first, second = (synthetic.Mixture(dims, draw.seed + i) for i in (0, 1))
    direction = unit(draw.normal(1, dims))
    count = draw.rows(20000)

    def cone(rows):
        return unit(direction + 0.5 * rows)

    return Kind('real', 'cosine', [first.base(count), cone(second.base(count))],
                {'mixture-first': first.queries(draw.nqueries), 'mixture-second': cone(second.queries(draw.nqueries))})


# ------------------------------------------------------------- inner product

def clusters(draw, count, dims):
    """Clusters of unequal size around a mean that is not the origin, directions of unequal spread."""
    axes = numpy.linspace(2, 0.2, dims, dtype=numpy.float32)
    means = draw.normal(200, dims) * axes
    return draw.pick(means, count) + 0.7 * draw.normal(count, dims) * axes + 1


def short_queries(draw):
    """The same rows and queries, these of several lengths."""
    rows = clusters(draw, draw.rows(30000) + draw.nqueries, 96) / 10
    queries = rows[-draw.nqueries:]
    return Kind('real', 'ip', [rows[:-draw.nqueries]],
                {'ip-x' + factor: floats(queries * float(factor)) for factor in ('1', '0.1', '0.01', '0.0001')})


def unequal_norms(draw):
    """Lengths e^±2: the longest are the nearest to many queries."""
    axes = numpy.linspace(2, 0.2, 96, dtype=numpy.float32)
    count = draw.rows(30000)
    rows = unit(draw.normal(count, 96) * axes) * numpy.exp(draw.rng.uniform(-2, 2, (count, 1)))
    return Kind('real', 'ip', [floats(rows)], {'norms': draw.normal(draw.nqueries, 96) * axes})


def mildly_unequal_norms(draw):
    """Lengths e^±0.35, directions in clusters."""
    count = draw.rows(30000) + draw.nqueries
    rows = unit(draw.pick(draw.normal(300, 96), count) + 0.5 * draw.normal(count, 96))
    return draw.split(floats(rows * numpy.exp(draw.rng.uniform(-0.35, 0.35, (count, 1)))), 'real', 'ip', 'norms-mild')


def constant_appended(draw):
    """Embeddings with one more coordinate, the same in every row."""
    mixture = synthetic.Mixture(128, draw.seed)

    def append(rows, value):
        return numpy.hstack([rows, numpy.full((len(rows), 1), value, dtype=numpy.float32)])

    return Kind('real', 'ip', [append(mixture.base(draw.rows(30000)), 5)],
                {'ip-constant': append(mixture.queries(draw.nqueries), 2)})


# -------------------------------------------------------- shapes of clouds

def uniform(draw, name, dims, distance):
    return draw.split(floats(draw.rng.uniform(-1, 1, (draw.rows(20000) + draw.nqueries, dims))), 'real', distance, name)


def random_rows(draw):
    """What random() gives: all in one corner."""
    return draw.split(draw.rng.random((draw.rows(20000) + draw.nqueries, 384), dtype=numpy.float32), 'real', 'ip', 'ip-random')


def non_negative(draw):
    means = draw.rng.gamma(0.6, 1, (300, 300))
    count = draw.rows(40000) + draw.nqueries
    return draw.split(floats(draw.pick(means, count) * draw.rng.gamma(4, 0.25, (count, 300))), 'real', 'l2', 'nonneg')


def dominating_coordinate(draw):
    count = draw.rows(30000) + draw.nqueries
    rows = unit(draw.pick(draw.normal(40, 64), count) + 0.5 * draw.normal(count, 64))
    return draw.split(floats(numpy.hstack([rows, draw.rng.lognormal(4, 1, (count, 1))])), 'real', 'l2', 'dominating')


def one_hot(draw):
    """Which of 200 groups a row belongs to, and a little noise."""
    count = draw.rows(30000) + draw.nqueries
    rows = 0.001 * draw.normal(count, 200)
    rows[numpy.arange(count), draw.rng.integers(200, size=count)] += 1
    return draw.split(rows, 'real', 'l2', 'onehot')


def random_walks(draw):
    count = draw.rows(30000) + draw.nqueries
    return draw.split(numpy.cumsum(draw.normal(count, 128), axis=1), 'real', 'l2', 'walks')


def near_duplicates(draw):
    count = draw.rows(30000) + draw.nqueries
    return draw.split(unit(draw.pick(unit(draw.normal(300, 128)), count) + 0.0001 * draw.normal(count, 128)),
                      'real', 'l2', 'duplicates')


def heavy_tails(draw):
    return draw.split(floats(draw.rng.standard_cauchy((draw.rows(30000) + draw.nqueries, 64))), 'real', 'l2', 'cauchy')


def outliers(draw):
    """One row in a hundred is a thousand times as long."""
    count = draw.rows(30000) + draw.nqueries
    rows = draw.normal(count, 96)
    rows[draw.rng.random(count) < 0.01] *= 1000
    return draw.split(rows, 'real', 'l2', 'outliers')


def embeddings(draw):
    mixture = synthetic.Mixture(768, draw.seed)
    return Kind('real', 'cosine', [mixture.base(draw.rows(100000))], {'synthetic': mixture.queries(draw.nqueries)})


# ---------------------------------------------------------------- bits, bytes

def bits(rows):
    return rows.astype(numpy.uint8)


def fingerprints(draw):
    """Some 60 bits of 2,048: most of those of a scaffold, and others."""
    count = draw.rows(60000) + draw.nqueries
    scaffolds = draw.rng.random((1500, 2048), dtype=numpy.float32) < 0.025
    rows = numpy.zeros((count, 2048), dtype=numpy.uint8)
    for start in range(0, count, 10000):
        chance = draw.rng.random((min(10000, count - start), 2048), dtype=numpy.float32)
        rows[start:start + 10000] = numpy.where(draw.pick(scaffolds, len(chance)), chance < 0.8, chance < 0.01)
    return draw.split(rows, 'bits', 'hamming', 'fingerprints')


def cluster_signs(draw):
    count = draw.rows(60000) + draw.nqueries
    return draw.split(bits(draw.pick(draw.normal(300, 512), count) + draw.normal(count, 512) > 0), 'bits', 'hamming', 'signs')


def skewed_bits(draw):
    """Each bit is set with a chance of its own, mostly a small one."""
    chance = draw.rng.beta(0.5, 2, 256)
    return draw.split(bits(draw.rng.random((draw.rows(60000) + draw.nqueries, 256)) < chance), 'bits', 'hamming', 'skewed')


def uniform_bits(draw, name, nbits, count, distance):
    return draw.split(bits(draw.rng.random((draw.rows(count) + draw.nqueries, nbits)) < 0.5), 'bits', distance, name)


def sift_like(draw):
    """Histograms of gradients as signed bytes."""
    count = draw.rows(60000) + draw.nqueries
    means = draw.rng.gamma(0.7, 35, (500, 128))
    rows = draw.pick(means, count) * draw.rng.gamma(3, 1 / 3, (count, 128))
    return draw.split(floats(numpy.clip(numpy.rint(rows), 0, 255) - 128), 'qvec8', 'l2', 'sift')


# ---------------------------------------------------------------------- files

def elsewhere(draw, rows):
    """Rows as another model would see them, or another modality: a constant gap, and noise."""
    dims = rows.shape[1]
    noise = draw.normal(len(rows), dims) * (ELSEWHERE_NOISE / numpy.sqrt(dims))
    return unit(rows + GAP * unit(draw.normal(1, dims)) + noise)


def from_rows(draw, rows, name, most):
    """A kind whose queries are the last rows after shuffling, as they are and from elsewhere."""
    rows = unit(rows)
    rows = rows[draw.rng.permutation(len(rows))]
    held = min(draw.nqueries, len(rows) // 10)
    foreign = elsewhere(draw, rows[-2 * held:])
    return Kind('real', 'cosine', [numpy.ascontiguousarray(rows[:-2 * held][:most])],
                {name: rows[-held:], name + '-elsewhere': foreign[held:]}, {name + '-elsewhere': foreign[:held]})


def sentences(draw, words):
    """Averages of three to twelve words, frequent ones more often: they stand in for the vectors of real sentences."""
    words = words[draw.rng.permutation(len(words)), :WORDS_DIMS]
    frequency = numpy.cumsum(1 / numpy.arange(1, len(words) + 1))
    most = draw.rows(200000)
    count = most + 2 * draw.nqueries
    rows = numpy.zeros((count, words.shape[1]), dtype=numpy.float32)
    lengths = draw.rng.integers(3, 13, size=count)
    for place in range(12):
        longer = numpy.flatnonzero(lengths > place)
        rows[longer] += words[numpy.searchsorted(frequency, draw.rng.random(len(longer)) * frequency[-1])]
    return from_rows(draw, rows, 'sentences', most)


def of_file(path, read):
    """(names, function) of the kinds that a file of embeddings gives."""
    name = os.path.basename(path).rsplit('.', 1)[0]
    result = [((name, name + '-elsewhere'), lambda draw: from_rows(draw, read(path), name, draw.rows(200000)))]
    if name.startswith('words'):
        result.append((('sentences', 'sentences-elsewhere'), lambda draw: sentences(draw, read(path))))
    return result


# ----------------------------------------------------------------------- all

def few_dims():
    for dims in (2, 3, 4):
        for distance in ('cosine', 'l2'):
            name = f'{dims}d-{distance}'
            yield (name,), lambda draw, name=name, dims=dims, distance=distance: uniform(draw, name, dims, distance)


# (names of the sets, what makes them): sets of one line have the same rows.
KINDS = [
    (('wide', 'tight'), populations),
    (('mixture-first', 'mixture-second'), mixtures),
    (('ip-x1', 'ip-x0.1', 'ip-x0.01', 'ip-x0.0001'), short_queries),
    (('norms',), unequal_norms),
    (('norms-mild',), mildly_unequal_norms),
    (('ip-constant',), constant_appended),
    (('ip-random',), random_rows),
    *few_dims(),
    (('nonneg',), non_negative),
    (('dominating',), dominating_coordinate),
    (('onehot',), one_hot),
    (('walks',), random_walks),
    (('duplicates',), near_duplicates),
    (('cauchy',), heavy_tails),
    (('outliers',), outliers),
    (('fingerprints',), fingerprints),
    (('signs',), cluster_signs),
    (('skewed',), skewed_bits),
    (('uniform',), lambda draw: uniform_bits(draw, 'uniform', 128, 60000, 'hamming')),
    (('short-hamming',), lambda draw: uniform_bits(draw, 'short-hamming', 52, 20000, 'hamming')),
    (('short-jaccard',), lambda draw: uniform_bits(draw, 'short-jaccard', 52, 20000, 'jaccard')),
    (('sift',), sift_like),
    (('synthetic',), embeddings),
]
