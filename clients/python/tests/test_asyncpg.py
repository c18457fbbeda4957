import asyncio
import os

import pytest
from conftest import uses

asyncpg = pytest.importorskip("asyncpg")

import qvec.asyncpg  # noqa: E402
from qvec import BitVec, QVec8  # noqa: E402


@pytest.fixture(scope="module")
def run(database, vectors):
    """Runs a coroutine function with a connection."""

    async def connect():
        connection = await asyncpg.connect(host=os.environ.get("PGHOST"), database=database)
        await qvec.asyncpg.register(connection)
        return connection

    async def fill():
        connection = await connect()
        await connection.execute("CREATE TABLE items (id bigint, e real[], d double precision[], code bitvec(16), code8 qvec8(16))")
        await connection.executemany(
            "INSERT INTO items VALUES ($1, $2, $3, $4, $5)",
            [(i, v, v, BitVec.quantize(v), QVec8.quantize(v)) for i, v in enumerate(vectors)],
        )
        for definition in ("e real_l2_ops", "d float8_l2_ops", "code", "code8 qvec8_l2_ops"):
            await connection.execute(f"CREATE INDEX items_{definition.split()[0]} ON items USING qhnsw ({definition})")
        await connection.close()

    async def with_connection(function):
        connection = await connect()
        try:
            return await function(connection)
        finally:
            await connection.close()

    asyncio.run(fill())
    return lambda function: asyncio.run(with_connection(function))


@pytest.mark.parametrize("index, distance, make", [
    ("items_e", "e <-> $1", list), ("items_d", "d <-> $1", list),
    ("items_e", "e <-> $1::float8[]", list), ("items_code", "code <~> $1", BitVec.quantize),
    ("items_code8", "code8 <-> $1", QVec8.quantize),
])
def test_search(run, vectors, index, distance, make):
    async def search(connection):
        query = f"SELECT id FROM items ORDER BY {distance} LIMIT 1"
        plan = await connection.fetch("EXPLAIN " + query, make(vectors[7]))
        return "\n".join(row[0] for row in plan), await connection.fetchval(query, make(vectors[7]))

    plan, found = run(search)
    assert uses(plan, index) and found == 7


def test_results(run, vectors):
    async def read(connection):
        return tuple(await connection.fetchrow("SELECT code, code8, NULL::qvec8 FROM items WHERE id = 9"))

    assert run(read) == (BitVec.quantize(vectors[9]), QVec8.quantize(vectors[9]), None)


def test_numpy_and_copy(run, vectors):
    numpy = pytest.importorskip("numpy")
    matrix = numpy.array(vectors, numpy.float32)

    async def load(connection):
        await connection.execute("CREATE TABLE loaded (LIKE items)")
        columns = {"id": numpy.arange(len(matrix)), "e": matrix, "code": matrix > 0, "code8": [QVec8.quantize(v) for v in vectors]}
        rows = await qvec.asyncpg.copy_arrays(connection, "public.loaded", columns)
        same = await connection.fetchval("SELECT count(*) FROM items AS i JOIN loaded AS l USING (id, code, code8) WHERE i.e = l.e")
        found = await connection.fetchval("SELECT id FROM items ORDER BY e <-> $1 LIMIT 1", matrix[7])
        bits = await connection.fetchval("SELECT id FROM items ORDER BY code <~> $1 LIMIT 1", numpy.packbits(matrix[7] > 0))
        return rows, same, found, bits

    assert run(load) == (len(vectors), len(vectors), 7, 7)
