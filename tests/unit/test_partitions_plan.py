"""Planning of range partitions: for any bounds and any date, no gap, no overlap, and nothing when it is done."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sound_policy import changed

from warehouse.catalog.loader import parse_system
from warehouse.catalog.partition import RangePartition
from warehouse.catalog.periods import Period, period_start, shifted
from warehouse.partitions.actions import Action, noted, summary
from warehouse.partitions.facts import Bound, Part, PartitionedTable, Surroundings
from warehouse.partitions.plan import WIDEST_GAP, parts_ahead, plan, too_wide, wanted
from warehouse.partitions.targets import Target, source_targets, warehouse_targets

OWNED = Surroundings(owner="app")
NAMES: dict[Period, str] = {
    "day": "{table}_{year}_{month}_{day}",
    "week": "{table}_{year}w{week}",
    "month": "{table}_y{year}m{month}",
    "quarter": "{table}_{year}q{quarter}",
    "year": "{table}_{year}",
}
periods = st.sampled_from(get_args(Period))
moments = st.datetimes(dt.datetime(2019, 12, 20), dt.datetime(2024, 3, 10), timezones=st.just(dt.UTC))


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def declared(every: Period, premake: int = 3) -> RangePartition:
    return RangePartition(range="at", every=every, name=NAMES[every], premake=premake)


def table(*bounds: tuple[dt.datetime | None, dt.datetime | None], **facts: object) -> PartitionedTable:
    parts = tuple(
        Part(oid=n, schema="app", name=f"part{n}", bound_text="FOR VALUES ...", surroundings=OWNED, bound=Bound(*each))
        for n, each in enumerate(bounds)
    )
    whole = PartitionedTable(
        oid=1,
        schema="app",
        name="t",
        surroundings=OWNED,
        strategy="range",
        columns=("at",),
        role="app",
        parts=parts,
        analysed_at=dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
    )
    return dataclasses.replace(whole, **facts)  # type: ignore[arg-type]


def target(policy: RangePartition) -> Target:
    return Target("app", "t", "source", policy)


def made(actions: list[Action]) -> list[Action]:
    return [action for action in actions if action.kind == "create"]


@st.composite
def disjoint_bounds(draw: st.DrawFn) -> list[tuple[dt.datetime, dt.datetime]]:
    """Ranges of any length that do not overlap, with or without gaps; not only midnights."""
    edges = sorted(draw(st.lists(moments, max_size=12, unique=True)))
    pairs = list(itertools.pairwise(edges))
    return draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


@given(disjoint_bounds(), moments, periods, st.integers(1, 12))
def test_no_gap_no_overlap_and_then_nothing(
    bounds: list[tuple[dt.datetime, dt.datetime]], at: dt.datetime, every: Period, premake: int
) -> None:
    policy = declared(every, premake)
    due = wanted(policy, table(*bounds), at)
    unfilled = [(gap.start, gap.end) for gap in too_wide(policy, table(*bounds), at)]
    everything = sorted([*bounds, *unfilled, *((span.start, span.end) for span in due)])
    for (_, end), (start, _) in itertools.pairwise(everything):
        assert end == start, "neither gap nor overlap"
    current = period_start(every, at.date())
    assert everything[0][0] <= midnight(current)
    assert everything[-1][1] >= midnight(shifted(every, current, premake + 1))
    assert all(
        span.start < span.end <= midnight(shifted(every, period_start(every, span.start.date()), 1)) for span in due
    )
    assert wanted(policy, table(*everything), at) == []
    ahead = parts_ahead(table(*everything), at)
    assert ahead is not None
    assert ahead >= midnight(shifted(every, current, premake + 1))


@given(disjoint_bounds(), moments, periods)
def test_every_partition_has_a_name_of_its_own(
    bounds: list[tuple[dt.datetime, dt.datetime]], at: dt.datetime, every: Period
) -> None:
    actions = plan(target(declared(every)), table(*bounds), at)
    names = [action.partition for action in made(actions)]
    assert len(names) == len(set(names))
    assert names or wanted(declared(every), table(*bounds), at) == [] or actions[0].kind == "refuse"


@given(disjoint_bounds(), moments, moments, periods)
def test_a_clock_set_back_changes_nothing(
    bounds: list[tuple[dt.datetime, dt.datetime]], one: dt.datetime, other: dt.datetime, every: Period
) -> None:
    earlier, later = sorted((one, other))
    filled = [*wanted(declared(every), table(*bounds), later), *too_wide(declared(every), table(*bounds), later)]
    after = [*bounds, *((span.start, span.end) for span in filled)]
    if midnight(period_start(every, earlier.date())) >= min(start for start, _ in after):
        assert wanted(declared(every), table(*after), earlier) == []


def test_months_ahead_with_a_name_and_bounds_in_utc() -> None:
    at = dt.datetime(2024, 2, 29, 23, 59, tzinfo=dt.UTC)
    creations = made(
        plan(target(declared("month")), table((midnight(dt.date(2024, 1, 1)), midnight(dt.date(2024, 2, 1)))), at)
    )
    assert [action.partition for action in creations] == ["t_y2024m02", "t_y2024m03", "t_y2024m04", "t_y2024m05"]
    reasons = [action.reason.partition(":")[0] for action in creations]
    assert reasons == ["missing", "premake", "premake", "premake"], "the current one is no longer ahead"
    attach = creations[0].statements[-1]
    assert attach.sql.endswith("FOR VALUES FROM ('2024-02-01 00:00:00+00') TO ('2024-03-01 00:00:00+00')")
    assert attach.lock == "SHARE UPDATE EXCLUSIVE on t"


def test_the_moment_decides_in_utc_whatever_its_zone() -> None:
    kolkata = dt.timezone(dt.timedelta(hours=5, minutes=30))
    at = dt.datetime(2024, 2, 1, 2, 0, tzinfo=kolkata)  # 31 January in UTC
    spans = wanted(declared("month", 1), table((midnight(dt.date(2024, 1, 1)), midnight(dt.date(2024, 2, 1)))), at)
    assert [span.start for span in spans] == [midnight(dt.date(2024, 2, 1))]


def test_a_new_table_begins_a_period_before_the_current_one() -> None:
    spans = wanted(declared("month", 1), table(), dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    assert [f"{span.start:%Y-%m}" for span in spans] == ["2024-02", "2024-03", "2024-04"]


def test_a_week_is_named_by_its_own_year() -> None:
    at = dt.datetime(2024, 12, 31, tzinfo=dt.UTC)
    actions = made(
        plan(target(declared("week", 1)), table((midnight(dt.date(2024, 12, 23)), midnight(dt.date(2024, 12, 30)))), at)
    )
    assert [action.partition for action in actions] == ["t_2025w01", "t_2025w02"]


def test_a_name_that_postgresql_would_cut_is_refused() -> None:
    long = table(name="t" * 60)
    actions = plan(target(declared("month")), long, dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    assert not made(actions)
    assert {action.kind for action in actions} == {"refuse"}
    assert "69 bytes" in actions[0].reason


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"strategy": ""}, "plain table"),
        ({"strategy": "list"}, "by list (at)"),
        ({"columns": ("id",)}, "by range (id)"),
        ({"columns": ("",)}, "by range (an expression)"),
        ({"maintained_by": "pg_partman"}, "two maintainers"),
    ],
)
def test_what_is_not_ours_to_maintain_is_refused_as_a_whole(facts: dict[str, object], said: str) -> None:
    (action,) = plan(target(declared("month")), table(**facts), dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    assert (action.kind, action.statements) == ("refuse", ())
    assert said in action.reason
    assert action.remedy


def test_a_table_that_is_not_there_is_refused() -> None:
    (action,) = plan(target(declared("month")), None, dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    assert action.kind == "refuse"


def test_a_raw_table_that_was_never_ingested_is_ingestion_s() -> None:
    raw = Target("app", "t", "warehouse", declared("month"))
    assert plan(raw, None, dt.datetime(2024, 3, 1, tzinfo=dt.UTC)) == []


def month(year: int, number: int) -> tuple[dt.datetime, dt.datetime]:
    start = dt.date(year, number, 1)
    return midnight(start), midnight(shifted("month", start, 1))


@pytest.mark.parametrize(("year", "gap"), [(2070, "2024-06-01 to 2070-01-01"), (1970, "1970-02-01 to 2023-12-01")])
def test_a_row_of_another_age_makes_no_hundreds_and_stops_no_upkeep(year: int, gap: str) -> None:
    facts = table(month(2023, 12), month(2024, 1), month(year, 1))
    at = dt.datetime(2024, 2, 10, tzinfo=dt.UTC)
    actions = plan(target(declared("month")), facts, at)
    assert [action.partition for action in made(actions)] == [f"t_y2024m0{each}" for each in (2, 3, 4, 5)]
    (refused,) = (action for action in actions if action.kind == "refuse")
    assert refused.partition == "part2"
    assert f"no partition from {gap}, more than the 120" in refused.reason
    assert "part2" in refused.remedy


@given(periods, st.integers(1, 12), st.booleans())
def test_a_gap_of_as_many_periods_as_may_be_is_filled_and_one_more_is_not(
    every: Period, premake: int, past: bool
) -> None:
    today = period_start(every, dt.date(2024, 6, 10))
    near = [
        (midnight(shifted(every, today, n)), midnight(shifted(every, today, n + 1))) for n in range(-1, premake + 1)
    ]
    for more in (0, 1):
        far = -2 - WIDEST_GAP[every] - more if past else premake + 1 + WIDEST_GAP[every] + more
        outlier = midnight(shifted(every, today, far)), midnight(shifted(every, today, far + 1))
        actions = plan(target(declared(every, premake)), table(*near, outlier), midnight(today))
        assert len(made(actions)) == (0 if more else WIDEST_GAP[every])
        assert [action.partition for action in actions if action.kind == "refuse"] == [f"part{len(near)}"] * more


def test_a_table_that_only_was_long_ago_gets_nothing_by_a_clock_far_ahead() -> None:
    facts = table(month(2024, 1))
    actions = plan(target(declared("month")), facts, dt.datetime(2199, 3, 1, tzinfo=dt.UTC))
    assert not made(actions)
    (refused,) = (action for action in actions if action.kind == "refuse")
    assert (refused.partition, "Is the clock right" in refused.remedy) == ("part0", True)


def test_a_bound_in_the_first_year_is_soon_planned() -> None:
    facts = table((midnight(dt.date(1, 1, 1)), midnight(dt.date(1, 1, 2))), month(2024, 2))
    actions = plan(target(declared("day")), facts, dt.datetime(2024, 2, 27, tzinfo=dt.UTC))
    assert [action.partition for action in made(actions)] == ["t_2024_03_01"]
    assert "more than the 400" in actions[0].reason


@pytest.mark.parametrize(("at", "refused"), [("2022-01-15", False), ("2019-01-15", True), ("1970-01-01", True)])
def test_a_clock_that_lost_its_time_makes_no_decades(at: str, refused: bool) -> None:
    facts = table((midnight(dt.date(2023, 1, 1)), midnight(dt.date(2023, 2, 1))))
    actions = plan(target(declared("month")), facts, midnight(dt.date.fromisoformat(at)))
    assert bool(made(actions)) is not refused
    refusals = [action for action in actions if action.kind == "refuse"]
    assert (refusals != []) is refused
    for action in refusals:
        assert f"it is {at} by the date asked for or the clock" in action.reason
        assert "Correct that date or the clock" in action.remedy


def test_rows_in_a_default_partition_keep_their_range_from_being_made() -> None:
    at = dt.datetime(2024, 3, 15, tzinfo=dt.UTC)
    default = Part(oid=9, schema="app", name="rest", bound_text="DEFAULT", surroundings=OWNED, filled=True)
    facts = table(parts=(default,))
    spans = wanted(declared("month", 1), facts, at)
    actions = plan(target(declared("month", 1)), facts, at, {span: span.start.month == 3 for span in spans})
    assert [action.partition for action in made(actions)] == ["t_y2024m02", "t_y2024m04"]
    refused = [action for action in actions if action.kind == "refuse"]
    assert [action.partition for action in refused] == ["t_y2024m03"]
    assert any(action.kind == "report" and action.partition == "rest" for action in actions)


@pytest.mark.parametrize(("said", "drift"), [("", "mend"), (", drift: report, premake: 5", "report")])
def test_the_policy_of_a_table_holds_in_the_warehouse_too(said: str, drift: str) -> None:
    system = parse_system(changed("every: month", f"every: month{said}"), "shop.yaml")
    ((source, at),) = source_targets(system)
    ((raw, where),) = warehouse_targets(system)
    assert (at[1], where) == ("orders", ("raw_shop", "orders"))
    assert isinstance(raw.declared, RangePartition) and isinstance(source.declared, RangePartition)
    assert (source.declared.drift, raw.declared.drift) == (drift, drift)
    assert source.declared.premake == raw.declared.premake


def test_an_open_end_is_planned_around() -> None:
    march = midnight(dt.date(2024, 3, 1))
    facts = table((midnight(dt.date(2024, 2, 1)), march), (march, None))
    actions = plan(target(declared("month")), facts, dt.datetime(2024, 3, 15, tzinfo=dt.UTC))
    assert not made(actions)
    assert any("no end" in action.reason for action in actions)


def test_a_period_that_is_past_is_missing_and_not_made_ahead() -> None:
    gap = [(midnight(dt.date(2024, month, 1)), midnight(dt.date(2024, month + 1, 1))) for month in (1, 3)]
    actions = made(plan(target(declared("month", 1)), table(*gap), dt.datetime(2024, 5, 15, tzinfo=dt.UTC)))
    assert [(action.partition[-2:], action.reason.partition(":")[0]) for action in actions] == [
        ("02", "gap"), ("04", "missing"), ("05", "missing"), ("06", "premake"),
    ]  # fmt: skip


def test_a_summary_counts_what_is_due_and_what_is_only_said() -> None:
    at = dt.datetime(2024, 3, 15, tzinfo=dt.UTC)
    due = plan(target(declared("month", 2)), table(analysed_at=None), at)
    refused = plan(target(declared("month")), None, at)
    march = midnight(dt.date(2024, 3, 1))
    told = plan(target(declared("month")), table((midnight(dt.date(2024, 2, 1)), march), (march, None)), at)
    assert summary([]) == "Nothing is due"
    assert summary(due) == "4 partitions to make, 1 table to analyse"
    assert summary(refused) == "Nothing is due; 1 refused"
    assert summary([*due[:1], *refused, *refused, *told]) == "1 partition to make; 2 refused, 1 note"
    assert (noted(due), noted([*told, *told])) == ("", "2 notes")
