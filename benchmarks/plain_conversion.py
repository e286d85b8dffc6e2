"""``plain_conversion``: a plain ledger becomes one by months while four sessions write to it.

Each round begins with the same plain table. The limit is the same rows copied into an empty table of as many months
with the same indexes, by one INSERT ... SELECT while nobody writes: what an outage would cost. That its successor is
the table is proven by the conversion itself; rows and keys are counted after it, with those that the writers made.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping

import psycopg
from psycopg import sql

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.stage import Stage
from benchmarks.writers import Operation, Steps, Writers, beside
from resources.partitions import conversion_of
from warehouse.catalog.partition import RangePartition
from warehouse.partitions.split import split
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import Dsn, connect

#: At scale 1; half of it are the ten million that are asked for.
ROWS = 20_000_000
WRITERS, RIDERS = 4, 20_000
#: Seconds of writing before each conversion, to hold its pace against.
BEFORE = 10.0
_AT = dt.datetime(2026, 6, 15, tzinfo=dt.UTC)
_DATABASE = "plain_conversion"
_TARGET = Target("benchmark", "rides", "source", RangePartition(range="started_at", name="{table}_y{year}m{month}"))

_COLUMNS = (
    "id bigint NOT NULL, rider_id bigint NOT NULL, metres numeric(9,1) NOT NULL, note text,"
    " started_at timestamptz NOT NULL"
)


def _writers(dsn: str, rows: int) -> Writers:
    """Insert, correct, move to another month, delete and read one rider, in turn."""
    row, rider = range(1, rows + 1), range(RIDERS)
    return Writers(
        dsn,
        {
            "insert": Operation(
                "INSERT INTO rides SELECT nextval('ride_ids'), %s, 10, NULL, '2026-06-15+00'", (rider,)
            ),
            "update": Operation("UPDATE rides SET note = 'seen' WHERE id = %s", (row,), shared=False),
            "move": Operation(
                "UPDATE rides SET started_at = '2026-01-01+00'::timestamptz + %s * interval '1 hour' WHERE id = %s",
                (range(3000), row),
                shared=False,
            ),
            "delete": Operation("DELETE FROM rides WHERE id = %s AND metres < 1", (row,), shared=False),
            "read": Operation("SELECT sum(metres) FROM rides WHERE rider_id = %s", (rider,)),
        },
        WRITERS,
        seed=rows,
    )


def prepare(stage: Stage) -> Prepared:
    """Ready: the rows that each round begins with, in a table of their own."""
    rows = int(ROWS * stage.scale)
    server = stage.servers.server("operational")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
    dsn = server.dsn(_DATABASE)
    stage.tell(f"making {rows:,} rides")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE kept ({_COLUMNS})".encode())
        connection.execute(
            "INSERT INTO kept SELECT i, (i * 7919) %% %s, (i %% 50000) / 10.0, NULL,"
            " '2026-01-01+00'::timestamptz + i * (interval '150 days' / %s) FROM generate_series(1::bigint, %s) AS i",
            (RIDERS, rows, rows),
        )
    notes = [
        f"{rows:,} rows of five months. {WRITERS} sessions without a pause: a fifth each of inserts, updates, moves to"
        " another month, deletes and reads of one rider.",
        "The limit copies the rows into as many months while nobody writes.",
    ]

    def ours() -> Mapping[str, Sample]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS rides CASCADE")
            connection.execute("DROP SEQUENCE IF EXISTS ride_ids")
            connection.execute(f"CREATE TABLE rides ({_COLUMNS}, PRIMARY KEY (id))".encode())
            connection.execute("CREATE INDEX of_rider ON rides (rider_id, started_at)")
            connection.execute("CREATE SEQUENCE ride_ids START 1000000001")
            connection.execute("INSERT INTO rides SELECT * FROM kept")
            connection.execute("VACUUM ANALYZE rides")
            connection.execute("CHECKPOINT")
        return _convert(dsn, rows, notes)

    def limit() -> Mapping[str, Sample]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE copied (LIKE rides INCLUDING INDEXES) PARTITION BY RANGE (started_at)")
            for month in range(1, 10):
                bounds = f"FROM ('2026-{month:02d}-01+00') TO ('2026-{month + 1:02d}-01+00')"
                connection.execute(f"CREATE TABLE copied_{month} PARTITION OF copied FOR VALUES {bounds}".encode())
            began = time.monotonic()
            connection.execute("INSERT INTO copied SELECT * FROM kept")
            took = time.monotonic() - began
            connection.execute("DROP TABLE copied")
        return {LIMIT: Sample(took)}

    return Prepared({"converting": ours, "copying": limit}, notes)


def _convert(dsn: str, rows: int, notes: list[str]) -> Mapping[str, Sample]:
    writers = _writers(dsn, rows)
    there = _count(dsn)
    with beside(writers) as before:
        time.sleep(BEFORE)
    steps = Steps()
    with connect(Dsn(dsn), see_all_rows=True) as connection, beside(writers) as during:
        began = time.monotonic()
        (planned,) = conversion_of(connection, _TARGET, ("public", "rides"), _AT)
        progress = split(connection, planned, tell=steps.tell)
        took = time.monotonic() - began
        time.sleep(1)  # what was prepared for the plain table goes on with its successor
    failures = [*before.failures, *during.failures]
    found, due = _count(dsn), there[0]
    for record in (before, during):
        due += record.rows["insert"] - record.rows["delete"]
    with psycopg.connect(dsn) as connection:
        months = connection.execute("SELECT pg_get_partkeydef('rides'::regclass)").fetchone()
    if failures or found != (due, due) or months != ("RANGE (started_at)",):
        raise BenchmarkError(
            f"writers failed: {failures[:3]}; rows and keys: {found}, due: {due}; partitioned by {months}"
        )
    pace = (during.count / took) / (before.count / BEFORE)
    waits = ", ".join(f"{name} {during.longest(name) * 1000:.0f} ms" for name in writers.operations)
    notes.append(
        f"Writers kept {pace:.0%} of their pace, {during.count:,} transactions, 0 errors, 0 of {due:,} rows lost or "
        f"doubled; longest waits: {waits}; the longest was at: {steps.at(during.slowest[0])}."
    )
    return {
        OURS: Sample(took),
        "longest wait of a writer": Sample(during.longest()),
        "longest wait of a writer before": Sample(before.longest()),
        "median transaction of a writer": Sample(during.median),
        "median transaction of a writer before": Sample(before.median),
        "longest lock of the table": Sample(progress.swap_seconds),
    }


def _count(dsn: str) -> tuple[int, int]:
    """Rows, and keys of them."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT id) FROM rides").fetchone()
    assert row is not None
    return row[0], row[1]


BENCHMARK = Benchmark(
    name="plain_conversion",
    ours="making a plain table one by months beside writers, proof included",
    limit="copying the same rows into as many months while nobody writes",
    prepare=prepare,
)
