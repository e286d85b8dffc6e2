"""Whether a plain table can become a partitioned one while it is written to, and with which partitions.

Pure: facts in, a plan or all the reasons against it out. ``warehouse.partitions.successor`` makes what it says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import replace

from warehouse.catalog.partition import HashPartition, ListPartition, RangePartition
from warehouse.catalog.periods import period_start, shifted
from warehouse.errors import DrivetrainError
from warehouse.partitions import ddl
from warehouse.partitions.facts import Extent, PartitionedTable
from warehouse.partitions.original import Original
from warehouse.partitions.pieces import Part, RangePiece, Successor, halves
from warehouse.partitions.plan import MOST_AT_ONCE, cut_into_periods, midnight, span_name
from warehouse.partitions.reading import DATED, TIMES, ZONED
from warehouse.partitions.splitting import Splitting
from warehouse.partitions.targets import Target
from warehouse.postgres.bounds import Span


def conversion(
    target: Target, facts: PartitionedTable, original: Original, at: dt.datetime, extent: Extent | None
) -> Splitting:
    """The conversion of a plain table into the one that its policy declares.

    Args:
        target: the table and its policy.
        facts: of the plain table.
        original: what it has that must be carried over.
        at: the moment that decides which period is the current one.
        extent: the times of its rows, for a table by range.

    Raises:
        DrivetrainError: it cannot be done; every reason, each with what to do.
    """
    where = f"{target.system}.{target.table}"
    declared = target.declared
    if isinstance(declared, ListPartition):
        raise DrivetrainError(
            f"{where} is declared as partitioned by list", hint="Only range and hash are converted to."
        )
    column = declared.range if isinstance(declared, RangePartition) else declared.hash
    parts: list[Part] = []
    reasons = [*_against_table(facts, original), *_against_key(column, declared, original)]
    if original.key_type:
        facts = replace(facts, zoned=original.key_type == ZONED, dated=original.key_type == DATED)
        if isinstance(declared, RangePartition):
            spans = _spans(declared, at, extent or Extent(None, None))
            reasons += _against_spans(spans, extent or Extent(None, None))
            parts += [
                RangePiece(span_name(declared, facts, span), ddl.moment(facts, span.start), ddl.moment(facts, span.end))
                for span in spans[:MOST_AT_ONCE]
            ]
        else:
            parts += halves(facts.name, declared.name, 1, 0, declared.modulus)
    reasons += _against_names(parts, facts)
    if reasons:
        raise DrivetrainError(
            f"{where} cannot be converted:\n" + "\n".join(f"- {reason}" for reason in reasons),
            hint="Nothing was changed. Mend this, and run it again.",
        )
    return Splitting(facts.schema, facts.name, facts.name, column, (Successor(facts.name, tuple(parts)),))


def _against_table(facts: PartitionedTable, original: Original) -> Iterator[str]:
    """What it is, and what hangs on it."""
    if not original.ordinary:
        yield "it is a temporary, unlogged or typed table"
    if original.inherits:
        yield "it inherits, or is inherited from (INHERITS)"
    if original.ruled:
        yield "it has rules (CREATE RULE): replace them by triggers"
    if original.subscribed:
        yield "a subscription writes it: convert it when the subscription has ended"
    for key in facts.referenced_by:
        yield (
            f"the foreign key {key.name} of {key.schema}.{key.table} references it, which a key without the time "
            "cannot bear: drop it"
        )
    if facts.maintained_by:
        yield f"{facts.maintained_by} maintains it: take it out of its configuration"
    for view in original.views:
        if not view.ours:
            yield f"the view {view.schema}.{view.name} belongs to another role: make it the table's owner's"
    for _, name, ours in original.statistics:
        if not ours:
            yield f"the statistics {name} belong to another role: make them the table's owner's"
    for described in original.bound:
        yield f"{described} uses it and would go on using the old table: drop it and make it again afterwards"
    for name, as_root, narrowed, ours in original.publications:
        if not ours:
            yield f"the publication {name} belongs to another role: make it the table's owner's"
        if not as_root:
            yield (
                f"the publication {name} would send its partitions' names: ALTER PUBLICATION {name} SET "
                "(publish_via_partition_root = true)"
            )
        if narrowed:
            yield f"the publication {name} has columns or a filter for it: take it out, and in again afterwards"
    for constraint in original.constraints:
        if not constraint.validated:
            yield f"the constraint {constraint.name} is not validated: VALIDATE CONSTRAINT it"
        if constraint.kind == "c" and constraint.local:
            yield f"the constraint {constraint.name} is NO INHERIT, which a partitioned table cannot have"
    for trigger in original.triggers:
        if trigger.by_row_with_transitions:
            yield f"the row trigger {trigger.name} uses transition tables, which a partitioned table's cannot"


def _against_key(column: str, declared: RangePartition | HashPartition, original: Original) -> Iterator[str]:
    """Its keys and indexes, and the column that it is to be partitioned by."""
    if original.key_ready is None:
        yield f"it has no column {column}"
        return
    if not original.key_ready:
        yield (
            f"its column {column} can be NULL, or is generated: ADD CONSTRAINT c CHECK ({column} IS NOT NULL) NOT "
            f"VALID; VALIDATE CONSTRAINT c; ALTER COLUMN {column} SET NOT NULL; DROP CONSTRAINT c"
        )
    if isinstance(declared, RangePartition) and original.key_type not in TIMES:
        yield f"its column {column} is {original.key_type}, no time"
    if original.primary is None:
        yield "it has no primary key: its rows cannot be told apart"
    for index in original.indexes:
        if not index.valid:
            yield f"the index {index.name} is invalid: drop it, or REINDEX INDEX CONCURRENTLY"
        if index.exclusion:
            yield f"the exclusion constraint {index.constraint} would hold within each partition only: drop it"
        elif index.unique and not index.primary and column not in index.columns:
            yield f"the unique index {index.name} lacks {column}, and would hold within each partition only: drop it"
        if index.deferrable:
            yield f"the constraint {index.constraint} is deferrable, which ON CONFLICT cannot use"
        if index.primary and index.including:
            yield f"the primary key {index.name} has INCLUDE columns"
        if index.tablespace:
            yield f"the index {index.name} lies in the tablespace {index.tablespace}: move it to the default one"
        if not index.tail:
            yield f"the definition of the index {index.name} cannot be read"


def _against_spans(spans: list[Span], extent: Extent) -> Iterator[str]:
    """Times of its rows."""
    if extent.odd:
        yield f"{extent.odd} row(s) have an infinite time, or an impossible one (year 9999): no period takes them"
    if len(spans) > MOST_AT_ONCE:
        yield (
            f"its rows are of {extent.first} to {extent.last}, {len(spans)} periods, more than {MOST_AT_ONCE}: is some "
            "row's time wrong?"
        )


def _against_names(parts: Iterable[Part], facts: PartitionedTable) -> Iterator[str]:
    """Names that its partitions would have."""
    for part in parts:
        if len(part.name.encode()) > ddl.NAME_BYTES:
            yield f"{part.name} would be longer than {ddl.NAME_BYTES} bytes: shorten partition.name"
        elif part.name in facts.namesakes:
            yield f"something of the name {part.name} is there: rename it, or change partition.name"


def _spans(declared: RangePartition, at: dt.datetime, extent: Extent) -> list[Span]:
    """From the period of the first row, or the one before the current, to ``premake`` ahead or the last row's."""
    current = period_start(declared.every, at.astimezone(dt.UTC).date())
    starts, ends = [shifted(declared.every, current, -1)], [shifted(declared.every, current, declared.premake + 1)]
    if extent.first is not None and extent.last is not None:
        starts.append(period_start(declared.every, extent.first.date()))
        ends.append(shifted(declared.every, period_start(declared.every, extent.last.date()), 1))
    return cut_into_periods(declared, [Span(midnight(min(starts)), midnight(max(ends)))])
