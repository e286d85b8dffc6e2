"""Whether what came into a table is usual for it: pure rules over counts and moments, and their answers.

- **Volume**: rows of a day against the same weekday of the weeks before. The distance to their median is measured in
  robust standard deviations (1.4826 times the median absolute deviation), at least the square root of the median, which
  is what chance alone moves a count by.
- **Freshness**: the silence since the newest row against the longest silence of the weeks before.

Too little history is no anomaly, and is said. What does not belong here: reading the history (``history``).
"""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Weeks of history that a table is compared with, and how many of them there must be.
WEEKS, FEWEST_WEEKS = 8, 4
#: Robust standard deviations from which on a day is unusual (Iglewicz and Hoaglin, 1993).
UNUSUAL = 3.5
#: Silences that there must have been, and how many times the longest of them a silence is unusual.
FEWEST_SILENCES, TIMES_THE_LONGEST = 5, 3
#: No silence up to this is unusual: runs are an hour apart.
SHORTEST = dt.timedelta(hours=2)

_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Judgement:
    """What is thought of a table, and why.

    Attributes:
        usual: whether nothing is wrong, as far as can be told.
        said: one sentence.
        figures: that it rests on.
    """

    usual: bool
    said: str
    figures: Mapping[str, float | str] = field(default_factory=dict[str, float | str])


def volume(by_day: Mapping[dt.date, int], day: dt.date) -> Judgement:
    """Judge the rows of a complete day.

    Args:
        by_day: rows by day, days without rows left out; days after ``day`` are not looked at.
        day: the day to judge.
    """
    known = [past for past in by_day if past < day]
    if not known:
        return Judgement(True, f"No rows before {day}: nothing to compare with.")
    first = min(known)
    weekdays = [day - dt.timedelta(weeks=weeks) for weeks in range(1, WEEKS + 1)]
    past = [by_day.get(weekday, 0) for weekday in weekdays if weekday >= first]
    if len(past) < FEWEST_WEEKS:
        return Judgement(True, f"{len(past)} weeks of history: {FEWEST_WEEKS} are needed to say what is usual.")
    rows, median = by_day.get(day, 0), statistics.median(past)
    deviation = _MAD_TO_SIGMA * statistics.median(abs(count - median) for count in past)
    distance = (rows - median) / max(deviation, max(median, 1) ** 0.5)
    figures = {"rows": rows, "usual_rows": median, "distance": round(distance, 1), "day": str(day)}
    if abs(distance) <= UNUSUAL:
        return Judgement(True, f"{rows:,} rows on {day:%A}, {day}; usual are {median:,g}.", figures)
    return Judgement(
        False,
        f"{rows:,} rows on {day:%A}, {day}, where {median:,g} are usual (median of {len(past)} weeks):"
        f" {'few' if distance < 0 else 'many'}, by {abs(distance):.1f} robust standard deviations.",
        figures,
    )


def freshness(moments: Sequence[dt.datetime], now: dt.datetime) -> Judgement:
    """Judge the silence since the last of some moments.

    Args:
        moments: at which rows came, ascending, to the hour or finer, of the weeks before.
        now: up to when the source was read.
    """
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    if len(gaps) < FEWEST_SILENCES:
        return Judgement(True, "Too little history to say how long a silence is usual.")
    silence, longest = now - moments[-1], max(gaps)
    allowed = max(TIMES_THE_LONGEST * longest, SHORTEST)
    figures = {
        "newest": f"{moments[-1]:%Y-%m-%d %H:%M} UTC",
        "silence_hours": round(silence / dt.timedelta(hours=1), 1),
        "longest_usual_silence_hours": round(longest / dt.timedelta(hours=1), 1),
    }
    said = f"Newest row of {moments[-1]:%Y-%m-%d %H:%M} UTC, {_hours(silence)} before the source was read;"
    if silence <= allowed:
        return Judgement(True, f"{said} up to {_hours(longest)} is usual.", figures)
    return Judgement(
        False, f"{said} more than {TIMES_THE_LONGEST} times the longest usual silence, {_hours(longest)}.", figures
    )


def _hours(span: dt.timedelta) -> str:
    hours = span / dt.timedelta(hours=1)
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
