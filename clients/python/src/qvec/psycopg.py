"""psycopg 3: bitvec, qvec8 and numpy arrays as parameters and results.

    import qvec.psycopg
    qvec.psycopg.register(connection)                   # once for each connection
    qvec.psycopg.register(connection, numpy_arrays=True)  # arrays of numbers come as numpy's

For an AsyncConnection await register_async().
"""

from __future__ import annotations

import functools
from typing import Any, Mapping, Optional

from psycopg import AsyncConnection, Connection
from psycopg.adapt import AdaptersMap, Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

from . import copy as _copy
from .values import BitVec, QVec8

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

__all__ = ["copy_arrays", "register", "register_async"]


class _TextDumper(Dumper):
    format = Format.TEXT

    def dump(self, obj: Any) -> bytes:
        text: str = obj.to_text()
        return text.encode()


class _BinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        data: bytes = obj.to_binary()
        return data


class _BitLoader(Loader):
    format = Format.TEXT

    def load(self, data: Any) -> BitVec:
        return BitVec.from_text(bytes(data).decode())


class _BitBinaryLoader(Loader):
    format = Format.BINARY

    def load(self, data: Any) -> BitVec:
        return BitVec.from_binary(data)


class _CodeLoader(Loader):
    format = Format.TEXT

    def load(self, data: Any) -> QVec8:
        return QVec8.from_text(bytes(data).decode())


class _CodeBinaryLoader(Loader):
    format = Format.BINARY

    def load(self, data: Any) -> QVec8:
        return QVec8.from_binary(data)


def _register_values(connection: Any, bitvec: TypeInfo, qvec8: TypeInfo) -> None:
    adapters = connection.adapters
    known: tuple[tuple[TypeInfo, type, tuple[type[Loader], ...]], ...] = (
        (bitvec, BitVec, (_BitLoader, _BitBinaryLoader)),
        (qvec8, QVec8, (_CodeLoader, _CodeBinaryLoader)),
    )
    for info, cls, loaders in known:
        info.register(connection)
        for base in (_BinaryDumper, _TextDumper):
            adapters.register_dumper(cls, type(base.__name__, (base,), {"oid": info.oid}))
        for loader in loaders:
            adapters.register_loader(info.oid, loader)


def _register_arrays(adapters: AdaptersMap, bitvec: TypeInfo, results: bool) -> None:
    from . import arrays

    class ArrayDumper(Dumper):
        """The type depends on the dtype, so get_key() makes a dumper for each."""

        format = Format.BINARY

        def __init__(self, cls: type, context: Any = None, dtype: str = "") -> None:
            super().__init__(cls, context)
            self.dtype = dtype
            if dtype == "bool":
                self.oid = bitvec.oid
            elif dtype == "uint8":
                self.oid = 17           # bytea: packed bits
            elif dtype:
                self.oid = arrays.array_type(numpy.empty(0, dtype)).oid  # type: ignore[union-attr]

        def get_key(self, obj: Any, format: Any) -> Any:
            if obj.dtype.name not in ("bool", "uint8") and arrays.array_type(obj) is None:
                raise TypeError(f"cannot send an array of {obj.dtype}")
            return (self.cls, obj.dtype.name)

        def upgrade(self, obj: Any, format: Any) -> Dumper:
            return type(self)(self.cls, None, obj.dtype.name)

        def dump(self, obj: Any) -> bytes:
            if obj.dtype == bool:
                return BitVec.packed(numpy.packbits(obj), len(obj)).to_binary()
            if obj.dtype == numpy.uint8:
                return bytes(obj)
            return arrays.to_binary(obj)

    class TextArrayDumper(ArrayDumper):
        format = Format.TEXT

        def dump(self, obj: Any) -> bytes:
            if obj.dtype == bool:
                return BitVec.packed(numpy.packbits(obj), len(obj)).to_text().encode()
            if obj.dtype == numpy.uint8:
                return b"\\x" + bytes(obj).hex().encode()
            return arrays.to_text(obj).encode()

    adapters.register_dumper(numpy.ndarray, TextArrayDumper)
    adapters.register_dumper(numpy.ndarray, ArrayDumper)
    if not results:
        return

    class ArrayLoader(Loader):
        format = Format.BINARY

        def load(self, data: Any) -> Any:
            return arrays.from_binary(data)

    class TextArrayLoader(Loader):
        format = Format.TEXT

        def load(self, data: Any) -> Any:
            wire = arrays.BY_OID[self.oid].wire
            text = bytes(data).decode()
            if text == "{}":
                return numpy.empty(0, wire).astype(numpy.dtype(wire).newbyteorder("="))
            return numpy.array(text[1:-1].split(","), dtype=numpy.dtype(wire).newbyteorder("="))

    for oid in arrays.BY_OID:
        adapters.register_loader(oid, ArrayLoader)
        adapters.register_loader(oid, TextArrayLoader)


def _register(connection: Any, bitvec: Optional[TypeInfo], qvec8: Optional[TypeInfo], numpy_arrays: bool) -> None:
    if bitvec is None or qvec8 is None:
        raise LookupError('extension "qvec" is not created in this database, or not in the search path')
    _register_values(connection, bitvec, qvec8)
    if numpy is not None:
        _register_arrays(connection.adapters, bitvec, numpy_arrays)


def register(connection: Connection[Any], *, numpy_arrays: bool = False) -> None:
    """Teach a connection the types; with numpy_arrays, arrays of numbers in results are numpy's."""
    fetch = functools.partial(TypeInfo.fetch, connection)
    _register(connection, fetch("bitvec"), fetch("qvec8"), numpy_arrays)


async def register_async(connection: AsyncConnection[Any], *, numpy_arrays: bool = False) -> None:
    """register() for an AsyncConnection."""
    bitvec = await TypeInfo.fetch(connection, "bitvec")
    qvec8 = await TypeInfo.fetch(connection, "qvec8")
    _register(connection, bitvec, qvec8, numpy_arrays)


def copy_arrays(connection: Connection[Any], table: str, columns: Mapping[str, Any]) -> int:
    """Load columns, given as arrays or sequences, by COPY ... BINARY; returns the number of rows.

    Rows of a two-dimensional array become real[], bitvec or bytea, as the table's column says.
    """
    with connection.cursor() as cursor:
        cursor.execute(_copy.types_query(table, columns))
        types = [row[0] for row in cursor.fetchall()]
        with cursor.copy(_copy.statement(table, columns)) as copy:
            for block in _copy.stream(types, list(columns.values())):
                copy.write(block)
        return cursor.rowcount
