"""Months of the lake come back on real servers: proven, for a while, and no more than there is room for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from ingesting import Bench, month
from tiering import (
    LATER,
    TIERS,
    everywhere,
    moved,
    places,
    plan,
    proven,
    source_rows,
    tier,
)

from warehouse.errors import DrivetrainError, TooLarge
from warehouse.lake.store import Store
from warehouse.state.rehydrations import Rehydration
from warehouse.tiering.rehydrating import Request, rehydrate_table


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(tmp_path.as_uri())
    return request.getfixturevalue("bucket")


@pytest.fixture
def facts(facts: Bench) -> Bench:
    """Ingested, with tiers."""
    tier(facts, TIERS)
    facts.ingest("facts")
    return facts


def test_a_month_comes_back_for_a_while(facts: Bench, lake: Store) -> None:
    before = source_rows(facts)
    moved(facts, lake, LATER)
    until = LATER + dt.timedelta(days=7)
    (back,) = rehydrate(facts, lake, ["2024-01"], until)
    assert (back.month, back.rows, back.reason, back.until) == (month("2024-01"), 124, "a question", until)
    assert back.bytes > 8192
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(124,)]
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert plan(facts, lake, LATER) == [("keep", "2024-01")]
    assert facts.ingest("facts").rows_written == 0
    (again,) = rehydrate(facts, lake, ["2024-01"], LATER)
    assert again.until == until, "asked again, it never stays for a shorter time"
    (again,) = rehydrate(facts, lake, ["2024-01"], LATER, end=True)
    assert again.until == LATER
    assert moved(facts, lake, LATER) == [("cool", "2024-01"), ("drop", "2024-01")]
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert facts.warehouse(f"SELECT ended_at > asked_at FROM platform.rehydration WHERE system = '{facts.name}'") == [
        (True,)
    ]
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []


def test_no_more_comes_back_than_there_is_room_for(facts: Bench, lake: Store) -> None:
    moved(facts, lake, LATER)
    relations = facts.relations().keys()
    with pytest.raises(TooLarge, match=r"2024-01 takes [0-9,]+ bytes or more"):
        rehydrate(facts, lake, ["2024-01"], LATER, limit=20_000)
    ((others,),) = facts.warehouse(
        "SELECT coalesce(sum(bytes), 0)::bigint FROM platform.rehydration WHERE ended_at IS NULL"
    )
    room = others + 40_000
    rehydrate(facts, lake, ["2024-01"], LATER, limit=room)
    with pytest.raises(TooLarge, match=f", and [1-9][0-9,]+ of {room:,} are taken"):
        rehydrate(facts, lake, ["2024-02"], LATER, limit=room)
    assert facts.relations().keys() == relations | {"facts_y2024m01"}
    with pytest.raises(DrivetrainError, match="2023-01 is not in the lake"):
        rehydrate(facts, lake, ["2023-01"], LATER)
    assert proven(facts, lake) == []


def rehydrate(
    bench: Bench, lake: Store, months: list[str], until: dt.datetime, limit: int = 10**9, *, end: bool = False
) -> list[Rehydration]:
    request = Request([month(text) for text in months], until, "a question", limit, end)
    return rehydrate_table(places(bench, lake), bench.system, "facts", request)
