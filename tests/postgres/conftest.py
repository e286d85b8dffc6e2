"""Fixtures that several modules of this folder share: the whole warehouse, small systems, databases to fill.

What does not belong here: what other folders need, too (``tests/conftest.py``), and tables of one module only.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from analysts import Warehouse, modelled_warehouse
from ingesting import PARTITIONED, Bench
from partitioned import Place
from psycopg import conninfo, sql
from ride_databases import MakeDatabase
from small_system import SCHEMA

from demo.servers import Servers


@pytest.fixture(scope="session")
def modelled(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Five generated systems, ingested and built once; for tests that leave it as they found it."""
    with modelled_warehouse(servers, tmp_path_factory.mktemp("dbt")) as warehouse:
        assert warehouse.built.code == 0, warehouse.built.output
        yield warehouse


@pytest.fixture
def facts(bench: Bench) -> Bench:
    """A table of three months, by mode partition."""
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    bench.monthly("facts", partition={"range": "at", "name": "{table}_y{year}m{month}"})
    return bench


@pytest.fixture
def items(bench: Bench) -> Bench:
    """A table of 3,000 rows with a moment of change, by mode incremental."""
    bench.source("CREATE TABLE items (id int PRIMARY KEY, v text, updated_at timestamptz)")
    bench.source("INSERT INTO items SELECT i, 'v' || i, '2024-01-01+00'::timestamptz + i * interval '1 minute'"
                 " FROM generate_series(1, 3000) i")  # fmt: skip
    bench.incremental("items")
    return bench


@pytest.fixture
def small(empty_database: str) -> Iterator[psycopg.Connection]:
    """The database of ``small_system``, as superuser."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


@pytest.fixture(scope="module")
def make_database(servers: Servers) -> Iterator[MakeDatabase]:
    """Makes databases that live as long as the tests of one file."""
    admin = servers.server("operational").dsn("postgres")
    names: list[str] = []

    def make() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        names.append(name)
        return conninfo.make_conninfo(admin, dbname=name)

    yield make
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def place(empty_database: str) -> Iterator[Place]:
    made = Place(empty_database)
    try:
        yield made
    finally:
        made.close()
