"""Which months move: never too early, never twice, and all of them in the end."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.age import Age, parse_age
from warehouse.catalog.model import Retention, Table
from warehouse.catalog.periods import shifted
from warehouse.lake.content import Content
from warehouse.postgres.introspection import LivePartition
from warehouse.state.moves import Move, State, due_in_warehouse
from warehouse.tiering.plan import Facts, HotMonth, WarmMonth, kept_until, leaves_at, plan_table

AT = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
TIERS = {"hot": "30 days", "warm": "1 year", "cold": {"buckets": 8}}


def policy(tiers: dict[str, object]) -> Table:
    columns = {"id": {"type": "bigint"}, "at": {"type": "timestamptz"}}
    return Table.model_validate(
        {
            "description": "t", "key": ["id"], "columns": columns, "time": "at", "ingest": {"mode": "partition"},
            "tiers": tiers, "retention": "lifetime", "erasure": "no_person",
        }
    )  # fmt: skip


def month(text: str) -> dt.date:
    return dt.date.fromisoformat(f"{text}-01")


def hot(filled: bool = True) -> HotMonth:
    return HotMonth(LivePartition("public", "p", "", True, 1), 10, 100, filled)


def move(
    of: dt.date,
    tier: Literal["hot", "warm"],
    state: State,
    part: int = 0,
    keep_until: dt.datetime | None = None,
    content: Content | None = None,
) -> Move:
    return Move(1, "s", "t", of, tier, part, state, "", "r", content, content, None, keep_until)


def test_all_of_an_expired_month_is_left_to_retention_and_what_is_kept_ends_with_it() -> None:
    aged = policy(TIERS).model_copy(update={"retention": Retention(until="age", age=Age(count=1, unit="year"))})
    facts = Facts({month("2025-02"): hot(), month("2025-03"): hot()}, {month("2025-02"): WarmMonth(1, 1, True)}, ())
    assert [(s.kind, s.month) for s in plan_table(aged, facts, AT)] == [("leave", month("2025-03"))]
    first, long = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), AT + dt.timedelta(days=7)
    assert kept_until(aged, month("2025-03"), long) == first
    assert kept_until(policy(TIERS), month("2025-03"), long) == long


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (Facts({}, {}, (), frozen="court (hold 1)"), "legal hold: court (hold 1)"),
        (Facts({}, {}, (), lag=dt.timedelta(seconds=90)), "a replica of the source is 90 s behind"),
    ],
)
def test_a_hold_or_a_late_replica_keeps_months_where_they_are(facts: Facts, why: str) -> None:
    facts = replace(facts, hot={month("2025-12"): hot()})
    assert [(step.kind, step.reason) for step in plan_table(policy(TIERS), facts, AT)] == [("wait", why)]


def told(facts: Facts, tiers: dict[str, object] = TIERS, at: dt.datetime = AT) -> list[tuple[str, str, int]]:
    return [(step.kind, f"{step.month:%Y-%m}", step.part) for step in plan_table(policy(tiers), facts, at)]


@pytest.mark.parametrize(
    ("age", "of", "when"),
    [
        ("30 days", "2026-01", "2026-03-03"),
        ("30 days", "2024-01", "2024-03-02"),
        ("1 month", "2026-01", "2026-03-01"),
        ("1 year", "2024-02", "2025-03-01"),
        ("6 months", "2025-12", "2026-07-01"),
        ("2 weeks", "2026-02", "2026-03-15"),
        ("12 hours", "2026-02", "2026-03-01T12:00"),
    ],
)
def test_an_age_is_counted_from_the_end_of_the_month(age: str, of: str, when: str) -> None:
    due = dt.datetime.fromisoformat(when).replace(tzinfo=dt.UTC)
    assert leaves_at(month(of), Age.model_validate(parse_age(age))) == due


def test_an_age_from_the_last_of_a_month_ends_with_the_shorter_one() -> None:
    assert Age(count=1, unit="month").later(dt.datetime(2026, 1, 31, 8)) == dt.datetime(2026, 2, 28, 8)
    with pytest.raises(OverflowError):
        Age(count=9000, unit="month").later(dt.datetime(9990, 1, 1))


def test_a_month_is_due_to_the_moment() -> None:
    facts = Facts({month("2026-01"): hot()}, {}, [])
    moment = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    assert told(facts, at=moment - dt.timedelta(microseconds=1)) == []
    assert told(facts, at=moment) == [("leave", "2026-01", 0)]


def test_without_a_lower_tier_nothing_leaves() -> None:
    assert told(Facts({month("2020-01"): hot()}, {}, []), {"hot": "30 days"}) == []


def test_rows_that_came_late_follow_and_an_empty_partition_does_not() -> None:
    left = [move(month("2026-01"), "hot", "dropped")]
    assert told(Facts({month("2026-01"): hot()}, {}, left)) == [("join", "2026-01", 1)]
    assert told(Facts({month("2026-01"): hot(filled=False)}, {}, left)) == []


def test_an_empty_month_stays_where_it_is() -> None:
    assert (
        told(Facts({month("2026-01"): hot(filled=False)}, {month("2024-01"): WarmMonth(0, 1, filled=False)}, [])) == []
    )


def test_what_was_begun_comes_first_and_alone() -> None:
    begun = [move(month("2026-01"), "hot", "planned")]
    assert told(Facts({month("2026-01"): hot(), month("2025-12"): hot()}, {}, begun)) == [
        ("go on", "2026-01", 0), ("leave", "2025-12", 0),
    ]  # fmt: skip


def test_what_moved_is_kept_until_its_time() -> None:
    kept = [move(month("2026-01"), "hot", "flipped", keep_until=AT + dt.timedelta(seconds=1))]
    assert told(Facts({}, {}, kept)) == [("keep", "2026-01", 0)]
    assert told(Facts({}, {}, kept), at=AT + dt.timedelta(seconds=1)) == [("drop", "2026-01", 0)]


def test_a_month_goes_cold_when_nothing_of_it_is_kept_above() -> None:
    warm = {month("2024-01"): WarmMonth(10, 100, filled=True)}
    assert told(Facts({}, warm, [])) == [("wait", "2024-01", 0)]
    flipped = [move(month("2024-01"), "hot", "flipped", keep_until=AT + dt.timedelta(days=1))]
    assert told(Facts({}, warm, flipped)) == [("keep", "2024-01", 0), ("wait", "2024-01", 0)]
    assert told(Facts({}, warm, [move(month("2024-01"), "hot", "dropped")])) == [("cool", "2024-01", 0)]
    assert told(Facts({}, warm, []), {"warm": "1 year", "cold": {"buckets": 1}}) == [("cool", "2024-01", 0)]


def test_rows_that_nobody_knows_of_a_month_in_the_lake_stay() -> None:
    facts = Facts({}, {month("2024-01"): WarmMonth(1, 1, filled=True)}, [move(month("2024-01"), "warm", "dropped")])
    steps = plan_table(policy({"warm": "1 year", "cold": {"buckets": 1}}), facts, AT)
    assert [(step.kind, "prove" in step.reason) for step in steps] == [("wait", True)]


def test_a_foreign_key_keeps_months_where_they_are() -> None:
    facts = Facts({month("2025-01"): hot()}, {}, [], referenced_by=["fk of public.notes"])
    assert [(step.kind, step.reason) for step in plan_table(policy(TIERS), facts, AT)] == [
        ("wait", "foreign keys reference the table: fk of public.notes")
    ]


MONTHS = st.integers(-30, 6).map(lambda count: shifted("month", dt.date(2026, 3, 1), count))


@given(hots=st.sets(MONTHS), warms=st.sets(MONTHS), left=st.sets(MONTHS), days=st.integers(1, 400))
def test_no_month_moves_before_its_time_or_twice(
    hots: set[dt.date], warms: set[dt.date], left: set[dt.date], days: int
) -> None:
    facts = Facts(
        {each: hot(filled=each not in left) for each in hots},
        {each: WarmMonth(1, 1, filled=True) for each in warms},
        [move(each, "hot", "dropped") for each in left],
    )
    tiers = {"hot": f"{days} days", "warm": f"{days + 1} days", "cold": {"buckets": 1}}
    steps = plan_table(policy(tiers), facts, AT)
    moving = [step for step in steps if step.kind in ("leave", "cool")]
    assert len({(step.kind, step.month) for step in moving}) == len(moving)
    for step in moving:
        end = dt.datetime.combine(shifted("month", step.month, 1), dt.time(), dt.UTC)
        assert AT - end >= dt.timedelta(days=days)
    due = {each for each in hots - left if leaves_at(each, Age(count=days, unit="day")) <= AT}
    assert {step.month for step in steps if step.kind == "leave"} == due


@given(
    came=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2**64 - 1)), min_size=1),
    went=st.integers(0, 5),
)
def test_what_the_warehouse_has_is_what_came_without_what_went(came: list[tuple[int, int]], went: int) -> None:
    parts = [Content(*each, 3) for each in came]
    january = month("2026-01")
    moves = [move(january, "hot", "dropped", number, content=part) for number, part in enumerate(parts)]
    moves += [move(january, "warm", "flipped", number, content=part) for number, part in enumerate(parts[:went])]
    moves += [
        move(january, "warm", "verified", 99, content=parts[0]),
        move(month("2026-02"), "hot", "dropped", content=parts[0]),
    ]
    rest = parts[went:]
    expired = Content(3, 5, 3)
    assert due_in_warehouse(moves, january, expired) == Content(
        sum(part.rows for part in rest) - 3, (sum(part.hash for part in rest) - 5) % 2**64, 3
    )
