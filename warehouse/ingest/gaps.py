"""Which months of a table nobody has compared with their source, or that differ; and the run that mends it.

Pure: what was compared, and what is held, is read by ``warehouse.state``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from warehouse.ingest.scope import month_text, months_of, next_month
from warehouse.state.content import Content

Kind = Literal["never_compared", "differs", "empty"]
KINDS: dict[Kind, str] = {
    "never_compared": "nobody has compared it with the source",
    "differs": "it differed from the source when they were last compared",
    "empty": "neither side has a row of it, though both have earlier and later ones",
}


@dataclass(frozen=True)
class Gap:
    """Adjoining months with the same thing wrong.

    Attributes:
        first, last: first days of the first and the last.
        kind: what is wrong; ``empty`` may well be right.
    """

    system: str
    table: str
    first: dt.date
    last: dt.date
    kind: Kind

    @property
    def months(self) -> str:
        """``2024-03``, or ``2024-03 to 2024-05``."""
        return " to ".join(dict.fromkeys((month_text(self.first), month_text(self.last))))

    @property
    def backfill(self) -> str | None:
        """The command that mends it; None: there is nothing to load."""
        if self.kind == "empty":
            return None
        ends = f"--since {month_text(self.first)} --until {month_text(self.last)}"
        return f"drivetrain ingest {self.system}.{self.table} {ends}"


def find_gaps(
    system: str,
    table: str,
    *,
    starts: dt.date,
    today: dt.date,
    scopes: Iterable[str],
    known: Mapping[str, Content],
    elsewhere: Collection[dt.date] = (),
) -> list[Gap]:
    """The gaps of a table that is ingested by month.

    Args:
        system, table: whose.
        starts: first month of history.
        today: up to whose month history goes.
        scopes: which months were compared and found equal, as comparisons tell (``str(Months)``).
        known: what the warehouse holds, by month.
        elsewhere: months that tiering looks after.
    """
    compared = [months for text in scopes if (months := months_of(text)) is not None]
    rows = {month for chunk, content in known.items() if content.held.rows and (month := _month(chunk))}
    found: list[tuple[dt.date, Kind]] = []
    month, current = starts, today.replace(day=1)
    while month <= current:
        content = known.get(month_text(month))
        if month in elsewhere:
            pass
        elif content is not None and content.agrees is False:
            found.append((month, "differs"))
        elif not any(month in each for each in compared):
            found.append((month, "never_compared"))
        elif rows and min(rows) < month < max(rows) and month not in rows:
            found.append((month, "empty"))
        month = next_month(month)
    return [Gap(system, table, run[0][0], run[-1][0], run[0][1]) for run in _runs(found)]


def _runs(found: list[tuple[dt.date, Kind]]) -> list[list[tuple[dt.date, Kind]]]:
    """Adjoining months of one kind, together."""
    runs: list[list[tuple[dt.date, Kind]]] = []
    for each in found:
        if runs and runs[-1][-1][1] == each[1] and next_month(runs[-1][-1][0]) == each[0]:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _month(chunk: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(f"{chunk}-01")
    except ValueError:
        return None
