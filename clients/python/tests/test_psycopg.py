import asyncio

import pytest
from conftest import psql, uses

psycopg = pytest.importorskip("psycopg")

import qvec.psycopg  # noqa: E402
from qvec import BitVec, QVec8  # noqa: E402


@pytest.fixture(scope="module")
def connection(database, vectors):
    with psycopg.connect(dbname=database, autocommit=True) as connection:
        qvec.psycopg.register(connection)
        connection.execute("CREATE TABLE items (id bigint, e real[], d double precision[], code bitvec(16), code8 qvec8(16))")
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO items VALUES (%s, %s, %s, %s, %s)",
                [(i, v, v, BitVec.quantize(v), QVec8.quantize(v)) for i, v in enumerate(vectors)],
            )
        for definition in ("e real_l2_ops", "d float8_l2_ops", "code", "code8 qvec8_l2_ops"):
            connection.execute(f"CREATE INDEX items_{definition.split()[0]} ON items USING qhnsw ({definition})")
        yield connection


QUERIES = [
    ("items_e", "e <-> %s"),
    ("items_e", "%s <-> e"),
    ("items_d", "d <-> %s"),
    ("items_code", "code <~> %s"),
    ("items_code8", "code8 <-> %s"),
]


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("index, distance", QUERIES)
def test_search(connection, vectors, index, distance, prepare):
    query = {"items_code": BitVec.quantize, "items_code8": QVec8.quantize}.get(index, list)(vectors[7])
    search = f"SELECT id FROM items ORDER BY {distance} LIMIT 3"
    plan = connection.execute("EXPLAIN " + search, (query,), prepare=prepare).fetchall()
    assert uses("\n".join(row[0] for row in plan), index)
    for _ in range(3):
        assert connection.execute(search, (query,), prepare=prepare).fetchone() == (7,)


def test_whole_numbers(connection):
    plan = connection.execute("EXPLAIN SELECT id FROM items ORDER BY e <-> %s LIMIT 3", ([1] * 16,)).fetchall()
    assert uses("\n".join(row[0] for row in plan), "items_e")


def test_functions_take_lists(connection, vectors):
    row = connection.execute(
        "SELECT binary_quantize(%s), quantize_int8(%s), (SELECT count(*) FROM "
        "qvec_search(NULL::items, 'code', 'e', %s, k => 5))", (vectors[7],) * 3,
    ).fetchone()
    assert row == (BitVec.quantize(vectors[7]), row[1], 5) and len(row[1]) == 16


@pytest.mark.parametrize("binary", [False, True])
def test_results(connection, vectors, binary):
    cursor = connection.cursor(binary=binary)
    row = cursor.execute("SELECT code, code8, NULL::bitvec FROM items WHERE id = 9").fetchone()
    assert row == (BitVec.quantize(vectors[9]), QVec8.quantize(vectors[9]), None)
    assert cursor.execute("SELECT ARRAY['101'::bitvec, '11']").fetchone() == ([BitVec("101"), BitVec("11")],)


@pytest.mark.parametrize("binary", [False, True])
def test_numpy(database, connection, vectors, binary):
    numpy = pytest.importorskip("numpy")
    with psycopg.connect(dbname=database) as other:
        qvec.psycopg.register(other, numpy_arrays=True)
        query = numpy.array(vectors[7])
        cursor = other.cursor(binary=binary)
        for dtype in ("float16", "float32", "float64"):
            found = cursor.execute("SELECT id, e, d FROM items ORDER BY e <-> %s LIMIT 1", (query.astype(dtype),)).fetchone()
            assert found[0] == 7 and found[1].dtype == numpy.float32 and found[2].dtype == numpy.float64
            assert numpy.allclose(found[1], query)
            plan = cursor.execute("EXPLAIN SELECT id FROM items ORDER BY e <-> %s LIMIT 1", (query.astype(dtype),)).fetchall()
            assert uses("\n".join(str(row[0]) for row in plan), "items_e")
        packed = numpy.packbits(query > 0)
        for code in (packed, query > 0):
            plan = cursor.execute("EXPLAIN SELECT id FROM items ORDER BY code <~> %s LIMIT 1", (code,)).fetchall()
            assert uses("\n".join(str(row[0]) for row in plan), "items_code")
            assert cursor.execute("SELECT id FROM items ORDER BY code <~> %s LIMIT 1", (code,)).fetchone() == (7,)
        assert cursor.execute("SELECT %s", (numpy.array([1, 2]),)).fetchone()[0].tolist() == [1, 2]
        assert cursor.execute("SELECT %b", (numpy.array([1.5, numpy.nan]),)).fetchone()[0].tolist()[0] == 1.5
        assert cursor.execute("SELECT '{}'::real[]").fetchone()[0].tolist() == []
        with pytest.raises((TypeError, psycopg.ProgrammingError)):
            cursor.execute("SELECT %s", (numpy.array([1j]),))


def test_copy(connection, vectors):
    numpy = pytest.importorskip("numpy")
    matrix = numpy.array(vectors, numpy.float32)
    connection.execute("CREATE TABLE loaded (LIKE items)")
    rows = qvec.psycopg.copy_arrays(connection, "loaded", {
        "id": numpy.arange(len(matrix)), "e": matrix, "d": matrix.astype(float),
        "code": numpy.packbits(matrix > 0, axis=1), "code8": [QVec8.quantize(v) for v in vectors],
    })
    assert rows == len(vectors)
    same = "SELECT count(*) FROM items AS i JOIN loaded AS l USING (id, code, code8) WHERE i.e = l.e"
    assert connection.execute(same).fetchone() == (len(vectors),)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        qvec.psycopg.copy_arrays(connection, "loaded", {"nothing": matrix})


def test_async(database, connection, vectors):
    async def run():
        async with await psycopg.AsyncConnection.connect(dbname=database) as other:
            await qvec.psycopg.register_async(other)
            cursor = await other.execute("SELECT id, code FROM items ORDER BY e <-> %s LIMIT 1", (vectors[7],))
            return await cursor.fetchone()

    assert asyncio.run(run()) == (7, BitVec.quantize(vectors[7]))


def test_without_the_extension():
    with psycopg.connect(dbname="postgres") as other:
        if psql("postgres", "SELECT count(*) FROM pg_extension WHERE extname = 'qvec'") == "0":
            with pytest.raises(LookupError):
                qvec.psycopg.register(other)
