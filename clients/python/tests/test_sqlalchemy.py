import os
from pathlib import Path

import pytest
from conftest import psql, uses

sqlalchemy = pytest.importorskip("sqlalchemy", minversion="2.0")

from sqlalchemy import Column, Index, Integer, MetaData, Table, create_engine, insert, inspect, select, text  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column  # noqa: E402

from qvec import BitVec, QVec8  # noqa: E402
from qvec.sqlalchemy import BITVEC, DOUBLE_VECTOR, QVEC8, REAL_VECTOR, vector_index  # noqa: E402


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id = mapped_column(Integer, primary_key=True)
    e = mapped_column(REAL_VECTOR())
    d = mapped_column(DOUBLE_VECTOR())
    code = mapped_column(BITVEC(16))
    code8 = mapped_column(QVEC8(16))
    __table_args__ = (
        Index("items_e", e, postgresql_using="qhnsw", postgresql_ops={"e": "real_l2_ops"}, postgresql_with={"m": 12}),
    )


vector_index("items_d", Item.__table__.c.d, ops="float8_cosine_ops", compression="8x", ef_construction=40)
vector_index("items_code", Item.__table__.c.code)
vector_index("items_code8", Item.__table__.c.code8, ops="qvec8_ip_ops")

DRIVERS = {"psycopg": "psycopg", "psycopg2": "psycopg2", "asyncpg": "asyncpg"}


def engine_of(driver, database):
    pytest.importorskip(DRIVERS[driver])
    host = os.environ.get("PGHOST", "")
    port, user = os.environ.get("PGPORT", "5432"), os.environ.get("PGUSER", "postgres")
    return create_engine(f"postgresql+{driver}://{user}@/{database}?host={host}&port={port}")


@pytest.fixture(scope="module")
def filled(database, vectors):
    engine = engine_of("psycopg", database)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Item(id=i, e=v, d=v, code=BitVec.quantize(v), code8=QVec8.quantize(v)) for i, v in enumerate(vectors))
        session.commit()
    engine.dispose()
    return database


def searches(vectors):
    query = vectors[7]
    bits, codes = BitVec.quantize(query), QVec8.quantize(query)
    return [
        ("items_e", select(Item).order_by(Item.e.l2_distance(query))),
        ("items_d", select(Item).order_by(Item.d.cosine_distance(query))),
        ("items_code", select(Item).order_by(Item.code.hamming_distance(bits))),
        ("items_code8", select(Item).order_by(Item.code8.negative_inner_product(codes))),
    ]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("place", range(4))
def test_search(filled, vectors, driver, place):
    engine = engine_of(driver, filled)
    index, statement = searches(vectors)[place]
    with Session(engine) as session:
        compiled = statement.limit(1).compile(engine)
        plan = session.connection().exec_driver_sql(f"EXPLAIN {compiled}", _bound(compiled)).scalars().all()
        assert uses("\n".join(plan), index)
        item = session.scalars(statement.limit(1)).one()
        if index != "items_code8":
            assert item.id == 7 and item.code == BitVec.quantize(vectors[7]) and item.code8 == QVec8.quantize(vectors[7])
            assert item.e == pytest.approx(vectors[7], abs=1e-6)
    engine.dispose()


def _bound(compiled):
    """Parameters as the dialect sends them."""
    processors = compiled._bind_processors
    return {k: processors[k](v) if k in processors else v for k, v in compiled.params.items()}


def test_asyncpg(filled, vectors):
    import asyncio

    pytest.importorskip("asyncpg")
    pytest.importorskip("greenlet")
    from sqlalchemy.ext.asyncio import create_async_engine

    async def run():
        url = f"postgresql+asyncpg://{os.environ.get('PGUSER', 'postgres')}@/{filled}?host={os.environ.get('PGHOST', '')}&port={os.environ.get('PGPORT', '5432')}"
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            ids = [(await connection.execute(statement.limit(1))).first().id for _, statement in searches(vectors)[:3]]
            await connection.execute(insert(Item).values(id=100000, e=vectors[0], d=vectors[0], code=BitVec.quantize(vectors[0])))
            await connection.rollback()
        await engine.dispose()
        return ids

    assert asyncio.run(run()) == [7, 7, 7]


def test_distances_are_selected(filled, vectors):
    engine = engine_of("psycopg", filled)
    with engine.connect() as connection:
        item = Item.__table__.c
        row = connection.execute(select(
            item.e.cosine_distance(vectors[0]), item.e.l1_distance(item.e), item.d.l2_distance(vectors[0]),
            item.code.jaccard_distance("1" * 16), item.code8.l2_distance([0] * 16), item.e.negative_inner_product(vectors[0]),
        ).where(item.id == 0)).one()
        assert row[0] == pytest.approx(0, abs=1e-6) and row[1] == 0 and row[2] == pytest.approx(0, abs=1e-6)
        assert 0 < row[3] < 1 and row[4] > 0 and row[5] < 0
    engine.dispose()


def test_numpy(filled, vectors):
    numpy = pytest.importorskip("numpy")
    engine = engine_of("psycopg", filled)
    query = numpy.array(vectors[7], numpy.float32)
    with Session(engine) as session:
        assert session.scalars(select(Item.id).order_by(Item.e.l2_distance(query)).limit(1)).one() == 7
        assert session.scalars(select(Item.id).order_by(Item.code.hamming_distance(query > 0)).limit(1)).one() == 7
    engine.dispose()


def test_reflection(filled):
    engine = engine_of("psycopg", filled)
    columns = {c["name"]: c["type"] for c in inspect(engine).get_columns("items")}
    assert isinstance(columns["code"], BITVEC) and columns["code"].dim == 16
    assert isinstance(columns["code8"], QVEC8) and columns["code8"].dim == 16
    indexes = {i["name"]: i["dialect_options"] for i in inspect(engine).get_indexes("items")}
    assert indexes["items_d"]["postgresql_using"] == "qhnsw"
    assert indexes["items_d"]["postgresql_with"] == {"compression": "8x", "ef_construction": "40"}
    table = Table("items", MetaData(), autoload_with=engine)
    assert str(table.c.code.type.compile(engine.dialect)) == "bitvec(16)"
    engine.dispose()


ENV = """
from alembic import context
from sqlalchemy import create_engine
import test_sqlalchemy
from qvec.alembic import render_item

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=test_sqlalchemy.Base.metadata, render_item=render_item)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_alembic(database, tmp_path):
    """A migration that Alembic writes, applied to an empty database, leaves nothing to migrate."""
    alembic = pytest.importorskip("alembic")
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext

    name = database + "_alembic"
    psql("postgres", f"CREATE DATABASE {name}")
    psql(name, "CREATE EXTENSION qvec")
    engine = engine_of("psycopg", name)
    try:
        config = Config()
        config.set_main_option("script_location", str(tmp_path))
        config.set_main_option("path_separator", "os")
        config.set_main_option("sqlalchemy.url", engine.url.render_as_string().replace("%", "%%"))
        template = Path(alembic.__file__).parent / "templates" / "generic" / "script.py.mako"
        (tmp_path / "script.py.mako").write_text(template.read_text())
        (tmp_path / "env.py").write_text(ENV)
        (tmp_path / "versions").mkdir()
        revision = command.revision(config, "items", autogenerate=True)
        written = Path(revision.path).read_text()
        assert "import qvec.sqlalchemy" in written and "qvec.sqlalchemy.BITVEC(16)" in written
        assert "qvec.sqlalchemy.REAL_VECTOR()" in written
        command.upgrade(config, "head")
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
            definition = connection.execute(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'items_d'")).scalar_one()
            assert "USING qhnsw (d) WITH (compression='8x', ef_construction='40')" in definition
        command.downgrade(config, "base")
        assert not inspect(engine).has_table("items")
    finally:
        engine.dispose()
        psql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


def test_index_on_a_column_of_its_own():
    table = Table("t", MetaData(), Column("v", REAL_VECTOR()))
    index = vector_index("t_v", table.c.v, using="qivf", lists=100)
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateIndex

    assert str(CreateIndex(index).compile(dialect=postgresql.dialect())) == "CREATE INDEX t_v ON t USING qivf (v) WITH (lists = 100)"
