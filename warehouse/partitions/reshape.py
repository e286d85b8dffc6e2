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
from warehouse.partitions.pieces import Piece, RangePiece, halves
from warehouse.partitions.plan import cut_into_periods, midnight, span_name
from warehouse.partitions.splitting import Splitting
from warehouse.partitions.targets import Target
from warehouse.postgres.bounds import Span, uncovered

#: Partitions that one may be split into: attaching each takes some milliseconds, with the table locked.
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
    """The split of a default or open-ended partition into calendar periods: all that its rows need, and those ahead.

    Raises:
        DrivetrainError: it cannot be done, and why.
    """
    where = f"{target.system}.{target.table}"
    declared = target.declared
    if not isinstance(declared, RangePartition) or facts.strategy != "range":
        raise DrivetrainError(f"{where} is not partitioned by ranges of time", hint="Only such a table has periods.")
    _refuse_if_held(where, facts)
    if extent.odd:
        raise DrivetrainError(
            f"{where}: {extent.odd} row(s) of {part.name} have no time, an infinite or a far one (9999)",
            hint="Give them a time, or delete them.",
        )
    _refuse_odd(where, facts, part)
    whole = _whole(declared, part, at, extent)
    others = [other.bound for other in facts.parts if other is not part and other.bound is not None]
    spans = cut_into_periods(declared, uncovered([(bound.start, bound.end) for bound in others], whole))
    if len(spans) > MOST_PIECES:
        raise DrivetrainError(
            f"{where}: the rows of {part.name} are of {extent.first} to {extent.last}, {len(spans)} periods",
            hint=f"More than {MOST_PIECES} at once would lock the table for long: is some row's time wrong? Mend it, "
            "or move rows of far times out of the way first.",
        )
    pieces: list[Piece] = [
        RangePiece(span_name(declared, facts, span), ddl.moment(facts, span.start), ddl.moment(facts, span.end))
        for span in spans
    ]
    split = Splitting(facts.schema, facts.name, part.name, declared.range, tuple(pieces))
    _refuse_taken(where, facts, split)
    return split


def _whole(declared: RangePartition, part: Part, at: dt.datetime, extent: Extent) -> Span:
    """From the period of its first row, or where it begins, to that of its last, or where it ends; with the periods
    ahead, if it has no end.
    """
    bound, every = part.bound or Bound(None, None), declared.every
    periods = [period_start(every, moment.date()) for moment in (extent.first, extent.last) if moment is not None]
    if bound.end is None:
        periods += [
            (current := period_start(every, at.astimezone(dt.UTC).date())),
            shifted(every, current, declared.premake),
        ]
    start = bound.start or midnight(min(periods))
    return Span(start, bound.end or max(start, midnight(shifted(every, max(periods), 1))))


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
