"""What a comparison makes known of a raw table's chunks: months, or the whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Set
from typing import Any

from warehouse.ingest.scope import month_text
from warehouse.ingest.sides import Sides
from warehouse.postgres.fingerprints import EMPTY, WHOLE, Fingerprint, total
from warehouse.state.content import WHOLE_CHUNK, Content


def held_of(group: Any, compared: Mapping[Any, Fingerprint], kept: Mapping[str, Fingerprint]) -> Fingerprint:
    """All that the warehouse holds of a group: what is compared, and what the source dropped with its partition."""
    return compared.get(group, EMPTY) + kept.get(group, EMPTY)


def settle(
    sides: Sides,
    known: Mapping[str, Content],
    source: Mapping[Any, Fingerprint],
    warehouse: Mapping[Any, Fingerprint],
    left: Set[str],
) -> tuple[dict[str, Content], list[str]]:
    """The chunks to note after a comparison, and those to forget.

    Months that were not asked for stay as they are known, as do those that tiering looks after; one of which nothing is
    known is counted, and one that is gone from the warehouse is forgotten, unless it is one that could not be loaded.

    Args:
        sides: the table.
        known: its chunks so far.
        source, warehouse: what was compared, by group.
        left: months that left the source.
    """
    if sides.policy.ingest.mode != "partition":
        chunks = {WHOLE_CHUNK: Content(total(warehouse), dict(source) == dict(warehouse))}
        return chunks, sorted(known.keys() - chunks)
    tiered = {month_text(month) for month in sides.moved}
    months = {month: child for month, child in sides.raw.months().items() if month_text(month) not in tiered}
    result = {
        _text(group): Content(
            held_of(group, warehouse, sides.kept),
            None if group in left else source.get(group, EMPTY) == warehouse.get(group, EMPTY),
        )
        for group in {*source, *warehouse, *sides.kept}
    }
    for month, child in months.items():
        chunk = month_text(month)
        if month in sides.months:
            result.setdefault(chunk, Content(EMPTY, True))  # the comparison saw no rows
        elif chunk not in known:
            result[chunk] = Content(total(sides.raw.fingerprints(WHOLE, of=child)), None)
    there = {month_text(month) for month in months}
    gone = [
        chunk
        for chunk, content in known.items()
        if chunk not in result
        and chunk not in tiered
        and (_asked(chunk, sides) or (chunk not in there and content.agrees is not False))
    ]
    return result, gone


def _text(group: str) -> str:
    return month_text(dt.date.fromisoformat(group))


def _asked(chunk: str, sides: Sides) -> bool:
    try:
        return dt.date.fromisoformat(f"{chunk}-01") in sides.months
    except ValueError:  # of the time before its months were told apart
        return True
