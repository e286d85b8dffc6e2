"""Which tables are maintained where: from the catalog, and from nothing else."""

from __future__ import annotations

from warehouse.catalog import System
from warehouse.catalog.partition import RangePartition
from warehouse.partitions.plan import Target

Place = tuple[str, str]


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
                ),
            ),
            (system.raw_schema, name),
        )
        for name, table in system.tables.items()
        if table.ingest.mode == "partition"
    ]
