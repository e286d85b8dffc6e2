"""From a policy and the facts of both sides to what a load has to do. Pure: no connection, no clock.

The comparison that proves a load also plans it: groups of rows (months, or buckets of the key's hash) whose
fingerprints agree on both sides need nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from warehouse.catalog.model import Table
from warehouse.errors import CatalogMismatch
from warehouse.ingest.scope import next_month
from warehouse.postgres.fingerprints import Fingerprint


@dataclass(frozen=True)
class LoadWhole:
    """Load the whole table beside the old one and swap it in."""

    reason: str


@dataclass(frozen=True)
class LoadMonth:
    """Load one month beside its old child and swap it in."""

    month: dt.date
    reason: str


@dataclass(frozen=True)
class MergeDelta:
    """Upsert what the cursor says has changed since ``since``; then mend the ``buckets`` that still differ."""

    since: str
    buckets: tuple[int, ...]
    reason: str


Action = LoadWhole | LoadMonth | MergeDelta


@dataclass(frozen=True)
class Plan:
    """What a load of one table will do, in order.

    Attributes:
        actions: empty when source and warehouse already agree.
        left_source: months that the source dropped with their partition and the warehouse keeps.
    """

    actions: tuple[Action, ...]
    left_source: tuple[dt.date, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Both sides' fingerprints by group, under one source snapshot.

    Attributes:
        source, warehouse: by month text, by bucket number, or one group.
        exists: the warehouse has a generation of this table already.
        watermark: highest cursor ingested (mode incremental).
        still_covered: months that the source still has a partition for; None: it is not partitioned by time.
        rekeyed: the warehouse's generation has another key than the policy.
    """

    source: Mapping[Any, Fingerprint]
    warehouse: Mapping[Any, Fingerprint]
    exists: bool
    watermark: str | None = None
    still_covered: Set[dt.date] | None = None
    rekeyed: bool = False


def plan_table(name: str, table: Table, facts: Facts) -> Plan:
    """Decide what a load has to do.

    Args:
        name: what an error names, ``system.table``.
        table: its policy.
        facts: both sides.

    Raises:
        CatalogMismatch: rows whose time is NULL or infinite in a table that is ingested by month.
    """
    if table.ingest.mode == "partition":
        return _plan_months(name, table, facts)
    if not facts.exists:
        return Plan((LoadWhole("first load"),))
    if facts.rekeyed:
        return Plan((LoadWhole("key changed"),))
    differing = _differing(facts)
    if not differing:
        return Plan(())
    if table.ingest.mode == "full":
        return Plan((LoadWhole("source changed"),))
    if facts.watermark is None:
        return Plan((LoadWhole("no watermark for this cursor"),))
    reason = f"{len(differing)} of {len({*facts.source, *facts.warehouse})} buckets differ"
    return Plan((MergeDelta(facts.watermark, tuple(sorted(differing)), reason),))


def _differing(facts: Facts) -> set[Any]:
    return {g for g in {*facts.source, *facts.warehouse} if facts.source.get(g) != facts.warehouse.get(g)}


def _plan_months(name: str, table: Table, facts: Facts) -> Plan:
    unplaced = {group: part.rows for group, part in facts.source.items() if not _is_month(group)}
    if unplaced:
        kinds = ", ".join(f"{rows} with {group or 'NULL'}" for group, rows in unplaced.items())
        raise CatalogMismatch(
            f"{name}.{table.time}: rows without a month: {kinds}",
            hint="Mode partition needs a time of the years 1 to 9999 in every row: mend them, or choose another mode.",
        )
    actions: list[Action] = []
    left: list[dt.date] = []
    for group in sorted(_differing(facts)):
        month = dt.date.fromisoformat(group)
        if group not in facts.warehouse:
            actions.append(LoadMonth(month, "new month"))
        elif group in facts.source:
            actions.append(LoadMonth(month, "source changed"))
        elif facts.still_covered is None or month in facts.still_covered:
            actions.append(LoadMonth(month, "emptied at the source"))
        else:
            left.append(month)
    return Plan(tuple(actions), tuple(left))


def _is_month(group: Any) -> bool:
    try:
        next_month(dt.date.fromisoformat(group))
    except (TypeError, ValueError, OverflowError):  # OverflowError: the last month that a date can be in has no end
        return False
    return True
