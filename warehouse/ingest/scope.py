"""Which months a run of a partitioned table looks at."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Months:
    """Calendar months (UTC) from ``first`` up to ``last``, both first days of their month; None is unbounded.

    A run that asks for the first month of history also takes what is older, and one that asks for the current month
    also takes what is dated later: rows outside of every month's run would be lost.
    """

    first: dt.date | None = None
    last: dt.date | None = None

    @property
    def lower(self) -> dt.date | None:
        """First day within."""
        return self.first

    @property
    def upper(self) -> dt.date | None:
        """First day after."""
        return None if self.last is None else next_month(self.last)

    def __contains__(self, month: dt.date) -> bool:
        return (self.first is None or self.first <= month) and (self.last is None or month <= self.last)

    def __str__(self) -> str:
        if self.first is None and self.last is None:
            return "all months"
        ends = [month_text(day) if day else "…" for day in (self.first, self.last)]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def months_of(text: str) -> Months | None:
    """What ``str(Months)`` made; None: it was made of something else."""
    if text == str(Months()):
        return Months()
    first, separator, last = text.partition(" to ")
    try:
        ends = [
            None if end == "…" else dt.date.fromisoformat(f"{end}-01") for end in (first, last if separator else first)
        ]
    except ValueError:
        return None
    return Months(*ends)


def asked_months(first: dt.date, last: dt.date, *, history_starts: dt.date, today: dt.date) -> Months:
    """The months asked for, opened at the edges of history (see ``Months``)."""
    return Months(
        first=None if first <= history_starts else first,
        last=None if last >= today.replace(day=1) else last,
    )


def month_text(month: dt.date) -> str:
    """``2024-01``; strftime would write the year 1 as ``1``."""
    return month.isoformat()[:7]


def next_month(month: dt.date) -> dt.date:
    """First day of the following month."""
    return (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
