"""Partition bounds as ``pg_get_expr`` writes them, read into values; and what they say of a table as a whole.

Pure: text in, values out. The session that read the bounds must be canonical (``sessions.connect``): ISO dates.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

from warehouse.catalog.periods import Period
from warehouse.postgres.introspection import LivePartition, LiveTable

_RANGE = re.compile(r"FOR VALUES FROM \((?P<start>.*)\) TO \((?P<end>.*)\)", re.DOTALL)
_HASH = re.compile(r"FOR VALUES WITH \(modulus (?P<modulus>\d+), remainder (?P<remainder>\d+)\)")
_OPEN = {"MINVALUE", "MAXVALUE", "'infinity'", "'-infinity'"}
_TIME = re.compile(r"date|timestamp(\(\d\))? with(out)? time zone")


@dataclass(frozen=True)
class Span:
    """A range partition's bounds in UTC, start included, end excluded."""

    start: dt.datetime
    end: dt.datetime

    @property
    def period(self) -> Period | None:
        """The calendar period that the span is exactly, or None."""
        midnight = dt.time(0)
        if self.start.time() != midnight or self.end.time() != midnight:
            return None
        first, last = self.start.date(), self.end.date()
        months = (last.year - first.year) * 12 + last.month - first.month
        if first.day == last.day == 1:
            if months == 1:
                return "month"
            if months == 3 and first.month % 3 == 1:
                return "quarter"
            if months == 12 and first.month == 1:
                return "year"
        days = (last - first).days
        if days == 1:
            return "day"
        return "week" if days == 7 and first.weekday() == 0 else None


def is_default(partition: LivePartition) -> bool:
    """Whether it takes the rows that no other does."""
    return partition.bound == "DEFAULT"


def is_open(partition: LivePartition) -> bool:
    """Whether one of its bounds is without end."""
    match = _RANGE.fullmatch(partition.bound)
    return match is not None and (match["start"] in _OPEN or match["end"] in _OPEN)


def span(partition: LivePartition) -> Span | None:
    """Its bounds in time; None where it has none that are finite and of one column of time."""
    start, end = ends(partition.bound) or (None, None)
    return None if start is None or end is None else Span(start, end)


def ends(bound: str) -> tuple[dt.datetime | None, dt.datetime | None] | None:
    """Start (included) and end (excluded) in UTC of a range by one column of time; None for an end that is open.

    None as a whole: the bound is none of one column of time.
    """
    match = _RANGE.fullmatch(bound)
    if match is None:
        return None
    start, end = _instant(match["start"]), _instant(match["end"])
    if (start is None and match["start"] not in _OPEN) or (end is None and match["end"] not in _OPEN):
        return None
    return start, end


def covers(partition: LivePartition, moment: dt.datetime) -> bool:
    """Whether a partition by one column of time may hold a row of that moment; a default partition may hold any."""
    if is_default(partition):
        return True
    bound = ends(partition.bound)
    if bound is None:
        return False
    start, end = bound
    return (start is None or start <= moment) and (end is None or moment < end)


def gaps(partitions: Iterable[LivePartition], whole: Span) -> list[Span] | None:
    """The parts of a span that none of the partitions of a table ranged by one column of time may hold.

    None: a bound cannot be read as a time, so nobody can tell.
    """
    held: list[tuple[dt.datetime | None, dt.datetime | None]] = []
    for partition in partitions:
        if is_default(partition):
            return []
        bound = ends(partition.bound)
        if bound is None:
            return None
        held.append(bound)
    return uncovered(held, whole)


def uncovered(held: Iterable[tuple[dt.datetime | None, dt.datetime | None]], whole: Span) -> list[Span]:
    """The parts of a span that none of the ranges (None: without end) has."""
    cut = [Span(max(start or whole.start, whole.start), min(end or whole.end, whole.end)) for start, end in held]
    found: list[Span] = []
    reached = whole.start
    for each in sorted((each for each in cut if each.start < each.end), key=lambda each: each.start):
        if reached < each.start:
            found.append(Span(reached, each.start))
        reached = max(reached, each.end)
    return [*found, Span(reached, whole.end)] if reached < whole.end else found


def hash_slot(partition: LivePartition) -> tuple[int, int] | None:
    """``(modulus, remainder)`` of a hash partition."""
    return slot(partition.bound)


def slot(bound: str) -> tuple[int, int] | None:
    """``(modulus, remainder)`` of a hash partition's bound."""
    match = _HASH.fullmatch(bound)
    return None if match is None else (int(match["modulus"]), int(match["remainder"]))


def direct(live: LiveTable) -> list[LivePartition]:
    """The partitions of the table itself, without partitions of partitions."""
    return [partition for partition in live.partitions if partition.level == 1]


def newest(spans: Iterable[Span]) -> Span | None:
    """The span that ends last."""
    return max(spans, key=lambda each: each.end, default=None)


def spans_of(live: LiveTable) -> dict[str, Span]:
    """Finite spans of the table's own partitions, by partition name."""
    found = {partition.name: span(partition) for partition in direct(live)}
    return {name: each for name, each in found.items() if each is not None}


def period_of(live: LiveTable) -> Period | None:
    """The period that new partitions of a table ranged by time would have: the newest one's; a month if there is none.

    None where a policy cannot say how the table is ranged: by several columns, by an expression, by something else
    than a time, or by spans that are no calendar period in UTC.
    """
    if live.strategy != "range" or len(live.partition_columns) != 1:
        return None
    column = live.column(live.partition_columns[0])
    if column is None or not _TIME.fullmatch(column.type.carrier):
        return None
    last = newest(spans_of(live).values())
    return "month" if last is None else last.period


def modulus_of(live: LiveTable) -> int | None:
    """The modulus of a table hashed by one column into a complete set of equal parts; else None."""
    slots = {slot for partition in direct(live) if (slot := hash_slot(partition)) is not None}
    if live.strategy != "hash" or len(live.partition_columns) != 1 or not live.partition_columns[0]:
        return None
    moduli = {modulus for modulus, _ in slots}
    return next(iter(moduli)) if len(moduli) == 1 and len(slots) == next(iter(moduli)) > 1 else None


def _instant(text: str) -> dt.datetime | None:
    if len(text) < 2 or text[0] != "'" or text[-1] != "'":
        return None
    try:
        value = dt.datetime.fromisoformat(text[1:-1])
    except ValueError:
        return None
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
