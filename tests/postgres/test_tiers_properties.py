"""Whatever happens in whatever order: each row that lives is somewhere once, and each that expired is nowhere."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from aging import declare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import PARTITIONED, Bench, month
from tiering import NO_HOT, TIERS, everywhere, move, places, proven, source_rows

from warehouse.errors import DrivetrainError
from warehouse.lake.store import Store
from warehouse.retention.apply import expire_table
from warehouse.tiering.rehydrating import Request, rehydrate_table

START = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)
ROWS = st.integers(0, 359)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 88)),
        st.tuples(st.just("update"), ROWS),
        st.tuples(st.just("delete"), ROWS),
        st.tuples(st.just("ingest"), st.just(0)),
        st.tuples(st.just("move"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.integers(1, 150)),
        st.tuples(st.just("expire"), st.just(0)),
        st.tuples(st.just("rehydrate"), st.integers(1, 3)),
        st.tuples(st.just("add a column"), st.integers(0, 1)),
    ),
    min_size=4,
    max_size=14,
)
Row = tuple[str, str]


@pytest.mark.slow
@pytest.mark.parametrize("tiers", [TIERS, NO_HOT], ids=["leaving", "kept at the source"])
def test_each_row_that_lives_is_somewhere_once(bench: Bench, tmp_path: Path, tiers: dict[str, object]) -> None:
    number = 0

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def holds(steps: list[tuple[str, int]]) -> None:
        nonlocal number
        number += 1
        _begin(bench, tiers)
        lake = Store((tmp_path / str(number)).as_uri())
        try:
            _follow(bench, lake, steps, tiers)
        finally:
            _forget(bench)

    holds()


def _begin(bench: Bench, tiers: dict[str, object]) -> None:
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    declare(bench, tiers)
    bench.ingest("facts")


def _follow(bench: Bench, lake: Store, steps: list[tuple[str, int]], tiers: dict[str, object]) -> None:
    now, fresh = START, 10_000
    living: dict[str, Row] = {number: (at, v) for number, at, v in source_rows(bench)}
    for what, argument in [*steps, ("expire", 0), ("ingest", 0), ("move", 0), ("move", 0), ("expire", 0)]:
        if what == "insert":
            fresh += 1
            at = dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC) + dt.timedelta(days=argument)
            try:
                bench.source(f"INSERT INTO facts VALUES ({fresh}, '{at}', 'late')")
            except Exception as error:
                assert "no partition" in str(error)  # noqa: PT017  # it went with its age
                continue
            living[str(fresh)] = (f"{at:%Y-%m-%d %H:%M:%S.%f}", "late")
        elif what in ("update", "delete"):
            there = bench.source(f"SELECT FROM facts WHERE id = {argument}")
            if not there:
                continue  # no longer the source's
            if what == "update":
                bench.source(f"UPDATE facts SET v = v || '+' WHERE id = {argument}")
                at, v = living[str(argument)]
                living[str(argument)] = (at, f"{v}+")
            else:
                bench.source(f"DELETE FROM facts WHERE id = {argument}")
                del living[str(argument)]
        elif what == "ingest":
            bench.ingest("facts")
        elif what == "add a column":
            fresh += 1
            default = "DEFAULT 'c'" if argument else ""
            bench.source(f"ALTER TABLE facts ADD c{fresh} text {default}")
            declare(bench, tiers)
            bench.ingest("facts")
        elif what == "move":
            failures = [each.failure for each in move(bench, lake, now, dt.timedelta(days=argument)) if each.failure]
            assert failures == []
        elif what == "wait":
            now += dt.timedelta(days=argument)
        elif what == "rehydrate":
            request = Request([month(f"2024-0{argument}")], now + dt.timedelta(days=5), "a question", 10**12)
            try:
                rehydrate_table(places(bench, lake), bench.system, "facts", request)
            except DrivetrainError as error:
                assert "is not in the lake" in str(error)  # noqa: PT017
        else:
            done = expire_table(places(bench, lake), bench.system, "facts", now)
            assert [str(each.failure) for each in done if each.failure] == []
            if not any(each.step.kind == "wait" for each in done) and not _kept(bench):
                before = bench.system.tables["facts"].expired_before(now)
                assert before is not None
                living = {number: row for number, row in living.items() if row[0] >= f"{before:%Y-%m-%d %H:%M:%S.%f}"}
        assert proven(bench, lake) == [], what
    bench.ingest("facts")
    found: dict[str, Row] = {}
    for number, at, v in [*everywhere(bench, lake).elements()]:
        assert number not in found, f"{number} is there twice"
        found[number] = (at, v)
    for number, at, v in source_rows(bench):
        assert found.setdefault(number, (at, v)) == (at, v), "source and warehouse differ"
    assert found == living


def _kept(bench: Bench) -> bool:
    """Whether a move keeps something still, for which retention waits."""
    return bool(bench.warehouse("SELECT FROM platform.tier_move WHERE state NOT IN ('dropped', 'undone', 'expired')"))


def _forget(bench: Bench) -> None:
    bench.source("DROP TABLE facts")
    for (name,) in bench.source(
        "SELECT relname FROM pg_class WHERE relname ~ '^drivetrain_left_[0-9]+$' AND relkind = 'r'"
    ):
        bench.source(f"DROP TABLE {name} CASCADE")
    bench.warehouse("DROP SCHEMA {raw} CASCADE")
    for table in ("tier_event", "lake_file", "tier_move", "expiry", "rehydration", "raw_content"):
        bench.warehouse(f"ALTER TABLE platform.{table} DISABLE TRIGGER USER; DELETE FROM platform.{table}")
        bench.warehouse(f"ALTER TABLE platform.{table} ENABLE TRIGGER USER")
