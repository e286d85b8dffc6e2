"""``change_capture``: what changed in a table of positions, from the source's log into the warehouse.

The limit is PostgreSQL's own subscription into a plain table with the same key, which keeps no ledger, feeds no models
and passes no gate. Both read the same transactions, one after the other.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from benchmarks.lake import ground, samples
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.stage import Stage
from warehouse.ingest.capture import capture_changes, publication_of
from warehouse.postgres.slots import publication_sql

#: At scale 1: rows of the table, changes of each round, and transactions that make them.
ROWS, CHANGES, TRANSACTIONS = 2_000_000, 200_000, 200
_TABLE = samples.TABLE
_MONTHS = [dt.date(2024, 1, 1), dt.date(2024, 2, 1)]
#: Of each transaction: six tenths new rows, three changed, one deleted.
_NEW = f"""
INSERT INTO {_TABLE}
SELECT -(%(ride)s::bigint), i, '2024-01-01Z'::timestamptz + i * interval '1 second', i, 48, 9, i, i, i, now()
  FROM generate_series(1, %(new)s) AS i
"""
_CHANGED = f"""
UPDATE {_TABLE}_y2024m01 SET speed_mps = coalesce(speed_mps, 0) + 1
 WHERE ctid = ANY(ARRAY(SELECT ctid FROM {_TABLE}_y2024m01 WHERE ride_id > %(ride)s LIMIT %(changed)s))
"""
_DELETED = f"""
DELETE FROM {_TABLE}_y2024m02 WHERE ctid = ANY(ARRAY(SELECT ctid FROM {_TABLE}_y2024m02 LIMIT %(deleted)s))
"""


@dataclass
class _Pair:
    """A source, our warehouse, and a plain table beside it that subscribes."""

    stage: Stage
    made: ground.Ground
    native: str
    rides: int = 0
    notes: list[str] = field(default_factory=list[str])

    @property
    def source(self) -> str:
        return self.made.source

    def change(self, changes: int) -> None:
        """So many rows, in transactions of a thousand."""
        share = {"new": 6 * changes // TRANSACTIONS // 10, "changed": 3 * changes // TRANSACTIONS // 10}
        share["deleted"] = changes // TRANSACTIONS - sum(share.values())
        with psycopg.connect(self.source) as connection:
            for _ in range(TRANSACTIONS):
                self.rides += 1
                for statement in (_NEW, _CHANGED, _DELETED):
                    connection.execute(statement.encode(), {**share, "ride": self.rides})
                connection.commit()

    def ours(self) -> int:
        """Apply what changed; rows."""
        places = self.made.places
        assert places.source is not None
        result = capture_changes(places.source, places.source, places.warehouse, self.made.system)
        table = result.tables[_TABLE]
        if table.error or table.compared:
            raise BenchmarkError(f"the table was not followed: {table}")
        return table.changes

    def theirs(self) -> None:
        """Let the subscription apply what changed."""
        with (
            psycopg.connect(self.native, autocommit=True) as target,
            psycopg.connect(self.source, autocommit=True) as at,
        ):
            ((upto,),) = at.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
            target.execute("ALTER SUBSCRIPTION native ENABLE")
            while not at.execute(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'native' AND confirmed_flush_lsn >= %s", (upto,)
            ).fetchone():
                time.sleep(0.005)

    def stop_theirs(self) -> None:
        """Until the next round."""
        with (
            psycopg.connect(self.native, autocommit=True) as target,
            psycopg.connect(self.source, autocommit=True) as at,
        ):
            target.execute("ALTER SUBSCRIPTION native DISABLE")
            while at.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'native' AND active").fetchone():
                time.sleep(0.01)

    def check(self) -> None:
        """All three have the same rows."""
        places = self.made.places
        query = f"SELECT count(*), sum(hashtextextended(({', '.join(samples.COLUMNS)})::text, 0)) FROM ".encode()
        found = set[tuple[object, ...]]()
        for dsn, relation in (
            (self.source, _TABLE), (self.native, _TABLE), (places.warehouse.text, f"raw_bikenode.{_TABLE}")
        ):  # fmt: skip
            with psycopg.connect(dsn, options="-c timezone=UTC -c extra_float_digits=1") as connection:
                found.update(connection.execute(query + relation.encode()).fetchall())
        if len(found) != 1:
            raise BenchmarkError(f"source, subscription and warehouse differ: {found}")


def prepare(stage: Stage) -> Prepared:
    """Ready: a table of two months, compared and subscribed to."""
    made = ground.prepare(stage, "change_capture", _MONTHS, int(ROWS * stage.scale / 2))
    declared = made.system.tables[_TABLE]
    policy = declared.model_copy(update={"ingest": declared.ingest.model_copy(update={"capture": True})})
    system = made.system.model_copy(update={"tables": {**made.system.tables, _TABLE: policy}})
    made = ground.Ground(made.places, system)
    native = samples.empty_database(stage.servers.server("warehouse"), "change_capture_native")
    pair = _Pair(stage, made, native)
    with psycopg.connect(made.source, autocommit=True) as source:
        for name in (publication_of(system), "native"):
            for statement in publication_sql(source, name, [("public", _TABLE)], there=False):
                source.execute(statement.encode())
    stage.tell("subscribing")
    with psycopg.connect(native, autocommit=True) as target:
        target.execute(f"CREATE TABLE {_TABLE} ({samples.DECLARED}, PRIMARY KEY (ride_id, recorded_at, seq))".encode())
        target.execute(
            f"CREATE SUBSCRIPTION native CONNECTION '{made.source}' PUBLICATION native WITH (binary = true)".encode()
        )
        while target.execute("SELECT 1 FROM pg_subscription_rel WHERE srsubstate <> 'r'").fetchone():
            time.sleep(0.1)
    pair.stop_theirs()
    places = made.places
    assert places.source is not None
    capture_changes(places.source, places.source, places.warehouse, system)
    changes = int(CHANGES * stage.scale)
    notes = [
        f"{int(ROWS * stage.scale):,} rows in two monthly partitions; each round {changes:,} are inserted (6 of 10),"
        f" changed (3) and deleted (1) in {TRANSACTIONS} transactions.",
        "Ours is one run of the capture by its domain API: the log is read and folded by key, applied to the months"
        " with the ledger, and the slot advanced. The subscription's is from its start until its slot is confirmed.",
        "After each round source, subscription and warehouse are compared row by row.",
    ]
    return Prepared({"both": lambda: _both(pair, changes, notes)}, notes)


def _both(pair: _Pair, changes: int, notes: list[str]) -> Mapping[str, Sample]:
    pair.change(changes)
    started = time.perf_counter()
    applied = pair.ours()
    ours = time.perf_counter() - started
    started = time.perf_counter()
    pair.theirs()
    theirs = time.perf_counter() - started
    pair.stop_theirs()
    pair.check()
    with psycopg.connect(pair.source, autocommit=True) as source:
        source.execute(_NEW.encode(), {"ride": 10**9 + pair.rides, "new": 1})
    started = time.perf_counter()
    pair.ours()
    one = time.perf_counter() - started
    if len(notes) == 3:
        notes.append(
            f"Ours applied {applied:,} changes: {applied / ours:,.0f} a second; theirs {applied / theirs:,.0f}."
        )
    return {OURS: Sample(ours), LIMIT: Sample(theirs), "ours, one row, from its commit": Sample(one)}


BENCHMARK = Benchmark(
    name="change_capture",
    ours="200,000 changes out of the log into the warehouse, with its ledger",
    limit="PostgreSQL's own subscription, in the binary format, into a plain table",
    prepare=prepare,
)
