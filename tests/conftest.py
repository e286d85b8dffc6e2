"""Fixtures that tests of several folders share: real servers, and databases of their own on them.

What does not belong here: tables or rows of any one test.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from demo.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The three embedded servers, running until the session ends."""
    # Not pytest's own folder, which another account cannot enter.
    with tempfile.TemporaryDirectory(prefix="drivetrain-tests-") as folder:
        Path(folder).chmod(0o755)
        embedded = Servers(Path(folder) / "home", settings={"fsync": "off"})
        try:
            with embedded.running():
                yield embedded
        finally:
            embedded.destroy()


@pytest.fixture
def empty_database(servers: Servers) -> Iterator[str]:
    """Connection string, as superuser, of a fresh database on the operational server; dropped afterwards."""
    admin = servers.server("operational").dsn("postgres")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield conninfo.make_conninfo(admin, dbname=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
