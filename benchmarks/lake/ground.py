"""A source whose positions lie in monthly partitions, a warehouse that has them, and a lake: bikenode's own policy.

What does not belong here: what is timed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from benchmarks.lake import samples
from benchmarks.model import BenchmarkError
from benchmarks.stage import Stage
from demo.servers.model import PLATFORM
from warehouse.catalog.model import Retention, System
from warehouse.catalog.periods import shifted
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate
from warehouse.state.tiered import Places
from warehouse.tiering.apply import Done, move_table

TABLE = samples.TABLE
_PARENT = f"""
CREATE TABLE {TABLE} ({samples.DECLARED}, PRIMARY KEY (ride_id, recorded_at, seq)) PARTITION BY RANGE (recorded_at);
CREATE INDEX ON {TABLE} (user_id, recorded_at);
"""


@dataclass(frozen=True)
class Ground:
    """Where a table's months are.

    Attributes:
        places: source, warehouse and lake.
        system: whose table it is.
    """

    places: Places
    system: System

    @property
    def source(self) -> str:
        """The source, as superuser."""
        assert self.places.source is not None
        return self.places.source.text

    def move(self, at: dt.datetime, keep: dt.timedelta, months: Sequence[dt.date] | None = None) -> list[Done]:
        """One run; a step that fails is an error.

        Raises:
            BenchmarkError: it was not taken.
        """
        done = move_table(self.places, self.system, TABLE, at, keep=keep, months=months)
        if failed := [each for each in done if each.failure]:
            raise BenchmarkError(f"{failed[0].step}: {failed[0].failure}")
        return done


def months_from(first: dt.date, count: int) -> list[dt.date]:
    """Months in a row."""
    return [shifted("month", first, number) for number in range(count)]


def bound(month: dt.date) -> str:
    """Of its partition."""
    return f"FOR VALUES FROM ('{month}+00') TO ('{shifted('month', month, 1)}+00')"


def partition(month: dt.date) -> str:
    """As the policy names it."""
    return f"{TABLE}_y{month:%Y}m{month:%m}"


def prepare(stage: Stage, name: str, months: Sequence[dt.date], rows: int) -> Ground:
    """Filled, and ingested: so many rows in each month."""
    source = samples.empty_database(stage.servers.server("operational"), name)
    stage.tell(f"making {len(months):,} months of {rows:,} positions")
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(_PARENT.encode())
        for month in months:
            connection.execute(f"CREATE TABLE {partition(month)} PARTITION OF {TABLE} {bound(month)}".encode())
            samples.fill(connection, month, rows)
        connection.execute(f"VACUUM ANALYZE {TABLE}".encode())
    server = stage.servers.server("warehouse")
    samples.empty_database(server, name)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(PLATFORM)))
    warehouse = Dsn(server.dsn(name, PLATFORM), "warehouse")
    with connect(warehouse) as connection:
        migrate(connection)
    declared = stage.catalog.systems["bikenode"]
    # Months of any age move here: none is past its retention.
    policy = declared.tables[TABLE].model_copy(update={"retention": Retention(until="lifetime")})
    system = declared.model_copy(update={"tables": {**declared.tables, TABLE: policy}})
    stage.tell("ingesting them")
    with open_snapshot(Dsn(source, "source")) as snapshot:
        result = ingest_table(snapshot, warehouse, system, TABLE)
    if not result.reconciliation.agrees or result.rows_written != rows * len(months):
        raise BenchmarkError(f"{result.rows_written:,} rows were ingested")
    lake = stage.folder / f"lake-{name}"
    lake.mkdir()
    return Ground(Places(Dsn(source, "source"), warehouse, Store(lake.as_uri())), system)
