"""One table as those see it who move or end its rows: what lies in the warehouse and in the lake, and how.

What does not belong here: moving or ending them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System, Table
from warehouse.catalog.naming import moved_name, period_name
from warehouse.errors import Busy, CatalogMismatch
from warehouse.lake.columns import LakeColumn, lake_columns
from warehouse.lake.delta import LakeTable
from warehouse.lake.layout import Layout, layout_of
from warehouse.lake.store import Store
from warehouse.postgres.carriage import Carriage, CarriedColumn
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, Dsn
from warehouse.state.changes import relation_name


@dataclass(frozen=True)
class Places:
    """Where a system's tables are.

    Attributes:
        source: the operational database, for a member of the tables' owner; None where nothing is to be done there.
        warehouse: the warehouse.
        lake: root of the cold tier.
    """

    source: Dsn | None
    warehouse: Dsn
    lake: Store


@dataclass(frozen=True)
class Tiered:
    """A table that the catalog tiers.

    Attributes:
        system, name: whose.
        policy: what the catalog says.
        columns: of the raw table, as the lake has them.
        lake: its table there.
    """

    system: System
    name: str
    policy: Table
    columns: tuple[LakeColumn, ...]
    lake: LakeTable

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"{self.system.system}.{self.name}"

    @property
    def raw(self) -> str:
        """Of the raw table, as its feed and its locks name it."""
        return relation_name(self.system.raw_schema, self.name)

    def child(self, month: dt.date) -> sql.Identifier:
        """A month's rows in the warehouse."""
        return sql.Identifier(self.system.raw_schema, period_name(self.policy.month_pattern, self.name, month))

    def kept(self, move: int) -> sql.Identifier:
        """What went into the lake by a move, until it is dropped: out of every reader's sight."""
        return sql.Identifier(self.system.raw_schema, moved_name(move))

    @property
    def layout(self) -> Layout:
        """Of its files: by the first subject, sorted by it, the time and the key."""
        return layout_of(self.policy, {column.name: column.type_name for column in self.columns})


def tiered(warehouse: Connection, system: System, name: str, root: Store) -> Tiered:
    """A table of the warehouse and its place in the lake.

    Raises:
        CatalogMismatch: its policy is a draft, or the warehouse does not have it yet.
    """
    policy = system.tables[name]
    if not policy.reviewed:
        raise CatalogMismatch(
            f"{system.system}.{name}: its policy is a draft", hint="Decide it, and remove `reviewed: false`."
        )
    live = read_table(warehouse, system.raw_schema, name)
    if live is None:
        raise CatalogMismatch(
            f"{system.raw_schema}.{name} is not in the warehouse",
            hint=f"Ingest it: `drivetrain ingest {system.system}`.",
        )
    carriage = Carriage(tuple(CarriedColumn(column.name, sql.SQL(""), column.type.carrier) for column in live.columns))
    columns = lake_columns(carriage)
    lake = LakeTable(root.under(system.system, name), columns, policy.time, policy.description)
    return Tiered(system, name, policy, columns, lake)


def lock(warehouse: Connection, table: Tiered) -> None:
    """Take the table's ingestion lock until the session ends: nobody else changes what the warehouse has of it.

    Raises:
        Busy: somebody else has it.
    """
    row = warehouse.execute("SELECT pg_try_advisory_lock(platform.feed_lock(%s))", (table.raw,)).fetchone()
    if row is None or not row[0]:
        raise Busy(
            f"{table.where}: an ingestion or another move of it is running",
            hint="Nothing was changed. Wait for it to end, then run again.",
        )
