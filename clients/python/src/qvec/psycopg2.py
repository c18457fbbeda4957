"""psycopg2: bitvec, qvec8 and numpy arrays as parameters and results.

    import qvec.psycopg2
    qvec.psycopg2.register(connection)

psycopg2 writes parameters into the statement, so their adapters hold for all connections; what
results are read by holds for the connection.
"""

from __future__ import annotations

import io
from typing import Any, Mapping

from psycopg2 import extensions

from .values import BitVec, QVec8

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

__all__ = ["copy_arrays", "register"]


def _literal(text: str, type_name: str) -> Any:
    return extensions.AsIs(f"'{text}'::{type_name}")


def _array(array: Any) -> Any:
    from . import arrays

    if array.dtype == bool:
        return _literal(BitVec.packed(numpy.packbits(array), len(array)).to_text(), "bitvec")
    if array.dtype == numpy.uint8:
        return _literal("\\x" + bytes(array).hex(), "bytea")
    kind = arrays.array_type(array)
    if kind is None:
        raise TypeError(f"cannot send an array of {array.dtype}")
    text = arrays.to_text(array).replace("nan", "NaN").replace("inf", "Infinity")
    return _literal(text, kind.name + "[]")


def register(connection: Any) -> None:
    """Teach a connection the types."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regtype('bitvec')::oid, to_regtype('qvec8')::oid")
        bitvec, qvec8 = cursor.fetchone()
    if bitvec is None or qvec8 is None:
        raise LookupError('extension "qvec" is not created in this database, or not in the search path')
    for oid, name, cls in ((bitvec, "bitvec", BitVec), (qvec8, "qvec8", QVec8)):
        read = extensions.new_type(
            (oid,), name, lambda text, cursor, cls=cls: None if text is None else cls.from_text(text)
        )
        extensions.register_type(read, connection)
        extensions.register_adapter(cls, lambda value, name=name: _literal(value.to_text(), name))
    if numpy is not None:
        extensions.register_adapter(numpy.ndarray, _array)


def copy_arrays(connection: Any, table: str, columns: Mapping[str, Any]) -> int:
    """Load columns, given as arrays or sequences, by COPY ... BINARY; returns the number of rows."""
    from . import copy

    with connection.cursor() as cursor:
        cursor.execute(copy.types_query(table, columns))
        types = [row[0] for row in cursor.fetchall()]
        blocks = io.BytesIO(b"".join(copy.stream(types, list(columns.values()))))
        cursor.copy_expert(copy.statement(table, columns), blocks)
        rows: int = cursor.rowcount
        return rows
