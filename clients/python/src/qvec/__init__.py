"""The PostgreSQL extension qvec from Python.

BitVec and QVec8 are the values of the types bitvec and qvec8.  Each driver has a module of its
own: qvec.psycopg, qvec.psycopg2, qvec.asyncpg; and so have qvec.sqlalchemy, qvec.alembic and
qvec.django.  qvec.copy makes the stream of COPY ... BINARY out of numpy arrays.
"""

from .values import BitVec, QVec8

__all__ = ["BitVec", "QVec8"]
__version__ = "0.1.0"
