"""A month of positions, as a table of the warehouse has them: what benchmarks of the lake read and write.

What does not belong here: what is timed.
"""

from __future__ import annotations

import datetime as dt

import psycopg
from psycopg import sql

from benchmarks.stage import Stage
from demo.servers import Server
from warehouse.lake.columns import LakeColumn, lake_columns
from warehouse.lake.layout import Layout
from warehouse.postgres.carriage import Carriage, CarriedColumn

TABLE = "gps_points"
COLUMNS = {
    "ride_id": "bigint", "seq": "integer", "recorded_at": "timestamp with time zone", "user_id": "bigint",
    "lat": "double precision", "lon": "double precision", "elevation_m": "real", "speed_mps": "real",
    "accuracy_m": "real", "received_at": "timestamp with time zone",
}  # fmt: skip
DECLARED = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
#: At scale 1: a month of five hundred riders who are always on the road.
ROWS = 10_000_000
RIDERS = 500

_FILL = """
INSERT INTO gps_points
SELECT r + {riders} * (s / 3600), s %% 3600, at, (r + {riders} * (s / 3600)) * 7919 %% 2000,
       round((48 + r * 0.001 + s * 0.00003 + random() * 0.00001)::numeric, 7),
       round((9 + r * 0.002 + s * 0.00002 + random() * 0.00001)::numeric, 7),
       CASE WHEN r %% 10 > 0 THEN round((300 + 20 * sin(s / 300.0))::numeric, 1) END,
       round((5 + 3 * random())::numeric, 2), CASE WHEN r %% 4 > 0 THEN 3 + r %% 5 END,
       at + (r %% 7) * interval '1.3 seconds'
  FROM (SELECT i %% {riders} AS r, i / {riders} AS s,
               {start}::timestamptz + (i / {riders}) * interval '1 second' AS at
          FROM generate_series(0::bigint, %s) AS i) AS sample
"""


def columns() -> tuple[LakeColumn, ...]:
    """Of the table in the lake."""
    return lake_columns(Carriage(tuple(CarriedColumn(name, sql.SQL(""), kind) for name, kind in COLUMNS.items())))


def layout() -> Layout:
    """As the catalog has it for bikenode.gps_points."""
    return Layout(64, "user_id", True, ("user_id", "recorded_at", "ride_id", "seq"))


def database(stage: Stage, name: str) -> str:
    """A database of the warehouse's server with the table, empty: its DSN."""
    dsn = empty_database(stage.servers.server("warehouse"), name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {TABLE} ({DECLARED})".encode())
    return dsn


def empty_database(server: Server, name: str) -> str:
    """A fresh database: its DSN, as superuser."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return server.dsn(name)


def fill(connection: psycopg.Connection, start: dt.date, rows: int) -> None:
    """Positions of all riders, from the first second of a day on."""
    connection.execute(_FILL.format(riders=RIDERS, start=f"'{start}+00'").encode(), (rows - 1,))


def make(stage: Stage, name: str) -> tuple[str, int]:
    """A database with the table, filled, vacuumed and read once: its DSN, and the number of rows."""
    rows = int(ROWS * stage.scale)
    dsn = database(stage, name)
    stage.tell(f"making a month of {rows:,} positions")
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, dt.date(2024, 1, 1), rows)
        connection.execute(f"VACUUM ANALYZE {TABLE}".encode())
    return dsn, rows
