"""Which tables are maintained where: from the catalog, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from warehouse.catalog import System
from warehouse.catalog.partition import HashPartition, ListPartition, RangePartition
from warehouse.partitions.actions import Action, Kind, Statement

Declared = RangePartition | HashPartition | ListPartition
Place = tuple[str, str]


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

    def action(
        self,
        kind: Kind,
        partition: str,
        reason: str,
        *,
        remedy: str = "",
        statements: Iterable[Statement] = (),
        alone: bool = False,
    ) -> Action:
        """Something to do to this table, or to say about it; as ``Action`` has it."""
        return Action(kind, self.system, self.table, self.where, partition, reason, remedy, tuple(statements), alone)


def source_targets(system: System) -> list[tuple[Target, Place]]:
    """Tables that the operational database partitions, with schema and name there."""
    return [
        (Target(system.system, name, "source", table.partition), system.source_of(name))
        for name, table in system.tables.items()
        if table.partition is not None
    ]


def warehouse_targets(system: System) -> list[tuple[Target, Place]]:
    """Raw tables that the warehouse keeps by month, with schema and name there.

    They are kept by month of the row's own time, whatever the period at the source.
    """
    return [
        (
            Target(
                system.system,
                name,
                "warehouse",
                RangePartition(
                    range=table.time or "",
                    name=table.month_pattern,
                    premake=table.partition.premake if isinstance(table.partition, RangePartition) else 3,
                    drift=table.partition.drift if table.partition is not None else "mend",
                ),
            ),
            (system.raw_schema, name),
        )
        for name, table in system.tables.items()
        if table.ingest.mode == "partition"
    ]
