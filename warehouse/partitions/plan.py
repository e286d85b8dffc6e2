"""What partition maintenance would do to a table now: from its policy and the facts to actions, each with its reason.

Pure: no clock, no connection. ``warehouse.partitions.apply`` carries a plan out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from warehouse.catalog.naming import period_name
from warehouse.catalog.partition import HashPartition, ListPartition, RangePartition
from warehouse.catalog.periods import period_start, shifted
from warehouse.partitions import ddl
from warehouse.partitions.actions import Action, Kind, Statement
from warehouse.partitions.facts import Part, PartitionedTable, Surroundings
from warehouse.postgres.bounds import Span, uncovered

#: More than this many at once is a mistake in a bound or a clock, not maintenance.
MOST_AT_ONCE = 1000
#: The parent's statistics are made again after this many days, though no partition came.
ANALYZE_AFTER = dt.timedelta(days=7)

Declared = RangePartition | HashPartition | ListPartition


@dataclass(frozen=True)
class Target:
    """One table to maintain.

    Attributes:
        system, table: as in the catalog.
        where: in the operational database, or its raw table in the warehouse.
        declared: how the policy partitions it.
    """

    system: str
    table: str
    where: Literal["source", "warehouse"]
    declared: Declared


def plan(
    target: Target, facts: PartitionedTable | None, at: dt.datetime, occupied: Mapping[Span, bool] | None = None
) -> list[Action]:
    """All that is due for one table.

    Args:
        target: the table and its policy.
        facts: what it is; None if there is no such table.
        at: the moment that decides which period is the current one.
        occupied: of each span of ``wanted``, whether a default partition holds rows in it; asked for where there is one
            with rows in it.
    """
    say = _Sayer(target)
    refused = _refused(say, facts)
    if refused is not None or facts is None:
        return [refused] if refused else []
    made: list[Action] = []
    if isinstance(target.declared, RangePartition):
        made = list(_missing(say, target.declared, facts, at, occupied or {}))
    if isinstance(target.declared, HashPartition):
        made = list(_incomplete_hash(say, facts))
    mended = list(_drifted(say, facts))
    changed = any(action.statements for action in made)
    return [*made, *mended, *_leftovers(say, facts), *_statistics(say, facts, at, changed)]


def wanted(declared: RangePartition, facts: PartitionedTable, at: dt.datetime) -> list[Span]:
    """The ranges that have no partition and should: from the oldest partition, or the period before the current one, to
    ``premake`` periods ahead.

    Each is one calendar period in UTC, or what is left of one between partitions with other bounds.
    """
    today = at.astimezone(dt.UTC).date()
    current = period_start(declared.every, today)
    starts = [part.bound.start for part in facts.parts if part.bound is not None and part.bound.start is not None]
    first = min([midnight(current), *starts]) if starts else midnight(shifted(declared.every, current, -1))
    ends = [part.bound.end for part in facts.parts if part.bound is not None and part.bound.end is not None]
    whole = Span(first, max([midnight(shifted(declared.every, current, declared.premake + 1)), *ends]))
    held = [(part.bound.start, part.bound.end) for part in facts.parts if part.bound is not None]
    return cut_into_periods(declared, uncovered(held, whole))


def cut_into_periods(declared: RangePartition, gaps: Iterable[Span]) -> list[Span]:
    """Ranges cut at the bounds of calendar periods in UTC."""
    found: list[Span] = []
    for gap in gaps:
        start = gap.start
        while start < gap.end:
            period = period_start(declared.every, start.date())
            end = min(gap.end, midnight(shifted(declared.every, period, 1)))
            found.append(Span(start, end))
            start = end
    return found


class _Sayer:
    """Makes actions of one table."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def __call__(
        self,
        kind: Kind,
        partition: str,
        reason: str,
        *,
        remedy: str = "",
        statements: Iterable[Statement] = (),
        alone: bool = False,
    ) -> Action:
        target = self.target
        return Action(
            kind, target.system, target.table, target.where, partition, reason, remedy, tuple(statements), alone
        )


def _refused(say: _Sayer, facts: PartitionedTable | None) -> Action | None:
    """Why nothing at all is done to the table."""
    declared = say.target.declared
    if facts is None:
        if say.target.where == "warehouse":  # ingestion makes it
            return None
        return say("refuse", "", "there is no such table", remedy="Run `drivetrain catalog check`.")
    strategy, column = _says(declared)
    if not facts.strategy:
        return say(
            "refuse",
            "",
            f"declared as partitioned by {strategy} ({column}), and it is a plain table",
            remedy=f"Make it one while it is written to: `drivetrain partitions convert {say.target.system}."
            f"{say.target.table}`; or remove partition: from its policy.",
        )
    if facts.strategy != strategy or facts.columns != (column,):
        live = f"{facts.strategy} ({', '.join(name or 'an expression' for name in facts.columns)})"
        return say(
            "refuse",
            "",
            f"declared as partitioned by {strategy} ({column}), and it is by {live}",
            remedy="Correct partition: in its policy, or remove it.",
        )
    if facts.maintained_by:
        return say(
            "refuse",
            "",
            f"{facts.maintained_by} maintains it, and two maintainers would race",
            remedy=f"Take it out of {facts.maintained_by}'s configuration (part_config), or remove partition: from "
            "its policy.",
        )
    for part in facts.parts:
        if part.detaching:
            return say(
                "refuse",
                part.name,
                "a DETACH PARTITION ... CONCURRENTLY of it was interrupted",
                remedy="Finish it: ALTER TABLE ... DETACH PARTITION ... FINALIZE.",
            )
    if strategy == "range":
        for part in facts.parts:
            if not part.default and part.bound is None:
                return say(
                    "refuse",
                    part.name,
                    f"its bounds are no time that can be read ({part.bound_text.removeprefix('FOR VALUES ')})",
                    remedy="Detach it, or keep the table's partitions by other means.",
                )
    return None


def _says(declared: Declared) -> tuple[str, str]:
    match declared:
        case RangePartition(range=column):
            return "range", column
        case HashPartition(hash=column):
            return "hash", column
        case ListPartition(list=column):
            return "list", column


def _missing(
    say: _Sayer, declared: RangePartition, facts: PartitionedTable, at: dt.datetime, occupied: Mapping[Span, bool]
) -> Iterable[Action]:
    """Partitions to make."""
    spans = wanted(declared, facts, at)
    if len(spans) > MOST_AT_ONCE:
        yield say(
            "refuse",
            "",
            f"{len(spans)} partitions are missing between {spans[0].start:%Y-%m-%d} and {spans[-1].end:%Y-%m-%d}, more "
            f"than the {MOST_AT_ONCE} that maintenance makes at once",
            remedy="Is the oldest partition's bound right, and the clock? Make some by hand if it is meant.",
        )
        return
    taken = set(facts.namesakes)
    newest = max((part.bound.end for part in facts.parts if part.bound and part.bound.end), default=None)
    for span in spans:
        name = span_name(declared, facts, span)
        if len(name.encode()) > ddl.NAME_BYTES:
            yield say(
                "refuse",
                name,
                f"its name has {len(name.encode())} bytes, and PostgreSQL cuts names at {ddl.NAME_BYTES}",
                remedy="Shorten the pattern partition.name in the policy.",
            )
            continue
        if name in taken:
            yield say(
                "refuse",
                name,
                "something of that name is there, and is no partition of the table",
                remedy="Look at it: attach it (ALTER TABLE ... ATTACH PARTITION) or rename it.",
            )
            continue
        if occupied.get(span):
            yield say(
                "refuse",
                name,
                f"the default partition holds rows of {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M}",
                remedy=f"Move them to partitions of their own: `drivetrain partitions convert {say.target.system}."
                f"{say.target.table}`.",
            )
            continue
        taken.add(name)
        gap = newest is not None and span.end <= newest
        yield say(
            "create",
            name,
            f"{'gap' if gap else 'premake'}: {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC",
            statements=_creation(facts, name, span),
        )


def _creation(facts: PartitionedTable, name: str, span: Span) -> list[Statement]:
    """Stand-alone with everything that it must have; attached last, so that its lock is held for a moment."""
    model = _model(facts)
    due = replace(facts.surroundings, publications=model.publications if model else frozenset())
    if not _granted_directly(facts):
        due = replace(due, grants=frozenset[Any](), column_grants=frozenset[Any]())
    if due.replica_identity == "default" and model is not None:
        due = replace(due, replica_identity=model.replica_identity)
    fresh = Surroundings(owner=facts.role, column_comments=due.column_comments)
    return [
        ddl.create(facts, name),
        *ddl.store(facts.schema, name, model.storage if model else (), model.tablespace if model else ""),
        *(replace(statement, lock="") for statement in ddl.give(facts.schema, name, fresh, due)),
        ddl.attach(facts, name, span.start, span.end),
        *(replace(statement, lock="") for statement in ddl.force(facts.schema, name, fresh, due)),
    ]


def _model(facts: PartitionedTable) -> Surroundings | None:
    """Those of the newest partition: storage and the like, of which a parent has none."""
    leaves = [part for part in facts.parts if part.leaf and not part.foreign and not part.default]
    if not leaves:
        return None
    beginning = dt.datetime.min.replace(tzinfo=dt.UTC)
    return max(leaves, key=lambda part: (part.bound and part.bound.end) or beginning).surroundings


def _granted_directly(facts: PartitionedTable) -> bool:
    """Whether most partitions are granted to somebody: who reads through the parent needs no grant on them."""
    granted = [bool(part.surroundings.grants or part.surroundings.column_grants) for part in facts.parts]
    return sum(granted) * 2 > len(granted)


def span_name(declared: RangePartition, facts: PartitionedTable, span: Span) -> str:
    """By the pattern; what is only a piece of a period says from when it is."""
    name = period_name(declared.name, facts.name, span.start.date())
    period = midnight(period_start(declared.every, span.start.date()))
    if span.start == period and span.end == midnight(shifted(declared.every, period.date(), 1)):
        return name
    return f"{name}_from_{span.start:%Y%m%dt%H%M%S}"


def _incomplete_hash(say: _Sayer, facts: PartitionedTable) -> Iterable[Action]:
    covered = sum(1 / part.slot[0] for part in facts.parts if part.slot is not None)
    if abs(covered - 1) > 1e-9:
        yield say(
            "refuse",
            "",
            f"its {len(facts.parts)} partitions take {covered:.0%} of the rows; the others are refused",
            remedy="Finish its growth: `drivetrain partitions rehash`.",
        )


def _drifted(say: _Sayer, facts: PartitionedTable) -> Iterable[Action]:
    """Partitions that lack something of their parent."""
    listed = frozenset[str]().union(*(part.surroundings.publications for part in facts.parts))
    granted = _granted_directly(facts)
    right = set[tuple[Surroundings, bool]]()  # thousands of partitions are mostly alike: judged once
    for part in facts.parts:
        if part.foreign:
            continue
        have = part.surroundings
        if (have, part.leaf) not in right:
            due = replace(facts.surroundings, publications=listed if part.leaf else have.publications)
            if not granted:  # more than the parent's are too many all the same
                grants, column_grants = have.grants & due.grants, have.column_grants & due.column_grants
                due = replace(due, grants=grants, column_grants=column_grants)
            if due.replica_identity == "default":
                due = replace(due, replica_identity=have.replica_identity)
            found = list(_drift(say, part, due))
            if not found:
                right.add((have, part.leaf))
            yield from found
        for index in part.missing_indexes:
            yield say(
                "report",
                part.name,
                f"has no valid part of the index {index}",
                remedy="CREATE INDEX CONCURRENTLY on the partition, then ALTER INDEX ... ATTACH PARTITION.",
            )


def _drift(say: _Sayer, part: Part, due: Surroundings) -> Iterable[Action]:
    have = part.surroundings
    statements = [
        *ddl.give(part.schema, part.name, have, due),
        *ddl.force(part.schema, part.name, have, due),
    ]
    if statements:
        yield say("mend", part.name, f"differs from its parent in {_what_differs(have, due)}", statements=statements)
    if due.replica_identity.startswith("index") and have.replica_identity != due.replica_identity:
        yield say(
            "report",
            part.name,
            f"its replica identity is {have.replica_identity}, its parent's {due.replica_identity}",
            remedy="ALTER TABLE ... REPLICA IDENTITY USING INDEX, with the partition's own index.",
        )


def _what_differs(have: Surroundings, due: Surroundings) -> str:
    words = {
        "owner": have.owner != due.owner,
        "row-level security": have.row_security != due.row_security or set(have.policies) != set(due.policies),
        "grants": have.grants != due.grants or have.column_grants != due.column_grants,
        "replica identity": have.replica_identity != due.replica_identity,
        "publications": not due.publications <= have.publications,
        "statistics targets": not due.statistics <= have.statistics,
        "comments": (have.comment is None and due.comment is not None)
        or not {column for column, _ in due.column_comments} <= {column for column, _ in have.column_comments},
    }
    return ", ".join(word for word, differs in words.items() if differs)


def _leftovers(say: _Sayer, facts: PartitionedTable) -> Iterable[Action]:
    """What a database brought along."""
    for part in facts.parts:
        if part.default and part.filled:
            yield say(
                "report",
                part.name,
                "a default partition with rows in it: they hold up partitions of their time, and never move to a tier",
                remedy=f"`drivetrain partitions convert {say.target.system}.{say.target.table}` moves them.",
            )
        elif part.default:
            yield say(
                "report",
                part.name,
                "an empty default partition: rows without a partition land there instead of being refused, and hold up "
                "partitions from then on",
                remedy="Drop it, now that partitions are kept ahead.",
            )
        elif part.bound is not None and part.bound.end is None:
            yield say(
                "refuse" if part.filled else "report",
                part.name,
                "has no end: no partition can be made beside it",
                remedy=f"`drivetrain partitions convert {say.target.system}.{say.target.table}` splits it.",
            )
        elif part.bound is not None and part.bound.start is None:
            yield say(
                "report",
                part.name,
                "has no beginning: it takes rows of any age, and moves to a tier as a whole",
                remedy=f"`drivetrain partitions convert {say.target.system}.{say.target.table}` splits it.",
            )
    for key in facts.referenced_by:
        yield say(
            "report",
            "",
            f"the foreign key {key.name} of {key.schema}.{key.table} references it: no partition can be detached",
            remedy="Drop the foreign key before months are to leave.",
        )


def _statistics(say: _Sayer, facts: PartitionedTable, at: dt.datetime, changed: bool) -> Iterable[Action]:
    """Autovacuum never analyses a partitioned parent."""
    if not facts.parts and not changed:
        return
    if facts.analysed_at is None:
        reason = "the parent was never analysed, and autovacuum leaves parents out"
    elif changed:
        reason = "partitions came"
    elif at - facts.analysed_at > ANALYZE_AFTER:
        reason = f"last analysed on {facts.analysed_at:%Y-%m-%d}"
    else:
        return
    yield say("analyze", "", reason, statements=[ddl.analyze(facts)])


def midnight(day: dt.date) -> dt.datetime:
    """When a day begins in UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def parts_ahead(facts: PartitionedTable, at: dt.datetime) -> dt.datetime | None:
    """Until when rows have a finite partition of their own without a gap from ``at`` on; None: not even now."""
    reached = at
    for part in sorted((part for part in facts.parts if part.bound and part.bound.end), key=lambda part: _end(part)):
        if part.bound and (part.bound.start is None or part.bound.start <= reached) and _end(part) > reached:
            reached = _end(part)
    return reached if reached > at else None


def _end(part: Part) -> dt.datetime:
    assert part.bound is not None
    assert part.bound.end is not None
    return part.bound.end
