"""Who is in the way of partition maintenance, by name; and what PostgreSQL left out with only a warning."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from partitioned import JANUARY, MONTHLY, Place

from warehouse.partitions.actions import SHARE_UPDATE
from warehouse.partitions.holders import holders
from warehouse.postgres.sessions import connect


@contextmanager
def idle(place: Place, statement: str, application: str = "till") -> Generator[psycopg.Connection[Any]]:
    """A session of the app that did something in a transaction, and then nothing."""
    dsn, password = place.admin.info.dsn, place.admin.info.password
    with psycopg.connect(dsn, password=password, application_name=application) as other:
        other.execute(statement.encode())
        yield other


def test_an_idle_transaction_is_named_with_its_application_and_time(place: Place) -> None:
    place.table()
    place("GRANT pg_read_all_stats TO {}", place.maintainer)
    with idle(place, "LOCK TABLE facts IN SHARE MODE") as other:
        (failure,) = {done.failure for done in place.maintain().done}
        pid, user = other.info.backend_pid, other.info.user
        (begun,) = place.rows(
            f"SELECT to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS') FROM pg_stat_activity WHERE pid = {pid}"
        )
    said = f"held by pid {pid} ({user}, till, idle in transaction since {begun[0]} UTC)"
    assert failure == f"canceling statement due to lock timeout; {said}"
    assert not place.maintain().failed


def test_only_whoever_stands_against_the_lock_is_named(place: Place) -> None:
    """A reader and a writer of another partition are in nobody's way, until all of the table is asked for."""
    place.table()
    assert not place.maintain().failed
    place("CREATE TABLE rest PARTITION OF facts DEFAULT")
    place.own("rest")
    with (
        connect(place.dsn) as connection,
        idle(place, "SELECT FROM facts_y2024m03") as reader,
        idle(place, "INSERT INTO rest VALUES (1, '2030-01-01+00', 'x')") as writer,
    ):
        read, wrote = f"pid {reader.info.backend_pid} ", f"pid {writer.info.backend_pid} "
        facts = ("public", "facts")
        assert holders(connection, *facts, [(SHARE_UPDATE, "facts")]) == ""
        attaching = holders(connection, *facts, [(SHARE_UPDATE, "facts")], attaching=True)
        assert wrote in attaching and read not in attaching
        assert holders(connection, *facts, [("ACCESS EXCLUSIVE", "facts_y2024m03")]).startswith(read)
        everybody = holders(connection, *facts)
        assert read in everybody and wrote in everybody
        assert everybody.index(read) < everybody.index(wrote), "the longest first"
        with connection.transaction():
            assert read in holders(connection, *facts)
            connection.execute("SELECT 1")
    with connect(place.dsn) as connection:
        assert holders(connection, "public", "facts") == ""


def test_a_question_that_cannot_be_asked_does_no_harm(place: Place) -> None:
    place.table()
    with connect(place.dsn) as connection:
        connection.execute("CREATE TEMP TABLE pg_locks ()")  # found before the one that is meant
        with connection.transaction():
            assert holders(connection, "public", "facts") == ""
            assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.close()
        assert holders(connection, "public", "facts") == ""


@pytest.mark.parametrize("hidden", [False, True])
def test_statistics_that_postgresql_left_out_with_a_warning_are_not_done(place: Place, hidden: bool) -> None:
    """Nothing but ANALYZE is due, on a table that is somebody else's."""
    place.table()
    assert not place.maintain(MONTHLY, at=JANUARY).failed
    place("CREATE TABLE others (LIKE facts) PARTITION BY RANGE (at)")
    for month in range(1, 6):
        place(f"CREATE TABLE others_y2024m{month:02d} PARTITION OF others"
              f" FOR VALUES FROM ('2024-{month:02d}-01+00') TO ('2024-{month + 1:02d}-01+00')")  # fmt: skip
    if hidden:
        place("ALTER ROLE {} SET client_min_messages = error", place.maintainer)
    (done,) = place.maintain(MONTHLY, table="others", at=JANUARY).done
    assert done.action.kind == "analyze"
    assert '"others"' in done.failure and "analyze" in done.failure
    place.own("others")
    report = place.maintain(MONTHLY, table="others", at=JANUARY)
    assert [(done.action.kind, done.failure) for done in report.done if done.action.kind == "analyze"] == [
        ("analyze", "")
    ]
