"""Bounds of range partitions, read from what ``pg_get_expr`` writes in a session whose time zone is UTC."""

from __future__ import annotations

import datetime as dt
import re

_RANGE = re.compile(r"^FOR VALUES FROM \((?P<lower>[^,()]+)\) TO \((?P<upper>[^,()]+)\)$")


def range_bounds(bound: str) -> tuple[dt.datetime | None, dt.datetime | None] | None:
    """Lower and upper bound of a partition by one date or timestamp column, in UTC; None on a side is unbounded.

    Returns:
        None where the bound is of another kind: a default, a list, several columns, a number.
    """
    match = _RANGE.match(bound)
    if match is None:
        return None
    try:
        return _edge(match["lower"]), _edge(match["upper"])
    except ValueError:
        return None


def covers(bound: str, moment: dt.datetime) -> bool:
    """Whether a partition may hold a row of that moment; a default partition may hold any."""
    if bound == "DEFAULT":
        return True
    edges = range_bounds(bound)
    if edges is None:
        return False
    lower, upper = edges
    return (lower is None or lower <= moment) and (upper is None or moment < upper)


def _edge(text: str) -> dt.datetime | None:
    if text in ("MINVALUE", "MAXVALUE"):
        return None
    moment = dt.datetime.fromisoformat(text.strip("'"))
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
