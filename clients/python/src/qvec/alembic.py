"""Alembic: migrations that Alembic writes name the types of qvec.sqlalchemy, and import them.

In env.py:

    from qvec.alembic import render_item
    context.configure(..., render_item=render_item)
"""

from __future__ import annotations

from typing import Any, Literal, Union

from . import sqlalchemy as _types

__all__ = ["render_item"]


def render_item(kind: str, item: Any, autogen_context: Any) -> Union[str, Literal[False]]:
    """The text of a type of ours; False leaves everything else to Alembic."""
    if kind != "type" or type(item).__module__ != _types.__name__:
        return False
    autogen_context.imports.add("import qvec.sqlalchemy")
    dim = getattr(item, "dim", None)
    return f"qvec.sqlalchemy.{type(item).__name__}({'' if dim is None else dim})"
