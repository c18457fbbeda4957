"""asyncpg: bitvec and qvec8 as parameters and results.

    import qvec.asyncpg
    await qvec.asyncpg.register(connection)
    pool = await asyncpg.create_pool(..., init=qvec.asyncpg.register)

Arrays of numbers, numpy's among them, asyncpg sends itself, in the type of the column.
"""

from __future__ import annotations

from typing import Any, AsyncIterator, Mapping

from .values import BitVec, QVec8

__all__ = ["copy_arrays", "register"]


def _encoder(cls: Any) -> Any:
    return lambda value: (value if isinstance(value, cls) else cls(value)).to_binary()


async def register(connection: Any) -> None:
    """Teach a connection the types."""
    for name, cls in (("bitvec", BitVec), ("qvec8", QVec8)):
        schema = await connection.fetchval(
            "SELECT nspname FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = typnamespace "
            "WHERE t.oid = to_regtype($1)",
            name,
        )
        if schema is None:
            raise LookupError('extension "qvec" is not created in this database, or not in the search path')
        await connection.set_type_codec(
            name, schema=schema, encoder=_encoder(cls), decoder=cls.from_binary, format="binary"
        )


async def copy_arrays(connection: Any, table: str, columns: Mapping[str, Any]) -> int:
    """Load columns, given as arrays or sequences, by COPY ... BINARY; returns the number of rows.

    The table is one name, which may have its schema before a dot.
    """
    from . import copy

    types = [row[0] for row in await connection.fetch(copy.types_query(table, columns))]
    blocks = copy.stream(types, list(columns.values()))

    async def source() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    schema, _, name = table.rpartition(".")
    status = await connection.copy_to_table(
        name, schema_name=schema or None, columns=list(columns), source=source(), format="binary"
    )
    return int(status.split()[-1])
