"""The tier map from facts and a plan: what is counted where, what it costs, what comes, and for how long it was due."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Literal

import pytest
from rich.console import Console

from assets.tier_map import map_metadata
from pipelines.cli import tier_map
from warehouse.catalog.model import Table
from warehouse.lake.content import Content
from warehouse.state.moves import Move
from warehouse.state.rehydrations import Rehydration
from warehouse.tiering.map import Coming, Holding, Prices, Stock, ages, freed, map_table, moving, total
from warehouse.tiering.plan import Step

AT = dt.datetime(2026, 3, 15, tzinfo=dt.UTC)
PRICES = Prices(Decimal("0.2"), Decimal("0.1"), Decimal("0.02"), "EUR")
JANUARY, FEBRUARY, OLD = dt.date(2026, 1, 1), dt.date(2026, 2, 1), dt.date(2024, 1, 1)


def policy(**tiers: object) -> Table:
    return Table.model_validate(
        {
            "description": "t", "key": ["id"], "time": "at", "ingest": {"mode": "partition"}, "retention": "lifetime",
            "columns": {"id": {"type": "bigint"}, "at": {"type": "timestamptz"}}, "erasure": "no_person",
            "tiers": tiers or {"hot": "30 days", "warm": "1 year", "cold": {"buckets": 1}},
        }
    )  # fmt: skip


def kept(number: int, month: dt.date, tier: Literal["hot", "warm"], until: dt.datetime) -> Move:
    return Move(number, "s", "t", month, tier, 0, "flipped", "", "r", Content(7, 0, 1), Content(7, 0, 1), None, until)


def test_what_lies_on_each_shelf_has_its_tiers_price() -> None:
    shelves = {"hot": 10, "hot_kept": 1, "warm": 10, "warm_kept": 5, "cold": 50}
    stock = Stock({shelf: Holding(1, size * 10**9) for shelf, size in shelves.items()})  # type: ignore[misc]
    mapped = map_table("s", "t", policy(), stock, [], AT)
    assert mapped.cost(PRICES) == Decimal("2.0") + Decimal("0.2") + Decimal("1.0") + Decimal("0.5") + Decimal("1.0")


def test_the_total_leaves_out_what_could_not_be_read() -> None:
    known = Stock({"hot": Holding(5, 50, (JANUARY,)), "cold": Holding(1, 10, (OLD,))})
    away = Stock({"cold": Holding(2, 20, (dt.date(2024, 2, 1),))})
    found = total([map_table("s", name, policy(), stock, [], AT) for name, stock in (("a", known), ("b", away))])
    assert found["hot"] == Holding(5, 50, (JANUARY,))
    assert (found["cold"].rows, found["cold"].bytes, found["cold"].span) == (3, 30, "2024-01 … 2024-02")


def test_steps_of_one_kind_and_reason_are_one_line() -> None:
    until = AT + dt.timedelta(days=3)
    steps = [
        Step("leave", JANUARY, "older", rows=3, bytes=30),
        Step("leave", FEBRUARY, "older", rows=4, bytes=40),
        Step("join", OLD, "late", rows=1, bytes=10),
        Step("wait", OLD, "kept still", rows=9, bytes=90, from_tier="warm"),
        Step("keep", OLD, "x", rows=7, move=kept(1, OLD, "hot", until)),
        Step("keep", FEBRUARY, "y", rows=7, move=kept(2, FEBRUARY, "hot", until + dt.timedelta(minutes=1))),
        Step("drop", JANUARY, "z", rows=7, move=kept(3, JANUARY, "warm", AT), from_tier="warm"),
    ]
    mapped = map_table("s", "t", policy(), Stock(kept={1: 100, 2: 200, 3: 400}), steps, AT)
    assert mapped.coming == (
        Coming("leave", "hot", Holding(7, 70, (JANUARY, FEBRUARY)), "older"),
        Coming("join", "hot", Holding(1, 10, (OLD,)), "late"),
        Coming("wait", "warm", Holding(9, 90, (OLD,)), "kept still"),
        Coming("keep", "hot", Holding(14, 300, (OLD, FEBRUARY)), "kept until 2026-03-18"),
        Coming("drop", "warm", Holding(7, 400, (JANUARY,)), "kept until 2026-03-15"),
    )
    assert [each.title for each in mapped.coming] == [
        "hot → warm", "hot → warm, late rows", "warm waits", "hot kept", "warm kept: drop",
    ]  # fmt: skip
    assert (freed([mapped], now=True), freed([mapped], now=False)) == ({"hot": 0, "warm": 400}, {"hot": 380, "warm": 0})
    assert moving([mapped]) == 3


def test_a_month_that_is_back_is_shown_though_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    back = Rehydration("s", "t", OLD, "claim [1]\n| 2", AT + dt.timedelta(days=3), 7, 8_000_000)
    mapped = map_table("s", "t", policy(), Stock(back=(back,)), [], AT)
    shown = Console(file=io.StringIO(), width=120)
    monkeypatch.setattr(tier_map, "console", shown)
    tier_map.show_map([mapped], PRICES)
    assert isinstance(shown.file, io.StringIO)
    for said in ("back from the lake", "2024-01", "8.0 MB", "2026-03-18 00:00", "claim [1]"):
        assert said in shown.file.getvalue()
    assert (
        "| t | 2024-01 | 7 | 8.0 | 2026-03-18 00:00 | claim [1] &#124; 2 |"
        in map_metadata([mapped], PRICES)["map"].value
    )


@pytest.mark.parametrize(
    ("steps", "settled", "days"),
    [
        ([], None, 0),
        ([Step("leave", JANUARY, "")], None, 12),  # due on the third of March
        ([Step("wait", JANUARY, "a foreign key"), Step("leave", FEBRUARY, "")], None, 12),
        ([Step("join", OLD, "late")], None, 0),  # nobody knows since when
        ([Step("leave", JANUARY, "")], AT - dt.timedelta(days=1), 1),
        ([Step("go on", JANUARY, "")], None, 12),
        ([Step("keep", JANUARY, "")], None, 0),
    ],
)
def test_lag_is_counted_from_when_a_month_was_due(steps: list[Step], settled: dt.datetime | None, days: int) -> None:
    stock = Stock(settled={JANUARY: settled} if settled else {})
    assert map_table("s", "t", policy(), stock, steps, AT).lag == {
        "hot": dt.timedelta(days=days), "warm": dt.timedelta(),
    }  # fmt: skip


def test_a_month_that_waits_for_what_is_kept_has_no_lag_before_that_may_go() -> None:
    steps = [Step("wait", OLD, "kept", from_tier="warm")]
    for settled, lag in ((AT + dt.timedelta(days=5), 0), (AT - dt.timedelta(days=2), 2)):
        found = map_table("s", "t", policy(), Stock(settled={OLD: settled}), steps, AT).lag
        assert found["warm"] == dt.timedelta(days=lag)


def test_what_a_legal_hold_keeps_has_no_lag() -> None:
    steps = [Step("wait", OLD, "legal hold: a court's", from_tier="warm"), Step("wait", OLD, "legal hold: a court's")]
    assert not any(map_table("s", "t", policy(), Stock(), steps, AT, frozen=True).lag.values())
    assert all(map_table("s", "t", policy(), Stock(), steps, AT).lag.values())


def test_a_tier_that_nothing_leaves_has_no_lag() -> None:
    assert map_table("s", "t", policy(hot="30 days"), Stock(), [], AT).lag == {}
    assert set(map_table("s", "t", policy(warm="1 year", cold={"buckets": 1}), Stock(), [], AT).lag) == {"warm"}


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ({"hot": "30 days", "warm": "1 year", "cold": {"buckets": 1}}, "30 days / 1 year / lake"),
        ({"warm": "1 year", "cold": {"buckets": 1}}, "– / 1 year / lake"),
        ({"hot": "30 days"}, "30 days / – / –"),
    ],
)
def test_ages_are_said_in_short(tiers: dict[str, object], said: str) -> None:
    assert ages(policy(**tiers).tiers) == said
