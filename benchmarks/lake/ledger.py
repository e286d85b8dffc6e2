"""``tier_ledger``: what a run of tiers and the proof cost when 10, 100 or 1,000 months have moved before.

The months of the past were not moved one by one, which would take hours: their ledger is written by the ledger's own
functions, their files (of a few rows) are files of the lake, each month by a commit of its own, and the source has the
empty partitions that months leave behind. One more month, which arrives anew in each round, moves for real.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import psycopg
import pyarrow as pa

from benchmarks.lake import samples
from benchmarks.lake.ground import TABLE, Ground, bound, months_from, partition, prepare
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.stage import Stage
from warehouse.catalog.periods import shifted
from warehouse.ingest import Months, ingest_table, open_snapshot
from warehouse.lake.columns import schema_of
from warehouse.lake.content import NOTHING, content_of
from warehouse.lake.delta import LakeTable
from warehouse.lake.export import DataFile, encoded, export_name
from warehouse.lake.layout import file_path
from warehouse.lake.store import Store, Stored
from warehouse.postgres.sessions import Connection, connect
from warehouse.proof.conservation import prove_table
from warehouse.state.moves import advance, begin, record_files
from warehouse.tiering.apply import look

SIZES = (10, 100, 1000)
#: Files and rows of one month of the past; nothing that is timed reads them.
_BUCKETS, _ROWS = 2, 10
_SYSTEM, _FIRST, _AT = "bikenode", dt.date(2024, 1, 1), dt.datetime(2060, 1, 1, tzinfo=dt.UTC)
_NOTED = """
INSERT INTO platform.raw_content (system, table_name, chunk, rows, digest, agrees, tier)
VALUES (%s, %s, %s, %s, 0, true, 'lake')
"""


@dataclass
class _Counts:
    statements: int = 0
    listed: int = 0


@dataclass
class _Past:
    """A table whose months moved, and the next one that arrives."""

    ground: Ground
    next: dt.date = field(default=shifted("month", _FIRST, 1))
    counts: _Counts | None = None

    def timed(self, work: Callable[[], None]) -> float:
        """Seconds; what is asked and listed meanwhile is counted, where that is wanted."""
        with nullcontext() if self.counts is None else _counted(self.counts):
            began = time.perf_counter()
            work()
            return time.perf_counter() - began

    def plan(self) -> None:
        """Nothing is due."""
        steps = look(self.ground.places, self.ground.system, TABLE, _AT)
        if steps:
            raise BenchmarkError(f"something is due: {steps[:3]}")

    def prove(self) -> None:
        """As the scheduled check does it."""
        warehouse = self.ground.places.warehouse
        with connect(warehouse) as connection:
            lake = self.ground.places.lake
            proof = prove_table(connection, warehouse, self.ground.system, TABLE, lake, deep=False)
        if proof.findings:
            raise BenchmarkError(f"the proof finds {proof.findings[:3]}")

    def arrive(self) -> dt.date:
        """One more month at the source and in the warehouse."""
        month, self.next = self.next, shifted("month", self.next, 1)
        places = self.ground.places
        assert places.source is not None
        with psycopg.connect(self.ground.source, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {partition(month)} PARTITION OF {TABLE} {bound(month)}".encode())
            samples.fill(connection, month, 100)
        with open_snapshot(places.source) as snapshot:
            ingest_table(snapshot, places.warehouse, self.ground.system, TABLE, months=Months(month, month))
        return month

    def step(self, month: dt.date, kind: str) -> None:
        """The next step of a month, in a run of its own."""
        done = self.ground.move(_AT, dt.timedelta(), [month])
        if [each.step.kind for each in done] != [kind]:
            raise BenchmarkError(f"instead of {kind}: {done}")


def _prepare(stage: Stage) -> Prepared:
    """Ready: a ledger of each size; everything done once, counted and untimed."""
    notes = [
        f"One table (bikenode.gps_points) whose months moved to the lake: {', '.join(map(str, SIZES))} of them, with"
        f" {_BUCKETS} files each, and as many empty partitions at the source. The month that moves has 100 rows.",
        "The limit is the same plan with 10 months in the ledger: 1 is no growth at all.",
    ]
    candidates: dict[str, Candidate] = {}
    for size in SIZES:
        past = _Past(_make(stage, size))
        for name, work in _works(past).items():
            past.counts = counts = _Counts()
            work()
            past.counts = None
            notes.append(
                f"{name}, {size:,} months: {counts.statements:,} statements, {counts.listed:,} objects listed."
            )
        candidates[f"{size:,} months"] = lambda past=past, size=size: _measure(past, size)
    return Prepared(candidates, notes)


def _works(past: _Past) -> Mapping[str, Callable[[], float]]:
    moving: list[dt.date] = []

    def leave() -> float:
        moving.append(past.arrive())
        return past.timed(lambda: past.step(moving[-1], "leave"))

    def cool() -> float:
        month = moving.pop()
        past.step(month, "drop")
        took = past.timed(lambda: past.step(month, "cool"))
        past.step(month, "drop")
        return took

    return {
        "plan": lambda: past.timed(past.plan),
        "proof": lambda: past.timed(past.prove),
        "one month hot to warm": leave,
        "one month warm to cold": cool,
    }


def _measure(past: _Past, size: int) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {}
    for name, work in _works(past).items():
        sample = Sample(work())
        found[f"{name}, {size:,} months"] = sample
        if name == "plan" and size in (SIZES[0], SIZES[-1]):
            found[LIMIT if size == SIZES[0] else OURS] = sample
    return found


@contextmanager
def _counted(counts: _Counts) -> Iterator[None]:
    """What the block asks of the databases, and how many objects it lists."""
    execute: Any = psycopg.Cursor.execute
    listing = Store.list

    def counting(self: Any, *given: Any, **named: Any) -> Any:
        counts.statements += 1
        return execute(self, *given, **named)

    def counting_objects(self: Store, prefix: str = "") -> list[Stored]:
        found = listing(self, prefix)
        counts.listed += len(found)
        return found

    with mock.patch.object(psycopg.Cursor, "execute", counting), mock.patch.object(Store, "list", counting_objects):
        yield


def _make(stage: Stage, size: int) -> Ground:
    ground = prepare(stage, f"tier_ledger_{size}", [_FIRST], 100)
    months = months_from(shifted("month", _FIRST, -size), size)
    stage.tell(f"writing a past of {size:,} months")
    with psycopg.connect(ground.source) as connection:
        for month in months:
            connection.execute(f"CREATE TABLE {partition(month)} PARTITION OF {TABLE} {bound(month)}".encode())
    columns = samples.columns()
    lake = LakeTable(ground.places.lake.under(_SYSTEM, TABLE), columns, "recorded_at")
    with connect(ground.places.warehouse) as connection:
        for month in months:
            with connection.transaction():
                _remember(connection, lake, month)
    while ground.move(_AT, dt.timedelta(), [_FIRST]):  # the first month, for real
        pass
    return ground


def _remember(connection: Connection, lake: LakeTable, month: dt.date) -> None:
    """A month that went from the source to the lake."""
    export = export_name()
    files: list[DataFile] = []
    content = NOTHING
    for bucket in range(_BUCKETS):
        data = encoded(_rows(lake, month, bucket), lake.columns)
        path = file_path(f"{month:%Y-%m}", bucket, f"{export}-{bucket}.parquet")
        lake.store.put(path, data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(DataFile(path, f"{month:%Y-%m}", bucket, _ROWS, len(data), digest))
        content += content_of(data, lake.columns)
    hot = begin(connection, _SYSTEM, TABLE, month, "hot", reason="older than 30 days")
    hot = advance(connection, hot, "detached", relation="gone")
    hot = advance(connection, hot, "flipped", kept=content, content=content, keep_until=_AT)
    advance(connection, hot, "dropped")
    warm = begin(connection, _SYSTEM, TABLE, month, "warm", reason="older than 1 year", export=export)
    record_files(connection, warm, files)
    lake.commit(export, files)
    warm = advance(connection, warm, "exported", relation="gone", kept=content)
    warm = advance(connection, warm, "verified", content=content)
    warm = advance(connection, warm, "flipped", keep_until=_AT)
    advance(connection, warm, "dropped")
    connection.execute(_NOTED, (_SYSTEM, TABLE, f"{month:%Y-%m}", content.rows))


def _rows(lake: LakeTable, month: dt.date, bucket: int) -> pa.Table:
    at = dt.datetime.combine(month, dt.time(12), dt.UTC)
    values: dict[str, Sequence[Any]] = {
        "ride_id": range(_ROWS), "seq": range(_ROWS), "recorded_at": [at] * _ROWS, "user_id": [bucket] * _ROWS,
        "lat": [48.0] * _ROWS, "lon": [9.0] * _ROWS, "elevation_m": [None] * _ROWS, "speed_mps": [None] * _ROWS,
        "accuracy_m": [None] * _ROWS, "received_at": [at] * _ROWS,
    }  # fmt: skip
    return pa.table({name: list(each) for name, each in values.items()}, schema=schema_of(lake.columns))


BENCHMARK = Benchmark(
    name="tier_ledger",
    ours="a plan in which nothing is due, 1,000 months having moved before",
    limit="the same, 10 months having moved before",
    prepare=_prepare,
)
