"""The plan of a load from facts of both sides; and what it is made of: months, scopes, gaps between partitions."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.model import Table
from warehouse.errors import CatalogMismatch
from warehouse.ingest.plan import Facts, LoadMonth, LoadWhole, MergeDelta, Plan, plan_table
from warehouse.ingest.scope import Months, asked_months, month_text, next_month
from warehouse.postgres.bounds import Span, covers, gaps
from warehouse.postgres.fingerprints import Fingerprint
from warehouse.postgres.introspection import LivePartition

MONTHS = [dt.date(2023, 11, 1), dt.date(2023, 12, 1), dt.date(2024, 1, 1), dt.date(2024, 2, 1)]
SIDES = st.dictionaries(
    st.sampled_from([month.isoformat() for month in MONTHS]), st.builds(Fingerprint, st.integers(1, 3), st.just("7"))
)
BUCKETS = st.dictionaries(st.integers(0, 9), st.builds(Fingerprint, st.integers(1, 3), st.just("7")))


def policy(mode: str) -> Table:
    ingest = {"mode": mode, **({"cursor": "at"} if mode == "incremental" else {})}
    columns = {"id": {"type": "int"}, "at": {"type": "timestamptz"}}
    return Table.model_validate(
        {"description": "d", "key": ["id"], "columns": columns, "time": "at", "ingest": ingest,
         "retention": "lifetime", "erasure": "no_person"}
    )  # fmt: skip


def whole(rows: int) -> dict[int, Fingerprint]:
    return {0: Fingerprint(rows, str(rows))} if rows else {}


@pytest.mark.parametrize(
    ("mode", "facts", "expected"),
    [
        ("full", Facts({}, {}, exists=False), Plan((LoadWhole("first load"),))),
        ("full", Facts(whole(3), {}, exists=False), Plan((LoadWhole("first load"),))),
        ("full", Facts(whole(3), whole(3), exists=True), Plan(())),
        ("full", Facts(whole(3), whole(2), exists=True), Plan((LoadWhole("source changed"),))),
        ("full", Facts(whole(0), whole(2), exists=True), Plan((LoadWhole("source changed"),))),
        ("full", Facts(whole(2), whole(2), exists=True, rekeyed=True), Plan((LoadWhole("key changed"),))),
        ("incremental", Facts(whole(3), whole(2), exists=True), Plan((LoadWhole("no watermark for this cursor"),))),
        ("incremental", Facts(whole(3), whole(3), exists=True), Plan(())),
        (
            "incremental",
            Facts(whole(3), {**whole(2), 5: Fingerprint(1, "1")}, exists=True, watermark="w"),
            Plan((MergeDelta("w", (0, 5), "2 of 2 buckets differ"),)),
        ),
        (
            "incremental",
            Facts(whole(3), whole(2), exists=True, watermark="w", rekeyed=True),
            Plan((LoadWhole("key changed"),)),
        ),
    ],
)
def test_whole_tables(mode: str, facts: Facts, expected: Plan) -> None:
    assert plan_table("s.t", policy(mode), facts) == expected


@given(source=BUCKETS, warehouse=BUCKETS)
def test_a_merge_names_exactly_the_buckets_that_differ(
    source: dict[int, Fingerprint], warehouse: dict[int, Fingerprint]
) -> None:
    plan = plan_table("s.t", policy("incremental"), Facts(source, warehouse, exists=True, watermark="w"))
    named = {bucket for action in plan.actions if isinstance(action, MergeDelta) for bucket in action.buckets}
    assert {**warehouse, **{bucket: source.get(bucket) for bucket in named}} == {**dict.fromkeys(named), **source}
    assert all(source.get(bucket) != warehouse.get(bucket) for bucket in named)


@given(source=SIDES, warehouse=SIDES, covered=st.none() | st.sets(st.sampled_from(MONTHS)))
def test_months_end_as_the_source_has_them_or_are_kept(
    source: dict[str, Fingerprint], warehouse: dict[str, Fingerprint], covered: set[dt.date] | None
) -> None:
    plan = plan_table("s.t", policy("partition"), Facts(source, warehouse, exists=True, still_covered=covered))
    after = dict(warehouse)
    for action in plan.actions:
        assert isinstance(action, LoadMonth)
        month = action.month.isoformat()
        assert after.get(month) != source.get(month), "a month that agrees is left alone"
        if month in source:
            after[month] = source[month]
        else:
            del after[month]
    left = {month.isoformat() for month in plan.left_source}
    assert {month: part for month, part in after.items() if month not in left} == source
    for month in left:
        assert month not in source
        assert covered is not None
        assert dt.date.fromisoformat(month) not in covered
        assert after[month] == warehouse[month]


@pytest.mark.parametrize("group", [None, "infinity", "-infinity", "0044-03-01 BC", "12024-01-01", "9999-12-01"])
def test_rows_without_a_month_are_refused(group: str | None) -> None:
    facts = Facts({group: Fingerprint(4, "1"), "2024-01-01": Fingerprint(1, "1")}, {}, exists=False)
    with pytest.raises(CatalogMismatch, match=r"s\.t\.at: rows without a month: 4 with") as refused:
        plan_table("s.t", policy("partition"), facts)
    assert "2024" not in str(refused.value).replace("12024", "")


# --- months -----------------------------------------------------------------------------------------------------


@given(st.dates(max_value=dt.date(9999, 11, 30)))
def test_the_next_month_is_the_very_next(day: dt.date) -> None:
    month = day.replace(day=1)
    following = next_month(month)
    assert following.day == 1
    assert (following.year * 12 + following.month) - (month.year * 12 + month.month) == 1
    assert month_text(month) == f"{month.year:04d}-{month.month:02d}"


@given(history=st.sampled_from(MONTHS), today=st.dates(dt.date(2024, 2, 1), dt.date(2024, 5, 31)), day=st.dates())
def test_runs_of_every_month_together_miss_no_row(history: dt.date, today: dt.date, day: dt.date) -> None:
    """Each month of history asked for in a run of its own: every day that there is falls into exactly one."""
    scopes, month = [], history
    while month <= today:
        scopes.append(asked_months(month, month, history_starts=history, today=today))
        month = next_month(month)
    assert sum(day.replace(day=1) in scope for scope in scopes) == 1
    assert sum((s.lower is None or s.lower <= day) and (s.upper is None or day < s.upper) for s in scopes) == 1


def test_scopes_say_what_they_are() -> None:
    texts = [str(Months(first, last)) for first in (None, MONTHS[0]) for last in (None, MONTHS[0], MONTHS[2])]
    assert texts == ["all months", "… to 2023-11", "… to 2024-01", "2023-11 to …", "2023-11", "2023-11 to 2024-01"]


# --- gaps -------------------------------------------------------------------------------------------------------

START, END = dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 2, 1, tzinfo=dt.UTC)


def at(hours: int) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def partition(start: int | str, end: int | str) -> LivePartition:
    texts = [each if isinstance(each, str) else f"'{at(each):%Y-%m-%d %H:%M:%S}+00'" for each in (start, end)]
    return LivePartition("s", "p", f"FOR VALUES FROM ({texts[0]}) TO ({texts[1]})", leaf=True)


@given(st.sets(st.integers(-100, 900), max_size=10), st.booleans(), st.booleans())
def test_every_moment_is_held_by_a_partition_or_in_a_gap(edges: set[int], first: bool, last: bool) -> None:
    """Against ``covers``, moment by moment: partitions do not overlap, and every other one was dropped."""
    bounds: list[int | str] = [*(["MINVALUE"] if first else []), *sorted(edges), *(["MAXVALUE"] if last else [])]
    partitions = [partition(a, b) for a, b in list(pairwise(bounds))[::2]]
    found = gaps(partitions, Span(START, END))
    assert found is not None
    assert all(a.end < b.start for a, b in pairwise(found))
    assert all(START <= gap.start < gap.end <= END for gap in found)
    for hour in range(0, 744, 7):
        in_gap = any(gap.start <= at(hour) < gap.end for gap in found)
        assert in_gap != any(covers(each, at(hour)) for each in partitions)


def test_a_default_partition_leaves_no_gap_and_an_unreadable_bound_no_answer() -> None:
    default = LivePartition("s", "p", "DEFAULT", leaf=True)
    assert gaps([partition(0, 5), default], Span(START, END)) == []
    assert gaps([partition("'2024-01-01 00:00:00+00', 5", 9)], Span(START, END)) is None
    assert gaps([], Span(START, END)) == [Span(START, END)]
