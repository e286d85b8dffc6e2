"""``drivetrain status``: what the warehouse holds, how fresh it is, and whether it equals its sources."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Annotated

import typer
from psycopg import sql
from rich.table import Table

from pipelines.cli.output import console, show_json
from resources.settings import Settings
from warehouse.postgres.sessions import Connection, connect, translated


@dataclass(frozen=True)
class SystemStatus:
    """One system in the warehouse.

    Attributes:
        declared: tables in the catalog.
        loaded: of those, tables that were ingested.
        rows: in the warehouse, at each table's last reconciliation.
        agree: tables whose last reconciliation found source and warehouse equal.
        as_of: the oldest source moment among the tables' last loads: nothing is staler than this.
        differing: tables whose last reconciliation found a difference.
    """

    system: str
    declared: int
    loaded: int
    rows: int
    agree: int
    as_of: dt.datetime | None
    differing: list[str]


@dataclass(frozen=True)
class MartStatus:
    """One mart: rows, and when it was last written."""

    mart: str
    rows: int


@dataclass(frozen=True)
class Status:
    """The whole summary."""

    systems: list[SystemStatus]
    marts: list[MartStatus]


_TABLES = """
SELECT DISTINCT ON (table_name) table_name, warehouse_rows, agrees, source_as_of
  FROM platform.reconciliation WHERE system = %s ORDER BY table_name, id DESC
"""


def status(json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False) -> None:
    """Per system: tables, rows, freshness, and whether warehouse and source agree; and the marts.

    Exits 1 if a table differs from its source.
    """
    settings = Settings.load()
    settings.warehouse()  # asking makes no servers
    with settings.embedded_servers():
        found = read_status(settings)
    if json:
        show_json(dataclasses.asdict(found))
    else:
        show_status(found)
    if any(system.differing for system in found.systems):
        raise typer.Exit(1)


def read_status(settings: Settings) -> Status:
    """Read the summary from the warehouse."""
    catalog = settings.catalog()
    with connect(settings.warehouse(), read_only=True) as connection, translated("warehouse"):
        known = connection.execute("SELECT to_regclass('platform.reconciliation') IS NOT NULL").fetchone()
        systems = [
            _system(connection, name, set(system.tables)) if known and known[0] else _never(name, len(system.tables))
            for name, system in catalog.systems.items()
        ]
        return Status(systems, _marts(connection))


def _never(name: str, declared: int) -> SystemStatus:
    return SystemStatus(name, declared, 0, 0, 0, None, [])


def _system(connection: Connection, name: str, declared: set[str]) -> SystemStatus:
    rows = [row for row in connection.execute(_TABLES, (name,)) if row[0] in declared]
    return SystemStatus(
        system=name,
        declared=len(declared),
        loaded=len(rows),
        rows=sum(row[1] for row in rows),
        agree=sum(1 for row in rows if row[2]),
        as_of=min((row[3] for row in rows), default=None),
        differing=[row[0] for row in rows if not row[2]],
    )


def _marts(connection: Connection) -> list[MartStatus]:
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'marts' ORDER BY 1").fetchall()
    marts: list[MartStatus] = []
    for (name,) in names:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("marts", name))).fetchone()
        marts.append(MartStatus(name, row[0] if row else 0))
    return marts


def show_status(found: Status) -> None:
    """Print the summary."""
    now = dt.datetime.now(dt.UTC)
    table = Table("system", "tables", "rows", "as of (UTC)", "age", "equal to source", box=None, header_style="bold")
    for column in (1, 2, 4):
        table.columns[column].justify = "right"
    for system in found.systems:
        complete = system.agree == system.declared
        table.add_row(
            system.system,
            f"{system.loaded} of {system.declared}" if system.loaded != system.declared else str(system.declared),
            f"{system.rows:,}",
            f"{system.as_of:%Y-%m-%d %H:%M}" if system.as_of else "never",
            _age(now - system.as_of) if system.as_of else "",
            f"[{'green' if complete else 'yellow' if not system.differing else 'red'}]{system.agree} tables[/]"
            + (f"; differing: {', '.join(system.differing)}" if system.differing else ""),
        )
    console.print(table)
    console.print()
    if found.marts:
        marts = Table("mart", "rows", box=None, header_style="bold")
        marts.columns[1].justify = "right"
        for mart in found.marts:
            marts.add_row(mart.mart, f"{mart.rows:,}")
        console.print(marts)
    else:
        console.print(
            "\n[yellow]No marts yet:[/] run `drivetrain demo`, or `drivetrain ingest` and `drivetrain build`."
        )


def _age(age: dt.timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
