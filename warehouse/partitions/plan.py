"""What partition maintenance would do to a table now: from its policy and the facts to actions, each with its reason.

Pure: no clock, no connection. ``warehouse.partitions.apply`` carries a plan out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from warehouse.catalog.naming import period_name
from warehouse.catalog.partition import HashPartition, RangePartition
from warehouse.catalog.periods import Period, period_start, shifted
from warehouse.partitions import ddl, drift, findings, indexes
from warehouse.partitions.actions import Action, Statement
from warehouse.partitions.facts import Part, PartitionedTable, Surroundings
from warehouse.partitions.targets import Target
from warehouse.postgres.bounds import Span, uncovered

#: More than this many pieces of a split or conversion come of a mistake in some row's time.
MOST_AT_ONCE = 1000
#: A gap of more periods than this is not filled: a row of 1970 or 2070 made the partition at its far end.
WIDEST_GAP: Mapping[Period, int] = {"day": 400, "week": 160, "month": 120, "quarter": 80, "year": 50}
#: A table whose oldest partition is further ahead than this, and than is kept ready, is not from the future.
CLOCK_OFF = dt.timedelta(days=366)
#: The parent's statistics are made again after this many days, though no partition came.
ANALYZE_AFTER = dt.timedelta(days=7)


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
    refused = findings.refused(target, facts)
    if refused is not None or facts is None:
        return [refused] if refused else []
    made: list[Action] = []
    if isinstance(target.declared, RangePartition):
        made = list(_missing(target, target.declared, facts, at, occupied or {}))
    if isinstance(target.declared, HashPartition):
        made = list(findings.incomplete_hash(target, facts))
    changed = any(action.statements for action in made)
    return [
        *made,
        *drift.drifted(target, facts),
        *findings.leftovers(target, facts),
        *_statistics(target, facts, at, changed),
    ]


def wanted(declared: RangePartition, facts: PartitionedTable, at: dt.datetime) -> list[Span]:
    """The ranges that have no partition and should: from the oldest partition, or the period before the current one, to
    ``premake`` periods ahead; without the gaps that are too wide.

    Each is one calendar period in UTC, or what is left of one between partitions with other bounds.
    """
    wide = too_wide(declared, facts, at)
    gaps = _gaps(declared, facts, at)
    return cut_into_periods(
        declared, [gap for gap in gaps if not any(each.start <= gap.start and gap.end <= each.end for each in wide)]
    )


def too_wide(declared: RangePartition, facts: PartitionedTable, at: dt.datetime) -> list[Span]:
    """Gaps of more than ``WIDEST_GAP`` periods, which nobody meant.

    Such a one before or after the periods around the current one does not keep those from being made; unless all
    partitions are before it, so that rather the clock is wrong.
    """
    most = WIDEST_GAP[declared.every]
    wide: list[Span] = []
    newest = max((part.bound.end for part in facts.parts if part.bound and part.bound.end), default=None)
    for gap in _gaps(declared, facts, at):
        if wide and wide[-1].end == gap.start and wide[-1].start == newest:
            wide[-1] = Span(wide[-1].start, gap.end)
        elif len(list(islice(_periods(declared, gap), most + 1))) > most:
            wide.append(gap)
    return wide


def apart(every: Period, earlier: dt.date, later: dt.date) -> bool:
    """Whether more than ``WIDEST_GAP`` periods lie between two that begin on these days."""
    try:
        return shifted(every, earlier, WIDEST_GAP[every] + 1) < later
    except OverflowError:
        return False


def _gaps(declared: RangePartition, facts: PartitionedTable, at: dt.datetime) -> list[Span]:
    """What no partition covers: before, around and after the current period, apart."""
    today = at.astimezone(dt.UTC).date()
    current = period_start(declared.every, today)
    before = midnight(shifted(declared.every, current, -1))
    ahead = midnight(shifted(declared.every, current, declared.premake + 1))
    starts = [part.bound.start for part in facts.parts if part.bound is not None and part.bound.start is not None]
    first = min([midnight(current), *starts]) if starts else before
    ends = [part.bound.end for part in facts.parts if part.bound is not None and part.bound.end is not None]
    last = max([ahead, *ends])
    held = [(part.bound.start, part.bound.end) for part in facts.parts if part.bound is not None]
    edges = [first, *(edge for edge in (before, ahead) if first < edge < last), last]
    return [gap for whole in map(Span, edges, edges[1:]) for gap in uncovered(held, whole)]


def cut_into_periods(declared: RangePartition, gaps: Iterable[Span]) -> list[Span]:
    """Ranges cut at the bounds of calendar periods in UTC."""
    return [span for gap in gaps for span in _periods(declared, gap)]


def _periods(declared: RangePartition, gap: Span) -> Iterator[Span]:
    start = gap.start
    while start < gap.end:
        period = period_start(declared.every, start.date())
        end = min(gap.end, midnight(shifted(declared.every, period, 1)))
        yield Span(start, end)
        start = end


def _missing(
    target: Target, declared: RangePartition, facts: PartitionedTable, at: dt.datetime, occupied: Mapping[Span, bool]
) -> Iterable[Action]:
    """Partitions to make."""
    early = _clock_is_early(declared, facts, at)
    if early is not None:
        yield target.action(
            "refuse",
            "",
            f"it is {at:%Y-%m-%d} by the date asked for or the clock, and its oldest partition begins on "
            f"{early:%Y-%m-%d}",
            remedy="Correct that date or the clock; or make the partition of that day by hand, if it is meant.",
        )
        return
    spans = wanted(declared, facts, at)
    yield from _unfilled(target, declared, facts, at)
    taken = set(facts.namesakes)
    newest = max((part.bound.end for part in facts.parts if part.bound and part.bound.end), default=None)
    for span in spans:
        name = span_name(declared, facts, span)
        if len(name.encode()) > ddl.NAME_BYTES:
            yield target.action(
                "refuse",
                name,
                f"its name has {len(name.encode())} bytes, and PostgreSQL cuts names at {ddl.NAME_BYTES}",
                remedy="Shorten the pattern partition.name in the policy.",
            )
            continue
        if name in taken:
            yield target.action(
                "refuse",
                name,
                "something of that name is there, and is no partition of the table",
                remedy="Look at it: attach it (ALTER TABLE ... ATTACH PARTITION) or rename it.",
            )
            continue
        if occupied.get(span):
            yield target.action(
                "refuse",
                name,
                f"the default partition holds rows of {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M}",
                remedy=f"Move them to partitions of their own: `drivetrain partitions convert {target.system}."
                f"{target.table}`.",
            )
            continue
        taken.add(name)
        gap = newest is not None and span.end <= newest
        why = "gap" if gap else "missing" if span.start <= at else "premake"
        yield target.action(
            "create",
            name,
            f"{why}: {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC",
            statements=_creation(facts, name, span),
        )


def _unfilled(target: Target, declared: RangePartition, facts: PartitionedTable, at: dt.datetime) -> Iterable[Action]:
    """Gaps that are too wide, with the partition at their far end, seen from now."""
    bounds = [(part, part.bound) for part in facts.parts if part.bound is not None]
    for gap in too_wide(declared, facts, at):
        past = gap.start <= at
        outlier = next((p for p, bound in bounds if (bound.end == gap.start if past else bound.start == gap.end)), None)
        name = outlier.name if outlier else ""
        yield target.action(
            "refuse",
            name,
            f"no partition from {gap.start:%Y-%m-%d} to {gap.end:%Y-%m-%d}, more than the "
            f"{WIDEST_GAP[declared.every]} periods ({declared.every}) that maintenance fills",
            remedy=f"Is the clock right, and are the times of the rows in {name or 'the outermost partition'}? Mend or "
            "delete wrong ones and drop that partition. If they are meant, make the partitions between by hand.",
        )


def _creation(facts: PartitionedTable, name: str, span: Span) -> list[Statement]:
    """Stand-alone with everything that it must have; attached last, so that its lock is held for a moment."""
    model = drift.model(facts)
    due = drift.due_of_new(facts)
    fresh = Surroundings(owner=facts.role, column_comments=due.column_comments)
    return [
        ddl.create(facts, name),
        *ddl.store(facts.schema, name, model.storage if model else (), model.tablespace if model else ""),
        *(replace(statement, lock="") for statement in ddl.give(facts.schema, name, fresh, due)),
        *(replace(statement, lock="", undo="") for statement in indexes.of_new(facts, name, due.replica_identity)),
        ddl.attach(facts, name, span.start, span.end),
        *(replace(statement, lock="") for statement in ddl.force(facts.schema, name, fresh, due)),
    ]


def _clock_is_early(declared: RangePartition, facts: PartitionedTable, at: dt.datetime) -> dt.datetime | None:
    """When the oldest partition begins, where that is so far ahead that rather the clock is wrong.

    One that lost its time says 1970, and hundreds of months would be made.
    """
    if any(part.bound is not None and part.bound.start is None for part in facts.parts):
        return None
    oldest = min((part.bound.start for part in facts.parts if part.bound and part.bound.start), default=None)
    current = period_start(declared.every, at.astimezone(dt.UTC).date())
    ahead = midnight(shifted(declared.every, current, declared.premake + 1))
    return oldest if oldest is not None and oldest > ahead + CLOCK_OFF else None


def span_name(declared: RangePartition, facts: PartitionedTable, span: Span) -> str:
    """By the pattern; what is only a piece of a period says from when it is."""
    name = period_name(declared.name, facts.name, span.start.date())
    period = midnight(period_start(declared.every, span.start.date()))
    if span.start == period and span.end == midnight(shifted(declared.every, period.date(), 1)):
        return name
    return f"{name}_from_{span.start:%Y%m%dt%H%M%S}"


def _statistics(target: Target, facts: PartitionedTable, at: dt.datetime, changed: bool) -> Iterable[Action]:
    """Autovacuum never analyses a partitioned parent. A partition that was just made is empty, and changes nothing."""
    if not facts.parts and not changed:
        return
    if facts.analysed_at is None:
        reason = "the parent was never analysed, and autovacuum leaves parents out"
    elif at - facts.analysed_at > ANALYZE_AFTER:
        reason = f"last analysed on {facts.analysed_at:%Y-%m-%d}"
    else:
        return
    yield target.action("analyze", "", reason, statements=[ddl.analyze(facts)])


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
