"""``lake_erasure``: persons out of a year of positions in the lake, against reading and writing the touched files.

The lake is made without a source: its files as a move writes them, and the ledger as it would be. Each round begins
with the same lake (its files linked, for none is ever changed) and the same ledger (a database from a template).
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from benchmarks.lake import ground
from benchmarks.lake.samples import TABLE, columns, layout
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.processes import Command, timed
from benchmarks.stage import Stage
from demo.servers.model import PLATFORM
from warehouse.lake.delta import LakeTable
from warehouse.lake.export import DataFile, export_name, write_file
from warehouse.lake.layout import file_path
from warehouse.lake.rewrite import content_of_table
from warehouse.lake.store import Store
from warehouse.postgres.fingerprints import EMPTY
from warehouse.postgres.sessions import connect
from warehouse.state.content import Content, record_content
from warehouse.state.moves import advance, begin, record_files

#: At scale 1: 96 files of 500,000 rows, if they were slices of time.
MONTHS, SLICES, ROWS = 12, 8, 500_000
PERSONS = 10_000
ERASED = (1, 10, 100, 1_000)
#: Of which the ratio is taken.
SHOWN = 1_000
_FIRST = dt.date(2024, 1, 1)
_SYSTEM = "bikenode"


@dataclass(frozen=True)
class Lake:
    """What each round begins with.

    Attributes:
        folder: of the lake; files by bucket.
        slices: of a Delta table of the same rows, by time, with deltalake's own settings.
        database: whose ledger it is, as a template.
        files, bytes: of the former.
    """

    stage: Stage
    folder: Path
    slices: Path
    database: str
    files: int
    bytes: int

    @property
    def server(self) -> Any:
        return self.stage.servers.server("warehouse")


def prepare(stage: Stage) -> Prepared:
    """Ready: a lake, its ledger, and the same rows unbucketed."""
    lake = _make(stage)
    notes = [
        f"{MONTHS * SLICES * int(ROWS * stage.scale):,} positions of {PERSONS:,} persons in {MONTHS} months: "
        f"{lake.files:,} files of 64 buckets a month, {lake.bytes / 1e6:,.0f} MB. Each person has rows in every month.",
        "Ours is the whole pass in one process, without its start: look into files, write those anew that have rows, "
        "read them back and compare, tell the ledger, commit, remove what was before.",
        "Limits read those files with pyarrow and write them with the same encodings, two at a time.",
        f"deltalake: delete and vacuum on a table of {MONTHS * SLICES} slices of time, with its own encodings.",
        f"The ratio is of {SHOWN:,} persons in one pass.",
    ]
    told: set[str] = set()
    candidates: dict[str, Candidate] = {}
    for persons in ERASED:
        candidates[f"erasing {persons:,}"] = partial(_ours, lake, persons, notes, told)
        candidates[f"reading and writing what {persons:,} touch"] = partial(_limit, lake, persons)
    candidates["all files anew"] = partial(_rewritten, lake, None, "all files anew, filtered")
    for persons in ERASED:
        candidates[f"deltalake, {persons:,}"] = partial(_deltalake, lake, persons, notes, told)
    return Prepared(candidates, notes)


def _named(persons: int, what: str, whole: str) -> str:
    return whole if persons == SHOWN else f"{what}, {persons:,} person{'s' if persons > 1 else ''}"


def _ours(lake: Lake, persons: int, notes: list[str], told: set[str]) -> Mapping[str, Sample]:
    name = "lake_erasure_now"
    with psycopg.connect(lake.server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(lake.database), sql.Identifier(PLATFORM)
            )
        )
    series = _named(persons, "ours", OURS)
    found, sample = _worked(lake, "ours", persons, lake.folder, lake.server.dsn(name, PLATFORM))
    if found["rows"] == 0:
        raise BenchmarkError(f"{series}: no row went")
    if series not in told:
        told.add(series)
        notes.append(
            f"{persons:,} of {PERSONS:,}: {found['files']:,} files written anew of {lake.files:,}, "
            f"{found['bytes'] / lake.bytes:.1%} of the bytes; {found['rows']:,} rows went."
        )
    return {series: sample}


def _limit(lake: Lake, persons: int) -> Mapping[str, Sample]:
    return _rewritten(lake, persons, _named(persons, "limit", LIMIT))


def _rewritten(lake: Lake, persons: int | None, series: str) -> Mapping[str, Sample]:
    verb = "all" if persons is None else "limit"
    return {series: _worked(lake, verb, persons or SHOWN, lake.folder)[1]}


def _deltalake(lake: Lake, persons: int, notes: list[str], told: set[str]) -> Mapping[str, Sample]:
    series = f"deltalake's delete and vacuum, {persons:,} person{'s' if persons > 1 else ''}"
    found, sample = _worked(lake, "deltalake", persons, lake.slices)
    if series not in told:
        told.add(series)
        notes.append(f"deltalake, {persons:,}: {found['files']:,} files written anew of {MONTHS * SLICES}.")
    return {series: sample}


def _worked(lake: Lake, verb: str, persons: int, folder: Path, dsn: str = "") -> tuple[dict[str, float], Sample]:
    """One turn on a copy of the lake, by a process that tells its own seconds."""
    copy = lake.stage.folder / "erasing"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, copy_function=os.link)
    module = [sys.executable, "-m", "benchmarks.lake.erasing_worker", verb, str(persons), str(copy)]
    run = timed([[Command(module, {**os.environ, "BENCHMARK_DSN": dsn})]])
    shutil.rmtree(copy)
    told = json.loads(run.last_line)
    return told, Sample(told["seconds"], run.peak_memory_mb)


def _make(stage: Stage) -> Lake:
    """The lake by bucket with its ledger, and by time."""
    before = dt.date(2023, 12, 1)  # of which the warehouse has some rows: so that the table is there
    name = "lake_erasure"
    made = ground.prepare(stage, name, [before], 1_000)
    folder, slices = stage.folder / "lake-by-bucket", stage.folder / "lake-by-time"
    root = Store(folder.as_uri())
    table = LakeTable(root.under(_SYSTEM, TABLE), columns(), "recorded_at")
    count = int(ROWS * stage.scale) * SLICES
    files, size = 0, 0
    slices.mkdir(parents=True)
    (folder / _SYSTEM / TABLE).mkdir(parents=True)
    with connect(made.places.warehouse) as connection:
        for number, month in enumerate(ground.months_from(_FIRST, MONTHS)):
            stage.tell(f"making {month:%Y-%m}: {count:,} positions")
            rows = positions(month, count, number)
            written = _move(connection, table, month, rows)
            files, size = files + len(written), size + sum(file.bytes for file in written)
            _slice(slices, rows)
    return Lake(stage, folder, slices, name, files, size)


def positions(month: dt.date, count: int, seed: int) -> pa.Table:
    """Positions of all persons, in the order in which they came."""
    random = np.random.default_rng(seed)
    begun = int(dt.datetime.combine(month, dt.time(), dt.UTC).timestamp()) * 1_000_000
    at = begun + np.sort(random.integers(0, 28 * 86_400, count)) * 1_000_000
    person = random.integers(0, PERSONS, count)
    values: dict[str, Any] = {
        "ride_id": person * 100 + random.integers(0, 100, count),
        "seq": np.arange(count) % 3_600,
        "recorded_at": at,
        "user_id": person,
        "lat": np.round(48 + person * 0.0001 + random.random(count) * 0.05, 7),
        "lon": np.round(9 + person * 0.0002 + random.random(count) * 0.05, 7),
        "elevation_m": np.round(300 + random.random(count) * 50, 1),
        "speed_mps": np.round(random.random(count) * 20, 2),
        "accuracy_m": (3 + person % 5).astype(float),
        "received_at": at + (person % 7) * 1_300_000,
    }
    arrays: list[Any] = [pa.array(values[column.name]).cast(column.arrow) for column in columns()]
    return pa.table(arrays, names=[column.name for column in columns()])


def _move(connection: Any, table: LakeTable, month: dt.date, rows: pa.Table) -> Sequence[DataFile]:
    """A month as a move leaves it."""
    export = export_name()
    buckets = layout().buckets_of(rows)
    files: list[DataFile] = []
    for bucket in np.unique(buckets):
        path = file_path(f"{month:%Y-%m}", int(bucket), f"{export}-000-{bucket}-0.parquet")
        of_bucket: Any = rows.filter(pa.array(buckets == bucket))
        ordered = of_bucket.sort_by([(name, "ascending") for name in layout().order])
        files.append(write_file(table.store, path, f"{month:%Y-%m}", int(bucket), ordered, columns(), table.time))
    content = content_of_table(rows, columns())
    with connection.transaction():
        move = begin(connection, _SYSTEM, TABLE, month, "warm", reason="made", export=export, layout=layout().rule)
        record_files(connection, move, files)
        advance(connection, move, "dropped", relation="gone", kept=content, content=content)
        chunk = {f"{month:%Y-%m}": Content(EMPTY, True)}
        record_content(connection, _SYSTEM, TABLE, chunk, dt.datetime.now(dt.UTC))
        connection.execute("UPDATE platform.raw_content SET tier = 'lake' WHERE chunk = %s", (f"{month:%Y-%m}",))
    table.commit(export, files)
    return files


def _slice(folder: Path, rows: pa.Table) -> None:
    """The same rows as so many files of time."""
    from deltalake import write_deltalake

    each = rows.num_rows // SLICES
    for number in range(SLICES):
        write_deltalake(folder.as_posix(), rows.slice(number * each, each), mode="append")


def chosen(persons: int) -> list[int]:
    """Keys of those who are erased, the same in every round."""
    return sorted(int(each) for each in np.random.default_rng(7).choice(PERSONS, persons, replace=False))


BENCHMARK = Benchmark(
    name="lake_erasure",
    ours=f"{SHOWN:,} persons out of a year in the lake, in one pass",
    limit="reading and writing just the files that have rows about them",
    prepare=prepare,
)
