"""Change capture over every system that has captured tables: what stands, what is missing, and runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.model import System
from warehouse.errors import ConfigurationError, DrivetrainError, listed
from warehouse.ingest.capture import Captured, capture_changes, captured_tables, publication_of
from warehouse.postgres.sessions import connect, translated
from warehouse.postgres.slots import (
    drop_slot,
    publication_sql,
    read_log_server,
    read_slot_state,
)
from warehouse.state.capture import Position, forget_capture, known_captures, read_positions, read_slot


@dataclass(frozen=True)
class CaptureState:
    """How the capture of one system stands.

    Attributes:
        system: whose.
        tables: how far each captured table is.
        retained: bytes of log that the source keeps for it; None: there is no slot.
        budget: bytes that it may keep.
        behind: bytes of log that were not read yet.
        read_at: when the log was last read to its end.
        problems: what is missing at the source.
        failure: why nobody can tell.
    """

    system: str
    tables: dict[str, Position | None]
    retained: int | None = None
    budget: int = 0
    behind: int = 0
    read_at: dt.datetime | None = None
    problems: tuple[str, ...] = ()
    failure: DrivetrainError | None = None

    @property
    def wrong(self) -> list[str]:
        """What somebody has to look at."""
        found = [*self.problems, *([self.failure.message] if self.failure else [])]
        if not self.tables and self.retained is not None:
            found.append(f"no table is captured, and the source keeps log: `drivetrain capture stop {self.system}`")
        if self.retained is not None and self.retained > self.budget:
            found.append(
                f"the source keeps {self.retained // 1_000_000:,} MB of log, of {self.budget // 1_000_000:,} MB"
            )
        found += [f"{name} has to be compared: {p.compare}" for name, p in self.tables.items() if p and p.compare]
        return found


def capturing_systems(catalog: Catalog, asked: Sequence[str] = ()) -> list[System]:
    """Systems with captured tables; those asked for, if any are.

    Raises:
        ConfigurationError: one that is asked for has none.
    """
    return _asked([system for system in catalog.systems.values() if captured_tables(system)], asked)


def systems_with_slots(settings: Settings, asked: Sequence[str] = ()) -> list[System]:
    """Systems with captured tables, and those that had some and of which a slot is known still.

    Raises:
        ConfigurationError: one that is asked for is neither.
    """
    catalog = settings.catalog()
    with connect(settings.warehouse(), read_only=True) as warehouse, translated("the warehouse"):
        known = known_captures(warehouse)
    return _asked([s for s in catalog.systems.values() if captured_tables(s) or s.system in known], asked)


def _asked(found: Sequence[System], asked: Sequence[str]) -> list[System]:
    """All; those asked for, if any are."""
    by_name = {system.system: system for system in found}
    for name in asked:
        if name not in by_name:
            raise ConfigurationError(
                f"{name}: no system with captured tables is called so",
                hint=f"There are: {listed(by_name, name)}. A table is captured by `ingest: {{capture: true}}`.",
            )
    return [by_name[name] for name in dict.fromkeys(asked or by_name)]


def capture(settings: Settings, system: System, run_id: str | None = None) -> Captured:
    """Bring a system's captured tables to where its log is now; see ``capture_changes``."""
    warehouse = open_warehouse(settings)
    return capture_changes(
        settings.primary(system.system), settings.capture(system.system), warehouse, system, run_id=run_id
    )


def capture_state(settings: Settings, system: System) -> CaptureState:
    """How a system's capture stands; changes nothing."""
    names = captured_tables(system)
    try:
        with connect(settings.warehouse(), read_only=True) as warehouse, translated("the warehouse"):
            positions, slot = read_positions(warehouse, system.system), read_slot(warehouse, system.system)
        with connect(settings.capture(system.system)) as source, translated(system.system):
            server = read_log_server(source)
            state = read_slot_state(source, publication_of(system))
    except DrivetrainError as error:
        return CaptureState(system.system, dict.fromkeys(names), failure=error)
    return CaptureState(
        system.system,
        {name: positions.get(name) for name in names},
        None if state is None else state.retained,
        system.capture.retained_mb * 1_000_000,
        0 if state is None else max(0, server.flushed - state.confirmed),
        slot.read_at if slot else None,
        server.problems,
    )


def owners_sql(settings: Settings, system: System) -> list[str]:
    """What a source's owners run once, so that changes can be captured."""
    tables = [system.source_of(name) for name in captured_tables(system)]
    with connect(settings.capture(system.system)) as source, translated(system.system):
        name = publication_of(system)
        there = source.execute("SELECT FROM pg_publication WHERE pubname = %s", (name,)).fetchone() is not None
        return publication_sql(source, name, tables, there=there)


def publish_embedded(settings: Settings, system: System) -> bool:
    """Make a system's publication where its database is an embedded one; whether it is."""
    import psycopg

    if settings.get(f"{system.system.upper()}_DSN"):
        return False
    statements = owners_sql(settings, system)
    with psycopg.connect(settings.servers().system_admin_dsn(system.system), autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement.encode())
    return True


def stop_capture(settings: Settings, system: System) -> bool:
    """Give the source's log free, and forget how far it was read; whether there was a slot."""
    with connect(settings.capture(system.system)) as source, translated(system.system):
        there = read_slot_state(source, publication_of(system)) is not None
        drop_slot(source, system.system, publication_of(system))
    with connect(settings.warehouse()) as warehouse, translated("the warehouse"):
        forget_capture(warehouse, system.system)
    return there
