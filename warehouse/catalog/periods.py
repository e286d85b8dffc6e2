"""Calendar periods in UTC: where one begins, and which follows. Pure; months, quarters and years are Gregorian,
weeks begin on Monday (ISO 8601).
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

Period = Literal["day", "week", "month", "quarter", "year"]

_MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}


def period_start(every: Period, day: dt.date) -> dt.date:
    """First day of the period that a day is in."""
    if every == "day":
        return day
    if every == "week":
        return day - dt.timedelta(days=day.weekday())
    months = _MONTHS[every]
    return dt.date(day.year, (day.month - 1) // months * months + 1, 1)


def shifted(every: Period, start: dt.date, count: int) -> dt.date:
    """First day of the period ``count`` periods after (before, if negative) the one that begins on ``start``.

    Raises:
        OverflowError: Python's calendar ends (years 1 to 9999).
    """
    if every in ("day", "week"):
        return start + dt.timedelta(days=count * (1 if every == "day" else 7))
    year, month = divmod(start.year * 12 + start.month - 1 + count * _MONTHS[every], 12)
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        raise OverflowError(f"year {year} is beyond the calendar")
    return dt.date(year, month + 1, 1)
