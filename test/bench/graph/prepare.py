#!/usr/bin/env python3
"""Make what graph_bench reads: base.fbin, query.fbin and truth.ibin in a directory.

prepare.py synthetic ROWS DIMS OUT      seeded synthetic embeddings, 1,000 queries held out
prepare.py file PATH OUT                an .fbin file, shuffled with a fixed seed, 500 queries held out

.fbin: uint32 n, uint32 dims, n * dims float32, little-endian.  truth.ibin: uint32 n,
uint32 k, n * k uint32: the ten nearest base rows of each query by cosine.

Synthetic embeddings are a hierarchical mixture (2,000 centres gathered round
50 topics) in a latent space of at most 256 dimensions whose spectrum falls as
i^-0.45, mapped orthonormally to DIMS, with a little isotropic noise, unit length.
Uniform noise would be no benchmark: it has no near neighbours.
"""
import os
import sys

import numpy as np

SEED = 20240607
K = 10


def write_fbin(path, rows):
    with open(path, "wb") as f:
        np.array(rows.shape, dtype="<u4").tofile(f)
        np.ascontiguousarray(rows, dtype="<f4").tofile(f)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def synthetic(rows, dims):
    rng = np.random.default_rng(SEED)
    latent = min(256, dims)
    spectrum = np.arange(1, latent + 1, dtype=np.float32) ** -0.45
    topics = rng.standard_normal((50, latent), dtype=np.float32)
    centres = 0.8 * topics[rng.integers(0, 50, 2000)] + 0.6 * rng.standard_normal((2000, latent), dtype=np.float32)
    weights = 1.0 / np.arange(1, 2001) ** 0.5
    member = rng.choice(2000, size=rows, p=weights / weights.sum())
    basis = np.linalg.qr(rng.standard_normal((dims, latent)))[0].astype(np.float32).T
    out = np.empty((rows, dims), dtype=np.float32)
    for begin in range(0, rows, 20000):
        part = member[begin:begin + 20000]
        z = (centres[part] + 0.7 * rng.standard_normal((len(part), latent), dtype=np.float32)) * spectrum
        z = unit(z) @ basis
        z += 0.01 * rng.standard_normal(z.shape, dtype=np.float32)
        out[begin:begin + len(part)] = unit(z)
    return out


def read_fbin(path):
    n, dims = np.fromfile(path, dtype="<u4", count=2)
    return np.fromfile(path, dtype="<f4", offset=8).reshape(n, dims)


def truth(base, query):
    out = np.empty((len(query), K), dtype="<u4")
    for begin in range(0, len(query), 100):
        sims = query[begin:begin + 100] @ base.T
        best = np.argpartition(-sims, K, axis=1)[:, :K]
        out[begin:begin + 100] = best
    return out


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "synthetic":
        held = 1000
        rows = synthetic(int(sys.argv[2]) + held, int(sys.argv[3]))
    elif len(sys.argv) == 4 and sys.argv[1] == "file":
        held = 500
        rows = read_fbin(sys.argv[2])
        rows = unit(rows[np.random.default_rng(SEED).permutation(len(rows))])
    else:
        sys.exit(__doc__)
    out = sys.argv[-1]
    os.makedirs(out, exist_ok=True)
    base, query = rows[:-held], rows[-held:]
    write_fbin(os.path.join(out, "base.fbin"), base)
    write_fbin(os.path.join(out, "query.fbin"), query)
    with open(os.path.join(out, "truth.ibin"), "wb") as f:
        np.array([len(query), K], dtype="<u4").tofile(f)
        truth(base, query).tofile(f)


if __name__ == "__main__":
    main()
