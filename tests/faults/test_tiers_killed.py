"""A mover killed at any point: nothing is lost or doubled, and the next one goes on from there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from ingesting import PARTITIONED, Bench
from tiering import AT, LATER, NO_HOT, ONLY_JANUARY, TIERS, everywhere, moved, plan, proven, source_rows, tier

from warehouse.errors import DrivetrainError
from warehouse.lake.delta import LakeTable
from warehouse.lake.store import Store

#: Sessions that a kill ends.
OURS = ("drivetrain tiers", "drivetrain retention", "drivetrain erasure")


class Killed(BaseException):
    """What a process does no more."""


def leaving(bench: Bench, lake: Store) -> None:
    """January is about to leave the source, with changes that ingestion has not seen."""
    tier(bench, TIERS)
    bench.ingest("facts")
    bench.source("UPDATE facts SET v = 'changed' WHERE id = 3")


def joining(bench: Bench, lake: Store) -> None:
    """It has left, and rows of it came late."""
    leaving(bench, lake)
    moved(bench, lake)
    bench.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'late'), (3, '2024-01-01 18:00+00', 'again')")


def cooling(bench: Bench, lake: Store) -> None:
    """All months are about to go into the lake."""
    tier(bench, NO_HOT)
    bench.ingest("facts")


KINDS: dict[str, tuple[Callable[[Bench, Store], None], Any]] = {
    "leaving": (leaving, AT), "joining": (joining, AT), "cooling": (cooling, LATER),
    "cooling one month": (cooling, ONLY_JANUARY),
}  # fmt: skip
#: Those that have nothing to do with the lake are killed once.
PLACES = [("leaving", "file"), ("joining", "file"), ("cooling", "file"), ("cooling one month", "s3")]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("kind", "lake"), PLACES, indirect=["lake"])
def test_killed_after_each_step(kind: str, bench: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each statement on either server, each file put or removed, and each commit of the lake's table."""
    prepare, at = KINDS[kind]
    whole = lake
    for last in itertools.count(1):
        lake = whole.under(str(last))
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        prepare(bench, lake)
        due = everywhere(bench, lake) if kind != "leaving" else source_rows(bench)
        if kind == "joining":
            due = due - type(due)([row for row in due if row[0] == "3"])
            due.update([("9001", "2024-01-05 10:00:00.000000", "late"), ("3", "2024-01-01 18:00:00.000000", "again")])
        ended = False
        with monkeypatch.context() as patch:
            after(patch, last)
            try:
                moved(bench, lake, at)
                ended = True
            except (Killed, DrivetrainError, psycopg.Error):
                pass
        bench.ingest("facts")
        moved(bench, lake, at)
        assert everywhere(bench, lake) == due, last
        assert plan(bench, lake, at) == [], last
        assert bench.ingest("facts").rows_written == 0
        assert everywhere(bench, lake) == due, last
        assert proven(bench, lake) == [], last
        left = (
            "SELECT relname FROM pg_class WHERE relname ~ '^(drivetrain_left|moved)_[0-9]+$' AND relkind IN ('r', 'p')"
        )
        assert bench.source(left) == bench.warehouse(left) == [], last
        bench.source("DROP TABLE facts")
        bench.warehouse("DROP SCHEMA {raw} CASCADE")
        for table in ("tier_event", "lake_file", "tier_move"):
            bench.warehouse(f"ALTER TABLE platform.{table} DISABLE TRIGGER USER; DELETE FROM platform.{table}")
        bench.warehouse("ALTER TABLE platform.tier_event ENABLE TRIGGER USER")
        bench.warehouse(f"DELETE FROM platform.raw_content WHERE system = '{bench.name}'")
        if ended:
            assert last > 15
            break


def after(patch: pytest.MonkeyPatch, last: int) -> None:
    """Die when so many points were passed: the sessions are closed as by a kill, without a word."""
    passed = 0

    def point(connection: psycopg.Connection | None = None) -> None:
        nonlocal passed
        passed += 1
        if passed == last:
            if connection is not None:
                connection.pgconn.finish()
            raise Killed

    for owner, name in (
        (psycopg.Connection, "execute"), (Store, "put"), (Store, "remove"), (LakeTable, "commit"),
    ):  # fmt: skip
        original = getattr(owner, name)

        def wrapped(self: Any, *arguments: Any, _original: Any = original, **options: Any) -> Any:
            answer = _original(self, *arguments, **options)
            if not isinstance(self, psycopg.Connection) or self.info.get_parameters().get("application_name") in OURS:
                point(self if isinstance(self, psycopg.Connection) else None)
            return answer

        patch.setattr(owner, name, wrapped)
