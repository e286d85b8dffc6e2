"""Which rows have reached their retention, tier by tier: policies and facts in, steps out. Pure: no connection, no
clock.

Whole months go first (a partition is dropped, a month's files are removed), then rows. A row's age counts from its
event time, in UTC; nothing goes before its time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from warehouse.catalog.model import Table
from warehouse.catalog.periods import shifted
from warehouse.state.expiries import Expiry, Tier
from warehouse.state.moves import Move

#: end: an expiry that was begun. drop: a partition of the source. delete: rows. remove: a month's files. rewrite:
#: files, without some of their rows. wait: due, but something stands against it.
Kind = Literal["end", "drop", "delete", "remove", "rewrite", "wait"]

#: What each is, for a person.
STEPS: Mapping[Kind, str] = {
    "end": "go on",
    "drop": "drop partition",
    "delete": "delete rows",
    "remove": "remove files",
    "rewrite": "rewrite files",
    "wait": "(waits)",
}
TIERS: Mapping[Tier, str] = {"hot": "source", "warm": "warehouse", "cold": "lake"}


@dataclass(frozen=True)
class OldPartition:
    """A partition at the source with rows of a time that has expired."""

    schema: str
    name: str
    start: dt.datetime
    end: dt.datetime
    rows: int
    bytes: int


@dataclass(frozen=True)
class ColdMonth:
    """A month in the lake. ``stale``: objects of it that are of no move any more."""

    move: Move | None
    rows: int
    bytes: int
    files: int
    stale: int = 0


@dataclass(frozen=True)
class Facts:
    """What there is of one table that is older than a moment.

    Attributes:
        partitions: of the source, oldest first, without a gap in between; empty unless it is partitioned by time.
        hot, warm: rows by month; by None, if the table is not kept by month.
        cold: months of the lake that began before.
        moves: of the ledger of tiers.
        expiries: of the ledger of retention.
        referenced_by: foreign keys onto the table, which keep its partitions.
        frozen: why nothing of the table may go: a hold of all of it.
        cascades: foreign keys by which deleting its rows would delete or change those of other tables.
        persons_held: whether rows of some persons must stay.
        holds_changed: when a hold was last placed or released.
    """

    partitions: Sequence[OldPartition] = ()
    hot: Mapping[dt.date | None, int] = field(default_factory=dict[dt.date | None, int])
    warm: Mapping[dt.date | None, int] = field(default_factory=dict[dt.date | None, int])
    cold: Mapping[dt.date, ColdMonth] = field(default_factory=dict[dt.date, ColdMonth])
    moves: Sequence[Move] = ()
    expiries: Sequence[Expiry] = ()
    referenced_by: Sequence[str] = ()
    frozen: str | None = None
    cascades: Sequence[str] = ()
    persons_held: bool = False
    holds_changed: dt.datetime | None = None


@dataclass(frozen=True)
class Step:
    """One thing to do, or that is not done yet.

    Attributes:
        kind, tier: what, and where.
        month: None, if the table is not kept by month.
        before: rows of an earlier time go.
        reason: why, or what stands against it.
        rows, bytes: about how much; of a file that is rewritten, all that it has.
        partition: that is dropped.
        expiry: that is ended.
    """

    kind: Kind
    tier: Tier
    month: dt.date | None
    before: dt.datetime
    reason: str
    rows: int = 0
    bytes: int = 0
    partition: OldPartition | None = None
    expiry: Expiry | None = None


def plan_table(policy: Table, facts: Facts, before: dt.datetime) -> list[Step]:
    """What is to go, from the source down: what is gone there cannot be ingested again."""
    reason = f"older than {policy.retention.age}" + (", but for held persons" if facts.persons_held else "")
    begun = [
        Step("end", each.tier, each.month, each.before, "was begun", each.rows, expiry=each)
        for each in facts.expiries
        if not each.done
    ]
    due = [*_hot(facts, before, reason), *_warm(facts, before, reason), *_cold(facts, before, reason)]
    if facts.frozen is not None:
        return [*begun, *(_waiting(step, f"legal hold: {facts.frozen}") for step in due)]
    if facts.cascades:  # which have a retention, and holds, of their own
        told = f"deleting its rows would change others: {', '.join(facts.cascades)}"
        return [*begun, *(_waiting(step, told) for step in due)]
    against = dict(_against(facts.moves))
    return [*begun, *(_waiting(step, against[step.month]) if step.month in against else step for step in due)]


def _start(month: dt.date) -> dt.datetime:
    return dt.datetime.combine(month, dt.time(), dt.UTC)


def ends(month: dt.date) -> dt.datetime:
    """When a month is over."""
    return dt.datetime.combine(shifted("month", month, 1), dt.time(), dt.UTC)


def _waiting(step: Step, why: str) -> Step:
    return Step("wait", step.tier, step.month, step.before, why, step.rows, step.bytes)


def _against(moves: Sequence[Move]) -> Iterator[tuple[dt.date | None, str]]:
    """Months that are on their way down a tier."""
    for move in moves:
        if move.state in ("planned", "detached", "exported", "verified"):
            yield move.month, f"a move of it is {move.state}: `drivetrain tiers apply` goes on"
        elif move.state == "flipped":
            yield move.month, "what moved is kept still: `drivetrain tiers apply` drops it when its time is over"


def _hot(facts: Facts, before: dt.datetime, reason: str) -> Iterator[Step]:
    busy = {month for month, _ in _against(facts.moves)}
    begun = {each.month for each in facts.expiries if each.tier == "hot" and not each.done}
    dropped: set[dt.date] = set()
    if not facts.referenced_by and not facts.persons_held:
        for partition in facts.partitions:
            month = partition.start.date().replace(day=1)
            # Only the oldest: upkeep would fill a gap between two that stay.
            if partition.end > before or month in busy | begun:
                break
            dropped.add(month)
            whole = partition.start == _start(month) and partition.end == ends(month)
            rows = facts.hot.get(month, 0) if whole else partition.rows
            yield Step("drop", "hot", month, before, reason, rows, partition.bytes, partition)
    for month, rows in sorted(facts.hot.items(), key=_by_month):
        if rows and month not in begun and (month is None or month not in dropped):
            yield Step("delete", "hot", month, before, reason, rows)


def _warm(facts: Facts, before: dt.datetime, reason: str) -> Iterator[Step]:
    for month, rows in sorted(facts.warm.items(), key=_by_month):
        if rows:
            yield Step("delete", "warm", month, before, reason, rows)


def _cold(facts: Facts, before: dt.datetime, reason: str) -> Iterator[Step]:
    last = {each.month: each for each in facts.expiries if each.tier == "cold" and each.done}
    for month, cold in sorted(facts.cold.items()):
        if cold.move is None or not cold.files:
            if cold.stale:
                told = "files that no month has"
                yield Step("remove", "cold", month, before, told, bytes=cold.bytes)
            continue
        done = last.get(month)
        if done is not None and done.before >= min(before, ends(month)):
            changed = facts.holds_changed
            if not done.held or changed is None or changed <= done.begun_at:
                continue
        whole = ends(month) <= before and not facts.persons_held
        yield Step("remove" if whole else "rewrite", "cold", month, before, reason, cold.rows, cold.bytes)


def _by_month(item: tuple[dt.date | None, int]) -> dt.date:
    return item[0] or dt.date.min
