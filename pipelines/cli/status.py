"""``drivetrain status``: what the warehouse holds, how fresh it is, and whether it equals its sources."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Annotated

import typer
from psycopg import sql
from rich.table import Table

from pipelines.cli.output import console, counted, show_json
from pipelines.cli.tier_map import map_as_json, show_map_briefly
from resources.gaps import gaps
from resources.opening import open_warehouse
from resources.settings import Settings
from resources.tiering import map_tiers, tiered_tables
from warehouse.errors import CatalogMismatch, Restored
from warehouse.ingest.gaps import KINDS, Gap
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.changes import SUFFIX
from warehouse.state.freshness import read_freshness
from warehouse.tiering.map import TableMap


@dataclass(frozen=True)
class SystemStatus:
    """One system in the warehouse.

    Attributes:
        declared: tables in the catalog.
        loaded: of those, tables of which a load ended with source and warehouse equal.
        rows: in the warehouse, all months of all tables.
        agree: loaded tables of which no part was found to differ when it was last compared.
        as_of: the oldest source moment among the tables' last comparisons that agreed: nothing is staler than this.
        differing: tables of which a part differed from the source when it was last compared.
        missing: tables that were never loaded to the end.
    """

    system: str
    declared: int
    loaded: int
    rows: int
    agree: int
    as_of: dt.datetime | None
    differing: list[str]
    missing: list[str]


@dataclass(frozen=True)
class MartStatus:
    """One mart.

    Attributes:
        rows: in it.
        as_of: moment of the sources up to which it tells everything.
        verified_through: moment at which all the rows behind it equalled the sources.
        tiers: where these rows are.
    """

    mart: str
    rows: int
    as_of: dt.datetime | None = None
    verified_through: dt.datetime | None = None
    tiers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """The whole summary."""

    systems: list[SystemStatus]
    marts: list[MartStatus]


#: So many missing tables are named.
_NAMED = 5


def status(json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False) -> None:
    """Per system: tables, rows, freshness, and whether warehouse and source agree; the marts; what lies in which tier.

    Months that nobody has compared, or that differ, are told with the command that loads them.

    Exits 1 if a table differs from its source or was never loaded, or the warehouse was restored to before an erasure.
    """
    settings = Settings.load()
    settings.warehouse()  # asking makes no servers
    prices = settings.prices
    with settings.embedded_servers():
        found, restored = read_status(settings), _restored(settings)
        loaded = any(system.loaded for system in found.systems)
        maps, lacking = (_tiers(settings), _gaps(settings, found)) if loaded else ([], [])
    if json:
        months = [{**dataclasses.asdict(each), "backfill": each.backfill} for each in lacking]
        show_json(
            {**dataclasses.asdict(found), "gaps": months, "tiers": map_as_json(maps, prices), "restored": restored}
        )
    else:
        show_status(found)
        _show_gaps(lacking)
        if maps:
            show_map_briefly(maps, prices)
        if restored:
            console.print(f"\n[red]Nothing is written or served:[/] {restored}", soft_wrap=True)
    if restored or any(system.differing or system.missing for system in found.systems):
        raise typer.Exit(1)


def _restored(settings: Settings) -> str | None:
    """Why nothing is written or served, if the warehouse was restored."""
    try:
        open_warehouse(settings, read_only=True)
    except Restored as error:
        return str(error)
    return None


def _gaps(settings: Settings, found: Status) -> list[Gap]:
    """Months that are lacking of tables that were loaded before: of the others all are, and that is said already."""
    catalog = settings.catalog()
    tables = [
        (catalog.systems[each.system], name)
        for each in found.systems
        for name in catalog.systems[each.system].tables
        if name not in each.missing
    ]
    return gaps(settings, tables, dt.datetime.now(dt.UTC).date())


def _show_gaps(lacking: list[Gap]) -> None:
    told = [each for each in lacking if each.backfill]
    if told:
        console.print("\nMonths to look at")
    for each in told:
        console.print(f"  [yellow]{each.system}.{each.table} {each.months}[/]: {KINDS[each.kind]}", soft_wrap=True)
        console.print(f"    {each.backfill}", style="dim", soft_wrap=True)
    if empty := {(each.system, each.table) for each in lacking if not each.backfill}:
        said = f"{counted(len(empty), 'table')} with months between others of which neither side has a row"
        console.print(f"\n{said} (`--json` names them).", style="dim", soft_wrap=True)


def _tiers(settings: Settings) -> list[TableMap]:
    """The tier map; nothing before the first run of this version, which makes its ledger."""
    try:
        return map_tiers(settings, tiered_tables(settings.catalog()), dt.datetime.now(dt.UTC))
    except CatalogMismatch:
        return []


def read_status(settings: Settings) -> Status:
    """Read the summary from the warehouse."""
    catalog = settings.catalog()
    with connect(settings.warehouse(), read_only=True) as connection, translated("warehouse"):
        known = connection.execute("SELECT to_regclass('platform.raw_content') IS NOT NULL").fetchone()
        systems = [
            _system(connection, name, list(system.tables)) if known and known[0] else _never(name, list(system.tables))
            for name, system in catalog.systems.items()
        ]
        return Status(systems, _marts(connection))


def _never(name: str, declared: list[str]) -> SystemStatus:
    return SystemStatus(name, len(declared), 0, 0, 0, None, [], sorted(declared))


def _system(connection: Connection, name: str, declared: list[str]) -> SystemStatus:
    tables = read_freshness(connection, name, declared)
    loaded = [(table, table.as_of) for table in tables if table.as_of is not None]
    return SystemStatus(
        system=name,
        declared=len(declared),
        loaded=len(loaded),
        rows=sum(table.rows for table in tables),
        agree=sum(1 for table, _ in loaded if not table.differs),
        as_of=min((as_of for _, as_of in loaded), default=None),
        differing=[table.table for table in tables if table.differs],
        missing=[table.table for table in tables if table.as_of is None],
    )


def _marts(connection: Connection) -> list[MartStatus]:
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'marts' ORDER BY 1").fetchall()
    known = connection.execute("SELECT to_regclass('platform.published') IS NOT NULL").fetchone()
    published = dict[str, tuple[dt.datetime | None, dt.datetime | None, tuple[str, ...]]]()
    if known and known[0]:
        query = (
            "SELECT model, as_of, verified_through, tiers FROM platform.published WHERE starts_with(model, 'marts.')"
        )
        published = {row[0].partition(".")[2]: (row[1], row[2], tuple(row[3])) for row in connection.execute(query)}
    marts: list[MartStatus] = []
    for (name,) in names:
        if name.endswith(SUFFIX):  # a change feed
            continue
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("marts", name))).fetchone()
        marts.append(MartStatus(name, row[0] if row else 0, *published.get(name, (None, None, ()))))
    return marts


def show_status(found: Status) -> None:
    """Print the summary."""
    now = dt.datetime.now(dt.UTC)
    table = Table("system", "tables", "rows", "as of (UTC)", "age", "equal to source", box=None, header_style="bold")
    for column in (1, 2, 4):
        table.columns[column].justify = "right"
    for system in found.systems:
        color = "red" if system.differing else "yellow" if system.missing else "green"
        table.add_row(
            system.system,
            f"{system.loaded} of {system.declared}" if system.loaded != system.declared else str(system.declared),
            f"{system.rows:,}",
            f"{system.as_of:%Y-%m-%d %H:%M}" if system.as_of else "never",
            _age(now - system.as_of) if system.as_of else "",
            f"[{color}]{counted(system.agree, 'table')}[/]"
            + (f"; differing: {', '.join(system.differing)}" if system.differing else "")
            + (f"; never loaded: {_shortened(system.missing)}" if system.missing else ""),
        )
    console.print(table)
    console.print()
    if found.marts:
        marts = Table("mart", "rows", "as of (UTC)", "verified through", "tiers", box=None, header_style="bold")
        marts.columns[0].no_wrap = True
        marts.columns[1].justify = "right"
        for mart in found.marts:
            moments = [_moment(at, now) if at else "not known" for at in (mart.as_of, mart.verified_through)]
            marts.add_row(mart.mart, f"{mart.rows:,}", *moments, ", ".join(mart.tiers))
        console.print(marts)
    else:
        console.print(
            "\n[yellow]No marts yet:[/] run `drivetrain demo`, or `drivetrain ingest` and `drivetrain build`."
        )


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _moment(at: dt.datetime, now: dt.datetime) -> str:
    """Without its year if that is the present one: the table is wide as it is."""
    return f"{at:%m-%d %H:%M}" if at.year == now.year else f"{at:%Y-%m-%d %H:%M}"


def _age(age: dt.timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
