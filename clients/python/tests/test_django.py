import os
from io import StringIO

import pytest
from conftest import uses

django = pytest.importorskip("django")
if not any(__import__("importlib").util.find_spec(m) for m in ("psycopg", "psycopg2")):
    pytest.skip("Django needs psycopg or psycopg2", allow_module_level=True)

from django.conf import settings  # noqa: E402

NAME = "qvec_test_django"
if not settings.configured:
    settings.configure(
        DATABASES={"default": {
            "ENGINE": "django.db.backends.postgresql", "NAME": NAME, "HOST": os.environ.get("PGHOST", ""),
            "PORT": os.environ.get("PGPORT", ""), "USER": os.environ.get("PGUSER", "postgres"),
        }},
        INSTALLED_APPS=["django.contrib.postgres"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()

from django.db import connection, models  # noqa: E402
from django.db.migrations.writer import MigrationWriter  # noqa: E402
from django.db.models import F  # noqa: E402

from qvec import BitVec, QVec8  # noqa: E402
from qvec.django import (  # noqa: E402
    BitVectorField, CosineDistance, DoubleVectorField, HammingDistance, JaccardDistance, L1Distance, L2Distance,
    NegativeInnerProduct, QhnswIndex, QuantizedVectorField, QvecExtension, RealVectorField,
)


class Item(models.Model):
    e = RealVectorField()
    d = DoubleVectorField()
    code = BitVectorField(dimensions=16, null=True)
    code8 = QuantizedVectorField(dimensions=16, null=True)

    class Meta:
        app_label = "qvec_test"
        indexes = [
            QhnswIndex(fields=["e"], name="items_e", opclasses=["real_l2_ops"], m=12, compression="8x"),
            QhnswIndex(fields=["d"], name="items_d", opclasses=["float8_cosine_ops"]),
            QhnswIndex(fields=["code"], name="items_code"),
            QhnswIndex(fields=["code8"], name="items_code8", opclasses=["qvec8_ip_ops"]),
        ]


@pytest.fixture(scope="module")
def items(database, vectors):
    assert database == NAME
    with connection.schema_editor() as editor:
        QvecExtension().database_forwards("qvec_test", editor, None, None)
        editor.create_model(Item)
    Item.objects.bulk_create(
        Item(id=i, e=v, d=v, code=BitVec.quantize(v), code8=QVec8.quantize(v)) for i, v in enumerate(vectors)
    )
    yield Item.objects
    connection.close()


def test_search(items, vectors):
    query = vectors[7]
    for index, distance in (
        ("items_e", L2Distance("e", query)), ("items_d", CosineDistance("d", query)),
        ("items_code", HammingDistance("code", BitVec.quantize(query))), ("items_e", L2Distance("e", [1] * 16)),
        ("items_code8", NegativeInnerProduct("code8", QVec8.quantize(query))),
    ):
        nearest = items.order_by(distance)[:1]
        assert uses(nearest.explain(), index)
        assert len(nearest) == 1
    assert items.order_by(L2Distance("e", query))[0].id == 7


def test_values(items, vectors):
    item = items.get(id=9)
    assert item.code == BitVec.quantize(vectors[9]) and item.code8 == QVec8.quantize(vectors[9])
    assert item.e == pytest.approx(vectors[9], abs=1e-6) and item.d == vectors[9]
    item.code = None
    item.save()
    assert items.get(id=9).code is None
    assert items.filter(code=BitVec.quantize(vectors[10])).values_list("id", flat=True)[0] == 10
    first = items.annotate(d1=L1Distance("e", F("e")), j=JaccardDistance("code", "1" * 16), c=CosineDistance("e", vectors[0])).get(id=0)
    assert first.d1 == 0 and 0 < first.j < 1 and first.c == pytest.approx(0, abs=1e-6)


def test_numpy(items, vectors):
    numpy = pytest.importorskip("numpy")
    query = numpy.array(vectors[7], numpy.float32)
    assert items.order_by(L2Distance("e", query))[0].id == 7
    assert items.order_by(HammingDistance("code", query > 0))[0].id == 7


def test_migrations(items):
    index = Item._meta.indexes[0]
    path, expressions, arguments = index.deconstruct()
    assert type(index)(*expressions, **arguments) == index and arguments["compression"] == "8x"
    field = Item._meta.get_field("code")
    assert field.clone().dimensions == 16
    text, imports = MigrationWriter.serialize(field)
    assert "dimensions=16" in text and "import qvec.django" in imports
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'items_e'")
        assert "USING qhnsw (e real_l2_ops) WITH (m='12', compression='8x')" in cursor.fetchone()[0]
