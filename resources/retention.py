"""Retention over every system: which tables have an age at which rows go, and one run over all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resources.chosen import choose_tables
from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.age import Age
from warehouse.catalog.model import System
from warehouse.errors import DrivetrainError
from warehouse.retention.apply import Done, expire_table, look
from warehouse.retention.plan import Step
from warehouse.state.tiered import Places

_WEEK = Age(count=1, unit="week")


@dataclass(frozen=True)
class TableDue:
    """What is to go from a table, or why nobody can tell."""

    system: str
    table: str
    steps: tuple[Step, ...] = ()
    failure: DrivetrainError | None = None

    @property
    def overdue(self) -> list[Step]:
        """What is past its age and nothing stands against."""
        return [step for step in self.steps if step.kind != "wait"]


@dataclass(frozen=True)
class TableExpired:
    """What went from a table, or why nothing did."""

    system: str
    table: str
    done: tuple[Done, ...] = ()
    failure: DrivetrainError | None = None


def failures_of(found: Sequence[TableExpired]) -> list[DrivetrainError]:
    """What kept rows of tables, or some of them, from going."""
    every = [each.failure for each in found] + [done.failure for each in found for done in each.done]
    return [failure for failure in every if failure is not None]


def aged_tables(catalog: Catalog, asked: Sequence[str] = ()) -> list[tuple[System, str]]:
    """The tables whose rows go at an age; of those asked for by ``system`` or ``system.table``, if any are.

    Raises:
        ConfigurationError: there is no such system or table, or its rows go at no age.
    """
    return choose_tables(catalog, lambda table: table.retention.until == "age", "table whose rows go at an age", asked)


def short_lived(system: System) -> list[str]:
    """Tables of a system whose rows go within a week: a look a day would leave them far too long."""
    return [
        name
        for name, table in system.tables.items()
        if table.retention.until == "age" and _within_a_week(table.retention.age)
    ]


def _within_a_week(age: Age | None) -> bool:
    return age is not None and age < _WEEK


def _places(settings: Settings, system: System) -> Places:
    return Places(settings.maintenance(system.system), settings.warehouse(), settings.lake())


def plan_retention(settings: Settings, tables: Sequence[tuple[System, str]], at: dt.datetime) -> list[TableDue]:
    """What is to go; nothing is changed. A table that cannot be looked at is its own failure."""
    found: list[TableDue] = []
    for system, name in tables:
        try:
            found.append(TableDue(system.system, name, tuple(look(_places(settings, system), system, name, at))))
        except DrivetrainError as error:
            found.append(TableDue(system.system, name, failure=error))
    return found


def apply_retention(
    settings: Settings,
    tables: Sequence[tuple[System, str]],
    at: dt.datetime,
    *,
    run_id: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[TableExpired]:
    """Take out what is past its age. A table that cannot be worked on is its own failure."""
    try:
        open_warehouse(settings, read_only=True)
    except DrivetrainError as error:
        return [TableExpired(system.system, name, failure=error) for system, name in tables]
    found: list[TableExpired] = []
    for system, name in tables:
        try:
            done = expire_table(_places(settings, system), system, name, at, run_id=run_id, tell=tell)
            found.append(TableExpired(system.system, name, tuple(done)))
        except DrivetrainError as error:
            found.append(TableExpired(system.system, name, failure=error))
    return found
