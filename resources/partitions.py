"""Partition maintenance over every database that the settings name: who is asked, and with which login."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from psycopg import sql

from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.partition import ListPartition, RangePartition
from warehouse.errors import ConfigurationError, DrivetrainError, listed
from warehouse.partitions.actions import Action
from warehouse.partitions.apply import Report, maintain, read_and_plan
from warehouse.partitions.conversion import conversion
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.original import read_original
from warehouse.partitions.reading import TIMES, read_extent, read_partitioned
from warehouse.partitions.reshape import dissolution, growth, to_dissolve
from warehouse.partitions.splitting import Splitting, under_way
from warehouse.partitions.targets import Place, Target, source_targets, warehouse_targets
from warehouse.postgres.sessions import Connection, Dsn, connect, translated

Planned = tuple[Target, PartitionedTable | None, list[Action]]


@dataclass(frozen=True)
class Asked:
    """Which tables, by system.

    Attributes:
        source: per system, the targets in its operational database.
        warehouse: per system, those in the warehouse.
    """

    source: dict[str, list[tuple[Target, Place]]]
    warehouse: dict[str, list[tuple[Target, Place]]]

    @classmethod
    def parse(cls, catalog: Catalog, tables: Sequence[str], where: str | None = None) -> Asked:
        """What ``system`` and ``system.table`` mean; everything, if there is none.

        Raises:
            ConfigurationError: there is no such system or table, or the catalog does not partition it.
        """
        wanted: dict[str, set[str] | None] = dict.fromkeys(catalog.systems) if not tables else {}
        for text in tables:
            system, dot, table = text.partition(".")
            if system not in catalog.systems:
                raise ConfigurationError(
                    f"no system {system!r} in the catalog", hint=f"There are: {listed(catalog.systems, system)}"
                )
            found = catalog.systems[system]
            at_source = {target.table for target, _ in source_targets(found)}
            stored = {target.table for target, _ in warehouse_targets(found)}
            if dot and table not in at_source | stored:
                known, there = {
                    "source": (at_source, " at its source"),
                    "warehouse": (stored, " in the warehouse"),
                }.get(where or "", (at_source | stored, ""))
                raise ConfigurationError(
                    f"the catalog partitions no table {table!r} of {system}{there}",
                    hint=f"It partitions: {listed(sorted(known), table)}",
                )
            chosen = wanted.get(system, set())
            wanted[system] = None if not dot or chosen is None else {*chosen, table}
        source: dict[str, list[tuple[Target, Place]]] = {}
        warehouse: dict[str, list[tuple[Target, Place]]] = {}
        for system, names in wanted.items():
            for kept, found, at in (
                (source, source_targets(catalog.systems[system]), "source"),
                (warehouse, warehouse_targets(catalog.systems[system]), "warehouse"),
            ):
                targets = [each for each in found if names is None or each[0].table in names]
                if targets and where in (None, at):
                    kept[system] = targets
        return cls(source, warehouse)


@dataclass(frozen=True)
class Failure:
    """What could not be read or maintained. Other databases and tables are none the worse for it.

    Attributes:
        system, where: whose database: ``source`` or ``warehouse``.
        table: '' for all that was asked for of it.
        error: what is wrong, and what to do.
    """

    system: str
    where: Literal["source", "warehouse"]
    table: str
    error: DrivetrainError

    def as_json(self) -> dict[str, str]:
        """For scripts."""
        said = {"error": self.error.message, "hint": self.error.hint}
        return {"system": self.system, "where": self.where, "table": self.table, **said}


@dataclass(frozen=True)
class _Database:
    """One system's tables in one database; ``dsn`` raises ConfigurationError where its setting is wrong."""

    system: str
    where: Literal["source", "warehouse"]
    dsn: Callable[[], Dsn]
    targets: list[tuple[Target, Place]]


def _databases(settings: Settings, asked: Asked) -> Iterator[_Database]:
    for system, targets in asked.source.items():
        yield _Database(system, "source", partial(settings.maintenance, system), targets)
    for system, targets in asked.warehouse.items():
        yield _Database(system, "warehouse", settings.warehouse, targets)


@contextmanager
def _apart(database: _Database, failures: list[Failure]) -> Generator[None]:
    """What goes wrong in the block is a failure of this database, and of no other."""
    try:
        yield
    except DrivetrainError as error:
        failures.append(Failure(database.system, database.where, "", error))


def plan_all(
    settings: Settings, asked: Asked, at: dt.datetime, *, sizes: bool = False
) -> tuple[list[Planned], list[Failure]]:
    """Facts and plan of every table asked for, and the databases that could not be read; nothing is changed."""
    planned: list[Planned] = []
    failures: list[Failure] = []
    for database in _databases(settings, asked):
        with _apart(database, failures):
            dsn = database.dsn()
            with (
                connect(dsn, see_all_rows=True, read_only=True, application="drivetrain partitions") as connection,
                translated(dsn.label),
            ):
                planned += read_and_plan(connection, database.targets, at, sizes=sizes)
    return planned, failures


def maintain_all(settings: Settings, asked: Asked, at: dt.datetime) -> tuple[list[Report], list[Failure]]:
    """Do what is due for every table asked for; and what could not be looked at."""
    reports: list[Report] = []
    failures: list[Failure] = []
    for database in _databases(settings, asked):
        with (
            _apart(database, failures),
            connect(database.dsn(), see_all_rows=True, application="drivetrain partitions") as connection,
        ):
            for target, place in database.targets:
                try:
                    reports.append(maintain(connection, target, place, at))
                except DrivetrainError as error:
                    if connection.closed:
                        raise
                    failures.append(Failure(database.system, database.where, target.table, error))
    return reports, failures


def source_table(settings: Settings, text: str) -> tuple[Dsn, Target, Place]:
    """The one table of an operational database that ``system.table`` means.

    Raises:
        ConfigurationError: it means none.
    """
    if "." not in text:
        raise ConfigurationError(f"{text!r} is no table", hint="Write system.table, e.g. logistics.wallet_ledger.")
    asked = Asked.parse(settings.catalog(), [text], "source")
    for system, targets in asked.source.items():
        for target, place in targets:
            return settings.maintenance(system), target, place
    raise ConfigurationError(f"{text} is not partitioned at its source", hint="Declare partition: in its policy.")


def growth_of(connection: Connection, target: Target, place: Place, goal: int) -> list[Splitting]:
    """How a hash comes to ``goal`` partitions: what was begun, then the rest."""
    begun = under_way(connection, *place)
    done = {each.partition for each in begun}
    planned = growth(target, _facts(connection, place), goal)
    return [*begun, *(each for each in planned if each.partition not in done)]


def conversion_of(connection: Connection, target: Target, place: Place, at: dt.datetime) -> list[Splitting]:
    """How a plain table, default and open-ended partitions become what the policy declares: what was begun, or what is
    to be. Where much is to be split, this is the first part of it.

    Raises:
        DrivetrainError: nothing can be done, though something is to be.
    """
    begun = under_way(connection, *place)
    if begun:
        return begun
    facts = _facts(connection, place)
    declared = target.declared
    if not facts.strategy and not isinstance(declared, ListPartition):
        column = declared.range if isinstance(declared, RangePartition) else declared.hash
        original = read_original(connection, sql.Identifier(*place).as_string(connection), column, [])
        extent = None
        if isinstance(declared, RangePartition) and original.key_type in TIMES:
            extent = read_extent(connection, *place, column, declared.every)
        return [conversion(target, facts, original, at, extent)]
    splits: list[Splitting] = []
    refused: DrivetrainError | None = None
    every = declared.every if isinstance(declared, RangePartition) else "month"
    for part in to_dissolve(facts):
        try:
            extent = read_extent(connection, part.schema, part.name, facts.columns[0], every)
            splits.append(dissolution(target, facts, part, at, extent))
        except DrivetrainError as error:
            refused = refused or error
    if refused and not splits:
        raise refused
    return splits


def _facts(connection: Connection, place: Place) -> PartitionedTable:
    facts = read_partitioned(connection, [place]).get(place)
    if facts is None:
        raise ConfigurationError(f"{place[0]}.{place[1]} is not there", hint="Run `drivetrain catalog check`.")
    return facts
