"""Tiers over every system: which tables have them, where their places are, and one run over all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby

from psycopg import sql

from resources.chosen import choose_tables
from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.model import System
from warehouse.errors import CatalogMismatch, ConfigurationError, DrivetrainError
from warehouse.partitions.apply import maintain
from warehouse.partitions.targets import source_targets
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, Dsn, connect
from warehouse.state.rehydrations import Rehydration
from warehouse.state.tiered import Places
from warehouse.tiering.apply import Done, look, move_table
from warehouse.tiering.map import TableMap
from warehouse.tiering.plan import Step
from warehouse.tiering.rehydrating import Request, rehydrate_table
from warehouse.tiering.stock import survey


@dataclass(frozen=True)
class TablePlan:
    """What is to be done to a table, or why nobody can tell."""

    system: str
    table: str
    steps: tuple[Step, ...] = ()
    failure: DrivetrainError | None = None


@dataclass(frozen=True)
class TableMoves:
    """What was done to a table, or why nothing was."""

    system: str
    table: str
    done: tuple[Done, ...] = ()
    failure: DrivetrainError | None = None


def failures_of(moves: Sequence[TableMoves]) -> list[DrivetrainError]:
    """What kept tables, or single months of theirs, from moving."""
    of_tables = [each.failure for each in moves]
    of_months = [done.failure for each in moves for done in each.done]
    return [failure for failure in (*of_tables, *of_months) if failure is not None]


def parse_month(text: str) -> dt.date:
    """First day of ``2024-01``.

    Raises:
        ConfigurationError: it is no month.
    """
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ConfigurationError(f"{text!r} is no month", hint="Write YYYY-MM, e.g. 2024-01.") from None


def tiered_tables(catalog: Catalog, asked: Sequence[str] = ()) -> list[tuple[System, str]]:
    """The tables that the catalog tiers; of those asked for by ``system`` or ``system.table``, if any are.

    Raises:
        ConfigurationError: there is no such system or table, or it has no tiers.
    """
    return choose_tables(
        catalog,
        lambda table: bool(table.tiers.hot or table.tiers.warm or table.tiers.cold),
        "table with tiers",
        asked,
    )


def _tend(source: Dsn, system: System, name: str, at: dt.datetime) -> None:
    """Give the partitions that take late rows what partitions of the table must have."""
    with connect(source, see_all_rows=True, application="drivetrain partitions") as connection:
        for target, place in source_targets(system):
            if target.table == name:
                maintain(connection, target, place, at)


def _places(settings: Settings, system: System, name: str) -> Places:
    source = settings.maintenance(system.system) if system.tables[name].tiers.hot else None
    return Places(source, settings.warehouse(), settings.lake())


def plan_tiers(settings: Settings, tables: Sequence[tuple[System, str]], at: dt.datetime) -> list[TablePlan]:
    """What is to be done; nothing is changed. A table that cannot be looked at is its own failure."""
    found: list[TablePlan] = []
    for system, name in tables:
        try:
            steps = look(_places(settings, system, name), system, name, at)
            found.append(TablePlan(system.system, name, tuple(steps)))
        except DrivetrainError as error:
            found.append(TablePlan(system.system, name, failure=error))
    return found


def rehydrate(
    settings: Settings,
    system: System,
    name: str,
    months: Sequence[dt.date],
    until: dt.datetime,
    reason: str,
    *,
    end: bool = False,
    tell: Callable[[str], None] | None = None,
) -> list[Rehydration]:
    """Bring months of the lake back into the warehouse for a while; or end that, for those that are back."""
    request = Request(months, until, reason, settings.rehydrate_limit, end)
    warehouse = open_warehouse(settings, read_only=True)
    return rehydrate_table(Places(None, warehouse, settings.lake()), system, name, request, tell)


def map_tiers(settings: Settings, tables: Sequence[tuple[System, str]], at: dt.datetime) -> list[TableMap]:
    """Where the tables' rows lie, and what comes; nothing is changed. A source that is away is said with its tables.

    Raises:
        CatalogMismatch: nothing was ever ingested.
        DrivetrainError: the warehouse cannot be read.
    """
    found: list[TableMap] = []
    with connect(settings.warehouse(), read_only=True, application="drivetrain tiers") as warehouse:
        if not is_there(warehouse, sql.Identifier("platform", "tier_move")):
            raise CatalogMismatch("the warehouse has no ledger yet", hint="Ingest first: `drivetrain ingest`.")
        for _, group in groupby(tables, key=lambda each: each[0].system):
            of_system = list(group)
            with ExitStack() as opened:
                source, away = _source(settings, of_system, opened)
                found += [survey(source, warehouse, *each, settings.lake(), at, away) for each in of_system]
    return found


def _source(
    settings: Settings, tables: Sequence[tuple[System, str]], opened: ExitStack
) -> tuple[Connection | None, DrivetrainError | None]:
    """A session of a system's source, or why there is none; as its tables' owner where months leave one of them."""
    system = tables[0][0]
    leaves = any(of.tables[name].tiers.hot for of, name in tables)
    try:
        dsn = settings.maintenance(system.system) if leaves else settings.primary(system.system)
        session = connect(dsn, read_only=True, see_all_rows=True, application="drivetrain tiers")
        return opened.enter_context(session), None
    except DrivetrainError as error:
        return None, error


def apply_tiers(
    settings: Settings,
    tables: Sequence[tuple[System, str]],
    at: dt.datetime,
    *,
    months: Sequence[dt.date] | None = None,
    keep: dt.timedelta | None = None,
    run_id: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[TableMoves]:
    """Take every step that is due. A table that cannot be moved is its own failure.

    Args:
        settings: where everything is.
        tables: which.
        at: the moment that ages are counted up to.
        months: only these.
        keep: how long what moved is kept; as the settings say, if left out.
        run_id: noted in the ledger.
        tell: is told of each step.
    """
    try:
        open_warehouse(settings, read_only=True)
    except DrivetrainError as error:
        return [TableMoves(system.system, name, failure=error) for system, name in tables]
    done: list[TableMoves] = []
    keep = settings.tier_grace if keep is None else keep
    for system, name in tables:
        try:
            places = _places(settings, system, name)
            moves = move_table(places, system, name, at, keep=keep, months=months, run_id=run_id, tell=tell)
            done.append(TableMoves(system.system, name, tuple(moves)))
            if places.source is not None and any(each.step.kind in ("leave", "join") for each in moves):
                _tend(places.source, system, name, at)
        except DrivetrainError as error:
            done.append(TableMoves(system.system, name, failure=error))
    return done
