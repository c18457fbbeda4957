"""SQLAlchemy 2: the types bitvec and qvec8, float vectors, their distances, and index options.

    from qvec.sqlalchemy import BITVEC, QVEC8, REAL_VECTOR, vector_index

    class Item(Base):
        embedding = mapped_column(REAL_VECTOR())
        code = mapped_column(BITVEC(1024))

    vector_index("items_embedding", Item.embedding, compression="8x", m=16)
    select(Item).order_by(Item.embedding.cosine_distance(query)).limit(10)

Works with the dialects psycopg, psycopg2 and asyncpg, without registering anything: values travel
as text.  Reflection knows the types once this module is imported.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from sqlalchemy import Double, Float, Index, types
from sqlalchemy.dialects.postgresql import ARRAY, REAL
from sqlalchemy.dialects.postgresql.base import ischema_names

from .values import BitVec, QVec8

__all__ = ["BITVEC", "DOUBLE_VECTOR", "QVEC8", "REAL_VECTOR", "vector_index"]


class _FloatDistances:
    """Mixed into a comparator: distances of floats and of codes that stand for them."""

    op: Any

    def cosine_distance(self, other: Any) -> Any:
        return self.op("<=>", return_type=Double())(other)

    def l2_distance(self, other: Any) -> Any:
        return self.op("<->", return_type=Double())(other)

    def negative_inner_product(self, other: Any) -> Any:
        return self.op("<#>", return_type=Double())(other)

    def l1_distance(self, other: Any) -> Any:
        return self.op("<+>", return_type=Double())(other)


class _Value(types.UserDefinedType[Any]):
    """A type whose values have a text form."""

    value_class: Any = None
    sql_name = ""

    def __init__(self, dim: Optional[int] = None) -> None:
        self.dim = None if dim is None else int(dim)

    def get_col_spec(self, **kw: Any) -> str:
        return self.sql_name if self.dim is None else f"{self.sql_name}({self.dim})"

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        cls = self.value_class
        return lambda value: None if value is None else _as(cls, value).to_text()

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        cls = self.value_class
        return lambda value: f"'{_as(cls, value).to_text()}'"

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        cls = self.value_class
        return lambda value: None if value is None else _read(cls, value)


def _as(cls: Any, value: Any) -> Any:
    if isinstance(value, str):
        return cls.from_text(value)
    return value if isinstance(value, cls) else cls(value)


def _read(cls: Any, value: Any) -> Any:
    return value if isinstance(value, cls) else cls.from_text(value)


class BITVEC(_Value):
    """bitvec(dim): values are BitVec, or what makes one."""

    cache_ok = True
    value_class = BitVec
    sql_name = "bitvec"

    class comparator_factory(types.UserDefinedType.Comparator[Any]):
        def hamming_distance(self, other: Any) -> Any:
            return self.op("<~>", return_type=Double())(other)

        def jaccard_distance(self, other: Any) -> Any:
            return self.op("<%>", return_type=Double())(other)


class QVEC8(_Value):
    """qvec8(dim): values are QVec8, or codes that make one."""

    cache_ok = True
    value_class = QVec8
    sql_name = "qvec8"

    class comparator_factory(_FloatDistances, types.UserDefinedType.Comparator[Any]):
        pass


class _Vector(ARRAY[Any]):
    """An array column with distances.  Takes lists and numpy arrays, returns lists."""

    element: Any = None

    def __init__(self) -> None:
        super().__init__(self.element, dimensions=1)

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        inherited = super().bind_processor(dialect)

        def process(value: Any) -> Any:
            value = value.tolist() if hasattr(value, "tolist") else value
            return inherited(value) if inherited else value

        return process

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    class comparator_factory(_FloatDistances, ARRAY.Comparator[Any]):
        pass


class REAL_VECTOR(_Vector):
    """real[]"""

    cache_ok = True
    element = REAL()


class DOUBLE_VECTOR(_Vector):
    """double precision[]"""

    cache_ok = True
    element = Float(53)


ischema_names["bitvec"] = BITVEC
ischema_names["qvec8"] = QVEC8


def vector_index(name: str, column: Any, *, using: str = "qhnsw", ops: Optional[str] = None, **options: Any) -> Index:
    """An Index on a column by qhnsw or qivf; options are the index's storage parameters.

    With postgresql_where and the like Index(...) itself does the same, where values of
    postgresql_with that are no numbers are quoted by hand: {"compression": "'8x'"}.
    """
    with_options = {k: v if isinstance(v, (int, float)) else "'" + str(v) + "'" for k, v in options.items()}
    classes = {} if ops is None else {column.key: ops}
    return Index(name, column, postgresql_using=using, postgresql_with=with_options, postgresql_ops=classes)
