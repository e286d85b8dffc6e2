"""What monitoring asks of every database: sizes, freshness, lag, and what came of the moves. It reads, and cheaply."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from resources.capture import CaptureState, capture_state, systems_with_slots
from resources.settings import Settings
from resources.tiering import map_tiers, tiered_tables
from warehouse.errors import DrivetrainError
from warehouse.partitions.sizes import PartitionSize, read_sizes
from warehouse.partitions.targets import source_targets, warehouse_targets
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.state.agenda import Case, read_agenda
from warehouse.state.freshness import Freshness, read_freshness
from warehouse.state.tallies import Tally, read_tallies
from warehouse.tiering.map import TableMap

#: Nothing to replay is no lag, however long ago the last change was; but only while the primary is connected.
_REPLICATION_LAG = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                 AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0
            ELSE greatest(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0) END::float8
"""


@dataclass
class Readings:
    """What was found.

    Attributes:
        warehouse_up: whether the warehouse answers.
        source_up, replica_up: the same of each system's databases; replicas only where one is declared.
        replication_lag: seconds, of replicas that answer and have replayed anything.
        partitions: of tables that the catalog partitions, in sources and warehouse.
        freshness: per system, of its raw tables.
        maps: the tier map.
        tallies: of the ledger of moves.
        requests: of persons, and how each stands; None where the warehouse is away or knows none yet.
        captures: of systems with captured tables, how far their logs were read.
        failures: what could not be read, in words.
    """

    at: dt.datetime
    warehouse_up: bool = False
    source_up: dict[str, bool] = field(default_factory=dict[str, bool])
    replica_up: dict[str, bool] = field(default_factory=dict[str, bool])
    replication_lag: dict[str, float] = field(default_factory=dict[str, float])
    partitions: list[PartitionSize] = field(default_factory=list[PartitionSize])
    freshness: Mapping[str, Sequence[Freshness]] = field(default_factory=dict[str, Sequence[Freshness]])
    maps: Sequence[TableMap] = ()
    tallies: Sequence[Tally] = ()
    requests: Sequence[Case] | None = None
    captures: Sequence[CaptureState] = ()
    failures: list[str] = field(default_factory=list[str])


def read_all(settings: Settings, at: dt.datetime) -> Readings:
    """Ask every database. One that does not answer is said, and leaves the others.

    Raises:
        ConfigurationError, CatalogError: the catalog cannot be read.
    """
    found = Readings(at)
    catalog = settings.catalog()
    for name, system in catalog.systems.items():
        found.source_up[name] = False
        with _apart(found), _session(settings.primary(name)) as connection:
            found.partitions += read_sizes(connection, source_targets(system))
            found.source_up[name] = True
        _read_replica(settings, name, found)
    with _apart(found), _session(settings.warehouse()) as connection:
        found.warehouse_up = True
        if not is_there(connection, sql.Identifier("platform", "tier_move")):
            return found  # nothing was ever ingested
        for system in catalog.systems.values():
            found.partitions += read_sizes(connection, warehouse_targets(system))
        found.freshness = {
            name: read_freshness(connection, name, list(system.tables)) for name, system in catalog.systems.items()
        }
        found.tallies = read_tallies(connection)
        found.requests = read_agenda(connection)
        found.captures = [capture_state(settings, system) for system in systems_with_slots(settings)]
        found.failures += [f"{each.system}: {each.failure.message}" for each in found.captures if each.failure]
        found.maps = map_tiers(settings, tiered_tables(catalog), at)
        found.failures += [f"{each.name}: {each.failure.message}" for each in found.maps if each.failure]
    return found


def _read_replica(settings: Settings, system: str, found: Readings) -> None:
    with _apart(found):
        dsn = settings.replica(system)
        if dsn is None:
            return
        found.replica_up[system] = False
        with _session(dsn) as connection:
            ((lag,),) = connection.execute(_REPLICATION_LAG).fetchall()
            found.replica_up[system] = True
            if lag is not None:
                found.replication_lag[system] = lag


@contextmanager
def _session(dsn: Dsn) -> Generator[Connection]:
    with connect(dsn, read_only=True, application="drivetrain monitor") as connection, translated(dsn.label):
        yield connection


@contextmanager
def _apart(found: Readings) -> Generator[None]:
    """What goes wrong in the block is noted, and keeps nobody else from being read."""
    try:
        yield
    except DrivetrainError as error:
        found.failures.append(error.message)
