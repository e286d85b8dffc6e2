"""``changed_rows``: rows that changed in a large table, by its watermark, and in one ten times as large.

The limit is the same work by hand: psql copies the rows past the watermark into a table beside, and upserts them by
key where they differ. It keeps no watermark and proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import psql
from benchmarks.lake.samples import empty_database
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.processes import timed
from benchmarks.stage import Stage
from demo.servers.model import PLATFORM
from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import System
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

#: At scale 1: rows of the smaller table, and how many of them change in each round.
ROWS, CHANGED = 2_000_000, 100_000
TABLES = {"small": 1, "large": 10}
_COLUMNS = "id, rider, lat, lon, note, updated_at"
_POLICY = """
system: changed
title: Changed rows
description: Rows that change.
owner: nobody
history_starts: 2024-01-01
defaults: {retention: lifetime, erasure: no_person}
tables:
"""
_TABLE = """
  %s:
    description: Rows that change.
    key: [id]
    ingest: {mode: incremental, cursor: updated_at, lookback: 0 minutes, compare: 1 year}
    columns:
      id: {type: bigint}
      rider: {type: bigint}
      lat: {type: double precision}
      lon: {type: double precision}
      note: {type: text}
      updated_at: {type: timestamptz}
"""
_UPSERT = f"""
INSERT INTO %(table)s AS t SELECT {_COLUMNS} FROM %(table)s_stage ON CONFLICT (id) DO UPDATE
   SET rider = excluded.rider, lat = excluded.lat, lon = excluded.lon, note = excluded.note,
       updated_at = excluded.updated_at
 WHERE (t.*) IS DISTINCT FROM (excluded.*)
"""


@dataclass(frozen=True)
class _Sides:
    """A source, our warehouse, and a database that is kept by hand.

    Attributes:
        rows: of each table.
        changed: of them in each round.
    """

    source: str
    warehouse: Dsn
    by_hand: str
    system: System
    rows: Mapping[str, int]
    changed: int

    def change(self, table: str) -> str:
        """Change rows all over the table; the moment before."""
        with psycopg.connect(self.source, autocommit=True) as connection:
            ((before,),) = connection.execute("SELECT clock_timestamp()::text").fetchall()
            step = self.rows[table] // self.changed
            connection.execute(
                f"UPDATE {table} SET lat = lat + 0.001, updated_at = clock_timestamp()"
                f" WHERE id = ANY(ARRAY(SELECT i FROM generate_series(1, {self.rows[table]}, {step}) AS i))".encode()
            )
            connection.execute(f"VACUUM ANALYZE {table}".encode())
        return before

    def ours(self, table: str) -> Sample:
        """One load by the domain API."""
        started = time.perf_counter()
        with open_snapshot(Dsn(self.source, "source")) as snapshot:
            result = ingest_table(snapshot, self.warehouse, self.system, table)
        took = time.perf_counter() - started
        if result.reconciliation.scope != "past the watermark" or result.rows_written < self.changed:
            raise BenchmarkError(f"ours: {result}")
        return Sample(took)

    def hand(self, table: str, since: str) -> Sample:
        """psql | psql, then an upsert."""
        out = f"COPY (SELECT {_COLUMNS} FROM {table} WHERE updated_at >= '{since}') TO STDOUT (FORMAT binary)"
        into = psql.run(
            self.by_hand, f"TRUNCATE {table}_stage", f"COPY {table}_stage FROM STDIN (FORMAT binary)",
            (_UPSERT % {"table": table}),
        )  # fmt: skip
        return timed([[psql.run(self.source, out, output_to=into)]]).sample


def prepare(stage: Stage) -> Prepared:
    """Ready: both tables on all three sides."""
    sides = _made(stage)
    notes = [
        f"{sides.rows['small']:,} and {sides.rows['large']:,} rows with an index on updated_at, of which"
        f" {sides.changed:,} spread over the whole table change before each turn. Policy: `compare: 1 year`.",
        "Ours fingerprints the rows past the watermark on both sides, keeps the ledger and what the warehouse holds.",
    ]
    return Prepared({name: lambda name=name: _turn(sides, name) for name in TABLES}, notes)


def _turn(sides: _Sides, table: str) -> Mapping[str, Sample]:
    since = sides.change(table)
    times = "" if table == "small" else ", ten times the table"
    ours, limit = sides.ours(table), sides.hand(table, since)
    return {OURS + times: ours, LIMIT + times: limit}


def _made(stage: Stage) -> _Sides:
    name = "changed_rows"
    source = empty_database(stage.servers.server("operational"), name)
    server = stage.servers.server("warehouse")
    by_hand, _ = empty_database(server, f"{name}_by_hand"), empty_database(server, name)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} OWNER TO {PLATFORM}".encode())
    warehouse = Dsn(server.dsn(name, PLATFORM), "warehouse")
    with connect(warehouse) as connection:
        migrate(connection)
    rows = {table: int(ROWS * stage.scale) * times for table, times in TABLES.items()}
    system = parse_system(_POLICY + "".join(_TABLE % table for table in TABLES), "changed.yaml")
    for table, count in rows.items():
        stage.tell(f"making {count:,} rows")
        with psycopg.connect(source, autocommit=True) as connection:
            connection.execute(_declared(table).encode())
            connection.execute(
                f"INSERT INTO {table} SELECT i, i % 5000, 48 + i * 1e-7, 9 + i * 1e-7, 'note ' || i,"
                f" '2023-01-01Z'::timestamptz + i * interval '1 s' FROM generate_series(1, {count}) AS i".encode()
            )
            connection.execute(f"CREATE INDEX ON {table} (updated_at)".encode())
            connection.execute(f"VACUUM ANALYZE {table}".encode())
        with open_snapshot(Dsn(source, "source")) as snapshot:
            ingest_table(snapshot, warehouse, system, table)
        with psycopg.connect(by_hand, autocommit=True) as connection:
            for each in (table, f"{table}_stage"):
                connection.execute(_declared(each, key=each == table).encode())
        out = f"COPY (SELECT {_COLUMNS} FROM {table}) TO STDOUT (FORMAT binary)"
        timed([[psql.run(source, out, output_to=psql.run(by_hand, f"COPY {table} FROM STDIN (FORMAT binary)"))]])
        with psycopg.connect(by_hand, autocommit=True) as connection:
            connection.execute(f"VACUUM ANALYZE {table}".encode())
    return _Sides(source, warehouse, by_hand, system, rows, int(CHANGED * stage.scale))


def _declared(table: str, *, key: bool = True) -> str:
    primary = " PRIMARY KEY" if key else ""
    return (
        f"CREATE TABLE {table} (id bigint{primary}, rider bigint, lat double precision, lon double precision,"
        " note text, updated_at timestamptz NOT NULL)"
    )


BENCHMARK = Benchmark(
    name=Path(__file__).stem,
    ours="100,000 changed rows of 2,000,000 by their watermark (domain API)",
    limit="psql's COPY of the same rows into a table beside, and an upsert by key",
    prepare=prepare,
)
