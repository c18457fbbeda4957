"""A database of its own for each driver's tests, on the server that the PG* environment names."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

DIMS = 16
ROWS = 400


def psql(database: str, *commands: str) -> str:
    arguments = [os.environ.get("PSQL", "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
    for command in commands:
        arguments += ["-c", command]
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def database(request) -> str:
    """The name of a new database with the extension; made anew for each file of tests."""
    name = "qvec_" + Path(request.module.__file__).stem
    psql("postgres", "SET client_min_messages = warning", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    psql("postgres", f"CREATE DATABASE {name}")
    psql(name, "CREATE EXTENSION qvec", f"ALTER DATABASE {name} SET enable_seqscan = off",
         f"ALTER DATABASE {name} SET plan_cache_mode = force_generic_plan")
    yield name
    psql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def vectors() -> list[list[float]]:
    generator = random.Random(22)
    return [[generator.uniform(-1, 1) for _ in range(DIMS)] for _ in range(ROWS)]


def uses(plan: str, index: str) -> bool:
    """Does the text of a plan scan the index in the order of the query?"""
    return f"Index Scan using {index}" in plan and "Order By" in plan
