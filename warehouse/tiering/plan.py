"""Which months move, and why: policies and facts in, steps out. Pure: no connection, no clock.

A month is due when all of it is: its age is counted from its end (UTC), so that no row moves before its time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from warehouse.catalog.age import Age
from warehouse.catalog.model import Table, Tiers
from warehouse.catalog.periods import shifted
from warehouse.postgres.introspection import LivePartition
from warehouse.state.moves import Move

#: leave: hot to warm. join: rows that came late follow their month. cool: warm to cold. go on: what was begun.
#: drop: what a flipped move kept. keep: the same, before its time. wait: due, but something stands against it.
Kind = Literal["go on", "drop", "leave", "join", "cool", "keep", "wait"]


#: A source whose replica is further behind is left alone: what leaves it is more for the replica to catch up with.
MOST_LAG = dt.timedelta(minutes=1)
#: What each is, for a person.
STEPS: Mapping[Kind, str] = {
    "go on": "go on",
    "drop": "drop what was kept",
    "leave": "hot → warm",
    "join": "hot → warm, late rows",
    "cool": "warm → cold",
    "keep": "(kept)",
    "wait": "(waits)",
}


@dataclass(frozen=True)
class HotMonth:
    """A month's partition at the source, with the size that the server estimates.

    Attributes:
        whole: it is of the month, the whole month and nothing else.
    """

    partition: LivePartition
    rows: int
    bytes: int
    filled: bool
    whole: bool = True


@dataclass(frozen=True)
class WarmMonth:
    """A month's rows in the warehouse, with the size that the server estimates; bytes with indexes."""

    rows: int
    bytes: int
    filled: bool


@dataclass(frozen=True)
class Facts:
    """What there is of one table.

    Attributes:
        hot: months that the source has partitions for.
        warm: months in the raw table.
        moves: of the ledger.
        referenced_by: foreign keys onto the table, which keep its partitions attached.
        frozen: why nothing of the table moves: a legal hold of all of it.
        lag: how far a replica of the source is behind, where the server tells.
        back: months that are back from the lake because somebody asked for them, and until when.
    """

    hot: Mapping[dt.date, HotMonth]
    warm: Mapping[dt.date, WarmMonth]
    moves: Sequence[Move]
    referenced_by: Sequence[str] = ()
    frozen: str | None = None
    lag: dt.timedelta | None = None
    back: Mapping[dt.date, dt.datetime] = field(default_factory=dict[dt.date, dt.datetime])


@dataclass(frozen=True)
class Step:
    """One thing to do, or that is not done yet.

    Attributes:
        kind: what.
        month: of which month.
        reason: why, or what stands against it.
        part: which part of the month.
        rows, bytes: about how much that is, and frees where it is.
        move: the one that goes on, is dropped or kept.
        from_tier: which tier it leaves: hot is at the source, warm in the warehouse.
    """

    kind: Kind
    month: dt.date
    reason: str
    part: int = 0
    rows: int = 0
    bytes: int = 0
    move: Move | None = None
    from_tier: Literal["hot", "warm"] = "hot"


def plan_table(policy: Table, facts: Facts, at: dt.datetime) -> list[Step]:
    """What is to be done to a table: first what was begun, then what is due, oldest month first."""
    steps = [*_begun(facts, at)]
    busy = {step.month for step in steps if step.kind == "go on"}
    expired = policy.expired_before(at)
    for step in (*_leaving(policy.tiers, facts, at), *_cooling(policy.tiers, facts, at)):
        if step.month in busy or (expired is not None and _end(step.month) <= expired):
            continue  # all of an expired month goes, by retention, and nothing of it any further down
        against = _against(facts, step)
        steps.append(step if against is None else replace(step, kind="wait", reason=against))
    return steps


def _against(facts: Facts, step: Step) -> str | None:
    """What keeps every month of a table where it is."""
    if facts.frozen is not None:
        return f"legal hold: {facts.frozen}"
    if step.kind in ("leave", "join") and facts.lag is not None and facts.lag > MOST_LAG:
        return f"a replica of the source is {facts.lag.total_seconds():,.0f} s behind"
    return None


def kept_until(policy: Table, month: dt.date, until: dt.datetime) -> dt.datetime:
    """Until when what moved is kept: no row of it beyond its retention."""
    if policy.retention.until != "age" or policy.retention.age is None:
        return until
    return min(until, policy.retention.age.later(dt.datetime.combine(month, dt.time(), dt.UTC)))


def age_of(tiers: Tiers, from_tier: Literal["hot", "warm"]) -> Age | None:
    """The age at which a month leaves a tier for the next one; None where it does not."""
    if from_tier == "hot":
        return tiers.hot if tiers.warm is not None or tiers.cold is not None else None  # else it ends by retention
    return (tiers.warm or tiers.hot) if tiers.cold is not None else None


def leaves_at(month: dt.date, age: Age) -> dt.datetime:
    """When the last row that a month may have reaches an age."""
    return age.later(_end(month))


def _end(month: dt.date) -> dt.datetime:
    return dt.datetime.combine(shifted("month", month, 1), dt.time(), dt.UTC)


def _begun(facts: Facts, at: dt.datetime) -> Iterator[Step]:
    for move in facts.moves:
        rows = move.kept.rows if move.kept else 0
        if move.state in ("planned", "detached", "exported", "verified"):
            reason = f"was begun, and is {move.state}"
            yield Step("go on", move.month, reason, move.part, rows, move=move, from_tier=move.from_tier)
        elif move.state == "flipped":
            assert move.keep_until is not None
            over = move.keep_until <= at
            reason = f"{'' if over else 'is '}kept until {move.keep_until:%Y-%m-%d %H:%M}"
            kind: Kind = "drop" if over else "keep"
            yield Step(kind, move.month, reason, move.part, rows, move=move, from_tier=move.from_tier)


def _leaving(tiers: Tiers, facts: Facts, at: dt.datetime) -> Iterator[Step]:
    age = age_of(tiers, "hot")
    if age is None:
        return
    left: dict[dt.date, int] = {}
    for move in facts.moves:
        if move.from_tier == "hot":
            left[move.month] = max(left.get(move.month, 0), move.part)
    for month, hot in sorted(facts.hot.items()):
        if leaves_at(month, age) > at or not hot.filled:
            continue  # an empty partition stays: it takes rows that come late
        kind: Kind = "join" if month in left else "leave"
        reason = "rows came late" if month in left else f"older than {age}"
        if not hot.whole:
            kind, reason = "wait", f"its partition {hot.partition.name} is not of one month: only months move"
        elif facts.referenced_by:
            kind, reason = "wait", f"foreign keys reference the table: {', '.join(facts.referenced_by)}"
        yield Step(kind, month, reason, left.get(month, -1) + 1, hot.rows, hot.bytes)


def _cooling(tiers: Tiers, facts: Facts, at: dt.datetime) -> Iterator[Step]:
    age = age_of(tiers, "warm")
    if age is None:
        return
    for month, warm in sorted(facts.warm.items()):
        if leaves_at(month, age) > at or not warm.filled:
            continue
        hot = [move for move in facts.moves if move.month == month and move.from_tier == "hot"]
        kind: Kind = "cool"
        reason = f"older than {age}"
        until = facts.back.get(month)
        if until is not None and until > at:
            kind, reason = "keep", f"is back from the lake until {until:%Y-%m-%d %H:%M}"
        elif tiers.hot is not None and not hot:
            kind, reason = "wait", "has not left the source yet"
        elif any(move.state != "dropped" for move in hot):
            kind, reason = "wait", "what left the source is kept still"
        elif any(move.month == month and move.from_tier == "warm" for move in facts.moves):
            kind, reason = "wait", "is in the lake, and has rows in the warehouse besides: `drivetrain prove`"
        yield Step(kind, month, reason, 0, warm.rows, warm.bytes, from_tier="warm")
