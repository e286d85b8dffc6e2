"""PostgreSQL ends a mover's session at any step: it says so, nothing is lost or doubled, and the next one goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from faulty import wiped
from ingesting import PARTITIONED, Bench
from tiering import AT, LATER, NO_HOT, ONLY_JANUARY, TIERS, everywhere, moved, plan, proven, source_rows, tier

from warehouse.errors import DrivetrainError, ServerUnavailable
from warehouse.lake import export
from warehouse.lake.store import Store
from warehouse.postgres.arrow import arrow_cursor
from warehouse.state import returning

#: Tiers, the moment of the run, and which server the session is of.
CASES = {
    "leaving, source": (TIERS, AT, "source"), "leaving, warehouse": (TIERS, AT, "warehouse"),
    "cooling, warehouse": (NO_HOT, ONLY_JANUARY, "warehouse"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("case", CASES)
def test_a_session_that_ends_after_each_statement(
    case: str, bench: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiers, at, server = CASES[case]
    whole = lake
    for last in itertools.count(1):
        lake = whole.under(str(last))
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        tier(bench, tiers)
        bench.ingest("facts")
        bench.source("UPDATE facts SET v = 'changed' WHERE id = 3" if server == "source" else "")
        due = source_rows(bench)
        with monkeypatch.context() as patch:
            passed = ended_after(patch, bench, server, last)
            said = what_was_said(partial(moved, bench, lake, at))
        if passed() < last:
            assert said is None
            assert last > 10
            break
        assert said is None or said.transient, last  # None: nothing was left to do in that session
        moved(bench, lake, at)
        assert everywhere(bench, lake) == due, last
        assert proven(bench, lake) == [], last
        assert plan(bench, lake, at) == [], last
        wiped(bench)


@pytest.mark.parametrize("lake", ["file"], indirect=True)
@pytest.mark.parametrize("work", ["export", "come back"])
def test_the_session_that_carries_rows_ends(
    work: str, facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier(facts, TIERS)
    facts.ingest("facts")
    if work == "come back":
        moved(facts, lake, LATER)
        facts.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'late')")
    else:
        moved(facts, lake, AT)
    due = everywhere(facts, lake) | source_rows(facts)

    @contextmanager
    def ending(*arguments: Any) -> Generator[Any]:
        with arrow_cursor(*arguments) as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            end(facts.pair.warehouse_admin, cursor.fetchone()[0])
            yield cursor

    with monkeypatch.context() as patch:
        for module in (export, returning):
            patch.setattr(module, "arrow_cursor", ending)
        said = what_was_said(partial(moved, facts, lake, LATER))
    assert said is not None
    assert said.transient
    assert "terminating connection" in str(said) or "connection was lost" in str(said)
    moved(facts, lake, LATER)
    assert everywhere(facts, lake) == due
    assert proven(facts, lake) == []


@pytest.mark.parametrize("lake", ["file"], indirect=True)
def test_the_session_whose_snapshot_it_is_ends(facts: Bench, lake: Store) -> None:
    with pytest.raises(ServerUnavailable, match="the connection was lost"):
        with arrow_cursor(facts.pair.target, "0000001B-00000074-1"):
            pass


def what_was_said(work: Callable[[], object]) -> DrivetrainError | None:
    """The error that work ends with, which has to be the platform's own."""
    try:
        work()
    except DrivetrainError as error:
        return error
    return None


def ended_after(patch: pytest.MonkeyPatch, bench: Bench, server: str, last: int) -> Callable[[], int]:
    """Let the server end the mover's session after so many statements; how many there were."""
    admin = bench.pair.source_admin if server == "source" else bench.pair.warehouse_admin
    database = bench.pair.source if server == "source" else bench.pair.warehouse
    passed = 0
    execute: Any = psycopg.Connection.execute

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal passed
        answer = execute(self, *arguments, **options)
        parameters = self.info.get_parameters()
        if parameters.get("application_name") == "drivetrain tiers" and parameters.get("dbname") == database:
            passed += 1
            if passed == last:
                end(admin, self.info.backend_pid)
        return answer

    patch.setattr(psycopg.Connection, "execute", counted)
    return lambda: passed


def end(admin: str, backend: int) -> None:
    """As an administrator, or a server that restarts, ends a session; returns when it is gone."""
    with psycopg.connect(admin, autocommit=True, application_name="the administrator") as connection:
        assert connection.execute("SELECT pg_terminate_backend(%s, 10000)", (backend,)).fetchall() == [(True,)]
