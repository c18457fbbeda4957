"""The blocks of README.md run as they stand there."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = dict(re.findall(r"^## (\w+)[^\n]*\n+```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE))


def test_psycopg(database, monkeypatch):
    pytest.importorskip("psycopg")
    pytest.importorskip("numpy")
    monkeypatch.setenv("PGDATABASE", database)
    exec(BLOCKS["psycopg"], {})


def test_sqlalchemy():
    sqlalchemy = pytest.importorskip("sqlalchemy", minversion="2.0")
    names: dict = {"__name__": "readme"}
    exec(BLOCKS["SQLAlchemy"], names)
    from sqlalchemy.dialects import postgresql

    (index,) = names["Item"].__table__.indexes
    text = str(sqlalchemy.schema.CreateIndex(index).compile(dialect=postgresql.dialect()))
    assert text.endswith("USING qhnsw (embedding real_cosine_ops) WITH (compression = '8x', m = 16)")
