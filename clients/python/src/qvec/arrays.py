"""numpy arrays as SQL arrays: which type a dtype is sent as, and the binary form.

A uint8 array is what numpy.packbits returns, and is sent as bytea, which the operators of bitvec
take; an array of booleans is a bitvec.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, Optional

import numpy

__all__ = ["ArrayType", "array_type", "to_binary", "from_binary", "to_text"]


class ArrayType(NamedTuple):
    name: str           # of the element type, as SQL writes it
    oid: int            # of the array type
    element_oid: int
    wire: str           # dtype of an element in binary form


REAL = ArrayType("real", 1021, 700, ">f4")
DOUBLE = ArrayType("double precision", 1022, 701, ">f8")
SMALLINT = ArrayType("smallint", 1005, 21, ">i2")
INTEGER = ArrayType("integer", 1007, 23, ">i4")
BIGINT = ArrayType("bigint", 1016, 20, ">i8")

_BY_DTYPE = {
    "float16": REAL, "float32": REAL, "float64": DOUBLE,
    "int8": SMALLINT, "int16": SMALLINT, "uint16": INTEGER, "int32": INTEGER, "int64": BIGINT,
}
BY_OID = {t.oid: t for t in (REAL, DOUBLE, SMALLINT, INTEGER, BIGINT)}

_HEADER = struct.Struct("!iiIii")


def array_type(array: Any) -> Optional[ArrayType]:
    """The SQL array that an array is sent as; None if there is none."""
    return _BY_DTYPE.get(array.dtype.name)


def header(element_oid: int, nelements: int) -> bytes:
    """What precedes the elements of a one-dimensional array: no NULLs, first subscript 1."""
    return _HEADER.pack(1, 0, element_oid, nelements, 1)


def elements(array: Any, wire: str) -> Any:
    """Each element of the last axis with its length before it, as rows of bytes."""
    width = numpy.dtype(wire).itemsize
    parts = numpy.empty(array.shape, dtype=[("n", ">i4"), ("x", wire)])
    parts["n"] = width
    parts["x"] = array
    return parts.view(numpy.uint8).reshape(*array.shape[:-1], array.shape[-1] * (4 + width))


def to_binary(array: Any) -> bytes:
    """The binary form of a one-dimensional array."""
    kind = array_type(array)
    if kind is None or array.ndim != 1:
        raise TypeError(f"cannot send an array of {array.dtype} with {array.ndim} dimensions")
    if len(array) == 0:
        return struct.pack("!iiI", 0, 0, kind.element_oid)
    body: bytes = elements(numpy.ascontiguousarray(array), kind.wire).tobytes()
    return header(kind.element_oid, len(array)) + body


def from_binary(data: Any) -> Any:
    """An array of numbers; raises ValueError where it has NULLs or several dimensions."""
    data = bytes(data)
    ndim, has_null, element_oid = struct.unpack_from("!iiI", data)
    wire = next(t.wire for t in BY_OID.values() if t.element_oid == element_oid)
    native = numpy.dtype(wire).newbyteorder("=")
    if ndim == 0:
        return numpy.empty(0, native)
    if ndim != 1 or has_null:
        raise ValueError("an array taken as a vector has one dimension and no NULL")
    parts = numpy.frombuffer(data, dtype=[("n", ">i4"), ("x", wire)], offset=_HEADER.size)
    return parts["x"].astype(native)


def to_text(array: Any) -> str:
    """The text form of a one-dimensional array of numbers."""
    if array_type(array) is None or array.ndim != 1:
        raise TypeError(f"cannot send an array of {array.dtype} with {array.ndim} dimensions")
    return "{" + ",".join(str(x) for x in array.tolist()) + "}"
