"""Which partitions are to be split into what: growth of a hash, and the end of default and open-ended partitions.

Pure: facts in, splits out, or the reason why not. ``warehouse.partitions.split`` carries one out.
"""

from __future__ import annotations

import datetime as dt

from warehouse.catalog.partition import HashPartition, RangePartition
from warehouse.catalog.periods import period_start, shifted
from warehouse.errors import DrivetrainError
from warehouse.partitions import ddl
from warehouse.partitions.facts import Bound, Extent, Part, PartitionedTable
from warehouse.partitions.pieces import DefaultPiece, Piece, RangePiece, halves
from warehouse.partitions.plan import WIDEST_GAP, apart, cut_into_periods, midnight, span_name
from warehouse.partitions.splitting import Splitting
from warehouse.partitions.targets import Target
from warehouse.postgres.bounds import Span, uncovered

#: Partitions that one is split into at once: attaching each takes a millisecond or so, with the table locked.
MOST_PIECES = 150


def growth(target: Target, facts: PartitionedTable, goal: int) -> list[Splitting]:
    """The splits by which a hash comes to ``goal`` partitions, one for each remainder that it has now.

    A growth that was interrupted has remainders of both moduli: what is left is what has the smaller one.

    Raises:
        DrivetrainError: it cannot be done, and why.
    """
    where = f"{target.system}.{target.table}"
    if not isinstance(target.declared, HashPartition) or facts.strategy != "hash":
        raise DrivetrainError(f"{where} is not partitioned by hash", hint="Only a hash grows by its modulus.")
    _refuse_if_held(where, facts)
    if target.declared.grow_to is not None and goal > target.declared.grow_to:
        raise DrivetrainError(
            f"{where} is to grow to {target.declared.grow_to} at most, and {goal} was asked for",
            hint="Raise grow_to: in its policy if that is meant.",
        )
    for part in facts.parts:
        if part.slot is None or goal % part.slot[0]:
            raise DrivetrainError(
                f"{where}: {part.name} {part.bound_text.removeprefix('FOR VALUES ')} does not divide into {goal} parts",
                hint=_multiples(facts),
            )
        _refuse_odd(where, facts, part)
    due = [part for part in facts.parts if part.slot and part.slot[0] < goal]
    splits = [
        Splitting(
            facts.schema,
            facts.name,
            part.name,
            target.declared.hash,
            tuple(halves(facts.name, target.declared.name, *part.slot, goal)),
        )
        for part in sorted(due, key=lambda part: part.slot or (0, 0))
        if part.slot
    ]
    for each in splits:
        _refuse_taken(where, facts, each)
    return splits


def _multiples(facts: PartitionedTable) -> str:
    largest = max(part.slot[0] for part in facts.parts if part.slot)
    mixed = len({part.slot[0] for part in facts.parts if part.slot}) > 1
    begun = f"Its growth to {largest} was begun: finish it first. " if mixed else "A modulus never shrinks. "
    return f"{begun}It can have {largest}, {largest * 2}, {largest * 4} ... partitions."


def dissolution(target: Target, facts: PartitionedTable, part: Part, at: dt.datetime, extent: Extent) -> Splitting:
    """The split of a default or open-ended partition into calendar periods: those of its rows, and those ahead.

    At most ``MOST_PIECES`` at once. A last piece, bound as the partition was, takes what other rows come or are left;
    where there are any, another split goes on.

    Raises:
        DrivetrainError: it cannot be done, and why.
    """
    where = f"{target.system}.{target.table}"
    declared = target.declared
    if not isinstance(declared, RangePartition) or facts.strategy != "range":
        raise DrivetrainError(f"{where} is not partitioned by ranges of time", hint="Only such a table has periods.")
    _refuse_if_held(where, facts)
    _refuse_odd(where, facts, part)
    bound = part.bound or Bound(None, None)
    first, last = _reach(declared, bound, at, extent)
    start = bound.start or midnight(first)
    end = bound.end or max(start, midnight(shifted(declared.every, last, 1)))
    others = [other.bound for other in facts.parts if other is not part and other.bound is not None]
    spans = cut_into_periods(declared, uncovered([(each.start, each.end) for each in others], Span(start, end)))
    _refuse_times(f"{where}: {part.name}", declared, bound, first, extent, spans)
    taken = spans[:MOST_PIECES] if bound.start else spans[-MOST_PIECES:]
    ranges = [(ddl.moment(facts, span.start), ddl.moment(facts, span.end)) for span in taken]
    pieces: list[Piece] = [
        RangePiece(span_name(declared, facts, span), *each) for span, each in zip(taken, ranges, strict=True)
    ]
    if part.default:
        there = [(_text(facts, each.start), _text(facts, each.end)) for each in others]
        pieces.append(DefaultPiece(part.name, (*there, *ranges)))
    elif bound.start:
        pieces.append(RangePiece(part.name, ranges[-1][1], None))
    else:
        pieces.append(RangePiece(part.name, None, ranges[0][0]))
    split = Splitting(facts.schema, facts.name, part.name, declared.range, tuple(pieces))
    _refuse_taken(where, facts, split)
    return split


def _text(facts: PartitionedTable, edge: dt.datetime | None) -> str | None:
    return ddl.moment(facts, edge) if edge else None


def _reach(declared: RangePartition, bound: Bound, at: dt.datetime, extent: Extent) -> tuple[dt.date, dt.date]:
    """First and last period of its rows, as far as no gap is wider than anybody meant (``WIDEST_GAP``), looked at from
    the current period, which is one of them; or from its end, if it has one. With the periods ahead, if it has none.
    """
    every = declared.every
    inside = bound.end - dt.timedelta(microseconds=1) if bound.end else at.astimezone(dt.UTC)
    first = last = base = period_start(every, inside.date())
    for held in sorted((each for each in extent.periods if each < base), reverse=True):
        if apart(every, held, first):
            break
        first = held
    for held in sorted(each for each in extent.periods if each > base):
        if apart(every, last, held):
            break
        last = held
    return first, last if bound.end else max(last, shifted(every, base, declared.premake))


def _refuse_times(
    where: str, declared: RangePartition, bound: Bound, first: dt.date, extent: Extent, spans: list[Span]
) -> None:
    """If none of its rows would find a period, or a gap that nobody meant had to be filled."""
    many = f"more than {WIDEST_GAP[declared.every]} periods ({declared.every})"
    if extent.periods and not extent.periods & {period_start(declared.every, span.start.date()) for span in spans}:
        raise DrivetrainError(
            f"{where} has rows of {extent.first} to {extent.last}, {many} away from all others",
            hint="Is their time wrong? Mend it, or make partitions for them by hand.",
        )
    if extent.odd and not extent.periods:
        raise DrivetrainError(
            f"{where} has {extent.odd} row(s) of no time, an infinite or a far one (9999)",
            hint="Give them a time, or delete them.",
        )
    if bound.start and apart(declared.every, bound.start.date(), first):
        raise DrivetrainError(
            f"{where} begins on {bound.start:%Y-%m-%d}, {many} before the first that is needed ({first})",
            hint="Detach it, and attach it from a later time on.",
        )
    if bound.start and not spans:
        raise DrivetrainError(
            f"{where} begins only on {bound.start:%Y-%m-%d}", hint="Nothing is to be done before that time is near."
        )


def to_dissolve(facts: PartitionedTable) -> list[Part]:
    """The default and open-ended partitions of a table. One without a beginning and without rows is left: dropping it
    is all that there is to do.
    """
    return [
        part
        for part in facts.parts
        if part.default
        or (part.bound is not None and (part.bound.end is None or (part.bound.start is None and part.filled)))
    ]


def _refuse_if_held(where: str, facts: PartitionedTable) -> None:
    if facts.referenced_by:
        key = facts.referenced_by[0]
        raise DrivetrainError(
            f"{where}: the foreign key {key.name} of {key.schema}.{key.table} references it: nothing can be detached",
            hint="Drop the foreign key for the time of the split.",
        )
    if facts.maintained_by:
        raise DrivetrainError(f"{where}: {facts.maintained_by} maintains it", hint="Take it out of its configuration.")


def _refuse_odd(where: str, facts: PartitionedTable, part: Part) -> None:
    if not part.leaf:
        raise DrivetrainError(f"{where}: {part.name} is partitioned itself", hint="Split its own partitions.")
    if part.foreign:
        raise DrivetrainError(f"{where}: {part.name} is a foreign table", hint="Detach it, or keep it as it is.")
    if part.schema != facts.schema:
        raise DrivetrainError(
            f"{where}: {part.name} lies in the schema {part.schema}, its parent in {facts.schema}",
            hint="Move it first: ALTER TABLE ... SET SCHEMA.",
        )


def _refuse_taken(where: str, facts: PartitionedTable, split: Splitting) -> None:
    for piece in split.pieces:
        if len(piece.name.encode()) > ddl.NAME_BYTES:
            raise DrivetrainError(
                f"{where}: {piece.name} would be longer than {ddl.NAME_BYTES} bytes", hint="Shorten partition.name."
            )
        if piece.name in facts.namesakes and piece.name != split.partition:
            raise DrivetrainError(
                f"{where}: something of the name {piece.name} is there", hint="Rename it, or change partition.name."
            )
