"""Values of the types bitvec and qvec8, their text and their binary form.

Knows no driver.  numpy is used where it is installed, and needed only for what takes or returns
its arrays.
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Optional, Sequence

if TYPE_CHECKING:
    import numpy

__all__ = ["BitVec", "QVec8"]

_BIT_HEADER = struct.Struct("!i")
_CODE_HEADER = struct.Struct("!iff")


class BitVec:
    """Bits, packed as numpy.packbits packs them: dimension 1 is the highest bit of byte 0."""

    __slots__ = ("_bytes", "_ndims")
    _bytes: bytes
    _ndims: int

    def __init__(self, bits: Any) -> None:
        """From "1011", packed bytes or a uint8 array of them, booleans, or a BitVec."""
        if getattr(getattr(bits, "dtype", None), "name", "") == "uint8":
            bits = bytes(bits)
        if isinstance(bits, BitVec):
            self._bytes, self._ndims = bits._bytes, bits._ndims
        elif isinstance(bits, (bytes, bytearray, memoryview)):
            self._bytes = bytes(bits)
            self._ndims = 8 * len(self._bytes)
            if not self._bytes:
                raise ValueError("a bitvec has at least one dimension")
        elif isinstance(bits, str):
            if bits.strip("01"):
                raise ValueError(f"text of a bitvec has 0 and 1 only: {bits!r}")
            self._bytes, self._ndims = _pack([c == "1" for c in bits])
        else:
            if getattr(bits, "ndim", 1) != 1:
                raise ValueError("a bitvec has one dimension of bits")
            self._bytes, self._ndims = _pack([bool(b) for b in bits])

    @classmethod
    def packed(cls, data: Any, ndims: Optional[int] = None) -> BitVec:
        """From packed bytes, or the uint8 array of numpy.packbits, of ndims dimensions."""
        result = cls(bytes(data))
        if ndims is not None:
            if not 8 * (len(result._bytes) - 1) < ndims <= 8 * len(result._bytes):
                raise ValueError(f"{len(result._bytes)} bytes do not hold {ndims} dimensions")
            padding = 8 * len(result._bytes) - ndims
            if result._bytes[-1] & ((1 << padding) - 1):
                raise ValueError("bits behind the last dimension must be 0")
            result._ndims = ndims
        return result

    @classmethod
    def quantize(cls, vector: Iterable[float]) -> BitVec:
        """1 where an element is greater than 0, as SQL's binary_quantize()."""
        return cls([x > 0 for x in vector])

    @classmethod
    def from_text(cls, text: str) -> BitVec:
        return cls(text)

    @classmethod
    def from_binary(cls, data: Any) -> BitVec:
        data = bytes(data)
        (ndims,) = _BIT_HEADER.unpack_from(data)
        return cls.packed(data[_BIT_HEADER.size:], ndims)

    def to_text(self) -> str:
        return "".join(f"{b:08b}" for b in self._bytes)[: self._ndims]

    def to_binary(self) -> bytes:
        return _BIT_HEADER.pack(self._ndims) + self._bytes

    def to_numpy(self) -> numpy.ndarray[Any, Any]:
        """An array of booleans."""
        import numpy

        octets = numpy.frombuffer(self._bytes, numpy.uint8)
        return numpy.unpackbits(octets, count=self._ndims).astype(bool)

    def __bytes__(self) -> bytes:
        """The packed bits, without their number."""
        return self._bytes

    def __len__(self) -> int:
        return self._ndims

    def __iter__(self) -> Iterator[bool]:
        return (c == "1" for c in self.to_text())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BitVec):
            return NotImplemented
        return (self._ndims, self._bytes) == (other._ndims, other._bytes)

    def __hash__(self) -> int:
        return hash((self._ndims, self._bytes))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"BitVec({self.to_text()!r})"


def _pack(bits: Sequence[bool]) -> tuple[bytes, int]:
    if not bits:
        raise ValueError("a bitvec has at least one dimension")
    text = "".join("1" if b else "0" for b in bits)
    nbytes = (len(text) + 7) // 8
    return int(text.ljust(8 * nbytes, "0"), 2).to_bytes(nbytes, "big"), len(text)


_NUMBER = r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_QVEC8_TEXT = re.compile(
    rf"\s*\[([^]]*)\]\s*(?:\*\s*{_NUMBER}\s*)?(?:([+-])\s*{_NUMBER}\s*)?$", re.IGNORECASE
)


class QVec8:
    """Signed bytes with a scale and an offset; dimension i stands for codes[i] * scale + offset."""

    __slots__ = ("_codes", "_scale", "_offset")
    _codes: bytes
    _scale: float
    _offset: float

    def __init__(self, codes: Any, scale: float = 1.0, offset: float = 0.0) -> None:
        if isinstance(codes, QVec8):
            self._codes, self._scale, self._offset = codes._codes, codes._scale, codes._offset
            return
        numbers = [int(c) for c in codes]
        if not numbers:
            raise ValueError("a qvec8 has at least one dimension")
        if min(numbers) < -128 or max(numbers) > 127:
            raise ValueError("codes of a qvec8 are between -128 and 127")
        self._codes = struct.pack(f"{len(numbers)}b", *numbers)
        self._scale = _as_float4(scale)
        self._offset = _as_float4(offset)
        if not (0 < self._scale < math.inf and math.isfinite(self._offset)):
            raise ValueError("scale of a qvec8 is finite and greater than 0, its offset finite")

    @classmethod
    def quantize(cls, vector: Iterable[float]) -> QVec8:
        """The scale of the largest element, as SQL's quantize_int8()."""
        numbers = [float(x) for x in vector]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("elements must be finite")
        largest = max(map(abs, numbers))
        scale = _as_float4(largest / 127) if largest > 0 else 1.0
        return cls([max(-127, min(127, round(x / scale))) for x in numbers], scale)

    @classmethod
    def from_text(cls, text: str) -> QVec8:
        match = _QVEC8_TEXT.match(text)
        if match is None:
            raise ValueError(f"not the text of a qvec8: {text!r}")
        codes, scale, sign, offset = match.groups()
        return cls(codes.split(","), float(scale or 1), float((sign or "") + (offset or "0")))

    @classmethod
    def from_binary(cls, data: Any) -> QVec8:
        data = bytes(data)
        ndims, scale, offset = _CODE_HEADER.unpack_from(data)
        if len(data) != _CODE_HEADER.size + ndims:
            raise ValueError(f"{len(data)} bytes are not a qvec8 of {ndims} dimensions")
        return cls(struct.unpack_from(f"{ndims}b", data, _CODE_HEADER.size), scale, offset)

    @property
    def codes(self) -> tuple[int, ...]:
        return struct.unpack(f"{len(self._codes)}b", self._codes)

    @property
    def scale(self) -> float:
        return self._scale

    @property
    def offset(self) -> float:
        return self._offset

    def to_text(self) -> str:
        text = "[" + ",".join(map(str, self.codes)) + "]"
        if self._scale != 1:
            text += "*" + _shortest(self._scale)
        if self._offset != 0:
            text += ("+" if self._offset > 0 else "") + _shortest(self._offset)
        return text

    def to_binary(self) -> bytes:
        return _CODE_HEADER.pack(len(self._codes), self._scale, self._offset) + self._codes

    def to_list(self) -> list[float]:
        """The numbers that the codes stand for."""
        return [c * self._scale + self._offset for c in self.codes]

    def to_numpy(self) -> numpy.ndarray[Any, Any]:
        """The numbers that the codes stand for, as an array of float32."""
        import numpy

        codes = numpy.frombuffer(self._codes, numpy.int8)
        values: numpy.ndarray[Any, Any] = codes * self._scale + self._offset
        return values.astype(numpy.float32)

    def __len__(self) -> int:
        return len(self._codes)

    def _key(self) -> tuple[bytes, float, float]:
        return self._codes, self._scale, self._offset

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QVec8):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"QVec8.from_text({self.to_text()!r})"


def _as_float4(x: float) -> float:
    """Rounded to the float4 that the server keeps."""
    return float(struct.unpack("!f", struct.pack("!f", x))[0])


def _shortest(x: float) -> str:
    """The fewest digits that read back as the same float4."""
    return next(t for t in (f"{x:.{digits}g}" for digits in range(1, 10)) if _as_float4(float(t)) == x)
