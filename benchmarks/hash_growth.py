"""``hash_growth``: a hash-partitioned ledger doubles its partitions while four sessions write to it.

Each round grows the same table once more: 4 to 8, 8 to 16, 16 to 32 ... The limit is the same rows copied into an empty
table of as many partitions with the same indexes, by one INSERT ... SELECT while nobody writes: what an outage would
cost. After every round rows and keys are counted; that the pieces are the partition is proven by the growth itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import psycopg
from psycopg import sql

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.stage import Stage
from benchmarks.writers import Operation, Steps, Writers, beside
from warehouse.catalog.partition import HashPartition
from warehouse.partitions.reading import read_partitioned
from warehouse.partitions.reshape import growth
from warehouse.partitions.split import split
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import Dsn, connect

#: At scale 1; half of it are the ten million that are asked for.
ROWS = 20_000_000
WRITERS, FIRST, RIDERS = 4, 4, 20_000
#: Seconds of writing before each growth, to hold its pace against.
BEFORE = 10.0
_DATABASE = "hash_growth"
_DECLARED = HashPartition(hash="rider_id", modulus=FIRST, name="{table}_p{remainder}")

_TABLE = """
CREATE TABLE {name} (
    id bigint NOT NULL, rider_id bigint NOT NULL, entry_type text NOT NULL, amount numeric(12,2) NOT NULL,
    metadata jsonb, created_at timestamptz NOT NULL, PRIMARY KEY (id, rider_id)
) PARTITION BY HASH (rider_id);
CREATE INDEX {name}_rider ON {name} (rider_id, created_at);
"""


def _writers(dsn: str, rows: int) -> Writers:
    """Insert, correct, delete and read one rider, in turn."""
    row, rider = range(1, rows + 1), range(RIDERS)
    return Writers(
        dsn,
        {
            "insert": Operation(
                "INSERT INTO ledger SELECT nextval('ledger_id'), %s, 'earning', 10, NULL, now()", (rider,)
            ),
            "update": Operation("UPDATE ledger SET metadata = '{\"seen\": 1}' WHERE id = %s", (row,)),
            "delete": Operation("DELETE FROM ledger WHERE id = %s AND amount < 1", (row,)),
            "read": Operation("SELECT sum(amount) FROM ledger WHERE rider_id = %s", (rider,)),
        },
        WRITERS,
        seed=rows,
    )


def prepare(stage: Stage) -> Prepared:
    """Ready: the filled ledger, of ``FIRST`` partitions."""
    rows = int(ROWS * stage.scale)
    server = stage.servers.server("operational")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
    dsn = server.dsn(_DATABASE)
    stage.tell(f"making a ledger of {rows:,} rows")
    with psycopg.connect(dsn, autocommit=True) as connection:
        _make(connection, "ledger", FIRST)
        connection.execute(
            "INSERT INTO ledger SELECT i, (i * 7919) %% %s, CASE i %% 5 WHEN 0 THEN 'fee' ELSE 'earning' END,"
            " (i %% 50000) / 100.0, NULL, '2026-01-01+00'::timestamptz + i * interval '1 second'"
            " FROM generate_series(1::bigint, %s) AS i",
            (RIDERS, rows),
        )
        connection.execute("CREATE SEQUENCE ledger_id START 1000000001")
        connection.execute("VACUUM ANALYZE ledger")
    notes = [
        f"{rows:,} rows when it began; each round doubles the partitions, from {FIRST} on. {WRITERS} sessions without a"
        " pause: a quarter each of inserts, updates, deletes and reads of one rider.",
        "The limit copies the rows into as many partitions while nobody writes.",
    ]
    modulus = FIRST

    def ours() -> Mapping[str, Sample]:
        nonlocal modulus
        modulus *= 2
        return _grow(dsn, rows, modulus, notes)

    def limit() -> Mapping[str, Sample]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            _make(connection, "copied", modulus)
            began = time.monotonic()
            connection.execute("INSERT INTO copied SELECT * FROM ledger")
            took = time.monotonic() - began
            connection.execute("DROP TABLE copied")
        return {LIMIT: Sample(took)}

    return Prepared({"growing": ours, "copying": limit}, notes)


def _make(connection: psycopg.Connection, name: str, modulus: int) -> None:
    connection.execute(_TABLE.format(name=name).encode())
    for remainder in range(modulus):
        bound = f"FOR VALUES WITH (MODULUS {modulus}, REMAINDER {remainder})"
        connection.execute(f"CREATE TABLE {name}_p{remainder} PARTITION OF {name} {bound}".encode())


def _grow(dsn: str, rows: int, goal: int, notes: list[str]) -> Mapping[str, Sample]:
    writers = _writers(dsn, rows)
    there = _count(dsn)
    with beside(writers) as before:
        time.sleep(BEFORE)
    target = Target("benchmark", "ledger", "source", _DECLARED)
    locked, steps = 0.0, Steps()
    with (
        connect(Dsn(dsn), see_all_rows=True) as connection,
        beside(writers) as during,
    ):
        facts = read_partitioned(connection, [("public", "ledger")])["public", "ledger"]
        began = time.monotonic()
        for each in growth(target, facts, goal):
            locked = max(locked, split(connection, each, tell=steps.tell).swap_seconds)
        took = time.monotonic() - began
    failures = [*before.failures, *during.failures]
    found, due = _count(dsn), there[0]
    for record in (before, during):
        due += record.rows["insert"] - record.rows["delete"]
    with psycopg.connect(dsn) as connection:
        parts = connection.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'ledger'::regclass").fetchone()
    if failures or found != (due, due) or parts != (goal,):
        raise BenchmarkError(f"writers failed: {failures[:3]}; rows and keys: {found}, due: {due}; partitions: {parts}")
    pace = (during.count / took) / (before.count / BEFORE)
    notes.append(
        f"To {goal} partitions: writers kept {pace:.0%} of their pace, {during.count:,} transactions, 0 errors, "
        f"0 of {due:,} rows lost or doubled; the longest wait was at: {steps.at(during.slowest[0])}."
    )
    return {
        OURS: Sample(took),
        "longest wait of a writer": Sample(during.longest()),
        "longest wait of a writer before": Sample(before.longest()),
        "median transaction of a writer": Sample(during.median),
        "median transaction of a writer before": Sample(before.median),
        "longest lock of the table": Sample(locked),
    }


def _count(dsn: str) -> tuple[int, int]:
    """Rows, and keys of them."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT (id, rider_id)) FROM ledger").fetchone()
    assert row is not None
    return row[0], row[1]


BENCHMARK = Benchmark(
    name="hash_growth",
    ours="doubling the partitions of a hash beside writers, proof included",
    limit="copying the same rows into as many partitions while nobody writes",
    prepare=prepare,
)
