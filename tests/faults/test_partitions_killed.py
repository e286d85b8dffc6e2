"""Partition maintenance whose server dies with it: ``kill -9`` of the backend, after each statement of a plan.

PostgreSQL then ends all sessions and recovers. What does not belong here: sessions that end and leave the server be
(``tests/postgres/test_partitions_faults.py``).
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from partitioned import DUE, JANUARY, SHORT, Dying, Place, kinds, ready, validity
from psycopg import sql

from demo.servers import Servers
from warehouse.postgres.sessions import connect


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    """A server of one's own, since it dies again and again."""
    with tempfile.TemporaryDirectory(prefix="drivetrain-partitions-") as folder:
        Path(folder).chmod(0o755)
        servers = Servers(Path(folder) / "home", settings={"fsync": "off"})
        try:
            with servers.running():
                yield servers.server("operational").dsn("postgres")
        finally:
            servers.destroy()


@pytest.fixture
def place(admin: str) -> Iterator[Place]:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE partitions")
    made = Place(psycopg.conninfo.make_conninfo(admin, dbname="partitions"))
    try:
        yield made
    finally:
        made.close()
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE partitions WITH (FORCE)"))


def answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except psycopg.OperationalError:
        return False
    return True


def eventually(true: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if true():
            return True
        time.sleep(0.03)
    return False


def killed(place: Place) -> Callable[[int], None]:
    """Ends a backend as the kernel does when memory is short, and waits until the server is there again."""

    def kill(process: int) -> None:
        os.kill(process, signal.SIGKILL)
        assert eventually(lambda: not answers(lambda: place.rows("SELECT 1"))), "the server lives"
        assert eventually(lambda: answers(place.reconnect)), "the server does not come back"

    return kill


@pytest.mark.parametrize("kind", DUE)
def test_a_server_that_dies_after_any_statement_is_completed_by_the_next_run(place: Place, kind: str) -> None:
    ready(place)
    statement = 0
    while True:
        place(DUE[kind])
        due = place.plan(SHORT, at=JANUARY)
        if statement == sum(len(action.statements) for action in due):
            break
        with connect(place.dsn, see_all_rows=True) as connection, pytest.raises(psycopg.OperationalError):
            Dying(connection, statement, killed(place)).do(due)
        rows = place.rows("SELECT count(*) FROM facts")
        report = place.maintain(SHORT, at=JANUARY)
        assert not report.failed, (statement, report)
        assert kinds(place.plan(SHORT, at=JANUARY)) == [], statement
        assert set(validity(place).values()) == {True}
        assert len(validity(place)) == 9
        assert place.rows("SELECT count(*) FROM facts") == rows == [(700,)]
        statement += 1
    assert statement >= 4
