"""What is usual: made-up histories."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.quality.anomalies import FEWEST_WEEKS, WEEKS, freshness, volume

DAY = dt.date(2026, 11, 20)
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def same_weekdays(counts: list[int]) -> dict[dt.date, int]:
    """Rows of the same weekday one, two ... weeks before, and of a first day before them all."""
    return {
        DAY - dt.timedelta(weeks=len(counts), days=1): 1,
        **{DAY - dt.timedelta(weeks=weeks): count for weeks, count in enumerate(counts, 1)},
    }


def test_a_weekday_is_compared_with_its_like() -> None:
    history = {DAY - dt.timedelta(days=days): 10 if days % 7 else 1000 for days in range(1, 70)}
    assert volume({**history, DAY: 1010}, DAY).usual, "a busy Friday among quiet days"
    assert not volume({**history, DAY: 10}, DAY).usual, "a Friday as quiet as the other days"


@pytest.mark.parametrize(("rows", "word"), [(0, "few"), (400, "few"), (1700, "many"), (5000, "many")])
def test_far_too_few_and_far_too_many_are_said(rows: int, word: str) -> None:
    judged = volume({**same_weekdays([1000, 1040, 980, 1010, 990, 1020, 970, 1000]), DAY: rows}, DAY)
    assert not judged.usual
    assert word in judged.said and f"{rows:,} rows" in judged.said and "1,000 are usual" in judged.said
    assert judged.figures["rows"] == rows and judged.figures["usual_rows"] == 1000


def test_one_bad_day_of_the_past_changes_nothing() -> None:
    spoiled = same_weekdays([1000, 0, 980, 1010, 990, 1020, 970, 1000])
    assert volume({**spoiled, DAY: 1000}, DAY).usual
    assert not volume({**spoiled, DAY: 0}, DAY).usual


def test_too_short_a_history_is_no_anomaly() -> None:
    assert volume({}, DAY).usual
    short = {DAY - dt.timedelta(days=days): 1000 for days in range(1, 7 * FEWEST_WEEKS)}
    judged = volume(short, DAY)
    assert judged.usual and "history" in judged.said
    long_enough = {DAY - dt.timedelta(days=days): 1000 for days in range(1, 7 * FEWEST_WEEKS + 1)}
    assert not volume(long_enough, DAY).usual


def test_a_table_that_fell_silent_for_weeks_is_judged_with_its_empty_days() -> None:
    history = {DAY - dt.timedelta(weeks=weeks): 1000 for weeks in range(5, WEEKS + 1)}
    assert volume({**history, DAY: 2000}, DAY).figures["usual_rows"] == 500


@given(st.integers(0, 2**31), st.integers(1, 5000))
def test_a_steady_source_is_hardly_ever_called_unusual(seed: int, mean: int) -> None:
    """Counts as chance makes them (normal approximation): within two deviations nothing is said."""
    chance = random.Random(seed)
    counts = [max(0, round(chance.gauss(mean, mean**0.5))) for _ in range(WEEKS)]
    median = sorted(counts)[WEEKS // 2]
    assert volume({**same_weekdays(counts), DAY: median}, DAY).usual


@given(st.lists(st.integers(0, 10**6), min_size=FEWEST_WEEKS, max_size=WEEKS), st.integers(0, 10**7))
def test_judgement_is_monotone_in_the_distance(counts: list[int], rows: int) -> None:
    """A day further from the median than an unusual one, to the same side, is unusual too."""
    history = same_weekdays(counts)
    nearer, further = volume({**history, DAY: rows}, DAY), volume({**history, DAY: rows * 2 + 1}, DAY)
    if not nearer.usual and "many" in nearer.said:
        assert not further.usual and "many" in further.said


def hourly(hours: int, *, but: range = range(0)) -> list[dt.datetime]:
    return [NOW - dt.timedelta(hours=hour) for hour in range(hours, 0, -1) if hour not in but]


def test_silence_is_compared_with_the_longest_that_was_usual() -> None:
    nightly = [moment for moment in hourly(24 * 20) if 6 <= moment.hour <= 22]
    last = nightly[-1]
    assert freshness(nightly, last + dt.timedelta(hours=20)).usual, "the nights are eight hours long"
    judged = freshness(nightly, last + dt.timedelta(hours=30))
    assert not judged.usual
    assert judged.figures["silence_hours"] == 30.0 and judged.figures["longest_usual_silence_hours"] == 8.0


def test_an_hour_more_is_never_an_anomaly_and_little_history_neither() -> None:
    assert freshness(hourly(50), NOW + dt.timedelta(hours=1)).usual
    assert not freshness(hourly(50), NOW + dt.timedelta(hours=4)).usual
    assert freshness([], NOW).usual
    assert freshness(hourly(3), NOW + dt.timedelta(days=300)).usual


@given(st.lists(st.integers(1, 200), min_size=6, max_size=30), st.integers(0, 2000))
def test_a_longer_silence_is_never_more_usual(gaps: list[int], silence: int) -> None:
    moments = [NOW]
    for gap in gaps:
        moments.append(moments[-1] + dt.timedelta(hours=gap))
    usual = [freshness(moments, moments[-1] + dt.timedelta(hours=hours)).usual for hours in (silence, silence + 1)]
    assert usual != [False, True]
    assert freshness(moments, moments[-1] + dt.timedelta(hours=max(gaps))).usual
