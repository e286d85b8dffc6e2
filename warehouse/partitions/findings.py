"""What is only said: why a table is left alone, and what a database brought along that stands in the way.

Pure, as all of the planning.
"""

from __future__ import annotations

from collections.abc import Iterable

from warehouse.catalog.naming import split_mark
from warehouse.catalog.partition import HashPartition, ListPartition, RangePartition
from warehouse.partitions.actions import Action
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.targets import Declared, Target


def refused(target: Target, facts: PartitionedTable | None) -> Action | None:
    """Why nothing at all is done to the table."""
    declared = target.declared
    if facts is None:
        if target.where == "warehouse":  # ingestion makes it
            return None
        return target.action("refuse", "", "there is no such table", remedy="Run `drivetrain catalog check`.")
    strategy, column = _says(declared)
    if not facts.strategy:
        return target.action(
            "refuse",
            "",
            f"declared as partitioned by {strategy} ({column}), and it is a plain table"
            + (", whose conversion was begun and has not ended" if begun(facts, facts.name) else ""),
            remedy=f"Make it one while it is written to: `drivetrain partitions convert {target.system}."
            f"{target.table}`; or remove partition: from its policy.",
        )
    if facts.strategy != strategy or facts.columns != (column,):
        live = f"{facts.strategy} ({', '.join(name or 'an expression' for name in facts.columns)})"
        return target.action(
            "refuse",
            "",
            f"declared as partitioned by {strategy} ({column}), and it is by {live}",
            remedy="Correct partition: in its policy, or remove it.",
        )
    if facts.maintained_by:
        return target.action(
            "refuse",
            "",
            f"{facts.maintained_by} maintains it, and two maintainers would race",
            remedy=f"Take it out of {facts.maintained_by}'s configuration (part_config), or remove partition: from "
            "its policy.",
        )
    for part in facts.parts:
        if part.detaching:
            return target.action(
                "refuse",
                part.name,
                "a DETACH PARTITION ... CONCURRENTLY of it was interrupted",
                remedy="Finish it: ALTER TABLE ... DETACH PARTITION ... FINALIZE.",
            )
    if strategy == "range":
        for part in facts.parts:
            if not part.default and part.bound is None:
                return target.action(
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


def incomplete_hash(target: Target, facts: PartitionedTable) -> Iterable[Action]:
    covered = sum(1 / part.slot[0] for part in facts.parts if part.slot is not None)
    if abs(covered - 1) > 1e-9:
        yield target.action(
            "refuse",
            "",
            f"its {len(facts.parts)} partitions take {covered:.0%} of the rows; the others are refused",
            remedy="Finish its growth: `drivetrain partitions rehash`.",
        )


def begun(facts: PartitionedTable, partition: str) -> bool:
    """Whether a split of a partition, or the conversion of the table itself, was begun and has not ended."""
    return f"{split_mark(facts.schema, facts.name, partition)}_state" in facts.namesakes


def leftovers(target: Target, facts: PartitionedTable) -> Iterable[Action]:
    """What a database brought along, and what was begun and not ended."""
    for name in (facts.name, *(part.name for part in facts.parts)):
        if begun(facts, name):
            verb = "rehash" if facts.strategy == "hash" and name != facts.name else "convert"
            yield target.action(
                "report",
                name,
                "its split was begun, and has not ended",
                remedy=f"Go on: `drivetrain partitions {verb} {target.system}.{target.table}`; or undo it: --abandon.",
            )
    for part in facts.parts:
        if part.default and part.filled:
            yield target.action(
                "report",
                part.name,
                "a default partition with rows in it: they hold up partitions of their time, and never move to a tier",
                remedy=f"`drivetrain partitions convert {target.system}.{target.table}` moves them.",
            )
        elif part.default:
            yield target.action(
                "report",
                part.name,
                "an empty default partition: rows without a partition land there instead of being refused, and hold up "
                "partitions from then on",
                remedy="Drop it, now that partitions are kept ahead.",
            )
        elif part.bound is not None and part.bound.end is None:
            yield target.action(
                "refuse" if part.filled else "report",
                part.name,
                "has no end: no partition can be made beside it",
                remedy=f"`drivetrain partitions convert {target.system}.{target.table}` splits it.",
            )
        elif part.bound is not None and part.bound.start is None:
            yield target.action(
                "report",
                part.name,
                "has no beginning: it takes rows of any age, and moves to a tier as a whole",
                remedy=f"`drivetrain partitions convert {target.system}.{target.table}` splits it."
                if part.filled
                else "Drop it, it is empty.",
            )
    for key in facts.referenced_by:
        yield target.action(
            "report",
            "",
            f"the foreign key {key.name} of {key.schema}.{key.table} references it: no partition can be detached",
            remedy="Drop the foreign key before months are to leave.",
        )
