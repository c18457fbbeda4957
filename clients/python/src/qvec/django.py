"""Django: fields for bitvec, qvec8 and float vectors, distances, and the index.

    from qvec.django import BitVectorField, CosineDistance, QhnswIndex, RealVectorField

    class Item(models.Model):
        embedding = RealVectorField()
        code = BitVectorField(dimensions=1024, null=True)

        class Meta:
            indexes = [QhnswIndex(fields=["embedding"], name="items_embedding",
                                  opclasses=["real_cosine_ops"], m=16, compression="8x")]

    Item.objects.order_by(CosineDistance("embedding", query))[:10]

A migration creates the extension with the operation QvecExtension(), before the first field.
"""

from __future__ import annotations

from typing import Any, Optional

from django.contrib.postgres.indexes import PostgresIndex
from django.contrib.postgres.operations import CreateExtension
from django.db.models import Field, FloatField, Func, Value

from .values import BitVec, QVec8

__all__ = [
    "BitVectorField", "CosineDistance", "DoubleVectorField", "HammingDistance", "JaccardDistance",
    "L1Distance", "L2Distance", "NegativeInnerProduct", "QhnswIndex", "QivfIndex", "QuantizedVectorField",
    "QvecExtension", "RealVectorField",
]


class QvecExtension(CreateExtension):
    def __init__(self) -> None:
        super().__init__("qvec")


class _ValueField(Field):
    """A type whose values have a text form."""

    value_class: Any = None
    sql_name = ""
    empty_strings_allowed = False

    def __init__(self, *args: Any, dimensions: Optional[int] = None, **kwargs: Any) -> None:
        self.dimensions = dimensions
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        if self.dimensions is not None:
            kwargs["dimensions"] = self.dimensions
        return name, path, args, kwargs

    def db_type(self, connection: Any) -> str:
        return self.sql_name if self.dimensions is None else f"{self.sql_name}({self.dimensions})"

    def to_python(self, value: Any) -> Any:
        if value is None or isinstance(value, self.value_class):
            return value
        return self.value_class.from_text(value) if isinstance(value, str) else self.value_class(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        value = self.to_python(value)
        return None if value is None else value.to_text()

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return f"%s::{self.sql_name}"

    def value_to_string(self, obj: Any) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))


class BitVectorField(_ValueField):
    """bitvec(dimensions): values are BitVec, or what makes one."""

    value_class = BitVec
    sql_name = "bitvec"


class QuantizedVectorField(_ValueField):
    """qvec8(dimensions): values are QVec8, or codes that make one."""

    value_class = QVec8
    sql_name = "qvec8"


class _ArrayField(Field):
    """Lists of floats; takes numpy arrays as well."""

    sql_name = ""
    empty_strings_allowed = False

    def db_type(self, connection: Any) -> str:
        return self.sql_name

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.strip("{}[]").split(",")
        if hasattr(value, "tolist"):
            value = value.tolist()
        return None if value is None else [float(x) for x in value]

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(value)

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return f"%s::{self.sql_name}"

    def value_to_string(self, obj: Any) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))


class RealVectorField(_ArrayField):
    """real[]"""

    sql_name = "real[]"


class DoubleVectorField(_ArrayField):
    """double precision[]"""

    sql_name = "double precision[]"


class _Distance(Func):
    template = "(%(expressions)s)"
    arity = 2
    output_field = FloatField()

    def __init__(self, expression: Any, vector: Any, **extra: Any) -> None:
        if not hasattr(vector, "resolve_expression"):
            vector = Value(vector)
        super().__init__(expression, vector, **extra)

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
        """The value takes the field's type, and with it the field's cast."""
        resolved = super().resolve_expression(*args, **kwargs)
        left, right = resolved.get_source_expressions()
        if isinstance(right, Value) and right._output_field_or_none is not left.output_field:
            resolved.set_source_expressions([left, Value(right.value, output_field=left.output_field)])
        return resolved


class CosineDistance(_Distance):
    arg_joiner = " <=> "


class L2Distance(_Distance):
    arg_joiner = " <-> "


class NegativeInnerProduct(_Distance):
    arg_joiner = " <#> "


class L1Distance(_Distance):
    arg_joiner = " <+> "


class HammingDistance(_Distance):
    arg_joiner = " <~> "


class JaccardDistance(_Distance):
    arg_joiner = " <%%> "


class _VectorIndex(PostgresIndex):
    def __init__(self, *expressions: Any, name: Optional[str] = None, fields: Any = (), opclasses: Any = (),
                 condition: Any = None, include: Any = None, db_tablespace: Any = None, **options: Any) -> None:
        self.options = options
        super().__init__(*expressions, name=name, fields=fields, opclasses=opclasses, condition=condition,
                         include=include, db_tablespace=db_tablespace)

    def deconstruct(self) -> Any:
        path, expressions, kwargs = super().deconstruct()
        kwargs.update(self.options)
        return path, expressions, kwargs

    def get_with_params(self) -> list[str]:
        return [f"{k} = {v}" if isinstance(v, (int, float)) else f"{k} = '{v}'" for k, v in self.options.items()]


class QhnswIndex(_VectorIndex):
    """USING qhnsw; other keyword arguments are storage parameters, as in m=16, compression="8x"."""

    suffix = "qhnsw"


class QivfIndex(_VectorIndex):
    """USING qivf; other keyword arguments are storage parameters, as in lists=1000."""

    suffix = "qivf"
