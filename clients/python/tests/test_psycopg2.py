import pytest
from conftest import uses

psycopg2 = pytest.importorskip("psycopg2")

import qvec.psycopg2  # noqa: E402
from qvec import BitVec, QVec8  # noqa: E402


@pytest.fixture(scope="module")
def cursor(database, vectors):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    qvec.psycopg2.register(connection)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE items (id bigint, e real[], code bitvec(16), code8 qvec8(16))")
        for i, v in enumerate(vectors):
            cursor.execute("INSERT INTO items VALUES (%s, %s, %s, %s)", (i, v, BitVec.quantize(v), QVec8.quantize(v)))
        cursor.execute("CREATE INDEX items_e ON items USING qhnsw (e real_l2_ops)")
        cursor.execute("CREATE INDEX items_code ON items USING qhnsw (code)")
        yield cursor
    connection.close()


def plan(cursor, query, *parameters):
    cursor.execute("EXPLAIN " + query, parameters)
    return "\n".join(row[0] for row in cursor.fetchall())


def test_search(cursor, vectors):
    search = "SELECT id FROM items ORDER BY e <-> %s LIMIT 1"
    for query in (vectors[7], [1] * 16):
        assert uses(plan(cursor, search, query), "items_e")
    cursor.execute(search, (vectors[7],))
    assert cursor.fetchone() == (7,)


def test_codes(cursor, vectors):
    search = "SELECT id, code, code8 FROM items ORDER BY code <~> %s LIMIT 1"
    query = BitVec.quantize(vectors[7])
    assert uses(plan(cursor, search, query), "items_code")
    cursor.execute(search, (query,))
    assert cursor.fetchone() == (7, query, QVec8.quantize(vectors[7]))
    cursor.execute("SELECT NULL::bitvec")
    assert cursor.fetchone() == (None,)


def test_numpy(cursor, vectors):
    numpy = pytest.importorskip("numpy")
    for dtype in ("float32", "float64"):
        query = numpy.array(vectors[7], dtype)
        search = "SELECT id FROM items ORDER BY e <-> %s LIMIT 1"
        assert uses(plan(cursor, search, query), "items_e")
        cursor.execute(search, (query,))
        assert cursor.fetchone() == (7,)
    for code in (query > 0, numpy.packbits(query > 0)):
        search = "SELECT id FROM items ORDER BY code <~> %s LIMIT 1"
        assert uses(plan(cursor, search, code), "items_code")
    cursor.execute("SELECT %s", (numpy.array([numpy.nan, numpy.inf, -numpy.inf]),))
    assert str(cursor.fetchone()[0]) == "[nan, inf, -inf]"


def test_copy(cursor, vectors):
    numpy = pytest.importorskip("numpy")
    matrix = numpy.array(vectors, numpy.float32)
    cursor.execute("CREATE TABLE loaded (id bigint, e real[], code bitvec(16))")
    columns = {"id": numpy.arange(len(matrix)), "e": matrix, "code": matrix > 0}
    assert qvec.psycopg2.copy_arrays(cursor.connection, "loaded", columns) == len(vectors)
    cursor.execute("SELECT count(*) FROM items AS i JOIN loaded AS l USING (id, code) WHERE i.e = l.e")
    assert cursor.fetchone() == (len(vectors),)
