"""The stream of COPY ... FROM STDIN (FORMAT binary), made of numpy arrays a block at a time.

Knows no driver: stream() yields bytes, which psycopg, psycopg2 and asyncpg all send.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Iterator, Mapping, Sequence

import numpy

from . import arrays
from .values import BitVec, QVec8

__all__ = ["statement", "stream", "types_query"]

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
ROWS_A_BLOCK = 1000

# A column's part of a block: an array of bytes with a line for each row, or one bytes for each row.
Field = Any
Encoder = Callable[[Any], Field]


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def statement(table: str, columns: Mapping[str, Any]) -> str:
    """The COPY statement.  The table is taken as it is written, names of columns are quoted."""
    return f"COPY {table} ({', '.join(map(quote, columns))}) FROM STDIN (FORMAT binary)"


def types_query(table: str, columns: Mapping[str, Any]) -> str:
    """A query for the type names of the columns, in order; fails where there is no such column."""
    named = ", ".join(f"pg_typeof({quote(c)})::text" for c in columns)
    return (
        f"SELECT unnest(ARRAY[{named}]) FROM (SELECT) AS one "
        f"LEFT JOIN (SELECT * FROM {table} LIMIT 0) AS t ON true"
    )


def _matrix(wire: str, element_oid: int) -> Encoder:
    def encode(block: Any) -> Field:
        block = numpy.asarray(block)
        if block.ndim != 2:
            raise ValueError("a column of vectors is a two-dimensional array")
        head = arrays.header(element_oid, block.shape[1])
        body = arrays.elements(numpy.ascontiguousarray(block), wire)
        return _fixed(head, body)

    return encode


def _fixed(head: bytes, body: Any) -> Field:
    """Rows of bytes, each with head and with the length of both before it."""
    head = struct.pack("!i", len(head) + body.shape[1]) + head
    front = numpy.broadcast_to(numpy.frombuffer(head, numpy.uint8), (len(body), len(head)))
    return numpy.concatenate([front, body], axis=1)


def _number(wire: str) -> Encoder:
    def encode(block: Any) -> Field:
        numbers = numpy.ascontiguousarray(numpy.asarray(block).astype(wire))
        return _fixed(b"", numbers.view(numpy.uint8).reshape(len(numbers), numbers.dtype.itemsize))

    return encode


def _bits(block: Any) -> Field:
    if isinstance(block, numpy.ndarray) and block.ndim == 2:
        ndims = block.shape[1] if block.dtype == bool else 8 * block.shape[1]
        packed = numpy.packbits(block, axis=1) if block.dtype == bool else block.astype(numpy.uint8)
        return _fixed(struct.pack("!i", ndims), packed)
    return [_sized((v if isinstance(v, BitVec) else BitVec(v)).to_binary()) for v in block]


def _bytes(block: Any) -> Field:
    if isinstance(block, numpy.ndarray) and block.ndim == 2:
        return _fixed(b"", numpy.ascontiguousarray(block.astype(numpy.uint8)))
    return [_sized(bytes(v)) for v in block]


def _codes(block: Any) -> Field:
    if isinstance(block, numpy.ndarray) and block.ndim == 2:
        codes = numpy.ascontiguousarray(block.astype(numpy.int8)).view(numpy.uint8)
        return _fixed(struct.pack("!iff", codes.shape[1], 1.0, 0.0), codes)
    return [_sized((v if isinstance(v, QVec8) else QVec8(v)).to_binary()) for v in block]


def _text(block: Any) -> Field:
    return [b"\xff\xff\xff\xff" if v is None else _sized(str(v).encode()) for v in block]


def _sized(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


ENCODERS: dict[str, Encoder] = {
    "real[]": _matrix(">f4", 700),
    "double precision[]": _matrix(">f8", 701),
    "smallint[]": _matrix(">i2", 21),
    "integer[]": _matrix(">i4", 23),
    "bigint[]": _matrix(">i8", 20),
    "real": _number(">f4"),
    "double precision": _number(">f8"),
    "smallint": _number(">i2"),
    "integer": _number(">i4"),
    "bigint": _number(">i8"),
    "bitvec": _bits,
    "bytea": _bytes,
    "qvec8": _codes,
    "text": _text,
    "character varying": _text,
}


def _rows(fields: Sequence[Field], nrows: int) -> bytes:
    head = struct.pack("!h", len(fields))
    if all(isinstance(f, numpy.ndarray) for f in fields):
        front = numpy.broadcast_to(numpy.frombuffer(head, numpy.uint8), (nrows, len(head)))
        body: bytes = numpy.concatenate([front, *fields], axis=1).tobytes()
        return body
    parts = [[row.tobytes() for row in f] if isinstance(f, numpy.ndarray) else f for f in fields]
    return b"".join(head + b"".join(row) for row in zip(*parts))


def stream(types: Sequence[str], columns: Sequence[Any]) -> Iterator[bytes]:
    """The stream, in blocks of some rows; types are names as the server writes them."""
    for name in types:
        if name.rpartition(".")[2] not in ENCODERS:
            raise TypeError(f"COPY of type {name} is not supported here")
    encoders = [ENCODERS[name.rpartition(".")[2]] for name in types]
    nrows = len(columns[0])
    if any(len(c) != nrows for c in columns):
        raise ValueError("all columns must have the same number of rows")
    yield SIGNATURE
    for start in range(0, nrows, ROWS_A_BLOCK):
        stop = min(start + ROWS_A_BLOCK, nrows)
        fields = [encode(column[start:stop]) for encode, column in zip(encoders, columns)]
        yield _rows(fields, stop - start)
    yield TRAILER
